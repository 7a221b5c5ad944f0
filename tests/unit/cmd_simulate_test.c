/* cmd/simulate: settings and sweeps, and what is made of records and tables of past jobs. */
#include <fcntl.h>
#include <unistd.h>

#include "books/history.h"
#include "cmd/cmd.h"
#include "cmd/simulate.h"
#include "core/fs.h"
#include "tap.h"

#define S	NSEC_SEC

static void
test_sweep(void)
{
	static const char *const good[] = { "IdleCount=0,5,20", "idletime=600,30m", "ScalingRules=better,compat,better+no-pace", "limit = 7 " };
	struct sweep s = { 0 };
	struct sim_config c = { .policy = scale_policy_default() };
	struct buf text = { 0 };
	struct err e = { 0 };

	is_int((long long)sweep_runs(&s), 1, "nothing set: one run");
	for (size_t i = 0; i < NELEM(good); i++)
		ok(sweep_add(&s, good[i], &e) == 0, "%s %s", good[i], e.msg);
	is_int((long long)sweep_runs(&s), 18, "all combinations");
	ok(sweep_has(&s, "IdleTime") && !sweep_has(&s, "MaxBuilds"), "what is set");
	sweep_apply(&s, 0, &c);
	ok(c.policy.idle_count == 0 && c.policy.idle_time == 600 * S && c.policy.rules == SCALE_BETTER && c.policy.limit == 7, "the first");
	sweep_apply(&s, 1, &c);
	ok(c.policy.idle_count == 0 && c.policy.idle_time == 600 * S && c.policy.rules == SCALE_COMPAT, "the last set turns fastest");
	sweep_apply(&s, 17, &c);
	ok(c.policy.idle_count == 20 && c.policy.idle_time == 1800 * S && c.policy.rules == (SCALE_BETTER & ~SCALE_PACE), "the last");
	settings_print(&c, &text);
	is_str(text.p, "IdleCount 20, IdleTime 30m0s, limit 7", "in words");
	buf_free(&text);
	sweep_free(&s);
}

static void
test_sweep_errors(void)
{
	static const struct { const char *arg, *says; } bad[] = {
		{ "IdleCount", "write --set KEY=VALUE" }, { "Idlecont=1", "there is no such setting; there are IdleCount," },
		{ "IdleCount=", "\"\" is not a whole number from 0 up" }, { "IdleCount=1,", "is not a whole number" },
		{ "IdleCount=-1", "\"-1\"" }, { "IdleCount=1.5", "\"1.5\"" }, { "IdleCount=99999999999", "is not" },
		{ "IdleTime=-5s", "\"-5s\" is not seconds, or a time such as 10m" }, { "IdleTime=ten", "is not seconds" },
		{ "IdleScaleFactor=nan", "is not a number" }, { "IdleScaleFactor=0x10", "is not a number" }, { "IdleScaleFactor=1e99", "is not a number" },
		{ "price=-1", "is not a number" }, { "Preemptive=maybe", "is not true or false" }, { "ScalingRules=bettre", "is not better, compat" },
		{ "ScalingRules=", "is not better" },
	};
	struct sweep s = { 0 };
	struct err e;

	for (size_t i = 0; i < NELEM(bad); i++) {
		e = (struct err){ 0 };
		ok(sweep_add(&s, bad[i].arg, &e) < 0 && strstr(e.msg, bad[i].says) != NULL, "--set %s: %s", bad[i].arg, e.msg);
	}
	is_int((long long)s.n, 0, "nothing of these was taken");
	ok(sweep_add(&s, "limit=1", &e) == 0 && sweep_add(&s, "LIMIT=2", &e) < 0 && strstr(e.msg, "stands twice") != NULL, "not twice");
	ok(sweep_add(&s, "IdleCount=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", &e) == 0 &&
	    sweep_add(&s, "MaxBuilds=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", &e) < 0 && strstr(e.msg, "272 combinations") != NULL, "a bound: %s", e.msg);
	sweep_free(&s);
}

