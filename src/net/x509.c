/*
 * Reading certificates; see x509.h. DER (X.690) with definite lengths only,
 * the fields of RFC 5280 4.1.
 */
#include <arpa/inet.h>

#include "core/mono.h"
#include "net/der.h"
#include "net/x509.h"

#define NAME_SHOWN_MAX	200	/* bytes of a distinguished name in a message */
#define HOSTS_SHOWN_MAX	5

enum {
	DER_VERSION = 0xa0,
	DER_ISSUER_UID = 0x81,
	DER_SUBJECT_UID = 0x82,
	DER_EXTENSIONS = 0xa3,
};

static int
digits(struct str s, size_t at, size_t n)
{
	int v = 0;

	for (size_t i = at; i < at + n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* UTCTime and GeneralizedTime as RFC 5280 4.1.2.5 allows them: seconds present, Z at the end. */
static int
parse_time(const struct der *d, int64_t *t)
{
	size_t y = d->tag == DER_GENERALIZED_TIME ? 4 : 2;
	int year, f[5];

	if ((d->tag != DER_UTC_TIME && y == 2) || d->in.n != y + 11 || d->in.p[y + 10] != 'Z')
		return -1;
	year = digits(d->in, 0, y);
	for (size_t i = 0; i < 5; i++)
		if ((f[i] = digits(d->in, y + 2 * i, 2)) < 0)
			return -1;
	if (year < 0 || f[0] < 1 || f[0] > 12 || f[1] < 1 || f[1] > 31 || f[2] > 23 || f[3] > 59 || f[4] > 60)
		return -1;
	if (y == 2)
		year += year < 50 ? 2000 : 1900;
	*t = time_days(year, f[0], f[1]) * 86400 + f[2] * 3600 + f[3] * 60 + f[4];
	return 0;
}

static int
parse_validity(struct str s, struct x509 *c)
{
	struct der d;

	if (der_next(&s, &d) != 1 || parse_time(&d, &c->not_before) < 0)
		return -1;
	if (der_next(&s, &d) != 1 || parse_time(&d, &c->not_after) < 0)
		return -1;
	return 0;
}

static bool
is_oid(struct str s, const char *oid, size_t n)
{
	return s.n == n && memcmp(s.p, oid, n) == 0;
}
#define IS_OID(s, lit)	is_oid((s), (lit), sizeof(lit) - 1)

/*
 * An extension that is a list of elements: its contents in *list, checked to
 * be elements to the end, so that who walks them later meets no surprise.
 * RFC 5280 4.2 forbids the same extension twice; which one counts would be
 * a matter of taste.
 */
static int
parse_list(struct str value, struct str *list)
{
	struct der whole, d;
	struct str left;
	int rc;

	if (list->p != NULL || der_want(&value, DER_SEQUENCE, &whole) < 0 || value.n != 0)
		return -1;
	left = *list = whole.in;
	while ((rc = der_next(&left, &d)) == 1)
		continue;
	return rc;
}

static int
parse_basic_constraints(struct str value, struct x509 *c)
{
	struct der list, flag;
	int rc;

	if (c->has_constraints || der_want(&value, DER_SEQUENCE, &list) < 0)
		return -1;
	c->has_constraints = true;
	if ((rc = der_maybe(&list.in, DER_BOOLEAN, &flag)) == 1)
		c->ca = flag.in.n == 1 && flag.in.p[0] != 0;
	return rc < 0 ? -1 : 0;
}

/* One extension's value by its OID. */
static int
parse_extension(struct str oid, struct str value, struct x509 *c)
{
	if (IS_OID(oid, "\x55\x1d\x11"))
		return parse_list(value, &c->san);		/* subjectAltName */
	if (IS_OID(oid, "\x55\x1d\x25"))
		return parse_list(value, &c->eku);		/* extKeyUsage */
	if (IS_OID(oid, "\x55\x1d\x13"))
		return parse_basic_constraints(value, c);
	if (IS_OID(oid, "\x55\x1d\x1e"))
		return parse_list(value, &c->name_constraints);
	return 0;
}

static int
parse_extensions(struct str s, struct x509 *c)
{
	struct der list, one, oid, d;
	int rc;

	if (der_want(&s, DER_SEQUENCE, &list) < 0)
		return -1;
	while ((rc = der_next(&list.in, &one)) == 1) {
		if (one.tag != DER_SEQUENCE || der_want(&one.in, DER_OID, &oid) < 0 ||
		    der_maybe(&one.in, DER_BOOLEAN, &d) < 0 ||
		    der_want(&one.in, DER_OCTET_STRING, &d) < 0 ||
		    parse_extension(oid.in, d.in, c) < 0)
			return -1;
	}
	return rc;
}

static int
parse_tbs(struct str s, struct x509 *c)
{
	struct der d;
	int rc;

	c->version = 1;
	if ((rc = der_maybe(&s, DER_VERSION, &d)) < 0)
		return -1;
	if (rc == 1) {
		if (d.in.n != 3 || memcmp(d.in.p, "\x02\x01", 2) != 0 || (uint8_t)d.in.p[2] > 2)
			return -1;
		c->version = d.in.p[2] + 1;
	}
	if (der_next(&s, &d) != 1 ||				/* serial number */
	    der_want(&s, DER_SEQUENCE, &d) < 0 ||		/* signature algorithm */
	    der_want(&s, DER_SEQUENCE, &d) < 0)
		return -1;
	c->issuer = d.all;
	if (der_want(&s, DER_SEQUENCE, &d) < 0 || parse_validity(d.in, c) < 0)
		return -1;
	if (der_want(&s, DER_SEQUENCE, &d) < 0)
		return -1;
	c->subject = d.all;
	if (der_want(&s, DER_SEQUENCE, &d) < 0)
		return -1;
	c->spki = d.all;
	if (der_maybe(&s, DER_ISSUER_UID, &d) < 0 || der_maybe(&s, DER_SUBJECT_UID, &d) < 0)
		return -1;
	if ((rc = der_maybe(&s, DER_EXTENSIONS, &d)) < 0)
		return -1;
	return rc == 1 ? parse_extensions(d.in, c) : 0;
}

int
x509_next(struct str *in, struct x509 *c, struct err *e)
{
	struct der cert, tbs, d;

	*c = (struct x509){ 0 };
	if (in->n == 0)
		return 0;
	if (der_want(in, DER_SEQUENCE, &cert) < 0)
		return err_set(e, ERR_PARSE, 0, "not a certificate (no DER structure)");
	c->der = cert.all;
	if (der_want(&cert.in, DER_SEQUENCE, &tbs) < 0 ||
	    der_want(&cert.in, DER_SEQUENCE, &d) < 0 ||
	    der_want(&cert.in, DER_BIT_STRING, &d) < 0 || cert.in.n != 0 ||
	    parse_tbs(tbs.in, c) < 0)
		return err_set(e, ERR_PARSE, 0, "not a certificate (malformed X.509)");
	return 1;
}

int
x509_san_next(struct str *san, enum x509_name_kind *kind, struct str *value)
{
	struct der d;

	if (der_next(san, &d) != 1)
		return 0;
	*value = d.in;
	*kind = X509_NAME_OTHER;
	if (d.tag == X509_TAG_DNS)
		*kind = X509_NAME_DNS;
	else if (d.tag == X509_TAG_IP && (d.in.n == 4 || d.in.n == 16))
		*kind = X509_NAME_IP;
	return 1;
}

bool
x509_has_ip(const struct x509 *c, const uint8_t *ip, size_t n)
{
	struct str san = c->san, value;
	enum x509_name_kind kind;

	while (x509_san_next(&san, &kind, &value) == 1)
		if (kind == X509_NAME_IP && value.n == n && memcmp(value.p, ip, n) == 0)
			return true;
	return false;
}

bool
x509_is_for_servers(const struct x509 *c)
{
	struct str list = c->eku;
	struct der d;

	if (list.p == NULL)
		return true;
	while (der_next(&list, &d) == 1)
		if (d.tag == DER_OID && (IS_OID(d.in, "\x2b\x06\x01\x05\x05\x07\x03\x01") ||	/* serverAuth */
		    IS_OID(d.in, "\x55\x1d\x25\x00")))						/* any */
			return true;
	return false;
}

int
x509_rsa_bits(const struct x509 *c)
{
	struct str spki = c->spki;
	struct der whole, algorithm, oid, bits, key, n;

	if (der_want(&spki, DER_SEQUENCE, &whole) < 0 || der_want(&whole.in, DER_SEQUENCE, &algorithm) < 0 ||
	    der_want(&algorithm.in, DER_OID, &oid) < 0 || !IS_OID(oid.in, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01") ||
	    der_want(&whole.in, DER_BIT_STRING, &bits) < 0 || bits.in.n == 0)
		return 0;
	bits.in = str_sub(bits.in, 1, bits.in.n);	/* how many bits of the last byte do not count: none */
	if (der_want(&bits.in, DER_SEQUENCE, &key) < 0 || der_want(&key.in, DER_INTEGER, &n) < 0)
		return 0;
	return x509_bits((const uint8_t *)n.in.p, n.in.n);
}

int
x509_bits(const uint8_t *n, size_t len)
{
	int bits;

	while (len > 0 && *n == 0)
		n++, len--;
	if (len == 0)
		return 0;
	bits = (int)(len - 1) * 8;
	for (unsigned top = *n; top != 0; top >>= 1)
		bits++;
	return bits;
}

bool
x509_self_issued(const struct x509 *c)
{
	return str_eq(c->issuer, c->subject);
}

static const char *
attribute_name(struct str oid)
{
	static const struct { const char *oid, *name; } known[] = {
		{ "\x55\x04\x03", "CN" }, { "\x55\x04\x0a", "O" }, { "\x55\x04\x0b", "OU" },
		{ "\x55\x04\x06", "C" }, { "\x55\x04\x07", "L" }, { "\x55\x04\x08", "ST" },
		{ "\x55\x04\x05", "serialNumber" },
		{ "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress" },
		{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC" },
		{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID" },
	};

	for (size_t i = 0; i < NELEM(known); i++)
		if (is_oid(oid, known[i].oid, strlen(known[i].oid)))
			return known[i].name;
	return "?";
}

static bool
is_text(uint8_t tag)
{
	return tag == DER_UTF8 || tag == DER_PRINTABLE || tag == DER_TELETEX || tag == DER_IA5;
}

/* Commas stay ours. */
void
x509_put_text(struct buf *b, struct str s)
{
	size_t n = s.n < NAME_SHOWN_MAX / 2 ? s.n : NAME_SHOWN_MAX / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ',' || c == '\\' || c == '"')
			buf_fmt(b, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			buf_putc(b, c);
		else
			buf_fmt(b, "\\x%02x", c);
	}
	if (n < s.n)
		buf_puts(b, "...");
}

/* The next attribute of a Name: rdns what is left of it, rdn of the current set. 1, or 0 at the end. */
static int
name_next(struct str *rdns, struct str *rdn, struct str *oid, struct der *value)
{
	struct der d;

	while (rdn->n == 0) {
		if (der_next(rdns, &d) != 1 || d.tag != DER_SET)
			return 0;
		*rdn = d.in;
	}
	if (der_next(rdn, &d) != 1 || d.tag != DER_SEQUENCE)
		return 0;
	struct str pair = d.in;
	if (der_want(&pair, DER_OID, &d) < 0 || der_next(&pair, value) != 1)
		return 0;
	*oid = d.in;
	return 1;
}

void
x509_put_name(struct buf *b, struct str name)
{
	struct str rdns, rdn = STR_NULL, oid;
	struct der d, value;
	size_t start = b->n;

	if (der_want(&name, DER_SEQUENCE, &d) < 0)
		return;
	rdns = d.in;
	while (name_next(&rdns, &rdn, &oid, &value) == 1) {
		if (b->n - start > NAME_SHOWN_MAX) {
			buf_puts(b, ", ...");
			break;
		}
		buf_fmt(b, "%s%s=", b->n > start ? ", " : "", attribute_name(oid));
		if (is_text(value.tag))
			x509_put_text(b, value.in);
		else
			buf_puts(b, "?");
	}
	if (b->n == start)
		buf_puts(b, "(no name)");
}

struct str
x509_subject_mail(struct str name)
{
	struct str rdns, rdn = STR_NULL, oid;
	struct der d, value;

	if (der_want(&name, DER_SEQUENCE, &d) < 0)
		return STR_NULL;
	rdns = d.in;
	while (name_next(&rdns, &rdn, &oid, &value) == 1)
		if (strcmp(attribute_name(oid), "emailAddress") == 0)
			return value.in;
	return STR_NULL;
}

static bool
put_common_name(struct buf *b, struct str name)
{
	struct str rdns, rdn = STR_NULL, oid;
	struct der d, value;

	if (der_want(&name, DER_SEQUENCE, &d) < 0)
		return false;
	rdns = d.in;
	while (name_next(&rdns, &rdn, &oid, &value) == 1)
		if (strcmp(attribute_name(oid), "CN") == 0 && is_text(value.tag)) {
			x509_put_text(b, value.in);
			return true;
		}
	return false;
}

void
x509_put_ip(struct buf *b, struct str ip)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof(text)) != NULL)
		buf_puts(b, text);
}

void
x509_put_hosts(struct buf *b, const struct x509 *c)
{
	struct str san = c->san, value;
	enum x509_name_kind kind;
	size_t n = 0;

	while (x509_san_next(&san, &kind, &value) == 1) {
		if (kind == X509_NAME_OTHER || ++n > HOSTS_SHOWN_MAX)
			continue;
		buf_puts(b, n > 1 ? ", " : "");
		if (kind == X509_NAME_IP)
			x509_put_ip(b, value);
		else
			x509_put_text(b, value);
	}
	if (n > HOSTS_SHOWN_MAX)
		buf_fmt(b, " and %zu more", n - HOSTS_SHOWN_MAX);
	if (n == 0 && !put_common_name(b, c->subject))
		buf_puts(b, "no name");
}
