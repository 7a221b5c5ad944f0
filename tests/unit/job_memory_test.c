/* job/memory: stage.json of another version: what it does not know it keeps, what it must know it refuses to guess. */
#include <unistd.h>

#include "core/fs.h"
#include "job/run.h"
#include "tap.h"

#define PAYLOAD	"{\"id\":7,\"token\":\"glcbt-jobtokenjobtoken\",\"variables\":[]}"

static int dir = -1;

static void
begin(struct run *r)
{
	*r = (struct run){ .dir = dir, .out = { .fd = -1 }, .job = { .arena = &r->arena, .id = 7, .timeout = NSEC_SEC } };
	json_parse(&r->arena, STR(PAYLOAD), &r->job.root, NULL);
	r->job.token = SECRET(arena_dup(&r->arena, STR("glcbt-jobtokenjobtoken")));
	r->job.short_token = arena_dup(&r->arena, STR("abcdef"));
	r->job.system_id = arena_dup(&r->arena, STR("s_1"));
	r->job.url = arena_dup(&r->arena, STR("https://gitlab.example"));
	r->job.shell = arena_dup(&r->arena, STR("bash"));
	work_init(&r->work, &r->job, "runner-x-1", "0123456789abcdef", 0);
}

static void
end(struct run *r)
{
	if (r->out.fd >= 0)
		close(r->out.fd);
	tl_free(&r->out.out);
	tl_free(&r->out.err);
	tl_free(&r->out.own);
	tl_sink_free(&r->out.sink);
	mask_set_free(r->out.set);
	buf_free(&r->out.pending);
	buf_free(&r->work.warnings);
	arena_reset(&r->arena);
}

static int
take(struct run *r, const char *stage_json, struct json_val *saved, int64_t *trace, struct err *e)
{
	fs_write_fast(dir, "stage.json", str_from(stage_json), 0600, NULL);
	fs_write_fast(dir, "trace", STR("begun\n"), 0600, NULL);
	begin(r);
	return memory_read(r, saved, trace, e);
}

static void
test_refused(void)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "{\"v\":1,\"trace\":0,\"stage\":\"restore_cache\",\"phase\":\"enter\",\"output\":{}}", "no stage that exists" },
		{ "{\"v\":1,\"trace\":0,\"stage\":\"\",\"phase\":\"enter\",\"output\":{}}", "no stage that exists" },
		{ "{\"v\":1,\"trace\":0,\"phase\":\"enter\",\"output\":{}}", "no stage that exists" },
		{ "{\"v\":1,\"trace\":0,\"stage\":7,\"phase\":\"enter\",\"output\":{}}", "no stage that exists" },
		{ "{\"v\":1,\"trace\":0,\"stage\":\"step\",\"phase\":\"frozen\",\"output\":{}}", "no phase that exists" },
		{ "{\"v\":1,\"trace\":0,\"stage\":\"step\",\"output\":{}}", "no phase that exists" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct json_val saved;
		struct err e = { 0 };
		int64_t trace;
		struct run r;

		is_int(take(&r, cases[i].text, &saved, &trace, &e), -1, "refused %zu", i);
		ok(e.kind == ERR_PARSE && strstr(e.msg, cases[i].why) != NULL, "  and says: %s", e.msg);
		end(&r);
	}
}

static void
test_kept(void)
{
	static const char text[] = "{\"v\":1,\"later\":{\"a\":[1,2.50]},\"trace\":6,\"stage\":\"step\",\"phase\":\"started\",\"step\":0,\"attempt\":1,"
	    "\"tag\":\"0123456789abcdef\",\"more\\n\":null,\"output\":{}}";
	struct buf b = { 0 };
	struct json_val saved;
	struct err e = { 0 };
	int64_t trace;
	struct run r;

	for (int again = 0; again < 2; again++) {
		is_int(again ? (begin(&r), memory_read(&r, &saved, &trace, &e)) : take(&r, text, &saved, &trace, &e), 1, "read %s", e.msg);
		is_str(r.mem.stage->name, "step", "  its stage");
		is_int(r.mem.phase, PHASE_STARTED, "  its phase");
		ok(output_resume(&r.out, dir, &r.work, trace, saved, &e) == 0, "  its trace %s", e.msg);
		commit(&r);
		end(&r);
		buf_clear(&b);
		fs_read(dir, "stage.json", 65536, &b, &e);
		ok(strstr(b.p, "\"later\":{\"a\":[1,2.50]}") != NULL && strstr(b.p, "\"more\\n\":null") != NULL, "  what it does not know is kept: %s", b.p);
		ok(strstr(strstr(b.p, "\"later\"") + 1, "\"later\"") == NULL && strstr(strstr(b.p, "\"tag\"") + 1, "\"tag\"") == NULL, "  once");
	}
	buf_free(&b);
}

int
main(void)
{
	char name[] = "/tmp/job_memory_test.XXXXXX";

	if (mkdtemp(name) == NULL || (dir = fs_opendir(AT_FDCWD, name, NULL)) < 0)
		return 1;
	test_refused();
	test_kept();
	fs_remove_tree(AT_FDCWD, name, NULL);
	return done_testing();
}
