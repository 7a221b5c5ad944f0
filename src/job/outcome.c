/* What becomes of a job by what became of its stages: see outcome.h. */
#include <unistd.h>

#include "books/jobdir.h"
#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "job/run.h"
#include "policy/fault.h"

void
outcome_fail(struct run *r, enum failure why, int64_t code, const char *text)
{
	struct memory *m = &r->mem;
	struct buf masked = { .max = 4096 };

	if (m->failed)
		return;
	output_mask(&r->out, str_from(text), &masked);
	m->failed = true;
	m->exit_code = code;
	m->failure = why;
	snprintf(m->text, sizeof(m->text), "%s", masked.n > 0 ? masked.p : "");
	buf_free(&masked);
	m->system = failure_is_system(why);
	snprintf(m->status, sizeof(m->status), "%s", failure_status(why));
}

static void
fail_limit(struct run *r, const char *what, dur_t over)
{
	char limit[40], text[200];

	time_go_duration(over, limit);
	snprintf(text, sizeof(text), "execution took longer than %s (%s)", limit, what);
	outcome_fail(r, FAILURE_TIMEOUT, 0, text);
}

void
outcome_fail_time(struct run *r)
{
	fail_limit(r, "the job's timeout", r->job.timeout);
}

void
outcome_fail_order(struct run *r)
{
	outcome_fail(r, r->order_failure != FAILURE_NONE ? r->order_failure : FAILURE_CANCELED, 0,
	    r->order_text[0] != '\0' ? r->order_text : "canceled");
}

static void
fail_exit(struct run *r)
{
	const struct stage *s = r->mem.stage;
	char text[200];

	snprintf(text, sizeof(text), "%sexit code %" PRId64 "%s",
	    s->exit_noun != NULL ? s->exit_noun : "", r->exit_code,
	    s->exit_hint != NULL ? s->exit_hint : "");
	outcome_fail(r, FAILURE_SCRIPT, r->exit_code, text);
}

/*
 * The failure of a stage that is the runner's affair. The job's own end during it stays the job's.
 */
static void
settle_quietly(struct run *r, enum outcome out, const struct err *e)
{
	log_warn("Stage failed, which is no failure of the job",
	    F_STR("stage", r->mem.stage->section),
	    F_INT("exit_code", r->exit_code), F_ERR(e));
	if (out == OUT_TIMEOUT)
		outcome_fail_time(r);
	else if (out == OUT_CANCELED && r->order == ORDER_ABORT)
		outcome_fail_order(r);
}

/* Whether a stage that the job need not pass has failed by itself; says so in the job's log. */
static bool
excused(struct run *r, enum outcome out)
{
	const struct stage *s = r->mem.stage;
	char limit[40];

	if (s->soft == NULL)
		return false;
	if (out == OUT_STAGE_TIMEOUT) {
		time_go_duration(stage_limit(s, &r->work), limit);
		output_say(&r->out, tl_warning,
		    "%s failed, but job will continue unaffected: it took longer than %s",
		    s->section, limit);
		return true;
	}
	if (out != OUT_EXIT || !(r->mem.failed || s->soft(&r->work)))
		return false;
	output_say(&r->out, tl_warning,
	    "%s failed, but job will continue unaffected: exit code %" PRId64,
	    s->section, r->exit_code);
	return true;
}

void
outcome_settle(struct run *r, enum outcome out, const struct err *e)
{
	const struct stage *s = r->mem.stage;

	if (out == OUT_OK || excused(r, out))
		return;
	if (s->when & STAGE_QUIET) {
		settle_quietly(r, out, e);
		return;
	}
	switch (out) {
	case OUT_OK:
		break;
	case OUT_EXIT:
		fail_exit(r);
		break;
	case OUT_TIMEOUT:
		output_say(&r->out, tl_warning,
		    "the job's time limit is over: what comes after this stage is not run. A "
		    "shorter limit of the script alone (RUNNER_SCRIPT_TIMEOUT) leaves time for "
		    "after_script");
		outcome_fail_time(r);
		break;
	case OUT_STAGE_TIMEOUT:
		output_say(&r->out, tl_warning, "this stage did not end within its limit (%s)",
		    stage_limit_name(s));
		fail_limit(r, stage_limit_name(s), stage_limit(s, &r->work));
		break;
	case OUT_CANCELED:
		/* The rest of the job goes on. */
		if (s->side == STAGE_SCRIPT && r->order == ORDER_CANCEL) {
			output_say(&r->out, tl_warning, "script canceled externally (UI, API)");
			r->mem.script_canceled = true;
		}
		outcome_fail_order(r);
		break;
	case OUT_FAILED:
		/* The job's last line tells of its first failure. */
		if (r->mem.failed)
			output_say(&r->out, tl_warning, "%s could not be run to its end: %s", s->section, e->msg);
		outcome_fail(r, r->failure != FAILURE_NONE ? r->failure :
		    e->kind == ERR_CONFIG || e->kind == ERR_REFUSED ? FAILURE_CONFIG :
		    FAILURE_SYSTEM, 0, e->msg);
		break;
	}
}

bool
outcome_ends_job(const struct run *r, enum outcome out)
{
	const struct stage *s = r->mem.stage;

	return r->order == ORDER_ABORT || out == OUT_TIMEOUT || out == OUT_FAILED ||
	    (out == OUT_CANCELED && s->side == STAGE_BEFORE) ||
	    (out == OUT_STAGE_TIMEOUT && (s->when & STAGE_LIMIT_ENDS));
}

bool
outcome_is_machines(const struct run *r, const struct err *e)
{
	if (r->mem.begun || r->mem.stage->side == STAGE_AFTER ||
	    (r->mem.stage->side == STAGE_SCRIPT && (r->mem.item > 0 || !r->not_started)))
		return false;
	return fault_of_err(e) != FAULT_NONE;
}

bool
outcome_give_back(struct run *r, enum outcome out, const struct err *e)
{
	struct err ignored = { 0 };
	char why[600];

	if (out != OUT_FAILED || !outcome_is_machines(r, e))
		return false;
	snprintf(why, sizeof(why), "%s: %s", fault_text(fault_of_err(e)), e->msg);
	log_warn("Machine can run no container: the job goes back", F_STR("name", r->machine),
	    F_STR("error", why));
	output_say(&r->out, tl_warning, "Machine %s cannot run the job: %s. Nothing of the job has "
	    "run, and it gets another machine", r->machine, why);
	r->mem.opened = false;
	job_commit(r);
	crash_point("executor:given-back");
	(void)fs_write_fast(r->dir, JOBFILE_UNFIT, str_from(why), 0600, &ignored);
	unlinkat(r->dir, JOBFILE_STAGE, 0);
	fs_sync_dir(r->dir, &ignored);
	r->given_back = true;
	return true;
}
