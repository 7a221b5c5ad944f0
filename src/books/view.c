/* The manager's snapshot, written and read: see view.h. */
#include "books/format.h"
#include "books/view.h"
#include "wire/fields.h"

static const struct field manager_fields[] = {
	FIELD(struct view, INT, "pid", pid),
	FIELD(struct view, STR, "version", version),
	FIELD(struct view, STR, "state", state),
	FIELD(struct view, TIME_IF, "started", started),
	FIELD(struct view, STR, "config", config),
	FIELD(struct view, STR, "store", store),
	FIELD(struct view, STR, "system_id", system_id),
	FIELD(struct view, INT, "concurrent", concurrent),
};

/* The last member, so that all before it can be compared with what was written last. */
static const struct field at_field = FIELD(struct view, TIME, "at", at);

static const struct field log_fields[] = {
	FIELD(struct view, INT, "warning", log_warning),
	FIELD(struct view, INT, "error", log_error),
	FIELD(struct view, INT, "fatal", log_fatal),
};

static const struct field pool_fields[] = {
	FIELD(struct view_pool, STR, "key", key),
	FIELD(struct view_pool, STR_IF, "runner", runner),
	FIELD(struct view_pool, STR_IF, "name", name),
	FIELD(struct view_pool, BOOL, "configured", configured),
	FIELD(struct view_pool, STR_IF, "url", url),
	FIELD(struct view_pool, STR_IF, "driver", driver),
	FIELD(struct view_pool, STR_IF, "disabled", disabled),
	FIELD(struct view_pool, INT, "limit", limit),
	FIELD(struct view_pool, INT, "idle_target", idle_target),
	FIELD(struct view_pool, INT, "waiting", waiting),
	FIELD(struct view_pool, INT, "running", running),
	FIELD(struct view_pool, INT, "ask", ask),
	FIELD(struct view_pool, STR_IF, "ask_why", ask_why),
	FIELD(struct view_pool, STR_IF, "ask_text", ask_text),
	FIELD(struct view_pool, INT, "asking", asking),
	FIELD(struct view_pool, STR_IF, "held", held),
	FIELD(struct view_pool, STR_IF, "held_text", held_text),
	FIELD(struct view_pool, TIME_IF, "held_until", held_until),
	FIELD(struct view_pool, INT, "short_by", short_by),
	FIELD(struct view_pool, STR_IF, "trouble", trouble),
};

static const struct field rest_fields[] = {
	FIELD(struct view_pool, INT_IF, "max_builds", max_builds),
	FIELD(struct view_pool, INT_IF, "request_concurrency", request_concurrency),
	FIELD(struct view_pool, INT_IF, "request_limit", request_limit),
};

static const struct field count_fields[] = {
	FIELD(struct view_pool, INT, "creating", creating),
	FIELD(struct view_pool, INT, "idle", idle),
	FIELD(struct view_pool, INT, "used", used),
	FIELD(struct view_pool, INT, "removing", removing),
	FIELD(struct view_pool, INT, "stuck", stuck),
};

static const struct field backoff_fields[] = {
	FIELD(struct view_pool, INT, "failures", create_failures),
	FIELD(struct view_pool, TIME_IF, "since", create_since),
	FIELD(struct view_pool, TIME_IF, "not_before", create_not_before),
	FIELD(struct view_pool, BOOL, "trying", create_trying),
	FIELD(struct view_pool, STR_IF, "error", create_error),
};

static const struct field refused_fields[] = {
	FIELD(struct view_pool, INT, "times", refusals),
	FIELD(struct view_pool, TIME_IF, "last", refused_last),
	FIELD(struct view_pool, TIME_IF, "until", disabled_until),
};

static const struct field gitlab_fields[] = {
	FIELD(struct view_pool, INT, "failures", gitlab_failures),
	FIELD(struct view_pool, TIME_IF, "not_before", gitlab_not_before),
};

static const struct field growth_fields[] = {
	FIELD(struct view_pool, INT, "interval", growth.interval),
	FIELD(struct view_pool, INT, "burst", growth.burst),
	FIELD(struct view_pool, INT, "tat", growth.tat),
	FIELD(struct view_pool, INT, "blocked_until", growth.blocked_until),
};

static const struct field account_fields[] = {
	FIELD(struct view_pool, INT, "interval", account.interval),
	FIELD(struct view_pool, INT, "burst", account.burst),
	FIELD(struct view_pool, INT, "tat", account.tat),
	FIELD(struct view_pool, INT, "blocked_until", account.blocked_until),
};

/* The objects of a pool. All but the first are only there when something is the matter, or limited. */
static const struct { const char *key; const struct field *f; size_t n; } pool_objects[] = {
	{ "counts", count_fields, NELEM(count_fields) },
	{ "backoff", backoff_fields, NELEM(backoff_fields) },
	{ "refused", refused_fields, NELEM(refused_fields) },
	{ "gitlab", gitlab_fields, NELEM(gitlab_fields) },
	{ "growth", growth_fields, NELEM(growth_fields) },
	{ "account", account_fields, NELEM(account_fields) },
};

