/* Where `windlass simulate` has its past jobs from: a table, or the manager's own record. See simulate.h. */
#include <unistd.h>

#include "books/history.h"
#include "cmd/simulate.h"
#include "core/fs.h"

#define TABLE_MAX	(256u << 20)
#define BOOTS		200	/* of the newest machines: what a cloud took last year says little */

static int
by_value(const void *a, const void *b)
{
	dur_t x = *(const dur_t *)a, y = *(const dur_t *)b;

	return (x > y) - (x < y);
}

static int
by_arrival(const void *a, const void *b)
{
	const struct sim_job *x = a, *y = b;

	return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

/* How the jobs lie in time, had none waited. */
static void
describe(struct past *p)
{
	dur_t *ends = xcalloc(p->n + 1, sizeof(*ends));
	double busy = 0;
	size_t ended = 0;

	qsort(p->jobs, p->n, sizeof(*p->jobs), by_arrival);
	for (size_t i = 0; i < p->n; i++) {
		ends[i] = p->jobs[i].arrival + p->jobs[i].duration;
		busy += (double)p->jobs[i].duration;
	}
	qsort(ends, p->n, sizeof(*ends), by_value);
	for (size_t i = 0; i < p->n; i++) {
		while (ended < p->n && ends[ended] <= p->jobs[i].arrival)
			ended++;
		if (i + 1 - ended > p->peak_at_once)
			p->peak_at_once = i + 1 - ended;
	}
	p->span = p->n > 0 ? ends[p->n - 1] : 0;
	p->mean_at_once = p->span > 0 ? busy / (double)p->span : 0;
	free(ends);
}

static void
true_waits(struct past_truth *t, dur_t *waits, size_t n)
{
	double sum = 0;

	t->jobs = n;
	if (n == 0)
		return;
	qsort(waits, n, sizeof(*waits), by_value);
	for (size_t i = 0; i < n; i++)
		sum += (double)waits[i];
	t->wait_mean = (dur_t)(sum / (double)n);
	t->wait_p50 = waits[(n * 50 + 99) / 100 - 1];
	t->wait_p95 = waits[(n * 95 + 99) / 100 - 1];
	t->wait_p99 = waits[(n * 99 + 99) / 100 - 1];
	t->wait_max = waits[n - 1];
}

static dur_t
positive(dur_t ns)
{
	return ns > 0 ? ns : 0;
}

/* The runners that a record knows, for somebody who asked for another. */
static int
no_jobs(const char *name, const struct history_log *l, const char *runner, wall_t since, struct err *e)
{
	struct buf known = { .max = 200 };

	for (size_t i = 0; i < l->n; i++) {
		const struct history_record *r = &l->v[i];
		char key[40];

		if (r->what != HISTORY_JOB || r->runner.n == 0 || str_copy(r->runner, key, sizeof(key)) < 0 ||
		    str_find(buf_str(&known), key) >= 0)
			continue;
		buf_fmt(&known, "%s%s", known.n > 0 ? ", " : "", key);
	}
	if (runner != NULL && known.n > 0 && str_find(buf_str(&known), runner) < 0)
		err_set(e, ERR_NOTFOUND, 0, "%s: no job of this runner (key %s); it has jobs of %.*s (a token that was reset is a new key)", name, runner, (int)known.n, known.p);
	else
		err_set(e, ERR_NOTFOUND, 0, "%s: no job%s that had a machine and ended: let windlass run some first, or name another with --history",
		    name, since.ns > 0 ? " since then" : "");
	buf_free(&known);
	return -1;
}

static int
by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Machine hours between two points in time: of those that are gone, and of those that no line says are gone. */
static void
true_machines(struct past_truth *t, const struct history_log *l, const char *runner, wall_t from, wall_t to)
{
	struct str *gone = xcalloc(l->n + 1, sizeof(*gone));
	size_t ngone = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].what == HISTORY_GONE)
			gone[ngone++] = l->v[i].name;
	qsort(gone, ngone, sizeof(*gone), by_name);
	for (size_t i = 0; i < l->n; i++) {
		const struct history_record *r = &l->v[i];
		wall_t begin = wall_before(from, r->made) ? r->made : from;
		wall_t end = wall_before(r->at, to) ? r->at : to;

		if (r->what == HISTORY_JOB || !wall_known(r->made) ||
		    (runner != NULL && !str_eqc(r->runner, runner)))
			continue;
		t->failed += r->what == HISTORY_FAILED && !wall_before(r->at, from);
		t->made += r->what == HISTORY_READY && !wall_before(r->at, from);
		if (r->what == HISTORY_READY) {
			if (bsearch(&r->name, gone, ngone, sizeof(*gone), by_name) != NULL)
				continue;
			end = to;
		} else if (r->what != HISTORY_GONE) {
			continue;
		}
		t->machine_hours += (double)positive(wall_between(begin, end)) / 3600e9;
	}
	free(gone);
}

