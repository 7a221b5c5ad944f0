/*
 * Private keys for SSH as people have them, brought into the one form that
 * libssh2 with mbedTLS reads. Parses foreign bytes; touches no file or
 * socket. What it makes of a key is as secret as the key.
 */
#ifndef NET_SSHKEY_H
#define NET_SSHKEY_H

#include "core/buf.h"
#include "core/err.h"

/*
 * Takes PEM (PKCS#1, SEC1, PKCS#8) or "OPENSSH PRIVATE KEY" and appends
 * PKCS#1 or SEC1 PEM to pem, and the public line to pub_line (either may be
 * NULL). 0, or -1 (ERR_CONFIG) with what to do about the key.
 */
int	sshkey_read(struct str text, struct buf *pem, struct buf *pub_line, struct err *e);

#endif
