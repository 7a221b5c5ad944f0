/*
 * TOML: places lie inside the text and in each other; what stands at a
 * value's place means the same by itself; and when one value is replaced
 * there by another, the text is still good and says the new value. A text
 * that is refused is refused with a place in it.
 */
#include <math.h>

#include "core/buf.h"
#include "wire/toml.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static bool
same(const struct toml *a, const struct toml *b)
{
	const struct toml *x = a->first, *y = b->first;

	if (a->type != b->type || a->n != b->n || !str_eq(a->s, b->s) || a->i != b->i || !same_number(a->f, b->f) ||
	    a->b != b->b || memcmp(&a->date, &b->date, sizeof(a->date)) != 0)
		return false;
	for (; x != NULL && y != NULL; x = x->next, y = y->next)
		if (!str_eq(x->key, y->key) || (x->key.p == NULL) != (y->key.p == NULL) || !same(x, y))
			return false;
	return x == NULL && y == NULL;
}

/* A value that is written in one piece, not by headers or dots. */
static bool
in_one_piece(const struct toml *v, struct str text)
{
	return v->type != TOML_TABLE ? !v->array_of_tables : v->is_inline && text.p[v->at] == '{';
}

static void
check(const struct toml *v, struct str text, size_t *count)
{
	size_t n = 0;

	(*count)++;
	assert(v->at <= v->end && v->end <= text.n);
	assert(v->line > 0 && v->column > 0);
	assert(v->key.p == NULL || (v->key_at < v->key_end && v->key_end <= text.n));
	if (in_one_piece(v, text)) {
		struct arena a = { NULL, 0 };
		struct buf b = { .max = 0 };
		struct toml *again;
		struct err e;

		assert(v->key.p == NULL || v->key_end <= v->at);
		buf_puts(&b, "x = ");
		buf_putstr(&b, str_sub(text, v->at, v->end - v->at));
		if (toml_parse(&a, buf_str(&b), &again, &e) < 0 || !same(v, again->first)) {
			fprintf(stderr, "not the same by itself: %s\n", b.p);
			abort();
		}
		arena_reset(&a);
		buf_free(&b);
	}
	TOML_EACH(child, v) {
		n++;
		assert(child->next != NULL || child == v->last);
		check(child, text, count);
	}
	assert(n == v->n);
}

/* The i-th node from the top. */
static struct toml *
nth(struct toml *v, size_t *i)
{
	struct toml *found;

	if ((*i)-- == 0)
		return v;
	TOML_EACH(child, v)
		if ((found = nth(child, i)) != NULL)
			return found;
	return NULL;
}

static void
replace(struct toml *root, struct str text, size_t i)
{
	struct arena a = { NULL, 0 };
	struct buf b = { .max = 0 };
	struct toml *again;
	struct err e;
	size_t k = i;
	struct toml *v = nth(root, &k);

	if (v != NULL && in_one_piece(v, text)) {
		buf_putstr(&b, str_sub(text, 0, v->at));
		buf_puts(&b, "'new'");
		buf_putstr(&b, str_sub(text, v->end, text.n));
		k = i;
		if (toml_parse(&a, buf_str(&b), &again, &e) < 0 || (v = nth(again, &k)) == NULL || !str_eqc(v->s, "new")) {
			fprintf(stderr, "not replaced: %s\n", b.p);
			abort();
		}
	}
	arena_reset(&a);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { NULL, 0 };
	struct str text = str_of(data, size);
	struct toml *root;
	struct err e = { 0 };
	size_t count = 0, lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (toml_parse(&a, text, &root, &e) == 0) {
		check(root, text, &count);
		for (size_t i = 0; i < count && i < 20; i++)
			replace(root, text, (i * 7 + size) % count);
	} else {
		assert(e.kind == ERR_PARSE && e.sys >= 1 && (size_t)e.sys <= lines);
		assert(strncmp(e.msg, "line ", 5) == 0 && strstr(e.msg, ", column ") != NULL);
	}
	arena_reset(&a);
	return 0;
}
