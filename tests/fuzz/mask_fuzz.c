/*
 * The masker against its slow reference: the same output however the text is
 * cut and wherever the stream is saved and restored, and no phrase in it.
 *
 * Input: number of phrases, number of prefixes, a byte for cutting, then each
 * word as a length byte and its bytes, then the text.
 */
#include <stdint.h>

#include "core/core.h"
#include "wire/mask.h"

#include "../unit/mask_reference.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 2048	/* the reference is slow */

static struct str
cut(struct str *in, size_t n)
{
	struct str s = str_sub(*in, 0, n);

	*in = str_sub(*in, s.n, in->n);
	return s;
}

static uint8_t
byte(struct str *in)
{
	struct str s = cut(in, 1);

	return s.n > 0 ? (uint8_t)s.p[0] : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), text, phrases[8], prefixes[4];
	size_t np = byte(&in) % (NELEM(phrases) + 1), nx = byte(&in) % (NELEM(prefixes) + 1);
	uint32_t dice = byte(&in) * 2654435761u + 1;
	struct buf out = { .max = 0 }, ref = { .max = 0 };
	struct mask_set *set;
	struct mask_stream m;

	for (size_t i = 0; i < np; i++)
		phrases[i] = cut(&in, byte(&in));
	for (size_t i = 0; i < nx; i++)
		prefixes[i] = cut(&in, byte(&in));
	text = cut(&in, TEXT_MAX);

	set = mask_set_new(phrases, np, prefixes, nx);
	mask_init(&m, set);
	for (size_t i = 0; i < text.n;) {
		size_t n;

		dice = dice * 1664525u + 1013904223u;
		n = 1 + (dice >> 8) % (dice >> 31 ? 3 : 100);
		mask_feed(&m, str_sub(text, i, n), &out);
		i += n;
		if ((dice >> 28 & 3) == 0) {
			struct buf s = { .max = 0 };

			mask_save(&m, &s);
			mask_free(&m);
			if (mask_restore(&m, set, buf_str(&s)) < 0)
				abort();
			buf_free(&s);
		}
	}
	mask_close(&m, &out);

	ref_mask(text, phrases, np, prefixes, nx, &ref);
	if (!str_eq(buf_str(&out), buf_str(&ref)) || ref_shows_phrase(text, phrases, np, prefixes, nx)) {
		fprintf(stderr, " got %.*s\nwant %.*s\n", STR_ARG(buf_str(&out)), STR_ARG(buf_str(&ref)));
		abort();
	}

	/* Whatever bytes come as a checkpoint: a fresh stream or a good one. */
	mask_restore(&m, set, text);
	mask_feed(&m, text, &out);
	mask_close(&m, &out);

	mask_free(&m);
	mask_set_free(set);
	buf_free(&out);
	buf_free(&ref);
	return 0;
}
