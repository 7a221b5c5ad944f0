/*
 * Keys for SSH: making, reading, naming; see ssh.h and sshkey.h. The number
 * work is mbedTLS's; OpenSSH's private format (its PROTOCOL.key) is read here,
 * because libssh2's mbedTLS side knows it for ECDSA only.
 */
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

#include "core/hash.h"
#include "core/rand.h"
#include "net/ssh.h"
#include "net/sshkey.h"
#include "wire/pem.h"

#define KEY_TEXT_MAX	(64u << 10)
#define DER_MAX		8192		/* of a private key: RSA 16384 bits would need 9.5 KB, which nobody has */

static const struct curve {
	mbedtls_ecp_group_id	 id;
	const char		*name;		/* of the curve */
	const char		*type;		/* of the key */
	size_t			 bytes;
} curves[] = {
	{ MBEDTLS_ECP_DP_SECP256R1, "nistp256", "ecdsa-sha2-nistp256", 32 },
	{ MBEDTLS_ECP_DP_SECP384R1, "nistp384", "ecdsa-sha2-nistp384", 48 },
	{ MBEDTLS_ECP_DP_SECP521R1, "nistp521", "ecdsa-sha2-nistp521", 66 },
};

static int
rng(void *ctx, unsigned char *p, size_t n)
{
	(void)ctx;
	rand_bytes(p, n);
	return 0;
}

static int
refuse_ed25519(struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "ed25519 keys cannot be used (libssh2 with mbedTLS has none): "
	    "make an RSA or ECDSA key, for example with ssh-keygen -t ecdsa");
}

static int
refuse_encrypted(struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "the SSH key has a passphrase: remove it with ssh-keygen -p -N '' -f FILE");
}

static int
refuse_broken(struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "not a usable SSH private key (RSA and ECDSA keys in PEM or OpenSSH format are)");
}

/* The wire form of RFC 4251 section 5, both ways. */
static void
put_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, sizeof(p));
}

static void
put_string(struct buf *b, struct str s)
{
	put_u32(b, (uint32_t)s.n);
	buf_putstr(b, s);
}

/* A positive number: no leading zeros, except for one that keeps the sign bit clear. */
static void
put_mpint(struct buf *b, struct str number)
{
	while (number.n > 0 && number.p[0] == 0)
		number = str_sub(number, 1, number.n);
	bool zero = number.n > 0 && ((uint8_t)number.p[0] & 0x80) != 0;
	put_u32(b, (uint32_t)(number.n + zero));
	if (zero)
		buf_putc(b, 0);
	buf_putstr(b, number);
}

static bool
get_u32(struct str *s, uint32_t *v)
{
	const uint8_t *p = (const uint8_t *)s->p;

	if (s->n < 4)
		return false;
	*v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*s = str_of(p + 4, s->n - 4);
	return true;
}

static bool
get_string(struct str *s, struct str *out)
{
	uint32_t n;

	if (!get_u32(s, &n) || n > s->n)
		return false;
	*out = str_of(s->p, n);
	*s = str_of(s->p + n, s->n - n);
	return true;
}

static void
put_line(struct buf *line, const char *type, struct str blob)
{
	buf_fmt(line, "%s ", type);
	hash_base64(line, blob);
}

static int
put_rsa_line(const mbedtls_rsa_context *rsa, struct buf *line)
{
	struct buf blob = { .max = 8192 };
	unsigned char n[2048], ex[8];
	size_t len = mbedtls_rsa_get_len(rsa);
	int rc = -1;

	if (len > sizeof(n) || mbedtls_rsa_export_raw(rsa, n, len, NULL, 0, NULL, 0, NULL, 0, ex, sizeof(ex)) != 0)
		goto out;
	put_string(&blob, STR("ssh-rsa"));
	put_mpint(&blob, str_of(ex, sizeof(ex)));
	put_mpint(&blob, str_of(n, len));
	put_line(line, "ssh-rsa", buf_str(&blob));
	rc = 0;
out:
	buf_free(&blob);
	return rc;
}

