/*
 * Running one stage: the script goes into the container as a file, the container is started, its
 * log is read until it stops. Whoever comes here after a death finds in stage.json which container
 * it is and how many bytes of its log are in the trace already (spec job-execution 1.6; design: an
 * executor can be started twice).
 */
#include "core/crash.h"
#include "core/log.h"
#include "job/run.h"

/* From SIGTERM to the processes until SIGKILL, and from that until we stop listening. */
#define TERM_GRACE	(10 * NSEC_SEC)
#define KILL_GRACE	(20 * NSEC_SEC)
#define COMMIT_BYTES	(1u << 20)	/* of the trace, in memory: a burst's worth */
#define SCRIPT_MAX	(256u << 20)
#define LOGS_LIMIT	(120 * NSEC_SEC)	/* for the answer to the question for a log */
#define SETTLED		(3 * NSEC_SEC)

/*
 * Names why something that had to be waited for did not come. A deadline counts only for what was
 * waited for until then: a machine that was out of reach when it came is not the script's fault.
 */
static enum outcome
interrupted(struct run *r, const struct err *e)
{
	if (e->kind == ERR_CANCELLED) {
		order_take_or_exit(r);
		if (order_ends_stage(r))
			return OUT_CANCELED;
	} else if (e->kind != ERR_TIMEOUT)
		return OUT_FAILED;
	if (job_time_is_over(r))
		return OUT_TIMEOUT;
	if (mono_passed(stage_deadline(r)))
		return OUT_STAGE_TIMEOUT;
	return OUT_FAILED;
}

/* ---- the container ---- */

/* That of a stage. */
static struct container *
container_for(struct run *r, const struct stage *s)
{
	return container_of(r, s->where == STAGE_BUILD ? CONTAINER_BUILD : CONTAINER_HELPER);
}

static int
inspect(struct run *r, const char *id, struct arena *a, struct json_val *v, mono_t deadline, struct err *e)
{
	char path[160];

	snprintf(path, sizeof(path), "/containers/%s/json", id);
	return engine_get(r->api, path, a, v, deadline, e);
}

static int
post(struct run *r, const char *id, const char *verb, mono_t deadline, struct err *e)
{
	char path[200];

	snprintf(path, sizeof(path), "/containers/%s/%s", id, verb);
	return engine_call(r->api, &(struct engine_req){ "POST", path, STR_NULL }, NULL, NULL,
	    deadline, e);
}

static int
put_script(struct run *r, const char *id, const struct stage *s, size_t item, struct err *e)
{
	struct buf text = { .max = SCRIPT_MAX }, tar = { .max = SCRIPT_MAX + 65536 };
	int rc;

	s->script(&r->work, item, &text);
	engine_tar_dir(&tar, STAGE_DIR, 0755);
	engine_tar_file(&tar, &STAGE_FILE[1], buf_str(&text), 0644);
	engine_tar_end(&tar);
	rc = tar.failed || text.failed ? err_set(e, ERR_CONFIG, 0, "the stage's script is larger than %u MiB", SCRIPT_MAX >> 20) :
	    engine_put_archive(r->api, id, "/", buf_str(&tar), call_deadline(r), e);
	buf_wipe(&text);
	buf_wipe(&tar);
	return rc;
}

/* Puts the script in, notes what is about to be started, starts it. */
static int
begin(struct run *r, const struct stage *s, size_t item, struct err *e)
{
	struct arena a = { 0 };
	struct json_val v;
	struct container *c = container_for(r, s);
	int rc = -1;

	if (c->id[0] == '\0' && container_make(r, c, e) < 0)
		return -1;
	crash_point("executor:container-made");
	if (put_script(r, c->id, s, item, e) < 0 ||
	    inspect(r, c->id, &a, &v, call_deadline(r), e) < 0)
		goto out;
	str_copy(json_str(&a, json_path(v, "State.StartedAt")), r->mem.started_before, sizeof(r->mem.started_before));
	r->mem.phase = PHASE_STARTED;
	job_commit(r);
	crash_point("executor:stage-recorded");
	rc = post(r, c->id, "start", call_deadline(r), e);
	/*
	 * An image without sh, or an entrypoint that is not there: the image's or the job's fault
	 * (spec job-execution 1.14).
	 */
	if (rc < 0 && (e->kind == ERR_REFUSED || (e->kind == ERR_SERVER && strstr(e->msg, "exec") != NULL)))
		r->failure = FAILURE_SCRIPT;
	crash_point("executor:stage-started");
	if (rc == 0 && (r->mem.stage->when & STAGE_AHEAD))
		container_make_ahead(r);
out:
	arena_reset(&a);
	return rc;
}

