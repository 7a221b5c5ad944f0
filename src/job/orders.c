/* Orders and deadlines: see orders.h. */
#include <sys/signalfd.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "job/run.h"

#define CALL_LIMIT	(120 * NSEC_SEC)

void
order_take_or_exit(struct run *r)
{
	struct signalfd_siginfo si;
	struct jobdir_order order;
	struct arena a = { 0 };

	while (read(r->signals, &si, sizeof(si)) == sizeof(si))
		r->sigterms++;
	if (jobdir_order_read(r->dir, &a, &order)) {
		r->order = order.abort ? ORDER_ABORT : ORDER_CANCEL;
		r->order_failure = order.reason;
		snprintf(r->order_text, sizeof(r->order_text), "%s", order.text);
	}
	arena_reset(&a);
	/*
	 * Orders are written before they are signalled. Without one the host goes down: what runs
	 * goes on, and so does our successor.
	 */
	if (r->sigterms > 0 && r->order == ORDER_NONE) {
		log_info("Told to end without an order: the job goes on, and the next executor "
		    "with it");
		_exit(EXIT_RETRY);
	}
}

void
order_watch(struct run *r)
{
	order_take_or_exit(r);
	net_control(r->signals);
}

/* A wall time as a point of the monotonic clock; one that is not known is never. */
static mono_t
mono_of(wall_t at)
{
	return wall_known(at) ? mono_after(wall_between(wall_now(), at)) : MONO_NEVER;
}

mono_t
stage_deadline(const struct run *r)
{
	mono_t d = mono_of(r->mem.deadline);

	return mono_min(d, mono_of(r->mem.stage_deadline));
}

bool
job_time_is_over(const struct run *r)
{
	return wall_known(r->mem.deadline) && !wall_before(wall_now(), r->mem.deadline);
}

mono_t
call_deadline(const struct run *r)
{
	return mono_min(stage_deadline(r), mono_after(CALL_LIMIT));
}

bool
order_ends_stage(const struct run *r)
{
	if (r->order == ORDER_ABORT)
		return true;
	return r->order == ORDER_CANCEL && !r->mem.script_canceled &&
	    r->mem.stage->side != STAGE_AFTER;
}

bool
order_ends_job(const struct run *r)
{
	return r->order == ORDER_ABORT ||
	    (order_ends_stage(r) && r->mem.stage->side == STAGE_BEFORE);
}
