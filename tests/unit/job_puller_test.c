/*
 * job/puller: a puller as its executor has it, with an engine that is not there. This program is the puller, too, when it is started
 * by that name.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "core/fs.h"
#include "job/puller.h"
#include "machine/certs.h"
#include "tap.h"

static struct arena arena;
static struct puller_plan plan = { .engine = { .host = { "127.0.0.1", 9 }, .name = "box" }, .job = "7" };
static char dir[] = "/tmp/job_puller_test.XXXXXX";

static struct str
file(const char *path)
{
	struct buf b = { 0 };
	struct str s;

	fs_read(AT_FDCWD, path, 1u << 16, &b, NULL);
	s = arena_str(&arena, buf_str(&b));
	buf_free(&b);
	return s;
}

/* A port where nobody listens: one that was ours a moment ago. */
static uint16_t
closed_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return 1;
	close(fd);
	return ntohs(a.sin_port);
}

static struct image_order
order_for(const char *name)
{
	struct image_order o = { .name = str_from(name) };

	o.policies.v[o.policies.n++] = STR("always");
	o.keys.v[o.keys.n++] = (struct image_key){ STR("here"), STR("helper"), STR("r.example"), STR_NULL };
	o.keys.v[o.keys.n++] = (struct image_key){ STR("there"), STR_NULL, STR("r.example"), STR("aGVhZGVy") };
	return o;
}

/* Waits for the next word: 1, or -1 at the end. */
static int
next_word(struct puller *p, enum puller_word *word, struct str *text)
{
	int rc;

	while ((rc = puller_hear(p, word, text)) == 0) {
		struct pollfd pfd = { p->fd, POLLIN, 0 };

		if (poll(&pfd, 1, 30000) <= 0)
			return -1;
	}
	return rc;
}

static void
test_lost(struct puller *p)
{
	struct image_order o = order_for("r.example/a:1");
	enum puller_word word = PULLER_NWORDS;
	struct str text = STR("");
	struct err e = { 0 };

	is_int(puller_order(p, &o, 0, MONO_NEVER, &e), 0, "an order without patience: %s", e.msg);
	is_int(p->state, PULLER_ON, "  is under way");
	is_int(next_word(p, &word, &text), 1, "  a word comes");
	is_int(word, PULLER_FAILS, "  the engine is not there");
	ok(str_find(text, "machine box: docker engine: ") >= 0 && str_find(text, "refused") >= 0, "  %.*s", STR_ARG(text));
	is_int(p->state, PULLER_FAILED, "  and so it has ended");
	is_int(p->failure, FAILURE_SYSTEM, "  for this reason");
	is_int(p->error.kind, ERR_SERVER, "  which is the machine's");

	is_int(puller_order(p, &o, 60 * NSEC_SEC, MONO_NEVER, &e), 0, "an order with patience");
	is_int(next_word(p, &word, &text), 1, "  a word comes");
	is_int(word, PULLER_LOST, "  the engine was lost");
	is_int(p->state, PULLER_ON, "  and is tried again");
	is_int(puller_order(p, &o, 0, MONO_NEVER, &e), 0, "another order in its place");
	is_int(next_word(p, &word, &text), 1, "  a word comes");
	is_int(word, PULLER_FAILS, "  which is the last one's");
	is_int(puller_order(p, &o, 60 * NSEC_SEC, MONO_AT_ONCE, &e), 0, "an order whose time is over");
	ok(next_word(p, &word, &text) == 1 && word == PULLER_FAILS, "  is given up at once");
}

