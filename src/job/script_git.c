/*
 * The stages around a job's sources (spec job-execution 6): get_sources,
 * clear_worktree, and what cleaning up has in common with them. See
 * script_parts.h.
 *
 * Starting a program costs milliseconds and a job waits for all of them:
 * configuration is written by the shell, and what only a kept checkout needs
 * is not done to a new one. In a new directory without submodules and LFS
 * git is started five times: init, fetch, checkout, grep, credential.
 */
#include "core/core.h"
#include "gitlab/api.h"
#include "job/script_parts.h"

static void
begin(const struct work *w, struct buf *b)
{
	sh_set(b, "wl_p", str_from(w->project_dir));
	sh_set(b, "wl_t", str_from(w->tmp_dir));
	sh_define_say(b);
}

static struct str
git_info(const struct work *w, const char *key)
{
	return json_str(w->a, json_get(json_get(w->p->root, "git_info"), key));
}

static bool
cleans_config(const struct work *w)
{
	return w->git != GIT_NONE && w->p->runner.clean_git_config;
}

static bool
has_submodules(const struct work *w)
{
	return w->submodules == SUBMODULES_NORMAL || w->submodules == SUBMODULES_RECURSIVE;
}

void
sh_flags(const struct work *w, const char *key, const char *dflt, struct buf *b)
{
	struct str s = str_trim(vars_get(&w->vars, key, STR("")));

	if (s.n == 0)
		s = str_from(dflt);
	if (str_eqc(s, "none"))
		return;
	while ((s = str_trim(s)).n > 0) {
		size_t n = 0;

		while (n < s.n && strchr(" \t\n\v\f\r", s.p[n]) == NULL)
			n++;
		buf_putc(b, ' ');
		sh_word(b, str_sub(s, 0, n));
		s = str_sub(s, n, s.n);
	}
}

/* ---- files ---- */

/* A file of ours, whole. */
static void
put_file(struct buf *b, struct str text, const char *path, bool append)
{
	buf_puts(b, "printf '%s' ");
	sh_word(b, text);
	buf_puts(b, append ? " >> " : " > ");
	buf_puts(b, path);
}

/* git's own for all repositories: in the helper's home, or with FF_GIT_URLS_WITHOUT_TOKENS the seed that every stage uses. */
static void
put_global(const struct work *w, const struct remote *r, struct buf *b)
{
	struct buf text = { .max = 64u << 10 };

	if (work_flag(w, "FF_GIT_URLS_WITHOUT_TOKENS")) {
		gitconf_global(w, r, &text);
		put_file(b, buf_str(&text), "\"$wl_t/.glr.gconf\"", false);
		buf_putc(b, '\n');
	} else {
		/* A second attempt adds the same again, which changes nothing. */
		buf_putc(&text, '\n');
		gitconf_global(w, r, &text);
		buf_puts(b, "{ ");
		put_file(b, buf_str(&text), "\"${GIT_CONFIG_GLOBAL:-${HOME:-/root}/.gitconfig}\"", true);
		buf_puts(b, "; } 2>/dev/null || wl_warn 'There is no place for a .gitconfig in the home directory of the helper container'\n");
	}
	buf_wipe(&text);
}

static void
put_external(const struct work *w, const struct remote *r, struct buf *b)
{
	struct buf text = { .max = 256u << 10 };

	gitconf_external(w, r, &text);
	put_file(b, buf_str(&text), "\"$wl_ext\"", false);
	buf_putc(b, '\n');
	buf_wipe(&text);
}

static bool
clones_natively(const struct work *w)
{
	return w->git == GIT_CLONE && work_flag(w, "FF_USE_GIT_NATIVE_CLONE");
}

/* `git clone` writes a remote of its own, and would add to ours. */
static void
put_template(const struct work *w, const struct remote *r, struct buf *b)
{
	struct buf text = { .max = 64u << 10 };

	gitconf_template(w, r, !clones_natively(w), &text);
	buf_puts(b, "[ -d \"$wl_t/git-template\" ] || mkdir -p \"$wl_t/git-template\"\n");
	put_file(b, buf_str(&text), "\"$wl_t/git-template/config\"", false);
	buf_putc(b, '\n');
	buf_wipe(&text);
}

/*
 * Lock files of a git that was killed. And whatever an earlier job may have
 * left to be run by this one: configuration, hooks, another directory to read them from.
 */
