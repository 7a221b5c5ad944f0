/* A job's containers, volumes and network on its machine: see containers.h. */
#include "core/crash.h"
#include "core/log.h"
#include "job/run.h"

#define TIDY_LIMIT	(300 * NSEC_SEC)	/* spec job-execution 1.16 */
#define REMOVAL_LIMIT	(30 * NSEC_SEC)		/* for the removal of a container by somebody else */
#define LABEL_MANAGED	"com.gitlab.gitlab-runner.managed"
#define LABEL_JOB	"com.gitlab.gitlab-runner.job.id"

/* ---- which there are ---- */

static const char *const words[] = { [CONTAINER_BUILD] = "build", [CONTAINER_HELPER] = "helper" };

const char *
container_word(enum container_kind kind)
{
	return words[kind];
}

enum container_kind
container_kind_of(struct str word)
{
	for (size_t i = 0; i < NELEM(words); i++)
		if (str_eqc(word, words[i]))
			return (enum container_kind)i;
	return CONTAINER_OTHER;
}

struct container *
containers_find(const struct containers *cs, enum container_kind kind)
{
	for (size_t i = 0; i < cs->n; i++)
		if (cs->v[i].kind == kind)
			return &cs->v[i];
	return NULL;
}

struct container *
container_of(struct run *r, enum container_kind kind)
{
	return containers_find(&r->mem.containers, kind);
}

void
containers_plan(struct run *r)
{
	const char *const names[] = { [CONTAINER_BUILD] = r->work.build_name,
	    [CONTAINER_HELPER] = r->work.helper_name };
	struct containers old = r->mem.containers, *cs = &r->mem.containers;

	*cs = (struct containers){ arena_calloc(&r->arena, NELEM(names) + old.n, sizeof(*cs->v)),
	    0 };
	for (size_t i = 0; i < NELEM(names); i++) {
		const struct container *known = containers_find(&old, (enum container_kind)i);
		struct container *c = &cs->v[cs->n++];

		if (known != NULL)
			*c = *known;
		c->kind = (enum container_kind)i;
		c->name = names[i];
	}
	/* What a newer version made for this job goes with the rest at its end. */
	for (size_t i = 0; i < old.n; i++)
		if (old.v[i].kind == CONTAINER_OTHER &&
		    str_starts(str_from(old.v[i].name), r->work.random_name))
			cs->v[cs->n++] = old.v[i];
}

/* ---- making them ---- */

void
container_is_new(struct container *c)
{
	c->taken[0] = c->taken[1] = (struct taken){ 0 };
	c->together = 0;
	c->legacy = false;
	c->passage = (struct passage){ .begun = false };
}

static int
remove_container(struct run *r, const char *id, mono_t deadline, struct err *e)
{
	bool keep = r->job.runner.docker.volume_keep;
	char path[300];

	snprintf(path, sizeof(path), "/containers/%s?force=1%s", id, keep ? "" : "&v=1");
	if (engine_delete(r->api, path, deadline, e) == 0 ||
	    e->kind == ERR_NOTFOUND || e->kind == ERR_CONFLICT)
		return 0;
	return -1;
}

/*
 * A kept machine may hold containers of a job whose executor, bastion or network died: nobody else
 * would ever remove them (spec job-execution 11, Better).
 */
int
containers_sweep(struct run *r, struct err *e)
{
	struct json_val list;
	char own[24];

	if (reach_call(r, "GET", "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22" LABEL_MANAGED "%3Dtrue%22%5D%7D", STR_NULL, &list, e) < 0)
		return -1;
	snprintf(own, sizeof(own), "%" PRId64, r->job.id);
	JSON_EACH(c, list) {
		struct str job = json_str(&r->scratch, json_get(json_get(c, "Labels"), LABEL_JOB));
		struct err ignored = { 0 };

		if (str_eqc(job, own))
			continue;
		log_info("Removing a container that another job left on the machine",
		    F_STR("name", r->machine), F_VIEW("job", job));
		remove_container(r, json_cstr(&r->scratch, json_get(c, "Id")), call_deadline(r),
		    &ignored);
	}
	arena_reset(&r->scratch);
	return 0;
}

int
containers_make_network(struct run *r, struct err *e)
{
	struct buf body = { .max = 65536 };
	int rc;

	network_put_create(&r->work, engine_api(r->api), &body);
	rc = reach_call(r, "POST", "/networks/create", buf_str(&body), NULL, e);
	if (rc < 0 && (e->kind == ERR_CONFLICT || e->kind == ERR_AUTH))
		rc = 0;
	r->mem.networked = rc == 0;
	buf_free(&body);
	return rc < 0 ? err_ctx(e, "network of the job") : 0;
}

int
containers_make_volumes(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->volumes.n; i++) {
		struct buf body = { .max = 65536 };
		int rc;

		if (r->volumes.v[i].name == NULL)
			continue;
		volume_put_create(&r->work, &r->volumes.v[i], &body);
		rc = reach_call(r, "POST", "/volumes/create", buf_str(&body), NULL, e);
		buf_free(&body);
		if (rc < 0)
			return err_ctx(e, "volume for %s", r->volumes.v[i].destination);
	}
	return 0;
}

/*
 * Roots of fresh volumes belong to root; images with another user must be able to write there. One
 * archive of directory entries into the created, never started helper sets all their modes (spec
 * job-execution 1.11, Better).
 */
static int
open_volumes(struct run *r, const char *id, struct err *e)
{
	struct buf tar = { .max = 1u << 20 };
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < r->volumes.n; i++)
		if (r->volumes.v[i].name != NULL) {
			engine_tar_dir(&tar, r->volumes.v[i].destination + 1, 0777);
			any = true;
		}
	engine_tar_end(&tar);
	if (any)
		rc = engine_put_archive(r->api, id, "/", buf_str(&tar), call_deadline(r), e);
	buf_free(&tar);
	return rc < 0 ? err_ctx(e, "permissions of the volumes") : 0;
}

