/*
 * UTF-8 (RFC 3629), one character at a time. Only shortest forms up to
 * U+10FFFF are well-formed; surrogates are not characters.
 */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H

#include "core/str.h"

#define UTF8_REPLACEMENT	0xfffdu		/* what stands for bytes that are no character */

/*
 * The character at the front of s in *cp and its length in bytes, 1 to 4;
 * 0 when s is empty or begins with anything but a whole, well-formed
 * character (*cp is left alone then).
 */
size_t	utf8_decode(struct str s, uint32_t *cp);
/* Writes cp, which must be a character, and returns its length, 1 to 4. */
size_t	utf8_encode(uint32_t cp, char out[4]);

#endif
