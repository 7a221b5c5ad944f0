/*
 * [runners.docker], asked of the code that will use it: each key is given to
 * the executor's own functions in a job that does nothing, so that what is
 * refused here is what would be refused there, and in its words. See check.h.
 */
#include "cmd/check.h"
#include "job/container.h"
#include "wire/imageref.h"

#define API_MINOR	41		/* the engine of Debian 12; what is refused does not depend on it */

static const char payload_text[] =
	"{\"id\":1,\"token\":\"check\",\"job_info\":{\"project_id\":1,\"project_name\":\"check\"},\"variables\":[],"
	"\"steps\":[{\"name\":\"script\",\"script\":[\"true\"]}]}";

/* A job of this runner, with a docker table and feature flags of our choice. */
static void
make_work(struct check *c, const struct runner *r, const struct docker_settings *docker, struct field_map flags, struct payload *p, struct work *w)
{
	struct err e = { 0 };

	*p = (struct payload){ .arena = &c->arena, .id = 1, .token = SECRET("check"), .timeout = 3600 * NSEC_SEC };
	settings_init(&p->runner);
	p->runner.short_token = r->short_token;
	p->runner.url = r->base_url;
	p->runner.docker = *docker;
	p->runner.feature_flags = flags;
	if (json_parse(&c->arena, STR(payload_text), &p->root, &e) < 0)
		assert(!"our own JSON");
	work_init(w, p, "check", "0123456789abcdef", 0);
}

/* What the executor has to say to a docker table. 0 or -1. */
static int
try_docker(struct check *c, const struct runner *r, const struct docker_settings *docker, struct err *e)
{
	static const enum container_kind kinds[] = { CONTAINER_BUILD, CONTAINER_HELPER };
	struct payload p;
	struct volumes vs;
	struct work w;

	make_work(c, r, docker, (struct field_map){ NULL, 0 }, &p, &w);
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

/* seccomp=FILE is read for each job: a profile that is not there today fails jobs, not the entry. */
static bool
names_files(const struct key *k)
{
	return k == &keys[K_DOCKER_security_opt];
}

/* The table of one key; of a list, that of its entry `only`, or of all (-1). */
static int
try_one(struct check *c, const struct runner *r, const struct key *k, const struct toml *v, ssize_t only, struct err *e)
{
	struct docker_settings d = { .rest = STR_NULL };
	struct field_list *l = (struct field_list *)(void *)((char *)&d + k->offset);

	key_defaults(KS_DOCKER, &d);
	if (key_set(&c->arena, k, v, &d, e) < 0)
		return -1;
	if (only >= 0)
		*l = (struct field_list){ .v = &l->v[only], .n = 1 };
	return try_docker(c, r, &d, e);
}

/* All that is honoured and names no file. A value that does not fit has been told. */
static int
try_all(struct check *c, const struct runner *r, const struct toml *docker, struct err *e)
{
	struct docker_settings d = { .rest = STR_NULL };

	key_defaults(KS_DOCKER, &d);
	TOML_EACH(v, docker) {
		const struct key *k = key_find(KS_DOCKER, v->key);

		if (k != NULL && !names_files(k) && key_type_fits(k, v) && key_set(&c->arena, k, v, &d, e) < 0)
			return -1;
	}
	return try_docker(c, r, &d, e);
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

	if (k->offset == KEY_NOFIELD)
		return true;
	if (k->type == KEY_STRINGS && v->type == TOML_ARRAY && v->n > 0) {
		ssize_t i = 0;

		TOML_EACH(m, v)
			if (try_one(c, r, k, v, i++, &e) < 0) {
				check_say(c, level_of(k, &e), CHECK_REFUSED, CHECK_AT_KEY(k, m->line), "%s", e.msg);
				good = false;
			}
		if (!good)
			return false;
	}
	if (try_one(c, r, k, v, -1, &e) < 0) {
		check_say(c, level_of(k, &e), CHECK_REFUSED, CHECK_AT_KEY(k, v->line), "%s", e.msg);
		good = false;
	}
	return good;
}

static void
check_flags(struct check *c, const struct runner *r, const struct toml *flags)
{
	struct docker_settings none = { .rest = STR_NULL };
	struct payload p;
	struct work w;

	key_defaults(KS_DOCKER, &none);
	TOML_EACH(v, flags) {
		struct check_at where = { v->line, "[runners.feature_flags]", arena_dup(&c->arena, v->key) };
		struct field_pair on = { where.key, "true" };

		make_work(c, r, &none, (struct field_map){ &on, 1 }, &p, &w);
		if (!work_flag(&w, where.key))
			check_say(c, CHECK_WARNING, CHECK_UNKNOWN, where, "no feature flag that this version knows");
	}
}

/* A name that is no image's fails each job that takes it. Variables are put in by the job. */
static void
check_image(struct check *c, enum key_id id, const struct toml *t)
{
	const struct toml *v = key_value(id, t);
	struct imageref ref;
	struct err e = { 0 };

	if (v != NULL && v->type == TOML_STRING && v->s.n > 0 && str_chr(v->s, '$') < 0 && imageref_parse(v->s, &ref, &e) < 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(id, t), "\"%.*s\": %s; jobs that take it will fail", STR_ARG(v->s), e.msg);
}

static void
check_images(struct check *c, const struct toml *docker)
{
	const struct toml *services = key_value(K_DOCKER_services, docker);

	check_image(c, K_DOCKER_image, docker);
	check_image(c, K_DOCKER_helper_image, docker);
	if (services != NULL && services->type == TOML_ARRAY)
		TOML_EACH(t, services)
			check_image(c, K_SERVICES_name, t);
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
	const struct toml *policy = key_value(K_DOCKER_pull_policy, docker), *allowed = key_value(K_DOCKER_allowed_pull_policies, docker);

	if (policy == NULL || allowed == NULL || allowed->n == 0)
		return;
	if (policy->type == TOML_STRING && !list_has(allowed, policy->s))
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_DOCKER_pull_policy, docker), "\"%.*s\" is not among allowed_pull_policies: jobs that name no policy fail", STR_ARG(policy->s));
	if (policy->type == TOML_ARRAY)
		TOML_EACH(m, policy)
			if (!list_has(allowed, m->s))
				check_say(c, CHECK_WARNING, CHECK_TRAP, CHECK_AT_KEY(&keys[K_DOCKER_pull_policy], m->line),
				    "\"%.*s\" is not among allowed_pull_policies and is left out", STR_ARG(m->s));
}

