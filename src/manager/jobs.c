/*
 * The life of a job as the manager sees it: it arrives, waits, gets a
 * machine and an executor, has a result, is reported, and its directory
 * goes. Every step is in the directory before it is in the tables.
 */
#include <sys/inotify.h>
#include <signal.h>
#include <unistd.h>

#include "books/failure.h"
#include "books/jobdir.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/history.h"
#include "manager/parts.h"
#include "wire/json.h"

/* How long what a job waits for has to last before its log is told, and the least time between two such lines. */
#define TELL_AFTER	(2 * NSEC_SEC)
#define TELL_AGAIN	(5 * NSEC_SEC)
/* System failures of a machine's jobs in a row after which it is not used again, whatever they were. */
#define SYSTEM_FAILURES_MAX	2
/* How many machines a job may try before it is the job's own end (spec gitlab-runner 7.3). */
#define MACHINES_MAX	3
/* Deaths of an executor in a row without a new stage after which the job is given up. */
#define EXECUTOR_DEATHS_MAX	6
/* One that lived for longer than this did not die of how it began. */
#define EXECUTOR_LIVED	(60 * NSEC_SEC)

static int
job_dir(struct manager *m, struct job *j, struct err *e)
{
	return fs_opendir(m->jobs_fd, j->id, e);
}

/* What a job's end says of its machine. A cancelled one, and one that its registry failed, say nothing. */
static void
judge_machine(struct manager *m, struct job *j, struct machine *mc)
{
	enum failure why = failure_of(str_from(j->result));

	if (j->dirty)
		mc->flags |= SCALE_F_DOOMED;
	if (strcmp(j->result, "success") == 0 || why == FAILURE_SCRIPT) {
		mc->system_failures = 0;
		mc->tried_at = mono_now();
	}
	if (!failure_is_system(why) || ++mc->system_failures < SYSTEM_FAILURES_MAX)
		return;
	log_warn("Machine goes: two of its jobs in a row were system failures", F_STR("name", mc->name), F_STR("error", j->result_text));
	event_note(m, EVENT_MACHINE, ABOUT(.machine = mc), "unfit",
	    "two of its jobs in a row were system failures, the last one: %s", j->result_text);
	mc->flags |= SCALE_F_DOOMED;
}

static void
job_ended(struct manager *m, struct job *j)
{
	struct machine *mc = j->machine;

	if (j->state == JOB_ENDED)
		return;
	j->state = JOB_ENDED;
	j->ended = wall_now();
	history_job(m, j);
	event_note(m, EVENT_ENDED, ABOUT(.machine = mc, .job = j),
	    j->result[0] != '\0' ? j->result : "unknown", "%s", j->result_text);
	log_info("Removed job from processing list", F_STR("job", j->id),
	    F_INT("builds", jobs_active(m, NULL)), F_INT("max_builds", m->config->concurrent));
	m->dirty = true;
	j->machine = NULL;
	if (mc == NULL)
		return;
	mc->job = NULL;
	if (mc->state == SCALE_USED)
		mc->state = SCALE_IDLE;
	judge_machine(m, j, mc);
	machines_used(m, mc, true);
}

/* The result of a job that has no executor to write it. */
static void
job_fail(struct manager *m, struct job *j, enum failure why, const char *text, bool dirty)
{
	/* The trace is the reporter's as long as no executor lives: it writes the last line. */
	const struct jobdir_result result = { .reason = failure_word(why), .text = text, .dirty = dirty, .told = false,
		.finished = wall_now() };
	struct err e = { 0 };
	int dir;

	dir = job_dir(m, j, &e);
	if (dir < 0 || jobdir_result_write(dir, &result, &e) < 0) {
		/* A full disk: the next round of jobs_tend() comes here again. */
		log_error("Result of the job could not be written", F_STR("job", j->id), F_ERR(&e));
	} else {
		snprintf(j->result, sizeof(j->result), "%s", failure_word(why));
		snprintf(j->result_text, sizeof(j->result_text), "%s", text);
		log_warn("Job failed before it could run", F_STR("job", j->id), F_STR("failure_reason", j->result), F_STR("text", text));
		j->dirty = dirty;
		job_ended(m, j);
	}
	if (dir >= 0)
		close(dir);
}

