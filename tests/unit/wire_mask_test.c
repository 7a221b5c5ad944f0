/* Masking: named cases, cut at every place, and random ones against a slow reference. */
#include "core/core.h"
#include "wire/mask.h"

#include "mask_reference.h"
#include "tap.h"

#define MAX_WORDS 8

struct list {
	struct str	w[64];
	size_t		n;
};

/* "a|b|c" as a list. */
static struct list
words(const char *s)
{
	struct list l = { .n = 0 };
	struct str rest = str_from(s);

	if (s == NULL)
		return l;
	while (rest.p != NULL)
		l.w[l.n++] = str_cut(&rest, '|');
	return l;
}

#define PREFIXES "glpat-|gloas-|gldt-|glrt-|glcbt-|glrtr-|glptt-|glft-|glimt-|glagent-|glsoat-|glffct-|_gitlab_session=|gltok-"

static const struct {
	const char *name, *phrases, *prefixes, *in, *out;
} cases[] = {
	{ "nothing to hide", "", NULL, "plain text\n", "plain text\n" },
	{ "no list at all", NULL, NULL, "plain ? & text glpat-x", "plain ? & text glpat-x" },
	{ "whole text", "secret", NULL, "secret", "[MASKED]" },
	{ "one byte", "x", NULL, "axxb x", "a[MASKED][MASKED]b [MASKED]" },
	{ "side by side", "secrets", NULL, "secretssecrets", "[MASKED][MASKED]" },
	{ "false start right before", "secrets", NULL, "ssecrets", "s[MASKED]" },
	{ "start and end of text", "at|end", NULL, "at the end", "[MASKED] the [MASKED]" },
	{ "upstream's aab", "aab", NULL, "aaab aab aaaab", "a[MASKED] [MASKED] aa[MASKED]" },
	{ "abab", "ababc", NULL, "abababcababab", "ab[MASKED]ababab" },
	{ "only the start of a phrase", "secret", NULL, "secre", "secre" },
	{ "contained at the front", "pass|password", NULL, "pass passw password passwords", "[MASKED] [MASKED]w [MASKED] [MASKED]s" },
	{ "contained at the end", "prefix_mask|mask", NULL, "prefix_mask mask prefix_ma", "[MASKED] [MASKED] prefix_ma" },
	{ "contained inside", "abcdef|cd", NULL, "abcdef abcd abcdeX", "[MASKED] ab[MASKED] ab[MASKED]eX" },
	{ "contained twice", "aXbXc|X", NULL, "aXbXc aXbXd", "[MASKED] a[MASKED]b[MASKED]d" },
	{ "first beginning wins, not first end", "bcdefg|cd", NULL, "bcdefg", "[MASKED]" },
	{ "first beginning wins over longer", "abc|bcdefgh", NULL, "abcdefgh", "[MASKED]" },
	{ "overlap with an unfinished one", "this is the end|en foobar|en", NULL, "this is the en foobar", "this is the [MASKED]" },
	{ "masked one reaches into the next", "ab|bcd|cde", NULL, "abcde", "[MASKED][MASKED]" },
	{ "overlaps itself", "aa", NULL, "aaa aaaa aaaaa", "[MASKED] [MASKED][MASKED] [MASKED][MASKED]" },
	{ "two that share bytes", "abcdefgh|efghijkl", NULL, "abcdefghijkl abcdefghi xefghijkl", "[MASKED] [MASKED]i x[MASKED]" },
	{ "a chain of three", "abcd|cdef|efgh", NULL, "abcdefgh cdefgh efg", "[MASKED][MASKED] [MASKED] efg" },
	{ "one inside another reaches out of a third", "abcdef|cde|efgh", NULL, "abcdefgh", "[MASKED]" },
	{ "nested powers", "a|aaa", NULL, "aaaaaaaab", "[MASKED][MASKED][MASKED][MASKED]b" },
	{ "trimmed and joined", "  key \t|key|\r\nkey\n", NULL, " key ", " [MASKED] " },
	{ "empty and blank ones are dropped", "|  |\t", NULL, "a  b\t", "a  b\t" },
	{ "newlines inside", "line1\nline2", NULL, "x line1\nline2 line1 line2", "x [MASKED] line1 line2" },
	{ "binary", "\xff\xfe\x80\x01z", NULL, "a\xff\xfe\x80\x01zb\xff\xfe", "a[MASKED]b\xff\xfe" },
	{ "the mask itself", "MASKED|[", NULL, "x MASKED [", "x [MASKED] [MASKED]" },
	{ "the whole mask", "[MASKED]", NULL, "a[MASKED]b[MASK", "a[MASKED]b[MASK" },
	{ "a comes not from joining", "ac", NULL, "abc aacc", "abc a[MASKED]c" },

	{ "token", NULL, PREFIXES, "x glpat-imperdiet=_-. end", "x glpat-[MASKED] end" },
	{ "token inside a word", NULL, PREFIXES, "esseglpat-abc", "esseglpat-[MASKED]" },
	{ "prefix alone", NULL, PREFIXES, "glpat- glpat-", "glpat- glpat-" },
	{ "prefix in a token", NULL, PREFIXES, "glpat-impglpat-erdiet x", "glpat-[MASKED] x" },
	{ "prefix behind a token", NULL, PREFIXES, "glpat-a,glrt-b glrtr-c", "glpat-[MASKED],glrt-[MASKED] glrtr-[MASKED]" },
	{ "false start", NULL, PREFIXES, "glglpat-x glpglpat-y glpaglpat-z", "glglpat-[MASKED] glpglpat-[MASKED] glpaglpat-[MASKED]" },
	{ "session cookie", NULL, PREFIXES, "_gitlab_session=0123abc; path", "_gitlab_session=[MASKED]; path" },
	{ "token chars end at UTF-8", NULL, PREFIXES, "glpat-a\xc3\xa9", "glpat-[MASKED]\xc3\xa9" },
	{ "first complete prefix counts", NULL, "ab|abc-", "abc-x ab ", "ab[MASKED] ab " },
	{ "prefix across a token's end", NULL, "tok-|k: ", "tok-ak: b", "tok-[MASKED]: [MASKED]" },
	{ "many prefixes", NULL, "m1-|m2-|m3-|m4-|m5-|m6-|m7-|m8-|m9-|m10-|m11-|m12-|m13-|m14-|m15-|m16-|m17-|m18-", "m1-x m17-y m18-z", "m1-[MASKED] m17-[MASKED] m18-[MASKED]" },

	{ "url", NULL, NULL, "http://x/?private_token=abc end", "http://x/?private_token=[MASKED] end" },
	{ "url keys", NULL, NULL, "?authenticity_token=a&rss_token=b?x-amz-signature=c&x-amz-credential=d&x-amz-security-token=e&ok=f",
	    "?authenticity_token=[MASKED]&rss_token=[MASKED]?x-amz-signature=[MASKED]&x-amz-credential=[MASKED]&x-amz-security-token=[MASKED]&ok=f" },
	{ "url key in any case", NULL, NULL, "?X-AMZ-sigNATure=x &Private_TOKEN=y", "?X-AMZ-sigNATure=[MASKED] &Private_TOKEN=[MASKED]" },
	{ "url value empty", NULL, NULL, "?x-amz-credential=&private_token=g", "?x-amz-credential=[MASKED]&private_token=[MASKED]" },
	{ "url value cut off", NULL, NULL, "?private_token=", "?private_token=[MASKED]" },
	{ "url no separator", NULL, NULL, "rss_token=plain", "rss_token=plain" },
	{ "url doubled separators", NULL, NULL, "?private_token=a&&?rss_token=b??", "?private_token=[MASKED]&&?rss_token=[MASKED]??" },
	{ "url key almost", NULL, NULL, "?x-amz-security?x-amz-security-token=a ?private_tokens=b &rss_token&rss_token=c =",
	    "?x-amz-security?x-amz-security-token=[MASKED] ?private_tokens=b &rss_token&rss_token=[MASKED] =" },
	{ "url value ends", NULL, NULL, "?rss_token=a\x08" "b &rss_token=\x7f" "c &rss_token=d\ne &rss_token=\xc2\xa0z", "?rss_token=[MASKED]\x08" "b &rss_token=[MASKED]\x7f" "c &rss_token=[MASKED]\ne &rss_token=[MASKED]" },

	{ "phrase in a url value", "SECRET", NULL, "?private_token=aSECRETb&x=SECRET", "?private_token=[MASKED]&x=[MASKED]" },
	{ "phrase with the value's end in it", "SE&CRET", NULL, "?private_token=aSE&CRETb c", "?private_token=[MASKED] c" },
	{ "phrase behind the value's end", "c d", NULL, "?rss_token=ab c de", "?rss_token=[MASKED] [MASKED]e" },
	{ "phrase over the value's end", "b c", NULL, "?rss_token=ab cd e", "?rss_token=[MASKED] e" },
	{ "phrase in a key", "token", NULL, "?private_token=x", "?private_[MASKED]=x" },
	{ "phrase over a key's '='", "n=x", NULL, "?rss_token=xy", "?rss_toke[MASKED]y" },
	{ "phrase is a token", "glpat-abc", PREFIXES, "glpat-abc glpat-abcd glpat-xyz", "[MASKED] [MASKED]d glpat-[MASKED]" },
	{ "phrase in a token", "SECRET", PREFIXES, "glpat-aSECRETb glpat-SECRETb", "glpat-[MASKED][MASKED]b glpat-[MASKED]b" },
	{ "phrase in a prefix", "pat", PREFIXES, "glpat-abc", "gl[MASKED]-abc" },
	{ "phrase begins with a prefix", "glpat-abcdefgh!", PREFIXES, "glpat-abcdefgh? glpat-abcdefgh!", "glpat-[MASKED]? [MASKED]" },
	{ "token in a url value", NULL, PREFIXES, "?rss_token=glpat-abc&x=glpat-abc", "?rss_token=[MASKED]&x=glpat-[MASKED]" },
	{ "url key behind a token", NULL, PREFIXES, "glpat-a?rss_token=b", "glpat-[MASKED]?rss_token=[MASKED]" },
	{ "a prefix that ends with a url key's '='", NULL, "token=", "?rss_token=abc token=abc", "?rss_token=[MASKED] token=[MASKED]" },
};

