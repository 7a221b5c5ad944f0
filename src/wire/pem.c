/* PEM blocks: see pem.h. */
#include "core/core.h"
#include "core/hash.h"
#include "wire/pem.h"

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ", dashes[] = "-----";

static int
bad(struct err *e, const char *why)
{
	return err_set(e, ERR_PARSE, 0, "PEM: %s", why);
}

static struct str
trim_blanks(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Cuts a line off with its end; what is left of a text is never the null view. */
static struct str
cut_line(struct str *text)
{
	ssize_t lf = str_chr(*text, '\n');
	size_t n = lf < 0 ? text->n : (size_t)lf + 1;
	struct str line = str_sub(*text, 0, n);

	*text = str_sub(*text, n, text->n);
	if (lf >= 0)
		line.n--;
	return trim_blanks(line);
}

/* What stands between mark and "-----" in a line that is just that. */
static bool
marked(struct str line, const char *mark, struct str *label)
{
	size_t n = strlen(mark);

	if (!str_starts(line, mark) || line.n < n + strlen(dashes) || !str_ends(line, dashes))
		return false;
	*label = str_sub(line, n, line.n - n - strlen(dashes));
	return true;
}

/* Base64 that may come in pieces split anywhere. */
struct decoder {
	uint32_t	bits;
	int		n;		/* characters of the current group of four */
	int		padding;	/* of them '=' */
};

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False for anything that is not base64, or behind its padding. */
static bool
decode(struct decoder *d, struct str line, struct buf *der)
{
	for (size_t i = 0; i < line.n; i++) {
		int v = sextet(line.p[i]);

		if (line.p[i] == '=') {
			if (d->n < 2)
				return false;
			d->padding++;
			v = 0;
		} else if (v < 0 || d->padding > 0)
			return false;
		d->bits = d->bits << 6 | (uint32_t)v;
		if (++d->n < 4)
			continue;
		/* Bits that belong to no byte are zero in what encoders write. */
		if ((d->padding == 1 && (d->bits & 0xff) != 0) || (d->padding == 2 && (d->bits & 0xffff) != 0))
			return false;
		for (int k = 0; k < 3 - d->padding; k++)
			buf_putc(der, (int)(d->bits >> (16 - 8 * k) & 0xff));
		d->n = 0;
		d->bits = 0;
	}
	return true;
}

/*
 * The bytes that a block decodes to, if it is well-formed. Room for all of
 * them is made at once, since a buffer that grows leaves its old bytes, which
 * may be a key, behind in freed memory.
 */
static size_t
decoded_size(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n && text.p[i] != '-'; i++)
		n += sextet(text.p[i]) >= 0;
	return n * 3 / 4;
}

/* The lines up to the END line of that label, which is cut off too. */
static int
body(struct str *text, struct str label, struct buf *der, struct err *e)
{
	struct decoder d = { 0 };
	struct str line, end_label;

	while (text->n > 0) {
		line = cut_line(text);
		if (marked(line, end_mark, &end_label)) {
			if (!str_eq(label, end_label))
				return bad(e, "the END line names something else than the BEGIN line");
			if (d.n != 0)
				return bad(e, "the base64 of a block is cut short");
			return 0;
		}
		if (str_chr(line, ':') >= 0)
			return bad(e, "header lines in a block (an encrypted key? remove its pass phrase)");
		if (!decode(&d, line, der))
			return bad(e, "a block holds something that is not base64");
	}
	return bad(e, "a block has no END line");
}

int
pem_next(struct str *text, struct str *label, struct buf *der, struct str *whole, struct err *e)
{
	size_t before = der->n;

	while (text->n > 0) {
		struct str from = *text, rest, line = cut_line(text);

		if (!marked(line, begin_mark, label))
			continue;
		rest = *text;
		if (buf_room(der, decoded_size(rest)) == NULL)
			return err_set(e, ERR_FULL, 0, "PEM: a block of %zu bytes is too large", decoded_size(rest));
		if (body(&rest, *label, der, e) < 0) {
			buf_cut(der, before);
			return -1;
		}
		*text = rest;
		*whole = str_sub(from, 0, from.n - rest.n);
		return 1;
	}
	return 0;
}

void
pem_put(struct buf *b, const char *label, struct str der)
{
	/* 48 bytes are a line of 64 characters. */
	buf_fmt(b, "%s%s%s\n", begin_mark, label, dashes);
	for (; der.n > 0; der = str_sub(der, 48, der.n)) {
		hash_base64(b, str_sub(der, 0, 48));
		buf_putc(b, '\n');
	}
	buf_fmt(b, "%s%s%s\n", end_mark, label, dashes);
}
