/* JSON: what is refused and where, what the accessors answer, what the writer writes. */
#include <math.h>
#include <time.h>

#include "core/core.h"
#include "wire/json.h"

#include "tap.h"

static struct arena arena;

/* Text in a block of just its size, so that a reader that goes too far is caught. */
static struct str
exact(struct str s)
{
	static char *block;

	free(block);
	block = malloc(s.n > 0 ? s.n : 1);
	memcpy(block, s.p, s.n);
	return (struct str){ block, s.n };
}

static struct json_val
parse(const char *text)
{
	struct json_val v = JSON_NONE;
	struct err e = { 0 };

	if (json_parse(&arena, exact(str_from(text)), &v, &e) < 0)
		ok(false, "a test's own JSON: %s: %s", text, e.msg);
	return v;
}

#define S(lit)	lit, sizeof(lit) - 1

/* The handle's JSON, written anew. */
static const char *
printed(struct json_val v, int indent, bool html)
{
	static struct buf b;
	struct json_w w = { .b = &b, .indent = indent, .html = html };

	buf_clear(&b);
	jw_raw(&w, NULL, json_raw(v));
	return buf_str(&b).p;
}

static const struct { const char *name, *text; size_t n; } good[] = {
	{ "an object", S("{}") },
	{ "an array", S("[]") },
	{ "a lone number", S("42") },
	{ "a lone string", S("\"x\"") },
	{ "a lone word", S("true") },
	{ "false", S("false") },
	{ "null", S("null") },
	{ "white space of all four kinds", S(" \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n} \t\r\n") },
	{ "every escape", S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\uDE00\"") },
	{ "the lowest and highest of each length", S("\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"") },
	{ "a lone high surrogate", S("\"\\ud800\"") },
	{ "a lone low surrogate", S("\"\\udc00x\"") },
	{ "an escaped NUL", S("\"\\u0000\"") },
	{ "minus zero", S("-0") },
	{ "a number beyond every type", S("1e400") },
	{ "a number with all its parts", S("-12.50E+07") },
	{ "a long number", S("123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890") },
	{ "an empty key", S("{\"\":1}") },
	{ "a key twice", S("{\"a\":1,\"a\":2}") },
	{ "brackets and colons in strings", S("{\"[{\":\"}]\",\"a:b\":\",\"}") },
	{ "empties in each other", S("[[],{},[{}],{\"a\":[]}]") },
	{ "a key like a number", S("{\"1\":1}") },
	{ "DEL", S("\"\x7f\"") },
};

static const struct { const char *name, *text; size_t n; const char *want; } bad[] = {
	{ "nothing", S(""), "line 1, column 1: the text is empty" },
	{ "only blanks", S(" \n "), "line 2, column 2: the text ends where a value should stand" },
	{ "a second value", S("{} {}"), "line 1, column 4: something stands after the value" },
	{ "a second scalar", S("1 2"), "line 1, column 3: something stands after the value" },
	{ "a comma behind it", S("[1],"), "line 1, column 4: something stands after the value" },
	{ "a NUL behind it", S("1\0"), "line 1, column 2: something stands after the value" },
	{ "a NUL in front", S("\0" "1"), "line 1, column 1: expected a value" },
	{ "a NUL between", S("[1,\0" "2]"), "line 1, column 4: expected a value" },
	{ "a byte order mark", S("\xef\xbb\xbf{}"), "line 1, column 1: expected a value (a byte order mark is not allowed)" },
	{ "an open object", S("{"), "line 1, column 2: expected a key in double quotes" },
	{ "an open array", S("["), "line 1, column 2: the text ends where a value should stand" },
	{ "an object cut after a key", S("{\"a\""), "line 1, column 5: expected ':' after a key" },
	{ "an object cut after a colon", S("{\"a\":"), "line 1, column 6: the text ends where a value should stand" },
	{ "an object cut after a value", S("{\"a\":1"), "line 1, column 7: expected ',' or '}' after a member" },
	{ "an array cut after a value", S("[1"), "line 1, column 3: expected ',' or ']' after an element" },
	{ "a comma before the end of an object", S("{\"a\":1,}"), "line 1, column 8: expected a key in double quotes" },
	{ "a comma before the end of an array", S("[1,]"), "line 1, column 4: expected a value" },
	{ "a comma alone", S("[,]"), "line 1, column 2: expected a value" },
	{ "two commas", S("[1,,2]"), "line 1, column 4: expected a value" },
	{ "no comma", S("[1 2]"), "line 1, column 4: expected ',' or ']' after an element" },
	{ "no comma in an object", S("{\"a\":1 \"b\":2}"), "line 1, column 8: expected ',' or '}' after a member" },
	{ "a colon in an array", S("[\"a\":1]"), "line 1, column 5: expected ',' or ']' after an element" },
	{ "no colon", S("{\"a\" 1}"), "line 1, column 6: expected ':' after a key" },
	{ "two colons", S("{\"a\"::1}"), "line 1, column 6: expected a value" },
	{ "two values", S("{\"a\":1 2}"), "line 1, column 8: expected ',' or '}' after a member" },
	{ "a bare key", S("{a:1}"), "line 1, column 2: expected a key in double quotes" },
	{ "a number as key", S("{1:1}"), "line 1, column 2: expected a key in double quotes" },
	{ "an object as key", S("{{}:1}"), "line 1, column 2: expected a key in double quotes" },
	{ "a value without a key", S("{\"a\"}"), "line 1, column 5: expected ':' after a key" },
	{ "the wrong bracket", S("[1}"), "line 1, column 3: expected ',' or ']' after an element" },
	{ "the wrong brace", S("{\"a\":1]"), "line 1, column 7: expected ',' or '}' after a member" },
	{ "only a closing bracket", S("]"), "line 1, column 1: expected a value" },
	{ "one bracket too many", S("[]]"), "line 1, column 3: something stands after the value" },
	{ "single quotes", S("'a'"), "line 1, column 1: expected a value" },
	{ "a comment", S("[1] // x"), "line 1, column 5: something stands after the value" },
	{ "a word of another language", S("None"), "line 1, column 1: expected a value" },
	{ "NaN", S("NaN"), "line 1, column 1: expected a value" },
	{ "Infinity", S("-Infinity"), "line 1, column 2: expected a digit" },
	{ "a word cut short", S("tru"), "line 1, column 4: expected a value" },
	{ "a word in capitals", S("True"), "line 1, column 1: expected a value" },
	{ "a word with more letters", S("nulls"), "line 1, column 5: something stands after the value" },
	{ "two words", S("truefalse"), "line 1, column 5: something stands after the value" },
	{ "a leading zero", S("01"), "line 1, column 2: a number must not begin with 0" },
	{ "a plus sign", S("+1"), "line 1, column 1: expected a value" },
	{ "a minus alone", S("-"), "line 1, column 2: expected a digit" },
	{ "two minus signs", S("--1"), "line 1, column 2: expected a digit" },
	{ "a point first", S(".5"), "line 1, column 1: expected a value" },
	{ "a point last", S("1."), "line 1, column 3: expected a digit after the decimal point" },
	{ "a point before the exponent", S("1.e5"), "line 1, column 3: expected a digit after the decimal point" },
	{ "an empty exponent", S("1e"), "line 1, column 3: expected a digit in the exponent" },
	{ "a sign without exponent", S("1e+"), "line 1, column 4: expected a digit in the exponent" },
	{ "hexadecimal", S("0x10"), "line 1, column 2: something stands after the value" },
	{ "a letter in a number", S("1a"), "line 1, column 2: something stands after the value" },
	{ "an open string", S("\"abc"), "line 1, column 5: the text ends inside a string" },
	{ "an open escape", S("\"abc\\"), "line 1, column 6: the text ends inside a string" },
	{ "an escaped last quote", S("\"abc\\\""), "line 1, column 7: the text ends inside a string" },
	{ "an unknown escape", S("\"\\x41\""), "line 1, column 3: unknown escape in a string" },
	{ "an escaped apostrophe", S("\"\\'\""), "line 1, column 3: unknown escape in a string" },
	{ "a short \\u", S("\"\\u12\""), "line 1, column 6: expected four hexadecimal digits after \\u" },
	{ "a \\u at the end", S("\"\\u12"), "line 1, column 6: expected four hexadecimal digits after \\u" },
	{ "a \\u with a letter", S("\"\\u12g4\""), "line 1, column 6: expected four hexadecimal digits after \\u" },
	{ "a capital \\U", S("\"\\U0041\""), "line 1, column 3: unknown escape in a string" },
	{ "a line break in a string", S("\"a\nb\""), "line 1, column 3: a control character stands in a string" },
	{ "a tab in a string", S("\"a\tb\""), "line 1, column 3: a control character stands in a string" },
	{ "a NUL in a string", S("\"a\0b\""), "line 1, column 3: a control character stands in a string" },
	{ "a stray continuation byte", S("\"\x80\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "a sequence cut by the quote", S("\"\xe2\x82\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "a sequence cut by the end", S("\"\xe2\x82"), "line 1, column 2: a string is not valid UTF-8" },
	{ "an overlong slash", S("\"\xc0\xaf\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "an overlong three", S("\"\xe0\x80\xaf\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "an overlong four", S("\"\xf0\x80\x80\xaf\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "a surrogate in UTF-8", S("\"\xed\xa0\x80\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "above U+10FFFF", S("\"\xf4\x90\x80\x80\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "byte FF", S("\"\xff\""), "line 1, column 2: a string is not valid UTF-8" },
	{ "invalid UTF-8 in a key", S("{\"\xff\":1}"), "line 1, column 3: a string is not valid UTF-8" },
	{ "invalid UTF-8 outside strings", S("[\xff]"), "line 1, column 2: expected a value" },
	{ "a no-break space", S("[1,\xc2\xa0" "2]"), "line 1, column 4: expected a value" },
	{ "a vertical tab", S("[1,\v2]"), "line 1, column 4: expected a value" },
	{ "the third line", S("{\n  \"a\": 1,\n  \"\xc3\xa4\" 2\n}"), "line 3, column 7: expected ':' after a key" },
};

static void
test_grammar(void)
{
	struct json_val v;
	char *deep;

	for (size_t i = 0; i < NELEM(good); i++) {
		struct err e = { 0 };

		ok(json_parse(&arena, exact((struct str){ good[i].text, good[i].n }), &v, &e) == 0 && e.kind == ERR_NONE,
		    "accepted: %s", good[i].name);
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		struct err e = { 0 };
		int rc = json_parse(&arena, exact((struct str){ bad[i].text, bad[i].n }), &v, &e);

		if (ok(rc == -1 && e.kind == ERR_PARSE, "refused: %s", bad[i].name))
			is_str(e.msg + strlen("JSON "), bad[i].want, "  where and why: %s", bad[i].name);
	}
	ok(json_parse(&arena, STR_NULL, &v, NULL) == -1, "refused: the null view, without an err");

	for (int n = JSON_DEPTH_MAX; n <= JSON_DEPTH_MAX + 1; n++) {
		deep = malloc(2 * (size_t)n);
		memset(deep, '[', (size_t)n);
		memset(deep + n, ']', (size_t)n);
		is_int(json_parse(&arena, (struct str){ deep, 2 * (size_t)n }, &v, NULL), n <= JSON_DEPTH_MAX ? 0 : -1,
		    "%d arrays in each other", n);
		free(deep);
	}
	deep = malloc(1 << 20);
	memset(deep, '[', 1 << 20);
	is_int(json_parse(&arena, (struct str){ deep, 1 << 20 }, &v, NULL), -1, "a million opening brackets");
	free(deep);
}

static void
test_access(void)
{
	struct json_val r = parse("{\"s\":\"text\",\"n\":7,\"t\":true,\"f\":false,\"z\":null,\"a\":[10,[20],{\"k\":30}],"
	    "\"o\":{\"p\":{\"q\":\"deep\"}},\"empty\":{},\"e2\":[],\"dup\":1,\"dup\":\"last\",\"\":\"no name\"}");
	struct json_val v;
	int n = 0;

	is_int(json_type(r), JSON_OBJECT, "type of an object");
	is_int(json_type(json_get(r, "s")), JSON_STRING, "type of a string");
	is_int(json_type(json_get(r, "n")), JSON_NUMBER, "type of a number");
	is_int(json_type(json_get(r, "t")), JSON_BOOL, "type of true");
	is_int(json_type(json_get(r, "f")), JSON_BOOL, "type of false");
	is_int(json_type(json_get(r, "z")), JSON_NULL, "type of null");
	is_int(json_type(json_get(r, "a")), JSON_ARRAY, "type of an array");
	is_int(json_type(json_get(r, "none")), JSON_ABSENT, "type of what is not there");
	ok(json_present(json_get(r, "f")) && json_present(json_get(r, "empty")), "false and {} are present");
	ok(!json_present(json_get(r, "z")) && !json_present(json_get(r, "none")), "null and absent are not");
	is_int((long long)json_len(r), 12, "members, a double one twice");
	is_int((long long)json_len(json_get(r, "a")), 3, "elements");
	is_int((long long)json_len(json_get(r, "s")) + (long long)json_len(json_get(r, "none")), 0, "a string has none");

	is_str(json_cstr(&arena, json_path(r, "o.p.q")), "deep", "a path");
	ok(json_path(r, "o.x.q").doc == NULL, "a path that breaks off");
	ok(json_path(r, "s.x").doc == NULL, "a path through a string");
	is_str(json_cstr(&arena, json_path(r, "")), "no name", "an empty path is the empty key");
	is_str(json_cstr(&arena, json_get(r, "dup")), "last", "of a double key the last counts");
	ok(json_get(r, "S").doc == NULL && json_get(r, "se").doc == NULL, "names are exact");
	ok(json_get(json_get(r, "a"), "s").doc == NULL, "an array has no members");

	is_int(json_i64(json_at(json_get(r, "a"), 0), -1), 10, "element 0");
	is_int(json_i64(json_at(json_at(json_get(r, "a"), 1), 0), -1), 20, "element 1, 0");
	is_int(json_i64(json_get(json_at(json_get(r, "a"), 2), "k"), -1), 30, "element 2, k");
	ok(json_at(json_get(r, "a"), 3).doc == NULL && json_at(r, 0).doc == NULL &&
	    json_at(json_get(r, "e2"), 0).doc == NULL, "no element there");

	JSON_EACH(m, r) {
		static const char *const keys[] = { "s", "n", "t", "f", "z", "a", "o", "empty", "e2", "dup", "dup", "" };

		if (n < 12 && !str_eqc(json_key(&arena, m), keys[n]))
			break;
		n++;
	}
	is_int(n, 12, "iteration passes all members in their order");
	n = 0;
	JSON_EACH(m, json_get(r, "a"))
		n += json_key(&arena, m).p == NULL;
	is_int(n, 3, "elements have no key");
	ok(json_first(json_get(r, "empty")).doc == NULL && json_first(json_get(r, "s")).doc == NULL &&
	    json_next(JSON_NONE).doc == NULL && json_next(r).doc == NULL && json_key(&arena, r).p == NULL,
	    "nothing to iterate, no key of the root");

	ok(str_eqc(json_raw(json_get(r, "s")), "\"text\"") && str_eqc(json_raw(json_get(r, "n")), "7") &&
	    str_eqc(json_raw(json_get(r, "a")), "[10,[20],{\"k\":30}]") && str_eqc(json_raw(json_get(r, "empty")), "{}") &&
	    str_eqc(json_raw(json_get(r, "z")), "null") && str_eqc(json_raw(JSON_NONE), ""), "raw text of each type");
	ok(str_eqc(json_text(&arena, json_get(r, "s")), "text") && str_eqc(json_text(&arena, json_get(r, "n")), "7") &&
	    str_eqc(json_text(&arena, json_get(r, "t")), "true") && str_eqc(json_text(&arena, json_get(r, "z")), "") &&
	    str_eqc(json_text(&arena, json_get(r, "a")), ""), "text of a string, a number, a boolean, and of no such");

	v = json_get(r, "none");
	ok(json_str(&arena, v).n == 0 && json_str(&arena, v).p != NULL && json_cstr(&arena, v)[0] == '\0' &&
	    json_i64(v, 5) == 5 && json_f64(v, 1.5) == 1.5 && json_bool(v, true) && json_len(v) == 0 &&
	    json_get(v, "x").doc == NULL && json_at(v, 0).doc == NULL && json_first(v).doc == NULL,
	    "absent answers every accessor with the default");
	v = json_get(r, "z");
	ok(str_eqc(json_str_or(&arena, v, STR("d")), "d") && json_i64(v, 5) == 5 && json_bool(v, true), "so does null");
	ok(json_bool(json_get(r, "t"), false) && !json_bool(json_get(r, "f"), true) && json_bool(json_get(r, "n"), true) &&
	    !json_bool(json_get(r, "s"), false), "booleans are true and false only");
	ok(str_eqc(json_str_or(&arena, json_get(r, "n"), STR("d")), "d"), "a number is no string");
}

static void
test_strings(void)
{
	static const struct { const char *name, *json, *want; size_t n; } cases[] = {
		{ "plain", "\"abc\"", S("abc") },
		{ "empty", "\"\"", S("") },
		{ "each escape", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", S("\"\\/\b\f\n\r\t") },
		{ "escapes at both ends", "\"\\na\\n\"", S("\na\n") },
		{ "one byte", "\"\\u0041\"", S("A") },
		{ "two bytes", "\"\\u00e4\"", S("\xc3\xa4") },
		{ "three bytes", "\"\\u20AC\"", S("\xe2\x82\xac") },
		{ "four bytes", "\"\\ud83d\\ude00!\"", S("\xf0\x9f\x98\x80!") },
		{ "the highest", "\"\\udbff\\udfff\"", S("\xf4\x8f\xbf\xbf") },
		{ "NUL", "\"a\\u0000b\"", S("a\0b") },
		{ "a high surrogate at the end", "\"a\\ud800\"", S("a\xef\xbf\xbd") },
		{ "a high surrogate before text", "\"\\ud800x\"", S("\xef\xbf\xbdx") },
		{ "a high surrogate before another escape", "\"\\ud800\\n\"", S("\xef\xbf\xbd\n") },
		{ "a high surrogate before a letter's escape", "\"\\ud800\\u0041\"", S("\xef\xbf\xbd" "A") },
		{ "two high surrogates, then a low one", "\"\\ud800\\ud83d\\ude00\"", S("\xef\xbf\xbd\xf0\x9f\x98\x80") },
		{ "a low surrogate", "\"\\ude00\"", S("\xef\xbf\xbd") },
		{ "low before high", "\"\\ude00\\ud83d\"", S("\xef\xbf\xbd\xef\xbf\xbd") },
		{ "UTF-8 and escapes mixed", "\"\xc3\xa4\\u00e4\xc3\xa4\"", S("\xc3\xa4\xc3\xa4\xc3\xa4") },
	};
	struct json_val v;

	for (size_t i = 0; i < NELEM(cases); i++)
		ok(str_eq(json_str(&arena, parse(cases[i].json)), (struct str){ cases[i].want, cases[i].n }),
		    "unescaped: %s", cases[i].name);
	is_str(json_cstr(&arena, parse("\"a\\u0000b\"")), "a", "a C string ends at an embedded NUL");

	v = parse("{\"a\\u0062c\":1,\"x\\\\y\":2,\"x\\u005cz\":3}");
	is_int(json_i64(json_get(v, "abc"), 0), 1, "a key with an escape is found");
	is_int(json_i64(json_get(v, "x\\y"), 0), 2, "a key with a backslash is found");
	is_int(json_i64(json_get(v, "x\\z"), 0), 3, "so is one with an escaped backslash");
	ok(json_get(v, "a\\u0062c").doc == NULL, "a name is not unescaped");
	ok(str_eqc(json_key(&arena, json_first(v)), "abc"), "the key's name is unescaped");

	struct str text = STR("[\"no escape\"]");
	ok(json_parse(&arena, text, &v, NULL) == 0 && json_str(&arena, json_first(v)).p == text.p + 2,
	    "a string without escapes is a view into the text");
}

