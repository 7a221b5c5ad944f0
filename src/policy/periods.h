/*
 * [[runners.machine.autoscaling]]: which idle settings hold at a given time
 * (spec machines 1.11). All sections are tried in their order, the last one that contains the time gives
 * all four values; none: the values of [runners.machine].
 *
 * A section contains a time when one of its Periods does, and a period is read as gitlab-runner reads
 * it: every field must match the second after `now`, in the section's zone. So a window begins and
 * ends a second early, and an expression without a seconds field is true for one second of
 * a minute (compiling warns). With PeriodsSyntax = "unix" the five fields of crontab(5) mean whole
 * minutes instead and nothing is shifted. In the hour that the end of daylight saving repeats both passes
 * count.
 *
 * Pure: where zones come from is the caller's affair. Resolve once per decision, so
 * that the four values never come from two sections.
 */
#ifndef POLICY_PERIODS_H
#define POLICY_PERIODS_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "policy/scale.h"
#include "wire/cron.h"
#include "wire/tzif.h"

struct periods_values {
	int	idle_count, idle_count_min;
	double	idle_factor;
	dur_t	idle_time;
};

/* Which of the four keys a section sets; the others are 0 there, not inherited. */
enum periods_given {
	PERIODS_IDLE_COUNT = 1,
	PERIODS_IDLE_COUNT_MIN = 2,
	PERIODS_IDLE_FACTOR = 4,
	PERIODS_IDLE_TIME = 8,
};

struct periods_section_config {
	const struct str	*periods;
	size_t			 nperiods;
	struct str		 timezone;	/* as configured; empty or "Local": the host's */
	unsigned		 given;		/* enum periods_given */
	struct periods_values	 values;	/* 0 where not given */
};

struct periods_config {
	struct periods_values			 base;		/* of [runners.machine] */
	const struct periods_section_config	*sections;
	size_t					 nsections;
	bool					 unix_syntax;	/* PeriodsSyntax = "unix" */
	/*
	 * The zone of this name ("" and "Local" are the host's), or NULL when it is
	 * unknown. *utc_ok, preset to false, may be set to true to say that NULL means UTC. The
	 * zone must outlive the compiled periods.
	 */
	const struct tz	*(*zone)(void *ctx, struct str name, bool *utc_ok);
	void					*ctx;
};

struct periods_section {
	const struct cron	*crons;
	size_t			 ncrons;
	const struct tz		*zone;
	struct periods_values	 values;
};

struct periods {
	struct periods_values	 base;
	struct periods_section	*sections;
	size_t			 nsections;
	bool			 unix_syntax;
};

/*
 * 0, or -1 (ERR_CONFIG) naming the section by its number, the expression or zone, what is wrong and
 * what to write. What works but hardly as meant (expressions that are practically never
 * true, sections without Periods, keys that a section does not inherit) goes into `warnings`, a
 * sentence a line. `now_s` (Unix time) is for expressions whose time is over. Memory comes from the arena.
 */
int	periods_compile(struct arena *a, const struct periods_config *cfg, int64_t now_s,
	    struct periods *out, struct buf *warnings, struct err *e);

/* The number of the section that holds at `now`, from 0; -1: none. */
int	periods_active(const struct periods *p, wall_t now);
/* The values of a section, or of [runners.machine] for -1. */
const struct periods_values *periods_values(const struct periods *p, int section);
/*
 * Until when the answer for `now` holds for certain: the next moment at which another section takes
 * over, or about a day. Takes some 100 microseconds; keep the answer until then.
 */
wall_t	periods_until(const struct periods *p, wall_t now);
/* Puts the values for `now` and `until` into a policy. */
void	periods_apply(const struct periods *p, wall_t now, struct scale_policy *policy);

#endif
