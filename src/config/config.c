/* Reads config.toml by the table of keys: see config.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/clouds.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/zones.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/rand.h"
#include "wire/tomljson.h"
#include "wire/url.h"

#define CONFIG_MAX	(8u << 20)

static config_judge *judge;

void
config_judge_by(config_judge *fn)
{
	judge = fn;
}

struct reader {
	struct config	*c;
	config_note	*note;
	void		*ctx;
	struct err	*e;
};

static void PRINTFLIKE(4, 5)
note(struct reader *r, enum log_level level, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (r->note == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->note(r->ctx, level, line, text);
}

static int PRINTFLIKE(3, 4)
refuse(struct reader *r, const struct toml *at, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(r->e, ERR_CONFIG, at->line, "%s: line %d, column %d: %s",
	    r->c->path, at->line, at->column, text);
}

static int read_section(struct reader *r, enum key_section section, const struct toml *t, void *base);
static int read_autoscaling(struct reader *r, const struct toml *list, struct runner *run);

/* A key that does not do what its writer may expect. One that asks for nothing is no news. */
static void
note_use(struct reader *r, const struct key *k, const struct toml *v)
{
	if (k->use == KEY_LATER)
		note(r, LOG_WARN, v->line, "%s in %s is not honoured by this version of windlass (%s)",
		    k->name, key_section_title(k->section), k->help);
	else if (k->use == KEY_NEVER)
		note(r, LOG_WARN, v->line, "%s in %s has no effect: %s",
		    k->name, key_section_title(k->section), k->help);
	else
		note(r, LOG_WARN, v->line, "%s in %s was removed from gitlab-runner and has no effect: %s",
		    k->name, key_section_title(k->section), k->help);
}

/* One key that the table knows: its type, what we do with it, its value or the section below. */
static int
read_key(struct reader *r, const struct key *k, const struct toml *v, void *base)
{
	struct err bad = { 0 };

	if (!key_type_fits(k, v)) {
		const struct toml *at;
		const char *why = key_misfit(&r->c->arena, k, v, &at);

		return refuse(r, at, "%s in %s%s %s", k->name, key_section_title(k->section), at == v ? "" : ":", why);
	}
	if (k->use != KEY_YES && !key_says_nothing(k, v))
		note_use(r, k, v);
	/* Of two that differ in case the one that is spelt as documented counts. */
	if (!str_eqc(v->key, k->name))
		return 0;
	if (key_set(&r->c->arena, k, v, base, &bad) < 0)
		return refuse(r, v, "%s", bad.msg);
	if (k->type == KEY_SECTION)
		return read_section(r, k->sub, v, k->sub == KS_DOCKER ? &((struct runner *)base)->docker : base);
	if (k->type == KEY_TABLES && k->sub == KS_AUTOSCALING)
		return read_autoscaling(r, v, base);
	if (k->type == KEY_TABLES && k->sub != KS_RUNNER)
		TOML_EACH(t, v)
			if (read_section(r, k->sub, t, NULL) < 0)
				return -1;
	return 0;
}

static int
read_section(struct reader *r, enum key_section section, const struct toml *t, void *base)
{
	TOML_EACH(v, t) {
		const struct key *k = key_find(section, v->key);
		const char *near;

		if (k != NULL) {
			if (read_key(r, k, v, base) < 0)
				return -1;
			continue;
		}
		near = key_advice(&r->c->arena, section, v);
		if (near != NULL)
			note(r, LOG_WARN, v->line, "unknown key %.*s in %s is ignored: %s",
			    STR_ARG(v->key), key_section_title(section), near);
		else
			note(r, LOG_WARN, v->line, "unknown key %.*s in %s is ignored",
			    STR_ARG(v->key), key_section_title(section));
	}
	return 0;
}

