/* The commands of docker-machine: see machine.h. */
#include <limits.h>
#include <unistd.h>

#include "cloud/life.h"
#include "cmd/cmd.h"
#include "cmd/machine.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "machine/certs.h"
#include "machine/health.h"
#include "net/dial.h"
#include "net/ssh.h"
#include "versions.h"

#define COMPAT_MACHINE	"0.16.2"	/* the docker-machine that we answer to be */
#define STATE_TRIES	60
#define STATE_PAUSE	(3 * NSEC_SEC)
#define CALL_NS		(120 * NSEC_SEC)

/* For commands that take names and no option. */
static const struct usage none_usage;

#define DEFAULT_NAME	"\n\nWithout a name the machine \"default\" is meant."

/* Helpers that all commands share */

int
machine_fail(const struct err *e)
{
	fflush(stdout);
	fprintf(stderr, "%s\n", e->msg);
	return 1;
}

int
machine_args(const struct machine_cli *m, struct machine_args *a, const struct usage *u, struct opt *opt, int argc, char **argv)
{
	struct opt_words words = { .v = xcalloc((size_t)argc + 1, sizeof(*words.v)) };
	struct err e = { 0 };
	int rc;

	*a = (struct machine_args){ .opt = opt, .nopt = u->nopt, .words = words.v };
	if (u->nopt > 0)
		memcpy(opt, u->opt, u->nopt * sizeof(*opt));
	rc = opt_parse(opt, a->nopt, argc, argv, &words, &e);
	a->nwords = words.n;
	if (rc == 0)
		return 0;
	printf("Incorrect Usage.\n\n");
	fflush(stdout);
	fprintf(stderr, "%s (`%s %s --help` lists the options)\n", e.msg, m->program, argv[0]);
	machine_args_free(a);
	return -1;
}

void
machine_args_free(struct machine_args *a)
{
	opt_free(a->opt, a->nopt);
	free(a->words);
	a->words = NULL;
}

static bool
exists(const struct machine_cli *m, const char *name)
{
	int dir = store_open(m->store, name, NULL);

	if (dir < 0)
		return false;
	close(dir);
	return true;
}

int
machine_names(const struct machine_cli *m, struct machine_args *a)
{
	struct err e;

	if (a->nwords > 0)
		return 0;
	if (!exists(m, "default")) {
		err_set(&e, ERR_CONFIG, 0, "Error: No machine name(s) specified and no \"default\" machine exists");
		machine_fail(&e);
		return -1;
	}
	a->words[a->nwords++] = "default";
	return 0;
}

void
machine_unknown(const struct machine_cli *m, const char *name, struct err *e)
{
	err_set(e, ERR_NOTFOUND, 0, "Docker machine \"%s\" does not exist. Use \"%s ls\" to list machines. "
	    "Use \"%s create\" to add a new one.", name, m->program, m->program);
}

int
machine_look(const struct machine_cli *m, struct operation *op, const char *name, struct err *e)
{
	operation_init(op, m->store, name);
	op->deadline = mono_after(CALL_NS);
	if (!exists(m, name)) {
		machine_unknown(m, name, e);
		return -1;
	}
	return operation_look(op, e);
}

int
machine_take(const struct machine_cli *m, struct operation *op, const char *name, struct err *e)
{
	operation_init(op, m->store, name);
	op->deadline = mono_after(CALL_NS);
	if (!exists(m, name)) {
		machine_unknown(m, name, e);
		return -1;
	}
	return operation_open(op, e);
}

static void
say_line(const char *line)
{
	puts(line);
	fflush(stdout);
}

static void
say_driver(void *ctx, const char *line)
{
	const struct operation *op = ctx;

	printf("(%s) %s\n", op->name, line);
	fflush(stdout);
}

void
machine_speak(struct operation *op)
{
	op->say = say_line;
	op->ears = (struct cloud_ears){ .say = say_driver, .ctx = op };
	op->host.cloud.ears = op->ears;
}

/* create */

/* The first pass: which driver's options are to be understood. */
static const char *
driver_of(int argc, char **argv)
{
	const char *env = getenv("MACHINE_DRIVER");

	for (int i = 1; i < argc; i++) {
		struct str a = str_from(argv[i]), name;

		if (a.n < 2 || a.p[0] != '-')
			continue;
		a = str_sub(a, a.p[1] == '-' ? 2 : 1, a.n);
		name = str_cut(&a, '=');
		if (!str_eqc(name, "driver") && !str_eqc(name, "d"))
			continue;
		return a.p != NULL ? a.p : i + 1 < argc ? argv[i + 1] : "";
	}
	return env != NULL ? env : "";
}

