/*
 * manager/scaler between real tables and real decisions: what of several pools goes first, who shares what, what the
 * original's algorithm asks for. Machines, jobs and pollers are only written down here; no process is started.
 */
#include "core/exit.h"
#include "manager/parts.h"
#include "tap.h"

static struct manager m;
static struct buf done;		/* what was ordered, one word group after the other */
static int made;

/* ---- those who carry out ---- */

void
machines_create(struct manager *mg, struct pool *p, const char *why, struct str sentence)
{
	char name[40];
	struct machine *mc;

	(void)sentence;
	snprintf(name, sizeof(name), "new%d", ++made);
	mc = machine_add(mg, name, p);
	mc->state = SCALE_CREATING;
	mc->create_started = wall_now();
	scale_create_started(&p->gate, wall_now().ns);
	buf_fmt(&done, "create %s for %s; ", p->conf->name, why);
}

void
machines_remove_for(struct manager *mg, struct machine *mc, const char *why, const char *word, struct str sentence)
{
	(void)mg;
	(void)why;
	(void)sentence;
	mc->state = SCALE_REMOVING;
	buf_fmt(&done, "remove %s: %s; ", mc->name, word);
}

void
machines_remove(struct manager *mg, struct machine *mc, const char *why)
{
	machines_remove_for(mg, mc, why, why, STR(""));
}

bool
machines_unasked(const struct machine *mc)
{
	return mc->state == SCALE_CREATING && mc->phase <= PHASE_PLANNED;
}

void
machines_call_off(struct manager *mg, struct machine *mc, const char *why)
{
	(void)why;
	buf_fmt(&done, "call off %s; ", mc->name);
	machine_free(mg, mc);
}

void
job_assign(struct manager *mg, struct job *j, struct machine *mc, const char *why, struct str sentence)
{
	(void)mg;
	(void)why;
	(void)sentence;
	j->state = JOB_RUNNING;
	j->machine = mc;
	mc->job = j;
	mc->state = SCALE_USED;
	buf_fmt(&done, "job %s to %s; ", j->id, mc->name);
}

void
job_give_up(struct manager *mg, struct job *j, const char *text)
{
	(void)mg;
	(void)text;
	j->state = JOB_ENDED;
	buf_fmt(&done, "give up %s; ", j->id);
}

void
job_tell(struct manager *mg, struct job *j, const char *why, const char *text, wall_t until)
{
	(void)mg;
	j->waiting_until = until;
	snprintf(j->waiting, sizeof(j->waiting), "%s", text);
	j->waiting_why = why;
}

void
event_note(struct manager *mg, enum event_kind kind, const struct event_of *of, const char *reason,
    const char *fmt, ...)
{
	(void)mg, (void)kind, (void)of, (void)reason, (void)fmt;
}

int
pollers_in_flight(const struct pool *p)
{
	int n = 0;

	LIST_EACH(struct poller, po, link, &p->pollers)
		n += po->asked;
	return n;
}

/* ---- the world ---- */

#define ENTRY(name, token, more) \
	"[[runners]]\nname = \"" name "\"\nurl = \"https://gitlab.example/\"\ntoken = \"" token "\"\nexecutor = \"docker+machine\"\n" \
	"[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"m-%s\"\nIdleTime = 600\n" more "\n"

static void
configure(const char *text)
{
	struct err e = { 0 };
	struct config *old = m.config;

	m.config = config_parse("config.toml", str_from(text), NULL, NULL, &e);
	if (m.config == NULL) {
		printf("# %s\n", e.msg);
		abort();
	}
	LIST_EACH(struct pool, p, link, &m.pools)
		p->conf = NULL;
	for (size_t i = 0; i < m.config->nrunners; i++)
		pool_get(&m, m.config->runners[i].key)->conf = &m.config->runners[i];
	scaler_reload(&m);
	config_free(old);
}

static void
world(const char *text)
{
	if (m.config != NULL) {
		LIST_EACH(struct machine, mc, link, &m.machines)
			machine_free(&m, mc);
		LIST_EACH(struct job, j, link, &m.jobs)
			job_free(&m, j);
		LIST_EACH(struct pool, p, link, &m.pools) {
			LIST_EACH(struct poller, po, link, &p->pollers)
				free(po);
			scale_plan_free(&p->plan);
			free(p);
		}
		LIST_EACH(struct account, a, link, &m.accounts)
			free(a);
		config_free(m.config);
	}
	m = (struct manager){ .phase = MANAGER_RUNNING };
	list_init(&m.pools);
	list_init(&m.machines);
	list_init(&m.jobs);
	list_init(&m.instances);
	list_init(&m.accounts);
	made = 0;
	buf_clear(&done);
	configure(text);
}

