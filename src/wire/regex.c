/*
 * Regular expressions; see regex.h. The pattern becomes a program whose jumps
 * are relative, so that a piece of it can be moved and copied as it stands; all
 * its threads run over the text at once (Thompson's way), each place of the
 * program at most once a byte.
 */
#include "core/core.h"
#include "wire/regex.h"

#define DEPTH_MAX	100
#define CLASSES_MAX	64

enum op { BYTE, CLASS, SPLIT, JUMP, TEXT_BEGIN, TEXT_END, WORD_EDGE, NO_WORD_EDGE, MATCH };

struct insn {
	enum op		op;
	int		x, y;		/* BYTE: which; CLASS: which; SPLIT, JUMP: where to, from here */
};

struct class {
	uint8_t		bits[32];
};

struct compiler {
	struct str	in;
	size_t		at;
	int		depth;
	bool		fold, dot_all;	/* (?i), (?s) */
	struct insn	*prog;
	int		n;
	struct class	*classes;
	int		nclasses;
	struct err	*e;
};

static int
bad(struct compiler *c, const char *what)
{
	return err_set(c->e, ERR_PARSE, 0, "%s at byte %zu of the pattern", what, c->at + 1);
}

static bool
more(const struct compiler *c)
{
	return c->at < c->in.n;
}

static int
peek(const struct compiler *c)
{
	return more(c) ? (unsigned char)c->in.p[c->at] : -1;
}

static bool
take(struct compiler *c, const char *lit)
{
	if (!str_starts(str_sub(c->in, c->at, c->in.n), lit))
		return false;
	c->at += strlen(lit);
	return true;
}

static int
emit(struct compiler *c, enum op op, int x, int y)
{
	if (c->n == REGEX_SIZE_MAX)
		return bad(c, "the pattern is too large");
	c->prog[c->n++] = (struct insn){ op, x, y };
	return 0;
}

/* Makes room for one instruction at `at`; jumps are relative and none crosses that place. */
static int
insert(struct compiler *c, int at, enum op op, int x, int y)
{
	if (emit(c, op, x, y) < 0)
		return -1;
	memmove(c->prog + at + 1, c->prog + at, (size_t)(c->n - 1 - at) * sizeof(*c->prog));
	c->prog[at] = (struct insn){ op, x, y };
	return 0;
}

static int
copy(struct compiler *c, int from, int len)
{
	for (int i = 0; i < len; i++)
		if (emit(c, c->prog[from + i].op, c->prog[from + i].x, c->prog[from + i].y) < 0)
			return -1;
	return 0;
}

static bool
has(const struct class *k, int b)
{
	return (k->bits[b >> 3] >> (b & 7) & 1) != 0;
}

static void
add(struct class *k, int from, int to)
{
	for (int b = from; b <= to; b++)
		k->bits[b >> 3] |= (uint8_t)(1 << (b & 7));
}

static void
add_class(struct class *k, const struct class *other, bool not)
{
	for (size_t i = 0; i < sizeof(k->bits); i++)
		k->bits[i] |= (uint8_t)(not ? ~other->bits[i] : other->bits[i]);
}

/* The other case of each letter in it. */
static void
fold(struct class *k)
{
	for (int b = 'a'; b <= 'z'; b++)
		if (has(k, b) || has(k, b - 'a' + 'A')) {
			add(k, b, b);
			add(k, b - 'a' + 'A', b - 'a' + 'A');
		}
}

static int
emit_class(struct compiler *c, struct class k)
{
	if (c->nclasses == CLASSES_MAX)
		return bad(c, "too many classes");
	if (c->fold)
		fold(&k);
	c->classes[c->nclasses] = k;
	return emit(c, CLASS, c->nclasses++, 0);
}

