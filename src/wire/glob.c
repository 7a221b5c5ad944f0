/*
 * Patterns: see glob.h. The pattern is not compiled: its own bytes are the
 * states of an automaton that may be in many of them at once, so that no
 * pattern makes it try one way after the other. One pass over the pattern
 * for each character of the name follows what leads on without a character
 * (all such ways lead forward) and takes the character where one is wanted.
 */
#include "core/core.h"
#include "wire/glob.h"
#include "wire/utf8.h"

/* How a position of the pattern may be reached; several at a time. */
enum {
	AT = 1,		/* what stands here comes next */
	SEGMENT = 2,	/* the same, at the start of a component: ** is special here */
	STAR = 4,	/* behind a *, which goes on for as long as no slash comes */
	DEEP = 8,	/* behind a ** and its slash: after any slash of the name it may go on here */
};

struct glob {
	struct str	p;
	uint16_t	next[GLOB_PATTERN_MAX + 1];	/* of '{' and ',': the ',' or '}' behind the alternative; else 0 */
	uint16_t	after[GLOB_PATTERN_MAX + 1];	/* of ',' and '}' that end an alternative: what stands behind the '}' */
	uint8_t		now[GLOB_PATTERN_MAX + 1];
	uint8_t		then[GLOB_PATTERN_MAX + 1];
};

/* The character at the front of s, which is not empty; bytes that are none have values beyond all characters. */
static size_t
character(struct str s, uint32_t *c)
{
	size_t n = utf8_decode(s, c);

	if (n > 0)
		return n;
	*c = 0x110000u + (unsigned char)s.p[0];
	return 1;
}

static struct str
from(struct str s, size_t at)
{
	return str_sub(s, at, s.n);
}

/* The grammar. Positions are those of the byte behind what was read; 0 is "malformed". */

static size_t
class_end(struct str p, size_t i)
{
	i++;
	if (i < p.n && (p.p[i] == '^' || p.p[i] == '!'))
		i++;
	if (i < p.n && p.p[i] == ']')
		return 0;
	for (; i < p.n; i++) {
		if (p.p[i] == '\\')
			i++;
		else if (p.p[i] == ']')
			return i + 1;
	}
	return 0;
}

static size_t	brace_end(struct glob *g, size_t i, int depth);

/* One thing of the pattern, outside of which ',' and '}' are looked for. */
static size_t
thing_end(struct glob *g, size_t i, int depth)
{
	switch (g->p.p[i]) {
	case '\\':
		return i + 1 < g->p.n ? i + 2 : 0;
	case '[':
		return class_end(g->p, i);
	case '{':
		return brace_end(g, i, depth);
	default:
		return i + 1;
	}
}

static size_t
brace_end(struct glob *g, size_t open, int depth)
{
	size_t last = open, i = open + 1;

	if (depth == GLOB_DEPTH_MAX)
		return 0;
	while (i < g->p.n) {
		if (g->p.p[i] == ',' || g->p.p[i] == '}') {
			g->next[last] = (uint16_t)i;
			last = i;
			if (g->p.p[i] == '}')
				break;
			i++;
		} else if ((i = thing_end(g, i, depth + 1)) == 0)
			return 0;
	}
	if (i >= g->p.n)
		return 0;
	for (size_t k = g->next[open]; k != i; k = g->next[k])
		g->after[k] = (uint16_t)(i + 1);
	g->after[i] = (uint16_t)(i + 1);
	return i + 1;
}

static bool
prepare(struct glob *g, struct str pattern)
{
	size_t i = 0;

	if (pattern.n > GLOB_PATTERN_MAX)
		return false;
	g->p = pattern;
	memset(g->next, 0, (pattern.n + 1) * sizeof(g->next[0]));
	memset(g->after, 0, (pattern.n + 1) * sizeof(g->after[0]));
	memset(g->now, 0, pattern.n + 1);
	while (i < pattern.n)
		if ((i = thing_end(g, i, 0)) == 0)
			return false;
	return true;
}

/* Where the text goes on from i when an alternative has ended there. */
static size_t
leave(const struct glob *g, size_t i)
{
	while (i < g->p.n && g->after[i] != 0)
		i = g->after[i];
	return i;
}

static bool
is_char(const struct glob *g, size_t i, char c)
{
	return i < g->p.n && g->p.p[i] == c;
}

/* The class at i against c, with its '[' and whether it says "not". */
static bool
class_has(struct str p, size_t i, size_t end, uint32_t c)
{
	bool negated = p.p[i + 1] == '^' || p.p[i + 1] == '!', found = false, range_may_follow = false;
	uint32_t last = 0, one;

	for (i += negated ? 2 : 1; i < end - 1 && !found; ) {
		bool range;

		/* A '-' between two characters makes a range, but not right behind a range: [a-b-d] is a to b, - and d. */
		range = p.p[i] == '-' && range_may_follow && i + 1 < end - 1;
		i += range;
		i += p.p[i] == '\\';
		i += character(from(p, i), &one);
		found = range ? last <= c && c <= one : c == one;
		last = one;
		range_may_follow = !range;
	}
	return found != negated;
}

/* A '*' at i: one, or two, which may be a component of their own. */
static bool
star(struct glob *g, size_t i, int flags)
{
	size_t first = leave(g, i + 1), second;

	if (!is_char(g, first, '*')) {
		g->now[first] |= STAR;
		return false;
	}
	second = leave(g, first + 1);
	if ((flags & SEGMENT) != 0 && second == g->p.n)
		return true;		/* whatever is left of the name */
	if ((flags & SEGMENT) != 0 && is_char(g, second, '/'))
		g->now[second + 1] |= DEEP | SEGMENT;
	else
		g->now[second] |= STAR;
	if ((flags & AT) != 0)
		g->now[second] |= STAR;
	return false;
}

