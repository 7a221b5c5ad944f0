/* wire/tzname: the built-in zones by name, at the turns of daylight saving, and against the host's own files where it has them. */
#include <unistd.h>

#include "core/fs.h"
#include "core/mono.h"
#include "tap.h"
#include "wire/tzname.h"

#define HOST	"/usr/share/zoneinfo/"
#define DAY	86400

static int64_t
utc(int y, int mo, int d, int h, int mi, int s)
{
	return time_days(y, mo, d) * DAY + h * 3600 + mi * 60 + s;
}

static const struct { const char *zone; int y, mo, d, h, mi, s; int32_t want; } turns[] = {
	{ "UTC", 2026, 7, 1, 0, 0, 0, 0 },
	{ "Europe/Berlin", 2026, 1, 1, 0, 0, 0, 3600 },
	{ "Europe/Berlin", 2026, 3, 29, 0, 59, 59, 3600 },
	{ "Europe/Berlin", 2026, 3, 29, 1, 0, 0, 7200 },
	{ "Europe/Berlin", 2026, 10, 25, 0, 59, 59, 7200 },
	{ "Europe/Berlin", 2026, 10, 25, 1, 0, 0, 3600 },
	{ "America/New_York", 2026, 3, 8, 6, 59, 59, -5 * 3600 },
	{ "America/New_York", 2026, 3, 8, 7, 0, 0, -4 * 3600 },
	{ "America/New_York", 2026, 11, 1, 5, 59, 59, -4 * 3600 },
	{ "America/New_York", 2026, 11, 1, 6, 0, 0, -5 * 3600 },
	/* the southern half of the world, and half an hour of daylight saving */
	{ "Australia/Sydney", 2026, 4, 4, 15, 59, 59, 11 * 3600 },
	{ "Australia/Sydney", 2026, 4, 4, 16, 0, 0, 10 * 3600 },
	{ "Australia/Lord_Howe", 2026, 1, 1, 0, 0, 0, 11 * 3600 },
	{ "Australia/Lord_Howe", 2026, 7, 1, 0, 0, 0, 10 * 3600 + 1800 },
	{ "Asia/Kolkata", 2026, 7, 1, 0, 0, 0, 5 * 3600 + 1800 },
	{ "Asia/Kathmandu", 2026, 7, 1, 0, 0, 0, 5 * 3600 + 45 * 60 },
	{ "Pacific/Kiritimati", 2026, 1, 1, 0, 0, 0, 14 * 3600 },
	/* no daylight saving any more since 2022, and the last day of it */
	{ "America/Mexico_City", 2022, 10, 30, 6, 59, 59, -5 * 3600 },
	{ "America/Mexico_City", 2022, 10, 30, 7, 0, 0, -6 * 3600 },
	{ "America/Mexico_City", 2026, 7, 1, 0, 0, 0, -6 * 3600 },
	/* winter time in Ramadan, by the moon */
	{ "Africa/Casablanca", 2026, 2, 15, 1, 59, 59, 3600 },
	{ "Africa/Casablanca", 2026, 2, 15, 2, 0, 0, 0 },
	{ "Africa/Casablanca", 2026, 3, 22, 2, 0, 0, 3600 },
};

static void
test_turns(void)
{
	for (size_t i = 0; i < NELEM(turns); i++) {
		struct tz tz;
		int64_t t = utc(turns[i].y, turns[i].mo, turns[i].d, turns[i].h, turns[i].mi, turns[i].s);

		if (ok(tz_named(&tz, str_from(turns[i].zone)), "%s is known", turns[i].zone))
			is_int(tz_local(&tz, t), turns[i].want, "%s on %d-%d-%d at %d:%02d", turns[i].zone, turns[i].y,
			    turns[i].mo, turns[i].d, turns[i].h, turns[i].mi);
	}
}

static void
test_names(void)
{
	static const char *const unknown[] = { "", "Europe", "Europe/Berli", "Europe/Berlin ", "Mars/Base", "../etc/passwd" };
	struct str last = STR("");
	size_t n = 0;
	bool sorted = true;
	struct tz tz;

	for (size_t i = 0; i < NELEM(unknown); i++)
		ok(!tz_named(&tz, str_from(unknown[i])), "no zone \"%s\"", unknown[i]);
	for (struct str s; (s = tz_name(n)).n > 0; n++) {
		sorted = sorted && str_cmp(last, s) < 0;
		last = s;
	}
	ok(n > 400, "%zu names", n);
	ok(sorted, "each once, in order");
}

/* Every 6 hours of ten years, and each second around a change. */
static bool
agree(const struct tz *a, const struct tz *b)
{
	int64_t end = utc(2032, 1, 1, 0, 0, 0);

	for (int64_t t = utc(2020, 1, 1, 0, 0, 0); t < end; t += DAY / 4) {
		int64_t low = t, high = t + DAY / 4;

		if (tz_local(a, t) != tz_local(b, t))
			return false;
		if (tz_local(a, low) == tz_local(a, high))
			continue;
		while (high - low > 1) {
			int64_t mid = low + (high - low) / 2;

			if (tz_local(a, mid) == tz_local(a, low))
				low = mid;
			else
				high = mid;
		}
		if (tz_local(b, low) != tz_local(a, low) || tz_local(b, high) != tz_local(a, high))
			return false;
	}
	return true;
}

/* The files may be newer than the table; then the newer rule is not the table's fault. Only a host that made it is a judge. */
static void
test_against_the_host(void)
{
	size_t compared = 0, differ = 0;

	for (size_t i = 0; tz_name(i).n > 0; i++) {
		struct buf b = { .max = 1u << 16 };
		char path[256];
		struct tz ours, theirs;

		snprintf(path, sizeof(path), HOST "%.*s", STR_ARG(tz_name(i)));
		if (fs_read(AT_FDCWD, path, b.max, &b, NULL) == 0 && tz_parse(&theirs, buf_str(&b), NULL) == 0) {
			compared++;
			if (!tz_named(&ours, tz_name(i)) || !agree(&theirs, &ours)) {
				differ++;
				printf("# %s differs\n", path);
			}
		}
		buf_free(&b);
	}
	if (compared == 0)
		printf("# no time zones on this host to compare with\n");
	is_int((long long)differ, 0, "of %zu zones all agree with this host's files", compared);
}

int
main(void)
{
	test_turns();
	test_names();
	test_against_the_host();
	return done_testing();
}
