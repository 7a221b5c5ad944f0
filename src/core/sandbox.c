/*
 * Landlock and seccomp: see sandbox.h. The constants stand here because the
 * kernel headers of the oldest system that we build on know only the first
 * Landlock; they are the kernel's ABI (Documentation/userspace-api/landlock.rst
 * and include/uapi/linux/{landlock,seccomp,filter,audit}.h).
 */
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/crash.h"
#include "core/log.h"
#include "core/sandbox.h"

/* ---- files: Landlock ---- */

#define NR_LANDLOCK_CREATE_RULESET	444
#define NR_LANDLOCK_ADD_RULE		445
#define NR_LANDLOCK_RESTRICT_SELF	446

#define LL_VERSION_QUESTION	1u
#define LL_RULE_PATH		1
#define LL_RULE_PORT		2

#define LL_EXECUTE	(1ull << 0)
#define LL_WRITE_FILE	(1ull << 1)
#define LL_READ_FILE	(1ull << 2)
#define LL_READ_DIR	(1ull << 3)
#define LL_REMOVE_DIR	(1ull << 4)
#define LL_REMOVE_FILE	(1ull << 5)
#define LL_MAKE_ALL	(0x7full << 6)	/* character device to symbolic link */
#define LL_REFER	(1ull << 13)	/* from version 2 */
#define LL_TRUNCATE	(1ull << 14)	/* 3 */

#define LL_READ		(LL_READ_FILE | LL_READ_DIR)
#define LL_WRITE	(LL_WRITE_FILE | LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_ALL | LL_REFER | LL_TRUNCATE)
#define LL_ON_A_FILE	(LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE)

#define LL_BIND_TCP	(1ull << 0)	/* 4 */
#define LL_CONNECT_TCP	(1ull << 1)
#define LL_SCOPE_SOCKET	(1ull << 0)	/* abstract Unix sockets of others; 6 */
#define LL_SCOPE_SIGNAL	(1ull << 1)

struct ll_ruleset { uint64_t files, net, scoped; };
struct ll_path { uint64_t allowed; int32_t fd; } __attribute__((packed));
struct ll_port { uint64_t allowed, port; };

static struct ll_ruleset
handled_by(long version, unsigned allow)
{
	struct ll_ruleset r = { LL_EXECUTE | LL_WRITE, 0, 0 };

	if ((allow & SANDBOX_READ_ALL) == 0)
		r.files |= LL_READ;
	if (version < 2)
		r.files &= ~LL_REFER;
	if (version < 3)
		r.files &= ~LL_TRUNCATE;
	if (version >= 4)
		r.net = LL_BIND_TCP | ((allow & SANDBOX_TCP) != 0 ? 0 : LL_CONNECT_TCP);
	if (version >= 6)
		r.scoped = LL_SCOPE_SOCKET | ((allow & SANDBOX_SIGNALS) != 0 ? 0 : LL_SCOPE_SIGNAL);
	return r;
}