void
sh_git_tidy(const struct work *w, struct buf *b)
{
	static const char *const locks[] = { "index.lock", "shallow.lock", "HEAD.lock", "config.lock", "packed-refs.lock" };
	bool config = cleans_config(w);

	buf_puts(b, "rm -rf");
	for (size_t i = 0; i < NELEM(locks); i++)
		buf_fmt(b, " \"$wl_p/.git/%s\"", locks[i]);
	buf_puts(b, config ? " \"$wl_p/.git/config\" \"$wl_p/.git/config.worktree\" \"$wl_p/.git/commondir\" \"$wl_p/.git/hooks\" \"$wl_t/git-template\"\n" :
	    " \"$wl_p/.git/hooks/post-checkout\"\n");
	buf_puts(b, "if [ -d \"$wl_p/.git/refs\" ]; then find \"$wl_p/.git/refs\" -name '*.lock' -type f -exec rm -f {} +; fi\n");
	if (!has_submodules(w))
		return;
	buf_puts(b, "if [ -d \"$wl_p/.git/modules\" ]; then\n	find \"$wl_p/.git/modules\" -type f \\( -path '*/refs/*' -name '*.lock' -o -path '*/hooks/post-checkout'");
	for (size_t i = 0; i < NELEM(locks); i++)
		buf_fmt(b, " -o -name %s", locks[i]);
	/* A branch may be called config. */
	if (config)
		buf_puts(b, " -o \\( -name config -o -name config.worktree -o -name commondir -o -path '*/hooks/*' \\) ! -path '*/refs/*' ! -path '*/logs/*'");
	buf_puts(b, " \\) -exec rm -f {} +\nfi\n");
}

void
sh_git_forget(const struct remote *r, struct buf *b)
{
	if (r->origin == NULL || (!r->http && !str_starts(str_from(r->origin), "ssh:")))
		return;
	buf_puts(b, "printf 'url=%s\\nusername=gitlab-ci-token\\n\\n' ");
	sh_cword(b, r->origin);
	/* -C /: it must work where there is no repository, or a broken one. */
	buf_puts(b, " | git -C / credential reject > /dev/null 2>&1 || :\n");
}

/* ---- fetch and checkout ---- */

static void
put_user_agent(const struct work *w, struct buf *b)
{
	struct str arch = vars_get(&w->vars, "CI_RUNNER_EXECUTABLE_ARCH", STR("linux"));

	buf_puts(b, " -c ");
	sh_word(b, str_from(arena_fmt(w->a, "http.userAgent=gitlab-runner %s %.*s", GITLAB_COMPAT_VERSION, STR_ARG(arch))));
}

static void
put_depth(int64_t depth, struct buf *b)
{
	if (depth > 0)
		buf_fmt(b, " --depth %" PRId64, depth);
}

/* git fetch with what of? The caller adds flags. */
static void
put_fetch(const struct work *w, struct buf *b)
{
	buf_puts(b, "git");
	put_user_agent(w, b);
	/* Nothing to tidy up in a new repository. */
	buf_puts(b, " ${wl_new:+\"-c\"} ${wl_new:+\"maintenance.auto=false\"} fetch origin --no-recurse-submodules");
}

static void
put_refspecs(const struct work *w, struct buf *b)
{
	JSON_EACH(v, json_path(w->p->root, "git_info.refspecs")) {
		struct str s = json_str(w->a, v);

		/* What begins with a dash would be an option. */
		if (s.n == 0 || s.p[0] == '-')
			continue;
		buf_putc(b, ' ');
		sh_word(b, s);
	}
}

/* FF_USE_GIT_NATIVE_CLONE, where git has `clone --revision`. */
static void
put_native_clone(const struct work *w, struct buf *b)
{
	struct str ref = git_info(w, "ref");

	buf_puts(b, "case $(git version) in\n"
	    "'git version 2.49'*|'git version 2.'[5-9][0-9]*|'git version 2.'[1-9][0-9][0-9]*|'git version '[3-9]*)\n"
	    "git");
	put_user_agent(w, b);
	buf_puts(b, " -c include.path=\"$wl_ext\" clone --no-checkout --template \"$wl_t/git-template\"");
	put_depth(w->depth, b);
	buf_puts(b, str_starts(ref, "refs/") ? " --revision " : " --branch ");
	sh_word(b, ref);
	sh_flags(w, "GIT_CLONE_EXTRA_FLAGS", "", b);
	buf_puts(b, " -- \"$wl_url\" \"$wl_p\" && cd \"$wl_p\"\nreturn;;\nesac\n");
}

