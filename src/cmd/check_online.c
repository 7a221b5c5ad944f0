/*
 * What can only be found out by asking: whether GitLab knows the token, the
 * cloud has what create will name, mirrors and caches answer, the clock is right. Nothing is created; but GitLab learns of this
 * host under the token, as from the first job request of `run`. See check.h.
 */
#include "cloud/life.h"
#include "cmd/check_machine.h"
#include "cmd/runnercmd.h"
#include "net/dial.h"
#include "manager/manager.h"
#include "net/http.h"
#include "policy/names.h"
#include "wire/url.h"

#define GITLAB_NS	(30 * NSEC_SEC)
#define CLOUD_NS	(90 * NSEC_SEC)
#define REACH_NS	(15 * NSEC_SEC)
/* Presigned URLs and signed requests fail when clocks differ by minutes. */
#define EXPIRES_SOON	(7 * 86400 * NSEC_SEC)
#define CLOCK_DOUBTFUL	(20 * NSEC_SEC)
#define CLOCK_WRONG	(300 * NSEC_SEC)

/* ---- GitLab ---- */

static void
check_clock(struct check *c, const struct gitlab_runner *g, const char *url)
{
	dur_t off = wall_between(g->date, g->date_here);
	char text[40];

	/* The header has whole seconds. */
	if (!wall_known(g->date))
		return;
	time_go_duration((off < 0 ? -off : off) / NSEC_SEC * NSEC_SEC, text);
	if (off > -CLOCK_DOUBTFUL && off < CLOCK_DOUBTFUL)
		check_say(c, CHECK_INFO, CHECK_ASKED, CHECK_AT_LINE(0), "this host's clock is in step with that of %s (%s)", url, text);
	else
		check_say(c, off > -CLOCK_WRONG && off < CLOCK_WRONG ? CHECK_WARNING : CHECK_ERROR, CHECK_ASKED, CHECK_AT_LINE(0),
		    "this host's clock is %s %s that of %s: certificates and signed URLs depend on it, so set it (NTP)", text, off < 0 ? "behind" : "ahead of", url);
}

static void
ask_gitlab(struct check *c, const struct runner *r, const struct toml *t, const char *system_id)
{
	static const struct gitlab_tries tries = { 2, -1 };
	const struct gitlab_self self = { r->token, system_id, r->shell, runnercmd_gpus(r) };
	struct check_at where = check_at(K_RUNNER_token, t);
	struct gitlab_runner out = { 0 };
	struct gitlab *g;
	struct err e = { 0 };
	char expires[RUNNERCMD_DATE_MAX];
	int rc;

	if (!secret_is_set(r->token) || (g = runnercmd_gitlab_of(r, NULL, &e)) == NULL)
		return;		/* said offline */
	rc = gitlab_verify(g, &self, &tries, &out, mono_after(GITLAB_NS), &e);
	if (rc == 0 && wall_known(out.expires_at)) {
		runnercmd_date(out.expires_at, expires);
		check_say(c, wall_between(wall_now(), out.expires_at) < EXPIRES_SOON ?
		    CHECK_WARNING : CHECK_INFO, CHECK_ASKED, where,
		    "the token is good until %s (runner %" PRId64 ")", expires, out.id);
	} else if (rc == 0) {
		check_say(c, CHECK_INFO, CHECK_ASKED, where, "the token is good (runner %" PRId64 ")", out.id);
	} else if (e.kind == ERR_TOKEN) {
		check_say(c, CHECK_ERROR, CHECK_ASKED, where, "GitLab refuses the token: %s", e.msg);
	} else {
		check_say(c, CHECK_ERROR, CHECK_ASKED, check_at(K_RUNNER_url, t), "%s", e.msg);
	}
	check_clock(c, &out, r->base_url);
	gitlab_runner_wipe(&out);
	gitlab_close(g);
}

/* ---- whatever answers HTTP ---- */

/* Asks for a path: the status, or -1 with *e. A server that wants credentials is there. */
static int
reach(const char *base, const char *method, const char *path, struct err *e)
{
	struct tls_trust *trust = NULL;
	struct http_opts o = { .use_proxy = true };
	struct http_resp resp = { .body = { .max = 1u << 20 } };
	struct http_req q = { .method = method, .target = str_from(path), .head = STR("Accept: */*\r\n") };
	struct http *h = NULL;
	int status = -1;

	if (str_casestarts(str_from(base), "https:")) {
		trust = tls_trust_new(STR(""), true, base, e);
		if (trust == NULL)
			return -1;
		o.trust = trust;
	}
	h = http_new(str_from(base), &o, e);
	if (h != NULL && http_do(h, &q, &resp, mono_after(REACH_NS), e) == 0)
		status = resp.head.status;
	http_resp_free(&resp);
	http_free(h);
	tls_trust_free(trust);
	return status;
}

