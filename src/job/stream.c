/* What a stage's container says, and what it is given: see stream.h. */
#include "core/log.h"
#include "job/run.h"
#include "job/script.h"

#define ATTACH_LIMIT	(30 * NSEC_SEC)		/* for the answer to an attach: an engine under load */
#define LOGS_LIMIT	(120 * NSEC_SEC)	/* and to the question for a log */
#define SEND_PIECE	(16u << 10)		/* of a script, before it is framed */
#define TAIL_LIMIT	(60 * NSEC_SEC)		/* from a script's end mark to its container's end */
#define COMMIT_BYTES	(1u << 20)		/* of the trace, in memory: a burst's worth */
#define SETTLED		(3 * NSEC_SEC)
/* What comes after a silence is shown after this, with what comes meanwhile. */
#define GATHER		(NSEC_SEC / 5)

bool
stream_attached(const struct run *r)
{
	return engine_stream_live(r->logs);
}

bool
stream_complete(const struct container *c)
{
	return c->passage.ended[0] && c->passage.ended[1];
}

void
stream_close(struct run *r)
{
	engine_stream_end(r->logs);
	buf_wipe(&r->stream.script);
	buf_wipe(&r->stream.piece);
	r->stream = (struct stream){ .sent = 0 };
}

/* ---- counting ---- */

static void
count(struct taken *t, struct str bytes)
{
	ssize_t nl;

	t->bytes += (int64_t)bytes.n;
	while ((nl = str_chr(bytes, '\n')) >= 0) {
		t->lines++;
		t->tail = 0;
		bytes = str_sub(bytes, (size_t)nl + 1, bytes.n);
	}
	t->tail += (int64_t)bytes.n;
}

/* Passes over what of a log was taken before; the rest. */
static struct str
pass_over(struct stream *s, struct taken *skip, struct str bytes)
{
	int64_t *left = s->skip_any > 0 ? &s->skip_any : s->by_lines ? &skip->tail : &skip->bytes;
	size_t n;

	while (s->by_lines && skip->lines > 0 && bytes.n > 0) {
		ssize_t nl = str_chr(bytes, '\n');

		if (nl < 0)
			return STR_NULL;
		skip->lines--;
		bytes = str_sub(bytes, (size_t)nl + 1, bytes.n);
	}
	n = *left < (int64_t)bytes.n ? (size_t)*left : bytes.n;
	*left -= (int64_t)n;
	return str_sub(bytes, n, bytes.n);
}

/* Whether the log that ended has less than was taken of it. */
static bool
fell_short(const struct stream *s)
{
	for (size_t i = 0; i < NELEM(s->skip); i++)
		if (s->by_lines ? s->skip[i].lines > 0 : s->skip[i].bytes > 0)
			return true;
	return false;
}

/* ---- taking ---- */

static void
note_mark(struct passage *p, size_t stream, const struct mark *mark)
{
	if (mark->word == MARKER_BEGIN)
		p->begun = true;
	else if (mark->word == MARKER_END) {
		p->ended[stream] = true;
		p->status = mark->status;
	}
}

static void
take(struct run *r, struct container *c, const struct stream_piece *piece)
{
	size_t i = piece->stream == DOCKERMUX_STDERR;
	struct marker *m = &r->stream.marks[i];
	struct str bytes = piece->bytes, text;
	struct mark mark;
	int rc;

	if (c->legacy)
		c->together += (int64_t)bytes.n;
	else
		count(&c->taken[i], bytes);
	while ((rc = marker_next(m, &bytes, &text, &mark)) != 0) {
		if (rc == 2)
			note_mark(&c->passage, i, &mark);
		else
			output_feed(&r->out, i == 1, text, piece->at, false);
	}
	if (piece->last)
		output_feed(&r->out, i == 1, STR_NULL, piece->at, true);
}

/* What may still be the beginning of a mark is not in the trace: as long as it is held it does not count as taken. */
static void
uncount_held(const struct run *r, struct container *c, int sign)
{
	for (size_t i = 0; i < NELEM(c->taken); i++) {
		int64_t held = (int64_t)r->stream.marks[i].nheld;

		c->taken[i].bytes -= sign * held;
		c->taken[i].tail -= sign * held;
	}
}

