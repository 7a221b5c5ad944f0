/* A job's output on its way to disk: see output.h. */
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "job/output.h"
#include "job/trace.h"

void
output_mask(const struct output *o, struct str text, struct buf *out)
{
	struct mask_stream m;

	if (o->set == NULL) {
		buf_putstr(out, text);
		return;
	}
	mask_init(&m, o->set);
	mask_feed(&m, text, out);
	/* A text as long as an error can be was perhaps cut within a secret: the part that may begin one goes too. */
	if (text.n + 1 < sizeof(((struct err *)0)->msg))
		mask_close(&m, out);
	else if (mask_held(&m) > 0)
		buf_puts(out, "...");
	mask_free(&m);
}

static void
mask_log(const void *ctx, struct str text, struct buf *out)
{
	output_mask(ctx, text, out);
}

/* From here on this process's own log shows no secret of the job either. */
static void
make_set(struct output *o, const struct work *w)
{
	struct str *phrases, *prefixes;
	size_t nphrases, nprefixes;

	work_mask_phrases(w, &phrases, &nphrases, &prefixes, &nprefixes);
	o->set = mask_set_new(phrases, nphrases, prefixes, nprefixes);
	log_filter(mask_log, o);
}

static uint64_t
limit_of(const struct work *w)
{
	int64_t kib = w->p->runner.output_limit;

	return kib > 0 && kib < INT64_C(1) << 40 ? (uint64_t)kib * 1024 : 0;
}

static int
open_trace(struct output *o, int dir, struct stat *st, struct err *e)
{
	o->fd = trace_open(dir, O_RDWR, e);
	if (o->fd < 0)
		return -1;
	if (fstat(o->fd, st) < 0)
		return err_sys(e, "stat trace");
	return 0;
}

int
output_begin(struct output *o, int dir, const struct work *w, struct err *e)
{
	struct stat st;

	*o = (struct output){ .fd = -1, .sections = w->p->trace_sections, .pending = { .max = 256u << 20 } };
	if (open_trace(o, dir, &st, e) < 0)
		return -1;
	o->length = st.st_size;
	make_set(o, w);
	tl_sink_init(&o->sink, &o->pending, limit_of(w), w->p->timestamps);
	o->sink.written = (uint64_t)st.st_size;
	tl_init(&o->out, o->set, TL_ID_SCRIPT, 'O', TL_JOB);
	tl_init(&o->err, o->set, TL_ID_SCRIPT, 'E', TL_JOB);
	tl_init(&o->own, o->set, TL_ID_RUNNER, 'O', TL_RUNNER);
	return 0;
}

/* Blank lines; that something was here is said behind them. */
static int
fill(int fd, int64_t from, int64_t to, struct err *e)
{
	char lines[4096];

	memset(lines, '\n', sizeof(lines));
	while (from < to) {
		ssize_t n = pwrite(fd, lines, to - from < (int64_t)sizeof(lines) ? (size_t)(to - from) : sizeof(lines), from);

		if (n < 0)
			return err_sys(e, "mend trace");
		from += n;
	}
	return 0;
}

int
output_resume(struct output *o, int dir, const struct work *w, int64_t length, struct json_val saved, struct err *e)
{
	struct stat st;
	int rc = 0;

	*o = (struct output){ .fd = -1, .sections = w->p->trace_sections, .pending = { .max = 256u << 20 } };
	if (open_trace(o, dir, &st, e) < 0)
		return -1;
	/*
	 * What GitLab has stands at its place: the hole of a trace that was cut is filled, so that what follows does not begin where
	 * GitLab has other bytes.
	 */
	o->length = length;
	if (st.st_size < length && fill(o->fd, st.st_size, length, e) < 0)
		return -1;
	if (ftruncate(o->fd, o->length) < 0)
		return err_sys(e, "cut trace");
	make_set(o, w);
	rc |= tl_sink_restore(&o->sink, &o->pending, limit_of(w), w->p->timestamps, json_str(w->a, json_get(saved, "sink")));
	rc |= tl_restore(&o->out, o->set, TL_ID_SCRIPT, 'O', TL_JOB, json_str(w->a, json_get(saved, "out")));
	rc |= tl_restore(&o->err, o->set, TL_ID_SCRIPT, 'E', TL_JOB, json_str(w->a, json_get(saved, "err")));
	rc |= tl_restore(&o->own, o->set, TL_ID_RUNNER, 'O', TL_RUNNER, json_str(w->a, json_get(saved, "own")));
	if (rc != 0 || st.st_size < length) {
		struct buf b = { .max = 1024 };

		tl_warning(&b, "a part of the log was lost with the bastion's disk cache");
		output_lines(o, buf_str(&b));
		buf_free(&b);
	}
	return 0;
}