static size_t
ruleset_size(long version)
{
	return version >= 6 ? sizeof(struct ll_ruleset) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static void
allow_open(int ruleset, const struct ll_ruleset *handled, const struct sandbox_place *p, int fd)
{
	static const uint64_t rights[] = { [SANDBOX_READ] = LL_READ, [SANDBOX_LIST] = LL_READ_DIR, [SANDBOX_WRITE] = LL_READ | LL_WRITE };
	struct ll_path rule = { rights[p->use] & handled->files, fd };
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= LL_ON_A_FILE;
	if (rule.allowed != 0 && syscall(NR_LANDLOCK_ADD_RULE, ruleset, LL_RULE_PATH, &rule, 0) < 0)
		log_debug("Landlock: a place cannot be named", F_STR("path", p->path != NULL ? p->path : ""), F_STR("error", strerror(errno)));
}

static void
allow_place(int ruleset, const struct ll_ruleset *handled, const struct sandbox_place *p)
{
	int fd;

	if (p->path == NULL) {
		allow_open(ruleset, handled, p, p->fd);
		return;
	}
	fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	allow_open(ruleset, handled, p, fd);
	close(fd);
}

/* The tests' way to die once (core/crash.h) leaves a file where the test says. */
static void
allow_crash_file(int ruleset, const struct ll_ruleset *handled)
{
	struct sandbox_place dir = { SANDBOX_WRITE, NULL, crash_keep() };

	if (dir.fd >= 0)
		allow_place(ruleset, handled, &dir);
}

bool
sandbox_files(const struct sandbox_place *places, size_t n, unsigned allow, const int *ports)
{
	long version = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, LL_VERSION_QUESTION);
	struct ll_ruleset handled;
	bool done;
	int fd;

	if (version < 1) {
		log_debug("Landlock: this kernel has none", F_STR("error", strerror(errno)));
		return false;
	}
	handled = handled_by(version, allow);
	fd = (int)syscall(NR_LANDLOCK_CREATE_RULESET, &handled, ruleset_size(version), 0);
	if (fd < 0) {
		log_debug("Landlock: no ruleset", F_STR("error", strerror(errno)));
		return false;
	}
	for (size_t i = 0; i < n; i++)
		allow_place(fd, &handled, &places[i]);
	allow_crash_file(fd, &handled);
	for (; (handled.net & LL_CONNECT_TCP) != 0 && ports != NULL && *ports != 0; ports++) {
		struct ll_port rule = { LL_CONNECT_TCP, (uint64_t)*ports };

		(void)syscall(NR_LANDLOCK_ADD_RULE, fd, LL_RULE_PORT, &rule, 0);
	}
	done = syscall(NR_LANDLOCK_RESTRICT_SELF, fd, 0) == 0;
	if (!done)
		log_debug("Landlock: not in force", F_STR("error", strerror(errno)));
	close(fd);
	return done;
}

/* ---- system calls: seccomp ---- */

/* The sandbox's test looks out from where each role does; no release has this. */
static void
confined(enum sandbox_role role)
{
#ifdef WINDLASS_SANDBOX_TEST
	if (sandbox_confined != NULL)
		sandbox_confined(role);
#else
	(void)role;
#endif
}

#if defined(__SANITIZE_ADDRESS__)

/* The sanitizers' runtime makes calls of its own, at the end of all times. */
bool
sandbox_calls(enum sandbox_role role)
{
	confined(role);
	return false;
}

#else

#if defined(__x86_64__)
#define ARCH_HERE	0xc000003eu
#elif defined(__aarch64__)
#define ARCH_HERE	0xc00000b7u
#else
#error "name this architecture's AUDIT_ARCH"
#endif

/* Which of the roles a row is for. */
#define R(role)	(1u << SANDBOX_ ## role)
#define ALL	0xffffu
#define NET	(R(POLLER) | R(OPERATOR) | R(REPORTER) | R(EXECUTOR) | R(EXECUTOR_DNS) | \
		R(PULLER) | R(PULLER_DNS))
/* Who asks name servers. An executor's machine has an address; only one that was named by its name must be looked up. */
#define DNS	(R(POLLER) | R(OPERATOR) | R(REPORTER) | R(EXECUTOR_DNS) | R(PULLER_DNS))

/* What all of our roles and the C library under them make, whatever the arguments. The old names exist on x86-64 alone. */
static const uint16_t calls[] = {
	/* files */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close, SYS_openat, SYS_fstat, SYS_newfstatat, SYS_statx,
	SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_fchdir, SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
	SYS_fchmod, SYS_fchmodat, SYS_umask, SYS_utimensat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_flock,
	SYS_dup, SYS_dup3, SYS_pipe2, SYS_fadvise64, SYS_statfs, SYS_fstatfs,
	/* waiting */
	SYS_ppoll, SYS_pselect6, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_nanosleep, SYS_clock_nanosleep,
	SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_futex, SYS_sched_yield, SYS_restart_syscall,
	/* memory */
	SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_membarrier,
	/* itself */
	SYS_exit, SYS_exit_group, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend,
	SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_set_tid_address,
	SYS_set_robust_list, SYS_getrusage, SYS_uname, SYS_sysinfo, SYS_times, SYS_getrandom,
	/* the network */
	SYS_getsockname, SYS_getpeername, SYS_recvfrom, SYS_recvmsg, SYS_shutdown, SYS_getsockopt,
#ifdef __x86_64__
	SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_chmod, SYS_dup2, SYS_pipe,
	SYS_poll, SYS_select, SYS_pause, SYS_time,
#endif
};

