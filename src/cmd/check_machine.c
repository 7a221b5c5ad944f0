/* [runners.machine]: names, options, idle settings (spec machines 1.19): see check.h. */
#include "books/store.h"
#include "cmd/check_machine.h"
#include "config/zones.h"
#include "machine/certs.h"
#include "policy/names.h"
#include "policy/periods.h"

#define SAMPLE_TIME	1772445600	/* any second makes a name as long as every other */

/* ---- options ---- */

/* An option with the machine's name in place of %s. */
static const char *
with_name(struct check *c, const char *option, const char *name)
{
	const char *at_s = strstr(option, "%s");

	if (at_s == NULL)
		return option;
	return arena_fmt(&c->arena, "%.*s%s%s", (int)(at_s - option), option, name, at_s + 2);
}

static const char *
sample_name(const struct runner *r, char name[NAMES_LABEL_SIZE])
{
	if (r->disabled == NULL)
		names_make(&r->names, SAMPLE_TIME, 0, name);
	else
		snprintf(name, NAMES_LABEL_SIZE, "runner-check");
	return name;
}

int
check_machine_host(struct check *c, const struct runner *r, struct machine_options *o, struct machine_host *h, struct err *e)
{
	const struct cloud_driver *d = cloud_driver_find(str_from(r->machine_driver));
	size_t n = 0, most = r->machine_options.n + r->machine_options_with_name.n;
	const char **list = arena_calloc(&c->arena, most + 1, sizeof(*list));
	char *store = store_default_path(), name[NAMES_LABEL_SIZE], names[CLOUD_NAMES_MAX];
	int rc;

	if (d == NULL) {
		free(store);
		return err_set(e, ERR_CONFIG, 0, "no driver \"%s\" (there are: %s)", r->machine_driver, cloud_driver_names(names));
	}
	sample_name(r, name);
	for (size_t i = 0; i < r->machine_options.n; i++)
		list[n++] = r->machine_options.v[i];
	for (size_t i = 0; i < r->machine_options_with_name.n; i++)
		list[n++] = with_name(c, r->machine_options_with_name.v[i], name);
	machine_options_init(o, d);
	rc = machine_options_take(o, &c->arena, list, n, e);
	if (rc == 0)
		rc = machine_options_host(o, h, &c->arena, store != NULL ? store : "/root/.docker/machine", name, e);
	free(store);
	return rc;
}

/* The nearest option that this driver has; else whose option it is; NULL. */
static const char *
option_hint(struct check *c, const struct machine_options *rows, struct str name)
{
	const char *best = opt_nearest(rows->opt, rows->n, name), *other = catalog_driver_of(name);

	if (best != NULL)
		return arena_fmt(&c->arena, "did you mean %s?", best);
	if (other != NULL && strcmp(other, rows->driver->about->name) != 0)
		return arena_fmt(&c->arena, "it is one of the driver %s", other);
	return arena_fmt(&c->arena, "`windlass machine create --driver %s --help` lists them", rows->driver->about->name);
}

/* In the words of the file: an option has no dashes there, and where it stands is said in front. */
static const char *
plain_words(const char *msg)
{
	static const char *const heads[] = { "MachineOptions: ", "option --" };

	for (size_t i = 0; i < NELEM(heads); i++)
		if (str_starts(str_from(msg), heads[i]))
			msg += strlen(heads[i]);
	return msg;
}

static void
check_option(struct check *c, const struct cloud_driver *d, enum key_id key, const char *option, int line)
{
	struct check_at where = CHECK_AT_KEY(&keys[key], line);
	struct str rest = str_from(option), name = str_cut(&rest, '=');
	const char *one[] = { option };
	struct machine_options o;
	struct err e = { 0 };

	if (option[0] == '-') {
		check_say(c, CHECK_ERROR, CHECK_REFUSED, where, "\"%.*s\": write it without leading dashes; they are put there", STR_ARG(name));
		return;
	}
	if (d == NULL)
		return;
	machine_options_init(&o, d);
	if (opt_find(o.opt, o.n, arena_dup(&c->arena, name)) == NULL)
		check_say(c, CHECK_ERROR, CHECK_REFUSED, where, "\"%.*s\" is no option of create with the driver %s: %s", STR_ARG(name), d->about->name,
		    option_hint(c, &o, name));
	else if (machine_options_take(&o, &c->arena, one, 1, &e) < 0)
		check_say(c, check_level_of(&e), CHECK_REFUSED, where, "%s", plain_words(e.msg));
	else if (machine_option_note(arena_dup(&c->arena, name), rest.p) != NULL)
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%s", machine_option_note(arena_dup(&c->arena, name), rest.p));
	machine_options_free(&o);
}

/* The line of the i-th entry of a list. */
static int
line_of(const struct toml *t, enum key_id key, size_t i)
{
	const struct toml *list = key_value(key, t), *v = list != NULL ? list->first : NULL;

	while (i-- > 0 && v != NULL)
		v = v->next;
	return v != NULL ? v->line : 0;
}

