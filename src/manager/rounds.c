/*
 * Rounds over the whole fleet: reconciliation of each cloud account against
 * the store, at the start and every ten minutes, and the health of machines that are ready, each every
 * half a minute. The processes (machine/round.h) look and say; what follows from it is decided here.
 */
#include <unistd.h>

#include "core/crash.h"
#include "core/exit.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/parts.h"
#include "wire/json.h"

#define RECONCILE_EVERY		(600 * NSEC_SEC)
#define RECONCILE_AGAIN		(60 * NSEC_SEC)		/* after a failure; doubled up to RECONCILE_EVERY */
#define ROUND_LIMIT		"300"	/* s; what is left of many strays is for the next one */
#define CHECK_EVERY		(30 * NSEC_SEC)
#define CHECK_DOUBTFUL		(5 * NSEC_SEC)		/* one that did not answer */
#define CHECK_BLIND		(10 * NSEC_SEC)
#define CHECK_AHEAD		(10 * NSEC_SEC)		/* taken along by a round that starts anyway */
#define CHECKERS		4
#define CERTS_LOOK		(20 * NSEC_SEC)
#define CERTS_SAY		(86400 * NSEC_SEC)
#define WATCH_NEVER		(600 * NSEC_SEC)
#define WATCH_LEAST		3			/* fewer machines on their way ask for themselves */
#define BATCH			16			/* machines a round: one dead one costs it seconds */

struct reconciler {
	struct list	 link;
	char		 key[9];
	struct child	 child;
	mono_t		 next;		/* MONO_AT_ONCE when it is made */
	mono_t		 sooner;	/* somebody has seen a reason to look again then; MONO_NEVER: nobody */
	unsigned	 failed;	/* in a row */
	struct child	 watcher;	/* looks at all of the account's pending machines, while there are several */
	bool		 looked;	/* for strangers: once */
};

struct rounds {
	struct list	 accounts;
	struct child	 checker[CHECKERS];
};

static struct rounds *
rounds(struct manager *m)
{
	struct rounds *r = m->rounds;

	if (r != NULL)
		return r;
	r = m->rounds = xcalloc(1, sizeof(*r));
	list_init(&r->accounts);
	for (int i = 0; i < CHECKERS; i++)
		r->checker[i] = (struct child){ .exit = { .fd = -1 }, .control = { .fd = -1 }, .again = MONO_AT_ONCE };
	return r;
}

static int64_t
jitter(int64_t ns)
{
	return ns - ns / 5 + (int64_t)rand_below((uint64_t)ns * 2 / 5);
}

mono_t
rounds_next_check(void)
{
	return mono_after(jitter(CHECK_EVERY));
}

/*
 * A reconciler may use one account's key, a checker the machines' client keys; both only read the
 * store. 0 or -1.
 */
static int
start(struct manager *m, struct child *c, const char *what, struct child_start s)
{
	const char *argv[] = { "windlass-operator", "--store", m->store, "--do", what, "--plan-fd", "3", "--owner", m->owner,
		"--control-fd", "4", "--limit", ROUND_LIMIT, NULL };
	struct err e = { 0 };

	s.argv = argv;
	s.life = PROC_DIES_WITH_PARENT;
	if (s.plan < 0)
		return -1;
	if (child_start(m, c, &s, &e) == 0)
		return 0;
	log_error("Round could not be started", F_STR("round", what), F_ERR(&e));
	return -1;
}

static struct machine *
machine_of(struct manager *m, struct str name)
{
	char text[MACHINE_NAME_MAX + 1];

	return str_copy(name, text, sizeof(text)) < 0 ? NULL : machine_find(m, text);
}

/* Reconciliation */

