/* The Engine API, one call at a time: see engine.h. */
#include "docker/engine.h"
#include "net/dial.h"

#define ANSWER_MAX	(16u << 20)
#define STAMP_MAX	64		/* RFC 3339 time and its blank */
#define LINE_MAX_ENGINE	16384		/* bytes of a line that the engine keeps in one log entry */
#define GREETINGS	3		/* of engine_greet() */
#define GREETING_LIMIT	(20 * NSEC_SEC)
#define CALL_TIMEOUT_NS	(120 * NSEC_SEC)	/* to the head of an answer, as upstream */

struct engine {
	struct http		*http;
	struct tls_trust	*by_name, *by_key;	/* a twin owns none of these three */
	struct tls_identity	*identity;
	struct http_opts	 opts;
	char			*base;
	int			 api;		/* minor; 0: not negotiated */
	/* the stream, a log's or an attach's */
	struct http_resp	 resp;
	struct dockermux	 mux;
	struct str		 in;		/* bytes of the current piece not taken yet */
	char			 stamp[STAMP_MAX];
	size_t			 nstamp;
	bool			 in_stamp;
	wall_t			 at;
	size_t			 entry;		/* bytes of the entry under way */
	bool			 newline;	/* it ends with one, so far */
	bool			 cut[2];	/* of stdout and stderr: the last entry was one part of a long line */
	bool			 owed;		/* the newline that the engine lost */
	int			 stream;	/* of the last piece */
	bool			 open;
	bool			 live;		/* attached: no times, nothing to mend */
};

static int
connect_as(struct engine *g, const struct tls_trust *trust, const char *name, struct err *e)
{
	http_free(g->http);
	g->opts.trust = trust;
	g->opts.name = name;
	g->http = http_new(str_from(g->base), &g->opts, e);
	return g->http != NULL ? 0 : -1;
}

bool
engine_lost(const struct err *e)
{
	return e->kind == ERR_NET || e->kind == ERR_TIMEOUT || e->kind == ERR_PROTO || e->kind == ERR_TLS;
}

struct engine *
engine_new(const struct engine_opts *o, struct err *e)
{
	struct engine *g = xcalloc(1, sizeof(*g));
	struct buf base = { 0 };
	bool v6 = str_chr(o->host, ':') >= 0;

	buf_fmt(&base, "https://%s%.*s%s:%u", v6 ? "[" : "", STR_ARG(o->host), v6 ? "]" : "", o->port);
	g->base = buf_take(&base);
	/* A silent job leaves its connection idle for hours, and NATs forget idle flows after minutes. */
	g->opts = (struct http_opts){ .keepalive_s = 10, .dial_ns = 20 * NSEC_SEC, .handshake_ns = 20 * NSEC_SEC,
	    .head_ns = CALL_TIMEOUT_NS };
	g->by_name = tls_trust_new(o->ca_pem, false, "ca.pem", e);
	if (g->by_name == NULL)
		goto failed;
	if (o->server_pem.p != NULL && o->server_pem.n > 0) {
		g->by_key = tls_trust_key(o->server_pem, "server.pem", e);
		if (g->by_key == NULL)
			goto failed;
	}
	g->identity = tls_identity_new(o->cert_pem, o->key_pem, "cert.pem", e);
	if (g->identity == NULL)
		goto failed;
	g->opts.identity = g->identity;
	/* The very key of the machine's certificate is the stronger proof; the name serves where we have no copy of it. */
	if (connect_as(g, g->by_key != NULL ? g->by_key : g->by_name, o->name, e) < 0)
		goto failed;
	return g;
failed:
	engine_free(g);
	return NULL;
}

struct engine *
engine_twin(const struct engine *first, struct err *e)
{
	struct engine *g = xcalloc(1, sizeof(*g));

	g->base = xstrdup(first->base);
	g->opts = first->opts;
	if (connect_as(g, first->opts.trust, first->opts.name, e) == 0)
		return g;
	engine_free(g);
	return NULL;
}

void
engine_free(struct engine *g)
{
	if (g == NULL)
		return;
	engine_stream_end(g);
	http_free(g->http);
	http_resp_free(&g->resp);
	tls_identity_free(g->identity);
	tls_trust_free(g->by_name);
	tls_trust_free(g->by_key);
	free(g->base);
	free(g);
}

void
engine_rest(struct engine *g)
{
	http_drop(g->http);
}

int
engine_api(const struct engine *g)
{
	return g->api;
}

