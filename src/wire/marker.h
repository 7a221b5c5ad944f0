/*
 * The marks by which a stage's script says that it begins and how it ends
 * (docs/streams.md): "wl.TOKEN.begin" and "wl.TOKEN.end.STATUS", and
 * "wl.TOKEN.sync" of whoever comes back to a stream, each with its line end.
 * They stand anywhere in a line, since a wrapper around the shell may prefix
 * or join lines, and may be cut anywhere. What is found is taken out, those
 * very bytes; all else passes. Only what may still become a mark is held back.
 *
 * Pure: no allocation, at most MARKER_MAX bytes are held.
 *
 *	while ((rc = marker_next(&m, &in, &text, &mark)) != 0)
 *		...
 */
#ifndef WIRE_MARKER_H
#define WIRE_MARKER_H

#include "core/str.h"

#define MARKER_TOKEN	16			/* characters of a token */
#define MARKER_MAX	(3 + MARKER_TOKEN + 1 + 8 + 2)

enum marker_word { MARKER_BEGIN, MARKER_END, MARKER_SYNC };

struct mark {
	enum marker_word word;
	int		 status;		/* MARKER_END: 0 to 255 */
};

struct marker {
	char	want[3 + MARKER_TOKEN + 2];	/* "wl.TOKEN." */
	char	held[MARKER_MAX];
	size_t	nheld;
	char	out[MARKER_MAX];		/* what was held in vain */
};

/* Begins a stream. An empty token finds nothing: all bytes pass at once. */
void	marker_init(struct marker *m, const char *token);
/*
 * Takes bytes from *in. 1: *text, never empty, is a view into *in or into m that lasts until the
 * next call; 2: *mark was found; 0: *in is empty.
 */
int	marker_next(struct marker *m, struct str *in, struct str *text, struct mark *mark);
/* The stream ends: what is held back is text after all; may be empty. */
struct str marker_close(struct marker *m);

#endif
