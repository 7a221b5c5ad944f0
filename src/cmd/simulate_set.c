/* What `windlass simulate` may set and sweep: keys of config.toml, and what stands for a cloud. See simulate.h. */
#include <math.h>

#include "cmd/simulate.h"
#include "config/keys.h"

enum kind { WHOLE, NUMBER, SPAN, SWITCH, RULES };

struct setting {
	enum key_id	 key;		/* its name; without `own` */
	const char	*own;		/* the name of what config.toml does not have; or NULL */
	enum kind	 kind;
	size_t		 offset;	/* in struct sim_config */
};

#define AT(f)	offsetof(struct sim_config, f)

static const struct setting settings[] = {
	{ K_MACHINE_idle_count, NULL, WHOLE, AT(policy.idle_count) },
	{ K_MACHINE_idle_time, NULL, SPAN, AT(policy.idle_time) },
	{ K_MACHINE_idle_scale_factor, NULL, NUMBER, AT(policy.idle_factor) },
	{ K_MACHINE_idle_count_min, NULL, WHOLE, AT(policy.idle_count_min) },
	{ K_MACHINE_factor_limit, NULL, WHOLE, AT(policy.factor_limit) },
	{ K_RUNNER_limit, NULL, WHOLE, AT(policy.limit) },
	{ K_GLOBAL_concurrent, NULL, WHOLE, AT(concurrent) },
	{ K_GLOBAL_max_machines, NULL, WHOLE, AT(max_machines) },
	{ K_MACHINE_max_builds, NULL, WHOLE, AT(policy.max_builds) },
	{ K_MACHINE_max_growth, NULL, WHOLE, AT(policy.max_growth) },
	{ K_MACHINE_growth_per_second, NULL, NUMBER, AT(growth_per_second) },
	{ K_MACHINE_growth_burst, NULL, WHOLE, AT(growth_burst) },
	{ K_MACHINE_max_machine_age, NULL, SPAN, AT(policy.max_age) },
	{ K_MACHINE_preemptive, NULL, SWITCH, AT(policy.preemptive) },
	{ K_GLOBAL_check_interval, NULL, SPAN, AT(check_interval) },
	{ K_MACHINE_scaling_rules, NULL, RULES, AT(policy.rules) },
	{ KEYS_N, "boot", SPAN, AT(boot) },
	{ KEYS_N, "removal", SPAN, AT(removal) },
	{ KEYS_N, "price", NUMBER, AT(price_per_hour) },
};

static const int nsettings = (int)NELEM(settings);

static const char *
name_of(const struct setting *st)
{
	return st->own != NULL ? st->own : keys[st->key].name;
}

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
	case WHOLE:
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
	case WHOLE:
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
		buf_fmt(&names, "%s%s", i > 0 ? ", " : "", name_of(&settings[i]));
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
		if (str_caseeq(key, name_of(&settings[i])))
			set.setting = i;
	if (set.setting < 0)
		return unknown(key, e);
	set.name = name_of(&settings[set.setting]);
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
		case WHOLE:
			memcpy(&count, at, sizeof(count));
			if (count != 0 || i == 0)
				buf_fmt(out, "%s%s %d", comma, name_of(st), count);
			break;
		case NUMBER:
			memcpy(&number, at, sizeof(number));
			if (number > 0)
				buf_fmt(out, "%s%s %g", comma, name_of(st), number);
			break;
		case SPAN:
			memcpy(&ns, at, sizeof(ns));
			time_go_duration(ns, span);
			if (ns != 0 || st->offset == AT(policy.idle_time))
				buf_fmt(out, "%s%s %s", comma, name_of(st), span);
			break;
		case SWITCH:
			memcpy(&yes, at, sizeof(yes));
			if (yes)
				buf_fmt(out, "%s%s", comma, name_of(st));
			break;
		case RULES:
			break;
		}
	}
}

const char *
settings_name(size_t i)
{
	return i < NELEM(settings) ? name_of(&settings[i]) : NULL;
}
