/*
 * Replays a history of jobs through scale_decide() with a virtual clock: what
 * would these settings have cost, and how long would jobs have waited?
 *
 * The world around the decision is simple and says so: GitLab hands a job out as
 * soon as one may be asked for (a request that waits costs no time); a machine is
 * ready after its boot time, a removed one is gone after its removal time;
 * jobs run exactly as long as they did. In the original's mode (policy.rules without
 * SCALE_QUEUE) there is one request at a time, a tick every check_interval, and an idle
 * machine is held while a request waits, as there.
 *
 * Pure but for memory: the same history, settings and seed give the same
 * result. 31 days of 10,000 jobs take a fraction of a second.
 */
#ifndef POLICY_SIMULATE_H
#define POLICY_SIMULATE_H

#include "core/buf.h"
#include "core/err.h"
#include "policy/billing.h"
#include "policy/periods.h"
#include "policy/scale.h"

struct sim_job {
	int64_t	arrival;		/* ns since the history began */
	dur_t	duration;
};

struct sim_config {
	struct scale_policy	 policy;
	const struct periods	*periods;	/* overrides the idle settings; NULL = the policy's hold always */
	wall_t			 start;		/* when the history began: for periods */
	int			 concurrent;	/* 0 = no limit */
	int			 max_machines;	/* 0 = no limit */
	double			 growth_per_second;	/* 0 = no limit */
	int			 growth_burst;
	dur_t			 check_interval;	/* of the original's mode; 0 = 3 s */
	dur_t			 long_poll;		/* of the original's mode; 0 = none, usual: 50 s */
	/* the life of a machine */
	dur_t			 boot;		/* from the request to a ready machine */
	double			 boot_spread;	/* 0.2: uniformly 20 % more or less */
	double			 boot_failures;	/* share of creations that fail, at the end of their boot time */
	dur_t			 removal;	/* from the request until it is gone */
	struct billing		 billing;	/* applied to the time from request to gone; all zero = exact */
	double			 price_per_hour;
	size_t			 samples;	/* of the timeline; 0 = none */
	uint64_t		 seed;
};

/* Averages over one stretch of time, but for the peak. */
struct sim_sample {
	int64_t	from;			/* ns since the history began */
	double	busy, idle, coming, removing, waiting;
	int	waiting_peak;
};

struct sim_result {
	size_t			 jobs, unfinished;	/* unfinished: could never start (limit, failures) */
	size_t			 created, failed, removed, decisions;
	int			 peak_machines;
	double			 machine_hours;	/* from request to gone, or to the end of the history */
	double			 paid_hours;	/* the same, rounded as it is billed */
	double			 busy_hours;
	double			 money;
	dur_t			 wait_mean, wait_p50, wait_p95, wait_p99, wait_max;
	int64_t			 end;		/* when the last job ended: ns since the history began */
	struct sim_sample	*timeline;	/* malloc'd */
	size_t			 ntimeline;
};

/*
 * Jobs in any order; the array is not changed. Negative times count as 0.
 * The result is freed with sim_result_free().
 */
struct sim_result	simulate(const struct sim_config *cfg, const struct sim_job *jobs, size_t n);
void	sim_result_free(struct sim_result *r);

/*
 * Reads a table of arrival_seconds,duration_seconds: two columns, or any with a heading that names these two; decimals
 * allowed. Negative arrivals are errors, order does not matter. *jobs is malloc'd.
 * Returns the count, or -1 (ERR_PARSE) naming line, column, value and what to write.
 */
ssize_t	sim_read_csv(struct str text, struct sim_job **jobs, struct err *e);

#define SIM_SVG_WIDTH	960
#define SIM_SVG_HEIGHT	320

/* Pictures of a timeline: machines busy, idle and coming, jobs waiting. */
void	sim_sketch(const struct sim_result *r, int width, int height, struct buf *out);
void	sim_svg(const struct sim_result *r, const char *title, struct buf *out);

#endif
