/* Dictionaries of byte strings: see dict.h. */
#include <sys/types.h>

#include "wire/dict.h"

/* While a dictionary is made: one stored word and what is known of its states' failure links. */
struct chain {
	uint32_t	 off;		/* of the word in the text */
	uint32_t	 shared;	/* so many first bytes lead through states of earlier words */
	uint32_t	 len;
	uint32_t	 parent;	/* the state it branches off from */
	struct dict_pos	 fail;		/* of the state that was made last */
	struct dict_run	*run;
	size_t		 nrun, cap;
};

/* One byte more than what shallow links take. */
#define DEEP	(DICT_SHALLOW + 1)

struct maker {
	struct dict	*d;
	struct chain	*chain;
	size_t		 nchain;
	bool		 brief;		/* some word is shorter than DEEP bytes */
	uint64_t	*begin;		/* a bit for a hash of the first DEEP bytes of each word */
	unsigned	 begin_bits;	/* log2 of how many there are */
};

static void
set_special(struct dict *d, uint32_t state)
{
	d->special[state >> 6] |= UINT64_C(1) << (state & 63);
}

static size_t
slot_at(const struct dict *d, uint64_t key)
{
	size_t i = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (d->nslot - 1);

	while (d->slot[i].key != 0 && d->slot[i].key != key)
		i = (i + 1) & (d->nslot - 1);
	return i;
}

const struct dict_slot *
dict_slot(const struct dict *d, uint32_t state, unsigned c)
{
	const struct dict_slot *s = &d->slot[slot_at(d, (uint64_t)state << 9 | c)];

	return s->key != 0 ? s : NULL;
}

static void
wipe_free(void *p, size_t n)
{
	if (p != NULL)
		explicit_bzero(p, n);
	free(p);
}

/* The slot for (state, c), made if it is not there; the pointer is good until the next call. */
static struct dict_slot *
slot_make(struct dict *d, uint32_t state, unsigned c)
{
	uint64_t key = (uint64_t)state << 9 | c;
	size_t i;

	if (d->used * 2 >= d->nslot) {
		struct dict_slot *old = d->slot;
		size_t n = d->nslot;

		d->nslot = n * 2;
		d->slot = xcalloc(d->nslot, sizeof(*d->slot));
		for (i = 0; i < n; i++)
			if (old[i].key != 0)
				d->slot[slot_at(d, old[i].key)] = old[i];
		wipe_free(old, n * sizeof(*old));
	}
	i = slot_at(d, key);
	if (d->slot[i].key == 0) {
		d->slot[i].key = key;
		d->used++;
		set_special(d, state);
	}
	return &d->slot[i];
}

static bool
is_leaf(const struct dict *d, uint32_t state)
{
	uint32_t next;
	bool leaf;

	dict_first(d, state, &next, &leaf);
	return leaf;
}

/* The longest position that the last n bytes before `end`, or fewer of them, lead to from the root. */
static struct dict_pos
suffix(const struct dict *d, const unsigned char *end, uint32_t n, bool leaf_too)
{
	for (; n > 0; n--) {
		struct dict_pos p = { 0, 0 };
		bool leaf = false;

		while (p.depth < n && !leaf && (p.state = dict_child(d, p, (end - n)[p.depth])) != 0) {
			p.depth++;
			leaf = is_leaf(d, p.state);
		}
		if (p.depth == n && (leaf_too || !leaf))
			return p;
	}
	return (struct dict_pos){ 0, 0 };
}

static struct dict_pos
fail_shallow(const struct dict *d, struct dict_pos p)
{
	return suffix(d, d->text + p.state, p.depth - 1 < DICT_SHALLOW ? p.depth - 1 : DICT_SHALLOW, false);
}

static bool
fail_deep(const struct dict_run *run, size_t n, uint32_t state, struct dict_pos *to)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (state < run[mid].from)
			hi = mid;
		else if (state - run[mid].from >= run[mid].n)
			lo = mid + 1;
		else {
			uint32_t k = state - run[mid].from;

			*to = (struct dict_pos){ run[mid].fail + k, run[mid].depth + k };
			return true;
		}
	}
	return false;
}

struct dict_pos
dict_fail(const struct dict *d, struct dict_pos p)
{
	struct dict_pos to;

	if (p.depth <= 1)
		return (struct dict_pos){ 0, 0 };
	if (p.depth > DICT_SHALLOW + 1 && fail_deep(d->run, d->nrun, p.state, &to))
		return to;
	return fail_shallow(d, p);
}

