/*
 * A job's executor without its process, for tests of what it keeps on disk (job/run.h).
 */
#ifndef RUN_FAKE_H
#define RUN_FAKE_H

#include <assert.h>
#include <unistd.h>

#include "job/run.h"

/* A job that GitLab gave with this payload, work in hand, no output yet; its files are those of dir. */
static inline void
run_fake_begin(struct run *r, int dir, const char *payload)
{
	*r = (struct run){ .dir = dir, .out = { .fd = -1 },
		.job = { .arena = &r->arena, .id = 7, .timeout = NSEC_SEC } };
	assert(json_parse(&r->arena, str_from(payload), &r->job.root, NULL) == 0);
	r->job.token = SECRET(arena_dup(&r->arena, STR("glcbt-jobtokenjobtoken")));
	settings_init(&r->job.runner);
	r->job.runner.short_token = "abcdef";
	r->job.runner.system_id = "s_1";
	r->job.runner.url = "https://gitlab.example";
	work_init(&r->work, &r->job, "runner-x-1", "0123456789abcdef", 0);
}

/* Releases what a run holds, its output's file too; r itself is the caller's. */
static inline void
run_fake_end(struct run *r)
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

#endif