static struct pool *
pool(const char *name)
{
	LIST_EACH(struct pool, p, link, &m.pools)
		if (p->conf != NULL && strcmp(p->conf->name, name) == 0)
			return p;
	abort();
}

static struct machine *
machine(const char *of, const char *name, enum scale_state state, int idle_s)
{
	struct machine *mc = machine_add(&m, name, pool(of));

	mc->state = state;
	mc->phase = state == SCALE_CREATING ? PHASE_NONE : PHASE_READY;
	mc->created = mc->used = wall_add(wall_now(), -idle_s * NSEC_SEC);
	mc->create_started = mc->created;
	return mc;
}

static struct job *
job(const char *of, const char *id, int waits_s)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->id = xstrdup(id);
	j->pool = pool(of);
	j->state = JOB_WAITING;
	j->arrived = wall_add(wall_now(), -waits_s * NSEC_SEC);
	j->announced = true;
	list_add(&m.jobs, &j->link);
	return j;
}

static struct poller *
request(const char *of, struct machine *acquired)
{
	struct poller *po = xcalloc(1, sizeof(*po));

	po->pool = pool(of);
	po->asked = true;
	po->asked_at = mono_now();
	po->acquired = acquired;
	list_add(&po->pool->pollers, &po->link);
	return po;
}

static void
decided(const char *want, const char *what)
{
	buf_clear(&done);
	scaler_run(&m);
	is_str(done.n > 0 ? done.p : "", want, "%s", what);
}

/* ---- several pools ---- */

static void
test_sharing(void)
{
	world("concurrent = 1\n" ENTRY("a", "glrt-aaaaaaaaaa", "") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_IDLE, 5);
	machine("b", "b1", SCALE_IDLE, 5);
	job("a", "1", 10);
	job("b", "2", 20);
	decided("job 2 to b1; ", "one slot, two jobs: the one that waits longest, whatever its runner's place in the file");
	decided("", "  nobody else runs beside it");

	world("concurrent = 20\nmax_machines = 3\n" ENTRY("a", "glrt-aaaaaaaaaa", "") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_USED, 5);
	job("a", "1", 10);
	job("a", "2", 9);
	job("b", "3", 30);
	decided("create b for waiting; create a for waiting; ", "max_machines: room for two, and the oldest job's runner has the first of it");
	decided("", "  that is all");
	is_int(pool("a")->plan.held, SCALE_WHY_AT_CAP, "  and its reason is told");

	world("concurrent = 20\nmax_machines = 2\n" ENTRY("a", "glrt-aaaaaaaaaa", "") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_IDLE, 100);
	machine("a", "a2", SCALE_IDLE, 90);
	machine("b", "b1", SCALE_USED, 80);
	decided("remove a1: cap; ", "max_machines lowered: what is too many goes, and only once");
	decided("", "  not another one while it does");
}

static void
test_concurrent_asks(void)
{
	world("concurrent = 3\n" ENTRY("a", "glrt-aaaaaaaaaa", "") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_USED, 5);
	job("a", "1", 10)->state = JOB_RUNNING;
	scaler_run(&m);
	is_int(pool("a")->ask, 2, "a may ask for what is left of concurrent");
	is_int(pool("b")->ask, 2, "  and so may b; who asks first has it (pollers.c)");
	job("b", "2", 10)->state = JOB_RUNNING;
	job("b", "3", 10)->state = JOB_RUNNING;
	scaler_run(&m);
	is_int(pool("a")->ask + pool("b")->ask, 0, "all slots taken: nobody asks");
}

/* ---- creations ---- */

static void
test_called_off(void)
{
	struct machine *asked;

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", ""));
	machine("a", "c1", SCALE_CREATING, 30);
	asked = machine("a", "c2", SCALE_CREATING, 20);
	asked->phase = PHASE_REQUESTED;
	machine("a", "c3", SCALE_CREATING, 10);
	job("a", "1", 5);
	decided("call off c3; call off c1; ", "one job left of three: what the cloud was asked for comes, the rest is not made");
	asked->state = SCALE_IDLE;
	asked->used = wall_now();
	decided("job 1 to c2; ", "  and it is used");

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 2\n"));
	machine("a", "c1", SCALE_CREATING, 30);
	machine("a", "c2", SCALE_CREATING, 20);
	decided("", "idle machines that are wanted are not called off");
}

