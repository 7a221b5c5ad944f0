/* windlass.json: what is written reads back and is written the same again; members that we do not know stay. */
#include "books/store.h"
#include "wire/json.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct buf one = { 0 }, two = { 0 };
	struct machine_record r, again;
	struct json_val before, after;
	struct err e = { 0 };

	if (machine_record_parse(&a, str_of(data, size), &r, &e) == 0) {
		machine_record_print(&r, &one);
		assert(!one.failed);
		assert(machine_record_parse(&a, buf_str(&one), &again, &e) == 0);
		machine_record_print(&again, &two);
		assert(str_eq(buf_str(&one), buf_str(&two)));
		assert(r.phase == again.phase && r.uses == again.uses);
		if (json_parse(&a, str_of(data, size), &before, NULL) < 0 || json_parse(&a, buf_str(&one), &after, NULL) < 0)
			abort();
		JSON_EACH(v, before)
			assert(json_type(json_get_str(after, json_key(&a, v))) != JSON_ABSENT);
	} else
		assert(e.kind != ERR_NONE);
	buf_free(&one);
	buf_free(&two);
	arena_reset(&a);
	return 0;
}
