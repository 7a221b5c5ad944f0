/* net/serve: addresses, requests split anywhere, and clients that mean no good. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "net/serve.h"
#include "tap.h"

static void
test_addresses(void)
{
	static const struct { const char *in, *host, *port; } cases[] = {
		{ "localhost:9252", "localhost", "9252" }, { ":9252", "", "9252" }, { "localhost", "localhost", "7" },
		{ "0.0.0.0:0", "0.0.0.0", "0" }, { "[::1]:80", "::1", "80" }, { "[::1]", "::1", "7" }, { "", "", "7" },
		{ " 127.0.0.1:1 ", "127.0.0.1", "1" },
		{ "::1", NULL, NULL }, { "[::1", NULL, NULL }, { "[::1]x", NULL, NULL }, { "host:port", NULL, NULL },
		{ "*:1", "*", "1" }, { "[fe80::1%eth0]:1", "fe80::1%eth0", "1" }, { "a_b.example:1", "a_b.example", "1" },
		{ "host name:1", NULL, NULL }, { "/run/x.sock", NULL, NULL }, { "$HOST:1", NULL, NULL }, { "256.1.1.1:1", NULL, NULL },
		{ "http://h", NULL, NULL }, { "h/metrics:1", NULL, NULL },
		{ "host:65536", NULL, NULL }, { "host:-1", NULL, NULL }, { "host:", NULL, NULL },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		char host[256], port[8];
		struct err e = { 0 };
		int rc = serve_parse_address(str_from(cases[i].in), 7, host, port, &e);

		if (cases[i].host == NULL)
			ok(rc < 0 && e.kind == ERR_CONFIG, "\"%s\" is refused", cases[i].in);
		else
			ok(rc == 0 && strcmp(host, cases[i].host) == 0 && strcmp(port, cases[i].port) == 0, "\"%s\"", cases[i].in);
	}
}

static void
test_requests(void)
{
	static const struct { const char *in, *method, *path; int status; } cases[] = {
		{ "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/metrics", 0 },
		{ "HEAD /metrics?name[]=x HTTP/1.0\r\n\r\n", "HEAD", "/metrics", 0 },
		{ "GET http://host/metrics#x HTTP/1.1\nHost: x\n\n", "GET", "/metrics", 0 },
		{ "GET http://host HTTP/1.1\r\n\r\n", "GET", "/", 0 },
		{ "GET metrics HTTP/1.1\r\n\r\n", NULL, NULL, 400 }, { "GET /x HTTP/2.0\r\n\r\n", NULL, NULL, 400 },
		{ "GET /x\r\n\r\n", NULL, NULL, 400 }, { "\x16\x03\x01", NULL, NULL, 400 }, { "GET / HTTP/1.1\r\n bad: x\r\n\r\n", NULL, NULL, 400 },
	};
	static char large[SERVE_HEAD_MAX];
	struct str method, path;
	int status;

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct str all = str_from(cases[i].in);
		int rc = serve_parse(all, &method, &path, &status);

		if (cases[i].method == NULL) {
			ok(rc < 0 && status == cases[i].status, "request %zu is refused with %d", i, cases[i].status);
			continue;
		}
		ok(rc == 1 && str_eqc(method, cases[i].method) && str_eqc(path, cases[i].path), "request %zu", i);
		rc = 0;
		for (size_t n = 0; n < all.n; n++)
			rc |= serve_parse(str_sub(all, 0, n), &method, &path, &status);
		is_int(rc, 0, "and no piece of it is one");
	}
	memset(large, 'a', sizeof(large));
	memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
	ok(serve_parse(str_of(large, sizeof(large) - 1), &method, &path, &status) == 0, "a head of the largest size may still end");
	ok(serve_parse(str_of(large, sizeof(large)), &method, &path, &status) < 0 && status == 431, "and is refused when it does not");
}

/* ---- a server in a process of its own ---- */

static uint16_t port;

static void
page(void *ctx, struct str method, struct str path, struct serve_answer *a)
{
	static struct serve_text *large;

	(void)ctx;
	(void)method;
	a->status = 200;
	if (str_eqc(path, "/large")) {
		if (large == NULL) {
			large = serve_text_new();
			large->b.max = 64u << 20;
			for (int i = 0; i < 1 << 20; i++)
				buf_puts(&large->b, "0123456789abcdef");
		}
		a->body = serve_text_ref(large);
		return;
	}
	a->body = serve_text_new();
	buf_putstr(&a->body->b, path);
}

