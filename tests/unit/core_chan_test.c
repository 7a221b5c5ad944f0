/* core/chan: what may be said between the manager and its children, and nothing else. */
#include <sys/socket.h>
#include <unistd.h>

#include "core/chan.h"
#include "tap.h"

static void
raw(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), 0);
}

int
main(void)
{
	static const struct { const char *text; enum chan_from peer; int rc; enum chan_verb verb; size_t narg; const char *last; } cases[] = {
		{ "ask ", CHAN_MANAGER, 1, CHAN_ASK, 0, NULL },
		{ "ask", CHAN_MANAGER, 1, CHAN_ASK, 0, NULL },
		{ "ask now", CHAN_MANAGER, -1, CHAN_ASK, 0, NULL },
		{ "ask ", CHAN_POLLER, -1, CHAN_ASK, 0, NULL },
		{ "job 42", CHAN_POLLER, 1, CHAN_JOB, 1, "42" },
		{ "job ", CHAN_POLLER, -1, CHAN_JOB, 0, NULL },
		{ "job 42", CHAN_OPERATOR, -1, CHAN_JOB, 0, NULL },
		{ "answer later 429 0 GitLab answered 429", CHAN_POLLER, 1, CHAN_ANSWER, 4, "GitLab answered 429" },
		{ "answer nothing 204 0", CHAN_POLLER, 1, CHAN_ANSWER, 3, "0" },
		{ "phase m-1 ready", CHAN_OPERATOR, 1, CHAN_PHASE, 2, "ready" },
		{ "phase m-1", CHAN_OPERATOR, -1, CHAN_PHASE, 0, NULL },
		{ "wait 1772445600000", CHAN_OPERATOR, 1, CHAN_WAIT, 1, "1772445600000" },
		{ "wait", CHAN_OPERATOR, -1, CHAN_WAIT, 0, NULL },
		{ "wait 5", CHAN_POLLER, -1, CHAN_WAIT, 0, NULL },
		{ "error net machine m-1: no answer", CHAN_OPERATOR, 1, CHAN_ERROR, 2, "machine m-1: no answer" },
		{ "health m-1 failed connect 10.0.0.1:2376: refused", CHAN_OPERATOR, 1, CHAN_HEALTH, 3, "connect 10.0.0.1:2376: refused" },
		{ "health m-1 ok", CHAN_OPERATOR, 1, CHAN_HEALTH, 2, "ok" },
		{ "health m-1", CHAN_OPERATOR, -1, CHAN_HEALTH, 0, NULL },
		{ "missing m-1", CHAN_OPERATOR, 1, CHAN_MISSING, 1, "m-1" },
		{ "missing", CHAN_OPERATOR, -1, CHAN_MISSING, 0, NULL },
		{ "missing m-1", CHAN_POLLER, -1, CHAN_MISSING, 0, NULL },
		{ "stray removed 4711 machine m-2", CHAN_OPERATOR, 1, CHAN_STRAY, 3, "machine m-2" },
		{ "stray young 4711", CHAN_OPERATOR, 1, CHAN_STRAY, 2, "4711" },
		{ "sing", CHAN_OPERATOR, -1, CHAN_ERROR, 0, NULL },
	};
	struct chan_msg m;
	struct err e = { 0 };
	char big[CHAN_MAX + 10];
	int fd[2];

	for (size_t i = 0; i < NELEM(cases); i++) {
		if (chan_pair(fd, &e) < 0)
			return 1;
		raw(fd[1], cases[i].text);
		is_int(chan_recv(fd[0], cases[i].peer, &m, &e), cases[i].rc, "\"%s\"", cases[i].text);
		if (cases[i].rc == 1) {
			ok(m.verb == cases[i].verb && m.narg == cases[i].narg, "  verb and arguments");
			if (cases[i].last != NULL)
				ok(str_eqc(m.arg[m.narg - 1], cases[i].last), "  the last is \"%.*s\"", STR_ARG(m.arg[m.narg - 1]));
		}
		close(fd[0]);
		close(fd[1]);
	}
	chan_pair(fd, &e);
	is_int(chan_recv(fd[0], CHAN_POLLER, &m, &e), 0, "nothing there: no wait");
	memset(big, 'x', sizeof(big));
	memcpy(big, "job ", 4);
	(void)!send(fd[1], big, sizeof(big), 0);
	is_int(chan_recv(fd[0], CHAN_POLLER, &m, &e), -1, "too long");
	is_int(e.kind, ERR_PROTO, "  protocol");
	is_int(chan_send(fd[1], CHAN_POLLER, CHAN_ANSWER, &e, "%s %d %d %s", "lost", 0, 0, "two\nlines"), 0, "send");
	is_int(chan_recv(fd[0], CHAN_POLLER, &m, &e), 1, "  arrives");
	ok(str_eqc(m.arg[3], "two?lines"), "  control characters do not");
	close(fd[1]);
	is_int(chan_recv(fd[0], CHAN_POLLER, &m, &e), -1, "the other side is gone");
	is_int(e.kind, ERR_NET, "  and told as that");
	return done_testing();
}