static bool
asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0)
			return true;
	return false;
}

static void
use_tls_paths(const struct machine_cli *m, struct machine_host *h)
{
	const char **to[] = { &h->auth.ca_cert, &h->auth.ca_key, &h->auth.client_cert, &h->auth.client_key };

	for (size_t i = 0; i < NELEM(to); i++)
		if (m->tls[i] != NULL)
			*to[i] = arena_dup(h->a, str_from(m->tls[i]));
}

/* What a first create makes, docker-machine mentions. */
static void
say_certs(const struct machine_host *h)
{
	if (!fs_exists(AT_FDCWD, h->auth.ca_cert))
		printf("Creating CA: %s\n", h->auth.ca_cert);
	if (!fs_exists(AT_FDCWD, h->auth.client_cert))
		printf("Creating client certificate: %s\n", h->auth.client_cert);
	fflush(stdout);
}

/* 0, 1 or 3. */
static int
create_machine(const struct machine_cli *m, struct operation *op, struct machine_host *h, struct err *e)
{
	const struct cloud_driver *d = h->cloud.driver;
	struct certs_paths p = { h->auth.ca_cert, h->auth.ca_key, h->auth.client_cert, h->auth.client_key };
	int rc;

	machine_speak(op);
	h->cloud.ears = op->ears;
	say_certs(h);
	if (certs_ensure(m->store, &p, e) < 0)
		return 1;
	say_line("Running pre-create checks...");
	rc = d->check != NULL ? d->check(&h->cloud, e) : 0;
	if (rc == 0)
		rc = operation_keys(op, &h->cloud, e);
	if (rc == 0)
		rc = cloud_precreate(&h->cloud, op->deadline, e);
	if (rc < 0) {
		cloud_close(&h->cloud);
		return EXIT_PRECREATE;
	}
	if (operation_plan(op, h, "", "", "", e) < 0) {
		if (e->kind == ERR_CONFLICT)
			err_set(e, ERR_CONFLICT, 0, "Docker machine \"%s\" already exists", op->name);
		return 1;
	}
	say_line("Creating machine...");
	if (operation_create(op, e) < 0) {
		err_ctx(e, "Error creating machine");
		return 1;
	}
	if (!(d->traits & CLOUD_NO_SSH))
		printf("To see how to connect your Docker Client to the Docker Engine running on this virtual machine, run: "
		    "%s env %s\n", m->program, op->name);
	return 0;
}

int
machine_create(const struct machine_cli *m, int argc, char **argv)
{
	const char *driver = driver_of(argc, argv);
	const struct cloud_driver *d = cloud_driver_find(str_from(driver));
	struct arena a = { 0 };
	struct machine_options o;
	struct machine_host h;
	struct operation op;
	char names[CLOUD_NAMES_MAX];
	struct err e = { 0 };
	int rc = 1;

	machine_options_init(&o, d);
	operation_init(&op, m->store, "");
	if (driver[0] == '\0') {
		err_set(&e, ERR_CONFIG, 0, "Error: no driver: name one with --driver (%s)", cloud_driver_names(names));
		goto out;
	}
	if (d == NULL) {
		err_set(&e, ERR_CONFIG, 0, "Driver \"%s\" not found: windlass has %s", driver, cloud_driver_names(names));
		goto out;
	}
	if (machine_options_parse(&o, argc, argv, &e) < 0)
		goto out;
	if (o.nwords != 1) {
		err_set(&e, ERR_CONFIG, 0, o.nwords == 0 ? "Error: No machine name specified" :
		    "Invalid command line. Found extra arguments [%s]", o.nwords > 1 ? o.words[1] : "");
		goto out;
	}
	if (!store_name_ok(str_from(o.words[0]))) {
		err_set(&e, ERR_CONFIG, 0, "Error creating machine: Invalid hostname specified. Allowed hostname chars are: "
		    "0-9a-zA-Z . -, at most %d of them", MACHINE_NAME_MAX);
		goto out;
	}
	if (exists(m, o.words[0])) {
		err_set(&e, ERR_CONFLICT, 0, "Docker machine \"%s\" already exists", o.words[0]);
		goto out;
	}
	if (machine_options_host(&o, &h, &a, m->store, o.words[0], &e) < 0) {
		err_ctx(&e, "Error setting machine configuration from flags provided");
		goto out;
	}
	use_tls_paths(m, &h);
	if (h.swarm.is_swarm)
		printf("WARNING: legacy Swarm is stored in the machine's configuration, but not set up.\n");
	op.name = h.name;
	rc = create_machine(m, &op, &h, &e);
out:
	if (rc == 1)
		machine_fail(&e);
	else if (rc == 3)
		fprintf(stderr, "Error with pre-create check: \"%s\"\n", e.msg);
	operation_end(&op);
	machine_options_free(&o);
	arena_reset(&a);
	return rc;
}

