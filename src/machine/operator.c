/*
 * The operator process: see operator.h. Each act below is announced by a
 * record before it and followed by one after it; crash points stand between.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "books/store.h"
#include "core/chan.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "core/sandbox.h"
#include "cloud/life.h"
#include "docker/engine.h"
#include "machine/certs.h"
#include "machine/health.h"
#include "machine/operator.h"
#include "machine/provision.h"
#include "machine/round.h"
#include "net/dial.h"
#include "net/ssh.h"
#include "policy/retry.h"

#define KEY_FILE_MAX		(64u << 10)
#define PLAN_MAX		(1u << 20)
#define READY_OUTPUT_MAX	(64u << 10)
#define UNSEEN_NS		(20 * NSEC_SEC)	/* a create call this old shows in lists if it worked */
#define UNSEEN_5XX_NS		(4 * NSEC_SEC)	/* the same when the server itself said that it failed */
#define STRAY_PAUSE_NS		(5 * NSEC_SEC)
#define SSH_TRY_NS		(10 * NSEC_SEC)		/* for a connection */
#define SSH_HELLO_NS		(60 * NSEC_SEC)		/* of silence: sshd may look our name up before it says a word */
#define SSH_LOGIN_NS		(120 * NSEC_SEC)	/* of silence: what sshd itself grants a login (LoginGraceTime) */
#define SSH_LAST_NS		(500 * NSEC_MSEC)
#define SSH_ASK_CLOUD_NS	(30 * NSEC_SEC)
#define SSH_REFUSED_NS		(120 * NSEC_SEC)	/* a first boot installs the key after sshd is up */
#define ENGINE_NS		(60 * NSEC_SEC)
#define LOOK_NS			(15 * NSEC_SEC)
#define LOOK_AGAIN_NS		(3 * NSEC_SEC)
#define RUBBISH_TRIES		3
#define PROVISION_TRIES		3
#define STOCK_OUT_NS		(600 * NSEC_SEC)	/* so long a choice that was out of stock is passed over */
#define SEEN_FRESH_NS		(10 * NSEC_SEC)		/* a watcher's look this old is somebody's who lives */
#define SEEN_FIRST_NS		(6 * NSEC_SEC)		/* so long its first look may take */
#define SEEN_LAG_NS		(30 * NSEC_SEC)		/* a machine this young may be missing from lists */

const char *const operator_crash_points[] = {
	/* create */
	"operator:plan-written",	/* the directory is complete, but not yet visible */
	"operator:planned",
	"operator:requested",		/* recorded: from here the cloud may hold something */
	"operator:key-made",		/* the account has the key; its id is not recorded */
	"operator:key-recorded",
	"operator:create-announced",	/* recorded: the create call is about to go out */
	"operator:machine-made",	/* it, or what it stands on (a disk, say), was answered; the id is not recorded */
	"operator:created",
	"operator:address-known",	/* not recorded */
	"operator:booted",
	"operator:host-key-pinned",
	"operator:certified",		/* the server pair is written here, not there */
	"operator:script-done",		/* the engine was restarted; not recorded */
	"operator:provisioned",
	"operator:engine-answered",	/* not recorded */
	"operator:ready",
	/* remove */
	"operator:deleting",
	"operator:strays-awaited",	/* the machine is gone; one of which we never heard may still show up */
	"operator:destroyed",		/* the cloud holds nothing; the directory is still there */
	"operator:forgotten",
	/* reconcile */
	"operator:stray-found",		/* ours, in the cloud, unknown to the store */
	"operator:stray-removed",
	NULL,
};

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

static void
say(const struct operation *op, const char *fmt, ...)
{
	char line[512];

	if (op->say == NULL)
		return;
	TEXT_OF(line, fmt);
	op->say(line);
}

void
operation_init(struct operation *op, const char *store, const char *name)
{
	*op = (struct operation){ .store = store, .name = name, .dir = -1, .lock = -1, .account = { .dir = -1 },
		.deadline = mono_after(OPERATOR_LIMIT_NS), .patience = UNSEEN_NS };
}

void
operation_end(struct operation *op)
{
	if (op->host.cloud.a != NULL)
		cloud_close(&op->host.cloud);
	if (op->lock >= 0)
		close(op->lock);
	if (op->dir >= 0)
		close(op->dir);
	op->lock = op->dir = -1;
	account_close(&op->account);
	ssh_auth_free(op->auth);
	op->auth = NULL;
	arena_reset(&op->arena);
}

/* Records */

/* The ids as the driver has them, into the record. */
static void
note_ids(struct operation *op)
{
	const struct cloud_driver *d = op->host.cloud.driver;

	for (size_t i = 0; d != NULL && i < d->nkinds; i++)
		record_set_id(&op->rec, &op->arena, d->kinds[i]->name, cloud_id(&op->host.cloud, i));
}

/* And those that the record has and the driver's state lacks: one of the two files may be behind. */
static void
take_ids(struct operation *op)
{
	const struct cloud_driver *d = op->host.cloud.driver;

	for (size_t i = 0; d != NULL && i < d->nkinds; i++)
		if (cloud_id(&op->host.cloud, i)[0] == '\0')
			cloud_note_id(&op->host.cloud, i, record_id(&op->rec, d->kinds[i]->name));
}

/* Both files: what is new is in both or in neither that matters, since reading joins them. */
static int
save(struct operation *op, struct err *e)
{
	note_ids(op);
	if (machine_host_write(&op->host, op->dir, e) < 0)
		return -1;
	return machine_record_write(op->dir, &op->rec, e);
}

static int
set_phase(struct operation *op, enum machine_phase p, struct err *e)
{
	wall_t now = wall_now();

	if (wall_known(op->rec.phase_since))
		log_debug("Machine phase done", F_STR("name", op->name), F_STR("phase", phase_name(op->rec.phase)),
		    F_DUR("duration", wall_between(op->rec.phase_since, now)));
	op->rec.phase = p;
	op->rec.phase_since = now;
	if (save(op, e) < 0)
		return -1;
	if (op->on_phase != NULL)
		op->on_phase(op->ctx, op->name, p);
	return 0;
}

static dur_t
shorter(dur_t a, dur_t b)
{
	return a < b ? a : b;
}

/* How long until the create calls without an answer are settled. */
static dur_t
unsettled_ns(const struct operation *op)
{
	dur_t age = wall_between(op->rec.asked, wall_now());

	if (op->rec.unanswered <= 0)
		return 0;
	/* A clock that was set back must not make us wait for ever. */
	return age < 0 ? MACHINE_SETTLE_NS : age < MACHINE_SETTLE_NS ? MACHINE_SETTLE_NS - age : 0;
}

/* So many machines of the calls without an answer have been seen. */
static void
account_for(struct machine_record *r, int found)
{
	r->unanswered -= found < r->unanswered ? found : r->unanswered;
}

static struct cloud_labels
labels(const struct operation *op)
{
	return (struct cloud_labels){ text(op->rec.owner), text(op->rec.nonce) };
}

