/*
 * [runners.docker], asked of the code that will use it: each key is given to
 * the executor's own functions in a job that does nothing, so that what is
 * refused here is what would be refused there, and in its words. See check.h.
 */
#include "cmd/check.h"
#include "job/container.h"
#include "wire/imageref.h"
#include "wire/tomljson.h"

#define API_MINOR	41		/* the engine of Debian 12; what is refused does not depend on it */

static const char payload_text[] =
	"{\"id\":1,\"token\":\"check\",\"job_info\":{\"project_id\":1,\"project_name\":\"check\"},\"variables\":[],"
	"\"steps\":[{\"name\":\"script\",\"script\":[\"true\"]}]}";

/* A job of this runner, with a docker table and feature flags of our choice. */
static void
make_work(struct check *c, const struct runner *r, struct str docker, struct str flags, struct payload *p, struct work *w)
{
	char *runner = arena_fmt(&c->arena, "{\"docker\":%.*s,\"feature_flags\":%.*s,\"executor\":\"docker+machine\"}", STR_ARG(docker), STR_ARG(flags));
	struct err e = { 0 };

	*p = (struct payload){ .arena = &c->arena, .id = 1, .token = SECRET(arena_dup(&c->arena, STR("check"))),
		.timeout = 3600 * NSEC_SEC,
		.short_token = arena_dup(&c->arena, str_from(r->short_token)), .system_id = arena_dup(&c->arena, STR("")),
		.url = arena_dup(&c->arena, str_from(r->base_url)), .shell = arena_dup(&c->arena, STR("bash")), .gpus = STR("") };
	if (json_parse(&c->arena, STR(payload_text), &p->root, &e) < 0 || json_parse(&c->arena, str_from(runner), &p->runner, &e) < 0)
		assert(!"our own JSON");
	p->docker = json_get(p->runner, "docker");
	work_init(w, p, "check", "0123456789abcdef", 0);
}

