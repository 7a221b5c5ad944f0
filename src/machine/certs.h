/*
 * The certificates of a store (spec machines 5): one authority and one client
 * pair in certs/, made once, and a server pair for each machine. Made with
 * mbedTLS, in docker-machine's form, so that machines of both programs can live in one store.
 *
 * certs/ is never replaced while a machine depends on it. Everything here is
 * done under certs/.lock, whole files at a time, so eight first runs at once leave one working set.
 */
#ifndef MACHINE_CERTS_H
#define MACHINE_CERTS_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "machine/config_json.h"

struct certs_paths { const char *ca, *ca_key, *cert, *key; };

/* <store>/certs/{ca,ca-key,cert,key}.pem; the strings live in the arena. */
struct certs_paths certs_default(struct arena *a, const char *store);

/* Removes what writers of these files left when they were killed (a private key may be in it), unless one lives. */
void	certs_sweep(const char *store);

/*
 * Makes sure of the four files, making what is missing. A client certificate past two thirds of its life is made
 * anew under the same authority. Damage (mismatched pairs, an authority without its key, an expired one) is moved to
 * certs/broken-<time>/ and replaced if no machine has a certificate yet, else refused (ERR_CONFIG) with what to do.
 * Files named elsewhere than in the store are only checked. 0 or -1.
 */
int	certs_ensure(const char *store, const struct certs_paths *p, struct err *e);
/* Whether the four files are there and belong together, without changing anything. */
int	certs_check(const struct certs_paths *p, struct err *e);

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

/* Whether a certificate (PEM) was signed by this authority (PEM), is valid now, and names this host. */
bool	certs_server_good(struct str cert, struct str ca, const char *dns_name);
/* Whether it has this DNS name among its alternative names. */
bool	certs_has_name(struct str cert, const char *dns_name);

#endif
