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
#include "wire/json.h"

#define EVERY		NSEC_SEC
#define SHARE		50		/* of the time at most 1/SHARE */
#define STAGE_JSON_MAX	(16u << 20)

struct snapshot {
	wall_t		 started;
	uint64_t	 hash;		/* of what the file says */
	mono_t		 next;		/* not before; MONO_AT_ONCE when it is made */
	bool		 wanted;
	bool		 told;		/* that it cannot be written */
};

/* A point of the monotonic clock, for people. Whole seconds: it is computed anew each time and must not seem to change. */
static void
put_mono(struct json_w *w, const char *key, mono_t t)
{
	if (!mono_is_never(t) && !mono_passed(t))
		jw_time(w, key, wall_of_seconds(wall_seconds(
		    wall_add(wall_now(), NSEC_SEC / 2 - mono_since(t)))), 3);
}

static void
put_counts(struct json_w *w, const struct scale_counts *c)
{
	jw_object(w, "counts");
	jw_i64(w, "creating", c->creating);
	jw_i64(w, "idle", c->idle + c->acquired);
	jw_i64(w, "used", c->used);
	jw_i64(w, "removing", c->removing);
	jw_i64(w, "stuck", c->stuck);
	jw_end_object(w);
}

/* Why nothing is asked for or made, beside the plan's reasons: refused by GitLab, GitLab away, creations failed. */
static void
put_troubles(struct json_w *w, const struct pool *p)
{
	wall_t now = wall_now();

	if (p->gate.failures > 0) {
		jw_object(w, "backoff");
		jw_i64(w, "failures", p->gate.failures);
		jw_time(w, "since", (wall_t){ p->gate.since }, 3);
		jw_time(w, "not_before", (wall_t){ p->gate.not_before }, 3);
		jw_bool(w, "trying", p->gate.probing);
		jw_text(w, "error", p->create_error);
		jw_end_object(w);
	}
	if (p->health.failures > 0) {
		jw_object(w, "refused");
		jw_i64(w, "times", p->health.failures);
		jw_time(w, "last", p->health.last, 3);
		if (wall_known(pollers_disabled_until(p)))
			jw_time(w, "until", pollers_disabled_until(p), 3);
		jw_end_object(w);
	}
	jw_text(w, "trouble", p->trouble);
	if (p->instance != NULL && (p->instance->failures > 0 || wall_before(now, p->instance->not_before))) {
		jw_object(w, "gitlab");
		jw_i64(w, "failures", p->instance->failures);
		jw_time(w, "not_before", p->instance->not_before, 3);
		jw_end_object(w);
	}
}

/* The bucket as it is kept: how full it is depends on the time, and nothing here does. */
static void
put_budget(struct json_w *w, const char *key, const struct budget *b)
{
	if (b->interval == 0 && b->blocked_until == 0)
		return;
	jw_object(w, key);
	jw_i64(w, "interval", b->interval);
	jw_i64(w, "burst", b->burst);
	jw_i64(w, "tat", b->tat);
	jw_i64(w, "blocked_until", b->blocked_until);
	jw_end_object(w);
}

static void
put_pool(struct json_w *w, const struct manager *m, const struct pool *p)
{
	const struct runner *r = p->conf;
	struct buf held = { .max = 1024 };
	wall_t held_until = scaler_held(p, &held);
	int waiting = 0;

	LIST_EACH(struct job, j, link, &m->jobs)
		waiting += j->pool == p && j->state == JOB_WAITING;
	jw_object(w, NULL);
	jw_cstr(w, "key", p->key);
	jw_text(w, "runner", p->runner);
	jw_text(w, "name", p->runner_name);
	jw_bool(w, "configured", r != NULL);
	if (r != NULL) {
		jw_text(w, "url", r->base_url);
		jw_text(w, "driver", r->machine_driver);
		jw_text(w, "disabled", r->disabled);
		jw_i64(w, "limit", r->limit);
		jw_i64(w, "max_builds", r->max_builds);
		jw_i64(w, "request_concurrency", r->request_concurrency);
		jw_i64(w, "request_limit", adaptive_limit(&p->adaptive, (int)r->request_concurrency));
	}
	put_counts(w, &p->plan.counts);
	jw_i64(w, "idle_target", p->plan.idle_target);
	jw_i64(w, "waiting", waiting);
	jw_i64(w, "running", jobs_with_machine(m, p));
	jw_i64(w, "ask", p->ask);
	jw_text(w, "ask_why",
	    p->plan.ask_why != SCALE_WHY_NONE ? scale_why_word(p->plan.ask_why) : "");
	jw_text(w, "ask_text", scale_why(p->plan.ask_why));
	jw_i64(w, "asking", pollers_in_flight(p));
	jw_text(w, "held", p->plan.held != SCALE_WHY_NONE ? scale_why_word(p->plan.held) : "");
	jw_text(w, "held_text", held.p);
	jw_time(w, "held_until", held_until, 3);
	jw_i64(w, "short_by", p->plan.short_by);
	put_troubles(w, p);
	put_budget(w, "growth", &p->growth);
	if (p->account != NULL)
		put_budget(w, "account", &p->account->budget);
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

	jw_object(w, NULL);
	jw_cstr(w, "name", mc->name);
	jw_cstr(w, "pool", mc->pool->key);
	jw_cstr(w, "state", scale_state_name(mc->state));
	if (mc->phase != PHASE_NONE)
		jw_cstr(w, "phase", phase_name(mc->phase));
	jw_time(w, "created", mc->created, 3);
	jw_time(w, "since", since(mc), 3);
	jw_i64(w, "uses", mc->uses);
	if (mc->job != NULL)
		jw_cstr(w, "job", mc->job->id);
	if (mc->failures > 0)
		jw_i64(w, "failed_checks", mc->failures);
	if (mc->flags & SCALE_F_STALE)
		jw_bool(w, "stale", true);
	if (mc->flags & SCALE_F_DOOMED)
		jw_bool(w, "doomed", true);
	if (mc->flags & SCALE_F_BLIND)
		jw_bool(w, "blind", true);
	if (child_alive(&mc->operator))
		jw_text(w, "operation", mc->doing);
	if (mc->removal_retries > 0)
		jw_i64(w, "removal_retries", mc->removal_retries);
	jw_text(w, "error", mc->operator.error);
	put_mono(w, "again", child_alive(&mc->operator) ? MONO_NEVER : mc->operator.again);
	if (mc->state == SCALE_CREATING && wall_before(wall_now(), mc->not_before))
		jw_time(w, "throttled_until", mc->not_before, 3);
	if (mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK)
		jw_text(w, "why", mc->why);
	jw_text(w, "zone", t->zone);
	jw_text(w, "region", t->region);
	jw_text(w, "project", t->project);
	jw_text(w, "type", t->type);
	jw_end_object(w);
}

