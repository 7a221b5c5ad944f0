/* Vultr: see clouds.h. */
#include "catalog/clouds.h"

static const struct billing billing = {
	.unit = 3600 * NSEC_SEC, .minimum = 3600 * NSEC_SEC, .month_cap = 672 * 3600 * NSEC_SEC, .currency = "USD",
};

const struct catalog_cloud catalog_vultr = {
	.name = "vultr",
	.place = { .region = "RegionID", .type = { "OSID" } },
	.billing = &billing,
};
