/*
 * What a stage's container says, on its way into the job's log, and the text that it is given
 * (docs/streams.md). Live it comes by attach, from before the container's start. What was taken is
 * counted, in bytes of each stream since the container's first one; whoever has no attach any more
 * reads the engine's log from its beginning and passes over what is counted. The marks that frame a
 * script's run are taken out and remembered.
 */
#ifndef JOB_STREAM_H
#define JOB_STREAM_H

#include "core/buf.h"
#include "core/mono.h"
#include "wire/marker.h"

struct run;
struct container;

/* How far one stream of a container was taken. */
struct taken {
	int64_t	 bytes;		/* of it */
	int64_t	 lines;		/* line ends among them */
	int64_t	 tail;		/* bytes behind the last line end */
};

/* One run of a container, as its marks tell it. */
struct passage {
	char	 token[MARKER_TOKEN + 1];	/* of its marks; "": none are expected (a version before) */
	bool	 begun;				/* the script's first mark was seen */
	bool	 ended[2];			/* its last one, on stdout and stderr */
	int64_t	 status;			/* the script's, once it ended */
	bool	 delivered;			/* its text went out whole */
	bool	 partial;			/* the log has less than had been taken */
};

/* This process's part of it. */
struct stream {
	struct buf	 script;	/* to be sent, framed (script.h) */
	size_t		 framed;	/* bytes of it that are in a piece by now */
	struct buf	 piece;		/* the piece that is being sent */
	size_t		 sent;		/* bytes of it that are out */
	bool		 last;		/* there is none after it */
	struct marker	 marks[2];
	/* of the container's log: to be passed over, as `taken` counts */
	struct taken	 skip[2];
	int64_t		 skip_any;	/* a version before counted both streams as one */
	bool		 by_lines;	/* the log driver spoils bytes that are no text */
};

enum follow {
	FOLLOW_ENDED,
	FOLLOW_LOST,		/* the connection broke: *e */
	FOLLOW_STOPPED,		/* an order, or the time is over: *e */
};

/*
 * Attaches to a container that is to be started next, for a script that stream_deliver() will send;
 * the script's bytes are taken over, also on failure. 0 or -1.
 */
int	stream_attach(struct run *r, struct container *c, struct buf *script, struct err *e);
/* Whether this process is attached. */
bool	stream_attached(const struct run *r);
/*
 * Sends the script, framed, to the started container and ends its stdin. FOLLOW_ENDED: it is out. What the
 * container prints meanwhile is taken.
 */
enum follow stream_deliver(struct run *r, struct container *c, mono_t until, struct err *e);
/*
 * Takes what comes until it ends: of the attach while there is one, else of the log, followed while
 * the container runs (`live`) or as it is. The time that is needed once a script has marked its end
 * is not the script's.
 */
enum follow stream_follow(struct run *r, struct container *c, bool live, mono_t until, struct err *e);
/* Nothing more is wanted of it. */
void	stream_close(struct run *r);
/* Whether the script's end was marked on both streams: nothing that counts comes after that. */
bool	stream_complete(const struct container *c);

#endif
