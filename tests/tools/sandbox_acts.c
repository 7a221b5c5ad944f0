/*
 * What a role can still do: the role's own main() with its own arguments, and once it has confined itself, acts that a broken
 * parser would try. A line an act: its name, "yes" or the errno's name. Used by tests/sandbox, which says what is expected.
 *
 *	sandbox_acts ROLE OUTPUT-FILE HELP-FILE ROLE'S ARGUMENTS...
 *
 * ROLE is none for the same acts without any confinement. The help file has lines "key value": places and processes to try on, and the poller's plan.
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/fs.h"
#include "core/sandbox.h"
#include "gitlab/poller.h"
#include "job/executor.h"
#include "job/puller.h"
#include "job/reporter.h"
#include "machine/operator.h"

#define MPTCP	262

static struct { char key[32], value[300]; } helps[40];
static size_t nhelps;
static int out;

static const char *
help(const char *key)
{
	for (size_t i = 0; i < nhelps; i++)
		if (strcmp(helps[i].key, key) == 0)
			return helps[i].value;
	fprintf(stderr, "sandbox_acts: no %s\n", key);
	_exit(3);
}

static pid_t
pid_of(const char *key)
{
	return (pid_t)strtol(help(key), NULL, 10);
}

/* 0, or an errno: what a system call's answer means. */
static int
said(long rc)
{
	return rc >= 0 ? 0 : errno;
}

/* ---- sockets ---- */

static struct sockaddr_in
at(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)strtol(help(port), NULL, 10)) };
}

static int
unix_path(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", help("unix"));
	return fd < 0 ? errno : said(connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int
unix_abstract(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *name = help("abstract");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path + 1, name, strlen(name));
	return fd < 0 ? errno : said(connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))));
}

/* A pair that is connected already, turned to somebody else. */
static int
unix_pair(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd[2];

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", help("unix-datagram"));
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) < 0)
		return errno;
	return said(sendto(fd[0], "x", 1, 0, (struct sockaddr *)&a, sizeof(a)));
}

static int
connects(const char *port, int protocol)
{
	struct sockaddr_in a = at(port);
	int fd = socket(AF_INET, SOCK_STREAM, protocol), rc = fd < 0 ? errno : said(connect(fd, (struct sockaddr *)&a, sizeof(a)));

	/* Nobody need listen there: what counts is whether it may be asked. */
	return rc == ECONNREFUSED ? 0 : rc;
}

static int tcp_engine(void) { return connects("port-engine", 0); }
static int tcp_other(void) { return connects("port", 0); }
static int tcp_dns(void) { return connects("port-dns", 0); }
static int mptcp(void) { return connects("port", MPTCP); }

static int
fast_open(void)
{
	struct sockaddr_in a = at("port");
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc = fd < 0 ? errno : said(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&a, sizeof(a)));

	return rc == EINPROGRESS || rc == ECONNREFUSED ? 0 : rc;
}

static int
fast_open_message(void)
{
	struct sockaddr_in a = at("port");
	struct iovec v = { (char[]){ "x" }, 1 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc = fd < 0 ? errno : said(sendmsg(fd, &m, MSG_FASTOPEN));

	return rc == EINPROGRESS || rc == ECONNREFUSED ? 0 : rc;
}

static int
fast_open_many(void)
{
	struct sockaddr_in a = at("port");
	struct iovec v = { (char[]){ "x" }, 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : said(sendmmsg(fd, &m, 1, MSG_FASTOPEN));
}

/* Said at the socket, and done by the connect. */
static int
fast_open_connect(void)
{
	struct sockaddr_in a = at("port");
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */, &on, sizeof(on)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || send(fd, "x", 1, MSG_NOSIGNAL) < 0)
		return errno == ECONNREFUSED ? 0 : errno;
	return 0;
}

static int
udp(void)
{
	struct sockaddr_in a = at("port");
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? errno : said(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)));
}

