/*
 * A dictionary of byte strings ("words") as an automaton for text that comes
 * in pieces (Aho and Corasick). A position in it says: the last `depth`
 * bytes of the text are the beginning of a word, and no longer stretch of it
 * is. mask.c looks for secrets with it.
 *
 * The layout is made for few short words as well as for many long ones. The
 * words lie sorted behind each other; a state of the automaton is an offset
 * into that text, so the usual step is one comparison with the next byte, and
 * the bytes that led to a state stand right before it. Only what is not a
 * plain step costs memory: branches, words' ends, and failure links that lead
 * deeper than DICT_SHALLOW bytes (shorter ones are found by walking from the
 * root). Ten usual words take about 2 KiB, and 10,000 words of 10 KiB little
 * more than their own bytes.
 *
 * A position is never at a leaf, the end of a word that no other continues:
 * dict_step() leaves it at once for the longest suffix that can go on.
 *
 * Words hold any bytes. A dictionary never changes after dict_new(). All
 * words together must stay below 2 GiB.
 */
#ifndef WIRE_DICT_H
#define WIRE_DICT_H

#include "core/str.h"

#define DICT_SHALLOW	3
#define DICT_LEAF	(UINT32_C(1) << 31)
#define DICT_INFO	256u		/* the slot of a state that has no byte */

/*
 * What is special about state `key >> 9`. For a byte (the key's low 9 bits):
 * a is its further child. For DICT_INFO: a is the length of the longest word
 * that ends here, 0 if none, b the state that knows the next shorter one, 0
 * if none, with DICT_LEAF set in a leaf.
 */
struct dict_slot {
	uint64_t	key;
	uint32_t	a, b;
};

/* The states from .. from + n - 1 fail to fail .. fail + n - 1, of depth .. depth + n - 1. */
struct dict_run {
	uint32_t	from, n;
	uint32_t	fail, depth;
};

struct dict {
	unsigned char	*text;
	size_t		 n;		/* of text; the states are 0 (root) to n */
	size_t		 nwords;	/* distinct */
	uint32_t	 longest;	/* word, in bytes */
	bool		 nested;	/* some word occurs inside another one */
	uint32_t	 root[256];	/* the root's children, 0 if none */
	uint64_t	*special;	/* a bit a state: it has slots */
	struct dict_slot *slot;		/* hash table, nslot is a power of two */
	size_t		 nslot, used;
	struct dict_run	*run;		/* sorted */
	size_t		 nrun;
};

struct dict_pos {
	uint32_t	state, depth;	/* depth 0: the root */
};

/* Empty words are dropped, equal ones joined. The dictionary owns copies. */
struct dict	*dict_new(const struct str *words, size_t n);
void		 dict_free(struct dict *d);	/* wipes; NULL is allowed */

size_t		 dict_memory(const struct dict *d);	/* bytes */

/* Not for callers: the slow ways of the functions below. */
const struct dict_slot *dict_slot(const struct dict *d, uint32_t state, unsigned c);

static inline bool
dict_special(const struct dict *d, uint32_t state)
{
	return d->special[state >> 6] >> (state & 63) & 1;
}

/* The bytes that led to a position. */
static inline const unsigned char *
dict_path(const struct dict *d, struct dict_pos p)
{
	return d->text + p.state - p.depth;
}

/* The state one byte further down, 0 if there is none. `p` is no leaf. */
static inline uint32_t
dict_child(const struct dict *d, struct dict_pos p, unsigned char c)
{
	const struct dict_slot *s;

	if (p.depth == 0)
		return d->root[c];
	if (d->text[p.state] == c)
		return p.state + 1;
	if (!dict_special(d, p.state) || (s = dict_slot(d, p.state, c)) == NULL)
		return 0;
	return s->a;
}

/* The longest position that is a proper suffix of this one and no leaf; the root's is the root. */
struct dict_pos	dict_fail(const struct dict *d, struct dict_pos p);

/*
 * The words that end at a state, longest first: dict_first() gives the
 * length of one (0: none) and sets *next for dict_next().
 */
static inline uint32_t
dict_first(const struct dict *d, uint32_t state, uint32_t *next, bool *leaf)
{
	const struct dict_slot *s;

	*next = 0;
	*leaf = false;
	if (!dict_special(d, state) || (s = dict_slot(d, state, DICT_INFO)) == NULL)
		return 0;
	*next = s->b & ~DICT_LEAF;
	*leaf = (s->b & DICT_LEAF) != 0;
	return s->a;
}

static inline uint32_t
dict_next(const struct dict *d, uint32_t *next)
{
	bool leaf;

	return *next != 0 ? dict_first(d, *next, next, &leaf) : 0;
}

#endif