static void
test_numbers(void)
{
	static const struct { const char *json; int64_t want; } ints[] = {
		{ "0", 0 }, { "-0", 0 }, { "1", 1 }, { "-1", -1 }, { "42", 42 },
		{ "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN },
		{ "9223372036854775808", 777 }, { "-9223372036854775809", 777 }, { "18446744073709551616", 777 },
		{ "9223372036854775807.999", INT64_MAX }, { "922337203685477580.79e1", 9223372036854775807 },
		{ "922337203685477580.8e1", 777 }, { "9007199254740993", INT64_C(9007199254740993) },
		{ "1.9", 1 }, { "-1.9", -1 }, { "0.999", 0 }, { "-0.5", 0 },
		{ "1e3", 1000 }, { "1.5e3", 1500 }, { "1.5E+3", 1500 }, { "15e-1", 1 }, { "1e-1", 0 }, { "123e-3", 0 },
		{ "1234.5678e2", 123456 }, { "0.00123e5", 123 },
		{ "1e18", INT64_C(1000000000000000000) }, { "1e19", 777 }, { "1e400", 777 }, { "-1e400", 777 },
		{ "1e-400", 0 }, { "0e400", 0 }, { "0.0e99999999999999999999", 0 }, { "1e99999999999999999999", 777 },
		{ "1e-99999999999999999999", 0 }, { "123456789012345678901234567890e-20", 1234567890 },
		{ "1e0000000000000000000000000000001", 10 },
		{ "\"17\"", 17 }, { "\"-17\"", -17 }, { "\"+17\"", 17 }, { "\"\"", 777 }, { "\"1.5\"", 777 }, { "\" 1\"", 777 },
		{ "\"1x\"", 777 }, { "true", 777 }, { "[]", 777 }, { "{}", 777 }, { "null", 777 },
	};
	static const struct { const char *json; double want; } doubles[] = {
		{ "0", 0 }, { "-1.5", -1.5 }, { "1e3", 1000 }, { "0.1", 0.1 }, { "1e400", 7.5 }, { "-1e400", 7.5 }, { "1e-400", 0 },
		{ "1.7976931348623157e308", 1.7976931348623157e308 }, { "\"1\"", 7.5 }, { "true", 7.5 },
		{ "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651", 3.141592653589793 },
	};

	for (size_t i = 0; i < NELEM(ints); i++)
		is_int(json_i64(parse(ints[i].json), 777), ints[i].want, "as an integer: %s", ints[i].json);
	for (size_t i = 0; i < NELEM(doubles); i++)
		ok(json_f64(parse(doubles[i].json), 7.5) == doubles[i].want, "as a double: %s", doubles[i].json);
	ok(signbit(json_f64(parse("-0"), 1)) != 0, "minus zero keeps its sign as a double");
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* What GitLab may send, and what nobody should be able to slow us down with. */
static void
test_big(void)
{
	enum { N = 10000 };
	struct buf b = { .max = 64 << 20 };
	struct json_w w = { .b = &b };
	struct arena a = { 0 };
	struct json_val r = JSON_NONE;
	struct err e = { 0 };
	double t0;
	int n = 0, wrong = 0;

	jw_object(&w, NULL);
	jw_array(&w, "variables");
	for (int i = 0; i < N; i++) {
		jw_object(&w, NULL);
		jw_str(&w, "key", str_from(arena_fmt(&a, "VARIABLE_%d", i)));
		jw_str(&w, "value", str_from(arena_fmt(&a, "value of %d\n", i)));
		jw_bool(&w, "public", i % 2);
		jw_bool(&w, "masked", false);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_object(&w, "map");
	for (int i = 0; i < N; i++) {
		/* In an order that is not theirs, every third twice, some with an escape. */
		int k = (int)((unsigned)i * 7919u % N);

		jw_rawkey(&w, str_from(arena_fmt(&a, "key-%d%s", k, k % 5 ? "" : "\n")), STR("-1"));
		if (k % 3 == 0)
			jw_rawkey(&w, str_from(arena_fmt(&a, "key-%d%s", k, k % 5 ? "" : "\n")), str_from(arena_fmt(&a, "%d", k)));
	}
	jw_end_object(&w);
	jw_end_object(&w);
	ok(!b.failed && json_parse(&a, buf_str(&b), &r, &e) == 0, "a payload of %zu bytes: %s", b.n, e.msg);

	t0 = seconds();
	JSON_EACH(v, json_get(r, "variables")) {
		wrong += !str_eqc(json_str(&a, json_get(v, "key")), arena_fmt(&a, "VARIABLE_%d", n)) ||
		    !str_eqc(json_str(&a, json_get(v, "value")), arena_fmt(&a, "value of %d\n", n)) ||
		    json_bool(json_get(v, "public"), !(n % 2)) != n % 2;
		n++;
	}
	is_int(n, N, "all variables are passed");
	is_int(wrong, 0, "each with its own members");
	wrong = 0;
	for (int i = 0; i < N; i++)
		wrong += json_i64(json_get(json_get(r, "map"), arena_fmt(&a, "key-%d%s", i, i % 5 ? "" : "\n")), 0) != (i % 3 ? -1 : i);
	is_int(wrong, 0, "all members of a big object are found, of double ones the last");
	ok(json_path(r, "map.key-").doc == NULL && json_path(r, "map.key-99999").doc == NULL &&
	    json_path(r, "map.zzz").doc == NULL && json_path(r, "map.").doc == NULL, "others are not");
	ok(seconds() - t0 < 5, "and that takes no time");

	for (size_t size = JSON_INDEX_MIN; size <= JSON_INDEX_MIN + 1; size++) {
		buf_clear(&b);
		w = (struct json_w){ .b = &b };
		jw_object(&w, NULL);
		for (size_t i = 0; i < size; i++)
			jw_i64(&w, arena_fmt(&a, "k%zu", i), (int64_t)i);
		jw_end_object(&w);
		wrong = json_parse(&a, buf_str(&b), &r, &e) < 0;
		for (size_t i = 0; i < size; i++)
			wrong += json_i64(json_get(r, arena_fmt(&a, "k%zu", i)), -1) != (int64_t)i;
		ok(wrong == 0 && json_get(r, "k").doc == NULL, "an object of %zu members, at the border of the index", size);
	}
	arena_reset(&a);
	buf_free(&b);
}

/* Members that say nothing are not there. */
static void
test_write_known(void)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };

	jw_object(&w, NULL);
	jw_text(&w, "null", NULL);
	jw_text(&w, "empty", "");
	jw_time(&w, "unknown", WALL_UNKNOWN, 3);
	jw_text(&w, "text", "x");
	jw_time(&w, "at", wall_add(wall_of_seconds(1767225600), 5 * NSEC_MSEC), 3);
	jw_time(&w, "day", wall_of_seconds(1767225600), 0);
	jw_end_object(&w);
	is_str(buf_str(&b).p, "{\"text\":\"x\",\"at\":\"2026-01-01T00:00:00.005Z\","
	    "\"day\":\"2026-01-01T00:00:00Z\"}", "only what is known is written");
	buf_free(&b);
}

static void
test_write(void)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };

	jw_object(&w, NULL);
	jw_str(&w, "s", STR("a\"\\\b\f\n\r\t\x01\x7f/\xc3\xa4<&>\xe2\x80\xa8"));
	jw_cstr(&w, "null", NULL);
	jw_i64(&w, "min", INT64_MIN);
	jw_f64(&w, "f", 0.1);
	jw_f64(&w, "third", 1.0 / 3);
	jw_f64(&w, "big", 1e20);
	jw_f64(&w, "nan", (double)NAN);
	jw_bool(&w, "yes", true);
	jw_null(&w, "none");
	jw_array(&w, "a");
	jw_i64(&w, NULL, 1);
	jw_object(&w, NULL);
	jw_end_object(&w);
	jw_array(&w, NULL);
	jw_end_array(&w);
	jw_cstr(&w, NULL, "x");
	jw_end_array(&w);
	jw_keystr(&w, STR("k\n\0"), STR("v\0"));
	jw_raw(&w, "raw", STR("{ \"a\" : [ 1 , 2.50 ] }"));
	jw_raw(&w, "nothing", STR(""));
	jw_rawkey(&w, STR("r"), STR("[]"));
	jw_end_object(&w);
	is_str(buf_str(&b).p, "{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f/\xc3\xa4<&>\xe2\x80\xa8\",\"null\":null,"
	    "\"min\":-9223372036854775808,\"f\":0.1,\"third\":0.3333333333333333,\"big\":1e+20,\"nan\":null,\"yes\":true,"
	    "\"none\":null,\"a\":[1,{},[],\"x\"],\"k\\n\\u0000\":\"v\\u0000\",\"raw\":{\"a\":[1,2.50]},\"nothing\":null,\"r\":[]}",
	    "everything in one line");

	buf_clear(&b);
	w = (struct json_w){ .b = &b, .indent = 4, .html = true };
	jw_object(&w, NULL);
	jw_cstr(&w, "Name", "<a&b>\xe2\x80\xa9");
	jw_array(&w, "Empty");
	jw_end_array(&w);
	jw_array(&w, "Labels");
	jw_cstr(&w, NULL, "x");
	jw_cstr(&w, NULL, "y");
	jw_end_array(&w);
	jw_object(&w, "Driver");
	jw_raw(&w, "Extra", STR("{\"k\":[1,{\"<\":\"\\\"<\\u0041\xc3\xa4\xe2\x80\xa8\"}],\"e\":{ },\"f\":[ ]}"));
	jw_end_object(&w);
	jw_end_object(&w);
	is_str(buf_str(&b).p,
	    "{\n"
	    "    \"Name\": \"\\u003ca\\u0026b\\u003e\\u2029\",\n"
	    "    \"Empty\": [],\n"
	    "    \"Labels\": [\n"
	    "        \"x\",\n"
	    "        \"y\"\n"
	    "    ],\n"
	    "    \"Driver\": {\n"
	    "        \"Extra\": {\n"
	    "            \"k\": [\n"
	    "                1,\n"
	    "                {\n"
	    "                    \"\\u003c\": \"\\\"\\u003c\\u0041\xc3\xa4\\u2028\"\n"
	    "                }\n"
	    "            ],\n"
	    "            \"e\": {},\n"
	    "            \"f\": []\n"
	    "        }\n"
	    "    }\n"
	    "}", "docker-machine's way");

	buf_clear(&b);
	w = (struct json_w){ .b = &b };
	jw_array(&w, NULL);
	jw_str(&w, NULL, STR("\xff" "a\xe2\x82" "b\xed\xa0\x80\xc3"));
	jw_end_array(&w);
	is_str(buf_str(&b).p, "[\"\xef\xbf\xbd" "a\xef\xbf\xbd\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]",
	    "bytes that are no UTF-8");

	is_str(printed(parse(" { \"b\" : 1.0e0 , \"a\" : [ true , \"x y\" ] , \"b\" : -0 } "), 0, false),
	    "{\"b\":1.0e0,\"a\":[true,\"x y\"],\"b\":-0}", "raw text keeps order, doubles and spelling");
	is_str(printed(parse("[]"), 2, false), "[]", "an empty container stays on its line");

	buf_clear(&b);
	w = (struct json_w){ .b = &b };
	for (int i = 0; i < 64; i++)
		jw_array(&w, NULL);
	for (int i = 0; i < 64; i++)
		jw_end_array(&w);
	ok(b.n == 128, "sixty-four levels");

	struct buf small = { .max = 5 };
	w = (struct json_w){ .b = &small };
	jw_array(&w, NULL);
	jw_cstr(&w, NULL, "too long");
	jw_end_array(&w);
	ok(small.failed, "a full buffer is reported by the buffer");
	buf_free(&small);
	buf_free(&b);
}

static void
test_doubles(void)
{
	static const double numbers[] = { 0, 1, -1, 0.5, 0.1, 1e21, 1e-7, 123456789.125, 5e-324, 1.7976931348623157e308,
	    2.2250738585072014e-308, 9007199254740993.0, 100, 1e15, 0.30000000000000004 };

	for (size_t i = 0; i < NELEM(numbers); i++) {
		struct buf b = { 0 };
		struct json_w w = { .b = &b };

		jw_f64(&w, NULL, numbers[i]);
		ok(json_f64(parse(buf_str(&b).p), 7.5) == numbers[i], "a double comes back: %s", buf_str(&b).p);
		buf_free(&b);
	}
}

int
main(void)
{
	test_grammar();
	test_access();
	test_strings();
	test_numbers();
	test_big();
	test_write();
	test_write_known();
	test_doubles();
	arena_reset(&arena);
	exact(STR(""));
	return done_testing();
}
