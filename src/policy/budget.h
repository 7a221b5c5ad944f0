/*
 * Token buckets: how many creations a runner may start now
 * (GrowthRatePerSecond, GrowthBurst), how many calls a cloud account may
 * make. Pure: the caller brings the time, nanoseconds of one clock of its
 * choice, and never mixes clocks on one bucket.
 *
 * The bucket is one number (the "theoretical arrival time" of GCRA), so it
 * needs no timer and no rounding: tokens come back one by one, `interval`
 * apart, up to `burst`. A zeroed bucket has no limit.
 */
#ifndef POLICY_BUDGET_H
#define POLICY_BUDGET_H

#include <limits.h>

#include "core/mono.h"

#define BUDGET_UNLIMITED	INT_MAX

struct budget {
	dur_t	interval;	/* for one token to come back; 0 = no limit */
	int64_t	burst;		/* tokens in a full bucket, at least 1 */
	int64_t	tat;		/* when the bucket will be full again */
	int64_t	blocked_until;	/* nothing before this (Retry-After); 0 = not blocked */
};

/*
 * `per_second` <= 0 means no limit; burst < 1 counts as 1. The bucket starts
 * full. Rates below one a century are taken as one a century.
 */
struct budget	budget_make(double per_second, int64_t burst);
/* The new rate of a reload; what was taken stays taken. */
void	budget_change(struct budget *b, double per_second, int64_t burst);
/* Tokens that could be taken now: 0 up, BUDGET_UNLIMITED without a limit. */
int	budget_available(const struct budget *b, int64_t now);
/* Takes n tokens. What is not there is borrowed: the next ones come later. */
void	budget_take(struct budget *b, int n, int64_t now);
/* When at least one token can be had: `now` or later. */
int64_t	budget_next(const struct budget *b, int64_t now);
/* The server said "not before" (Retry-After, a 429's reset time). Never shortens a block. */
void	budget_block(struct budget *b, int64_t until);

/*
 * The calls of the last minute, for a limit that counts them in any sixty seconds: all of them may come at once, and each
 * comes back when its own minute is over. Seconds of one clock that does not go back; a zeroed one has counted nothing.
 */
#define BUDGET_SECONDS	61	/* the one that is under way counts whole */

struct budget_minute {
	int64_t		at;			/* of the last count */
	uint16_t	n[BUDGET_SECONDS];	/* by the second, in turn */
};

void	budget_minute_add(struct budget_minute *b, int n, int64_t now_s);
int	budget_minute_used(const struct budget_minute *b, int64_t now_s);
/* Seconds until n more are no more than `most` in their minute: 0 now, BUDGET_SECONDS at most (and where n alone is more). */
int	budget_minute_wait(const struct budget_minute *b, int n, int most, int64_t now_s);

#endif
