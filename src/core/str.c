/* Views of bytes: see str.h. */
#include <sys/types.h>

#include "core/str.h"

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool
is_space(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str
str_from(const char *cstr)
{
	return cstr != NULL ? (struct str){ cstr, strlen(cstr) } : STR_NULL;
}

struct str
str_of(const void *p, size_t n)
{
	return (struct str){ p, n };
}

bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
str_eqc(struct str a, const char *b)
{
	return str_eq(a, str_from(b));
}

static bool
case_prefix(struct str s, const char *b, size_t n)
{
	if (s.n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower((unsigned char)s.p[i]) != lower((unsigned char)b[i]))
			return false;
	return true;
}

unsigned
str_distance(struct str a, struct str b)
{
	/* Row i of the table is rows[i % 3]: a swap looks two back. */
	unsigned rows[3][65] = { { 0 } };

	if (a.n > 64 || b.n > 64)
		return 99;
	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			int x = a.p[i - 1] | 0x20, y = b.p[j - 1] | 0x20;
			unsigned best = last[j - 1] + (x != y);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && x == (b.p[j - 2] | 0x20) && y == (a.p[i - 2] | 0x20) && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[a.n % 3][b.n];
}

bool
str_caseeq(struct str a, const char *b)
{
	return a.n == strlen(b) && case_prefix(a, b, a.n);
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool
str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool
str_casestarts(struct str s, const char *prefix)
{
	return case_prefix(s, prefix, strlen(prefix));
}

bool
str_ends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.n >= n && (n == 0 || memcmp(s.p + s.n - n, suffix, n) == 0);
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_space((unsigned char)s.p[0]))
		s.p++, s.n--;
	while (s.n > 0 && is_space((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str
str_sub(struct str s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	return (struct str){ s.p != NULL ? s.p + from : NULL, n };
}

ssize_t
str_chr(struct str s, int c)
{
	const char *p = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return p != NULL ? p - s.p : -1;
}

ssize_t
str_rchr(struct str s, int c)
{
	const char *p = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return p != NULL ? p - s.p : -1;
}

ssize_t
str_find(struct str s, const char *needle)
{
	const char *p = s.n > 0 ? memmem(s.p, s.n, needle, strlen(needle)) : NULL;

	if (s.n == 0 && needle[0] == '\0')
		return 0;
	return p != NULL ? p - s.p : -1;
}

ssize_t
str_casefind(struct str s, const char *needle)
{
	size_t n = strlen(needle);

	for (size_t i = 0; i + n <= s.n; i++)
		if (case_prefix(str_sub(s, i, n), needle, n))
			return (ssize_t)i;
	return -1;
}

struct str
str_cut(struct str *s, int c)
{
	ssize_t at = str_chr(*s, c);
	struct str field = *s;

	if (at < 0) {
		*s = STR_NULL;
		return field;
	}
	field.n = (size_t)at;
	*s = (struct str){ s->p + at + 1, s->n - (size_t)at - 1 };
	return field;
}

int
str_to_u64(struct str s, uint64_t *v)
{
	uint64_t r = 0;

	if (s.n > 0 && s.p[0] == '+')
		s = str_sub(s, 1, s.n);
	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

		if (d > 9 || __builtin_mul_overflow(r, 10u, &r) ||
		    __builtin_add_overflow(r, d, &r))
			return -1;
	}
	*v = r;
	return 0;
}

int
str_to_i64(struct str s, int64_t *v)
{
	bool neg = s.n > 0 && s.p[0] == '-';
	uint64_t u;

	if (neg) {
		s = str_sub(s, 1, s.n);
		if (s.n > 0 && s.p[0] == '+')
			return -1;
	}
	if (str_to_u64(s, &u) < 0 || u > (uint64_t)INT64_MAX + (neg ? 1 : 0))
		return -1;
	*v = neg ? (int64_t)(0 - u) : (int64_t)u;
	return 0;
}

int
str_to_int(struct str s, int *v)
{
	int64_t w;

	if (str_to_i64(s, &w) < 0 || w < INT32_MIN || w > INT32_MAX)
		return -1;
	*v = (int)w;
	return 0;
}

int
str_to_bool(struct str s, bool *v)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < NELEM(yes); i++) {
		if (str_eqc(s, yes[i])) {
			*v = true;
			return 0;
		}
		if (str_eqc(s, no[i])) {
			*v = false;
			return 0;
		}
	}
	return -1;
}

/* One "12.5h" of a Go duration: cut off *s and added to *ns as a positive amount. */
static int
duration_part(struct str *s, int64_t *ns)
{
	static const struct unit { const char *unit; int64_t ns; } units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 },
		{ "ms", 1000000 }, { "s", INT64_C(1000000000) },
		{ "m", INT64_C(60000000000) }, { "h", INT64_C(3600000000000) },
	};
	int64_t whole = 0, frac = 0, scale = 1, add;
	size_t i = 0, digits = 0;
	const struct unit *u = NULL;

	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, s->p[i] - '0', &whole))
			return -1;
	if (i < s->n && s->p[i] == '.')
		for (i++; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, digits++)
			if (scale < INT64_C(100000000000000)) {
				frac = frac * 10 + (s->p[i] - '0');
				scale *= 10;
			}
	if (digits == 0)
		return -1;
	*s = str_sub(*s, i, s->n);
	for (size_t k = 0; k < NELEM(units); k++)
		/* "m" must not swallow the m of "ms": the longer name stands first and wins. */
		if (str_starts(*s, units[k].unit) &&
		    (u == NULL || strlen(units[k].unit) > strlen(u->unit)))
			u = &units[k];
	if (u == NULL || __builtin_mul_overflow(whole, u->ns, &add))
		return -1;
	if (__builtin_add_overflow(add,
	    (int64_t)((double)frac / (double)scale * (double)u->ns), &add) ||
	    __builtin_add_overflow(*ns, add, ns))
		return -1;
	*s = str_sub(*s, strlen(u->unit), s->n);
	return 0;
}

