/* A machine's engine: see health.h. */
#include "core/fs.h"
#include "docker/probe.h"
#include "machine/certs.h"
#include "machine/health.h"
#include "net/dial.h"
#include "net/http.h"
#include "policy/fault.h"

#define PEM_MAX		(64u << 10)
#define ANSWER_MAX	(256u << 10)
#define AGAIN_NS	(200 * NSEC_MSEC)
#define TRY_NS		(10 * NSEC_SEC)

struct link {
	struct http		*http;
	struct tls_trust	*trust;
	struct tls_identity	*identity;
};

static void
link_close(struct link *g)
{
	http_free(g->http);
	tls_trust_free(g->trust);
	tls_identity_free(g->identity);
	*g = (struct link){ 0 };
}

/* The machine's own copy, else the store's. */
static int
read_pem(int dir, const char *name, const char *fallback, struct buf *b, struct err *e)
{
	if (fs_exists(dir, name))
		return fs_read(dir, name, PEM_MAX, b, e);
	if (fallback == NULL || fallback[0] == '\0')
		return err_set(e, ERR_NOTFOUND, 0, "%s is missing", name);
	return fs_read(AT_FDCWD, fallback, PEM_MAX, b, e);
}

/* Whose eyes the engine is looked at with. */
enum eyes { OURS, DOCKERS };

/* What a machine's files say of its engine. */
struct papers {
	struct url	u;
	struct buf	ca, cert, key, server;
};

static void
papers_free(struct papers *p)
{
	buf_free(&p->ca);
	buf_free(&p->cert);
	buf_wipe(&p->key);
	buf_free(&p->server);
}

