/*
 * HTTP client; see http.h. Framing is wire/http1's business, bytes are
 * tls.c's or the socket's; here is the order of things: connect, send, listen
 * while sending, read, keep or close.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dial.h"
#include "net/http.h"

#define IN_SIZE		16384		/* one TLS record */
#define PIECE		4096		/* of a streamed request body */
#define COALESCE_MAX	16384		/* a body up to this goes out together with the head */
#define INTERIM_MAX	32		/* answers 1xx before the final one */
#define TARGET_SHOWN	160		/* bytes of a path in a message */

/*
 * How fast a body moves; see http_opts.slow_ns. Only time spent waiting for
 * the peer counts, not what the caller does between two pieces.
 */
struct pace {
	dur_t		waited;
	uint64_t	moved;
};

struct http {
	/* where to, never changed */
	bool			 https;
	char			*host;
	uint16_t		 port;
	char			*origin;	/* "https://host:port", as messages and absolute form have it */
	char			*authority;	/* Host field */
	char			*name;		/* to verify */
	struct http_opts	 o;

	/* the connection; fd is -1 when there is none */
	int			 fd;
	struct tls		*tls;
	bool			 via_proxy;	/* requests in absolute form */
	struct buf		 proxy_head;	/* secret */
	mono_t			 born, last_use;
	char			*in;		/* IN_SIZE bytes, only while connected */
	struct str		 rest;		/* of them, not used yet */

	/* the exchange under way */
	bool			 busy;
	bool			 whole;		/* the request was sent to its end */
	bool			 answered;	/* a byte of the answer came */
	bool			 keep;		/* the connection may be used again afterwards */
	struct http1_body	 body;
	struct pace		 pace;
};

struct http *
http_new(struct str base_url, const struct http_opts *o, struct err *e)
{
	struct buf b = { .max = 4096 };
	struct err why;
	struct http *h;
	struct url u;

	if (url_parse(base_url, &u, &why) < 0) {
		err_set(e, ERR_CONFIG, 0, "%s", why.msg);
		return NULL;
	}
	if (!str_caseeq(u.scheme, "http") && !str_caseeq(u.scheme, "https")) {
		err_set(e, ERR_CONFIG, 0, "%.*s: only http and https URLs can be used", STR_ARG(u.scheme));
		return NULL;
	}
	if (str_caseeq(u.scheme, "https") && o->trust == NULL) {
		err_set(e, ERR_CONFIG, 0, "https without anything to trust");
		return NULL;
	}
	h = xcalloc(1, sizeof(*h));
	h->fd = -1;
	h->o = *o;
	h->https = str_caseeq(u.scheme, "https");
	h->host = str_dup(u.host);
	h->port = url_port(&u);
	h->name = o->name != NULL ? xstrdup(o->name) : xstrdup(h->host);
	h->proxy_head.max = 8192;
	url_put_origin(&b, &u);
	h->origin = buf_take(&b);
	/* The origin without "scheme://", so that brackets and the port are as written. */
	h->authority = xstrdup(strstr(h->origin, "://") + 3);
	return h;
}

void
http_drop(struct http *h)
{
	if (h->tls != NULL)
		tls_close(h->tls);
	else if (h->fd >= 0)
		close(h->fd);
	h->tls = NULL;
	h->fd = -1;
	free(h->in);
	h->in = NULL;
	h->rest = STR_NULL;
	h->busy = false;
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	http_drop(h);
	buf_wipe(&h->proxy_head);
	free(h->host);
	free(h->origin);
	free(h->authority);
	free(h->name);
	free(h);
}

void
http_resp_free(struct http_resp *r)
{
	buf_free(&r->head_buf);
	buf_free(&r->body);
}

static mono_t
step(mono_t deadline, dur_t ns, dur_t dflt)
{
	return mono_min(deadline, mono_after(ns > 0 ? ns : dflt));
}

