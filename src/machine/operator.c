/* The operator process: what it can be told to do, and how it begins and ends. See operator.h. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/chan.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/sandbox.h"
#include "machine/certs.h"
#include "machine/operator.h"
#include "machine/operator_parts.h"
#include "machine/round.h"
#include "net/dial.h"

#define LOOK_NS			(15 * NSEC_SEC)
#define LOOK_AGAIN_NS		(3 * NSEC_SEC)

/* To the manager */

static void
tell_phase(void *ctx, const char *name, enum machine_phase p)
{
	const struct operator_args *args = ctx;

	if (args->control < 0)
		return;
	if (p == PHASE_NONE)
		(void)chan_send(args->control, args->talk, CHAN_GONE, NULL, "%s", name);
	else
		(void)chan_send(args->control, args->talk, CHAN_PHASE, NULL, "%s %s", name, phase_name(p));
}

static void
tell_throttled(void *ctx, wall_t until)
{
	const struct operator_args *args = ctx;

	if (args->control >= 0)
		(void)chan_send(args->control, args->talk, CHAN_WAIT, NULL, "%" PRId64,
		    until.ns / NSEC_MSEC);
}

static void
tell_found(void *ctx, enum chan_verb verb, const char *text)
{
	const struct operator_args *args = ctx;

	log_debug("Found", F_INT("verb", verb), F_STR("text", text));
	if (args->control >= 0)
		(void)chan_send(args->control, args->talk, verb, NULL, "%s", text);
}

/* One machine */

static int
status_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_QUOTA: case ERR_CAPACITY:
		return EXIT_QUOTA;
	case ERR_REFUSED: case ERR_AUTH: case ERR_CONFIG:
		return EXIT_REFUSED;
	case ERR_NET: case ERR_SERVER: case ERR_CANCELLED: case ERR_FULL: case ERR_TLS: case ERR_PROTO:
		return EXIT_RETRY;
	default:
		return EXIT_FAIL;
	}
}

static int
do_create(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	mono_t began = mono_now();
	int status;

	if (operation_open(op, e) < 0) {
		if (e->kind == ERR_CONFLICT)
			return EXIT_BUSY;
		if (e->kind != ERR_NOTFOUND)
			return status_of(e);
		if (operator_plan_machine(op, args, root, e) < 0)
			return e->kind == ERR_CONFLICT ? EXIT_BUSY : status_of(e);
	}
	if (operation_create(op, e) < 0) {
		status = status_of(e);
		/* A boot that did not end in time, say: it is not worth another try. */
		return status;
	}
	log_debug("Machine is ready", F_STR("name", op->name),
	    F_DUR("duration", mono_since(began)));
	return EXIT_OK;
}

/* What is to go: by the runner's own account when config.json, which has the account's key, cannot be read. */
static int
open_to_remove(struct operation *op, struct json_val root, struct err *e)
{
	struct machine_host h;
	struct err why = { 0 };
	char hash[17];

	if (operation_open(op, e) == 0)
		return 0;
	if (op->lock < 0 || e->kind != ERR_PARSE || !json_present(json_get(root, "driver")))
		return -1;
	if (operator_plan_host(op, root, &h, hash, &why) < 0 || operation_stand_in(op, &h, &why) < 0) {
		log_warn("Nor does the runner's own account help", F_STR("name", op->name), F_ERR(&why));
		/* What a person can do something about. */
		if (why.kind == ERR_CONFIG)
			*e = why;
		return -1;
	}
	log_warn("Machine is removed with the runner's own account", F_STR("name", op->name), F_ERR(e));
	*e = (struct err){ 0 };
	return 0;
}

static int
do_remove(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	if (open_to_remove(op, root, e) < 0) {
		if (e->kind == ERR_CONFLICT)
			return EXIT_BUSY;
		if (e->kind == ERR_NOTFOUND) {
			tell_phase(op->ctx, op->name, PHASE_NONE);
			return EXIT_OK;
		}
		return status_of(e);
	}
	if (operation_remove(op, args->reason, e) == 0)
		return EXIT_OK;
	return e->kind == ERR_TIMEOUT ? EXIT_RETRY : status_of(e);
}

