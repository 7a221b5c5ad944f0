/* Time: see mono.h. */
#include <limits.h>
#include <time.h>

#include "core/mono.h"

mono_t
mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t){ ts.tv_sec * NSEC_SEC + ts.tv_nsec };
}

mono_t
mono_after(dur_t d)
{
	return mono_add(mono_now(), d);
}

mono_t
mono_min(mono_t a, mono_t b)
{
	return mono_before(b, a) ? b : a;
}

bool
mono_passed(mono_t deadline)
{
	return !mono_is_never(deadline) && !mono_before(mono_now(), deadline);
}

int
mono_ms_until(mono_t deadline)
{
	dur_t left;

	if (mono_is_never(deadline))
		return -1;
	left = mono_between(mono_now(), deadline);
	if (left <= 0)
		return 0;
	left = (left + NSEC_MSEC - 1) / NSEC_MSEC;
	return left > INT_MAX ? INT_MAX : (int)left;
}

void
mono_sleep(dur_t d)
{
	struct timespec ts = { .tv_sec = d / NSEC_SEC, .tv_nsec = d % NSEC_SEC };

	if (d <= 0)
		return;
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		continue;
}

wall_t
wall_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_t){ ts.tv_sec * NSEC_SEC + ts.tv_nsec };
}

int64_t
time_days(int64_t year, int month, int day)
{
	/* Years are counted from March, so that the leap day is the last one. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

static void
civil(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2);
}

void
time_rfc3339(wall_t t, int frac, char out[TIME_RFC3339_MAX])
{
	int64_t secs = wall_seconds(t), days, year;
	int ns = (int)(t.ns % NSEC_SEC), month, day, sod, n;

	days = secs / 86400;
	sod = (int)(secs % 86400);
	if (sod < 0) {
		sod += 86400;
		days--;
	}
	civil(days, &year, &month, &day);
	n = snprintf(out, TIME_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d",
	    (int)(year % 10000), month, day, sod / 3600, sod / 60 % 60, sod % 60);
	if (frac > 0) {
		char digits[12];

		snprintf(digits, sizeof(digits), "%09d", ns < 0 ? ns + (int)NSEC_SEC : ns);
		n += snprintf(out + n, (size_t)(TIME_RFC3339_MAX - n), ".%.*s",
		    frac > 9 ? 9 : frac, digits);
	}
	snprintf(out + n, (size_t)(TIME_RFC3339_MAX - n), "Z");
}

/* A number of exactly n digits at the front of *s, cut off. */
static int
digits(struct str *s, int n, int *v)
{
	int r = 0;

	if (s->n < (size_t)n)
		return -1;
	for (int i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		r = r * 10 + (s->p[i] - '0');
	}
	*s = str_sub(*s, (size_t)n, s->n);
	*v = r;
	return 0;
}

static int
literal(struct str *s, const char *lit)
{
	if (!str_starts(*s, lit))
		return -1;
	*s = str_sub(*s, strlen(lit), s->n);
	return 0;
}

static int
days_in_month(int year, int month)
{
	static const int d[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : d[month - 1];
}

struct civil { int year, mon, day, h, m, s; };

/* "08:15:30" off the front of *s. */
static int
clock_time(struct str *s, struct civil *c)
{
	if (digits(s, 2, &c->h) < 0 || literal(s, ":") < 0 || digits(s, 2, &c->m) < 0 ||
	    literal(s, ":") < 0 || digits(s, 2, &c->s) < 0)
		return -1;
	return c->h > 23 || c->m > 59 || c->s > 60 ? -1 : 0;
}

static int
to_wall(const struct civil *c, wall_t *t)
{
	if (c->mon < 1 || c->mon > 12 || c->day < 1 || c->day > days_in_month(c->year, c->mon))
		return -1;
	/* Beyond this range 64-bit nanoseconds overflow. Year 1 is Go's zero time: it means "not set". */
	if (c->year < 1678 || c->year > 2261) {
		*t = WALL_UNKNOWN;
		return c->year == 1 ? 0 : -1;
	}
	*t = wall_of_seconds(time_days(c->year, c->mon, c->day) * 86400 +
	    c->h * 3600 + c->m * 60 + c->s);
	return 0;
}

int
time_parse_rfc3339(struct str s, wall_t *t)
{
	struct civil c;
	int oh, om, sign;
	dur_t ns = 0, unit = NSEC_SEC / 10;
	wall_t base;

	if (digits(&s, 4, &c.year) < 0 || literal(&s, "-") < 0 || digits(&s, 2, &c.mon) < 0 ||
	    literal(&s, "-") < 0 || digits(&s, 2, &c.day) < 0 || s.n == 0 ||
	    (s.p[0] != 'T' && s.p[0] != 't' && s.p[0] != ' '))
		return -1;
	s = str_sub(s, 1, s.n);
	if (clock_time(&s, &c) < 0)
		return -1;
	if (literal(&s, ".") == 0) {
		if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9')
			return -1;
		for (; s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9'; s = str_sub(s, 1, s.n)) {
			ns += (s.p[0] - '0') * unit;
			unit /= 10;
		}
	}
	if (to_wall(&c, &base) < 0)
		return -1;
	if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		*t = wall_add(base, ns);
		return 0;
	}
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-'))
		return -1;
	sign = s.p[0] == '-' ? -1 : 1;
	s = str_sub(s, 1, s.n);
	if (digits(&s, 2, &oh) < 0 || literal(&s, ":") < 0 || digits(&s, 2, &om) < 0 ||
	    oh > 23 || om > 59)
		return -1;
	*t = wall_add(base, ns - sign * (oh * 3600 + om * 60) * NSEC_SEC);
	return 0;
}

int
time_parse_http(struct str s, wall_t *t)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct civil c;

	s = str_trim(s);
	if (str_chr(s, ',') < 0)
		return -1;
	s = str_sub(s, (size_t)str_chr(s, ',') + 1, s.n);
	if (literal(&s, " ") < 0 || digits(&s, 2, &c.day) < 0 || literal(&s, " ") < 0)
		return -1;
	for (c.mon = 1; c.mon <= 12; c.mon++)
		if (literal(&s, months[c.mon - 1]) == 0)
			break;
	if (c.mon > 12 || literal(&s, " ") < 0 || digits(&s, 4, &c.year) < 0 ||
	    literal(&s, " ") < 0 || clock_time(&s, &c) < 0 ||
	    !(str_eqc(s, " GMT") || str_eqc(s, " UTC")))
		return -1;
	return to_wall(&c, t);
}

