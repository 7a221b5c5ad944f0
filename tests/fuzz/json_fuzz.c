/*
 * JSON: what was parsed and written anew, in every style, parses to the same
 * again; every member is found by its name; no accessor reads beyond the text.
 */
#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_valid_utf8(struct str s)
{
	uint32_t cp;

	while (s.n > 0) {
		size_t n = utf8_decode(s, &cp);

		assert(n > 0);
		s = str_sub(s, n, s.n);
	}
}

static void
same(struct arena *a, struct json_val x, struct json_val y)
{
	struct json_val q = json_first(y);
	size_t n = 0;

	assert(json_type(x) == json_type(y) && json_len(x) == json_len(y));
	assert(json_i64(x, -5) == json_i64(y, -5) && json_i64(x, 5) == json_i64(y, 5));
	assert(json_f64(x, -5) == json_f64(y, -5));
	assert(json_bool(x, true) == json_bool(y, true) && json_bool(x, false) == json_bool(y, false));
	assert(str_eq(json_str(a, x), json_str(a, y)));
	assert(strcmp(json_cstr(a, x), json_cstr(a, y)) == 0);
	if (json_type(x) == JSON_NUMBER)
		assert(str_eq(json_raw(x), json_raw(y)));
	check_valid_utf8(json_str(a, x));
	JSON_EACH(p, x) {
		assert(q.doc != NULL);
		assert(str_eq(json_key(a, p), json_key(a, q)));
		if (json_type(x) == JSON_OBJECT) {
			struct json_val last = json_get_str(x, json_key(a, p));
			struct json_val at = p, want = p;

			/* From here on the same key again only at the one that was found. */
			for (; at.doc != NULL; at = json_next(at))
				if (str_eq(json_key(a, at), json_key(a, p)))
					want = at;
			assert(last.doc == want.doc && last.tok == want.tok);
		} else
			assert(n > 40 || json_at(x, n).tok == p.tok);
		same(a, p, q);
		q = json_next(q);
		n++;
	}
	assert(q.doc == NULL && n == json_len(x));
}

/* Writes v through the writer's own functions, value by value. */
static void
rewrite(struct arena *a, struct json_w *w, const struct str *key, struct json_val v)
{
	char *k = key != NULL ? arena_dup(a, *key) : NULL;
	bool plain = key == NULL || strlen(k) == key->n;

	switch (json_type(v)) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		if (!plain) {		/* a container's key cannot hold NUL */
			jw_rawkey(w, *key, json_raw(v));
			return;
		}
		if (json_type(v) == JSON_OBJECT)
			jw_object(w, k);
		else
			jw_array(w, k);
		JSON_EACH(m, v) {
			struct str name = json_key(a, m);

			rewrite(a, w, json_type(v) == JSON_OBJECT ? &name : NULL, m);
		}
		if (json_type(v) == JSON_OBJECT)
			jw_end_object(w);
		else
			jw_end_array(w);
		break;
	case JSON_STRING:
		if (key != NULL)
			jw_keystr(w, *key, json_str(a, v));
		else
			jw_str(w, NULL, json_str(a, v));
		break;
	default:
		if (key != NULL)
			jw_rawkey(w, *key, json_raw(v));
		else
			jw_raw(w, NULL, json_raw(v));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str text = str_of(data, size);
	struct json_val x, y;
	struct err e = { 0 };

	if (json_parse(&a, text, &x, &e) < 0) {
		assert(e.kind == ERR_PARSE && e.msg[0] != '\0');
		arena_reset(&a);
		return 0;
	}
	assert(e.kind == ERR_NONE);
	for (int style = 0; style < 8; style++) {
		struct buf b = { .max = 64u << 20 };
		struct json_w w = { .b = &b, .indent = style & 1 ? 2 : 0, .html = (style & 2) != 0 };
		struct arena c = { 0 };

		if ((style & 4) != 0)
			jw_raw(&w, NULL, json_raw(x));
		else
			rewrite(&c, &w, NULL, x);
		assert(!b.failed);
		assert(json_parse(&c, buf_str(&b), &y, &e) == 0);
		same(&c, x, y);
		if (w.html)
			for (size_t i = 0; i < b.n; i++)
				assert(b.p[i] != '<' && b.p[i] != '>' && b.p[i] != '&');
		if (w.indent == 0)
			for (size_t i = 0; i < b.n; i++)
				assert(b.p[i] != '\n');
		arena_reset(&c);
		buf_free(&b);
	}
	arena_reset(&a);
	return 0;
}