/* A configuration that was kept: it knows some remote, and an external file of another job. */
static void
put_old_config(struct buf *b)
{
	buf_puts(b, "if [ -n \"$wl_config\" ]; then\n"
	    "	{ git remote set-url origin \"$wl_url\" 2>/dev/null || git remote add origin \"$wl_url\"; } &&\n"
	    "	git config --replace-all include.path \"$wl_ext\" '\\.gitlab-runner\\.ext\\.conf$' || return\n"
	    "fi\n");
}

/* wl_fetch REFSPEC...: the repository is there, we are in it, and it has what the server has. */
static void
define_fetch(const struct work *w, struct buf *b)
{
	struct str format = git_info(w, "repo_object_format");

	buf_puts(b, "wl_fetch() {\n");
	if (clones_natively(w))
		put_native_clone(w, b);
	buf_puts(b, "git -c init.defaultBranch=none init --template \"$wl_t/git-template\"");
	if (format.n > 0 && !str_eqc(format, "sha1")) {
		buf_puts(b, " --object-format ");
		sh_word(b, format);
	}
	buf_puts(b, " \"$wl_p\" && cd \"$wl_p\" || return\n");
	if (clones_natively(w))
		buf_puts(b, "git remote add origin \"$wl_url\" || return\n");
	else
		put_old_config(b);
	buf_puts(b, "if [ -n \"$wl_new\" ] && [ \"$wl_try\" = 1 ]; then wl_say 'Created fresh repository.'; fi\n");
	if (w->depth > 0)
		put_fetch(w, b);
	else {
		buf_puts(b, "if [ -f .git/shallow ]; then wl_whole=--unshallow; else wl_whole=; fi\n");
		put_fetch(w, b);
	}
	buf_puts(b, " \"$@\"");
	put_depth(w->depth, b);
	sh_flags(w, "GIT_FETCH_EXTRA_FLAGS", "--prune --quiet", b);
	if (w->depth == 0)
		buf_puts(b, " ${wl_whole:+\"$wl_whole\"}");
	buf_puts(b, "\n}\n");
}

/* The part of a refspec that names something on the server: "+refs/heads/main:refs/..." is refs/heads/main. */
static struct str
refspec_source(struct str s)
{
	if (str_starts(s, "+"))
		s = str_sub(s, 1, s.n);
	return str_cut(&s, ':');
}

/* Whether ls-remote can tell if the server has a refspec's source: a whole name, no pattern and no commit. */
static bool
is_listed(struct str from)
{
	return str_starts(from, "refs/") && str_chr(from, '*') < 0;
}

static void
put_names(const struct work *w, struct buf *b)
{
	JSON_EACH(v, json_path(w->p->root, "git_info.refspecs")) {
		struct str from = refspec_source(json_str(w->a, v));

		if (is_listed(from)) {
			buf_putc(b, ' ');
			sh_word(b, from);
		}
	}
}

/* The arguments that wl_fetch gets from now on: those refspecs whose source the server has, by its list of just now. */
static void
put_choice(const struct work *w, struct buf *b)
{
	buf_puts(b, "set --\nwl_missing= wl_needed=\n");
	JSON_EACH(v, json_path(w->p->root, "git_info.refspecs")) {
		struct str spec = json_str(w->a, v), from = refspec_source(spec);
		bool listed = is_listed(from);

		if (spec.n == 0 || spec.p[0] == '-')
			continue;
		if (listed) {
			/* A line of ls-remote ends with a tab and the name. */
			buf_puts(b, "case \"$wl_refs\" in *\"$wl_tab\"");
			sh_word(b, from);
			buf_puts(b, "\"$wl_nl\"*) ");
		}
		buf_puts(b, "set -- \"$@\" ");
		sh_word(b, spec);
		if (listed) {
			buf_puts(b, ";;\n*) wl_missing=\"$wl_missing \"");
			sh_word(b, from);
			buf_fmt(b, "%s;;\nesac", str_starts(from, "refs/heads/") ? "" : " wl_needed=1");
		}
		buf_putc(b, '\n');
	}
}

