/*
 * What the manager decided and what came of it, so that somebody can ask
 * later why a machine was made, why it went, what a job waited for.
 *
 * Each event is one JSON object on a line of its own: kept in memory for a
 * while, counted by reason (manager/metrics.h), and appended to events.jsonl in the state
 * directory (docs/state.md), which is turned over at EVENTS_FILE_MAX and so
 * bounded, and which outlives the manager. It is written once a round, not
 * fsync'd: a power failure costs the last seconds of a story, no machine and
 * no job. A full disk costs what the ring in memory cannot hold until there is room again.
 *
 * Texts may quote what a cloud or GitLab said. Never put a secret into one.
 */
#ifndef MANAGER_EVENTS_H
#define MANAGER_EVENTS_H

#include "manager/model.h"

#define EVENTS_FILE	"events.jsonl"
#define EVENTS_FILE_OLD	"events.1.jsonl"
#define EVENTS_FILE_MAX	(2u << 20)	/* each of the two */
#define EVENTS_RING	64

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

/* Once, when the state directory is open. */
void	events_open(struct manager *m);
void	events_close(struct manager *m);
/* What an event is about, each NULL or not; without a pool the machine's or the job's is meant. */
struct event_of {
	struct pool	*pool;
	struct machine	*machine;
	struct job	*job;
};
#define ABOUT(...)	(&(const struct event_of){ __VA_ARGS__ })
#define ABOUT_ALL	NULL

/*
 * Tells of an event: ABOUT(.machine = mc). reason is one word of a small set (scale_why_word(), an
 * enum's name): it becomes the label of a metric. The text is a sentence without the nouns that the
 * other members name.
 */
void	event_note(struct manager *m, enum event_kind kind, const struct event_of *of,
	    const char *reason, const char *fmt, ...) PRINTFLIKE(5, 6);
/* At the end of a round: what is not in the file yet goes there. */
void	events_flush(struct manager *m);
const char	*event_kind_name(enum event_kind kind);
/* The newest `most` lines from memory, oldest first, for SIGUSR1. */
void	events_each(const struct manager *m, size_t most, void (*each)(void *ctx, struct str line), void *ctx);

#endif