static const struct field machine_fields[] = {
	FIELD(struct view_machine, STR, "name", name),
	FIELD(struct view_machine, STR, "pool", pool),
	FIELD(struct view_machine, STR, "state", state),
	FIELD(struct view_machine, STR_IF, "phase", phase),
	FIELD(struct view_machine, TIME_IF, "created", created),
	FIELD(struct view_machine, TIME_IF, "since", since),
	FIELD(struct view_machine, INT, "uses", uses),
	FIELD(struct view_machine, STR_IF, "job", job),
	FIELD(struct view_machine, INT_IF, "failed_checks", failed_checks),
	FIELD(struct view_machine, BOOL_IF, "stale", stale),
	FIELD(struct view_machine, BOOL_IF, "doomed", doomed),
	FIELD(struct view_machine, BOOL_IF, "blind", blind),
	FIELD(struct view_machine, STR_IF, "operation", operation),
	FIELD(struct view_machine, INT_IF, "removal_retries", removal_retries),
	FIELD(struct view_machine, STR_IF, "error", error),
	FIELD(struct view_machine, TIME_IF, "again", again),
	FIELD(struct view_machine, TIME_IF, "throttled_until", throttled_until),
	FIELD(struct view_machine, STR_IF, "why", why),
	FIELD(struct view_machine, STR_IF, "zone", zone),
	FIELD(struct view_machine, STR_IF, "region", region),
	FIELD(struct view_machine, STR_IF, "project", project),
	FIELD(struct view_machine, STR_IF, "type", type),
};

static const struct field job_fields[] = {
	FIELD(struct view_job, STR, "id", id),
	FIELD(struct view_job, STR, "pool", pool),
	FIELD(struct view_job, STR, "state", state),
	FIELD(struct view_job, STR_IF, "name", name),
	FIELD(struct view_job, STR_IF, "ci_stage", ci_stage),
	FIELD(struct view_job, STR_IF, "project", project),
	FIELD(struct view_job, STR_IF, "url", url),
	FIELD(struct view_job, TIME_IF, "arrived", arrived),
	FIELD(struct view_job, TIME_IF, "assigned", assigned),
	FIELD(struct view_job, TIME_IF, "ended", ended),
	FIELD(struct view_job, STR_IF, "machine", machine),
	FIELD(struct view_job, STR_IF, "waiting_why", waiting_why),
	FIELD(struct view_job, STR_IF, "waiting", waiting),
	FIELD(struct view_job, TIME_IF, "waiting_until", waiting_until),
	FIELD(struct view_job, STR_IF, "stage", stage),
	FIELD(struct view_job, STR_IF, "result", result),
	FIELD(struct view_job, STR_IF, "result_text", result_text),
	FIELD(struct view_job, INT_IF, "machines_tried", machines_tried),
	FIELD(struct view_job, INT, "executor", executor),
	FIELD(struct view_job, INT, "reporter", reporter),
};

static const struct field series_fields[] = {
	FIELD(struct view_series, STR, "name", name),
	FIELD(struct view_series, FLOAT, "value", value),
};

/* ---- writing ---- */

void
view_put_manager(struct json_w *w, const struct view *v)
{
	jw_i64(w, "v", STATE_FORMAT);
	fields_write(w, manager_fields, NELEM(manager_fields), v);
}

void
view_put_end(struct json_w *w, const struct view *v)
{
	fields_write(w, &at_field, 1, v);
}

void
view_put_log(struct json_w *w, const struct view *v)
{
	jw_object(w, "log");
	fields_write(w, log_fields, NELEM(log_fields), v);
	jw_end_object(w);
}

static void
put_object(struct json_w *w, const struct view_pool *p, size_t i)
{
	jw_object(w, pool_objects[i].key);
	fields_write(w, pool_objects[i].f, pool_objects[i].n, p);
	jw_end_object(w);
}

void
view_put_pool(struct json_w *w, const struct view_pool *p)
{
	fields_write(w, pool_fields, NELEM(pool_fields), p);
	put_object(w, p, 0);
}

void
view_put_pool_rest(struct json_w *w, const struct view_pool *p)
{
	fields_write(w, rest_fields, NELEM(rest_fields), p);
	for (size_t i = 1; i < NELEM(pool_objects); i++)
		if (fields_say(pool_objects[i].f, pool_objects[i].n, p))
			put_object(w, p, i);
}

void
view_put_machine(struct json_w *w, const struct view_machine *m)
{
	fields_write(w, machine_fields, NELEM(machine_fields), m);
}

void
view_put_job(struct json_w *w, const struct view_job *j)
{
	fields_write(w, job_fields, NELEM(job_fields), j);
}

void
view_put_series(struct json_w *w, const struct view_series *s)
{
	fields_write(w, series_fields, NELEM(series_fields), s);
	jw_array(w, "labels");
	for (size_t i = 0; i < s->nlabels; i++)
		jw_str(w, NULL, s->label[i]);
	jw_end_array(w);
	if (s->nbuckets == 0)
		return;
	jw_array(w, "buckets");
	for (size_t i = 0; i < s->nbuckets; i++)
		jw_i64(w, NULL, (int64_t)s->bucket[i]);
	jw_end_array(w);
}

