/*
 * The scaling decision. See scale.h for what it promises and
 * spec machines 1.17 for the rules by name (r1-r3, c1-c3, B1-B8).
 *
 * A decision is a handful of passes over the machines, each a function here:
 * count and take out what must go whatever the numbers say; give waiting jobs
 * the idle machines; remove what is above limit; remove what is idle for too
 * long and not wanted; create what is missing; say how many jobs may be asked
 * for; say when to look again. The original's passes (compat) stand beside
 * them and share the tables.
 */
#include "core/mono.h"
#include "policy/choose.h"
#include "policy/scale.h"

#define STUCK_FROM	3
#define TARGET_MAX	(INT_MAX / 4)	/* whatever the configuration says: sums must fit an int */

/* What the passes of one decision share. */
struct pass {
	const struct scale_input	*in;
	const struct scale_policy	*p;
	struct scale_plan		*plan;
	struct scale_counts		 c;
	int				*idle;	/* idle machines still to be decided on, list order; ~i: chosen */
	size_t				 nidle;
	struct choose_key		*keys;	/* scratch to choose of them; .i is a place in idle */
	int				 suspects;	/* of these: last check failed, not yet given up */
	struct choose_key		*jobs;	/* scratch for the waiting */
	int				 unserved;	/* waiting jobs without a machine */
	int				 created;	/* creations of this plan */
	bool				 stale_going;	/* a stale machine is being removed already */
	int64_t				 wake;
};

/* How many creations there is room for, and what bounds them. */
struct room {
	int		n;
	enum scale_why	why;
};

/* Time passed since t; a time in the future is now. */
static dur_t
since(int64_t now, int64_t t)
{
	int64_t d;

	if (t >= now)
		return 0;
	if (__builtin_sub_overflow(now, t, &d))
		return INT64_MAX;
	return d;
}

