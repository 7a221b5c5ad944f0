/*
 * stage.json: what an executor must know to go on where a predecessor stopped. See run.h,
 * docs/state.md.
 */
#include "books/format.h"
#include "books/jobdir.h"
#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "job/run.h"
#include "wire/fields.h"

#define COMMIT_EVERY	NSEC_SEC

/*
 * An unknown phase is refused: a stage that was begun, taken for one that was not, would run a
 * job's script twice.
 */
static int
phase_of(struct str s, enum phase *out)
{
	*out = str_eqc(s, "started") ? PHASE_STARTED : PHASE_ENTER;
	return *out == PHASE_STARTED || str_eqc(s, "enter") ? 0 : -1;
}

static const struct field fields[] = {
	FIELD(struct memory, INT, "step", item),
	FIELD(struct memory, INT, "attempt", attempt),
	FIELD(struct memory, BOOL, "cleared", cleared),
	FIELD(struct memory, BOOL, "opened", opened),
	FIELD(struct memory, CHARS, "tag", tag),
	FIELD(struct memory, TIME_IF, "started", started),
	FIELD(struct memory, TIME_IF, "deadline", deadline),
	FIELD(struct memory, TIME_IF, "stage_deadline", stage_deadline),
	FIELD(struct memory, CHARS, "started_before", started_before),
	FIELD(struct memory, CHARS, "engine_run", engine_run),
	FIELD(struct memory, BOOL, "networked", networked),
	FIELD(struct memory, BOOL, "begun", begun),
	FIELD(struct memory, BOOL, "failed", failed),
	FIELD(struct memory, BOOL, "system", system),
	FIELD(struct memory, BOOL, "script_canceled", script_canceled),
	FIELD(struct memory, CHARS, "text", text),
	FIELD(struct memory, INT, "exit_code", exit_code),
	FIELD(struct memory, CHARS, "job_status", status),
};
/* An older version had a member of its own for the script's limit. */
static const struct field script_deadline = FIELD(struct memory, TIME_IF, "script_deadline", stage_deadline);

#define MEMBERS	3	/* of a container */
static const struct field container_fields[MEMBERS] = {
	FIELD(struct container, CHARS, "id", id),
	FIELD(struct container, INT, "taken", together),
	FIELD(struct container, CHARS, "image", image),
};

/* How far each stream of it was taken, by the stream's name, and under "run" what its marks told. */
static const char *const stream_names[2] = { "stdout", "stderr" };
static const struct field taken_fields[] = {
	FIELD(struct taken, INT, "bytes", bytes),
	FIELD(struct taken, INT, "lines", lines),
	FIELD(struct taken, INT, "tail", tail),
};
static const struct field passage_fields[] = {
	FIELD(struct passage, CHARS, "token", token),
	FIELD(struct passage, BOOL, "begun", begun),
	FIELD(struct passage, BOOL, "delivered", delivered),
	FIELD(struct passage, BOOL, "ended_stdout", ended[0]),
	FIELD(struct passage, BOOL, "ended_stderr", ended[1]),
	FIELD(struct passage, INT, "status", status),
};

/*
 * The members by which older versions know the two containers that every job has. They write these
 * alone and keep `containers` as it was, so these count, and are written for the day on which an
 * older version goes on with the job.
 */
static const struct field members[][MEMBERS] = {
	[CONTAINER_BUILD] = {
		FIELD(struct container, CHARS, "build", id),
		FIELD(struct container, INT, "build_taken", together),
		FIELD(struct container, CHARS, "build_image", image),
	},
	[CONTAINER_HELPER] = {
		FIELD(struct container, CHARS, "helper", id),
		FIELD(struct container, INT, "helper_taken", together),
		FIELD(struct container, CHARS, "helper_image", image),
	},
};

/*
 * Members that need a word of their own; with those of the table they are what this version knows.
 */
static const struct field special[] = {
	FIELD_NAME("v"), FIELD_NAME("trace"), FIELD_NAME("stage"), FIELD_NAME("phase"),
	FIELD_NAME("script_deadline"), FIELD_NAME("reason"), FIELD_NAME("containers"), FIELD_NAME("output"),
	FIELD_NAME("build"), FIELD_NAME("build_taken"), FIELD_NAME("build_image"),
	FIELD_NAME("helper"), FIELD_NAME("helper_taken"), FIELD_NAME("helper_image"),
};

