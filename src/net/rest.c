/* Calls to a cloud's HTTP API: see rest.h. */
#include "core/fs.h"
#include "core/log.h"
#include "core/rand.h"
#include "net/dial.h"
#include "net/rest.h"
#include "policy/retry.h"

#define BODY_MAX	(8u << 20)
#define CA_FILE_MAX	(1u << 20)
#define ANSWER_LIMIT	(30 * NSEC_SEC)		/* one exchange; creates take a second or two */
#define KEEPALIVE_S	30
#define PAGES_MAX	200
#define STEP_MAX	(60 * NSEC_SEC)		/* a budget that comes back call by call is waited for in steps */

struct rest {
	struct rest_opts	 o;
	char			*name;
	struct http		**http;		/* one an origin */
	struct tls_trust	*trust;
	struct http_resp	 resp;		/* the last answer */
	struct arena		 scratch;	/* and its JSON */
	int64_t			 limit, remaining;	/* -1: not told */
};

void
rest_free(struct rest *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; r->http != NULL && i < r->o.norigins; i++)
		http_free(r->http[i]);
	free(r->http);
	tls_trust_free(r->trust);
	buf_wipe(&r->resp.body);
	http_resp_free(&r->resp);
	arena_reset(&r->scratch);
	free(r->name);
	free(r);
}

static int
open_trust(struct rest *r, struct err *e)
{
	struct buf pem = { .max = CA_FILE_MAX };
	const char *option = r->o.ca_option != NULL ? r->o.ca_option : "";
	int rc = 0;

	if (r->o.ca_file != NULL && r->o.ca_file[0] != '\0' && fs_read(AT_FDCWD, r->o.ca_file, CA_FILE_MAX, &pem, e) < 0) {
		e->kind = ERR_CONFIG;
		rc = err_ctx(e, "%s", option);
	}
	if (rc == 0 && (r->trust = tls_trust_new(buf_str(&pem), true, option, e)) == NULL)
		rc = -1;
	buf_free(&pem);
	return rc;
}

struct rest *
rest_new(const struct rest_opts *o, struct err *e)
{
	struct rest *r = xcalloc(1, sizeof(*r));
	struct http_opts h = { .use_proxy = true, .keepalive_s = KEEPALIVE_S };

	r->o = *o;
	r->o.name = r->name = xstrdup(o->name);
	r->limit = r->remaining = -1;
	r->http = xcalloc(o->norigins, sizeof(*r->http));
	for (size_t i = 0; i < o->norigins; i++) {
		struct str url = str_from(o->origins[i]);

		if (str_casestarts(url, "https:") && r->trust == NULL && open_trust(r, e) < 0)
			goto fail;
		h.trust = r->trust;
		if ((r->http[i] = http_new(url, &h, e)) == NULL)
			goto fail;
	}
	/* They are the caller's, and need not live as long as this. */
	r->o.origins = NULL;
	r->o.ca_file = r->o.ca_option = NULL;
	return r;
fail:
	rest_free(r);
	return NULL;
}

/* Budgets */

/* The server's own clock where it tells it: reset times are by that clock. */
static wall_t
server_now(const struct http_resp *resp)
{
	wall_t t;

	if (time_parse_http(http1_field(&resp->head, "date"), &t) == 0)
		return t;
	return wall_now();
}

static void
note_budget(struct rest *r)
{
	const struct rest_budget_names *n = &r->o.budget;
	int64_t v;

	if (n->limit != NULL && str_to_i64(http1_field(&r->resp.head, n->limit), &v) == 0)
		r->limit = v;
	if (n->remaining != NULL && str_to_i64(http1_field(&r->resp.head, n->remaining), &v) == 0)
		r->remaining = v;
}

void
rest_budget(const struct rest *r, int64_t *remaining, int64_t *limit)
{
	*remaining = r->remaining;
	*limit = r->limit;
}