/* "... requires the --NAME option": the variable that may give it instead; NULL. */
static const char *
missing_variable(const struct machine_options *o, const char *msg)
{
	const char *at_name = strstr(msg, "requires the --");
	struct str name;

	if (at_name == NULL)
		return NULL;
	at_name += strlen("requires the --");
	name = str_of(at_name, strcspn(at_name, " "));
	for (size_t i = 0; i < o->n; i++)
		if (str_eqc(name, o->opt[i].name))
			return o->opt[i].env;
	return NULL;
}

static void
check_options(struct check *c, const struct runner *r, const struct toml *t)
{
	const struct cloud_driver *d = cloud_driver_find(str_from(r->machine_driver));
	size_t before = c->count[CHECK_ERROR];
	char name[NAMES_LABEL_SIZE], names[CLOUD_NAMES_MAX];
	struct machine_options o = { 0 };
	struct machine_host h;
	struct err e = { 0 };

	if (d == NULL && r->machine_driver[0] != '\0')
		check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(K_MACHINE_machine_driver, t), "windlass has no driver \"%s\"; it has %s", r->machine_driver, cloud_driver_names(names));
	sample_name(r, name);
	for (size_t i = 0; i < r->machine_options.n; i++)
		check_option(c, d, K_MACHINE_machine_options, r->machine_options.v[i], line_of(t, K_MACHINE_machine_options, i));
	for (size_t i = 0; i < r->machine_options_with_name.n; i++) {
		const char *option = r->machine_options_with_name.v[i];
		enum key_id id = K_MACHINE_machine_options_with_name;
		struct check_at where = CHECK_AT_KEY(&keys[id], line_of(t, id, i));

		if (strstr(option, "%s") == NULL) {
			check_say(c, CHECK_ERROR, CHECK_REFUSED, where, "an entry has no %%s for the machine's name; it belongs into MachineOptions");
			continue;
		}
		check_option(c, d, id, with_name(c, option, name), where.line);
	}
	/* Each by itself is good: now whether they make a machine. */
	if (d == NULL || c->count[CHECK_ERROR] > before)
		return;
	if (check_machine_host(c, r, &o, &h, &e) < 0 || (!c->judging && d->check != NULL && d->check(&h.cloud, &e) < 0)) {
		const char *variable = missing_variable(&o, e.msg);

		/* Credentials come by the environment, which may be another one at the next creation. */
		if (variable != NULL)
			check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_machine_options, t), "%s; %s is not set in this %s, which would give it, too", plain_words(e.msg), variable,
			    c->own_environment ? "service's environment" : "shell");
		else
			check_say(c, check_level_of(&e), CHECK_REFUSED, check_at(K_MACHINE_machine_options, t), "%s", plain_words(e.msg));
	}
	machine_options_free(&o);
}

/* ---- names and numbers ---- */

static void
check_name(struct check *c, const struct runner *r, const struct toml *t)
{
	const char *s = strstr(r->machine_name, "%s");
	struct names_pool pool;
	struct err e = { 0 };

	if (r->machine_name[0] == '\0') {
		check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(K_MACHINE_machine_name, t), "it is missing: write a name with one %%s in it, such as \"ci-%%s\"");
		return;
	}
	if (names_pool_init(&pool, str_from(secret_reveal(r->token)), str_from(r->machine_name),
	    &e) < 0) {
		check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(K_MACHINE_machine_name, t), "%s%s", e.msg,
		    s == NULL ? " (gitlab-runner would never find its own machines, and make one after another)" : "");
		return;
	}
	if (s[2] != '\0')
		check_say(c, CHECK_INFO, CHECK_DIFFERENT, check_at(K_MACHINE_machine_name, t), "text behind %%s counts when machines are told apart; gitlab-runner looks only at what stands before it");
}

static void
check_idle(struct check *c, const struct runner *r, const struct toml *t)
{
	if (r->idle_scale_factor > 0 && r->idle_count == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_idle_scale_factor, t), "without effect while IdleCount, its upper bound, is 0");
	if (r->idle_count_min > 0 && r->idle_scale_factor <= 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_idle_count_min, t), "without effect while IdleScaleFactor is 0");
	if (r->idle_count_min > 0 && r->idle_count_min > r->idle_count)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_idle_count_min, t), "above IdleCount (%" PRId64 "), its upper bound", r->idle_count);
	if (r->max_builds == 1 && r->idle_count == 0 && r->idle_time > 0)
		check_say(c, CHECK_INFO, CHECK_TRAP, check_at(K_MACHINE_idle_time, t), "without effect with MaxBuilds = 1 and IdleCount = 0: no machine is ever idle");
}

