/* wire/cron: the dialect of gitlab-runner's Periods, its refusals and its arithmetic of days. */
#include "core/mono.h"
#include "tap.h"
#include "wire/cron.h"

static int64_t
at(int y, int mo, int d, int h, int mi, int s)
{
	return time_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

/* { expression, date and time, in? }: the fields alone, without the shift of periods. */
static const struct { const char *text; int y, mo, d, h, mi, s; bool in; } matches[] = {
	{ "* * * * * * *", 2026, 3, 2, 0, 0, 0, true },
	{ "* * * * * * *", 1969, 12, 31, 23, 59, 59, false },
	{ "* * * * * * *", 2100, 1, 1, 0, 0, 0, false },
	{ "? ? ? ? ? ? ?", 2026, 3, 2, 1, 2, 3, true },
	{ "* * 9-17 * * mon-fri *", 2026, 3, 2, 9, 0, 0, true },
	{ "* * 9-17 * * mon-fri *", 2026, 3, 2, 17, 59, 59, true },
	{ "* * 9-17 * * mon-fri *", 2026, 3, 2, 18, 0, 0, false },
	{ "* * 9-17 * * mon-fri *", 2026, 3, 1, 12, 0, 0, false },
	{ "* * 9-17 * * MON-Friday *", 2026, 3, 6, 12, 0, 0, true },
	{ "30 * * * * * *", 2026, 3, 2, 1, 2, 30, true },
	{ "30 * * * * * *", 2026, 3, 2, 1, 2, 31, false },
	{ "* 9-17 * * mon-fri", 2026, 3, 2, 12, 30, 0, true },
	{ "* 9-17 * * mon-fri", 2026, 3, 2, 12, 30, 1, false },
	{ "* * * * * 2027", 2027, 3, 2, 12, 30, 0, true },
	{ "* * * * * 2027", 2026, 3, 2, 12, 30, 0, false },
	{ "* * * * * * 2026 and more", 2026, 3, 2, 12, 30, 0, true },
	{ "*/20 * * * * * *", 2026, 3, 2, 1, 2, 40, true },
	{ "*/20 * * * * * *", 2026, 3, 2, 1, 2, 50, false },
	{ "5/20 * * * * * *", 2026, 3, 2, 1, 2, 45, true },
	{ "5/20 * * * * * *", 2026, 3, 2, 1, 2, 40, false },
	{ "5-30/20 * * * * * *", 2026, 3, 2, 1, 2, 25, true },
	{ "5-30/20 * * * * * *", 2026, 3, 2, 1, 2, 45, false },
	{ "1,,2, * * * * * *", 2026, 3, 2, 1, 2, 2, true },
	{ "* * * * jan,dec * *", 2026, 12, 2, 1, 2, 2, true },
	{ "* * * * 01-02 * *", 2026, 2, 2, 1, 2, 2, true },
	{ "* * * * * 01 *", 2026, 3, 2, 1, 2, 2, true },
	{ "* * * * * 7 *", 2026, 3, 8, 1, 2, 2, true },
	{ "* * * * * 0 *", 2026, 3, 8, 1, 2, 2, true },
	{ "* * * * * 7-2 *", 2026, 3, 10, 1, 2, 2, true },
	/* day of the month or of the week: either */
	{ "* * * 1-7 * mon *", 2026, 3, 5, 12, 0, 0, true },
	{ "* * * 1-7 * mon *", 2026, 3, 9, 12, 0, 0, true },
	{ "* * * 1-7 * mon *", 2026, 3, 10, 12, 0, 0, false },
	{ "* * * 1-7,* * mon *", 2026, 3, 10, 12, 0, 0, false },
	{ "* * * 1-7 * mon,* *", 2026, 3, 9, 12, 0, 0, false },
	{ "* * * */1 * mon *", 2026, 3, 10, 12, 0, 0, true },
	{ "* * * 31 * ? *", 2026, 2, 28, 12, 0, 0, false },
	/* L, LW, nW */
	{ "* * * L * * *", 2026, 2, 28, 12, 0, 0, true },
	{ "* * * L * * *", 2028, 2, 28, 12, 0, 0, false },
	{ "* * * L * * *", 2028, 2, 29, 12, 0, 0, true },
	{ "* * * L * * *", 2000, 2, 29, 12, 0, 0, true },
	{ "* * * LW * * *", 2026, 2, 27, 12, 0, 0, true },
	{ "* * * LW * * *", 2026, 2, 28, 12, 0, 0, false },
	{ "* * * lw * * *", 2026, 5, 29, 12, 0, 0, true },
	{ "* * * 14W * * *", 2026, 3, 13, 12, 0, 0, true },	/* the 14th is a Saturday */
	{ "* * * 15W * * *", 2026, 3, 16, 12, 0, 0, true },	/* the 15th is a Sunday */
	{ "* * * 15W * * *", 2026, 3, 15, 12, 0, 0, false },
	{ "* * * 16w * * *", 2026, 3, 16, 12, 0, 0, true },
	{ "* * * 1W * * *", 2026, 8, 3, 12, 0, 0, true },	/* 1 August 2026 is a Saturday */
	{ "* * * 1W * * *", 2026, 7, 31, 12, 0, 0, false },
	{ "* * * 31W * * *", 2026, 5, 29, 12, 0, 0, true },	/* 31 May 2026 is a Sunday */
	{ "* * * 31W * * *", 2026, 6, 30, 12, 0, 0, false },
	/* nL, n#k */
	{ "* * * * * 5L *", 2026, 2, 27, 12, 0, 0, true },
	{ "* * * * * friL *", 2026, 2, 20, 12, 0, 0, false },
	{ "* * * * * 7L *", 2026, 3, 29, 12, 0, 0, true },
	{ "* * * * * mon#1 *", 2026, 3, 2, 12, 0, 0, true },
	{ "* * * * * mon#1 *", 2026, 3, 9, 12, 0, 0, false },
	{ "* * * * * 0#5 *", 2026, 3, 29, 12, 0, 0, true },
	{ "* * * * * 7#5 *", 2026, 4, 26, 12, 0, 0, false },
	/* macros */
	{ "@daily", 2026, 3, 2, 0, 0, 0, true },
	{ "@daily", 2026, 3, 2, 0, 1, 0, false },
	{ " @hourly ", 2026, 3, 2, 7, 0, 0, true },
	{ "@weekly", 2026, 3, 1, 0, 0, 0, true },
	{ "@monthly", 2026, 3, 1, 0, 0, 0, true },
	{ "@yearly", 2026, 1, 1, 0, 0, 0, true },
	{ "@annually", 2026, 2, 1, 0, 0, 0, false },
};

static const struct { const char *text; unsigned flags; const char *says; } refused[] = {
	{ "", 0, "0 fields instead of seven" },
	{ "* * * *", 0, "4 fields instead of seven" },
	{ "@every 5m", 0, "2 fields" },
	{ "@Daily", 0, "1 field instead" },
	{ "* * 25 * * * *", 0, "hour \"25\": numbers go from 0 to 23" },
	{ "60 * * * * * *", 0, "second \"60\": numbers go from 0 to 59" },
	{ "* * * 0 * * *", 0, "day-of-month \"0\": numbers go from 1 to 31" },
	{ "* * * 32W * * *", 0, "day-of-month \"32W\"" },
	{ "* * * * 13 * *", 0, "month \"13\"" },
	{ "* * * * * 8 *", 0, "day-of-week \"8\": numbers go from 0 to 7" },
	{ "* * * * * * 1969", 0, "year \"1969\"" },
	{ "* * * * * * 2100", 0, "year \"2100\"" },
	{ "* * * * * * 20", 0, "year \"20\"" },
	{ "007 * * * * * *", 0, "second \"007\"" },
	{ "*/90 * * * * * *", 0, "second \"*/90\": the step must be a number from 1 to 59" },
	{ "*/0 * * * * * *", 0, "step" },
	{ "*/ * * * * * *", 0, "step" },
	{ "1/2/3 * * * * * *", 0, "step" },
	{ "* * * * * mon#6 *", 0, "day-of-week \"mon#6\"" },
	{ "* * * * * mon#11 *", 0, "day-of-week \"mon#11\"" },
	{ "* * * * * #1 *", 0, "day-of-week \"#1\"" },
	{ "* * * * * L *", 0, "day-of-week \"L\"" },
	{ "* * * * foo * *", 0, "month \"foo\": not a value" },
	{ "* * * * janu * *", 0, "month \"janu\"" },
	{ ", * * * * * *", 0, "second is a list of nothing" },
	{ "1--2 * * * * * *", 0, "second \"1--2\"" },
	{ "-2 * * * * * *", 0, "second \"-2\"" },
	{ "*-5 * * * * * *", 0, "second \"*-5\"" },
	{ "?/5 * * * * * *", 0, "second \"?/5\"" },
	{ "+5 * * * * * *", 0, "second \"+5\"" },
	/* ranges that run backwards, each with its mended form */
	{ "* * 22-6 * * * *", 0, "hour \"22-6\" runs backwards, which gitlab-runner takes for nothing or "
	    "crashes on: write 22-23,0-6" },
	{ "* * 23-0 * * * *", 0, "write 23,0" },
	{ "* * 22-6/2 * * * *", 0, "write 22,0,2,4,6" },
	{ "* * 21-6/3 * * * *", 0, "write 21,0,3,6" },
	{ "* * * * nov-feb * *", 0, "write nov-dec,jan-feb" },
	{ "* * * * 11-february * *", 0, "write 11-12,jan-february" },
	{ "* * * * * mon-fri", 0, "with six fields the last one is the year" },
	/* five fields */
	{ "* * * * * *", CRON_UNIX, "6 fields instead of five" },
	{ "@daily", CRON_UNIX, "@daily means one minute" },
	{ "* 22-6 * * *", CRON_UNIX, "write 22-23,0-6" },
};

/* Ranges that count for nothing, as in the original, which runs on: with what to write instead (configuration.md D). */
static const struct { const char *text, *says; bool ever; } ignored[] = {
	{ "* * * * * fri-mon *", "day-of-week \"fri-mon\" runs backwards, which gitlab-runner takes for nothing or crashes on: write fri-sat,sun-mon", false },
	{ "* * * * * sat-sun *", "write sat,sun", false },
	{ "* * * 25-5 * * *", "write 25-31,1-5", false },
	{ "* * * * * * 2030-2020", "write 2020-2030", false },
	{ "* * * * * 5-7 *", "ends on 7, which gitlab-runner takes for 0: write 5-6,0", false },
	{ "* * * * * 6-7 *", "write 6,0", false },
	{ "* * * * * 1-7 *", "write *", false },
	/* What is left of the field holds. */
	{ "* * * * * 0-7 *", "write *", true },
	{ "* * * * * wed,sat-sun *", "write sat,sun", true },
	{ "* * 8,22-6 * * * *", "write 22-23,0-6", true },
	{ "* * * 25-5 * mon *", "write 25-31,1-5", true },
	{ "* * 9-17 * * mon-fri *", "", true },
};

static const struct { const char *text, *printed; unsigned flags; } printed[] = {
	{ "* * * * * * *", "* * * * * * *", 0 },
	{ "* 9-17 * * mon-fri", "0 * 9-17 * * 1-5 *", 0 },
	{ "*/15 1,2,3,5 * * * *", "0 0,15,30,45 1-3,5 * * * *", 0 },
	{ "* * * 15W,L,3-4 * 5L,mon#2 2026-2030", "* * * 3-4,15W,L * 5L,1#2 2026-2030", 0 },
	{ "* * * LW * * *", "* * * LW * * *", 0 },
	{ "* * * */1 * 0-6 *", "* * * 1-31 * 0-6 *", 0 },
	{ "* * 22-6 * * fri-mon *", "* * 23-0 * * 6-0 *", CRON_WRAP_EMPTY },
	{ "* 8-18 * * 5-7", "* 8-18 * * 0,5-6", CRON_UNIX },
};

static void
test_ignored(void)
{
	for (size_t i = 0; i < NELEM(ignored); i++) {
		struct err e = { 0 };
		struct cron c;

		is_int(cron_parse(&c, str_from(ignored[i].text), 0, &e), 0, "\"%s\" is taken", ignored[i].text);
		ok(strstr(c.ignored, ignored[i].says) != NULL && (ignored[i].says[0] != '\0' || c.ignored[0] == '\0'), "  saying: %s", c.ignored);
		is_int(cron_ever(&c, 1772445600), ignored[i].ever, "  and it is ever true");
	}
}

static void
test_dates(void)
{
	int wrong = 0;
	int64_t days = 0;

	/* every day of 400 years against the plain rules of the calendar */
	for (int y = 1900; y < 2300; y++) {
		for (int m = 1; m <= 12; m++) {
			static const int len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
			int n = len[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));

			for (int d = 1; d <= n; d++, days++) {
				struct cron_time t = cron_time((days - 25567) * 86400 + 86399);

				/* 1 January 1900 was a Monday */
				wrong += t.year != y || t.month != m || t.day != d || t.month_days != n ||
				    t.hour != 23 || t.minute != 59 || t.second != 59 || t.dow != (days + 1) % 7;
			}
		}
	}
	is_int(wrong, 0, "every day from 1900 to 2299");
	is_int(cron_time(INT64_MAX).year, 9999, "times beyond reason are clamped");
	is_int(cron_time(INT64_MIN).year, 1, "in both directions");
}

