/*
 * `windlass why`: what waits and for what; the story of one machine, job or
 * runner. Present facts come from the view, the past from the manager's events, which reach back some hours or days.
 */
#include "cmd/cmd.h"
#include "cmd/watch.h"

#define EVENTS_MOST	400	/* of one story */
#define EVENTS_POOL	40

static const struct opt opts[] = {
	OPT_STATE_DIR,
	OPT_STORAGE,
	OPT_JSON,
};
const struct usage cmd_why_usage = USAGE("[JOB | MACHINE | RUNNER]",
    "Says what is waiting and for what. With a machine's name: why it was made, which jobs it ran, why it went; with a job's\n"
    "number: when it came, what it waited for, where it ran, how it ended; with a runner's name or short token: what holds it\n"
    "back, and what befell it last. A unique beginning or end of a name will do; machines and jobs that are gone are known\n"
    "as long as events.jsonl reaches back. Times are UTC.\n\n"
    "Exit status 1 when nothing is known by that name, or when there is no state directory to read.", opts);

/* ---- who is meant ---- */

enum subject { SUBJECT_NONE, SUBJECT_POOL, SUBJECT_JOB, SUBJECT_MACHINE };

struct meant {
	enum subject	 what;
	const char	*name;
	const char	*word;		/* as it was asked for */
	int		 candidates;	/* more than one: ambiguous */
};

static void
candidate(struct meant *m, enum subject what, const char *name)
{
	struct str n = str_from(name);

	if (m->name != NULL && m->what == what && strcmp(m->name, name) == 0)
		return;
	if (!str_starts(n, m->word) && !str_ends(n, m->word))
		return;
	m->candidates++;
	m->what = what;
	m->name = name;
}

/* Those who are there and have just that name. */
static bool
find_exact(struct meant *m, const struct view *v)
{
	const struct view_machine *mc = view_machine(v, m->word);
	const struct view_job *j = view_job(v, m->word);

	for (size_t i = 0; i < v->npools; i++) {
		const struct view_pool *p = &v->pools[i];

		if (strcmp(p->key, m->word) == 0 || strcmp(p->name, m->word) == 0 || strcmp(p->runner, m->word) == 0) {
			m->what = SUBJECT_POOL;
			m->name = p->key;
			return true;
		}
	}
	if (j == NULL && mc == NULL)
		return false;
	m->what = j != NULL ? SUBJECT_JOB : SUBJECT_MACHINE;
	m->name = j != NULL ? j->id : mc->name;
	return true;
}

static bool
exact_event(void *ctx, const struct event_record *ev)
{
	return strcmp(ev->job, ctx) == 0 || strcmp(ev->machine, ctx) == 0;
}

/* Events may be of any machine that begins or ends so. */
static bool
near_event(void *ctx, const struct event_record *ev)
{
	struct str machine = str_from(ev->machine);

	return machine.n > 0 && (str_starts(machine, ctx) || str_ends(machine, ctx));
}

static struct meant
resolve(struct view *v, const char *dir, char *word)
{
	struct meant m = { .word = word };
	struct event_record *ev;
	size_t n;

	if (find_exact(&m, v))
		return m;
	n = events_read(&v->arena, dir, exact_event, word, 1, &ev);
	if (n > 0) {
		m.what = strcmp(ev[0].job, word) == 0 ? SUBJECT_JOB : SUBJECT_MACHINE;
		m.name = word;
		return m;
	}
	for (size_t i = 0; i < v->nmachines; i++)
		candidate(&m, SUBJECT_MACHINE, v->machines[i].name);
	n = events_read(&v->arena, dir, near_event, word, EVENTS_MOST, &ev);
	for (size_t i = 0; i < n; i++) {
		/* A story is many events: once is enough. */
		if (view_machine(v, ev[i].machine) == NULL)
			candidate(&m, SUBJECT_MACHINE, ev[i].machine);
	}
	return m;
}

