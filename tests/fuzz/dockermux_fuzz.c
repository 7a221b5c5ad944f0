/*
 * Docker's frames: split anywhere, what comes out is the same, and it is what
 * a reader that has everything at once would find.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/dockermux.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frames as a list of stream, NUL, payload; returns the last return value. */
static int
take(struct dockermux *m, struct str in, struct buf *list)
{
	struct err e = { 0 };
	struct str out;
	int rc, stream;
	bool first;

	while ((rc = dockermux_next(m, &in, &out, &stream, &first, &e)) == 1) {
		assert(out.n > 0 && out.p + out.n == in.p && stream >= 0 && stream <= 3);
		if (first)
			buf_fmt(list, "frame %d:", stream);
		buf_putstr(list, out);
	}
	assert(rc == -1 ? e.kind == ERR_PROTO : in.n == 0 && e.kind == ERR_NONE);
	return rc;
}

/* The same by the book. */
static int
model(const uint8_t *p, size_t n, struct buf *list)
{
	while (n >= 8) {
		size_t len = (size_t)p[4] << 24 | (size_t)p[5] << 16 | (size_t)p[6] << 8 | p[7];

		if (p[0] > 3 || p[1] != 0 || p[2] != 0 || p[3] != 0)
			return -1;
		if (len > 0 && n > 8)
			buf_fmt(list, "frame %d:", p[0]);
		if (len > n - 8)
			len = n - 8;
		buf_put(list, p + 8, len);
		p += 8 + len;
		n -= 8 + len;
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first byte says how the rest is split: pieces of 1 to 32 bytes, by a small generator. */
	uint32_t seed = size > 0 ? data[0] : 0;
	struct str rest = size > 0 ? str_of(data + 1, size - 1) : STR("");
	struct buf once = { 0 }, pieces = { 0 }, want = { 0 };
	struct dockermux a = { 0 }, b = { 0 };
	int rc = take(&a, rest, &once), rc2 = 0;

	assert(rc == model((const uint8_t *)rest.p, rest.n, &want));
	assert(str_eq(buf_str(&once), buf_str(&want)));
	while (rest.n > 0 && rc2 == 0) {
		seed = seed * 1103515245 + 12345;
		rc2 = take(&b, str_sub(rest, 0, 1 + (seed >> 16) % 32), &pieces);
		rest = str_sub(rest, 1 + (seed >> 16) % 32, rest.n);
	}
	assert(rc2 == rc && str_eq(buf_str(&once), buf_str(&pieces)));
	assert(rc < 0 || dockermux_idle(&a) == dockermux_idle(&b));
	buf_free(&once);
	buf_free(&pieces);
	buf_free(&want);
	return 0;
}
