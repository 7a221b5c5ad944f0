/*
 * Short-lived tokens, for clouds that give them for a lasting credential: asked for once by all operators of an
 * account, renewed before they end, and once more when one is refused.
 *
 * A token is kept beside what is known of the account (books/account.h), in a file of the credential that it was
 * asked for with, so that two credentials never share one; without such a directory, in this process alone. A
 * process that dies while it asks leaves nothing behind: the next one asks.
 */
#ifndef CLOUD_TOKEN_H
#define CLOUD_TOKEN_H

#include "books/account.h"
#include "cloud/driver.h"

#define CLOUD_TOKEN_LEFT_NS	(300 * NSEC_SEC)	/* one that lives for less is renewed, */
#define CLOUD_TOKEN_LEAST_NS	(10 * NSEC_SEC)		/* or used all the same when no new one is to be had */
#define CLOUD_TOKEN_ASK_NS	(60 * NSEC_SEC)		/* so long one process may ask while the others wait */

struct cloud_token {
	struct secret	 credential;	/* lasting: what tokens are asked for with */
	/* Asks the cloud: text in the arena, and until when it is good. */
	int		(*ask)(struct cloud *c, struct arena *a, struct secret *text, wall_t *good_until, mono_t deadline,
			    struct err *e);

	/* below: its own */
	struct arena	 arena;
	struct account_token now;	/* as last given */
};

/*
 * A token that is good for a while; refused: the last one was not (HTTP's 401), and is not given again. *out lives
 * until the next call. -1: ask()'s error; ERR_TIMEOUT or ERR_CANCELLED while another process asks; ERR_PROTO when
 * what came could not stand in a request.
 */
int	cloud_token_get(struct cloud *c, struct cloud_token *t, bool refused, mono_t deadline, struct secret *out,
	    struct err *e);
/* Forgets it in this process. */
void	cloud_token_end(struct cloud_token *t);

#endif
