/* The HTTP client against a server that follows a script, in all the ways servers go wrong. */
#include <poll.h>

#include "net/dial.h"
#include "net/http.h"
#include "net_fake.h"
#include "tap.h"

#define OKAY	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct http *
client(uint16_t port, const struct http_opts *o)
{
	static const struct http_opts none;
	struct err e = { 0 };
	char url[64];
	struct http *h;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/ignored", port);
	h = http_new(str_from(url), o != NULL ? o : &none, &e);
	if (h == NULL) {
		printf("# %s\n", e.msg);
		abort();
	}
	return h;
}

static mono_t
soon(int ms)
{
	return mono_after(ms * NSEC_MSEC);
}

/*
 * One exchange each: what the server sends, and what the client makes of it.
 * Every answer is also sent byte by byte, with the same outcome.
 */
static const struct {
	const char	*name, *method, *answer;
	int		 status;	/* 0: an error of this kind */
	enum err_kind	 kind;
	const char	*body;		/* or a part of the error's message */
	bool		 reset;
} answers[] = {
	{ "by length", "GET", OKAY, 200, ERR_NONE, "hi", false },
	{ "empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ERR_NONE, "", false },
	{ "no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ERR_NONE, "", false },
	{ "not modified, with a length that means nothing", "GET",
	  "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, ERR_NONE, "", false },
	{ "head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 200, ERR_NONE, "", false },
	{ "chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "5;ext=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n", 200, ERR_NONE, "hello world", false },
	{ "until close", "GET", "HTTP/1.1 200 OK\r\n\r\nall of it", 200, ERR_NONE, "all of it", false },
	{ "HTTP/1.0", "GET", "HTTP/1.0 404 Not Found\r\n\r\nnope", 404, ERR_NONE, "nope", false },
	{ "interim answers", "POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OKAY,
	  200, ERR_NONE, "hi", false },
	{ "shorter than its length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 0, ERR_NET, "", false },
	{ "reset in the body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 0, ERR_NET, "", true },
	{ "chunks cut", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0, ERR_NET, "", false },
	{ "chunks without the last", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	  0, ERR_NET, "", false },
	{ "chunk size is no number", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
	  0, ERR_PROTO, "", false },
	{ "cut in the head", "GET", "HTTP/1.1 200 OK\r\nConte", 0, ERR_NET, "middle of its answer's head", false },
	{ "nothing", "GET", "", 0, ERR_NET, "without an answer", false },
	{ "not HTTP", "GET", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, ERR_PROTO, "", false },
	{ "two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", 0, ERR_PROTO, "", false },
	{ "only interim answers", "GET",
#define INTERIM	"HTTP/1.1 100 Continue\r\n\r\n"
#define MANY	INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM INTERIM
	  MANY MANY MANY, 0, ERR_PROTO, "interim", false },
	{ "404 is an answer, not an error", "DELETE", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
	  404, ERR_NONE, "nope", false },
};

static void
test_answer(size_t i, bool split)
{
	struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ split ? TRICKLE : SEND, answers[i].answer, 0 },
		{ answers[i].reset ? RESET : CLOSE, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = answers[i].method, .target = STR("/a/b?token=secret") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct fake f;
	struct http *h;
	int rc;

	/* A reset may overtake what was sent before it. */
	if (answers[i].reset)
		steps[2].op = TRICKLE;
	fake_start(&f, steps);
	h = client(f.port, NULL);
	rc = http_do(h, &q, &r, soon(5000), &e);
	fake_join(&f);
	if (answers[i].status != 0)
		ok(rc == 0 && r.head.status == answers[i].status &&
		    str_eqc(buf_str(&r.body), answers[i].body), "%s%s: %d \"%.*s\" %s", answers[i].name,
		    split ? ", byte by byte" : "", r.head.status, STR_ARG(buf_str(&r.body)), rc < 0 ? e.msg : "");
	else
		ok(rc == -1 && e.kind == answers[i].kind && strstr(e.msg, answers[i].body) != NULL &&
		    strstr(e.msg, "http://127.0.0.1") != NULL && strstr(e.msg, "/a/b: ") != NULL &&
		    strstr(e.msg, "secret") == NULL && http_fd(h) == -1,
		    "%s%s: %s: %s", answers[i].name, split ? ", byte by byte" : "", err_kind_name(e.kind), e.msg);
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

static bool
got(const struct fake *f, const char *text)
{
	return str_find(buf_str(&f->got), text) >= 0;
}

static void
test_request(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { READ, NULL, 5 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step empty[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 },
		{ HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "PUT", .target = STR("/x?y=1"), .head = STR("JOB-TOKEN: t\r\nX: y\r\n"),
	    .body = STR("12345") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct fake f;
	struct http *h;
	char host[40];

	fake_start(&f, steps);
	h = client(f.port, NULL);
	is_int(http_do(h, &q, &r, soon(5000), &e), 0, "a request with a body %s", e.msg);
	fake_join(&f);
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", f.port);
	ok(got(&f, "PUT /x?y=1 HTTP/1.1\r\n") && got(&f, host) && got(&f, "\r\nJOB-TOKEN: t\r\nX: y\r\n") &&
	    got(&f, "\r\nContent-Length: 5\r\n") && str_ends(buf_str(&f.got), "\r\n\r\n12345"), "is as it should be");
	http_free(h);
	fake_free(&f);

	fake_start(&f, empty);
	h = client(f.port, NULL);
	q = (struct http_req){ .method = "GET", .target = STR("/") };
	http_do(h, &q, &r, soon(5000), &e);
	q.method = "POST";
	is_int(http_do(h, &q, &r, soon(5000), &e), 0, "one without %s", e.msg);
	ok(r.reused, "goes over the kept connection");
	fake_join(&f);
	ok(f.accepted == 1 && str_find(str_sub(buf_str(&f.got), 0, 20), "GET / HTTP/1.1") == 0 &&
	    str_find(buf_str(&f.got), "Content-Length: 0") > str_find(buf_str(&f.got), "POST"),
	    "only POST says that its length is 0");
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

static void
test_refused(void)
{
	static const struct { const char *name; struct http_req q; } bad[] = {
		{ "line end in the target", { .method = "GET", .target = STR("/a\r\nX: y") } },
		{ "blank in the target", { .method = "GET", .target = STR("/a b") } },
		{ "NUL in the target", { .method = "GET", .target = STR("/a\0b") } },
		{ "target without a slash", { .method = "GET", .target = STR("http://other/") } },
		{ "no target", { .method = "GET", .target = STR("") } },
		{ "blank in the method", { .method = "GET /", .target = STR("/") } },
		{ "no method", { .method = "", .target = STR("/") } },
		{ "blank line in the head", { .method = "GET", .target = STR("/"), .head = STR("A: b\r\n\r\nGET / HTTP/1.1\r\n") } },
		{ "bare LF in the head", { .method = "GET", .target = STR("/"), .head = STR("A: b\nC: d\r\n") } },
		{ "bare CR in the head", { .method = "GET", .target = STR("/"), .head = STR("A: b\rC: d\r\n") } },
		{ "head without an end", { .method = "GET", .target = STR("/"), .head = STR("A: b") } },
		{ "head line without a name", { .method = "GET", .target = STR("/"), .head = STR(": b\r\n") } },
		{ "head line without a colon", { .method = "GET", .target = STR("/"), .head = STR("secret\r\n") } },
	};
	struct http *h = client(1, NULL);

	for (size_t i = 0; i < NELEM(bad); i++) {
		struct http_resp r = { 0 };
		struct err e = { 0 };

		ok(http_do(h, &bad[i].q, &r, soon(1000), &e) == -1 && e.kind == ERR_REFUSED && !r.sent &&
		    strstr(e.msg, "secret") == NULL, "%s is refused: %s", bad[i].name, e.msg);
		http_resp_free(&r);
	}
	http_free(h);
}

static void
test_new(void)
{
	static const struct { const char *url, *part; } bad[] = {
		{ "ftp://h/", "only http and https" },
		{ "https://h/", "without anything to trust" },
		{ "gitlab.example.com", "" },
		{ "", "" },
	};
	static const struct http_opts none;

	for (size_t i = 0; i < NELEM(bad); i++) {
		struct err e = { 0 };
		struct http *h = http_new(str_from(bad[i].url), &none, &e);

		ok(h == NULL && e.kind == ERR_CONFIG && strstr(e.msg, bad[i].part) != NULL, "URL \"%s\": %s", bad[i].url, e.msg);
	}
}

/* Kept connections: which are used again, and what happens when the peer has closed one. */
static void
test_keep(void)
{
	static const struct fake_step says_close[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nhi", 0 },
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step old_keep[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", 0 },
		{ HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step idle_close[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { CLOSE, NULL, 0 },
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step stray[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY "HTTP/1.1 200 OK\r\n", 0 },
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct { const char *name; const struct fake_step *steps; int accepts; bool pause; struct http_opts o; } cases[] = {
		{ "Connection: close is honoured", says_close, 2, false, { 0 } },
		{ "HTTP/1.0 with keep-alive is kept", old_keep, 1, false, { 0 } },
		{ "closed while idle: a POST gets a fresh one", idle_close, 2, true, { 0 } },
		{ "bytes that belong to no answer: closed", stray, 2, false, { 0 } },
		{ "older than max_age: closed", idle_close, 2, false, { .max_age_ns = 1 } },
		{ "idle for too long: closed", idle_close, 2, false, { .idle_ns = 1 } },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct http_req q = { .method = "POST", .target = STR("/"), .body = STR("x") };
		struct http_resp r = { 0 };
		struct err e = { 0 };
		struct http *h;
		struct fake f;
		int rc;

		fake_start(&f, cases[i].steps);
		h = client(f.port, &cases[i].o);
		rc = http_do(h, &q, &r, soon(5000), &e);
		if (cases[i].pause) {
			struct pollfd p = { http_fd(h), POLLIN, 0 };

			poll(&p, 1, 5000);
		}
		rc |= http_do(h, &q, &r, soon(5000), &e);
		ok(rc == 0 && r.reused == (cases[i].accepts == 1), "%s %s", cases[i].name, e.msg);
		http_free(h);
		fake_join(&f);
		is_int(f.accepted, cases[i].accepts, "... over %d connections", cases[i].accepts);
		http_resp_free(&r);
		fake_free(&f);
	}
}

static ssize_t
read_x(void *ctx, void *p, size_t n, struct err *e)
{
	size_t *calls = ctx;

	(void)e;
	++*calls;
	memset(p, 'x', n);
	return (ssize_t)n;
}

static ssize_t
read_fails(void *ctx, void *p, size_t n, struct err *e)
{
	(void)ctx;
	(void)p;
	(void)n;
	return err_set(e, ERR_SYS, EIO, "read trace: I/O error");
}

static ssize_t
read_short(void *ctx, void *p, size_t n, struct err *e)
{
	(void)e;
	if ((*(size_t *)ctx)++ > 0)
		return 0;
	memset(p, 'x', n);
	return (ssize_t)n;
}

/* The server takes the second request and closes without a word: who is asked again? */
static void
test_repeat(void)
{
	static const struct fake_step again[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { HEAD, NULL, 0 }, { CLOSE, NULL, 0 },
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step once[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { HEAD, NULL, 0 }, { CLOSE, NULL, 0 },
		{ DONE, NULL, 0 },
	};
	static const struct fake_step partly[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.1 200", 0 }, { CLOSE, NULL, 0 }, { DONE, NULL, 0 },
	};
	static const struct { const char *name, *method; const struct fake_step *steps; bool stream, good; } cases[] = {
		{ "GET is repeated", "GET", again, false, true },
		{ "PUT is repeated", "PUT", again, false, true },
		{ "POST is not", "POST", once, false, false },
		{ "PATCH is not", "PATCH", once, false, false },
		{ "a streamed PUT is not", "PUT", once, true, false },
		{ "nor GET when the answer had begun", "GET", partly, false, false },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct http_req q = { .method = "GET", .target = STR("/") };
		struct http_resp r = { 0 };
		struct err e = { 0 };
		struct http *h;
		struct fake f;
		size_t calls = 0;
		int rc;

		fake_start(&f, cases[i].steps);
		h = client(f.port, NULL);
		http_do(h, &q, &r, soon(5000), &e);
		q.method = cases[i].method;
		if (cases[i].stream) {
			q.read = read_x;
			q.ctx = &calls;
			q.body_len = 10;
		}
		rc = http_do(h, &q, &r, soon(5000), &e);
		ok(cases[i].good ? rc == 0 && !r.reused && e.kind == ERR_NONE : rc == -1 && e.kind == ERR_NET && r.sent && r.reused,
		    "%s (%s)", cases[i].name, e.msg);
		fake_join(&f);
		http_resp_free(&r);
		http_free(h);
		fake_free(&f);
	}
}

/* Answers that come while we still send. */
static void
test_early(void)
{
	static const struct fake_step too_large[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 0 }, { PAUSE, NULL, 100 }, { CLOSE, NULL, 0 },
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step then_reset[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", 0 }, { PAUSE, NULL, 20 }, { RESET, NULL, 0 },
		{ DONE, NULL, 0 },
	};
	static const struct fake_step interim[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 100 Continue\r\n\r\n", 0 },
		{ READ, NULL, 20 << 20 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct { const char *name; const struct fake_step *steps; bool stream; int status; } cases[] = {
		{ "413 while a body in memory is sent", too_large, false, 413 },
		{ "413 while a streamed body is sent", too_large, true, 413 },
		{ "401 and a reset behind it", then_reset, true, 401 },
		{ "100 Continue that nobody asked for", interim, true, 200 },
	};
	struct buf big = { .max = 32u << 20 };
	size_t n = 20u << 20;

	memset(buf_room(&big, n), 'x', n);
	buf_grown(&big, n);
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct http_req q = { .method = "POST", .target = STR("/upload") };
		struct http_resp r = { 0 };
		struct err e = { 0 };
		struct http *h;
		struct fake f;
		size_t calls = 0;

		fake_start(&f, cases[i].steps);
		h = client(f.port, NULL);
		if (cases[i].stream) {
			q.read = read_x;
			q.ctx = &calls;
			q.body_len = n;
		} else {
			q.body = buf_str(&big);
		}
		ok(http_do(h, &q, &r, soon(8000), &e) == 0 && r.head.status == cases[i].status, "%s %s", cases[i].name, e.msg);
		if (cases[i].status == 413) {
			ok(http_fd(h) == -1, "... and the connection is closed");
			q = (struct http_req){ .method = "GET", .target = STR("/") };
			ok(http_do(h, &q, &r, soon(5000), &e) == 0 && r.head.status == 200, "... the next request gets a new one");
		}
		fake_join(&f);
		http_resp_free(&r);
		http_free(h);
		fake_free(&f);
	}
	buf_free(&big);
}

static void
test_body_source(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "PUT", .target = STR("/"), .body_len = 100000 };
	size_t calls = 0;

	q.ctx = &calls;
	for (int i = 0; i < 2; i++) {
		struct http_resp r = { 0 };
		struct err e = { 0 };
		struct http *h;
		struct fake f;

		q.read = i == 0 ? read_fails : read_short;
		fake_start(&f, steps);
		h = client(f.port, NULL);
		ok(http_do(h, &q, &r, soon(5000), &e) == -1 && http_fd(h) == -1 &&
		    strstr(e.msg, i == 0 ? "read trace: I/O error" : "95904 bytes early") != NULL, "%s", e.msg);
		http_free(h);
		fake_join(&f);
		http_resp_free(&r);
		fake_free(&f);
	}
}

/* Servers that stall and trickle, and what ends the wait. */
static void
test_slow(void)
{
	static const struct fake_step stall_head[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step stall_body[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0 },
		{ READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step trickle[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 0 },
		{ TRICKLE, "0123456789012345678901234567890123456789", 50 }, { READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	static const struct fake_step deaf[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { PAUSE, NULL, 900 }, { DONE, NULL, 0 },
	};
	static const struct {
		const char *name; const struct fake_step *steps; struct http_opts o; int deadline_ms; bool upload;
		const char *part; int at_most_ms;
	} cases[] = {
		{ "no head: the deadline", stall_head, { 0 }, 200, false, "before the deadline", 600 },
		{ "no head: head_ns", stall_head, { .head_ns = 200 * NSEC_MSEC }, 5000, false, "no answer within", 600 },
		{ "body stalls: the deadline", stall_body, { 0 }, 200, false, "before the deadline", 600 },
		{ "body stalls: slow_ns", stall_body, { .slow_ns = 200 * NSEC_MSEC }, 5000, false, "stalled", 700 },
		{ "body trickles: the deadline", trickle, { 0 }, 300, false, "before the deadline", 700 },
		{ "body trickles: slow_bytes", trickle, { .slow_ns = 300 * NSEC_MSEC, .slow_bytes = 50 }, 5000, false, "stalled", 800 },
		{ "upload is not taken: slow_ns", deaf, { .slow_ns = 300 * NSEC_MSEC, .slow_bytes = 1 }, 5000, true, "stalled", 1000 },
		{ "upload is not taken: the deadline", deaf, { 0 }, 300, true, "before the deadline", 800 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct http_req q = { .method = "POST", .target = STR("/") };
		struct http_resp r = { 0 };
		struct err e = { 0 };
		size_t calls = 0;
		struct http *h;
		struct fake f;
		mono_t start;

		if (cases[i].upload)
			q = (struct http_req){ .method = "PUT", .target = STR("/"), .read = read_x, .ctx = &calls, .body_len = 100u << 20 };
		fake_start(&f, cases[i].steps);
		h = client(f.port, &cases[i].o);
		start = mono_now();
		ok(http_do(h, &q, &r, soon(cases[i].deadline_ms), &e) == -1 && e.kind == ERR_TIMEOUT &&
		    strstr(e.msg, cases[i].part) != NULL, "%s: %s", cases[i].name, e.msg);
		ok(mono_since(start) < cases[i].at_most_ms * NSEC_MSEC, "... after %d ms",
		    (int)(mono_since(start) / NSEC_MSEC));
		http_free(h);
		fake_join(&f);
		http_resp_free(&r);
		fake_free(&f);
	}
}

/* A slow body that keeps above the limit is no stall. */
static void
test_slow_enough(void)
{
	static const struct fake_step trickle[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", 0 },
		{ TRICKLE, "01234567890123456789", 40 }, { DONE, NULL, 0 },
	};
	struct http_opts o = { .slow_ns = 300 * NSEC_MSEC, .slow_bytes = 3 };
	struct http_req q = { .method = "GET", .target = STR("/") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct http *h;
	struct fake f;

	fake_start(&f, trickle);
	h = client(f.port, &o);
	ok(http_do(h, &q, &r, soon(5000), &e) == 0 && r.body.n == 20, "slow, but fast enough %s", e.msg);
	fake_join(&f);
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

static void
test_bounds(void)
{
	static const struct fake_step flood[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", 0 },
		{ FLOOD, NULL, 5000000 }, { DONE, NULL, 0 },
	};
	static const struct fake_step head[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nX: ", 0 }, { FLOOD, NULL, 200000 }, { DONE, NULL, 0 },
	};

	for (int i = 0; i < 2; i++) {
		struct http_req q = { .method = "GET", .target = STR("/") };
		struct http_resp r = { .body = { .max = 1000 } };
		struct err e = { 0 };
		struct http *h;
		struct fake f;

		fake_start(&f, i == 0 ? flood : head);
		h = client(f.port, NULL);
		ok(http_do(h, &q, &r, soon(5000), &e) == -1 && e.kind == ERR_PROTO && r.body.n <= 1000, "%s", e.msg);
		fake_join(&f);
		http_resp_free(&r);
		http_free(h);
		fake_free(&f);
	}
}

static void
test_stream(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", 0 },
		{ FLOOD, NULL, 3000000 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "GET", .target = STR("/") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct str piece;
	struct http *h;
	struct fake f;
	size_t n = 0;
	int rc;

	fake_start(&f, steps);
	h = client(f.port, NULL);
	is_int(http_begin(h, &q, &r, soon(5000), &e), 0, "a stream begins %s", e.msg);
	while ((rc = http_more(h, &piece, soon(5000), &e)) > 0)
		n += piece.n;
	ok(rc == 0 && n == 3000000, "... and ends after %zu bytes %s", n, e.msg);
	is_int(http_more(h, &piece, soon(5000), &e), 0, "... and stays at its end");
	http_end(h);
	ok(http_do(h, &q, &r, soon(5000), &e) == 0 && r.reused, "... and its connection is used again");
	fake_join(&f);
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

static void
test_stream_left(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\nabc", 0 },
		{ READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "GET", .target = STR("/") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct http *h;
	struct fake f;

	fake_start(&f, steps);
	h = client(f.port, NULL);
	http_begin(h, &q, &r, soon(5000), &e);
	http_end(h);
	is_int(http_fd(h), -1, "a stream left in the middle closes its connection");
	fake_join(&f);
	ok(!f.gave_up, "... as the server sees");
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

/* Docker's attach: raw bytes in both directions behind the head, some in the same packet. */
static void
test_upgrade(const char *head)
{
	struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, head, 0 }, { READ, NULL, 5 },
		{ SEND, "world", 0 }, { CLOSE, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "POST", .target = STR("/attach"), .head = STR("Connection: Upgrade\r\nUpgrade: tcp\r\n") };
	struct buf all = { 0 };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct str piece;
	struct http *h;
	struct fake f;
	int rc;

	fake_start(&f, steps);
	h = client(f.port, NULL);
	is_int(http_begin(h, &q, &r, soon(5000), &e), 0, "upgraded %s", e.msg);
	ok(http_pending(h), "bytes wait behind the head");
	is_int(http_write(h, STR("stdin"), soon(5000), &e), 0, "write %s", e.msg);
	while ((rc = http_more(h, &piece, soon(5000), &e)) > 0)
		buf_putstr(&all, piece);
	ok(rc == 0 && str_eqc(buf_str(&all), "hello world"), "raw stream: \"%s\" %s", all.p, e.msg);
	http_end(h);
	is_int(http_fd(h), -1, "closed");
	fake_join(&f);
	ok(str_ends(buf_str(&f.got), "stdin"), "the server got our bytes");
	buf_free(&all);
	http_resp_free(&r);
	http_free(h);
	fake_free(&f);
}

/* A log that is followed: whoever waits for more in vain may ask again. What frames a chunk is not more. */
static void
test_quiet_moment(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 },
		{ SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", 0 }, { PAUSE, NULL, 50 },
		{ SEND, "\r", 0 }, { PAUSE, NULL, 50 }, { SEND, "\n", 0 }, { PAUSE, NULL, 400 },
		{ SEND, "7\r\n, world\r\n0\r\n\r\n", 0 }, { READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "GET", .target = STR("/logs") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct str piece = STR_NULL;
	struct http *h;
	struct fake f;

	fake_start(&f, steps);
	h = client(f.port, NULL);
	is_int(http_begin(h, &q, &r, soon(5000), &e), 0, "begun %s", e.msg);
	is_int(http_more(h, &piece, soon(5000), &e), 1, "it is a piece %s", e.msg);
	ok(str_eqc(piece, "hello"), "\"%.*s\"", STR_ARG(piece));
	ok(http_more(h, &piece, soon(250), &e) == -1 && e.kind == ERR_TIMEOUT, "the end of a chunk is nothing to read: %s", e.msg);
	is_int(http_more(h, &piece, soon(5000), &e), 1, "it is a piece %s", e.msg);
	ok(str_eqc(piece, ", world"), "\"%.*s\"", STR_ARG(piece));
	is_int(http_more(h, &piece, soon(5000), &e), 0, "the end %s", e.msg);
	http_end(h);
	ok(http_fd(h) >= 0, "and the connection is kept");
	http_resp_free(&r);
	http_free(h);
	fake_join(&f);
	fake_free(&f);
}

static void
test_cancel(void)
{
	static const struct fake_step steps[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { READ_ALL, NULL, 0 }, { DONE, NULL, 0 },
	};
	struct http_req q = { .method = "GET", .target = STR("/") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct http *h;
	struct fake f;
	int p[2];

	if (pipe(p) != 0)
		abort();
	fake_start(&f, steps);
	h = client(f.port, NULL);
	net_control(p[0]);
	close(p[1]);
	ok(http_do(h, &q, &r, soon(5000), &e) == -1 && e.kind == ERR_CANCELLED, "cancelled before: %s", e.msg);
	net_control(-1);
	close(p[0]);
	http_free(h);
	/* The server still waits for someone. */
	h = client(f.port, NULL);
	is_int(http_do(h, &q, &r, soon(100), &e), -1, "and without: %s", e.msg);
	http_free(h);
	fake_join(&f);
	http_resp_free(&r);
	fake_free(&f);
}

static void
test_proxy(void)
{
	static const struct fake_step absolute[] = {
		{ ACCEPT, NULL, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { HEAD, NULL, 0 }, { SEND, OKAY, 0 }, { DONE, NULL, 0 },
	};
	static const struct http_opts o = { .use_proxy = true };
	struct http_req q = { .method = "GET", .target = STR("/v2/x?a=b") };
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct http *h;
	struct fake f;
	char proxy[64];

	fake_start(&f, absolute);
	snprintf(proxy, sizeof(proxy), "http://us%%40er:p%%3Aw@127.0.0.1:%u", f.port);
	setenv("HTTP_PROXY", proxy, 1);
	h = http_new(STR("http://api.example.test:8080"), &o, &e);
	is_int(http_do(h, &q, &r, soon(5000), &e), 0, "http through a proxy %s", e.msg);
	ok(http_do(h, &q, &r, soon(5000), &e) == 0 && r.reused, "again on the same connection %s", e.msg);
	fake_join(&f);
	/* "us@er:p:w" */
	ok(got(&f, "GET http://api.example.test:8080/v2/x?a=b HTTP/1.1\r\nHost: api.example.test:8080\r\n") &&
	    got(&f, "\r\nProxy-Authorization: Basic dXNAZXI6cDp3\r\n"), "absolute form and credentials");
	http_free(h);
	fake_free(&f);
	unsetenv("HTTP_PROXY");
	http_resp_free(&r);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(answers); i++) {
		test_answer(i, false);
		test_answer(i, true);
	}
	test_request();
	test_refused();
	test_new();
	test_keep();
	test_repeat();
	test_early();
	test_body_source();
	test_slow();
	test_slow_enough();
	test_bounds();
	test_stream();
	test_stream_left();
	test_upgrade("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello ");
	test_upgrade("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello ");
	test_quiet_moment();
	test_cancel();
	test_proxy();
	return done_testing();
}
