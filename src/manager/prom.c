/* Metrics as text: see prom.h. */
#include <math.h>

#include "core/arena.h"
#include "manager/metrics.h"
#include "manager/prom.h"

#define EXECUTOR	"docker+machine"

void
prom_put_value(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '\\':
			buf_puts(b, "\\\\");
			break;
		case '"':
			buf_puts(b, "\\\"");
			break;
		case '\n':
			buf_puts(b, "\\n");
			break;
		case '\0':
			/* Allowed by the format and by nobody who reads it. */
			buf_puts(b, "\xef\xbf\xbd");
			break;
		default:
			buf_putc(b, s.p[i]);
			break;
		}
}

void
prom_put_help(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '\\')
			buf_puts(b, "\\\\");
		else if (*s == '\n')
			buf_puts(b, "\\n");
		else
			buf_putc(b, *s);
}

void
prom_put_number(struct buf *b, double v)
{
	char text[40];

	if (isnan(v)) {
		buf_puts(b, "NaN");
		return;
	}
	if (isinf(v)) {
		buf_puts(b, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (v == floor(v) && fabs(v) < 9e15) {
		buf_fmt(b, "%" PRId64, (int64_t)v);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_puts(b, text);
}

/* What is written, one family at a time. */
struct out {
	struct buf		*b;
	const struct view	*v;
	const struct prom_process *process;
	wall_t			 now;
	const enum metric	*ids;		/* of the view's series */
	enum metric		 id;
};

static void
put_labels(struct out *o, const struct str *label, const char *le)
{
	struct str names = str_from(metric_info[o->id].labels);
	size_t n = metric_nlabels(o->id);

	if (n == 0 && le == NULL)
		return;
	buf_putc(o->b, '{');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_putc(o->b, ',');
		buf_putstr(o->b, str_cut(&names, ' '));
		buf_puts(o->b, "=\"");
		prom_put_value(o->b, label[i]);
		buf_putc(o->b, '"');
	}
	if (le != NULL)
		buf_fmt(o->b, "%sle=\"%s\"", n > 0 ? "," : "", le);
	buf_putc(o->b, '}');
}

static void
put_sample(struct out *o, const char *suffix, const struct str *label, const char *le, double value)
{
	buf_puts(o->b, metric_info[o->id].name);
	buf_puts(o->b, suffix);
	put_labels(o, label, le);
	buf_putc(o->b, ' ');
	prom_put_number(o->b, value);
	buf_putc(o->b, '\n');
}

static void
put_histogram(struct out *o, const struct view_series *s)
{
	size_t n;
	const double *bound = metric_bounds(o->id, &n);
	uint64_t sum = 0;
	struct buf le = { 0 };

	for (size_t i = 0; i <= n; i++) {
		sum += s->bucket[i];
		buf_clear(&le);
		prom_put_number(&le, i < n ? bound[i] : INFINITY);
		put_sample(o, "_bucket", s->label, le.p, (double)sum);
	}
	put_sample(o, "_sum", s->label, NULL, s->value);
	put_sample(o, "_count", s->label, NULL, (double)sum);
	buf_free(&le);
}

static void
put_series(struct out *o, const struct view_series *s)
{
	if (metric_info[o->id].type == METRIC_HISTOGRAM)
		put_histogram(o, s);
	else
		put_sample(o, "", s->label, NULL, s->value);
}

/* A gauge of one value whose labels are given as C strings in the table's order. */
#define SAMPLE(o, value, ...) \
	put_sample_of((o), (value), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static void
put_sample_of(struct out *o, double value, const char *const labels[], size_t n)
{
	struct str label[METRIC_LABELS_MAX];

	assert(n == metric_nlabels(o->id) && n <= METRIC_LABELS_MAX);
	for (size_t i = 0; i < n; i++)
		label[i] = str_from(labels[i]);
	put_sample(o, "", label, NULL, value);
}

static bool
counted(const struct out *o, const struct str *label, size_t n)
{
	for (size_t i = 0; i < o->v->nseries; i++) {
		const struct view_series *s = &o->v->series[i];
		size_t same = 0;

		if (o->ids[i] != o->id)
			continue;
		while (same < n && str_cmp(s->label[same], label[same]) == 0)
			same++;
		if (same == n)
			return true;
	}
	return false;
}

static void
put_zero_of(struct out *o, const char *const labels[], size_t n)
{
	static const uint64_t none[METRIC_BOUNDS_MAX + 1];
	struct str label[METRIC_LABELS_MAX];
	const struct view_series zero = { .label = label, .bucket = none };

	assert(n == metric_nlabels(o->id) && n <= METRIC_LABELS_MAX);
	for (size_t i = 0; i < n; i++)
		label[i] = str_from(labels[i]);
	if (!counted(o, label, n))
		put_series(o, &zero);
}
#define ZERO(o, ...) \
	put_zero_of((o), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/*
 * Whether this family has series of that pool: not when it left the configuration, and not when an earlier one
 * has the same labels (one token at two instances), since a series that stands twice spoils the whole scrape.
 */
static bool
named(const struct out *o, size_t pool)
{
	const struct view_pool *p = &o->v->pools[pool];
	bool names = strstr(metric_info[o->id].labels, "runner_name") != NULL;

	for (size_t i = 0; i < pool; i++) {
		const struct view_pool *other = &o->v->pools[i];

		if (other->configured && strcmp(other->runner, p->runner) == 0 && (!names || strcmp(other->name, p->name) == 0))
			return false;
	}
	return p->configured;
}

/* ---- what is there from the start, with 0 ---- */

static void
put_zeros(struct out *o)
{
	const struct view *v = o->v;
	const char *sys = v->system_id;
	static const char *const failures[] = { "job_failure", "no_free_executor", "other" };

	switch (o->id) {
	case M_EXECUTION_MODE:
		ZERO(o, "traditional", EXECUTOR);
		return;
	case M_STRAYS:
		ZERO(o, "removed");
		ZERO(o, "stays");
		return;
	case M_CREATION:
	case M_FAILED_CREATION:
	case M_STOPPING:
	case M_REMOVAL:
		ZERO(o, EXECUTOR);
		return;
	case M_CONFIG_LOADED:
	case M_CONFIG_LOAD_ERRORS:
	case M_CONFIG_SAVED:
	case M_CONFIG_SAVE_ERRORS:
	case M_INPUTS:
	case M_CA_ENDS:
	case M_EVENTS_LOST:
		put_zero_of(o, NULL, 0);
		return;
	default:
		break;
	}
	for (size_t i = 0; i < v->npools; i++) {
		const struct view_pool *p = &v->pools[i];

		if (!named(o, i))
			continue;
		switch (o->id) {
		case M_JOBS_TOTAL:
		case M_QUEUING_EXCEEDED:
		case M_FEEDS:
		case M_FEED_FAILURES:
		case M_HEALTH_FAILURES:
		case M_JOB_WAIT:
		case M_MACHINE_LIFE:
		case M_MACHINE_JOBS:
			ZERO(o, p->runner, p->name, sys);
			break;
		case M_JOB_DURATION:
			ZERO(o, p->runner, p->name, sys, "traditional");
			break;
		case M_REQUESTS_EXCEEDED:
			ZERO(o, p->runner, sys);
			break;
		case M_PROCESSING_FAILURES:
			for (size_t k = 0; k < NELEM(failures); k++)
				ZERO(o, failures[k], p->runner, p->name, sys);
			break;
		default:
			break;
		}
	}
}

/* ---- what is to be seen ---- */

const char *
prom_process_state(const struct view *v)
{
	if (strcmp(v->state, "draining") == 0 || strcmp(v->state, "leaving") == 0)
		return "graceful-shutdown";
	return strcmp(v->state, "stopping") == 0 ? "forceful-shutdown" : "running";
}

/* Upstream's three words for where a job is (spec gitlab-runner 4.5). */
static void
job_words(const struct view_job *j, const char **state, const char **stage, const char **executor_stage)
{
	*state = "running";
	*executor_stage = "docker_run";
	*stage = j->stage;
	if (strcmp(j->state, "waiting") == 0) {
		*state = "pending";
		*stage = "prepare_executor";
		*executor_stage = "docker_machine_use_machine";
	} else if (strcmp(j->state, "ended") == 0) {
		*state = strcmp(j->result, "success") == 0 ? "success" : "failed";
		*stage = "";
		*executor_stage = "finish";
	} else if (j->stage[0] == '\0' || strcmp(j->stage, "prepare_executor") == 0) {
		*stage = "prepare_executor";
		*executor_stage = "docker_prepare";
	}
}

/* How many of each kind, where kinds are few and things may be many. */
#define KINDS_MAX	64
struct tally {
	const char	*words[3];
	int		 n;
};

static void
tally_add(struct tally kinds[KINDS_MAX], size_t *nkinds, const char *a, const char *b, const char *c)
{
	size_t i = 0;

	while (i < *nkinds && (strcmp(kinds[i].words[0], a) != 0 || strcmp(kinds[i].words[1], b) != 0 || strcmp(kinds[i].words[2], c) != 0))
		i++;
	if (i == KINDS_MAX)
		return;
	if (i == *nkinds)
		kinds[(*nkinds)++] = (struct tally){ { a, b, c }, 0 };
	kinds[i].n++;
}

static void
put_jobs_gauge(struct out *o, const struct view_pool *p)
{
	const struct view *v = o->v;
	struct tally kinds[KINDS_MAX];
	const char *state, *stage, *executor_stage;
	size_t n = 0;

	SAMPLE(o, 0, p->runner, p->name, v->system_id, "idle", "idle", "idle");
	for (size_t i = 0; i < v->njobs; i++)
		if (strcmp(v->jobs[i].pool, p->key) == 0 && strcmp(v->jobs[i].state, "ended") != 0) {
			job_words(&v->jobs[i], &state, &stage, &executor_stage);
			tally_add(kinds, &n, state, stage, executor_stage);
		}
	for (size_t i = 0; i < n; i++)
		SAMPLE(o, kinds[i].n, p->runner, p->name, v->system_id, kinds[i].words[0], kinds[i].words[1], kinds[i].words[2]);
}

static bool
same_target(const struct view_machine *a, const struct view_machine *b)
{
	return strcmp(a->zone, b->zone) == 0 && strcmp(a->region, b->region) == 0 && strcmp(a->project, b->project) == 0 &&
	    strcmp(a->type, b->type) == 0;
}

static void
put_states(struct out *o)
{
	static const char *const states[] = { "acquired", "creating", "idle", "used", "removing", "stuck-on-removing" };
	const struct view *v = o->v;

	for (size_t s = 0; v->nmachines == 0 && s < NELEM(states); s++)
		SAMPLE(o, 0, EXECUTOR, states[s], "", "", "", "");
	for (size_t i = 0; i < v->nmachines; i++) {
		const struct view_machine *m = &v->machines[i];
		size_t first = 0;

		while (!same_target(&v->machines[first], m))
			first++;
		if (first < i)
			continue;
		for (size_t s = 0; s < NELEM(states); s++) {
			int n = 0;

			for (size_t k = i; k < v->nmachines; k++)
				n += same_target(&v->machines[k], m) && strcmp(v->machines[k].state, states[s]) == 0;
			SAMPLE(o, n, EXECUTOR, states[s], m->zone, m->region, m->project, m->type);
		}
	}
}

static double
age(const struct out *o, wall_t t)
{
	return !wall_known(t) || wall_before(o->now, t) ? 0 : (double)(wall_between(t, o->now) / NSEC_MSEC) / 1000;
}

static double
seconds_until(const struct out *o, wall_t t)
{
	return wall_before(o->now, t) ? (double)(wall_between(o->now, t) / NSEC_MSEC) / 1000 : 0;
}

/* Jobs of a pool by what they wait for. */
static void
put_waiting(struct out *o, const struct view_pool *p)
{
	const struct view *v = o->v;
	struct tally kinds[KINDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < v->njobs; i++)
		if (strcmp(v->jobs[i].pool, p->key) == 0 && strcmp(v->jobs[i].state, "waiting") == 0)
			tally_add(kinds, &n, v->jobs[i].waiting_why, "", "");
	for (size_t i = 0; i < n; i++)
		SAMPLE(o, kinds[i].n, p->runner, p->name, v->system_id, kinds[i].words[0]);
	if (n == 0)
		SAMPLE(o, 0, p->runner, p->name, v->system_id, "none");
}

static void
put_budget(struct out *o, const struct view_pool *p, const char *which, const struct budget *b)
{
	int n = budget_available(b, o->now.ns);

	SAMPLE(o, n == BUDGET_UNLIMITED ? INFINITY : n, p->runner, p->name, o->v->system_id, which);
}

static void
put_blocked(struct out *o, const struct view_pool *p, const char *which, const struct budget *b)
{
	SAMPLE(o, seconds_until(o, (wall_t){ b->blocked_until }), p->runner, p->name, o->v->system_id, which);
}

static void
put_pool_gauge(struct out *o, const struct view_pool *p)
{
	const struct view *v = o->v;
	const char *sys = v->system_id;
	double oldest_job = 0, oldest_machine = 0, sum = 0;
	int unreported = 0, machines = 0;

	for (size_t i = 0; i < v->njobs; i++) {
		const struct view_job *j = &v->jobs[i];

		if (strcmp(j->pool, p->key) != 0)
			continue;
		unreported += strcmp(j->state, "ended") == 0;
		if (strcmp(j->state, "waiting") == 0 && age(o, j->arrived) > oldest_job)
			oldest_job = age(o, j->arrived);
	}
	for (size_t i = 0; i < v->nmachines; i++) {
		if (strcmp(v->machines[i].pool, p->key) != 0)
			continue;
		machines++;
		sum += age(o, v->machines[i].created);
		if (age(o, v->machines[i].created) > oldest_machine)
			oldest_machine = age(o, v->machines[i].created);
	}
	switch (o->id) {
	case M_JOBS:
		put_jobs_gauge(o, p);
		break;
	case M_LIMIT:
		SAMPLE(o, (double)p->limit, p->runner, p->name, sys);
		break;
	case M_REQUESTS:
		SAMPLE(o, (double)p->asking, p->runner, sys);
		break;
	case M_REQUESTS_HARD:
		SAMPLE(o, (double)p->request_concurrency, p->runner, sys);
		break;
	case M_REQUESTS_ADAPTIVE:
	case M_REQUESTS_USED:
		SAMPLE(o, (double)p->request_limit, p->runner, sys);
		break;
	case M_API_BUDGET:
		put_budget(o, p, "growth", &p->growth);
		put_budget(o, p, "account", &p->account);
		break;
	case M_API_BLOCKED:
		put_blocked(o, p, "growth", &p->growth);
		put_blocked(o, p, "account", &p->account);
		break;
	case M_JOBS_WAITING:
		put_waiting(o, p);
		break;
	case M_OLDEST_WAIT:
		SAMPLE(o, oldest_job, p->runner, p->name, sys);
		break;
	case M_UNREPORTED:
		SAMPLE(o, unreported, p->runner, p->name, sys);
		break;
	case M_IDLE_TARGET:
		SAMPLE(o, (double)p->idle_target, p->runner, p->name, sys);
		break;
	case M_SHORT:
		SAMPLE(o, (double)p->short_by, p->runner, p->name, sys, p->held[0] != '\0' ? p->held : "none");
		break;
	case M_ORPHANS:
		SAMPLE(o, (double)p->stuck, p->runner, p->name, sys);
		break;
	case M_OLDEST_MACHINE:
		SAMPLE(o, oldest_machine, p->runner, p->name, sys);
		break;
	case M_MEAN_MACHINE:
		SAMPLE(o, machines > 0 ? sum / machines : 0, p->runner, p->name, sys);
		break;
	case M_CREATE_FAILURES:
		SAMPLE(o, (double)p->create_failures, p->runner, p->name, sys);
		break;
	case M_CREATE_PAUSE:
		SAMPLE(o, seconds_until(o, p->create_not_before), p->runner, p->name, sys);
		break;
	default:
		break;
	}
}

static void
put_process(struct out *o)
{
	const struct prom_process *p = o->process;
	double value = 0;

	switch (o->id) {
	case M_CPU:
		value = p->cpu_seconds;
		break;
	case M_RSS:
		value = p->resident_bytes;
		break;
	case M_VSIZE:
		value = p->virtual_bytes;
		break;
	case M_FDS:
		value = p->open_fds;
		break;
	case M_MAX_FDS:
		value = p->max_fds;
		break;
	case M_START:
		value = p->start_time;
		break;
	default:
		return;
	}
	if (p->known && value >= 0)
		put_sample(o, "", NULL, NULL, value);
}

#if defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

static void
put_seen(struct out *o)
{
	const struct view *v = o->v;

	switch (o->id) {
	case M_VERSION_INFO:
		/* go_version is a label that dashboards may join on; there is none. */
		SAMPLE(o, 1, ARCH, o->process->branch, "", "none", "gitlab-runner", "linux", o->process->revision, o->process->version);
		return;
	case M_PROCESS_STATE:
		SAMPLE(o, 1, prom_process_state(v));
		return;
	case M_CONCURRENT:
	case M_SLOTS:
		put_sample(o, "", NULL, NULL, (double)v->concurrent);
		return;
	case M_UP:
		put_sample(o, "", NULL, NULL, v->alive);
		return;
	case M_STATES:
		put_states(o);
		return;
	case M_ERRORS:
		SAMPLE(o, 0, "panic");
		SAMPLE(o, (double)v->log_fatal, "fatal");
		SAMPLE(o, (double)v->log_error, "error");
		SAMPLE(o, (double)v->log_warning, "warning");
		return;
	default:
		break;
	}
	put_process(o);
	for (size_t i = 0; i < v->npools; i++)
		if (named(o, i))
			put_pool_gauge(o, &v->pools[i]);
}

/* METRIC_MAX for one of a newer or older version that this one does not know, or with other labels: it is left out. */
static enum metric
metric_of(const struct view_series *s)
{
	enum metric id = metric_find(str_from(s->name));
	size_t nbounds;

	if (id == METRIC_MAX || s->nlabels != metric_nlabels(id))
		return METRIC_MAX;
	metric_bounds(id, &nbounds);
	return nbounds == 0 || s->nbuckets == nbounds + 1 ? id : METRIC_MAX;
}

void
prom_put(struct buf *b, const struct view *v, const struct prom_process *p, wall_t now)
{
	static const char *const types[] = { [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram" };
	struct arena a = { 0 };
	enum metric *ids = arena_calloc(&a, v->nseries, sizeof(*ids));
	struct out o = { .b = b, .v = v, .process = p, .now = now, .ids = ids };

	for (size_t s = 0; s < v->nseries; s++)
		ids[s] = metric_of(&v->series[s]);
	for (o.id = 0; o.id < METRIC_MAX; o.id++) {
		const struct metric_info *i = &metric_info[o.id];
		size_t head = b->n, body;

		buf_fmt(b, "# HELP %s ", i->name);
		prom_put_help(b, i->help);
		buf_fmt(b, "\n# TYPE %s %s\n", i->name, types[i->type]);
		body = b->n;
		for (size_t s = 0; s < v->nseries; s++)
			if (ids[s] == o.id)
				put_series(&o, &v->series[s]);
		put_zeros(&o);
		put_seen(&o);
		/* A family without a sample says nothing. */
		if (b->n == body)
			buf_cut(b, head);
	}
	arena_reset(&a);
}

void
prom_put_jobs(struct buf *b, const struct view *v, wall_t now)
{
	for (size_t i = 0; i < v->njobs; i++) {
		const struct view_job *j = &v->jobs[i];
		const char *state, *stage, *executor_stage;
		char duration[40];

		job_words(j, &state, &stage, &executor_stage);
		time_go_duration(wall_known(j->arrived) && wall_before(j->arrived, now) ?
		    wall_between(j->arrived, now) / NSEC_MSEC * NSEC_MSEC : 0, duration);
		buf_fmt(b, "url=%s state=%s stage=%s executor_stage=%s duration=%s\n", j->url, state, stage, executor_stage, duration);
	}
}
