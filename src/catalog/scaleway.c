/* Scaleway: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "scaleway-commercial-type", .type = OPT_STRING, .dflt = NULL, .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = 3600 * NSEC_SEC, .minimum = 3600 * NSEC_SEC, .currency = "EUR",
};

const struct catalog_cloud catalog_scaleway = {
	.name = "scaleway",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "Zone" }, .project = "Project", .type = { "CommercialType" } },
	.billing = &billing,
};
