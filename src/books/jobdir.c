/* A job's directory: see jobdir.h. */
#include <inttypes.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "config/settings.h"
#include "core/core.h"
#include "core/fs.h"
#include "core/identity.h"
#include "wire/fields.h"

#define RUNNER_MAX	(4u << 20)	/* certificates, an environment and scripts are in it */
#define RESULT_MAX	(1u << 20)
#define WORDS_MAX	4096

/* What says what the job's roles may do stays root's: GitLab's answer, what of config.toml counts for it, its machine. */
static const char *const root_keeps[] = {
	JOBFILE_PAYLOAD, JOBFILE_RUNNER, JOBFILE_TICKET, JOBFILE_MACHINE, NULL,
};
static const char *const locks[] = { JOBFILE_EXECUTOR_LOCK, JOBFILE_REPORTER_LOCK, NULL };

int
jobdir_identity(int jobs_dir, int dir, const char *id, uid_t *self, struct err *e)
{
	const struct identity_job job = { id, root_keeps, locks };

	return identity_of_job(jobs_dir, dir, &job, self, e);
}

/* A file, how large it may be, and whether root must have written it. */
struct place { int dir; const char *file; size_t max; bool vouched; };

/* Reads a JSON object into the arena. */
static int
read_object(const struct place *from, struct arena *a, struct json_val *v, struct err *e)
{
	struct buf b = { .max = from->max };
	int rc = from->vouched ? fs_read_vouched(from->dir, from->file, b.max, &b, e) : fs_read(from->dir, from->file, b.max, &b, e);

	if (rc == 0)
		rc = json_parse(a, arena_str(a, buf_str(&b)), v, e);
	if (rc == 0 && json_type(*v) != JSON_OBJECT)
		rc = err_set(e, ERR_PARSE, 0, "it is not a JSON object");
	buf_wipe(&b);	/* some hold tokens */
	return rc < 0 && e != NULL && e->kind != ERR_NOTFOUND ? err_ctx(e, "%s", from->file) : rc;
}

/* Written by root alone, and whole or not at all. */
static int
write_kept(int dir, const char *file, struct buf *b, struct err *e)
{
	int rc = b->failed ? err_set(e, ERR_FULL, 0, "%s would be larger than %zu bytes", file, b->max) :
	    fs_write(dir, file, buf_str(b), 0600, e);

	buf_wipe(b);
	return rc;
}

int
jobdir_runner_write(int dir, const struct job_settings *s, struct err *e)
{
	struct buf b = { .max = RUNNER_MAX };
	struct json_w w = { .b = &b };

	jw_object(&w, NULL);
	settings_write(&w, s);
	jw_end_object(&w);
	return write_kept(dir, JOBFILE_RUNNER, &b, e);
}

int
jobdir_runner_read(int dir, bool vouched, struct arena *a, struct job_settings *s, struct err *e)
{
	struct json_val v;

	if (read_object(&(struct place){ dir, JOBFILE_RUNNER, RUNNER_MAX, vouched }, a, &v, e) < 0)
		return -1;
	settings_read(a, v, s);
	return 0;
}

static const struct field ticket_fields[] = {
	FIELD(struct jobdir_ticket, INT, "id", id),
	FIELD(struct jobdir_ticket, SECRET, "token", token),
};

int
jobdir_ticket_write(int dir, const struct jobdir_ticket *t, struct err *e)
{
	struct buf b = { .max = RUNNER_MAX };
	struct json_w w = { .b = &b };

	jw_object(&w, NULL);
	fields_write(&w, ticket_fields, NELEM(ticket_fields), t);
	settings_write_ticket(&w, &t->runner);
	jw_end_object(&w);
	return write_kept(dir, JOBFILE_TICKET, &b, e);
}

int
jobdir_ticket_read(int dir, bool vouched, struct arena *a, struct jobdir_ticket *t, struct err *e)
{
	struct json_val v;

	*t = (struct jobdir_ticket){ .token = SECRET("") };
	if (read_object(&(struct place){ dir, JOBFILE_TICKET, RUNNER_MAX, vouched }, a, &v, e) < 0)
		return -1;
	fields_read(a, v, ticket_fields, NELEM(ticket_fields), t);
	settings_read_ticket(a, v, &t->runner);
	return t->id > 0 ? 0 : err_set(e, ERR_PARSE, 0, JOBFILE_TICKET ": no job's id in it");
}

static const struct field stage_fields[] = {
	FIELD(struct jobdir_stage, STR, "stage", stage),
	FIELD(struct jobdir_stage, INT, "trace", trace),
};

int
jobdir_stage_read(int dir, size_t max, struct arena *a, struct jobdir_stage *s, struct err *e)
{
	struct json_val v;

	*s = (struct jobdir_stage){ .stage = "" };
	if (read_object(&(struct place){ dir, JOBFILE_STAGE, max, false }, a, &v, e) < 0)
		return -1;
	fields_read(a, v, stage_fields, NELEM(stage_fields), s);
	return 0;
}

static const struct field result_fields[] = {
	FIELD(struct jobdir_result, STR, "failure_reason", reason),
	FIELD(struct jobdir_result, INT, "exit_code", exit_code),
	FIELD(struct jobdir_result, STR, "text", text),
	FIELD(struct jobdir_result, BOOL, "dirty", dirty),
};
static const struct field result_told = FIELD(struct jobdir_result, BOOL, "told", told);
static const struct field result_finished = FIELD(struct jobdir_result, TIME, "finished", finished);

