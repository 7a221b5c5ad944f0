/* Why a job failed: see failure.h. */
#include "books/failure.h"
#include "core/core.h"

static const struct {
	const char	*word, *status;
	enum failure	 common;
} rows[] = {
	[FAILURE_NONE] = { "", "failed", FAILURE_SCRIPT },
	[FAILURE_SCRIPT] = { "script_failure", "failed", FAILURE_SCRIPT },
	[FAILURE_SYSTEM] = { "runner_system_failure", "failed", FAILURE_SYSTEM },
	[FAILURE_TIMEOUT] = { "job_execution_timeout", "timedout", FAILURE_TIMEOUT },
	[FAILURE_CANCELED] = { "job_canceled", "canceled", FAILURE_UNKNOWN },
	[FAILURE_CONFIG] = { "runner_configuration_error", "failed", FAILURE_SCRIPT },
	[FAILURE_IMAGE] = { "image_pull_failure", "failed", FAILURE_SYSTEM },
	[FAILURE_DEPENDENCY] = { "runner_external_dependency_failure", "failed", FAILURE_SYSTEM },
	[FAILURE_INTERRUPTED] = { "runner_interrupted", "failed", FAILURE_UNKNOWN },
	[FAILURE_UNKNOWN] = { "unknown_failure", "failed", FAILURE_UNKNOWN },
};

const char *
failure_word(enum failure f)
{
	return rows[f].word;
}

enum failure
failure_of(struct str word)
{
	for (size_t i = 0; i < NELEM(rows); i++)
		if (str_eqc(word, rows[i].word))
			return (enum failure)i;
	return FAILURE_UNKNOWN;
}

bool
failure_is_system(enum failure f)
{
	return f == FAILURE_SYSTEM;
}

const char *
failure_status(enum failure f)
{
	return rows[f].status;
}

enum failure
failure_common(enum failure f)
{
	return rows[f].common;
}
