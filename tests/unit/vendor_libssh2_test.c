/*
 * The flaws of libssh2 that vendor/patches mends stay mended, as far as they
 * can be seen without a server.
 */
#include <libssh2.h>
#include <mbedtls/ecdsa.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* Of libssh2's mbedTLS back end; what libssh2_userauth_publickey_frommemory() calls. */
int	_libssh2_mbedtls_ecdsa_new_private_frommemory(mbedtls_ecdsa_context **ctx, LIBSSH2_SESSION *session,
	    const char *data, size_t data_len, const unsigned char *pwd);

/* Made for this test with "openssl ecparam -name prime256v1 -genkey". */
static const char key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIOurVS8AEPIub01DP0FKEkriouKEsbifDUPJpay/ViRNoAoGCCqGSM49\n"
    "AwEHoUQDQgAED3v7SEpAmKxypHDvNFkcHtiR/ivlUyiilmQA2CDWE+Zobhl/KeXW\n"
    "86U4To8P/kX7oyx11DavPQNHU0+L6wK/OQ==\n"
    "-----END EC PRIVATE KEY-----\n";

/* Memory as malloc may well give it: not zero. */
static LIBSSH2_ALLOC_FUNC(dirty_alloc)
{
	void *p = malloc(count);

	(void)abstract;
	return p == NULL ? NULL : memset(p, 0xa5, count);
}

static LIBSSH2_REALLOC_FUNC(dirty_realloc)
{
	(void)abstract;
	return realloc(ptr, count);
}

static LIBSSH2_FREE_FUNC(dirty_free)
{
	(void)abstract;
	free(ptr);
}

int
main(void)
{
	mbedtls_ecdsa_context *k = NULL;
	LIBSSH2_SESSION *s;

	libssh2_init(0);
	s = libssh2_session_init_ex(dirty_alloc, dirty_free, dirty_realloc, NULL);
	if (!ok(s != NULL, "a session"))
		return done_testing();
	ok(_libssh2_mbedtls_ecdsa_new_private_frommemory(&k, s, key, sizeof(key) - 1, NULL) == 0,
	    "an ECDSA key in memory is read to its end and no further");
	if (k != NULL) {
		mbedtls_ecdsa_free(k);
		free(k);
	}
	libssh2_session_free(s);
	libssh2_exit();
	return done_testing();
}
