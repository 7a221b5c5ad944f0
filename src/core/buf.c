/* Growing buffers with a limit: see buf.h. */
#include "core/buf.h"

static size_t
limit(const struct buf *b)
{
	return b->max != 0 ? b->max : BUF_MAX_DEFAULT;
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t cap;

	if (b->failed)
		return NULL;
	if (n > limit(b) || b->n > limit(b) - n) {
		b->failed = true;
		return NULL;
	}
	if (b->n + n + 1 > b->cap) {
		cap = b->cap < 64 ? 64 : b->cap;
		while (cap < b->n + n + 1)
			cap = cap < 1u << 20 ? cap * 2 : cap + cap / 2;
		/* One block no larger than the limit wants: a full trace buffer should not cost twice its size. */
		if (cap > limit(b) + 1)
			cap = limit(b) + 1;
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
	}
	return b->p + b->n;
}

void
buf_grown(struct buf *b, size_t n)
{
	assert(b->n + n < b->cap);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	char *to = buf_room(b, n);

	if (to == NULL)
		return;
	if (n > 0)
		memcpy(to, p, n);
	buf_grown(b, n);
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_putstr(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void
buf_putc(struct buf *b, int c)
{
	char ch = (char)c;

	buf_put(b, &ch, 1);
}

void
buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	assert(n >= 0);
	to = buf_room(b, (size_t)n);
	if (to != NULL) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		buf_grown(b, (size_t)n);
	}
	va_end(again);
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n < b->n) {
		b->n = n;
		b->p[n] = '\0';
	}
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p != NULL ? b->p : "", b->n };
}

char *
buf_take(struct buf *b)
{
	char *p = b->p != NULL ? b->p : xstrdup("");

	*b = (struct buf){ .max = b->max };
	return p;
}

void
buf_put_quoted(struct buf *b, struct str s, size_t limit_bytes)
{
	size_t n = s.n < limit_bytes ? s.n : limit_bytes;

	buf_putc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			buf_putc(b, c);
		else
			buf_fmt(b, "\\x%02x", c);
	}
	buf_puts(b, n < s.n ? "\"..." : "\"");
}

void
buf_put_shell(struct buf *b, struct str s)
{
	buf_putc(b, '\'');
	while (s.p != NULL) {
		buf_putstr(b, str_cut(&s, '\''));
		if (s.p != NULL)
			buf_puts(b, "'\\''");
	}
	buf_putc(b, '\'');
}
