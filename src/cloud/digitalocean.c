/*
 * DigitalOcean (spec cloud-drivers 1): droplets and account keys by the v2
 * API. One connection for the life of an operation.
 *
 * The API has no idempotency key and takes a name twice, so a create whose
 * answer was lost is looked up by its nonce tag before it is sent again; tags of the
 * create call exist from the droplet's first moment. Limits: 5,000 calls an hour and 250 a minute for a token.
 */
#include "cloud/driver.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/rand.h"
#include "net/dial.h"
#include "net/http.h"
#include "net/ssh.h"
#include "policy/retry.h"
#include "wire/ip.h"
#include "wire/url.h"

#define API_URL		"https://api.digitalocean.com"
#define BODY_MAX	(8u << 20)
#define USER_DATA_MAX	(64u << 10)
#define CA_FILE_MAX	(1u << 20)
#define ANSWER_NS	(30 * NSEC_SEC)		/* one exchange; creates take a second or two */
#define KEEPALIVE_S	30
#define LAG_NS		(30 * NSEC_SEC)		/* how long a new droplet may be missing from answers */
#define DELETE_AGAIN_NS	(20 * NSEC_SEC)		/* a droplet that is still there is asked to go again */
#define TAG_NS		(10 * NSEC_SEC)
#define PAGES_MAX	50
#define PER_PAGE	200

struct droplet {
	struct secret	 token;
	int64_t		 id;
	const char	*droplet_name;
	const char	*image;
	const char	*region;
	int64_t		 key_id;
	const char	*fingerprint;
	const char	*key_path;
	const char	*size;
	bool		 ipv6;
	bool		 backups;
	bool		 private_networking;
	const char	*user_data_file;
	bool		 monitoring;
	const char	*tags;
	const char	*endpoint;
	const char	*ca_file;
	int64_t		 action;	/* of the create call, if this process made it; not kept */
};

static const struct field fields[] = {
	FIELD(struct droplet, STR, "AccessToken", token),
	FIELD(struct droplet, INT, "DropletID", id),
	FIELD(struct droplet, STR, "DropletName", droplet_name),
	FIELD(struct droplet, STR, "Image", image),
	FIELD(struct droplet, STR, "Region", region),
	FIELD(struct droplet, INT, "SSHKeyID", key_id),
	FIELD(struct droplet, STR, "SSHKeyFingerprint", fingerprint),
	FIELD(struct droplet, STR, "SSHKey", key_path),
	FIELD(struct droplet, STR, "Size", size),
	FIELD(struct droplet, BOOL, "IPv6", ipv6),
	FIELD(struct droplet, BOOL, "Backups", backups),
	FIELD(struct droplet, BOOL, "PrivateNetworking", private_networking),
	FIELD(struct droplet, STR, "UserDataFile", user_data_file),
	FIELD(struct droplet, BOOL, "Monitoring", monitoring),
	FIELD(struct droplet, STR, "Tags", tags),
	/* Ours; docker-machine drops them. */
	FIELD(struct droplet, STR_IF, "APIEndpoint", endpoint),
	FIELD(struct droplet, STR_IF, "APICAFile", ca_file),
};

static const struct cloud_flag flags[] = {
	{ "digitalocean-access-token", "DIGITALOCEAN_ACCESS_TOKEN", OPT_STRING, NULL,
	  "API token, or env:NAME or file:PATH to keep it out of config.json" },
	{ "digitalocean-ssh-user", "DIGITALOCEAN_SSH_USER", OPT_STRING, "root", "SSH user (default root)" },
	{ "digitalocean-ssh-key-fingerprint", "DIGITALOCEAN_SSH_KEY_FINGERPRINT", OPT_STRING, NULL,
	  "use this key of the account; none is made then" },
	{ "digitalocean-ssh-key-path", "DIGITALOCEAN_SSH_KEY_PATH", OPT_STRING, NULL,
	  "private key that belongs to the fingerprint" },
	{ "digitalocean-ssh-port", "DIGITALOCEAN_SSH_PORT", OPT_INT, "22", "SSH port (default 22)" },
	{ "digitalocean-image", "DIGITALOCEAN_IMAGE", OPT_STRING, "ubuntu-16-04-x64",
	  "image slug or number; name one, the default is retired (default ubuntu-16-04-x64)" },
	{ "digitalocean-region", "DIGITALOCEAN_REGION", OPT_STRING, "nyc3", "region (default nyc3)" },
	{ "digitalocean-size", "DIGITALOCEAN_SIZE", OPT_STRING, "s-1vcpu-1gb", "size (default s-1vcpu-1gb)" },
	{ "digitalocean-ipv6", "DIGITALOCEAN_IPV6", OPT_BOOL, NULL, "enable IPv6" },
	{ "digitalocean-private-networking", "DIGITALOCEAN_PRIVATE_NETWORKING", OPT_BOOL, NULL,
	  "enable private networking" },
	{ "digitalocean-backups", "DIGITALOCEAN_BACKUPS", OPT_BOOL, NULL, "enable backups" },
	{ "digitalocean-userdata", "DIGITALOCEAN_USERDATA", OPT_STRING, NULL, "path of a cloud-init file" },
	{ "digitalocean-monitoring", "DIGITALOCEAN_MONITORING", OPT_BOOL, NULL, "install the monitoring agent" },
	{ "digitalocean-tags", "DIGITALOCEAN_TAGS", OPT_STRING, NULL, "tags, separated by commas" },
	{ "digitalocean-api-endpoint", "DIGITALOCEAN_API_URL", OPT_STRING, NULL,
	  "where the API is (default " API_URL ")" },
	{ "digitalocean-api-ca-file", "DIGITALOCEAN_API_CA_FILE", OPT_STRING, NULL,
	  "certificates to trust for the API besides the system's" },
};

/* The connection to the API, and what its last answer said of the budget. */
struct api {
	struct http		*http;
	struct tls_trust	*trust;
	struct buf		 head;		/* holds the token */
	struct arena		 scratch;	/* the last answer's JSON */
	int64_t			 limit, remaining;	/* -1: not told */
};

/* How a call may be repeated, and how patient its 429 is (spec 0.5 patch 1). */
enum call_kind {
	CALL_STATUS,		/* status read: repeated, short pauses, silent */
	CALL_SAFE,		/* repeated: it does no harm twice */
	CALL_ONCE,		/* not repeated once it may have been received */
};

static struct droplet *
own(const struct cloud *c)
{
	return c->own;
}

static const char *
word(const char *s)
{
	return s != NULL ? s : "";
}

static const char *
endpoint(const struct cloud *c)
{
	const char *v = word(own(c)->endpoint);

	if (v[0] == '\0')
		v = word(getenv("DIGITALOCEAN_API_URL"));
	return v[0] != '\0' ? v : API_URL;
}

static int
read_ca(const struct cloud *c, struct buf *pem, struct err *e)
{
	const char *path = word(own(c)->ca_file);

	if (path[0] == '\0')
		path = word(getenv("DIGITALOCEAN_API_CA_FILE"));
	if (path[0] == '\0')
		return 0;
	if (fs_read(AT_FDCWD, path, CA_FILE_MAX, pem, e) < 0) {
		e->kind = ERR_CONFIG;
		return err_ctx(e, "digitalocean-api-ca-file");
	}
	return 0;
}

static void
api_free(struct api *api)
{
	if (api == NULL)
		return;
	http_free(api->http);
	tls_trust_free(api->trust);
	buf_wipe(&api->head);
	arena_reset(&api->scratch);
	free(api);
}

