/* What `windlass simulate` may set and sweep: one table. See simulate.h. */
#include <math.h>

#include "cmd/simulate.h"

enum kind { COUNT, NUMBER, SPAN, SWITCH, RULES };

struct setting {
	const char	*name;
	enum kind	 kind;
	size_t		 offset;	/* in struct sim_config */
};

#define AT(f)	offsetof(struct sim_config, f)

static const struct setting settings[] = {
	{ "IdleCount", COUNT, AT(policy.idle_count) },
	{ "IdleTime", SPAN, AT(policy.idle_time) },
	{ "IdleScaleFactor", NUMBER, AT(policy.idle_factor) },
	{ "IdleCountMin", COUNT, AT(policy.idle_count_min) },
	{ "IdleScaleFactorLimit", COUNT, AT(policy.factor_limit) },
	{ "limit", COUNT, AT(policy.limit) },
	{ "concurrent", COUNT, AT(concurrent) },
	{ "max_machines", COUNT, AT(max_machines) },
	{ "MaxBuilds", COUNT, AT(policy.max_builds) },
	{ "MaxGrowthRate", COUNT, AT(policy.max_growth) },
	{ "GrowthRatePerSecond", NUMBER, AT(growth_per_second) },
	{ "GrowthBurst", COUNT, AT(growth_burst) },
	{ "MaxMachineAge", SPAN, AT(policy.max_age) },
	{ "Preemptive", SWITCH, AT(policy.preemptive) },
	{ "check_interval", SPAN, AT(check_interval) },
	{ "ScalingRules", RULES, AT(policy.rules) },
	{ "boot", SPAN, AT(boot) },
	{ "removal", SPAN, AT(removal) },
	{ "price", NUMBER, AT(price_per_hour) },
};

static const int nsettings = (int)NELEM(settings);

/* Seconds as config.toml writes them, or "10m", "1h30m". */
static bool
read_span(struct str s, dur_t *ns)
{
	int64_t n;

	if (str_to_i64(s, &n) == 0 && n >= 0 && n <= INT_MAX)
		*ns = n * NSEC_SEC;
	else if (str_to_duration(s, ns) < 0)
		return false;
	return *ns >= 0;
}

static bool
read_number(struct str s, double *v)
{
	char text[64], *end;

	if (s.n == 0 || str_copy(s, text, sizeof(text)) < 0)
		return false;
	*v = strtod(text, &end);
	return *end == '\0' && isfinite(*v) && *v >= 0 && *v <= 1e9 && strpbrk(text, "xXnN") == NULL;
}

/* Words as in ScalingRules, joined by "+" since a comma ends a value. */
static bool
read_rules(struct str s, unsigned *rules)
{
	char text[16][32];
	const char *words[16];
	size_t n = 0;

	while (s.p != NULL) {
		if (n == NELEM(words) || str_copy(str_trim(str_cut(&s, '+')), text[n], sizeof(text[n])) < 0)
			return false;
		words[n] = text[n];
		n++;
	}
	return n > 0 && scale_rules_parse(words, n, rules, NULL) == 0;
}

/* Puts a value into c; false when it is none. */
static bool
put(const struct setting *st, struct str v, struct sim_config *c)
{
	char *at = (char *)c + st->offset;
	dur_t span;
	double number;
	bool yes;
	int count;

	switch (st->kind) {
	case COUNT:
		if (str_to_int(v, &count) < 0 || count < 0)
			return false;
		memcpy(at, &count, sizeof(count));
		return true;
	case NUMBER:
		if (!read_number(v, &number))
			return false;
		memcpy(at, &number, sizeof(number));
		return true;
	case SPAN:
		if (!read_span(v, &span))
			return false;
		memcpy(at, &span, sizeof(span));
		return true;
	case SWITCH:
		if (str_to_bool(v, &yes) < 0)
			return false;
		memcpy(at, &yes, sizeof(yes));
		return true;
	case RULES:
		return read_rules(v, &c->policy.rules);
	}
	return false;
}

static const char *
wanted(enum kind k)
{
	switch (k) {
	case COUNT:
		return "a whole number from 0 up, such as 5";
	case NUMBER:
		return "a number from 0 up, such as 1.5";
	case SPAN:
		return "seconds, or a time such as 10m or 1h30m";
	case SWITCH:
		return "true or false";
	case RULES:
		return "better, compat, or rules joined by + as in better+no-pace (windlass check names them)";
	}
	return "";
}

static int
unknown(struct str key, struct err *e)
{
	struct buf names = { .max = 400 };

	for (int i = 0; i < nsettings; i++)
		buf_fmt(&names, "%s%s", i > 0 ? ", " : "", settings[i].name);
	err_set(e, ERR_CONFIG, 0, "--set %.*s: there is no such setting; there are %.*s", (int)(key.n < 60 ? key.n : 60), key.p,
	    (int)names.n, names.p);
	buf_free(&names);
	return -1;
}

