/* The dictionary automaton against its definition, over tiny alphabets. */
#include "core/core.h"
#include "wire/dict.h"

#include "tap.h"

static uint64_t seed = 7;

static unsigned
roll(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

static bool
begins(const struct str *w, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].n >= s.n && memcmp(w[i].p, s.p, s.n) == 0)
			return true;
	return false;
}

/* The longest end of the text that a word begins with and goes on from. */
static size_t
longest(const struct str *w, size_t n, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct str s = { text + i, len - i };

		for (size_t k = 0; k < n; k++)
			if (w[k].n > s.n && memcmp(w[k].p, s.p, s.n) == 0)
				return s.n;
	}
	return 0;
}

static bool
is_word(const struct str *w, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(w[i], s))
			return true;
	return false;
}

static const char *
check_text(const struct dict *d, const struct str *w, size_t n, const char *text, size_t len)
{
	struct dict_pos p = { 0, 0 };

	for (size_t i = 0; i < len; i++) {
		uint32_t to, next = 0, found, depth = 0;
		bool leaf = false;

		while ((to = dict_child(d, p, (unsigned char)text[i])) == 0 && p.depth > 0)
			p = dict_fail(d, p);
		if (to != 0)
			p = (struct dict_pos){ to, p.depth + 1 };
		found = to != 0 ? dict_first(d, to, &next, &leaf) : 0;
		for (uint32_t k = (uint32_t)i + 1; k > 0; k--)
			if (is_word(w, n, str_of(text + i + 1 - k, k))) {
				if (found != k)
					return "a word that ends here is not told";
				found = dict_next(d, &next);
			}
		if (found != 0)
			return "a word is told that does not end here";
		if (to != 0 && memcmp(dict_path(d, p), text + i + 1 - p.depth, p.depth) != 0)
			return "the path is not the text";
		if (to != 0 && !begins(w, n, str_of(text + i + 1 - p.depth, p.depth)))
			return "the path begins no word";
		if (to != 0)
			depth = p.depth;
		if (to != 0 && leaf)
			p = dict_fail(d, p);
		if (p.depth != longest(w, n, text, i + 1))
			return depth == p.depth ? "not the longest" : "not the longest behind a leaf";
	}
	return NULL;
}

int
main(void)
{
	char words[64][40], text[400];
	struct str w[64];
	struct dict *d;
	const char *bad = NULL;
	unsigned rounds = 0;

	d = dict_new(NULL, 0);
	is_int(dict_child(d, (struct dict_pos){ 0, 0 }, 'x'), 0, "an empty dictionary leads nowhere");
	is_int((long long)d->nwords, 0, "and has no words");
	dict_free(d);

	w[0] = STR("abc"); w[1] = STR("ab"); w[2] = STR("abc"); w[3] = STR(""); w[4] = STR("ab"); w[5] = STR("x");
	d = dict_new(w, 6);
	is_int((long long)d->nwords, 3, "equal words are joined, empty ones dropped");
	is_int(d->longest, 3, "the longest is known");
	ok(d->nested, "ab is inside abc");
	dict_free(d);

	w[1] = STR("bcd");
	d = dict_new(w, 2);
	ok(!d->nested, "abc and bcd overlap, but none is inside the other");
	dict_free(d);

	for (; rounds < 150 && bad == NULL; rounds++) {
		size_t n = roll(12) + (roll(20) == 0 ? 50 : 0);
		unsigned letters = 1 + roll(3), shortest = roll(2) ? 1 : 4, longest_word = 1 + roll(36);

		for (size_t i = 0; i < n; i++) {
			w[i] = str_of(words[i], shortest + roll(longest_word));
			for (size_t k = 0; k < w[i].n; k++)
				words[i][k] = (char)('a' + roll(letters));
			/* Sharing long beginnings is what branches are made of. */
			if (i > 0 && roll(3) == 0)
				memcpy(words[i], words[i - 1], sizeof(words[i]));
		}
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('a' + roll(letters));
		for (unsigned k = roll(8); k > 0 && n > 0; k--) {
			struct str s = w[roll((unsigned)n)];

			memcpy(text + roll((unsigned)(sizeof(text) - s.n)), s.p, s.n);
		}
		d = dict_new(w, n);
		bad = check_text(d, w, n, text, sizeof(text));
		dict_free(d);
	}
	ok(bad == NULL, "%u random dictionaries: %s", rounds, bad != NULL ? bad : "as defined");
	return done_testing();
}