static int udp_lite(void) { return said(socket(AF_INET, SOCK_DGRAM, 136)); }
static int icmp(void) { return said(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)); }
static int raw(void) { return said(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int raw6(void) { return said(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)); }
static int sctp(void) { return said(socket(AF_INET, SOCK_STREAM, 132)); }
static int packet(void) { return said(socket(AF_PACKET, SOCK_RAW, 0)); }
static int netlink(void) { return said(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)); }
static int netfilter(void) { return said(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)); }
static int vsock(void) { return said(socket(AF_VSOCK, SOCK_STREAM, 0)); }
static int alg(void) { return said(socket(AF_ALG, SOCK_SEQPACKET, 0)); }

static int
listens(int protocol, bool binds)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, protocol);

	if (fd < 0 || (binds && bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0))
		return errno;
	return said(listen(fd, 1));
}

static int listen_bound(void) { return listens(0, true); }
static int listen_unbound(void) { return listens(0, false); }
static int listen_mptcp(void) { return listens(MPTCP, true); }

/* Whether a port was really taken, whatever bind said. */
static int
bind_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(40123) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return errno;
	return getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sin_port == htons(40123) ? 0 : EACCES;
}

/* ---- memory and calls ---- */

static int
mmap_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? 0 : errno;
}

static int
mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : said(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
mmap_file_exec(void)
{
	int fd = open("/bin/true", O_RDONLY);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return p != MAP_FAILED ? 0 : errno;
}

static int memfd(void) { return said(memfd_create("x", 0)); }
/* In a child where one may be made: what works does not come back. */
static int
in_child(void (*act)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid <= 0) {
		act();
		if (pid < 0)
			return errno;
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
static void do_exec(void) { execl("/bin/true", "true", (char *)NULL); }
static void do_exec_at(void) { syscall(SYS_execveat, AT_FDCWD, "/bin/true", (char *[]){ (char[]){ "true" }, NULL }, NULL, 0); }
static int exec(void) { return in_child(do_exec); }
static int execs_at(void) { return in_child(do_exec_at); }
static int forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return said(pid);
}
static int namespaces(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return said(pid);
}
static void do_unshare(void) { errno = unshare(CLONE_NEWUSER) == 0 ? 0 : errno; }
static int unshares(void) { return in_child(do_unshare); }
static int clones3(void) { return said(syscall(435, NULL, 0)) ; }
static int io_uring(void) { return said(syscall(425, 1, NULL)); }
static int bpf(void) { return said(syscall(SYS_bpf, 0, NULL, 0)); }
static int faults(void) { return said(syscall(SYS_userfaultfd, 1)); }
static int keyrings(void) { return said(syscall(SYS_keyctl, 0, -3, 1)); }
static int perf(void) { return said(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)); }
static int modules(void) { return said(syscall(SYS_init_module, NULL, 0, "")); }
/* Nowhere: who may mount hears of the place, and nothing on this host changes. */
static int mounts(void) { return said(syscall(SYS_mount, "none", "/no/such/place", "tmpfs", 0, NULL)) == ENOENT ? 0 : errno; }
static int personalities(void) { return said(syscall(SYS_personality, 0x0400000)); }
static int undump(void) { return said(prctl(PR_SET_DUMPABLE, 1)); }
static int prlimits(void) { return said(syscall(SYS_prlimit64, pid_of("sibling"), 7, NULL, (uint64_t[2]){ 0 })); }
static int types(void) { return said(ioctl(0, TIOCSTI, "x")) == ENOTTY ? ENOTTY : said(ioctl(0, TIOCSTI, "x")); }
static int nodes(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/pipe", help("own"));
	return said(mknod(path, S_IFIFO | 0600, 0));
}
static int links(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/link", help("own"));
	return said(symlink("/etc/shadow", path));
}
static int hard_links(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/hard", help("own"));
	return said(link("/etc/shadow", path));
}

static int
root_again(void)
{
	return said(syscall(SYS_setresuid, 0, 0, 0));
}

