/*
 * Masking of secrets: see mask.h.
 *
 * A byte goes through phrase_byte(), then what that decides through
 * url_byte() and token_byte() into the output. That is done for few bytes
 * only: while all three are at rest, skip() passes over text in which
 * nothing can begin.
 */
#include <sys/types.h>

#include "core/hash.h"
#include "wire/mask.h"

#define MASK	"[MASKED]"
#define MASK_N	(sizeof(MASK) - 1)

/* Saved streams name keys by their bit: add at the end, never reorder. */
static const char *const url_keys[] = {
	"private_token", "authenticity_token", "rss_token",
	"x-amz-signature", "x-amz-credential", "x-amz-security-token",
};
#define URL_ALL	((UINT32_C(1) << NELEM(url_keys)) - 1)

enum url_state { URL_REST, URL_KEY, URL_VALUE };

struct mask_set {
	struct dict	*phrases;
	struct dict	*prefixes;
	/*
	 * Where something may begin. Tested in this order: the first two bytes, then a hash of the first four,
	 * unless something shorter than that begins with the first byte.
	 */
	uint64_t	 pair[65536 / 64];
	uint8_t		 first[256];	/* START_* */
	uint64_t	*quad;		/* Bloom filter with one hash */
	unsigned	 quad_bits;	/* log2 of its size */
};
enum { START_ANY = 1, START_SHORT = 2 };

/* Output space got from the buffer in pieces, so that single bytes are cheap. */
struct emit {
	struct mask_stream	*m;
	const struct mask_set	*set;
	struct buf		*out;
	char			*p, *end;
	char			 lost[64];	/* what a full buffer gets */
};

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool
token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    c == '-' || c == '_' || c == '.' || c == '=';
}

/* ---- the set ---- */

static uint32_t
load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t
load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool
test_bit(const uint64_t *bits, uint32_t i)
{
	return bits[i >> 6] >> (i & 63) & 1;
}

static void
set_bit(uint64_t *bits, uint32_t i)
{
	bits[i >> 6] |= UINT64_C(1) << (i & 63);
}

static uint32_t
quad_hash(const struct mask_set *set, const void *p)
{
	return load32(p) * UINT32_C(0x9e3779b1) >> (32 - set->quad_bits);
}

/* Makes skip() stop at a word. */
static void
start_add(struct mask_set *set, const unsigned char *w, size_t n)
{
	set->first[w[0]] |= START_ANY;
	if (n < 4)
		set->first[w[0]] |= START_SHORT;
	else
		set_bit(set->quad, quad_hash(set, w));
	if (n >= 2) {
		set_bit(set->pair, load16(w));
		return;
	}
	for (unsigned c = 0; c < 256; c++) {
		unsigned char two[2] = { w[0], (unsigned char)c };

		set_bit(set->pair, load16(two));
	}
}

/* "?pri" in all its spellings; the keys are longer than that. */
static void
start_add_url(struct mask_set *set, const char *key)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned char w[4] = { i & 1 ? '?' : '&' };

		for (unsigned k = 0; k < 3; k++)
			w[k + 1] = (unsigned char)(i >> (k + 1) & 1 && key[k] >= 'a' && key[k] <= 'z' ?
			    key[k] - ('a' - 'A') : key[k]);
		start_add(set, w, sizeof(w));
	}
}

