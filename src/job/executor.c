/*
 * An executor: runs one job on its machine, from the first contact to
 * result.json. Starting and resuming are the same code: read stage.json, find
 * the container it names, read its log from the byte where the trace stands, go on.
 *
 * It may: talk to one machine's Docker Engine with that machine's client key,
 * write in its job's directory. It must never: know a runner's token beyond
 * masking it, reach GitLab or a cloud, touch another job.
 *
 * Orders come by `cancel` and SIGTERM: the first says look, the second says now. A SIGTERM without an order is the host's,
 * which goes down: the executor ends, the job goes on.
 */
#include <sys/file.h>
#include <sys/signalfd.h>
#include <signal.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/rand.h"
#include "core/sandbox.h"
#include "docker/probe.h"
#include "job/executor.h"
#include "job/run.h"
#include "job/script.h"
#include "job/trace.h"
#include "policy/fault.h"

/* For trying out the engine of a machine that rested. */
#define PROBE_LIMIT	(60 * NSEC_SEC)
/* A wait that is worth a line in the job's log. */
#define WAITED_LEAST	(2 * NSEC_SEC)

static const char *const dns_files[] = { "/etc/hosts", "/etc/resolv.conf" };

/* ---- from stage to stage ---- */

/*
 * A job whose machine cannot run it, before the job's own first line: it goes back, and gets another one. Its trace stays, with the
 * reason at its end; without stage.json it has not begun. What is left on the machine goes with the machine. Killed half way, a
 * successor meets the same fault.
 */
static bool
give_back(struct run *r, enum outcome out, const struct err *e)
{
	struct err ignored = { 0 };
	char why[600];

	if (out != OUT_FAILED || !machine_unfit(r, e))
		return false;
	snprintf(why, sizeof(why), "%s: %s", fault_text(fault_of_err(e)), e->msg);
	log_warn("Machine can run no container: the job goes back", F_STR("name", r->machine), F_STR("error", why));
	say(r, tl_warning, "Machine %s cannot run the job: %s. Nothing of the job has run, and it gets another machine", r->machine, why);
	r->mem.opened = false;
	commit(r);
	crash_point("executor:given-back");
	(void)fs_write_fast(r->dir, JOBFILE_UNFIT, str_from(why), 0600, &ignored);
	unlinkat(r->dir, JOBFILE_STAGE, 0);
	fs_sync_dir(r->dir, &ignored);
	r->given_back = true;
	return true;
}

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
	commit(r);
	crash_point("executor:stage-done");
}

/* Between attempts: 5 s, 10 s ... 5 min, or at once without the feature flag (spec gitlab-runner 7.3). */
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
		orders_read(r);
	return r->order == ORDER_NONE && !time_is_over(r);
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
			commit(r);
			if (out != OUT_OK && out != OUT_EXIT)
				return out;
		}
		out = stage_run(r, s, item, e);
		if (out != OUT_EXIT || r->mem.attempt >= stage_attempts(s, &r->work))
			return out;
		r->mem.attempt++;
		r->mem.phase = PHASE_ENTER;
		commit(r);
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
			commit(r);
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
		say(r, tl_plain, "%s", line.p);
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
	if (give_back(r, out, &e))
		return;
	outcome_settle(r, out, &e);
	go_to(r, outcome_ends_job(r, out) ? stage_end() : stage_next(s, &r->work, r->mem.failed));
}

