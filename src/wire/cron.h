/*
 * Cron expressions in the dialect that gitlab-runner's Periods are written
 * in (spec machines 1.11): seven fields
 *
 *	second minute hour day-of-month month day-of-week year
 *
 * or six (without second, which is then 0), or five (without year as well),
 * or @yearly @annually @monthly @weekly @daily @hourly. A parsed expression
 * is a set of local times; asking whether a time is in it costs a few
 * bit tests. Nothing is allocated and nothing of the text is kept.
 *
 * Two readings differ from the original's on purpose: 01 to 07 are months
 * and days of the week as 1 to 7 are (the original takes them for 0), and where a range that
 * runs backwards leaves seconds, minutes, hours or months without any value, on which the original
 * crashes, it is refused. Elsewhere such a range counts for nothing, as in the original; `ignored` says so.
 */
#ifndef WIRE_CRON_H
#define WIRE_CRON_H

#include "core/buf.h"
#include "core/err.h"

enum cron_flags {
	/* 22-6 matches nothing, too, where the original crashes */
	CRON_WRAP_EMPTY = 1,
	/* exactly the five fields of crontab(5), whole minutes; 5-7 in day-of-week is Friday to Sunday */
	CRON_UNIX = 2,
};

struct cron {
	uint64_t	second, minute;		/* bit n: n is in the set */
	uint32_t	hour;
	uint32_t	dom;			/* bits 1-31 */
	uint32_t	dom_workday;		/* nW: the workday nearest n */
	uint32_t	month;			/* bits 1-12 */
	uint64_t	year[3];		/* bit 0 is 1970; up to 2099 */
	uint64_t	dow_nth;		/* n#k: bit (k-1)*7+n */
	uint8_t		dow;			/* bits 0-6, 0 is Sunday */
	uint8_t		dow_last;		/* nL */
	bool		dom_last, dom_last_workday;
	bool		dom_restricted, dow_restricted;	/* not `*` */
	bool		minutes_only;		/* CRON_UNIX */
	char		ignored[256];		/* a range that counts for nothing, and what to write instead; "" when there is none */
};

/*
 * 0, or -1 with ERR_CONFIG: the message names the field and the part of it
 * that is wrong and, for a range that runs backwards, what to write instead. It does not
 * repeat the whole expression; that is the caller's noun.
 */
int	cron_parse(struct cron *c, struct str text, unsigned flags, struct err *e);

/* A local time; what mktime(3) would want, but counted from 1. */
struct cron_time {
	int	year, month, day, hour, minute, second;
	int	dow;			/* 0 is Sunday */
	int	month_days;
};

/* From seconds since 1970 of a local clock (Unix time plus the zone's offset). */
struct cron_time	cron_time(int64_t local);
/* With CRON_UNIX the second is not looked at. */
bool	cron_match(const struct cron *c, const struct cron_time *t);
/* The same for the day alone: year, month, day. */
bool	cron_match_day(const struct cron *c, const struct cron_time *t);
/* Whether any time at or after `local`, up to the end of 2099, matches. */
bool	cron_ever(const struct cron *c, int64_t local);
/* How many seconds of a matching minute match, 0 to 60. */
int	cron_seconds(const struct cron *c);
/* The expression in its shortest regular form: seven fields (five with CRON_UNIX) that parse to the same set. */
void	cron_print(const struct cron *c, struct buf *out);

#endif