static void
stray(struct manager *m, struct reconciler *a, const struct chan_msg *msg)
{
	struct str text = msg->narg > 2 ? msg->arg[2] : STR("");
	int64_t seconds;

	if (str_eqc(msg->arg[0], "foreign")) {
		log_warn("A machine in the cloud has this runner's name and another windlass's mark: is another bastion using this runner? If not, its "
		    "bastion was replaced: delete the machine in the cloud, or bring the old store here and run `windlass adopt`",
		    F_VIEW("id", msg->arg[1]), F_VIEW("what", text));
		event_note(m, EVENT_MACHINE, ABOUT_ALL, "foreign", "%.*s (%.*s) has this runner's "
		    "name and another windlass's mark: it is left alone",
		    STR_ARG(text), STR_ARG(msg->arg[1]));
	} else if (str_eqc(msg->arg[0], "young")) {
		if (str_to_i64(text, &seconds) == 0 && seconds >= 0 && seconds <= RECONCILE_EVERY / NSEC_SEC)
			a->sooner = mono_min(a->sooner, mono_after((seconds + 1) * NSEC_SEC));
	} else if (str_eqc(msg->arg[0], "removed")) {
		log_warn("Removed what nobody knew of", F_VIEW("id", msg->arg[1]), F_VIEW("what", text));
		event_note(m, EVENT_MACHINE, ABOUT_ALL, "stray", "%.*s (%.*s) was in the cloud "
		    "with our owner's mark and not in the store: removed",
		    STR_ARG(text), STR_ARG(msg->arg[1]));
	} else {
		log_error("Something of ours in the cloud that nobody knows of could not be removed", F_VIEW("id", msg->arg[1]), F_VIEW("what", text));
		event_note(m, EVENT_MACHINE, ABOUT_ALL, "stray-stays",
		    "%.*s (%.*s) is in the cloud, not in the store, and could not be removed",
		    STR_ARG(text), STR_ARG(msg->arg[1]));
	}
}

static void
reconciler_says(struct manager *m, struct watch *w)
{
	struct reconciler *a = w->owner;
	struct chan_msg msg;

	while (child_hear(m, &a->child, &msg)) {
		if (msg.verb == CHAN_STRAY)
			stray(m, a, &msg);
		else if (msg.verb == CHAN_MISSING) {
			struct machine *mc = machine_of(m, msg.arg[0]);

			if (mc != NULL)
				machines_doubt(m, mc, "the cloud's list does not show it");
		}
	}
}

static void
reconciler_ended(struct manager *m, struct watch *w)
{
	struct reconciler *a = w->owner;
	int64_t wait = RECONCILE_AGAIN;
	int status;

	reconciler_says(m, &a->child.control);
	status = child_bury(m, &a->child);
	if (status == EXIT_OK) {
		log_debug("Cloud and store were compared", F_STR("account", a->key));
		a->failed = 0;
		a->looked = true;
		a->next = mono_min(a->sooner, mono_after(jitter(RECONCILE_EVERY)));
		return;
	}
	log_warn("Cloud and store could not be compared", F_STR("account", a->key), F_INT("status", status), F_STR("error", a->child.error));
	for (unsigned i = 0; i < a->failed && wait < RECONCILE_EVERY; i++)
		wait *= 2;
	a->failed++;
	a->next = mono_after(jitter(wait < RECONCILE_EVERY ? wait : RECONCILE_EVERY));
}

static bool
has_account(const struct pool *p)
{
	return p->conf != NULL && p->conf->disabled == NULL && p->conf->has_machine && p->conf->machine_driver != NULL &&
	    p->conf->machine_driver[0] != '\0';
}

static struct reconciler *
reconciler_of(struct rounds *r, const char *key)
{
	struct reconciler *a;

	LIST_EACH(struct reconciler, known, link, &r->accounts)
		if (strcmp(known->key, key) == 0)
			return known;
	a = xcalloc(1, sizeof(*a));
	snprintf(a->key, sizeof(a->key), "%s", key);
	a->child = a->watcher = (struct child){ .exit = { .fd = -1 }, .control = { .fd = -1 }, .again = MONO_AT_ONCE };
	a->next = MONO_AT_ONCE;
	list_add(&r->accounts, &a->link);
	return a;
}

void
rounds_reconcile(struct manager *m)
{
	LIST_EACH(struct reconciler, a, link, &rounds(m)->accounts) {
		a->next = MONO_AT_ONCE;
		a->sooner = MONO_NEVER;
	}
}

/* Watching */

