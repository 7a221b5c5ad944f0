/*
 * The seam to the clouds: the table that a cloud's driver fills in, a plugin's as well.
 *
 * A driver knows one cloud's API. It makes, lists, looks at and drops single things, each by one call
 * where the API allows; what must hold in every cloud (find by nonce, keep the oldest, drop in reverse
 * until gone, wait for an address) is in cloud/life.h, once. Its state is the `Driver` object of the
 * machine's config.json: exactly docker-machine's keys, unknown ones kept. It writes no file: the
 * operator (machine/operation.h) writes each state down before the act it announces, and decides what
 * happens next.
 *
 * A new cloud is three places: its rows in catalog/, its folder here, its double in tests/rig/clouds.
 *
 * Every call takes a deadline. Errors are typed: ERR_AUTH (credentials), ERR_CAPACITY (the cloud has
 * none of this at present: another size or zone may do), ERR_QUOTA (a limit of the account, or its rate
 * limit for longer than the deadline), ERR_REFUSED (this request will never be accepted), ERR_NOTFOUND,
 * ERR_CONFLICT (busy: ask again), ERR_CONFIG (an option is wrong); ERR_NET, ERR_SERVER, ERR_TIMEOUT
 * pass. No error or log line holds a credential.
 */
#ifndef CLOUD_DRIVER_H
#define CLOUD_DRIVER_H

#include "catalog/clouds.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/opt.h"
#include "core/secret.h"
#include "wire/fields.h"

struct account_book;
struct rest;

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
/* Who listens to what a cloud does; each may be NULL. */
struct cloud_ears {
	void	(*say)(void *ctx, const char *text);	/* progress for people; no line end */
	void	(*throttled)(void *ctx, wall_t until);	/* the account takes no calls before */
	void	*ctx;
};

struct cloud {
	const struct cloud_driver *driver;
	const char	*driver_name;	/* also of a driver that we do not have (driver == NULL) */
	struct arena	*a;
	struct cloud_base base;
	void		*own;		/* the driver's own members, by its table */
	struct str	 unknown;	/* members of Driver that no table names */
	struct rest	*rest;		/* connection to the API; made at the first call, NULL before */
	void		*session;	/* what else the driver holds for that long */
	struct cloud_ears ears;
	const struct account_book *book;	/* what is known of its account; NULL: nothing, and nothing is noted */
};

/*
 * How our things are found again: labels of the create call itself. Hex
 * digits, nothing else. Without an owner (a machine made by hand) there is only the nonce.
 */
struct cloud_labels {
	const char	*owner;
	const char	*nonce;
};

/* Host states with docker-machine's numbers and words (docs/machine.md). */
enum cloud_state {
	STATE_NONE, STATE_RUNNING, STATE_PAUSED, STATE_SAVED, STATE_STOPPED, STATE_STOPPING,
	STATE_STARTING, STATE_ERROR, STATE_TIMEOUT,
};

/* Why a machine is in its state, where the cloud tells. */
enum cloud_why { WHY_NONE, WHY_PREEMPTED, WHY_CAPACITY, WHY_BROKEN, WHY_STOPPED_BY_HAND };

/* What one look shows of a thing. Strings live in the driver's arena. */
struct cloud_sight {
	bool		 coming;	/* asked by who awaits it: whether it failed to come is worth another call */
	enum cloud_state state;		/* of a machine */
	enum cloud_why	 why;
	const char	*words;		/* the reason as the cloud has it, "" none */
	const char	*address;	/* "" none yet */
};

/* Something of ours in the cloud, as a list shows it. */
struct cloud_thing {
	size_t		 kind;		/* row of the driver's kinds */
	const char	*id, *name;
	const char	*nonce;		/* "" if it carries none; of a stranger the other owner's mark */
	wall_t		 created;	/* WALL_UNKNOWN: the cloud does not say */
	struct cloud_sight sight;	/* of a machine, as far as the list tells */
};