static bool
of_subject(void *ctx, const struct event_record *ev)
{
	const struct meant *m = ctx;

	if (m->what == SUBJECT_MACHINE)
		return strcmp(ev->machine, m->name) == 0;
	if (m->what == SUBJECT_JOB)
		return strcmp(ev->job, m->name) == 0;
	/* Of a runner what is not the story of one of its machines or jobs, and what went wrong with those. */
	return strcmp(ev->pool, m->name) == 0 && ((ev->machine[0] == '\0' && ev->job[0] == '\0') || strcmp(ev->kind, "create-failed") == 0 ||
	    strcmp(ev->kind, "stuck") == 0 || strcmp(ev->kind, "create") == 0 || strcmp(ev->kind, "remove") == 0 || strcmp(ev->kind, "back") == 0);
}

/* ---- sentences ---- */

static const char *
plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* "3 machines: 1 idle, 1 in use, 1 on the way". */
static void
put_machines(struct buf *b, const struct view_pool *p)
{
	const struct { int64_t n; const char *text; } parts[] = { { p->idle, "idle" }, { p->used, "in use" }, { p->creating, "on the way" },
	    { p->removing, "being removed" }, { p->stuck, "put aside because they cannot be removed" } };
	int64_t all = p->idle + p->used + p->creating + p->removing + p->stuck;
	const char *between = ": ";

	if (all == 0) {
		buf_puts(b, "no machine");
		return;
	}
	buf_fmt(b, "%" PRId64 " machine%s", all, plural(all));
	for (size_t i = 0; i < NELEM(parts); i++)
		if (parts[i].n > 0) {
			buf_fmt(b, "%s%" PRId64 " %s", between, parts[i].n, parts[i].text);
			between = ", ";
		}
}

static void
put_pool(struct buf *b, const struct view *v, const struct view_pool *p, wall_t now)
{
	struct buf note = { 0 };

	buf_puts(b, "Runner ");
	watch_put_pool_name(b, v, p->key);
	buf_puts(b, " has ");
	put_machines(b, p);
	buf_fmt(b, ". %" PRId64 " idle %s wanted. %" PRId64 " job%s run%s, %" PRId64 " wait%s.\n", p->idle_target, p->idle_target == 1 ? "is" : "are",
	    p->running, plural(p->running), p->running == 1 ? "s" : "", p->waiting, p->waiting == 1 ? "s" : "");
	watch_pool_note(&note, p, now);
	if (note.n > 0)
		buf_fmt(b, "  %.*s.\n", STR_ARG(buf_str(&note)));
	/* Of a manager that cannot say what it does now nothing is promised. */
	if (p->ask > 0 && !wall_before(now, p->disabled_until) && v->stale == NULL &&
	    p->trouble[0] == '\0') {
		buf_fmt(b, "  It asks GitLab for up to %" PRId64 " more job%s", p->ask, plural(p->ask));
		if (strcmp(p->ask_why, "at-limit") == 0)
			buf_fmt(b, " (limit %" PRId64 ")", p->limit);
		else if (strcmp(p->ask_why, "at-concurrent") == 0)
			buf_fmt(b, " (concurrent %" PRId64 ")", v->concurrent);
		else if (p->ask_text[0] != '\0') {
			buf_puts(b, " (");
			watch_put_clean(b, p->ask_text);
			buf_puts(b, ")");
		}
		buf_fmt(b, "; %" PRId64 " request%s under way.\n", p->asking, p->asking == 1 ? " is" : "s are");
	}
	buf_free(&note);
}

static void
put_job_name(struct buf *b, const struct view_job *j)
{
	buf_puts(b, "Job ");
	watch_put_clean(b, j->id);
	if (j->name[0] == '\0' && j->project[0] == '\0')
		return;
	buf_puts(b, " (");
	watch_put_clean(b, j->project);
	buf_puts(b, j->name[0] != '\0' && j->project[0] != '\0' ? ", " : "");
	watch_put_clean(b, j->name);
	buf_puts(b, ")");
}

