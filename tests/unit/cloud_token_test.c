/* cloud/token: one process asks for a short-lived token, the others of the account use it, whoever dies meanwhile. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cloud/token.h"
#include "core/fs.h"
#include "tap.h"

#define HOUR	(3600 * NSEC_SEC)

static char dir[] = "/tmp/token_test.XXXXXX";

/* The cloud: what it gives, and how often it was asked, by all processes: a byte of a file each. */
static dur_t lives = HOUR, takes;
static bool refuses;
static const char *gives;	/* NULL: text that tells who asked when */

static int
asked(void)
{
	struct buf b = { .max = 4096 };
	char path[80];
	int n;

	snprintf(path, sizeof(path), "%s/asked", dir);
	(void)fs_read(AT_FDCWD, path, b.max, &b, NULL);
	n = (int)b.n;
	buf_free(&b);
	return n;
}

static int
ask(struct cloud *c, struct arena *a, struct secret *text, wall_t *good_until, mono_t deadline, struct err *e)
{
	char path[80];
	int fd;

	(void)c;
	ok(mono_before(deadline, mono_after(61 * NSEC_SEC)), "  asks with an end");
	snprintf(path, sizeof(path), "%s/asked", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, ".", 1) != 1)
		exit(1);
	close(fd);
	mono_sleep(takes);
	if (refuses)
		return err_set(e, ERR_AUTH, 401, "the credential is not valid");
	*text = SECRET(gives != NULL ? arena_dup(a, str_from(gives)) : arena_fmt(a, "t-%d-%d", (int)getpid(), asked()));
	*good_until = wall_add(wall_now(), lives);
	return 0;
}

struct who {
	struct account_book	book;
	struct cloud		cloud;
	struct cloud_token	token;
	struct err		e;
};

static void
begin(struct who *w, const char *clouds, const char *credential)
{
	*w = (struct who){ .cloud = { .driver_name = "fake" }, .token = { .credential = SECRET(credential), .ask = ask } };
	account_open(&w->book, clouds, "one");
	w->cloud.book = &w->book;
}

static void
end(struct who *w)
{
	cloud_token_end(&w->token);
	account_close(&w->book);
}

/* What one process gets, "" nothing. */
static const char *
get(struct who *w, bool refused)
{
	struct secret s = SECRET("");

	w->e = (struct err){ 0 };
	if (cloud_token_get(&w->cloud, &w->token, refused, mono_after(5 * NSEC_SEC), &s, &w->e) < 0)
		return "";
	return secret_reveal(s);
}

/* The same in a process that knows nothing yet; into out. */
static void
get_fresh(const char *clouds, const char *credential, char out[80])
{
	struct who w;

	begin(&w, clouds, credential);
	snprintf(out, 80, "%s", get(&w, false));
	end(&w);
}

static void
test_kept(const char *clouds)
{
	struct who w;
	char first[80], second[80], other[80];
	int before = asked();

	begin(&w, clouds, "k1");
	snprintf(first, sizeof(first), "%s", get(&w, false));
	ok(first[0] == 't', "a token: %s", w.e.msg);
	is_str(get(&w, false), first, "  is used again");
	get_fresh(clouds, "k1", second);
	is_str(second, first, "  by every process");
	is_int(asked() - before, 1, "  and was asked for once");
	get_fresh(clouds, "k2", other);
	ok(other[0] == 't' && strcmp(other, first) != 0, "another credential of the account has one of its own");
	snprintf(second, sizeof(second), "%s", get(&w, true));
	ok(second[0] == 't' && strcmp(second, first) != 0, "one that was refused is not given again");
	get_fresh(clouds, "k1", first);
	is_str(first, second, "  to nobody");
	/* A process that still has the old one in hand does not take the new one from the others. */
	before = asked();
	w.token.now.text = SECRET("t-old");
	is_str(get(&w, true), second, "a refusal that comes late");
	is_int(asked() - before, 0, "  finds the new one");
	end(&w);
}

static void
test_end(const char *clouds)
{
	char first[80], second[80];

	lives = 200 * NSEC_SEC;
	get_fresh(clouds, "k3", first);
	get_fresh(clouds, "k3", second);
	ok(strcmp(first, second) != 0, "a token that lives for less than five minutes is renewed");
	refuses = true;
	get_fresh(clouds, "k3", first);
	is_str(first, second, "  and used all the same when no new one is given");
	lives = 5 * NSEC_SEC;
	refuses = false;
	get_fresh(clouds, "k4", first);
	refuses = true;
	get_fresh(clouds, "k4", first);
	is_str(first, "", "  but not in its last seconds");
	refuses = false;
	lives = HOUR;
}

/* A crowd at one time: one asks. */
static void
test_crowd(const char *clouds)
{
	int before = asked(), status, good = 0;
	char mine[80];

	takes = 300 * NSEC_MSEC;
	fflush(stdout);
	for (int i = 0; i < 6; i++)
		if (fork() == 0) {
			char got[80];

			if (freopen("/dev/null", "w", stdout) == NULL)
				_exit(1);
			get_fresh(clouds, "k5", got);
			_exit(got[0] == 't' ? 0 : 1);
		}
	while (wait(&status) > 0)
		good += status == 0;
	is_int(good, 6, "six processes at once have a token");
	is_int(asked() - before, 1, "  and one of them has asked");
	takes = 0;
	get_fresh(clouds, "k5", mine);
	is_int(asked() - before, 1, "  for whoever comes later, too");
}

