/*
 * A reporter: sends its job's trace as it grows, keeps the job alive on the
 * server, notices a cancel, and at the end delivers the result. It outlives
 * the executor: when GitLab is away the machine is free long before the last
 * byte arrives here.
 *
 * It may: read its job's directory, write `cancel` and `reported` and, while
 * the job waits, the first lines of `trace`; talk to one GitLab with the job's
 * token; signal its job's executor. It must never: know the runner's token's
 * use, touch a machine or another job.
 *
 * It can be killed at any line: where GitLab stands, GitLab says (416, Range).
 */
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "books/failure.h"
#include "books/jobdir.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/identity.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/rand.h"
#include "core/sandbox.h"
#include "gitlab/api.h"
#include "job/payload.h"
#include "job/reporter.h"
#include "job/trace.h"

#define CHUNK		(1u << 20)		/* spec 1.13 */
#define INTERVAL	(3 * NSEC_SEC)		/* until the server says otherwise (1.15) */
/* A cancel is noticed and the job kept alive at least this often, whatever the trace interval is (1.15, Better). */
#define HEARTBEAT	(30 * NSEC_SEC)
#define CALL_LIMIT	(120 * NSEC_SEC)
/* A connection that waits for longer than this costs more memory than its next handshake costs time. */
#define REST_AFTER	(5 * NSEC_SEC)
/* After the tries of job_status_final_update_retry_limit the result is not thrown away: it is offered every so often. */
#define SLOW_RETRY	(45 * NSEC_SEC)
/* However long the server tells us to stay away: the job must not look dead to it. */
#define PAUSE_MAX	(900 * NSEC_SEC)

/* A call that failed is repeated until the job's end and beyond. */
static const struct retry_policy retry_call = { NSEC_SEC, 30 * NSEC_SEC, 0, RETRY_ABOVE_BASE };

struct reporter {
	struct arena	 arena;
	struct payload	 job;
	struct gitlab	*gitlab;
	int		 dir, trace, inotify;
	/* what GitLab has */
	int64_t		 sent;
	/* CRC over the first crc_to bytes of the trace */
	uint32_t	 crc;
	int64_t		 crc_to;
	dur_t		 interval;
	mono_t		 next_patch, next_beat;
	mono_t		 hold;			/* the server told us to stay away until then */
	mono_t		 rest_at;		/* when a connection that nobody used is closed */
	unsigned	 failures;		/* calls without success in a row */
	bool		 doubt;			/* the server claimed to have more than there is */
	bool		 gone;			/* 403, 404: the job is not ours any more */
	bool		 cancel_told;		/* the order was given */
	char		 waiting[200];
	struct buf	 chunk;
};

/* ---- what may be sent ---- */

/*
 * How many bytes of the trace are final: all of them once there is a result
 * or as long as nobody but us writes; else what stage.json vouches for. The
 * size is taken first: bytes that an executor appends after stage.json appeared are not in it.
 */
static int64_t
final_bytes(struct reporter *r, bool *ended)
{
	struct arena a = { 0 };
	struct jobdir_stage stage;
	struct err e = { 0 };
	struct stat st;
	int64_t n;

	*ended = fs_exists(r->dir, JOBFILE_RESULT);
	n = fstat(r->trace, &st) == 0 ? st.st_size : 0;
	if (!*ended && jobdir_stage_read(r->dir, JOBDIR_STAGE_MAX, &a, &stage, &e) == 0)
		n = stage.trace < n ? stage.trace : n;
	else if (!*ended && e.kind != ERR_NOTFOUND)
		/* Without a word from the executor nothing new is safe. */
		n = r->sent < n ? r->sent : n;
	arena_reset(&a);
	return n;
}

