/* Looking at DigitalOcean before anything is created: `check --online`, and docker-machine's pre-create check. */
#include "cloud/digitalocean/digitalocean.h"
#include "wire/url.h"

static bool
lists(struct json_val array, const char *word)
{
	struct arena a = { 0 };
	bool has = false;

	JSON_EACH(v, array)
		has = has || str_eqc(json_str(&a, v), word);
	arena_reset(&a);
	return has;
}

static int
ask(const struct prober *p, const char *target, struct rest_answer *a, struct err *e)
{
	int status = do_call(p->c, DO_ASK(SAFE, "GET", target), a, p->deadline, e);

	return status < 0 || status == 200 ? status : do_refused("GET", target, a, e);
}

/* What the account's own page says: -1 when it could not be asked. */
static int
probe_account(const struct prober *p, int64_t *limit, struct err *e)
{
	struct arena a = { 0 };
	struct rest_answer r;
	struct json_val account;
	struct str status;
	int rc = ask(p, "/v2/account", &r, e);

	*limit = -1;
	if (rc < 0 && r.status == 403) {
		/* A token of few scopes may create droplets all the same. */
		probe_found(p, CLOUD_FOUND_DOUBTFUL, "digitalocean-access-token",
		    "it may not read the account, so its state and droplet limit are not known");
		return 0;
	}
	if (rc < 0)
		return -1;
	account = json_get(r.json, "account");
	status = json_str(&a, json_get(account, "status"));
	if (!str_eqc(status, "active"))
		probe_found(p, str_eqc(status, "locked") ? CLOUD_FOUND_BAD : CLOUD_FOUND_DOUBTFUL, "digitalocean-access-token",
		    "the account is %.*s: %s", STR_ARG(status), json_cstr(&a, json_get(account, "status_message")));
	*limit = json_i64(json_get(account, "droplet_limit"), -1);
	arena_reset(&a);
	return 1;
}

static int
probe_count(const struct prober *p, int64_t limit, struct err *e)
{
	struct rest_answer r;
	int64_t used;

	if (ask(p, "/v2/droplets?per_page=1", &r, e) < 0)
		return -1;
	used = json_i64(json_path(r.json, "meta.total"), 0);
	probe_found(p, limit >= 0 && used >= limit ? CLOUD_FOUND_BAD : CLOUD_FOUND_GOOD, "digitalocean-access-token",
	    "the token is good; %" PRId64 " of %" PRId64 " droplets of the account are taken", used, limit);
	return 0;
}

/* The element of a list with this slug, handed to look() once. */
struct sought {
	const struct prober	*p;
	const char		*slug;
	void			(*look)(const struct prober *p, struct json_val v);
	bool			 there;
};

static bool
seek(void *ctx, struct json_val v)
{
	struct sought *s = ctx;
	struct arena a = { 0 };

	s->there = str_eqc(json_str(&a, json_get(v, "slug")), s->slug);
	arena_reset(&a);
	if (s->there)
		s->look(s->p, v);
	return !s->there;
}

static void
look_at_region(const struct prober *p, struct json_val region)
{
	bool open = json_bool(json_get(region, "available"), true);

	probe_found(p, open ? CLOUD_FOUND_GOOD : CLOUD_FOUND_BAD, "digitalocean-region",
	    open ? "%s is open" : "%s takes no new droplets at present", do_own(p->c)->region);
}

static void
look_at_size(const struct prober *p, struct json_val size)
{
	const struct droplet *d = do_own(p->c);
	int64_t cpus = json_i64(json_get(size, "vcpus"), 0);

	if (!json_bool(json_get(size, "available"), true) || !lists(json_get(size, "regions"), d->region))
		probe_found(p, CLOUD_FOUND_BAD, "digitalocean-size", "%s cannot be had in %s at present", d->size, d->region);
	else
		probe_found(p, CLOUD_FOUND_GOOD, "digitalocean-size", "%s: %" PRId64 " CPU%s, %" PRId64 " MB, %g USD an hour", d->size,
		    cpus, cpus == 1 ? "" : "s", json_i64(json_get(size, "memory"), 0), json_f64(json_get(size, "price_hourly"), 0));
}

