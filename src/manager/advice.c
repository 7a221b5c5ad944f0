/* What is said of a key that its section does not know: see keys.h. */
#include "manager/keys.h"

/* Words of gitlab-runner's documentation and its past, and what became of them. No section: wherever they stand. */
static const struct { const char *words, *advice; } known[] = {
	{ "tags taglist rununtagged protected locked description accesslevel maximumtimeout paused maintenancenote jobtimeout timeout refprotected",
	  "it is set in GitLab, at the runner there (or by `register` with a registration token)" },
	{ "metricsserver prometheuslistenaddress metricslistenaddress", "it is called listen_address since 12.0, at the top of the file" },
	{ "pullpolicies pullpolicys", "did you mean pull_policy?" },
	{ "allowedpullpolicy", "did you mean allowed_pull_policies?" },
	{ "concurrency maxconcurrent", "did you mean concurrent, at the top of the file?" },
	{ "machinedrivers driver", "did you mean MachineDriver, in [runners.machine]?" },
	{ "registrationtoken", "`register` makes the runner's token of a registration token; here stands token" },
	{ "gitlaburl ciserverurl", "did you mean url, in [[runners]]?" },
};

/* Where a word is looked for that its own section does not know: the likeliest first. */
static const enum key_section order[] = {
	KS_GLOBAL, KS_RUNNER, KS_DOCKER, KS_MACHINE, KS_AUTOSCALING, KS_CACHE, KS_S3, KS_GCS, KS_AZURE, KS_SESSION, KS_DRAIN, KS_BUILD_DIR,
	KS_ARTIFACT, KS_SERVICES, KS_MACHINE_GLOBAL,
};

static const char *const drivers[] = {
	"amazonec2", "azure", "digitalocean", "exoscale", "generic", "google", "hetzner", "openstack", "otc", "packet", "rackspace", "scaleway",
	"softlayer", "virtualbox", "vmwarevsphere", "linode", "upcloud", "vultr",
};

/* Small letters and digits alone: idle_count, Idle-Count and IdleCount are one word. */
static struct str
fold(struct str name, char out[65])
{
	size_t n = 0;

	for (size_t i = 0; i < name.n && n < 64; i++) {
		char c = name.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[n++] = c;
	}
	return str_of(out, n);
}

static bool
is_word(struct str words, struct str word)
{
	while (words.p != NULL)
		if (str_eq(str_cut(&words, ' '), word))
			return true;
	return false;
}

/* The key of a section that is this word, however it is written. */
static const struct key *
same_word(enum key_section section, struct str folded)
{
	char other[65];

	for (size_t i = 0; i < nkeys; i++)
		if (keys[i].section == section && keys[i].use != KEY_GONE && str_eq(fold(str_from(keys[i].name), other), folded))
			return &keys[i];
	return NULL;
}

static const char *
elsewhere(struct arena *a, enum key_section section, struct str folded, const struct toml *v)
{
	for (size_t i = 0; i < NELEM(order); i++) {
		const struct key *k = order[i] != section ? same_word(order[i], folded) : NULL;

		/* A table is no string that happens to bear its name. */
		if (k == NULL || (k->type == KEY_SECTION) != (v->type == TOML_TABLE))
			continue;
		if (k->section == KS_GLOBAL)
			return arena_fmt(a, "%s belongs at the top of the file, above the first [[runners]]", k->name);
		return arena_fmt(a, "%s belongs in %s", k->name, key_section_title(k->section));
	}
	return NULL;
}

const char *
key_advice(struct arena *a, enum key_section section, const struct toml *v)
{
	char buf[65];
	struct str folded = fold(v->key, buf);
	const struct key *same = same_word(section, folded);
	const char *near;

	if (same != NULL)
		return arena_fmt(a, "did you mean %s?", same->name);
	for (size_t i = 0; i < NELEM(drivers); i++)
		if (section == KS_MACHINE && str_eqc(folded, drivers[i]))
			return arena_fmt(a, "options of a driver stand in MachineOptions = [\"%s-...=...\"]", drivers[i]);
	for (size_t i = 0; i < NELEM(known); i++)
		if (is_word(str_from(known[i].words), folded))
			return known[i].advice;
	near = elsewhere(a, section, folded, v);
	if (near != NULL)
		return near;
	near = key_nearest(section, v->key);
	return near != NULL ? arena_fmt(a, "did you mean %s?", near) : NULL;
}
