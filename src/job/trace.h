/*
 * The job's trace file and who may append to it: the reporter while the job
 * waits, the executor from its first stage.json on. Both hold a lock (flock) on the file
 * itself while they append or change roles (docs/processes.md).
 */
#ifndef JOB_TRACE_H
#define JOB_TRACE_H

#include "job/payload.h"

/* The first lines of every job's log: "Running with gitlab-runner ..." and who we are (spec gitlab-runner 6.4). Appended to b. */
void	trace_put_heading(const struct payload *p, struct buf *b);

/*
 * The reporter's way: appends a line about what the job waits for (after the
 * heading, when the trace is empty). Does nothing once stage.json exists. 0 or -1.
 */
int	trace_append_waiting(int job_dir, const struct payload *p, struct str text, struct err *e);

/*
 * The last line of a job that no executor ended: why it failed. Only once result.json exists and no executor lives; a
 * line that is there already is not written again. 0 or -1.
 */
int	trace_append_end(int job_dir, const struct payload *p, struct str text, bool system, struct err *e);

/*
 * The trace, made when it is missing; `flags` as of open(2). What stands there and can be no trace (a folder, say) is moved aside,
 * to trace.damaged, and a new one begun. A descriptor, or -1 with *e.
 */
int	trace_open(int job_dir, int flags, struct err *e);

#endif
