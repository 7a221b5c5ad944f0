/*
 * TOML 1.0: see toml.h.
 *
 * A text is read line by line: a table's header or a key and its value. Which
 * tables may still be added to depends on how they came about, so each
 * remembers it (enum how); the rules are in enter() and define().
 */
#include <math.h>
#include <sys/types.h>

#include "core/buf.h"
#include "wire/toml.h"
#include "wire/utf8.h"

#define DEPTH_MAX	64	/* of values in each other: they are read by recursion */
#define PARTS_MAX	64	/* of one dotted key */

enum how {
	HOW_VALUE,		/* a scalar, or an array in brackets */
	HOW_HEADER,		/* [this], the root, an element of [[this]] */
	HOW_SUPER,		/* [this.x] or [[this.x]], and no [this] yet */
	HOW_DOTTED,		/* this.x = ... */
	HOW_INLINE,		/* { ... } */
	HOW_ARRAY,		/* [[this]] */
};

struct reader {
	struct arena	*arena;
	struct str	 text;
	const char	*begin;		/* of the text behind a byte order mark */
	const char	*p, *end;
	struct err	*e;
	struct toml	*root;
	struct toml	*table;		/* that keys go into */
	struct toml	*array;		/* whose last element that is, or NULL */
	int		 depth;
	/* line and column of a place looked up before */
	const char	*seen;
	int		 line, column;
};

/* One part of a dotted key. */
struct part {
	struct str	 name;
	const char	*at, *end;
};

/* ---- places and complaints ---- */

/* Columns are characters. Places are mostly asked for in order, so this goes on from the last one. */
static void
locate(struct reader *r, const char *at, int *line, int *column)
{
	if (at < r->seen) {
		r->seen = r->begin;
		r->line = r->column = 1;
	}
	for (; r->seen < at; r->seen++) {
		if (*r->seen == '\n') {
			r->line++;
			r->column = 1;
		} else if (((unsigned char)*r->seen & 0xc0) != 0x80) {
			r->column++;
		}
	}
	*line = r->line;
	*column = r->column;
}

static int fail(struct reader *r, const char *at, const char *fmt, ...) PRINTFLIKE(3, 4);

static int
fail(struct reader *r, const char *at, const char *fmt, ...)
{
	char what[400];
	int line, column;

	TEXT_OF(what, fmt);
	locate(r, at, &line, &column);
	return err_set(r->e, ERR_PARSE, line, "line %d, column %d: %s", line, column, what);
}

/* A key as people may see it. Values are never shown: they may be secrets. */
static const char *
quoted(struct reader *r, struct str key)
{
	struct buf b = { .max = 1024 };
	const char *s;

	buf_put_quoted(&b, key, 80);
	s = arena_dup(r->arena, buf_str(&b));
	buf_free(&b);
	return s;
}

/* A byte that nobody expected, as people may see it. */
static const char *
byte_name(struct reader *r, const char *at)
{
	unsigned char c;

	if (at >= r->end)
		return "the end of the file";
	c = (unsigned char)*at;
	if (c == '\n' || (c == '\r' && r->end - at > 1 && at[1] == '\n'))
		return "the end of the line";
	if (c > ' ' && c < 0x7f)
		return arena_fmt(r->arena, "'%c'", c);
	if (r->end - at > 2 && memcmp(at, "\xe2\x80", 2) == 0 && (unsigned char)at[2] >= 0x98 && (unsigned char)at[2] <= 0x9f)
		return "a typographic quote (write \" or ')";
	if (r->end - at > 1 && memcmp(at, "\xc2\xa0", 2) == 0)
		return "a no-break space (pasted from a web page; write a plain blank)";
	if (r->end - at > 2 && (memcmp(at, "\xe2\x80\x8b", 3) == 0 || memcmp(at, "\xef\xbb\xbf", 3) == 0 || memcmp(at, "\xe2\x80\xaf", 3) == 0))
		return "an invisible character (pasted from a web page; delete it)";
	if (r->end - at > 2 && memcmp(at, "\xe2\x80", 2) == 0 && (unsigned char)at[2] >= 0x90 && (unsigned char)at[2] <= 0x95)
		return "a typographic dash (write -)";
	if (c >= 0x80)
		return "a character that is not ASCII";
	return arena_fmt(r->arena, "byte 0x%02x", c);
}