static void
do_close(struct cloud *c)
{
	api_free(c->session);
}

static struct api *
session(struct cloud *c, struct err *e)
{
	struct http_opts o = { .use_proxy = true, .keepalive_s = KEEPALIVE_S };
	struct buf pem = { .max = CA_FILE_MAX };
	struct api *api;
	struct secret token;

	if (c->session != NULL)
		return c->session;
	if (!secret_is_set(own(c)->token)) {
		err_set(e, ERR_CONFIG, 0, "digitalocean driver requires the --digitalocean-access-token option");
		return NULL;
	}
	if (cloud_secret(c->a, own(c)->token, "digitalocean-access-token", &token, e) < 0)
		return NULL;
	api = xcalloc(1, sizeof(*api));
	api->limit = api->remaining = -1;
	buf_fmt(&api->head, "Authorization: Bearer %s\r\nAccept: application/json\r\n",
	    secret_reveal(token));
	if (str_casestarts(str_from(endpoint(c)), "https:")) {
		if (read_ca(c, &pem, e) < 0)
			goto fail;
		api->trust = tls_trust_new(buf_str(&pem), true, "digitalocean-api-ca-file", e);
		if (api->trust == NULL)
			goto fail;
		o.trust = api->trust;
	}
	api->http = http_new(str_from(endpoint(c)), &o, e);
	if (api->http == NULL)
		goto fail;
	buf_free(&pem);
	c->session = api;
	return api;
fail:
	buf_free(&pem);
	api_free(api);
	return NULL;
}

/* The server's own clock where it tells it: the reset times are by that clock. */
static wall_t
server_now(const struct http_resp *r)
{
	wall_t t;

	if (time_parse_http(http1_field(&r->head, "date"), &t) == 0)
		return t;
	return wall_now();
}

static void
note_budget(struct api *api, const struct http_resp *r)
{
	int64_t v;

	if (str_to_i64(http1_field(&r->head, "ratelimit-limit"), &v) == 0)
		api->limit = v;
	if (str_to_i64(http1_field(&r->head, "ratelimit-remaining"), &v) == 0)
		api->remaining = v;
}

/*
 * How long a 429 makes us wait. Retry-After rules; else the reset time, which is when the oldest call
 * leaves the window: the budget comes back one call at a time, so more than a minute is
 * waited in steps. The random part keeps a crowd from coming back at once.
 */
static dur_t
pause_after_429(enum call_kind kind, const struct http_resp *r, dur_t *least)
{
	struct retry_hint h = RETRY_HINT_INIT;
	struct str after = http1_field(&r->head, "retry-after");
	dur_t floor_ns = kind == CALL_STATUS ? NSEC_SEC : 5 * NSEC_SEC, wait = 0;
	wall_t now = server_now(r);
	int64_t reset, now_s = wall_seconds(now);

	if (after.p != NULL)
		retry_hint_header(&h, r->head.status, STR("Retry-After"), after, now);
	if (wall_before(now, h.not_before))
		wait = wall_between(now, h.not_before);
	else if (str_to_i64(http1_field(&r->head, "ratelimit-reset"), &reset) == 0 &&
	    reset > now_s && reset < now_s + 86400) {
		wait = wall_between(now, wall_of_seconds(reset));
		if (wait > 60 * NSEC_SEC)
			wait = 60 * NSEC_SEC;
	}
	if (wait < floor_ns)
		wait = floor_ns;
	*least = wait;
	return wait + (int64_t)rand_below((uint64_t)floor_ns);
}

/* Sleeps, unless that would end behind the deadline: then there is no use in waiting. */
static int
pause_within(dur_t ns, mono_t deadline, struct err *e)
{
	if (mono_before(deadline, mono_after(ns)))
		return err_set(e, ERR_TIMEOUT, 0, "no time left for another try in %" PRId64 " s", ns / NSEC_SEC);
	return net_pause(ns, e);
}

static int
rate_limited(enum call_kind kind, const struct http_resp *r, mono_t deadline, struct err *e)
{
	char dur[40], text[100];
	dur_t least, pause = pause_after_429(kind, r, &least);

	time_go_duration(least, dur);
	if (cloud_throttled != NULL)
		cloud_throttled(wall_add(wall_now(), least));
	if (kind != CALL_STATUS) {
		snprintf(text, sizeof(text), "Rate limit detected (waiting at least %s)...", dur);
		log_info(text);
		cloud_tell("%s", text);
	}
	if (mono_before(deadline, mono_after(pause)))
		return err_set(e, ERR_QUOTA, 429, "the API token's rate limit is used up; "
		    "it asks to wait %s, longer than this operation may take", dur);
	return net_pause(pause, e);
}

/* Into *root, which lives until the next answer; absent when it is not JSON. */
static void
parse_answer(struct api *api, const struct http_resp *r, struct json_val *root)
{
	*root = JSON_NONE;
	arena_reset(&api->scratch);
	if (r->body.n > 0)
		(void)json_parse(&api->scratch, buf_str(&r->body), root, NULL);
}

/*
 * One call until it has an answer that is not a passing fault: the status, with the body in
 * r and parsed in *root (absent when it is not JSON), or -1. For CALL_ONCE *sent says whether the request may have been
 * received; nothing is repeated then. The caller frees r.
 */
static int
call(struct cloud *c, enum call_kind kind, const char *method, const char *target, struct str body,
    struct http_resp *r, struct json_val *root, bool *sent, mono_t deadline, struct err *e)
{
	struct api *api = session(c, e);
	struct http_req q = { .method = method, .target = str_from(target), .body = body };
	struct buf head = { 0 };
	int status = -1;

	*root = JSON_NONE;
	if (sent != NULL)
		*sent = false;
	if (api == NULL)
		return -1;
	buf_putstr(&head, buf_str(&api->head));
	if (body.p != NULL)
		buf_puts(&head, "Content-Type: application/json\r\n");
	q.head = buf_str(&head);
	for (unsigned attempt = 0; ; attempt++) {
		struct err why = { 0 };

		http_resp_free(r);
		*r = (struct http_resp){ .body = { .max = BODY_MAX } };
		if (http_do(api->http, &q, r, mono_min(deadline, mono_after(ANSWER_NS)), &why) < 0) {
			if (kind == CALL_ONCE && r->sent) {
				*sent = true;
				*e = why;
				break;
			}
			if (why.kind == ERR_TLS || why.kind == ERR_CANCELLED || why.kind == ERR_CONFIG) {
				*e = why;
				break;
			}
		} else {
			note_budget(api, r);
			if (r->head.status == 429) {
				if (rate_limited(kind, r, deadline, e) < 0)
					break;
				continue;
			}
			status = r->head.status;
			parse_answer(api, r, root);
			/* A web page with status 200 comes from something in between. */
			if (kind != CALL_ONCE && status == 200 && json_type(*root) != JSON_OBJECT)
				err_set(&why, ERR_PROTO, status, "the answer is not JSON");
			else if (!retry_cloud_status(status))
				break;
			else
				err_set(&why, ERR_SERVER, status, "HTTP status %d", status);
			if (kind == CALL_ONCE) {
				/* A gateway's 502 or 504 does not tell whether the server behind it did it. */
				*sent = true;
				*e = why;
				status = -1;
				break;
			}
			status = -1;
		}
		log_debug("Cloud call failed, trying again", F_STR("call", method), F_STR("target", target), F_ERR(&why));
		if (pause_within(retry_delay(&retry_cloud, attempt, rand_below(UINT64_MAX)), deadline, e) < 0) {
			if (e->kind == ERR_TIMEOUT)
				*e = why;
			break;
		}
	}
	buf_wipe(&head);
	return status < 0 ? err_ctx(e, "digitalocean: %s %s", method, target) : status;
}

