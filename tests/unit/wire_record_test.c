/* wire/record: what is made by a table is read by it, and nothing else is. */
#include "tap.h"
#include "wire/record.h"

struct sample { int64_t number, maybe; struct str line, bytes; struct record_list list; };

static const struct record_field fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct sample, number), 1000 },
	{ 'm', RECORD_NUMBER, false, offsetof(struct sample, maybe), 0 },
	{ 'l', RECORD_LINE, true, offsetof(struct sample, line), 5 },
	{ 'b', RECORD_BYTES, false, offsetof(struct sample, bytes), 3 },
	{ 'v', RECORD_LIST, false, offsetof(struct sample, list), 2 },
};
static const struct record_type type = { "a sample", fields, NELEM(fields), 'S' };

static void
test_there_and_back(void)
{
	struct sample in = { 7, INT64_MAX, STR("a b"), { "\0\n\377", 3 }, { { STR("x"), STR(""), STR("yz") }, 3 } }, out;
	struct buf b = { 0 };

	memset(&out, 0x55, sizeof(out));
	record_put(&type, &in, &b);
	is_int(b.failed, false, "a full sample can be said");
	is_int(record_get(&type, buf_str(&b), &out, NULL), 0, "  and is read");
	ok(out.number == 7 && out.maybe == INT64_MAX && str_eq(out.line, in.line) && str_eq(out.bytes, in.bytes), "  the same");
	ok(out.list.n == 3 && str_eq(out.list.v[0], in.list.v[0]) && out.list.v[1].n == 0 && str_eq(out.list.v[2], in.list.v[2]), "  and its list");
	for (size_t n = 0; n < b.n; n++)
		if (record_get(&type, str_sub(buf_str(&b), 0, n), &out, NULL) == 0 && out.list.n == 3)
			ok(false, "the first %zu bytes are no sample", n);
	buf_clear(&b);
	record_put(&type, &(struct sample){ .number = 0, .line = STR("") }, &b);
	memset(&out, 0x55, sizeof(out));
	is_int(record_get(&type, buf_str(&b), &out, NULL), 0, "one of two fields");
	ok(out.number == 0 && out.maybe == 0 && out.line.n == 0 && out.bytes.p == NULL && out.list.n == 0, "  what it lacks is nothing");
	buf_free(&b);
}

static void
test_unsayable(void)
{
	static const struct { const char *what; struct sample s; } cases[] = {
		{ "a number above its limit", { .number = 1001 } },
		{ "one below nothing", { .number = -1 } },
		{ "a line that is too long", { .line = STR("123456") } },
		{ "a line with a newline", { .line = STR("a\nb") } },
		{ "a line with a NUL", { .line = { "a\0b", 3 } } },
		{ "bytes that are too many", { .bytes = STR("1234") } },
		{ "an element that is too long", { .list = { { STR("123") }, 1 } } },
		{ "a list that is too long", { .list = { .n = RECORD_LIST_MAX + 1 } } },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };

		record_put(&type, &cases[i].s, &b);
		is_int(b.failed, true, "%s cannot be said", cases[i].what);
		buf_free(&b);
	}
}

/* Fields by hand: a number has eight bytes. */
#define N(tag, low)	tag "\10\0\0\0" low "\0\0\0\0\0\0\0"
#define L(text)		"l" text
#define LINE		"l\1\0\0\0x"

static void
test_refused(void)
{
	static const struct { const char *what; struct str in; int rc; const char *why; } cases[] = {
		{ "the least", STR("S" N("n", "\1") LINE), 0, "" },
		{ "nothing", STR(""), -1, "a sample was expected" },
		{ "another kind", STR("T" N("n", "\1") LINE), -1, "a sample was expected" },
		{ "a field missing", STR("S" LINE), -1, "its field 'n' is missing" },
		{ "all fields missing", STR("S"), -1, "its field 'n' is missing" },
		{ "a field twice", STR("S" N("n", "\1") N("n", "\1") LINE), -1, "its field 'l' is missing" },
		{ "fields in another order", STR("S" LINE N("n", "\1")), -1, "its field 'n' is missing" },
		{ "an unknown field", STR("S" N("n", "\1") LINE N("z", "\1")), -1, "more than its fields" },
		{ "a byte too many", STR("S" N("n", "\1") LINE "v"), -1, "more than its fields" },
		{ "a number of one byte", STR("Sn\1\0\0\0\1" LINE), -1, "its field 'n' is wrong" },
		{ "a number above its limit", STR("S" "n\10\0\0\0\0\377\0\0\0\0\0\0" LINE), -1, "its field 'n' is wrong" },
		{ "a number below nothing", STR("S" "n\10\0\0\0\1\0\0\0\0\0\0\200" LINE), -1, "its field 'n' is wrong" },
		{ "a line with a newline", STR("S" N("n", "\1") L("\1\0\0\0\n")), -1, "its field 'l' is wrong" },
		{ "a line with an escape", STR("S" N("n", "\1") L("\1\0\0\0\33")), -1, "its field 'l' is wrong" },
		{ "a line that is too long", STR("S" N("n", "\1") L("\6\0\0\0123456")), -1, "its field 'l' is wrong" },
		{ "a length behind the end", STR("S" N("n", "\1") L("\2\0\0\0x")), -1, "its field 'l' is wrong" },
		{ "the largest length", STR("S" N("n", "\1") L("\377\377\377\377x")), -1, "its field 'l' is wrong" },
		{ "a length that is cut", STR("S" N("n", "\1") "l\1\0"), -1, "its field 'l' is missing" },
		{ "an element that is too long", STR("S" N("n", "\1") LINE "v\3\0\0\0xyz"), -1, "its field 'v' is wrong" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = { 0 };
		struct sample s;

		is_int(record_get(&type, cases[i].in, &s, &e), cases[i].rc, "%s", cases[i].what);
		ok(strstr(e.msg, cases[i].why) != NULL && e.kind == (cases[i].rc < 0 ? ERR_PROTO : ERR_NONE), "  %s", e.msg);
	}
}

static void
test_long_list(void)
{
	struct buf b = { 0 };
	struct sample s;

	buf_putstr(&b, STR("S" N("n", "\1") LINE));
	for (int i = 0; i < RECORD_LIST_MAX; i++)
		buf_putstr(&b, STR("v\1\0\0\0x"));
	is_int(record_get(&type, buf_str(&b), &s, NULL), 0, "as long a list as there may be");
	is_int((long long)s.list.n, RECORD_LIST_MAX, "  is whole");
	buf_putstr(&b, STR("v\1\0\0\0x"));
	is_int(record_get(&type, buf_str(&b), &s, NULL), -1, "one more is refused");
	buf_free(&b);
}

static void
test_line(void)
{
	struct buf b = { 0 };

	record_line(&b, STR("boom\ni some/image:1\r\33[0m\177\t."), 100);
	is_str(buf_str(&b).p, "boom i some/image:1  [0m  .", "control characters of others are blanks");
	ok(record_is_line(buf_str(&b), 100) && !record_is_line(buf_str(&b), 5), "  and so it is a line");
	buf_clear(&b);
	record_line(&b, STR("123456"), 5);
	is_str(buf_str(&b).p, "12345", "it is cut");
	buf_free(&b);
}

int
main(void)
{
	test_there_and_back();
	test_unsayable();
	test_refused();
	test_long_list();
	test_line();
	return done_testing();
}
