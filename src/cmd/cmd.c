/* The table of commands, and those too small for a file of their own. */
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/err.h"
#include "core/log.h"
#include "core/opt.h"
#include "manager/manager.h"
#include "versions.h"

const struct command commands[] = {
	{ "run", cmd_run, "take jobs and run them (the service itself)" },
	{ "run-single", cmd_run_single, "run jobs of one runner, one after another, and end" },
	{ "status", cmd_status, "exit status 0 while `run` runs on this host" },
	{ "register", cmd_register, "add a runner to config.toml, confirmed by GitLab" },
	{ "unregister", cmd_unregister, "take runners out of GitLab and of config.toml" },
	{ "verify", cmd_verify, "ask GitLab whether the tokens of config.toml are good" },
	{ "list", cmd_list, "the runners of config.toml" },
	{ "reset-token", cmd_reset_token, "replace a runner's token by a new one" },
	{ "check", cmd_check, "what config.toml means here: refused, traps, without effect; --online asks GitLab and the cloud" },
	{ "lint", cmd_lint, NULL },
	{ "machine", cmd_machine, "create, list, inspect and remove machines by hand (docker-machine's commands)" },
	{ "version", cmd_version, "versions of windlass and of every library in it" },
	{ "debug", cmd_debug, NULL },
};
const size_t ncommands = NELEM(commands);

void
cmd_print_version(FILE *f)
{
	/* The first six lines have gitlab-runner's form: tools parse them (spec gitlab-runner 3.1). */
	fprintf(f, "Version:      %s\n", COMPAT_VERSION);
	fprintf(f, "Git revision: %s\n", WL_REVISION);
	fprintf(f, "Git branch:   windlass-%s\n", WL_VERSION);
	fprintf(f, "GO version:   none\n");
	fprintf(f, "Built:        windlass %s\n", WL_VERSION);
#if defined(__aarch64__)
	fprintf(f, "OS/Arch:      linux/arm64\n");
#else
	fprintf(f, "OS/Arch:      linux/amd64\n");
#endif
	fprintf(f, "windlass %s with %s\n", WL_VERSION, WL_VENDOR_VERSIONS);
}

int
cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	cmd_print_version(stdout);
	return 0;
}

static int
bad_usage(const char *command, const struct err *e)
{
	fprintf(stderr, "FATAL: %s: %s (`windlass %s --help` lists the options)\n", command, e->msg, command);
	return 1;
}

