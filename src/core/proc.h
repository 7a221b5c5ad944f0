/*
 * Child processes: the same binary exec'd anew with a role, or (outside the
 * manager) another program with its output collected. Children get the
 * descriptors they are named and nothing else.
 */
#ifndef CORE_PROC_H
#define CORE_PROC_H

#include <sys/types.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

/* Descriptors for the child: as must be 3, 4, 5... in order. */
struct proc_fd { int fd; int as; };	/* parent's descriptor, number in the child */

enum proc_life { PROC_DIES_WITH_PARENT, PROC_OUTLIVES_PARENT };

/*
 * Starts our own executable with argv (argv[0] becomes the process name that
 * ps shows). stdin is /dev/null; stdout and stderr are inherited; of other descriptors only fds[].
 * Signals are unblocked and at their defaults; a role (argv[0] windlass-...) ignores HUP, QUIT, USR1 and USR2, which are orders
 * for the manager. PROC_OUTLIVES_PARENT puts the
 * child into a session of its own. Returns a pidfd (close it after waiting)
 * and sets *pid, or -1.
 */
int	proc_self(const char *const argv[], const struct proc_fd *fds, size_t nfds,
	    enum proc_life life, pid_t *pid, struct err *e);

/*
 * Runs another program to its end: input on stdin, output (stdout, at most
 * max bytes) appended to out when out is not NULL. Returns the exit status
 * (128 + signal when killed), or -1. Past the deadline it is killed: ERR_TIMEOUT.
 */
int	proc_run(const char *const argv[], struct str input, struct buf *out,
	    mono_t deadline, struct err *e);

/*
 * Kills those children of proc_self() that would die with us, and waits until they are dead, as our end
 * would have done. They are not reaped: that stays with whoever watches their pidfd, or with the next image.
 */
void	proc_end_dependents(void);

/* To be called first of all by main(), for proc_again(): how and from where we were called. */
void	proc_remember(int argc, char **argv);
/*
 * The file that we were started from, as it was named then: it may be another version by now.
 * malloc'd; NULL when that cannot be told.
 */
char	*proc_file(void);
/*
 * Executes that file anew in this very process: same pid, arguments and working directory, the
 * environment as it is now, signals blocked as they are, no descriptors but 0, 1 and 2. Children stay ours. Returns only on
 * failure, -1, with everything as it was but the working directory.
 */
int	proc_again(struct err *e);

/* Blocks these signals, which are read from the descriptor from then on (signalfd(2), not waited for). -1: *e. */
int	proc_signals(const int *signals, size_t n, struct err *e);

/* Sets argv-like process title (comm) for ps and pgrep: at most 15 bytes shown. */
void	proc_title(const char *title);

/* Limits and flags that every role takes first: core dumps off, undumpable, no_new_privs. */
void	proc_harden(void);

/* Anonymous sealed file with these bytes, positioned at 0, for handing a description to a child. */
int	proc_memfd(const char *name, struct str data, struct err *e);

#endif
