/* What the values of a configuration mean, alone and together: see check.h. */
#include <strings.h>

#include "cmd/check_machine.h"
#include "cmd/runnercmd.h"
#include "job/container.h"
#include "net/serve.h"
#include "wire/glob.h"
#include "wire/url.h"

#define LISTEN_PORT	9252	/* when the address names none */

typedef void value_rule(struct check *c, const struct key *k, const struct toml *v, const char *arg);

/* ---- rules of one value ---- */

/* Whether it is one of the words with blanks between them. */
static bool
is_one_of(struct str s, const char *words)
{
	struct str rest = str_from(words);

	while (rest.p != NULL)
		if (str_eq(str_cut(&rest, ' '), s))
			return true;
	return s.n == 0;
}

/* The word that was meant, when only its letters are large or blanks stand around it. */
static const char *
meant(struct check *c, struct str s, const char *words)
{
	struct str rest = str_from(words);

	while (rest.p != NULL) {
		struct str word = str_cut(&rest, ' ');

		if (word.n == str_trim(s).n && strncasecmp(word.p, str_trim(s).p, word.n) == 0)
			return arena_fmt(&c->arena, "; write \"%.*s\"", STR_ARG(word));
	}
	return "";
}

/* arg: the words that are known. A list is judged member by member. */
static void
rule_words(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	if (v->type == TOML_ARRAY)
		TOML_EACH(m, v)
			rule_words(c, k, m, arg);
	else if (v->type == TOML_STRING && !is_one_of(v->s, arg))
		check_say(c, check_worst(k), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "\"%.*s\" is none of: %s%s", STR_ARG(v->s), arg, meant(c, v->s, arg));
}

/* The same where another word only means the default. */
static void
rule_words_or_default(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	if (v->type == TOML_STRING && !is_one_of(v->s, arg))
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "\"%.*s\" is none of: %s; it is as if the key were not there", STR_ARG(v->s), arg);
}

/* arg: the least that makes sense. */
static void
rule_least(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	int64_t least = 0;

	str_to_i64(str_from(arg), &least);
	if (v->type == TOML_INTEGER && v->i < least)
		check_say(c, check_worst(k), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "%" PRId64 " is less than %s", v->i, arg);
}

/* arg: what a negative number comes to, as in gitlab-runner. */
static void
rule_none_below(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	if (v->type == TOML_INTEGER && v->i < 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "%" PRId64 " is taken for 0: %s", v->i, arg);
}

static void
rule_absolute(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	(void)arg;
	if (v->type == TOML_STRING && v->s.n > 0 && v->s.p[0] != '/' && v->s.p[0] != '$')
		check_say(c, check_worst(k), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "\"%.*s\" is no absolute path (it is one in the container)", STR_ARG(v->s));
}

/* A file of this host. The service runs in another directory than this command. */
static void
rule_file(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	(void)arg;
	if (v->type == TOML_STRING && str_chr(v->s, '$') >= 0 && check_looks_expanded(v->s))
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "\"%.*s\": variables are expanded in url and token only", STR_ARG(v->s));
	else if (v->type == TOML_STRING && v->s.n > 0 && v->s.p[0] != '/')
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "\"%.*s\" is looked for in the directory that the service is started in: write the whole path",
		    STR_ARG(v->s));
}

static void
rule_url(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	struct err e = { 0 };
	struct url u;

	(void)arg;
	if (v->type == TOML_STRING && v->s.n > 0 && str_chr(v->s, '$') < 0 && url_parse(v->s, &u, &e) < 0)
		check_say(c, check_worst(k), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "%s", e.msg);
}

/* What opens a door when it is misread: a malformed pattern allows nothing, and denies all behind a "!". */
static void
rule_patterns(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	(void)arg;
	if (v->type == TOML_ARRAY)
		TOML_EACH(m, v)
			if (m->type == TOML_STRING && !glob_ok(m->s))
				check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, m->line), "\"%.*s\" is a malformed pattern (an unclosed [ or {, or a \\ at its end); it would never match",
				    STR_ARG(m->s));
}

static void
rule_environment(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	size_t number = 0;

	(void)arg;
	if (v->type == TOML_ARRAY)
		TOML_EACH(m, v) {
			number++;
			if (m->type == TOML_STRING && str_chr(m->s, '=') <= 0)
				check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, m->line), "entry %zu is not KEY=value and is left out", number);
		}
}

/* arg: "unlimited" if -1 is allowed. */
static void
rule_size(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	int64_t n;

	if (v->type == TOML_STRING && container_parse_size(v->s, strcmp(arg, "unlimited") == 0, &n) < 0)
		check_say(c, check_worst(k), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "\"%.*s\" is no size: write 512m or 2g", STR_ARG(v->s));
}

