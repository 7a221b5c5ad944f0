/*
 * `windlass simulate`: replays past jobs through the policy code of the manager, with the settings of config.toml or others, and
 * says what the machines would have cost and how long the jobs would have waited. It reads files and asks nobody.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include "catalog/clouds.h"
#include "cmd/cmd.h"
#include "cmd/simulate.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/policy.h"
#include "core/fs.h"
#include "core/opt.h"
#include "manager/manager.h"
#include "wire/json.h"

#define BOOT_ASSUMED	(90 * NSEC_SEC)
#define REMOVAL_ASSUMED	(10 * NSEC_SEC)
#define LONG_POLL	(50 * NSEC_SEC)		/* what a GitLab holds a request by default (spec gitlab-runner 1.10) */
#define IDLE_TIME	(600 * NSEC_SEC)	/* without a config.toml */
#define SKETCH_HEIGHT	12
#define SAMPLES		600
#define PICTURES	24			/* most runs in one SVG */

enum { O_CONFIG, O_RUNNER, O_HISTORY, O_STATE, O_SINCE, O_START, O_SET, O_COMPAT, O_PERIODS, O_BOOT, O_REMOVAL, O_BILLING, O_SIZE,
	O_PRICE, O_SVG, O_JSON, O_N };

static const struct opt opts[O_N] = {
	[O_CONFIG] = OPT_CONFIG,
	[O_RUNNER] = { .name = "runner", .letter = 'r', .type = OPT_STRING, .arg = "NAME", .help = "which [[runners]] entry: its name, short token or key" },
	[O_HISTORY] = { .name = "history", .type = OPT_STRING, .arg = "FILE", .help = "past jobs: a table of arrival_seconds,duration_seconds, or a history.jsonl; - is standard input (default: this host's own record)" },
	[O_STATE] = OPT_STATE_DIR,
	[O_SINCE] = { .name = "since", .type = OPT_STRING, .arg = "DATE", .help = "leave out jobs of the record that arrived before: 2026-03-01, 2026-03-01T08:15:30Z" },
	[O_START] = { .name = "start", .type = OPT_STRING, .arg = "DATE", .help = "when the first job of a table arrived; needed for settings by time of day" },
	[O_SET] = { .name = "set", .type = OPT_LIST, .arg = "KEY=VALUE[,VALUE...]", .help = "try these values; may be given several times" },
	[O_COMPAT] = { .name = "compat", .type = OPT_BOOL, .help = "gitlab-runner's own algorithm as well, beside windlass's" },
	[O_PERIODS] = { .name = "no-periods", .type = OPT_BOOL, .help = "leave out [[runners.machine.autoscaling]]" },
	[O_BOOT] = { .name = "boot", .type = OPT_STRING, .arg = "TIME", .help = "from asking for a machine to having it (default: the record's median, else 1m30s)" },
	[O_REMOVAL] = { .name = "removal", .type = OPT_STRING, .arg = "TIME", .help = "from asking for its removal to the end of its bill (default 10s)" },
	[O_BILLING] = { .name = "billing", .type = OPT_STRING, .arg = "RULE", .help = "second, minute, hour, UNIT,MINIMUM such as 1s,60s, or a cloud driver (default: that of the configured driver)" },
	[O_SIZE] = { .name = "size", .type = OPT_STRING, .arg = "SIZE", .help = "size of the machines, to look up its price (default: of MachineOptions)" },
	[O_PRICE] = { .name = "price", .type = OPT_STRING, .arg = "MONEY", .help = "of a machine hour (default: the list price of the size, if known)" },
	[O_SVG] = { .name = "svg", .type = OPT_STRING, .arg = "FILE", .help = "write a picture of machines and waiting jobs over time" },
	[O_JSON] = { .name = "json", .type = OPT_BOOL, .help = "everything as one JSON object" },
};
const struct usage cmd_simulate_usage = USAGE("",
    "Replays past jobs through the scaling policy: machines made, hours paid and in use, money, and how long jobs waited.\n"
    "The jobs are those that windlass itself has recorded, or a table. The settings are those of config.toml, and what --set\n"
    "says instead. Several values are tried one after another, several --set in all combinations.\n\n"
    "KEY is one of: IdleCount, IdleTime, IdleScaleFactor, IdleCountMin, IdleScaleFactorLimit, limit, concurrent,\n"
    "max_machines, MaxBuilds, MaxGrowthRate, GrowthRatePerSecond, GrowthBurst, MaxMachineAge, Preemptive,\n"
    "check_interval, ScalingRules (better, compat, better+no-pace), boot, removal, price. Times are seconds or 10m, 1h30m.", opts);

/* All that one call of the command is about. */
struct study {
	struct opt		*o;
	struct config		*config;
	char			*config_path, *state_dir;
	const struct runner	*runner;	/* NULL: without a configuration */
	size_t			 others;	/* runners left out */
	struct past		 past;
	struct sim_config	 base;
	const struct periods	*periods;	/* NULL: the idle settings hold always */
	struct sweep		 sweep;
	const char		*driver;	/* "" unknown */
	struct str		 size;		/* "" unknown */
	const char		*currency;
	char			 price_from[160], boot_from[120], billing_from[160];
	bool			 priced;
	size_t			 nruns;
	struct sim_result	*runs;
	struct arena		 a;
};

