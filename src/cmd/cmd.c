/* The table of commands, and those too small for a file of their own. */
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "core/err.h"
#include "core/log.h"
#include "gitlab/api.h"
#include "manager/manager.h"
#include "versions.h"

static const struct opt run_opts[] = {
	OPT_CONFIG,
	OPT_STATE_DIR,
	OPT_STORAGE,
	{ .name = "working-directory", .letter = 'd', .type = OPT_STRING, .arg = "DIR", .help = "change to this directory first" },
	{ .name = "service", .letter = 'n', .type = OPT_STRING, .arg = "NAME", .help = "name of the service; gitlab-runner: ps and killall find it by that name" },
	{ .name = "user", .letter = 'u', .type = OPT_STRING, .arg = "USER", .help = "accepted, without effect: only the shell executor used it" },
	{ .name = "listen-address", .type = OPT_STRING, .arg = "HOST:PORT", .env = "LISTEN_ADDRESS", .help = "where metrics are served; beats listen_address of the file" },
	{ .name = "syslog", .type = OPT_BOOL, .help = "accepted, without effect: the service manager takes stderr" },
	{ .name = "log-level", .letter = 'l', .type = OPT_STRING, .arg = "LEVEL", .help = "beats log_level of the file" },
	{ .name = "log-format", .type = OPT_STRING, .arg = "FORMAT", .help = "beats log_format of the file" },
	{ .name = "debug", .type = OPT_BOOL, .help = "the same as --log-level debug" },
};
static const struct usage run_usage = USAGE("",
    "Takes jobs from GitLab and runs them until it is told to stop. Needs no service manager.\n\n"
    "SIGQUIT: take no more jobs, finish the running ones, then end with status 0.\n"
    "SIGTERM, SIGINT: abort the running jobs, tell GitLab, then end; once more: end at once.\n"
    "SIGUSR2: become the file it was started from as it is now; running jobs go on. After SIGQUIT: end, running jobs go on.\n"
    "SIGHUP: read config.toml again. SIGUSR1: list machines and jobs in the log.\n\n"
    "If it was killed, start it again: jobs and machines did not notice, and it finds them.", run_opts);

static const struct usage version_usage = { .args = "", .about = "Prints the versions of windlass, of the gitlab-runner it answers to be, and of every library in it." };
static const struct usage help_usage = { .args = "[COMMAND]", .about = "Prints the commands, or what one of them does and takes.", .flags = USAGE_RAW };

const struct command commands[] = {
	{ "run", cmd_run, "take jobs and run them (the service itself)", &run_usage },
	{ "run-single", cmd_run_single, "run jobs of one runner, one after another, and end", &cmd_run_single_usage },
	{ "install", cmd_install, "make it a service of this host", &cmd_install_usage },
	{ "uninstall", cmd_uninstall, "take the service off this host; what runs goes on", &cmd_uninstall_usage },
	{ "start", cmd_start, "start the service", &cmd_start_usage },
	{ "stop", cmd_stop, "stop it after its running jobs", &cmd_stop_usage },
	{ "restart", cmd_restart, "restart it at once; running jobs go on", &cmd_restart_usage },
	{ "status", cmd_status, "exit status 0 while it runs on this host", &cmd_status_usage },
	{ "upgrade", cmd_upgrade, "put another version in its place under running jobs", &cmd_upgrade_usage },
	{ "ls", cmd_ls, "the machines and the jobs, as they are now", &cmd_ls_usage },
	{ "top", cmd_top, "the same live, with what was decided last and why", &cmd_top_usage },
	{ "why", cmd_why, "what is waiting and for what; the story of a machine, a job or a runner", &cmd_why_usage },
	{ "register", cmd_register, "add a runner to config.toml, confirmed by GitLab", &cmd_register_usage },
	{ "unregister", cmd_unregister, "take runners out of GitLab and of config.toml", &cmd_unregister_usage },
	{ "verify", cmd_verify, "ask GitLab whether the tokens of config.toml are good", &cmd_verify_usage },
	{ "list", cmd_list, "the runners of config.toml", &cmd_list_usage },
	{ "reset-token", cmd_reset_token, "replace a runner's token by a new one", &cmd_reset_token_usage },
	{ "check", cmd_check, "what config.toml means here: refused, traps, without effect; --online asks GitLab and the cloud", &cmd_check_usage },
	{ "lint", cmd_lint, NULL, &cmd_lint_usage },
	{ "adopt", cmd_adopt, "take over the machines of a gitlab-runner with docker-machine; shows first what it would do", &cmd_adopt_usage },
	{ "simulate", cmd_simulate, "what other settings would have cost, and how long jobs would have waited", &cmd_simulate_usage },
	{ "machine", cmd_machine, "create, list, inspect and remove machines by hand (docker-machine's commands)", &cmd_machine_usage },
	{ "version", cmd_version, "versions of windlass and of every library in it", &version_usage },
	{ "help", cmd_help, "this list, or what a command does and takes", &help_usage },
	{ "h", cmd_help, NULL, &help_usage },
	{ "service-stop", cmd_service_stop, NULL, &cmd_service_stop_usage },
	{ "service-prepare", cmd_service_prepare, NULL, &cmd_service_prepare_usage },
	{ "debug", cmd_debug, NULL, &cmd_debug_usage },
};
const size_t ncommands = NELEM(commands);