#ifdef __x86_64__
/* The other calls of the same processor: both kill, so in a child, and where no child may be made this one says nothing. */
static int
old_abi(bool x32)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0) {
		long rc;

		if (x32)
			__asm__ volatile("syscall" : "=a"(rc) : "a"(0x40000000L | 39) : "rcx", "r11", "memory");
		else
			__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory");
		_exit(rc > 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? EPERM : WEXITSTATUS(status) == 0 ? 0 : ENOSYS;
}
static int abi_32(void) { return old_abi(false); }
static int abi_x32(void) { return old_abi(true); }
#else
static int abi_32(void) { return EPERM; }
static int abi_x32(void) { return EPERM; }
#endif

/* ---- other processes ---- */

static int
opens(const char *path, int how)
{
	int fd = open(path, how | O_CLOEXEC, 0600);
	char c;

	if (fd < 0)
		return errno;
	if ((how & O_ACCMODE) == O_RDONLY && read(fd, &c, 1) < 0 && errno != EISDIR)
		return errno;
	close(fd);
	return 0;
}

static int
proc_file(const char *key, const char *file, int how)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid_of(key), file);
	return opens(path, how);
}

static int proc_environ(void) { return proc_file("process", "environ", O_RDONLY); }
static int proc_mem(void) { return proc_file("process", "mem", O_RDWR); }
static int proc_fd(void) { return proc_file("process", "fd", O_RDONLY | O_DIRECTORY); }
static int proc_cwd(void) { return proc_file("process", "cwd", O_RDONLY | O_DIRECTORY); }
static int signals(void) { return said(kill(pid_of("process"), 0)); }
static int signal_all(void) { return said(kill(-1, 0)); }
static int signal_tgkill(void) { return said(syscall(SYS_tgkill, pid_of("process"), pid_of("process"), 0)); }

static int
signal_pidfd(const char *key, int sig)
{
	int fd = (int)syscall(SYS_pidfd_open, pid_of(key), 0);

	return fd < 0 ? errno : said(syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0));
}

static int signal_by_pidfd(void) { return signal_pidfd("process", SIGTERM); }
static int signal_own(void) { return signal_pidfd("sibling", SIGTERM); }
static int signal_own_kill(void) { return signal_pidfd("sibling", SIGKILL); }
static int traces(void) { return said(ptrace(PTRACE_ATTACH, pid_of("process"), NULL, NULL)); }
static int traces_sibling(void) { return said(ptrace(PTRACE_ATTACH, pid_of("sibling"), NULL, NULL)); }
static int reads_memory(void)
{
	char b[8];
	struct iovec mine = { b, 8 }, theirs = { b, 8 };

	return said(process_vm_readv(pid_of("process"), &mine, 1, &theirs, 1, 0));
}
static int takes_fd(void) { return said(syscall(438, 0, 0, 0)); }
static int compares(void) { return said(syscall(SYS_kcmp, getpid(), pid_of("process"), 0, 0, 0)); }
static int kills_process(void) { return said(kill(pid_of("process"), SIGKILL)); }
static int kills_sibling(void) { return said(kill(pid_of("sibling"), SIGKILL)); }
static int fcntl_owner(void) { return said(fcntl(out, F_SETOWN, pid_of("process"))); }

/* ---- files ---- */

/* By the function that roles read by, which also knows what was kept for them. */
static int
reads(const char *path)
{
	struct buf b = { .max = 1u << 20 };
	struct err e = { 0 };
	int rc = fs_read(AT_FDCWD, path, b.max, &b, &e) == 0 ? 0 : e.sys != 0 ? e.sys : EIO;

	buf_free(&b);
	return rc;
}

