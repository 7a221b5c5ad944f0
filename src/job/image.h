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

enum image_line { IMAGE_PLAIN, IMAGE_WARNING };
/* A line for the job's log. */
typedef void image_say(void *ctx, enum image_line kind, const char *text);

struct image {
	char	*reference;	/* what containers are made from: a digest, else the id */
	char	*id;
	char	*user;		/* the image's own user, "" if none */
};

/*
 * Makes `name` present by the effective pull policy. what: "container for ..." wording is ours; job_policies may be absent. 0 or
 * -1 with its class in *why.
 */
int	image_ensure(struct engine *g, const struct work *w, struct str name, struct json_val job_policies, struct str platform,
	    image_say *say, void *ctx, struct image *img, enum failure *why, mono_t deadline, struct err *e);

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
 * X-Registry-Auth for an image from docker config.json texts (highest priority first) and the job's credentials; appended to
 * b, nothing when none fits. source (may be NULL) gets a static or arena text that names where it came from. (spec 2.6)
 */
void	image_auth(struct arena *a, struct str image, const struct str *configs, const char *const *names, size_t n,
	    struct json_val job_credentials, struct buf *b, const char **source);

/*
 * Which credential helpers may be run for this job, and for which servers: those that the runner's own configuration names (its `environment`,
 * the file of the user windlass runs as), and of those in the job's DOCKER_AUTH_CONFIG the ones that the runner allows jobs to name. refused (may be NULL) gets a line
 * for the job's log for each other one. Strings in the work's arena.
 */
void	image_helpers(const struct work *w, struct broker_pairs *pairs, struct buf *refused);
/* ~/.docker/config.json of the user windlass runs as, from the arena; NULL without a home. */
char	*image_auth_file(struct arena *a);

#endif
