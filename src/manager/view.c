/* The manager seen from outside: see view.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "books/state.h"
#include "books/store.h"
#include "core/fs.h"
#include "core/lock.h"
#include "job/stages.h"
#include "manager/view.h"

#define STAGE_MAX	(16u << 20)
#define SILENT_S	8	/* a manager that lives has seen a new job by then, however large its fleet is */

static const char *
read_line(int dir, const char *name, struct arena *a)
{
	struct buf b = { .max = 4096 };
	struct str rest;
	const char *line = "";

	if (fs_read(dir, name, 4000, &b, NULL) == 0) {
		rest = buf_str(&b);
		line = arena_dup(a, str_trim(str_cut(&rest, '\n')));
	}
	buf_free(&b);
	return line;
}

static const char *
state_of(const struct machine_record *r)
{
	switch (r->phase) {
	case PHASE_NONE:
	case PHASE_READY:
		return "idle";
	case PHASE_DELETING:
		return "removing";
	default:
		return "creating";
	}
}

/* True when it is one of this installation's. */
static bool
look_at_machine(struct view *v, const char *store, const char *name, const char *owner, struct view_machine *out)
{
	const struct view_machine *known = view_machine(v, name);
	struct machine_record r = { 0 };
	struct machine_config config;
	struct err e = { 0 };
	int dir = store_open(store, name, &e);
	bool ours = known != NULL;

	if (dir < 0)
		return false;
	if (known != NULL)
		*out = *known;
	else {
		view_machine_init(out);
		out->name = arena_dup(&v->arena, str_from(name));
		out->state = "idle";
	}
	/* Without a record of ours only the manager can tell whose it is. */
	if (machine_record_read(dir, &v->arena, &r, &e) == 0) {
		if (known == NULL)
			ours = r.runner[0] != '\0' && strcmp(r.owner, owner) == 0;
		out->pool = r.runner;
		out->phase = phase_name(r.phase);
		/* Whether it is in use is what the jobs say, below. */
		out->state = known != NULL && strcmp(known->state, "stuck-on-removing") == 0 ? known->state : state_of(&r);
		out->created = r.created;
		out->since = wall_known(r.last_used) ? r.last_used : r.phase_since;
		out->uses = r.uses;
		out->why = r.phase == PHASE_DELETING ? r.remove_reason : "";
		out->error = r.last_error;
	}
	if (machine_config_read(dir, &v->arena, &config, &e) < 0 && (e.kind == ERR_PARSE || e.kind == ERR_NOTFOUND))
		out->error = STOREFILE_CONFIG " is missing or damaged";
	out->job = "";
	/* Operators die with their manager. */
	if (!v->alive)
		out->operation = "";
	close(dir);
	return ours;
}

static void
look_at_machines(struct view *v, int state_fd, const char *store)
{
	char owner[17];
	struct view_machine *found;
	char **names = NULL;
	size_t nfound = 0;
	ssize_t n = store_list(store, &names, NULL);

	state_owner_read(state_fd, owner);
	if (n < 0)
		n = 0;
	found = arena_calloc(&v->arena, (size_t)n, sizeof(*found));
	for (ssize_t i = 0; i < n; i++)
		nfound += look_at_machine(v, store, names[i], owner, &found[nfound]);
	fs_free_names(names, n);
	v->machines = found;
	v->nmachines = nfound;
}

static int64_t
holder(int dir, const char *lock)
{
	pid_t pid;

	return lock_held(dir, lock, &pid, NULL) == 1 ? pid : 0;
}

