/*
 * The record of what was: one line for each finished job and for each
 * turn in a machine's life, appended to history.jsonl of the state directory by the manager alone. It is for people
 * and for `windlass simulate`; the manager itself never reads it, and nothing depends on it.
 *
 * So it never holds anything up: a line is one write(2) without fsync, and what cannot be written is lost, with one
 * warning in the log. A process killed at any point leaves whole lines; a host that loses power may leave a torn one,
 * which readers skip. At HISTORY_MAX the file becomes history.1.jsonl in place of the one before: the two together are
 * all the room it takes.
 *
 * A job may stand there twice, when a manager died between writing its line and forgetting the job: history_load()
 * keeps one.
 */
#ifndef BOOKS_HISTORY_H
#define BOOKS_HISTORY_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/str.h"

#define HISTORY_FILE	"history.jsonl"
#define HISTORY_OLD	"history.1.jsonl"
#define HISTORY_MAX	(16u << 20)	/* bytes of one file: some 50,000 jobs */
#define HISTORY_LINE	4096		/* bytes of one line */

enum history_what {
	HISTORY_JOB,		/* it ended */
	HISTORY_READY,		/* a machine was made */
	HISTORY_FAILED,		/* a creation failed */
	HISTORY_GONE,		/* a machine was removed */
};

/* Times are WALL_UNKNOWN and strings "" where there is nothing to say. */
struct history_record {
	enum history_what	 what;
	struct str		 name;		/* the job's id, the machine's name */
	struct str		 runner;	/* whose pool: the runner's key (runner.json's runner_key) */
	struct str		 driver;	/* machines */
	wall_t			 at;		/* the job's end; ready, failed or gone */
	/* of a job */
	wall_t			 queued;	/* when it began to wait in GitLab, as GitLab says */
	wall_t			 arrived;	/* when we got it */
	wall_t			 started;	/* when it had its machine; WALL_UNKNOWN: never */
	struct str		 machine;
	struct str		 result;	/* success, failed */
	/* of both */
	wall_t			 made;		/* when that machine was asked for */
	int64_t			 uses;		/* jobs the machine was given so far */
	struct str		 reason;	/* of the failure, of the removal */
};

/* One line, with its newline. */
void	history_print(const struct history_record *r, struct buf *b);
/* Strings are in the arena or views into line. -1: torn, or something that we do not know. */
int	history_parse(struct arena *a, struct str line, struct history_record *r);
/* Appends; `max` is HISTORY_MAX but in tests. */
int	history_append(int dirfd, const struct history_record *r, size_t max, struct err *e);

struct history_log {
	struct history_record	*v;		/* in the order of the file */
	size_t			 n;
	size_t			 skipped;	/* lines that were torn or of an unknown kind */
	struct arena		 arena;
};

/* Adds the lines of a text. Strings are copied. */
void	history_add(struct history_log *l, struct str text);
/* Once all is added: of twins one stays, the first. */
void	history_settle(struct history_log *l);
/* Both files of a state directory. -1: ERR_NOTFOUND when there is no record yet. */
int	history_load(int dirfd, struct history_log *l, struct err *e);
void	history_free(struct history_log *l);

#endif
