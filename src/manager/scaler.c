/*
 * Brings the tables before policy/scale and carries its plan out. No rule
 * of scaling is here: only which numbers go in and who does what comes out.
 *
 * A round decides for one pool after the other, the one whose job has waited longest first, so that what
 * they share (concurrent, max_machines, the cloud account) goes to whom it is due. Jobs are given their machines at the
 * end of the round, the oldest of all pools first.
 *
 * Without SCALE_QUEUE, that is with the original's algorithm, only a job request is a tick (scaler_acquire(), from
 * pollers.c); the rounds between serve jobs that came without a machine, as the original's Use does, and, with
 * SCALE_OWN_CLOCK, keep the pool at its target.
 */
#include "catalog/clouds.h"
#include "config/policy.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/log.h"
#include "core/rand.h"
#include "manager/parts.h"

/* Idle machines of a broken entry go as its IdleTime says, if that can be read. */
#define IDLE_TIME_MAX	1000000000
/* Failed creations after which the original lets the job fail. */
#define CREATIONS_MAX	9
/* How long after the directory of a job its poller's message may come. */
#define MESSAGE_WAIT	(2 * NSEC_SEC)
/* How long an account at its limit is left alone at least. */
#define QUOTA_WAIT	(30 * NSEC_SEC)

/* Whether the entry can be worked with: it is there, and nothing is wrong with it. */
static bool
usable(const struct pool *p)
{
	return p->conf != NULL && p->conf->disabled == NULL;
}

/* Idle machines of an entry that left or broke a moment ago: a typing error, or a deployment in its middle, costs no pool. */
static bool
in_grace(const struct pool *p)
{
	return !usable(p) && wall_known(p->left) && wall_between(p->left, wall_now()) < p->grace;
}

/* Whether its machines may stay at all. An entry with a fault keeps them: it will be mended. */
static bool
stays(const struct pool *p)
{
	return in_grace(p) || (p->conf != NULL && (p->conf->disabled == NULL || strcmp(p->conf->executor, "docker+machine") == 0));
}

static bool
by_queue(const struct pool *p)
{
	return !usable(p) || (p->conf->rules & SCALE_QUEUE) != 0;
}

/* ---- what goes in ---- */

static void
note_period(struct manager *m, struct pool *p, int section)
{
	const struct periods_values *v = periods_values(&p->conf->periods, section);

	if (section < 0)
		log_info("Autoscaling: no period holds, the values of [runners.machine] do", F_STR("runner", p->conf->short_token),
		    F_INT("IdleCount", v->idle_count), F_DUR("IdleTime", v->idle_time));
	else
		log_info("Autoscaling: another period has begun", F_STR("runner", p->conf->short_token), F_INT("number", section + 1),
		    F_INT("IdleCount", v->idle_count), F_DUR("IdleTime", v->idle_time));
	event_note(m, EVENT_MANAGER, ABOUT(.pool = p), "period",
	    "[[runners.machine.autoscaling]] number %d holds now (0: none): IdleCount %d",
	    section + 1, v->idle_count);
}

/* Which section holds, asked again only when another may. */
static void
resolve_period(struct manager *m, struct pool *p, wall_t now)
{
	const struct periods *periods = &p->conf->periods;
	bool known = wall_known(p->section_until);
	int section;

	if (known && !wall_before(now, p->section_from) && wall_before(now, p->section_until))
		return;
	section = periods_active(periods, now);
	if (periods->nsections > 0 && (section != p->section || !known))
		note_period(m, p, section);
	p->section = section;
	p->section_from = now;
	p->section_until = periods_until(periods, now);
}

static struct scale_policy
policy_of(struct manager *m, struct pool *p, wall_t now)
{
	struct scale_policy pol = scale_policy_default();

	if (!usable(p)) {
		if (in_grace(p))
			pol.idle_time = IDLE_TIME_MAX * NSEC_SEC;
		else if (p->conf != NULL && p->conf->idle_time > 0 && p->conf->idle_time < IDLE_TIME_MAX)
			pol.idle_time = p->conf->idle_time * NSEC_SEC;
		return pol;
	}
	resolve_period(m, p, now);
	pol = runner_policy(p->conf, p->section);
	if (p->conf->periods.nsections > 0)
		pol.until = p->section_until.ns;
	return pol;
}

