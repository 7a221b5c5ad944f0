/*
 * A broker: runs credential helpers for a confined executor (see broker.h).
 *
 * It may: run docker-credential-NAME for the pairs it was told at its start. It must never: read anything but those pairs and its
 * executor's questions, talk to a network itself. It ends with its executor.
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
#define ANSWER_LIMIT	(HELPER_LIMIT + 5 * NSEC_SEC)
#define QUESTION_MAX	1024
#define VOICES		2		/* the executor and its puller */
#define FD_PAIRS	3		/* the broker's descriptors */
#define FD_VOICES	4

/* An answer begins with the question's number and whether there is one; a question with its number. */
struct head { uint32_t number, good; };

static int voices[VOICES] = { -1, -1 };
static int voice;
static uint32_t asked;

void
broker_allow(struct broker_pairs *p, struct arena *a, struct str helper, struct str server)
{
	/* A name with a slash would run any program there is. */
	if (helper.n == 0 || server.n == 0 || helper.n + server.n > QUESTION_MAX - 64 || str_chr(helper, '/') >= 0 ||
	    str_chr(helper, '\0') >= 0 || str_chr(server, '\0') >= 0 || str_chr(helper, '\n') >= 0 || str_chr(server, '\n') >= 0 || p->n == BROKER_PAIRS)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (str_eqc(helper, p->v[i].helper) && str_eqc(server, p->v[i].server))
			return;
	p->v[p->n].helper = arena_dup(a, helper);
	p->v[p->n++].server = arena_dup(a, server);
}

/* ---- the broker's side ---- */

static bool
run_helper(const struct broker_pairs *p, struct str question, struct buf *out)
{
	struct str server = question, helper = str_cut(&server, '\0');
	char program[QUESTION_MAX + 32];
	const char *const argv[] = { program, "get", NULL };

	for (size_t i = 0; i < p->n; i++) {
		if (!str_eqc(helper, p->v[i].helper) || !str_eqc(server, p->v[i].server))
			continue;
		snprintf(program, sizeof(program), "docker-credential-%s", p->v[i].helper);
		return proc_run(argv, str_from(p->v[i].server), out, mono_after(HELPER_LIMIT), NULL) == 0 && !out->failed;
	}
	return false;
}

/* One question; false when nobody is there any more. */
static bool
answer(const struct broker_pairs *p, int fd)
{
	char text[sizeof(uint32_t) + QUESTION_MAX];
	struct buf out = { .max = sizeof(struct head) + BROKER_ANSWER };
	struct head h = { 0, 0 };
	ssize_t n = recv(fd, text, sizeof(text), 0);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	if ((size_t)n < sizeof(h.number))
		return true;
	memcpy(&h.number, text, sizeof(h.number));
	buf_put(&out, &h, sizeof(h));
	h.good = run_helper(p, str_of(text + sizeof(h.number), (size_t)n - sizeof(h.number)), &out);
	if (!h.good) {
		buf_clear(&out);
		buf_put(&out, &h, sizeof(h));
	}
	memcpy(out.p, &h, sizeof(h));
	(void)send(fd, out.p, out.n, MSG_NOSIGNAL);
	buf_wipe(&out);
	return true;
}

/* Lines of helper, NUL, server: what the executor knew before anybody else had a word. */
static int
read_pairs(int fd, struct arena *a, struct broker_pairs *p, struct err *e)
{
	struct buf b = { .max = BROKER_PAIRS * (QUESTION_MAX + 2) };
	char path[40];
	struct str text;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fs_read(AT_FDCWD, path, b.max, &b, e) < 0)
		return -1;
	text = buf_str(&b);
	while (text.p != NULL && text.n > 0) {
		struct str server = str_cut(&text, '\n'), helper = str_cut(&server, '\0');

		broker_allow(p, a, helper, server);
	}
	buf_free(&b);
	return 0;
}

