/* `windlass debug ...`: for tests and for people who look inside. Not part of the interface. */
#include "cmd/cmd.h"
#include "machine/operation.h"

/* Every crash_point() of every process but the operator's, whose list is its own. tests/e2e/test_crash.py checks both against the sources. */
static const char *const crash_points[] = {
	"manager:started", "manager:poller-started", "manager:asked", "manager:job-known", "manager:reporter-started",
	"manager:create-decided", "manager:operator-started", "manager:use-counted", "manager:job-assigned",
	"manager:executor-started", "manager:job-renamed", "manager:remove-decided", "manager:machine-gone", "manager:reconciler-started", "manager:checker-started", "manager:leaving",
	"poller:answer-begun", "poller:answer-arriving", "poller:answered", "poller:job-written", "poller:job-kept",
	"executor:begun", "executor:committed", "executor:container-made", "executor:stage-attached",
	"executor:stage-recorded", "executor:stage-started", "executor:stage-delivered",
	"executor:stage-done", "executor:given-back", "executor:containers-removed", "executor:result-written",
	"adopt:recorded",
	"reporter:acknowledged", "reporter:patched", "reporter:order-written", "reporter:result-sent", "reporter:reported",
};

const struct usage cmd_debug_usage = { .args = "crash-points", .about = "For tests: names the steps behind which WINDLASS_CRASH_AT stops a process." };

int
cmd_debug(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "crash-points") == 0) {
		for (size_t i = 0; i < NELEM(crash_points); i++)
			puts(crash_points[i]);
		for (size_t i = 0; operator_crash_points[i] != NULL; i++)
			puts(operator_crash_points[i]);
		return 0;
	}
	fprintf(stderr, "Usage: windlass debug crash-points\n");
	return 1;
}
