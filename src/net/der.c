/* Elements of DER; see der.h. */
#include "net/der.h"

int
der_next(struct str *s, struct der *d)
{
	const uint8_t *p = (const uint8_t *)s->p;
	size_t head = 2, n;

	if (s->n == 0)
		return 0;
	/* Tags above 30 take several bytes; no field of a certificate has one. */
	if (s->n < 2 || (p[0] & 0x1f) == 0x1f)
		return -1;
	n = p[1];
	if (n >= 0x80) {
		size_t bytes = n & 0x7f;

		if (bytes == 0 || bytes > 3 || s->n < 2 + bytes)
			return -1;
		n = 0;
		for (size_t i = 0; i < bytes; i++)
			n = n << 8 | p[2 + i];
		head += bytes;
	}
	if (n > s->n - head)
		return -1;
	d->tag = p[0];
	d->all = str_of(p, head + n);
	d->in = str_of(p + head, n);
	*s = str_of(p + head + n, s->n - head - n);
	return 1;
}

int
der_want(struct str *s, uint8_t tag, struct der *d)
{
	return der_next(s, d) == 1 && d->tag == tag ? 0 : -1;
}

int
der_maybe(struct str *s, uint8_t tag, struct der *d)
{
	if (s->n == 0 || (uint8_t)s->p[0] != tag)
		return 0;
	return der_next(s, d);
}
