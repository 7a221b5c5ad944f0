/* policy/simulate: small histories whose outcome can be worked out by hand, and large ones that must add up. */
#include <math.h>

#include "catalog/clouds.h"
#include "core/mono.h"
#include "policy/simulate.h"
#include "tap.h"

#define S	NSEC_SEC

static struct sim_config
config(void)
{
	struct sim_config c = {
		.policy = scale_policy_default(), .boot = 90 * S, .removal = 10 * S, .long_poll = 50 * S,
		.price_per_hour = 0.1, .seed = 1,
	};

	c.policy.idle_time = 600 * S;
	c.policy.limit = 20;
	return c;
}

static bool
near(double got, double want)
{
	return fabs(got - want) < 1e-6 * (1 + fabs(want));
}

/* Three jobs at once, nothing there: three machines, each waits for its boot. */
static void
test_on_demand(void)
{
	struct sim_job jobs[] = { { 0, 100 * S }, { 0, 100 * S }, { 0, 300 * S } };
	struct sim_config c = config();
	struct sim_result r = simulate(&c, jobs, 3);

	is_int((long long)r.created, 3, "one machine a job");
	is_int(r.wait_p50, 90 * S, "each waits for the boot");
	is_int(r.wait_max, 90 * S, "... and no longer");
	is_int(r.end, 390 * S, "the end of the last job");
	ok(near(r.busy_hours, 500.0 / 3600), "busy hours are the jobs' own");
	ok(near(r.machine_hours, 3 * 390.0 / 3600), "machine hours to the end of the history");
	ok(near(r.paid_hours, r.machine_hours) && near(r.money, r.paid_hours * 0.1), "billed by the second");
	sim_result_free(&r);

	c.billing.unit = 3600 * S;
	r = simulate(&c, jobs, 3);
	ok(near(r.paid_hours, 3), "billed by the hour: three started hours");
	sim_result_free(&r);

	/* the fourth job comes while a machine is idle, the fifth after it is gone */
	struct sim_job more[] = { { 0, 100 * S }, { 200 * S, 100 * S }, { 3000 * S, 50 * S } };

	c = config();
	r = simulate(&c, more, 3);
	is_int((long long)r.created, 2, "an idle machine is used again, one that is gone is not");
	is_int((long long)r.removed, 1, "IdleTime is over once");
	is_int(r.wait_p50, 90 * S, "waits of 0, 90 and 90 s");
	/* 0 to 300 with jobs, 600 idle, a nanosecond to exceed it, 10 s of removal; 3000 to 3140 */
	ok(near(r.machine_hours, (910.0 + 140.0) / 3600), "the removed machine is paid until it is gone");
	sim_result_free(&r);
}

/* Issue 3's burst: 12 jobs against IdleCount 2. */
static void
test_burst(void)
{
	struct sim_job jobs[12];
	struct sim_config c = config();
	struct sim_result better, compat;

	for (int i = 0; i < 12; i++)
		jobs[i] = (struct sim_job){ 1000 * S, 600 * S };
	c.policy.idle_count = 2;
	c.samples = 50;
	better = simulate(&c, jobs, 12);
	is_int(better.wait_max, 90 * S, "every job starts within one boot");
	is_int(better.wait_p50, 90 * S, "two at once, ten after it");
	is_int((long long)better.created, 14, "two idle, ten for the jobs, two to be idle again");
	c.policy.rules = SCALE_COMPAT;
	compat = simulate(&c, jobs, 12);
	ok(compat.wait_max >= 4 * better.wait_max, "the original takes %.0f s for the last one",
	    (double)compat.wait_max / 1e9);
	ok(compat.unfinished == 0 && better.unfinished == 0, "both finish");
	sim_result_free(&better);
	sim_result_free(&compat);
}

/*
 * A short job every five minutes, five machines idle: the sixth, made when the first job began, is there for all of
 * them. Without lingering each job's end sends a machine away and each beginning makes one.
 */
static void
test_linger(void)
{
	static struct sim_job jobs[288];
	struct sim_config c = config();
	struct sim_result r;

	for (int i = 0; i < 288; i++)
		jobs[i] = (struct sim_job){ (1000 + 300 * i) * S, 60 * S };
	c.policy.idle_count = 5;
	r = simulate(&c, jobs, 288);
	is_int((long long)r.created, 6, "one machine more than is kept idle serves a job every five minutes");
	is_int(r.wait_p95, 0, "... and nobody but the very first waits");
	sim_result_free(&r);
	c.policy.rules &= ~(unsigned)SCALE_LINGER;
	r = simulate(&c, jobs, 288);
	ok(r.created > 280, "without lingering %zu are made", r.created);
	sim_result_free(&r);
}

