/* policy/retry and policy/budget: waits, health, paces and buckets, by tables and by walking a clock. */
#include "policy/budget.h"
#include "policy/retry.h"
#include "tap.h"

#define S	NSEC_SEC
#define MS	NSEC_MSEC
#define WALL	((wall_t){ 1772445600000000000 })	/* Mon, 02 Mar 2026 10:00:00 GMT */
#define T0	((wall_t){ 1000 * S })
#define BIG	UINT64_MAX

static const struct { int status; bool gitlab, cloud; } statuses[] = {
	{ 200, false, false }, { 201, false, false }, { 204, false, false }, { 400, false, false },
	{ 401, false, false }, { 403, false, false }, { 404, false, false }, { 408, true, false },
	{ 409, false, false }, { 422, false, false }, { 429, true, true }, { 500, true, true },
	{ 501, false, false }, { 502, true, true }, { 503, true, true }, { 504, true, true },
	{ 505, false, false }, { 511, false, false }, { 512, true, false }, { 599, true, false },
	{ -1, false, false }, { 0, false, false },
};

static const struct {
	int status; const char *name, *value; int64_t after_s; int64_t remaining, reset_s;
} headers[] = {
	{ 429, "Retry-After", "60",				60, -1, 0 },
	{ 503, "retry-after", " 7 ",				7, -1, 0 },
	{ 429, "Retry-After", "Mon, 02 Mar 2026 10:01:30 GMT",	90, -1, 0 },
	{ 429, "Retry-After", "Mon, 02 Mar 2026 09:00:00 GMT",	0, -1, 0 },
	{ 429, "Retry-After", "0",				0, -1, 0 },
	{ 429, "Retry-After", "-5",				0, -1, 0 },
	{ 429, "Retry-After", "soon",				0, -1, 0 },
	{ 429, "Retry-After", "99999999999999999",		86400, -1, 0 },
	{ 429, "Retry-After", "1772445660",			86400, -1, 0 },
	{ 429, "RateLimit-ResetTime", "Mon, 02 Mar 2026 10:00:42 GMT", 42, -1, 42 },
	{ 503, "RateLimit-ResetTime", "Mon, 02 Mar 2026 10:00:42 GMT", 42, -1, 42 },
	{ 200, "RateLimit-ResetTime", "Mon, 02 Mar 2026 10:00:42 GMT", 0, -1, 42 },
	{ 429, "ratelimit-reset", "1772445630",			30, -1, 30 },
	{ 429, "X-RateLimit-Reset", "30",			30, -1, 30 },
	{ 200, "RateLimit-Reset", "1772445630",			0, -1, 30 },
	{ 200, "RateLimit-Remaining", "17",			0, 17, 0 },
	{ 200, "x-ratelimit-remaining", "lots",			0, -1, 0 },
	{ 429, "Content-Length", "60",				0, -1, 0 },
};

static void
test_headers(void)
{
	for (size_t i = 0; i < NELEM(statuses); i++) {
		is_int(retry_gitlab_status(statuses[i].status), statuses[i].gitlab, "GitLab answers %d", statuses[i].status);
		is_int(retry_cloud_status(statuses[i].status), statuses[i].cloud, "a cloud answers %d", statuses[i].status);
	}
	for (size_t i = 0; i < NELEM(headers); i++) {
		struct retry_hint h = RETRY_HINT_INIT;

		retry_hint_header(&h, headers[i].status, str_from(headers[i].name),
		    str_from(headers[i].value), WALL);
		is_int(wall_known(h.not_before) ? wall_between(WALL, h.not_before) / S : 0,
		    headers[i].after_s, "%d with %s: %s", headers[i].status, headers[i].name, headers[i].value);
		is_int(h.remaining, headers[i].remaining, "... calls remaining");
		is_int(wall_known(h.reset) ? wall_between(WALL, h.reset) / S : 0,
		    headers[i].reset_s, "... reset");
	}
	/* both orders of an exhausted budget */
	for (int order = 0; order < 2; order++) {
		struct retry_hint h = RETRY_HINT_INIT;

		for (int i = 0; i < 2; i++) {
			if (i == order)
				retry_hint_header(&h, 200, STR("RateLimit-Remaining"), STR("0"), WALL);
			else
				retry_hint_header(&h, 200, STR("RateLimit-Reset"), STR("1772445620"), WALL);
		}
		is_int(wall_between(WALL, h.not_before) / S, 20,
		    "nothing remaining: wait for the reset, order %d", order);
	}
}

