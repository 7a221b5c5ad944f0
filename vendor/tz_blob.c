/*
 * Packs time zones into the table that windlass carries, since a bare host
 * has none.
 *
 *	tz_blob DIRECTORY		(names, a line each, on stdin) >tz_table.c
 *
 * A build-time tool. Of each TZif file it keeps what tells the local time from
 * 2020 on: the rule of its last line, and the changes which that rule does not
 * foretell. Zones that say the same are kept once. What a record looks like
 * stands in the header that vendor/gen writes; that the table agrees with the
 * files is what tests/unit/wire_tzname_test.c looks at.
 */

#include <stdio.h>

#include "wire/tzif.h"

#define SINCE		INT64_C(1577836800)	/* 2020-01-01 */
#define UNTIL		INT64_C(4102444800)	/* 2100-01-01 */
#define DAY		86400
#define FILE_MAX	(64 * 1024)
#define TABLE_MAX	(64 * 1024)	/* offsets have 16 bits */
#define ZONES_MAX	1024

struct zone {
	size_t	at, n;		/* in table */
};

static unsigned char table[TABLE_MAX], names[TABLE_MAX];
static size_t ntable, nnames, nzones;
static struct zone zones[ZONES_MAX];

static void
die(const char *file, const char *why)
{
	fprintf(stderr, "tz_blob: %s: %s\n", file, why);
	exit(1);
}

