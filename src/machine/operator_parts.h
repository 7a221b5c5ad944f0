/*
 * Private to operator.c and its parts: what the process was told, and what it keeps of root. Not
 * for others: see operator.h.
 */
#ifndef MACHINE_OPERATOR_PARTS_H
#define MACHINE_OPERATOR_PARTS_H

#include <sys/types.h>

#include "machine/operation_parts.h"

#define OPERATOR_PLAN_MAX	(1u << 20)

struct operator_args {
	const char	*store, *name, *act, *owner, *reason;
	int64_t		 plan_fd, limit_s, grace_s;
	int		 control;	/* -1: nobody is told */
	struct chan_talk *talk;	/* over it */
};

/* operator_plan.c */
/*
 * Arguments of argv; a value that was not given is as operator.h says. -1 (ERR_CONFIG) with a
 * usage line.
 */
int	operator_args(struct operator_args *a, int argc, char **argv, struct err *e);
/*
 * The manager's plan; what counts of it also for a machine that exists already is taken at once.
 * Absent (an operator started by hand): JSON_NONE. -1: it is not one.
 */
int	operator_plan_take(struct operation *op, const struct operator_args *args,
	    struct json_val *root, struct err *e);
/* Strings of a list in the plan, in the arena; *n of them. */
const char **operator_plan_list(struct json_val root, const char *key, struct arena *a, size_t *n);
/*
 * The machine, or the account, that the plan's driver and options describe, in op's arena.
 * hash[17]: of these options. -1: none can be.
 */
int	operator_plan_host(struct operation *op, struct json_val root,
	    struct machine_host *h, char hash[17], struct err *e);
/*
 * Makes a machine's directory by the plan. -1, ERR_NOTFOUND: there is no plan; else as
 * operation_plan().
 */
int	operator_plan_machine(struct operation *op, const struct operator_args *args,
	    struct json_val root, struct err *e);
/*
 * Before the process confines itself: for a host that is there already and for which no key is
 * named, the agent and ~/.ssh are where its keys are, and neither can be reached afterwards.
 */
int	operator_plan_keys(struct operation *op, struct json_val plan, struct err *e);

/* operator_keep.c */
/*
 * Hands the store's directories over and opens the files that only root may. Who the process is
 * from here on: 0 when something would not be handed over.
 */
uid_t	operator_take_store(const struct operator_args *args, struct arena *a, struct json_val plan);

#endif
