/* books/failure: the words for why a job failed. They stand in files and metrics, and never change. */
#include "books/failure.h"
#include "tap.h"

static const struct {
	enum failure	 f;
	const char	*word, *status, *common;
	bool		 system;
} frozen[] = {
	{ FAILURE_NONE, "", "failed", "script_failure", false },
	{ FAILURE_SCRIPT, "script_failure", "failed", "script_failure", false },
	{ FAILURE_SYSTEM, "runner_system_failure", "failed", "runner_system_failure", true },
	{ FAILURE_TIMEOUT, "job_execution_timeout", "timedout", "job_execution_timeout", false },
	{ FAILURE_CANCELED, "job_canceled", "canceled", "unknown_failure", false },
	{ FAILURE_CONFIG, "runner_configuration_error", "failed", "script_failure", false },
	{ FAILURE_IMAGE, "image_pull_failure", "failed", "runner_system_failure", false },
	{ FAILURE_DEPENDENCY, "runner_external_dependency_failure", "failed", "runner_system_failure", false },
	{ FAILURE_INTERRUPTED, "runner_interrupted", "failed", "unknown_failure", false },
	{ FAILURE_UNKNOWN, "unknown_failure", "failed", "unknown_failure", false },
};

int
main(void)
{
	is_int(NELEM(frozen), FAILURE_UNKNOWN + 1, "every failure stands in this list");
	for (size_t i = 0; i < NELEM(frozen); i++) {
		enum failure f = frozen[i].f;

		is_str(failure_word(f), frozen[i].word, "the word of failure %zu", i);
		is_int(failure_of(str_from(frozen[i].word)), f, "  and back");
		is_str(failure_status(f), frozen[i].status, "  what the job's scripts are told");
		is_str(failure_word(failure_common(f)), frozen[i].common, "  what every GitLab takes");
		is_int(failure_is_system(f), frozen[i].system, "  whether it is the system's");
		is_int(failure_common(failure_common(f)), failure_common(f), "  and that one is taken as it is");
	}
	is_int(failure_of(STR("runner_unknown_to_us")), FAILURE_UNKNOWN, "a word of a newer version");
	is_int(failure_of(STR_NULL), FAILURE_NONE, "no word");
	return done_testing();
}
