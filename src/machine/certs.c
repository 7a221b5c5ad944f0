/* The certificates of a store: see certs.h. */
#include <arpa/inet.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#include "books/store.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/rand.h"
#include "machine/certs.h"
#include "machine/config_json.h"

#define PEM_MAX		(64u << 10)
#define LIFE_DAYS	1080
#define BACKDATE_S	300
#define RSA_BITS	2048
#define SERIAL_BYTES	16
#define KEY_PEM_MAX	4096
#define CERT_PEM_MAX	8192
#define SANS_MAX	64

static int
mbed(int rc, const char *what, struct err *e)
{
	return rc >= 0 ? 0 : err_set(e, ERR_SYS, rc, "certificates: %s: mbedTLS error -0x%04x", what, (unsigned)-rc);
}

struct certs_paths
certs_default(struct arena *a, const char *store)
{
	return (struct certs_paths){
		arena_fmt(a, "%s/certs/ca.pem", store), arena_fmt(a, "%s/certs/ca-key.pem", store),
		arena_fmt(a, "%s/certs/cert.pem", store), arena_fmt(a, "%s/certs/key.pem", store),
	};
}

/* A certificate and its key, in memory. */
struct pair {
	mbedtls_x509_crt	cert;
	mbedtls_pk_context	key;
	struct buf		cert_pem, key_pem;
};

static void
pair_init(struct pair *p)
{
	mbedtls_x509_crt_init(&p->cert);
	mbedtls_pk_init(&p->key);
	p->cert_pem = p->key_pem = (struct buf){ .max = PEM_MAX };
}

static void
pair_free(struct pair *p)
{
	mbedtls_x509_crt_free(&p->cert);
	mbedtls_pk_free(&p->key);
	buf_free(&p->cert_pem);
	buf_wipe(&p->key_pem);
}

static int
parse_cert(mbedtls_x509_crt *crt, const struct buf *pem)
{
	/* mbedTLS wants the NUL counted for PEM. */
	return mbedtls_x509_crt_parse(crt, (const unsigned char *)pem->p, pem->n + 1);
}

static int
parse_key(mbedtls_pk_context *key, const struct buf *pem)
{
	return mbedtls_pk_parse_key(key, (const unsigned char *)pem->p, pem->n + 1, NULL, 0, rand_for, NULL);
}

/* Making */

struct recipe {
	const char		*subject;	/* O= */
	const struct pair	*issuer;	/* NULL: self-signed */
	const mbedtls_x509_crt	*renews;	/* the one whose name it takes over, or NULL */
	bool			 is_ca;
	unsigned		 usage;
	const char		*eku;		/* OID or NULL */
	size_t			 eku_len;
	const struct certs_server *server;	/* alternative names, or NULL */
};

static int
make_key(mbedtls_pk_context *key, enum certs_key kind, struct buf *pem, struct err *e)
{
	unsigned char text[KEY_PEM_MAX];
	int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(kind == CERTS_RSA_2048 ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY));

	if (rc == 0 && kind == CERTS_RSA_2048)
		rc = mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), rand_for, NULL, RSA_BITS, 65537);
	else if (rc == 0)
		rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), rand_for, NULL);
	if (rc == 0)
		rc = mbedtls_pk_write_key_pem(key, text, sizeof(text));
	if (rc == 0)
		buf_puts(pem, (const char *)text);
	explicit_bzero(text, sizeof(text));
	return mbed(rc, "making a key", e);
}

/* O=<text>, with everything escaped that the syntax of names treats specially. */
static void
put_name(struct buf *b, const char *organisation)
{
	buf_puts(b, "O=");
	for (const char *p = organisation; *p != '\0'; p++) {
		if (strchr(" ,=+<>#;\"\\", *p) != NULL)
			buf_putc(b, '\\');
		buf_putc(b, *p);
	}
}

/*
 * A name exactly as it stands in the authority's certificate, string types included:
 * Go compares names byte by byte, and an authority made by docker-machine has PrintableString where mbedTLS writes UTF8String.
 */