/* The larger a time, the smaller its key; saturates like everything here. */
static int64_t
descending(int64_t t)
{
	return t == INT64_MIN ? INT64_MAX : -t;
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

static int
at_least_0(int a)
{
	return a < 0 ? 0 : a;
}

/* Counting. */

static int
available(const struct scale_counts *c)
{
	return c->acquired + c->creating + c->idle;
}

static int
total(const struct scale_counts *c)
{
	return c->acquired + c->creating + c->idle + c->used + c->removing + c->stuck;
}

static int *
counter(struct scale_counts *c, const struct scale_machine *m)
{
	switch ((enum scale_state)m->state) {
	case SCALE_CREATING:
		return &c->creating;
	case SCALE_IDLE:
		return &c->idle;
	case SCALE_ACQUIRED:
		return &c->acquired;
	case SCALE_USED:
		return &c->used;
	case SCALE_REMOVING:
		return m->removal_retries >= STUCK_FROM ? &c->stuck : &c->removing;
	case SCALE_STUCK:
		break;
	}
	return &c->stuck;
}

/* trunc(in_use x IdleScaleFactor), whatever nonsense the factor is. */
static int
scaled(const struct scale_policy *p, int in_use)
{
	double f = in_use * p->idle_factor;

	if (!(f >= 1))
		return 0;
	return f > TARGET_MAX ? TARGET_MAX : (int)f;
}

static int
idle_min(const struct scale_policy *p)
{
	return p->idle_factor > 0 && p->idle_count_min < 1 ? 1 : p->idle_count_min;
}

int
scale_idle_target(const struct scale_policy *p, int in_use)
{
	int most = least(p->idle_count, TARGET_MAX), want;

	if (most <= 0)
		return 0;
	if (!(p->idle_factor > 0))
		return most;
	want = scaled(p, in_use);
	if (p->factor_limit > 0)
		want = least(want, p->factor_limit);
	if (want < idle_min(p))
		want = idle_min(p);
	return least(want, most);
}

/* The plan's actions. */

static struct scale_action *
act(struct pass *w, enum scale_act a, enum scale_why why, int machine, int job)
{
	struct scale_plan *plan = w->plan;
	struct scale_action *x;

	if (plan->nactions == plan->cap) {
		plan->cap = plan->cap == 0 ? 64 : plan->cap * 2;
		plan->actions = xrealloc(plan->actions, plan->cap * sizeof(*plan->actions));
	}
	x = &plan->actions[plan->nactions++];
	*x = (struct scale_action){ .act = a, .why = why, .machine = machine, .job = job };
	return x;
}

/* An idle machine goes. */
static struct scale_action *
removal(struct pass *w, enum scale_why why, int machine)
{
	w->c.idle--;
	w->c.removing++;
	return act(w, SCALE_REMOVE, why, machine, -1);
}

static void
wake(struct pass *w, int64_t t)
{
	if (t > w->in->now && (w->wake == 0 || t < w->wake))
		w->wake = t;
}

/* What must go whatever the numbers say. */

static bool
unavailable(const struct scale_policy *p, const struct scale_machine *m)
{
	int enough = p->failure_threshold > 1 ? p->failure_threshold : 1;

	if ((m->flags & SCALE_F_BLIND) != 0 && (p->rules & SCALE_BLIND_IS_OK) == 0)
		return true;
	return m->failures >= enough;
}

static bool
used_up(const struct scale_policy *p, const struct scale_machine *m)
{
	return p->max_builds > 0 && m->uses >= (unsigned)p->max_builds;
}

/* Why this idle machine must go, or SCALE_WHY_NONE. r1 and the reasons the original does not know. */
static enum scale_why
must_go(const struct pass *w, const struct scale_machine *m)
{
	const struct scale_policy *p = w->p;

	if (unavailable(p, m))
		return SCALE_WHY_UNAVAILABLE;
	if (used_up(p, m))
		return SCALE_WHY_BUILDS;
	if ((m->flags & SCALE_F_DOOMED) != 0)
		return SCALE_WHY_DOOMED;
	if ((m->flags & SCALE_F_ENDING) != 0)
		return SCALE_WHY_ENDING;
	if (p->max_age > 0 && since(w->in->now, m->created) > p->max_age)
		return SCALE_WHY_AGE;
	return SCALE_WHY_NONE;
}

static void
remove_as(struct pass *w, enum scale_why why, int i)
{
	const struct scale_machine *m = &w->in->machines[i];
	struct scale_action *a = removal(w, why, i);

	switch (why) {
	case SCALE_WHY_UNAVAILABLE:
		a->a = m->failures;
		break;
	case SCALE_WHY_BUILDS:
		a->a = m->uses;
		a->b = w->p->max_builds;
		break;
	case SCALE_WHY_AGE:
		a->a = since(w->in->now, m->created);
		a->b = w->p->max_age;
		break;
	default:
		break;
	}
}

static void
remove_idle(struct pass *w, int i, int target)
{
	struct scale_action *a = removal(w, SCALE_WHY_IDLE, i);

	a->a = since(w->in->now, w->in->machines[i].used);
	a->b = w->p->idle_time;
	a->c = target;
}

/* Counts the pool and sorts its idle machines into those that must go and those to decide on. */
static void
take_stock(struct pass *w)
{
	const struct scale_input *in = w->in;

	for (size_t i = 0; i < in->nmachines; i++) {
		const struct scale_machine *m = &in->machines[i];
		enum scale_why why;

		(*counter(&w->c, m))++;
		if (m->state == SCALE_REMOVING && (m->flags & SCALE_F_STALE) != 0 &&
		    m->removal_retries < STUCK_FROM)
			w->stale_going = true;
		if (m->state != SCALE_IDLE)
			continue;
		why = must_go(w, m);
		if (why != SCALE_WHY_NONE) {
			remove_as(w, why, (int)i);
			continue;
		}
		if (w->p->max_age > 0)
			wake(w, add_bounded(add_bounded(m->created, w->p->max_age), 1));
		if (m->failures > 0)
			w->suspects++;
		w->idle[w->nidle++] = (int)i;
	}
}

/* Drops the chosen from the list of the undecided. */
static void
close_ranks(struct pass *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->nidle; i++) {
		if (w->idle[i] >= 0)
			w->idle[n++] = w->idle[i];
	}
	w->nidle = n;
}