/* What some make, whatever the arguments. */
static const struct { uint16_t call; unsigned who; } some[] = {
	{ SYS_connect, NET },
	{ SYS_accept4, R(METRICS) },
	{ SYS_pidfd_open, R(REPORTER) },
#ifdef __x86_64__
	{ SYS_accept, R(METRICS) },
#endif
};

/* Values of one argument with which a call is made; with any other it is refused with the error. */
#define VALUES_MAX	12
static const struct { uint16_t call; unsigned who; uint8_t arg, n; int error; uint32_t values[VALUES_MAX]; } only[] = {
	/* Not what makes other processes hear signals (F_SETOWN, F_SETSIG), leases and directory notes. */
	{ SYS_fcntl, ALL, 1, 11, EINVAL, { F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC, 1033 /* F_ADD_SEALS */, 1034 } },
	/* Not what types into a terminal, or makes interfaces. */
	{ SYS_ioctl, ALL, 1, 4, ENOTTY, { FIONBIO, FIONREAD, TIOCGWINSZ, TCGETS } },
	{ SYS_prctl, ALL, 0, 2, EINVAL, { PR_SET_PDEATHSIG, PR_SET_NAME } },
	/* Limits of its own only. */
	{ SYS_prlimit64, ALL, 0, 1, EPERM, { 0 } },
	/* The one signal that says: look for an order. */
	{ SYS_pidfd_send_signal, R(REPORTER), 1, 1, EPERM, { SIGTERM } },
	{ SYS_setsockopt, NET | R(METRICS), 1, 3, ENOPROTOOPT,
	    { SOL_SOCKET, IPPROTO_TCP, IPPROTO_IPV6 } },
};

/* Bits of one argument with which a call is refused. */
static const struct { uint16_t call; unsigned who; uint8_t arg; uint32_t bits; } never[] = {
	{ SYS_mmap, ALL, 2, PROT_EXEC }, { SYS_mprotect, ALL, 2, PROT_EXEC },
	/* A connection by its first data passes by who may connect where. */
	{ SYS_sendto, ALL, 3, MSG_FASTOPEN }, { SYS_sendmsg, ALL, 2, MSG_FASTOPEN },
};

/* One instruction of the classic BPF. */
struct step { uint16_t code; uint8_t yes, no; uint32_t k; };
struct program { uint16_t n; struct step *steps; };

#define BPF_LOAD	0x20		/* a 32-bit word of seccomp_data */
#define BPF_IF_EQUAL	0x15
#define BPF_IF_AT_LEAST	0x35
#define BPF_IF_ANY	0x45
#define BPF_MASK	0x54
#define BPF_RETURN	0x06

#define AT_CALL		0
#define AT_ARCH		4
#define AT_ARG(i)	(16 + 8 * (i))	/* its low half: both architectures are little-endian, and the kernel takes no more of those we look at */

#define KILL		0x80000000u
#define ALLOW		0x7fff0000u
#define FAIL(e)		(0x00050000u | (uint32_t)(e))

#define X32_BIT		0x40000000u

static void
put(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	p->steps[p->n++] = (struct step){ code, yes, no, k };
}

static void
put_allowed(struct program *p, uint32_t value)
{
	put(p, BPF_IF_EQUAL, value, 0, 1);
	put(p, BPF_RETURN, ALLOW, 0, 0);
}

/* The call's own lines follow, and there are n of them: the last one returns. */
static void
put_call(struct program *p, uint32_t call, size_t n)
{
	assert(n < 256);
	put(p, BPF_IF_EQUAL, call, 0, (uint8_t)n);
}

static void
put_only(struct program *p, size_t i)
{
	put_call(p, only[i].call, 2u + 2u * only[i].n);
	put(p, BPF_LOAD, AT_ARG(only[i].arg), 0, 0);
	for (size_t v = 0; v < only[i].n; v++)
		put_allowed(p, only[i].values[v]);
	put(p, BPF_RETURN, FAIL(only[i].error), 0, 0);
}