struct mask_set *
mask_set_new(const struct str *phrases, size_t nphrases,
    const struct str *prefixes, size_t nprefixes)
{
	struct mask_set *set = xcalloc(1, sizeof(*set));
	struct str *ph = xcalloc(nphrases + 1, sizeof(*ph));
	struct str *pr = xcalloc(nprefixes * 2 + 1, sizeof(*pr));
	size_t nph = 0, npr = 0, starts;

	for (size_t i = 0; i < nphrases; i++) {
		ph[nph] = str_trim(phrases[i]);
		nph += ph[nph].n > 0;
	}
	/* "Bearer " is of no use without its blank, and " glpat-" also means "(glpat-". */
	for (size_t i = 0; i < nprefixes; i++) {
		struct str t = str_trim(prefixes[i]);

		if (t.n == 0)
			continue;
		pr[npr++] = t;
		if (t.n < prefixes[i].n)
			pr[npr++] = prefixes[i];
	}

	starts = NELEM(url_keys) * 16 + nph + npr;
	for (set->quad_bits = 12; set->quad_bits < 24 && starts * 32 > (size_t)1 << set->quad_bits;)
		set->quad_bits++;
	set->quad = xcalloc((size_t)1 << set->quad_bits >> 6, sizeof(*set->quad));
	for (size_t i = 0; i < NELEM(url_keys); i++)
		start_add_url(set, url_keys[i]);
	for (size_t i = 0; i < nph; i++)
		start_add(set, (const unsigned char *)ph[i].p, ph[i].n);
	for (size_t i = 0; i < npr; i++)
		start_add(set, (const unsigned char *)pr[i].p, pr[i].n);
	set->phrases = dict_new(ph, nph);
	set->prefixes = dict_new(pr, npr);
	free(ph);
	free(pr);
	return set;
}

void
mask_set_free(struct mask_set *set)
{
	if (set == NULL)
		return;
	dict_free(set->phrases);
	dict_free(set->prefixes);
	free(set->quad);
	explicit_bzero(set, sizeof(*set));
	free(set);
}

size_t
mask_set_memory(const struct mask_set *set)
{
	return sizeof(*set) + ((size_t)1 << set->quad_bits) / 8 +
	    dict_memory(set->phrases) + dict_memory(set->prefixes);
}

/* ---- output ---- */

static void
emit_begin(struct emit *e, struct mask_stream *m, struct buf *out)
{
	e->m = m;
	e->set = m->set;
	e->out = out;
	e->p = e->end = NULL;
}

static void
emit_end(struct emit *e)
{
	if (e->p != NULL && !e->out->failed)
		buf_grown(e->out, (size_t)(e->p - (e->out->p + e->out->n)));
	e->p = e->end = NULL;
}

/* Room for at least n bytes, or up to 64 when the buffer is full. */
static void
emit_room(struct emit *e, size_t n)
{
	emit_end(e);
	e->p = buf_room(e->out, n);
	if (e->p != NULL) {
		/* All that was allocated anyway, but one byte for the NUL. */
		e->end = e->out->p + e->out->cap - 1;
	} else {
		e->p = e->lost;
		e->end = e->lost + sizeof(e->lost);
	}
}

static void
emit_bytes(struct emit *e, const void *p, size_t n)
{
	if (n > (size_t)(e->end - e->p)) {
		emit_room(e, n);
		if (e->out->failed)
			return;
	}
	memcpy(e->p, p, n);
	e->p += n;
}

static void
emit_byte(struct emit *e, unsigned char c)
{
	if (e->p == e->end)
		emit_room(e, 1);
	*e->p++ = (char)c;
}

/* ---- tokens ---- */

static void
prefix_step(struct mask_stream *m, const struct dict *d, unsigned char c)
{
	struct dict_pos p = m->prefix;
	uint32_t to, next;
	bool leaf;

	m->armed = false;
	while ((to = dict_child(d, p, c)) == 0 && p.depth > 0)
		p = dict_fail(d, p);
	if (to != 0) {
		p = (struct dict_pos){ to, p.depth + 1 };
		m->armed = dict_first(d, to, &next, &leaf) > 0;
		if (leaf)
			p = dict_fail(d, p);
	}
	m->prefix = p;
}

static void
token_byte(struct emit *e, unsigned char c)
{
	struct mask_stream *m = e->m;

	if (m->armed || m->in_token) {
		if (token_char(c)) {
			if (!m->in_token)
				emit_bytes(e, MASK, MASK_N);
			m->in_token = true;
			prefix_step(m, e->set->prefixes, c);
			return;
		}
		m->in_token = false;
	}
	if (m->prefix.depth > 0 || e->set->prefixes->root[c] != 0)
		prefix_step(m, e->set->prefixes, c);
	else
		m->armed = false;
	emit_byte(e, c);
}

