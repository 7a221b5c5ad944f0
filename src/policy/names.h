/*
 * Names of machines: runner-<short token>-<MachineName with %s filled in>,
 * as gitlab-runner made them, so that a pool is recognised after the move to
 * windlass (spec machines 1.4). Pure; nothing is allocated.
 */
#ifndef POLICY_NAMES_H
#define POLICY_NAMES_H

#include "core/err.h"
#include "core/str.h"

#define NAMES_SHORT_SIZE	10	/* 9 bytes and a NUL */
#define NAMES_LABEL_SIZE	64	/* a DNS label (RFC 1123) and a NUL */
#define NAMES_UNIQUE_LEN	19	/* "1772445600-9f3a01bc" */

/*
 * The short form of a runner or job token, for names, logs and metric labels: known
 * prefixes cut, then the first 9 bytes. A prefix that the instance puts in front of
 * the type ("acme-glrt-") is cut as well; upstream would shorten every token of such an
 * instance to the same text. Not a secret, but made of one: 9 bytes and no more.
 */
void	names_short_token(struct str token, char out[NAMES_SHORT_SIZE]);
/* Whether the token was made in GitLab's UI or API ("glrt-", with or without an instance prefix). */
bool	names_token_is_created(struct str token);
/* Lower case, only [-a-z0-9], begins with a letter or digit, at most 63 bytes; may come out empty. */
void	names_rfc1123(struct str s, char out[NAMES_LABEL_SIZE]);

/*
 * What all names of one pool have in common. Made once per [[runners]] entry;
 * prefix and suffix are what stands around %s.
 */
struct names_pool {
	char	prefix[NAMES_LABEL_SIZE];
	char	suffix[NAMES_LABEL_SIZE];
	size_t	nprefix, nsuffix;
};

/*
 * From a runner's token and its MachineName. -1 (ERR_CONFIG) with the reason
 * when MachineName has not exactly one %s, holds bytes that no machine name
 * may have, or makes names of more than 63 bytes. The messages name MachineName and its value.
 */
int	names_pool_init(struct names_pool *p, struct str token, struct str machine_name,
	    struct err *e);
/* A new name: `unix` is the time in seconds, `rnd` 32 random bits. Always fits. */
void	names_make(const struct names_pool *p, int64_t unix_s, uint32_t rnd,
	    char out[NAMES_LABEL_SIZE]);

enum names_match {
	NAMES_STRICT,		/* prefix, <unix>-<8 hex>, suffix and nothing else: ours for certain */
	NAMES_UPSTREAM,		/* prefix, then one non-space byte: what gitlab-runner took for its own */
};

/*
 * Whether a machine belongs to the pool. With NAMES_STRICT, *unix_s (which may be NULL) gets
 * the second in its name. Pools with different prefix or suffix never claim the same
 * name under NAMES_STRICT; under NAMES_UPSTREAM they may.
 */
bool	names_match(const struct names_pool *p, struct str name, enum names_match how,
	    int64_t *unix_s);

/*
 * How good a pool's claim is on a machine that nobody has noted an owner for: 0 none, and of several pools the greatest
 * has it. A whole match counts more than any prefix, a longer prefix more than a shorter one.
 */
unsigned names_claim(const struct names_pool *p, struct str name);

#endif
