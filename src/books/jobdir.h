/*
 * jobs/ID in the state directory: the files of one job, their names, their forms, and who may
 * write each (docs/state.md). What a job's processes tell each other stands here or nowhere.
 *
 *	file		writer				what
 *	payload.json	poller				GitLab's answer, byte for byte
 *	runner.json	poller				what the job may know of config.toml
 *	ticket.json	poller				enough to end it with when the others are damaged
 *	machine		manager				its machine, and CI_CONCURRENT_ID
 *	unfit		executor			why the machine cannot run it, before EXIT_MACHINE
 *	stage.json	executor			how far it is (its members: job/memory.c)
 *	trace		manager, then executor		its log
 *	waiting		manager				what it waits for
 *	cancel		reporter, manager		an order to end
 *	lost		executor			its machine does not answer at present
 *	gone		manager				its machine is no more
 *	result.json	executor; manager without one	how it ended, once
 *	reported	reporter			GitLab took the result, or does not want it
 *	executor.lock, reporter.lock			held by the living one
 */
#ifndef BOOKS_JOBDIR_H
#define BOOKS_JOBDIR_H

#include <sys/types.h>

#include "books/failure.h"
#include "config/settings.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/str.h"

#define JOBS_DIR		"jobs"

#define JOBFILE_PAYLOAD		"payload.json"
#define JOBFILE_RUNNER		"runner.json"
#define JOBFILE_TICKET		"ticket.json"
#define JOBFILE_MACHINE		"machine"
#define JOBFILE_UNFIT		"unfit"
#define JOBFILE_STAGE		"stage.json"
#define JOBFILE_TRACE		"trace"
#define JOBFILE_WAITING		"waiting"
#define JOBFILE_CANCEL		"cancel"
#define JOBFILE_LOST		"lost"
#define JOBFILE_GONE		"gone"
#define JOBFILE_RESULT		"result.json"
#define JOBFILE_REPORTED	"reported"
#define JOBFILE_EXECUTOR_LOCK	"executor.lock"
#define JOBFILE_REPORTER_LOCK	"reporter.lock"

/* Passing names in jobs/: what is not a job yet, or not any more. Their forms: below. */
#define JOBDIR_ANSWER		".answer."
#define JOBDIR_NEW		".new."
#define JOBDIR_DAMAGED		".damaged."
#define JOBDIR_GONE		".gone."
#define JOBDIR_NAME_MAX		160

/* Hands the directory of job `id` to the job's own number: identity_of_job() with the names of this directory. */
int	jobdir_identity(int jobs_dir, int dir, const char *id, uid_t *self, struct err *e);

/*
 * runner.json. vouched: only what root wrote is believed (fs_read_vouched()). The writer refuses what the reader would
 * (ERR_FULL). Texts live in the arena.
 */
int	jobdir_runner_write(int dir, const struct job_settings *s, struct err *e);
int	jobdir_runner_read(int dir, bool vouched, struct arena *a, struct job_settings *s, struct err *e);

/* ticket.json: which job of GitLab's it is, and of runner.json what GitLab is told of its end with (settings_read_ticket()). */
struct jobdir_ticket {
	int64_t		 id;
	struct secret	 token;		/* the job's */
	struct job_settings runner;
};
int	jobdir_ticket_write(int dir, const struct jobdir_ticket *t, struct err *e);
/* ERR_PARSE too when there is no id in it. */
int	jobdir_ticket_read(int dir, bool vouched, struct arena *a, struct jobdir_ticket *t, struct err *e);

/* Of stage.json what others than the executor may know. */
struct jobdir_stage {
	const char	*stage;		/* its name on disk, for stage_shown() */
	int64_t		 trace;		/* so many bytes of the trace are final */
};
#define JOBDIR_STAGE_MAX	(96u << 20)	/* bytes of stage.json: the memory of what was printed is in it */
/* max: for whom less is enough. ERR_NOTFOUND: it has not begun. */
int	jobdir_stage_read(int dir, size_t max, struct arena *a, struct jobdir_stage *s, struct err *e);

/* result.json. Strings are the caller's, or live in the arena of the reader. */
struct jobdir_result {
	bool		 success;
	const char	*reason;	/* the runner's own word (failure.h), "" with success or from an older version */
	int64_t		 exit_code;
	const char	*text;		/* for people */
	bool		 dirty;		/* its machine must not be used again */
	bool		 told;		/* false: the reporter still has to write the trace's last line */
	wall_t		 finished;
};
/* 0 or -1: then the file is as it was. */
int	jobdir_result_write(int dir, const struct jobdir_result *r, struct err *e);
/* ERR_NOTFOUND: it has not ended. ERR_PARSE: damaged, or a state of a newer version. */
int	jobdir_result_read(int dir, struct arena *a, struct jobdir_result *r, struct err *e);

/* cancel: written before the signal. */
struct jobdir_order {
	bool		 abort;		/* at once; else what a cancelled job still may do is done */
	enum failure	 reason;
	const char	*text;
};
int	jobdir_order_write(int dir, const struct jobdir_order *o, struct err *e);
/* Whether there is one that can be read; one of a newer kind is none. An abort replaces a cancel, never the other way: the writer asks first. */
bool	jobdir_order_read(int dir, struct arena *a, struct jobdir_order *o);

/* machine. A job may get another one while it has no stage.json. */
struct jobdir_place {
	const char	*machine;
	int64_t		 slot;		/* CI_CONCURRENT_ID: the lowest number no other job of the runner has */
};
int	jobdir_place_write(int dir, const struct jobdir_place *p, struct err *e);
/* vouched: only what root wrote is believed (fs_read_vouched()). ERR_NOTFOUND; ERR_PARSE: no name in it. */
int	jobdir_place_read(int dir, bool vouched, struct arena *a, struct jobdir_place *p, struct err *e);
/* Takes the machine away again, with all that was said of it (unfit, lost, gone). */
void	jobdir_place_drop(int dir);

/* unfit, waiting, lost, gone: a text for people, trimmed, in the arena; "" when there is none. */
const char *jobdir_text(int dir, const char *file, struct arena *a);

/* reported. more: members of an object's text that are written with it ("calls"). */
int	jobdir_reported_write(int dir, int status, struct str more, struct err *e);

#endif