/* Power */

static int
await_state(struct operation *op, enum cloud_state want, struct err *e)
{
	enum cloud_state s = STATE_NONE;

	for (int i = 0; i < STATE_TRIES; i++) {
		if (cloud_state(&op->host.cloud, &s, op->deadline, e) == 0 && s == want)
			return 0;
		if (net_pause(STATE_PAUSE, e) < 0)
			return -1;
	}
	return err_set(e, ERR_TIMEOUT, 0, "machine %s is %s, not %s, after %d tries", op->name, cloud_state_name(s),
	    cloud_state_name(want), STATE_TRIES);
}

static int
await_engine(struct operation *op, struct err *e)
{
	say_line("Waiting for Docker...");
	return health_await(&op->host, op->dir, op->deadline, e);
}

static int
power_restart(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	struct ssh *s;

	if (d->traits & CLOUD_NO_VM && !(d->traits & CLOUD_NO_SSH)) {
		/* generic: the machine itself is asked. */
		s = operation_ssh(op, e);
		if (s == NULL)
			return -1;
		(void)ssh_run(s, "sudo -n shutdown -r now || shutdown -r now", STR_NULL, NULL,
		    mono_after(CALL_NS), NULL);
		ssh_close(s);
		return 0;
	}
	return d->power(&op->host.cloud, POWER_RESTART, op->deadline, e);
}

static int
power_one(const struct machine_cli *m, const char *name, enum cloud_power p, struct err *e)
{
	static const struct { const char *doing, *done; } words[] = {
		[POWER_START] = { "Starting", "started" }, [POWER_STOP] = { "Stopping", "stopped" },
		[POWER_RESTART] = { "Restarting", "restarted" }, [POWER_KILL] = { "Killing", "killed" },
	};
	enum cloud_state s, target = p == POWER_STOP || p == POWER_KILL ? STATE_STOPPED : STATE_RUNNING;
	const struct cloud_driver *d;
	struct operation op;
	int rc = -1;

	if (machine_take(m, &op, name, e) < 0 || cloud_need_driver(&op.host.cloud, e) < 0)
		goto out;
	op.deadline = mono_after(OPERATOR_LIMIT_NS);
	machine_speak(&op);
	d = op.host.cloud.driver;
	if (cloud_state(&op.host.cloud, &s, op.deadline, e) < 0)
		goto out;
	if (p != POWER_RESTART && s == target) {
		err_set(e, ERR_CONFIG, 0, "Machine \"%s\" is already %s.", name, s == STATE_RUNNING ? "running" : "stopped");
		goto out;
	}
	printf("%s \"%s\"...\n", words[p].doing, name);
	fflush(stdout);
	if (p == POWER_RESTART && s == STATE_RUNNING)
		rc = power_restart(&op, e);
	else
		rc = d->power(&op.host.cloud, p == POWER_RESTART ? POWER_START : p, op.deadline, e);
	if (rc == 0)
		rc = await_state(&op, target, e);
	if (rc == 0 && target == STATE_RUNNING && !(d->traits & CLOUD_NO_SSH))
		rc = await_engine(&op, e);
	if (rc == 0 && p != POWER_RESTART)
		printf("Machine \"%s\" was %s.\n", name, words[p].done);
out:
	operation_end(&op);
	return rc;
}

/* One thing done to each machine that is named. */
static int
each(const struct machine_cli *m, int argc, char **argv, int (*fn)(const struct machine_cli *m, const char *name,
    struct err *e))
{
	struct machine_args a;
	int rc = 0;

	if (machine_args(m, &a, &none_usage, NULL, argc, argv) < 0)
		return 1;
	if (machine_names(m, &a) < 0) {
		machine_args_free(&a);
		return 1;
	}
	for (size_t i = 0; i < a.nwords; i++) {
		struct err e = { 0 };

		if (fn(m, a.words[i], &e) < 0)
			rc = machine_fail(&e);
	}
	machine_args_free(&a);
	return rc;
}

static int
start_one(const struct machine_cli *m, const char *name, struct err *e)
{
	return power_one(m, name, POWER_START, e);
}