/* The text without credentials, for messages. */
static const char *
clean(struct check *c, const char *url)
{
	struct buf b = { .max = 600 };
	struct url u;
	const char *out = "its address";

	if (url_parse(str_from(url), &u, NULL) == 0) {
		url_put_clean(&b, &u);
		out = arena_dup(&c->arena, buf_str(&b));
	}
	buf_free(&b);
	return out;
}

static void
ask_mirror(struct check *c, const char *mirror, struct check_at where)
{
	struct err e = { 0 };
	struct url u;
	int status;

	if (url_parse(str_from(mirror), &u, &e) < 0) {
		check_say(c, CHECK_ERROR, CHECK_REFUSED, where, "engine-registry-mirror: %s", e.msg);
		return;
	}
	status = reach(mirror, "GET", "/v2/", &e);
	if (status == 200 || status == 401)
		check_say(c, CHECK_INFO, CHECK_ASKED, where, "the registry mirror %s answers", clean(c, mirror));
	else if (status > 0)
		check_say(c, CHECK_WARNING, CHECK_ASKED, where, "the registry mirror %s answers %d to /v2/: is it a registry?", clean(c, mirror), status);
	else
		/* Machines may stand in a network that we do not see. */
		check_say(c, CHECK_WARNING, CHECK_ASKED, where, "the registry mirror cannot be reached from this host: %s", e.msg);
}

/* ---- the cloud ---- */

struct finding { struct check *c; struct check_at where; };

static void
take_finding(void *ctx, enum cloud_found how, const char *option, const char *text)
{
	static const enum check_level level[] = {
		[CLOUD_FOUND_GOOD] = CHECK_INFO, [CLOUD_FOUND_DOUBTFUL] = CHECK_WARNING, [CLOUD_FOUND_BAD] = CHECK_ERROR,
	};
	struct finding *f = ctx;

	check_say(f->c, level[how], CHECK_ASKED, f->where, "%s%s%s", option, option[0] != '\0' ? ": " : "", text);
}

/* What a bastion left behind that was replaced without its state directory. Nobody else would ever say so. */
static void
ask_strangers(struct check *c, const struct runner *r, struct cloud *cloud, struct check_at where)
{
	struct cloud_things found = { 0 };
	char owner[17], *dir = manager_default_state_dir();
	struct err e = { 0 };

	if (dir == NULL || manager_owner(dir, false, owner, &e) < 0)
		owner[0] = '\0';
	free(dir);
	if (!cloud_lists(cloud->driver) || r->names.prefix[0] == '\0' ||
	    cloud_list_all(cloud, &(struct cloud_query){ .owner = owner, .prefix = r->names.prefix }, &found, mono_after(CLOUD_NS), &e) < 0)
		return;
	for (size_t i = 0; i < found.n; i++)
		check_say(c, CHECK_WARNING, CHECK_ASKED, where, "machine %s (%s) has this runner's name and the mark of another windlass (%s): is another "
		    "bastion using this runner? If not, delete it in the cloud, or bring the old bastion's store here and run `windlass adopt`",
		    found.v[i].name, found.v[i].id, found.v[i].nonce);
}

static void
ask_cloud(struct check *c, const struct runner *r, const struct toml *machine)
{
	struct finding f = { c, check_at(K_MACHINE_machine_options, machine) };
	const struct cloud_driver *d = cloud_driver_find(str_from(r->machine_driver));
	struct machine_options o = { 0 };
	struct machine_host h = { 0 };
	struct err e = { 0 };
	int rc;

	if (d == NULL || check_machine_host(c, r, &o, &h, &e) < 0)
		goto out;	/* said offline */
	for (size_t i = 0; i < h.engine.registry_mirror.n; i++)
		ask_mirror(c, h.engine.registry_mirror.v[i], f.where);
	if (d->probe != NULL) {
		rc = d->probe(&(struct prober){ .c = &h.cloud, .say = take_finding, .ctx = &f, .deadline = mono_after(CLOUD_NS) }, &e);
	} else {
		check_say(c, CHECK_INFO, CHECK_ASKED, f.where, "%s: there is no cloud to ask", d->about->name);
		rc = 0;
	}
	if (rc < 0)
		check_say(c, CHECK_ERROR, CHECK_ASKED, f.where, "%s", e.msg);
	else
		ask_strangers(c, r, &h.cloud, f.where);
	cloud_close(&h.cloud);
out:
	machine_options_free(&o);
}

