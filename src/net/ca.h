/*
 * Trust anchors: the authorities that a chain may end in. They are looked
 * up when a chain is at hand, by the names in it, and not kept: a bundle of
 * 150 authorities costs no memory, and a connection needs one of them.
 *
 * Anchors come from certificates in memory (a private CA), from the bundle
 * built into the binary, and from the host's own bundle.
 */
#ifndef NET_CA_H
#define NET_CA_H

#include <bearssl.h>

#include "core/arena.h"
#include "core/err.h"
#include "net/x509.h"

#define ANCHORS_MAX	16	/* authorities of one name in one look-up */

struct anchors {
	br_x509_trust_anchor	 ta[ANCHORS_MAX];	/* as BearSSL takes them */
	struct str		 der[ANCHORS_MAX];	/* the certificate; empty for built-in ones */
	size_t			 n;
	struct arena		 mem;			/* what they point into, if it is not the binary */
	bool			 expired;		/* one had the right name but is over */
	int64_t			 expired_at;
};

/*
 * What to look for: the issuers in a chain, and the subject of its first
 * certificate, which may itself be the trusted one (a server with a
 * self-signed certificate).
 */
struct anchors_wanted {
	const struct x509	*path;
	size_t			 n;
	int64_t			 now;		/* Unix seconds; anchors that are over do not count */
};

/* Each adds what it finds. certs, one DER certificate after another, must outlive the anchors. */
void	anchors_add(struct anchors *as, const struct anchors_wanted *w, struct str certs);
void	anchors_add_builtin(struct anchors *as, const struct anchors_wanted *w);
/* SSL_CERT_FILE, else the first of the usual bundle files that there is. A missing or broken file adds nothing. */
void	anchors_add_host(struct anchors *as, const struct anchors_wanted *w);
void	anchors_free(struct anchors *as);

/*
 * Appends the certificates of a PEM text to ders, one after another; other
 * blocks are passed over. Returns their number, or -1.
 */
ssize_t	ca_pem_certs(struct str pem, struct buf *ders, struct err *e);
/* The public key of a certificate, its numbers in the arena. 0 or -1. */
int	ca_public_key(struct arena *a, struct str der, br_x509_pkey *key, struct err *e);

#endif
