/*
 * Where every process of windlass begins: what it is, it knows by the name
 * it was called by. gitlab-runner and docker-machine are the programs we
 * take the place of; gitlab-runner-helper is what runs in a job's container;
 * windlass-poller and its like are the roles that the manager starts.
 */
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/relro.h"
#include "gitlab/poller.h"
#include "job/broker.h"
#include "job/executor.h"
#include "job/puller.h"
#include "job/reporter.h"
#include "machine/operator.h"

static const struct { const char *name; cmd_fn *fn; } roles[] = {
	{ "windlass-poller", poller_main },
	{ "windlass-operator", operator_main },
	{ "windlass-executor", executor_main },
	{ "windlass-broker", broker_main },
	{ "windlass-puller", puller_main },
	{ "windlass-reporter", reporter_main },
	{ "windlass-metrics", metrics_main },
};

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Logging by the environment, before anything can be said. Flags of `run` come later and win. */
static void
early_log(void)
{
	enum log_level level = LOG_INFO;
	enum log_format format = LOG_RUNNER;
	const char *l = getenv("LOG_LEVEL"), *f = getenv("LOG_FORMAT");

	if (l != NULL)
		log_level_parse(str_from(l), &level);
	if (f != NULL)
		log_format_parse(str_from(f), &format);
	log_setup(level, format);
}

/*
 * Options in front of the command, where gitlab-runner takes them, too; what those about the log say goes on by the environment.
 * The index of the command; argc: there is none; -1: they are wrong.
 */
static int
global_options(struct opt *o, int argc, char **argv)
{
	static const char *const variable[] = { "LOG_LEVEL", "LOG_FORMAT" };
	struct opt_words words = { .v = xcalloc((size_t)argc + 1, sizeof(*words.v)), .end_options = true };
	struct err e = { 0 };
	int rc;

	memcpy(o, cmd_globals, ncmd_globals * sizeof(*o));
	rc = opt_parse(o, ncmd_globals, argc, argv, &words, &e);
	free(words.v);
	if (rc < 0) {
		fprintf(stderr, "FATAL: %s (`%s --help` lists options and commands)\n", e.msg, cmd_program);
		return -1;
	}
	for (size_t i = 0; i < NELEM(variable); i++)
		if (o[i].given)
			setenv(variable[i], o[i].value, 1);
	if (opt_find(o, ncmd_globals, "debug")->number)
		setenv("LOG_LEVEL", "debug", 1);
	return argc - (int)words.n;
}

/* Service managers may leave it out; the store, the configuration of a user and docker's logins are below it (spec gitlab-runner 3.1). */
static void
set_home(void)
{
	const char *home = getenv("HOME");
	struct passwd *p = home == NULL || home[0] == '\0' ? getpwuid(geteuid()) : NULL;

	if (p != NULL && p->pw_dir[0] == '/')
		setenv("HOME", p->pw_dir, 1);
}

int
main(int argc, char **argv)
{
	const char *name = base_name(argc > 0 ? argv[0] : "windlass");
	struct opt globals[8];
	const struct command *c;
	int i;

	assert(ncmd_globals <= NELEM(globals));

	relro_seal();
	/* A reader of our output that goes away must not take a job with it. */
	signal(SIGPIPE, SIG_IGN);
	early_log();
	for (size_t r = 0; r < NELEM(roles); r++)
		if (strcmp(name, roles[r].name) == 0) {
			proc_title(name);
			return roles[r].fn(argc, argv);
		}
	proc_remember(argc, argv);
	set_home();
	if (strcmp(name, "docker-machine") == 0)
		return cmd_machine(argc, argv);
	cmd_program = name;
	i = global_options(globals, argc, argv);
	if (i < 0)
		return 1;
	early_log();
	if (opt_find(globals, ncmd_globals, "version")->number) {
		cmd_print_version(stdout);
		return 0;
	}
	if (i >= argc || opt_find(globals, ncmd_globals, "help")->number) {
		cmd_print_commands(stdout);
		return 0;
	}
	c = command_find(argv[i]);
	if (c == NULL)
		return cmd_unknown(argv[i]);
	if (cmd_asks_help(c->usage, argc - i, argv + i)) {
		cmd_print_usage(name, c->name, c->usage, stdout);
		return 0;
	}
	return c->fn(argc - i, argv + i);
}