static bool
is_coming(const struct view_machine *m, const char *pool)
{
	return strcmp(m->pool, pool) == 0 && strcmp(m->state, "creating") == 0;
}

/*
 * The machine that this job will have if nothing changes: the oldest job takes the first that is ready, and most likely that
 * was begun first. NULL when fewer are on the way than jobs wait before this one.
 */
static const struct view_machine *
coming(const struct view *v, const struct view_job *j)
{
	size_t place = 0;

	for (size_t i = 0; i < v->njobs; i++) {
		const struct view_job *o = &v->jobs[i];

		place += o != j && strcmp(o->pool, j->pool) == 0 && strcmp(o->state, "waiting") == 0 &&
		    (wall_before(o->arrived, j->arrived) ||
		    (wall_equal(o->arrived, j->arrived) && o < j));
	}
	for (size_t i = 0; i < v->nmachines; i++) {
		const struct view_machine *m = &v->machines[i];
		size_t before = 0;

		for (size_t k = 0; is_coming(m, j->pool) && k < v->nmachines; k++)
			before += k != i && is_coming(&v->machines[k], j->pool) &&
			    (wall_before(v->machines[k].created, m->created) ||
			    (wall_equal(v->machines[k].created, m->created) && k < i));
		if (is_coming(m, j->pool) && before == place)
			return m;
	}
	return NULL;
}

static void
put_job(struct buf *b, const struct view *v, const struct view_job *j, wall_t now)
{
	const struct view_machine *m;
	struct buf note = { 0 };

	put_job_name(b, j);
	if (strcmp(j->state, "waiting") == 0) {
		buf_puts(b, " has waited for ");
		watch_put_age(b, j->arrived, now);
		buf_puts(b, ". ");
		if (j->waiting[0] != '\0')
			watch_put_waiting(b, j, now);
		else
			buf_puts(b, "Nothing has been decided for it yet");
		buf_puts(b, ".");
		m = coming(v, j);
		if (m != NULL) {
			buf_puts(b, " The machine that is coming, ");
			watch_put_clean(b, m->name);
			buf_puts(b, ", was begun ");
			watch_put_age(b, m->created, now);
			buf_fmt(b, " ago and has come to: %s.", m->phase[0] != '\0' ? m->phase : "nothing yet");
			watch_machine_note(&note, m, now);
			if (wall_before(now, m->throttled_until))
				buf_fmt(b, " It waits: %.*s.", STR_ARG(buf_str(&note)));
			buf_free(&note);
		}
		if (!v->alive)
			buf_puts(b, " No windlass runs that could give it a machine.");
	} else if (strcmp(j->state, "running") == 0) {
		buf_puts(b, " runs on ");
		watch_put_clean(b, j->machine);
		if (wall_known(j->assigned)) {
			buf_puts(b, " since ");
			watch_put_age(b, j->assigned, now);
			buf_puts(b, ", after a wait of ");
			watch_put_age(b, j->arrived, j->assigned);
		}
		if (j->stage[0] != '\0') {
			buf_puts(b, "; it is at ");
			watch_put_clean(b, j->stage);
		}
		buf_puts(b, ".");
	} else {
		buf_puts(b, " has ended: ");
		watch_put_clean(b, j->result);
		buf_puts(b, ". GitLab does not have its result yet.");
	}
	buf_puts(b, "\n");
}

