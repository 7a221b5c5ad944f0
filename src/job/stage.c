/*
 * Running one stage: attach to its container, start it, give its shell the script, take what it says
 * until it stops (stream.h). Whoever comes here after a death finds in stage.json which container it
 * is, how much of what it said is in the trace already, and whether its script began (docs/streams.md;
 * design: an executor can be started twice).
 */
#include "core/crash.h"
#include "core/log.h"
#include "core/rand.h"
#include "job/run.h"

/* From SIGTERM to the processes until SIGKILL, and from that until we stop listening. */
#define TERM_GRACE	(10 * NSEC_SEC)
#define KILL_GRACE	(20 * NSEC_SEC)
#define TAIL_LIMIT	(600 * NSEC_SEC)	/* for the log of a container that has ended */
#define SCRIPT_MAX	(256u << 20)
#define GIVEN_MAX	3			/* times that a text is given which nothing came of */

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

/* The engine's StartedAt of a container that never ran. */
#define NEVER_STARTED	"0001-01-01"

static int64_t
taken_of(const struct container *c)
{
	return c->legacy ? c->together : c->taken[0].bytes + c->taken[1].bytes;
}

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

/* The stage's script, and the token of this run of its container. */
static int
make_script(struct run *r, struct container *c, size_t item, struct buf *script, struct err *e)
{
	*script = (struct buf){ .max = SCRIPT_MAX };
	rand_hex(c->passage.token, MARKER_TOKEN);
	r->running->script(&r->work, item, script);
	if (!script->failed)
		return 0;
	buf_wipe(script);
	return err_set(e, ERR_CONFIG, 0, "the stage's script is larger than %u MiB", SCRIPT_MAX >> 20);
}

/* Whether its container had never run when this stage came to it. */
static bool
never_started(const struct run *r)
{
	return str_starts(str_from(r->mem.started_before), NEVER_STARTED);
}

static void
forget_container(struct run *r, struct container *c)
{
	c->id[0] = '\0';
	r->spent = false;
	container_is_new(c);
	r->mem.phase = PHASE_ENTER;
}

/*
 * Attaches, notes what is about to be started, starts it. Not a byte of the text goes out before the
 * engine has said that it started: a start that was not answered has run nothing.
 */
