/* Time zones. See tzif.h. */
#include "core/mono.h"
#include "wire/tzif.h"

#define HEAD_SIZE	44
#define TYPE_SIZE	6
#define OFFSET_MAX	(26 * 3600)
#define DAY		86400
#define UNIX_MIN	INT64_C(-62135596800)	/* 0001-01-01 */
#define UNIX_MAX	INT64_C(253402300799)	/* 9999-12-31 23:59:59 */

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t
get_time(const struct tz *tz, size_t i)
{
	const uint8_t *p = tz->times + i * tz->width;

	if (tz->width == 4)
		return (int32_t)get32(p);
	return (int64_t)((uint64_t)get32(p) << 32 | get32(p + 4));
}

static int32_t
type_offset(const struct tz *tz, size_t type)
{
	return (int32_t)get32(tz->types + type * TYPE_SIZE);
}

/* POSIX TZ strings. */

static bool
is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* What is next, or -1 at the end. */
static int
peek(const struct str *s)
{
	return s->n > 0 ? (unsigned char)s->p[0] : -1;
}

static void
skip(struct str *s, size_t n)
{
	*s = str_sub(*s, n, s->n);
}

static bool
take(struct str *s, int c)
{
	if (peek(s) != c)
		return false;
	skip(s, 1);
	return true;
}

/* At least three letters, or at least three letters, digits, + and - in <>. */
static bool
take_name(struct str *s)
{
	bool quoted = take(s, '<');
	size_t n = 0;

	while (n < s->n && (is_alpha((unsigned char)s->p[n]) || (quoted &&
	    (is_digit((unsigned char)s->p[n]) || s->p[n] == '+' || s->p[n] == '-'))))
		n++;
	if (n < 3)
		return false;
	skip(s, n);
	return !quoted || take(s, '>');
}

static bool
take_number(struct str *s, int max, int *v)
{
	int n = 0;

	if (!is_digit(peek(s)))
		return false;
	while (is_digit(peek(s))) {
		n = n * 10 + peek(s) - '0';
		if (n > max)
			return false;
		skip(s, 1);
	}
	*v = n;
	return true;
}

/* [+-]h[:m[:s]] in seconds. */
static bool
take_time(struct str *s, int max_hours, int32_t *v)
{
	int h, m = 0, sec = 0, sign = 1;

	if (take(s, '-'))
		sign = -1;
	else
		take(s, '+');
	if (!take_number(s, max_hours, &h))
		return false;
	if (take(s, ':')) {
		if (!take_number(s, 59, &m))
			return false;
		if (take(s, ':') && !take_number(s, 59, &sec))
			return false;
	}
	*v = sign * (h * 3600 + m * 60 + sec);
	return true;
}

static bool
take_rule(struct str *s, struct tz_rule *r)
{
	r->time = 2 * 3600;
	if (take(s, 'J')) {
		r->kind = TZ_JULIAN;
		if (!take_number(s, 365, &r->day) || r->day < 1)
			return false;
	} else if (take(s, 'M')) {
		r->kind = TZ_MONTH;
		if (!take_number(s, 12, &r->month) || r->month < 1 || !take(s, '.') ||
		    !take_number(s, 5, &r->week) || r->week < 1 || !take(s, '.') ||
		    !take_number(s, 6, &r->day))
			return false;
	} else {
		r->kind = TZ_ZERO_BASED;
		if (!take_number(s, 365, &r->day))
			return false;
	}
	/* up to a week in either direction, as RFC 9636 allows */
	return !take(s, '/') || take_time(s, 167, &r->time);
}