/* Planning */

static int
read_key(const char *path, struct buf *b, struct err *e)
{
	if (fs_read(AT_FDCWD, path, KEY_FILE_MAX, b, e) < 0) {
		e->kind = ERR_CONFIG;
		return err_ctx(e, "SSH key");
	}
	return 0;
}

/* The key's file in the machine's directory, by its driver's word; its public half is beside it with ".pub". */
static const char *
key_name(const struct cloud *c)
{
	const char *slash = strrchr(text(c->base.ssh_key_path), '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : "id_rsa";
}

/* Writes the SSH key into the new directory: a new one, or a copy of the one that the options name. */
static int
plan_key(int dir, const struct cloud *c, struct err *e)
{
	const char *foreign = cloud_facts(c).foreign_key, *name = key_name(c);
	struct buf key = { .max = KEY_FILE_MAX }, pub = { .max = KEY_FILE_MAX };
	char pub_name[300];
	int rc = -1;

	if ((c->driver->traits & CLOUD_NO_SSH) || (foreign != NULL && foreign[0] == '\0'))
		return 0;
	if (foreign == NULL ? ssh_keygen(&key, &pub, e) < 0 :
	    read_key(foreign, &key, e) < 0 || ssh_public_line(buf_str(&key), &pub, e) < 0)
		goto out;
	snprintf(pub_name, sizeof(pub_name), "%s.pub", name);
	buf_putc(&pub, '\n');
	if (fs_write_fast(dir, name, buf_str(&key), 0600, e) == 0 &&
	    fs_write_fast(dir, pub_name, buf_str(&pub), 0600, e) == 0)
		rc = 0;
out:
	buf_wipe(&key);
	buf_free(&pub);
	return rc;
}

int
operation_keys(struct operation *op, const struct cloud *c, struct err *e)
{
	const char *foreign = cloud_facts(c).foreign_key;

	if (op->auth != NULL || foreign == NULL || foreign[0] != '\0' || (c->driver->traits & CLOUD_NO_SSH))
		return 0;
	return (op->auth = ssh_auth_default(e)) != NULL ? 0 : -1;
}

static struct certs_paths
auth_paths(const struct machine_host *h)
{
	return (struct certs_paths){ h->auth.ca_cert, h->auth.ca_key, h->auth.client_cert, h->auth.client_key };
}

static void
take_host(struct operation *op, const struct machine_host *h)
{
	op->host = *h;
	op->host.cloud.ears = op->ears;
}

int
operation_plan(struct operation *op, const struct machine_host *h, const char *owner, const char *runner,
    const char *options_hash, struct err *e)
{
	struct store_new new;
	char nonce[33];
	struct certs_paths certs = auth_paths(h);
	const struct cloud_driver *d = h->cloud.driver;

	/* From here on the session, if there is one, is closed with the operation. */
	take_host(op, h);
	if (d->check != NULL && d->check(&op->host.cloud, e) < 0)
		return -1;
	if (operation_keys(op, &op->host.cloud, e) < 0)
		return -1;
	if (certs_ensure(op->store, &certs, e) < 0)
		return -1;
	if (store_make(op->store, op->name, &new, e) < 0)
		return -1;
	op->dir = new.dir;
	op->lock = new.lock;
	rand_hex(nonce, 32);
	op->rec = (struct machine_record){
		.name = op->name, .owner = owner, .driver = d->about->name, .runner = runner, .options_hash = options_hash,
		.nonce = d->traits & CLOUD_NO_VM ? "" : arena_dup(&op->arena, str_from(nonce)), .created = wall_now(),
	};
	if (plan_key(op->dir, &h->cloud, e) < 0)
		goto fail;
	op->rec.phase = PHASE_PLANNED;
	op->rec.phase_since = op->rec.created;
	if (save(op, e) < 0)
		goto fail;
	crash_point("operator:plan-written");
	if (store_reveal(op->store, new.tmp, op->name, e) < 0)
		goto fail;
	if (op->on_phase != NULL)
		op->on_phase(op->ctx, op->name, PHASE_PLANNED);
	crash_point("operator:planned");
	return 0;
fail:
	{
		char *path = fs_join(op->store, STORE_MACHINES), *dir = fs_join(path, new.tmp);

		fs_remove_tree(AT_FDCWD, dir, NULL);
		free(path);
		free(dir);
	}
	return -1;
}

/* Opening what is there */

/* A machine of docker-machine's: all that is known of it stands in config.json. */
static void
adopt(struct operation *op)
{
	op->adopted = true;
	op->rec = (struct machine_record){ .name = op->name, .driver = op->host.cloud.driver_name };
}

static int
load(struct operation *op, struct err *e)
{
	struct err why = { 0 };

	if (machine_host_read(&op->host, &op->arena, op->dir, op->name, e) < 0)
		return err_ctx(e, "machine %s", op->name);
	op->host.cloud.ears = op->ears;
	machine_host_follow(&op->host, op->store);
	if (machine_record_read(op->dir, &op->arena, &op->rec, &why) < 0) {
		/* A damaged one says nothing, and config.json has all that is needed. */
		if (why.kind != ERR_NOTFOUND && why.kind != ERR_PARSE) {
			*e = why;
			return err_ctx(e, "machine %s", op->name);
		}
		adopt(op);
	}
	take_ids(op);
	note_ids(op);
	return 0;
}

int
operation_stand_in(struct operation *op, const struct machine_host *h, struct err *e)
{
	struct machine_record rec;

	/* The plan's account may be another by now: only its own driver's, and never without the ids. */
	if (machine_record_read(op->dir, &op->arena, &rec, e) < 0)
		return err_ctx(e, "machine %s", op->name);
	if (strcmp(rec.driver, h->cloud.driver_name) != 0)
		return err_set(e, ERR_PARSE, 0, "machine %s was made by the driver \"%s\", and the runner has \"%s\" now",
		    op->name, rec.driver, h->cloud.driver_name);
	take_host(op, h);
	op->rec = rec;
	take_ids(op);
	note_ids(op);
	return 0;
}

int
operation_look(struct operation *op, struct err *e)
{
	op->dir = store_open(op->store, op->name, e);
	return op->dir < 0 ? -1 : load(op, e);
}

int
operation_open(struct operation *op, struct err *e)
{
	op->dir = store_open(op->store, op->name, e);
	if (op->dir < 0)
		return -1;
	op->lock = store_lock(op->dir, false, e);
	if (op->lock < 0)
		return err_ctx(e, "machine %s", op->name);
	return load(op, e);
}

/* The public key's line; "" if the file is lost. */
static const char *
pub_line(struct operation *op)
{
	struct buf b = { .max = KEY_FILE_MAX };
	const char *line = "";
	char *name = arena_fmt(&op->arena, "%s.pub", key_name(&op->host.cloud));

	if (fs_read(op->dir, name, KEY_FILE_MAX, &b, NULL) == 0)
		line = arena_dup(&op->arena, str_trim(buf_str(&b)));
	buf_free(&b);
	return line;
}

/* Creating */

static bool
has_machine_id(const struct operation *op)
{
	return cloud_machine_id(&op->host.cloud)[0] != '\0';
}

/*
 * Looks for what a create call without an answer may have made. That nothing is found is only believed
 * once the call is so old that its machine must show. 1 found, 0 nothing, -1.
 */
static int
look_for_machine(struct operation *op, size_t kind, struct err *e)
{
	struct cloud *c = &op->host.cloud;
	struct cloud_labels l = labels(op);

	for (;;) {
		wall_t asked = wall_known(op->rec.asked) ? op->rec.asked : op->rec.phase_since;
		dur_t age = wall_between(asked, wall_now());
		int found = cloud_find(c, &l, op->deadline, e);

		if (found > 0)
			account_for(&op->rec, found);
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
	return save(op, e);
}

static struct cloud_order
order_of(struct operation *op)
{
	return (struct cloud_order){ .labels = labels(op), .pub_line = pub_line(op), .rung = op->rung.name != NULL ? &op->rung : NULL,
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
			(void)set_phase(op, PHASE_PLANNED, NULL);
		return -1;
	}
	crash_point("operator:key-made");
	if (save(op, e) < 0)
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
	if (save(op, e) < 0)
		return CLOUD_NOT_MADE;
	crash_point("operator:create-announced");
	made = cloud_open(c, e) < 0 ? CLOUD_NOT_MADE : c->driver->kinds[kind]->make(c, &o, op->deadline, e);
	/* If it shows later all the same, settle and remove find it. */
	op->patience = made == CLOUD_UNSURE && e->kind == ERR_SERVER ? UNSEEN_5XX_NS : UNSEEN_NS;
	if (made == CLOUD_UNSURE)
		return made;
	op->rec.unanswered--;
	/* That calls are counted shows by this one's time: see may_have_made(). */
	if (wall_known(before))
		op->rec.asked = before;
	if (made == CLOUD_NOT_MADE) {
		op->rec.attempts--;
		(void)save(op, NULL);
	}
	return made;
}

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
		if (i + 1 < d->nkinds && save(op, e) < 0)
			return -1;
	}
	return 0;
}

