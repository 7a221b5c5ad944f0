/* job/broker: which helpers it runs for whom, and what it refuses. This program is the broker, too, when it is started by that name. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

#include "core/fs.h"
#include "job/broker.h"
#include "tap.h"

#define VOICES	3

static struct arena arena;

static void
test_pairs(void)
{
	static char long_name[600];
	static const struct { const char *what, *helper, *server; size_t n; } cases[] = {
		{ "a pair", "one", "r.example", 1 },
		{ "the same again", "one", "r.example", 1 },
		{ "another server", "one", "s.example", 2 },
		{ "a program elsewhere", "../one", "r.example", 2 },
		{ "no helper", "", "r.example", 2 },
		{ "no server", "one", "", 2 },
		{ "a server of two lines", "one", "r.example\nx", 2 },
		{ "a helper with a control character", "o\001ne", "r.example", 2 },
		{ "a name that is too long", long_name, "r.example", 2 },
	};
	struct broker_pairs p = { .n = 0 };
	char server[32];

	memset(long_name, 'x', sizeof(long_name) - 1);
	for (size_t i = 0; i < NELEM(cases); i++) {
		broker_allow(&p, &arena, str_from(cases[i].helper), str_from(cases[i].server));
		is_int((long long)p.n, (long long)cases[i].n, "%s", cases[i].what);
	}
	for (int i = 0; i < 2 * BROKER_PAIRS; i++) {
		snprintf(server, sizeof(server), "r%d.example", i);
		broker_allow(&p, &arena, STR("one"), str_from(server));
	}
	is_int((long long)p.n, BROKER_PAIRS, "as many as there is room for");
}

static void
test_questions(const struct broker_pairs *pairs)
{
	static const struct { const char *what, *helper, *server; int rc; } cases[] = {
		{ "it answers", "one", "r.example", 0 },
		{ "another server is refused", "one", "s.example", -1 },
		{ "another helper is refused", "two", "r.example", -1 },
		{ "one that is not there has no answer", "none", "r.example", -1 },
		{ "nor has one that fails", "bad", "r.example", -1 },
		{ "nor has a server of two lines", "one", "r.example\nx", -1 },
	};
	struct broker voices[VOICES] = { { 0 } };
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct err e = { 0 };

	is_int(broker_ask(&voices[0], STR("one"), STR("r.example"), &out), -1, "without a broker nobody answers");
	is_int(broker_start(&(struct broker_pairs){ .n = 0 }, voices, VOICES, &e), 0, "for no pair none is started");
	is_int(voices[0].fd, 0, "  and there is no voice");
	is_int(broker_start(pairs, voices, VOICES, &e), 0, "a broker for a few pairs: %s", e.msg);
	for (size_t i = 0; i < NELEM(cases); i++)
		for (size_t v = 0; v < VOICES; v++) {
			buf_clear(&out);
			is_int(broker_ask(&voices[v], str_from(cases[i].helper), str_from(cases[i].server), &out), cases[i].rc,
			    "voice %zu: %s", v, cases[i].what);
			ok(str_eqc(buf_str(&out), cases[i].rc == 0 ? "get r.example\n" : ""), "  what the helper said");
		}
	for (size_t v = VOICES - 1; v > 0; v--) {
		close(voices[v].fd);
		is_int(broker_ask(&voices[0], STR("one"), STR("r.example"), &out), 0, "the end of voice %zu leaves the others", v);
	}
	close(voices[0].fd);
	buf_free(&out);
}

/* Whoever does not know how to ask is not asked again. */
static void
test_nonsense(const struct broker_pairs *pairs)
{
	struct broker voices[VOICES] = { { 0 } };
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct err e = { 0 };
	struct pollfd p;
	char byte;

	broker_start(pairs, voices, VOICES, &e);
	(void)!send(voices[1].fd, "get r.example", 13, 0);
	p = (struct pollfd){ voices[1].fd, POLLIN, 0 };
	ok(poll(&p, 1, 10000) == 1 && recv(p.fd, &byte, 1, MSG_DONTWAIT) == 0, "a voice that talks nonsense is closed");
	is_int(broker_ask(&voices[1], STR("one"), STR("r.example"), &out), -1, "  and has no answer any more");
	is_int(broker_ask(&voices[0], STR("one"), STR("r.example"), &out), 0, "the first one has");
	is_int(broker_ask(&voices[2], STR("one"), STR("r.example"), &out), 0, "the last one has");
	for (size_t v = 0; v < VOICES; v++)
		close(voices[v].fd);
	buf_free(&out);
}

/* As many as there may be ask at once: each has its own answer, and the slow one holds up nobody for good. */
static void
test_side_by_side(const struct broker_pairs *pairs)
{
	static const char *const helpers[] = { "slow", "one", "none", "one" };
	struct broker voices[BROKER_VOICES] = { { 0 } };
	struct err e = { 0 };
	int status, good = 0;
	pid_t pid[BROKER_VOICES];

	is_int(broker_start(pairs, voices, BROKER_VOICES, &e), 0, "a broker with all the voices there may be: %s", e.msg);
	fflush(stdout);
	for (size_t v = 0; v < BROKER_VOICES; v++) {
		pid[v] = fork();
		if (pid[v] == 0) {
			const char *helper = helpers[v % NELEM(helpers)];
			bool has = strcmp(helper, "none") != 0;
			struct buf out = { .max = BROKER_ANSWER + 1 };
			int rc = broker_ask(&voices[v], str_from(helper), STR("r.example"), &out);

			_exit(rc == (has ? 0 : -1) &&
			    str_eqc(buf_str(&out), !has ? "" : helper[0] == 's' ? "slow get r.example\n" : "get r.example\n") ? 0 : 1);
		}
	}
	for (size_t v = 0; v < BROKER_VOICES; v++) {
		waitpid(pid[v], &status, 0);
		good += status == 0;
		close(voices[v].fd);
	}
	is_int(good, BROKER_VOICES, "  each has what it asked for");
}

int
main(int argc, char **argv)
{
	static const char slow[] = "#!/bin/sh\nread -r server\nsleep 0.2\necho \"slow $1 $server\"\n";
	static const char program[] = "#!/bin/sh\nread -r server\necho \"$1 $server\"\n", bad[] = "#!/bin/sh\necho secret\nexit 1\n";
	struct broker_pairs pairs = { .n = 0 };
	char dir[] = "/tmp/job_broker_test.XXXXXX";
	struct err e = { 0 };
	int fd;

	if (argc > 0 && strcmp(argv[0], "windlass-broker") == 0)
		_exit(broker_main(argc, argv));	/* what it holds to its end is no leak */
	if (mkdtemp(dir) == NULL || (fd = fs_opendir(AT_FDCWD, dir, &e)) < 0)
		return 1;
	/* Helpers of the host, that say whom they were asked for. */
	fs_write(fd, "docker-credential-one", str_from(program), 0755, &e);
	fs_write(fd, "docker-credential-two", str_from(program), 0755, &e);
	fs_write(fd, "docker-credential-slow", str_from(slow), 0755, &e);
	fs_write(fd, "docker-credential-bad", str_from(bad), 0755, &e);
	setenv("PATH", arena_fmt(&arena, "%s:%s", dir, getenv("PATH")), 1);
	broker_allow(&pairs, &arena, STR("one"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("none"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("bad"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("slow"), STR("r.example"));
	test_pairs();
	test_questions(&pairs);
	test_nonsense(&pairs);
	test_side_by_side(&pairs);
	close(fd);
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return done_testing();
}
