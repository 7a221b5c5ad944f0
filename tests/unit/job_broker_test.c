/* job/broker: which helpers it runs for whom, and what it refuses. This program is the broker, too, when it is started by that name. */
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

#include "core/fs.h"
#include "job/broker.h"
#include "tap.h"

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
	struct broker voices[BROKER_VOICES] = { { 0 } };
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct err e = { 0 };

	is_int(broker_ask(&voices[0], STR("one"), STR("r.example"), &out), -1, "without a broker nobody answers");
	is_int(broker_start(&(struct broker_pairs){ .n = 0 }, voices, &e), 0, "for no pair none is started");
	is_int(voices[0].fd, 0, "  and there is no voice");
	is_int(broker_start(pairs, voices, &e), 0, "a broker for a few pairs: %s", e.msg);
	for (size_t i = 0; i < NELEM(cases); i++)
		for (size_t v = 0; v < BROKER_VOICES; v++) {
			buf_clear(&out);
			is_int(broker_ask(&voices[v], str_from(cases[i].helper), str_from(cases[i].server), &out), cases[i].rc,
			    "voice %zu: %s", v, cases[i].what);
			ok(str_eqc(buf_str(&out), cases[i].rc == 0 ? "get r.example\n" : ""), "  what the helper said");
		}
	close(voices[BROKER_PULLER].fd);
	is_int(broker_ask(&voices[BROKER_EXECUTOR], STR("one"), STR("r.example"), &out), 0, "the end of one leaves the other");
	close(voices[BROKER_EXECUTOR].fd);
	buf_free(&out);
}

/* Whoever does not know how to ask is not asked again. */
static void
test_nonsense(const struct broker_pairs *pairs)
{
	struct broker voices[BROKER_VOICES] = { { 0 } };
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct err e = { 0 };
	struct pollfd p;
	char byte;

	broker_start(pairs, voices, &e);
	(void)!send(voices[BROKER_PULLER].fd, "get r.example", 13, 0);
	p = (struct pollfd){ voices[BROKER_PULLER].fd, POLLIN, 0 };
	ok(poll(&p, 1, 10000) == 1 && recv(p.fd, &byte, 1, MSG_DONTWAIT) == 0, "a voice that talks nonsense is closed");
	is_int(broker_ask(&voices[BROKER_PULLER], STR("one"), STR("r.example"), &out), -1, "  and has no answer any more");
	is_int(broker_ask(&voices[BROKER_EXECUTOR], STR("one"), STR("r.example"), &out), 0, "the other one has");
	close(voices[0].fd);
	close(voices[1].fd);
	buf_free(&out);
}

int
main(int argc, char **argv)
{
	static const char program[] = "#!/bin/sh\nread -r server\necho \"$1 $server\"\n", bad[] = "#!/bin/sh\necho secret\nexit 1\n";
	struct broker_pairs pairs = { .n = 0 };
	char dir[] = "/tmp/job_broker_test.XXXXXX";
	struct err e = { 0 };
	int fd;

	if (argc > 0 && strcmp(argv[0], "windlass-broker") == 0)
		return broker_main(argc, argv);
	if (mkdtemp(dir) == NULL || (fd = fs_opendir(AT_FDCWD, dir, &e)) < 0)
		return 1;
	/* Helpers of the host, that say whom they were asked for. */
	fs_write(fd, "docker-credential-one", str_from(program), 0755, &e);
	fs_write(fd, "docker-credential-two", str_from(program), 0755, &e);
	fs_write(fd, "docker-credential-bad", str_from(bad), 0755, &e);
	setenv("PATH", arena_fmt(&arena, "%s:%s", dir, getenv("PATH")), 1);
	broker_allow(&pairs, &arena, STR("one"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("none"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("bad"), STR("r.example"));
	test_pairs();
	test_questions(&pairs);
	test_nonsense(&pairs);
	close(fd);
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return done_testing();
}
