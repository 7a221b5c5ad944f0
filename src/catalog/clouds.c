/* Looking the rows up: see clouds.h. */
#include "catalog/clouds.h"

const struct catalog_cloud *const catalog_clouds[] = {
#define ROW(name)	&catalog_##name,
	CATALOG_CLOUDS(ROW)
#undef ROW
	NULL,
};

/* Drivers of docker-machine and plugins of which no more is known than the name. */
static const char *const others[] = {
	"otc", "packet", "rackspace", "softlayer", "upcloud", "virtualbox", "vmwarevsphere",
};

const struct catalog_cloud *
catalog_find(struct str name)
{
	for (size_t i = 0; catalog_clouds[i] != NULL; i++)
		if (str_eqc(name, catalog_clouds[i]->name))
			return catalog_clouds[i];
	return NULL;
}

const char *
catalog_driver_of(struct str word)
{
	for (size_t i = 0; catalog_clouds[i] != NULL; i++)
		if (str_starts(word, catalog_clouds[i]->name))
			return catalog_clouds[i]->name;
	for (size_t i = 0; i < NELEM(others); i++)
		if (str_starts(word, others[i]))
			return others[i];
	return NULL;
}

const struct catalog_option *
catalog_option(const struct catalog_cloud *c, struct str name)
{
	for (size_t i = 0; c != NULL && i < c->noptions; i++)
		if (str_eqc(name, c->options[i].name))
			return &c->options[i];
	return NULL;
}

const struct catalog_option *
catalog_option_for(const struct catalog_cloud *c, unsigned roles)
{
	for (size_t i = 0; c != NULL && i < c->noptions; i++)
		if (c->options[i].roles & roles)
			return &c->options[i];
	return NULL;
}

const struct billing *
catalog_billing(const struct catalog_cloud *c)
{
	return c != NULL ? c->billing : NULL;
}

const struct catalog_price *
catalog_price(const struct catalog_cloud *c, struct str size)
{
	for (size_t i = 0; c != NULL && i < c->nprices; i++)
		if (str_eqc(size, c->prices[i].size))
			return &c->prices[i];
	return NULL;
}

bool
catalog_names_account(const struct catalog_cloud *c, struct str option)
{
	static const char *const words[] = {
		"token", "secret", "access-key", "api-key", "password", "username", "project",
		"tenant", "subscription", "account", "credential", "client-id", "auth", "endpoint",
		"profile", "org",
	};
	ssize_t at = str_chr(option, '=');
	struct str name = at >= 0 ? str_sub(option, 0, (size_t)at) : option;
	const struct catalog_option *known = catalog_option(c, name);

	if (known != NULL && known->help != NULL)
		return (known->roles & (OPTION_CREDENTIAL | OPTION_ACCOUNT)) != 0;
	/* The engine's options, whose values may be anybody's, and keys of the machine's own. */
	if (str_starts(name, "engine-") || str_find(name, "ssh") >= 0)
		return false;
	for (size_t i = 0; i < NELEM(words); i++)
		if (str_find(name, words[i]) >= 0)
			return true;
	return false;
}
