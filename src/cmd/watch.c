/* What `ls`, `top` and `why` share: see watch.h. */
#include <time.h>
#include <unistd.h>

#include "cmd/watch.h"
#include "core/fs.h"
#include "manager/manager.h"
#include "wire/fields.h"

#define REPLACEMENT_TEXT	"?"

int
watch_load(struct view *v, const char *command, const char *state_dir, const char *store, char **dir)
{
	struct err e = { 0 };

	*dir = state_dir != NULL ? xstrdup(state_dir) : manager_default_state_dir();
	if (*dir == NULL) {
		fprintf(stderr, "FATAL: %s: no home directory: give --state-dir\n", command);
		return -1;
	}
	if (view_load(v, *dir, store, &e) == 0)
		return 0;
	fprintf(stderr, "FATAL: %s: %s. Does windlass run here, and as this user? --state-dir names another place.\n", command, e.msg);
	view_free(v);
	free(*dir);
	return -1;
}

void
watch_put_dead(struct buf *b, const struct view *v, const char *state_dir, wall_t now)
{
	if (v->alive && v->snapshot && v->stale == NULL)
		return;
	if (v->alive && v->snapshot) {
		buf_puts(b, "As of ");
		watch_put_age(b, v->at, now);
		buf_fmt(b, " ago: %s.%s\n", v->stale, strstr(v->stale, "disk is full") != NULL ? " No job is asked for until it has room." : "");
		return;
	}
	if (v->alive) {
		buf_fmt(b, "windlass (pid %" PRId64 ") has just started: this is what its directories say.\n", v->pid);
		return;
	}
	buf_puts(b, "No windlass runs on ");
	watch_put_clean(b, state_dir);
	buf_puts(b, ": this is what the directories say");
	if (wall_known(v->at)) {
		buf_puts(b, "; its last word is ");
		watch_put_age(b, v->at, now);
		buf_puts(b, " old");
	}
	buf_puts(b, ".\n");
}

wall_t
watch_as_of(const struct view *v, wall_t now)
{
	return v->alive && v->stale != NULL && wall_known(v->at) ? v->at : now;
}

/* ---- words ---- */

void
watch_put_clean(struct buf *b, const char *s)
{
	struct str rest = str_from(s), one;
	uint32_t c;

	while (rest.n > 0) {
		if (str_shown(&rest, &one, &c))
			buf_putstr(b, one);
		else
			buf_puts(b, REPLACEMENT_TEXT);
	}
}

