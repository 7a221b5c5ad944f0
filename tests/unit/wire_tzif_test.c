/*
 * wire/tzif: POSIX rules with known instants, TZif files made here, broken ones, and, where the host
 * has a zone database, the C library's opinion of real zones.
 */
#include <time.h>

#include "core/buf.h"
#include "core/fs.h"
#include "core/mono.h"
#include "tap.h"
#include "wire/tzif.h"

static int64_t
utc(int y, int mo, int d, int h, int mi, int s)
{
	return time_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

#define BERLIN	"CET-1CEST,M3.5.0,M10.5.0/3"

static const struct { const char *tz; int y, mo, d, h, mi, s; int32_t off; } rules[] = {
	{ "UTC0", 2026, 3, 2, 10, 0, 0, 0 },
	{ "<+0545>-5:45", 2026, 3, 2, 10, 0, 0, 20700 },
	{ "<-03>3", 2026, 3, 2, 10, 0, 0, -10800 },
	{ "XYZ-1:2:3", 2026, 3, 2, 10, 0, 0, 3723 },
	/* the second around both changes of 2026: 29 March and 25 October, 01:00 UTC */
	{ BERLIN, 2026, 3, 29, 0, 59, 59, 3600 },
	{ BERLIN, 2026, 3, 29, 1, 0, 0, 7200 },
	{ BERLIN, 2026, 7, 1, 15, 30, 0, 7200 },
	{ BERLIN, 2026, 10, 25, 0, 59, 59, 7200 },
	{ BERLIN, 2026, 10, 25, 1, 0, 0, 3600 },
	{ BERLIN, 2026, 12, 31, 23, 59, 59, 3600 },
	{ BERLIN, 2024, 3, 31, 1, 0, 0, 7200 },
	{ BERLIN, 9999, 7, 1, 0, 0, 0, 7200 },
	/* New York, 8 March 2026 07:00 UTC, 1 November 06:00 UTC */
	{ "EST5EDT,M3.2.0,M11.1.0", 2026, 3, 8, 6, 59, 59, -18000 },
	{ "EST5EDT,M3.2.0,M11.1.0", 2026, 3, 8, 7, 0, 0, -14400 },
	{ "EST5EDT,M3.2.0,M11.1.0", 2026, 11, 1, 5, 59, 59, -14400 },
	{ "EST5EDT,M3.2.0,M11.1.0", 2026, 11, 1, 6, 0, 0, -18000 },
	/* the south: summer reaches over the turn of the year. Sydney, 4 April 16:00 UTC, 3 October 16:00 UTC */
	{ "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 1, 1, 0, 0, 0, 39600 },
	{ "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 4, 4, 15, 59, 59, 39600 },
	{ "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 4, 4, 16, 0, 0, 36000 },
	{ "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 10, 3, 15, 59, 59, 36000 },
	{ "AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 10, 3, 16, 0, 0, 39600 },
	/* half an hour of daylight saving (Lord Howe) */
	{ "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 1, 1, 0, 0, 0, 39600 },
	{ "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 7, 1, 0, 0, 0, 37800 },
	/* times before midnight and beyond it (Nuuk, Gaza's style) */
	{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, 3, 29, 0, 59, 59, -7200 },
	{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, 3, 29, 1, 0, 0, -3600 },
	{ "EET-2EEST,M3.4.4/50,M10.4.4/50", 2026, 3, 27, 23, 59, 59, 7200 },
	{ "EET-2EEST,M3.4.4/50,M10.4.4/50", 2026, 3, 28, 0, 0, 0, 10800 },
	/* negative daylight saving (Dublin) */
	{ "IST-1GMT0,M10.5.0,M3.5.0/1", 2026, 1, 15, 0, 0, 0, 0 },
	{ "IST-1GMT0,M10.5.0,M3.5.0/1", 2026, 7, 15, 0, 0, 0, 3600 },
	/* all the year round */
	{ "EST5EDT,0/0,J365/25", 2026, 1, 1, 5, 0, 0, -14400 },
	{ "EST5EDT,0/0,J365/25", 2026, 12, 31, 23, 59, 59, -14400 },
	{ "EST5EDT,0/0,J365/25", 2027, 1, 1, 4, 0, 0, -14400 },
	/* J60 is 1 March in every year, 59 (from 0) is not in a leap year */
	{ "AAA0BBB,J60/0,J300", 2028, 2, 29, 23, 59, 59, 0 },
	{ "AAA0BBB,J60/0,J300", 2028, 3, 1, 0, 0, 0, 3600 },
	{ "AAA0BBB,59/0,J300", 2028, 2, 29, 0, 0, 0, 3600 },
	{ "AAA0BBB,59/0,J300", 2027, 3, 1, 0, 0, 0, 3600 },
};

static const char *const no_rules[] = {
	"", "U0", "UT0", "UTC", "0", "UTC25", "UTC0:60", "UTC0x", "<UTC0", "<U>0", "CET-1CEST", "CET-1CEST,M3.5.0",
	"CET-1CEST,M3.5.0,", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
	"CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J1", "CET-1CEST,J366,J1", "CET-1CEST,366,1",
	"CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3 ", "CET-1CEST;M3.5.0,M10.5.0", "CET--1",
	"UTC99999999999999999999",
};

/* A TZif file of the given version with the given changes. */

static void
put32(struct buf *b, uint32_t v)
{
	buf_putc(b, (int)(v >> 24 & 255));
	buf_putc(b, (int)(v >> 16 & 255));
	buf_putc(b, (int)(v >> 8 & 255));
	buf_putc(b, (int)(v & 255));
}

/* One header with its block of a TZif file; times of `width` bytes. */
static void
block(struct buf *b, char version, int width, const int64_t *times, const uint8_t *kinds, size_t n,
    const int32_t *offsets, size_t ntypes, uint32_t leaps)
{
	buf_puts(b, "TZif");
	buf_putc(b, version);
	for (int i = 0; i < 15; i++)
		buf_putc(b, 0);
	put32(b, 0);
	put32(b, 0);
	put32(b, leaps);
	put32(b, (uint32_t)n);
	put32(b, (uint32_t)ntypes);
	put32(b, 4);
	for (size_t i = 0; i < n; i++) {
		if (width == 8)
			put32(b, (uint32_t)((uint64_t)times[i] >> 32));
		put32(b, (uint32_t)times[i]);
	}
	for (size_t i = 0; i < n; i++)
		buf_putc(b, kinds[i]);
	for (size_t i = 0; i < ntypes; i++) {
		put32(b, (uint32_t)offsets[i]);
		buf_putc(b, 0);
		buf_putc(b, 0);
	}
	buf_put(b, "XXX", 4);
	for (uint32_t i = 0; i < leaps * (uint32_t)(width + 4); i++)
		buf_putc(b, 0);
}

static const int64_t change_times[] = { -5000000000, -1000, 1000, 2000000000 };
static const uint8_t change_kinds[] = { 1, 2, 1, 2 };
static const int32_t change_offsets[] = { 1234, 3600, 7200 };

static void
test_files(void)
{
	struct tz tz;
	struct err e;
	struct buf b = { 0 };
	int accepted = 0;

	/* version 1: 32-bit times, nothing after the last change */
	block(&b, 0, 4, change_times + 1, change_kinds + 1, 3, change_offsets, 3, 0);
	ok(tz_parse(&tz, buf_str(&b), &e) == 0, "a version 1 file");
	is_int(tz_local(&tz, -1001), 1234, "before the first change: the first kind");
	is_int(tz_local(&tz, -1000), 7200, "at a change");
	is_int(tz_local(&tz, 999), 7200, "a second before one");
	is_int(tz_local(&tz, 1000), 3600, "at the next");
	is_int(tz_local(&tz, INT64_MAX), 7200, "after the last one: as it is then");
	is_int(tz_local(&tz, INT64_MIN), 1234, "the beginning of time");

	/* version 2: the second block and the footer count */
	buf_clear(&b);
	block(&b, '2', 4, NULL, NULL, 0, change_offsets, 1, 0);
	block(&b, '2', 8, change_times, change_kinds, 4, change_offsets, 3, 0);
	buf_puts(&b, "\n" BERLIN "\n");
	ok(tz_parse(&tz, buf_str(&b), &e) == 0, "a version 2 file");
	is_int(tz_local(&tz, -5000000001), 1234, "64-bit times: before the first");
	is_int(tz_local(&tz, -5000000000), 3600, "64-bit times: at the first");
	is_int(tz_local(&tz, utc(2033, 5, 18, 3, 33, 19)), 3600, "a second before the last change");
	is_int(tz_local(&tz, utc(2034, 7, 1, 0, 0, 0)), 7200, "after it: by the rule, in summer");
	is_int(tz_local(&tz, utc(2034, 12, 1, 0, 0, 0)), 3600, "after it: by the rule, in winter");

	/* cut anywhere: refused, never read beyond (each copy has its own end) */
	for (size_t n = 0; n < b.n; n++) {
		char *part = xmalloc(n + 1);

		memcpy(part, b.p, n);
		part = xrealloc(part, n > 0 ? n : 1);
		e = (struct err){ 0 };
		accepted += tz_parse(&tz, str_of(part, n), &e) == 0 || e.kind != ERR_PARSE;
		free(part);
	}
	is_int(accepted, 0, "none of its %zu beginnings is a file", b.n);

	b.p[b.n - 2] = '!';
	ok(tz_parse(&tz, buf_str(&b), &e) == -1 && strstr(e.msg, "last line") != NULL, "a footer that is none: %s", e.msg);
	buf_clear(&b);
	block(&b, '2', 4, NULL, NULL, 0, change_offsets, 1, 0);
	block(&b, '2', 8, change_times, change_kinds, 4, change_offsets, 3, 0);
	buf_puts(&b, "\n\n");
	ok(tz_parse(&tz, buf_str(&b), &e) == 0 && tz_local(&tz, INT64_MAX) == 7200, "an empty footer");

	buf_clear(&b);
	block(&b, 0, 4, change_times + 1, change_kinds, 3, change_offsets, 2, 0);
	ok(tz_parse(&tz, buf_str(&b), &e) == -1 && strstr(e.msg, "unknown time") != NULL, "a kind that is not there: %s", e.msg);
	buf_clear(&b);
	block(&b, 0, 4, (const int64_t[]){ 5, 5 }, change_kinds, 2, change_offsets, 3, 0);
	ok(tz_parse(&tz, buf_str(&b), &e) == -1 && strstr(e.msg, "order") != NULL, "changes out of order: %s", e.msg);
	buf_clear(&b);
	block(&b, 0, 4, NULL, NULL, 0, (const int32_t[]){ 26 * 3600 + 1 }, 1, 0);
	ok(tz_parse(&tz, buf_str(&b), &e) == -1 && strstr(e.msg, "offset") != NULL, "27 hours from Greenwich: %s", e.msg);
	buf_clear(&b);
	block(&b, 0, 4, NULL, NULL, 0, NULL, 0, 0);
	ok(tz_parse(&tz, buf_str(&b), &e) == -1, "no kinds: %s", e.msg);
	buf_clear(&b);
	block(&b, 0, 4, NULL, NULL, 0, change_offsets, 1, 2);
	ok(tz_parse(&tz, buf_str(&b), &e) == -1 && strstr(e.msg, "leap") != NULL, "leap seconds: %s", e.msg);
	ok(tz_parse(&tz, STR("# not a zone file at all, but long enough to hold a header"), &e) == -1 &&
	    strstr(e.msg, "begin with TZif") != NULL, "text: %s", e.msg);
	buf_free(&b);
}

/* Real zones: the C library reads the same files and has its own opinion. */
static void
test_library(void)
{
	static const char *const zones[] = {
		"Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Sao_Paulo",
		"America/St_Johns", "Asia/Kolkata", "Asia/Tokyo", "Asia/Gaza", "Africa/Casablanca",
		"Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Apia", "Antarctica/Troll", "Etc/GMT+5", "UTC",
	};
	int zones_seen = 0;

	for (size_t z = 0; z < NELEM(zones); z++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct tz tz;
		char path[128];
		int wrong = 0;

		snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zones[z]);
		if (fs_read(AT_FDCWD, path, 1 << 20, &b, &e) < 0)
			continue;
		zones_seen++;
		if (!ok(tz_parse(&tz, buf_str(&b), &e) == 0, "%s parses %s", zones[z], e.msg)) {
			buf_free(&b);
			continue;
		}
		setenv("TZ", zones[z], 1);
		tzset();
		/* 1930 to 2090 in steps that visit all hours of the day */
		for (int64_t t = utc(1930, 1, 1, 0, 0, 0); t < utc(2090, 1, 1, 0, 0, 0); t += 78541) {
			time_t tt = (time_t)t;
			struct tm tm;

			localtime_r(&tt, &tm);
			if (tz_local(&tz, t) != tm.tm_gmtoff && wrong++ == 0)
				printf("# %s at %lld: %d, the library says %ld\n", zones[z], (long long)t,
				    tz_local(&tz, t), tm.tm_gmtoff);
		}
		is_int(wrong, 0, "%s: 160 years as the C library has them", zones[z]);
		buf_free(&b);
	}
	if (zones_seen == 0)
		ok(true, "# SKIP this host has no zone database");
}

int
main(void)
{
	struct tz tz;
	struct err e;

	for (size_t i = 0; i < NELEM(rules); i++) {
		if (!ok(tz_parse_posix(&tz, str_from(rules[i].tz), &e) == 0, "%s", rules[i].tz))
			continue;
		is_int(tz_local(&tz, utc(rules[i].y, rules[i].mo, rules[i].d, rules[i].h, rules[i].mi, rules[i].s)),
		    rules[i].off, "... at %04d-%02d-%02d %02d:%02d:%02d UTC", rules[i].y, rules[i].mo, rules[i].d,
		    rules[i].h, rules[i].mi, rules[i].s);
	}
	for (size_t i = 0; i < NELEM(no_rules); i++)
		ok(tz_parse_posix(&tz, str_from(no_rules[i]), &e) == -1 && e.kind == ERR_PARSE, "\"%s\" is refused",
		    no_rules[i]);
	is_int(tz_local(NULL, 1772445600), 0, "no zone is UTC");
	tz_parse_posix(&tz, STR(BERLIN), &e);
	is_int(tz_local(&tz, INT64_MAX), 3600, "the end of time");
	is_int(tz_local(&tz, INT64_MIN), 3600, "its beginning");
	test_files();
	test_library();
	return done_testing();
}
