/*
 * What stands around the body of a stage's script (spec job-execution 5.4,
 * 5.5): the shell's options, the job's variables, the place to be. See
 * script_parts.h.
 *
 * And the text in which it goes to a shell's stdin: one command on one line,
 * which a shell runs whole or not at all (docs/streams.md).
 */
#include "core/core.h"
#include "job/script_parts.h"

/* Class of bytes that a name is made of, spelled out: in some locales a-z holds more than that. */
#define NAME_BYTES	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* Bash will not have these set. A job that wants to gets a warning rather than a failed stage; other shells take them. */
static bool
is_readonly_in_bash(struct str name)
{
	static const char *const names[] = { "UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return false;
}

static void
put_options(const struct work *w, struct buf *b)
{
	/* Without it some versions of bash dump the whole script into the log when they are terminated. */
	buf_puts(b, "trap 'exit 1' TERM\n");
	if (w->debug_trace)
		buf_puts(b, "set -o xtrace\n");
	buf_puts(b, "case \"$(set -o)\" in *pipefail*) set -o pipefail;; esac\n"
	    "set -o errexit\n"
	    "set +o noclobber\n");
}

static void
put_export(const struct work *w, const struct var *v, bool write_files, struct buf *b)
{
	struct str value = v->value;

	if ((v->flags & VAR_FILE) != 0) {
		value = str_from(work_file_path(w, v->key));
		if (write_files) {
			buf_puts(b, "printf '%s' ");
			sh_word(b, v->value);
			buf_puts(b, " > ");
			sh_word(b, value);
			buf_putc(b, '\n');
		}
	}
	if (!work_exported(w, v))
		/* An image may have exported one of that name. */
		buf_fmt(b, "unset %.*s\n%.*s=", STR_ARG(v->key), STR_ARG(v->key));
	else if (is_readonly_in_bash(v->key))
		buf_fmt(b, "command export %.*s=", STR_ARG(v->key));
	else
		buf_fmt(b, "export %.*s=", STR_ARG(v->key));
	sh_word(b, value);
	if (is_readonly_in_bash(v->key)) {
		buf_puts(b, " 2>/dev/null || ");
		sh_say(b, SH_WARNING, "The shell does not let the variable %.*s be set", STR_ARG(v->key));
		return;
	}
	buf_putc(b, '\n');
}

static void
put_variables(const struct work *w, enum sh_frame frame, struct buf *b)
{
	const char *dir = frame == SH_SOURCES ? arena_fmt(w->a, "%s/git-template", w->tmp_dir) : w->tmp_dir;

	buf_puts(b, "[ -d ");
	sh_cword(b, dir);
	buf_puts(b, " ] || mkdir -p ");
	sh_cword(b, dir);
	buf_putc(b, '\n');
	for (size_t i = 0; i < w->vars.n; i++) {
		const struct var *v = &w->vars.v[i];

		if (vars_find(&w->vars, v->key) == v && vars_name_ok(v->key))
			put_export(w, v, frame != SH_PATHS, b);
	}
}

/* Before the first of the job's stages reads them: what an earlier job that used the same volume left. */
static void
put_leftovers(const struct work *w, struct buf *b)
{
	buf_puts(b, "for wl_f in ");
	sh_cword(b, arena_fmt(w->a, "%s/gitlab_runner_env", w->tmp_dir));
	buf_putc(b, ' ');
	sh_cword(b, arena_fmt(w->a, "%s/masking.db", w->tmp_dir));
	buf_puts(b, "; do\n	if [ -e \"$wl_f\" ]; then rm -f \"$wl_f\"; fi\ndone\nunset wl_f\n");
}

/* What an earlier stage left for the later ones: lines NAME=value. */
static void
put_gitlab_env(const struct work *w, struct buf *b)
{
	buf_puts(b, "export GITLAB_ENV=");
	sh_word(b, str_from(arena_fmt(w->a, "%s/gitlab_runner_env", w->tmp_dir)));
	buf_puts(b, "\n[ -e \"$GITLAB_ENV\" ] || : > \"$GITLAB_ENV\"\n"
	    "while IFS=' \t' read -r wl_line || [ -n \"$wl_line\" ]; do\n"
	    "	case ${wl_line%%=*} in\n"
	    "	'') ;;\n"
	    "	[0123456789]*|*[!" NAME_BYTES "]*) ");
	sh_say(b, SH_WARNING, "A line of the file GITLAB_ENV is left out: it is not of the form NAME=value");
	buf_puts(b, "	;;\n"
	    "	*) command export \"$wl_line\" || :;;\n"
	    "	esac\n"
	    "done < \"$GITLAB_ENV\"\n"
	    "unset wl_line\n");
}

/*
 * FF_GIT_URLS_WITHOUT_TOKENS: git finds the job token's helper in every stage.
 * The usual file takes in what is in the home directory, which git insists
 * on reading: where it may not, the external file alone will do.
 */
static void
put_git_global(const struct work *w, struct buf *b)
{
	if (!work_flag(w, "FF_GIT_URLS_WITHOUT_TOKENS"))
		return;
	buf_puts(b, "if [ -x \"$HOME/.\" ] && { [ -r \"$HOME/.gitconfig\" ] || [ ! -e \"$HOME/.gitconfig\" ]; } &&\n"
	    "    { [ -r \"$HOME/.config/git/config\" ] || [ ! -e \"$HOME/.config/git/config\" ]; }; then\n"
	    "	export GIT_CONFIG_GLOBAL=");
	sh_cword(b, gitconf_global_path(w));
	buf_puts(b, "\nelse\n	export GIT_CONFIG_GLOBAL=");
	sh_cword(b, gitconf_external_path(w));
	buf_puts(b, "\nfi\n");
}

/*
 * The checkout belongs to the helper's user. git in a job that runs as
 * another one would call that dubious; the user's own GIT_CONFIG_* entries are kept.
 */
static void
put_git_trust(const struct work *w, struct buf *b)
{
	if (w->git == GIT_EMPTY || !w->p->runner.safe_directory_checkout)
		return;
	buf_puts(b, "case ${GIT_CONFIG_COUNT:-0} in 0|[1-9]|[1-9][0-9])\n	wl_n=${GIT_CONFIG_COUNT:-0}\n"
	    "	export \"GIT_CONFIG_KEY_$wl_n=safe.directory\" \"GIT_CONFIG_VALUE_$wl_n=\"");
	sh_cword(b, w->project_dir);
	buf_puts(b, "\n	wl_n=$((wl_n + 1))\n	export \"GIT_CONFIG_KEY_$wl_n=safe.directory\" \"GIT_CONFIG_VALUE_$wl_n=\"");
	sh_word(b, str_from(arena_fmt(w->a, "%s/*", w->project_dir)));
	buf_puts(b, "\n	export GIT_CONFIG_COUNT=$((wl_n + 1))\n	unset wl_n\nesac\n");
}

void
sh_stage(const struct work *w, enum sh_frame frame, struct buf *body, struct buf *out)
{
	put_options(w, out);
	if (frame == SH_SOURCES)
		put_leftovers(w, out);
	if (frame != SH_BARE) {
		put_variables(w, frame, out);
		put_gitlab_env(w, out);
		put_git_global(w, out);
	}
	if (frame == SH_BUILD) {
		put_git_trust(w, out);
		buf_puts(out, "cd ");
		sh_cword(out, w->project_dir);
		buf_putc(out, '\n');
	}
	buf_putstr(out, buf_str(body));
	if (body->failed)
		out->failed = true;
	buf_wipe(body);
}

/*
 * As printf's %b gives it back, within single quotes. A "#" is spelled out too: where a wrapper ate
 * the beginning of the text, a comment would hide the odd quote that keeps the rest from being run.
 */
static void
put_encoded(struct str s, struct buf *b)
{
	while (s.n > 0) {
		size_t n = 0;

		while (n < s.n && s.p[n] != '\\' && s.p[n] != '\'' && s.p[n] != '#' && s.p[n] != '\n' && s.p[n] != '\0')
			n++;
		buf_putstr(b, str_sub(s, 0, n));
		if (n == s.n)
			break;
		switch (s.p[n]) {
		case '\\':
			buf_puts(b, "\\\\");
			break;
		case '\'':
			buf_puts(b, "\\0047");
			break;
		case '#':
			buf_puts(b, "\\0043");
			break;
		case '\n':
			buf_puts(b, "\\n");
			break;
		}
		s = str_sub(s, n + 1, s.n);
	}
}

/* Each part's reason: docs/streams.md. */
void
script_text_head(const struct work *w, const char *token, struct buf *out)
{
	buf_fmt(out, "#!/usr/bin/env %s\n\n", strcmp(w->p->runner.shell, "sh") == 0 ? "sh" : "bash");
	buf_fmt(out, "{ echo wl.%s.begin; trap \"exit 1\" TERM; wl_b=$(printf %%b '", token);
}

void
script_text_body(struct str part, struct buf *out)
{
	put_encoded(part, out);
}

void
script_text_tail(const struct work *w, const char *token, struct buf *out)
{
	/* FF_USE_LEGACY_BASH_EVAL: stdin is an empty pipe. */
	bool legacy = work_flag(w, "FF_USE_LEGACY_BASH_EVAL");

	buf_fmt(out, "\\n\\0043%s'); case $wl_b in *\"#%s\") ;; "
	    "*) echo \"this shell has no printf\" >&2; exit 1;; esac; ", token, token);
	buf_puts(out, legacy ? ": | ( " : "( ");
	buf_puts(out, "trap \"exit 1\" TERM; eval \"unset wl_b; $wl_b\" )");
	buf_puts(out, legacy ? "" : " </dev/null");
	buf_fmt(out, "; wl_s=$?; echo wl.%s.end.$wl_s >&2; echo wl.%s.end.$wl_s; exit $wl_s; }\n", token, token);
}