/* The cloud's words for a list or a message, in the arena: nobody's terminal obeys them. */
static const char *
plain(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);

	str_printable(s, out, s.n + 1);
	return out;
}

/* An answer that says no, as an error. */
static int
refused(const char *method, const char *target, int status, struct json_val root, struct err *e)
{
	struct arena a = { 0 };
	struct buf m = { .max = 400 };
	struct str msg = json_str(&a, json_get(root, "message"));
	struct json_val regions = json_path(root, "error_attributes.available_regions");
	enum err_kind kind = ERR_REFUSED;

	if (status == 401 || status == 403)
		kind = ERR_AUTH;
	else if (status == 404)
		kind = ERR_NOTFOUND;
	else if (status == 402 || (status == 422 && (str_casefind(msg, "limit") >= 0 ||
	    str_casefind(msg, "not available") >= 0 || str_casefind(msg, "unavailable") >= 0)))
		kind = ERR_QUOTA;	/* the account's limit, or the size is sold out here: later perhaps */
	else if (status == 409 || (status == 422 && (str_casefind(msg, "pending") >= 0 ||
	    str_casefind(msg, "locked") >= 0)))
		kind = ERR_CONFLICT;
	else if (status >= 500)
		kind = ERR_SERVER;
	else if (status < 400)
		kind = ERR_PROTO;
	buf_put_quoted(&m, str_sub(msg, 0, 300), 300);
	if (json_len(regions) > 0) {
		buf_puts(&m, "; available in");
		JSON_EACH(v, regions)
			buf_fmt(&m, " %s", plain(&a, str_sub(json_str(&a, v), 0, 16)));
	}
	err_set(e, kind, status, "digitalocean: %s %s: HTTP status %d: %s", method, target, status,
	    msg.n > 0 ? m.p : status == 401 ? "the access token is not valid" : "no reason given");
	buf_free(&m);
	arena_reset(&a);
	return -1;
}

static int
unexpected(const char *method, const char *target, struct err *e)
{
	return err_set(e, ERR_PROTO, 0, "digitalocean: %s %s: the answer lacks what it should hold", method, target);
}

/* Options */

static int
do_configure(struct cloud *c, struct opt *opts, size_t n, struct err *e)
{
	struct droplet *d = own(c);

#define STRING(name) arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "digitalocean-" name)))
	d->token = SECRET(STRING("access-token"));
	d->image = STRING("image");
	d->region = STRING("region");
	d->size = STRING("size");
	d->fingerprint = STRING("ssh-key-fingerprint");
	d->key_path = STRING("ssh-key-path");
	d->user_data_file = STRING("userdata");
	d->tags = STRING("tags");
	d->endpoint = STRING("api-endpoint");
	d->ca_file = STRING("api-ca-file");
	c->base.ssh_user = STRING("ssh-user");
#undef STRING
	c->base.ssh_port = cloud_opt_int(c->driver, opts, n, "digitalocean-ssh-port");
	d->ipv6 = cloud_opt_bool(c->driver, opts, n, "digitalocean-ipv6");
	d->private_networking = cloud_opt_bool(c->driver, opts, n, "digitalocean-private-networking");
	d->backups = cloud_opt_bool(c->driver, opts, n, "digitalocean-backups");
	d->monitoring = cloud_opt_bool(c->driver, opts, n, "digitalocean-monitoring");
	if (!secret_is_set(d->token))
		return err_set(e, ERR_CONFIG, 0, "digitalocean driver requires the --digitalocean-access-token option");
	if (c->base.ssh_port < 1 || c->base.ssh_port > 65535)
		return err_set(e, ERR_CONFIG, 0, "digitalocean-ssh-port must be 1 to 65535, not %" PRId64, c->base.ssh_port);
	/* The key of the account is the client's own then, wherever ssh finds it. */
	if (d->fingerprint[0] != '\0' && d->key_path[0] == '\0')
		c->base.ssh_key_path = "";
	return 0;
}

