/* `windlass check` and `lint`, and what becomes of each key: see check.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/store.h"
#include "cmd/check.h"
#include "cmd/check_machine.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "core/fs.h"
#include "core/log.h"
#include "manager/manager.h"

#define CONFIG_MAX	(8u << 20)

static const char about[] =
	"Reads config.toml as `run` would, also one written for gitlab-runner, and says line by line what is refused, what is a\n"
	"trap, what has no effect and what works in another way. Nothing is changed. With --online it also asks GitLab (which\n"
	"then knows this host under the token), the cloud, registry mirrors and caches whether what the file names exists.\n\n"
	"Entries of other executors beside ours are no fault: they stay with gitlab-runner. For the file of the installed service\n"
	"root gets the service's own environment (EnvironmentFile of its unit); else a variable that is not set in this shell is a warning.\n\n"
	"Exit status 0: everything would run. 1: an entry, or the whole file, would be skipped; lines with \"error\" say what.";

void
check_say(struct check *c, enum check_level level, enum check_verdict verdict, struct check_at at, const char *fmt, ...)
{
	struct check_note *n = arena_alloc(&c->arena, sizeof(*n));
	char text[1024];

	TEXT_OF(text, fmt);
	*n = (struct check_note){ .number = c->count[CHECK_INFO] + c->count[CHECK_WARNING] + c->count[CHECK_ERROR], .level = level, .verdict = verdict, .line = at.line, .section = at.section, .key = at.key,
		.runner = c->runner != NULL ? c->runner->name : NULL, .text = arena_dup(&c->arena, str_from(text)) };
	*c->last = c->latest = n;
	c->last = &n->next;
	c->count[level]++;
}

void
check_say_paste(struct check *c, struct str lines)
{
	c->latest->paste = arena_dup(&c->arena, lines);
}

enum check_level
check_worst(const struct key *k)
{
	return k->use == KEY_YES ? CHECK_ERROR : CHECK_WARNING;
}

enum check_level
check_level_of(const struct err *e)
{
	return e->kind == ERR_CONFIG || e->kind == ERR_PROTO ? CHECK_ERROR : CHECK_WARNING;
}

struct check_at
check_at(enum key_id id, const struct toml *t)
{
	const struct toml *v = key_value(id, t);

	return CHECK_AT_KEY(&keys[id], v != NULL ? v->line : t != NULL ? t->line : 0);
}

/* ---- what becomes of each key ---- */

/* above: of the section it stands in; what is true of a whole section is said once. */
static void
judge_use(struct check *c, const struct key *k, const struct toml *v, enum key_use above)
{
	struct check_at at = CHECK_AT_KEY(k, v->line);
	bool nothing = key_says_nothing(k, v);

	/* What asks for nothing gets it everywhere. */
	if (nothing && k->use != KEY_YES && !c->all)
		return;
	switch (k->use) {
	case KEY_YES:
		if (key_differs(k) != NULL && !nothing)
			check_say(c, CHECK_INFO, CHECK_DIFFERENT, at, "%s", key_differs(k));
		else if (c->all && k->type != KEY_SECTION && k->type != KEY_TABLES)
			check_say(c, CHECK_INFO, CHECK_HONOURED, at, "%s", k->help);
		break;
	case KEY_LATER:
		if (above != KEY_LATER || c->all)
			check_say(c, nothing ? CHECK_INFO : CHECK_WARNING, CHECK_LATER, at, "%s", k->help);
		break;
	case KEY_NEVER:
		check_say(c, CHECK_INFO, CHECK_NO_EFFECT, at, "%s", k->help);
		break;
	case KEY_GONE:
		check_say(c, nothing ? CHECK_INFO : CHECK_WARNING, CHECK_NO_EFFECT, at, "removed from gitlab-runner: %s", k->help);
		break;
	}
}

static void
judge_unknown(struct check *c, enum key_section section, const struct toml *v)
{
	struct check_at at = { v->line, key_section_title(section), arena_dup(&c->arena, v->key) };
	const char *advice = key_advice(&c->arena, section, v);

	if (advice != NULL)
		check_say(c, CHECK_WARNING, CHECK_UNKNOWN, at, "unknown here and ignored: %s", advice);
	else
		check_say(c, CHECK_WARNING, CHECK_UNKNOWN, at, "unknown here and ignored");
}

