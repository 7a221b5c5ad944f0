/* manager/drain: which machines go at the end, how often each is tried, and when it is over. No process is started. */
#include "manager/parts.h"
#include "tap.h"

static struct manager m;
static struct config config;
static int removals, called_off, tended;

void
machines_remove(struct manager *mg, struct machine *mc, const char *why)
{
	(void)mg;
	is_str(why, "shutdown drain", "%s goes for the right reason", mc->name);
	mc->state = SCALE_REMOVING;
	removals++;
}

void
machines_call_off(struct manager *mg, struct machine *mc, const char *why)
{
	(void)why;
	called_off++;
	machine_free(mg, mc);
}

void
machines_tend(struct manager *mg)
{
	(void)mg;
	tended++;
}

static void
world(void)
{
	LIST_EACH(struct machine, mc, link, &m.machines)
		machine_free(&m, mc);
	m.drain.by = MONO_NEVER;
	m.drain.gone = m.drain.failed = 0;
	m.phase = MANAGER_DRAINING;
	config = (struct config){ .drain = true, .drain_concurrency = 3, .drain_retries = 2, .drain_backoff = 4 * NSEC_SEC, .shutdown_timeout = 300 };
	removals = called_off = tended = 0;
}

static struct machine *
machine(const char *name, enum scale_state state)
{
	struct machine *mc = machine_add(&m, name, NULL);

	mc->state = state;
	return mc;
}

int
main(void)
{
	struct machine *idle, *stuck;

	log_setup(LOG_FATAL, LOG_TEXT);
	m.config = &config;
	list_init(&m.machines);
	list_init(&m.jobs);
	list_init(&m.pools);

	world();
	config.drain = false;
	machine("m1", SCALE_IDLE);
	ok(drain_over(&m) && removals == 0, "not configured: machines stay");

	world();
	m.phase = MANAGER_LEAVING;
	machine("m1", SCALE_IDLE);
	ok(drain_over(&m) && removals == 0, "handing over: machines stay");

	world();
	ok(drain_over(&m), "nothing there: over at once");

	world();
	idle = machine("idle", SCALE_IDLE);
	machine("coming", SCALE_CREATING);
	stuck = machine("stuck", SCALE_STUCK);
	stuck->operator.again = mono_after(3600 * NSEC_SEC);
	ok(!drain_over(&m), "three machines: not over");
	is_int(removals, 1, "  the idle one is removed");
	is_int(called_off, 1, "  the one that is coming is called off");
	ok(stuck->state == SCALE_REMOVING && mono_equal(stuck->operator.again, MONO_AT_ONCE), "  the one put aside is tried once more, now");
	is_int(tended, 1, "  and it begins without waiting for an event");
	ok(!drain_over(&m) && removals == 1, "  it begins once");

	ok(drain_removed(&m, idle, true), "one is gone");
	machine_free(&m, idle);
	for (int i = 1; i <= 2; i++) {
		mono_t before = mono_now();

		ok(drain_removed(&m, stuck, false), "the other one fails, try %d", i);
		ok(!mono_before(stuck->operator.again, mono_add(before, i * 4 * NSEC_SEC)) && !mono_before(mono_after(i * 4 * NSEC_SEC), stuck->operator.again),
		    "  and waits for %d times retry_backoff", i);
		ok(!drain_over(&m), "  it is not over");
	}
	drain_removed(&m, stuck, false);
	is_int(stuck->state, SCALE_STUCK, "after max_retries more it is given up");
	ok(mono_before(mono_after(600 * NSEC_SEC), stuck->operator.again), "  and not tried again in this life");
	ok(drain_over(&m), "  that is the end");
	is_int(m.drain.gone, 1, "  one gone");
	is_int(m.drain.failed, 1, "  one failed");

	world();
	machine("slow", SCALE_IDLE);
	ok(!drain_over(&m), "one that takes long");
	m.drain.by = mono_add(mono_now(), -1);
	ok(drain_over(&m), "  when shutdown_timeout is over, so is the drain");
	is_int(m.drain.failed, 0, "  though it did not fail");

	m.drain.by = MONO_NEVER;
	ok(!drain_removed(&m, machine("m", SCALE_REMOVING), false), "removals before the drain are not its affair");
	world();
	return done_testing();
}