/* Which of the four values an entry sets: what it leaves out is 0 there. */
static unsigned
periods_given(const struct toml *t)
{
	static const struct { size_t offset; enum periods_given bit; } bits[] = {
		{ offsetof(struct autoscaling, idle_count), PERIODS_IDLE_COUNT },
		{ offsetof(struct autoscaling, idle_count_min), PERIODS_IDLE_COUNT_MIN },
		{ offsetof(struct autoscaling, idle_scale_factor), PERIODS_IDLE_FACTOR },
		{ offsetof(struct autoscaling, idle_time), PERIODS_IDLE_TIME },
	};
	unsigned given = 0;

	TOML_EACH(v, t) {
		const struct key *k = key_find(KS_AUTOSCALING, v->key);

		for (size_t i = 0; k != NULL && i < NELEM(bits); i++)
			if (k->offset == bits[i].offset)
				given |= bits[i].bit;
	}
	return given;
}

static int
read_autoscaling(struct reader *r, const struct toml *list, struct runner *run)
{
	run->autoscaling = arena_calloc(&r->c->arena, list->n + 1, sizeof(*run->autoscaling));
	run->nautoscaling = 0;
	TOML_EACH(t, list) {
		struct autoscaling *a = &run->autoscaling[run->nautoscaling++];

		key_defaults(KS_AUTOSCALING, a);
		if (read_section(r, KS_AUTOSCALING, t, a) < 0)
			return -1;
		a->given = periods_given(t);
	}
	return 0;
}