static int
step_request(struct operation *op, struct err *e)
{
	if (op->rec.phase < PHASE_REQUESTED) {
		if (set_phase(op, PHASE_REQUESTED, e) < 0)
			return -1;
		crash_point("operator:requested");
	}
	if (request_things(op, e) < 0)
		return -1;
	if (set_phase(op, PHASE_CREATED, e) < 0)
		return -1;
	crash_point("operator:created");
	return 0;
}

/*
 * What the account's watcher saw of this machine, so that a hundred that boot cost one list a tick and not a
 * hundred calls. 0 (ask the cloud) when it does not live, or says something else than that the machine is coming.
 */
static int
look_at_seen(void *ctx, struct cloud *c)
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

static int
step_address(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	const struct cloud_hint hint = { look_at_seen, op };

	if (!(d->traits & CLOUD_NO_SSH))
		say(op, "Waiting for machine to be running, this may take a few minutes...");
	if (cloud_await(&op->host.cloud, &hint, op->deadline, e) < 0)
		return -1;
	crash_point("operator:address-known");
	if (set_phase(op, PHASE_BOOTED, e) < 0)
		return -1;
	crash_point("operator:booted");
	return 0;
}

/* SSH */

/* The keys to try. NULL on failure. */
static struct ssh_auth *
load_auth(struct operation *op, struct err *e)
{
	const char *path = text(op->host.cloud.base.ssh_key_path), *name = strrchr(path, '/');
	struct buf key = { .max = KEY_FILE_MAX };
	struct ssh_auth *a = NULL;
	int rc;

	if (path[0] == '\0')
		return ssh_auth_default(e);
	/* In its own directory by the name alone, so that a store that was moved still works. */
	rc = name != NULL && fs_exists(op->dir, name + 1) ? fs_read(op->dir, name + 1, KEY_FILE_MAX, &key, e) :
	    read_key(path, &key, e);
	if (rc == 0)
		a = ssh_auth_key(buf_str(&key), e);
	buf_wipe(&key);
	return a;
}

static int
pin_host_key(struct operation *op, const struct buf *pin, struct err *e)
{
	if (pin->n == 0 || (op->accept_host_key == NULL && text(op->rec.host_key)[0] != '\0'))
		return 0;
	op->accept_host_key = NULL;
	op->rec.host_key = arena_dup(&op->arena, buf_str(pin));
	if (op->adopted || op->lock < 0)
		return 0;
	if (machine_record_write(op->dir, &op->rec, e) < 0)
		return -1;
	crash_point("operator:host-key-pinned");
	return 0;
}

/* What a person can do about a host key that is another one. A pool just makes another machine. */
static void
say_way_out(const struct operation *op, struct str line, struct err *e)
{
	struct buf shown = { .max = 128 };
	size_t n = strlen(e->msg);

	if (op->on_phase == NULL && ssh_host_fingerprint(line, &shown) == 0)
		snprintf(e->msg + n, sizeof(e->msg) - n, ". If it was reinstalled: windlass machine provision "
		    "--accept-host-key %s %s", shown.p, op->name);
	buf_free(&shown);
}

/* Whether it is a machine that nobody was in yet: its sshd may start anew, and the key may come later. */
static bool
first_boot(const struct operation *op)
{
	const struct cloud_driver *d = op->host.cloud.driver;

	return d != NULL && !(d->traits & CLOUD_NO_VM) && !op->adopted && op->rec.phase < PHASE_PROVISIONED;
}

/* Whether a failed try may be followed by another. The cloud is asked now and then whether there is still a machine. */
static bool
ssh_may_come(struct operation *op, dur_t pause, mono_t *ask, mono_t *refused, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	struct err why = { 0 };

	/* So near the deadline another try would only say that there was no time. */
	if (e->kind == ERR_CANCELLED || e->kind == ERR_CONFIG || e->kind == ERR_TLS ||
	    mono_passed(mono_add(mono_min(op->deadline, op->ssh_by), -pause - SSH_LAST_NS)))
		return false;
	/* A host that has long been there will not know the key any better in a minute. */
	if (e->kind == ERR_AUTH && !first_boot(op))
		return false;
	if (e->kind == ERR_AUTH && mono_is_never(*refused))
		*refused = mono_after(SSH_REFUSED_NS);
	if (e->kind == ERR_AUTH && mono_passed(*refused))
		return false;
	if (d == NULL || !mono_passed(*ask))
		return true;
	*ask = mono_after(SSH_ASK_CLOUD_NS);
	if (cloud_lost(&op->host.cloud, mono_min(op->deadline, mono_after(SSH_ASK_CLOUD_NS)), &why) != 1)
		return true;
	*e = why;
	return false;
}

