/*
 * stage.json and the job's trace as a crash, a full disk or a hand may have left them: read, the output taken up from the checkpoint, a line
 * more written, and the checkpoint written again. Numbers stay within their ranges, a secret stays masked, and what
 * was written reads back as it was.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "../unit/run_fake.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAYLOAD "{\"id\":7,\"token\":\"glcbt-jobtokenjobtoken\",\"variables\":[{\"key\":\"PASSWORD\",\"value\":\"hunter2hunter2\",\"masked\":true}]}"

static char dir_name[] = "/tmp/stage_fuzz.XXXXXX";
static int dir = -1;

static void
clean_up(void)
{
	fs_remove_tree(AT_FDCWD, dir_name, NULL);
}

static void
set_up(void)
{
	assert(mkdtemp(dir_name) != NULL);
	dir = fs_opendir(AT_FDCWD, dir_name, NULL);
	assert(dir >= 0);
	atexit(clean_up);
	log_setup(LOG_FATAL, LOG_RUNNER);
}

static void
begin(struct run *r)
{
	run_fake_begin(r, dir, PAYLOAD);
}

static void
end(struct run *r)
{
	log_filter(NULL, NULL);
	run_fake_end(r);
}

static void
go_on(struct run *r, struct json_val saved, int64_t trace)
{
	struct buf b = { .max = 8u << 20 };
	struct run again;
	struct json_val v;
	struct err e = { 0 };
	int64_t t;

	assert(r->mem.item >= 0 && r->mem.attempt >= 0 && trace >= 0);
	containers_plan(r);
	for (size_t i = 0; i < r->mem.containers.n; i++)
		assert(r->mem.containers.v[i].taken[0].bytes >= 0 && r->mem.containers.v[i].name != NULL);
	if (output_resume(&r->out, dir, &r->work, trace, saved, &e) < 0)
		return;
	output_feed(&r->out, false, STR("a line with hunter2hunter2 in it\n"), WALL_UNKNOWN, true);
	output_stage_end(&r->out);
	job_commit(r);
	assert(fs_read(dir, "trace", b.max, &b, &e) == 0 && (int64_t)b.n == r->out.length);
	assert(str_find(buf_str(&b), "hunter2hunter2") < 0);
	buf_free(&b);
	begin(&again);
	assert(memory_read(&again, &v, &t, &e) == 1 && t == r->out.length);
	assert(again.mem.stage == r->mem.stage && again.mem.item == r->mem.item);
	containers_plan(&again);
	assert(again.mem.containers.n == r->mem.containers.n);
	for (size_t i = 0; i < again.mem.containers.n; i++)
		assert(strcmp(again.mem.containers.v[i].id, r->mem.containers.v[i].id) == 0);
	end(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_val saved;
	struct err e = { 0 };
	int64_t trace;
	struct run r;
	int rc;

	if (dir < 0)
		set_up();
	fs_write_fast(dir, "stage.json", str_of(data, size), 0600, &e);
	fs_write_fast(dir, "trace", STR("what was there before\n"), 0600, &e);
	begin(&r);
	rc = memory_read(&r, &saved, &trace, &e);
	assert(rc == 1 || (rc == -1 && e.kind != ERR_NONE));
	if (rc == 1)
		go_on(&r, saved, trace);
	end(&r);
	return 0;
}