static void
token_mask(struct emit *e)
{
	e->m->armed = e->m->in_token = false;
	e->m->prefix = (struct dict_pos){ 0, 0 };
	emit_bytes(e, MASK, MASK_N);
}

/* ---- URL parameters ---- */

static bool
ends_value(unsigned char c)
{
	return c == '?' || c == '&' || c <= ' ' || c == 0x7f;
}

/* One more byte behind '?' or '&'. True when it is the '=' of a known key. */
static bool
key_step(struct mask_stream *m, unsigned char c)
{
	uint32_t keys = 0;
	bool complete = false;

	for (unsigned i = 0; i < NELEM(url_keys); i++) {
		if ((m->url_keys >> i & 1) == 0)
			continue;
		if (url_keys[i][m->url_at] == '\0')
			complete |= c == '=';
		else if (url_keys[i][m->url_at] == lower(c))
			keys |= UINT32_C(1) << i;
	}
	m->url_keys = keys;
	m->url_at++;
	if (keys == 0)
		m->url = URL_REST;
	return complete;
}

static void
url_byte(struct emit *e, unsigned char c)
{
	struct mask_stream *m = e->m;

	if (m->url == URL_VALUE) {
		if (!ends_value(c))
			return;
		m->url = URL_REST;
	}
	if (c == '?' || c == '&') {
		m->url = URL_KEY;
		m->url_keys = URL_ALL;
		m->url_at = 0;
	} else if (m->url == URL_KEY && key_step(m, c)) {
		token_byte(e, c);
		token_mask(e);
		m->url = URL_VALUE;
		return;
	}
	token_byte(e, c);
}

static void
url_mask(struct emit *e)
{
	if (e->m->url == URL_VALUE)
		return;
	e->m->url = URL_REST;
	token_mask(e);
}

/* ---- phrases ---- */

/* One held byte is decided; n is the length of the longest phrase that begins at it, 0 if none. */
static void
decide(struct emit *e, unsigned char c, uint32_t n)
{
	struct mask_stream *m = e->m;

	if (n > m->covered)
		m->covered = n;
	if (m->masked == 0 && n > 0) {
		url_mask(e);
		m->masked = n;
	}
	/* A byte of a phrase that begins inside a masked one is as secret as that phrase. */
	if (m->covered == 0)
		url_byte(e, c);
	m->masked -= m->masked > 0;
	m->covered -= m->covered > 0;
}

/*
 * The automaton is about to leave its position for the suffix `to`. No
 * phrase can begin any more at the held bytes that `to` leaves out: they are
 * decided by the longest one found at each.
 */
static void
settle(struct emit *e, struct dict_pos to)
{
	struct mask_stream *m = e->m;
	const unsigned char *held = dict_path(e->set->phrases, m->phrase);
	uint32_t n = m->phrase.depth - to.depth;

	for (uint32_t at = 0; at < n; at++)
		decide(e, held[at], m->best != NULL ? m->best[m->best_at + at] : 0);
	m->best_at += n;
	m->phrase = to;
}

/* The end of the one phrase that is held whole, in a set where none occurs inside another. */
static void
phrase_whole(struct emit *e)
{
	struct mask_stream *m = e->m;
	struct dict_pos to = dict_fail(e->set->phrases, m->phrase);
	uint32_t gone = m->phrase.depth - to.depth;

	if (m->masked == 0) {
		url_mask(e);
		m->masked = m->phrase.depth;
	}
	m->masked -= m->masked < gone ? m->masked : gone;
	m->covered = to.depth;
	m->phrase = to;
}

/* The first match somewhere inside a phrase: from now on all are kept. */
static void
best_begin(struct mask_stream *m)
{
	m->best_cap = m->phrase.depth < 16 ? 64 : m->phrase.depth * 2;
	m->best = xcalloc(m->best_cap, sizeof(*m->best));
	m->best_at = 0;
}

