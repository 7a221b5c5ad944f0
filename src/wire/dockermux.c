/* The frames of a container's output: see dockermux.h. */
#include "core/core.h"
#include "wire/dockermux.h"

/* A whole header: stream, three zeros, the payload's length in big endian. */
static int
begin_frame(struct dockermux *m, struct err *e)
{
	const uint8_t *h = m->head;

	if (h[0] > DOCKERMUX_SYSTEM)
		return err_set(e, ERR_PROTO, 0, "container output: a frame of stream %d "
		    "(is it the output of a container with a TTY?)", h[0]);
	if (h[1] != 0 || h[2] != 0 || h[3] != 0)
		return err_set(e, ERR_PROTO, 0, "container output: a frame header's padding is %02x%02x%02x "
		    "instead of zeros", h[1], h[2], h[3]);
	m->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	m->begun = false;
	if (m->left == 0)
		m->have = 0;
	return 0;
}

int
dockermux_next(struct dockermux *m, struct str *in, struct str *out, int *stream, bool *first, struct err *e)
{
	while (m->have < sizeof(m->head)) {
		if (in->n == 0)
			return 0;
		m->head[m->have++] = (uint8_t)*in->p;
		*in = str_sub(*in, 1, in->n);
		if (m->have == sizeof(m->head) && begin_frame(m, e) < 0)
			return -1;
	}
	if (in->n == 0)
		return 0;
	*out = str_sub(*in, 0, m->left);
	*in = str_sub(*in, out->n, in->n);
	*stream = m->head[0];
	*first = !m->begun;
	m->begun = true;
	m->left -= (uint32_t)out->n;
	if (m->left == 0)
		m->have = 0;
	return 1;
}

bool
dockermux_idle(const struct dockermux *m)
{
	return m->have == 0;
}
