/* From masked output to the trace: named cases, cut anywhere, saved anywhere, and a slow reference. */
#include "core/core.h"
#include "wire/traceline.h"

#include "tap.h"
#include "traceline_reference.h"

#define T0	((wall_t){ 1772352930123456789 })	/* 2026-03-01T08:15:30.123456789Z */
#define HOUR	(3600 * NSEC_SEC)
#define H0	"2026-03-01T08:15:30.123456Z "
#define H1	"2026-03-01T09:15:30.123456Z "
#define H2	"2026-03-01T10:15:30.123456Z "
#define H3	"2026-03-01T11:15:30.123456Z "

static uint64_t seed = 3;

static unsigned
roll(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

/* In `in`, '|' ends an entry; entries come an hour after each other. */
static const struct {
	const char *name, *phrase, *in, *out;
	bool raw;
} cases[] = {
	{ "nothing", NULL, "", "", false },
	{ "a line", NULL, "hello\n", H0 "01O hello\n", false },
	{ "an empty line", NULL, "\n", H0 "01O \n", false },
	{ "lines of one entry", NULL, "a\nb\n\nc\n", H0 "01O a\n" H0 "01O b\n" H0 "01O \n" H0 "01O c\n", false },
	{ "each entry has its time", NULL, "a\n|b\n", H0 "01O a\n" H1 "01O b\n", false },
	{ "a line has the time of its first byte", NULL, "a|b|c\n", H0 "01O abc\n", false },
	{ "the next line that of its own", NULL, "a|b\nc|d\n", H0 "01O ab\n" H1 "01O cd\n", false },
	{ "the end finishes a line", NULL, "a\nb", H0 "01O a\n" H0 "01O b\n", false },
	{ "\\r flushes at an entry's end", NULL, "10%\r|20%\r|done\n", H0 "01O 10%\r\n" H1 "01O+20%\r\n" H2 "01O+done\n", false },
	{ "bytes behind \\r go with it", NULL, "section_start:1:a\r\033[0K|x\n", H0 "01O section_start:1:a\r\033[0K\n" H1 "01O+x\n", false },
	{ "\\r\\n is a line end", NULL, "a\r\nb\r\n", H0 "01O a\r\n" H0 "01O b\r\n", false },
	{ "\\r then \\n in the next entry", NULL, "a\r|\nb\n", H0 "01O a\r\n" H1 "01O+\n" H1 "01O b\n", false },
	{ "\\r before the last \\n does not flush", NULL, "a\rb\nc|d\n", H0 "01O a\rb\n" H0 "01O cd\n", false },
	{ "\\r of an earlier entry does not flush", NULL, "a\r|b|c\n", H0 "01O a\r\n" H1 "01O+bc\n", false },
	{ "\\r flushes what was held", NULL, "a|b\r|c\n", H0 "01O ab\r\n" H2 "01O+c\n", false },
	{ "invalid UTF-8", NULL, "a\xff" "b\xc3(\xe2\x82(\n", H0 "01O a\xef\xbf\xbd" "b\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd(\n", false },
	{ "surrogates and overlong forms", NULL, "\xed\xa0\x80\xc0\x80\xf5\n", H0 "01O \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n", false },
	{ "valid UTF-8 of all lengths", NULL, "\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\n", H0 "01O \xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\n", false },
	{ "a character in two entries", NULL, "\xe2\x82|\xac\n", H0 "01O \xe2\x82\xac\n", false },
	{ "the start of one at the end", NULL, "a\xf0\x9f\x98", H0 "01O a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n", false },
	{ "masked", "secret", "a secret b\nsecret\n", H0 "01O a [MASKED] b\n" H0 "01O [MASKED]\n", false },
	{ "masked over two entries", "secret", "se|cret\nx\n", H0 "01O [MASKED]\n" H1 "01O x\n", false },
	{ "held bytes keep their time", "secret", "x\nsec|ure\nx\n", H0 "01O x\n" H0 "01O secure\n" H1 "01O x\n", false },
	{ "held bytes keep their time over three entries", "secret", "s|e|c|u\n", H0 "01O secu\n", false },
	{ "held, then shown by the end", "secret", "x\n|sec", H0 "01O x\n" H1 "01O sec\n", false },
	{ "a secret with a newline", "a\nb", "a\nb\na\nc\n", H0 "01O [MASKED]\n" H0 "01O a\n" H0 "01O c\n", false },
	{ "a secret of a broken character's bytes", "\x82\xac!", "\xe2\x82\xac!\n", H0 "01O \xef\xbf\xbd[MASKED]\n", false },
	{ "raw", NULL, "a\nb|c\rd|\xff|", "a\nbc\rd\xef\xbf\xbd", true },
	{ "raw, masked", "secret", "sec|ret|sec", "[MASKED]sec", true },
};

static struct mask_set *
set_of(const char *phrase)
{
	struct str w = str_from(phrase);

	return mask_set_new(&w, 1, NULL, 0);
}

static void
save_and_restore(struct tl_stream *s, struct tl_sink *k, const struct mask_set *set)
{
	struct buf saved = { .max = 0 }, sink = { .max = 0 };

	tl_save(s, &saved);
	tl_sink_save(k, &sink);
	for (size_t i = 0; i < saved.n; i++)
		if ((unsigned char)saved.p[i] <= ' ' || (unsigned char)saved.p[i] >= 0x7f)
			buf_puts(k->out, "<saved text is not plain>");
	tl_free(s);
	if (tl_restore(s, set, 1, 'O', TL_JOB, buf_str(&saved)) < 0)
		buf_puts(k->out, "<not restored>");
	tl_sink_free(k);
	if (tl_sink_restore(k, k->out, k->limit, k->timestamps, buf_str(&sink)) < 0)
		buf_puts(k->out, "<sink not restored>");
	buf_free(&saved);
	buf_free(&sink);
}

/* cut: an offset in `in` at which a piece ends without ending its entry. */
static void
run(const struct mask_set *set, struct str in, size_t cut, bool save, bool raw, struct buf *out)
{
	struct tl_sink k;
	struct tl_stream s;
	wall_t at = T0;
	const char *begin = in.p;

	tl_sink_init(&k, out, 0, !raw);
	tl_init(&s, set, 1, 'O', TL_JOB);
	while (in.p != NULL) {
		struct str entry = str_cut(&in, '|');
		size_t off = (size_t)(entry.p - begin), first = entry.n;

		if (cut > off && cut < off + entry.n)
			first = cut - off;
		tl_feed(&s, &k, str_sub(entry, 0, first), at);
		if (save)
			save_and_restore(&s, &k, set);
		tl_feed(&s, &k, str_sub(entry, first, entry.n), at);
		tl_entry_end(&s, &k);
		if (save)
			save_and_restore(&s, &k, set);
		at = wall_add(at, HOUR);
	}
	tl_close(&s, &k);
	if (k.written != out->n)
		buf_fmt(out, "<%llu written>", (unsigned long long)k.written);
	tl_free(&s);
	tl_sink_free(&k);
}

static void
test_cases(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct mask_set *set = set_of(cases[i].phrase);
		struct str in = str_from(cases[i].in);
		struct buf out = { .max = 0 };
		bool same = true;

		run(set, in, 0, false, cases[i].raw, &out);
		is_str(buf_str(&out).p, cases[i].out, "%s", cases[i].name);
		for (size_t cut = 0; cut < in.n && same; cut++)
			for (int save = 0; save < 2 && same; save++) {
				buf_clear(&out);
				run(set, in, cut, save, cases[i].raw, &out);
				same = str_eqc(buf_str(&out), cases[i].out);
				if (!same)
					printf("# cut at %zu, saved %d: %s\n", cut, save, out.p);
			}
		ok(same, "%s, cut anywhere and saved there", cases[i].name);
		buf_free(&out);
		mask_set_free(set);
	}
}

