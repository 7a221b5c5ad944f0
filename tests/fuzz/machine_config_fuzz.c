/*
 * config.json: whatever JSON object it is given, what is written reads back
 * and is written the same again, and a member of Driver that no table knows
 * is still there with its value.
 */
#include "machine/config_json.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
known(const struct cloud *c, struct str key)
{
	for (size_t i = 0; i < cloud_base_nfields; i++)
		if (str_eqc(key, cloud_base_fields[i].key))
			return true;
	for (size_t i = 0; c->driver != NULL && i < c->driver->nfields; i++)
		if (str_eqc(key, c->driver->fields[i].key))
			return true;
	return false;
}

static void
check_unknown(struct arena *a, const struct machine_host *h, struct str text, struct str out)
{
	struct json_val before, after;

	if (json_parse(a, text, &before, NULL) < 0 || json_parse(a, out, &after, NULL) < 0)
		abort();
	before = json_get(before, "Driver");
	after = json_get(after, "Driver");
	if (json_type(before) != JSON_OBJECT)
		return;
	JSON_EACH(v, before) {
		struct str key = json_key(a, v);

		if (!known(&h->cloud, key))
			assert(json_type(json_get_str(after, key)) == json_type(json_get_str(before, key)) &&
			    str_eq(json_str(a, json_get_str(after, key)), json_str(a, json_get_str(before, key))));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct buf one = { 0 }, two = { 0 };
	struct machine_host h, again;
	struct err e = { 0 };

	if (machine_host_parse(&h, &a, str_of(data, size), "m", &e) == 0) {
		machine_host_print(&h, &one);
		assert(!one.failed);
		assert(machine_host_parse(&again, &a, buf_str(&one), "m", &e) == 0);
		machine_host_print(&again, &two);
		assert(str_eq(buf_str(&one), buf_str(&two)));
		check_unknown(&a, &h, str_of(data, size), buf_str(&one));
		(void)cloud_url(&h.cloud);
	} else
		assert(e.kind != ERR_NONE);
	buf_free(&one);
	buf_free(&two);
	arena_reset(&a);
	return 0;
}
