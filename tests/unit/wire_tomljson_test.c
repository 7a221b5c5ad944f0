/* wire/tomljson: one document with every type, and its JSON read back. */
#include "tap.h"
#include "wire/tomljson.h"

int
main(void)
{
	static const char text[] = "s = \"a\\\"b\\u00e9\"\ni = -9223372036854775808\nf = 1.5\nb = true\nd = 2026-01-02\nl = [1, [\"x\"], {k = 2}]\n[t]\n\"odd key\\n\" = {}\nN = 3\n";
	static const char want[] = "{\"s\":\"a\\\"bé\",\"i\":-9223372036854775808,\"f\":1.5,\"b\":true,\"d\":null,\"l\":[1,[\"x\"],{\"k\":2}],\"t\":{\"odd key\\n\":{},\"N\":3}}";
	struct arena a = { 0 };
	struct err e = { 0 };
	struct toml *root = NULL;
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct json_val v;

	is_int(toml_parse(&a, str_from(text), &root, &e), 0, "parses");
	jw_toml(&w, STR_NULL, root);
	buf_putc(&b, '\0');
	is_str(b.p, want, "as JSON");
	buf_clear(&b);
	w = (struct json_w){ .b = &b };
	jw_object(&w, NULL);
	jw_toml(&w, STR("t"), toml_get(root, "t"));
	jw_end_object(&w);
	is_int(json_parse(&a, buf_str(&b), &v, &e), 0, "a member");
	is_int(json_i64(json_path(v, "t.N"), 0), 3, "under its key");
	buf_free(&b);
	arena_reset(&a);
	return done_testing();
}
