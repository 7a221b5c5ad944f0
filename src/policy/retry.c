/* When to try again. See retry.h. */
#include "policy/retry.h"

#define DAY		(86400 * NSEC_SEC)

#define HEALTH_LIMIT	3
#define HEALTH_INTERVAL	(3600 * NSEC_SEC)

#define INSTANCE_BASE	(3 * NSEC_SEC)
#define INSTANCE_CAP	(60 * NSEC_SEC)

#define PACE_INTERVAL	(3 * NSEC_SEC)
#define PACE_EARLY	(1 * NSEC_SEC)	/* early repeats: one a second in the long run */
#define PACE_BURST	3		/* and three in a row */
#define PACE_LATER_MIN	(5 * NSEC_SEC)

const struct retry_policy retry_gitlab = { 100 * NSEC_MSEC, 60 * NSEC_SEC, 5, RETRY_ABOVE_BASE };
const struct retry_policy retry_cloud = { NSEC_SEC, 60 * NSEC_SEC, 0, RETRY_FULL };
const struct retry_policy retry_final_update = { NSEC_SEC, 3600 * NSEC_SEC, 10, RETRY_ABOVE_BASE };

/* Uniform in [0, n]. The bias of the remainder is far below anything a wait can show. */
static dur_t
part(uint64_t rnd, dur_t n)
{
	return n <= 0 ? 0 : (int64_t)(rnd % ((uint64_t)n + 1));
}

static dur_t
doubled(dur_t base, dur_t cap, unsigned times)
{
	dur_t d = base;

	while (times-- > 0 && d < cap)
		d = d > INT64_MAX / 2 ? INT64_MAX : d * 2;
	return d < cap ? d : cap;
}

/* The point d after t; one far away stays far away. */
static wall_t
after(wall_t t, dur_t d)
{
	return (wall_t){ add_bounded(t.ns, d) };
}

static wall_t
later(wall_t a, wall_t b)
{
	return wall_before(b, a) ? a : b;
}

/* One operation. */

/* Seconds, whole, not negative. */
static bool
seconds(struct str v, int64_t *s)
{
	return str_to_i64(v, s) == 0 && *s >= 0;
}

/* A point in time that a header gives as seconds from now or, when that makes no sense, since 1970. */
static bool
moment(struct str v, wall_t now, wall_t *t)
{
	int64_t s;

	if (seconds(v, &s)) {
		if (s > INT64_MAX / NSEC_SEC)
			return false;
		*t = s < 1000000000 ? after(now, s * NSEC_SEC) : wall_of_seconds(s);
		return true;
	}
	return time_parse_http(v, t) == 0;
}

static void
not_before(struct retry_hint *h, wall_t t, wall_t now)
{
	if (wall_before(after(now, DAY), t))
		t = after(now, DAY);
	if (wall_before(now, t))
		h->not_before = later(h->not_before, t);
}

void
retry_hint_header(struct retry_hint *h, int status, struct str name, struct str value, wall_t now)
{
	wall_t t;
	int64_t n;

	value = str_trim(value);
	if (str_casestarts(name, "x-"))
		name = str_sub(name, 2, name.n);
	if (str_caseeq(name, "retry-after")) {
		/* seconds or a date; never Unix time, so 1e9 seconds is a long wait and is cut */
		if (seconds(value, &n))
			not_before(h, after(now, (n < 86400 ? n : 86400) * NSEC_SEC), now);
		else if (time_parse_http(value, &t) == 0)
			not_before(h, t, now);
	} else if (str_caseeq(name, "ratelimit-resettime")) {
		/* Before 1970 makes no sense, and 0 means that nothing was said. */
		if (time_parse_http(value, &t) != 0 || t.ns <= 0)
			return;
		h->reset = t;
		if (status >= 400)
			not_before(h, t, now);
	} else if (str_caseeq(name, "ratelimit-reset")) {
		if (!wall_known(h->reset) && moment(value, now, &t) && t.ns > 0)
			h->reset = t;
	} else if (str_caseeq(name, "ratelimit-remaining")) {
		if (seconds(value, &n))
			h->remaining = n;
	} else if (str_caseeq(name, "ratelimit-limit")) {
		if (seconds(value, &n))
			h->limit = n;
	} else {
		return;
	}
	/*
	 * The reset time is a demand only when the server turned us away for the rate; a 200
	 * with calls left carries it too. Headers come in any order.
	 */
	if (wall_known(h->reset) && (status == 429 || h->remaining == 0))
		not_before(h, h->reset, now);
}

bool
retry_gitlab_status(int status)
{
	switch (status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return status >= 512;
	}
}

