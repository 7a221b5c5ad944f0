/* Files that must survive: see fs.h. */
#include <sys/stat.h>
#include <dirent.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/identity.h"
#include "core/rand.h"

#define NAME_MAX_TMP	255
#define KEPT_MAX	32

/* What stays in reach of a process that is nobody any more: directories (below which any path goes on working) and files. */
static struct { struct { char *path; int fd; bool dir; } v[KEPT_MAX]; size_t n; } kept;

void
fs_keep(const char *path)
{
	int fd = path[0] == '/' && kept.n < KEPT_MAX ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		close(fd);
		return;
	}
	kept.v[kept.n].path = xstrdup(path);
	kept.v[kept.n].fd = fd;
	kept.v[kept.n++].dir = S_ISDIR(st.st_mode);
}

bool
fs_kept_fresh(void)
{
	struct stat st;

	for (size_t i = 0; i < kept.n; i++)
		if (fstat(kept.v[i].fd, &st) == 0 && st.st_nlink == 0)
			return false;
	return true;
}

/* The directory that a path starts from: for one in a kept directory that one, and *path the rest. */
static int
start_of(int dirfd, const char **path)
{
	for (size_t i = 0; dirfd == AT_FDCWD && i < kept.n; i++) {
		size_t n = strlen(kept.v[i].path);

		if (!kept.v[i].dir || strncmp(*path, kept.v[i].path, n) != 0 || ((*path)[n] != '/' && (*path)[n] != '\0'))
			continue;
		*path += n + strspn(*path + n, "/");
		if (**path == '\0')
			*path = ".";
		return kept.v[i].fd;
	}
	return dirfd;
}

static int
kept_file(int dirfd, const char *path)
{
	for (size_t i = 0; dirfd == AT_FDCWD && i < kept.n; i++)
		if (!kept.v[i].dir && strcmp(kept.v[i].path, path) == 0)
			return fcntl(kept.v[i].fd, F_DUPFD_CLOEXEC, 0);
	errno = EACCES;
	return -1;
}

/*
 * Where a directory is a role's, who holds root may find anything in it: a link to a file that is not that role's to see, a pipe that
 * nobody writes to.
 */
static bool
foreign(int dirfd)
{
	struct stat st;

	return dirfd >= 0 && geteuid() == 0 && fstat(dirfd, &st) == 0 && identity_is_ours(st.st_uid);
}

/* Whether what a file in a role's directory says was written by root, and not by that role. */
static bool
vouched_for(int dirfd, int fd)
{
	struct stat dir, file;

	return dirfd < 0 || fstat(dirfd, &dir) < 0 || !identity_is_ours(dir.st_uid) || (fstat(fd, &file) == 0 && file.st_uid == 0);
}

static int
open_to_read(int dirfd, const char *path)
{
	bool careful;
	struct stat st;
	int fd;

	dirfd = start_of(dirfd, &path);
	careful = foreign(dirfd);
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (careful ? O_NOFOLLOW | O_NONBLOCK : 0));
	if (fd >= 0 && careful && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		fd = -1;
	}
	return fd;
}

/*
 * A file in a role's directory is the role's, whoever writes it; one that its group may read stays root's, who vouches for it. Root that
 * may give nothing away keeps it: the role's next start is as root, or takes it.
 */
static void
give_to_owner(int dir, int fd, mode_t mode)
{
	struct stat st;

	if (geteuid() == 0 && fstat(dir, &st) == 0 && (identity_is_ours(st.st_uid) || identity_is_ours(st.st_gid)))
		(void)!fchown(fd, (mode & S_IRGRP) != 0 ? 0 : st.st_uid, st.st_gid);
}

