/*
 * The check of a TLS peer's certificate chain, as an X.509 engine that
 * BearSSL calls during the handshake. It keeps the chain, because BearSSL's
 * own engine takes anchors only beforehand, needs the chain in order, does
 * not look at IP addresses, and says a number where people need a sentence.
 *
 * So: anchors are looked up by the names in the chain; a path from the
 * server's certificate to one of them is sought among the certificates that came, each way
 * tried by BearSSL's "minimal" engine; and what that engine does not do is
 * done here for the path that it accepted. Nothing here replaces a check of
 * its own. What does not lie on that path is nobody's word for anything: it is not looked at and not handed on.
 */
#ifndef NET_VERIFY_H
#define NET_VERIFY_H

#include <bearssl.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "net/x509.h"

#define CHAIN_MAX	10		/* certificates */
#define CHAIN_BYTES_MAX	(64u << 10)
#define RSA_BITS_MIN	2048		/* NIST SP 800-131A: shorter ones are no longer to be used */

struct tls_trust {
	struct buf	 certs;		/* DER, one after another */
	bool		 with_system;
	bool		 keep_chain;	/* tls_chain_pem() will be asked */
	bool		 pinned;	/* exactly this key, nothing else counts */
	struct x509	 pin;		/* view into certs */
	br_x509_pkey	 pin_key;
	struct arena	 mem;
};

struct verify {
	const br_x509_class	*vtable;	/* first, BearSSL calls by it */
	const struct tls_trust	*trust;
	const char		*dns;		/* the name that must be in the certificate, or NULL: */
	uint8_t			 ip[16];	/* the address */
	size_t			 nip;		/* 0: neither (pinned keys only) */

	struct buf		 der;		/* what the peer sent */
	size_t			 ncert;
	struct x509		 path[CHAIN_MAX];	/* in order, the server's first; up to the anchor when it verified */
	size_t			 npath;
	int			 anchor;		/* the one that verified it, of the anchors looked up; -1 none */
	unsigned		 runs;			/* of BearSSL's engine */
	br_x509_minimal_context	 minimal;
	struct buf		 chain_pem;
	struct err		 why;		/* set when it failed */
};

/* name: DNS name (without a final dot) or address text; must outlive v. */
void	verify_init(struct verify *v, const struct tls_trust *trust, const char *name);
void	verify_free(struct verify *v);
/* Whether name is an IPv4 or IPv6 address; ip gets 4 or 16 bytes. */
size_t	verify_ip(const char *name, uint8_t ip[16]);

#endif
