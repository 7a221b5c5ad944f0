/* The check of a certificate chain; see verify.h. */
#include <arpa/inet.h>

#include "core/mono.h"
#include "net/ca.h"
#include "net/constraints.h"
#include "net/verify.h"
#include "wire/pem.h"

#define RUNS_MAX		24	/* of BearSSL for one chain: a server may send many certificates of one name */
#define BEARSSL_UNIX_EPOCH	719528	/* days from year 0, where BearSSL counts from */

static struct verify *
self(const br_x509_class **ctx)
{
	return (struct verify *)(void *)ctx;
}

/* The first reason counts. */
static void fail(struct verify *v, int code, const char *fmt, ...) PRINTFLIKE(3, 4);
static void
fail(struct verify *v, int code, const char *fmt, ...)
{
	char text[sizeof(v->why.msg)];

	if (v->why.kind != ERR_NONE)
		return;
	TEXT_OF(text, fmt);
	err_set(&v->why, ERR_TLS, code, "%s", text);
}

static void
on_start_chain(const br_x509_class **ctx, const char *server_name)
{
	struct verify *v = self(ctx);

	(void)server_name;		/* v->dns is the name; BearSSL knows none when it is an address */
	buf_clear(&v->der);
	v->ncert = v->npath = 0;
	v->runs = 0;
	v->why = (struct err){ 0 };
}

static void
on_start_cert(const br_x509_class **ctx, uint32_t length)
{
	struct verify *v = self(ctx);

	if (++v->ncert > CHAIN_MAX || length > CHAIN_BYTES_MAX - v->der.n)
		fail(v, BR_ERR_X509_LIMIT_EXCEEDED, "sent more than %d certificates or %u bytes of them",
		    CHAIN_MAX, CHAIN_BYTES_MAX);
}

static void
on_append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct verify *v = self(ctx);

	if (v->why.kind == ERR_NONE)
		buf_put(&v->der, p, n);
}

static void
on_end_cert(const br_x509_class **ctx)
{
	(void)ctx;
}

/* The n-th certificate of the chain as it came. */
static int
parse_chain(struct verify *v, struct x509 *certs, size_t *n)
{
	struct str left = buf_str(&v->der);
	struct err e = { 0 };
	int rc;

	*n = 0;
	while (*n < CHAIN_MAX && (rc = x509_next(&left, &certs[*n], &e)) != 0) {
		if (rc < 0) {
			fail(v, BR_ERR_X509_INVALID_VALUE, "certificate %zu of its chain cannot be read", *n + 1);
			return -1;
		}
		++*n;
	}
	if (*n == 0 || left.n != 0) {
		fail(v, BR_ERR_X509_EMPTY_CHAIN, "sent no usable certificate");
		return -1;
	}
	return 0;
}

/*
 * From the server's certificate to each one's issuer, as far as the chain
 * goes. Servers send chains out of order, with roots and with leftovers.
 */
static void
build_path(struct verify *v, const struct x509 *certs, size_t n)
{
	bool used[CHAIN_MAX] = { true };
	size_t next = 0;

	v->npath = 0;
	do {
		const struct x509 *last = &certs[next];

		v->path[v->npath++] = *last;
		for (next = 1; next < n; next++)
			if (!used[next] && str_eq(certs[next].subject, last->issuer))
				break;
		if (next < n)
			used[next] = true;
	} while (next < n);
}

