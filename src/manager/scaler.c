/*
 * Brings the tables before policy/scale and carries its plan out. No rule
 * of scaling is here: only which numbers go in and who does what comes out.
 */
#include "core/crash.h"
#include "core/log.h"
#include "manager/parts.h"
#include "manager/policy.h"

static struct scale_policy
policy_of(const struct pool *p)
{
	if (p->conf == NULL || p->conf->disabled != NULL)
		return scale_policy_default();
	return runner_policy(p->conf, periods_active(&p->conf->periods, wall_now()));
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

static int
by_name(const void *a, const void *b)
{
	const struct machine *x = ((const struct scale_machine *)a)->ref, *y = ((const struct scale_machine *)b)->ref;

	return strcmp(x->name, y->name);
}

static struct tables
tables_of(struct manager *m, const struct pool *p)
{
	struct tables t = { 0 };
	size_t nm = 0, nj = 0;

	LIST_EACH(struct machine, mc, link, &m->machines)
		nm += mc->pool == p;
	LIST_EACH(struct job, j, link, &m->jobs)
		nj += j->pool == p && j->state == JOB_WAITING;
	t.machines = xcalloc(nm, sizeof(*t.machines));
	t.jobs = xcalloc(nj, sizeof(*t.jobs));
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (mc->pool == p)
			t.machines[t.nmachines++] = (struct scale_machine){ .ref = mc, .created = mc->created,
			    .used = mc->used, .uses = mc->uses, .failures = mc->failures,
			    .removal_retries = mc->removal_retries, .state = (uint8_t)mc->state, .flags = (uint8_t)mc->flags };
	LIST_EACH(struct job, j, link, &m->jobs)
		if (j->pool == p && j->state == JOB_WAITING)
			t.jobs[t.njobs++] = (struct scale_job){ .ref = j, .arrived = j->arrived };
	qsort(t.machines, t.nmachines, sizeof(*t.machines), by_name);
	qsort(t.jobs, t.njobs, sizeof(*t.jobs), oldest_first);
	return t;
}

static void
carry_out(struct manager *m, struct pool *p, const struct scale_plan *plan, struct tables *t)
{
	struct buf why = { 0 };

	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];
		struct machine *mc = a->machine >= 0 ? t->machines[a->machine].ref : NULL;

		buf_clear(&why);
		scale_explain(a, &why);
		switch (a->act) {
		case SCALE_ASSIGN:
			/* Jobs of several pools may have arrived at once, one slot too many. */
			if (jobs_with_machine(m, NULL) < m->config->concurrent && m->phase != MANAGER_STOPPING)
				job_assign(m, t->jobs[a->job].ref, mc, scale_why_word(a->why), buf_str(&why));
			break;
		case SCALE_CREATE:
			if (m->phase == MANAGER_STOPPING || p->conf == NULL || p->conf->disabled != NULL)
				break;
			log_info("Scaling up", F_INT("machines", a->n), F_STR("runner", p->conf->short_token), F_VIEW("reason", buf_str(&why)));
			for (int n = 0; n < a->n; n++)
				machines_create(m, p, scale_why_word(a->why), buf_str(&why));
			crash_point("manager:create-decided");
			break;
		case SCALE_REMOVE:
			log_debug("Scaling down", F_STR("name", mc->name), F_VIEW("reason", buf_str(&why)));
			machines_remove_for(m, mc, scale_why(a->why), scale_why_word(a->why), buf_str(&why));
			crash_point("manager:remove-decided");
			break;
		case SCALE_TRY:
			/* Only the original's algorithm asks for this; the rules in force do not. */
			break;
		}
	}
	buf_free(&why);
}

/* What a job that waits is told in its log. */
static void
tell_waiting(struct manager *m, struct pool *p, const struct scale_plan *plan)
{
	char text[200];
	const char *why;
	int place = 0;

	LIST_EACH(struct job, j, link, &m->jobs) {
		if (j->pool != p || j->state != JOB_WAITING)
			continue;
		place++;
		why = scale_why_word(plan->held);
		if (p->conf == NULL || p->conf->disabled != NULL) {
			why = "no-runner";
			snprintf(text, sizeof(text), "Waiting for a machine: the runner is no longer in the configuration of its bastion");
		} else if (jobs_with_machine(m, NULL) >= m->config->concurrent) {
			why = scale_why_word(SCALE_WHY_AT_CONCURRENT);
			snprintf(text, sizeof(text), "Waiting: %" PRId64 " jobs run, as many as concurrent allows", m->config->concurrent);
		} else if (plan->counts.creating >= place) {
			why = "creating";
			snprintf(text, sizeof(text), "Waiting for a machine: one is being created");
		} else if (plan->held != SCALE_WHY_NONE)
			snprintf(text, sizeof(text), "Waiting for a machine: %s", scale_why(plan->held));
		else
			snprintf(text, sizeof(text), "Waiting for a machine");
		job_tell(m, j, why, text);
	}
}

/* That less is done than wanted is news when it begins and when its reason changes. */
static void
note_held(struct manager *m, struct pool *p)
{
	if (p->plan.held == p->held_noted)
		return;
	p->held_noted = p->plan.held;
	if (p->plan.held != SCALE_WHY_NONE)
		event_note(m, EVENT_HELD, p, NULL, NULL, scale_why_word(p->plan.held), "%d machine%s fewer than wanted: %s",
		    p->plan.short_by, p->plan.short_by == 1 ? "" : "s", scale_why(p->plan.held));
}

static void
decide(struct manager *m, struct pool *p)
{
	struct scale_policy pol = policy_of(p);
	struct tables t = tables_of(m, p);
	bool gone = p->conf == NULL || p->conf->disabled != NULL;
	struct scale_input in = {
		.now = wall_now(), .policy = &pol,
		.machines = t.machines, .nmachines = t.nmachines, .waiting = t.jobs, .nwaiting = t.njobs,
		.running = jobs_with_machine(m, p),
		.slots_free = (int)(m->config->concurrent - jobs_active(m, NULL)),
		.machines_free = SCALE_UNLIMITED, .gate = &p->gate,
		.phase = gone ? SCALE_DRAIN : m->phase == MANAGER_RUNNING ? SCALE_RUN : SCALE_QUIET,
	};

	scale_decide(&in, &p->plan);
	p->ask = p->plan.ask;
	p->wake_at = p->plan.wake_at;
	carry_out(m, p, &p->plan, &t);
	tell_waiting(m, p, &p->plan);
	note_held(m, p);
	free(t.machines);
	free(t.jobs);
}

void
scaler_run(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools)
		decide(m, p);
}

int64_t
scaler_wake(const struct manager *m)
{
	int64_t at = 0;

	LIST_EACH(struct pool, p, link, &m->pools)
		if (p->wake_at != 0 && (at == 0 || p->wake_at < at))
			at = p->wake_at;
	return at;
}