int
broker_main(int argc, char **argv)
{
	struct pollfd pfd[VOICES] = { { FD_VOICES, POLLIN, 0 }, { FD_VOICES + 1, POLLIN, 0 } };
	struct broker_pairs p = { .n = 0 };
	struct arena a = { 0 };
	struct err e = { 0 };

	(void)argc;
	(void)argv;
	proc_harden();
	if (read_pairs(FD_PAIRS, &a, &p, &e) < 0) {
		log_error("Broker was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	close(FD_PAIRS);
	for (;;) {
		if (poll(pfd, VOICES, -1) < 0)
			continue;
		for (size_t i = 0; i < VOICES; i++)
			if (pfd[i].revents != 0 && !answer(&p, pfd[i].fd))
				return EXIT_OK;
	}
}

/* ---- the executor's side ---- */

static int
start(const struct broker_pairs *p, const int far[VOICES], struct err *e)
{
	static const char *const argv[] = { "windlass-broker", NULL };
	struct proc_fd fds[] = { { -1, FD_PAIRS }, { far[0], FD_VOICES }, { far[1], FD_VOICES + 1 } };
	struct buf b = { .max = BROKER_PAIRS * (QUESTION_MAX + 2) };
	int pidfd = -1;
	pid_t pid;

	for (size_t i = 0; i < p->n; i++) {
		buf_puts(&b, p->v[i].helper);
		buf_putc(&b, '\0');
		buf_puts(&b, p->v[i].server);
		buf_putc(&b, '\n');
	}
	fds[0].fd = proc_memfd("pairs", buf_str(&b), e);
	buf_free(&b);
	/* It may run these helpers for these servers, as whoever we are now. */
	if (fds[0].fd >= 0) {
		pidfd = proc_self(argv, fds, NELEM(fds), PROC_DIES_WITH_PARENT, &pid, e);
		close(fds[0].fd);
	}
	if (pidfd >= 0)
		close(pidfd);
	return pidfd >= 0 ? 0 : -1;
}

int
broker_start(const struct broker_pairs *p, struct err *e)
{
	int far[VOICES], rc;

	if (p->n == 0)
		return 0;
	for (size_t i = 0; i < VOICES; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return err_sys(e, "socketpair");
		voices[i] = pair[0];
		far[i] = pair[1];
	}
	rc = start(p, far, e);
	for (size_t i = 0; i < VOICES; i++)
		close(far[i]);
	return rc < 0 ? err_ctx(e, "broker") : 0;
}

void
broker_other_voice(void)
{
	voice = 1;
}

int
broker_ask(struct str helper, struct str server, struct buf *out)
{
	struct buf question = { .max = sizeof(uint32_t) + QUESTION_MAX }, text = { .max = sizeof(struct head) + BROKER_ANSWER + 1 };
	struct pollfd pfd = { voices[voice], POLLIN, 0 };
	mono_t limit = mono_after(ANSWER_LIMIT);
	struct head h = { 0, 0 };
	char *room = buf_room(&text, sizeof(h) + BROKER_ANSWER);
	ssize_t n = 0;
	int rc = -1;

	/* A puller that was killed may have left an answer to a question of its own. */
	asked += 1 + 2 * (uint32_t)getpid();
	buf_put(&question, &asked, sizeof(asked));
	buf_putstr(&question, helper);
	buf_putc(&question, '\0');
	buf_putstr(&question, server);
	if (pfd.fd < 0 || question.failed || room == NULL || send(pfd.fd, question.p, question.n, MSG_NOSIGNAL) < 0)
		goto out;
	do {
		if (mono_passed(limit) || (poll(&pfd, 1, mono_ms_until(limit)) < 0 && errno != EINTR))
			goto out;
		n = pfd.revents != 0 ? recv(pfd.fd, room, sizeof(h) + BROKER_ANSWER, MSG_DONTWAIT) : -1;
		if (n == 0)
			goto out;
		if (n >= (ssize_t)sizeof(h))
			memcpy(&h, room, sizeof(h));
	} while (n < (ssize_t)sizeof(h) || h.number != asked);
	if (h.good != 0) {
		buf_put(out, room + sizeof(h), (size_t)n - sizeof(h));
		rc = 0;
	}
out:
	buf_wipe(&text);
	buf_free(&question);
	return rc;
}
