/*
 * A text that nobody may print: a token, a password, a private key.
 *
 * The type is the guard: no log field, error, format or argument list takes a struct, so a secret
 * leaves only where somebody writes secret_reveal(), which tests/walls keeps out of everything that
 * people read. The text lives where its owner says (an arena, mostly); wiping
 * is the owner's, as of any buffer.
 */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include "core/str.h"

struct secret {
	const char	*hidden;	/* NULL: none */
};

#define SECRET(text)	((struct secret){ (text) })

static inline bool
secret_is_set(struct secret s)
{
	return s.hidden != NULL && s.hidden[0] != '\0';
}

/* The text itself, "" when there is none: for the header, body or file that must carry it, never for people. */
static inline const char *
secret_reveal(struct secret s)
{
	return s.hidden != NULL ? s.hidden : "";
}

static inline bool
secret_equal(struct secret a, struct secret b)
{
	return strcmp(secret_reveal(a), secret_reveal(b)) == 0;
}

#endif