/* The same key once more in other letters. */
static void
judge_spelling(struct check *c, const struct key *k, const struct toml *t, const struct toml *v)
{
	struct check_at at = CHECK_AT_KEY(k, v->line);

	TOML_EACH(other, t)
		if (other->line < v->line && !str_eq(other->key, v->key) && str_caseeq(other->key, k->name))
			check_say(c, CHECK_WARNING, CHECK_TRAP, at,
			    "given twice, in line %d as %.*s; the one spelt %s counts, else the first",
			    other->line, STR_ARG(other->key), k->name);
}

static void
walk(struct check *c, enum key_section section, const struct toml *t, enum key_use above)
{
	TOML_EACH(v, t) {
		const struct key *k = key_find(section, v->key);

		if (k == NULL) {
			judge_unknown(c, section, v);
			continue;
		}
		judge_spelling(c, k, t, v);
		if (!key_type_fits(k, v)) {
			const struct toml *wrong;
			const char *why = key_misfit(&c->arena, k, v, &wrong);

			check_say(c, CHECK_ERROR, CHECK_REFUSED, CHECK_AT_KEY(k, wrong->line), "%s; with this the whole file is refused", why);
			continue;
		}
		if (!check_pasted(k, t))
			judge_use(c, k, v, above);
		check_value(c, k, v);
		/* Entries come one by one, with their own findings. */
		if (k->type == KEY_SECTION)
			walk(c, k->sub, v, k->use);
		else if (k->type == KEY_TABLES && k->sub != KS_RUNNER)
			TOML_EACH(element, v)
				walk(c, k->sub, element, k->use);
	}
}

const char *
check_judge(struct arena *a, const struct config *conf, struct runner *r, const struct toml *t)
{
	struct check c = { .path = "", .config = (struct config *)(uintptr_t)conf, .judging = true, .runner = r };
	const char *why = NULL;

	c.last = &c.first;
	walk(&c, KS_RUNNER, t, KEY_YES);
	check_runner(&c, r, t);
	for (const struct check_note *n = c.first; n != NULL && why == NULL; n = n->next)
		if (n->level == CHECK_ERROR)
			why = n->section[0] != '\0' ? arena_fmt(a, "%s %s: %s", n->section, n->key, n->text) : arena_dup(a, str_from(n->text));
	arena_reset(&c.arena);
	return why;
}

static void
walk_runners(struct check *c)
{
	const struct toml *list = key_value(K_GLOBAL_runners, c->root);
	size_t i = 0;

	if (list == NULL || list->type != TOML_ARRAY)
		return;
	TOML_EACH(t, list) {
		struct runner nameless = { .name = "" };
		const struct toml *name = key_value(K_RUNNER_name, t);

		if (t->type != TOML_TABLE)
			continue;
		if (name != NULL && name->type == TOML_STRING)
			nameless.name = arena_dup(&c->arena, name->s);
		/* Where the manager refuses the file there is still something to say of each entry. */
		c->runner = c->config != NULL && i < c->config->nrunners ? &c->config->runners[i] : &nameless;
		walk(c, KS_RUNNER, t, KEY_YES);
		if (c->runner != &nameless)
			check_runner(c, c->runner, t);
		c->runner = NULL;
		i++;
	}
}

/* ---- the file ---- */

static void
judge_file(struct check *c)
{
	struct stat st;

	if (stat(c->path, &st) == 0 && (st.st_mode & S_IROTH))
		check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_LINE(0), "everybody on this host can read the file, and it holds tokens: chmod 600 %s", c->path);
}

/*
 * The two directories where `run` looks for them unless told otherwise. What is not there yet is made as it should be. root asks
 * for whomever the directory belongs to, since a service may run as another user.
 */
static void
judge_directory(struct check *c, char *path, const char *what)
{
	struct err e = { 0 };
	struct stat st;
	uid_t user = geteuid();

	if (user == 0 && path != NULL && stat(path, &st) == 0)
		user = st.st_uid;
	if (path != NULL && fs_strict_modes(path, user, &e) < 0 && e.kind != ERR_NOTFOUND)
		check_say(c, CHECK_ERROR, CHECK_REFUSED, CHECK_AT_LINE(0), "%s %s is refused: %s", what, path, e.msg);
	free(path);
}

static int
load(struct check *c, struct err *e)
{
	struct buf b = { .max = CONFIG_MAX };
	struct err why = { 0 };
	int rc = fs_read(AT_FDCWD, c->path, CONFIG_MAX, &b, e);

	if (rc == 0) {
		c->text = arena_str(&c->arena, buf_str(&b));
		if (toml_parse(&c->arena, c->text, &c->root, &why) < 0) {
			c->root = NULL;
			check_say(c, CHECK_ERROR, CHECK_REFUSED, CHECK_AT_LINE(why.sys), "this is not TOML: %s", why.msg);
		}
	}
	buf_wipe(&b);
	return rc;
}

