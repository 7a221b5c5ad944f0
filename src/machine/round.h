/*
 * A round: one process that looks at many machines at once, while operators
 * (operator.h) each work on one. Two kinds:
 *
 * Reconciliation holds what one cloud account has of ours, by the owner's
 * label, against the store, both ways (spec machines 2, M3). What the store does
 * not know is deleted, keys included: a store that was lost costs machines, never money. What
 * is ready in the store and not in the list is only reported, for someone to ask the cloud about that one
 * machine. The list comes before the store, and a record comes before its first call, so a machine that is
 * being made or removed meanwhile is never taken for a stray. Without a whole list nothing is done.
 *
 * Health asks the engines of some machines for a sign of life, every few minutes for a little more, and no cloud (B6), with one exception: when
 * not one of them answers it may be this host's network that is broken, and the cloud's API is
 * asked once; when that does not answer either, nothing is known of the machines.
 *
 * A round takes no machine's lock and writes nothing into the store (its process renews certs/ before a look at health).
 */
#ifndef MACHINE_ROUND_H
#define MACHINE_ROUND_H

#include "books/store.h"
#include "cloud/driver.h"
#include "core/chan.h"

/* A stray younger than this is left for the next look. */
#define ROUND_GRACE_NS	(60 * NSEC_SEC)

struct round {
	const char	*store;
	const char	*owner;
	dur_t		 grace;
	mono_t		 deadline;
	/* Says what was found (core/chan.h): CHAN_HEALTH, CHAN_MISSING, CHAN_STRAY. */
	void		(*tell)(void *ctx, enum chan_verb verb, const char *text);
	void		*ctx;
	struct arena	 arena;
};

/* What the store knows of one machine. */
struct round_known {
	const char	*name;
	const char	*nonce;		/* "" if not known */
	const struct record_id *ids;	/* of its things */
	size_t		 nids;
	const char	*runner;
	bool		 ready, ours;	/* ours: by this owner, with an id */
};

enum round_verdict { ROUND_KNOWN, ROUND_YOUNG, ROUND_STRAY };

/*
 * What is to be made of a thing of this kind in the cloud. Pure. Names are kept: what bears a known machine's name is never a
 * stray, unless it is a second one with its nonce.
 */
enum round_verdict round_judge(const struct cloud_kind *kind, const struct cloud_thing *t,
	    const struct round_known *known, size_t n, wall_t now, dur_t grace);

/*
 * Names machines that carry one of these names' beginnings and another owner's mark: a bastion that was replaced without its
 * state directory left them behind, or another one uses the same runner. They are told as strays ("foreign") and left alone.
 */
int	round_strangers(struct round *r, struct cloud *c, const char *const *prefixes, size_t n, struct err *e);
/* Runners whose machines are in the account: their keys. */
struct round_runners { const char *const *v; size_t n; };
/* c: the account. -1: nothing is known, or a stray would not go. */
int	round_reconcile(struct round *r, struct cloud *c, const struct round_runners *runners, struct err *e);
/*
 * The watcher: looks at all machines of ours in the account again and again, and writes what it saw into the account's book
 * (books/account.h), so that a hundred operators whose machines boot need not ask, each for its own. Until it is told to
 * stop or its deadline; -1 when the account cannot be asked any more.
 */
struct account_book;
int	round_watch(struct round *r, struct cloud *c, const struct account_book *book, struct err *e);
/*
 * Tells one verdict for each name that is still in the store; the engines of those that are among `probes`, too, are tried
 * out (docker/probe.h): "fit" instead of "ok", or "unfit" when the machine can run no container. -1 only when told to stop.
 */
int	round_health(struct round *r, const char *const *names, size_t n, const char *const *probes, size_t nprobes, struct err *e);

#endif