/* The runner. */

static int
choose_named(struct study *s, const char *name, struct err *e)
{
	struct buf known = { .max = 300 };

	for (size_t i = 0; i < s->config->nrunners; i++) {
		const struct runner *r = &s->config->runners[i];

		if (strcmp(name, r->name) == 0 || strcmp(name, r->short_token) == 0 || strcmp(name, r->key) == 0) {
			s->runner = r;
			buf_free(&known);
			return 0;
		}
		buf_fmt(&known, "%s\"%s\"", i > 0 ? ", " : "", r->name);
	}
	err_set(e, ERR_CONFIG, 0, "%s has no runner \"%.100s\"; it has %.*s", s->config_path, name,
	    known.n > 0 ? (int)known.n : 4, known.n > 0 ? known.p : "none");
	buf_free(&known);
	return -1;
}

static int
choose_runner(struct study *s, struct err *e)
{
	const char *name = s->o[O_RUNNER].value;
	struct buf known = { .max = 300 };
	size_t n = 0;
	int rc = 0;

	if (name != NULL) {
		rc = choose_named(s, name, e);
	} else {
		for (size_t i = 0; i < s->config->nrunners; i++) {
			const struct runner *r = &s->config->runners[i];

			if (!r->has_machine)
				continue;
			buf_fmt(&known, "%s\"%s\"", n > 0 ? ", " : "", r->name);
			s->runner = r;
			n++;
		}
		if (n > 1)
			rc = err_set(e, ERR_CONFIG, 0, "%s has %zu runners with machines: name one with --runner (%.*s)", s->config_path, n,
			    STR_ARG(buf_str(&known)));
		else if (n == 0)
			rc = err_set(e, ERR_CONFIG, 0, "%s has no runner with a [runners.machine] section", s->config_path);
	}
	for (size_t i = 0; i < s->config->nrunners; i++)
		s->others += &s->config->runners[i] != s->runner && s->config->runners[i].has_machine;
	buf_free(&known);
	return rc;
}

static int
read_config(struct study *s, struct err *e)
{
	const char *given = s->o[O_CONFIG].value;

	s->config_path = given != NULL ? xstrdup(given) : config_default_path();
	if (!fs_exists(AT_FDCWD, s->config_path)) {
		if (given != NULL)
			return err_set(e, ERR_NOTFOUND, 0, "%s does not exist", s->config_path);
		if (s->o[O_RUNNER].value != NULL)
			return err_set(e, ERR_NOTFOUND, 0, "--runner: there is no %s to find it in; name the file with --config", s->config_path);
		return 0;
	}
	s->config = config_load(s->config_path, NULL, NULL, e);
	if (s->config == NULL || choose_runner(s, e) < 0)
		return -1;
	/* Half of what is wrong with it would be wrong in the replay, too. */
	if (s->runner->disabled != NULL)
		return err_set(e, ERR_CONFIG, 0, "%s:%d: the runner \"%s\" cannot run: %s", s->config_path, s->runner->line, s->runner->name,
		    s->runner->disabled);
	return 0;
}

static void
take_settings(struct study *s)
{
	const struct runner *r = s->runner;
	struct sim_config *c = &s->base;

	*c = (struct sim_config){ .policy = scale_policy_default(), .long_poll = LONG_POLL, .removal = REMOVAL_ASSUMED,
	    .boot = BOOT_ASSUMED, .growth_burst = 10, .seed = 1 };
	if (r == NULL) {
		c->policy.idle_time = IDLE_TIME;
		return;
	}
	c->policy = runner_policy(r, -1);
	/* The replay itself leaves it out while no machine is to be kept idle. */
	c->policy.grace = scale_policy_default().grace;
	c->concurrent = (int)s->config->concurrent;
	c->max_machines = (int)s->config->max_machines;
	c->growth_per_second = r->growth_per_second;
	c->growth_burst = (int)r->growth_burst;
	c->check_interval = s->config->check_interval * NSEC_SEC;
	if (r->periods.nsections > 0 && !s->o[O_PERIODS].number)
		s->periods = &r->periods;
}

/* Past jobs. */

/* "2026-03-01", "2026-03-01T08:15:30Z", "2026-03-01 08:15" (UTC). */
static int
read_date(const char *option, const char *text, wall_t *t, struct err *e)
{
	char full[64];

	if (time_parse_rfc3339(str_from(text), t) == 0)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		static const char *const tails[] = { "T00:00:00Z", ":00Z", "Z" };

		snprintf(full, sizeof(full), "%.40s%s", text, tails[i]);
		if (strlen(full) > 10 && full[10] == ' ')
			full[10] = 'T';
		if (time_parse_rfc3339(str_from(full), t) == 0)
			return 0;
	}
	return err_set(e, ERR_CONFIG, 0, "--%s %.60s: write a date such as 2026-03-01 or 2026-03-01T08:15:30Z", option, text);
}

