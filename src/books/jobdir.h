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

#endif
