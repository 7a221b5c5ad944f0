/*
 * Asking GitLab for jobs: when, by whom, and what the answers mean for the
 * next request. The requests themselves are the pollers'; a poller that was
 * asked nothing is idle, and a long poll holds up nobody else.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "core/crash.h"
#include "core/exit.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/parts.h"

/* The same complaint again is not news before that. */
#define TELL_AGAIN	(60 * NSEC_SEC)
/*
 * A request that has no answer after so long is being held by GitLab (spec gitlab-runner 1.10). Such a one never brings a job:
 * it ends with the news that the queue has changed, and the next one brings it. So it takes no job slot.
 */
#define HELD_AFTER	NSEC_SEC

static void poller_ended(struct manager *m, struct watch *w);

int
pollers_in_flight(const struct pool *p)
{
	int n = 0;

	LIST_EACH(struct poller, po, link, &p->pollers)
		n += po->asked;
	return n;
}

/* Requests that may bring a job any moment, and when the first of them counts as held. */
static int
fresh_requests(const struct manager *m, mono_t *until)
{
	int n = 0;

	*until = MONO_NEVER;
	LIST_EACH(struct pool, p, link, &m->pools)
		LIST_EACH(struct poller, po, link, &p->pollers) {
			mono_t held = mono_add(po->asked_at, HELD_AFTER);

			if (!po->asked || mono_passed(held))
				continue;
			n++;
			*until = mono_min(*until, held);
		}
	return n;
}

/* Whether one more job would find a slot of concurrent, whatever comes of the requests under way. */
static bool
slot_for_request(const struct manager *m)
{
	mono_t until;

	return m->config->concurrent - jobs_active(m, NULL) - fresh_requests(m, &until) > 0;
}

void
poller_release(struct manager *m, struct poller *po)
{
	if (po->acquired == NULL)
		return;
	if (po->acquired->state == SCALE_ACQUIRED)
		po->acquired->state = SCALE_IDLE;
	po->acquired = NULL;
	m->dirty = true;
}

static struct job *
job_named(struct manager *m, struct str id)
{
	char name[128];

	return str_copy(id, name, sizeof(name)) == 0 ? job_find(m, name) : NULL;
}

/* The job that a request brought, to the machine that was held for it. */
static void
take_job(struct manager *m, struct poller *po, struct str id)
{
	struct job *j = job_named(m, id);

	if (j != NULL)
		j->announced = true;
	if (j != NULL && j->state == JOB_WAITING && po->acquired != NULL && po->acquired->state == SCALE_ACQUIRED &&
	    m->phase != MANAGER_STOPPING) {
		job_assign(m, j, po->acquired, scale_why_word(SCALE_WHY_NEWEST), STR("it was held for the request that brought the job"));
		po->acquired = po->acquired->state == SCALE_USED ? NULL : po->acquired;
	}
	poller_release(m, po);
}

static uint64_t
random64(void)
{
	uint64_t r;

	rand_bytes(&r, sizeof(r));
	return r;
}

static void
put_plan(struct buf *b, const struct manager *m, const struct pool *p)
{
	struct json_w w = { .b = b };
	struct poller_plan plan = { .tls_ca_file = p->conf->tls_ca_file, .tls_cert_file = p->conf->tls_cert_file,
	    .tls_key_file = p->conf->tls_key_file };

	settings_of(m->config, p->conf, &plan.runner);
	plan.runner.system_id = m->system_id;
	plan.runner.store = m->store;
	plan.runner.runner_key = p->key;
	plan_write(&w, &plan);
}

static struct instance *
instance_of(struct manager *m, const char *key)
{
	struct instances *i;

	LIST_EACH(struct instances, it, link, &m->instances)
		if (strcmp(it->key, key) == 0)
			return &it->state;
	i = xcalloc(1, sizeof(*i));
	snprintf(i->key, sizeof(i->key), "%s", key);
	list_add(&m->instances, &i->link);
	return &i->state;
}

static struct health_policy
health_policy(const struct runner *r)
{
	return (struct health_policy){ .limit = (unsigned)r->unhealthy_requests_limit,
	    .interval = r->unhealthy_interval, .cap = 4 * 3600 * NSEC_SEC };
}

