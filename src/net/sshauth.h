/*
 * The keys that a login by SSH may try, in their order: the one key that was
 * named; or, when none was, what ssh itself would take: the keys of the agent
 * at SSH_AUTH_SOCK, then ~/.ssh/id_ed25519, id_ecdsa and id_rsa.
 *
 * A process that confines itself makes its set before: afterwards it may
 * neither open a Unix socket nor, under another uid, read somebody's home.
 * The agent signs when it is asked; private keys of its own never leave it.
 */
#ifndef NET_SSHAUTH_H
#define NET_SSHAUTH_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

struct ssh_auth;

/* The set of one key, from a key file's text. NULL with ERR_CONFIG. */
struct ssh_auth *ssh_auth_key(struct str text, struct err *e);
/* The set of the agent's keys and the default files'. NULL with ERR_CONFIG, which says what was looked at, when it would be empty. */
struct ssh_auth *ssh_auth_default(struct err *e);
void	ssh_auth_free(struct ssh_auth *a);	/* NULL allowed; private keys are overwritten */

size_t	ssh_auth_count(const struct ssh_auth *a);
/* Key i: its public blob, and where it is from, for people ("~/.ssh/id_rsa", "the agent's me@home"). Valid as long as a is. */
struct str ssh_auth_blob(const struct ssh_auth *a, size_t i);
const char *ssh_auth_from(const struct ssh_auth *a, size_t i);
/* What is to be signed, and how: "ssh-ed25519", "rsa-sha2-512" ... */
struct ssh_question { struct str alg, data; };
/*
 * Signs by key i as sshkey_sign() does. An agent may ask its user first: it is waited for until the deadline. 0, or -1:
 * ERR_CONFIG (the key does not sign so), ERR_AUTH (the agent refuses), ERR_NET, ERR_TIMEOUT, ERR_CANCELLED.
 */
int	ssh_auth_sign(struct ssh_auth *a, size_t i, struct ssh_question q, struct buf *sig,
	    mono_t deadline, struct err *e);

#endif
