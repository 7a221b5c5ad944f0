/* A small part of Go's templates: see template.h. */
#include <math.h>

#include "cmd/template.h"

#define FLOAT_EXP_MAX	6	/* from 1e+06 on Go prints an exponent */

static void
put_v(struct buf *b, struct json_val v, int depth);

void
template_float(struct buf *b, double v)
{
	char text[40];
	int digits = 0, exp;

	if (v == 0) {
		buf_puts(b, signbit(v) ? "-0" : "0");
		return;
	}
	/* The fewest digits that give the same number back. */
	do
		snprintf(text, sizeof(text), "%.*e", digits, v);
	while (strtod(text, NULL) != v && ++digits < 17);
	exp = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	if (exp < -4 || exp >= FLOAT_EXP_MAX)
		buf_puts(b, text);
	else
		buf_fmt(b, "%.*f", digits > exp ? digits - exp : 0, v);
}

struct member { struct str key; struct json_val v; };

static int
by_key(const void *a, const void *b)
{
	return str_cmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* An object's members sorted by key, as Go's maps are printed; *n of them. */
static struct member *
sorted(struct arena *a, struct json_val obj, size_t *n)
{
	struct member *m = arena_calloc(a, json_len(obj) + 1, sizeof(*m));

	*n = 0;
	JSON_EACH(v, obj)
		m[(*n)++] = (struct member){ json_key(a, v), v };
	if (*n > 1)
		qsort(m, *n, sizeof(*m), by_key);
	return m;
}

static void
put_map(struct buf *b, struct json_val obj, int depth)
{
	struct arena a = { 0 };
	size_t n;
	struct member *m = sorted(&a, obj, &n);

	buf_puts(b, "map[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i > 0 ? " " : "");
		buf_putstr(b, m[i].key);
		buf_putc(b, ':');
		put_v(b, m[i].v, depth + 1);
	}
	buf_putc(b, ']');
	arena_reset(&a);
}

static void
put_v(struct buf *b, struct json_val v, int depth)
{
	struct arena a = { 0 };
	bool first = true;

	switch (json_type(v)) {
	case JSON_ABSENT:
	case JSON_NULL:
		buf_puts(b, depth > 0 ? "<nil>" : "<no value>");
		break;
	case JSON_BOOL:
		buf_puts(b, json_bool(v, false) ? "true" : "false");
		break;
	case JSON_NUMBER:
		template_float(b, json_f64(v, 0));
		break;
	case JSON_STRING:
		buf_putstr(b, json_str(&a, v));
		break;
	case JSON_ARRAY:
		buf_putc(b, '[');
		JSON_EACH(item, v) {
			buf_puts(b, first ? "" : " ");
			put_v(b, item, depth + 1);
			first = false;
		}
		buf_putc(b, ']');
		break;
	case JSON_OBJECT:
		put_map(b, v, depth);
		break;
	}
	arena_reset(&a);
}

void
template_value(struct buf *b, struct json_val v)
{
	put_v(b, v, 0);
}

/* As json.Marshal writes decoded JSON: keys sorted, <, > and & escaped. */
static void
put_json(struct json_w *w, struct str key, struct json_val v)
{
	struct arena a = { 0 };
	char *k = key.p != NULL ? arena_dup(&a, key) : NULL;
	size_t n;

	switch (json_type(v)) {
	case JSON_OBJECT: {
		struct member *m = sorted(&a, v, &n);

		jw_object(w, k);
		for (size_t i = 0; i < n; i++)
			put_json(w, m[i].key, m[i].v);
		jw_end_object(w);
		break;
	}
	case JSON_ARRAY:
		jw_array(w, k);
		JSON_EACH(item, v)
			put_json(w, STR_NULL, item);
		jw_end_array(w);
		break;
	case JSON_ABSENT:
		jw_null(w, k);
		break;
	case JSON_STRING:
		jw_str(w, k, json_str(&a, v));
		break;
	default:
		jw_raw(w, k, json_raw(v));
	}
	arena_reset(&a);
}

/* ".A.B" below data; "." is data itself. */
static struct json_val
path(struct json_val data, struct str p)
{
	struct arena a = { 0 };

	p = str_sub(p, 1, p.n);
	while (p.p != NULL && p.n > 0) {
		data = json_get(data, arena_dup(&a, str_cut(&p, '.')));
		if (json_type(data) == JSON_ABSENT)
			break;
	}
	arena_reset(&a);
	return data;
}

static bool
is_path(struct str s)
{
	if (s.n == 0 || s.p[0] != '.')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr(" \t(){}|\"'`,$", s.p[i]) != NULL)
			return false;
	return true;
}

static int
action(struct buf *b, struct str inner, struct json_val data, struct err *e)
{
	struct str rest, word;

	inner = str_trim(inner);
	if (is_path(inner)) {
		template_value(b, path(data, inner));
		return 0;
	}
	rest = inner;
	word = str_cut(&rest, ' ');
	rest = rest.p != NULL ? str_trim(rest) : STR("");
	if ((str_eqc(word, "json") || str_eqc(word, "prettyjson")) && is_path(rest)) {
		struct json_w w = { .b = b, .html = true, .indent = word.p[0] == 'p' ? 4 : 0 };

		put_json(&w, STR_NULL, path(data, rest));
		return 0;
	}
	return err_set(e, ERR_CONFIG, 0, "template: {{%.*s}} is not supported: there are {{.A.B}}, {{json .A}} and "
	    "{{prettyjson .A}}", STR_ARG(str_sub(inner, 0, 80)));
}

int
template_render(struct buf *b, struct str text, struct json_val data, struct err *e)
{
	while (text.n > 0) {
		ssize_t open = str_find(text, "{{"), close;

		if (open < 0)
			break;
		buf_putstr(b, str_sub(text, 0, (size_t)open));
		text = str_sub(text, (size_t)open + 2, text.n);
		close = str_find(text, "}}");
		if (close < 0)
			return err_set(e, ERR_CONFIG, 0, "template: {{ without }}");
		if (action(b, str_sub(text, 0, (size_t)close), data, e) < 0)
			return -1;
		text = str_sub(text, (size_t)close + 2, text.n);
	}
	buf_putstr(b, text);
	return 0;
}

char *
template_unescape(struct str text)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\' && i + 1 < text.n && (text.p[i + 1] == 't' || text.p[i + 1] == 'n'))
			buf_putc(&b, text.p[++i] == 't' ? '\t' : '\n');
		else
			buf_putc(&b, text.p[i]);
	}
	return buf_take(&b);
}
