/* Trying an engine out: see probe.h. */
#include "core/log.h"
#include "docker/probe.h"
#include "policy/fault.h"

/* Our mark on containers (job/container.c): what a probe leaves behind, the next job sweeps. */
#define LABEL_MANAGED	"com.gitlab.gitlab-runner.managed"
#define NAME		"windlass-check"
#define EMPTY_IMAGE	"windlass-check"

/* A pax record: "LENGTH key=value\n", where LENGTH counts itself. */
static void
put_record(struct buf *b, const char *key, uint64_t value)
{
	char rest[64];
	int n = snprintf(rest, sizeof(rest), " %s=%" PRIu64 "\n", key, value), all = n + 2;

	/* Every record here has two digits. */
	buf_fmt(b, "%d%s", all, rest);
}

void
probe_put_tar(struct buf *tar, uint64_t bytes)
{
	struct buf pax = { .max = 512 }, map = { .max = 512 };

	put_record(&pax, "GNU.sparse.major", 1);
	put_record(&pax, "GNU.sparse.minor", 0);
	put_record(&pax, "GNU.sparse.realsize", bytes);
	/* One piece of data, without a byte in it, at the end: all before it is a hole. */
	buf_fmt(&map, "1\n%" PRIu64 "\n0\n", bytes);
	while (map.n < 512)
		buf_putc(&map, '\0');
	engine_tar_pax(tar, buf_str(&pax));
	engine_tar_file(tar, NAME, buf_str(&map), 0600);
	engine_tar_end(tar);
	buf_free(&pax);
	buf_free(&map);
}

/* An image to make a container of: any that is there, else one without a file in it. */
static int
find_image(struct engine *g, struct arena *a, char **id, mono_t deadline, struct err *e)
{
	struct engine_req q = { .method = "POST",
	    .path = "/images/create?fromSrc=-&repo=" EMPTY_IMAGE };
	struct buf tar = { .max = 4096 };
	struct json_val v;
	int rc;

	if (engine_get(g, "/images/json", a, &v, deadline, e) < 0)
		return -1;
	*id = json_cstr(a, json_get(json_at(v, 0), "Id"));
	if ((*id)[0] != '\0')
		return 0;
	engine_tar_end(&tar);
	*id = arena_dup(a, STR(EMPTY_IMAGE));
	q.body = buf_str(&tar);
	rc = engine_call(g, &q, a, &v, deadline, e);
	buf_free(&tar);
	if (rc == 0 && json_str(a, json_get(v, "error")).n > 0)
		rc = err_set(e, ERR_SERVER, 0, "docker engine: %.400s", json_cstr(a, json_get(v, "error")));
	return rc;
}

static int
create(struct engine *g, struct arena *a, const char *image, char **id, mono_t deadline, struct err *e)
{
	char *body = arena_fmt(a, "{\"Image\":\"%s\",\"Cmd\":[\"true\"],\"Labels\":{\"" LABEL_MANAGED "\":\"true\"},"
	    "\"HostConfig\":{\"NetworkMode\":\"none\"}}", image);
	const struct engine_req q = { "POST", "/containers/create?name=" NAME, str_from(body) };
	struct json_val v;
	int rc;

	for (int i = 0; ; i++) {
		rc = engine_call(g, &q, a, &v, deadline, e);
		/* A probe that died before its end left it. */
		if (rc == 0 || e->kind != ERR_CONFLICT || i > 0)
			break;
		(void)engine_delete(g, "/containers/" NAME "?force=1&v=1", deadline, NULL);
	}
	if (rc == 0)
		*id = json_cstr(a, json_get(v, "Id"));
	return rc;
}

static int
try_out(struct engine *g, struct arena *a, mono_t deadline, struct err *e)
{
	struct buf tar = { .max = 8192 };
	char *image = NULL, *id = NULL;
	int rc;

	if (find_image(g, a, &image, deadline, e) < 0 || create(g, a, image, &id, deadline, e) < 0)
		return -1;
	probe_put_tar(&tar, PROBE_BYTES);
	rc = engine_put_archive(g, id, "/", buf_str(&tar), deadline, e);
	buf_free(&tar);
	/* The first fault is told; the next job sweeps what stays. */
	if (engine_delete(g, arena_fmt(a, "/containers/%s?force=1&v=1", id), deadline,
	    rc < 0 ? NULL : e) < 0)
		rc = -1;
	return rc;
}

int
engine_probe(struct engine *g, mono_t deadline, struct err *e)
{
	struct arena a = { 0 };
	int rc = try_out(g, &a, deadline, e);

	arena_reset(&a);
	if (rc < 0 && e->kind != ERR_SERVER && e->kind != ERR_CANCELLED && !engine_lost(e) && fault_of_err(e) == FAULT_NONE) {
		log_debug("The engine could not be tried out", F_ERR(e));
		*e = (struct err){ 0 };
		return 0;
	}
	return rc < 0 ? err_ctx(e, "trying the engine out") : 0;
}