static int
copy_name(mbedtls_asn1_named_data **to, const mbedtls_x509_crt *ca)
{
	for (const mbedtls_x509_name *n = &ca->subject; n != NULL && n->oid.p != NULL; n = n->next) {
		mbedtls_asn1_named_data *d = mbedtls_asn1_store_named_data(to, (const char *)n->oid.p, n->oid.len, n->val.p, n->val.len);

		if (d == NULL)
			return MBEDTLS_ERR_X509_ALLOC_FAILED;
		d->val.tag = n->val.tag;
	}
	return 0;
}

/* Subject and issuer. */
static int
set_names(mbedtls_x509write_cert *w, const struct recipe *r, const char *subject)
{
	int rc = r->renews != NULL ? copy_name(&w->MBEDTLS_PRIVATE(subject), r->renews) : mbedtls_x509write_crt_set_subject_name(w, subject);

	if (rc != 0)
		return rc;
	if (r->issuer != NULL)
		return copy_name(&w->MBEDTLS_PRIVATE(issuer), &r->issuer->cert);
	return r->renews != NULL ? copy_name(&w->MBEDTLS_PRIVATE(issuer), r->renews) : mbedtls_x509write_crt_set_issuer_name(w, subject);
}

static time_t
x509_seconds(const mbedtls_x509_time *t)
{
	return (time_t)(time_days(t->year, t->mon, t->day) * 86400 + t->hour * 3600 + t->min * 60 + t->sec);
}

/* "20260301081000", UTC */
static void
x509_time(time_t t, char out[16])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 16, "%Y%m%d%H%M%S", &tm);
}

/* Nothing outlives who signed it. */
static int
set_validity(mbedtls_x509write_cert *w, const struct pair *issuer)
{
	char from[16], to[16];
	time_t start = time(NULL) - BACKDATE_S, end;

	start -= start % 60;
	end = start + (time_t)LIFE_DAYS * CERTS_DAY;
	if (issuer != NULL && x509_seconds(&issuer->cert.valid_to) < end)
		end = x509_seconds(&issuer->cert.valid_to);
	x509_time(start, from);
	x509_time(end, to);
	return mbedtls_x509write_crt_set_validity(w, from, to);
}

static void
san_dns(mbedtls_x509_san_list *l, const char *name)
{
	l->node.type = MBEDTLS_X509_SAN_DNS_NAME;
	l->node.san.unstructured_name.p = (unsigned char *)(uintptr_t)name;
	l->node.san.unstructured_name.len = strlen(name);
}

/* An address becomes an IP entry (its bytes go to *addr), anything else a DNS entry. */
static void
san_host(mbedtls_x509_san_list *l, const char *host, struct in6_addr *addr)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		memcpy(addr, &v4, sizeof(v4));
	else if (inet_pton(AF_INET6, host, addr) != 1) {
		san_dns(l, host);
		return;
	}
	l->node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
	l->node.san.unstructured_name.p = (unsigned char *)addr;
	l->node.san.unstructured_name.len = strchr(host, ':') != NULL ? 16 : 4;
}

static int
set_sans(mbedtls_x509write_cert *w, const struct certs_server *s)
{
	mbedtls_x509_san_list list[SANS_MAX + 3] = { 0 };
	struct in6_addr addr[SANS_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; s->sans != NULL && i < s->sans->n && n < SANS_MAX; i++, n++)
		san_host(&list[n], s->sans->v[i], &addr[n]);
	if (s->ip[0] != '\0') {
		san_host(&list[n], s->ip, &addr[n]);
		n++;
	}
	san_dns(&list[n++], s->name);
	san_dns(&list[n++], "localhost");
	/* mbedTLS writes from the end: chained backwards they come out in this order. */
	for (size_t i = 1; i < n; i++)
		list[i].next = &list[i - 1];
	return mbedtls_x509write_crt_set_subject_alternative_name(w, &list[n - 1]);
}

static int
set_constraints(mbedtls_x509write_cert *w, bool is_ca)
{
	/* SEQUENCE { BOOLEAN TRUE } or an empty SEQUENCE; mbedTLS's own function would not mark the second critical. */
	static const unsigned char ca[] = { 0x30, 0x03, 0x01, 0x01, 0xff }, leaf[] = { 0x30, 0x00 };

	return mbedtls_x509write_crt_set_extension(w, MBEDTLS_OID_BASIC_CONSTRAINTS,
	    MBEDTLS_OID_SIZE(MBEDTLS_OID_BASIC_CONSTRAINTS), 1, is_ca ? ca : leaf, is_ca ? sizeof(ca) : sizeof(leaf));
}