/* A host of its own, or none, and a port. */
static void
rule_listen(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	char host[256], port[8];
	struct err e = { 0 };

	(void)arg;
	if (v->type != TOML_STRING || v->s.n == 0)
		return;
	if (str_find(v->s, "://") >= 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "metrics will not be served: write host:port, without \"%.*s\" and a path",
		    (int)str_find(v->s, "://") + 3, v->s.p);
	else if (str_to_int(v->s, &(int){ 0 }) == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "metrics will not be served: \"%.*s\" is taken for a host; write \":%.*s\"", STR_ARG(v->s),
		    STR_ARG(v->s));
	else if (serve_parse_address(v->s, LISTEN_PORT, host, port, &e) < 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "metrics will not be served: %s", e.msg);
}

static bool
label_bytes(struct str s, size_t least, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z') || strchr("._-", s.p[i]) != NULL))
			return false;
	return s.n >= least && s.n <= most;
}

static void
rule_labels(struct check *c, const struct key *k, const struct toml *v, const char *arg)
{
	(void)arg;
	TOML_EACH(m, v) {
		bool good = label_bytes(m->key, 3, 65) && m->key.p[0] != '.' && m->key.p[0] != '-' &&
		    m->type == TOML_STRING && label_bytes(m->s, 1, 256);

		if (!good)
			check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, m->line), "%.*s: gitlab-runner refuses the file for it; names have 3 to 65 and values 1 to 256 "
			    "of a-z A-Z 0-9 . _ -, and names begin with neither . nor -", STR_ARG(m->key));
	}
	if (v->n > 32)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "%zu labels; gitlab-runner refuses more than 32", v->n);
}

static const struct {
	enum key_id	 key;
	value_rule	*rule;
	const char	*arg;
} rules[] = {
	{ K_GLOBAL_concurrent, rule_least, "1" },
	{ K_GLOBAL_listen_address, rule_listen, "" },
	{ K_GLOBAL_max_machines, rule_least, "0" },
	{ K_GLOBAL_log_level, rule_words_or_default, "debug info warn warning error fatal panic" },
	{ K_GLOBAL_log_format, rule_words_or_default, "runner text json" },
	{ K_GLOBAL_labels, rule_labels, "" },
	{ K_RUNNER_labels, rule_labels, "" },
	{ K_RUNNER_limit, rule_none_below, "no limit" },
	{ K_RUNNER_output_limit, rule_none_below, "4096 (KiB)" },
	{ K_RUNNER_shell, rule_words, "bash sh" },
	{ K_RUNNER_builds_dir, rule_absolute, "" },
	{ K_RUNNER_cache_dir, rule_absolute, "" },
	{ K_RUNNER_clone_url, rule_url, "" },
	{ K_RUNNER_environment, rule_environment, "" },
	{ K_RUNNER_tls_ca_file, rule_file, "" },
	{ K_RUNNER_tls_cert_file, rule_file, "" },
	{ K_RUNNER_tls_key_file, rule_file, "" },
	{ K_MACHINE_max_builds, rule_none_below, "no limit" },
	{ K_MACHINE_periods_syntax, rule_words, "gitlab unix" },
	{ K_DOCKER_allowed_images, rule_patterns, "" },
	{ K_DOCKER_allowed_services, rule_patterns, "" },
	{ K_DOCKER_allowed_privileged_images, rule_patterns, "" },
	{ K_DOCKER_allowed_privileged_services, rule_patterns, "" },
	{ K_DOCKER_pull_policy, rule_words, "always if-not-present never" },
	{ K_DOCKER_allowed_pull_policies, rule_words, "always if-not-present never" },
	{ K_DOCKER_shm_size, rule_least, "0" },
	{ K_DOCKER_services_limit, rule_least, "-1" },
	{ K_DOCKER_wait_for_services_timeout, rule_least, "-1" },
	{ K_DOCKER_service_memory, rule_size, "" },
	{ K_DOCKER_service_memory_swap, rule_size, "unlimited" },
	{ K_DOCKER_service_memory_reservation, rule_size, "" },
	{ K_CACHE_Type, rule_words, "s3 gcs azure" },
	{ K_CACHE_MaxUploadedArchiveSize, rule_least, "0" },
	{ K_S3_AuthenticationType, rule_words, "access-key iam" },
	{ K_S3_ServerSideEncryption, rule_words, "S3 AES256 KMS aws:kms DSSE-KMS aws:kms:dsse" },
};

