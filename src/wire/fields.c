/* Structs and JSON objects joined by a table: see fields.h. */
#include "wire/fields.h"

static struct field_list
read_list(struct arena *a, struct json_val v)
{
	struct field_list l = { NULL, 0, true };

	if (json_type(v) != JSON_ARRAY)
		return l;
	l.null = false;
	l.v = arena_calloc(a, json_len(v) + 1, sizeof(*l.v));
	JSON_EACH(item, v)
		if (json_type(item) == JSON_STRING)
			l.v[l.n++] = json_cstr(a, item);
	return l;
}

static wall_t
read_time(struct arena *a, struct json_val v)
{
	wall_t t = WALL_UNKNOWN;

	(void)time_parse_rfc3339(json_str(a, v), &t);
	return t;
}

void
fields_read(struct arena *a, struct json_val obj, const struct field *f, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++) {
		struct json_val v = json_get(obj, f[i].key);
		void *member = (char *)to + f[i].offset;

		switch (f[i].type) {
		case FIELD_STR:
		case FIELD_STR_IF:
			if (json_type(v) == JSON_STRING)
				*(const char **)member = json_cstr(a, v);
			break;
		case FIELD_NUMBER:
			if (json_i64(v, 0) > 0)
				*(const char **)member = arena_fmt(a, "%" PRId64, json_i64(v, 0));
			break;
		case FIELD_BOOL:
			*(bool *)member = json_bool(v, *(bool *)member);
			break;
		case FIELD_INT:
			*(int64_t *)member = json_i64(v, *(int64_t *)member);
			break;
		case FIELD_TIME:
			if (json_type(v) == JSON_STRING)
				*(wall_t *)member = read_time(a, v);
			break;
		case FIELD_LIST:
			if (v.doc != NULL)
				*(struct field_list *)member = read_list(a, v);
			break;
		}
	}
}

static void
write_list(struct json_w *w, const char *key, const struct field_list *l)
{
	if (l->null && l->n == 0) {
		jw_null(w, key);
		return;
	}
	jw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jw_str(w, NULL, str_from(l->v[i]));
	jw_end_array(w);
}

static void
write_number(struct json_w *w, const char *key, const char *digits)
{
	int64_t v = 0;

	(void)str_to_i64(str_from(digits != NULL ? digits : ""), &v);
	jw_i64(w, key, v);
}

static void
write_time(struct json_w *w, const char *key, wall_t t)
{
	char text[TIME_RFC3339_MAX] = "";

	if (wall_known(t))
		time_rfc3339(t, 3, text);
	jw_cstr(w, key, text);
}

void
fields_write(struct json_w *w, const struct field *f, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++) {
		const void *member = (const char *)from + f[i].offset;
		const char *s;

		switch (f[i].type) {
		case FIELD_STR:
		case FIELD_STR_IF:
			s = *(const char *const *)member;
			if (f[i].type == FIELD_STR || (s != NULL && s[0] != '\0'))
				jw_str(w, f[i].key, s != NULL ? str_from(s) : STR(""));
			break;
		case FIELD_NUMBER:
			write_number(w, f[i].key, *(const char *const *)member);
			break;
		case FIELD_BOOL:
			jw_bool(w, f[i].key, *(const bool *)member);
			break;
		case FIELD_INT:
			jw_i64(w, f[i].key, *(const int64_t *)member);
			break;
		case FIELD_TIME:
			write_time(w, f[i].key, *(const wall_t *)member);
			break;
		case FIELD_LIST:
			write_list(w, f[i].key, member);
			break;
		}
	}
}

static bool
in_table(struct str key, const struct field *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(key, f[i].key))
			return true;
	return false;
}

struct str
fields_unknown(struct arena *a, struct json_val obj, const struct field *f, size_t n,
    const struct field *g, size_t m)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct str text = STR_NULL;
	size_t count = 0;

	jw_object(&w, NULL);
	if (json_type(obj) == JSON_OBJECT)
		JSON_EACH(v, obj) {
			struct str key = json_key(a, v);

			if (in_table(key, f, n) || in_table(key, g, m))
				continue;
			jw_rawkey(&w, key, json_raw(v));
			count++;
		}
	jw_end_object(&w);
	if (count > 0 && !b.failed)
		text = arena_str(a, buf_str(&b));
	buf_free(&b);
	return text;
}

void
fields_write_unknown(struct json_w *w, struct str unknown)
{
	struct arena a = { 0 };
	struct json_val obj;

	if (unknown.n > 0 && json_parse(&a, unknown, &obj, NULL) == 0)
		JSON_EACH(v, obj)
			jw_rawkey(w, json_key(&a, v), json_raw(v));
	arena_reset(&a);
}

void
fields_append(struct arena *a, struct field_list *l, const char *v)
{
	const char **copy = arena_calloc(a, l->n + 2, sizeof(*copy));

	if (l->n > 0)
		memcpy(copy, l->v, l->n * sizeof(*copy));
	copy[l->n] = v;
	l->v = copy;
	l->n++;
	l->null = false;
}
