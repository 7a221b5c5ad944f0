/* DigitalOcean's API: its credentials, refusals and pages. See digitalocean.h. */
#include "cloud/digitalocean/digitalocean.h"
#include "core/fs.h"

#define API_URL	"https://api.digitalocean.com"

/* The option's value, or what the environment says. */
static const char *
setting(const char *value, const char *env)
{
	return do_word(value)[0] != '\0' ? value : do_word(getenv(env));
}

void
do_close(struct cloud *c)
{
	rest_free(c->rest);
	c->rest = NULL;
	c->session = NULL;
}

int
do_open(struct cloud *c, struct err *e)
{
	const char *url = setting(do_own(c)->endpoint, "DIGITALOCEAN_API_URL");
	struct secret *token = arena_alloc(c->a, sizeof(*token));
	struct rest_opts o = { .name = c->driver_name, .origins = &url, .norigins = 1,
		.ca_file = setting(do_own(c)->ca_file, "DIGITALOCEAN_API_CA_FILE"), .ca_option = "digitalocean-api-ca-file",
		.budget = { "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset" },
		.bearer = token, .ctx = c, .say = cloud_rest_say,
		.throttled = cloud_rest_throttled };

	if (url[0] == '\0')
		url = API_URL;
	if (!secret_is_set(do_own(c)->token))
		return err_set(e, ERR_CONFIG, 0, "digitalocean driver requires the --digitalocean-access-token option");
	if (cloud_secret(c->a, do_own(c)->token, "digitalocean-access-token", token, e) < 0)
		return -1;
	c->rest = rest_new(&o, e);
	c->session = c->rest != NULL ? token : NULL;
	return c->rest != NULL ? 0 : -1;
}

int
do_call(struct cloud *c, const struct rest_request *q, struct rest_answer *a, mono_t deadline, struct err *e)
{
	*a = (struct rest_answer){ .json = JSON_NONE };
	if (c->rest == NULL && do_open(c, e) < 0)
		return -1;
	return rest_call(c->rest, q, a, deadline, e);
}

const char *
do_plain(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);

	str_printable(s, out, s.n + 1);
	return out;
}

const char *
do_id(struct cloud *c, struct json_val v)
{
	int64_t id = json_i64(v, 0);

	return id > 0 ? arena_fmt(c->a, "%" PRId64, id) : "";
}

/* What kind of no this is: a size that is sold out here is no fault of the request, nor a limit of the account. */
static enum err_kind
kind_of_refusal(int status, struct str msg)
{
	if (status == 401 || status == 403)
		return ERR_AUTH;
	if (status == 404)
		return ERR_NOTFOUND;
	if (status == 422 && (str_casefind(msg, "not available") >= 0 || str_casefind(msg, "unavailable") >= 0))
		return ERR_CAPACITY;
	if (status == 402 || (status == 422 && str_casefind(msg, "limit") >= 0))
		return ERR_QUOTA;
	if (status == 409 || (status == 422 && (str_casefind(msg, "pending") >= 0 || str_casefind(msg, "locked") >= 0)))
		return ERR_CONFLICT;
	return status >= 500 ? ERR_SERVER : status < 400 ? ERR_PROTO : ERR_REFUSED;
}

int
do_refused(const char *method, const char *target, const struct rest_answer *r, struct err *e)
{
	struct arena a = { 0 };
	struct buf m = { .max = 400 };
	struct str msg = json_str(&a, json_get(r->json, "message"));
	struct json_val regions = json_path(r->json, "error_attributes.available_regions");

	buf_put_quoted(&m, str_sub(msg, 0, 300), 300);
	if (json_len(regions) > 0) {
		buf_puts(&m, "; available in");
		JSON_EACH(v, regions)
			buf_fmt(&m, " %s", do_plain(&a, str_sub(json_str(&a, v), 0, 16)));
	}
	err_set(e, kind_of_refusal(r->status, msg), r->status, "digitalocean: %s %s: HTTP status %d: %s", method, target, r->status,
	    msg.n > 0 ? m.p : r->status == 401 ? "the access token is not valid" : "no reason given");
	buf_free(&m);
	arena_reset(&a);
	return -1;
}

int
do_unexpected(const char *method, const char *target, struct err *e)
{
	return err_set(e, ERR_PROTO, 0, "digitalocean: %s %s: the answer lacks what it should hold", method, target);
}

/* Pages */

static int
take_page(void *ctx, const struct rest_answer *a, struct err *e)
{
	const struct do_list *it = ctx;

	if (json_type(json_get(a->json, it->member)) != JSON_ARRAY)
		return do_unexpected("GET", it->path, e);
	JSON_EACH(v, json_get(a->json, it->member))
		if (!it->take(it->ctx, v))
			return 1;
	return 0;
}

static void
put_page(const struct do_list *it, unsigned page, struct buf *target)
{
	buf_fmt(target, "%sper_page=%d&page=%u", it->path, DO_PER_PAGE, page);
}

static bool
next_page(void *ctx, const struct rest_answer *a, unsigned page, struct buf *target)
{
	if (!json_present(json_path(a->json, "links.pages.next")))
		return false;
	put_page(ctx, page + 1, target);
	return true;
}

static int
refused_page(void *ctx, const struct rest_request *q, const struct rest_answer *a, struct err *e)
{
	(void)ctx;
	return do_refused(q->method, q->target, a, e);
}

int
do_each(struct cloud *c, struct do_list *l, mono_t deadline, struct err *e)
{
	struct rest_pages p = { .take = take_page, .next = next_page, .refused = refused_page, .ctx = l };
	struct buf target = { .max = 1024 };
	int rc = -1;

	put_page(l, 1, &target);
	p.target = target.p;
	if (c->rest != NULL || do_open(c, e) == 0)
		rc = rest_list(c->rest, &p, deadline, e);
	buf_free(&target);
	return rc;
}