size_t
watch_columns(struct str s)
{
	size_t n = 0;

	/* Continuation bytes take no column. Wide characters of East Asia are counted as one: a table is a little uneven then. */
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void
put_span(struct buf *b, int64_t seconds)
{
	if (seconds < 60)
		buf_fmt(b, "%" PRId64 "s", seconds);
	else if (seconds < 3600)
		buf_fmt(b, "%" PRId64 "m%" PRId64 "s", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		buf_fmt(b, "%" PRId64 "h%" PRId64 "m", seconds / 3600, seconds / 60 % 60);
	else
		buf_fmt(b, "%" PRId64 "d%" PRId64 "h", seconds / 86400, seconds / 3600 % 24);
}

void
watch_put_age(struct buf *b, wall_t t, wall_t now)
{
	if (!wall_known(t))
		buf_putc(b, '-');
	else
		put_span(b, wall_before(t, now) ? wall_between(t, now) / NSEC_SEC : 0);
}

/* "in 12s", or "now" when it has passed. */
static void
put_until(struct buf *b, wall_t t, wall_t now)
{
	if (!wall_before(now, t))
		buf_puts(b, "now");
	else {
		buf_puts(b, "in ");
		put_span(b, (wall_between(now, t) + NSEC_SEC - 1) / NSEC_SEC);
	}
}

void
watch_put_time(struct buf *b, wall_t t)
{
	char text[TIME_RFC3339_MAX];

	time_rfc3339(t, 0, text);
	buf_fmt(b, "%.10s %.8s", text, text + 11);
}

void
watch_put_pool_name(struct buf *b, const struct view *v, const char *key)
{
	const struct view_pool *p = view_pool(v, key);

	if (p == NULL || (p->name[0] == '\0' && p->runner[0] == '\0')) {
		watch_put_clean(b, key);
		return;
	}
	watch_put_clean(b, p->name[0] != '\0' ? p->name : p->runner);
	if (p->name[0] != '\0' && p->runner[0] != '\0') {
		buf_puts(b, " (");
		watch_put_clean(b, p->runner);
		buf_puts(b, ")");
	}
}

/* ---- tables ---- */

void
watch_cell(struct watch_table *t)
{
	size_t width = watch_columns(buf_str(&t->cell)), column = t->n % t->ncolumns;

	if (width > t->width[column])
		t->width[column] = width;
	buf_putstr(&t->text, buf_str(&t->cell));
	buf_putc(&t->text, '\0');
	buf_clear(&t->cell);
	t->n++;
}

void
watch_cell_text(struct watch_table *t, const char *s)
{
	watch_put_clean(&t->cell, s[0] != '\0' ? s : "-");
	watch_cell(t);
}

#define ELLIPSIS	"\xe2\x80\xa6"

void
watch_put_fit(struct buf *b, struct str s, size_t columns)
{
	bool cut = watch_columns(s) > columns;
	size_t n = 0, i = 0;

	if (columns == 0)
		return;
	for (; cut && i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n++ == columns - 1)
			break;
	buf_putstr(b, cut ? str_sub(s, 0, i) : s);
	buf_puts(b, cut ? ELLIPSIS : "");
}

bool
watch_table_empty(const struct watch_table *t)
{
	return t->n <= t->ncolumns;
}

void
watch_table_put(struct watch_table *t, struct buf *b, size_t columns, size_t rows)
{
	struct str rest = buf_str(&t->text);
	size_t all = t->n / t->ncolumns, shown = rows != 0 && all > rows ? rows - 1 : all;
	struct buf line = { .max = 64u << 20 };

	for (size_t r = 0; r < shown; r++) {
		size_t pad = 0;

		buf_clear(&line);
		for (size_t c = 0; c < t->ncolumns; c++) {
			struct str cell = str_cut(&rest, '\0');
			size_t width = watch_columns(cell);

			/* What stands behind is only said when there is something to come. */
			for (; pad > 0 && width > 0; pad--)
				buf_putc(&line, ' ');
			buf_putstr(&line, cell);
			pad += t->width[c] - width + 2;
		}
		watch_put_fit(b, buf_str(&line), columns != 0 ? columns : SIZE_MAX);
		buf_putc(b, '\n');
	}
	buf_free(&line);
	if (shown < all)
		buf_fmt(b, "... %zu more\n", all - shown);
}

void
watch_table_free(struct watch_table *t)
{
	buf_free(&t->text);
	buf_free(&t->cell);
}

static void
heading(struct watch_table *t, const char *const names[], size_t n)
{
	t->ncolumns = n;
	t->text.max = t->cell.max = 64u << 20;
	for (size_t i = 0; i < n; i++)
		watch_cell_text(t, names[i]);
}

void
watch_pool_note(struct buf *b, const struct view_pool *p, wall_t now)
{
	size_t start = b->n;
	bool account;

	if (!p->configured)
		buf_puts(b, "not in the configuration: its machines go after its IdleTime; ");
	if (p->disabled[0] != '\0') {
		watch_put_clean(b, p->disabled);
		buf_puts(b, "; ");
	}
	if (p->refusals > 0 && wall_before(now, p->disabled_until)) {
		time_t at = (time_t)wall_seconds(p->disabled_until);
		struct tm tm;
		char hhmm[8];

		strftime(hhmm, sizeof(hhmm), "%H:%M", localtime_r(&at, &tm));
		buf_fmt(b, "disabled until %s, since GitLab refused its token %" PRId64 " times: an edit of config.toml or SIGHUP asks at once; ", hhmm, p->refusals);
	} else if (p->refusals > 0) {
		buf_fmt(b, "GitLab refused its token %" PRId64 " times; ", p->refusals);
	}
	if (p->gitlab_failures > 0 || wall_before(now, p->gitlab_not_before)) {
		buf_puts(b, p->gitlab_failures > 0 ? "GitLab does not answer, asked again " : "GitLab wants to be asked later, ");
		put_until(b, p->gitlab_not_before, now);
		buf_puts(b, "; ");
	}
	if (p->trouble[0] != '\0') {
		watch_put_clean(b, p->trouble);
		buf_puts(b, "; ");
	}
	account = strcmp(p->held, "quota") == 0 || strcmp(p->held, "throttled") == 0;
	if (p->create_failures > 0 && !account) {
		buf_fmt(b, "creating failed %" PRId64 " time%s in a row, next try ", p->create_failures, p->create_failures == 1 ? "" : "s");
		put_until(b, p->create_not_before, now);
		if (p->create_error[0] != '\0') {
			buf_puts(b, "; the last error: ");
			watch_put_clean(b, p->create_error);
		}
		buf_puts(b, "; ");
	} else if (p->held[0] != '\0' && (p->short_by > 0 || account)) {
		buf_fmt(b, "%" PRId64 " machine%s fewer than wanted: ", p->short_by, p->short_by == 1 ? "" : "s");
		watch_put_clean(b, p->held_text);
		if (wall_before(now, p->held_until)) {
			buf_puts(b, ", next try ");
			put_until(b, p->held_until, now);
		}
		buf_puts(b, "; ");
	}
	if (p->ask == 0 && p->ask_why[0] != '\0') {
		buf_puts(b, "asks for no job: ");
		watch_put_clean(b, p->ask_text);
		buf_puts(b, "; ");
	}
	if (b->n > start)
		buf_cut(b, b->n - 2);
}

#define NARROW_NAME	20	/* names are not longer in a narrow table */
#define SHORT_LEAST	6

void
watch_put_short(struct buf *b, const struct view *v, const char *name)
{
	struct str n = str_from(name);
	size_t from;

	for (from = n.n; n.n > NARROW_NAME && from > 0; from--) {
		bool unique = n.n - from >= SHORT_LEAST && n.p[from - 1] == '-';

		for (size_t i = 0; unique && i < v->nmachines; i++)
			unique = strcmp(v->machines[i].name, name) == 0 || !str_ends(str_from(v->machines[i].name), name + from);
		if (unique)
			break;
	}
	if (n.n <= NARROW_NAME || from == 0) {
		watch_put_clean(b, name[0] != '\0' ? name : "-");
		return;
	}
	buf_puts(b, ELLIPSIS);
	watch_put_clean(b, name + from);
}

static void
cell_narrow(struct watch_table *t, enum watch_width width)
{
	struct buf whole = { .max = 65536 };

	if (width == WATCH_NARROW) {
		buf_putstr(&whole, buf_str(&t->cell));
		buf_clear(&t->cell);
		watch_put_fit(&t->cell, buf_str(&whole), NARROW_NAME);
		buf_free(&whole);
	}
	watch_cell(t);
}

void
watch_table_pools(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now)
{
	static const char *const names[] = { "RUNNER", "IDLE", "BUSY", "COMING", "GOING", "WAITING", "ASKING", "NOTE" };

	heading(t, names, NELEM(names));
	for (size_t i = 0; i < v->npools; i++) {
		const struct view_pool *p = &v->pools[i];

		watch_put_pool_name(&t->cell, v, p->key);
		cell_narrow(t, width);
		buf_fmt(&t->cell, "%" PRId64 "/%" PRId64, p->idle, p->idle_target);
		watch_cell(t);
		if (p->limit > 0)
			buf_fmt(&t->cell, "%" PRId64 "/%" PRId64, p->used, p->limit);
		else
			buf_fmt(&t->cell, "%" PRId64, p->used);
		watch_cell(t);
		buf_fmt(&t->cell, "%" PRId64, p->creating);
		watch_cell(t);
		buf_fmt(&t->cell, "%" PRId64, p->removing + p->stuck);
		watch_cell(t);
		buf_fmt(&t->cell, "%" PRId64, p->waiting);
		watch_cell(t);
		buf_fmt(&t->cell, "%" PRId64 "/%" PRId64, p->asking, p->ask);
		watch_cell(t);
		watch_pool_note(&t->cell, p, now);
		watch_cell(t);
	}
}

void
watch_machine_note(struct buf *b, const struct view_machine *m, wall_t now)
{
	size_t start = b->n;

	if (strcmp(m->state, "creating") == 0)
		buf_fmt(b, "%s%s; ", m->phase[0] != '\0' ? "reached: " : "not begun", m->phase);
	if (wall_before(now, m->throttled_until)) {
		char until[TIME_RFC3339_MAX];

		time_rfc3339(m->throttled_until, 0, until);
		buf_fmt(b, "the cloud asks to wait until %.8s UTC; ", until + 11);
	}
	if (strcmp(m->state, "stuck-on-removing") == 0)
		buf_fmt(b, "removal failed %" PRId64 " times, it may still be paid for; ", m->removal_retries);
	else if (m->why[0] != '\0') {
		watch_put_clean(b, m->why);
		buf_puts(b, "; ");
	}
	if (m->failed_checks > 0)
		buf_fmt(b, "%" PRId64 " failed check%s; ", m->failed_checks, m->failed_checks == 1 ? "" : "s");
	if (m->doomed)
		buf_puts(b, "not to be used again; ");
	if (m->stale)
		buf_puts(b, "made with other driver options; ");
	if (m->error[0] != '\0') {
		watch_put_clean(b, m->error);
		buf_puts(b, "; ");
	}
	if (wall_before(now, m->again)) {
		buf_puts(b, "next try ");
		put_until(b, m->again, now);
		buf_puts(b, "; ");
	}
	if (b->n > start)
		buf_cut(b, b->n - 2);
}

static const char *
pool_name(const struct view *v, const char *key)
{
	const struct view_pool *p = view_pool(v, key);

	return p != NULL && p->name[0] != '\0' ? p->name : key;
}

void
watch_table_machines(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now)
{
	static const char *const wide[] = { "MACHINE", "RUNNER", "STATE", "SINCE", "AGE", "JOBS", "JOB", "NOTE" };
	static const char *const narrow[] = { "MACHINE", "STATE", "SINCE", "AGE", "JOBS", "JOB", "NOTE" };

	heading(t, width == WATCH_WIDE ? wide : narrow, width == WATCH_WIDE ? NELEM(wide) : NELEM(narrow));
	for (size_t i = 0; i < v->nmachines; i++) {
		const struct view_machine *m = &v->machines[i];

		if (width == WATCH_NARROW) {
			watch_put_short(&t->cell, v, m->name);
			watch_cell(t);
		} else {
			watch_cell_text(t, m->name);
			watch_cell_text(t, pool_name(v, m->pool));
		}
		watch_cell_text(t, m->state);
		watch_put_age(&t->cell, m->since, now);
		watch_cell(t);
		watch_put_age(&t->cell, m->created, now);
		watch_cell(t);
		buf_fmt(&t->cell, "%" PRId64, m->uses);
		watch_cell(t);
		watch_cell_text(t, m->job);
		watch_machine_note(&t->cell, m, now);
		watch_cell(t);
	}
}

static wall_t
job_since(const struct view_job *j)
{
	if (strcmp(j->state, "waiting") == 0)
		return j->arrived;
	if (strcmp(j->state, "ended") == 0)
		return j->ended;
	return wall_known(j->assigned) ? j->assigned : j->arrived;
}

void
watch_put_waiting(struct buf *b, const struct view_job *j, wall_t now)
{
	watch_put_clean(b, j->waiting);
	if (wall_before(now, j->waiting_until)) {
		buf_puts(b, "; next try ");
		put_until(b, j->waiting_until, now);
	}
}

static void
put_job_note(struct buf *b, const struct view *v, const struct view_job *j, wall_t now)
{
	if (strcmp(j->state, "waiting") == 0)
		watch_put_waiting(b, j, now);
	else if (strcmp(j->state, "running") == 0)
		watch_put_clean(b, j->stage);
	else {
		watch_put_clean(b, j->result);
		buf_puts(b, ", to be told to GitLab");
	}
	if (!v->alive && strcmp(j->state, "running") == 0 && j->executor == 0)
		buf_puts(b, " (nobody is at it)");
}

static void
put_job_row(struct watch_table *t, const struct view *v, const struct view_job *j, wall_t now)
{
	watch_cell_text(t, j->id);
	watch_cell_text(t, j->project);
	watch_cell_text(t, j->name);
	watch_cell_text(t, pool_name(v, j->pool));
	watch_cell_text(t, j->state);
	watch_put_age(&t->cell, job_since(j), now);
	watch_cell(t);
	watch_cell_text(t, j->machine);
	put_job_note(&t->cell, v, j, now);
	watch_cell(t);
}

/* What tells most comes first; a note is what the end of a line can spare least, so all before it is short. */
static void
put_narrow_job(struct watch_table *t, const struct view *v, const struct view_job *j, wall_t now)
{
	static const char known[] = "Waiting for a machine: ";
	struct buf note = { .max = 65536 };

	watch_cell_text(t, j->id);
	watch_cell_text(t, j->state);
	watch_put_age(&t->cell, job_since(j), now);
	watch_cell(t);
	watch_put_short(&t->cell, v, j->machine);
	watch_cell(t);
	watch_put_clean(&t->cell, j->name[0] != '\0' ? j->name : "-");
	cell_narrow(t, WATCH_NARROW);
	put_job_note(&note, v, j, now);
	buf_putstr(&t->cell, str_starts(buf_str(&note), known) ? str_sub(buf_str(&note), sizeof(known) - 1, note.n) : buf_str(&note));
	watch_cell(t);
	buf_free(&note);
}

void
watch_table_jobs(struct watch_table *t, const struct view *v, enum watch_width width, wall_t now)
{
	static const char *const wide[] = { "JOB", "PROJECT", "NAME", "RUNNER", "STATE", "SINCE", "MACHINE", "NOTE" };
	static const char *const narrow[] = { "JOB", "STATE", "SINCE", "MACHINE", "NAME", "NOTE" };
	static const char *const order[] = { "waiting", "running", "ended" };

	heading(t, width == WATCH_WIDE ? wide : narrow, width == WATCH_WIDE ? NELEM(wide) : NELEM(narrow));
	for (size_t s = 0; s < NELEM(order); s++)
		for (size_t i = 0; i < v->njobs; i++)
			if (strcmp(v->jobs[i].state, order[s]) == 0)
				(width == WATCH_WIDE ? put_job_row : put_narrow_job)(t, v, &v->jobs[i], now);
}

/* ---- events ---- */

static const struct {
	const char	*kind;
	const char	*machine, *job, *neither;	/* whose event it is told of; NULL: the kind's own word */
} phrases[] = {
	{ "create", "is to be made", NULL, NULL }, { "phase", "has come to", NULL, NULL }, { "ready", "is ready", NULL, NULL },
	{ "create-failed", "could not be made", NULL, NULL }, { "remove", "is to be removed", NULL, NULL },
	{ "removed", "is removed", NULL, NULL }, { "remove-failed", "could not be removed, is tried again", NULL, NULL },
	{ "stuck", "is put aside", NULL, NULL }, { "machine", "", NULL, NULL },
	{ "arrived", NULL, "came from GitLab", NULL }, { "waiting", NULL, "", NULL }, { "assign", "gets", "gets", NULL },
	{ "back", "gives back", "gives back", NULL }, { "ended", "has run", "ended", NULL }, { "done", NULL, "is done", NULL },
	{ "held", NULL, NULL, "creating is held back" }, { "gitlab", NULL, NULL, "GitLab" }, { "manager", NULL, NULL, "windlass" },
};

void
watch_event_text(struct buf *b, const struct view *v, const struct event_record *ev, const char *self)
{
	bool about_machine = ev->machine[0] != '\0' && (ev->job[0] == '\0' || (self != NULL && strcmp(self, ev->machine) == 0));
	const char *phrase = NULL;
	size_t start;

	for (size_t i = 0; i < NELEM(phrases); i++)
		if (strcmp(phrases[i].kind, ev->kind) == 0)
			phrase = about_machine ? phrases[i].machine : ev->job[0] != '\0' ? phrases[i].job : phrases[i].neither;
	if (phrase == NULL)
		phrase = ev->kind;
	if (self == NULL && ev->machine[0] == '\0' && ev->job[0] == '\0' && ev->pool[0] != '\0') {
		watch_put_pool_name(b, v, ev->pool);
		buf_puts(b, ": ");
	} else if (self == NULL) {
		buf_puts(b, about_machine ? "" : ev->job[0] != '\0' ? "job " : "");
		watch_put_clean(b, about_machine ? ev->machine : ev->job);
		buf_puts(b, ev->machine[0] != '\0' || ev->job[0] != '\0' ? " " : "");
	}
	start = b->n;
	watch_put_clean(b, phrase);
	if (ev->machine[0] != '\0' && ev->job[0] != '\0') {
		buf_puts(b, phrase[0] != '\0' ? " " : "");
		if (!about_machine && strcmp(ev->kind, "ended") == 0)
			buf_puts(b, "on ");
		buf_puts(b, about_machine ? "job " : "");
		watch_put_clean(b, about_machine ? ev->job : ev->machine);
	}
	/* One word that the text does not say already. */
	if (strcmp(ev->kind, "phase") == 0 || strcmp(ev->kind, "ended") == 0 || strcmp(ev->kind, "done") == 0 || strcmp(ev->kind, "manager") == 0) {
		buf_puts(b, strcmp(ev->kind, "phase") == 0 ? " " : ": ");
		watch_put_clean(b, ev->reason);
	}
	if (ev->text[0] == '\0')
		return;
	buf_puts(b, b->n > start ? ": " : "");
	watch_put_clean(b, ev->text);
}

/* ---- JSON ---- */

/* What the snapshot has as objects. */
static const struct field pool_troubles[] = {
	FIELD(struct view_pool, INT_IF, "create_failures", create_failures),
	FIELD(struct view_pool, TIME_IF, "create_not_before", create_not_before),
	FIELD(struct view_pool, STR_IF, "create_error", create_error),
	FIELD(struct view_pool, INT_IF, "refusals", refusals),
	FIELD(struct view_pool, TIME_IF, "refused_last", refused_last),
	FIELD(struct view_pool, TIME_IF, "disabled_until", disabled_until),
	FIELD(struct view_pool, INT_IF, "gitlab_failures", gitlab_failures),
	FIELD(struct view_pool, TIME_IF, "gitlab_not_before", gitlab_not_before),
};

void
watch_json_pool(struct json_w *w, const struct view_pool *p)
{
	jw_object(w, NULL);
	view_put_pool(w, p);
	fields_write(w, pool_troubles, NELEM(pool_troubles), p);
	jw_end_object(w);
}

void
watch_json_machine(struct json_w *w, const struct view_machine *m)
{
	jw_object(w, NULL);
	view_put_machine(w, m);
	jw_end_object(w);
}

void
watch_json_job(struct json_w *w, const struct view_job *j)
{
	jw_object(w, NULL);
	view_put_job(w, j);
	jw_end_object(w);
}

void
watch_json_events(struct json_w *w, const struct event_record *ev, size_t n)
{
	jw_array(w, "events");
	for (size_t i = 0; i < n; i++)
		event_put(w, &ev[i]);
	jw_end_array(w);
}

void
watch_json(struct json_w *w, const struct view *v)
{
	jw_object(w, "manager");
	jw_bool(w, "alive", v->alive);
	jw_i64(w, "pid", v->pid);
	jw_text(w, "state", v->state);
	jw_text(w, "version", v->version);
	jw_time(w, "started", v->started, 3);
	jw_text(w, "config", v->config);
	jw_text(w, "store", v->store);
	jw_text(w, "system_id", v->system_id);
	jw_i64(w, "concurrent", v->concurrent);
	jw_time(w, "snapshot", v->at, 3);
	jw_text(w, "stale", v->stale);
	jw_end_object(w);
	jw_array(w, "pools");
	for (size_t i = 0; i < v->npools; i++)
		watch_json_pool(w, &v->pools[i]);
	jw_end_array(w);
	jw_array(w, "machines");
	for (size_t i = 0; i < v->nmachines; i++)
		watch_json_machine(w, &v->machines[i]);
	jw_end_array(w);
	jw_array(w, "jobs");
	for (size_t i = 0; i < v->njobs; i++)
		watch_json_job(w, &v->jobs[i]);
	jw_end_array(w);
}
