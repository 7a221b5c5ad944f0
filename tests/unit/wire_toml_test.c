/* TOML: places, complaints and look-ups. What values mean is checked with the public suite (toml_suite.t). */
#include <math.h>

#include "core/buf.h"
#include "wire/toml.h"

#include "tap.h"

static struct arena arena;

static struct toml *
parse(const char *text)
{
	struct toml *root = NULL;
	struct err e = { 0 };

	if (toml_parse(&arena, str_from(text), &root, &e) < 0) {
		printf("# %s\n", e.msg);
		return NULL;
	}
	return root;
}

/* "a.b.0.c" */
static struct toml *
find(struct toml *t, const char *path)
{
	struct str rest = str_from(path);

	while (rest.p != NULL && t != NULL) {
		struct str name = str_cut(&rest, '.');
		uint64_t i;

		if (t->type == TOML_ARRAY && str_to_u64(name, &i) == 0)
			for (t = t->first; t != NULL && i > 0; i--)
				t = t->next;
		else
			t = toml_get_exact(t, name);
	}
	return t;
}

static const char *
span(const char *text, size_t at, size_t end)
{
	if (at > end || end > strlen(text))
		return "(outside)";
	return arena_dup(&arena, str_of(text + at, end - at));
}

static const char example[] =
	"# the whole\n"
	"concurrent = 10 # jobs\n"
	"\"log level\"=\t'debug'\n"
	"\n"
	"  [session_server]\n"
	"    session_timeout = 1_800\n"
	"\n"
	"# first runner\n"
	"[[runners]]\n"
	"  name = \"b\\u00e4stion\"\n"
	"  docker.image = \"x\"\n"
	"  docker.volumes = [\n"
	"    \"/cache\", # kept\n"
	"    \"/x:/y\",\n"
	"  ]\n"
	"  [runners.machine]\n"
	"    MachineOptions = [ { a = 1, b.c = true } ]\n"
	"\n"
	"[[runners]]\n"
	"  name = '''\n"
	"two\n"
	"lines'''\n"
	"[a.b]\n"
	"x = 2026-03-01 08:15:30.5+01:30\n"
	"[a]\n"
	"y = -inf";

