/*
 * The start of an executor: the job's directory is opened and locked, and the process confined to
 * what one job needs.
 */
#ifndef JOB_START_H
#define JOB_START_H

#include <sys/types.h>

#include "core/err.h"

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

#endif
