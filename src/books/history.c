/* The record of finished jobs and machines. See history.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/history.h"
#include "core/fs.h"
#include "wire/fields.h"

#define TEXT_MAX	200	/* bytes of one text of a line */

static const char *const kinds[] = {
	[HISTORY_JOB] = "job", [HISTORY_READY] = "ready", [HISTORY_FAILED] = "failed", [HISTORY_GONE] = "gone",
};

static const struct field fields[] = {
	FIELD(struct history_record, TEXT, "name", name),
	FIELD(struct history_record, TEXT, "runner", runner),
	FIELD(struct history_record, TEXT, "driver", driver),
	FIELD(struct history_record, TIME, "queued", queued),
	FIELD(struct history_record, TIME, "arrived", arrived),
	FIELD(struct history_record, TIME, "started", started),
	FIELD(struct history_record, TIME, "made", made),
	FIELD(struct history_record, TIME, "at", at),
	FIELD(struct history_record, TEXT, "machine", machine),
	FIELD(struct history_record, INT, "uses", uses),
	FIELD(struct history_record, TEXT, "result", result),
	FIELD(struct history_record, TEXT, "reason", reason),
};

void
history_print(const struct history_record *r, struct buf *b)
{
	struct json_w w = { .b = b };
	struct history_record cut = *r;

	for (size_t i = 0; i < NELEM(fields); i++)
		if (fields[i].type == FIELD_TEXT) {
			struct str *s = (struct str *)(void *)((char *)&cut + fields[i].offset);

			*s = str_sub(*s, 0, TEXT_MAX);
		}
	jw_object(&w, NULL);
	jw_cstr(&w, "what", kinds[r->what]);
	fields_write_set(&w, fields, NELEM(fields), &cut);
	jw_end_object(&w);
	buf_putc(b, '\n');
}

int
history_parse(struct arena *a, struct str line, struct history_record *r)
{
	struct json_val v;
	struct str what;
	size_t kind = 0;

	if (line.n > HISTORY_LINE || json_parse(a, line, &v, NULL) < 0 || json_type(v) != JSON_OBJECT)
		return -1;
	what = json_str(a, json_get(v, "what"));
	while (kind < NELEM(kinds) && !str_eqc(what, kinds[kind]))
		kind++;
	*r = (struct history_record){ .what = (enum history_what)kind };
	fields_read(a, v, fields, NELEM(fields), r);
	return kind < NELEM(kinds) && r->name.n > 0 && r->at.ns > 0 ? 0 : -1;
}

/* Opens for appending; *size is what is there, *torn whether its last line has no end. */
static int
open_file(int dirfd, off_t *size, bool *torn, struct err *e)
{
	/* Not blocking, and regular: somebody may have put a pipe in its place. */
	int fd = openat(dirfd, HISTORY_FILE, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;
	char last = '\n';

	if (fd < 0)
		return err_sys(e, "open %s", HISTORY_FILE);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, ERR_CONFLICT, 0, "%s is not a regular file: move it away", HISTORY_FILE);
	}
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	*size = st.st_size;
	*torn = last != '\n';
	return fd;
}