dur_t
rest_poll_pause(const struct rest *r, unsigned n)
{
	static const int8_t steps[] = { 1, 2, 2, 3, 3, 4 };
	dur_t d = (n < NELEM(steps) ? steps[n] : 5) * NSEC_SEC;

	if (r != NULL && r->limit > 0 && r->remaining >= 0 && r->remaining < r->limit / 20)
		d *= 4;
	return d + (dur_t)rand_below((uint64_t)d / 4);
}

int
rest_wait(dur_t d, mono_t deadline, struct err *e)
{
	if (mono_before(deadline, mono_after(d)))
		return err_set(e, ERR_TIMEOUT, 0, "no time left for another try in %" PRId64 " s", d / NSEC_SEC);
	return net_pause(d, e);
}

/*
 * How long a 429 makes us wait. Retry-After rules; else the reset time, which is when the oldest call
 * leaves the window: the budget comes back one call at a time, so more than a minute is waited in
 * steps. The random part keeps a crowd from coming back at once.
 */
static dur_t
pause_after_429(const struct rest *r, enum rest_kind kind, dur_t *least)
{
	struct retry_hint h = RETRY_HINT_INIT;
	struct str after = http1_field(&r->resp.head, "retry-after");
	dur_t floor = kind == REST_STATUS ? NSEC_SEC : 5 * NSEC_SEC, wait = 0;
	wall_t now = server_now(&r->resp);
	int64_t reset, s = wall_seconds(now);

	if (after.p != NULL)
		retry_hint_header(&h, r->resp.head.status, STR("Retry-After"), after, now);
	if (wall_before(now, h.not_before))
		wait = wall_between(now, h.not_before);
	else if (r->o.budget.reset != NULL && str_to_i64(http1_field(&r->resp.head, r->o.budget.reset), &reset) == 0 &&
	    reset > s && reset < s + 86400) {
		wait = wall_between(now, wall_of_seconds(reset));
		if (wait > STEP_MAX)
			wait = STEP_MAX;
	}
	if (wait < floor)
		wait = floor;
	*least = wait;
	return wait + (dur_t)rand_below((uint64_t)floor);
}

static int
rate_limited(struct rest *r, enum rest_kind kind, mono_t deadline, struct err *e)
{
	char dur[40], text[100];
	dur_t least, pause = pause_after_429(r, kind, &least);

	time_go_duration(least, dur);
	if (r->o.throttled != NULL)
		r->o.throttled(r->o.ctx, wall_add(wall_now(), least));
	if (kind != REST_STATUS) {
		snprintf(text, sizeof(text), "Rate limit detected (waiting at least %s)...", dur);
		log_info(text);
		if (r->o.say != NULL)
			r->o.say(r->o.ctx, text);
	}
	if (mono_before(deadline, mono_after(pause)))
		return err_set(e, ERR_QUOTA, 429, "the API token's rate limit is used up; "
		    "it asks to wait %s, longer than this operation may take", dur);
	return net_pause(pause, e);
}

/* Calls */

void
rest_put_bearer(struct buf *head, struct secret token)
{
	buf_fmt(head, "Authorization: Bearer %s\r\nAccept: application/json\r\n", secret_reveal(token));
}

static int
put_head(struct rest *r, const struct rest_request *q, bool again, struct buf *head, mono_t deadline, struct err *e)
{
	if (r->o.bearer != NULL)
		rest_put_bearer(head, *r->o.bearer);
	if (r->o.auth != NULL && r->o.auth(r->o.ctx, q, again, head, deadline, e) < 0)
		return -1;
	if (q->body.p != NULL)
		buf_fmt(head, "Content-Type: %s\r\n", q->type != NULL ? q->type : "application/json");
	return 0;
}

/* What one exchange came to. */
enum exchange { EX_DONE, EX_AGAIN, EX_THROTTLED, EX_DENIED, EX_FAILED };