/*
 * Numbers that the rest counts and indexes by. None is negative unless the file is damaged; that a
 * step is one of the job's is asked in resume().
 */
static int
check_ranges(const struct memory *m, int64_t trace, struct err *e)
{
	static const int64_t bytes_max = INT64_C(1) << 50;
	const struct { const char *key; int64_t value, max; } numbers[] = {
		{ "trace", trace, bytes_max }, { "step", m->item, 1 << 20 }, { "attempt", m->attempt, 1 << 20 },
	};

	for (size_t i = 0; i < NELEM(numbers); i++)
		if (numbers[i].value < 0 || numbers[i].value > numbers[i].max)
			return err_set(e, ERR_PARSE, 0, "stage.json is damaged: \"%s\" is %" PRId64, numbers[i].key, numbers[i].value);
	for (size_t i = 0; i < m->containers.n; i++) {
		const struct container *c = &m->containers.v[i];
		const int64_t counts[] = { c->taken[0].bytes, c->taken[0].lines, c->taken[0].tail,
		    c->taken[1].bytes, c->taken[1].lines, c->taken[1].tail, c->together };

		for (size_t n = 0; n < NELEM(counts); n++)
			if (counts[n] < 0 || counts[n] > bytes_max)
				return err_set(e, ERR_PARSE, 0,
				    "stage.json is damaged: what was taken of a container is %" PRId64, counts[n]);
	}
	return 0;
}

/*
 * The streams' own counts hold for the container that they were written for, unless a version before,
 * which counts both together, went on with it.
 */
static void
read_streams(struct arena *a, struct container *c, struct json_val entry)
{
	struct json_val run = json_get(entry, "run");

	c->legacy = !json_present(run) || !str_eqc(json_str(a, json_get(entry, "id")), c->id);
	if (c->legacy)
		return;
	for (size_t i = 0; i < NELEM(c->taken); i++)
		fields_read(a, json_get(entry, stream_names[i]), taken_fields, NELEM(taken_fields), &c->taken[i]);
	fields_read(a, run, passage_fields, NELEM(passage_fields), &c->passage);
	c->legacy = c->together != c->taken[0].bytes + c->taken[1].bytes;
}

static void
read_containers(struct arena *a, struct containers *cs, struct json_val v)
{
	struct json_val list = json_get(v, "containers");
	struct container *c;

	cs->v = arena_calloc(a, json_len(list) + NELEM(members), sizeof(*cs->v));
	JSON_EACH(entry, list) {
		enum container_kind kind = container_kind_of(json_str(a, json_get(entry, "kind")));

		c = kind != CONTAINER_OTHER ? containers_find(cs, kind) : NULL;
		if (c == NULL)
			c = &cs->v[cs->n++];
		c->kind = kind;
		c->name = json_cstr(a, json_get(entry, "name"));
		c->later = entry;
		fields_read(a, entry, container_fields, MEMBERS, c);
	}
	for (size_t i = 0; i < NELEM(members); i++) {
		c = containers_find(cs, (enum container_kind)i);
		if (c == NULL)
			c = &cs->v[cs->n++];
		c->kind = (enum container_kind)i;
		fields_read(a, v, members[i], MEMBERS, c);
		read_streams(a, c, c->later);
	}
}

int
memory_read(struct run *r, struct json_val *saved, int64_t *trace, struct err *e)
{
	struct buf b = { .max = JOBDIR_STAGE_MAX };
	struct memory *m = &r->mem;
	struct json_val v;

	if (fs_read(r->dir, JOBFILE_STAGE, JOBDIR_STAGE_MAX, &b, e) < 0) {
		buf_free(&b);
		return e->kind == ERR_NOTFOUND ? 0 : -1;
	}
	if (json_parse(&r->arena, arena_str(&r->arena, buf_str(&b)), &v, e) < 0) {
		buf_free(&b);
		return err_ctx(e, JOBFILE_STAGE);
	}
	buf_wipe(&b);
	*m = (struct memory){ .phase = PHASE_ENTER };
	if (json_i64(json_get(v, "v"), 1) > STATE_FORMAT)
		return err_set(e, ERR_PARSE, 0, "stage.json: no format that this version reads");
	if (phase_of(json_str(&r->arena, json_get(v, "phase")), &m->phase) < 0)
		return err_set(e, ERR_PARSE, 0, "stage.json: no phase that exists");
	m->stage = stage_find(json_str(&r->arena, json_get(v, "stage")));
	if (m->stage == NULL)
		return err_set(e, ERR_PARSE, 0, "stage.json: no stage that exists");
	fields_read(&r->arena, v, fields, NELEM(fields), m);
	if (m->stage->side == STAGE_SCRIPT && !wall_known(m->stage_deadline))
		fields_read(&r->arena, v, &script_deadline, 1, m);
	m->failure = failure_of(json_str(&r->arena, json_get(v, "reason")));
	read_containers(&r->arena, &m->containers, v);
	m->unknown = fields_unknown(&r->arena, v, fields, NELEM(fields), special, NELEM(special));
	*saved = json_get(v, "output");
	*trace = json_i64(json_get(v, "trace"), 0);
	return check_ranges(m, *trace, e) < 0 ? -1 : 1;
}

