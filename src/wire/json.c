/*
 * Reading JSON. Three passes, each linear: check() holds the text to the
 * grammar and counts the tokens, jsmn cuts it into an array of just that
 * size, and link_values() turns jsmn's parent links into sibling links. As
 * only valid text reaches jsmn, its leniency does not matter.
 */
#include <math.h>

#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

/* Without parent links jsmn searches its whole array for what a bracket closes: quadratic. */
#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

/*
 * A key's token has size 1 and its value is the next token; a string that is
 * a value has size 0. After link_values() `parent` of a value is the token of
 * its next sibling, 0 for the last: the root is nobody's sibling.
 */
#define sibling	parent

/* A big object's values, sorted by key, equal keys in the order of the text. */
struct json_index {
	int	 object;
	int	*value;
};

struct json_doc {
	const char		*text;
	jsmntok_t		*tok;
	int			 ntok;
	struct json_index	*index;		/* in the order of .object */
	size_t			 nindex;
};

/* The grammar */

struct check {
	const char	*p, *end;
	size_t		 ntok;
	const char	*why;		/* set when it fails, at p */
};

static bool
no(struct check *c, const char *why)
{
	c->why = why;
	return false;
}

static int
peek(const struct check *c)
{
	return c->p < c->end ? (unsigned char)*c->p : -1;
}

static void
blanks(struct check *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
}

static bool
digits(struct check *c)
{
	const char *from = c->p;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return c->p > from;
}

static bool
number(struct check *c)
{
	if (peek(c) == '-')
		c->p++;
	if (peek(c) == '0') {
		c->p++;
		if (peek(c) >= '0' && peek(c) <= '9')
			return no(c, "a number must not begin with 0");
	} else if (!digits(c))
		return no(c, "expected a digit");
	if (peek(c) == '.') {
		c->p++;
		if (!digits(c))
			return no(c, "expected a digit after the decimal point");
	}
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->p++;
		if (peek(c) == '+' || peek(c) == '-')
			c->p++;
		if (!digits(c))
			return no(c, "expected a digit in the exponent");
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
escape(struct check *c)
{
	c->p++;
	switch (peek(c)) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		c->p++;
		return true;
	case 'u':
		c->p++;
		for (int i = 0; i < 4; i++, c->p++)
			if (c->p == c->end || hex_digit(*c->p) < 0)
				return no(c, "expected four hexadecimal digits after \\u");
		return true;
	case -1:
		return no(c, "the text ends inside a string");
	default:
		return no(c, "unknown escape in a string");
	}
}

static bool
string(struct check *c)
{
	uint32_t cp;
	size_t n;

	c->p++;
	for (;;) {
		int ch = peek(c);

		if (ch == '"') {
			c->p++;
			return true;
		}
		if (ch == '\\') {
			if (!escape(c))
				return false;
		} else if (ch >= 0x20 && ch < 0x80)
			c->p++;
		else if (ch < 0)
			return no(c, "the text ends inside a string");
		else if (ch < 0x20)
			return no(c, "a control character stands in a string");
		else if ((n = utf8_decode((struct str){ c->p, (size_t)(c->end - c->p) }, &cp)) > 0)
			c->p += n;
		else
			return no(c, "a string is not valid UTF-8");
	}
}

static bool
word(struct check *c, const char *w)
{
	for (; *w != '\0'; w++, c->p++)
		if (peek(c) != *w)
			return no(c, "expected a value");
	return true;
}

static bool
scalar(struct check *c)
{
	c->ntok++;
	switch (peek(c)) {
	case '"': return string(c);
	case 't': return word(c, "true");
	case 'f': return word(c, "false");
	case 'n': return word(c, "null");
	case '-': case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		return number(c);
	case -1:
		return no(c, "the text ends where a value should stand");
	case 0xef:
		return no(c, "expected a value (a byte order mark is not allowed)");
	default:
		return no(c, "expected a value");
	}
}

static bool
key(struct check *c)
{
	if (peek(c) != '"')
		return no(c, "expected a key in double quotes");
	c->ntok++;
	if (!string(c))
		return false;
	blanks(c);
	if (peek(c) != ':')
		return no(c, "expected ':' after a key");
	c->p++;
	blanks(c);
	return true;
}