static int
put_ec_line(const mbedtls_ecp_keypair *ec, struct buf *line)
{
	struct buf blob = { .max = 8192 };
	unsigned char q[2 * 66 + 1];
	size_t len;

	for (size_t i = 0; i < NELEM(curves); i++) {
		if (curves[i].id != mbedtls_ecp_keypair_get_group_id(ec))
			continue;
		if (mbedtls_ecp_write_public_key(ec, MBEDTLS_ECP_PF_UNCOMPRESSED, &len, q, sizeof(q)) != 0)
			return -1;
		put_string(&blob, str_from(curves[i].type));
		put_string(&blob, str_from(curves[i].name));
		put_string(&blob, str_of(q, len));
		put_line(line, curves[i].type, buf_str(&blob));
		buf_free(&blob);
		return 0;
	}
	return -1;
}

/* Writes a key out as PEM and as public line. */
static int
put_key(mbedtls_pk_context *pk, struct buf *pem, struct buf *pub_line)
{
	unsigned char der[DER_MAX];
	bool rsa = mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA;
	int n;

	if (!rsa && mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY)
		return -1;
	if (pub_line != NULL && (rsa ? put_rsa_line(mbedtls_pk_rsa(*pk), pub_line) : put_ec_line(mbedtls_pk_ec(*pk), pub_line)) < 0)
		return -1;
	if (pem == NULL)
		return 0;
	/* It is written to the end of the buffer. */
	n = mbedtls_pk_write_key_der(pk, der, sizeof(der));
	if (n > 0)
		pem_put(pem, rsa ? "RSA PRIVATE KEY" : "EC PRIVATE KEY", str_of(der + sizeof(der) - n, (size_t)n));
	explicit_bzero(der, sizeof(der));
	return n > 0 ? 0 : -1;
}

int
ssh_keygen(struct buf *priv_pem, struct buf *pub_line, struct err *e)
{
	mbedtls_pk_context pk;
	int rc;

	mbedtls_pk_init(&pk);
	rc = mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (rc == 0)
		rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), rng, NULL);
	if (rc == 0)
		rc = put_key(&pk, priv_pem, pub_line);
	mbedtls_pk_free(&pk);
	return rc == 0 ? 0 : err_set(e, ERR_SYS, 0, "could not make an SSH key (mbedTLS error %#x)", (unsigned)-rc);
}

static int
read_openssh_rsa(struct str s, mbedtls_pk_context *pk)
{
	struct str n, ex, d, iqmp, p, q;
	mbedtls_rsa_context *rsa;

	if (!get_string(&s, &n) || !get_string(&s, &ex) || !get_string(&s, &d) || !get_string(&s, &iqmp) ||
	    !get_string(&s, &p) || !get_string(&s, &q))
		return -1;
	/* Larger ones would take mbedTLS minutes; who made the file may not be who runs us. */
	if (n.n > 1025 || p.n > 1025 || q.n > 1025 || d.n > 1025 || ex.n > 8)
		return -1;
	if (mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) != 0)
		return -1;
	rsa = mbedtls_pk_rsa(*pk);
#define RAW(x)	(const unsigned char *)(x).p, (x).n
	if (mbedtls_rsa_import_raw(rsa, RAW(n), RAW(p), RAW(q), RAW(d), RAW(ex)) != 0 ||
	    mbedtls_rsa_complete(rsa) != 0 || mbedtls_rsa_check_privkey(rsa) != 0)
		return -1;
	return 0;
}

static int
read_openssh_ec(struct str s, const struct curve *c, mbedtls_pk_context *pk)
{
	struct str name, point, d;
	unsigned char secret[66] = { 0 };
	mbedtls_ecp_keypair *ec;
	int rc = -1;

	if (!get_string(&s, &name) || !str_eqc(name, c->name) || !get_string(&s, &point) || !get_string(&s, &d))
		return -1;
	while (d.n > 0 && d.p[0] == 0)
		d = str_sub(d, 1, d.n);
	if (d.n == 0 || d.n > c->bytes || mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) != 0)
		return -1;
	ec = mbedtls_pk_ec(*pk);
	memcpy(secret + c->bytes - d.n, d.p, d.n);
	if (mbedtls_ecp_read_key(c->id, ec, secret, c->bytes) == 0 &&
	    mbedtls_ecp_keypair_calc_public(ec, rng, NULL) == 0)
		rc = 0;
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

