/* A machine that is nothing but the URL of an engine: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ "url", NULL, OPT_STRING, NULL, "URL of the engine when no driver is selected", 0 },
};

const struct catalog_cloud catalog_none = {
	.name = "none",
	.hosts = true,
	.options = options, .noptions = NELEM(options),
};