struct cloud_things {
	struct cloud_thing	*v;	/* in the driver's arena */
	size_t			 n, cap;
};

/* What a list is to show. Exactly one of these ways; what is not asked for is NULL or "". */
struct cloud_query {
	const char	*owner;		/* all that carries this owner's mark */
	const char	*nonce;		/* what one create call made */
	const char	*name;		/* what has exactly this name (made by the original) */
	const char	*pub_line;	/* the key with this public half */
	const char	*prefix;	/* machines whose name begins so and that carry another owner's mark than `owner` */
};

/* One step of the ladder of sizes and zones, best first, as the driver makes it from its options. */
struct cloud_rung {
	const char	*name;		/* "c5.large us-east-1a spot": in the intent, logs and the account's memory */
	const char	*size, *zone;	/* "": as the options have it */
	bool		 spot;
};

/* What make() is told. */
struct cloud_order {
	struct cloud_labels	 labels;
	const char		*pub_line;	/* of the machine's SSH key; "" none */
	const struct cloud_rung	*rung;		/* NULL: the options as they are */
	/*
	 * A create of several calls writes each step down before it makes the call; step is the last one written, ""
	 * none, so that whoever goes on after a death knows which call may have been carried out.
	 */
	const char		*step;
	int			(*note)(void *ctx, const char *step, struct err *e);
	void			*ctx;
};

enum cloud_made {
	CLOUD_MADE,		/* the id is in the state */
	CLOUD_NOT_MADE,		/* certainly not: *e says why */
	CLOUD_UNSURE,		/* the answer was lost: look by nonce before asking again */
};

/* Bits of struct cloud_kind.traits. */
enum {
	KIND_MACHINE = 1,	/* the machine itself: one kind of each cloud */
	KIND_KEY = 2,		/* its SSH key's public half; without a nonce, found by the key itself; making it is safe to repeat */
	KIND_BILLED = 4,	/* costs money as long as it exists */
	KIND_SHARED = 8,	/* the account's, used by many machines: never dropped with one */
};

/* One kind of thing that a cloud holds for us. */
struct cloud_kind {
	const char	*name;		/* the key in windlass.json's ids, the word in logs and strays: "machine", "key", "disk" */
	const char	*noun;		/* what the cloud calls it ("droplet"); NULL: the name */
	unsigned	 traits;
	size_t		 id_at;		/* offset in the driver's own struct of the id: const char *, text of any length, "" unknown */
	/* Makes one; something shared or brought along is found instead. A machine's is never called twice without a look by nonce. */
	enum cloud_made (*make)(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e);
	/* 1 it is there, 0 the API does not know it, -1. NULL: cannot be looked at. */
	int	(*sight)(struct cloud *c, const char *id, struct cloud_sight *s, mono_t deadline, struct err *e);
	/* Adds what matches to *out: whole or an error. NULL: this kind cannot be listed. */
	int	(*list)(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e);
	/* One call: 0 accepted, 1 the API does not know it, -1 (ERR_CONFLICT: busy, may be asked again). */
	int	(*drop)(struct cloud *c, const char *id, mono_t deadline, struct err *e);
};

/* What a probe found out about an option ("" if about none): for `check --online`. */
enum cloud_found { CLOUD_FOUND_GOOD, CLOUD_FOUND_DOUBTFUL, CLOUD_FOUND_BAD };
typedef void cloud_finding(void *ctx, enum cloud_found how, const char *option, const char *text);

struct prober {
	struct cloud	*c;
	bool		 brief;		/* no more than the original's pre-create check asks */
	cloud_finding	*say;
	void		*ctx;
	mono_t		 deadline;
};

enum cloud_power { POWER_START, POWER_STOP, POWER_RESTART, POWER_KILL };

/* What holds of one machine of this cloud by its options and state. Zeros say nothing. */
struct cloud_facts {
	int		 engine_port;	/* 0: 2376 */
	const char	*url;		/* of the engine, when it is not tcp://IP:port; NULL */
	const char	*foreign_key;	/* path of a private key to use instead of one made for it; "": the client's default; NULL: make one */
	bool		 user_data;	/* boots with instructions of the user's own, which provisioning has to wait for */
	dur_t		 lag;		/* how long a new thing may be missing from answers; 0: 30 s */
};