static int
read_openssh(struct str s, mbedtls_pk_context *pk, struct err *e)
{
	struct str cipher, kdf, kdfopts, pub, priv, type;
	uint32_t nkeys, check1, check2;

	if (!str_starts(s, "openssh-key-v1") || s.n < 15 || s.p[14] != '\0')
		return refuse_broken(e);
	s = str_sub(s, 15, s.n);
	if (!get_string(&s, &cipher) || !get_string(&s, &kdf) || !get_string(&s, &kdfopts))
		return refuse_broken(e);
	if (!str_eqc(cipher, "none"))
		return refuse_encrypted(e);
	if (!get_u32(&s, &nkeys) || nkeys != 1 || !get_string(&s, &pub) || !get_string(&s, &priv) ||
	    !get_u32(&priv, &check1) || !get_u32(&priv, &check2) || check1 != check2 || !get_string(&priv, &type))
		return refuse_broken(e);
	if (str_find(type, "ed25519") >= 0)
		return refuse_ed25519(e);
	if (str_eqc(type, "ssh-rsa"))
		return read_openssh_rsa(priv, pk) == 0 ? 0 : refuse_broken(e);
	for (size_t i = 0; i < NELEM(curves); i++)
		if (str_eqc(type, curves[i].type))
			return read_openssh_ec(priv, &curves[i], pk) == 0 ? 0 : refuse_broken(e);
	return err_set(e, ERR_CONFIG, 0, "SSH keys of this kind cannot be used: make an RSA or ECDSA key");
}

int
sshkey_read(struct str text, struct buf *pem, struct buf *pub_line, struct err *e)
{
	struct buf der = { .max = KEY_TEXT_MAX };
	struct str label, whole;
	mbedtls_pk_context pk;
	int rc = -1;

	if (text.n > KEY_TEXT_MAX)
		return refuse_broken(e);
	/* The old kind of encryption stands in a header of the block, which RFC 7468 does not know. */
	if (str_find(text, "ENCRYPTED") >= 0)
		return refuse_encrypted(e);
	mbedtls_pk_init(&pk);
	while ((rc = pem_next(&text, &label, &der, &whole, e)) == 1 && !str_ends(label, "PRIVATE KEY"))
		buf_wipe(&der);
	if (rc != 1) {
		rc = refuse_broken(e);
		goto out;
	}
	if (str_eqc(label, "OPENSSH PRIVATE KEY"))
		rc = read_openssh(buf_str(&der), &pk, e);
	else if (str_find(buf_str(&der), "\x06\x03\x2b\x65\x70") >= 0)		/* OID 1.3.101.112 */
		rc = refuse_ed25519(e);
	else
		rc = mbedtls_pk_parse_key(&pk, (const unsigned char *)der.p, der.n, NULL, 0, rng, NULL) == 0 ?
		    0 : refuse_broken(e);
	if (rc == 0 && put_key(&pk, pem, pub_line) < 0)
		rc = refuse_broken(e);
out:
	mbedtls_pk_free(&pk);
	buf_wipe(&der);
	return rc;
}

int
ssh_public_line(struct str key_text, struct buf *pub_line, struct err *e)
{
	return sshkey_read(key_text, NULL, pub_line, e);
}

int
ssh_fingerprint(struct str pub_line, char out[48], struct err *e)
{
	struct str type = str_cut(&pub_line, ' '), base64 = str_cut(&pub_line, ' ');
	struct buf blob = { .max = KEY_TEXT_MAX };
	uint8_t md5[16];
	int rc = -1;

	if (type.n == 0 || base64.n == 0 || hash_base64_decode(&blob, str_trim(base64)) < 0 || blob.n == 0) {
		err_set(e, ERR_PARSE, 0, "not an SSH public key line (\"ssh-rsa AAAA...\")");
		goto out;
	}
	hash_md5(blob.p, blob.n, md5);
	for (size_t i = 0; i < sizeof(md5); i++)
		snprintf(out + 3 * i, 4, "%02x%s", md5[i], i + 1 < sizeof(md5) ? ":" : "");
	rc = 0;
out:
	buf_free(&blob);
	return rc;
}