static struct account *
account_of(struct manager *m, const char *key)
{
	struct account *a;

	LIST_EACH(struct account, it, link, &m->accounts)
		if (strcmp(it->key, key) == 0)
			return it;
	a = xcalloc(1, sizeof(*a));
	snprintf(a->key, sizeof(a->key), "%s", key);
	list_add(&m->accounts, &a->link);
	return a;
}

/* When it stopped being an entry that can run, and how long its idle machines outlast that. */
static void
note_left(struct pool *p)
{
	int64_t s = p->conf != NULL ? p->conf->idle_time : -1;

	for (size_t i = 0; s >= 0 && i < p->conf->nautoscaling; i++)
		s = p->conf->autoscaling[i].idle_time > s ? p->conf->autoscaling[i].idle_time : s;
	if (s >= 0 && s < IDLE_TIME_MAX)
		p->grace = s * NSEC_SEC;
	if (usable(p))
		p->left = WALL_UNKNOWN;
	else if (!wall_known(p->left))
		p->left = wall_now();
}

void
scaler_reload(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools) {
		const struct catalog_cloud *cloud;

		note_left(p);
		p->section_until = WALL_UNKNOWN;
		p->account = NULL;
		if (!usable(p))
			continue;
		p->account = account_of(m, p->conf->account);
		cloud = catalog_find(str_from(p->conf->machine_driver));
		p->account->limit = cloud != NULL && cloud->calls.minute > 0 ? &cloud->calls : NULL;
		/* What was taken stays taken. */
		if (p->growth.interval == 0)
			p->growth = runner_growth(p->conf);
		else
			budget_change(&p->growth, p->conf->growth_per_second, p->conf->growth_burst);
	}
}

void
scaler_start(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools) {
		int coming = 0;

		if (by_queue(p))
			continue;
		LIST_EACH(struct machine, mc, link, &m->machines)
			coming += mc->pool == p && mc->state == SCALE_CREATING;
		LIST_EACH(struct job, j, link, &m->jobs)
			if (j->pool == p && j->state == JOB_WAITING && coming-- > 0)
				j->created = true;
	}
}

static enum scale_phase
phase_of(const struct manager *m, const struct pool *p)
{
	if (!stays(p))
		return SCALE_DRAIN;
	if (m->phase == MANAGER_RUNNING)
		return usable(p) ? SCALE_RUN : SCALE_QUIET;
	/* The next manager wants the machines that this one leaves. */
	return m->config->drain && m->phase != MANAGER_LEAVING ? SCALE_DRAIN : SCALE_QUIET;
}

/*
 * Waiting for a machine. Not so while its poller, which may hold a machine for it, has yet to say that this is
 * the job it brought: the directory can be seen an instant before the message. A poller that died says nothing.
 */
static bool
counts_as_waiting(const struct pool *p, const struct job *j)
{
	return j->pool == p && j->state == JOB_WAITING && (by_queue(p) || j->announced || pollers_in_flight(p) == 0 ||
	    wall_between(j->arrived, wall_now()) > MESSAGE_WAIT);
}

struct tables {
	struct scale_machine	*machines;
	struct scale_job	*jobs;
	size_t			 nmachines, njobs;
};

static int
oldest_first(const void *a, const void *b)
{
	const struct scale_job *x = a, *y = b;

	return x->arrived < y->arrived ? -1 : x->arrived > y->arrived;
}

/* The original lists what is on disk by name, then what it only remembers: machines that are asked for (spec machines 1.4). */
static int
in_list_order(const void *a, const void *b)
{
	const struct machine *x = ((const struct scale_machine *)a)->ref, *y = ((const struct scale_machine *)b)->ref;
	int x_later = x->state == SCALE_CREATING && x->phase == PHASE_NONE;
	int y_later = y->state == SCALE_CREATING && y->phase == PHASE_NONE;

	return x_later != y_later ? x_later - y_later : strcmp(x->name, y->name);
}