int
jobdir_result_write(int dir, const struct jobdir_result *r, struct err *e)
{
	struct buf b = { .max = RESULT_MAX };
	struct json_w w = { .b = &b };
	int rc;

	jw_object(&w, NULL);
	jw_cstr(&w, "state", r->success ? "success" : "failed");
	fields_write(&w, result_fields, NELEM(result_fields), r);
	if (!r->told)
		fields_write(&w, &result_told, 1, r);
	fields_write(&w, &result_finished, 1, r);
	jw_end_object(&w);
	rc = fs_write(dir, JOBFILE_RESULT, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}

int
jobdir_result_read(int dir, struct arena *a, struct jobdir_result *r, struct err *e)
{
	struct json_val v;
	struct str state;

	*r = (struct jobdir_result){ .reason = "", .text = "", .told = true };
	if (read_object(&(struct place){ dir, JOBFILE_RESULT, RESULT_MAX, false }, a, &v, e) < 0)
		return -1;
	state = json_str(a, json_get(v, "state"));
	r->success = str_eqc(state, "success");
	if (!r->success && !str_eqc(state, "failed"))
		return err_set(e, ERR_PARSE, 0, JOBFILE_RESULT ": no state that this version knows in it");
	fields_read(a, v, result_fields, NELEM(result_fields), r);
	fields_read(a, v, &result_told, 1, r);
	fields_read(a, v, &result_finished, 1, r);
	return 0;
}

int
jobdir_order_write(int dir, const struct jobdir_order *o, struct err *e)
{
	struct buf b = { .max = WORDS_MAX };
	struct json_w w = { .b = &b };
	int rc;

	jw_object(&w, NULL);
	jw_cstr(&w, "how", o->abort ? "abort" : "cancel");
	jw_cstr(&w, "reason", failure_word(o->reason));
	jw_cstr(&w, "text", o->text);
	jw_end_object(&w);
	rc = fs_write(dir, JOBFILE_CANCEL, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}

bool
jobdir_order_read(int dir, struct arena *a, struct jobdir_order *o)
{
	struct json_val v;
	struct str how;
	bool abort;

	if (read_object(&(struct place){ dir, JOBFILE_CANCEL, WORDS_MAX, false }, a, &v, NULL) < 0)
		return false;
	how = json_str(a, json_get(v, "how"));
	abort = str_eqc(how, "abort");
	if (!abort && !str_eqc(how, "cancel"))
		return false;
	*o = (struct jobdir_order){ .abort = abort, .reason = failure_of(json_str(a, json_get(v, "reason"))), .text = json_cstr(a, json_get(v, "text")) };
	return true;
}

int
jobdir_place_write(int dir, const struct jobdir_place *p, struct err *e)
{
	struct buf b = { .max = WORDS_MAX };
	int rc;

	buf_fmt(&b, "%s\n%" PRId64 "\n", p->machine, p->slot);
	rc = fs_write(dir, JOBFILE_MACHINE, buf_str(&b), 0640, e);
	buf_free(&b);
	return rc;
}

int
jobdir_place_read(int dir, bool vouched, struct arena *a, struct jobdir_place *p, struct err *e)
{
	struct buf b = { .max = WORDS_MAX };
	struct str rest, name;
	int rc = vouched ? fs_read_vouched(dir, JOBFILE_MACHINE, WORDS_MAX, &b, e) : fs_read(dir, JOBFILE_MACHINE, WORDS_MAX, &b, e);

	*p = (struct jobdir_place){ .machine = "" };
	if (rc == 0) {
		rest = buf_str(&b);
		name = str_trim(str_cut(&rest, '\n'));
		p->machine = arena_dup(a, name);
		if (rest.p == NULL || str_to_i64(str_trim(rest), &p->slot) < 0)
			p->slot = 0;
		/* It becomes part of a path. */
		if (name.n == 0 || str_chr(name, '/') >= 0 || str_chr(name, '\0') >= 0)
			rc = err_set(e, ERR_PARSE, 0, JOBFILE_MACHINE ": no name of a machine in it");
	}
	buf_free(&b);
	return rc;
}

void
jobdir_place_drop(int dir)
{
	static const char *const files[] = { JOBFILE_MACHINE, JOBFILE_UNFIT, JOBFILE_LOST, JOBFILE_GONE };

	for (size_t i = 0; i < NELEM(files); i++)
		unlinkat(dir, files[i], 0);
	fs_sync_dir(dir, NULL);
}

const char *
jobdir_text(int dir, const char *file, struct arena *a)
{
	struct buf b = { .max = WORDS_MAX };
	const char *text = "";

	if (fs_read(dir, file, WORDS_MAX, &b, NULL) == 0)
		text = arena_dup(a, str_trim(buf_str(&b)));
	buf_free(&b);
	return text;
}

int
jobdir_reported_write(int dir, int status, struct str more, struct err *e)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	int rc;

	jw_object(&w, NULL);
	jw_i64(&w, "status", status);
	jw_time(&w, "at", wall_now(), 3);
	fields_write_unknown(&w, more);
	jw_end_object(&w);
	rc = fs_write(dir, JOBFILE_REPORTED, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}
