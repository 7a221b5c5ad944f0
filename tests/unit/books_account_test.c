/* books/account: what operators of one bastion know of a cloud account, shared through files. */
#include <sys/wait.h>
#include <stdlib.h>
#include <unistd.h>

#include "books/account.h"
#include "core/fs.h"
#include "core/lock.h"
#include "tap.h"

#define HOUR	(3600 * NSEC_SEC)

static char dir[] = "/tmp/account_test.XXXXXX";

static void
test_notes(void)
{
	struct account_book a, b, none;
	struct arena arena = { 0 };
	const char **names;

	account_open(&a, dir, "digitalocean/one");
	account_open(&b, dir, "digitalocean/two");
	ok(!account_knows(&a, ACCOUNT_STOCK_OUT, "large nyc3", 0), "nothing is known at first");
	account_note(&a, ACCOUNT_STOCK_OUT, "large nyc3", HOUR);
	account_note(&a, ACCOUNT_REGION, "nyc3", HOUR);
	account_note(&a, ACCOUNT_STOCK_OUT, "large ams3", HOUR);
	ok(account_knows(&a, ACCOUNT_STOCK_OUT, "large nyc3", HOUR), "what was noted is known");
	ok(account_knows(&a, ACCOUNT_STOCK_OUT, "large nyc3", 0), "  however old it may be");
	ok(!account_knows(&a, ACCOUNT_CHECKED, "large nyc3", 0), "  as what it was noted");
	ok(!account_knows(&b, ACCOUNT_STOCK_OUT, "large nyc3", 0), "  of its account");
	is_int((long long)account_names(&a, ACCOUNT_STOCK_OUT, &arena, &names), 2, "all names of a kind");
	account_note(&a, ACCOUNT_STOCK_OUT, "small", 0);
	is_int((long long)account_names(&a, ACCOUNT_STOCK_OUT, &arena, &names), 1, "old ones are forgotten");
	ok(account_knows(&a, ACCOUNT_REGION, "nyc3", 0), "  of their kind only");
	account_open(&none, "", "x");
	account_note(&none, ACCOUNT_REGION, "nyc3", HOUR);
	ok(!account_knows(&none, ACCOUNT_REGION, "nyc3", 0), "without a directory nothing is remembered");
	account_close(&none);
	account_close(&a);
	account_close(&b);
	arena_reset(&arena);
}

