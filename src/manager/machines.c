/*
 * Machines as the manager sees them: it names a new one, starts operators
 * and reads what they left in the store. Cloud and SSH are the operators'.
 */
#include <unistd.h>

#include "catalog/clouds.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/history.h"
#include "manager/parts.h"
#include "wire/json.h"

/*
 * Operators at work at once: a burst of a hundred creations should not be a hundred TLS handshakes in one second. One that waits
 * for its machine to boot costs nothing but its memory: it does not keep the other machines from being made, or from going.
 */
#define OPERATORS_MAX	32
#define OPERATORS_ALL	512
/* Pause between failed removals: 5 s, 10 s ... 5 min; hourly once put aside (spec machines 2, W4 and W5). */
#define REMOVE_AGAIN_CAP	(300 * NSEC_SEC)
#define QUARANTINE_AGAIN	(3600 * NSEC_SEC)
#define SETTLE_AGAIN		(60 * NSEC_SEC)
#define LOOK_AGAIN		(20 * NSEC_SEC)
#define ASK_LIMIT		"60"	/* of a question to the cloud: s */
#define PACE_SAY		(60 * NSEC_SEC)

static void operator_ended(struct manager *m, struct watch *w);

/* Its operator has made its calls to the cloud: from here on each counts for a minute. */
static void
note_calls(struct machine *mc)
{
	if (mc->asks == NULL)
		return;
	budget_minute_add(&mc->asks->minute, mc->calls, mono_now().ns / NSEC_SEC);
	mc->asks->under_way -= mc->calls;
	mc->asks = NULL;
}

static void
operator_says(struct manager *m, struct watch *w)
{
	struct machine *mc = w->owner;
	struct chan_msg msg;

	while (child_hear(m, &mc->operator, &msg)) {
		if (msg.verb == CHAN_WAIT) {
			scaler_throttled(m, mc, msg.arg[0]);
			continue;
		}
		if (!str_eqc(msg.arg[0], mc->name)) {
			child_refuse(m, &mc->operator, "it speaks of a machine that is not its own");
			return;
		}
		mc->phase = msg.verb == CHAN_PHASE ? phase_parse(msg.arg[1]) : PHASE_NONE;
		if (mc->phase == PHASE_CREATED)
			note_calls(mc);
		/* "ready" and that it is gone are noted when the operator has ended well. */
		if (mc->phase != PHASE_READY && mc->phase != PHASE_NONE)
			event_note(m, EVENT_PHASE, ABOUT(.machine = mc), phase_name(mc->phase), "%s", "");
		log_debug("Machine has come further", F_STR("name", mc->name), F_STR("phase", phase_name(mc->phase)));
		m->dirty = true;
	}
}

/* What an operator needs to make a machine that does not exist yet. */
int
machines_plan(struct manager *m, const struct pool *p, const char *name, struct err *e)
{
	const struct runner *r = p->conf;
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	char *clouds = fs_join(m->state_dir, "clouds");
	int fd;

	jw_object(&w, NULL);
	jw_cstr(&w, "driver", r->machine_driver);
	jw_array(&w, "options");
	for (size_t i = 0; i < r->machine_options.n; i++)
		jw_cstr(&w, NULL, r->machine_options.v[i]);
	for (size_t i = 0; i < r->machine_options_with_name.n; i++) {
		const char *o = r->machine_options_with_name.v[i], *at = strstr(o, "%s");
		struct buf s = { 0 };

		buf_put(&s, o, (size_t)(at - o));
		buf_puts(&s, name != NULL ? name : "reconcile");
		buf_puts(&s, at + 2);
		jw_str(&w, NULL, buf_str(&s));
		buf_free(&s);
	}
	jw_end_array(&w);
	jw_cstr(&w, "runner", p->key);
	/* Whose machines the account holds. */
	jw_array(&w, "runners");
	LIST_EACH(struct pool, q, link, &m->pools)
		if (q->conf != NULL && strcmp(q->conf->account, r->account) == 0)
			jw_cstr(&w, NULL, q->key);
	jw_end_array(&w);
	jw_array(&w, "prefixes");
	LIST_EACH(struct pool, q, link, &m->pools)
		if (name == NULL && q->conf != NULL && strcmp(q->conf->account, r->account) == 0)
			jw_cstr(&w, NULL, q->conf->names.prefix);
	jw_end_array(&w);
	jw_cstr(&w, "owner", m->owner);
	jw_cstr(&w, "options_hash", r->options_hash);
	jw_cstr(&w, "ready_command", r->ready_command);
	jw_cstr(&w, "clouds", clouds);
	jw_cstr(&w, "account", r->account);
	jw_bool(&w, "watched", rounds_watch(m, p));
	jw_end_object(&w);
	free(clouds);
	fd = proc_memfd("plan", buf_str(&b), e);
	buf_wipe(&b);
	return fd;
}