void
check_value(struct check *c, const struct key *k, const struct toml *v)
{
	int64_t ns;

	/* Nobody means more than a day of seconds; those were milliseconds. */
	if (k->type == KEY_DURATION && v->type == TOML_INTEGER && v->i > 86400 && v->i < NSEC_SEC)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "a number without a unit is nanoseconds, so this is %" PRId64 " ns: write it with its unit, such as \"90s\" or \"5m\"", v->i);
	else if (k->type == KEY_DURATION && v->type == TOML_INTEGER && v->i > 0 && v->i < NSEC_SEC)
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(k, v->line), "a number without a unit is nanoseconds, so this is %" PRId64 " ns: write \"%" PRId64 "s\"", v->i, v->i);
	if (k->type == KEY_DURATION && v->type == TOML_STRING && str_to_duration(v->s, &ns) < 0)
		check_say(c, k->offset != KEY_NOFIELD ? CHECK_ERROR : CHECK_WARNING, CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "\"%.*s\" is no duration: write \"90s\" or \"1h30m\"", STR_ARG(v->s));
	for (size_t i = 0; i < NELEM(rules); i++)
		if (&keys[rules[i].key] == k)
			rules[i].rule(c, k, v, rules[i].arg);
}

/* ---- values together ---- */

static void
check_token(struct check *c, const struct toml *t)
{
	const struct toml *v = key_value(K_RUNNER_token, t);
	struct check_at where = check_at(K_RUNNER_token, t);

	if (v == NULL || v->type != TOML_STRING)
		return;
	if (str_starts(v->s, "GR1348941") || str_starts(v->s, "glrtr-"))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "this is a registration token, which fetches no jobs: `register` makes a runner's token of it");
}

static void
check_url(struct check *c, const struct runner *r, const struct toml *t)
{
	struct check_at where = check_at(K_RUNNER_url, t);
	struct url u;

	if (url_parse(str_from(r->base_url), &u, NULL) == 0 && str_caseeq(u.scheme, "http"))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "http: the token and everything that jobs print can be read on the way");
	if (str_ends(str_trim(str_from(r->url)), "/ci") || str_ends(str_trim(str_from(r->url)), "/ci/"))
		check_say(c, CHECK_INFO, CHECK_DIFFERENT, where, "the /ci at its end is from GitLab 8 and is cut off");
}

/* The certificate files are read and belong together. */
static void
check_tls(struct check *c, const struct runner *r, const struct toml *t)
{
	struct gitlab *g;
	struct err e = { 0 };

	/* A file may be there tomorrow. */
	if (c->judging || r->base_url[0] == '\0' || (r->tls_ca_file[0] == '\0' && r->tls_cert_file[0] == '\0' && r->tls_key_file[0] == '\0'))
		return;
	g = runnercmd_gitlab_of(r, NULL, &e);
	if (g == NULL)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(r->tls_ca_file[0] != '\0' ? K_RUNNER_tls_ca_file : K_RUNNER_tls_cert_file, t), "%s", e.msg);
	gitlab_close(g);
}

static void
check_cache(struct check *c, const struct toml *cache)
{
	const struct toml *type = key_value(K_CACHE_Type, cache), *sub;
	enum key_id bucket;

	if (type == NULL || type->type != TOML_STRING || type->s.n == 0) {
		TOML_EACH(v, cache)
			if (v->type == TOML_TABLE && v->n > 0)
				check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(&keys[K_CACHE_Type], v->line),
				    "it is missing, so [runners.cache.%.*s] is not looked at", STR_ARG(v->key));
		return;
	}
	/* Another type, also one in capital letters, is said where the word stands. */
	if (!is_one_of(type->s, "s3 gcs azure") || check_has_flat_cache(cache))
		return;
	bucket = str_eqc(type->s, "s3") ? K_S3_BucketName : str_eqc(type->s, "gcs") ? K_GCS_BucketName : K_AZURE_ContainerName;
	sub = toml_get(cache, arena_dup(&c->arena, type->s));
	/* In the wrong place, which is said there. */
	if (key_value(bucket, cache) != NULL && key_value(bucket, cache)->s.n > 0)
		return;
	if (sub == NULL || key_value(bucket, sub) == NULL || key_value(bucket, sub)->s.n == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(bucket, sub != NULL ? sub : type), "it is missing: without it there is no cache");
}

/* Where the key stands that the manager blames. */
static struct check_at
fault_at(const struct runner *r, const struct toml *t)
{
	const struct toml *machine = key_value(K_RUNNER_machine, t), *sections;
	const struct key *k = r->fault_key;

	if (k == NULL || k == &keys[K_RUNNER_machine])
		return CHECK_AT_LINE(t->line);
	if (k == &keys[K_MACHINE_autoscaling]) {
		sections = key_value(K_MACHINE_autoscaling, machine);
		return CHECK_AT_KEY(&keys[K_AUTOSCALING_periods], sections != NULL ? sections->line : t->line);
	}
	return check_at((enum key_id)(k - keys), k->section == KS_RUNNER ? t : machine);
}

