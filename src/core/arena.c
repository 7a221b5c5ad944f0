/* Memory given back all at once: see arena.h. */
#include "core/arena.h"

#define CHUNK	(4096 - 64)
#define ALIGN	16u

struct arena_chunk {
	struct arena_chunk	*next;
	size_t			 used, size;
	_Alignas(16) char	 data[];
};

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->chunk;
	size_t want = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);

	assert(want >= n);
	if (c == NULL || c->size - c->used < want) {
		size_t size = want > CHUNK ? want : CHUNK;

		c = xmalloc(sizeof(*c) + size);
		c->used = 0;
		c->size = size;
		/* A block of its own goes behind the current chunk, which may still have room for small ones. */
		if (want > CHUNK / 2 && a->chunk != NULL) {
			c->next = a->chunk->next;
			a->chunk->next = c;
		} else {
			c->next = a->chunk;
			a->chunk = c;
		}
	}
	c->used += want;
	a->total += want;
	return memset(c->data + c->used - want, 0, want);
}

void *
arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		abort();
	return arena_alloc(a, bytes);
}

char *
arena_dup(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

struct str
arena_str(struct arena *a, struct str s)
{
	return (struct str){ arena_dup(a, s), s.n };
}

char *
arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void
arena_reset(struct arena *a)
{
	struct arena_chunk *c = a->chunk, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){ 0 };
}