static int
stop_one(const struct machine_cli *m, const char *name, struct err *e)
{
	return power_one(m, name, POWER_STOP, e);
}

static int
restart_one(const struct machine_cli *m, const char *name, struct err *e)
{
	return power_one(m, name, POWER_RESTART, e);
}

static int
kill_one(const struct machine_cli *m, const char *name, struct err *e)
{
	return power_one(m, name, POWER_KILL, e);
}

static int
machine_start(const struct machine_cli *m, int argc, char **argv)
{
	int rc = each(m, argc, argv, start_one);

	if (rc == 0)
		printf("Started machines may have new IP addresses. You may need to re-run the `%s env` command.\n", m->program);
	return rc;
}

static int
machine_stop(const struct machine_cli *m, int argc, char **argv)
{
	return each(m, argc, argv, stop_one);
}

static int
machine_restart(const struct machine_cli *m, int argc, char **argv)
{
	int rc = each(m, argc, argv, restart_one);

	if (rc == 0)
		printf("Restarted machines may have new IP addresses. You may need to re-run the `%s env` command.\n", m->program);
	return rc;
}

static int
machine_kill(const struct machine_cli *m, int argc, char **argv)
{
	return each(m, argc, argv, kill_one);
}

/* Provisioning again */

static int
provision_one(const struct machine_cli *m, const char *name, const char *host_key, struct err *e)
{
	struct operation op;
	int rc = -1;

	if (machine_take(m, &op, name, e) < 0)
		goto out;
	op.deadline = mono_after(2 * OPERATOR_LIMIT_NS);
	op.accept_host_key = host_key;
	machine_speak(&op);
	rc = operation_provision(&op, e);
out:
	operation_end(&op);
	return rc;
}

static const struct opt provision_opts[] = {
	{ .name = "accept-host-key", .type = OPT_STRING, .arg = "FINGERPRINT",
	  .help = "SHA256:... of the host key that replaces the one known so far; for one machine" },
};
static const struct usage provision_usage = USAGE("[MACHINE...]",
    "Installs and sets up what a machine's engine needs, once more; of a machine whose create was interrupted: goes on with it.\n\n"
    "A host that shows another SSH key than at first is refused: it was reinstalled, or it is another one. If you know which,\n"
    "--accept-host-key with the new key's fingerprint, which the refusal names (on the host: ssh-keygen -lf\n"
    "/etc/ssh/ssh_host_ed25519_key.pub), lets this one key in and keeps it." DEFAULT_NAME, provision_opts);

static int
machine_provision(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(provision_opts)];
	struct machine_args a;
	int rc = 1;

	if (machine_args(m, &a, &provision_usage, o, argc, argv) < 0)
		return 1;
	if (machine_names(m, &a) < 0)
		goto out;
	if (o[0].given && (a.nwords != 1 || strncmp(o[0].value, "SHA256:", 7) != 0)) {
		fprintf(stderr, "--accept-host-key is for one machine, and wants the key's fingerprint as SHA256:...\n");
		goto out;
	}
	rc = 0;
	for (size_t i = 0; i < a.nwords; i++) {
		struct err e = { 0 };

		if (provision_one(m, a.words[i], o[0].value, &e) < 0)
			rc = machine_fail(&e);
	}
out:
	machine_args_free(&a);
	return rc;
}

static const struct opt regenerate_opts[] = {
	{ .name = "force", .letter = 'f', .type = OPT_BOOL, .help = "do not ask" },
	{ .name = "client-certs", .type = OPT_BOOL, .help = "also make the store's certificates if they are missing or old" },
};
static const struct usage regenerate_usage = USAGE("[MACHINE...]",
    "Makes the TLS certificate of a machine's engine anew, and installs it by SSH. Running jobs on it may lose their engine\n"
    "for a moment.", regenerate_opts);

static int
machine_regenerate(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(regenerate_opts)];
	struct machine_args a;
	int rc = 1;

	if (machine_args(m, &a, &regenerate_usage, o, argc, argv) < 0)
		return 1;
	if (machine_names(m, &a) < 0)
		goto out;
	if (!o[0].number) {
		printf("Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): ");
		fflush(stdout);
		rc = 0;
		if (!machine_confirmed())
			goto out;
	}
	rc = 0;
	puts("Regenerating TLS certificates");
	if (o[1].number) {
		struct arena ar = { 0 };
		struct certs_paths p = certs_default(&ar, m->store);
		struct err e = { 0 };

		rc = certs_ensure(m->store, &p, &e) < 0 ? machine_fail(&e) : 0;
		arena_reset(&ar);
	}
	for (size_t i = 0; rc == 0 && i < a.nwords; i++) {
		struct err e = { 0 };

		if (provision_one(m, a.words[i], NULL, &e) < 0)
			rc = machine_fail(&e);
	}
