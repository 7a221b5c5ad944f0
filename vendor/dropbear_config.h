/*
 * All that Dropbear's curve25519.c includes, as windlass uses that one file:
 * Ed25519 with BearSSL's SHA-512. X25519 is BearSSL's own.
 */

#ifndef WINDLASS_DROPBEAR_CONFIG_H
#define WINDLASS_DROPBEAR_CONFIG_H

#include <bearssl.h>

#define DROPBEAR_CURVE25519_DEP	0
#define DROPBEAR_ED25519	1
#define DROPBEAR_SIGNKEY_VERIFY	1

/* dropbear_ed25519_make_key() works out the public key of the seed that its caller has put there. */
#define genrandom(p, n)		((void)(p))

typedef br_sha512_context hash_state;

#define sha512_init(h)		br_sha512_init(h)
#define sha512_process(h, p, n)	br_sha512_update((h), (p), (n))
#define sha512_done(h, out)	(br_sha512_out((h), (out)), 0)

#endif
