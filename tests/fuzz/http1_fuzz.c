/*
 * HTTP/1.1: an answer or a request with its body, split anywhere, comes out
 * the same, down to the reason for a refusal.
 *
 * The first byte is the seed of the splits, the second chooses: bit 0 a
 * request, bit 1 the answer to a HEAD.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/http1.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct buf	all;		/* everything that came out, as text */
	int		rc;
	size_t		used;		/* of the input, when the message is complete */
};

static uint32_t
draw(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

static void
inside(struct str part, struct str whole)
{
	assert(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* Reads one message whose bytes come in pieces of at most max bytes. */
static struct result
read_message(struct str in, bool request, bool head_request, size_t max, uint32_t seed)
{
	static struct http_head h;
	struct result r = { .all = { .max = 1u << 20 } };
	struct str method, target, out, piece;
	struct http1_body body = { 0 };
	struct err e = { 0 };
	size_t have = 0, used = 0;

	do {
		have += max < in.n - have ? 1 + draw(&seed) % max : in.n - have;
		if (have > in.n)
			have = in.n;
		piece = str_sub(in, 0, have);
		r.rc = request ? http1_request(piece, &h, &method, &target, &used, &e) : http1_head(piece, &h, &used, &e);
	} while (r.rc == 0 && have < in.n);
	if (r.rc != 1)
		goto out;
	assert(used <= have && used <= HTTP_HEAD_MAX && h.nfield <= HTTP_FIELDS_MAX);
	if (request) {
		inside(method, piece);
		inside(target, piece);
		buf_fmt(&r.all, "%.*s %.*s\n", STR_ARG(method), STR_ARG(target));
	} else
		assert(h.status >= 100 && h.status <= 999);
	buf_fmt(&r.all, "%d %d alive=%d\n", h.status, h.minor, http1_keeps_alive(&h));
	for (size_t i = 0; i < h.nfield; i++) {
		inside(h.field[i].name, piece);
		inside(h.field[i].value, piece);
		assert(str_chr(h.field[i].value, '\n') < 0 && str_chr(h.field[i].value, '\r') < 0 && str_chr(h.field[i].value, '\0') < 0);
		assert(h.field[i].name.n > 0);
		buf_fmt(&r.all, "%.*s: %.*s\n", STR_ARG(h.field[i].name), STR_ARG(h.field[i].value));
	}
	r.rc = request ? http1_request_body_init(&body, &h, &e) : http1_body_init(&body, head_request, &h, &e);
	if (r.rc < 0)
		goto out;
	piece = str_sub(in, used, have - used);
	for (;;) {
		while ((r.rc = http1_body_next(&body, &piece, &out, &e)) == 1) {
			assert(out.n > 0);
			inside(out, in);
			buf_putstr(&r.all, out);
		}
		if (r.rc < 0)
			goto out;
		assert(body.done || piece.n == 0);
		if (body.done || have == in.n)
			break;
		used = have;
		have += max < in.n - have ? 1 + draw(&seed) % max : in.n - have;
		if (have > in.n)
			have = in.n;
		piece = str_sub(in, used, have - used);
	}
	r.rc = http1_body_eof(&body, &e);
	r.used = have - piece.n;
	assert(r.rc < 0 || body.done);
out:
	assert((r.rc < 0) == (e.kind != ERR_NONE));
	buf_fmt(&r.all, "[%s]", r.rc < 0 ? e.msg : "");
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, parts;
	struct str in;
	bool request, head_request;

	if (size < 2)
		return 0;
	in = str_of(data + 2, size - 2);
	request = data[1] & 1;
	head_request = data[1] & 2;
	whole = read_message(in, request, head_request, SIZE_MAX, 0);
	for (size_t max = 1; max <= 64; max *= 8) {
		parts = read_message(in, request, head_request, max, data[0]);
		assert(parts.rc == whole.rc);
		assert(parts.used == whole.used);
		assert(str_eq(buf_str(&parts.all), buf_str(&whole.all)));
		buf_free(&parts.all);
	}
	buf_free(&whole.all);
	return 0;
}