void
job_give_up(struct manager *m, struct job *j, const char *text)
{
	if (j->state == JOB_WAITING)
		job_fail(m, j, FAILURE_SYSTEM, text, false);
}

/* The machine did not take the job: back into the queue, first come first served by its arrival. */
static void
job_unassign(struct manager *m, struct job *j)
{
	struct machine *mc = j->machine;
	struct arena a = { 0 };
	struct err e = { 0 };
	int dir = job_dir(m, j, &e);

	j->refused[0] = '\0';
	if (dir >= 0) {
		snprintf(j->refused, sizeof(j->refused), "%s", jobdir_text(dir, JOBFILE_UNFIT, &a));
		/* What was said of that machine does not concern the next one. */
		jobdir_place_drop(dir);
		close(dir);
	}
	arena_reset(&a);
	event_note(m, EVENT_BACK, ABOUT(.machine = mc, .job = j), "unavailable",
	    "the machine could not be used%s%s", j->refused[0] != '\0' ? ": " : "", j->refused);
	j->state = JOB_WAITING;
	j->assigned = WALL_UNKNOWN;
	j->machine = NULL;
	j->machine_name[0] = '\0';
	if (mc != NULL)
		mc->job = NULL;
	m->dirty = true;
}

static void executor_ended(struct manager *m, struct watch *w);
static void reporter_ended(struct manager *m, struct watch *w);

/* Executor and reporter alike: a process of its own session that needs nothing but the job's directory. */
static void
start_worker(struct manager *m, struct job *j, struct child *c, const char *role, watch_fn *ended)
{
	char name[32];
	bool rested = strcmp(role, "executor") == 0 && j->machine != NULL && machines_rested(j->machine);
	const char *argv[] = { name, "--state-dir", m->state_dir, "--job", j->id, rested ? "--probe" : NULL, NULL };
	struct err e = { 0 };
	pid_t pid;
	int fd;

	snprintf(name, sizeof(name), "windlass-%s", role);
	fd = proc_self(argv, NULL, 0, PROC_OUTLIVES_PARENT, &pid, &e);
	if (fd < 0) {
		log_error("Process of the job could not be started", F_STR("job", j->id), F_STR("role", role), F_ERR(&e));
		child_again_later(c);
		return;
	}
	child_watch(m, c, (struct child_process){ pid, fd, false }, ended, j);
	log_debug("Started", F_STR("role", role), F_STR("job", j->id), F_INT("pid", pid));
}

static void
start_reporter(struct manager *m, struct job *j)
{
	/* It may send this job's trace and result to GitLab, and nothing else. */
	start_worker(m, j, &j->reporter, "reporter", reporter_ended);
	crash_point("manager:reporter-started");
}

static void
start_executor(struct manager *m, struct job *j)
{
	/* It may use this job's machine and write into this job's directory. */
	start_worker(m, j, &j->executor, "executor", executor_ended);
	crash_point("manager:executor-started");
}

/* What the directory says now. */
void
job_refresh(struct manager *m, struct job *j)
{
	struct jobdir_result result;
	struct arena a = { 0 };
	struct err e = { 0 };
	bool begun, lost;
	int dir = job_dir(m, j, &e);

	if (dir < 0)
		return;
	j->reported = fs_exists(dir, JOBFILE_REPORTED);
	begun = j->stage_news = fs_exists(dir, JOBFILE_STAGE);
	if (begun && !j->begun)
		j->executor.deaths = 0;
	j->begun = begun;
	lost = fs_exists(dir, JOBFILE_LOST);
	if (lost && !j->lost && j->machine != NULL)
		machines_doubt(m, j->machine, "its job does not reach it");
	j->lost = lost;
	if (j->state == JOB_ENDED || !fs_exists(dir, JOBFILE_RESULT)) {
		/* An order to end reaches a job that has no executor through us. */
		if (j->state == JOB_WAITING && fs_exists(dir, JOBFILE_CANCEL)) {
			close(dir);
			job_fail(m, j, FAILURE_CANCELED, "canceled", false);
			return;
		}
		close(dir);
		return;
	}
	j->dirty = true;
	if (jobdir_result_read(dir, &a, &result, &e) == 0)
		job_take_result(j, &result);
	job_ended(m, j);
	arena_reset(&a);
	close(dir);
}

