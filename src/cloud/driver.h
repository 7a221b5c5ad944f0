/*
 * Clouds, each behind the same table of functions.
 *
 * A driver knows one cloud's API. It creates, finds and deletes a machine,
 * and its state is the `Driver` object of the machine's config.json (spec
 * cloud-drivers 0.2): exactly docker-machine's keys, unknown ones kept. It
 * writes no file: the operator (machine/operator.c) writes each state down
 * before the act it announces, and decides what happens next.
 *
 * Every call takes a deadline. Errors are typed: ERR_AUTH (credentials),
 * ERR_QUOTA (a limit of the account, or its rate limit for longer than the
 * deadline), ERR_REFUSED (this request will never be accepted), ERR_NOTFOUND,
 * ERR_CONFIG (an option is wrong); ERR_NET, ERR_SERVER, ERR_TIMEOUT pass.
 * No error or log line holds a credential.
 */
#ifndef CLOUD_DRIVER_H
#define CLOUD_DRIVER_H

#include "core/err.h"
#include "core/mono.h"
#include "core/opt.h"
#include "core/secret.h"
#include "wire/fields.h"

/* An option of `create`: --name VALUE, or its variable, or the default. */
struct cloud_flag {
	const char	*name;
	const char	*env;		/* or NULL */
	enum opt_type	 type;
	const char	*dflt;		/* as text; NULL: none */
	const char	*help;
};

/* What all drivers keep (docker-machine's BaseDriver). */
struct cloud_base {
	const char	*ip;
	const char	*name;
	const char	*ssh_user;
	int64_t		 ssh_port;
	const char	*ssh_key_path;
	const char	*store;
	bool		 swarm_master;
	const char	*swarm_host;
	const char	*swarm_discovery;
};

extern const struct field cloud_base_fields[];
extern const size_t cloud_base_nfields;

struct cloud_driver;

/* One machine as its driver sees it. Strings live in the arena. */
struct cloud {
	const struct cloud_driver *driver;
	const char	*driver_name;	/* also of a driver that we do not have (driver == NULL) */
	struct arena	*a;
	struct cloud_base base;
	void		*own;		/* the driver's own members, by its table */
	struct str	 unknown;	/* members of Driver that no table names */
	void		*session;	/* connection to the API; made at the first call */
};

/* A machine's things by kind, as the cloud names them: text of any length, "" while unknown. */
struct cloud_ids {
	const char	*machine, *key;
};

/*
 * How our things are found again: labels of the create call itself. Hex
 * digits, nothing else. Without an owner (a machine made by hand) there is only the nonce.
 */
struct cloud_labels {
	const char	*owner;
	const char	*nonce;
};

/* Something of ours in the cloud, as a list shows it. */
struct cloud_thing {
	bool		 key;		/* an SSH key of the account; else a machine */
	const char	*id, *name;
	const char	*nonce;		/* "" if it carries none; of a stranger the other owner's mark */
	wall_t		 created;	/* WALL_UNKNOWN: the cloud does not say */
};

struct cloud_things {
	struct cloud_thing	*v;	/* in the driver's arena */
	size_t			 n;
};

enum cloud_made {
	CLOUD_MADE,		/* the id is in the state */
	CLOUD_NOT_MADE,		/* certainly not: *e says why */
	CLOUD_UNSURE,		/* the answer was lost: look by nonce before asking again */
};

/* Host states with docker-machine's numbers and words (spec machines 4.5). */
enum cloud_state {
	STATE_NONE, STATE_RUNNING, STATE_PAUSED, STATE_SAVED, STATE_STOPPED, STATE_STOPPING,
	STATE_STARTING, STATE_ERROR, STATE_TIMEOUT,
};

/* What a probe found out about an option ("" if about none): for `check --online`. */
enum cloud_found { CLOUD_FOUND_GOOD, CLOUD_FOUND_DOUBTFUL, CLOUD_FOUND_BAD };
typedef void cloud_finding(void *ctx, enum cloud_found how, const char *option, const char *text);

enum cloud_power { POWER_START, POWER_STOP, POWER_RESTART, POWER_KILL };

/* Bits of struct cloud_driver.traits. */
enum {
	CLOUD_NO_SSH = 1,	/* nothing to provision: the machine is only an address (none) */
	CLOUD_NO_VM = 2,	/* nothing is made in a cloud (none, generic): no nonce, no labels */
	CLOUD_UPLOADS_KEY = 4,	/* the SSH key is a thing of its own in the account */
};

/* Functions return 0 or -1 with *e unless said otherwise; NULL where traits say there is nothing to do. */
struct cloud_driver {
	const char			*name;
	unsigned			 traits;
	const struct cloud_flag		*flags;
	size_t				 nflags;
	const struct field		*fields;	/* of `own` */
	size_t				 nfields;
	size_t				 own_size;

