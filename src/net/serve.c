/* A small HTTP server: see serve.h. */
#include <sys/socket.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "net/serve.h"
#include "wire/http1.h"
#include "wire/ip.h"

/* After the answer what still comes is thrown away for so long: a reset would take the answer from the client. */
#define LINGER		(1 * NSEC_SEC)
#define LINGER_MAX	(64u << 10)
/* A crowd waits here, unanswered, rather than at its own kernels for the seconds of a lost SYN. */
#define BACKLOG		1024

struct conn {
	int		 fd;		/* -1: free */
	enum { ASKING, TAKING, LINGERING } state;
	mono_t		 since, deadline;
	struct buf	 in;
	struct buf	 head;		/* of the answer */
	struct serve_text *body;
	size_t		 sent;		/* of head and body together */
	size_t		 drained;
};

struct server {
	int		 fd;
	serve_fn	*fn;
	void		*ctx;
	struct conn	 conn[SERVE_CONNECTIONS];
};

struct serve_text *
serve_text_new(void)
{
	struct serve_text *t = xcalloc(1, sizeof(*t));

	t->refs = 1;
	return t;
}

struct serve_text *
serve_text_ref(struct serve_text *t)
{
	t->refs++;
	return t;
}

void
serve_text_unref(struct serve_text *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	buf_free(&t->b);
	free(t);
}

/* A name's letters alone; four numbers are an address or nothing. "" and * are every address. */
static bool
could_be_host(struct str h)
{
	bool numbers = true;
	size_t dots = 0;
	struct ip ip;

	for (size_t i = 0; i < h.n; i++) {
		bool digit = h.p[i] >= '0' && h.p[i] <= '9';

		dots += h.p[i] == '.';
		numbers = numbers && (digit || h.p[i] == '.');
		if (!digit && !((h.p[i] | 0x20) >= 'a' && (h.p[i] | 0x20) <= 'z') && strchr("._-:%*", h.p[i]) == NULL)
			return false;
	}
	return !numbers || dots != 3 || ip_parse(h, &ip) == 0;
}

int
serve_parse_address(struct str address, int default_port, char host[256], char port[8], struct err *e)
{
	struct str h = str_trim(address), p = STR_NULL;
	ssize_t colon = str_rchr(h, ':');
	int n = default_port;

	if (str_starts(h, "[")) {
		ssize_t end = str_chr(h, ']');

		if (end < 0)
			return err_set(e, ERR_CONFIG, 0, "the address of the metrics server has a [ without ]");
		p = str_sub(h, (size_t)end + 1, h.n);
		h = str_sub(h, 1, (size_t)end - 1);
		if (p.n > 0 && p.p[0] != ':')
			return err_set(e, ERR_CONFIG, 0, "the address of the metrics server has something between ] and :");
		p = p.n > 0 ? str_sub(p, 1, p.n) : STR_NULL;
	} else if (colon >= 0) {
		p = str_sub(h, (size_t)colon + 1, h.n);
		h = str_sub(h, 0, (size_t)colon);
		if (str_chr(h, ':') >= 0)
			return err_set(e, ERR_CONFIG, 0, "an IPv6 address is written in brackets: [::1]:%d", default_port);
	}
	if (p.p != NULL && (str_to_int(p, &n) < 0 || n < 0 || n > 65535))
		return err_set(e, ERR_CONFIG, 0, "port \"%.*s\" of the metrics server is no number from 0 to 65535", STR_ARG(p));
	if (!could_be_host(h))
		return err_set(e, ERR_CONFIG, 0, "\"%.*s\" is no host: write host:port, such as 127.0.0.1:%d", STR_ARG(h), default_port);
	if (str_copy(h, host, 256) < 0)
		return err_set(e, ERR_CONFIG, 0, "the host name of the metrics server is too long");
	snprintf(port, 8, "%d", n);
	return 0;
}

static int
try_listen(const struct addrinfo *ai, struct err *e)
{
	int on = 1, off = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "" is every address of both kinds. */
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		if (errno == EADDRINUSE)
			err_set(e, ERR_CONFLICT, errno, "the address is in use by another process");
		else
			err_sys(e, "bind");
		close(fd);
		return -1;
	}
	return fd;
}

