/*
 * A peer that says what the fuzzer says: connect(2), taken over here, joins the
 * socket to one end of a pair whose other end has the input waiting and then
 * ends. What the code under test sends is not looked at. Include in one file of a program.
 */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include <sys/socket.h>
#include <errno.h>
#include <unistd.h>

#define PEER_MAX	65536

static struct str peer_says;
static int peer_fd = -1;

int	connect(int fd, const struct sockaddr *to, socklen_t n);

int
connect(int fd, const struct sockaddr *to, socklen_t n)
{
	int pair[2];
	ssize_t sent;

	(void)to;
	(void)n;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	/* Each connection hears it from the beginning: what a second one may make of it is part of the game. */
	sent = peer_says.n > 0 ? send(pair[1], peer_says.p, peer_says.n < PEER_MAX ? peer_says.n : PEER_MAX, MSG_NOSIGNAL) : 0;
	assert(sent >= 0);
	shutdown(pair[1], SHUT_WR);
	if (peer_fd >= 0)
		close(peer_fd);
	peer_fd = pair[1];
	dup3(pair[0], fd, O_CLOEXEC);
	close(pair[0]);
	return 0;
}

#endif
