/*
 * From a machine that has an address to one that is ready: certificates, the script over SSH, the
 * engine's answer, ReadyCommand; and the order of all steps of a create.
 */
#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "machine/health.h"
#include "machine/operation_parts.h"
#include "machine/provision.h"
#include "net/ssh.h"

#define READY_OUTPUT_MAX	(64u << 10)
#define ENGINE_NS		(60 * NSEC_SEC)
#define PROVISION_TRIES		3

/* Certificates */

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
	struct certs_paths paths = op_auth_paths(&op->host);
	struct certs_server server = { .name = op->name, .ip = text(op->host.cloud.base.ip), .sans = &op->host.auth.sans,
		.key = CERTS_EC_P256 };

	for (size_t i = 0; i < PEM_N; i++) {
		p->was[i].max = p->is[i].max = OP_KEY_FILE_MAX;
		p->had[i] = fs_exists(op->dir, pem_files[i].name);
		if (p->had[i] && fs_read(op->dir, pem_files[i].name, OP_KEY_FILE_MAX, &p->was[i], e) < 0)
			return -1;
	}
	if (certs_ensure(op->store, &paths, e) < 0 ||
	    fs_read(AT_FDCWD, paths.ca, OP_KEY_FILE_MAX, &p->is[PEM_CA], e) < 0 ||
	    fs_read(AT_FDCWD, paths.cert, OP_KEY_FILE_MAX, &p->is[PEM_CERT], e) < 0 ||
	    fs_read(AT_FDCWD, paths.key, OP_KEY_FILE_MAX, &p->is[PEM_KEY], e) < 0)
		return -1;
	return certs_server_make(&paths, &server, &p->is[PEM_SERVER], &p->is[PEM_SERVER_KEY], e);
}

static int
pems_write(struct operation *op, struct pems *p, struct err *e)
{
	op_say(op, "Copying certs to the local machine directory...");
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

/* Provisioning */

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
	op_say(op, "(%s) The host %s will be renamed to %s, and its Docker engine restarted: containers without a restart policy stop.",
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

	if (op->rec.phase > PHASE_BOOTED && op_set_phase(op, PHASE_BOOTED, e) < 0)
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
		if (op->rec.phase != was && op_set_phase(op, was, &why) < 0)
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

	op_say(op, "Detecting operating system of created instance...");
	op_say(op, "Waiting for SSH to be available...");
	s = operation_ssh(op, e);
	if (s == NULL)
		return -1;
	log_info("SSH answers", F_STR("name", op->name), F_DUR("duration", mono_since(began)));
	op_say(op, "Detecting the provisioner...");
	began = mono_now();
	rc = provision_over(op, s, p, pems, &r, e);
	ssh_close(s);
	if (rc == 0) {
		log_info("Machine provisioned", F_STR("name", op->name), F_STR("system", r.system),
		    F_STR("docker", r.installed ? "installed" : "found"),
		    F_DUR("duration", mono_since(began)));
		op_say(op, "Provisioning with %s...", r.system);
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
	op_say(op, "Copying certs to the remote machine...");
	op_say(op, "Setting Docker configuration on the remote daemon...");
	crash_point("operator:script-done");
	if (op_set_phase(op, PHASE_PROVISIONED, e) < 0)
		return -1;
	crash_point("operator:provisioned");
	return 0;
}

/* Ready */

/* ReadyCommand: whoever configured it knows better than we when a machine is. */
static int
run_ready_command(struct operation *op, struct err *e)
{
	struct buf output = { .max = READY_OUTPUT_MAX };
	mono_t began = mono_now();
	struct ssh *s;
	int status;

	op_say(op, "Running the ready command...");
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
		op_say(op, "Checking connection to Docker...");
		if (health_await(&op->host, op->dir, mono_min(op->deadline, mono_after(ENGINE_NS)), e) < 0) {
			say_firewall(op, e);
			e->kind = ERR_TIMEOUT;
			return err_ctx(e, "the engine does not answer");
		}
		log_debug("Engine answers", F_STR("name", op->name),
		    F_DUR("duration", mono_since(began)));
		op_say(op, "Docker is up and running!");
	}
	crash_point("operator:engine-answered");
	if (text(op->ready_command)[0] != '\0' && (d->traits & CLOUD_NO_SSH))
		log_warn("ReadyCommand is not run: the driver has no SSH", F_STR("name", op->name), F_STR("driver", op->host.cloud.driver_name));
	else if (text(op->ready_command)[0] != '\0' && run_ready_command(op, e) < 0)
		return -1;
	op->rec.last_error = "";
	if (op_set_phase(op, PHASE_READY, e) < 0)
		return -1;
	crash_point("operator:ready");
	return 0;
}

/* All steps */

static int
create_steps(struct operation *op, struct err *e)
{
	bool ssh = !(op->host.cloud.driver->traits & CLOUD_NO_SSH);

	if (op->rec.phase < PHASE_CREATED && op_request(op, e) < 0)
		return -1;
	if (op->rec.phase < PHASE_BOOTED && op_await_address(op, e) < 0)
		return -1;
	if (op->rec.phase < PHASE_PROVISIONED && ssh && step_provision(op, e) < 0)
		return -1;
	return op->rec.phase < PHASE_READY ? step_ready(op, e) : 0;
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
	op_note_error(op, e);
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
		rc = op_request(op, e);
	if (rc == 0 && !op->adopted && op->rec.phase < PHASE_BOOTED)
		rc = op_await_address(op, e);
	if (rc == 0 && step_provision(op, e) == 0 && step_ready(op, e) == 0)
		return 0;
	op_note_error(op, e);
	return -1;
}
