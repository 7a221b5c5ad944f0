/* Child processes: see proc.h. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/proc.h"

#define CHILD_FD_FIRST	3
#define CHILD_FD_MAX	16
#define ROLE_NAME	"windlass-"	/* how the names of all roles begin */

/* Children that are to die with us. Those that were reaped are dropped when there is no room. */
static struct { pid_t *pids; size_t n, room; } dependents;

/* How we were called. */
static struct { char **argv; char *file; int dir; } start = { NULL, NULL, -1 };

enum child_signals { CHILD_TAKES_ALL, CHILD_IS_A_ROLE };

/*
 * Between fork and its own title a role still bears our name, and `killall -HUP windlass` or `systemctl kill -s QUIT` mean the
 * manager: roles take none of the manager's orders. They are ignored before they are unblocked, and through execve(2).
 */
static void
set_signals(enum child_signals how)
{
	static const int orders[] = { SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL);
	for (size_t i = 0; i < NELEM(orders) && how == CHILD_IS_A_ROLE; i++)
		signal(orders[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * In the child: the named descriptors are moved out of the way first, then
 * to their numbers, so that no move overwrites one still needed.
 */
static int
arrange_fds(const struct proc_fd *fds, size_t n)
{
	int high[CHILD_FD_MAX];

	for (size_t i = 0; i < n; i++) {
		high[i] = fcntl(fds[i].fd, F_DUPFD, CHILD_FD_FIRST + CHILD_FD_MAX);
		if (high[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], fds[i].as) < 0)
			return -1;
	syscall(SYS_close_range, CHILD_FD_FIRST + n, ~0u, 0);
	return 0;
}

static bool
still_ours(pid_t pid)
{
	siginfo_t si;

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Numbers come back: one that was a dependent's may be somebody else's now. */
static void
note_child(pid_t pid, enum proc_life life)
{
	size_t kept = 0;

	for (size_t i = 0; i < dependents.n; i++)
		if (dependents.pids[i] != pid && (dependents.n < dependents.room || still_ours(dependents.pids[i])))
			dependents.pids[kept++] = dependents.pids[i];
	dependents.n = kept;
	if (life != PROC_DIES_WITH_PARENT)
		return;
	if (dependents.n == dependents.room) {
		dependents.room = dependents.room * 2 + 16;
		dependents.pids = xrealloc(dependents.pids, dependents.room * sizeof(*dependents.pids));
	}
	dependents.pids[dependents.n++] = pid;
}

void
proc_end_dependents(void)
{
	siginfo_t si;

	for (size_t i = 0; i < dependents.n; i++)
		if (still_ours(dependents.pids[i]))
			kill(dependents.pids[i], SIGKILL);
	for (size_t i = 0; i < dependents.n; i++)
		while (waitid(P_PID, (id_t)dependents.pids[i], &si, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
	dependents.n = 0;
}

int
proc_self(const char *const argv[], const struct proc_fd *fds, size_t nfds,
    enum proc_life life, pid_t *pid, struct err *e)
{
	pid_t parent = getpid(), child;
	int pidfd, null;

	assert(nfds <= CHILD_FD_MAX);
	for (size_t i = 0; i < nfds; i++)
		assert(fds[i].as == CHILD_FD_FIRST + (int)i);
	child = fork();
	if (child < 0)
		return err_sys(e, "fork %s", argv[0]);
	if (child == 0) {
		set_signals(strncmp(argv[0], ROLE_NAME, strlen(ROLE_NAME)) == 0 ? CHILD_IS_A_ROLE : CHILD_TAKES_ALL);
		if (life == PROC_DIES_WITH_PARENT) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(127);
		} else
			setsid();
		null = open("/dev/null", O_RDWR);
		if (null >= 0)
			dup2(null, STDIN_FILENO);
		if (arrange_fds(fds, nfds) < 0)
			_exit(127);
		/* The link leads to our own image even when the file was replaced or removed. */
		execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	if (pidfd < 0) {
		err_sys(e, "pidfd_open");
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return -1;
	}
	note_child(child, life);
	*pid = child;
	return pidfd;
}

static int
exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Feeds stdin and collects stdout until the child closes it. 0 or -1. */
static int
converse(int in, int out, struct str input, struct buf *b, mono_t deadline, struct err *e)
{
	char piece[4096];

	while (out >= 0 || input.n > 0) {
		struct pollfd p[2] = { { out, POLLIN, 0 }, { input.n > 0 ? in : -1, POLLOUT, 0 } };
		int n = poll(p, 2, mono_ms_until(deadline));

		if (n < 0 && errno != EINTR)
			return err_sys(e, "poll");
		if (n == 0)
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "it did not end in time");
		if (n > 0 && p[1].revents != 0) {
			ssize_t w = write(in, input.p, input.n);

			if (w > 0)
				input = str_sub(input, (size_t)w, input.n);
			else if (w < 0 && errno != EAGAIN && errno != EINTR)
				input.n = 0;
			if (input.n == 0)
				close(in);
		}
		if (n > 0 && p[0].revents != 0) {
			ssize_t r = read(out, piece, sizeof(piece));

			if (r > 0 && b != NULL)
				buf_put(b, piece, (size_t)r);
			if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
				break;
		}
	}
	return 0;
}

int
proc_run(const char *const argv[], struct str input, struct buf *out,
    mono_t deadline, struct err *e)
{
	int in[2], from[2], status, rc;
	struct sigaction ign = { .sa_handler = SIG_IGN }, old;
	pid_t child;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	if (pipe2(from, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, "pipe");
	}
	child = fork();
	if (child == 0) {
		set_signals(CHILD_TAKES_ALL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		syscall(SYS_close_range, CHILD_FD_FIRST, ~0u, 0);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(from[1]);
	if (child < 0) {
		err_sys(e, "fork %s", argv[0]);
		close(in[1]);
		close(from[0]);
		return -1;
	}
	sigaction(SIGPIPE, &ign, &old);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	if (input.n == 0)
		close(in[1]);
	rc = converse(in[1], from[0], input, out, deadline, e);
	sigaction(SIGPIPE, &old, NULL);
	close(from[0]);
	if (rc < 0)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", argv[0]);
	return rc < 0 ? err_ctx(e, "%s", argv[0]) : exit_status(status);
}

int
proc_signals(const int *signals, size_t n, struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "signalfd");
}

void
proc_remember(int argc, char **argv)
{
	char path[4096];
	ssize_t n;

	start.argv = argv;
	start.dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A path is taken by its words: a link that leads elsewhere tomorrow is followed tomorrow. */
	if (argc > 0 && argv[0][0] == '/') {
		start.file = xstrdup(argv[0]);
	} else if (argc > 0 && strchr(argv[0], '/') != NULL && getcwd(path, sizeof(path)) != NULL) {
		start.file = fs_join(path, argv[0]);
	} else {
		n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n > 0) {
			path[n] = '\0';
			start.file = xstrdup(path);
		}
	}
}

char *
proc_file(void)
{
	return start.file != NULL ? xstrdup(start.file) : NULL;
}

int
proc_again(struct err *e)
{
	if (start.file == NULL || start.argv == NULL)
		return err_set(e, ERR_SYS, 0, "it is not known which file this process was started from");
	if (access(start.file, X_OK) < 0)
		return err_sys(e, "%s", start.file);
	if (start.dir >= 0 && fchdir(start.dir) < 0)
		return err_sys(e, "change to the directory of the start");
	syscall(SYS_close_range, CHILD_FD_FIRST, ~0u, CLOSE_RANGE_CLOEXEC);
	execv(start.file, start.argv);
	return err_sys(e, "execute %s", start.file);
}

void
proc_title(const char *title)
{
	prctl(PR_SET_NAME, title);
}

void
proc_harden(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int
proc_memfd(const char *name, struct str data, struct err *e)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(e, "memfd_create %s", name);
	if (fs_write_all(fd, data.p, data.n, e) < 0) {
		close(fd);
		return err_ctx(e, "memfd %s", name);
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	lseek(fd, 0, SEEK_SET);
	return fd;
}
