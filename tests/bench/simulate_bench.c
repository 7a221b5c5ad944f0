/* 31 days of 10,000 jobs in both modes; the budget is a second each. */
#include "core/mono.h"
#include "policy/simulate.h"

#define JOBS	10000
#define DAYS	31

static struct sim_job jobs[JOBS];

static double
uniform(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (double)(x >> 11) / 9007199254740992.0;
}

int
main(void)
{
	static const struct { const char *name; unsigned rules; } modes[] = {
		{ "better", SCALE_BETTER }, { "compat", SCALE_COMPAT },
	};
	double worst = 0;

	/* bursts of up to 40 jobs, as pipelines make them */
	for (int i = 0; i < JOBS;) {
		int64_t at = (int64_t)(uniform() * DAYS * 86400 * 1e9);
		int n = 1 + (int)(uniform() * uniform() * 40);

		for (int k = 0; k < n && i < JOBS; k++)
			jobs[i++] = (struct sim_job){ at + k * NSEC_SEC / 5, (int64_t)(20e9 + uniform() * 900e9) };
	}
	for (size_t m = 0; m < NELEM(modes); m++) {
		struct sim_config c = {
			.policy = scale_policy_default(), .boot = 90 * NSEC_SEC, .boot_spread = 0.2,
			.removal = 10 * NSEC_SEC, .long_poll = 50 * NSEC_SEC, .samples = 500, .seed = 1,
		};
		mono_t begun = mono_now();
		struct sim_result r;
		double s;

		c.policy.rules = modes[m].rules;
		c.policy.idle_count = 5;
		c.policy.idle_time = 600 * NSEC_SEC;
		c.policy.limit = 100;
		r = simulate(&c, jobs, JOBS);
		s = (double)mono_since(begun) / 1e9;
		printf("%s: %.3f s, %zu decisions, mean wait %.1f s, %.0f machine hours for %.0f busy\n",
		    modes[m].name, s, r.decisions, (double)r.wait_mean / 1e9, r.machine_hours, r.busy_hours);
		worst = s > worst ? s : worst;
		sim_result_free(&r);
	}
	printf("simulate, %d days of %d jobs: %.3f s (budget 1 s)\n", DAYS, JOBS, worst);
	return worst < 1 ? 0 : 1;
}
