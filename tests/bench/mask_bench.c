/* Throughput of masking, and of the whole way from the engine's bytes to the trace, in MB of input a second. */
#include <time.h>

#include "core/mono.h"
#include "wire/traceline.h"

#define PIECE	(32u << 10)	/* as read from the engine */

static uint64_t seed = 88172645463325252u;

static unsigned
roll(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

/* Our own time: the machine may have other things to do. */
static int64_t
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

static const char *const usual_phrases[] = {
	"glcbt-64_kJq7bUExampleOnly", "correct horse battery staple", "hunter2hunter2", "AKIAIOSFODNN7EXAMPLE",
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3cr3t-Pa55word", "0123456789abcdef0123456789abcdef",
	"npm_zzzzzzzzzzzzzzzzzzzzzzzzzzzz", "test-deploy-token", "the-registry-password",
};
static const char *const usual_prefixes[] = {
	"glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glrtr-", "glptt-", "glft-", "glimt-", "glagent-",
	"glsoat-", "glffct-", "_gitlab_session=", "gltok-", "glwt-", "acme-token-", "dckr_pat_",
};
static const char *const log_words[] = {
	"the", "compiling", "src/core/buffer.c", "test", "passed", "warning:", "in", "function", "gcc", "-O2", "-Wall", "linking",
	"library", "global", "glob", "secret", "http://registry.example.com/v2/", "npm", "install", "0.31s", "[100%]", "node_modules",
	"=>", "Building", "wheel", "for", "password", "ok", "error:", "expected", "before", "token", "1234", "0x7ffe", "a?b:c", "&&", "from",
};

static void
usual_text(struct buf *b, size_t n)
{
	while (b->n < n) {
		for (unsigned k = 4 + roll(12); k > 0; k--)
			buf_fmt(b, "%s ", log_words[roll(NELEM(log_words))]);
		buf_putc(b, '\n');
	}
}

/* JSON and URLs: many bytes at which something could begin. */
static void
url_text(struct buf *b, size_t n)
{
	while (b->n < n)
		buf_fmt(b, "{\"url\":\"https://x.example/?page=%u&private=1&rss=2&x-id=%u\",\"glob\":\"gl%u\"}\n",
		    roll(100), roll(1000), roll(10));
}

/* Secrets on every line. */
static void
secret_text(struct buf *b, size_t n)
{
	while (b->n < n)
		buf_fmt(b, "export A=%s ; curl 'https://x/?private_token=%u&b=1' -H 'PRIVATE-TOKEN: glpat-%u'\n",
		    usual_phrases[roll(NELEM(usual_phrases))], roll(1000000), roll(1000000));
}

static void
repeat_text(struct buf *b, size_t n, const char *s)
{
	while (b->n < n)
		buf_puts(b, s);
}

static void
measure(const char *name, const struct mask_set *set, struct str text)
{
	struct mask_stream m;
	struct buf out = { .max = 64u << 20 };
	size_t fed = 0;
	int64_t begin = cpu_now(), spent;

	mask_init(&m, set);
	do {
		for (size_t i = 0; i < text.n; i += PIECE) {
			mask_feed(&m, str_sub(text, i, PIECE), &out);
			buf_clear(&out);
		}
		fed += text.n;
		spent = cpu_now() - begin;
	} while (spent < NSEC_SEC / 2);
	mask_close(&m, &out);
	printf("mask   %-44s %8.0f MB/s\n", name, (double)fed / 1e6 / ((double)spent / 1e9));
	fflush(stdout);
	buf_free(&out);
	mask_free(&m);
}

/* What an executor does: entries of the engine's log, one a line, masked, with timestamps. */
static void
measure_trace(const char *name, const struct mask_set *set, struct str text, bool timestamps, bool by_line)
{
	struct buf out = { .max = 64u << 20 };
	struct tl_sink k;
	struct tl_stream s;
	wall_t at = wall_of_seconds(1772352930);
	size_t fed = 0;
	int64_t begin = cpu_now(), spent;

	tl_sink_init(&k, &out, UINT64_C(1) << 50, timestamps);
	tl_init(&s, set, 1, 'O', TL_JOB);
	do {
		struct str rest = text;

		while (rest.n > 0) {
			ssize_t newline = by_line ? str_chr(rest, '\n') : -1;
			size_t n = newline >= 0 ? (size_t)newline + 1 : PIECE;

			tl_entry(&s, &k, str_sub(rest, 0, n), at);
			at = wall_add(at, 20000);
			rest = str_sub(rest, n, rest.n);
			if (out.n > PIECE)
				buf_clear(&out);
		}
		fed += text.n;
		spent = cpu_now() - begin;
	} while (spent < NSEC_SEC / 2);
	tl_close(&s, &k);
	printf("trace  %-44s %8.0f MB/s\n", name, (double)fed / 1e6 / ((double)spent / 1e9));
	fflush(stdout);
	tl_free(&s);
	tl_sink_free(&k);
	buf_free(&out);
}

static void
utf8_text(struct buf *b, size_t n)
{
	while (b->n < n)
		buf_fmt(b, "\xe2\x9c\x93 %u tests bestanden, \xc3\xbc" "bersprungen: %u \xe2\x80\x94 \xd0\xb3\xd0\xbe\xd1\x82\xd0\xbe\xd0\xb2\xd0\xbe\n", roll(1000), roll(10));
}

static struct mask_set *
usual_set(void)
{
	struct str phrases[NELEM(usual_phrases)], prefixes[NELEM(usual_prefixes)];

	for (size_t i = 0; i < NELEM(phrases); i++)
		phrases[i] = str_from(usual_phrases[i]);
	for (size_t i = 0; i < NELEM(prefixes); i++)
		prefixes[i] = str_from(usual_prefixes[i]);
	return mask_set_new(phrases, NELEM(phrases), prefixes, NELEM(prefixes));
}

static void
many(size_t n, size_t len, struct str text)
{
	char *all = xmalloc(n * len), name[80];
	struct str *w = xcalloc(n, sizeof(*w));
	struct mask_set *set;
	int64_t begin;

	for (size_t i = 0; i < n * len; i++)
		all[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[roll(64)];
	for (size_t i = 0; i < n; i++)
		w[i] = str_of(all + i * len, len);
	begin = cpu_now();
	set = mask_set_new(w, n, NULL, 0);
	printf("mask   %zu phrases of %zu bytes: set made in %.2f s, %.1f MB\n", n, len,
	    (double)(cpu_now() - begin) / 1e9, (double)mask_set_memory(set) / 1e6);
	snprintf(name, sizeof(name), "ordinary text, %zu phrases of %zu", n, len);
	measure(name, set, text);
	snprintf(name, sizeof(name), "the phrases themselves, %zu of %zu", n, len);
	measure(name, set, str_of(all, n * len < 16u << 20 ? n * len : 16u << 20));
	mask_set_free(set);
	free(w);
	free(all);
}

int
main(void)
{
	struct mask_set *set = usual_set();
	struct buf usual = { .max = 64u << 20 }, text = { .max = 64u << 20 };
	char *power = xmalloc(10001);
	struct str w[3];

	usual_text(&usual, 8u << 20);
	printf("mask   usual set: %zu bytes\n", mask_set_memory(set));
	measure("ordinary text", set, buf_str(&usual));
	measure_trace("ordinary text, an entry a line, timestamps", set, buf_str(&usual), true, true);
	measure_trace("ordinary text, 32 KiB entries, timestamps", set, buf_str(&usual), true, false);
	measure_trace("ordinary text, 32 KiB entries, raw", set, buf_str(&usual), false, false);
	utf8_text(&text, 8u << 20);
	measure("UTF-8", set, buf_str(&text));
	measure_trace("UTF-8, an entry a line, timestamps", set, buf_str(&text), true, true);
	buf_clear(&text);
	url_text(&text, 8u << 20);
	measure("URLs and JSON", set, buf_str(&text));
	measure_trace("URLs and JSON, an entry a line, timestamps", set, buf_str(&text), true, true);
	buf_clear(&text);
	secret_text(&text, 8u << 20);
	measure("three secrets a line", set, buf_str(&text));
	measure_trace("three secrets a line, timestamps", set, buf_str(&text), true, true);
	mask_set_free(set);

	many(1000, 100, buf_str(&usual));
	many(10000, 10000, buf_str(&usual));

	/* Everything overlaps everything. */
	memset(power, 'a', 10000);
	power[10000] = 'b';
	w[0] = str_of(power, 10001);
	w[1] = STR("a");
	w[2] = STR("aa");
	buf_clear(&text);
	repeat_text(&text, 8u << 20, "aaaaaaaaaaaaaaaa");
	set = mask_set_new(w, 1, NULL, 0);
	measure("a^n against a^10000 b", set, buf_str(&text));
	mask_set_free(set);
	set = mask_set_new(w, 3, NULL, 0);
	measure("a^n against a^10000 b, aa and a", set, buf_str(&text));
	mask_set_free(set);
	free(power);
	buf_free(&usual);
	buf_free(&text);
	return 0;
}
