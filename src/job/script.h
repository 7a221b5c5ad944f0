/*
 * The shell scripts of a job's stages (spec job-execution 5 and 6): whole
 * text, to be framed by script_text() and run in the helper or the build container by bash
 * or any POSIX shell. Pure. Nothing but single quotes is used for quoting, so any
 * byte but NUL passes; NULs are dropped.
 *
 * A script ends with the status of the first command that failed, else that of its last one.
 * It may be run again from the start in a container where it ran before, as
 * far as the job's own lines allow that.
 *
 * They are appended to `out`; its limit is the script's, and out->failed
 * says that it was reached. Scripts hold every secret of the job.
 */
#ifndef JOB_SCRIPT_H
#define JOB_SCRIPT_H

#include "core/buf.h"
#include "job/work.h"

void	script_prepare(const struct work *w, struct buf *out);			/* prepare_script, helper: says where the job runs */
void	script_get_sources(const struct work *w, struct buf *out);		/* helper; first removes what an earlier job left on the volume */
void	script_clear_worktree(const struct work *w, struct buf *out);		/* helper, before the second attempt */
void	script_step(const struct work *w, const struct step *s, struct buf *out);	/* build container */
void	script_after(const struct work *w, struct buf *out);			/* build container */
void	script_cleanup(const struct work *w, struct buf *out);			/* cleanup_file_variables, helper */

/*
 * The text that a shell is given on its stdin to run a script: it prints the mark of its beginning,
 * runs the script with nothing on stdin, and prints the mark of its end with the status on both
 * streams (wire/marker.h; docs/streams.md). Head, the script in as many parts as the caller likes,
 * tail. token: MARKER_TOKEN characters, new for every run.
 */
void	script_text_head(const struct work *w, const char *token, struct buf *out);
void	script_text_body(struct str part, struct buf *out);
void	script_text_tail(const struct work *w, const char *token, struct buf *out);

#endif