/* The whole text is checked before it is read. */
static int
check_utf8(struct reader *r)
{
	uint32_t cp;
	size_t n;

	for (const char *at = r->p; at < r->end; at += n) {
		n = utf8_decode(str_of(at, (size_t)(r->end - at)), &cp);
		if (n == 0)
			return fail(r, at, "byte 0x%02x is not UTF-8; save the file as UTF-8", (unsigned char)*at);
	}
	return 0;
}

/* ---- blanks, comments, ends of lines ---- */

static bool
at_char(const struct reader *r, char c)
{
	return r->p < r->end && *r->p == c;
}

static bool
skip_char(struct reader *r, char c)
{
	if (!at_char(r, c))
		return false;
	r->p++;
	return true;
}

static bool
starts(const struct reader *r, const char *s)
{
	return str_starts(str_of(r->p, (size_t)(r->end - r->p)), s);
}

static void
skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

static bool
skip_newline(struct reader *r)
{
	if (starts(r, "\r\n"))
		r->p += 2;
	else if (!skip_char(r, '\n'))
		return false;
	return true;
}

static bool
is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static int
skip_comment(struct reader *r)
{
	if (!at_char(r, '#'))
		return 0;
	while (r->p < r->end && *r->p != '\n' && !starts(r, "\r\n")) {
		if (is_control(*r->p))
			return fail(r, r->p, "a comment must not hold %s", byte_name(r, r->p));
		r->p++;
	}
	return 0;
}

/* Blanks, comments and newlines, as between the elements of an array. */
static int
skip_lines(struct reader *r)
{
	do {
		skip_blanks(r);
		if (skip_comment(r) < 0)
			return -1;
	} while (skip_newline(r));
	return 0;
}

static int
end_of_line(struct reader *r, const char *behind)
{
	skip_blanks(r);
	if (skip_comment(r) < 0)
		return -1;
	if (r->p < r->end && !skip_newline(r))
		return fail(r, r->p, "%s must be the last thing on its line, but %s follows", behind, byte_name(r, r->p));
	return 0;
}