/*
 * wl_get: wl_fetch with the job's refspecs. A server may not show yet what it has just been given (GitLab's most frequent
 * failure of git: "couldn't find remote ref", gone at the next try), so it is asked what it has, and once more three seconds
 * later. A branch that was deleted meanwhile is no loss where the pipeline's own ref is there. wl_gone is set when the
 * server is what lacks something: the repository that was kept has no part in it.
 */
static void
define_get(const struct work *w, struct buf *b)
{
	buf_puts(b, "wl_gone= wl_tab='\t' wl_nl='\n'\nwl_get() {\nset --");
	put_refspecs(w, b);
	buf_puts(b, "\nfor wl_try in 1 2 3; do\n"
	    "wl_fetch \"$@\" && { wl_gone=; return 0; }\n"
	    "wl_s=$?\n"
	    "cd /\n"
	    "wl_refs=$(git -c include.path=\"$wl_ext\" ls-remote -q -- \"$wl_url\"");
	put_names(w, b);
	buf_puts(b, " 2> /dev/null) || return $wl_s\n"
	    "wl_refs=$wl_refs$wl_nl\n");
	put_choice(w, b);
	buf_puts(b, "[ -n \"$wl_missing\" ] || return $wl_s\n"
	    "wl_gone=1\n"
	    "case $wl_try in\n"
	    "1)	wl_warn \"The server does not have$wl_missing: asking again in 3 seconds, it may be about to\"\n"
	    "	sleep 3\n"
	    "	set --");
	put_refspecs(w, b);
	buf_puts(b, ";;\n"
	    "2)	if [ -n \"$wl_needed\" ] || [ $# = 0 ]; then return $wl_s; fi\n"
	    "	wl_warn \"Going on without$wl_missing: the server does not have it any more\";;\n"
	    "*)	return $wl_s;;\n"
	    "esac\n"
	    "done\n"
	    "}\n");
}

/*
 * wl_checkout. A commit that is not among what was fetched (a tag's, one
 * that the branch has left behind, one deeper than the depth) is asked for by its id, once; a server that does not
 * give it by id has it in the branch's history, perhaps.
 */
static void
define_checkout(const struct work *w, struct buf *b)
{
	struct str sha = git_info(w, "sha"), ref = git_info(w, "ref");
	struct str id = str_sub(sha, 0, 8);

	/* What begins with a dash would be an option. */
	sh_set(b, "wl_sha", str_starts(sha, "-") ? STR("") : sha);
	buf_puts(b, "wl_checkout() {\n");
	sh_say(b, SH_NOTICE, "Checking out %.*s as detached HEAD (ref is %.*s)...", STR_ARG(id), STR_ARG(ref));
	buf_puts(b, "git -c submodule.recurse=false checkout -f -q \"$wl_sha\" 2> \"$wl_t/checkout.err\" &&\n"
	    "    { [ ! -s \"$wl_t/checkout.err\" ] || cat \"$wl_t/checkout.err\" >&2; return 0; }\n"
	    "wl_s=$?\n"
	    "if [ ! -e .git ] || git cat-file -e \"$wl_sha^{commit}\" 2> /dev/null; then cat \"$wl_t/checkout.err\" >&2; return $wl_s; fi\n");
	sh_say(b, SH_NOTICE, "Commit %.*s is not among what was fetched: fetching it by its id...", STR_ARG(id));
	put_fetch(w, b);
	buf_puts(b, " --quiet");
	put_depth(w->depth, b);
	buf_puts(b, " \"$wl_sha\" ||\n");
	if (w->depth > 0) {
		buf_puts(b, "{ [ -f .git/shallow ] && ");
		sh_say(b, SH_NOTICE, "The server does not give it by its id: fetching the whole history...");
		put_fetch(w, b);
		put_refspecs(w, b);
		buf_puts(b, " --unshallow");
		sh_flags(w, "GIT_FETCH_EXTRA_FLAGS", "--prune --quiet", b);
		buf_puts(b, "; } ||\n");
	}
	buf_puts(b, "{ cat \"$wl_t/checkout.err\" >&2; return $wl_s; }\n"
	    "git -c submodule.recurse=false checkout -f -q \"$wl_sha\"\n"
	    "}\n");
}

