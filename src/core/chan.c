/* Messages between the manager and its children: see chan.h. */
#include <sys/socket.h>
#include <unistd.h>

#include "core/chan.h"

#define FROM(who)	(1u << (who))
#define OPERATORS	(FROM(CHAN_OPERATOR) | FROM(CHAN_RECONCILER) | FROM(CHAN_CHECKER) | FROM(CHAN_WATCHER))

/* What a conversation remembers. Both ends put the same marks, each when it hears or says what puts them. */
enum {
	ASKED = 1,	/* and not answered yet */
	SERVING = 2,	/* an ask was answered */
	STOPPED = 4,
	GONE = 8,
	LAST = 16,	/* the last words were said */
};

static const struct rule {
	const char	*word;
	unsigned	 from;		/* FROM() of who may say it */
	size_t		 min_args;
	const char	*args;		/* each a letter: a word or text (w), a number (n) */
	unsigned	 after;		/* marks that must be there */
	unsigned	 not_after;	/* marks that must not; what itself puts one of them is said once */
	unsigned	 puts, takes;
} rules[CHAN_NVERBS] = {
	[CHAN_ASK] = { "ask", FROM(CHAN_MANAGER), 0, "", 0, ASKED | STOPPED, ASKED, 0 },
	[CHAN_STOP] = { "stop", FROM(CHAN_MANAGER), 0, "", 0, STOPPED, STOPPED, 0 },
	/* It may cross the first ask. */
	[CHAN_KEPT] = { "kept", FROM(CHAN_POLLER), 1, "w", 0, SERVING, 0, 0 },
	[CHAN_JOB] = { "job", FROM(CHAN_POLLER), 1, "w", ASKED, 0, SERVING, ASKED },
	[CHAN_ANSWER] = { "answer", FROM(CHAN_POLLER), 3, "wnnw", ASKED, 0, SERVING, ASKED },
	[CHAN_PHASE] = { "phase", FROM(CHAN_OPERATOR), 2, "ww", 0, GONE | LAST, 0, 0 },
	[CHAN_GONE] = { "gone", FROM(CHAN_OPERATOR), 1, "w", 0, GONE | LAST, GONE, 0 },
	[CHAN_WAIT] = { "wait", OPERATORS, 1, "n", 0, LAST, 0, 0 },
	[CHAN_ERROR] = { "error", OPERATORS, 1, "ww", 0, LAST, LAST, 0 },
	[CHAN_HEALTH] = { "health", FROM(CHAN_CHECKER), 2, "www", 0, LAST, 0, 0 },
	[CHAN_MISSING] = { "missing", FROM(CHAN_RECONCILER), 1, "w", 0, LAST, 0, 0 },
	[CHAN_STRAY] = { "stray", FROM(CHAN_RECONCILER), 2, "www", 0, LAST, 0, 0 },
};

int
chan_pair(int fd[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(e, "socketpair");
	return 0;
}

static bool
in_turn(const struct chan_talk *t, const struct rule *r)
{
	return (t->marks & r->after) == r->after && (t->marks & r->not_after) == 0;
}

static void
mark(struct chan_talk *t, const struct rule *r)
{
	t->marks = (t->marks & ~r->takes) | r->puts;
}

int
chan_send(int fd, struct chan_talk *t, enum chan_verb verb, struct err *e, const char *fmt, ...)
{
	const struct rule *r = &rules[verb];
	char text[CHAN_MAX];
	size_t n;
	va_list ap;

	assert((r->from & FROM(t->me)) != 0 && in_turn(t, r));
	n = (size_t)snprintf(text, sizeof(text), "%s ", r->word);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = '?';
	if (send(fd, text, n, MSG_NOSIGNAL) < 0)
		return err_sys(e, "send \"%s\"", r->word);
	/* What was not sent was not said. */
	mark(t, r);
	return 0;
}

static bool
right_form(const struct rule *r, const struct chan_msg *m)
{
	uint64_t number;

	for (size_t i = 0; i < m->narg; i++)
		if (r->args[i] == 'n' && (str_to_u64(m->arg[i], &number) < 0 || number > INT64_MAX))
			return false;
	return m->narg >= r->min_args;
}

/* The rule of what m->text says; NULL: there is none that allows it, whenever it be said. */
static const struct rule *
parse(struct chan_msg *m, size_t n, enum chan_from peer)
{
	struct str rest = str_of(m->text, n), word = str_cut(&rest, ' ');

	for (size_t v = 0; v < CHAN_NVERBS; v++) {
		const struct rule *r = &rules[v];
		size_t max_args = strlen(r->args);

		if (!str_eqc(word, r->word) || (r->from & FROM(peer)) == 0)
			continue;
		m->verb = (enum chan_verb)v;
		m->narg = 0;
		while (rest.p != NULL && rest.n > 0 && m->narg < max_args) {
			if (m->narg + 1 == max_args) {
				m->arg[m->narg++] = rest;
				rest = STR_NULL;
			} else
				m->arg[m->narg++] = str_cut(&rest, ' ');
		}
		return (rest.p == NULL || rest.n == 0) && right_form(r, m) ? r : NULL;
	}
	return NULL;
}

int
chan_recv(int fd, struct chan_talk *t, struct chan_msg *m, struct err *e)
{
	ssize_t n = recv(fd, m->text, sizeof(m->text), MSG_DONTWAIT | MSG_TRUNC);
	const struct rule *r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "receive");
	if (n == 0)
		return err_set(e, ERR_NET, 0, "the other side is gone");
	r = (size_t)n <= sizeof(m->text) ? parse(m, (size_t)n, t->peer) : NULL;
	if (r == NULL || !in_turn(t, r))
		return err_set(e, ERR_PROTO, 0, "message %s: %.*s", r == NULL ? "not in the table" : "out of its turn",
		    (int)(n < 40 ? n : 40), m->text);
	mark(t, r);
	return 1;
}