/* The open containers are a bit each, 1 for an object, the innermost lowest. */
_Static_assert(JSON_DEPTH_MAX <= 64, "one bit a level");

static bool
check(struct check *c)
{
	uint64_t objects = 0;
	int depth = 0;

	blanks(c);
	for (;;) {
		bool object = peek(c) == '{';

		if (object || peek(c) == '[') {
			if (depth == JSON_DEPTH_MAX)
				return no(c, "nested too deeply");
			depth++;
			objects = objects << 1 | object;
			c->ntok++;
			c->p++;
			blanks(c);
			if (peek(c) != (object ? '}' : ']')) {
				if (object && !key(c))
					return false;
				continue;
			}
		} else {
			if (!scalar(c))
				return false;
			blanks(c);
		}
		/* A value has ended, or the closing bracket of one is next. */
		for (;;) {
			object = objects & 1;
			if (depth == 0)
				return c->p == c->end || no(c, "something stands after the value");
			if (peek(c) == ',')
				break;
			if (peek(c) != (object ? '}' : ']'))
				return no(c, object ? "expected ',' or '}' after a member" :
				    "expected ',' or ']' after an element");
			c->p++;
			blanks(c);
			depth--;
			objects >>= 1;
		}
		c->p++;
		blanks(c);
		if (object && !key(c))
			return false;
	}
}

static int
refuse(struct str text, const char *at, const char *why, struct err *e)
{
	size_t line = 1, column = 1;

	for (const char *p = text.p; p != at; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if ((*p & 0xc0) != 0x80)		/* continuation bytes are no columns */
			column++;
	}
	return err_set(e, ERR_PARSE, 0, "JSON line %zu, column %zu: %s", line, column, why);
}

/* Strings */

static uint32_t
code_unit(const char *p)	/* at \uXXXX */
{
	uint32_t u = 0;

	for (int i = 2; i < 6; i++)
		u = u << 4 | (uint32_t)hex_digit(p[i]);
	return u;
}