/* Only when it was written since: a job's checkpoints come every second or so, and this is looked at by few. */
static void
look_at_stage(struct manager *m, struct job *j)
{
	struct buf b = { .max = STAGE_JSON_MAX };
	struct arena a = { 0 };
	struct err e = { 0 };
	struct json_val v;
	int dir;

	if (!j->stage_news || j->state != JOB_RUNNING)
		return;
	j->stage_news = false;
	dir = fs_opendir(m->jobs_fd, j->id, &e);
	if (dir >= 0 && fs_read(dir, JOBFILE_STAGE, STAGE_JSON_MAX, &b, &e) == 0 && json_parse(&a, buf_str(&b), &v, &e) == 0)
		str_copy(stage_shown(json_str(&a, json_get(v, "stage"))), j->doing, sizeof(j->doing));
	if (dir >= 0)
		close(dir);
	buf_wipe(&b);
	arena_reset(&a);
}

static void
put_job(struct json_w *w, struct manager *m, struct job *j)
{
	static const char *const states[] = { [JOB_WAITING] = "waiting", [JOB_RUNNING] = "running", [JOB_ENDED] = "ended" };

	look_at_stage(m, j);
	jw_object(w, NULL);
	jw_cstr(w, "id", j->id);
	jw_cstr(w, "pool", j->pool->key);
	jw_cstr(w, "state", states[j->state]);
	jw_text(w, "name", j->name);
	jw_text(w, "ci_stage", j->stage);
	jw_text(w, "project", j->project);
	jw_text(w, "url", j->url);
	jw_time(w, "arrived", j->arrived, 3);
	jw_time(w, "assigned", j->assigned, 3);
	jw_time(w, "ended", j->ended, 3);
	jw_text(w, "machine", j->machine_name);
	if (j->state == JOB_WAITING) {
		jw_text(w, "waiting_why", j->waiting_why);
		jw_text(w, "waiting", j->waiting);
		jw_time(w, "waiting_until", j->waiting_until, 3);
	}
	if (j->state == JOB_RUNNING)
		jw_text(w, "stage", j->doing);
	if (j->state == JOB_ENDED) {
		jw_text(w, "result", j->result);
		jw_text(w, "result_text", j->result_text);
	}
	if (j->machines_tried > 0)
		jw_i64(w, "machines_tried", j->machines_tried);
	jw_i64(w, "executor", j->executor.pid);
	jw_i64(w, "reporter", j->reporter.pid);
	jw_end_object(w);
}

void
snapshot_put(struct manager *m, struct buf *b)
{
	static const char *const phases[] = { "running", "draining", "stopping", "leaving" };
	struct json_w w = { .b = b };

	jw_object(&w, NULL);
	jw_i64(&w, "v", 1);
	jw_i64(&w, "pid", getpid());
	jw_cstr(&w, "version", WL_VERSION);
	jw_cstr(&w, "state", phases[m->phase]);
	jw_time(&w, "started", m->snapshot != NULL ? m->snapshot->started : WALL_UNKNOWN, 3);
	jw_cstr(&w, "config", m->config_path);
	jw_cstr(&w, "store", m->store);
	jw_cstr(&w, "system_id", m->system_id);
	jw_i64(&w, "concurrent", m->config->concurrent);
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
		jw_object(&w, "log");
		jw_i64(&w, "warning", (int64_t)log_count(LOG_WARN));
		jw_i64(&w, "error", (int64_t)log_count(LOG_ERROR));
		jw_i64(&w, "fatal", (int64_t)log_count(LOG_FATAL));
		jw_end_object(&w);
		metrics_put(m, &w);
	}
	/* The last member, so that all before it can be compared. */
	jw_time(&w, "at", wall_now(), 3);
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