static struct tables
tables_of(struct manager *m, const struct pool *p)
{
	struct tables t = { 0 };
	size_t nm = 0, nj = 0;

	LIST_EACH(struct machine, mc, link, &m->machines)
		nm += mc->pool == p;
	LIST_EACH(struct job, j, link, &m->jobs)
		nj += counts_as_waiting(p, j);
	t.machines = xcalloc(nm, sizeof(*t.machines));
	t.jobs = xcalloc(nj, sizeof(*t.jobs));
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (mc->pool == p)
			t.machines[t.nmachines++] = (struct scale_machine){ .ref = mc, .created = mc->created.ns,
			    .used = mc->used.ns, .uses = mc->uses, .failures = mc->failures,
			    .removal_retries = mc->removal_retries, .state = (uint8_t)mc->state, .flags = (uint8_t)mc->flags };
	LIST_EACH(struct job, j, link, &m->jobs)
		if (counts_as_waiting(p, j))
			t.jobs[t.njobs++] = (struct scale_job){ .ref = j, .arrived = j->arrived.ns, .created = j->created };
	qsort(t.machines, t.nmachines, sizeof(*t.machines), in_list_order);
	qsort(t.jobs, t.njobs, sizeof(*t.jobs), oldest_first);
	return t;
}

static void
tables_free(struct tables *t)
{
	free(t->machines);
	free(t->jobs);
}

/* max_machines against the machines of all runners. */
static void
measure_cap(const struct manager *m, struct scale_input *in)
{
	int64_t all = 0, staying = 0, max = m->config->max_machines;

	in->machines_free = SCALE_UNLIMITED;
	if (max <= 0)
		return;
	LIST_EACH(struct machine, mc, link, &m->machines) {
		all++;
		staying += mc->state != SCALE_REMOVING && mc->state != SCALE_STUCK;
	}
	in->machines_free = all >= max ? 0 : (int)(max - all < SCALE_UNLIMITED ? max - all : SCALE_UNLIMITED - 1);
	in->machines_over = staying > max ? (int)(staying - max) : 0;
}

/* B3: requests under way that hold no machine. */
static int
requests_without_machine(const struct pool *p)
{
	int n = 0;

	LIST_EACH(struct poller, po, link, &p->pollers)
		n += po->asked && po->acquired == NULL;
	return n;
}

/* ---- what comes out ---- */

/* A job that gets an idle machine. Given at the end of the round. */
struct gift {
	struct job		*job;
	struct machine		*machine;
	struct scale_action	 action;
};

struct gifts {
	struct gift	*v;
	size_t		 n, cap;
};

static void
promise(struct gifts *g, struct job *j, struct machine *mc, const struct scale_action *a)
{
	if (g->n == g->cap) {
		g->cap = g->cap == 0 ? 16 : g->cap * 2;
		g->v = xrealloc(g->v, g->cap * sizeof(*g->v));
	}
	g->v[g->n++] = (struct gift){ j, mc, *a };
}

static int
longest_wait_first(const void *a, const void *b)
{
	const struct gift *x = a, *y = b;

	return wall_before(x->job->arrived, y->job->arrived) ? -1 : wall_before(y->job->arrived, x->job->arrived);
}

/* Jobs of several pools may have arrived at once, more than concurrent allows: the oldest run. */
static void
give(struct manager *m, struct gifts *g)
{
	struct buf why = { 0 };

	if (g->n > 1)
		qsort(g->v, g->n, sizeof(*g->v), longest_wait_first);
	for (size_t i = 0; i < g->n && m->phase != MANAGER_STOPPING; i++) {
		if (jobs_with_machine(m, NULL) >= m->config->concurrent)
			break;
		buf_clear(&why);
		scale_explain(&g->v[i].action, &why);
		job_assign(m, g->v[i].job, g->v[i].machine, scale_why_word(g->v[i].action.why), buf_str(&why));
	}
	buf_free(&why);
	free(g->v);
	*g = (struct gifts){ 0 };
}

static void
create(struct manager *m, struct pool *p, const struct scale_action *a, struct job *j, struct str why)
{
	if (m->phase == MANAGER_STOPPING || !usable(p))
		return;
	log_info("Scaling up", F_INT("machines", a->n), F_STR("runner", p->conf->short_token), F_VIEW("reason", why));
	for (int n = 0; n < a->n; n++)
		machines_create(m, p, scale_why_word(a->why), why);
	budget_take(&p->growth, a->n, wall_now().ns);
	if (p->account != NULL)
		budget_take(&p->account->budget, a->n, wall_now().ns);
	if (j != NULL)
		j->created = true;
	crash_point("manager:create-decided");
}