/* Giving machines to jobs. */

/*
 * Which idle machine a job gets first: not one that failed its last check,
 * one with today's options rather than a stale one, and of these the one
 * used last: its caches are warm, and the others grow old enough to go.
 */
static void
rank_for_jobs(struct pass *w)
{
	for (size_t i = 0; i < w->nidle; i++) {
		const struct scale_machine *m = &w->in->machines[w->idle[i]];
		struct choose_key *k = &w->keys[i];

		k->first = descending(m->used);
		if ((m->flags & SCALE_F_STALE) != 0)
			k->first = add_bounded(k->first, INT64_MAX / 2);
		if (m->failures > 0)
			k->first = INT64_MAX;
		/* ties go to the newest, then to the last of the list */
		k->second = descending(m->created);
		k->i = -(int)i;
	}
}

/* The oldest waiting job takes the first machine, and so on. */
static void
assign(struct pass *w)
{
	const struct scale_input *in = w->in;
	size_t n = in->nwaiting;
	size_t fit = w->nidle - (size_t)w->suspects;

	w->unserved = (int)n;
	if (n == 0 || fit == 0)
		return;
	if (n > fit)
		n = fit;
	for (size_t j = 0; j < in->nwaiting; j++)
		w->jobs[j] = (struct choose_key){ in->waiting[j].arrived, 0, (int)j };
	choose_least(w->jobs, in->nwaiting, n);
	choose_sort(w->jobs, n);
	rank_for_jobs(w);
	choose_least(w->keys, w->nidle, n);
	choose_sort(w->keys, n);
	for (size_t j = 0; j < n; j++) {
		int *machine = &w->idle[-w->keys[j].i];
		int job = w->jobs[j].i;
		struct scale_action *a = act(w, SCALE_ASSIGN, SCALE_WHY_OLDEST, *machine, job);

		a->a = since(in->now, in->waiting[job].arrived);
		w->c.idle--;
		w->c.used++;
		*machine = ~*machine;
	}
	w->unserved -= (int)n;
	close_ranks(w);
}

/* Removing. */

/*
 * B2. What is suspect goes first, then what is stale, then the
 * longest idle. (Machines that must go are gone before this; the end of a
 * paid hour decides in may_go() whether a machine is a candidate at all.)
 */
static struct choose_key
removal_rank(const struct pass *w, size_t place)
{
	const struct scale_machine *m = &w->in->machines[w->idle[place]];
	struct choose_key k = { 0, 0, (int)place };

	if ((w->p->rules & SCALE_VICTIM_ORDER) == 0)
		return k;
	k.first = m->used;
	k.second = m->created;
	if ((m->flags & SCALE_F_STALE) != 0)
		k.first = add_bounded(k.first, INT64_MIN / 2);
	if (m->failures > 0)
		k.first = INT64_MIN;
	return k;
}

/* The end of the paid unit a machine is in, less the time a removal needs. */
static int64_t
paid_until(const struct scale_policy *p, const struct scale_machine *m, int64_t now)
{
	int64_t units = since(now, m->created) / p->billing_unit;
	int64_t begun = add_bounded(m->created, units * p->billing_unit);

	return add_bounded(begun, p->billing_unit - p->billing_margin);
}

/*
 * When an idle machine becomes a candidate for r3, if it is not wanted: more than
 * IdleTime without use, older than the grace time, and, where the cloud
 * sells by the hour, shortly before the next hour begins. `now` or earlier: it is one.
 */
static int64_t
may_go_at(const struct scale_policy *p, const struct scale_machine *m, int64_t now)
{
	int64_t used = m->used > now ? now : m->used;
	int64_t t = add_bounded(add_bounded(used, p->idle_time), 1);

	if ((p->rules & SCALE_VICTIM_ORDER) == 0)
		return t;
	if (add_bounded(m->created, p->grace) > t)
		t = add_bounded(m->created, p->grace);
	if (p->billing_unit > 0 && paid_until(p, m, t > now ? t : now) > t)
		t = paid_until(p, m, t > now ? t : now);
	return t;
}