static int64_t
time_at(const struct tz *tz, size_t i)
{
	uint64_t v = 0;

	for (size_t k = 0; k < tz->width; k++)
		v = v << 8 | tz->times[i * tz->width + k];
	return tz->width == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

/* Whether the rule alone tells the time in [from, to). A change it makes and the file does not would last for weeks. */
static bool
rule_holds(const struct tz *tz, const struct tz *rule, int64_t from, int64_t to)
{
	for (int64_t t = from; t < to; t += DAY)
		if (tz_local(tz, t) != tz_local(rule, t))
			return false;
	return tz_local(tz, to - 1) == tz_local(rule, to - 1);
}

static void
put(unsigned char *to, size_t *n, uint64_t v, int bytes)
{
	if (*n + (size_t)bytes > TABLE_MAX)
		die("table", "above 64 KiB: offsets need more than 16 bits");
	while (bytes-- > 0)
		to[(*n)++] = (unsigned char)(v >> 8 * bytes);
}

/* The kind of time of that offset, made if need be. */
static size_t
kind_of(int32_t *offsets, size_t *n, int32_t offset)
{
	size_t i = 0;

	while (i < *n && offsets[i] != offset)
		i++;
	if (i == *n) {
		if (*n == 255)
			die("zone", "more than 255 kinds of time");
		offsets[(*n)++] = offset;
	}
	return i;
}

/* The file's last line, which is its rule. */
static struct str
last_line(struct str bytes)
{
	struct str s = str_sub(bytes, 0, bytes.n - 1);
	ssize_t at = str_rchr(s, '\n');

	return str_sub(s, (size_t)at + 1, s.n);
}

static void
put_zone(const char *name, struct str bytes)
{
	static unsigned char kinds[4096];
	static int64_t times[4096];
	int32_t offsets[256];
	struct tz tz, rule = { 0 };
	struct str text = last_line(bytes);
	struct err e = { 0 };
	size_t noffsets = 0, n = 0, first, last;

	if (tz_parse(&tz, bytes, &e) < 0)
		die(name, e.msg);
	if (text.n > 255)
		die(name, "a rule of more than 255 bytes");
	rule.after = tz.after;
	for (first = 0; first < tz.ntimes && time_at(&tz, first) < SINCE;)
		first++;
	/* last: behind the last change that is needed; the one that begins the rule's reign is */
	for (last = tz.ntimes; last > first; last--) {
		int64_t from = time_at(&tz, last - 1), to = last < tz.ntimes ? time_at(&tz, last) : UNTIL;

		if (!tz.after.present || !rule_holds(&tz, &rule, from, to))
			break;
	}
	if (last > first && last < tz.ntimes)
		last++;
	if (last == first && first < tz.ntimes && !rule_holds(&tz, &rule, SINCE, time_at(&tz, first)))
		last++;
	if (last > first || !tz.after.present)
		kind_of(offsets, &noffsets, tz_local(&tz, SINCE));
	for (size_t i = first; i < last; i++, n++) {
		if (n == NELEM(times))
			die(name, "too many changes");
		times[n] = time_at(&tz, i);
		kinds[n] = (unsigned char)kind_of(offsets, &noffsets, tz_local(&tz, times[n]));
	}
	zones[nzones].at = ntable;
	put(table, &ntable, tz.after.present ? text.n : 0, 1);
	for (size_t i = 0; tz.after.present && i < text.n; i++)
		put(table, &ntable, (unsigned char)text.p[i], 1);
	put(table, &ntable, noffsets, 1);
	put(table, &ntable, n, 2);
	for (size_t i = 0; i < noffsets; i++) {
		put(table, &ntable, (uint32_t)offsets[i], 4);
		put(table, &ntable, 0, 2);
	}
	for (size_t i = 0; i < n; i++)
		put(table, &ntable, kinds[i], 1);
	for (size_t i = 0; i < n; i++)
		put(table, &ntable, (uint64_t)times[i], 8);
	zones[nzones].n = ntable - zones[nzones].at;
}

/* Forgets the record just made when there is one like it; where it is. */
static size_t
keep_once(const char *name)
{
	const struct zone *z = &zones[nzones];

	for (size_t i = 0; i < nzones; i++)
		if (zones[i].n == z->n && memcmp(table + zones[i].at, table + z->at, z->n) == 0) {
			ntable = z->at;
			return zones[i].at;
		}
	if (++nzones == ZONES_MAX)
		die(name, "too many zones");
	return zones[nzones - 1].at;
}

static void
put_name(const char *directory, const char *name)
{
	static char bytes[FILE_MAX];
	char path[512];
	size_t n, at;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if ((f = fopen(path, "r")) == NULL)
		die(path, strerror(errno));
	n = fread(bytes, 1, sizeof(bytes), f);
	if (n < 5 || memcmp(bytes, "TZif", 4) != 0) {
		fclose(f);
		return;
	}
	if (ferror(f) || fgetc(f) != EOF)
		die(path, "not to be read, or too large");
	fclose(f);
	if (bytes[4] < '2')
		die(path, "an old file, without a rule for the future");
	put_zone(path, str_of(bytes, n));
	at = keep_once(path);
	put(names, &nnames, strlen(name), 1);
	for (size_t i = 0; name[i] != '\0'; i++)
		put(names, &nnames, (unsigned char)name[i], 1);
	put(names, &nnames, at, 2);
}

static void
print(const char *what, const unsigned char *p, size_t n)
{
	printf("const unsigned char wl_tz_%s[] = {\n", what);
	for (size_t i = 0; i < n; i++)
		printf("%u,%s", p[i], i % 32 == 31 ? "\n" : "");
	printf("\n};\nconst unsigned wl_tz_%s_len = %zu;\n", what, n);
}

int
main(int argc, char **argv)
{
	char name[256];

	if (argc != 2)
		die("usage", "tz_blob DIRECTORY <names");
	while (fgets(name, sizeof(name), stdin) != NULL) {
		name[strcspn(name, "\n")] = '\0';
		put_name(argv[1], name);
	}
	if (nnames == 0)
		die(argv[1], "no zone in it");
	puts("/* Made by vendor/gen from the tzdata package; see tz_table.h. */\n");
	puts("#include \"tz_table.h\"\n");
	print("names", names, nnames);
	print("zones", table, ntable);
	return fflush(stdout) != 0 || ferror(stdout);
}