static void
run(const struct mask_set *set, struct str in, size_t cut1, size_t cut2, bool save, struct buf *out)
{
	size_t cuts[4] = { 0, cut1, cut2, in.n };
	struct mask_stream m;

	mask_init(&m, set);
	for (size_t i = 0; i < 3; i++) {
		mask_feed(&m, str_sub(in, cuts[i], cuts[i + 1] - cuts[i]), out);
		if (save) {
			struct buf s = { .max = 0 };

			mask_save(&m, &s);
			mask_free(&m);
			if (mask_restore(&m, set, buf_str(&s)) < 0)
				buf_puts(out, "<restore failed>");
			buf_free(&s);
		}
	}
	mask_close(&m, out);
	mask_free(&m);
}

static void
test_cases(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct list phrases = words(cases[i].phrases), prefixes = words(cases[i].prefixes);
		struct mask_set *set = mask_set_new(phrases.w, phrases.n, prefixes.w, prefixes.n);
		struct str in = str_from(cases[i].in);
		struct buf out = { .max = 0 }, ref = { .max = 0 };
		bool same = true;

		run(set, in, 0, in.n, false, &out);
		is_str(buf_str(&out).p, cases[i].out, "%s", cases[i].name);
		for (size_t a = 0; a <= in.n && same; a++)
			for (size_t b = a; b <= in.n && same; b++) {
				buf_clear(&out);
				run(set, in, a, b, false, &out);
				same = str_eqc(buf_str(&out), cases[i].out);
				buf_clear(&out);
				run(set, in, a, b, true, &out);
				same &= str_eqc(buf_str(&out), cases[i].out);
				if (!same)
					printf("# cut at %zu and %zu: %s\n", a, b, out.p);
			}
		ok(same, "%s, cut anywhere and saved there", cases[i].name);
		ref_mask(in, phrases.w, phrases.n, prefixes.w, prefixes.n, &ref);
		is_str(buf_str(&ref).p, cases[i].out, "%s, by the reference", cases[i].name);
		buf_free(&out);
		buf_free(&ref);
		mask_set_free(set);
	}
}

