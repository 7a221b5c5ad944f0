/* GitLab's coordinator API, one attempt a call: see api.h. */
#include "config/keys.h"
#include "core/fs.h"
#include "core/rand.h"
#include "gitlab/api.h"
#include "policy/refusal.h"
#include "versions.h"
#include "wire/url.h"

#define PEM_MAX		(1u << 20)
#define ERROR_BODY_MAX	(64u << 10)
/* Workhorse answers 413 to longer job requests. */
#define REQUEST_MAX	(32u << 10)

struct gitlab {
	struct http		*http;
	struct tls_trust	*trust;
	struct tls_identity	*identity;
	char			*prefix;	/* "[/path]/api/v4/" */
	enum gitlab_offer	 offer;
	struct callstat		 calls;		/* about jobs: those that say JOB-TOKEN */
};

/* The features that decide which jobs the server gives us, and those it only notes (spec 1.5). Only what is really done is here. */
static const char *const features[] = {
	"variables", "image", "masking", "refspecs", "raw_variables", "multi_build_steps",
	"return_exit_code", "cancelable", "cancel_gracefully", "trace_reset",
	"trace_checksum", "trace_size", "two_phase_job_commit", "image_executor_opts",
};
/* Those of jobs that are run without what they ask for, where the runner's configuration wants that (ignore_unsupported). */
static const char *const unbuilt[] = {
	"services", "cache", "artifacts", "upload_multiple_artifacts", "upload_raw_artifacts", "artifacts_exclude",
	"fallback_cache_keys", "service_executor_opts", "service_variables", "service_multiple_aliases",
};
static const char *const absent[] = {
	"session", "terminal", "shared", "proxy", "vault_secrets", "native_steps_integration", "job_inputs",
};

#if defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

static int
load_pem(const char *file, struct str given, struct buf *b, struct err *e)
{
	b->max = PEM_MAX;
	if (given.p != NULL) {
		buf_putstr(b, given);
		return 0;
	}
	if (file == NULL || file[0] == '\0')
		return 0;
	return fs_read(AT_FDCWD, file, PEM_MAX, b, e);
}

static int
load_tls(struct gitlab *g, const struct gitlab_opts *o, struct err *e)
{
	struct buf ca = { 0 }, cert = { 0 }, key = { 0 };
	int rc = -1;

	if (load_pem(o->ca_file, o->ca_pem, &ca, e) < 0) {
		err_ctx(e, "%s", keys[K_RUNNER_tls_ca_file].name);
		goto out;
	}
	g->trust = tls_trust_new(buf_str(&ca), true, o->ca_file != NULL && o->ca_file[0] != '\0' ?
	    o->ca_file : keys[K_RUNNER_tls_ca_file].name, e);
	if (g->trust == NULL)
		goto out;
	if (o->keep_chain)
		tls_trust_keep_chain(g->trust);
	if (load_pem(o->cert_file, o->cert_pem, &cert, e) < 0 || load_pem(o->key_file, o->key_pem, &key, e) < 0) {
		err_ctx(e, "tls-cert-file, tls-key-file");
		goto out;
	}
	if (cert.n > 0) {
		g->identity = tls_identity_new(buf_str(&cert), buf_str(&key),
		    keys[K_RUNNER_tls_cert_file].name, e);
		if (g->identity == NULL)
			goto out;
	}
	rc = 0;
out:
	buf_free(&ca);
	buf_free(&cert);
	buf_wipe(&key);
	return rc;
}

