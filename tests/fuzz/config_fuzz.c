/* Any text as config.toml: it is read or refused with a place, and what was read holds its own promises. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct config *c = config_parse("fuzz.toml", str_of(data, size), NULL, NULL, &e);

	if (c == NULL) {
		if (e.kind == ERR_NONE || strncmp(e.msg, "fuzz.toml: ", 11) != 0)
			abort();
		return 0;
	}
	if (c->concurrent < 1 || c->check_interval < 1)
		abort();
	for (size_t i = 0; i < c->nrunners; i++) {
		struct runner *r = &c->runners[i];
		char name[NAMES_LABEL_SIZE];

		if (r->disabled != NULL)
			continue;
		/* Whatever pool this is, its own names are recognised. */
		names_make(&r->names, 1772445600, 0x9f3a01bc, name);
		if (!names_match(&r->names, str_from(name), NAMES_STRICT, NULL) || r->limit < 0)
			abort();
	}
	config_free(c);
	return 0;
}
