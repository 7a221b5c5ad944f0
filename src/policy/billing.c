/* Billing rules and list prices. See billing.h. */
#include "core/mono.h"
#include "policy/billing.h"

#define HOUR	(3600 * NSEC_SEC)
#define MONTH	(730 * HOUR)

static const struct billing rules[] = {
	/* driver		unit		minimum		money	month's cap	currency	size option */
	{ "digitalocean",	NSEC_SEC,	60 * NSEC_SEC,	0.01,	672 * HOUR,	"USD",	"digitalocean-size", "s-1vcpu-1gb" },
	{ "google",		NSEC_SEC,	60 * NSEC_SEC,	0,	0,		"USD",	"google-machine-type", "n1-standard-1" },
	{ "amazonec2",		NSEC_SEC,	60 * NSEC_SEC,	0,	0,		"USD",	"amazonec2-instance-type", "t2.micro" },
	{ "azure",		NSEC_SEC,	60 * NSEC_SEC,	0,	0,		"USD",	"azure-size", NULL },
	/* its monthly prices are those of about 625 hours */
	{ "hetzner",		HOUR,		HOUR,		0,	625 * HOUR,	"EUR",	"hetzner-server-type", NULL },
	{ "exoscale",		NSEC_SEC,	0,		0,	0,		"EUR",	"exoscale-instance-profile", NULL },
	{ "linode",		HOUR,		HOUR,		0,	672 * HOUR,	"USD",	"linode-instance-type", NULL },
	{ "vultr",		HOUR,		HOUR,		0,	672 * HOUR,	"USD",	NULL, NULL },
	{ "scaleway",		HOUR,		HOUR,		0,	0,		"EUR",	"scaleway-commercial-type", NULL },
};

static const struct billing_price prices[] = {
	{ "digitalocean", "s-1vcpu-1gb",	0.00893, NULL },
	{ "digitalocean", "s-1vcpu-2gb",	0.01786, NULL },
	{ "digitalocean", "s-2vcpu-2gb",	0.02679, NULL },
	{ "digitalocean", "s-2vcpu-4gb",	0.03571, NULL },
	{ "digitalocean", "s-4vcpu-8gb",	0.07143, NULL },
	{ "digitalocean", "s-8vcpu-16gb",	0.14286, NULL },
	{ "digitalocean", "c-2",		0.06250, NULL },
	{ "digitalocean", "c-4",		0.12500, NULL },
	{ "digitalocean", "c-8",		0.25000, NULL },
	{ "digitalocean", "g-2vcpu-8gb",	0.09375, NULL },
	{ "digitalocean", "g-4vcpu-16gb",	0.18750, NULL },
	{ "amazonec2", "t3.small",		0.0208, "us-east-1" },
	{ "amazonec2", "t3.medium",		0.0416, "us-east-1" },
	{ "amazonec2", "t3.large",		0.0832, "us-east-1" },
	{ "amazonec2", "t3.xlarge",		0.1664, "us-east-1" },
	{ "amazonec2", "t3.2xlarge",		0.3328, "us-east-1" },
	{ "amazonec2", "m5.large",		0.096, "us-east-1" },
	{ "amazonec2", "m5.xlarge",		0.192, "us-east-1" },
	{ "amazonec2", "m5.2xlarge",		0.384, "us-east-1" },
	{ "amazonec2", "c5.large",		0.085, "us-east-1" },
	{ "amazonec2", "c5.xlarge",		0.170, "us-east-1" },
	{ "amazonec2", "c5.2xlarge",		0.340, "us-east-1" },
	{ "amazonec2", "m7g.large",		0.0816, "us-east-1" },
	{ "google", "n1-standard-1",		0.0475, "us-central1" },
	{ "google", "n1-standard-2",		0.0950, "us-central1" },
	{ "google", "n1-standard-4",		0.1900, "us-central1" },
	{ "google", "n1-standard-8",		0.3800, "us-central1" },
	{ "google", "e2-standard-2",		0.0670, "us-central1" },
	{ "google", "e2-standard-4",		0.1340, "us-central1" },
	{ "google", "n2-standard-2",		0.0971, "us-central1" },
	{ "google", "n2-standard-4",		0.1942, "us-central1" },
};

const struct billing *
billing_of(const char *driver)
{
	for (size_t i = 0; i < NELEM(rules); i++)
		if (strcmp(rules[i].driver, driver) == 0)
			return &rules[i];
	return NULL;
}

const struct billing_price *
billing_price_of(const char *driver, struct str size)
{
	for (size_t i = 0; i < NELEM(prices); i++)
		if (strcmp(prices[i].driver, driver) == 0 && str_eqc(size, prices[i].size))
			return &prices[i];
	return NULL;
}

dur_t
billing_keeps(const struct billing *b)
{
	return b != NULL && b->unit >= HOUR ? b->unit : 0;
}

dur_t
billing_paid(const struct billing *b, dur_t life, double price_per_hour)
{
	dur_t paid = life > 0 ? life : 0, least = b->minimum;

	if (b->unit > 0 && paid % b->unit != 0)
		paid += b->unit - paid % b->unit;
	if (b->minimum_money > 0 && price_per_hour > 0 && b->minimum_money / price_per_hour * (double)HOUR > (double)least)
		least = (dur_t)(b->minimum_money / price_per_hour * (double)HOUR);
	if (paid < least)
		paid = least;
	if (b->month_cap > 0) {
		dur_t rest = paid % MONTH;

		paid = paid / MONTH * b->month_cap + (rest < b->month_cap ? rest : b->month_cap);
	}
	return paid;
}
