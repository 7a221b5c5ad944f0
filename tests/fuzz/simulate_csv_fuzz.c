/*
 * Histories from tables: what is read lies within its bounds, a copy of it written plainly reads back
 * the same, and a small history replays to its end with sums that add up.
 */
#include "policy/simulate.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEC	INT64_C(1000000000)

static void
replay(const struct sim_job *jobs, size_t n)
{
	struct sim_config c = { .policy = scale_policy_default(), .boot = 60 * SEC, .removal = SEC, .samples = 20, .seed = 1 };
	struct buf picture = { 0 };
	struct sim_result r;

	c.policy.idle_time = 300 * SEC;
	r = simulate(&c, jobs, n);
	assert(r.jobs == n && r.unfinished == 0);
	assert(r.wait_max <= 60 * SEC && r.machine_hours >= r.busy_hours - 1e-6);
	assert(r.created <= n);
	sim_sketch(&r, 40, 4, &picture);
	sim_svg(&r, "fuzz", &picture);
	buf_free(&picture);
	sim_result_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sim_job *jobs = NULL, *again = NULL;
	struct buf plain = { 0 };
	struct err e = { 0 };
	ssize_t n = sim_read_csv(str_of(data, size), &jobs, &e);

	if (n < 0) {
		assert(e.kind == ERR_PARSE && strncmp(e.msg, "line ", 5) == 0);
		return 0;
	}
	for (ssize_t i = 0; i < n; i++) {
		assert(jobs[i].arrival >= 0 && jobs[i].duration >= 0);
		buf_fmt(&plain, "%" PRId64 ".%09" PRId64 ",%" PRId64 ".%09" PRId64 "\n", jobs[i].arrival / SEC, jobs[i].arrival % SEC,
		    jobs[i].duration / SEC, jobs[i].duration % SEC);
	}
	assert(sim_read_csv(buf_str(&plain), &again, &e) == n);
	for (ssize_t i = 0; i < n; i++)
		assert(jobs[i].arrival == again[i].arrival && jobs[i].duration == again[i].duration);
	if (n > 0 && n <= 50)
		replay(jobs, (size_t)n);
	buf_free(&plain);
	free(jobs);
	free(again);
	return 0;
}
