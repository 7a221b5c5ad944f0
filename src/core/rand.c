/* Randomness: see rand.h. */
#include <sys/random.h>

#include "core/rand.h"

void
rand_bytes(void *p, size_t n)
{
	char *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fprintf(stderr, "FATAL: getrandom: %s\n", strerror(errno));
			abort();
		}
		to += got;
		n -= (size_t)got;
	}
}

int
rand_for(void *ctx, unsigned char *p, size_t n)
{
	(void)ctx;
	rand_bytes(p, n);
	return 0;
}

uint64_t
rand_below(uint64_t n)
{
	uint64_t r, limit;

	if (n == 0)
		return 0;
	/* Values past the last whole multiple of n would favour small results. */
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		rand_bytes(&r, sizeof(r));
	while (r >= limit);
	return r % n;
}

void
rand_hex(char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t b;

	for (size_t i = 0; i < n; i++) {
		rand_bytes(&b, 1);
		out[i] = digits[b & 15];
	}
	out[n] = '\0';
}
