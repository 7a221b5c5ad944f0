/* DigitalOcean: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ "digitalocean-access-token", "DIGITALOCEAN_ACCESS_TOKEN", OPT_STRING, NULL,
	  "API token, or env:NAME or file:PATH to keep it out of config.json", OPTION_CREDENTIAL },
	{ "digitalocean-ssh-user", "DIGITALOCEAN_SSH_USER", OPT_STRING, "root", "SSH user (default root)", 0 },
	{ "digitalocean-ssh-key-fingerprint", "DIGITALOCEAN_SSH_KEY_FINGERPRINT", OPT_STRING, NULL,
	  "use this key of the account; none is made then", 0 },
	{ "digitalocean-ssh-key-path", "DIGITALOCEAN_SSH_KEY_PATH", OPT_STRING, NULL,
	  "private key that belongs to the fingerprint", OPTION_FILE | OPTION_LOGIN },
	{ "digitalocean-ssh-port", "DIGITALOCEAN_SSH_PORT", OPT_INT, "22", "SSH port (default 22)", 0 },
	{ "digitalocean-image", "DIGITALOCEAN_IMAGE", OPT_STRING, "ubuntu-16-04-x64",
	  "image slug or number; name one, the default is retired (default ubuntu-16-04-x64)",
	  OPTION_IMAGE | OPTION_RETIRED },
	{ "digitalocean-region", "DIGITALOCEAN_REGION", OPT_STRING, "nyc3", "region (default nyc3)", OPTION_REGION },
	{ "digitalocean-size", "DIGITALOCEAN_SIZE", OPT_STRING, "s-1vcpu-1gb", "size (default s-1vcpu-1gb)", OPTION_SIZE },
	{ "digitalocean-ipv6", "DIGITALOCEAN_IPV6", OPT_BOOL, NULL, "enable IPv6", 0 },
	{ "digitalocean-private-networking", "DIGITALOCEAN_PRIVATE_NETWORKING", OPT_BOOL, NULL,
	  "enable private networking", 0 },
	{ "digitalocean-backups", "DIGITALOCEAN_BACKUPS", OPT_BOOL, NULL, "enable backups", 0 },
	{ "digitalocean-userdata", "DIGITALOCEAN_USERDATA", OPT_STRING, NULL, "path of a cloud-init file", OPTION_FILE },
	{ "digitalocean-monitoring", "DIGITALOCEAN_MONITORING", OPT_BOOL, NULL, "install the monitoring agent", 0 },
	{ "digitalocean-tags", "DIGITALOCEAN_TAGS", OPT_STRING, NULL, "tags, separated by commas", 0 },
	{ "digitalocean-api-endpoint", "DIGITALOCEAN_API_URL", OPT_STRING, NULL,
	  "where the API is (default https://api.digitalocean.com)", OPTION_ACCOUNT },
	{ "digitalocean-api-ca-file", "DIGITALOCEAN_API_CA_FILE", OPT_STRING, NULL,
	  "certificates to trust for the API besides the system's", OPTION_FILE },
};

static const struct billing billing = {
	.unit = NSEC_SEC, .minimum = 60 * NSEC_SEC, .minimum_money = 0.01, .month_cap = 672 * 3600 * NSEC_SEC, .currency = "USD",
};

static const struct catalog_price prices[] = {
	{ "s-1vcpu-1gb", 0.00893, NULL },
	{ "s-1vcpu-2gb", 0.01786, NULL },
	{ "s-2vcpu-2gb", 0.02679, NULL },
	{ "s-2vcpu-4gb", 0.03571, NULL },
	{ "s-4vcpu-8gb", 0.07143, NULL },
	{ "s-8vcpu-16gb", 0.14286, NULL },
	{ "c-2", 0.06250, NULL },
	{ "c-4", 0.12500, NULL },
	{ "c-8", 0.25000, NULL },
	{ "g-2vcpu-8gb", 0.09375, NULL },
	{ "g-4vcpu-16gb", 0.18750, NULL },
};

const struct catalog_cloud catalog_digitalocean = {
	.name = "digitalocean",
	.options = options, .noptions = NELEM(options),
	.place = { .region = "Region", .type = { "Size" } },
	/* Key and droplet; both deleted, a look whether the droplet is gone, and its tag. The 5,000 an hour are told by each answer. */
	.calls = { .minute = 250, .create = 2, .remove = 4 },
	.billing = &billing,
	.prices = prices, .nprices = NELEM(prices), .priced = "2025-06",
	.source = "https://www.digitalocean.com/pricing/droplets",
};
