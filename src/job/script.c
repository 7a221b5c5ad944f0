/* The scripts of the stages that are not about git: see script.h. */
#include "core/core.h"
#include "job/script_parts.h"

#define FILES_A_CALL	200	/* names in one rm: far below what a command line takes */

static struct buf
new_body(const struct buf *out)
{
	return (struct buf){ .max = out->max };
}

void
script_prepare(const struct work *w, struct buf *out)
{
	struct buf b = new_body(out);

	/* The engine writes the file; images without it may have the variable. */
	buf_puts(&b, "{ read -r wl_host < /etc/hostname; } 2>/dev/null || wl_host=${HOSTNAME:-$(hostname)}\n"
	    "printf 'Running on %s via %s...\\n' \"$wl_host\" ");
	sh_cword(&b, w->machine);
	buf_putc(&b, '\n');
	sh_stage(w, SH_BARE, &b, out);
}

void
script_step(const struct work *w, const struct step *s, struct buf *out)
{
	struct buf b = new_body(out);

	sh_runner_command(w, w->p->runner.pre_build_script, "pre_build_script", &b);
	/* The release step's lines are not meant for the image's shell alone: GitLab counts on us to fill them in. */
	sh_commands(w, s->script, "script_step", str_eqc(s->name, "release"), &b);
	sh_runner_command(w, w->p->runner.post_build_script, "post_build_script", &b);
	sh_stage(w, SH_BUILD, &b, out);
}

void
script_after(const struct work *w, struct buf *out)
{
	struct buf b = new_body(out);

	sh_say(&b, SH_NOTICE, "Running after script...");
	sh_commands(w, w->after_script, "after_script_step", false, &b);
	sh_stage(w, SH_BUILD, &b, out);
}

static void
remove_file_variables(const struct work *w, struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < w->vars.n; i++) {
		const struct var *v = &w->vars.v[i];

		if ((v->flags & VAR_FILE) == 0 || !vars_name_ok(v->key))
			continue;
		buf_puts(b, n % FILES_A_CALL == 0 ? "rm -f " : " ");
		sh_cword(b, work_file_path(w, v->key));
		if (++n % FILES_A_CALL == 0)
			buf_puts(b, " || :\n");
	}
	if (n % FILES_A_CALL != 0)
		buf_puts(b, " || :\n");
}

/* FF_ENABLE_JOB_CLEANUP: the next job of this project finds the directory as a fetch would leave it. */
static void
clean_project(const struct work *w, struct buf *b)
{
	switch (w->git) {
	case GIT_CLONE:
	case GIT_EMPTY:
		buf_puts(b, "rm -rf \"$wl_p\" || :\n");
		break;
	case GIT_FETCH:
		buf_puts(b, "if [ -d \"$wl_p/.git\" ] && cd \"$wl_p\"; then\n");
		buf_puts(b, "git clean");
		sh_flags(w, "GIT_CLEAN_FLAGS", "-ffdx", b);
		buf_puts(b, " || :\ngit reset --hard || :\n");
		if (w->submodules == SUBMODULES_NORMAL || w->submodules == SUBMODULES_RECURSIVE)
			sh_submodules_reset(w, b);
		sh_git_tidy(w, b);
		buf_puts(b, "cd /\nfi\n");
		break;
	case GIT_NONE:
		sh_say(b, SH_NOTICE, "The project directory is left as it is: GIT_STRATEGY is none");
		break;
	}
}

void
script_cleanup(const struct work *w, struct buf *out)
{
	struct buf b = new_body(out);
	struct remote r = remote_of(w);

	sh_set(&b, "wl_p", str_from(w->project_dir));
	sh_set(&b, "wl_t", str_from(w->tmp_dir));
	if (w->git == GIT_CLONE || w->git == GIT_FETCH)
		sh_git_forget(&r, &b);
	if (work_flag(w, "FF_ENABLE_JOB_CLEANUP"))
		clean_project(w, &b);
	buf_puts(&b, "rm -f \"$wl_t/gitlab_runner_env\" \"$wl_t/masking.db\" ");
	sh_cword(&b, gitconf_external_path(w));
	buf_putc(&b, ' ');
	sh_cword(&b, gitconf_global_path(w));
	buf_puts(&b, " || :\n");
	remove_file_variables(w, &b);
	sh_stage(w, SH_PATHS, &b, out);
}
