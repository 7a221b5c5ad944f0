/* Messages between the manager and its children: see chan.h. */
#include <sys/socket.h>
#include <unistd.h>

#include "core/chan.h"

static const struct rule {
	const char	*word;
	enum chan_from	 from;
	size_t		 min_args, max_args;
} rules[CHAN_NVERBS] = {
	[CHAN_ASK] = { "ask", CHAN_MANAGER, 0, 0 },
	[CHAN_STOP] = { "stop", CHAN_MANAGER, 0, 0 },
	[CHAN_JOB] = { "job", CHAN_POLLER, 1, 1 },
	[CHAN_ANSWER] = { "answer", CHAN_POLLER, 3, 4 },
	[CHAN_PHASE] = { "phase", CHAN_OPERATOR, 2, 2 },
	[CHAN_WAIT] = { "wait", CHAN_OPERATOR, 1, 1 },
	[CHAN_ERROR] = { "error", CHAN_OPERATOR, 1, 2 },
	[CHAN_HEALTH] = { "health", CHAN_OPERATOR, 2, 3 },
	[CHAN_MISSING] = { "missing", CHAN_OPERATOR, 1, 1 },
	[CHAN_STRAY] = { "stray", CHAN_OPERATOR, 2, 3 },
};

int
chan_pair(int fd[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(e, "socketpair");
	return 0;
}

int
chan_send(int fd, enum chan_from me, enum chan_verb verb, struct err *e, const char *fmt, ...)
{
	char text[CHAN_MAX];
	size_t n;
	va_list ap;

	assert(rules[verb].from == me);
	n = (size_t)snprintf(text, sizeof(text), "%s ", rules[verb].word);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = '?';
	if (send(fd, text, n, MSG_NOSIGNAL) < 0)
		return err_sys(e, "send \"%s\"", rules[verb].word);
	return 0;
}

static int
parse(struct chan_msg *m, size_t n, enum chan_from peer)
{
	struct str rest = str_of(m->text, n), word = str_cut(&rest, ' ');

	for (size_t v = 0; v < CHAN_NVERBS; v++) {
		const struct rule *r = &rules[v];

		if (!str_eqc(word, r->word) || r->from != peer)
			continue;
		m->verb = (enum chan_verb)v;
		m->narg = 0;
		while (rest.p != NULL && rest.n > 0 && m->narg < r->max_args) {
			if (m->narg + 1 == r->max_args) {
				m->arg[m->narg++] = rest;
				rest = STR_NULL;
			} else
				m->arg[m->narg++] = str_cut(&rest, ' ');
		}
		return (rest.p == NULL || rest.n == 0) && m->narg >= r->min_args ? 0 : -1;
	}
	return -1;
}

int
chan_recv(int fd, enum chan_from peer, struct chan_msg *m, struct err *e)
{
	ssize_t n = recv(fd, m->text, sizeof(m->text), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "receive");
	if (n == 0)
		return err_set(e, ERR_NET, 0, "the other side is gone");
	if ((size_t)n > sizeof(m->text) || parse(m, (size_t)n, peer) < 0)
		return err_set(e, ERR_PROTO, 0, "message not in the table: %.*s",
		    (int)(n < 40 ? n : 40), m->text);
	return 1;
}