wall_t
pollers_disabled_until(const struct pool *p)
{
	struct health_policy hp;
	wall_t again;

	if (p->conf == NULL)
		return WALL_UNKNOWN;
	hp = health_policy(p->conf);
	return health_allows(&p->health, &hp, wall_now(), &again) ? WALL_UNKNOWN : again;
}

static enum pace_answer
answer_kind(struct str word)
{
	static const struct { const char *word; enum pace_answer a; } words[] = {
		{ "nothing", PACE_NOTHING }, { "changed", PACE_CHANGED }, { "conflict", PACE_CONFLICT },
		{ "later", PACE_LATER }, { "refused", PACE_REFUSED }, { "token", PACE_TOKEN }, { "lost", PACE_LOST },
	};

	for (size_t i = 0; i < NELEM(words); i++)
		if (str_eqc(word, words[i].word))
			return words[i].a;
	return PACE_LOST;
}

/* What an ended request means for the next ones of this pool and of its instance. */
static void
account(struct manager *m, struct pool *p, enum pace_answer a, int status, wall_t not_before, struct str text)
{
	struct retry_hint hint = RETRY_HINT_INIT;
	struct pace_policy pol = { m->config->check_interval * NSEC_SEC, false };
	wall_t now = wall_now();
	enum health_event ev;
	struct health_policy hp;

	hint.not_before = not_before;
	if (p->conf == NULL)
		return;
	pol.strict = p->conf->strict_check_interval;
	hp = health_policy(p->conf);
	p->ask_after = pace_next(&p->pace, &pol, a, &hint, now, random64());
	adaptive_result(&p->adaptive, a == PACE_JOB ? ADAPTIVE_JOB : a == PACE_LATER ? ADAPTIVE_RETRIED : ADAPTIVE_NO_JOB,
	    (int)p->conf->request_concurrency);
	if (a == PACE_LOST)
		instance_failed(p->instance, now, random64());
	else if (a == PACE_LATER && wall_before(now, not_before))
		instance_hold(p->instance, not_before);
	else
		instance_ok(p->instance);
	/* Only a refusal of the token counts against the runner; an instance that is away has its own back-off. */
	ev = health_result(&p->health, &hp, a != PACE_TOKEN, now);
	if (ev == HEALTH_LOST)
		log_error("Runner is unhealthy and will be disabled for a while: GitLab does not accept its token. Was it deleted? An edit of config.toml or SIGHUP asks at once",
		    F_STR("runner", p->conf->short_token), F_STR("runner_name", p->conf->name),
		    F_DUR("unhealthy_interval", p->conf->unhealthy_interval));
	else if (ev == HEALTH_BACK)
		log_info("Runner is healthy again", F_STR("runner", p->conf->short_token));
	if (a == PACE_NOTHING || a == PACE_CHANGED || a == PACE_JOB) {
		if (p->told != 0)
			event_note(m, EVENT_GITLAB, ABOUT(.pool = p), "answers",
			    "GitLab answers again");
		p->told = 0;
		p->trouble[0] = '\0';
		return;
	}
	/* Without a status nobody was asked: a full disk here, a name that is not found. */
	str_copy(status != 0 ? STR("") : str_sub(text, 0, sizeof(p->trouble) - 1), p->trouble, sizeof(p->trouble));
	if (p->told == hash_fnv(text) && mono_since(p->told_at) < TELL_AGAIN)
		return;
	if (p->told != hash_fnv(text))
		event_note(m, EVENT_GITLAB, ABOUT(.pool = p), a == PACE_LOST ? "lost" :
		    a == PACE_LATER ? "later" : a == PACE_CONFLICT ? "conflict" : "refused",
		    "%.*s", STR_ARG(text));
	p->told = hash_fnv(text);
	p->told_at = mono_now();
	log_warn("Checking for jobs... failed", F_STR("runner", p->conf->short_token), F_INT("status", status), F_VIEW("error", text));
}