struct gitlab *
gitlab_open(const struct gitlab_opts *o, struct err *e)
{
	struct gitlab *g = xcalloc(1, sizeof(*g));
	struct http_opts h = { .use_proxy = true, .keepalive_s = 30, .max_age_ns = o->max_age_ns, .keep_begun = true };
	struct buf prefix = { 0 };
	struct url u;

	g->offer = o->offer;
	if (url_parse(str_from(o->url), &u, e) < 0 || load_tls(g, o, e) < 0)
		goto failed;
	h.trust = g->trust;
	h.identity = g->identity;
	g->http = http_new(str_from(o->url), &h, e);
	if (g->http == NULL)
		goto failed;
	buf_putstr(&prefix, u.path);
	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		buf_cut(&prefix, prefix.n - 1);
	buf_puts(&prefix, "/api/v4/");
	g->prefix = buf_take(&prefix);
	return g;
failed:
	err_ctx(e, "GitLab at %s", o->url);
	gitlab_close(g);
	return NULL;
}

void
gitlab_close(struct gitlab *g)
{
	if (g == NULL)
		return;
	http_free(g->http);
	tls_identity_free(g->identity);
	tls_trust_free(g->trust);
	free(g->prefix);
	free(g);
}

void
gitlab_rest(struct gitlab *g)
{
	http_drop(g->http);
}

void
gitlab_answer_free(struct gitlab_answer *a)
{
	buf_wipe(&a->body);
}

void
gitlab_put_info(struct json_w *w, const char *shell, struct str gpus, enum gitlab_offer offer)
{
	jw_object(w, "info");
	jw_cstr(w, "name", "gitlab-runner");
	jw_cstr(w, "version", GITLAB_COMPAT_VERSION);
	jw_cstr(w, "revision", "windlass");
	jw_cstr(w, "platform", "linux");
	jw_cstr(w, "architecture", ARCH);
	jw_cstr(w, "executor", "docker+machine");
	jw_cstr(w, "shell", shell != NULL && shell[0] != '\0' ? shell : "bash");
	jw_object(w, "features");
	for (size_t i = 0; i < NELEM(features); i++)
		jw_bool(w, features[i], true);
	for (size_t i = 0; i < NELEM(unbuilt); i++)
		jw_bool(w, unbuilt[i], offer == GITLAB_OFFER_ALL);
	for (size_t i = 0; i < NELEM(absent); i++)
		jw_bool(w, absent[i], false);
	jw_end_object(w);
	jw_object(w, "config");
	jw_str(w, "gpus", gpus);
	jw_end_object(w);
	jw_end_object(w);
}

/* The answer's headers that the protocol uses. */
static void
take_headers(struct gitlab_answer *a, const struct http_head *h)
{
	struct str v;
	int64_t n;

	a->hint = (struct retry_hint)RETRY_HINT_INIT;
	a->range_end = -1;
	for (size_t i = 0; i < h->nfield; i++)
		retry_hint_header(&a->hint, h->status, h->field[i].name, h->field[i].value, wall_now());
	if (time_parse_http(str_trim(http1_field(h, "Date")), &a->date) < 0)
		a->date = WALL_UNKNOWN;
	if (str_copy(str_trim(http1_field(h, "X-GitLab-Last-Update")), a->last_update, sizeof(a->last_update)) < 0)
		a->last_update[0] = '\0';
	str_copy(str_trim(http1_field(h, "Job-Status")), a->job_status, sizeof(a->job_status));
	if (str_to_i64(str_trim(http1_field(h, "X-GitLab-Trace-Update-Interval")), &n) == 0 && n > 0)
		a->trace_interval = n < 900 ? n : 900;
	v = http1_field(h, "X-Request-Id");
	if (v.n > 0)
		str_copy(v, a->request_id, sizeof(a->request_id));
	v = str_trim(http1_field(h, "Range"));
	if (str_chr(v, '-') >= 0 && str_to_i64(str_sub(v, (size_t)str_chr(v, '-') + 1, v.n), &n) == 0 && n >= 0)
		a->range_end = n;
}

static enum err_kind
kind_of(int status, enum refusal r)
{
	switch (status) {
	case 401:
		return r == REFUSAL_LOGIN ? ERR_AUTH : ERR_SERVER;
	case 403:
		return r == REFUSAL_TOKEN ? ERR_TOKEN : r == REFUSAL_OTHER ? ERR_REFUSED : ERR_SERVER;
	case 404:
		return r == REFUSAL_GONE ? ERR_NOTFOUND : ERR_SERVER;
	case 407:
		return ERR_SERVER;
	case 429:
		return ERR_QUOTA;
	default:
		return status >= 500 ? ERR_SERVER : ERR_REFUSED;
	}
}

