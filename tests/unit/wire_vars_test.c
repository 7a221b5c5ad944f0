/* A job's variables: look-up, expansion, booleans, limits. */
#include <time.h>

#include "core/core.h"
#include "wire/vars.h"

#include "tap.h"

static struct arena arena;

static void
set(struct vars *vs, const char *key, const char *value, unsigned flags)
{
	vars_add(vs, str_from(key), str_from(value), flags);
}

static const char *
value(const struct vars *vs, const char *key)
{
	return arena_dup(&arena, vars_get(vs, key, STR("(none)")));
}

static void
test_list(void)
{
	char key[] = "KEY", val[] = "value";
	struct vars vs;

	vars_init(&vs, &arena);
	ok(vars_find(&vs, STR("A")) == NULL && vars_find(&vs, STR("")) == NULL, "an empty list holds nothing");
	vars_expand_all(&vs);
	is_int((long long)vs.n, 0, "and nothing is expanded");
	is_str(value(&vs, "A"), "(none)", "the default");

	set(&vs, "A", "1", VAR_PUBLIC);
	set(&vs, "B", "2", VAR_MASKED | VAR_RAW);
	set(&vs, "A", "3", VAR_FILE);
	is_str(value(&vs, "A"), "3", "the last entry wins");
	is_int(vars_find(&vs, STR("A"))->flags, VAR_FILE, "with its own flags");
	is_int((long long)vs.n, 3, "the others stay in the list");
	ok(str_eqc(vs.v[0].key, "A") && str_eqc(vs.v[0].value, "1") && vs.v[0].flags == VAR_PUBLIC && str_eqc(vs.v[2].value, "3"), "in their order");
	ok(vars_find(&vs, STR("a")) == NULL && vars_find(&vs, STR("AA")) == NULL && vars_find(&vs, STR("")) == NULL, "names are exact");

	vars_add(&vs, (struct str){ key, 3 }, (struct str){ val, 5 }, 0);
	key[0] = val[0] = 'x';
	is_str(value(&vs, "KEY"), "value", "keys and values are copied");
	vars_add(&vs, STR(""), STR("empty"), 0);
	vars_add(&vs, STR("N\0L"), STR("a\0b"), 0);
	is_str(value(&vs, ""), "empty", "an empty key is a key");
	ok(vars_find(&vs, STR("N\0L"))->value.n == 3 && vars_find(&vs, STR("N")) == NULL, "NUL is a byte like others");
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void
test_many(void)
{
	enum { N = 20000 };
	struct arena a = { 0 };
	struct vars vs;
	double t0 = seconds();
	int wrong = 0;

	vars_init(&vs, &a);
	for (int i = 0; i < N; i++)
		vars_add(&vs, str_from(arena_fmt(&a, "KEY_%d", i % (N / 2))), str_from(arena_fmt(&a, "$KEY_%d/%d", (i + 1) % (N / 2), i)), 0);
	for (int i = 0; i < N / 2; i++) {
		const struct var *v = vars_find(&vs, str_from(arena_fmt(&a, "KEY_%d", i)));

		wrong += v != &vs.v[i + N / 2];
	}
	is_int(wrong, 0, "%d variables, each twice: the last of each is found", N);
	vars_expand_all(&vs);
	for (int i = 0; i < N; i++)
		wrong += !str_eqc(vs.v[i].value, arena_fmt(&a, "$KEY_%d/%d/%d", ((i + 1) % (N / 2) + 1) % (N / 2), (i + 1) % (N / 2) + N / 2, i));
	is_int(wrong, 0, "and each expanded by one level");
	ok(seconds() - t0 < 10, "in no time");
	arena_reset(&a);
}

static void
test_expansion(void)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "", "" }, { "plain", "plain" },
		/* names */
		{ "$A", "a" }, { "x$A", "xa" }, { "$A x", "a x" }, { "$A-$B", "a-b" }, { "$A$B", "ab" }, { "$A.$B/$C", "a.b/" }, { "$AB", "ab!" }, { "$A_B", "under" },
		{ "$_", "one" }, { "$_x9", "x9" }, { "$A9", "" }, { "$UNKNOWN", "" }, { "[$UNKNOWN]", "[]" }, { "$a", "lower" }, { "$A\xc3\xa4", "a\xc3\xa4" }, { "$A\n", "a\n" },
		/* braces */
		{ "${A}", "a" }, { "${A}B", "aB" }, { "x${A}${B}y", "xaby" }, { "${UNKNOWN}", "" }, { "${A B}", "odd" }, { "${A:-x}", "" }, { "${A-x}", "" }, { "${#A}", "" },
		{ "${A$B}", "" }, { "${A{B}", "" }, { "${A}}", "a}" }, { "${ A}", "" }, { "${\xc3\xa4}", "umlaut" }, { "${9}", "" }, { "${99}", "numeric" },
		/* broken braces */
		{ "${}", "" }, { "x${}y", "xy" }, { "${", "" }, { "x${", "x" }, { "${A", "A" }, { "x${A y", "xA y" }, { "${${A}", "" }, { "${$A", "a" }, { "${A$B", "Ab" },
		/* dollars */
		{ "$$", "$" }, { "$$A", "$A" }, { "$$$A", "$a" }, { "$$$$", "$$" }, { "${$}", "$" }, { "${$}A", "$A" }, { "${$$}", "" }, { "$${A}", "${A}" },
		{ "$", "$" }, { "x$", "x$" }, { "$$$", "$$" }, { "$ A", "$ A" }, { "$.", "$." }, { "$/", "$/" }, { "$\"A\"", "$\"A\"" }, { "$(A)", "$(A)" }, { "$}", "$}" },
		{ "$=", "$=" }, { "$\xc3\xa4", "$\xc3\xa4" }, { "$\n", "$\n" }, { "$+", "$+" }, { "$%", "$%" }, { "100$", "100$" },
		/* the shell's own */
		{ "$*", "" }, { "$#", "" }, { "$@", "" }, { "$!", "" }, { "$?", "" }, { "$-", "" }, { "$0", "" }, { "$1", "" }, { "$9", "" }, { "$1A", "A" }, { "$12", "2" },
		{ "${*}", "" }, { "${#}", "" }, { "${@}", "" }, { "${!}", "" }, { "${?}", "" }, { "${-}", "" }, { "${1}", "" }, { "${*}x", "x" }, { "$*A", "A" }, { "$@$A", "a" },
		/* what is put in is not looked into */
		{ "$REF", "$A ${B} $$" }, { "$RAW", "$A" }, { "$DOLLAR{A}", "${A}" },
		/* file variables are paths */
		{ "$FILE", "/tmp/dir/FILE" }, { "${FILE}.bak", "/tmp/dir/FILE.bak" },
		/* the last entry counts */
		{ "$TWICE", "second" },
	};
	struct buf b = { 0 };
	struct vars vs;

	vars_init(&vs, &arena);
	vs.file_dir = STR("/tmp/dir");
	set(&vs, "A", "a", 0);
	set(&vs, "B", "b", 0);
	set(&vs, "AB", "ab!", 0);
	set(&vs, "A_B", "under", 0);
	set(&vs, "_", "one", 0);
	set(&vs, "_x9", "x9", 0);
	set(&vs, "a", "lower", 0);
	set(&vs, "A B", "odd", 0);
	set(&vs, "\xc3\xa4", "umlaut", 0);
	set(&vs, "9", "never", 0);
	set(&vs, "99", "numeric", 0);
	set(&vs, "$", "never", 0);
	set(&vs, "*", "never", 0);
	set(&vs, "", "never", 0);
	set(&vs, "REF", "$A ${B} $$", 0);
	set(&vs, "RAW", "$A", VAR_RAW);
	set(&vs, "DOLLAR", "$", 0);
	set(&vs, "FILE", "content", VAR_FILE);
	set(&vs, "TWICE", "first", 0);
	set(&vs, "TWICE", "second", 0);

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct str r;

		buf_clear(&b);
		vars_expand(&vs, str_from(cases[i].text), &b);
		is_str(buf_str(&b).p, cases[i].want, "expanded: case %zu", i);
		r = vars_expand_str(&vs, str_from(cases[i].text));
		ok(r.p != NULL && str_eqc(r, cases[i].want), "  the same as a string");
	}
	buf_clear(&b);
	buf_puts(&b, "before ");
	vars_expand(&vs, (struct str){ "$AB", 2 }, &b);
	is_str(buf_str(&b).p, "before a", "appended, and a view ends where it ends");
	buf_clear(&b);
	vars_expand(&vs, (struct str){ "${A}", 3 }, &b);
	is_str(buf_str(&b).p, "A", "a brace behind the end is none");
	buf_clear(&b);
	vars_expand(&vs, STR_NULL, &b);
	ok(b.n == 0 && vars_expand_str(&vs, STR_NULL).p != NULL, "the null view is empty");
	struct str same = STR("no dollar");
	ok(vars_expand_str(&vs, same).p == same.p, "text without a dollar is not copied");

	static const struct { const char *dir, *want; } dirs[] = { { "", "F" }, { "/d", "/d/F" }, { "/d/", "/d/F" }, { "/", "/F" } };
	for (size_t i = 0; i < NELEM(dirs); i++) {
		vars_init(&vs, &arena);
		vs.file_dir = str_from(dirs[i].dir);
		set(&vs, "F", "content", VAR_FILE | VAR_MASKED);
		ok(str_eqc(vars_expand_str(&vs, STR("$F")), dirs[i].want), "a file variable below '%s'", dirs[i].dir);
		is_str(value(&vs, "F"), "content", "  its content when it is asked for");
	}
	buf_free(&b);
}

