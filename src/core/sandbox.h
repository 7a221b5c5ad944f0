/*
 * What a role gives up once it holds what it needs (design section 10):
 * files by Landlock, system calls by seccomp. Both are one-way for the
 * process and its children, need no privilege (but no_new_privs, which
 * proc_harden() sets), and are defence behind the parsers, not instead of them.
 *
 * A kernel without Landlock or seccomp is no reason not to run jobs: what it
 * cannot do is left out, with a line at debug level. Call after proc_harden() and
 * before the first byte from the network is read.
 */
#ifndef CORE_SANDBOX_H
#define CORE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum sandbox_use {
	SANDBOX_READ,		/* the file, or everything below the directory */
	SANDBOX_LIST,		/* directories below it may be opened and listed, no file read */
	SANDBOX_WRITE,		/* read, and make, change, rename and remove below it */
};

/* A place that stays usable: path, or, with path NULL, an open descriptor. What does not exist is left out. */
struct sandbox_place {
	enum sandbox_use use;
	const char	*path;
	int		 fd;
};

/* What stays allowed beside the places named. */
enum sandbox_files {
	SANDBOX_READ_ALL = 1,	/* files may be read anywhere: only writing is confined */
	SANDBOX_SIGNALS = 2,	/* signals may be sent to processes outside */
	SANDBOX_TCP = 4,	/* any port may be connected to; else only those of ports[] */
};

/*
 * Confines this process to the places: nothing else can be opened for writing (or for reading, without
 * SANDBOX_READ_ALL), no program be executed, no port be listened on. Open descriptors keep working. ports ends with a 0 and may be NULL with
 * SANDBOX_TCP. Returns whether the kernel confines files; ports need Linux 6.7, signals 6.12.
 */
bool	sandbox_files(const struct sandbox_place *places, size_t n, unsigned allow, const int *ports);

/* Who confines itself; the table of what each may call is in sandbox.c. */
enum sandbox_role {
	SANDBOX_POLLER,
	SANDBOX_OPERATOR,
	SANDBOX_EXECUTOR,
	SANDBOX_EXECUTOR_DNS,	/* the machine's address is a name */
	SANDBOX_PULLER,
	SANDBOX_PULLER_DNS,
	SANDBOX_REPORTER,
	SANDBOX_METRICS,
};

/*
 * From here on the process and its children make only the system calls that the role makes, and some only with certain arguments: no
 * exec, no ptrace, no mounts, no namespaces, no kernel keyrings, no io_uring, no executable memory, no sockets but TCP over
 * IPv4 and IPv6 (and UDP for those who ask name servers), none that listens, no Unix sockets, no fast open. What is not in the table fails with ENOSYS, so
 * that a C library that tries something newer falls back; the calls of another architecture kill. Returns whether it is so.
 */
bool	sandbox_calls(enum sandbox_role role);

#ifdef WINDLASS_SANDBOX_TEST
/* Called at the end of sandbox_calls(), in a build for tests, where a test program has it: what may be tried from in there. */
__attribute__((weak)) void	sandbox_confined(enum sandbox_role role);
#endif

#endif
