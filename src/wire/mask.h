/*
 * Masking of secrets in a job's output (spec gitlab-runner 6.6), streaming.
 *
 * Three filters stand behind each other:
 *
 *   phrases	a value of the list becomes [MASKED]. Of several that could be
 *		masked the one that begins first counts, of those the longest;
 *		search goes on behind it. A byte that belongs to another value,
 *		one that begins inside a masked one, is left out: "abcdefgh"
 *		and "efghijkl" make [MASKED] of "abcdefghijkl". Values hold any
 *		bytes, newlines too.
 *   URLs	behind "?key=" and "&key=", for a built-in list of keys in any
 *		case, what comes becomes one [MASKED], even if nothing comes, up
 *		to the next '?', '&', blank or ASCII control character.
 *   tokens	behind a prefix ("glpat-") one or more of A-Z a-z 0-9 . _ = -
 *		become one [MASKED]; the prefix stays, also alone. Where several
 *		prefixes could be meant the one that is complete first counts.
 *
 * A later filter sees what the one before left, with each [MASKED] as one
 * thing that is no byte: it ends a key, a prefix and a token, and it is
 * hidden, like any byte, in a URL parameter's value. The result for a whole
 * stream is that of the three filters on its whole text, however the stream
 * was cut into pieces.
 *
 * What is promised: no phrase stands in the output, unless it shares bytes
 * with a [MASKED] (the value "MASKED" would). Bytes that may be the start of
 * a phrase are held back until more bytes decide or the stream is closed, as
 * long as that takes; the other two filters hold nothing back.
 *
 * Memory: a usual job's set has about 15 KiB, a stream next to nothing.
 * Time: linear in the text, whatever the phrases are, and independent of
 * their number; text without the first four bytes of any phrase, prefix or
 * key is only copied.
 */
#ifndef WIRE_MASK_H
#define WIRE_MASK_H

#include "core/buf.h"
#include "wire/dict.h"

struct mask_set;

struct mask_stream {
	const struct mask_set	*set;
	/* private to mask.c */
	struct dict_pos		 phrase;	/* its path is what is held back */
	struct dict_pos		 prefix;
	uint32_t		*best;		/* longest phrase found at each held byte; NULL while none can be found inside another */
	uint32_t		 best_at, best_cap;
	uint32_t		 masked;	/* so many held bytes are behind a [MASKED] already */
	uint32_t		 covered;	/* so many belong to some phrase; masked <= covered <= held */
	uint32_t		 url_keys;	/* a bit for each key that the bytes after '?' or '&' may become */
	uint8_t			 url;		/* enum url_state */
	uint8_t			 url_at;	/* so many bytes of the key */
	bool			 armed;		/* a prefix is complete, a token may follow */
	bool			 in_token;
};

/*
 * phrases: values to hide, as they are (trimmed of white space at both ends,
 * empty ones dropped, duplicates joined here). prefixes: token prefixes; one
 * with white space at its ends counts with it and without. URL keys are built
 * in. The set owns copies, never changes, and may be shared by any number of
 * streams. Phrases together must stay below 2 GiB.
 */
struct mask_set	*mask_set_new(const struct str *phrases, size_t nphrases,
		    const struct str *prefixes, size_t nprefixes);
void		 mask_set_free(struct mask_set *set);	/* wipes; NULL is allowed */
size_t		 mask_set_memory(const struct mask_set *set);	/* bytes, for tests and the benchmark */

void	mask_init(struct mask_stream *m, const struct mask_set *set);
/*
 * Feeds raw bytes, appends what is decided to out: usually about as many
 * bytes as went in, at most eight for each of them and of those held back.
 * Callers with little memory feed a few KiB at a time.
 */
void	mask_feed(struct mask_stream *m, struct str in, struct buf *out);
/* How many bytes are held back. */
size_t	mask_held(const struct mask_stream *m);
/* End of the stream: what is held is decided as it stands. The stream may be fed again afterwards as new. */
void	mask_close(struct mask_stream *m, struct buf *out);
void	mask_free(struct mask_stream *m);
/*
 * A checkpoint of the stream: all that a new process needs to go on byte for
 * byte the same. mask_save() appends an opaque, versioned text without
 * blanks and control characters to b; it holds the bytes held back, so it is
 * as secret as the phrases. mask_restore() takes it, with the same set, in
 * place of mask_init(); it returns 0, or -1 with a fresh stream when the text
 * is no checkpoint or does not fit the set.
 */
void	mask_save(const struct mask_stream *m, struct buf *b);
int	mask_restore(struct mask_stream *m, const struct mask_set *set, struct str saved);

#endif