static int
read_past(struct study *s, struct err *e)
{
	const char *file = s->o[O_HISTORY].value, *runner = s->runner != NULL ? s->runner->key : NULL;
	wall_t since = WALL_UNKNOWN;
	int rc;

	if (s->o[O_SINCE].value != NULL && read_date("since", s->o[O_SINCE].value, &since, e) < 0)
		return -1;
	s->state_dir = s->o[O_STATE].value != NULL ? xstrdup(s->o[O_STATE].value) : manager_default_state_dir();
	if (file != NULL)
		rc = past_load(file, runner, since, &s->past, e);
	else if (s->state_dir == NULL)
		rc = err_set(e, ERR_CONFIG, 0, "no home directory: name a state directory with --state-dir, or a table of past jobs with --history");
	else
		rc = past_load_state(s->state_dir, runner, since, &s->past, e);
	/* A key is made of the token. Where there is one runner, the jobs of before a reset are its own. */
	if (rc < 0 && e->kind == ERR_NOTFOUND && file == NULL && runner != NULL && s->others == 0) {
		rc = past_load_state(s->state_dir, NULL, since, &s->past, e);
		if (rc == 0)
			fprintf(stderr, "No job yet under this runner's token: these are the jobs under its earlier one.\n");
	}
	if (rc < 0)
		return -1;
	if (since.ns > 0 && !s->past.record)
		return err_set(e, ERR_CONFIG, 0, "--since is for records with dates; a table counts seconds from its own beginning");
	if (s->o[O_START].value != NULL && read_date("start", s->o[O_START].value, &s->past.start, e) < 0)
		return -1;
	if (s->periods != NULL && !wall_known(s->past.start))
		return err_set(e, ERR_CONFIG, 0, "the runner \"%s\" has idle settings by time of day and the table has no dates: say when its first job arrived "
		    "(--start 2026-03-01T08:00:00Z), or leave those settings out with --no-periods", s->runner->name);
	return 0;
}

/* The machine: its boot, its bill, its price. */

static int
span_option(const struct opt *o, dur_t *ns, struct err *e)
{
	struct str v = str_from(o->value);
	int64_t n;

	if (str_to_i64(v, &n) == 0 && n >= 0 && n <= INT_MAX)
		*ns = n * NSEC_SEC;
	else if (str_to_duration(v, ns) < 0 || *ns < 0)
		return err_set(e, ERR_CONFIG, 0, "--%s %.60s: write seconds, or a time such as 90s or 2m30s", o->name, o->value);
	return 0;
}

static int
choose_boot(struct study *s, struct err *e)
{
	char span[40];
	size_t n = 0;
	dur_t boot;

	if (s->o[O_REMOVAL].value != NULL && span_option(&s->o[O_REMOVAL], &s->base.removal, e) < 0)
		return -1;
	if (s->o[O_BOOT].value != NULL) {
		snprintf(s->boot_from, sizeof(s->boot_from), "--boot");
		return span_option(&s->o[O_BOOT], &s->base.boot, e);
	}
	/* A table of somebody else's jobs says nothing of this pool's machines; our own record may. */
	boot = s->state_dir != NULL && (s->past.record || s->runner != NULL) ?
	    past_boot(s->state_dir, s->runner != NULL ? s->runner->key : NULL, &n) : 0;
	if (boot > 0) {
		s->base.boot = boot;
		time_go_duration(boot, span);
		snprintf(s->boot_from, sizeof(s->boot_from), "median of the last %zu on record", n);
	} else
		snprintf(s->boot_from, sizeof(s->boot_from), "assumed, none on record: --boot");
	return 0;
}

/* The rows of the driver; NULL: none are known. */
static const struct catalog_cloud *
cloud_of(const struct study *s)
{
	return catalog_find(str_from(s->driver));
}

static int
bad_billing(const char *text, struct err *e)
{
	struct buf names = { .max = 400 };

	for (size_t i = 0; catalog_clouds[i] != NULL; i++)
		if (catalog_clouds[i]->billing != NULL)
			buf_fmt(&names, "%s%s", names.n > 0 ? ", " : "", catalog_clouds[i]->name);
	err_set(e, ERR_CONFIG, 0, "--billing %.60s: write second, minute, hour, a unit and a minimum such as 1s,60s, or a cloud driver (%s)",
	    text, names.p);
	buf_free(&names);
	return -1;
}

/* A cloud's driver, "second", "hour", or a unit and a minimum: "1h", "1s,60s". */
static int
billing_option(struct study *s, struct err *e)
{
	const char *text = s->o[O_BILLING].value;
	const struct catalog_cloud *cloud = catalog_find(str_from(text));
	const struct billing *known = catalog_billing(cloud);
	struct str minimum = str_from(text), unit = str_cut(&minimum, ',');
	struct billing b = { .currency = "" };

	if (known != NULL) {
		s->base.billing = *known;
		s->driver = cloud->name;
		return 0;
	}
	if (str_eqc(unit, "second") || str_eqc(unit, "minute") || str_eqc(unit, "hour"))
		b.unit = b.minimum = (str_eqc(unit, "hour") ? 3600 : str_eqc(unit, "minute") ? 60 : 1) * NSEC_SEC;
	else if (str_to_duration(unit, &b.unit) < 0 || b.unit < 0)
		goto bad;
	if (minimum.p != NULL && (str_to_duration(minimum, &b.minimum) < 0 || b.minimum < 0))
		goto bad;
	s->base.billing = b;
	return 0;
bad:
	return bad_billing(text, e);
}

