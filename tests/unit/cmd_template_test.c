/* cmd/template: what Go prints for the templates that docker-machine's users write. */
#include "cmd/template.h"
#include "tap.h"

static const char data[] = "{\"Name\":\"m\",\"N\":412345678,\"Port\":22,\"Big\":1000000,\"Below\":999999,\"Half\":0.5,\"Tiny\":0.00001,\"Neg\":-7,"
    "\"Zero\":0,\"Yes\":true,\"Nil\":null,\"List\":[\"a\",\"b\",1,null],\"Empty\":[],\"Map\":{\"b\":{\"x\":1},\"a\":\"<&>\"},\"A\":{\"B\":{\"C\":\"deep\"}},"
    "\"Huge\":9007199254740993}";

static const struct { const char *name, *text, *want; } cases[] = {
	{ "no action", "plain text", "plain text" },
	{ "a path", "{{.A.B.C}}", "deep" },
	{ "blanks around it", "{{ .A.B.C }}", "deep" },
	{ "text around it", "<{{.Name}}>{{.Port}}!", "<m>22!" },
	{ "a large number", "{{.N}}", "4.12345678e+08" },
	{ "a million", "{{.Big}}", "1e+06" },
	{ "just below", "{{.Below}}", "999999" },
	{ "a fraction", "{{.Half}}", "0.5" },
	{ "a small one", "{{.Tiny}}", "1e-05" },
	{ "negative", "{{.Neg}}", "-7" },
	{ "zero", "{{.Zero}}", "0" },
	{ "through float64", "{{.Huge}}", "9.007199254740992e+15" },
	{ "a boolean", "{{.Yes}}", "true" },
	{ "null", "{{.Nil}}", "<no value>" },
	{ "missing", "{{.Nope}}", "<no value>" },
	{ "missing below missing", "{{.Nope.More}}", "<no value>" },
	{ "below a string", "{{.Name.More}}", "<no value>" },
	{ "a list", "{{.List}}", "[a b 1 <nil>]" },
	{ "an empty list", "{{.Empty}}", "[]" },
	{ "a map, sorted", "{{.Map}}", "map[a:<&> b:map[x:1]]" },
	{ "json", "{{json .Map}}", "{\"a\":\"\\u003c\\u0026\\u003e\",\"b\":{\"x\":1}}" },
	{ "json of a list", "{{json .List}}", "[\"a\",\"b\",1,null]" },
	{ "json of nothing", "{{json .Nope}}", "null" },
	{ "prettyjson", "{{prettyjson .A}}", "{\n    \"B\": {\n        \"C\": \"deep\"\n    }\n}" },
};

static const struct { const char *text, *word; } refused[] = {
	{ "{{range .List}}{{.}}{{end}}", "range .List" }, { "{{if .Yes}}x{{end}}", "if .Yes" }, { "{{.A | json}}", ".A | json" },
	{ "{{len .List}}", "len .List" }, { "{{.Name", "{{ without }}" }, { "{{}}", "{{}}" }, { "{{json}}", "{{json}}" },
};

int
main(void)
{
	struct arena a = { 0 };
	struct json_val root;
	struct err e = { 0 };
	char *p;

	ok(json_parse(&a, str_from(data), &root, &e) == 0, "the data");
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };

		is_int(template_render(&b, str_from(cases[i].text), root, &e), 0, "%s", cases[i].name);
		is_str(b.p, cases[i].want, "  prints it as Go does");
		buf_free(&b);
	}
	for (size_t i = 0; i < NELEM(refused); i++) {
		struct buf b = { 0 };

		is_int(template_render(&b, str_from(refused[i].text), root, &e), -1, "not supported: %s", refused[i].text);
		ok(strstr(e.msg, refused[i].word) != NULL, "  is said: %s", e.msg);
		buf_free(&b);
	}
	is_str(p = template_unescape(STR("a\\tb\\nc\\\\d\\")), "a\tb\nc\\\\d\\", "tabs and line ends written out");
	free(p);
	arena_reset(&a);
	return done_testing();
}