/*
 * Removes n of the first `among` candidates in keys: which ones says the victim
 * order, the plan names them in list order. The others stay undecided.
 */
static void
remove_some(struct pass *w, size_t among, int n, enum scale_why why, int a, int b)
{
	size_t k = (size_t)at_least_0(n);

	if (k > among)
		k = among;
	choose_least(w->keys, among, k);
	for (size_t i = 0; i < k; i++)
		w->idle[w->keys[i].i] = ~w->idle[w->keys[i].i];
	for (size_t i = 0; i < w->nidle; i++) {
		const struct scale_machine *m;
		struct scale_action *x;

		if (w->idle[i] >= 0)
			continue;
		m = &w->in->machines[~w->idle[i]];
		x = removal(w, why, ~w->idle[i]);
		x->a = why == SCALE_WHY_IDLE ? since(w->in->now, m->used) : a;
		x->b = why == SCALE_WHY_IDLE ? w->p->idle_time : b;
		x->c = why == SCALE_WHY_IDLE ? a : 0;
		if (m->failures > 0)
			w->suspects--;
	}
	if (k > 0)
		close_ranks(w);
}

/* The same with every undecided machine a candidate. */
static void
remove_excess(struct pass *w, int n, enum scale_why why, int a, int b)
{
	if (n <= 0)
		return;
	for (size_t i = 0; i < w->nidle; i++)
		w->keys[i] = removal_rank(w, i);
	remove_some(w, w->nidle, n, why, a, b);
}

static int
removals(const struct scale_plan *plan)
{
	int n = 0;

	for (size_t i = 0; i < plan->nactions; i++)
		n += plan->actions[i].act == SCALE_REMOVE;
	return n;
}

/* r2 with B1: machines being removed do not count, else a slow deletion would drag healthy ones after it. */
static void
remove_above_limit(struct pass *w)
{
	int have = available(&w->c) + w->c.used;

	if (w->p->limit > 0)
		remove_excess(w, have - w->p->limit, SCALE_WHY_LIMIT, have, w->p->limit);
	/* whatever goes for another reason brings the number of all runners down too */
	remove_excess(w, w->in->machines_over - removals(w->plan), SCALE_WHY_CAP,
	    w->in->machines_over, 0);
}

/* W22: one at a time, and each only when the one before is gone. */
static void
recycle_stale(struct pass *w)
{
	size_t victim = SIZE_MAX;

	if (w->stale_going || w->in->phase != SCALE_RUN)
		return;
	for (size_t i = 0; i < w->nidle; i++) {
		const struct scale_machine *m = &w->in->machines[w->idle[i]];

		if ((m->flags & SCALE_F_STALE) != 0 && (victim == SIZE_MAX ||
		    m->used < w->in->machines[w->idle[victim]].used))
			victim = i;
	}
	if (victim == SIZE_MAX)
		return;
	if (w->in->machines[w->idle[victim]].failures > 0)
		w->suspects--;
	removal(w, SCALE_WHY_STALE, w->idle[victim]);
	w->idle[victim] = ~w->idle[victim];
	close_ranks(w);
}

/* Machines in use, as the factor sees them: a waiting job will be in one. */
static int
in_use(const struct pass *w)
{
	return w->c.used + w->unserved;
}

/*
 * How many idle machines have not been used for IdleTime, and when there is one more. While no more than the target
 * are so, the pool has had a use for the rest within IdleTime, and will likely have one again. Without this rule, IdleTime
 * means nothing to a pool with an idle target: some machine has always been idle for longer, goes the moment
 * a job ends, and is created anew when the next one begins.
 */