static void
test_delays(void)
{
	/* { attempt, least, most } of each policy */
	static const struct { const struct retry_policy *p; unsigned n; dur_t lo, hi; } cases[] = {
		{ &retry_cloud, 0, 0, 1 * S }, { &retry_cloud, 3, 0, 8 * S },
		{ &retry_cloud, 6, 0, 60 * S }, { &retry_cloud, 4000000000u, 0, 60 * S },
		{ &retry_gitlab, 0, 100 * MS, 100 * MS }, { &retry_gitlab, 1, 100 * MS, 200 * MS },
		{ &retry_gitlab, 3, 100 * MS, 800 * MS }, { &retry_gitlab, 20, 100 * MS, 60 * S },
		{ &retry_final_update, 0, 1 * S, 1 * S }, { &retry_final_update, 12, 1 * S, 3600 * S },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		dur_t lo = INT64_MAX, hi = 0;

		for (uint64_t r = 0; r < 2000; r++) {
			dur_t d = retry_delay(cases[i].p, cases[i].n, r * UINT64_C(0x9e3779b97f4a7c15));

			lo = d < lo ? d : lo;
			hi = d > hi ? d : hi;
		}
		ok(lo >= cases[i].lo && hi <= cases[i].hi, "case %zu: between %lld and %lld ms", i,
		    (long long)(cases[i].lo / MS), (long long)(cases[i].hi / MS));
		ok(hi - lo >= (cases[i].hi - cases[i].lo) / 100 * 95, "... and uses the whole range");
	}
	ok(retry_next(&retry_gitlab, 3, NULL, WALL, 0) > 0, "GitLab: a fifth attempt");
	is_int(retry_next(&retry_gitlab, 4, NULL, WALL, 0), -1, "GitLab: no sixth attempt");
	ok(retry_next(&retry_cloud, 1000, NULL, WALL, 5) >= 0, "clouds: until the deadline");
	for (uint64_t r = 0; r < 50; r++) {
		struct retry_hint h = { wall_add(WALL, 100 * S), -1, -1, WALL_UNKNOWN };
		dur_t d = retry_next(&retry_cloud, 0, &h, WALL, r << 60 | r << 20);

		if (d < 100 * S || d > 105 * S)
			ok(false, "a hint of 100 s gives %lld ms", (long long)(d / MS));
	}
	{
		struct retry_hint h = { wall_add(WALL, 1 * S), -1, -1, WALL_UNKNOWN };

		ok(retry_next(&retry_final_update, 6, &h, WALL, BIG) > 5 * S, "the back-off wins over a shorter hint");
	}
}