/* A place for the byte at the end of the path. */
static void
best_push(struct mask_stream *m)
{
	uint32_t held = m->phrase.depth - 1;

	if (held == 0)
		m->best_at = 0;
	if (m->best_at + held == m->best_cap) {
		if (m->best_at < m->best_cap / 2) {
			m->best_cap *= 2;
			m->best = xrealloc(m->best, m->best_cap * sizeof(*m->best));
		}
		memmove(m->best, m->best + m->best_at, held * sizeof(*m->best));
		m->best_at = 0;
	}
	m->best[m->best_at + held] = 0;
}

/* A state that is special: phrases may end here, and it may be a leaf. */
static void
phrase_end(struct emit *e)
{
	struct mask_stream *m = e->m;
	const struct dict *d = e->set->phrases;
	uint32_t next, len, depth = m->phrase.depth;
	bool leaf;

	len = dict_first(d, m->phrase.state, &next, &leaf);
	if (len > 0 && !d->nested) {
		phrase_whole(e);
		return;
	}
	if (len > 0 && m->best == NULL)
		best_begin(m);
	for (; len > 0; len = dict_next(d, &next))
		m->best[m->best_at + depth - len] = len;
	if (leaf)
		settle(e, dict_fail(d, m->phrase));
}

static void
phrase_byte(struct emit *e, unsigned char c)
{
	struct mask_stream *m = e->m;
	const struct dict *d = e->set->phrases;
	uint32_t to;

	while ((to = dict_child(d, m->phrase, c)) == 0) {
		if (m->phrase.depth == 0) {
			url_byte(e, c);
			return;
		}
		settle(e, dict_fail(d, m->phrase));
	}
	m->phrase = (struct dict_pos){ to, m->phrase.depth + 1 };
	if (m->best != NULL)
		best_push(m);
	if (dict_special(d, to))
		phrase_end(e);
}

/* ---- the stream ---- */

void
mask_init(struct mask_stream *m, const struct mask_set *set)
{
	*m = (struct mask_stream){ .set = set };
}

void
mask_free(struct mask_stream *m)
{
	free(m->best);
	mask_init(m, m->set);
}

size_t
mask_held(const struct mask_stream *m)
{
	return m->phrase.depth;
}

static bool
at_rest(const struct mask_stream *m)
{
	return (m->phrase.depth | m->prefix.depth | m->url) == 0 && !m->armed && !m->in_token;
}

/* The first place at or after i where something may begin; n if there is none. */
static size_t
skip(const struct mask_set *set, const unsigned char *p, size_t i, size_t n)
{
	for (;;) {
		while (i + 4 <= n && !test_bit(set->pair, load16(p + i)))
			i++;
		if (i + 4 > n)
			break;
		if ((set->first[p[i]] & START_SHORT) != 0 ||
		    test_bit(set->quad, quad_hash(set, p + i)))
			return i;
		i++;
	}
	while (i + 2 <= n && !test_bit(set->pair, load16(p + i)))
		i++;
	if (i + 1 == n && set->first[p[i]] == 0)
		i++;
	return i;
}

void
mask_feed(struct mask_stream *m, struct str in, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	struct emit e;
	size_t i = 0;

	emit_begin(&e, m, out);
	while (i < in.n) {
		if (at_rest(m)) {
			size_t from = i;

			i = skip(m->set, p, i, in.n);
			if (i > from)
				emit_bytes(&e, p + from, i - from);
			if (i == in.n)
				break;
		}
		phrase_byte(&e, p[i++]);
	}
	emit_end(&e);
}

void
mask_close(struct mask_stream *m, struct buf *out)
{
	struct emit e;

	emit_begin(&e, m, out);
	settle(&e, (struct dict_pos){ 0, 0 });
	emit_end(&e);
	mask_free(m);
}

