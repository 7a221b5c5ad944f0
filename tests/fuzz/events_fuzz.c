/* Lines of the event file: what is read prints and reads back the same, and all that it says is a text. */
#include "books/events.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_record r, again;
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct arena a = { 0 };

	if (event_parse(&a, str_of(data, size), &r) == 0) {
		assert(r.kind[0] != '\0');
		event_put(&w, &r);
		assert(!b.failed && str_chr(buf_str(&b), '\n') < 0);
		assert(event_parse(&a, buf_str(&b), &again) == 0);
		/* To the millisecond, and one in the first of 1970 is none. */
		assert(!wall_known(again.at) || wall_between(again.at, r.at) < NSEC_MSEC);
		assert(strcmp(again.kind, r.kind) == 0 && strcmp(again.pool, r.pool) == 0 && strcmp(again.machine, r.machine) == 0);
		assert(strcmp(again.job, r.job) == 0 && strcmp(again.reason, r.reason) == 0 && strcmp(again.text, r.text) == 0);
	}
	assert(r.kind != NULL && r.pool != NULL && r.machine != NULL && r.job != NULL && r.reason != NULL && r.text != NULL);
	buf_free(&b);
	arena_reset(&a);
	return 0;
}