/* Twenty processes note something at once: nobody's note is lost, and members of a later version stay. */
static void
test_crowd(void)
{
	struct account_book a;
	struct arena arena = { 0 };
	struct buf b = { .max = 65536 };
	char file[64];
	const char **names;

	account_open(&a, dir, "crowd");
	snprintf(file, sizeof(file), "%s.json", a.key);
	ok(fs_write(a.dir, file, STR("{\"later\": {\"x\": [1]}}"), 0600, NULL) == 0, "a file of a later version");
	for (int i = 0; i < 20; i++)
		if (fork() == 0) {
			char name[32];

			snprintf(name, sizeof(name), "rung %d", i);
			account_note(&a, ACCOUNT_STOCK_OUT, name, HOUR);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	is_int((long long)account_names(&a, ACCOUNT_STOCK_OUT, &arena, &names), 20, "all of them are noted");
	ok(fs_read(a.dir, file, b.max, &b, NULL) == 0 && strstr(b.p, "\"later\"") != NULL, "what it did not know is kept");
	ok(fs_write(a.dir, file, STR("{ torn"), 0600, NULL) == 0 && !account_knows(&a, ACCOUNT_STOCK_OUT, "rung 1", 0),
	    "a damaged file knows nothing");
	account_note(&a, ACCOUNT_STOCK_OUT, "rung 1", HOUR);
	ok(account_knows(&a, ACCOUNT_STOCK_OUT, "rung 1", 0), "  and is made anew");
	buf_free(&b);
	account_close(&a);
	arena_reset(&arena);
}

static void
test_seen(void)
{
	const struct account_seen out[] = {
		{ .id = "7", .name = "m7", .nonce = "ab", .address = "192.0.2.7", .state = 1, .why = 0, .words = "" },
		{ .id = "8", .name = "m8", .nonce = "", .address = "", .state = 6, .why = 3, .words = "it \"broke\"" },
	};
	struct account_seen *in = NULL;
	struct account_book a;
	struct arena arena = { 0 };
	struct err e = { 0 };
	dur_t age = -1;
	size_t n = 9;

	account_open(&a, dir, "seen");
	is_int(account_seen_read(&a, &arena, &in, &n, &age), -1, "nobody has looked yet");
	is_int(account_seen_write(&a, out, 2, &e), 0, "a look %s", e.msg);
	ok(account_seen_read(&a, &arena, &in, &n, &age) == 0 && n == 2 && age >= 0 && age < HOUR, "is read, with its age");
	ok(strcmp(in[0].address, "192.0.2.7") == 0 && in[0].state == 1 && strcmp(in[1].words, "it \"broke\"") == 0 &&
	    in[1].why == 3, "  as it was written");
	is_int(account_seen_write(&a, NULL, 0, &e), 0, "a look at nothing");
	ok(account_seen_read(&a, &arena, &in, &n, &age) == 0 && n == 0, "  is one too");
	account_close(&a);
	arena_reset(&arena);
}

static int fetches;
static bool fail;

static int
fetch(void *ctx, struct arena *arena, struct secret *text, wall_t *good_until, struct err *e)
{
	const dur_t *lives = ctx;

	if (fail)
		return err_set(e, ERR_NET, 0, "there is no network");
	fetches++;
	*text = SECRET(arena_fmt(arena, "token-%d", fetches));
	*good_until = wall_add(wall_now(), *lives);
	return 0;
}

static bool
gives(const struct account_book *a, const struct account_fetch *f, const char *want)
{
	struct account_token t;
	struct arena arena = { 0 };
	struct err e = { 0 };
	bool good = account_token(a, &arena, f, &t, &e) == 0 && strcmp(secret_reveal(t.text), want) == 0;

	arena_reset(&arena);
	return good;
}

static void
test_token(void)
{
	dur_t lives = HOUR;
	struct account_fetch f = { .left = 60 * NSEC_SEC, .least = 10 * NSEC_SEC, .fetch = fetch, .ctx = &lives };
	struct account_token t;
	struct account_book a, apart;
	struct arena arena = { 0 };
	struct err e = { 0 };
	char lock[80];
	int held;

	account_open(&a, dir, "token");
	ok(gives(&a, &f, "token-1"), "a credential is fetched");
	ok(gives(&a, &f, "token-1"), "  once");
	account_token_forget(&a, SECRET("token-0"));
	ok(gives(&a, &f, "token-1"), "one that is not there any more is refused: this one stays");
	account_token_forget(&a, SECRET("token-1"));
	lives = 30 * NSEC_SEC;
	ok(gives(&a, &f, "token-2"), "refused: a new one");
	ok(gives(&a, &f, "token-3"), "near its end: a new one");
	fail = true;
	ok(gives(&a, &f, "token-3"), "none is to be had: the old one as long as it lives");
	apart = account_apart(&a, "other");
	is_int(account_token(&apart, &arena, &f, &t, &e), -1, "  but not another account's");
	is_int(e.kind, ERR_NET, "  and the reason is told: %s", e.msg);
	fail = false;
	snprintf(lock, sizeof(lock), "%s.lock", a.key);
	held = lock_take(a.dir, lock, LOCK_WAIT, &e);
	ok(held >= 0 && gives(&a, &f, "token-3"), "somebody else is at it: the old one");
	close(held);
	account_token_forget(&a, SECRET("token-3"));
	lives = 5 * NSEC_SEC;
	ok(gives(&a, &f, "token-4"), "that is nearly over");
	held = lock_take(a.dir, lock, LOCK_WAIT, &e);
	is_int(account_token(&a, &arena, &f, &t, &e), -1, "  is not good enough while somebody else is at it");
	is_int(e.kind, ERR_CONFLICT, "  ask again: %s", e.msg);
	close(held);
	account_close(&a);
	ok(gives(&a, &f, "token-5") && gives(&a, &f, "token-6"), "without a directory there is a new one each time");
	arena_reset(&arena);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	test_notes();
	test_crowd();
	test_seen();
	test_token();
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return done_testing();
}
