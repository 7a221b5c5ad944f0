/*
 * Writing JSON: the second half of json.h. The writer keeps two bits a
 * level, whether something was written there and whether it is an object,
 * and appends to the caller's buffer, whose failure is sticky.
 */
#include <math.h>

#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

static void
new_line(struct json_w *w, int depth)
{
	if (w->indent == 0)
		return;
	buf_putc(w->b, '\n');
	for (int i = 0; i < depth * w->indent; i++)
		buf_putc(w->b, ' ');
}

static bool
plain(const struct json_w *w, unsigned char c)
{
	if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
		return false;
	return !w->html || (c != '<' && c != '>' && c != '&');
}

static void
put_escaped(struct json_w *w, uint32_t cp)
{
	static const char named[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

	if (cp == '"' || cp == '\\')
		buf_fmt(w->b, "\\%c", (int)cp);
	else if (cp < sizeof(named) && named[cp] != '\0')
		buf_fmt(w->b, "\\%c", named[cp]);
	else
		buf_fmt(w->b, "\\u%04" PRIx32, cp);
}

static void
put_string(struct json_w *w, struct str s)
{
	char utf8[4];
	uint32_t cp;
	size_t n;

	buf_putc(w->b, '"');
	while (s.n > 0) {
		for (n = 0; n < s.n && plain(w, (unsigned char)s.p[n]); n++)
			;
		buf_put(w->b, s.p, n);
		s = str_sub(s, n, s.n);
		if (s.n == 0)
			break;
		n = utf8_decode(s, &cp);
		if (n == 0) {
			n = 1;
			buf_put(w->b, utf8, utf8_encode(UTF8_REPLACEMENT, utf8));
		} else if (cp < 0x80 || (w->html && (cp == 0x2028 || cp == 0x2029)))
			put_escaped(w, cp);
		else
			buf_put(w->b, s.p, n);
		s = str_sub(s, n, s.n);
	}
	buf_putc(w->b, '"');
}

/* What stands before a value: comma, line break, key. */
static void
begin(struct json_w *w, const struct str *key)
{
	uint64_t bit;

	if (w->depth == 0) {
		assert(key == NULL);
		return;
	}
	bit = UINT64_C(1) << (w->depth - 1);
	assert((key != NULL) == ((w->is_object & bit) != 0));
	if ((w->has_item & bit) != 0)
		buf_putc(w->b, ',');
	w->has_item |= bit;
	new_line(w, w->depth);
	if (key != NULL) {
		put_string(w, *key);
		buf_puts(w->b, w->indent > 0 ? ": " : ":");
	}
}

static void
begin_cstr(struct json_w *w, const char *key)
{
	struct str s = str_from(key);

	begin(w, key != NULL ? &s : NULL);
}

static void
open_container(struct json_w *w, const char *key, bool object)
{
	uint64_t bit;

	begin_cstr(w, key);
	assert(w->depth < 64);
	bit = UINT64_C(1) << w->depth++;
	w->has_item &= ~bit;
	w->is_object = object ? w->is_object | bit : w->is_object & ~bit;
	buf_putc(w->b, object ? '{' : '[');
}

static void
close_container(struct json_w *w, bool object)
{
	uint64_t bit;

	assert(w->depth > 0);
	bit = UINT64_C(1) << --w->depth;
	assert(object == ((w->is_object & bit) != 0));
	if ((w->has_item & bit) != 0)
		new_line(w, w->depth);
	buf_putc(w->b, object ? '}' : ']');
}

void
jw_object(struct json_w *w, const char *key)
{
	open_container(w, key, true);
}

void
jw_array(struct json_w *w, const char *key)
{
	open_container(w, key, false);
}

void
jw_end_object(struct json_w *w)
{
	close_container(w, true);
}

void
jw_end_array(struct json_w *w)
{
	close_container(w, false);
}

void
jw_str(struct json_w *w, const char *key, struct str v)
{
	begin_cstr(w, key);
	put_string(w, v);
}

void
jw_text(struct json_w *w, const char *key, const char *v)
{
	if (v != NULL && v[0] != '\0')
		jw_str(w, key, str_from(v));
}

void
jw_time(struct json_w *w, const char *key, wall_t t, int frac)
{
	char text[TIME_RFC3339_MAX];

	if (!wall_known(t))
		return;
	time_rfc3339(t, frac, text);
	jw_str(w, key, str_from(text));
}

void
jw_cstr(struct json_w *w, const char *key, const char *v)
{
	if (v == NULL)
		jw_null(w, key);
	else
		jw_str(w, key, str_from(v));
}

void
jw_i64(struct json_w *w, const char *key, int64_t v)
{
	begin_cstr(w, key);
	buf_fmt(w->b, "%" PRId64, v);
}

void
jw_f64(struct json_w *w, const char *key, double v)
{
	char text[32];

	if (!isfinite(v)) {
		jw_null(w, key);
		return;
	}
	begin_cstr(w, key);
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(text, sizeof(text), "%.*g", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_puts(w->b, text);
}

void
jw_bool(struct json_w *w, const char *key, bool v)
{
	begin_cstr(w, key);
	buf_puts(w->b, v ? "true" : "false");
}

void
jw_null(struct json_w *w, const char *key)
{
	begin_cstr(w, key);
	buf_puts(w->b, "null");
}

/* A string of raw text, which begins behind its opening quote; returns what follows the closing one. */
static struct str
copy_string(struct json_w *w, struct str s)
{
	buf_putc(w->b, '"');
	for (;;) {
		uint32_t cp = 0;
		size_t n = 0;

		while (n < s.n && (plain(w, (unsigned char)s.p[n]) || (!w->html && (s.p[n] & 0x80) != 0)))
			n++;
		buf_put(w->b, s.p, n);
		s = str_sub(s, n, s.n);
		if (s.n == 0 || *s.p == '"')
			break;
		n = *s.p == '\\' ? 2 : utf8_decode(s, &cp);
		if (cp == '<' || cp == '>' || cp == '&' || cp == 0x2028 || cp == 0x2029)
			put_escaped(w, cp);
		else
			buf_putstr(w->b, str_sub(s, 0, n));
		s = str_sub(s, n > 0 ? n : 1, s.n);
	}
	buf_putc(w->b, '"');
	return str_sub(s, 1, s.n);
}

static struct str
skip_blanks(struct str s)
{
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\n' || *s.p == '\r' || *s.p == '\t'))
		s = str_sub(s, 1, s.n);
	return s;
}

static void
put_raw(struct json_w *w, struct str s)
{
	int depth = w->depth;

	if (s.n == 0)
		buf_puts(w->b, "null");
	for (s = skip_blanks(s); s.n > 0; s = skip_blanks(s)) {
		char c = *s.p;

		s = str_sub(s, 1, s.n);
		switch (c) {
		case '"':
			s = copy_string(w, s);
			break;
		case '{':
		case '[':
			buf_putc(w->b, c);
			s = skip_blanks(s);
			if (s.n > 0 && (*s.p == '}' || *s.p == ']')) {
				buf_putc(w->b, *s.p);
				s = str_sub(s, 1, s.n);
			} else
				new_line(w, ++depth);
			break;
		case '}':
		case ']':
			new_line(w, --depth);
			buf_putc(w->b, c);
			break;
		case ',':
			buf_putc(w->b, c);
			new_line(w, depth);
			break;
		case ':':
			buf_puts(w->b, w->indent > 0 ? ": " : ":");
			break;
		default:
			buf_putc(w->b, c);
		}
	}
}

void
jw_raw(struct json_w *w, const char *key, struct str json)
{
	begin_cstr(w, key);
	put_raw(w, json);
}

void
jw_keystr(struct json_w *w, struct str key, struct str v)
{
	begin(w, &key);
	put_string(w, v);
}

void
jw_rawkey(struct json_w *w, struct str key, struct str json)
{
	begin(w, &key);
	put_raw(w, json);
}
