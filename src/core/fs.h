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
 * For a role that is about to give up who it is (core/identity.h): what lies at this absolute path stays usable by its
 * path, through a descriptor that is opened now: of a directory all below it that the role itself may open, of a file what it says (where opening it
 * anew is refused). What does not exist, or is neither, is passed over. Only the functions here know of it.
 */
void	fs_keep(const char *path);
/* Whether none of what was kept has been replaced by another file or removed since. */
bool	fs_kept_fresh(void);

/*
 * Reads a whole file of at most max bytes (more is ERR_FULL, no file is
 * ERR_NOTFOUND). Appends to b. 0 or -1.
 */
int	fs_read(int dirfd, const char *path, size_t max, struct buf *b, struct err *e);
/*
 * Writes a file whole and durably, mode exactly as given. 0 or -1; on -1 the old file is as it was. Root's file in a directory that belongs
 * to a role (core/identity.h) is given to that role, or, when its group may read it, stays root's.
 */
int	fs_write(int dirfd, const char *path, struct str data, mode_t mode, struct err *e);
/* The same without the two fsyncs: survives our death, not the machine's. */
int	fs_write_fast(int dirfd, const char *path, struct str data, mode_t mode, struct err *e);
/*
 * The same of a file that decides what a role may do: in a directory that is a role's own, only one that root wrote
 * (fs_write() with a mode that lets the group read) is believed; another is ERR_AUTH.
 */
int	fs_read_vouched(int dirfd, const char *path, size_t max, struct buf *b, struct err *e);
/*
 * open(2) of a name in a directory, created if it is not there (O_CLOEXEC, no links followed). Root's new files in a directory of a role are the
 * role's, as those of fs_write() are. A descriptor, or -1 with errno.
 */
int	fs_create(int dir, const char *name, int flags, mode_t mode);
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
/*
 * Removes the temporary files that writers (fs_write(), fs_write_fast()) left in this directory when they were killed, if they
 * are at least so many seconds old: 0 for who holds the lock under which the directory is written. Returns how many went.
 */
size_t	fs_sweep(int dirfd, int older_s);
/* Whether there is one, whatever its age. */
bool	fs_has_temporaries(int dirfd);
/*
 * Whether nobody but `user` and root can put another directory, or another file in it, in this one's place: the
 * directory and each one above it belong to one of the two, and neither group nor others may write there (above it also a sticky
 * directory is fine, as /tmp is). 0, or -1 with ERR_CONFIG and the command to type. A directory that does not exist is ERR_NOTFOUND
 * when what there is of the way to it is fine. Every path is looked at as it is written and as it is when links are followed.
 */
int	fs_strict_modes(const char *path, uid_t user, struct err *e);
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
