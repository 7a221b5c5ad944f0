/*
 * The manager's own files at the top of the state directory (docs/state.md). All are the manager's alone to write, under
 * its lock, but for the owner, which `adopt` may make under the same lock.
 *
 *	manager.lock	held by the one manager; its pid as text
 *	manager.json	what it says of itself
 *	owner		the mark by which this installation's cloud resources are found
 *	format		books/format.h
 */
#ifndef BOOKS_STATE_H
#define BOOKS_STATE_H

#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"

#define STATEFILE_LOCK		"manager.lock"
#define STATEFILE_MANAGER	"manager.json"
#define STATEFILE_OWNER		"owner"
#define STATEFILE_FORMAT	"format"

/* manager.json. Strings live in the arena; "" where it does not say. */
struct manager_says {
	int64_t		 pid;
	const char	*life;		/* another one for each start */
	const char	*state;		/* starting running draining stopping leaving */
	const char	*version, *revision, *config, *store, *exe;
	wall_t		 since, started;	/* of the state; of the life */
	int64_t		 adopted;	/* executors and reporters that it found alive */
	int64_t		 blind_ms;	/* how long nobody asked before it did; -1 not known */
	wall_t		 left;		/* state leaving: since when nobody asks; else 0. Not in the file */
};

/* 0 or -1. */
int	manager_says_write(int state_fd, const struct manager_says *s, struct err *e);
/*
 * 0; -1 (ERR_NOTFOUND) when there is no such file. What an ended manager left behind is told, too: ask manager_running()
 * first.
 */
int	manager_says(const char *state_dir, struct arena *a, struct manager_says *s, struct err *e);

/* 16 hex digits, or "" and false when there are none. */
bool	state_owner_read(int state_fd, char owner[17]);
int	state_owner_write(int state_fd, const char *owner, struct err *e);

#endif
