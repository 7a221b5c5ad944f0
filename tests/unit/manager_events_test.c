/* manager/events: lines, counters, the file and its turn-over, a torn line, a disk that refuses. */
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "manager/events.h"
#include "manager/metrics.h"
#include "tap.h"
#include "wire/json.h"

static char dir[] = "/tmp/windlass-events.XXXXXX";

static struct manager
manager(void)
{
	struct manager m = { 0 };
	struct err e = { 0 };

	m.store = dir;
	m.state_fd = fs_opendir(AT_FDCWD, dir, &e);
	events_open(&m);
	return m;
}

static void
end(struct manager *m)
{
	events_close(m);
	metrics_free(m);
	close(m->state_fd);
}

static struct buf
contents(const struct manager *m, const char *name)
{
	struct buf b = { 0 };

	fs_read(m->state_fd, name, 16u << 20, &b, NULL);
	return b;
}

/* Every line is an object with a known kind: how many there are. */
static int
lines(struct buf *b)
{
	struct arena a = { 0 };
	struct str rest = buf_str(b);
	int n = 0;

	while (rest.n > 0) {
		struct str line = str_cut(&rest, '\n');
		struct json_val v;

		if (rest.p == NULL)
			rest.n = 0;
		if (json_parse(&a, line, &v, NULL) < 0)
			return -1;
		n += json_present(json_get(v, "kind"));
	}
	arena_reset(&a);
	return n;
}

static void
test_line(void)
{
	struct manager m = manager();
	struct pool p = { .key = "0a1b2c3d" };
	struct machine mc = { .name = "runner-x-1", .pool = &p };
	char id[] = "42";
	struct job j = { .id = id, .pool = &p };
	struct arena a = { 0 };
	struct json_val v;
	struct buf b;
	wall_t at = WALL_UNKNOWN;

	event_note(&m, EVENT_ASSIGN, ABOUT(.machine = &mc, .job = &j), "oldest",
	    "the oldest\x01 \"job\"");
	b = contents(&m, EVENTS_FILE);
	is_int((long long)b.n, 0, "nothing is written before the round's end");
	buf_free(&b);
	events_flush(&m);
	b = contents(&m, EVENTS_FILE);
	if (ok(json_parse(&a, str_sub(buf_str(&b), 0, b.n - 1), &v, NULL) == 0, "a line is JSON")) {
		is_str(json_cstr(&a, json_get(v, "kind")), "assign", "kind");
		is_str(json_cstr(&a, json_get(v, "pool")), "0a1b2c3d", "the machine's pool");
		is_str(json_cstr(&a, json_get(v, "machine")), "runner-x-1", "machine");
		is_str(json_cstr(&a, json_get(v, "job")), "42", "job");
		is_str(json_cstr(&a, json_get(v, "reason")), "oldest", "reason");
		is_str(json_cstr(&a, json_get(v, "text")), "the oldest\x01 \"job\"", "text");
		ok(time_parse_rfc3339(json_str(&a, json_get(v, "at")), &at) == 0 && wall_between(at, wall_now()) < 60 * NSEC_SEC, "time");
	}
	buf_free(&b);
	events_flush(&m);
	b = contents(&m, EVENTS_FILE);
	is_int(lines(&b), 1, "a second flush writes nothing");
	buf_free(&b);
	for (enum event_kind k = 0; k < EVENT_NKINDS; k++)
		ok(event_kind_name(k) != NULL, "kind %d has a name", (int)k);
	arena_reset(&a);
	end(&m);
}

static void
test_file(void)
{
	struct manager m = manager();
	struct buf b, old;
	struct stat st;
	int fd;

	unlinkat(m.state_fd, EVENTS_FILE, 0);
	unlinkat(m.state_fd, EVENTS_FILE_OLD, 0);
	end(&m);
	m = manager();
	/* More than the ring holds within one round: nothing of it is lost. */
	for (int i = 0; i < 3 * EVENTS_RING + 7; i++)
		event_note(&m, EVENT_HELD, ABOUT_ALL, "growth", "%d", i);
	events_flush(&m);
	b = contents(&m, EVENTS_FILE);
	is_int(lines(&b), 3 * EVENTS_RING + 7, "a burst larger than the ring is whole");
	buf_free(&b);
	/* Killed in the middle of a line. */
	fd = openat(m.state_fd, EVENTS_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
	ok(write(fd, "{\"at\":\"20", 9) == 9, "a torn line");
	close(fd);
	end(&m);
	m = manager();
	event_note(&m, EVENT_MANAGER, ABOUT_ALL, "started", "again");
	events_flush(&m);
	b = contents(&m, EVENTS_FILE);
	ok(str_find(buf_str(&b), "{\"at\":\"20\n{\"at\":\"2") > 0, "spoils no other");
	buf_free(&b);
	/* Turned over, and bounded. */
	unlinkat(m.state_fd, EVENTS_FILE, 0);
	end(&m);
	m = manager();
	for (int i = 0; i < 40000; i++) {
		event_note(&m, EVENT_MACHINE, ABOUT_ALL, "x", "%0200d", i);
		if (i % 10 == 0)
			events_flush(&m);
	}
	events_flush(&m);
	b = contents(&m, EVENTS_FILE);
	old = contents(&m, EVENTS_FILE_OLD);
	ok(b.n < EVENTS_FILE_MAX && old.n >= EVENTS_FILE_MAX && old.n < EVENTS_FILE_MAX + 100000, "two files, each bounded: %zu, %zu", b.n, old.n);
	ok(lines(&b) > 0 && lines(&old) > 0, "all lines of both are whole");
	ok(str_find(buf_str(&b), "0039999\"") > 0, "the last is there");
	buf_free(&b);
	buf_free(&old);
	ok(fstatat(m.state_fd, EVENTS_FILE, &st, 0) == 0 && (st.st_mode & 0777) == 0600, "mode 0600");
	end(&m);
}

static void
take(void *ctx, struct str line)
{
	buf_putstr(ctx, line);
}

static void
test_no_file(void)
{
	struct manager m = { 0 };
	struct err e = { 0 };
	struct buf b = { 0 };

	unlinkat(AT_FDCWD, dir, 0);
	m.store = dir;
	m.state_fd = fs_opendir(AT_FDCWD, dir, &e);
	unlinkat(m.state_fd, EVENTS_FILE, 0);
	/* A directory in its place: what a full disk does is the same refusal. */
	ok(mkdirat(m.state_fd, EVENTS_FILE, 0700) == 0, "the file cannot be opened");
	events_open(&m);
	for (int i = 0; i < 1000; i++)
		event_note(&m, EVENT_HELD, ABOUT_ALL, "limit", "%d", i);
	events_flush(&m);
	events_each(&m, 3, take, &b);
	is_int(lines(&b), 3, "memory still answers");
	ok(str_find(buf_str(&b), "\"999\"") > 0, "with the newest");
	buf_free(&b);
	unlinkat(m.state_fd, EVENTS_FILE, AT_REMOVEDIR);
	end(&m);
}

int
main(void)
{
	struct err e = { 0 };

	log_setup(LOG_FATAL, LOG_RUNNER);
	if (mkdtemp(dir) == NULL)
		return 1;
	test_line();
	test_file();
	test_no_file();
	fs_remove_tree(AT_FDCWD, dir, &e);
	return done_testing();
}