/* Calls to the cloud that an operator will make, where the account has a limit that is known. */
static int
calls_of(const struct machine *mc, const char *what)
{
	const struct account *a = mc->pool->account;

	if (a == NULL || a->limit == NULL)
		return 0;
	if (strcmp(what, "create") == 0)
		return mc->phase < PHASE_CREATED ? a->limit->create : 0;
	return strcmp(what, "remove") == 0 ? a->limit->remove : 0;
}

/*
 * Seconds until the account's limit has room for this operator. A sixth is for those who list. What goes leaves another quarter
 * to what somebody waits for, unless everything goes.
 */
static int
pace(const struct manager *m, const struct machine *mc, const char *what)
{
	const struct account *a = mc->pool->account;
	int calls = calls_of(mc, what), most;

	if (calls == 0)
		return 0;
	most = a->limit->minute - a->limit->minute / 6;
	if (strcmp(what, "remove") == 0 && m->phase == MANAGER_RUNNING)
		most -= a->limit->minute / 4;
	return budget_minute_wait(&a->minute, a->under_way + calls, most, mono_now().ns / NSEC_SEC);
}

static void
start_operator(struct manager *m, struct machine *mc, const char *what)
{
	bool create = strcmp(what, "create") == 0;
	bool ask = strcmp(what, "settle") == 0 || strcmp(what, "look") == 0;
	const char *argv[18] = { "windlass-operator", "--store", m->store, "--name", mc->name,
		"--do", what, "--plan-fd", "3", "--owner", m->owner, "--control-fd", "4" };
	/*
	 * It may use the cloud's key and this machine's SSH key; it dies with us, and its work is
	 * safe to repeat.
	 */
	struct child_start s = { argv, -1, PROC_DIES_WITH_PARENT, operator_says, operator_ended,
		mc, CHAN_OPERATOR };
	size_t n = 13;
	struct err e = { 0 };

	if (!create) {
		argv[n++] = "--reason";
		argv[n++] = mc->why;
	}
	if (ask) {
		argv[n++] = "--limit";
		argv[n++] = ASK_LIMIT;
	}
	/*
	 * An empty plan continues what the record says; files that options name are believed by the
	 * configuration as long as it has the runner.
	 */
	if (mc->pool->conf != NULL)
		s.plan = machines_plan(m, mc->pool, mc->name, &e);
	else
		s.plan = proc_memfd("plan", STR("{}"), &e);
	if (child_start(m, &mc->operator, &s, &e) < 0) {
		log_error("Operator could not be started", F_STR("name", mc->name),
		    F_STR("operation", what), F_ERR(&e));
		child_again_later(&mc->operator);
		return;
	}
	snprintf(mc->doing, sizeof(mc->doing), "%s", what);
	if ((mc->calls = calls_of(mc, what)) > 0) {
		mc->asks = mc->pool->account;
		mc->asks->under_way += mc->calls;
	}
	crash_point("manager:operator-started");
}

void
machines_create(struct manager *m, struct pool *p, const char *why, struct str sentence)
{
	char name[NAMES_LABEL_SIZE];
	struct machine *mc;
	uint32_t rnd;

	rand_bytes(&rnd, sizeof(rnd));
	names_make(&p->conf->names, wall_seconds(wall_now()), rnd, name);
	mc = machine_add(m, name, p);
	mc->state = SCALE_CREATING;
	mc->phase = PHASE_NONE;
	mc->create_started = wall_now();
	event_note(m, EVENT_CREATE, ABOUT(.machine = mc), why, "%.*s", STR_ARG(sentence));
	log_info("Creating machine", F_STR("name", name), F_STR("driver", p->conf->machine_driver), F_STR("runner", p->conf->short_token));
	scale_create_started(&p->gate, wall_now().ns);
}

/* The scaler's word for a text that the log and the record know; "other" for what is not the scaler's. */
static const char *
word_of(const char *why)
{
	for (int i = SCALE_WHY_NONE + 1; i < SCALE_WHY_MAX; i++)
		if (strcmp(scale_why((enum scale_why)i), why) == 0)
			return scale_why_word((enum scale_why)i);
	if (strcmp(why, MACHINE_LEFT) == 0)
		return scale_why_word(SCALE_WHY_DRAIN);
	return strcmp(why, "Failed to create") == 0 ? "create-failed" : "other";
}

