/*
 * Files that must survive. A file that matters is written whole: temporary
 * file in the same directory, fsync, rename over, fsync of the directory.
 * Everything takes a directory descriptor (AT_FDCWD allowed) so that a
 * process which opened its directory early needs no paths later.
 */
#ifndef CORE_FS_H
#define CORE_FS_H

#include <sys/types.h>
#include <fcntl.h>

#include "core/buf.h"
#include "core/err.h"

/*
 * Reads a whole file of at most max bytes (more is ERR_FULL, no file is
 * ERR_NOTFOUND). Appends to b. 0 or -1.
 */
int	fs_read(int dirfd, const char *path, size_t max, struct buf *b, struct err *e);
/* Writes a file whole and durably, mode exactly as given. 0 or -1; on -1 the old file is as it was. */
int	fs_write(int dirfd, const char *path, struct str data, mode_t mode, struct err *e);
/* The same without the two fsyncs: survives our death, not the machine's. */
int	fs_write_fast(int dirfd, const char *path, struct str data, mode_t mode, struct err *e);
/* write(2) until all is written. 0 or -1 (ERR_FULL when the disk is full). */
int	fs_write_all(int fd, const void *p, size_t n, struct err *e);
/* mkdir -p; components that exist are left alone. */
int	fs_mkdirs(const char *path, mode_t mode, struct err *e);
/* Opens a directory (O_DIRECTORY|O_CLOEXEC). Returns the fd or -1. */
int	fs_opendir(int dirfd, const char *path, struct err *e);
/* rename(2) within one directory tree, then fsync of both parents' fd todir. */
int	fs_rename(int fromdir, const char *from, int todir, const char *to, struct err *e);
int	fs_sync_dir(int dirfd, struct err *e);
/* Removes a file or a whole directory; symlinks are not followed; a missing one is success. */
int	fs_remove_tree(int dirfd, const char *path, struct err *e);
bool	fs_exists(int dirfd, const char *path);
/*
 * Names in a directory, sorted bytewise, without those that begin with a
 * dot. *names is a malloc'd array of malloc'd strings (fs_free_names). A missing directory is an
 * empty list. Returns the count or -1.
 */
ssize_t	fs_list(int dirfd, const char *path, char ***names, struct err *e);
/* The opposite: only the names that begin with a dot (without "." and ".."): what earlier deaths left behind. */
ssize_t	fs_list_dotted(int dirfd, char ***names, struct err *e);
void	fs_free_names(char **names, ssize_t n);
/* A malloc'd path "a/b". */
char	*fs_join(const char *a, const char *b);

#endif
