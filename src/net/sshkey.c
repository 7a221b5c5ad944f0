/*
 * Keys for SSH: making, reading, naming, signing; see ssh.h and sshkey.h. The
 * number work is mbedTLS's and, for Ed25519, Dropbear's; OpenSSH's private
 * format (its PROTOCOL.key) is read here.
 */
#include <dropbear_ed25519.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

#include "core/hash.h"
#include "core/rand.h"
#include "net/ssh.h"
#include "net/sshkey.h"
#include "wire/pem.h"
#include "wire/sshwire.h"

#define KEY_TEXT_MAX	(64u << 10)
#define DER_MAX		8192		/* of a private key: RSA 16384 bits would need 9.5 KB, which nobody has */

#define ED_BYTES	32		/* of an Ed25519 seed, and of a public key */

struct sshkey {
	bool			 is_ed25519;
	mbedtls_pk_context	 pk;		/* RSA or ECDSA */
	unsigned char		 seed[ED_BYTES], pub[ED_BYTES];
	struct buf		 blob;
};

static const struct curve {
	mbedtls_ecp_group_id	 id;
	const char		*name;		/* of the curve */
	const char		*type;		/* of the key */
	size_t			 bytes;
	mbedtls_md_type_t	 hash;
} curves[] = {
	{ MBEDTLS_ECP_DP_SECP256R1, "nistp256", "ecdsa-sha2-nistp256", 32, MBEDTLS_MD_SHA256 },
	{ MBEDTLS_ECP_DP_SECP384R1, "nistp384", "ecdsa-sha2-nistp384", 48, MBEDTLS_MD_SHA384 },
	{ MBEDTLS_ECP_DP_SECP521R1, "nistp521", "ecdsa-sha2-nistp521", 66, MBEDTLS_MD_SHA512 },
};

/* RFC 8410: PKCS#8 of an Ed25519 key, up to the seed. */
static const unsigned char ed_pkcs8[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
	0x04, 0x20 };
#define ED_OID	"\x06\x03\x2b\x65\x70"		/* 1.3.101.112 */

static int
refuse_encrypted(struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "the SSH key has a passphrase: remove it with ssh-keygen -p -N '' -f FILE");
}

/* What people give instead of a private key, by how it begins. */
static int
refuse_broken(struct str text, struct err *e)
{
	static const struct { const char *begins, *words; } known[] = {
		{ "ssh-", "this is a public SSH key: name the private one, the file without .pub" },
		{ "ecdsa-", "this is a public SSH key: name the private one, the file without .pub" },
		{ "sk-", "this is a public SSH key: name the private one, the file without .pub" },
		{ "---- BEGIN SSH2 PUBLIC", "this is a public SSH key: name the private one" },
		{ "-----BEGIN PUBLIC", "this is a public key: name the private one" },
		{ "PuTTY-", "this is a key of PuTTY: export it in OpenSSH's format (puttygen KEY -O private-openssh -o FILE)" },
	};

	text = str_trim(text);
	for (size_t i = 0; i < NELEM(known); i++)
		if (str_starts(text, known[i].begins))
			return err_set(e, ERR_CONFIG, 0, "%s", known[i].words);
	return err_set(e, ERR_CONFIG, 0,
	    "not a usable SSH private key (Ed25519, ECDSA and RSA keys in PEM or OpenSSH format are)");
}

static int
refuse_kind(struct str type, struct err *e)
{
	if (str_starts(type, "sk-"))
		return err_set(e, ERR_CONFIG, 0, "the SSH key is on a security key (%.*s), which only an agent can use: "
		    "load it with ssh-add and name no key, or make one with ssh-keygen -t ed25519", STR_ARG(type));
	return err_set(e, ERR_CONFIG, 0, "SSH keys of this kind cannot be used: make one with ssh-keygen -t ed25519");
}

static int
put_rsa_blob(const mbedtls_rsa_context *rsa, struct buf *blob)
{
	unsigned char n[2048], ex[8];
	size_t len = mbedtls_rsa_get_len(rsa);

	if (len > sizeof(n) || mbedtls_rsa_export_raw(rsa, n, len, NULL, 0, NULL, 0, NULL, 0, ex, sizeof(ex)) != 0)
		return -1;
	sshwire_put_string(blob, STR("ssh-rsa"));
	sshwire_put_mpint(blob, str_of(ex, sizeof(ex)));
	sshwire_put_mpint(blob, str_of(n, len));
	return 0;
}

