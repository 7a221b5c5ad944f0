/* Submodules (spec job-execution 6.3), when the shell stands in the project directory. See script_parts.h. */
#include "core/core.h"
#include "job/script_parts.h"

static struct str
paths(const struct work *w)
{
	return str_trim(vars_get(&w->vars, "GIT_SUBMODULE_PATHS", STR("")));
}

/* The next word of s, which is trimmed; s becomes the rest. */
static struct str
next_word(struct str *s)
{
	struct str word = *s;
	size_t n = 0;

	while (n < s->n && strchr(" \t\n\v\f\r", s->p[n]) == NULL)
		n++;
	word.n = n;
	*s = str_trim(str_sub(*s, n, s->n));
	return word;
}

const char *
submodules_fault(const struct work *w)
{
	struct str s = paths(w);

	if (w->submodules == SUBMODULES_INVALID)
		return "GIT_SUBMODULE_STRATEGY must be none, normal or recursive";
	if (w->submodules == SUBMODULES_NONE)
		return NULL;
	while (s.n > 0)
		if (str_eqc(next_word(&s), ":(exclude)"))
			return "GIT_SUBMODULE_PATHS has :(exclude) as a word of its own: write it together with the path, as :(exclude)path";
	return NULL;
}

static const char *
recursive(const struct work *w)
{
	return w->submodules == SUBMODULES_RECURSIVE ? " --recursive" : "";
}

static void
put_paths(const struct work *w, struct buf *b)
{
	struct str s = paths(w);

	if (s.n > 0)
		buf_puts(b, " --");
	while (s.n > 0) {
		buf_putc(b, ' ');
		sh_word(b, next_word(&s));
	}
}

static void
put_sync(const struct work *w, struct buf *b)
{
	buf_fmt(b, "git submodule sync%s", recursive(w));
	put_paths(w, b);
	buf_putc(b, '\n');
}

static void
put_update(const struct work *w, struct buf *b)
{
	buf_fmt(b, "git -c include.path=\"$wl_ext\" submodule update --init%s", recursive(w));
	if (w->submodule_depth > 0)
		buf_fmt(b, " --depth %" PRId64, w->submodule_depth);
	sh_flags(w, "GIT_SUBMODULE_UPDATE_FLAGS", "", b);
	put_paths(w, b);
}

/* A command line for the shell that git starts in each submodule. */
static void
put_foreach(const char *options, const char *git_options, struct str command, struct buf *b)
{
	buf_fmt(b, "git%s submodule foreach%s ", git_options, options);
	sh_word(b, command);
	buf_putc(b, '\n');
}

static void
put_clean(const struct work *w, struct buf *b)
{
	struct buf command = { .max = 64u << 10 };

	buf_puts(&command, "git clean");
	sh_flags(w, "GIT_CLEAN_FLAGS", "-ffdx", &command);
	if (str_eqc(buf_str(&command), "git clean"))
		buf_puts(&command, " -ffdx");
	put_foreach(recursive(w), "", buf_str(&command), b);
	buf_free(&command);
}

void
sh_submodules_reset(const struct work *w, struct buf *b)
{
	put_clean(w, b);
	put_foreach(recursive(w), "", STR("git reset --hard"), b);
}

static bool
follows_remote(const struct work *w)
{
	struct str s = str_trim(vars_get(&w->vars, "GIT_SUBMODULE_UPDATE_FLAGS", STR("")));

	while (s.n > 0)
		if (str_eqc(next_word(&s), "--remote"))
			return true;
	return false;
}

static void
put_lfs(const struct work *w, struct buf *b)
{
	if (w->lfs_skip_smudge)
		return;
	buf_puts(b, "if git lfs version > /dev/null 2>&1; then\n");
	put_foreach(recursive(w), " -c include.path=\"$wl_ext\"",
	    STR("if git grep -q -e filter=lfs -- '*.gitattributes'; then git lfs pull; fi"), b);
	buf_puts(b, "fi\n");
}

void
sh_submodules(const struct work *w, struct buf *b)
{
	bool nested = w->submodules == SUBMODULES_RECURSIVE;

	if (w->submodule_depth > 0)
		sh_say(b, SH_NOTICE, "Updating/initializing submodules%s with git depth set to %" PRId64 "...",
		    nested ? " recursively" : "", w->submodule_depth);
	else
		sh_say(b, SH_NOTICE, "Updating/initializing submodules%s...", nested ? " recursively" : "");
	/* It complains of a submodule that .gitmodules does not know. */
	buf_puts(b, "git submodule init\nif [ -e .gitmodules ]; then\n");
	put_sync(w, b);
	buf_puts(b, "if [ -d .git/modules ]; then\n");
	sh_submodules_reset(w, b);
	buf_puts(b, "fi\nif ");
	put_update(w, b);
	buf_puts(b, "; then\n");
	sh_say(b, SH_NOTICE, "Updated submodules");
	if (nested)
		put_sync(w, b);
	else
		buf_puts(b, ":\n");
	buf_puts(b, "else\n");
	sh_say(b, SH_WARNING, "Updating submodules failed. Retrying...");
	if (follows_remote(w))
		put_foreach(recursive(w), " -c include.path=\"$wl_ext\"", STR("git fetch origin '+refs/heads/*:refs/remotes/origin/*'"), b);
	put_sync(w, b);
	put_update(w, b);
	buf_putc(b, '\n');
	put_foreach(recursive(w), "", STR("git reset --hard"), b);
	buf_puts(b, "fi\n");
	put_clean(w, b);
	sh_say(b, SH_NOTICE, "Configuring submodules to use the job's git credentials...");
	/* Always into all of them: git in a nested one must find its way as well. */
	put_foreach(" --recursive", "", STR("git config --replace-all include.path \"$GLR_EXT_GIT_CONFIG_PATH\""), b);
	put_lfs(w, b);
	buf_puts(b, "fi\n");
}