void
check_docker(struct check *c, const struct runner *r, const struct toml *docker, const struct toml *flags)
{
	const struct toml *image = key_value(K_DOCKER_image, docker), *privileged = key_value(K_DOCKER_privileged, docker),
	    *cache = key_value(K_DOCKER_disable_cache, docker);
	bool good = true;
	struct err e = { 0 };

	TOML_EACH(v, docker) {
		const struct key *k = key_find(KS_DOCKER, v->key);

		/* A user alone may not be among the users allowed; with all keys it is seen. */
		if (k != NULL && k->use == KEY_YES && key_type_fits(k, v) && k != &keys[K_DOCKER_user] && !(c->judging && names_files(k)))
			good = try_key(c, r, k, v) && good;
	}
	if (good && try_all(c, r, docker, &e) < 0)
		check_say(c, check_level_of(&e), CHECK_REFUSED, CHECK_AT_LINE(docker->line), "%s", e.msg);
	if (image == NULL || image->type != TOML_STRING || image->s.n == 0)
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_DOCKER_image, docker), "it is missing: jobs that name no image will fail");
	if (key_value(K_DOCKER_allowed_privileged_images, docker) != NULL && (privileged == NULL || !privileged->b))
		check_say(c, CHECK_WARNING, CHECK_TRAP, check_at(K_DOCKER_allowed_privileged_images, docker), "without effect while privileged is not true");
	if (cache != NULL && cache->b)
		TOML_EACH(m, key_value(K_DOCKER_volumes, docker))
			if (m->type == TOML_STRING && str_eqc(m->s, "/cache"))
				check_say(c, CHECK_INFO, CHECK_TRAP, CHECK_AT_KEY(&keys[K_DOCKER_volumes], m->line),
				    "\"/cache\" is emptied after each job, as disable_cache is true");
	check_policies(c, docker);
	check_images(c, docker);
	if (!c->judging)
		check_flags(c, r, flags);
}
