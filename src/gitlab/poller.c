/*
 * A poller: waits to be told "ask", asks GitLab for one job, writes the job's
 * directory, says so. A job is durable before anyone hears of it.
 *
 * It may: talk to one GitLab with one runner's token, make directories under
 * jobs/. It must never: start anything, touch another job, keep a job in
 * memory only. It ends when its channel does, that is with its manager, but
 * not before an answer that is on its way has come and is kept.
 *
 * An answer's bytes are on disk as they arrive (jobs/.answer.<pool>.<pid>):
 * when a poller dies with one in its hands, the pool's next one takes it up. A
 * whole one is a job; of a torn one GitLab is told (docs/processes.md).
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "books/failure.h"
#include "books/jobdir.h"
#include "config/settings.h"
#include "core/chan.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/rand.h"
#include "core/sandbox.h"
#include "gitlab/api.h"
#include "gitlab/poller.h"
#include "wire/jobhead.h"
#include "wire/url.h"

#define PLAN_MAX	(4u << 20)
#define PAYLOAD_MAX	(256u << 20)
#define TOKEN_MAX	(JOBHEAD_TOKEN_MAX + 1u)
/* With less than this free where the jobs are kept, the logs of those that run are about to stop: no time for another. */
#define ROOM		(8u << 20)
/* Workhorse holds a request for 50 s by default, and operators raise that (spec 1.10). */
#define ANSWER_LIMIT	(600 * NSEC_SEC)
/* What GitLab says of a job's time in its queue is believed up to a month. */
#define QUEUED_MAX	(31 * 86400.0)
/*
 * Told to stop, or left alone by a manager that was killed, with a request under way: the server may have given us a job
 * that instant, and nobody else would ever hear of it. It gets this long to begin its answer; a held request has no more to say.
 */
#define LINGER		NSEC_SEC

/* The answer that is arriving, or was left behind by a predecessor. */
struct arrival {
	char		 name[80];	/* its directory under jobs/ */
	int		 dir, fd;	/* -1: none; fd is payload.json, locked as long as we live */
	struct err	 e;		/* why its bytes are not on disk; ERR_NONE: they are */
};

struct poller {
	struct arena	 arena;
	struct arrival	 arrival;
	struct gitlab	*gitlab;
	int		 control, jobs;
	struct chan_talk talk;		/* over control */
	struct poller_plan plan;	/* `runner` of it becomes runner.json */
	char		 last_update[128];
	/* Newest of the three certificate files when they were read. */
	wall_t		 files_mtime;
};

static wall_t
mtime_of(const struct stat *st)
{
	return (wall_t){ st->st_mtim.tv_sec * NSEC_SEC + st->st_mtim.tv_nsec };
}

static wall_t
mtime(const char *path)
{
	struct stat st;

	return path[0] != '\0' && stat(path, &st) == 0 ? mtime_of(&st) : WALL_UNKNOWN;
}

static wall_t
newest(const struct poller *p)
{
	wall_t a = mtime(p->plan.tls_ca_file), b = mtime(p->plan.tls_cert_file), c = mtime(p->plan.tls_key_file);

	a = wall_before(b, a) ? a : b;
	a = wall_before(c, a) ? a : c;
	/* Where only root may look, the manager does, and starts another poller when they change. */
	return wall_known(a) ? a : p->files_mtime;
}

/* Opens the connection's description; again when one of the certificate files has changed (spec 1.1). */
static int
open_gitlab(struct poller *p, struct err *e)
{
	const struct poller_plan *plan = &p->plan;
	struct gitlab_opts o = { .url = plan->runner.url, .ca_file = plan->tls_ca_file, .cert_file = plan->tls_cert_file,
	    .key_file = plan->tls_key_file, .max_age_ns = plan->runner.max_age, .keep_chain = true,
	    .offer = plan->runner.ignore_unsupported ? GITLAB_OFFER_ALL : GITLAB_OFFER_BUILT };
	wall_t now = newest(p);

	if (p->gitlab != NULL && wall_equal(now, p->files_mtime))
		return 0;
	gitlab_close(p->gitlab);
	p->files_mtime = now;
	p->gitlab = gitlab_open(&o, e);
	return p->gitlab != NULL ? 0 : -1;
}