static void
test_health(void)
{
	struct health_policy p = { 3, 3600 * S, 4 * 3600 * S };
	struct health h = { 0 };
	wall_t again = WALL_UNKNOWN, t = T0;

	ok(health_allows(&h, &p, t, &again), "healthy at first");
	is_int(health_result(&h, &p, false, t), HEALTH_WORSE, "one refusal");
	is_int(health_result(&h, &p, false, t), HEALTH_WORSE, "two refusals");
	ok(health_allows(&h, &p, t, &again), "still asking");
	is_int(health_result(&h, &p, false, t), HEALTH_LOST, "three refusals: lost");
	ok(!health_allows(&h, &p, wall_add(t, 3600 * S - 1), &again), "pause");
	is_int(wall_between(t, again), 3600 * S, "... until the interval is over");
	ok(health_allows(&h, &p, again, &again), "one forced attempt");
	is_int(health_result(&h, &p, false, again), HEALTH_WORSE, "refused again");
	t = again;
	ok(!health_allows(&h, &p, wall_add(t, 2 * 3600 * S - 1), &again), "twice the pause");
	t = again;
	health_result(&h, &p, false, t);
	health_allows(&h, &p, t, &again);
	is_int(wall_between(t, again), 4 * 3600 * S, "four times");
	t = again;
	health_result(&h, &p, false, t);
	health_allows(&h, &p, t, &again);
	is_int(wall_between(t, again), 4 * 3600 * S, "and no longer");
	ok(health_allows(&h, &p, wall_add(t, -7200 * S), &again), "a clock set back does not prolong it");
	is_int(health_result(&h, &p, true, again), HEALTH_BACK, "back");
	ok(health_allows(&h, &p, again, &again), "asking again");
	is_int(health_result(&h, &p, true, again), HEALTH_OK, "and well");

	/* as upstream: a constant pause, defaults for zeros */
	h = (struct health){ 0 };
	p = (struct health_policy){ 0 };
	for (int i = 0; i < 9; i++)
		health_result(&h, &p, false, t);
	health_allows(&h, &p, t, &again);
	is_int(wall_between(t, again), 3600 * S, "limit and interval have defaults");
	for (int i = 0; i < 100; i++)
		health_result(&h, &p, false, t);
	health_allows(&h, &p, t, &again);
	is_int(wall_between(t, again), 3600 * S, "a hundred refusals do not overflow");
}

static void
test_adaptive(void)
{
	struct adaptive a = { 0 };
	int at[5] = { 0 };

	is_int(adaptive_limit(&a, 10), 1, "begins with one request");
	for (int jobs = 1; jobs <= 40; jobs++) {
		int n;

		adaptive_result(&a, ADAPTIVE_JOB, 10);
		n = adaptive_limit(&a, 10);
		if (n < 5 && at[n] == 0)
			at[n] = jobs;
	}
	is_int(at[2], 2, "two requests after two jobs");
	is_int(at[3], 9, "three after nine");
	is_int(at[4], 13, "four after thirteen");
	is_int(adaptive_limit(&a, 10), 10, "never more than request_concurrency");
	adaptive_result(&a, ADAPTIVE_RETRIED, 10);
	is_int(adaptive_limit(&a, 10), 5, "half after a retried answer");
	adaptive_result(&a, ADAPTIVE_NO_JOB, 10);
	is_int(adaptive_limit(&a, 10), 5, "4.75: five");
	is_int(adaptive_limit(&a, 2), 2, "a lowered request_concurrency holds at once");
	for (int i = 0; i < 100; i++)
		adaptive_result(&a, ADAPTIVE_RETRIED, 10);
	is_int(adaptive_limit(&a, 10), 1, "at least one");
	is_int(adaptive_limit(&a, 0), 1, "also with request_concurrency 0");
}

static void
test_instance(void)
{
	struct instance i = { 0 };
	wall_t t = T0;
	dur_t sum = 0;

	for (int n = 0; n < 10; n++) {
		dur_t d;

		instance_failed(&i, t, (uint64_t)n * 77777777777);
		d = wall_between(t, i.not_before);
		if (n == 0)
			ok(d >= 2400 * MS && d <= 3600 * MS, "3 s +- 20 %% after the first failure");
		if (n == 9)
			ok(d >= 48 * S && d <= 72 * S, "60 s +- 20 %% in the end");
		sum += d;
		t = i.not_before;
	}
	ok(sum < 600 * S, "ten failures take less than ten minutes");
	instance_hold(&i, wall_add(t, 30 * S));
	is_int(wall_between(t, i.not_before), 30 * S, "held as long as the server says");
	instance_hold(&i, wall_add(t, 10 * S));
	is_int(wall_between(t, i.not_before), 30 * S, "a shorter demand does not shorten it");
	instance_ok(&i);
	is_int(i.not_before.ns, 0, "an answer opens it");
}