/* Machines of the account on their way that have not come as far as this. */
static unsigned
before(const struct manager *m, const char *account, enum machine_phase phase)
{
	unsigned n = 0;

	LIST_EACH(struct machine, mc, link, &m->machines)
		n += mc->state == SCALE_CREATING && mc->phase < phase && mc->pool->conf != NULL &&
		    strcmp(mc->pool->conf->account, account) == 0;
	return n;
}

/* Whether its machines are worth a look: some have no address, or several may be gone while their SSH is awaited. */
static bool
worth_a_look(const struct manager *m, const char *account)
{
	return before(m, account, PHASE_BOOTED) > 0 || before(m, account, PHASE_PROVISIONED) >= WATCH_LEAST;
}

bool
rounds_watch(const struct manager *m, const struct pool *p)
{
	return has_account(p) && before(m, p->conf->account, PHASE_PROVISIONED) >= WATCH_LEAST;
}

static void
watcher_says(struct manager *m, struct watch *w)
{
	struct reconciler *a = w->owner;
	struct chan_msg msg;

	/* What it saw is on disk; what the cloud's patience means for it is its own affair. */
	while (child_hear(m, &a->watcher, &msg))
		;
}

static void
watcher_ended(struct manager *m, struct watch *w)
{
	struct reconciler *a = w->owner;
	int status;

	watcher_says(m, &a->watcher.control);
	status = child_bury(m, &a->watcher);
	if (status == EXIT_OK) {
		a->watcher.deaths = 0;
		/* One that ends by itself has a driver whose machines cannot be listed. */
		a->watcher.again = worth_a_look(m, a->key) ? mono_after(WATCH_NEVER) : MONO_AT_ONCE;
		return;
	}
	/* Its operators notice that what it wrote grows old, and ask for themselves. */
	log_warn("Cloud account is not watched", F_STR("account", a->key), F_INT("status", status), F_STR("error", a->watcher.error));
	child_again_later(&a->watcher);
}

/* The end of the conversation ends it. */
static void
leave_watcher(struct manager *m, struct reconciler *a)
{
	if (a->watcher.control.fd >= 0 && !worth_a_look(m, a->key))
		watch_drop(m, &a->watcher.control);
}

static void
tend_watcher(struct manager *m, struct reconciler *a, const struct pool *p)
{
	struct child_start s;
	struct err e = { 0 };

	leave_watcher(m, a);
	if (child_alive(&a->watcher))
		return;
	if (!rounds_watch(m, p) || !mono_passed(a->watcher.again))
		return;
	s = (struct child_start){ .says = watcher_says, .ended = watcher_ended, .owner = a,
	    .peer = CHAN_WATCHER, .plan = machines_plan(m, p, "watch", &e) };
	if (start(m, &a->watcher, "watch", s) < 0)
		child_again_later(&a->watcher);
}

static void
tend_accounts(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools) {
		struct child_start s;
		struct reconciler *a;
		struct err e = { 0 };

		if (!has_account(p))
			continue;
		a = reconciler_of(rounds(m), p->conf->account);
		tend_watcher(m, a, p);
		if (child_alive(&a->child) || !mono_passed(a->next))
			continue;
		a->sooner = MONO_NEVER;
		a->next = mono_after(RECONCILE_AGAIN);
		s = (struct child_start){ .says = reconciler_says, .ended = reconciler_ended,
		    .owner = a, .peer = CHAN_RECONCILER, .plan = machines_plan(m, p, a->looked ? "reconcile" : NULL, &e) };
		if (start(m, &a->child, "reconcile", s) == 0)
			crash_point("manager:reconciler-started");
	}
}

/* Health */

static void
answers(struct manager *m, struct machine *mc, bool tried)
{
	if (mc->failures > 0 || (mc->flags & SCALE_F_BLIND) != 0) {
		log_info("Machine answers again", F_STR("name", mc->name));
		event_note(m, EVENT_MACHINE, ABOUT(.machine = mc), "reachable",
		    "its engine answers again");
		m->dirty = true;
	}
	mc->failures = 0;
	mc->flags &= ~(unsigned)SCALE_F_BLIND;
	mc->check_at = rounds_next_check();
	if (tried)
		mc->tried_at = mono_now();
}