out:
	machine_args_free(&a);
	return rc;
}

/* Small questions */

static int
state_of(struct operation *op, enum cloud_state *s, struct err *e)
{
	int rc;

	if (cloud_need_driver(&op->host.cloud, e) < 0)
		return -1;
	rc = cloud_state(&op->host.cloud, s, op->deadline, e);
	/* docker-machine says Error for a machine that the cloud does not know. */
	if (rc < 0 && e->kind == ERR_NOTFOUND) {
		*s = STATE_ERROR;
		rc = 0;
	}
	return rc;
}

static int
status_one(const struct machine_cli *m, const char *name, struct err *e)
{
	enum cloud_state s;
	struct operation op;
	int rc = -1;

	if (machine_look(m, &op, name, e) == 0)
		rc = state_of(&op, &s, e);
	if (rc == 0)
		puts(cloud_state_name(s));
	operation_end(&op);
	return rc;
}

static int
machine_status(const struct machine_cli *m, int argc, char **argv)
{
	return each(m, argc, argv, status_one);
}

static int
ip_one(const struct machine_cli *m, const char *name, struct err *e)
{
	struct operation op;
	int rc = machine_look(m, &op, name, e);

	if (rc == 0 && op.host.cloud.base.ip[0] == '\0')
		rc = err_set(e, ERR_CONFIG, 0, "IP address is not set");
	if (rc == 0)
		puts(op.host.cloud.base.ip);
	operation_end(&op);
	return rc;
}

static int
machine_ip(const struct machine_cli *m, int argc, char **argv)
{
	return each(m, argc, argv, ip_one);
}

static int
url_one(const struct machine_cli *m, const char *name, struct err *e)
{
	struct operation op;
	int rc = machine_look(m, &op, name, e);

	if (rc == 0 && cloud_url(&op.host.cloud)[0] == '\0')
		rc = err_set(e, ERR_CONFIG, 0, "machine %s has no address yet", name);
	if (rc == 0)
		puts(cloud_url(&op.host.cloud));
	operation_end(&op);
	return rc;
}

static int
machine_url(const struct machine_cli *m, int argc, char **argv)
{
	return each(m, argc, argv, url_one);
}

static const struct opt active_opts[] = {
	{ .name = "timeout", .letter = 't', .type = OPT_INT, .arg = "SECONDS", .help = "how long to wait for an answer (default 10)" },
};
static const struct usage active_usage = USAGE("",
    "Prints the machine that DOCKER_HOST names, if it is running. Exit status 1: there is none.", active_opts);

static int
machine_active(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(active_opts)];
	const char *host = getenv("DOCKER_HOST");
	struct machine_args a;
	char **names = NULL;
	ssize_t n = 0;
	struct err e = { 0 };
	int rc = 1;

	if (machine_args(m, &a, &active_usage, o, argc, argv) < 0)
		return 1;
	if (a.nwords > 0) {
		err_set(&e, ERR_CONFIG, 0, "Error: Too many arguments given");
		goto out;
	}
	n = store_list(m->store, &names, &e);
	for (ssize_t i = 0; i < n && rc != 0 && host != NULL; i++) {
		enum cloud_state s = STATE_NONE;
		struct operation op;

		if (machine_look(m, &op, names[i], &e) == 0 && strcmp(cloud_url(&op.host.cloud), host) == 0) {
			op.deadline = mono_after((o[0].given ? o[0].number : 10) * NSEC_SEC);
			if (state_of(&op, &s, &e) == 0 && s == STATE_RUNNING) {
				puts(names[i]);
				rc = 0;
			}
		}
		operation_end(&op);
	}
	if (rc != 0 && n >= 0)
		err_set(&e, ERR_NOTFOUND, 0, "No active host found");
out:
	if (rc != 0)
		machine_fail(&e);
	fs_free_names(names, n);
	machine_args_free(&a);
	return rc;
}

