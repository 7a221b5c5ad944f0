/*
 * The certificates of a store (spec machines 5): one authority and one client
 * pair in certs/, made once, and a server pair for each machine. Made with
 * mbedTLS, in docker-machine's form, so that machines of both programs can live in one store.
 *
 * certs/ is never replaced while a machine depends on it. Everything here is
 * done under certs/.lock, whole files at a time, so eight first runs at once leave one working set.
 *
 * The authority has an end, and nothing that it signs has a later one. Before it ends it is renewed, by whoever needs certs/ or
 * looks at the machines' health, with its own key: the new ca.pem bears the old name (byte by byte) and the old key, and ends
 * later. Who trusts either of the two trusts what was signed under the other, so there is no moment at which anything
 * must be exchanged, and jobs go on:
 *	- an engine that has the old ca.pem takes new client certificates, until the old one ends;
 *	- a machine's directory is left as it was when the machine was provisioned, and goes on with its own copies until the first of
 *	  them ends (certs_machine_ends()). Before that `run` replaces a machine of a pool when no job is on it, and
 *	  `machine ls` names those made by hand, for `regenerate-certs`;
 *	- the docker client and docker-machine see the files and forms that they know.
 * The client's pair keeps its key too, so that whoever reads certificate and key one after the other never gets halves of two.
 * An authority that is named elsewhere than in the store is only looked at.
 */
#ifndef MACHINE_CERTS_H
#define MACHINE_CERTS_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

struct field_list;

#define CERTS_DAY	86400
#define CERTS_SOON_S	(90 * CERTS_DAY)	/* of an end that is nearer people are told */
#define CERTS_RENEW_S	(60 * CERTS_DAY)	/* an authority whose end is nearer is renewed */
#define CERTS_LEAVE_S	(30 * CERTS_DAY)	/* a machine whose end is nearer takes no job any more, if a new one would live longer */

struct certs_paths { const char *ca, *ca_key, *cert, *key; };

/* <store>/certs/{ca,ca-key,cert,key}.pem; the strings live in the arena. */
struct certs_paths certs_default(struct arena *a, const char *store);

/*
 * Makes sure of the four files, making what is missing. A client certificate past two thirds of its life is made
 * anew under the same authority, and an authority near or past its end is renewed. Damage (mismatched pairs, an authority without its key) is moved to
 * certs/broken-<time>/ and replaced if no machine has a certificate yet, else refused (ERR_CONFIG) with what to do.
 * Files named elsewhere than in the store are only checked. 0 or -1.
 */
int	certs_ensure(const char *store, const struct certs_paths *p, struct err *e);
/* Whether the four files are there and belong together, without changing anything. */
int	certs_check(const struct certs_paths *p, struct err *e);

/* The same where there is an authority already, and only if it is near its end: a look at one file else. 0 or -1. */
int	certs_renew(const char *store, struct err *e);
/* When the store's authority ends, Unix seconds; 0: there is none that can be read. */
int64_t	certs_ca_ends(const char *store);
/*
 * When a machine's certificates end: the first of server.pem, ca.pem and cert.pem in its directory, as they were when it was
 * provisioned. 0: it has none that can be read.
 */
int64_t	certs_machine_ends(int machine_dir);
/*
 * Appends a sentence, without a full stop, when the store's authority ends soon or has ended: the file, the day, and what happens.
 * Whether it did.
 */
bool	certs_say(const char *store, struct buf *b);

/* What there is to know of the authority and the client certificate; 0 and "" where they cannot be read. */
struct certs_facts {
	char	ca_key[16];		/* "RSA 2048", "EC 256" */
	int64_t	ca_ends, client_ends;	/* Unix seconds */
};
void	certs_describe(const struct certs_paths *p, struct certs_facts *f);

enum certs_key { CERTS_EC_P256, CERTS_RSA_2048 };

struct certs_server {
	const char		*name;		/* the machine's: into O= and as a DNS name */
	const char		*ip;		/* the driver's address: an IP entry, or DNS if it is a name; "" none */
	const struct field_list	*sans;		/* --tls-san; may be NULL */
	enum certs_key		 key;
};

/* Makes a server pair as PEM, signed by the authority of these paths. */
int	certs_server_make(const struct certs_paths *p, const struct certs_server *s, struct buf *cert,
	    struct buf *key, struct err *e);

/* Whether it has this DNS name among its alternative names. */
bool	certs_has_name(struct str cert, const char *dns_name);

#endif