static int
do_settle(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	(void)args;
	(void)root;
	if (operation_look(op, e) < 0)
		return e->kind == ERR_NOTFOUND ? EXIT_OK : status_of(e);
	return operation_settle(op, e) == 0 ? EXIT_OK : status_of(e);
}

/* One look: 1 it is there, 0 it is not, or runs nothing any more, -1. */
static int
look_once(struct operation *op, struct err *e)
{
	static const char *const whys[] = {
		[WHY_NONE] = "it is switched off", [WHY_PREEMPTED] = "it was preempted: the cloud took it back",
		[WHY_CAPACITY] = "it has no capacity for it any more", [WHY_BROKEN] = "it is broken",
		[WHY_STOPPED_BY_HAND] = "it was stopped by hand",
	};
	struct cloud_sight s;

	if (cloud_look(&op->host.cloud, &s, mono_min(op->deadline, mono_after(LOOK_NS)), e) < 0)
		return e->kind == ERR_NOTFOUND ? 0 : -1;
	if (s.state != STATE_STOPPED && s.why == WHY_NONE)
		return 1;
	err_set(e, ERR_NOTFOUND, 0, "the cloud says that %s%s%s", whys[s.why], s.words[0] != '\0' ? ": " : "", s.words);
	return 0;
}

/* Asks the cloud whether the machine still lives. One no is not believed. */
static int
do_look(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	int there;

	(void)args;
	(void)root;
	if (operation_look(op, e) < 0)
		return e->kind == ERR_NOTFOUND ? EXIT_OK : status_of(e);
	if (op->host.cloud.driver == NULL || !op_has_machine_id(op))
		return EXIT_OK;
	there = look_once(op, e);
	if (there == 0) {
		if (net_pause(LOOK_AGAIN_NS, e) < 0)
			return EXIT_RETRY;
		there = look_once(op, e);
	}
	return there < 0 ? status_of(e) : there > 0 ? EXIT_OK : EXIT_GONE;
}

/* Rounds */

/* The round that an act of this process is. */
static struct round
round_of(const struct operation *op, const struct operator_args *args)
{
	return (struct round){ .store = op->store, .owner = args->owner, .grace = args->grace_s * NSEC_SEC, .deadline = op->deadline,
		.tell = tell_found, .ctx = op->ctx };
}

static int
do_health(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	struct round r = round_of(op, args);
	const char **names, **probes;
	size_t n, nprobes;
	struct err why = { 0 };
	int rc;

	/* Where no machine is made for months, nobody else renews it. The manager says each day that it ends. */
	if (certs_renew(op->store, &why) < 0)
		log_debug("Certificate authority could not be renewed", F_ERR(&why));
	names = operator_plan_list(root, "machines", &op->arena, &n);
	probes = operator_plan_list(root, "probe", &op->arena, &nprobes);
	rc = round_health(&r, names, n, probes, nprobes, e);
	arena_reset(&r.arena);
	return rc == 0 ? EXIT_OK : status_of(e);
}

/* The account that the plan describes; closed with the operation. */
static int
open_planned(struct operation *op, struct json_val root, struct err *e)
{
	struct machine_host h;
	char hash[17];

	if (operator_plan_host(op, root, &h, hash, e) < 0)
		return -1;
	op_take_host(op, &h);
	return 0;
}

static int
do_reconcile(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	struct round r = round_of(op, args);
	struct round_runners runners;
	const char **prefixes;
	size_t n;
	int rc = open_planned(op, root, e);

	runners.v = operator_plan_list(root, "runners", &op->arena, &runners.n);
	prefixes = operator_plan_list(root, "prefixes", &op->arena, &n);
	if (rc == 0)
		rc = round_reconcile(&r, &op->host.cloud, &runners, e);
	if (rc == 0)
		rc = round_strangers(&r, &op->host.cloud, prefixes, n, e);
	arena_reset(&r.arena);
	return rc == 0 ? EXIT_OK : status_of(e);
}

