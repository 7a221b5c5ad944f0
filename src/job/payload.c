/* A job's payload as both of its processes read it: see payload.h. */
#include "books/failure.h"
#include "books/jobdir.h"
#include "core/fs.h"
#include "job/payload.h"
#include "wire/jobhead.h"

#define PAYLOAD_MAX	(256u << 20)

static int
read_payload(int dir, struct arena *a, struct json_val *v, struct err *e)
{
	struct buf b = { .max = PAYLOAD_MAX };
	int rc = -1;

	if (fs_read_vouched(dir, JOBFILE_PAYLOAD, PAYLOAD_MAX, &b, e) == 0 &&
	    json_parse(a, arena_str(a, buf_str(&b)), v, e) == 0)
		rc = 0;
	buf_wipe(&b);
	return rc == 0 ? 0 : err_ctx(e, JOBFILE_PAYLOAD);
}

struct str
payload_var(const struct payload *p, const char *name)
{
	struct str found = STR_NULL;

	JSON_EACH(v, json_get(p->root, "variables"))
		if (str_eqc(json_str(p->arena, json_get(v, "key")), name))
			found = json_str(p->arena, json_get(v, "value"));
	return found;
}

bool
payload_flag(const struct payload *p, const char *name, bool dflt)
{
	const char *set = fields_pair(&p->runner.feature_flags, name);
	bool b;

	return str_to_bool(set != NULL ? str_from(set) : str_trim(payload_var(p, name)), &b) == 0 ? b : dflt;
}

static bool
debug_on(const struct payload *p, const char *name)
{
	bool b;

	return str_to_bool(str_trim(payload_var(p, name)), &b) == 0 && b;
}

int
payload_read(int dir, struct arena *a, struct payload *p, struct err *e)
{
	int64_t s;

	*p = (struct payload){ .arena = a };
	if (read_payload(dir, a, &p->root, e) < 0 ||
	    jobdir_runner_read(dir, true, a, &p->runner, e) < 0)
		return -1;
	p->id = json_i64(json_get(p->root, "id"), 0);
	p->token = SECRET(json_cstr(a, json_get(p->root, "token")));
	s = json_i64(json_path(p->root, "runner_info.timeout"), 0);
	/* Ten years bound the arithmetic, not anybody's job. */
	p->timeout = (s > 0 && s < INT64_C(315360000) ? s : 7200) * NSEC_SEC;
	if (!wall_known(p->runner.received))
		p->runner.received = wall_now();
	p->trace_sections = json_bool(json_path(p->root, "features.trace_sections"), false);
	p->timestamps = payload_flag(p, "FF_TIMESTAMPS", true);
	p->debug_trace = !p->runner.debug_trace_disabled &&
	    (debug_on(p, "CI_DEBUG_TRACE") || debug_on(p, "CI_DEBUG_SERVICES"));
	if (p->id <= 0 || !secret_is_set(p->token))
		return err_set(e, ERR_PARSE, 0, "payload.json: no job id or token in it");
	if (p->runner.url[0] == '\0')
		return err_set(e, ERR_PARSE, 0, "runner.json: no url in it");
	return 0;
}

/* Id and token of a payload that may be torn. */
static void
read_torn(int dir, struct arena *a, struct payload *p)
{
	struct buf b = { .max = PAYLOAD_MAX };
	struct jobhead h;

	if (fs_read_vouched(dir, JOBFILE_PAYLOAD, PAYLOAD_MAX, &b, NULL) == 0 && jobhead_read(buf_str(&b), &h)) {
		p->id = h.id;
		p->token = SECRET(arena_dup(a, h.token));
	}
	buf_wipe(&b);
}

int
payload_read_ticket(int dir, struct arena *a, struct payload *p, struct err *e)
{
	struct jobdir_ticket t;

	*p = (struct payload){ .arena = a, .root = JSON_NONE, .timestamps = true };
	if (jobdir_ticket_read(dir, true, a, &t, e) == 0) {
		p->id = t.id;
		p->token = t.token;
		p->runner = t.runner;
	} else {
		read_torn(dir, a, p);
		if (jobdir_runner_read(dir, true, a, &p->runner, e) < 0)
			settings_init(&p->runner);
	}
	if (p->id <= 0 || !secret_is_set(p->token) || p->runner.url[0] == '\0')
		return err_set(e, ERR_PARSE, 0, "neither ticket.json nor what is left of payload.json and runner.json says which job of which GitLab it is");
	return 0;
}

bool
payload_damaged(const struct err *e)
{
	return e->kind == ERR_PARSE || e->kind == ERR_NOTFOUND || e->kind == ERR_PROTO || e->kind == ERR_AUTH ||
	    /* Far larger than it can be; a disk that is full has an errno. */
	    (e->kind == ERR_FULL && e->sys == 0) ||
	    (e->kind == ERR_SYS && (e->sys == EISDIR || e->sys == EINVAL || e->sys == EACCES || e->sys == EPERM || e->sys == ELOOP || e->sys == ENOTDIR));
}

/* Of an object the named member alone, in the arena. */
static struct json_val
keep_member(struct arena *a, struct json_val object, const char *name)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct json_val v = JSON_NONE;

	jw_object(&w, NULL);
	jw_raw(&w, name, json_raw(json_get(object, name)));
	jw_end_object(&w);
	json_parse(a, arena_str(a, buf_str(&b)), &v, NULL);
	buf_wipe(&b);
	return v;
}

void
payload_keep(struct payload *p, struct arena *a)
{
	struct job_settings all = p->runner, *kept = &p->runner;

	settings_init(kept);
	kept->final_update_tries = all.final_update_tries;
	kept->max_age = all.max_age;
	kept->received = all.received;
	kept->name = arena_dup(a, str_from(all.name));
	kept->short_token = arena_dup(a, str_from(all.short_token));
	kept->system_id = arena_dup(a, str_from(all.system_id));
	kept->url = arena_dup(a, str_from(all.url));
	kept->shell = arena_dup(a, str_from(all.shell));
	kept->docker.gpus = arena_dup(a, str_from(all.docker.gpus));
	p->root = keep_member(a, p->root, "features");
	p->token = SECRET(arena_dup(a, str_from(secret_reveal(p->token))));
	p->arena = a;
}

const char *
payload_failure_word(const struct payload *p, const char *word)
{
	enum failure f = failure_of(str_from(word)), common = failure_common(f);

	if (f == FAILURE_NONE || (f == common && f != FAILURE_UNKNOWN))
		return failure_word(common);
	/* A newer version's word stands for itself too, where GitLab knows it. */
	JSON_EACH(v, json_path(p->root, "features.failure_reasons"))
		if (str_eqc(json_str(p->arena, v), word))
			return word;
	return failure_word(common);
}
