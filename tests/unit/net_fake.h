/*
 * A server for the tests of net/ that does exactly what a script says: it
 * accepts, reads what it is told to wait for, and sends, dawdles, closes or
 * resets as written. It runs in a thread; what it was sent can be looked at
 * when it has ended.
 */
#ifndef NET_FAKE_H
#define NET_FAKE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mono.h"

enum fake_op {
	DONE = 0,
	ACCEPT,		/* closes the connection before, if there is one */
	HEAD,		/* reads until a blank line */
	READ,		/* reads n bytes */
	READ_ALL,	/* reads until the client closes */
	SEND,
	TRICKLE,	/* one byte each n ms */
	FLOOD,		/* n bytes 'x' */
	PAUSE,		/* n ms */
	CLOSE,
	RESET,		/* closes with a TCP reset */
};

struct fake_step { enum fake_op op; const char *text; size_t n; };

struct fake {
	int			 fd;
	uint16_t		 port;
	const struct fake_step	*steps;
	struct buf		 got;		/* all that was received */
	int			 accepted;
	bool			 gave_up;	/* the script could not be followed */
	pthread_t		 thread;
};

static void
fake_close(int *fd, bool reset)
{
	struct linger l = { 1, 0 };

	if (*fd == -1)
		return;
	if (reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(*fd);
	*fd = -1;
}

static bool
fake_read(struct fake *f, int fd)
{
	char piece[65536];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	if (n <= 0)
		return false;
	buf_put(&f->got, piece, (size_t)n);
	return true;
}

static bool
fake_send(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool
fake_do(struct fake *f, const struct fake_step *s, int *fd, size_t *seen)
{
	char x[4096];

	switch (s->op) {
	case ACCEPT:
		fake_close(fd, false);
		*fd = accept(f->fd, NULL, NULL);
		f->accepted++;
		return *fd != -1;
	case HEAD:
		for (;;) {
			ssize_t at = str_find(str_sub(buf_str(&f->got), *seen, f->got.n), "\r\n\r\n");

			if (at >= 0) {
				*seen += (size_t)at + 4;
				return true;
			}
			if (!fake_read(f, *fd))
				return false;
		}
	case READ:
		while (f->got.n < *seen + s->n)
			if (!fake_read(f, *fd))
				return false;
		*seen += s->n;
		return true;
	case READ_ALL:
		while (fake_read(f, *fd))
			continue;
		return true;
	case SEND:
		return fake_send(*fd, s->text, s->n > 0 ? s->n : strlen(s->text));
	case TRICKLE:
		for (const char *p = s->text; *p != '\0'; p++) {
			if (!fake_send(*fd, p, 1))
				return false;
			usleep((useconds_t)s->n * 1000);
		}
		return true;
	case FLOOD:
		memset(x, 'x', sizeof(x));
		for (size_t left = s->n; left > 0;) {
			size_t n = left < sizeof(x) ? left : sizeof(x);

			if (!fake_send(*fd, x, n))
				return false;
			left -= n;
		}
		return true;
	case PAUSE:
		usleep((useconds_t)s->n * 1000);
		return true;
	case CLOSE:
	case RESET:
		fake_close(fd, s->op == RESET);
		return true;
	case DONE:
		break;
	}
	return false;
}

static void *
fake_main(void *arg)
{
	struct fake *f = arg;
	size_t seen = 0;
	int fd = -1;

	for (const struct fake_step *s = f->steps; s->op != DONE; s++)
		if (!fake_do(f, s, &fd, &seen)) {
			f->gave_up = true;
			break;
		}
	fake_close(&fd, false);
	return NULL;
}

static void
fake_start(struct fake *f, const struct fake_step *steps)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { 10, 0 };	/* so that no test hangs for ever */
	socklen_t n = sizeof(sin);

	*f = (struct fake){ .steps = steps, .got = { .max = 64u << 20 } };
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 || listen(f->fd, 8) != 0 ||
	    getsockname(f->fd, (struct sockaddr *)&sin, &n) != 0)
		abort();
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	f->port = ntohs(sin.sin_port);
	if (pthread_create(&f->thread, NULL, fake_main, f) != 0)
		abort();
}

/* Waits until the script is at its end. The received bytes stay until fake_free(). */
static void
fake_join(struct fake *f)
{
	pthread_join(f->thread, NULL);
	close(f->fd);
}

static void
fake_free(struct fake *f)
{
	buf_free(&f->got);
}

#endif