static bool
look_at_job(struct view *v, int jobs_fd, const char *id, struct view_job *out)
{
	struct arena *a = &v->arena;
	const struct view_job *known = view_job(v, id);
	struct jobdir_result result;
	struct job_settings runner;
	struct jobdir_stage stage;
	struct err e = { 0 };
	int dir = fs_opendir(jobs_fd, id, NULL);

	if (dir < 0 || jobdir_runner_read(dir, false, a, &runner, NULL) < 0) {
		if (dir >= 0)
			close(dir);
		return false;
	}
	*out = (struct view_job){ .id = arena_dup(a, str_from(id)), .pool = runner.runner_key,
	    .name = runner.about.name, .ci_stage = runner.about.stage, .project = runner.about.project, .url = runner.about.url,
	    .arrived = runner.received, .machine = read_line(dir, JOBFILE_MACHINE, a),
	    .waiting = read_line(dir, JOBFILE_WAITING, a), .waiting_why = "", .stage = "", .result = "", .result_text = "",
	    .assigned = known != NULL ? known->assigned : WALL_UNKNOWN, .ended = known != NULL ? known->ended : WALL_UNKNOWN,
	    .executor = holder(dir, JOBFILE_EXECUTOR_LOCK), .reporter = holder(dir, JOBFILE_REPORTER_LOCK) };
	out->state = out->machine[0] != '\0' ? "running" : "waiting";
	if (strcmp(out->state, "running") == 0) {
		out->waiting = "";
		if (jobdir_stage_read(dir, STAGE_MAX, a, &stage, NULL) == 0)
			out->stage = arena_dup(a, stage_shown(str_from(stage.stage)));
	} else if (known != NULL)
		out->waiting_why = known->waiting_why;
	if (jobdir_result_read(dir, a, &result, &e) == 0) {
		out->state = "ended";
		out->result = result.success ? "success" : result.reason;
		out->result_text = result.text;
		if (!wall_known(out->ended))
			out->ended = result.finished;
	}
	close(dir);
	return true;
}

static void
look_at_jobs(struct view *v, int state_fd)
{
	int jobs_fd = fs_opendir(state_fd, JOBS_DIR, NULL);
	struct view_job *found;
	char **names = NULL;
	size_t nfound = 0;
	ssize_t n = jobs_fd >= 0 ? fs_list(state_fd, JOBS_DIR, &names, NULL) : -1;

	if (n >= 0) {
		found = arena_calloc(&v->arena, (size_t)n, sizeof(*found));
		for (ssize_t i = 0; i < n; i++)
			nfound += look_at_job(v, jobs_fd, names[i], &found[nfound]);
		fs_free_names(names, n);
		v->jobs = found;
	}
	v->njobs = nfound;
	if (jobs_fd >= 0)
		close(jobs_fd);
	for (size_t i = 0; i < v->njobs; i++)
		for (size_t k = 0; k < v->nmachines; k++)
			if (strcmp(v->jobs[i].state, "running") == 0 && strcmp(v->machines[k].name, v->jobs[i].machine) == 0) {
				v->machines[k].job = v->jobs[i].id;
				if (strcmp(v->machines[k].state, "idle") == 0)
					v->machines[k].state = "used";
			}
}

/* The numbers of each pool, made anew from what was found; pools that no snapshot names come into being. */
static void
count_pools(struct view *v)
{
	struct view_pool *pools = arena_calloc(&v->arena, v->npools + v->nmachines + v->njobs, sizeof(*pools));

	memcpy(pools, v->pools, v->npools * sizeof(*pools));
	v->pools = pools;
	for (size_t i = 0; i < v->npools; i++) {
		/* What its manager was about to do, nobody is any more. */
		pools[i].ask = pools[i].asking = pools[i].short_by = 0;
		pools[i].ask_why = pools[i].ask_text = pools[i].held = pools[i].held_text = pools[i].create_error = pools[i].trouble = "";
		pools[i].held_until = WALL_UNKNOWN;
		pools[i].gitlab_failures = pools[i].refusals = pools[i].create_failures = 0;
		pools[i].gitlab_not_before = pools[i].create_not_before = WALL_UNKNOWN;
		pools[i].creating = pools[i].idle = pools[i].used = pools[i].removing = pools[i].stuck = pools[i].waiting = pools[i].running = 0;
	}
	for (size_t i = 0; i < v->nmachines + v->njobs; i++) {
		const struct view_machine *m = i < v->nmachines ? &v->machines[i] : NULL;
		const struct view_job *j = &v->jobs[m == NULL ? i - v->nmachines : 0];
		const char *key = m == NULL ? j->pool : m->pool;
		struct view_pool *p = NULL;

		for (size_t k = 0; k < v->npools && p == NULL; k++)
			if (strcmp(pools[k].key, key) == 0)
				p = &pools[k];
		if (p == NULL) {
			p = &pools[v->npools++];
			view_pool_init(p);
			p->key = key;
		}
		if (m == NULL) {
			p->waiting += strcmp(j->state, "waiting") == 0;
			p->running += strcmp(j->state, "running") == 0;
			continue;
		}
		p->creating += strcmp(m->state, "creating") == 0;
		p->idle += strcmp(m->state, "idle") == 0;
		p->used += strcmp(m->state, "used") == 0;
		p->removing += strcmp(m->state, "removing") == 0;
		p->stuck += strcmp(m->state, "stuck-on-removing") == 0;
	}
}