/* It answers and can run nothing: its own words, so that there is nothing to wait for. A job on it sees for itself. */
static void
is_unfit(struct manager *m, struct machine *mc, struct str why)
{
	mc->check_at = mono_after(CHECK_DOUBTFUL);
	if (mc->state != SCALE_IDLE)
		return;
	log_warn("Machine can run no container: it goes", F_STR("name", mc->name), F_VIEW("error", why));
	machines_remove_for(m, mc, "machine is unavailable", scale_why_word(SCALE_WHY_UNAVAILABLE), why);
}

static void
does_not_answer(struct manager *m, struct machine *mc, struct str why)
{
	mc->flags &= ~(unsigned)SCALE_F_BLIND;
	mc->check_at = mono_after(CHECK_DOUBTFUL);
	if (mc->state == SCALE_USED) {
		/* Its job has patience with an engine that is away, and needs none with a machine that is gone. */
		machines_doubt(m, mc, "its engine does not answer");
		return;
	}
	if (mc->failures < UINT16_MAX)
		mc->failures++;
	log_warn("Machine does not answer", F_STR("name", mc->name), F_INT("failures", mc->failures), F_VIEW("error", why));
	event_note(m, EVENT_MACHINE, ABOUT(.machine = mc), "unreachable",
	    "check %" PRIu16 " in a row failed: %.*s", mc->failures, STR_ARG(why));
	m->dirty = true;
}

static void
cannot_be_told(struct manager *m, struct machine *mc, struct str why)
{
	if ((mc->flags & SCALE_F_BLIND) == 0) {
		log_warn("Health of machines cannot be told from here", F_STR("name", mc->name), F_VIEW("error", why));
		event_note(m, EVENT_MACHINE, ABOUT(.machine = mc), "blind",
		    "its health cannot be told: %.*s", STR_ARG(why));
	}
	mc->flags |= SCALE_F_BLIND;
	mc->check_at = mono_after(CHECK_BLIND);
}

static void
checker_says(struct manager *m, struct watch *w)
{
	struct child *c = w->owner;
	struct chan_msg msg;

	while (child_hear(m, c, &msg)) {
		struct machine *mc = msg.verb == CHAN_HEALTH ? machine_of(m, msg.arg[0]) : NULL;
		struct str why = msg.narg > 2 ? msg.arg[2] : STR("");

		if (mc == NULL || (mc->state != SCALE_IDLE && mc->state != SCALE_USED))
			continue;
		if (str_eqc(msg.arg[1], "ok") || str_eqc(msg.arg[1], "fit"))
			answers(m, mc, str_eqc(msg.arg[1], "fit"));
		else if (str_eqc(msg.arg[1], "unfit"))
			is_unfit(m, mc, why);
		else if (str_eqc(msg.arg[1], "failed"))
			does_not_answer(m, mc, why);
		else
			cannot_be_told(m, mc, why);
	}
}

static void
checker_ended(struct manager *m, struct watch *w)
{
	struct child *c = w->owner;
	int status;

	checker_says(m, &c->control);
	status = child_bury(m, c);
	if (status != EXIT_OK)
		log_warn("Health checks were cut short", F_INT("status", status), F_STR("error", c->error));
}

static bool
to_check(const struct machine *mc, mono_t at)
{
	return (mc->state == SCALE_IDLE || mc->state == SCALE_USED) && !mc->doubted && !mono_before(at, mc->check_at);
}

/* Those that are due, and those that soon would be: one process for all of them. */
static int
checker_plan(struct manager *m, struct err *e)
{
	mono_t ahead = mono_after(CHECK_AHEAD);
	struct buf b = { 0 }, probes = { 0 };
	struct json_w w = { .b = &b }, wp = { .b = &probes };
	int n = 0, fd;

	jw_array(&wp, NULL);
	jw_object(&w, NULL);
	jw_array(&w, "machines");
	for (int soon = 0; soon < 2; soon++)
		LIST_EACH(struct machine, mc, link, &m->machines) {
			if (n == BATCH || !to_check(mc, soon ? ahead : mono_now()))
				continue;
			jw_cstr(&w, NULL, mc->name);
			/* What a job does to its machine's disk for a while is the job's affair. */
			if (mc->state == SCALE_IDLE && machines_rested(mc))
				jw_cstr(&wp, NULL, mc->name);
			/* Should no verdict come of it, that is its next turn. */
			mc->check_at = mono_after(2 * CHECK_EVERY);
			n++;
		}
	jw_end_array(&w);
	jw_end_array(&wp);
	jw_raw(&w, "probe", buf_str(&probes));
	jw_end_object(&w);
	fd = proc_memfd("plan", buf_str(&b), e);
	buf_free(&b);
	buf_free(&probes);
	return fd;
}

