/*
 * The containers of a job, its volumes and its network on the machine: made,
 * remembered in stage.json, removed at the end. Each call may be made twice:
 * names are the job's own, and what exists under them is ours.
 */
#ifndef JOB_CONTAINERS_H
#define JOB_CONTAINERS_H

#include "job/container.h"
#include "job/stream.h"
#include "wire/json.h"

struct run;

struct container {
	enum container_kind kind;
	const char	*name;		/* on the engine, the job's own */
	char		 id[80];	/* "": not created */
	char		 image[256];	/* what it is made from; "": not known yet */
	/* What of its two streams is in the trace already, stdout's first. */
	struct taken	 taken[2];
	int64_t		 together;	/* the bytes of both */
	/*
	 * Of a version before, which put its script into a file, marked nothing and counted both
	 * streams together.
	 */
	bool		 legacy;
	struct passage	 passage;	/* of its current run */
	struct json_val	 later;		/* CONTAINER_OTHER: as it stood in stage.json */
};

struct containers {
	struct container *v;
	size_t		 n;
};

/*
 * Gives the job the containers that every job has, beside what was remembered of them. Once, when
 * its names are known.
 */
void	containers_plan(struct run *r);
/* The one of that kind. */
struct container *container_of(struct run *r, enum container_kind kind);
/* The same of what was remembered; NULL: nothing was. */
struct container *containers_find(const struct containers *cs, enum container_kind kind);
/*
 * The kind's word in stage.json, and the kind of a word: CONTAINER_OTHER for one of a newer
 * version.
 */
const char *container_word(enum container_kind kind);
enum container_kind container_kind_of(struct str word);

/* Removes what other jobs left on the machine. 0 or -1. */
int	containers_sweep(struct run *r, struct err *e);
int	containers_make_network(struct run *r, struct err *e);
int	containers_make_volumes(struct run *r, struct err *e);
/* Creates a container and puts its id into memory. 0, or -1 with r->failure. */
int	container_make(struct run *r, struct container *c, struct err *e);
/* Nothing was taken of it, or run in it, yet. */
void	container_is_new(struct container *c);
/*
 * The build container, made while a stage of the helper runs, if its image is there: its failure is
 * left to whoever needs it.
 */
void	container_make_ahead(struct run *r);
/*
 * Removes the job's containers, temporary volumes and network; r->dirty when something may be left.
 */
void	containers_tidy(struct run *r);

#endif