static int
connect_socket(struct http *h, mono_t deadline, struct err *e)
{
	struct dial_opts d = { .keepalive_s = h->o.keepalive_s };
	const char *proxy = NULL;

	h->via_proxy = false;
	buf_wipe(&h->proxy_head);
	buf_clear(&h->proxy_head);
	if (h->o.use_proxy)
		proxy = dial_proxy_for(h->https, str_from(h->host), h->port);
	if (proxy == NULL)
		return dial_tcp(str_from(h->host), h->port, &d, deadline, e);
	if (h->https)
		return dial_connect(proxy, str_from(h->host), h->port, &d, deadline, e);
	h->via_proxy = true;
	return dial_proxy(proxy, &h->proxy_head, &d, deadline, e);
}

static int
connect_peer(struct http *h, mono_t deadline, struct err *e)
{
	h->fd = connect_socket(h, step(deadline, h->o.dial_ns, 30 * NSEC_SEC), e);
	if (h->fd < 0)
		return -1;
	if (h->https) {
		h->tls = tls_open(h->fd, str_from(h->name), h->o.trust, h->o.identity,
		    step(deadline, h->o.handshake_ns, 10 * NSEC_SEC), e);
		if (h->tls == NULL) {
			h->fd = -1;
			return -1;
		}
	}
	h->in = xmalloc(IN_SIZE);
	h->born = mono_now();
	return 0;
}

/*
 * Whether the kept connection is fit for another request. Anything to read
 * on an idle connection is its end, or bytes that belong to no answer.
 */
static bool
usable(const struct http *h)
{
	struct pollfd p = { h->fd, POLLIN, 0 };
	dur_t idle = h->o.idle_ns > 0 ? h->o.idle_ns : 90 * NSEC_SEC;
	mono_t now = mono_now();

	if (h->fd < 0 || h->rest.n > 0 || mono_between(h->last_use, now) > idle)
		return false;
	if (h->o.max_age_ns > 0 && mono_between(h->born, now) > h->o.max_age_ns)
		return false;
	return poll(&p, 1, 0) == 0 && (h->tls == NULL || tls_fresh(h->tls));
}

/* The point in time by which something must have moved. */
static mono_t
pace_deadline(const struct http *h, mono_t deadline)
{
	if (h->o.slow_ns <= 0)
		return deadline;
	return mono_min(deadline, mono_after(h->o.slow_ns - h->pace.waited));
}

/*
 * Takes note of a step that began at `start` and moved n bytes. -1 with *e
 * when the body is too slow; when it is the deadline that passed, *e stays.
 */
static int
pace_note(struct http *h, mono_t start, size_t n, mono_t deadline, struct err *e)
{
	char span[40];

	if (h->o.slow_ns <= 0)
		return 0;
	h->pace.waited += mono_since(start);
	h->pace.moved += n;
	if (h->pace.moved > 0 && h->pace.moved >= h->o.slow_bytes) {
		h->pace = (struct pace){ 0 };
		return 0;
	}
	if (h->pace.waited < h->o.slow_ns || mono_passed(deadline))
		return 0;
	time_go_duration(h->o.slow_ns, span);
	return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "stalled: %" PRIu64 " bytes in %s", h->pace.moved, span);
}