/* $VAR and ${VAR} of the environment, as upstream expands them in url and token. *unset: one that is not there. */
static const char *
expand_env(struct arena *a, const char *text, const char **unset)
{
	struct str s = str_from(text);
	struct buf b = { 0 };
	const char *out;

	if (str_chr(s, '$') < 0)
		return text;
	while (s.n > 0) {
		size_t n = 1, skip = 0;
		char name[256];

		if (s.p[0] != '$') {
			buf_putc(&b, s.p[0]);
			s = str_sub(s, 1, s.n);
			continue;
		}
		if (s.n > 1 && s.p[1] == '{') {
			while (n + 1 < s.n && s.p[n + 1] != '}')
				n++;
			str_copy(str_sub(s, 2, n - 1), name, sizeof(name));
			skip = n + 2;
		} else {
			while (n < s.n && (s.p[n] == '_' || (s.p[n] >= '0' && s.p[n] <= '9') ||
			    ((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'z')))
				n++;
			str_copy(str_sub(s, 1, n - 1), name, sizeof(name));
			skip = n;
		}
		if (name[0] == '\0' && skip == 1)
			buf_putc(&b, '$');
		else if (getenv(name) != NULL)
			buf_puts(&b, getenv(name));
		else
			*unset = arena_dup(a, str_from(name));
		s = str_sub(s, skip, s.n);
	}
	out = arena_dup(a, buf_str(&b));
	buf_free(&b);
	return out;
}

/* Blanks, trailing slashes and one /ci are cut (spec gitlab-runner 1.1). */
static const char *
trim_url(struct reader *r, struct runner *run)
{
	struct str u = str_trim(str_from(run->url));

	while (str_ends(u, "/"))
		u.n--;
	if (str_ends(u, "/ci")) {
		u.n -= 3;
		note(r, LOG_WARN, run->line, "url %s: the /ci at its end is from GitLab 8 and is ignored", run->url);
	}
	while (str_ends(u, "/"))
		u.n--;
	return arena_dup(&r->c->arena, u);
}

/* Where certificates lie that are found by a server's name (spec gitlab-runner 1.1). malloc'd, NULL without a home. */
static char *
certs_dir(void)
{
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		return xstrdup("/etc/gitlab-runner/certs");
	return home != NULL && home[0] != '\0' ? fs_join(home, ".gitlab-runner/certs") : NULL;
}

char *
config_cert_file(const char *url, const char *suffix)
{
	char *dir = certs_dir(), *path = NULL, *name;
	struct buf b = { .max = 512 };
	struct url u;

	if (dir != NULL && url_parse(str_trim(str_from(url)), &u, NULL) == 0 && str_chr(u.host, '/') < 0) {
		buf_putstr(&b, u.host);
		buf_puts(&b, suffix);
		name = buf_take(&b);
		path = fs_join(dir, name);
		free(name);
		if (!fs_exists(AT_FDCWD, path)) {
			free(path);
			path = NULL;
		}
	}
	free(dir);
	return path;
}

static const char *
found_cert(struct reader *r, const struct runner *run, const char *suffix)
{
	char *path = config_cert_file(run->base_url, suffix);
	const char *copy = path != NULL ? arena_dup(&r->c->arena, str_from(path)) : "";

	free(path);
	return copy;
}

static void
find_certs(struct reader *r, struct runner *run)
{
	if (run->tls_ca_file[0] == '\0')
		run->tls_ca_file = found_cert(r, run, ".crt");
	if (run->tls_cert_file[0] != '\0' || run->tls_key_file[0] != '\0')
		return;
	run->tls_cert_file = found_cert(r, run, ".auth.crt");
	run->tls_key_file = run->tls_cert_file[0] != '\0' ? found_cert(r, run, ".auth.key") : "";
}

static void
hash_key(char out[9], struct str a, struct str b)
{
	uint64_t h = hash_fnv(a) * UINT64_C(0x100000001b3) ^ hash_fnv(b);

	snprintf(out, 9, "%08" PRIx32, (uint32_t)(h ^ h >> 32));
}

/*
 * Which pool a machine belongs to, for as long as it lives. The id stays when a token is replaced; a
 * token's first characters alone, which are in the machines' names, several runners may share.
 */
static void
hash_pool(struct runner *run)
{
	struct buf b = { 0 };

	if (run->id > 0)
		buf_fmt(&b, "%" PRId64, run->id);
	else
		buf_puts(&b, secret_reveal(run->token));
	buf_putc(&b, '\n');
	buf_puts(&b, run->machine_name);
	hash_key(run->key, str_from(run->base_url), buf_str(&b));
	buf_wipe(&b);
}

/* Credentials that are not among the options come from the environment, which all entries share. */
static void
hash_account(struct runner *run)
{
	const struct catalog_cloud *cloud = catalog_find(str_from(run->machine_driver));
	uint64_t h = 0;

	for (size_t i = 0; i < run->machine_options.n; i++)
		if (catalog_names_account(cloud, str_from(run->machine_options.v[i])))
			h += hash_fnv(str_from(run->machine_options.v[i]));
	hash_key(run->account, str_from(run->machine_driver), str_of((const char *)&h, sizeof(h)));
}

/* Driver and options in one number: idle machines made with others are stale. */
static void
hash_options(struct runner *run)
{
	uint64_t h = hash_fnv(str_from(run->machine_driver));

	for (size_t i = 0; i < run->machine_options.n; i++)
		h = h * UINT64_C(0x100000001b3) + hash_fnv(str_from(run->machine_options.v[i]));
	for (size_t i = 0; i < run->machine_options_with_name.n; i++)
		h = h * UINT64_C(0x100000001b3) + hash_fnv(str_from(run->machine_options_with_name.v[i]));
	snprintf(run->options_hash, sizeof(run->options_hash), "%016" PRIx64, h);
}

/* Negative numbers break the original in ways that only show later (spec machines 1.19). */
static bool
out_of_range(const struct key *k, const struct runner *run)
{
	return (k->not_below_0 && key_number(k, run) < 0) || (k->not_huge && key_number(k, run) > KEY_HUGE);
}

/* The number of an entry that cannot be meant; NULL: none. */
static const struct key *
bad_number(const struct runner *run)
{
	for (size_t i = 0; i < nkeys; i++)
		if ((keys[i].section == KS_RUNNER || keys[i].section == KS_MACHINE) && out_of_range(&keys[i], run))
			return &keys[i];
	return NULL;
}

/* An entry's name: what stands behind the equals sign may be a credential, and this goes into the log. */
static int
option_name(const char *entry)
{
	return (int)strcspn(entry, "=");
}

static const char *
bad_option(struct reader *r, struct runner *run)
{
	run->fault_key = &keys[K_MACHINE_machine_options];
	for (size_t i = 0; i < run->machine_options.n; i++) {
		const char *o = run->machine_options.v[i];

		if (o[0] == '-')
			return arena_fmt(&r->c->arena, "MachineOptions entry \"%.*s\": write it without leading dashes", option_name(o), o);
	}
	run->fault_key = &keys[K_MACHINE_machine_options_with_name];
	for (size_t i = 0; i < run->machine_options_with_name.n; i++) {
		const char *o = run->machine_options_with_name.v[i];

		if (o[0] == '-')
			return arena_fmt(&r->c->arena, "MachineOptionsWithName entry \"%.*s\": write it without leading dashes", option_name(o), o);
		if (strstr(o, "%s") == NULL)
			return arena_fmt(&r->c->arena, "MachineOptionsWithName entry \"%.*s\" has no %%s", option_name(o), o);
	}
	return NULL;
}

static struct periods_values
values_of(int64_t count, int64_t min, double factor, int64_t seconds)
{
	/* What does not fit is negative, which compiling refuses by its name. */
	return (struct periods_values){ .idle_count = count > KEY_HUGE ? -1 : (int)count,
	    .idle_count_min = min > KEY_HUGE ? -1 : (int)min, .idle_factor = factor,
	    .idle_time = seconds > KEY_HUGE ? -1 : seconds * NSEC_SEC };
}

/* A line a sentence, each for the log. */
static void
note_lines(struct reader *r, int line, struct str text)
{
	while (text.p != NULL && text.n > 0) {
		struct str one = str_cut(&text, '\n');

		note(r, LOG_WARN, line, "%.*s", STR_ARG(one));
	}
}

static bool
unix_syntax(const struct runner *run)
{
	return strcmp(run->periods_syntax, "unix") == 0;
}

/* [[runners.machine.autoscaling]]; why it cannot be, or NULL. */
static const char *
compile_periods(struct reader *r, struct runner *run)
{
	struct arena *a = &r->c->arena;
	struct periods_section_config *s = arena_calloc(a, run->nautoscaling + 1, sizeof(*s));
	struct periods_config cfg = { .sections = s, .nsections = run->nautoscaling, .zone = zones_find, .ctx = a,
	    .base = values_of(run->idle_count, run->idle_count_min, run->idle_scale_factor, run->idle_time),
	    .unix_syntax = unix_syntax(run) };
	struct buf warnings = { .max = 1u << 16 };
	struct err e = { 0 };
	int rc;

	for (size_t i = 0; i < run->nautoscaling; i++) {
		const struct autoscaling *from = &run->autoscaling[i];
		struct str *periods = arena_calloc(a, from->periods.n + 1, sizeof(*periods));

		for (size_t k = 0; k < from->periods.n; k++)
			periods[k] = str_from(from->periods.v[k]);
		s[i] = (struct periods_section_config){ .periods = periods, .nperiods = from->periods.n, .timezone = str_from(from->timezone),
		    .given = from->given, .values = values_of(from->idle_count, from->idle_count_min, from->idle_scale_factor, from->idle_time) };
	}
	rc = periods_compile(a, &cfg, wall_seconds(wall_now()), &run->periods, &warnings, &e);
	note_lines(r, run->line, buf_str(&warnings));
	buf_free(&warnings);
	return rc < 0 ? arena_dup(a, str_from(e.msg)) : NULL;
}

static const char *
read_rules(struct reader *r, struct runner *run)
{
	struct err e = { 0 };

	if (scale_rules_parse(run->scaling_rules.v, run->scaling_rules.n, &run->rules, &e) < 0)
		return arena_fmt(&r->c->arena, "ScalingRules: %s", e.msg);
	return NULL;
}

static const char *const foreign[] = { "shell", "docker", "docker-windows", "docker-ssh", "docker-ssh+machine", "docker-autoscaler",
	"instance", "ssh", "parallels", "virtualbox", "custom", "kubernetes" };

bool
config_foreign_executor(const char *name)
{
	for (size_t i = 0; i < NELEM(foreign); i++)
		if (strcmp(name, foreign[i]) == 0)
			return true;
	return false;
}

static const char *
bad_executor(struct reader *r, const char *executor)
{
	if (strcmp(executor, "docker+machine") == 0)
		return NULL;
	if (executor[0] == '\0')
		return "it names no executor: write executor = \"docker+machine\"";
	return arena_fmt(&r->c->arena, "executor \"%s\": windlass runs docker+machine only%s", executor,
	    !config_foreign_executor(executor) && str_distance(str_from(executor), STR("docker+machine")) < 4 ? "; write \"docker+machine\"" : "");
}

static const char *
bad_url(struct reader *r, const struct runner *run, struct str *why)
{
	struct err e = { 0 };
	struct url u;

	if (run->base_url[0] == '\0')
		return "it has no url";
	if (url_parse(str_from(run->base_url), &u, &e) < 0) {
		/* In the words of the file, whose last slash may be all there is. */
		url_parse(str_trim(str_from(run->url)), &u, &e);
		*why = str_from(e.msg);
		if (str_starts(*why, "URL: "))
			*why = str_sub(*why, strlen("URL: "), why->n);
		return arena_fmt(&r->c->arena, "url \"%s\" is no URL: %.*s", run->url, STR_ARG(*why));
	}
	if (!str_caseeq(u.scheme, "https") && !str_caseeq(u.scheme, "http"))
		return arena_fmt(&r->c->arena, "url \"%s\": only http and https are possible", run->base_url);
	return NULL;
}

/* With the variable that would have said it. */
static const char *
blame_variable(struct reader *r, const struct runner *run, const char *fault)
{
	if (run->unset == NULL)
		return fault;
	return arena_fmt(&r->c->arena, "%.*s: the variable %s is not set", (int)strcspn(fault, ":"), fault, run->unset);
}

/* Of [runners.machine]. */
static const char *
find_machine_fault(struct reader *r, struct runner *run)
{
	const struct key *number;
	struct err e = { 0 };
	const char *fault;

	run->fault_key = &keys[K_MACHINE_machine_driver];
	if (run->machine_driver[0] == '\0')
		return "MachineDriver in [runners.machine] is missing";
	run->fault_key = &keys[K_MACHINE_machine_name];
	if (names_pool_init(&run->names, str_from(secret_reveal(run->token)),
	    str_from(run->machine_name), &e) < 0)
		return arena_dup(&r->c->arena, str_from(e.msg));
	number = bad_number(run);
	if (number != NULL) {
		run->fault_key = number;
		return key_number(number, run) < 0 ? arena_fmt(&r->c->arena, "%s must not be negative", number->name) :
		    arena_fmt(&r->c->arena, "%s must not be above %d", number->name, KEY_HUGE);
	}
	fault = bad_option(r, run);
	if (fault != NULL)
		return fault;
	run->fault_key = &keys[K_MACHINE_scaling_rules];
	fault = read_rules(r, run);
	if (fault != NULL)
		return fault;
	run->fault_key = &keys[K_MACHINE_periods_syntax];
	if (!unix_syntax(run) && strcmp(run->periods_syntax, keys[K_MACHINE_periods_syntax].dflt) != 0)
		return arena_fmt(&r->c->arena, "PeriodsSyntax \"%s\" is none of: gitlab unix", run->periods_syntax);
	run->fault_key = &keys[K_MACHINE_autoscaling];
	return compile_periods(r, run);
}

/* Why this entry cannot run, or NULL; and which key is to blame. */
static const char *
find_fault(struct reader *r, struct runner *run)
{
	const char *fault;
	struct str why = STR("");

	run->fault_key = &keys[K_RUNNER_executor];
	if (config_foreign_executor(run->executor))
		return bad_executor(r, run->executor);
	run->fault_key = &keys[K_RUNNER_token];
	if (str_trim(str_from(secret_reveal(run->token))).n == 0)
		return blame_variable(r, run, "it has no token: register the runner, or write token = \"glrt-...\"");
	run->fault_key = &keys[K_RUNNER_url];
	fault = bad_url(r, run, &why);
	if (fault != NULL)
		return run->unset != NULL && run->base_url[0] == '\0' ? blame_variable(r, run, fault) : run->unset != NULL ?
		    arena_fmt(&r->c->arena, "url \"%s\" is no URL: the variable %s is not set", run->base_url, run->unset) : fault;
	run->fault_key = &keys[K_RUNNER_executor];
	fault = bad_executor(r, run->executor);
	if (fault != NULL)
		return fault;
	run->fault_key = &keys[K_RUNNER_machine];
	if (!run->has_machine)
		return "it has no [runners.machine] section";
	fault = find_machine_fault(r, run);
	if (fault == NULL)
		run->fault_key = NULL;
	return fault;
}

/* Keys as they are documented. Of two that differ in case the one that is spelt so counts, else the first (spec gitlab-runner 2.1). */
static void
spell_keys(enum key_section section, struct toml *t)
{
	TOML_EACH(v, t) {
		const struct key *k = key_find(section, v->key);

		if (k == NULL)
			continue;
		if (toml_get_exact(t, str_from(k->name)) == NULL)
			v->key = str_from(k->name);
		if (k->type == KEY_SECTION && v->type == TOML_TABLE)
			spell_keys(k->sub, v);
		else if (k->type == KEY_TABLES && v->type == TOML_ARRAY)
			TOML_EACH(element, v)
				if (element->type == TOML_TABLE)
					spell_keys(k->sub, element);
	}
}

/* What a section says beyond the members that it is read into, as a JSON object; the null view when that is nothing. */
static struct str
without_members(struct reader *r, enum key_section section, const struct toml *t)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct str text = STR_NULL;
	size_t n = 0;

	jw_object(&w, NULL);
	TOML_EACH(v, t) {
		const struct key *k = key_find(section, v->key);

		if (k != NULL && k->offset != KEY_NOFIELD)
			continue;
		jw_toml(&w, v->key, v);
		n++;
	}
	jw_end_object(&w);
	if (n > 0)
		text = arena_str(&r->c->arena, buf_str(&b));
	buf_wipe(&b);
	return text;
}