/* What MachineOptions say of a driver option; "" if nothing. */
static struct str
machine_option(const struct runner *r, const char *name)
{
	struct str found = STR("");

	for (size_t i = 0; r != NULL && i < r->machine_options.n; i++) {
		struct str v = str_from(r->machine_options.v[i]), key = str_cut(&v, '=');

		if (str_eqc(str_trim(key), name) && v.p != NULL)
			found = str_trim(v);
	}
	return found;
}

static int
choose_billing(struct study *s, struct err *e)
{
	const struct catalog_option *size;
	const struct billing *rule;

	s->driver = s->runner != NULL && s->runner->machine_driver != NULL ? s->runner->machine_driver : "";
	rule = catalog_billing(cloud_of(s));
	if (s->o[O_BILLING].value != NULL) {
		if (billing_option(s, e) < 0)
			return -1;
		snprintf(s->billing_from, sizeof(s->billing_from), "--billing");
	} else if (rule != NULL) {
		s->base.billing = *rule;
		snprintf(s->billing_from, sizeof(s->billing_from), "%s", s->driver);
	} else if (s->driver[0] != '\0')
		snprintf(s->billing_from, sizeof(s->billing_from), "how the driver \"%s\" is billed is not known: --billing", s->driver);
	else
		snprintf(s->billing_from, sizeof(s->billing_from), "no driver is named: --billing");
	/* Where the cloud charges whole hours the policy keeps what is paid for anyway. */
	s->base.policy.billing_unit = billing_keeps(&s->base.billing);
	if (s->o[O_SIZE].value != NULL)
		s->size = str_from(s->o[O_SIZE].value);
	else if ((size = catalog_option_for(cloud_of(s), OPTION_SIZE)) != NULL) {
		s->size = machine_option(s->runner, size->name);
		if (s->size.n == 0 && s->runner != NULL && size->dflt != NULL)
			s->size = str_from(size->dflt);
	}
	return 0;
}

static int
choose_price(struct study *s, struct err *e)
{
	const struct catalog_cloud *cloud = cloud_of(s);
	const struct catalog_price *p = catalog_price(cloud, s->size);
	const char *text = s->o[O_PRICE].value;
	char *end;

	s->currency = s->base.billing.currency != NULL ? s->base.billing.currency : "";
	if (text != NULL) {
		s->base.price_per_hour = strtod(text, &end);
		if (end == text || *end != '\0' || !(s->base.price_per_hour >= 0 && s->base.price_per_hour < 1e6))
			return err_set(e, ERR_CONFIG, 0, "--price %.60s: write what an hour costs, such as 0.07", text);
		s->priced = true;
		snprintf(s->price_from, sizeof(s->price_from), "--price");
	} else if (sweep_has(&s->sweep, "price")) {
		s->priced = true;
		snprintf(s->price_from, sizeof(s->price_from), "--set price");
	} else if (p != NULL) {
		s->base.price_per_hour = p->per_hour;
		s->priced = true;
		snprintf(s->price_from, sizeof(s->price_from), "list price of %s%s%s, %s: --price", p->size,
		    p->region != NULL ? " in " : "", p->region != NULL ? p->region : "", cloud->priced);
	} else if (s->size.n > 0)
		snprintf(s->price_from, sizeof(s->price_from), "price of %s %.*s not known: use --price", s->driver, (int)(s->size.n < 60 ? s->size.n : 60), s->size.p);
	else
		snprintf(s->price_from, sizeof(s->price_from), "price not known: use --price");
	return 0;
}

/* The replays. */

static int
read_sets(struct study *s, struct err *e)
{
	struct buf rules = { 0 }, words = { 0 };
	int rc = 0;

	for (size_t i = 0; i < s->o[O_SET].nlist; i++)
		if (sweep_add(&s->sweep, s->o[O_SET].list[i], e) < 0)
			return -1;
	if (!s->o[O_COMPAT].number)
		return 0;
	if (sweep_has(&s->sweep, keys[K_MACHINE_scaling_rules].name))
		return err_set(e, ERR_CONFIG, 0, "--compat and --set ScalingRules: one of the two");
	/* The rules in force next to the original's; words are joined by + here. */
	if (s->base.policy.rules == SCALE_COMPAT)
		buf_puts(&words, "better");
	else
		scale_rules_print(s->base.policy.rules, &words);
	buf_fmt(&rules, "%s=", keys[K_MACHINE_scaling_rules].name);
	for (size_t i = 0; i < words.n; i++)
		if (words.p[i] != ' ')
			buf_putc(&rules, words.p[i] == ',' ? '+' : words.p[i]);
	buf_puts(&rules, ",compat");
	rc = sweep_add(&s->sweep, arena_dup(&s->a, buf_str(&rules)), e);
	buf_free(&rules);
	buf_free(&words);
	return rc;
}

