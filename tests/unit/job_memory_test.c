/* job/memory: stage.json of another version: what it does not know it keeps, what it must know it refuses to guess. */
#include <unistd.h>

#include "core/fs.h"
#include "run_fake.h"
#include "tap.h"

#define PAYLOAD	"{\"id\":7,\"token\":\"glcbt-jobtokenjobtoken\",\"variables\":[]}"

static int dir = -1;

static void
begin(struct run *r)
{
	run_fake_begin(r, dir, PAYLOAD);
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
		{ "{\"v\":2,\"trace\":0,\"stage\":\"step\",\"phase\":\"enter\",\"output\":{}}", "no format that" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct json_val saved;
		struct err e = { 0 };
		int64_t trace;
		struct run r;

		is_int(take(&r, cases[i].text, &saved, &trace, &e), -1, "refused %zu", i);
		ok(e.kind == ERR_PARSE && strstr(e.msg, cases[i].why) != NULL, "  and says: %s", e.msg);
		run_fake_end(&r);
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
		job_commit(&r);
		run_fake_end(&r);
		buf_clear(&b);
		fs_read(dir, "stage.json", 65536, &b, &e);
		ok(strstr(b.p, "\"later\":{\"a\":[1,2.50]}") != NULL && strstr(b.p, "\"more\\n\":null") != NULL, "  what it does not know is kept: %s", b.p);
		ok(strstr(strstr(b.p, "\"later\"") + 1, "\"later\"") == NULL && strstr(strstr(b.p, "\"tag\"") + 1, "\"tag\"") == NULL, "  once");
	}
	buf_free(&b);
}

#define HEAD	"{\"v\":1,\"trace\":6,\"stage\":\"step\",\"phase\":\"started\",\"step\":0,\"attempt\":1,\"tag\":\"0123456789abcdef\","
#define MEMBERS(n) \
	"\"helper\":\"h" n "\",\"build\":\"b" n "\",\"helper_taken\":1" n ",\"build_taken\":2" n ",\"helper_image\":\"hi" n "\",\"build_image\":\"bi" n "\""
#define LIST(n) \
	"\"containers\":[{\"kind\":\"build\",\"name\":\"x\",\"id\":\"b" n "\",\"taken\":2" n ",\"image\":\"bi" n "\"}," \
	"{\"kind\":\"helper\",\"name\":\"y\",\"id\":\"h" n "\",\"taken\":1" n ",\"image\":\"hi" n "\"}"
#define TAIL	",\"output\":{}}"

/* Whether the two containers of every job are those numbered n in the texts above. */
static bool
are(const struct run *r, int n)
{
	const struct container *b = containers_find(&r->mem.containers, CONTAINER_BUILD);
	const struct container *h = containers_find(&r->mem.containers, CONTAINER_HELPER);
	char want[200], got[200];

	snprintf(want, sizeof(want), "b%d 2%d bi%d h%d 1%d hi%d", n, n, n, n, n, n);
	snprintf(got, sizeof(got), "%.40s %d %.40s %.40s %d %.40s", b->id, (int)b->together, b->image,
	    h->id, (int)h->together, h->image);
	return strcmp(want, got) == 0;
}