static int
extend_crc(struct reporter *r, int64_t to, struct err *e)
{
	char piece[8192];

	if (to < r->crc_to) {
		r->crc = 0;
		r->crc_to = 0;
	}
	while (r->crc_to < to) {
		size_t want = to - r->crc_to < (int64_t)sizeof(piece) ? (size_t)(to - r->crc_to) : sizeof(piece);
		ssize_t n = pread(r->trace, piece, want, r->crc_to);

		if (n <= 0)
			return n < 0 ? err_sys(e, "read trace") : err_set(e, ERR_SYS, 0, "trace is shorter than it was");
		r->crc = hash_crc32(r->crc, piece, (size_t)n);
		r->crc_to += n;
	}
	return 0;
}

/* ---- orders to the executor ---- */

static void
order(struct reporter *r, bool abort)
{
	const struct jobdir_order o = { .abort = abort, .reason = FAILURE_CANCELED, .text = "canceled" };
	struct jobdir_order stands;
	struct err e = { 0 };
	struct arena a = { 0 };

	/* An abort replaces a cancel, never the other way; the same order is given once. */
	if (jobdir_order_read(r->dir, &a, &stands) && (stands.abort || !abort))
		goto out;
	log_info("GitLab ends the job", F_STR("how", abort ? "abort" : "cancel"));
	if (jobdir_order_write(r->dir, &o, &e) < 0)
		log_error("Order could not be written", F_ERR(&e));
	crash_point("reporter:order-written");
	if (lock_signal(r->dir, JOBFILE_EXECUTOR_LOCK, SIGTERM, &e) < 0)
		log_error("Executor could not be signalled", F_ERR(&e));
out:
	arena_reset(&a);
}

/* GitLab's own word that the job is not ours any more; a proxy's or a maintenance mode's 403 ends no job. */
static bool
disowned(const struct gitlab_answer *a)
{
	return a->own && (a->status == 403 || a->status == 404);
}

/* What every answer may carry: the next interval, and the server's view of the job. */
static void
heed(struct reporter *r, const struct gitlab_answer *a)
{
	if (a->trace_interval > 0)
		r->interval = a->trace_interval * NSEC_SEC;
	if (strcmp(a->job_status, "canceling") == 0)
		order(r, false);
	if (disowned(a) || strcmp(a->job_status, "canceled") == 0 || strcmp(a->job_status, "failed") == 0) {
		r->gone = true;
		order(r, true);
	}
}

/* ---- calls ---- */

static dur_t
pause_after(struct reporter *r, const struct gitlab_answer *a)
{
	dur_t wait;
	uint64_t rnd;

	rand_bytes(&rnd, sizeof(rnd));
	wait = retry_next(&retry_call, r->failures++, a != NULL ? &a->hint : NULL, wall_now(), rnd);
	wait = wait < PAUSE_MAX ? wait : PAUSE_MAX;
	if (a != NULL && wall_before(wall_now(), a->hint.not_before))
		r->hold = mono_after(wait);
	return wait;
}

static struct gitlab_job
job_of(const struct reporter *r)
{
	return (struct gitlab_job){ r->job.id, r->job.token };
}

/*
 * Sends the next chunk of what is final. 1 something was accepted or the
 * server told where it stands, 0 nothing to send, -1 no success (the next try is scheduled).
 */
