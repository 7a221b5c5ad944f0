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

/*
 * One table for both directions: a text, a number, a switch or a time of struct memory by its key.
 */
enum member_type { FT_TEXT, FT_NUMBER, FT_SWITCH, FT_TIME };
static const struct member { const char *key; enum member_type type; size_t offset, size; } fields[] = {
#define TEXT(k, f)	{ k, FT_TEXT, offsetof(struct memory, f), sizeof(((struct memory *)0)->f) }
#define NUMBER(k, f)	{ k, FT_NUMBER, offsetof(struct memory, f), 0 }
#define SWITCH(k, f)	{ k, FT_SWITCH, offsetof(struct memory, f), 0 }
#define TIME(k, f)	{ k, FT_TIME, offsetof(struct memory, f), 0 }
	NUMBER("step", item), NUMBER("attempt", attempt), SWITCH("cleared", cleared), SWITCH("opened", opened), TEXT("tag", tag),
	TIME("started", started), TIME("deadline", deadline),
	TIME("stage_deadline", stage_deadline), TEXT("started_before", started_before),
	TEXT("engine_run", engine_run), SWITCH("networked", networked), SWITCH("begun", begun),
	SWITCH("failed", failed), SWITCH("system", system), SWITCH("script_canceled", script_canceled),
	TEXT("text", text), NUMBER("exit_code", exit_code), TEXT("job_status", status),
};

/*
 * The members by which older versions know the two containers that every job has. They write these
 * alone and keep `containers` as it was, so these count, and are written for the day on which an
 * older version goes on with the job.
 */
static const struct { const char *id, *taken, *image; } members[] = {
	[CONTAINER_BUILD] = { "build", "build_taken", "build_image" },
	[CONTAINER_HELPER] = { "helper", "helper_taken", "helper_image" },
};

/*
 * Members that need a word of their own; with those of the tables they are what this version knows.
 */
static const char *const special[] = { "v", "trace", "stage", "phase", "script_deadline", "reason",
    "containers", "output" };

static bool
known_key(struct str key)
{
	for (size_t i = 0; i < NELEM(special); i++)
		if (str_eqc(key, special[i]))
			return true;
	for (size_t i = 0; i < NELEM(members); i++)
		if (str_eqc(key, members[i].id) || str_eqc(key, members[i].taken) ||
		    str_eqc(key, members[i].image))
			return true;
	for (size_t i = 0; i < NELEM(fields); i++)
		if (str_eqc(key, fields[i].key))
			return true;
	return false;
}

/*
 * What another version wrote and this one does not know, for put_memory(). The text of v lives as
 * long as the run.
 */
static struct json_val *
unknown_members(struct arena *a, struct json_val v, size_t *n)
{
	struct json_val *out;

	*n = 0;
	if (json_type(v) != JSON_OBJECT)
		return NULL;
	out = arena_calloc(a, json_len(v) + 1, sizeof(*out));
	JSON_EACH(member, v)
		if (!known_key(json_key(a, member)))
			out[(*n)++] = member;
	return out;
}

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
	for (size_t i = 0; i < m->containers.n; i++)
		if (m->containers.v[i].taken < 0 || m->containers.v[i].taken > bytes_max)
			return err_set(e, ERR_PARSE, 0,
			    "stage.json is damaged: \"taken\" of a container is %" PRId64,
			    m->containers.v[i].taken);
	return 0;
}

/* What v has of a container, under the keys that it goes by there. */
static void
read_container(struct arena *a, struct container *c, struct json_val v, const char *const keys[3])
{
	if (json_present(json_get(v, keys[0])))
		str_copy(json_str(a, json_get(v, keys[0])), c->id, sizeof(c->id));
	if (json_present(json_get(v, keys[1])))
		c->taken = json_i64(json_get(v, keys[1]), 0);
	if (json_present(json_get(v, keys[2])))
		str_copy(json_str(a, json_get(v, keys[2])), c->image, sizeof(c->image));
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
		read_container(a, c, entry, (const char *const[]){ "id", "taken", "image" });
	}
	for (size_t i = 0; i < NELEM(members); i++) {
		c = containers_find(cs, (enum container_kind)i);
		if (c == NULL)
			c = &cs->v[cs->n++];
		c->kind = (enum container_kind)i;
		read_container(a, c, v, (const char *const[]){ members[i].id, members[i].taken,
		    members[i].image });
	}
}

