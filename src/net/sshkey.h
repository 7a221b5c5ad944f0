/*
 * Private keys for SSH as people have them: PEM (PKCS#1, SEC1, PKCS#8) or
 * OpenSSH's own format, without a passphrase; RSA, ECDSA on P-256, P-384 and
 * P-521, and Ed25519. Parses foreign bytes; touches no file or socket. What it
 * makes of a key is as secret as the key.
 */
#ifndef NET_SSHKEY_H
#define NET_SSHKEY_H

#include "core/buf.h"
#include "core/err.h"

struct sshkey;

/*
 * Reads a key file's text. NULL with ERR_CONFIG and what to do about the key. The key belongs to the caller
 * (sshkey_free(), which overwrites it).
 */
struct sshkey *sshkey_new(struct str text, struct err *e);
void	sshkey_free(struct sshkey *k);		/* NULL allowed */
/* The public key as SSH sends it; valid as long as the key is. */
struct str sshkey_blob(const struct sshkey *k);
/*
 * Signs data by an algorithm of RFC 8332 (rsa-sha2-256, rsa-sha2-512), RFC 5656 or RFC 8709 and appends what stands
 * behind the algorithm's name in a signature. 0, or -1: ERR_CONFIG when the key does not sign so (SHA-1 never).
 */
int	sshkey_sign(struct sshkey *k, struct str alg, struct str data, struct buf *sig, struct err *e);

/*
 * The key brought into one form: appends PKCS#1, SEC1 or (Ed25519) PKCS#8 PEM to pem, and the public line to pub_line;
 * either may be NULL. 0, or -1 as sshkey_new().
 */
int	sshkey_read(struct str text, struct buf *pem, struct buf *pub_line, struct err *e);

#endif
