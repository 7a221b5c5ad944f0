/*
 * The manager seen from outside: what `ls`, `top`, `why` and the metrics
 * server know. With a living manager that is its snapshot; with a dead one,
 * or one that has not written yet, the last snapshot put right by what the two
 * directories say now, since those are the truth. Only reading; every file may vanish at any moment.
 */
#ifndef MANAGER_VIEW_H
#define MANAGER_VIEW_H

#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "manager/metrics.h"

/* Strings are "" where there is nothing to say, times 0. */
struct view_pool {
	const char	*key, *runner, *name, *url, *driver, *disabled;
	bool		 configured;
	int64_t		 limit, max_builds, request_concurrency, request_limit;
	int64_t		 creating, idle, used, removing, stuck;
	int64_t		 idle_target, waiting, running, ask, asking, short_by;
	const char	*ask_why, *ask_text, *held, *held_text, *create_error, *trouble;
	int64_t		 create_failures, refusals, gitlab_failures;
	wall_t		 create_not_before, refused_last, disabled_until, gitlab_not_before, held_until;
	struct budget	 growth, account;	/* all 0: no limit */
};

struct view_machine {
	const char	*name, *pool, *state, *phase, *job, *operation, *error, *why;
	const char	*zone, *region, *project, *type;
	wall_t		 created, since, again, throttled_until;
	int64_t		 uses, failed_checks, removal_retries;
	bool		 stale, doomed, blind;
};

struct view_job {
	const char	*id, *pool, *state, *name, *ci_stage, *project, *url, *machine;
	const char	*waiting_why, *waiting, *stage, *result, *result_text;
	wall_t		 arrived, assigned, ended, waiting_until;
	int64_t		 machines_tried, executor, reporter;	/* pids, 0 none */
};

struct view_series {
	enum metric	 id;
	struct str	 label[METRIC_LABELS_MAX];
	double		 value;
	uint64_t	 bucket[METRIC_BOUNDS_MAX + 1];
};

struct view {
	struct arena	 arena;
	bool		 alive;		/* a manager holds the lock */
	bool		 snapshot;	/* there is one, of that manager if alive */
	int64_t		 pid;
	wall_t		 at;		/* when the snapshot was written; 0: none */
	const char	*stale;		/* why a living manager's snapshot is an old one; NULL when it is not */
	wall_t		 started;
	const char	*version, *state, *config, *store, *system_id;
	int64_t		 concurrent;
	int64_t		 log_warning, log_error, log_fatal;
	struct view_pool *pools;
	struct view_machine *machines;
	struct view_job	*jobs;
	struct view_series *series;
	size_t		 npools, nmachines, njobs, nseries;
};

/*
 * Reads the snapshot and, where needed, the directories. store NULL: the snapshot's, else the
 * default. 0, or -1: there is no such state directory, or it may not be read.
 */
int	view_load(struct view *v, const char *state_dir, const char *store, struct err *e);
/* The snapshot's text alone: for tests and for the metrics server. 0 or -1. */
int	view_parse(struct view *v, struct str text, struct err *e);
void	view_free(struct view *v);

const struct view_pool	*view_pool(const struct view *v, const char *key);	/* NULL if unknown */
const struct view_machine *view_machine(const struct view *v, const char *name);
const struct view_job	*view_job(const struct view *v, const char *id);

#endif
