/*
 * view/snapshot.json in the state directory: what the manager knows, for whoever wants to look (docs/state.md). The
 * manager alone writes it (manager/snapshot.h); `ls`, `top`, `why` and the metrics server read it, and nothing is
 * decided by it.
 */
#ifndef BOOKS_VIEW_H
#define BOOKS_VIEW_H

#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "policy/budget.h"
#include "wire/json.h"

/* In a directory of its own: the metrics server can be confined to it. */
#define SNAPSHOT_DIR	"view"
#define SNAPSHOT_NAME	"snapshot.json"
#define SNAPSHOT_FILE	SNAPSHOT_DIR "/" SNAPSHOT_NAME
#define SNAPSHOT_MAX	(64u << 20)
/* A file time below this, in seconds since 1970, is the errno with which a newer snapshot could not be written. */
#define SNAPSHOT_ERRNO_MAX	4096

/* Strings are "" where there is nothing to say, times 0. */
struct view_pool {
	const char	*key, *runner, *name, *url, *driver, *disabled;
	bool		 configured;
	int64_t		 limit, max_builds, request_concurrency, request_limit;
	int64_t		 creating, idle, used, removing, stuck;
	int64_t		 idle_target, waiting, running, ask, asking, short_by;
	const char	*ask_why, *ask_text, *held, *held_text, *create_error, *trouble;
	bool		 create_trying;
	int64_t		 create_failures, refusals, gitlab_failures;
	wall_t		 create_since, create_not_before, refused_last, disabled_until, gitlab_not_before, held_until;
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

/* A metric's counter (manager/metrics.h), by its name: this version need not have one of that name. */
struct view_series {
	const char	*name;
	const struct str *label;
	size_t		 nlabels;
	double		 value;
	const uint64_t	*bucket;	/* of a histogram: what lies below each bound and above the one before, at last above all */
	size_t		 nbuckets;
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

/* The snapshot's text, of this format or an older one, into a zeroed view. 0 or -1. */
int	view_parse(struct view *v, struct str text, struct err *e);
void	view_free(struct view *v);

const struct view_pool	*view_pool(const struct view *v, const char *key);	/* NULL if unknown */
const struct view_machine *view_machine(const struct view *v, const char *name);
const struct view_job	*view_job(const struct view *v, const char *id);
/* Texts that say nothing. */
void	view_machine_init(struct view_machine *m);
void	view_pool_init(struct view_pool *p);

/* The members of the snapshot's object that stand before its lists: of the manager itself. */
void	view_put_manager(struct json_w *w, const struct view *v);
/* The members of a list's object, which the caller has opened: what `--json` shows of a pool too, and the rest. */
void	view_put_pool(struct json_w *w, const struct view_pool *p);
void	view_put_pool_rest(struct json_w *w, const struct view_pool *p);
void	view_put_machine(struct json_w *w, const struct view_machine *m);
void	view_put_job(struct json_w *w, const struct view_job *j);
void	view_put_series(struct json_w *w, const struct view_series *s);
/* How many lines of each severity the log had. */
void	view_put_log(struct json_w *w, const struct view *v);
/* The snapshot's last member, "at": all before it can be compared with what was written last. */
void	view_put_end(struct json_w *w, const struct view *v);

#endif
