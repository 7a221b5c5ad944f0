/*
 * A growing byte buffer that is born with a limit. Failure (limit reached)
 * is sticky: appends after it do nothing, so the caller checks b.failed
 * once, where it uses the result. p is NUL-terminated whenever it is not
 * NULL (the NUL is not counted in n).
 *
 *	struct buf b = { .max = HTTP_HEAD_MAX };
 *	buf_fmt(&b, "GET %s HTTP/1.1\r\n", path);
 *	if (b.failed) ...
 *	buf_free(&b);
 *
 * max == 0 means the default, BUF_MAX_DEFAULT.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include "core/str.h"

#define BUF_MAX_DEFAULT	(16u << 20)

struct buf {
	char	*p;
	size_t	 n;
	size_t	 cap;
	size_t	 max;
	bool	 failed;
};

void	buf_put(struct buf *b, const void *p, size_t n);
void	buf_puts(struct buf *b, const char *s);
void	buf_putstr(struct buf *b, struct str s);
void	buf_putc(struct buf *b, int c);
void	buf_fmt(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
void	buf_vfmt(struct buf *b, const char *fmt, va_list ap);
/*
 * Room for at least n more bytes; returns where they go, NULL when the limit
 * forbids. The caller adds what it wrote with buf_grown().
 */
char	*buf_room(struct buf *b, size_t n);
void	buf_grown(struct buf *b, size_t n);
/* Removes n bytes from the front (clamped). */
void	buf_drop(struct buf *b, size_t n);
void	buf_cut(struct buf *b, size_t n);	/* keeps the first n bytes */
void	buf_clear(struct buf *b);		/* empty again, memory kept, failure forgotten */
void	buf_free(struct buf *b);		/* memory returned; max kept */
void	buf_wipe(struct buf *b);		/* buf_free() for secrets: overwritten first */
struct str buf_str(const struct buf *b);
/* Hands the bytes over as a malloc'd C string ("" for an empty buffer); b is empty afterwards. */
char	*buf_take(struct buf *b);

/* Quoting for people and logs: printable ASCII stays, the rest becomes \xHH, cut at limit bytes. */
void	buf_put_quoted(struct buf *b, struct str s, size_t limit);
/* The word for a POSIX shell: single quotes, ' as '\''. */
void	buf_put_shell(struct buf *b, struct str s);

#endif