/* What the escape at *p stands for; *p moves behind it. A pair of surrogates is one. */
static uint32_t
unescape_one(const char **p, const char *end)
{
	uint32_t unit, low;
	char c = (*p)[1];

	if (c != 'u') {
		*p += 2;
		switch (c) {
		case 'b': return '\b';
		case 'f': return '\f';
		case 'n': return '\n';
		case 'r': return '\r';
		case 't': return '\t';
		default: return (unsigned char)c;
		}
	}
	unit = code_unit(*p);
	*p += 6;
	if (unit < 0xd800 || unit > 0xdfff)
		return unit;
	if (unit <= 0xdbff && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		low = code_unit(*p);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*p += 6;
			return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return UTF8_REPLACEMENT;
}

static struct str
unescape(struct arena *a, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *next;
	struct str out;
	char *to;

	if (str_chr(s, '\\') < 0)
		return s;
	to = arena_alloc(a, s.n);	/* no escape is shorter than what it stands for */
	out.p = to;
	while ((next = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		memcpy(to, p, (size_t)(next - p));
		to += next - p;
		p = next;
		to += utf8_encode(unescape_one(&p, end), to);
	}
	memcpy(to, p, (size_t)(end - p));
	to += end - p;
	out.n = (size_t)(to - out.p);
	return out;
}

/* The bytes of a string one by one, unescaped on the way. */
struct reader {
	const char	*p, *end;
	char		 held[4];
	size_t		 at, n;
};

static int
read_byte(struct reader *r)
{
	if (r->at < r->n)
		return (unsigned char)r->held[r->at++];
	if (r->p == r->end)
		return -1;
	if (*r->p != '\\')
		return (unsigned char)*r->p++;
	r->n = utf8_encode(unescape_one(&r->p, r->end), r->held);
	r->at = 1;
	return (unsigned char)r->held[0];
}

static int
compare_readers(struct reader x, struct reader y)
{
	for (;;) {
		int a = read_byte(&x), b = read_byte(&y);

		if (a != b)
			return a < b ? -1 : 1;
		if (a < 0)
			return 0;
	}
}

static struct str
token_text(const struct json_doc *d, int tok)
{
	return (struct str){ d->text + d->tok[tok].start, (size_t)(d->tok[tok].end - d->tok[tok].start) };
}

static struct reader
read_token(const struct json_doc *d, int tok)
{
	struct str s = token_text(d, tok);

	return (struct reader){ .p = s.p, .end = s.p + s.n };
}

/* A key as it stands in the text against a name without escapes, bytewise. */
static int
compare_key(const struct json_doc *d, int key_tok, struct str name)
{
	struct reader r = read_token(d, key_tok);
	struct str k = token_text(d, key_tok);

	if (str_chr(k, '\\') < 0)
		return str_cmp(k, name);
	for (size_t i = 0; ; i++) {
		int x = read_byte(&r), y = i < name.n ? (unsigned char)name.p[i] : -1;

		if (x != y)
			return x < y ? -1 : 1;
		if (x < 0)
			return 0;
	}
}

/* The index of big objects */

static int
compare_values(const void *x, const void *y, void *doc)
{
	int a = *(const int *)x, b = *(const int *)y;
	struct str ka = token_text(doc, a - 1), kb = token_text(doc, b - 1);
	int c;

	if (str_chr(ka, '\\') < 0 && str_chr(kb, '\\') < 0)
		c = str_cmp(ka, kb);
	else
		c = compare_readers(read_token(doc, a - 1), read_token(doc, b - 1));
	if (c != 0)
		return c;
	return a < b ? -1 : a > b;
}

static void
index_object(struct arena *a, struct json_doc *d, int object)
{
	struct json_index *x = &d->index[d->nindex++];
	size_t n = (size_t)d->tok[object].size, i = 0;

	x->object = object;
	x->value = arena_calloc(a, n, sizeof(*x->value));
	for (int v = object + 2; v != 0; v = d->tok[v].sibling)
		x->value[i++] = v;
	assert(i == n);
	qsort_r(x->value, n, sizeof(*x->value), compare_values, d);
}

static const struct json_index *
find_index(const struct json_doc *d, int object)
{
	size_t lo = 0, hi = d->nindex;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->index[mid].object == object)
			return &d->index[mid];
		if (d->index[mid].object < object)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* The last value of that name: one before the first that is greater. */
static int
search_index(const struct json_doc *d, const struct json_index *x, struct str name)
{
	size_t lo = 0, hi = (size_t)d->tok[x->object].size;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_key(d, x->value[mid] - 1, name) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo > 0 && compare_key(d, x->value[lo - 1] - 1, name) == 0)
		return x->value[lo - 1];
	return 0;
}

/* Parsing */

static bool
is_key(const jsmntok_t *t)
{
	return t->type == JSMN_STRING && t->size == 1;
}

/* Turns parent links into sibling links and counts the objects that get an index. */
static size_t
link_values(struct json_doc *d)
{
	struct { int container, last; } open[JSON_DEPTH_MAX + 1];
	int depth = 0;
	size_t big = 0;

	for (int i = 0; i < d->ntok; i++) {
		jsmntok_t *t = &d->tok[i];
		int up = t->parent;

		if (is_key(t))
			continue;	/* keeps its parent link, for its value */
		if (up >= 0 && is_key(&d->tok[up]))
			up = d->tok[up].parent;
		while (depth > 0 && open[depth - 1].container != up)
			depth--;
		if (depth > 0) {
			if (open[depth - 1].last != 0)
				d->tok[open[depth - 1].last].sibling = i;
			open[depth - 1].last = i;
		}
		t->sibling = 0;
		if (t->type == JSMN_OBJECT || t->type == JSMN_ARRAY) {
			open[depth].container = i;
			open[depth++].last = 0;
		}
		big += t->type == JSMN_OBJECT && t->size > JSON_INDEX_MIN;
	}
	return big;
}

int
json_parse(struct arena *a, struct str text, struct json_val *root, struct err *e)
{
	struct check c = { .p = text.p };
	struct json_doc *d;
	jsmn_parser parser;
	size_t big;
	int n;

	if (text.n > JSON_TEXT_MAX)
		return err_set(e, ERR_PARSE, 0, "JSON text of %zu bytes; at most %u are read", text.n, JSON_TEXT_MAX);
	if (text.n == 0)
		return err_set(e, ERR_PARSE, 0, "JSON line 1, column 1: the text is empty");
	c.end = text.p + text.n;
	if (!check(&c))
		return refuse(text, c.p, c.why, e);
	d = arena_alloc(a, sizeof(*d));
	d->text = text.p;
	d->tok = arena_calloc(a, c.ntok, sizeof(*d->tok));
	jsmn_init(&parser);
	n = jsmn_parse(&parser, text.p, text.n, d->tok, (unsigned)c.ntok);
	/* Nothing that passed check() may fail here: the two must agree on what a token is. */
	assert(n > 0 && (size_t)n == c.ntok);
	d->ntok = n;
	big = link_values(d);
	if (big > 0) {
		d->index = arena_calloc(a, big, sizeof(*d->index));
		for (int i = 0; i < n; i++)
			if (d->tok[i].type == JSMN_OBJECT && d->tok[i].size > JSON_INDEX_MIN)
				index_object(a, d, i);
	}
	*root = (struct json_val){ d, 0 };
	return 0;
}

/* Access */

static const jsmntok_t *
token(struct json_val v)
{
	return &v.doc->tok[v.tok];
}

static struct json_val
value(const struct json_doc *d, int tok)
{
	return tok != 0 ? (struct json_val){ d, tok } : JSON_NONE;
}

enum json_type
json_type(struct json_val v)
{
	if (v.doc == NULL)
		return JSON_ABSENT;
	switch (token(v)->type) {
	case JSMN_OBJECT: return JSON_OBJECT;
	case JSMN_ARRAY: return JSON_ARRAY;
	case JSMN_STRING: return JSON_STRING;
	default: break;
	}
	switch (v.doc->text[token(v)->start]) {
	case 'n': return JSON_NULL;
	case 't': case 'f': return JSON_BOOL;
	default: return JSON_NUMBER;
	}
}

bool
json_present(struct json_val v)
{
	return json_type(v) > JSON_NULL;
}

struct json_val
json_get_str(struct json_val object, struct str name)
{
	const struct json_doc *d = object.doc;
	int found = 0;

	if (json_type(object) != JSON_OBJECT)
		return JSON_NONE;
	if (token(object)->size > JSON_INDEX_MIN)
		return value(d, search_index(d, find_index(d, object.tok), name));
	JSON_EACH(v, object)
		if (compare_key(d, v.tok - 1, name) == 0)
			found = v.tok;
	return value(d, found);
}

struct json_val
json_get(struct json_val object, const char *name)
{
	return json_get_str(object, str_from(name));
}

struct json_val
json_path(struct json_val v, const char *dotted)
{
	struct str rest = str_from(dotted);

	while (rest.p != NULL)
		v = json_get_str(v, str_cut(&rest, '.'));
	return v;
}

size_t
json_len(struct json_val v)
{
	enum json_type t = json_type(v);

	return t == JSON_ARRAY || t == JSON_OBJECT ? (size_t)token(v)->size : 0;
}

struct json_val
json_at(struct json_val array, size_t i)
{
	struct json_val v;

	if (json_type(array) != JSON_ARRAY || i >= json_len(array))
		return JSON_NONE;
	for (v = json_first(array); i > 0; i--)
		v = json_next(v);
	return v;
}

struct json_val
json_first(struct json_val container)
{
	if (json_len(container) == 0)
		return JSON_NONE;
	return value(container.doc, container.tok + (json_type(container) == JSON_OBJECT ? 2 : 1));
}

struct json_val
json_next(struct json_val v)
{
	return v.doc != NULL ? value(v.doc, token(v)->sibling) : JSON_NONE;
}

struct str
json_key(struct arena *a, struct json_val member)
{
	if (member.doc == NULL || member.tok == 0 || !is_key(token(member) - 1))
		return STR_NULL;
	return unescape(a, token_text(member.doc, member.tok - 1));
}

struct str
json_str_or(struct arena *a, struct json_val v, struct str dflt)
{
	if (json_type(v) != JSON_STRING)
		return dflt;
	return unescape(a, token_text(v.doc, v.tok));
}

struct str
json_str(struct arena *a, struct json_val v)
{
	return json_str_or(a, v, STR(""));
}

char *
json_cstr(struct arena *a, struct json_val v)
{
	struct str s = json_str(a, v);
	ssize_t nul = str_chr(s, '\0');

	return arena_dup(a, nul < 0 ? s : str_sub(s, 0, (size_t)nul));
}

struct str
json_text(struct arena *a, struct json_val v)
{
	enum json_type t = json_type(v);

	if (t == JSON_NUMBER || t == JSON_BOOL)
		return json_raw(v);
	return json_str(a, v);
}

/* A checked number cut at its point, without sign and exponent. */
struct decimal {
	bool		neg;
	struct str	whole, fraction;
	int64_t		exponent;	/* clamped: only its sign matters when it is huge */
};

static struct str
cut_digits(struct str *s)
{
	size_t n = 0;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	struct str d = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->n);
	return d;
}

