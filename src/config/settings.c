/* runner.json by the table of keys: see settings.h. */
#include "config/config.h"
#include "config/keys.h"
#include "config/settings.h"

/* How a key's type stands in JSON. */
#define JSON_STRING_(s, id)	FIELD(s, STR, #id, id),
#define JSON_INT_(s, id)	FIELD(s, INT, #id, id),
#define JSON_BOOL_(s, id)	FIELD(s, BOOL, #id, id),
#define JSON_DURATION_(s, id)	FIELD(s, SECONDS, #id "_s", id),
#define JSON_STRINGS_(s, id)	FIELD(s, LIST, #id, id),
#define JSON_TABLE_(s, id)	FIELD(s, MAP, #id, id),
#define JSON_BOOLS_(s, id)	FIELD(s, BOOLS, #id, id),
#define JSON_TABLES_(s, id)	FIELD(s, RAW, #id, id),

#define IN_SETTINGS(S, id, text, type, ...)	JSON_##type##_(struct job_settings, id)
#define IN_DOCKER(S, id, text, type, ...)	JSON_##type##_(struct docker_settings, id)

static const struct field docker_fields[] = {
	DOCKER_KEYS(IN_DOCKER, IN_DOCKER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
};

static const struct field fields[] = {
	GLOBAL_KEYS(KEY_SKIP, IN_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	RUNNER_KEYS(KEY_SKIP, IN_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	BUILD_DIR_KEYS(KEY_SKIP, IN_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	FIELD(struct job_settings, SECRET, "token", token),
	FIELD(struct job_settings, STR, "store", store),
	FIELD(struct job_settings, STR, "instance", instance),
	FIELD(struct job_settings, FLOAT, "queued_s", queued_s),
	FIELD(struct job_settings, STR_IF, "correlation_id", correlation_id),
#define IN_TICKET	8	/* the last rows: ticket.json has them too */
	FIELD(struct job_settings, STR, "short_token", short_token),
	FIELD(struct job_settings, STR, "system_id", system_id),
	FIELD(struct job_settings, STR, "url", url),
	FIELD(struct job_settings, STR, "runner_key", runner_key),
	FIELD(struct job_settings, TIME, "received", received),
	FIELD(struct job_settings, STR_IF, "tls_ca", tls_ca),
	FIELD(struct job_settings, STR_IF, "tls_cert", tls_cert),
	FIELD(struct job_settings, STR_IF, "tls_key", tls_key),
};
static const struct field *const ticket_fields = &fields[NELEM(fields) - IN_TICKET];

/* Objects: each has a table of its own. */
static const struct field objects[] = { FIELD_NAME("docker"), FIELD_NAME("job") };
enum { DOCKER, ABOUT };

static const struct field plan_fields[] = {
	FIELD(struct poller_plan, STR, "tls_ca_file", tls_ca_file),
	FIELD(struct poller_plan, STR, "tls_cert_file", tls_cert_file),
	FIELD(struct poller_plan, STR, "tls_key_file", tls_key_file),
};
static const char plan_runner[] = "runner";

static const struct field about_fields[] = {
	FIELD(struct job_about, STR, "name", name),
	FIELD(struct job_about, STR, "stage", stage),
	FIELD(struct job_about, STR, "project", project),
	FIELD(struct job_about, STR_IF, "url", url),
	FIELD(struct job_about, STR, "project_running", project_running),
	FIELD(struct job_about, INT, "queue_size", queue_size),
	FIELD(struct job_about, INT, "queue_depth", queue_depth),
};

#define COPY(S, id, ...)	s->id = from->id;

static void
copy_global(const struct config *from, struct job_settings *s)
{
	GLOBAL_KEYS(KEY_SKIP, COPY, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
}

static void
copy_runner(const struct runner *from, struct job_settings *s)
{
	RUNNER_KEYS(KEY_SKIP, COPY, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	BUILD_DIR_KEYS(KEY_SKIP, COPY, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	s->docker = from->docker;
}

void
settings_init(struct job_settings *s)
{
	struct config c = { 0 };
	struct runner r = { 0 };

	key_defaults(KS_GLOBAL, &c);
	key_defaults(KS_RUNNER, &r);
	key_defaults(KS_BUILD_DIR, &r);
	key_defaults(KS_DOCKER, &r.docker);
	*s = (struct job_settings){ .short_token = "", .system_id = "", .url = "", .store = "", .runner_key = "",
	    .instance = "", .queued_s = -1, .correlation_id = "", .tls_ca = "", .tls_cert = "", .tls_key = "",
	    .about = { "", "", "", "", "", -1, -1 } };
	copy_global(&c, s);
	copy_runner(&r, s);
}

void
settings_of(const struct config *c, const struct runner *r, struct job_settings *s)
{
	settings_init(s);
	copy_global(c, s);
	copy_runner(r, s);
	s->short_token = r->short_token;
	s->url = r->base_url;
	s->runner_key = r->key;
	s->instance = r->instance;
	s->token = r->token;
}

void
settings_read(struct arena *a, struct json_val v, struct job_settings *s)
{
	struct json_val docker = json_get(v, objects[DOCKER].key);

	settings_init(s);
	fields_read(a, v, fields, NELEM(fields), s);
	s->rest = fields_unknown(a, v, fields, NELEM(fields), objects, NELEM(objects));
	fields_read(a, docker, docker_fields, NELEM(docker_fields), &s->docker);
	s->docker.rest = fields_unknown(a, docker, docker_fields, NELEM(docker_fields), NULL, 0);
	fields_read(a, json_get(v, objects[ABOUT].key), about_fields, NELEM(about_fields), &s->about);
}

void
settings_write(struct json_w *w, const struct job_settings *s)
{
	fields_write(w, fields, NELEM(fields), s);
	jw_object(w, objects[DOCKER].key);
	fields_write_set(w, docker_fields, NELEM(docker_fields), &s->docker);
	fields_write_unknown(w, s->docker.rest);
	jw_end_object(w);
	jw_object(w, objects[ABOUT].key);
	fields_write(w, about_fields, NELEM(about_fields), &s->about);
	jw_end_object(w);
	fields_write_unknown(w, s->rest);
}

/* A runner's name is a key, and in the ticket too. */
static const struct field *
name_field(void)
{
	const struct field *f = fields;

	while (f->offset != offsetof(struct job_settings, name))
		f++;
	return f;
}

void
settings_read_ticket(struct arena *a, struct json_val v, struct job_settings *s)
{
	settings_init(s);
	fields_read(a, v, name_field(), 1, s);
	fields_read(a, v, ticket_fields, IN_TICKET, s);
}

void
settings_write_ticket(struct json_w *w, const struct job_settings *s)
{
	fields_write(w, name_field(), 1, s);
	fields_write(w, ticket_fields, IN_TICKET, s);
}

void
plan_read(struct arena *a, struct json_val v, struct poller_plan *p)
{
	p->tls_ca_file = p->tls_cert_file = p->tls_key_file = "";
	fields_read(a, v, plan_fields, NELEM(plan_fields), p);
	settings_read(a, json_get(v, plan_runner), &p->runner);
}

void
plan_write(struct json_w *w, const struct poller_plan *p)
{
	jw_object(w, NULL);
	fields_write(w, plan_fields, NELEM(plan_fields), p);
	jw_object(w, plan_runner);
	settings_write(w, &p->runner);
	jw_end_object(w);
	jw_end_object(w);
}