static int read_shadow(void) { return reads("/etc/shadow"); }
static int read_passwd(void) { return reads("/etc/passwd"); }
static int read_config(void) { return reads(help("config")); }
static int read_other_job(void) { return reads(help("other-payload")); }
static int write_other_job(void) { return opens(help("other-result"), O_WRONLY | O_CREAT); }
static int read_machine_key(void) { return reads(help("machine-key")); }
static int read_ca_key(void) { return reads(help("ca-key")); }
static int write_tmp(void) { return opens(help("outside"), O_WRONLY | O_CREAT); }
static int write_passwd(void) { return opens("/etc/passwd", O_WRONLY); }
static int write_state(void) { return opens(help("state-file"), O_WRONLY | O_CREAT); }
static int proc_one(void) { return opens("/proc/1/environ", O_RDONLY); }
static int proc_one_mem(void) { return opens("/proc/1/mem", O_RDWR); }
static int disk(void) { return opens(help("disk"), O_RDONLY); }

/* In its own directory, by the descriptor that it holds. */
static int own_fd = -1;
static int
write_own(void)
{
	struct err e = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "written-%d", (int)getpid());
	if (own_fd < 0)
		return EBADF;
	return fs_write(own_fd, name, STR("x"), 0600, &e) == 0 ? 0 : e.sys != 0 ? e.sys : EIO;
}

static const struct { const char *name; int (*act)(void); } acts[] = {
#define ACT(f)	{ #f, f }
	ACT(unix_path), ACT(unix_abstract), ACT(unix_pair), ACT(tcp_engine), ACT(tcp_other), ACT(tcp_dns), ACT(mptcp), ACT(fast_open),
	ACT(fast_open_message), ACT(fast_open_many), ACT(fast_open_connect), ACT(udp), ACT(udp_lite), ACT(icmp), ACT(raw), ACT(raw6), ACT(sctp), ACT(packet),
	ACT(netlink), ACT(netfilter), ACT(vsock), ACT(alg), ACT(listen_bound), ACT(listen_unbound), ACT(listen_mptcp), ACT(bind_port),
	ACT(mmap_exec), ACT(mprotect_exec), ACT(mmap_file_exec), ACT(memfd), ACT(exec), ACT(execs_at), ACT(forks), ACT(namespaces), ACT(unshares),
	ACT(clones3), ACT(io_uring), ACT(bpf), ACT(faults), ACT(keyrings), ACT(perf), ACT(modules), ACT(mounts), ACT(personalities), ACT(undump), ACT(prlimits),
	ACT(types), ACT(nodes), ACT(links), ACT(hard_links), ACT(root_again), ACT(abi_32), ACT(abi_x32),
	ACT(proc_environ), ACT(proc_mem), ACT(proc_fd), ACT(proc_cwd), ACT(signals), ACT(signal_all), ACT(signal_tgkill), ACT(signal_by_pidfd), ACT(signal_own),
	ACT(signal_own_kill), ACT(traces), ACT(traces_sibling), ACT(reads_memory), ACT(takes_fd), ACT(compares), ACT(fcntl_owner),
	ACT(read_shadow), ACT(read_passwd), ACT(read_config), ACT(read_other_job), ACT(write_other_job), ACT(read_machine_key), ACT(read_ca_key), ACT(write_tmp),
	ACT(write_passwd), ACT(write_state), ACT(proc_one), ACT(proc_one_mem), ACT(disk), ACT(write_own),
	/* last: nothing can be tried on the dead */
	ACT(kills_sibling), ACT(kills_process),
};