static int
patch(struct reporter *r, int64_t final)
{
	struct gitlab_answer a = { .body = { .max = 64u << 10 } };
	struct err e = { 0 };
	int64_t want = final - r->sent;
	struct gitlab_piece piece;
	ssize_t n;
	int rc = -1;

	if (want <= 0)
		return 0;
	buf_clear(&r->chunk);
	if (buf_room(&r->chunk, CHUNK) == NULL)
		abort();
	n = pread(r->trace, r->chunk.p, want < (int64_t)CHUNK ? (size_t)want : CHUNK, r->sent);
	if (n <= 0) {
		log_error("Trace cannot be read", F_STR("error", n < 0 ? strerror(errno) : "it is shorter than it was"));
		r->next_patch = mono_after(r->interval);
		return -1;
	}
	piece = (struct gitlab_piece){ str_of(r->chunk.p, (size_t)n), r->sent, r->job.debug_trace };
	if (gitlab_patch_trace(r->gitlab, job_of(r), &piece, &a, mono_after(CALL_LIMIT), &e) < 0) {
		log_warn("Appending trace to coordinator... failed", F_ERR(&e));
		r->next_patch = mono_after(pause_after(r, NULL));
		goto out;
	}
	heed(r, &a);
	switch (a.status) {
	case 202:
		r->failures = 0;
		r->sent += n;
		r->next_beat = mono_after(HEARTBEAT);
		log_debug("Appending trace to coordinator... ok", F_INT("sent", r->sent));
		crash_point("reporter:patched");
		rc = 1;
		break;
	case 416:
		log_debug("Trace continues where the server stands", F_INT("ours", r->sent), F_INT("server", a.range_end));
		r->doubt = a.range_end > final;
		r->sent = a.range_end < 0 ? 0 : r->doubt ? final : a.range_end;
		/* The next patch begins where the server said, at once. If it does not want that either, time must pass in between. */
		if (r->failures == 0) {
			r->failures++;
			rc = 1;
		} else
			r->next_patch = mono_after(pause_after(r, NULL));
		break;
	default:
		if (disowned(&a))
			break;
		log_warn("Appending trace to coordinator... failed", F_INT("status", a.status), F_STR("error", a.error.msg));
		r->next_patch = mono_after(pause_after(r, &a));
		break;
	}
out:
	gitlab_answer_free(&a);
	r->rest_at = mono_after(REST_AFTER);
	/* A megabyte a job is too much to keep for a log that grows by lines. */
	buf_free(&r->chunk);
	return rc;
}

static struct gitlab_update
update_of(const struct reporter *r, const char *state)
{
	return (struct gitlab_update){ .state = state, .crc = r->crc, .bytes = r->crc_to,
	    .shell = r->job.runner.shell, .gpus = str_from(r->job.runner.docker.gpus) };
}

static void
heartbeat(struct reporter *r, int64_t final)
{
	struct gitlab_answer a = { .body = { .max = 64u << 10 } };
	struct gitlab_update u;
	struct err e = { 0 };

	if (extend_crc(r, final, &e) < 0)
		log_warn("Checksum of the trace", F_ERR(&e));
	u = update_of(r, "running");
	if (gitlab_update_job(r->gitlab, job_of(r), &u, &a, mono_after(CALL_LIMIT), &e) < 0) {
		log_warn("Updating job... failed", F_ERR(&e));
		r->next_beat = mono_after(pause_after(r, NULL));
	} else if (a.status == 200 || a.status == 202) {
		r->failures = 0;
		r->next_beat = mono_after(HEARTBEAT);
		heed(r, &a);
	} else {
		log_warn("Updating job... failed", F_INT("status", a.status), F_STR("error", a.error.msg));
		r->next_beat = mono_after(pause_after(r, &a));
		heed(r, &a);
	}
	r->rest_at = mono_after(REST_AFTER);
	gitlab_answer_free(&a);
}

/* ---- the end ---- */

static void
mark_reported(struct reporter *r, int status)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct err e = { 0 };

	jw_object(&w, NULL);
	gitlab_put_calls(r->gitlab, &w);
	jw_end_object(&w);
	/* Without this file a successor asks GitLab again and hears 403: no harm, so a full disk is only reported. */
	if (jobdir_reported_write(r->dir, status, buf_str(&b), &e) < 0)
		log_error("Delivery could not be noted", F_ERR(&e));
	buf_free(&b);
	crash_point("reporter:reported");
}

struct verdict {
	const char	*state, *reason;
	int64_t		 exit_code;
	bool		 untold;	/* no executor wrote the trace's last line */
	bool		 system;
	struct str	 text;		/* of that line */
};

static int
read_result(struct reporter *r, struct verdict *v, struct err *e)
{
	struct jobdir_result result;

	if (jobdir_result_read(r->dir, &r->arena, &result, e) < 0)
		return -1;
	v->state = result.success ? "success" : "failed";
	v->exit_code = result.exit_code;
	v->untold = !result.told;
	v->system = failure_is_system(failure_of(str_from(result.reason)));
	v->text = str_from(result.text);
	v->reason = result.success ? NULL : payload_failure_word(&r->job, result.reason);
	return 0;
}

