/*
 * Private to script.c and its parts: words and lines of a shell script, the
 * frame around a stage, and what its git stages share. Not for others: see
 * script.h. Names of shell variables and functions of ours begin with wl_.
 */
#ifndef JOB_SCRIPT_PARTS_H
#define JOB_SCRIPT_PARTS_H

#include "job/script.h"

enum sh_style { SH_PLAIN, SH_NOTICE, SH_WARNING, SH_ERROR };

/* ---- script_words.c ---- */

/* One word, in single quotes; NULs dropped. */
void	sh_word(struct buf *b, struct str s);
void	sh_cword(struct buf *b, const char *s);
/* As it is, NULs dropped. */
void	sh_text(struct buf *b, struct str s);
/* NAME='value' and a newline */
void	sh_set(struct buf *b, const char *name, struct str value);
/* A line that prints a line, in the colours of the runner's own lines (spec job-execution 5.2). */
void	sh_say(struct buf *b, enum sh_style style, const char *fmt, ...) PRINTFLIKE(3, 4);
/* Defines wl_say TEXT and wl_warn TEXT, for what is known only at run time. */
void	sh_define_say(struct buf *b);
/*
 * A job's or a runner's own lines: each is shown and then done. prefix names
 * the sections of FF_SCRIPT_SECTIONS. expand: variables are put in by us.
 */
void	sh_commands(const struct work *w, struct json_val lines, const char *prefix, bool expand, struct buf *b);
/* The same for one text of the runner's configuration; nothing if there is none. */
void	sh_runner_command(const struct work *w, const char *text, const char *prefix, struct buf *b);

/* ---- script_frame.c ---- */

enum sh_frame {
	SH_BARE,	/* no variables: prepare_script */
	SH_SOURCES,	/* variables, no directory: get_sources, clear_worktree */
	SH_PATHS,	/* variables, files not written: cleanup */
	SH_BUILD,	/* in the build container: variables, the project directory, git's trust in it */
};

/* The whole script around a body; takes the body's failure over. The body is wiped. */
void	sh_stage(const struct work *w, enum sh_frame frame, struct buf *body, struct buf *out);

/* ---- script_gitconf.c ---- */

/* Where the sources come from. */
struct remote {
	char	*url;		/* for .git/config: http(s) without credentials */
	char	*auth;		/* the same with credentials; NULL if none are to be added */
	char	*origin;	/* "https://host[:port]"; NULL if there is none to name */
	bool	 http;
	bool	 bad_clone_url;	/* the runner's clone_url is no URL and was not used */
};

struct remote remote_of(const struct work *w);
/* The texts of git's configuration files (spec job-execution 6.2 step 8, 6.4, 6.5). */
void	gitconf_external(const struct work *w, const struct remote *r, struct buf *b);
void	gitconf_template(const struct work *w, const struct remote *r, bool with_remote, struct buf *b);
void	gitconf_global(const struct work *w, const struct remote *r, struct buf *b);
/* X-Gitaly-Correlation-ID's value, "" if none is to be sent. */
struct str gitconf_correlation_id(const struct work *w);
char	*gitconf_external_path(const struct work *w);
char	*gitconf_global_path(const struct work *w);	/* with FF_GIT_URLS_WITHOUT_TOKENS */

/* ---- script_git.c ---- */

/* Lock files, and with clean_git_config also configuration and hooks, of $wl_p/.git. */
void	sh_git_tidy(const struct work *w, struct buf *b);
/* Configured credential stores forget the job token. */
void	sh_git_forget(const struct remote *r, struct buf *b);
/* The words of a variable with flags; `none` is none. Each with a blank before it. */
void	sh_flags(const struct work *w, const char *key, const char *dflt, struct buf *b);

/* ---- script_submodules.c ---- */

/* A reason why the submodule settings cannot work, NULL if they can. */
const char *submodules_fault(const struct work *w);
void	sh_submodules(const struct work *w, struct buf *b);
/* A clean and a hard reset in every submodule. */
void	sh_submodules_reset(const struct work *w, struct buf *b);

#endif
