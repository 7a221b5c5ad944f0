/* Digests and encodings: see hash.h. MD5 per RFC 1321, SHA-256 per FIPS 180-4, HMAC per RFC 2104. */
#include "core/hash.h"

/*
 * CRC-32, reflected polynomial 0xEDB88320, eight bytes at a time ("slicing
 * by 8"): the trace of every job goes through here. The tables are made at
 * first use, so that a process without a trace does not carry their pages.
 */
static uint32_t crc_table[8][256];

static void
crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
		crc_table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			crc_table[t][i] = crc_table[0][crc_table[t - 1][i] & 255] ^
			    (crc_table[t - 1][i] >> 8);
}

static uint32_t
le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t
hash_crc32(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (crc_table[0][1] == 0)
		crc_init();
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t a = crc ^ le32(p), b = le32(p + 4);

		crc = crc_table[7][a & 255] ^ crc_table[6][a >> 8 & 255] ^
		    crc_table[5][a >> 16 & 255] ^ crc_table[4][a >> 24] ^
		    crc_table[3][b & 255] ^ crc_table[2][b >> 8 & 255] ^
		    crc_table[1][b >> 16 & 255] ^ crc_table[0][b >> 24];
	}
	for (; n > 0; n--, p++)
		crc = crc_table[0][(crc ^ *p) & 255] ^ (crc >> 8);
	return ~crc;
}

static uint32_t
rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t
ror(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static void
md5_block(uint32_t s[4], const uint8_t *p)
{
	static const uint32_t k[64] = {
		0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
		0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
		0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
		0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
		0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
		0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
		0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
		0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
	};
	static const uint8_t r[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };
	uint32_t a = s[0], b = s[1], c = s[2], d = s[3];

	for (unsigned i = 0; i < 64; i++) {
		uint32_t f;
		unsigned g;

		if (i < 16) {
			f = (b & c) | (~b & d);
			g = i;
		} else if (i < 32) {
			f = (d & b) | (~d & c);
			g = (5 * i + 1) & 15;
		} else if (i < 48) {
			f = b ^ c ^ d;
			g = (3 * i + 5) & 15;
		} else {
			f = c ^ (b | ~d);
			g = (7 * i) & 15;
		}
		f += a + k[i] + le32(p + 4 * g);
		a = d;
		d = c;
		c = b;
		b += rol(f, r[i / 16][i & 3]);
	}
	s[0] += a;
	s[1] += b;
	s[2] += c;
	s[3] += d;
}

static void
sha256_block(uint32_t s[8], const uint8_t *p)
{
	static const uint32_t k[64] = {
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	};
	uint32_t w[64], v[8];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		    (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
		    (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
	memcpy(v, s, sizeof(v));
	for (unsigned i = 0; i < 64; i++) {
		uint32_t t1 = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) +
		    ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		uint32_t t2 = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) +
		    ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		s[i] += v[i];
}

/* The padded last block or two of either digest: 0x80, zeros, the length in bits. */
static size_t
pad(uint8_t tail[128], const uint8_t *p, size_t n, bool big_endian)
{
	size_t rest = n % 64, len = rest < 56 ? 64 : 128;
	uint64_t bits = (uint64_t)n * 8;

	memset(tail, 0, 128);
	if (rest > 0)
		memcpy(tail, p + n - rest, rest);
	tail[rest] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		tail[len - 8 + i] = (uint8_t)(bits >> 8 * (big_endian ? 7 - i : i));
	return len;
}

void
hash_md5(const void *data, size_t n, uint8_t out[16])
{
	uint32_t s[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	const uint8_t *p = data;
	uint8_t tail[128];
	size_t len = pad(tail, p, n, false);

	for (size_t i = 0; i + 64 <= n; i += 64)
		md5_block(s, p + i);
	for (size_t i = 0; i < len; i += 64)
		md5_block(s, tail + i);
	for (unsigned i = 0; i < 16; i++)
		out[i] = (uint8_t)(s[i / 4] >> 8 * (i & 3));
}

void
hash_sha256(const void *data, size_t n, uint8_t out[32])
{
	uint32_t s[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	const uint8_t *p = data;
	uint8_t tail[128];
	size_t len = pad(tail, p, n, true);

	for (size_t i = 0; i + 64 <= n; i += 64)
		sha256_block(s, p + i);
	for (size_t i = 0; i < len; i += 64)
		sha256_block(s, tail + i);
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)(s[i / 4] >> 8 * (3 - (i & 3)));
}

void
hash_hmac_sha256(struct str key, struct str msg, uint8_t out[32])
{
	uint8_t k[64] = { 0 }, inner[32];
	struct buf b = { .max = msg.n + 128 };

	if (key.n > 64)
		hash_sha256(key.p, key.n, k);
	else if (key.n > 0)
		memcpy(k, key.p, key.n);
	for (unsigned i = 0; i < 64; i++)
		buf_putc(&b, k[i] ^ 0x36);
	buf_putstr(&b, msg);
	hash_sha256(b.p, b.n, inner);
	buf_clear(&b);
	for (unsigned i = 0; i < 64; i++)
		buf_putc(&b, k[i] ^ 0x5c);
	buf_put(&b, inner, sizeof(inner));
	hash_sha256(b.p, b.n, out);
	buf_wipe(&b);
	explicit_bzero(k, sizeof(k));
}

uint64_t
hash_fnv(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

void
hash_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
	out[2 * n] = '\0';
}

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
encode64(struct buf *b, struct str s, char c62, char c63)
{
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)s.p[i + 2];
		for (unsigned k = 0; k < 4; k++) {
			unsigned d = v >> (18 - 6 * k) & 63;

			if (k > left)
				buf_putc(b, '=');
			else
				buf_putc(b, d == 62 ? c62 : d == 63 ? c63 : b64[d]);
		}
	}
}

void
hash_base64(struct buf *b, struct str s)
{
	encode64(b, s, '+', '/');
}

void
hash_base64url(struct buf *b, struct str s)
{
	encode64(b, s, '-', '_');
}

int
hash_base64_decode(struct buf *b, struct str s)
{
	uint32_t v = 0;
	unsigned have = 0, padding = 0;

	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];
		const char *at;
		unsigned d;

		if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
			continue;
		if (c == '=') {
			padding++;
			continue;
		}
		if (c == '-')
			c = '+';
		else if (c == '_')
			c = '/';
		at = c != 0 ? strchr(b64, c) : NULL;
		if (at == NULL || padding > 0)
			return -1;
		d = (unsigned)(at - b64);
		v = v << 6 | d;
		if (++have == 4) {
			buf_putc(b, v >> 16 & 255);
			buf_putc(b, v >> 8 & 255);
			buf_putc(b, v & 255);
			v = 0;
			have = 0;
		}
	}
	if (padding > 2 || have == 1 || (padding > 0 && have + padding != 4))
		return -1;
	if (have >= 2)
		buf_putc(b, v >> (have == 2 ? 4 : 10) & 255);
	if (have == 3)
		buf_putc(b, v >> 2 & 255);
	return 0;
}