static void
put_machine(struct buf *b, const struct view *v, const struct view_machine *m, wall_t now)
{
	struct buf note = { 0 };

	buf_puts(b, "Machine ");
	watch_put_clean(b, m->name);
	buf_puts(b, " of runner ");
	watch_put_pool_name(b, v, m->pool);
	buf_puts(b, " is ");
	buf_puts(b, strcmp(m->state, "creating") == 0 ? "being made" : strcmp(m->state, "used") == 0 ? "in use" :
	    strcmp(m->state, "removing") == 0 ? "being removed" : strcmp(m->state, "stuck-on-removing") == 0 ? "put aside" : m->state);
	if (m->job[0] != '\0') {
		buf_puts(b, " by job ");
		watch_put_clean(b, m->job);
	}
	if (wall_known(m->since)) {
		buf_puts(b, " since ");
		watch_put_age(b, m->since, now);
	}
	buf_puts(b, ". It is ");
	watch_put_age(b, m->created, now);
	buf_fmt(b, " old and was given %" PRId64 " job%s.", m->uses, plural(m->uses));
	if (m->type[0] != '\0' || m->zone[0] != '\0' || m->region[0] != '\0') {
		buf_puts(b, " It is a ");
		watch_put_clean(b, m->type[0] != '\0' ? m->type : "machine");
		buf_puts(b, " in ");
		watch_put_clean(b, m->zone[0] != '\0' ? m->zone : m->region);
		buf_puts(b, ".");
	}
	buf_puts(b, "\n");
	watch_machine_note(&note, m, now);
	if (note.n > 0)
		buf_fmt(b, "  %.*s.\n", STR_ARG(buf_str(&note)));
	buf_free(&note);
}

static void
put_story(struct buf *b, const struct view *v, const struct event_record *ev, size_t n, const char *self)
{
	if (n > 0)
		buf_putc(b, '\n');
	for (size_t i = 0; i < n; i++) {
		watch_put_time(b, ev[i].at);
		buf_puts(b, "  ");
		watch_event_text(b, v, &ev[i], self);
		buf_putc(b, '\n');
	}
}

/* ---- answers ---- */

static void
answer_all(struct buf *b, const struct view *v, wall_t now)
{
	int waiting = 0, stuck = 0;

	for (size_t i = 0; i < v->npools; i++)
		put_pool(b, v, &v->pools[i], now);
	if (v->npools == 0)
		buf_puts(b, "No runner is configured.\n");
	if (v->alive && v->concurrent > 0) {
		int64_t active = 0;

		for (size_t i = 0; i < v->njobs; i++)
			active += strcmp(v->jobs[i].state, "ended") != 0;
		if (active >= v->concurrent)
			buf_fmt(b, "%" PRId64 " jobs are here, as many as concurrent allows: no further one is asked for.\n", active);
	}
	for (size_t i = 0; i < v->njobs; i++)
		if (strcmp(v->jobs[i].state, "waiting") == 0) {
			if (waiting++ == 0)
				buf_putc(b, '\n');
			put_job(b, v, &v->jobs[i], now);
		}
	for (size_t i = 0; i < v->njobs; i++)
		if (strcmp(v->jobs[i].state, "ended") == 0) {
			if (waiting++ == 0)
				buf_putc(b, '\n');
			put_job(b, v, &v->jobs[i], now);
		}
	for (size_t i = 0; i < v->nmachines; i++)
		if (strcmp(v->machines[i].state, "stuck-on-removing") == 0 || v->machines[i].removal_retries > 0) {
			if (stuck++ == 0)
				buf_putc(b, '\n');
			put_machine(b, v, &v->machines[i], now);
		}
	if (waiting == 0)
		buf_puts(b, "\nNo job waits.\n");
}