static void
save_one(struct json_w *w, const char *key, void (*save)(const void *what, struct buf *b), const void *what)
{
	struct buf b = { .max = 64u << 20 };

	save(what, &b);
	jw_str(w, key, buf_str(&b));
	buf_wipe(&b);
}

static void
save_stream(const void *what, struct buf *b)
{
	tl_save(what, b);
}

static void
save_sink(const void *what, struct buf *b)
{
	tl_sink_save(what, b);
}

void
output_save(const struct output *o, struct json_w *w)
{
	save_one(w, "sink", save_sink, &o->sink);
	save_one(w, "out", save_stream, &o->out);
	save_one(w, "err", save_stream, &o->err);
	save_one(w, "own", save_stream, &o->own);
}

int
output_write(struct output *o, struct err *e)
{
	size_t done = 0;

	if (o->pending.n == 0)
		return 0;
	while (done < o->pending.n) {
		ssize_t n = pwrite(o->fd, o->pending.p + done, o->pending.n - done, o->length + (int64_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write trace");
		done += (size_t)n;
	}
	if (fdatasync(o->fd) < 0 && errno != EINVAL)
		return err_sys(e, "fdatasync trace");
	o->length += (int64_t)done;
	/* A burst's memory is given back: most of a job's life is quiet. */
	if (o->pending.cap > 16u << 10)
		buf_free(&o->pending);
	else
		buf_clear(&o->pending);
	return 0;
}

void
output_feed(struct output *o, bool is_stderr, struct str bytes, wall_t at, bool last)
{
	struct tl_stream *s = is_stderr ? &o->err : &o->out;

	tl_feed(s, &o->sink, bytes, at);
	if (last)
		tl_entry_end(s, &o->sink);
}

void
output_pause(struct output *o)
{
	tl_pause(&o->out, &o->sink);
	tl_pause(&o->err, &o->sink);
}

void
output_stage_end(struct output *o)
{
	tl_close(&o->out, &o->sink);
	tl_close(&o->err, &o->sink);
}

void
output_lines(struct output *o, struct str text)
{
	wall_t now = wall_now();

	while (text.n > 0) {
		ssize_t nl = str_chr(text, '\n');
		size_t n = nl < 0 ? text.n : (size_t)nl + 1;

		tl_entry(&o->own, &o->sink, str_sub(text, 0, n), now);
		text = str_sub(text, n, text.n);
	}
}

void
output_final(struct output *o, struct str text)
{
	o->own.class = TL_FINAL;
	output_lines(o, text);
	tl_close(&o->own, &o->sink);
}

void
output_section_start(struct output *o, const char *stage)
{
	struct buf b = { .max = 1024 };

	if (!o->sections)
		return;
	tl_section_start(&b, wall_seconds(wall_now()), stage);
	output_lines(o, buf_str(&b));
	buf_free(&b);
}

void
output_section_end(struct output *o, const char *stage)
{
	struct buf b = { .max = 1024 };

	if (!o->sections)
		return;
	tl_section_end(&b, wall_seconds(wall_now()), stage);
	output_lines(o, buf_str(&b));
	buf_free(&b);
}

void
output_say(struct output *o, void (*style)(struct buf *b, const char *fmt, ...), const char *fmt,
    ...)
{
	struct buf text = { .max = 8192 }, line = { .max = 16384 };
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	style(&line, "%s", buf_str(&text).p);
	output_lines(o, buf_str(&line));
	buf_free(&text);
	buf_free(&line);
}