static void
put_streams(struct json_w *w, const struct container *c)
{
	for (size_t i = 0; i < NELEM(c->taken); i++) {
		jw_object(w, stream_names[i]);
		fields_write(w, taken_fields, NELEM(taken_fields), &c->taken[i]);
		jw_end_object(w);
	}
	jw_object(w, "run");
	fields_write(w, passage_fields, NELEM(passage_fields), &c->passage);
	jw_end_object(w);
}

static void
put_containers(struct json_w *w, const struct containers *cs)
{
	for (size_t i = 0; i < cs->n; i++) {
		struct container *c = &cs->v[i];

		if (c->kind == CONTAINER_OTHER)
			continue;
		if (!c->legacy)
			c->together = c->taken[0].bytes + c->taken[1].bytes;
		fields_write(w, members[c->kind], MEMBERS, c);
	}
	jw_array(w, "containers");
	for (size_t i = 0; i < cs->n; i++) {
		const struct container *c = &cs->v[i];

		if (c->kind == CONTAINER_OTHER) {
			jw_raw(w, NULL, json_raw(c->later));
			continue;
		}
		jw_object(w, NULL);
		jw_cstr(w, "kind", container_word(c->kind));
		jw_cstr(w, "name", c->name != NULL ? c->name : "");
		fields_write(w, container_fields, MEMBERS, c);
		if (!c->legacy)
			put_streams(w, c);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void
put_memory(const struct run *r, struct buf *b)
{
	struct json_w w = { .b = b };
	const struct memory *m = &r->mem;

	jw_object(&w, NULL);
	jw_i64(&w, "v", STATE_FORMAT);
	jw_i64(&w, "trace", r->out.length);
	jw_cstr(&w, "stage", m->stage->name);
	jw_cstr(&w, "phase", m->phase == PHASE_STARTED ? "started" : "enter");
	fields_write(&w, fields, NELEM(fields), m);
	if (m->stage->side == STAGE_SCRIPT)
		fields_write(&w, &script_deadline, 1, m);
	jw_cstr(&w, "reason", failure_word(m->failure));
	put_containers(&w, &m->containers);
	fields_write_unknown(&w, m->unknown);
	jw_object(&w, "output");
	output_save(&r->out, &w);
	jw_end_object(&w);
	jw_end_object(&w);
}

int
job_commit_once(struct run *r, struct err *e)
{
	struct buf b = { .max = JOBDIR_STAGE_MAX };
	int rc = output_write(&r->out, e);

	if (rc == 0) {
		put_memory(r, &b);
		rc = fs_write(r->dir, JOBFILE_STAGE, buf_str(&b), 0600, e);
	}
	buf_wipe(&b);
	if (rc < 0) {
		e->kind = ERR_SYS;
		return -1;
	}
	r->next_commit = mono_after(COMMIT_EVERY);
	crash_point("executor:committed");
	return 0;
}

void
job_commit(struct run *r)
{
	struct err e = { 0 };
	bool told = false;

	while (job_commit_once(r, &e) < 0) {
		if (!told)
			log_error("The job's log cannot be written: the job waits until it can", F_ERR(&e));
		told = true;
		/*
		 * The engine keeps the output meanwhile. An order to stop must still get through.
		 */
		if (net_pause(2 * NSEC_SEC, &e) < 0) {
			order_take_or_exit(r);
			if (r->order == ORDER_ABORT)
				break;
		}
	}
	if (told)
		log_info("The job's log can be written again");
}
