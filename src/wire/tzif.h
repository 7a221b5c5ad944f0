/*
 * Time zones: what a local clock shows at a given time. From the bytes of a
 * TZif file (RFC 9636, versions 1 to 4: /usr/share/zoneinfo or the table
 * built into the binary), or from a POSIX TZ string
 * ("CET-1CEST,M3.5.0,M10.5.0/3"), which is also how a TZif file says what
 * happens after its last entry.
 *
 * Nothing is allocated: a struct tz points into the bytes it was made from, which must live as long.
 * Names of zones are not known here; who has the bytes has the name.
 */
#ifndef WIRE_TZIF_H
#define WIRE_TZIF_H

#include "core/err.h"
#include "core/str.h"

/* The day of the year on which a rule takes effect. */
enum tz_day { TZ_JULIAN, TZ_ZERO_BASED, TZ_MONTH };	/* J60; 59; M3.5.0 */

struct tz_rule {
	enum tz_day	kind;
	int		month, week;	/* TZ_MONTH */
	int		day;		/* of the year, or of the week with TZ_MONTH */
	int32_t		time;		/* seconds after local midnight; may be negative or beyond a day */
};

struct tz_posix {
	bool		present;
	bool		has_dst;
	int32_t		std, dst;	/* seconds east of Greenwich */
	struct tz_rule	start, end;	/* of daylight saving */
};

struct tz {
	const uint8_t	*times;		/* ntimes big-endian numbers of `width` bytes, ascending */
	const uint8_t	*kinds;		/* ntimes indexes into types */
	const uint8_t	*types;		/* ntypes records of 6 bytes */
	size_t		 ntimes, ntypes;
	size_t		 width;		/* 4 or 8 */
	struct tz_posix	 after;		/* behind the last transition */
};

/*
 * 0, or -1 (ERR_PARSE) when the bytes are not a TZif file we can use: cut
 * short, out of order, with offsets of more than 26 hours, or with leap seconds (the
 * "right/" zones, whose clock is not Unix time).
 */
int	tz_parse(struct tz *tz, struct str bytes, struct err *e);
/* A POSIX TZ string. 0, or -1 (ERR_PARSE) with what is wrong with it. */
int	tz_parse_posix(struct tz *tz, struct str text, struct err *e);
/*
 * Seconds to add to Unix time for the local clock. NULL is UTC. Any time is
 * allowed; beyond the year 9999 the rules of 9999 hold.
 */
int32_t	tz_local(const struct tz *tz, int64_t unix_s);

#endif
