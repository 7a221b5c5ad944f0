/*
 * The puller: a child of the executor that makes images present on the machine's engine while the
 * job's sources are fetched.
 *
 * It reads what registries say through the engine, and knows no more than that takes: the engine's
 * address and certificates from its start on, and with each order one image, the policies that
 * count for it and the credentials that are for it. It knows neither the job's token nor its
 * variables. It is started before the executor confines itself, since nobody can start a program
 * after that, and confines itself in the same way.
 *
 * A puller carries out one order after another; as many are started as shall pull side by side, at
 * most PULLERS_MAX, each with a broker's voice of its own. An
 * order ends the one before it, the end of its executor ends the puller. What it says (records,
 * wire/record.h) bears the number of the order, so what was said of an earlier one is not taken
 * for the last one's.
 */
#ifndef JOB_PULLER_H
#define JOB_PULLER_H

#include <sys/types.h>

#include "docker/engine.h"
#include "job/image.h"

#define PULLERS_MAX	BROKER_VOICES

int	puller_main(int argc, char **argv);

/* What a puller knows from its start on. */
struct puller_plan {
	struct engine_opts engine;
	const char	*job;		/* the number, for the log */
	uid_t		 user;		/* whom it shall be, see identity_take() */
	bool		 dns;		/* the engine's host is a name */
};
/* The plan as a sealed memory file for the puller's descriptor 3. -1: *e. */
int	puller_plan(const struct puller_plan *p, struct err *e);

enum puller_state { PULLER_IDLE, PULLER_ON, PULLER_DONE, PULLER_FAILED };

/* The executor's end. fd 0: there is no puller. */
struct puller {
	int		 fd;
	int64_t		 number;		/* of the last order */
	enum puller_state state;		/* what became of it */
	enum failure	 failure;		/* PULLER_FAILED: its class */
	struct err	 error;			/* PULLER_FAILED */
	char		 packet[4096];		/* the last word */
};

/* Starts it; the voice of the broker (fd 0: none) is its own from then on. 0 or -1. */
int	puller_start(struct puller *p, const struct puller_plan *plan, struct broker *voice,
	    struct err *e);
/*
 * Orders an image in place of what was ordered before. A lost engine is tried again until
 * `patience` has passed or the deadline has come. -1: the puller is no more.
 */
int	puller_order(struct puller *p, const struct image_order *o, dur_t patience, mono_t deadline,
	    struct err *e);

/* What a puller says of its last order. */
enum puller_word {
	PULLER_SAYS,		/* a line for the job's log */
	PULLER_WARNS,		/* the same, as a warning */
	PULLER_LOST,		/* why the engine was lost: it is tried again a little later */
	PULLER_HAS,		/* the end: what containers are made from, PULLER_DONE */
	PULLER_FAILS,		/* the end: see failure and error, PULLER_FAILED */
	PULLER_NWORDS
};
/*
 * Takes one word that is there: 1 with the word and its text (valid until the next call), 0 none
 * is there now, -1 the puller is gone or broke the rules (an order that was under way has failed).
 */
int	puller_hear(struct puller *p, enum puller_word *word, struct str *text);
/* Closes the executor's end: the puller ends. */
void	puller_end(struct puller *p);

#endif
