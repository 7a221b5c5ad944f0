/*
 * Messages between our processes, as a broken one might send them: each datagram up to a NUL, "?" is an ask of ours. What is taken
 * is in the table, within its text and in its turn: no answer without an ask, nothing after the last words.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "core/chan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct side {
	int		 fd[2];
	struct chan_talk talk;
	bool		 asked, last;
};

/* False when the conversation is over. */
static bool
hear(struct side *s, struct str one)
{
	struct chan_msg m;
	struct err e = { 0 };
	int rc;

	if (str_eqc(one, "?") && s->talk.peer == CHAN_POLLER && !s->asked) {
		s->asked = chan_send(s->fd[0], &s->talk, CHAN_ASK, &e, "%s", "") == 0;
		(void)!recv(s->fd[1], m.text, sizeof(m.text), 0);
		return true;
	}
	if (one.n == 0 || send(s->fd[1], one.p, one.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return true;
	rc = chan_recv(s->fd[0], &s->talk, &m, &e);
	assert(rc == 1 || (rc == -1 && e.kind == ERR_PROTO));
	if (rc < 0)
		return false;
	assert((unsigned)m.verb < CHAN_NVERBS && m.narg <= NELEM(m.arg) && one.n <= CHAN_MAX);
	for (size_t i = 0; i < m.narg; i++)
		assert(m.arg[i].p >= m.text && m.arg[i].p + m.arg[i].n <= m.text + sizeof(m.text));
	assert(!s->last);
	s->last = m.verb == CHAN_ERROR;
	if (m.verb == CHAN_JOB || m.verb == CHAN_ANSWER) {
		assert(s->asked);
		s->asked = false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size < 4096 ? size : 4096);
	struct err e = { 0 };

	for (int from = CHAN_MANAGER; from <= CHAN_WATCHER; from++) {
		struct side s = { .talk = { from == CHAN_MANAGER ? CHAN_POLLER : CHAN_MANAGER, (enum chan_from)from, 0 } };
		struct str rest = in;

		assert(chan_pair(s.fd, &e) == 0);
		while (rest.p != NULL && hear(&s, str_cut(&rest, '\0')))
			;
		close(s.fd[0]);
		close(s.fd[1]);
	}
	return 0;
}
