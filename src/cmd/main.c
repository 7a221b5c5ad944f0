/*
 * Where every process of windlass begins: what it is, it knows by the name
 * it was called by. gitlab-runner and docker-machine are the programs we
 * take the place of; gitlab-runner-helper is what runs in a job's container;
 * windlass-poller and its like are the roles that the manager starts.
 */
#include <signal.h>

#include "cmd/cmd.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/relro.h"
#include "gitlab/poller.h"
#include "job/executor.h"
#include "job/reporter.h"
#include "machine/operator.h"

static const struct { const char *name; cmd_fn *fn; } roles[] = {
	{ "windlass-poller", poller_main },
	{ "windlass-operator", operator_main },
	{ "windlass-executor", executor_main },
	{ "windlass-reporter", reporter_main },
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

static void
usage(FILE *f, const char *name)
{
	fprintf(f, "Usage: %s COMMAND [OPTION...]\n\n"
	    "windlass takes CI jobs from GitLab, creates cloud machines to run them, and removes\n"
	    "machines that nobody needs. It does the work of gitlab-runner with the docker+machine\n"
	    "executor, and of docker-machine; called by either name it answers as that program.\n\nCommands:\n", name);
	for (size_t i = 0; i < ncommands; i++)
		if (commands[i].help != NULL)
			fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n%s COMMAND --help tells more. Global options, before the command:\n"
	    "  --log-level LEVEL    debug, info, warn, error, fatal or panic [$LOG_LEVEL]\n"
	    "  --log-format FORMAT  runner, text or json [$LOG_FORMAT]\n"
	    "  --debug              the same as --log-level debug\n"
	    "  --version            versions of windlass and of every library in it\n", name);
}

/* Options in front of the command, which upstream takes there; what they say goes on by the environment. */
static int
global_options(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		struct str a = str_from(argv[i]), v = STR_NULL;

		if (str_chr(a, '=') > 0) {
			v = a;
			a = str_cut(&v, '=');
		}
		if (str_eqc(a, "--debug")) {
			setenv("LOG_LEVEL", "debug", 1);
			continue;
		}
		if (!str_eqc(a, "--log-level") && !str_eqc(a, "-l") && !str_eqc(a, "--log-format"))
			return i;
		if (v.p == NULL && i + 1 < argc)
			v = str_from(argv[++i]);
		setenv(str_eqc(a, "--log-format") ? "LOG_FORMAT" : "LOG_LEVEL", v.p != NULL ? v.p : "", 1);
	}
	return i;
}

int
main(int argc, char **argv)
{
	const char *name = base_name(argc > 0 ? argv[0] : "windlass");
	int i;

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
	if (strcmp(name, "docker-machine") == 0)
		return cmd_machine(argc, argv);
	i = global_options(argc, argv);
	early_log();
	if (i >= argc) {
		usage(stdout, name);
		return 0;
	}
	if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
	    strcmp(argv[i], "help") == 0 || strcmp(argv[i], "h") == 0) {
		usage(stdout, name);
		return 0;
	}
	if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-v") == 0) {
		cmd_print_version(stdout);
		return 0;
	}
	for (size_t c = 0; c < ncommands; c++)
		if (strcmp(argv[i], commands[c].name) == 0)
			return commands[c].fn(argc - i, argv + i);
	fprintf(stderr, "FATAL: Command %s not found. `%s --help` lists the commands.\n", argv[i], name);
	return 1;
}
