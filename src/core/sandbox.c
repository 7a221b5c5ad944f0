/*
 * Landlock and seccomp: see sandbox.h. The constants stand here because the
 * kernel headers of the oldest system that we build on know only the first
 * Landlock; they are the kernel's ABI (Documentation/userspace-api/landlock.rst
 * and include/uapi/linux/{landlock,seccomp,filter,audit}.h).
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

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
	const char *once = getenv("WINDLASS_CRASH_ONCE");
	struct sandbox_place dir = { SANDBOX_WRITE, NULL, -1 };
	char path[512];
	char *slash;

	if (once == NULL || (size_t)snprintf(path, sizeof(path), "%s", once) >= sizeof(path))
		return;
	slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return;
	*slash = '\0';
	dir.path = path;
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

#if defined(__SANITIZE_ADDRESS__)

/* The sanitizers' runtime makes calls of its own, at the end of all times. */
bool
sandbox_calls(void)
{
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

/* What our roles and the C library under them make. The old names exist on x86-64 alone. */
static const uint16_t calls[] = {
	/* files */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_close, SYS_openat, SYS_fstat, SYS_newfstatat, SYS_statx,
	SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_fchdir, SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
	SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_umask, SYS_utimensat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_flock,
	SYS_fcntl, SYS_ioctl, SYS_dup, SYS_dup3, SYS_pipe2, SYS_sendfile, SYS_copy_file_range, SYS_fadvise64, SYS_statfs, SYS_fstatfs, SYS_memfd_create,
	/* waiting */
	SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_signalfd4, SYS_timerfd_create, SYS_timerfd_settime,
	SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
	SYS_futex, SYS_sched_yield, SYS_setitimer, SYS_restart_syscall,
	/* memory */
	SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_membarrier,
	/* processes and signals */
	SYS_wait4, SYS_waitid, SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_getpgid, SYS_setsid, SYS_set_tid_address, SYS_set_robust_list, SYS_prctl, SYS_prlimit64, SYS_getrusage, SYS_uname, SYS_sysinfo, SYS_times,
	SYS_getrandom,
	/* the network */
	SYS_socketpair, SYS_connect, SYS_bind, SYS_getsockname, SYS_getpeername, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
	SYS_shutdown, SYS_setsockopt, SYS_getsockopt, SYS_accept4, SYS_listen,
#ifdef __x86_64__
	SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_chmod, SYS_chown, SYS_dup2, SYS_pipe,
	SYS_poll, SYS_select, SYS_epoll_wait, SYS_pause, SYS_fork, SYS_vfork, SYS_getpgrp, SYS_arch_prctl, SYS_time, SYS_getrlimit, SYS_setrlimit, SYS_accept, SYS_alarm,
#endif
};

static const uint16_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

/* One instruction of the classic BPF. */
struct step { uint16_t code; uint8_t yes, no; uint32_t k; };
struct program { uint16_t n; struct step *steps; };

#define BPF_LOAD	0x20		/* a 32-bit word of seccomp_data */
#define BPF_IF_EQUAL	0x15
#define BPF_IF_AT_LEAST	0x35
#define BPF_IF_ANY	0x45
#define BPF_RETURN	0x06

#define AT_CALL		0
#define AT_ARCH		4
#define AT_ARG0		16		/* its low half: both architectures are little-endian */

#define KILL		0x80000000u
#define ALLOW		0x7fff0000u
#define FAIL(e)		(0x00050000u | (uint32_t)(e))

#define X32_BIT		0x40000000u
#define NAMESPACES	0x7e020000u	/* CLONE_NEW... */

static void
put(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	p->steps[p->n++] = (struct step){ code, yes, no, k };
}

static void
put_allowed(struct program *p, const uint16_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put(p, BPF_IF_EQUAL, v[i], 0, 1);
		put(p, BPF_RETURN, ALLOW, 0, 0);
	}
}

bool
sandbox_calls(void)
{
	struct step steps[2 * (NELEM(calls) + NELEM(families)) + 20];
	struct program p = { 0, steps };

	put(&p, BPF_LOAD, AT_ARCH, 0, 0);
	put(&p, BPF_IF_EQUAL, ARCH_HERE, 1, 0);
	put(&p, BPF_RETURN, KILL, 0, 0);
	put(&p, BPF_LOAD, AT_CALL, 0, 0);
#ifdef __x86_64__
	put(&p, BPF_IF_AT_LEAST, X32_BIT, 0, 1);
	put(&p, BPF_RETURN, KILL, 0, 0);
#endif
	put_allowed(&p, calls, NELEM(calls));
	put(&p, BPF_IF_EQUAL, SYS_clone, 0, 4);
	put(&p, BPF_LOAD, AT_ARG0, 0, 0);
	put(&p, BPF_IF_ANY, NAMESPACES, 0, 1);
	put(&p, BPF_RETURN, FAIL(EPERM), 0, 0);
	put(&p, BPF_RETURN, ALLOW, 0, 0);
	put(&p, BPF_IF_EQUAL, SYS_socket, 1, 0);
	put(&p, BPF_RETURN, FAIL(ENOSYS), 0, 0);
	put(&p, BPF_LOAD, AT_ARG0, 0, 0);
	put_allowed(&p, families, NELEM(families));
	put(&p, BPF_RETURN, FAIL(EAFNOSUPPORT), 0, 0);
	if (prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &p) == 0)
		return true;
	log_debug("seccomp: not in force", F_STR("error", strerror(errno)));
	return false;
}

#endif