/* ---- strings ---- */

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t
put_utf8(char *out, uint32_t v)
{
	if (v < 0x80) {
		out[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (char)(0xe0 | v >> 12);
		out[1] = (char)(0x80 | (v >> 6 & 0x3f));
		out[2] = (char)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | v >> 18);
	out[1] = (char)(0x80 | (v >> 12 & 0x3f));
	out[2] = (char)(0x80 | (v >> 6 & 0x3f));
	out[3] = (char)(0x80 | (v & 0x3f));
	return 4;
}

/*
 * The escape at *in, which is a backslash that something follows. Writes what
 * it means; the escape is never shorter than that.
 */
static int
unescape(struct reader *r, const char **in, const char *end, char **out)
{
	static const char names[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
	const char *at = *in, *name;
	uint32_t v = 0;
	int digits;

	name = memchr(names, at[1], sizeof(names) - 1);
	if (name != NULL) {
		*(*out)++ = bytes[name - names];
		*in += 2;
		return 0;
	}
	if (at[1] != 'u' && at[1] != 'U')
		return fail(r, at, "there is no escape of backslash and %s; write a backslash as \\\\, or use 'single quotes'",
		    byte_name(r, at + 1));
	digits = at[1] == 'u' ? 4 : 8;
	for (int i = 0; i < digits; i++) {
		int d = end - at > i + 2 ? hex_digit(at[i + 2]) : -1;

		if (d < 0)
			return fail(r, at, "\\%c needs %d hexadecimal digits; write a backslash as \\\\, or use 'single quotes'", at[1], digits);
		v = v << 4 | (uint32_t)d;
	}
	if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return fail(r, at, "the digits behind \\%c are of no Unicode character", at[1]);
	*out += put_utf8(*out, v);
	*in += 2 + digits;
	return 0;
}

/* Whether only blanks stand between here and the end of the line. */
static bool
blank_to_newline(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && (*p == '\n' || (*p == '\r' && end - p > 1 && p[1] == '\n'));
}

/* What stands between the quotes, with escapes resolved and CRLF made LF. Only called when there are some. */
static int
resolve(struct reader *r, const char *p, const char *end, bool basic, bool lines, struct str *s)
{
	char *to = arena_alloc(r->arena, (size_t)(end - p) + 1), *out = to;

	while (p < end) {
		if (*p == '\r') {
			p++;			/* it was checked that '\n' follows */
		} else if (!basic || *p != '\\') {
			*out++ = *p++;
		} else if (lines && blank_to_newline(p + 1, end)) {
			p++;
			while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
				p++;
		} else if (unescape(r, &p, end, &out) < 0) {
			return -1;
		}
	}
	*s = str_of(to, (size_t)(out - to));
	return 0;
}

static int
read_string(struct reader *r, struct str *s)
{
	const char *open = r->p, *begin;
	char quote = *r->p;
	bool basic = quote == '"', special = false, lines;

	lines = starts(r, basic ? "\"\"\"" : "'''");
	r->p += lines ? 3 : 1;
	if (lines)
		skip_newline(r);
	begin = r->p;
	for (;;) {
		if (r->p == r->end)
			return fail(r, open, "the string that begins here has no end; %s is missing",
			    lines ? basic ? "\"\"\"" : "'''" : basic ? "\"" : "'");
		if (*r->p == quote) {
			const char *q = r->p;

			if (!lines)
				break;
			while (q < r->end && *q == quote)
				q++;
			/* Up to two quotes may stand before the closing three. */
			if (q - r->p >= 3) {
				r->p += q - r->p > 5 ? 2 : q - r->p - 3;
				break;
			}
			r->p = q;
		} else if (basic && *r->p == '\\') {
			special = true;
			/* Not "r->p += 2": the byte behind may be a newline, which has its own rules. */
			r->p++;
			if (r->p < r->end && (*r->p == '\\' || *r->p == '"'))
				r->p++;
		} else if (*r->p == '\n' || starts(r, "\r\n")) {
			if (!lines)
				return fail(r, open, "the string that begins here is not closed on its line; %c is missing", quote);
			special |= *r->p == '\r';
			skip_newline(r);
		} else if (is_control(*r->p)) {
			return fail(r, r->p, "a string must not hold %s as it is%s", byte_name(r, r->p),
			    basic ? "; write it as an escape" : "");
		} else {
			r->p++;
		}
	}
	*s = str_of(begin, (size_t)(r->p - begin));
	if (special && resolve(r, begin, r->p, basic, lines, s) < 0)
		return -1;
	r->p += lines ? 3 : 1;
	return 0;
}

/* ---- keys ---- */

static bool
is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int
read_part(struct reader *r, struct part *k)
{
	k->at = r->p;
	if (at_char(r, '"') || at_char(r, '\'')) {
		if (starts(r, "\"\"\"") || starts(r, "'''"))
			return fail(r, r->p, "a key cannot be a string of several lines");
		if (read_string(r, &k->name) < 0)
			return -1;
	} else {
		while (r->p < r->end && is_bare(*r->p))
			r->p++;
		k->name = str_of(k->at, (size_t)(r->p - k->at));
		if (k->name.n == 0)
			return fail(r, r->p, "a key is missing before %s; keys with other characters than A-Z a-z 0-9 _ - are written in quotes",
			    byte_name(r, r->p));
	}
	k->end = r->p;
	return 0;
}

/* A key with its dots. Returns how many parts it has, or -1. */
static int
read_key(struct reader *r, struct part part[PARTS_MAX])
{
	int n = 0;

	for (;;) {
		if (n == PARTS_MAX)
			return fail(r, r->p, "a key of more than %d parts", PARTS_MAX);
		if (read_part(r, &part[n++]) < 0)
			return -1;
		skip_blanks(r);
		if (!skip_char(r, '.'))
			return n;
		skip_blanks(r);
	}
}

/* ---- the tree ---- */

static struct toml *
new_node(struct reader *r, enum toml_type type, enum how how, const char *at, const char *end)
{
	struct toml *v = arena_alloc(r->arena, sizeof(*v));

	v->type = type;
	v->how = (uint8_t)how;
	v->at = (size_t)(at - r->text.p);
	v->end = (size_t)(end - r->text.p);
	locate(r, at, &v->line, &v->column);
	return v;
}

static void
append(struct toml *parent, struct toml *child)
{
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

static void
append_member(struct reader *r, struct toml *table, struct toml *v, const struct part *k)
{
	v->key = k->name;
	v->key_at = (size_t)(k->at - r->text.p);
	v->key_end = (size_t)(k->end - r->text.p);
	append(table, v);
}

static int
fail_twice(struct reader *r, const struct part *k, const struct toml *first)
{
	int line, column;

	/* A value's own line may lie below its key's. */
	locate(r, r->text.p + first->key_at, &line, &column);
	return fail(r, k->at, "%s is given twice, first in line %d", quoted(r, k->name), line);
}

/* ---- numbers, dates, booleans ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* n digits at *p. */
static int
take_digits(const char **p, const char *end, int n)
{
	int v = 0;

	if (end - *p < n)
		return -1;
	for (int i = 0; i < n; i++) {
		if (!is_digit((*p)[i]))
			return -1;
		v = v * 10 + ((*p)[i] - '0');
	}
	*p += n;
	return v;
}

static bool
take_char(const char **p, const char *end, const char *of)
{
	if (*p == end || strchr(of, **p) == NULL || **p == '\0')
		return false;
	(*p)++;
	return true;
}

static int
take_time(const char **p, const char *end, struct toml_date *d)
{
	if ((d->hour = take_digits(p, end, 2)) < 0 || !take_char(p, end, ":") ||
	    (d->minute = take_digits(p, end, 2)) < 0 || !take_char(p, end, ":") ||
	    (d->second = take_digits(p, end, 2)) < 0)
		return -1;
	if (take_char(p, end, ".")) {
		int scale = 100000000;

		if (*p == end || !is_digit(**p))
			return -1;
		/* More digits than nanoseconds have are cut off. */
		for (; *p < end && is_digit(**p); (*p)++, scale /= 10)
			d->nsec += (**p - '0') * scale;
	}
	/* 60: RFC 3339 has leap seconds. */
	return d->hour > 23 || d->minute > 59 || d->second > 60 ? -1 : 0;
}

static int
take_day(const char **p, const char *end, struct toml_date *d)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap;

	if ((d->year = take_digits(p, end, 4)) < 0 || !take_char(p, end, "-") ||
	    (d->month = take_digits(p, end, 2)) < 0 || !take_char(p, end, "-") ||
	    (d->day = take_digits(p, end, 2)) < 0)
		return -1;
	if (d->month < 1 || d->month > 12 || d->day < 1)
		return -1;
	leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
	return d->day > days[d->month - 1] + (d->month == 2 && leap) ? -1 : 0;
}

static int
take_offset(const char **p, const char *end, struct toml_date *d)
{
	int sign = **p == '-' ? -1 : 1, hour, minute;

	if (take_char(p, end, "Zz"))
		return 0;
	if (!take_char(p, end, "+-") || (hour = take_digits(p, end, 2)) < 0 || !take_char(p, end, ":") ||
	    (minute = take_digits(p, end, 2)) < 0 || hour > 23 || minute > 59)
		return -1;
	d->offset_min = sign * (hour * 60 + minute);
	return 0;
}

static bool
looks_like_date(struct str word)
{
	const char *p = word.p, *end = word.p + word.n;

	if (word.n > 2 && word.p[2] == ':')
		return true;
	return take_digits(&p, end, 4) >= 0 && take_char(&p, end, "-");
}

static int
read_date(struct reader *r, struct str word, struct toml *v)
{
	const char *p = word.p, *end = word.p + word.n;

	if (p[2] == ':') {
		v->type = TOML_LOCAL_TIME;
		if (take_time(&p, end, &v->date) < 0)
			p = NULL;
	} else {
		v->type = TOML_LOCAL_DATE;
		if (take_day(&p, end, &v->date) < 0) {
			p = NULL;
		} else if (p < end) {
			v->type = TOML_LOCAL_DATETIME;
			if (!take_char(&p, end, "Tt ") || take_time(&p, end, &v->date) < 0)
				p = NULL;
		}
		if (p != NULL && p < end) {
			v->type = TOML_DATETIME;
			if (take_offset(&p, end, &v->date) < 0)
				p = NULL;
		}
	}
	if (p != end)
		return fail(r, word.p, "there is no such date or time; they are written as 2026-03-01, 08:15:30 or 2026-03-01T08:15:30Z");
	return 0;
}

/* Digits of a base with single underscores between them. Returns how many digits, or -1. */
static int
check_digits(const char **p, const char *end, int base)
{
	int n = 0;

	for (; *p < end; (*p)++) {
		int d = hex_digit(**p);

		if (**p == '_') {
			if (n == 0 || end - *p < 2 || hex_digit((*p)[1]) < 0 || hex_digit((*p)[1]) >= base)
				return -1;
		} else if (d >= 0 && d < base) {
			if (n < INT32_MAX)
				n++;
		} else {
			break;
		}
	}
	return n;
}

static int
read_integer(struct reader *r, struct str word, struct str digits, int base, bool negative, struct toml *v)
{
	uint64_t u = 0, limit = (uint64_t)INT64_MAX + negative;

	for (size_t i = 0; i < digits.n; i++) {
		int d = hex_digit(digits.p[i]);

		if (digits.p[i] == '_')
			continue;
		if (__builtin_mul_overflow(u, (unsigned)base, &u) || __builtin_add_overflow(u, (unsigned)d, &u) || u > limit)
			return fail(r, word.p, "the number does not fit in 64 bits");
	}
	v->type = TOML_INTEGER;
	v->i = negative ? (int64_t)(0 - u) : (int64_t)u;
	return 0;
}

static int
read_float(struct reader *r, struct str word, struct toml *v)
{
	char *copy = arena_alloc(r->arena, word.n + 1), *out = copy;

	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] != '_')
			*out++ = word.p[i];
	v->type = TOML_FLOAT;
	v->f = strtod(copy, NULL);
	return 0;
}