static void
carry_out(struct manager *m, struct pool *p, const struct scale_plan *plan, struct tables *t, struct gifts *gifts)
{
	struct buf why = { 0 };

	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];
		struct machine *mc = a->machine >= 0 ? t->machines[a->machine].ref : NULL;
		struct job *j = a->job >= 0 ? t->jobs[a->job].ref : NULL;

		buf_clear(&why);
		scale_explain(a, &why);
		switch (a->act) {
		case SCALE_ASSIGN:
			promise(gifts, j, mc, a);
			break;
		case SCALE_CREATE:
			create(m, p, a, j, buf_str(&why));
			break;
		case SCALE_REMOVE:
			if (a->why == SCALE_WHY_DRAIN && !stays(p)) {
				buf_clear(&why);
				buf_puts(&why, MACHINE_LEFT);
			}
			log_debug("Scaling down", F_STR("name", mc->name), F_VIEW("reason", buf_str(&why)));
			machines_remove_for(m, mc, a->why == SCALE_WHY_DRAIN ? why.p : scale_why(a->why), scale_why_word(a->why), buf_str(&why));
			crash_point("manager:remove-decided");
			break;
		case SCALE_TRY:
			/* Only a job request tries machines: scaler_acquire(). */
			break;
		}
	}
	buf_free(&why);
}

static int
newest_first(const void *a, const void *b)
{
	const struct machine *x = *(struct machine *const *)a, *y = *(struct machine *const *)b;

	return wall_before(y->create_started, x->create_started) ? -1 : wall_before(x->create_started, y->create_started);
}

/*
 * Machines that are coming and that nobody needs any more, since a job was cancelled, say, or another machine became free:
 * what the cloud was not yet asked for is not made. The rest comes, and is idle then; but not for a runner that is gone.
 */
static void
call_off(struct manager *m, struct pool *p, const struct scale_plan *plan, struct tables *t, int unserved, enum scale_phase phase)
{
	int surplus = plan->counts.idle + plan->counts.acquired + plan->counts.creating - unserved -
	    (phase == SCALE_DRAIN ? 0 : plan->idle_target);
	struct machine **coming;
	size_t n = 0;

	if (surplus <= 0 || plan->counts.creating == 0)
		return;
	coming = xcalloc(t->nmachines, sizeof(struct machine *));
	for (size_t i = 0; i < t->nmachines; i++) {
		struct machine *mc = t->machines[i].ref;

		if (mc->state == SCALE_CREATING && (phase == SCALE_DRAIN || machines_unasked(mc)))
			coming[n++] = mc;
	}
	qsort(coming, n, sizeof(struct machine *), newest_first);
	for (size_t i = 0; i < n && surplus > 0; i++, surplus--)
		machines_call_off(m, coming[i], stays(p) ? "not needed any more" : MACHINE_LEFT);
	free(coming);
}

/* Jobs of a runner that is gone, beyond the machines that are there or coming: nobody can make one for them. */
static void
give_up(struct manager *m, const struct tables *t, const struct scale_plan *plan)
{
	int served = 0;

	for (size_t i = 0; i < t->nmachines; i++)
		served += t->machines[i].state == SCALE_CREATING;
	for (size_t i = 0; i < plan->nactions; i++)
		served += plan->actions[i].act == SCALE_ASSIGN;
	for (size_t i = 0; i < t->njobs; i++)
		if ((int)i >= served)
			job_give_up(m, t->jobs[i].ref, "the runner left the configuration of its bastion before the job had a machine");
}