static void
executor_ended(struct manager *m, struct watch *w)
{
	struct job *j = w->owner;
	bool adopted = j->executor.adopted;
	bool quick = mono_since(j->executor.started) < EXECUTOR_LIVED;
	int status = child_bury(m, &j->executor);
	struct machine *mc = j->machine;
	char text[400];

	m->dirty = true;
	job_refresh(m, j);
	if (j->state != JOB_RUNNING)
		return;
	if (status == EXIT_MACHINE && !j->begun) {
		log_warn("Machine could not be used by a job", F_STR("name", j->machine_name), F_STR("job", j->id));
		job_unassign(m, j);
		if (mc != NULL)
			machines_remove_for(m, mc, "machine is unavailable", scale_why_word(SCALE_WHY_UNAVAILABLE),
			    str_from(j->refused[0] != '\0' ? j->refused : "a job could not use it"));
		if (++j->machines_tried >= MACHINES_MAX) {
			snprintf(text, sizeof(text), "three machines in a row could not be used%s%s; see the log of windlass on the bastion",
			    j->refused[0] != '\0' ? ", the last one: " : "", j->refused);
			job_fail(m, j, FAILURE_SYSTEM, text, false);
		}
		return;
	}
	if (status == EXIT_DAMAGED) {
		job_fail(m, j, FAILURE_SYSTEM, "its files on the runner's host are damaged; see the log of windlass there", true);
		return;
	}
	if (!adopted && status != EXIT_RETRY)
		log_warn("Executor ended without a result: starting it again", F_STR("job", j->id), F_INT("status", status));
	/* Seven deaths in a row are a job that kills its executor; seven in a day are a bastion's bad day. */
	if (!quick)
		j->executor.deaths = 0;
	if (j->executor.deaths >= EXECUTOR_DEATHS_MAX) {
		job_fail(m, j, FAILURE_SYSTEM, "its executor died again and again; see the log of windlass on the bastion", true);
		return;
	}
	/* The first restart is at once: a kill -9 should cost the job nothing. */
	if (j->executor.deaths == 0)
		j->executor.deaths++;
	else
		child_again_later(&j->executor);
}

/* Nobody can speak for it any more: it goes, its machine after it. */
static void
job_lost(struct manager *m, struct job *j)
{
	j->dirty = true;
	snprintf(j->result, sizeof(j->result), "%s", failure_word(FAILURE_SYSTEM));
	snprintf(j->result_text, sizeof(j->result_text), "its files were damaged");
	job_ended(m, j);
	if (j->wd >= 0)
		inotify_rm_watch(m->inotify, j->wd);
	model_put_aside(m, j->id, j->result_text);
	job_free(m, j);
}

static void
reporter_ended(struct manager *m, struct watch *w)
{
	struct job *j = w->owner;
	bool adopted = j->reporter.adopted;
	bool quick = mono_since(j->reporter.started) < 10 * NSEC_SEC;
	int status = child_bury(m, &j->reporter);

	m->dirty = true;
	job_refresh(m, j);
	if (j->reported)
		return;
	/* Without a number and a token nobody can tell GitLab anything. An executor that lives is let end (jobs_tend). */
	j->unspeakable |= status == EXIT_DAMAGED;
	if (!adopted && status != EXIT_RETRY && status != EXIT_DAMAGED)
		log_warn("Reporter ended before the result was delivered: starting it again",
		    F_STR("job", j->id), F_INT("status", status));
	if (quick)
		child_again_later(&j->reporter);
	else
		j->reporter.deaths = 0;
}

/* What its reporter counted. */
static void
count_calls(struct manager *m, struct job *j)
{
	struct buf b = { .max = 1u << 16 };
	struct arena a = { 0 };
	struct err e = { 0 };
	struct json_val v;
	int dir = job_dir(m, j, &e);

	if (dir >= 0 && fs_read(dir, JOBFILE_REPORTED, b.max, &b, &e) == 0 && json_parse(&a, buf_str(&b), &v, &e) == 0)
		metrics_reported(m, j->pool, &a, v);
	if (dir >= 0)
		close(dir);
	buf_free(&b);
	arena_reset(&a);
}

