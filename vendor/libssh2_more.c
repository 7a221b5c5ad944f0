/*
 * What libssh2 lacks, built into it. For its mbedTLS back end: X25519 for the
 * curve25519-sha256 key exchange, from BearSSL, and Ed25519 host keys, from
 * Dropbear's source; its crypto.h says what each of these functions is to do.
 * Private keys are not libssh2's affair (net/sshkey.c signs), so its functions
 * for them are not here. And a way to what a host says while it refuses us.
 */
#include "libssh2_priv.h"
#include "packet.h"

#include <bearssl.h>
#include <dropbear_ed25519.h>

struct libssh2_ed25519 {
	unsigned char pub[LIBSSH2_ED25519_KEY_LEN];
};

int
_libssh2_curve25519_new(LIBSSH2_SESSION *session, uint8_t **pub, uint8_t **priv)
{
	uint8_t *p = LIBSSH2_ALLOC(session, LIBSSH2_ED25519_KEY_LEN);
	uint8_t *s = LIBSSH2_ALLOC(session, LIBSSH2_ED25519_KEY_LEN);

	if (p == NULL || s == NULL || _libssh2_random(s, LIBSSH2_ED25519_KEY_LEN) != 0) {
		if (p != NULL)
			LIBSSH2_FREE(session, p);
		if (s != NULL)
			LIBSSH2_FREE(session, s);
		return -1;
	}
	br_ec_c25519_m31.mulgen(p, s, LIBSSH2_ED25519_KEY_LEN, BR_EC_curve25519);
	*pub = p;
	*priv = s;
	return 0;
}

int
_libssh2_curve25519_gen_k(_libssh2_bn **k, uint8_t priv[LIBSSH2_ED25519_KEY_LEN],
    uint8_t server_pub[LIBSSH2_ED25519_KEY_LEN])
{
	unsigned char shared[LIBSSH2_ED25519_KEY_LEN], any = 0;
	int rc = -1;

	memcpy(shared, server_pub, sizeof(shared));
	br_ec_c25519_m31.mul(shared, sizeof(shared), priv, LIBSSH2_ED25519_KEY_LEN, BR_EC_curve25519);
	for (size_t i = 0; i < sizeof(shared); i++)
		any |= shared[i];
	/* RFC 8731 section 3: all zeros are the mark of a point that hides nothing. */
	if (any != 0 && _libssh2_bn_from_bin(*k, sizeof(shared), shared) == 0)
		rc = 0;
	_libssh2_explicit_zero(shared, sizeof(shared));
	return rc;
}

int
_libssh2_ed25519_new_public(libssh2_ed25519_ctx **out, LIBSSH2_SESSION *session, const unsigned char *pub,
    const size_t n)
{
	libssh2_ed25519_ctx *k;

	(void)session;
	if (n != LIBSSH2_ED25519_KEY_LEN || (k = mbedtls_calloc(1, sizeof(*k))) == NULL)
		return -1;
	memcpy(k->pub, pub, n);
	*out = k;
	return 0;
}

int
_libssh2_ed25519_verify(libssh2_ed25519_ctx *k, const uint8_t *sig, size_t sig_n, const uint8_t *m, size_t n)
{
	if (sig_n != LIBSSH2_ED25519_SIG_LEN)
		return -1;
	return dropbear_ed25519_verify(m, n, sig, sig_n, k->pub);
}

/*
 * The text of the next SSH_MSG_USERAUTH_BANNER (RFC 4252 section 5.4) that has
 * come and was not read: why an account is locked is told there. Copies it
 * into out[size] with a NUL, cut to fit; 0, or -1 when there is none.
 */
int
libssh2_more_banner(LIBSSH2_SESSION *session, char *out, size_t size)
{
	unsigned char *data, *text;
	struct string_buf buf;
	size_t data_n, n;
	int rc = -1;

	if (_libssh2_packet_ask(session, SSH_MSG_USERAUTH_BANNER, &data, &data_n, 0, NULL, 0) != 0)
		return -1;
	buf = (struct string_buf){ .data = data, .dataptr = data + 1, .len = data_n };
	if (data_n > 0 && _libssh2_get_string(&buf, &text, &n) == 0) {
		n = n < size ? n : size - 1;
		memcpy(out, text, n);
		out[n] = '\0';
		rc = 0;
	}
	LIBSSH2_FREE(session, data);
	return rc;
}