int
main(void)
{
	struct cron c, d;
	struct err e;
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(matches); i++) {
		struct cron_time t = cron_time(at(matches[i].y, matches[i].mo, matches[i].d, matches[i].h,
		    matches[i].mi, matches[i].s));

		if (!ok(cron_parse(&c, str_from(matches[i].text), 0, &e) == 0, "\"%s\" parses", matches[i].text)) {
			printf("# %s\n", e.msg);
			continue;
		}
		is_int(cron_match(&c, &t), matches[i].in, "... %04d-%02d-%02d %02d:%02d:%02d is %s", matches[i].y,
		    matches[i].mo, matches[i].d, matches[i].h, matches[i].mi, matches[i].s,
		    matches[i].in ? "in" : "out");
	}
	for (size_t i = 0; i < NELEM(refused); i++) {
		e = (struct err){ 0 };
		ok(cron_parse(&c, str_from(refused[i].text), refused[i].flags, &e) == -1 && e.kind == ERR_CONFIG &&
		    strstr(e.msg, refused[i].says) != NULL, "\"%s\" is refused: %s", refused[i].text, e.msg);
	}
	for (size_t i = 0; i < NELEM(printed); i++) {
		buf_clear(&b);
		if (!ok(cron_parse(&c, str_from(printed[i].text), printed[i].flags, &e) == 0, "\"%s\" parses",
		    printed[i].text))
			continue;
		cron_print(&c, &b);
		is_str(b.p, printed[i].printed, "... and is printed");
		ok(cron_parse(&d, buf_str(&b), printed[i].flags, &e) == 0 && memcmp(&c, &d, offsetof(struct cron, ignored)) == 0,
		    "... and read again");
	}
	/* what the original takes for nothing */
	ok(cron_parse(&c, STR("* * * * * fri-mon *"), CRON_WRAP_EMPTY, &e) == 0 &&
	    !cron_ever(&c, at(2026, 1, 1, 0, 0, 0)), "fri-mon, as the original reads it, is never");
	ok(cron_parse(&c, STR("* * * * * 0-7 *"), CRON_WRAP_EMPTY, &e) == 0 && c.dow == 1, "0-7 is Sunday alone");
	/* seconds are not looked at */
	ok(cron_parse(&c, STR("30 9 * * *"), CRON_UNIX, &e) == 0, "five fields, whole minutes");
	is_int(cron_match(&c, &(struct cron_time){ .year = 2026, .month = 3, .day = 2, .hour = 9, .minute = 30,
	    .second = 59, .dow = 1, .month_days = 31 }), true, "... to the last second");
	/* ever */
	ok(cron_parse(&c, STR("* * * 30 feb * *"), 0, &e) == 0 && !cron_ever(&c, 0), "30 February is never");
	ok(cron_parse(&c, STR("* * * 29 feb * *"), 0, &e) == 0 && cron_ever(&c, at(2093, 1, 1, 0, 0, 0)) &&
	    !cron_ever(&c, at(2097, 1, 1, 0, 0, 0)), "29 February 2096 is the last one");
	ok(cron_parse(&c, STR("* * 9 2 mar * 2026"), 0, &e) == 0 && cron_ever(&c, at(2026, 3, 2, 9, 59, 59)) &&
	    !cron_ever(&c, at(2026, 3, 2, 10, 0, 0)), "an hour of one day, until it is over");
	is_int(cron_seconds(&c), 60, "all seconds");
	ok(cron_parse(&c, STR("* * * * *"), 0, &e) == 0 && cron_seconds(&c) == 1, "one second of each minute");
	test_ignored();
	test_dates();
	buf_free(&b);
	return done_testing();
}