static int
long_unused(const struct pass *w, int64_t *next)
{
	int n = 0;

	*next = 0;
	for (size_t i = 0; i < w->nidle; i++) {
		int64_t used = w->in->machines[w->idle[i]].used;
		int64_t at = add_bounded(add_bounded(used > w->in->now ? w->in->now : used, w->p->idle_time), 1);

		if (at <= w->in->now)
			n++;
		else if (*next == 0 || at < *next)
			*next = at;
	}
	return n;
}

/* r3 with B1: surplus, and only surplus, goes. */
static void
remove_surplus(struct pass *w)
{
	int target = scale_idle_target(w->p, in_use(w));
	int surplus = available(&w->c) - w->unserved - target;
	int64_t next = 0;
	size_t n = 0;

	if (surplus > 0 && (w->p->rules & SCALE_LINGER) != 0) {
		int spare = long_unused(w, &next) - target;

		if (spare < surplus) {
			surplus = spare;
			wake(w, next);
		}
		next = 0;
	}
	if (surplus <= 0)
		return;
	/* those that may not go yet only tell when to look again */
	for (size_t i = 0; i < w->nidle; i++) {
		int64_t at = may_go_at(w->p, &w->in->machines[w->idle[i]], w->in->now);

		if (at <= w->in->now)
			w->keys[n++] = removal_rank(w, i);
		else if (next == 0 || at < next)
			next = at;
	}
	if (n < (size_t)surplus)
		wake(w, next);
	remove_some(w, n, surplus, SCALE_WHY_IDLE, target, 0);
}

static void
remove_all_idle(struct pass *w)
{
	for (size_t i = 0; i < w->nidle; i++)
		removal(w, SCALE_WHY_DRAIN, w->idle[i]);
	w->nidle = 0;
	w->suspects = 0;
}

/* Creating. */

static void
bound(struct room *r, int n, enum scale_why why)
{
	if (n < r->n) {
		r->n = at_least_0(n);
		r->why = why;
	}
}

/* c1, c2, B3, B5, B8 and max_machines. */
static struct room
creation_room(const struct pass *w)
{
	const struct scale_input *in = w->in;
	const struct scale_policy *p = w->p;
	struct room r = { SCALE_UNLIMITED, SCALE_WHY_NONE };
	int reserved = (p->rules & SCALE_RESERVE) != 0 ? in->pending : 0;

	if (p->limit > 0)
		bound(&r, p->limit - total(&w->c) - reserved, SCALE_WHY_AT_LIMIT);
	if (p->max_growth > 0)
		bound(&r, p->max_growth - w->c.creating, SCALE_WHY_GROWTH);
	if (in->machines_free != SCALE_UNLIMITED)
		bound(&r, in->machines_free - reserved, SCALE_WHY_AT_CAP);
	/* The account's own word comes before what follows from a failure that it caused. */
	if (in->account != NULL && in->blocked != SCALE_WHY_NONE && in->account->blocked_until > in->now && (p->rules & SCALE_PACE) != 0)
		bound(&r, 0, in->blocked);
	if (in->gate != NULL && (p->rules & SCALE_FAILURE_GATE) != 0)
		bound(&r, scale_gate_room(in->gate, in->now), SCALE_WHY_BACKOFF);
	if (in->growth != NULL && (p->rules & SCALE_PACE) != 0)
		bound(&r, budget_available(in->growth, in->now), SCALE_WHY_PACE);
	if (in->account != NULL && (p->rules & SCALE_PACE) != 0)
		bound(&r, budget_available(in->account, in->now), SCALE_WHY_ACCOUNT);
	return r;
}

/* When the bucket has one token more than this plan's creations leave in it; 0 when it is full. */
static int64_t
next_token(const struct pass *w, const struct budget *b)
{
	struct budget after = *b;
	int left;

	if (b->blocked_until > w->in->now)
		return b->blocked_until;
	budget_take(&after, w->created, w->in->now);
	left = budget_available(&after, w->in->now);
	if (left >= after.burst)
		return 0;
	budget_take(&after, left, w->in->now);
	return budget_next(&after, w->in->now);
}

