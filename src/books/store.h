/*
 * The store: docker-machine's directory of machines (spec machines 4.2, 4.3)
 * with our own record beside each config.json (docs/state.md). Reading and
 * writing only; no network, no cloud. The manager uses this too.
 */
#ifndef BOOKS_STORE_H
#define BOOKS_STORE_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/str.h"

#define MACHINE_NAME_MAX	63
/* A machine's directory: docker-machine's own description, our record, and the lock of who changes one of them. */
#define STOREFILE_CONFIG	"config.json"
#define STOREFILE_RECORD	"windlass.json"
#define STOREFILE_LOCK		"lock"
/*
 * In the store: the path of the state directory of the manager that started last on it, so that
 * `machine rm` finds the jobs that run on its machines wherever they are kept.
 */
#define STORE_STATE_NOTE	"windlass-state"
#define STORE_MACHINES		"machines"
#define STORE_CERTS		"certs"
/* In certs/: held by whoever writes its files (machine/certs.h). */
#define CERTS_LOCK	".lock"
/* A create call without an answer is settled when it is this old and the cloud was asked once more what it made. */
#define MACHINE_SETTLE_NS	(30 * NSEC_SEC)
/* An idle machine's engine is tried out this often (round.h); a job whose machine rested for longer does it first. */
#define MACHINE_PROBE_NS	(300 * NSEC_SEC)

enum machine_phase {
	PHASE_NONE,		/* no windlass.json: made by the original, or broken */
	PHASE_PLANNED, PHASE_REQUESTED, PHASE_CREATED, PHASE_BOOTED, PHASE_PROVISIONED,
	PHASE_READY, PHASE_DELETING,
};

const char		*phase_name(enum machine_phase p);
enum machine_phase	 phase_parse(struct str s);	/* PHASE_NONE if unknown */

/* A thing of a machine in its cloud: kind ("machine", "key", "disk") and id, text of any length. */
struct record_id { const char *kind, *id; };

/* windlass.json. Strings live in the arena given to machine_record_read(). Unknown keys are kept in `rest` and written back. */
struct machine_record {
	const char		*name;
	const char		*owner, *nonce, *driver;
	const char		*runner;	/* runner_key, "" for machines made by hand */
	enum machine_phase	 phase;
	wall_t			 created, phase_since, last_used;
	struct record_id	*ids;		/* what the cloud calls its things, by kind; see record_id() */
	size_t			 nids;
	const char		*rung;		/* of the driver's ladder: the one that is tried, or was taken; "" the options as they are */
	const char		*step;		/* of a create of several calls: the last one that may have been made; "" none */
	const char		*host_key;
	const char		*options_hash;
	const char		*account;	/* whose machine it is: account_book's key; "" made by hand, or before records had it */
	int64_t			 uses;
	int64_t			 attempts;
	int64_t			 unanswered;	/* create calls that may each have made a machine which nobody has seen yet */
	wall_t			 asked;		/* when the last of those was sent */
	int64_t			 removal_failures;	/* removals that failed: from MaxRemovalAttempts on it is put aside */
	int64_t			 system_failures; /* of its jobs, in a row: manager/jobs.c */
	const char		*last_error;
	const char		*remove_reason;
	struct str		 rest;		/* JSON members that this version does not know: an object's text */
	struct str		 rest_ids;	/* the same of the ids object: what is no text */
};

/* What config.toml asks of a machine, for noticing that it asks for something else now: 16 hex digits. */
void	 machine_options_hash(const char *driver, const char *const *options, size_t n, char out[17]);

/* The store's path by MACHINE_STORAGE_PATH or the home directory; malloc'd. NULL when neither is set. */
char	*store_default_path(void);
/* Names of machine directories, sorted: either of the two files makes one a machine. As fs_list(). */
ssize_t	 store_list(const char *store, char ***names, struct err *e);
/* A name docker-machine would take: ^[a-zA-Z0-9][a-zA-Z0-9.-]*$, at most MACHINE_NAME_MAX. */
bool	 store_name_ok(struct str name);
/* An open descriptor of the machine's directory; ERR_NOTFOUND if there is none. */
int	 store_open(const char *store, const char *name, struct err *e);
/*
 * Takes the machine's lock: descriptor to close when done. ERR_CONFLICT when somebody holds it and wait is false;
 * ERR_NOTFOUND when the machine was removed meanwhile.
 */
int	 store_lock(int machine_dir, bool wait, struct err *e);

/*
 * ERR_NOTFOUND if there is no windlass.json; ERR_PARSE: damaged. ERR_CONFLICT: of a newer version, by its format or its phase;
 * what it says of itself is in *r all the same, so that nobody takes its machine for a stray.
 */
int	 machine_record_read(int machine_dir, struct arena *a, struct machine_record *r, struct err *e);
/* The id of a kind, "" unknown; and setting it, as a copy in the arena ("" takes it out). */
const char *record_id(const struct machine_record *r, const char *kind);
void	 record_set_id(struct machine_record *r, struct arena *a, const char *kind, const char *id);
int	 machine_record_write(int machine_dir, const struct machine_record *r, struct err *e);
/* The same on bytes: text must outlive *r. */
int	 machine_record_parse(struct arena *a, struct str text, struct machine_record *r, struct err *e);
void	 machine_record_print(const struct machine_record *r, struct buf *b);

/* What others need of config.json. "" / 0 where missing. */
struct machine_config {
	const char	*name, *driver;
	const char	*ip, *ssh_user, *ssh_key_path;
	int		 ssh_port;
	const char	*auth_store_path;	/* HostOptions.AuthOptions.StorePath: where ca/cert/key.pem are */
};
int	 machine_config_read(int machine_dir, struct arena *a, struct machine_config *c, struct err *e);

/*
 * A machine's directory that nobody sees yet, under its passing name; dir and lock are open descriptors
 * and the caller's from then on (-1 both when it failed).
 */
struct store_new {
	char	 tmp[MACHINE_NAME_MAX + 32];
	int	 dir, lock;
};
/* The caller fills the directory and calls store_reveal(). ERR_CONFLICT when the name is taken. */
int	 store_make(const char *store, const char *name, struct store_new *n, struct err *e);
/* Gives it its real name: from here on the machine exists. ERR_CONFLICT when somebody else was faster. */
int	 store_reveal(const char *store, const char *tmp, const char *name, struct err *e);
/* Whether a machine of the store has certificates: as long as one has, certs/ must not be replaced. */
int	 store_has_certified(const char *store, struct err *e);

/*
 * Renames the directory out of the way and deletes it. Only after the cloud holds nothing of it any more.
 */
int	 store_forget(const char *store, const char *name, struct err *e);
/* Deletes what earlier deaths left behind: unfinished and half-removed directories (names with a leading dot). */
int	 store_sweep(const char *store, struct err *e);	/* what a living process is about to use is left alone */

#endif