/* What windlass adds, together with what it is added to. */
static void
check_growth(struct check *c, const struct runner *r, const struct toml *t)
{
	const struct toml *factor = key_value(K_MACHINE_factor_limit, t), *burst = key_value(K_MACHINE_growth_burst, t);

	if (factor != NULL && r->factor_limit > 0 && r->idle_scale_factor <= 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_factor_limit, t), "without effect while IdleScaleFactor is 0");
	if (burst != NULL && r->growth_per_second <= 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_growth_burst, t), "without effect while GrowthRatePerSecond is 0");
	if (r->preemptive && r->idle_count == 0 && r->nautoscaling == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_preemptive, t), "with IdleCount = 0 there is never an idle machine to ask with before the first job: no job will be taken");
	if (r->max_machine_age > 0 && r->idle_time >= r->max_machine_age)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_MACHINE_max_machine_age, t), "not above IdleTime (%" PRId64 " s): machines go before they may be idle for so long", r->idle_time);
}

static void
check_negative(struct check *c, const struct toml *t)
{
	for (enum key_id id = 0; id < KEYS_N; id++) {
		const struct toml *v = keys[id].section == KS_MACHINE && keys[id].not_below_0 ? key_value(id, t) : NULL;

		if (v != NULL && ((v->type == TOML_INTEGER && v->i < 0) || (v->type == TOML_FLOAT && v->f < 0)))
			check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(id, t), "must not be negative (gitlab-runner takes it, and waits for ever)");
	}
}

/* ---- periods ---- */

static void
take_period_values(const struct toml *t, struct periods_section_config *s)
{
	static const struct { enum key_id key; enum periods_given bit; } values[] = {
		{ K_AUTOSCALING_idle_count, PERIODS_IDLE_COUNT },
		{ K_AUTOSCALING_idle_count_min, PERIODS_IDLE_COUNT_MIN },
		{ K_AUTOSCALING_idle_scale_factor, PERIODS_IDLE_FACTOR },
		{ K_AUTOSCALING_idle_time, PERIODS_IDLE_TIME },
	};

	for (size_t i = 0; i < NELEM(values); i++)
		if (key_value(values[i].key, t) != NULL)
			s->given |= values[i].bit;
}

/* One section at a time, so that its findings get its line. */
/* Each section is compiled alone, so its number says nothing. */
static struct str
without_number(struct str s)
{
	static const char number[] = "[[runners.machine.autoscaling]] number 1";

	if (!str_starts(s, number))
		return s;
	s = str_sub(s, sizeof(number) - 1, s.n);
	return str_trim(str_starts(s, ":") ? str_sub(s, 1, s.n) : s);
}

static void
check_period(struct check *c, const struct runner *r, const struct toml *t)
{
	struct check_at where = CHECK_AT_KEY(&keys[K_AUTOSCALING_periods], t->line);
	const struct toml *list = key_value(K_AUTOSCALING_periods, t), *zone = key_value(K_AUTOSCALING_timezone, t);
	struct periods_section_config s = { 0 };
	struct periods_config conf = { .sections = &s, .nsections = 1, .zone = zones_find, .ctx = &c->arena,
	    .unix_syntax = strcmp(r->periods_syntax, "unix") == 0, .base = r->periods.base };
	struct str *periods = arena_calloc(&c->arena, list != NULL ? list->n + 1 : 1, sizeof(*periods));
	struct buf warnings = { .max = 16384 };
	struct periods out;
	struct err e = { 0 };
	struct str rest;

	TOML_EACH(p, list)
		periods[s.nperiods++] = p->s;
	s.periods = periods;
	s.timezone = zone != NULL && zone->type == TOML_STRING ? zone->s : STR("");
	take_period_values(t, &s);
	if (periods_compile(&c->arena, &conf, wall_seconds(wall_now()), &out, &warnings, &e) < 0) {
		const char *why = without_number(str_from(e.msg)).p;

		check_say(c, CHECK_ERROR, CHECK_REFUSED,
		    str_starts(str_from(why), keys[K_AUTOSCALING_timezone].name) ?
		    check_at(K_AUTOSCALING_timezone, t) : where, "%s", why);
	}
	for (rest = buf_str(&warnings); rest.n > 0;) {
		struct str one = without_number(str_cut(&rest, '\n'));

		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%.*s", STR_ARG(one));
	}
	buf_free(&warnings);
}

void
check_certs(struct check *c)
{
	char *store = store_default_path();
	struct buf b = { 0 };

	if (store != NULL && certs_say(store, &b))
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_LINE(0), "%s", b.p);
	buf_free(&b);
	free(store);
}

void
check_machine(struct check *c, const struct runner *r, const struct toml *t)
{
	const struct toml *list = key_value(K_MACHINE_autoscaling, t);
	char names[CLOUD_NAMES_MAX];

	check_negative(c, t);
	if (r->machine_driver[0] == '\0')
		check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(K_MACHINE_machine_driver, t), "it is missing: windlass has %s", cloud_driver_names(names));
	check_name(c, r, t);
	check_options(c, r, t);
	check_option_traps(c, r, t);
	check_machine_traps(c, r, t);
	check_paste_machine(c, t);
	check_idle(c, r, t);
	check_growth(c, r, t);
	if (list != NULL && list->type == TOML_ARRAY)
		TOML_EACH(section, list)
			check_period(c, r, section);
}
