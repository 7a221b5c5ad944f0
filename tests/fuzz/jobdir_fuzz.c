/*
 * The files of a job as a crash, a full disk or a hand may have left them: what is read of one is whole or nothing at all, can be
 * written, and then reads back as it was.
 */
#include <stdlib.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/fs.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir_name[] = "/tmp/jobdir_fuzz.XXXXXX";
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
}

static void
look_at_result(struct arena *a)
{
	struct jobdir_result r, again;
	struct err e = { 0 };

	if (jobdir_result_read(dir, a, &r, &e) < 0) {
		assert(e.kind != ERR_NONE && e.kind != ERR_NOTFOUND && !r.success);
		return;
	}
	assert(r.reason != NULL && r.text != NULL);
	assert(jobdir_result_write(dir, &r, &e) == 0 && jobdir_result_read(dir, a, &again, &e) == 0);
	assert(again.success == r.success && again.exit_code == r.exit_code && again.dirty == r.dirty && again.told == r.told);
	assert(strcmp(again.reason, r.reason) == 0 && strcmp(again.text, r.text) == 0);
	/* To the millisecond, and one in the first of 1970 is none. */
	assert(again.finished.ns == 0 || wall_between(again.finished, r.finished) < NSEC_MSEC);
}

static void
look_at_order(struct arena *a)
{
	struct jobdir_order o, again;

	/* An order's words may be longer escaped than they were, and then they do not fit. */
	if (!jobdir_order_read(dir, a, &o) || jobdir_order_write(dir, &o, NULL) < 0)
		return;
	assert(jobdir_order_read(dir, a, &again));
	assert(again.abort == o.abort && again.reason == o.reason && strcmp(again.text, o.text) == 0);
}

static void
look_at_place(struct arena *a)
{
	struct jobdir_place p, again;
	struct err e = { 0 };

	if (jobdir_place_read(dir, false, a, &p, &e) < 0) {
		assert(e.kind == ERR_PARSE || e.kind == ERR_FULL);
		return;
	}
	assert(p.machine[0] != '\0' && strchr(p.machine, '/') == NULL && strchr(p.machine, '\n') == NULL);
	if (jobdir_place_write(dir, &p, &e) == 0) {
		assert(jobdir_place_read(dir, false, a, &again, &e) == 0);
		assert(strcmp(again.machine, p.machine) == 0 && again.slot == p.slot);
	}
}

static void
look_at_settings(struct arena *a)
{
	struct jobdir_ticket t, again;
	struct job_settings s, back;
	struct jobdir_stage stage;

	if (jobdir_runner_read(dir, false, a, &s, NULL) == 0 && jobdir_runner_write(dir, &s, NULL) == 0) {
		assert(jobdir_runner_read(dir, false, a, &back, NULL) == 0);
		assert(strcmp(back.runner_key, s.runner_key) == 0 && strcmp(back.about.name, s.about.name) == 0);
		assert(back.rest.n == s.rest.n && strcmp(back.url, s.url) == 0);
	}
	if (jobdir_ticket_read(dir, false, a, &t, NULL) == 0 && jobdir_ticket_write(dir, &t, NULL) == 0) {
		assert(jobdir_ticket_read(dir, false, a, &again, NULL) == 0 && again.id == t.id && t.id > 0);
		assert(strcmp(secret_reveal(again.token), secret_reveal(t.token)) == 0 && strcmp(again.runner.url, t.runner.url) == 0);
	}
	(void)jobdir_stage_read(dir, 1u << 20, a, &stage, NULL);
	assert(stage.stage != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { JOBFILE_RESULT, JOBFILE_CANCEL, JOBFILE_MACHINE, JOBFILE_UNFIT, JOBFILE_RUNNER, JOBFILE_TICKET,
		JOBFILE_STAGE };
	struct arena a = { 0 };

	if (dir < 0)
		set_up();
	for (size_t i = 0; i < NELEM(files); i++)
		assert(fs_write_fast(dir, files[i], str_of(data, size), 0600, NULL) == 0);
	look_at_result(&a);
	look_at_order(&a);
	look_at_place(&a);
	look_at_settings(&a);
	assert(strlen(jobdir_text(dir, JOBFILE_UNFIT, &a)) <= size);
	jobdir_place_drop(dir);
	assert(jobdir_text(dir, JOBFILE_UNFIT, &a)[0] == '\0');
	arena_reset(&a);
	return 0;
}
