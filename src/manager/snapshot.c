/* The manager's tables as a file: see snapshot.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/log.h"
#include "job/stages.h"
#include "manager/parts.h"
#include "manager/snapshot.h"
#include "versions.h"

#define EVERY		NSEC_SEC
#define SHARE		50		/* of the time at most 1/SHARE */
#define STAGE_MAX	(16u << 20)	/* how far a job is, is worth no more */

struct snapshot {
	wall_t		 started;
	uint64_t	 hash;		/* of what the file says */
	mono_t		 next;		/* not before; MONO_AT_ONCE when it is made */
	bool		 wanted;
	bool		 told;		/* that it cannot be written */
};

/* A point of the monotonic clock, for people. Whole seconds: it is computed anew each time and must not seem to change. */
static wall_t
wall_of(mono_t t)
{
	if (mono_is_never(t) || mono_passed(t))
		return WALL_UNKNOWN;
	return wall_of_seconds(wall_seconds(wall_add(wall_now(), NSEC_SEC / 2 - mono_since(t))));
}

static const char *
why_word(enum scale_why why)
{
	return why != SCALE_WHY_NONE ? scale_why_word(why) : "";
}

/* Why nothing is asked for or made, beside the plan's reasons: refused by GitLab, GitLab away, creations failed. */
static void
tell_troubles(struct view_pool *v, const struct pool *p)
{
	if (p->gate.failures > 0) {
		v->create_failures = p->gate.failures;
		v->create_since = (wall_t){ p->gate.since };
		v->create_not_before = (wall_t){ p->gate.not_before };
		v->create_trying = p->gate.probing;
		v->create_error = p->create_error;
	}
	if (p->health.failures > 0) {
		v->refusals = p->health.failures;
		v->refused_last = p->health.last;
		v->disabled_until = pollers_disabled_until(p);
	}
	v->trouble = p->trouble;
	if (p->instance != NULL && (p->instance->failures > 0 || wall_before(wall_now(), p->instance->not_before))) {
		v->gitlab_failures = p->instance->failures;
		v->gitlab_not_before = p->instance->not_before;
	}
}

/* The bucket as it is kept: how full it is depends on the time, and nothing here does. */
static struct budget
limit_of(const struct budget *b)
{
	return b->interval != 0 || b->blocked_until != 0 ? *b : (struct budget){ 0 };
}

static void
put_pool(struct json_w *w, const struct manager *m, const struct pool *p)
{
	const struct runner *r = p->conf;
	const struct scale_counts *c = &p->plan.counts;
	struct buf held = { .max = 1024 };
	struct view_pool v = {
		.key = p->key, .runner = p->runner, .name = p->runner_name, .configured = r != NULL,
		.creating = c->creating, .idle = c->idle + c->acquired, .used = c->used, .removing = c->removing, .stuck = c->stuck,
		.idle_target = p->plan.idle_target, .running = jobs_with_machine(m, p), .ask = p->ask, .asking = pollers_in_flight(p),
		.ask_why = why_word(p->plan.ask_why), .ask_text = scale_why(p->plan.ask_why),
		.held = why_word(p->plan.held), .held_until = scaler_held(p, &held), .short_by = p->plan.short_by,
		.growth = limit_of(&p->growth),
	};

	v.held_text = held.p;
	LIST_EACH(struct job, j, link, &m->jobs)
		v.waiting += j->pool == p && j->state == JOB_WAITING;
	if (r != NULL) {
		v.url = r->base_url;
		v.driver = r->machine_driver;
		v.disabled = r->disabled;
		v.limit = r->limit;
		v.max_builds = r->max_builds;
		v.request_concurrency = r->request_concurrency;
		v.request_limit = adaptive_limit(&p->adaptive, (int)r->request_concurrency);
	}
	tell_troubles(&v, p);
	if (p->account != NULL)
		v.account = limit_of(&p->account->budget);
	jw_object(w, NULL);
	view_put_pool(w, &v);
	view_put_pool_rest(w, &v);
	jw_end_object(w);
	buf_free(&held);
}

/* When the state it is in began. */
static wall_t
since(const struct machine *mc)
{
	switch (mc->state) {
	case SCALE_CREATING:
		return wall_known(mc->create_started) ? mc->create_started : mc->created;
	case SCALE_USED:
		return mc->job != NULL && wall_known(mc->job->assigned) ? mc->job->assigned : mc->used;
	case SCALE_REMOVING:
	case SCALE_STUCK:
		return mc->remove_started;
	default:
		return mc->used;
	}
}

static void
put_machine(struct json_w *w, struct manager *m, struct machine *mc)
{
	const struct target *t = metrics_target(m, mc);
	bool busy = child_alive(&mc->operator), goes = mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK;
	const struct view_machine v = {
		.name = mc->name, .pool = mc->pool->key, .state = scale_state_name(mc->state),
		.phase = mc->phase != PHASE_NONE ? phase_name(mc->phase) : "", .created = mc->created, .since = since(mc),
		.uses = mc->uses, .job = mc->job != NULL ? mc->job->id : "", .failed_checks = mc->failures,
		.stale = mc->flags & SCALE_F_STALE, .doomed = mc->flags & SCALE_F_DOOMED, .blind = mc->flags & SCALE_F_BLIND,
		.operation = busy ? mc->doing : "", .removal_retries = mc->removal_retries, .error = mc->operator.error,
		.again = wall_of(busy ? MONO_NEVER : mc->operator.again),
		.throttled_until = mc->state == SCALE_CREATING && wall_before(wall_now(), mc->not_before) ? mc->not_before : WALL_UNKNOWN,
		.why = goes ? mc->why : "", .zone = t->zone, .region = t->region, .project = t->project, .type = t->type,
	};

	jw_object(w, NULL);
	view_put_machine(w, &v);
	jw_end_object(w);
}

