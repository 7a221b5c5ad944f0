/*
 * How one manager follows another, and what the world is told of a manager's
 * life: manager.json, and the service manager that started us.
 *
 * Since all that counts is in the two directories, a manager needs nothing of
 * its predecessor, and a change of managers is a matter of milliseconds: no
 * new question to GitLab; a poller with a request under way is let finish
 * (gitlab/poller.c), because GitLab may just have given it a job; operators are cut off, their work is
 * recorded step by step; executors and reporters do not notice. Then the file
 * that we were started from, by now perhaps another version, is executed in
 * this very process (SIGUSR2), or, where a service manager wants to see us
 * end (SIGQUIT and SIGUSR2), the process ends and leaves the jobs running.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/parts.h"
#include "versions.h"

/* A poller that does not get its answer to the end by then has a GitLab that is gone. */
#define LEAVE_WAIT	(20 * NSEC_SEC)

void
life_begin(struct manager *m, const struct manager_opts *o)
{
	rand_hex(m->life.id, sizeof(m->life.id) - 1);
	m->life.began = wall_now();
	m->life.blind = -1;
	m->life.level_given = o->level_given;
	m->life.format_given = o->format_given;
	/* Children of the manager that this process was before: what is dead is nobody's any more. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void
life_inherit(struct manager *m)
{
	struct manager_says s;
	struct arena a = { 0 };

	if (manager_says(m->state_dir, &a, &s, NULL) == 0)
		m->life.left = s.left;
	arena_reset(&a);
}

static const char *
state_word(const struct manager *m)
{
	static const char *const words[] = { "running", "draining", "stopping", "leaving" };

	return m->life.ready || m->phase != MANAGER_RUNNING ? words[m->phase] : "starting";
}

/* Others read the file from elsewhere. malloc'd. */
static char *
whole_path(const char *path)
{
	char here[4096];

	return path[0] != '/' && getcwd(here, sizeof(here)) != NULL ? fs_join(here, path) : xstrdup(path);
}

void
life_write(struct manager *m)
{
	char *config = whole_path(m->config_path), *store = whole_path(m->store);
	char *exe = proc_file();
	const struct manager_says says = {
		.pid = getpid(), .state = state_word(m), .since = wall_now(), .config = config, .store = store,
		.version = WL_VERSION, .revision = WL_REVISION, .exe = exe, .life = m->life.id, .started = m->life.began,
		.adopted = m->life.adopted, .blind_ms = m->life.blind < 0 ? -1 : m->life.blind / NSEC_MSEC,
	};
	struct err e = { 0 };

	if (manager_says_write(m->state_fd, &says, &e) < 0)
		log_warn(STATEFILE_MANAGER " could not be written", F_ERR(&e));
	free(exe);
	free(config);
	free(store);
}

void
life_ready(struct manager *m)
{
	if (m->phase != MANAGER_RUNNING)
		return;
	m->life.ready = true;
	/* The first round has asked GitLab wherever there was something to ask for. */
	if (wall_known(m->life.left) && !wall_before(wall_now(), m->life.left)) {
		m->life.blind = wall_between(m->life.left, wall_now());
		event_note(m, EVENT_MANAGER, ABOUT_ALL, "took-over",
		    "nobody asked for jobs for %" PRId64 " ms", m->life.blind / NSEC_MSEC);
		log_info("Took over from the manager before", F_DUR("blind", m->life.blind), F_INT("adopted", m->life.adopted));
	}
	life_write(m);
	notify_send("READY=1");
	m->life.watchdog = notify_watchdog() > 0 ? mono_now() : MONO_NEVER;
	life_tend(m);
}

void
life_tend(struct manager *m)
{
	int machines = 0;

	if (!mono_passed(m->life.watchdog))
		return;
	m->life.watchdog = mono_after(notify_watchdog());
	LIST_EACH(struct machine, mc, link, &m->machines)
		machines++;
	if (m->phase == MANAGER_RUNNING)
		notify_send("WATCHDOG=1\nSTATUS=%d jobs, %d machines", jobs_active(m, NULL), machines);
	else
		notify_send("WATCHDOG=1\nSTATUS=%s: %d jobs, %d machines", state_word(m), jobs_active(m, NULL), machines);
}

mono_t
life_wake(const struct manager *m)
{
	return m->life.watchdog;
}

void
life_end(struct manager *m)
{
	/* What is of no use without us does not outlive us in a process group where somebody would count it. */
	proc_end_dependents();
	/* The next one reads from it since when nobody asks. */
	if (m->phase != MANAGER_LEAVING)
		unlinkat(m->state_fd, STATEFILE_MANAGER, 0);
}

void
handover(struct manager *m)
{
	if (m->phase == MANAGER_STOPPING || m->phase == MANAGER_LEAVING)
		return;
	log_info(m->life.ends ? "Leaving: running jobs go on, the next start finds them" :
	    "Handing over to the file we were started from: running jobs go on", F_INT("builds", jobs_active(m, NULL)));
	m->phase = MANAGER_LEAVING;
	m->stop_by = mono_after(LEAVE_WAIT);
	LIST_EACH(struct pool, p, link, &m->pools)
		pollers_stop(m, p);
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "leaving", "%s",
	    m->life.ends ? "ends; running jobs go on" : "hands over; running jobs go on");
	life_write(m);
	crash_point("manager:leaving");
}

static void
become_successor(struct manager *m)
{
	struct err e = { 0 };

	notify_reloading();
	events_flush(m);
	/* They would live on in our place, and hold what their successors need. */
	proc_end_dependents();
	/* Ours, not the operator's: config.toml must have its say again. */
	if (!m->life.level_given)
		unsetenv("LOG_LEVEL");
	if (!m->life.format_given)
		unsetenv("LOG_FORMAT");
	proc_again(&e);
	log_error("Cannot hand over: this version goes on", F_ERR(&e));
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "handover-failed", "%s", e.msg);
	setenv("LOG_LEVEL", log_level_name(log_level()), 1);
	setenv("LOG_FORMAT", log_format_name(log_format()), 1);
	m->phase = MANAGER_RUNNING;
	m->stop_by = MONO_NEVER;
	m->dirty = true;
	life_write(m);
	notify_send("READY=1\nSTATUS=Handing over failed: %s", e.msg);
}

void
handover_tend(struct manager *m)
{
	/* Until now a request was under way: from now on nobody asks. */
	life_write(m);
	if (!m->life.ends) {
		become_successor(m);
		return;
	}
	notify_send("STOPPING=1\nSTATUS=Left; %d jobs go on", jobs_active(m, NULL));
	log_info("Can exit now! Running jobs go on", F_INT("builds", jobs_active(m, NULL)));
	m->done = true;
}
