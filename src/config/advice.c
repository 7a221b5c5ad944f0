/* What is said of a key that its section does not know: see keys.h. */
#include "catalog/clouds.h"
#include "config/keys.h"

/* Words of gitlab-runner's documentation and its past, and what became of them. No section: wherever they stand. */
static const struct { const char *words, *advice; } known[] = {
	{ "tags taglist rununtagged protected locked description accesslevel maximumtimeout paused active maintenancenote jobtimeout timeout refprotected",
	  "it is set in GitLab, at the runner there (or by `register` with a registration token)" },
	{ "listen metrics prometheus metricsaddress", "did you mean listen_address, at the top of the file?" },
	{ "metricsserver prometheuslistenaddress metricslistenaddress", "it is called listen_address since 12.0, at the top of the file" },
	{ "pullpolicies pullpolicys", "did you mean pull_policy?" },
	{ "allowedpullpolicy", "did you mean allowed_pull_policies?" },
	{ "concurrency concurency concurancy concurrancy maxconcurrent", "did you mean concurrent, at the top of the file?" },
	{ "env envs variables", "did you mean environment, in [[runners]]?" },
	{ "memlimit memorylimit", "did you mean memory, in [runners.docker]?" },
	{ "network networks", "did you mean network_mode, in [runners.docker]?" },
	{ "cafile cacert tlscacert", "did you mean tls-ca-file, in [[runners]]?" },
	{ "registrationtoken", "`register` makes the runner's token of a registration token; here stands token" },
	{ "gitlaburl ciserverurl", "did you mean url, in [[runners]]?" },
};

/* Where a word is looked for that its own section does not know: the likeliest first. */
static const enum key_section order[] = {
	KS_GLOBAL, KS_RUNNER, KS_DOCKER, KS_MACHINE, KS_AUTOSCALING, KS_CACHE, KS_S3, KS_GCS, KS_AZURE, KS_SESSION, KS_DRAIN, KS_BUILD_DIR,
	KS_ARTIFACT, KS_SERVICES, KS_MACHINE_GLOBAL,
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
belongs(struct arena *a, const struct key *k)
{
	if (k->section == KS_GLOBAL)
		return arena_fmt(a, "%s belongs at the top of the file, above the first [[runners]]", k->name);
	return arena_fmt(a, "%s belongs in %s", k->name, key_section_title(k->section));
}

static const char *
elsewhere(struct arena *a, enum key_section section, struct str folded, const struct toml *v)
{
	for (size_t i = 0; i < NELEM(order); i++) {
		const struct key *k = order[i] != section ? same_word(order[i], folded) : NULL;

		/* A table is no string that happens to bear its name. */
		if (k == NULL || (k->type == KEY_SECTION) != (v->type == TOML_TABLE))
			continue;
		return belongs(a, k);
	}
	return NULL;
}

/* Options of `register` have their section's name in front (docker-image); of keys of [runners.machine] it is often forgotten. */
static const struct key *
with_or_without_section(enum key_section section, struct str folded)
{
	static const struct { const char *word; enum key_section section; } fronts[] = {
		{ "docker", KS_DOCKER }, { "machine", KS_MACHINE }, { "runner", KS_RUNNER }, { "caches3", KS_S3 }, { "cachegcs", KS_GCS },
		{ "cacheazure", KS_AZURE }, { "cache", KS_CACHE },
	};
	const struct key *k = NULL;
	char longer[80];

	for (size_t i = 0; i < NELEM(fronts) && k == NULL; i++)
		if (str_starts(folded, fronts[i].word))
			k = same_word(fronts[i].section, str_sub(folded, strlen(fronts[i].word), folded.n));
	if (k != NULL || section != KS_MACHINE)
		return k;
	snprintf(longer, sizeof(longer), "machine%.*s", STR_ARG(folded));
	return same_word(section, str_from(longer));
}

/* What stands in MachineOptions and has been written as a key. */
static const char *
option_of_create(struct arena *a, struct str folded, const struct toml *v)
{
	const char *driver = catalog_driver_of(folded);

	if (driver == NULL && !str_starts(folded, "engine"))
		return NULL;
	if (driver != NULL && str_eqc(folded, driver))
		return arena_fmt(a,
		    "options of a driver stand in MachineOptions = [\"%s-...=...\"]", driver);
	return arena_fmt(a, "options stand in MachineOptions = [\"%.*s=...\"]", STR_ARG(v->key));
}

const char *
key_advice(struct arena *a, enum key_section section, const struct toml *v)
{
	char buf[65];
	struct str folded = fold(v->key, buf);
	const struct key *same = same_word(section, folded);
	const char *near = section == KS_MACHINE ? option_of_create(a, folded, v) : NULL;

	if (same != NULL)
		return arena_fmt(a, "did you mean %s?", same->name);
	if (near != NULL)
		return near;
	for (size_t i = 0; i < NELEM(known); i++)
		if (is_word(str_from(known[i].words), folded))
			return known[i].advice;
	same = with_or_without_section(section, folded);
	if (same != NULL)
		return same->section == section ? arena_fmt(a, "did you mean %s?", same->name) : belongs(a, same);
	near = elsewhere(a, section, folded, v);
	if (near != NULL)
		return near;
	near = key_nearest(section, v->key);
	if (near == NULL)
		return NULL;
	/* Nobody is sent to a key that is gone, but told what took its place. */
	same = key_find(section, str_from(near));
	return same->use == KEY_GONE ? arena_fmt(a, "%s was removed from gitlab-runner: %s", near, same->help) : arena_fmt(a, "did you mean %s?", near);
}