/* Bits of struct cloud_driver.traits. */
enum {
	CLOUD_NO_SSH = 1,	/* nothing to provision: the machine is only an address (none) */
	CLOUD_NO_VM = 2,	/* nothing is made in a cloud (none, generic): no nonce, no labels */
};

/* Functions return 0 or -1 with *e unless said otherwise; NULL where there is nothing to do. */
struct cloud_driver {
	const struct catalog_cloud	*about;		/* its name, options and prices; a plugin's is made when it has told them */
	unsigned			 traits;
	const struct cloud_kind *const	*kinds;		/* in the order they are made; dropped in reverse */
	size_t				 nkinds;
	const struct field		*fields;	/* of `own` */
	size_t				 nfields;
	size_t				 own_size;

	/* Takes the options. No network. */
	int	(*configure)(struct cloud *c, struct opt *opts, size_t nopts, struct err *e);
	/* Things on this host that create needs: files that options name. No network. */
	int	(*check)(struct cloud *c, struct err *e);
	void	(*facts)(const struct cloud *c, struct cloud_facts *f);
	/* The i-th rung, false behind the last. NULL: there is one, the options as they are. */
	bool	(*rung)(const struct cloud *c, size_t i, struct cloud_rung *r);
	/* The client of its API (c->rest), credentials read; closed with the operation. */
	int	(*open)(struct cloud *c, struct err *e);
	void	(*close)(struct cloud *c);
	int	(*power)(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e);
	/*
	 * Whether what create names exists and could be had: credentials, quota, region, size, image. Only
	 * reads. 0 when all could be asked, whatever was found.
	 */
	int	(*probe)(const struct prober *p, struct err *e);
	/* State of a machine that no kind makes (generic, none). */
	int	(*state)(struct cloud *c, struct cloud_sight *s, mono_t deadline, struct err *e);
	/* Removes marks that outlive the machine with this nonce. Best effort. */
	void	(*tidy)(struct cloud *c, const char *nonce, mono_t deadline);
};

/* Those whose machines windlass makes itself; each has a file or a folder of its name here. */
#define CLOUD_DRIVERS(X)	X(digitalocean) X(generic) X(none) CATALOG_SAMPLE(X)
#define CLOUD_DECLARE(name)	extern const struct cloud_driver cloud_##name;
CLOUD_DRIVERS(CLOUD_DECLARE)
#undef CLOUD_DECLARE

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
/* What holds of it: all zero without a driver. */
struct cloud_facts cloud_facts(const struct cloud *c);
/* Adds a copy of *t to a list; its strings must live in the driver's arena. */
void	cloud_things_add(struct cloud *c, struct cloud_things *list, const struct cloud_thing *t);
/* One finding of a probe, printf-like; what the cloud said in it is made harmless. */
void	probe_found(const struct prober *p, enum cloud_found how, const char *option, const char *fmt, ...) PRINTFLIKE(4, 5);
/* The original's pre-create check: 0, or -1 with the first thing that is certainly wrong. */
int	cloud_precreate(struct cloud *c, mono_t deadline, struct err *e);
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

/* Rows for opt_parse() from a driver's options; room for about->noptions. */
void	cloud_opts(const struct cloud_driver *d, struct opt *out);
/* The option's value, or its default; "" or 0 or false when it has neither. */
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

/* Progress for people ("Creating SSH key..."), to whoever listens. */
void	cloud_tell(const struct cloud *c, const char *fmt, ...) PRINTFLIKE(2, 3);
/* For a connection (net/rest.h) whose ctx is a cloud: both go to whoever listens. */
void	cloud_rest_say(void *cloud, const char *text);
void	cloud_rest_throttled(void *cloud, wall_t until);

#endif
