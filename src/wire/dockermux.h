/*
 * Docker's multiplexed log stream: frames of an 8-byte header and a body
 * (spec job-execution 1.5). The reader holds at most one partial header
 * between calls and never allocates. Bytes may arrive split anywhere; the
 * pieces that come out, joined per frame, do not depend on where. The caller
 * keeps ownership of `in`.
 */
#ifndef WIRE_DOCKERMUX_H
#define WIRE_DOCKERMUX_H

#include "core/err.h"
#include "core/str.h"

struct dockermux {
	uint8_t		head[8];
	uint8_t		have;
	uint32_t	left;		/* payload bytes of the current frame still to come */
};

enum { DOCKERMUX_STDIN = 0, DOCKERMUX_STDOUT = 1, DOCKERMUX_STDERR = 2, DOCKERMUX_SYSTEM = 3 };

/*
 * Takes bytes from *in; the next piece of payload is *out (a view into in) of
 * stream *stream; *first says that the piece begins its frame. Empty frames are skipped. Returns 1 with a piece, 0 when more input
 * is needed, -1 with *e set when the stream is malformed (unknown stream byte, non-zero padding).
 */
int	dockermux_next(struct dockermux *m, struct str *in, struct str *out,
	    int *stream, bool *first, struct err *e);

#endif
