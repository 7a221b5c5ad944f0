/* Azure: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "azure-size", .type = OPT_STRING, .dflt = NULL, .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = NSEC_SEC, .minimum = 60 * NSEC_SEC, .currency = "USD",
};

const struct catalog_cloud catalog_azure = {
	.name = "azure",
	.options = options, .noptions = NELEM(options),
	.place = { .region = "Location", .project = "ResourceGroup", .type = { "Size" } },
	.billing = &billing,
};
