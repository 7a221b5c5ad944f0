/* The table of metrics and the manager's counters: see metrics.h. */
#include <unistd.h>

#include "books/store.h"
#include "books/view.h"
#include "catalog/clouds.h"
#include "core/fs.h"
#include "core/hash.h"
#include "manager/metrics.h"

#define CHAINS	64
#define EXECUTOR	"docker+machine"
#define MODE	"traditional"
#define CONFIG_MAX	(1u << 20)
/* Between the values of a key; no label value of ours holds it, and one from outside that did would only share a counter. */
#define SEP	'\x1f'

const struct metric_info metric_info[METRIC_MAX] = {
#define METRIC_ROW(id, name, type, labels, buckets, help) [M_##id] = { name, METRIC_##type, labels, BUCKETS_##buckets, help },
	METRICS(METRIC_ROW)
#undef METRIC_ROW
};

static const struct { size_t n; double bound[METRIC_BOUNDS_MAX]; } bounds[] = {
	[BUCKETS_NONE] = { 0, { 0 } },
	[BUCKETS_JOB] = { 10, { 30, 60, 300, 600, 1800, 3600, 7200, 10800, 18000, 36000 } },
	[BUCKETS_QUEUE] = { 10, { 1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600 } },
	/* 30 x 1.25^n: exact in binary */
	[BUCKETS_CREATION] = { 10, { 30, 37.5, 46.875, 58.59375, 73.2421875, 91.552734375, 114.44091796875, 143.0511474609375,
	    178.813934326171875, 223.51741790771484375 } },
	[BUCKETS_CLOUD] = { 10, { 1, 3, 5, 10, 30, 50, 60, 80, 90, 120 } },
	[BUCKETS_API] = { CALLSTAT_NBOUNDS, CALLSTAT_BOUNDS },
	[BUCKETS_LIFE] = { 10, { 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 604800 } },
};

/* One line of the output to come: a metric with its label values. */
struct series {
	struct series	*next;		/* of its chain */
	enum metric	 id;
	char		*key;		/* values joined by SEP */
	double		 value;		/* of a histogram: the sum */
	uint64_t	 bucket[];	/* of a histogram: one more than its bounds */
};

struct metrics {
	struct series	*chain[CHAINS];
	size_t		 n;
	struct list	 targets;
};

size_t
metric_nlabels(enum metric id)
{
	size_t n = metric_info[id].labels[0] != '\0';

	for (const char *p = metric_info[id].labels; *p != '\0'; p++)
		n += *p == ' ';
	return n;
}

const double *
metric_bounds(enum metric id, size_t *n)
{
	*n = bounds[metric_info[id].buckets].n;
	return bounds[metric_info[id].buckets].bound;
}

enum metric
metric_find(struct str name)
{
	enum metric id = 0;

	while (id < METRIC_MAX && !str_eqc(name, metric_info[id].name))
		id++;
	return id;
}

static struct metrics *
metrics_of(struct manager *m)
{
	if (m->metrics == NULL) {
		m->metrics = xcalloc(1, sizeof(*m->metrics));
		list_init(&m->metrics->targets);
	}
	return m->metrics;
}

/* NULL when there are too many. */
static struct series *
series(struct manager *m, enum metric id, const char *const values[], size_t nvalues)
{
	struct metrics *all = metrics_of(m);
	struct buf key = { 0 };
	struct series **chain, *s;
	size_t nbounds;

	assert(nvalues == metric_nlabels(id));
	for (size_t i = 0; i < nvalues; i++) {
		if (i > 0)
			buf_putc(&key, SEP);
		buf_puts(&key, values[i]);
	}
	chain = &all->chain[(hash_fnv(buf_str(&key)) + (uint64_t)id) % CHAINS];
	for (s = *chain; s != NULL; s = s->next)
		if (s->id == id && str_eqc(buf_str(&key), s->key))
			break;
	if (s == NULL && all->n < METRIC_SERIES_MAX) {
		metric_bounds(id, &nbounds);
		s = xcalloc(1, sizeof(*s) + (nbounds > 0 ? nbounds + 1 : 0) * sizeof(s->bucket[0]));
		s->id = id;
		s->key = str_dup(buf_str(&key));
		s->next = *chain;
		*chain = s;
		all->n++;
	}
	buf_free(&key);
	return s;
}

