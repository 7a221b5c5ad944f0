/*
 * What every file of windlass may take for granted: the C library's basic
 * headers, a few macros, and the list of banned functions.
 *
 * Include this first (after system headers of your own).
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NELEM(a)	(sizeof(a) / sizeof((a)[0]))
#define PRINTFLIKE(f, a)	__attribute__((format(printf, f, a)))
#define NORETURN	__attribute__((noreturn))

/* In a function whose parameters end with "fmt, ...": what they say, cut to the array. */
#define TEXT_OF(array, fmt) \
	do { \
		va_list ap_; \
		va_start(ap_, fmt); \
		vsnprintf(array, sizeof(array), fmt, ap_); \
		va_end(ap_); \
	} while (0)

/* The sum, or the end of the range that it would have left: a time far away stays far away. */
static inline int64_t
add_bounded(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* Out of memory is not an error that anyone could handle: these abort. */
void	*xmalloc(size_t n);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *p, size_t n);
char	*xstrdup(const char *s);

#include "core/banned.h"

#endif
