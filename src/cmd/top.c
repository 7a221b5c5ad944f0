/*
 * `windlass top`: the pools, machines, jobs and latest decisions, once a
 * second, on the whole terminal; q ends it. Without a terminal one frame is printed.
 *
 * A frame is put together in memory and written at once, line by line over
 * the one before, so that nothing flickers. The terminal is given back as it was, also when a signal ends us.
 */
#include <sys/ioctl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/watch.h"

#define EVENTS_LEAST	5
#define EVENTS_PLAIN	15
#define COLUMNS_PLAIN	0	/* lines of a frame that goes into a file are not cut */
#define COLUMNS_NARROW	132	/* below, whole names would leave no room for what is the matter */
#define KEYS		"q ends, space looks now. IDLE have/want, BUSY jobs/limit, ASKING out/allowed"

static const struct opt opts[] = {
	OPT_STATE_DIR,
	OPT_STORAGE,
	{ .name = "interval", .letter = 'd', .type = OPT_STRING, .arg = "DURATION", .help = "between two looks (default 1s)" },
	OPT_JSON,
};
const struct usage cmd_top_usage = USAGE("",
    "Shows runners, machines, jobs and the latest decisions with their reasons, live, on the whole terminal. q ends it,\n"
    "the space bar looks at once. Where standard output is no terminal, one frame is printed. Times are UTC.\n\n"
    "IDLE is how many machines are idle and how many are wanted idle, BUSY how many run a job and the limit, ASKING how\n"
    "many requests for jobs are under way and how many may be. Exit status 1 when there is no state directory to read.", opts);

static volatile struct { sig_atomic_t ended, resized; } told;

static void
on_signal(int sig)
{
	if (sig == SIGWINCH)
		told.resized = 1;
	else
		told.ended = sig;
}

struct screen {
	size_t	rows, columns;	/* 0: no terminal */
};

static struct screen
screen_size(void)
{
	struct winsize ws;
	struct screen s = { 24, 80 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 && ws.ws_col > 0)
		s = (struct screen){ ws.ws_row, ws.ws_col };
	return s;
}

/* ---- one frame ---- */

static void
put_heading(struct buf *b, const struct view *v, const char *dir, wall_t now)
{
	struct buf dead = { 0 };

	if (v->alive && v->snapshot && v->stale == NULL) {
		buf_fmt(b, "windlass %s, %s, pid %" PRId64 ", up ", v->version, v->state, v->pid);
		watch_put_age(b, v->started, now);
		buf_fmt(b, ", concurrent %" PRId64 "   ", v->concurrent);
		watch_put_time(b, now);
		buf_putc(b, '\n');
		return;
	}
	watch_put_dead(&dead, v, dir, now);
	buf_putstr(b, buf_str(&dead));
	buf_free(&dead);
}

static size_t
rows_of(const struct watch_table *t)
{
	return t->n / t->ncolumns;
}

/* How the rows below the pools are shared: jobs and machines get what they need as long as there is room, events the rest. */
static void
share(size_t room, size_t jobs, size_t machines, size_t *for_jobs, size_t *for_machines)
{
	size_t tables = room > EVENTS_LEAST + 1 ? room - EVENTS_LEAST - 1 : room;

	*for_jobs = jobs;
	*for_machines = machines;
	if (jobs + machines <= tables)
		return;
	*for_jobs = jobs <= tables / 2 ? jobs : machines <= tables / 2 ? tables - machines : tables / 2;
	*for_machines = tables - *for_jobs;
}