/* One try of the final update. 1 done (status in *status), 0 again after *wait, -1 failed. */
static int
final_update(struct reporter *r, const struct verdict *v, bool plain_reason, dur_t *wait,
    int *status)
{
	struct gitlab_answer a = { .body = { .max = 64u << 10 } };
	struct gitlab_update u = update_of(r, v->state);
	struct err e = { 0 };
	int rc = -1;

	u.failure_reason = v->reason != NULL && plain_reason ? failure_word(FAILURE_UNKNOWN) : v->reason;
	u.exit_code = v->exit_code;
	*wait = INTERVAL;
	*status = 0;
	if (gitlab_update_job(r->gitlab, job_of(r), &u, &a, mono_after(CALL_LIMIT), &e) < 0) {
		log_warn("Submitting job to coordinator... failed", F_ERR(&e));
		*wait = pause_after(r, NULL);
		goto out;
	}
	crash_point("reporter:result-sent");
	*status = a.status;
	if (a.trace_interval > 0)
		*wait = a.trace_interval * NSEC_SEC;
	switch (a.status) {
	case 200:
		log_info("Submitting job to coordinator... ok", F_STR("job-status", a.job_status), F_STR("state", v->state),
		    F_STR("failure_reason", v->reason != NULL ? v->reason : ""), F_INT("exit_code", v->exit_code));
		rc = 1;
		break;
	case 202:
		/* The server still waits for chunks of the trace to reach their storage. */
		if (a.range_end >= 0 && a.range_end < r->sent)
			r->sent = a.range_end;
		/* What it does not want it refuses with the place where it really stands. */
		if (r->doubt && r->sent > 0)
			r->sent--;
		r->doubt = false;
		rc = 0;
		break;
	case 412:
		r->sent = 0;
		rc = 0;
		break;
	default:
		if (disowned(&a)) {
			log_warn("Submitting job to coordinator... the job is not ours any more", F_INT("status", a.status));
			rc = 1;
			break;
		}
		/* A refusal of what was said counts as one only from GitLab's own mouth. */
		if (a.status == 400 && !a.own)
			*status = 0;
		log_warn("Submitting job to coordinator... failed", F_INT("status", a.status), F_STR("error", a.error.msg));
		*wait = pause_after(r, &a);
		break;
	}
out:
	gitlab_answer_free(&a);
	return rc;
}

/* Sends what is left of the trace. 0 all of it (or the server wants no more), -1 a call failed: *wait says how long. */
static int
flush(struct reporter *r, int64_t final, dur_t *wait)
{
	while (!r->gone && r->sent < final)
		if (patch(r, final) < 0 && !r->gone) {
			*wait = mono_ms_until(r->next_patch) * NSEC_MSEC;
			return -1;
		}
	return 0;
}

/* Whoever reads the log of a job that never got an executor, or lost it, must find out why it failed. 0 or -1. */
static int
tell_end(struct reporter *r, struct verdict *v, dur_t *wait)
{
	struct err e = { 0 };

	if (!v->untold)
		return 0;
	if (trace_append_end(r->dir, &r->job, v->text, v->system, &e) < 0) {
		log_error("The job's log cannot be ended", F_ERR(&e));
		*wait = INTERVAL;
		return -1;
	}
	v->untold = false;
	return 0;
}