const struct opt cmd_globals[] = {
	{ .name = "log-level", .letter = 'l', .type = OPT_STRING, .arg = "LEVEL", .env = "LOG_LEVEL", .help = "debug, info, warn, error, fatal or panic" },
	{ .name = "log-format", .type = OPT_STRING, .arg = "FORMAT", .env = "LOG_FORMAT", .help = "runner, text or json" },
	{ .name = "debug", .type = OPT_BOOL, .help = "the same as --log-level debug" },
	OPT_HELP,
	{ .name = "version", .letter = 'v', .type = OPT_BOOL, .help = "versions of windlass and of every library in it" },
};
const size_t ncmd_globals = NELEM(cmd_globals);

const char *cmd_program = "windlass";

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < ncommands; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

void
cmd_print_version(FILE *f)
{
	if (strncmp(cmd_program, "gitlab-runner", strlen("gitlab-runner")) != 0)
		fprintf(f, "windlass %s (answers as gitlab-runner %s)\n", WL_VERSION, GITLAB_COMPAT_VERSION);
	/* Six lines in gitlab-runner's form: tools look for "Version:" in them, and by its name for nothing else. */
	fprintf(f, "Version:      %s\n", GITLAB_COMPAT_VERSION);
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

int
cmd_run(int argc, char **argv)
{
	struct opt o[NELEM(run_opts)];
	struct manager_opts m = { 0 };
	enum log_level level = log_level();
	enum log_format format = log_format();
	const char *dir, *text, *service;
	int gone = 0;

	if (cmd_options(&run_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	dir = opt_find(o, NELEM(o), "working-directory")->value;
	service = opt_find(o, NELEM(o), "service")->value;
	if (dir != NULL && chdir(dir) < 0) {
		/* A service that was installed from a directory that is gone, or not its user's, has no need of it. */
		if (service == NULL || chdir("/") < 0) {
			fprintf(stderr, "FATAL: --working-directory %s: %s\n", dir, strerror(errno));
			return 1;
		}
		gone = errno;
	}
	m.config_path = opt_find(o, NELEM(o), "config")->value;
	m.state_dir = opt_find(o, NELEM(o), "state-dir")->value;
	m.store = opt_find(o, NELEM(o), "storage-path")->value;
	m.listen_address = opt_find(o, NELEM(o), "listen-address")->value;
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
	/* What check calls an error, run skips; each asks the same function. */
	config_judge_by(check_judge);
	if (gone != 0)
		log_warn("The working directory cannot be entered: going on in /", F_STR("working_directory", dir), F_STR("error", strerror(gone)));
	/* `killall -SIGQUIT gitlab-runner` is in people's scripts and in the original's manual. */
	m.title = strcmp(cmd_program, "gitlab-runner") == 0 || (service != NULL && strcmp(service, "gitlab-runner") == 0) ? "gitlab-runner" : "windlass";
	return manager_run(&m);
}