int
engine_hello(struct engine *g, mono_t deadline, struct err *e)
{
	struct http_resp r = { .body = { .max = 4096 } };
	struct http_req q = { .method = "GET", .target = STR("/_ping") };
	struct str v;
	int minor = 0, rc = -1;

	if (http_do(g->http, &q, &r, deadline, e) < 0)
		goto out;
	v = str_trim(http1_field(&r.head, "Api-Version"));
	if (r.head.status >= 500 && v.n == 0) {
		err_set(e, ERR_SERVER, r.head.status, "/_ping answered %d", r.head.status);
		goto out;
	}
	if (str_starts(v, "1."))
		str_to_int(str_sub(v, 2, v.n), &minor);
	if (v.n == 0)
		minor = ENGINE_API_MIN;
	if (minor < ENGINE_API_MIN) {
		err_set(e, ERR_PROTO, 0, "the engine speaks API %.*s; at least 1.%d (Docker 19.03) is needed", STR_ARG(v), ENGINE_API_MIN);
		goto out;
	}
	g->api = minor < ENGINE_API_MAX ? minor : ENGINE_API_MAX;
	rc = 0;
out:
	http_resp_free(&r);
	return rc < 0 ? err_ctx(e, "docker engine") : 0;
}

int
engine_greet(struct engine *g, struct err *e)
{
	int rc = -1;

	for (int i = 0; i < GREETINGS && rc < 0; i++) {
		if (i > 0 && net_pause(NSEC_SEC, e) < 0)
			break;
		rc = engine_hello(g, mono_after(GREETING_LIMIT), e);
		if (rc < 0 && (e->kind == ERR_CANCELLED || e->kind == ERR_TLS))
			break;
	}
	return rc;
}

/* {"message": "..."} as an error of the kind that the status stands for. */
static int
failed_call(int status, struct str body, struct err *e)
{
	struct arena a = { 0 };
	struct json_val root;
	struct buf text = { .max = 600 };
	struct str m = STR("");
	enum err_kind kind = status < 400 ? ERR_REFUSED : status == 404 ? ERR_NOTFOUND : status == 409 ? ERR_CONFLICT :
	    status >= 500 ? ERR_SERVER : status == 401 || status == 403 ? ERR_AUTH : ERR_REFUSED;

	if (json_parse(&a, body, &root, NULL) == 0)
		m = str_trim(json_str(&a, json_get(root, "message")));
	for (size_t i = 0; i < m.n && i < 400; i++)
		buf_putc(&text, (unsigned char)m.p[i] < 0x20 ? ' ' : m.p[i]);
	if (text.n > 0)
		err_set(e, kind, status, "docker engine: %s", text.p);
	else if (status >= 300 && status < 400)
		/* An engine redirects a path that it would have to clean first: no second try changes that. */
		err_set(e, ERR_REFUSED, status, "docker engine: answer %d: a name in the request is none", status);
	else
		err_set(e, ERR_PROTO, status, "docker engine: answer %d without a reason: not the engine's own (a proxy?)", status);
	buf_free(&text);
	arena_reset(&a);
	return -1;
}

int
engine_call(struct engine *g, const struct engine_req *ask, struct arena *a,
    struct json_val *answer, mono_t deadline, struct err *e)
{
	struct http_resp r = { .body = { .max = ANSWER_MAX } };
	struct buf target = { .max = 8192 };
	struct http_req q = { .method = ask->method, .body = ask->body };
	struct str text;
	int rc = -1;

	assert(g->api != 0 && !g->open);
	if (answer != NULL)
		*answer = JSON_NONE;
	buf_fmt(&target, "/v1.%d%s", g->api, ask->path);
	q.target = buf_str(&target);
	q.head = ask->body.p != NULL ? STR("Content-Type: application/json\r\n") : STR("");
	if (ask->body.p == NULL && strcmp(ask->method, "POST") == 0)
		q.body = STR("");
	if (http_do(g->http, &q, &r, deadline, e) < 0) {
		err_ctx(e, "docker engine");
		goto out;
	}
	if (r.head.status >= 400 || (r.head.status >= 300 && r.head.status != 304)) {
		failed_call(r.head.status, buf_str(&r.body), e);
		goto out;
	}
	text = str_trim(buf_str(&r.body));
	/* Whoever answers a question with something else is no engine: a proxy, a sign-in page. */
	if (answer != NULL && (text.n == 0 || (text.p[0] != '{' && text.p[0] != '['))) {
		err_set(e, ERR_PROTO, r.head.status, "docker engine: %s %s: the answer is no JSON",
		    ask->method, ask->path);
		goto out;
	}
	if (answer != NULL && json_parse(a, arena_str(a, text), answer, e) < 0) {
		e->kind = ERR_PROTO;
		err_ctx(e, "docker engine: %s %s", ask->method, ask->path);
		goto out;
	}
	rc = 0;
out:
	buf_free(&target);
	http_resp_free(&r);
	return rc;
}

