/*
 * The cloud's part of a create: the things of a machine in the order of their making, each call
 * announced, and what a call without an answer may have made looked for before the next; the
 * ladder of choices; the address.
 */
#include "core/crash.h"
#include "core/log.h"
#include "core/rand.h"
#include "machine/operation_parts.h"
#include "net/dial.h"
#include "policy/retry.h"

#define UNSEEN_5XX_NS		(4 * NSEC_SEC)	/* OP_UNSEEN_NS when the server itself said that it failed */
#define RUBBISH_TRIES		3
#define STOCK_OUT_NS		(600 * NSEC_SEC)	/* so long a choice that was out of stock is passed over */
#define SEEN_FRESH_NS		(10 * NSEC_SEC)		/* a watcher's look this old is somebody's who lives */
#define SEEN_FIRST_NS		(6 * NSEC_SEC)		/* so long its first look may take */
#define SEEN_LAG_NS		(30 * NSEC_SEC)		/* a machine this young may be missing from lists */

/* One call */

/*
 * Looks for what a create call without an answer may have made. That nothing is found is only believed
 * once the call is so old that its machine must show. 1 found, 0 nothing, -1.
 */
static int
look_for_machine(struct operation *op, size_t kind, struct err *e)
{
	struct cloud *c = &op->host.cloud;
	struct cloud_labels l = op_labels(op);

	for (;;) {
		wall_t asked = wall_known(op->rec.asked) ? op->rec.asked : op->rec.phase_since;
		dur_t age = wall_between(asked, wall_now());
		int found = cloud_find(c, &l, op->deadline, e);

		if (found > 0)
			op_account_for(&op->rec, found);
		if (found != 0 || cloud_id(c, kind)[0] != '\0')
			return found < 0 ? -1 : 1;
		/* A clock that was set back must not make us wait for ever. */
		if (age < 0 || age >= op->patience)
			return 0;
		if (net_pause(op->patience - age < 3 * NSEC_SEC ? op->patience - age + NSEC_MSEC : 3 * NSEC_SEC, e) < 0)
			return -1;
	}
}

/* The step of a make that is about to be done, on disk before it is. */
static int
note_step(void *ctx, const char *step, struct err *e)
{
	struct operation *op = ctx;

	op->rec.step = arena_dup(&op->arena, str_from(step));
	return op_save(op, e);
}

static struct cloud_order
order_of(struct operation *op)
{
	return (struct cloud_order){ .labels = op_labels(op), .pub_line = op_pub_line(op), .rung = op->rung.name != NULL ? &op->rung : NULL,
		.step = text(op->rec.step), .note = note_step, .ctx = op };
}

/* The SSH key, which is the account's: making it is safe to repeat. */
static int
request_key(struct operation *op, size_t kind, struct err *e)
{
	struct cloud *c = &op->host.cloud;
	struct cloud_order o = order_of(op);

	if (cloud_id(c, kind)[0] != '\0')
		return 0;
	if (cloud_open(c, e) < 0 || c->driver->kinds[kind]->make(c, &o, op->deadline, e) != CLOUD_MADE) {
		/* Credentials that were refused at the very first call: the cloud holds nothing of this machine. */
		if (e->kind == ERR_AUTH && op->rec.attempts == 0)
			(void)op_set_phase(op, PHASE_PLANNED, NULL);
		return -1;
	}
	crash_point("operator:key-made");
	if (op_save(op, e) < 0)
		return -1;
	crash_point("operator:key-recorded");
	return 0;
}

/* One create call, announced. */
static enum cloud_made
request_once(struct operation *op, size_t kind, struct err *e)
{
	struct cloud *c = &op->host.cloud;
	struct cloud_order o = order_of(op);
	wall_t before = op->rec.asked;
	enum cloud_made made;

	op->rec.attempts++;
	op->rec.unanswered++;
	op->rec.asked = wall_now();
	if (op_save(op, e) < 0)
		return CLOUD_NOT_MADE;
	crash_point("operator:create-announced");
	made = cloud_open(c, e) < 0 ? CLOUD_NOT_MADE : c->driver->kinds[kind]->make(c, &o, op->deadline, e);
	/* If it shows later all the same, settle and remove find it. */
	op->patience = made == CLOUD_UNSURE && e->kind == ERR_SERVER ? UNSEEN_5XX_NS : OP_UNSEEN_NS;
	if (made == CLOUD_UNSURE)
		return made;
	op->rec.unanswered--;
	/* That calls are counted shows by this one's time: see may_have_made(). */
	if (wall_known(before))
		op->rec.asked = before;
	if (made == CLOUD_NOT_MADE) {
		op->rec.attempts--;
		(void)op_save(op, NULL);
	}
	return made;
}

/* The ladder */

/* The ladder: rungs that have just been out of stock are left out for a while, as long as there is another. */
static bool
take_rung(struct operation *op, size_t from)
{
	const struct cloud *c = &op->host.cloud;
	struct cloud_rung r;

	for (size_t i = from; c->driver->rung != NULL && c->driver->rung(c, i, &r); i++) {
		if (account_knows(&op->account, ACCOUNT_STOCK_OUT, r.name, STOCK_OUT_NS))
			continue;
		op->rung = r;
		op->rung_at = i;
		op->rec.rung = arena_dup(&op->arena, str_from(r.name));
		return true;
	}
	return false;
}

