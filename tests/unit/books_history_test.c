/* books/history: what is written reads back, torn lines cost themselves only, the room it takes is bounded. */
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "books/history.h"
#include "core/fs.h"
#include "tap.h"

#define AT	((wall_t){ INT64_C(1772352906300000000) })	/* 2026-03-01T08:15:06.3Z */

static int dir;

static struct history_record
job(const char *id, wall_t arrived)
{
	return (struct history_record){ .what = HISTORY_JOB, .name = str_from(id), .runner = STR("1f00ba47"), .queued = wall_add(arrived, -NSEC_SEC),
	    .arrived = arrived, .started = wall_add(arrived, 70 * NSEC_SEC), .made = arrived, .at = wall_add(arrived, 100 * NSEC_SEC),
	    .machine = STR("runner-x"), .uses = 2, .result = STR("failed"), .reason = STR("script_failure") };
}

static void
append(const struct history_record *r, size_t max)
{
	struct err e = { 0 };

	if (history_append(dir, r, max, &e) < 0)
		ok(false, "append: %s", e.msg);
}

static void
raw(const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (fd < 0 || fs_write_all(fd, text, strlen(text), NULL) < 0)
		ok(false, "write");
	if (fd >= 0)
		close(fd);
}

static struct history_log
load(void)
{
	struct history_log l;
	struct err e = { 0 };

	if (history_load(dir, &l, &e) < 0)
		ok(false, "load: %s", e.msg);
	return l;
}

static void
fresh(void)
{
	unlinkat(dir, HISTORY_FILE, 0);
	unlinkat(dir, HISTORY_OLD, 0);
}

static void
test_round_trip(void)
{
	struct history_record r = job("4711", AT), gone = { .what = HISTORY_GONE, .name = STR("runner-x"), .driver = STR("digitalocean"),
	    .made = AT, .at = wall_add(AT, 5 * NSEC_SEC), .uses = 3, .reason = STR("too \"many\"\n") };
	struct history_log l;
	struct err e = { 0 };
	struct stat st;

	ok(history_load(dir, &l, &e) < 0 && e.kind == ERR_NOTFOUND, "no record yet: %s", e.msg);
	append(&r, HISTORY_MAX);
	append(&gone, HISTORY_MAX);
	l = load();
	ok(l.n == 2 && l.skipped == 0, "two lines");
	if (l.n == 2) {
		ok(l.v[0].what == HISTORY_JOB && str_eqc(l.v[0].name, "4711") && str_eqc(l.v[0].runner, "1f00ba47") &&
		    wall_equal(l.v[0].queued, r.queued) && wall_equal(l.v[0].arrived, AT) && wall_equal(l.v[0].started, r.started) &&
		    wall_equal(l.v[0].at, r.at) &&
		    wall_equal(l.v[0].made, AT) && l.v[0].uses == 2 && str_eqc(l.v[0].machine, "runner-x") &&
		    str_eqc(l.v[0].result, "failed") && str_eqc(l.v[0].reason, "script_failure"), "a job as it was");
		ok(l.v[1].what == HISTORY_GONE && str_eqc(l.v[1].reason, "too \"many\"\n") && !wall_known(l.v[1].arrived) &&
		    str_eqc(l.v[1].driver, "digitalocean") && l.v[1].machine.n == 0, "a machine as it was");
	}
	history_free(&l);
	ok(fstatat(dir, HISTORY_FILE, &st, 0) == 0 && (st.st_mode & 0777) == 0600, "nobody else may read it");
}

static void
test_torn(void)
{
	struct history_record a = job("1", AT), b = job("2", AT), c = job("3", AT);
	struct history_log l;

	fresh();
	append(&a, HISTORY_MAX);
	raw(HISTORY_FILE, "{\"what\":\"job\",\"name\":\"lost\",\"arr");
	append(&b, HISTORY_MAX);
	raw(HISTORY_FILE, "{\"what\":\"of the future\",\"name\":\"x\",\"at\":\"2026-03-01T08:15:06Z\"}\n\n");
	append(&c, HISTORY_MAX);
	l = load();
	ok(l.n == 3 && l.skipped == 2, "a torn and an unknown line cost themselves: %zu, %zu", l.n, l.skipped);
	ok(l.n == 3 && str_eqc(l.v[1].name, "2") && str_eqc(l.v[2].name, "3"), "what was written behind them is whole");
	history_free(&l);
}

