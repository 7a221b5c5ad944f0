/* Amazon EC2: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ .name = "amazonec2-instance-type", .type = OPT_STRING, .dflt = "t2.micro", .roles = OPTION_SIZE },
};

static const struct billing billing = {
	.unit = NSEC_SEC, .minimum = 60 * NSEC_SEC, .currency = "USD",
};

static const struct catalog_price prices[] = {
	{ "t3.small", 0.0208, "us-east-1" },
	{ "t3.medium", 0.0416, "us-east-1" },
	{ "t3.large", 0.0832, "us-east-1" },
	{ "t3.xlarge", 0.1664, "us-east-1" },
	{ "t3.2xlarge", 0.3328, "us-east-1" },
	{ "m5.large", 0.096, "us-east-1" },
	{ "m5.xlarge", 0.192, "us-east-1" },
	{ "m5.2xlarge", 0.384, "us-east-1" },
	{ "c5.large", 0.085, "us-east-1" },
	{ "c5.xlarge", 0.170, "us-east-1" },
	{ "c5.2xlarge", 0.340, "us-east-1" },
	{ "m7g.large", 0.0816, "us-east-1" },
};

const struct catalog_cloud catalog_amazonec2 = {
	.name = "amazonec2",
	.options = options, .noptions = NELEM(options),
	.place = { .zone = { "Zone" }, .region = "Region", .type = { "InstanceType" }, .how = ZONE_IS_LETTER },
	.billing = &billing,
	.prices = prices, .nprices = NELEM(prices), .priced = "2025-06",
	.source = "https://aws.amazon.com/ec2/pricing/on-demand/",
};
