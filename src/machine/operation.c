/*
 * An operation and its record: see operation.h. Each act of its parts is announced by a record
 * before it and followed by one after it; crash points stand between.
 */
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "machine/operation_parts.h"
#include "net/ssh.h"

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

void
operation_init(struct operation *op, const char *store, const char *name)
{
	*op = (struct operation){ .store = store, .name = name, .dir = -1, .lock = -1, .account = { .dir = -1 },
		.deadline = mono_after(OPERATOR_LIMIT_NS), .patience = OP_UNSEEN_NS };
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

/* For people */

void
op_say(const struct operation *op, const char *fmt, ...)
{
	char line[512];

	if (op->say == NULL)
		return;
	TEXT_OF(line, fmt);
	op->say(line);
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
int
op_save(struct operation *op, struct err *e)
{
	note_ids(op);
	if (machine_host_write(&op->host, op->dir, e) < 0)
		return -1;
	return machine_record_write(op->dir, &op->rec, e);
}

int
op_set_phase(struct operation *op, enum machine_phase p, struct err *e)
{
	wall_t now = wall_now();

	if (wall_known(op->rec.phase_since))
		log_debug("Machine phase done", F_STR("name", op->name), F_STR("phase", phase_name(op->rec.phase)),
		    F_DUR("duration", wall_between(op->rec.phase_since, now)));
	op->rec.phase = p;
	op->rec.phase_since = now;
	if (op_save(op, e) < 0)
		return -1;
	if (op->on_phase != NULL)
		op->on_phase(op->ctx, op->name, p);
	return 0;
}

/* What went wrong, for whoever looks at the directory. Best effort: the disk may be what is wrong. */
void
op_note_error(struct operation *op, const struct err *e)
{
	op->rec.last_error = arena_dup(&op->arena, str_from(e->msg));
	if (op->dir >= 0 && !op->adopted)
		(void)machine_record_write(op->dir, &op->rec, NULL);
}

/* What a record says */

/* How long until the create calls without an answer are settled. */
dur_t
op_unsettled_ns(const struct operation *op)
{
	dur_t age = wall_between(op->rec.asked, wall_now());

	if (op->rec.unanswered <= 0)
		return 0;
	/* A clock that was set back must not make us wait for ever. */
	return age < 0 ? MACHINE_SETTLE_NS : age < MACHINE_SETTLE_NS ? MACHINE_SETTLE_NS - age : 0;
}

/* So many machines of the calls without an answer have been seen. */
void
op_account_for(struct machine_record *r, int found)
{
	r->unanswered -= found < r->unanswered ? found : r->unanswered;
}

struct cloud_labels
op_labels(const struct operation *op)
{
	return (struct cloud_labels){ text(op->rec.owner), text(op->rec.nonce) };
}

bool
op_has_machine_id(const struct operation *op)
{
	return cloud_machine_id(&op->host.cloud)[0] != '\0';
}

/* Files beside it */

int
op_read_key(const char *path, struct buf *b, struct err *e)
{
	if (fs_read(AT_FDCWD, path, OP_KEY_FILE_MAX, b, e) < 0) {
		e->kind = ERR_CONFIG;
		return err_ctx(e, "SSH key");
	}
	return 0;
}

/* The key's file in the machine's directory, by its driver's word; its public half is beside it with ".pub". */
const char *
op_key_name(const struct cloud *c)
{
	const char *slash = strrchr(text(c->base.ssh_key_path), '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : "id_rsa";
}

/* The public key's line; "" if the file is lost. */
const char *
op_pub_line(struct operation *op)
{
	struct buf b = { .max = OP_KEY_FILE_MAX };
	const char *line = "";
	char *name = arena_fmt(&op->arena, "%s.pub", op_key_name(&op->host.cloud));

	if (fs_read(op->dir, name, OP_KEY_FILE_MAX, &b, NULL) == 0)
		line = arena_dup(&op->arena, str_trim(buf_str(&b)));
	buf_free(&b);
	return line;
}

struct certs_paths
op_auth_paths(const struct machine_host *h)
{
	return (struct certs_paths){ h->auth.ca_cert, h->auth.ca_key, h->auth.client_cert, h->auth.client_key };
}

void
op_take_host(struct operation *op, const struct machine_host *h)
{
	op->host = *h;
	op->host.cloud.ears = op->ears;
	op->host.cloud.book = &op->account;
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
	op->host.cloud.book = &op->account;
	machine_host_follow(&op->host, op->store);
	if (machine_record_read(op->dir, &op->arena, &op->rec, &why) < 0) {
		/*
		 * A newer version's has no phase that we know: it can be removed, and no more
		 * (may_go_on()). A damaged one says nothing, and config.json has all that is needed.
		 */
		if (why.kind == ERR_NOTFOUND || why.kind == ERR_PARSE)
			adopt(op);
		else if (why.kind != ERR_CONFLICT) {
			*e = why;
			return err_ctx(e, "machine %s", op->name);
		}
	}
	take_ids(op);
	note_ids(op);
	return 0;
}

/* Whether the record says that it is this account's. */
static bool
is_recorded(const struct operation *op)
{
	return op->account.key[0] != '\0' && strcmp(text(op->rec.account), op->account.key) == 0;
}

/*
 * Whether a cloud may hold something that only the right account sees. Before a create call went out there is
 * at most a key.
 */
static bool
may_be_elsewhere(const struct operation *op)
{
	const struct cloud_driver *d = op->host.cloud.driver;

	return !(d->traits & CLOUD_NO_VM) && (op->rec.attempts > 0 || op_has_machine_id(op));
}

/* Whether the account at hand holds what carries the machine's nonce, which nobody else's does. 1, 0, -1. */
static int
holds(struct operation *op, struct err *e)
{
	struct cloud_query q = { .nonce = text(op->rec.nonce) };
	struct cloud_things found = { 0 };

	if (q.nonce[0] == '\0' || !cloud_lists(op->host.cloud.driver))
		return 0;
	if (cloud_list_all(&op->host.cloud, &q, &found, op->deadline, e) < 0)
		return -1;
	return found.n > 0;
}

/*
 * An account that does not know a machine says the same as one whose machine is gone: it is believed only when it
 * is the machine's own. Another key may be of the same account all the same, a new token of it say: then the
 * machine shows there.
 */
static int
check_account(struct operation *op, struct err *e)
{
	int there;

	if (is_recorded(op) || !may_be_elsewhere(op))
		return 0;
	there = holds(op, e);
	if (there != 0)
		return there > 0 ? 0 : err_ctx(e, "machine %s", op->name);
	err_set(e, ERR_CONFIG, 0, "machine %s %s another account of %s; this one holds nothing of it, which does not say that it "
	    "is gone: put the other account back into the runner's options, or forget it with windlass machine rm --force %s",
	    op->name, text(op->rec.account)[0] != '\0' ? "was made with" : "may have been made with", op->rec.driver, op->name);
	op->rec.removal_failures++;
	op_note_error(op, e);
	return -1;
}

int
operation_stand_in(struct operation *op, const struct machine_host *h, struct err *e)
{
	struct machine_record rec;

	/* Only its own driver's, and never without the ids. */
	if (machine_record_read(op->dir, &op->arena, &rec, e) < 0)
		return err_ctx(e, "machine %s", op->name);
	if (strcmp(rec.driver, h->cloud.driver_name) != 0)
		return err_set(e, ERR_PARSE, 0, "machine %s was made by the driver \"%s\", and the runner has \"%s\" now",
		    op->name, rec.driver, h->cloud.driver_name);
	op_take_host(op, h);
	op->rec = rec;
	take_ids(op);
	note_ids(op);
	return check_account(op, e);
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
