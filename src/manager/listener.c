/*
 * The metrics server as the manager sees it: a process to be kept alive as
 * long as the configuration names an address. The manager opens no network
 * socket; what is served is in the snapshot.
 */
#include <signal.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/log.h"
#include "core/proc.h"
#include "manager/parts.h"

static const char *
address(const struct manager *m)
{
	const char *a = m->listen_address != NULL ? m->listen_address : m->config->listen_address;

	return a != NULL ? a : "";
}

bool
listener_wanted(const struct manager *m)
{
	return m->config != NULL && address(m)[0] != '\0';
}

static void
ended(struct manager *m, struct watch *w)
{
	int status = child_bury(m, &m->listener);

	(void)w;
	if (m->listener_leaving) {
		m->listener_leaving = false;
		m->listener.deaths = 0;
		return;
	}
	m->listener_wrong = status == EXIT_CONFIG;
	if (m->listener_wrong) {
		log_error("Metrics are not served: listen_address is no address", F_STR("listen_address", m->listener_address));
		return;
	}
	/* It has said why. Jobs matter more than who watches them: unlike upstream, an address in use ends nothing. */
	log_warn("Metrics server ended: starting it again", F_STR("listen_address", m->listener_address), F_INT("status", status));
	if (mono_since(m->listener.started) > 60 * NSEC_SEC)
		m->listener.deaths = 0;
	child_again_later(&m->listener);
}

static void
start_listener(struct manager *m)
{
	const char *argv[] = { "windlass-metrics", "--state-dir", m->state_dir, "--listen-address", m->listener_address, NULL };
	struct err e = { 0 };
	pid_t pid;
	int fd;

	/* It may read the snapshot and answer anybody who asks for it; it dies with us. */
	fd = proc_self(argv, NULL, 0, PROC_DIES_WITH_PARENT, &pid, &e);
	if (fd < 0) {
		log_error("Metrics server could not be started", F_ERR(&e));
		child_again_later(&m->listener);
		return;
	}
	child_watch(m, &m->listener, (struct child_process){ pid, fd, false }, ended, m);
}

void
listener_tend(struct manager *m)
{
	const char *want = address(m);

	if (child_alive(&m->listener)) {
		/* Another address, or none any more. */
		if (!m->listener_leaving && strcmp(m->listener_address, want) != 0) {
			m->listener_leaving = true;
			kill(m->listener.pid, SIGTERM);
		}
		return;
	}
	if (want[0] == '\0')
		return;
	if (m->listener_address == NULL || strcmp(m->listener_address, want) != 0) {
		free(m->listener_address);
		m->listener_address = xstrdup(want);
		m->listener.again = MONO_AT_ONCE;
		m->listener.deaths = 0;
		m->listener_wrong = false;
	}
	if (m->listener_wrong)
		return;
	if (mono_passed(m->listener.again))
		start_listener(m);
}

mono_t
listener_wake(const struct manager *m)
{
	return !child_alive(&m->listener) && !m->listener_wrong && listener_wanted(m) ? m->listener.again : MONO_NEVER;
}