static wall_t
time_of(struct arena *a, struct json_val v)
{
	wall_t at;

	return time_parse_rfc3339(json_str(a, v), &at) == 0 ? at : WALL_UNKNOWN;
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
	for (size_t i = 0; i < NELEM(fields); i++) {
		const struct member *f = &fields[i];
		char *to = (char *)m + f->offset;
		struct json_val value = json_get(v, f->key);

		switch (f->type) {
		case FT_TEXT:
			str_copy(json_str(&r->arena, value), to, f->size);
			break;
		case FT_NUMBER:
			*(int64_t *)(void *)to = json_i64(value, 0);
			break;
		case FT_SWITCH:
			*(bool *)(void *)to = json_bool(value, false);
			break;
		case FT_TIME:
			*(wall_t *)(void *)to = time_of(&r->arena, value);
			break;
		}
	}
	/* An older version had a member of its own for the script's limit. */
	if (m->stage->side == STAGE_SCRIPT && !wall_known(m->stage_deadline))
		m->stage_deadline = time_of(&r->arena, json_get(v, "script_deadline"));
	m->failure = failure_of(json_str(&r->arena, json_get(v, "reason")));
	read_containers(&r->arena, &m->containers, v);
	m->unknown = unknown_members(&r->arena, v, &m->nunknown);
	*saved = json_get(v, "output");
	*trace = json_i64(json_get(v, "trace"), 0);
	return check_ranges(m, *trace, e) < 0 ? -1 : 1;
}

static void
put_time(struct json_w *w, const char *key, wall_t at)
{
	char text[TIME_RFC3339_MAX];

	if (!wall_known(at))
		return;
	time_rfc3339(at, 9, text);
	jw_cstr(w, key, text);
}

static void
put_containers(struct json_w *w, const struct containers *cs)
{
	for (size_t i = 0; i < cs->n; i++) {
		const struct container *c = &cs->v[i];

		if (c->kind == CONTAINER_OTHER)
			continue;
		jw_cstr(w, members[c->kind].id, c->id);
		jw_i64(w, members[c->kind].taken, c->taken);
		jw_cstr(w, members[c->kind].image, c->image);
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
		jw_cstr(w, "id", c->id);
		jw_i64(w, "taken", c->taken);
		jw_cstr(w, "image", c->image);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void
put_memory(const struct run *r, struct buf *b)
{
	struct json_w w = { .b = b };
	const struct memory *m = &r->mem;
	struct arena a = { 0 };

	jw_object(&w, NULL);
	jw_i64(&w, "v", STATE_FORMAT);
	jw_i64(&w, "trace", r->out.length);
	jw_cstr(&w, "stage", m->stage->name);
	jw_cstr(&w, "phase", m->phase == PHASE_STARTED ? "started" : "enter");
	for (size_t i = 0; i < NELEM(fields); i++) {
		const struct member *f = &fields[i];
		const char *from = (const char *)m + f->offset;

		switch (f->type) {
		case FT_TEXT:
			jw_cstr(&w, f->key, from);
			break;
		case FT_NUMBER:
			jw_i64(&w, f->key, *(const int64_t *)(const void *)from);
			break;
		case FT_SWITCH:
			jw_bool(&w, f->key, *(const bool *)(const void *)from);
			break;
		case FT_TIME:
			put_time(&w, f->key, *(const wall_t *)(const void *)from);
			break;
		}
	}
	if (m->stage->side == STAGE_SCRIPT)
		put_time(&w, "script_deadline", m->stage_deadline);
	jw_cstr(&w, "reason", failure_word(m->failure));
	put_containers(&w, &m->containers);
	for (size_t i = 0; i < m->nunknown; i++)
		jw_rawkey(&w, json_key(&a, m->unknown[i]), json_raw(m->unknown[i]));
	arena_reset(&a);
	jw_object(&w, "output");
	output_save(&r->out, &w);
	jw_end_object(&w);
	jw_end_object(&w);
}

void
job_commit(struct run *r)
{
	struct buf b = { .max = JOBDIR_STAGE_MAX };
	struct err e = { 0 };
	bool told = false;

	for (;;) {
		buf_clear(&b);
		if (output_write(&r->out, &e) == 0) {
			put_memory(r, &b);
			if (fs_write(r->dir, JOBFILE_STAGE, buf_str(&b), 0600, &e) == 0)
				break;
		}
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
	buf_wipe(&b);
	r->next_commit = mono_after(COMMIT_EVERY);
	crash_point("executor:committed");
}
