/* The manager's tables and how they are read from the two directories: see model.h. */
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "books/failure.h"
#include "books/jobdir.h"
#include "books/view.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/rand.h"
#include "manager/model.h"

#define AGAIN_MAX	(60 * NSEC_SEC)
/* Of a pool that no entry was ever seen of: windlass started while its file was half written, say. The IdleTime of the examples. */
#define POOL_GRACE	(600 * NSEC_SEC)

void
watch_add(struct manager *m, struct watch *w, int fd, watch_fn *ready, void *owner)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	*w = (struct watch){ fd, ready, owner };
	if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		log_error("epoll_ctl", F_STR("error", strerror(errno)));
		abort();
	}
}

void
watch_drop(struct manager *m, struct watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(m->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	close(w->fd);
	w->fd = -1;
}

void
child_watch(struct manager *m, struct child *c, struct child_process p, watch_fn *ended,
    void *owner)
{
	c->pid = p.pid;
	c->adopted = p.adopted;
	c->started = mono_now();
	c->again = MONO_AT_ONCE;
	c->error[0] = '\0';
	watch_add(m, &c->exit, p.pidfd, ended, owner);
}

int
child_start(struct manager *m, struct child *c, const struct child_start *s, struct err *e)
{
	struct child_process p = { .pidfd = -1 };
	int pair[2];

	if (s->plan < 0)
		return -1;
	if (chan_pair(pair, e) < 0) {
		close(s->plan);
		return -1;
	}
	p.pidfd = proc_self(s->argv, (struct proc_fd[]){ { s->plan, 3 }, { pair[1], 4 } }, 2,
	    s->life, &p.pid, e);
	close(s->plan);
	close(pair[1]);
	if (p.pidfd < 0) {
		close(pair[0]);
		return -1;
	}
	child_watch(m, c, p, s->ended, s->owner);
	watch_add(m, &c->control, pair[0], s->says, s->owner);
	c->talk = (struct chan_talk){ CHAN_MANAGER, s->peer, 0 };
	return 0;
}

void
child_refuse(struct manager *m, struct child *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "%s", why);
	log_error("A process of ours says what it may not: it is ended", F_INT("pid", c->pid), F_STR("error", why));
	syscall(SYS_pidfd_send_signal, c->exit.fd, SIGKILL, NULL, 0);
	watch_drop(m, &c->control);
}

int
child_hear(struct manager *m, struct child *c, struct chan_msg *msg)
{
	struct err e = { 0 };
	int rc;

	if (c->control.fd < 0)
		return 0;
	while ((rc = chan_recv(c->control.fd, &c->talk, msg, &e)) > 0 && msg->verb == CHAN_ERROR)
		snprintf(c->error, sizeof(c->error), "%.*s", msg->narg > 1 ? (int)msg->arg[1].n : 0, msg->narg > 1 ? msg->arg[1].p : "");
	if (rc < 0 && e.kind == ERR_PROTO)
		child_refuse(m, c, e.msg);
	else if (rc < 0)
		watch_drop(m, &c->control);
	return rc > 0;
}

bool
child_alive(const struct child *c)
{
	return c->pid != 0;
}

int
child_bury(struct manager *m, struct child *c)
{
	int status, rc = -1;

	if (!c->adopted) {
		while (waitpid(c->pid, &status, 0) < 0)
			if (errno != EINTR) {
				status = 0;
				break;
			}
		rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	} else if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
		/* Started by the manager that this process was before: still our child. */
		rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	watch_drop(m, &c->exit);
	watch_drop(m, &c->control);
	c->pid = 0;
	return rc;
}

void
child_again_later(struct child *c)
{
	dur_t wait = NSEC_SEC;

	for (unsigned i = 0; i < c->deaths && wait < AGAIN_MAX; i++)
		wait *= 2;
	c->deaths++;
	c->again = mono_after(wait < AGAIN_MAX ? wait : AGAIN_MAX);
}

