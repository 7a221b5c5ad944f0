/* Token buckets. See budget.h. */
#include "policy/budget.h"

#define NSEC		1e9
#define BURST_MAX	(INT64_C(1) << 20)
#define SPAN_MAX	(INT64_MAX / 4)		/* burst * interval: about 73 years */

struct budget
budget_make(double per_second, int64_t burst)
{
	struct budget b = { 0 };

	budget_change(&b, per_second, burst);
	return b;
}

void
budget_change(struct budget *b, double per_second, int64_t burst)
{
	double interval;

	if (!(per_second > 0)) {
		b->interval = 0;
		b->burst = 0;
		return;
	}
	b->burst = burst < 1 ? 1 : burst > BURST_MAX ? BURST_MAX : burst;
	interval = NSEC / per_second;
	if (interval < 1)
		b->interval = 1;
	else if (interval > (double)(SPAN_MAX / b->burst))
		b->interval = SPAN_MAX / b->burst;
	else
		b->interval = (dur_t)interval;
}

/*
 * When the bucket would be full. Borrowing is at most one bucket deep
 * (budget_take), so a later time means that the clock was set back; then the
 * bucket is taken for full rather than blocked for as long as the clock was wrong.
 */
static int64_t
full_at(const struct budget *b, int64_t now)
{
	if (b->tat <= now || b->tat > add_bounded(now, 2 * b->burst * b->interval))
		return now;
	return b->tat;
}

int
budget_available(const struct budget *b, int64_t now)
{
	dur_t room;

	if (b->blocked_until > now)
		return 0;
	if (b->interval == 0)
		return BUDGET_UNLIMITED;
	room = b->burst * b->interval - (full_at(b, now) - now);
	return room <= 0 ? 0 : (int)(room / b->interval);
}

void
budget_take(struct budget *b, int n, int64_t now)
{
	if (b->interval == 0 || n <= 0)
		return;
	if (n > b->burst)
		n = (int)b->burst;
	b->tat = add_bounded(full_at(b, now), n * b->interval);
	if (b->tat > add_bounded(now, 2 * b->burst * b->interval))
		b->tat = add_bounded(now, 2 * b->burst * b->interval);
}

int64_t
budget_next(const struct budget *b, int64_t now)
{
	int64_t at = now;

	if (b->interval != 0) {
		dur_t wait = full_at(b, now) - now - (b->burst - 1) * b->interval;

		if (wait > 0)
			at = add_bounded(now, wait);
	}
	return b->blocked_until > at ? b->blocked_until : at;
}

void
budget_block(struct budget *b, int64_t until)
{
	if (until > b->blocked_until)
		b->blocked_until = until;
}

/* What was counted in that second; what is no longer known of, or not yet, is nothing. */
static int
in_second(const struct budget_minute *b, int64_t s)
{
	return s < 0 || s > b->at || s <= b->at - BUDGET_SECONDS ? 0 : b->n[s % BUDGET_SECONDS];
}

void
budget_minute_add(struct budget_minute *b, int n, int64_t now_s)
{
	uint16_t *slot = &b->n[now_s % BUDGET_SECONDS];

	for (int64_t s = now_s; s > b->at && s > now_s - BUDGET_SECONDS; s--)
		b->n[s % BUDGET_SECONDS] = 0;
	b->at = now_s;
	*slot = *slot + n > UINT16_MAX ? UINT16_MAX : (uint16_t)(*slot + n);
}

int
budget_minute_used(const struct budget_minute *b, int64_t now_s)
{
	int sum = 0;

	for (int64_t s = now_s; s > now_s - BUDGET_SECONDS; s--)
		sum += in_second(b, s);
	return sum;
}

int
budget_minute_wait(const struct budget_minute *b, int n, int most, int64_t now_s)
{
	int used = budget_minute_used(b, now_s), wait = 0;

	while (wait < BUDGET_SECONDS && used + n > most)
		used -= in_second(b, now_s - BUDGET_SECONDS + ++wait);
	return wait;
}
