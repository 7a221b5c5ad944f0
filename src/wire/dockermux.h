/*
 * Docker's multiplexed log stream: frames of an 8-byte header and a body
 * (spec job-execution 1.5). The reader holds at most one partial header
 * between calls and never allocates. Bytes may arrive split anywhere; the
 * pieces that come out, joined per frame, do not depend on where. The caller
 * keeps ownership of `in`.
 *
 * Only for containers without a TTY: with one the stream is raw. Which it is
 * is the container's Tty flag, never the answer's Content-Type.
 *
 *	struct dockermux m = { 0 };
 *	while ((rc = dockermux_next(&m, &in, &piece, &stream, &first, &e)) == 1)
 *		...
 */
#ifndef WIRE_DOCKERMUX_H
#define WIRE_DOCKERMUX_H

#include "core/err.h"
#include "core/str.h"

struct dockermux {
	uint8_t		head[8];
	uint8_t		have;		/* of head; 8 while a frame's payload is read */
	bool		begun;		/* a piece of this frame was given out */
	uint32_t	left;		/* payload bytes of the current frame still to come */
};

enum { DOCKERMUX_STDIN = 0, DOCKERMUX_STDOUT = 1, DOCKERMUX_STDERR = 2, DOCKERMUX_SYSTEM = 3 };

/*
 * Takes bytes from *in; the next piece of payload is *out (a view into in,
 * never empty) of stream *stream; *first says that the piece begins its
 * frame. Empty frames are skipped. Returns 1 with a piece, 0 when more input
 * is needed (*in is empty then), -1 with *e set when the stream is malformed
 * (unknown stream byte, non-zero padding); after -1 the reader must not be
 * used again.
 *
 * What the streams mean is the caller's: stdin is an echo to be treated as
 * stdout, system is the daemon's own error text.
 */
int	dockermux_next(struct dockermux *m, struct str *in, struct str *out,
	    int *stream, bool *first, struct err *e);
/* Between two frames: an end of the stream elsewhere has lost something. */
bool	dockermux_idle(const struct dockermux *m);

#endif
