/*
 * An operation: one act on one machine, to its end or to its deadline.
 *
 * It may be begun twice. What it is about to do stands in the machine's
 * directory before it does it (docs/state.md), so whoever comes next, after a
 * death at any instant, goes on from there: an id that was not written down
 * is looked up by nonce or fingerprint before anything is created again, and the
 * directory goes only after the cloud has said that nothing is left.
 *
 * It holds the machine's lock all the time. It talks to one cloud and one machine, and reads
 * nothing but its machine's directory, certs/ and the files that options name.
 *
 * A create is told in operation_plan.c (the directory), operation_request.c (the cloud's part),
 * operation_ssh.c (the way in) and operation_setup.c (the engine); the end in operation_remove.c.
 */
#ifndef MACHINE_OPERATION_H
#define MACHINE_OPERATION_H

#include "books/account.h"
#include "books/store.h"
#include "machine/options.h"

/* A create without limit of its own ends after this; so does a remove. */
#define OPERATOR_LIMIT_NS	(600 * NSEC_SEC)

struct operation {
	const char	*store;
	const char	*name;
	mono_t		 deadline;
	struct cloud_ears ears;	/* of its machine's cloud */
	/* For people at a terminal, line by line as docker-machine says it; NULL: nobody. */
	void		(*say)(const char *line);
	/* A phase was written down; PHASE_NONE: the directory is gone. May be NULL. */
	void		(*on_phase)(void *ctx, const char *name, enum machine_phase p);
	void		*ctx;
	/* By hand: the fingerprint ("SHA256:...") of the one host key that replaces the pinned one when SSH meets it. NULL: none. */
	const char	*accept_host_key;
	mono_t		 ssh_by;	/* no try at SSH begins later; never: until the deadline */
	const char	*ready_command;	/* runs on a new machine over SSH before it counts as ready; NULL or "": none */

	struct account_book account;	/* what is known of the cloud account; made by operation_init(): nothing */
	bool		 watched;	/* somebody looks at all pending machines of the account and writes it there */

	/* below: the operator's own */
	int		 dir, lock;
	struct ssh_auth	*auth;		/* for SSH, once loaded */
	struct arena	 arena;
	struct machine_record	rec;
	struct machine_host	host;
	dur_t		 patience;	/* how old a create call must be for its machine to show in lists */
	struct cloud_rung rung;		/* of the driver's ladder that is tried; name NULL: it has none */
	size_t		 rung_at;
	bool		 adopted;	/* made by docker-machine: there was no windlass.json */
};

void	operation_init(struct operation *op, const char *store, const char *name);
void	operation_end(struct operation *op);	/* closes everything; the lock with it */

/*
 * When the cloud's options name no key of a host that is there already: loads what ssh would take (net/sshauth.h), for
 * operation_ssh(). 0, also when there is nothing to do; -1 (ERR_CONFIG) when no key is there that can be used.
 */
int	operation_keys(struct operation *op, const struct cloud *c, struct err *e);
/*
 * Makes the directory, phase planned: config.json as host has it, windlass.json, the SSH key. certs/ is made
 * if need be. h's arena must outlive op, which takes over its connection to the cloud, also on failure. ERR_CONFLICT: the name is taken.
 */
int	operation_plan(struct operation *op, const struct machine_host *h, const char *owner, const char *runner,
	    const char *options_hash, struct err *e);
/* Opens what is there, and takes the lock: ERR_NOTFOUND, ERR_CONFLICT (busy). */
int	operation_open(struct operation *op, struct err *e);
/*
 * After operation_open() could not read config.json and holds the lock: the machine as the record has it, in
 * h's account, whose key op->account holds. Good for removing it. -1: there is no record, it is another
 * driver's, or (ERR_CONFIG, also in the record as a failed removal) another account's: the record does not
 * name this one, and the account shows nothing that carries the machine's nonce. May ask the cloud, by op's deadline.
 */
int	operation_stand_in(struct operation *op, const struct machine_host *h, struct err *e);
/* The same without the lock, for looking only. */
int	operation_look(struct operation *op, struct err *e);
/* From the phase it is in to ready. On failure the machine stays in its phase, with last_error. */
int	operation_create(struct operation *op, struct err *e);
/*
 * Until nothing is left. The machine itself goes at once; a create call without an answer that is not
 * settled keeps the record, and this call, until it is.
 */
int	operation_remove(struct operation *op, const char *reason, struct err *e);
/*
 * Deletes what create calls without an answer have made besides a ready machine, and settles them when
 * they are old enough. Takes the lock for a moment at its end: open with operation_look().
 */
int	operation_settle(struct operation *op, struct err *e);
/*
 * A new server pair, and provisions from the beginning, whatever phase is recorded (what is not yet made, is made first):
 * `provision`, `regenerate-certs`. The phase goes back when SSH answers, before the machine is touched; on a failure that left the
 * machine as it was, phase and files are as they were, too.
 */
int	operation_provision(struct operation *op, struct err *e);
/* Opens SSH to it, waiting until it answers. NULL on failure. */
struct ssh *operation_ssh(struct operation *op, struct err *e);

/* Crash points of these files in the order of a life; NULL behind the last. */
extern const char *const operator_crash_points[];

#endif