int
history_append(int dirfd, const struct history_record *r, size_t max, struct err *e)
{
	struct buf line = { .max = HISTORY_LINE };
	bool torn;
	off_t size;
	ssize_t n;
	int fd = open_file(dirfd, &size, &torn, e), rc = -1;

	if (fd < 0)
		return -1;
	/* So that a torn line is one lost line, and not two. */
	if (torn)
		buf_putc(&line, '\n');
	history_print(r, &line);
	if (line.failed) {
		err_set(e, ERR_FULL, 0, "line above %d bytes", HISTORY_LINE);
		goto out;
	}
	if (size > 0 && (uint64_t)size + line.n > max) {
		close(fd);
		fd = -1;
		if (renameat(dirfd, HISTORY_FILE, dirfd, HISTORY_OLD) < 0) {
			err_sys(e, "rename %s", HISTORY_FILE);
			goto out;
		}
		fd = open_file(dirfd, &size, &torn, e);
		if (fd < 0)
			goto out;
	}
	n = write(fd, line.p, line.n);
	if (n < 0)
		err_sys(e, "write %s", HISTORY_FILE);
	else if ((size_t)n < line.n)
		err_set(e, ERR_FULL, 0, "%s: no space left for a whole line", HISTORY_FILE);
	else
		rc = 0;
out:
	buf_free(&line);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Reading. */

static struct str
keep(struct history_log *l, struct str s)
{
	return s.n > 0 ? arena_str(&l->arena, s) : STR("");
}

void
history_add(struct history_log *l, struct str text)
{
	struct arena scratch = { 0 };
	size_t cap = l->n;

	while (text.p != NULL) {
		struct str line = str_trim(str_cut(&text, '\n'));
		struct history_record r;

		if (line.n == 0)
			continue;
		if (history_parse(&scratch, line, &r) < 0) {
			l->skipped++;
			arena_reset(&scratch);
			continue;
		}
		r.name = keep(l, r.name);
		r.runner = keep(l, r.runner);
		r.driver = keep(l, r.driver);
		r.machine = keep(l, r.machine);
		r.result = keep(l, r.result);
		r.reason = keep(l, r.reason);
		if (l->n == cap) {
			cap = cap < 64 ? 64 : cap * 2;
			l->v = xrealloc(l->v, cap * sizeof(*l->v));
		}
		l->v[l->n++] = r;
		arena_reset(&scratch);
	}
}

/* The same event: the same job of one arrival, the same turn of a machine. */
static int
by_event(const void *a, const void *b)
{
	const struct history_record *x = *(struct history_record *const *)a, *y = *(struct history_record *const *)b;
	int c = str_cmp(x->name, y->name);

	if (c == 0)
		c = (x->what > y->what) - (x->what < y->what);
	if (c == 0)
		c = str_cmp(x->runner, y->runner);
	if (c == 0)
		c = wall_before(y->arrived, x->arrived) - wall_before(x->arrived, y->arrived);
	return c;
}

/* Equal ones in the order of the file, so that the first stays. */
static int
by_event_and_place(const void *a, const void *b)
{
	int c = by_event(a, b);
	const struct history_record *x = *(struct history_record *const *)a, *y = *(struct history_record *const *)b;

	return c != 0 ? c : (x > y) - (x < y);
}

void
history_settle(struct history_log *l)
{
	struct history_record **p = xcalloc(l->n + 1, sizeof(*p));
	size_t keepn = 0;

	for (size_t i = 0; i < l->n; i++)
		p[i] = &l->v[i];
	qsort(p, l->n, sizeof(*p), by_event_and_place);
	for (size_t i = 0, first = 0; i < l->n; i++) {
		if (i > 0 && by_event(&p[first], &p[i]) == 0)
			p[i]->at = WALL_UNKNOWN;
		else
			first = i;
	}
	for (size_t i = 0; i < l->n; i++)
		if (wall_known(l->v[i].at))
			l->v[keepn++] = l->v[i];
	l->n = keepn;
	free(p);
}

int
history_load(int dirfd, struct history_log *l, struct err *e)
{
	static const char *const files[] = { HISTORY_OLD, HISTORY_FILE };
	int found = 0;

	*l = (struct history_log){ 0 };
	for (size_t i = 0; i < NELEM(files); i++) {
		struct buf b = { .max = 2 * HISTORY_MAX };
		struct err why = { 0 };

		if (fs_read(dirfd, files[i], b.max, &b, &why) == 0) {
			history_add(l, buf_str(&b));
			found++;
		} else if (why.kind != ERR_NOTFOUND) {
			if (e != NULL)
				*e = why;
			history_free(l);
			buf_free(&b);
			return -1;
		}
		buf_free(&b);
	}
	if (found == 0)
		return err_set(e, ERR_NOTFOUND, 0, "there is no %s", HISTORY_FILE);
	history_settle(l);
	return 0;
}

void
history_free(struct history_log *l)
{
	free(l->v);
	arena_reset(&l->arena);
	*l = (struct history_log){ 0 };
}