/* After a death: 1 the stage's container was started, 0 it was not. */
static int
was_started(struct run *r, struct container *c, struct err *e)
{
	struct arena a = { 0 };
	struct json_val v;
	int rc;

	rc = inspect(r, c->id, &a, &v, call_deadline(r), e);
	if (rc == 0)
		rc = !str_eqc(json_str(&a, json_path(v, "State.StartedAt")), r->mem.started_before);
	arena_reset(&a);
	return rc;
}

/* ---- its output ---- */

enum follow { FOLLOW_ENDED, FOLLOW_LOST, FOLLOW_STOPPED };

/*
 * Takes the log from where the trace stands until it ends: live, or what there is of a stopped
 * container's. FOLLOW_STOPPED: *e says by what.
 */
static enum follow
follow(struct run *r, struct container *c, bool live, mono_t until, struct err *e)
{
	int64_t skip = c->taken;
	size_t uncommitted = 0;
	mono_t settled, next;
	struct log_piece p;
	int rc;

	if (engine_logs_begin(r->logs, c->id, live, mono_min(until, mono_after(LOGS_LIMIT)), e) < 0)
		return e->kind == ERR_CANCELLED || mono_passed(until) ? FOLLOW_STOPPED : FOLLOW_LOST;
	r->next_commit = mono_after(NSEC_SEC);
	settled = mono_after(SETTLED);
	for (;;) {
		/*
		 * A stage of more than a moment: the other connection is not needed until its end,
		 * and its memory is.
		 */
		if (mono_passed(settled)) {
			engine_rest(r->api);
			settled = MONO_NEVER;
		}
		next = uncommitted > 0 ? mono_min(until, r->next_commit) : until;
		rc = engine_logs_next(r->logs, &p, mono_min(next, settled), e);
		if (rc < 0 && e->kind == ERR_TIMEOUT && !mono_passed(until)) {
			/* A quiet moment: what has come so far is safe to show. */
			if (uncommitted > 0)
				job_commit(r);
			uncommitted = 0;
			continue;
		}
		if (rc <= 0)
			break;
		if (skip > 0) {
			size_t n = (int64_t)p.bytes.n < skip ? p.bytes.n : (size_t)skip;

			skip -= (int64_t)n;
			p.bytes = str_sub(p.bytes, n, p.bytes.n);
			if (p.bytes.n == 0 && !(skip == 0 && n == 0))
				continue;
		}
		output_feed(&r->out, p.stream == DOCKERMUX_STDERR, p.bytes, p.at, p.last);
		c->taken += (int64_t)p.bytes.n;
		uncommitted += p.bytes.n + 1;
		if (p.last && (r->out.pending.n >= COMMIT_BYTES || mono_passed(r->next_commit))) {
			job_commit(r);
			uncommitted = 0;
		}
	}
	engine_logs_end(r->logs);
	if (rc == 0)
		return FOLLOW_ENDED;
	return e->kind == ERR_CANCELLED || mono_passed(until) ? FOLLOW_STOPPED : FOLLOW_LOST;
}

/* ---- its end ---- */

/*
 * Every process but the first and itself: a PID 1 shell ignores SIGTERM until its child is gone
 * (spec job-execution 1.13).
 */
static const char term_all[] =
	"{\"Cmd\":[\"sh\",\"-c\",\"for p in /proc/[0-9]*; do p=${p#/proc/}; [ \\\"$p\\\" = 1 ] || [ \\\"$p\\\" = $$ ] || kill -TERM \\\"$p\\\" 2>/dev/null; done\"]}";

static void
signal_processes(struct run *r, const char *id)
{
	struct arena a = { 0 };
	struct json_val v;
	char path[160];
	struct engine_req q = { "POST", path, STR(term_all) };
	mono_t limit = mono_after(10 * NSEC_SEC);

	snprintf(path, sizeof(path), "/containers/%s/exec", id);
	if (engine_call(r->api, &q, &a, &v, limit, NULL) == 0) {
		snprintf(path, sizeof(path), "/exec/%.100s/start", json_cstr(&a, json_get(v, "Id")));
		q.body = STR("{\"Detach\":true}");
		engine_call(r->api, &q, NULL, NULL, limit, NULL);
	}
	arena_reset(&a);
}

/*
 * Ends the container politely, then not, and takes its last words. Orders that come meanwhile make
 * it quick.
 */
static void
terminate(struct run *r, struct container *c)
{
	const char *id = c->id;
	struct err e = { 0 };
	bool now = r->sigterms > 1;
	enum follow f = FOLLOW_STOPPED;

	/* From here on only a further signal interrupts. */
	if (!now && c->kind == CONTAINER_BUILD &&
	    !work_flag(&r->work, "FF_USE_NATIVE_CONTAINER_STOP"))
		signal_processes(r, id);
	else if (!now)
		post(r, id, "kill?signal=SIGTERM", mono_after(10 * NSEC_SEC), &e);
	if (!now)
		f = follow(r, c, true, mono_after(TERM_GRACE), &e);
	if (f != FOLLOW_ENDED) {
		post(r, id, "kill?signal=SIGKILL", mono_after(KILL_GRACE), &e);
		net_control(-1);
		f = follow(r, c, true, mono_after(KILL_GRACE), &e);
		net_control(r->signals);
	}
	if (f != FOLLOW_ENDED) {
		log_warn("Container could not be stopped: the machine will not be used again", F_STR("container", id), F_ERR(&e));
		r->dirty = true;
	}
}

