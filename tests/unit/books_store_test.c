/* books/store: names, records, directories that appear and go whole, locks. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include <utime.h>

#include "books/store.h"
#include "core/fs.h"
#include "core/lock.h"
#include "tap.h"

static char store[64];

static void
put(const char *path, const char *text)
{
	char *whole = fs_join(store, path), *slash = strrchr(whole, '/');

	*slash = '\0';
	fs_mkdirs(whole, 0700, NULL);
	*slash = '/';
	fs_write_fast(AT_FDCWD, whole, str_from(text), 0600, NULL);
	free(whole);
}

static bool
there(const char *path)
{
	char *whole = fs_join(store, path);
	bool is = fs_exists(AT_FDCWD, whole);

	free(whole);
	return is;
}

static void
test_names(void)
{
	static const struct { const char *name; bool good; } names[] = {
		{ "a", true }, { "runner-x.y-1", true }, { "A9", true }, { "9a", true }, { "", false }, { "-a", false },
		{ ".a", false }, { "a/b", false }, { "a b", false }, { "a_b", false }, { "..", false }, { "a\n", false },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	for (size_t i = 0; i < NELEM(names); i++)
		is_int(store_name_ok(str_from(names[i].name)), names[i].good, "name %zu is %s", i, names[i].good ? "good" : "refused");
	for (int p = PHASE_PLANNED; p <= PHASE_DELETING; p++)
		is_int(phase_parse(str_from(phase_name((enum machine_phase)p))), p, "phase %s", phase_name((enum machine_phase)p));
	is_int(phase_parse(STR("melted")), PHASE_NONE, "a phase of another version");
	is_int(phase_parse(STR("")), PHASE_NONE, "no phase");
}

static void
test_path(void)
{
	char *p;

	setenv("MACHINE_STORAGE_PATH", "/a/b", 1);
	is_str(p = store_default_path(), "/a/b", "the variable says where");
	free(p);
	setenv("MACHINE_STORAGE_PATH", "", 1);
	setenv("HOME", "/home/x", 1);
	is_str(p = store_default_path(), "/home/x/.docker/machine", "an empty one counts as unset");
	free(p);
	unsetenv("HOME");
	unsetenv("MACHINE_STORAGE_PATH");
	ok(store_default_path() == NULL, "nobody says where");
}

static void
test_record(void)
{
	static const char *const text = "{\"v\":1,\"name\":\"m\",\"owner\":\"0123456789abcdef\",\"nonce\":\"ab\",\"driver\":\"digitalocean\","
	    "\"runner\":\"k\",\"phase\":\"created\",\"created\":\"2026-03-01T08:15:30Z\",\"phase_since\":\"2026-03-01T08:15:31.5Z\","
	    "\"ids\":{\"key\":\"1\",\"droplet\":\"2\",\"volume\":[3]},\"host_key\":\"ssh-x A\",\"options_hash\":\"h\",\"uses\":3,"
	    "\"last_used\":\"\",\"attempts\":2,\"unanswered\":1,\"asked\":\"2026-03-01T08:15:32Z\",\"last_error\":\"a \\\"b\\\"\",\"remove_reason\":\"\",\"later\":{\"x\":[1,2]},\"more\":null}";
	struct machine_record r, again;
	struct arena a = { 0 };
	struct buf b = { 0 }, b2 = { 0 };
	struct err e = { 0 };

	ok(machine_record_parse(&a, str_from(text), &r, &e) == 0, "a record is read");
	is_str(r.nonce, "ab", "nonce");
	is_int(r.phase, PHASE_CREATED, "phase");
	is_str(record_id(&r, "machine"), "2", "an id");
	is_int(r.uses, 3, "uses");
	is_int(wall_between(r.created, r.phase_since), 1500 * NSEC_MSEC, "times");
	is_int(r.last_used.ns, 0, "a time that never was");
	ok(r.unanswered == 1 && wall_between(r.created, r.asked) == 2 * NSEC_SEC,
	    "a create call without an answer, and when");
	is_str(r.last_error, "a \"b\"", "a text");
	machine_record_print(&r, &b);
	ok(strstr(b.p, "\"volume\": [") != NULL, "an unknown id is kept");
	ok(strstr(b.p, "\"later\": {") != NULL && strstr(b.p, "\"more\": null") != NULL, "unknown members are kept");
	ok(machine_record_parse(&a, buf_str(&b), &again, &e) == 0, "what is written is read");
	machine_record_print(&again, &b2);
	is_str(b2.p, b.p, "and written the same again");
	is_int(machine_record_parse(&a, STR("{}"), &r, &e), 0, "an empty record");
	is_int(r.phase, PHASE_NONE, "  has no phase");
	is_str(r.nonce, "", "  and no nonce");
	is_int(machine_record_parse(&a, STR("{\"v\":1,\"phase\":\"melted\",\"nonce\":\"n\",\"ids\":{\"machine\":\"4\"}}"), &r, &e), -1,
	    "a phase of a newer version");
	ok(e.kind == ERR_CONFLICT, "  is not taken for none: %s", e.msg);
	ok(strcmp(r.nonce, "n") == 0 && strcmp(record_id(&r, "machine"), "4") == 0, "  and what is the machine's in the cloud is known");
	is_int(machine_record_parse(&a, STR("{\"v\":2,\"phase\":\"ready\"}"), &r, &e), -1, "a newer format");
	is_int(e.kind, ERR_CONFLICT, "  is refused");
	is_int(machine_record_parse(&a, STR("[]"), &r, &e), -1, "a list is no record");
	is_int(machine_record_parse(&a, STR("{"), &r, &e), -1, "half a record");
	arena_reset(&a);
	buf_free(&b);
	buf_free(&b2);
}

/* Ids in a record: read, printed and read again. */
static void
test_ids(void)
{
	static const char uuid[] = "6f1c2c1e-9b1f-4a55-8d4e-0d1b6f3a7c21";
	char longest[201] = "";
	const struct { const char *driver, *key, *id, *more, *want; bool before; } cases[] = {
		{ "digitalocean", "droplet", "2", "", "2", true },	/* written by a version before */
		{ "digitalocean", "machine", "2", "", "2", true },
		{ "digitalocean", "machine", "2", ",\"droplet\":\"3\"", "2", true },
		{ "digitalocean", "machine", "", ",\"droplet\":\"3\"", "3", true },	/* learned by one, after a way back */
		{ "other", "machine", uuid, "", uuid, false },
		{ "other", "machine", longest, ",\"disk\":\"d\"", longest, false },
	};

	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct machine_record r, again;
		struct arena a = { 0 };
		struct buf b = { 0 };
		char *text = arena_fmt(&a, "{\"driver\":\"%s\",\"ids\":{\"%s\":\"%s\"%s}}", cases[i].driver, cases[i].key,
		    cases[i].id, cases[i].more);
		const char *before = arena_fmt(&a, "\"droplet\": \"%s\"", cases[i].want);

		ok(machine_record_parse(&a, str_from(text), &r, NULL) == 0, "ids %zu", i);
		is_str(record_id(&r, "machine"), cases[i].want, "  the machine's");
		machine_record_print(&r, &b);
		ok((strstr(b.p, before) != NULL) == cases[i].before, "  versions before %s it", cases[i].before ? "read" : "never see");
		ok(strstr(cases[i].more, "disk") == NULL || strstr(b.p, "\"disk\": \"d\"") != NULL, "  other kinds are kept");
		ok(machine_record_parse(&a, buf_str(&b), &again, NULL) == 0, "  written and read again");
		is_str(record_id(&again, "machine"), cases[i].want, "  it is the same");
		arena_reset(&a);
		buf_free(&b);
	}
}