/* The project directory with all that is in it. It stays where something is mounted on or in it. */
static void
put_remove_project(struct buf *b)
{
	buf_puts(b, "if [ -e \"$wl_p\" ] || [ -L \"$wl_p\" ]; then\n"
	    "	rm -rf \"$wl_p\" 2> /dev/null || {\n"
	    "		chmod -R u+rwX \"$wl_p\" || :\n"
	    "		find \"$wl_p\" -mindepth 1 -maxdepth 1 -exec rm -rf {} + || [ ! -e \"$wl_p/.git\" ]\n"
	    "	}\n"
	    "fi\n");
}

/* Before anything is fetched: what an earlier job left, and our files. */
static void
put_setup(const struct work *w, const struct remote *r, struct buf *b)
{
	struct str id = gitconf_correlation_id(w);

	sh_set(b, "wl_url", str_from(r->url));
	if (w->git == GIT_CLONE)
		put_remove_project(b);
	/* A file or link in its place would lead git to a configuration that nobody cleaned. */
	if (cleans_config(w))
		buf_puts(b, "if [ -L \"$wl_p/.git\" ] || [ -f \"$wl_p/.git\" ]; then rm -f \"$wl_p/.git\"; fi\n");
	buf_puts(b, "if [ -e \"$wl_p/.git\" ]; then\nwl_new=\n");
	sh_git_tidy(w, b);
	buf_puts(b, "else wl_new=1; fi\n"
	    "if [ -e \"$wl_p\" ]; then wl_empty=; else wl_empty=1; fi\n"
	    "if [ -e \"$wl_p/.git/config\" ]; then wl_config=1; else wl_config=; fi\n");
	put_template(w, r, b);
	put_external(w, r, b);
	if (r->http && id.n > 0)
		sh_say(b, SH_NOTICE, "Gitaly correlation ID: %.*s", STR_ARG(id));
	if (w->depth > 0)
		sh_say(b, SH_NOTICE, "Fetching changes with git depth set to %" PRId64 "...", w->depth);
	else
		sh_say(b, SH_NOTICE, "Fetching changes...");
}

/*
 * A repository that was kept may be broken in ways that no command mends. If
 * the server answers and still it does not work, a new one gets its
 * chance; the old one comes back if that is no better.
 */
static void
put_fetch_and_checkout(const struct work *w, struct buf *b)
{
	const char *get = w->git_checkout ? "wl_get && wl_checkout" : "wl_get";

	define_fetch(w, b);
	define_get(w, b);
	if (w->git_checkout)
		define_checkout(w, b);
	buf_fmt(b, "if %s; then :; else\n"
	    "	wl_s=$?\n"
	    "	cd /\n"
	    "	if [ -n \"$wl_new$wl_gone\" ] || ! git -c include.path=\"$wl_ext\" ls-remote -q -- \"$wl_url\" HEAD > /dev/null 2>&1; then exit $wl_s; fi\n"
	    "	wl_warn 'The repository that was kept from an earlier job cannot be used: starting with a fresh one'\n"
	    "	rm -rf \"$wl_t/broken.git\"\n"
	    "	mv \"$wl_p/.git\" \"$wl_t/broken.git\"\n"
	    "	wl_new=1 wl_config=\n"
	    "	if %s; then rm -rf \"$wl_t/broken.git\"; else\n"
	    "		wl_s=$?\n"
	    "		cd /\n"
	    "		rm -rf \"$wl_p/.git\"\n"
	    "		mv \"$wl_t/broken.git\" \"$wl_p/.git\"\n"
	    "		exit $wl_s\n"
	    "	fi\n"
	    "fi\n", get, get);
}

/* Large files, unless the job wants their pointers. `git lfs` is slow to start: only for who uses it. */
static void
put_lfs(const struct work *w, struct buf *b)
{
	if (w->lfs_skip_smudge)
		return;
	buf_puts(b, "if git grep -q -e filter=lfs -- '*.gitattributes'; then\n"
	    "	if git lfs version > /dev/null 2>&1; then\n"
	    "		git lfs pull\n"
	    "		echo\n"
	    "	else\n"
	    "		wl_warn 'The project uses Git LFS, but git-lfs is not in the helper image: its files are pointers'\n"
	    "	fi\n"
	    "fi\n");
}

