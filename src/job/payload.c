/* A job's payload as both of its processes read it: see payload.h. */
#include "books/failure.h"
#include "books/jobdir.h"
#include "core/fs.h"
#include "job/payload.h"
#include "wire/jobhead.h"

#define PAYLOAD_MAX	(256u << 20)

static int
read_json(int dir, const char *name, struct arena *a, struct json_val *v, struct err *e)
{
	struct buf b = { .max = PAYLOAD_MAX };
	int rc = -1;

	if (fs_read_vouched(dir, name, PAYLOAD_MAX, &b, e) == 0 &&
	    json_parse(a, arena_str(a, buf_str(&b)), v, e) == 0)
		rc = 0;
	buf_wipe(&b);
	return rc == 0 ? 0 : err_ctx(e, "%s", name);
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
	struct json_val v = json_get(json_get(p->runner, "feature_flags"), name);
	bool b;

	if (json_type(v) == JSON_BOOL)
		return json_bool(v, dflt);
	return str_to_bool(str_trim(payload_var(p, name)), &b) == 0 ? b : dflt;
}

static bool
debug_on(const struct payload *p, const char *name)
{
	bool b;

	return str_to_bool(str_trim(payload_var(p, name)), &b) == 0 && b;
}

/* runner.json of a version before has none: 15 minutes, as config.toml's own default. */
static dur_t
max_age_of(struct json_val runner)
{
	int64_t s = json_i64(json_get(runner, "max_age_s"), 900);

	return (s >= 0 && s < INT64_C(315360000) ? s : 900) * NSEC_SEC;
}

int
payload_read(int dir, struct arena *a, struct payload *p, struct err *e)
{
	int64_t s;

	*p = (struct payload){ .arena = a };
	if (read_json(dir, JOBFILE_PAYLOAD, a, &p->root, e) < 0 ||
	    read_json(dir, JOBFILE_RUNNER, a, &p->runner, e) < 0)
		return -1;
	p->docker = json_get(p->runner, "docker");
	p->id = json_i64(json_get(p->root, "id"), 0);
	p->token = SECRET(json_cstr(a, json_get(p->root, "token")));
	s = json_i64(json_path(p->root, "runner_info.timeout"), 0);
	/* Ten years bound the arithmetic, not anybody's job. */
	p->timeout = (s > 0 && s < INT64_C(315360000) ? s : 7200) * NSEC_SEC;
	p->max_age = max_age_of(p->runner);
	p->short_token = json_cstr(a, json_get(p->runner, "short_token"));
	p->system_id = json_cstr(a, json_get(p->runner, "system_id"));
	p->url = json_cstr(a, json_get(p->runner, "url"));
	p->shell = json_cstr(a, json_get(p->runner, "shell"));
	p->gpus = json_str(a, json_get(p->docker, "gpus"));
	if (time_parse_rfc3339(json_str(a, json_get(p->runner, "received")), &p->received) < 0)
		p->received = wall_now();
	p->trace_sections = json_bool(json_path(p->root, "features.trace_sections"), false);
	p->timestamps = payload_flag(p, "FF_TIMESTAMPS", true);
	p->debug_trace = !json_bool(json_get(p->runner, "debug_trace_disabled"), false) &&
	    (debug_on(p, "CI_DEBUG_TRACE") || debug_on(p, "CI_DEBUG_SERVICES"));
	if (p->id <= 0 || !secret_is_set(p->token))
		return err_set(e, ERR_PARSE, 0, "payload.json: no job id or token in it");
	if (p->url[0] == '\0')
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
	struct json_val t;
	bool whole = read_json(dir, JOBFILE_TICKET, a, &t, e) == 0 && json_i64(json_get(t, "id"), 0) > 0;

	*p = (struct payload){ .arena = a, .root = JSON_NONE, .docker = JSON_NONE,
	    .timestamps = true };
	if (!whole && read_json(dir, JOBFILE_RUNNER, a, &t, e) < 0)
		t = JSON_NONE;
	if (whole) {
		p->id = json_i64(json_get(t, "id"), 0);
		p->token = SECRET(json_cstr(a, json_get(t, "token")));
	} else
		read_torn(dir, a, p);
	p->runner = t;
	/* The runner's own token is called so in runner.json: not the job's. */
	p->short_token = json_cstr(a, json_get(t, "short_token"));
	p->system_id = json_cstr(a, json_get(t, "system_id"));
	p->url = json_cstr(a, json_get(t, "url"));
	p->shell = json_cstr(a, json_get(t, "shell"));
	p->received = wall_now();
	p->max_age = max_age_of(p->runner);
	if (p->id <= 0 || !secret_is_set(p->token) || p->url[0] == '\0')
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

/* Of an object the named members alone, in the arena; what is valid JSON in parts is so as a whole. */
static struct json_val
keep_members(struct arena *a, struct json_val object, const char *const names[], size_t n)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct json_val v = JSON_NONE;

	jw_object(&w, NULL);
	for (size_t i = 0; i < n; i++)
		jw_raw(&w, names[i], json_raw(json_get(object, names[i])));
	jw_end_object(&w);
	json_parse(a, arena_str(a, buf_str(&b)), &v, NULL);
	buf_wipe(&b);
	return v;
}

void
payload_keep(struct payload *p, struct arena *a)
{
	static const char *const of_payload[] = { "features" }, *const of_runner[] = { "name", "final_update_tries" };

	p->root = keep_members(a, p->root, of_payload, NELEM(of_payload));
	p->runner = keep_members(a, p->runner, of_runner, NELEM(of_runner));
	p->docker = JSON_NONE;
	p->token = SECRET(arena_dup(a, str_from(secret_reveal(p->token))));
	p->short_token = arena_dup(a, str_from(p->short_token));
	p->system_id = arena_dup(a, str_from(p->system_id));
	p->url = arena_dup(a, str_from(p->url));
	p->shell = arena_dup(a, str_from(p->shell));
	p->gpus = arena_str(a, p->gpus);
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