static int
read_number(struct reader *r, struct str word, struct toml *v)
{
	static const struct { const char *prefix; int base; } bases[] = { { "0x", 16 }, { "0o", 8 }, { "0b", 2 } };
	const char *p = word.p, *end = word.p + word.n, *whole;
	bool negative = *p == '-', is_float = false;

	for (size_t i = 0; i < NELEM(bases); i++)
		if (str_starts(word, bases[i].prefix)) {
			p += 2;
			if (check_digits(&p, end, bases[i].base) <= 0 || p != end)
				return fail(r, word.p, "this is no number: digits of base %d must follow %s", bases[i].base, bases[i].prefix);
			return read_integer(r, word, str_sub(word, 2, word.n), bases[i].base, false, v);
		}

	take_char(&p, end, "+-");
	whole = p;
	if (str_eqc(str_of(p, (size_t)(end - p)), "inf") || str_eqc(str_of(p, (size_t)(end - p)), "nan")) {
		v->type = TOML_FLOAT;
		v->f = *p == 'i' ? (double)INFINITY : (double)NAN;
		v->f = negative ? -v->f : v->f;
		return 0;
	}
	if (check_digits(&p, end, 10) <= 0)
		goto no_number;
	if (*whole == '0' && p - whole > 1)
		return fail(r, word.p, "a number must not begin with 0; write a word in quotes, and a number in base 8 with 0o");
	if (p == end)
		return read_integer(r, word, str_of(whole, (size_t)(p - whole)), 10, negative, v);
	if (take_char(&p, end, ".")) {
		is_float = true;
		if (check_digits(&p, end, 10) <= 0)
			goto no_number;
	}
	if (take_char(&p, end, "eE")) {
		is_float = true;
		take_char(&p, end, "+-");
		if (check_digits(&p, end, 10) <= 0)
			goto no_number;
	}
	if (is_float && p == end)
		return read_float(r, word, v);
no_number:
	return fail(r, word.p, "this is neither a number nor a date; strings are written in \"quotes\"");
}