static void
test_help(void)
{
	const char *name;

	for (size_t i = 0; (name = settings_name(i)) != NULL; i++)
		if (strstr(cmd_simulate_usage.about, name) == NULL)
			ok(false, "--help does not name the setting %s", name);
	ok(settings_name(0) != NULL, "--help names the settings");
}

/* So long after 2026-03-01T12:00:00Z. */
static wall_t
noon(int64_t seconds)
{
	return wall_of_seconds(1772366400 + seconds);
}

static void
put_job(struct buf *b, const char *id, const char *runner, int64_t queued_s, int64_t waited_s, int64_t ran_s)
{
	struct history_record r = { .what = HISTORY_JOB, .name = str_from(id), .runner = str_from(runner), .queued = noon(queued_s),
	    .arrived = noon(queued_s + 1), .started = waited_s < 0 ? WALL_UNKNOWN : noon(queued_s + waited_s),
	    .at = noon(queued_s + (waited_s < 0 ? 1 : waited_s) + ran_s) };

	history_print(&r, b);
}

static void
put_machine(struct buf *b, enum history_what what, const char *name, int64_t made_s, int64_t at_s)
{
	struct history_record r = { .what = what, .name = str_from(name), .runner = STR("aaaaaaaa"), .made = noon(made_s), .at = noon(at_s) };

	history_print(&r, b);
}

static void
test_record(void)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	struct past p;

	put_job(&b, "2", "aaaaaaaa", 100, 90, 50);
	put_job(&b, "1", "aaaaaaaa", 0, 30, 100);
	put_job(&b, "1", "aaaaaaaa", 0, 30, 100);	/* twice, as after a death */
	put_job(&b, "3", "aaaaaaaa", 50, -1, 0);	/* never had a machine */
	put_job(&b, "4", "bbbbbbbb", 10, 5, 500);
	put_machine(&b, HISTORY_READY, "m0", -1000, -900);	/* before the first job, gone while it waits */
	put_machine(&b, HISTORY_GONE, "m0", -1000, 36);
	put_machine(&b, HISTORY_READY, "m1", 0, 90);	/* gone within */
	put_machine(&b, HISTORY_GONE, "m1", 0, 180);
	put_machine(&b, HISTORY_READY, "m2", 60, 190);	/* still there */
	put_machine(&b, HISTORY_FAILED, "m3", 60, 70);
	buf_puts(&b, "{\"what\":\"job\",\"na");
	ok(past_read("f", buf_str(&b), "aaaaaaaa", WALL_UNKNOWN, &p, &e) == 0, "a record: %s", e.msg);
	ok(p.n == 2 && p.never == 1 && p.skipped == 1 && p.record && wall_equal(p.start, noon(0)), "two jobs, one without a machine, a torn line");
	ok(p.jobs[0].arrival == 0 && p.jobs[0].duration == 100 * S && p.jobs[1].arrival == 100 * S && p.jobs[1].duration == 50 * S,
	    "by arrival in GitLab, counted from the first");
	ok(p.truth.wait_mean == 60 * S && p.truth.wait_p50 == 30 * S && p.truth.wait_max == 90 * S && p.truth.jobs == 2, "how long they waited");
	ok(p.truth.made == 2 && p.truth.failed == 1, "machines of that time");
	/* to 240 s, the last end: m0 36, m1 180, m2 180 s */
	ok(p.truth.machine_hours > 396 / 3600.0 - 1e-9 && p.truth.machine_hours < 396 / 3600.0 + 1e-9, "their hours: %.4f", p.truth.machine_hours * 3600);
	is_int((long long)p.peak_at_once, 1, "job 1 would have ended when job 2 came");
	past_free(&p);
	ok(past_read("f", buf_str(&b), NULL, WALL_UNKNOWN, &p, &e) == 0 && p.n == 3 && p.peak_at_once == 2, "of all runners");
	past_free(&p);
	ok(past_read("f", buf_str(&b), "aaaaaaaa", noon(60), &p, &e) == 0 && p.n == 1 && wall_equal(p.start, noon(100)), "since a minute later");
	past_free(&p);
	ok(past_read("f", buf_str(&b), "cccccccc", WALL_UNKNOWN, &p, &e) < 0 && strstr(e.msg, "it has jobs of aaaaaaaa, bbbbbbbb") != NULL, "%s", e.msg);
	ok(past_read("f", buf_str(&b), "aaaaaaaa", noon(6000), &p, &e) < 0 && strstr(e.msg, "since then") != NULL, "%s", e.msg);
	buf_free(&b);
}

