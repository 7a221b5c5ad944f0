/*
 * What mask.c should do, written as plainly as can be: three passes over a
 * whole text, each trying everything at every place. For tests and fuzzing
 * only; it takes time by the square.
 */
#ifndef MASK_REFERENCE_H
#define MASK_REFERENCE_H

#include <strings.h>

#include "core/buf.h"

#define REF_MASK	256	/* [MASKED] as one thing */

struct ref_text {
	int	*v;
	size_t	 n;
};

static bool
ref_at(const struct ref_text *t, size_t i, struct str w)
{
	if (w.n == 0 || i + w.n > t->n)
		return false;
	for (size_t k = 0; k < w.n; k++)
		if (t->v[i + k] != (unsigned char)w.p[k])
			return false;
	return true;
}

static void
ref_phrases(const struct ref_text *in, struct ref_text *out, const struct str *w, size_t nw)
{
	size_t next = 0, covered = 0;

	out->n = 0;
	for (size_t i = 0; i < in->n; i++) {
		size_t longest = 0;

		for (size_t k = 0; k < nw; k++) {
			struct str t = str_trim(w[k]);

			if (t.n > longest && ref_at(in, i, t))
				longest = t.n;
		}
		if (i + longest > covered)
			covered = i + longest;
		if (i < next)
			continue;
		if (longest > 0) {
			out->v[out->n++] = REF_MASK;
			next = i + longest;
		} else if (i >= covered)
			out->v[out->n++] = in->v[i];
	}
}

static void
ref_urls(const struct ref_text *in, struct ref_text *out)
{
	static const char *const keys[] = { "private_token", "authenticity_token", "rss_token",
	    "x-amz-signature", "x-amz-credential", "x-amz-security-token" };

	out->n = 0;
	for (size_t i = 0; i < in->n;) {
		size_t key = 0;

		if (in->v[i] == '?' || in->v[i] == '&')
			for (size_t k = 0; k < NELEM(keys); k++) {
				size_t n = strlen(keys[k]), j = 0;

				while (j < n && i + 1 + j < in->n && in->v[i + 1 + j] < 128 &&
				    strncasecmp(&keys[k][j], &(char){ (char)in->v[i + 1 + j] }, 1) == 0)
					j++;
				if (j == n && i + 1 + n < in->n && in->v[i + 1 + n] == '=')
					key = n + 2;
			}
		if (key == 0) {
			out->v[out->n++] = in->v[i++];
			continue;
		}
		while (key-- > 0)
			out->v[out->n++] = in->v[i++];
		out->v[out->n++] = REF_MASK;
		while (i < in->n && (in->v[i] == REF_MASK || !(in->v[i] == '?' || in->v[i] == '&' ||
		    in->v[i] <= ' ' || in->v[i] == 127)))
			i++;
	}
}

/* Behind a prefix that ends at i (any bytes of `in` may belong to it): are there token bytes? */
static void
ref_tokens(const struct ref_text *in, struct ref_text *out, const struct str *w, size_t nw)
{
	const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=-";

	out->n = 0;
	for (size_t i = 0; i < in->n;) {
		bool armed = false;
		size_t end = i;

		for (size_t k = 0; k < nw; k++) {
			struct str t = str_trim(w[k]);

			armed |= t.n <= i && ref_at(in, i - t.n, t);
			armed |= t.n > 0 && w[k].n <= i && ref_at(in, i - w[k].n, w[k]);
		}
		if (armed)
			while (end < in->n && in->v[end] > 0 && in->v[end] < 128 &&
			    strchr(set, in->v[end]) != NULL)
				end++;
		if (end > i) {
			out->v[out->n++] = REF_MASK;
			i = end;
			/* The byte behind a token is none: a prefix that ends right here cannot hide it. */
			if (i < in->n)
				out->v[out->n++] = in->v[i++];
		} else {
			out->v[out->n++] = in->v[i++];
		}
	}
}

/* Appends the masked text to b. */
static void
ref_mask(struct str text, const struct str *phrases, size_t nphrases,
    const struct str *prefixes, size_t nprefixes, struct buf *b)
{
	/* A key gains one thing, everything else loses. */
	size_t room = text.n * 2 + 2;
	struct ref_text x = { xcalloc(room, sizeof(int)), text.n };
	struct ref_text y = { xcalloc(room, sizeof(int)), 0 };

	for (size_t i = 0; i < text.n; i++)
		x.v[i] = (unsigned char)text.p[i];
	ref_phrases(&x, &y, phrases, nphrases);
	ref_urls(&y, &x);
	ref_tokens(&x, &y, prefixes, nprefixes);
	for (size_t i = 0; i < y.n; i++) {
		if (y.v[i] == REF_MASK)
			buf_puts(b, "[MASKED]");
		else
			buf_putc(b, y.v[i]);
	}
	free(x.v);
	free(y.v);
}

/*
 * True when some phrase stands in the masked text apart from every [MASKED]:
 * those are given by their places, so that a [MASKED] which was in the text
 * before does not hide anything. Here the reference's own list is used.
 */
static bool
ref_shows_phrase(struct str text, const struct str *phrases, size_t nphrases,
    const struct str *prefixes, size_t nprefixes)
{
	size_t room = text.n * 2 + 2;
	struct ref_text x = { xcalloc(room, sizeof(int)), text.n };
	struct ref_text y = { xcalloc(room, sizeof(int)), 0 };
	bool shows = false;

	for (size_t i = 0; i < text.n; i++)
		x.v[i] = (unsigned char)text.p[i];
	ref_phrases(&x, &y, phrases, nphrases);
	ref_urls(&y, &x);
	ref_tokens(&x, &y, prefixes, nprefixes);
	for (size_t i = 0; i < y.n; i++)
		for (size_t k = 0; k < nphrases; k++)
			shows |= ref_at(&y, i, str_trim(phrases[k]));
	free(x.v);
	free(y.v);
	return shows;
}

#endif