static struct decimal
cut_number(struct str s)
{
	struct decimal d = { .neg = s.p[0] == '-', .fraction = STR("") };
	bool neg_exponent;

	if (d.neg)
		s = str_sub(s, 1, s.n);
	d.whole = cut_digits(&s);
	if (s.n > 0 && s.p[0] == '.') {
		s = str_sub(s, 1, s.n);
		d.fraction = cut_digits(&s);
	}
	if (s.n == 0)
		return d;
	s = str_sub(s, 1, s.n);
	neg_exponent = s.p[0] == '-';
	if (neg_exponent || s.p[0] == '+')
		s = str_sub(s, 1, s.n);
	/* 2^32 is more digits than JSON_TEXT_MAX allows, so no mantissa makes up for it. */
	for (size_t i = 0; i < s.n && d.exponent < INT64_C(1) << 32; i++)
		d.exponent = d.exponent * 10 + (s.p[i] - '0');
	if (neg_exponent)
		d.exponent = -d.exponent;
	return d;
}

static bool
number_to_i64(struct str text, int64_t *out)
{
	struct decimal d = cut_number(text);
	int64_t ndigits = (int64_t)d.whole.n + d.exponent;	/* before the point once it has moved */
	size_t have = d.whole.n + d.fraction.n;
	uint64_t r = 0, limit = (uint64_t)INT64_MAX + d.neg;

	for (int64_t i = 0; i < ndigits; i++) {
		size_t at = (size_t)i;
		unsigned digit = 0;

		if (at < d.whole.n)
			digit = (unsigned)(d.whole.p[at] - '0');
		else if (at < have)
			digit = (unsigned)(d.fraction.p[at - d.whole.n] - '0');
		else if (r == 0)
			break;		/* only zeros from here on */
		if (r > (limit - digit) / 10)
			return false;
		r = r * 10 + digit;
	}
	*out = d.neg ? (int64_t)(0 - r) : (int64_t)r;
	return true;
}