static void
test_expand_all(void)
{
	struct vars vs;

	vars_init(&vs, &arena);
	vs.file_dir = STR("/f");
	set(&vs, "A", "$B", 0);
	set(&vs, "B", "[$C]", 0);
	set(&vs, "C", "c", 0);
	set(&vs, "SELF", "$SELF+", 0);
	set(&vs, "PATH", "/bin", 0);
	set(&vs, "PATH", "$PATH:/x", 0);
	set(&vs, "RAW", "$A $$", VAR_RAW | VAR_MASKED);
	set(&vs, "USES_RAW", "<$RAW>", VAR_PUBLIC);
	set(&vs, "FILE", "in file: $C", VAR_FILE);
	set(&vs, "USES_FILE", "$FILE", 0);
	set(&vs, "GONE", "$NOBODY", 0);
	set(&vs, "C", "last", 0);
	vars_expand_all(&vs);
	is_str(value(&vs, "A"), "[$C]", "one pass: the unexpanded value is put in");
	is_str(value(&vs, "B"), "[last]", "of the last entry, wherever it stands");
	is_str(value(&vs, "SELF"), "$SELF++", "a variable in itself");
	is_str(value(&vs, "PATH"), "$PATH:/x:/x", "is its own last entry, not the one before");
	is_str(value(&vs, "RAW"), "$A $$", "a raw one is left alone");
	is_str(value(&vs, "USES_RAW"), "<$A $$>", "and put in as it is");
	is_str(value(&vs, "FILE"), "in file: last", "a file's content is expanded");
	is_str(value(&vs, "USES_FILE"), "/f/FILE", "and put in as a path");
	is_str(value(&vs, "GONE"), "", "an unknown name leaves nothing");
	is_int(vars_find(&vs, STR("USES_RAW"))->flags, VAR_PUBLIC, "flags stay");
	ok(str_eqc(vs.v[2].value, "c") && str_eqc(vs.v[4].value, "/bin"), "earlier entries stay what they were");
	ok(!vs.too_large, "nothing was too large");
}