int
engine_get(struct engine *g, const char *path, struct arena *a, struct json_val *answer,
    mono_t deadline, struct err *e)
{
	const struct engine_req q = { "GET", path, STR_NULL };

	return engine_call(g, &q, a, answer, deadline, e);
}

int
engine_delete(struct engine *g, const char *path, mono_t deadline, struct err *e)
{
	const struct engine_req q = { "DELETE", path, STR_NULL };

	return engine_call(g, &q, NULL, NULL, deadline, e);
}

/* How far the messages of a pull have been looked at: they may come byte by byte, and each byte is looked at once. */
struct scan {
	size_t	at;
	int	depth;
	bool	quoted, escaped;
};

/*
 * The messages of a pull follow each other without a separator that could be trusted: cut at balanced braces. The length of
 * the first one, or -1 while it is not whole.
 */
static ssize_t
message_end(struct scan *c, struct str s)
{
	while (c->at < s.n) {
		char b = s.p[c->at++];

		if (c->escaped)
			c->escaped = false;
		else if (c->quoted) {
			c->escaped = b == '\\';
			c->quoted = b != '"';
		} else if (b == '"')
			c->quoted = true;
		else if (b == '{')
			c->depth++;
		else if (b == '}' && --c->depth == 0)
			return (ssize_t)c->at;
	}
	return -1;
}

/* 0, or -1 when a message says that the pull failed. */
static int
pull_messages(struct scan *c, struct buf *b, const struct engine_image *image, struct err *e)
{
	ssize_t end;
	int rc = 0;

	while (rc == 0 && (end = message_end(c, buf_str(b))) > 0) {
		struct arena a = { 0 };
		struct json_val m, why;

		if (json_parse(&a, str_sub(buf_str(b), 0, (size_t)end), &m, e) < 0) {
			e->kind = ERR_PROTO;
			rc = err_ctx(e, "docker engine: pull");
		}
		else {
			why = json_path(m, "errorDetail.message");
			if (!json_present(why))
				why = json_get(m, "error");
			if (json_present(why))
				rc = err_set(e, ERR_SERVER, 200, "%.400s", json_cstr(&a, why));
			else if (image->tick != NULL)
				image->tick(image->ctx, m);
		}
		buf_drop(b, (size_t)end);
		*c = (struct scan){ 0 };
		arena_reset(&a);
	}
	return rc;
}

int
engine_pull(struct engine *g, const struct engine_image *image, mono_t deadline, struct err *e)
{
	struct http_resp r = { 0 };
	struct buf target = { .max = 8192 }, head = { .max = 65536 }, text = { .max = 1u << 20 };
	struct http_req q = { .method = "POST", .body = STR("") };
	struct scan scan = { 0 };
	struct str piece;
	int rc = -1, more;

	buf_fmt(&target, "/v1.%d/images/create?fromImage=", g->api);
	url_put_encoded(&target, image->name);
	if (image->tag.n > 0) {
		buf_puts(&target, "&tag=");
		url_put_encoded(&target, image->tag);
	}
	if (image->platform.n > 0) {
		buf_puts(&target, "&platform=");
		url_put_encoded(&target, image->platform);
	}
	if (image->auth.n > 0)
		buf_fmt(&head, "X-Registry-Auth: %.*s\r\n", STR_ARG(image->auth));
	q.target = buf_str(&target);
	q.head = buf_str(&head);
	if (http_begin(g->http, &q, &r, deadline, e) < 0) {
		err_ctx(e, "docker engine");
		goto out;
	}
	while ((more = http_more(g->http, &piece, deadline, e)) > 0) {
		buf_putstr(&text, piece);
		if (text.failed) {
			err_set(e, ERR_PROTO, 0, "docker engine: a message of more than 1 MiB during a pull");
			goto end;
		}
		if (r.head.status < 400 && pull_messages(&scan, &text, image, e) < 0)
			goto end;
	}
	if (more < 0)
		err_ctx(e, "docker engine");
	else if (r.head.status >= 400)
		failed_call(r.head.status, buf_str(&text), e);
	else
		rc = 0;
end:
	if (rc < 0)
		http_drop(g->http);
	else
		http_end(g->http);
out:
	buf_free(&target);
	buf_wipe(&head);
	buf_free(&text);
	http_resp_free(&r);
	return rc;
}

