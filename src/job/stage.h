/* Running one stage's script in its container, and the log that comes from it. */
#ifndef JOB_STAGE_H
#define JOB_STAGE_H

#include "job/stages.h"

/* The beginning of a stage's section in the job's log, with its heading. */
void	stage_open_section(struct run *r, const struct stage *s, size_t item);
/*
 * Runs the script of one item in its container, as the current stage. *e and r->failure for
 * OUT_FAILED.
 */
enum outcome stage_run(struct run *r, const struct stage *s, size_t item, struct err *e);

#endif