bool
child_adopt(struct manager *m, struct child *c, int dirfd, const char *lock, watch_fn *ended, void *owner)
{
	struct err e = { 0 };
	pid_t pid, again;
	int fd;

	if (lock_held(dirfd, lock, &pid, &e) != 1 || pid == 0)
		return false;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* The holder may have ended between the question and the open: ask again. */
	if (fd < 0 || lock_held(dirfd, lock, &again, &e) != 1 || again != pid) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	child_watch(m, c, (struct child_process){ pid, fd, true }, ended, owner);
	return true;
}

static void
child_init(struct child *c)
{
	*c = (struct child){ .exit = { .fd = -1 }, .control = { .fd = -1 }, .again = MONO_AT_ONCE };
}

struct pool *
pool_find(struct manager *m, const char *key)
{
	LIST_EACH(struct pool, p, link, &m->pools)
		if (strcmp(p->key, key) == 0)
			return p;
	return NULL;
}

struct pool *
pool_get(struct manager *m, const char *key)
{
	struct pool *p = pool_find(m, key);

	if (p != NULL)
		return p;
	p = xcalloc(1, sizeof(*p));
	snprintf(p->key, sizeof(p->key), "%s", key);
	list_init(&p->pollers);
	p->left = wall_now();
	p->grace = POOL_GRACE;
	list_add(&m->pools, &p->link);
	return p;
}

int
pool_removal_attempts(const struct pool *p)
{
	return p->conf != NULL && p->conf->max_removal_attempts > 0 ? (int)p->conf->max_removal_attempts : 30;
}

struct machine *
machine_find(struct manager *m, const char *name)
{
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (strcmp(mc->name, name) == 0)
			return mc;
	return NULL;
}

struct machine *
machine_add(struct manager *m, const char *name, struct pool *pool)
{
	struct machine *mc = xcalloc(1, sizeof(*mc));

	snprintf(mc->name, sizeof(mc->name), "%s", name);
	mc->pool = pool;
	mc->created = mc->used = wall_now();
	mc->check_at = MONO_AT_ONCE;
	child_init(&mc->operator);
	list_add(&m->machines, &mc->link);
	return mc;
}

void
machine_free(struct manager *m, struct machine *mc)
{
	if (child_alive(&mc->operator))
		child_bury(m, &mc->operator);
	LIST_EACH(struct job, j, link, &m->jobs)
		if (j->machine == mc)
			j->machine = NULL;
	LIST_EACH(struct pool, p, link, &m->pools)
		LIST_EACH(struct poller, po, link, &p->pollers)
			if (po->acquired == mc)
				po->acquired = NULL;
	list_remove(&mc->link);
	free(mc);
}

struct job *
job_find(struct manager *m, const char *id)
{
	LIST_EACH(struct job, j, link, &m->jobs)
		if (strcmp(j->id, id) == 0)
			return j;
	return NULL;
}

void
job_free(struct manager *m, struct job *j)
{
	/* Adopted or not, a job is freed only when nobody works on it any more. */
	assert(!child_alive(&j->executor) && !child_alive(&j->reporter));
	(void)m;
	list_remove(&j->link);
	free(j->id);
	free(j->name);
	free(j->stage);
	free(j->project);
	free(j->url);
	free(j);
}

int
jobs_active(const struct manager *m, const struct pool *pool)
{
	int n = 0;

	LIST_EACH(struct job, j, link, &m->jobs)
		n += j->state != JOB_ENDED && (pool == NULL || j->pool == pool);
	return n;
}

int
jobs_with_machine(const struct manager *m, const struct pool *pool)
{
	int n = 0;

	LIST_EACH(struct job, j, link, &m->jobs)
		n += j->state == JOB_RUNNING && (pool == NULL || j->pool == pool);
	return n;
}

/*
 * Whose a machine is: its record says so; one made by the original is known
 * by its name. NULL: not ours to touch (made by hand, another installation's).
 */