/* Sends; stops early when bytes from the peer wait. The count, or -1. */
static ssize_t
plain_write(int fd, const char *p, size_t n, mono_t deadline, struct err *e)
{
	size_t done = 0;
	char c;

	while (done < n) {
		ssize_t sent;

		if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
			break;
		sent = send(fd, p + done, n - done, MSG_NOSIGNAL);
		if (sent > 0)
			done += (size_t)sent;
		else if (sent == -1 && errno == EAGAIN) {
			if (net_wait(fd, POLLIN | POLLOUT, deadline, e) < 0)
				return -1;
		} else if (sent == -1 && errno != EINTR) {
			err_set(e, ERR_NET, errno, "send: %s", strerror(errno));
			/* It closed, but perhaps it said why. */
			if (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
				break;
			return -1;
		}
	}
	return (ssize_t)done;
}

static ssize_t
conn_write(struct http *h, struct str s, mono_t deadline, struct err *e)
{
	if (h->tls != NULL)
		return tls_write_until_answer(h->tls, s.p, s.n, deadline, e);
	return plain_write(h->fd, s.p, s.n, deadline, e);
}

/* Refills h->rest, which is empty. > 0, 0 the peer ended the stream, -1. */
static ssize_t
fill(struct http *h, mono_t deadline, struct err *e)
{
	ssize_t n;

	for (;;) {
		if (h->tls != NULL) {
			n = tls_read(h->tls, h->in, IN_SIZE, deadline, e);
			break;
		}
		n = recv(h->fd, h->in, IN_SIZE, 0);
		if (n >= 0)
			break;
		if (errno == EAGAIN) {
			if (net_wait(h->fd, POLLIN, deadline, e) < 0)
				return -1;
		} else if (errno != EINTR) {
			return err_set(e, ERR_NET, errno, "recv: %s", strerror(errno));
		}
	}
	if (n > 0) {
		h->rest = str_of(h->in, (size_t)n);
		h->answered = true;
		if (h->o.keep_begun)
			net_control(-1);
	}
	return n;
}

static bool
is_token(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (strchr("!#$%&'*+-.^_`|~0123456789", *s) == NULL &&
		    !(*s >= 'A' && *s <= 'Z') && !(*s >= 'a' && *s <= 'z'))
			return false;
	return true;
}

/*
 * Target and head are made from data by the caller; a CR, LF or blank in the
 * wrong place would let that data write headers, or a second request.
 */
static int
check_request(const struct http_req *q, struct err *e)
{
	struct str left = q->head;

	if (!is_token(q->method))
		return err_set(e, ERR_REFUSED, 0, "not an HTTP method");
	if (q->target.n == 0 || q->target.p[0] != '/')
		return err_set(e, ERR_REFUSED, 0, "the request's path does not begin with a slash");
	for (size_t i = 0; i < q->target.n; i++)
		if (q->target.p[i] <= ' ' || q->target.p[i] >= 0x7f)
			return err_set(e, ERR_REFUSED, 0, "the request's path has a byte that no URL may hold, at offset %zu", i);
	while (left.n > 0) {
		struct str line = str_cut(&left, '\n');
		struct str name = str_sub(line, 0, (size_t)(str_chr(line, ':') > 0 ? str_chr(line, ':') : 0));

		if (left.p == NULL || line.n < 2 || line.p[line.n - 1] != '\r' || name.n == 0 ||
		    str_chr(line, '\r') != (ssize_t)line.n - 1 || str_chr(line, '\0') >= 0)
			return err_set(e, ERR_REFUSED, 0, "a header line of the request is malformed (a line end inside a value?)");
	}
	return 0;
}

static bool
has_no_body(const struct http_req *q)
{
	return q->read == NULL && q->body.p == NULL;
}

static bool
method_is(const struct http_req *q, const char *a)
{
	return strcmp(q->method, a) == 0;
}

static void
put_head(struct http *h, const struct http_req *q, struct buf *b)
{
	buf_fmt(b, "%s ", q->method);
	if (h->via_proxy)
		buf_puts(b, h->origin);
	buf_putstr(b, q->target);
	buf_fmt(b, " HTTP/1.1\r\nHost: %s\r\n", h->authority);
	if (h->via_proxy)
		buf_putstr(b, buf_str(&h->proxy_head));
	buf_putstr(b, q->head);
	if (q->read != NULL)
		buf_fmt(b, "Content-Length: %" PRIu64 "\r\n", q->body_len);
	else if (!has_no_body(q))
		buf_fmt(b, "Content-Length: %zu\r\n", q->body.n);
	else if (!method_is(q, "GET") && !method_is(q, "HEAD") && !method_is(q, "DELETE"))
		buf_puts(b, "Content-Length: 0\r\n");
	buf_puts(b, "\r\n");
}

/* What of a request is still to be sent. */
struct sending {
	struct buf	 head;		/* with the body behind it when that is small */
	struct str	 now;		/* bytes at hand */
	struct str	 body;		/* then these */
	uint64_t	 left;		/* then this many from q->read */
	char		 piece[PIECE];
	bool		 started;	/* q->read was called: it cannot be had again */
};

static int
next_piece(struct sending *s, const struct http_req *q, struct err *e)
{
	ssize_t n;

	if (s->body.n > 0) {
		s->now = s->body;
		s->body = STR_NULL;
		return 0;
	}
	s->started = true;
	n = q->read(q->ctx, s->piece, s->left < PIECE ? (size_t)s->left : PIECE, e);
	if (n < 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_REFUSED, 0, "the request's body ended %" PRIu64 " bytes early", s->left);
	assert((uint64_t)n <= s->left && n <= PIECE);
	s->left -= (uint64_t)n;
	s->now = str_of(s->piece, (size_t)n);
	return 0;
}

/* 1 the request is out, 0 the peer has begun to answer, -1. */
static int
send_more(struct http *h, struct sending *s, const struct http_req *q, mono_t deadline, struct err *e)
{
	for (;;) {
		size_t want = s->now.n < PIECE ? s->now.n : PIECE;
		mono_t start = mono_now();
		ssize_t n;

		if (want == 0) {
			if (s->body.n == 0 && s->left == 0)
				return 1;
			if (next_piece(s, q, e) < 0)
				return -1;
			continue;
		}
		if (h->rest.n > 0)
			return 0;
		n = conn_write(h, str_of(s->now.p, want), pace_deadline(h, deadline), e);
		if (pace_note(h, start, n > 0 ? (size_t)n : 0, deadline, e) < 0 || n < 0)
			return -1;
		s->now = str_sub(s->now, (size_t)n, s->now.n);
		if ((size_t)n < want)
			return 0;
	}
}

/* Reads the next head, final or interim, into r. 0 or -1. */
static int
read_head(struct http *h, struct http_resp *r, mono_t deadline, struct err *e)
{
	buf_clear(&r->head_buf);
	r->head_buf.max = HTTP_HEAD_MAX + IN_SIZE;
	for (;;) {
		size_t before = r->head_buf.n, used;
		ssize_t n = 1;
		int rc = 0;

		if (h->rest.n == 0)
			n = fill(h, deadline, e);
		if (n == 0 && !h->answered)
			return err_set(e, ERR_NET, 0, "the server closed the connection without an answer");
		if (n == 0)
			return err_set(e, ERR_NET, 0, "the server closed the connection in the middle of its answer's head");
		if (n < 0)
			return -1;
		buf_putstr(&r->head_buf, h->rest);
		/* A head ends with a line; looking for it at every byte of a trickle would be quadratic. */
		if (str_chr(h->rest, '\n') >= 0 || r->head_buf.n >= HTTP_HEAD_MAX)
			rc = http1_head(buf_str(&r->head_buf), &r->head, &used, e);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			h->rest = str_sub(h->rest, used - before, h->rest.n);
			return 0;
		}
		h->rest = STR_NULL;
	}
}