/*
 * Commits what was taken. -1 (ERR_SYS) when the bastion's disk is full: whoever waits for that must
 * not stay attached, since an attached reader that does not read stops the job.
 */
static int
commit(struct run *r, struct container *c, struct err *e)
{
	int rc;

	uncount_held(r, c, 1);
	rc = job_commit_once(r, e);
	uncount_held(r, c, -1);
	return rc;
}

/* The stream is left before its end: what was held of it is read again. */
static void
leave(struct run *r, struct container *c)
{
	uncount_held(r, c, 1);
	stream_close(r);
}

/* It ended: what was held is text. */
static void
settle_marks(struct run *r)
{
	for (size_t i = 0; i < NELEM(r->stream.marks); i++) {
		struct str text = marker_close(&r->stream.marks[i]);

		if (text.n > 0)
			output_feed(&r->out, i == 1, text, wall_now(), true);
	}
}

/* ---- reading ---- */

static void
begin_marks(struct run *r, const struct container *c)
{
	for (size_t i = 0; i < NELEM(r->stream.marks); i++)
		marker_init(&r->stream.marks[i], c->passage.token);
}

int
stream_attach(struct run *r, struct container *c, struct buf *script, struct err *e)
{
	stream_close(r);
	if (engine_attach(r->logs, c->id, mono_min(call_deadline(r), mono_after(ATTACH_LIMIT)), e) < 0) {
		buf_wipe(script);
		return -1;
	}
	begin_marks(r, c);
	r->stream.script = *script;
	*script = (struct buf){ .max = script->max };
	return 0;
}

static int
open_log(struct run *r, struct container *c, bool live, mono_t until, struct err *e)
{
	struct stream *s = &r->stream;

	stream_close(r);
	begin_marks(r, c);
	s->by_lines = r->job.runner.docker.log_options.n > 0;
	s->skip_any = c->legacy ? c->together : 0;
	for (size_t i = 0; i < NELEM(s->skip) && !c->legacy; i++)
		s->skip[i] = c->taken[i];
	if (engine_logs_begin(r->logs, c->id, live, mono_min(until, mono_after(LOGS_LIMIT)), e) == 0)
		return 0;
	/* An engine's answer for a container that is being removed (moby, daemon/logs.go). */
	if (e->kind == ERR_CONFLICT)
		e->kind = ERR_NOTFOUND;
	return -1;
}

/* The next piece, by `until`, without what was taken before: 1, 0 the end, -1. */
static int
next_piece(struct run *r, struct stream_piece *p, mono_t until, struct err *e)
{
	struct stream *s = &r->stream;
	int rc = engine_stream_next(r->logs, p, until, e);
	size_t before = rc > 0 ? p->bytes.n : 0;

	if (rc > 0 && !engine_stream_live(r->logs)) {
		p->bytes = pass_over(s, &s->skip[p->stream == DOCKERMUX_STDERR], p->bytes);
		p->last &= p->bytes.n > 0 || before == 0;
	}
	return rc;
}