static void
test_long_lines(void)
{
	enum { TEXT = TL_HOLD - TL_HEADER };
	struct mask_set *set = set_of(NULL);
	struct buf out = { .max = 0 }, in = { .max = 0 };
	struct tl_sink k;
	struct tl_stream s;

	tl_sink_init(&k, &out, 0, true);
	tl_init(&s, set, 0x0f, 'E', TL_JOB);
	while (in.n < TEXT)
		buf_putc(&in, 'x');
	tl_entry(&s, &k, buf_str(&in), T0);
	is_int((long long)out.n, 0, "8 KiB with the header are held");
	tl_entry(&s, &k, STR("\n"), wall_add(T0, HOUR));
	is_int((long long)out.n, TL_HOLD + 1, "and are one line when the newline comes");
	ok(str_starts(buf_str(&out), H0 "0fE x"), "of the service's stream");

	buf_clear(&out);
	tl_entry(&s, &k, buf_str(&in), T0);
	tl_entry(&s, &k, STR("y"), wall_add(T0, HOUR));
	is_int((long long)out.n, TL_HOLD + 1, "one byte more ends the line");
	tl_entry(&s, &k, STR("z\n"), wall_add(T0, 2 * HOUR));
	is_str(out.p + TL_HOLD + 1, H1 "0fE+yz\n", "and goes on in the next");

	buf_clear(&out);
	buf_cut(&in, TEXT - 1);
	buf_puts(&in, "\xe2\x82\xac!\n");
	tl_entry(&s, &k, buf_str(&in), T0);
	is_int((long long)out.n, TL_HOLD + TL_HEADER + 5, "a character is not cut in two");
	is_str(out.p + TL_HOLD, H0 "0fE+\xe2\x82\xac!\n", "it goes to the next line whole");
	tl_free(&s);
	tl_sink_free(&k);
	buf_free(&in);
	buf_free(&out);
	mask_set_free(set);
}