struct ssh *
operation_ssh(struct operation *op, struct err *e)
{
	const struct cloud_base *b = &op->host.cloud.base;
	struct buf pin = { 0 };
	struct ssh_opts o = { .host = str_from(text(b->ip)), .port = (uint16_t)b->ssh_port, .user = text(b->ssh_user),
		.pin = str_from(text(op->rec.host_key)), .accept = op->accept_host_key,
		.dial_ns = SSH_TRY_NS, .hello_ns = SSH_HELLO_NS, .login_ns = SSH_LOGIN_NS };
	mono_t ask = mono_after(SSH_ASK_CLOUD_NS), refused = MONO_NEVER;
	struct ssh *s = NULL;
	dur_t pause = 100 * NSEC_MSEC;

	if (o.host.n == 0) {
		err_set(e, ERR_CONFIG, 0, "it has no address");
		return NULL;
	}
	if (op->auth == NULL && (op->auth = load_auth(op, e)) == NULL)
		return NULL;
	o.auth = op->auth;
	/* A connection that a first boot left behind is silent for ever. */
	if (first_boot(op)) {
		o.hello_ns /= 3;
		o.login_ns /= 2;
	}
	for (;;) {
		buf_clear(&pin);
		s = ssh_open(&o, &pin, op->deadline, e);
		if (s != NULL || !ssh_may_come(op, pause, &ask, &refused, e))
			break;
		log_debug("SSH does not answer yet", F_STR("name", op->name), F_ERR(e));
		if (net_pause(pause, e) < 0)
			break;
		if (pause < 2 * NSEC_SEC)
			pause += pause / 2;
	}
	if (s != NULL && pin_host_key(op, &pin, e) < 0) {
		ssh_close(s);
		s = NULL;
	}
	if (s == NULL && e->kind == ERR_TLS && pin.n > 0)
		say_way_out(op, buf_str(&pin), e);
	/* Passing faults that did not pass: for whoever decides, this machine's time was up. */
	if (s == NULL && err_retryable(e))
		err_ctx(e, "SSH did not answer in time, the last try said");
	if (s == NULL && (err_retryable(e) || e->kind == ERR_AUTH))
		e->kind = ERR_TIMEOUT;
	buf_free(&pin);
	return s;
}

/* Provisioning */

/* Files of a machine's directory that say how its engine is spoken to: as they were, and as they will be. */
static const struct { const char *name; mode_t mode; } pem_files[] = {
	/* Keys first: who sees a certificate can rely on its key. */
	{ "key.pem", 0600 }, { "server-key.pem", 0600 }, { "ca.pem", 0644 }, { "cert.pem", 0644 }, { "server.pem", 0644 },
};
enum { PEM_KEY, PEM_SERVER_KEY, PEM_CA, PEM_CERT, PEM_SERVER, PEM_N };

struct pems {
	struct buf	was[PEM_N], is[PEM_N];
	bool		had[PEM_N], written;
};

static void
pems_free(struct pems *p)
{
	for (size_t i = 0; i < PEM_N; i++) {
		buf_wipe(&p->was[i]);
		buf_wipe(&p->is[i]);
	}
}

/* A new pair for the engine and the files of the store that its clients need. Nothing is written. */
static int
pems_make(struct operation *op, struct pems *p, struct err *e)
{
	struct certs_paths paths = auth_paths(&op->host);
	struct certs_server server = { .name = op->name, .ip = text(op->host.cloud.base.ip), .sans = &op->host.auth.sans,
		.key = CERTS_EC_P256 };

	for (size_t i = 0; i < PEM_N; i++) {
		p->was[i].max = p->is[i].max = KEY_FILE_MAX;
		p->had[i] = fs_exists(op->dir, pem_files[i].name);
		if (p->had[i] && fs_read(op->dir, pem_files[i].name, KEY_FILE_MAX, &p->was[i], e) < 0)
			return -1;
	}
	if (certs_ensure(op->store, &paths, e) < 0 ||
	    fs_read(AT_FDCWD, paths.ca, KEY_FILE_MAX, &p->is[PEM_CA], e) < 0 ||
	    fs_read(AT_FDCWD, paths.cert, KEY_FILE_MAX, &p->is[PEM_CERT], e) < 0 ||
	    fs_read(AT_FDCWD, paths.key, KEY_FILE_MAX, &p->is[PEM_KEY], e) < 0)
		return -1;
	return certs_server_make(&paths, &server, &p->is[PEM_SERVER], &p->is[PEM_SERVER_KEY], e);
}

static int
pems_write(struct operation *op, struct pems *p, struct err *e)
{
	say(op, "Copying certs to the local machine directory...");
	p->written = true;
	for (size_t i = 0; i < PEM_N; i++)
		if ((i == PEM_SERVER ? fs_write : fs_write_fast)(op->dir, pem_files[i].name, buf_str(&p->is[i]), pem_files[i].mode, e) < 0)
			return -1;
	crash_point("operator:certified");
	return 0;
}

/* The machine is as it was, so are its files. Best effort. */
static void
pems_back(struct operation *op, const struct pems *p)
{
	for (size_t i = 0; i < PEM_N && p->written; i++)
		if (p->had[i])
			(void)fs_write_fast(op->dir, pem_files[i].name, buf_str(&p->was[i]), pem_files[i].mode, NULL);
		else
			(void)fs_remove_tree(op->dir, pem_files[i].name, NULL);
}

/* The last lines, each as a line of its own; those between us and the script are left out. */
static void
log_output(const struct operation *op, const struct buf *output)
{
	struct str s = str_trim(buf_str(output));
	int lines = 0;

	for (size_t i = s.n; i > 0 && lines < 20; i--)
		if (s.p[i - 1] == '\n' && ++lines == 20)
			s = str_sub(s, i, s.n);
	while (s.n > 0) {
		struct str line = str_trim(str_cut(&s, '\n'));

		if (line.n > 0 && !str_starts(line, "wl:"))
			log_error("The machine said", F_STR("name", op->name), F_VIEW("line", line));
	}
}

/* What an existing host's owner wants to know before it happens. */
static void
say_intent(const struct operation *op)
{
	const struct cloud *c = &op->host.cloud;

	if (!(c->driver->traits & CLOUD_NO_VM))
		return;
	say(op, "(%s) The host %s will be renamed to %s, and its Docker engine restarted: containers without a restart policy stop.",
	    op->name, text(c->base.ip), op->name);
	log_info("Existing host will be renamed, and its engine restarted", F_STR("name", op->name), F_STR("host", text(c->base.ip)));
}

/* SSH answers: from here on the machine is not what its record says, until it is known how this ended. */
static int
provision_over(struct operation *op, struct ssh *s, struct provision *p, struct pems *pems, struct provision_result *r,
    struct err *e)
{
	enum machine_phase was = op->rec.phase;
	int rc;