static const struct curve *
curve_of(const mbedtls_ecp_keypair *ec)
{
	for (size_t i = 0; i < NELEM(curves); i++)
		if (curves[i].id == mbedtls_ecp_keypair_get_group_id(ec))
			return &curves[i];
	return NULL;
}

static int
put_ec_blob(const mbedtls_ecp_keypair *ec, struct buf *blob)
{
	const struct curve *c = curve_of(ec);
	unsigned char q[2 * 66 + 1];
	size_t len;

	if (c == NULL || mbedtls_ecp_write_public_key(ec, MBEDTLS_ECP_PF_UNCOMPRESSED, &len, q, sizeof(q)) != 0)
		return -1;
	sshwire_put_string(blob, str_from(c->type));
	sshwire_put_string(blob, str_from(c->name));
	sshwire_put_string(blob, str_of(q, len));
	return 0;
}

/* Works the public key out. 0, or -1 for a key of no kind that is known. */
static int
make_blob(struct sshkey *k)
{
	mbedtls_pk_type_t type = mbedtls_pk_get_type(&k->pk);

	k->blob.max = 8192;
	if (k->is_ed25519) {
		dropbear_ed25519_make_key(k->pub, k->seed);
		sshwire_put_string(&k->blob, STR("ssh-ed25519"));
		sshwire_put_string(&k->blob, str_of(k->pub, sizeof(k->pub)));
		return 0;
	}
	return type == MBEDTLS_PK_RSA ? put_rsa_blob(mbedtls_pk_rsa(k->pk), &k->blob) :
	    type == MBEDTLS_PK_ECKEY ? put_ec_blob(mbedtls_pk_ec(k->pk), &k->blob) : -1;
}

static int
put_pem(const struct sshkey *k, struct buf *pem)
{
	unsigned char der[DER_MAX];
	int n;

	if (k->is_ed25519) {
		n = sizeof(ed_pkcs8) + sizeof(k->seed);
		memcpy(der + sizeof(der) - n, ed_pkcs8, sizeof(ed_pkcs8));
		memcpy(der + sizeof(der) - sizeof(k->seed), k->seed, sizeof(k->seed));
	} else
		n = mbedtls_pk_write_key_der(&k->pk, der, sizeof(der));
	/* The DER stands at the end of the buffer. */
	if (n > 0)
		pem_put(pem, k->is_ed25519 ? "PRIVATE KEY" : mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA ?
		    "RSA PRIVATE KEY" : "EC PRIVATE KEY", str_of(der + sizeof(der) - n, (size_t)n));
	explicit_bzero(der, sizeof(der));
	return n > 0 ? 0 : -1;
}

static void
put_line(const struct sshkey *k, struct buf *line)
{
	struct str left = buf_str(&k->blob), type;

	(void)sshwire_string(&left, &type);
	buf_fmt(line, "%.*s ", STR_ARG(type));
	hash_base64(line, buf_str(&k->blob));
}

static struct sshkey *
key_init(void)
{
	struct sshkey *k = xcalloc(1, sizeof(*k));

	mbedtls_pk_init(&k->pk);
	return k;
}

void
sshkey_free(struct sshkey *k)
{
	if (k == NULL)
		return;
	mbedtls_pk_free(&k->pk);
	buf_free(&k->blob);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

struct str
sshkey_blob(const struct sshkey *k)
{
	return buf_str(&k->blob);
}

int
ssh_keygen(struct buf *priv_pem, struct buf *pub_line, struct err *e)
{
	struct sshkey *k = key_init();
	int rc;

	rc = mbedtls_pk_setup(&k->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (rc == 0)
		rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(k->pk), rand_for, NULL);
	if (rc == 0 && (rc = make_blob(k)) == 0 && (rc = put_pem(k, priv_pem)) == 0)
		put_line(k, pub_line);
	sshkey_free(k);
	return rc == 0 ? 0 : err_set(e, ERR_SYS, 0, "could not make an SSH key (mbedTLS error %#x)", (unsigned)-rc);
}

static int
read_openssh_rsa(struct str s, mbedtls_pk_context *pk)
{
	struct str n, ex, d, iqmp, p, q;
	mbedtls_rsa_context *rsa;

	if (!sshwire_string(&s, &n) || !sshwire_string(&s, &ex) || !sshwire_string(&s, &d) || !sshwire_string(&s, &iqmp) ||
	    !sshwire_string(&s, &p) || !sshwire_string(&s, &q))
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

	if (!sshwire_string(&s, &name) || !str_eqc(name, c->name) || !sshwire_string(&s, &point) || !sshwire_string(&s, &d))
		return -1;
	while (d.n > 0 && d.p[0] == 0)
		d = str_sub(d, 1, d.n);
	if (d.n == 0 || d.n > c->bytes || mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) != 0)
		return -1;
	ec = mbedtls_pk_ec(*pk);
	memcpy(secret + c->bytes - d.n, d.p, d.n);
	if (mbedtls_ecp_read_key(c->id, ec, secret, c->bytes) == 0 &&
	    mbedtls_ecp_keypair_calc_public(ec, rand_for, NULL) == 0)
		rc = 0;
	explicit_bzero(secret, sizeof(secret));
	return rc;
}

