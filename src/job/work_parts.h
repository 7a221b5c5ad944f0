/*
 * Private to work.c and its parts. Not for others: see work.h.
 */
#ifndef JOB_WORK_PARTS_H
#define JOB_WORK_PARTS_H

#include "job/work.h"

/* A line in w->warnings. */
void	work_warn(struct work *w, const char *fmt, ...) PRINTFLIKE(2, 3);
/* Sets w->fault, unless something else forbids the job already. */
void	work_fault(struct work *w, const char *fmt, ...) PRINTFLIKE(2, 3);
/* A value for a warning: quoted, cut. Into the arena. */
char	*work_quoted(const struct work *w, struct str value);

/* work_vars.c */
/* Fills w->vars in the order of spec job-execution 5.6, unexpanded; directories not known yet are empty. */
void	work_vars_collect(struct work *w, int64_t concurrent_id);
/* The value of a variable with what it refers to, while the list is still unexpanded. */
struct str work_vars_peek(const struct work *w, const char *key);
/* Directories are known now: puts them in and expands everything. */
void	work_vars_finish(struct work *w);
/* Replaces the value of every entry of that name. */
void	work_vars_set(struct work *w, const char *key, struct str value);

/* work_flags.c */
/* Adds an entry for each flag, with its default. First of all variables. */
void	work_flags_collect(struct work *w);
/* Whether this name is a feature flag of the table. */
bool	work_flags_known(struct str name);
/* Decides each flag and sets its variable. The job's own variables are in w->vars, apart from those named like flags. */
void	work_flags_decide(struct work *w);

#endif