int
engine_put_archive(struct engine *g, const char *container, const char *path, struct str tar, mono_t deadline, struct err *e)
{
	struct http_resp r = { .body = { .max = 65536 } };
	struct buf target = { .max = 4096 };
	struct http_req q = { .method = "PUT", .body = tar, .head = STR("Content-Type: application/x-tar\r\n") };
	int rc = -1;

	buf_fmt(&target, "/v1.%d/containers/%s/archive?path=", g->api, container);
	url_put_encoded(&target, str_from(path));
	q.target = buf_str(&target);
	if (http_do(g->http, &q, &r, deadline, e) < 0)
		err_ctx(e, "docker engine");
	else if (r.head.status >= 300)
		failed_call(r.head.status, buf_str(&r.body), e);
	else
		rc = 0;
	buf_free(&target);
	http_resp_free(&r);
	return rc;
}

/* Sends the request for a stream and takes the head of its answer. */
static int
stream_begin(struct engine *g, const struct http_req *q, mono_t deadline, struct err *e)
{
	assert(g->api != 0 && !g->open);
	http_resp_free(&g->resp);
	g->resp = (struct http_resp){ 0 };
	g->mux = (struct dockermux){ 0 };
	g->in = STR_NULL;
	g->in_stamp = g->owed = g->cut[0] = g->cut[1] = false;
	if (http_begin(g->http, q, &g->resp, deadline, e) < 0)
		return err_ctx(e, "docker engine");
	g->open = true;
	if (g->resp.head.status != 200 && g->resp.head.status != 101) {
		struct buf body = { .max = 65536 };
		struct str piece;

		while (http_more(g->http, &piece, deadline, NULL) > 0)
			buf_putstr(&body, piece);
		failed_call(g->resp.head.status, buf_str(&body), e);
		buf_free(&body);
		engine_stream_end(g);
		return -1;
	}
	return 0;
}

int
engine_logs_begin(struct engine *g, const char *container, bool follow, mono_t deadline, struct err *e)
{
	struct buf target = { .max = 4096 };
	struct http_req q = { .method = "GET" };
	int rc;

	buf_fmt(&target, "/v1.%d/containers/%s/logs?stdout=1&stderr=1&timestamps=1&follow=%d", g->api, container, follow);
	q.target = buf_str(&target);
	g->live = false;
	rc = stream_begin(g, &q, deadline, e);
	buf_free(&target);
	return rc;
}

int
engine_attach(struct engine *g, const char *container, mono_t deadline, struct err *e)
{
	struct buf target = { .max = 4096 };
	struct http_req q = { .method = "POST", .head = STR("Connection: Upgrade\r\nUpgrade: tcp\r\n"),
		.body = STR("") };
	int rc;

	buf_fmt(&target, "/v1.%d/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1", g->api, container);
	q.target = buf_str(&target);
	g->live = true;
	rc = stream_begin(g, &q, deadline, e);
	buf_free(&target);
	return rc;
}

ssize_t
engine_stream_send(struct engine *g, struct str data, mono_t deadline, struct err *e)
{
	ssize_t n;

	assert(g->open && g->live);
	n = g->in.n > 0 ? 0 : http_write_until_answer(g->http, data, deadline, e);
	return n < 0 ? err_ctx(e, "docker engine: attach") : n;
}

int
engine_stream_end_stdin(struct engine *g, mono_t deadline, struct err *e)
{
	assert(g->open && g->live);
	return http_end_writing(g->http, deadline, e) < 0 ? err_ctx(e, "docker engine: attach") : 0;
}

/*
 * Each frame is one log entry: the engine's time, a blank, the bytes. The time may
 * be split over reads like anything else. 1 when it is complete.
 */
static int
take_stamp(struct engine *g, struct str *bytes, struct err *e)
{
	while (bytes->n > 0) {
		char c = bytes->p[0];

		*bytes = str_sub(*bytes, 1, bytes->n);
		if (c != ' ') {
			if (g->nstamp == sizeof(g->stamp))
				goto bad;
			g->stamp[g->nstamp++] = c;
			continue;
		}
		if (time_parse_rfc3339(str_of(g->stamp, g->nstamp), &g->at) < 0)
			goto bad;
		g->in_stamp = false;
		return 1;
	}
	return 0;
bad:
	/* Also at the very end of what was read: what comes next would otherwise go on with it. */
	return err_set(e, ERR_PROTO, 0, "docker engine: a log entry without a time");
}

/*
 * A line above 16 KiB is kept in several entries, all but the last of them of that very size. The `local` log driver
 * of engines up to 20.10, at least, forgets the newline of the last one. Whether one is missing here.
 */