static int
read_runner(struct reader *r, const struct toml *t, struct runner *run)
{
	const struct toml *docker = toml_get(t, keys[K_RUNNER_docker].name);

	run->line = t->line;
	key_defaults(KS_RUNNER, run);
	key_defaults(KS_MACHINE, run);
	key_defaults(KS_BUILD_DIR, run);
	key_defaults(KS_DOCKER, &run->docker);
	if (read_section(r, KS_RUNNER, t, run) < 0)
		return -1;
	if (docker != NULL)
		run->docker.rest = without_members(r, KS_DOCKER, docker);
	run->has_machine = toml_get(t, keys[K_RUNNER_machine].name) != NULL;
	run->url = expand_env(&r->c->arena, run->url, &run->unset);
	run->token = SECRET(expand_env(&r->c->arena, secret_reveal(run->token), &run->unset));
	run->base_url = trim_url(r, run);
	find_certs(r, run);
	names_short_token(str_from(secret_reveal(run->token)), run->short_token);
	hash_pool(run);
	hash_account(run);
	hash_key(run->instance, str_from(run->base_url), STR(""));
	hash_options(run);
	/* As upstream: only what is above 0 limits. -1 is often written for "no limit". */
	if (run->limit < 0)
		run->limit = 0;
	if (run->max_builds < 0)
		run->max_builds = 0;
	if (run->request_concurrency < 1)
		run->request_concurrency = 1;
	if (run->unhealthy_requests_limit < 1)
		run->unhealthy_requests_limit = 3;
	if (run->final_update_tries < 1)
		run->final_update_tries = 10;
	run->disabled = find_fault(r, run);
	if (run->disabled == NULL && judge != NULL)
		run->disabled = judge(&r->c->arena, r->c, run, t);
	if (run->preemptive && run->idle_count == 0 && run->nautoscaling == 0)
		note(r, LOG_WARN, run->line, "Preemptive asks only with an idle machine in hand, and IdleCount = 0 keeps none: runner \"%s\" will take no job", run->name);
	return 0;
}