static int
do_watch(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	struct round r = round_of(op, args);
	int rc = open_planned(op, root, e);

	if (rc == 0 && op->account.dir < 0)
		rc = err_set(e, ERR_CONFIG, 0, "--do watch: there is no directory for what is seen");
	if (rc == 0)
		rc = round_watch(&r, &op->host.cloud, &op->account, e);
	arena_reset(&r.arena);
	return rc == 0 || e->kind == ERR_CANCELLED ? EXIT_OK : status_of(e);
}

/* The process */

/* What an operator can be told to do. */
static const struct verb {
	const char	*name;
	int		(*act)(struct operation *op, const struct operator_args *args, struct json_val plan, struct err *e);
	bool		 of_account;	/* of many machines: it has no name, and needs a plan */
	enum chan_from	 says_as;
} verbs[] = {
	{ "create", do_create, false, CHAN_OPERATOR }, { "remove", do_remove, false, CHAN_OPERATOR },
	{ "settle", do_settle, false, CHAN_OPERATOR }, { "look", do_look, false, CHAN_OPERATOR },
	{ "reconcile", do_reconcile, true, CHAN_RECONCILER }, { "health", do_health, true, CHAN_CHECKER },
	{ "watch", do_watch, true, CHAN_WATCHER },
};

static const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int
operator_main(int argc, char **argv)
{
	struct json_val plan = JSON_NONE;
	struct err e = { 0 };
	struct operation op;
	struct chan_talk talk = { 0 };
	const struct verb *verb;
	struct operator_args args;
	uid_t self;
	int status;

	proc_harden();
	signal(SIGPIPE, SIG_IGN);
	verb = operator_args(&args, argc, argv, &e) == 0 ? verb_find(args.act) : NULL;
	if (verb == NULL || (verb->of_account && args.plan_fd < 0)) {
		if (e.kind == ERR_NONE)
			err_set(&e, ERR_CONFIG, 0, "--do %s: %s", args.act, verb == NULL ? "there is no such act" : "there is no plan");
		log_error("Operator was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	talk = (struct chan_talk){ verb->says_as, CHAN_MANAGER, 0 };
	args.talk = &talk;
	if (args.control >= 0) {
		fcntl(args.control, F_SETFD, FD_CLOEXEC);
		/* A manager that does not read must not stop us: what counts is in the record. */
		fcntl(args.control, F_SETFL, O_NONBLOCK);
		net_control(args.control);
	}
	operation_init(&op, args.store, args.name);
	op.ctx = &args;
	op.ears = (struct cloud_ears){ .throttled = tell_throttled, .ctx = &args };
	if (operator_plan_take(&op, &args, &plan, &e) < 0 || (strcmp(args.act, "create") == 0 && operator_plan_keys(&op, plan, &e) < 0)) {
		status = EXIT_CONFIG;
		goto out;
	}
	/* It writes in the store and nothing else, and runs no program. Where there is no store yet, now is the time. */
	(void)fs_mkdirs(args.store, 0700, NULL);
	if (fs_strict_modes(args.store, geteuid(), &e) < 0) {
		log_error("Store cannot be trusted", F_ERR(&e));
		return EXIT_CONFIG;
	}
	self = operator_take_store(&args, &op.arena, plan);
	if (self != 0 && op.account.dir >= 0 && identity_changes() &&
	    identity_hand_over_tree(op.account.dir, IDENTITY_OPERATOR, 1, &e) < 0)
		account_close(&op.account);
	sandbox_files((struct sandbox_place[]){ { SANDBOX_WRITE, args.store, -1 }, { SANDBOX_WRITE, NULL, op.account.dir } },
	    op.account.dir >= 0 ? 2 : 1, SANDBOX_READ_ALL | SANDBOX_TCP, NULL);
	identity_take(self, 0);
	sandbox_calls(SANDBOX_OPERATOR);
	op.deadline = mono_after(args.limit_s * NSEC_SEC);
	op.on_phase = tell_phase;
	status = verb->act(&op, &args, plan, &e);
out:
	if (status != EXIT_OK) {
		log_debug("Operator failed", F_STR("name", args.name), F_STR("do", args.act), F_INT("status", status), F_ERR(&e));
		if (args.control >= 0)
			(void)chan_send(args.control, args.talk, CHAN_ERROR, NULL, "%s %s",
			    err_kind_name(e.kind), e.msg);
	}
	operation_end(&op);
	return status;
}