static void
test_places(void)
{
	static const struct { const char *path, *key, *text; int line, column; } want[] = {
		{ "concurrent", "concurrent", "10", 2, 14 },
		{ "log level", "\"log level\"", "'debug'", 3, 14 },
		{ "session_server", "session_server", "  [session_server]\n    session_timeout = 1_800\n", 5, 3 },
		{ "session_server.session_timeout", "session_timeout", "1_800", 6, 23 },
		{ "runners.0", NULL, "[[runners]]\n  name = \"b\\u00e4stion\"\n  docker.image = \"x\"\n  docker.volumes = [\n    \"/cache\", # kept\n    \"/x:/y\",\n  ]\n", 9, 1 },
		{ "runners.0.name", "name", "\"b\\u00e4stion\"", 10, 10 },
		{ "runners.0.docker", "docker", "docker.image = \"x\"\n  docker.volumes = [\n    \"/cache\", # kept\n    \"/x:/y\",\n  ]", 11, 3 },
		{ "runners.0.docker.image", "image", "\"x\"", 11, 18 },
		{ "runners.0.docker.volumes", "volumes", "[\n    \"/cache\", # kept\n    \"/x:/y\",\n  ]", 12, 20 },
		{ "runners.0.docker.volumes.1", NULL, "\"/x:/y\"", 14, 5 },
		{ "runners.0.machine", "machine", "  [runners.machine]\n    MachineOptions = [ { a = 1, b.c = true } ]\n", 16, 3 },
		{ "runners.0.machine.MachineOptions.0", NULL, "{ a = 1, b.c = true }", 17, 24 },
		{ "runners.0.machine.MachineOptions.0.b", "b", "b.c = true", 17, 33 },
		{ "runners.0.machine.MachineOptions.0.b.c", "c", "true", 17, 39 },
		{ "runners.1", NULL, "[[runners]]\n  name = '''\ntwo\nlines'''\n", 19, 1 },
		{ "runners.1.name", "name", "'''\ntwo\nlines'''", 20, 10 },
		{ "a.b", "b", "[a.b]\nx = 2026-03-01 08:15:30.5+01:30\n", 23, 1 },
		{ "a.b.x", "x", "2026-03-01 08:15:30.5+01:30", 24, 5 },
		{ "a", "a", "[a]\ny = -inf", 25, 1 },
		{ "a.y", "y", "-inf", 26, 5 },
	};
	struct toml *root = parse(example), *v;

	for (size_t i = 0; i < NELEM(want); i++) {
		v = find(root, want[i].path);
		if (!ok(v != NULL, "%s is there", want[i].path))
			continue;
		is_str(span(example, v->at, v->end), want[i].text, "%s, its text", want[i].path);
		ok(v->line == want[i].line && v->column == want[i].column, "%s stands in line %d, column %d (want %d, %d)",
		    want[i].path, v->line, v->column, want[i].line, want[i].column);
		if (want[i].key != NULL)
			is_str(span(example, v->key_at, v->key_end), want[i].key, "%s, its key", want[i].path);
		else
			ok(v->key.p == NULL, "%s has no key", want[i].path);
	}
	is_str(span(example, root->at, root->end), "# the whole\nconcurrent = 10 # jobs\n\"log level\"=\t'debug'\n", "the root's own body");
	is_int((long long)root->n, 5, "the root has five members");
	v = find(root, "runners");
	ok(v->array_of_tables && v->n == 2 && !v->is_inline, "runners is an array of two tables");
	ok(!find(root, "runners.0.docker.volumes")->array_of_tables, "volumes is none");
	ok(find(root, "runners.0.machine.MachineOptions.0")->is_inline && find(root, "runners.0.machine.MachineOptions.0.b")->is_inline,
	    "an inline table, and what is dotted in it");
	ok(!find(root, "runners.0.docker")->is_inline, "a dotted table outside is not inline");
}

static void
test_values(void)
{
	struct toml *root = parse(example), *v;
	const char *bom = "\xef\xbb\xbf" "a = 1\n\xc3\xa4 = 2\n";
	struct err e = { 0 };

	is_int(find(root, "session_server.session_timeout")->i, 1800, "an integer");
	ok(str_eqc(find(root, "runners.0.name")->s, "b\xc3\xa4stion"), "an escape");
	ok(str_eqc(find(root, "runners.1.name")->s, "two\nlines"), "several lines");
	ok(find(root, "log level")->s.p == strstr(example, "debug"), "a string without escapes is a view");
	v = find(root, "a.b.x");
	ok(v->type == TOML_DATETIME && v->date.year == 2026 && v->date.hour == 8 && v->date.nsec == 500000000 && v->date.offset_min == 90,
	    "a date and time");
	ok(isinf(find(root, "a.y")->f) && find(root, "a.y")->f < 0, "minus infinity");

	is_int(toml_parse(&arena, str_from(bom), &root, &e), -1, "keys are ASCII or quoted");
	is_str(e.msg, "line 2, column 1: a key is missing before a character that is not ASCII; keys with other characters than A-Z a-z 0-9 _ - are written in quotes", "also behind a byte order mark");
	root = parse("\xef\xbb\xbf" "a = 1");
	is_int(find(root, "a")->column, 5, "which is no column");
	is_int((long long)root->at, 3, "and stays in front of the root");

	root = parse("s = '''\r\na\r\nb'''\r\nt = \"\"\"x\\  \r\n  y\"\"\"\r\n");
	ok(str_eqc(find(root, "s")->s, "a\nb"), "CRLF in a string of lines is LF: it may be a script");
	ok(str_eqc(find(root, "t")->s, "xy"), "and goes with a line's backslash");
	root = parse("a = [ \"\xe2\x82\xac\xe2\x82\xac\", 1 ]");
	is_int(find(root, "a.1")->column, 13, "columns are characters");
	root = parse("");
	ok(root != NULL && root->n == 0 && root->first == NULL && root->end == 0, "an empty text is an empty table");
	ok(toml_parse(&arena, STR_NULL, &root, &e) == 0 && root->n == 0, "and so is none");
	root = parse("i = [-9223372036854775808, 9223372036854775807, 0x7fffffffffffffff, -0]");
	is_int(find(root, "i.0")->i, INT64_MIN, "the least integer");
	is_int(find(root, "i.2")->i, INT64_MAX, "the greatest one");
}

