/* catalog/: every row says what it is there to say, and whose account options name is what it always was. */
#include "catalog/clouds.h"
#include "cloud/driver.h"
#include "tap.h"

/* "2025-06". */
static bool
is_month(const char *s)
{
	int64_t month;

	return s != NULL && strlen(s) == 7 && s[4] == '-' && strspn(s, "0123456789") == 4 &&
	    strspn(s + 5, "0123456789") == 2 && str_to_i64(str_from(s + 5), &month) == 0 &&
	    month >= 1 && month <= 12;
}

static bool
is_value(enum opt_type type, const char *dflt)
{
	int64_t n;

	if (dflt == NULL)
		return true;
	if (type == OPT_BOOL)
		return strcmp(dflt, "true") == 0 || strcmp(dflt, "false") == 0;
	return type == OPT_INT ? str_to_i64(str_from(dflt), &n) == 0 : dflt[0] != '\0';
}

/* Options with this name, or reading this variable, of all clouds. */
static int
same_options(const struct catalog_option *o)
{
	int n = 0;

	for (size_t i = 0; catalog_clouds[i] != NULL; i++)
		for (size_t k = 0; k < catalog_clouds[i]->noptions; k++) {
			const struct catalog_option *other = &catalog_clouds[i]->options[k];

			n += strcmp(other->name, o->name) == 0 || (o->env != NULL &&
			    other->env != NULL && strcmp(other->env, o->env) == 0);
		}
	return n;
}

/* Each cloud's rows. */
static void
test_rows(void)
{
	for (size_t i = 0; catalog_clouds[i] != NULL; i++) {
		const struct catalog_cloud *c = catalog_clouds[i];
		bool unique = true, parse = true, priced;

		priced = c->nprices == 0 || (is_month(c->priced) && c->billing != NULL &&
		    c->source != NULL && str_starts(str_from(c->source), "https://"));
		for (size_t k = 0; k < c->noptions; k++) {
			const struct catalog_option *o = &c->options[k];

			unique = unique && catalog_option(c, str_from(o->name)) == o &&
			    same_options(o) == 1;
			parse = parse && is_value(o->type, o->dflt) &&
			    (o->dflt != NULL || (o->roles & OPTION_RETIRED) == 0);
		}
		for (size_t k = 0; k < c->nprices; k++)
			priced = priced && c->prices[k].per_hour > 0 && catalog_price(c, str_from(c->prices[k].size)) == &c->prices[k];
		ok(catalog_find(str_from(c->name)) == c, "%s is found by its name", c->name);
		ok(unique && parse, "  each option once, each default a value");
		ok(priced, "  each price once, with its date and source");
		ok(c->billing == NULL || (c->billing->currency != NULL && !c->hosts), "  what is charged has a currency");
		ok(i == 0 || strcmp(catalog_clouds[i - 1]->name, c->name) < 0, "  in the order of names");
	}
	ok(catalog_find(STR("nosuchcloud")) == NULL && catalog_billing(NULL) == NULL && catalog_price(NULL, STR("x")) == NULL,
	    "what is in no row is not there");
}

/* What the rest of the house asks the rows of a driver of ours. */
static void
test_drivers(void)
{
	static const struct { unsigned role; const char *what; } needed[] = {
		{ OPTION_CREDENTIAL, "credential" }, { OPTION_REGION, "region" },
		{ OPTION_SIZE, "size" }, { OPTION_IMAGE, "image" },
	};

	for (size_t i = 0; cloud_drivers[i] != NULL; i++) {
		const struct catalog_cloud *c = cloud_drivers[i]->about;
		bool told = true;

		ok(catalog_find(str_from(c->name)) == c, "driver %s: it has its rows", c->name);
		ok(c->hosts == ((cloud_drivers[i]->traits & CLOUD_NO_VM) != 0),
		    "  whether it makes machines is said alike");
		for (size_t k = 0; k < c->noptions; k++)
			told = told && c->options[k].help != NULL;
		ok(told, "  each option has its help");
		/* So a cloud that gets its driver changes no account of those who ran it before. */
		for (size_t k = 0; k < c->noptions; k++) {
			struct str name = str_from(c->options[k].name);

			ok(catalog_names_account(c, name) == catalog_names_account(NULL, name),
			    "  %s: its roles say what its name said", c->options[k].name);
		}
		for (size_t k = 0; !c->hosts && k < NELEM(needed); k++)
			ok(catalog_option_for(c, needed[k].role) != NULL, "  it has a %s",
			    needed[k].what);
		ok(c->hosts || c->place.region != NULL || c->place.zone[0] != NULL,
		    "  its machines' place is known");
	}
	for (size_t i = 0; catalog_clouds[i] != NULL; i++) {
		const struct catalog_cloud *c = catalog_clouds[i];

		if (cloud_driver_find(str_from(c->name)) != NULL)
			continue;
		for (size_t k = 0; k < c->noptions; k++)
			ok(c->options[k].help == NULL, "%s: no driver here, so names tell",
			    c->options[k].name);
	}
	is_str(catalog_option_for(&catalog_generic, OPTION_LOGIN)->env, "GENERIC_SSH_KEY",
	    "the key of hosts that are there already");
	ok(catalog_option_for(&catalog_none, OPTION_LOGIN) == NULL, "an engine's URL has none");
}