/* Not critical, as docker-machine has it; mbedTLS's own function would mark it so. */
static int
set_eku(mbedtls_x509write_cert *w, const char *oid, size_t len)
{
	unsigned char der[32] = { 0x30, (unsigned char)(len + 2), 0x06, (unsigned char)len };

	assert(len + 4 <= sizeof(der));
	memcpy(der + 4, oid, len);
	return mbedtls_x509write_crt_set_extension(w, MBEDTLS_OID_EXTENDED_KEY_USAGE,
	    MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, der, len + 4);
}

/* Signs the certificate of pair->key by the recipe. */
static int
make_cert(struct pair *pair, const struct recipe *r, struct err *e)
{
	const struct pair *issuer = r->issuer != NULL ? r->issuer : pair;
	mbedtls_x509write_cert w;
	unsigned char serial[SERIAL_BYTES], text[CERT_PEM_MAX];
	struct buf name = { 0 };
	int rc;

	rand_bytes(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;	/* positive, and never a leading zero */
	put_name(&name, r->subject);
	mbedtls_x509write_crt_init(&w);
	mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&w, &pair->key);
	mbedtls_x509write_crt_set_issuer_key(&w, (mbedtls_pk_context *)(uintptr_t)&issuer->key);
	if ((rc = mbedtls_x509write_crt_set_serial_raw(&w, serial, sizeof(serial))) != 0 ||
	    (rc = set_names(&w, r, name.p)) != 0 ||
	    (rc = set_validity(&w, r->issuer)) != 0 ||
	    (rc = set_constraints(&w, r->is_ca)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_key_usage(&w, r->usage)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_subject_key_identifier(&w)) != 0 ||
	    (rc = mbedtls_x509write_crt_set_authority_key_identifier(&w)) != 0)
		goto out;
	if (r->eku != NULL && (rc = set_eku(&w, r->eku, r->eku_len)) != 0)
		goto out;
	if (r->server != NULL && (rc = set_sans(&w, r->server)) != 0)
		goto out;
	rc = mbedtls_x509write_crt_pem(&w, text, sizeof(text), rand_for, NULL);
	if (rc == 0) {
		buf_puts(&pair->cert_pem, (const char *)text);
		rc = parse_cert(&pair->cert, &pair->cert_pem);
	}
out:
	mbedtls_x509write_crt_free(&w);
	buf_free(&name);
	return mbed(rc, "making a certificate", e);
}

static const char *
user(void)
{
	const char *v = getenv("USER");

	return v != NULL && v[0] != '\0' ? v : "unknown";
}

static int
make_ca(struct pair *ca, struct err *e)
{
	struct recipe r = { .subject = user(), .is_ca = true, .usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE |
	    MBEDTLS_X509_KU_KEY_ENCIPHERMENT | MBEDTLS_X509_KU_KEY_AGREEMENT | MBEDTLS_X509_KU_KEY_CERT_SIGN };

	if (make_key(&ca->key, CERTS_RSA_2048, &ca->key_pem, e) < 0)
		return -1;
	return make_cert(ca, &r, e);
}

/* The same key for another certificate. */
static int
keep_key(struct pair *to, const struct pair *from, struct err *e)
{
	buf_putstr(&to->key_pem, buf_str(&from->key_pem));
	return mbed(parse_key(&to->key, &to->key_pem), "reading a key", e);
}

/* The authority's next certificate: its name, its key, another life. */
static int
renew_ca(struct pair *next, const struct pair *ca, struct err *e)
{
	struct recipe r = { .subject = "", .is_ca = true, .renews = &ca->cert, .usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE |
	    MBEDTLS_X509_KU_KEY_ENCIPHERMENT | MBEDTLS_X509_KU_KEY_AGREEMENT | MBEDTLS_X509_KU_KEY_CERT_SIGN };
	const mbedtls_x509_buf *was = &ca->cert.subject_raw, *is = &next->cert.subject_raw;

	if (keep_key(next, ca, e) < 0 || make_cert(next, &r, e) < 0)
		return -1;
	/* Of a name with several parts of one kind the copy is not the same; what was signed would not be found to be its. */
	if (was->len != is->len || memcmp(was->p, is->p, is->len) != 0)
		return err_set(e, ERR_CONFIG, 0, "the certificate authority's name is one that windlass cannot take over: make its next certificate by hand");
	return 0;
}