/* ssh: arguments are taken raw. */
static int
machine_ssh(const struct machine_cli *m, int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "default";
	struct buf cmd = { .max = 1 << 20 };
	enum cloud_state s = STATE_RUNNING;
	struct operation op;
	struct err e = { 0 };
	struct ssh *ssh = NULL;
	int status = -1;

	for (int i = 2; i < argc; i++)
		if (i > 2 || strcmp(argv[i], "--") != 0)
			buf_fmt(&cmd, "%s%s", cmd.n > 0 ? " " : "", argv[i]);
	if (argc < 2 && !exists(m, "default")) {
		err_set(&e, ERR_CONFIG, 0, "Error: No machine name specified and no \"default\" machine exists");
		operation_init(&op, m->store, name);
		goto out;
	}
	if (machine_look(m, &op, name, &e) < 0)
		goto out;
	/* Of a driver that is not here nobody can be asked: SSH itself will say. */
	if (op.host.cloud.driver != NULL && state_of(&op, &s, &e) < 0)
		goto out;
	if (s != STATE_RUNNING) {
		err_set(&e, ERR_CONFIG, 0, "Error: Cannot run SSH command: Host \"%s\" is not running", name);
		goto out;
	}
	/* A host that answers is given the time that its login takes. */
	op.deadline = mono_after(CALL_NS * 2);
	op.ssh_by = mono_after(30 * NSEC_SEC);
	ssh = operation_ssh(&op, &e);
	if (ssh == NULL)
		goto out;
	status = ssh_interactive(ssh, cmd.n > 0 ? cmd.p : NULL, &e);
	if (status > 0)
		err_set(&e, ERR_SYS, status, "exit status %d", status);
out:
	if (status != 0)
		machine_fail(&e);
	ssh_close(ssh);
	operation_end(&op);
	buf_free(&cmd);
	return status != 0;
}

static int
machine_version(const struct machine_cli *m, int argc, char **argv)
{
	struct operation op;
	struct err e = { 0 };
	char v[64];
	int rc = 0;

	if (argc < 2) {
		printf("docker-machine version %s-windlass.%s, build %s\n", COMPAT_MACHINE, WL_VERSION, WL_REVISION);
		return 0;
	}
	rc = machine_look(m, &op, argv[1], &e);
	if (rc == 0)
		rc = health_version(&op.host, op.dir, v, sizeof(v), op.deadline, &e);
	if (rc == 0)
		puts(v);
	operation_end(&op);
	return rc < 0 ? machine_fail(&e) : 0;
}

/* What docker-machine has and we have not, said plainly and with the way around. */
static int
machine_not_here(const struct machine_cli *m, int argc, char **argv)
{
	struct operation op;
	struct err e = { 0 };

	if (strcmp(argv[0], "upgrade") == 0)
		fprintf(stderr, "%s has no upgrade: make a new machine, or run the system's package manager by `%s ssh NAME`.\n",
		    m->program, m->program);
	else
		fprintf(stderr, "%s has no %s: use %s with the machine's key.\n", m->program, argv[0],
		    strcmp(argv[0], "scp") == 0 ? "scp" : "sshfs");
	if (argc > 1 && machine_look(m, &op, argv[argc - 1], &e) == 0) {
		fprintf(stderr, "For example: scp -i %s -P %" PRId64 " FILE %s@%s:PATH\n", op.host.cloud.base.ssh_key_path,
		    op.host.cloud.base.ssh_port, op.host.cloud.base.ssh_user, op.host.cloud.base.ip);
		operation_end(&op);
	}
	return 1;
}

static machine_fn machine_help;

#define NAMES(about_)	&(const struct usage){ .args = "[MACHINE...]", .about = (about_) }
#define NAME(about_)	&(const struct usage){ .args = "[MACHINE]", .about = (about_) }

static const struct usage create_usage = { .args = "MACHINE", .flags = USAGE_DRIVERS, .about =
    "Creates a machine in the cloud, waits for its SSH, installs Docker where it is missing and sets it up for TLS, on port 2376.\n"
    "--help together with --driver lists that driver's options, too.\n\n"
    "An interrupted create is taken up again with `provision`, or taken back with `rm`: nothing is left without a record.\n"
    "Exit status 3: the driver's check before anything was created said no." };
static const struct usage ssh_usage = { .args = "[MACHINE] [COMMAND...]", .flags = USAGE_RAW, .about =
    "Logs into a machine by SSH with its own key, or runs a command there. All that follows the name is the command's.\n"
    "Exit status 1 when the command's is not 0." DEFAULT_NAME };
static const struct usage not_here_usage = { .args = "", .flags = USAGE_RAW, .about =
    "docker-machine has this command, windlass does not: called, it says what does the same." };

