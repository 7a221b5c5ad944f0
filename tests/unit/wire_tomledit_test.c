/*
 * Editing TOML in place: what the text looks like afterwards, byte for byte. That nothing else changes, for any
 * text, is what tests/fuzz/tomledit_fuzz.c is for.
 */
#include "wire/tomledit.h"

#include "tap.h"

/* "a.b.0.c"; "" is the root */
static struct toml *
find(struct toml *t, const char *path)
{
	struct str rest = str_from(path);

	while (rest.n > 0 && t != NULL) {
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

enum op { SET, TAKE, APPEND };

static const struct {
	const char	*name;
	enum op		 op;
	const char	*before, *path, *key, *value, *after;
} cases[] = {
	/* values */
	{ "a value gives way, its comment stays", SET, "a  =\t1 # one\nb = 2\n", "", "a", "\"x\"", "a  =\t\"x\" # one\nb = 2\n" },
	{ "a key in other case is that key", SET, "[[r]]\nToken = 'x'\n", "r.0", "token", "\"y\"", "[[r]]\nToken = \"y\"\n" },
	{ "a list of several lines is one value", SET, "a = [\n 1, # x\n 2 ]\nb = 1\n", "", "a", "[]", "a = []\nb = 1\n" },
	{ "a string of several lines too", SET, "a = \"\"\"\nx\n\"\"\"\n", "", "a", "1", "a = 1\n" },
	{ "in braces", SET, "a = { b = 1, c = 2 } # c\n", "a", "b", "3", "a = { b = 3, c = 2 } # c\n" },
	/* new keys */
	{ "a new key goes behind the others, indented as they are", SET,
	    "[[runners]]\n    name = 'a'  # n\n    # more\n\n  [runners.docker]\n", "runners.0", "id", "7",
	    "[[runners]]\n    name = 'a'  # n\n    id = 7\n    # more\n\n  [runners.docker]\n" },
	{ "an empty table's first is indented by two", SET, "  [runners.docker]\n", "runners.docker", "image", "'x'",
	    "  [runners.docker]\n    image = 'x'\n" },
	{ "a file with CRLF keeps it", SET, "[a]\r\nx = 1\r\n[b]\r\n", "a", "y", "2", "[a]\r\nx = 1\r\ny = 2\r\n[b]\r\n" },
	{ "a last line without end keeps to that", SET, "[a]\nx = 1", "a", "y", "2", "[a]\nx = 1\ny = 2" },
	{ "the first key of all stands before the first header", SET, "# about the file\n\n# about a\n[a]\n", "", "x", "1",
	    "# about the file\n\nx = 1\n# about a\n[a]\n" },
	{ "or behind all comments", SET, "# about the file\n", "", "x", "1", "# about the file\nx = 1\n" },
	{ "behind a byte order mark", SET, "\xef\xbb\xbf[a]\n", "", "x", "1", "\xef\xbb\xbfx = 1\n[a]\n" },
	{ "into nothing", SET, "", "", "x", "1", "x = 1\n" },
	{ "into braces", SET, "a = { b = 1 }\n", "a", "c", "2", "a = { b = 1, c = 2 }\n" },
	{ "into empty braces", SET, "a = {}\n", "a", "c", "2", "a = {c = 2}\n" },
	{ "a table of dotted keys gets one more", SET, "m.x = 1\nn = 2\n", "m", "y", "3", "m.x = 1\nn = 2\nm.y = 3\n" },
	{ "a table only implied as well", SET, "[a]\nk = 1\n[a.b.c]\n", "a.b", "x", "1", "[a]\nk = 1\nb.x = 1\n[a.b.c]\n" },
	{ "a strange key is quoted", SET, "", "", "a b", "1", "\"a b\" = 1\n" },
	/* keys taken out */
	{ "a key goes with its line", TAKE, "# a\na = 1 # x\n# b\nb = 2\n", "a", NULL, NULL, "# a\n# b\nb = 2\n" },
	{ "with all its lines", TAKE, "a = [\n1,\n]\nb = 2\n", "a", NULL, NULL, "b = 2\n" },
	{ "the first in braces", TAKE, "a = { b = 1, c = 2 }\n", "a.b", NULL, NULL, "a = { c = 2 }\n" },
	{ "the middle one", TAKE, "a = { b = 1, c = 2, d = 3 }\n", "a.c", NULL, NULL, "a = { b = 1, d = 3 }\n" },
	{ "the last one", TAKE, "a = { b = 1, c = 2 }\n", "a.c", NULL, NULL, "a = { b = 1 }\n" },
	{ "a dotted one in braces", TAKE, "a = { b.x = 1, b.y = 2 }\n", "a.b.x", NULL, NULL, "a = { b.y = 2 }\n" },
	/* entries */
	{ "an entry goes with its tables, the others' comments stay", TAKE,
	    "concurrent = 1\n\n# A\n[[runners]]\nname = 'a'\n\n[runners.docker]\nimage = 'x' # img\n\n# B\n[[runners]]\nname = 'b'\n",
	    "runners.0", NULL, NULL,
	    "concurrent = 1\n\n# A\n\n# B\n[[runners]]\nname = 'b'\n" },
	{ "the space around it closes", TAKE, "x = 1\n\n[[r]]\na = 1\n\n[[r]]\nb = 1\n\n[[r]]\nc = 1\n", "r.1", NULL, NULL,
	    "x = 1\n\n[[r]]\na = 1\n\n[[r]]\nc = 1\n" },
	{ "the last one", TAKE, "[[r]]\na = 1\n\n[[r]]\nb = 1\n", "r.1", NULL, NULL, "[[r]]\na = 1\n" },
	{ "the first one", TAKE, "[[r]]\na = 1\n\n[[r]]\nb = 1\n", "r.0", NULL, NULL, "[[r]]\nb = 1\n" },
	{ "the only one", TAKE, "[[r]]\na = 1\n", "r.0", NULL, NULL, "" },
	{ "a key commented out below its last one goes too", TAKE, "[[r]]\n a = 1\n # b = 2\n\n# end\n", "r.0", NULL, NULL, "# end\n" },
	{ "but not a comment that leads on to the next", TAKE, "[[r]]\na = 1\n# next\n[[r]]\nb = 1\n", "r.0", NULL, NULL,
	    "# next\n[[r]]\nb = 1\n" },
	{ "tables of it that stand further down go, what lies between stays", TAKE,
	    "[[r]]\na = 1\n[s]\nx = 1\n[r.t]\nb = 1\n[[r]]\nc = 1\n", "r.0", NULL, NULL, "[s]\nx = 1\n[[r]]\nc = 1\n" },
	{ "an entry before another table that stands between entries", TAKE, "[[r]]\na = 1\n[s]\nx = 1\n[[r]]\nb = 1\n", "r.0", NULL, NULL,
	    "[s]\nx = 1\n[[r]]\nb = 1\n" },
	{ "a table with those below it", TAKE, "[a]\nx = 1\n[a.b]\ny = 1\n[c]\n", "a", NULL, NULL, "[c]\n" },
	{ "all entries at once", TAKE, "x = 1\n\n[[r]]\na = 1\n\n[[r]]\nb = 1\n", "r", NULL, NULL, "x = 1\n" },
	/* appending */
	{ "an entry stands at the end behind a blank line", APPEND, "x = 1\n", NULL, NULL, "[[r]]\n  a = 1\n", "x = 1\n\n[[r]]\n  a = 1\n" },
	{ "in the file's own kind of line", APPEND, "x = 1\r\n", NULL, NULL, "[[r]]\na = 1\n", "x = 1\r\n\r\n[[r]]\r\na = 1\r\n" },
	{ "in an empty file", APPEND, "", NULL, NULL, "[[r]]\na = 1\n", "[[r]]\na = 1\n" },
	{ "behind a line without end", APPEND, "x = 1", NULL, NULL, "[[r]]\na = 1\n", "x = 1\n\n[[r]]\na = 1" },
};

static void
test_cases(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct tomledit t;
		struct err e = { 0 };
		int rc = -1;

		if (tomledit_open(&t, str_from(cases[i].before), &e) == 0) {
			switch (cases[i].op) {
			case SET:
				rc = tomledit_set(&t, find(t.root, cases[i].path), cases[i].key, str_from(cases[i].value), &e);
				break;
			case TAKE:
				rc = tomledit_remove(&t, find(t.root, cases[i].path), &e);
				break;
			case APPEND:
				rc = tomledit_append(&t, str_from(cases[i].value), &e);
				break;
			}
		}
		if (rc < 0)
			ok(false, "%s: %s", cases[i].name, e.msg);
		else
			is_str(t.text.n > 0 ? t.text.p : "", cases[i].after, "%s", cases[i].name);
		tomledit_close(&t);
	}
}

/* What cannot be done leaves the text alone and says why. */
static const struct { const char *name; enum op op; const char *text, *path, *key, *value, *why; } refusals[] = {
	{ "two values", SET, "a = 1\n", "", "a", "1\nb = 2", "a: this is not one TOML value" },
	{ "a value and a comment", SET, "a = 1\n", "", "a", "1 # x", "a: this is not one TOML value" },
	{ "no value", SET, "a = 1\n", "", "a", "", "a: this is not one TOML value" },
	{ "a table with a header", SET, "x = 1\n[a]\n", "", "a", "1", "line 2: \"a\" is a table and cannot be given a value" },
	{ "an array of tables", SET, "[[a]]\n", "", "a", "1", "line 1: \"a\" is a table and cannot be given a value" },
	{ "an element in brackets", TAKE, "a = [1, 2]\n", "a.0", NULL, NULL, "line 1: this is an element of an array in brackets: edit it by hand" },
	{ "a table of dotted keys", TAKE, "a.b = 1\na.c = 1\n", "a", NULL, NULL, "line 1: \"a\" is not written in one place: edit it by hand" },
	{ "the root", TAKE, "a = 1\n", "", NULL, NULL, "the whole text cannot be removed" },
	{ "an entry whose name is taken by something else", APPEND, "r = 1\n", NULL, NULL, "[[r]]\n", NULL },
	{ "an entry behind entries in brackets", APPEND, "r = [ { a = 1 } ]\n", NULL, NULL, "[[r]]\n", NULL },
	{ "a block that is no TOML", APPEND, "x = 1\n", NULL, NULL, "[[r]\n", NULL },
};

static void
test_refusals(void)
{
	for (size_t i = 0; i < NELEM(refusals); i++) {
		struct tomledit t;
		struct err e = { 0 };
		int rc = 0;

		tomledit_open(&t, str_from(refusals[i].text), &e);
		if (refusals[i].op == SET)
			rc = tomledit_set(&t, find(t.root, refusals[i].path), refusals[i].key, str_from(refusals[i].value), &e);
		else if (refusals[i].op == TAKE)
			rc = tomledit_remove(&t, find(t.root, refusals[i].path), &e);
		else
			rc = tomledit_append(&t, str_from(refusals[i].value), &e);
		is_int(rc, -1, "refused: %s (%s)", refusals[i].name, e.msg);
		is_int(e.kind, ERR_CONFIG, "  as a matter of the file");
		is_str(t.text.p, refusals[i].text, "  the text is as it was");
		if (refusals[i].why != NULL)
			is_str(e.msg, refusals[i].why, "  and the reason is told");
		tomledit_close(&t);
	}
}

/* Several edits one after another, as register and reset-token make them, and all the way back. */
static void
test_sequence(void)
{
	static const char text[] = "# mine\nconcurrent = 3   # three\n\n[[runners]]\n  name = \"a\"\n  token = \"${T}\"\n  [runners.machine]\n    IdleCount = 1\n";
	struct tomledit t;
	struct err e = { 0 };

	is_int(tomledit_open(&t, str_from(text), &e), 0, "open");
	is_int(tomledit_append(&t, STR("[[runners]]\n  name = \"b\"\n  [runners.machine]\n    IdleCount = 2\n"), &e), 0, "append");
	is_int(tomledit_set(&t, find(t.root, "runners.1"), "id", STR("9"), &e), 0, "set in it");
	is_int(tomledit_set(&t, find(t.root, "runners.0.machine"), "idlecount", STR("5"), &e), 0, "set in the other");
	is_str(t.text.p, "# mine\nconcurrent = 3   # three\n\n[[runners]]\n  name = \"a\"\n  token = \"${T}\"\n  [runners.machine]\n    IdleCount = 5\n"
	    "\n[[runners]]\n  name = \"b\"\n  id = 9\n  [runners.machine]\n    IdleCount = 2\n", "  all of it");
	is_int(tomledit_set(&t, find(t.root, "runners.0.machine"), "IdleCount", STR("1"), &e), 0, "back");
	is_int(tomledit_remove(&t, find(t.root, "runners.1"), &e), 0, "out");
	is_str(t.text.p, text, "  as it was");
	tomledit_close(&t);
}

static void
test_values(void)
{
	static const struct { struct str in; const char *out; } strings[] = {
		{ { "plain", 5 }, "\"plain\"" }, { { "", 0 }, "\"\"" }, { { "q\"b\\", 4 }, "\"q\\\"b\\\\\"" },
		{ { "l\nt\tr\r", 6 }, "\"l\\nt\\tr\\r\"" }, { { "\0\x1f\x7f", 3 }, "\"\\u0000\\u001f\\u007f\"" },
		{ { "\xc3\xbc", 2 }, "\"\xc3\xbc\"" }, { { "\xff", 1 }, "\"\xef\xbf\xbd\"" },
	};
	static const struct { double in; const char *out; } floats[] = {
		{ 0, "0.0" }, { 1, "1.0" }, { 1.5, "1.5" }, { 0.1, "0.1" }, { -2, "-2.0" }, { 1e300, "1e+300" }, { 100000000, "1e+08" },
	};
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(strings); i++) {
		buf_clear(&b);
		toml_put_str(&b, strings[i].in);
		is_str(b.p, strings[i].out, "string %zu", i);
	}
	for (size_t i = 0; i < NELEM(floats); i++) {
		buf_clear(&b);
		toml_put_f64(&b, floats[i].in);
		is_str(b.p, floats[i].out, "float %zu", i);
	}
	buf_clear(&b);
	toml_put_key(&b, STR("a_B-9"));
	buf_putc(&b, ' ');
	toml_put_key(&b, STR(""));
	buf_putc(&b, ' ');
	toml_put_key(&b, STR("/x.y"));
	is_str(b.p, "a_B-9 \"\" \"/x.y\"", "keys");
	buf_free(&b);
}

int
main(void)
{
	test_cases();
	test_refusals();
	test_sequence();
	test_values();
	return done_testing();
}