/* Whether the answer says that its connection ends with it (RFC 9112 9.3). */
static bool
says_close(const struct http_head *head)
{
	bool close_it = head->minor == 0;

	for (size_t i = 0; i < head->nfield; i++) {
		struct str list = head->field[i].value;

		if (!str_caseeq(head->field[i].name, "Connection"))
			continue;
		while (list.p != NULL) {
			struct str word = str_trim(str_cut(&list, ','));

			if (str_caseeq(word, "close"))
				return true;
			if (str_caseeq(word, "keep-alive"))
				close_it = false;
		}
	}
	return close_it;
}

/* Sends the request and reads the final answer's head. 0 or -1. */
static int
exchange(struct http *h, const struct http_req *q, struct http_resp *r, struct sending *s, mono_t deadline, struct err *e)
{
	h->pace = (struct pace){ 0 };
	r->sent = true;
	for (int interim = 0;; interim++) {
		mono_t until = deadline;

		if (!h->whole) {
			int rc = send_more(h, s, q, deadline, e);

			if (rc < 0)
				return -1;
			h->whole = rc == 1;
		}
		if (h->o.head_ns > 0)
			until = step(deadline, h->o.head_ns, 0);
		if (read_head(h, r, until, e) < 0) {
			if (e->kind == ERR_TIMEOUT && !mono_passed(deadline))
				err_set(e, ERR_TIMEOUT, ETIMEDOUT, "no answer within %" PRId64 " s", h->o.head_ns / NSEC_SEC);
			return -1;
		}
		if (r->head.status / 100 != 1 || r->head.status == 101)
			break;
		if (interim == INTERIM_MAX)
			return err_set(e, ERR_PROTO, r->head.status, "more than %d interim answers", INTERIM_MAX);
	}
	if (http1_body_init(&h->body, method_is(q, "HEAD"), &r->head, e) < 0)
		return -1;
	if (r->head.status == 101)
		h->body = (struct http1_body){ .framing = HTTP1_UNTIL_CLOSE };
	h->keep = h->whole && !says_close(&r->head) && h->body.framing != HTTP1_UNTIL_CLOSE;
	h->pace = (struct pace){ 0 };
	return 0;
}

