/* Hetzner Cloud: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "hetzner-server-type", .type = OPT_STRING, .dflt = NULL, .roles = OPTION_SIZE },
};

static const struct billing billing = {
	/* Its monthly prices are those of about 625 hours. */
	.unit = 3600 * NSEC_SEC, .minimum = 3600 * NSEC_SEC, .month_cap = 625 * 3600 * NSEC_SEC, .currency = "EUR",
};

const struct catalog_cloud catalog_hetzner = {
	.name = "hetzner",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "Location" }, .type = { "Type" } },
	.billing = &billing,
};