/* The same runner and MachineName twice would be one pool with two policies. */
static void
disable_twins(struct config *c)
{
	for (size_t i = 0; i < c->nrunners; i++)
		for (size_t k = 0; k < i; k++)
			if (c->runners[i].disabled == NULL && c->runners[k].disabled == NULL &&
			    strcmp(c->runners[i].key, c->runners[k].key) == 0)
				c->runners[i].disabled = arena_fmt(&c->arena,
				    "the entry in line %d has the same url, %s and MachineName", c->runners[k].line,
				    keys[c->runners[i].id > 0 ? K_RUNNER_id : K_RUNNER_token].name);
}

/* Entries of other executors beside ours are no fault: gitlab-runner runs them. */
static void
say_skipped(struct reader *r)
{
	struct config *c = r->c;
	bool ours = false;

	for (size_t i = 0; i < c->nrunners; i++)
		ours = ours || !config_foreign_executor(c->runners[i].executor);
	for (size_t i = 0; i < c->nrunners; i++) {
		struct runner *run = &c->runners[i];

		run->stays = ours && config_foreign_executor(run->executor);
		if (run->stays)
			note(r, LOG_INFO, run->line, "runner \"%s\" stays with gitlab-runner: its executor is %s", run->name, run->executor);
		else if (run->disabled != NULL)
			note(r, LOG_ERROR, run->line, "runner \"%s\" is skipped: %s", run->name, run->disabled);
	}
}