/* p is to be freed in any case. */
static int
papers_read(struct papers *p, const struct machine_host *h, int dir, struct err *e)
{
	*p = (struct papers){ .ca = { .max = PEM_MAX }, .cert = { .max = PEM_MAX }, .key = { .max = PEM_MAX }, .server = { .max = PEM_MAX } };
	if (cloud_url(&h->cloud)[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "it has no address");
	if (url_parse(str_from(cloud_url(&h->cloud)), &p->u, e) < 0 ||
	    read_pem(dir, "ca.pem", h->auth.ca_cert, &p->ca, e) < 0 ||
	    read_pem(dir, "cert.pem", h->auth.client_cert, &p->cert, e) < 0 ||
	    read_pem(dir, "key.pem", h->auth.client_key, &p->key, e) < 0)
		return -1;
	return fs_exists(dir, "server.pem") ? fs_read(dir, "server.pem", PEM_MAX, &p->server, e) : 0;
}

static int
port_of(const struct url *u)
{
	return u->port != 0 ? u->port : ENGINE_PORT;
}

static int
link_open(struct link *g, const struct machine_host *h, int dir, enum eyes eyes, struct err *e)
{
	struct buf base = { 0 };
	struct http_opts o = { 0 };
	struct papers p;
	int rc = -1;

	if (papers_read(&p, h, dir, e) < 0)
		goto out;
	if (eyes == DOCKERS)
		buf_clear(&p.server);
	if (p.server.n > 0 && !certs_has_name(buf_str(&p.server), h->name))
		g->trust = tls_trust_key(buf_str(&p.server), "server.pem", e);
	else {
		g->trust = tls_trust_new(buf_str(&p.ca), false, "ca.pem", e);
		o.name = p.server.n > 0 ? h->name : NULL;
	}
	if (g->trust == NULL)
		goto out;
	g->identity = tls_identity_new(buf_str(&p.cert), buf_str(&p.key), "cert.pem", e);
	if (g->identity == NULL)
		goto out;
	o.trust = g->trust;
	o.identity = g->identity;
	buf_puts(&base, "https://");
	buf_fmt(&base, str_chr(p.u.host, ':') >= 0 ? "[%.*s]:%d" : "%.*s:%d", STR_ARG(p.u.host), port_of(&p.u));
	g->http = http_new(buf_str(&base), &o, e);
	rc = g->http != NULL ? 0 : -1;
out:
	papers_free(&p);
	buf_free(&base);
	if (rc < 0)
		link_close(g);
	return rc;
}

static int
get(struct link *g, const char *target, struct http_resp *r, mono_t deadline, struct err *e)
{
	struct http_req q = { .method = "GET", .target = str_from(target) };

	r->body.max = ANSWER_MAX;
	if (http_do(g->http, &q, r, deadline, e) < 0)
		return -1;
	if (r->head.status != 200)
		return err_set(e, ERR_SERVER, r->head.status, "the engine answers GET %s with HTTP status %d", target,
		    r->head.status);
	return 0;
}

/* Of a client certificate that has expired the server says only that it refuses it. */
static void
explain(const struct machine_host *h, int dir, enum eyes eyes, struct err *e)
{
	struct buf cert = { .max = PEM_MAX };
	char at[TIME_RFC3339_MAX];
	int64_t ends;

	if ((e->kind == ERR_TLS || e->kind == ERR_NET) && read_pem(dir, "cert.pem", h->auth.client_cert, &cert, NULL) == 0 &&
	    tls_cert_expiry(buf_str(&cert), &ends, NULL) == 0 && ends < wall_seconds(wall_now())) {
		time_rfc3339(wall_of_seconds(ends), 0, at);
		err_set(e, ERR_TLS, 0, "our client certificate (cert.pem) expired on %s: `machine regenerate-certs %s` makes a new one", at, h->name);
	} else if (e->kind == ERR_TLS && eyes == DOCKERS) {
		size_t n = strlen(e->msg);

		snprintf(e->msg + n, sizeof(e->msg) - n, "; the docker client refuses that: `machine regenerate-certs %s` makes a new certificate", h->name);
	}
	buf_free(&cert);
}

static int
check_as(enum eyes eyes, const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct link g = { 0 };
	int rc = link_open(&g, h, machine_dir, eyes, e);

	if (rc == 0 && (rc = get(&g, "/_ping", &r, deadline, e)) < 0)
		explain(h, machine_dir, eyes, e);
	http_resp_free(&r);
	link_close(&g);
	return rc < 0 ? err_ctx(e, "machine %s", h->name) : 0;
}

/* The same for more than a sign of life. NULL on error. */
static struct engine *
engine_of(const struct machine_host *h, int dir, struct err *e)
{
	struct engine *g = NULL;
	struct papers p;

	if (papers_read(&p, h, dir, e) == 0)
		g = engine_new(&(struct engine_opts){ .host = p.u.host, .port = (uint16_t)port_of(&p.u), .name = p.server.n > 0 ? h->name : NULL,
		    .ca_pem = buf_str(&p.ca), .cert_pem = buf_str(&p.cert), .key_pem = buf_str(&p.key), .server_pem = buf_str(&p.server) }, e);
	papers_free(&p);
	return g;
}

int
health_probe(const struct machine_host *h, int machine_dir, bool *unfit, mono_t deadline, struct err *e)
{
	struct engine *g = engine_of(h, machine_dir, e);
	int rc = g != NULL ? 0 : -1;

	*unfit = false;
	if (rc == 0)
		rc = engine_hello(g, mono_min(deadline, mono_after(TRY_NS)), e);
	if (rc == 0) {
		rc = engine_probe(g, deadline, e);
		*unfit = rc < 0 && fault_of_err(e) != FAULT_NONE;
	}
	engine_free(g);
	return rc < 0 ? err_ctx(e, "machine %s", h->name) : 0;
}

int
health_check(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e)
{
	return check_as(OURS, h, machine_dir, deadline, e);
}

int
health_client(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e)
{
	return check_as(DOCKERS, h, machine_dir, deadline, e);
}

int
health_await(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e)
{
	struct err why;

	for (;;) {
		if (health_check(h, machine_dir, mono_min(deadline, mono_after(TRY_NS)), &why) == 0)
			return 0;
		if (why.kind == ERR_CANCELLED || why.kind == ERR_CONFIG || why.kind == ERR_NOTFOUND ||
		    why.kind == ERR_PARSE || mono_passed(mono_add(deadline, -AGAIN_NS)))
			break;
		if (net_pause(AGAIN_NS, &why) < 0)
			break;
	}
	*e = why;
	return -1;
}

int
health_version(const struct machine_host *h, int machine_dir, char *out, size_t size, mono_t deadline,
    struct err *e)
{
	struct http_resp r = { 0 };
	struct arena a = { 0 };
	struct link g = { 0 };
	struct json_val root;
	int rc = link_open(&g, h, machine_dir, OURS, e);

	if (rc == 0 && (rc = get(&g, "/version", &r, deadline, e)) < 0)
		explain(h, machine_dir, OURS, e);
	if (rc == 0)
		rc = json_parse(&a, buf_str(&r.body), &root, e);
	if (rc == 0 && str_copy(json_str(&a, json_get(root, "Version")), out, size) < 0)
		rc = err_set(e, ERR_PROTO, 0, "the engine's version is too long");
	arena_reset(&a);
	http_resp_free(&r);
	link_close(&g);
	return rc < 0 ? err_ctx(e, "machine %s", h->name) : 0;
}