/* The moment when time alone lifts this bound. */
static void
wake_for(struct pass *w, enum scale_why why)
{
	if (why == SCALE_WHY_BACKOFF)
		wake(w, w->in->gate->not_before);
	else if (why == SCALE_WHY_PACE)
		wake(w, next_token(w, w->in->growth));
	else if (why == SCALE_WHY_ACCOUNT || why == SCALE_WHY_QUOTA || why == SCALE_WHY_THROTTLED)
		wake(w, next_token(w, w->in->account));
}

static void
create(struct pass *w, int n, enum scale_why why, int a, int b)
{
	struct scale_action *x;

	if (n <= 0)
		return;
	x = act(w, SCALE_CREATE, why, -1, -1);
	x->n = n;
	x->a = a;
	x->b = b;
	w->c.creating += n;
	w->created += n;
}

/*
 * One machine for each waiting job beyond those that are coming, then up to the idle
 * target. `*room` is what is left afterwards.
 */
static void
create_missing(struct pass *w, struct room *room)
{
	int have = available(&w->c);
	int for_jobs = at_least_0(w->unserved - have);
	int spare = at_least_0(have - w->unserved);
	int target = scale_idle_target(w->p, in_use(w));
	int for_idle = w->in->phase == SCALE_RUN ? at_least_0(target - spare) : 0;
	int n = least(for_jobs + for_idle, room->n);

	w->plan->idle_target = target;
	create(w, least(n, for_jobs), SCALE_WHY_WAITING, w->unserved, have);
	create(w, n - least(n, for_jobs), SCALE_WHY_BELOW_IDLE, spare, target);
	w->plan->short_by = for_jobs + for_idle - n;
	if (w->plan->short_by > 0) {
		w->plan->held = room->why;
		wake_for(w, room->why);
	}
	if (room->n != SCALE_UNLIMITED)
		room->n -= n;
}

/* Asking. */

/* What bounds jobs whatever machines there are. */
static struct room
job_room(const struct pass *w)
{
	const struct scale_input *in = w->in;
	struct room r = { SCALE_UNLIMITED, SCALE_WHY_NONE };

	if (in->phase != SCALE_RUN)
		bound(&r, 0, SCALE_WHY_CLOSING);
	if (w->p->limit > 0)
		bound(&r, w->p->limit - (int)in->nwaiting - in->running, SCALE_WHY_AT_LIMIT);
	bound(&r, in->slots_free, SCALE_WHY_AT_CONCURRENT);
	return r;
}

/*
 * A job may be asked for when there is an idle machine for it, one that is
 * coming and not spoken for, or one that could be started now. Beyond that
 * it is better off in GitLab's queue, where another runner may take it.
 */
static void
ask(struct pass *w, struct room startable)
{
	struct room r = job_room(w);
	int ready = w->c.idle - w->suspects;
	int supply = ready + w->c.creating - w->unserved;

	if (w->p->preemptive)
		bound(&r, at_least_0(ready - w->unserved), SCALE_WHY_PREEMPTIVE);
	if (startable.n != SCALE_UNLIMITED && supply + startable.n < r.n) {
		bound(&r, supply + startable.n, startable.why);
		wake_for(w, startable.why);
	}
	w->plan->ask = r.n;
	w->plan->ask_why = r.why;
	w->plan->verdict = r.n > 0 ? SCALE_ON_DEMAND : SCALE_NO_FREE;
}

/* The original. */

/* OverIdle of 1.5, with counters that may be those of a part of the list. */
static bool
over_idle(const struct scale_policy *p, const struct scale_counts *c)
{
	return available(c) >= scale_idle_target(p, c->used);
}