int
serve_listen(const char *address, int default_port, struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char host[256], port[8];
	int fd = -1, rc;

	if (serve_parse_address(str_from(address), default_port, host, port, e) < 0)
		return -1;
	rc = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_CONFIG, 0, "listen on %s: %s", address, gai_strerror(rc));
	/* IPv6 first: its wildcard takes IPv4 along. */
	for (int family = AF_INET6, pass = 0; pass < 2 && fd < 0; family = AF_INET, pass++)
		for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
			if (ai->ai_family == family && (family == AF_INET || host[0] == '\0' || strchr(host, ':') != NULL || pass == 1))
				fd = try_listen(ai, e);
	/* A name that is IPv6 only. */
	for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
		if (ai->ai_family == AF_INET6)
			fd = try_listen(ai, e);
	freeaddrinfo(list);
	return fd >= 0 ? fd : err_ctx(e, "listen on %s", address);
}

int
serve_parse(struct str in, struct str *method, struct str *path, int *status)
{
	struct http_head h;
	struct err e = { 0 };
	size_t used;
	int rc = http1_request(in, &h, method, path, &used, &e);

	*status = 400;
	if (rc < 0) {
		if (in.n >= SERVE_HEAD_MAX)
			*status = 431;
		return -1;
	}
	if (rc == 0) {
		if (in.n < SERVE_HEAD_MAX)
			return 0;
		*status = 431;
		return -1;
	}
	/* Both forms: "/metrics" and, from those who take us for a proxy, "http://host/metrics". */
	if (str_casestarts(*path, "http://")) {
		*path = str_sub(*path, strlen("http://"), path->n);
		*path = str_chr(*path, '/') >= 0 ? str_sub(*path, (size_t)str_chr(*path, '/'), path->n) : STR("/");
	}
	if (path->n == 0 || path->p[0] != '/')
		return -1;
	for (size_t i = 0; i < path->n; i++)
		if (path->p[i] == '?' || path->p[i] == '#') {
			path->n = i;
			break;
		}
	return 1;
}

static void
conn_close(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->head);
	serve_text_unref(c->body);
	c->body = NULL;
}

