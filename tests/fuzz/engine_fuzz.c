/*
 * An engine's streams: the log of a container and the messages of a pull. The first byte chooses which and how the rest is cut
 * into chunks; the same bytes in one chunk must give the same. The pieces of a log lie one behind the other, whatever the cuts.
 */
#include <fcntl.h>

#include "docker/engine.c"	/* NOLINT(bugprone-suspicious-include): for its struct, since TLS is left out here */
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken message may be looked for from its beginning with each chunk: inputs stay short. */
#define INPUT_MAX	4096

static void
answer(struct buf *b, struct str body, size_t cut)
{
	buf_puts(b, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
	while (body.n > 0) {
		struct str piece = str_sub(body, 0, cut);

		buf_fmt(b, "%zx\r\n", piece.n);
		buf_putstr(b, piece);
		buf_puts(b, "\r\n");
		body = str_sub(body, piece.n, body.n);
	}
	buf_puts(b, "0\r\n\r\n");
}

static void
note(void *ctx, struct json_val message)
{
	struct str raw = json_raw(message);

	buf_putstr(ctx, raw);
	buf_putc(ctx, '\n');
}

static int
read_log(struct engine *g, struct buf *out, struct err *e)
{
	struct stream_piece p = { 0 };
	int rc = engine_logs_begin(g, "abc", true, mono_after(5 * NSEC_SEC), e);

	if (rc == 0) {
		while ((rc = engine_stream_next(g, &p, mono_after(5 * NSEC_SEC), e)) == 1) {
			buf_putstr(out, p.bytes);
			if (p.last)
				buf_fmt(out, "|%d %" PRId64 "|", p.stream, p.at.ns);
		}
		engine_stream_end(g);
	}
	return rc;
}

/* What comes of the body in chunks of `cut` bytes. */
static int
take(struct str body, size_t cut, bool pull, struct buf *out, struct err *e)
{
	struct engine g = { .api = ENGINE_API_MIN, .base = xstrdup("http://127.0.0.1:2376") };
	struct buf says = { .max = PEER_MAX };
	int rc;

	answer(&says, body, cut);
	assert(!says.failed);
	peer_says = buf_str(&says);
	g.http = http_new(str_from(g.base), &g.opts, NULL);
	if (pull)
		rc = engine_pull(&g, &(struct engine_image){ .name = STR("alpine"),
		    .tag = STR("latest"), .tick = note, .ctx = out }, mono_after(5 * NSEC_SEC), e);
	else
		rc = read_log(&g, out, e);
	assert(rc == 0 || (e->kind != ERR_NONE && e->kind != ERR_TIMEOUT));
	http_free(g.http);
	http_resp_free(&g.resp);
	free(g.base);
	buf_free(&says);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = { .max = 1u << 20 }, cut = { .max = 1u << 20 };
	struct err ew = { 0 }, ec = { 0 };
	int rw, rc;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	rw = take(str_of(data + 1, size - 1), INPUT_MAX, (data[0] & 1) != 0, &whole, &ew);
	rc = take(str_of(data + 1, size - 1), 1 + (data[0] >> 1) % 16, (data[0] & 1) != 0, &cut, &ec);
	assert(rw == rc && ew.kind == ec.kind);
	assert(rw != 0 || str_eq(buf_str(&whole), buf_str(&cut)));
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
