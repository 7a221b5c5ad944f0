/* Google Compute Engine: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "google-machine-type", .type = OPT_STRING, .dflt = "n1-standard-1", .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = NSEC_SEC, .minimum = 60 * NSEC_SEC, .currency = "USD",
};

static const struct catalog_price prices[] = {
	{ "n1-standard-1", 0.0475, "us-central1" },
	{ "n1-standard-2", 0.0950, "us-central1" },
	{ "n1-standard-4", 0.1900, "us-central1" },
	{ "n1-standard-8", 0.3800, "us-central1" },
	{ "e2-standard-2", 0.0670, "us-central1" },
	{ "e2-standard-4", 0.1340, "us-central1" },
	{ "n2-standard-2", 0.0971, "us-central1" },
	{ "n2-standard-4", 0.1942, "us-central1" },
};

const struct catalog_cloud catalog_google = {
	.name = "google",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "ResolvedZone", "Zone" }, .project = "Project",
	    .type = { "ResolvedMachineType", "MachineType" }, .how = ZONE_BEGINS_WITH_REGION },
	.billing = &billing,
	.prices = prices, .nprices = NELEM(prices), .priced = "2025-06",
	.source = "https://cloud.google.com/compute/vm-instance-pricing",
};