/* old: a pair whose key is to be kept, or NULL. */
static int
make_client(struct pair *client, const struct pair *ca, const struct pair *old, struct err *e)
{
	char subject[200];
	struct recipe r = { .subject = subject, .issuer = ca, .usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE,
		.eku = MBEDTLS_OID_CLIENT_AUTH, .eku_len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH) };

	snprintf(subject, sizeof(subject), "%.64s.<bootstrap>", user());
	if (old != NULL ? keep_key(client, old, e) < 0 : make_key(&client->key, CERTS_RSA_2048, &client->key_pem, e) < 0)
		return -1;
	return make_cert(client, &r, e);
}

/* Reading and judging */

enum presence { BOTH, NEITHER, ONLY_KEY, ONLY_CERT };

/* Reads a pair; ERR_PARSE when the files are not what they should be. */
static int
load_pair(struct pair *p, const char *cert, const char *key, enum presence *presence, struct err *e)
{
	bool have_cert = fs_exists(AT_FDCWD, cert), have_key = fs_exists(AT_FDCWD, key);

	*presence = have_cert && have_key ? BOTH : have_cert ? ONLY_CERT : have_key ? ONLY_KEY : NEITHER;
	if (have_cert) {
		if (fs_read(AT_FDCWD, cert, PEM_MAX - 1, &p->cert_pem, e) < 0)
			return -1;
		if (p->cert_pem.n == 0 || parse_cert(&p->cert, &p->cert_pem) != 0)
			return err_set(e, ERR_PARSE, 0, "%s is not a certificate in PEM form", cert);
	}
	if (have_key) {
		if (fs_read(AT_FDCWD, key, PEM_MAX - 1, &p->key_pem, e) < 0)
			return -1;
		if (p->key_pem.n == 0 || parse_key(&p->key, &p->key_pem) != 0)
			return err_set(e, ERR_PARSE, 0, "%s is not a private key in PEM form", key);
	}
	if (*presence == BOTH && mbedtls_pk_check_pair(&p->cert.pk, &p->key, rand_for, NULL) != 0)
		return err_set(e, ERR_PARSE, 0, "%s and %s do not belong together", cert, key);
	return 0;
}

/* 1 when two thirds of its life are over, so also when it has expired. */
static bool
is_due(const mbedtls_x509_crt *c)
{
	time_t from = x509_seconds(&c->valid_from), to = x509_seconds(&c->valid_to);

	return time(NULL) >= from + (to - from) / 3 * 2;
}

static int
check_dates(const mbedtls_x509_crt *c, const char *path, struct err *e)
{
	char at[TIME_RFC3339_MAX];

	if (mbedtls_x509_time_is_past(&c->valid_to)) {
		time_rfc3339(wall_of_seconds(x509_seconds(&c->valid_to)), 0, at);
		return err_set(e, ERR_PARSE, 0, "%s has expired on %s", path, at);
	}
	if (mbedtls_x509_time_is_future(&c->valid_from)) {
		time_rfc3339(wall_of_seconds(x509_seconds(&c->valid_from)), 0, at);
		return err_set(e, ERR_CONFIG, 0, "%s is not valid before %s: is the clock of this host right?", path, at);
	}
	return 0;
}

/* Signature only: dates have messages of their own. */
static bool
signed_by(mbedtls_x509_crt *cert, mbedtls_x509_crt *ca)
{
	uint32_t flags = 0;

	if (mbedtls_x509_crt_verify(cert, ca, NULL, NULL, &flags, NULL, NULL) == 0)
		return true;
	return (flags & ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) == 0;
}