/* A job of an answer that another poller had in its hands: none of this one's requests has ended with it. */
static void
kept(struct manager *m, const struct poller *po, struct str id)
{
	struct job *j;

	log_info("A job whose poller died is here all the same", F_VIEW("job", id), F_STR("runner", po->pool->key));
	job_arrived(m, id);
	j = job_named(m, id);
	if (j != NULL)
		j->announced = true;
}

static void
answered(struct manager *m, struct poller *po, const struct chan_msg *msg)
{
	int64_t status = 201, ms = 0;

	if (msg->verb == CHAN_ANSWER) {
		(void)str_to_i64(msg->arg[1], &status);
		(void)str_to_i64(msg->arg[2], &ms);
	}
	metrics_request(m, po->pool, (int)status, mono_since(po->asked_at));
	po->asked = false;
	po->child.deaths = 0;
	if (msg->verb == CHAN_JOB) {
		log_info("Checking for jobs... received", F_VIEW("job", msg->arg[0]),
		    F_STR("runner", po->pool->conf != NULL ? po->pool->conf->short_token : ""));
		account(m, po->pool, PACE_JOB, 201, WALL_UNKNOWN, STR_NULL);
		job_arrived(m, msg->arg[0]);
		take_job(m, po, msg->arg[0]);
	} else
		account(m, po->pool, answer_kind(msg->arg[0]), (int)status,
		    (wall_t){ (ms < INT64_MAX / NSEC_MSEC ? ms : 0) * NSEC_MSEC },
		    msg->narg > 3 ? msg->arg[3] : STR_NULL);
	poller_release(m, po);
}

static void
poller_says(struct manager *m, struct watch *w)
{
	struct poller *po = w->owner;
	struct chan_msg msg;

	while (child_hear(m, &po->child, &msg)) {
		m->dirty = true;
		if (msg.verb == CHAN_KEPT)
			kept(m, po, msg.arg[0]);
		else
			answered(m, po, &msg);
	}
}

static void
poller_ended(struct manager *m, struct watch *w)
{
	struct poller *po = w->owner;
	struct pool *p = po->pool;
	pid_t pid;
	int status;

	poller_says(m, &po->child.control);
	pid = po->child.pid;
	status = child_bury(m, &po->child);
	/* A job it had on disk and not yet in view is seen by the watch on jobs/ once it is renamed. */
	model_finish_arrivals(m, pid);
	model_find_answers(m);
	m->dirty = true;
	poller_release(m, po);
	if (po->leaving || status == EXIT_CONFIG) {
		if (status == EXIT_CONFIG && p->conf != NULL) {
			log_error("Poller could not start: see its message above; the runner is tried again in a minute",
			    F_STR("runner", p->conf->short_token));
			p->ask_after = wall_add(wall_now(), 60 * NSEC_SEC);
		}
		list_remove(&po->link);
		free(po);
		return;
	}
	log_warn("Poller died: starting it again", F_STR("runner", p->key), F_INT("status", status));
	if (po->asked)
		account(m, p, PACE_LOST, 0, WALL_UNKNOWN, STR("the poller died"));
	po->asked = false;
	poller_release(m, po);
	child_again_later(&po->child);
}

/* When the newest of the runner's certificate files was changed. */
static int64_t
files_mtime(const struct runner *r)
{
	const char *const files[] = { r->tls_ca_file, r->tls_cert_file, r->tls_key_file };
	int64_t newest = 0;
	struct stat st;

	for (size_t i = 0; i < NELEM(files); i++)
		if (files[i] != NULL && files[i][0] != '\0' && stat(files[i], &st) == 0 && st.st_mtim.tv_sec * NSEC_SEC + st.st_mtim.tv_nsec > newest)
			newest = st.st_mtim.tv_sec * NSEC_SEC + st.st_mtim.tv_nsec;
	return newest;
}

