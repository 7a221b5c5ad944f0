/*
 * The manager: the one process that decides. It reads config.toml and the
 * two directories, starts, watches and buries the others, and never touches
 * the network: nothing of net, gitlab, docker or cloud may be included here (tests/walls).
 */
#ifndef MANAGER_MANAGER_H
#define MANAGER_MANAGER_H

#include "books/state.h"
#include "core/log.h"
#include "core/mono.h"

struct manager_opts {
	const char	*config_path;	/* NULL: the default */
	const char	*state_dir;	/* NULL: the default */
	const char	*listen_address;	/* NULL: the configuration's */
	const char	*store;		/* NULL: MACHINE_STORAGE_PATH or the home directory */
	const char	*title;		/* what ps, pgrep and killall know it by */
	bool		 level_given, format_given;	/* the command line beats the file */
};

/* Runs until a signal ends it; the exit status of `windlass run` (spec gitlab-runner 3.8). */
int	manager_run(const struct manager_opts *o);
/* By --state-dir's default; malloc'd. NULL when there is no home directory. */
char	*manager_default_state_dir(void);
/* Whether a manager runs on that directory: 1 with its pid, 0 no, -1 error. */
int	manager_running(const char *state_dir, int *pid, struct err *e);
/*
 * Under which mark the machines of that state directory's windlass are found: 16 hex digits in owner. make: it is made, with
 * the directory, when it is not there yet. 1 had it, 0 it is not there ("" in owner), -1 error.
 */
int	manager_owner(const char *state_dir, bool make, char owner[17], struct err *e);

#endif
