/*
 * An executor: runs one job on its machine, from the first contact to
 * result.json. Starting and resuming are the same code: read stage.json, find
 * the container it names, take what it says from where the trace stands, go on.
 *
 * It may: talk to one machine's Docker Engine with that machine's client key,
 * write in its job's directory. It must never: know a runner's token beyond
 * masking it, reach GitLab or a cloud, touch another job.
 *
 * Who may end it, and how: orders.h.
 */
#include "books/jobdir.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "docker/probe.h"
#include "job/executor.h"
#include "job/run.h"
#include "job/start.h"

/* For trying out the engine of a machine that rested. */
#define PROBE_LIMIT	(60 * NSEC_SEC)

/* ---- from stage to stage ---- */

static void
go_to(struct run *r, const struct stage *next)
{
	struct memory *m = &r->mem;

	if (next->side == STAGE_AFTER) {
		if (!m->failed)
			snprintf(m->status, sizeof(m->status), "success");
		work_set_status(&r->work, m->status);
	}
	m->stage = next;
	m->phase = PHASE_ENTER;
	m->item = 0;
	m->attempt = 1;
	m->stage_deadline = WALL_UNKNOWN;
	job_commit(r);
	crash_point("executor:stage-done");
}

/*
 * Between attempts: 5 s, 10 s ... 5 min, or at once without the feature flag (spec gitlab-runner
 * 7.3).
 */
static bool
pause_between(struct run *r)
{
	dur_t wait = 5 * NSEC_SEC;
	struct err e = { 0 };

	if (!work_flag(&r->work, "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY"))
		return true;
	for (int64_t i = 2; i < r->mem.attempt && wait < 300 * NSEC_SEC; i++)
		wait *= 2;
	if (net_pause(wait < 300 * NSEC_SEC ? wait : 300 * NSEC_SEC, &e) < 0)
		order_take_or_exit(r);
	return r->order == ORDER_NONE && !job_time_is_over(r);
}

/* One item of the current stage, as often as it may be tried. */
static enum outcome
run_item(struct run *r, struct err *e)
{
	const struct stage *s = r->mem.stage;
	size_t item = (size_t)r->mem.item;
	enum outcome out;

	for (;;) {
		if (s->again != NULL && r->mem.attempt == 2 && !r->mem.cleared) {
			out = stage_run(r, s->again, item, e);
			r->mem.cleared = true;
			r->mem.phase = PHASE_ENTER;
			job_commit(r);
			if (out != OUT_OK && out != OUT_EXIT)
				return out;
		}
		out = stage_run(r, s, item, e);
		if (out != OUT_EXIT || r->mem.attempt >= stage_attempts(s, &r->work))
			return out;
		r->mem.attempt++;
		r->mem.phase = PHASE_ENTER;
		job_commit(r);
		if (!pause_between(r))
			return r->order != ORDER_NONE ? OUT_CANCELED : OUT_TIMEOUT;
	}
}

/* The items of the current stage one after the other; the first that fails is the last. */
static enum outcome
run_items(struct run *r, struct err *e)
{
	int64_t n = (int64_t)stage_items(r->mem.stage, &r->work);
	enum outcome out = OUT_OK;

	while (out == OUT_OK && r->mem.item < n) {
		out = run_item(r, e);
		if (out == OUT_OK && ++r->mem.item < n) {
			r->mem.phase = PHASE_ENTER;
			r->mem.attempt = 1;
			job_commit(r);
		}
	}
	return out;
}

/* A stage whose one line is known without running its script. */
static bool
say_instead(struct run *r)
{
	const struct stage *s = r->mem.stage;
	struct buf line = { .max = 4096 };
	bool enough = s->said != NULL && r->mem.phase == PHASE_ENTER && s->said(&r->work, &line);

	if (enough) {
		stage_open_section(r, s, 0);
		output_say(&r->out, tl_plain, "%s", line.p);
		output_section_end(&r->out, s->section);
	}
	buf_free(&line);
	return enough;
}

static void
run_stage(struct run *r)
{
	const struct stage *s = r->mem.stage;
	dur_t limit = stage_limit(s, &r->work);
	enum outcome out;
	struct err e = { 0 };

	if (!wall_known(r->mem.stage_deadline) && limit > 0)
		r->mem.stage_deadline = wall_add(s->limit.from_job ? r->mem.started : wall_now(), limit);
	r->failure = FAILURE_NONE;
	if (s->where == STAGE_ENGINE)
		out = s->engine(r, &e);
	else
		out = say_instead(r) ? OUT_OK : run_items(r, &e);
	if (outcome_give_back(r, out, &e))
		return;
	outcome_settle(r, out, &e);
	go_to(r, outcome_ends_job(r, out) ? stage_end() : stage_next(s, &r->work, r->mem.failed));
}

/* Whether the current stage is not begun because the job is over; says why. */
static bool
ended_before(struct run *r)
{
	if (order_ends_job(r))
		outcome_fail_order(r);
	else if (job_time_is_over(r))
		outcome_fail_time(r);
	else
		return false;
	return true;
}

/* ---- the end ---- */