/* The rung of the intent, or the best one. All out of stock: the best one is asked again, since nothing else is left. */
static void
begin_ladder(struct operation *op)
{
	const struct cloud *c = &op->host.cloud;
	struct cloud_rung r;

	if (c->driver->rung == NULL || op->rung.name != NULL)
		return;
	for (size_t i = 0; c->driver->rung(c, i, &r); i++)
		if (strcmp(r.name, text(op->rec.rung)) == 0) {
			op->rung = r;
			op->rung_at = i;
			return;
		}
	if (!take_rung(op, 0) && c->driver->rung(c, 0, &op->rung)) {
		op->rung_at = 0;
		op->rec.rung = arena_dup(&op->arena, str_from(op->rung.name));
	}
}

/* Out of stock: noted for the account, and the next rung, if there is one. */
static bool
next_rung(struct operation *op, const struct err *e)
{
	if (op->rung.name == NULL)
		return false;
	log_warn("Cloud has no capacity", F_STR("name", op->name), F_STR("rung", op->rung.name), F_ERR(e));
	account_note(&op->account, ACCOUNT_STOCK_OUT, op->rung.name, 2 * STOCK_OUT_NS);
	if (!take_rung(op, op->rung_at + 1))
		return false;
	log_info("Trying the next choice", F_STR("name", op->name), F_STR("rung", op->rung.name));
	return true;
}

/* Until everything is there */

/* Whether a create call that failed may be followed by another (after a look, if it is not sure what it did). */
static bool
may_request_again(const struct operation *op, enum cloud_made made, unsigned attempt, const struct err *e)
{
	if (e->kind == ERR_CANCELLED || e->kind == ERR_QUOTA || e->kind == ERR_CAPACITY || mono_passed(op->deadline))
		return false;
	/* Rubbish for an answer may be a passing fault of something in between, but not for ever. */
	return err_retryable(e) || (made == CLOUD_UNSURE && attempt + 1 < RUBBISH_TRIES);
}

/* Whether a call went out whose answer nobody has. Records of an older version count none: there, any call is reason enough. */
static bool
may_have_made(const struct operation *op)
{
	return op->rec.unanswered > 0 || (!wall_known(op->rec.asked) && op->rec.attempts > 0);
}

/* Until the cloud has one of this kind with our nonce, and its id is known. */
static int
request_thing(struct operation *op, size_t kind, struct err *e)
{
	enum cloud_made made;

	begin_ladder(op);
	for (unsigned attempt = 0; ; attempt++) {
		if (may_have_made(op) && cloud_id(&op->host.cloud, kind)[0] == '\0' && look_for_machine(op, kind, e) < 0)
			return -1;
		if (cloud_id(&op->host.cloud, kind)[0] != '\0')
			return 0;
		made = request_once(op, kind, e);
		if (made == CLOUD_MADE)
			return 0;
		if (made == CLOUD_NOT_MADE && e->kind == ERR_CAPACITY && next_rung(op, e)) {
			attempt = 0;
			continue;
		}
		if (!may_request_again(op, made, attempt, e))
			return -1;
		log_info("Create call failed, looking again", F_STR("name", op->name), F_ERR(e));
		if (net_pause(retry_delay(&retry_cloud, attempt, rand_below(UINT64_MAX)), e) < 0)
			return -1;
	}
}

/* All kinds in the order of their making. What is made is written down before the next one is begun. */
static int
request_things(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;

	for (size_t i = 0; i < d->nkinds; i++) {
		if (d->kinds[i]->make == NULL)
			continue;
		if (d->kinds[i]->traits & KIND_KEY) {
			if (request_key(op, i, e) < 0)
				return -1;
			continue;
		}
		if (request_thing(op, i, e) < 0)
			return -1;
		crash_point("operator:machine-made");
		op->rec.step = "";
		/* The last one is recorded with the phase that it begins. */
		if (i + 1 < d->nkinds && op_save(op, e) < 0)
			return -1;
	}
	return 0;
}

int
op_request(struct operation *op, struct err *e)
{
	if (op->rec.phase < PHASE_REQUESTED) {
		if (op_set_phase(op, PHASE_REQUESTED, e) < 0)
			return -1;
		crash_point("operator:requested");
	}
	if (request_things(op, e) < 0)
		return -1;
	if (op_set_phase(op, PHASE_CREATED, e) < 0)
		return -1;
	crash_point("operator:created");
	return 0;
}

/* Until it has an address */

int
op_look_at_seen(void *ctx, struct cloud *c)
{
	struct operation *op = ctx;
	dur_t old = 0, young = wall_between(op->rec.phase_since, wall_now());
	struct account_seen *v = NULL;
	struct arena a = { 0 };
	size_t n = 0;
	int coming;

	if (!op->watched)
		return 0;
	if (account_seen_read(&op->account, &a, &v, &n, &old) < 0 || old < 0 || old > SEEN_FRESH_NS)
		coming = young >= 0 && young < SEEN_FIRST_NS;
	else
		coming = young >= 0 && young < SEEN_LAG_NS;
	for (size_t i = 0; i < n && old >= 0 && old <= SEEN_FRESH_NS; i++) {
		if (strcmp(v[i].id, cloud_machine_id(c)) != 0)
			continue;
		coming = v[i].why == WHY_NONE && (v[i].state == STATE_STARTING || v[i].state == STATE_RUNNING);
		if (coming && v[i].address[0] != '\0')
			c->base.ip = arena_dup(c->a, str_from(v[i].address));
	}
	arena_reset(&a);
	return coming;
}

int
op_await_address(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	const struct cloud_hint hint = { op_look_at_seen, op };

	if (!(d->traits & CLOUD_NO_SSH))
		op_say(op, "Waiting for machine to be running, this may take a few minutes...");
	if (cloud_await(&op->host.cloud, &hint, op->deadline, e) < 0)
		return -1;
	crash_point("operator:address-known");
	if (op_set_phase(op, PHASE_BOOTED, e) < 0)
		return -1;
	crash_point("operator:booted");
	return 0;
}