static bool
is_word(char c)
{
	return is_bare(c) || c == '+' || c == '.' || c == ':';
}

/* Everything that is neither quoted nor bracketed. */
static int
read_word(struct reader *r, struct toml *v)
{
	const char *at = r->p;
	struct str word;

	while (r->p < r->end && is_word(*r->p))
		r->p++;
	/* A date and a time may be parted by a blank. */
	if (r->p - at == 10 && is_digit(at[0]) && at[4] == '-' && at_char(r, ' ') && r->end - r->p > 1 && is_digit(r->p[1]))
		for (r->p++; r->p < r->end && is_word(*r->p);)
			r->p++;
	word = str_of(at, (size_t)(r->p - at));
	v->end = (size_t)(r->p - r->text.p);

	if (word.n == 0)
		return fail(r, at, "a value is missing before %s", byte_name(r, at));
	if (str_eqc(word, "true") || str_eqc(word, "false")) {
		v->type = TOML_BOOL;
		v->b = word.n == 4;
		return 0;
	}
	if (str_caseeq(word, "true") || str_caseeq(word, "false"))
		return fail(r, at, "a boolean is written in small letters: true or false");
	if (looks_like_date(word))
		return read_date(r, word, v);
	if (is_digit(at[0]) || at[0] == '+' || at[0] == '-' || at[0] == '.' || str_eqc(word, "inf") || str_eqc(word, "nan"))
		return read_number(r, word, v);
	return fail(r, at, "this is no value; strings are written in \"quotes\"");
}

