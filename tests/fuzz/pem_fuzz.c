/*
 * PEM: what is put in is what comes out, and blocks that were found, written
 * anew, are found again; pieces lie in the text, one behind the other.
 */
#include "core/core.h"
#include "wire/pem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
round_trip(struct str bytes)
{
	struct buf b = { 0 }, der = { 0 };
	struct str text, label, whole;

	buf_puts(&b, "text before\n");
	pem_put(&b, "RSA PRIVATE KEY", bytes);
	text = buf_str(&b);
	assert(pem_next(&text, &label, &der, &whole, NULL) == 1);
	assert(str_eqc(label, "RSA PRIVATE KEY") && str_eq(buf_str(&der), bytes));
	assert(pem_next(&text, &label, &der, &whole, NULL) == 0 && str_eq(buf_str(&der), bytes));
	buf_free(&b);
	buf_free(&der);
}

static void
find(struct str all)
{
	struct buf der = { 0 }, again = { 0 }, der2 = { 0 };
	struct str text = all, label, whole, copy, label2, whole2;
	struct err e = { 0 };
	int rc;

	while ((rc = pem_next(&text, &label, &der, &whole, &e)) == 1) {
		assert(whole.p >= all.p && whole.p + whole.n == text.p && text.p + text.n == all.p + all.n);
		assert(label.p > whole.p && label.p + label.n < whole.p + whole.n);

		/* The block's own text is a block, and the same one. */
		copy = whole;
		buf_clear(&der2);
		assert(pem_next(&copy, &label2, &der2, &whole2, NULL) == 1);
		assert(str_eq(label2, label) && str_eq(whole2, whole) && str_eq(buf_str(&der2), buf_str(&der)) && copy.n == 0);

		if (str_chr(label, '\0') < 0) {
			char *name = str_dup(label);

			buf_clear(&again);
			buf_clear(&der2);
			pem_put(&again, name, buf_str(&der));
			copy = buf_str(&again);
			assert(pem_next(&copy, &label2, &der2, &whole2, NULL) == 1);
			assert(str_eq(label2, label) && str_eq(buf_str(&der2), buf_str(&der)));
			free(name);
		}
		buf_clear(&der);
	}
	assert(der.n == 0 && (rc == 0 ? text.n == 0 && e.kind == ERR_NONE : e.kind == ERR_PARSE));
	buf_free(&der);
	buf_free(&der2);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	round_trip(str_of(data, size));
	find(str_of(data, size));
	return 0;
}