static int
do_check(struct cloud *c, struct err *e)
{
	struct droplet *d = own(c);

	if (word(d->user_data_file)[0] != '\0' && !fs_exists(AT_FDCWD, d->user_data_file))
		return err_set(e, ERR_CONFIG, 0, "user-data file %s could not be found", d->user_data_file);
	if (word(d->key_path)[0] == '\0')
		return 0;
	if (word(d->fingerprint)[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "ssh-key-fingerprint needs to be provided for \"%s\"", d->key_path);
	if (!fs_exists(AT_FDCWD, d->key_path))
		return err_set(e, ERR_CONFIG, 0, "SSH key does not exist: \"%s\"", d->key_path);
	return 0;
}

static int
do_precreate(struct cloud *c, mono_t deadline, struct err *e)
{
	struct arena a = { 0 };
	bool found = false;
	int rc = -1;

	for (int page = 1; !found && page <= PAGES_MAX; page++) {
		struct http_resp r = { 0 };
		struct json_val root;
		char target[64];
		int status;

		snprintf(target, sizeof(target), "/v2/regions?per_page=200&page=%d", page);
		status = call(c, CALL_SAFE, "GET", target, STR_NULL, &r, &root, NULL, deadline, e);
		if (status != 200) {
			if (status > 0)
				refused("GET", "/v2/regions", status, root, e);
			http_resp_free(&r);
			goto out;
		}
		JSON_EACH(v, json_get(root, "regions"))
			if (str_eqc(json_str(&a, json_get(v, "slug")), own(c)->region))
				found = true;
		status = json_present(json_path(root, "links.pages.next"));
		http_resp_free(&r);
		if (!status)
			break;
	}
	if (found)
		rc = 0;
	else
		err_set(e, ERR_CONFIG, 0, "digitalocean requires a valid region");
out:
	arena_reset(&a);
	return rc;
}

/* Looking before anything is created */

struct prober {
	struct cloud	*c;
	cloud_finding	*say;
	void		*ctx;
	mono_t		 deadline;
};

static void PRINTFLIKE(4, 5)
found(const struct prober *p, enum cloud_found how, const char *option, const char *fmt, ...)
{
	char text[400], clean[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Half of it is the cloud's. */
	str_printable(str_from(text), clean, sizeof(clean));
	p->say(p->ctx, how, option, clean);
}

static bool
lists(struct json_val array, const char *word_)
{
	struct arena a = { 0 };
	bool has = false;

	JSON_EACH(v, array)
		has = has || str_eqc(json_str(&a, v), word_);
	arena_reset(&a);
	return has;
}

static int
probe_account(const struct prober *p, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root, account;
	struct arena a = { 0 };
	int64_t limit, used;
	int status, rc = -1;

	status = call(p->c, CALL_SAFE, "GET", "/v2/account", STR_NULL, &r, &root, NULL, p->deadline, e);
	if (status == 403) {
		/* A token of few scopes may create droplets all the same. */
		found(p, CLOUD_FOUND_DOUBTFUL, "digitalocean-access-token", "it may not read the account, so its state and droplet limit are not known");
		rc = 0;
		goto out;
	}
	if (status != 200) {
		if (status > 0)
			refused("GET", "/v2/account", status, root, e);
		goto out;
	}
	account = json_get(root, "account");
	if (!str_eqc(json_str(&a, json_get(account, "status")), "active"))
		found(p, str_eqc(json_str(&a, json_get(account, "status")), "locked") ? CLOUD_FOUND_BAD : CLOUD_FOUND_DOUBTFUL,
		    "digitalocean-access-token", "the account is %s: %s", json_cstr(&a, json_get(account, "status")), json_cstr(&a, json_get(account, "status_message")));
	limit = json_i64(json_get(account, "droplet_limit"), -1);
	http_resp_free(&r);
	r = (struct http_resp){ 0 };
	status = call(p->c, CALL_SAFE, "GET", "/v2/droplets?per_page=1", STR_NULL, &r, &root, NULL, p->deadline, e);
	if (status != 200) {
		if (status > 0)
			refused("GET", "/v2/droplets", status, root, e);
		goto out;
	}
	used = json_i64(json_path(root, "meta.total"), 0);
	found(p, limit >= 0 && used >= limit ? CLOUD_FOUND_BAD : CLOUD_FOUND_GOOD, "digitalocean-access-token",
	    "the token is good; %" PRId64 " of %" PRId64 " droplets of the account are taken", used, limit);
	rc = 0;
out:
	http_resp_free(&r);
	arena_reset(&a);
	return rc;
}

/* The element of a paged list with this slug, handed to look(): 1, 0 there is none, -1. */
static int
find_slug(const struct prober *p, const char *list, const char *slug, void (*look)(const struct prober *, struct json_val), struct err *e)
{
	for (int page = 1; page <= PAGES_MAX; page++) {
		struct http_resp r = { 0 };
		struct arena a = { 0 };
		struct json_val root, hit = JSON_NONE;
		char target[80];
		bool more = false;
		int status;

		snprintf(target, sizeof(target), "/v2/%s?per_page=200&page=%d", list, page);
		status = call(p->c, CALL_SAFE, "GET", target, STR_NULL, &r, &root, NULL, p->deadline, e);
		if (status == 200) {
			JSON_EACH(v, json_get(root, list))
				if (str_eqc(json_str(&a, json_get(v, "slug")), slug))
					hit = v;
			more = json_present(json_path(root, "links.pages.next"));
			if (json_present(hit))
				look(p, hit);
		} else if (status > 0) {
			refused("GET", target, status, root, e);
		}
		http_resp_free(&r);
		arena_reset(&a);
		if (status != 200)
			return -1;
		if (json_present(hit))
			return 1;
		if (!more)
			return 0;
	}
	return 0;
}

static void
look_at_region(const struct prober *p, struct json_val region)
{
	if (json_bool(json_get(region, "available"), true))
		found(p, CLOUD_FOUND_GOOD, "digitalocean-region", "%s is open", own(p->c)->region);
	else
		found(p, CLOUD_FOUND_BAD, "digitalocean-region", "%s takes no new droplets at present", own(p->c)->region);
}

static void
look_at_size(const struct prober *p, struct json_val size)
{
	const struct droplet *d = own(p->c);

	if (!json_bool(json_get(size, "available"), true) || !lists(json_get(size, "regions"), d->region))
		found(p, CLOUD_FOUND_BAD, "digitalocean-size", "%s cannot be had in %s at present", d->size, d->region);
	else
		found(p, CLOUD_FOUND_GOOD, "digitalocean-size", "%s: %" PRId64 " CPU%s, %" PRId64 " MB, %g USD an hour", d->size,
		    json_i64(json_get(size, "vcpus"), 0), json_i64(json_get(size, "vcpus"), 0) == 1 ? "" : "s", json_i64(json_get(size, "memory"), 0), json_f64(json_get(size, "price_hourly"), 0));
}

static int
probe_image(const struct prober *p, struct err *e)
{
	const struct droplet *d = own(p->c);
	struct http_resp r = { 0 };
	struct json_val root, image;
	struct arena a = { 0 };
	struct buf target = { .max = 600 };
	int status, rc = -1;

	buf_puts(&target, "/v2/images/");
	url_put_encoded(&target, str_from(d->image));
	if (target.failed) {
		err_set(e, ERR_CONFIG, 0, "digitalocean-image is too long");
		goto out;
	}
	status = call(p->c, CALL_SAFE, "GET", target.p, STR_NULL, &r, &root, NULL, p->deadline, e);
	image = json_get(root, "image");
	if (status == 404)
		found(p, CLOUD_FOUND_BAD, "digitalocean-image", "there is no image %s", d->image);
	else if (status == 200 && !lists(json_get(image, "regions"), d->region))
		found(p, CLOUD_FOUND_BAD, "digitalocean-image", "image %s is not in region %s", d->image, d->region);
	else if (status == 200)
		found(p, CLOUD_FOUND_GOOD, "digitalocean-image", "%s: %s %s", d->image, json_cstr(&a, json_get(image, "distribution")), json_cstr(&a, json_get(image, "name")));
	else if (status > 0)
		refused("GET", target.p, status, root, e);
	rc = status == 200 || status == 404 ? 0 : -1;
out:
	buf_free(&target);
	http_resp_free(&r);
	arena_reset(&a);
	return rc;
}

static int key_lookup(struct cloud *c, const char *fingerprint, mono_t deadline, struct err *e);

static int
do_probe(struct cloud *c, cloud_finding *say, void *ctx, mono_t deadline, struct err *e)
{
	const struct prober p = { c, say, ctx, deadline };
	const struct droplet *d = own(c);
	int there;

	if (probe_account(&p, e) < 0)
		return -1;
	if ((there = find_slug(&p, "regions", d->region, look_at_region, e)) < 0)
		return -1;
	if (there == 0)
		found(&p, CLOUD_FOUND_BAD, "digitalocean-region", "there is no region %s", d->region);
	if ((there = find_slug(&p, "sizes", d->size, look_at_size, e)) < 0)
		return -1;
	if (there == 0)
		found(&p, CLOUD_FOUND_BAD, "digitalocean-size", "there is no size %s", d->size);
	if (probe_image(&p, e) < 0)
		return -1;
	if (word(d->fingerprint)[0] == '\0')
		return 0;
	if ((there = key_lookup(c, d->fingerprint, deadline, e)) < 0)
		return -1;
	found(&p, there ? CLOUD_FOUND_GOOD : CLOUD_FOUND_BAD, "digitalocean-ssh-key-fingerprint",
	    there ? "the account has this key" : "the account has no such key");
	return 0;
}

static const char *
do_foreign_key(const struct cloud *c)
{
	return word(own(c)->fingerprint)[0] != '\0' ? word(own(c)->key_path) : NULL;
}

/* Keys */

#define KEY_OWNER	" wl-owner-"

/* The account's key by its fingerprint: 1 and own->key_id, 0 there is none, -1. */
static int
key_lookup(struct cloud *c, const char *fingerprint, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root;
	char target[160];
	int status, rc = -1;

	snprintf(target, sizeof(target), "/v2/account/keys/%s", fingerprint);
	status = call(c, CALL_SAFE, "GET", target, STR_NULL, &r, &root, NULL, deadline, e);
	if (status == 200) {
		own(c)->key_id = json_i64(json_path(root, "ssh_key.id"), 0);
		rc = own(c)->key_id > 0 ? 1 : unexpected("GET", target, e);
	} else if (status == 404)
		rc = 0;
	else if (status > 0)
		rc = refused("GET", target, status, root, e);
	http_resp_free(&r);
	return rc;
}

static int
key_upload(struct cloud *c, const struct cloud_labels *l, const char *pub_line, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root;
	struct buf body = { 0 }, name = { 0 };
	struct json_w w = { .b = &body };
	char fingerprint[48];
	int status, rc = -1;

	if (ssh_fingerprint(str_from(pub_line), fingerprint, e) < 0)
		return -1;
	jw_object(&w, NULL);
	/* Keys have no tags: the owner stands in the name. */
	buf_puts(&name, c->base.name);
	if (l->owner[0] != '\0')
		buf_fmt(&name, KEY_OWNER "%s", l->owner);
	jw_str(&w, "name", buf_str(&name));
	jw_str(&w, "public_key", str_trim(str_from(pub_line)));
	jw_end_object(&w);
	cloud_tell("Creating SSH key...");
	/* Safe to repeat: the second time the account says that it has this key. */
	status = call(c, CALL_SAFE, "POST", "/v2/account/keys", buf_str(&body), &r, &root, NULL, deadline, e);
	if (status == 201 || status == 200) {
		own(c)->key_id = json_i64(json_path(root, "ssh_key.id"), 0);
		rc = own(c)->key_id > 0 ? 0 : unexpected("POST", "/v2/account/keys", e);
	} else if (status == 422) {
		struct err why = { 0 };

		refused("POST", "/v2/account/keys", status, root, &why);
		rc = key_lookup(c, fingerprint, deadline, e);
		if (rc == 0)
			*e = why;
		rc = rc == 1 ? 0 : -1;
	} else if (status > 0)
		refused("POST", "/v2/account/keys", status, root, e);
	http_resp_free(&r);
	buf_free(&body);
	buf_free(&name);
	return rc;
}

static int
do_key(struct cloud *c, const struct cloud_labels *l, const char *pub_line, mono_t deadline, struct err *e)
{
	int found;

	if (own(c)->key_id > 0)
		return 0;
	if (word(own(c)->fingerprint)[0] == '\0')
		return key_upload(c, l, pub_line, deadline, e);
	found = key_lookup(c, own(c)->fingerprint, deadline, e);
	if (found == 0)
		return err_set(e, ERR_REFUSED, 404, "Digital Ocean SSH key with fingerprint %s doesn't exist",
		    own(c)->fingerprint);
	return found == 1 ? 0 : -1;
}

/* Droplets */

static void
put_tags(struct json_w *w, const struct droplet *d, const struct cloud_labels *l)
{
	struct str list = str_from(word(d->tags));
	char tag[80];

	jw_array(w, "tags");
	while (list.p != NULL) {
		struct str t = str_trim(str_cut(&list, ','));

		if (t.n > 0)
			jw_str(w, NULL, t);
	}
	if (l->owner[0] != '\0') {
		snprintf(tag, sizeof(tag), "wl-owner-%s", l->owner);
		jw_cstr(w, NULL, tag);
	}
	if (l->nonce[0] != '\0') {
		snprintf(tag, sizeof(tag), "wl-nonce-%s", l->nonce);
		jw_cstr(w, NULL, tag);
	}
	jw_end_array(w);
}

static int
create_body(const struct cloud *c, const struct cloud_labels *l, struct buf *b, struct err *e)
{
	const struct droplet *d = own(c);
	struct json_w w = { .b = b };
	struct buf user_data = { .max = USER_DATA_MAX };
	int64_t image;

	if (word(d->user_data_file)[0] != '\0' &&
	    fs_read(AT_FDCWD, d->user_data_file, USER_DATA_MAX, &user_data, e) < 0) {
		buf_free(&user_data);
		e->kind = ERR_CONFIG;
		return err_ctx(e, "digitalocean-userdata");
	}
	jw_object(&w, NULL);
	jw_cstr(&w, "name", c->base.name);
	jw_cstr(&w, "region", word(d->region));
	jw_cstr(&w, "size", word(d->size));
	if (str_to_i64(str_from(word(d->image)), &image) == 0)
		jw_i64(&w, "image", image);
	else
		jw_cstr(&w, "image", word(d->image));
	jw_array(&w, "ssh_keys");
	jw_i64(&w, NULL, d->key_id);
	jw_end_array(&w);
	jw_bool(&w, "backups", d->backups);
	jw_bool(&w, "ipv6", d->ipv6);
	jw_bool(&w, "private_networking", d->private_networking);
	jw_bool(&w, "monitoring", d->monitoring);
	if (user_data.n > 0)
		jw_str(&w, "user_data", buf_str(&user_data));
	put_tags(&w, d, l);
	jw_end_object(&w);
	buf_free(&user_data);
	return 0;
}

/* The public address, the last one if there are several, as docker-machine has it. */
static void
note_address(struct cloud *c, struct json_val droplet)
{
	struct arena a = { 0 };
	struct ip ip;

	JSON_EACH(v, json_path(droplet, "networks.v4"))
		if (str_eqc(json_str(&a, json_get(v, "type")), "public")) {
			struct str text = json_str(&a, json_get(v, "ip_address"));

			/* A part of URLs and of config.json: nothing else will do. */
			if (ip_parse(text, &ip) == 0)
				c->base.ip = arena_dup(c->a, text);
		}
	arena_reset(&a);
}

static enum cloud_made
do_create(struct cloud *c, const struct cloud_labels *l, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root;
	struct buf body = { 0 };
	enum cloud_made made = CLOUD_NOT_MADE;
	bool sent;
	int status;

	if (create_body(c, l, &body, e) < 0)
		goto out;
	cloud_tell("Creating Digital Ocean droplet...");
	status = call(c, CALL_ONCE, "POST", "/v2/droplets", buf_str(&body), &r, &root, &sent, deadline, e);
	if (status < 0)
		made = sent ? CLOUD_UNSURE : CLOUD_NOT_MADE;
	else if (status >= 200 && status < 300) {
		own(c)->id = json_i64(json_path(root, "droplet.id"), 0);
		made = own(c)->id > 0 ? CLOUD_MADE : CLOUD_UNSURE;
		if (made == CLOUD_UNSURE)
			unexpected("POST", "/v2/droplets", e);
		else
			note_address(c, json_get(root, "droplet"));
		own(c)->action = json_i64(json_get(json_at(json_path(root, "links.actions"), 0), "id"), 0);
	} else {
		refused("POST", "/v2/droplets", status, root, e);
		/* A 5xx that is not one of the passing ones does not tell either. */
		if (status >= 500)
			made = CLOUD_UNSURE;
	}
out:
	http_resp_free(&r);
	buf_wipe(&body);
	return made;
}

/* GET of one droplet: 1 with its JSON in *droplet (until the next call), 0 gone, -1. */
static int
droplet_get(struct cloud *c, int64_t id, struct http_resp *r, struct json_val *droplet, mono_t deadline,
    struct err *e)
{
	struct json_val root;
	char target[64];
	int status;

	snprintf(target, sizeof(target), "/v2/droplets/%" PRId64, id);
	status = call(c, CALL_STATUS, "GET", target, STR_NULL, r, &root, NULL, deadline, e);
	if (status == 404)
		return 0;
	if (status != 200)
		return status < 0 ? -1 : refused("GET", target, status, root, e);
	*droplet = json_get(root, "droplet");
	return json_type(*droplet) == JSON_OBJECT ? 1 : unexpected("GET", target, e);
}

/* Polls become rarer with time, and rarer still when the token's budget is nearly used up. */
static dur_t
poll_pause(const struct cloud *c, unsigned attempt)
{
	static const int64_t steps[] = { 1, 2, 2, 3, 3, 4 };
	const struct api *api = c->session;
	dur_t s = (attempt < NELEM(steps) ? steps[attempt] : 5) * NSEC_SEC;

	if (api != NULL && api->limit > 0 && api->remaining >= 0 && api->remaining < api->limit / 20)
		s *= 4;
	return s + (int64_t)rand_below((uint64_t)s / 4);
}

/* Whether the create action ended in an error: 1 with *e, 0 no or not known, -1 could not ask. */
static int
create_errored(struct cloud *c, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root, action = JSON_NONE;
	struct arena a = { 0 };
	char target[96];
	int status, rc = 0;

	if (own(c)->action > 0)
		snprintf(target, sizeof(target), "/v2/actions/%" PRId64, own(c)->action);
	else
		snprintf(target, sizeof(target), "/v2/droplets/%" PRId64 "/actions", own(c)->id);
	status = call(c, CALL_STATUS, "GET", target, STR_NULL, &r, &root, NULL, deadline, e);
	if (status == 200)
		action = json_get(root, "action");
	if (status == 200 && own(c)->action <= 0)
		JSON_EACH(v, json_get(root, "actions"))
			if (str_eqc(json_str(&a, json_get(v, "type")), "create"))
				action = v;
	if (status < 0)
		rc = -1;
	else if (str_eqc(json_str(&a, json_get(action, "status")), "errored")) {
		err_set(e, ERR_NOTFOUND, 0, "digitalocean: droplet %" PRId64 " could not be made: the cloud's create action "
		    "ended in an error", own(c)->id);
		rc = 1;
	}
	http_resp_free(&r);
	arena_reset(&a);
	return rc;
}

/*
 * One look at a droplet that is on its way, its address noted if it has one. 1 go on waiting (or it has its address), 0 there
 * is nothing to wait for (*e), -1. A droplet is only gone when it had been seen (*seen), or after the API's lag.
 */
static int
look(struct cloud *c, bool *seen, mono_t lag_over, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val droplet;
	struct arena a = { 0 };
	bool idle = false;
	int there = droplet_get(c, own(c)->id, &r, &droplet, deadline, e), failed;

	if (there == 1) {
		struct str status = json_str(&a, json_get(droplet, "status"));

		*seen = true;
		note_address(c, droplet);
		idle = !str_eqc(status, "new") && !str_eqc(status, "active");
	}
	http_resp_free(&r);
	arena_reset(&a);
	if (there == 0 && !*seen && !mono_passed(lag_over))
		return 1;
	if (there == 0) {
		err_set(e, ERR_NOTFOUND, 404, "digitalocean: droplet %" PRId64 " does not exist any more: "
		    "someone deleted it, or it could not be made", own(c)->id);
		return 0;
	}
	if (there < 0 || !idle)
		return there;
	failed = create_errored(c, deadline, e);
	return failed < 0 ? -1 : !failed;
}

static int
do_address(struct cloud *c, mono_t deadline, struct err *e)
{
	mono_t lag_over = mono_after(LAG_NS);
	bool seen = false;

	if (word(c->base.ip)[0] == '\0')
		cloud_tell("Waiting for IP address to be assigned to the Droplet...");
	for (unsigned attempt = 0; word(c->base.ip)[0] == '\0'; attempt++) {
		if (pause_within(poll_pause(c, attempt), deadline, e) == 0) {
			int coming = look(c, &seen, lag_over, deadline, e);

			if (coming > 0)
				continue;
			if (coming == 0)
				return -1;
		}
		/* Whichever wait the deadline fell into. */
		if (e->kind == ERR_TIMEOUT)
			err_set(e, ERR_TIMEOUT, 0, "digitalocean: droplet %" PRId64 " got no public address in time", own(c)->id);
		return -1;
	}
	return 0;
}

static int
do_lost(struct cloud *c, mono_t deadline, struct err *e)
{
	bool seen = true;
	int there = look(c, &seen, MONO_NEVER, deadline, e);

	return there < 0 ? -1 : !there;
}

static int
do_state(struct cloud *c, enum cloud_state *s, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val droplet;
	struct arena a = { 0 };
	struct str status;
	int there;

	if (own(c)->id <= 0)
		return err_set(e, ERR_NOTFOUND, 0, "no droplet was made for this machine");
	there = droplet_get(c, own(c)->id, &r, &droplet, deadline, e);
	if (there == 1) {
		status = json_str(&a, json_get(droplet, "status"));
		*s = str_eqc(status, "new") ? STATE_STARTING : str_eqc(status, "active") ? STATE_RUNNING :
		    str_eqc(status, "off") ? STATE_STOPPED : STATE_NONE;
	} else if (there == 0)
		err_set(e, ERR_NOTFOUND, 404, "digitalocean: droplet %" PRId64 " does not exist", own(c)->id);
	http_resp_free(&r);
	arena_reset(&a);
	return there == 1 ? 0 : -1;
}

static int
do_power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e)
{
	static const char *const bodies[] = {
		[POWER_START] = "{\"type\":\"power_on\"}", [POWER_STOP] = "{\"type\":\"shutdown\"}",
		[POWER_RESTART] = "{\"type\":\"reboot\"}", [POWER_KILL] = "{\"type\":\"power_off\"}",
	};
	struct http_resp r = { 0 };
	struct json_val root;
	char target[80];
	int status, rc = -1;

	if (own(c)->id <= 0)
		return err_set(e, ERR_NOTFOUND, 0, "no droplet was made for this machine");
	snprintf(target, sizeof(target), "/v2/droplets/%" PRId64 "/actions", own(c)->id);
	status = call(c, CALL_SAFE, "POST", target, str_from(bodies[p]), &r, &root, NULL, deadline, e);
	if (status >= 200 && status < 300)
		rc = 0;
	else if (status > 0)
		refused("POST", target, status, root, e);
	http_resp_free(&r);
	return rc;
}

/* Finding and deleting */

struct found { int64_t id; wall_t created; };

static bool
has_tag(struct json_val droplet, const char *tag)
{
	struct arena a = { 0 };
	bool has = false;

	JSON_EACH(v, json_get(droplet, "tags"))
		has = has || str_caseeq(json_str(&a, v), tag);
	arena_reset(&a);
	return has;
}

/*
 * Droplets that carry our nonce, or, without one, that have exactly our name. At most max of
 * them; returns the count or -1. What the server returns is checked again: these will be deleted.
 */
static int
droplets_find(struct cloud *c, const char *nonce, struct found *out, size_t max, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root;
	struct arena a = { 0 };
	char target[400], tag[80];
	int status, n = -1;

	snprintf(tag, sizeof(tag), "wl-nonce-%s", nonce);
	if (nonce[0] != '\0')
		snprintf(target, sizeof(target), "/v2/droplets?tag_name=%s&per_page=200", tag);
	else
		snprintf(target, sizeof(target), "/v2/droplets?name=%s&per_page=200", c->base.name);
	status = call(c, CALL_SAFE, "GET", target, STR_NULL, &r, &root, NULL, deadline, e);
	if (status != 200) {
		if (status > 0)
			refused("GET", "/v2/droplets", status, root, e);
		goto out;
	}
	if (json_type(json_get(root, "droplets")) != JSON_ARRAY) {
		unexpected("GET", "/v2/droplets", e);
		goto out;
	}
	n = 0;
	JSON_EACH(v, json_get(root, "droplets")) {
		struct found f = { json_i64(json_get(v, "id"), 0), { INT64_MAX } };

		if (nonce[0] != '\0' ? !has_tag(v, tag) :
		    !str_eqc(json_str(&a, json_get(v, "name")), c->base.name))
			continue;
		(void)time_parse_rfc3339(json_str(&a, json_get(v, "created_at")), &f.created);
		if (f.id > 0 && (size_t)n < max)
			out[n++] = f;
	}
out:
	http_resp_free(&r);
	arena_reset(&a);
	return n;
}

/* After a delete: 1 gone, 0 still there after `patience`, -1. */
static int
droplet_await_gone(struct cloud *c, int64_t id, dur_t patience, mono_t deadline, struct err *e)
{
	mono_t again = mono_after(patience);

	for (unsigned attempt = 0; !mono_passed(again); attempt++) {
		struct http_resp r = { 0 };
		struct json_val droplet;
		int there = droplet_get(c, id, &r, &droplet, deadline, e);

		http_resp_free(&r);
		if (there <= 0)
			return there == 0 ? 1 : -1;
		if (pause_within(poll_pause(c, attempt), deadline, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * Asks until the cloud does not know it any more. A delete's 404 alone is not believed: the droplet may be
 * so new that this part of the API has not heard of it.
 */
static int
droplet_delete(struct cloud *c, int64_t id, mono_t deadline, struct err *e)
{
	char target[64];

	snprintf(target, sizeof(target), "/v2/droplets/%" PRId64, id);
	for (unsigned attempt = 0; ; attempt++) {
		struct http_resp r = { 0 };
		struct json_val root;
		int status = call(c, CALL_SAFE, "DELETE", target, STR_NULL, &r, &root, NULL, deadline, e), gone;
		bool refusal = status > 0 && status != 404 && (status < 200 || status > 299);

		if (refusal)
			refused("DELETE", target, status, root, e);
		http_resp_free(&r);
		if (status < 0 || (refusal && e->kind != ERR_CONFLICT))
			return -1;
		if (refusal)	/* an event is pending: it is being created, say */
			gone = pause_within(poll_pause(c, attempt), deadline, e);
		else
			gone = droplet_await_gone(c, id, status == 404 ? NSEC_SEC : DELETE_AGAIN_NS, deadline, e);
		if (gone < 0)
			return err_ctx(e, "digitalocean: droplet %" PRId64 " is not gone yet", id);
		if (gone > 0)
			return 0;
	}
}

/* DELETE of a key by id or fingerprint; what is not there is success. */
static int
key_drop(struct cloud *c, const char *target, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct json_val root;
	int status = call(c, CALL_SAFE, "DELETE", target, STR_NULL, &r, &root, NULL, deadline, e), rc = 0;

	if (status < 0)
		rc = -1;
	else if (status != 404 && (status < 200 || status > 299))
		rc = refused("DELETE", target, status, root, e);
	http_resp_free(&r);
	return rc;
}

static int
key_delete(struct cloud *c, const char *pub_line, mono_t deadline, struct err *e)
{
	char target[128], fingerprint[48];

	if (word(own(c)->fingerprint)[0] != '\0')
		return 0;	/* not ours */
	if (own(c)->key_id > 0)
		snprintf(target, sizeof(target), "/v2/account/keys/%" PRId64, own(c)->key_id);
	else if (pub_line[0] != '\0') {
		if (ssh_fingerprint(str_from(pub_line), fingerprint, e) < 0)
			return -1;
		snprintf(target, sizeof(target), "/v2/account/keys/%s", fingerprint);
	} else
		return 0;
	return key_drop(c, target, deadline, e);
}

/*
 * Tags outlive what they were on: without this an account would gather one
 * for each machine it ever had. Not worth a failure.
 */
static void
tag_delete(struct cloud *c, const char *nonce, mono_t deadline)
{
	struct http_resp r = { 0 };
	struct json_val root;
	struct err why;
	char target[96];

	snprintf(target, sizeof(target), "/v2/tags/wl-nonce-%s", nonce);
	(void)call(c, CALL_SAFE, "DELETE", target, STR_NULL, &r, &root, NULL, mono_min(deadline, mono_after(TAG_NS)), &why);
	http_resp_free(&r);
}

#define FOUND_MAX	32

static int
do_find(struct cloud *c, const struct cloud_labels *l, mono_t deadline, struct err *e)
{
	struct found f[FOUND_MAX];
	int n = droplets_find(c, l->nonce, f, FOUND_MAX, deadline, e), unknown = 0, oldest = 0;

	if (n <= 0)
		return n;
	for (int i = 1; i < n; i++)
		if (wall_before(f[i].created, f[oldest].created) ||
		    (wall_equal(f[i].created, f[oldest].created) && f[i].id < f[oldest].id))
			oldest = i;
	for (int i = 0; i < n; i++)
		unknown += f[i].id != own(c)->id;
	/* The one that is in use is never given up for an older one. */
	if (own(c)->id <= 0)
		own(c)->id = f[oldest].id;
	for (int i = 0; i < n; i++) {
		if (f[i].id == own(c)->id)
			continue;
		log_warn("Deleting a second droplet of one machine", F_STR("name", c->base.name),
		    F_INT("droplet", f[i].id), F_INT("kept", own(c)->id));
		if (droplet_delete(c, f[i].id, deadline, e) < 0)
			return -1;
	}
	return unknown;
}

/* A name that a runner made (its last parts are a Unix time and 8 hex digits) is nobody else's. */
static bool
name_is_unique(struct str name)
{
	size_t digits = 0, hex = 0;

	while (hex < name.n && strchr("0123456789abcdef", name.p[name.n - 1 - hex]) != NULL)
		hex++;
	if (hex != 8 || name.n < 20 || name.p[name.n - 9] != '-')
		return false;
	while (digits < name.n - 9 && name.p[name.n - 10 - digits] >= '0' && name.p[name.n - 10 - digits] <= '9')
		digits++;
	return digits >= 10;
}

static int
do_destroy(struct cloud *c, const struct cloud_labels *l, const char *pub_line, bool thorough, mono_t deadline,
    struct err *e)
{
	struct found f[FOUND_MAX];
	bool known = own(c)->id > 0;
	int n;

	/* The droplet first: it costs money, the key does not. */
	if (known && droplet_delete(c, own(c)->id, deadline, e) < 0)
		return -1;
	if (l->nonce[0] != '\0' ? thorough || !known : !known && name_is_unique(str_from(c->base.name))) {
		n = droplets_find(c, l->nonce, f, FOUND_MAX, deadline, e);
		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (droplet_delete(c, f[i].id, deadline, e) < 0)
				return -1;
	} else if (l->nonce[0] == '\0' && !known)
		return err_set(e, ERR_CONFIG, 0, "config.json holds no droplet id, and the name %s may be somebody else's; "
		    "look for the droplet in the control panel, then forget this machine with rm -f", c->base.name);
	if (key_delete(c, pub_line, deadline, e) < 0)
		return -1;
	/* While a second droplet may still turn up, its tag is how it would be found. */
	if (l->nonce[0] != '\0' && !thorough)
		tag_delete(c, l->nonce, deadline);
	return 0;
}

/* All that is ours */

#define OWNER_TAG	"wl-owner-"
#define MARK_MAX	64

struct gathering {
	struct cloud		*c;
	const char		*owner;
	const char		*prefix;	/* of strangers' names */
	struct cloud_thing	*things;
	size_t			 n, cap;
};

static void
gather(struct gathering *g, bool key, struct json_val v, const char *name, const char *nonce)
{
	struct cloud_thing t = { .key = key, .name = name, .nonce = nonce };
	struct arena a = { 0 };

	t.id = arena_fmt(g->c->a, "%" PRId64, json_i64(json_get(v, "id"), 0));
	(void)time_parse_rfc3339(json_str(&a, json_get(v, "created_at")), &t.created);
	arena_reset(&a);
	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? 2 * g->cap : 32;
		g->things = xrealloc(g->things, g->cap * sizeof(*g->things));
	}
	g->things[g->n++] = t;
}

/* The mark behind a tag's prefix. One that is not made as ours are would be anything in the path of a request. */
static const char *
mark_of(struct gathering *g, struct str tag, const char *prefix)
{
	struct str mark = str_sub(tag, strlen(prefix), tag.n);

	if (!str_starts(tag, prefix) || mark.n > MARK_MAX)
		return NULL;
	for (size_t i = 0; i < mark.n; i++)
		if (!(mark.p[i] >= '0' && mark.p[i] <= '9') && !(mark.p[i] >= 'a' && mark.p[i] <= 'f'))
			return NULL;
	return arena_dup(g->c->a, mark);
}

/* What the server says is checked again: what comes of it may be deleted. */
static void
gather_droplet(struct gathering *g, struct json_val v)
{
	const char *nonce = "", *mark;
	char tag[80];

	snprintf(tag, sizeof(tag), "wl-owner-%s", g->owner);
	if (json_i64(json_get(v, "id"), 0) <= 0 || !has_tag(v, tag))
		return;
	JSON_EACH(w, json_get(v, "tags")) {
		mark = mark_of(g, json_str(g->c->a, w), "wl-nonce-");
		if (mark != NULL)
			nonce = mark;
	}
	gather(g, false, v, plain(g->c->a, json_str(g->c->a, json_get(v, "name"))), nonce);
}

static void
gather_stranger(struct gathering *g, struct json_val v)
{
	struct str name = json_str(g->c->a, json_get(v, "name"));

	if (!str_starts(name, g->prefix))
		return;
	JSON_EACH(w, json_get(v, "tags")) {
		const char *mark = mark_of(g, json_str(g->c->a, w), OWNER_TAG);

		if (mark != NULL && strcmp(mark, g->owner) != 0)
			gather(g, false, v, plain(g->c->a, name), mark);
	}
}

static void
gather_key(struct gathering *g, struct json_val v)
{
	struct str name = json_str(g->c->a, json_get(v, "name")), mark = str_from(arena_fmt(g->c->a, KEY_OWNER "%s", g->owner));

	if (json_i64(json_get(v, "id"), 0) <= 0 || name.n <= mark.n || !str_eq(str_sub(name, name.n - mark.n, name.n), mark))
		return;
	gather(g, true, v, plain(g->c->a, str_sub(name, 0, name.n - mark.n)), "");
}

/* Each element of a paged list, to its end. */
static int
gather_pages(struct gathering *g, const char *path, const char *list, void (*take)(struct gathering *g, struct json_val v),
    mono_t deadline, struct err *e)
{
	for (int page = 1; page <= PAGES_MAX; page++) {
		struct http_resp r = { 0 };
		struct json_val root;
		char target[160];
		bool more = false;
		int status;

		snprintf(target, sizeof(target), "%sper_page=%d&page=%d", path, PER_PAGE, page);
		status = call(g->c, CALL_SAFE, "GET", target, STR_NULL, &r, &root, NULL, deadline, e);
		if (status == 200 && json_type(json_get(root, list)) == JSON_ARRAY) {
			JSON_EACH(v, json_get(root, list))
				take(g, v);
			more = json_present(json_path(root, "links.pages.next"));
		} else if (status > 0)
			status = status == 200 ? unexpected("GET", path, e) : refused("GET", path, status, root, e);
		http_resp_free(&r);
		if (status < 0 || !more)
			return status < 0 ? -1 : 0;
	}
	return err_set(e, ERR_PROTO, 0, "digitalocean: GET %s: more than %d pages", path, PAGES_MAX);
}

/* Into the driver's arena; nothing when it could not all be had. */
static int
gathered(struct gathering *g, int rc, struct cloud_thing **things, size_t *n)
{
	*things = NULL;
	*n = rc == 0 ? g->n : 0;
	if (*n > 0) {
		*things = arena_calloc(g->c->a, g->n, sizeof(**things));
		memcpy(*things, g->things, g->n * sizeof(**things));
	}
	free(g->things);
	return rc;
}

static int
do_list(struct cloud *c, const char *owner, struct cloud_thing **things, size_t *n, mono_t deadline, struct err *e)
{
	struct gathering g = { .c = c, .owner = owner };
	char path[80];
	int rc;

	snprintf(path, sizeof(path), "/v2/droplets?tag_name=" OWNER_TAG "%s&", owner);
	rc = gather_pages(&g, path, "droplets", gather_droplet, deadline, e);
	if (rc == 0)
		rc = gather_pages(&g, "/v2/account/keys?", "ssh_keys", gather_key, deadline, e);
	return gathered(&g, rc, things, n);
}

static int
do_strangers(struct cloud *c, const char *owner, const char *prefix, struct cloud_things *found, mono_t deadline, struct err *e)
{
	struct gathering g = { .c = c, .owner = owner, .prefix = prefix };

	return gathered(&g, gather_pages(&g, "/v2/droplets?", "droplets", gather_stranger, deadline, e), &found->v, &found->n);
}

static int
do_discard(struct cloud *c, const struct cloud_thing *t, mono_t deadline, struct err *e)
{
	char target[64];
	int64_t id;

	if (str_to_i64(str_from(t->id), &id) < 0 || id <= 0)
		return err_set(e, ERR_NOTFOUND, 0, "\"%s\" is no id of DigitalOcean's", t->id);
	if (t->key) {
		snprintf(target, sizeof(target), "/v2/account/keys/%" PRId64, id);
		return key_drop(c, target, deadline, e);
	}
	if (droplet_delete(c, id, deadline, e) < 0)
		return -1;
	if (t->nonce[0] != '\0')
		tag_delete(c, t->nonce, deadline);
	return 0;
}

static const char *
id_text(const struct cloud *c, int64_t id)
{
	return id > 0 ? arena_fmt(c->a, "%" PRId64, id) : "";
}

static struct cloud_ids
do_ids(const struct cloud *c)
{
	return (struct cloud_ids){ .machine = id_text(c, own(c)->id), .key = id_text(c, own(c)->key_id) };
}

static void
do_adopt(struct cloud *c, const struct cloud_ids *ids)
{
	if (own(c)->key_id <= 0)
		(void)str_to_i64(str_from(ids->key), &own(c)->key_id);
	if (own(c)->id <= 0)
		(void)str_to_i64(str_from(ids->machine), &own(c)->id);
}

static bool
do_user_data(const struct cloud *c)
{
	return word(own(c)->user_data_file)[0] != '\0';
}

const struct cloud_driver cloud_digitalocean = {
	.name = "digitalocean",
	.traits = CLOUD_UPLOADS_KEY,
	.flags = flags, .nflags = NELEM(flags),
	.fields = fields, .nfields = NELEM(fields), .own_size = sizeof(struct droplet),
	.configure = do_configure,
	.check = do_check,
	.precreate = do_precreate,
	.probe = do_probe,
	.foreign_key = do_foreign_key,
	.key = do_key,
	.create = do_create,
	.find = do_find,
	.address = do_address,
	.lost = do_lost,
	.state = do_state,
	.power = do_power,
	.destroy = do_destroy,
	.list = do_list,
	.strangers = do_strangers,
	.discard = do_discard,
	.user_data = do_user_data,
	.ids = do_ids,
	.adopt = do_adopt,
	.close = do_close,
};