static void
put_sources(const struct work *w, const struct remote *r, struct buf *b)
{
	put_setup(w, r, b);
	put_fetch_and_checkout(w, b);
	if (w->git_checkout) {
		struct buf flags = { .max = 64u << 10 };

		sh_flags(w, "GIT_CLEAN_FLAGS", "-ffdx", &flags);
		if (flags.n > 0)
			buf_fmt(b, "if [ -z \"$wl_empty\" ]; then git clean%s; fi\n", flags.p);
		buf_free(&flags);
		put_lfs(w, b);
	} else
		sh_say(b, SH_NOTICE, "Skipping Git checkout");
	if (has_submodules(w))
		sh_submodules(w, b);
	else
		sh_say(b, SH_NOTICE, "Skipping Git submodules setup");
}

static struct json_val
hook(const struct work *w, const char *name)
{
	JSON_EACH(v, json_get(w->p->root, "hooks"))
		if (str_eqc(json_str(w->a, json_get(v, "name")), name))
			return json_get(v, "script");
	return JSON_NONE;
}

static void
put_without_git(const struct work *w, struct buf *b)
{
	if (w->git == GIT_EMPTY) {
		sh_say(b, SH_NOTICE, "Skipping Git repository setup and creating an empty build directory");
		put_remove_project(b);
	} else {
		sh_say(b, SH_NOTICE, "Skipping Git repository setup");
		sh_say(b, SH_NOTICE, "Skipping Git checkout");
		sh_say(b, SH_NOTICE, "Skipping Git submodules setup");
	}
	buf_puts(b, "mkdir -p \"$wl_p\"\n");
}

static void
put_with_git(const struct work *w, const struct remote *r, struct buf *b)
{
	sh_runner_command(w, w->p->runner.pre_get_sources_script, "pre_clone_script", b);
	sh_commands(w, hook(w, "pre_get_sources_script"), "pre_clone_script", false, b);
	/* LFS files are had all at once, after the checkout. */
	if (!w->lfs_skip_smudge)
		buf_puts(b, "export GIT_LFS_SKIP_SMUDGE=1\n");
	put_sources(w, r, b);
	sh_commands(w, hook(w, "post_get_sources_script"), "post_clone_script", false, b);
	sh_runner_command(w, w->p->runner.post_get_sources_script, "post_clone_script", b);
	sh_git_forget(r, b);
}

void
script_get_sources(const struct work *w, struct buf *out)
{
	struct buf b = { .max = out->max };
	struct remote r = remote_of(w);
	bool git = w->git == GIT_CLONE || w->git == GIT_FETCH;
	const char *fault = submodules_fault(w);

	if (fault != NULL) {
		sh_say(&b, SH_ERROR, "%s", fault);
		buf_puts(&b, "exit 1\n");
	}
	begin(w, &b);
	buf_puts(&b, "export GIT_TERMINAL_PROMPT=0 GCM_INTERACTIVE=Never\n");
	sh_set(&b, "wl_ext", str_from(gitconf_external_path(w)));
	buf_puts(&b, "export GLR_EXT_GIT_CONFIG_PATH=\"$wl_ext\"\n");
	if (git && r.bad_clone_url)
		sh_say(&b, SH_WARNING, "clone_url of the runner is no URL: it is not used");
	if (git || work_flag(w, "FF_GIT_URLS_WITHOUT_TOKENS"))
		put_global(w, &r, &b);
	if (git)
		put_with_git(w, &r, &b);
	else {
		if (work_flag(w, "FF_GIT_URLS_WITHOUT_TOKENS"))
			put_external(w, &r, &b);
		put_without_git(w, &b);
	}
	sh_stage(w, SH_SOURCES, &b, out);
}

/*
 * All but the repository itself, without the help of a git that could not read it. What
 * cannot be removed, because something is mounted there, is no reason not to try again.
 */
void
script_clear_worktree(const struct work *w, struct buf *out)
{
	struct buf b = { .max = out->max };

	begin(w, &b);
	buf_puts(&b, "if [ -d \"$wl_p\" ]; then\n"
	    "	find \"$wl_p\" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} + || :\n"
	    "	if [ -e \"$wl_p/.git/index\" ]; then rm -f \"$wl_p/.git/index\"; fi\n"
	    "fi\n");
	sh_stage(w, SH_SOURCES, &b, out);
}
