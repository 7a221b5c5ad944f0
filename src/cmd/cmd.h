/*
 * The commands: one table (cmd.c). Dispatch, --help, the manual pages
 * (docs/man) and the completions of the shells are made from it.
 *
 * A new command is a row of the table and, beside its function, a struct
 * usage that holds its options and what is to be said of it:
 *
 *	static const struct opt opts[] = {
 *		OPT_CONFIG,
 *		{ .name = "follow", .letter = 'f', .type = OPT_BOOL, .help = "go on until interrupted" },
 *	};
 *	const struct usage cmd_top_usage = USAGE("", "Shows the machines. Exit status 1 when ...", opts);
 *
 *	int
 *	cmd_top(int argc, char **argv)
 *	{
 *		struct opt o[NELEM(opts)];
 *
 *		if (cmd_options(&cmd_top_usage, o, argc, argv, NULL, NULL) < 0)
 *			return 1;
 *
 * --help is nobody's option: whoever dispatches answers it before the
 * function is called.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "core/opt.h"

/*
 * argv[0] is the command's own name; returns the exit status.
 */
typedef int cmd_fn(int argc, char **argv);

enum usage_flags {
	USAGE_KEYS = 1,		/* also an option for each key of a runner's entry (runnerflags.h) */
	USAGE_DRIVERS = 2,	/* also the options of the machine drivers (machine/options.h) */
	USAGE_RAW = 4,		/* what follows is another program's, --help too */
	USAGE_OWN_HELP = 8,	/* it has commands of its own, and answers --help itself */
};

struct usage {
	const char	*args;		/* its words: "[MACHINE...]"; "": none */
	const char	*about;		/* whole sentences, "\n\n" between paragraphs (wrapped by opt_text()); the exit status, where it tells something */
	const struct opt *opt;
	size_t		 nopt;
	unsigned	 flags;
};
#define USAGE(args_, about_, opts_) { .args = (args_), .about = (about_), .opt = (opts_), .nopt = NELEM(opts_) }

struct command {
	const char	*name;
	cmd_fn		*fn;
	const char	*help;		/* one line; NULL: not shown (roles, old spellings) */
	const struct usage *usage;
};

extern const struct command commands[];
extern const size_t ncommands;
/* Options in front of the command. */
extern const struct opt cmd_globals[];
extern const size_t ncmd_globals;

cmd_fn cmd_run, cmd_status, cmd_machine, cmd_version, cmd_debug, cmd_help;
cmd_fn cmd_install, cmd_uninstall, cmd_start, cmd_stop, cmd_restart, cmd_upgrade, cmd_service_stop, cmd_service_prepare;
cmd_fn cmd_register, cmd_unregister, cmd_verify, cmd_list, cmd_reset_token, cmd_check, cmd_lint, cmd_run_single, cmd_adopt,
    cmd_simulate;
extern const struct usage cmd_register_usage, cmd_unregister_usage, cmd_verify_usage, cmd_list_usage, cmd_reset_token_usage,
    cmd_check_usage, cmd_lint_usage, cmd_run_single_usage, cmd_adopt_usage, cmd_machine_usage, cmd_debug_usage, cmd_simulate_usage,
    cmd_install_usage, cmd_uninstall_usage, cmd_start_usage, cmd_stop_usage, cmd_restart_usage, cmd_status_usage, cmd_upgrade_usage,
    cmd_service_stop_usage, cmd_service_prepare_usage;

cmd_fn cmd_ls, cmd_top, cmd_why;
extern const struct usage cmd_ls_usage, cmd_top_usage, cmd_why_usage;

/* For tables of options. */
#define OPT_CONFIG	{ .name = "config", .letter = 'c', .type = OPT_STRING, .arg = "FILE", .env = "CONFIG_FILE", \
	.help = "config.toml (default /etc/gitlab-runner/config.toml for root)" }
#define OPT_STATE_DIR	{ .name = "state-dir", .type = OPT_STRING, .arg = "DIR", .env = "WINDLASS_STATE_DIR", \
	.help = "where jobs in progress are kept (default /var/lib/windlass for root)" }
#define OPT_STORAGE	{ .name = "storage-path", .letter = 's', .type = OPT_STRING, .arg = "DIR", .env = "MACHINE_STORAGE_PATH", \
	.help = "docker-machine's directory of machines (default ~/.docker/machine)" }
/* The row that --help shows for itself. */
#define OPT_HELP	{ .name = "help", .letter = 'h', .type = OPT_BOOL, .help = "this text" }

/* The name that we were called by: windlass, gitlab-runner, ... Set by main(). */
extern const char *cmd_program;

/* By name; NULL. */
const struct command *command_find(const char *name);
/*
 * Parses into o[], which has room for the usage's options and is filled from it. words (room for argc) may
 * be NULL for a command that takes none. -1 when they are wrong, which then was said.
 */
int	cmd_options(const struct usage *u, struct opt *o, int argc, char **argv, const char **words, size_t *nwords);
/* "FATAL: command: why (`windlass command --help` lists the options)" on standard error; returns 1. */
int	cmd_bad_usage(const char *command, const struct err *e);
/* What is said to a command that there is not; returns 1. */
int	cmd_unknown(const char *name);
/* Whether --help stands among a command's options. */
bool	cmd_asks_help(const struct usage *u, int argc, char **argv);
/* "Usage: PROGRAM NAME ...", what it is about, its options. */
void	cmd_print_usage(const char *program, const char *name, const struct usage *u, FILE *f);
/* The commands, one a line, and the options in front of them. */
void	cmd_print_commands(FILE *f);

/* The role windlass-metrics (cmd/metrics.c). */
cmd_fn	metrics_main;

/*
 * The versions of windlass and of everything linked into it, as --version prints them: first windlass's own, then gitlab-runner's lines.
 * Called by the name gitlab-runner, those alone come first, as they do there.
 */
void	cmd_print_version(FILE *f);

#endif