static void
test_limit(void)
{
	static const char notice[] = "\n\033[33;1mJob's log exceeded limit of 100 bytes.\n";
	struct mask_set *set = set_of(NULL);
	struct buf out = { .max = 0 }, line = { .max = 0 };
	struct tl_sink k;
	struct tl_stream job, runner;
	size_t before;

	for (int save = 0; save < 2; save++) {
		buf_clear(&out);
		tl_sink_init(&k, &out, 100, false);
		tl_init(&job, set, 1, 'O', TL_JOB);
		for (int i = 0; i < 97; i++)
			tl_entry(&job, &k, STR("x"), T0);
		is_int((long long)out.n, 97, "below the limit all passes");
		if (save)
			save_and_restore(&job, &k, set);
		tl_entry(&job, &k, STR("y\xe2\x82\xaczzzz"), T0);
		ok(out.n > 98 && str_starts(str_of(out.p + 96, out.n - 96), "xy"), "what reaches it is cut before a whole character");
		ok(str_starts(str_of(out.p + 98, out.n - 98), notice), "and a notice says so");
		ok(str_ends(buf_str(&out), "\033[0;m\n"), "which ends its line and colour");
		before = out.n;
		if (save)
			save_and_restore(&job, &k, set);
		tl_entry(&job, &k, STR("more\n"), T0);
		is_int((long long)out.n, (long long)before, "later output is dropped");
		tl_free(&job);
		tl_sink_free(&k);
	}

	buf_clear(&out);
	tl_sink_init(&k, &out, 100, true);
	tl_init(&job, set, 1, 'O', TL_JOB);
	tl_init(&runner, set, 0, 'O', TL_RUNNER);
	tl_entry(&job, &k, STR("0123456789012345678901234567890123456789012345678901234567890123456789\n"), T0);
	is_int((long long)str_find(buf_str(&out), notice), 100, "with timestamps a line is cut as well");
	before = out.n;
	tl_entry(&runner, &k, STR("still there\n"), T0);
	is_str(out.p + before, H0 "00O still there\n", "the runner's lines get through");
	for (int i = 0; i < 1000; i++)
		tl_entry(&runner, &k, STR("noise\n"), T0);
	ok(out.n - before <= TL_RESERVE / 2, "not without end");
	ok(str_ends(buf_str(&out), " noise\n"), "and only whole");
	before = out.n;
	runner.class = TL_FINAL;
	tl_error(&line, "Job failed: %s", "exit code 1");
	tl_entry(&runner, &k, buf_str(&line), T0);
	is_str(out.p + before, H0 "00O \033[31;1mERROR: Job failed: exit code 1\033[0;m\n", "the last word has a place of its own");
	for (int i = 0; i < 1000; i++)
		tl_entry(&runner, &k, STR("noise\n"), T0);
	ok(out.n <= 100 + 200 + TL_RESERVE, "which has an end too");
	is_int((long long)k.written, (long long)out.n, "all is counted");
	tl_free(&job);
	tl_free(&runner);
	tl_sink_free(&k);

	/* A line of the runner that meets the limit itself is not cut. */
	buf_clear(&out);
	tl_sink_init(&k, &out, 50, true);
	tl_init(&runner, set, 0, 'O', TL_RUNNER);
	tl_entry(&runner, &k, STR("a line of more than the whole limit of fifty bytes\n"), T0);
	ok(str_ends(buf_str(&out), H0 "00O a line of more than the whole limit of fifty bytes\n"), "a runner's line at the limit comes whole behind the notice");
	tl_free(&runner);
	tl_sink_free(&k);

	buf_clear(&out);
	tl_sink_init(&k, &out, 0, true);
	is_int((long long)k.limit, 4 << 20, "no limit given means 4 MiB");
	tl_sink_free(&k);
	buf_free(&line);
	buf_free(&out);
	mask_set_free(set);
}