enum verdict {
	CERTS_GOOD,
	CERTS_NONE,		/* nothing there: make all */
	CERTS_CLIENT_WANTED,	/* the authority is fine; the client pair is missing or grows old */
	CERTS_CA_WANTED,	/* all is whole, but the authority is near or past its end */
	CERTS_DAMAGED,		/* *e says how */
	CERTS_FAILED,		/* could not even look, or the clock is wrong: *e says why */
};

static enum verdict
broken(const struct err *e)
{
	return e->kind == ERR_PARSE ? CERTS_DAMAGED : CERTS_FAILED;
}

static bool
ends_within(const mbedtls_x509_crt *c, time_t seconds)
{
	return x509_seconds(&c->valid_to) - time(NULL) <= seconds;
}

/* Of an authority that was read; `has` as load_pair() found it. CERTS_GOOD so far, or what is wrong with it. */
static enum verdict
judge_ca(const struct certs_paths *p, const struct pair *ca, enum presence has, struct err *e)
{
	if (has == ONLY_KEY || has == ONLY_CERT) {
		err_set(e, ERR_PARSE, 0, "%s is missing, but %s is there", has == ONLY_KEY ? p->ca : p->ca_key,
		    has == ONLY_KEY ? p->ca_key : p->ca);
		return CERTS_DAMAGED;
	}
	/* That it has expired is no damage: it is renewed. */
	if (has == BOTH && !mbedtls_x509_time_is_past(&ca->cert.valid_to) && check_dates(&ca->cert, p->ca, e) < 0)
		return broken(e);
	return CERTS_GOOD;
}

/* Fills both pairs; *has_client: what there is of the second. */
static enum verdict
judge(const struct certs_paths *p, struct pair *ca, struct pair *client, enum presence *has_client, struct err *e)
{
	enum presence has_ca;
	enum verdict v;

	*has_client = NEITHER;
	if (load_pair(ca, p->ca, p->ca_key, &has_ca, e) < 0)
		return broken(e);
	v = judge_ca(p, ca, has_ca, e);
	if (v != CERTS_GOOD)
		return v;
	if (load_pair(client, p->cert, p->key, has_client, e) < 0)
		return broken(e);
	if (has_ca == NEITHER) {
		if (*has_client == NEITHER)
			return CERTS_NONE;
		err_set(e, ERR_PARSE, 0, "%s and %s are missing, but the client's files are there", p->ca, p->ca_key);
		return CERTS_DAMAGED;
	}
	if (*has_client == BOTH && !signed_by(&client->cert, &ca->cert)) {
		err_set(e, ERR_PARSE, 0, "%s was not signed by %s", p->cert, p->ca);
		return CERTS_DAMAGED;
	}
	if (ends_within(&ca->cert, CERTS_RENEW_S))
		return CERTS_CA_WANTED;
	/* Half a client pair is what a death between two renames leaves; nobody can have used it. */
	if (*has_client != BOTH || is_due(&client->cert))
		return CERTS_CLIENT_WANTED;
	return check_dates(&client->cert, p->cert, e) < 0 ? broken(e) : CERTS_GOOD;
}

/* Keys first, certificates last: who sees a certificate can rely on its key. A renewed authority's key is there. */
static int
write_pairs(const struct certs_paths *p, enum verdict v, const struct pair *ca, const struct pair *client, struct err *e)
{
	if (v == CERTS_NONE && fs_write(AT_FDCWD, p->ca_key, buf_str(&ca->key_pem), 0600, e) < 0)
		return -1;
	if (fs_write(AT_FDCWD, p->key, buf_str(&client->key_pem), 0600, e) < 0)
		return -1;
	if (v != CERTS_CLIENT_WANTED && fs_write(AT_FDCWD, p->ca, buf_str(&ca->cert_pem), 0644, e) < 0)
		return -1;
	return fs_write(AT_FDCWD, p->cert, buf_str(&client->cert_pem), 0644, e);
}

