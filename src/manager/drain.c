/*
 * [machine.shutdown_drain]: a manager that ends takes its machines along.
 *
 * When the last job and the last poller are gone every machine in the books is removed, whatever its state,
 * `concurrency` at a time, each tried again `max_retries` times after retry_backoff x the number of the try, all of it within
 * shutdown_timeout. (Machines without a job went before, see phase_of() in scaler.c.) What is left then is no orphan: its
 * record says that it is being deleted, and the next start goes on with it.
 */
#include "core/log.h"
#include "core/notify.h"
#include "manager/parts.h"

#define RECOMMENDED	300	/* seconds of shutdown_timeout, as upstream has it */

static bool
given_up(const struct manager *m, const struct machine *mc)
{
	return mc->drain_tries > m->config->drain_retries;
}

static void
begin(struct manager *m)
{
	int n = 0;

	m->drain.by = mono_after(m->config->shutdown_timeout * NSEC_SEC);
	LIST_EACH(struct machine, mc, link, &m->machines)
		n++;
	if (n == 0)
		return;
	log_info("Removing all machines, as [machine.shutdown_drain] says", F_INT("machines", n),
	    F_INT("concurrency", m->config->drain_concurrency), F_INT("shutdown_timeout", m->config->shutdown_timeout));
	notify_send("STATUS=Removing %d machines", n);
	if (m->config->shutdown_timeout < RECOMMENDED)
		log_warn("shutdown_timeout is short for removing machines: 300 or more is recommended; what is not done by then, the next start does",
		    F_INT("shutdown_timeout", m->config->shutdown_timeout));
	LIST_EACH(struct machine, mc, link, &m->machines) {
		if (mc->state == SCALE_CREATING)
			machines_call_off(m, mc, "shutdown drain");
		else if (mc->state == SCALE_REMOVING || mc->state == SCALE_STUCK) {
			mc->state = SCALE_REMOVING;
			mc->operator.again = MONO_AT_ONCE;
		} else
			machines_remove(m, mc, "shutdown drain");
	}
	machines_tend(m);
}

bool
drain_over(struct manager *m)
{
	unsigned left = 0;

	if (!m->config->drain || m->phase == MANAGER_RUNNING || m->phase == MANAGER_LEAVING)
		return true;
	if (mono_is_never(m->drain.by))
		begin(m);
	LIST_EACH(struct machine, mc, link, &m->machines)
		left += !given_up(m, mc);
	if (left > 0 && !mono_passed(m->drain.by))
		return false;
	if (m->drain.gone + m->drain.failed + left == 0)
		return true;
	if (left > 0)
		log_warn("shutdown_timeout is over before all machines are removed: the next start goes on with them", F_INT("machines", left));
	log_info("Machine pool drain completed", F_INT("success", m->drain.gone), F_INT("failed", m->drain.failed + left),
	    F_INT("total", m->drain.gone + m->drain.failed + left));
	return true;
}

bool
drain_removed(struct manager *m, struct machine *mc, bool gone)
{
	if (mono_is_never(m->drain.by))
		return false;
	if (gone) {
		m->drain.gone++;
		return true;
	}
	mc->drain_tries++;
	if (given_up(m, mc)) {
		m->drain.failed++;
		mc->state = SCALE_STUCK;
		mc->operator.again = mono_after(3600 * NSEC_SEC);	/* longer than this manager lives */
		log_error("Giving up on machine removal. The remote VM may be orphaned. The next start of windlass tries again.",
		    F_STR("name", mc->name), F_STR("error", mc->operator.error));
	} else
		mc->operator.again = mono_after(m->config->drain_backoff * mc->drain_tries);
	return true;
}