/* The removal pass: counters of the machines earlier in the list only. */
static void
compat_removals(struct pass *w)
{
	const struct scale_input *in = w->in;
	const struct scale_policy *p = w->p;

	for (size_t i = 0; i < in->nmachines; i++) {
		const struct scale_machine *m = &in->machines[i];
		enum scale_why why;

		if (m->state != SCALE_IDLE) {
			(*counter(&w->c, m))++;
			continue;
		}
		why = must_go(w, m);
		if (why == SCALE_WHY_NONE && p->limit > 0 && total(&w->c) >= p->limit)
			why = SCALE_WHY_LIMIT;
		if (why == SCALE_WHY_NONE && since(in->now, m->used) > p->idle_time &&
		    over_idle(p, &w->c))
			why = SCALE_WHY_IDLE;
		w->c.idle++;
		if (why == SCALE_WHY_NONE) {
			w->idle[w->nidle++] = (int)i;
		} else if (why == SCALE_WHY_IDLE) {
			remove_idle(w, (int)i, p->idle_count);
		} else if (why == SCALE_WHY_LIMIT) {
			struct scale_action *a = removal(w, why, (int)i);

			a->a = total(&w->c);
			a->b = p->limit;
		} else {
			remove_as(w, why, (int)i);
		}
	}
}

/* c1-c3, as often as they hold: every creation makes one more available, nothing else changes. */
static void
compat_creations(struct pass *w, struct room *room)
{
	int have = available(&w->c);
	int target = scale_idle_target(w->p, w->c.used);
	int want = at_least_0(target - have);
	int n = least(want, room->n);

	create(w, n, SCALE_WHY_BELOW_IDLE, have, target);
	if (want > n) {
		w->plan->short_by = want - n;
		w->plan->held = room->why;
		wake_for(w, room->why);
	}
	if (room->n != SCALE_UNLIMITED)
		room->n -= n;
}

/* Machines to try, the last of the list first; with B2 the one a job would get. */
static void
order_tries(struct pass *w)
{
	if ((w->p->rules & SCALE_VICTIM_ORDER) != 0) {
		rank_for_jobs(w);
		choose_sort(w->keys, w->nidle);
	} else {
		for (size_t i = 0; i < w->nidle; i++)
			w->keys[i].i = -(int)(w->nidle - 1 - i);
	}
	/* .second keeps the machine while .i says its place */
	for (size_t i = 0; i < w->nidle; i++)
		w->keys[i].second = w->idle[-w->keys[i].i];
	for (size_t i = 0; i < w->nidle; i++)
		w->idle[i] = (int)w->keys[i].second;
}

/*
 * Use: jobs that came without a machine take what is idle, and each that finds none
 * has one created for it, once, whatever the limits say. Returns how many idle machines they took.
 */
static size_t
compat_use(struct pass *w)
{
	const struct scale_input *in = w->in;
	size_t taken = 0;

	for (size_t j = 0; j < in->nwaiting; j++)
		w->jobs[j] = (struct choose_key){ in->waiting[j].arrived, 0, (int)j };
	choose_sort(w->jobs, in->nwaiting);
	for (size_t j = 0; j < in->nwaiting; j++) {
		int job = w->jobs[j].i;
		struct scale_action *a;

		if (taken < w->nidle) {
			a = act(w, SCALE_ASSIGN, SCALE_WHY_OLDEST, w->idle[taken++], job);
			a->a = since(in->now, in->waiting[job].arrived);
			w->c.idle--;
			w->c.used++;
			continue;
		}
		w->unserved++;
		if (in->waiting[job].created)
			continue;
		a = act(w, SCALE_CREATE, SCALE_WHY_WAITING, -1, job);
		a->n = 1;
		a->a = 1;
		w->c.creating++;
	}
	return taken;
}

/* Step 5 of 1.17: the answer when nothing could be had. */
static enum scale_verdict
compat_verdict(const struct pass *w, int idle, const struct room *room)
{
	if (w->p->idle_count == 0 && room->n > 0)
		return SCALE_ON_DEMAND;
	if (idle == 0)
		return SCALE_NO_FREE;
	if ((w->p->rules & SCALE_NO_UNBACKED) != 0 && w->p->idle_count > 0)
		return SCALE_NO_FREE;
	return SCALE_UNBACKED;
}