/* Damage that nobody depends on: out of the way, but not thrown away. */
static int
set_aside(const char *certs, const struct certs_paths *p, struct err *e)
{
	const char *const files[] = { p->ca, p->ca_key, p->cert, p->key };
	char name[64], at[TIME_RFC3339_MAX];
	struct err why = { 0 };
	char *dir;
	int to, rc = -1;

	time_rfc3339(wall_now(), 0, at);
	snprintf(name, sizeof(name), "broken-%s", at);
	dir = fs_join(certs, name);
	if (fs_mkdirs(dir, 0700, e) < 0 || (to = fs_opendir(AT_FDCWD, dir, e)) < 0)
		goto out;
	for (size_t i = 0; i < NELEM(files); i++)
		if (fs_rename(AT_FDCWD, files[i], to, strrchr(files[i], '/') + 1, &why) < 0 && why.kind != ERR_NOTFOUND) {
			err_set(e, why.kind, why.sys, "%s", why.msg);
			close(to);
			goto out;
		}
	rc = fs_sync_dir(to, e);
	close(to);
	log_warn("Damaged certificates were set aside, new ones are made", F_STR("directory", dir));
out:
	free(dir);
	return rc;
}

static void
tell_renewed(const struct pair *ca, const struct pair *next)
{
	char was[TIME_RFC3339_MAX], is[TIME_RFC3339_MAX];

	time_rfc3339(wall_of_seconds(x509_seconds(&ca->cert.valid_to)), 0, was);
	time_rfc3339(wall_of_seconds(x509_seconds(&next->cert.valid_to)), 0, is);
	log_warn("Certificate authority was renewed", F_STR("ended", was), F_STR("ends", is));
}

/* old: the client's pair as it was read, or NULL where there is no whole one. */
static int
make_missing(enum verdict v, const struct certs_paths *p, struct pair *ca, const struct pair *old, struct err *e)
{
	struct pair client, next;
	int rc = -1;

	pair_init(&client);
	pair_init(&next);
	if ((v == CERTS_NONE && make_ca(ca, e) < 0) || (v == CERTS_CA_WANTED && renew_ca(&next, ca, e) < 0))
		goto out;
	rc = make_client(&client, v == CERTS_CA_WANTED ? &next : ca, old, e);
	if (rc == 0)
		rc = write_pairs(p, v, v == CERTS_CA_WANTED ? &next : ca, &client, e);
	if (rc == 0 && v == CERTS_CA_WANTED)
		tell_renewed(ca, &next);
out:
	pair_free(&client);
	pair_free(&next);
	return rc;
}

int
certs_check(const struct certs_paths *p, struct err *e)
{
	struct pair ca, client;
	enum presence has;
	enum verdict v;
	int rc = -1;

	pair_init(&ca);
	pair_init(&client);
	v = judge(p, &ca, &client, &has, e);
	if (v == CERTS_NONE)
		err_set(e, ERR_NOTFOUND, 0, "%s does not exist", p->ca);
	else if (v == CERTS_CLIENT_WANTED || (v == CERTS_CA_WANTED && has != BOTH))
		err_set(e, ERR_NOTFOUND, 0, "%s is missing or near its end", p->cert);
	else if (v == CERTS_CA_WANTED)
		rc = check_dates(&ca.cert, p->ca, e) < 0 || check_dates(&client.cert, p->cert, e) < 0 ? -1 : 0;
	else
		rc = v == CERTS_GOOD ? 0 : -1;
	pair_free(&ca);
	pair_free(&client);
	return rc;
}

/* One certificate of a file, whatever state its key is in. False: there is none. */
static bool
load_cert(mbedtls_x509_crt *c, const char *path)
{
	struct buf b = { .max = PEM_MAX };
	bool good = fs_read(AT_FDCWD, path, PEM_MAX - 1, &b, NULL) == 0 && b.n > 0 && parse_cert(c, &b) == 0;

	buf_free(&b);
	return good;
}

void
certs_describe(const struct certs_paths *p, struct certs_facts *f)
{
	mbedtls_x509_crt ca, client;

	*f = (struct certs_facts){ 0 };
	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&client);
	if (load_cert(&ca, p->ca)) {
		f->ca_ends = x509_seconds(&ca.valid_to);
		snprintf(f->ca_key, sizeof(f->ca_key), "%s %zu", mbedtls_pk_get_type(&ca.pk) == MBEDTLS_PK_RSA ? "RSA" : "EC",
		    mbedtls_pk_get_bitlen(&ca.pk));
	}
	if (load_cert(&client, p->cert))
		f->client_ends = x509_seconds(&client.valid_to);
	mbedtls_x509_crt_free(&ca);
	mbedtls_x509_crt_free(&client);
}