static void
test_tables(void)
{
	struct err e = { 0 };
	struct past p;

	ok(past_read("t.csv", STR("arrival_seconds,duration_seconds\n100,10\n0,200\n150,10\n"), "ignored", WALL_UNKNOWN, &p, &e) == 0 && p.n == 3 && !p.record, "a table");
	ok(p.peak_at_once == 2 && p.span == 200 * S && p.jobs[0].arrival == 0, "in order, two at once");
	past_free(&p);
	ok(past_read("t.csv", STR("0,1\n1,x\n"), NULL, WALL_UNKNOWN, &p, &e) < 0 && strstr(e.msg, "t.csv: line 2, column 2: duration_seconds is \"x\"") != NULL, "%s", e.msg);
	ok(past_read("t.csv", STR("\n"), NULL, WALL_UNKNOWN, &p, &e) < 0 && strstr(e.msg, "no job in it") != NULL, "%s", e.msg);
	ok(past_load("/no/such/file", NULL, WALL_UNKNOWN, &p, &e) < 0 && strstr(e.msg, "/no/such/file") != NULL, "%s", e.msg);
}

static void
test_state(void)
{
	char path[] = "/tmp/simulate.XXXXXX";
	struct buf b = { 0 };
	struct err e = { 0 };
	struct past p;
	size_t n;
	int dir;

	if (mkdtemp(path) == NULL || (dir = fs_opendir(AT_FDCWD, path, &e)) < 0) {
		ok(false, "a directory");
		return;
	}
	ok(past_load_state(path, NULL, WALL_UNKNOWN, &p, &e) < 0 && strstr(e.msg, "history.jsonl does not exist: windlass writes it") != NULL, "%s", e.msg);
	is_int(past_boot(path, NULL, &n), 0, "no boot on record");
	put_machine(&b, HISTORY_READY, "m1", 0, 30);
	put_machine(&b, HISTORY_READY, "m2", 0, 50);
	put_machine(&b, HISTORY_READY, "m3", 0, 4000);
	put_machine(&b, HISTORY_FAILED, "m4", 0, 5000);
	put_job(&b, "1", "aaaaaaaa", 0, 30, 100);
	if (fs_write(dir, HISTORY_FILE, buf_str(&b), 0600, &e) < 0)
		ok(false, "write");
	is_int(past_boot(path, "aaaaaaaa", &n) / S, 50, "the median of what was measured");
	is_int((long long)n, 3, "of three");
	is_int(past_boot(path, "bbbbbbbb", &n), 0, "another pool's machines say nothing");
	ok(past_load_state(path, NULL, WALL_UNKNOWN, &p, &e) == 0 && p.n == 1, "a job of the state directory");
	past_free(&p);
	buf_free(&b);
	close(dir);
	fs_remove_tree(AT_FDCWD, path, &e);
}

static void
test_spans(void)
{
	static const struct { int64_t ns; const char *want; } cases[] = {
		{ 0, "0.0s" }, { S / 2, "0.5s" }, { 99 * S, "99.0s" }, { 100 * S, "1m40s" }, { 3599 * S, "59m59s" }, { 6000 * S, "1h40m" },
		{ 400000 * S, "111h07m" }, { INT64_MAX, "106752d" },
	};
	char out[SPAN_MAX];

	for (size_t i = 0; i < NELEM(cases); i++) {
		span_print(cases[i].ns, out);
		is_str(out, cases[i].want, "%lld ns", (long long)cases[i].ns);
	}
}

int
main(void)
{
	test_sweep();
	test_sweep_errors();
	test_help();
	test_record();
	test_tables();
	test_state();
	test_spans();
	return done_testing();
}