static int
probe_image(const struct prober *p, struct err *e)
{
	const struct droplet *d = do_own(p->c);
	struct arena a = { 0 };
	struct buf target = { .max = 600 };
	struct rest_answer r;
	struct json_val image;
	int rc;

	buf_puts(&target, "/v2/images/");
	url_put_encoded(&target, str_from(d->image));
	if (target.failed) {
		buf_free(&target);
		return err_set(e, ERR_CONFIG, 0, "digitalocean-image is too long");
	}
	rc = ask(p, target.p, &r, e);
	image = json_get(r.json, "image");
	if (rc < 0 && r.status == 404) {
		probe_found(p, CLOUD_FOUND_BAD, "digitalocean-image", "there is no image %s", d->image);
		rc = 0;
	} else if (rc > 0 && !lists(json_get(image, "regions"), d->region))
		probe_found(p, CLOUD_FOUND_BAD, "digitalocean-image", "image %s is not in region %s", d->image, d->region);
	else if (rc > 0)
		probe_found(p, CLOUD_FOUND_GOOD, "digitalocean-image", "%s: %s %s", d->image,
		    json_cstr(&a, json_get(image, "distribution")), json_cstr(&a, json_get(image, "name")));
	buf_free(&target);
	arena_reset(&a);
	return rc < 0 ? -1 : 0;
}

static int
probe_slug(const struct prober *p, struct sought s, const char *what, struct err *e)
{
	char path[40], list[40], option[40];

	snprintf(path, sizeof(path), "/v2/%ss?", what);
	snprintf(list, sizeof(list), "%ss", what);
	snprintf(option, sizeof(option), "digitalocean-%s", what);
	if (do_each(p->c, &(struct do_list){ path, list, seek, &s }, p->deadline, e) < 0)
		return -1;
	if (!s.there)
		probe_found(p, CLOUD_FOUND_BAD, option, "there is no %s %s", what, s.slug);
	return 0;
}

static int
probe_key(const struct prober *p, struct err *e)
{
	const char *id;
	int there = do_key_lookup(p->c, do_own(p->c)->fingerprint, &id, p->deadline, e);

	if (there >= 0)
		probe_found(p, there ? CLOUD_FOUND_GOOD : CLOUD_FOUND_BAD, "digitalocean-ssh-key-fingerprint",
		    there ? "the account has this key" : "the account has no such key");
	return there < 0 ? -1 : 0;
}

static void
look_no_further(const struct prober *p, struct json_val v)
{
	(void)p;
	(void)v;
}

/* The original's pre-create check, in its words: the region alone, since a token of few scopes may not see the rest. */
static int
check_region(const struct prober *p, struct err *e)
{
	struct sought s = { .p = p, .slug = do_own(p->c)->region, .look = look_no_further };

	if (do_each(p->c, &(struct do_list){ "/v2/regions?", "regions", seek, &s }, p->deadline, e) < 0)
		return -1;
	return s.there ? 0 : err_set(e, ERR_CONFIG, 0, "digitalocean requires a valid region");
}

int
do_probe(const struct prober *p, struct err *e)
{
	const struct droplet *d = do_own(p->c);
	int64_t limit;
	int rc;

	if (p->brief)
		return check_region(p, e);
	rc = probe_account(p, &limit, e);
	if (rc < 0 || (rc > 0 && probe_count(p, limit, e) < 0))
		return -1;
	if (probe_slug(p, (struct sought){ .p = p, .slug = d->region, .look = look_at_region }, "region", e) < 0 ||
	    probe_slug(p, (struct sought){ .p = p, .slug = d->size, .look = look_at_size }, "size", e) < 0 ||
	    probe_image(p, e) < 0)
		return -1;
	return do_word(d->fingerprint)[0] != '\0' ? probe_key(p, e) : 0;
}
