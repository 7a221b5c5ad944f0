/*
 * Memory that is given back all at once. Blocks are taken from malloc in
 * chunks; nothing can be freed alone. A job process has two: one that lives
 * to exit and one that is reset after each exchange.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include "core/str.h"

struct arena_chunk;

struct arena {
	struct arena_chunk	*chunk;		/* newest first */
	size_t			 total;		/* bytes handed out */
};

void	*arena_alloc(struct arena *a, size_t n);		/* zeroed, 16-aligned */
void	*arena_calloc(struct arena *a, size_t n, size_t size);	/* zeroed; aborts on overflow */
char	*arena_dup(struct arena *a, struct str s);		/* NUL-terminated copy */
struct str arena_str(struct arena *a, struct str s);		/* copy, as a view */
char	*arena_fmt(struct arena *a, const char *fmt, ...) PRINTFLIKE(2, 3);
void	arena_reset(struct arena *a);				/* frees everything */

#endif
