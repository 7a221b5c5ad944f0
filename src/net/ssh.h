/*
 * SSH to a machine on libssh2 (mbedTLS inside): one connection for a whole
 * provisioning, several commands. The host key is pinned: first contact
 * tells it, later contacts require it. Host keys are ECDSA, Ed25519 or RSA
 * (signed with SHA-2), keys of ours the same; nothing with SHA-1 is offered.
 *
 * libssh2 is driven non-blocking: every wait watches the socket and the
 * control descriptor (net_control()) until the deadline, and a silent
 * connection is kept alive every 30 seconds.
 */
#ifndef NET_SSH_H
#define NET_SSH_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "net/sshauth.h"

struct ssh;

struct ssh_opts {
	struct str	host;
	uint16_t	port;
	const char	*user;
	struct ssh_auth	*auth;		/* the keys to try; the caller's */
	struct str	 pin;		/* "ecdsa-sha2-nistp256 AAAA..." that must match; empty: any, and tell */
	const char	*accept;	/* the fingerprint of the one key that is taken instead of the pinned one; NULL: none */
	/* Besides the deadline, each 0 for no limit: for the connection; how long the host may be silent until the keys are exchanged, and from then on until we are in. */
	dur_t		 dial_ns, hello_ns, login_ns;
};

/*
 * Connects and authenticates once; the caller repeats while ERR_NET or
 * ERR_TIMEOUT (sshd not up yet). ERR_AUTH: the host does not let us in, which
 * is a passing fault too while a new machine's first boot has not yet installed
 * the key. ERR_TLS: the host key is not the pinned one. ERR_CONFIG: the pin or a key
 * cannot be used, or host and windlass have no method in common: what both offer is said.
 * pin_out (may be NULL) gets the host key line, without a line end, also of a key that is not the pinned one.
 */
struct ssh *ssh_open(const struct ssh_opts *o, struct buf *pin_out, mono_t deadline, struct err *e);
/*
 * Runs a command with input on its stdin, which is closed behind it. Output
 * (stdout and stderr together, in order of arrival) is appended to out,
 * which may be NULL; of more than fits out->max the last bytes are kept.
 * Its exit status (128+n by signal) when it ran to its end; -1 when that is not
 * known: the connection broke, or the deadline passed, after which only
 * ssh_close() is allowed.
 */
int	ssh_run(struct ssh *s, const char *cmd, struct str input, struct buf *out, mono_t deadline,
	    struct err *e);
/*
 * `machine ssh`: a command, or a login shell when cmd is NULL (with a pty if our stdin is a
 * terminal, whose size follows and whose settings are restored), joined to
 * our stdin, stdout, stderr. Returns the exit status (128+n by signal) or -1.
 */
int	ssh_interactive(struct ssh *s, const char *cmd, struct err *e);
void	ssh_close(struct ssh *s);	/* NULL allowed */

/* Makes an ECDSA P-256 key: private PEM (SEC1), public one-line text ("ecdsa-sha2-nistp256 AAAA...") without a line end. */
int	ssh_keygen(struct buf *priv_pem, struct buf *pub_line, struct err *e);
/* Appends the fingerprint of a host key line as OpenSSH prints it ("SHA256:..."). 0, or -1 for what is no such line. */
int	ssh_host_fingerprint(struct str line, struct buf *out);
/* The public line of a private key that ssh_auth_key() would take. 0 or -1 (ERR_CONFIG). */
int	ssh_public_line(struct str key_text, struct buf *pub_line, struct err *e);
/* The public line's MD5 fingerprint "aa:bb:..." as DigitalOcean names keys. out[48]. 0 or -1 (ERR_PARSE). */
int	ssh_fingerprint(struct str pub_line, char out[48], struct err *e);

#endif