static int
read_openssh_ed25519(struct str s, struct sshkey *k)
{
	struct str pub, both;

	if (!sshwire_string(&s, &pub) || !sshwire_string(&s, &both) || pub.n != ED_BYTES || both.n != 2 * ED_BYTES)
		return -1;
	k->is_ed25519 = true;
	memcpy(k->seed, both.p, ED_BYTES);
	return 0;
}

static int
read_openssh(struct str s, struct sshkey *k, struct err *e)
{
	struct str cipher, kdf, kdfopts, pub, priv, type;
	uint32_t nkeys, check1, check2;
	int rc = -1;

	if (!str_starts(s, "openssh-key-v1") || s.n < 15 || s.p[14] != '\0')
		return refuse_broken(STR_NULL, e);
	s = str_sub(s, 15, s.n);
	if (!sshwire_string(&s, &cipher) || !sshwire_string(&s, &kdf) || !sshwire_string(&s, &kdfopts))
		return refuse_broken(STR_NULL, e);
	if (!str_eqc(cipher, "none"))
		return refuse_encrypted(e);
	if (!sshwire_u32(&s, &nkeys) || nkeys != 1 || !sshwire_string(&s, &pub) || !sshwire_string(&s, &priv) ||
	    !sshwire_u32(&priv, &check1) || !sshwire_u32(&priv, &check2) || check1 != check2 || !sshwire_string(&priv, &type))
		return refuse_broken(STR_NULL, e);
	if (str_eqc(type, "ssh-ed25519"))
		rc = read_openssh_ed25519(priv, k);
	else if (str_eqc(type, "ssh-rsa"))
		rc = read_openssh_rsa(priv, &k->pk);
	else {
		const struct curve *c = curves;

		while (c < curves + NELEM(curves) && !str_eqc(type, c->type))
			c++;
		if (c == curves + NELEM(curves))
			return refuse_kind(type, e);
		rc = read_openssh_ec(priv, c, &k->pk);
	}
	/* The public half stands in the file, too: a file whose halves differ is damaged. */
	if (rc < 0 || make_blob(k) < 0 || !str_eq(buf_str(&k->blob), pub))
		return refuse_broken(STR_NULL, e);
	return 0;
}

/* PKCS#1, SEC1 or PKCS#8. */
static int
read_der(struct str der, struct sshkey *k, struct err *e)
{
	ssize_t oid = str_find(str_sub(der, 0, sizeof(ed_pkcs8)), ED_OID);

	if (oid >= 0) {
		der = str_sub(der, (size_t)oid + sizeof(ED_OID) - 1, der.n);
		if (der.n < 4 + ED_BYTES || memcmp(der.p, "\x04\x22\x04\x20", 4) != 0)
			return refuse_broken(STR_NULL, e);
		k->is_ed25519 = true;
		memcpy(k->seed, der.p + 4, ED_BYTES);
	} else if (mbedtls_pk_parse_key(&k->pk, (const unsigned char *)der.p, der.n, NULL, 0, rand_for, NULL) != 0)
		return refuse_broken(STR_NULL, e);
	return make_blob(k) == 0 ? 0 : refuse_broken(STR_NULL, e);
}