static struct sim_config
config_of_run(const struct study *s, size_t run, struct periods *periods)
{
	struct sim_config c = s->base;

	sweep_apply(&s->sweep, run, &c);
	if (s->periods != NULL) {
		*periods = *s->periods;
		periods->base = (struct periods_values){ c.policy.idle_count, c.policy.idle_count_min, c.policy.idle_factor, c.policy.idle_time };
		c.periods = periods;
	}
	c.start = s->past.start;
	return c;
}

static void
replay_all(struct study *s)
{
	/* Pictures are made of few runs; a sweep needs no timelines. */
	size_t pictures = s->o[O_SVG].value != NULL ? PICTURES : s->o[O_JSON].number ? 0 : s->nruns <= 2 ? 2 : 0;

	s->runs = xcalloc(s->nruns, sizeof(*s->runs));
	for (size_t i = 0; i < s->nruns; i++) {
		struct periods periods;
		struct sim_config c = config_of_run(s, i, &periods);

		c.samples = i < pictures ? SAMPLES : 0;
		s->runs[i] = simulate(&c, s->past.jobs, s->past.n);
	}
}

/* "IdleCount 5, ScalingRules compat": what makes this run differ. */
static char *
run_name(struct study *s, size_t run)
{
	struct buf b = { 0 };
	char *name;

	for (size_t i = 0; i < s->sweep.n; i++)
		if (s->sweep.sets[i].n > 1)
			buf_fmt(&b, "%s%s %.*s", b.n > 0 ? ", " : "", s->sweep.sets[i].name, STR_ARG(sweep_value(&s->sweep, run, i)));
	name = arena_dup(&s->a, buf_str(&b));
	buf_free(&b);
	return name;
}

/* Output. */

#define COLUMNS	20

struct table {
	struct arena	*a;
	const char	**cells;	/* row by row, COLUMNS each */
	size_t		 rows, used;	/* used: columns of the heading */
};

static void
row(struct table *t)
{
	t->cells = xrealloc(t->cells, (t->rows + 1) * COLUMNS * sizeof(*t->cells));
	for (size_t i = 0; i < COLUMNS; i++)
		t->cells[t->rows * COLUMNS + i] = "";
	t->rows++;
}

static void cell(struct table *t, size_t *column, const char *fmt, ...) PRINTFLIKE(3, 4);

static void
cell(struct table *t, size_t *column, const char *fmt, ...)
{
	char text[80];

	assert(*column < COLUMNS);
	TEXT_OF(text, fmt);
	t->cells[(t->rows - 1) * COLUMNS + *column] = arena_dup(t->a, str_from(text));
	++*column;
	if (*column > t->used)
		t->used = *column;
}

static void
print_table(const struct table *t)
{
	size_t width[COLUMNS] = { 0 };

	for (size_t i = 0; i < t->rows * COLUMNS; i++)
		if (strlen(t->cells[i]) > width[i % COLUMNS])
			width[i % COLUMNS] = strlen(t->cells[i]);
	for (size_t r = 0; r < t->rows; r++) {
		for (size_t c = 0; c < t->used; c++)
			printf("%s%*s", c > 0 ? "  " : "", (int)width[c], t->cells[r * COLUMNS + c]);
		putchar('\n');
	}
}

static const char *const wait_names[] = { "wait mean", "p50", "p95", "p99", "max" };

/* What a row tells, whether it was simulated or happened. */
struct numbers {
	size_t	made;
	int	peak;		/* machines at once; -1: not known */
	double	paid, busy;	/* hours */
	double	money;
	dur_t	waits[NELEM(wait_names)];
};

static void
put_numbers(const struct study *s, struct table *t, size_t *c, const struct numbers *n)
{
	char span[SPAN_MAX];

	cell(t, c, "%zu", n->made);
	if (n->peak >= 0)
		cell(t, c, "%d", n->peak);
	else
		cell(t, c, "-");
	cell(t, c, "%.1f", n->paid);
	cell(t, c, "%.0f %%", n->paid > 0 ? 100 * n->busy / n->paid : 0);
	if (s->priced)
		cell(t, c, "%.2f", n->money);
	for (size_t i = 0; i < NELEM(wait_names); i++) {
		span_print(n->waits[i], span);
		cell(t, c, "%s", span);
	}
}

/* Which columns tell the runs apart. */
static size_t
varying(const struct study *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->sweep.n; i++)
		n += s->sweep.sets[i].n > 1;
	return n;
}

