/*
 * The coordinator API of GitLab as a runner uses it (spec gitlab-runner 1):
 * one attempt a call. When to try again is the caller's affair; what the
 * server said about it is in struct gitlab_answer. Tokens go to the configured
 * host only and into no message.
 */
#ifndef GITLAB_API_H
#define GITLAB_API_H

#include "core/arena.h"
#include "core/secret.h"
#include "net/dial.h"
#include "net/http.h"
#include "policy/callstat.h"
#include "policy/retry.h"
#include "wire/json.h"

/* The version of gitlab-runner that we answer to be (API, helper image tags, logs); the server compares it with its own. */
#define GITLAB_COMPAT_VERSION	"19.4.0"

struct gitlab;

/* The features that are announced: those that are built, or also those that jobs are run without. */
enum gitlab_offer { GITLAB_OFFER_BUILT, GITLAB_OFFER_ALL };

/*
 * What a failure status means, as the kind of gitlab_answer.error (policy/refusal.h):
 *
 *	ERR_TOKEN	403 in GitLab's own words: the token is dead. Nothing else is a token's death
 *	ERR_REFUSED	403 of GitLab for another reason; 400, 409, 410, 422: the request itself
 *	ERR_AUTH	401 of GitLab: a personal access token is not good
 *	ERR_NOTFOUND	404 in GitLab's own words
 *	ERR_QUOTA	429
 *	ERR_SERVER	5xx; and 401, 403, 404, 407 of whoever: an outage, later is another answer
 */
struct gitlab_opts {
	const char	*url;			/* "https://gitlab.example[/path]" without trailing slash */
	const char	*ca_file, *cert_file, *key_file;	/* "" or NULL: none */
	struct str	 ca_pem, cert_pem, key_pem;	/* instead of the files, when p != NULL */
	dur_t		 max_age_ns;		/* connection_max_age; 0: no limit */
	enum gitlab_offer offer;
	bool		 keep_chain;		/* for gitlab_chain() */
};

/* What the server said. */
struct gitlab_answer {
	int			 status;	/* HTTP status; 0: no answer */
	struct buf		 body;		/* set .max before; default 64 KiB */
	struct retry_hint	 hint;
	char			 last_update[128];	/* X-GitLab-Last-Update, "" if absent */
	char			 job_status[32];	/* Job-Status, "" if absent */
	int64_t			 trace_interval;	/* X-GitLab-Trace-Update-Interval in s, 0 if absent */
	wall_t			 date;		/* the server's clock, if it says */
	int64_t			 range_end;	/* of `Range: 0-N`, -1 if absent or malformed */
	char			 request_id[64];	/* X-Request-Id: of the answer, else ours */
	struct err		 error;		/* why there is no answer; or the error text of a failure status */
	/* Told of each piece of a 201's body as it arrives, before anything else is done with it; NULL: nobody. Set before. */
	void			(*arriving)(void *ctx, struct str piece);
	void			*arriving_ctx;
	bool			 own;		/* of 4xx: said by GitLab's API itself, not by something in between */
};

/* NULL on error: a file that cannot be read, a certificate that is none. */
struct gitlab	*gitlab_open(const struct gitlab_opts *o, struct err *e);
void		 gitlab_close(struct gitlab *g);
/* Closes the idle connection and gives its memory back; the next call opens a new one. */
void		 gitlab_rest(struct gitlab *g);
void		 gitlab_answer_free(struct gitlab_answer *a);

/* A call below api/v4/, for runners.c and the ones here. */
struct gitlab_call {
	const char	*method, *path;
	const char	*head;		/* lines with CRLF; holds a token */
	struct str	 body;
	bool		 plain;		/* an answer in plain text is one too */
};
/* One attempt; the answer is read to its end whatever its status, and nobody who wants us to stop is heard from its head on. 0 or -1. */
int	gitlab_exchange(struct gitlab *g, const struct gitlab_call *c, struct gitlab_answer *a, mono_t deadline, struct err *e);

/* Shared by all bodies that carry `info` (spec 1.5). */
void	gitlab_put_info(struct json_w *w, const char *shell, struct str gpus, enum gitlab_offer offer);

/* The runner that asks, and what it says of this host. */
struct gitlab_self {
	struct secret	 token;
	const char	*system_id;	/* "": not said */
	const char	*shell;
	struct str	 gpus;
};

/*
 * POST jobs/request; last_update is the mark of the answer before, or "". 0 when an answer came
 * (a->status, 201's body in a->body), -1 with a->error and *e. While it waits for the first byte of
 * the answer it can be cancelled (net_control); once the answer has begun it is read to its end.
 */
int	gitlab_request_job(struct gitlab *g, const struct gitlab_self *self,
	    const char *last_update, struct gitlab_answer *a, mono_t deadline, struct err *e);

struct gitlab_job { int64_t id; struct secret token; };

struct gitlab_piece {
	struct str	 bytes;		/* at least one */
	int64_t		 start;		/* their offset in the trace */
	bool		 debug_trace;
};
/* PATCH jobs/:id/trace. */
int	gitlab_patch_trace(struct gitlab *g, struct gitlab_job job,
	    const struct gitlab_piece *piece, struct gitlab_answer *a, mono_t deadline,
	    struct err *e);

struct gitlab_update {
	const char	*state;			/* running, success, failed */
	const char	*failure_reason;	/* NULL: left out */
	int64_t		 exit_code;		/* 0: left out */
	uint32_t	 crc;			/* of all trace bytes so far */
	int64_t		 bytes;
	const char	*shell;
	struct str	 gpus;
};
/* PUT jobs/:id. */
int	gitlab_update_job(struct gitlab *g, struct gitlab_job job, const struct gitlab_update *u,
	    struct gitlab_answer *a, mono_t deadline, struct err *e);

/* The member "calls": what was counted of updates and traces, for the manager's metrics (docs/state.md, reported). */
void	gitlab_put_calls(const struct gitlab *g, struct json_w *w);

/* The server's chain, for CI_SERVER_TLS_CA_FILE; "" for plain http and without keep_chain. */
struct str	gitlab_chain(struct gitlab *g);

#endif