/* Its directory is moved away first: a half-deleted job must not look like one. */
static void
job_bury(struct manager *m, struct job *j)
{
	char gone[160], tag[9];
	struct err e = { 0 };

	rand_hex(tag, 8);
	snprintf(gone, sizeof(gone), JOBDIR_GONE "%.100s.%s", j->id, tag);
	if (j->wd >= 0)
		inotify_rm_watch(m->inotify, j->wd);
	j->wd = -1;
	count_calls(m, j);
	if (fs_rename(m->jobs_fd, j->id, m->jobs_fd, gone, &e) < 0 && e.kind != ERR_NOTFOUND) {
		log_error("Job directory could not be removed", F_STR("job", j->id), F_ERR(&e));
		child_again_later(&j->reporter);
		return;
	}
	crash_point("manager:job-renamed");
	event_note(m, EVENT_DONE, ABOUT(.job = j), j->result[0] != '\0' ? j->result : "unknown",
	    "%s", "GitLab has its result");
	if (fs_remove_tree(m->jobs_fd, gone, &e) < 0)
		log_warn("Job directory could not be deleted; the next start sweeps it", F_STR("directory", gone), F_ERR(&e));
	log_debug("Job is done", F_STR("job", j->id));
	job_free(m, j);
}

static void
watch_dir(struct manager *m, struct job *j)
{
	char *path = fs_join(m->state_dir, JOBS_DIR), *dir = fs_join(path, j->id);

	j->wd = inotify_add_watch(m->inotify, dir, IN_MOVED_TO | IN_CREATE);
	if (j->wd < 0 && m->inotify >= 0)
		log_warn("inotify_add_watch: the job's files are looked at every few seconds instead",
		    F_STR("job", j->id), F_STR("error", strerror(errno)));
	free(path);
	free(dir);
}

void
jobs_notify(struct manager *m, struct watch *w)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t n;

	while ((n = read(w->fd, events, sizeof(events))) > 0) {
		for (char *p = events; p < events + n; ) {
			struct inotify_event *ev = (struct inotify_event *)(void *)p;

			/* A poller that died between the rename and its message leaves a job all the same. */
			if (ev->wd == m->jobs_wd && ev->len > 0 && ev->name[0] != '.')
				job_arrived(m, str_from(ev->name));
			LIST_EACH(struct job, j, link, &m->jobs)
				if (j->wd == ev->wd && ev->len > 0 && ev->name[0] != '.')
					job_refresh(m, j);
			p += sizeof(*ev) + ev->len;
		}
	}
	m->dirty = true;
}

static void
adopt_or_start(struct manager *m, struct job *j)
{
	struct err e = { 0 };
	int dir = job_dir(m, j, &e);

	if (dir < 0)
		return;
	watch_dir(m, j);
	if (child_adopt(m, &j->executor, dir, JOBFILE_EXECUTOR_LOCK, executor_ended, j))
		log_info("Found the executor of a running job", F_STR("job", j->id), F_INT("pid", j->executor.pid));
	if (child_adopt(m, &j->reporter, dir, JOBFILE_REPORTER_LOCK, reporter_ended, j))
		log_info("Found the reporter of a job", F_STR("job", j->id), F_INT("pid", j->reporter.pid));
	close(dir);
	m->life.adopted += child_alive(&j->executor) + child_alive(&j->reporter);
	job_refresh(m, j);
}

void
jobs_watch(struct manager *m)
{
	char *path = fs_join(m->state_dir, JOBS_DIR);

	m->jobs_wd = inotify_add_watch(m->inotify, path, IN_MOVED_TO);
	free(path);
}

void
jobs_start(struct manager *m)
{
	LIST_EACH(struct job, j, link, &m->jobs) {
		/* No poller of ours has brought it. */
		j->announced = true;
		/* It ended while no manager was there to see it. */
		if (j->state == JOB_ENDED) {
			struct machine *mc = machine_find(m, j->machine_name);

			history_job(m, j);
			if (mc != NULL && j->dirty)
				mc->flags |= SCALE_F_DOOMED;
		}
		adopt_or_start(m, j);
	}
}