/* A request started at T0 and its answer came `later`: how long after T0 the next one may start. */
static dur_t
paced(struct pace *p, const struct pace_policy *pol, enum pace_answer a,
    const struct retry_hint *hint, dur_t later, uint64_t rnd)
{
	return wall_between(T0, pace_next(p, pol, a, hint, wall_add(T0, later), rnd));
}

static void
test_pace(void)
{
	struct pace_policy pol = { 0 };
	struct pace_policy strict = { 10 * S, true };
	struct pace p = { 0 };
	struct retry_hint hint = { wall_add(T0, 61 * S), -1, -1, WALL_UNKNOWN };
	dur_t at;
	int asked = 0;

	pace_started(&p, T0);
	is_int(paced(&p, &pol, PACE_NOTHING, NULL, S, 0), 3 * S, "no job: 3 s from start to start");
	is_int(paced(&p, &pol, PACE_NOTHING, NULL, 50 * S, 0), 50 * S,
	    "a long poll was wait enough");
	is_int(paced(&p, &pol, PACE_JOB, NULL, S, 0), S, "a job: at once");
	is_int(paced(&p, &strict, PACE_JOB, NULL, S, 0), 10 * S,
	    "a job, strict_check_interval: not at once");
	is_int(paced(&p, &pol, PACE_REFUSED, NULL, S, 0), 3 * S, "refused: as always");
	at = paced(&p, &pol, PACE_CONFLICT, NULL, S, 12345678901) - S;
	ok(at >= 200 * MS && at <= 1000 * MS, "a conflict: 0.2 to 1 s (%lld ms)", (long long)(at / MS));
	at = paced(&p, &pol, PACE_LATER, NULL, S, 0) - S;
	ok(at >= 5 * S && at <= 6 * S, "429 without a time: 5 s (%lld ms)", (long long)(at / MS));
	at = paced(&p, &pol, PACE_LATER, &hint, S, 0) - S;
	is_int(at, 60 * S, "429 with a time: that time");
	is_int(paced(&p, &pol, PACE_JOB, &hint, S, 0) - S, 60 * S,
	    "a job with the last call of the budget: wait for the reset");

	/* a queue that changes all the time, answered within 10 ms */
	p = (struct pace){ 0 };
	for (wall_t now = T0; wall_between(T0, now) < 60 * S; asked++) {
		pace_started(&p, now);
		now = pace_next(&p, &pol, PACE_CHANGED, NULL, wall_add(now, 10 * MS), 0);
	}
	ok(asked >= 55 && asked <= 64, "a restless queue is asked about once a second (%d in 60 s)", asked);
	p = (struct pace){ 0 };
	pace_started(&p, T0);
	is_int(paced(&p, &pol, PACE_CHANGED, NULL, 20 * S, 0), 20 * S,
	    "woken in the middle of a long poll: at once");
}

