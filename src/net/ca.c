/* Trust anchors; see ca.h. */
#include "ca_bundle.h"
#include "core/fs.h"
#include "core/log.h"
#include "net/ca.h"
#include "wire/pem.h"

#define HOST_BUNDLE_MAX	(4u << 20)
#define CERT_MAX	(64u << 10)

ssize_t
ca_pem_certs(struct str pem, struct buf *ders, struct err *e)
{
	struct str label, whole;
	ssize_t n = 0;

	for (;;) {
		size_t before = ders->n;
		int rc = pem_next(&pem, &label, ders, &whole, e);

		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		if (str_eqc(label, "CERTIFICATE") || str_eqc(label, "X509 CERTIFICATE"))
			n++;
		else
			buf_cut(ders, before);
	}
	if (ders->failed)
		return err_set(e, ERR_PARSE, 0, "more than %zu bytes of certificates", ders->max);
	return n;
}

static unsigned char *
keep(struct arena *a, const unsigned char *p, size_t n)
{
	return (unsigned char *)arena_dup(a, str_of(p, n));
}

int
ca_public_key(struct arena *a, struct str der, br_x509_pkey *key, struct err *e)
{
	br_x509_decoder_context dc;
	const br_x509_pkey *k;

	br_x509_decoder_init(&dc, NULL, NULL);
	br_x509_decoder_push(&dc, der.p, der.n);
	if ((k = br_x509_decoder_get_pkey(&dc)) == NULL)
		return err_set(e, ERR_PARSE, br_x509_decoder_last_error(&dc),
		    "a public key that cannot be used: only RSA up to 4096 bits and ECDSA on P-256, P-384 and P-521 can");
	*key = *k;
	if (k->key_type == BR_KEYTYPE_RSA) {
		key->key.rsa.n = keep(a, k->key.rsa.n, k->key.rsa.nlen);
		key->key.rsa.e = keep(a, k->key.rsa.e, k->key.rsa.elen);
	} else {
		key->key.ec.q = keep(a, k->key.ec.q, k->key.ec.qlen);
	}
	return 0;
}

static bool
wants_issuer(const struct anchors_wanted *w, struct str name)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->path[i].issuer, name))
			return true;
	return false;
}

static void
add_one(struct anchors *as, struct str dn, unsigned flags, const br_x509_pkey *key, struct str der)
{
	br_x509_trust_anchor *ta = &as->ta[as->n];

	ta->dn.data = (unsigned char *)(uintptr_t)dn.p;		/* BearSSL only reads it */
	ta->dn.len = dn.n;
	ta->flags = flags;
	ta->pkey = *key;
	as->der[as->n++] = der;
}

/* A certificate whose name is asked for: as an authority, or as the very server. */
static void
add_cert(struct anchors *as, const struct x509 *c, bool as_issuer, bool as_leaf, int64_t now)
{
	br_x509_pkey key;

	if (c->not_after < now) {
		as->expired = true;
		as->expired_at = c->not_after;
		return;
	}
	/* Version 1 has no extensions to say that it is an authority: being in the bundle says so. */
	as_issuer = as_issuer && (c->ca || c->version == 1);
	if (as->n + as_issuer + as_leaf > ANCHORS_MAX || (!as_issuer && !as_leaf) ||
	    ca_public_key(&as->mem, c->der, &key, NULL) < 0)
		return;
	if (as_issuer)
		add_one(as, c->subject, BR_X509_TA_CA, &key, c->der);
	if (as_leaf)
		add_one(as, c->subject, 0, &key, c->der);
}

void
anchors_add(struct anchors *as, const struct anchors_wanted *w, struct str certs)
{
	struct x509 c;

	while (x509_next(&certs, &c, NULL) == 1) {
		bool as_issuer = wants_issuer(w, c.subject);
		bool as_leaf = w->n > 0 && str_eq(w->path[0].subject, c.subject);

		if (as_issuer || as_leaf)
			add_cert(as, &c, as_issuer, as_leaf, w->now);
	}
}

/* Reads a field of the built-in bundle, whose format is in ca_bundle.h. The bundle is ours: a misfit is a bug. */
static struct str
blob_field(struct str *blob)
{
	const unsigned char *p = (const unsigned char *)blob->p;
	size_t n;

	assert(blob->n >= 2);
	n = (size_t)p[0] << 8 | p[1];
	assert(n <= blob->n - 2);
	*blob = str_of(p + 2 + n, blob->n - 2 - n);
	return str_of(p + 2, n);
}

static unsigned
blob_u8(struct str *blob)
{
	assert(blob->n >= 1);
	unsigned v = (uint8_t)blob->p[0];
	*blob = str_of(blob->p + 1, blob->n - 1);
	return v;
}

void
anchors_add_builtin(struct anchors *as, const struct anchors_wanted *w)
{
	struct str blob = str_of(wl_ca_blob, wl_ca_blob_len);

	while (blob.n > 0) {
		struct str dn = blob_field(&blob), n, x;
		br_x509_pkey key = { .key_type = (unsigned char)blob_u8(&blob) };

		if (key.key_type == BR_KEYTYPE_RSA) {
			n = blob_field(&blob);
			x = blob_field(&blob);
			key.key.rsa = (br_rsa_public_key){ (unsigned char *)(uintptr_t)n.p, n.n,
			    (unsigned char *)(uintptr_t)x.p, x.n };
		} else {
			assert(key.key_type == BR_KEYTYPE_EC);
			key.key.ec.curve = (int)blob_u8(&blob);
			n = blob_field(&blob);
			key.key.ec.q = (unsigned char *)(uintptr_t)n.p;
			key.key.ec.qlen = n.n;
		}
		(void)blob_u8(&blob);		/* all of them are authorities */
		if (as->n < ANCHORS_MAX && wants_issuer(w, dn))
			add_one(as, dn, BR_X509_TA_CA, &key, STR_NULL);
	}
}

/* One block after the other, so that the whole bundle is never decoded at once. */
static void
add_pem(struct anchors *as, const struct anchors_wanted *w, struct str pem)
{
	struct buf der = { .max = CERT_MAX };
	struct str label, whole, left;
	struct x509 c;

	while (pem_next(&pem, &label, &der, &whole, NULL) == 1) {
		left = buf_str(&der);
		if (!der.failed && str_eqc(label, "CERTIFICATE") && x509_next(&left, &c, NULL) == 1 &&
		    (wants_issuer(w, c.subject) || str_eq(w->path[0].subject, c.subject)))
			anchors_add(as, w, arena_str(&as->mem, c.der));
		buf_clear(&der);
	}
	buf_free(&der);
}

/* Where the distributions keep it: Debian, Red Hat, SUSE, Alpine. */
static const char *const host_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

void
anchors_add_host(struct anchors *as, const struct anchors_wanted *w)
{
	struct buf b = { .max = HOST_BUNDLE_MAX };
	const char *file = getenv("SSL_CERT_FILE");
	struct err e;

	if (file != NULL && *file != '\0') {
		/* Set by hand, so silence would mislead. */
		if (fs_read(AT_FDCWD, file, HOST_BUNDLE_MAX, &b, &e) < 0)
			log_warn("SSL_CERT_FILE cannot be read", F_ERR(&e));
	} else {
		for (size_t i = 0; i < NELEM(host_bundles); i++)
			if (fs_read(AT_FDCWD, host_bundles[i], HOST_BUNDLE_MAX, &b, &e) == 0)
				break;
	}
	add_pem(as, w, buf_str(&b));
	buf_free(&b);
}

void
anchors_free(struct anchors *as)
{
	arena_reset(&as->mem);
	as->n = 0;
}