void
metric_add_labels(struct manager *m, enum metric id, double n, const char *const values[], size_t nvalues)
{
	struct series *s = series(m, id, values, nvalues);

	if (s != NULL)
		s->value += n;
}

void
metric_set_labels(struct manager *m, enum metric id, double v, const char *const values[], size_t nvalues)
{
	struct series *s = series(m, id, values, nvalues);

	if (s != NULL)
		s->value = v;
}

void
metric_observe_labels(struct manager *m, enum metric id, double seconds, const char *const values[], size_t nvalues)
{
	struct series *s = series(m, id, values, nvalues);
	size_t n, i = 0;
	const double *bound = metric_bounds(id, &n);

	if (s == NULL)
		return;
	/* The clock may have been set back. */
	if (seconds < 0)
		seconds = 0;
	while (i < n && seconds > bound[i])
		i++;
	s->bucket[i]++;
	s->value += seconds;
}

/* ---- where a machine is ---- */

static const char *
member(struct arena *a, struct json_val driver, const char *const names[], size_t n)
{
	const char *v = "";

	for (size_t i = 0; i < n && v[0] == '\0'; i++)
		if (names[i] != NULL)
			v = json_cstr(a, json_get(driver, names[i]));
	return v;
}

static const struct target *
intern(struct manager *m, const char *zone, const char *region, const char *project, const char *type)
{
	struct metrics *all = metrics_of(m);
	struct target *t;

	LIST_EACH(struct target, it, link, &all->targets)
		if (strcmp(it->zone, zone) == 0 && strcmp(it->region, region) == 0 && strcmp(it->project, project) == 0 &&
		    strcmp(it->type, type) == 0)
			return it;
	t = xcalloc(1, sizeof(*t));
	*t = (struct target){ .zone = xstrdup(zone), .region = xstrdup(region), .project = xstrdup(project), .type = xstrdup(type) };
	list_add(&all->targets, &t->link);
	return t;
}

const struct target *
metrics_target(struct manager *m, struct machine *mc)
{
	struct buf b = { .max = CONFIG_MAX };
	struct arena a = { 0 };
	struct json_val root, d;
	const struct catalog_cloud *cloud;
	const struct target *t = NULL;
	struct err e = { 0 };
	const char *name, *zone, *region;
	int dir;

	if (mc->target != NULL)
		return mc->target;
	/* Of the file, which holds the cloud's key, these four words are all that is looked at. */
	dir = store_open(m->store, mc->name, &e);
	if (dir < 0 || fs_read(dir, STOREFILE_CONFIG, CONFIG_MAX, &b, &e) < 0 || json_parse(&a, buf_str(&b), &root, &e) < 0)
		goto out;
	name = json_cstr(&a, json_get(root, "DriverName"));
	d = json_get(root, "Driver");
	cloud = catalog_find(str_from(name));
	if (cloud != NULL) {
		const struct catalog_place *at = &cloud->place;

		zone = member(&a, d, at->zone, NELEM(at->zone));
		region = member(&a, d, &at->region, 1);
		if (at->how == ZONE_BEGINS_WITH_REGION && strrchr(zone, '-') != NULL)
			region = arena_dup(&a, str_of(zone, (size_t)(strrchr(zone, '-') - zone)));
		if (at->how == ZONE_IS_LETTER && strlen(zone) == 1)
			zone = arena_fmt(&a, "%s%s", region, zone);
		t = intern(m, zone, region, member(&a, d, &at->project, 1), member(&a, d, at->type, NELEM(at->type)));
	}
	/* What another driver says there is not known: looked at once all the same. */
	if (t == NULL)
		t = intern(m, "", "", "", "");
	mc->target = t;
out:
	if (dir >= 0)
		close(dir);
	buf_wipe(&b);
	arena_reset(&a);
	/* Too early to know: next time again. */
	return t != NULL ? t : intern(m, "", "", "", "");
}