/*
 * m1:URL:KEYS:AT:ARMED:TOKEN:PREFIX:HELD, the last two in base64. The
 * automata's positions are saved as the bytes that lead to them, so that the
 * text does not depend on how a dictionary is laid out; what was found
 * inside the held bytes is found again. When a phrase that began before the
 * held bytes reaches into them, m2 and :MASKED:COVERED behind it: older
 * versions know m1 alone, and it is all that most streams need.
 */
void
mask_save(const struct mask_stream *m, struct buf *b)
{
	bool inside = m->covered > 0;

	buf_fmt(b, "m%d:%d:%" PRIu32 ":%d:%d:%d:", inside ? 2 : 1, m->url, m->url_keys, m->url_at, m->armed, m->in_token);
	hash_base64(b, str_of(dict_path(m->set->prefixes, m->prefix), m->prefix.depth));
	buf_putc(b, ':');
	hash_base64(b, str_of(dict_path(m->set->phrases, m->phrase), m->phrase.depth));
	if (inside)
		buf_fmt(b, ":%" PRIu32 ":%" PRIu32, m->masked, m->covered);
}

static int
saved_number(struct str *s, uint64_t limit, uint64_t *v)
{
	struct str f = s->p != NULL ? str_cut(s, ':') : STR_NULL;

	return f.n > 0 && f.p[0] != '+' && str_to_u64(f, v) == 0 && *v <= limit ? 0 : -1;
}

static int
saved_bytes(struct str *s, struct buf *b)
{
	if (s->p == NULL)
		return -1;
	return hash_base64_decode(b, str_cut(s, ':'));
}

static int
restore(struct mask_stream *m, struct str saved)
{
	struct buf held = { .max = DICT_LEAF }, prefix = { .max = DICT_LEAF }, out = { .max = 1 };
	uint64_t url, keys, at, armed, token, masked = 0, covered = 0;
	struct str version = str_cut(&saved, ':');
	struct emit e;
	int rc = -1;

	if ((!str_eqc(version, "m1") && !str_eqc(version, "m2")) ||
	    saved_number(&saved, URL_VALUE, &url) < 0 ||
	    saved_number(&saved, URL_ALL, &keys) < 0 ||
	    saved_number(&saved, UINT8_MAX, &at) < 0 ||
	    saved_number(&saved, 1, &armed) < 0 ||
	    saved_number(&saved, 1, &token) < 0 ||
	    saved_bytes(&saved, &prefix) < 0 || saved_bytes(&saved, &held) < 0)
		goto out;
	if (str_eqc(version, "m2") &&
	    (saved_number(&saved, held.n, &masked) < 0 || saved_number(&saved, held.n, &covered) < 0 || masked > covered))
		goto out;
	if (saved.p != NULL)
		goto out;
	for (unsigned i = 0; i < NELEM(url_keys); i++)
		if (url == URL_KEY && (keys >> i & 1) != 0 && at > strlen(url_keys[i]))
			goto out;

	emit_begin(&e, m, &out);
	for (size_t i = 0; i < held.n; i++)
		phrase_byte(&e, (unsigned char)held.p[i]);
	emit_end(&e);
	for (size_t i = 0; i < prefix.n; i++)
		prefix_step(m, m->set->prefixes, (unsigned char)prefix.p[i]);
	/* The same bytes must still be undecided, or the set is another one. */
	if (m->phrase.depth != held.n || m->prefix.depth != prefix.n || out.n > 0 || out.failed)
		goto out;
	m->url = (uint8_t)url;
	m->url_keys = (uint32_t)keys;
	m->url_at = (uint8_t)at;
	m->armed = armed != 0;
	m->in_token = token != 0;
	m->masked = (uint32_t)masked;
	m->covered = (uint32_t)covered;
	rc = 0;
out:
	buf_wipe(&held);
	buf_wipe(&prefix);
	buf_free(&out);
	return rc;
}

int
mask_restore(struct mask_stream *m, const struct mask_set *set, struct str saved)
{
	mask_init(m, set);
	if (restore(m, saved) < 0) {
		mask_free(m);
		return -1;
	}
	return 0;
}
