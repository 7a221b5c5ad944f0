/* Frames of a container's output, split in every way. */
#include "core/core.h"
#include "core/buf.h"
#include "wire/dockermux.h"

#include "tap.h"

#define S(lit)	{ lit, sizeof(lit) - 1 }

/* Frames as they come out: "1:abc|" a frame, "!" in front when a piece that begins a frame was not expected. */
struct result {
	struct buf	text;
	struct err	e;
	int		rc;
	bool		idle;
	bool		odd;		/* an empty piece, or a piece outside the input */
};

static void
take(struct dockermux *m, struct str in, struct result *r)
{
	struct str all = in, out;
	int stream;
	bool first;

	while ((r->rc = dockermux_next(m, &in, &out, &stream, &first, &r->e)) == 1) {
		r->odd |= out.n == 0 || out.p < all.p || out.p + out.n != in.p;
		if (first)
			buf_fmt(&r->text, "|%d:", stream);
		buf_putstr(&r->text, out);
	}
	r->odd |= r->rc == 0 && in.n != 0;
}

static struct result
whole(struct str in)
{
	struct dockermux m = { 0 };
	struct result r = { .text = { 0 } };

	take(&m, in, &r);
	r.idle = dockermux_idle(&m);
	return r;
}

/* In pieces that end at a and b. */
static struct result
split(struct str in, size_t a, size_t b)
{
	struct dockermux m = { 0 };
	struct result r = { .text = { 0 } };

	take(&m, str_sub(in, 0, a), &r);
	if (r.rc == 0)
		take(&m, str_sub(in, a, b - a), &r);
	if (r.rc == 0)
		take(&m, str_sub(in, b, in.n), &r);
	r.idle = dockermux_idle(&m);
	return r;
}

static const struct { const char *name; struct str in; int rc; bool idle; const char *want; const char *why; } cases[] = {
	{ "nothing", S(""), 0, true, "", "" },
	{ "one frame", S("\1\0\0\0\0\0\0\3abc"), 0, true, "|1:abc", "" },
	{ "both streams", S("\1\0\0\0\0\0\0\1a\2\0\0\0\0\0\0\1b\1\0\0\0\0\0\0\1c"), 0, true, "|1:a|2:b|1:c", "" },
	{ "stdin's echo and the daemon", S("\0\0\0\0\0\0\0\1a\3\0\0\0\0\0\0\1b"), 0, true, "|0:a|3:b", "" },
	{ "two frames of one stream stay two", S("\1\0\0\0\0\0\0\1a\1\0\0\0\0\0\0\1b"), 0, true, "|1:a|1:b", "" },
	{ "an empty frame is skipped", S("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1b"), 0, true, "|1:b", "" },
	{ "an empty frame at the end", S("\1\0\0\0\0\0\0\1b\2\0\0\0\0\0\0\0"), 0, true, "|1:b", "" },
	{ "a payload that looks like a header", S("\1\0\0\0\0\0\0\10\2\0\0\0\0\0\0\1"), 0, true, NULL, "" },
	{ "a length of two bytes", S("\1\0\0\0\0\0\1\2"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefXY"
	    "\2\0\0\0\0\0\0\1Z"), 0, true, "|1:"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefXY"
	    "|2:Z", "" },
	{ "cut in a header", S("\1\0\0\0\0\0\0\1a\1\0\0"), 0, false, "|1:a", "" },
	{ "cut before the payload", S("\1\0\0\0\0\0\0\1"), 0, false, "", "" },
	{ "cut in the payload", S("\1\0\0\0\0\0\0\5abc"), 0, false, "|1:abc", "" },
	{ "4 GiB are announced", S("\1\0\0\0\377\377\377\377abc"), 0, false, "|1:abc", "" },
	{ "an unknown stream", S("\4\0\0\0\0\0\0\1a"), -1, false, "",
	    "container output: a frame of stream 4 (is it the output of a container with a TTY?)" },
	{ "plain text", S("\1\0\0\0\0\0\0\1ahello world"), -1, false, "|1:a",
	    "container output: a frame of stream 104 (is it the output of a container with a TTY?)" },
	{ "padding", S("\1\0\1\0\0\0\0\1a"), -1, false, "", "container output: a frame header's padding is 000100 instead of zeros" },
};

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct result r = whole(cases[i].in);
		int wrong = 0;

		is_int(r.rc, cases[i].rc, "%s: return value", cases[i].name);
		ok(!r.odd, "%s: pieces lie in the input, one behind the other", cases[i].name);
		if (cases[i].want != NULL)
			is_str(buf_str(&r.text).p, cases[i].want, "%s: frames", cases[i].name);
		else
			ok(r.text.n == 3 + 8, "%s: payload is not looked into", cases[i].name);
		is_str(r.e.msg, cases[i].why, "%s: reason", cases[i].name);
		if (r.rc == 0)
			is_int(r.idle, cases[i].idle, "%s: between frames or not", cases[i].name);
		else
			ok(r.e.kind == ERR_PROTO, "%s: kind", cases[i].name);
		for (size_t a = 0; a <= cases[i].in.n; a++) {
			for (size_t b = a; b <= cases[i].in.n; b += cases[i].in.n > 100 ? 13 : 1) {
				struct result s = split(cases[i].in, a, b);

				wrong += s.rc != r.rc || s.odd || s.idle != r.idle || !str_eq(buf_str(&s.text), buf_str(&r.text));
				buf_free(&s.text);
			}
		}
		is_int(wrong, 0, "%s: split anywhere, the same", cases[i].name);
		buf_free(&r.text);
	}
	return done_testing();
}