static void
test_twins(void)
{
	struct history_record a = job("1", AT), b = job("2", AT), later = job("1", wall_add(AT, NSEC_SEC)), other = job("1", AT);
	struct history_log l;

	fresh();
	other.runner = STR("ffffffff");
	append(&a, HISTORY_MAX);
	append(&b, HISTORY_MAX);
	append(&a, HISTORY_MAX);
	append(&later, HISTORY_MAX);
	append(&other, HISTORY_MAX);
	l = load();
	ok(l.n == 4, "a job written twice is one, one with another arrival or runner is not: %zu", l.n);
	ok(l.n == 4 && str_eqc(l.v[0].name, "1") && str_eqc(l.v[1].name, "2") && wall_equal(l.v[2].arrived, wall_add(AT, NSEC_SEC)), "in the order of the file");
	history_free(&l);
}

static void
test_bounds(void)
{
	struct history_log l;
	struct stat st, old;
	char id[20];

	fresh();
	for (int i = 0; i < 1000; i++) {
		struct history_record r;

		snprintf(id, sizeof(id), "%d", i);
		r = job(id, wall_add(AT, i * NSEC_SEC));
		append(&r, 10000);
	}
	if (fstatat(dir, HISTORY_FILE, &st, 0) < 0 || fstatat(dir, HISTORY_OLD, &old, 0) < 0)
		ok(false, "two files");
	ok(st.st_size <= 10000 &&
	    old.st_size <= 10000 && old.st_size > 9000, "1000 lines stay within two files: %ld and %ld bytes", (long)st.st_size, (long)old.st_size);
	l = load();
	ok(l.n > 30 && l.n < 100 && str_eqc(l.v[l.n - 1].name, "999"), "the newest %zu are kept", l.n);
	for (size_t i = 1; i < l.n; i++)
		if (wall_before(l.v[i].arrived, l.v[i - 1].arrived))
			ok(false, "in order");
	history_free(&l);
}

static void
test_refusals(void)
{
	struct history_record r = job("1", AT);
	struct history_log l = { 0 };
	struct err e = { 0 };
	struct buf b = { 0 };

	fresh();
	if (mkfifoat(dir, HISTORY_FILE, 0600) < 0)
		ok(false, "mkfifo");
	ok(history_append(dir, &r, HISTORY_MAX, &e) < 0 && strstr(e.msg, "history.jsonl") != NULL, "a pipe in its place blocks nobody");
	fresh();
	if (symlinkat("/dev/full", dir, HISTORY_FILE) < 0)
		ok(false, "symlink");
	e = (struct err){ 0 };
	ok(history_append(dir, &r, HISTORY_MAX, &e) < 0, "a symbolic link is not followed");
	fresh();
	for (int i = 0; i < 5000; i++)
		buf_putc(&b, 1);
	r.name = r.reason = r.machine = buf_str(&b);
	e = (struct err){ 0 };
	/* 200 control bytes are 1200 characters, three times */
	ok(history_append(dir, &r, HISTORY_MAX, &e) == 0 && history_load(dir, &l, &e) == 0 && l.n == 1, "long texts are cut, the line is not");
	history_free(&l);
	buf_free(&b);
}

int
main(void)
{
	char path[] = "/tmp/history.XXXXXX";
	struct err e = { 0 };

	if (mkdtemp(path) == NULL || (dir = fs_opendir(AT_FDCWD, path, &e)) < 0) {
		ok(false, "a directory");
		return done_testing();
	}
	test_round_trip();
	test_torn();
	test_twins();
	test_bounds();
	test_refusals();
	close(dir);
	fs_remove_tree(AT_FDCWD, path, &e);
	return done_testing();
}