static int
read_root(struct reader *r, struct toml *root)
{
	struct config *c = r->c;
	struct toml *list;
	size_t i = 0;

	spell_keys(KS_GLOBAL, root);
	list = toml_get(root, keys[K_GLOBAL_runners].name);
	key_defaults(KS_GLOBAL, c);
	if (read_section(r, KS_GLOBAL, root, c) < 0)
		return -1;
	if (c->concurrent < 1)
		return refuse(r, toml_get(root, keys[K_GLOBAL_concurrent].name), "concurrent must be at least 1, not %" PRId64, c->concurrent);
	if (c->check_interval <= 0)
		c->check_interval = 3;
	if (c->shutdown_timeout <= 0)
		c->shutdown_timeout = 30;
	if (c->concurrent > KEY_HUGE)
		c->concurrent = KEY_HUGE;
	if (c->max_machines < 0)
		return refuse(r, toml_get(root, keys[K_GLOBAL_max_machines].name), "max_machines must not be negative; 0 is no limit");
	/* As upstream: what makes no sense is the default. */
	if (c->drain_concurrency <= 0)
		c->drain_concurrency = 3;
	if (c->drain_retries <= 0)
		c->drain_retries = 3;
	if (c->drain_backoff <= 0)
		c->drain_backoff = 5 * NSEC_SEC;
	if (list == NULL)
		return 0;
	c->runners = arena_calloc(&c->arena, list->n + 1, sizeof(*c->runners));
	TOML_EACH(t, list) {
		if (read_runner(r, t, &c->runners[i]) < 0)
			return -1;
		i++;
	}
	c->nrunners = i;
	disable_twins(c);
	say_skipped(r);
	return 0;
}

