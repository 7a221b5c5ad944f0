/*
 * What ends a job or a stage from outside: orders and deadlines.
 *
 * An order is the file `cancel` in the job's directory, written before its
 * writer sends SIGTERM; a second signal says now. A SIGTERM without an order
 * is the host's, which goes down: the executor ends, the job goes on, and the
 * next executor with it.
 */
#ifndef JOB_ORDERS_H
#define JOB_ORDERS_H

#include "core/mono.h"

struct run;

enum order { ORDER_NONE, ORDER_CANCEL, ORDER_ABORT };

/*
 * Reads the signals that came and the order that is there into r->order. Does not return when there
 * was a signal and is no order: then this process ends with EXIT_RETRY.
 */
void	order_take_or_exit(struct run *r);
/*
 * From here on a SIGTERM ends the wait functions of net (ERR_CANCELLED). Takes the order that is
 * there already.
 */
void	order_watch(struct run *r);
/* Whether the order ends the stage that runs. */
bool	order_ends_stage(const struct run *r);
/* Whether the order ends the job in front of the stage that is next. */
bool	order_ends_job(const struct run *r);

/* When the current stage must be over: by its own limit or the job's. */
mono_t	stage_deadline(const struct run *r);
/* The same for one call to the engine, which has its own limit too. */
mono_t	call_deadline(const struct run *r);
/* Whether the job's own time is over, which is not that of a stage alone. */
bool	job_time_is_over(const struct run *r);

#endif