void
machines_remove(struct manager *m, struct machine *mc, const char *why)
{
	machines_remove_for(m, mc, why, word_of(why), str_from(why));
}

void
machines_remove_for(struct manager *m, struct machine *mc, const char *why, const char *word, struct str sentence)
{
	if (mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK)
		return;
	event_note(m, EVENT_REMOVE, ABOUT(.machine = mc), word, "%.*s", STR_ARG(sentence));
	mc->state = SCALE_REMOVING;
	mc->remove_started = wall_now();
	mc->operator.again = MONO_AT_ONCE;
	mc->operator.deaths = 0;
	snprintf(mc->why, sizeof(mc->why), "%s", why);
	log_info("Requesting machine removal", F_STR("name", mc->name), F_STR("reason", why),
	    F_DUR("lifetime", wall_between(mc->created, wall_now())), F_INT("usedCount", mc->uses));
	m->dirty = true;
}

bool
machines_unasked(const struct machine *mc)
{
	return mc->state == SCALE_CREATING && !child_alive(&mc->operator) && mc->phase <= PHASE_PLANNED;
}

void
machines_call_off(struct manager *m, struct machine *mc, const char *why)
{
	scale_create_cancelled(&mc->pool->gate, mc->create_started.ns);
	if (mc->phase == PHASE_NONE && !child_alive(&mc->operator)) {
		log_info("Machine is not created: not needed any more", F_STR("name", mc->name), F_STR("reason", why));
		event_note(m, EVENT_REMOVED, ABOUT(.machine = mc), "called-off",
		    "%s; nothing had been begun", why);
		machine_free(m, mc);
		m->dirty = true;
		return;
	}
	machines_remove_for(m, mc, why, "called-off", str_from(why));
	/* Its operator ends at the end of the channel; what it has written down says how far it came. */
	watch_drop(m, &mc->operator.control);
}

bool
machines_rested(const struct machine *mc)
{
	return (mc->state == SCALE_IDLE || mc->state == SCALE_USED) && (mono_is_never(mc->tried_at) || mono_passed(mono_add(mc->tried_at, MACHINE_PROBE_NS)));
}

/* uses and last_used into the record, under the machine's lock. Errors cost accuracy, not safety. */
void
machines_used(struct manager *m, struct machine *mc, bool ended)
{
	struct machine_record r = { 0 };
	struct arena a = { 0 };
	struct err e = { 0 };
	int dir, lock = -1;

	mc->used = wall_now();
	dir = store_open(m->store, mc->name, &e);
	if (dir < 0)
		goto out;
	lock = store_lock(dir, false, &e);
	if (lock < 0)
		goto out;
	/* A machine made by the original has no record of ours yet: it gets one now. */
	if (machine_record_read(dir, &a, &r, &e) < 0 && e.kind == ERR_NOTFOUND)
		r = (struct machine_record){ .name = mc->name, .owner = m->owner, .nonce = "", .driver = "",
		    .runner = mc->pool->key, .phase = PHASE_READY, .created = mc->created, .phase_since = mc->created,
		    .rung = "", .step = "", .host_key = "", .options_hash = "", .last_error = "", .remove_reason = "" };
	else if (r.name == NULL)
		goto out;
	r.uses = mc->uses;
	r.last_used = mc->used;
	r.system_failures = mc->system_failures;
	e.kind = ERR_NONE;
	machine_record_write(dir, &r, &e);
out:
	if (e.kind != ERR_NONE && e.kind != ERR_NOTFOUND)
		log_warn(ended ? "End of a machine's use could not be recorded" : "Use of a machine could not be recorded",
		    F_STR("name", mc->name), F_ERR(&e));
	if (lock >= 0)
		close(lock);
	if (dir >= 0)
		close(dir);
	arena_reset(&a);
}

