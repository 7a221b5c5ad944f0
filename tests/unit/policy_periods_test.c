/* policy/periods: the table of spec machines 1.11, daylight saving, what is warned of and what is refused. */
#include "core/mono.h"
#include "policy/periods.h"
#include "tap.h"

#define S	NSEC_SEC

static struct tz berlin, sydney;

static const struct tz *
zone(void *ctx, struct str name, bool *utc_ok)
{
	(void)ctx;
	if (str_eqc(name, "Europe/Berlin"))
		return &berlin;
	if (str_eqc(name, "Australia/Sydney"))
		return &sydney;
	*utc_ok = str_eqc(name, "UTC") || name.n == 0;
	return NULL;
}

static int64_t
utc(int y, int mo, int d, int h, int mi, int s)
{
	return time_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

static wall_t
utc_time(int y, int mo, int d, int h, int mi, int s)
{
	return wall_of_seconds(utc(y, mo, d, h, mi, s));
}

/* One section with one expression. */
static int
compile(struct arena *a, const char *text, const char *tz, bool unix_syntax, struct periods *p,
    struct buf *warnings, struct err *e)
{
	struct str *one = arena_alloc(a, sizeof(*one));
	struct periods_section_config *s = arena_alloc(a, sizeof(*s));
	struct periods_config cfg = { .sections = s, .nsections = 1, .zone = zone, .unix_syntax = unix_syntax };

	*one = str_from(text);
	s->periods = one;
	s->nperiods = 1;
	s->timezone = str_from(tz);
	s->given = 15;
	s->values.idle_count = 7;
	return periods_compile(a, &cfg, utc(2026, 1, 1, 0, 0, 0), p, warnings, e);
}

static const struct {
	const char *text, *tz; int y, mo, d, h, mi, s, ms; bool in, unix_syntax;
} table[] = {
	/* the table of the spec */
	{ "* * 9-17 * * mon-fri *", "UTC", 2026, 3, 2, 8, 59, 58, 999, false, false },
	{ "* * 9-17 * * mon-fri *", "UTC", 2026, 3, 2, 8, 59, 59, 0, true, false },
	{ "* * 9-17 * * mon-fri *", "UTC", 2026, 3, 2, 17, 59, 58, 999, true, false },
	{ "* * 9-17 * * mon-fri *", "UTC", 2026, 3, 2, 17, 59, 59, 0, false, false },
	{ "* * * * * sat,sun *", "UTC", 2026, 3, 6, 23, 59, 59, 0, true, false },
	{ "* * * * * sat,sun *", "UTC", 2026, 3, 8, 23, 59, 59, 0, false, false },
	{ "* 9-17 * * mon-fri", "UTC", 2026, 3, 2, 12, 0, 30, 0, false, false },
	{ "* 9-17 * * mon-fri", "UTC", 2026, 3, 2, 12, 0, 59, 200, true, false },
	{ "* * 10-17 * * * *", "Europe/Berlin", 2026, 7, 1, 15, 30, 0, 0, true, false },
	{ "* * 10-17 * * * *", "Europe/Berlin", 2026, 7, 1, 16, 30, 0, 0, false, false },
	{ "* * 22-23,0-6 * * * *", "Europe/Berlin", 2026, 3, 2, 4, 30, 0, 0, true, false },
	{ "* * * 1-7 * mon *", "UTC", 2026, 3, 5, 12, 0, 0, 0, true, false },
	{ "* * * 1-7 * mon *", "UTC", 2026, 3, 9, 12, 0, 0, 0, true, false },
	{ "* * * 1-7 * mon *", "UTC", 2026, 3, 10, 12, 0, 0, 0, false, false },
	{ "* * * L * * *", "UTC", 2026, 2, 28, 12, 0, 0, 0, true, false },
	{ "* * * * * 5L *", "UTC", 2026, 2, 27, 12, 0, 0, 0, true, false },
	{ "* * * * * mon#1 *", "UTC", 2026, 3, 2, 12, 0, 0, 0, true, false },
	/* the clock goes from 02:00 to 03:00 on 29 March 2026 (01:00 UTC) and back on 25 October */
	{ "* * 2 * * * *", "Europe/Berlin", 2026, 3, 29, 0, 59, 58, 0, false, false },
	{ "* * 2 * * * *", "Europe/Berlin", 2026, 3, 29, 0, 59, 59, 0, false, false },
	{ "* * 3 * * * *", "Europe/Berlin", 2026, 3, 29, 0, 59, 59, 0, true, false },
	{ "* * 2 * * * *", "Europe/Berlin", 2026, 10, 25, 0, 30, 0, 0, true, false },
	{ "* * 2 * * * *", "Europe/Berlin", 2026, 10, 25, 1, 30, 0, 0, true, false },
	{ "* * 2 * * * *", "Europe/Berlin", 2026, 10, 25, 1, 59, 59, 0, false, false },
	{ "* * 9 * * * *", "Australia/Sydney", 2026, 1, 1, 22, 30, 0, 0, true, false },
	{ "* * 9 * * * *", "Australia/Sydney", 2026, 7, 1, 23, 30, 0, 0, true, false },
	{ "* * * * * mon *", "Australia/Sydney", 2026, 3, 1, 14, 0, 0, 0, true, false },
	{ "* * * * * * *", "", 1969, 12, 31, 23, 59, 58, 500, false, false },
	{ "* * * * * * *", "", 1969, 12, 31, 23, 59, 59, 500, true, false },
	/* crontab's five fields: whole minutes, nothing shifted */
	{ "* 9-17 * * mon-fri", "UTC", 2026, 3, 2, 8, 59, 59, 999, false, true },
	{ "* 9-17 * * mon-fri", "UTC", 2026, 3, 2, 9, 0, 0, 0, true, true },
	{ "* 9-17 * * mon-fri", "UTC", 2026, 3, 2, 17, 59, 59, 999, true, true },
	{ "* 9-17 * * 5-7", "UTC", 2026, 3, 8, 12, 0, 0, 0, true, true },
};

static const struct { const char *text, *tz; bool unix_syntax; const char *says; } refused[] = {
	{ "* * 25 * * * *", "UTC", false, "[[runners.machine.autoscaling]] number 1: Periods \"* * 25 * * * *\": hour \"25\"" },
	{ "* * * *", "UTC", false, "Periods \"* * * *\": 4 fields" },
	{ "*/90 * * * * * *", "UTC", false, "step" },
	{ "* * 22-6 * * * *", "UTC", false, "write 22-23,0-6" },
	{ "* * * * nov-feb * *", "UTC", false, "write nov-dec,jan-feb" },
	{ "* * * * * * *", "Europe/Berlyn", false, "number 1: Timezone \"Europe/Berlyn\" is not known" },
	{ "* * 9-17 * * mon-fri *", "UTC", true, "7 fields instead of five" },
};

static const struct { const char *text; const char *warns; } doubtful[] = {
	{ "* * 9-17 * * mon-fri *", "" },
	{ "* 9-17 * * mon-fri", "\"* 9-17 * * mon-fri\" is true for one second of each minute only, so practically "
	    "never; for whole minutes write \"* * 9-17 * * 1-5 *\"" },
	{ "@daily", "for whole minutes write \"* 0 0 * * * *\"" },
	{ "0-29 * * * * * *", "true for 30 of the 60 seconds" },
	{ "* * * 30 feb * *", "will never be true again" },
	{ "* * * * * * 2025", "will never be true again" },
};

/* The last section that matches gives all values; a key that is left out is 0. */
static void
test_sections(void)
{
	static const struct str weekdays[] = { { "* * 8-19 * * mon-fri *", 22 } };
	static const struct str lunch[] = { { "* * 12 * * mon-fri *", 20 }, { "* * 12 * * sat *", 16 } };
	static const struct periods_section_config sections[] = {
		{ weekdays, 1, { "UTC", 3 }, 15, { 10, 2, 0.5, 60 * S } },
		{ NULL, 0, { "UTC", 3 }, 15, { 99, 0, 0, 0 } },
		{ lunch, 2, { "UTC", 3 }, PERIODS_IDLE_COUNT, { 3, 0, 0, 0 } },
	};
	struct periods_config cfg = { { 1, 0, 0, 600 * S }, sections, 3, false, zone, NULL };
	struct arena a = { 0 };
	struct buf w = { 0 };
	struct periods p;
	struct scale_policy policy = scale_policy_default();
	struct err e;

	if (!ok(periods_compile(&a, &cfg, utc(2026, 1, 1, 0, 0, 0), &p, &w, &e) == 0, "three sections"))
		return;
	ok(strstr(w.p, "number 2 has no Periods and is never used\n") != NULL, "a section without Periods is warned of");
	ok(strstr(w.p, "number 3 does not set IdleTime, so it is 0 there: the 600 of [runners.machine] is not "
	    "inherited\n") != NULL, "a key that is not inherited is warned of");
	ok(strstr(w.p, "number 3 does not set IdleScaleFactor") == NULL, "one that is 0 anyway is not");
	is_int(periods_active(&p, utc_time(2026, 3, 2, 7, 0, 0)), -1, "early: no section");
	is_int(periods_active(&p, utc_time(2026, 3, 2, 9, 0, 0)), 0, "at work: the first");
	is_int(periods_active(&p, utc_time(2026, 3, 2, 12, 30, 0)), 2, "at noon: the last that matches");
	is_int(periods_active(&p, utc_time(2026, 3, 7, 12, 30, 0)), 2, "on Saturday: its second expression");
	is_int(periods_active(&p, utc_time(2026, 3, 7, 13, 30, 0)), -1, "afterwards: none");

	periods_apply(&p, utc_time(2026, 3, 2, 9, 0, 0), &policy);
	ok(policy.idle_count == 10 && policy.idle_count_min == 2 && policy.idle_factor == 0.5 &&
	    policy.idle_time == 60 * S, "all four values of the section");
	is_int(policy.until / S, utc(2026, 3, 2, 11, 59, 59), "until a second before noon");
	periods_apply(&p, utc_time(2026, 3, 2, 12, 0, 0), &policy);
	ok(policy.idle_count == 3 && policy.idle_time == 0 && policy.idle_factor == 0, "nothing is inherited");
	is_int(policy.until / S, utc(2026, 3, 2, 12, 59, 59), "until a second before one");
	periods_apply(&p, wall_add(utc_time(2026, 3, 2, 19, 59, 59), 1), &policy);
	ok(policy.idle_count == 1 && policy.idle_time == 600 * S, "the root values");
	is_int(policy.until / S, utc(2026, 3, 3, 7, 59, 59), "until tomorrow morning");
	periods_apply(&p, utc_time(2026, 3, 7, 14, 0, 0), &policy);
	is_int(policy.until / S, utc(2026, 3, 8, 14, 0, 59), "a day and a minute at most");
	arena_reset(&a);
	buf_free(&w);
}

/* periods_until() against the plain question asked every second. */
static void
test_until(void)
{
	static const struct { const char *text, *tz; bool unix_syntax; } cases[] = {
		{ "* * 9-17 * * mon-fri *", "UTC", false }, { "* 30-44 */3 * * * *", "Europe/Berlin", false },
		{ "* 9-17 * * mon-fri", "UTC", false }, { "10-20 * 9 * * * *", "UTC", false },
		{ "* 2 * * *", "Europe/Berlin", true }, { "* * 2-3 * * * *", "Europe/Berlin", false },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct arena a = { 0 };
		struct buf w = { 0 };
		struct periods p;
		struct err e;
		int64_t begin = utc(2026, 10, 24, 21, 0, 7), end = begin + 40 * 3600, t = begin;
		int changes = 0, wrong = 0, asked = 0;

		compile(&a, cases[i].text, cases[i].tz, cases[i].unix_syntax, &p, &w, &e);
		while (t < end) {
			wall_t until = periods_until(&p, wall_of_seconds(t));
			int now = periods_active(&p, wall_of_seconds(t));

			asked++;
			wrong += wall_seconds(until) <= t || until.ns % S != 0;
			for (; t < wall_seconds(until); t++)
				wrong += periods_active(&p, wall_of_seconds(t)) != now;
			changes += periods_active(&p, wall_of_seconds(t)) != now;
			if (wrong > 0)
				break;
		}
		ok(wrong == 0 && changes > 0, "\"%s\": never changes before it said so (%d changes, asked %d times)",
		    cases[i].text, changes, asked);
		ok(asked <= changes + 50, "... and says so late");
		arena_reset(&a);
		buf_free(&w);
	}
}

int
main(void)
{
	struct err e;

	tz_parse_posix(&berlin, STR("CET-1CEST,M3.5.0,M10.5.0/3"), &e);
	tz_parse_posix(&sydney, STR("AEST-10AEDT,M10.1.0,M4.1.0/3"), &e);
	for (size_t i = 0; i < NELEM(table); i++) {
		struct arena a = { 0 };
		struct buf w = { 0 };
		struct periods p;
		wall_t now = wall_add(utc_time(table[i].y, table[i].mo, table[i].d, table[i].h,
		    table[i].mi, table[i].s), table[i].ms * NSEC_MSEC);

		if (ok(compile(&a, table[i].text, table[i].tz, table[i].unix_syntax, &p, &w, &e) == 0,
		    "\"%s\" compiles", table[i].text))
			is_int(periods_active(&p, now) == 0, table[i].in, "... %s: %d-%02d-%02d %02d:%02d:%02d.%03d is %s",
			    table[i].tz, table[i].y, table[i].mo, table[i].d, table[i].h, table[i].mi, table[i].s,
			    table[i].ms, table[i].in ? "in" : "out");
		arena_reset(&a);
		buf_free(&w);
	}
	for (size_t i = 0; i < NELEM(refused); i++) {
		struct arena a = { 0 };
		struct buf w = { 0 };
		struct periods p;

		e = (struct err){ 0 };
		ok(compile(&a, refused[i].text, refused[i].tz, refused[i].unix_syntax, &p, &w, &e) == -1 &&
		    e.kind == ERR_CONFIG && strstr(e.msg, refused[i].says) != NULL, "refused: %s", e.msg);
		arena_reset(&a);
		buf_free(&w);
	}
	for (size_t i = 0; i < NELEM(doubtful); i++) {
		struct arena a = { 0 };
		struct buf w = { 0 };
		struct periods p;

		ok(compile(&a, doubtful[i].text, "UTC", false, &p, &w, &e) == 0, "\"%s\" compiles", doubtful[i].text);
		if (doubtful[i].warns[0] == '\0')
			is_int((long long)w.n, 0, "... without a warning");
		else
			ok(w.p != NULL && strstr(w.p, doubtful[i].warns) != NULL, "... with a warning: %.*s",
			    STR_ARG(str_trim(buf_str(&w))));
		arena_reset(&a);
		buf_free(&w);
	}
	{
		struct periods_config cfg = { .base = { -1, 0, 0, 0 }, .zone = zone };
		struct arena a = { 0 };
		struct buf w = { 0 };
		struct periods p;

		ok(periods_compile(&a, &cfg, 0, &p, &w, &e) == -1 && strstr(e.msg, "IdleCount is -1") != NULL,
		    "negative: %s", e.msg);
		cfg.base.idle_count = 0;
		cfg.base.idle_factor = -0.5;
		ok(periods_compile(&a, &cfg, 0, &p, &w, &e) == -1 && strstr(e.msg, "IdleScaleFactor is -0.5") != NULL,
		    "negative: %s", e.msg);
		arena_reset(&a);
	}
	test_sections();
	test_until();
	return done_testing();
}