static struct pool *
machine_owner(struct manager *m, const char *name, const struct machine_record *r)
{
	struct pool *owner = NULL;
	unsigned best = 0;

	if (r != NULL && r->phase != PHASE_NONE) {
		/* Another bastion may share the store's folder: its machines carry its own owner. */
		if (r->runner[0] == '\0' || strcmp(r->owner, m->owner) != 0)
			return NULL;
		return pool_get(m, r->runner);
	}
	LIST_EACH(struct pool, p, link, &m->pools) {
		/* The names of a broken entry are not to be trusted: none, say, which would match everything. */
		unsigned claim = p->conf != NULL && p->conf->disabled == NULL ? names_claim(&p->conf->names, str_from(name)) : 0;

		if (claim > best) {
			best = claim;
			owner = p;
		}
	}
	return owner;
}

static enum scale_state
state_of(const struct machine_record *r)
{
	switch (r->phase) {
	case PHASE_NONE:
	case PHASE_READY:
		return SCALE_IDLE;
	case PHASE_DELETING:
		return SCALE_REMOVING;
	default:
		return SCALE_CREATING;
	}
}

/* Whether config.json is missing or says nothing: no operator could work with the machine, but remove it. */
static bool
is_damaged(int dir, struct arena *a, struct err *e)
{
	struct machine_config c;

	*e = (struct err){ 0 };
	return machine_config_read(dir, a, &c, e) < 0 && (e->kind == ERR_PARSE || e->kind == ERR_NOTFOUND);
}

void
model_load_machine(struct manager *m, const char *name)
{
	struct machine *mc = machine_find(m, name);
	struct machine_record r = { 0 };
	struct arena a = { 0 };
	struct err e = { 0 };
	struct pool *pool;
	bool damaged;
	int dir;

	dir = store_open(m->store, name, &e);
	if (dir < 0) {
		if (mc != NULL && e.kind == ERR_NOTFOUND)
			machine_free(m, mc);
		return;
	}
	if (machine_record_read(dir, &a, &r, &e) < 0) {
		if (e.kind != ERR_NOTFOUND)
			log_error("Machine record is not readable: the machine is left alone",
			    F_STR("name", name), F_ERR(&e));
		r = (struct machine_record){ .phase = PHASE_NONE };
		if (e.kind != ERR_NOTFOUND)
			goto out;
	}
	pool = mc != NULL ? mc->pool : machine_owner(m, name, &r);
	if (pool == NULL)
		goto out;
	damaged = is_damaged(dir, &a, &e);
	if (damaged && r.phase == PHASE_NONE) {
		log_error("Neither of the machine's two files is readable: look in the cloud for its name, then remove it by hand",
		    F_STR("name", name), F_ERR(&e));
		goto out;
	}
	if (damaged)
		log_error("Machine gets no job any more, and goes", F_STR("name", name), F_ERR(&e));
	if (mc == NULL) {
		mc = machine_add(m, name, pool);
		/* One made by the original tells nothing of its past: it counts as used once (spec machines 1.12). */
		mc->uses = r.phase == PHASE_NONE ? 1 : 0;
	}
	mc->phase = r.phase;
	mc->ends = certs_machine_ends(dir);
	/* In memory for those that it could not be written for. */
	if (r.phase == PHASE_DELETING && r.removal_failures > mc->removal_retries)
		mc->removal_retries = r.removal_failures < UINT16_MAX ? (uint16_t)r.removal_failures : UINT16_MAX;
	if (mc->job == NULL)
		mc->state = state_of(&r);
	if (damaged)
		mc->flags |= SCALE_F_DOOMED;
	if (mc->state == SCALE_REMOVING && mc->removal_retries >= pool_removal_attempts(pool))
		mc->state = SCALE_STUCK;
	if (r.phase != PHASE_NONE) {
		mc->created = wall_known(r.created) ? r.created : mc->created;
		mc->uses = (uint32_t)r.uses;
		mc->system_failures = r.system_failures > 0 && r.system_failures < UINT16_MAX ? (uint16_t)r.system_failures : 0;
		mc->used = wall_known(r.last_used) ? r.last_used : wall_known(r.phase_since) ? r.phase_since : mc->created;
		mc->settle_at = r.unanswered > 0 ? wall_add(r.asked, MACHINE_SETTLE_NS) : WALL_UNKNOWN;
		if (r.remove_reason != NULL && r.phase == PHASE_DELETING)
			snprintf(mc->why, sizeof(mc->why), "%s", r.remove_reason);
		if (pool->conf != NULL && r.options_hash != NULL && r.options_hash[0] != '\0' &&
		    strcmp(r.options_hash, pool->conf->options_hash) != 0)
			mc->flags |= SCALE_F_STALE;
		else
			mc->flags &= ~(unsigned)SCALE_F_STALE;
	}
out:
	close(dir);
	arena_reset(&a);
}

