/* Connections: what can go wrong before the first byte, waits that end, and proxies. */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#include "net/dial.h"
#include "net_fake.h"
#include "tap.h"

/*
 * The resolver, so that names with several addresses exist without a name
 * server: the C library's own is not linked or not called.
 */
static struct addrinfo made[3];
static struct sockaddr_in made_sin[3];
static struct sockaddr_in6 made_sin6;

int	getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
	    struct addrinfo **restrict list);
void	freeaddrinfo(struct addrinfo *list);

int
getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
    struct addrinfo **restrict list)
{
	static const struct { const char *name; const char *addr[3]; } hosts[] = {
		{ "one.test", { "127.0.0.1" } },
		{ "two.test", { "127.0.0.2", "127.0.0.1" } },
		{ "three.test", { "127.0.0.2", "127.0.0.3", "127.0.0.1" } },
	};
	in_port_t port = htons((uint16_t)strtoul(service, NULL, 10));
	const char *const numeric = host, *const *addr = &numeric, *const *end = &numeric + 1;
	size_t n = 0;

	if ((hints->ai_flags & AI_NUMERICHOST) == 0) {
		if (strcmp(host, "away.test") == 0)
			return EAI_AGAIN;
		for (size_t i = 0; i < NELEM(hosts); i++)
			if (strcmp(host, hosts[i].name) == 0) {
				addr = hosts[i].addr;
				end = hosts[i].addr + 3;
			}
	}
	for (; addr < end && *addr != NULL; addr++, n++) {
		made_sin[n] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		made[n] = (struct addrinfo){ .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&made_sin[n],
		    .ai_addrlen = sizeof(made_sin[n]) };
		if (inet_pton(AF_INET, *addr, &made_sin[n].sin_addr) != 1) {
			made_sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
			if (inet_pton(AF_INET6, *addr, &made_sin6.sin6_addr) != 1)
				return EAI_NONAME;
			made[n] = (struct addrinfo){ .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&made_sin6,
			    .ai_addrlen = sizeof(made_sin6) };
		}
		if (n > 0)
			made[n - 1].ai_next = &made[n];
	}
	*list = made;
	return 0;
}

void
freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static mono_t
soon(int ms)
{
	return mono_after(ms * NSEC_MSEC);
}

static int
ms_since(mono_t start)
{
	return (int)(mono_since(start) / NSEC_MSEC);
}

/* A port that nobody listens on. */
static uint16_t
closed_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 || getsockname(fd, (struct sockaddr *)&sin, &n) != 0)
		abort();
	close(fd);
	return ntohs(sin.sin_port);
}

/* A listener whose queue is full: connecting to it gets no answer at all. */
struct hole { int listener; int filler[4]; uint16_t port; };

static void
hole_open(struct hole *h, in_addr_t addr, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr), .sin_port = htons(port) };
	socklen_t n = sizeof(sin);

	h->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(h->listener, (struct sockaddr *)&sin, sizeof(sin)) != 0 || listen(h->listener, 0) != 0 ||
	    getsockname(h->listener, (struct sockaddr *)&sin, &n) != 0)
		abort();
	h->port = ntohs(sin.sin_port);
	for (size_t i = 0; i < NELEM(h->filler); i++) {
		h->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(h->filler[i], (struct sockaddr *)&sin, sizeof(sin));
	}
	usleep(20000);
}

static void
hole_close(struct hole *h)
{
	for (size_t i = 0; i < NELEM(h->filler); i++)
		close(h->filler[i]);
	close(h->listener);
}

static void
test_connect(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { CLOSE, NULL, 0 }, { ACCEPT, NULL, 0 }, { CLOSE, NULL, 0 },
		{ ACCEPT, NULL, 0 }, { CLOSE, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct dial_opts o = { .keepalive_s = 10 };
	struct err e = { 0 };
	struct fake f;
	int fd, v = 0;
	socklen_t n = sizeof(v);

	fake_start(&f, steps);
	fd = dial_tcp(STR("127.0.0.1"), f.port, &o, soon(2000), &e);
	ok(fd >= 0 && e.kind == ERR_NONE, "an address %s", e.msg);
	ok((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "non-blocking, close-on-exec");
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &n);
	ok(v != 0, "no delay");
	getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, &n);
	is_int(v, 10, "keep-alive");
	close(fd);
	fd = dial_tcp(STR("two.test"), f.port, NULL, soon(2000), &e);
	ok(fd >= 0 && e.kind == ERR_NONE, "a name whose first address refuses %s", e.msg);
	close(fd);
	fd = dial_tcp(STR("[::ffff:127.0.0.1]"), f.port, NULL, soon(2000), &e);
	ok(fd >= 0 || e.sys == EAFNOSUPPORT || e.sys == ENETUNREACH || e.sys == EADDRNOTAVAIL, "an address in brackets %s", e.msg);
	if (fd < 0)
		fd = dial_tcp(STR("127.0.0.1"), f.port, NULL, soon(2000), &e);
	close(fd);
	fake_join(&f);
	fake_free(&f);
}

