/*
 * A broker: runs credential helpers for confined pullers (see broker.h).
 *
 * It may: run docker-credential-NAME for the pairs it was told at its start. It must never: read
 * anything but those pairs and the pullers' questions, talk to a network itself. It ends with its
 * executor, or with the last of its pullers.
 */
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mono.h"
#include "core/proc.h"
#include "job/broker.h"

#define HELPER_LIMIT	(10 * NSEC_SEC)	/* a credential helper is somebody else's program */
/* All the others may have asked before us. */
#define ANSWER_LIMIT	(BROKER_VOICES * HELPER_LIMIT + 5 * NSEC_SEC)
#define WORD_MAX	480		/* bytes of a helper's or a server's name */
#define QUESTION_MAX	1024
#define PAIRS_MAX	(BROKER_PAIRS * (QUESTION_MAX + 16))
#define ANSWER_MAX	(BROKER_ANSWER + 64)
#define FD_PAIRS	3		/* the broker's descriptors */
#define FD_VOICES	4		/* the first of them */

/* ---- what is said ---- */

struct question { int64_t number; struct broker_pair ask; };
struct answer { int64_t number, good; struct str output; };
/* Questions that may be asked, and by how many. */
struct pairs { int64_t voices; struct record_list v; };

static const struct record_field pairs_fields[] = {
	{ 'v', RECORD_NUMBER, true, offsetof(struct pairs, voices), BROKER_VOICES },
	{ 'p', RECORD_LIST, true, offsetof(struct pairs, v), QUESTION_MAX },
};
static const struct record_field question_fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct question, number), 0 },
	{ 'h', RECORD_LINE, true, offsetof(struct question, ask.helper), WORD_MAX },
	{ 's', RECORD_LINE, true, offsetof(struct question, ask.server), WORD_MAX },
};
static const struct record_field answer_fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct answer, number), 0 },
	{ 'g', RECORD_NUMBER, true, offsetof(struct answer, good), 1 },
	{ 'o', RECORD_BYTES, false, offsetof(struct answer, output), BROKER_ANSWER },
};

#define TYPE(kind, name, fields)	{ name, fields, NELEM(fields), kind }
static const struct record_type pairs_type = TYPE('l', "a list of pairs", pairs_fields);
static const struct record_type question_type = TYPE('q', "a question", question_fields);
static const struct record_type answer_type = TYPE('a', "an answer", answer_fields);

void
broker_allow(struct broker_pairs *p, struct arena *a, struct str helper, struct str server)
{
	/* A name with a slash would run any program there is. */
	if (helper.n == 0 || server.n == 0 || str_chr(helper, '/') >= 0 || p->n == BROKER_PAIRS ||
	    !record_is_line(helper, WORD_MAX) || !record_is_line(server, WORD_MAX))
		return;
	for (size_t i = 0; i < p->n; i++)
		if (str_eq(helper, p->v[i].helper) && str_eq(server, p->v[i].server))
			return;
	p->v[p->n++] = (struct broker_pair){ arena_str(a, helper), arena_str(a, server) };
}

/* ---- the broker's side ---- */

static bool
run_helper(const struct broker_pairs *p, const struct broker_pair *asked, struct buf *out)
{
	char program[WORD_MAX + 32];
	const char *const argv[] = { program, "get", NULL };

	for (size_t i = 0; i < p->n; i++) {
		const struct broker_pair *one = &p->v[i];

		if (!str_eq(asked->helper, one->helper) || !str_eq(asked->server, one->server))
			continue;
		snprintf(program, sizeof(program), "docker-credential-%.*s", STR_ARG(one->helper));
		return proc_run(argv, one->server, out, mono_after(HELPER_LIMIT), NULL) == 0 &&
		    !out->failed;
	}
	return false;
}

/* One question; false when nobody is there any more, or somebody who does not know how to ask. */
static bool
answer(const struct broker_pairs *p, int fd)
{
	struct buf said = { .max = BROKER_ANSWER }, packet = { .max = ANSWER_MAX };
	struct question q;
	struct answer a = { 0 };
	struct err e = { 0 };
	char text[QUESTION_MAX];
	ssize_t n = recv(fd, text, sizeof(text), 0);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	if (record_get(&question_type, str_of(text, (size_t)n), &q, &e) < 0) {
		log_error("Broker was asked wrongly", F_ERR(&e));
		return false;
	}
	a.number = q.number;
	if (run_helper(p, &q.ask, &said)) {
		a.good = 1;
		a.output = buf_str(&said);
	}
	record_put(&answer_type, &a, &packet);
	(void)send(fd, packet.p, packet.n, MSG_NOSIGNAL);
	buf_wipe(&said);
	buf_wipe(&packet);
	return true;
}

/* What the executor knew before anybody else had a word; the number of voices, or -1. */
static int
read_pairs(int fd, struct arena *a, struct broker_pairs *p, struct err *e)
{
	struct buf b = { .max = PAIRS_MAX };
	struct question one;
	struct pairs all;
	char path[40];
	int rc = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fs_read(AT_FDCWD, path, b.max, &b, e) < 0 ||
	    record_get(&pairs_type, buf_str(&b), &all, e) < 0)
		goto out;
	for (size_t i = 0; i < all.v.n; i++) {
		if (record_get(&question_type, all.v.v[i], &one, e) < 0)
			goto out;
		broker_allow(p, a, one.ask.helper, one.ask.server);
	}
	rc = (int)all.voices;