static bool
in_store(const struct certs_paths *p, const char *store)
{
	struct arena a = { 0 };
	struct certs_paths d = certs_default(&a, store);
	bool same = strcmp(d.ca, p->ca) == 0 && strcmp(d.ca_key, p->ca_key) == 0 &&
	    strcmp(d.cert, p->cert) == 0 && strcmp(d.key, p->key) == 0;

	arena_reset(&a);
	return same;
}

/* Under the lock: looks, and mends what may be mended. */
static int
ensure_locked(const char *store, const char *certs, const struct certs_paths *p, struct err *e)
{
	enum presence has_client;
	struct pair ca, client;
	struct err fault = { 0 }, why = { 0 };
	enum verdict v;
	int rc = -1, certified;

	pair_init(&ca);
	pair_init(&client);
	v = judge(p, &ca, &client, &has_client, e);
	if (v == CERTS_DAMAGED) {
		certified = store_has_certified(store, e);
		if (certified != 0) {
			if (certified > 0)
				err_ctx(e, "the store's certificates are damaged, and machines depend on them: put the right files back "
				    "(from a backup of %s), or remove the machines, then %s", certs, certs);
			goto out;
		}
		if (set_aside(certs, p, e) < 0)
			goto out;
		pair_free(&ca);
		pair_init(&ca);
		has_client = NEITHER;
		v = CERTS_NONE;
	}
	if (v == CERTS_GOOD || v == CERTS_FAILED) {
		rc = v == CERTS_GOOD ? 0 : -1;
		goto out;
	}
	rc = make_missing(v, p, &ca, has_client == BOTH ? &client : NULL, &fault);
	/* As long as the old authority does, that there is no next one yet keeps nobody from working. */
	if (rc < 0 && v == CERTS_CA_WANTED && has_client == BOTH && check_dates(&ca.cert, p->ca, &why) == 0 &&
	    check_dates(&client.cert, p->cert, &why) == 0) {
		log_debug("Certificate authority could not be renewed", F_ERR(&fault));
		rc = 0;
	} else if (rc < 0 && e != NULL)
		*e = fault;
out:
	pair_free(&ca);
	pair_free(&client);
	return rc;
}

int
certs_ensure(const char *store, const struct certs_paths *p, struct err *e)
{
	char *certs = fs_join(store, STORE_CERTS);
	int rc = -1, dir = -1, lock = -1;

	if (!in_store(p, store)) {
		rc = certs_check(p, e);
		goto out;
	}
	if (fs_mkdirs(certs, 0700, e) < 0 || (dir = fs_opendir(AT_FDCWD, certs, e)) < 0 ||
	    (lock = lock_take(dir, CERTS_LOCK, LOCK_WAIT, e)) < 0)
		goto out;
	rc = ensure_locked(store, certs, p, e);
out:
	if (lock >= 0)
		close(lock);
	if (dir >= 0)
		close(dir);
	free(certs);
	return rc;
}

/* When the certificate of a file ends, of several the last; 0 if there is none. */
static int64_t
file_ends(int dir, const char *name)
{
	struct buf b = { .max = PEM_MAX };
	mbedtls_x509_crt c;
	int64_t ends = 0;

	mbedtls_x509_crt_init(&c);
	if (fs_read(dir, name, PEM_MAX - 1, &b, NULL) == 0 && b.n > 0 && parse_cert(&c, &b) == 0)
		for (const mbedtls_x509_crt *one = &c; one != NULL; one = one->next)
			if (x509_seconds(&one->valid_to) > ends)
				ends = x509_seconds(&one->valid_to);
	mbedtls_x509_crt_free(&c);
	buf_free(&b);
	return ends;
}

int64_t
certs_ca_ends(const char *store)
{
	char *path = fs_join(store, "certs/ca.pem");
	int64_t ends = file_ends(AT_FDCWD, path);

	free(path);
	return ends;
}

