/*
 * The metrics server's connections: clients that come, send in pieces, read slowly, stop or vanish, and time that passes between. Two bytes an act: who and
 * what; what follows a sending are its bytes. Each client has got the beginning of the one answer to what it had sent, nobody
 * holds a place or a page for longer than the promise.
 */
#include <sys/socket.h>

#include "core/core.h"
#include "net/serve.h"

static mono_t now;
#define mono_now()		now
#define mono_after(d)		mono_add(now, d)
#define mono_passed(t)		(!mono_before(now, t))

static int waiting = -1;	/* a client's connection that nobody has taken yet */
#define accept4			accepted
static int accepted(int fd, struct sockaddr *from, socklen_t *n, int flags);

/* Fewer places than clients. */
#undef SERVE_CONNECTIONS
#define SERVE_CONNECTIONS	6

#include "net/serve.c"	/* NOLINT(bugprone-suspicious-include): for its connections, with a clock of our own */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS		8
#define PAGE		20000	/* more than goes at once */

struct client {
	int		 fd;		/* its end; -1: none */
	struct conn	*c;
	struct buf	 sent, got;
};

static struct server server;
static struct client client[CLIENTS];
static struct serve_text *page;

static int
accepted(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	int next = waiting;

	assert(fd == server.fd && from != NULL && n != NULL && flags == (SOCK_CLOEXEC | SOCK_NONBLOCK));
	waiting = -1;
	if (next < 0)
		errno = EAGAIN;
	return next;
}

static void
page_for(void *ctx, struct str method, struct str path, struct serve_answer *a)
{
	(void)ctx;
	assert(method.n > 0 && path.n > 0 && path.p[0] == '/');
	a->status = str_eqc(path, "/metrics") ? 200 : 404;
	a->body = str_eqc(path, "/metrics") ? serve_text_ref(page) : NULL;
}

/* What came back is one answer, or the beginning of it, for a request that was there. */
static void
check_got(const struct client *k)
{
	struct str method, path, got = buf_str(&k->got), body;
	int status, rc = serve_parse(str_sub(buf_str(&k->sent), 0, SERVE_HEAD_MAX), &method, &path, &status);
	struct http_head h;
	struct err e = { 0 };
	size_t used;
	int64_t length;

	if (http1_head(got, &h, &used, &e) <= 0) {
		assert(e.kind == ERR_NONE);
		return;
	}
	assert(rc == 1 ? h.status == 200 || h.status == 404 : rc == 0 ? h.status == 408 : h.status == 400 || h.status == 431);
	assert(str_to_i64(http1_field(&h, "Content-Length"), &length) == 0 && str_eqc(http1_field(&h, "Connection"), "close"));
	body = str_sub(got, used, got.n);
	assert((int64_t)body.n <= length && (rc != 1 || !str_eqc(method, "HEAD") || body.n == 0));
	if (h.status == 200)
		assert(length == PAGE && memcmp(body.p, page->b.p, body.n) == 0);
}

static void
forget(struct client *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->c = NULL;
	buf_free(&k->sent);
	buf_free(&k->got);
}

/* Those that are being answered. */
static int
n_taking(void)
{
	int n = 0;

	for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
		n += server.conn[i].fd >= 0 && server.conn[i].state == TAKING;
	return n;
}

static void
come(struct client *k)
{
	int pair[2], small = 1, taking;
	struct conn *c;
	struct err e = { 0 };

	forget(k);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	/* The kernel makes the least of it. */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	taking = n_taking();
	waiting = pair[1];
	assert(welcome(&server, &e) == 0 && waiting < 0);
	for (c = server.conn; c->fd != pair[1]; c++)
		assert(c < server.conn + SERVE_CONNECTIONS - 1);
	for (size_t i = 0; i < CLIENTS; i++)
		if (client[i].c == c)
			client[i].c = NULL;
	/* Who is being answered makes room last of all. */
	assert(taking - n_taking() == (taking == SERVE_CONNECTIONS));
	k->c = c;
	k->fd = pair[0];
}

static void
turn(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *k = &client[i];

		if (k->c == NULL)
			continue;
		serve_conn(&server, k->c, true);
		assert(k->c->in.n <= SERVE_HEAD_MAX && !k->c->head.failed);
		assert(k->c->fd < 0 || mono_before(now, k->c->deadline));
		assert(mono_between(now, k->c->deadline) <= SERVE_TAKE_WITHIN);
		if (k->c->fd < 0)
			k->c = NULL;
	}
}

static void
take_some(struct client *k, size_t n)
{
	char *room = buf_room(&k->got, n);
	ssize_t rc = recv(k->fd, room, n, 0);

	if (rc > 0)
		buf_grown(&k->got, (size_t)rc);
	check_got(k);
}

/* One act of a client's; what is left of the input. */
static struct str
act(struct client *k, uint8_t what, struct str in)
{
	struct str piece = str_sub(in, 0, what >> 2);

	if (k->fd < 0)
		come(k);
	switch (what & 3) {
	case 0:
		if (send(k->fd, piece.p, piece.n, MSG_NOSIGNAL) == (ssize_t)piece.n && k->c != NULL && k->c->state == ASKING)
			buf_putstr(&k->sent, piece);
		return str_sub(in, piece.n, in.n);
	case 1:
		take_some(k, 1 + ((size_t)what >> 2) * 400);
		break;
	case 2:
		now = mono_add(now, (what >> 2) * NSEC_SEC / 4);
		break;
	default:
		if ((what & 4) != 0)
			shutdown(k->fd, SHUT_WR);
		else
			forget(k);
		break;
	}
	return in;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size);

	now = (mono_t){ NSEC_SEC };
	server = (struct server){ .fd = -1, .fn = page_for };
	for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
		server.conn[i].fd = -1;
	for (size_t i = 0; i < CLIENTS; i++)
		client[i] = (struct client){ .fd = -1 };
	page = serve_text_new();
	memset(buf_room(&page->b, PAGE), 'a', PAGE);
	buf_grown(&page->b, PAGE);
	for (size_t i = 0; i < PAGE; i += 251)
		page->b.p[i] = (char)('A' + i % 23);
	while (in.n >= 2) {
		uint8_t who = (uint8_t)in.p[0], what = (uint8_t)in.p[1];

		in = act(&client[who % CLIENTS], what, str_sub(in, 2, in.n));
		turn();
	}
	/* Whoever is still there is not for much longer. */
	for (int i = 0; i < 3; i++) {
		now = mono_add(now, SERVE_TAKE_WITHIN);
		for (size_t j = 0; j < SERVE_CONNECTIONS; j++)
			if (server.conn[j].fd >= 0)
				serve_conn(&server, &server.conn[j], false);
	}
	for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
		assert(server.conn[i].fd < 0);
	assert(page->refs == 1);
	for (size_t i = 0; i < CLIENTS; i++)
		forget(&client[i]);
	serve_text_unref(page);
	return 0;
}