struct config *
config_parse(const char *path, struct str text, config_note *fn, void *ctx, struct err *e)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct reader r = { c, fn, ctx, e };
	struct toml *root;

	c->path = arena_dup(&c->arena, str_from(path));
	c->hash = hash_fnv(text);
	/* The tree's strings are views: the text has to live as long. */
	if (toml_parse(&c->arena, arena_str(&c->arena, text), &root, e) < 0) {
		err_ctx(e, "%s", path);
		config_free(c);
		return NULL;
	}
	if (read_root(&r, root) < 0) {
		config_free(c);
		return NULL;
	}
	return c;
}

struct config *
config_load(const char *path, config_note *fn, void *ctx, struct err *e)
{
	struct buf b = { .max = CONFIG_MAX };
	struct config *c = NULL;

	if (fs_read(AT_FDCWD, path, CONFIG_MAX, &b, e) == 0 || e->kind == ERR_NOTFOUND)
		c = config_parse(path, buf_str(&b), fn, ctx, e);
	buf_wipe(&b);
	return c;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	arena_reset(&c->arena);
	free(c);
}

size_t
config_runnable(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nrunners; i++)
		n += c->runners[i].disabled == NULL;
	return n;
}

char *
config_default_path(void)
{
	const char *env = getenv("CONFIG_FILE"), *home = getenv("HOME");

	if (env != NULL && env[0] != '\0')
		return xstrdup(env);
	if (geteuid() == 0)
		return xstrdup("/etc/gitlab-runner/config.toml");
	if (home != NULL && home[0] != '\0')
		return fs_join(home, ".gitlab-runner/config.toml");
	return xstrdup("config.toml");
}

