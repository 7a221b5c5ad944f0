/*
 * What the processes of a job may know of config.toml: runner.json of its
 * directory. The manager makes it of the runner's entry, the poller adds what
 * it learns with the job, executor and reporter read it; all of them by the
 * rows that the table of keys calls JOB (config/keylist.h), so a key is one
 * row and one struct member from config.toml to the container.
 *
 * The names in runner.json are the members'; a time ends in _s and is seconds.
 * A member is added, never used for something else: a job that an older or a
 * newer windlass began goes on, and what this one does not know is kept.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "config/keylist.h"
#include "core/arena.h"
#include "core/mono.h"
#include "core/secret.h"
#include "wire/fields.h"

struct config;
struct runner;

/* What a key's type is as a member. */
#define KEY_C_STRING	const char *
#define KEY_C_SECRET	struct secret
#define KEY_C_INT	int64_t
#define KEY_C_FLOAT	double
#define KEY_C_BOOL	bool
#define KEY_C_DURATION	dur_t
#define KEY_C_STRINGS	struct field_list
#define KEY_C_TABLE	struct field_map	/* of texts */
#define KEY_C_BOOLS	struct field_map	/* of "true" and "false" */
#define KEY_C_TABLES	struct str		/* as a JSON array */

#define KEY_MEMBER(S, id, text, type, ...)	KEY_C_##type id;
#define KEY_SKIP(...)

/* [runners.docker]. Texts are never NULL, and the rest is 0 where the file says nothing. */
struct docker_settings {
	DOCKER_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	struct str	 rest;		/* keys without a member here, as a JSON object; the null view: none */
};

/* Of the payload, for people and metrics; no secret: the manager reads nothing that came from the network. */
struct job_about {
	const char	*name, *stage, *project, *url;
	const char	*project_running;	/* a number's text */
	int64_t		 queue_size, queue_depth;	/* -1: not said */
};

struct job_settings {
	GLOBAL_KEYS(KEY_SKIP, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	RUNNER_KEYS(KEY_SKIP, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	BUILD_DIR_KEYS(KEY_SKIP, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	struct docker_settings docker;
	/* the manager's */
	const char	*short_token, *system_id, *url, *store, *runner_key, *instance;
	struct secret	 token;		/* the runner's: volume names are made from it, and logs must mask it */
	/* the poller's, with the job */
	wall_t		 received;
	double		 queued_s;	/* how long GitLab kept it, by its own word; -1: not said */
	const char	*correlation_id;	/* the request's; git's requests for this job carry it too */
	const char	*tls_ca, *tls_cert, *tls_key;	/* texts of the PEM files */
	struct job_about about;
	struct str	 rest;		/* members that nobody here knows, as a JSON object */
};

/* A poller's plan (docs/processes.md). */
struct poller_plan {
	struct job_settings runner;
	const char	*tls_ca_file, *tls_cert_file, *tls_key_file;	/* "": none */
};

/* The defaults of config.toml, and nothing known of any job. */
void	settings_init(struct job_settings *s);
/* What a runner's jobs are told of its entry. Points into both; system_id and store are left to the manager. */
void	settings_of(const struct config *c, const struct runner *r, struct job_settings *s);
/* Over what settings_init() says; texts go into the arena. */
void	settings_read(struct arena *a, struct json_val v, struct job_settings *s);
/* The members of an object that the caller has opened. */
void	settings_write(struct json_w *w, const struct job_settings *s);
/*
 * The part that a job's ticket.json has too: enough to tell GitLab of its end. `token` is no member of it,
 * the ticket's is the job's.
 */
void	settings_read_ticket(struct arena *a, struct json_val v, struct job_settings *s);
void	settings_write_ticket(struct json_w *w, const struct job_settings *s);
/* A plan as a JSON object. */
void	plan_read(struct arena *a, struct json_val v, struct poller_plan *p);
void	plan_write(struct json_w *w, const struct poller_plan *p);

#endif
