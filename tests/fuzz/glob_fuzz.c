/*
 * Patterns: the automaton says what a plain matcher says, which writes out
 * the braces and tries one way after the other; a name whose every byte is
 * escaped matches itself; a malformed pattern matches nothing.
 *
 * Input: the pattern, a line feed, the name.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/glob.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where a brace was opened: it parts what stands before it from what is in it, but is no character. */
#define OPEN	'\1'

static int steps;		/* left; a matcher that has none left knows nothing */

static struct str
skip(struct str p)
{
	while (p.n > 0 && p.p[0] == OPEN)
		p = str_sub(p, 1, p.n);
	return p;
}

static struct str
from(struct str s, size_t n)
{
	return str_sub(s, n, s.n);
}

/* Whether p may be left when the name has ended. */
static bool
may_be_left(struct str p, bool segment)
{
	struct buf b = { 0 };
	struct str t;
	bool yes;

	for (size_t i = 0; i < p.n; i++)
		if (p.p[i] != OPEN)
			buf_putc(&b, p.p[i]);
	t = buf_str(&b);
	if (segment && str_starts(t, "**/"))
		t = from(t, 2);
	else
		while (str_starts(t, "*"))
			t = from(t, 1);
	while (str_starts(t, "/**"))
		t = from(t, 3);
	yes = t.n == 0;
	/* The last slash must follow a double star that is a component: the very first one, or one behind a slash. */
	if (str_eqc(t, "/"))
		yes = b.n >= 3 && t.p[-1] == '*' && t.p[-2] == '*' && ((t.p - 2 == b.p && segment) || (t.p - 2 > b.p && t.p[-3] == '/'));
	buf_free(&b);
	return yes;
}

static bool
plain_match(struct str p, struct str n, bool segment)
{
	size_t len = 1;

	if (--steps < 0)
		return false;
	if (n.n == 0)
		return may_be_left(p, segment);
	p = skip(p);
	if (p.n == 0)
		return false;
	switch (p.p[0]) {
	case '*':
		p = from(p, 1);
		if (str_starts(p, "*")) {
			p = from(p, 1);
			if (segment && p.n == 0)
				return true;
			if (segment && p.p[0] == '/') {
				p = from(p, 1);
				if (plain_match(p, n, true))
					return true;
				for (size_t i = 0; i < n.n; i++)
					if (n.p[i] == '/' && plain_match(p, from(n, i + 1), true))
						return true;
				return false;
			}
		}
		for (size_t i = 0; ; i++) {
			if (plain_match(p, from(n, i), false))
				return true;
			if (i == n.n || n.p[i] == '/')
				return false;
		}
	case '?':
		return n.p[0] != '/' && plain_match(from(p, 1), from(n, 1), false);
	case '[':
		for (len = 1; p.p[len] != ']'; len++)
			if (p.p[len] == '\\')
				len++;
		return glob_match(str_sub(p, 0, len + 1), str_sub(n, 0, 1)) && plain_match(from(p, len + 1), from(n, 1), false);
	case '\\':
		p = from(p, 1);
		/* FALLTHROUGH */
	default:
		return p.p[0] == n.p[0] && plain_match(from(p, 1), from(n, 1), n.p[0] == '/');
	}
}

/* Behind the thing at i that holds neither an alternative's end nor a brace's. */
static size_t
thing(struct str p, size_t i)
{
	int depth = 0;

	do {
		if (p.p[i] == '\\')
			i++;
		else if (p.p[i] == '[') {
			while (p.p[++i] != ']')
				if (p.p[i] == '\\')
					i++;
		} else if (p.p[i] == '{')
			depth++;
		else if (p.p[i] == '}' && depth > 0)
			depth--;
		i++;
	} while (depth > 0);
	return i;
}

/* Writes out the first brace of a well-formed p and goes on with each; done is what needs no more of it. */
static bool
expand_match(struct str done, struct str p, struct str name)
{
	struct buf b = { 0 };
	size_t i = 0, end, at;
	bool yes = false;

	if (--steps < 0)
		return false;
	while (i < p.n && p.p[i] != '{')
		i = thing(p, i);
	if (i == p.n) {
		buf_putstr(&b, done);
		buf_putstr(&b, p);
		yes = plain_match(buf_str(&b), name, true);
		buf_free(&b);
		return yes;
	}
	end = thing(p, i);
	for (at = i + 1; at < end && !yes; at++) {
		struct buf rest = { 0 };
		size_t start = at;

		while (at < end - 1 && p.p[at] != ',')
			at = thing(p, at);
		buf_clear(&b);
		buf_putstr(&b, done);
		buf_putstr(&b, str_sub(p, 0, i));
		buf_putc(&b, OPEN);
		buf_putstr(&rest, str_sub(p, start, at - start));
		buf_putstr(&rest, from(p, end));
		yes = expand_match(buf_str(&b), buf_str(&rest), name);
		buf_free(&rest);
	}
	buf_free(&b);
	return yes;
}

static void
escaped_matches_itself(struct str s)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x80)
			buf_putc(&b, '\\');
		buf_putc(&b, c);
	}
	if (b.n <= GLOB_PATTERN_MAX) {
		assert(glob_match(buf_str(&b), s));
		buf_putc(&b, '?');
		assert(!glob_match(buf_str(&b), s));
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str name = str_of(data, size), pattern = str_cut(&name, '\n');
	bool yes, simple = true, plain;

	if (name.p == NULL)
		name = STR("");
	escaped_matches_itself(name);
	assert(glob_match(STR("**"), name));
	yes = glob_match(pattern, name);
	if (!str_starts(pattern, "!") && !glob_ok(pattern)) {
		assert(!yes);
		return 0;
	}
	for (size_t i = 0; i < size; i++)
		simple &= data[i] < 0x80 && data[i] != OPEN;
	if (!simple || pattern.n > 200 || name.n > 40 || !glob_ok(pattern))
		return 0;
	steps = 20000;
	plain = expand_match(STR(""), pattern, name);
	assert(steps < 0 || plain == yes);
	return 0;
}