int
str_to_duration(struct str s, int64_t *ns)
{
	bool neg = false;
	int64_t sum = 0;

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		neg = s.p[0] == '-';
		s = str_sub(s, 1, s.n);
	}
	if (str_eqc(s, "0")) {
		*ns = 0;
		return 0;
	}
	if (s.n == 0)
		return -1;
	while (s.n > 0)
		if (duration_part(&s, &sum) < 0)
			return -1;
	*ns = neg ? -sum : sum;
	return 0;
}

char *
str_dup(struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

int
str_copy(struct str s, char *out, size_t size)
{
	size_t n = s.n < size ? s.n : size - 1;

	assert(size > 0);
	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
	return n == s.n && str_chr(s, '\0') < 0 ? 0 : -1;
}

void
str_printable(struct str s, char *out, size_t size)
{
	size_t n = 0;

	assert(size > 0);
	for (; n < s.n && n + 1 < size; n++)
		out[n] = s.p[n] >= ' ' && s.p[n] <= '~' ? s.p[n] : '?';
	out[n] = '\0';
}

/* The table of well-formed byte sequences of the Unicode standard (chapter 3, table 3-7), written as code. */
static uint32_t
tail(const unsigned char *p)
{
	return *p & 0x3fu;
}

size_t
str_utf8(struct str s, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char lo = 0x80, hi = 0xbf;	/* of the second byte */
	size_t n;

	if (s.n == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (s.n < n)
		return 0;
	switch (p[0]) {
	case 0xe0: lo = 0xa0; break;	/* shorter forms exist below */
	case 0xed: hi = 0x9f; break;	/* surrogates above */
	case 0xf0: lo = 0x90; break;
	case 0xf4: hi = 0x8f; break;	/* U+10FFFF is the last */
	}
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	if (n == 2)
		*cp = (p[0] & 0x1fu) << 6 | tail(p + 1);
	else if (n == 3)
		*cp = (p[0] & 0x0fu) << 12 | tail(p + 1) << 6 | tail(p + 2);
	else
		*cp = (p[0] & 0x07u) << 18 | tail(p + 1) << 12 |
		    tail(p + 2) << 6 | tail(p + 3);
	return n;
}

/*
 * Characters that move the cursor or the reading order instead of being seen: controls (C0, DEL, C1: terminals obey U+009B as
 * they do ESC), separators of lines and paragraphs, marks and overrides of direction (Unicode TR 9), tags.
 */
static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

bool
str_shown(struct str *s, struct str *one, uint32_t *cp)
{
	size_t n = str_utf8(*s, cp);

	if (n == 0)
		*cp = STR_NO_CHAR;
	*one = str_sub(*s, 0, n > 0 ? n : 1);
	*s = str_sub(*s, one->n, s->n);
	return n > 0 && !is_control(*cp);
}
