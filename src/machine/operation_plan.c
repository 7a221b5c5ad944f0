/* The first step of a create, which touches no cloud: the machine's directory. See operation.h. */
#include "core/crash.h"
#include "core/fs.h"
#include "core/rand.h"
#include "machine/operation_parts.h"
#include "net/ssh.h"

/* Writes the SSH key into the new directory: a new one, or a copy of the one that the options name. */
static int
plan_key(int dir, const struct cloud *c, struct err *e)
{
	const char *foreign = cloud_facts(c).foreign_key, *name = op_key_name(c);
	struct buf key = { .max = OP_KEY_FILE_MAX }, pub = { .max = OP_KEY_FILE_MAX };
	char pub_name[300];
	int rc = -1;

	if ((c->driver->traits & CLOUD_NO_SSH) || (foreign != NULL && foreign[0] == '\0'))
		return 0;
	if (foreign == NULL ? ssh_keygen(&key, &pub, e) < 0 :
	    op_read_key(foreign, &key, e) < 0 || ssh_public_line(buf_str(&key), &pub, e) < 0)
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
operation_plan(struct operation *op, const struct machine_host *h, const char *owner, const char *runner,
    const char *options_hash, struct err *e)
{
	struct store_new new;
	char nonce[33];
	struct certs_paths certs = op_auth_paths(h);
	const struct cloud_driver *d = h->cloud.driver;

	/* From here on the session, if there is one, is closed with the operation. */
	op_take_host(op, h);
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
		.account = arena_dup(&op->arena, str_from(op->account.key)),
		.nonce = d->traits & CLOUD_NO_VM ? "" : arena_dup(&op->arena, str_from(nonce)), .created = wall_now(),
	};
	if (plan_key(op->dir, &h->cloud, e) < 0)
		goto fail;
	op->rec.phase = PHASE_PLANNED;
	op->rec.phase_since = op->rec.created;
	if (op_save(op, e) < 0)
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
