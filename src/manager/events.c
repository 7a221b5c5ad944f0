/* The manager's memory of what it did and why: see events.h. */
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "manager/events.h"
#include "manager/metrics.h"

#define TEXT_MAX	600
/* A disk that refuses is asked again after that, not every round. */
#define WRITE_AGAIN	(10 * NSEC_SEC)

struct events {
	struct str	 line[EVENTS_RING];	/* malloc'd; slot i % EVENTS_RING of the i-th event */
	uint64_t	 n;			/* events so far */
	uint64_t	 written;		/* how many of them are in the file, or fell out of the ring */
	uint64_t	 lost;			/* fell out unwritten */
	int		 fd;
	uint64_t	 size;
	mono_t		 again;
};

/* Opens the file for appending; the line that a predecessor died in is ended first, so that it spoils no other. */
static void
open_file(struct manager *m)
{
	struct events *ev = m->events;
	struct stat st;
	char last = '\n';

	ev->fd = openat(m->state_fd, EVENTS_FILE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ev->fd < 0 || fstat(ev->fd, &st) < 0) {
		log_warn("Events cannot be recorded: `windlass why` will know less", F_STR("file", EVENTS_FILE), F_STR("error", strerror(errno)));
		ev->again = mono_after(WRITE_AGAIN);
		return;
	}
	ev->size = (uint64_t)st.st_size;
	if (st.st_size > 0 && pread(ev->fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
		ev->size += write(ev->fd, "\n", 1) == 1;
}

void
events_open(struct manager *m)
{
	m->events = xcalloc(1, sizeof(*m->events));
	m->events->again = MONO_AT_ONCE;
	open_file(m);
}

void
events_close(struct manager *m)
{
	struct events *ev = m->events;

	events_flush(m);
	if (ev->fd >= 0)
		close(ev->fd);
	for (size_t i = 0; i < EVENTS_RING; i++)
		free((void *)(uintptr_t)ev->line[i].p);
	free(ev);
	m->events = NULL;
}

void
event_note(struct manager *m, enum event_kind kind, const struct event_of *about,
    const char *reason, const char *fmt, ...)
{
	struct event_of of = about != NULL ? *about : (struct event_of){ NULL, NULL, NULL };
	struct events *ev = m->events;
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct event_record r;
	char text[TEXT_MAX];
	struct str *slot;

	/* Unit tests run parts of the manager without a state directory. */
	if (ev == NULL)
		return;
	if (of.pool == NULL && of.machine != NULL)
		of.pool = of.machine->pool;
	if (of.pool == NULL && of.job != NULL)
		of.pool = of.job->pool;
	metrics_event(m, kind, of.pool, of.machine, of.job, reason);
	TEXT_OF(text, fmt);
	r = (struct event_record){
		.at = wall_now(), .kind = event_kind_name(kind), .pool = of.pool != NULL ? of.pool->key : "",
		.machine = of.machine != NULL ? of.machine->name : "", .job = of.job != NULL ? of.job->id : "",
		.reason = reason, .text = text,
	};
	event_put(&w, &r);
	buf_putc(&b, '\n');
	if (ev->n - ev->written == EVENTS_RING)
		events_flush(m);
	if (ev->n - ev->written == EVENTS_RING) {
		ev->written++;
		ev->lost++;
		metric_add0(m, M_EVENTS_LOST, 1);
	}
	slot = &ev->line[ev->n++ % EVENTS_RING];
	free((void *)(uintptr_t)slot->p);
	/* A copy, since it stays: as long as it is, not as large as the buffer grew. */
	*slot = (struct str){ str_dup(buf_str(&b)), b.n };
	buf_free(&b);
}

static void
turn_over(struct manager *m)
{
	struct events *ev = m->events;

	if (renameat(m->state_fd, EVENTS_FILE, m->state_fd, EVENTS_FILE_OLD) < 0)
		log_warn("Events file could not be turned over", F_STR("file", EVENTS_FILE), F_STR("error", strerror(errno)));
	close(ev->fd);
	open_file(m);
}

void
events_flush(struct manager *m)
{
	struct events *ev = m->events;
	struct buf b = { 0 };
	ssize_t n;

	if (ev == NULL || ev->written == ev->n || !mono_passed(ev->again))
		return;
	ev->again = MONO_AT_ONCE;
	if (ev->fd < 0)
		open_file(m);
	if (ev->fd < 0)
		return;
	if (ev->lost > 0) {
		log_warn("Events could not be recorded in time", F_INT("lost", ev->lost));
		ev->lost = 0;
	}
	for (uint64_t i = ev->written; i < ev->n; i++)
		buf_putstr(&b, ev->line[i % EVENTS_RING]);
	n = write(ev->fd, b.p, b.n);
	if (n != (ssize_t)b.n) {
		/* A piece of it would be a broken line in the middle: nothing of it, and once more later. */
		if (n > 0 && ftruncate(ev->fd, (off_t)ev->size) < 0)
			ev->size += (uint64_t)n;
		ev->again = mono_after(WRITE_AGAIN);
	} else {
		ev->size += b.n;
		ev->written = ev->n;
		if (ev->size >= EVENTS_FILE_MAX)
			turn_over(m);
	}
	buf_free(&b);
}

void
events_each(const struct manager *m, size_t most, void (*each)(void *ctx, struct str line), void *ctx)
{
	const struct events *ev = m->events;
	uint64_t have = ev->n < EVENTS_RING ? ev->n : EVENTS_RING;

	if (have > most)
		have = most;
	for (uint64_t i = ev->n - have; i < ev->n; i++)
		each(ctx, ev->line[i % EVENTS_RING]);
}