static void
test_limits(void)
{
	struct arena a = { 0 };
	struct buf refs = { .max = 32u << 20 }, big = { .max = 32u << 20 }, out = { .max = 100 };
	struct vars vs;
	double t0 = seconds();

	for (int i = 0; i < 100000; i++) {
		buf_puts(&refs, "$BIG");
		buf_puts(&big, "0123456789");
	}
	vars_init(&vs, &a);
	vars_add(&vs, STR("BIG"), buf_str(&big), 0);
	set(&vs, "SMALL", "<$X>", 0);
	set(&vs, "X", "x", 0);
	vars_add(&vs, STR("BOMB"), buf_str(&refs), 0);
	set(&vs, "AFTER", "$X", 0);
	ok(vars_expand_str(&vs, buf_str(&refs)).p == NULL, "a text of 100,000 megabytes is refused");
	vars_expand(&vs, buf_str(&refs), &out);
	ok(out.failed, "and fails the caller's buffer");
	vars_expand_all(&vs);
	ok(vs.too_large, "nor is it made for a variable");
	is_str(arena_dup(&a, vars_get(&vs, "SMALL", STR(""))), "<x>", "those before it are done");
	is_str(arena_dup(&a, vars_get(&vs, "AFTER", STR(""))), "$X", "those behind it are not");

	vars_init(&vs, &a);
	vars_add(&vs, STR("BIG"), buf_str(&big), 0);
	for (int i = 0; i < 20; i++)
		vars_add(&vs, str_from(arena_fmt(&a, "V%d", i)), STR("$BIG"), 0);
	vars_expand_all(&vs);
	ok(vs.too_large && str_eqc(vars_get(&vs, "V19", STR("")), "$BIG"), "all of them together are limited too");

	buf_clear(&big);
	for (int i = 0; i < 2000000; i++)
		buf_puts(&big, "${");
	out.max = 0;
	buf_clear(&out);
	vars_expand(&vs, buf_str(&big), &out);
	ok(out.n == 0 && !out.failed, "four megabytes of open braces");
	ok(seconds() - t0 < 10, "none of which takes long");
	buf_free(&refs);
	buf_free(&big);
	buf_free(&out);
	arena_reset(&a);
}