/* {"message": "text" | {"field": ["text"]}} or {"error": "text"} as one line. */
static void
take_error(struct gitlab_answer *a, struct str type)
{
	struct arena ar = { 0 };
	struct json_val root, m;
	struct buf text = { .max = 300 };
	enum refusal r = REFUSAL_FOREIGN;

	if (json_parse(&ar, buf_str(&a->body), &root, NULL) == 0) {
		m = json_get(root, "message");
		r = refusal_of(a->status, type, json_str(&ar, m));
		if (!json_present(m))
			m = json_get(root, "error");
		/* So says the job's trace when it is above the server's limit: GitLab's word, and not on a token. */
		if (r == REFUSAL_FOREIGN && a->status == 403 && str_casestarts(type, "application/json") &&
		    str_eqc(json_str(&ar, json_get(root, "error")), "403 Forbidden"))
			r = REFUSAL_OTHER;
		buf_put_quoted(&text, json_type(m) == JSON_STRING ? json_str(&ar, m) : json_raw(m), 200);
	}
	a->own = r != REFUSAL_FOREIGN || a->job_status[0] != '\0' || (a->status == 400 && str_casestarts(type, "application/json"));
	err_set(&a->error, kind_of(a->status, r), a->status, "%s answered %d%s%s%s",
	    a->status == 407 ? "a proxy" : "GitLab", a->status, text.n > 2 ? ": " : "", text.n > 2 ? text.p : "",
	    kind_of(a->status, r) == ERR_SERVER && a->status < 500 && !a->own ?
	    " (not GitLab's word on the token: maintenance, or something on the way)" : "");
	buf_free(&text);
	arena_reset(&ar);
}

static int
read_body(struct gitlab *g, struct gitlab_answer *a, int status, mono_t deadline, struct err *e)
{
	struct str piece;
	int rc;

	while ((rc = http_more(g->http, &piece, deadline, e)) > 0) {
		buf_putstr(&a->body, piece);
		if (status == 201 && a->arriving != NULL)
			a->arriving(a->arriving_ctx, piece);
		if (a->body.failed)
			return err_set(e, ERR_PROTO, 0, "answer of more than %zu bytes", a->body.max != 0 ? a->body.max : (size_t)BUF_MAX_DEFAULT);
	}
	return rc;
}

/* Only redirects that keep method, body and host may be followed; others are the operator's to mend. */
static int
refuse_redirect(struct gitlab *g, const struct http_head *h, struct gitlab_answer *a, struct err *e)
{
	struct buf clean = { .max = 256 };
	struct url u;

	if (url_parse(http1_field(h, "Location"), &u, NULL) == 0)
		url_put_origin(&clean, &u);
	err_set(e, ERR_CONFIG, h->status, "GitLab redirects to %s: write that address as url in config.toml",
	    clean.n > 0 ? clean.p : "another address");
	buf_free(&clean);
	a->status = h->status;
	a->error = *e;
	http_drop(g->http);
	return 0;
}

/*
 * Whether somebody on the way answered in GitLab's place: a sign-in page with 200, a maintenance page with 404, a firewall's
 * with 400. Taken at its word it would lose a result or abort a job. GitLab's API shows no web pages. (429 and 5xx say "later"
 * whoever says it, and how much later.)
 */
static bool
foreign(const struct gitlab_call *c, const struct gitlab_answer *a, const struct http_head *h)
{
	struct str type = str_trim(http1_field(h, "Content-Type"));
	bool success = h->status >= 200 && h->status < 300;

	if (success && a->body.n > 0 && h->status != 204 && strcmp(c->method, "POST") == 0)
		return !str_casestarts(type, "application/json") && !(c->plain && str_casestarts(type, "text/plain"));
	return (success || (h->status >= 400 && h->status < 429)) && h->status != 408 && str_casestarts(type, "text/html");
}