static bool
newline_lost(struct engine *g, struct str bytes, bool last)
{
	bool *cut = &g->cut[g->stream == DOCKERMUX_STDERR], lost;

	g->entry += bytes.n;
	if (bytes.n > 0)
		g->newline = bytes.p[bytes.n - 1] == '\n';
	if (!last)
		return false;
	lost = *cut && !g->newline && g->entry < LINE_MAX_ENGINE;
	*cut = !g->newline && g->entry == LINE_MAX_ENGINE;
	return lost;
}

/* The next bytes of the stream, as frames carry them. As engine_stream_next(). */
static int
next_bytes(struct engine *g, struct str *bytes, bool *first, mono_t deadline, struct err *e)
{
	const char *what = g->live ? "attach" : "log";
	int stream, rc;

	for (;;) {
		rc = dockermux_next(&g->mux, &g->in, bytes, &stream, first, e);
		if (rc < 0)
			return err_ctx(e, "docker engine: %s", what);
		if (rc > 0)
			break;
		rc = http_more(g->http, &g->in, deadline, e);
		if (rc < 0)
			return err_ctx(e, "docker engine: %s", what);
		if (rc == 0 && !dockermux_idle(&g->mux))
			return err_set(e, ERR_NET, 0, "docker engine: the %s ends within an entry", what);
		if (rc == 0)
			return 0;
		if (g->live)
			g->at = wall_now();
	}
	if (stream == DOCKERMUX_SYSTEM)
		return err_set(e, ERR_SERVER, 0, "docker engine: %s: %.*s", what, STR_ARG(*bytes));
	g->stream = stream == DOCKERMUX_STDERR ? DOCKERMUX_STDERR : DOCKERMUX_STDOUT;
	return 1;
}

int
engine_stream_next(struct engine *g, struct stream_piece *p, mono_t deadline, struct err *e)
{
	assert(g->open);
	if (g->owed) {
		g->owed = false;
		*p = (struct stream_piece){ g->stream, g->at, STR("\n"), true };
		return 1;
	}
	for (;;) {
		struct str bytes;
		bool first = false;
		int rc = next_bytes(g, &bytes, &first, deadline, e);

		if (rc <= 0)
			return rc;
		if (g->live) {
			*p = (struct stream_piece){ g->stream, g->at, bytes, g->mux.left == 0 };
			return 1;
		}
		if (first) {
			g->in_stamp = true;
			g->nstamp = g->entry = 0;
			g->newline = false;
		}
		if (g->in_stamp) {
			rc = take_stamp(g, &bytes, e);
			if (rc < 0)
				return -1;
			if (rc == 0)
				continue;
		}
		/* An empty rest still tells that its entry is over. */
		g->owed = newline_lost(g, bytes, g->mux.left == 0);
		*p = (struct stream_piece){ g->stream, g->at, bytes, g->mux.left == 0 && !g->owed };
		return 1;
	}
}

void
engine_stream_end(struct engine *g)
{
	if (!g->open)
		return;
	g->open = false;
	/* Neither kind is read to its end when we stop early: the connection is of no further use. */
	http_drop(g->http);
}

bool
engine_stream_live(const struct engine *g)
{
	return g != NULL && g->open && g->live;
}

static void
tar_header(struct buf *tar, const char *name, char type, size_t size, unsigned mode)
{
	char h[512] = { 0 };
	size_t n = strlen(name);
	const char *base = name;
	unsigned sum = 0;

	if (n > 99) {
		/* ustar: what is in front of some slash goes into the prefix field. */
		base = memchr(name + (n - 100), '/', 100);
		assert(base != NULL && base - name < 155);
		memcpy(h + 345, name, (size_t)(base - name));
		base++;
	}
	memcpy(h, base, strlen(base));
	snprintf(h + 100, 8, "%07o", mode & 07777);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	snprintf(h + 124, 12, "%011zo", size);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = type;
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	buf_put(tar, h, sizeof(h));
}

static void
tar_entry(struct buf *tar, const char *name, char type, struct str content, unsigned mode)
{
	static const char zeros[512];

	tar_header(tar, name, type, content.n, mode);
	buf_putstr(tar, content);
	if (content.n % 512 != 0)
		buf_put(tar, zeros, 512 - content.n % 512);
}

void
engine_tar_file(struct buf *tar, const char *name, struct str content, unsigned mode)
{
	tar_entry(tar, name, '0', content, mode);
}

void
engine_tar_pax(struct buf *tar, struct str records)
{
	tar_entry(tar, "pax", 'x', records, 0600);
}

void
engine_tar_dir(struct buf *tar, const char *name, unsigned mode)
{
	tar_header(tar, name, '5', 0, mode);
}

void
engine_tar_end(struct buf *tar)
{
	static const char zeros[1024];

	buf_put(tar, zeros, sizeof(zeros));
}