/* ns of a unit as a decimal number without trailing zeros: 1500000 of 1 ms is "1.5". */
static int
put_fraction(char *out, size_t size, dur_t ns, dur_t unit)
{
	char frac[32];
	int64_t rest = ns % unit;
	int n;

	n = snprintf(out, size, "%" PRId64, ns / unit);
	if (rest == 0)
		return n;
	/* unit + rest has a leading 1 in front of all the digits of the fraction. */
	snprintf(frac, sizeof(frac), "%" PRId64, unit + rest);
	for (size_t k = strlen(frac); k > 1 && frac[k - 1] == '0'; k--)
		frac[k - 1] = '\0';
	return n + snprintf(out + n, size - (size_t)n, ".%s", frac + 1);
}

void
time_go_duration(dur_t ns, char out[40])
{
	size_t n = 0;
	int64_t h, m;

	if (ns < 0) {
		out[n++] = '-';
		ns = -ns;
	}
	if (ns == 0) {
		snprintf(out + n, 40 - n, "0s");
		return;
	}
	if (ns < NSEC_SEC) {
		int64_t unit = ns < 1000 ? 1 : ns < NSEC_MSEC ? 1000 : NSEC_MSEC;

		n += (size_t)put_fraction(out + n, 40 - n, ns, unit);
		snprintf(out + n, 40 - n, "%s", unit == 1 ? "ns" : unit == 1000 ? "\xc2\xb5s" : "ms");
		return;
	}
	h = ns / (3600 * NSEC_SEC);
	m = ns / (60 * NSEC_SEC) % 60;
	if (h > 0)
		n += (size_t)snprintf(out + n, 40 - n, "%" PRId64 "h", h);
	if (h > 0 || m > 0)
		n += (size_t)snprintf(out + n, 40 - n, "%" PRId64 "m", m);
	n += (size_t)put_fraction(out + n, 40 - n, ns % (60 * NSEC_SEC), NSEC_SEC);
	snprintf(out + n, 40 - n, "s");
}
