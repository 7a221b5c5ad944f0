/* Randomness from getrandom(2); aborts when the kernel has none. */
#ifndef CORE_RAND_H
#define CORE_RAND_H

#include "core/core.h"

void		rand_bytes(void *p, size_t n);
uint64_t	rand_below(uint64_t n);			/* uniform in [0, n); 0 for n == 0 */
/* The same in the form in which libraries ask for it: ctx is not looked at; 0. */
int		rand_for(void *ctx, unsigned char *p, size_t n);
/* n lower-case hex digits and a NUL into out[n + 1]. */
void		rand_hex(char *out, size_t n);

#endif