static void
test_styles(void)
{
	struct mask_set *set = set_of(NULL);
	struct buf b = { .max = 0 }, out = { .max = 0 };
	struct tl_sink k;
	struct tl_stream s;

	tl_heading(&b, "Preparing the \"%s\" executor", "docker+machine");
	is_str(b.p, "\033[0K\033[36;1mPreparing the \"docker+machine\" executor\033[0;m\033[0;m\n", "heading");
	buf_clear(&b);
	tl_plain(&b, "Running with %s", "x");
	is_str(b.p, "\033[0KRunning with x\033[0;m\n", "plain");
	buf_clear(&b);
	tl_info(&b, "Job succeeded");
	is_str(b.p, "\033[32;1mJob succeeded\033[0;m\n", "info");
	buf_clear(&b);
	tl_warning(&b, "no %d", 1);
	is_str(b.p, "\033[0;33mWARNING: no 1\033[0;m\n", "warning");
	buf_clear(&b);
	tl_error(&b, "Job failed: exit code %d", 1);
	is_str(b.p, "\033[31;1mERROR: Job failed: exit code 1\033[0;m\n", "error");
	buf_clear(&b);
	tl_section_end(&b, 1772352930, "get_sources");
	is_str(b.p, "section_end:1772352930:get_sources\r\033[0K", "section end");
	buf_clear(&b);

	/* The marker is out before the heading is known. */
	tl_sink_init(&k, &out, 0, true);
	tl_init(&s, set, 0, 'O', TL_RUNNER);
	tl_section_start(&b, 1772352930, "prepare_script[collapsed=true]");
	tl_entry(&s, &k, buf_str(&b), T0);
	is_str(out.p, H0 "00O section_start:1772352930:prepare_script[collapsed=true]\r\033[0K\n", "section start");
	buf_clear(&b);
	buf_clear(&out);
	tl_heading(&b, "Preparing environment");
	tl_entry(&s, &k, buf_str(&b), T0);
	is_str(out.p, H0 "00O+\033[0K\033[36;1mPreparing environment\033[0;m\033[0;m\n", "the heading continues its line");
	tl_free(&s);
	tl_sink_free(&k);
	buf_free(&b);
	buf_free(&out);
	mask_set_free(set);
}

static void
test_times(void)
{
	static const struct { wall_t at; const char *want; } t[] = {
		{ { 0 }, "1970-01-01T00:00:00.000000Z 01O x\n" },
		{ { -1 }, "1969-12-31T23:59:59.999999Z 01O x\n" },
		{ { INT64_C(951782399) * NSEC_SEC + 999999999 }, "2000-02-28T23:59:59.999999Z 01O x\n" },
		{ { INT64_C(951782400) * NSEC_SEC + 1000 }, "2000-02-29T00:00:00.000001Z 01O x\n" },
		{ { INT64_C(951868800) * NSEC_SEC }, "2000-03-01T00:00:00.000000Z 01O x\n" },
		{ { INT64_C(4107542400) * NSEC_SEC }, "2100-03-01T00:00:00.000000Z 01O x\n" },
		{ { INT64_C(1798761599) * NSEC_SEC }, "2026-12-31T23:59:59.000000Z 01O x\n" },
		{ { INT64_MIN }, "1677-09-21T00:12:43.145224Z 01O x\n" },
		{ { INT64_MAX }, "2262-04-11T23:47:16.854775Z 01O x\n" },
	};
	struct mask_set *set = set_of(NULL);
	struct buf out = { .max = 0 };
	struct tl_sink k;
	struct tl_stream s;

	tl_sink_init(&k, &out, 0, true);
	tl_init(&s, set, 1, 'O', TL_JOB);
	for (size_t i = 0; i < NELEM(t); i++) {
		buf_clear(&out);
		tl_entry(&s, &k, STR("x\n"), t[i].at);
		is_str(out.p, t[i].want, "time %lld", (long long)t[i].at.ns);
	}
	tl_free(&s);
	tl_sink_free(&k);
	buf_free(&out);
	mask_set_free(set);
}

