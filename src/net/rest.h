/*
 * Calls to a cloud's HTTP API: one client for the life of an operation.
 *
 * An API has one or more origins (google: compute, storage and tokens live on three), each with a
 * kept connection. A call is repeated as its kind allows: passing faults with back-off, a 429 after
 * what the server asks for, a 401 once with fresh credentials. What servers say of their budget is
 * kept and slows polls down before it is used up. Lists are read page by page in one loop, whole or
 * as an error.
 *
 * Nothing here keeps or logs a credential: it goes into the request's head from where the caller has it, as a bearer
 * token or by the auth hook.
 */
#ifndef NET_REST_H
#define NET_REST_H

#include "core/secret.h"
#include "net/http.h"
#include "wire/json.h"

struct rest;

/* How a call may be repeated, and how patient its 429 is. */
enum rest_kind {
	REST_STATUS,	/* status read: repeated, short pauses, silent */
	REST_SAFE,	/* repeated: it does no harm twice */
	REST_ONCE,	/* not repeated once it may have been received */
};

struct rest_request {
	enum rest_kind	 kind;
	size_t		 origin;	/* index of rest_opts.origins */
	const char	*method, *target;
	struct str	 body;		/* p == NULL: none */
	const char	*type;		/* Content-Type of the body; NULL: application/json */
};

/* An answer; its strings live until the next call of the same client. */
struct rest_answer {
	int		 status;
	struct json_val	 json;		/* absent when the body is not JSON */
	struct str	 text;		/* the body as it came */
	bool		 sent;		/* after -1: the request may have been carried out (REST_ONCE) */
};

/* Names of the header fields that tell an account's budget; NULL: not told. */
struct rest_budget_names { const char *limit, *remaining, *reset; };

struct rest_opts {
	const char		*name;		/* of the cloud: begins every error */
	const char *const	*origins;	/* base URLs; the strings are copied */
	size_t			 norigins;
	const char		*ca_file;	/* certificates to trust besides the system's; "" or NULL: none */
	const char		*ca_option;	/* the option that names it, for errors */
	struct rest_budget_names budget;
	const struct secret	*bearer;	/* goes with each call (rest_put_bearer); outlives the client. NULL: none */
	bool			 not_json;	/* a 200 that is no JSON is an answer, too (XML) */
	/*
	 * Writes the header lines that prove who asks, with their line ends. again: the ones from before were refused
	 * (401); asked so once a call, where renews is set. -1: no credentials, *e says why. NULL: bearer is all.
	 */
	bool	renews;
	int	(*auth)(void *ctx, const struct rest_request *q, bool again, struct buf *head, mono_t deadline, struct err *e);
	void	*ctx;
	/* Progress for people while a 429 is waited for, without line end; NULL: nobody. */
	void	(*say)(void *ctx, const char *text);
	/* The account takes no calls before this; NULL: nobody wants to know. */
	void	(*throttled)(void *ctx, wall_t until);
};

/* The header lines of a call that a token proves, for auth hooks that have one. */
void	rest_put_bearer(struct buf *head, struct secret token);

/* Connects to nothing yet. NULL on failure (ERR_CONFIG). */
struct rest	*rest_new(const struct rest_opts *o, struct err *e);
void		 rest_free(struct rest *r);	/* wipes what it held; NULL allowed */

/*
 * One call until it has an answer that is not a passing fault: its status, or -1. A REST_ONCE is not
 * repeated when it may have been received: then a->sent is true. ERR_QUOTA: the rate limit lasts
 * longer than the deadline. Errors begin with "<name>: <method> <target>".
 */
int	rest_call(struct rest *r, const struct rest_request *q, struct rest_answer *a, mono_t deadline, struct err *e);

/*
 * Reads a list to its end. take() sees each page; next() writes the target of the one behind it and
 * returns whether there is one. A status other than 200 is handed to refused(), whose error counts.
 * 0, or -1 when not all of it could be had: more than 200 pages are an error, too.
 */
struct rest_pages {
	size_t		 origin;
	const char	*target;	/* of the first page */
	/* 0, or -1: the page lacks what it should hold, *e says so. 1: enough was seen, the rest is not asked for. */
	int		(*take)(void *ctx, const struct rest_answer *a, struct err *e);
	bool		(*next)(void *ctx, const struct rest_answer *a, unsigned page, struct buf *target);
	int		(*refused)(void *ctx, const struct rest_request *q, const struct rest_answer *a, struct err *e);
	void		*ctx;
};
int	rest_list(struct rest *r, const struct rest_pages *p, mono_t deadline, struct err *e);

/* The n-th pause (from 0) of a poll: 1 to 5 s, four times that while the account's budget is nearly used up. */
dur_t	rest_poll_pause(const struct rest *r, unsigned n);
/* Waits so long, unless that would end behind the deadline: -1 with ERR_TIMEOUT then, or when told to stop. */
int	rest_wait(dur_t d, mono_t deadline, struct err *e);
/* Calls that the account has left by the server's last word, and of how many: -1 not told. */
void	rest_budget(const struct rest *r, int64_t *remaining, int64_t *limit);

#endif
