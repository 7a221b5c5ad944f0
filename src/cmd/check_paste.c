/* Keys that gitlab-runner has removed, answered with the lines that say the same today: see check.h. */
#include "cmd/check.h"
#include "wire/tomledit.h"

/* ---- OffPeak* (removed in 14.0) ---- */

static bool
is_off_peak(const struct key *k)
{
	return k->section == KS_MACHINE && strncmp(k->name, "OffPeak", 7) == 0;
}

static const struct toml *
off_peak_periods(const struct toml *machine)
{
	const struct toml *v = key_value(K_MACHINE_OffPeakPeriods, machine);

	return v != NULL && v->type == TOML_ARRAY && v->n > 0 && v->first->type == TOML_STRING && str_trim(v->first->s).n > 0 ? v : NULL;
}

/* The four values are one section now. What was not given was 0 then as it is now. */
void
check_paste_machine(struct check *c, const struct toml *machine)
{
	static const struct { enum key_id was, is; } numbers[] = {
		{ K_MACHINE_OffPeakIdleCount, K_AUTOSCALING_idle_count },
		{ K_MACHINE_OffPeakIdleTime, K_AUTOSCALING_idle_time },
	};
	const struct toml *periods = off_peak_periods(machine), *zone = key_value(K_MACHINE_OffPeakTimezone, machine);
	struct buf b = { .max = 8192 };
	const char *sep = "";

	if (periods == NULL)
		return;
	buf_puts(&b, "    [[runners.machine.autoscaling]]\n      Periods = [");
	TOML_EACH(p, periods) {
		buf_puts(&b, sep);
		toml_put_str(&b, p->s);
		sep = ", ";
	}
	buf_puts(&b, "]\n");
	for (size_t i = 0; i < NELEM(numbers); i++) {
		const struct toml *v = key_value(numbers[i].was, machine);

		buf_fmt(&b, "      %s = %" PRId64 "\n", keys[numbers[i].is].name, v != NULL && v->type == TOML_INTEGER ? v->i : 0);
	}
	if (zone != NULL && zone->type == TOML_STRING && zone->s.n > 0) {
		buf_puts(&b, "      Timezone = ");
		toml_put_str(&b, zone->s);
		buf_putc(&b, '\n');
	}
	check_say(c, CHECK_WARNING, CHECK_NO_EFFECT, check_at(K_MACHINE_OffPeakPeriods, machine),
	    "removed from gitlab-runner: write a [[runners.machine.autoscaling]] section instead of the OffPeak keys:");
	check_say_paste(c, buf_str(&b));
	buf_free(&b);
}

/* ---- flat keys of [runners.cache] (removed in 12.0) ---- */

enum flat_place { FLAT_CACHE, FLAT_BUCKET };

static const struct { enum key_id was, is; enum flat_place place; bool secret; } flat[] = {
	{ K_CACHE_S3CachePath, K_CACHE_Path, FLAT_CACHE, false },
	{ K_CACHE_CachePath, K_CACHE_Path, FLAT_CACHE, false },
	{ K_CACHE_CacheShared, K_CACHE_Shared, FLAT_CACHE, false },
	{ K_CACHE_ServerAddress, K_S3_ServerAddress, FLAT_BUCKET, false },
	{ K_CACHE_AccessKey, K_S3_AccessKey, FLAT_BUCKET, true },
	{ K_CACHE_SecretKey, K_S3_SecretKey, FLAT_BUCKET, true },
	{ K_CACHE_BucketName, K_S3_BucketName, FLAT_BUCKET, false },
	{ K_CACHE_BucketLocation, K_S3_BucketLocation, FLAT_BUCKET, false },
	{ K_CACHE_Insecure, K_S3_Insecure, FLAT_BUCKET, false },
	{ K_CACHE_S3CacheInsecure, K_S3_Insecure, FLAT_BUCKET, false },
	{ K_CACHE_CredentialsFile, K_GCS_CredentialsFile, FLAT_BUCKET, false },
	{ K_CACHE_AccessID, K_GCS_AccessID, FLAT_BUCKET, false },
	{ K_CACHE_PrivateKey, K_GCS_PrivateKey, FLAT_BUCKET, true },
};