	if (op->rec.phase > PHASE_BOOTED && set_phase(op, PHASE_BOOTED, e) < 0)
		return -1;
	if (!pems->written) {
		say_intent(op);
		if (pems_write(op, pems, e) < 0)
			return -1;
	}
	p->careful = was > PHASE_BOOTED || op->adopted || (op->host.cloud.driver->traits & CLOUD_NO_VM);
	rc = provision_run(s, p, r, op->deadline, e);
	if (rc < 0 && !r->touched) {
		struct err why = { 0 };

		pems_back(op, pems);
		if (op->rec.phase != was && set_phase(op, was, &why) < 0)
			log_warn("Machine's phase could not be put back", F_STR("name", op->name), F_ERR(&why));
	}
	return rc;
}

static int
provision_once(struct operation *op, struct provision *p, struct pems *pems, struct err *e)
{
	struct provision_result r = { 0 };
	mono_t began = mono_now();
	struct ssh *s;
	int rc;

	say(op, "Detecting operating system of created instance...");
	say(op, "Waiting for SSH to be available...");
	s = operation_ssh(op, e);
	if (s == NULL)
		return -1;
	log_info("SSH answers", F_STR("name", op->name), F_DUR("duration", mono_since(began)));
	say(op, "Detecting the provisioner...");
	began = mono_now();
	rc = provision_over(op, s, p, pems, &r, e);
	ssh_close(s);
	if (rc == 0) {
		log_info("Machine provisioned", F_STR("name", op->name), F_STR("system", r.system),
		    F_STR("docker", r.installed ? "installed" : "found"),
		    F_DUR("duration", mono_since(began)));
		say(op, "Provisioning with %s...", r.system);
	} else if (e->kind != ERR_NET)
		log_output(op, &r.output);
	buf_free(&r.output);
	return rc;
}

static int
step_provision(struct operation *op, struct err *e)
{
	const struct cloud *c = &op->host.cloud;
	struct pems pems = { 0 };
	struct provision p = { .name = op->name, .cloud = c,
		.driver = c->driver_name, .user = c->base.ssh_user,
		.engine = &op->host.engine, .port = cloud_engine_port(c),
		.await_cloud_init = cloud_facts(c).user_data };
	int rc;

	rc = pems_make(op, &pems, e);
	p.ca = buf_str(&pems.is[PEM_CA]);
	p.cert = buf_str(&pems.is[PEM_SERVER]);
	p.key = buf_str(&pems.is[PEM_SERVER_KEY]);
	for (int i = 0; rc == 0; i++) {
		rc = provision_once(op, &p, &pems, e);
		/* The connection broke in the middle: the script may be run again at any point. */
		if (rc == 0 || e->kind != ERR_NET || i + 1 == PROVISION_TRIES)
			break;
		log_warn("Provisioning was interrupted, trying again", F_STR("name", op->name), F_ERR(e));
		rc = 0;
	}
	pems_free(&pems);
	if (rc < 0)
		return err_ctx(e, "provisioning");
	say(op, "Copying certs to the remote machine...");
	say(op, "Setting Docker configuration on the remote daemon...");
	crash_point("operator:script-done");
	if (set_phase(op, PHASE_PROVISIONED, e) < 0)
		return -1;
	crash_point("operator:provisioned");
	return 0;
}

/* ReadyCommand: whoever configured it knows better than we when a machine is. */
static int
run_ready_command(struct operation *op, struct err *e)
{
	struct buf output = { .max = READY_OUTPUT_MAX };
	mono_t began = mono_now();
	struct ssh *s;
	int status;

	say(op, "Running the ready command...");
	s = operation_ssh(op, e);
	if (s == NULL)
		return -1;
	status = ssh_run(s, op->ready_command, STR(""), &output, op->deadline, e);
	ssh_close(s);
	if (status > 0) {
		log_output(op, &output);
		err_set(e, ERR_TIMEOUT, 0, "ReadyCommand failed on the machine with exit status %d",
		    status);
	} else if (status == 0) {
		log_info("Machine is ready by its own word", F_STR("name", op->name),
		    F_DUR("duration", mono_since(began)));
	}
	buf_free(&output);
	return status == 0 ? 0 : -1;
}

/* SSH came through and the engine was started: what else may be in between. */
static void
say_firewall(const struct operation *op, struct err *e)
{
	const struct cloud *c = &op->host.cloud;
	size_t n = strlen(e->msg);

	if (e->kind == ERR_NET || e->kind == ERR_TIMEOUT)
		snprintf(e->msg + n, sizeof(e->msg) - n, "; SSH works and the engine runs: a firewall or security group may keep port %d shut",
		    cloud_engine_port(c));
}

static int
step_ready(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	mono_t began = mono_now();

	if (!(d->traits & CLOUD_NO_SSH)) {
		say(op, "Checking connection to Docker...");
		if (health_await(&op->host, op->dir, mono_min(op->deadline, mono_after(ENGINE_NS)), e) < 0) {
			say_firewall(op, e);
			e->kind = ERR_TIMEOUT;
			return err_ctx(e, "the engine does not answer");
		}
		log_debug("Engine answers", F_STR("name", op->name),
		    F_DUR("duration", mono_since(began)));
		say(op, "Docker is up and running!");
	}
	crash_point("operator:engine-answered");
	if (text(op->ready_command)[0] != '\0' && (d->traits & CLOUD_NO_SSH))
		log_warn("ReadyCommand is not run: the driver has no SSH", F_STR("name", op->name), F_STR("driver", op->host.cloud.driver_name));
	else if (text(op->ready_command)[0] != '\0' && run_ready_command(op, e) < 0)
		return -1;
	op->rec.last_error = "";
	if (set_phase(op, PHASE_READY, e) < 0)
		return -1;
	crash_point("operator:ready");
	return 0;
}

static int
create_steps(struct operation *op, struct err *e)
{
	bool ssh = !(op->host.cloud.driver->traits & CLOUD_NO_SSH);

	if (op->rec.phase < PHASE_CREATED && step_request(op, e) < 0)
		return -1;
	if (op->rec.phase < PHASE_BOOTED && step_address(op, e) < 0)
		return -1;
	if (op->rec.phase < PHASE_PROVISIONED && ssh && step_provision(op, e) < 0)
		return -1;
	return op->rec.phase < PHASE_READY ? step_ready(op, e) : 0;
}

/* What went wrong, for whoever looks at the directory. Best effort: the disk may be what is wrong. */
static void
note_error(struct operation *op, const struct err *e)
{
	op->rec.last_error = arena_dup(&op->arena, str_from(e->msg));
	if (op->dir >= 0 && !op->adopted)
		(void)machine_record_write(op->dir, &op->rec, NULL);
}

/* Whether there is a machine that may be worked on. */
static int
may_go_on(struct operation *op, struct err *e)
{
	if (cloud_need_driver(&op->host.cloud, e) < 0)
		return -1;
	if (op->rec.phase == PHASE_NONE && !op->adopted)
		return err_set(e, ERR_CONFLICT, EEXIST, "machine %s is in a phase that this version does not know: it was made by "
		    "a newer one", op->name);
	if (op->rec.phase == PHASE_DELETING)
		return err_set(e, ERR_CONFLICT, EEXIST, "machine %s is being removed (%s)", op->name,
		    text(op->rec.remove_reason));
	return 0;
}

