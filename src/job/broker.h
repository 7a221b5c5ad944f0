/*
 * The broker: a child of the executor that runs credential helpers (docker-credential-NAME of the host) for it.
 *
 * The executor reads what images, registries and engines say, and is confined to less than a program needs. So before it is,
 * and before it has read a byte of theirs, it starts this process and tells it which helpers may be asked for which servers:
 * what the runner's own configuration names, and of the job's only what the runner allows. The broker takes two words and answers with a helper's output;
 * two words that are not in its table it refuses. It ends with its executor. An executor that needs no helper has no broker.
 */
#ifndef JOB_BROKER_H
#define JOB_BROKER_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"

#define BROKER_PAIRS	64
#define BROKER_ANSWER	(64u << 10)

struct broker_pairs {
	struct { const char *helper, *server; } v[BROKER_PAIRS];
	size_t n;
};

int	broker_main(int argc, char **argv);

/* Adds a pair once; one too many, or a name that is no program's, is left out. */
void	broker_allow(struct broker_pairs *p, struct arena *a, struct str helper, struct str server);
/* Starts it for these pairs; does nothing for none. 0 or -1. */
int	broker_start(const struct broker_pairs *p, struct err *e);
/* To be called in a child of the executor that asks too: its questions and answers are not the parent's. */
void	broker_other_voice(void);
/* What the helper says of the server, appended to out (max at least BROKER_ANSWER): 0, or -1 when there is no answer. */
int	broker_ask(struct str helper, struct str server, struct buf *out);

#endif
