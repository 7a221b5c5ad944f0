/*
 * When to try again, and whether: back-off as pure functions. The caller
 * brings the time (the wall's, which outlives a process) and the randomness (64 random
 * bits), so every rule here can be tested with a table. Nothing is allocated.
 *
 *  - retry_*: one operation that failed (spec gitlab-runner 1.2, cloud-drivers 0.7);
 *  - health_*: a runner entry that GitLab refuses (spec gitlab-runner 4.4);
 *  - adaptive_*: how many job requests at once (4.3);
 *  - instance_*: a GitLab that cannot be reached or says "later" (1.2, 1.10);
 *  - pace_*: when the next job request may start (1.10).
 */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include "core/mono.h"
#include "core/str.h"

enum retry_jitter {
	RETRY_FULL,		/* uniform in [0, d] */
	RETRY_ABOVE_BASE,	/* uniform in [base, d]: the original's */
	RETRY_FIFTH,		/* d +- 20 % */
};

struct retry_policy {
	dur_t			base;
	dur_t			cap;
	unsigned		max_attempts;	/* the first one included; 0 = until the caller's deadline */
	enum retry_jitter	jitter;
};

/* GitLab: 5 attempts, 100 ms x 2^n up to 60 s. Clouds: full jitter, 1 s x 2^n up to 60 s, until the deadline. */
extern const struct retry_policy retry_gitlab, retry_cloud;
/* The final job update: 1 s x 2 up to 60 min, job_status_final_update_retry_limit (10) attempts (1.15). */
extern const struct retry_policy retry_final_update;

/*
 * What the server demanded in the answer. Zeroed before the answer's headers
 * are fed to it. Times are wall times (the headers are).
 */
struct retry_hint {
	wall_t	not_before;	/* Retry-After, or a 0 budget's reset time; unknown = nothing said */
	int64_t	remaining;	/* calls left, -1 = not said (use RETRY_HINT_INIT) */
	int64_t	limit;		/* of so many, -1 = not said */
	wall_t	reset;		/* when they are back; unknown = not said */
};
#define RETRY_HINT_INIT	{ { 0 }, -1, -1, { 0 } }

/*
 * Looks at one header of an answer with this status: Retry-After (seconds or
 * a date), RateLimit-ResetTime (a date), RateLimit-Reset (Unix time or
 * seconds), RateLimit-Remaining, RateLimit-Limit, each also with X- in front. Others, and values that
 * make no sense, are ignored. Waits of more than a day are cut to a day.
 */
void	retry_hint_header(struct retry_hint *h, int status, struct str name, struct str value,
	    wall_t now);
/* GitLab: 408, 429, 500, 502, 503, 504 and from 512 up. */
bool	retry_gitlab_status(int status);
/* Clouds: 429, 500, 502, 503, 504. Provider codes are the drivers' affair. */
bool	retry_cloud_status(int status);

/* The exponential part: `attempt` counts from 0 (the wait after the first failure). */
dur_t	retry_delay(const struct retry_policy *p, unsigned attempt, uint64_t rnd);
/*
 * How long to wait before the next attempt: the hint is a lower bound, with a little jitter
 * on top so that a crowd does not come back in one instant. Returns -1 when attempt + 1 attempts
 * were all there are. `hint` may be NULL.
 */
dur_t	retry_next(const struct retry_policy *p, unsigned attempt, const struct retry_hint *hint,
	    wall_t now, uint64_t rnd);

/*
 * Runner health. `limit` refusals in a row (403, an executor we do not have) stop the
 * asking; after `interval` one attempt is made. Upstream then starts over
 * with `limit` attempts; we let the interval double, up to `cap`, because a
 * deleted runner does not come back. A reload of the configuration: zero it.
 */
struct health_policy {
	unsigned	limit;		/* unhealthy_requests_limit; 0 = 3 */
	dur_t		interval;	/* unhealthy_interval; <= 0 = 60 min */
	dur_t		cap;		/* longest pause; <= interval = never longer than interval (as upstream) */
};
struct health {
	unsigned	failures;	/* in a row */
	wall_t		last;		/* last result */
};
enum health_event { HEALTH_OK, HEALTH_WORSE, HEALTH_LOST, HEALTH_BACK };

/* Whether a request may be made; when not, *again (may be NULL) is set to when it may. */
bool	health_allows(const struct health *h, const struct health_policy *p, wall_t now,
	    wall_t *again);
/* Result of a request. HEALTH_LOST and HEALTH_BACK are the moments to log a line. */
enum health_event health_result(struct health *h, const struct health_policy *p, bool healthy,
	    wall_t now);

/* Adaptive request concurrency. Zeroed at start. */
struct adaptive { double x; };
enum adaptive_outcome { ADAPTIVE_NO_JOB, ADAPTIVE_JOB, ADAPTIVE_RETRIED };
/* Requests allowed at once, between 1 and max(1, request_concurrency). */
int	adaptive_limit(const struct adaptive *a, int request_concurrency);
void	adaptive_result(struct adaptive *a, enum adaptive_outcome o, int request_concurrency);

/*
 * One GitLab instance, shared by the runner entries that name it. A failure to reach
 * it holds back everyone: 3 s, 6 s, ... 60 s. An answer "later" (429, 503 with a
 * time) holds back as long as it says.
 */
struct instance {
	unsigned	failures;
	wall_t		not_before;	/* unknown = go ahead */
};
void	instance_ok(struct instance *i);
void	instance_failed(struct instance *i, wall_t now, uint64_t rnd);
void	instance_hold(struct instance *i, wall_t until);

/*
 * When the next job request of a runner entry may start. Long polls pace
 * themselves; check_interval counts from the start of the last request.
 */
struct pace {
	wall_t	started;	/* the last request */
	wall_t	early_tat;	/* rate limit of early repeats */
};
enum pace_answer {
	PACE_JOB,		/* 201 */
	PACE_NOTHING,		/* 204 with X-GitLab-Last-Update */
	PACE_CHANGED,		/* 204 without: the queue changed while the request was held, or it ran out */
	PACE_CONFLICT,		/* 409 */
	PACE_LATER,		/* 429, or a retriable status after the retries */
	PACE_REFUSED,		/* 422, ... */
	PACE_TOKEN,		/* 403 in GitLab's own words: the runner's health counts too */
	PACE_LOST,		/* no answer: the instance's back-off counts too */
};
struct pace_policy {
	dur_t	check_interval;	/* <= 0 = 3 s */
	bool	strict;		/* strict_check_interval: not at once after a job */
};
void	pace_started(struct pace *p, wall_t now);
/*
 * The earliest start of the next request, now that this answer came: at
 * once after a job; 0.2 to 1 s after a conflict; at once after PACE_CHANGED, but not more than
 * once a second in the long run; at least 5 s after PACE_LATER; else when check_interval is
 * over. `hint` (may be NULL) is a lower bound. Take the later of this and the
 * instance's not_before.
 */
wall_t	pace_next(struct pace *p, const struct pace_policy *pol, enum pace_answer a,
	    const struct retry_hint *hint, wall_t now, uint64_t rnd);

#endif