bool
retry_cloud_status(int status)
{
	return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

dur_t
retry_delay(const struct retry_policy *p, unsigned attempt, uint64_t rnd)
{
	dur_t d = doubled(p->base, p->cap, attempt);

	switch (p->jitter) {
	case RETRY_FULL:
		return part(rnd, d);
	case RETRY_ABOVE_BASE:
		return d <= p->base ? d : p->base + part(rnd, d - p->base);
	case RETRY_FIFTH:
		return d - d / 5 + part(rnd, d / 5 * 2);
	}
	return d;
}

dur_t
retry_next(const struct retry_policy *p, unsigned attempt, const struct retry_hint *hint,
    wall_t now, uint64_t rnd)
{
	dur_t wait = retry_delay(p, attempt, rnd), told;

	if (p->max_attempts > 0 && attempt + 1 >= p->max_attempts)
		return -1;
	if (hint == NULL || !wall_before(now, hint->not_before))
		return wait;
	/* everyone was told the same instant: spread over a fifth of the wait, at most 5 s */
	told = wall_between(now, hint->not_before);
	told = add_bounded(told, part(rnd >> 16, told / 5 < 5 * NSEC_SEC ? told / 5 : 5 * NSEC_SEC));
	return told > wait ? told : wait;
}

/* A runner entry's health. */

static unsigned
health_limit(const struct health_policy *p)
{
	return p->limit > 0 ? p->limit : HEALTH_LIMIT;
}

/* The pause after `failures` in a row, 0 while there is none. */
static dur_t
health_pause(const struct health *h, const struct health_policy *p)
{
	dur_t interval = p->interval > 0 ? p->interval : HEALTH_INTERVAL;
	unsigned limit = health_limit(p);

	if (h->failures < limit)
		return 0;
	return doubled(interval, p->cap > interval ? p->cap : interval, h->failures - limit);
}

bool
health_allows(const struct health *h, const struct health_policy *p, wall_t now, wall_t *again)
{
	wall_t at = after(h->last, health_pause(h, p));

	/* a result from the future: the clock was set back; do not wait for it to catch up */
	if (health_pause(h, p) == 0 || !wall_before(now, at) || wall_before(now, h->last))
		return true;
	if (again != NULL)
		*again = at;
	return false;
}

enum health_event
health_result(struct health *h, const struct health_policy *p, bool healthy, wall_t now)
{
	bool was_lost = health_pause(h, p) > 0;

	h->last = now;
	if (healthy) {
		h->failures = 0;
		return was_lost ? HEALTH_BACK : HEALTH_OK;
	}
	if (h->failures < UINT32_MAX)
		h->failures++;
	return !was_lost && health_pause(h, p) > 0 ? HEALTH_LOST : HEALTH_WORSE;
}

/* Adaptive request concurrency. */

static double
adaptive_clamp(double x, int request_concurrency)
{
	double hard = request_concurrency > 1 ? request_concurrency : 1;

	return x < 1 ? 1 : x > hard ? hard : x;
}

int
adaptive_limit(const struct adaptive *a, int request_concurrency)
{
	double x = adaptive_clamp(a->x, request_concurrency);
	int whole = (int)x;

	return whole < x ? whole + 1 : whole;
}

void
adaptive_result(struct adaptive *a, enum adaptive_outcome o, int request_concurrency)
{
	static const double factor[] = {
		[ADAPTIVE_NO_JOB] = 0.95, [ADAPTIVE_JOB] = 1.1, [ADAPTIVE_RETRIED] = 0.5,
	};

	a->x = adaptive_clamp(a->x * factor[o], request_concurrency);
}

/* A GitLab instance. */

void
instance_ok(struct instance *i)
{
	*i = (struct instance){ 0 };
}

void
instance_failed(struct instance *i, wall_t now, uint64_t rnd)
{
	static const struct retry_policy p = { INSTANCE_BASE, INSTANCE_CAP, 0, RETRY_FIFTH };
	dur_t wait = retry_delay(&p, i->failures, rnd);

	if (i->failures < UINT32_MAX)
		i->failures++;
	instance_hold(i, after(now, wait));
}

void
instance_hold(struct instance *i, wall_t until)
{
	i->not_before = later(i->not_before, until);
}

/* Poll pacing. */

void
pace_started(struct pace *p, wall_t now)
{
	p->started = now;
}

/* At once while the early repeats are few; one a second when they are many (GCRA, as in budget.h). */
static wall_t
pace_early(struct pace *p, wall_t now)
{
	wall_t tat = later(p->early_tat, now);

	p->early_tat = wall_add(tat, PACE_EARLY);
	return later(wall_add(tat, -(PACE_BURST - 1) * PACE_EARLY), now);
}

wall_t
pace_next(struct pace *p, const struct pace_policy *pol, enum pace_answer a,
    const struct retry_hint *hint, wall_t now, uint64_t rnd)
{
	dur_t interval = pol->check_interval > 0 ? pol->check_interval : PACE_INTERVAL;
	wall_t regular = later(now, after(p->started, interval));
	wall_t at = regular;

	switch (a) {
	case PACE_JOB:
		at = pol->strict ? regular : now;
		break;
	case PACE_CHANGED:
		if (wall_before(now, regular)) {
			at = pace_early(p, now);
			at = wall_before(at, regular) ? at : regular;
		}
		break;
	case PACE_CONFLICT:
		at = after(now, 200 * NSEC_MSEC + part(rnd, 800 * NSEC_MSEC));
		break;
	case PACE_LATER:
		at = later(regular, after(now, PACE_LATER_MIN + part(rnd, NSEC_SEC)));
		break;
	case PACE_NOTHING:
	case PACE_REFUSED:
	case PACE_TOKEN:
	case PACE_LOST:
		break;
	}
	if (hint != NULL)
		at = later(at, hint->not_before);
	return at;
}