/*
 * Why a living manager's snapshot is an old one, or NULL. A manager that cannot write it says so in the file's time of
 * modification, for which a full disk has room (snapshot.c); one that hangs or is stopped does not know of the jobs that came since.
 */
static const char *
why_stale(struct view *v, int fd)
{
	struct err ignored = { 0 };
	const char *why = NULL;
	struct stat st;
	int jobs = fs_opendir(fd, JOBS_DIR, &ignored);
	char **names;
	ssize_t n;

	if (fstatat(fd, SNAPSHOT_FILE, &st, 0) == 0 && st.st_mtime > 0 && st.st_mtime < SNAPSHOT_ERRNO_MAX)
		return st.st_mtime == ENOSPC || st.st_mtime == EDQUOT ? "the disk is full" : arena_dup(&v->arena, str_from(strerror((int)st.st_mtime)));
	if (jobs < 0)
		return NULL;
	n = fs_list(jobs, ".", &names, &ignored);
	for (ssize_t i = 0; i < n; i++)
		if (view_job(v, names[i]) == NULL && fstatat(jobs, names[i], &st, 0) == 0 && S_ISDIR(st.st_mode) &&
		    wall_seconds(wall_now()) - st.st_ctime > SILENT_S)
			why = "the manager does not write its view";
	if (n >= 0)
		fs_free_names(names, n);
	close(jobs);
	return why;
}

int
view_load(struct view *v, const char *state_dir, const char *store, struct err *e)
{
	struct buf b = { .max = SNAPSHOT_MAX };
	struct err why = { 0 };
	char *fallback = NULL;
	pid_t pid = 0;
	int fd;

	*v = (struct view){ .version = "", .state = "", .config = "", .store = "", .system_id = "" };
	fd = fs_opendir(AT_FDCWD, state_dir, e);
	if (fd < 0)
		return err_ctx(e, "state directory");
	v->alive = lock_held(fd, STATEFILE_LOCK, &pid, NULL) == 1;
	if (fs_read(fd, SNAPSHOT_FILE, SNAPSHOT_MAX, &b, &why) == 0)
		view_parse(v, buf_str(&b), &why);
	else if (why.kind != ERR_NOTFOUND && why.sys != ENOENT) {
		/* Most likely another user's. */
		*e = why;
		close(fd);
		return err_ctx(e, "state directory %s", state_dir);
	}
	buf_free(&b);
	if (v->alive && v->snapshot && v->pid == pid) {
		v->stale = why_stale(v, fd);
		close(fd);
		return 0;
	}
	/* Of a predecessor: what it says of the present is over. */
	if (v->alive)
		v->snapshot = false;
	v->pid = v->alive ? pid : 0;
	if (store == NULL && v->store[0] == '\0')
		store = fallback = store_default_path();
	else if (store == NULL)
		store = v->store;
	v->store = store != NULL ? arena_dup(&v->arena, str_from(store)) : "";
	look_at_machines(v, fd, v->store);
	look_at_jobs(v, fd);
	count_pools(v);
	free(fallback);
	close(fd);
	return 0;
}