int
gitlab_exchange(struct gitlab *g, const struct gitlab_call *c, struct gitlab_answer *a, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct buf target = { .max = 4096 }, lines = { .max = 16384 };
	struct http_req q = { .method = c->method, .body = c->body };
	mono_t began = mono_now();
	char id[33];
	int rc = -1;

	a->status = 0;
	a->own = false;
	a->date = WALL_UNKNOWN;
	buf_clear(&a->body);
	a->last_update[0] = a->job_status[0] = '\0';
	a->trace_interval = 0;
	a->range_end = -1;
	rand_hex(id, 32);
	str_copy(str_from(id), a->request_id, sizeof(a->request_id));
	buf_fmt(&target, "%s%s", g->prefix, c->path);
	buf_fmt(&lines, "User-Agent: gitlab-runner %s (windlass %s; none; linux/" ARCH ")\r\nX-Request-Id: %s\r\nAccept: application/json\r\n%s",
	    GITLAB_COMPAT_VERSION, WL_VERSION, id, c->head);
	if (target.failed || lines.failed) {
		err_set(e, ERR_REFUSED, 0, "request head too long");
		goto out;
	}
	q.target = buf_str(&target);
	q.head = buf_str(&lines);
	if (http_begin(g->http, &q, &r, deadline, e) < 0)
		goto out;
	take_headers(a, &r.head);
	if (r.head.status >= 301 && r.head.status <= 308 && r.head.status != 304) {
		rc = refuse_redirect(g, &r.head, a, e);
		goto out;
	}
	/* Whoever wants us to stop: an answer that has begun is read to its end (keep_begun). A 201 is a job. */
	rc = read_body(g, a, r.head.status, deadline, e);
	http_end(g->http);
	if (rc < 0)
		goto out;
	if (foreign(c, a, &r.head)) {
		a->job_status[0] = '\0';
		rc = err_set(e, ERR_PROTO, 0, "the answer %d is no JSON: it is not GitLab's (a proxy or a wrong url?)", r.head.status);
		goto out;
	}
	a->status = r.head.status;
	if (a->status < 200 || a->status >= 300)
		take_error(a, str_trim(http1_field(&r.head, "Content-Type")));
out:
	if (rc < 0)
		a->error = *e;
	if (strcmp(c->method, "PUT") == 0 || strcmp(c->method, "PATCH") == 0)
		callstat_add(&g->calls, c->method[1] == 'A' ? CALLSTAT_PATCH_TRACE : CALLSTAT_UPDATE_JOB,
		    a->status != 0 ? a->status : -1, (double)mono_since(began) / NSEC_SEC);
	buf_wipe(&lines);
	buf_free(&target);
	http_resp_free(&r);
	return rc;
}

int
gitlab_request_job(struct gitlab *g, const struct gitlab_self *self, const char *last_update,
    struct gitlab_answer *a, mono_t deadline, struct err *e)
{
	struct buf body = { .max = REQUEST_MAX }, head = { .max = 8192 };
	struct json_w w = { .b = &body };
	int rc;

	jw_object(&w, NULL);
	gitlab_put_info(&w, self->shell, self->gpus, g->offer);
	jw_cstr(&w, "token", secret_reveal(self->token));
	if (self->system_id[0] != '\0')
		jw_cstr(&w, "system_id", self->system_id);
	if (last_update[0] != '\0')
		jw_cstr(&w, "last_update", last_update);
	jw_end_object(&w);
	buf_fmt(&head, "Content-Type: application/json\r\nRUNNER-TOKEN: %s\r\n",
	    secret_reveal(self->token));
	if (body.failed || head.failed)
		rc = err_set(e, ERR_REFUSED, 0, "job request above %u bytes", REQUEST_MAX);
	else
		rc = gitlab_exchange(g, &(struct gitlab_call){ "POST", "jobs/request", head.p, buf_str(&body), false }, a, deadline, e);
	buf_wipe(&body);
	buf_wipe(&head);
	return rc;
}

