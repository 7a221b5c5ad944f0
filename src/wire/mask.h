/*
 * Masking of secrets in a job's output (spec gitlab-runner 6.6): phrases
 * (leftmost-longest), token prefixes ("glpat-" + token bytes) and URL parameters,
 * in one streaming automaton. A match may span any number of writes: bytes that
 * could be the start of a match are held back until they are decided. Output
 * does not depend on how the input was split.
 *
 * The set is built once and shared by all streams of a job; it is immutable.
 * Memory: byte classes and 16-bit states keep a usual job's set below 64 KiB;
 * a set of thousands of long phrases stays linear in their total length.
 * Speed: bytes that cannot start a match are skipped in a tight loop (goal: more than 500 MB/s on ordinary text).
 */
#ifndef WIRE_MASK_H
#define WIRE_MASK_H

#include "core/buf.h"

struct mask_set;

struct mask_stream {
	const struct mask_set	*set;
	struct buf		 held;	/* raw bytes not decided yet */
	/* private to mask.c */
	uint32_t		 state;
	uint32_t		 mode;
	uint64_t		 aux[4];
};

/*
 * phrases: values to hide, as they are (trimmed, empty ones dropped, duplicates joined here). prefixes: token
 * prefixes. URL parameter names are built in. The set owns copies.
 */
struct mask_set	*mask_set_new(const struct str *phrases, size_t nphrases,
		    const struct str *prefixes, size_t nprefixes);
void		 mask_set_free(struct mask_set *set);	/* wipes */

void	mask_init(struct mask_stream *m, const struct mask_set *set);
/* Feeds raw bytes, appends what is decided to out. */
void	mask_feed(struct mask_stream *m, struct str in, struct buf *out);
/* End of the stream: what is held is decided as it stands. The stream may be fed again afterwards as new. */
void	mask_close(struct mask_stream *m, struct buf *out);
void	mask_free(struct mask_stream *m);
/*
 * A checkpoint of the stream: all that a new process needs to go on byte for byte the same.
 * mask_save() appends an opaque, versioned text without control characters to b; mask_restore() takes it (with the same set). 0 or -1.
 */
void	mask_save(const struct mask_stream *m, struct buf *b);
int	mask_restore(struct mask_stream *m, const struct mask_set *set, struct str saved);

#endif