static void
print_runs(struct study *s)
{
	struct table t = { .a = &s->a };
	const struct past_truth *truth = &s->past.truth;
	bool label = varying(s) == 0 && s->past.record, unfinished = false;
	size_t c = 0;

	for (size_t i = 0; i < s->nruns; i++)
		unfinished |= s->runs[i].unfinished > 0;
	row(&t);
	for (size_t i = 0; i < s->sweep.n; i++)
		if (s->sweep.sets[i].n > 1)
			cell(&t, &c, "%s", s->sweep.sets[i].name);
	if (label)
		cell(&t, &c, "%s", "");
	cell(&t, &c, "machines");
	cell(&t, &c, "at once");
	cell(&t, &c, "hours paid");
	cell(&t, &c, "in use");
	if (s->priced)
		cell(&t, &c, "%s", s->currency[0] != '\0' ? s->currency : "money");
	for (size_t i = 0; i < NELEM(wait_names); i++)
		cell(&t, &c, "%s", wait_names[i]);
	if (unfinished)
		cell(&t, &c, "never ran");
	for (size_t i = 0; i < s->nruns; i++) {
		const struct sim_result *r = &s->runs[i];

		row(&t);
		c = 0;
		for (size_t k = 0; k < s->sweep.n; k++)
			if (s->sweep.sets[k].n > 1)
				cell(&t, &c, "%.*s", STR_ARG(sweep_value(&s->sweep, i, k)));
		if (label)
			cell(&t, &c, "simulated");
		put_numbers(s, &t, &c, &(struct numbers){ r->created, r->peak_machines,
		    r->paid_hours, r->busy_hours, r->money,
		    { r->wait_mean, r->wait_p50, r->wait_p95, r->wait_p99, r->wait_max } });
		if (unfinished)
			cell(&t, &c, "%zu", r->unfinished);
	}
	if (s->past.record) {
		row(&t);
		c = 0;
		cell(&t, &c, "as it was");
		if (varying(s) > 1)
			c = varying(s);
		put_numbers(s, &t, &c, &(struct numbers){ truth->made, -1, truth->machine_hours,
		    truth->busy_hours, truth->machine_hours * s->base.price_per_hour,
		    { truth->wait_mean, truth->wait_p50, truth->wait_p95, truth->wait_p99,
		    truth->wait_max } });
	}
	print_table(&t);
	free(t.cells);
}

/* What the task of comparing was about, in one sentence, when the two rows differ in the rules alone. */
static void
print_comparison(const struct study *s)
{
	const struct sim_result *better = &s->runs[0], *compat = &s->runs[1];
	double hours, times;

	if (s->nruns != 2 || varying(s) != 1 || !s->o[O_COMPAT].number || compat->machine_hours <= 0)
		return;
	hours = 100 * (better->machine_hours / compat->machine_hours - 1);
	times = (double)compat->wait_mean / (double)(better->wait_mean > 0 ? better->wait_mean : 1);
	printf("\nBeside gitlab-runner's rules: ");
	if (better->wait_mean == 0 || compat->wait_mean == 0)
		printf("no wait to compare");
	else if (times > 0.95 && times < 1.05)
		printf("the same mean wait within 5 %%");
	else
		printf("mean wait %.1f times %s", times > 1 ? times : 1 / times, times > 1 ? "shorter" : "longer");
	printf(", %.1f %% %s machine-hours.\n", hours >= 0 ? hours : -hours, hours >= 0 ? "more" : "fewer");
}

static void
print_billing(const struct study *s, struct buf *b)
{
	const struct billing *x = &s->base.billing;
	char span[40];

	if (x->unit > NSEC_SEC) {
		time_go_duration(x->unit, span);
		buf_fmt(b, "by started units of %s", span);
	} else
		buf_puts(b, "by the second");
	if (x->minimum > x->unit) {
		time_go_duration(x->minimum, span);
		buf_fmt(b, ", at least %s", span);
	}
	if (x->minimum_money > 0)
		buf_fmt(b, "%s %.2f %s", x->minimum > x->unit ? " or" : ", at least", x->minimum_money, s->currency);
	if (x->month_cap > 0)
		buf_fmt(b, ", at most %lld hours a month", (long long)(x->month_cap / NSEC_SEC / 3600));
	buf_fmt(b, " (%s)", s->billing_from);
}