static void
load_machine_name(struct manager *m, struct job *j, int dir)
{
	struct jobdir_place place;
	struct arena a = { 0 };
	struct stat st;

	if (jobdir_place_read(dir, false, &a, &place, NULL) == 0) {
		snprintf(j->machine_name, sizeof(j->machine_name), "%s", place.machine);
		j->slot = place.slot;
		j->machine = machine_find(m, j->machine_name);
		if (fstatat(dir, JOBFILE_MACHINE, &st, AT_SYMLINK_NOFOLLOW) == 0)
			j->assigned = wall_add(wall_of_seconds(st.st_mtim.tv_sec), st.st_mtim.tv_nsec);
	}
	arena_reset(&a);
}

void
job_take_result(struct job *j, const struct jobdir_result *r)
{
	j->dirty = r->dirty;
	/* Upstream counts a failure without a reason as the script's. */
	snprintf(j->result, sizeof(j->result), "%s", r->success ? "success" : r->reason[0] != '\0' ? r->reason :
	    failure_word(FAILURE_SCRIPT));
	snprintf(j->result_text, sizeof(j->result_text), "%s", r->text);
}

/* A job from an older version has nothing of that. */
static void
load_about(struct job *j, const struct job_about *about)
{
	j->name = xstrdup(about->name);
	j->stage = xstrdup(about->stage);
	j->project = xstrdup(about->project);
	j->url = xstrdup(about->url);
	str_copy(str_from(about->project_running), j->project_running, sizeof(j->project_running));
	j->queue_size = about->queue_size;
	j->queue_depth = about->queue_depth;
}

/* Whose job it is, from runner.json, or from ticket.json when that one is damaged. */
static int
read_owner(int dir, const char *id, struct arena *a, struct job_settings *s, struct err *e)
{
	struct jobdir_ticket t;

	if (jobdir_runner_read(dir, false, a, s, e) == 0 && s->runner_key[0] != '\0')
		return 0;
	if (e->kind == ERR_NONE)
		err_set(e, ERR_PARSE, 0, "runner.json: no runner_key in it");
	log_error("The job's runner.json is damaged: the job will fail", F_STR("job", id), F_ERR(e));
	if (jobdir_ticket_read(dir, false, a, &t, e) < 0 || t.runner.runner_key[0] == '\0')
		return -1;
	*s = t.runner;
	return 0;
}

static void
put_aside(struct manager *m, const char *id, int dir, const struct err *why)
{
	struct err e = { 0 };

	if (dir >= 0 && (lock_held(dir, JOBFILE_EXECUTOR_LOCK, NULL, &e) == 1 || lock_held(dir, JOBFILE_REPORTER_LOCK, NULL, &e) == 1)) {
		log_error("Job directory is damaged: it is left to the processes that have it", F_STR("job", id), F_ERR(why));
		return;
	}
	model_put_aside(m, id, why->msg);
}

void
model_put_aside(struct manager *m, const char *id, const char *why)
{
	struct err e = { 0 };
	char name[160], tag[9];

	rand_hex(tag, 8);
	snprintf(name, sizeof(name), JOBDIR_DAMAGED "%.100s.%s", id, tag);
	if (fs_rename(m->jobs_fd, id, m->jobs_fd, name, &e) < 0)
		log_error("Damaged job directory could not be put aside", F_STR("job", id), F_ERR(&e));
	else
		log_error("A job's files are damaged, and GitLab cannot be told: GitLab ends it by its time limit, or cancel it there. Look into its directory, then delete that",
		    F_STR("job", id), F_STR("directory", name), F_STR("error", why));
}