static void
last_line(struct run *r)
{
	struct buf b = { .max = 4096 };
	const struct memory *m = &r->mem;

	if (!m->failed)
		tl_info(&b, "Job succeeded");
	else
		tl_error(&b, "Job failed%s: %s", m->system ? " (system failure)" : "", m->text);
	output_final(&r->out, buf_str(&b));
	buf_free(&b);
}

/*
 * A result that cannot be written is a job that cannot end: it waits for the disk, and is cut short
 * only by a kill.
 */
static int
finish(struct run *r)
{
	struct jobdir_result result;
	struct err e = { 0 };
	bool told = false;

	containers_tidy(r);
	last_line(r);
	result = (struct jobdir_result){ .success = !r->mem.failed, .reason = failure_word(r->mem.failure),
		.exit_code = r->mem.failed ? r->mem.exit_code : 0, .text = r->mem.text, .dirty = r->dirty, .told = true,
		.finished = wall_now() };
	while (output_write(&r->out, &e) < 0 || jobdir_result_write(r->dir, &result, &e) < 0) {
		if (!told)
			log_error("The job's result cannot be written: trying until it can", F_ERR(&e));
		told = true;
		mono_sleep(2 * NSEC_SEC);
	}
	crash_point("executor:result-written");
	log_info(r->mem.failed ? "Job failed" : "Job succeeded", F_STR("failure_reason", failure_word(r->mem.failure)), F_STR("text", r->mem.text),
	    F_INT("exit_code", r->mem.failed ? r->mem.exit_code : 0),
	    F_DUR("duration", wall_between(r->mem.started, wall_now())),
	    F_STR("name", r->machine));
	return EXIT_OK;
}

static int
execute(struct run *r)
{
	while (!stage_is_end(r->mem.stage)) {
		/* An order that came between stages, or while nobody lived to hear it. */
		order_take_or_exit(r);
		if (r->mem.phase == PHASE_ENTER && ended_before(r))
			go_to(r, stage_end());
		else if (r->mem.phase == PHASE_ENTER && !stage_wanted(r->mem.stage, &r->work))
			go_to(r, stage_next(r->mem.stage, &r->work, r->mem.failed));
		else
			run_stage(r);
		if (r->given_back)
			return EXIT_MACHINE;
	}
	return finish(r);
}

/* The end of a job whose machine cannot be reached any more, begun long ago by a predecessor. */
static int
lost_machine(struct run *r, const struct err *e)
{
	r->dirty = true;
	outcome_fail(r, FAILURE_SYSTEM, 0, e->msg);
	return finish(r);
}

int
executor_main(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "state-dir", .type = OPT_STRING },
		{ .name = "job", .type = OPT_STRING },
		{ .name = "probe", .type = OPT_BOOL },
	};
	struct run *r = xcalloc(1, sizeof(*r));
	struct json_val saved = JSON_NONE;
	struct err e = { 0 };
	int64_t trace = 0;
	uid_t self = 0;
	int known;

	proc_harden();
	if (opt_parse(o, NELEM(o), argc, argv, NULL, &e) < 0 || o[0].value == NULL || o[1].value == NULL) {
		log_error("Executor was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	log_context("job", o[1].value);
	if (start_open(r, o[0].value, o[1].value, &self, &e) < 0) {
		if (e.kind == ERR_CONFLICT)
			return EXIT_BUSY;
		log_error("Executor cannot begin", F_ERR(&e));
		return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
	}
	if (fs_exists(r->dir, JOBFILE_RESULT))
		return EXIT_OK;
	if (start_confine(r, self, &e) < 0) {
		log_error("Executor cannot begin", F_ERR(&e));
		return EXIT_RETRY;
	}
	known = memory_read(r, &saved, &trace, &e);
	if (known < 0) {
		log_error("Executor cannot go on", F_ERR(&e));
		return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
	}
	order_watch(r);
	if (known == 0) {
		/*
		 * Nothing is written before the machine has answered: until then the job may go to
		 * another one.
		 */
		if (r->order == ORDER_NONE && (reach_connect(r, &e) < 0 ||
		    (o[2].number && engine_probe(r->api, mono_after(PROBE_LIMIT), &e) < 0))) {
			if (e.kind == ERR_CANCELLED)
				order_take_or_exit(r);
			if (r->order == ORDER_NONE) {
				log_warn("Machine is not usable", F_ERR(&e));
				(void)fs_write_fast(r->dir, JOBFILE_UNFIT, str_from(e.msg), 0600, NULL);
				return EXIT_MACHINE;
			}
		}
		if (start_begin(r, &e) < 0) {
			log_error("Executor cannot begin", F_ERR(&e));
			return EXIT_RETRY;
		}
		if (r->api == NULL) {
			outcome_fail_order(r);
			return finish(r);
		}
	} else {
		r->inherited = true;
		if (start_resume(r, saved, trace, &e) < 0) {
			log_error("Executor cannot go on", F_ERR(&e));
			return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
		}
		if (r->mem.stage->where != STAGE_ENGINE)
			prepare_pulled(r);
		if (!stage_is_end(r->mem.stage) && reach_connect_patiently(r, &e) < 0)
			return lost_machine(r, &e);
		if (r->api == NULL && reach_connect(r, &e) < 0)
			return lost_machine(r, &e);
	}
	volumes_plan(&r->work, &r->volumes, &e);
	return execute(r);
}
