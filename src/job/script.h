/*
 * The shell scripts of a job's stages (spec job-execution 5 and 6): whole
 * text, to be run as `sh FILE` in the helper or the build container by bash
 * or any POSIX shell. Pure. Nothing but single quotes is used for quoting, so any byte but NUL passes.
 */
#ifndef JOB_SCRIPT_H
#define JOB_SCRIPT_H

#include "core/buf.h"
#include "job/work.h"

void	script_prepare(const struct work *w, struct buf *out);			/* prepare_script, helper */
void	script_get_sources(const struct work *w, struct buf *out);		/* helper */
void	script_clear_worktree(const struct work *w, struct buf *out);		/* helper, before the second attempt */
void	script_step(const struct work *w, const struct step *s, struct buf *out);	/* build container */
void	script_after(const struct work *w, struct buf *out);			/* build container */
void	script_cleanup(const struct work *w, struct buf *out);			/* cleanup_file_variables, helper */

#endif