static void
test_restore_refuses(void)
{
	static const char *const broken[] = {
		"", "l1", "l2:0:0:0:0:0:0:0:0::;m1:0:0:0:0:0::", "l1:0:0:0:0:0:0:0:0::;", "l1:0:0:0:0:0:0:0:0::",
		"l1:0:0:0:0:0:0:0:2::;m1:0:0:0:0:0::", "l1:0:0:0:0:0:0:0:0:YQ==:;m1:0:0:0:0:0::", "l1:0:0:0:0:0:0:0:0:4oKs:;m1:0:0:0:0:0::",
		"l1:0:0:0:0:0:0:0:0::/w==;m1:0:0:0:0:0::", "l1:0:0:0:0:0:0:0:0::YQph;m1:0:0:0:0:0::", "l1:-1:0:0:0:0:0:0:0::;m1:0:0:0:0:0::",
		"l1:0:0:0:0:0:0:0:0:::;m1:0:0:0:0:0::",
	};
	static const char *const sinks[] = { "", "k1", "k2:0:0:0", "k1:0:0", "k1:0:2:0", "k1:0:0:0:0", "k1:100:0:0", "k1:x:0:0" };
	struct mask_set *set = set_of("x");
	struct tl_stream s;
	struct tl_sink k;
	struct buf out = { .max = 0 };

	is_int(tl_restore(&s, set, 1, 'O', TL_JOB, STR("l1:9:1:-1:5:6:1:1:0:4oI=:YWJj;m1:0:0:0:0:0::")), 0, "a good checkpoint");
	tl_free(&s);
	for (size_t i = 0; i < NELEM(broken); i++)
		is_int(tl_restore(&s, set, 1, 'O', TL_JOB, str_from(broken[i])), -1, "no checkpoint: \"%s\"", broken[i]);
	for (size_t i = 0; i < NELEM(sinks); i++)
		is_int(tl_sink_restore(&k, &out, 100, true, str_from(sinks[i])), -1, "no checkpoint of a sink: \"%s\"", sinks[i]);
	tl_free(&s);
	mask_set_free(set);
}