int
gitlab_patch_trace(struct gitlab *g, struct gitlab_job job, const struct gitlab_piece *piece,
    struct gitlab_answer *a, mono_t deadline, struct err *e)
{
	struct buf head = { .max = 16384 };
	char path[96];
	int rc;

	/* The server takes an empty body for a protocol error. */
	assert(piece->bytes.n > 0);
	snprintf(path, sizeof(path), "jobs/%" PRId64 "/trace?debug_trace=%s", job.id,
	    piece->debug_trace ? "true" : "false");
	buf_fmt(&head, "Content-Type: text/plain\r\nJOB-TOKEN: %s\r\nContent-Range: %" PRId64 "-%" PRId64 "\r\n",
	    secret_reveal(job.token), piece->start, piece->start + (int64_t)piece->bytes.n - 1);
	rc = head.failed ? err_set(e, ERR_REFUSED, 0, "job token too long") :
	    gitlab_exchange(g, &(struct gitlab_call){ "PATCH", path, head.p, piece->bytes, false },
	    a, deadline, e);
	buf_wipe(&head);
	return rc;
}

int
gitlab_update_job(struct gitlab *g, struct gitlab_job job, const struct gitlab_update *u,
    struct gitlab_answer *a, mono_t deadline, struct err *e)
{
	struct buf body = { .max = 64u << 10 }, head = { .max = 16384 };
	struct json_w w = { .b = &body };
	char path[64], crc[24];
	int rc;

	snprintf(path, sizeof(path), "jobs/%" PRId64, job.id);
	snprintf(crc, sizeof(crc), "crc32:%08" PRIx32, u->crc);
	jw_object(&w, NULL);
	gitlab_put_info(&w, u->shell, u->gpus, g->offer);
	jw_cstr(&w, "token", secret_reveal(job.token));
	jw_cstr(&w, "state", u->state);
	if (u->failure_reason != NULL)
		jw_cstr(&w, "failure_reason", u->failure_reason);
	jw_cstr(&w, "checksum", crc);
	jw_object(&w, "output");
	jw_cstr(&w, "checksum", crc);
	if (u->bytes > 0)
		jw_i64(&w, "bytesize", u->bytes);
	jw_end_object(&w);
	if (u->exit_code != 0)
		jw_i64(&w, "exit_code", u->exit_code);
	jw_end_object(&w);
	buf_fmt(&head, "Content-Type: application/json\r\nJOB-TOKEN: %s\r\n",
	    secret_reveal(job.token));
	rc = body.failed || head.failed ? err_set(e, ERR_REFUSED, 0, "job token too long") :
	    gitlab_exchange(g, &(struct gitlab_call){ "PUT", path, head.p, buf_str(&body), false }, a, deadline, e);
	buf_wipe(&body);
	buf_wipe(&head);
	return rc;
}

void
gitlab_put_calls(const struct gitlab *g, struct json_w *w)
{
	jw_array(w, "calls");
	for (size_t i = 0; i < g->calls.n; i++) {
		const struct callstat_row *r = &g->calls.row[i];

		jw_object(w, NULL);
		jw_cstr(w, "endpoint", callstat_endpoint_name(r->endpoint));
		jw_i64(w, "status", r->status);
		jw_i64(w, "n", (int64_t)r->n);
		jw_f64(w, "seconds", r->seconds);
		jw_array(w, "buckets");
		for (size_t k = 0; k <= CALLSTAT_NBOUNDS; k++)
			jw_i64(w, NULL, (int64_t)r->bucket[k]);
		jw_end_array(w);
		jw_end_object(w);
	}
	jw_end_array(w);
}

struct str
gitlab_chain(struct gitlab *g)
{
	struct tls *t = http_tls(g->http);

	return t != NULL ? tls_chain_pem(t) : STR("");
}