/* ---- values ---- */

static struct toml *read_value(struct reader *r);
static int read_pair(struct reader *r, struct toml *table);

static int
read_array(struct reader *r, struct toml *v)
{
	const char *open = r->p++;
	struct toml *element;

	v->type = TOML_ARRAY;
	for (;;) {
		if (skip_lines(r) < 0)
			return -1;
		if (skip_char(r, ']'))
			break;
		if (r->p == r->end)
			return fail(r, open, "the array that begins here has no end; ] is missing");
		if ((element = read_value(r)) == NULL)
			return -1;
		append(v, element);
		if (skip_lines(r) < 0)
			return -1;
		if (!skip_char(r, ',') && !at_char(r, ']')) {
			if (r->p == r->end)
				return fail(r, open, "the array that begins here has no end; ] is missing");
			return fail(r, r->p, "between elements of an array a comma must stand, not %s", byte_name(r, r->p));
		}
	}
	v->end = (size_t)(r->p - r->text.p);
	return 0;
}

/* On one line, and without a comma before the end: TOML 1.0 has it so. */
static int
read_inline(struct reader *r, struct toml *v)
{
	const char *open = r->p++;

	v->type = TOML_TABLE;
	v->how = HOW_INLINE;
	v->is_inline = true;
	skip_blanks(r);
	if (!skip_char(r, '}')) {
		do {
			skip_blanks(r);
			if (at_char(r, '}'))
				return fail(r, r->p, "no comma may stand before the } of an inline table");
			if (r->p == r->end || at_char(r, '\n') || starts(r, "\r\n") || at_char(r, '#'))
				goto not_closed;
			if (read_pair(r, v) < 0)
				return -1;
			skip_blanks(r);
		} while (skip_char(r, ','));
		if (!skip_char(r, '}')) {
			if (r->p < r->end && !at_char(r, '\n') && !starts(r, "\r\n") && !at_char(r, '#'))
				return fail(r, r->p, "between members of an inline table a comma must stand, not %s", byte_name(r, r->p));
			goto not_closed;
		}
	}
	v->end = (size_t)(r->p - r->text.p);
	return 0;

not_closed:
	return fail(r, open, "the inline table that begins here is not closed on its line; } is missing");
}