/* 0, or 1 when there is nothing of that name. */
static int
answer_one(struct buf *b, struct view *v, const char *dir, char *word, bool json, wall_t now)
{
	static const char *const subjects[] = { "", "runner", "job", "machine" };
	struct meant m = resolve(v, dir, word);
	const struct view_job *j = m.what == SUBJECT_JOB ? view_job(v, m.name) : NULL;
	const struct view_machine *mc = m.what == SUBJECT_MACHINE ? view_machine(v, m.name) : NULL;
	const struct view_pool *p = m.what == SUBJECT_POOL ? view_pool(v, m.name) : NULL;
	struct json_w w = { .b = b, .indent = 2 };
	struct event_record *ev;
	size_t n;

	if (m.candidates > 1) {
		fprintf(stderr, "FATAL: why: several machines begin or end with \"%s\": give more of the name\n", word);
		return 1;
	}
	if (m.what == SUBJECT_NONE) {
		n = events_read(&v->arena, dir, NULL, NULL, 1u << 17, &ev);
		buf_puts(b, "FATAL: why: no runner, job or machine is known by the name \"");
		watch_put_clean(b, word);
		buf_puts(b, n > 0 ? "\"; what is remembered begins at " : "\"; nothing is remembered yet");
		if (n > 0) {
			watch_put_time(b, ev[0].at);
			buf_puts(b, " UTC");
		}
		fprintf(stderr, "%.*s\n", STR_ARG(buf_str(b)));
		buf_clear(b);
		return 1;
	}
	n = events_read(&v->arena, dir, of_subject, &m, m.what == SUBJECT_POOL ? EVENTS_POOL : EVENTS_MOST, &ev);
	if (json) {
		jw_object(&w, NULL);
		jw_cstr(&w, "subject", subjects[m.what]);
		jw_cstr(&w, "name", m.name);
		/* An array, as in `ls --json`: empty when it is gone. */
		jw_array(&w, m.what == SUBJECT_POOL ? "pools" : m.what == SUBJECT_JOB ? "jobs" : "machines");
		if (p != NULL)
			watch_json_pool(&w, p);
		if (j != NULL)
			watch_json_job(&w, j);
		if (mc != NULL)
			watch_json_machine(&w, mc);
		jw_end_array(&w);
		watch_json_events(&w, ev, n);
		jw_end_object(&w);
		buf_putc(b, '\n');
		return 0;
	}
	if (p != NULL)
		put_pool(b, v, p, now);
	else if (j != NULL)
		put_job(b, v, j, now);
	else if (mc != NULL)
		put_machine(b, v, mc, now);
	else {
		buf_puts(b, m.what == SUBJECT_JOB ? "Job " : "Machine ");
		watch_put_clean(b, m.name);
		buf_puts(b, m.what == SUBJECT_JOB ? " is not here any more.\n" : " is gone.\n");
	}
	put_story(b, v, ev, n, p != NULL ? NULL : m.name);
	return 0;
}

int
cmd_why(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	const char **words = xcalloc((size_t)argc + 1, sizeof(*words));
	struct buf out = { .max = 256u << 20 }, head = { 0 };
	struct json_w w = { .b = &out, .indent = 2 };
	wall_t now = wall_now();
	struct view v;
	size_t nwords;
	char *dir, *word = NULL;
	int rc = 0;

	if (cmd_options(&cmd_why_usage, o, argc, argv, words, &nwords) < 0)
		return 1;
	if (nwords > 1) {
		fprintf(stderr, "FATAL: why: one job, machine or runner at a time\n");
		return 1;
	}
	if (watch_load(&v, "why", o[0].value, o[1].value, &dir) < 0)
		return 1;
	if (!o[2].number) {
		watch_put_dead(&head, &v, dir, now);
		fwrite(head.p, 1, head.n, stderr);
		now = watch_as_of(&v, now);
	}
	if (nwords == 1) {
		word = xstrdup(words[0]);
		rc = answer_one(&out, &v, dir, word, o[2].number, now);
	} else if (o[2].number) {
		jw_object(&w, NULL);
		watch_json(&w, &v);
		jw_end_object(&w);
		buf_putc(&out, '\n');
	} else
		answer_all(&out, &v, now);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	buf_free(&head);
	view_free(&v);
	free(dir);
	free(word);
	free(words);
	opt_free(o, NELEM(o));
	return fflush(stdout) == 0 ? rc : 1;
}
