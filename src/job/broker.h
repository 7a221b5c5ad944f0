/*
 * The broker: a child of the executor that runs credential helpers (docker-credential-NAME of the
 * host) for the job's pullers.
 *
 * An executor and its pullers read what images, registries and engines say, and are confined to
 * less than a program needs. So before they are, and before they have read a byte of theirs, the
 * executor starts this process and tells it which helpers may be asked for which servers: what the
 * runner's own configuration names, and of the job's only what the runner allows. The broker takes
 * records of two words and answers with a helper's output; two words that are not in its table it
 * refuses. Each puller has a voice of its own, so none hears another one's answers; the questions
 * of several are answered one after another. It ends when nobody is left who could ask. An executor
 * that needs no helper has no broker.
 */
#ifndef JOB_BROKER_H
#define JOB_BROKER_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "wire/record.h"

#define BROKER_PAIRS	RECORD_LIST_MAX
#define BROKER_ANSWER	(64u << 10)

struct broker_pairs {
	struct broker_pair { struct str helper, server; } v[BROKER_PAIRS];
	size_t n;
};

/* Who asks: each by a voice of its own. fd 0: there is no broker, and nobody answers. */
struct broker {
	int	 fd;
	int64_t	 asked;		/* number of the last question */
};

#define BROKER_VOICES	8

int	broker_main(int argc, char **argv);

/* Adds a pair once, copied into the arena; one too many, or no program's name, is left out. */
void	broker_allow(struct broker_pairs *p, struct arena *a, struct str helper, struct str server);
/*
 * Starts it for these pairs, with n voices, at most BROKER_VOICES; does nothing for no pair. Each
 * voice is its user's to close. 0, or -1 with no voice open.
 */
int	broker_start(const struct broker_pairs *p, struct broker *voices, size_t n, struct err *e);
/*
 * What the helper says of the server, appended to out (max at least BROKER_ANSWER): 0, or -1 when
 * there is no answer. A helper gets 10 seconds, and those that others have asked for come first.
 */
int	broker_ask(struct broker *b, struct str helper, struct str server, struct buf *out);

#endif
