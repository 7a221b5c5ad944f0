/* Name constraints; see constraints.h. */
#include "net/constraints.h"
#include "net/der.h"

enum { PERMITTED = 0xa0, EXCLUDED = 0xa1 };

enum verdict { APART, INSIDE, UNCLEAR };

struct lists {
	struct str	permitted, excluded;	/* contents of GeneralSubtrees; empty if none */
};

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool
same_host(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/*
 * "example.com" holds itself and all below it; with a dot in front, which
 * RFC 5280 does not know and many write, only what is below. The empty name holds all.
 */
static bool
host_within(struct str name, struct str base)
{
	struct str tail;

	if (base.n == 0)
		return true;
	if (name.n < base.n)
		return false;
	tail = str_of(name.p + (name.n - base.n), base.n);
	if (!same_host(tail, base))
		return false;
	return base.p[0] == '.' ? name.n > base.n : name.n == base.n || tail.p[-1] == '.';
}

/* A wildcard covers names one label below it; those that are excluded too are enough to refuse it. */
static bool
wildcard_reaches(struct str name, struct str base)
{
	ssize_t dot = str_chr(base, '.');

	return str_starts(name, "*.") && dot > 0 && same_host(str_sub(name, 1, name.n), str_sub(base, (size_t)dot, base.n));
}

static enum verdict
compare_host(struct str name, struct str base, bool excluding)
{
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (base.n > 0 && base.p[base.n - 1] == '.')
		base.n--;
	if (memchr(base.p, '*', base.n) != NULL)
		return UNCLEAR;
	return host_within(name, base) || (excluding && wildcard_reaches(name, base)) ? INSIDE : APART;
}

/* An address and its mask, as long as each other. */
static enum verdict
compare_ip(struct str ip, struct str base)
{
	if (base.n != 8 && base.n != 32)
		return UNCLEAR;
	if (base.n != 2 * ip.n)
		return ip.n == 4 || ip.n == 16 ? APART : UNCLEAR;
	for (size_t i = 0; i < ip.n; i++)
		if (((ip.p[i] ^ base.p[i]) & base.p[ip.n + i]) != 0)
			return APART;
	return INSIDE;
}

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static bool
is_text(const struct der *d)
{
	return d->tag == DER_UTF8 || ((d->tag == DER_PRINTABLE || d->tag == DER_IA5 || d->tag == DER_TELETEX) && is_ascii(d->in));
}

/* Case and the number of blanks do not matter (RFC 5280 7.1). */
static bool
same_text(struct str a, struct str b)
{
	size_t i = 0, j = 0;

	a = str_trim(a);
	b = str_trim(b);
	while (i < a.n && j < b.n) {
		if (lower(a.p[i]) != lower(b.p[j]))
			return false;
		if (a.p[i] == ' ') {
			while (i + 1 < a.n && a.p[i + 1] == ' ')
				i++;
			while (j + 1 < b.n && b.p[j + 1] == ' ')
				j++;
		}
		i++;
		j++;
	}
	return i == a.n && j == b.n;
}

/* Two sets of attributes, one part of a distinguished name each. */
static enum verdict
compare_rdn(struct str a, struct str b)
{
	for (;;) {
		struct der pa, pb, oa, ob, va, vb;
		int ra = der_next(&a, &pa), rb = der_next(&b, &pb);

		if (ra < 0 || rb < 0)
			return UNCLEAR;
		if (ra == 0 || rb == 0)
			return ra == rb ? INSIDE : APART;
		if (der_want(&pa.in, DER_OID, &oa) < 0 || der_next(&pa.in, &va) != 1 ||
		    der_want(&pb.in, DER_OID, &ob) < 0 || der_next(&pb.in, &vb) != 1)
			return UNCLEAR;
		if (!str_eq(oa.in, ob.in))
			return APART;
		if (str_eq(va.all, vb.all) || (is_text(&va) && is_text(&vb) && same_text(va.in, vb.in)))
			continue;
		return is_text(&va) && is_text(&vb) ? APART : UNCLEAR;
	}
}

/* name, base: a Name with its tag. Inside is what begins with all parts of the base. */
static enum verdict
compare_directory(struct str name, struct str base)
{
	struct der n, b, rn, rb;
	int rc;

	if (der_want(&name, DER_SEQUENCE, &n) < 0 || der_want(&base, DER_SEQUENCE, &b) < 0)
		return UNCLEAR;
	while ((rc = der_next(&b.in, &rb)) == 1) {
		enum verdict v;

		if (rb.tag != DER_SET)
			return UNCLEAR;
		if (der_next(&n.in, &rn) != 1)
			return APART;
		if ((v = compare_rdn(rn.in, rb.in)) != INSIDE)
			return v;
	}
	return rc == 0 ? INSIDE : UNCLEAR;
}

/* How a name of a kind (the tag of a GeneralName) lies to all constraints of its kind in a list. */
struct found {
	bool	asked;		/* one is of that kind */
	bool	inside;
	bool	unclear;
};

static struct found
look(struct str list, bool excluding, uint8_t tag, struct str name)
{
	struct found f = { 0 };
	struct der sub, base;

	while (der_next(&list, &sub) == 1) {
		enum verdict v = UNCLEAR;

		if (der_next(&sub.in, &base) != 1 || base.tag != tag)
			continue;
		f.asked = true;
		if (tag == X509_TAG_DNS)
			v = compare_host(name, base.in, excluding);
		else if (tag == X509_TAG_IP)
			v = compare_ip(name, base.in);
		else if (tag == X509_TAG_DIRECTORY)
			v = compare_directory(name, base.in);
		f.inside |= v == INSIDE;
		f.unclear |= v == UNCLEAR;
	}
	return f;
}

static void
put_name(struct buf *why, uint8_t tag, struct str name)
{
	if (tag == X509_TAG_IP && (name.n == 4 || name.n == 16))
		x509_put_ip(why, name);
	else if (tag == X509_TAG_DIRECTORY)
		x509_put_name(why, name);
	else
		x509_put_text(why, name);
}

static bool
allow_name(const struct lists *l, uint8_t tag, struct str name, struct buf *why)
{
	struct found yes = look(l->permitted, false, tag, name), no = look(l->excluded, true, tag, name);
	const char *wrong = NULL;

	if (no.inside)
		wrong = "is among the names that it must not issue for";
	else if (no.unclear || (yes.asked && !yes.inside && yes.unclear))
		wrong = "is of a kind that its limits name and that is not compared";
	else if (yes.asked && !yes.inside)
		wrong = "is not among the names that it may issue for";
	if (wrong == NULL)
		return true;
	put_name(why, tag, name);
	buf_fmt(why, " %s", wrong);
	return false;
}

/* The two lists, looked through once: each entry a base and nothing more (RFC 5280 wants no minimum, no maximum). */
static int
parse(struct str constraints, struct lists *l)
{
	struct der d, sub, base;
	int rc;

	*l = (struct lists){ { "", 0 }, { "", 0 } };
	while ((rc = der_next(&constraints, &d)) == 1) {
		struct str *list = d.tag == PERMITTED ? &l->permitted : &l->excluded;
		struct str left = d.in;

		if ((d.tag != PERMITTED && d.tag != EXCLUDED) || list->n > 0)
			return -1;
		*list = d.in;
		while ((rc = der_next(&left, &sub)) == 1)
			if (sub.tag != DER_SEQUENCE || der_next(&sub.in, &base) != 1 || sub.in.n > 0)
				return -1;
		if (rc < 0)
			return -1;
	}
	return rc;
}

/* The mail address that old certificates carry in their subject counts as a mail name. */
static bool
allow_subject(const struct lists *l, struct str subject, struct buf *why)
{
	struct str rest = subject, mail;
	struct der d;

	if (der_want(&rest, DER_SEQUENCE, &d) < 0 || d.in.n == 0)
		return true;
	if (!allow_name(l, X509_TAG_DIRECTORY, subject, why))
		return false;
	mail = x509_subject_mail(subject);
	return mail.p == NULL || allow_name(l, X509_TAG_EMAIL, mail, why);
}

bool
constraints_allow(const struct x509 *ca, const struct x509 *c, const char *host, struct buf *why)
{
	struct str san = c->san;
	struct lists l;
	struct der d;

	if (ca->name_constraints.p == NULL)
		return true;
	if (parse(ca->name_constraints, &l) < 0) {
		buf_puts(why, "its limits cannot be read");
		return false;
	}
	while (der_next(&san, &d) == 1)
		if (!allow_name(&l, d.tag, d.in, why))
			return false;
	if (host != NULL && !allow_name(&l, X509_TAG_DNS, str_from(host), why))
		return false;
	return allow_subject(&l, c->subject, why);
}