static void
test_driver_of(void)
{
	static const struct { const char *word, *driver; } cases[] = {
		{ "digitalocean-size", "digitalocean" }, { "digitaloceansize", "digitalocean" },
		{ "google", "google" }, { "vmwarevsphere-cpu", "vmwarevsphere" },
		{ "amazonec2-x", "amazonec2" },
		{ "amazon", "" }, { "engine-env", "" }, { "", "" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		const char *driver = catalog_driver_of(str_from(cases[i].word));

		is_str(driver != NULL ? driver : "", cases[i].driver, "\"%s\" begins as \"%s\"",
		    cases[i].word, cases[i].driver);
	}
}

/* As the names of options alone decided it before there were rows, and of those that no row names still. */
static void
test_account(void)
{
	static const struct { const char *driver, *option; bool names; } cases[] = {
		{ "digitalocean", "digitalocean-access-token=dop_v1_x", true },
		{ "digitalocean", "digitalocean-api-endpoint=https://x", true },
		{ "digitalocean", "digitalocean-region=fra1", false }, { "digitalocean", "digitalocean-size=x", false },
		{ "digitalocean", "digitalocean-ssh-key-fingerprint=aa", false }, { "digitalocean", "digitalocean-userdata=/x", false },
		{ "digitalocean", "digitalocean-api-ca-file=/x", false }, { "digitalocean", "engine-registry-mirror=x", false },
		{ "digitalocean", "digitalocean-new-secret=x", true },
		{ "amazonec2", "amazonec2-access-key=x", true }, { "amazonec2", "amazonec2-secret-key=x", true },
		{ "amazonec2", "amazonec2-session-token=x", true }, { "amazonec2", "amazonec2-instance-type=x", false },
		{ "amazonec2", "amazonec2-iam-instance-profile=x", true }, { "amazonec2", "amazonec2-ssh-user=x", false },
		{ "amazonec2", "amazonec2-vpc-id=x", false }, { "google", "google-project=x", true },
		{ "google", "google-machine-type=x", false }, { "google", "google-auth-encoded-json=x", true },
		{ "openstack", "openstack-tenant-name=x", true }, { "openstack", "openstack-auth-url=x", true },
		{ "openstack", "openstack-username=x", true }, { "openstack", "openstack-flavor-name=x", false },
		{ "azure", "azure-subscription-id=x", true }, { "azure", "azure-client-id=x", true },
		{ "hetzner", "hetzner-api-token=x", true }, { "hetzner", "hetzner-server-type=x", false },
		{ "exoscale", "exoscale-instance-profile=x", true },
		{ "digitalocean", "google-project=x", true },
		{ "yandex", "yandex-token=x", true }, { "yandex", "yandex-cores=4", false }, { "yandex", "yandex-token", true },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		ok(catalog_names_account(catalog_find(str_from(cases[i].driver)), str_from(cases[i].option)) == cases[i].names,
		    "%s %s", cases[i].option, cases[i].names ? "says whose account it is" : "does not");
}

int
main(void)
{
	test_rows();
	test_drivers();
	test_driver_of();
	test_account();
	return done_testing();
}
