/*
 * A TLS peer's certificate message: the first byte says how many of the certificates are trusted, then each has its length in two bytes.
 * Either there is a reason or there is a key, never both; what is handed on for jobs is what was sent or trusted, up to one
 * that an anchor has issued.
 */
#include "core/core.h"
#include "net/ca.h"
#include "net/tls.h"
#include "net/verify.h"
#include "wire/pem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str
next(struct str *s)
{
	struct str one;
	size_t n;

	if (s->n < 2) {
		*s = STR_NULL;
		return STR_NULL;
	}
	n = (size_t)(uint8_t)s->p[0] << 8 | (uint8_t)s->p[1];
	one = str_sub(*s, 2, n);
	*s = str_sub(*s, 2 + n, s->n);
	return one;
}

static void
check_chain(const struct verify *v, struct str sent, struct str trusted)
{
	struct buf ders = { .max = 1u << 20 };
	struct str left;
	struct x509 c;
	ssize_t n = ca_pem_certs(buf_str(&v->chain_pem), &ders, NULL);

	assert(n >= 1 && n <= CHAIN_MAX + 1);
	for (left = buf_str(&ders); x509_next(&left, &c, NULL) == 1;)
		assert(memmem(sent.p, sent.n, c.der.p, c.der.n) != NULL || memmem(trusted.p, trusted.n, c.der.p, c.der.n) != NULL);
	assert(left.n == 0);
	buf_free(&ders);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), all = in, one;
	struct buf pem = { .max = 1u << 20 };
	struct tls_trust *trust;
	struct verify v;
	const br_x509_class **ctx;
	unsigned rc, usages;

	if (size < 1 || size > 32768)
		return 0;
	in = str_sub(in, 1, in.n);
	for (int i = 0; i < (data[0] & 3) && (one = next(&in)).p != NULL; i++)
		pem_put(&pem, "CERTIFICATE", one);
	trust = tls_trust_new(buf_str(&pem), false, "fuzz", NULL);
	if (trust == NULL) {
		buf_free(&pem);
		return 0;
	}
	tls_trust_keep_chain(trust);
	verify_init(&v, trust, (data[0] & 4) != 0 ? "127.0.0.1" : "localhost");
	ctx = &v.vtable;
	v.vtable->start_chain(ctx, NULL);
	while (in.n > 0) {
		one = next(&in);
		v.vtable->start_cert(ctx, (uint32_t)one.n);
		for (size_t at = 0; at < one.n; at += 1000)
			v.vtable->append(ctx, (const unsigned char *)one.p + at, one.n - at < 1000 ? one.n - at : 1000);
		v.vtable->end_cert(ctx);
	}
	rc = v.vtable->end_chain(ctx);
	assert((rc == 0) == (v.why.kind == ERR_NONE) && (rc == 0) == (v.vtable->get_pkey(ctx, &usages) != NULL));
	assert((rc == 0) == (v.chain_pem.n > 0));
	if (rc == 0)
		check_chain(&v, all, all);
	verify_free(&v);
	tls_trust_free(trust);
	buf_free(&pem);
	return 0;
}