/*
 * An earlier life of this executor may have made it and died before noting its id, and somebody else
 * may be removing it: an engine keeps the name until that is over.
 */
static int
create(struct run *r, const struct container *c, const char *path, struct str body, struct json_val *v,
    struct err *e)
{
	mono_t until = mono_min(call_deadline(r), mono_after(REMOVAL_LIMIT));

	for (;;) {
		if (remove_container(r, c->name, call_deadline(r), e) < 0)
			return -1;
		if (reach_call(r, "POST", path, body, v, e) == 0)
			return 0;
		if (e->kind != ERR_CONFLICT || mono_passed(until) || net_pause(NSEC_SEC / 5, e) < 0)
			return -1;
	}
}

int
container_make(struct run *r, struct container *c, struct err *e)
{
	struct buf body = { .max = 4u << 20 };
	struct container_order o;
	struct json_val v;
	char path[300];
	int rc = -1;

	if (c->kind == CONTAINER_BUILD && prepare_build_image(r, e) < 0)
		return -1;
	r->failure = FAILURE_CONFIG;
	o = (struct container_order){ c->kind, str_from(c->image), engine_api(r->api), &r->volumes };
	if (container_put_create(&r->work, &o, &body, e) < 0)
		goto out;
	r->failure = FAILURE_NONE;
	snprintf(path, sizeof(path), "/containers/create?name=%s", c->name);
	rc = create(r, c, path, buf_str(&body), &v, e);
	if (rc < 0) {
		if (e->kind == ERR_REFUSED)
			r->failure = FAILURE_CONFIG;
		/*
		 * An image that went away between pull and create must not look like a container
		 * that vanished.
		 */
		if (e->kind == ERR_NOTFOUND)
			e->kind = ERR_SERVER;
		goto out;
	}
	str_copy(json_str(&r->scratch, json_get(v, "Id")), c->id, sizeof(c->id));
	container_is_new(c);
	if (c->kind == CONTAINER_HELPER && open_volumes(r, c->id, e) < 0)
		rc = -1;
out:
	buf_wipe(&body);
	arena_reset(&r->scratch);
	return rc < 0 ? err_ctx(e, "%s container", container_word(c->kind)) : 0;
}

void
container_make_ahead(struct run *r)
{
	struct container *c = container_of(r, CONTAINER_BUILD);
	enum failure of_stage = r->failure;
	struct err e = { 0 };

	if (c->id[0] == '\0' && c->image[0] != '\0' && container_make(r, c, &e) < 0)
		log_debug("The build container could not be made ahead of its time", F_ERR(&e));
	r->failure = of_stage;
}

/* ---- the end ---- */

static void
remove_network(struct run *r, mono_t deadline)
{
	char path[200];
	struct arena a = { 0 };
	struct json_val v;
	struct err e = { 0 };

	snprintf(path, sizeof(path), "/networks/%s", r->work.network_name);
	if (engine_delete(r->api, path, deadline, &e) == 0 || e.kind == ERR_NOTFOUND)
		return;
	/* The job put containers of its own there, through a mounted socket for example. */
	if (engine_get(r->api, path, &a, &v, deadline, &e) == 0)
		JSON_EACH(c, json_get(v, "Containers"))
			remove_container(r, arena_dup(&a, json_key(&a, c)), deadline, &e);
	if (engine_delete(r->api, path, deadline, &e) < 0 && e.kind != ERR_NOTFOUND) {
		log_warn("Network of the job could not be removed",
		    F_STR("network", r->work.network_name), F_ERR(&e));
		r->dirty = true;
	}
	arena_reset(&a);
}

static bool
any_made(const struct run *r)
{
	for (size_t i = 0; i < r->mem.containers.n; i++)
		if (r->mem.containers.v[i].id[0] != '\0')
			return true;
	return false;
}

/*
 * By their names: one may have been made by a life of this executor that died before it noted the
 * id.
 */
static int
remove_all(struct run *r, mono_t deadline, struct err *e)
{
	for (size_t i = 0; i < r->mem.containers.n; i++)
		if (remove_container(r, r->mem.containers.v[i].name, deadline, e) < 0)
			return -1;
	return 0;
}

void
containers_tidy(struct run *r)
{
	mono_t deadline = mono_after(TIDY_LIMIT);
	struct err e = { 0 };

	for (size_t i = 0; i < PULLERS; i++)
		puller_end(&r->pullers[i]);
	net_control(-1);
	/* Nothing was made, or the machine is out of reach: then it is dirty, and goes. */
	if (r->api == NULL || (r->mem.stage->where == STAGE_ENGINE && !any_made(r)))
		return;
	if (remove_all(r, deadline, &e) < 0) {
		log_warn("Containers of the job could not be removed: the machine will not be used "
		    "again", F_STR("name", r->machine), F_ERR(&e));
		r->dirty = true;
		return;
	}
	crash_point("executor:containers-removed");
	if (r->volumes.n == 0)
		volumes_plan(&r->work, &r->volumes, &e);
	for (size_t i = 0; i < r->volumes.n; i++) {
		char path[300];

		if (!r->volumes.v[i].temporary)
			continue;
		snprintf(path, sizeof(path), "/volumes/%s?force=1", r->volumes.v[i].name);
		if (engine_delete(r->api, path, deadline, &e) < 0 && e.kind != ERR_NOTFOUND) {
			log_warn("Volume of the job could not be removed",
			    F_STR("volume", r->volumes.v[i].name), F_ERR(&e));
			r->dirty = true;
		}
	}
	if (r->mem.networked)
		remove_network(r, deadline);
}