static const char *
status_text(int status)
{
	static const struct { int status; const char *text; } texts[] = {
		{ 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < NELEM(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

static void
answer(struct conn *c, bool head, struct serve_answer *a)
{
	size_t n = a->body != NULL ? a->body->b.n : 0;

	buf_fmt(&c->head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
	    a->status, status_text(a->status), a->type, n, a->fields != NULL ? a->fields : "");
	if (head) {
		serve_text_unref(a->body);
		a->body = NULL;
	}
	c->body = a->body;
	c->state = TAKING;
	c->sent = 0;
	c->deadline = mono_after(SERVE_TAKE_WITHIN);
	/* What was asked is not needed any more. */
	buf_free(&c->in);
}

static void
refuse(struct conn *c, int status)
{
	struct serve_answer a = { .status = status, .type = "text/plain; charset=utf-8", .body = serve_text_new() };

	buf_fmt(&a.body->b, "%d %s\n", status, status_text(status));
	answer(c, false, &a);
}

static void
take(struct conn *c)
{
	while (c->state == TAKING) {
		size_t nbody = c->body != NULL ? c->body->b.n : 0;
		struct str left = c->sent < c->head.n ? str_sub(buf_str(&c->head), c->sent, c->head.n) :
		    nbody > 0 ? str_sub(buf_str(&c->body->b), c->sent - c->head.n, nbody) : STR_NULL;
		ssize_t n;

		if (left.n == 0) {
			shutdown(c->fd, SHUT_WR);
			serve_text_unref(c->body);
			c->body = NULL;
			c->state = LINGERING;
			c->deadline = mono_after(LINGER);
			return;
		}
		n = send(c->fd, left.p, left.n, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			conn_close(c);
			return;
		}
		c->sent += (size_t)n;
	}
}

static void
ask(struct server *s, struct conn *c)
{
	struct serve_answer a = { .status = 404, .type = "text/plain; charset=utf-8" };
	struct str method, path;
	int status;
	ssize_t n;
	char *to = buf_room(&c->in, SERVE_HEAD_MAX - c->in.n);

	n = recv(c->fd, to, SERVE_HEAD_MAX - c->in.n, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	buf_grown(&c->in, (size_t)n);
	switch (serve_parse(buf_str(&c->in), &method, &path, &status)) {
	case 0:
		return;
	case 1:
		s->fn(s->ctx, method, path, &a);
		answer(c, str_eqc(method, "HEAD"), &a);
		break;
	default:
		refuse(c, status);
		break;
	}
	take(c);
}

static void
linger(struct conn *c)
{
	char waste[4096];
	ssize_t n;

	while ((n = recv(c->fd, waste, sizeof(waste), 0)) > 0)
		if ((c->drained += (size_t)n) > LINGER_MAX)
			break;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->drained > LINGER_MAX)
		conn_close(c);
}

/* A free place, or the one of whoever has been there longest: first those that have been answered or have not asked. */
static struct conn *
place(struct server *s)
{
	struct conn *oldest = &s->conn[0];

	for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
		struct conn *c = &s->conn[i];

		if (c->fd < 0)
			return c;
		if ((oldest->state == TAKING) > (c->state == TAKING) ||
		    ((oldest->state == TAKING) == (c->state == TAKING) &&
		    mono_before(c->since, oldest->since)))
			oldest = c;
	}
	conn_close(oldest);
	return oldest;
}

static int
welcome(struct server *s, struct err *e)
{
	/* A few at a time: those who are there get their turn. */
	for (int i = 0; i < SERVE_CONNECTIONS / 4; i++) {
		struct sockaddr_storage from;
		socklen_t n = sizeof(from);
		int fd = accept4(s->fd, (struct sockaddr *)(void *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct conn *c;

		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return 0;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			mono_sleep(NSEC_SEC / 10);
			return 0;
		}
		if (fd < 0)
			return err_sys(e, "accept");
		c = place(s);
		*c = (struct conn){ .fd = fd, .state = ASKING, .since = mono_now(), .deadline = mono_after(SERVE_ASK_WITHIN),
		    .in = { .max = SERVE_HEAD_MAX }, .head = { .max = SERVE_HEAD_MAX } };
	}
	return 0;
}

static void
serve_conn(struct server *s, struct conn *c, bool ready)
{
	if (ready)
		switch (c->state) {
		case ASKING:
			ask(s, c);
			break;
		case TAKING:
			take(c);
			break;
		case LINGERING:
			linger(c);
			break;
		}
	if (c->fd < 0 || !mono_passed(c->deadline))
		return;
	if (c->state == ASKING && c->in.n > 0) {
		refuse(c, 408);
		take(c);
		return;
	}
	conn_close(c);
}

int
serve_run(int fd, int stop, serve_fn *fn, void *ctx, struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));
	int rc = -1;

	s->fd = fd;
	s->fn = fn;
	s->ctx = ctx;
	for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
		s->conn[i].fd = -1;
	for (;;) {
		struct pollfd p[SERVE_CONNECTIONS + 2];
		mono_t wake = MONO_NEVER;

		/* Places that are free have fd -1, which poll(2) passes over. */
		for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
			struct conn *c = &s->conn[i];

			p[i] = (struct pollfd){ c->fd, c->state == TAKING ? POLLOUT : POLLIN, 0 };
			if (c->fd >= 0)
				wake = mono_min(wake, c->deadline);
		}
		p[SERVE_CONNECTIONS] = (struct pollfd){ s->fd, POLLIN, 0 };
		p[SERVE_CONNECTIONS + 1] = (struct pollfd){ stop, POLLIN, 0 };
		if (poll(p, NELEM(p), mono_ms_until(wake)) < 0 && errno != EINTR) {
			err_sys(e, "poll");
			break;
		}
		if (p[SERVE_CONNECTIONS + 1].revents != 0) {
			rc = 0;
			break;
		}
		for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
			if (s->conn[i].fd >= 0)
				serve_conn(s, &s->conn[i], p[i].revents != 0);
		if (p[SERVE_CONNECTIONS].revents != 0 && welcome(s, e) < 0)
			break;
	}
	for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
		if (s->conn[i].fd >= 0)
			conn_close(&s->conn[i]);
	free(s);
	return rc;
}
