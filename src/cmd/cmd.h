/*
 * The commands: one table (cmd.c) from which dispatch and --help are made.
 * argv[0] of a command function is the command's own name; it returns the exit status.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "core/core.h"

typedef int cmd_fn(int argc, char **argv);

struct command {
	const char	*name;
	cmd_fn		*fn;
	const char	*help;		/* one line; NULL: not shown (roles, old spellings) */
};

extern const struct command commands[];
extern const size_t ncommands;

cmd_fn cmd_run, cmd_status, cmd_machine, cmd_version, cmd_debug;
cmd_fn cmd_register, cmd_unregister, cmd_verify, cmd_list, cmd_reset_token, cmd_check, cmd_lint, cmd_run_single;

/* The versions of windlass and of everything linked into it, as --version prints them. */
void	cmd_print_version(FILE *f);

/* The version of gitlab-runner that we answer to be: API, helper image tags, logs. */
#define COMPAT_VERSION	"19.4.0"

#endif
