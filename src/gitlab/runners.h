/*
 * The coordinator's calls about runners themselves (spec gitlab-runner 1.6 to
 * 1.9): register, verify, unregister, reset the token. For the operator's
 * commands; the protocol of jobs is in api.h.
 *
 * Unlike there, a call here is asked to succeed: 0, or -1 with *e, whose kind
 * tells what the caller decides on and whose sys is the HTTP status (0: there was no answer):
 *
 *	ERR_TOKEN	the token is not (any more) good, in GitLab's own words
 *	ERR_AUTH	the personal access token is not good, likewise
 *	ERR_NOTFOUND	this host is not known under the token, likewise
 *	ERR_REFUSED	400, 410, 422: the request itself; 403 of GitLab for another reason
 *	ERR_QUOTA	429; ERR_SERVER 5xx, or 401, 403, 404, 407 that are not GitLab's word: later
 *	ERR_CONFIG	a redirect: url is wrong
 *	others		no answer came: nothing is known
 *
 * Tokens go to the configured host only and into no message.
 */
#ifndef GITLAB_RUNNERS_H
#define GITLAB_RUNNERS_H

#include "gitlab/api.h"

#define GITLAB_TOKEN_MAX	1024

/*
 * How often a call is tried (spec 1.2): statuses that pass are asked again, as long as the server or the
 * back-off says and not beyond the deadline; no answer at all is not.
 */
struct gitlab_tries {
	unsigned	 most;		/* GITLAB_TRIES, or 1 */
	int		 control;	/* ends every wait when it becomes readable (net_control); -1: none */
};
#define GITLAB_TRIES	5

/* What the server says about a runner. Holds a token: wiped with gitlab_runner_wipe(). */
struct gitlab_runner {
	int64_t	 id;			/* 0: a server so old that it does not say */
	char	 token[GITLAB_TOKEN_MAX];	/* "" if not said */
	wall_t	 expires_at;		/* not known: never */
	wall_t	 date;			/* the server's clock at its answer, also when it refused */
	wall_t	 date_here;		/* ours then */
};
void	gitlab_runner_wipe(struct gitlab_runner *r);

/* A registration the old way, by registration token. Texts may be "" or NULL, and a timeout 0: left out. */
struct gitlab_registration {
	struct secret	 token;
	const char	*description, *maintenance_note, *tag_list, *access_level;
	bool		 run_untagged, locked, paused;
	int64_t		 maximum_timeout;	/* s */
	const char	*shell;
	struct str	 gpus;
};
/* POST runners: makes a runner. */
int	gitlab_register(struct gitlab *g, const struct gitlab_registration *r, const struct gitlab_tries *t,
	    struct gitlab_runner *out, mono_t deadline, struct err *e);
/* POST runners/verify: the token is good, and this host is known under it from here on. */
int	gitlab_verify(struct gitlab *g, const struct gitlab_self *self,
	    const struct gitlab_tries *t, struct gitlab_runner *out, mono_t deadline,
	    struct err *e);
/*
 * Takes back what registering made: with a token that was created in GitLab (names_token_is_created()) only this host's
 * entry under it, since others may use it too, else the runner. ERR_NOTFOUND: there was none.
 */
int	gitlab_unregister(struct gitlab *g, struct secret token, const char *system_id,
	    const struct gitlab_tries *t, mono_t deadline, struct err *e);
/* By what a runner's token is replaced. */
struct gitlab_reset {
	struct secret	 token;		/* the old one, or a personal access token */
	int64_t		 runner;	/* with a personal one: the runner's number; else 0 */
};
/* A new token for the old one, which is dead when the answer comes: save the new one before anything else. */
int	gitlab_reset_token(struct gitlab *g, struct gitlab_reset by, const struct gitlab_tries *t,
	    struct gitlab_runner *out, mono_t deadline, struct err *e);

#endif