static const char *
name_of(int e)
{
	static const struct { int e; const char *name; } names[] = {
		{ EACCES, "EACCES" }, { EPERM, "EPERM" }, { ENOSYS, "ENOSYS" }, { EAFNOSUPPORT, "EAFNOSUPPORT" }, { EPROTONOSUPPORT, "EPROTONOSUPPORT" },
		{ EINVAL, "EINVAL" }, { ENOTTY, "ENOTTY" }, { ENOENT, "ENOENT" }, { ESRCH, "ESRCH" }, { EBADF, "EBADF" }, { ECONNREFUSED, "ECONNREFUSED" },
		{ EFAULT, "EFAULT" }, { ENOPROTOOPT, "ENOPROTOOPT" }, { ENXIO, "ENXIO" }, { EEXIST, "EEXIST" }, { ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT" },
	};
	static char number[16];

	for (size_t i = 0; i < NELEM(names); i++)
		if (names[i].e == e)
			return names[i].name;
	snprintf(number, sizeof(number), "%d", e);
	return number;
}

/* Who and what this process is by now. */
static void
put_self(void)
{
	struct stat st;

	dprintf(out, "uid %u\n", (unsigned)getuid());
	for (int fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
			char path[40], dir[300];
			ssize_t n;

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			n = readlink(path, dir, sizeof(dir) - 1);
			if (n > 0 && (dir[n] = '\0', strcmp(dir, help("own")) == 0) && (fcntl(fd, F_GETFL) & O_PATH) == 0)
				own_fd = fd;
		}
}

void
sandbox_confined(enum sandbox_role role)
{
	(void)role;
	put_self();
	for (size_t i = 0; i < NELEM(acts); i++) {
		int rc = acts[i].act();

		dprintf(out, "%s %s\n", acts[i].name, rc == 0 ? "yes" : name_of(rc));
	}
	_exit(0);
}

static void
read_help(const char *file)
{
	FILE *f = fopen(file, "re");
	char key[32], value[300];

	if (f == NULL)
		_exit(3);
	while (nhelps < NELEM(helps) && fscanf(f, "%31s %299s", key, value) == 2) {
		memcpy(helps[nhelps].key, key, sizeof(key));
		memcpy(helps[nhelps++].value, value, sizeof(value));
	}
	fclose(f);
}

/* With a channel, and the plan that its manager would hand it. */
static int
poller(int argc, char **argv)
{
	char control[12], plan[12], *with[] = { argv[4], argv[5], argv[6], (char[]){ "--control-fd" }, control, (char[]){ "--plan-fd" }, plan, NULL };
	int pair[2];

	if (argc != 7 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 2;
	snprintf(control, sizeof(control), "%d", pair[1]);
	snprintf(plan, sizeof(plan), "%d", open(help("plan"), O_RDONLY));
	dprintf(out, "ended %d\n", poller_main(7, with));
	return 1;
}

/* With the plan that its executor would hand it, a socket for its orders, and no broker. */
static int
puller(void)
{
	const struct puller_plan plan = { .engine = { STR("127.0.0.1"), (uint16_t)strtol(help("port-engine"), NULL, 10), "box",
	    STR("-"), STR("-"), STR("-"), STR("-") }, .job = "101", .user = (uid_t)strtol(help("user"), NULL, 10) };
	char *argv[] = { (char[]){ "windlass-puller" }, NULL };
	struct err e = { 0 };
	int pair[2], fd;

	/* What this program has open is moved away from the puller's numbers. */
	out = fcntl(out, F_DUPFD_CLOEXEC, 20);
	fd = puller_plan(&plan, &e);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || (fd = fcntl(fd, F_DUPFD, 20)) < 0 ||
	    (pair[0] = fcntl(pair[0], F_DUPFD, 20)) < 0 || (pair[1] = fcntl(pair[1], F_DUPFD, 20)) < 0)
		return 2;
	dup2(fd, 3);
	dup2(pair[1], 4);
	close(5);
	dprintf(out, "ended %d\n", puller_main(1, argv));
	return 1;
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; int (*fn)(int argc, char **argv); } roles[] = {
		{ "operator", operator_main }, { "executor", executor_main }, { "reporter", reporter_main }, { "metrics", metrics_main },
	};

	if (argc < 5)
		return 2;
	out = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
	read_help(argv[3]);
	if (strcmp(argv[1], "none") == 0)
		sandbox_confined(SANDBOX_POLLER);
	if (strcmp(argv[1], "poller") == 0)
		return poller(argc, argv);
	if (strcmp(argv[1], "puller") == 0)
		return puller();
	for (size_t i = 0; i < NELEM(roles); i++)
		if (strcmp(argv[1], roles[i].name) == 0) {
			int status;

			status = roles[i].fn(argc - 4, argv + 4);
			dprintf(out, "ended %d\n", status);
		}
	return 1;
}