static void
print_head(struct study *s)
{
	struct buf b = { 0 };
	struct sim_config one;
	struct periods periods;
	char start[TIME_RFC3339_MAX], span[40];
	const struct past *p = &s->past;

	buf_fmt(&b, "jobs      %zu in %.1f days", p->n, (double)p->span / 86400e9);
	if (p->start.ns > 0) {
		time_rfc3339(p->start, 0, start);
		buf_fmt(&b, " from %s", start);
	}
	buf_fmt(&b, "; %.1f at once on average, %zu at most", p->mean_at_once, p->peak_at_once);
	if (p->never > 0)
		buf_fmt(&b, "; %zu left out that ended before they had a machine", p->never);
	if (p->skipped > 0)
		buf_fmt(&b, "; %zu unreadable lines skipped", p->skipped);
	buf_puts(&b, "\nsettings  ");
	if (s->runner != NULL)
		buf_fmt(&b, "%s of %s: ", s->runner->name, s->config_path);
	else
		buf_puts(&b, "no config.toml: ");
	/* What is swept shows in the table. */
	one = config_of_run(s, 0, &periods);
	settings_print(&one, &b);
	if (one.policy.rules != SCALE_BETTER && !sweep_has(&s->sweep, keys[K_MACHINE_scaling_rules].name)) {
		buf_puts(&b, ", ScalingRules ");
		scale_rules_print(one.policy.rules, &b);
	}
	if (varying(s) > 0)
		buf_puts(&b, " (first row)");
	if (s->periods != NULL)
		buf_fmt(&b, "; other idle settings in %zu period%s", s->periods->nsections, s->periods->nsections == 1 ? "" : "s");
	time_go_duration(one.boot, span);
	buf_fmt(&b, "\nmachine   ready after %s (%s)", span, sweep_has(&s->sweep, "boot") ? "--set boot" : s->boot_from);
	time_go_duration(one.removal, span);
	buf_fmt(&b, ", gone %s after its end is decided\nbill      ", span);
	print_billing(s, &b);
	if (s->priced && !sweep_has(&s->sweep, "price"))
		buf_fmt(&b, "; %g%s%s an hour (%s)\n\n", s->base.price_per_hour, s->currency[0] != '\0' ? " " : "", s->currency, s->price_from);
	else
		buf_fmt(&b, "; %s\n\n", s->price_from);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
}

static void
print_notes(const struct study *s)
{
	static const enum key_id idle[] = {
		K_MACHINE_idle_count, K_MACHINE_idle_count_min, K_MACHINE_idle_scale_factor, K_MACHINE_idle_time,
	};

	if (s->others > 0)
		printf("\nnote: concurrent and max_machines are shared with %zu other runner%s of the file, which this replay leaves out\n", s->others,
		    s->others == 1 ? "" : "s");
	for (size_t i = 0; s->periods != NULL && i < NELEM(idle); i++)
		if (sweep_has(&s->sweep, keys[idle[i]].name)) {
			printf("\nnote: --set %s takes the place of [runners.machine]'s value; the periods keep theirs (--no-periods leaves them out)\n",
			    keys[idle[i]].name);
			break;
		}
}

static int
terminal_width(void)
{
	struct winsize w;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col < 200 ? w.ws_col : 200;
	return 80;
}

static void
print_text(struct study *s)
{
	struct buf b = { 0 };
	int height;

	print_head(s);
	print_runs(s);
	print_comparison(s);
	for (size_t i = 0; i < s->nruns && s->nruns <= 2; i++) {
		const char *name = run_name(s, i);

		if (s->runs[i].ntimeline == 0)
			continue;
		buf_fmt(&b, "\n%s%s", name, name[0] != '\0' ? "\n" : "");
		height = s->runs[i].peak_machines < SKETCH_HEIGHT ? s->runs[i].peak_machines : SKETCH_HEIGHT;
		sim_sketch(&s->runs[i], terminal_width() - 9, height, &b);
	}
	if (b.n > 0)
		fwrite(b.p, 1, b.n, stdout);
	print_notes(s);
	buf_free(&b);
}

static double
seconds(dur_t ns)
{
	return (double)(ns / NSEC_MSEC) / 1000;
}

static void
json_waits(struct json_w *w, const dur_t waits[5])
{
	static const char *const names[] = { "mean", "p50", "p95", "p99", "max" };

	jw_object(w, "wait_seconds");
	for (size_t i = 0; i < NELEM(names); i++)
		jw_f64(w, names[i], seconds(waits[i]));
	jw_end_object(w);
}

static void
json_run(struct study *s, struct json_w *w, size_t run)
{
	const struct sim_result *r = &s->runs[run];
	struct periods periods;
	struct sim_config c = config_of_run(s, run, &periods);
	struct buf text = { 0 };

	jw_object(w, NULL);
	jw_object(w, "set");
	for (size_t i = 0; i < s->sweep.n; i++)
		jw_str(w, s->sweep.sets[i].name, sweep_value(&s->sweep, run, i));
	jw_end_object(w);
	settings_print(&c, &text);
	jw_str(w, "settings", buf_str(&text));
	buf_clear(&text);
	scale_rules_print(c.policy.rules, &text);
	jw_str(w, "rules", buf_str(&text));
	jw_i64(w, "never_ran", (int64_t)r->unfinished);
	jw_i64(w, "machines_made", (int64_t)r->created);
	jw_i64(w, "machines_at_once", r->peak_machines);
	jw_f64(w, "machine_hours", r->machine_hours);
	jw_f64(w, "paid_hours", r->paid_hours);
	jw_f64(w, "busy_hours", r->busy_hours);
	if (s->priced)
		jw_f64(w, "money", r->money);
	else
		jw_null(w, "money");
	json_waits(w, (const dur_t[5]){ r->wait_mean, r->wait_p50, r->wait_p95,
		    r->wait_p99, r->wait_max });
	jw_end_object(w);
	buf_free(&text);
}

