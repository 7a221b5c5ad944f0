/*
 * UTF-8: the table of well-formed byte sequences of the Unicode standard
 * (chapter 3, table 3-7), written as code.
 */
#include "core/core.h"
#include "wire/utf8.h"

static uint32_t
tail(const unsigned char *p)
{
	return *p & 0x3fu;
}

size_t
utf8_decode(struct str s, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char lo = 0x80, hi = 0xbf;	/* of the second byte */
	size_t n;

	if (s.n == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (s.n < n)
		return 0;
	switch (p[0]) {
	case 0xe0: lo = 0xa0; break;	/* shorter forms exist below */
	case 0xed: hi = 0x9f; break;	/* surrogates above */
	case 0xf0: lo = 0x90; break;
	case 0xf4: hi = 0x8f; break;	/* U+10FFFF is the last */
	}
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	if (n == 2)
		*cp = (p[0] & 0x1fu) << 6 | tail(p + 1);
	else if (n == 3)
		*cp = (p[0] & 0x0fu) << 12 | tail(p + 1) << 6 | tail(p + 2);
	else
		*cp = (p[0] & 0x07u) << 18 | tail(p + 1) << 12 |
		    tail(p + 2) << 6 | tail(p + 3);
	return n;
}

size_t
utf8_encode(uint32_t cp, char out[4])
{
	assert(cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff));
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}