wall_t
scaler_held(const struct pool *p, struct buf *b)
{
	enum scale_why why = p->plan.held;
	const struct account *a = p->account;

	buf_puts(b, scale_why(why));
	switch (why) {
	case SCALE_WHY_QUOTA:
	case SCALE_WHY_THROTTLED:
		if (why == SCALE_WHY_QUOTA && a->error[0] != '\0')
			buf_fmt(b, " (%s)", a->error);
		return (wall_t){ a->budget.blocked_until };
	case SCALE_WHY_BACKOFF:
		if (p->create_error[0] != '\0')
			buf_fmt(b, " (%s)", p->create_error);
		return (wall_t){ p->gate.not_before };
	default:
		return WALL_UNKNOWN;
	}
}

/* Whether the account's cloud wants no calls now: what is coming waits for that. */
static bool
throttled(const struct pool *p)
{
	return p->account != NULL && p->account->blocked == SCALE_WHY_THROTTLED && p->account->budget.blocked_until > wall_now().ns;
}

/* What a job that waits is told. */
static void
tell_waiting(struct manager *m, struct pool *p, const struct scale_plan *plan)
{
	struct buf held = { .max = 1024 };
	wall_t held_until = scaler_held(p, &held), until;
	char text[320];
	const char *why;
	int place = 0;

	LIST_EACH(struct job, j, link, &m->jobs) {
		if (!counts_as_waiting(p, j))
			continue;
		place++;
		until = WALL_UNKNOWN;
		why = scale_why_word(plan->held);
		if (!usable(p) && plan->counts.creating < place) {
			why = "no-runner";
			snprintf(text, sizeof(text), "Waiting for a machine: the runner's entry %s",
			    p->conf == NULL ? "is missing in the configuration of its bastion" : "in the configuration of its bastion is broken");
		} else if (jobs_with_machine(m, NULL) >= m->config->concurrent) {
			why = scale_why_word(SCALE_WHY_AT_CONCURRENT);
			snprintf(text, sizeof(text), "Waiting: %" PRId64 " jobs run, as many as concurrent allows", m->config->concurrent);
		} else if (plan->counts.creating >= place) {
			why = "creating";
			snprintf(text, sizeof(text), "Waiting for a machine: one is being created");
			if (throttled(p)) {
				why = scale_why_word(SCALE_WHY_THROTTLED);
				snprintf(text, sizeof(text), "Waiting for a machine: one is being created, and %s", scale_why(SCALE_WHY_THROTTLED));
				until = (wall_t){ p->account->budget.blocked_until };
			}
		} else if (plan->held != SCALE_WHY_NONE) {
			snprintf(text, sizeof(text), "Waiting for a machine: %s", held.p);
			until = held_until;
		} else
			snprintf(text, sizeof(text), "Waiting for a machine");
		job_tell(m, j, why, text, until);
	}
	buf_free(&held);
}

/* That less is done than wanted is news when it begins and when its reason changes. */
static void
note_held(struct manager *m, struct pool *p)
{
	if (p->plan.held == p->held_noted)
		return;
	p->held_noted = p->plan.held;
	if (p->plan.held != SCALE_WHY_NONE) {
		struct buf why = { .max = 1024 };

		scaler_held(p, &why);
		event_note(m, EVENT_HELD, ABOUT(.pool = p), scale_why_word(p->plan.held),
		    "%d machine%s fewer than wanted: %s",
		    p->plan.short_by, p->plan.short_by == 1 ? "" : "s", why.p);
		buf_free(&why);
	}
}

/* Requests for jobs that may be under way, whatever machines there are: the original looks at those only then. */
static int
slots_of(const struct manager *m, const struct pool *p)
{
	int64_t n = m->config->concurrent - jobs_active(m, NULL), limit = usable(p) ? p->conf->limit : 0;

	if (phase_of(m, p) != SCALE_RUN)
		return 0;
	if (limit > 0 && limit - jobs_active(m, p) < n)
		n = limit - jobs_active(m, p);
	return n < 0 ? 0 : (int)n;
}