static void
test_containers(void)
{
	static const struct { const char *name, *text; int want; } cases[] = {
		{ "a version that knew two containers", HEAD MEMBERS("1") TAIL, 1 },
		{ "this version", HEAD MEMBERS("2") "," LIST("2") "]" TAIL, 2 },
		{ "an older version that kept our list and went on",
		    HEAD MEMBERS("4") "," LIST("3") "]" TAIL, 4 },
		{ "a version that writes the list alone", HEAD LIST("5") "]" TAIL, 5 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct json_val saved;
		struct err e = { 0 };
		int64_t trace;
		struct run r;

		is_int(take(&r, cases[i].text, &saved, &trace, &e), 1, "%s %s", cases[i].name,
		    e.msg);
		ok(are(&r, cases[i].want), "  its containers are read");
		containers_plan(&r);
		ok(are(&r, cases[i].want), "  and planned");
		is_int((long long)r.mem.containers.n, 2, "  these two");
		is_str(container_of(&r, CONTAINER_BUILD)->name, r.work.build_name,
		    "  by their names");
		output_resume(&r.out, dir, &r.work, trace, saved, &e);
		job_commit(&r);
		run_fake_end(&r);
		begin(&r);
		is_int(memory_read(&r, &saved, &trace, &e), 1, "  written and read again");
		ok(are(&r, cases[i].want), "  the same");
		run_fake_end(&r);
		fs_read(dir, "stage.json", 65536, &b, &e);
		if (i == 0)
			ok(strstr(b.p, "\"helper\":\"h1\"") != NULL &&
			    strstr(b.p, "\"build_taken\":21") != NULL &&
			    strstr(b.p, "\"build_image\":\"bi1\"") != NULL,
			    "  with what an older version reads: %s", b.p);
		buf_free(&b);
	}
}

#define RUN(taken) \
	HEAD "\"build\":\"b1\",\"build_taken\":" taken ",\"build_image\":\"bi\",\"containers\":[{\"kind\":\"build\",\"name\":\"x\"," \
	"\"id\":\"b1\",\"taken\":33,\"image\":\"bi\",\"stdout\":{\"bytes\":30,\"lines\":2,\"tail\":7}," \
	"\"stderr\":{\"bytes\":3,\"lines\":1,\"tail\":0},\"run\":{\"token\":\"0123456789abcdef\",\"begun\":true," \
	"\"delivered\":true,\"ended_stdout\":false,\"ended_stderr\":true,\"status\":137}}]" TAIL

/* What was taken of each stream, and what the marks told. */
static void
test_streams(void)
{
	const struct container *c;
	struct json_val saved;
	struct err e = { 0 };
	int64_t trace;
	struct run r;

	for (int again = 0; again < 2; again++) {
		is_int(again == 0 ? take(&r, RUN("33"), &saved, &trace, &e) : (begin(&r), memory_read(&r, &saved, &trace, &e)), 1, "streams %s", e.msg);
		c = containers_find(&r.mem.containers, CONTAINER_BUILD);
		ok(!c->legacy, "  each counted by itself");
		ok(c->taken[0].bytes == 30 && c->taken[0].lines == 2 && c->taken[0].tail == 7, "  stdout");
		ok(c->taken[1].bytes == 3 && c->taken[1].lines == 1 && c->taken[1].tail == 0, "  stderr");
		is_str(c->passage.token, "0123456789abcdef", "  the token of its marks");
		ok(c->passage.begun && c->passage.delivered && !c->passage.ended[0] && c->passage.ended[1] && c->passage.status == 137, "  its marks");
		containers_plan(&r);
		output_resume(&r.out, dir, &r.work, trace, saved, &e);
		job_commit(&r);
		run_fake_end(&r);
	}
	is_int(take(&r, RUN("40"), &saved, &trace, &e), 1, "a version before went on with it");
	c = containers_find(&r.mem.containers, CONTAINER_BUILD);
	ok(c->legacy && c->together == 40, "  and counted both together");
	run_fake_end(&r);
	ok(take(&r, RUN("-40"), &saved, &trace, &e) == -1 && e.kind == ERR_PARSE, "a count below 0 is refused: %s", e.msg);
	run_fake_end(&r);
}

static void
test_foreign_containers(void)
{
	static const char text[] = HEAD LIST("1") ",{\"kind\":\"sidecar\",\"name\":\"runner-abcdef-project-0-concurrent-0-0123456789abcdef-sidecar-0\",\"x\":[1]},"
	    "{\"kind\":\"sidecar\",\"name\":\"somebody-elses\"}]" TAIL;
	struct buf b = { 0 };
	struct json_val saved;
	struct err e = { 0 };
	int64_t trace;
	struct run r;

	is_int(take(&r, text, &saved, &trace, &e), 1, "containers of a newer version %s", e.msg);
	containers_plan(&r);
	is_int((long long)r.mem.containers.n, 3,
	    "  the job's own are kept, to be removed with the rest");
	ok(r.mem.containers.n == 3 && r.mem.containers.v[2].kind == CONTAINER_OTHER &&
	    strstr(r.mem.containers.v[2].name, "-sidecar-0") != NULL, "  by their names");
	output_resume(&r.out, dir, &r.work, trace, saved, &e);
	job_commit(&r);
	run_fake_end(&r);
	fs_read(dir, "stage.json", 65536, &b, &e);
	ok(strstr(b.p, "-sidecar-0\",\"x\":[1]}") != NULL && strstr(b.p, "somebody-elses") == NULL,
	    "  and written back as they were");
	buf_free(&b);
}

/* The script's limit had a member of its own. */
static void
test_script_deadline(void)
{
	static const struct { const char *text; int64_t want; } cases[] = {
		{ HEAD "\"script_deadline\":\"2026-03-01T08:15:30Z\"" TAIL, 1772352930 },
		{ HEAD "\"stage_deadline\":\"2026-03-01T08:15:31Z\",\"script_deadline\":\"2026-03-01T08:15:31Z\"" TAIL, 1772352931 },
		{ "{\"v\":1,\"trace\":6,\"stage\":\"after_script\",\"phase\":\"enter\",\"script_deadline\":\"2026-03-01T08:15:30Z\"" TAIL, -1 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct json_val saved;
		struct err e = { 0 };
		int64_t trace;
		struct run r;

		is_int(take(&r, cases[i].text, &saved, &trace, &e), 1, "a script's limit %zu %s", i,
		    e.msg);
		if (cases[i].want < 0)
			ok(!wall_known(r.mem.stage_deadline), "  is none of what follows");
		else
			ok(wall_equal(r.mem.stage_deadline, wall_of_seconds(cases[i].want)),
			    "  is that of its stage");
		output_resume(&r.out, dir, &r.work, trace, saved, &e);
		job_commit(&r);
		fs_read(dir, "stage.json", 65536, &b, &e);
		ok((strstr(b.p, "\"script_deadline\":\"2026-03-01T08:15:3") != NULL) == (cases[i].want > 0), "  and written for older versions");
		buf_free(&b);
		run_fake_end(&r);
	}
}

int
main(void)
{
	char name[] = "/tmp/job_memory_test.XXXXXX";

	if (mkdtemp(name) == NULL || (dir = fs_opendir(AT_FDCWD, name, NULL)) < 0)
		return 1;
	test_refused();
	test_kept();
	test_containers();
	test_streams();
	test_foreign_containers();
	test_script_deadline();
	fs_remove_tree(AT_FDCWD, name, NULL);
	return done_testing();
}