/* ---- what counts ---- */

static double
seconds_since(wall_t t)
{
	return (double)wall_between(t, wall_now()) / NSEC_SEC;
}

static void
action(struct manager *m, struct machine *mc, const char *what)
{
	const struct target *t = metrics_target(m, mc);

	metric_add(m, M_ACTIONS, 1, EXECUTOR, what, t->zone, t->region, t->project, t->type);
}

static void
job_came(struct manager *m, const struct pool *p, const struct job *j)
{
	metric_add(m, M_JOBS_TOTAL, 1, POOL_LABELS(m, p));
	if (j->queued_s >= 0)
		metric_observe(m, M_QUEUE_DURATION, j->queued_s, POOL_LABELS(m, p), j->project_running);
	if (j->queue_size >= 0)
		metric_set(m, M_QUEUE_SIZE, (double)j->queue_size, POOL_LABELS(m, p));
	if (j->queue_depth >= 0)
		metric_set(m, M_QUEUE_DEPTH, (double)j->queue_depth, POOL_LABELS(m, p));
}

static void
job_went(struct manager *m, const struct pool *p, const struct job *j, const char *reason)
{
	metric_observe(m, M_JOB_DURATION, seconds_since(j->arrived), POOL_LABELS(m, p), MODE);
	if (strcmp(reason, "success") == 0)
		return;
	metric_add(m, M_FAILED_JOBS, 1, p->runner, p->runner_name, reason, MODE);
	metric_add(m, M_PROCESSING_FAILURES, 1, "job_failure", POOL_LABELS(m, p));
}

void
metrics_event(struct manager *m, enum event_kind kind, struct pool *p, struct machine *mc, struct job *j, const char *reason)
{
	if (p != NULL && p->runner != NULL)
		metric_add(m, M_DECISIONS, 1, POOL_LABELS(m, p), event_kind_name(kind), reason);
	switch (kind) {
	case EVENT_READY:
		/* Where the cloud put it is known only now. */
		mc->target = NULL;
		action(m, mc, "created");
		metric_observe(m, M_CREATION, seconds_since(mc->create_started), EXECUTOR);
		break;
	case EVENT_CREATE_FAILED:
		action(m, mc, "creation-failed");
		metric_observe(m, M_FAILED_CREATION, seconds_since(mc->create_started), EXECUTOR);
		break;
	case EVENT_REMOVED:
		action(m, mc, "removed");
		if (wall_known(mc->remove_started))
			metric_observe(m, M_REMOVAL, seconds_since(mc->remove_started), EXECUTOR);
		if (p->runner != NULL) {
			metric_observe(m, M_MACHINE_LIFE, seconds_since(mc->created), POOL_LABELS(m, p));
			metric_add(m, M_MACHINE_JOBS, mc->uses, POOL_LABELS(m, p));
		}
		break;
	case EVENT_ARRIVED:
		if (p->runner != NULL)
			job_came(m, p, j);
		break;
	case EVENT_ASSIGN:
		action(m, mc, "used");
		metric_add(m, M_EXECUTION_MODE, 1, MODE, EXECUTOR);
		if (p->runner != NULL)
			metric_observe(m, M_JOB_WAIT, seconds_since(j->arrived), POOL_LABELS(m, p));
		break;
	case EVENT_ENDED:
		if (p->runner != NULL)
			job_went(m, p, j, reason);
		break;
	case EVENT_MACHINE:
		/* Of rounds.c. */
		if (strcmp(reason, "stray") == 0 || strcmp(reason, "stray-stays") == 0)
			metric_add(m, M_STRAYS, 1, reason[5] == '\0' ? "removed" : "stays");
		break;
	case EVENT_MANAGER:
		if (strcmp(reason, "started") == 0 || strcmp(reason, "reloaded") == 0)
			metric_add0(m, M_CONFIG_LOADED, 1);
		else if (strcmp(reason, "reload-failed") == 0)
			metric_add0(m, M_CONFIG_LOAD_ERRORS, 1);
		break;
	default:
		break;
	}
}

