/*
 * `windlass machine ...`, which is docker-machine: its commands, options,
 * output and exit statuses (spec machines 4.6 to 4.9), on its store.
 *
 * What it says of its work goes to standard output, errors go to standard
 * error; scripts and gitlab-runner read the one and take the other for failure. Exit
 * status 0, 1, or 3 when the pre-create check failed.
 */
#ifndef CMD_MACHINE_H
#define CMD_MACHINE_H

#include "cmd/cmd.h"
#include "machine/operation.h"

/* What the global options say, and how we were called. */
struct machine_cli {
	const char	*program;	/* "docker-machine" or "windlass machine" */
	const char	*store;
	const char	*tls[4];	/* --tls-ca-cert, --tls-ca-key, --tls-client-cert, --tls-client-key; NULL: the store's */
	bool		 debug;
};

typedef int machine_fn(const struct machine_cli *m, int argc, char **argv);

/* One row a command; like struct command of cmd.h. */
struct machine_command {
	const char	*name;
	machine_fn	*fn;
	const char	*help;		/* one line; NULL: not shown */
	const struct usage *usage;
};

extern const struct machine_command machine_commands[];
extern const size_t nmachine_commands;
/* Options in front of the command. */
extern const struct opt machine_globals[];
extern const size_t nmachine_globals;

/* A command's options and words. */
struct machine_args {
	struct opt	*opt;
	size_t		 nopt;
	const char	**words;
	size_t		 nwords;
};

/* Parses into opt[], which has room for the usage's options; -1 after having said what is wrong. Freed by machine_args_free(). */
int	machine_args(const struct machine_cli *m, struct machine_args *a, const struct usage *u, struct opt *opt, int argc, char **argv);
void	machine_args_free(struct machine_args *a);
/* The names that were given, or "default" if there is such a machine: *words, *n. -1 after a message. */
int	machine_names(const struct machine_cli *m, struct machine_args *a);
/* "machine: reason" on standard error; returns 1. */
int	machine_fail(const struct err *e);
/* docker-machine's words for a machine that is not there. */
void	machine_unknown(const struct machine_cli *m, const char *name, struct err *e);
/* Opens one for looking. */
int	machine_look(const struct machine_cli *m, struct operation *op, const char *name, struct err *e);
/* Opens one for changing it, under its lock. */
int	machine_take(const struct machine_cli *m, struct operation *op, const char *name, struct err *e);
/* What is done to it is said on standard output. */
void	machine_speak(struct operation *op);
/* Asks on standard output; no answer is no. */
bool	machine_confirmed(void);

machine_fn machine_ls, machine_create, machine_config, machine_env, machine_inspect, machine_rm;
extern const struct usage machine_ls_usage, machine_config_usage, machine_env_usage, machine_inspect_usage, machine_rm_usage;

#endif