void
job_arrived(struct manager *m, struct str id)
{
	char name[128];
	struct job *j;

	if (str_copy(id, name, sizeof(name)) < 0 || strchr(name, '/') != NULL || name[0] == '.') {
		log_error("A poller named an impossible job", F_VIEW("job", id));
		return;
	}
	if (job_find(m, name) != NULL)
		return;
	j = model_load_job(m, name);
	if (j == NULL)
		return;
	crash_point("manager:job-known");
	log_info("Added job to processing list", F_STR("job", j->id), F_STR("runner", j->pool->conf != NULL ? j->pool->conf->short_token : ""),
	    F_INT("builds", jobs_active(m, NULL)), F_INT("max_builds", m->config->concurrent));
	event_note(m, EVENT_ARRIVED, ABOUT(.job = j), "job", "%s", "");
	watch_dir(m, j);
	job_refresh(m, j);
	m->dirty = true;
}

static int64_t
free_slot(const struct manager *m, const struct pool *p)
{
	int64_t slot = 0;
	bool taken;

	do {
		taken = false;
		LIST_EACH(struct job, j, link, &m->jobs)
			taken |= j->pool == p && j->state == JOB_RUNNING && j->slot == slot;
		slot += taken;
	} while (taken);
	return slot;
}

void
job_assign(struct manager *m, struct job *j, struct machine *mc, const char *why, struct str sentence)
{
	struct err e = { 0 };
	int dir;

	/* Counted before it is given: a use too many sends a machine away early, one too few would break MaxBuilds. */
	mc->uses++;
	machines_used(m, mc, false);
	crash_point("manager:use-counted");
	dir = job_dir(m, j, &e);
	j->slot = free_slot(m, j->pool);
	if (dir < 0 || jobdir_place_write(dir, &(struct jobdir_place){ mc->name, j->slot }, &e) < 0) {
		log_error("Job could not be given its machine", F_STR("job", j->id), F_STR("name", mc->name), F_ERR(&e));
		mc->uses--;
		goto out;
	}
	crash_point("manager:job-assigned");
	j->state = JOB_RUNNING;
	j->assigned = wall_now();
	j->machine = mc;
	snprintf(j->machine_name, sizeof(j->machine_name), "%s", mc->name);
	mc->job = j;
	mc->state = SCALE_USED;
	event_note(m, EVENT_ASSIGN, ABOUT(.machine = mc, .job = j), why, "%.*s", STR_ARG(sentence));
	log_info("Using existing docker-machine", F_STR("job", j->id), F_STR("name", mc->name), F_INT("usedCount", mc->uses));
	start_executor(m, j);
out:
	if (dir >= 0)
		close(dir);
}

void
job_tell(struct manager *m, struct job *j, const char *why, const char *text, wall_t until)
{
	(void)m;
	j->waiting_until = until;
	if (strcmp(j->waiting, text) == 0)
		return;
	snprintf(j->waiting, sizeof(j->waiting), "%s", text);
	j->waiting_why = why;
	j->waiting_since = mono_now();
}

/* When what it waits for is to be told in its log; MONO_NEVER: it was, or there is nothing. */
static mono_t
tell_at(const struct job *j)
{
	uint64_t hash = hash_fnv(str_from(j->waiting));
	mono_t at = mono_add(j->waiting_since, TELL_AFTER), again = mono_add(j->told_at, TELL_AGAIN);

	if (j->state != JOB_WAITING || j->waiting[0] == '\0')
		return MONO_NEVER;
	for (size_t i = 0; i < NELEM(j->told); i++)
		if (j->told[i] == hash)
			return MONO_NEVER;
	return !mono_is_never(again) && mono_before(at, again) ? again : at;
}