static void
test_random(void)
{
	static const char *const bits[] = { "\n", "\r", "\r\n", "\xe2\x82\xac", "\xe2\x82", "\xf0\x9f", "\xff", "plain text ", "\xc3\xa9", "\x80", "|", "s", "se", "sec" };
	unsigned bad = 0, bad_masked = 0, bad_limit = 0;
	struct mask_set *none = set_of(NULL), *some = set_of("sese");

	for (unsigned round = 0; round < 3000 && bad + bad_masked + bad_limit < 3; round++) {
		struct ref_line r = { .timestamps = roll(4) > 0 };
		struct buf in = { .max = 0 }, out = { .max = 0 }, whole = { .max = 0 }, small = { .max = 0 };
		struct str rest;
		wall_t at = T0;
		size_t limit = 1 + roll(2000);

		for (unsigned k = roll(60); k > 0; k--) {
			if (roll(200) == 0)
				for (unsigned n = roll(9000); n > 0; n--)
					buf_putc(&in, 'L');
			else
				buf_puts(&in, bits[roll(NELEM(bits))]);
		}
		rest = buf_str(&in);
		while (rest.p != NULL) {
			struct str entry = str_cut(&rest, '|');

			for (size_t i = 0; i < entry.n; i++)
				ref_byte(&r, (unsigned char)entry.p[i], at);
			ref_entry_end(&r);
			at = wall_add(at, HOUR);
		}
		ref_close(&r);
		run(none, buf_str(&in), in.n > 0 ? roll((unsigned)in.n) : 0, roll(2), !r.timestamps, &out);
		if (!str_eq(buf_str(&out), buf_str(&r.out))) {
			printf("# in   %s\n#  got %s\n# want %s\n", in.p, out.p, r.out.p);
			bad++;
		}

		/* With a mask: the same however it is cut. */
		buf_clear(&out);
		run(some, buf_str(&in), 0, false, !r.timestamps, &whole);
		run(some, buf_str(&in), in.n > 0 ? roll((unsigned)in.n) : 0, roll(2), !r.timestamps, &out);
		if (!str_eq(buf_str(&out), buf_str(&whole))) {
			printf("# masked %s\n#  got %s\n# want %s\n", in.p, out.p, whole.p);
			bad_masked++;
		}

		/* With a limit: a prefix of the whole, up to a character. */
		{
			struct tl_sink k;
			struct tl_stream s;

			tl_sink_init(&k, &small, limit, r.timestamps);
			tl_init(&s, none, 1, 'O', TL_JOB);
			rest = buf_str(&in);
			for (at = T0; rest.p != NULL; at = wall_add(at, HOUR))
				tl_entry(&s, &k, str_cut(&rest, '|'), at);
			tl_close(&s, &k);
			if (r.out.n < limit) {
				bad_limit += !str_eq(buf_str(&small), buf_str(&r.out));
			} else {
				size_t n = limit;

				while (n < r.out.n && n > 0 && (r.out.p[n] & 0xc0) == 0x80)
					n--;
				bad_limit += memcmp(small.p, r.out.p, n) != 0 || !str_starts(str_of(small.p + n, small.n - n), "\n\033[33;1mJob's log exceeded");
			}
			tl_free(&s);
			tl_sink_free(&k);
		}
		buf_free(&in);
		buf_free(&out);
		buf_free(&whole);
		buf_free(&small);
		buf_free(&r.out);
	}
	is_int(bad, 0, "random entries agree with the reference");
	is_int(bad_masked, 0, "masked ones are the same however they are cut");
	is_int(bad_limit, 0, "limited ones are the beginning of the whole");
	mask_set_free(none);
	mask_set_free(some);
}

/* A quiet moment: what there is of a line is shown, whole characters of it and nothing of a secret. */
static void
test_pause(void)
{
	static const struct { const char *in; bool stamps; const char *shown; } moments[] = {
		{ "...", true, "01O ...\n" },
		{ "one\ntwo", true, "01O two\n" },
		{ "whole\n", true, "01O whole\n" },
		{ "a\303", true, "01O a\n" },
		{ "a hunter", true, "01O a \n" },
		{ "", true, "" },
		{ "...", false, "..." },
	};
	struct mask_set *set = set_of("hunter2hunter2");

	for (size_t i = 0; i < NELEM(moments); i++) {
		struct buf out = { .max = 4096 };
		struct tl_stream s;
		struct tl_sink k;

		tl_sink_init(&k, &out, 0, moments[i].stamps);
		tl_init(&s, set, 1, 'O', TL_JOB);
		tl_feed(&s, &k, str_from(moments[i].in), T0);
		tl_pause(&s, &k);
		tl_pause(&s, &k);
		ok(str_ends(buf_str(&out), moments[i].shown) && (out.n > 0) == (moments[i].shown[0] != '\0'), "case %zu: \"%s\"", i, out.n > 0 ? out.p : "");
		buf_clear(&out);
		if (i == 0) {
			tl_feed(&s, &k, STR(".\n"), T0);
			ok(str_ends(buf_str(&out), " 01O+.\n"), "the rest goes on: \"%s\"", out.p);
		}
		tl_close(&s, &k);
		tl_sink_free(&k);
		buf_free(&out);
	}
	mask_set_free(set);
}

int
main(void)
{
	test_cases();
	test_long_lines();
	test_limit();
	test_styles();
	test_times();
	test_restore_refuses();
	test_random();
	test_pause();
	return done_testing();
}