static void
test_bool(void)
{
	static const struct { const char *value; bool want, bad; } cases[] = {
		{ "1", true, false }, { "t", true, false }, { "T", true, false }, { "TRUE", true, false }, { "true", true, false }, { "True", true, false },
		{ "0", false, false }, { "f", false, false }, { "F", false, false }, { "FALSE", false, false }, { "false", false, false }, { "False", false, false },
		{ " true\n", true, false }, { "yes", false, true }, { "on", false, true }, { "2", false, true }, { "tRUE", false, true }, { "true x", false, true },
		{ "$TRUE", false, true },
	};
	struct vars vs;
	bool bad;

	for (size_t i = 0; i < NELEM(cases); i++) {
		vars_init(&vs, &arena);
		set(&vs, "X", cases[i].value, VAR_FILE);
		bad = !cases[i].bad;
		is_int(vars_bool(&vs, "X", false, &bad), cases[i].want, "boolean %zu, default false", i);
		is_int(bad, cases[i].bad, "  is one or not");
		is_int(vars_bool(&vs, "X", true, NULL), cases[i].want || cases[i].bad, "  default true");
	}
	vars_init(&vs, &arena);
	bad = true;
	ok(vars_bool(&vs, "X", true, &bad) && !bad && !vars_bool(&vs, "X", false, NULL), "not set: the default, and not bad");
	set(&vs, "X", "", 0);
	bad = true;
	ok(vars_bool(&vs, "X", true, &bad) && !bad && !vars_bool(&vs, "X", false, NULL), "empty: the same");
}

int
main(void)
{
	static const char *const good[] = { "A", "_", "a9", "_9", "CI_JOB_ID", "zZ_09" };
	static const char *const bad[] = { "", "9", "9A", "A-B", "A B", "A.B", "\xc3\xa4", "A\n", "A=B", "$A" };

	test_list();
	test_many();
	test_expansion();
	test_expand_all();
	test_limits();
	test_bool();
	for (size_t i = 0; i < NELEM(good); i++)
		ok(vars_name_ok(str_from(good[i])), "a name for a shell: %s", good[i]);
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!vars_name_ok(str_from(bad[i])), "no name for a shell, %zu", i);
	ok(!vars_name_ok(STR("A\0")), "nor one with NUL");
	arena_reset(&arena);
	return done_testing();
}