/* The first n certificates of the path against some anchors. */
static int
run_bearssl(struct verify *v, size_t npath, const br_x509_trust_anchor *ta, size_t nta, int64_t now)
{
	static const struct { int id; const br_hash_class *impl; } hashes[] = {
		{ br_sha256_ID, &br_sha256_vtable },
		{ br_sha384_ID, &br_sha384_vtable },
		{ br_sha512_ID, &br_sha512_vtable },
	};
	br_x509_minimal_context *m = &v->minimal;
	const br_x509_class **ctx = &m->vtable;

	v->runs++;
	br_x509_minimal_init(m, &br_sha256_vtable, ta, nta);
	br_x509_minimal_set_minrsa(m, RSA_BITS_MIN / 8);
	for (size_t i = 0; i < NELEM(hashes); i++)
		br_x509_minimal_set_hash(m, hashes[i].id, hashes[i].impl);
	br_x509_minimal_set_rsa(m, br_rsa_pkcs1_vrfy_get_default());
	br_x509_minimal_set_ecdsa(m, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
	br_x509_minimal_set_time(m, (uint32_t)(now / 86400 + BEARSSL_UNIX_EPOCH), (uint32_t)(now % 86400));

	m->vtable->start_chain(ctx, v->dns);
	for (size_t i = 0; i < npath; i++) {
		m->vtable->start_cert(ctx, (uint32_t)v->path[i].der.n);
		m->vtable->append(ctx, (const unsigned char *)v->path[i].der.p, v->path[i].der.n);
		m->vtable->end_cert(ctx);
	}
	return (int)m->vtable->end_chain(ctx);
}

static const char *
put_date(char text[TIME_RFC3339_MAX], int64_t t)
{
	time_rfc3339(wall_of_seconds(t), 0, text);
	return text;
}

/* Names the certificate that is out of its time. */
static void
explain_time(struct verify *v, int64_t now)
{
	char when[TIME_RFC3339_MAX], clock[TIME_RFC3339_MAX];

	put_date(clock, now);
	for (size_t i = 0; i < v->npath; i++) {
		const struct x509 *c = &v->path[i];
		struct buf whose = { .max = 512 };

		if (now >= c->not_before && now <= c->not_after)
			continue;
		if (i > 0) {
			buf_puts(&whose, " of the authority ");
			x509_put_name(&whose, c->subject);
		}
		if (now > c->not_after)
			fail(v, BR_ERR_X509_EXPIRED, "certificate%s has expired on %s (the clock of this host says %s)",
			    whose.n > 0 ? whose.p : "", put_date(when, c->not_after), clock);
		else
			fail(v, BR_ERR_X509_EXPIRED, "certificate%s is not valid before %s, but the clock of this host says %s: check the clock",
			    whose.n > 0 ? whose.p : "", put_date(when, c->not_before), clock);
		buf_free(&whose);
		return;
	}
	fail(v, BR_ERR_X509_EXPIRED, "certificate is not valid at this time (%s)", clock);
}

static void
explain_untrusted(struct verify *v, const struct anchors *as)
{
	const struct x509 *last = &v->path[v->npath - 1];
	struct buf name = { .max = 512 };
	char when[TIME_RFC3339_MAX];
	bool authority = false;

	x509_put_name(&name, last->issuer);
	for (size_t i = 0; i < as->n; i++)
		authority |= (as->ta[i].flags & BR_X509_TA_CA) != 0;
	if (authority)
		fail(v, BR_ERR_X509_NOT_TRUSTED, "issued by %s, but not with the key of the trusted authority of that name: "
		    "was the authority made anew?", name.p);
	else if (as->n > 0)
		fail(v, BR_ERR_X509_NOT_TRUSTED, "issued by %s, which is trusted, but its certificate does not say that it is an authority",
		    name.p);
	else if (as->expired)
		fail(v, BR_ERR_X509_NOT_TRUSTED, "issued by %s, a trusted authority that has expired on %s", name.p,
		    put_date(when, as->expired_at));
	else if (v->npath == 1 && x509_self_issued(last))
		fail(v, BR_ERR_X509_NOT_TRUSTED, "certificate is self-signed and not among the trusted ones: %s", name.p);
	else
		fail(v, BR_ERR_X509_NOT_TRUSTED, "issued by an authority that is not trusted: %s", name.p);
	buf_free(&name);
}

static void
explain_name(struct verify *v)
{
	struct buf hosts = { .max = 512 };
	char ip[INET6_ADDRSTRLEN] = "";
	const char *wanted = v->dns;

	x509_put_hosts(&hosts, &v->path[0]);
	if (wanted == NULL && inet_ntop(v->nip == 4 ? AF_INET : AF_INET6, v->ip, ip, sizeof(ip)) != NULL)
		wanted = ip;
	fail(v, BR_ERR_X509_BAD_SERVER_NAME, "certificate is for %s and not for %s", hosts.p, wanted);
	buf_free(&hosts);
}

static void	explain_weak(struct verify *v, const struct anchors *as);

static void
explain(struct verify *v, int code, const struct anchors *as, int64_t now)
{
	switch (code) {
	case BR_ERR_X509_EXPIRED:
		explain_time(v, now);
		break;
	case BR_ERR_X509_NOT_TRUSTED:
		explain_untrusted(v, as);
		break;
	case BR_ERR_X509_BAD_SERVER_NAME:
		explain_name(v);
		break;
	case BR_ERR_X509_BAD_SIGNATURE:
		fail(v, code, "a signature in its certificate chain is wrong");
		break;
	case BR_ERR_X509_UNSUPPORTED:
		fail(v, code, "its certificate chain uses an algorithm that is not supported (RSA or ECDSA with SHA-256, SHA-384 or SHA-512 are)");
		break;
	case BR_ERR_X509_CRITICAL_EXTENSION:
		fail(v, code, "a certificate of its chain has a critical extension that is not supported");
		break;
	case BR_ERR_X509_NOT_CA:
		fail(v, code, "a certificate of its chain is signed by one that is no authority");
		break;
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
		fail(v, code, "a certificate of its chain is used for what its key usage forbids");
		break;
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		explain_weak(v, as);
		break;
	case BR_ERR_X509_LIMIT_EXCEEDED:
		fail(v, code, "a key or signature of its chain is too long (RSA above 4096 bits)");
		break;
	default:
		fail(v, code, "a certificate of its chain is malformed (BearSSL error %d)", code);
	}
}

/* Whether the path of n certificates may end in this anchor, by the names. */
static bool
may_end_in(const struct verify *v, size_t n, const br_x509_trust_anchor *ta)
{
	const struct x509 *last = &v->path[n - 1];
	struct str dn = str_of(ta->dn.data, ta->dn.len);

	if ((ta->flags & BR_X509_TA_CA) != 0)
		return str_eq(dn, last->issuer);
	return n == 1 && str_eq(dn, last->subject);
}

struct search {
	const struct x509	*certs;
	size_t			 n;
	const struct anchors	*as;
	size_t			 from;		/* anchors before this one were tried */
	int64_t			 now;
	bool			 used[CHAIN_MAX];
};

/*
 * Completes the path of n certificates so that BearSSL accepts it: it ends at the first certificate that an anchor
 * has signed. Several certificates may bear the name that is looked for (an old one and its successor, a forgery
 * and the true one), so each is tried. Whether there is such a path; then v->npath and v->anchor tell it.
 */
static bool
find_path(struct verify *v, struct search *s, size_t n)
{
	const struct x509 *last = &v->path[n - 1];

	for (size_t j = s->from; j < s->as->n && v->runs < RUNS_MAX; j++)
		if (may_end_in(v, n, &s->as->ta[j]) && run_bearssl(v, n, &s->as->ta[j], 1, s->now) == 0) {
			v->npath = n;
			v->anchor = (int)j;
			return true;
		}
	for (size_t i = 1; i < s->n && n < CHAIN_MAX; i++) {
		if (s->used[i] || !str_eq(s->certs[i].subject, last->issuer))
			continue;
		s->used[i] = true;
		v->path[n] = s->certs[i];
		if (find_path(v, s, n + 1))
			return true;
		s->used[i] = false;
	}
	return false;
}

/*
 * Against the anchors of this connection and the built-in ones first; the
 * host's bundle, a file of 200 KB, only when these do not know the issuer.
 */
static int
check_chain(struct verify *v, struct anchors *as, const struct x509 *certs, size_t n, int64_t now)
{
	struct anchors_wanted w = { certs, n, now };
	struct search s = { .certs = certs, .n = n, .as = as, .now = now };
	int code;

	v->path[0] = certs[0];
	anchors_add(as, &w, buf_str(&v->trust->certs));
	if (v->trust->with_system)
		anchors_add_builtin(as, &w);
	if (find_path(v, &s, 1))
		return 0;
	if (v->trust->with_system) {
		s.from = as->n;
		anchors_add_host(as, &w);
		v->runs = 0;
		if (find_path(v, &s, 1))
			return 0;
	}
	/* No way leads to an anchor: what is wrong is told of the first one. */
	build_path(v, certs, n);
	code = run_bearssl(v, v->npath, as->ta, as->n, now);
	if (code == 0)
		code = BR_ERR_X509_NOT_TRUSTED;
	explain(v, code, as, now);
	return code;
}

/* Whose key is too short, in words; the bits of it, 0 when none is. */
static int
short_key(const struct verify *v, const struct anchors *as, struct buf *whose)
{
	const br_x509_trust_anchor *ta = v->anchor >= 0 ? &as->ta[v->anchor] : NULL;
	int bits;

	for (size_t i = 0; i < v->npath; i++)
		if ((bits = x509_rsa_bits(&v->path[i])) > 0 && bits < RSA_BITS_MIN) {
			buf_puts(whose, i == 0 ? "its certificate" : "the authority ");
			if (i > 0)
				x509_put_name(whose, v->path[i].subject);
			return bits;
		}
	if (ta == NULL || ta->pkey.key_type != BR_KEYTYPE_RSA ||
	    (bits = x509_bits(ta->pkey.key.rsa.n, ta->pkey.key.rsa.nlen)) >= RSA_BITS_MIN)
		return 0;
	buf_puts(whose, "the trusted authority ");
	x509_put_name(whose, str_of(ta->dn.data, ta->dn.len));
	return bits;
}

/* BearSSL counts in bytes, and does not ask for the anchor's. */
static void
check_keys(struct verify *v, const struct anchors *as)
{
	struct buf whose = { .max = 512 };
	int bits = short_key(v, as, &whose);

	if (bits > 0)
		fail(v, BR_ERR_X509_WEAK_PUBLIC_KEY, "%s has an RSA key of %d bits, which is too short: %d are the least, have it renewed with such a key",
		    whose.p, bits, RSA_BITS_MIN);
	buf_free(&whose);
}

static void
explain_weak(struct verify *v, const struct anchors *as)
{
	check_keys(v, as);
	fail(v, BR_ERR_X509_WEAK_PUBLIC_KEY, "a public key of its chain is too short");
}

/* What one authority says of those below it. A new key of the same authority is no name below it (RFC 5280 6.1.4). */
static void
check_limits(struct verify *v, const struct x509 *ca, size_t below)
{
	struct buf why = { .max = 1024 }, name = { .max = 512 };

	for (size_t i = 0; i < below; i++) {
		if (i > 0 && x509_self_issued(&v->path[i]))
			continue;
		if (constraints_allow(ca, &v->path[i], i == 0 ? v->dns : NULL, &why))
			continue;
		x509_put_name(&name, ca->subject);
		fail(v, BR_ERR_X509_NOT_TRUSTED, "the authority %s is limited by name constraints: %s", name.p, why.p);
		break;
	}
	buf_free(&name);
	buf_free(&why);
}

/* What BearSSL's engine leaves to us: addresses, and what the certificates up to the anchor are meant for. */
static void
check_use(struct verify *v, const struct anchors *as)
{
	struct str der = v->anchor >= 0 ? as->der[v->anchor] : STR_NULL;
	struct x509 root;

	if (v->dns == NULL && (v->nip == 0 || !x509_has_ip(&v->path[0], v->ip, v->nip)))
		explain_name(v);
	for (size_t i = 0; i < v->npath; i++) {
		if (!x509_is_for_servers(&v->path[i]))
			fail(v, BR_ERR_X509_FORBIDDEN_KEY_USAGE, "%s is not meant for servers (extended key usage)",
			    i == 0 ? "certificate" : "an authority of its chain");
		if (i > 0)
			check_limits(v, &v->path[i], i);
	}
	/* Of built-in authorities only name and key are kept; none of them is limited. */
	if (der.n > 0 && x509_next(&der, &root, NULL) == 1 && !str_eq(root.der, v->path[0].der))
		check_limits(v, &root, v->npath);
	check_keys(v, as);
}

/*
 * The certificate of a built-in authority, whose name and key alone are kept:
 * what the server sent under that name, when the authority's own key has signed it.
 */
static struct str
sent_root(struct verify *v, const struct anchors *as, const struct x509 *certs, size_t n, int64_t now)
{
	const br_x509_trust_anchor *ta = &as->ta[v->anchor];
	struct x509 leaf = v->path[0];
	const char *dns = v->dns;
	struct str found = STR_NULL;
	br_x509_minimal_context kept = v->minimal;

	v->dns = NULL;
	for (size_t i = 1; i < n && found.p == NULL; i++) {
		if (!str_eq(certs[i].subject, str_of(ta->dn.data, ta->dn.len)) || !x509_self_issued(&certs[i]))
			continue;
		v->path[0] = certs[i];
		if (run_bearssl(v, 1, ta, 1, now) == 0)
			found = certs[i].der;
	}
	v->path[0] = leaf;
	v->dns = dns;
	v->minimal = kept;
	return found;
}

/* The path that was verified and the anchor that it ends in, and nothing else that came with them. */
static void
keep_chain(struct verify *v, const struct anchors *as, const struct x509 *certs, size_t n)
{
	struct str root = STR_NULL;

	if (v->anchor >= 0) {
		root = as->der[v->anchor];
		if (root.n == 0)
			root = sent_root(v, as, certs, n, wall_seconds(wall_now()));
	}
	for (size_t i = 0; i < v->npath; i++)
		pem_put(&v->chain_pem, "CERTIFICATE", v->path[i].der);
	if (root.n > 0 && !str_eq(root, v->path[v->npath - 1].der))
		pem_put(&v->chain_pem, "CERTIFICATE", root);
}

static void
check_pin(struct verify *v, const struct x509 *leaf)
{
	struct buf name = { .max = 512 };

	if (str_eq(leaf->spki, v->trust->pin.spki))
		return;
	x509_put_name(&name, leaf->subject);
	fail(v, BR_ERR_X509_NOT_TRUSTED, "its key is not the pinned one (it presents a certificate of %s): "
	    "the machine was made anew, or this is another one", name.p);
	buf_free(&name);
}

static unsigned
on_end_chain(const br_x509_class **ctx)
{
	struct verify *v = self(ctx);
	struct x509 certs[CHAIN_MAX];
	struct anchors as = { 0 };
	size_t n;

	if (v->why.kind != ERR_NONE || parse_chain(v, certs, &n) < 0)
		goto out;
	v->path[0] = certs[0];
	v->npath = 1;
	v->anchor = -1;
	if (v->trust->pinned) {
		check_pin(v, &certs[0]);
	} else if (check_chain(v, &as, certs, n, wall_seconds(wall_now())) == 0) {
		check_use(v, &as);
	}
	if (v->why.kind == ERR_NONE && v->trust->keep_chain)
		keep_chain(v, &as, certs, n);
out:
	anchors_free(&as);
	return v->why.kind == ERR_NONE ? 0 : (unsigned)v->why.sys;
}

static const br_x509_pkey *
on_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct verify *v = (const struct verify *)(const void *)ctx;

	if (v->why.kind != ERR_NONE)
		return NULL;
	if (!v->trust->pinned)
		return v->minimal.vtable->get_pkey(&v->minimal.vtable, usages);
	if (usages != NULL)
		*usages = BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX;
	return &v->trust->pin_key;
}

static const br_x509_class verify_class = {
	sizeof(struct verify),
	on_start_chain,
	on_start_cert,
	on_append,
	on_end_cert,
	on_end_chain,
	on_get_pkey,
};

size_t
verify_ip(const char *name, uint8_t ip[16])
{
	if (inet_pton(AF_INET, name, ip) == 1)
		return 4;
	if (inet_pton(AF_INET6, name, ip) == 1)
		return 16;
	return 0;
}

void
verify_init(struct verify *v, const struct tls_trust *trust, const char *name)
{
	*v = (struct verify){ .vtable = &verify_class, .trust = trust };
	v->der.max = CHAIN_BYTES_MAX + 1;
	v->chain_pem.max = 4 * CHAIN_BYTES_MAX;
	v->nip = verify_ip(name, v->ip);
	if (v->nip == 0)
		v->dns = name;
}

void
verify_free(struct verify *v)
{
	buf_free(&v->der);
	buf_free(&v->chain_pem);
}
