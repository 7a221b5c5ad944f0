/* The start of an executor: see start.h. */
#include <sys/file.h>
#include <sys/signalfd.h>
#include <signal.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/crash.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/rand.h"
#include "core/sandbox.h"
#include "job/run.h"
#include "job/start.h"
#include "job/trace.h"

/* A wait that is worth a line in the job's log. */
#define WAITED_LEAST	(2 * NSEC_SEC)

static const char *const dns_files[] = { "/etc/hosts", "/etc/resolv.conf" };

/* A seccomp profile of the runner's security_opt, where only root may read it. */
static void
keep_profile(const char *file)
{
	struct buf b = { .max = 1u << 20 };
	struct arena a = { 0 };
	struct json_val v;

	/*
	 * runner.json came through a poller: whatever is named there, only a profile is handed to a
	 * machine's engine.
	 */
	if (fs_read(AT_FDCWD, file, b.max, &b, NULL) == 0 &&
	    json_parse(&a, buf_str(&b), &v, NULL) == 0 &&
	    json_present(json_get(v, "defaultAction")))
		fs_keep(file);
	buf_free(&b);
	arena_reset(&a);
}

int
start_confine(struct run *r, uid_t self, struct err *e)
{
	struct broker voices[PULLERS] = { { 0 } };
	struct broker_pairs pairs = { .n = 0 };
	struct sandbox_place places[20] = { { SANDBOX_WRITE, NULL, r->dir } };
	const char *auth = image_auth_file(&r->arena);
	struct work w = { 0 };
	bool dns = reach_open(r);
	struct puller_plan plan = { .job = arena_fmt(&r->arena, "%" PRId64, r->job.id),
	    .user = self, .dns = dns };
	const struct field_list *security = &r->job.runner.docker.security_opt;
	const int ports[] = { r->reach.engine_port, dns ? 53 : 0, 0 };
	size_t n = 1;

	/* A work of its own: the job's begins later, and its names are not drawn yet. */
	work_init(&w, &r->job, r->machine, "0000000000000000", r->concurrent_id);
	image_helpers(&w, &pairs, NULL);
	if (broker_start(&pairs, voices, PULLERS, e) < 0 || reach_pullers(r, &plan, voices, e) < 0)
		return -1;
	/* They end with us, and nobody asks how. Not before they run: proc_self() has to find them. */
	signal(SIGCHLD, SIG_IGN);
	if (auth != NULL) {
		fs_keep(auth);
		places[n++] = (struct sandbox_place){ SANDBOX_READ, auth, -1 };
	}
	for (size_t i = 0; dns && i < NELEM(dns_files); i++)
		places[n++] = (struct sandbox_place){ SANDBOX_READ, dns_files[i], -1 };
	for (size_t i = 0; i < security->n; i++) {
		struct str o = str_from(security->v[i]);

		if (n < NELEM(places) && str_starts(o, "seccomp") && o.n > 8) {
			places[n++] = (struct sandbox_place){ SANDBOX_READ,
			    arena_dup(&r->arena, str_sub(o, 8, o.n)), -1 };
			keep_profile(places[n - 1].path);
		}
	}
	n += reach_places(r, places + n);
	sandbox_files(places, n, 0, ports);
	identity_take(self, 0);
	sandbox_calls(dns ? SANDBOX_EXECUTOR_DNS : SANDBOX_EXECUTOR);
	return 0;
}

/*
 * The machine's name, and behind it on a line of its own the lowest number no other job of the
 * runner has.
 */
static int
read_machine(struct run *r, struct err *e)
{
	struct jobdir_place place;
	int rc = jobdir_place_read(r->dir, true, &r->arena, &place, e);

	r->machine = place.machine;
	r->concurrent_id = place.slot;
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

int
start_open(struct run *r, const char *state_dir, const char *id, uid_t *self, struct err *e)
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

int
start_begin(struct run *r, struct err *e)
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
	containers_plan(r);
	/*
	 * The reporter may be appending a line about waiting: it holds this lock, and stops once
	 * stage.json is there.
	 */
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
	wait = wall_between(r->job.runner.received, r->mem.started);
	if (wait >= WAITED_LEAST) {
		char waited[40];

		time_go_duration(wait / NSEC_SEC * NSEC_SEC, waited);
		output_say(&r->out, tl_plain, "  on machine %s, after a wait of %s", r->machine,
		    waited);
	}
	job_commit(r);
	close(trace);
	crash_point("executor:begun");
	return 0;
}

int
start_resume(struct run *r, struct json_val saved, int64_t trace, struct err *e)
{
	int64_t n;

	work_init(&r->work, &r->job, r->machine, r->mem.tag, r->concurrent_id);
	containers_plan(r);
	n = (int64_t)stage_items(r->mem.stage, &r->work);
	if (r->mem.item > n || (r->mem.phase == PHASE_STARTED && r->mem.item >= n))
		return err_set(e, ERR_PARSE, 0,
		    "stage.json is damaged: step %" PRId64 " of %" PRId64, r->mem.item, n);
	if (r->mem.stage->side == STAGE_AFTER)
		work_set_status(&r->work, r->mem.status);
	if (output_resume(&r->out, r->dir, &r->work, trace, saved, e) < 0)
		return -1;
	log_info("Going on with a job", F_INT("trace", trace), F_STR("stage", r->mem.stage->name));
	return 0;
}
