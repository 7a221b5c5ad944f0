/* Records between our own roles: see record.h. */
#include "wire/record.h"

#define HEAD	5		/* a field's tag and length */
#define NUMBER	8		/* bytes of a number */

static void
put_le(struct buf *out, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_putc(out, (int)(v >> (8 * i) & 0xff));
}

static uint64_t
get_le(const char *p, int bytes)
{
	uint64_t v = 0;

	for (int i = bytes - 1; i >= 0; i--)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

static bool
is_control(char c)
{
	return (uint8_t)c < 0x20 || c == 0x7f;
}

bool
record_is_line(struct str text, size_t max)
{
	for (size_t i = 0; i < text.n; i++)
		if (is_control(text.p[i]))
			return false;
	return text.n <= max;
}

/* Whether the text may stand in the field. */
static bool
fits(const struct record_field *f, struct str s)
{
	return f->form == RECORD_LINE ? record_is_line(s, f->max) : s.n <= f->max;
}

static bool
in_range(const struct record_field *f, int64_t v)
{
	return v >= 0 && (f->max == 0 || v <= (int64_t)f->max);
}

static void
put_text(struct buf *out, const struct record_field *f, struct str s)
{
	out->failed |= !fits(f, s);
	buf_putc(out, f->tag);
	put_le(out, s.n, HEAD - 1);
	buf_putstr(out, s);
}

static void
put_number(struct buf *out, const struct record_field *f, int64_t v)
{
	out->failed |= !in_range(f, v);
	buf_putc(out, f->tag);
	put_le(out, NUMBER, HEAD - 1);
	put_le(out, (uint64_t)v, NUMBER);
}

void
record_put(const struct record_type *t, const void *from, struct buf *out)
{
	buf_putc(out, t->kind);
	for (size_t i = 0; i < t->nfields; i++) {
		const struct record_field *f = &t->fields[i];
		const void *at = (const char *)from + f->at;
		const struct record_list *list = at;
		const struct str *text = at;
		const int64_t *number = at;

		if (f->form == RECORD_NUMBER) {
			if (*number != 0 || f->must)
				put_number(out, f, *number);
		} else if (f->form == RECORD_LIST) {
			out->failed |= list->n > RECORD_LIST_MAX || (f->must && list->n == 0);
			for (size_t k = 0; !out->failed && k < list->n; k++)
				put_text(out, f, list->v[k]);
		} else if (text->p != NULL || f->must)
			put_text(out, f, *text);
	}
}

/* One value of the field into its member; -1 when it is none. */
static int
take(const struct record_field *f, struct str value, void *at)
{
	struct record_list *list = at;
	struct str *text = at;
	int64_t *number = at;

	if (f->form == RECORD_NUMBER) {
		if (value.n != NUMBER)
			return -1;
		*number = (int64_t)get_le(value.p, NUMBER);
		return in_range(f, *number) ? 0 : -1;
	}
	if (!fits(f, value))
		return -1;
	if (f->form != RECORD_LIST)
		*text = value;
	else if (list->n < RECORD_LIST_MAX)
		list->v[list->n++] = value;
	else
		return -1;
	return 0;
}

/* The values of one field off the front of *in: how many, or -1. */
static int
take_field(const struct record_field *f, struct str *in, void *at)
{
	int n = 0;

	if (f->form == RECORD_NUMBER)
		*(int64_t *)at = 0;
	else if (f->form == RECORD_LIST)
		((struct record_list *)at)->n = 0;
	else
		*(struct str *)at = STR_NULL;
	while (in->n >= HEAD && (uint8_t)in->p[0] == f->tag && (n == 0 || f->form == RECORD_LIST)) {
		size_t length = (size_t)get_le(in->p + 1, HEAD - 1);

		if (length > in->n - HEAD || take(f, str_sub(*in, HEAD, length), at) < 0)
			return -1;
		*in = str_sub(*in, HEAD + length, in->n);
		n++;
	}
	return n;
}

int
record_get(const struct record_type *t, struct str in, void *into, struct err *e)
{
	if (in.n == 0 || (uint8_t)in.p[0] != t->kind)
		return err_set(e, ERR_PROTO, 0, "%s was expected, and is none", t->name);
	in = str_sub(in, 1, in.n);
	for (size_t i = 0; i < t->nfields; i++) {
		const struct record_field *f = &t->fields[i];
		int n = take_field(f, &in, (char *)into + f->at);

		if (n < 0 || (n == 0 && f->must))
			return err_set(e, ERR_PROTO, 0, "%s: its field '%c' is %s", t->name, f->tag,
			    n < 0 ? "wrong" : "missing");
	}
	if (in.n > 0)
		return err_set(e, ERR_PROTO, 0, "%s: there is more than its fields", t->name);
	return 0;
}

void
record_line(struct buf *out, struct str text, size_t max)
{
	for (size_t i = 0; i < text.n && i < max; i++)
		buf_putc(out, is_control(text.p[i]) ? ' ' : text.p[i]);
}
