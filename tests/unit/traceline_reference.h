/*
 * What traceline.c should do with entries in which nothing is masked, one
 * character after the other. For tests and fuzzing only.
 */
#ifndef TRACELINE_REFERENCE_H
#define TRACELINE_REFERENCE_H

#include <time.h>

#include "core/buf.h"
#include "core/mono.h"

struct ref_line {
	struct buf	out;		/* without any limit */
	struct buf	text;
	wall_t		begun;
	bool		plus, cr, timestamps;
	unsigned char	part[4];
	size_t		npart;
	wall_t		part_at;
};

static void
ref_line_end(struct ref_line *r, wall_t begun, bool goes_on)
{
	time_t second = (time_t)wall_seconds(begun);
	struct tm tm;
	char when[40];

	gmtime_r(&second, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_fmt(&r->out, "%s.%06dZ 01O%c", when,
	    (int)(begun.ns % NSEC_SEC / 1000), r->plus ? '+' : ' ');
	buf_putstr(&r->out, buf_str(&r->text));
	buf_putc(&r->out, '\n');
	buf_clear(&r->text);
	r->plus = goes_on;
}

static void
ref_char(struct ref_line *r, const void *p, size_t n, wall_t at)
{
	char c = *(const char *)p;

	if (!r->timestamps) {
		buf_put(&r->out, p, n);
		return;
	}
	if (c == '\n') {
		ref_line_end(r, r->text.n > 0 ? r->begun : at, false);
		r->cr = false;
		return;
	}
	if (r->text.n + n > 8192 - 32)
		ref_line_end(r, r->begun, true);
	if (r->text.n == 0)
		r->begun = at;
	buf_put(&r->text, p, n);
	r->cr |= c == '\r';
}

/* By the ranges of scalar values, not by the table of bytes. */
static int
ref_decode(const unsigned char *p, size_t n, size_t *need)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t v, v_max;
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;

	if (len == 0)
		return -1;
	v = v_max = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (i < n && (p[i] & 0xc0) != 0x80)
			return -1;
		v = v << 6 | (i < n ? p[i] & 0x3fu : 0);
		v_max = v_max << 6 | (i < n ? p[i] & 0x3fu : 0x3fu);
	}
	/* No completion of these bytes is a scalar value. */
	if (v_max < least[len] || v > 0x10ffff || (v >= 0xd800 && v_max <= 0xdfff))
		return -1;
	*need = len;
	return 0;
}

static void
ref_byte(struct ref_line *r, unsigned char c, wall_t at)
{
	size_t need;

	if (r->npart == 0)
		r->part_at = at;
	r->part[r->npart] = c;
	if (ref_decode(r->part, r->npart + 1, &need) < 0) {
		if (r->npart == 0) {
			ref_char(r, "\xef\xbf\xbd", 3, at);
			return;
		}
		for (; r->npart > 0; r->npart--)
			ref_char(r, "\xef\xbf\xbd", 3, r->part_at);
		ref_byte(r, c, at);
		return;
	}
	if (++r->npart == need) {
		ref_char(r, r->part, need, r->part_at);
		r->npart = 0;
	}
}

static void
ref_entry_end(struct ref_line *r)
{
	if (r->cr && r->text.n > 0)
		ref_line_end(r, r->begun, true);
	r->cr = false;
}

static void
ref_close(struct ref_line *r)
{
	for (; r->npart > 0; r->npart--)
		ref_char(r, "\xef\xbf\xbd", 3, r->part_at);
	if (r->text.n > 0)
		ref_line_end(r, r->begun, false);
	buf_free(&r->text);
}

#endif
