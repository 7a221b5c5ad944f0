/* cmd/watch: foreign text is harmless, ages are short, tables fit, events are sentences. */
#include "cmd/watch.h"
#include "tap.h"

static struct buf b;

static const char *
clean(const char *s)
{
	buf_clear(&b);
	buf_puts(&b, "");
	watch_put_clean(&b, s);
	return b.p != NULL ? b.p : "";
}

static void
test_words(void)
{
	static const struct { int64_t seconds; const char *want; } ages[] = {
		{ 0, "0s" }, { 59, "59s" }, { 60, "1m0s" }, { 3599, "59m59s" }, { 3600, "1h0m" }, { 86399, "23h59m" }, { 90000, "1d1h" }, { -5, "0s" },
	};
	wall_t now = wall_now();

	is_str(clean("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?", "control characters");
	is_str(clean("\xc2\x9b" "31m"), "?31m", "those of eight bits");
	is_str(clean("gr\xc3\xbc\xc3\x9f \xff"), "gr\xc3\xbc\xc3\x9f ?", "other text stays, broken bytes do not");
	for (size_t i = 0; i < NELEM(ages); i++) {
		buf_clear(&b);
		watch_put_age(&b, wall_add(now, -ages[i].seconds * NSEC_SEC), now);
		is_str(b.p, ages[i].want, "%lld s", (long long)ages[i].seconds);
	}
	buf_clear(&b);
	watch_put_age(&b, WALL_UNKNOWN, now);
	is_str(b.p, "-", "never");
	is_int((long long)watch_columns(STR("gr\xc3\xbc\xc3\x9f")), 4, "columns are characters");
}

static void
test_table(void)
{
	struct watch_table t = { .ncolumns = 3 };
	static const char *const cells[] = { "A", "BB", "NOTE", "long-name", "", "x\ty", "s", "b", "" };

	for (size_t i = 0; i < NELEM(cells); i++)
		watch_cell_text(&t, cells[i]);
	buf_clear(&b);
	watch_table_put(&t, &b, 0, 0);
	is_str(b.p, "A          BB  NOTE\nlong-name  -   x?y\ns          b   -\n", "columns are aligned, nothing trails");
	buf_clear(&b);
	watch_table_put(&t, &b, 12, 0);
	is_str(b.p, "A          \xe2\x80\xa6\nlong-name  \xe2\x80\xa6\ns          \xe2\x80\xa6\n", "lines are cut, which is said");
	buf_clear(&b);
	watch_table_put(&t, &b, 0, 2);
	is_str(b.p, "A          BB  NOTE\n... 2 more\n", "and so are rows, which is said");
	watch_table_free(&t);
}

static void
add_job(struct view_job *j, const char *id, const char *machine, const char *waiting)
{
	*j = (struct view_job){ .id = id, .pool = "p", .state = machine[0] != '\0' ? "running" : "waiting", .name = "a job of a rather long name",
	    .ci_stage = "", .project = "group/project", .url = "", .machine = machine, .waiting_why = "", .waiting = waiting, .stage = "step_script",
	    .result = "", .result_text = "" };
}

/* 80 columns: names by their ends, the note is there, what is cut is marked (configuration.md section 4, point 7). */
static void
test_narrow(void)
{
	static struct view_machine m[3] = {
		{ .name = "runner-abcdefghi-auto-1764415678-82d26e6a", .state = "used", .job = "17", .uses = 3 },
		{ .name = "runner-abcdefghi-auto-1764415699-11d26e6a", .state = "creating", .phase = "booted", .job = "" },
		{ .name = "by-hand-1", .state = "idle", .job = "" },
	};
	static struct view_job j[2];
	struct view v = { .machines = m, .nmachines = 3, .jobs = j, .njobs = 2, .alive = true };
	struct watch_table t = { .n = 0 };
	wall_t now = wall_now();

	for (size_t i = 0; i < NELEM(m); i++) {
		m[i].pool = "p";
		m[i].operation = m[i].error = m[i].why = m[i].zone = m[i].region = m[i].project = m[i].type = "";
		m[i].phase = m[i].phase != NULL ? m[i].phase : "";
		m[i].since = m[i].created = wall_add(now, -5 * NSEC_SEC);
	}
	add_job(&j[0], "17", m[0].name, "");
	add_job(&j[1], "18", "", "Waiting for a machine: the cloud account may have no more machines (limit)");
	j[1].arrived = wall_add(now, -70 * NSEC_SEC);
	j[1].waiting_until = wall_add(now, 48 * NSEC_SEC);
	buf_clear(&b);
	watch_table_machines(&t, &v, WATCH_NARROW, now);
	watch_table_put(&t, &b, 80, 0);
	is_str(b.p, "MACHINE    STATE     SINCE  AGE  JOBS  JOB  NOTE\n"
	    "\xe2\x80\xa6" "82d26e6a  used      5s     5s   3     17\n"
	    "\xe2\x80\xa6" "11d26e6a  creating  5s     5s   0     -    reached: booted\n"
	    "by-hand-1  idle      5s     5s   0     -\n", "machines");
	watch_table_free(&t);
	t = (struct watch_table){ .n = 0 };
	buf_clear(&b);
	watch_table_jobs(&t, &v, WATCH_NARROW, now);
	watch_table_put(&t, &b, 80, 0);
	is_str(b.p, "JOB  STATE    SINCE  MACHINE    NAME                  NOTE\n"
	    "18   waiting  1m10s  -          a job of a rather l\xe2\x80\xa6  the cloud account may hav\xe2\x80\xa6\n"
	    "17   running  -      \xe2\x80\xa6" "82d26e6a  a job of a rather l\xe2\x80\xa6  step_script\n", "jobs");
	buf_clear(&b);
	watch_put_waiting(&b, &j[1], now);
	is_str(b.p, "Waiting for a machine: the cloud account may have no more machines (limit); next try in 48s", "until when");
	watch_table_free(&t);
	ok(watch_table_empty(&(struct watch_table){ .ncolumns = 2, .n = 2 }), "a heading alone");
}

/* Row 53: a living manager's old snapshot says so; ages are as of then. */
static void
test_stale(void)
{
	wall_t now = wall_now();
	struct view v = { .alive = true, .snapshot = true, .stale = "the disk is full", .at = wall_add(now, -39 * NSEC_SEC) };

	buf_clear(&b);
	watch_put_dead(&b, &v, "/x", now);
	is_str(b.p, "As of 39s ago: the disk is full. No job is asked for until it has room.\n", "an old snapshot");
	ok(wall_equal(watch_as_of(&v, now), v.at), "ages as of then");
	v.stale = NULL;
	ok(wall_equal(watch_as_of(&v, now), now), "of a fresh one as of now");
}

/* Rows 44, 45 and 57: the true cause, and the last error of a creation. */
static void
test_notes(void)
{
	wall_t now = wall_now();
	struct view_pool p = { .configured = true, .disabled = "", .held = "quota", .short_by = 1, .create_failures = 1, .create_not_before = now,
	    .held_text = "the cloud account may have no more machines (droplet limit)", .held_until = wall_add(now, 48 * NSEC_SEC), .create_error = "droplet limit",
	    .ask_why = "", .ask_text = "", .trouble = "" };
	struct view_machine m = { .state = "creating", .phase = "requested", .why = "", .error = "", .throttled_until = { 1764415690 * NSEC_SEC } };

	buf_clear(&b);
	watch_pool_note(&b, &p, now);
	is_str(b.p, "1 machine fewer than wanted: the cloud account may have no more machines (droplet limit), next try in 48s", "quota is quota");
	p.held = "back-off";
	p.create_error = "GET https://mirror: no such host";
	p.create_not_before = wall_add(now, 50 * NSEC_SEC);
	buf_clear(&b);
	watch_pool_note(&b, &p, now);
	is_str(b.p, "creating failed 1 time in a row, next try in 50s; the last error: GET https://mirror: no such host", "the last error");
	buf_clear(&b);
	watch_machine_note(&b, &m, wall_of_seconds(1764415680));
	is_str(b.p, "reached: requested; the cloud asks to wait until 11:28:10 UTC", "throttling is throttling");
	p = (struct view_pool){ .configured = true, .disabled = "", .held = "", .ask_why = "", .ask_text = "", .trouble = "the disk is full: no job is asked for" };
	buf_clear(&b);
	watch_pool_note(&b, &p, now);
	is_str(b.p, "the disk is full: no job is asked for", "no job is asked for");
}

static void
test_events(void)
{
	struct view v = { .pid = 0 };
	static const struct { struct event_record ev; const char *self, *want; } cases[] = {
		{ { { 1 }, "create", "p", "m-1", "", "waiting", "1 job waiting" }, NULL, "m-1 is to be made: 1 job waiting" },
		{ { { 1 }, "create", "p", "m-1", "", "waiting", "1 job waiting" }, "m-1", "is to be made: 1 job waiting" },
		{ { { 1 }, "phase", "p", "m-1", "", "booted", "" }, "m-1", "has come to booted" },
		{ { { 1 }, "assign", "p", "m-1", "42", "oldest", "the oldest" }, "m-1", "gets job 42: the oldest" },
		{ { { 1 }, "assign", "p", "m-1", "42", "oldest", "the oldest" }, "42", "gets m-1: the oldest" },
		{ { { 1 }, "ended", "p", "m-1", "42", "success", "" }, NULL, "job 42 ended on m-1: success" },
		{ { { 1 }, "ended", "p", "m-1", "42", "success", "" }, "m-1", "has run job 42: success" },
		{ { { 1 }, "held", "p", "", "", "growth", "2 fewer" }, NULL, "p: creating is held back: 2 fewer" },
		{ { { 1 }, "manager", "", "", "", "started", "windlass 1" }, NULL, "windlass: started: windlass 1" },
		{ { { 1 }, "of-a-newer-one", "p", "m-1", "", "x", "text\n" }, NULL, "m-1 of-a-newer-one: text?" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		watch_event_text(&b, &v, &cases[i].ev, cases[i].self);
		is_str(b.p, cases[i].want, "%s", cases[i].want);
	}
}

int
main(void)
{
	test_words();
	test_table();
	test_narrow();
	test_stale();
	test_notes();
	test_events();
	buf_free(&b);
	return done_testing();
}