static void
test_budget(void)
{
	struct budget b = { 0 };
	int64_t t = WALL.ns;

	is_int(budget_available(&b, t), BUDGET_UNLIMITED, "zeroed: no limit");
	budget_take(&b, 1000, t);
	is_int(budget_next(&b, t), t, "... ever");
	b = budget_make(2, 5);
	is_int(budget_available(&b, t), 5, "a full bucket");
	budget_take(&b, 5, t);
	is_int(budget_available(&b, t), 0, "an empty one");
	is_int(budget_next(&b, t) - t, S / 2, "the next token in half a second");
	is_int(budget_available(&b, t + S / 2 - 1), 0, "not a nanosecond early");
	is_int(budget_available(&b, t + S / 2), 1, "... but then");
	is_int(budget_available(&b, t + 100 * S), 5, "never more than the burst");
	budget_take(&b, 3, t);
	is_int(budget_next(&b, t) - t, 2 * S, "borrowed tokens are paid back first");
	is_int(budget_available(&b, t - 3600 * S), 5, "a clock set back by an hour does not block it for an hour");
	b = budget_make(1, 1);
	for (int i = 0; i < 1000; i++)
		budget_take(&b, 1000, t);
	ok(budget_next(&b, t) - t <= 2 * S, "borrowing has a bottom");
	b = budget_make(0.1, 1);
	budget_take(&b, 1, t);
	budget_change(&b, 10, 1);
	ok(budget_next(&b, t) - t <= 100 * MS, "a faster rate after a reload holds for what was taken");
	b = budget_make(1, 10);
	budget_block(&b, t + 60 * S);
	is_int(budget_next(&b, t) - t, 60 * S, "a block is waited for");
	budget_block(&b, t + 20 * S);
	is_int(budget_next(&b, t) - t, 60 * S, "a shorter block changes nothing");
	b = budget_make(1e-30, 1000000000);
	is_int(budget_available(&b, t), 1 << 20, "absurd rates do not overflow");
	b = budget_make(1e30, 1);
	is_int(budget_available(&b, t), 1, "in either direction");

	/* the long run: 0.5 a second, burst 3, always as many as there are */
	b = budget_make(0.5, 3);
	for (int64_t now = t, taken = 0; ; now = budget_next(&b, now)) {
		if (now >= t + 1000 * S) {
			is_int(taken, 503 - 1, "0.5/s and burst 3: 502 in 1000 s");
			break;
		}
		taken += budget_available(&b, now);
		budget_take(&b, budget_available(&b, now), now);
	}
}

static void
test_minute(void)
{
	struct budget_minute b = { 0 };
	int64_t t = 1800, times[2000], late = 0;
	int n = 0, over = 0;

	is_int(budget_minute_used(&b, t), 0, "nothing was counted");
	is_int(budget_minute_wait(&b, 10, 10, t), 0, "  all may come at once");
	budget_minute_add(&b, 6, t);
	budget_minute_add(&b, 4, t + 20);
	is_int(budget_minute_used(&b, t + 60), 10, "both are of this minute, the second that is under way whole");
	is_int(budget_minute_wait(&b, 1, 10, t + 20), 41, "one more waits for the older ones");
	is_int(budget_minute_wait(&b, 6, 10, t + 20), 41, "  so do six");
	is_int(budget_minute_wait(&b, 7, 10, t + 20), 61, "  seven for all");
	is_int(budget_minute_wait(&b, 11, 10, t + 20), 61, "more than ever may come");
	is_int(budget_minute_used(&b, t + 61), 4, "the older ones are past");
	budget_minute_add(&b, 1, t + 3600);
	is_int(budget_minute_used(&b, t + 3600), 1, "what was counted an hour ago is forgotten");
	for (int i = 0; i < 100; i++)
		budget_minute_add(&b, 1000, t + 3600);
	is_int(budget_minute_used(&b, t + 3600), UINT16_MAX, "a count has a top");

	/* the long run: ten a minute, as soon as they may */
	b = (struct budget_minute){ 0 };
	while (n < (int)NELEM(times)) {
		int64_t wait = budget_minute_wait(&b, 1, 10, t);

		late += wait;
		t += wait > 0 ? wait : n % 3;
		budget_minute_add(&b, 1, t);
		times[n++] = t;
		over += n > 10 && t - times[n - 11] <= 60;
	}
	is_int(over, 0, "never more than ten in any minute");
	ok(late > 0 && t - 1800 < n / 10 * 62, "  and hardly fewer");
}

int
main(void)
{
	test_headers();
	test_delays();
	test_health();
	test_adaptive();
	test_instance();
	test_pace();
	test_budget();
	test_minute();
	return done_testing();
}