static void
start_poller(struct manager *m, struct poller *po)
{
	const char *argv[] = { "windlass-poller", "--state-dir", m->state_dir, "--plan-fd", "3",
	    "--control-fd", "4", NULL };
	/*
	 * It may use this runner's token and make directories under jobs/. It ends by itself when
	 * the channel closes, once an answer that was on its way is kept: killed with us it would
	 * take a job along that GitLab has just given.
	 */
	struct child_start s = { argv, -1, PROC_OUTLIVES_PARENT, poller_says, poller_ended, po, CHAN_POLLER };
	struct buf plan = { 0 };
	struct err e = { 0 };

	po->files_mtime = files_mtime(po->pool->conf);
	put_plan(&plan, m, po->pool);
	po->plan_hash = hash_fnv(buf_str(&plan));
	s.plan = proc_memfd("plan", buf_str(&plan), &e);
	buf_wipe(&plan);
	if (child_start(m, &po->child, &s, &e) < 0) {
		log_error("Poller could not be started", F_ERR(&e));
		child_again_later(&po->child);
		return;
	}
	crash_point("manager:poller-started");
}

static void
poller_leave(struct poller *po)
{
	struct err e = { 0 };

	if (po->leaving)
		return;
	po->leaving = true;
	if (child_alive(&po->child))
		chan_send(po->child.control.fd, &po->child.talk, CHAN_STOP, &e, "%s", "");
	else {
		list_remove(&po->link);
		free(po);
	}
}

/* A poller that is free to ask, started if need be; NULL when all that may exist are busy. */
static struct poller *
free_poller(struct manager *m, struct pool *p)
{
	struct poller *po;
	int n = 0;

	LIST_EACH(struct poller, it, link, &p->pollers) {
		if (!it->leaving && !it->asked && child_alive(&it->child) && it->files_mtime != files_mtime(p->conf))
			poller_leave(it);
		n += !it->leaving;
		if (it->leaving || it->asked || (child_alive(&it->child) && it->child.control.fd < 0))
			continue;
		if (!child_alive(&it->child) && mono_passed(it->child.again))
			start_poller(m, it);
		if (child_alive(&it->child))
			return it;
	}
	if (n >= p->conf->request_concurrency)
		return NULL;
	po = xcalloc(1, sizeof(*po));
	po->pool = p;
	po->child.exit.fd = po->child.control.fd = -1;
	po->child.again = MONO_AT_ONCE;
	list_add(&p->pollers, &po->link);
	start_poller(m, po);
	return child_alive(&po->child) ? po : NULL;
}

static void
count_passed_over(struct manager *m, struct pool *p, bool passed_over)
{
	if (passed_over && !p->passed_over)
		metric_add(m, M_FEED_FAILURES, 1, POOL_LABELS(m, p));
	p->passed_over = passed_over;
}

/* Once each time it begins to be so. */
static void
count_exceeded(struct manager *m, struct pool *p, bool exceeded)
{
	if (exceeded && !p->exceeded)
		metric_add(m, M_REQUESTS_EXCEEDED, 1, p->runner, m->system_id);
	p->exceeded = exceeded;
}

/* Requests that may be under way: what the plan wants, as far as request_concurrency goes. */
static int
most_requests(const struct pool *p)
{
	int most = adaptive_limit(&p->adaptive, (int)p->conf->request_concurrency);

	return p->ask < most ? p->ask : most;
}

static void
pool_ask(struct manager *m, struct pool *p)
{
	struct health_policy hp = health_policy(p->conf);
	struct err e = { 0 };
	struct machine *held;
	struct poller *po;
	wall_t now = wall_now(), again;
	int most = most_requests(p);

	count_exceeded(m, p, p->ask > most && pollers_in_flight(p) >= most);
	while (pollers_in_flight(p) < most) {
		if (wall_before(now, p->ask_after) || wall_before(now, p->instance->not_before) || !health_allows(&p->health, &hp, now, &again)) {
			count_passed_over(m, p, !health_allows(&p->health, &hp, now, &again));
			return;
		}
		count_passed_over(m, p, false);
		if (!slot_for_request(m))
			return;
		po = free_poller(m, p);
		if (po == NULL)
			return;
		if (!scaler_acquire(m, p, &held)) {
			p->ask_after = wall_add(now, m->config->check_interval * NSEC_SEC);
			return;
		}
		if (chan_send(po->child.control.fd, &po->child.talk, CHAN_ASK, &e, "%s", "") < 0) {
			log_warn("Poller does not listen", F_ERR(&e));
			if (held != NULL)
				held->state = SCALE_IDLE;
			return;
		}
		po->asked = true;
		po->asked_at = mono_now();
		metric_add(m, M_FEEDS, 1, POOL_LABELS(m, p));
		po->acquired = held;
		pace_started(&p->pace, now);
		/* The next one of this pool is not before its turn either, unless an answer says at once. */
		p->ask_after = wall_add(now, m->config->check_interval * NSEC_SEC);
		crash_point("manager:asked");
	}
}