int
operation_create(struct operation *op, struct err *e)
{
	if (may_go_on(op, e) < 0)
		return -1;
	if (op->adopted)
		return err_set(e, ERR_CONFLICT, EEXIST, "machine %s was made by docker-machine: there is nothing to go on with",
		    op->name);
	if (create_steps(op, e) == 0)
		return 0;
	note_error(op, e);
	return -1;
}

int
operation_provision(struct operation *op, struct err *e)
{
	int rc = 0;

	if (may_go_on(op, e) < 0)
		return -1;
	if (op->host.cloud.driver->traits & CLOUD_NO_SSH)
		return err_set(e, ERR_CONFIG, 0, "machine %s has no SSH: its driver is %s", op->name, op->host.cloud.driver_name);
	if (!op->adopted && op->rec.phase < PHASE_CREATED)
		rc = step_request(op, e);
	if (rc == 0 && !op->adopted && op->rec.phase < PHASE_BOOTED)
		rc = step_address(op, e);
	if (rc == 0 && step_provision(op, e) == 0 && step_ready(op, e) == 0)
		return 0;
	note_error(op, e);
	return -1;
}

/* Removing */

static int
destroy(struct operation *op, struct err *e)
{
	struct cloud_labels l = labels(op);
	/* Records of an older version count no answers: there, several calls are reason enough to look. */
	bool thorough = op->rec.unanswered > 0 ||
	    (!wall_known(op->rec.asked) && op->rec.attempts > 1);

	return cloud_drop_all(&op->host.cloud, &l, pub_line(op), thorough, op->deadline, e);
}

/* The machine is gone. What a call without an answer may have made is looked for until it must have shown. */
static int
await_strays(struct operation *op, struct err *e)
{
	struct cloud_labels l = labels(op);
	mono_t until = mono_after(unsettled_ns(op));

	crash_point("operator:strays-awaited");
	if (!mono_passed(until))
		say(op, "The answer to a create call was lost: watching for what it may have made...");
	while (op->rec.unanswered > 0 && !mono_passed(until)) {
		int found;

		if (net_pause(shorter(mono_between(mono_now(), until) + NSEC_MSEC, STRAY_PAUSE_NS),
		    e) < 0)
			return -1;
		found = cloud_find(&op->host.cloud, &l, op->deadline, e);
		if (found < 0)
			return -1;
		account_for(&op->rec, found);
	}
	/* With all that was found, and the tag by which it was found. */
	op->rec.unanswered = 0;
	return destroy(op, e);
}

static int
remove_from_cloud(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	struct cloud_labels l = labels(op);

	if (!has_machine_id(op) && op->rec.attempts > 0 && cloud_lists(d)) {
		int found = cloud_find(&op->host.cloud, &l, op->deadline, e);

		if (found < 0)
			return -1;
		account_for(&op->rec, found);
	}
	if (destroy(op, e) < 0)
		return -1;
	return op->rec.unanswered > 0 && cloud_lists(d) ? await_strays(op, e) : 0;
}

int
operation_remove(struct operation *op, const char *reason, struct err *e)
{
	if (op->rec.phase != PHASE_PLANNED) {
		if (cloud_need_driver(&op->host.cloud, e) < 0)
			return -1;
		if (op->rec.phase != PHASE_DELETING) {
			op->rec.remove_reason = reason;
			if (set_phase(op, PHASE_DELETING, e) < 0)
				return -1;
		}
		crash_point("operator:deleting");
		if (remove_from_cloud(op, e) < 0) {
			/* Being told to stop says nothing of the machine. */
			op->rec.removal_failures += e->kind != ERR_CANCELLED;
			note_error(op, e);
			return -1;
		}
		crash_point("operator:destroyed");
	}
	if (store_forget(op->store, op->name, e) < 0)
		return -1;
	crash_point("operator:forgotten");
	if (op->on_phase != NULL)
		op->on_phase(op->ctx, op->name, PHASE_NONE);
	return 0;
}

/* Settling */

int
operation_settle(struct operation *op, struct err *e)
{
	struct cloud_labels l = labels(op);
	bool due = unsettled_ns(op) == 0;
	struct machine_record now = { 0 };
	int found, lock, rc = -1;

	if (op->rec.unanswered <= 0 || op->rec.phase != PHASE_READY)
		return 0;
	if (cloud_need_driver(&op->host.cloud, e) < 0)
		return -1;
	found = cloud_find(&op->host.cloud, &l, op->deadline, e);
	if (found < 0)
		return -1;
	/* Without the lock until here: a job may be given and a use counted meanwhile. */
	lock = store_lock(op->dir, true, e);
	if (lock < 0)
		return e->kind == ERR_NOTFOUND ? 0 : -1;
	if (machine_record_read(op->dir, &op->arena, &now, e) == 0) {
		account_for(&now, found);
		if (due)
			now.unanswered = 0;
		rc = machine_record_write(op->dir, &now, e);
	}
	close(lock);
	return rc;
}

/* The process */

struct args {
	const char	*store, *name, *act, *owner, *reason;
	int64_t		 plan_fd, limit_s, grace_s;
	int		 control;	/* -1: nobody is told */
	struct chan_talk *talk;	/* over it */
};

static void
tell_phase(void *ctx, const char *name, enum machine_phase p)
{
	const struct args *args = ctx;

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
	const struct args *args = ctx;

	if (args->control >= 0)
		(void)chan_send(args->control, args->talk, CHAN_WAIT, NULL, "%" PRId64,
		    until.ns / NSEC_MSEC);
}

static int
parse_args(struct args *a, int argc, char **argv, struct err *e)
{
	struct opt opts[] = {
		{ .name = "store", .type = OPT_STRING }, { .name = "name", .type = OPT_STRING },
		{ .name = "do", .type = OPT_STRING }, { .name = "owner", .type = OPT_STRING },
		{ .name = "reason", .type = OPT_STRING }, { .name = "plan-fd", .type = OPT_INT },
		{ .name = "control-fd", .type = OPT_INT }, { .name = "limit", .type = OPT_INT },
		{ .name = "grace", .type = OPT_INT },
	};
	int rc = opt_parse(opts, NELEM(opts), argc, argv, NULL, e);

	*a = (struct args){ .store = opts[0].value, .name = opts[1].value, .act = opts[2].value,
		.owner = text(opts[3].value), .reason = text(opts[4].value),
		.plan_fd = opts[5].given ? opts[5].number : -1,
		.control = opts[6].given ? (int)opts[6].number : -1,
		.limit_s = opts[7].given ? opts[7].number : OPERATOR_LIMIT_NS / NSEC_SEC,
		.grace_s = opts[8].given ? opts[8].number : ROUND_GRACE_NS / NSEC_SEC };
	if (a->name == NULL)
		a->name = "";	/* a round has none */
	if (rc == 0 && (a->store == NULL || a->act == NULL || a->limit_s < 1 || a->limit_s > 86400 || a->grace_s < 0))
		rc = err_set(e, ERR_CONFIG, 0, "usage: --store DIR --name NAME --do create|remove|look|settle|reconcile|health|watch [--plan-fd N] "
		    "[--owner HEX] [--control-fd N] [--reason TEXT] [--limit SECONDS] [--grace SECONDS]");
	return rc;
}