	/* Takes the options. No network. */
	int	(*configure)(struct cloud *c, struct opt *opts, size_t nopts, struct err *e);
	/* Things on this host that create needs: files that options name. No network. */
	int	(*check)(struct cloud *c, struct err *e);
	/* The original's pre-create check against the cloud. */
	int	(*precreate)(struct cloud *c, mono_t deadline, struct err *e);
	/*
	 * Whether what create names exists and could be had: credentials, quota, region, size, image. Only
	 * reads. 0 when all could be asked, whatever was found. NULL: precreate is all there is.
	 */
	int	(*probe)(struct cloud *c, cloud_finding *say, void *ctx, mono_t deadline, struct err *e);
	/*
	 * The account's own key pair to use instead of one made for this machine: path
	 * of the private key to copy ("" if the client's default is meant), NULL: make one.
	 */
	const char *(*foreign_key)(const struct cloud *c);
	/* Makes sure that the account holds this public key, marked with the owner; safe to repeat. */
	int	(*key)(struct cloud *c, const struct cloud_labels *l, const char *pub_line, mono_t deadline, struct err *e);
	/* One try to create the machine. */
	enum cloud_made (*create)(struct cloud *c, const struct cloud_labels *l, mono_t deadline,
		    struct err *e);
	/*
	 * Looks by nonce for what earlier create calls made, besides the machine whose id is in the state. Without an id
	 * the oldest is taken into the state; the others are deleted. Returns how many there were, or -1.
	 */
	int	(*find)(struct cloud *c, const struct cloud_labels *l, mono_t deadline, struct err *e);
	/* Waits until the address is known. */
	int	(*address)(struct cloud *c, mono_t deadline, struct err *e);
	/* While its SSH does not answer: 1 it will never come (*e says why), 0 it may, -1 could not ask. */
	int	(*lost)(struct cloud *c, mono_t deadline, struct err *e);
	int	(*state)(struct cloud *c, enum cloud_state *s, mono_t deadline, struct err *e);
	int	(*power)(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e);
	/*
	 * Deletes until the cloud says that nothing of this machine is left; what is not there is success.
	 * pub_line ("" if lost) finds a key whose id was never learned; l->nonce ("" if made by the original)
	 * finds machines whose id was never learned. thorough: look by nonce even if an id is known.
	 */
	int	(*destroy)(struct cloud *c, const struct cloud_labels *l, const char *pub_line, bool thorough,
		    mono_t deadline, struct err *e);
	/*
	 * All that carries the owner's label, in the driver's arena; discard deletes one of them until the cloud says that it
	 * is gone. A list is whole or an error. NULL: the cloud holds nothing (or cannot be asked).
	 */
	int	(*list)(struct cloud *c, const char *owner, struct cloud_thing **things, size_t *n, mono_t deadline,
		    struct err *e);
	/* Machines whose name begins with this and that carry another owner's label. NULL: as with list. */
	int	(*strangers)(struct cloud *c, const char *owner, const char *prefix, struct cloud_things *found, mono_t deadline,
		    struct err *e);
	int	(*discard)(struct cloud *c, const struct cloud_thing *t, mono_t deadline, struct err *e);
	/* Port of the engine; 0: 2376. url: the whole URL, when it is not tcp://IP:port (none). */
	int	(*engine_port)(const struct cloud *c);
	const char *(*url)(const struct cloud *c);
	/* Whether it boots with instructions of the user's own, which provisioning has to wait for; NULL: never. */
	bool	(*user_data)(const struct cloud *c);
	/* Ids for windlass.json, in the driver's arena; adopt fills those that the state lacks. */
	struct cloud_ids (*ids)(const struct cloud *c);
	void	(*adopt)(struct cloud *c, const struct cloud_ids *ids);
	void	(*close)(struct cloud *c);
};

extern const struct cloud_driver cloud_digitalocean, cloud_generic, cloud_none;

/* All drivers, NULL behind the last; and one by name, NULL if we do not have it. */
extern const struct cloud_driver *const cloud_drivers[];
const struct cloud_driver *cloud_driver_find(struct str name);
/* Their names for a message: "digitalocean, generic, none". */
#define CLOUD_NAMES_MAX	200
const char *cloud_driver_names(char out[CLOUD_NAMES_MAX]);

/* A fresh state with docker-machine's defaults (root, port 22). Nothing is asked of the cloud. */
void	cloud_init(struct cloud *c, struct arena *a, const struct cloud_driver *d, const char *store,
	    const char *name);
/* The state from config.json's Driver; a driver we do not have is kept as it is. */
void	cloud_load(struct cloud *c, struct arena *a, const char *driver_name, struct json_val obj);
/* Writes the Driver object's members; the caller has opened it. */
void	cloud_save(const struct cloud *c, struct json_w *w);
/* Closes the session and wipes what it held. The state stays. */
void	cloud_close(struct cloud *c);
/* ERR_CONFIG when we have no such driver. */
int	cloud_need_driver(const struct cloud *c, struct err *e);
/* Port of the machine's engine, as its driver says; 2376 when that says nothing. */
int	cloud_engine_port(const struct cloud *c);
/* Where the engine listens: an address or a name, in the driver's arena, and a port. ERR_CONFIG while there is no address. */
int	cloud_engine(const struct cloud *c, const char **host, int *port, struct err *e);
/* "tcp://IP:2376"; "" while there is no address. */
const char *cloud_url(const struct cloud *c);

/* Rows for opt_parse() from a driver's flags; room for nflags. */
void	cloud_opts(const struct cloud_driver *d, struct opt *out);
/* The option's value, or the flag's default; "" or 0 or false when it has neither. */
const char *cloud_opt_str(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name);
int64_t	cloud_opt_int(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name);
bool	cloud_opt_bool(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name);

/*
 * A credential that config.json may hold itself, as docker-machine does, or
 * name: env:NAME or file:PATH. Copied into the arena. ERR_CONFIG when it cannot be had.
 */
int	cloud_secret(struct arena *a, struct secret stored, const char *what, struct secret *out,
	    struct err *e);

const char	*cloud_state_name(enum cloud_state s);	/* "Running"; "" for none */
const char	*cloud_power_name(enum cloud_power p);	/* "start" */

/*
 * Where progress for people goes ("Creating SSH key..."); NULL: nowhere. The
 * text is without line end. One for the process, since it has one terminal.
 */
extern void (*cloud_say)(const char *text);
/* Where it is told that the account is throttled: no calls before `until`. NULL: nobody wants to know. */
extern void (*cloud_throttled)(wall_t until);
void	cloud_tell(const char *fmt, ...) PRINTFLIKE(1, 2);

#endif
