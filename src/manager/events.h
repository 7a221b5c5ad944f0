/*
 * What the manager decided and what came of it, so that somebody can ask
 * later why a machine was made, why it went, what a job waited for.
 *
 * Each event is one JSON object on a line of its own: kept in memory for a
 * while, counted by reason (manager/metrics.h), and appended to events.jsonl in the state
 * directory (books/events.h), which is turned over at EVENTS_FILE_MAX and so
 * bounded, and which outlives the manager. It is written once a round, not
 * fsync'd: a power failure costs the last seconds of a story, no machine and
 * no job. A full disk costs what the ring in memory cannot hold until there is room again.
 *
 * Texts may quote what a cloud or GitLab said. Never put a secret into one.
 */
#ifndef MANAGER_EVENTS_H
#define MANAGER_EVENTS_H

#include "books/events.h"
#include "manager/model.h"

#define EVENTS_RING	64

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
/* The newest `most` lines from memory, oldest first, for SIGUSR1. */
void	events_each(const struct manager *m, size_t most, void (*each)(void *ctx, struct str line), void *ctx);

#endif
