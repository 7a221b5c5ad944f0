/*
 * The parts of `windlass simulate`: what may be set and swept (simulate_set.c), where past jobs come
 * from (simulate_past.c), and the command itself (simulate.c).
 */
#ifndef CMD_SIMULATE_H
#define CMD_SIMULATE_H

#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "policy/simulate.h"

/* Settings, by the names of config.toml. */

#define SWEEP_VALUES	64	/* of one --set */
#define SWEEP_RUNS	256	/* all combinations */

struct sweep_set {
	int		 setting;	/* index into the table */
	const char	*name;		/* as config.toml writes it */
	struct str	 values[SWEEP_VALUES];
	size_t		 n;
};

struct sweep {
	struct sweep_set	*sets;
	size_t			 n;
};

/* Takes "KEY=VALUE[,VALUE...]". -1 (ERR_CONFIG) names key, value and what may be written. arg must outlive the sweep. */
int	sweep_add(struct sweep *s, const char *arg, struct err *e);
size_t	sweep_runs(const struct sweep *s);
/* The value of a set in one of the runs; the last set changes fastest. */
struct str sweep_value(const struct sweep *s, size_t run, size_t set);
/* Puts one run's values into c. */
void	sweep_apply(const struct sweep *s, size_t run, struct sim_config *c);
bool	sweep_has(const struct sweep *s, const char *name);
void	sweep_free(struct sweep *s);
/* Values that differ from nothing at all, as "IdleCount 2, IdleTime 10m0s, limit 20". */
void	settings_print(const struct sim_config *c, struct buf *out);
/* The names, from 0; NULL behind the last. */
const char *settings_name(size_t i);

/* Past jobs. */

/* What happened in truth, as far as a record tells. */
struct past_truth {
	size_t	 jobs, made, failed;
	double	 machine_hours, busy_hours;
	dur_t	 wait_mean, wait_p50, wait_p95, wait_p99, wait_max;
};

struct past {
	struct sim_job	*jobs;		/* by arrival, from 0 */
	size_t		 n;
	wall_t		 start;		/* of the first arrival; WALL_UNKNOWN: no dates */
	bool		 record;	/* our own: `truth` holds */
	size_t		 never;		/* jobs that ended before they had a machine: left out */
	size_t		 skipped;	/* torn lines */
	struct past_truth truth;
	/* of all jobs */
	dur_t		 span;		/* from the first arrival to the last end, had none waited */
	double		 mean_at_once;
	size_t		 peak_at_once;
};

/*
 * A table or a record, told apart by their first character. `runner` is the key of the pool whose jobs count
 * (NULL: all); `since` leaves out what arrived before. -1: *e names file, line, column, value and what to do.
 */
int	past_load(const char *path, const char *runner, wall_t since, struct past *p, struct err *e);
/* The record of a state directory. */
int	past_load_state(const char *state_dir, const char *runner, wall_t since, struct past *p, struct err *e);
/* The same from text, named `name` in messages. */
int	past_read(const char *name, struct str text, const char *runner, wall_t since, struct past *p, struct err *e);
void	past_free(struct past *p);
/* The median time from asking for a machine to having it, of the last `n` made for this runner; 0: none on record. */
dur_t	past_boot(const char *state_dir, const char *runner, size_t *n);

/* "12.5s", "3m05s", "2h10m": short enough for a table. */
#define SPAN_MAX	24
void	span_print(dur_t ns, char out[SPAN_MAX]);

#endif
