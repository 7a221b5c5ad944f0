/* HTTP/1.1: heads, framing and bodies, whole and split. */
#include "core/core.h"
#include "wire/http1.h"

#include "tap.h"

#define S(lit)	{ lit, sizeof(lit) - 1 }

static struct http_head head;

/* Every proper beginning of a head asks for more or refuses it; it never accepts. */
static bool
beginnings_do_not_pass(struct str in, size_t end, bool request)
{
	struct str method, target;
	size_t used;

	for (size_t n = 0; n < end; n++) {
		/* in a block of its own, so that a look beyond it is caught */
		char *p = malloc(n > 0 ? n : 1);
		struct str part = { memcpy(p, in.p, n), n };
		int rc = request ? http1_request(part, &head, &method, &target, &used, NULL) : http1_head(part, &head, &used, NULL);

		free(p);
		if (rc == 1)
			return false;
	}
	return true;
}

static void
test_heads(void)
{
	static const struct { const char *name; struct str in; int rc; size_t used; int status, minor; size_t nfield; } cases[] = {
		{ "an answer", S("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\nbody"), 1, 31, 200, 1, 2 },
		{ "without fields", S("HTTP/1.1 204 No Content\r\n\r\n"), 1, 27, 204, 1, 0 },
		{ "HTTP/1.0", S("HTTP/1.0 404 Not Found\r\n\r\n"), 1, 26, 404, 0, 0 },
		{ "bare LF", S("HTTP/1.1 200 OK\nA: b\n\nbody"), 1, 22, 200, 1, 1 },
		{ "mixed line ends", S("HTTP/1.1 200 OK\nA: b\r\n\n"), 1, 23, 200, 1, 1 },
		{ "mixed the other way", S("HTTP/1.1 200 OK\r\nA: b\n\r\n"), 1, 24, 200, 1, 1 },
		{ "no reason, with its blank", S("HTTP/1.1 200 \r\n\r\n"), 1, 17, 200, 1, 0 },
		{ "no reason and no blank", S("HTTP/1.1 200\r\n\r\n"), 1, 16, 200, 1, 0 },
		{ "a reason in Latin-1", S("HTTP/1.1 500 Fehl\xe4r\r\n\r\n"), 1, 23, 500, 1, 0 },
		{ "an interim answer", S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 1, 25, 100, 1, 0 },
		{ "an empty value", S("HTTP/1.1 200 OK\r\nA:\r\nB: \t \r\n\r\n"), 1, 30, 200, 1, 2 },
		{ "a status that nobody defined", S("HTTP/1.1 999 x\r\n\r\n"), 1, 18, 999, 1, 0 },
		{ "not complete", S("HTTP/1.1 200 OK\r\nA: b\r\n"), 0, 0, 0, 0, 0 },
		{ "nothing yet", S(""), 0, 0, 0, 0, 0 },
		{ "HTTP/2", S("HTTP/2 200\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "HTTP/0.9", S("<html>"), -1, 0, 0, 0, 0 },
		{ "an SSH server, at once", S("SSH"), -1, 0, 0, 0, 0 },
		{ "a TLS server, at once", S("\x15"), -1, 0, 0, 0, 0 },
		{ "a blank line first", S("\r\nHTTP/1.1 200 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "lower case", S("http/1.1 200 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "two digits", S("HTTP/1.1 20 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "four digits", S("HTTP/1.1 2000 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "letters for a status", S("HTTP/1.1 2OO OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a status below 100", S("HTTP/1.1 099 x\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "two blanks", S("HTTP/1.1  200 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "no status", S("HTTP/1.1\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a version of two digits", S("HTTP/1.10 200 OK\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "NUL in the reason", S("HTTP/1.1 200 O\0K\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "no colon", S("HTTP/1.1 200 OK\r\nA\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a blank before the colon", S("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "an empty name", S("HTTP/1.1 200 OK\r\n: b\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a folded line", S("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a line folded by a tab", S("HTTP/1.1 200 OK\r\nA: b\r\n\tc: d\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a blank before the first field", S("HTTP/1.1 200 OK\r\n A: b\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "NUL in a name", S("HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "NUL in a value", S("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "CR in a value", S("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "two CRs before LF", S("HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "a control character in a value", S("HTTP/1.1 200 OK\r\nA: \x1b[31m\r\n\r\n"), -1, 0, 0, 0, 0 },
		{ "UTF-8 in a name", S("HTTP/1.1 200 OK\r\n\xc3\xa4: b\r\n\r\n"), -1, 0, 0, 0, 0 },
	};
	struct err e;
	size_t used;

	for (size_t i = 0; i < NELEM(cases); i++) {
		int rc;

		e = (struct err){ 0 };
		used = 0;
		rc = http1_head(cases[i].in, &head, &used, &e);
		is_int(rc, cases[i].rc, "answer: %s", cases[i].name);
		if (rc == 1)
			ok(used == cases[i].used && head.status == cases[i].status && head.minor == cases[i].minor &&
			    head.nfield == cases[i].nfield, "  its parts: %s (%zu used)", cases[i].name, used);
		if (rc < 0)
			ok(e.kind == ERR_PROTO && str_starts(str_from(e.msg), "HTTP: "), "  the reason: %s", e.msg);
		ok(beginnings_do_not_pass(cases[i].in, rc == 1 ? used : cases[i].in.n, false), "  not before it is complete");
	}

	http1_head((struct str)S("HTTP/1.1 200 OK\r\nContent-TYPE: \t text/plain; a=\"b: c\" \t\r\nX-1: \xc3\xa4\r\nx-1: second\r\n"
	    "!#$%&'*+-.^_`|~9: odd\r\nConnection: Keep-Alive, Upgrade\r\nConnection: close\r\n\r\n"), &head, &used, NULL);
	ok(str_eqc(http1_field(&head, "content-type"), "text/plain; a=\"b: c\""), "a field by name, in any case, trimmed");
	ok(str_eqc(http1_field(&head, "X-1"), "\xc3\xa4"), "the first of two, bytes as they are");
	ok(str_eqc(http1_field(&head, "!#$%&'*+-.^_`|~9"), "odd"), "every character that a name may hold");
	ok(http1_field(&head, "X").p == NULL && http1_field(&head, "X-11").p == NULL && http1_field(&head, "").p == NULL, "no such field");
	ok(http1_has_token(&head, "connection", "upgrade") && http1_has_token(&head, "Connection", "CLOSE") &&
	    !http1_has_token(&head, "Connection", "grade") && !http1_has_token(&head, "Upgrade", "tcp"), "members of lists");
}

static void
test_limits(void)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t used;
	int rc;

	for (size_t n = HTTP_FIELDS_MAX; n <= HTTP_FIELDS_MAX + 1; n++) {
		buf_clear(&b);
		buf_puts(&b, "HTTP/1.1 200 OK\r\n");
		for (size_t i = 0; i < n; i++)
			buf_fmt(&b, "F%zu: x\r\n", i);
		buf_puts(&b, "\r\n");
		is_int(http1_head(buf_str(&b), &head, &used, &e), n <= HTTP_FIELDS_MAX ? 1 : -1, "%zu fields", n);
	}
	for (size_t n = HTTP_HEAD_MAX - 1; n <= HTTP_HEAD_MAX + 1; n++) {
		buf_clear(&b);
		buf_puts(&b, "HTTP/1.1 200 OK\r\nA: ");
		while (b.n < n - 4)
			buf_putc(&b, 'x');
		buf_puts(&b, "\r\n\r\n");
		is_int(http1_head(buf_str(&b), &head, &used, &e), n <= HTTP_HEAD_MAX ? 1 : -1, "a head of %zu bytes", n);
		rc = http1_head(str_sub(buf_str(&b), 0, n - 1), &head, &used, &e);
		is_int(rc, n <= HTTP_HEAD_MAX ? 0 : -1, "a head of %zu bytes without its last", n);
	}
	buf_free(&b);
}

static void
test_requests(void)
{
	static const struct { const char *name; struct str in; int rc; size_t used; const char *method, *target; } cases[] = {
		{ "GET", S("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\nrest"), 1, 38, "GET", "/metrics?x=1" },
		{ "blank lines first", S("\r\n\n\r\nGET / HTTP/1.0\r\n\r\n"), 1, 23, "GET", "/" },
		{ "an odd method", S("M-SEARCH * HTTP/1.1\n\n"), 1, 21, "M-SEARCH", "*" },
		{ "absolute form", S("GET http://a/b HTTP/1.1\r\n\r\n"), 1, 27, "GET", "http://a/b" },
		{ "not complete", S("GET / HTTP/1.1\r\nHost: a\r\n"), 0, 0, "", "" },
		{ "only blank lines yet", S("\r\n\r\n\r"), 0, 0, "", "" },
		{ "HTTP/0.9", S("GET /\r\n\r\n"), -1, 0, "", "" },
		{ "HTTP/2's preface", S("PRI * HTTP/2.0\r\n\r\n"), -1, 0, "", "" },
		{ "a TLS handshake, at once", S("\x16\x03\x01"), -1, 0, "", "" },
		{ "no target", S("GET  HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "a blank in the target", S("GET /a b HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "a tab in the target", S("GET /a\tb HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "NUL in the target", S("GET /a\0b HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "two blanks", S("GET  / HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "a blank at the end", S("GET / HTTP/1.1 \r\n\r\n"), -1, 0, "", "" },
		{ "a bad method", S("G(T / HTTP/1.1\r\n\r\n"), -1, 0, "", "" },
		{ "a bad field", S("GET / HTTP/1.1\r\nA b\r\n\r\n"), -1, 0, "", "" },
		{ "an answer", S("HTTP/1.1 200 OK\r\n\r\n"), -1, 0, "", "" },
	};
	struct str method, target;
	struct buf b = { 0 };
	struct http1_body body;
	size_t used;

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = { 0 };
		int rc = http1_request(cases[i].in, &head, &method, &target, &used, &e);

		is_int(rc, cases[i].rc, "request: %s", cases[i].name);
		if (rc == 1)
			ok(used == cases[i].used && str_eqc(method, cases[i].method) && str_eqc(target, cases[i].target),
			    "  its parts: %s (%zu used)", cases[i].name, used);
		ok(beginnings_do_not_pass(cases[i].in, rc == 1 ? used : cases[i].in.n, true), "  not before it is complete");
	}
	for (size_t i = 0; i < HTTP_HEAD_MAX; i++)
		buf_putc(&b, '\n');
	is_int(http1_request(buf_str(&b), &head, &method, &target, &used, NULL), -1, "blank lines without an end");
	buf_cut(&b, HTTP_HEAD_MAX - 2);
	buf_puts(&b, "GE");
	is_int(http1_request(buf_str(&b), &head, &method, &target, &used, NULL), -1, "nor does the limit move behind them");
	buf_free(&b);

	http1_request((struct str)S("GET / HTTP/1.1\r\n\r\n"), &head, &method, &target, &used, NULL);
	ok(http1_request_body_init(&body, &head, NULL) == 0 && body.done && body.framing == HTTP1_NONE, "a request without a body");
	http1_request((struct str)S("PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"), &head, &method, &target, &used, NULL);
	ok(http1_request_body_init(&body, &head, NULL) == 0 && !body.done && body.framing == HTTP1_LENGTH && body.left == 3, "one with a body");
}

static void
test_framing(void)
{
	static const struct { const char *name, *fields; int status; bool head_request; int rc; enum http1_framing framing; uint64_t left; bool done; } cases[] = {
		{ "a length", "Content-Length: 5", 200, false, 0, HTTP1_LENGTH, 5, false },
		{ "a length of 0", "Content-Length: 0", 200, false, 0, HTTP1_LENGTH, 0, true },
		{ "the largest length", "Content-Length: 18446744073709551615", 200, false, 0, HTTP1_LENGTH, UINT64_MAX, false },
		{ "leading zeros", "Content-Length: 007", 200, false, 0, HTTP1_LENGTH, 7, false },
		{ "chunks", "Transfer-Encoding: chunked", 200, false, 0, HTTP1_CHUNKED, 0, false },
		{ "chunks in capitals", "TRANSFER-ENCODING: CHUNKED", 200, false, 0, HTTP1_CHUNKED, 0, false },
		{ "neither", "A: b", 200, false, 0, HTTP1_UNTIL_CLOSE, 0, false },
		{ "an error's body", "Content-Length: 9", 404, false, 0, HTTP1_LENGTH, 9, false },
		{ "HEAD", "Content-Length: 5", 200, true, 0, HTTP1_NONE, 0, true },
		{ "HEAD with chunks", "Transfer-Encoding: chunked", 200, true, 0, HTTP1_NONE, 0, true },
		{ "204", "Content-Length: 5", 204, false, 0, HTTP1_NONE, 0, true },
		{ "304", "Content-Length: 5", 304, false, 0, HTTP1_NONE, 0, true },
		{ "101", "Upgrade: tcp", 101, false, 0, HTTP1_NONE, 0, true },
		{ "205 is like others", "Content-Length: 1", 205, false, 0, HTTP1_LENGTH, 1, false },
		{ "the same length twice", "Content-Length: 5\r\nContent-Length: 5", 200, false, 0, HTTP1_LENGTH, 5, false },
		{ "the same length in one field", "Content-Length: 5, 5", 200, false, 0, HTTP1_LENGTH, 5, false },
		{ "two lengths", "Content-Length: 5\r\nContent-Length: 6", 200, false, -1, 0, 0, false },
		{ "two lengths in one field", "Content-Length: 5,6", 200, false, -1, 0, 0, false },
		{ "an empty length", "Content-Length:", 200, false, -1, 0, 0, false },
		{ "an empty member", "Content-Length: 5,", 200, false, -1, 0, 0, false },
		{ "a sign", "Content-Length: +5", 200, false, -1, 0, 0, false },
		{ "a negative length", "Content-Length: -5", 200, false, -1, 0, 0, false },
		{ "a hexadecimal length", "Content-Length: 0x5", 200, false, -1, 0, 0, false },
		{ "a length with a point", "Content-Length: 5.0", 200, false, -1, 0, 0, false },
		{ "a length beyond 64 bits", "Content-Length: 18446744073709551616", 200, false, -1, 0, 0, false },
		{ "length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked", 200, false, -1, 0, 0, false },
		{ "chunks and length 0", "Transfer-Encoding: chunked\r\nContent-Length: 0", 200, false, -1, 0, 0, false },
		{ "gzip in chunks", "Transfer-Encoding: gzip, chunked", 200, false, -1, 0, 0, false },
		{ "identity", "Transfer-Encoding: identity", 200, false, -1, 0, 0, false },
		{ "an empty coding", "Transfer-Encoding:", 200, false, -1, 0, 0, false },
		{ "chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 200, false, -1, 0, 0, false },
		{ "chunked twice in one field", "Transfer-Encoding: chunked, chunked", 200, false, -1, 0, 0, false },
		{ "nearly chunked", "Transfer-Encoding: xchunked", 200, false, -1, 0, 0, false },
	};
	struct http1_body body;
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t used;

	for (size_t i = 0; i < NELEM(cases); i++) {
		int rc;

		buf_clear(&b);
		buf_fmt(&b, "HTTP/1.1 %d x\r\n%s\r\n\r\n", cases[i].status, cases[i].fields);
		if (http1_head(buf_str(&b), &head, &used, &e) != 1)
			ok(false, "framing: the test's own head: %s", e.msg);
		rc = http1_body_init(&body, cases[i].head_request, &head, &e);
		is_int(rc, cases[i].rc, "framing: %s", cases[i].name);
		if (rc == 0)
			ok(body.framing == cases[i].framing && body.left == cases[i].left && body.done == cases[i].done,
			    "  its kind: %s", cases[i].name);
		else
			ok(e.kind == ERR_PROTO, "  is %s", e.msg);
	}
	http1_head((struct str)S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), &head, &used, &e);
	is_int(http1_body_init(&body, false, &head, &e), -1, "framing: chunks in HTTP/1.0");
	buf_free(&b);

	static const struct { const char *head; bool keeps; } alive[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", true }, { "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n\r\n", false }, { "HTTP/1.0 200 OK\r\n\r\n", false },
		{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true },
		{ "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n\r\n", false },
	};
	for (size_t i = 0; i < NELEM(alive); i++) {
		http1_head(str_from(alive[i].head), &head, &used, &e);
		ok(http1_keeps_alive(&head) == alive[i].keeps, "keeps the connection: case %zu", i);
	}
}

struct result {
	struct buf	data;
	struct err	e;
	int		rc;
	size_t		left;		/* bytes of the input that are not the body's */
	bool		done;
};

/* Reads a body in pieces that end at a and b. */
static struct result
read_body(enum http1_framing framing, uint64_t length, struct str in, size_t a, size_t b)
{
	struct http1_body body = { .framing = framing, .left = length };
	struct result r = { .data = { 0 } };
	struct str part[3] = { str_sub(in, 0, a), str_sub(in, a, b - a), str_sub(in, b, in.n) }, out;

	for (size_t i = 0; i < 3; i++) {
		while ((r.rc = http1_body_next(&body, &part[i], &out, &r.e)) == 1)
			if (out.n == 0)
				buf_puts(&r.data, "<an empty piece>");
			else
				buf_putstr(&r.data, out);
		if (r.rc < 0)
			break;
		r.left += part[i].n;
	}
	r.done = body.done;
	if (r.rc == 0)
		r.rc = http1_body_eof(&body, &r.e);
	return r;
}

static void
test_bodies(void)
{
	static const struct { const char *name; enum http1_framing framing; uint64_t length; struct str in; int rc; const char *data; size_t left; enum err_kind kind; } cases[] = {
		{ "by length", HTTP1_LENGTH, 5, S("helloHTTP/1.1"), 0, "hello", 8, 0 },
		{ "by length, cut", HTTP1_LENGTH, 6, S("hello"), -1, "hello", 0, ERR_NET },
		{ "until close", HTTP1_UNTIL_CLOSE, 0, S("hello"), 0, "hello", 0, 0 },
		{ "until close, empty", HTTP1_UNTIL_CLOSE, 0, S(""), 0, "", 0, 0 },
		{ "chunks", HTTP1_CHUNKED, 0, S("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nrest"), 0, "hello world", 4, 0 },
		{ "no chunk at all", HTTP1_CHUNKED, 0, S("0\r\n\r\n"), 0, "", 0, 0 },
		{ "sizes in both cases, with zeros", HTTP1_CHUNKED, 0, S("00A\r\n0123456789\r\n0b\r\n0123456789a\r\n000\r\n\r\n"), 0, "01234567890123456789a", 0, 0 },
		{ "extensions", HTTP1_CHUNKED, 0, S("1;a=b;c=\"d;e\"\r\nx\r\n1 ;f\r\ny\r\n0;last\r\n\r\n"), 0, "xy", 0, 0 },
		{ "a size padded with blanks", HTTP1_CHUNKED, 0, S("1     \r\nx\r\n0\r\n\r\n"), 0, "x", 0, 0 },
		{ "trailer fields", HTTP1_CHUNKED, 0, S("1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\nrest"), 0, "x", 4, 0 },
		{ "a trailer with bare LF", HTTP1_CHUNKED, 0, S("1\r\nx\r\n0\r\nA: b\n\nrest"), 0, "x", 4, 0 },
		{ "payload like a chunk", HTTP1_CHUNKED, 0, S("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), 0, "0\r\n\r\n", 0, 0 },
		{ "cut in a chunk", HTTP1_CHUNKED, 0, S("5\r\nhel"), -1, "hel", 0, ERR_NET },
		{ "cut behind a chunk", HTTP1_CHUNKED, 0, S("5\r\nhello\r\n"), -1, "hello", 0, ERR_NET },
		{ "cut before the blank line", HTTP1_CHUNKED, 0, S("5\r\nhello\r\n0\r\n"), -1, "hello", 0, ERR_NET },
		{ "no size", HTTP1_CHUNKED, 0, S("\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "only an extension", HTTP1_CHUNKED, 0, S(";a\r\n"), -1, "", 0, ERR_PROTO },
		{ "a blank before the size", HTTP1_CHUNKED, 0, S(" 5\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "a sign", HTTP1_CHUNKED, 0, S("+5\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "a negative size", HTTP1_CHUNKED, 0, S("-5\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "0x", HTTP1_CHUNKED, 0, S("0x5\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "a letter behind the size", HTTP1_CHUNKED, 0, S("5g\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "a digit behind a blank", HTTP1_CHUNKED, 0, S("5 5\r\nhello"), -1, "", 0, ERR_PROTO },
		{ "a size of 65 bits", HTTP1_CHUNKED, 0, S("10000000000000000\r\nx"), -1, "", 0, ERR_PROTO },
		{ "the largest size", HTTP1_CHUNKED, 0, S("ffffffffffffffff\r\nx"), -1, "x", 0, ERR_NET },
		{ "bare LF behind a size", HTTP1_CHUNKED, 0, S("1\nx\r\n0\r\n\r\n"), -1, "", 0, ERR_PROTO },
		{ "bare LF in an extension", HTTP1_CHUNKED, 0, S("1;a\nx\r\n0\r\n\r\n"), -1, "", 0, ERR_PROTO },
		{ "bare CR behind a size", HTTP1_CHUNKED, 0, S("1\rx\r\n0\r\n\r\n"), -1, "", 0, ERR_PROTO },
		{ "bare LF behind a chunk", HTTP1_CHUNKED, 0, S("1\r\nx\n0\r\n\r\n"), -1, "x", 0, ERR_PROTO },
		{ "bare CR behind a chunk", HTTP1_CHUNKED, 0, S("1\r\nx\r0\r\n\r\n"), -1, "x", 0, ERR_PROTO },
		{ "a chunk longer than its size", HTTP1_CHUNKED, 0, S("1\r\nxyz\r\n0\r\n\r\n"), -1, "x", 0, ERR_PROTO },
		{ "bare CR at the end", HTTP1_CHUNKED, 0, S("0\r\n\rx"), -1, "", 0, ERR_PROTO },
	};
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct result r = read_body(cases[i].framing, cases[i].length, cases[i].in, 0, 0);
		int wrong = 0;

		is_int(r.rc, cases[i].rc, "body: %s", cases[i].name);
		ok(str_eqc(buf_str(&r.data), cases[i].data), "  its bytes");
		if (r.rc == 0)
			is_int((long long)r.left, (long long)cases[i].left, "  what follows it");
		else
			is_str(err_kind_name(r.e.kind), err_kind_name(cases[i].kind), "  is %s", r.e.msg);
		for (size_t x = 0; x <= cases[i].in.n; x++)
			for (size_t y = x; y <= cases[i].in.n; y++) {
				struct result s = read_body(cases[i].framing, cases[i].length, cases[i].in, x, y);

				wrong += s.rc != r.rc || s.e.kind != r.e.kind || (r.rc == 0 && s.left != r.left) || s.done != r.done ||
				    strcmp(s.e.msg, r.e.msg) != 0 || !str_eq(buf_str(&s.data), buf_str(&r.data));
				buf_free(&s.data);
			}
		is_int(wrong, 0, "  split anywhere, the same");
		buf_free(&r.data);
	}

	for (size_t n = HTTP_CHUNK_LINE_MAX; n <= HTTP_CHUNK_LINE_MAX + 1; n++) {
		struct result r;

		buf_clear(&b);
		buf_puts(&b, "1;");
		while (b.n < n)
			buf_putc(&b, 'x');
		buf_puts(&b, "\r\nx\r\n0\r\n\r\n");
		r = read_body(HTTP1_CHUNKED, 0, buf_str(&b), 0, 0);
		is_int(r.rc, n <= HTTP_CHUNK_LINE_MAX ? 0 : -1, "a chunk line of %zu bytes", n);
		buf_free(&r.data);
	}
	for (size_t n = HTTP_TRAILER_MAX; n <= HTTP_TRAILER_MAX + 1; n++) {
		struct result r;

		buf_clear(&b);
		buf_puts(&b, "0\r\n");
		for (size_t i = 0; i < n - 2; i++)
			buf_putc(&b, i % 50 == 49 ? '\n' : 'x');
		buf_cut(&b, b.n - 1);
		buf_puts(&b, "\n\r\n");
		r = read_body(HTTP1_CHUNKED, 0, buf_str(&b), 0, 0);
		is_int(r.rc, n <= HTTP_TRAILER_MAX ? 0 : -1, "a trailer of %zu bytes", n);
		buf_free(&r.data);
	}
	buf_free(&b);
}

int
main(void)
{
	test_heads();
	test_limits();
	test_requests();
	test_framing();
	test_bodies();
	return done_testing();
}
