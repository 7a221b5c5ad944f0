/* Short-lived tokens: see token.h. */
#include "cloud/token.h"
#include "core/log.h"
#include "net/dial.h"

#define AGAIN_NS	(50 * NSEC_MSEC)

/* One request, as account_token() calls it. */
struct asking {
	struct cloud		*c;
	const struct cloud_token *t;
	mono_t			 deadline;
};

/* It becomes part of a header line. */
static bool
may_be_sent(struct secret s)
{
	struct str text = str_from(secret_reveal(s));

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return false;
	return text.n > 0;
}

static int
ask(void *ctx, struct arena *arena, struct secret *text, wall_t *good_until, struct err *e)
{
	const struct asking *q = ctx;
	struct secret got = SECRET("");

	if (q->t->ask(q->c, arena, &got, good_until, mono_min(q->deadline, mono_after(CLOUD_TOKEN_ASK_NS)), e) < 0)
		return -1;
	if (!may_be_sent(got))
		return err_set(e, ERR_PROTO, 0, "%s: the token that was given is none", q->c->driver_name);
	*text = got;
	log_debug("Cloud gave a token", F_STR("driver", q->c->driver_name), F_DUR("lives", wall_between(wall_now(), *good_until)));
	return 0;
}

/* Where tokens of this credential are kept. */
static struct account_book
book_of(const struct cloud *c, const struct cloud_token *t)
{
	static const struct account_book nowhere = { .dir = -1 };
	struct arena a = { 0 };
	struct account_book b = account_apart(c->book != NULL ? c->book : &nowhere,
	    arena_fmt(&a, "%s %s", c->driver_name, secret_reveal(t->credential)));

	arena_reset(&a);
	return b;
}

static bool
is_good(const struct cloud_token *t)
{
	return secret_is_set(t->now.text) &&
	    wall_before(wall_add(wall_now(), CLOUD_TOKEN_LEFT_NS), t->now.good_until);
}

int
cloud_token_get(struct cloud *c, struct cloud_token *t, bool refused, mono_t deadline, struct secret *out,
    struct err *e)
{
	struct account_book book = book_of(c, t);
	struct asking q = { c, t, deadline };
	struct account_fetch f = { .left = CLOUD_TOKEN_LEFT_NS, .least = CLOUD_TOKEN_LEAST_NS, .fetch = ask, .ctx = &q };
	int rc;

	if (refused) {
		account_token_forget(&book, t->now.text);
		cloud_token_end(t);
	}
	if (!is_good(t)) {
		cloud_token_end(t);
		while ((rc = account_token(&book, &t->arena, &f, &t->now, e)) < 0 && e->kind == ERR_CONFLICT) {
			arena_reset(&t->arena);
			if (mono_passed(deadline))
				return err_set(e, ERR_TIMEOUT, 0, "%s: another process asks for a token, without an end",
				    c->driver_name);
			if (net_pause(AGAIN_NS, e) < 0)
				return -1;
		}
		/* A file that somebody else wrote. */
		if (rc == 0 && !may_be_sent(t->now.text))
			rc = err_set(e, ERR_PROTO, 0, "%s: the token that is kept is none", c->driver_name);
		if (rc < 0) {
			cloud_token_end(t);
			return -1;
		}
	}
	*out = t->now.text;
	return 0;
}

void
cloud_token_end(struct cloud_token *t)
{
	t->now = (struct account_token){ .text = SECRET("") };
	arena_reset(&t->arena);
}
