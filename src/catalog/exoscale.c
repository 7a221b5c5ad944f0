/* Exoscale: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "exoscale-instance-profile", .type = OPT_STRING, .dflt = NULL, .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = NSEC_SEC, .currency = "EUR",
};

const struct catalog_cloud catalog_exoscale = {
	.name = "exoscale",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "AvailabilityZone" }, .type = { "InstanceProfile" } },
	.billing = &billing,
};