out:
	buf_free(&b);
	return rc;
}

int
broker_main(int argc, char **argv)
{
	struct pollfd pfd[BROKER_VOICES];
	struct broker_pairs p = { .n = 0 };
	struct arena a = { 0 };
	struct err e = { 0 };
	int n;

	(void)argc;
	(void)argv;
	proc_harden();
	n = read_pairs(FD_PAIRS, &a, &p, &e);
	if (n < 0) {
		log_error("Broker was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	close(FD_PAIRS);
	for (int i = 0; i < n; i++)
		pfd[i] = (struct pollfd){ FD_VOICES + i, POLLIN, 0 };
	/* A puller that has ended leaves the others' voices. */
	for (int alive = n; alive > 0;) {
		if (poll(pfd, (nfds_t)n, -1) < 0)
			continue;
		for (int i = 0; i < n; i++)
			if (pfd[i].revents != 0 && !answer(&p, pfd[i].fd)) {
				close(pfd[i].fd);
				pfd[i].fd = -1;
				alive--;
			}
	}
	return EXIT_OK;
}

/* ---- the side of those who ask ---- */

static int
pairs_fd(const struct broker_pairs *p, size_t voices, struct err *e)
{
	struct buf all = { .max = PAIRS_MAX };
	struct pairs list = { .voices = (int64_t)voices, .v.n = 0 };
	struct arena a = { 0 };
	int fd = -1;

	for (size_t i = 0; i < p->n; i++) {
		const struct question q = { 0, p->v[i] };
		struct buf one = { .max = QUESTION_MAX };

		record_put(&question_type, &q, &one);
		list.v.v[list.v.n++] = arena_str(&a, buf_str(&one));
		buf_free(&one);
	}
	record_put(&pairs_type, &list, &all);
	assert(!all.failed);
	fd = proc_memfd("pairs", buf_str(&all), e);
	buf_free(&all);
	arena_reset(&a);
	return fd;
}

/* far[i] becomes the broker's end of voice i. */
static int
start(const struct broker_pairs *p, const int *far, size_t n, struct err *e)
{
	static const char *const argv[] = { "windlass-broker", NULL };
	struct proc_fd fds[1 + BROKER_VOICES] = { { pairs_fd(p, n, e), FD_PAIRS } };
	int pidfd = -1;
	pid_t pid;

	for (size_t i = 0; i < n; i++)
		fds[1 + i] = (struct proc_fd){ far[i], FD_VOICES + (int)i };
	/* It may run these helpers for these servers, as whoever we are now. */
	if (fds[0].fd >= 0) {
		pidfd = proc_self(argv, fds, 1 + n, PROC_DIES_WITH_PARENT, &pid, e);
		close(fds[0].fd);
	}
	if (pidfd >= 0)
		close(pidfd);
	return pidfd >= 0 ? 0 : -1;
}

int
broker_start(const struct broker_pairs *p, struct broker *voices, size_t n, struct err *e)
{
	int far[BROKER_VOICES], pair[2], rc = 0;
	size_t made = 0;

	assert(n <= BROKER_VOICES);
	if (p->n == 0)
		return 0;
	while (made < n && rc == 0) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
			rc = err_sys(e, "socketpair");
			break;
		}
		voices[made].fd = pair[0];
		far[made++] = pair[1];
	}
	if (rc == 0)
		rc = start(p, far, n, e);
	for (size_t i = 0; i < made; i++) {
		close(far[i]);
		if (rc == 0)
			continue;
		close(voices[i].fd);
		voices[i].fd = 0;
	}
	return rc < 0 ? err_ctx(e, "broker") : 0;
}

/*
 * The answer to the last question, into room: 1, 0 when it was to an earlier one that nobody waited
 * for, -1 when none will come.
 */
static int
hear(const struct broker *b, struct buf *room, struct answer *a)
{
	char *at = buf_room(room, ANSWER_MAX);
	ssize_t n = at != NULL ? recv(b->fd, at, ANSWER_MAX, MSG_DONTWAIT) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0 || record_get(&answer_type, str_of(at, (size_t)n), a, NULL) < 0)
		return -1;
	return a->number == b->asked;
}

int
broker_ask(struct broker *b, struct str helper, struct str server, struct buf *out)
{
	struct question q = { ++b->asked, { helper, server } };
	struct buf packet = { .max = QUESTION_MAX }, room = { .max = ANSWER_MAX + 1 };
	struct pollfd pfd = { b->fd, POLLIN, 0 };
	mono_t limit = mono_after(ANSWER_LIMIT);
	struct answer a = { 0 };
	int heard = -1;

	record_put(&question_type, &q, &packet);
	if (b->fd > 0 && !packet.failed && send(b->fd, packet.p, packet.n, MSG_NOSIGNAL) > 0)
		heard = 0;
	while (heard == 0) {
		if (mono_passed(limit) || (poll(&pfd, 1, mono_ms_until(limit)) < 0 && errno != EINTR))
			break;
		heard = hear(b, &room, &a);
	}
	if (heard > 0 && a.good != 0)
		buf_putstr(out, a.output);
	buf_wipe(&room);
	buf_free(&packet);
	return heard > 0 && a.good != 0 ? 0 : -1;
}