/* Offsets are written west of Greenwich. */
static bool
posix_rules(struct str s, struct tz_posix *out)
{
	struct tz_posix p = { .present = true };
	int32_t west;

	if (!take_name(&s) || !take_time(&s, 24, &west))
		return false;
	p.std = -west;
	if (s.n > 0) {
		p.has_dst = true;
		if (!take_name(&s))
			return false;
		p.dst = p.std + 3600;
		if (s.n > 0 && peek(&s) != ',') {
			if (!take_time(&s, 24, &west))
				return false;
			p.dst = -west;
		}
		if (!take(&s, ',') || !take_rule(&s, &p.start) || !take(&s, ',') || !take_rule(&s, &p.end))
			return false;
	}
	*out = p;
	return s.n == 0;
}

int
tz_parse_posix(struct tz *tz, struct str text, struct err *e)
{
	*tz = (struct tz){ 0 };
	if (!posix_rules(text, &tz->after))
		return err_set(e, ERR_PARSE, 0, "\"%.*s\" is not a time zone in the form of "
		    "CET-1CEST,M3.5.0,M10.5.0/3", STR_ARG(text));
	return 0;
}

static bool
is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Local midnight of the rule's day, as if the local clock were UTC. */
static int64_t
rule_day(const struct tz_rule *r, int64_t year)
{
	int64_t jan1 = time_days(year, 1, 1), first, next;

	switch (r->kind) {
	case TZ_JULIAN:		/* 29 February is never counted */
		return (jan1 + r->day - 1 + (is_leap(year) && r->day >= 60)) * DAY;
	case TZ_ZERO_BASED:
		return (jan1 + r->day) * DAY;
	case TZ_MONTH:
		break;
	}
	first = time_days(year, r->month, 1);
	next = r->month == 12 ? time_days(year + 1, 1, 1) : time_days(year, r->month + 1, 1);
	/* to the first such weekday (1970-01-01 was a Thursday), then by weeks, the fifth is the last */
	first += ((r->day - (first + 4)) % 7 + 7) % 7;
	first += (r->week - 1) * 7;
	while (first >= next)
		first -= 7;
	return first * DAY;
}

/* The year that a clock of this offset shows, to within one. */
static int64_t
year_of(int64_t t)
{
	return 1970 + (t < 0 ? t - 31556951 : t) / 31556952;
}

/*
 * The last change at or before t decides; the changes of the neighbouring years are looked at
 * too, since rules may reach over the turn of the year. When an end and a start fall
 * on one instant it is daylight saving time all the year round.
 */
static int32_t
posix_local(const struct tz_posix *p, int64_t t)
{
	int64_t best = INT64_MIN, year;
	bool dst = false;

	if (!p->has_dst)
		return p->std;
	if (t < UNIX_MIN)
		t = UNIX_MIN;
	if (t > UNIX_MAX)
		t = UNIX_MAX;
	year = year_of(t);
	for (int64_t y = year - 2; y <= year + 2; y++) {
		int64_t start = rule_day(&p->start, y) + p->start.time - p->std;
		int64_t end = rule_day(&p->end, y) + p->end.time - p->dst;

		if (end <= t && end > best) {
			best = end;
			dst = false;
		}
		if (start <= t && start >= best) {
			best = start;
			dst = true;
		}
	}
	return dst ? p->dst : p->std;
}

/* TZif. */

/* The six counts of a header and where its block of data lies. */
struct block {
	uint64_t	isutc, isstd, leap, times, types, chars;
	uint64_t	size;		/* of the data */
};

static int
truncated(struct err *e)
{
	return err_set(e, ERR_PARSE, 0, "not a time zone file: cut short");
}

static int
read_head(struct str bytes, size_t width, struct block *b, struct err *e)
{
	const uint8_t *p = (const uint8_t *)bytes.p;

	if (bytes.n < 4 || memcmp(p, "TZif", 4) != 0)
		return err_set(e, ERR_PARSE, 0, "not a time zone file: does not begin with TZif");
	if (bytes.n < HEAD_SIZE)
		return truncated(e);
	b->isutc = get32(p + 20);
	b->isstd = get32(p + 24);
	b->leap = get32(p + 28);
	b->times = get32(p + 32);
	b->types = get32(p + 36);
	b->chars = get32(p + 40);
	/* each count is below 2^32, so the sum fits 64 bits */
	b->size = b->times * (width + 1) + b->types * TYPE_SIZE + b->chars + b->leap * (width + 4) +
	    b->isstd + b->isutc;
	if (b->size > bytes.n - HEAD_SIZE)
		return truncated(e);
	return 0;
}

