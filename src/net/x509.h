/*
 * The parts of an X.509 certificate that BearSSL decides on but does not
 * tell: names, validity, addresses, allowed uses. They choose which anchors
 * are tried, compare IP addresses, and become words in error messages.
 *
 * Whether a certificate is genuine is not decided here: BearSSL checks every
 * signature. The bytes are hostile, the reader never allocates and touches
 * no file, clock or socket; everything it gives is a view into its input.
 */
#ifndef NET_X509_H
#define NET_X509_H

#include "core/buf.h"
#include "core/err.h"

struct x509 {
	struct str	der;		/* the whole certificate, nothing behind it */
	int		version;	/* 1 to 3 */
	struct str	issuer;		/* Name, with its tag and length */
	struct str	subject;
	int64_t		not_before;	/* Unix seconds */
	int64_t		not_after;
	struct str	spki;		/* SubjectPublicKeyInfo, with tag and length */
	struct str	san;		/* contents of GeneralNames; p == NULL if none */
	struct str	eku;		/* contents of the extended key usages; p == NULL if none */
	bool		has_constraints;
	bool		ca;		/* basic constraints say so */
};

/*
 * Takes the first certificate off *in. 1 with *c filled; 0 when *in was
 * empty; -1 (ERR_PARSE) when it is not a certificate.
 */
int	x509_next(struct str *in, struct x509 *c, struct err *e);

enum x509_name_kind { X509_NAME_OTHER, X509_NAME_DNS, X509_NAME_IP };

/*
 * Takes the next alternative name off *san (a copy of x509.san). 1 with its
 * kind and bytes (4 or 16 of them for X509_NAME_IP); 0 at the end.
 */
int	x509_san_next(struct str *san, enum x509_name_kind *kind, struct str *value);
bool	x509_has_ip(const struct x509 *c, const uint8_t *ip, size_t n);
/* Whether it may be a server: no extended key usages at all, or serverAuth or any among them. */
bool	x509_is_for_servers(const struct x509 *c);
bool	x509_self_issued(const struct x509 *c);

/* "CN=example, O=Example Ltd" for people: escaped, cut at a sensible length. */
void	x509_put_name(struct buf *b, struct str name);
/* "a.example, b.example, 10.0.0.1 and 7 more": alternative names, else the common name, else "no name". */
void	x509_put_hosts(struct buf *b, const struct x509 *c);

#endif
