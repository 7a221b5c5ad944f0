/*
 * Certificates from a hostile peer, through our own reader. What mbedTLS
 * also takes must read the same: dates, alternative names, addresses. What
 * is shown to people is printable and short.
 */
#include <stdint.h>

#include <mbedtls/x509_crt.h>

#include "core/mono.h"
#include "net/x509.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(struct str outer, struct str view)
{
	if (view.p != NULL && (view.p < outer.p || view.n > outer.n || view.p + view.n > outer.p + outer.n))
		abort();
}

static void
check_shown(const struct x509 *c)
{
	struct buf b = { .max = 4096 };

	x509_put_name(&b, c->subject);
	x509_put_name(&b, c->issuer);
	x509_put_hosts(&b, c);
	if (b.failed || b.n > 4000)
		abort();
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < 0x20 || b.p[i] > 0x7e)
			abort();
	buf_free(&b);
}

static int64_t
unix_time(const mbedtls_x509_time *t)
{
	return time_days(t->year, t->mon, t->day) * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

static void
compare(const struct x509 *c, const mbedtls_x509_crt *m)
{
	const mbedtls_x509_sequence *theirs = &m->subject_alt_names;
	struct str ours = c->san, value;
	enum x509_name_kind kind;

	if (unix_time(&m->valid_from) != c->not_before || unix_time(&m->valid_to) != c->not_after)
		abort();
	if (!str_eq(str_of(m->subject_raw.p, m->subject_raw.len), c->subject) ||
	    !str_eq(str_of(m->issuer_raw.p, m->issuer_raw.len), c->issuer) || m->version != c->version)
		abort();
	while (x509_san_next(&ours, &kind, &value) == 1) {
		if (theirs == NULL || theirs->buf.p == NULL || !str_eq(str_of(theirs->buf.p, theirs->buf.len), value))
			abort();
		if (kind == X509_NAME_DNS && theirs->buf.tag != 0x82)
			abort();
		if (kind == X509_NAME_IP && (theirs->buf.tag != 0x87 || !x509_has_ip(c, (const uint8_t *)value.p, value.n)))
			abort();
		theirs = theirs->next;
	}
	if (theirs != NULL && theirs->buf.p != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size);
	mbedtls_x509_crt m;
	struct x509 c;

	while (in.n > 0) {
		struct str before = in;

		if (x509_next(&in, &c, NULL) != 1)
			break;
		inside(before, c.der);
		inside(c.der, c.subject);
		inside(c.der, c.issuer);
		inside(c.der, c.spki);
		inside(c.der, c.san);
		inside(c.der, c.eku);
		(void)x509_is_for_servers(&c);
		check_shown(&c);
		mbedtls_x509_crt_init(&m);
		if (mbedtls_x509_crt_parse_der(&m, (const unsigned char *)c.der.p, c.der.n) == 0)
			compare(&c, &m);
		mbedtls_x509_crt_free(&m);
		if (in.n >= before.n)
			abort();
	}
	return 0;
}
