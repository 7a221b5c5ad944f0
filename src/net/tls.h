/*
 * TLS 1.2 client on BearSSL: no allocation per connection beyond one struct
 * of about 27 KB, and a transient one while the peer's chain is checked. The
 * peer is always verified, in one of two ways: by certificate chain and name,
 * or by the very key that a certificate on our disk holds (machines). There
 * is no switch to turn that off.
 *
 * What is checked of a chain: every signature up to a trusted authority,
 * validity of each certificate by this host's clock, basic constraints and
 * key usage of authorities, that the server's certificate (and each
 * authority's, if it says something) is meant for servers, and the name:
 * dNSName, for an address iPAddress, and the common name when there are no
 * alternative names; name constraints of each authority (net/constraints.h);
 * and that no RSA key is shorter than 2048 bits. Not checked: revocation.
 *
 * What is spoken: TLS 1.2 with ECDHE, AES-GCM, ChaCha20-Poly1305, AES-CBC with
 * SHA-2; certificates with RSA or ECDSA keys and SHA-2 signatures.
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
 * Trust in the authorities of a PEM bundle (a private CA; a certificate that
 * is no authority is trusted for the server that presents it). with_system
 * also takes the built-in bundle, and SSL_CERT_FILE or the host's own bundle (each
 * asked on demand by issuer name, so the bundles cost no memory). pem may be
 * empty, is copied, and may hold other blocks, which are passed over. NULL on
 * error (ERR_PARSE, the message names `what`).
 */
struct tls_trust *tls_trust_new(struct str pem, bool with_system, const char *what, struct err *e);
/* From now on connections keep the peer's chain: tls_chain_pem(). */
void	tls_trust_keep_chain(struct tls_trust *t);
/*
 * Trust in exactly the public key of this certificate (the first in pem): the
 * handshake proves that the peer holds its private key. Names and dates do
 * not matter then.
 */
struct tls_trust *tls_trust_key(struct str cert_pem, const char *what, struct err *e);
void	tls_trust_free(struct tls_trust *t);	/* NULL allowed; after the connections that use it */

/*
 * A client's certificate, with its intermediates behind it if there are any,
 * and its RSA or EC key (PKCS#1, SEC1 or PKCS#8, unencrypted). That the two
 * belong together is checked. NULL on error.
 */
struct tls_identity *tls_identity_new(struct str cert_pem, struct str key_pem, const char *what, struct err *e);
void	tls_identity_free(struct tls_identity *id);	/* wipes; NULL allowed */

/*
 * Handshake over a connected non-blocking socket, which tls owns from here on
 * (also on failure). name is the DNS name (sent as SNI and compared) or an IP
 * address, which is compared with the certificate's iPAddress entries. trust and
 * id (NULL: none) must outlive the connection. NULL on error: ERR_TLS with the reason in
 * words ("certificate has expired on 2026-01-02T...", "issued by an authority that
 * is not trusted: CN=...", "certificate is for a, b and not for c"), ERR_NET when the
 * connection broke, ERR_TIMEOUT, ERR_CANCELLED.
 */
struct tls *tls_open(int fd, struct str name, const struct tls_trust *trust,
	    const struct tls_identity *id, mono_t deadline, struct err *e);
/*
 * Reads at least one byte. > 0 bytes, 0 at an orderly end (the peer said
 * close_notify), -1 error: a connection that was cut is ERR_NET, so a short
 * stream never looks like a whole one. After -1 only tls_close() is allowed.
 */
ssize_t	tls_read(struct tls *t, void *p, size_t n, mono_t deadline, struct err *e);
/* Writes everything and sends it. 0 or -1. */
int	tls_write(struct tls *t, const void *p, size_t n, mono_t deadline, struct err *e);
/*
 * Like tls_write(), but leaves the rest as soon as bytes from the peer wait
 * (tls_pending()), since a server may answer before it has taken all. Returns
 * the bytes taken, fewer than n only then; -1.
 */
ssize_t	tls_write_until_answer(struct tls *t, const void *p, size_t n, mono_t deadline, struct err *e);
/*
 * Says that nothing more will be written (close_notify) and goes on reading: the peer sees the end
 * of our stream, and what it says comes as before (RFC 8446 6.1 allows for TLS 1.2 peers what
 * RFC 5246 7.2.1 did not; Go's server, and so a Docker Engine, takes it so). Nothing may be written
 * afterwards. 0 or -1.
 */
int	tls_end_writing(struct tls *t, mono_t deadline, struct err *e);
/* Whether decrypted bytes wait, so that poll(2) on the socket would miss them. */
bool	tls_pending(const struct tls *t);
/* Whether nothing lies here that came and was not read; what is still in the socket poll(2) knows. */
bool	tls_fresh(const struct tls *t);
/* close_notify if it goes out at once, then close. NULL allowed. */
void	tls_close(struct tls *t);
/*
 * The peer's chain as PEM (for CI_SERVER_TLS_CA_FILE), as far as it was verified: the
 * server's certificate, the authorities between, the trusted one at its end (a built-in one only
 * when the server sent it). Nothing else that a server sends gets in. Kept only when
 * tls_trust_keep_chain() asked for it before.
 */
struct str tls_chain_pem(const struct tls *t);

/* The host's own clock is what validity is judged by. Decodes notAfter of the first certificate: 0 or -1. */
int	tls_cert_expiry(struct str cert_pem, int64_t *unix_seconds, struct err *e);

#endif