static void
put_events(struct buf *b, struct view *v, const char *dir, size_t most, size_t columns)
{
	struct event_record *ev;
	struct buf line = { 0 }, name = { 0 };
	size_t n = events_read(&v->arena, dir, NULL, NULL, most, &ev);

	/* The newest first: it stays where the eye is. */
	for (size_t i = n; i-- > 0; ) {
		struct event_record one = ev[i];

		buf_clear(&line);
		buf_clear(&name);
		watch_put_time(&line, one.at);
		buf_puts(&line, "  ");
		if (columns != 0 && columns < COLUMNS_NARROW && one.machine[0] != '\0') {
			watch_put_short(&name, v, one.machine);
			one.machine = name.p;
		}
		watch_event_text(&line, v, &one, NULL);
		/* The date is today's, mostly. */
		watch_put_fit(b, str_sub(buf_str(&line), 11, line.n), columns != 0 ? columns : SIZE_MAX);
		buf_putc(b, '\n');
	}
	buf_free(&line);
	buf_free(&name);
}

static void
put_frame(struct buf *b, struct view *v, const char *dir, struct screen s, wall_t now)
{
	struct watch_table pools = { .n = 0 }, machines = { .n = 0 }, jobs = { .n = 0 };
	enum watch_width width = s.columns != 0 && s.columns < COLUMNS_NARROW ? WATCH_NARROW : WATCH_WIDE;
	size_t for_jobs = 0, for_machines = 0, used, room = 0;

	put_heading(b, v, dir, now);
	now = watch_as_of(v, now);
	watch_table_pools(&pools, v, width, now);
	watch_table_machines(&machines, v, width, now);
	watch_table_jobs(&jobs, v, width, now);
	buf_putc(b, '\n');
	/* Heading, keys, blank lines, and at most a third of the screen for the runners. */
	used = 3 + (rows_of(&pools) > s.rows / 3 ? s.rows / 3 : rows_of(&pools)) + 3;
	if (s.rows != 0) {
		room = s.rows > used + 4 ? s.rows - used : 4;
		share(room, rows_of(&jobs), rows_of(&machines), &for_jobs, &for_machines);
	}
	watch_table_put(&pools, b, s.columns, s.rows / 3);
	buf_putc(b, '\n');
	watch_table_put(&jobs, b, s.columns, for_jobs);
	buf_putc(b, '\n');
	watch_table_put(&machines, b, s.columns, for_machines);
	buf_putc(b, '\n');
	put_events(b, v, dir, s.rows == 0 ? EVENTS_PLAIN : room > for_jobs + for_machines ? room - for_jobs - for_machines : 1, s.columns);
	if (s.rows != 0) {
		watch_put_fit(b, STR(KEYS), s.columns);
		buf_putc(b, '\n');
	}
	watch_table_free(&pools);
	watch_table_free(&machines);
	watch_table_free(&jobs);
}

/* ---- the terminal ---- */

/* The frame's lines over those that are there, each cleared to its end; what is below goes. */
static void
show(const struct buf *frame, struct screen s)
{
	struct buf out = { .max = 4u << 20 };
	struct str rest = buf_str(frame);
	size_t row = 0;

	buf_puts(&out, "\x1b[H");
	while (rest.n > 0 && row < s.rows) {
		struct str line = str_cut(&rest, '\n');

		buf_puts(&out, row == 0 ? "\x1b[1m" : "");
		/* Only the heading may be longer than the table code has cut it. */
		buf_putstr(&out, line.n > s.columns && row == 0 ? str_sub(line, 0, s.columns) : line);
		buf_puts(&out, row == 0 ? "\x1b[0m" : "");
		buf_puts(&out, ++row < s.rows ? "\x1b[K\r\n" : "\x1b[K");
	}
	buf_puts(&out, "\x1b[J");
	(void)!write(STDOUT_FILENO, out.p, out.n);
	buf_free(&out);
}

static int
look(struct buf *frame, const struct opt *o, struct screen s)
{
	struct view v;
	char *dir;

	if (watch_load(&v, "top", o[0].value, o[1].value, &dir) < 0)
		return -1;
	put_frame(frame, &v, dir, s, wall_now());
	view_free(&v);
	free(dir);
	return 0;
}

