/* Periods of autoscaling. See periods.h. */
#include "core/mono.h"
#include "policy/periods.h"

#define SECTION	"[[runners.machine.autoscaling]] number %zu"
#define MINUTE	60
#define HORIZON	(24 * 3600)	/* seconds that periods_until() looks ahead */

/* Compiling. */

static int
check_values(const struct periods_values *v, struct err *e)
{
	if (v->idle_count < 0)
		return err_set(e, ERR_CONFIG, 0, "IdleCount is %d: it must not be negative", v->idle_count);
	if (v->idle_count_min < 0)
		return err_set(e, ERR_CONFIG, 0, "IdleCountMin is %d: it must not be negative", v->idle_count_min);
	if (!(v->idle_factor >= 0) || v->idle_factor > 1e6)
		return err_set(e, ERR_CONFIG, 0, "IdleScaleFactor is %g: it must be 0 or a positive number",
		    v->idle_factor);
	if (v->idle_time < 0)
		return err_set(e, ERR_CONFIG, 0, "IdleTime is %" PRId64 ": it must not be negative",
		    v->idle_time / NSEC_SEC);
	return 0;
}

/* Keys that people expect to be inherited from [runners.machine]. */
static void
warn_not_inherited(size_t number, const struct periods_section_config *s,
    const struct periods_values *base, struct buf *warnings)
{
	const struct { unsigned bit; const char *key; double base; } keys[] = {
		{ PERIODS_IDLE_COUNT, "IdleCount", base->idle_count },
		{ PERIODS_IDLE_COUNT_MIN, "IdleCountMin", base->idle_count_min },
		{ PERIODS_IDLE_FACTOR, "IdleScaleFactor", base->idle_factor },
		{ PERIODS_IDLE_TIME, "IdleTime", (double)(base->idle_time / NSEC_SEC) },
	};

	for (size_t i = 0; i < NELEM(keys); i++) {
		if ((s->given & keys[i].bit) == 0 && keys[i].base != 0)
			buf_fmt(warnings, SECTION " does not set %s, so it is 0 there: the %g of "
			    "[runners.machine] is not inherited\n", number, keys[i].key, keys[i].base);
	}
}

static void
warn_hardly_ever(size_t number, struct str text, const struct cron *c, int64_t local,
    struct buf *warnings)
{
	struct cron whole = *c;
	int seconds = cron_seconds(c);

	if (!cron_ever(c, local)) {
		buf_fmt(warnings, SECTION ": \"%.*s\" %s%s\n", number, STR_ARG(text), c->ignored[0] != '\0' ? "is never true: " : "will never be true again",
		    c->ignored);
		return;
	}
	if (c->ignored[0] != '\0')
		buf_fmt(warnings, SECTION ": \"%.*s\": %s\n", number, STR_ARG(text), c->ignored);
	if (seconds == 60)
		return;
	whole.second = (UINT64_C(1) << 60) - 1;
	if (seconds == 1)
		buf_fmt(warnings, SECTION ": \"%.*s\" is true for one second of each minute only, "
		    "so practically never; for whole minutes write \"", number, STR_ARG(text));
	else
		buf_fmt(warnings, SECTION ": \"%.*s\" is true for %d of the 60 seconds of a minute; "
		    "for whole minutes write \"", number, STR_ARG(text), seconds);
	cron_print(&whole, warnings);
	buf_puts(warnings, "\"\n");
}

struct compiling {
	struct arena	*a;
	const struct periods_config *cfg;
	int64_t		 now_s;
	struct buf	*warnings;
};