static void
explain_oom(struct run *r, struct json_val v)
{
	int64_t limit = json_i64(json_path(v, "HostConfig.Memory"), 0);

	if (!json_bool(json_path(v, "State.OOMKilled"), false))
		return;
	if (limit > 0)
		output_say(&r->out, tl_warning,
		    "the container hit its memory limit of %" PRId64 " MiB: the kernel ended a "
		    "process in it", limit >> 20);
	else
		output_say(&r->out, tl_warning,
		    "the machine ran out of memory: the kernel ended a process of the job");
}

/*
 * Whether a container's end was its engine's: 1 or 0, -1 when the engine cannot be asked. A
 * container that a dying machine or a stopping engine took with it has an exit code too, but not
 * its script's.
 */
static int
ended_by_engine(struct run *r, int64_t code, struct err *e)
{
	char now[80];

	if (r->mem.engine_run[0] != '\0') {
		if (reach_engine_run(r, now, e) < 0)
			return -1;
		if (now[0] != '\0')
			return strcmp(now, r->mem.engine_run) != 0;
	}
	return r->lost_once && (code == 255 || code == 137);
}

/*
 * The stage's exit code: 1 known, 0 it still runs, -1 error. A machine's failure is never the
 * script's.
 */
static int
exit_code(struct run *r, struct container *c, struct err *e)
{
	struct arena a = { 0 };
	struct json_val v;
	int rc = inspect(r, c->id, &a, &v, call_deadline(r), e);
	int64_t code;

	if (rc < 0)
		goto out;
	if (json_type(json_path(v, "State.ExitCode")) != JSON_NUMBER) {
		rc = err_set(e, ERR_PROTO, 0, "docker engine: a container without State.ExitCode");
		goto out;
	}
	if (json_bool(json_path(v, "State.Running"), false))
		goto out;
	code = json_i64(json_path(v, "State.ExitCode"), -1);
	r->exit_code = (int32_t)code;
	if (str_eqc(json_str(&a, json_path(v, "State.Status")), "created")) {
		rc = err_set(e, ERR_SERVER, 0, "container did not start: %.200s", json_cstr(&a, json_path(v, "State.Error")));
		goto out;
	}
	if (code != 0 && !json_bool(json_path(v, "State.OOMKilled"), false))
		rc = ended_by_engine(r, code, e);
	if (rc > 0)
		rc = err_set(e, ERR_SERVER, 0, "the machine or its Docker Engine restarted under the job");
	else if (rc == 0) {
		if (code != 0)
			explain_oom(r, v);
		rc = 1;
	}
out:
	arena_reset(&a);
	return rc;
}

/* Whether the engine may answer the same question a little later. */
static bool
may_pass(const struct err *e)
{
	return engine_lost(e) || err_retryable(e);
}

/* Reads the container's output to its end, through lost connections. */
static enum outcome
attend(struct run *r, struct container *c, struct err *e)
{
	mono_t lost_since = MONO_NEVER;

	for (;;) {
		int64_t before = c->taken;
		enum follow f;
		enum outcome why;
		int rc = -1;

		/*
		 * The signal of an order that was read between stages, or written while no
		 * executor lived, interrupts no wait any more.
		 */
		if (order_ends_stage(r))
			return OUT_CANCELED;
		f = follow(r, c, true, stage_deadline(r), e);
		if (f == FOLLOW_STOPPED) {
			why = interrupted(r, e);
			/* An order that does not concern this stage: on with it. */
			if (why == OUT_FAILED && e->kind == ERR_CANCELLED)
				continue;
			return why;
		}
		if (f == FOLLOW_ENDED)
			rc = exit_code(r, c, e);
		/*
		 * Engines end a followed log when the container stops, which may be before its last
		 * bytes were sent. Once it has stopped the log is whole: what is missing is read
		 * now.
		 */
		if (rc > 0 && follow(r, c, false, stage_deadline(r), e) == FOLLOW_ENDED)
			return r->exit_code == 0 ? OUT_OK : OUT_EXIT;
		if (rc > 0)
			rc = -1;
		if (rc == 0) {
			/*
			 * The log ended and the container did not: the engine was restarted with
			 * live containers, or is about to say so.
			 */
			if (net_pause(NSEC_SEC / 10, e) < 0) {
				why = interrupted(r, e);
				if (why != OUT_FAILED)
					return why;
			}
			continue;
		}
		if (!may_pass(e) && e->kind != ERR_CANCELLED)
			return OUT_FAILED;
		if (e->kind == ERR_SERVER && f == FOLLOW_ENDED)
			return OUT_FAILED;
		if (mono_is_never(lost_since) || c->taken > before)
			lost_since = mono_now();
		if (e->kind != ERR_CANCELLED && reach_again(r, lost_since, e) == 0)
			continue;
		why = interrupted(r, e);
		if (why == OUT_FAILED && e->kind == ERR_CANCELLED)
			continue;
		return why;
	}
}