static void
test_get(void)
{
	struct toml *t = parse("Limit = 1\nlimit = 2\nIdleCount = 3\n[Docker]\n\"\" = 4\n");

	is_int(toml_get(t, "limit")->i, 2, "the exact name comes first");
	is_int(toml_get(t, "Limit")->i, 1, "whichever it is");
	is_int(toml_get(t, "LIMIT")->i, 1, "else the first one in any case");
	is_int(toml_get(t, "idlecount")->i, 3, "in any case");
	ok(toml_get(t, "idle") == NULL && toml_get(t, "") == NULL, "no other");
	ok(toml_get_exact(t, STR("idlecount")) == NULL, "exactly is exactly");
	is_int(toml_get(toml_get(t, "docker"), "")->i, 4, "an empty key is a key");
	ok(toml_get(NULL, "x") == NULL, "nothing in nothing");
	is_str(toml_type_name(TOML_ARRAY), "an array", "types have names");
}

static const struct { const char *text, *msg; } broken[] = {
	{ "concurrent = ten\n", "line 1, column 14: this is no value; strings are written in \"quotes\"" },
	{ "a = 1\n\n  b = True # no\n", "line 3, column 7: a boolean is written in small letters: true or false" },
	{ "a = \xe2\x80\x9cx\xe2\x80\x9d\n", "line 1, column 5: a value is missing before a typographic quote (write \" or ')" },
	{ "a = \"C:\\Users\"\n", "line 1, column 8: \\U needs 8 hexadecimal digits; write a backslash as \\\\, or use 'single quotes'" },
	{ "a = \"C:\\dir\"\n", "line 1, column 8: there is no escape of backslash and 'd'; write a backslash as \\\\, or use 'single quotes'" },
	{ "a = \"glrt-secret\nb = 1\n", "line 1, column 5: the string that begins here is not closed on its line; \" is missing" },
	{ "a = '''x\n", "line 1, column 5: the string that begins here has no end; ''' is missing" },
	{ "a = [1,\n2\nb = 3\n", "line 3, column 1: between elements of an array a comma must stand, not 'b'" },
	{ "a = [1,\n2\n", "line 1, column 5: the array that begins here has no end; ] is missing" },
	{ "a = {b = 1\n}\n", "line 1, column 5: the inline table that begins here is not closed on its line; } is missing" },
	{ "a = {b = 1,}\n", "line 1, column 12: no comma may stand before the } of an inline table" },
	{ "[[runners]\n", "line 1, column 11: a table's header that begins with [[ must end with ]], but the end of the line follows" },
	{ "[runners\n", "line 1, column 9: a table's header that begins with [ must end with ], but the end of the line follows" },
	{ "[[runners]]\n[runners]\n", "line 2, column 2: \"runners\" is an array of tables since line 1; write [[...]]" },
	{ "[a]\nx=1\n[a]\n", "line 3, column 2: \"a\" is given twice, first in line 1" },
	{ "x = 1\n\ny = 2\n\"x\" = 3\n", "line 4, column 1: \"x\" is given twice, first in line 1" },
	{ "x = [\n1]\nx = 2\n", "line 3, column 1: \"x\" is given twice, first in line 1" },
	{ "x = 1\nx.y = 2\n", "line 2, column 1: \"x\" is an integer since line 1 and has no members" },
	{ "x = 1\n[x.y]\n", "line 2, column 2: \"x\" is an integer since line 1 and cannot have tables in it" },
	{ "[a.b]\n[a]\nb.c = 1\n", "line 3, column 1: the table \"b\" of line 1 cannot be added to here" },
	{ "a = 1 b = 2\n", "line 1, column 7: a value must be the last thing on its line, but 'b' follows" },
	{ "[a] b = 2\n", "line 1, column 5: a table's header must be the last thing on its line, but 'b' follows" },
	{ "key\n", "line 1, column 4: behind a key '=' must stand, not the end of the line" },
	{ "key = ", "line 1, column 7: a value is missing before the end of the file" },
	{ "= 1\n", "line 1, column 1: a key is missing before '='; keys with other characters than A-Z a-z 0-9 _ - are written in quotes" },
	{ "port = 0644\n", "line 1, column 8: a number must not begin with 0; write a word in quotes, and a number in base 8 with 0o" },
	{ "n = 9223372036854775808\n", "line 1, column 5: the number does not fit in 64 bits" },
	{ "t = 2026-02-30\n", "line 1, column 5: there is no such date or time; they are written as 2026-03-01, 08:15:30 or 2026-03-01T08:15:30Z" },
	{ "a = 1.5.2\n", "line 1, column 5: this is neither a number nor a date; strings are written in \"quotes\"" },
	{ "a = 1\nb = \"\xff\"\n", "line 2, column 6: byte 0xff is not UTF-8; save the file as UTF-8" },
	{ "\xff\xfe" "a\n", "line 1, column 1: this is UTF-16; save the file as UTF-8" },
	{ "a = \"x\ty\001\"\n", "line 1, column 9: a string must not hold byte 0x01 as it is; write it as an escape" },
	{ "a = 1 # \001\n", "line 1, column 9: a comment must not hold byte 0x01" },
	{ "a = 1\rb = 2\n", "line 1, column 6: a value must be the last thing on its line, but byte 0x0d follows" },
};