/* Only when it was written since: a job's checkpoints come every second or so, and this is looked at by few. */
static void
look_at_stage(struct manager *m, struct job *j)
{
	struct jobdir_stage stage;
	struct arena a = { 0 };
	int dir;

	if (!j->stage_news || j->state != JOB_RUNNING)
		return;
	j->stage_news = false;
	dir = fs_opendir(m->jobs_fd, j->id, NULL);
	if (dir >= 0 && jobdir_stage_read(dir, STAGE_MAX, &a, &stage, NULL) == 0)
		str_copy(stage_shown(str_from(stage.stage)), j->doing, sizeof(j->doing));
	if (dir >= 0)
		close(dir);
	arena_reset(&a);
}

static void
put_job(struct json_w *w, struct manager *m, struct job *j)
{
	static const char *const states[] = { [JOB_WAITING] = "waiting", [JOB_RUNNING] = "running", [JOB_ENDED] = "ended" };
	struct view_job v = {
		.id = j->id, .pool = j->pool->key, .state = states[j->state], .name = j->name, .ci_stage = j->stage,
		.project = j->project, .url = j->url, .arrived = j->arrived, .assigned = j->assigned, .ended = j->ended,
		.machine = j->machine_name, .machines_tried = j->machines_tried,
		.executor = j->executor.pid, .reporter = j->reporter.pid,
	};

	look_at_stage(m, j);
	switch (j->state) {
	case JOB_WAITING:
		v.waiting_why = j->waiting_why;
		v.waiting = j->waiting;
		v.waiting_until = j->waiting_until;
		break;
	case JOB_RUNNING:
		v.stage = j->doing;
		break;
	case JOB_ENDED:
		v.result = j->result;
		v.result_text = j->result_text;
		break;
	}
	jw_object(w, NULL);
	view_put_job(w, &v);
	jw_end_object(w);
}

void
snapshot_put(struct manager *m, struct buf *b)
{
	static const char *const phases[] = { "running", "draining", "stopping", "leaving" };
	struct json_w w = { .b = b };
	const struct view v = {
		.pid = getpid(), .version = WL_VERSION, .state = phases[m->phase],
		.started = m->snapshot != NULL ? m->snapshot->started : WALL_UNKNOWN, .config = m->config_path,
		.store = m->store, .system_id = m->system_id, .concurrent = m->config->concurrent,
		.log_warning = (int64_t)log_count(LOG_WARN), .log_error = (int64_t)log_count(LOG_ERROR),
		.log_fatal = (int64_t)log_count(LOG_FATAL), .at = wall_now(),
	};

	jw_object(&w, NULL);
	view_put_manager(&w, &v);
	jw_array(&w, "pools");
	LIST_EACH(struct pool, p, link, &m->pools)
		put_pool(&w, m, p);
	jw_end_array(&w);
	jw_array(&w, "machines");
	LIST_EACH(struct machine, mc, link, &m->machines)
		put_machine(&w, m, mc);
	jw_end_array(&w);
	jw_array(&w, "jobs");
	LIST_EACH(struct job, j, link, &m->jobs)
		put_job(&w, m, j);
	jw_end_array(&w);
	if (listener_wanted(m)) {
		view_put_log(&w, &v);
		metrics_put(m, &w);
	}
	view_put_end(&w, &v);
	jw_end_object(&w);
}

/* Of everything but the time of writing. */
static uint64_t
hash_of(struct str text)
{
	ssize_t at = str_rchr(text, ',');

	return hash_fnv(at > 0 ? str_sub(text, 0, (size_t)at) : text);
}

static void
write_it(struct manager *m, struct snapshot *s)
{
	struct buf b = { .max = SNAPSHOT_MAX };
	struct err e = { 0 };
	uint64_t hash;

	snapshot_put(m, &b);
	hash = hash_of(buf_str(&b));
	if ((hash == s->hash && !s->told) || b.failed)
		goto out;
	/* Nothing depends on it: no fsync, and a full disk is said once. */
	if (fs_write_fast(m->state_fd, SNAPSHOT_FILE, buf_str(&b), 0640, &e) == 0) {
		s->hash = hash;
		s->told = false;
	} else {
		/* The old one stays, and is marked as old: a change of its times needs no space. */
		struct timespec marks[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = e.sys > 0 && e.sys < SNAPSHOT_ERRNO_MAX ? e.sys : EIO } };

		(void)!utimensat(m->state_fd, SNAPSHOT_FILE, marks, 0);
		if (!s->told)
			log_warn("Snapshot cannot be written: `windlass ls`, `top` and `why` show an older one", F_ERR(&e));
		s->told = true;
	}
out:
	buf_free(&b);
}

void
snapshot_open(struct manager *m)
{
	m->snapshot = xcalloc(1, sizeof(*m->snapshot));
	m->snapshot->next = MONO_AT_ONCE;
	m->snapshot->started = wall_now();
	/* Should this fail, the first write says so. */
	(void)!mkdirat(m->state_fd, SNAPSHOT_DIR, 0700);
}

void
snapshot_end(struct manager *m)
{
	if (m->snapshot != NULL)
		write_it(m, m->snapshot);
}

void
snapshot_tend(struct manager *m, bool event)
{
	struct snapshot *s = m->snapshot;
	mono_t began;
	dur_t took;

	s->wanted |= event;
	if (!mono_passed(s->next))
		return;
	began = mono_now();
	write_it(m, s);
	took = mono_since(began) * SHARE;
	s->next = mono_after(took > EVERY ? took : EVERY);
	s->wanted = false;
}

mono_t
snapshot_wake(const struct manager *m)
{
	return m->snapshot != NULL && m->snapshot->wanted ? m->snapshot->next : MONO_NEVER;
}