/* A reader of the log wants to know what the job waits for, and not that the fleet is busy. */
static void
tell_now(struct manager *m, struct job *j)
{
	struct buf line = { 0 };
	struct err e = { 0 };
	dur_t left = wall_between(wall_now(), j->waiting_until);
	int dir;

	memmove(&j->told[0], &j->told[1], sizeof(j->told) - sizeof(j->told[0]));
	j->told[NELEM(j->told) - 1] = hash_fnv(str_from(j->waiting));
	j->told_at = mono_now();
	event_note(m, EVENT_WAITING, ABOUT(.job = j), j->waiting_why, "%s", j->waiting);
	dir = job_dir(m, j, &e);
	if (dir < 0)
		return;
	buf_puts(&line, j->waiting);
	if (left > 0)
		buf_fmt(&line, "; next try in %" PRId64 " s", (left + NSEC_SEC - 1) / NSEC_SEC);
	buf_putc(&line, '\n');
	/* Only a courtesy to whoever reads the job's log: not worth two fsyncs. */
	fs_write_fast(dir, JOBFILE_WAITING, buf_str(&line), 0600, &e);
	buf_free(&line);
	close(dir);
}

void
jobs_tend(struct manager *m)
{
	LIST_EACH(struct job, j, link, &m->jobs) {
		bool executor = child_alive(&j->executor), reporter = child_alive(&j->reporter);

		if (j->wd < 0)
			job_refresh(m, j);
		if (j->unspeakable && !executor && !reporter) {
			job_lost(m, j);
			continue;
		}
		if (mono_passed(tell_at(j)))
			tell_now(m, j);
		if (j->state == JOB_ENDED && j->reported) {
			if (!executor && !reporter && mono_passed(j->reporter.again))
				job_bury(m, j);
			continue;
		}
		if (!reporter && mono_passed(j->reporter.again))
			start_reporter(m, j);
		if (j->state != JOB_RUNNING || executor)
			continue;
		/* Its machine's record is gone (removed by hand): the executor finds that out and says so in the job's log. */
		if (mono_passed(j->executor.again))
			start_executor(m, j);
	}
}

mono_t
jobs_wake(const struct manager *m)
{
	mono_t at = MONO_NEVER;

	LIST_EACH(struct job, j, link, &m->jobs) {
		at = mono_min(at, tell_at(j));
		if (!child_alive(&j->reporter) && !mono_equal(j->reporter.again, MONO_AT_ONCE))
			at = mono_min(at, j->reporter.again);
		if (j->state == JOB_RUNNING && !child_alive(&j->executor) && !mono_equal(j->executor.again, MONO_AT_ONCE))
			at = mono_min(at, j->executor.again);
	}
	return at;
}

static void
order_abort(struct manager *m, struct job *j, const char *text)
{
	const struct jobdir_order order = { .abort = true, .reason = FAILURE_INTERRUPTED, .text = text };
	struct err e = { 0 };
	int dir = job_dir(m, j, &e);

	if (dir < 0 || jobdir_order_write(dir, &order, &e) < 0 ||
	    lock_signal(dir, JOBFILE_EXECUTOR_LOCK, SIGTERM, &e) < 0)
		log_error("Running job could not be told to stop", F_STR("job", j->id), F_ERR(&e));
	if (dir >= 0)
		close(dir);
}

void
job_bereave(struct manager *m, struct job *j, const char *why)
{
	struct err e = { 0 };
	int dir = job_dir(m, j, &e);

	/* The signal without an order ends the executor, and its successor finds `gone`. */
	if (dir < 0 || fs_write(dir, JOBFILE_GONE, str_from(why), 0600, &e) < 0 || lock_signal(dir, JOBFILE_EXECUTOR_LOCK, SIGTERM, &e) < 0)
		log_warn("Executor could not be told that its machine is gone", F_STR("job", j->id), F_ERR(&e));
	if (dir >= 0)
		close(dir);
}

void
jobs_refuse(struct manager *m, const char *signal_name)
{
	char text[64];

	snprintf(text, sizeof(text), "aborted: %s", signal_name);
	LIST_EACH(struct job, j, link, &m->jobs)
		if (j->state == JOB_WAITING)
			job_fail(m, j, FAILURE_INTERRUPTED, text, false);
}

void
jobs_abort(struct manager *m, const char *signal_name)
{
	char text[64];

	snprintf(text, sizeof(text), "aborted: %s", signal_name);
	LIST_EACH(struct job, j, link, &m->jobs)
		if (j->state == JOB_RUNNING)
			order_abort(m, j, text);
	jobs_refuse(m, signal_name);
}
