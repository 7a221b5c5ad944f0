/*
 * What becomes of a job by what became of its stages, as their rows in
 * job/stages.c say. The result is in memory: failed, failure, text, exit code.
 */
#ifndef JOB_OUTCOME_H
#define JOB_OUTCOME_H

#include "books/failure.h"
#include "job/stages.h"

struct run;

/*
 * Notes the first failure; what fails after it does not change the result (spec gitlab-runner 7.4).
 */
void	outcome_fail(struct run *r, enum failure why, int64_t code, const char *text);
/* The job's own time limit is over. */
void	outcome_fail_time(struct run *r);
/* Somebody ended the job: r->order. */
void	outcome_fail_order(struct run *r);
/* Turns what became of the current stage into what becomes of the job. */
void	outcome_settle(struct run *r, enum outcome out, const struct err *e);
/*
 * Whether nothing but the end may follow: aborted, cancelled before the script, out of time, or the
 * machine is lost.
 */
bool	outcome_ends_job(const struct run *r, enum outcome out);
/*
 * Whether the job failed before its own first line for a reason that the engine explains itself and
 * that is its machine's (policy/fault.h): then it may go to another one.
 */
bool	outcome_is_machines(const struct run *r, const struct err *e);
/*
 * A job whose machine cannot run it, before the job's own first line: it goes back, and gets
 * another one. Its trace stays, with the reason at its end; without stage.json it has not begun.
 * What is left on the machine goes with the machine. Killed half way, a successor meets the same
 * fault. False: it is not such a job.
 */
bool	outcome_give_back(struct run *r, enum outcome out, const struct err *e);

#endif
