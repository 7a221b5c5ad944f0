/* Token buckets. See budget.h. */
#include "policy/budget.h"

#define NSEC		1e9
#define BURST_MAX	(INT64_C(1) << 20)
#define SPAN_MAX	(INT64_MAX / 4)		/* burst * interval: about 73 years */

static int64_t
add(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

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
		b->interval = (int64_t)interval;
}

/*
 * When the bucket would be full. Borrowing is at most one bucket deep
 * (budget_take), so a later time means that the clock was set back; then the
 * bucket is taken for full rather than blocked for as long as the clock was wrong.
 */
static int64_t
full_at(const struct budget *b, int64_t now)
{
	if (b->tat <= now || b->tat > add(now, 2 * b->burst * b->interval))
		return now;
	return b->tat;
}

int
budget_available(const struct budget *b, int64_t now)
{
	int64_t room;

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
	b->tat = add(full_at(b, now), n * b->interval);
	if (b->tat > add(now, 2 * b->burst * b->interval))
		b->tat = add(now, 2 * b->burst * b->interval);
}

int64_t
budget_next(const struct budget *b, int64_t now)
{
	int64_t at = now;

	if (b->interval != 0) {
		int64_t wait = full_at(b, now) - now - (b->burst - 1) * b->interval;

		if (wait > 0)
			at = add(now, wait);
	}
	return b->blocked_until > at ? b->blocked_until : at;
}

void
budget_block(struct budget *b, int64_t until)
{
	if (until > b->blocked_until)
		b->blocked_until = until;
}

void
budget_observe(struct budget *b, int64_t remaining, int64_t reset, int64_t now)
{
	int64_t tat;

	if (remaining <= 0 && reset > now)
		budget_block(b, reset);
	if (b->interval == 0 || remaining < 0 || remaining >= b->burst)
		return;
	tat = add(now, (b->burst - remaining) * b->interval);
	if (tat > full_at(b, now))
		b->tat = tat;
}