/* True when it was q that was pressed. */
static bool
wait_for_key(dur_t ns, bool *at_once)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };
	char keys[64];
	ssize_t n;

	if (poll(&p, 1, (int)(ns / NSEC_MSEC)) <= 0)
		return false;
	n = read(STDIN_FILENO, keys, sizeof(keys));
	if (n <= 0)
		return true;
	for (ssize_t i = 0; i < n; i++) {
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 4)
			return true;
		*at_once |= keys[i] == ' ';
		/* An arrow key and its like is several bytes, none of them meant: ESC [ ... up to a letter or ~. */
		if (keys[i] == 0x1b && i + 1 < n && (keys[i + 1] == '[' || keys[i + 1] == 'O'))
			for (i += 2; i < n && (keys[i] < 0x40 || keys[i] > 0x7e); )
				i++;
	}
	return false;
}

static int
live(const struct opt *o, dur_t interval)
{
	struct sigaction sa = { .sa_handler = on_signal }, pipes = { .sa_handler = SIG_IGN };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	static const char begin[] = "\x1b[?1049h\x1b[?25l\x1b[2J", end[] = "\x1b[?25h\x1b[?1049l";
	struct termios before, raw;
	struct buf frame = { .max = 16u << 20 };
	int rc = 0;

	/* The first look says on an ordinary screen what is wrong. */
	if (look(&frame, o, screen_size()) < 0)
		return 1;
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return 1;
	for (size_t i = 0; i < NELEM(signals); i++)
		sigaction(signals[i], &sa, NULL);
	sigaction(SIGPIPE, &pipes, NULL);
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	(void)!write(STDOUT_FILENO, begin, sizeof(begin) - 1);
	while (!told.ended) {
		bool at_once = false;

		show(&frame, screen_size());
		if (wait_for_key(interval, &at_once) || told.ended)
			break;
		if (told.resized) {
			told.resized = 0;
			(void)!write(STDOUT_FILENO, "\x1b[2J", 4);
		}
		buf_clear(&frame);
		if (look(&frame, o, screen_size()) < 0) {
			rc = 1;
			break;
		}
	}
	(void)!write(STDOUT_FILENO, end, sizeof(end) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	buf_free(&frame);
	return rc;
}

/* One frame, for a file or a pipe. */
static int
once(const struct opt *o)
{
	struct buf frame = { .max = 256u << 20 };
	int rc = look(&frame, o, (struct screen){ 0, COLUMNS_PLAIN }) < 0;

	fwrite(frame.p, 1, frame.n, stdout);
	buf_free(&frame);
	return fflush(stdout) == 0 ? rc : 1;
}

static int
as_json(const struct opt *o)
{
	struct buf out = { .max = 256u << 20 };
	struct json_w w = { .b = &out, .indent = 2 };
	struct event_record *ev;
	struct view v;
	size_t n;
	char *dir;

	if (watch_load(&v, "top", o[0].value, o[1].value, &dir) < 0)
		return 1;
	n = events_read(&v.arena, dir, NULL, NULL, EVENTS_PLAIN, &ev);
	jw_object(&w, NULL);
	watch_json(&w, &v);
	watch_json_events(&w, ev, n);
	jw_end_object(&w);
	buf_putc(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	view_free(&v);
	free(dir);
	return fflush(stdout) == 0 ? 0 : 1;
}

int
cmd_top(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	dur_t interval = NSEC_SEC;
	int rc;

	if (cmd_options(&cmd_top_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	if (o[2].value != NULL && str_to_duration(str_from(o[2].value), &interval) < 0) {
		int64_t n;

		interval = str_to_i64(str_from(o[2].value), &n) == 0 && n > 0 && n <= 3600 ? n * NSEC_SEC : 0;
	}
	if (interval < 100 * NSEC_MSEC || interval > 3600 * NSEC_SEC) {
		fprintf(stderr, "FATAL: top: --interval %s: it is a time from 100ms to 1h, such as 2s\n", o[2].value);
		return 1;
	}
	if (o[3].number)
		rc = as_json(o);
	else
		rc = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) ? live(o, interval) : once(o);
	opt_free(o, NELEM(o));
	return rc;
}