static void
test_refused(void)
{
	struct dial_opts named = { .bind_name = "machine runner-7" };
	uint16_t port = closed_port();
	struct err e = { 0 };
	char want[120];

	ok(dial_tcp(STR("127.0.0.1"), port, NULL, soon(2000), &e) == -1 && e.kind == ERR_NET && e.sys == ECONNREFUSED, "refused");
	snprintf(want, sizeof(want), "connect 127.0.0.1:%u: Connection refused", port);
	is_str(e.msg, want, "... in words");
	dial_tcp(STR("127.0.0.1"), port, &named, soon(2000), &e);
	is_str(e.msg, "connect machine runner-7: Connection refused", "... by its name");
	dial_tcp(STR("one.test"), port, NULL, soon(2000), &e);
	snprintf(want, sizeof(want), "connect one.test:%u: Connection refused", port);
	is_str(e.msg, want, "a name");
	dial_tcp(STR("two.test"), port, NULL, soon(2000), &e);
	snprintf(want, sizeof(want), "connect two.test:%u: 127.0.0.2: Connection refused; 127.0.0.1: Connection refused", port);
	is_str(e.msg, want, "a name of two addresses");
	dial_tcp(STR("::1"), port, NULL, soon(2000), &e);
	snprintf(want, sizeof(want), "connect [::1]:%u: ", port);
	ok(strncmp(e.msg, want, strlen(want)) == 0, "an IPv6 address: %s", e.msg);
	e = (struct err){ 0 };
	ok(dial_tcp(STR("nowhere.test"), 80, NULL, soon(2000), &e) == -1 && e.kind == ERR_NET &&
	    strstr(e.msg, "connect nowhere.test:80: no such host") != NULL, "no such host: %s", e.msg);
	ok(dial_tcp(STR("away.test"), 80, NULL, soon(2000), &e) == -1 && e.kind == ERR_NET &&
	    strstr(e.msg, "name server") != NULL, "no name server: %s", e.msg);
	e = (struct err){ 0 };
	ok(dial_tcp(STR(""), 80, NULL, soon(2000), &e) == -1 && e.kind == ERR_REFUSED, "no name: %s", e.msg);
	e = (struct err){ 0 };
	ok(dial_tcp(STR("a\0b"), 80, NULL, soon(2000), &e) == -1 && e.kind == ERR_REFUSED, "a NUL in the name");
	e = (struct err){ 0 };
	ok(dial_tcp(STR("127.0.0.1"), port, NULL, mono_after(-1), &e) == -1 &&
	    e.kind == ERR_TIMEOUT, "no time left: %s", e.msg);
}

