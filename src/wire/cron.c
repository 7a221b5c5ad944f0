/* Cron expressions. See cron.h. */
#include <strings.h>

#include "core/mono.h"
#include "wire/cron.h"

#define YEAR_MIN	1970
#define YEAR_MAX	2099
#define DAY_SECONDS	86400
#define LOCAL_MIN	INT64_C(-62135596800)	/* 0001-01-01 */
#define LOCAL_MAX	INT64_C(253402300799)	/* 9999-12-31 23:59:59 */

enum field { SECOND, MINUTE, HOUR, DOM, MONTH, DOW, YEAR, FIELDS };

static const char *const month_names[] = {
	"january", "february", "march", "april", "may", "june", "july", "august",
	"september", "october", "november", "december", NULL
};
static const char *const dow_names[] = {
	"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", NULL
};

static const struct {
	const char		*name;
	int			 min, max;	/* of the set */
	int			 top;		/* the highest number that may be written */
	const char *const	*names;		/* of min, min + 1, ... */
} fields[FIELDS] = {
	[SECOND] = { "second", 0, 59, 59, NULL },
	[MINUTE] = { "minute", 0, 59, 59, NULL },
	[HOUR] = { "hour", 0, 23, 23, NULL },
	[DOM] = { "day-of-month", 1, 31, 31, NULL },
	[MONTH] = { "month", 1, 12, 12, month_names },
	[DOW] = { "day-of-week", 0, 6, 7, dow_names },
	[YEAR] = { "year", YEAR_MIN, YEAR_MAX, YEAR_MAX, NULL },
};

static const struct { const char *name, *fields; } macros[] = {
	{ "@yearly",	"0 0 0 1 1 * *" },
	{ "@annually",	"0 0 0 1 1 * *" },
	{ "@monthly",	"0 0 0 1 * * *" },
	{ "@weekly",	"0 0 0 * * 0 *" },
	{ "@daily",	"0 0 0 * * * *" },
	{ "@hourly",	"0 0 * * * * *" },
};

/* The values of one field; bit 0 is the year 1970 for years, the value 0 for the others. */
struct set {
	uint64_t	w[3];
};

struct parser {
	struct cron	*c;
	unsigned	 flags;
	struct err	*e;
};

static int
base(enum field f)
{
	return f == YEAR ? YEAR_MIN : 0;
}

