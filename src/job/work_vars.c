/*
 * The variables of a job, in the order of spec job-execution 5.6: feature
 * flags, what the runner knows, what GitLab sent, what the executor adds.
 * And what follows from them alone: which are exported, which are masked.
 */
#include "core/core.h"
#include "gitlab/api.h"
#include "job/work_parts.h"

#if defined(__x86_64__)
#define ARCH "amd64"
#elif defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "unknown"
#endif

/*
 * Linux takes environment entries below 128 KiB (MAX_ARG_STRLEN, the NUL counts), and of environment and arguments
 * together a quarter of the stack limit, 2 MiB as machines come. Arguments and the image's own variables need room too.
 */
#define ENTRY_MAX	((128u << 10) - 1)
#define TOTAL_MAX	(1536u << 10)
#define NAMED_MAX	8			/* names in one warning */

/* Prefixes of tokens that GitLab's users have in their hands (FF_MASK_ALL_DEFAULT_TOKENS); glpat- is masked always. */
static const char *const token_prefixes[] = {
	"glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glrtr-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-",
	"glffct-", "_gitlab_session=", "gltok-",
};

static void
add(struct work *w, const char *key, struct str value, unsigned flags)
{
	vars_add(&w->vars, str_from(key), value, flags);
}

static void
add_number(struct work *w, const char *key, int64_t value)
{
	add(w, key, str_from(arena_fmt(w->a, "%" PRId64, value)), VAR_PUBLIC | VAR_RAW);
}

/* No shell and no program can hold a NUL in a variable. */
static struct str
without_nul(struct arena *a, struct str s)
{
	char *p;
	size_t n = 0;

	if (str_chr(s, '\0') < 0)
		return s;
	p = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\0')
			p[n++] = s.p[i];
	return str_of(p, n);
}

static void
collect_runner(struct work *w, int64_t concurrent_id)
{
	const struct job_settings *r = &w->p->runner;
	const struct { const char *pem, *name; } tls[] = {
		{ r->tls_ca, "CI_SERVER_TLS_CA_FILE" }, { r->tls_cert, "CI_SERVER_TLS_CERT_FILE" },
		{ r->tls_key, "CI_SERVER_TLS_KEY_FILE" },
	};
	struct str image = json_str(w->a, json_path(w->p->root, "image.name"));

	if (image.n > 0)
		add(w, "CI_JOB_IMAGE", image, VAR_PUBLIC);
	add(w, "CI_RUNNER_SHORT_TOKEN", str_from(w->p->runner.short_token), VAR_PUBLIC | VAR_RAW);
	for (size_t i = 0; i < r->environment.n; i++) {
		struct str value = str_from(r->environment.v[i]), key = str_cut(&value, '=');

		if (value.p != NULL && !work_flags_known(key))
			vars_add(&w->vars, key, without_nul(w->a, value), VAR_INTERNAL);
	}
	add(w, "CI_BUILDS_DIR", str_from(w->builds_dir), VAR_PUBLIC | VAR_RAW);
	w->at_project_dir = w->vars.n;
	add(w, "CI_PROJECT_DIR", STR(""), VAR_PUBLIC | VAR_RAW);
	add_number(w, "CI_CONCURRENT_ID", concurrent_id);
	add_number(w, "CI_CONCURRENT_PROJECT_ID", 0);
	add(w, "CI_SERVER", STR("yes"), VAR_PUBLIC | VAR_RAW);
	add(w, "CI_JOB_STATUS", STR("running"), VAR_PUBLIC | VAR_RAW);
	add_number(w, "CI_JOB_TIMEOUT", w->p->timeout / NSEC_SEC);
	for (size_t i = 0; i < NELEM(tls); i++) {
		struct str pem = str_from(tls[i].pem);

		if (pem.n > 0)
			add(w, tls[i].name, without_nul(w->a, pem), VAR_INTERNAL | VAR_RAW | VAR_FILE | (i == 2 ? VAR_MASKED : 0u));
	}
}