static void
test_life(void)
{
	struct machine_record r = { .name = "m1", .phase = PHASE_PLANNED };
	struct machine_config c;
	struct arena a = { 0 };
	struct err e = { 0 };
	char **names;
	struct store_new n, n2;
	int dir2;

	is_int(store_list(store, &names, &e), 0, "an empty store lists nothing");
	is_int(store_open(store, "m1", &e), -1, "nothing to open");
	is_int(e.kind, ERR_NOTFOUND, "  not found");
	is_int(store_make(store, "m/1", &n, &e), -1, "a bad name is refused");
	is_int(store_make(store, "m1", &n, &e), 0, "a machine is begun");
	is_int(store_list(store, &names, &e), 0, "  out of sight");
	fs_write_fast(n.dir, "config.json", STR("{\"Name\":\"m1\",\"DriverName\":\"none\",\"Driver\":{\"IPAddress\":\"10.0.0.1\","
	    "\"SSHPort\":22,\"SSHUser\":\"root\"},\"HostOptions\":{\"AuthOptions\":{\"StorePath\":\"/s/machines/m1\"}}}"), 0600, &e);
	is_int(machine_record_write(n.dir, &r, &e), 0, "  its record is written");
	is_int(store_sweep(store, &e), 0, "a sweep");
	ok(there("machines") && fs_exists(n.dir, "config.json"), "  leaves alone what a living process holds");
	is_int(store_reveal(store, n.tmp, "m1", &e), 0, "it appears");
	is_int(store_list(store, &names, &e), 1, "  and is listed");
	is_str(names[0], "m1", "  by its name");
	fs_free_names(names, 1);
	is_int(store_make(store, "m1", &n2, &e), -1, "the name is taken");
	is_int(e.kind, ERR_CONFLICT, "  a conflict");
	dir2 = store_open(store, "m1", &e);
	ok(dir2 >= 0, "it can be opened");
	is_int(store_lock(dir2, false, &e), -1, "  but not locked");
	is_int(e.kind, ERR_CONFLICT, "  since its maker holds it");
	is_int(machine_config_read(dir2, &a, &c, &e), 0, "its config is read");
	is_str(c.ip, "10.0.0.1", "  address");
	is_int(c.ssh_port, 22, "  port");
	is_str(c.auth_store_path, "/s/machines/m1", "  where its certificates are");
	unlinkat(dir2, "config.json", 0);
	is_int(store_list(store, &names, &e), 1, "without its config.json it is a machine all the same");
	fs_free_names(names, 1);
	unlinkat(dir2, "windlass.json", 0);
	is_int(store_list(store, &names, &e), 0, "  but not without both");
	fs_free_names(names, 0);
	is_int(store_forget(store, "m1", &e), 0, "it is forgotten");
	is_int(store_list(store, &names, &e), 0, "  and not listed");
	close(n.lock);
	is_int(store_lock(dir2, false, &e), -1, "who opened it before cannot lock it now");
	is_int(e.kind, ERR_NOTFOUND, "  because it is gone");
	is_int(store_forget(store, "m1", &e), 0, "forgetting twice does no harm");
	close(n.dir);
	close(dir2);
	arena_reset(&a);
}