static void
test_complaints(void)
{
	for (size_t i = 0; i < NELEM(broken); i++) {
		struct toml *root;
		struct err e = { 0 };
		int rc = toml_parse(&arena, str_from(broken[i].text), &root, &e), line = 0;

		sscanf(broken[i].msg, "line %d", &line);
		is_str(rc < 0 ? e.msg : "(accepted)", broken[i].msg, "complaint %zu", i + 1);
		ok(e.kind == ERR_PARSE && e.sys == line, "complaint %zu is of its kind and line", i + 1);
	}
}

/* Depth is limited where it is recursion, and long texts take time by their length only. */
static void
test_limits(void)
{
	struct buf b = { .max = 64u << 20 };
	struct toml *root;
	struct err e = { 0 };

	buf_puts(&b, "a = ");
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	is_int(toml_parse(&arena, buf_str(&b), &root, &e), -1, "brackets without end");
	is_str(e.msg, "line 1, column 69: values in each other more than 64 deep", "are refused in time");
	buf_clear(&b);
	for (int i = 0; i < 100; i++)
		buf_puts(&b, "x.");
	buf_puts(&b, "x = 1");
	is_int(toml_parse(&arena, buf_str(&b), &root, &e), -1, "a key of a hundred parts");
	is_str(e.msg, "line 1, column 129: a key of more than 64 parts", "is refused");
	buf_clear(&b);
	buf_puts(&b, "a = [");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "1,");
	buf_puts(&b, "]\n");
	for (int i = 0; i < 20000; i++)
		buf_puts(&b, "[[t]]\n x = 1\n");
	ok(toml_parse(&arena, buf_str(&b), &root, &e) == 0 && find(root, "a")->n == 100000 && find(root, "t")->n == 20000, "100,000 elements in a line, 20,000 tables");
	is_int(find(root, "a")->last->column, 200004, "the last one's column");
	is_int(find(root, "t")->last->line, 40000, "the last one's line");
	buf_free(&b);
}

int
main(void)
{
	test_places();
	test_values();
	test_get();
	test_complaints();
	test_limits();
	arena_reset(&arena);
	return done_testing();
}
