/* catalog/: every row says what it is there to say, and whose account options name is what it always was. */
#include "catalog/clouds.h"
#include "tap.h"

/* Each cloud's rows. */
static void
test_rows(void)
{
	for (size_t i = 0; catalog_clouds[i] != NULL; i++) {
		const struct catalog_cloud *c = catalog_clouds[i];
		bool unique = true, parse = true, priced = c->nprices == 0 || (c->priced != NULL && c->source != NULL);

		for (size_t k = 0; k < c->noptions; k++) {
			const struct catalog_option *o = &c->options[k];
			int64_t n;

			unique = unique && catalog_option(c, str_from(o->name)) == o;
			parse = parse && (o->type != OPT_INT || o->dflt == NULL || str_to_i64(str_from(o->dflt), &n) == 0);
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
	test_account();
	return done_testing();
}