/* What the executor takes of whoever bears the puller's end. */
static void
test_hearing(void)
{
	static const struct { const char *what; struct str packet; int rc; } cases[] = {
		{ "a word of an earlier order is passed over", STR("W" "n\10\0\0\0\1\0\0\0\0\0\0\0" "w\10\0\0\0\0\0\0\0\0\0\0\0" "t\1\0\0\0x"), 0 },
		{ "a word", STR("W" "n\10\0\0\0\2\0\0\0\0\0\0\0" "w\10\0\0\0\0\0\0\0\0\0\0\0" "t\1\0\0\0x"), 1 },
		{ "one of two lines is none", STR("W" "n\10\0\0\0\2\0\0\0\0\0\0\0" "w\10\0\0\0\0\0\0\0\0\0\0\0" "t\3\0\0\0x\ny"), -1 },
		{ "one that there is not", STR("W" "n\10\0\0\0\2\0\0\0\0\0\0\0" "w\10\0\0\0\5\0\0\0\0\0\0\0" "t\1\0\0\0x"), -1 },
		{ "a line as it once was", STR("i some/image:1\n"), -1 },
		{ "the end", STR(""), -1 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct image_order o = order_for("a");
		enum puller_word word;
		struct puller p = { 0 };
		struct str text;
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
			return;
		p.fd = pair[0];
		puller_order(&p, &o, 0, MONO_NEVER, NULL);
		puller_order(&p, &o, 0, MONO_NEVER, NULL);
		(void)!send(pair[1], cases[i].packet.p, cases[i].packet.n, 0);
		is_int(puller_hear(&p, &word, &text), cases[i].rc, "%s", cases[i].what);
		if (cases[i].rc < 0) {
			ok(p.state == PULLER_FAILED && p.error.kind == ERR_SYS && p.fd == 0, "  the pull has failed, and nobody is listened to");
			is_int(puller_order(&p, &o, 0, MONO_NEVER, NULL), -1, "  nor ordered");
		} else
			is_int(p.state, PULLER_ON, "  the order goes on");
		puller_end(&p);
		close(pair[1]);
	}
}

/*
 * As many as there may be, each with an engine of its own to wait for: what is said by one is of its own order, and the end of one
 * is nothing to the others.
 */
static void
test_side_by_side(void)
{
	struct puller p[PULLERS_MAX] = { { 0 } };
	struct err e = { 0 };
	int lost = 0, failed = 0, started = 0;

	for (size_t i = 0; i < PULLERS_MAX; i++) {
		struct image_order o = order_for("r.example/a:1");
		struct broker none = { 0 };

		started += puller_start(&p[i], &plan, &none, &e) == 0 &&
		    puller_order(&p[i], &o, i % 2 == 0 ? 60 * NSEC_SEC : 0, MONO_NEVER, &e) == 0;
	}
	is_int(started, PULLERS_MAX, "pullers side by side: %s", e.msg);
	for (size_t i = 0; i < PULLERS_MAX; i++) {
		enum puller_word word = PULLER_NWORDS;
		struct str text;

		if (next_word(&p[i], &word, &text) != 1)
			continue;
		lost += i % 2 == 0 && word == PULLER_LOST && p[i].state == PULLER_ON;
		failed += i % 2 == 1 && word == PULLER_FAILS && p[i].state == PULLER_FAILED;
		puller_end(&p[i]);
	}
	is_int(lost, PULLERS_MAX / 2, "  those with patience try again");
	is_int(failed, PULLERS_MAX / 2, "  the others have ended");
}

/* Two orders that are none: the puller has nothing to do with whoever says so. */
static void
test_nonsense(void)
{
	static const char *const words[] = { "pull r.example/a", "O" };

	for (size_t i = 0; i < NELEM(words); i++) {
		struct broker none = { 0 };
		struct pollfd pfd;
		struct puller p = { 0 };
		struct err e = { 0 };
		char byte;

		is_int(puller_start(&p, &plan, &none, &e), 0, "a puller: %s", e.msg);
		(void)!send(p.fd, words[i], strlen(words[i]), 0);
		pfd = (struct pollfd){ p.fd, POLLIN, 0 };
		ok(poll(&pfd, 1, 30000) == 1 && recv(p.fd, &byte, 1, MSG_DONTWAIT) == 0, "  ends at \"%s\"", words[i]);
		puller_end(&p);
	}
}

static void
test_limits(void)
{
	static char big[70000];
	struct image_order o = order_for("a");
	struct puller_plan too_long = plan;
	struct puller p = { .fd = 0 };
	struct err e = { 0 };

	memset(big, 'x', sizeof(big));
	o.keys.v[1].header = str_of(big, sizeof(big));
	is_int(puller_order(&p, &o, 0, MONO_NEVER, &e), -1, "credentials that are too long");
	is_int(e.kind, ERR_CONFIG, "  %s", e.msg);
	too_long.engine.ca_pem = str_of(big, sizeof(big));
	is_int(puller_plan(&too_long, &e), -1, "a certificate that is too long");
}

int
main(int argc, char **argv)
{
	struct broker none = { 0 };
	struct certs_paths paths;
	struct puller p = { 0 };
	struct err e = { 0 };

	if (argc > 0 && strcmp(argv[0], "windlass-puller") == 0)
		_exit(puller_main(argc, argv));	/* the sanitizer cannot look for leaks from in there */
	if (mkdtemp(dir) == NULL)
		return 1;
	paths = certs_default(&arena, dir);
	if (certs_ensure(dir, &paths, &e) < 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	plan.engine.ca_pem = file(paths.ca);
	plan.engine.cert_pem = file(paths.cert);
	plan.engine.key_pem = file(paths.key);
	plan.engine.port = closed_port();
	is_int(puller_start(&p, &plan, &none, &e), 0, "a puller is started: %s", e.msg);
	test_lost(&p);
	puller_end(&p);
	test_hearing();
	test_nonsense();
	test_side_by_side();
	test_limits();
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return done_testing();
}