int64_t
json_i64(struct json_val v, int64_t dflt)
{
	int64_t r;

	switch (json_type(v)) {
	case JSON_NUMBER:
		return number_to_i64(token_text(v.doc, v.tok), &r) ? r : dflt;
	case JSON_STRING:
		return str_to_i64(token_text(v.doc, v.tok), &r) == 0 ? r : dflt;
	default:
		return dflt;
	}
}

double
json_f64(struct json_val v, double dflt)
{
	char small[64], *copy = small;
	struct str s;
	double r;

	if (json_type(v) != JSON_NUMBER)
		return dflt;
	/* strtod() wants an end, and the text need not have one. */
	s = token_text(v.doc, v.tok);
	if (s.n >= sizeof(small))
		copy = xmalloc(s.n + 1);
	memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	r = strtod(copy, NULL);
	if (copy != small)
		free(copy);
	return isfinite(r) ? r : dflt;
}

bool
json_bool(struct json_val v, bool dflt)
{
	return json_type(v) == JSON_BOOL ? v.doc->text[token(v)->start] == 't' : dflt;
}

struct str
json_raw(struct json_val v)
{
	struct str s;

	if (v.doc == NULL)
		return STR("");
	s = token_text(v.doc, v.tok);
	if (token(v)->type == JSMN_STRING)	/* the quotes lie outside the token */
		s = (struct str){ s.p - 1, s.n + 2 };
	return s;
}