static void
created(struct manager *m, struct machine *mc, int status)
{
	struct pool *p = mc->pool;

	if (status == EXIT_OK && mc->state == SCALE_IDLE) {
		log_info("Machine created", F_STR("name", mc->name), F_DUR("duration", wall_between(mc->create_started, wall_now())));
		mc->check_at = rounds_next_check();
		mc->tried_at = mono_now();
		event_note(m, EVENT_READY, ABOUT(.machine = mc), "ready", "after %" PRId64 " s",
		    wall_between(mc->create_started, wall_now()) / NSEC_SEC);
		scale_created(&p->gate);
		p->create_error[0] = '\0';
		history_machine(m, mc, HISTORY_READY);
		return;
	}
	if (status == EXIT_BUSY) {
		/* Somebody works on it by hand: look again later. */
		scale_create_cancelled(&p->gate, mc->create_started.ns);
		child_again_later(&mc->operator);
		return;
	}
	if (status == EXIT_RETRY || status > 128) {
		log_warn("Machine creation was interrupted: going on with it", F_STR("name", mc->name),
		    F_INT("status", status), F_STR("error", mc->operator.error));
		child_again_later(&mc->operator);
		if (mc->operator.deaths <= 5)
			return;
	}
	log_error("Machine creation failed", F_STR("name", mc->name), F_INT("status", status), F_STR("error", mc->operator.error));
	event_note(m, EVENT_CREATE_FAILED, ABOUT(.machine = mc), status == EXIT_QUOTA ? "quota" :
	    status == EXIT_REFUSED ? "refused" : "failed", "%s", mc->operator.error);
	scaler_create_failed(m, mc, status, mc->not_before);
	history_machine(m, mc, HISTORY_FAILED);
	if (mc->phase == PHASE_NONE) {
		/* It never got as far as a record: there is nothing to remove. */
		machine_free(m, mc);
		return;
	}
	mc->state = SCALE_CREATING;
	machines_remove(m, mc, "Failed to create");
}

/* before: how many removals had failed when this one began. */
static void
removed(struct manager *m, struct machine *mc, int status, uint16_t before)
{
	int most = pool_removal_attempts(mc->pool);
	dur_t wait = 5 * NSEC_SEC;

	if (status == EXIT_OK) {
		log_info("Machine removed", F_STR("name", mc->name), F_STR("reason", mc->why),
		    F_DUR("lifetime", wall_between(mc->created, wall_now())), F_INT("usedCount", mc->uses));
		event_note(m, EVENT_REMOVED, ABOUT(.machine = mc), word_of(mc->why),
		    "it lived %" PRId64 " s and ran %" PRIu32 " job%s: %s",
		    wall_between(mc->created, wall_now()) / NSEC_SEC, mc->uses, mc->uses == 1 ? "" : "s", mc->why);
		history_machine(m, mc, HISTORY_GONE);
		drain_removed(m, mc, true);
		machine_free(m, mc);
		return;
	}
	/* Somebody works on it by hand: nothing was tried. */
	if (status == EXIT_BUSY) {
		mc->operator.again = mono_after(wait);
		return;
	}
	/* The operator counts in the record; where it could not, we do. */
	if (mc->removal_retries <= before && before < UINT16_MAX)
		mc->removal_retries = (uint16_t)(before + 1);
	log_warn("Error while removing machine", F_STR("name", mc->name), F_INT("retries", mc->removal_retries),
	    F_INT("status", status), F_STR("error", mc->operator.error));
	event_note(m, EVENT_REMOVE_FAILED, ABOUT(.machine = mc), "failed", "%s",
	    mc->operator.error);
	if (drain_removed(m, mc, false))
		return;
	for (unsigned i = 1; i < mc->removal_retries && wait < REMOVE_AGAIN_CAP; i++)
		wait *= 2;
	if (wait > REMOVE_AGAIN_CAP)
		wait = REMOVE_AGAIN_CAP;
	if (mc->removal_retries >= most) {
		if (before < most) {
			log_error("Giving up on machine removal. The remote VM may be orphaned. windlass keeps it in its books and tries every hour.",
			    F_STR("name", mc->name), F_STR("error", mc->operator.error));
			event_note(m, EVENT_STUCK, ABOUT(.machine = mc), "stuck",
			    "removal failed %" PRIu16 " times; it is tried every hour",
			    mc->removal_retries);
			rounds_reconcile(m);
		}
		mc->state = SCALE_STUCK;
		wait = QUARANTINE_AGAIN;
	}
	mc->operator.again = mono_after(wait + (dur_t)rand_below((uint64_t)wait / 5 + 1));
}

/* Whether its create calls had only one result is not known yet: the machine is in use all the same. */
static bool
to_settle(const struct machine *mc)
{
	return wall_known(mc->settle_at) && (mc->state == SCALE_IDLE || mc->state == SCALE_USED);
}

