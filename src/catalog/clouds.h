/*
 * What is known of each cloud without asking it: pure rows, one file a cloud.
 *
 * Its options with what they mean to the rest of the house (whose account, where, how large), what it
 * charges and for what, and where a machine's config.json says its place. Clouds that windlass has no
 * driver for have rows too: `simulate` and the metrics know their machines from docker-machine's files.
 *
 * Prices are what the vendor's public list said at the cloud's date, for one region, without disks,
 * addresses, taxes and discounts: good for comparing settings with each other, not for a bill. A size
 * that is not in the rows has no price; nothing is guessed.
 */
#ifndef CATALOG_CLOUDS_H
#define CATALOG_CLOUDS_H

#include "core/opt.h"
#include "core/str.h"
#include "policy/billing.h"

/* What an option means: bits. */
enum {
	OPTION_CREDENTIAL = 1,	/* proves who asks; may be env:NAME or file:PATH */
	OPTION_ACCOUNT = 2,	/* with the credentials: whose account it is. Runners that agree share its limits */
	OPTION_REGION = 4,
	OPTION_ZONE = 8,
	OPTION_SIZE = 16,	/* names the price */
	OPTION_IMAGE = 32,
	OPTION_FILE = 64,	/* a path on this host */
	OPTION_LOGIN = 128,	/* the private key that opens the machine; a path too */
	OPTION_RETIRED = 256,	/* the cloud has retired what the default names */
};

/* An option of `create`: --name VALUE, or its variable, or the default. */
struct catalog_option {
	const char	*name;
	const char	*env;		/* or NULL */
	enum opt_type	 type;
	const char	*dflt;		/* as text; NULL: none */
	const char	*help;		/* NULL: of a cloud without a driver of ours */
	unsigned	 roles;
};

/* Where Driver in config.json says it, docker-machine's names; the first that is not empty counts. */
struct catalog_place {
	const char	*zone[2], *region, *project, *type[2];
	/* How the region and the whole zone come out of each other. */
	enum { ZONE_APART, ZONE_BEGINS_WITH_REGION, ZONE_IS_LETTER } how;
};

struct catalog_price {
	const char	*size;
	double		 per_hour;
	const char	*region;	/* whose price it is; NULL: the same everywhere */
};

/*
 * How many calls an account may make in any minute, as the vendor publishes it (0: it publishes no such limit), and how many
 * of them our driver makes for a machine.
 */
struct catalog_calls { int minute, create, remove; };

struct catalog_cloud {
	const char			*name;		/* of the driver */
	bool				 hosts;		/* nothing is made in a cloud: hosts that are there already */
	const struct catalog_option	*options;
	size_t				 noptions;
	struct catalog_place		 place;
	struct catalog_calls		 calls;
	const struct billing		*billing;	/* NULL: not known, or it costs nothing */
	const struct catalog_price	*prices;
	size_t				 nprices;
	const char			*priced;	/* year and month of the prices */
	const char			*source;	/* the vendor's page they are from */
};

/* Each has a file of its name here. */
#define CATALOG_CLOUDS(X) \
	X(amazonec2) X(azure) X(digitalocean) X(exoscale) X(generic) X(google) \
	X(hetzner) X(linode) X(none) X(openstack) CATALOG_SAMPLE(X) X(scaleway) X(vultr)
#ifdef WINDLASS_SAMPLE
#define CATALOG_SAMPLE(X)	X(sample)	/* of test builds */
#else
#define CATALOG_SAMPLE(X)
#endif

#define CATALOG_DECLARE(name)	extern const struct catalog_cloud catalog_##name;
CATALOG_CLOUDS(CATALOG_DECLARE)
#undef CATALOG_DECLARE

/* All of them, NULL behind the last; and one by its driver's name, NULL: there is none. */
extern const struct catalog_cloud *const catalog_clouds[];
const struct catalog_cloud	*catalog_find(struct str name);
/* The driver whose options begin as this word does, also one without rows; NULL: none is known. */
const char			*catalog_driver_of(struct str word);
/* The row of an option by its name, or the first with one of these roles; NULL: there is none. */
const struct catalog_option	*catalog_option(const struct catalog_cloud *c, struct str name);
const struct catalog_option	*catalog_option_for(const struct catalog_cloud *c, unsigned roles);
/* The rule of what is charged; NULL: not known. c may be NULL. */
const struct billing		*catalog_billing(const struct catalog_cloud *c);
const struct catalog_price	*catalog_price(const struct catalog_cloud *c, struct str size);
/*
 * Whether an option ("name=value") says whose account it is. An option whose row has a help text,
 * one of our own drivers', is told by its roles. Any other one (of a cloud without a driver here, a
 * plugin's, a release's to come) is told by its name, since nothing else is known of it: by the
 * words that docker-machine's drivers and the plugins in use have in such names. They err on the
 * side of too many: a word too many only looks at one account twice; a word too few takes two
 * accounts for one, so that the second's strays are never listed and the limits of one stop the
 * runners of both. The words never change: the account's name is that of files. c may be NULL.
 */
bool				 catalog_names_account(const struct catalog_cloud *c, struct str option);

#endif
