/*
 * The flaws of BearSSL that vendor/patches mends stay mended: most of this
 * fails with the library as it was released.
 */
#include <bearssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* A DER element: tag, two bytes of length, n bytes of `fill` with the top bit clear. */
static size_t
der(unsigned char *to, unsigned tag, size_t n, unsigned fill)
{
	to[0] = (unsigned char)tag;
	to[1] = 0x82;
	to[2] = (unsigned char)(n >> 8);
	to[3] = (unsigned char)(n & 255);
	memset(to + 4, (int)fill, n);
	return n + 4;
}

/* An RSA private key whose five secret integers are `each` bytes long. */
static size_t
rsa_key(unsigned char *to, size_t each)
{
	size_t n = 4;

	memcpy(to + n, "\x02\x01\x00", 3);			/* version */
	n += 3;
	n += der(to + n, 0x02, 512, 0x71);			/* modulus */
	memcpy(to + n, "\x02\x03\x01\x00\x01", 5);		/* exponent */
	n += 5;
	n += der(to + n, 0x02, 512, 0x72);			/* private exponent */
	for (unsigned i = 0; i < 5; i++)
		n += der(to + n, 0x02, each, 0x73 + i);
	to[0] = 0x30;
	to[1] = 0x82;
	to[2] = (unsigned char)((n - 4) >> 8);
	to[3] = (unsigned char)((n - 4) & 255);
	return n;
}

static void
test_key_buffer(void)
{
	static unsigned char key[8192];
	struct {
		br_skey_decoder_context	dc;
		unsigned char		after[64];
	} s;
	bool whole = true;

	memset(s.after, 0xa5, sizeof(s.after));
	br_skey_decoder_init(&s.dc);
	br_skey_decoder_push(&s.dc, key, rsa_key(key, 256));
	ok(br_skey_decoder_last_error(&s.dc) == 0, "a key of 4096 bits fits");

	br_skey_decoder_init(&s.dc);
	br_skey_decoder_push(&s.dc, key, rsa_key(key, sizeof(s.dc.key_data) / 5 + 4));
	for (size_t i = 0; i < sizeof(s.after); i++)
		whole = whole && s.after[i] == 0xa5;
	ok(br_skey_decoder_last_error(&s.dc) != 0, "a key longer than the buffer is refused");
	ok(whole, "and nothing is written past it");
}

static void
test_error_is_final(void)
{
	static unsigned char key[8192];
	br_skey_decoder_context dc;
	br_x509_decoder_context xc;
	size_t n = rsa_key(key, 256);
	int e;

	br_skey_decoder_init(&dc);
	br_skey_decoder_push(&dc, "\xff\xff\xff", 3);
	e = br_skey_decoder_last_error(&dc);
	br_skey_decoder_push(&dc, key, n);
	ok(e != 0 && br_skey_decoder_last_error(&dc) == e, "an error of the key decoder is final");

	br_x509_decoder_init(&xc, NULL, NULL);
	br_x509_decoder_push(&xc, "\xff\xff\xff", 3);
	e = br_x509_decoder_last_error(&xc);
	br_x509_decoder_push(&xc, key, n);
	ok(e != 0 && br_x509_decoder_last_error(&xc) == e, "an error of the certificate decoder is final");
}

/* (2^2048 - 1)^2 = 2^4096 - 2^2049 + 1 */
static void
test_modulus(void)
{
	unsigned char p[256], got[512], want[512] = { 0 };
	br_rsa_private_key k = { 0 };
	size_t n;

	memset(p, 0xff, sizeof(p));
	memset(want, 0xff, 255);
	want[255] = 0xfe;
	want[511] = 1;
	k.n_bitlen = 4096;
	k.p = k.q = p;
	k.plen = k.qlen = sizeof(p);
	n = br_rsa_compute_modulus_get_default()(got, &k);
	ok(n == sizeof(got) && memcmp(got, want, sizeof(want)) == 0, "the modulus of a key of 4096 bits");
	n = br_rsa_i15_compute_modulus(got, &k);
	ok(n == sizeof(got) && memcmp(got, want, sizeof(want)) == 0, "the same on small words");
}

int
main(void)
{
	test_key_buffer();
	test_error_is_final();
	test_modulus();
	return done_testing();
}