static int
read_plan(struct poller *p, int fd, struct err *e)
{
	char path[40];
	struct buf b = { .max = PLAN_MAX };
	struct json_val v;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fs_read(AT_FDCWD, path, PLAN_MAX, &b, e) < 0 ||
	    json_parse(&p->arena, arena_str(&p->arena, buf_str(&b)), &v, e) < 0)
		return err_ctx(e, "plan");
	buf_wipe(&b);
	plan_read(&p->arena, v, &p->plan);
	if (p->plan.runner.url[0] == '\0' || !secret_is_set(p->plan.runner.token))
		return err_set(e, ERR_CONFIG, 0, "plan without url or token");
	return 0;
}

static const char *
pem_of(struct arena *a, const char *file, struct str otherwise)
{
	struct buf b = { .max = 1u << 20 };
	bool there = file[0] != '\0' && fs_read(AT_FDCWD, file, b.max, &b, NULL) == 0;
	const char *text = arena_dup(a, there ? buf_str(&b) : otherwise);

	buf_wipe(&b);
	return text;
}

/* The job's page: the repository's address without credentials and .git (spec 1.11). */
static const char *
page_of(struct arena *a, struct str repo, int64_t id)
{
	struct buf b = { .max = 4096 };
	const char *page;
	struct url u;

	if (url_parse(repo, &u, NULL) < 0)
		return "";
	if (str_ends(u.path, ".git"))
		u.path.n -= strlen(".git");
	url_put_origin(&b, &u);
	buf_fmt(&b, "%.*s/-/jobs/%" PRId64, STR_ARG(u.path), id);
	page = b.failed ? "" : arena_dup(a, buf_str(&b));
	buf_free(&b);
	return page;
}

/* A job as GitLab sent it. */
struct sent {
	struct gitlab_job job;
	double		 queued_s;	/* how long GitLab kept it, by its own word */
	struct arena	*arena;
	struct json_val	 root;
};

/* What of the payload is for people and for metrics, and no secret. */
static struct job_about
about(struct arena *a, struct json_val root)
{
	struct json_val info = json_get(root, "job_info");

	return (struct job_about){
		.name = json_cstr(a, json_get(info, "name")),
		.stage = json_cstr(a, json_get(info, "stage")),
		.project = json_cstr(a, json_get(info, "project_full_path")),
		.url = page_of(a, json_str(a, json_path(root, "git_info.repo_url")), json_i64(json_get(root, "id"), 0)),
		.project_running = arena_dup(a, json_text(a,
		    json_get(info, "project_jobs_running_on_instance_runners_count"))),
		.queue_size = json_i64(json_get(info, "queue_size"), -1),
		.queue_depth = json_i64(json_get(info, "queue_depth"), -1),
	};
}

/* The plan's runner with what is known only now. */
static struct job_settings
told_of(struct poller *p, const struct gitlab_answer *a, const struct sent *sent)
{
	struct job_settings s = p->plan.runner;

	s.received = wall_now();
	s.queued_s = sent->queued_s;
	s.correlation_id = a->request_id;
	s.about = about(sent->arena, sent->root);
	s.tls_ca = pem_of(sent->arena, p->plan.tls_ca_file, gitlab_chain(p->gitlab));
	s.tls_cert = pem_of(sent->arena, p->plan.tls_cert_file, STR(""));
	s.tls_key = pem_of(sent->arena, p->plan.tls_key_file, STR(""));
	return s;
}

/*
 * jobs/<id>, or with the instance's mark behind it when another GitLab's job
 * has that number, or with a random one when this very job came twice.
 */
static void
job_name(struct poller *p, int64_t id, char out[96])
{
	char tag[9];

	snprintf(out, 96, "%" PRId64, id);
	if (!fs_exists(p->jobs, out))
		return;
	snprintf(out, 96, "%" PRId64 "-%s", id, p->plan.runner.instance);
	if (!fs_exists(p->jobs, out))
		return;
	rand_hex(tag, 8);
	snprintf(out, 96, "%" PRId64 "-%s-%s", id, p->plan.runner.instance, tag);
}