static int
read_block(struct tz *tz, const struct block *b, const uint8_t *data, size_t width, struct err *e)
{
	tz->width = width;
	tz->ntimes = (size_t)b->times;
	tz->ntypes = (size_t)b->types;
	tz->times = data;
	tz->kinds = data + tz->ntimes * width;
	tz->types = tz->kinds + tz->ntimes;
	if (b->leap > 0)
		return err_set(e, ERR_PARSE, 0, "a time zone with leap seconds (right/...) does not fit Unix time");
	if (b->types == 0 || b->types > 256)
		return err_set(e, ERR_PARSE, 0, "not a time zone file: %" PRIu64 " kinds of local time", b->types);
	for (size_t i = 0; i < tz->ntypes; i++) {
		int32_t off = type_offset(tz, i);

		if (off < -OFFSET_MAX || off > OFFSET_MAX)
			return err_set(e, ERR_PARSE, 0, "not a time zone file: an offset of %" PRId32 " seconds", off);
	}
	for (size_t i = 0; i < tz->ntimes; i++) {
		if (tz->kinds[i] >= tz->ntypes)
			return err_set(e, ERR_PARSE, 0, "not a time zone file: change %zu is to an unknown time", i);
		if (i > 0 && get_time(tz, i) <= get_time(tz, i - 1))
			return err_set(e, ERR_PARSE, 0, "not a time zone file: changes out of order");
	}
	return 0;
}

/* "\n<TZ string>\n"; an empty one means that nobody knows what comes after the last change. */
static int
read_footer(struct tz *tz, struct str rest, struct err *e)
{
	struct str text;

	if (!take(&rest, '\n'))
		return truncated(e);
	text = str_cut(&rest, '\n');
	if (rest.p == NULL)
		return truncated(e);
	if (text.n > 0 && !posix_rules(text, &tz->after))
		return err_set(e, ERR_PARSE, 0, "not a time zone file: its last line \"%.*s\" is not a TZ string",
		    (int)(text.n < 80 ? text.n : 80), text.p);
	return 0;
}

int
tz_parse(struct tz *tz, struct str bytes, struct err *e)
{
	struct block b;
	const char version = bytes.n > 4 ? bytes.p[4] : 0;

	*tz = (struct tz){ 0 };
	if (read_head(bytes, 4, &b, e) < 0)
		return -1;
	if (version < '2')
		return read_block(tz, &b, (const uint8_t *)bytes.p + HEAD_SIZE, 4, e);
	/* the first block is for old readers; the second has 64-bit times */
	skip(&bytes, HEAD_SIZE + (size_t)b.size);
	if (read_head(bytes, 8, &b, e) < 0 ||
	    read_block(tz, &b, (const uint8_t *)bytes.p + HEAD_SIZE, 8, e) < 0)
		return -1;
	skip(&bytes, HEAD_SIZE + (size_t)b.size);
	return read_footer(tz, bytes, e);
}

int32_t
tz_local(const struct tz *tz, int64_t unix_s)
{
	size_t low = 0, high;

	if (tz == NULL)
		return 0;
	/* low: the number of changes at or before the time */
	for (high = tz->ntimes; low < high;) {
		size_t mid = low + (high - low) / 2;

		if (get_time(tz, mid) <= unix_s)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == tz->ntimes && tz->after.present)
		return posix_local(&tz->after, unix_s);
	if (tz->ntypes == 0)
		return 0;
	return type_offset(tz, low == 0 ? 0 : tz->kinds[low - 1]);
}