static int
emit_byte(struct compiler *c, int b)
{
	struct class k = { { 0 } };

	if (!c->fold || !((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z')))
		return emit(c, BYTE, b, 0);
	add(&k, b, b);
	return emit_class(c, k);
}

/* \d \w \s and their opposites into k; whether the letter is one. */
static bool
add_perl(struct class *k, int letter)
{
	struct class one = { { 0 } };

	switch (letter | 0x20) {
	case 'd':
		add(&one, '0', '9');
		break;
	case 'w':
		add(&one, '0', '9');
		add(&one, 'A', 'Z');
		add(&one, 'a', 'z');
		add(&one, '_', '_');
		break;
	case 's':
		add(&one, '\t', '\n');
		add(&one, '\f', '\r');
		add(&one, ' ', ' ');
		break;
	default:
		return false;
	}
	add_class(k, &one, letter < 'a');
	return true;
}

/* [:alpha:] and [:^alpha:], behind the first bracket. 1 taken, 0 it is none, -1. */
static int
take_posix(struct compiler *c, struct class *k)
{
	static const struct { const char *name; const char *ranges; } known[] = {
		{ "alnum", "09AZaz" }, { "alpha", "AZaz" }, { "ascii", "\x01\x7f" }, { "blank", "\t\t  " }, { "cntrl", "\x01\x1f\x7f\x7f" },
		{ "digit", "09" }, { "graph", "!~" }, { "lower", "az" }, { "print", " ~" }, { "punct", "!/:@[`{~" },
		{ "space", "\t\r  " }, { "upper", "AZ" }, { "word", "09AZaz__" }, { "xdigit", "09AFaf" },
	};
	struct class one = { { 0 } };
	bool not;

	if (!take(c, "[:"))
		return 0;
	not = take(c, "^");
	for (size_t i = 0; i < NELEM(known); i++) {
		char end[16];

		snprintf(end, sizeof(end), "%s:]", known[i].name);
		if (!take(c, end))
			continue;
		for (const char *r = known[i].ranges; *r != '\0'; r += 2)
			add(&one, r[0], r[1]);
		add_class(k, &one, not);
		return 1;
	}
	return bad(c, "no such class of characters");
}

/* A byte behind a backslash that stands for itself or for a control character; -1 with *e set. */
static int
take_escape(struct compiler *c)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	int b = peek(c), v = 0;
	const char *p;

	if (b < 0)
		return bad(c, "nothing behind the backslash");
	c->at++;
	if (b == 'x') {
		for (int i = 0; i < 2; i++, c->at++) {
			int d = peek(c);

			if (d >= '0' && d <= '9')
				v = v * 16 + d - '0';
			else if (d > 0 && (d | 0x20) >= 'a' && (d | 0x20) <= 'f')
				v = v * 16 + (d | 0x20) - 'a' + 10;
			else
				return bad(c, "two hexadecimal digits are missing");
		}
		return v;
	}
	if (b != '\0' && (p = strchr(from, b)) != NULL && b != 'b')
		return (unsigned char)to[p - from];
	if ((b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z'))
		return bad(c, "a backslash before what has no such meaning");
	return b;
}

/* One end of a range inside of brackets. */
static int
take_class_byte(struct compiler *c)
{
	int b = peek(c);

	if (b < 0)
		return bad(c, "a bracket that is not closed");
	c->at++;
	return b == '\\' ? take_escape(c) : b;
}

static int
class_in_brackets(struct compiler *c)
{
	struct class k = { { 0 } }, all = { { 0 } };
	bool not = take(c, "^"), first = true;
	int rc;

	for (;; first = false) {
		int from, to;

		if (!first && take(c, "]"))
			break;
		if ((rc = take_posix(c, &k)) < 0)
			return -1;
		if (rc == 1)
			continue;
		if (peek(c) == '\\' && c->at + 1 < c->in.n && add_perl(&k, (unsigned char)c->in.p[c->at + 1])) {
			c->at += 2;
			continue;
		}
		if ((from = to = take_class_byte(c)) < 0)
			return -1;
		if (peek(c) == '-' && c->at + 1 < c->in.n && c->in.p[c->at + 1] != ']') {
			c->at++;
			if ((to = take_class_byte(c)) < 0)
				return -1;
		}
		if (to < from)
			return bad(c, "a range that runs backwards");
		add(&k, from, to);
	}
	if (c->fold)
		fold(&k);
	add_class(&all, &k, not);
	return emit_class(c, all);
}

static int	alternatives(struct compiler *c);

/* Behind "(?": flags for the rest of the group, or up to ':' for this one. */
static int
flags(struct compiler *c, bool *group)
{
	bool on = true;

	*group = true;
	if (take(c, "P<") || take(c, "<")) {
		while (more(c) && peek(c) != '>')
			c->at++;
		return take(c, ">") ? 0 : bad(c, "a name that is not closed");
	}
	for (;;) {
		if (take(c, ":"))
			return 0;
		if (take(c, ")")) {
			*group = false;
			return 0;
		}
		if (take(c, "i"))
			c->fold = on;
		else if (take(c, "s"))
			c->dot_all = on;
		else if (take(c, "-") && on)
			on = false;
		else
			return bad(c, "a flag that is not known");
	}
}

static int
group(struct compiler *c)
{
	bool fold_before = c->fold, dot_before = c->dot_all, real = true;

	if (++c->depth > DEPTH_MAX)
		return bad(c, "groups nested too deeply");
	if (take(c, "?") && flags(c, &real) < 0)
		return -1;
	if (real) {
		if (alternatives(c) < 0)
			return -1;
		if (!take(c, ")"))
			return bad(c, "a group that is not closed");
		c->fold = fold_before;
		c->dot_all = dot_before;
	}
	c->depth--;
	return 0;
}

static int
dot(struct compiler *c)
{
	struct class k = { { 0 } };

	add(&k, 0, 255);
	if (!c->dot_all)
		k.bits['\n' >> 3] &= (uint8_t)~(1 << ('\n' & 7));
	return emit_class(c, k);
}

static int
escaped(struct compiler *c)
{
	struct class k = { { 0 } };
	int b;

	if (more(c) && add_perl(&k, peek(c))) {
		c->at++;
		return emit_class(c, k);
	}
	if (take(c, "A"))
		return emit(c, TEXT_BEGIN, 0, 0);
	if (take(c, "z"))
		return emit(c, TEXT_END, 0, 0);
	if (take(c, "b"))
		return emit(c, WORD_EDGE, 0, 0);
	if (take(c, "B"))
		return emit(c, NO_WORD_EDGE, 0, 0);
	return (b = take_escape(c)) < 0 ? -1 : emit_byte(c, b);
}

static int
atom(struct compiler *c)
{
	int b = peek(c);

	c->at++;
	switch (b) {
	case '(':
		return group(c);
	case '[':
		return class_in_brackets(c);
	case '.':
		return dot(c);
	case '^':
		return emit(c, TEXT_BEGIN, 0, 0);
	case '$':
		return emit(c, TEXT_END, 0, 0);
	case '\\':
		return escaped(c);
	case '*':
	case '+':
	case '?':
		c->at--;
		return bad(c, "nothing to repeat");
	default:
		return emit_byte(c, b);
	}
}

/* "{n}", "{n,}", "{n,m}": 1 taken (max -1: no end), 0 it is text, -1. */
static int
take_braces(struct compiler *c, int *min, int *max)
{
	struct str rest = str_sub(c->in, c->at, c->in.n), whole, low;
	ssize_t end;

	if (!str_starts(rest, "{") || (end = str_chr(rest, '}')) < 0)
		return 0;
	whole = str_sub(rest, 1, (size_t)end - 1);
	low = str_cut(&whole, ',');
	if (low.n == 0 || low.n > 5 || str_to_int(low, min) < 0 || low.p[0] == '-' || low.p[0] == '+')
		return 0;
	*max = whole.p == NULL ? *min : -1;
	if (whole.p != NULL && whole.n > 0 && (whole.n > 5 || str_to_int(whole, max) < 0 || whole.p[0] == '-' || whole.p[0] == '+'))
		return 0;
	if (*min > REGEX_REPEAT_MAX || *max > REGEX_REPEAT_MAX || (*max >= 0 && *max < *min))
		return bad(c, "a number of repeats that cannot be");
	c->at += (size_t)end + 1;
	return 1;
}

/* The piece from `start` on, min to max times (-1: for ever). */
static int
repeat(struct compiler *c, int start, int min, int max)
{
	int len = c->n - start, last = start;

	if (min == 0 && max == 0) {
		c->n = start;
		return 0;
	}
	if (len == 0)
		return 0;
	for (int i = 1; i < min; i++) {
		last = c->n;
		if (copy(c, start, len) < 0)
			return -1;
	}
	if (max < 0 && min > 0)
		return emit(c, SPLIT, last - c->n, 1);
	if (max < 0)
		return insert(c, start, SPLIT, 1, len + 2) < 0 ? -1 : emit(c, JUMP, -len - 1, 0);
	if (min == 0) {
		if (insert(c, start, SPLIT, 1, len + 1) < 0)
			return -1;
		return max == 1 ? 0 : repeat(c, start, 1, max);
	}
	/* The rest are optional one after the other: a later one is possible only where it can be reached. */
	for (int i = min; i < max; i++)
		if (emit(c, SPLIT, 1, len + 1) < 0 || copy(c, start, len) < 0)
			return -1;
	return 0;
}

static int
piece(struct compiler *c)
{
	int start = c->n, min, max, rc, times = 0;

	if (atom(c) < 0)
		return -1;
	for (;;) {
		if (take(c, "*"))
			min = 0, max = -1;
		else if (take(c, "+"))
			min = 1, max = -1;
		else if (take(c, "?"))
			min = 0, max = 1;
		else if ((rc = take_braces(c, &min, &max)) <= 0)
			return rc;
		if (++times > 1)
			return bad(c, "a repeat of a repeat");
		(void)take(c, "?");		/* lazy: which match is found makes no difference here */
		if (repeat(c, start, min, max) < 0)
			return -1;
	}
}

static int
alternatives(struct compiler *c)
{
	int start = c->n;

	for (;;) {
		while (more(c) && peek(c) != '|' && peek(c) != ')')
			if (piece(c) < 0)
				return -1;
		if (!take(c, "|"))
			return 0;
		/* The rest is one alternative to what stands before. */
		if (insert(c, start, SPLIT, 1, c->n - start + 2) < 0)
			return -1;
		int jump = c->n;
		if (emit(c, JUMP, 0, 0) < 0 || ++c->depth > DEPTH_MAX || alternatives(c) < 0)
			return c->depth > DEPTH_MAX ? bad(c, "too many alternatives") : -1;
		c->depth--;
		c->prog[jump].x = c->n - jump;
		return 0;
	}
}

/* ---- matching ---- */

struct threads {
	int		*at;
	int		n;
};

struct machine {
	const struct compiler	*c;
	struct str		 text;
	struct threads		 now, next;
	unsigned		*seen;		/* by place of the program: the step in which it was added */
	unsigned		 step;
	int			*stack;
};

static bool
is_word(struct str s, size_t i)
{
	struct class k = { { 0 } };

	(void)add_perl(&k, 'w');
	return i < s.n && has(&k, (unsigned char)s.p[i]);
}

static bool
edge(struct str s, size_t i)
{
	return (i > 0 && is_word(s, i - 1)) != is_word(s, i);
}

/* Adds a place and all that are reached from it without a byte. Whether a match is among them. */
static bool
start_thread(struct machine *m, struct threads *t, int pc, size_t i)
{
	int depth = 0;

	m->stack[depth++] = pc;
	while (depth > 0) {
		int at = m->stack[--depth];
		const struct insn *in = &m->c->prog[at];
		bool on = false;

		if (m->seen[at] == m->step)
			continue;
		m->seen[at] = m->step;
		switch (in->op) {
		case MATCH:
			return true;
		case SPLIT:
			m->stack[depth++] = at + in->y;
			m->stack[depth++] = at + in->x;
			break;
		case JUMP:
			m->stack[depth++] = at + in->x;
			break;
		case TEXT_BEGIN:
			on = i == 0;
			break;
		case TEXT_END:
			on = i == m->text.n;
			break;
		case WORD_EDGE:
			on = edge(m->text, i);
			break;
		case NO_WORD_EDGE:
			on = !edge(m->text, i);
			break;
		case BYTE:
		case CLASS:
			t->at[t->n++] = at;
			break;
		}
		if (on)
			m->stack[depth++] = at + 1;
	}
	return false;
}

static bool
run(struct machine *m)
{
	m->step = 1;
	for (size_t i = 0;; i++) {
		struct threads last;

		/* A match may begin at each byte. */
		if (start_thread(m, &m->now, 0, i))
			return true;
		if (i == m->text.n)
			return false;
		last = m->now;
		m->now = m->next;
		m->now.n = 0;
		m->next = last;
		m->step++;
		for (int k = 0; k < last.n; k++) {
			const struct insn *in = &m->c->prog[last.at[k]];
			int b = (unsigned char)m->text.p[i];

			if ((in->op == BYTE ? in->x == b : has(&m->c->classes[in->x], b)) && start_thread(m, &m->now, last.at[k] + 1, i + 1))
				return true;
		}
	}
}

int
regex_find(struct str pattern, struct str text, struct err *e)
{
	struct compiler c = { .in = pattern, .e = e };
	struct machine m = { .c = &c, .text = text };
	size_t size;
	int rc = -1;

	c.prog = xcalloc(REGEX_SIZE_MAX, sizeof(*c.prog));
	c.classes = xcalloc(CLASSES_MAX, sizeof(*c.classes));
	if (alternatives(&c) < 0)
		goto out;
	if (more(&c)) {
		bad(&c, "a closing parenthesis without its opening one");
		goto out;
	}
	if (emit(&c, MATCH, 0, 0) < 0)
		goto out;
	size = (size_t)c.n;
	m.now.at = xcalloc(size, sizeof(int));
	m.next.at = xcalloc(size, sizeof(int));
	m.seen = xcalloc(size, sizeof(unsigned));
	m.stack = xcalloc(2 * size + 2, sizeof(int));
	rc = run(&m);
out:
	free(c.prog);
	free(c.classes);
	free(m.now.at);
	free(m.next.at);
	free(m.seen);
	free(m.stack);
	return rc;
}