/* Asks the policy, in this phase, and carries out what it says but for the gifts. */
static void
decide(struct manager *m, struct pool *p, enum scale_phase phase, struct tables *t, struct gifts *gifts)
{
	struct scale_policy pol = policy_of(m, p, wall_now());
	struct scale_input in = {
		.now = wall_now().ns, .policy = &pol,
		.machines = t->machines, .nmachines = t->nmachines, .waiting = t->jobs, .nwaiting = t->njobs,
		.running = jobs_active(m, p) - (int)t->njobs,
		.slots_free = (int)(m->config->concurrent - jobs_active(m, NULL)),
		.pending = by_queue(p) ? 0 : requests_without_machine(p), .gate = &p->gate, .growth = &p->growth,
		.account = p->account != NULL ? &p->account->budget : NULL, .blocked = p->account != NULL ? p->account->blocked : SCALE_WHY_NONE,
		.phase = phase,
	};

	measure_cap(m, &in);
	scale_decide(&in, &p->plan);
	carry_out(m, p, &p->plan, t, gifts);
}

static void
tend_pool(struct manager *m, struct pool *p, struct gifts *gifts)
{
	enum scale_phase phase = phase_of(m, p);
	struct tables t = tables_of(m, p);
	size_t before = gifts->n;

	/* Only requests tick; between them nothing goes but what must, and nothing comes but what a job in hand needs. */
	if (!by_queue(p) && phase == SCALE_RUN && (p->conf->rules & SCALE_OWN_CLOCK) == 0)
		decide(m, p, SCALE_QUIET, &t, gifts);
	else
		decide(m, p, phase, &t, gifts);
	p->ask = by_queue(p) ? p->plan.ask : slots_of(m, p);
	p->wake_at = (wall_t){ p->plan.wake_at };
	if (by_queue(p) || phase == SCALE_DRAIN)
		call_off(m, p, &p->plan, &t, (int)(t.njobs - (gifts->n - before)), phase);
	if (!stays(p))
		give_up(m, &t, &p->plan);
	tell_waiting(m, p, &p->plan);
	note_held(m, p);
	tables_free(&t);
}

bool
scaler_acquire(struct manager *m, struct pool *p, struct machine **got)
{
	struct gifts gifts = { 0 };
	struct tables t;
	bool may;

	*got = NULL;
	if (by_queue(p))
		return true;
	t = tables_of(m, p);
	decide(m, p, SCALE_RUN, &t, &gifts);
	may = p->plan.verdict != SCALE_NO_FREE;
	for (size_t i = 0; i < p->plan.nactions && *got == NULL; i++) {
		struct machine *mc = p->plan.actions[i].act == SCALE_TRY ? t.machines[p->plan.actions[i].machine].ref : NULL;

		if (mc == NULL || mc->state != SCALE_IDLE)
			continue;
		/* The health that is known; the executor looks for itself before it uses the machine. */
		if (mc->failures > 0) {
			machines_remove(m, mc, scale_why(SCALE_WHY_UNAVAILABLE));
			continue;
		}
		mc->state = SCALE_ACQUIRED;
		*got = mc;
	}
	note_held(m, p);
	tables_free(&t);
	give(m, &gifts);
	return *got != NULL || may;
}

void
scaler_throttled(struct manager *m, struct machine *mc, struct str unix_ms)
{
	struct account *a = mc->pool->account;
	wall_t now = wall_now();
	uint64_t ms;

	/* What our own operator says; a day is the most that is believed. */
	if (str_to_u64(unix_ms, &ms) < 0 || ms > (uint64_t)(now.ns / NSEC_MSEC) + 86400000)
		return;
	mc->not_before = (wall_t){ (int64_t)ms * NSEC_MSEC };
	if (a == NULL || mc->not_before.ns <= a->budget.blocked_until)
		return;
	if (a->budget.blocked_until <= now.ns)
		log_warn("The cloud throttles the account: no machine is asked for until it lets us", F_STR("name", mc->name),
		    F_DUR("wait", wall_between(now, mc->not_before)));
	budget_block(&a->budget, mc->not_before.ns);
	a->blocked = SCALE_WHY_THROTTLED;
	a->error[0] = '\0';
	m->dirty = true;
}

/* The cloud's sentence without the machine's name in front, as much of it as there is room for. */
static void
note_failure(char *to, size_t size, const struct machine *mc)
{
	struct str s = str_from(mc->operator.error), name = str_from(mc->name);

	if (str_starts(s, "machine ") && str_starts(str_sub(s, 8, s.n), mc->name) && str_starts(str_sub(s, 8 + name.n, s.n), ": "))
		s = str_sub(s, 8 + name.n + 2, s.n);
	str_copy(s.n < size ? s : str_sub(s, 0, size - 1), to, size);
}