/* ---- the stage ---- */

static void
forget_container(struct run *r, struct container *c)
{
	c->id[0] = '\0';
	c->taken = 0;
	r->mem.phase = PHASE_ENTER;
}

static enum outcome
run_once(struct run *r, const struct stage *s, size_t item, struct err *e)
{
	struct container *c = container_for(r, s);
	mono_t lost_since = mono_now();

	for (;;) {
		bool asked = r->mem.phase == PHASE_STARTED;
		int started = asked ? was_started(r, c, e) : 0;
		enum outcome out;

		r->not_started = false;
		if (started == 0) {
			/*
			 * Recorded but not started: the file is in place, or is put again with the
			 * same bytes.
			 */
			r->mem.phase = PHASE_ENTER;
			asked = false;
			started = begin(r, s, item, e) == 0 ? 1 : -1;
			r->not_started = started < 0;
		}
		if (started > 0) {
			r->mem.begun |= c->kind == CONTAINER_BUILD;
			return attend(r, c, e);
		}
		out = e->kind == ERR_NOTFOUND ? OUT_FAILED : interrupted(r, e);
		/*
		 * An engine that says no to a start means it; one that cannot say how a container
		 * does may know later.
		 */
		if (out != OUT_FAILED || r->failure != FAILURE_NONE || (!asked && e->kind == ERR_SERVER) ||
		    (!may_pass(e) && e->kind != ERR_CANCELLED))
			return out;
		/*
		 * The connection broke around the start (or an order for another stage came):
		 * whether it happened, the engine knows.
		 */
		if (e->kind != ERR_CANCELLED && reach_again(r, lost_since, e) < 0)
			return interrupted(r, e);
	}
}

void
stage_open_section(struct run *r, const struct stage *s, size_t item)
{
	struct buf heading = { .max = 1024 }, line = { .max = 2048 };

	output_section_start(&r->out, stage_section(s, &r->work, item));
	stage_put_heading(s, &r->work, item, &heading);
	tl_heading(&line, "%s", buf_str(&heading).p);
	output_lines(&r->out, buf_str(&line));
	buf_free(&line);
	buf_free(&heading);
}

enum outcome
stage_run(struct run *r, const struct stage *s, size_t item, struct err *e)
{
	struct container *c = container_for(r, s);
	enum outcome out;

	r->failure = FAILURE_NONE;
	if (r->mem.phase == PHASE_ENTER)
		r->lost_once = false;
	/*
	 * What is said of the image is not the script's: it stands in front of the script's
	 * section.
	 */
	if (c->kind == CONTAINER_BUILD && r->mem.phase == PHASE_ENTER && !r->mem.opened &&
	    c->id[0] == '\0' &&
	    prepare_build_image(r, e) < 0) {
		r->not_started = true;
		out = interrupted(r, e);
		if (out != OUT_FAILED || e->kind != ERR_CANCELLED)
			return out;
	}
	if (r->mem.phase == PHASE_ENTER && !r->mem.opened) {
		r->mem.opened = true;
		stage_open_section(r, s, item);
	}
	for (int tries = 1; ; tries++) {
		out = run_once(r, s, item, e);
		if (out != OUT_FAILED || e->kind != ERR_NOTFOUND ||
		    tries >= r->work.executor_attempts || outcome_is_machines(r, e))
			break;
		r->mem.begun |= c->kind == CONTAINER_BUILD && !r->not_started;
		output_say(&r->out, tl_warning,
		    "the container of this stage is gone (removed by somebody?): trying with a new "
		    "one, attempt %d of %d",
		    tries + 1, r->work.executor_attempts);
		forget_container(r, c);
	}
	if ((out == OUT_TIMEOUT || out == OUT_STAGE_TIMEOUT || out == OUT_CANCELED) && r->mem.phase == PHASE_STARTED)
		terminate(r, c);
	if (out == OUT_FAILED && e->kind == ERR_NOTFOUND)
		err_ctx(e, "the container of this stage has vanished from machine %s", r->machine);
	output_stage_end(&r->out);
	output_section_end(&r->out, stage_section(s, &r->work, item));
	r->mem.opened = false;
	return out;
}
