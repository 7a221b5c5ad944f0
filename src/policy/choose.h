/*
 * Choosing the k best of n: quickselect and quicksort over keys that stand
 * side by side in memory, because qsort(3) calls a function for each
 * comparison and sorts what nobody asked to be sorted. Ten thousand
 * candidates take some hundred microseconds. Nothing is allocated.
 *
 * The smallest (first, second, i) is the best; no two keys may be equal, so
 * every i occurs once and the outcome does not depend on the order of the input.
 */
#ifndef POLICY_CHOOSE_H
#define POLICY_CHOOSE_H

#include "core/core.h"

struct choose_key {
	int64_t	first, second;
	int	i;
};

/* Moves the `want` smallest of k[0..n) to the front, in no order; all of them when want >= n. */
void	choose_least(struct choose_key *k, size_t n, size_t want);
void	choose_sort(struct choose_key *k, size_t n);

static inline void
choose_swap(struct choose_key *a, struct choose_key *b)
{
	struct choose_key t = *a;

	*a = *b;
	*b = t;
}

#endif