static void
count_calls(struct manager *m, const struct pool *p, const struct callstat_row *r)
{
	const char *endpoint = callstat_endpoint_name(r->endpoint), *method = callstat_endpoint_method(r->endpoint);
	const char *labels[] = { p->runner, m->system_id, endpoint, callstat_class(r->status), method };
	struct series *s;
	char status[16];

	snprintf(status, sizeof(status), "%d", r->status);
	metric_add(m, M_API_STATUSES, (double)r->n, p->runner, m->system_id, endpoint, status, method);
	metric_add(m, M_API_RETRIES, (double)r->n, callstat_endpoint_path(r->endpoint), method);
	s = series(m, M_API_DURATION, labels, NELEM(labels));
	if (s == NULL)
		return;
	for (size_t i = 0; i <= CALLSTAT_NBOUNDS; i++)
		s->bucket[i] += r->bucket[i];
	s->value += r->seconds;
}

void
metrics_request(struct manager *m, struct pool *p, int status, int64_t ns)
{
	struct callstat c = { .n = 0 };

	if (p->runner == NULL)
		return;
	callstat_add(&c, CALLSTAT_REQUEST_JOB, status != 0 ? status : -1, (double)ns / NSEC_SEC);
	count_calls(m, p, &c.row[0]);
	if (status == 403)
		metric_add(m, M_HEALTH_FAILURES, 1, POOL_LABELS(m, p));
	if (status == 0)
		metric_add(m, M_PROCESSING_FAILURES, 1, "other", POOL_LABELS(m, p));
}

void
metrics_reported(struct manager *m, struct pool *p, struct arena *a, struct json_val reported)
{
	if (p->runner == NULL)
		return;
	JSON_EACH(call, json_get(reported, "calls")) {
		struct str name = json_str(a, json_get(call, "endpoint"));
		struct callstat_row r = { .status = (int)json_i64(json_get(call, "status"), -1),
		    .n = (uint64_t)json_i64(json_get(call, "n"), 0), .seconds = json_f64(json_get(call, "seconds"), 0) };
		size_t i = 0;

		JSON_EACH(b, json_get(call, "buckets"))
			if (i <= CALLSTAT_NBOUNDS)
				r.bucket[i++] = (uint64_t)json_i64(b, 0);
		for (r.endpoint = 0; r.endpoint < CALLSTAT_NENDPOINTS; r.endpoint++)
			if (str_eqc(name, callstat_endpoint_name(r.endpoint)))
				break;
		if (r.endpoint < CALLSTAT_NENDPOINTS)
			count_calls(m, p, &r);
	}
}

void
metrics_put(const struct manager *m, struct json_w *w)
{
	jw_array(w, "series");
	for (size_t c = 0; m->metrics != NULL && c < CHAINS; c++)
		for (const struct series *s = m->metrics->chain[c]; s != NULL; s = s->next) {
			struct str key = str_from(s->key), label[METRIC_LABELS_MAX];
			struct view_series v = { .name = metric_info[s->id].name, .label = label, .nlabels = metric_nlabels(s->id),
				.value = s->value, .bucket = s->bucket };
			size_t nbounds;

			metric_bounds(s->id, &nbounds);
			v.nbuckets = nbounds > 0 ? nbounds + 1 : 0;
			for (size_t i = 0; i < v.nlabels; i++)
				label[i] = str_cut(&key, SEP);
			jw_object(w, NULL);
			view_put_series(w, &v);
			jw_end_object(w);
		}
	jw_end_array(w);
}

void
metrics_free(struct manager *m)
{
	if (m->metrics == NULL)
		return;
	for (size_t c = 0; c < CHAINS; c++)
		for (struct series *s = m->metrics->chain[c], *next; s != NULL; s = next) {
			next = s->next;
			free(s->key);
			free(s);
		}
	LIST_EACH(struct target, t, link, &m->metrics->targets) {
		free(t->zone);
		free(t->region);
		free(t->project);
		free(t->type);
		free(t);
	}
	free(m->metrics);
	m->metrics = NULL;
}