static void
put(struct set *s, enum field f, int v)
{
	unsigned bit = (unsigned)(v - base(f));

	s->w[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static bool
has(const struct set *s, enum field f, int v)
{
	unsigned bit = (unsigned)(v - base(f));

	return (s->w[bit / 64] >> (bit % 64) & 1) != 0;
}

/* Reading. */

static int
wrong(const struct parser *p, enum field f, struct str part, const char *why)
{
	return err_set(p->e, ERR_CONFIG, 0, "%s \"%.*s\": %s", fields[f].name, STR_ARG(part), why);
}

static bool
all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

/* A number (of at most two digits, four for years) or a name: three letters or the whole word. */
static bool
value(enum field f, struct str s, int *v)
{
	if (all_digits(s)) {
		int n;

		if (s.n > (f == YEAR ? 4 : 2) || str_to_int(s, &n) < 0 || n < fields[f].min ||
		    n > fields[f].top)
			return false;
		*v = n;
		return true;
	}
	for (int i = 0; fields[f].names != NULL && fields[f].names[i] != NULL; i++) {
		const char *name = fields[f].names[i];

		if ((s.n == 3 || s.n == strlen(name)) && strncasecmp(s.p, name, s.n) == 0) {
			*v = fields[f].min + i;
			return true;
		}
	}
	return false;
}

/* What stands at the ends of a field, in the style of what the user wrote beside it. */
static struct str
end_value(enum field f, int v, struct str style, char out[8])
{
	if (all_digits(style) || fields[f].names == NULL)
		snprintf(out, 8, "%d", v);
	else
		snprintf(out, 8, "%.3s", fields[f].names[v - fields[f].min]);
	return str_from(out);
}

/* One entry with a minus: as it stands there, its ends and its step. */
struct range { struct str part, first, last; int step; };

/* What to write instead of a range that runs backwards: noted, for such a range alone is no error. */
static void
backwards(const struct parser *p, enum field f, const struct range *r, int a, int b)
{
	int min = fields[f].min, max = fields[f].max;
	char low[8], high[8];
	struct str lo = end_value(f, min, r->last, low), hi = end_value(f, max, r->first, high);
	struct buf fix = { .max = 120 };

	if (f == YEAR) {
		buf_fmt(&fix, "%.*s-%.*s", STR_ARG(r->last), STR_ARG(r->first));
	} else if (r->step > 1) {
		int span = max - a + 1 + b - min + 1;

		for (int i = 0; i < span; i += r->step)
			buf_fmt(&fix, "%s%d", i > 0 ? "," : "", min + (a - min + i) % (max - min + 1));
	} else {
		buf_putstr(&fix, r->first);
		if (a != max)
			buf_fmt(&fix, "-%.*s", STR_ARG(hi));
		buf_putc(&fix, ',');
		if (b != min)
			buf_fmt(&fix, "%.*s-", STR_ARG(lo));
		buf_putstr(&fix, r->last);
	}
	snprintf(p->c->ignored, sizeof(p->c->ignored),
	    "%s \"%.*s\" runs backwards, which gitlab-runner takes for nothing or crashes on: write %s",
	    fields[f].name, STR_ARG(str_sub(r->part, 0, 40)), fix.p);
	buf_free(&fix);
}

/* 1-7 and the like: the original reads 7 as 0 and then the range backwards. */
static void
ends_on_7(const struct parser *p, struct str part, int a)
{
	static const char *const fix[] = { "*", "*", "2-6,0", "3-6,0", "4-6,0", "5-6,0", "6,0", "0" };

	snprintf(p->c->ignored, sizeof(p->c->ignored),
	    "day-of-week \"%.*s\" ends on 7, which gitlab-runner takes for 0: write %s",
	    STR_ARG(str_sub(part, 0, 40)), fix[a]);
}

static int
read_range(const struct parser *p, enum field f, const struct range *r, struct set *s)
{
	int a, b;

	if (!value(f, r->first, &a) || !value(f, r->last, &b))
		return wrong(p, f, r->part, "not a value, a range or a step that this field knows");
	if (f == DOW && b == 7 && (p->flags & CRON_UNIX) != 0) {
		for (int v = a; v <= 7; v += r->step)
			put(s, f, v % 7);
		return 0;
	}
	if (f == DOW && b == 7)
		ends_on_7(p, r->part, a);
	else if (f == DOW ? a % 7 > b : a > b)
		backwards(p, f, r, f == DOW ? a % 7 : a, b);
	if (p->c->ignored[0] != '\0' && (p->flags & CRON_UNIX) != 0)
		return err_set(p->e, ERR_CONFIG, 0, "%s", p->c->ignored);
	if (f == DOW) {
		a %= 7;
		b %= 7;
	}
	for (int v = a; v <= b; v += r->step)
		put(s, f, v);
	return 0;
}

/* L, LW and 15W. */
static bool
read_dom_extra(struct cron *c, struct str part)
{
	int v;

	if (str_caseeq(part, "l")) {
		c->dom_last = true;
	} else if (str_caseeq(part, "lw")) {
		c->dom_last_workday = true;
	} else if (part.n > 1 && (part.p[part.n - 1] == 'w' || part.p[part.n - 1] == 'W') &&
	    value(DOM, str_sub(part, 0, part.n - 1), &v)) {
		c->dom_workday |= UINT32_C(1) << v;
	} else {
		return false;
	}
	return true;
}

/* 5L, friL and 5#2. */
static bool
read_dow_extra(struct cron *c, struct str part)
{
	ssize_t hash = str_chr(part, '#');
	int v;

	if (hash > 0) {
		struct str k = str_sub(part, (size_t)hash + 1, part.n);

		if (k.n != 1 || k.p[0] < '1' || k.p[0] > '5' ||
		    !value(DOW, str_sub(part, 0, (size_t)hash), &v))
			return false;
		c->dow_nth |= UINT64_C(1) << ((k.p[0] - '1') * 7 + v % 7);
		return true;
	}
	if (part.n < 2 || (part.p[part.n - 1] != 'l' && part.p[part.n - 1] != 'L') ||
	    !value(DOW, str_sub(part, 0, part.n - 1), &v))
		return false;
	c->dow_last |= (uint8_t)(1u << v % 7);
	return true;
}

static bool
is_wildcard(struct str s)
{
	return str_eqc(s, "*") || str_eqc(s, "?");
}

/* One entry of a comma list. Returns 1 when it was `*` or `?`, 0 for anything else, -1 on error. */
static int
read_entry(const struct parser *p, enum field f, struct str part, struct set *s)
{
	struct str steps = part;
	struct str span = str_cut(&steps, '/');
	int step = 1, v;

	if (is_wildcard(part))
		return 1;
	if (f == DOM && read_dom_extra(p->c, part))
		return 0;
	if (f == DOW && read_dow_extra(p->c, part))
		return 0;
	if (steps.p != NULL) {
		if (!all_digits(steps) || steps.n > 4 || str_to_int(steps, &step) < 0 || step < 1 ||
		    step > fields[f].max)
			return err_set(p->e, ERR_CONFIG, 0, "%s \"%.*s\": the step must be a number from 1 to %d",
			    fields[f].name, STR_ARG(part), fields[f].max);
	}
	if (str_eqc(span, "*")) {
		for (v = fields[f].min; v <= fields[f].max; v += step)
			put(s, f, v);
		return 0;
	}
	if (str_chr(span, '-') >= 0) {
		struct range r = { .part = part, .last = span, .step = step };

		r.first = str_cut(&r.last, '-');
		return read_range(p, f, &r, s);
	}
	if (!value(f, span, &v)) {
		if (all_digits(span))
			return err_set(p->e, ERR_CONFIG, 0, "%s \"%.*s\": numbers go from %d to %d",
			    fields[f].name, STR_ARG(part), fields[f].min, fields[f].top);
		return wrong(p, f, part, "not a value, a range or a step that this field knows");
	}
	if (f == DOW)
		v %= 7;
	put(s, f, v);
	/* a/n: from a to the end */
	for (v += step; steps.p != NULL && v <= fields[f].max; v += step)
		put(s, f, v);
	return 0;
}

/* *restricted is false when one of the entries was a bare `*`. */
static int
read_field(const struct parser *p, enum field f, struct str text, struct set *s, bool *restricted)
{
	bool any = false;

	*s = (struct set){ { 0 } };
	*restricted = true;
	while (text.p != NULL) {
		struct str part = str_cut(&text, ',');
		int rc;

		if (part.n == 0)
			continue;
		any = true;
		rc = read_entry(p, f, part, s);
		if (rc < 0)
			return -1;
		if (rc == 1)
			*restricted = false;
	}
	if (!any)
		return err_set(p->e, ERR_CONFIG, 0, "%s is a list of nothing", fields[f].name);
	if (!*restricted) {
		for (int v = fields[f].min; v <= fields[f].max; v++)
			put(s, f, v);
	}
	return 0;
}

static int
store(const struct parser *p, enum field f, struct str text)
{
	struct cron *c = p->c;
	struct set s;
	bool restricted;

	if (read_field(p, f, text, &s, &restricted) < 0)
		return -1;
	/* The original takes the first value of these without a look whether there is one. Days and years may be none: never true. */
	if ((p->flags & CRON_WRAP_EMPTY) == 0 && f != DOM && f != DOW && f != YEAR && (s.w[0] | s.w[1] | s.w[2]) == 0)
		return err_set(p->e, ERR_CONFIG, 0, "%s", p->c->ignored);
	switch (f) {
	case SECOND:
		c->second = s.w[0];
		break;
	case MINUTE:
		c->minute = s.w[0];
		break;
	case HOUR:
		c->hour = (uint32_t)s.w[0];
		break;
	case DOM:
		c->dom = (uint32_t)s.w[0];
		c->dom_restricted = restricted;
		if (!restricted) {
			c->dom_last = c->dom_last_workday = false;
			c->dom_workday = 0;
		}
		break;
	case MONTH:
		c->month = (uint32_t)s.w[0];
		break;
	case DOW:
		c->dow = (uint8_t)s.w[0];
		c->dow_restricted = restricted;
		if (!restricted) {
			c->dow_last = 0;
			c->dow_nth = 0;
		}
		break;
	case YEAR:
		memcpy(c->year, s.w, sizeof(c->year));
		break;
	case FIELDS:
		break;
	}
	return 0;
}

static bool
is_space(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\f' || ch == '\r';
}

/* The words of the text; more than `max` are counted, not kept. */
static int
split(struct str text, struct str words[], int max)
{
	int n = 0;

	for (size_t i = 0; i < text.n;) {
		size_t from;

		while (i < text.n && is_space((unsigned char)text.p[i]))
			i++;
		from = i;
		while (i < text.n && !is_space((unsigned char)text.p[i]))
			i++;
		if (i == from)
			break;
		if (n < max)
			words[n] = str_sub(text, from, i - from);
		n++;
	}
	return n;
}

int
cron_parse(struct cron *c, struct str text, unsigned flags, struct err *e)
{
	struct parser p = { c, flags, e };
	struct str words[FIELDS];
	int n = split(text, words, FIELDS), field, last;

	*c = (struct cron){ 0 };
	for (size_t i = 0; i < NELEM(macros) && n > 0; i++) {
		if (str_eqc(words[0], macros[i].name)) {
			n = split(str_from(macros[i].fields), words, FIELDS);
			if ((flags & CRON_UNIX) != 0)
				return err_set(e, ERR_CONFIG, 0, "%s means one minute of the period it names, "
				    "not all of it: write five fields", macros[i].name);
		}
	}
	if ((flags & CRON_UNIX) != 0 && n != 5)
		return err_set(e, ERR_CONFIG, 0, "%d field%s instead of five: "
		    "minute hour day-of-month month day-of-week", n, n == 1 ? "" : "s");
	if (n < 5)
		return err_set(e, ERR_CONFIG, 0, "%d field%s instead of seven: "
		    "second minute hour day-of-month month day-of-week year", n, n == 1 ? "" : "s");
	/* the original ignores what follows the seventh field; so do we */
	field = n >= 7 ? SECOND : MINUTE;
	last = n >= 6 ? YEAR : DOW;
	c->second = (flags & CRON_UNIX) != 0 ? (UINT64_C(1) << 60) - 1 : 1;
	c->minutes_only = (flags & CRON_UNIX) != 0;
	for (int i = 0; field + i <= last; i++) {
		if (store(&p, (enum field)(field + i), words[i]) < 0)
			return n == 6 && field + i == YEAR ? err_ctx(e, "with six fields the last one is the year (seven: second minute hour "
			    "day-of-month month day-of-week year)") : -1;
	}
	return last == YEAR ? 0 : store(&p, YEAR, STR("*"));
}

/* Matching. */

/* Days since 1970-01-01 to a date: years of 400 have 146,097 days; years are counted from March. */
static void
civil(int64_t days, struct cron_time *t)
{
	int64_t era, doe, yoe, doy, mp;

	days += 719468;			/* 0000-03-01 */
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	t->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	t->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	t->year = (int)(yoe + era * 400 + (t->month <= 2));
}

static int
days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct cron_time
cron_time(int64_t local)
{
	struct cron_time t = { 0 };
	int64_t days, rest;

	if (local < LOCAL_MIN)
		local = LOCAL_MIN;
	if (local > LOCAL_MAX)
		local = LOCAL_MAX;
	days = floor_div(local, DAY_SECONDS);
	rest = local - days * DAY_SECONDS;
	civil(days, &t);
	t.hour = (int)(rest / 3600);
	t.minute = (int)(rest / 60 % 60);
	t.second = (int)(rest % 60);
	t.dow = (int)(((days + 4) % 7 + 7) % 7);	/* 1970-01-01 was a Thursday */
	t.month_days = days_of_month(t.year, t.month);
	return t;
}

/* The workday nearest a day of t's month, not leaving the month. */
static int
workday(const struct cron_time *t, int day)
{
	int dow = (t->dow + day - t->day + 70) % 7;

	if (dow == 6)
		return day > 1 ? day - 1 : day + 2;
	if (dow == 0)
		return day < t->month_days ? day + 1 : day - 2;
	return day;
}

static bool
match_dom(const struct cron *c, const struct cron_time *t)
{
	if ((c->dom >> t->day & 1) != 0)
		return true;
	if (c->dom_last && t->day == t->month_days)
		return true;
	if (c->dom_last_workday && t->day == workday(t, t->month_days))
		return true;
	/* at most two days away: the first on a Saturday is worked on the third */
	for (int d = t->day - 2; d <= t->day + 2; d++) {
		if (d >= 1 && d <= t->month_days && (c->dom_workday >> d & 1) != 0 && workday(t, d) == t->day)
			return true;
	}
	return false;
}

static bool
match_dow(const struct cron *c, const struct cron_time *t)
{
	if ((c->dow >> t->dow & 1) != 0)
		return true;
	if ((c->dow_last >> t->dow & 1) != 0 && t->day + 7 > t->month_days)
		return true;
	return (c->dow_nth >> ((t->day - 1) / 7 * 7 + t->dow) & 1) != 0;
}

bool
cron_match_day(const struct cron *c, const struct cron_time *t)
{
	const struct set years = { { c->year[0], c->year[1], c->year[2] } };

	if (t->year < YEAR_MIN || t->year > YEAR_MAX || !has(&years, YEAR, t->year) ||
	    (c->month >> t->month & 1) == 0)
		return false;
	if (c->dom_restricted && match_dom(c, t))
		return true;
	if (c->dow_restricted && match_dow(c, t))
		return true;
	return !c->dom_restricted && !c->dow_restricted;
}

bool
cron_match(const struct cron *c, const struct cron_time *t)
{
	return (c->minutes_only || (c->second >> t->second & 1) != 0) && (c->minute >> t->minute & 1) != 0 &&
	    (c->hour >> t->hour & 1) != 0 && cron_match_day(c, t);
}

/* The highest value of a set of times of day, -1 when there is none. */
static int
highest(uint64_t set)
{
	return set == 0 ? -1 : 63 - __builtin_clzll(set);
}

bool
cron_ever(const struct cron *c, int64_t local)
{
	int64_t latest = highest(c->hour) * 3600 + highest(c->minute) * 60 + highest(c->second);
	int64_t end = time_days(YEAR_MAX + 1, 1, 1) * DAY_SECONDS;

	if (c->hour == 0 || c->minute == 0 || c->second == 0)
		return false;
	if (local < 0)
		local = 0;
	for (int64_t day = floor_div(local, DAY_SECONDS) * DAY_SECONDS; day < end; day += DAY_SECONDS) {
		struct cron_time t = cron_time(day);

		if (day + latest >= local && cron_match_day(c, &t))
			return true;
	}
	return false;
}

int
cron_seconds(const struct cron *c)
{
	return __builtin_popcountll(c->second);
}

/* Printing. */

static void
comma(struct buf *out, bool *first)
{
	if (!*first)
		buf_putc(out, ',');
	*first = false;
}

static void
print_set(const struct set *s, enum field f, struct buf *out, bool *first)
{
	for (int v = fields[f].min; v <= fields[f].max; v++) {
		int from = v;

		if (!has(s, f, v))
			continue;
		while (v < fields[f].max && has(s, f, v + 1))
			v++;
		comma(out, first);
		buf_fmt(out, "%d", from);
		if (v > from)
			buf_fmt(out, "-%d", v);
	}
}

/* A field without extras: `*` when everything is in it; a range that runs backwards when nothing is. */
static void
print_field(const struct set *s, enum field f, struct buf *out)
{
	bool first = true, everything = true;

	for (int v = fields[f].min; v <= fields[f].max; v++)
		everything = everything && has(s, f, v);
	if (everything)
		buf_putc(out, '*');
	else
		print_set(s, f, out, &first);
	if (first && !everything)
		buf_fmt(out, "%d-%d", fields[f].max, fields[f].min);
}

static void
print_dom(const struct cron *c, struct buf *out)
{
	struct set s = { { c->dom } };
	bool first = true;

	if (!c->dom_restricted) {
		buf_putc(out, '*');
		return;
	}
	print_set(&s, DOM, out, &first);
	for (int d = 1; d <= 31; d++) {
		if ((c->dom_workday >> d & 1) != 0) {
			comma(out, &first);
			buf_fmt(out, "%dW", d);
		}
	}
	if (c->dom_last) {
		comma(out, &first);
		buf_puts(out, "L");
	}
	if (c->dom_last_workday) {
		comma(out, &first);
		buf_puts(out, "LW");
	}
	if (first)
		buf_puts(out, "31-1");
}

static void
print_dow(const struct cron *c, struct buf *out)
{
	struct set s = { { c->dow } };
	bool first = true;

	if (!c->dow_restricted) {
		buf_putc(out, '*');
		return;
	}
	print_set(&s, DOW, out, &first);
	for (int d = 0; d < 7; d++) {
		if ((c->dow_last >> d & 1) != 0) {
			comma(out, &first);
			buf_fmt(out, "%dL", d);
		}
	}
	for (int bit = 0; bit < 35; bit++) {
		if ((c->dow_nth >> bit & 1) != 0) {
			comma(out, &first);
			buf_fmt(out, "%d#%d", bit % 7, bit / 7 + 1);
		}
	}
	if (first)
		buf_puts(out, "6-0");
}

void
cron_print(const struct cron *c, struct buf *out)
{
	if (!c->minutes_only) {
		print_field(&(struct set){ { c->second } }, SECOND, out);
		buf_putc(out, ' ');
	}
	print_field(&(struct set){ { c->minute } }, MINUTE, out);
	buf_putc(out, ' ');
	print_field(&(struct set){ { c->hour } }, HOUR, out);
	buf_putc(out, ' ');
	print_dom(c, out);
	buf_putc(out, ' ');
	print_field(&(struct set){ { c->month } }, MONTH, out);
	buf_putc(out, ' ');
	print_dow(c, out);
	if (!c->minutes_only) {
		buf_putc(out, ' ');
		print_field(&(struct set){ { c->year[0], c->year[1], c->year[2] } }, YEAR, out);
	}
}
