/* `windlass adopt`: see adopt.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/adopt.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "manager/manager.h"

#define ASK_NS	(15 * NSEC_SEC)

static const struct opt opts[] = {
	OPT_CONFIG,
	OPT_STORAGE,
	OPT_STATE_DIR,
	{ .name = "yes", .letter = 'y', .type = OPT_BOOL, .help = "take over without a question" },
	{ .name = "dry-run", .letter = 'n', .type = OPT_BOOL, .help = "only show; so it is also without a terminal and --yes" },
	{ .name = "offline", .type = OPT_BOOL, .help = "ask neither engines nor the cloud" },
	{ .name = "json", .type = OPT_BOOL, .help = "print JSON, and ask nothing" },
};
const struct usage cmd_adopt_usage = USAGE("",
    "Shows what windlass would take over from the gitlab-runner and the docker-machine of this host: the runners of\n"
    "config.toml, the machines of the store with what engine and cloud say of them, the certificates, and what is\n"
    "different afterwards. Then, with --yes or after a question on a terminal, it takes the machines over: each gets a\n"
    "windlass.json beside its config.json. Nothing else is written, so the way back stays open. Safe to repeat.\n\n"
    "Run it as the user that will run windlass. Exit status 0: nothing is in the way (with --yes: it is done). 1:\n"
    "something is, `check` has an error, or a machine could not be taken over.", opts);

static int
open_store(struct adopt *a, const char *given, struct err *e)
{
	struct certs_paths p;
	struct stat st;

	a->store = given != NULL ? xstrdup(given) : store_default_path();
	if (a->store == NULL)
		return err_set(e, ERR_CONFIG, 0, "no home directory: set HOME, or give --storage-path");
	if (stat(a->store, &st) < 0)
		return errno == ENOENT ? err_set(e, ERR_NOTFOUND, ENOENT, "there is no store %s: name the directory that holds \"machines\" and "
		    "\"certs\" with --storage-path (gitlab-runner's user has it as ~/.docker/machine)", a->store) : err_sys(e, "store %s", a->store);
	a->uid = st.st_uid;
	a->gid = st.st_gid;
	p = certs_default(&a->arena, a->store);
	certs_describe(&p, &a->certs);
	(void)certs_check(&p, &a->certs_err);
	return 0;
}

static int
open_state(struct adopt *a, const char *given, struct err *e)
{
	a->state_dir = given != NULL ? xstrdup(given) : manager_default_state_dir();
	if (a->state_dir == NULL)
		return err_set(e, ERR_CONFIG, 0, "no home directory: set HOME, or give --state-dir");
	if (manager_owner(a->state_dir, false, a->owner, e) < 0)
		return -1;
	if (manager_running(a->state_dir, &a->manager_pid, NULL) != 1)
		a->manager_pid = 0;
	return 0;
}

static size_t
machine_runners(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nrunners; i++)
		n += strcmp(c->runners[i].executor, "docker+machine") == 0;
	return n;
}

static void
find_runners_here(struct adopt *a)
{
	char *path = realpath(a->check.path, NULL);

	a->nprocesses = adopt_processes(&a->arena, "/proc", path != NULL ? path : a->check.path, &a->processes);
	a->enabled_unit = adopt_enabled_unit(&a->arena, "/etc/systemd/system");
	free(path);
}

/* What forbids the doing, the gravest first. */
static const char *
obstacle(const struct adopt *a)
{
	if (a->check.config == NULL)
		return "windlass would not run with this config.toml";
	if (machine_runners(a->check.config) == 0)
		return "config.toml has no runner with the executor docker+machine, so no machine here can be anybody's";
	for (size_t i = 0; i < a->nprocesses; i++)
		if (a->processes[i].same_config)
			return "gitlab-runner still works on this config.toml: let it end first, as said above";
	return NULL;
}

static int
look(struct adopt *a, const struct opt *o, struct err *e)
{
	if (check_open(&a->check, o[0].value, e) < 0)
		return -1;
	check_file(&a->check);
	find_runners_here(a);
	a->in_the_way = obstacle(a);
	if (open_store(a, o[1].value, e) < 0 || open_state(a, o[2].value, e) < 0)
		return -1;
	/* Whose a machine is cannot be said without the runners. */
	if (a->check.config == NULL)
		return 0;
	if (adopt_look(a, e) < 0)
		return err_ctx(e, "store %s", a->store);
	return 0;
}

/* 1 yes, 0 no, -1 it could not be asked. */
static int
confirm(const struct adopt *a, struct err *e)
{
	int signals = runnercmd_catch_signals(), yes;
	char *line;

	printf("Take over %zu machine%s? (y/n): ", a->fates[ADOPT_TAKE], a->fates[ADOPT_TAKE] == 1 ? "" : "s");
	fflush(stdout);
	line = runnercmd_read_line(signals, e);
	if (line == NULL)
		return -1;
	yes = line[0] == 'y' || line[0] == 'Y';
	free(line);
	return yes;
}

static int
take_all(struct adopt *a, struct err *e)
{
	int rc = 0;

	a->did = true;
	if (a->owner[0] == '\0' && manager_owner(a->state_dir, true, a->owner, e) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		struct adopt_machine *m = &a->machines[i];
		struct err why = { 0 };

		if (m->fate != ADOPT_TAKE && m->fate != ADOPT_OURS)
			continue;
		m->done = adopt_take(a, m, &why) == 0;
		/* One of ours that somebody works on right now needs nothing. */
		if (m->done || (m->fate == ADOPT_OURS && why.kind == ERR_CONFLICT))
			continue;
		m->failed = arena_dup(&a->arena, str_from(why.msg));
		rc = 1;
	}
	return rc;
}

/* Looks, shows, asks, does. */
static int
adopt(struct adopt *a, const struct opt *o, struct err *e)
{
	bool yes = o[3].number && !o[4].number, json = o[6].number;
	int rc;

	if (look(a, o, e) < 0)
		return -1;
	if (!o[5].number)
		adopt_ask(a, ASK_NS);
	if (!json)
		adopt_print_text(a, stdout);
	/* What check would not let pass is not let pass here. */
	rc = a->in_the_way != NULL || a->check.count[CHECK_ERROR] > 0;
	if (!yes && !json && !o[4].number && a->in_the_way == NULL && a->fates[ADOPT_TAKE] > 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		rc = confirm(a, e);
		if (rc < 0)
			return -1;
		yes = rc;
		rc = a->check.count[CHECK_ERROR] > 0;
	}
	if (yes && a->in_the_way == NULL) {
		int done = take_all(a, e);

		rc = done != 0 ? done : rc;
	}
	if (rc >= 0 && json)
		adopt_print_json(a, stdout);
	else if (rc >= 0)
		adopt_print_done(a, stdout);
	return rc;
}

int
cmd_adopt(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct adopt a = { 0 };
	struct err e = { 0 };
	int rc;

	if (cmd_options(&cmd_adopt_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	a.check.last = &a.check.first;
	rc = adopt(&a, o, &e);
	fflush(stdout);
	if (rc < 0)
		rc = runnercmd_fatal("adopt", &e);
	check_close(&a.check);
	arena_reset(&a.arena);
	free(a.store);
	free(a.state_dir);
	opt_free(o, NELEM(o));
	return rc;
}