int
cmd_run(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "config", .letter = 'c', .type = OPT_STRING, .env = "CONFIG_FILE", .help = "config.toml (default /etc/gitlab-runner/config.toml for root)" },
		{ .name = "state-dir", .type = OPT_STRING, .env = "WINDLASS_STATE_DIR", .help = "where jobs in progress are kept (default /var/lib/windlass for root)" },
		{ .name = "storage-path", .letter = 's', .type = OPT_STRING, .env = "MACHINE_STORAGE_PATH", .help = "docker-machine's directory of machines (default ~/.docker/machine)" },
		{ .name = "working-directory", .letter = 'd', .type = OPT_STRING, .help = "change to this directory first" },
		{ .name = "service", .letter = 'n', .type = OPT_STRING, .help = "name of the service; accepted, without effect" },
		{ .name = "user", .letter = 'u', .type = OPT_STRING, .help = "accepted, without effect: only the shell executor used it" },
		{ .name = "listen-address", .type = OPT_STRING, .env = "LISTEN_ADDRESS", .help = "metrics server; not served by this version" },
		{ .name = "syslog", .type = OPT_BOOL, .help = "accepted, without effect: the service manager takes stderr" },
		{ .name = "log-level", .letter = 'l', .type = OPT_STRING, .help = "beats log_level of the file" },
		{ .name = "log-format", .type = OPT_STRING, .help = "beats log_format of the file" },
		{ .name = "debug", .type = OPT_BOOL, .help = "the same as --log-level debug" },
		{ .name = "help", .letter = 'h', .type = OPT_BOOL, .help = "this text" },
	};
	struct manager_opts m = { 0 };
	enum log_level level = log_level();
	enum log_format format = log_format();
	const char **words = xcalloc((size_t)argc + 1, sizeof(*words)), *dir, *text;
	struct err e = { 0 };
	size_t nwords;

	if (opt_parse(o, NELEM(o), argc, argv, 0, words, &nwords, &e) < 0)
		return bad_usage("run", &e);
	if (opt_find(o, NELEM(o), "help")->number) {
		printf("Usage: windlass run [OPTION...]\n\nTakes jobs from GitLab and runs them until it is told to stop.\n"
		    "SIGQUIT: finish the running jobs, then end. SIGTERM, SIGINT: abort them, then end. SIGHUP: read config.toml again.\n"
		    "SIGUSR1: list machines and jobs in the log.\n\nOptions:\n");
		opt_help(o, NELEM(o), stdout);
		return 0;
	}
	dir = opt_find(o, NELEM(o), "working-directory")->value;
	if (dir != NULL && chdir(dir) < 0) {
		fprintf(stderr, "FATAL: --working-directory %s: %s\n", dir, strerror(errno));
		return 1;
	}
	m.config_path = opt_find(o, NELEM(o), "config")->value;
	m.state_dir = opt_find(o, NELEM(o), "state-dir")->value;
	m.store = opt_find(o, NELEM(o), "storage-path")->value;
	/* Global options of the command line went into these variables, and either beats the file (spec gitlab-runner 3.1). */
	m.level_given = getenv("LOG_LEVEL") != NULL;
	m.format_given = getenv("LOG_FORMAT") != NULL;
	text = opt_find(o, NELEM(o), "log-level")->value;
	if (opt_find(o, NELEM(o), "debug")->number)
		text = "debug";
	if (text != NULL) {
		m.level_given = true;
		if (log_level_parse(str_from(text), &level) < 0) {
			fprintf(stderr, "FATAL: --log-level %s: it is debug, info, warn, error, fatal or panic\n", text);
			return 1;
		}
	}
	text = opt_find(o, NELEM(o), "log-format")->value;
	if (text != NULL) {
		m.format_given = true;
		if (log_format_parse(str_from(text), &format) < 0) {
			fprintf(stderr, "FATAL: --log-format %s: it is runner, text or json\n", text);
			return 1;
		}
	}
	log_setup(level, format);
	return manager_run(&m);
}

int
cmd_status(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "state-dir", .type = OPT_STRING, .env = "WINDLASS_STATE_DIR", .help = "where jobs in progress are kept (default /var/lib/windlass for root)" },
		{ .name = "service", .letter = 'n', .type = OPT_STRING, .help = "accepted, without effect" },
		{ .name = "help", .letter = 'h', .type = OPT_BOOL, .help = "this text" },
	};
	const char **words = xcalloc((size_t)argc + 1, sizeof(*words));
	struct err e = { 0 };
	size_t nwords;
	char *dir;
	int pid, rc;

	if (opt_parse(o, NELEM(o), argc, argv, 0, words, &nwords, &e) < 0)
		return bad_usage("status", &e);
	if (o[2].number) {
		printf("Usage: windlass status [OPTION...]\n\nExit status 0 while `windlass run` runs on this state directory, 1 when it does not.\n\nOptions:\n");
		opt_help(o, NELEM(o), stdout);
		return 0;
	}
	dir = o[0].value != NULL ? xstrdup(o[0].value) : manager_default_state_dir();
	if (dir == NULL) {
		fprintf(stderr, "gitlab-runner: no home directory: give --state-dir\n");
		return 1;
	}
	rc = manager_running(dir, &pid, &e);
	if (rc == 1) {
		printf("gitlab-runner: Service is running\n");
		return 0;
	}
	if (rc == 0)
		fprintf(stderr, "gitlab-runner: Service has stopped (state directory %s)\n", dir);
	else
		fprintf(stderr, "gitlab-runner: %s\n", e.msg);
	return 1;
}
