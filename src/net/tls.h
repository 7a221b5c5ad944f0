/*
 * TLS 1.2 client on BearSSL: no allocation per connection beyond one struct. The peer is always
 * verified, in one of two ways: by certificate chain and name, or by the very
 * key that a certificate on our disk holds (machines, whose certificates carry addresses that BearSSL does not look at).
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "core/err.h"
#include "core/mono.h"
#include "core/str.h"

struct tls_trust;		/* anchors; shared by connections, immutable */
struct tls_identity;		/* a client's certificate chain and key */
struct tls;

/*
 * Trust in a PEM bundle (private CA). with_system also takes the built-in bundle, SSL_CERT_FILE or /etc/ssl/certs/ca-certificates.crt
 * (each once, on demand by issuer name, so the bundle costs no memory). pem may be empty. NULL on error (ERR_PARSE names `what`).
 */
struct tls_trust *tls_trust_new(struct str pem, bool with_system, const char *what, struct err *e);
/*
 * Trust in exactly the public key of this certificate (the first in pem): the handshake proves the peer holds its private key.
 */
struct tls_trust *tls_trust_key(struct str cert_pem, const char *what, struct err *e);
void	tls_trust_free(struct tls_trust *t);

/* RSA or EC key, PKCS#1, SEC1 or PKCS#8, unencrypted. NULL on error. */
struct tls_identity *tls_identity_new(struct str cert_pem, struct str key_pem, const char *what, struct err *e);
void	tls_identity_free(struct tls_identity *id);	/* wipes */

/*
 * Handshake over a connected socket, which tls owns from here on (also on failure). name is
 * the DNS name (SNI and check) or, for IP addresses, compared with the certificate's iPAddress SANs by ourselves. NULL on error: ERR_TLS with the reason in
 * words ("certificate has expired on 2026-01-02", "issued by an authority that is not trusted: CN=...", "is for a, b, not for c").
 */
struct tls *tls_open(int fd, struct str name, const struct tls_trust *trust,
	    const struct tls_identity *id, mono_t deadline, struct err *e);
/* Reads at least one byte. > 0 bytes, 0 at an orderly end, -1 error (a cut connection is ERR_NET). */
ssize_t	tls_read(struct tls *t, void *p, size_t n, mono_t deadline, struct err *e);
/* Writes everything and sends it. 0 or -1. */
int	tls_write(struct tls *t, const void *p, size_t n, mono_t deadline, struct err *e);
/* Whether decrypted bytes wait, so that poll(2) on the socket would miss them. */
bool	tls_pending(const struct tls *t);
int	tls_fd(const struct tls *t);
/* close_notify if it goes out at once, then close. */
void	tls_close(struct tls *t);
/* The peer's chain as PEM (for CI_SERVER_TLS_CA_FILE): kept only when asked for before tls_open() by this switch. */
void	tls_keep_chain(bool on);
struct str tls_chain_pem(const struct tls *t);

/* The host's own clock is what validity is judged by. Decodes notAfter of the first certificate: 0 or -1. */
int	tls_cert_expiry(struct str cert_pem, int64_t *unix_seconds, struct err *e);

#endif