static int
deliver(struct reporter *r)
{
	struct verdict v;
	struct err e = { 0 };
	struct stat st;
	dur_t wait = 0;
	int64_t tries_max = r->job.runner.final_update_tries;
	bool plain_reason = false;
	int status = 0;

	if (read_result(r, &v, &e) < 0) {
		if (!payload_damaged(&e)) {
			log_error("Result is not readable", F_ERR(&e));
			return EXIT_RETRY;
		}
		/* It is over, and nobody can say how any more. */
		log_error("The job's result is damaged: it is reported as failed", F_ERR(&e));
		v = (struct verdict){ .state = "failed", .untold = true, .system = true, .text = STR("its result on the runner's host was damaged"),
		    .reason = failure_word(FAILURE_SYSTEM) };
	}
	mono_sleep(mono_ms_until(r->hold) * NSEC_MSEC);
	for (int64_t failed = 0;;) {
		int rc;

		if (tell_end(r, &v, &wait) == 0 && fstat(r->trace, &st) == 0 && flush(r, st.st_size, &wait) == 0 && extend_crc(r, st.st_size, &e) == 0) {
			rc = final_update(r, &v, plain_reason, &wait, &status);
			if (rc > 0) {
				mark_reported(r, status);
				return r->gone || status != 200 ? EXIT_GONE : EXIT_OK;
			}
			if (rc == 0) {
				r->gone = false;
				failed = 0;
			} else if (status == 400 && !plain_reason) {
				plain_reason = true;
				wait = 0;
			} else if (status == 400) {
				/* Wrong twice: saying it more often does not make it right. */
				mark_reported(r, status);
				return EXIT_GONE;
			} else
				failed++;
		} else
			failed++;
		if (failed >= tries_max && wait < SLOW_RETRY) {
			if (failed == tries_max)
				log_error("GitLab does not take the result; it is kept and offered until it does, every minute or so", F_INT("tries", failed));
			wait = SLOW_RETRY;
		}
		mono_sleep(wait);
	}
}

/* ---- waiting ---- */

/* The heading, and what the job waits for, into the trace: only as long as no executor writes there. */
static void
tell_waiting(struct reporter *r)
{
	struct buf b = { .max = 1024 };
	struct err e = { 0 };
	struct str line;

	if (fs_exists(r->dir, JOBFILE_STAGE) || fs_read(r->dir, JOBFILE_WAITING, 1000, &b, NULL) < 0)
		goto out;
	line = str_trim(buf_str(&b));
	if (line.n == 0 || str_eqc(line, r->waiting))
		goto out;
	str_copy(line, r->waiting, sizeof(r->waiting));
	if (trace_append_waiting(r->dir, &r->job, line, &e) < 0)
		log_warn("Job could not be told what it waits for", F_ERR(&e));
out:
	buf_free(&b);
}

static void
wait_for_news(struct reporter *r, mono_t until)
{
	struct pollfd p = { r->inotify, POLLIN, 0 };
	char events[1024];

	/* While the job has its trace growing, the file itself is what changes: looked at every second. */
	if (poll(&p, 1, mono_ms_until(until)) > 0)
		while (read(r->inotify, events, sizeof(events)) > 0)
			continue;
}

static int
report(struct reporter *r)
{
	bool ended = false;
	int64_t final;

	/* The acknowledgement: directly after the job came, before anything is prepared (spec 1.12). */
	final = final_bytes(r, &ended);
	heartbeat(r, final);
	crash_point("reporter:acknowledged");
	while (!ended) {
		mono_t wake;

		tell_waiting(r);
		final = final_bytes(r, &ended);
		if (ended)
			break;
		if (!r->gone && final > r->sent && mono_passed(r->next_patch)) {
			/* A full chunk is followed by the next at once: a long log must not wait for its end. */
			if (patch(r, final) > 0 && final - r->sent < (int64_t)CHUNK)
				r->next_patch = mono_after(r->interval);
			continue;
		}
		if (!r->gone && mono_passed(r->next_beat)) {
			heartbeat(r, final);
			continue;
		}
		if (mono_passed(r->rest_at)) {
			gitlab_rest(r->gitlab);
			r->rest_at = MONO_NEVER;
		}
		wake = mono_min(mono_after(r->gone ? HEARTBEAT : NSEC_SEC), r->rest_at);
		if (!r->gone)
			wake = mono_min(wake, r->next_beat);
		wait_for_news(r, wake);
	}
	return deliver(r);
}