static uint64_t seed = 1;

static unsigned
roll(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

/* Text over a tiny alphabet, so that everything overlaps everything, with real keys and prefixes among it. */
static void
random_text(struct buf *b, unsigned n, unsigned letters)
{
	static const char *const bits[] = { "?rss_token=", "&x-amz-signature=", "glpat-", "gl", "?", "&", " ", "=", "?private_tok", "[MASKED]" };

	while (b->n < n) {
		if (roll(12) == 0)
			buf_puts(b, bits[roll(NELEM(bits))]);
		else
			buf_putc(b, (int)('a' + roll(letters)));
	}
}

static void
test_random(void)
{
	static const char *const sample[] = { "glpat-", "glpa", "gl", "token=", "a", "ab-", "b b", " a ", "b ", " " };
	unsigned bad = 0, shown = 0, unsaved = 0;

	for (unsigned round = 0; round < 6000 && bad + shown + unsaved < 3; round++) {
		struct buf word[MAX_WORDS] = { { .max = 0 } }, text = { .max = 0 }, ref = { .max = 0 }, out = { .max = 0 };
		struct str phrases[MAX_WORDS], prefixes[3];
		size_t np = roll(MAX_WORDS), nx = roll(3);
		unsigned letters = 1 + roll(3);
		struct mask_set *set;
		struct mask_stream m;

		for (size_t i = 0; i < np; i++) {
			random_text(&word[i], 1 + roll(roll(4) == 0 ? 40 : 8), letters);
			phrases[i] = buf_str(&word[i]);
		}
		for (size_t i = 0; i < nx; i++)
			prefixes[i] = str_from(sample[roll(NELEM(sample))]);
		random_text(&text, 1 + roll(300), letters);
		/* Some whole phrases, or they would be rare. */
		for (unsigned k = roll(4); k > 0 && np > 0; k--) {
			buf_putstr(&text, phrases[roll((unsigned)np)]);
			random_text(&text, (unsigned)text.n + roll(20), letters);
		}

		set = mask_set_new(phrases, np, prefixes, nx);
		ref_mask(buf_str(&text), phrases, np, prefixes, nx, &ref);
		mask_init(&m, set);
		for (size_t i = 0; i < text.n;) {
			size_t n = 1 + roll(roll(2) ? 3 : 60);

			mask_feed(&m, str_sub(buf_str(&text), i, n), &out);
			i += n;
			if (roll(4) == 0) {
				struct buf s = { .max = 0 };

				mask_save(&m, &s);
				mask_free(&m);
				unsaved += mask_restore(&m, set, buf_str(&s)) < 0;
				buf_free(&s);
			}
		}
		mask_close(&m, &out);
		if (!str_eq(buf_str(&out), buf_str(&ref))) {
			printf("# round %u\n# text %s\n#  got %s\n# want %s\n", round, text.p, out.p, ref.p);
			for (size_t i = 0; i < np; i++)
				printf("# phrase %s\n", phrases[i].p);
			for (size_t i = 0; i < nx; i++)
				printf("# prefix %s\n", prefixes[i].p);
			bad++;
		}
		shown += ref_shows_phrase(buf_str(&text), phrases, np, prefixes, nx);
		mask_free(&m);
		mask_set_free(set);
		for (size_t i = 0; i < np; i++)
			buf_free(&word[i]);
		buf_free(&text);
		buf_free(&ref);
		buf_free(&out);
	}
	is_int(bad, 0, "random texts and cuts agree with the reference");
	is_int(shown, 0, "no phrase is shown");
	is_int(unsaved, 0, "every checkpoint restores");
}

/* What is held back is only what may be a secret, and only as long as it may. */
static void
test_held(void)
{
	struct str phrase = STR("secret-value");
	struct mask_set *set = mask_set_new(&phrase, 1, NULL, 0);
	struct mask_stream m;
	struct buf out = { .max = 0 };

	mask_init(&m, set);
	mask_feed(&m, STR("text sec"), &out);
	is_str(out.p, "text ", "the start of a phrase is held back");
	is_int((long long)mask_held(&m), 3, "and counted");
	mask_feed(&m, STR("ret-val"), &out);
	is_str(out.p, "text ", "and stays back");
	mask_feed(&m, STR("secu"), &out);
	is_str(out.p, "text secret-valsecu", "what can be none is let go at once");
	mask_feed(&m, STR("secret-value"), &out);
	is_str(out.p, "text secret-valsecu[MASKED]", "a phrase is masked as soon as it is whole");
	is_int((long long)mask_held(&m), 0, "nothing is held then");
	mask_feed(&m, STR("secret"), &out);
	mask_close(&m, &out);
	is_str(out.p, "text secret-valsecu[MASKED]secret", "the end lets go of the rest");
	mask_feed(&m, STR("-value"), &out);
	mask_close(&m, &out);
	is_str(out.p, "text secret-valsecu[MASKED]secret-value", "a closed stream begins anew");
	mask_free(&m);
	buf_free(&out);
	mask_set_free(set);
}

static void
test_restore_refuses(void)
{
	static const char *const broken[] = {
		"", "m1", "m2:0:0:0:0:0::", "m1:0:0:0:0:0:", "m1:0:0:0:0:0:::", "m1:3:0:0:0:0::", "m1:0:99:0:0:0::",
		"m1:1:1:200:0:0::", "m1:0:0:0:2:0::", "m1:0:0:0:0:-1::", "m1:0:0:0:0:0:!:", "m1:0:0:0:0:0::!",
		"m1:0:0:0:0:0::c2VjcmV0", "m1:0:0:0:0:0::eHl6", "m1:0:0:0:0:0::c2VjcmU=:0:0",
		"m2:0:0:0:0:0:::1:1", "m2:0:0:0:0:0::c2VjcmU=:3:2", "m2:0:0:0:0:0::c2VjcmU=:0:6",
		"m1:0:0:0:0:0:eHl6:",
	};
	struct str phrase = STR("secret"), prefix = STR("glpat-");
	struct mask_set *set = mask_set_new(&phrase, 1, &prefix, 1);
	struct mask_stream m;

	for (size_t i = 0; i < NELEM(broken); i++)
		is_int(mask_restore(&m, set, str_from(broken[i])), -1, "not a checkpoint: \"%s\"", broken[i]);
	is_int(mask_restore(&m, set, STR("m1:0:0:0:0:0:Z2xwYQ==:c2VjcmU=")), 0, "a good one");
	is_int(mask_restore(&m, set, STR("m2:0:0:0:0:0:Z2xwYQ==:c2VjcmU=:1:2")), 0, "one inside a phrase");
	mask_free(&m);
	mask_set_free(set);
}

/* A full buffer loses bytes, says so, and breaks nothing. */
static void
test_full_buffer(void)
{
	struct str phrase = STR("secret");
	struct mask_set *set = mask_set_new(&phrase, 1, NULL, 0);
	struct mask_stream m;
	struct buf out = { .max = 10 };

	mask_init(&m, set);
	for (int i = 0; i < 50; i++)
		mask_feed(&m, STR("a secret and much more text than fits "), &out);
	ok(out.failed, "the failure is seen");
	mask_close(&m, &out);
	mask_free(&m);
	buf_free(&out);
	mask_set_free(set);
}

/* Many long phrases that are all alike, and texts that nearly are them: the time is checked by the benchmark, the result here. */
static void
test_many(void)
{
	enum { N = 2000, LEN = 1000 };
	char *all = xmalloc((size_t)N * LEN);
	struct str *w = xcalloc(N, sizeof(*w));
	struct buf text = { .max = 0 }, out = { .max = 0 };
	struct mask_set *set;
	struct mask_stream m;
	size_t masks = 0;

	for (size_t i = 0; i < N; i++) {
		w[i] = str_of(all + i * LEN, LEN);
		for (size_t k = 0; k < LEN; k++)
			all[i * LEN + k] = k < 30 ? "-----BEGIN RSA PRIVATE KEY----"[k] :
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[roll(32)];
	}
	set = mask_set_new(w, N, NULL, 0);
	ok(mask_set_memory(set) < (size_t)N * LEN * 3 / 2, "2,000 keys of 1,000 bytes need %zu bytes", mask_set_memory(set));
	for (size_t i = 0; i < N; i += 100) {
		buf_put(&text, w[i].p, LEN - 1);
		buf_putstr(&text, w[i]);
		buf_puts(&text, "\n");
	}
	mask_init(&m, set);
	mask_feed(&m, buf_str(&text), &out);
	mask_close(&m, &out);
	for (struct str rest = buf_str(&out); str_find(rest, "[MASKED]\n") >= 0; masks++)
		rest = str_sub(rest, (size_t)str_find(rest, "[MASKED]\n") + 9, rest.n);
	is_int((long long)masks, N / 100, "each whole key is masked");
	is_int((long long)out.n, (N / 100) * (LEN - 1 + 9), "each cut one is shown");
	mask_free(&m);
	mask_set_free(set);
	buf_free(&text);
	buf_free(&out);
	free(w);
	free(all);
}

static void
test_memory(void)
{
	struct list prefixes = words(PREFIXES), phrases = words(
	    "glcbt-64_kJq7bUExampleOnly|correct horse battery staple|hunter2hunter2|AKIAIOSFODNN7EXAMPLE|wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY|"
	    "s3cr3t-Pa55word|0123456789abcdef0123456789abcdef|npm_zzzzzzzzzzzzzzzzzzzzzzzzzzzz|dckr_pat_aaaaaaaaaaaaaaaaaaa|xoxb-1234567890-abcdef");
	struct mask_set *set = mask_set_new(phrases.w, phrases.n, prefixes.w, prefixes.n);

	ok(mask_set_memory(set) < 24 << 10, "a usual set needs %zu bytes", mask_set_memory(set));
	mask_set_free(set);
}

int
main(void)
{
	test_cases();
	test_held();
	test_restore_refuses();
	test_full_buffer();
	test_many();
	test_memory();
	test_random();
	return done_testing();
}