/* Whether an error about it has been made: the entry would be skipped for that, and one line is enough. */
static bool
was_said(const struct check *c, const struct runner *r, struct check_at where)
{
	for (const struct check_note *n = c->first; n != NULL; n = n->next)
		if (n->level == CHECK_ERROR && n->runner == r->name && strcmp(n->section, where.section) == 0 && (strcmp(n->key, where.key) == 0 ||
		    (n->section[0] != '\0' && strcmp(n->section, key_section_title(KS_AUTOSCALING)) == 0)))
			return true;
	return false;
}

/* The manager's own words, which it will write into its log. */
static void
say_disabled(struct check *c, const struct runner *r, const struct toml *t)
{
	struct check_at where = fault_at(r, t);

	if (r->stays)
		check_say(c, CHECK_INFO, CHECK_NO_EFFECT, check_at(K_RUNNER_executor, t), "executor \"%s\" is not for windlass: the entry stays with gitlab-runner", r->executor);
	else if (r->unset != NULL && !c->own_environment && (r->fault_key == &keys[K_RUNNER_token] || r->fault_key == &keys[K_RUNNER_url]))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "the variable %s is not set in this shell; the service must have it in its environment", r->unset);
	else if (!was_said(c, r, where))
		check_say(c, CHECK_ERROR, CHECK_REFUSED, where, "this entry would be skipped: %s", r->disabled);
}

void
check_runner(struct check *c, const struct runner *r, const struct toml *t)
{
	const struct toml *machine = key_value(K_RUNNER_machine, t), *docker = key_value(K_RUNNER_docker, t),
	    *cache = key_value(K_RUNNER_cache, t);

	/* Of another program's entry there is no more to say. */
	if (!config_foreign_executor(r->executor)) {
		check_token(c, t);
		check_url(c, r, t);
		check_tls(c, r, t);
		check_runner_traps(c, r, t);
		if (machine != NULL && machine->type == TOML_TABLE)
			check_machine(c, r, machine);
		if (docker != NULL && docker->type == TOML_TABLE)
			check_docker(c, r, docker, key_value(K_RUNNER_feature_flags, t));
		else if (docker == NULL)
			check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_LINE(t->line), "it has no [runners.docker] with an image: jobs that name none will fail");
		if (cache != NULL && cache->type == TOML_TABLE) {
			check_cache(c, cache);
			check_paste_cache(c, cache);
		}
	}
	if (r->executor[0] == '\0' && r->disabled != NULL && r->fault_key != &keys[K_RUNNER_executor])
		check_say(c, CHECK_ERROR, CHECK_REFUSED, check_at(K_RUNNER_executor, t), "it is missing: write executor = \"docker+machine\"");
	if (r->disabled != NULL)
		say_disabled(c, r, t);
}

size_t
check_errors(const struct check *c, const struct runner *r)
{
	size_t n = 0;

	for (const struct check_note *note = c->first; note != NULL; note = note->next)
		n += note->level == CHECK_ERROR && note->runner == r->name;
	return n;
}

/* Where gitlab-runner warns of jobs that starve behind long polls, which cannot happen here. */
static void
check_long_polls(struct check *c)
{
	const struct config *conf = c->config;
	bool narrow = false;

	for (size_t i = 0; i < conf->nrunners; i++)
		narrow |= conf->runners[i].limit > 0 && conf->runners[i].limit <= 2 && conf->runners[i].request_concurrency == 1;
	if (conf->nrunners > 1 && conf->concurrent < (int64_t)conf->nrunners)
		check_say(c, CHECK_INFO, CHECK_DIFFERENT, check_at(K_GLOBAL_concurrent, c->root), "%" PRId64 " for %zu runners: gitlab-runner lets runners starve behind "
		    "long polls of others then; here a waiting poll takes no slot", conf->concurrent, conf->nrunners);
	else if (narrow)
		check_say(c, CHECK_INFO, CHECK_DIFFERENT, CHECK_AT_LINE(0), "gitlab-runner warns of long polling here (a small limit with request_concurrency 1); "
		    "in windlass a waiting poll takes no slot");
}

void
check_whole(struct check *c)
{
	const struct config *conf = c->config;

	if (conf == NULL)
		return;
	if (conf->nrunners == 0) {
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_LINE(0), "there is no runner in it: `register` adds one");
		return;
	}
	check_long_polls(c);
}