/* dict_fail() while the runs still lie with their words. */
static struct dict_pos
fail_making(const struct maker *m, struct dict_pos p)
{
	size_t lo = 0, hi = m->nchain;
	struct dict_pos to;

	if (p.depth <= 1)
		return (struct dict_pos){ 0, 0 };
	if (p.depth > DICT_SHALLOW + 1) {
		while (hi - lo > 1) {
			size_t mid = lo + (hi - lo) / 2;

			if (m->chain[mid].off < p.state)
				lo = mid;
			else
				hi = mid;
		}
		if (fail_deep(m->chain[lo].run, m->chain[lo].nrun, p.state, &to))
			return to;
	}
	return fail_shallow(m->d, p);
}

static void
remember_fail(struct chain *c, uint32_t state, struct dict_pos to)
{
	struct dict_run *last = c->nrun > 0 ? &c->run[c->nrun - 1] : NULL;

	if (to.depth <= DICT_SHALLOW)
		return;
	if (last != NULL && last->from + last->n == state && last->fail + last->n == to.state) {
		last->n++;
		return;
	}
	if (c->nrun == c->cap) {
		c->cap = c->cap > 0 ? c->cap * 2 : 4;
		c->run = xrealloc(c->run, c->cap * sizeof(*c->run));
	}
	c->run[c->nrun++] = (struct dict_run){ state, 1, to.state, to.depth };
}

static uint32_t
begin_hash(const struct maker *m, const unsigned char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < DEEP; i++)
		v = v << 8 | p[i];
	return v * UINT32_C(0x9e3779b1) >> (32 - m->begin_bits);
}

static void
begin_make(struct maker *m)
{
	for (m->begin_bits = 12; m->begin_bits < 26 && m->nchain * 32 > (size_t)1 << m->begin_bits;)
		m->begin_bits++;
	m->begin = xcalloc((size_t)1 << m->begin_bits >> 6, sizeof(*m->begin));
	for (size_t i = 0; i < m->nchain; i++) {
		uint32_t h;

		if (m->chain[i].len < DEEP)
			continue;
		h = begin_hash(m, m->d->text + m->chain[i].off);
		m->begin[h >> 6] |= UINT64_C(1) << (h & 63);
	}
}

/*
 * Gives the state at depth `depth` of a word its failure link and its list
 * of words. All shallower states have theirs.
 *
 * Only links deeper than DICT_SHALLOW are kept, and nearly no state of long
 * words has one. Where the state before had none, one can only begin with
 * the first DEEP bytes of some word, which a hash denies in most cases.
 */
static void
link_state(struct maker *m, struct chain *c, uint32_t depth)
{
	struct dict *d = m->d;
	uint32_t state = c->off + depth, next, len;
	const unsigned char *end = d->text + state;
	struct dict_pos f;
	bool leaf;

	if (depth - 1 == c->shared)
		c->fail = fail_making(m, (struct dict_pos){ c->parent, depth - 1 });
	f = c->fail;
	if (f.depth > DICT_SHALLOW) {
		uint32_t to;

		while ((to = dict_child(d, f, end[-1])) == 0 && f.depth > 0)
			f = fail_making(m, f);
		f = to != 0 ? (struct dict_pos){ to, f.depth + 1 } : (struct dict_pos){ 0, 0 };
	} else {
		if (!m->brief && depth > DEEP) {
			uint32_t h = begin_hash(m, end - DEEP);

			if ((m->begin[h >> 6] >> (h & 63) & 1) == 0) {
				c->fail = (struct dict_pos){ 0, 0 };
				return;
			}
		}
		f = suffix(d, end, depth - 1 < DEEP ? depth - 1 : DEEP, true);
	}
	if (f.depth > 0 && (len = dict_first(d, f.state, &next, &leaf)) > 0) {
		struct dict_slot *s = slot_make(d, state, DICT_INFO);

		/* A word that ends here itself is longer than all that end here too. */
		if (s->a > 0)
			s->b = (s->b & DICT_LEAF) | f.state;
		else
			*s = (struct dict_slot){ s->key, len, s->b | next };
		d->nested = true;
		if (leaf)
			f = fail_making(m, f);
	}
	c->fail = f;
	remember_fail(c, state, f);
}

static void
link_all(struct maker *m)
{
	size_t *active = xcalloc(m->nchain + 1, sizeof(*active)), n = 0;
	size_t total = 0;

	begin_make(m);
	for (size_t i = 0; i < m->nchain; i++)
		active[n++] = i;
	for (uint32_t depth = 1; n > 0; depth++) {
		size_t kept = 0;

		for (size_t i = 0; i < n; i++) {
			struct chain *c = &m->chain[active[i]];

			if (depth > c->shared)
				link_state(m, c, depth);
			if (depth < c->len)
				active[kept++] = active[i];
		}
		n = kept;
	}
	free(active);
	wipe_free(m->begin, (size_t)1 << m->begin_bits >> 3);

	for (size_t i = 0; i < m->nchain; i++)
		total += m->chain[i].nrun;
	m->d->run = xcalloc(total + 1, sizeof(*m->d->run));
	for (size_t i = 0; i < m->nchain; i++) {
		struct chain *c = &m->chain[i];

		if (c->nrun > 0)
			memcpy(m->d->run + m->d->nrun, c->run, c->nrun * sizeof(*c->run));
		m->d->nrun += c->nrun;
		free(c->run);
	}
}

