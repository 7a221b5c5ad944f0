/*
 * Elements of DER (X.690), definite lengths only, tags of one byte: what
 * certificates are made of. The bytes are hostile; nothing is allocated and
 * everything given is a view into the input.
 */
#ifndef NET_DER_H
#define NET_DER_H

#include "core/str.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_PRINTABLE = 0x13,
	DER_TELETEX = 0x14,
	DER_IA5 = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
};

struct der {
	uint8_t		tag;
	struct str	all;	/* with tag and length */
	struct str	in;	/* contents */
};

/* Takes the next element off *s. 1, 0 at the end of *s, -1 malformed. */
int	der_next(struct str *s, struct der *d);
/* The next element, which must have this tag. 0 or -1. */
int	der_want(struct str *s, uint8_t tag, struct der *d);
/* The same for a field that may be missing: 1 taken, 0 something else comes, -1. */
int	der_maybe(struct str *s, uint8_t tag, struct der *d);

#endif