/* It dies while it asks, with the lock in hand. */
static void
test_death(const char *clouds)
{
	mono_t began;
	char got[80];
	pid_t pid;
	int before = asked();

	takes = 60 * NSEC_SEC;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(1);
		get_fresh(clouds, "k6", got);
		_exit(0);
	}
	while (asked() == before)
		mono_sleep(5 * NSEC_MSEC);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	takes = 0;
	began = mono_now();
	get_fresh(clouds, "k6", got);
	ok(got[0] == 't' && mono_since(began) < 2 * NSEC_SEC, "the one that asked was killed: the next one asks");
	is_int(asked() - before, 2, "  once");
}

/* Somebody asks and gets no answer: nobody waits for longer than he has time. */
static void
test_wait(const char *clouds)
{
	struct who w;
	struct secret s;
	mono_t began;
	pid_t pid;
	int before = asked();

	takes = 60 * NSEC_SEC;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		char got[80];

		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(1);
		get_fresh(clouds, "k7", got);
		_exit(0);
	}
	while (asked() == before)
		mono_sleep(5 * NSEC_MSEC);
	takes = 0;
	begin(&w, clouds, "k7");
	began = mono_now();
	is_int(cloud_token_get(&w.cloud, &w.token, false, mono_after(300 * NSEC_MSEC), &s, &w.e), -1, "somebody asks for ever");
	is_int(w.e.kind, ERR_TIMEOUT, "  the deadline holds: %s", w.e.msg);
	ok(mono_since(began) < 2 * NSEC_SEC, "  in time");
	end(&w);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The name of the file that holds this credential's token, in clouds. */
static char *
file_of(const struct who *w, const char *clouds)
{
	static char path[200];
	struct account_book b = account_apart(&w->book, "fake k8");

	snprintf(path, sizeof(path), "%s/%s.token.json", clouds, b.key);
	return path;
}

static void
test_unreadable(const char *clouds)
{
	static const char *const texts[] = { "", "{\"text\":\"t-9", "[]", "{\"text\":7}", "{\"text\":\"t-9\",\"good_until\":\"later\"}" };
	char first[80], got[80];
	struct who w;
	char *path;

	begin(&w, clouds, "k8");
	path = file_of(&w, clouds);
	get_fresh(clouds, "k8", first);
	ok(first[0] == 't' && access(path, F_OK) == 0, "it is kept in a file of its own");
	for (size_t i = 0; i < NELEM(texts); i++) {
		fs_write_fast(AT_FDCWD, path, str_from(texts[i]), 0600, NULL);
		get_fresh(clouds, "k8", got);
		ok(got[0] == 't' && strcmp(got, "t-9") != 0, "a file that says nothing: %s", texts[i]);
		get_fresh(clouds, "k8", first);
		is_str(first, got, "  is put right");
	}
	unlink(path);
	ok(mkdir(path, 0700) == 0, "no file at all");
	get_fresh(clouds, "k8", got);
	ok(got[0] == 't', "  is no reason to be without a token");
	rmdir(path);
	fs_write_fast(AT_FDCWD, path, STR("{\"text\":\"a\\r\\nX-Evil: b\",\"good_until\":\"2099-01-01T00:00:00Z\"}"), 0600, NULL);
	is_str(get(&w, false), "", "text that would be another header");
	is_int(w.e.kind, ERR_PROTO, "  is sent to nobody: %s", w.e.msg);
	unlink(path);
	gives = "two words";
	is_str(get(&w, false), "", "nor is what the cloud gives");
	is_int(w.e.kind, ERR_PROTO, "  if it is so: %s", w.e.msg);
	ok(access(path, F_OK) != 0, "  and it is not kept");
	gives = NULL;
	end(&w);
}

static void
test_nowhere(void)
{
	int before = asked();
	struct who w;
	char first[80];

	begin(&w, "", "k9");
	w.cloud.book = NULL;
	snprintf(first, sizeof(first), "%s", get(&w, false));
	is_str(get(&w, false), first, "without a directory: in this process");
	is_int(asked() - before, 1, "  asked for once");
	refuses = true;
	is_str(get(&w, true), "", "refused");
	ok(w.e.kind == ERR_AUTH && strstr(w.e.msg, "not valid") != NULL, "  by the cloud's word: %s", w.e.msg);
	refuses = false;
	end(&w);
}

int
main(void)
{
	char clouds[80];

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(clouds, sizeof(clouds), "%s/clouds", dir);
	test_kept(clouds);
	test_end(clouds);
	test_crowd(clouds);
	test_death(clouds);
	test_wait(clouds);
	test_unreadable(clouds);
	test_nowhere();
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return done_testing();
}