const struct machine_command machine_commands[] = {
	{ "active", machine_active, "print which machine is active (DOCKER_HOST names it)", &active_usage },
	{ "config", machine_config, "print the docker client's options for a machine", &machine_config_usage },
	{ "create", machine_create, "create a machine", &create_usage },
	{ "env", machine_env, "print the commands that point the docker client at a machine", &machine_env_usage },
	{ "inspect", machine_inspect, "print what is known of a machine, as JSON", &machine_inspect_usage },
	{ "ip", machine_ip, "print the address of a machine",
	  NAMES("Prints the addresses of machines, one a line." DEFAULT_NAME) },
	{ "kill", machine_kill, "switch a machine off at once", NAMES("Switches machines off, as pulling the plug does." DEFAULT_NAME) },
	{ "ls", machine_ls, "list machines", &machine_ls_usage },
	{ "provision", machine_provision, "provision again, or go on with an interrupted create", &provision_usage },
	{ "regenerate-certs", machine_regenerate, "make a machine's TLS certificates anew", &regenerate_usage },
	{ "restart", machine_restart, "restart a machine", NAMES("Restarts machines and waits for their engines." DEFAULT_NAME) },
	{ "rm", machine_rm, "remove machines, here and in the cloud", &machine_rm_usage },
	{ "ssh", machine_ssh, "log into a machine, or run a command there, by SSH", &ssh_usage },
	{ "start", machine_start, "start a machine", NAMES("Switches machines on and waits for their engines." DEFAULT_NAME) },
	{ "status", machine_status, "print the state of a machine",
	  NAMES("Prints Running, Stopped and the like, as the cloud has it; Error for a machine that the cloud does not know." DEFAULT_NAME) },
	{ "stop", machine_stop, "stop a machine", NAMES("Shuts machines down." DEFAULT_NAME) },
	{ "url", machine_url, "print the URL of a machine's engine", NAMES("Prints tcp://ADDRESS:PORT, one a line." DEFAULT_NAME) },
	{ "version", machine_version, "print our version, or that of a machine's engine",
	  NAME("Prints the version of a machine's Docker Engine; without a name, ours.") },
	{ "help", machine_help, "print this list, or what a command does and takes",
	  &(const struct usage){ .args = "[COMMAND]", .flags = USAGE_RAW, .about = "Prints the commands, or what one of them does and takes." } },
	{ "mount", machine_not_here, NULL, &not_here_usage },
	{ "scp", machine_not_here, NULL, &not_here_usage },
	{ "upgrade", machine_not_here, NULL, &not_here_usage },
};
const size_t nmachine_commands = NELEM(machine_commands);

const struct opt machine_globals[] = {
	{ .name = "debug", .letter = 'D', .type = OPT_BOOL, .env = "MACHINE_DEBUG", .help = "say more, on standard error" },
	OPT_STORAGE,
	{ .name = "tls-ca-cert", .type = OPT_STRING, .arg = "FILE", .env = "MACHINE_TLS_CA_CERT", .help = "authority's certificate instead of the store's" },
	{ .name = "tls-ca-key", .type = OPT_STRING, .arg = "FILE", .env = "MACHINE_TLS_CA_KEY", .help = "its private key" },
	{ .name = "tls-client-cert", .type = OPT_STRING, .arg = "FILE", .env = "MACHINE_TLS_CLIENT_CERT", .help = "client's certificate instead of the store's" },
	{ .name = "tls-client-key", .type = OPT_STRING, .arg = "FILE", .env = "MACHINE_TLS_CLIENT_KEY", .help = "its private key" },
	{ .name = "github-api-token", .type = OPT_STRING, .env = "MACHINE_GITHUB_API_TOKEN" },
	{ .name = "native-ssh", .type = OPT_BOOL, .env = "MACHINE_NATIVE_SSH" },
	{ .name = "bugsnag-api-token", .type = OPT_STRING, .env = "MACHINE_BUGSNAG_API_TOKEN" },
	OPT_HELP,
	{ .name = "version", .letter = 'v', .type = OPT_BOOL, .help = "our version" },
};
const size_t nmachine_globals = NELEM(machine_globals);

const struct usage cmd_machine_usage = { .args = "COMMAND [ARG...]", .opt = machine_globals, .nopt = NELEM(machine_globals), .flags = USAGE_OWN_HELP, .about =
	"Creates and manages machines that run Docker: docker-machine's commands, on its store." };

static const struct machine_command *
find_command(const char *name)
{
	for (size_t i = 0; i < NELEM(machine_commands); i++)
		if (strcmp(machine_commands[i].name, name) == 0)
			return &machine_commands[i];
	return NULL;
}