static void
test_pace(void)
{
	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 5\nGrowthRatePerSecond = 0.01\nGrowthBurst = 2\n"));
	decided("create a for below-idle; create a for below-idle; ", "GrowthBurst: two of five at once");
	is_int(pool("a")->plan.held, SCALE_WHY_PACE, "  held back by the pace");
	ok(wall_before(wall_now(), pool("a")->wake_at) && !wall_before(wall_add(wall_now(), 101 * NSEC_SEC), pool("a")->wake_at), "  until the next token comes");
	decided("", "  no third one before");
	configure("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 5\nGrowthRatePerSecond = 0.01\nGrowthBurst = 2\nMaxBuilds = 3\n"));
	decided("", "  a reload does not fill the bucket");

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 5\nMaxGrowthRate = 1\n"));
	decided("create a for below-idle; ", "MaxGrowthRate 1: one under way");
	decided("", "  and not two");
}

static void
test_account(void)
{
	struct machine *mc;

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "MachineOptions = [\"x-access-token=T\"]\n")
	    ENTRY("b", "glrt-bbbbbbbbbb", "MachineOptions = [\"x-access-token=T\"]\n") ENTRY("c", "glrt-cccccccccc", "MachineOptions = [\"x-access-token=U\"]\n"));
	mc = machine("a", "a1", SCALE_CREATING, 5);
	scaler_create_failed(&m, mc, EXIT_QUOTA, wall_add(wall_now(), 300 * NSEC_SEC));
	machine_free(&m, mc);
	job("a", "1", 3);
	job("b", "2", 2);
	job("c", "3", 1);
	decided("create c for waiting; ", "a limit of the account stops all of its runners, and no other");
	is_int(pool("b")->plan.held, SCALE_WHY_THROTTLED, "  and b is told why");
	ok(wall_before(wall_add(wall_now(), 290 * NSEC_SEC), pool("b")->wake_at), "  until the cloud's own time");

	/* Findings row 44: a limit of the account is called that, in the cloud's own words, with the time of the next try. */
	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", ""));
	mc = machine("a", "a1", SCALE_CREATING, 5);
	snprintf(mc->operator.error, sizeof(mc->operator.error), "machine a1: POST /v2/droplets: droplet limit");
	scaler_create_failed(&m, mc, EXIT_QUOTA, WALL_UNKNOWN);
	machine_free(&m, mc);
	job("a", "1", 3);
	decided("", "a limit of the account");
	is_int(pool("a")->plan.held, SCALE_WHY_QUOTA, "  is called that");
	{
		struct job *j = job_find(&m, "1");

		is_str(j->waiting_why, "quota", "  the job's word");
		is_str(j->waiting, "Waiting for a machine: the cloud account may have no more machines (POST /v2/droplets: droplet limit)", "  its sentence");
		ok(wall_before(wall_add(wall_now(), 20 * NSEC_SEC), j->waiting_until), "  and when it is tried again");
	}

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", ""));
	mc = machine("a", "a1", SCALE_CREATING, 5);
	job("a", "1", 3);
	job("a", "2", 3);
	scaler_throttled(&m, mc, STR("99999999999999999"));
	decided("create a for waiting; ", "nonsense of an operator blocks nothing");
	{
		struct buf ms = { 0 };

		buf_fmt(&ms, "%" PRId64, wall_add(wall_now(), 30 * NSEC_SEC).ns / NSEC_MSEC);
		scaler_throttled(&m, mc, buf_str(&ms));
		buf_free(&ms);
	}
	job("a", "3", 3);
	decided("", "throttled: no further creation");
	is_int(pool("a")->plan.held, SCALE_WHY_THROTTLED, "  and why");
}

static void
test_periods(void)
{
	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n[[runners.machine.autoscaling]]\nPeriods = [\"* * * * * * *\"]\n"
	    "IdleCount = 3\nIdleTime = 60\nTimezone = \"UTC\"\n"));
	decided("create a for below-idle; create a for below-idle; create a for below-idle; ", "the period's IdleCount");
	ok(wall_before(wall_now(), pool("a")->section_until), "  for as long as it is known to hold");
	ok(wall_known(pool("a")->wake_at) && !wall_before(pool("a")->section_until, pool("a")->wake_at), "  when the manager looks again");
	configure("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n"));
	decided("call off new3; call off new2; ", "a reload without it: the root's IdleCount");
}

