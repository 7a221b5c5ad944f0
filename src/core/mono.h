/*
 * Time, in types that the compiler does not let anyone mix.
 *
 * A mono_t is a point of CLOCK_MONOTONIC: what waiting uses, absolute (deadlines). A wall_t is a
 * point of CLOCK_REALTIME: what people and files get. A dur_t is the distance between two of a
 * kind. Points are structs, so neither compares with the other, nor with a number.
 *
 * "Never" is the zero of a mono_t, so that a struct made of zeros has no deadline; "at once" is a
 * point of its own, long past. The zero of a wall_t is "not known".
 */
#ifndef CORE_MONO_H
#define CORE_MONO_H

#include "core/str.h"

typedef struct { int64_t ns; } mono_t;	/* CLOCK_MONOTONIC */
typedef struct { int64_t ns; } wall_t;	/* since 1970-01-01 UTC, CLOCK_REALTIME */
typedef int64_t dur_t;			/* ns */

#define NSEC_MSEC	INT64_C(1000000)
#define NSEC_SEC	INT64_C(1000000000)
#define MONO_NEVER	((mono_t){ 0 })
#define MONO_AT_ONCE	((mono_t){ 1 })
#define WALL_UNKNOWN	((wall_t){ 0 })

mono_t	mono_now(void);
mono_t	mono_after(dur_t d);			/* now + d */
mono_t	mono_min(mono_t a, mono_t b);		/* the earlier; MONO_NEVER counts as infinitely late */
bool	mono_passed(mono_t deadline);		/* never, when it is MONO_NEVER */
/* Milliseconds for poll(2): rounded up, 0 when passed, -1 for MONO_NEVER. */
int	mono_ms_until(mono_t deadline);
void	mono_sleep(dur_t d);			/* plain sleep; only where nothing could wake us earlier */

static inline bool
mono_is_never(mono_t t)
{
	return t.ns == 0;
}

/* The point d later (earlier, when d is negative); never stays never. */
static inline mono_t
mono_add(mono_t t, dur_t d)
{
	return mono_is_never(t) ? t : (mono_t){ t.ns + d };
}

/* From `from` to `to`; both are points, not MONO_NEVER. */
static inline dur_t
mono_between(mono_t from, mono_t to)
{
	return to.ns - from.ns;
}

/* From t until now; of MONO_NEVER it says nothing useful. */
static inline dur_t
mono_since(mono_t t)
{
	return mono_now().ns - t.ns;
}

/* Whether a comes before b; MONO_NEVER comes after everything else. */
static inline bool
mono_before(mono_t a, mono_t b)
{
	return !mono_is_never(a) && (mono_is_never(b) || a.ns < b.ns);
}

static inline bool
mono_equal(mono_t a, mono_t b)
{
	return a.ns == b.ns;
}

static inline bool
wall_known(wall_t t)
{
	return t.ns != 0;
}

static inline wall_t
wall_add(wall_t t, dur_t d)
{
	return (wall_t){ t.ns + d };
}

static inline dur_t
wall_between(wall_t from, wall_t to)
{
	return to.ns - from.ns;
}

/* Plain order of the numbers: a point that is not known comes first. */
static inline bool
wall_before(wall_t a, wall_t b)
{
	return a.ns < b.ns;
}

static inline bool
wall_equal(wall_t a, wall_t b)
{
	return a.ns == b.ns;
}

/* Seconds since 1970, rounded down, as files and protocols carry them; and back. */
static inline int64_t
wall_seconds(wall_t t)
{
	return t.ns / NSEC_SEC - (t.ns % NSEC_SEC < 0);
}

static inline wall_t
wall_of_seconds(int64_t s)
{
	return (wall_t){ s * NSEC_SEC };
}

wall_t	wall_now(void);
/* "2026-03-01T08:15:30Z"; frac = 0, 3, 6 or 9 digits. out needs TIME_RFC3339_MAX bytes. */
#define TIME_RFC3339_MAX	36
void	time_rfc3339(wall_t t, int frac, char out[TIME_RFC3339_MAX]);
/* RFC 3339 with Z or a numeric offset and up to 9 fraction digits. 0 or -1. */
int	time_parse_rfc3339(struct str s, wall_t *t);
/* HTTP dates: IMF-fixdate of RFC 9110 5.6.7 ("Sun, 06 Nov 1994 08:49:37 GMT"). 0 or -1. */
int	time_parse_http(struct str s, wall_t *t);
/* Go's form of a duration: "1h0m0s", "1.5s", "300ms", "0s". */
void	time_go_duration(dur_t d, char out[40]);
/* Days since 1970-01-01 of a civil date (proleptic Gregorian); month 1-12. */
int64_t	time_days(int64_t year, int month, int day);

#endif
