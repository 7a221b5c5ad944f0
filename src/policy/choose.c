/* Selection and sorting of small keys. See choose.h. */
#include "policy/choose.h"

static bool
less(const struct choose_key *a, const struct choose_key *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	if (a->second != b->second)
		return a->second < b->second;
	return a->i < b->i;
}

/* Splits k[0..n), n > 2, at the median of three; returns where it ended up. */
static size_t
split(struct choose_key *k, size_t n)
{
	size_t at = 0;

	if (less(&k[n / 2], &k[0]))
		choose_swap(&k[n / 2], &k[0]);
	if (less(&k[n - 1], &k[0]))
		choose_swap(&k[n - 1], &k[0]);
	if (less(&k[n - 1], &k[n / 2]))
		choose_swap(&k[n - 1], &k[n / 2]);
	choose_swap(&k[n / 2], &k[n - 1]);
	for (size_t i = 0; i + 1 < n; i++) {
		if (less(&k[i], &k[n - 1]))
			choose_swap(&k[i], &k[at++]);
	}
	choose_swap(&k[at], &k[n - 1]);
	return at;
}

static void
sort_small(struct choose_key *k, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t j = i; j > 0 && less(&k[j], &k[j - 1]); j--)
			choose_swap(&k[j], &k[j - 1]);
	}
}

void
choose_least(struct choose_key *k, size_t n, size_t want)
{
	while (want > 0 && want < n) {
		size_t at;

		if (n <= 16) {
			sort_small(k, n);
			return;
		}
		at = split(k, n);
		if (want <= at) {
			n = at;
		} else {
			k += at + 1;
			n -= at + 1;
			want -= at + 1;
		}
	}
}

void
choose_sort(struct choose_key *k, size_t n)
{
	while (n > 16) {
		size_t at = split(k, n);

		if (at < n - at - 1) {
			choose_sort(k, at);
			k += at + 1;
			n -= at + 1;
		} else {
			choose_sort(k + at + 1, n - at - 1);
			n = at;
		}
	}
	sort_small(k, n);
}