static int
read_whole(int dirfd, const char *path, size_t max, bool vouched, struct buf *b, struct err *e)
{
	size_t start = b->n;
	int fd, rc = -1;
	bool again = false;

	fd = open_to_read(dirfd, path);
	if (fd < 0 && errno == EACCES) {
		fd = kept_file(dirfd, path);
		again = true;
	}
	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (vouched && !vouched_for(dirfd, fd)) {
		close(fd);
		return err_set(e, ERR_AUTH, EPERM, "%s was not written by root", path);
	}
	for (;;) {
		size_t want = 16384;
		char *to;
		ssize_t n;

		if (b->n - start > max) {
			err_set(e, ERR_FULL, 0, "%s is larger than %zu bytes", path, max);
			goto out;
		}
		to = buf_room(b, want);
		if (to == NULL) {
			/* Near the buffer's own limit the last piece may still fit. */
			b->failed = false;
			want = 1;
			to = buf_room(b, want);
		}
		if (to == NULL) {
			char probe;

			b->failed = false;
			n = again ? pread(fd, &probe, 1, (off_t)(b->n - start)) : read(fd, &probe, 1);
			if (n == 0)
				break;
			err_set(e, ERR_FULL, 0, "%s is larger than %zu bytes", path, b->n - start);
			goto out;
		}
		/* A kept file is read by the children of its keeper too: they share a place in it. */
		n = again ? pread(fd, to, want, (off_t)(b->n - start)) : read(fd, to, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(e, "read %s", path);
			goto out;
		}
		if (n == 0)
			break;
		buf_grown(b, (size_t)n);
	}
	rc = 0;
out:
	close(fd);
	return rc;
}

int
fs_read(int dirfd, const char *path, size_t max, struct buf *b, struct err *e)
{
	return read_whole(dirfd, path, max, false, b, e);
}

int
fs_read_vouched(int dirfd, const char *path, size_t max, struct buf *b, struct err *e)
{
	return read_whole(dirfd, path, max, true, b, e);
}

int
fs_create(int dir, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir, name, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd >= 0)
		give_to_owner(dir, fd, mode);
	return fd;
}