static int
begin(struct run *r, struct container *c, size_t item, struct err *e)
{
	struct buf script;
	struct arena a = { 0 };
	struct json_val v;
	int rc = -1;

	/* One of a version before waits for no text. */
	if (c->id[0] != '\0' && c->legacy)
		forget_container(r, c);
	for (;;) {
		if (c->id[0] == '\0' && container_make(r, c, e) < 0)
			goto out;
		crash_point("executor:container-made");
		if (inspect(r, c->id, &a, &v, call_deadline(r), e) < 0)
			goto out;
		str_copy(json_str(&a, json_path(v, "State.StartedAt")), r->mem.started_before, sizeof(r->mem.started_before));
		if (!r->spent || !never_started(r))
			break;
		forget_container(r, c);
	}
	c->passage = (struct passage){ .begun = false };
	if (make_script(r, c, item, &script, e) < 0)
		goto out;
	r->spent |= stream_attached(r);
	if (stream_attach(r, c, &script, e) < 0) {
		r->spent = true;
		goto out;
	}
	crash_point("executor:stage-attached");
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
		f = stream_follow(r, c, true, mono_after(TERM_GRACE), &e);
	if (f != FOLLOW_ENDED) {
		post(r, id, "kill?signal=SIGKILL", mono_after(KILL_GRACE), &e);
		net_control(-1);
		f = stream_follow(r, c, true, mono_after(KILL_GRACE), &e);
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
	/* Somebody removes it under the job: what its engine says of its end is that removal's. */
	if (str_eqc(json_str(&a, json_path(v, "State.Status")), "removing") ||
	    str_eqc(json_str(&a, json_path(v, "State.Status")), "dead")) {
		rc = err_set(e, ERR_NOTFOUND, 0, "docker engine: the container is being removed");
		goto out;
	}
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

/* ---- whose files ---- */

/*
 * Without umask 0000 the helper's checkout is root's alone: it becomes that of the user whom the
 * waiting shell has, process 1 (spec job-execution 3.5). Root has it already.
 */
static const char own_all[] =
	"while read -r k v r; do case $k in Uid:) u=$v;; Gid:) g=$v;; esac; done </proc/1/status; "
	"[ \"$u\" != 0 ] || exit 0; for d; do [ ! -e \"$d\" ] || chown -R \"$u:$g\" \"$d\" || exit; done";

static bool
owning_wanted(const struct run *r, const struct container *c)
{
	return c->kind == CONTAINER_BUILD && r->running->side == STAGE_SCRIPT &&
	    work_flag(&r->work, "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR") &&
	    r->job.runner.docker.pid_mode[0] == '\0';
}

/* The user and group of the container's first process, as its machine counts them, "1000:1000"; "" if that is not known. */
static void
shell_user(struct run *r, const char *id, char out[40])
{
	struct arena a = { 0 };
	struct json_val v;
	char path[200], *word[3] = { NULL };
	size_t n = 0;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/containers/%s/top?ps_args=-eo%%20pid,uid,gid", id);
	if (engine_get(r->api, path, &a, &v, call_deadline(r), NULL) == 0)
		JSON_EACH(process, json_get(v, "Processes")) {
			JSON_EACH(text, process)
				if (n < NELEM(word))
					word[n++] = json_cstr(&a, text);
			break;
		}
	if (n == NELEM(word))
		snprintf(out, 40, "%.18s:%.18s", word[1], word[2]);
	arena_reset(&a);
}

static void
say_owner(struct run *r, const char *id)
{
	char user[40];

	shell_user(r, id, user);
	if (str_starts(str_from(user), "0:"))
		return;
	output_say(&r->out, tl_plain, "Changing ownership of files at \"%s\" to %s", r->work.project_dir, user);
	output_say(&r->out, tl_plain, "Changing ownership of files at \"%s\" to %s", r->work.tmp_dir, user);
}

/* Runs it in the build container, which waits for its script. */
static int
own_files(struct run *r, const char *id, struct err *e)
{
	const char *argv[] = { "sh", "-c", own_all, "sh", r->work.project_dir, r->work.tmp_dir };
	struct buf body = { .max = 65536 };
	struct json_w w = { .b = &body };
	struct engine_req q = { .method = "POST" };
	struct arena a = { 0 };
	struct json_val v;
	char path[200], exec[100];
	int rc;

	jw_object(&w, NULL);
	jw_array(&w, "Cmd");
	for (size_t i = 0; i < NELEM(argv); i++)
		jw_cstr(&w, NULL, argv[i]);
	jw_end_array(&w);
	jw_cstr(&w, "User", "0:0");
	jw_bool(&w, "AttachStdout", true);
	jw_bool(&w, "AttachStderr", true);
	jw_end_object(&w);
	snprintf(path, sizeof(path), "/containers/%s/exec", id);
	q.path = path;
	q.body = buf_str(&body);
	rc = engine_call(r->api, &q, &a, &v, call_deadline(r), e);
	snprintf(exec, sizeof(exec), "%.99s", rc == 0 ? json_cstr(&a, json_get(v, "Id")) : "");
	snprintf(path, sizeof(path), "/exec/%s/start", exec);
	q.body = STR("{\"Detach\":false}");
	/* Its answer ends when the command does. */
	if (rc == 0)
		rc = engine_call(r->api, &q, NULL, NULL, stage_deadline(r), e);
	snprintf(path, sizeof(path), "/exec/%s/json", exec);
	if (rc == 0)
		rc = engine_get(r->api, path, &a, &v, call_deadline(r), e);
	if (rc == 0 && json_i64(json_get(v, "ExitCode"), -1) != 0)
		rc = err_set(e, ERR_SERVER, 0, "chown -R ended with status %" PRId64, json_i64(json_get(v, "ExitCode"), -1));
	arena_reset(&a);
	buf_free(&body);
	return rc;
}

/* Whether the engine may answer the same question a little later. */
static bool
may_pass(const struct err *e)
{
	return engine_lost(e) || err_retryable(e);
}

/* The word on a script whose container stopped and marked no end, by its exit code 0. */
static enum outcome
unmarked(struct run *r, const struct container *c, struct err *e)
{
	if (c->passage.partial) {
		r->failure = FAILURE_SYSTEM;
		err_set(e, ERR_PROTO, 0, "the machine's log of the job is incomplete (is its disk full?): how the script ended is not known");
	} else if (c->passage.begun) {
		r->failure = FAILURE_SCRIPT;
		err_set(e, ERR_CONFIG, 0, "the container stopped with status 0 before the script had ended");
	} else {
		r->failure = FAILURE_SCRIPT;
		err_set(e, ERR_CONFIG, 0,
		    "the image's entrypoint ended without running the script: it must end in a shell that reads "
		    "its standard input, or be set to [\"\"] in the job's image:entrypoint");
	}
	return OUT_FAILED;
}

/* What became of the script, whose container stopped with r->exit_code, and of which all there is was taken. */
static enum outcome
verdict(struct run *r, const struct container *c, struct err *e)
{
	const struct passage *p = &c->passage;

	if (p->partial)
		output_say(&r->out, tl_warning,
		    "the machine's log of this container is shorter than what it had said (is the machine's disk "
		    "full?): a part of the output is lost");
	if (r->exit_code != 0)
		return OUT_EXIT;
	/* A version before marked nothing. */
	if (p->token[0] == '\0')
		return OUT_OK;
	if (!p->ended[0] && !p->ended[1])
		return unmarked(r, c, e);
	/* A wrapper around the shell may swallow its status. */
	r->exit_code = p->status;
	return r->exit_code == 0 ? OUT_OK : OUT_EXIT;
}

/*
 * Whether a stage is to be begun again whose container stopped: its text never arrived, so nothing of
 * it ran.
 */
static bool
nothing_ran(const struct run *r, const struct container *c)
{
	return c->passage.token[0] != '\0' && !c->passage.begun && (!c->passage.delivered || r->spent);
}

/* One go at the container's output: gives it the script if that is still to be done. */
static enum follow
serve(struct run *r, struct container *c, struct err *e)
{
	enum follow f = FOLLOW_ENDED;

	if (stream_attached(r) && !c->passage.delivered) {
		struct err why = { 0 };

		if (owning_wanted(r, c))
			say_owner(r, c->id);
		if (owning_wanted(r, c) && own_files(r, c->id, &why) < 0)
			output_say(&r->out, tl_warning, "the files of the checkout could not be given to the job's user: %s", why.msg);
		f = stream_deliver(r, c, stage_deadline(r), e);
		crash_point("executor:stage-delivered");
		if (f == FOLLOW_ENDED && (r->running->when & STAGE_AHEAD))
			container_make_ahead(r);
	}
	return f == FOLLOW_ENDED ? stream_follow(r, c, true, stage_deadline(r), e) : f;
}

/* Takes the container's output to its end, through lost connections. */
static enum outcome
attend(struct run *r, struct container *c, struct err *e)
{
	mono_t lost_since = MONO_NEVER;

	for (;;) {
		int64_t before = taken_of(c);
		enum follow f;
		enum outcome why;
		int rc = -1;

		/*
		 * The signal of an order that was read between stages, or written while no
		 * executor lived, interrupts no wait any more.
		 */
		if (order_ends_stage(r))
			return OUT_CANCELED;
		f = serve(r, c, e);
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
		 * A followed log may end before its last bytes were sent, and an engine that goes
		 * down ends an attach. Once the container has stopped the log is whole: what is
		 * missing is read now, in our own time.
		 */
		if (rc > 0 && (stream_complete(c) ||
		    stream_follow(r, c, false, mono_after(TAIL_LIMIT), e) == FOLLOW_ENDED))
			return verdict(r, c, e);
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
		if (mono_is_never(lost_since) || taken_of(c) > before)
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

/*
 * The container was attached to and left before its start, or it stopped with nothing run: the one
 * that this stage was the first to use is made again, another is started once more.
 */
static void
renew(struct run *r, struct container *c, bool spent)
{
	r->mem.phase = PHASE_ENTER;
	r->spent = spent;
	if (never_started(r))
		forget_container(r, c);
}

static enum outcome
run_once(struct run *r, const struct stage *s, size_t item, struct err *e)
{
	struct container *c = container_for(r, s);
	mono_t lost_since = mono_now();
	int given = 0;

	for (;;) {
		bool asked = r->mem.phase == PHASE_STARTED;
		int started = asked ? was_started(r, c, e) : 0;
		enum outcome out;

		r->not_started = false;
		if (started == 0) {
			if (asked)
				renew(r, c, true);
			asked = false;
			started = begin(r, c, item, e) == 0 ? 1 : -1;
			r->not_started = started < 0;
		}
		if (started > 0) {
			r->mem.begun |= c->kind == CONTAINER_BUILD;
			out = attend(r, c, e);
			if ((out != OUT_EXIT && out != OUT_FAILED) || !nothing_ran(r, c) || ++given >= GIVEN_MAX)
				return out;
			log_info("The container stopped before it had its script: beginning the stage again",
			    F_STR("stage", s->name));
			renew(r, c, false);
			continue;
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
	r->running = s;
	/* A predecessor may have attached and died before it noted that. */
	r->spent = r->inherited && r->mem.phase == PHASE_ENTER;
	r->inherited = false;
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
	stream_close(r);
	if (out == OUT_FAILED && e->kind == ERR_NOTFOUND)
		err_ctx(e, "the container of this stage has vanished from machine %s", r->machine);
	output_stage_end(&r->out);
	output_section_end(&r->out, stage_section(s, &r->work, item));
	r->mem.opened = false;
	return out;
}
