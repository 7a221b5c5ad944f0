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

#include "machine/operator.h"

/* What the global options say, and how we were called. */
struct machine_cli {
	const char	*program;	/* "docker-machine" or "windlass machine" */
	const char	*store;
	const char	*tls[4];	/* --tls-ca-cert, --tls-ca-key, --tls-client-cert, --tls-client-key; NULL: the store's */
	bool		 debug;
};

typedef int machine_fn(const struct machine_cli *m, int argc, char **argv);

/* A command's options and words. */
struct machine_args {
	struct opt	*opt;
	size_t		 nopt;
	const char	**words;
	size_t		 nwords;
};

/* Parses; -1 after having said what is wrong. Freed by machine_args_free(). */
int	machine_args(struct machine_args *a, struct opt *opt, size_t nopt, int argc, char **argv);
void	machine_args_free(struct machine_args *a);
/* The names that were given, or "default" if there is such a machine: *words, *n. -1 after a message. */
int	machine_names(const struct machine_cli *m, struct machine_args *a);
/* "machine: reason" on standard error; returns 1. */
int	machine_fail(const struct err *e);
/* docker-machine's words for a machine that is not there. */
void	machine_unknown(const struct machine_cli *m, const char *name, struct err *e);
/* Opens one for looking. */
int	machine_look(const struct machine_cli *m, struct operation *op, const char *name, struct err *e);

machine_fn machine_ls, machine_create, machine_config, machine_env, machine_inspect;

#endif
