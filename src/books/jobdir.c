/* A job's directory: see jobdir.h. */
#include "books/jobdir.h"
#include "core/core.h"
#include "core/identity.h"

/* What says what the job's roles may do stays root's: GitLab's answer, what of config.toml counts for it, its machine. */
static const char *const root_keeps[] = {
	JOBFILE_PAYLOAD, JOBFILE_RUNNER, JOBFILE_TICKET, JOBFILE_MACHINE, NULL,
};
static const char *const locks[] = { JOBFILE_EXECUTOR_LOCK, JOBFILE_REPORTER_LOCK, NULL };

int
jobdir_identity(int jobs_dir, int dir, const char *id, uid_t *self, struct err *e)
{
	const struct identity_job job = { id, root_keeps, locks };

	return identity_of_job(jobs_dir, dir, &job, self, e);
}