/* ---- an answer's bytes on disk ---- */

static void
drop_arrival(struct poller *p)
{
	struct arrival *a = &p->arrival;

	if (a->fd >= 0)
		close(a->fd);
	if (a->dir >= 0)
		close(a->dir);
	if (a->name[0] != '\0')
		fs_remove_tree(p->jobs, a->name, NULL);
	*a = (struct arrival){ .dir = -1, .fd = -1 };
}

static int
open_arrival(struct poller *p, int flags, struct err *e)
{
	struct arrival *a = &p->arrival;

	a->dir = fs_opendir(p->jobs, a->name, e);
	if (a->dir < 0)
		return -1;
	a->fd = openat(a->dir, JOBFILE_PAYLOAD, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (a->fd < 0)
		return err_sys(e, "open jobs/%s/" JOBFILE_PAYLOAD, a->name);
	/* Held until we die: who gets it knows that. */
	return flock(a->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : err_sys(e, "lock jobs/%s/" JOBFILE_PAYLOAD, a->name);
}

/* A piece of a job: on disk before it is looked at. */
static void
arriving(void *ctx, struct str piece)
{
	struct poller *p = ctx;
	struct arrival *a = &p->arrival;

	if (a->name[0] == '\0') {
		snprintf(a->name, sizeof(a->name), JOBDIR_ANSWER "%s.%ld", p->plan.runner.runner_key, (long)getpid());
		fs_remove_tree(p->jobs, a->name, NULL);
		if (mkdirat(p->jobs, a->name, 0700) < 0)
			err_sys(&a->e, "mkdir jobs/%s", a->name);
		else if (open_arrival(p, O_CREAT | O_EXCL, &a->e) == 0)
			crash_point("poller:answer-begun");
	}
	if (a->e.kind == ERR_NONE)
		fs_write_all(a->fd, piece.p, piece.n, &a->e);
	crash_point("poller:answer-arriving");
}

/* With its other files the directory is a job: it is renamed into view. */
static int
keep_job(struct poller *p, const struct gitlab_answer *a, const struct sent *sent, char name[96],
    struct err *e)
{
	struct arrival *at = &p->arrival;
	struct jobdir_ticket ticket = { .id = sent->job.id, .token = sent->job.token };
	struct job_settings told;
	int rc = -1;

	if (at->e.kind != ERR_NONE) {
		*e = at->e;
		goto out;
	}
	if (fsync(at->fd) < 0) {
		err_sys(e, "fsync jobs/%s/" JOBFILE_PAYLOAD, at->name);
		goto out;
	}
	job_name(p, sent->job.id, name);
	told = told_of(p, a, sent);
	ticket.runner = told;
	/* runner.json last: with it the directory has all its files. */
	if (jobdir_ticket_write(at->dir, &ticket, e) < 0 || jobdir_runner_write(at->dir, &told, e) < 0)
		goto out;
	crash_point("poller:job-written");
	if (fs_rename(p->jobs, at->name, p->jobs, name, e) < 0)
		goto out;
	at->name[0] = '\0';
	crash_point("poller:job-kept");
	rc = 0;
out:
	drop_arrival(p);
	return rc;
}

/* The server believes that we run this job; it must hear that we do not. */
static void
give_back(struct poller *p, struct gitlab_job job, const struct err *why)
{
	struct gitlab_update u = { .state = "failed", .failure_reason = failure_word(FAILURE_SYSTEM), 
	    .shell = p->plan.runner.shell, .gpus = str_from(p->plan.runner.docker.gpus) };
	struct gitlab_answer a = { 0 };
	struct err e = { 0 };

	log_error("Job cannot be taken: it is given back as failed", F_INT("job", job.id),
	    F_ERR(why));
	if (gitlab_update_job(p->gitlab, job, &u, &a, mono_after(60 * NSEC_SEC), &e) < 0)
		log_error("GitLab could not be told", F_INT("job", job.id), F_ERR(&e));
	else if (a.status == 400)
		log_info("GitLab waits for the job to be acknowledged: it goes to a runner again",
		    F_INT("job", job.id));
	gitlab_answer_free(&a);
}

static void
say(struct poller *p, const char *kind, const struct gitlab_answer *a, const char *text)
{
	struct err e = { 0 };

	chan_send(p->control, &p->talk, CHAN_ANSWER, &e, "%s %d %" PRId64 " %s", kind, a->status,
	    a->hint.not_before.ns / NSEC_MSEC, text[0] != '\0' ? text : "-");
}

/*
 * A job whose answer broke off runs nowhere, but GitLab believes that it runs here, for as long as its time limit. Number and
 * token stand at the beginning of the answer: enough to tell it. A server with the two-phase commit says 400, since it was never
 * told that the job runs, and gives it to somebody else when its own time for that is over: better still.
 */
static void
give_back_broken(struct poller *p, struct str body, const struct err *why)
{
	char token[JOBHEAD_TOKEN_MAX + 1];
	struct jobhead h;

	if (!jobhead_read(body, &h) || str_copy(h.token, token, sizeof(token)) < 0)
		return;
	give_back(p, (struct gitlab_job){ h.id, SECRET(token) }, why);
	explicit_bzero(token, sizeof(token));
}

/*
 * Makes a whole answer a job, by the name under jobs/ that it has then. When it cannot be, GitLab is told as well as can be: -1 with
 * ERR_PROTO when it is not readable, else why it is not kept.
 */
static int
take_job(struct poller *p, struct gitlab_answer *a, char name[96], struct err *e)
{
	struct arena ar = { 0 };
	struct sent sent = { .arena = &ar };
	struct gitlab_job *job = &sent.job;
	int rc = -1;

	if (json_parse(&ar, buf_str(&a->body), &sent.root, e) == 0) {
		job->id = json_i64(json_get(sent.root, "id"), 0);
		job->token = SECRET(json_cstr(&ar, json_get(sent.root, "token")));
		sent.queued_s = json_f64(json_path(sent.root, "job_info.time_in_queue_seconds"), 0);
		if (!(sent.queued_s > 0 && sent.queued_s < QUEUED_MAX))
			sent.queued_s = 0;
	}
	/* Without these two nothing could ever be said about it. */
	if (job->id <= 0 || !secret_is_set(job->token) ||
	    strlen(secret_reveal(job->token)) >= TOKEN_MAX) {
		if (e->kind == ERR_NONE)
			err_set(e, ERR_PROTO, 0, "no usable id and token in it");
		e->kind = ERR_PROTO;
		err_ctx(e, "the job that GitLab sent is not readable");
		give_back_broken(p, buf_str(&a->body), e);
	} else {
		rc = keep_job(p, a, &sent, name, e);
		if (rc < 0)
			give_back(p, *job, e);
	}
	arena_reset(&ar);
	return rc;
}

/* The ask's answer is a job. */
static void
answer_job(struct poller *p, struct gitlab_answer *a)
{
	struct err e = { 0 };
	char name[96];

	if (take_job(p, a, name, &e) == 0)
		chan_send(p->control, &p->talk, CHAN_JOB, &e, "%s", name);
	else
		say(p, e.kind == ERR_PROTO ? "lost" : "later", a, e.msg);
}

static int
has_room(const struct poller *p, struct err *e)
{
	struct statvfs v;

	if (fstatvfs(p->jobs, &v) < 0)
		return err_sys(e, "statvfs jobs");
	if ((uint64_t)v.f_bavail * v.f_frsize < ROOM || (v.f_files > 0 && v.f_favail < 64))
		return err_set(e, ERR_FULL, ENOSPC, "the disk of the state directory is full (less than %u MiB or 64 files are free): no job is asked for", ROOM >> 20);
	return 0;
}

static void
ask(struct poller *p)
{
	const struct job_settings *r = &p->plan.runner;
	const struct gitlab_self self = { r->token, r->system_id, r->shell, str_from(r->docker.gpus) };
	struct gitlab_answer a = { .body = { .max = PAYLOAD_MAX }, .arriving = arriving, .arriving_ctx = p };
	struct err e = { 0 };
	mono_t began = mono_now();

	if (has_room(p, &e) < 0) {
		say(p, "later", &a, e.msg);
		return;
	}
	if (open_gitlab(p, &e) < 0) {
		say(p, "lost", &a, e.msg);
		return;
	}
	net_control_late(p->control, LINGER);
	gitlab_request_job(p->gitlab, &self, p->last_update, &a, mono_after(ANSWER_LIMIT), &e);
	net_control(-1);
	/* A missing header never clears the remembered value: the next request then gets through at once. */
	if (a.last_update[0] != '\0')
		snprintf(p->last_update, sizeof(p->last_update), "%s", a.last_update);
	log_debug("Asked for a job", F_INT("status", a.status), F_DUR("duration", mono_since(began)),
	    F_STR("correlation_id", a.request_id));
	switch (a.status) {
	case 201:
		crash_point("poller:answered");
		answer_job(p, &a);
		break;
	case 204:
		say(p, a.last_update[0] != '\0' ? "nothing" : "changed", &a, "");
		break;
	case 409:
		say(p, "conflict", &a, a.error.msg);
		break;
	case 0:
		if (e.kind != ERR_CANCELLED) {
			give_back_broken(p, buf_str(&a.body), &e);
			say(p, "lost", &a, e.msg);
		}
		break;
	default:
		/* Whoever said it but GitLab, it is an outage, with the back-off of one. */
		say(p, a.error.kind == ERR_TOKEN ? "token" : retry_gitlab_status(a.status) ? "later" :
		    a.error.kind == ERR_SERVER ? "lost" : "refused", &a, a.error.msg);
		break;
	}
	drop_arrival(p);
	gitlab_answer_free(&a);
}

/* ---- what a predecessor left ---- */

static wall_t
mtime_at(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? mtime_of(&st) : WALL_UNKNOWN;
}

/* 0 with its bytes in a->body; -1: it is somebody's who lives, or cannot be read. */
static int
reopen_arrival(struct poller *p, const char *name, struct gitlab_answer *a, struct err *e)
{
	snprintf(p->arrival.name, sizeof(p->arrival.name), "%s", name);
	if (open_arrival(p, 0, e) == 0 && fs_read(p->arrival.dir, JOBFILE_PAYLOAD, PAYLOAD_MAX, &a->body, e) == 0)
		return 0;
	/* Not ours to remove while its poller lives; one without a byte is nobody's, once it is no newborn. */
	if (e->kind != ERR_NOTFOUND ||
	    wall_between(mtime_at(p->jobs, name), wall_now()) < 60 * NSEC_SEC)
		p->arrival.name[0] = '\0';
	drop_arrival(p);
	return -1;
}

static void
finish_one(struct poller *p, const char *name)
{
	struct gitlab_answer a = { .body = { .max = PAYLOAD_MAX } };
	struct err e = { 0 };
	char job[96];

	if (reopen_arrival(p, name, &a, &e) == 0 && a.body.n > 0) {
		log_info("Taking up an answer whose poller died", F_STR("answer", name), F_INT("bytes", a.body.n));
		a.status = 201;
		rand_hex(a.request_id, 32);
		if (take_job(p, &a, job, &e) == 0)
			chan_send(p->control, &p->talk, CHAN_KEPT, &e, "%s", job);
		else
			log_warn("An answer whose poller died is no job", F_STR("answer", name), F_ERR(&e));
	}
	drop_arrival(p);
	gitlab_answer_free(&a);
}

/* Those of this pool; to be freed. */
static ssize_t
list_answers(struct poller *p, char ***names)
{
	ssize_t n = fs_list_dotted(p->jobs, names, NULL), k = 0;
	char mine[32];

	snprintf(mine, sizeof(mine), JOBDIR_ANSWER "%s.", p->plan.runner.runner_key);
	for (ssize_t i = 0; i < n; i++)
		if (str_starts(str_from((*names)[i]), mine)) {
			char *name = (*names)[i];

			(*names)[i] = (*names)[k];
			(*names)[k++] = name;
		}
	for (ssize_t i = k; i < n; i++)
		free((*names)[i]);
	if (n >= 0 && k == 0) {
		free(*names);
		return -1;
	}
	return n < 0 ? -1 : k;
}

/* What a dead poller left belongs to its number. While we are root it can become ours. */
static void
inherit_answers(struct poller *p, uid_t self)
{
	char **names, *file;
	ssize_t n = self != 0 ? list_answers(p, &names) : -1;
	struct err e = { 0 };

	for (ssize_t i = 0; i < n; i++) {
		int dir = fs_opendir(p->jobs, names[i], &e);

		file = fs_join(names[i], JOBFILE_PAYLOAD);
		if (dir >= 0 && lock_held(p->jobs, file, NULL, &e) == 0 && identity_hand_over(dir, self, NULL, &e) < 0)
			log_warn("An answer whose poller died cannot be taken up", F_STR("answer", names[i]), F_ERR(&e));
		free(file);
		if (dir >= 0)
			close(dir);
	}
	if (n >= 0)
		fs_free_names(names, n);
}

static void
finish_answers(struct poller *p)
{
	char **names;
	ssize_t n = list_answers(p, &names);

	for (ssize_t i = 0; i < n; i++)
		finish_one(p, names[i]);
	if (n >= 0)
		fs_free_names(names, n);
}

static int
serve(struct poller *p)
{
	for (;;) {
		struct pollfd pfd = { p->control, POLLIN, 0 };
		struct chan_msg m;
		struct err e = { 0 };
		int rc;

		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			return EXIT_FAIL;
		rc = chan_recv(p->control, &p->talk, &m, &e);
		if (rc < 0)
			return e.kind == ERR_NET ? EXIT_OK : EXIT_FAIL;
		if (rc == 0)
			continue;
		if (m.verb == CHAN_STOP)
			return EXIT_OK;
		ask(p);
	}
}

int
poller_main(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "state-dir", .type = OPT_STRING },
		{ .name = "control-fd", .type = OPT_INT },
		{ .name = "plan-fd", .type = OPT_INT },
	};
	struct poller p = { .control = -1, .talk = { .me = CHAN_POLLER, .peer = CHAN_MANAGER },
	    .jobs = -1, .arrival = { .dir = -1, .fd = -1 } };
	struct err e = { 0 };
	uid_t self = 0;
	char *jobs;

	proc_harden();
	if (opt_parse(o, NELEM(o), argc, argv, NULL, &e) < 0 || o[0].value == NULL ||
	    read_plan(&p, (int)o[2].number, &e) < 0) {
		log_error("Poller was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	close((int)o[2].number);
	p.control = (int)o[1].number;
	if (fs_strict_modes(o[0].value, geteuid(), &e) < 0) {
		log_error("State directory cannot be trusted", F_ERR(&e));
		return EXIT_CONFIG;
	}
	jobs = fs_join(o[0].value, JOBS_DIR);
	p.jobs = fs_opendir(AT_FDCWD, jobs, &e);
	if (p.jobs < 0) {
		log_error("Poller has no jobs directory", F_ERR(&e));
		return EXIT_CONFIG;
	}
	if (open_gitlab(&p, &e) < 0) {
		log_error("Runner cannot be used", F_ERR(&e));
		return EXIT_CONFIG;
	}
	/* What only root may read of what it will want again: for runner.json of each job, and for the next connection. */
	fs_keep(p.plan.tls_ca_file);
	fs_keep(p.plan.tls_cert_file);
	fs_keep(p.plan.tls_key_file);
	if (getenv("SSL_CERT_FILE") != NULL)
		fs_keep(getenv("SSL_CERT_FILE"));
	if (identity_changes() && identity_share(p.jobs, IDENTITY_POLLERS, true, &e) < 0)
		log_debug("The jobs directory cannot be shared: this poller stays root", F_ERR(&e));
	else
		self = IDENTITY_POLLER_FIRST + (uid_t)getpid();
	inherit_answers(&p, self);
	identity_take(self, IDENTITY_POLLERS);
	/* It writes jobs and nothing else. */
	sandbox_files(&(struct sandbox_place){ SANDBOX_WRITE, NULL, p.jobs }, 1, SANDBOX_READ_ALL | SANDBOX_TCP, NULL);
	sandbox_calls(SANDBOX_POLLER);
	finish_answers(&p);
	return serve(&p);
}
