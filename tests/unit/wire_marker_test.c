/* Marks in a stage's output: see wire/marker.h. */
#include "core/buf.h"
#include "tap.h"
#include "wire/marker.h"

#define T	"0123456789abcdef"

/* What comes out of in, fed in pieces of n bytes: text, and each mark as <begin>, <end N>, <sync>. */
static void
run(const char *token, struct str in, size_t n, struct buf *out)
{
	struct marker m;
	struct mark mark;
	struct str text;
	int rc;

	marker_init(&m, token);
	buf_clear(out);
	while (in.n > 0) {
		struct str piece = str_sub(in, 0, n < in.n ? n : in.n);

		in = str_sub(in, piece.n, in.n);
		while ((rc = marker_next(&m, &piece, &text, &mark)) != 0) {
			if (rc == 1)
				buf_putstr(out, text);
			else if (mark.word == MARKER_END)
				buf_fmt(out, "<end %d>", mark.status);
			else
				buf_puts(out, mark.word == MARKER_BEGIN ? "<begin>" : "<sync>");
		}
	}
	buf_putstr(out, marker_close(&m));
}

static const struct { const char *in, *out; } cases[] = {
	{ "", "" },
	{ "plain\n", "plain\n" },
	{ "wl." T ".begin\n", "<begin>" },
	{ "wl." T ".begin\r\nx", "<begin>x" },
	{ "P: wl." T ".begin\nP: one", "P: <begin>P: one" },
	{ "no newlinewl." T ".end.0\n", "no newline<end 0>" },
	{ "wl." T ".end.137\nrest", "<end 137>rest" },
	{ "wl." T ".end.255\n", "<end 255>" },
	{ "wl." T ".end.256\n", "wl." T ".end.256\n" },
	{ "wl." T ".end.1234\n", "wl." T ".end.1234\n" },
	{ "wl." T ".end.\n", "wl." T ".end.\n" },
	{ "wl." T ".end\n", "wl." T ".end\n" },
	{ "wl." T ".end.-1\n", "wl." T ".end.-1\n" },
	{ "wl." T ".begins\n", "wl." T ".begins\n" },
	{ "wl." T ".begin\r\r\n", "wl." T ".begin\r\r\n" },
	{ "wl." T ".sync\n", "<sync>" },
	{ "wl.0123456789abcdeX.begin\n", "wl.0123456789abcdeX.begin\n" },
	{ "wlwl.wl." T ".begin\n", "wlwl.<begin>" },
	{ "wl." T "wl." T ".end.3\n", "wl." T "<end 3>" },
	{ "wl." T ".bewl." T ".begin\n", "wl." T ".be<begin>" },
	{ "wl." T ".begin", "wl." T ".begin" },
	{ "www", "www" },
	{ "wl." T ".begin\nwl." T ".end.0\n", "<begin><end 0>" },
};

int
main(void)
{
	struct buf out = { .max = 4096 };
	char nul[] = "a\0wl." T ".end.7\n\0b";

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct str in = str_from(cases[i].in);
		size_t bad = 0;

		for (size_t n = 1; n <= in.n + 1; n++) {
			run(T, in, n, &out);
			if (!str_eqc(buf_str(&out), cases[i].out)) {
				printf("# in pieces of %zu: \"%s\"\n", n, out.p);
				bad++;
			}
		}
		is_int(bad, 0, "case %zu", i);
		run("", in, 7, &out);
		ok(str_eqc(buf_str(&out), cases[i].in), "case %zu without a token", i);
	}
	run(T, str_of(nul, sizeof(nul) - 1), 1, &out);
	ok(out.n == 2 + 7 + 2 && memcmp(out.p, "a\0<end 7>\0b", out.n) == 0, "zero bytes pass");
	{
		struct marker m;
		struct mark mark;
		struct str in = STR("dots...w"), text;

		marker_init(&m, T);
		ok(marker_next(&m, &in, &text, &mark) == 1 && str_eqc(text, "dots..."), "what is no mark is not held back");
		ok(marker_next(&m, &in, &text, &mark) == 0 && m.nheld == 1, "its beginning is");
		ok(str_eqc(marker_close(&m), "w"), "until the end");
	}
	buf_free(&out);
	return done_testing();
}