void
scaler_create_failed(struct manager *m, struct machine *mc, int status, wall_t not_before)
{
	struct pool *p = mc->pool;
	struct job *oldest = NULL;
	uint64_t rnd;

	rand_bytes(&rnd, sizeof(rnd));
	scale_create_failed(&p->gate, mc->create_started.ns, not_before.ns, wall_now().ns, rnd);
	note_failure(p->create_error, sizeof(p->create_error), mc);
	/* A limit of the account holds for everybody who uses it. */
	if (status == EXIT_QUOTA && p->account != NULL) {
		int64_t least = wall_now().ns + QUOTA_WAIT;

		budget_block(&p->account->budget, p->gate.not_before > least ? p->gate.not_before : least);
		p->account->blocked = wall_before(wall_now(), not_before) ? SCALE_WHY_THROTTLED : SCALE_WHY_QUOTA;
		note_failure(p->account->error, sizeof(p->account->error), mc);
		log_warn("The cloud account is at its limit: no machine is made on it for a while", F_STR("driver", p->conf != NULL ? p->conf->machine_driver : ""),
		    F_DUR("wait", p->account->budget.blocked_until - wall_now().ns), F_STR("error", mc->operator.error));
	}
	if (by_queue(p))
		return;
	/* The original tries three times three times for a job, then the job fails (spec machines 1.6). */
	LIST_EACH(struct job, j, link, &m->jobs)
		if (j->pool == p && j->state == JOB_WAITING && j->created && (oldest == NULL || wall_before(j->arrived, oldest->arrived)))
			oldest = j;
	if (oldest == NULL)
		return;
	oldest->created = false;
	if (++oldest->creations >= CREATIONS_MAX)
		job_give_up(m, oldest, "no machine could be created for the job; see the log of windlass on the bastion");
}

/* The pool whose job waits longest comes first; among the others each is first once. */
static struct pool **
in_turn(struct manager *m, size_t *n)
{
	struct pool **v;
	wall_t *waits;
	size_t k = 0, all = 0;

	LIST_EACH(struct pool, p, link, &m->pools)
		all++;
	v = xcalloc(all, sizeof(struct pool *));
	waits = xcalloc(all, sizeof(*waits));
	LIST_EACH(struct pool, p, link, &m->pools)
		v[k++] = p;
	for (size_t i = 0; i < all; i++) {
		struct pool *p = v[i];
		wall_t since = { INT64_MAX };
		size_t at = i;

		LIST_EACH(struct job, j, link, &m->jobs)
			if (j->pool == p && j->state == JOB_WAITING && wall_before(j->arrived, since))
				since = j->arrived;
		for (; at > 0 && wall_before(since, waits[at - 1]); at--) {
			v[at] = v[at - 1];
			waits[at] = waits[at - 1];
		}
		v[at] = p;
		waits[at] = since;
	}
	/* behind those with waiting jobs: turned by one each time */
	for (k = 0; k < all && waits[k].ns != INT64_MAX;)
		k++;
	if (all - k > 1)
		for (size_t by = m->turn++ % (all - k); by > 0; by--) {
			struct pool *first = v[k];

			memmove(&v[k], &v[k + 1], (all - k - 1) * sizeof(struct pool *));
			v[all - 1] = first;
		}
	free(waits);
	*n = all;
	return v;
}

void
scaler_run(struct manager *m)
{
	struct gifts gifts = { 0 };
	size_t n;
	struct pool **pools = in_turn(m, &n);

	for (size_t i = 0; i < n; i++)
		tend_pool(m, pools[i], &gifts);
	give(m, &gifts);
	free(pools);
}

wall_t
scaler_wake(const struct manager *m)
{
	wall_t at = WALL_UNKNOWN;

	LIST_EACH(struct pool, p, link, &m->pools) {
		wall_t wake = p->wake_at, over = wall_add(p->left, p->grace);

		if (in_grace(p) && (!wall_known(wake) || wall_before(over, wake)))
			wake = over;
		if (wall_known(wake) && (!wall_known(at) || wall_before(wake, at)))
			at = wake;
	}
	return at;
}