static size_t
common(struct str a, const unsigned char *b, size_t n)
{
	size_t i = 0;

	while (i < n && i < a.n && (unsigned char)a.p[i] == b[i])
		i++;
	return i;
}

/* A word that begins another one comes after it: then the end of a stored word is always a leaf. */
static int
word_cmp(const void *va, const void *vb)
{
	const struct str *a = va, *b = vb;
	size_t n = a->n < b->n ? a->n : b->n;
	int c = memcmp(a->p, b->p, n);

	if (c != 0)
		return c;
	return a->n > b->n ? -1 : a->n < b->n;
}

/*
 * Lays out the sorted words. path[] is the way to the last state of the word
 * before, as the chains that own its parts: path[i] owns the states deeper
 * than its `shared`, up to where path[i + 1] begins.
 */
static void
lay_out(struct maker *m, const struct str *word, size_t n)
{
	struct dict *d = m->d;
	size_t *path = xcalloc(n + 1, sizeof(*path)), npath = 0;

	for (size_t i = 0; i < n; i++) {
		struct chain *last = m->nchain > 0 ? &m->chain[m->nchain - 1] : NULL;
		uint32_t len = (uint32_t)word[i].n, shared = 0, state = 0;

		m->brief |= len < DEEP;
		if (last != NULL)
			shared = (uint32_t)common(word[i], d->text + last->off, last->len);
		if (shared == len) {
			/* Equal words meet here too. */
			size_t k = npath;

			while (m->chain[path[k - 1]].shared >= len)
				k--;
			state = m->chain[path[k - 1]].off + len;
			d->nwords += dict_slot(d, state, DICT_INFO) == NULL;
			slot_make(d, state, DICT_INFO)->a = len;
			d->nested |= len < last->len;
			continue;
		}
		while (npath > 0 && m->chain[path[npath - 1]].shared >= shared)
			npath--;
		if (shared > 0) {
			state = m->chain[path[npath - 1]].off + shared;
			slot_make(d, state, (unsigned char)word[i].p[shared])->a =
			    (uint32_t)d->n + shared + 1;
		} else {
			d->root[(unsigned char)word[i].p[0]] = (uint32_t)d->n + 1;
		}
		m->chain[m->nchain] = (struct chain){ .off = (uint32_t)d->n,
		    .shared = shared, .len = len, .parent = state };
		path[npath++] = m->nchain++;
		memcpy(d->text + d->n, word[i].p, len);
		d->n += len;
		*slot_make(d, (uint32_t)d->n, DICT_INFO) = (struct dict_slot){
		    (uint64_t)d->n << 9 | DICT_INFO, len, DICT_LEAF };
		d->nwords++;
		if (len > d->longest)
			d->longest = len;
	}
	free(path);
}

struct dict *
dict_new(const struct str *words, size_t n)
{
	struct dict *d = xcalloc(1, sizeof(*d));
	struct str *w = xcalloc(n + 1, sizeof(*w));
	struct maker m = { .d = d };
	size_t nw = 0, bytes = 0;

	for (size_t i = 0; i < n; i++) {
		if (words[i].n == 0)
			continue;
		assert(words[i].n < DICT_LEAF - bytes);
		bytes += words[i].n;
		w[nw++] = words[i];
	}
	qsort(w, nw, sizeof(*w), word_cmp);

	/* Room for all is asked first and given back when words proved to be the beginnings of others. */
	d->text = xcalloc(bytes + 1, 1);
	d->special = xcalloc(bytes / 64 + 1, sizeof(*d->special));
	d->nslot = 16;
	d->slot = xcalloc(d->nslot, sizeof(*d->slot));
	m.chain = xcalloc(nw + 1, sizeof(*m.chain));
	lay_out(&m, w, nw);
	link_all(&m);
	free(m.chain);
	free(w);
	return d;
}

void
dict_free(struct dict *d)
{
	if (d == NULL)
		return;
	wipe_free(d->text, d->n);
	wipe_free(d->slot, d->nslot * sizeof(*d->slot));
	wipe_free(d->run, d->nrun * sizeof(*d->run));
	free(d->special);
	free(d);
}

size_t
dict_memory(const struct dict *d)
{
	return sizeof(*d) + d->n + (d->n / 64 + 1) * sizeof(*d->special) +
	    d->nslot * sizeof(*d->slot) + d->nrun * sizeof(*d->run);
}
