/* core/chan: what may be said between the manager and its children, and nothing else. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "core/chan.h"
#include "tap.h"

static void
raw(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), 0);
}

/* What comes, one after another; '!' before the one that is refused. A leading ">" is said by us. */
struct scene {
	enum chan_from	 peer;
	const char	*about, *lines[8];
};

static const struct scene scenes[] = {
	{ CHAN_POLLER, "a poller at its work", { "kept 7", "> ask", "kept 8", "job 9", "> ask", "answer nothing 204 0 -", "> stop" } },
	{ CHAN_POLLER, "asked and stopped, its answer still comes", { "> ask", "> stop", "job 9" } },
	{ CHAN_POLLER, "a job unasked", { "!job 9" } },
	{ CHAN_POLLER, "an answer unasked", { "!answer nothing 204 0 -" } },
	{ CHAN_POLLER, "one ask, two jobs", { "> ask", "job 9", "!job 10" } },
	{ CHAN_POLLER, "one ask, a job and an answer", { "> ask", "job 9", "!answer nothing 204 0 -" } },
	{ CHAN_POLLER, "one ask, an answer and a job", { "> ask", "answer later 0 0 -", "!job 9" } },
	{ CHAN_POLLER, "kept, once it serves", { "> ask", "job 9", "!kept 8" } },
	{ CHAN_POLLER, "kept, asked for the second time", { "> ask", "answer later 0 0 -", "> ask", "!kept 8" } },
	{ CHAN_POLLER, "a job after the stop, unasked", { "> ask", "job 9", "> stop", "!job 10" } },
	{ CHAN_MANAGER, "a manager at its work", { "ask", "> job", "ask", "> answer", "stop" } },
	{ CHAN_MANAGER, "a second ask before the answer", { "ask", "!ask" } },
	{ CHAN_MANAGER, "an ask after the stop", { "stop", "!ask" } },
	{ CHAN_MANAGER, "a second stop", { "stop", "!stop" } },
	{ CHAN_OPERATOR, "a machine is made", { "phase m-1 planned", "wait 5", "phase m-1 ready" } },
	{ CHAN_OPERATOR, "a machine is removed", { "phase m-1 deleting", "gone m-1", "error net no answer" } },
	{ CHAN_OPERATOR, "a phase after it is gone", { "gone m-1", "!phase m-1 ready" } },
	{ CHAN_OPERATOR, "gone twice", { "gone m-1", "!gone m-1" } },
	{ CHAN_OPERATOR, "last words twice", { "error net a", "!error net b" } },
	{ CHAN_OPERATOR, "a phase after the last words", { "error net a", "!phase m-1 ready" } },
	{ CHAN_OPERATOR, "gone after the last words", { "error net a", "!gone m-1" } },
	{ CHAN_OPERATOR, "wait after the last words", { "error net a", "!wait 5" } },
	{ CHAN_RECONCILER, "a round of an account", { "stray removed 1 x", "stray young 2 50", "missing m-1", "wait 5" } },
	{ CHAN_RECONCILER, "a stray after the last words", { "error net a", "!stray young 2 50" } },
	{ CHAN_RECONCILER, "missing after the last words", { "error net a", "!missing m-1" } },
	{ CHAN_CHECKER, "a round of machines", { "health m-1 ok", "health m-2 failed x", "error net a" } },
	{ CHAN_CHECKER, "health after the last words", { "error net a", "!health m-1 ok" } },
};

static void
play(const struct scene *s)
{
	struct chan_talk t = { s->peer == CHAN_MANAGER ? CHAN_POLLER : CHAN_MANAGER, s->peer, 0 };
	struct chan_msg m;
	struct err e = { 0 };
	int fd[2];

	if (chan_pair(fd, &e) < 0)
		return;
	for (size_t i = 0; i < NELEM(s->lines) && s->lines[i] != NULL; i++) {
		const char *line = s->lines[i];

		if (line[0] == '>') {
			static const struct { const char *word; enum chan_verb verb; const char *args; } ours[] = {
				{ "ask", CHAN_ASK, "" }, { "stop", CHAN_STOP, "" }, { "job", CHAN_JOB, "9" },
				{ "answer", CHAN_ANSWER, "nothing 204 0 -" },
			};

			for (size_t k = 0; k < NELEM(ours); k++)
				if (strcmp(line + 2, ours[k].word) == 0)
					is_int(chan_send(fd[0], &t, ours[k].verb, &e, "%s", ours[k].args), 0, "%s: %s", s->about, line);
			continue;
		}
		e = (struct err){ 0 };
		raw(fd[1], line + (line[0] == '!'));
		is_int(chan_recv(fd[0], &t, &m, &e), line[0] == '!' ? -1 : 1, "%s: %s", s->about, line);
		if (line[0] == '!')
			ok(e.kind == ERR_PROTO && strstr(e.msg, "out of its turn") != NULL, "  for that: %s", e.msg);
	}
	close(fd[0]);
	close(fd[1]);
}

