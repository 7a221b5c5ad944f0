/*
 * How long one decision takes over 10,000 machines and 1,000 waiting jobs, in the worst
 * shapes we could think of. The budget is a millisecond; the slowest shape's median counts.
 */
#include "core/mono.h"
#include "policy/scale.h"

#define MACHINES	10000
#define JOBS		1000
#define ROUNDS		200
#define S		NSEC_SEC

enum shape {
	ALL_IDLE, ALL_EXPIRED, HALF_EXPIRED, SAME_AGE, MIXED, ABOVE_LIMIT, COMPAT_EXPIRED, SHAPES,
};

static const char *const names[SHAPES] = {
	"all idle, jobs waiting", "all expired", "half of the expired are wanted", "all of one age",
	"mixed states", "above limit", "compat, all expired",
};

static struct scale_machine machines[MACHINES];
static struct scale_job jobs[JOBS];

static uint32_t
rnd(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static struct scale_policy
prepare(enum shape shape, int64_t now)
{
	struct scale_policy p = scale_policy_default();

	p.idle_time = 600 * S;
	p.idle_count = shape == HALF_EXPIRED || shape == SAME_AGE ? MACHINES / 2 : 100;
	p.limit = shape == ABOVE_LIMIT ? MACHINES / 2 : 0;
	if (shape == COMPAT_EXPIRED)
		p.rules = SCALE_COMPAT;
	for (int i = 0; i < MACHINES; i++) {
		int64_t age = 700 + rnd() % 10000;

		if (shape == ALL_IDLE)
			age = rnd() % 500;
		if (shape == SAME_AGE)
			age = 700;
		machines[i] = (struct scale_machine){
			.created = now - (age + 3600) * S, .used = now - age * S,
			.state = (uint8_t)(shape == MIXED ? rnd() % 6 : SCALE_IDLE),
		};
	}
	for (int j = 0; j < JOBS; j++)
		jobs[j].arrived = now - rnd() % 1000 * S;
	return p;
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int
main(void)
{
	struct scale_plan plan = { 0 };
	int64_t now = wall_now().ns;
	double worst = 0;

	for (int shape = 0; shape < SHAPES; shape++) {
		struct scale_policy p = prepare((enum shape)shape, now);
		struct scale_input in = {
			.now = now, .policy = &p, .machines = machines, .nmachines = MACHINES,
			.waiting = jobs, .nwaiting = JOBS, .slots_free = 100000, .machines_free = SCALE_UNLIMITED,
		};
		dur_t took[ROUNDS];

		for (int i = 0; i < ROUNDS; i++) {
			mono_t begun = mono_now();

			scale_decide(&in, &plan);
			took[i] = mono_since(begun);
		}
		qsort(took, ROUNDS, sizeof(took[0]), by_size);
		if ((double)took[ROUNDS / 2] / 1e3 > worst)
			worst = (double)took[ROUNDS / 2] / 1e3;
		printf("%-32s median %6.0f us, longest %6.0f us, %zu actions\n", names[shape],
		    (double)took[ROUNDS / 2] / 1e3, (double)took[ROUNDS - 1] / 1e3, plan.nactions);
	}
	printf("scale_decide, %d machines, %d waiting jobs: %.0f us (budget 1000 us)\n", MACHINES, JOBS, worst);
	scale_plan_free(&plan);
	return worst < 1000 ? 0 : 1;
}
