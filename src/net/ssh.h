/*
 * SSH to a machine on libssh2 (mbedTLS inside): one connection for a whole
 * provisioning, several commands. The host key is pinned: first contact
 * tells it, later contacts require it. Keys are RSA (signed with SHA-2) or ECDSA P-256.
 */
#ifndef NET_SSH_H
#define NET_SSH_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

struct ssh;

struct ssh_opts {
	struct str	host;
	uint16_t	port;
	const char	*user;
	struct str	 key_pem;	/* private key text */
	struct str	 pin;		/* "ssh-ed25519 AAAA..." that must match; empty: any, and tell */
};

/*
 * Connects and authenticates once; the caller repeats while ERR_NET (sshd not up yet). ERR_AUTH: the key was refused.
 * ERR_TLS: the host key is not the pinned one. pin_out (may be NULL) gets the host key line.
 */
struct ssh *ssh_open(const struct ssh_opts *o, struct buf *pin_out, mono_t deadline, struct err *e);
/*
 * Runs a command with input on its stdin. Output (stdout and stderr together, last max bytes are kept if more come; max = out->max)
 * is appended to out, which may be NULL. *status: exit status (128+n by signal). 0 when it ran to its end, whatever the status.
 */
int	ssh_run(struct ssh *s, const char *cmd, struct str input, struct buf *out, int *status, mono_t deadline, struct err *e);
/*
 * `machine ssh`: a command, or a login shell with a pty when cmd is NULL, joined to our stdin, stdout, stderr; the terminal's size follows. Returns the exit status or -1.
 */
int	ssh_interactive(struct ssh *s, const char *cmd, struct err *e);
void	ssh_close(struct ssh *s);

/* Makes an ECDSA P-256 key: private PEM, public one-line text ("ecdsa-sha2-nistp256 AAAA..."). */
int	ssh_keygen(struct buf *priv_pem, struct buf *pub_line, struct err *e);
/* The public line's MD5 fingerprint "aa:bb:..." as DigitalOcean names keys. out[48]. */
int	ssh_fingerprint(struct str pub_line, char out[48], struct err *e);

#endif
