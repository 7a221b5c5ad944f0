/*
 * From a job's payload to what is to be done: directories, names, settings,
 * image, steps. See work.h.
 */
#include "config/keys.h"
#include "core/core.h"
#include "core/hash.h"
#include "job/work_parts.h"
#include "policy/names.h"
#include "wire/url.h"

#define WARNINGS_MAX	(64u << 10)
#define AFTER_SCRIPT_TIMEOUT	(300 * NSEC_SEC)
#define ATTEMPTS_MAX	10

/* ---- saying what is wrong ---- */

void
work_warn(struct work *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&w->warnings, fmt, ap);
	va_end(ap);
	buf_putc(&w->warnings, '\n');
}

void
work_fault(struct work *w, const char *fmt, ...)
{
	struct buf b = { .max = 8192 };
	va_list ap;

	if (w->fault != NULL)
		return;
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	w->fault = arena_dup(w->a, buf_str(&b));
	buf_free(&b);
}

char *
work_quoted(const struct work *w, struct str value)
{
	struct buf b = { .max = 1024 };
	char *s;

	buf_put_quoted(&b, value, 64);
	s = arena_dup(w->a, buf_str(&b));
	buf_free(&b);
	return s;
}

/* ---- paths ---- */

/* "/a//b/../c/" as "/a/c"; above the root there is nothing. The path begins with '/'. */
static char *
clean_path(struct arena *a, struct str path)
{
	char *out = arena_alloc(a, path.n + 2);
	size_t n = 0;

	while (path.p != NULL) {
		struct str part = str_cut(&path, '/');

		if (part.n == 0 || str_eqc(part, "."))
			continue;
		if (str_eqc(part, "..")) {
			while (n > 0 && out[--n] != '/')
				;
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return out;
}

/* Whether dir is root or lies below it; both cleaned. */
static bool
is_within(const char *dir, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(dir, root, n) == 0 && (dir[n] == '\0' || dir[n] == '/');
}

static char *
join(struct arena *a, const char *dir, const char *rest)
{
	return arena_fmt(a, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, rest);
}

/* Bytes that would make a path a trap for people and shells that print it. */
static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

/* The path of the repository's URL without .git: "acme/shop/web"; "project-<id>" when it is not fit for a directory. */
static char *
project_slug(const struct work *w)
{
	struct buf path = { .max = 4096 };
	struct url u;
	char *slug = NULL;
	struct str s;

	if (url_parse(json_str(w->a, json_path(w->p->root, "git_info.repo_url")), &u, NULL) == 0 &&
	    url_decode(&path, u.path) == 0 && !path.failed) {
		s = buf_str(&path);
		if (str_ends(s, ".git"))
			s = str_sub(s, 0, s.n - 4);
		if (s.n > 0 && str_find(s, "..") < 0 && !has_control(s)) {
			slug = clean_path(w->a, s);
			slug += slug[0] == '/';
		}
	}
	buf_free(&path);
	if (slug == NULL || slug[0] == '\0')
		slug = arena_fmt(w->a, "project-%" PRId64, w->project_id);
	return slug;
}

/* A directory of the runner's configuration. */
static char *
configured_dir(struct work *w, const struct key *k, const char *path)
{
	struct str s = str_from(path);

	if (s.n == 0)
		return arena_dup(w->a, str_from(k->dflt));
	if (s.p[0] != '/' || has_control(s)) {
		work_fault(w, "%s of the runner is %s: it must be an absolute path", k->name, work_quoted(w, s));
		return arena_dup(w->a, str_from(k->dflt));
	}
	return clean_path(w->a, s);
}

/* Whether the builds lie in a directory of the machine, where other projects' builds lie too. */
static bool
is_host_mounted(const struct work *w)
{
	const struct field_list *volumes = &w->p->runner.docker.volumes;

	for (size_t i = 0; i < volumes->n; i++) {
		struct str rest = str_from(volumes->v[i]), source = str_cut(&rest, ':');
		struct str dest = rest.p != NULL ? vars_expand_str(&w->vars, str_cut(&rest, ':')) : STR_NULL;

		if (str_starts(source, "/") && str_starts(dest, "/") && is_within(w->builds_dir, clean_path(w->a, dest)))
			return true;
	}
	return false;
}

/* GIT_CLONE_PATH, or NULL with the reason in w->fault. */
static char *
custom_project_dir(struct work *w, struct str wanted)
{
	char *dir;

	if (!w->p->runner.custom_build_dir) {
		work_fault(w, "GIT_CLONE_PATH is not allowed by this runner: it has [runners.custom_build_dir] enabled = false");
		return NULL;
	}
	if (!str_starts(wanted, "/") || has_control(wanted)) {
		work_fault(w, "GIT_CLONE_PATH is %s: it must be an absolute path below %s", work_quoted(w, wanted), w->builds_dir);
		return NULL;
	}
	dir = clean_path(w->a, wanted);
	if (!is_within(dir, w->builds_dir)) {
		work_fault(w, "GIT_CLONE_PATH is %s: it must lie below %s", work_quoted(w, wanted), w->builds_dir);
		return NULL;
	}
	return dir;
}

static void
init_roots(struct work *w)
{
	w->builds_dir = configured_dir(w, &keys[K_RUNNER_builds_dir], w->p->runner.builds_dir);
	w->cache_root = configured_dir(w, &keys[K_RUNNER_cache_dir], w->p->runner.cache_dir);
	if (strcmp(w->builds_dir, "/") == 0) {
		work_fault(w, "builds_dir of the runner is /: it must be a directory of its own, such as /builds");
		w->builds_dir = arena_dup(w->a, STR("/builds"));
	}
}

static void
init_dirs(struct work *w)
{
	char *slug = project_slug(w), *dir = NULL;
	struct str wanted = str_trim(work_vars_peek(w, "GIT_CLONE_PATH"));

	if (wanted.n > 0)
		dir = custom_project_dir(w, wanted);
	/* Where builds of several runners lie, each has a directory of its own. */
	if (dir == NULL && is_host_mounted(w))
		dir = clean_path(w->a, str_from(arena_fmt(w->a, "%s/%s/0/%s", w->builds_dir, w->p->runner.short_token, slug)));
	if (dir == NULL || !is_within(dir, w->builds_dir))
		dir = join(w->a, w->builds_dir, slug);
	if (w->git == GIT_EMPTY)
		dir = arena_fmt(w->a, "%s-empty", dir);
	w->project_dir = dir;
	w->tmp_dir = arena_fmt(w->a, "%s.tmp", dir);
	w->cache_dir = join(w->a, w->cache_root, slug);
}

/* ---- names ---- */

static char *
label(struct arena *a, const char *text)
{
	char *out = arena_alloc(a, NAMES_LABEL_SIZE);

	names_rfc1123(str_from(text), out);
	return out;
}

/* The project's runner id is always 0 under docker+machine (spec job-execution 1.1). */
static void
init_names(struct work *w, const char *tag)
{
	const struct payload *p = w->p;
	struct str hostname = str_from(p->runner.docker.hostname);
	uint8_t sum[32];
	char *key;

	w->unique_name = label(w->a, arena_fmt(w->a, "runner-%s-project-%" PRId64 "-concurrent-0", p->runner.short_token, w->project_id));
	w->random_name = arena_fmt(w->a, "%s-%s", w->unique_name, tag);
	w->build_name = arena_fmt(w->a, "%s-build", w->random_name);
	w->helper_name = arena_fmt(w->a, "%s-predefined", w->random_name);
	w->hostname = hostname.n > 0 ? arena_dup(w->a, hostname) : w->unique_name;
	w->network_name = label(w->a, arena_fmt(w->a, "runner-%s-%" PRId64 "-0-%" PRId64, p->runner.short_token, w->project_id, p->id));
	key = arena_fmt(w->a, "%s-%s-%" PRId64 "-0", secret_reveal(p->runner.token), p->runner.system_id, w->project_id);
	hash_sha256(key, strlen(key), sum);
	w->volume_hash = arena_alloc(w->a, 33);
	hash_hex(sum, 16, w->volume_hash);
}

char *
work_job_url(const struct work *w)
{
	struct str repo = json_str(w->a, json_path(w->p->root, "git_info.repo_url"));
	struct buf b = { .max = 8192 };
	struct url u;
	char *s;

	if (url_parse(repo, &u, NULL) == 0)
		url_put_clean(&b, &u);
	else
		buf_puts(&b, w->p->runner.url);
	if (str_ends(buf_str(&b), ".git"))
		buf_cut(&b, b.n - 4);
	while (str_ends(buf_str(&b), "/"))
		buf_cut(&b, b.n - 1);
	buf_fmt(&b, "/-/jobs/%" PRId64, w->p->id);
	s = arena_dup(w->a, buf_str(&b));
	buf_free(&b);
	return s;
}

/* ---- settings ---- */

static bool
bool_setting(struct work *w, const char *key, bool dflt)
{
	bool bad, on = vars_bool(&w->vars, key, dflt, &bad);

	if (bad)
		work_warn(w, "%s is %s, which is neither true nor false: %s is used", key,
		    work_quoted(w, vars_get(&w->vars, key, STR(""))), dflt ? "true" : "false");
	return on;
}

static int64_t
int_setting(struct work *w, const char *key, int64_t dflt)
{
	struct str s = str_trim(vars_get(&w->vars, key, STR("")));
	int64_t n = dflt;

	if (s.n > 0 && str_to_i64(s, &n) < 0)
		work_warn(w, "%s is %s, which is no whole number: %" PRId64 " is used", key, work_quoted(w, s), dflt);
	return n;
}

static int
attempts_setting(struct work *w, const char *key)
{
	int64_t n = int_setting(w, key, 1), fit = n < 1 ? 1 : n > ATTEMPTS_MAX ? ATTEMPTS_MAX : n;

	if (n != fit)
		work_warn(w, "%s is %" PRId64 ", possible are 1 to %d: %" PRId64 " is used", key, n, ATTEMPTS_MAX, fit);
	return (int)fit;
}

/* A Go duration; 0 means the default. */
static dur_t
timeout_setting(struct work *w, const char *key, dur_t dflt)
{
	struct str s = str_trim(vars_get(&w->vars, key, STR("")));
	dur_t ns = 0;

	if (s.n == 0)
		return dflt;
	if (str_to_duration(s, &ns) < 0 || ns < 0) {
		work_warn(w, "%s is %s, which is no duration such as 30m or 1h5m: it is ignored", key, work_quoted(w, s));
		return dflt;
	}
	if (ns > w->p->timeout) {
		work_warn(w, "%s is %s, longer than the job's own timeout: that is used", key, work_quoted(w, s));
		return w->p->timeout;
	}
	return ns > 0 ? ns : dflt;
}

static enum git_strategy
git_strategy(struct work *w)
{
	static const char *const names[] = { [GIT_CLONE] = "clone", [GIT_FETCH] = "fetch", [GIT_NONE] = "none", [GIT_EMPTY] = "empty" };
	enum git_strategy dflt = json_bool(json_get(w->p->root, "allow_git_fetch"), false) ? GIT_FETCH : GIT_CLONE;
	struct str s = str_trim(work_vars_peek(w, "GIT_STRATEGY"));

	if (s.n == 0)
		return dflt;
	for (size_t i = 0; i < NELEM(names); i++)
		if (str_eqc(s, names[i]))
			return (enum git_strategy)i;
	work_warn(w, "GIT_STRATEGY is %s, possible are clone, fetch, none and empty: %s is used", work_quoted(w, s), names[dflt]);
	return dflt;
}

static enum submodule_strategy
submodule_strategy(struct work *w)
{
	struct str s = str_trim(vars_get(&w->vars, "GIT_SUBMODULE_STRATEGY", STR("")));

	if (s.n == 0 || str_eqc(s, "none"))
		return SUBMODULES_NONE;
	if (str_eqc(s, "normal"))
		return SUBMODULES_NORMAL;
	if (str_eqc(s, "recursive"))
		return SUBMODULES_RECURSIVE;
	work_warn(w, "GIT_SUBMODULE_STRATEGY is %s, possible are none, normal and recursive", work_quoted(w, s));
	return SUBMODULES_INVALID;
}

static bool
debug_setting(struct work *w, const char *key)
{
	bool on = bool_setting(w, key, false);

	if (on && w->p->runner.debug_trace_disabled) {
		work_warn(w, "%s: usage is disabled on this Runner", key);
		on = false;
	}
	return on;
}

static void
init_settings(struct work *w)
{
	bool no_git = w->git == GIT_NONE || w->git == GIT_EMPTY;

	w->git_checkout = bool_setting(w, "GIT_CHECKOUT", true) && !no_git;
	w->lfs_skip_smudge = bool_setting(w, "GIT_LFS_SKIP_SMUDGE", false);
	w->submodule_force_https = bool_setting(w, "GIT_SUBMODULE_FORCE_HTTPS", false);
	w->submodules = submodule_strategy(w);
	if (no_git)
		w->submodules = SUBMODULES_NONE;
	w->depth = json_i64(json_path(w->p->root, "git_info.depth"), 0);
	if (w->depth < 0)
		w->depth = 0;
	w->submodule_depth = int_setting(w, "GIT_SUBMODULE_DEPTH", w->depth);
	if (w->submodule_depth < 0)
		w->submodule_depth = 0;
	w->get_sources_attempts = attempts_setting(w, "GET_SOURCES_ATTEMPTS");
	w->executor_attempts = attempts_setting(w, "EXECUTOR_JOB_SECTION_ATTEMPTS");
	w->script_timeout = timeout_setting(w, "RUNNER_SCRIPT_TIMEOUT", 0);
	w->after_script_timeout = timeout_setting(w, "RUNNER_AFTER_SCRIPT_TIMEOUT", AFTER_SCRIPT_TIMEOUT);
	w->after_script_ignore_errors = bool_setting(w, "AFTER_SCRIPT_IGNORE_ERRORS", true);
	w->debug_trace = debug_setting(w, "CI_DEBUG_TRACE");
	debug_setting(w, "CI_DEBUG_SERVICES");
}

/* ---- image and steps ---- */

/* Names the first key that nobody knows; the server checks these too, so one is a newer GitLab or a forged answer. */
static void
check_executor_opts(struct work *w, const char *whose, struct str name, struct json_val opts)
{
	static const struct { const char *executor, *keys[3]; } known[] = {
		{ "docker", { "platform", "user", NULL } },
		{ "kubernetes", { "user", NULL } },
	};

	if (json_present(opts) && json_type(opts) != JSON_OBJECT) {
		w->bad_executor_opts = arena_fmt(w->a, "%s %s: executor_opts is no object", whose, work_quoted(w, name));
		return;
	}
	JSON_EACH(executor, opts) {
		struct str what = json_key(w->a, executor);
		const char *const *options = NULL;

		for (size_t i = 0; i < NELEM(known); i++)
			if (str_eqc(what, known[i].executor))
				options = known[i].keys;
		if (options == NULL || (json_present(executor) && json_type(executor) != JSON_OBJECT)) {
			w->bad_executor_opts = arena_fmt(w->a, "%s %s: executor_opts has %s, which this version of windlass "
			    "does not know", whose, work_quoted(w, name), work_quoted(w, what));
			return;
		}
		JSON_EACH(option, executor) {
			struct str key = json_key(w->a, option);
			bool found = false;

			for (size_t i = 0; options[i] != NULL; i++)
				found |= str_eqc(key, options[i]);
			if (!found) {
				w->bad_executor_opts = arena_fmt(w->a, "%s %s: executor_opts.%.*s has %s, which this version of "
				    "windlass does not know", whose, work_quoted(w, name), STR_ARG(what), work_quoted(w, key));
				return;
			}
		}
	}
}

static void
init_image(struct work *w)
{
	struct json_val image = json_get(w->p->root, "image");
	struct str name = json_str(w->a, json_get(image, "name")), expanded = STR("");

	if (name.n > 0)
		expanded = str_trim(vars_expand_str(&w->vars, name));
	if (expanded.n > 0)
		w->image_json = image;
	else
		expanded = str_trim(vars_expand_str(&w->vars, str_from(w->p->runner.docker.image)));
	w->image = expanded.p != NULL ? expanded : STR("");
	if (str_chr(w->image, '\0') >= 0 || has_control(w->image)) {
		work_fault(w, "image %s: control characters in its name", work_quoted(w, w->image));
		w->image = STR("");
	}
	check_executor_opts(w, "image", name, json_get(image, "executor_opts"));
	JSON_EACH(service, json_get(w->p->root, "services"))
		if (w->bad_executor_opts == NULL)
			check_executor_opts(w, "service", json_str(w->a, json_get(service, "name")), json_get(service, "executor_opts"));
}

static char *
stage_name(struct arena *a, struct str step)
{
	char *s = arena_fmt(a, "step_%.*s", STR_ARG(step));

	for (char *c = s; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
		else if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && strchr("_.-", *c) == NULL)
			*c = '_';
	}
	return s;
}

static void
init_steps(struct work *w)
{
	struct json_val steps = json_get(w->p->root, "steps");

	w->steps = arena_calloc(w->a, json_len(steps) + 1, sizeof(*w->steps));
	JSON_EACH(v, steps) {
		struct str name = json_str(w->a, json_get(v, "name"));
		struct json_val script = json_get(v, "script");

		if (str_eqc(name, "after_script")) {
			if (json_len(w->after_script) == 0 && json_type(script) == JSON_ARRAY)
				w->after_script = script;
			continue;
		}
		w->steps[w->nsteps++] = (struct step){ name, stage_name(w->a, name), script };
	}
}

static bool
has_script_lines(const struct work *w)
{
	JSON_EACH(v, json_get(w->p->root, "steps"))
		if (json_len(json_get(v, "script")) > 0)
			return true;
	return false;
}

/*
 * Steps of the new kind, which the job image runs itself: the runner's part is a variable with their text and one
 * script line (spec job-execution 9). Before the variables are expanded.
 */
static void
add_native_steps(struct work *w)
{
	struct json_val run = json_get(w->p->root, "run");
	struct str text = json_type(run) == JSON_STRING ? json_str(w->a, run) : STR("");

	if (json_type(run) == JSON_ARRAY && json_len(run) > 0)
		text = json_raw(run);
	text = str_trim(text);
	if (text.n == 0 || str_eqc(text, "null") || str_eqc(text, "[]"))
		return;
	if (has_script_lines(w))
		w->bad_executor_opts = arena_dup(w->a, STR("the job has both `run` and script lines"));
	else if (vars_find(&w->vars, STR("STEPS")) != NULL)
		w->bad_executor_opts = arena_dup(w->a, STR("the job has `run` and a variable STEPS, which `run` needs for itself"));
	else {
		vars_add(&w->vars, STR("STEPS"), text, VAR_RAW);
		w->native_steps = true;
	}
}

static void
init_native_step(struct work *w)
{
	struct json_val line = JSON_NONE;

	if (!w->native_steps || json_parse(w->a, STR("[\"step-runner ci\"]"), &line, NULL) < 0)
		return;
	w->steps = arena_calloc(w->a, 1, sizeof(*w->steps));
	w->nsteps = 1;
	w->steps[0] = (struct step){ STR("script"), stage_name(w->a, STR("script")), line };
	w->after_script = JSON_NONE;
}

static void
init_protected(struct work *w)
{
	struct json_val v = json_path(w->p->root, "git_info.protected");

	w->protected = json_type(v) == JSON_BOOL ? json_bool(v, false) : vars_bool(&w->vars, "CI_COMMIT_REF_PROTECTED", false, NULL);
}

void
work_init(struct work *w, const struct payload *p, const char *machine, const char *tag, int64_t concurrent_id)
{
	*w = (struct work){ .p = p, .a = p->arena, .warnings = { .max = WARNINGS_MAX } };
	w->machine = arena_dup(w->a, str_from(machine));
	w->project_id = json_i64(json_path(p->root, "job_info.project_id"), 0);
	init_roots(w);
	init_names(w, tag);
	work_vars_collect(w, concurrent_id);
	add_native_steps(w);
	work_flags_decide(w);
	w->git = git_strategy(w);
	init_dirs(w);
	work_vars_finish(w);
	init_settings(w);
	init_protected(w);
	init_image(w);
	init_steps(w);
	init_native_step(w);
}

void
work_set_status(struct work *w, const char *status)
{
	work_vars_set(w, "CI_JOB_STATUS", str_from(status));
}