static int
unknown_command(const struct machine_cli *m, const char *name)
{
	const char *near = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < NELEM(machine_commands); i++) {
		const struct machine_command *c = &machine_commands[i];
		unsigned d = c->help != NULL ? str_distance(str_from(name), str_from(c->name)) : 99;

		if (d < least && d < strlen(c->name)) {
			least = d;
			near = c->name;
		}
	}
	fprintf(stderr, "%s: '%s' is not a %s command. ", m->program, name, m->program);
	if (near != NULL)
		fprintf(stderr, "Did you mean '%s'?\n", near);
	else
		fprintf(stderr, "See '%s --help'.\n", m->program);
	return 1;
}

/* With the options of a driver, or of none. */
static void
print_usage(const struct machine_cli *m, const struct machine_command *c, const struct cloud_driver *d)
{
	struct machine_options o;
	struct usage u = *c->usage;

	if (u.flags & USAGE_DRIVERS) {
		machine_options_init(&o, d);
		u.opt = o.opt;
		u.nopt = o.n;
	}
	cmd_print_usage(m->program, c->name, &u, stdout);
}

static int
machine_help(const struct machine_cli *m, int argc, char **argv)
{
	const struct machine_command *c = argc > 1 ? find_command(argv[1]) : NULL;

	if (c != NULL) {
		print_usage(m, c, cloud_driver_find(str_from(driver_of(argc, argv))));
		return 0;
	}
	if (argc > 1)
		return unknown_command(m, argv[1]);
	printf("Usage: %s [OPTION...] COMMAND [ARG...]\n\n", m->program);
	opt_text(stdout, cmd_machine_usage.about, 0);
	printf("\nCommands:\n");
	for (size_t i = 0; i < NELEM(machine_commands); i++)
		if (machine_commands[i].help != NULL)
			opt_text(stdout, machine_commands[i].help, printf("  %-16s  ", machine_commands[i].name));
	printf("\nOptions, before the command:\n");
	opt_help(machine_globals, NELEM(machine_globals), stdout);
	printf("\nRun '%s COMMAND --help'\nfor more information on a command.\n", m->program);
	return 0;
}

static int
dispatch(const struct machine_cli *m, int argc, char **argv)
{
	const struct machine_command *c = find_command(argv[0]);

	if (c == NULL)
		return unknown_command(m, argv[0]);
	if (c->usage->flags & USAGE_DRIVERS ? asks_help(argc, argv) : cmd_asks_help(c->usage, argc, argv)) {
		print_usage(m, c, cloud_driver_find(str_from(driver_of(argc, argv))));
		return 0;
	}
	return c->fn(m, argc, argv);
}

/* Absolute, since it goes into files that are read from elsewhere; malloc'd. NULL if nobody says where. */
static char *
store_path(const char *given)
{
	char cwd[PATH_MAX], *path = given != NULL ? xstrdup(given) : store_default_path(), *whole;

	if (path == NULL || path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return path;
	whole = fs_join(cwd, path);
	free(path);
	return whole;
}

int
cmd_machine(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	struct opt_words words = { .v = xcalloc((size_t)argc + 1, sizeof(*words.v)), .end_options = true };
	struct opt globals[NELEM(machine_globals)];
	struct machine_cli m = { 0 };
	struct err e = { 0 };
	char *path = NULL;
	int rc = 1;

	memcpy(globals, machine_globals, sizeof(globals));
	base = base != NULL ? base + 1 : argv[0];
	m.program = strncmp(base, "docker-machine", strlen("docker-machine")) == 0 ? "docker-machine" : "windlass machine";
	if (opt_parse(globals, NELEM(globals), argc, argv, &words, &e) < 0) {
		printf("Incorrect Usage.\n\n");
		machine_fail(&e);
		goto out;
	}
	m.debug = globals[0].number != 0;
	log_setup(m.debug ? LOG_DEBUG : LOG_ERROR, log_format());
	m.store = path = store_path(globals[1].value);
	for (size_t i = 0; i < 4; i++)
		m.tls[i] = globals[2 + i].value;
	if (opt_find(globals, NELEM(globals), "version")->number) {
		rc = machine_version(&m, 1, argv);
		goto out;
	}
	if (words.n == 0 || opt_find(globals, NELEM(globals), "help")->number) {
		rc = machine_help(&m, 1, argv);
		goto out;
	}
	if (m.store == NULL) {
		fprintf(stderr, "There is no directory of machines: neither --storage-path, MACHINE_STORAGE_PATH nor HOME is set\n");
		goto out;
	}
	rc = dispatch(&m, (int)words.n, argv + argc - (int)words.n);
out:
	free(path);
	free(words.v);
	opt_free(globals, NELEM(globals));
	return rc;
}
