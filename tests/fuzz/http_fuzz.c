/*
 * A server's answers through the whole client: the first byte chooses method and form, the rest is what the server says, on each
 * connection anew. An exchange ends, whatever comes; a status is one; a streamed body is the body in memory.
 */
#include <fcntl.h>

#include "core/core.h"
#include "net/http.h"
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX	(128u << 10)

static int
whole(struct http *h, const struct http_req *q, struct buf *body, int *status)
{
	struct http_resp r = { .body = { .max = BODY_MAX } };
	struct err e = { 0 };
	int rc = http_do(h, q, &r, mono_after(5 * NSEC_SEC), &e);

	if (rc == 0) {
		assert(r.head.status >= 100 && r.head.status <= 999 && r.body.n <= BODY_MAX);
		*status = r.head.status;
		buf_putstr(body, buf_str(&r.body));
	} else
		assert(e.kind != ERR_NONE && e.kind != ERR_TIMEOUT && e.msg[0] != '\0');
	http_resp_free(&r);
	http_drop(h);
	return rc;
}

static int
streamed(struct http *h, const struct http_req *q, struct buf *body, int *status)
{
	struct http_resp r = { 0 };
	struct err e = { 0 };
	struct str piece;
	int rc = http_begin(h, q, &r, mono_after(5 * NSEC_SEC), &e);

	if (rc == 0) {
		*status = r.head.status;
		while ((rc = http_more(h, &piece, mono_after(5 * NSEC_SEC), &e)) == 1) {
			assert(piece.n > 0);
			buf_putstr(body, piece);
		}
		http_end(h);
	}
	assert(rc == 0 || (e.kind != ERR_NONE && e.kind != ERR_TIMEOUT));
	http_resp_free(&r);
	http_drop(h);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "POST" };
	struct http_opts o = { 0 };
	struct http_req q = { .target = STR("/api/v4/jobs/request?x=1") };
	struct buf a = { .max = 2 * BODY_MAX }, b = { .max = 2 * BODY_MAX };
	struct http *h = http_new(STR("http://127.0.0.1:9"), &o, NULL);
	int status[2] = { 0, 0 }, rc[2];

	if (size == 0 || size > PEER_MAX) {
		http_free(h);
		return 0;
	}
	q.method = methods[data[0] & 3];
	if ((data[0] & 2) != 0)
		q.body = STR("{\"token\":\"x\"}");
	peer_says = str_of(data + 1, size - 1);
	rc[0] = whole(h, &q, &a, &status[0]);
	rc[1] = streamed(h, &q, &b, &status[1]);
	/* 101 and its like are a stream for one and an end for the other. */
	if (rc[0] == 0 && rc[1] == 0 && status[0] != 101)
		assert(status[0] == status[1] && str_eq(buf_str(&a), buf_str(&b)));
	buf_free(&a);
	buf_free(&b);
	http_free(h);
	return 0;
}
