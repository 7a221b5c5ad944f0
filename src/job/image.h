/*
 * Making an image present on the machine's engine: allow lists, pull
 * policies, registry credentials, retries and the class of a failure (spec
 * job-execution 2, gitlab-runner 7.2).
 */
#ifndef JOB_IMAGE_H
#define JOB_IMAGE_H

#include "books/failure.h"
#include "docker/engine.h"
#include "job/broker.h"
#include "job/work.h"
#include "wire/record.h"

enum image_line { IMAGE_PLAIN, IMAGE_WARNING };
/* A line for the job's log. */
typedef void image_say(void *ctx, enum image_line kind, const char *text);

struct image {
	char	*reference;	/* what containers are made from: a digest, else the id */
	char	*id;
	char	*user;		/* the image's own user, "" if none */
};

/* One way to a credential for an image. */
struct image_key {
	struct str	 source;	/* where it was found, for the job's log */
	struct str	 helper;	/* of the host, asked for the server; empty: see header */
	struct str	 server;
	struct str	 header;	/* X-Registry-Auth: a secret */
};

/* A helper, a store and an entry of each of two configurations, and the job's own. */
#define IMAGE_KEYS		8
#define IMAGE_HEADER_MAX	65536

/* They are tried in order. */
struct image_keys {
	struct image_key v[IMAGE_KEYS];
	size_t		 n;
};

/* All that whoever makes an image present must know of the job. */
struct image_order {
	struct str	 name, platform;
	struct record_list policies;	/* effective ones, tried in order */
	struct image_keys keys;
};

/* Who makes it present, and where. */
struct image_hand {
	struct engine	*engine;
	struct arena	*arena;
	struct broker	*broker;
	image_say	*say;
	void		*ctx;
	mono_t		 deadline;
};

/*
 * What the job and the runner say of an image: whether its name is one, by which policies it is
 * pulled, which credentials are for it. job_policies may be absent; the platform is left empty.
 * Strings in the work's arena. -1 (ERR_CONFIG), which is FAILURE_CONFIG.
 */
int	image_order(const struct work *w, struct str name, struct json_val job_policies,
	    struct image_order *o, struct err *e);
/* Makes it present by its policies. 0 or -1 with its class in *why. */
int	image_ensure(const struct image_hand *h, const struct image_order *o, struct image *img,
	    enum failure *why, struct err *e);

/*
 * Whether a name is one at all, by the registries' grammar: asked before the engine hears of it. -1 (ERR_CONFIG) with the name
 * and the rule it breaks: a typing error ends the job at once, and is no reason to try again.
 */
int	image_name_check(struct str name, struct err *e);
/* Whether the job may use the image it names (allowed_images; the runner's own image always). -1 (ERR_CONFIG) with the list. */
int	image_allowed(const struct work *w, struct err *e);

/* The helper image's name for an engine architecture ("x86_64"): helper_image expanded, else upstream's (spec 3.1). */
struct str image_helper_name(const struct work *w, struct str architecture);

/* Splits "host:5000/name:tag" or "name@sha256:..." for the pull call: name without tag, tag or digest ("latest" if none). */
void	image_split(struct str ref, struct str *name, struct str *tag);
/* The class of a failed pull by the registry's words (spec gitlab-runner 7.2). */
enum failure image_pull_failure(const char *message, bool *retry);

/*
 * Docker config.json texts (highest priority first; empty: none), what the log calls them, and the
 * job's `credentials`. (spec 2.6)
 */
struct image_sources {
	const char	*names[2];
	struct str	 configs[2];
	struct json_val	 job;
};
/* The ways to a credential for an image, best first. Strings in the arena. */
void	image_keys(struct arena *a, struct str image, const struct image_sources *from,
	    struct image_keys *keys);
/*
 * X-Registry-Auth by the first of the keys that gives one, appended to header: which it was, NULL
 * when none does.
 */
const struct image_key *image_credential(struct arena *a, struct broker *broker,
	    const struct image_keys *keys, struct buf *header);

/*
 * Which credential helpers may be run for this job, and for which servers: those that the runner's own configuration names (its `environment`,
 * the file of the user windlass runs as), and of those in the job's DOCKER_AUTH_CONFIG the ones that the runner allows jobs to name. refused (may be NULL) gets a line
 * for the job's log for each other one. Strings in the work's arena.
 */
void	image_helpers(const struct work *w, struct broker_pairs *pairs, struct buf *refused);
/* ~/.docker/config.json of the user windlass runs as, from the arena; NULL without a home. */
char	*image_auth_file(struct arena *a);

#endif