/* One waits for the lock while the other removes the machine: the waiter must not get a dead directory. */
static void
test_waiter(void)
{
	struct store_new n;
	char byte = 0;
	struct err e = { 0 };
	int fd[2], status;
	pid_t pid;

	store_make(store, "m2", &n, &e);
	fs_write_fast(n.dir, "config.json", STR("{}"), 0600, &e);
	store_reveal(store, n.tmp, "m2", &e);
	ok(pipe(fd) == 0, "pipe");
	pid = fork();
	if (pid == 0) {
		int d = store_open(store, "m2", &e);

		close(n.lock);
		if (d < 0 || write(fd[1], "x", 1) != 1)
			_exit(3);
		_exit(store_lock(d, true, &e) < 0 && e.kind == ERR_NOTFOUND ? 0 : 4);
	}
	ok(read(fd[0], &byte, 1) == 1, "the other waits");
	store_forget(store, "m2", &e);
	close(n.lock);
	waitpid(pid, &status, 0);
	is_int(status, 0, "and is told that the machine is gone");
	close(n.dir);
	close(fd[0]);
	close(fd[1]);
}

static void
test_sweep(void)
{
	struct utimbuf old = { 1000, 1000 };
	struct err e = { 0 };
	char *dir;
	int fd, lock;

	put("machines/.new.a.12345678/config.json", "{}");
	put("machines/.gone.b.12345678/config.json", "{}");
	put("machines/.gone.c.12345678/config.json", "{}");
	put("machines/.hidden/config.json", "{}");
	put("machines/kept/config.json", "{}");
	dir = fs_join(store, "machines/.gone.b.12345678");
	fd = fs_opendir(AT_FDCWD, dir, &e);
	lock = lock_take(fd, "lock", LOCK_TRY, &e);
	free(dir);
	is_int(store_sweep(store, &e), 0, "a sweep");
	ok(there("machines/.new.a.12345678"), "a young one may be about to take its lock");
	ok(there("machines/.gone.b.12345678"), "somebody is removing this one");
	dir = fs_join(store, "machines/.new.a.12345678");
	utime(dir, &old);
	free(dir);
	dir = fs_join(store, "machines/.gone.c.12345678");
	utime(dir, &old);
	free(dir);
	is_int(store_sweep(store, &e), 0, "another sweep");
	ok(!there("machines/.new.a.12345678"), "an old unfinished one goes");
	ok(!there("machines/.gone.c.12345678"), "half removed ones go");
	ok(there("machines/.hidden") && there("machines/kept"), "nothing else does");
	put("certs/.ca-key.pem.0123abcd.tmp", "half a key");
	put("certs/ca.pem", "a certificate");
	put("machines/kept/.windlass.json.0123abcd.tmp", "{");
	put("machines/held/config.json", "{}");
	put("machines/held/.windlass.json.0123abcd.tmp", "{");
	dir = fs_join(store, "machines/held");
	close(lock);
	close(fd);
	fd = fs_opendir(AT_FDCWD, dir, &e);
	lock = lock_take(fd, "lock", LOCK_TRY, &e);
	free(dir);
	is_int(store_sweep(store, &e), 0, "a sweep");
	ok(!there("certs/.ca-key.pem.0123abcd.tmp") && there("certs/ca.pem"), "nor does half a private key stay");
	ok(!there("machines/kept/.windlass.json.0123abcd.tmp"), "what a killed writer left in a machine's directory goes");
	ok(there("machines/held/.windlass.json.0123abcd.tmp"), "unless somebody holds the machine");
	close(lock);
	close(fd);
	ok(store_sweep("/nonexistent/store", &e) == 0, "a store that is not there needs no sweep");
}

static void
test_certified(void)
{
	struct err e = { 0 };

	put("machines/d/config.json", "{}");
	is_int(store_has_certified(store, &e), 0, "no machine has a certificate");
	put("machines/d/server.pem", "x");
	is_int(store_has_certified(store, &e), 1, "one has");
}

int
main(void)
{
	const char *const options[] = { "a=b", "c" };
	char h1[17], h2[17];

	snprintf(store, sizeof(store), "/tmp/wl-store-test.%ld", (long)getpid());
	test_names();
	test_path();
	test_record();
	test_ids();
	test_life();
	test_waiter();
	test_sweep();
	test_certified();
	machine_options_hash("d", options, 2, h1);
	machine_options_hash("d", options, 1, h2);
	ok(strlen(h1) == 16 && strcmp(h1, h2) != 0, "other options, another hash");
	fs_remove_tree(AT_FDCWD, store, NULL);
	return done_testing();
}
