/* The history record: what is read prints and reads back the same, a torn tail costs its own line only, twins or not. */
#include "core/buf.h"
#include "books/history.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(const struct history_record *x, const struct history_record *y)
{
	/* Times are kept to the millisecond, texts cut at a length: what has been printed once is stable. */
	assert(x->what == y->what && wall_equal(x->at, y->at) && wall_equal(x->queued, y->queued) && wall_equal(x->arrived, y->arrived));
	assert(wall_equal(x->started, y->started) && wall_equal(x->made, y->made) && x->uses == y->uses);
	assert(str_eq(x->name, y->name) && str_eq(x->runner, y->runner) && str_eq(x->driver, y->driver));
	assert(str_eq(x->machine, y->machine) && str_eq(x->result, y->result) && str_eq(x->reason, y->reason));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history_log l = { 0 }, again = { 0 }, third = { 0 };
	struct buf printed = { 0 }, twice = { 0 };

	history_add(&l, str_of(data, size));
	for (size_t i = 0; i < l.n; i++) {
		assert(l.v[i].at.ns > 0 && l.v[i].name.n > 0);
		history_print(&l.v[i], &printed);
	}
	assert(!printed.failed);
	/* Behind a torn line all is as before. */
	buf_puts(&twice, "{\"what\":\"job\",\"na\n");
	buf_putstr(&twice, buf_str(&printed));
	history_add(&again, buf_str(&twice));
	/* A time in the first millisecond of 1970 prints as none, a text of control bytes as a line too long. */
	assert(again.n <= l.n && again.skipped >= 1);
	buf_clear(&printed);
	for (size_t i = 0; i < again.n; i++)
		history_print(&again.v[i], &printed);
	history_add(&third, buf_str(&printed));
	assert(third.n == again.n);
	for (size_t i = 0; i < third.n; i++)
		same(&again.v[i], &third.v[i]);
	history_free(&l);
	history_free(&again);
	history_free(&third);
	buf_free(&printed);
	buf_free(&twice);
	return 0;
}
