/*
 * Records as a broken role might send them: what is taken is what the table allows, lies within the input, and says the same
 * bytes again.
 */
#include "core/core.h"
#include "wire/record.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sample { int64_t number, maybe; struct str line, bytes; struct record_list list; };

static const struct record_field fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct sample, number), 1000 },
	{ 'm', RECORD_NUMBER, false, offsetof(struct sample, maybe), 0 },
	{ 'l', RECORD_LINE, true, offsetof(struct sample, line), 50 },
	{ 'b', RECORD_BYTES, false, offsetof(struct sample, bytes), 30 },
	{ 'v', RECORD_LIST, false, offsetof(struct sample, list), 20 },
};
static const struct record_type type = { "a sample", fields, NELEM(fields), 'S' };

static void
within(struct str s, struct str in, size_t max)
{
	assert(s.p == NULL ? s.n == 0 : s.n <= max && s.p >= in.p && s.n <= in.n && s.p + s.n <= in.p + in.n);
}

static void
check(const struct sample *s, struct str in)
{
	struct buf again = { 0 };
	struct sample t;

	assert(s->number >= 0 && s->number <= 1000 && s->maybe >= 0 && s->list.n <= RECORD_LIST_MAX);
	within(s->line, in, 50);
	within(s->bytes, in, 30);
	for (size_t i = 0; i < s->line.n; i++)
		assert((uint8_t)s->line.p[i] >= 0x20 && s->line.p[i] != 0x7f);
	for (size_t i = 0; i < s->list.n; i++)
		within(s->list.v[i], in, 20);
	record_put(&type, s, &again);
	/* A number that is nothing may be said, and need not be. */
	assert(!again.failed && (s->maybe != 0 ? str_eq(buf_str(&again), in) : again.n <= in.n));
	assert(record_get(&type, buf_str(&again), &t, NULL) == 0 && t.number == s->number && t.maybe == s->maybe &&
	    str_eq(t.line, s->line) && str_eq(t.bytes, s->bytes) && t.list.n == s->list.n);
	for (size_t i = 0; i < s->list.n; i++)
		assert(str_eq(t.list.v[i], s->list.v[i]));
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size);
	struct buf line = { 0 };
	struct err e = { 0 };
	struct sample s;

	if (record_get(&type, in, &s, &e) == 0)
		check(&s, in);
	else
		assert(e.kind == ERR_PROTO);
	record_line(&line, in, 100);
	assert(line.n <= 100 && record_is_line(buf_str(&line), 100));
	buf_free(&line);
	return 0;
}
