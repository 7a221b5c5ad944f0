/* Linode: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "linode-instance-type", .type = OPT_STRING, .dflt = NULL, .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = 3600 * NSEC_SEC, .minimum = 3600 * NSEC_SEC, .month_cap = 672 * 3600 * NSEC_SEC, .currency = "USD",
};

const struct catalog_cloud catalog_linode = {
	.name = "linode",
	.options = options, .noptions = NELEM(options),
	.place = { .region = "Region", .type = { "InstanceType" } },
	.billing = &billing,
};
