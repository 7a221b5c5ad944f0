/*
 * clouds/ in the state directory: what is known of each cloud account, for all operators of this
 * bastion (docs/state.md).
 *
 *	KEY.json	things that were looked at, sizes that were out of stock, regions once used: each with its time
 *	KEY.seen.json	the watcher's last look at all machines of ours in the account
 *	KEY.token.json	a credential that is fetched anew before it ends (0600)
 *	KEY.lock	held by who changes one of them
 *
 * KEY names driver and account. None of it decides alone whether something is deleted; what is lost
 * is asked for again. Members that this version does not know are kept.
 */
#ifndef BOOKS_ACCOUNT_H
#define BOOKS_ACCOUNT_H

#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/secret.h"

/* What KEY.json remembers: names, each with the time it was noted. */
enum account_note { ACCOUNT_CHECKED, ACCOUNT_STOCK_OUT, ACCOUNT_REGION };

struct account_book {
	int	 dir;		/* clouds/, -1: nothing is remembered */
	char	 key[40];	/* 16 hex, the same for the same account at all times; "": it is not known */
};

/*
 * Opens (makes) clouds/ for an account; key is what tells it from others, text of any form, "" when
 * that is not known. Always usable: without a directory or a key nothing is known.
 */
void	account_open(struct account_book *a, const char *clouds_dir, const char *key);
void	account_close(struct account_book *a);

/* Whether the name was noted at most so long ago (0: ever). A file that cannot be read knows nothing. */
bool	account_knows(const struct account_book *a, enum account_note what, const char *name, dur_t age);
/* Notes it with the present time; other notes of its kind older than `forget` go. Best effort. */
void	account_note(const struct account_book *a, enum account_note what, const char *name, dur_t forget);
/* All names of a kind, in the arena; how many. */
size_t	account_names(const struct account_book *a, enum account_note what, struct arena *arena, const char ***names);

/* A machine as the watcher's list showed it. Strings live in the arena of the reader. */
struct account_seen {
	const char	*id, *name, *nonce, *address;
	int64_t		 state, why;	/* enum cloud_state, enum cloud_why */
	const char	*words;
};
/* Writes the list whole. 0 or -1. */
int	account_seen_write(const struct account_book *a, const struct account_seen *v, size_t n, struct err *e);
/* 0 with the list and how old it is, -1 when there is none that can be read. */
int	account_seen_read(const struct account_book *a, struct arena *arena, struct account_seen **v, size_t *n, dur_t *age);

/* The book of something else in the same directory, a credential say: good as long as a is open, and not closed. */
struct account_book account_apart(const struct account_book *a, const char *key);

/*
 * A credential with an end: the stored one when it lives for another `left`, else fetch() is called for a
 * new one, by one process at a time. fetch gives text (in the arena) and its end. While it fails, or
 * somebody else is at it, a stored one that lives for `least` is still good. What cannot be read is fetched,
 * what cannot be written is not kept. 0 with text and end in the arena, or -1: ERR_CONFLICT when another
 * process is fetching (ask again in a moment), or fetch's error.
 */
struct account_fetch {
	dur_t	 left, least;
	int	(*fetch)(void *ctx, struct arena *arena, struct secret *text, wall_t *good_until, struct err *e);
	void	*ctx;
};
struct account_token { struct secret text; wall_t good_until; };
int	account_token(const struct account_book *a, struct arena *arena, const struct account_fetch *f,
	    struct account_token *out, struct err *e);
/* This one was refused: it is not given any more. One that somebody has fetched since stays. */
void	account_token_forget(const struct account_book *a, struct secret refused);

#endif
