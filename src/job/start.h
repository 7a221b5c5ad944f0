/*
 * The start of an executor: the job's directory is opened and locked, the process confined to what
 * one job needs, and the job begun, or taken up where a predecessor left it.
 */
#ifndef JOB_START_H
#define JOB_START_H

#include <sys/types.h>

#include "core/err.h"
#include "wire/json.h"

struct run;

/*
 * Opens the job and takes its lock; *self is the user it belongs to. 0 or -1; ERR_CONFLICT: another
 * executor has it.
 */
int	start_open(struct run *r, const char *state_dir, const char *id, uid_t *self,
	    struct err *e);
/*
 * What comes from a job's image or a broken engine is read by this process: it is left this job,
 * this machine and its engine. All else that it will want is opened or started here, by what the
 * runner's configuration says and before anything foreign is read. 0 or -1.
 */
int	start_confine(struct run *r, uid_t self, struct err *e);
/*
 * A job that begins: names are drawn, the clock starts, and from here on the trace is ours. 0 or
 * -1.
 */
int	start_begin(struct run *r, struct err *e);
/*
 * A job that memory_read() has found: `saved` and `trace` are from there. 0 or -1; ERR_PARSE:
 * damaged.
 */
int	start_resume(struct run *r, struct json_val saved, int64_t trace, struct err *e);

#endif