/* To say what is not ours, or not now, is a bug: the process ends there. */
static void
ends(struct chan_talk t, enum chan_verb verb, const char *about)
{
	struct err e = { 0 };
	int fd[2], status = 0;
	pid_t pid;

	if (chan_pair(fd, &e) < 0)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		(void)chan_send(fd[0], &t, verb, &e, "%s", "x");
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s", about);
	close(fd[0]);
	close(fd[1]);
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
		{ "kept 42", CHAN_POLLER, 1, CHAN_KEPT, 1, "42" },
		{ "kept", CHAN_POLLER, -1, CHAN_KEPT, 0, NULL },
		{ "kept 42", CHAN_OPERATOR, -1, CHAN_KEPT, 0, NULL },
		{ "job ", CHAN_POLLER, -1, CHAN_JOB, 0, NULL },
		{ "job 42", CHAN_OPERATOR, -1, CHAN_JOB, 0, NULL },
		{ "answer later 429 0 GitLab answered 429", CHAN_POLLER, 1, CHAN_ANSWER, 4, "GitLab answered 429" },
		{ "answer nothing 204 0", CHAN_POLLER, 1, CHAN_ANSWER, 3, "0" },
		{ "answer later many 0 -", CHAN_POLLER, -1, CHAN_ANSWER, 0, NULL },
		{ "answer later -1 0 -", CHAN_POLLER, -1, CHAN_ANSWER, 0, NULL },
		{ "answer later 429 18446744073709551615 -", CHAN_POLLER, -1, CHAN_ANSWER, 0, NULL },
		{ "gone m-1", CHAN_OPERATOR, 1, CHAN_GONE, 1, "m-1" },
		{ "gone", CHAN_OPERATOR, -1, CHAN_GONE, 0, NULL },
		{ "gone m-1", CHAN_CHECKER, -1, CHAN_GONE, 0, NULL },
		{ "phase m-1 ready", CHAN_RECONCILER, -1, CHAN_PHASE, 0, NULL },
		{ "phase m-1 ready", CHAN_WATCHER, -1, CHAN_PHASE, 0, NULL },
		{ "phase m-1 ready", CHAN_OPERATOR, 1, CHAN_PHASE, 2, "ready" },
		{ "phase m-1", CHAN_OPERATOR, -1, CHAN_PHASE, 0, NULL },
		{ "wait 1772445600000", CHAN_OPERATOR, 1, CHAN_WAIT, 1, "1772445600000" },
		{ "wait soon", CHAN_OPERATOR, -1, CHAN_WAIT, 0, NULL },
		{ "wait 5", CHAN_WATCHER, 1, CHAN_WAIT, 1, "5" },
		{ "wait", CHAN_OPERATOR, -1, CHAN_WAIT, 0, NULL },
		{ "wait 5", CHAN_POLLER, -1, CHAN_WAIT, 0, NULL },
		{ "error net machine m-1: no answer", CHAN_OPERATOR, 1, CHAN_ERROR, 2, "machine m-1: no answer" },
		{ "health m-1 failed connect 10.0.0.1:2376: refused", CHAN_CHECKER, 1, CHAN_HEALTH, 3, "connect 10.0.0.1:2376: refused" },
		{ "health m-1 ok", CHAN_CHECKER, 1, CHAN_HEALTH, 2, "ok" },
		{ "health m-1", CHAN_CHECKER, -1, CHAN_HEALTH, 0, NULL },
		{ "missing m-1", CHAN_RECONCILER, 1, CHAN_MISSING, 1, "m-1" },
		{ "missing", CHAN_RECONCILER, -1, CHAN_MISSING, 0, NULL },
		{ "health m-1 ok", CHAN_OPERATOR, -1, CHAN_HEALTH, 0, NULL },
		{ "missing m-1", CHAN_OPERATOR, -1, CHAN_MISSING, 0, NULL },
		{ "stray young 4711", CHAN_CHECKER, -1, CHAN_STRAY, 0, NULL },
		{ "missing m-1", CHAN_POLLER, -1, CHAN_MISSING, 0, NULL },
		{ "stray removed 4711 machine m-2", CHAN_RECONCILER, 1, CHAN_STRAY, 3, "machine m-2" },
		{ "stray young 4711", CHAN_RECONCILER, 1, CHAN_STRAY, 2, "4711" },
		{ "sing", CHAN_OPERATOR, -1, CHAN_ERROR, 0, NULL },
	};
	struct chan_talk poller = { CHAN_POLLER, CHAN_MANAGER, 0 }, manager = { CHAN_MANAGER, CHAN_POLLER, 0 }, old;
	struct chan_msg m;
	struct err e = { 0 };
	char big[CHAN_MAX + 10];
	int fd[2];

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct chan_talk t = { CHAN_MANAGER, cases[i].peer, 0 };

		if (chan_pair(fd, &e) < 0)
			return 1;
		if (cases[i].peer == CHAN_MANAGER)
			t.me = CHAN_POLLER;
		else if (cases[i].peer == CHAN_POLLER)
			is_int(chan_send(fd[0], &t, CHAN_ASK, &e, "%s", ""), 0, "asked");
		raw(fd[1], cases[i].text);
		is_int(chan_recv(fd[0], &t, &m, &e), cases[i].rc, "\"%s\"", cases[i].text);
		if (cases[i].rc == 1) {
			ok(m.verb == cases[i].verb && m.narg == cases[i].narg, "  verb and arguments");
			if (cases[i].last != NULL)
				ok(str_eqc(m.arg[m.narg - 1], cases[i].last), "  the last is \"%.*s\"", STR_ARG(m.arg[m.narg - 1]));
		} else
			ok(strstr(e.msg, "not in the table") != NULL, "  for that: %s", e.msg);
		close(fd[0]);
		close(fd[1]);
	}
	for (size_t i = 0; i < NELEM(scenes); i++)
		play(&scenes[i]);
	ends((struct chan_talk){ CHAN_POLLER, CHAN_MANAGER, 0 }, CHAN_ASK, "what is not ours to say");
	ends((struct chan_talk){ CHAN_POLLER, CHAN_MANAGER, 0 }, CHAN_JOB, "what is not to be said now");
	chan_pair(fd, &e);
	is_int(chan_recv(fd[0], &manager, &m, &e), 0, "nothing there: no wait");
	memset(big, 'x', sizeof(big));
	memcpy(big, "kept ", 5);
	(void)!send(fd[1], big, sizeof(big), 0);
	is_int(chan_recv(fd[0], &manager, &m, &e), -1, "too long");
	is_int(e.kind, ERR_PROTO, "  protocol");
	is_int(chan_send(fd[0], &manager, CHAN_ASK, &e, "%s", ""), 0, "ask");
	is_int(chan_recv(fd[1], &poller, &m, &e), 1, "  arrives");
	is_int(chan_send(fd[1], &poller, CHAN_ANSWER, &e, "%s %d %d %s", "lost", 0, 0, "two\nlines"), 0, "answer");
	is_int(chan_recv(fd[0], &manager, &m, &e), 1, "  arrives");
	ok(str_eqc(m.arg[3], "two?lines"), "  control characters do not");
	close(fd[1]);
	is_int(chan_recv(fd[0], &manager, &m, &e), -1, "the other side is gone");
	is_int(e.kind, ERR_NET, "  and told as that");
	old = manager;
	is_int(chan_send(fd[0], &manager, CHAN_ASK, &e, "%s", ""), -1, "what cannot be sent");
	is_int(manager.marks, old.marks, "  was not said");
	return done_testing();
}