struct job *
model_load_job(struct manager *m, const char *id)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	struct jobdir_result result;
	struct job_settings runner;
	struct job *j = NULL;
	int dir;

	dir = fs_opendir(m->jobs_fd, id, &e);
	if (dir < 0 || read_owner(dir, id, &a, &runner, &e) < 0) {
		put_aside(m, id, dir, &e);
		goto out;
	}
	j = xcalloc(1, sizeof(*j));
	j->id = xstrdup(id);
	j->wd = -1;
	child_init(&j->executor);
	child_init(&j->reporter);
	j->pool = pool_get(m, runner.runner_key);
	j->arrived = wall_known(runner.received) ? runner.received : wall_now();
	j->queued_s = runner.queued_s;
	j->queued = wall_add(j->arrived, j->queued_s > 0 && j->queued_s < 1e8 ? -(dur_t)(j->queued_s * 1e9) : 0);
	load_about(j, &runner.about);
	list_add(&m->jobs, &j->link);
	load_machine_name(m, j, dir);
	j->begun = j->stage_news = fs_exists(dir, JOBFILE_STAGE);
	j->reported = fs_exists(dir, JOBFILE_REPORTED);
	if (fs_exists(dir, JOBFILE_RESULT)) {
		j->state = JOB_ENDED;
		/* Whether the machine is clean cannot be known from a damaged one. */
		j->dirty = true;
		if (jobdir_result_read(dir, &a, &result, &e) == 0)
			job_take_result(j, &result);
		goto out;
	}
	/* Begun, it has a machine, whatever became of the file that names it: its executor knows, or finds the damage. */
	j->state = j->machine_name[0] != '\0' || j->begun ? JOB_RUNNING : JOB_WAITING;
	if (j->machine != NULL) {
		j->machine->job = j;
		/* A machine that its own operator is deleting stays in that state: the job will hear of it. */
		if (j->machine->state == SCALE_IDLE)
			j->machine->state = SCALE_USED;
	}
out:
	if (dir >= 0)
		close(dir);
	arena_reset(&a);
	return j;
}

/* Whether that process is a poller: one whose manager was killed lives until its answer is kept (see poller.c). */
static bool
poller_lives(int64_t pid)
{
	char path[40];
	struct buf b = { .max = 64 };
	bool lives;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", pid);
	lives = fs_read(AT_FDCWD, path, 64, &b, NULL) == 0 && str_eqc(str_trim(buf_str(&b)), "windlass-poller");
	buf_free(&b);
	return lives;
}

/* JOBDIR_NEW "<name>.<pid>": the name, when it was that poller's (or that of any dead one, for pid 0). */
static bool
arrival_name(const char *dir, pid_t pid, char name[128])
{
	struct str s = str_from(dir), tail;
	ssize_t dot;
	int64_t of;

	if (!str_starts(s, JOBDIR_NEW))
		return false;
	s = str_sub(s, strlen(JOBDIR_NEW), s.n);
	dot = str_rchr(s, '.');
	if (dot <= 0)
		return false;
	tail = str_sub(s, (size_t)dot + 1, s.n);
	if (str_to_i64(tail, &of) < 0 || (pid != 0 ? of != pid : poller_lives(of)))
		return false;
	return str_copy(str_sub(s, 0, (size_t)dot), name, 128) == 0;
}

void
model_finish_arrivals(struct manager *m, pid_t pid)
{
	struct err e = { 0 };
	char **names, name[128];
	ssize_t n = fs_list_dotted(m->jobs_fd, &names, &e);

	for (ssize_t i = 0; i < n; i++) {
		int dir;

		if (!arrival_name(names[i], pid, name))
			continue;
		dir = fs_opendir(m->jobs_fd, names[i], &e);
		/* runner.json is written last, each file whole: with both there the job is. */
		if (dir >= 0 && fs_exists(dir, JOBFILE_PAYLOAD) && fs_exists(dir, JOBFILE_RUNNER)) {
			log_info("Taking up a job whose poller died before it was in its place", F_STR("job", name));
			if (fs_rename(m->jobs_fd, names[i], m->jobs_fd, name, &e) < 0)
				log_error("Job could not be put in its place", F_STR("job", name), F_ERR(&e));
		} else
			fs_remove_tree(m->jobs_fd, names[i], &e);
		if (dir >= 0)
			close(dir);
	}
	fs_free_names(names, n);
}

