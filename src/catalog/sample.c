/* A cloud that nobody sells: in test builds alone, so that the seam is shown by a second cloud of other things. See clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ "sample-token", "SAMPLE_TOKEN", OPT_STRING, NULL, "API token, or env:NAME or file:PATH", OPTION_CREDENTIAL },
	{ "sample-type", "SAMPLE_TYPE", OPT_STRING, "small", "types, the best first, separated by commas", OPTION_SIZE },
	{ "sample-zone", "SAMPLE_ZONE", OPT_STRING, "north", "zones, the best first, separated by commas", OPTION_REGION | OPTION_ZONE },
	{ "sample-image", "SAMPLE_IMAGE", OPT_STRING, "debian-12-docker", "image", OPTION_IMAGE },
	{ "sample-disk-size", "SAMPLE_DISK_SIZE", OPT_INT, "20", "GB of the disk (default 20)", 0 },
	{ "sample-spot", "SAMPLE_SPOT", OPT_BOOL, NULL, "spot machines first, others where there are none", 0 },
	{ "sample-api-endpoint", "SAMPLE_URL", OPT_STRING, NULL, "where the API is", OPTION_ACCOUNT },
	{ "sample-api-ca-file", "SAMPLE_CA_FILE", OPT_STRING, NULL, "certificates to trust for the API", OPTION_FILE },
};

static const struct billing billing = { .unit = 60 * NSEC_SEC, .minimum = 60 * NSEC_SEC, .currency = "USD" };

static const struct catalog_price prices[] = {
	{ "small", 0.01, NULL },
	{ "large", 0.05, NULL },
};

const struct catalog_cloud catalog_sample = {
	.name = "sample",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "Zone" }, .type = { "Type" } },
	.billing = &billing,
	.prices = prices, .nprices = NELEM(prices), .priced = "2026-11", .source = "https://sample.example/prices",
};
