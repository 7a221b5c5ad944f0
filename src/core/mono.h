/*
 * Time. Waiting uses the monotonic clock and absolute points in time
 * (deadlines); people and files get wall time. A mono_t is nanoseconds of
 * CLOCK_MONOTONIC; 0 as a deadline means "none".
 */
#ifndef CORE_MONO_H
#define CORE_MONO_H

#include "core/str.h"

typedef int64_t mono_t;		/* ns, CLOCK_MONOTONIC */
typedef int64_t wall_t;		/* ns since 1970-01-01 UTC, CLOCK_REALTIME */

#define NSEC_MSEC	INT64_C(1000000)
#define NSEC_SEC	INT64_C(1000000000)
#define MONO_NEVER	((mono_t)0)

mono_t	mono_now(void);
mono_t	mono_after(int64_t ns);			/* now + ns */
mono_t	mono_min(mono_t a, mono_t b);		/* the earlier; MONO_NEVER counts as infinitely late */
bool	mono_passed(mono_t deadline);
/* Milliseconds for poll(2): rounded up, 0 when passed, -1 for MONO_NEVER. */
int	mono_ms_until(mono_t deadline);
void	mono_sleep(int64_t ns);			/* plain sleep; only where nothing could wake us earlier */

wall_t	wall_now(void);
/* "2026-03-01T08:15:30Z"; frac = 0, 3, 6 or 9 digits. out needs TIME_RFC3339_MAX bytes. */
#define TIME_RFC3339_MAX	36
void	time_rfc3339(wall_t t, int frac, char out[TIME_RFC3339_MAX]);
/* RFC 3339 with Z or a numeric offset and up to 9 fraction digits. 0 or -1. */
int	time_parse_rfc3339(struct str s, wall_t *t);
/* HTTP dates: IMF-fixdate of RFC 9110 5.6.7 ("Sun, 06 Nov 1994 08:49:37 GMT"). 0 or -1. */
int	time_parse_http(struct str s, wall_t *t);
/* Go's form of a duration: "1h0m0s", "1.5s", "300ms", "0s". */
void	time_go_duration(int64_t ns, char out[40]);
/* Days since 1970-01-01 of a civil date (proleptic Gregorian); month 1-12. */
int64_t	time_days(int64_t year, int month, int day);

#endif