/* Takes the character c of the name. True when the rest of the name does not matter. */
static bool
step(struct glob *g, uint32_t c)
{
	struct str p = g->p;

	memset(g->then, 0, p.n + 1);
	for (size_t i = 0; i <= p.n; i++) {
		int flags = g->now[i];
		uint32_t want;
		size_t end;

		if (flags == 0)
			continue;
		if ((flags & STAR) != 0) {
			flags |= AT;
			if (c != '/')
				g->then[i] |= STAR;
		}
		if ((flags & DEEP) != 0)
			g->then[i] |= c == '/' ? DEEP | SEGMENT : DEEP;
		flags &= AT | SEGMENT;
		if (flags == 0 || i == p.n)
			continue;
		if (g->after[i] != 0) {
			g->now[g->after[i]] |= (uint8_t)flags;
			continue;
		}
		switch (p.p[i]) {
		case '{':
			for (size_t k = i; ; k = g->next[k]) {
				g->now[k + 1] |= (uint8_t)flags;
				if (p.p[g->next[k]] == '}')
					break;
			}
			break;
		case '*':
			if (star(g, i, flags))
				return true;
			break;
		case '?':
			if (c != '/')
				g->then[i + 1] |= AT;
			break;
		case '[':
			end = class_end(p, i);
			if (class_has(p, i, end, c))
				g->then[end] |= AT;
			break;
		default:
			end = i + (p.p[i] == '\\');
			end += character(from(p, end), &want);
			if (c == want)
				g->then[end] |= c == '/' ? SEGMENT : AT;
		}
	}
	memcpy(g->now, g->then, p.n + 1);
	return false;
}

/*
 * What may be left of the pattern when the name has ended, besides nothing:
 * stars; a slash and a double star, for what lies below may be missing; and
 * where a component would begin a double star and a slash. In between,
 * a double star and its slash may stand once more. The nodes of that, a bit each:
 */
enum {
	LEFT_STARS = 1,			/* nothing, or stars */
	LEFT_SLASH = 2,			/* then a slash */
	LEFT_SLASH_STAR = 4,
	LEFT_BELOW = 8,			/* a whole double star behind it */
	LEFT_BELOW_SLASH = 16,		/* and another slash */
	LEFT_START = 32,		/* nothing, and a component would begin here */
	LEFT_START_STAR = 64,
	LEFT_START_STARS = 128,
	LEFT_ENOUGH = LEFT_STARS | LEFT_BELOW | LEFT_BELOW_SLASH,
};

static uint8_t
left_and(int nodes, char c)
{
	int r = 0;

	if (c == '*') {
		r |= nodes & LEFT_STARS;
		r |= (nodes & (LEFT_SLASH | LEFT_BELOW_SLASH)) != 0 ? LEFT_SLASH_STAR : 0;
		r |= (nodes & LEFT_SLASH_STAR) != 0 ? LEFT_BELOW : 0;
		r |= (nodes & LEFT_START) != 0 ? LEFT_START_STAR : 0;
		r |= (nodes & LEFT_START_STAR) != 0 ? LEFT_START_STARS : 0;
	} else if (c == '/') {
		r |= (nodes & LEFT_STARS) != 0 ? LEFT_SLASH : 0;
		r |= (nodes & (LEFT_BELOW | LEFT_START_STARS)) != 0 ? LEFT_BELOW_SLASH : 0;
	}
	return (uint8_t)r;
}

static bool
at_end(struct glob *g)
{
	uint8_t *nodes = g->then;
	struct str p = g->p;

	memset(nodes, 0, p.n + 1);
	for (size_t i = 0; i <= p.n; i++) {
		if ((g->now[i] & (AT | SEGMENT | STAR)) != 0)
			nodes[i] |= LEFT_STARS;
		if ((g->now[i] & SEGMENT) != 0)
			nodes[i] |= LEFT_START;
		if (nodes[i] == 0 || i == p.n)
			continue;
		if (g->after[i] != 0)
			nodes[g->after[i]] |= nodes[i];
		else if (p.p[i] == '{')
			for (size_t k = i; ; k = g->next[k]) {
				nodes[k + 1] |= nodes[i];
				if (p.p[g->next[k]] == '}')
					break;
			}
		else
			nodes[i + 1] |= left_and(nodes[i], p.p[i]);
	}
	return (nodes[p.n] & LEFT_ENOUGH) != 0;
}

bool
glob_match(struct str pattern, struct str name)
{
	struct glob g;
	uint32_t c;

	if (!prepare(&g, pattern))
		return false;
	g.now[0] = SEGMENT;
	while (name.n > 0) {
		name = from(name, character(name, &c));
		if (step(&g, c))
			return true;
	}
	return at_end(&g);
}

bool
glob_ok(struct str pattern)
{
	struct glob g;

	return prepare(&g, str_starts(pattern, "!") ? from(pattern, 1) : pattern);
}

bool
glob_allowed(const struct str *patterns, size_t n, struct str name)
{
	bool allowed = true, matched = false;

	for (size_t i = 0; i < n; i++) {
		if (str_starts(patterns[i], "!")) {
			if (!glob_ok(patterns[i]) || glob_match(from(patterns[i], 1), name))
				return false;
		} else {
			allowed = false;
			matched |= glob_match(patterns[i], name);
		}
	}
	return allowed || matched;
}