static int
asked_longest_ago(const void *a, const void *b)
{
	const struct pool *x = *(struct pool *const *)a, *y = *(struct pool *const *)b;

	return wall_before(x->pace.started, y->pace.started) ? -1 : wall_before(y->pace.started, x->pace.started);
}

/* A poller for what a dead one left, also while no job is asked for any more. */
static void
finish_answers(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools)
		if (p->unfinished && p->conf != NULL && p->conf->disabled == NULL)
			p->unfinished = m->phase != MANAGER_LEAVING && free_poller(m, p) == NULL;
}

/* Where slots are scarce they go round: who has not asked for longest is first. */
void
pollers_ask(struct manager *m)
{
	struct pool **v;
	size_t n = 0;

	finish_answers(m);
	if (m->phase != MANAGER_RUNNING)
		return;
	LIST_EACH(struct pool, p, link, &m->pools)
		n += p->conf != NULL && p->conf->disabled == NULL;
	v = xcalloc(n, sizeof(struct pool *));
	n = 0;
	LIST_EACH(struct pool, p, link, &m->pools)
		if (p->conf != NULL && p->conf->disabled == NULL)
			v[n++] = p;
	if (n > 1)
		qsort(v, n, sizeof(struct pool *), asked_longest_ago);
	for (size_t i = 0; i < n; i++) {
		v[i]->instance = instance_of(m, v[i]->conf->instance);
		pool_ask(m, v[i]);
	}
	free(v);
}

wall_t
pollers_wake(const struct manager *m)
{
	wall_t at = WALL_UNKNOWN, t, again;
	mono_t until;

	if (m->phase != MANAGER_RUNNING)
		return at;
	fresh_requests(m, &until);
	LIST_EACH(struct pool, p, link, &m->pools) {
		struct health_policy hp;

		if (p->conf == NULL || p->conf->disabled != NULL || p->instance == NULL || most_requests(p) <= pollers_in_flight(p))
			continue;
		t = wall_before(p->instance->not_before, p->ask_after) ? p->ask_after : p->instance->not_before;
		hp = health_policy(p->conf);
		if (!health_allows(&p->health, &hp, wall_now(), &again) && wall_before(t, again))
			t = again;
		/* Nothing to wait for but a busy or restarting poller: that is an event of its own, or a second's matter. */
		if (!wall_before(wall_now(), t)) {
			dur_t left = mono_is_never(until) ? NSEC_SEC : -mono_since(until);

			t = wall_add(wall_now(), left < 0 ? 0 : left < NSEC_SEC ? left : NSEC_SEC);
		}
		if (!wall_known(at) || wall_before(t, at))
			at = t;
	}
	return at;
}

void
pollers_stop(struct manager *m, struct pool *p)
{
	(void)m;
	LIST_EACH(struct poller, po, link, &p->pollers)
		poller_leave(po);
}

/* After a reload: pollers whose description changed finish what they are at and are replaced. */
void
pollers_reload(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools) {
		struct buf plan = { 0 };
		uint64_t hash = 0;

		if (p->conf != NULL && p->conf->disabled == NULL) {
			put_plan(&plan, m, p);
			hash = hash_fnv(buf_str(&plan));
			buf_wipe(&plan);
			p->health = (struct health){ 0 };
		}
		LIST_EACH(struct poller, po, link, &p->pollers)
			if (po->plan_hash != hash && !po->leaving)
				poller_leave(po);
	}
}