/* What the manager hands over: a JSON object, in the operation's arena. */
static int
read_plan(int64_t fd, struct buf *b, struct err *e)
{
	for (;;) {
		char *room = buf_room(b, 4096);
		ssize_t n;

		if (room == NULL)
			return err_set(e, ERR_CONFIG, 0, "the plan is longer than %u bytes", PLAN_MAX);
		n = read((int)fd, room, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, "read the plan");
		if (n > 0)
			buf_grown(b, (size_t)n);
	}
}

/* A file that a value names: "/path", "file:/path". */
static void
keep_value(struct str value)
{
	struct arena a = { 0 };

	if (str_starts(value, "file:"))
		value = str_sub(value, strlen("file:"), value.n);
	if (str_starts(value, "/"))
		fs_keep(arena_dup(&a, value));
	arena_reset(&a);
}

/* A file that an option names: "name=/path", or a member of Driver. */
static void
keep_option(struct str option)
{
	ssize_t at = str_chr(option, '=');

	keep_value(at >= 0 ? str_sub(option, (size_t)at + 1, option.n) : option);
}

/* Files that variables name: those of paths and credentials, and the process's certificates. */
static void
keep_variables(void)
{
	keep_value(str_from(getenv("SSL_CERT_FILE")));
	for (size_t i = 0; cloud_drivers[i] != NULL; i++) {
		const struct catalog_cloud *about = cloud_drivers[i]->about;

		for (size_t k = 0; k < about->noptions; k++)
			if (about->options[k].env != NULL &&
			    (about->options[k].roles & (OPTION_FILE | OPTION_CREDENTIAL)) != 0)
				keep_value(str_from(getenv(about->options[k].env)));
	}
}

/* Files that strings anywhere in a value name. */
static void
keep_named(struct arena *a, struct json_val v, int depth)
{
	if (json_type(v) == JSON_STRING)
		keep_option(json_str(a, v));
	else if (depth > 0 && (json_type(v) == JSON_OBJECT || json_type(v) == JSON_ARRAY))
		JSON_EACH(each, v)
			keep_named(a, each, depth - 1);
}

/*
 * Keys, tokens, certificates and user data that the options name, which only root may read. What config.toml says comes by the plan; the
 * machine's own record, which an operator writes, is believed only when its runner has left the configuration (or we were started by hand).
 */
static void
keep_files(const struct args *args, struct arena *of_plan, struct json_val plan)
{
	struct buf b = { .max = PLAN_MAX };
	struct arena a = { 0 };
	struct json_val root = JSON_NONE;
	int dir;

	keep_variables();
	if (!json_present(json_get(plan, "options")) && (dir = store_open(args->store, args->name, NULL)) >= 0) {
		if (fs_read(dir, STOREFILE_CONFIG, PLAN_MAX, &b, NULL) == 0)
			(void)json_parse(&a, arena_str(&a, buf_str(&b)), &root, NULL);
		keep_named(&a, json_get(root, "Driver"), 3);
		close(dir);
	}
	keep_named(of_plan, json_get(plan, "options"), 1);
	buf_wipe(&b);
	arena_reset(&a);
}

/*
 * A directory of the store becomes the operators' (root, and docker-machine as root, read it as before), and its path stays usable although
 * what is above it may be closed to everybody else.
 */
