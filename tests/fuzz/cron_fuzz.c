/*
 * Cron expressions: what parses is printed and parses to the same set again;
 * the case of letters does not matter; a time matches only if its day does; and an expression that never comes
 * true matches none of the days that were tried. The first byte is the flags.
 */
#include "core/core.h"
#include "wire/cron.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct cron *c, unsigned flags)
{
	struct buf b = { 0 };
	struct cron again;
	struct err e;
	/* 1970 to 2099 in odd steps */
	const int64_t step = 86400 * 11 + 7201;
	bool ever = cron_ever(c, 0);

	cron_print(c, &b);
	assert(!b.failed);
	/* an empty set can only be written as a range that runs backwards */
	assert(cron_parse(&again, buf_str(&b), flags | CRON_WRAP_EMPTY, &e) == 0);
	/* The words for people at its end aside: the printed form has other ranges. */
	assert(memcmp(c, &again, offsetof(struct cron, ignored)) == 0);
	for (int64_t t = 0; t < INT64_C(4102444800); t += step) {
		struct cron_time at = cron_time(t);

		if (cron_match(c, &at)) {
			assert(cron_match_day(c, &at));
			assert(ever && cron_ever(c, t));
		}
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cron c, upper;
	struct err e = { 0 }, e2 = { 0 };
	unsigned flags;
	char *text, *loud;
	size_t n;

	if (size == 0 || size > 400)
		return 0;
	flags = data[0] & 3;
	n = size - 1;
	text = xmalloc(n + 1);
	loud = xmalloc(n + 1);
	memcpy(text, data + 1, n);
	for (size_t i = 0; i < n; i++)
		loud[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
	if (cron_parse(&c, str_of(text, n), flags, &e) == 0) {
		check(&c, flags);
		if (memchr(text, '@', n) == NULL) {
			assert(cron_parse(&upper, str_of(loud, n), flags, &e2) == 0);
			assert((c.ignored[0] != '\0') == (upper.ignored[0] != '\0'));
			assert(memcmp(&c, &upper, offsetof(struct cron, ignored)) == 0);
		}
	} else {
		assert(e.kind == ERR_CONFIG && e.msg[0] != '\0');
	}
	free(text);
	free(loud);
	return 0;
}
