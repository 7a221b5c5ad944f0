/* What the manager writes down of finished jobs and machines: see history.h, and books/history.h for the form. */
#include <unistd.h>

#include "books/jobdir.h"
#include "core/fs.h"
#include "core/log.h"
#include "manager/history.h"
#include "manager/model.h"

static void
put(struct manager *m, const struct history_record *r)
{
	struct err e = { 0 };

	if (history_append(m->state_fd, r, HISTORY_MAX, &e) == 0) {
		m->history_failing = false;
		return;
	}
	if (!m->history_failing)
		log_warn("The history of jobs and machines cannot be written: lines are lost until it can", F_ERR(&e));
	m->history_failing = true;
}

void
history_job(struct manager *m, const struct job *j)
{
	struct history_record r = {
		.what = HISTORY_JOB, .name = str_from(j->id), .runner = str_from(j->pool->key),
		.queued = j->queued, .arrived = j->arrived, .started = j->assigned,
		.machine = str_from(j->machine_name), .at = wall_now(),
	};
	struct jobdir_result result;
	struct arena a = { 0 };
	struct err e = { 0 };
	int dir = fs_opendir(m->jobs_fd, j->id, &e);

	if (j->machine != NULL) {
		r.made = j->machine->created;
		r.uses = j->machine->uses;
	}
	if (dir >= 0 && jobdir_result_read(dir, &a, &result, &e) == 0) {
		r.result = result.success ? STR("success") : STR("failed");
		r.reason = str_from(result.reason);
		/* Its own word counts: we may have been away when it ended. */
		if (wall_known(result.finished))
			r.at = result.finished;
	}
	put(m, &r);
	arena_reset(&a);
	if (dir >= 0)
		close(dir);
}

void
history_machine(struct manager *m, const struct machine *mc, enum history_what what)
{
	struct history_record r = {
		.what = what, .name = str_from(mc->name), .runner = str_from(mc->pool->key), .at = wall_now(),
		.driver = str_from(mc->pool->conf != NULL ? mc->pool->conf->machine_driver : ""),
		/* Asked for when we decided it; after a restart, when its operator first wrote it down. */
		.made = wall_known(mc->create_started) && wall_before(mc->create_started, mc->created) ? mc->create_started : mc->created,
		.uses = mc->uses, .reason = str_from(what == HISTORY_GONE ? mc->why : what == HISTORY_FAILED ? mc->operator.error : ""),
	};

	put(m, &r);
}