void
check_file(struct check *c)
{
	struct err e = { 0 };
	size_t before;

	if (c->root == NULL)
		return;
	judge_file(c);
	judge_directory(c, manager_default_state_dir(), "state directory");
	judge_directory(c, store_default_path(), "store");
	/* What run would say of an entry is found here by the same rules, with all that is no error. */
	c->config = config_parse(c->path, c->text, NULL, NULL, &e);
	before = c->count[CHECK_ERROR];
	walk(c, KS_GLOBAL, c->root, KEY_YES);
	walk_runners(c);
	check_whole(c);
	check_certs(c);
	/* The manager has the last word, should it see what we did not. */
	if (c->config == NULL && c->count[CHECK_ERROR] == before)
		check_say(c, CHECK_ERROR, CHECK_REFUSED, CHECK_AT_LINE(e.sys), "%s", e.msg);
}

int
check_open(struct check *c, const char *config, struct err *e)
{
	char *path = config != NULL ? xstrdup(config) : config_default_path();

	*c = (struct check){ 0 };
	c->last = &c->first;
	c->own_environment = check_service_environment(path);
	c->path = arena_dup(&c->arena, str_from(path));
	free(path);
	return load(c, e);
}

void
check_close(struct check *c)
{
	config_free(c->config);
	arena_reset(&c->arena);
}

static const struct opt opts[] = {
	OPT_CONFIG,
	{ .name = "online", .type = OPT_BOOL, .help = "also ask GitLab, cloud, registry mirrors and caches" },
	{ .name = "all", .letter = 'a', .type = OPT_BOOL, .help = "also name the keys that work as ever" },
	{ .name = "json", .type = OPT_BOOL, .help = "print JSON" },
};
const struct usage cmd_check_usage = USAGE("[FILE]", about, opts);

int
cmd_check(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct check c;
	struct err e = { 0 };
	int rc = 0;

	const char **words = xcalloc((size_t)argc + 1, sizeof(*words)), *file;
	size_t nwords = 0;

	if (cmd_options(&cmd_check_usage, o, argc, argv, words, &nwords) < 0)
		return 1;
	file = nwords > 0 ? words[0] : o[0].value;
	if (nwords > 1) {
		err_set(&e, ERR_CONFIG, 0, "one file at a time: \"%s\" is one too many", words[1]);
		return cmd_bad_usage("check", &e);
	}
	free(words);
	if (check_open(&c, file, &e) < 0) {
		rc = runnercmd_fatal("check", &e);
		goto out;
	}
	c.all = o[2].number;
	check_file(&c);
	if (o[1].number && c.config != NULL)
		check_online(&c);
	if (o[3].number)
		check_print_json(&c, stdout);
	else
		check_print_text(&c, stdout);
	rc = c.count[CHECK_ERROR] > 0;
out:
	check_close(&c);
	opt_free(o, NELEM(o));
	return rc;
}

/* The original's name for it: only whether the file is valid, and every unknown key is a fault. */
static const struct opt lint_opts[] = { OPT_CONFIG };
const struct usage cmd_lint_usage = USAGE("",
    "Checks config.toml. Exit status 1 for a missing file, one that cannot be loaded, wrong types and unknown keys. `check` says more.", lint_opts);

int
cmd_lint(int argc, char **argv)
{
	struct opt o[NELEM(lint_opts)];
	struct check c;
	struct err e = { 0 };
	size_t faults = 0;
	int rc = 0;

	if (cmd_options(&cmd_lint_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	runnercmd_hello(false);
	if (check_open(&c, o[0].value, &e) < 0) {
		rc = runnercmd_fatal("lint", &e);
		goto out;
	}
	check_file(&c);
	for (const struct check_note *n = c.first; n != NULL; n = n->next)
		if (n->level == CHECK_ERROR || n->verdict == CHECK_UNKNOWN) {
			log_error(n->text, F_INT("line", n->line), F_STR("section", n->section), F_STR("key", n->key));
			faults++;
		}
	if (faults == 0) {
		log_info("Configuration file is valid.");
	} else {
		err_set(&e, ERR_CONFIG, 0, "%s: %zu fault%s", c.path, faults, faults == 1 ? "" : "s");
		rc = runnercmd_fatal("Configuration file is not valid", &e);
	}
out:
	check_close(&c);
	opt_free(o, NELEM(o));
	return rc;
}