/* One try on the kept or a fresh connection. 0, -1, or 1: it failed, and may be repeated on a fresh one. */
static int
attempt(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e)
{
	struct sending s = { .head = { .max = HTTP_HEAD_MAX + COALESCE_MAX }, .body = q->body };
	bool repeatable = method_is(q, "GET") || method_is(q, "HEAD") || method_is(q, "PUT") || method_is(q, "DELETE");
	int rc = -1;

	r->reused = usable(h);
	if (!r->reused) {
		http_drop(h);
		if (connect_peer(h, deadline, e) < 0)
			return -1;
	}
	h->busy = true;
	h->whole = h->answered = h->keep = false;
	put_head(h, q, &s.head);
	if (q->read != NULL) {
		s.body = STR_NULL;
		s.left = q->body_len;
	} else if (s.body.n <= COALESCE_MAX) {
		buf_putstr(&s.head, s.body);
		s.body = STR_NULL;
	}
	s.now = buf_str(&s.head);
	if (s.head.failed)
		err_set(e, ERR_REFUSED, 0, "the request's head is longer than %u bytes", HTTP_HEAD_MAX);
	else
		rc = exchange(h, q, r, &s, deadline, e);
	if (rc < 0) {
		bool broken = e->kind == ERR_NET;

		http_drop(h);
		if (broken && r->reused && !h->answered && repeatable && !s.started)
			rc = 1;
	}
	buf_wipe(&s.head);
	return rc;
}

/* Puts "GET https://host/path" in front of an error. Always -1. */
static int
name_request(const struct http *h, const struct http_req *q, struct err *e)
{
	struct str path = q->target;

	path = str_cut(&path, '?');
	if (path.n > TARGET_SHOWN)
		path.n = TARGET_SHOWN;
	return err_ctx(e, "%s %s%.*s", q->method, h->origin, STR_ARG(path));
}

int
http_begin(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e)
{
	struct err first = { 0 };
	int rc;

	assert(!h->busy);
	buf_clear(&r->head_buf);
	buf_clear(&r->body);
	r->sent = r->reused = false;
	if (check_request(q, e) < 0)
		return -1;
	rc = attempt(h, q, r, deadline, &first);
	if (rc == 1)
		rc = attempt(h, q, r, deadline, &first);
	if (rc == 0)
		return 0;
	err_set(e, first.kind, first.sys, "%s", first.msg);
	return name_request(h, q, e);
}

