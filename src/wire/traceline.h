/*
 * From masked output to the trace as GitLab gets it (spec gitlab-runner 6.1
 * to 6.5): repair of UTF-8, timestamps, the output limit, and the forms of
 * the lines that the runner writes itself.
 *
 *	stream (one for each id and kind)                  sink (one a job)
 *	  mask -> UTF-8 repair -> lines with timestamps -->  limit -> out
 *
 * No clock is read: the time of all bytes comes from the caller, for a
 * container's output out of the engine's log. So a process that reads the
 * same log entries again, from a checkpoint on, makes the same trace byte
 * for byte. What comes out depends on the bytes, the entries' times and where
 * entries end, and never on the pieces in which an entry is fed.
 *
 * With timestamps a line is
 *
 *	2026-03-01T08:15:30.123456Z 01O text
 *
 * a header of 32 bytes (the time of the line's first byte; the stream's id
 * and kind; ' ', or '+' when the line continues the stream's last one) and
 * the text. A line that grows above 8 KiB with its header is cut, at a whole
 * character, and goes on in a '+' line. At the end of an entry that held a
 * '\r' behind its last '\n' the unfinished line is written at once and goes
 * on likewise: progress bars stay alive. Without timestamps the text passes
 * as it is.
 *
 * Bytes that are no UTF-8 become U+FFFD, one for each byte; a character that
 * comes in two pieces survives.
 *
 * The limit: what reaches it is cut at a whole character, a notice follows,
 * and the job's further output is dropped. Lines of the runner still get
 * through, whole, up to TL_RESERVE bytes beyond limit and notice, half of
 * them kept for TL_FINAL: how the job ended must be readable.
 */
#ifndef WIRE_TRACELINE_H
#define WIRE_TRACELINE_H

#include "core/buf.h"
#include "core/mono.h"
#include "wire/mask.h"

#define TL_HEADER	32
#define TL_HOLD		8192			/* a line with its header */
#define TL_RESERVE	8192
#define TL_LIMIT_DEFAULT (UINT64_C(4) << 20)	/* output_limit 0 or unset */

enum tl_class { TL_JOB, TL_RUNNER, TL_FINAL };
enum { TL_ID_RUNNER = 0x00, TL_ID_SCRIPT = 0x01, TL_ID_SERVICE = 0x0f };	/* further services count up */

struct tl_sink {
	struct buf	*out;		/* appended to; the caller empties it */
	uint64_t	 limit;		/* bytes */
	uint64_t	 written;	/* bytes put into out since the trace began, notice included */
	bool		 timestamps;
	/* private */
	bool		 over;		/* the notice is written */
	uint64_t	 extra;		/* bytes written since */
	int64_t		 second;	/* that stamp is of */
	char		 stamp[20];	/* "2026-03-01T08:15:30." */
	struct buf	 masked;	/* between mask and lines; empty between calls */
};

struct tl_stream {
	uint8_t		 id;
	char		 kind;		/* 'O' or 'E' */
	enum tl_class	 class;		/* may be set to TL_FINAL for the last lines */
	struct mask_stream mask;
	/* private */
	uint64_t	 fed;		/* bytes of time fed_at since it last changed */
	wall_t		 fed_at;
	wall_t		 held_at;	/* of the oldest byte the mask holds back */
	uint8_t		 part[4];	/* the start of a character */
	uint8_t		 npart;
	wall_t		 part_at;	/* of its first byte */
	struct buf	 line;		/* the unfinished line's text */
	wall_t		 begun;		/* of its first byte */
	bool		 timed;		/* begun is set */
	bool		 plus;		/* the next header says '+' */
	bool		 cr;		/* '\r' seen behind the last '\n' of this entry */
};

/* limit_bytes 0 means TL_LIMIT_DEFAULT. The sink owns some memory: tl_sink_free(). */
void	tl_sink_init(struct tl_sink *k, struct buf *out, uint64_t limit_bytes, bool timestamps);
void	tl_sink_free(struct tl_sink *k);

/* kind: 'O' for stdout, 'E' for stderr. The set must outlive the stream. */
void	tl_init(struct tl_stream *s, const struct mask_set *set, uint8_t id, char kind, enum tl_class class);
/* Bytes of one entry, in as many pieces as the caller likes; all pieces of an entry have the same time. */
void	tl_feed(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at);
/* The entry is whole (the '\r' rule). */
void	tl_entry_end(struct tl_stream *s, struct tl_sink *k);
/*
 * Nothing follows for the moment: the unfinished line is written, and goes on in a '+' line. Bytes
 * that the mask holds back stay, and so does half a character.
 */
void	tl_pause(struct tl_stream *s, struct tl_sink *k);
/* A whole entry: tl_feed() and tl_entry_end(). */
void	tl_entry(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at);
/* End of the stream: what is held back is decided, an unfinished line gets its '\n'. It may be fed again as new. */
void	tl_close(struct tl_stream *s, struct tl_sink *k);
void	tl_free(struct tl_stream *s);

/*
 * Checkpoints, as with mask_save(): opaque text without blanks and control
 * characters, as secret as the job's secrets. Restoring takes the place of tl_init() and
 * tl_sink_init() with the same arguments; 0, or -1 with a fresh stream or sink.
 */
void	tl_save(const struct tl_stream *s, struct buf *b);
int	tl_restore(struct tl_stream *s, const struct mask_set *set, uint8_t id, char kind, enum tl_class class,
	    struct str saved);
void	tl_sink_save(const struct tl_sink *k, struct buf *b);
int	tl_sink_restore(struct tl_sink *k, struct buf *out, uint64_t limit_bytes, bool timestamps, struct str saved);

/*
 * What the runner itself writes, appended to b (spec 6.3, 6.4). Give each
 * line to tl_entry() of the runner's stream by itself; a section marker has no newline of its own
 * and stands before a heading, or after a stage's last line.
 */
void	tl_section_start(struct buf *b, int64_t unix_seconds, const char *name);	/* name may end in [options] */
void	tl_section_end(struct buf *b, int64_t unix_seconds, const char *name);
void	tl_heading(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
void	tl_plain(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
void	tl_info(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
void	tl_warning(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);	/* puts "WARNING: " in front */
void	tl_error(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);		/* puts "ERROR: " in front */

#endif
