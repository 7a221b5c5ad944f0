/*
 * core/sandbox: what a confined process still can and cannot do. Each case
 * is a child that confines itself and tries. A kernel that cannot confine
 * is skipped, by name.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/sandbox.h"
#include "tap.h"

#define NO_KERNEL	77

static char base[64], inside[96], outside[96], file[128];
static int listener = -1, port, other_port;

static int
tcp(int to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)to) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = connect(fd, (struct sockaddr *)&a, sizeof(a)), why = errno;

	close(fd);
	return rc == 0 ? 0 : why;
}

static int
opens(const char *dir, const char *name, int how)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, how | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static bool
files(enum sandbox_use use, unsigned allow)
{
	struct sandbox_place places[] = { { use, inside, -1 }, { SANDBOX_READ, file, -1 }, { SANDBOX_READ, "/no/such/place", -1 } };
	const int ports[] = { port, 0 };

	return sandbox_files(places, NELEM(places), allow, ports);
}

/* Each answers 0, or an errno. */
static int in_write(void) { return opens(inside, "new", O_WRONLY | O_CREAT); }
static int in_read(void) { return opens(inside, "old", O_RDONLY); }
static int in_rename(void)
{
	char a[160], b[160];

	snprintf(a, sizeof(a), "%s/old", inside);
	snprintf(b, sizeof(b), "%s/newer", inside);
	return rename(a, b) == 0 ? 0 : errno;
}
static int in_list(void) { return opens(inside, ".", O_RDONLY | O_DIRECTORY); }
static int out_read(void) { return opens(outside, "secret", O_RDONLY); }
static int out_write(void) { return opens(outside, "secret", O_WRONLY); }
static int out_make(void) { return opens(outside, "new", O_WRONLY | O_CREAT); }
static int named_read(void) { int fd = open(file, O_RDONLY | O_CLOEXEC); return fd < 0 ? errno : 0; }
static int runs(void) { execl("/bin/true", "true", (char *)NULL); return errno; }
static int listens(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
}
static int named_port(void) { return tcp(port); }
static int any_port(void) { return tcp(other_port); }
static int signals(void) { return kill(getppid(), 0) == 0 ? 0 : errno; }

static const struct {
	const char	*what;
	int		 (*act)(void);
	enum sandbox_use use;
	unsigned	 allow;
	int		 want;
	int		 abi;		/* the first Landlock that can */
} cases[] = {
	{ "writes inside", in_write, SANDBOX_WRITE, 0, 0, 1 },
	{ "reads inside", in_read, SANDBOX_WRITE, 0, 0, 1 },
	{ "renames inside", in_rename, SANDBOX_WRITE, 0, 0, 1 },
	{ "reads a file it was named", named_read, SANDBOX_WRITE, 0, 0, 1 },
	{ "cannot read outside", out_read, SANDBOX_WRITE, 0, EACCES, 1 },
	{ "cannot write outside", out_write, SANDBOX_WRITE, 0, EACCES, 1 },
	{ "cannot make files outside", out_make, SANDBOX_WRITE, 0, EACCES, 1 },
	{ "cannot write where it may read", in_write, SANDBOX_READ, 0, EACCES, 1 },
	{ "reads where it may read", in_read, SANDBOX_READ, 0, 0, 1 },
	{ "does not read where it may list", in_read, SANDBOX_LIST, 0, EACCES, 1 },
	{ "lists where it may list", in_list, SANDBOX_LIST, 0, 0, 1 },
	{ "reads outside when all may be read", out_read, SANDBOX_WRITE, SANDBOX_READ_ALL, 0, 1 },
	{ "does not write outside when all may be read", out_write, SANDBOX_WRITE, SANDBOX_READ_ALL, EACCES, 1 },
	{ "runs no program", runs, SANDBOX_WRITE, SANDBOX_READ_ALL, EACCES, 1 },
	{ "listens on no port", listens, SANDBOX_WRITE, SANDBOX_TCP, EACCES, 4 },
	{ "connects to the port it was named", named_port, SANDBOX_WRITE, 0, 0, 4 },
	{ "connects to no other port", any_port, SANDBOX_WRITE, 0, EACCES, 4 },
	{ "connects to any port if told so", any_port, SANDBOX_WRITE, SANDBOX_TCP, 0, 4 },
	{ "signals nobody outside", signals, SANDBOX_WRITE, 0, EPERM, 6 },
	{ "signals others if told so", signals, SANDBOX_WRITE, SANDBOX_SIGNALS, 0, 6 },
};

static int
child(int (*act)(void), bool (*confine)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(confine() ? act() : NO_KERNEL);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static size_t now;

static bool
confine_case(void)
{
	return files(cases[now].use, cases[now].allow);
}

static void
renew(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/newer", inside);
	unlink(path);
	snprintf(path, sizeof(path), "%s/new", inside);
	unlink(path);
	snprintf(path, sizeof(path), "%s/old", inside);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int
listen_anywhere(int *where)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 9) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	*where = ntohs(a.sin_port);
	return fd;
}