/* http_more() without words about whose answer it is. */
static int
next_part(struct http *h, struct str *piece, mono_t deadline, struct err *e)
{
	for (;;) {
		int rc = http1_body_next(&h->body, &h->rest, piece, e);
		mono_t start;
		ssize_t n;

		if (rc != 0)
			return rc;
		if (h->body.done)
			return 0;
		start = mono_now();
		n = fill(h, pace_deadline(h, deadline), e);
		if (pace_note(h, start, n > 0 ? (size_t)n : 0, deadline, e) < 0 || n < 0)
			return -1;
		if (n == 0) {
			if (http1_body_eof(&h->body, e) < 0)
				return -1;
			h->body.done = true;
			return 0;
		}
	}
}

int
http_more(struct http *h, struct str *piece, mono_t deadline, struct err *e)
{
	struct err mine = { 0 };
	int rc;

	if (e == NULL)
		e = &mine;
	if (!h->busy)
		return 0;
	rc = next_part(h, piece, deadline, e);
	if (rc >= 0)
		return rc;
	/* Nothing came in time: the stream is as it was, and the caller may ask again or end it. */
	if (e->kind != ERR_TIMEOUT && e->kind != ERR_CANCELLED)
		http_drop(h);
	return err_ctx(e, "answer of %s", h->origin);
}

int
http_write(struct http *h, struct str data, mono_t deadline, struct err *e)
{
	assert(h->busy);
	if (h->tls != NULL)
		return tls_write(h->tls, data.p, data.n, deadline, e);
	while (data.n > 0) {
		ssize_t n = send(h->fd, data.p, data.n, MSG_NOSIGNAL);

		if (n > 0)
			data = str_sub(data, (size_t)n, data.n);
		else if (n == -1 && errno == EAGAIN) {
			if (net_wait(h->fd, POLLOUT, deadline, e) < 0)
				return -1;
		} else if (n == -1 && errno != EINTR) {
			return err_set(e, ERR_NET, errno, "send: %s", strerror(errno));
		}
	}
	return 0;
}

ssize_t
http_write_until_answer(struct http *h, struct str data, mono_t deadline, struct err *e)
{
	assert(h->busy);
	return h->rest.n > 0 ? 0 : conn_write(h, data, deadline, e);
}

int
http_end_writing(struct http *h, mono_t deadline, struct err *e)
{
	assert(h->busy);
	if (h->tls == NULL)
		return err_set(e, ERR_CONFIG, 0, "a stream without TLS cannot be ended on one side");
	return tls_end_writing(h->tls, deadline, e);
}

void
http_end(struct http *h)
{
	struct str piece;

	if (!h->busy)
		return;
	/* What has come already costs nothing to pass over; more is not waited for. */
	while (h->rest.n > 0 && !h->body.done && http1_body_next(&h->body, &h->rest, &piece, NULL) > 0)
		continue;
	h->busy = false;
	h->last_use = mono_now();
	if (!h->keep || !h->body.done || h->rest.n > 0)
		http_drop(h);
}

int
http_do(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e)
{
	struct str piece;
	int rc;

	if (http_begin(h, q, r, deadline, e) < 0)
		return -1;
	while ((rc = next_part(h, &piece, deadline, e)) > 0) {
		buf_putstr(&r->body, piece);
		if (!r->body.failed)
			continue;
		rc = err_set(e, ERR_PROTO, 0, "the answer's body is longer than %zu bytes",
		    r->body.max > 0 ? r->body.max : (size_t)BUF_MAX_DEFAULT);
		break;
	}
	if (rc < 0) {
		http_drop(h);
		return name_request(h, q, e);
	}
	http_end(h);
	return 0;
}

int
http_fd(const struct http *h)
{
	return h->fd;
}

bool
http_pending(const struct http *h)
{
	return h->rest.n > 0 || (h->tls != NULL && tls_pending(h->tls));
}

struct tls *
http_tls(struct http *h)
{
	return h->tls;
}
