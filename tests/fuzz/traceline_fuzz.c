/*
 * The stage behind the masker: the same trace however entries are cut and
 * wherever it is saved and restored; it is UTF-8; without a phrase it is what
 * a slow reference says; with a limit it is the beginning of the whole.
 *
 * Input: flags, a byte for cutting, the limit (two bytes), the length of a
 * phrase, the phrase, then entries separated by '|'; one that begins with
 * '=' has the time of the one before.
 */
#include "core/core.h"
#include "wire/traceline.h"

#include "../unit/traceline_reference.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define T0	((wall_t){ 1772352930000000000 })

struct how {
	const struct mask_set	*set;
	bool			 timestamps;
	uint64_t		 limit;
	uint32_t		 dice;		/* 0: each entry in one piece */
};

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

static void
save_and_restore(struct tl_stream *s, struct tl_sink *k)
{
	struct buf a = { .max = 0 }, b = { .max = 0 };

	tl_save(s, &a);
	tl_sink_save(k, &b);
	tl_free(s);
	tl_sink_free(k);
	if (tl_restore(s, s->mask.set, 1, 'O', TL_JOB, buf_str(&a)) < 0 ||
	    tl_sink_restore(k, k->out, k->limit, k->timestamps, buf_str(&b)) < 0)
		abort();
	buf_free(&a);
	buf_free(&b);
}

static void
run(struct how h, struct str in, struct buf *out)
{
	struct tl_sink k;
	struct tl_stream s;
	wall_t at = T0;

	tl_sink_init(&k, out, h.limit, h.timestamps);
	tl_init(&s, h.set, 1, 'O', TL_JOB);
	while (in.p != NULL) {
		struct str entry = str_cut(&in, '|');

		at = wall_add(at, str_starts(entry, "=") ? 0 : NSEC_SEC);
		while (entry.n > 0) {
			size_t n = entry.n;

			if (h.dice != 0) {
				h.dice = h.dice * 1664525u + 1013904223u;
				n = 1 + (h.dice >> 8) % (h.dice >> 31 ? 4 : 100);
			}
			tl_feed(&s, &k, cut(&entry, n), at);
			if (h.dice >> 28 == 15)
				save_and_restore(&s, &k);
		}
		tl_entry_end(&s, &k);
	}
	tl_close(&s, &k);
	if (k.written != out->n)
		abort();
	tl_free(&s);
	tl_sink_free(&k);
}

static void
differ(const char *what, const struct buf *got, const struct buf *want)
{
	fprintf(stderr, "%s\n got %.*s\nwant %.*s\n", what, STR_ARG(buf_str(got)), STR_ARG(buf_str(want)));
	abort();
}

static void
check_utf8(const struct buf *b)
{
	size_t need;

	for (size_t i = 0; i < b->n; i += need)
		if (ref_decode((const unsigned char *)b->p + i, b->n - i, &need) < 0 || need > b->n - i)
			differ("not UTF-8", b, b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), phrase, entries;
	uint8_t flags = byte(&in);
	uint32_t dice = byte(&in) * 2654435761u | 1;
	uint64_t limit = byte(&in);
	struct how h = { .timestamps = (flags & 1) == 0, .limit = 1u << 30 };
	struct ref_line r = { .timestamps = h.timestamps };
	struct buf whole = { .max = 0 }, cut_up = { .max = 0 }, small = { .max = 0 };
	struct tl_stream s;
	struct mask_set *set;
	wall_t at = T0;

	limit = limit << 8 | byte(&in);
	phrase = cut(&in, byte(&in));
	set = mask_set_new(&phrase, 1, NULL, 0);
	h.set = set;

	run(h, in, &whole);
	h.dice = dice;
	run(h, in, &cut_up);
	if (!str_eq(buf_str(&whole), buf_str(&cut_up)))
		differ("cut up", &cut_up, &whole);
	check_utf8(&whole);

	h.limit = limit > 0 ? limit : 1;
	run(h, in, &small);
	check_utf8(&small);
	if (whole.n < h.limit ? !str_eq(buf_str(&small), buf_str(&whole)) : small.n + 3 < h.limit ||
	    memcmp(small.p, whole.p, h.limit < 4 ? 0 : h.limit - 3) != 0)
		differ("limited", &small, &whole);

	if (str_trim(phrase).n == 0 && memmem(data, size, "?", 1) == NULL && memmem(data, size, "&", 1) == NULL) {
		entries = in;
		while (entries.p != NULL) {
			struct str entry = str_cut(&entries, '|');

			at = wall_add(at, str_starts(entry, "=") ? 0 : NSEC_SEC);
			for (size_t i = 0; i < entry.n; i++)
				ref_byte(&r, (unsigned char)entry.p[i], at);
			ref_entry_end(&r);
		}
		ref_close(&r);
		if (!str_eq(buf_str(&whole), buf_str(&r.out)))
			differ("reference", &whole, &r.out);
	}

	/* Whatever bytes come as a checkpoint. */
	if (tl_restore(&s, set, 1, 'O', TL_JOB, in) == 0) {
		struct tl_sink k;

		tl_sink_init(&k, &whole, 0, true);
		tl_entry(&s, &k, in, at);
		tl_close(&s, &k);
		tl_sink_free(&k);
	}
	tl_free(&s);
	mask_set_free(set);
	buf_free(&whole);
	buf_free(&cut_up);
	buf_free(&small);
	buf_free(&r.out);
	return 0;
}