/* What earlier managers were writing when they died. Under the manager's lock nobody else writes there. */
static void
sweep_state(struct manager *m)
{
	int view = fs_opendir(m->state_fd, SNAPSHOT_DIR, NULL);

	fs_sweep(m->state_fd, 0);
	if (view >= 0) {
		fs_sweep(view, 0);
		close(view);
	}
}

/* Of a job executor, reporter and poller are writers that live on without a manager: only what is old is nobody's. */
#define JOB_TEMPORARY_S	120

static void
sweep_job(struct manager *m, const char *name)
{
	int dir = fs_opendir(m->jobs_fd, name, NULL);

	if (dir >= 0) {
		fs_sweep(dir, JOB_TEMPORARY_S);
		close(dir);
	}
}

/* An answer that nobody took up for so long, since its runner left the configuration: GitLab has given the job up. */
#define ANSWER_AGE	(86400 * NSEC_SEC)

/* JOBDIR_ANSWER "<pool>.<pid>" of a poller that is dead: the pool's key. */
static bool
answer_name(const char *dir, char key[9])
{
	struct str s = str_from(dir), pool;
	int64_t pid;

	if (!str_starts(s, JOBDIR_ANSWER))
		return false;
	s = str_sub(s, strlen(JOBDIR_ANSWER), s.n);
	pool = str_cut(&s, '.');
	return str_copy(pool, key, 9) == 0 && str_to_i64(s, &pid) == 0 && !poller_lives(pid);
}

void
model_find_answers(struct manager *m)
{
	struct err e = { 0 };
	char **names, key[9];
	ssize_t n = fs_list_dotted(m->jobs_fd, &names, &e);

	for (ssize_t i = 0; i < n; i++) {
		struct pool *p = answer_name(names[i], key) ? pool_find(m, key) : NULL;
		struct stat st;

		if (p != NULL && p->conf != NULL)
			p->unfinished = true;
		else if (str_starts(str_from(names[i]), JOBDIR_ANSWER) && fstatat(m->jobs_fd, names[i], &st, 0) == 0 &&
		    wall_between(wall_of_seconds(st.st_mtim.tv_sec), wall_now()) > ANSWER_AGE)
			fs_remove_tree(m->jobs_fd, names[i], &e);
	}
	fs_free_names(names, n);
}

/* Half-removed job directories of earlier deaths. */
static void
sweep_jobs(struct manager *m, struct err *e)
{
	char **names;
	ssize_t n = fs_list_dotted(m->jobs_fd, &names, e);

	for (ssize_t i = 0; i < n; i++)
		if (str_starts(str_from(names[i]), JOBDIR_GONE))
			fs_remove_tree(m->jobs_fd, names[i], e);
	fs_free_names(names, n);
}

void
model_find_machines(struct manager *m)
{
	struct err e = { 0 };
	char **names;
	ssize_t n = store_list(m->store, &names, &e);

	if (n < 0)
		return;
	for (ssize_t i = 0; i < n; i++)
		if (machine_find(m, names[i]) == NULL)
			model_load_machine(m, names[i]);
	fs_free_names(names, n);
}

int
model_scan(struct manager *m, struct err *e)
{
	char **names;
	ssize_t n;

	if (store_sweep(m->store, e) < 0)
		return -1;
	sweep_state(m);
	sweep_jobs(m, e);
	model_finish_arrivals(m, 0);
	model_find_answers(m);
	n = store_list(m->store, &names, e);
	if (n < 0)
		return err_ctx(e, "store %s", m->store);
	for (ssize_t i = 0; i < n; i++)
		model_load_machine(m, names[i]);
	fs_free_names(names, n);
	n = fs_list(m->state_fd, JOBS_DIR, &names, e);
	if (n < 0)
		return err_ctx(e, "state directory %s", m->state_dir);
	for (ssize_t i = 0; i < n; i++) {
		sweep_job(m, names[i]);
		model_load_job(m, names[i]);
	}
	fs_free_names(names, n);
	return 0;
}
