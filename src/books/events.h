/*
 * events.jsonl in the state directory: what the manager decided and what came of it, one JSON object a line, oldest
 * first (docs/state.md). The manager alone writes it (manager/events.h); `top` and `why` read it.
 *
 * Past EVENTS_FILE_MAX the file becomes EVENTS_FILE_OLD in place of the one before. The last line may be torn.
 */
#ifndef BOOKS_EVENTS_H
#define BOOKS_EVENTS_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/mono.h"
#include "wire/json.h"

#define EVENTS_FILE	"events.jsonl"
#define EVENTS_FILE_OLD	"events.1.jsonl"
#define EVENTS_FILE_MAX	(2u << 20)	/* bytes of each of the two */

enum event_kind {
	EVENT_CREATE,		/* a machine is to be made */
	EVENT_PHASE,		/* it has come further; the reason is the phase */
	EVENT_READY,
	EVENT_CREATE_FAILED,
	EVENT_REMOVE,		/* a machine is to go */
	EVENT_REMOVED,
	EVENT_REMOVE_FAILED,
	EVENT_STUCK,		/* put aside: it could not be removed again and again */
	EVENT_MACHINE,		/* anything else that befell a machine */
	EVENT_ARRIVED,		/* a job */
	EVENT_WAITING,		/* what a job waits for, when that changes */
	EVENT_ASSIGN,		/* a job is given a machine */
	EVENT_BACK,		/* and gives it back without having run */
	EVENT_ENDED,		/* a job has a result; the reason is "success" or its failure reason */
	EVENT_DONE,		/* and GitLab has it, or does not want it */
	EVENT_HELD,		/* fewer machines are made than are wanted */
	EVENT_GITLAB,		/* a request for jobs failed, a runner is refused, or both are over */
	EVENT_MANAGER,		/* start, reload, stop */
	EVENT_NKINDS
};

/* The kind's word in the file. */
const char	*event_kind_name(enum event_kind kind);

/* Texts are "" where there is nothing to say. The kind is a word, since a newer version may have others. */
struct event_record {
	wall_t		 at;
	const char	*kind, *pool, *machine, *job, *reason, *text;
};

/* The record as an object: of its own, or the next one of an array. */
void	event_put(struct json_w *w, const struct event_record *r);
/* 0 with texts in the arena; -1: torn, or of a form that we do not know. */
int	event_parse(struct arena *a, struct str line, struct event_record *r);

/*
 * The events of both files, oldest first, that `want` (NULL: all) is true for; of those at most the newest
 * `most`. Lines that are torn or of a newer kind are passed over. The array and its texts live in the arena.
 */
size_t	events_read(struct arena *a, const char *state_dir, bool (*want)(void *ctx, const struct event_record *r), void *ctx,
	    size_t most, struct event_record **events);

#endif
