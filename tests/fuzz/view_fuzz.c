/*
 * The manager's snapshot as a torn write or another version may have left it: no text of it is missing, what is written of it
 * reads back as it was, and the metrics of it are whole lines.
 */
#include "books/view.h"
#include "manager/prom.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
print(const struct view *v, struct buf *b)
{
	struct json_w w = { .b = b };

	jw_object(&w, NULL);
	view_put_manager(&w, v);
	jw_array(&w, "pools");
	for (size_t i = 0; i < v->npools; i++) {
		jw_object(&w, NULL);
		view_put_pool(&w, &v->pools[i]);
		view_put_pool_rest(&w, &v->pools[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_array(&w, "machines");
	for (size_t i = 0; i < v->nmachines; i++) {
		jw_object(&w, NULL);
		view_put_machine(&w, &v->machines[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_array(&w, "jobs");
	for (size_t i = 0; i < v->njobs; i++) {
		jw_object(&w, NULL);
		view_put_job(&w, &v->jobs[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	view_put_log(&w, v);
	jw_array(&w, "series");
	for (size_t i = 0; i < v->nseries; i++) {
		jw_object(&w, NULL);
		view_put_series(&w, &v->series[i]);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	view_put_end(&w, v);
	jw_end_object(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view v = { .pid = 0 }, again = { .pid = 0 }, third = { .pid = 0 };
	struct buf first = { 0 }, second = { 0 }, text = { 0 };
	struct prom_process p = { .version = "", .revision = "", .branch = "" };

	if (view_parse(&v, str_of(data, size), NULL) == 0) {
		print(&v, &first);
		/* Times are kept to the millisecond, numbers as they print: what was printed once is stable. */
		assert(!first.failed && view_parse(&again, buf_str(&first), NULL) == 0);
		assert(again.npools == v.npools && again.nmachines == v.nmachines && again.njobs == v.njobs && again.nseries == v.nseries);
		buf_clear(&first);
		print(&again, &first);
		assert(view_parse(&third, buf_str(&first), NULL) == 0);
		print(&third, &second);
		assert(str_eq(buf_str(&first), buf_str(&second)));
		prom_put(&text, &v, &p, wall_of_seconds(1772445600));
		assert(text.n == 0 || text.p[text.n - 1] == '\n');
	}
	view_free(&v);
	view_free(&again);
	view_free(&third);
	buf_free(&first);
	buf_free(&second);
	buf_free(&text);
	return 0;
}