static pid_t
start(int *stop)
{
	struct sockaddr_in sin;
	socklen_t n = sizeof(sin);
	struct err e = { 0 };
	int fd = serve_listen("127.0.0.1:0", 9252, &e), end[2];
	pid_t pid;

	if (!ok(fd >= 0 && getsockname(fd, (struct sockaddr *)(void *)&sin, &n) == 0, "listens %s", e.msg) || pipe(end) < 0)
		return -1;
	port = ntohs(sin.sin_port);
	pid = fork();
	if (pid == 0) {
		close(end[1]);
		_exit(serve_run(fd, end[0], page, NULL, &e) == 0 ? 0 : 1);
	}
	close(fd);
	close(end[0]);
	*stop = end[1];
	return pid;
}

static int
dial(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)(void *)&sin, sizeof(sin)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* All of an answer, or what came of it within the seconds. */
static struct buf
fetch(const char *request, int seconds)
{
	struct buf b = { .max = 64u << 20 };
	mono_t deadline = mono_after(seconds * NSEC_SEC);
	int fd = dial();
	ssize_t n;

	if (fd < 0)
		return b;
	send(fd, request, strlen(request), MSG_NOSIGNAL);
	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		char *to = buf_room(&b, 65536);

		if (to == NULL || poll(&p, 1, mono_ms_until(deadline)) <= 0 || (n = recv(fd, to, 65536, 0)) <= 0)
			break;
		buf_grown(&b, (size_t)n);
	}
	close(fd);
	return b;
}

static bool
answers(const char *what)
{
	struct buf b = fetch("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", 10);
	bool good = str_starts(buf_str(&b), "HTTP/1.1 200 OK\r\n") && str_ends(buf_str(&b), "\r\n\r\n/x");

	ok(good, "an honest client is served %s", what);
	buf_free(&b);
	return good;
}

static void
test_serving(void)
{
	static char head[1u << 20];
	int stop = -1, slow[300], status = -1;
	struct buf b;
	pid_t pid = start(&stop);

	if (pid < 0)
		return;
	answers("at all");
	b = fetch("HEAD /x HTTP/1.1\r\n\r\n", 10);
	ok(str_find(buf_str(&b), "Content-Length: 2\r\n") > 0 && str_ends(buf_str(&b), "\r\n\r\n"), "HEAD has no body");
	buf_free(&b);
	b = fetch("GET /large HTTP/1.1\r\n\r\n", 30);
	ok(b.n > 16u << 20, "a large page comes whole: %zu", b.n);
	buf_free(&b);
	memset(head, 'a', sizeof(head) - 1);
	memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
	b = fetch(head, 10);
	/* The reset that follows may be faster than the answer. */
	ok(b.n == 0 || str_starts(buf_str(&b), "HTTP/1.1 431 "), "a head of a megabyte is refused");
	buf_free(&b);
	answers("after a head of a megabyte");
	for (size_t i = 0; i < NELEM(slow); i++) {
		slow[i] = dial();
		if (slow[i] >= 0)
			send(slow[i], "GET /x HTT", 10, MSG_NOSIGNAL);
	}
	answers("beside 300 that say half a line and wait");
	for (size_t i = 0; i < NELEM(slow); i++)
		close(slow[i]);
	for (size_t i = 0; i < NELEM(slow); i++) {
		slow[i] = dial();
		if (slow[i] >= 0)
			send(slow[i], "GET /large HTTP/1.1\r\n\r\n", 23, MSG_NOSIGNAL);
	}
	answers("beside 300 that ask for a large page and do not read it");
	for (size_t i = 0; i < NELEM(slow); i++)
		close(slow[i]);
	b = fetch("GET /x HTT", (int)(SERVE_ASK_WITHIN / NSEC_SEC) + 10);
	ok(str_starts(buf_str(&b), "HTTP/1.1 408 "), "who does not finish asking is told so and cut off");
	buf_free(&b);
	close(stop);
	waitpid(pid, &status, 0);
	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "ends when told");
}

static void
test_taken(void)
{
	struct sockaddr_in sin;
	socklen_t n = sizeof(sin);
	struct err e = { 0 };
	int fd = serve_listen("127.0.0.1:0", 9252, &e);
	char address[32];

	getsockname(fd, (struct sockaddr *)(void *)&sin, &n);
	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(sin.sin_port));
	ok(serve_listen(address, 9252, &e) < 0 && e.kind == ERR_CONFLICT, "an address in use: %s", e.msg);
	close(fd);
	ok(serve_listen("no.such.host.invalid:1", 9252, &e) < 0 && e.kind == ERR_CONFIG, "a host that there is not: %s", e.msg);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_addresses();
	test_requests();
	test_serving();
	test_taken();
	return done_testing();
}