static int
open_all(struct reporter *r, const char *state_dir, const char *id, struct err *e)
{
	char *jobs = fs_join(state_dir, JOBS_DIR), *path = fs_join(jobs, id);
	int jobs_dir = fs_opendir(AT_FDCWD, jobs, e), rc = -1;
	struct gitlab_opts o = { 0 };
	struct arena whole = { 0 };
	uid_t self;

	r->dir = jobs_dir < 0 ? -1 : fs_opendir(AT_FDCWD, path, e);
	if (r->dir < 0 || jobdir_identity(jobs_dir, r->dir, id, &self, e) < 0)
		goto out;
	/* A user has 128 of these unless told otherwise, and there may be a thousand of us: without one we look every second. */
	r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->inotify < 0 || inotify_add_watch(r->inotify, path, IN_MOVED_TO | IN_CREATE) < 0)
		log_debug("inotify: the job's files are looked at every second", F_STR("error", strerror(errno)));
	if (getenv("SSL_CERT_FILE") != NULL)
		fs_keep(getenv("SSL_CERT_FILE"));
	/* What lies in the directory may be the work of an executor that a job has broken: it is read as the job's number. */
	identity_take(self, 0);
	if (lock_take(r->dir, JOBFILE_REPORTER_LOCK, LOCK_TRY, e) < 0)
		goto out;
	r->trace = trace_open(r->dir, O_RDONLY, e);
	if (r->trace < 0)
		goto out;
	if (payload_read(r->dir, &whole, &r->job, e) < 0) {
		struct err ticket = { 0 };

		if (!payload_damaged(e))
			goto out;
		log_error("The job's files are damaged: it is reported with what is left of them", F_ERR(e));
		if (payload_read_ticket(r->dir, &whole, &r->job, &ticket) < 0) {
			*e = ticket;
			goto out;
		}
	}
	o.url = r->job.runner.url;
	o.ca_pem = str_from(r->job.runner.tls_ca);
	o.cert_pem = str_from(r->job.runner.tls_cert);
	o.key_pem = str_from(r->job.runner.tls_key);
	o.max_age_ns = r->job.runner.max_age;
	r->gitlab = gitlab_open(&o, e);
	rc = r->gitlab != NULL ? 0 : -1;
	/* A payload is tens of kilobytes of variables and scripts: the executor's affair. */
	payload_keep(&r->job, &r->arena);
out:
	if (jobs_dir >= 0)
		close(jobs_dir);
	arena_reset(&whole);
	free(jobs);
	free(path);
	return rc;
}

int
reporter_main(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "state-dir", .type = OPT_STRING },
		{ .name = "job", .type = OPT_STRING },
	};
	struct reporter r = { .dir = -1, .trace = -1, .inotify = -1, .interval = INTERVAL, .next_patch = mono_now(), .chunk = { .max = CHUNK } };
	struct err e = { 0 };

	proc_harden();
	if (opt_parse(o, NELEM(o), argc, argv, NULL, &e) < 0 || o[0].value == NULL || o[1].value == NULL) {
		log_error("Reporter was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	log_context("job", o[1].value);
	if (open_all(&r, o[0].value, o[1].value, &e) < 0) {
		if (e.kind == ERR_CONFLICT)
			return EXIT_BUSY;
		log_error("Reporter cannot begin", F_ERR(&e));
		return payload_damaged(&e) ? EXIT_DAMAGED : EXIT_RETRY;
	}
	if (fs_exists(r.dir, JOBFILE_REPORTED))
		return EXIT_OK;
	/* It may look for a resolver and certificates, tell the executor, and write in its job's directory. */
	sandbox_files(&(struct sandbox_place){ SANDBOX_WRITE, NULL, r.dir }, 1, SANDBOX_READ_ALL | SANDBOX_TCP | SANDBOX_SIGNALS, NULL);
	sandbox_calls(SANDBOX_REPORTER);
	return report(&r);
}
