/*
 * Private to operation.c and its parts, and to the operator. Not for others: see operation.h.
 *
 * What counts is on disk: op_save() and op_set_phase() are the only ways to it while an operation
 * holds the lock.
 */
#ifndef MACHINE_OPERATION_PARTS_H
#define MACHINE_OPERATION_PARTS_H

#include "cloud/life.h"
#include "machine/certs.h"
#include "machine/operation.h"

#define OP_KEY_FILE_MAX		(64u << 10)
#define OP_UNSEEN_NS		(20 * NSEC_SEC)	/* a create call this old shows in lists if it worked */

static inline const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

/* operation.c */
/* A line for people, where there are any. */
void	op_say(const struct operation *op, const char *fmt, ...) PRINTFLIKE(2, 3);
/*
 * Writes both files. What is new is in both or in neither that matters, since reading joins them.
 */
int	op_save(struct operation *op, struct err *e);
/* Begins a phase: writes both files, then tells on_phase. */
int	op_set_phase(struct operation *op, enum machine_phase p, struct err *e);
/*
 * What went wrong, for whoever looks at the directory. Best effort: the disk may be what is
 * wrong.
 */
void	op_note_error(struct operation *op, const struct err *e);
/* How long until the create calls without an answer are settled; 0: there is none, or they are. */
dur_t	op_unsettled_ns(const struct operation *op);
/* So many machines of the calls without an answer have been seen. In memory. */
void	op_account_for(struct machine_record *r, int found);
/* By which the cloud's things of this machine are found. Of op's memory. */
struct cloud_labels op_labels(const struct operation *op);
/* Whether the machine's id in the cloud is known. */
bool	op_has_machine_id(const struct operation *op);
/* Reads an SSH key that an option names. -1 (ERR_CONFIG). The caller wipes b. */
int	op_read_key(const char *path, struct buf *b, struct err *e);
/*
 * The key's file in the machine's directory, by its driver's word; its public half is beside it
 * with ".pub".
 */
const char *op_key_name(const struct cloud *c);
/* The public key's line, in op's arena; "" if the file is lost. */
const char *op_pub_line(struct operation *op);
/* Where the host's certificates are. Of h's memory. */
struct certs_paths op_auth_paths(const struct machine_host *h);
/* Makes h the operation's, and its connection, if there is one, with it. */
void	op_take_host(struct operation *op, const struct machine_host *h);

/* operation_request.c */
/*
 * From planned (or requested) to created: everything is there, each with its id on disk. -1
 * leaves the phase as it is.
 */
int	op_request(struct operation *op, struct err *e);
/*
 * What the account's watcher saw of this machine (a struct cloud_hint's look), so that a hundred that
 * boot cost one list a tick and not a hundred calls. 0 (ask the cloud) when it does not live, or says
 * something else than that the machine is coming.
 */
int	op_look_at_seen(void *op, struct cloud *c);
/* From created to booted: the machine runs and has an address. */
int	op_await_address(struct operation *op, struct err *e);

#endif