static void
settled(struct machine *mc, int status)
{
	mc->settle_at = status == EXIT_OK ? WALL_UNKNOWN : wall_add(wall_now(), SETTLE_AGAIN);
	if (status != EXIT_OK)
		log_warn("A create call without an answer could not be settled: looking again", F_STR("name", mc->name),
		    F_INT("status", status), F_STR("error", mc->operator.error));
}

static bool
to_look(const struct machine *mc)
{
	return mc->doubted && (mc->state == SCALE_IDLE || mc->state == SCALE_USED);
}

void
machines_doubt(struct manager *m, struct machine *mc, const char *why)
{
	if (mc->doubted || (mc->state != SCALE_IDLE && mc->state != SCALE_USED))
		return;
	log_info("Asking the cloud whether a machine still exists", F_STR("name", mc->name), F_STR("reason", why));
	mc->doubted = true;
	if (mono_is_never(mc->look_after))
		mc->look_after = mono_now();
	m->dirty = true;
}

/* What the cloud says of a machine that somebody could not reach. */
static void
looked(struct manager *m, struct machine *mc, int status)
{
	mc->doubted = false;
	/* Whoever still cannot reach it asks again. */
	mc->look_after = mono_after(LOOK_AGAIN);
	if (status != EXIT_GONE) {
		if (status != EXIT_OK)
			log_warn("The cloud does not say whether a machine still exists", F_STR("name", mc->name), F_INT("status", status),
			    F_STR("error", mc->operator.error));
		return;
	}
	log_warn("Machine is gone", F_STR("name", mc->name), F_STR("job", mc->job != NULL ? mc->job->id : ""), F_STR("error", mc->operator.error));
	if (mc->job != NULL)
		job_bereave(m, mc->job, mc->operator.error);
	machines_remove_for(m, mc, "the machine is gone", "gone", str_from(mc->operator.error));
	crash_point("manager:machine-gone");
}

static void
operator_ended(struct manager *m, struct watch *w)
{
	struct machine *mc = w->owner;
	bool create = strcmp(mc->doing, "create") == 0;
	char name[MACHINE_NAME_MAX + 1];
	enum scale_state wanted = mc->state;
	uint16_t before = mc->removal_retries;
	int status;

	operator_says(m, &mc->operator.control);
	status = child_bury(m, &mc->operator);
	note_calls(mc);
	snprintf(name, sizeof(name), "%s", mc->name);
	m->dirty = true;
	if (strcmp(mc->doing, "settle") == 0) {
		settled(mc, status);
		return;
	}
	if (strcmp(mc->doing, "look") == 0) {
		looked(m, mc, status);
		return;
	}
	/* The store says what was reached; a failed look changes nothing. */
	if (!create && status == EXIT_OK) {
		removed(m, mc, status, before);
		return;
	}
	if (create && !(status == EXIT_OK && wanted == SCALE_CREATING)) {
		struct err e = { 0 };
		int dir = store_open(m->store, name, &e);

		if (dir >= 0)
			close(dir);
		else if (e.kind == ERR_NOTFOUND)
			mc->phase = PHASE_NONE;
	} else
		model_load_machine(m, name);
	if (machine_find(m, name) != mc)
		return;
	/* Told to go while it was being made. */
	if (wanted == SCALE_REMOVING || wanted == SCALE_STUCK) {
		mc->state = wanted;
		if (create)
			scale_create_cancelled(&mc->pool->gate, mc->create_started.ns);
		else
			removed(m, mc, status, before);
		return;
	}
	created(m, mc, status);
}

void
machines_start(struct manager *m)
{
	LIST_EACH(struct machine, mc, link, &m->machines) {
		if (mc->state == SCALE_CREATING) {
			mc->create_started = wall_now();
			if (mc->pool->conf != NULL) {
				log_info("Going on with an unfinished machine", F_STR("name", mc->name), F_STR("phase", phase_name(mc->phase)));
				scale_create_started(&mc->pool->gate, wall_now().ns);
			} else
				machines_remove(m, mc, MACHINE_LEFT);
		} else if (mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK)
			log_info("Going on with the removal of a machine", F_STR("name", mc->name), F_STR("reason", mc->why),
			    F_INT("retries", mc->removal_retries));
	}
}

/* So many operators are at this, of one pool or of all (NULL). */
static int
operators_at(const struct manager *m, const struct pool *p, const char *what)
{
	int n = 0;

	LIST_EACH(struct machine, mc, link, &m->machines)
		n += child_alive(&mc->operator) && (p == NULL || mc->pool == p) && (what == NULL || strcmp(mc->doing, what) == 0);
	return n;
}

