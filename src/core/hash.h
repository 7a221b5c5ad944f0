/*
 * Small digests and text encodings: CRC-32 (trace checksums, spec
 * gitlab-runner 6.5), MD5 and SHA-256 (names of volumes, fingerprints),
 * HMAC-SHA256 (system id), base64 and hex. FNV-1a for tables.
 */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include "core/buf.h"

/* CRC-32/IEEE, running: start with 0, feed the previous result. */
uint32_t	hash_crc32(uint32_t crc, const void *p, size_t n);
void		hash_md5(const void *p, size_t n, uint8_t out[16]);
void		hash_sha256(const void *p, size_t n, uint8_t out[32]);
void		hash_hmac_sha256(struct str key, struct str msg, uint8_t out[32]);
uint64_t	hash_fnv(struct str s);
void		hash_hex(const uint8_t *p, size_t n, char *out);	/* 2n digits and NUL */
void		hash_base64(struct buf *b, struct str s);		/* padded, standard alphabet */
void		hash_base64url(struct buf *b, struct str s);		/* padded, URL alphabet */
/* Standard or URL alphabet, white space skipped, padding optional. 0 or -1. */
int		hash_base64_decode(struct buf *b, struct str s);

#endif