/* One tick of Acquire, then what Use would do for jobs that came without a machine. */
static void
decide_tick(struct pass *w)
{
	struct scale_plan *plan = w->plan;
	struct room room = { 0, SCALE_WHY_CLOSING };
	struct room jobs = job_room(w);
	size_t taken;
	int idle;

	if (w->in->phase != SCALE_RUN) {
		/* nothing polls, so nothing ticks: idle machines stay as they are, unless drained below */
		take_stock(w);
	} else if ((w->p->rules & SCALE_FULL_COUNTS) != 0) {
		take_stock(w);
		remove_above_limit(w);
		recycle_stale(w);
		remove_surplus(w);
	} else {
		compat_removals(w);
	}
	if (w->in->phase == SCALE_RUN) {
		room = creation_room(w);
		compat_creations(w, &room);
	}
	idle = w->c.idle;
	order_tries(w);
	taken = compat_use(w);
	w->idle += taken;
	w->nidle -= taken;
	if (w->in->phase == SCALE_DRAIN)
		remove_all_idle(w);
	if (w->in->phase == SCALE_RUN) {
		for (size_t i = 0; i < w->nidle; i++)
			act(w, SCALE_TRY, SCALE_WHY_NEWEST, w->idle[i], -1);
	}
	plan->idle_target = scale_idle_target(w->p, w->c.used);
	plan->verdict = compat_verdict(w, idle, &room);
	if (w->in->phase != SCALE_RUN)
		plan->verdict = SCALE_NO_FREE;
	if (w->nidle == 0 && plan->verdict == SCALE_NO_FREE)
		bound(&jobs, 0, w->p->idle_count == 0 ? room.why : SCALE_WHY_NO_FREE);
	/* one at a time: the next request is another tick */
	plan->ask = least(jobs.n, 1);
	plan->ask_why = plan->ask > 0 ? SCALE_WHY_NONE : jobs.why;
}

static void
decide_queue(struct pass *w)
{
	struct room room;

	take_stock(w);
	assign(w);
	if (w->in->phase == SCALE_DRAIN) {
		remove_all_idle(w);
	} else {
		remove_above_limit(w);
		recycle_stale(w);
		remove_surplus(w);
	}
	room = creation_room(w);
	create_missing(w, &room);
	ask(w, room);
}

/* Memory for the candidates: a place and a key for each machine, a key for each waiting job. */
static void
make_room(struct pass *w)
{
	struct scale_plan *plan = w->plan;
	size_t nm = w->in->nmachines, nj = w->in->nwaiting;

	assert(nm < INT_MAX / 4 && nj < INT_MAX / 4);
	if (plan->work == NULL || nm + nj > plan->wcap) {
		plan->wcap = nm + nj + (nm + nj) / 4 + 16;
		plan->work = xrealloc(plan->work, plan->wcap * sizeof(*plan->work));
		plan->list = xrealloc(plan->list, plan->wcap * sizeof(*plan->list));
	}
	w->idle = plan->list;
	w->keys = plan->work;
	w->jobs = plan->work + nm;
}

void
scale_decide(const struct scale_input *in, struct scale_plan *plan)
{
	struct pass w = { .in = in, .p = in->policy, .plan = plan };

	make_room(&w);
	plan->nactions = 0;
	plan->held = SCALE_WHY_NONE;
	plan->short_by = 0;
	if ((w.p->rules & SCALE_QUEUE) != 0)
		decide_queue(&w);
	else
		decide_tick(&w);
	plan->counts = w.c;
	wake(&w, w.p->until);
	plan->wake_at = (w.p->rules & SCALE_OWN_CLOCK) != 0 ? w.wake : 0;
}

void
scale_plan_free(struct scale_plan *plan)
{
	free(plan->actions);
	free(plan->work);
	free(plan->list);
	*plan = (struct scale_plan){ 0 };
}

struct scale_policy
scale_policy_default(void)
{
	return (struct scale_policy){
		.rules = SCALE_BETTER,
		.failure_threshold = 3,
		.grace = 60 * NSEC_SEC,
		.billing_margin = 120 * NSEC_SEC,
	};
}