static void
collect_job(struct work *w)
{
	JSON_EACH(v, json_get(w->p->root, "variables")) {
		struct str key = json_str(w->a, json_get(v, "key"));
		unsigned flags = 0;

		if (key.n == 0 || work_flags_known(key))
			continue;
		flags |= json_bool(json_get(v, "public"), false) ? VAR_PUBLIC : 0;
		flags |= json_bool(json_get(v, "masked"), false) ? VAR_MASKED : 0;
		flags |= json_bool(json_get(v, "file"), false) ? VAR_FILE : 0;
		flags |= json_bool(json_get(v, "raw"), false) ? VAR_RAW : 0;
		vars_add(&w->vars, key, without_nul(w->a, json_text(w->a, json_get(v, "value"))), flags);
	}
}

void
work_vars_collect(struct work *w, int64_t concurrent_id)
{
	vars_init(&w->vars, w->a);
	work_flags_collect(w);
	collect_runner(w, concurrent_id);
	collect_job(w);
	add(w, "CI_DISPOSABLE_ENVIRONMENT", STR("true"), VAR_PUBLIC | VAR_RAW);
	add(w, "CI_RUNNER_VERSION", STR(GITLAB_COMPAT_VERSION), VAR_PUBLIC | VAR_RAW);
	add(w, "CI_RUNNER_REVISION", STR("windlass"), VAR_PUBLIC | VAR_RAW);
	add(w, "CI_RUNNER_EXECUTABLE_ARCH", STR("linux/" ARCH), VAR_PUBLIC | VAR_RAW);
	w->at_tmp_dir = w->vars.n;
	add(w, "RUNNER_TEMP_PROJECT_DIR", STR(""), VAR_PUBLIC | VAR_RAW);
}

struct str
work_vars_peek(const struct work *w, const char *key)
{
	const struct var *v = vars_find(&w->vars, str_from(key));
	struct str s;

	if (v == NULL)
		return STR("");
	if ((v->flags & VAR_RAW) != 0)
		return v->value;
	s = vars_expand_str(&w->vars, v->value);
	return s.p != NULL ? s : STR("");
}

void
work_vars_set(struct work *w, const char *key, struct str value)
{
	for (size_t i = 0; i < w->vars.n; i++)
		if (str_eqc(w->vars.v[i].key, key))
			w->vars.v[i].value = arena_str(w->a, value);
}

/* "A, B and 3 more" into a text for a warning. Names come from people: control characters are shown as such. */
struct names {
	struct buf	text;
	size_t		n;
};

static void
names_add(struct names *l, struct str name)
{
	if (++l->n > NAMED_MAX)
		return;
	if (l->n > 1)
		buf_puts(&l->text, ", ");
	buf_put_quoted(&l->text, name, 64);
}

static const char *
names_text(struct names *l)
{
	if (l->n > NAMED_MAX)
		buf_fmt(&l->text, " and %zu more", l->n - NAMED_MAX);
	return l->text.p;
}

static size_t
entry_size(const struct work *w, const struct var *v)
{
	size_t value = (v->flags & VAR_FILE) != 0 ? strlen(w->tmp_dir) + 1 + v->key.n : v->value.n;

	return v->key.n + 1 + value + 1;
}

static void
check_names(struct work *w)
{
	struct names bad = { .text = { .max = 4096 } };

	for (size_t i = 0; i < w->vars.n; i++) {
		const struct var *v = &w->vars.v[i];

		if (!vars_name_ok(v->key) && vars_find(&w->vars, v->key) == v)
			names_add(&bad, v->key);
	}
	if (bad.n > 0)
		work_warn(w, "Variables whose names no shell takes are left out of the scripts: %s", names_text(&bad));
	buf_free(&bad.text);
}