static void
test_files(void)
{
	long abi = syscall(444, NULL, 0, 1);

	for (now = 0; now < NELEM(cases); now++) {
		int got;

		renew();
		got = child(cases[now].act, confine_case);
		if (abi < cases[now].abi)
			ok(true, "%s # skip: Landlock %ld here", cases[now].what, abi);
		else
			is_int(got, cases[now].want, "%s", cases[now].what);
	}
}

static int c_exec(void) { execl("/bin/true", "true", (char *)NULL); return errno; }
static int c_ptrace(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno; }
static int c_unshare(void) { return unshare(CLONE_NEWUSER) == 0 ? 0 : errno; }
static int c_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 0 : errno; }
static int c_inet(void) { return socket(AF_INET6, SOCK_DGRAM, 0) >= 0 ? 0 : errno; }
static int c_fork(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(3);
	if (pid < 0)
		return errno;
	return waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3 ? 0 : 1;
}
static int c_namespace(void)
{
	/* flags, stack and the rest: enough for a fork in a user namespace of its own */
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : errno;
}
static int c_files(void) { return opens(inside, "new", O_WRONLY | O_CREAT); }

static int c_tcp(void) { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP) >= 0 ? 0 : errno; }
static int c_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : errno; }
static int c_mptcp(void) { return socket(AF_INET, SOCK_STREAM, 262) >= 0 ? 0 : errno; }
static int c_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
}
static int c_lookup(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;

	/* No name server need answer: what counts is that the resolver could ask. */
	return getaddrinfo("no-such-name.invalid", "1", &hints, &list) != EAI_SYSTEM ? 0 : 1;
}
static int c_maps(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? 0 : errno == ENOMEM || errno == EPERM ? EPERM : errno; }
static int c_abort(void) { raise(SIGKILL); return errno; }

static const struct { const char *what; int (*act)(void); enum sandbox_role role; int want; } calls[] = {
	{ "runs no program", c_exec, SANDBOX_POLLER, ENOSYS }, { "traces nobody", c_ptrace, SANDBOX_POLLER, ENOSYS },
	{ "no namespaces", c_unshare, SANDBOX_EXECUTOR, ENOSYS }, { "nor by clone", c_namespace, SANDBOX_EXECUTOR, ENOSYS },
	{ "no packets", c_packet, SANDBOX_POLLER, EAFNOSUPPORT }, { "no Unix sockets", c_unix, SANDBOX_REPORTER, EAFNOSUPPORT },
	{ "no multipath TCP", c_mptcp, SANDBOX_OPERATOR, EPROTONOSUPPORT },
	{ "TCP", c_tcp, SANDBOX_EXECUTOR, 0 }, { "UDP for name servers", c_inet, SANDBOX_POLLER, 0 }, { "names are looked up", c_lookup, SANDBOX_EXECUTOR_DNS, 0 },
	{ "no UDP for a machine with an address", c_inet, SANDBOX_EXECUTOR, EPROTONOSUPPORT }, { "no socket for who has one", c_tcp, SANDBOX_METRICS, ENOSYS },
	{ "no port is taken", c_bind, SANDBOX_EXECUTOR, EACCES }, { "no executable memory", c_maps, SANDBOX_METRICS, EPERM },
	{ "no children", c_fork, SANDBOX_EXECUTOR, ENOSYS }, { "nor a puller's", c_fork, SANDBOX_PULLER, ENOSYS },
	{ "a puller's TCP", c_tcp, SANDBOX_PULLER, 0 }, { "no UDP of it", c_inet, SANDBOX_PULLER, EPROTONOSUPPORT },
	{ "but for a machine with a name", c_lookup, SANDBOX_PULLER_DNS, 0 },
	{ "no program of it", c_exec, SANDBOX_PULLER, ENOSYS },
	{ "files", c_files, SANDBOX_REPORTER, 0 },
	{ "a signal to itself", c_abort, SANDBOX_METRICS, 1000 + SIGKILL },
};

static bool
confine_calls(void)
{
	return sandbox_calls(calls[now].role);
}

static void
test_calls(void)
{
	for (now = 0; now < NELEM(calls); now++) {
		int got = child(calls[now].act, confine_calls);

		if (got == NO_KERNEL)
			ok(true, "seccomp: %s # skip: no filter here (sanitizers, or the kernel)", calls[now].what);
		else
			is_int(got, calls[now].want, "seccomp: %s", calls[now].what);
	}
}

int
main(void)
{
	int second = listen_anywhere(&other_port), fd;

	listener = listen_anywhere(&port);
	snprintf(base, sizeof(base), "/tmp/sandbox_test.XXXXXX");
	if (mkdtemp(base) == NULL)
		return 1;
	snprintf(inside, sizeof(inside), "%s/in", base);
	snprintf(outside, sizeof(outside), "%s/out", base);
	snprintf(file, sizeof(file), "%s/out/named", base);
	mkdir(inside, 0700);
	mkdir(outside, 0700);
	fd = fs_opendir(AT_FDCWD, outside, NULL);
	fs_write(fd, "named", STR("x"), 0600, NULL);
	fs_write(fd, "secret", STR("x"), 0600, NULL);
	test_files();
	test_calls();
	close(fd);
	close(listener);
	close(second);
	fs_remove_tree(AT_FDCWD, base, NULL);
	return done_testing();
}
