/* Structs and JSON objects joined by a table: see fields.h. */
#include "wire/fields.h"

/* A row's type without what only its writer heeds. */
static enum field_type
kind_of(const struct field *f)
{
	return (enum field_type)(f->type & ~FIELD_IF);
}

static struct field_list
read_list(struct arena *a, struct json_val v)
{
	struct field_list l = { NULL, 0, true };

	if (json_type(v) != JSON_ARRAY && json_type(v) != JSON_STRING)
		return l;
	l.null = false;
	if (json_type(v) == JSON_STRING) {
		if (json_cstr(a, v)[0] != '\0')
			fields_append(a, &l, json_cstr(a, v));
		return l;
	}
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

/* What is no string in a map has no text; what is neither true nor false is no pair of FIELD_BOOLS. */
static struct field_map
read_map(struct arena *a, struct json_val obj, bool bools)
{
	struct field_map m = { NULL, 0 };

	if (json_type(obj) != JSON_OBJECT)
		return m;
	m.v = arena_calloc(a, json_len(obj) + 1, sizeof(*m.v));
	JSON_EACH(v, obj) {
		const char *text = bools ? json_bool(v, false) ? "true" : "false" : json_cstr(a, v);

		if (!bools || json_type(v) == JSON_BOOL)
			m.v[m.n++] = (struct field_pair){ arena_dup(a, json_key(a, v)), text };
	}
	return m;
}

/* Ten years bound the arithmetic; what is beyond, or no number, is not taken. */
static dur_t
read_seconds(struct json_val v, dur_t otherwise)
{
	double s = json_f64(v, -1);

	return s >= 0 && s < 315360000 ? (dur_t)(s * (double)NSEC_SEC + 0.5) : otherwise;
}

void
fields_read(struct arena *a, struct json_val obj, const struct field *f, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++) {
		struct json_val v = json_get(obj, f[i].key);
		void *member = (char *)to + f[i].offset;

		switch (kind_of(&f[i])) {
		case FIELD_STR:
			if (json_type(v) == JSON_STRING)
				*(const char **)member = json_cstr(a, v);
			break;
		case FIELD_CHARS:
			if (json_type(v) == JSON_STRING)
				(void)str_copy(json_str(a, v), member, f[i].size);
			break;
		case FIELD_TEXT:
			if (json_type(v) == JSON_STRING)
				*(struct str *)member = json_str(a, v);
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
		case FIELD_FLOAT:
			*(double *)member = json_f64(v, *(double *)member);
			break;
		case FIELD_SECONDS:
			*(dur_t *)member = read_seconds(v, *(dur_t *)member);
			break;
		case FIELD_SECRET:
			if (json_type(v) == JSON_STRING)
				*(struct secret *)member = SECRET(json_cstr(a, v));
			break;
		case FIELD_MAP:
		case FIELD_BOOLS:
			if (v.doc != NULL)
				*(struct field_map *)member = read_map(a, v, f[i].type == FIELD_BOOLS);
			break;
		case FIELD_RAW:
			if (json_present(v))
				*(struct str *)member = arena_str(a, json_raw(v));
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
write_map(struct json_w *w, const char *key, const struct field_map *m, bool bools)
{
	jw_object(w, key);
	for (size_t i = 0; i < m->n; i++)
		if (bools)
			jw_rawkey(w, str_from(m->v[i].name), str_from(m->v[i].text));
		else
			jw_keystr(w, str_from(m->v[i].name), str_from(m->v[i].text));
	jw_end_object(w);
}

static void
write_seconds(struct json_w *w, const char *key, dur_t d)
{
	if (d % NSEC_SEC == 0)
		jw_i64(w, key, d / NSEC_SEC);
	else
		jw_f64(w, key, (double)d / (double)NSEC_SEC);
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

static void
write_one(struct json_w *w, const struct field *f, const void *member)
{
	const char *s;

	switch (kind_of(f)) {
	case FIELD_STR:
		s = *(const char *const *)member;
		jw_str(w, f->key, s != NULL ? str_from(s) : STR(""));
		break;
	case FIELD_CHARS:
		jw_cstr(w, f->key, member);
		break;
	case FIELD_TEXT:
		jw_str(w, f->key, *(const struct str *)member);
		break;
	case FIELD_NUMBER:
		write_number(w, f->key, *(const char *const *)member);
		break;
	case FIELD_BOOL:
		jw_bool(w, f->key, *(const bool *)member);
		break;
	case FIELD_INT:
		jw_i64(w, f->key, *(const int64_t *)member);
		break;
	case FIELD_TIME:
		write_time(w, f->key, *(const wall_t *)member);
		break;
	case FIELD_LIST:
		write_list(w, f->key, member);
		break;
	case FIELD_FLOAT:
		jw_f64(w, f->key, *(const double *)member);
		break;
	case FIELD_SECONDS:
		write_seconds(w, f->key, *(const dur_t *)member);
		break;
	case FIELD_SECRET:
		jw_cstr(w, f->key, secret_reveal(*(const struct secret *)member));
		break;
	case FIELD_MAP:
	case FIELD_BOOLS:
		write_map(w, f->key, member, f->type == FIELD_BOOLS);
		break;
	case FIELD_RAW:
		if (((const struct str *)member)->n > 0)
			jw_raw(w, f->key, *(const struct str *)member);
		break;
	}
}

/* Whether a member says anything. */
static bool
is_set(const struct field *f, const void *member)
{
	const char *s;

	switch (kind_of(f)) {
	case FIELD_STR:
	case FIELD_NUMBER:
	case FIELD_SECRET:
		s = *(const char *const *)member;
		return s != NULL && s[0] != '\0';
	case FIELD_CHARS:
		return *(const char *)member != '\0';
	case FIELD_BOOL:
		return *(const bool *)member;
	case FIELD_FLOAT:
		return *(const double *)member < 0 || *(const double *)member > 0;
	case FIELD_INT:
	case FIELD_SECONDS:
		return *(const int64_t *)member != 0;
	case FIELD_TIME:
		return wall_known(*(const wall_t *)member);
	case FIELD_LIST:
		return ((const struct field_list *)member)->n > 0;
	case FIELD_MAP:
	case FIELD_BOOLS:
		return ((const struct field_map *)member)->n > 0;
	case FIELD_TEXT:
	case FIELD_RAW:
		return ((const struct str *)member)->n > 0;
	}
	return true;
}

void
fields_write(struct json_w *w, const struct field *f, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++)
		if (!(f[i].type & FIELD_IF) || is_set(&f[i], (const char *)from + f[i].offset))
			write_one(w, &f[i], (const char *)from + f[i].offset);
}

void
fields_write_set(struct json_w *w, const struct field *f, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++)
		if (is_set(&f[i], (const char *)from + f[i].offset))
			write_one(w, &f[i], (const char *)from + f[i].offset);
}

bool
fields_say(const struct field *f, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++)
		if (is_set(&f[i], (const char *)from + f[i].offset))
			return true;
	return false;
}

void
fields_empty(const struct field *f, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++)
		if (kind_of(&f[i]) == FIELD_STR)
			*(const char **)((char *)to + f[i].offset) = "";
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

const char *
fields_pair(const struct field_map *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, name) == 0)
			return m->v[i].text;
	return NULL;
}