static int
compile_section(const struct compiling *c, size_t i, struct periods_section *out, struct err *e)
{
	const struct periods_config *cfg = c->cfg;
	const struct periods_section_config *s = &cfg->sections[i];
	struct cron *crons = arena_calloc(c->a, s->nperiods, sizeof(*crons));
	bool utc_ok = false;

	if (check_values(&s->values, e) < 0)
		return -1;
	out->zone = cfg->zone(cfg->ctx, s->timezone, &utc_ok);
	if (out->zone == NULL && !utc_ok)
		return err_set(e, ERR_CONFIG, 0, "Timezone \"%.*s\" is not known: write a name such as "
		    "\"Europe/Berlin\" or \"UTC\"", STR_ARG(s->timezone));
	for (size_t k = 0; k < s->nperiods; k++) {
		if (cron_parse(&crons[k], s->periods[k], cfg->unix_syntax ? CRON_UNIX : 0, e) < 0)
			return err_ctx(e, "Periods \"%.*s\"", STR_ARG(s->periods[k]));
		warn_hardly_ever(i + 1, s->periods[k], &crons[k],
		    c->now_s + tz_local(out->zone, c->now_s), c->warnings);
	}
	if (s->nperiods == 0)
		buf_fmt(c->warnings, SECTION " has no Periods and is never used\n", i + 1);
	else
		warn_not_inherited(i + 1, s, &cfg->base, c->warnings);
	out->crons = crons;
	out->ncrons = s->nperiods;
	out->values = s->values;
	return 0;
}

int
periods_compile(struct arena *a, const struct periods_config *cfg, int64_t now_s,
    struct periods *out, struct buf *warnings, struct err *e)
{
	const struct compiling c = { a, cfg, now_s, warnings };
	struct periods p = { .base = cfg->base, .nsections = cfg->nsections, .unix_syntax = cfg->unix_syntax };

	if (check_values(&cfg->base, e) < 0)
		return -1;
	p.sections = arena_calloc(a, cfg->nsections, sizeof(*p.sections));
	for (size_t i = 0; i < cfg->nsections; i++) {
		if (compile_section(&c, i, &p.sections[i], e) < 0)
			return err_ctx(e, SECTION, i + 1);
	}
	*out = p;
	return 0;
}

/* Asking. */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The second whose fields decide about `now`. */
static int64_t
deciding_second(const struct periods *p, wall_t now)
{
	return wall_seconds(now) + (p->unix_syntax ? 0 : 1);
}

static bool
contains(const struct periods_section *s, int64_t second)
{
	struct cron_time t = cron_time(second + tz_local(s->zone, second));

	for (size_t k = 0; k < s->ncrons; k++) {
		if (cron_match(&s->crons[k], &t))
			return true;
	}
	return false;
}

static int
section_at(const struct periods *p, int64_t second)
{
	for (size_t i = p->nsections; i-- > 0;) {
		if (contains(&p->sections[i], second))
			return (int)i;
	}
	return -1;
}

int
periods_active(const struct periods *p, wall_t now)
{
	return section_at(p, deciding_second(p, now));
}

const struct periods_values *
periods_values(const struct periods *p, int section)
{
	return section < 0 ? &p->base : &p->sections[section].values;
}

/* Whether something may change within a minute and not only with it. */
static bool
looks_at_seconds(const struct periods *p)
{
	for (size_t i = 0; i < p->nsections && !p->unix_syntax; i++) {
		for (size_t k = 0; k < p->sections[i].ncrons; k++) {
			if (cron_seconds(&p->sections[i].crons[k]) != 60)
				return true;
		}
	}
	return false;
}

/*
 * Walks ahead minute by minute (all zones of our time differ by whole minutes), or, when
 * an expression restricts the seconds, second by second but for an hour only: such an
 * expression nearly always changes within the minute.
 */
wall_t
periods_until(const struct periods *p, wall_t now)
{
	int64_t first = deciding_second(p, now), second = first;
	int64_t step = looks_at_seconds(p) ? 1 : MINUTE;
	int64_t horizon = step == 1 ? 3600 : HORIZON;
	int here = section_at(p, first);

	if (p->nsections == 0)
		return wall_add(now, HORIZON * NSEC_SEC);
	do {
		second = (floor_div(second, step) + 1) * step;
	} while (second - first < horizon && section_at(p, second) == here);
	return wall_of_seconds(second - (first - wall_seconds(now)));
}

void
periods_apply(const struct periods *p, wall_t now, struct scale_policy *policy)
{
	const struct periods_values *v = periods_values(p, periods_active(p, now));

	policy->idle_count = v->idle_count;
	policy->idle_count_min = v->idle_count_min;
	policy->idle_factor = v->idle_factor;
	policy->idle_time = v->idle_time;
	policy->until = periods_until(p, now).ns;
}
