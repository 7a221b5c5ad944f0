/* Marks in any bytes, cut anywhere: what comes out does not depend on where (wire/marker.h). */
#include <assert.h>

#include "core/buf.h"
#include "wire/marker.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(struct str in, size_t n, struct buf *out)
{
	struct marker m;
	struct mark mark;
	struct str text;
	int rc;

	marker_init(&m, "0123456789abcdef");
	while (in.n > 0) {
		struct str piece = str_sub(in, 0, n < in.n ? n : in.n);

		in = str_sub(in, piece.n, in.n);
		while ((rc = marker_next(&m, &piece, &text, &mark)) != 0) {
			assert(rc == 2 || text.n > 0);
			if (rc == 1)
				buf_putstr(out, text);
			else
				buf_fmt(out, "<%d %d>", (int)mark.word, mark.status);
		}
		assert(piece.n == 0 && m.nheld <= MARKER_MAX);
	}
	buf_putstr(out, marker_close(&m));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	struct buf whole = { 0 }, pieces = { 0 };

	run(in, size + 1, &whole);
	run(in, 1 + size % 7, &pieces);
	assert(str_eq(buf_str(&whole), buf_str(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