static void
test_no_answer(void)
{
	struct err e = { 0 };
	struct hole h;
	mono_t start;
	int p[2];

	hole_open(&h, INADDR_LOOPBACK, 0);
	start = mono_now();
	ok(dial_tcp(STR("127.0.0.1"), h.port, NULL, soon(300), &e) == -1 && e.kind == ERR_TIMEOUT, "no answer: %s", e.msg);
	ok(ms_since(start) >= 290 && ms_since(start) < 900, "... at the deadline (%d ms)", ms_since(start));

	/* The control descriptor ends the wait at once. */
	if (pipe(p) != 0)
		abort();
	net_control(p[0]);
	if (fork() == 0) {
		usleep(100000);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	start = mono_now();
	e = (struct err){ 0 };
	ok(dial_tcp(STR("127.0.0.1"), h.port, NULL, soon(5000), &e) == -1 && e.kind == ERR_CANCELLED, "cancelled: %s", e.msg);
	ok(ms_since(start) < 2000, "... at once (%d ms)", ms_since(start));
	start = mono_now();
	ok(net_pause(5 * NSEC_SEC, &e) == -1 && e.kind == ERR_CANCELLED && ms_since(start) < 1000, "so is a pause");
	ok(net_wait(p[1], POLLOUT, soon(1000), &e) == -1 && e.kind == ERR_CANCELLED, "and a wait whose socket is ready");
	net_control(-1);
	close(p[1]);
	close(p[0]);
	start = mono_now();
	ok(net_pause(50 * NSEC_MSEC, &e) == 0 && ms_since(start) >= 50, "a pause without it lasts");

	/* A manager that died: its end of the pipe hangs up. */
	if (pipe(p) != 0)
		abort();
	close(p[1]);
	net_control(p[0]);
	ok(net_pause(5 * NSEC_SEC, &e) == -1 && e.kind == ERR_CANCELLED, "a hang-up cancels too");
	net_control_late(p[0], 200 * NSEC_MSEC);
	start = mono_now();
	ok(net_pause(50 * NSEC_MSEC, &e) == 0, "with a delay a short pause lasts its time all the same");
	ok(net_pause(5 * NSEC_SEC, &e) == -1 && e.kind == ERR_CANCELLED && ms_since(start) >= 200 && ms_since(start) < 2000,
	    "... and a long one ends after the delay, counted once (%d ms)", ms_since(start));
	net_control(-1);
	ok(net_pause(10 * NSEC_MSEC, &e) == 0, "... and forgotten with the descriptor");
	close(p[0]);
	hole_close(&h);
}

/* Addresses that do not answer leave time for the one that does. */
static void
test_fair(void)
{
	static const struct fake_step steps[] = { { ACCEPT, NULL, 0 }, { CLOSE, NULL, 0 }, { DONE, NULL, 0 } };
	struct err e = { 0 };
	struct hole two, three;
	struct fake f;
	mono_t start;
	int fd;

	fake_start(&f, steps);
	hole_open(&two, INADDR_LOOPBACK + 1, f.port);
	hole_open(&three, INADDR_LOOPBACK + 2, f.port);
	start = mono_now();
	fd = dial_tcp(STR("three.test"), f.port, NULL, soon(900), &e);
	ok(fd >= 0 && e.kind == ERR_NONE, "the third address answers %s", e.msg);
	ok(ms_since(start) >= 590 && ms_since(start) < 850, "... after a third of the time for each of the others (%d ms)", ms_since(start));
	close(fd);
	fake_join(&f);
	ok(dial_tcp(STR("three.test"), f.port, NULL, soon(300), &e) == -1 && e.kind == ERR_NET && strstr(e.msg,
	    "127.0.0.2: no answer; 127.0.0.3: no answer; 127.0.0.1: Connection refused") != NULL, "none does: %s", e.msg);
	hole_close(&two);
	hole_close(&three);
	fake_free(&f);
}

static void
test_proxy_for(void)
{
	static const struct {
		const char *name; bool https; const char *host; uint16_t port;
		const char *HTTPS, *https_l, *HTTP, *http_l, *NO, *no_l, *want;
	} cases[] = {
		{ "nothing set", true, "h", 443, NULL, NULL, NULL, NULL, NULL, NULL, NULL },
		{ "https", true, "h.example", 443, "p1", NULL, "p2", NULL, NULL, NULL, "p1" },
		{ "http", false, "h.example", 80, "p1", NULL, "p2", NULL, NULL, NULL, "p2" },
		{ "lower case", true, "h.example", 443, NULL, "p3", NULL, "p4", NULL, NULL, "p3" },
		{ "upper case wins", true, "h.example", 443, "p1", "p3", NULL, NULL, NULL, NULL, "p1" },
		{ "empty is unset", true, "h.example", 443, "", "p3", NULL, NULL, NULL, NULL, "p3" },
		{ "no proxy for the suffix", true, "h.example", 443, "p1", NULL, NULL, NULL, "example", NULL, NULL },
		{ "no proxy, lower case", true, "h.example", 443, "p1", NULL, NULL, NULL, NULL, ".example", NULL },
		{ "no proxy for all", true, "h.example", 443, "p1", NULL, NULL, NULL, "*", NULL, NULL },
		{ "no proxy for a block", true, "10.1.2.3", 443, "p1", NULL, NULL, NULL, "10.0.0.0/8", NULL, NULL },
		{ "another block", true, "10.1.2.3", 443, "p1", NULL, NULL, NULL, "10.2.0.0/16", NULL, "p1" },
		{ "loopback never", true, "127.0.0.1", 443, "p1", NULL, NULL, NULL, NULL, NULL, NULL },
		{ "localhost never", true, "localhost", 443, "p1", NULL, NULL, NULL, NULL, NULL, NULL },
	};
	static const char *const names[6] = { "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy" };

	for (size_t i = 0; i < NELEM(cases); i++) {
		const char *v[6] = { cases[i].HTTPS, cases[i].https_l, cases[i].HTTP, cases[i].http_l, cases[i].NO, cases[i].no_l };
		const char *got;

		for (size_t j = 0; j < 6; j++)
			if (v[j] != NULL)
				setenv(names[j], v[j], 1);
			else
				unsetenv(names[j]);
		got = dial_proxy_for(cases[i].https, str_from(cases[i].host), cases[i].port);
		is_str(got != NULL ? got : "none", cases[i].want != NULL ? cases[i].want : "none", "%s", cases[i].name);
	}
	for (size_t j = 0; j < 6; j++)
		unsetenv(names[j]);
}

static void
test_tunnel(void)
{
	static const struct fake_step lets[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ TRICKLE, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", 1 },
		{ READ, NULL, 5 }, { SEND, "world", 0 }, { DONE, NULL, 0 },
	};
	struct err e = { 0 };
	struct fake f;
	char url[100], in[8] = "";
	int fd;

	fake_start(&f, lets);
	snprintf(url, sizeof(url), "http://user:p%%40ss@127.0.0.1:%u", f.port);
	fd = dial_connect(url, STR("gitlab.example.com"), 443, NULL, soon(5000), &e);
	ok(fd >= 0, "a tunnel %s", e.msg);
	if (fd >= 0) {
		struct pollfd p = { fd, POLLIN, 0 };

		ok(send(fd, "hello", 5, 0) == 5 && poll(&p, 1, 5000) == 1 && recv(fd, in, 5, 0) == 5 && strcmp(in, "world") == 0,
		    "... carries bytes both ways");
		close(fd);
	}
	fake_join(&f);
	/* "user:p@ss" */
	ok(str_starts(buf_str(&f.got), "CONNECT gitlab.example.com:443 HTTP/1.1\r\nHost: gitlab.example.com:443\r\n"
	    "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\nhello"), "... and asks as it should");
	fake_free(&f);
}

static void
test_tunnel_refused(void)
{
	static const struct { const char *answer; enum err_kind kind; const char *part; } cases[] = {
		{ "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ERR_AUTH, "user and password" },
		{ "HTTP/1.1 403 Forbidden\r\n\r\n", ERR_REFUSED, "status 403" },
		{ "HTTP/1.1 502 Bad Gateway\r\n\r\n", ERR_NET, "status 502" },
		{ "HTTP/1.1 200 OK\r\n\r\nstray", ERR_PROTO, "bytes behind" },
		{ "SSH-2.0-x\r\n\r\n", ERR_PROTO, "" },
		{ "", ERR_NET, "instead of answering" },
	};
	static const struct { const char *url, *part; } urls[] = {
		{ "https://secret:secret@proxy.example.com", "https proxies are not supported" },
		{ "socks5://secret@proxy.example.com", "socks5 proxies are not supported" },
		{ "http://sec ret", "is not a URL" },
		{ "http://u:%zzsecret@127.0.0.1:1", "malformed" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct fake_step steps[] = {
			{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, cases[i].answer, 0 }, { CLOSE, NULL, 0 }, { DONE, NULL, 0 },
		};
		struct err e = { 0 };
		struct fake f;
		char url[100];

		fake_start(&f, steps);
		snprintf(url, sizeof(url), "user:secret@127.0.0.1:%u", f.port);
		ok(dial_connect(url, STR("h.example"), 443, NULL, soon(5000), &e) == -1 && e.kind == cases[i].kind &&
		    strstr(e.msg, cases[i].part) != NULL && strstr(e.msg, "secret") == NULL, "%s", e.msg);
		fake_join(&f);
		fake_free(&f);
	}
	for (size_t i = 0; i < NELEM(urls); i++) {
		struct err e = { 0 };

		ok(dial_connect(urls[i].url, STR("h.example"), 443, NULL, soon(1000), &e) == -1 && e.kind == ERR_CONFIG &&
		    strstr(e.msg, urls[i].part) != NULL && strstr(e.msg, "secret") == NULL, "%s", e.msg);
	}
	struct err e = { 0 };
	ok(dial_connect("127.0.0.1:1", STR("h\r\nX: y"), 443, NULL, soon(1000), &e) == -1 && e.kind == ERR_REFUSED,
	    "a host name with a line end: %s", e.msg);
}

int
main(void)
{
	signal(SIGCHLD, SIG_IGN);
	test_connect();
	test_refused();
	test_no_answer();
	test_fair();
	test_proxy_for();
	test_tunnel();
	test_tunnel_refused();
	return done_testing();
}