static bool
take_directory(const struct args *args, const char *name, bool change, bool machines)
{
	char *path = fs_join(args->store, name);
	int dir, one = -1;
	struct err e = { 0 };
	bool taken = fs_mkdirs(path, 0700, &e) == 0;

	dir = taken ? fs_opendir(AT_FDCWD, path, &e) : -1;
	if (dir >= 0 && change) {
		/* An operator of one machine leaves the others' alone; a round looks at all of them. */
		if (machines && store_name_ok(str_from(args->name)))
			one = openat(dir, args->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		taken = one < 0 || identity_hand_over_tree(one, IDENTITY_OPERATOR, 1, &e) == 0;
		taken = taken && identity_hand_over_tree(dir, IDENTITY_OPERATOR, machines && args->name[0] == '\0', &e) == 0;
		if (one >= 0)
			close(one);
	}
	if (!taken || dir < 0)
		log_debug("The store cannot be handed over: this operator stays root", F_ERR(&e));
	if (dir >= 0)
		close(dir);
	fs_keep(path);
	free(path);
	return taken && dir >= 0;
}

/* Who it is from here on: everything that only root may open is open. */
static uid_t
take_store(const struct args *args, struct arena *a, struct json_val plan)
{
	bool change = identity_changes();
	bool taken = take_directory(args, STORE_CERTS, change, false);

	taken = take_directory(args, STORE_MACHINES, change, true) && taken;
	keep_files(args, a, plan);
	return taken ? IDENTITY_OPERATOR : 0;
}

/*
 * The manager's plan; what counts of it also for a machine that exists already is taken at once. Absent (an operator
 * started by hand): JSON_NONE.
 */
static int
take_plan(struct operation *op, const struct args *args, struct json_val *root, struct err *e)
{
	struct buf b = { .max = PLAN_MAX };
	struct arena *a = &op->arena;
	int rc = 0;

	*root = JSON_NONE;
	if (args->plan_fd < 0)
		return 0;
	if (read_plan(args->plan_fd, &b, e) < 0 || json_parse(a, arena_str(a, buf_str(&b)), root, e) < 0)
		rc = err_ctx(e, "plan");
	else {
		op->ready_command = json_cstr(a, json_get(*root, "ready_command"));
		op->watched = json_bool(json_get(*root, "watched"), false);
		account_open(&op->account, json_cstr(a, json_get(*root, "clouds")), json_cstr(a, json_get(*root, "account")));
	}
	buf_wipe(&b);
	return rc;
}

/* Strings of a list in the plan, in the arena. */
static const char **
plan_list(struct json_val root, const char *key, struct arena *a, size_t *n)
{
	const char **list = arena_calloc(a, json_len(json_get(root, key)) + 1, sizeof(*list));

	*n = 0;
	JSON_EACH(v, json_get(root, key))
		list[(*n)++] = json_cstr(a, v);
	return list;
}

/* The machine, or the account, that the plan's driver and options describe. hash[17]: of these options. */
static int
plan_host(struct operation *op, struct json_val root, struct machine_host *h, char hash[17], struct err *e)
{
	struct arena *a = &op->arena;
	const struct cloud_driver *d = cloud_driver_find(json_str(a, json_get(root, "driver")));
	struct machine_options o;
	const char **list;
	size_t n;
	int rc = -1;

	if (d == NULL)
		return err_set(e, ERR_CONFIG, 0, "windlass has no driver \"%s\" (MachineDriver)", json_cstr(a, json_get(root, "driver")));
	list = plan_list(root, "options", a, &n);
	if (str_copy(json_str(a, json_get(root, "options_hash")), hash, 17) < 0 || hash[0] == '\0')
		machine_options_hash(d->about->name, list, n, hash);
	machine_options_init(&o, d);
	if (machine_options_take(&o, a, list, n, e) == 0)
		rc = machine_options_host(&o, h, a, op->store, op->name, e);
	machine_options_free(&o);
	return rc;
}

/* A machine by the manager's plan. */
static int
plan(struct operation *op, const struct args *args, struct json_val root, struct err *e)
{
	struct arena *a = &op->arena;
	const char *owner = json_cstr(a, json_get(root, "owner"));
	struct machine_host h;
	char hash[17];
	int rc = -1;

	if (args->plan_fd < 0)
		return err_set(e, ERR_NOTFOUND, 0, "machine %s does not exist, and there is no plan to make it by", op->name);
	if (plan_host(op, root, &h, hash, e) == 0)
		rc = operation_plan(op, &h, owner[0] != '\0' ? owner : args->owner, json_cstr(a, json_get(root, "runner")),
		    arena_dup(a, str_from(hash)), e);
	return rc < 0 ? err_ctx(e, "plan") : 0;
}

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

/*
 * Before the process confines itself: for a host that is there already and for which no key is
 * named, the agent and ~/.ssh are where its keys are, and neither can be reached afterwards.
 */
static int
load_default_keys(struct operation *op, struct json_val plan, struct err *e)
{
	struct str driver = json_str(&op->arena, json_get(plan, "driver"));
	const struct catalog_cloud *about = catalog_find(driver);
	const struct catalog_option *key = catalog_option_for(about, OPTION_LOGIN);
	const char **options;
	size_t n;

	if (key == NULL || !about->hosts || str_from(getenv(key->env)).n > 0)
		return 0;
	options = plan_list(plan, "options", &op->arena, &n);
	for (size_t i = 0; i < n; i++) {
		struct str value = str_from(options[i]), name = str_cut(&value, '=');

		if (str_eqc(name, key->name) && value.n > 0)
			return 0;
	}
	return (op->auth = ssh_auth_default(e)) != NULL ? 0 : -1;
}

static int
do_create(struct operation *op, const struct args *args, struct json_val root, struct err *e)
{
	mono_t began = mono_now();
	int status;

	if (operation_open(op, e) < 0) {
		if (e->kind == ERR_CONFLICT)
			return EXIT_BUSY;
		if (e->kind != ERR_NOTFOUND)
			return status_of(e);
		if (plan(op, args, root, e) < 0)
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
	if (plan_host(op, root, &h, hash, &why) < 0 || operation_stand_in(op, &h, &why) < 0) {
		log_warn("Nor does the runner's own account help", F_STR("name", op->name), F_ERR(&why));
		return -1;
	}
	log_warn("Machine is removed with the runner's own account", F_STR("name", op->name), F_ERR(e));
	*e = (struct err){ 0 };
	return 0;
}

static int
do_remove(struct operation *op, const struct args *args, struct json_val root, struct err *e)
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
do_settle(struct operation *op, const struct args *args, struct json_val root, struct err *e)
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
do_look(struct operation *op, const struct args *args, struct json_val root, struct err *e)
{
	int there;

	(void)args;
	(void)root;
	if (operation_look(op, e) < 0)
		return e->kind == ERR_NOTFOUND ? EXIT_OK : status_of(e);
	if (op->host.cloud.driver == NULL || !has_machine_id(op))
		return EXIT_OK;
	there = look_once(op, e);
	if (there == 0) {
		if (net_pause(LOOK_AGAIN_NS, e) < 0)
			return EXIT_RETRY;
		there = look_once(op, e);
	}
	return there < 0 ? status_of(e) : there > 0 ? EXIT_OK : EXIT_GONE;
}

static void
tell_found(void *ctx, enum chan_verb verb, const char *text)
{
	const struct args *args = ctx;

	log_debug("Found", F_INT("verb", verb), F_STR("text", text));
	if (args->control >= 0)
		(void)chan_send(args->control, args->talk, verb, NULL, "%s", text);
}

/* The round that an act of this process is. */
static struct round
round_of(const struct operation *op, const struct args *args)
{
	return (struct round){ .store = op->store, .owner = args->owner, .grace = args->grace_s * NSEC_SEC, .deadline = op->deadline,
		.tell = tell_found, .ctx = op->ctx };
}

static int
do_health(struct operation *op, const struct args *args, struct json_val root, struct err *e)
{
	struct round r = round_of(op, args);
	const char **names, **probes;
	size_t n, nprobes;
	struct err why = { 0 };
	int rc;

	/* Where no machine is made for months, nobody else renews it. The manager says each day that it ends. */
	if (certs_renew(op->store, &why) < 0)
		log_debug("Certificate authority could not be renewed", F_ERR(&why));
	names = plan_list(root, "machines", &op->arena, &n);
	probes = plan_list(root, "probe", &op->arena, &nprobes);
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

	if (plan_host(op, root, &h, hash, e) < 0)
		return -1;
	take_host(op, &h);
	return 0;
}

static int
do_reconcile(struct operation *op, const struct args *args, struct json_val root, struct err *e)
{
	struct round r = round_of(op, args);
	struct round_runners runners;
	const char **prefixes;
	size_t n;
	int rc = open_planned(op, root, e);

	runners.v = plan_list(root, "runners", &op->arena, &runners.n);
	prefixes = plan_list(root, "prefixes", &op->arena, &n);
	if (rc == 0)
		rc = round_reconcile(&r, &op->host.cloud, &runners, e);
	if (rc == 0)
		rc = round_strangers(&r, &op->host.cloud, prefixes, n, e);
	arena_reset(&r.arena);
	return rc == 0 ? EXIT_OK : status_of(e);
}

static int
do_watch(struct operation *op, const struct args *args, struct json_val root, struct err *e)
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

/* What an operator can be told to do. */
static const struct verb {
	const char	*name;
	int		(*act)(struct operation *op, const struct args *args, struct json_val plan, struct err *e);
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
	struct args args;
	uid_t self;
	int status;

	proc_harden();
	signal(SIGPIPE, SIG_IGN);
	verb = parse_args(&args, argc, argv, &e) == 0 ? verb_find(args.act) : NULL;
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
	if (take_plan(&op, &args, &plan, &e) < 0 || (strcmp(args.act, "create") == 0 && load_default_keys(&op, plan, &e) < 0)) {
		status = EXIT_CONFIG;
		goto out;
	}
	/* It writes in the store and nothing else, and runs no program. Where there is no store yet, now is the time. */
	(void)fs_mkdirs(args.store, 0700, NULL);
	if (fs_strict_modes(args.store, geteuid(), &e) < 0) {
		log_error("Store cannot be trusted", F_ERR(&e));
		return EXIT_CONFIG;
	}
	self = take_store(&args, &op.arena, plan);
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
