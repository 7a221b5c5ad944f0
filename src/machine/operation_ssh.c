/*
 * The way into a machine: its keys, its pinned host key, and how long a silence is worth waiting
 * out.
 */
#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "machine/operation_parts.h"
#include "net/dial.h"
#include "net/ssh.h"

#define SSH_TRY_NS		(10 * NSEC_SEC)		/* for a connection */
#define SSH_HELLO_NS		(60 * NSEC_SEC)		/* of silence: sshd may look our name up before it says a word */
#define SSH_LOGIN_NS		(120 * NSEC_SEC)	/* of silence: what sshd itself grants a login (LoginGraceTime) */
#define SSH_LAST_NS		(500 * NSEC_MSEC)
#define SSH_ASK_CLOUD_NS	(30 * NSEC_SEC)
#define SSH_REFUSED_NS		(120 * NSEC_SEC)	/* a first boot installs the key after sshd is up */

int
operation_keys(struct operation *op, const struct cloud *c, struct err *e)
{
	const char *foreign = cloud_facts(c).foreign_key;

	if (op->auth != NULL || foreign == NULL || foreign[0] != '\0' || (c->driver->traits & CLOUD_NO_SSH))
		return 0;
	return (op->auth = ssh_auth_default(e)) != NULL ? 0 : -1;
}

/* The keys to try. NULL on failure. */
static struct ssh_auth *
load_auth(struct operation *op, struct err *e)
{
	const char *path = text(op->host.cloud.base.ssh_key_path), *name = strrchr(path, '/');
	struct buf key = { .max = OP_KEY_FILE_MAX };
	struct ssh_auth *a = NULL;
	int rc;

	if (path[0] == '\0')
		return ssh_auth_default(e);
	/* In its own directory by the name alone, so that a store that was moved still works. */
	rc = name != NULL && fs_exists(op->dir, name + 1) ? fs_read(op->dir, name + 1, OP_KEY_FILE_MAX, &key, e) :
	    op_read_key(path, &key, e);
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
	const struct cloud_hint hint = { op_look_at_seen, op };
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
	if (cloud_lost(&op->host.cloud, &hint, mono_min(op->deadline, mono_after(SSH_ASK_CLOUD_NS)), &why) != 1)
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