/* ---- reading ---- */

void
view_pool_init(struct view_pool *p)
{
	*p = (struct view_pool){ 0 };
	fields_empty(pool_fields, NELEM(pool_fields), p);
	fields_empty(backoff_fields, NELEM(backoff_fields), p);
}

void
view_machine_init(struct view_machine *m)
{
	*m = (struct view_machine){ 0 };
	fields_empty(machine_fields, NELEM(machine_fields), m);
}

static void
read_pool(struct arena *a, struct json_val v, struct view_pool *p)
{
	view_pool_init(p);
	fields_read(a, v, pool_fields, NELEM(pool_fields), p);
	fields_read(a, v, rest_fields, NELEM(rest_fields), p);
	for (size_t i = 0; i < NELEM(pool_objects); i++)
		fields_read(a, json_get(v, pool_objects[i].key), pool_objects[i].f, pool_objects[i].n, p);
}

/* A list of the snapshot; none when it is not one. */
static struct json_val
list_in(struct json_val root, const char *key)
{
	struct json_val list = json_get(root, key);

	return json_type(list) == JSON_ARRAY ? list : JSON_NONE;
}

/* Room for its entries, and how many there are. */
static void *
list_of(struct arena *a, struct json_val list, size_t each, size_t *n)
{
	*n = json_len(list);
	return arena_calloc(a, *n, each);
}

static void
read_series(struct arena *a, struct json_val v, struct view_series *s)
{
	struct json_val labels = list_in(v, "labels"), buckets = list_in(v, "buckets");
	struct str *label = arena_calloc(a, json_len(labels), sizeof(*label));
	uint64_t *bucket = arena_calloc(a, json_len(buckets), sizeof(*bucket));

	*s = (struct view_series){ .name = "", .label = label, .bucket = bucket };
	fields_read(a, v, series_fields, NELEM(series_fields), s);
	JSON_EACH(l, labels)
		label[s->nlabels++] = json_str(a, l);
	JSON_EACH(b, buckets)
		bucket[s->nbuckets++] = (uint64_t)json_i64(b, 0);
}

int
view_parse(struct view *v, struct str text, struct err *e)
{
	struct arena *a = &v->arena;
	struct json_val root, pools, machines, jobs, series;
	size_t i = 0;

	fields_empty(manager_fields, NELEM(manager_fields), v);
	if (json_parse(a, arena_str(a, text), &root, e) < 0)
		return err_ctx(e, SNAPSHOT_FILE);
	if (json_type(root) != JSON_OBJECT || json_i64(json_get(root, "v"), 1) > STATE_FORMAT)
		return err_set(e, ERR_PARSE, 0, SNAPSHOT_FILE ": not of a form that this version reads");
	pools = list_in(root, "pools");
	machines = list_in(root, "machines");
	jobs = list_in(root, "jobs");
	series = list_in(root, "series");
	fields_read(a, root, manager_fields, NELEM(manager_fields), v);
	fields_read(a, json_get(root, "log"), log_fields, NELEM(log_fields), v);
	fields_read(a, root, &at_field, 1, v);
	v->pools = list_of(a, pools, sizeof(*v->pools), &v->npools);
	JSON_EACH(p, pools)
		read_pool(a, p, &v->pools[i++]);
	v->machines = list_of(a, machines, sizeof(*v->machines), &v->nmachines);
	i = 0;
	JSON_EACH(m, machines) {
		view_machine_init(&v->machines[i]);
		fields_read(a, m, machine_fields, NELEM(machine_fields), &v->machines[i++]);
	}
	v->jobs = list_of(a, jobs, sizeof(*v->jobs), &v->njobs);
	i = 0;
	JSON_EACH(j, jobs) {
		fields_empty(job_fields, NELEM(job_fields), &v->jobs[i]);
		fields_read(a, j, job_fields, NELEM(job_fields), &v->jobs[i++]);
	}
	v->series = list_of(a, series, sizeof(*v->series), &v->nseries);
	i = 0;
	JSON_EACH(s, series)
		read_series(a, s, &v->series[i++]);
	v->snapshot = true;
	return 0;
}

void
view_free(struct view *v)
{
	arena_reset(&v->arena);
	*v = (struct view){ .pid = 0 };
}

const struct view_pool *
view_pool(const struct view *v, const char *key)
{
	for (size_t i = 0; i < v->npools; i++)
		if (strcmp(v->pools[i].key, key) == 0)
			return &v->pools[i];
	return NULL;
}

const struct view_machine *
view_machine(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->nmachines; i++)
		if (strcmp(v->machines[i].name, name) == 0)
			return &v->machines[i];
	return NULL;
}

const struct view_job *
view_job(const struct view *v, const char *id)
{
	for (size_t i = 0; i < v->njobs; i++)
		if (strcmp(v->jobs[i].id, id) == 0)
			return &v->jobs[i];
	return NULL;
}
