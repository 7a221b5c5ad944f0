/* The lines of the event file, written and read: see events.h. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/events.h"
#include "core/fs.h"
#include "wire/fields.h"

#define LINE_GUESS	1024	/* most events are shorter */

static const char *const kinds[EVENT_NKINDS] = {
	[EVENT_CREATE] = "create", [EVENT_PHASE] = "phase", [EVENT_READY] = "ready", [EVENT_CREATE_FAILED] = "create-failed",
	[EVENT_REMOVE] = "remove", [EVENT_REMOVED] = "removed", [EVENT_REMOVE_FAILED] = "remove-failed", [EVENT_STUCK] = "stuck",
	[EVENT_MACHINE] = "machine", [EVENT_ARRIVED] = "arrived", [EVENT_WAITING] = "waiting", [EVENT_ASSIGN] = "assign",
	[EVENT_BACK] = "back", [EVENT_ENDED] = "ended", [EVENT_DONE] = "done", [EVENT_HELD] = "held",
	[EVENT_GITLAB] = "gitlab", [EVENT_MANAGER] = "manager",
};

const char *
event_kind_name(enum event_kind kind)
{
	return kinds[kind];
}

static const struct field fields[] = {
	FIELD(struct event_record, TIME_IF, "at", at),
	FIELD(struct event_record, STR, "kind", kind),
	FIELD(struct event_record, STR_IF, "pool", pool),
	FIELD(struct event_record, STR_IF, "machine", machine),
	FIELD(struct event_record, STR_IF, "job", job),
	FIELD(struct event_record, STR_IF, "reason", reason),
	FIELD(struct event_record, STR_IF, "text", text),
};

void
event_put(struct json_w *w, const struct event_record *r)
{
	jw_object(w, NULL);
	fields_write(w, fields, NELEM(fields), r);
	jw_end_object(w);
}

int
event_parse(struct arena *a, struct str line, struct event_record *r)
{
	struct json_val v;

	*r = (struct event_record){ 0 };
	fields_empty(fields, NELEM(fields), r);
	if (line.n == 0 || json_parse(a, line, &v, NULL) < 0)
		return -1;
	fields_read(a, v, fields, NELEM(fields), r);
	return r->kind[0] != '\0' ? 0 : -1;
}

/* ---- reading ---- */

struct reading {
	struct arena	*a;
	bool		(*want)(void *ctx, const struct event_record *r);
	void		*ctx;
	struct event_record *ring;
	size_t		 most, n;
};

static void
take_line(struct reading *r, struct str line)
{
	struct arena scratch = { 0 };
	struct event_record ev, *kept;

	if (event_parse(&scratch, line, &ev) == 0 && (r->want == NULL || r->want(r->ctx, &ev))) {
		kept = &r->ring[r->n++ % r->most];
		*kept = ev;
		/* Of those that fall out of the ring the texts stay in the arena: bounded by the files. */
		for (size_t i = 0; i < NELEM(fields); i++)
			if (fields[i].type != FIELD_TIME_IF) {
				const char **text = (const char **)(void *)((char *)kept + fields[i].offset);

				*text = arena_dup(r->a, str_from(*text));
			}
	}
	arena_reset(&scratch);
}

static void
take_file(struct reading *r, int dir, const char *name, off_t tail)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct buf b = { .max = 2 * EVENTS_FILE_MAX };
	struct str rest;
	struct stat st;
	off_t from;
	ssize_t n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		from = st.st_size > tail ? st.st_size - tail : 0;
		while (buf_room(&b, 65536) != NULL && (n = pread(fd, b.p + b.n, 65536, from + (off_t)b.n)) > 0)
			buf_grown(&b, (size_t)n);
		rest = buf_str(&b);
		if (from > 0)
			str_cut(&rest, '\n');
		while (rest.p != NULL)
			take_line(r, str_cut(&rest, '\n'));
	}
	buf_free(&b);
	close(fd);
}

size_t
events_read(struct arena *a, const char *state_dir, bool (*want)(void *ctx, const struct event_record *r), void *ctx,
    size_t most, struct event_record **events)
{
	struct reading r = { .a = a, .want = want, .ctx = ctx, .most = most };
	size_t n;
	int dir = fs_opendir(AT_FDCWD, state_dir, NULL);

	*events = NULL;
	if (dir < 0)
		return 0;
	r.ring = arena_calloc(a, most, sizeof(*r.ring));
	/* Without a choice to make, the last lines are enough, and whoever looks every second is spared the rest. */
	if (want == NULL)
		take_file(&r, dir, EVENTS_FILE, (off_t)most * LINE_GUESS);
	if (want != NULL || r.n < most) {
		r.n = 0;
		take_file(&r, dir, EVENTS_FILE_OLD, 2 * (off_t)EVENTS_FILE_MAX);
		take_file(&r, dir, EVENTS_FILE, 2 * (off_t)EVENTS_FILE_MAX);
	}
	close(dir);
	n = r.n < most ? r.n : most;
	*events = arena_calloc(a, n, sizeof(**events));
	for (size_t i = 0; i < n; i++)
		(*events)[i] = r.ring[(r.n - n + i) % most];
	return n;
}
