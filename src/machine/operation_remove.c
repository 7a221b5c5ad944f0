/* The end of a machine, and of what create calls without an answer made besides it. See operation.h. */
#include <unistd.h>

#include "core/crash.h"
#include "machine/operation_parts.h"
#include "net/dial.h"

#define STRAY_PAUSE_NS		(5 * NSEC_SEC)

static dur_t
shorter(dur_t a, dur_t b)
{
	return a < b ? a : b;
}

static int
destroy(struct operation *op, struct err *e)
{
	struct cloud_labels l = op_labels(op);
	/* Records of an older version count no answers: there, several calls are reason enough to look. */
	bool thorough = op->rec.unanswered > 0 ||
	    (!wall_known(op->rec.asked) && op->rec.attempts > 1);

	return cloud_drop_all(&op->host.cloud, &l, op_pub_line(op), thorough, op->deadline, e);
}

/* The machine is gone. What a call without an answer may have made is looked for until it must have shown. */
static int
await_strays(struct operation *op, struct err *e)
{
	struct cloud_labels l = op_labels(op);
	mono_t until = mono_after(op_unsettled_ns(op));

	crash_point("operator:strays-awaited");
	if (!mono_passed(until))
		op_say(op, "The answer to a create call was lost: watching for what it may have made...");
	while (op->rec.unanswered > 0 && !mono_passed(until)) {
		int found;

		if (net_pause(shorter(mono_between(mono_now(), until) + NSEC_MSEC, STRAY_PAUSE_NS),
		    e) < 0)
			return -1;
		found = cloud_find(&op->host.cloud, &l, op->deadline, e);
		if (found < 0)
			return -1;
		op_account_for(&op->rec, found);
	}
	/* With all that was found, and the tag by which it was found. */
	op->rec.unanswered = 0;
	return destroy(op, e);
}

static int
remove_from_cloud(struct operation *op, struct err *e)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	struct cloud_labels l = op_labels(op);

	if (!op_has_machine_id(op) && op->rec.attempts > 0 && cloud_lists(d)) {
		int found = cloud_find(&op->host.cloud, &l, op->deadline, e);

		if (found < 0)
			return -1;
		op_account_for(&op->rec, found);
	}
	if (destroy(op, e) < 0)
		return -1;
	return op->rec.unanswered > 0 && cloud_lists(d) ? await_strays(op, e) : 0;
}

int
operation_remove(struct operation *op, const char *reason, struct err *e)
{
	if (op->rec.phase != PHASE_PLANNED) {
		if (cloud_need_driver(&op->host.cloud, e) < 0)
			return -1;
		if (op->rec.phase != PHASE_DELETING) {
			op->rec.remove_reason = reason;
			if (op_set_phase(op, PHASE_DELETING, e) < 0)
				return -1;
		}
		crash_point("operator:deleting");
		if (remove_from_cloud(op, e) < 0) {
			/* Being told to stop says nothing of the machine. */
			op->rec.removal_failures += e->kind != ERR_CANCELLED;
			op_note_error(op, e);
			return -1;
		}
		crash_point("operator:destroyed");
	}
	if (store_forget(op->store, op->name, e) < 0)
		return -1;
	crash_point("operator:forgotten");
	if (op->on_phase != NULL)
		op->on_phase(op->ctx, op->name, PHASE_NONE);
	return 0;
}

int
operation_settle(struct operation *op, struct err *e)
{
	struct cloud_labels l = op_labels(op);
	bool due = op_unsettled_ns(op) == 0;
	struct machine_record now = { 0 };
	int found, lock, rc = -1;

	if (op->rec.unanswered <= 0 || op->rec.phase != PHASE_READY)
		return 0;
	if (cloud_need_driver(&op->host.cloud, e) < 0)
		return -1;
	found = cloud_find(&op->host.cloud, &l, op->deadline, e);
	if (found < 0)
		return -1;
	/* Without the lock until here: a job may be given and a use counted meanwhile. */
	lock = store_lock(op->dir, true, e);
	if (lock < 0)
		return e->kind == ERR_NOTFOUND ? 0 : -1;
	if (machine_record_read(op->dir, &op->arena, &now, e) == 0) {
		op_account_for(&now, found);
		if (due)
			now.unanswered = 0;
		rc = machine_record_write(op->dir, &now, e);
	}
	close(lock);
	return rc;
}
