/* Locks that say who is alive: see lock.h. */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/identity.h"
#include "core/lock.h"
#include "core/str.h"

int
lock_take(int dirfd, const char *path, enum lock_wait wait, struct err *e)
{
	char pid[24];
	int fd, n;

	fd = fs_create(dirfd, path, O_RDWR, 0600);
	if (fd < 0)
		return err_sys(e, "open lock %s", path);
	while (flock(fd, wait == LOCK_TRY ? LOCK_EX | LOCK_NB : LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			err_set(e, ERR_CONFLICT, errno, "%s is held by another process", path);
		else
			err_sys(e, "lock %s", path);
		close(fd);
		return -1;
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The pid is a courtesy: the lock holds without it, even on a full disk. */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
		(void)!ftruncate(fd, 0);
	return fd;
}

int
lock_held(int dirfd, const char *path, pid_t *pid, struct err *e)
{
	char text[24];
	int64_t v = 0;
	ssize_t n;
	int fd, held;

	if (pid != NULL)
		*pid = 0;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open lock %s", path);
	/* A shared try: two askers do not see each other as holders. */
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		held = 0;
	else if (errno == EWOULDBLOCK)
		held = 1;
	else
		held = err_sys(e, "lock %s", path);
	if (held == 1 && pid != NULL) {
		n = pread(fd, text, sizeof(text), 0);
		if (n > 0 && str_to_i64(str_trim(str_of(text, (size_t)n)), &v) == 0 && v > 1)
			*pid = (pid_t)v;
	}
	close(fd);
	return held;
}

/*
 * The pid was written by a role, and could be anybody's: it is signalled with that role's rights and not with root's. In a
 * child, since whoever takes a role's number on can be signalled by it.
 */
static int
signal_as(uid_t id, int pidfd, int sig)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
			_exit(errno);
		_exit(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0 ? 0 : errno);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (child > 0)
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return child > 0 && errno == 0 ? 0 : -1;
}

static int
send_signal(int dirfd, const char *path, int pidfd, int sig)
{
	struct stat st;

	if (geteuid() == 0 && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && identity_is_ours(st.st_uid))
		return signal_as(st.st_uid, pidfd, sig);
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

int
lock_signal(int dirfd, const char *path, int sig, struct err *e)
{
	pid_t pid, again;
	int pidfd, held, rc;

	held = lock_held(dirfd, path, &pid, e);
	if (held <= 0 || pid == 0)
		return held < 0 ? -1 : 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_sys(e, "pidfd_open %ld", (long)pid);
	held = lock_held(dirfd, path, &again, e);
	if (held != 1 || again != pid)
		rc = held < 0 ? -1 : 0;
	else if (send_signal(dirfd, path, pidfd, sig) == 0)
		rc = 1;
	else
		rc = errno == ESRCH ? 0 : err_sys(e, "signal %d to %ld", sig, (long)pid);
	close(pidfd);
	return rc;
}
