/*
 * Name constraints of an authority (RFC 5280 4.2.1.10): for which names it,
 * and whatever authority it made, may issue certificates. Companies limit
 * their authorities so: one that may issue for build.example.com alone must
 * not be believed when it speaks for GitLab.
 *
 * It makes no difference whether the extension is marked critical: many are
 * not, since old systems refused those that were. DNS names, addresses and
 * distinguished names are compared; of other kinds (mail, URIs) a
 * constraint refuses each certificate that holds a name of that kind.
 */
#ifndef NET_CONSTRAINTS_H
#define NET_CONSTRAINTS_H

#include "net/x509.h"

/*
 * Whether the constraints of `ca`, if it has any, allow the certificate `c`
 * that stands below it in a verified path: its alternative names, its subject,
 * and `host`, the DNS name that a connection takes it for (NULL: none, or an
 * authority). false with one sentence about the offending name appended to
 * why, also when the constraints cannot be understood.
 */
bool	constraints_allow(const struct x509 *ca, const struct x509 *c, const char *host, struct buf *why);

#endif
