/* OpenStack, whoever runs it: see clouds.h. */
#include "catalog/clouds.h"

const struct catalog_cloud catalog_openstack = {
	.name = "openstack",
	.place = { .zone = { "AvailabilityZone" }, .region = "Region", .project = "TenantName",
	    .type = { "FlavorName" } },
};
