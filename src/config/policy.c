/* From keys to a policy: see policy.h. */
#include "config/policy.h"
#include "catalog/clouds.h"

/* Idle settings of one period; the rest is the runner's. */
struct scale_policy
runner_policy(const struct runner *r, int section)
{
	struct scale_policy p = scale_policy_default();
	const struct periods_values *v = periods_values(&r->periods, section);

	p.rules = r->rules;
	p.idle_count = v->idle_count;
	p.idle_count_min = v->idle_count_min;
	p.idle_factor = v->idle_factor;
	p.idle_time = v->idle_time;
	p.limit = (int)r->limit;
	p.max_growth = (int)r->max_growth;
	p.max_builds = (int)r->max_builds;
	p.factor_limit = (int)r->factor_limit;
	p.failure_threshold = (int)r->failure_threshold;
	p.max_age = r->max_machine_age * NSEC_SEC;
	p.preemptive = r->preemptive;
	/* What is paid by the hour stays to the end of its hour. */
	p.billing_unit = billing_keeps(catalog_billing(catalog_find(str_from(r->machine_driver))));
	/* Whoever writes a shorter IdleTime means it: a machine's youth does not hold the pool above its idle target for longer. */
	if (p.grace > p.idle_time || p.idle_count == 0)
		p.grace = 0;
	return p;
}

struct budget
runner_growth(const struct runner *r)
{
	return budget_make(r->growth_per_second, r->growth_burst);
}