/* Moves what comes until the stream ends. As stream_follow(), and ERR_SYS: the bastion's disk is full. */
static enum follow
move(struct run *r, struct container *c, mono_t until, struct err *e)
{
	mono_t settled = mono_after(SETTLED), next;
	bool uncommitted = false, ended = false;
	struct stream_piece p;
	int rc;

	for (;;) {
		/*
		 * A stage of more than a moment: the other connection is not needed until its end,
		 * and its memory is.
		 */
		if (mono_passed(settled)) {
			engine_rest(r->api);
			settled = MONO_NEVER;
		}
		if (!ended && stream_complete(c)) {
			ended = true;
			until = mono_after(TAIL_LIMIT);
		}
		next = uncommitted ? mono_min(until, r->next_commit) : until;
		rc = next_piece(r, &p, mono_min(next, settled), e);
		if (rc == 0 || (rc < 0 && (e->kind != ERR_TIMEOUT || mono_passed(until))))
			break;
		if (rc > 0) {
			take(r, c, &p);
			if (!uncommitted && mono_passed(r->next_commit))
				r->next_commit = mono_after(GATHER);
			uncommitted = true;
		}
		if (uncommitted && (r->out.pending.n >= COMMIT_BYTES || mono_passed(r->next_commit))) {
			/* A line that waits for its rest is shown as far as it is. */
			if (rc < 0)
				output_pause(&r->out);
			uncommitted = false;
			if (commit(r, c, e) < 0)
				return FOLLOW_LOST;
			/* Where something is always there to read nothing waits, and no order is heard. */
			if (net_pause(0, e) < 0)
				return FOLLOW_STOPPED;
			if (mono_passed(until)) {
				err_set(e, ERR_TIMEOUT, 0, "no time left");
				return FOLLOW_STOPPED;
			}
		}
	}
	if (rc == 0)
		return FOLLOW_ENDED;
	return e->kind == ERR_CANCELLED || mono_passed(until) ? FOLLOW_STOPPED : FOLLOW_LOST;
}

enum follow
stream_follow(struct run *r, struct container *c, bool live, mono_t until, struct err *e)
{
	enum follow f;

	if (!stream_attached(r) && open_log(r, c, live, until, e) < 0)
		return e->kind == ERR_CANCELLED || mono_passed(until) ? FOLLOW_STOPPED : FOLLOW_LOST;
	f = move(r, c, until, e);
	/* An attach goes on: after an order that is not for this stage, through the grace of one that is. */
	if (f == FOLLOW_STOPPED && stream_attached(r))
		return f;
	if (f != FOLLOW_ENDED) {
		bool full = e->kind == ERR_SYS;

		leave(r, c);
		if (full) {
			/* The engine keeps what the job says meanwhile. */
			job_commit(r);
			err_set(e, ERR_NET, 0, "the job's log could not be written for a while");
		}
		return f;
	}
	settle_marks(r);
	c->passage.partial |= !live && fell_short(&r->stream);
	stream_close(r);
	return f;
}

/* ---- giving ---- */

/* Frames the next piece. A script of megabytes is not there twice. */
static void
next_to_send(struct run *r, const struct container *c)
{
	struct stream *s = &r->stream;
	struct str part = str_sub(buf_str(&s->script), s->framed, SEND_PIECE);

	buf_wipe(&s->piece);
	s->piece.max = 8 * SEND_PIECE;
	s->sent = 0;
	if (s->framed == 0)
		script_text_head(&r->work, c->passage.token, &s->piece);
	script_text_body(part, &s->piece);
	s->framed += part.n;
	s->last = s->framed == s->script.n;
	if (s->last)
		script_text_tail(&r->work, c->passage.token, &s->piece);
}

enum follow
stream_deliver(struct run *r, struct container *c, mono_t until, struct err *e)
{
	struct stream *s = &r->stream;
	struct stream_piece p;
	int rc = 1;

	while (rc > 0 && (s->sent < s->piece.n || !s->last)) {
		ssize_t n;

		if (s->sent == s->piece.n)
			next_to_send(r, c);
		n = engine_stream_send(r->logs, str_sub(buf_str(&s->piece), s->sent, s->piece.n), until, e);
		if (n < 0)
			break;
		s->sent += (size_t)n;
		/* A wrapper speaks first, and may wait until it is heard. */
		if (s->sent < s->piece.n && (rc = next_piece(r, &p, until, e)) > 0)
			take(r, c, &p);
	}
	/* Who ends before it has read all has had its chance. */
	if (rc == 0 || (s->last && s->sent == s->piece.n && engine_stream_end_stdin(r->logs, until, e) == 0)) {
		c->passage.delivered = true;
		buf_wipe(&s->script);
		buf_wipe(&s->piece);
		s->sent = 0;
		return FOLLOW_ENDED;
	}
	leave(r, c);
	return e->kind == ERR_CANCELLED || mono_passed(until) ? FOLLOW_STOPPED : FOLLOW_LOST;
}