/* ^[sr]_[0-9a-zA-Z]{12}$ */
static bool
system_id_ok(struct str s)
{
	if (s.n != 14 || (s.p[0] != 's' && s.p[0] != 'r') || s.p[1] != '_')
		return false;
	for (size_t i = 2; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z')))
			return false;
	return true;
}

static void
make_system_id(char out[15])
{
	static const char *const files[] = { "/var/lib/dbus/machine-id", "/etc/machine-id" };
	struct buf b = { .max = 256 };
	uint8_t mac[32];
	char hex[65];

	for (size_t i = 0; i < NELEM(files); i++) {
		buf_clear(&b);
		if (fs_read(AT_FDCWD, files[i], 200, &b, NULL) == 0 && str_trim(buf_str(&b)).n > 0) {
			hash_hmac_sha256(str_trim(buf_str(&b)), STR("gitlab-runner"), mac);
			hash_hex(mac, sizeof(mac), hex);
			snprintf(out, 15, "s_%.12s", hex);
			buf_free(&b);
			return;
		}
	}
	rand_hex(hex, 12);
	snprintf(out, 15, "r_%.12s", hex);
	buf_free(&b);
}

int
config_system_id(const char *config_path, char out[15], struct err *e)
{
	const char *slash = strrchr(config_path, '/');
	char *dir = slash != NULL ? str_dup(str_of(config_path, (size_t)(slash - config_path))) : xstrdup(".");
	char *path = fs_join(dir[0] != '\0' ? dir : "/", ".runner_system_id");
	struct buf b = { .max = 256 };
	struct str id;
	int rc = 0;

	if (fs_read(AT_FDCWD, path, 200, &b, NULL) == 0)
		id = str_trim(buf_str(&b));
	else
		id = STR_NULL;
	if (system_id_ok(id)) {
		str_copy(id, out, 15);
	} else {
		make_system_id(out);
		/*
		 * An id from the machine's own id comes out the same next time; a random one that cannot be
		 * kept would make a new runner manager on the server at every start.
		 */
		if (fs_write(AT_FDCWD, path, str_from(out), 0600, e) < 0 && out[0] == 'r')
			rc = err_ctx(e, "system id (this host has no /etc/machine-id, so the id must be kept)");
	}
	buf_free(&b);
	free(path);
	free(dir);
	return rc;
}
