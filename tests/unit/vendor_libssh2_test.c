/*
 * What vendor/ adds to libssh2 and mends in it, as far as that can be seen
 * without a server; e2e/test_net.py has the rest.
 */
#include <libssh2.h>
#include <stdlib.h>
#include <string.h>

#include <dropbear_ed25519.h>

#include "tap.h"

/* Of libssh2's back end, in vendor/libssh2_more.c. */
struct libssh2_ed25519;
int	_libssh2_curve25519_new(LIBSSH2_SESSION *session, uint8_t **pub, uint8_t **priv);
int	_libssh2_curve25519_gen_k(void **k, uint8_t *priv, uint8_t *server_pub);
int	_libssh2_ed25519_new_public(struct libssh2_ed25519 **out, LIBSSH2_SESSION *s, const unsigned char *pub, const size_t n);
int	_libssh2_ed25519_verify(struct libssh2_ed25519 *k, const uint8_t *sig, size_t sig_n, const uint8_t *m, size_t n);
void	*_libssh2_mbedtls_bignum_init(void);
void	_libssh2_mbedtls_bignum_free(void *bn);
int	mbedtls_mpi_cmp_mpi(const void *a, const void *b);

static void
test_x25519(LIBSSH2_SESSION *s)
{
	uint8_t *a_pub, *a, *b_pub, *b, zero[32] = { 0 };
	void *k1 = _libssh2_mbedtls_bignum_init(), *k2 = _libssh2_mbedtls_bignum_init();

	if (!ok(_libssh2_curve25519_new(s, &a_pub, &a) == 0 && _libssh2_curve25519_new(s, &b_pub, &b) == 0, "two X25519 keys"))
		return;
	ok(memcmp(a, b, 32) != 0 && memcmp(a_pub, b_pub, 32) != 0, "... differ");
	ok(_libssh2_curve25519_gen_k(&k1, a, b_pub) == 0 && _libssh2_curve25519_gen_k(&k2, b, a_pub) == 0 &&
	    mbedtls_mpi_cmp_mpi(k1, k2) == 0, "... and agree on a secret");
	ok(_libssh2_curve25519_gen_k(&k1, a, zero) != 0, "a point that hides nothing is refused (RFC 8731 3)");
	free(a);
	free(a_pub);
	free(b);
	free(b_pub);
	_libssh2_mbedtls_bignum_free(k1);
	_libssh2_mbedtls_bignum_free(k2);
}

static void
test_ed25519(LIBSSH2_SESSION *s)
{
	unsigned char seed[32] = "thirty-two bytes of a test's key", pub[32], sig[64], m[] = "a message";
	/* The order of the group (RFC 8032 5.1): s + order is another spelling of s, which nobody may use. */
	static const unsigned char order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
		0xde, 0x14, [31] = 0x10 };
	struct libssh2_ed25519 *k = NULL;
	unsigned long n = sizeof(sig);
	int wrong = 0, carry = 0;

	dropbear_ed25519_make_key(pub, seed);
	dropbear_ed25519_sign(m, sizeof(m), sig, &n, seed, pub);
	ok(_libssh2_ed25519_new_public(&k, s, pub, 31) != 0 && _libssh2_ed25519_new_public(&k, s, pub, 33) != 0, "a key has 32 bytes");
	if (!ok(n == 64 && _libssh2_ed25519_new_public(&k, s, pub, 32) == 0, "an Ed25519 key"))
		return;
	ok(_libssh2_ed25519_verify(k, sig, 64, m, sizeof(m)) == 0, "... verifies its signature");
	ok(_libssh2_ed25519_verify(k, sig, 63, m, sizeof(m)) != 0 && _libssh2_ed25519_verify(k, sig, 64, m, sizeof(m) - 1) != 0,
	    "... whole, of the whole message");
	for (int i = 0; i < 64; i++) {
		sig[i] ^= 1;
		wrong += _libssh2_ed25519_verify(k, sig, 64, m, sizeof(m)) != 0;
		sig[i] ^= 1;
	}
	is_int(wrong, 64, "... with no byte changed");
	for (int i = 0; i < 32; i++) {
		carry += sig[32 + i] + order[i];
		sig[32 + i] = (unsigned char)carry;
		carry >>= 8;
	}
	ok(_libssh2_ed25519_verify(k, sig, 64, m, sizeof(m)) != 0, "... and spelt in one way only");
	free(k);
}

int
main(void)
{
	const char **algs = NULL;
	LIBSSH2_SESSION *s;
	int n, sha1 = 0;

	libssh2_init(0);
	s = libssh2_session_init();
	if (!ok(s != NULL, "a session"))
		return done_testing();
	test_x25519(s);
	test_ed25519(s);
	for (int method = LIBSSH2_METHOD_KEX; method <= LIBSSH2_METHOD_MAC_SC; method++) {
		n = libssh2_session_supported_algs(s, method, &algs);
		for (int i = 0; i < n; i++)
			sha1 += strstr(algs[i], "sha1") != NULL || strstr(algs[i], "md5") != NULL || strcmp(algs[i], "ssh-rsa") == 0 ||
			    strstr(algs[i], "-cert-") != NULL || strstr(algs[i], "cbc") != NULL;
		ok(n > 0, "method %d: %d algorithms", method, n);
		libssh2_free(s, algs);
	}
	is_int(sha1, 0, "nothing with SHA-1 or MD5, no certificates, no CBC is there to be chosen");
	libssh2_session_free(s);
	libssh2_exit();
	return done_testing();
}
