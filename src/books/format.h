/*
 * Which version of windlass may run which state. The formats of docs/state.md
 * only ever grow, so one number says it all: `format` in the state directory,
 * and "v" in the records that other processes write. It goes up when an older
 * binary would read something wrongly, and that one then says so and stays
 * away, before it touches anything.
 */
#ifndef BOOKS_FORMAT_H
#define BOOKS_FORMAT_H

#include "core/err.h"

/* What this binary writes, and the newest that it reads. A directory without the file is of format 1. */
#define STATE_FORMAT	1

/* For the manager, under its lock: writes the file where there is none. -1 (ERR_CONFIG) when the format is a newer one. */
int	format_take(int state_fd, struct err *e);

struct state_counts {
	int	jobs;		/* directories of jobs */
	int	running;	/* of them, with a living executor */
	int	reporting;	/* with a living reporter */
	int	machines;	/* in the store */
};

/*
 * Whether this binary could run these two directories, and what is in them. Changes nothing, takes no lock, and a
 * directory that does not exist yet is an empty one. What cannot be read at all is no objection, since
 * the manager leaves it alone. 0, or -1 with the file that is too new.
 */
int	format_fits(const char *state_dir, const char *store, struct state_counts *n, struct err *e);

#endif