/* What the executor has to say to a docker table. 0 or -1. */
static int
try_docker(struct check *c, const struct runner *r, struct str docker, struct err *e)
{
	static const enum container_kind kinds[] = { CONTAINER_BUILD, CONTAINER_HELPER };
	struct payload p;
	struct volumes vs;
	struct work w;

	make_work(c, r, docker, STR("{}"), &p, &w);
	if (volumes_plan(&w, &vs, e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(kinds); i++) {
		struct buf body = { .max = 4u << 20 };
		const struct container_order o = { kinds[i], STR("image"), API_MINOR, &vs };
		int rc = container_put_create(&w, &o, &body, e);

		buf_wipe(&body);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* A docker table of one key; `only` picks one member of a list. */
static struct str
table_of(struct check *c, const char *name, const struct toml *v, const struct toml *only)
{
	struct buf b = { .max = 8u << 20 };
	struct json_w w = { .b = &b };
	struct str out;

	jw_object(&w, NULL);
	if (only != NULL) {
		jw_array(&w, name);
		jw_toml(&w, STR_NULL, only);
		jw_end_array(&w);
	} else {
		jw_toml(&w, str_from(name), v);
	}
	jw_end_object(&w);
	out = arena_str(&c->arena, buf_str(&b));
	buf_wipe(&b);
	return out;
}

/* seccomp=FILE is read for each job: a profile that is not there today fails jobs, not the entry. */
static bool
names_files(const struct key *k)
{
	return strcmp(k->name, "security_opt") == 0;
}

static struct str
whole_table(struct check *c, const struct toml *docker)
{
	struct buf b = { .max = 8u << 20 };
	struct json_w w = { .b = &b };
	struct str out;

	jw_object(&w, NULL);
	TOML_EACH(v, docker) {
		const struct key *k = key_find(KS_DOCKER, v->key);

		if (k != NULL && !names_files(k))
			jw_toml(&w, str_from(k->name), v);
	}
	jw_end_object(&w);
	out = arena_str(&c->arena, buf_str(&b));
	buf_wipe(&b);
	return out;
}

static enum check_level
level_of(const struct key *k, const struct err *e)
{
	return names_files(k) ? CHECK_WARNING : check_level_of(e);
}

static bool
try_key(struct check *c, const struct runner *r, const struct key *k, const struct toml *v)
{
	bool good = true;
	struct err e = { 0 };

	if (k->type == KEY_STRINGS && v->type == TOML_ARRAY && v->n > 0) {
		TOML_EACH(m, v)
			if (try_docker(c, r, table_of(c, k->name, v, m), &e) < 0) {
				check_say(c, level_of(k, &e), CHECK_REFUSED, CHECK_AT_KEY(k, m->line), "%s", e.msg);
				good = false;
			}
		if (!good)
			return false;
	}
	if (try_docker(c, r, table_of(c, k->name, v, NULL), &e) < 0) {
		check_say(c, level_of(k, &e), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "%s", e.msg);
		good = false;
	}
	return good;
}

static void
check_flags(struct check *c, const struct runner *r)
{
	struct payload p;
	struct work w;

	TOML_EACH(v, r->feature_flags) {
		struct check_at where = { v->line, "[runners.feature_flags]", arena_dup(&c->arena, v->key) };
		struct buf b = { .max = 1024 };
		struct json_w j = { .b = &b };

		jw_object(&j, NULL);
		jw_rawkey(&j, v->key, STR("true"));
		jw_end_object(&j);
		make_work(c, r, STR("{}"), arena_str(&c->arena, buf_str(&b)), &p, &w);
		buf_free(&b);
		if (!work_flag(&w, where.key))
			check_say(c, CHECK_WARNING, CHECK_UNKNOWN, where, "no feature flag that this version knows");
	}
}

/* A name that is no image's fails each job that takes it. Variables are put in by the job. */
static void
check_image(struct check *c, enum key_section section, const char *name, const struct toml *t)
{
	const struct toml *v = toml_get(t, name);
	struct imageref ref;
	struct err e = { 0 };

	if (v != NULL && v->type == TOML_STRING && v->s.n > 0 && str_chr(v->s, '$') < 0 && imageref_parse(v->s, &ref, &e) < 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(section, name, t), "\"%.*s\": %s; jobs that take it will fail", STR_ARG(v->s), e.msg);
}

static void
check_images(struct check *c, const struct toml *docker)
{
	const struct toml *services = toml_get(docker, "services");

	check_image(c, KS_DOCKER, "image", docker);
	check_image(c, KS_DOCKER, "helper_image", docker);
	if (services != NULL && services->type == TOML_ARRAY)
		TOML_EACH(t, services)
			check_image(c, KS_SERVICES, "name", t);
}

static bool
list_has(const struct toml *list, struct str s)
{
	TOML_EACH(m, list)
		if (str_eq(m->s, s))
			return true;
	return list != NULL && list->type == TOML_STRING && str_eq(list->s, s);
}

static void
check_policies(struct check *c, const struct toml *docker)
{
	const struct toml *policy = toml_get(docker, "pull_policy"), *allowed = toml_get(docker, "allowed_pull_policies");

	if (policy == NULL || allowed == NULL || allowed->n == 0)
		return;
	if (policy->type == TOML_STRING && !list_has(allowed, policy->s))
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(KS_DOCKER, "pull_policy", docker), "\"%.*s\" is not among allowed_pull_policies: jobs that name no policy fail", STR_ARG(policy->s));
	if (policy->type == TOML_ARRAY)
		TOML_EACH(m, policy)
			if (!list_has(allowed, m->s))
				check_say(c, CHECK_WARNING, CHECK_TRAP, (struct check_at){ m->line, key_section_title(KS_DOCKER), "pull_policy" },
				    "\"%.*s\" is not among allowed_pull_policies and is left out", STR_ARG(m->s));
}

void
check_docker(struct check *c, const struct runner *r, const struct toml *docker)
{
	const struct toml *image = toml_get(docker, "image"), *privileged = toml_get(docker, "privileged"),
	    *cache = toml_get(docker, "disable_cache");
	bool good = true;
	struct err e = { 0 };

	TOML_EACH(v, docker) {
		const struct key *k = key_find(KS_DOCKER, v->key);

		/* A user alone may not be among the users allowed; with all keys it is seen. */
		if (k != NULL && k->use == KEY_YES && key_type_fits(k, v) && strcmp(k->name, "user") != 0 && !(c->judging && names_files(k)))
			good = try_key(c, r, k, v) && good;
	}
	if (good && try_docker(c, r, whole_table(c, docker), &e) < 0)
		check_say(c, check_level_of(&e), CHECK_REFUSED, CHECK_AT_LINE(docker->line), "%s", e.msg);
	if (image == NULL || image->type != TOML_STRING || image->s.n == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(KS_DOCKER, "image", docker), "it is missing: jobs that name no image will fail");
	if (toml_get(docker, "allowed_privileged_images") != NULL && (privileged == NULL || !privileged->b))
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(KS_DOCKER, "allowed_privileged_images", docker), "without effect while privileged is not true");
	if (cache != NULL && cache->b)
		TOML_EACH(m, toml_get(docker, "volumes"))
			if (m->type == TOML_STRING && str_eqc(m->s, "/cache"))
				check_say(c, CHECK_INFO, CHECK_TRAP, (struct check_at){ m->line, key_section_title(KS_DOCKER), "volumes" },
				    "\"/cache\" is emptied after each job, as disable_cache is true");
	check_policies(c, docker);
	check_images(c, docker);
	if (!c->judging)
		check_flags(c, r);
}
