/*
 * The wire form of SSH (RFC 4251 section 5), and what windlass itself reads of
 * it: what a host offers in the clear before the keys are exchanged (RFC 4253),
 * and what an agent answers (draft-ietf-sshm-ssh-agent). All else is libssh2's.
 *
 * Getters take from the front of *s and return false, *s then being anywhere,
 * when the bytes do not hold what is asked for. Views point into *s.
 */
#ifndef WIRE_SSHWIRE_H
#define WIRE_SSHWIRE_H

#include "core/buf.h"

bool	sshwire_u32(struct str *s, uint32_t *v);
bool	sshwire_string(struct str *s, struct str *out);
void	sshwire_put_u32(struct buf *b, uint32_t v);
void	sshwire_put_string(struct buf *b, struct str s);
/* A positive number, most significant byte first: without leading zeros, except for one that keeps the sign bit clear. */
void	sshwire_put_mpint(struct buf *b, struct str number);

enum { SSHWIRE_KEX, SSHWIRE_HOSTKEY, SSHWIRE_CIPHER_CS, SSHWIRE_CIPHER_SC, SSHWIRE_MAC_CS, SSHWIRE_MAC_SC, SSHWIRE_LISTS };

/* What a side of a connection says first: its version line without line end, and its lists of names, comma-separated. */
struct sshwire_hello {
	struct str	version;
	struct str	lists[SSHWIRE_LISTS];
};

/*
 * Reads the version line (other lines may stand before it) and the SSH_MSG_KEXINIT behind it. 1 when all is there;
 * 0 when more must come, with version set as soon as its line is whole; -1 when this is no SSH.
 */
int	sshwire_hello(struct str stream, struct sshwire_hello *h);

/* The first name of ours that theirs has, too; the null view when there is none. */
struct str sshwire_common(struct str ours, struct str theirs);

/* A peer's words into a line for people: printable ASCII stays, all else becomes '?', and "..." ends what is cut at limit bytes. */
void	sshwire_put_words(struct buf *b, struct str s, size_t limit);

/* Types of an agent's messages. */
enum { SSHWIRE_AGENT_LIST = 11, SSHWIRE_AGENT_KEYS = 12, SSHWIRE_AGENT_SIGN = 13, SSHWIRE_AGENT_SIGNATURE = 14 };

/* Of an agent's answer without its length, SSHWIRE_AGENT_KEYS: how many keys follow, *s standing at the first. */
bool	sshwire_agent_keys(struct str *s, uint32_t *n);
/* The next of them: the public key's blob, and its comment. */
bool	sshwire_agent_key(struct str *s, struct str *blob, struct str *comment);
/* Of an answer SSHWIRE_AGENT_SIGNATURE: the signature's algorithm, and what stands behind that name. */
bool	sshwire_agent_signature(struct str s, struct str *alg, struct str *rest);

#endif