static uint64_t seed = 42;

static double
uniform(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static void
test_large(void)
{
	static struct sim_job jobs[5000];
	struct sim_config c = config();
	struct sim_result r, again;
	double busy = 0, work = 0, stack = 0;
	int over = 0;

	for (size_t i = 0; i < NELEM(jobs); i++) {
		jobs[i].arrival = (int64_t)(uniform() * 86400) * S;
		jobs[i].duration = (int64_t)(10 + uniform() * 300) * S;
		work += (double)jobs[i].duration / 3600e9;
	}
	c.boot_spread = 0.3;
	c.boot_failures = 0.05;
	c.policy.idle_count = 3;
	c.policy.limit = 25;
	c.policy.max_builds = 20;
	c.concurrent = 22;
	c.samples = 100;
	r = simulate(&c, jobs, NELEM(jobs));
	is_int((long long)r.unfinished, 0, "5000 jobs, failures and MaxBuilds: all finish");
	ok(near(r.busy_hours, work), "busy hours are the sum of the durations");
	ok(r.peak_machines <= 25, "never more machines than limit (%d)", r.peak_machines);
	ok(r.failed > 10 && r.created > 250, "%zu created, %zu failed", r.created, r.failed);
	ok(r.wait_p50 <= r.wait_p95 && r.wait_p95 <= r.wait_p99 && r.wait_p99 <= r.wait_max && r.wait_mean > 0,
	    "percentiles in order");
	for (size_t i = 0; i < r.ntimeline; i++) {
		double width = (double)(r.timeline[1].from - r.timeline[0].from) / 3600e9;

		busy += r.timeline[i].busy * width;
		stack += (r.timeline[i].busy + r.timeline[i].idle + r.timeline[i].coming +
		    r.timeline[i].removing) * width;
		over += r.timeline[i].busy > 22 + 1e-9;
	}
	ok(fabs(busy - work) < 1e-6 * work, "the timeline's busy area is the work (%.3f h)", busy);
	ok(fabs(stack - r.machine_hours) < 1e-6 * stack, "its whole area is the machine hours (%.3f h)", stack);
	is_int(over, 0, "never more jobs at once than concurrent");
	again = simulate(&c, jobs, NELEM(jobs));
	ok(again.created == r.created && again.wait_mean == r.wait_mean && again.machine_hours == r.machine_hours &&
	    again.decisions == r.decisions, "the same once more");
	sim_result_free(&again);
	sim_result_free(&r);
}

/* Days and nights by periods: the machines kept idle come and go with the hour. */
static const struct tz *
no_zone(void *ctx, struct str name, bool *utc_ok)
{
	(void)ctx;
	(void)name;
	*utc_ok = true;
	return NULL;
}

static void
test_periods(void)
{
	static const struct str day[] = { { "* * 8-19 * * * *", 16 } };
	const struct periods_section_config section = { day, 1, { "UTC", 3 }, 15, { 5, 0, 0, 300 * S } };
	struct periods_config pc = { { 0, 0, 0, 300 * S }, &section, 1, false, no_zone, NULL };
	struct sim_job jobs[2] = { { 0, S }, { 47 * 3600 * S, S } };
	struct sim_config c = config();
	struct sim_result r;
	struct arena a = { 0 };
	struct buf w = { 0 };
	struct periods p;
	struct err e;

	ok(periods_compile(&a, &pc, 1772409600, &p, &w, &e) == 0, "a period from 8 to 20 h");
	c.periods = &p;
	c.start = wall_of_seconds(1772409600);	/* 2026-03-02 00:00 UTC */
	c.samples = 48;
	r = simulate(&c, jobs, 2);
	ok(r.timeline[5].idle < 0.1 && near(r.timeline[12].idle, 5) && r.timeline[22].idle < 0.1 &&
	    near(r.timeline[36].idle, 5), "none at night, five by day: %.2f %.2f %.2f %.2f", r.timeline[5].idle,
	    r.timeline[12].idle, r.timeline[22].idle, r.timeline[36].idle);
	sim_result_free(&r);
	arena_reset(&a);
	buf_free(&w);
}

static void
test_odd(void)
{
	struct sim_job job = { 5 * S, 10 * S }, holidays[] = { { 0, 10 * S }, { 20 * 86400 * S, 10 * S } };
	struct sim_config c = config();
	struct sim_result r = simulate(&c, NULL, 0);

	is_int((long long)r.created, 0, "no jobs, no machines");
	sim_result_free(&r);
	r = simulate(&c, holidays, 2);
	is_int((long long)r.unfinished, 0, "a job that comes after three weeks of rest is run like any other");
	sim_result_free(&r);
	c.boot_failures = 1;
	r = simulate(&c, &job, 1);
	is_int((long long)r.unfinished, 1, "a cloud that always fails: the job is unfinished, the simulation is not");
	ok(r.failed > 5 && r.failed < 2000, "... and the back-off kept it to %zu tries in a week", r.failed);
	sim_result_free(&r);
	c = config();
	c.policy.rules = SCALE_COMPAT;
	c.concurrent = 1;
	r = simulate(&c, &job, 1);
	is_int((long long)r.unfinished, 0, "the original's mode on demand");
	is_int(r.wait_max, 90 * S, "... waits for the boot");
	sim_result_free(&r);
	c = config();
	c.growth_per_second = 0.01;
	c.growth_burst = 1;
	struct sim_job four[] = { { 0, S }, { 0, S }, { 0, 2000 * S }, { 0, 2000 * S } };

	r = simulate(&c, four, 4);
	/* the machine of t = 0 takes three jobs (90, 91, 92 s); the one of t = 100 s, the next token, the fourth */
	is_int((long long)r.created, 2, "paced creation: two machines");
	is_int(r.wait_max, 190 * S, "... the second a hundred seconds after the first");
	sim_result_free(&r);
}

static void
test_csv(void)
{
	static const struct { const char *text; long long n; const char *says; } cases[] = {
		{ "arrival_seconds,duration_seconds\n0,4\n0.5,30\n", 2, NULL },
		{ "1,2", 1, NULL }, { "", 0, NULL }, { "\n\n1,2\r\n\n", 1, NULL }, { "\xef\xbb\xbf" "1,2\n", 1, NULL },
		{ "\n job , Duration_Seconds,\"arrival_seconds\"\nx,7,1\n", 1, NULL },
		{ "1,2,3\n", 1, NULL }, { " 1 , \"2\" \n", 1, NULL }, { "0,2000000000", 1, NULL },
		{ "1,2\n3", -1, "line 2 is \"3\": column 2, duration_seconds, is missing" },
		{ "1;2\n", -1, "line 1, column 1: arrival_seconds is \"1;2\": write seconds" },
		{ "1,-2\n", -1, "line 1, column 2: duration_seconds is \"-2\"" }, { "-1,2\n", -1, "line 1, column 1" },
		{ "+1,2\n", -1, "line 1" }, { ",2\n", -1, "arrival_seconds is \"\"" },
		{ "1.2x,3", -1, "line 1" }, { "1.,3", 1, NULL }, { "2000000001,1", -1, "line 1" },
		{ "1,2\narrival_seconds,duration_seconds\n", -1, "line 2, column 1" },
		{ "arrival,duration\n1,2\n", -1, "line 1 is \"arrival,duration\"" },
		{ "arrival_seconds;duration_seconds\n", -1, "begin the file with arrival_seconds,duration_seconds" },
	};
	struct sim_job *jobs;
	struct err e;

	for (size_t i = 0; i < NELEM(cases); i++) {
		jobs = NULL;
		e = (struct err){ 0 };
		is_int(sim_read_csv(str_from(cases[i].text), &jobs, &e), cases[i].n, "csv %zu %s", i, e.msg);
		if (cases[i].says != NULL)
			ok(strstr(e.msg, cases[i].says) != NULL, "... says where");
		free(jobs);
	}
	ok(sim_read_csv(STR("0.123456789,1.5"), &jobs, &e) == 1 && jobs[0].arrival == 123456789 &&
	    jobs[0].duration == 1500000000, "decimals to the nanosecond");
	free(jobs);
	ok(sim_read_csv(STR("duration_seconds,x,arrival_seconds\n5,,7\n"), &jobs, &e) == 1 && jobs[0].arrival == 7 * S &&
	    jobs[0].duration == 5 * S, "columns by their names");
	free(jobs);
}

static void
test_pictures(void)
{
	struct sim_job jobs[] = { { 0, 3600 * S }, { 600 * S, 3600 * S } };
	struct sim_config c = config();
	struct buf b = { 0 };
	struct sim_result r;
	struct str text;
	int lines = 0;

	c.samples = 200;
	r = simulate(&c, jobs, 2);
	sim_sketch(&r, 60, 8, &b);
	text = buf_str(&b);
	while (text.p != NULL) {
		struct str line = str_cut(&text, '\n');

		lines += line.n > 0;
		if (line.n > 0 && line.n != 68 && str_find(line, "coming") < 0 && str_find(line, "m ") < 0)
			ok(false, "a line of %zu columns", line.n);
	}
	is_int(lines, 11, "a sketch of eight rows, the waiting, the hours and the key");
	for (int width = 1; width < 70; width++) {
		buf_clear(&b);
		sim_sketch(&r, width, 2, &b);
		text = buf_str(&b);
		for (int k = 0; k < 3; k++)
			str_cut(&text, '\n');
		if (str_cut(&text, '\n').n > 8 + (size_t)(width > 5 ? width : 5))
			ok(false, "hours beyond a sketch of %d columns", width);
	}
	buf_clear(&b);
	sim_sketch(&r, 60, 8, &b);
	ok(strchr(b.p, '#') != NULL && strchr(b.p, '+') != NULL, "... with busy and coming machines");
	buf_clear(&b);
	sim_svg(&r, "a < b & \"c\"", &b);
	ok(strstr(b.p, "<title>a &lt; b &amp; &quot;c&quot;</title>") != NULL && strstr(b.p, "nan") == NULL &&
	    strstr(b.p, "inf") == NULL && str_ends(buf_str(&b), "</svg>\n"), "an SVG, its title quoted");
	sim_result_free(&r);
	buf_clear(&b);
	sim_sketch(&r, 60, 8, &b);
	sim_svg(&r, "", &b);
	is_int((long long)b.n, 0, "no timeline, no picture");
	buf_free(&b);
}

/* The bill by each rule (spec cloud-drivers 12). */
static void
test_billing(void)
{
	const int64_t hour = 3600 * S, month = 730 * hour;
	static const struct { const char *driver; int64_t life_s; double price; int64_t paid_s; } cases[] = {
		{ "digitalocean", 10, 1, 60 }, { "digitalocean", 61, 1, 61 },
		/* a cent is the least: 0.01 / 0.06 of an hour */
		{ "digitalocean", 10, 0.06, 600 }, { "digitalocean", 601, 0.06, 601 },
		{ "digitalocean", 700 * 3600, 1, 672 * 3600 }, { "digitalocean", 731 * 3600, 1, 673 * 3600 },
		{ "google", 59, 1, 60 }, { "google", 61, 1, 61 }, { "google", 730 * 3600, 1, 730 * 3600 },
		{ "amazonec2", 0, 1, 60 },
		{ "hetzner", 1, 1, 3600 }, { "hetzner", 3600, 1, 3600 }, { "hetzner", 3601, 1, 7200 },
		{ "exoscale", 1, 1, 1 }, { "linode", 1, 1, 3600 },
	};
	struct billing exact = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++) {
		const struct billing *b = catalog_billing(catalog_find(str_from(cases[i].driver)));

		is_int(billing_paid(b, cases[i].life_s * S, cases[i].price) / S, cases[i].paid_s, "%s charges %lld s for %lld",
		    cases[i].driver, (long long)cases[i].paid_s, (long long)cases[i].life_s);
	}
	is_int(billing_paid(&exact, month, 1), month, "without a rule: what it lived");
	is_int(billing_paid(&exact, -5, 1), 0, "never less than nothing");
	ok(catalog_billing(&catalog_generic) == NULL, "no rule for a driver that costs nothing");
	ok(catalog_price(&catalog_digitalocean, STR("s-4vcpu-8gb")) != NULL && catalog_price(&catalog_google, STR("s-4vcpu-8gb")) == NULL,
	    "prices by driver and size");
}

int
main(void)
{
	test_billing();
	test_on_demand();
	test_burst();
	test_linger();
	test_large();
	test_periods();
	test_odd();
	test_csv();
	test_pictures();
	return done_testing();
}