/* ---- caches ---- */

static struct str
word(const struct toml *t, enum key_id id)
{
	const struct toml *v = key_value(id, t);

	return v != NULL && v->type == TOML_STRING ? v->s : STR("");
}

/* Where the bucket is, as https://host and /bucket. False: it cannot be said. */
static bool
cache_address(struct check *c, const struct toml *cache, const char **base, const char **path)
{
	struct str type = word(cache, K_CACHE_Type), server, bucket, region;
	const struct toml *sub = toml_get(cache, arena_dup(&c->arena, type)), *insecure;

	if (str_eqc(type, "s3")) {
		server = word(sub, K_S3_ServerAddress);
		bucket = word(sub, K_S3_BucketName);
		region = word(sub, K_S3_BucketLocation);
		insecure = key_value(K_S3_Insecure, sub);
		if (server.n == 0 || str_eqc(server, "s3.amazonaws.com"))
			*base = region.n > 0 ? arena_fmt(&c->arena, "https://s3.%.*s.amazonaws.com", STR_ARG(region)) : "https://s3.amazonaws.com";
		else
			*base = arena_fmt(&c->arena, "%s://%.*s", insecure != NULL && insecure->b ? "http" : "https", STR_ARG(server));
	} else if (str_eqc(type, "gcs")) {
		bucket = word(sub, K_GCS_BucketName);
		*base = "https://storage.googleapis.com";
	} else if (str_eqc(type, "azure")) {
		bucket = word(sub, K_AZURE_ContainerName);
		server = word(sub, K_AZURE_StorageDomain);
		*base = arena_fmt(&c->arena, "https://%.*s.%.*s", STR_ARG(word(sub, K_AZURE_AccountName)), STR_ARG(server.n > 0 ? server : STR("blob.core.windows.net")));
	} else {
		return false;
	}
	*path = arena_fmt(&c->arena, "/%.*s", STR_ARG(bucket));
	return bucket.n > 0;
}

static void
ask_cache(struct check *c, const struct toml *cache)
{
	const struct toml *type = key_value(K_CACHE_Type, cache);
	struct check_at where = CHECK_AT_KEY(&keys[K_CACHE_Type], type != NULL ? type->line : 0);
	const char *base, *path;
	struct err e = { 0 };
	int status;

	if (!cache_address(c, cache, &base, &path))
		return;
	status = reach(base, "HEAD", path, &e);
	if (status == 404)
		check_say(c, CHECK_ERROR, CHECK_ASKED, where, "%s has no bucket or container %s", clean(c, base), path + 1);
	else if (status > 0 && status < 500)
		check_say(c, CHECK_INFO, CHECK_ASKED, where, "the cache server %s answers", clean(c, base));
	else if (status > 0)
		check_say(c, CHECK_WARNING, CHECK_ASKED, where, "the cache server %s answers %d", clean(c, base), status);
	else
		check_say(c, CHECK_WARNING, CHECK_ASKED, where, "the cache server cannot be reached from this host: %s", e.msg);
}

/* ---- everybody ---- */

void
check_online(struct check *c)
{
	const struct toml *list = key_value(K_GLOBAL_runners, c->root), *t = list != NULL ? list->first : NULL;
	char system_id[15];
	struct err e = { 0 };

	if (c->config->nrunners == 0)
		return;
	if (config_system_id(c->path, system_id, &e) < 0) {
		check_say(c, CHECK_ERROR, CHECK_REFUSED, CHECK_AT_LINE(0), "%s", e.msg);
		return;
	}
	for (size_t i = 0; i < c->config->nrunners && t != NULL; i++, t = t->next) {
		c->runner = &c->config->runners[i];
		if (strcmp(c->runner->executor, "docker+machine") == 0) {
			ask_gitlab(c, c->runner, t, system_id);
			if (c->runner->has_machine)
				ask_cloud(c, c->runner, key_value(K_RUNNER_machine, t));
			if (key_value(K_RUNNER_cache, t) != NULL)
				ask_cache(c, key_value(K_RUNNER_cache, t));
		}
		c->runner = NULL;
	}
}