static void
print_json(struct study *s)
{
	const struct past_truth *t = &s->past.truth;
	struct buf b = { 0 };
	struct json_w w = { .b = &b, .indent = 2 };

	jw_object(&w, NULL);
	jw_object(&w, "jobs");
	jw_i64(&w, "count", (int64_t)s->past.n);
	jw_time(&w, "start", s->past.start, 3);
	jw_f64(&w, "span_seconds", seconds(s->past.span));
	jw_f64(&w, "at_once_mean", s->past.mean_at_once);
	jw_i64(&w, "at_once_most", (int64_t)s->past.peak_at_once);
	jw_i64(&w, "left_out", (int64_t)s->past.never);
	jw_i64(&w, "unreadable_lines", (int64_t)s->past.skipped);
	jw_end_object(&w);
	jw_object(&w, "machine");
	jw_cstr(&w, "driver", s->driver);
	jw_str(&w, "size", s->size);
	jw_f64(&w, "boot_seconds", seconds(s->base.boot));
	jw_cstr(&w, "boot_from", s->boot_from);
	jw_f64(&w, "billing_unit_seconds", seconds(s->base.billing.unit));
	jw_cstr(&w, "billing_from", s->billing_from);
	if (s->priced)
		jw_f64(&w, "price_per_hour", s->base.price_per_hour);
	else
		jw_null(&w, "price_per_hour");
	jw_cstr(&w, "price_from", s->price_from);
	jw_cstr(&w, "currency", s->currency);
	jw_end_object(&w);
	if (s->past.record) {
		jw_object(&w, "as_it_was");
		jw_i64(&w, "machines_made", (int64_t)t->made);
		jw_i64(&w, "creations_failed", (int64_t)t->failed);
		jw_f64(&w, "machine_hours", t->machine_hours);
		jw_f64(&w, "busy_hours", t->busy_hours);
		json_waits(&w, (const dur_t[5]){ t->wait_mean, t->wait_p50, t->wait_p95,
		    t->wait_p99, t->wait_max });
		jw_end_object(&w);
	}
	jw_array(&w, "runs");
	for (size_t i = 0; i < s->nruns; i++)
		json_run(s, &w, i);
	jw_end_array(&w);
	jw_end_object(&w);
	printf("%.*s\n", STR_ARG(buf_str(&b)));
	buf_free(&b);
}

/* One picture, or several below one another. */
static int
write_svg(struct study *s, struct err *e)
{
	size_t n = s->nruns < PICTURES ? s->nruns : PICTURES;
	struct buf b = { 0 }, title = { 0 };
	int rc;

	if (n > 1)
		buf_fmt(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\">\n", SIM_SVG_WIDTH, n * SIM_SVG_HEIGHT);
	for (size_t i = 0; i < n; i++) {
		const struct sim_result *r = &s->runs[i];
		const char *name = run_name(s, i);
		char span[SPAN_MAX];

		span_print(r->wait_mean, span);
		buf_clear(&title);
		buf_fmt(&title, "%s%s%zu machines made, %.1f hours paid, mean wait %s", name, name[0] != '\0' ? ": " : "", r->created, r->paid_hours, span);
		if (n > 1)
			buf_fmt(&b, "<g transform=\"translate(0,%zu)\">\n", i * SIM_SVG_HEIGHT);
		sim_svg(r, title.p, &b);
		if (n > 1)
			buf_puts(&b, "</g>\n");
	}
	if (n > 1)
		buf_puts(&b, "</svg>\n");
	rc = b.failed ? err_set(e, ERR_FULL, 0, "the picture is too large") : fs_write(AT_FDCWD, s->o[O_SVG].value, buf_str(&b), 0644, e);
	buf_free(&b);
	buf_free(&title);
	return rc < 0 ? err_ctx(e, "--svg") : 0;
}

static void
study_free(struct study *s)
{
	for (size_t i = 0; s->runs != NULL && i < s->nruns; i++)
		sim_result_free(&s->runs[i]);
	free(s->runs);
	sweep_free(&s->sweep);
	past_free(&s->past);
	config_free(s->config);
	free(s->config_path);
	free(s->state_dir);
	arena_reset(&s->a);
}

int
cmd_simulate(int argc, char **argv)
{
	struct opt o[O_N];
	struct study s = { .o = o };
	struct err e = { 0 };
	int rc = -1;

	if (cmd_options(&cmd_simulate_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	if (read_config(&s, &e) < 0)
		goto out;
	take_settings(&s);
	if (read_past(&s, &e) < 0 || read_sets(&s, &e) < 0 || choose_boot(&s, &e) < 0 || choose_billing(&s, &e) < 0 || choose_price(&s, &e) < 0)
		goto out;
	s.nruns = sweep_runs(&s.sweep);
	replay_all(&s);
	if (o[O_SVG].value != NULL && write_svg(&s, &e) < 0)
		goto out;
	if (o[O_JSON].number)
		print_json(&s);
	else
		print_text(&s);
	rc = 0;
out:
	if (rc < 0 && e.kind != ERR_NONE)
		fprintf(stderr, "FATAL: simulate: %s\n", e.msg);
	study_free(&s);
	opt_free(o, O_N);
	return rc < 0;
}