/* It has asked the cloud for its machine, and waits for what that machine does. */
static bool
awaits_machine(const struct machine *mc)
{
	return mc->state == SCALE_CREATING && (mc->phase == PHASE_CREATED || mc->phase == PHASE_BOOTED);
}

/* So many more may be started now. */
static int
operators_free(const struct manager *m)
{
	int busy = OPERATORS_MAX, all = OPERATORS_ALL;

	LIST_EACH(struct machine, mc, link, &m->machines) {
		all -= child_alive(&mc->operator);
		busy -= child_alive(&mc->operator) && !awaits_machine(mc);
	}
	return busy < all ? busy : all;
}

/* MaxGrowthRate once more: without SCALE_QUEUE a job in hand has its machine made whatever the rules say, and it waits here. */
static bool
may_grow(const struct manager *m, const struct pool *p)
{
	return p->conf == NULL || p->conf->max_growth <= 0 || operators_at(m, p, "create") < p->conf->max_growth;
}

/* What an operator is to do for it now; NULL: nothing. */
static const char *
due(const struct machine *mc)
{
	if (child_alive(&mc->operator) || !mono_passed(mc->operator.again))
		return NULL;
	if (mc->state == SCALE_CREATING)
		return "create";
	if (mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK)
		return "remove";
	if (to_look(mc) && mono_passed(mc->look_after))
		return "look";
	return to_settle(mc) && !wall_before(wall_now(), mc->settle_at) ? "settle" : NULL;
}

/* Whether what is due may begin, but for the limits of its account. */
static bool
may_begin(const struct manager *m, const struct machine *mc, const char *what)
{
	if (strcmp(what, "create") == 0)
		return m->phase != MANAGER_STOPPING && may_grow(m, mc->pool);
	return strcmp(what, "remove") != 0 || !m->config->drain || m->phase == MANAGER_RUNNING ||
	    operators_at(m, NULL, "remove") < m->config->drain_concurrency;
}

/* Whether there is room for it in the limit of its account. */
static bool
may_ask(const struct manager *m, const struct machine *mc, const char *what)
{
	struct account *a = mc->pool->account;
	int wait = pace(m, mc, what);

	if (wait > 0 && mono_passed(a->say)) {
		log_info("The cloud account's limit is used up for the moment: what is left waits for it", F_INT("calls_a_minute", a->limit->minute),
		    F_STR("next", what), F_DUR("wait", wait * NSEC_SEC));
		a->say = mono_after(PACE_SAY);
	}
	return wait == 0;
}

void
machines_tend(struct manager *m)
{
	int left = operators_free(m);

	/* First what somebody waits for. */
	for (int others = 0; others < 2; others++)
		LIST_EACH(struct machine, mc, link, &m->machines) {
			const char *what = left > 0 ? due(mc) : NULL;

			if (what == NULL || (strcmp(what, "create") != 0) != others || !may_begin(m, mc, what) || !may_ask(m, mc, what))
				continue;
			start_operator(m, mc, what);
			left--;
		}
}

/* When the account's limit lets the next one begin that waits for nothing else. */
static mono_t
paced_until(const struct manager *m)
{
	mono_t at = MONO_NEVER;

	LIST_EACH(struct machine, mc, link, &m->machines) {
		const char *what = due(mc);
		int wait = what != NULL && may_begin(m, mc, what) ? pace(m, mc, what) : 0;

		if (wait > 0)
			at = mono_min(at, mono_after(wait * NSEC_SEC));
	}
	return at;
}

static mono_t
later(mono_t a, mono_t b)
{
	return mono_before(a, b) ? b : a;
}

mono_t
machines_wake(const struct manager *m)
{
	mono_t at = MONO_NEVER;
	wall_t now = wall_now();

	/* What one of them says, or its end, wakes us. */
	if (operators_free(m) <= 0)
		return at;
	at = paced_until(m);
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (!child_alive(&mc->operator) && !mono_equal(mc->operator.again, MONO_AT_ONCE) &&
		    (mc->state == SCALE_CREATING || mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK))
			at = mono_min(at, mc->operator.again);
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (to_look(mc) && !child_alive(&mc->operator))
			at = mono_min(at, later(mc->look_after, mc->operator.again));
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (to_settle(mc) && !child_alive(&mc->operator)) {
			mono_t due = mono_after(wall_before(now, mc->settle_at) ? wall_between(now, mc->settle_at) : 0);

			at = mono_min(at, later(due, mc->operator.again));
		}
	return at;
}