/* Whether the current stage is not begun because the job is over; says why. */
static bool
ended_before(struct run *r)
{
	if (r->order == ORDER_ABORT || (r->order == ORDER_CANCEL && !r->mem.script_canceled && r->mem.stage->side == STAGE_BEFORE))
		outcome_fail_order(r);
	else if (time_is_over(r))
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

static void
put_result(const struct run *r, struct buf *b)
{
	struct json_w w = { .b = b };
	char now[TIME_RFC3339_MAX];

	time_rfc3339(wall_now(), 3, now);
	jw_object(&w, NULL);
	jw_cstr(&w, "state", r->mem.failed ? "failed" : "success");
	jw_cstr(&w, "failure_reason", failure_word(r->mem.failure));
	jw_i64(&w, "exit_code", r->mem.failed ? r->mem.exit_code : 0);
	jw_cstr(&w, "text", r->mem.text);
	jw_bool(&w, "dirty", r->dirty);
	jw_cstr(&w, "finished", now);
	jw_end_object(&w);
}

/* A result that cannot be written is a job that cannot end: it waits for the disk, and is cut short only by a kill. */
static int
finish(struct run *r)
{
	struct buf b = { .max = 65536 };
	struct err e = { 0 };
	bool told = false;

	machine_tidy(r);
	last_line(r);
	put_result(r, &b);
	while (output_write(&r->out, &e) < 0 || fs_write(r->dir, JOBFILE_RESULT, buf_str(&b), 0600, &e) < 0) {
		if (!told)
			log_error("The job's result cannot be written: trying until it can", F_ERR(&e));
		told = true;
		mono_sleep(2 * NSEC_SEC);
	}
	buf_free(&b);
	crash_point("executor:result-written");
	log_info(r->mem.failed ? "Job failed" : "Job succeeded", F_STR("failure_reason", failure_word(r->mem.failure)), F_STR("text", r->mem.text),
	    F_INT("exit_code", r->mem.failed ? r->mem.exit_code : 0),
	    F_DUR("duration", wall_between(r->mem.started, wall_now())),
	    F_STR("name", r->machine));
	return EXIT_OK;
}

/* A seccomp profile of the runner's security_opt, where only root may read it. */
static void
keep_profile(const char *file)
{
	struct buf b = { .max = 1u << 20 };
	struct arena a = { 0 };
	struct json_val v;

	/* runner.json came through a poller: whatever is named there, only a profile is handed to a machine's engine. */
	if (fs_read(AT_FDCWD, file, b.max, &b, NULL) == 0 && json_parse(&a, buf_str(&b), &v, NULL) == 0 && json_present(json_get(v, "defaultAction")))
		fs_keep(file);
	buf_free(&b);
	arena_reset(&a);
}

/*
 * What comes from a job's image or a broken engine is read by this process: it is left this job, this machine and its
 * engine. All else that it will want is opened or started here, by what the runner's configuration says and before anything foreign is read.
 */
static int
confine(struct run *r, uid_t self, struct err *e)
{
	struct broker voices[BROKER_VOICES] = { { 0 } };
	struct broker_pairs pairs = { .n = 0 };
	struct sandbox_place places[20] = { { SANDBOX_WRITE, NULL, r->dir } };
	const char *auth = image_auth_file(&r->arena);
	struct work w = { 0 };
	bool dns = machine_open(r);
	struct puller_plan plan = { .job = arena_fmt(&r->arena, "%" PRId64, r->job.id),
	    .user = self, .dns = dns };
	const int ports[] = { r->engine_port, dns ? 53 : 0, 0 };
	size_t n = 1;

	/* A work of its own: the job's begins later, and its names are not drawn yet. */
	work_init(&w, &r->job, r->machine, "0000000000000000", r->concurrent_id);
	image_helpers(&w, &pairs, NULL);
	/* They end with us, and nobody asks how. */
	signal(SIGCHLD, SIG_IGN);
	if (broker_start(&pairs, voices, e) < 0 ||
	    machine_puller(r, &plan, &voices[BROKER_PULLER], e) < 0)
		return -1;
	r->broker = voices[BROKER_EXECUTOR];
	if (auth != NULL) {
		fs_keep(auth);
		places[n++] = (struct sandbox_place){ SANDBOX_READ, auth, -1 };
	}
	for (size_t i = 0; dns && i < NELEM(dns_files); i++)
		places[n++] = (struct sandbox_place){ SANDBOX_READ, dns_files[i], -1 };
	JSON_EACH(v, json_get(r->job.docker, "security_opt")) {
		struct str o = json_str(&r->arena, v);

		if (n < NELEM(places) && str_starts(o, "seccomp") && o.n > 8) {
			places[n++] = (struct sandbox_place){ SANDBOX_READ, arena_dup(&r->arena, str_sub(o, 8, o.n)), -1 };
			keep_profile(places[n - 1].path);
		}
	}
	n += machine_places(r, places + n);
	sandbox_files(places, n, 0, ports);
	identity_take(self, 0);
	sandbox_calls(dns ? SANDBOX_EXECUTOR_DNS : SANDBOX_EXECUTOR);
	return 0;
}

static int
execute(struct run *r)
{
	while (!stage_is_end(r->mem.stage)) {
		/* An order that came between stages, or while nobody lived to hear it. */
		orders_read(r);
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

/* ---- the start ---- */

/* The machine's name, and behind it on a line of its own the lowest number no other job of the runner has. */
static int
read_machine(struct run *r, struct err *e)
{
	struct buf b = { .max = 512 };
	struct str text, line;
	int rc = fs_read_vouched(r->dir, JOBFILE_MACHINE, 400, &b, e);

	if (rc == 0) {
		text = buf_str(&b);
		line = str_trim(str_cut(&text, '\n'));
		if (line.n == 0)
			rc = err_set(e, ERR_PARSE, 0, "machine: no name in it");
		r->machine = arena_dup(&r->arena, line);
		if (text.p == NULL || str_to_i64(str_trim(text), &r->concurrent_id) < 0)
			r->concurrent_id = 0;
	}
	buf_free(&b);
	return rc;
}

static int
block_sigterm(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "signalfd");
}

static int
open_job(struct run *r, const char *state_dir, const char *id, uid_t *self, struct err *e)
{
	char *jobs = fs_join(state_dir, JOBS_DIR), *path = fs_join(jobs, id);
	int jobs_dir = fs_opendir(AT_FDCWD, jobs, e), rc = -1;

	r->dir = jobs_dir < 0 ? -1 : fs_opendir(AT_FDCWD, path, e);
	if (r->dir >= 0)
		rc = jobdir_identity(jobs_dir, r->dir, id, self, e);
	if (jobs_dir >= 0)
		close(jobs_dir);
	free(jobs);
	free(path);
	if (rc < 0)
		return -1;
	r->lock = lock_take(r->dir, JOBFILE_EXECUTOR_LOCK, LOCK_TRY, e);
	if (r->lock < 0)
		return -1;
	r->signals = block_sigterm(e);
	if (r->signals < 0 || payload_read(r->dir, &r->arena, &r->job, e) < 0)
		return -1;
	return read_machine(r, e);
}

/* A job that begins: names are drawn, the clock starts, and from here on the trace is ours. */
static int
begin(struct run *r, struct err *e)
{
	struct buf heading = { .max = 4096 };
	dur_t wait;
	int trace;

	rand_hex(r->mem.tag, 16);
	r->mem.started = wall_now();
	r->mem.deadline = wall_add(r->mem.started, r->job.timeout);
	r->mem.stage = stage_at(0);
	r->mem.attempt = 1;
	snprintf(r->mem.status, sizeof(r->mem.status), "running");
	work_init(&r->work, &r->job, r->machine, r->mem.tag, r->concurrent_id);
	/* The reporter may be appending a line about waiting: it holds this lock, and stops once stage.json is there. */
	trace = trace_open(r->dir, O_RDWR, e);
	if (trace < 0)
		return -1;
	if (flock(trace, LOCK_EX) < 0) {
		err_sys(e, "lock trace");
		close(trace);
		return -1;
	}
	if (output_begin(&r->out, r->dir, &r->work, e) < 0) {
		close(trace);
		return -1;
	}
	if (r->out.length == 0) {
		trace_put_heading(&r->job, &heading);
		output_lines(&r->out, buf_str(&heading));
		buf_free(&heading);
	}
	wait = wall_between(r->job.received, r->mem.started);
	if (wait >= WAITED_LEAST) {
		char waited[40];

		time_go_duration(wait / NSEC_SEC * NSEC_SEC, waited);
		say(r, tl_plain, "  on machine %s, after a wait of %s", r->machine, waited);
	}
	commit(r);
	close(trace);
	crash_point("executor:begun");
	return 0;
}

static int
resume(struct run *r, struct json_val saved, int64_t trace, struct err *e)
{
	int64_t n;

	work_init(&r->work, &r->job, r->machine, r->mem.tag, r->concurrent_id);
	n = (int64_t)stage_items(r->mem.stage, &r->work);
	if (r->mem.item > n || (r->mem.phase == PHASE_STARTED && r->mem.item >= n))
		return err_set(e, ERR_PARSE, 0, "stage.json is damaged: step %" PRId64 " of %" PRId64, r->mem.item, n);
	if (r->mem.stage->side == STAGE_AFTER)
		work_set_status(&r->work, r->mem.status);
	if (output_resume(&r->out, r->dir, &r->work, trace, saved, e) < 0)
		return -1;
	log_info("Going on with a job", F_INT("trace", trace), F_STR("stage", r->mem.stage->name));
	return 0;
}

/* The end of a job whose machine cannot be reached any more, begun long ago by a predecessor. */
static int
lost_machine(struct run *r, const struct err *e)
{
	r->dirty = true;
	outcome_fail(r, FAILURE_SYSTEM, 0, e->msg);
	return finish(r);
}

/* A predecessor's job on a machine that does not answer yet (it boots, the network is away): patience, as in mid-job. */
static int
connect_patiently(struct run *r, struct err *e)
{
	mono_t give_up = mono_after(LOST_LIMIT);

	while (machine_connect(r, e) < 0) {
		if (machine_gone(r))
			return machine_gone_why(r, e);
		if (mono_passed(give_up) || time_is_over(r))
			return -1;
		if (net_pause(5 * NSEC_SEC, e) < 0)
			orders_read(r);
		if (r->order == ORDER_ABORT)
			return -1;
	}
	return 0;
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
	if (open_job(r, o[0].value, o[1].value, &self, &e) < 0) {
		if (e.kind == ERR_CONFLICT)
			return EXIT_BUSY;
		log_error("Executor cannot begin", F_ERR(&e));
		return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
	}
	if (fs_exists(r->dir, JOBFILE_RESULT))
		return EXIT_OK;
	if (confine(r, self, &e) < 0) {
		log_error("Executor cannot begin", F_ERR(&e));
		return EXIT_RETRY;
	}
	known = memory_read(r, &saved, &trace, &e);
	if (known < 0) {
		log_error("Executor cannot go on", F_ERR(&e));
		return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
	}
	orders_heed(r);
	if (known == 0) {
		/* Nothing is written before the machine has answered: until then the job may go to another one. */
		if (r->order == ORDER_NONE && (machine_connect(r, &e) < 0 || (o[2].number && engine_probe(r->api, mono_after(PROBE_LIMIT), &e) < 0))) {
			if (e.kind == ERR_CANCELLED)
				orders_read(r);
			if (r->order == ORDER_NONE) {
				log_warn("Machine is not usable", F_ERR(&e));
				(void)fs_write_fast(r->dir, JOBFILE_UNFIT, str_from(e.msg), 0600, NULL);
				return EXIT_MACHINE;
			}
		}
		if (begin(r, &e) < 0) {
			log_error("Executor cannot begin", F_ERR(&e));
			return EXIT_RETRY;
		}
		if (r->api == NULL) {
			outcome_fail_order(r);
			return finish(r);
		}
	} else {
		if (resume(r, saved, trace, &e) < 0) {
			log_error("Executor cannot go on", F_ERR(&e));
			return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
		}
		/* The image is known, and there is nothing left to be pulled. */
		if (r->mem.stage->where != STAGE_ENGINE && r->mem.build_image[0] != '\0')
			puller_end(&r->puller);
		if (!stage_is_end(r->mem.stage) && connect_patiently(r, &e) < 0)
			return lost_machine(r, &e);
		if (r->api == NULL && machine_connect(r, &e) < 0)
			return lost_machine(r, &e);
	}
	volumes_plan(&r->work, &r->volumes, &e);
	return execute(r);
}