struct sshkey *
sshkey_new(struct str text, struct err *e)
{
	struct buf der = { .max = KEY_TEXT_MAX };
	struct str all = text, label, whole;
	struct sshkey *k = key_init();
	int rc = -1;

	if (text.n > KEY_TEXT_MAX)
		refuse_broken(STR_NULL, e);
	/* The old kind of encryption stands in a header of the block, which RFC 7468 does not know. */
	else if (str_find(text, "ENCRYPTED") >= 0)
		refuse_encrypted(e);
	else {
		while ((rc = pem_next(&text, &label, &der, &whole, e)) == 1 && !str_ends(label, "PRIVATE KEY"))
			buf_wipe(&der);
		if (rc != 1)
			rc = refuse_broken(all, e);
		else
			rc = str_eqc(label, "OPENSSH PRIVATE KEY") ? read_openssh(buf_str(&der), k, e) :
			    read_der(buf_str(&der), k, e);
	}
	buf_wipe(&der);
	if (rc == 0)
		return k;
	sshkey_free(k);
	return NULL;
}

int
sshkey_read(struct str text, struct buf *pem, struct buf *pub_line, struct err *e)
{
	struct sshkey *k = sshkey_new(text, e);
	int rc;

	if (k == NULL)
		return -1;
	rc = pem != NULL ? put_pem(k, pem) : 0;
	if (rc == 0 && pub_line != NULL)
		put_line(k, pub_line);
	sshkey_free(k);
	return rc == 0 ? 0 : refuse_broken(STR_NULL, e);
}

static int
sign_rsa(struct sshkey *k, mbedtls_md_type_t hash, struct str data, struct buf *sig)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(hash);
	mbedtls_rsa_context *rsa = mbedtls_pk_rsa(k->pk);
	unsigned char sum[64], out[2048];
	size_t n = mbedtls_rsa_get_len(rsa);

	if (n > sizeof(out) || mbedtls_md(md, (const unsigned char *)data.p, data.n, sum) != 0 ||
	    mbedtls_rsa_pkcs1_sign(rsa, rand_for, NULL, hash, mbedtls_md_get_size(md), sum, out) != 0)
		return -1;
	sshwire_put_string(sig, str_of(out, n));
	return 0;
}

/* RFC 5656 section 3.1.2: two numbers in a string of their own. */
static int
sign_ec(struct sshkey *k, const struct curve *c, struct str data, struct buf *sig)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(c->hash);
	unsigned char sum[64], number[66];
	mbedtls_ecp_group grp;
	mbedtls_ecp_point q;
	mbedtls_mpi d, r, s, *both[2] = { &r, &s };
	struct buf blob = { .max = 512 };
	int rc;

	mbedtls_ecp_group_init(&grp);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	rc = mbedtls_md(md, (const unsigned char *)data.p, data.n, sum);
	if (rc == 0)
		rc = mbedtls_ecp_export(mbedtls_pk_ec(k->pk), &grp, &d, &q);
	if (rc == 0)
		rc = mbedtls_ecdsa_sign(&grp, &r, &s, &d, sum, mbedtls_md_get_size(md), rand_for, NULL);
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = mbedtls_mpi_write_binary(both[i], number, c->bytes);
		sshwire_put_mpint(&blob, str_of(number, c->bytes));
	}
	if (rc == 0)
		sshwire_put_string(sig, buf_str(&blob));
	mbedtls_ecp_group_free(&grp);
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	buf_free(&blob);
	return rc;
}

int
sshkey_sign(struct sshkey *k, struct str alg, struct str data, struct buf *sig, struct err *e)
{
	const struct curve *c = NULL;
	int rc = -1;

	if (k->is_ed25519) {
		unsigned char out[2 * ED_BYTES];
		unsigned long n = sizeof(out);

		if (str_eqc(alg, "ssh-ed25519")) {
			dropbear_ed25519_sign((const unsigned char *)data.p, data.n, out, &n, k->seed, k->pub);
			sshwire_put_string(sig, str_of(out, n));
			rc = 0;
		}
	} else if (mbedtls_pk_get_type(&k->pk) == MBEDTLS_PK_RSA) {
		if (str_eqc(alg, "rsa-sha2-512") || str_eqc(alg, "rsa-sha2-256"))
			rc = sign_rsa(k, str_ends(alg, "512") ? MBEDTLS_MD_SHA512 : MBEDTLS_MD_SHA256, data, sig);
	} else if ((c = curve_of(mbedtls_pk_ec(k->pk))) != NULL && str_eqc(alg, c->type))
		rc = sign_ec(k, c, data, sig);
	return rc == 0 ? 0 : err_set(e, ERR_CONFIG, 0, "our key does not sign as the host asks (%.*s)", STR_ARG(alg));
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