/* ---- entries that come and go ---- */

static void
test_gone(void)
{
	struct machine *mc;

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_IDLE, 5);
	mc = machine("a", "a2", SCALE_CREATING, 5);
	mc->phase = PHASE_BOOTED;
	machine("a", "a3", SCALE_CREATING, 4);
	job("a", "1", 9);
	job("a", "2", 8);
	job("a", "3", 7);
	job("a", "4", 6);
	configure("concurrent = 20\n" ENTRY("b", "glrt-bbbbbbbbbb", ""));
	mc->pool->left = wall_add(mc->pool->left, -3600 * NSEC_SEC);
	decided("give up 4; job 1 to a1; ", "a runner that is gone: its jobs get what is there and what is coming");
	LIST_EACH(struct job, j, link, &m.jobs)
		j->state = JOB_ENDED;
	machine_find(&m, "a1")->state = SCALE_IDLE;
	decided("remove a1: drain; call off a3; call off a2; ", "  and when they are done everything goes, also what is coming");

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", ""));
	machine("a", "a1", SCALE_IDLE, 5);
	machine("a", "a2", SCALE_IDLE, 700);
	configure("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "MachineOptions = [\"--oops=1\"]\n"));
	decided("", "an entry that is broken keeps its machines for IdleTime from then on");
	pool("a")->left = wall_add(pool("a")->left, -3600 * NSEC_SEC);
	decided("remove a2: idle; ", "  and after that those that were used since");
	is_int(pool("a")->ask, 0, "  and asks for nothing");
	configure("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", ""));
	decided("", "  mended: nothing has happened");
	ok(pool("a")->ask > 0, "  and it asks again");

	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	machine("a", "a1", SCALE_IDLE, 7000);
	configure("concurrent = 20\n" ENTRY("b", "glrt-bbbbbbbbbb", ""));
	decided("", "one that left keeps its machines for IdleTime, however long they have been idle");
	configure("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n") ENTRY("b", "glrt-bbbbbbbbbb", ""));
	ok(!wall_known(pool("a")->left), "  back, it has left no more");
	decided("", "  and goes on as before");
}

static void
test_limit_lowered(void)
{
	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 3\n"));
	machine("a", "a1", SCALE_USED, 50);
	machine("a", "a2", SCALE_IDLE, 40);
	machine("a", "a3", SCALE_IDLE, 30);
	machine("a", "a4", SCALE_IDLE, 20);
	job("a", "1", 9)->state = JOB_RUNNING;
	decided("", "as it should be");
	configure("concurrent = 20\n[[runners]]\nname = \"a\"\nurl = \"https://gitlab.example/\"\ntoken = \"glrt-aaaaaaaaaa\"\nexecutor = \"docker+machine\"\n"
	    "limit = 2\n[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"m-%s\"\nIdleTime = 600\nIdleCount = 3\n");
	decided("remove a2: limit; remove a3: limit; ", "limit lowered to 2: the longest idle go, the busy one stays");
	decided("", "  and no more");
}

static void
test_drain(void)
{
	world("concurrent = 20\n[machine.shutdown_drain]\nenabled = true\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 1\n"));
	machine("a", "a1", SCALE_IDLE, 5);
	machine("a", "a2", SCALE_IDLE, 4);
	job("a", "1", 9);
	m.phase = MANAGER_DRAINING;
	decided("remove a1: drain; job 1 to a2; ", "shutdown_drain: a waiting job is served, what else is idle goes at once");
	m.phase = MANAGER_LEAVING;
	machine("a", "a3", SCALE_IDLE, 4);
	decided("", "  but not when another manager takes over");
}

/* ---- the original's algorithm ---- */

#define COMPAT(more)	"concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "ScalingRules = [\"compat\"]\n" more)

static void
ticked(bool may, const char *machine_name, const char *want, const char *what)
{
	struct machine *got;
	bool asked;

	buf_clear(&done);
	asked = scaler_acquire(&m, pool("a"), &got);
	ok(asked == may, "%s: a job is %sasked for", what, may ? "" : "not ");
	is_str(got != NULL ? got->name : "none", machine_name, "  with machine %s", machine_name);
	is_str(done.n > 0 ? done.p : "", want, "  and otherwise: %s", want);
}