int
sweep_add(struct sweep *s, const char *arg, struct err *e)
{
	struct str values = str_from(arg), key;
	struct sweep_set set = { .setting = -1 };
	struct sim_config dummy;

	if (str_chr(values, '=') < 0)
		return err_set(e, ERR_CONFIG, 0, "--set %.100s: write --set KEY=VALUE or KEY=VALUE,VALUE,..., as in IdleCount=0,5,20", arg);
	key = str_trim(str_cut(&values, '='));
	for (int i = 0; i < nsettings && set.setting < 0; i++)
		if (str_caseeq(key, settings[i].name))
			set.setting = i;
	if (set.setting < 0)
		return unknown(key, e);
	set.name = settings[set.setting].name;
	if (sweep_has(s, set.name))
		return err_set(e, ERR_CONFIG, 0, "--set %s stands twice: write its values behind one another, as in %s=1,2", set.name, set.name);
	while (values.p != NULL) {
		struct str v = str_trim(str_cut(&values, ','));

		if (set.n == SWEEP_VALUES)
			return err_set(e, ERR_CONFIG, 0, "--set %s: more than %d values", set.name, SWEEP_VALUES);
		if (!put(&settings[set.setting], v, &dummy))
			return err_set(e, ERR_CONFIG, 0, "--set %s: \"%.*s\" is not %s", set.name, (int)(v.n < 60 ? v.n : 60), v.p,
			    wanted(settings[set.setting].kind));
		set.values[set.n++] = v;
	}
	if (sweep_runs(s) * set.n > SWEEP_RUNS)
		return err_set(e, ERR_CONFIG, 0, "--set %s: these are %zu combinations with those before; %d are the most in one go",
		    set.name, sweep_runs(s) * set.n, SWEEP_RUNS);
	s->sets = xrealloc(s->sets, (s->n + 1) * sizeof(*s->sets));
	s->sets[s->n++] = set;
	return 0;
}

size_t
sweep_runs(const struct sweep *s)
{
	size_t n = 1;

	for (size_t i = 0; i < s->n; i++)
		n *= s->sets[i].n;
	return n;
}

struct str
sweep_value(const struct sweep *s, size_t run, size_t set)
{
	for (size_t i = s->n; --i > set; )
		run /= s->sets[i].n;
	return s->sets[set].values[run % s->sets[set].n];
}

void
sweep_apply(const struct sweep *s, size_t run, struct sim_config *c)
{
	for (size_t i = 0; i < s->n; i++)
		put(&settings[s->sets[i].setting], sweep_value(s, run, i), c);
}

bool
sweep_has(const struct sweep *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->sets[i].name, name) == 0)
			return true;
	return false;
}

void
sweep_free(struct sweep *s)
{
	free(s->sets);
	*s = (struct sweep){ 0 };
}

void
settings_print(const struct sim_config *c, struct buf *out)
{
	char span[40];
	int64_t ns;
	double number;
	bool yes;
	int count;

	/* Idle settings always; what is 0 otherwise means "none" and goes without saying. */
	for (int i = 0; i < nsettings; i++) {
		const struct setting *st = &settings[i];
		const char *at = (const char *)c + st->offset, *comma = i > 0 ? ", " : "";

		/* they have lines of their own */
		if (st->offset == AT(boot) || st->offset == AT(removal) || st->offset == AT(price_per_hour) || st->kind == RULES)
			continue;
		if (st->offset == AT(growth_burst) && c->growth_per_second <= 0)
			continue;
		switch (st->kind) {
		case COUNT:
			memcpy(&count, at, sizeof(count));
			if (count != 0 || i == 0)
				buf_fmt(out, "%s%s %d", comma, st->name, count);
			break;
		case NUMBER:
			memcpy(&number, at, sizeof(number));
			if (number > 0)
				buf_fmt(out, "%s%s %g", comma, st->name, number);
			break;
		case SPAN:
			memcpy(&ns, at, sizeof(ns));
			time_go_duration(ns, span);
			if (ns != 0 || st->offset == AT(policy.idle_time))
				buf_fmt(out, "%s%s %s", comma, st->name, span);
			break;
		case SWITCH:
			memcpy(&yes, at, sizeof(yes));
			if (yes)
				buf_fmt(out, "%s%s", comma, st->name);
			break;
		case RULES:
			break;
		}
	}
}

const char *
settings_name(size_t i)
{
	return i < NELEM(settings) ? settings[i].name : NULL;
}