int
fs_write_all(int fd, const void *p, size_t n, struct err *e)
{
	const char *from = p;

	while (n > 0) {
		ssize_t w = write(fd, from, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(e, "write");
		from += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Splits "a/b/c" into its directory (opened) and the last name. */
static int
open_parent(int dirfd, const char *path, const char **name, struct err *e)
{
	const char *slash;
	char *dir;
	int fd;

	dirfd = start_of(dirfd, &path);
	slash = strrchr(path, '/');
	*name = slash != NULL ? slash + 1 : path;
	if (slash == NULL)
		return fs_opendir(dirfd, ".", e);
	dir = str_dup(str_of(path, slash == path ? 1 : (size_t)(slash - path)));
	fd = fs_opendir(dirfd, dir, e);
	free(dir);
	return fd;
}

static int
write_whole(int dirfd, const char *path, struct str data, mode_t mode, bool durable, struct err *e)
{
	char tmp[NAME_MAX_TMP + 1], tag[9];
	const char *name;
	int dir, fd, rc = -1;

	dir = open_parent(dirfd, path, &name, e);
	if (dir < 0)
		return -1;
	rand_hex(tag, 8);
	/* Begins with a dot: listings of the queue skip it, and a sweep finds it. */
	if (snprintf(tmp, sizeof(tmp), ".%s.%s.tmp", name, tag) >= (int)sizeof(tmp)) {
		close(dir);
		return err_set(e, ERR_SYS, ENAMETOOLONG, "%s: name too long", path);
	}
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0) {
		err_sys(e, "create %s", tmp);
		close(dir);
		return err_ctx(e, "%s", path);
	}
	if (fchmod(fd, mode) < 0) {
		err_sys(e, "chmod %s", tmp);
		goto out;
	}
	give_to_owner(dir, fd, mode);
	if (fs_write_all(fd, data.p, data.n, e) < 0)
		goto out;
	if (durable && fsync(fd) < 0) {
		err_sys(e, "fsync %s", tmp);
		goto out;
	}
	if (renameat(dir, tmp, dir, name) < 0) {
		err_sys(e, "rename %s", tmp);
		goto out;
	}
	/* The directory may have been handed over since (core/identity.h). */
	give_to_owner(dir, fd, mode);
	if (durable && fs_sync_dir(dir, e) < 0)
		goto out_keep;
	rc = 0;
out_keep:
	close(fd);
	close(dir);
	return rc == 0 ? 0 : err_ctx(e, "%s", path);
out:
	close(fd);
	unlinkat(dir, tmp, 0);
	close(dir);
	return err_ctx(e, "%s", path);
}

int
fs_write(int dirfd, const char *path, struct str data, mode_t mode, struct err *e)
{
	return write_whole(dirfd, path, data, mode, true, e);
}

int
fs_write_fast(int dirfd, const char *path, struct str data, mode_t mode, struct err *e)
{
	return write_whole(dirfd, path, data, mode, false, e);
}

int
fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
	int from = start_of(AT_FDCWD, &path), rc = -1;
	char *copy = xstrdup(path);

	for (char *p = copy + 1; ; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdirat(from, copy, mode) < 0 && errno != EEXIST) {
			err_sys(e, "mkdir %s", copy);
			goto out;
		}
		*p = c;
		if (c == '\0')
			break;
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

/* ".NAME.xxxxxxxx.tmp" is what write_whole() makes. */
static bool
is_temporary(struct str name)
{
	static const char tail[] = ".tmp";
	size_t n = sizeof(tail) - 1, at;

	if (!str_ends(name, tail) || name.n < n + 11)
		return false;
	at = name.n - n - 8;
	for (size_t i = at; i < at + 8; i++)
		if (strchr("0123456789abcdef", name.p[i]) == NULL)
			return false;
	return name.p[at - 1] == '.';
}

size_t
fs_sweep(int dirfd, int older_s)
{
	char **names;
	ssize_t n = fs_list_dotted(dirfd, &names, NULL);
	size_t gone = 0;

	for (ssize_t i = 0; i < n; i++) {
		struct stat st;

		if (!is_temporary(str_from(names[i])) || fstatat(dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (older_s == 0 || time(NULL) - st.st_mtime >= older_s)
			gone += unlinkat(dirfd, names[i], 0) == 0;
	}
	if (n > 0)
		fs_free_names(names, n);
	return gone;
}

bool
fs_has_temporaries(int dirfd)
{
	char **names;
	ssize_t n = fs_list_dotted(dirfd, &names, NULL);
	bool yes = false;

	for (ssize_t i = 0; i < n; i++)
		yes |= is_temporary(str_from(names[i]));
	if (n > 0)
		fs_free_names(names, n);
	return yes;
}

/* One directory of the way. top: it is the one that is asked for, where even a sticky bit is no help. */
static int
strict_one(const char *path, uid_t user, bool top, struct err *e)
{
	struct stat st;
	const char *of;

	if (stat(path, &st) < 0)
		return err_sys(e, "look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, ENOTDIR, "%s is no directory", path);
	if (st.st_uid != 0 && st.st_uid != user)
		return err_set(e, ERR_CONFIG, 0, "%s belongs to user %u, who could put other files there: chown %u %s", path,
		    (unsigned)st.st_uid, (unsigned)user, path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (!top && (st.st_mode & S_ISVTX) != 0))
		return 0;
	of = (st.st_mode & S_IWOTH) != 0 ? "everybody" : "its group";
	return err_set(e, ERR_CONFIG, 0, "%s has mode %04o, so %s could put other files there: chmod go-w %s", path,
	    (unsigned)st.st_mode & 07777, of, path);
}

/* The directories of an absolute path from the root on; what is missing ends the walk and is told last. */
static int
strict_way(const char *path, uid_t user, struct err *e)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n >= sizeof(part))
		return err_set(e, ERR_SYS, ENAMETOOLONG, "%s", path);
	for (size_t i = 1; i <= n; i++) {
		if (i != 1 && i != n && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (strict_one(part, user, i == n, e) < 0)
			return -1;
	}
	return 0;
}

int
fs_strict_modes(const char *path, uid_t user, struct err *e)
{
	char *whole = NULL, *real, cwd[PATH_MAX];
	struct err why = { 0 };
	int rc;

	if (path[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_sys(e, "current directory");
		path = whole = fs_join(cwd, path);
	}
	rc = strict_way(path, user, &why);
	if (rc == 0 && (real = realpath(path, NULL)) != NULL) {
		rc = strict_way(real, user, &why);
		free(real);
	}
	free(whole);
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

int
fs_opendir(int dirfd, const char *path, struct err *e)
{
	const char *rest = path;
	int from = start_of(dirfd, &rest), fd = openat(from, rest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "open directory %s", path);
}

int
fs_sync_dir(int dirfd, struct err *e)
{
	if (fsync(dirfd) < 0 && errno != EINVAL && errno != EROFS)
		return err_sys(e, "fsync of the directory");
	return 0;
}

int
fs_rename(int fromdir, const char *from, int todir, const char *to, struct err *e)
{
	const char *name;
	int parent, rc;

	fromdir = start_of(fromdir, &from);
	todir = start_of(todir, &to);
	if (renameat(fromdir, from, todir, to) < 0)
		return err_sys(e, "rename %s to %s", from, to);
	parent = open_parent(todir, to, &name, e);
	if (parent < 0)
		return -1;
	rc = fs_sync_dir(parent, e);
	close(parent);
	return rc;
}

static int
remove_in(int parent, const char *name, int depth, struct err *e)
{
	struct dirent *d;
	DIR *dir;
	int fd, rc = 0;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "remove %s", name);
	if (depth > 16)
		return err_set(e, ERR_SYS, ELOOP, "remove %s: nested too deeply", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "open directory %s", name);
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "list %s", name);
	}
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = remove_in(dirfd(dir), d->d_name, depth + 1, e);
	closedir(dir);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = err_sys(e, "remove directory %s", name);
	return rc;
}

int
fs_remove_tree(int dirfd, const char *path, struct err *e)
{
	return remove_in(dirfd, path, 0, e);
}

bool
fs_exists(int dirfd, const char *path)
{
	struct stat st;

	const char *rest = path;
	int from = start_of(dirfd, &rest), fd;

	if (fstatat(from, rest, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	fd = errno == EACCES ? kept_file(dirfd, path) : -1;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static ssize_t
list_names(int dirfd, const char *path, bool dotted, char ***names, struct err *e)
{
	size_t n = 0, cap = 0;
	struct dirent *d;
	DIR *dir;
	int fd;

	*names = NULL;
	dirfd = start_of(dirfd, &path);
	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open directory %s", path);
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "list %s", path);
	}
	while ((d = readdir(dir)) != NULL) {
		if ((d->d_name[0] == '.') != dotted ||
		    strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (n == cap) {
			cap = cap != 0 ? cap * 2 : 16;
			*names = xrealloc(*names, cap * sizeof(**names));
		}
		(*names)[n++] = xstrdup(d->d_name);
	}
	closedir(dir);
	if (n > 1)
		qsort(*names, n, sizeof(**names), name_cmp);
	return (ssize_t)n;
}

ssize_t
fs_list(int dirfd, const char *path, char ***names, struct err *e)
{
	return list_names(dirfd, path, false, names, e);
}

ssize_t
fs_list_dotted(int dirfd, char ***names, struct err *e)
{
	return list_names(dirfd, ".", true, names, e);
}

void
fs_free_names(char **names, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

char *
fs_join(const char *a, const char *b)
{
	struct buf p = { 0 };

	buf_puts(&p, a);
	if (p.n > 0 && p.p[p.n - 1] != '/')
		buf_putc(&p, '/');
	buf_puts(&p, b);
	return buf_take(&p);
}