static void
test_compat(void)
{
	struct machine *mc;
	struct job *j;

	world(COMPAT("IdleCount = 2\n"));
	decided("", "between requests nothing is made");
	is_int(pool("a")->ask, 20, "  but asking is possible: only the request looks at machines");
	ticked(false, "none", "create a for below-idle; create a for below-idle; ", "vector 2");
	decided("", "  and no more between requests");

	world(COMPAT("IdleCount = 2\n"));
	for (int i = 1; i <= 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%d", i);
		machine("a", name, SCALE_IDLE, 900);
	}
	decided("", "what is idle for too long waits for a request");
	ticked(true, "m2", "remove m3: idle; remove m4: idle; remove m5: idle; ", "vector 9");
	is_int(machine_find(&m, "m2")->state, SCALE_ACQUIRED, "  which is held");
	request("a", machine_find(&m, "m2"));
	ticked(true, "m1", "", "a second request: the next machine");

	world(COMPAT(""));
	ticked(true, "none", "", "vector 1, on demand");
	request("a", NULL);
	j = job("a", "1", 0);
	j->announced = false;
	decided("", "a job whose poller has not spoken yet has nothing made for it");
	j->arrived = wall_add(j->arrived, -3 * NSEC_SEC);
	decided("create a for waiting; ", "  then one machine");
	decided("", "  once");
	mc = machine_find(&m, "new1");
	scaler_create_failed(&m, mc, EXIT_FAIL, WALL_UNKNOWN);
	machine_free(&m, mc);
	decided("create a for waiting; ", "  and another when that failed: there is no back-off");
	for (int i = 2; i <= 9; i++) {
		mc = machine_find(&m, m.machines.next != &m.machines ? LIST_ENTRY(m.machines.next, struct machine, link)->name : "");
		scaler_create_failed(&m, mc, EXIT_FAIL, WALL_UNKNOWN);
		machine_free(&m, mc);
		if (i < 9)
			scaler_run(&m);
	}
	is_int(j->state, JOB_ENDED, "  nine times, then the job fails");

	world(COMPAT(""));
	job("a", "1", 9);
	job("a", "2", 8);
	machine("a", "m1", SCALE_CREATING, 5)->phase = PHASE_BOOTED;
	scaler_start(&m);
	decided("create a for waiting; ", "after a restart: the machine that is coming is for one of the two that wait");

	world(COMPAT("IdleCount = 1\n"));
	machine("a", "m1", SCALE_IDLE, 5)->failures = 1;
	ticked(true, "none", "remove m1: machine is unavailable; ", "vector 22: a job is asked for without a machine");

	/* a name before all others, but not on disk yet: last in the list, so the first to be tried */
	world(COMPAT("IdleCount = 2\n"));
	mc = machine("a", "a0", SCALE_CREATING, 1);
	machine("a", "m1", SCALE_IDLE, 700);
	machine("a", "m2", SCALE_IDLE, 700);
	ticked(true, "m2", "", "machines that are only asked for stand last in the list: they drive none away");
	mc->phase = PHASE_BOOTED;
	machine_find(&m, "m2")->state = SCALE_IDLE;
	ticked(true, "m1", "remove m2: idle; ", "  once on disk they stand where their name says");

	world(COMPAT("IdleCount = 1\nMaxBuilds = 1\n"));
	machine("a", "m1", SCALE_IDLE, 5)->uses = 1;
	decided("remove m1: builds; ", "MaxBuilds needs no request");
}

/* Single rules: the better ones without the queue tick by their own clock. */
static void
test_single_rules(void)
{
	world("concurrent = 20\n" ENTRY("a", "glrt-aaaaaaaaaa", "IdleCount = 2\nScalingRules = [\"no-queue\"]\n"));
	decided("create a for below-idle; create a for below-idle; ", "better without the queue: its own clock fills the pool");
	ticked(false, "none", "", "  and no job is asked for without a machine");
	machine_find(&m, "new1")->state = SCALE_IDLE;
	ticked(true, "new1", "", "  but with one");
}

int
main(void)
{
	log_setup(LOG_FATAL, LOG_TEXT);
	test_sharing();
	test_concurrent_asks();
	test_called_off();
	test_pace();
	test_account();
	test_periods();
	test_gone();
	test_limit_lowered();
	test_drain();
	test_compat();
	test_single_rules();
	world("");
	config_free(m.config);
	buf_free(&done);
	return done_testing();
}