static enum exchange
exchange(struct rest *r, const struct rest_request *q, bool again, struct rest_answer *a, mono_t deadline, struct err *e)
{
	struct http_req h = { .method = q->method, .target = str_from(q->target), .body = q->body };
	struct buf head = { 0 };
	int rc = put_head(r, q, again, &head, deadline, e);

	if (rc < 0) {
		buf_wipe(&head);
		return EX_FAILED;
	}
	h.head = buf_str(&head);
	http_resp_free(&r->resp);
	r->resp = (struct http_resp){ .body = { .max = BODY_MAX } };
	*a = (struct rest_answer){ .json = JSON_NONE };
	rc = http_do(r->http[q->origin], &h, &r->resp, mono_min(deadline, mono_after(ANSWER_LIMIT)), e);
	buf_wipe(&head);
	if (rc < 0) {
		a->sent = q->kind == REST_ONCE && r->resp.sent;
		return a->sent || e->kind == ERR_TLS || e->kind == ERR_CANCELLED || e->kind == ERR_CONFIG ? EX_FAILED : EX_AGAIN;
	}
	note_budget(r);
	if (r->resp.head.status == 429)
		return EX_THROTTLED;
	a->status = r->resp.head.status;
	a->text = buf_str(&r->resp.body);
	arena_reset(&r->scratch);
	if (a->text.n > 0)
		(void)json_parse(&r->scratch, a->text, &a->json, NULL);
	if (a->status == 401 && r->o.renews && !again)
		return EX_DENIED;
	/* A web page with status 200 comes from something in between. */
	if (q->kind != REST_ONCE && a->status == 200 && !r->o.not_json && json_type(a->json) != JSON_OBJECT)
		err_set(e, ERR_PROTO, a->status, "the answer is not JSON");
	else if (!retry_cloud_status(a->status))
		return EX_DONE;
	else
		err_set(e, ERR_SERVER, a->status, "HTTP status %d", a->status);
	/* A gateway's 502 or 504 does not tell whether the server behind it did it. */
	a->sent = q->kind == REST_ONCE;
	return a->sent ? EX_FAILED : EX_AGAIN;
}

int
rest_call(struct rest *r, const struct rest_request *q, struct rest_answer *a, mono_t deadline, struct err *e)
{
	bool again = false;

	for (unsigned attempt = 0; ; ) {
		struct err why = { 0 };

		switch (exchange(r, q, again, a, deadline, &why)) {
		case EX_DONE:
			return a->status;
		case EX_DENIED:
			again = true;
			continue;
		case EX_THROTTLED:
			if (rate_limited(r, q->kind, deadline, e) < 0)
				goto fail;
			continue;
		case EX_FAILED:
			*e = why;
			goto fail;
		case EX_AGAIN:
			break;
		}
		log_debug("Cloud call failed, trying again", F_STR("call", q->method), F_STR("target", q->target), F_ERR(&why));
		if (rest_wait(retry_delay(&retry_cloud, attempt++, rand_below(UINT64_MAX)), deadline, e) < 0) {
			if (e->kind == ERR_TIMEOUT)
				*e = why;
			goto fail;
		}
	}
fail:
	return err_ctx(e, "%s: %s %s", r->name, q->method, q->target);
}

int
rest_list(struct rest *r, const struct rest_pages *p, mono_t deadline, struct err *e)
{
	struct buf target = { .max = 4096 }, after = { .max = 4096 };
	int rc = 0;

	buf_puts(&target, p->target);
	for (unsigned page = 1; rc == 0; page++) {
		struct rest_request q = { REST_SAFE, p->origin, "GET", target.p, STR_NULL, NULL };
		struct rest_answer a;
		int status;

		if (page > PAGES_MAX) {
			rc = err_set(e, ERR_PROTO, 0, "%s: GET %s: more than %d pages", r->name, p->target, PAGES_MAX);
			break;
		}
		status = rest_call(r, &q, &a, deadline, e);
		rc = status < 0 ? -1 : status == 200 ? p->take(p->ctx, &a, e) : p->refused(p->ctx, &q, &a, e);
		buf_clear(&after);
		if (rc != 0 || !p->next(p->ctx, &a, page, &after))
			break;
		buf_clear(&target);
		buf_putstr(&target, buf_str(&after));
	}
	buf_free(&target);
	buf_free(&after);
	return rc < 0 ? -1 : 0;
}
