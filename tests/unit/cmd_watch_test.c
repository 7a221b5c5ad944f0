/* cmd/watch: foreign text is harmless, ages are short, tables fit, events are sentences. */
#include "cmd/watch.h"
#include "tap.h"

static struct buf b;

static const char *
clean(const char *s)
{
	buf_clear(&b);
	buf_puts(&b, "");
	watch_put_clean(&b, s);
	return b.p != NULL ? b.p : "";
}

static void
test_words(void)
{
	static const struct { int64_t seconds; const char *want; } ages[] = {
		{ 0, "0s" }, { 59, "59s" }, { 60, "1m0s" }, { 3599, "59m59s" }, { 3600, "1h0m" }, { 86399, "23h59m" }, { 90000, "1d1h" }, { -5, "0s" },
	};
	wall_t now = wall_now();

	is_str(clean("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?", "control characters");
	is_str(clean("\xc2\x9b" "31m"), "?31m", "those of eight bits");
	is_str(clean("gr\xc3\xbc\xc3\x9f \xff"), "gr\xc3\xbc\xc3\x9f ?", "other text stays, broken bytes do not");
	for (size_t i = 0; i < NELEM(ages); i++) {
		buf_clear(&b);
		watch_put_age(&b, now - ages[i].seconds * NSEC_SEC, now);
		is_str(b.p, ages[i].want, "%lld s", (long long)ages[i].seconds);
	}
	buf_clear(&b);
	watch_put_age(&b, 0, now);
	is_str(b.p, "-", "never");
	is_int((long long)watch_columns(STR("gr\xc3\xbc\xc3\x9f")), 4, "columns are characters");
}

static void
test_table(void)
{
	struct watch_table t = { .ncolumns = 3 };
	static const char *const cells[] = { "A", "BB", "NOTE", "long-name", "", "x\ty", "s", "b", "" };

	for (size_t i = 0; i < NELEM(cells); i++)
		watch_cell_text(&t, cells[i]);
	buf_clear(&b);
	watch_table_put(&t, &b, 0, 0);
	is_str(b.p, "A          BB  NOTE\nlong-name  -   x?y\ns          b   -\n", "columns are aligned, nothing trails");
	buf_clear(&b);
	watch_table_put(&t, &b, 12, 0);
	is_str(b.p, "A          B\nlong-name  -\ns          b\n", "lines are cut");
	buf_clear(&b);
	watch_table_put(&t, &b, 0, 2);
	is_str(b.p, "A          BB  NOTE\n... 2 more\n", "and so are rows, which is said");
	watch_table_free(&t);
}

static void
test_events(void)
{
	struct view v = { .pid = 0 };
	static const struct { struct view_event ev; const char *self, *want; } cases[] = {
		{ { 1, "create", "p", "m-1", "", "waiting", "1 job waiting" }, NULL, "m-1 is to be made: 1 job waiting" },
		{ { 1, "create", "p", "m-1", "", "waiting", "1 job waiting" }, "m-1", "is to be made: 1 job waiting" },
		{ { 1, "phase", "p", "m-1", "", "booted", "" }, "m-1", "has come to booted" },
		{ { 1, "assign", "p", "m-1", "42", "oldest", "the oldest" }, "m-1", "gets job 42: the oldest" },
		{ { 1, "assign", "p", "m-1", "42", "oldest", "the oldest" }, "42", "gets m-1: the oldest" },
		{ { 1, "ended", "p", "m-1", "42", "success", "" }, NULL, "job 42 ended on m-1: success" },
		{ { 1, "ended", "p", "m-1", "42", "success", "" }, "m-1", "has run job 42: success" },
		{ { 1, "held", "p", "", "", "growth", "2 fewer" }, NULL, "p: creating is held back: 2 fewer" },
		{ { 1, "manager", "", "", "", "started", "windlass 1" }, NULL, "windlass: started: windlass 1" },
		{ { 1, "of-a-newer-one", "p", "m-1", "", "x", "text\n" }, NULL, "m-1 of-a-newer-one: text?" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		watch_event_text(&b, &v, &cases[i].ev, cases[i].self);
		is_str(b.p, cases[i].want, "%s", cases[i].want);
	}
}

int
main(void)
{
	test_words();
	test_table();
	test_events();
	buf_free(&b);
	return done_testing();
}