/* Decides what is exported: all that fits, in order. */
static void
check_sizes(struct work *w)
{
	struct names large = { .text = { .max = 4096 } }, rest = { .text = { .max = 4096 } };
	size_t total = 0;

	for (size_t i = 0; i < w->vars.n; i++) {
		const struct var *v = &w->vars.v[i];
		size_t n = entry_size(w, v);
		bool fits;

		if (vars_find(&w->vars, v->key) != v || !vars_name_ok(v->key))
			continue;
		/* A pointer for each is counted by the kernel as well. */
		fits = n <= ENTRY_MAX && total + n + sizeof(char *) <= TOTAL_MAX;
		if (fits) {
			total += n + sizeof(char *);
			continue;
		}
		if (w->unexported == NULL) {
			w->nunexported = w->vars.n;
			w->unexported = arena_calloc(w->a, w->vars.n, sizeof(*w->unexported));
		}
		w->unexported[i] = true;
		names_add(n > ENTRY_MAX ? &large : &rest, v->key);
	}
	if (large.n > 0)
		work_warn(w, "Variables of 128 KiB or more are set in the job's scripts but not exported, since Linux starts "
		    "no program with them; make them file variables: %s", names_text(&large));
	if (rest.n > 0)
		work_warn(w, "The job's variables together are larger than what Linux gives to a program: "
		    "these are set in the job's scripts but not exported: %s", names_text(&rest));
	buf_free(&large.text);
	buf_free(&rest.text);
}

void
work_vars_finish(struct work *w)
{
	w->vars.v[w->at_project_dir].value = str_from(w->project_dir);
	w->vars.v[w->at_tmp_dir].value = str_from(w->tmp_dir);
	if (work_flag(w, "FF_NETWORK_PER_BUILD"))
		add(w, "CI_BUILD_NETWORK_NAME", str_from(w->network_name), VAR_PUBLIC | VAR_RAW);
	w->vars.file_dir = str_from(w->tmp_dir);
	vars_expand_all(&w->vars);
	if (w->vars.too_large)
		work_fault(w, "the job's variables come to more than %u MiB when they are put into each other",
		    VARS_EXPANDED_MAX >> 20);
	check_names(w);
	check_sizes(w);
}

bool
work_exported(const struct work *w, const struct var *v)
{
	size_t i = (size_t)(v - w->vars.v);

	if (entry_size(w, v) > ENTRY_MAX)
		return false;
	return w->unexported == NULL || i >= w->nunexported || !w->unexported[i];
}

char *
work_file_path(const struct work *w, struct str key)
{
	return arena_fmt(w->a, "%s/%.*s", w->tmp_dir, STR_ARG(key));
}

static void
add_phrase(struct str *list, size_t *n, struct str s)
{
	s = str_trim(s);
	if (s.n > 0)
		list[(*n)++] = s;
}

static void
add_strings(const struct work *w, struct json_val list, const char *key, struct str *out, size_t *n)
{
	JSON_EACH(v, list)
		add_phrase(out, n, json_str(w->a, key != NULL ? json_get(v, key) : v));
}

void
work_mask_phrases(const struct work *w, struct str **phrases, size_t *nphrases, struct str **prefixes, size_t *nprefixes)
{
	struct json_val credentials = json_get(w->p->root, "credentials"), dependencies = json_get(w->p->root, "dependencies");
	struct json_val more = json_path(w->p->root, "features.token_mask_prefixes");
	bool all = work_flag(w, "FF_MASK_ALL_DEFAULT_TOKENS");

	*phrases = arena_calloc(w->a, w->vars.n + json_len(credentials) + json_len(dependencies) + 2, sizeof(**phrases));
	*nphrases = 0;
	for (size_t i = 0; i < w->vars.n; i++)
		if ((w->vars.v[i].flags & VAR_MASKED) != 0)
			add_phrase(*phrases, nphrases, w->vars.v[i].value);
	add_phrase(*phrases, nphrases, str_from(secret_reveal(w->p->token)));
	add_phrase(*phrases, nphrases, str_from(secret_reveal(w->p->runner.token)));
	add_strings(w, credentials, "password", *phrases, nphrases);
	add_strings(w, dependencies, "token", *phrases, nphrases);

	*prefixes = arena_calloc(w->a, json_len(more) + NELEM(token_prefixes), sizeof(**prefixes));
	*nprefixes = 0;
	add_strings(w, more, NULL, *prefixes, nprefixes);
	for (size_t i = 0; i < (all ? NELEM(token_prefixes) : 1); i++)
		(*prefixes)[(*nprefixes)++] = str_from(token_prefixes[i]);
}