static int
from_record(const char *name, struct history_log *l, const char *runner, wall_t since, struct past *p, struct err *e)
{
	dur_t *waits = xcalloc(l->n + 1, sizeof(*waits));
	wall_t first = { INT64_MAX }, last = WALL_UNKNOWN;

	p->jobs = xcalloc(l->n + 1, sizeof(*p->jobs));
	p->record = true;
	p->skipped = l->skipped;
	for (size_t i = 0; i < l->n; i++) {
		const struct history_record *r = &l->v[i];
		wall_t arrival = r->queued.ns > 0 ? r->queued : r->arrived;
		dur_t ran;

		if (r->what != HISTORY_JOB || !wall_known(arrival) || wall_before(arrival, since) ||
		    (runner != NULL && !str_eqc(r->runner, runner)))
			continue;
		if (!wall_known(r->started)) {
			p->never++;
			continue;
		}
		ran = positive(wall_between(r->started, r->at));
		waits[p->n] = positive(wall_between(arrival, r->started));
		p->jobs[p->n++] = (struct sim_job){ arrival.ns, ran };
		p->truth.busy_hours += (double)ran / 3600e9;
		if (wall_before(arrival, first))
			first = arrival;
		if (wall_before(last, r->at))
			last = r->at;
	}
	true_waits(&p->truth, waits, p->n);
	free(waits);
	if (p->n == 0)
		return no_jobs(name, l, runner, since, e);
	for (size_t i = 0; i < p->n; i++)
		p->jobs[i].arrival -= first.ns;
	p->start = first;
	true_machines(&p->truth, l, runner, first, last);
	return 0;
}

int
past_read(const char *name, struct str text, const char *runner, wall_t since, struct past *p, struct err *e)
{
	struct history_log l = { 0 };
	ssize_t n;
	int rc = 0;

	*p = (struct past){ 0 };
	if (str_trim(text).n > 0 && str_trim(text).p[0] == '{') {
		history_add(&l, text);
		history_settle(&l);
		rc = from_record(name, &l, runner, since, p, e);
		history_free(&l);
	} else {
		n = sim_read_csv(text, &p->jobs, e);
		if (n < 0)
			rc = err_ctx(e, "%s", name);
		else if (n == 0)
			rc = err_set(e, ERR_PARSE, 0, "%s: no job in it: each line is an arrival and a duration in seconds, as in 12.5,300", name);
		else
			p->n = (size_t)n;
	}
	if (rc < 0) {
		past_free(p);
		return -1;
	}
	describe(p);
	return 0;
}

int
past_load(const char *path, const char *runner, wall_t since, struct past *p, struct err *e)
{
	struct buf b = { .max = TABLE_MAX };
	int rc;

	if (strcmp(path, "-") == 0)
		path = "/dev/stdin";
	rc = fs_read(AT_FDCWD, path, TABLE_MAX, &b, e);
	if (rc == 0)
		rc = past_read(path, buf_str(&b), runner, since, p, e);
	buf_free(&b);
	return rc;
}

int
past_load_state(const char *state_dir, const char *runner, wall_t since, struct past *p, struct err *e)
{
	struct history_log l = { 0 };
	char *name = fs_join(state_dir, HISTORY_FILE);
	int dir = fs_opendir(AT_FDCWD, state_dir, e), rc = -1;

	*p = (struct past){ 0 };
	if (dir >= 0 && history_load(dir, &l, e) == 0)
		rc = from_record(name, &l, runner, since, p, e);
	else if (e->kind == ERR_NOTFOUND)
		err_set(e, ERR_NOTFOUND, 0, "%s does not exist: windlass writes it while it runs jobs; name another record or a table of "
		    "arrival_seconds,duration_seconds with --history", name);
	if (rc == 0)
		describe(p);
	else
		past_free(p);
	history_free(&l);
	free(name);
	if (dir >= 0)
		close(dir);
	return rc;
}

void
past_free(struct past *p)
{
	free(p->jobs);
	*p = (struct past){ 0 };
}

dur_t
past_boot(const char *state_dir, const char *runner, size_t *n)
{
	struct history_log l = { 0 };
	dur_t boots[BOOTS], median = 0;
	int dir = fs_opendir(AT_FDCWD, state_dir, NULL);

	*n = 0;
	if (dir >= 0 && history_load(dir, &l, NULL) == 0)
		for (size_t i = l.n; i-- > 0 && *n < BOOTS; ) {
			const struct history_record *r = &l.v[i];

			if (r->what == HISTORY_READY && r->made.ns > 0 &&
			    wall_before(r->made, r->at) && (runner == NULL || str_eqc(r->runner, runner)))
				boots[(*n)++] = wall_between(r->made, r->at);
		}
	if (*n > 0) {
		qsort(boots, *n, sizeof(*boots), by_value);
		median = boots[*n / 2];
	}
	history_free(&l);
	if (dir >= 0)
		close(dir);
	return median;
}

void
span_print(dur_t ns, char out[SPAN_MAX])
{
	double s = (double)ns / 1e9;

	if (s < 99.95)
		snprintf(out, SPAN_MAX, "%.1fs", s);
	else if (s < 5999.5)
		snprintf(out, SPAN_MAX, "%dm%02ds", (int)(s + 0.5) / 60, (int)(s + 0.5) % 60);
	else if (s < 359999.5 * 60)
		snprintf(out, SPAN_MAX, "%dh%02dm", (int)(s / 60 + 0.5) / 60, (int)(s / 60 + 0.5) % 60);
	else
		snprintf(out, SPAN_MAX, "%.0fd", s / 86400);
}
