/*
 * Number and token of a job from an answer that broke off: both stand at its
 * beginning, and are enough to tell GitLab that nobody runs it. For a body that is
 * whole the JSON parser is the one to ask; this reads what it cannot.
 */
#ifndef WIRE_JOBHEAD_H
#define WIRE_JOBHEAD_H

#include "core/str.h"

/* Tokens may be JSON Web Tokens of a kilobyte. */
#define JOBHEAD_TOKEN_MAX	8191

struct jobhead {
	int64_t		 id;
	struct str	 token;		/* a view into the body */
};

/*
 * {"id": N, "token": "WORD" at the beginning of `body`, in this order, whatever comes behind. False when it does not begin so, is
 * torn before the token's end, or holds a token that could not be sent (blanks, control characters, escapes, bytes above 126).
 */
bool	jobhead_read(struct str body, struct jobhead *out);

#endif