int64_t
certs_machine_ends(int machine_dir)
{
	static const char *const files[] = { "server.pem", "ca.pem", "cert.pem" };
	int64_t first = 0;

	for (size_t i = 0; i < NELEM(files); i++) {
		int64_t ends = file_ends(machine_dir, files[i]);

		if (ends == 0 && i == 0)
			return 0;
		if (ends != 0 && (first == 0 || ends < first))
			first = ends;
	}
	return first;
}

int
certs_renew(const char *store, struct err *e)
{
	int64_t ends = certs_ca_ends(store);
	struct arena a = { 0 };
	struct certs_paths p;
	int rc;

	if (ends == 0 || ends - time(NULL) > CERTS_RENEW_S)
		return 0;
	p = certs_default(&a, store);
	rc = certs_ensure(store, &p, e);
	arena_reset(&a);
	return rc;
}

bool
certs_say(const char *store, struct buf *b)
{
	int64_t ends = certs_ca_ends(store), now = time(NULL);
	char at[TIME_RFC3339_MAX], *path;

	if (ends == 0 || ends - now > CERTS_SOON_S)
		return false;
	time_rfc3339(wall_of_seconds(ends), 0, at);
	buf_fmt(b, "the certificate authority %s/certs/ca.pem %s on %s", store, ends <= now ? "has ended" : "ends", at);
	path = fs_join(store, "certs/ca-key.pem");
	if (!fs_exists(AT_FDCWD, path))
		buf_fmt(b, "; its key %s is not there, so that it cannot be renewed here", path);
	else if (ends - now > CERTS_RENEW_S)
		buf_puts(b, "; windlass renews it 60 days before, with its key, so that machines go on");
	else
		buf_puts(b, "; windlass renews it when it next makes or checks a machine, and what was made under it has to go, or to get new certificates "
		    "(`machine regenerate-certs`), by that day");
	free(path);
	return true;
}

int
certs_server_make(const struct certs_paths *p, const struct certs_server *s, struct buf *cert, struct buf *key,
    struct err *e)
{
	char subject[200];
	struct recipe r = { .subject = subject, .usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE |
	    MBEDTLS_X509_KU_KEY_ENCIPHERMENT | MBEDTLS_X509_KU_KEY_AGREEMENT, .eku = MBEDTLS_OID_SERVER_AUTH,
	    .eku_len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH), .server = s };
	struct pair ca, server;
	enum presence has;
	int rc = -1;

	snprintf(subject, sizeof(subject), "%.64s.%s", user(), s->name);
	pair_init(&ca);
	pair_init(&server);
	if (load_pair(&ca, p->ca, p->ca_key, &has, e) < 0)
		goto out;
	if (has != BOTH) {
		err_set(e, ERR_CONFIG, 0, "%s and %s are needed to sign a machine's certificate, and are not both there",
		    p->ca, p->ca_key);
		goto out;
	}
	r.issuer = &ca;
	if (make_key(&server.key, s->key, &server.key_pem, e) < 0 || make_cert(&server, &r, e) < 0)
		goto out;
	buf_putstr(cert, buf_str(&server.cert_pem));
	buf_putstr(key, buf_str(&server.key_pem));
	rc = 0;
out:
	pair_free(&ca);
	pair_free(&server);
	return rc;
}

static bool
load_text(mbedtls_x509_crt *c, struct str pem)
{
	struct buf b = { .max = PEM_MAX };
	bool good;

	buf_putstr(&b, pem);
	good = !b.failed && b.n > 0 && parse_cert(c, &b) == 0;
	buf_free(&b);
	return good;
}

static bool
names(const mbedtls_x509_crt *c, const char *dns_name)
{
	for (const mbedtls_x509_sequence *s = &c->subject_alt_names; s != NULL; s = s->next)
		if (s->buf.p != NULL && (s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_DNS_NAME &&
		    str_caseeq(str_of(s->buf.p, s->buf.len), dns_name))
			return true;
	return false;
}

bool
certs_has_name(struct str cert, const char *dns_name)
{
	mbedtls_x509_crt c;
	bool has;

	mbedtls_x509_crt_init(&c);
	has = load_text(&c, cert) && names(&c, dns_name);
	mbedtls_x509_crt_free(&c);
	return has;
}