static struct toml *
read_value(struct reader *r)
{
	struct toml *v = new_node(r, TOML_STRING, HOW_VALUE, r->p, r->p);
	int rc;

	if (++r->depth > DEPTH_MAX) {
		fail(r, r->p, "values in each other more than %d deep", DEPTH_MAX);
		return NULL;
	}
	if (at_char(r, '"') || at_char(r, '\'')) {
		rc = read_string(r, &v->s);
		v->end = (size_t)(r->p - r->text.p);
	} else if (at_char(r, '[')) {
		rc = read_array(r, v);
	} else if (at_char(r, '{')) {
		rc = read_inline(r, v);
	} else {
		rc = read_word(r, v);
	}
	r->depth--;
	return rc == 0 ? v : NULL;
}

/*
 * The table that one more part of `a.b.c = value` leads to. Tables that were
 * closed, and those that have a header, cannot be added to in this way.
 */
static struct toml *
enter(struct reader *r, struct toml *table, const struct part *k)
{
	struct toml *t = toml_get_exact(table, k->name);

	if (t == NULL) {
		t = new_node(r, TOML_TABLE, HOW_DOTTED, k->at, k->end);
		t->is_inline = table->is_inline;
		append_member(r, table, t, k);
		return t;
	}
	if (t->type != TOML_TABLE) {
		fail(r, k->at, "%s is %s since line %d and has no members", quoted(r, k->name),
		    toml_type_name(t->type), t->line);
		return NULL;
	}
	if (t->how == HOW_HEADER || t->how == HOW_INLINE) {
		fail(r, k->at, "the table %s of line %d cannot be added to here", quoted(r, k->name), t->line);
		return NULL;
	}
	t->how = HOW_DOTTED;
	return t;
}

/* `key = value` into a table. */
static int
read_pair(struct reader *r, struct toml *table)
{
	struct part part[PARTS_MAX];
	struct toml *way[PARTS_MAX], *v, *first;
	int n = read_key(r, part);

	if (n < 0)
		return -1;
	if (!skip_char(r, '='))
		return fail(r, r->p, "behind a key '=' must stand, not %s", byte_name(r, r->p));
	for (int i = 0; i < n - 1; i++) {
		if ((table = enter(r, table, &part[i])) == NULL)
			return -1;
		way[i] = table;
	}
	if ((first = toml_get_exact(table, part[n - 1].name)) != NULL)
		return fail_twice(r, &part[n - 1], first);
	skip_blanks(r);
	if ((v = read_value(r)) == NULL)
		return -1;
	append_member(r, table, v, &part[n - 1]);
	for (int i = 0; i < n - 1; i++)
		way[i]->end = v->end;
	return 0;
}

/* ---- headers ---- */

/* The table that a part of a header before the last leads to. */
static struct toml *
pass(struct reader *r, struct toml *table, const struct part *k, const char *line)
{
	struct toml *t = toml_get_exact(table, k->name);

	if (t == NULL) {
		t = new_node(r, TOML_TABLE, HOW_SUPER, line, line);
		append_member(r, table, t, k);
		return t;
	}
	if (t->how == HOW_ARRAY)
		return t->last;
	if (t->type == TOML_TABLE && t->how != HOW_INLINE)
		return t;
	fail(r, k->at, "%s is %s since line %d and cannot have tables in it", quoted(r, k->name),
	    t->how == HOW_INLINE ? "an inline table" : toml_type_name(t->type), t->line);
	return NULL;
}

/* The table of [x], or the new element of [[x]]. */
static struct toml *
define(struct reader *r, struct toml *table, const struct part *k, bool array, const char *line)
{
	struct toml *t = toml_get_exact(table, k->name), *list = t;

	if (array ? t != NULL && t->how != HOW_ARRAY : t != NULL && t->how != HOW_SUPER) {
		if (t->how == HOW_ARRAY)
			fail(r, k->at, "%s is an array of tables since line %d; write [[...]]", quoted(r, k->name), t->line);
		else
			fail_twice(r, k, t);
		return NULL;
	}
	if (t != NULL && !array) {
		/* It stood in for this one; now it has a place of its own. */
		t->how = HOW_HEADER;
		t->key_at = (size_t)(k->at - r->text.p);
		t->key_end = (size_t)(k->end - r->text.p);
		t->at = (size_t)(line - r->text.p);
		return t;
	}
	t = new_node(r, TOML_TABLE, HOW_HEADER, line, line);
	if (!array) {
		append_member(r, table, t, k);
		return t;
	}
	if (list == NULL) {
		list = new_node(r, TOML_ARRAY, HOW_ARRAY, line, line);
		list->array_of_tables = true;
		append_member(r, table, list, k);
	}
	append(list, t);
	r->array = list;
	return t;
}

