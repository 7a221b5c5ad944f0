/*
 * Locks that say who is alive (flock on a file that stays). The holder
 * writes its pid into the file for people and for signals; the pid is only
 * believed while the lock is held.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "core/err.h"

enum lock_wait { LOCK_TRY, LOCK_WAIT };

/*
 * Opens (creating, 0600) and locks exclusively. Returns a descriptor that
 * holds the lock until it is closed or the process ends (it is O_CLOEXEC),
 * or -1: ERR_CONFLICT when LOCK_TRY and somebody else holds it.
 */
int	lock_take(int dirfd, const char *path, enum lock_wait wait, struct err *e);

/*
 * Whether somebody holds it. Returns 1 and the holder's pid (0 if it has not
 * written it yet), 0 when free or the file is missing, -1 on error. Does not
 * create the file. There is an instant between the answer and its use.
 */
int	lock_held(int dirfd, const char *path, pid_t *pid, struct err *e);

/*
 * Sends a signal to the holder, if there is one: the pid is opened as a
 * pidfd first and the lock asked again, so a reused pid is never hit.
 * 1 sent, 0 nobody there, -1 error.
 */
int	lock_signal(int dirfd, const char *path, int sig, struct err *e);

#endif