static void
put_never(struct program *p, size_t i)
{
	put_call(p, never[i].call, 4);
	put(p, BPF_LOAD, AT_ARG(never[i].arg), 0, 0);
	put(p, BPF_IF_ANY, never[i].bits, 0, 1);
	put(p, BPF_RETURN, FAIL(EPERM), 0, 0);
	put(p, BPF_RETURN, ALLOW, 0, 0);
}

/* TCP over IPv4 and IPv6 and nothing else: Landlock knows no other way to a port. With dns also UDP. */
static void
put_socket(struct program *p, bool dns)
{
	static const uint32_t kinds[][3] = { { SOCK_STREAM, IPPROTO_IP, IPPROTO_TCP }, { SOCK_DGRAM, IPPROTO_IP, IPPROTO_UDP } };

	put_call(p, SYS_socket, dns ? 21 : 13);
	put(p, BPF_LOAD, AT_ARG(0), 0, 0);
	put(p, BPF_IF_EQUAL, AF_INET, 2, 0);
	put(p, BPF_IF_EQUAL, AF_INET6, 1, 0);
	put(p, BPF_RETURN, FAIL(EAFNOSUPPORT), 0, 0);
	for (int i = 0; i < 1 + dns; i++) {
		put(p, BPF_LOAD, AT_ARG(1), 0, 0);
		put(p, BPF_MASK, 0xf, 0, 0);
		put(p, BPF_IF_EQUAL, kinds[i][0], 0, 5);
		put(p, BPF_LOAD, AT_ARG(2), 0, 0);
		put_allowed(p, kinds[i][1]);
		put_allowed(p, kinds[i][2]);
	}
	put(p, BPF_RETURN, FAIL(EPROTONOSUPPORT), 0, 0);
}

static void
put_rules(struct program *p, enum sandbox_role role)
{
	unsigned me = 1u << role;

	for (size_t i = 0; i < NELEM(calls); i++)
		put_allowed(p, calls[i]);
	for (size_t i = 0; i < NELEM(some); i++)
		if ((some[i].who & me) != 0)
			put_allowed(p, some[i].call);
	for (size_t i = 0; i < NELEM(only); i++)
		if ((only[i].who & me) != 0)
			put_only(p, i);
	for (size_t i = 0; i < NELEM(never); i++)
		if ((never[i].who & me) != 0)
			put_never(p, i);
	if ((NET & me) != 0)
		put_socket(p, (DNS & me) != 0);
	/*
	 * musl's resolver binds its socket to any address and any port before the first packet, which would do the same:
	 * it is told yes, and nothing was done.
	 */
	put_call(p, SYS_bind, 1);
	put(p, BPF_RETURN, FAIL((DNS & me) != 0 ? 0 : EACCES), 0, 0);
	/* abort(): a signal to itself. */
	put_call(p, SYS_tkill, 3);
	put(p, BPF_LOAD, AT_ARG(0), 0, 0);
	put_allowed(p, (uint32_t)getpid());
	put(p, BPF_RETURN, FAIL(ENOSYS), 0, 0);
}

bool
sandbox_calls(enum sandbox_role role)
{
	struct step steps[2 * (NELEM(calls) + NELEM(some)) + NELEM(only) * (3 + 2 * VALUES_MAX) + 5 * NELEM(never) + 60];
	struct program p = { 0, steps };
	bool done;

	put(&p, BPF_LOAD, AT_ARCH, 0, 0);
	put(&p, BPF_IF_EQUAL, ARCH_HERE, 1, 0);
	put(&p, BPF_RETURN, KILL, 0, 0);
	put(&p, BPF_LOAD, AT_CALL, 0, 0);
#ifdef __x86_64__
	put(&p, BPF_IF_AT_LEAST, X32_BIT, 0, 1);
	put(&p, BPF_RETURN, KILL, 0, 0);
#endif
	put_rules(&p, role);
	put(&p, BPF_RETURN, FAIL(ENOSYS), 0, 0);
	assert(p.n <= NELEM(steps));
	done = prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &p) == 0;
	if (!done)
		log_debug("seccomp: not in force", F_STR("error", strerror(errno)));
	confined(role);
	return done;
}

#endif
