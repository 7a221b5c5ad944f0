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
	struct str	name_constraints;	/* contents of NameConstraints (RFC 5280 4.2.1.10); p == NULL if none */
	bool		has_constraints;	/* basic constraints are there */
	bool		ca;		/* basic constraints say so */
};

/*
 * Takes the first certificate off *in. 1 with *c filled; 0 when *in was
 * empty; -1 (ERR_PARSE) when it is not a certificate.
 */
int	x509_next(struct str *in, struct x509 *c, struct err *e);

/* Tags of the general names (RFC 5280 4.2.1.6) that are looked into. */
enum { X509_TAG_EMAIL = 0x81, X509_TAG_DNS = 0x82, X509_TAG_DIRECTORY = 0xa4, X509_TAG_IP = 0x87 };

enum x509_name_kind { X509_NAME_OTHER, X509_NAME_DNS, X509_NAME_IP };

/*
 * Takes the next alternative name off *san (a copy of x509.san). 1 with its
 * kind and bytes (4 or 16 of them for X509_NAME_IP); 0 at the end.
 */
int	x509_san_next(struct str *san, enum x509_name_kind *kind, struct str *value);
bool	x509_has_ip(const struct x509 *c, const uint8_t *ip, size_t n);
/* Whether it may be a server: no extended key usages at all, or serverAuth or any among them. */
bool	x509_is_for_servers(const struct x509 *c);
/* The length of its RSA modulus in bits, 0 when its key is no RSA key. */
int	x509_rsa_bits(const struct x509 *c);
/* The same of a number as bytes, most significant first. */
int	x509_bits(const uint8_t *n, size_t len);
/* The first mail address in a Name; p == NULL if there is none. */
struct str x509_subject_mail(struct str name);
bool	x509_self_issued(const struct x509 *c);

/* "CN=example, O=Example Ltd" for people: escaped, cut at a sensible length. */
void	x509_put_name(struct buf *b, struct str name);
/* Hostile text for people: printable ASCII stays, the rest is escaped; cut at a sensible length. */
void	x509_put_text(struct buf *b, struct str s);
void	x509_put_ip(struct buf *b, struct str ip);	/* 4 or 16 bytes */
/* "a.example, b.example, 10.0.0.1 and 7 more": alternative names, else the common name, else "no name". */
void	x509_put_hosts(struct buf *b, const struct x509 *c);

#endif