static void
put_value(struct buf *b, const char *indent, const char *name, const struct toml *v, bool secret)
{
	buf_fmt(b, "%s%s = ", indent, name);
	if (secret)
		buf_fmt(b, "\"...\"  # the value of line %d", v->line);
	else if (v->type == TOML_BOOL)
		buf_puts(b, v->b ? "true" : "false");
	else
		toml_put_str(b, v->s);
	buf_putc(b, '\n');
}

static void
put_flat(struct buf *b, const struct toml *cache, enum flat_place place)
{
	for (size_t i = 0; i < NELEM(flat); i++) {
		const struct toml *v = key_value(flat[i].was, cache);

		if (v != NULL && flat[i].place == place && (v->type == TOML_BOOL || v->type == TOML_STRING))
			put_value(b, place == FLAT_CACHE ? "      " : "        ", keys[flat[i].is].name, v, flat[i].secret);
	}
}

static const struct toml *
first_flat(const struct toml *cache)
{
	TOML_EACH(v, cache)
		for (size_t i = 0; i < NELEM(flat); i++)
			if (str_caseeq(v->key, keys[flat[i].was].name) && (v->type == TOML_BOOL || (v->type == TOML_STRING && v->s.n > 0)))
				return v;
	return NULL;
}

bool
check_has_flat_cache(const struct toml *cache)
{
	return first_flat(cache) != NULL;
}

/*
 * The section of a bucket that the flat keys make together. NULL: they cannot be written as one. A cache of azure never had any,
 * and what stands in the section already counts and is not to be pasted over.
 */
static const char *
flat_section(const struct toml *cache)
{
	const struct toml *type = key_value(K_CACHE_Type, cache), *sub;
	struct str name = type != NULL && type->type == TOML_STRING ? str_trim(type->s) : STR("");
	const char *section = str_caseeq(name, "gcs") ? "gcs" : "s3";

	sub = toml_get(cache, section);
	return str_caseeq(name, "azure") || (sub != NULL && sub->n > 0) ? NULL : section;
}

/* "BucketName in [runners.cache.s3]": what the flat key is today. */
static const char *
flat_today(struct check *c, const struct toml *v, const char *section)
{
	for (size_t i = 0; i < NELEM(flat); i++)
		if (str_caseeq(v->key, keys[flat[i].was].name))
			return arena_fmt(&c->arena, flat[i].place == FLAT_CACHE ? "%s in [runners.cache]" : "%s in [runners.cache.%s]", keys[flat[i].is].name, section);
	return "";
}

void
check_paste_cache(struct check *c, const struct toml *cache)
{
	const struct toml *first = first_flat(cache), *path = key_value(K_CACHE_Path, cache), *shared = key_value(K_CACHE_Shared, cache);
	const char *section = flat_section(cache);
	struct buf b = { .max = 8192 };

	if (first == NULL || section == NULL)
		return;
	buf_fmt(&b, "    [runners.cache]\n      Type = \"%s\"\n", section);
	if (path != NULL && path->type == TOML_STRING)
		put_value(&b, "      ", keys[K_CACHE_Path].name, path, false);
	if (shared != NULL && shared->type == TOML_BOOL)
		put_value(&b, "      ", keys[K_CACHE_Shared].name, shared, false);
	put_flat(&b, cache, FLAT_CACHE);
	buf_fmt(&b, "      [runners.cache.%s]\n", section);
	put_flat(&b, cache, FLAT_BUCKET);
	check_say(c, CHECK_WARNING, CHECK_NO_EFFECT, (struct check_at){ first->line, key_section_title(KS_CACHE), arena_dup(&c->arena, first->key) },
	    "removed from gitlab-runner: write %s instead; the whole section then:", flat_today(c, first, section));
	check_say_paste(c, buf_str(&b));
	buf_wipe(&b);
}

bool
check_pasted(const struct key *k, const struct toml *section)
{
	if (is_off_peak(k))
		return off_peak_periods(section) != NULL;
	return k->section == KS_CACHE && k->use == KEY_GONE && first_flat(section) != NULL && flat_section(section) != NULL;
}