static void
tend_checkers(struct manager *m)
{
	struct rounds *r = rounds(m);

	for (int i = 0; i < CHECKERS; i++) {
		struct child *c = &r->checker[i];
		struct child_start s;
		struct err e = { 0 };
		bool due = false;

		LIST_EACH(struct machine, mc, link, &m->machines)
			due = due || to_check(mc, mono_now());
		if (!due)
			return;
		if (child_alive(c))
			continue;
		s = (struct child_start){ .says = checker_says, .ended = checker_ended, .owner = c,
		    .peer = CHAN_CHECKER, .plan = checker_plan(m, &e) };
		if (start(m, c, "health", s) == 0)
			crash_point("manager:checker-started");
	}
}

/* Certificates */

static bool
ends_before(const struct manager *m, const struct machine *mc, int64_t now)
{
	return mc->ends != 0 && mc->ends - now <= CERTS_LEAVE_S && m->ca.ends > mc->ends + CERTS_DAY;
}

/* Which machines go before their certificates end: not before a new one would live longer. */
static void
mark_ending(struct manager *m)
{
	int64_t now = wall_seconds(wall_now());

	LIST_EACH(struct machine, mc, link, &m->machines) {
		bool ending = ends_before(m, mc, now);

		/* By hand it may have got new ones. */
		if (ending && (mc->flags & SCALE_F_ENDING) == 0) {
			int dir = store_open(m->store, mc->name, NULL);

			mc->ends = dir >= 0 ? certs_machine_ends(dir) : mc->ends;
			if (dir >= 0)
				close(dir);
			ending = ends_before(m, mc, now);
		}
		if (ending == ((mc->flags & SCALE_F_ENDING) != 0))
			continue;
		mc->flags ^= (unsigned)SCALE_F_ENDING;
		m->dirty = true;
	}
}

static void
tend_certs(struct manager *m)
{
	struct buf b = { 0 };

	if (!mono_passed(m->ca.look))
		return;
	m->ca.look = mono_after(CERTS_LOOK);
	m->ca.ends = certs_ca_ends(m->store);
	metric_set_labels(m, M_CA_ENDS, (double)m->ca.ends, NULL, 0);
	mark_ending(m);
	if (mono_passed(m->ca.say) && certs_say(m->store, &b)) {
		log_warn("Certificate authority ends soon", F_STR("text", b.p));
		m->ca.say = mono_after(CERTS_SAY);
	}
	buf_free(&b);
}

void
rounds_tend(struct manager *m)
{
	if (m->phase == MANAGER_STOPPING || m->phase == MANAGER_LEAVING) {
		LIST_EACH(struct reconciler, a, link, &rounds(m)->accounts)
			leave_watcher(m, a);
		return;
	}
	tend_certs(m);
	tend_accounts(m);
	tend_checkers(m);
}

mono_t
rounds_wake(const struct manager *m)
{
	mono_t at = MONO_NEVER;
	bool idle = false;

	if (m->rounds == NULL || m->phase == MANAGER_STOPPING || m->phase == MANAGER_LEAVING)
		return at;
	LIST_EACH(struct pool, p, link, &m->pools) {
		/* One whose pools have left the configuration is not started any more, however long it is due. */
		struct reconciler *a = has_account(p) ? reconciler_of(m->rounds, p->conf->account) : NULL;

		if (a != NULL && !child_alive(&a->child) && !mono_equal(a->next, MONO_AT_ONCE))
			at = mono_min(at, a->next);
	}
	for (int i = 0; i < CHECKERS; i++)
		idle = idle || !child_alive(&m->rounds->checker[i]);
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (idle && !mono_equal(mc->check_at, MONO_AT_ONCE) && to_check(mc, MONO_NEVER))
			at = mono_min(at, mc->check_at);
	return at;
}