static int
read_header(struct reader *r, const char *line)
{
	struct part part[PARTS_MAX];
	const char *open = r->p;
	struct toml *t = r->root;
	bool array = starts(r, "[[");
	int n;

	r->p += array ? 2 : 1;
	skip_blanks(r);
	if ((n = read_key(r, part)) < 0)
		return -1;
	if (!skip_char(r, ']') || (array && !skip_char(r, ']')))
		return fail(r, r->p, "a table's header that begins with %s must end with %s, but %s follows",
		    array ? "[[" : "[", array ? "]]" : "]", byte_name(r, r->p));
	r->array = NULL;
	for (int i = 0; i < n - 1; i++)
		if ((t = pass(r, t, &part[i], line)) == NULL)
			return -1;
	if ((t = define(r, t, &part[n - 1], array, line)) == NULL)
		return -1;
	locate(r, open, &t->line, &t->column);
	r->table = t;
	return end_of_line(r, "a table's header");
}

/* ---- the text ---- */

static int
read_line(struct reader *r)
{
	const char *line = r->p;

	skip_blanks(r);
	if (at_char(r, '#') || r->p == r->end || at_char(r, '\n') || starts(r, "\r\n"))
		return skip_comment(r) < 0 || end_of_line(r, "a comment") < 0 ? -1 : 0;
	if (at_char(r, '[')) {
		if (read_header(r, line) < 0)
			return -1;
	} else if (read_pair(r, r->table) < 0 || end_of_line(r, "a value") < 0) {
		return -1;
	}
	r->table->end = (size_t)(r->p - r->text.p);
	if (r->array != NULL)
		r->array->end = r->table->end;
	return 0;
}

int
toml_parse(struct arena *a, struct str text, struct toml **root, struct err *e)
{
	struct reader r = { .arena = a, .e = e, .text = text.p != NULL ? text : STR(""), .line = 1, .column = 1 };

	r.p = r.text.p;
	r.end = r.p + r.text.n;
	if (starts(&r, "\xef\xbb\xbf"))
		r.p += 3;
	r.begin = r.seen = r.p;
	if (starts(&r, "\xff\xfe") || starts(&r, "\xfe\xff"))
		return fail(&r, r.p, "this is UTF-16; save the file as UTF-8");
	if (check_utf8(&r) < 0)
		return -1;
	r.root = r.table = new_node(&r, TOML_TABLE, HOW_HEADER, r.p, r.p);
	while (r.p < r.end)
		if (read_line(&r) < 0)
			return -1;
	*root = r.root;
	return 0;
}

struct toml *
toml_get_exact(const struct toml *table, struct str key)
{
	TOML_EACH(v, table)
		if (str_eq(v->key, key))
			return v;
	return NULL;
}

struct toml *
toml_get(const struct toml *table, const char *key)
{
	struct toml *v = toml_get_exact(table, str_from(key));

	if (v != NULL || table == NULL)
		return v;
	for (v = table->first; v != NULL; v = v->next)
		if (str_caseeq(v->key, key))
			return v;
	return NULL;
}

const char *
toml_type_name(enum toml_type t)
{
	static const char *const names[] = {
		[TOML_STRING] = "a string", [TOML_INTEGER] = "an integer", [TOML_FLOAT] = "a float",
		[TOML_BOOL] = "a boolean", [TOML_DATETIME] = "a date and time",
		[TOML_LOCAL_DATETIME] = "a local date and time", [TOML_LOCAL_DATE] = "a date",
		[TOML_LOCAL_TIME] = "a time", [TOML_ARRAY] = "an array", [TOML_TABLE] = "a table",
	};

	return names[t];
}
