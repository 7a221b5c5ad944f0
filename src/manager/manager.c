/*
 * The manager's loop: wait for an event or a point in time, take it into the
 * tables, decide, act. There is no clean shutdown to depend on: whatever the
 * tables hold is in the two directories, and a kill at any line is a restart.
 *
 * It may: read config.toml, read and write the two directories, start its own
 * executable in other roles, send signals to those. It must never: open a
 * network socket, parse bytes that came from the network.
 */
#include <limits.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "books/format.h"
#include "books/jobdir.h"
#include "books/store.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/lock.h"
#include "core/notify.h"
#include "core/proc.h"
#include "core/rand.h"
#include "manager/manager.h"
#include "manager/parts.h"
#include "manager/snapshot.h"
#include "versions.h"

#define SLEEP_MAX	(60 * NSEC_SEC)
#define EVENTS		64
#define LOCK_TRIES	40
#define LOCK_PAUSE	(50 * NSEC_MSEC)

char *
manager_default_state_dir(void)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return xstrdup("/var/lib/windlass");
	if (xdg != NULL && xdg[0] == '/')
		return fs_join(xdg, "windlass");
	return home != NULL && home[0] != '\0' ? fs_join(home, ".local/state/windlass") : NULL;
}

int
manager_running(const char *state_dir, int *pid, struct err *e)
{
	char *path = fs_join(state_dir, STATEFILE_LOCK);
	pid_t p = 0;
	int rc = lock_held(AT_FDCWD, path, &p, e);

	*pid = (int)p;
	free(path);
	return rc;
}

static void
count_slots(struct manager *m, const struct config *old)
{
	int64_t change = m->config->concurrent - (old != NULL ? old->concurrent : 0);

	metric_add(m, M_SLOT_OPERATIONS, change > 0 ? (double)change : 0, "started");
	metric_add(m, M_SLOT_OPERATIONS, change < 0 ? (double)-change : 0, "stopped");
}

static void
pool_configure(struct pool *p, struct runner *r)
{
	p->conf = r;
	/* Metrics and people go on calling it that when the entry has gone. */
	free(p->runner);
	free(p->runner_name);
	p->runner = xstrdup(r->short_token);
	p->runner_name = xstrdup(r->name);
}

void
manager_apply(struct manager *m, struct config *c)
{
	struct config *old = m->config;

	m->config = c;
	count_slots(m, old);
	LIST_EACH(struct pool, p, link, &m->pools)
		p->conf = NULL;
	for (size_t i = 0; i < c->nrunners; i++) {
		struct pool *p = str_trim(str_from(secret_reveal(c->runners[i].token))).n > 0 ? pool_get(m, c->runners[i].key) : NULL;

		/* Of two entries for one pool the later one is broken, and says so. */
		if (p != NULL && p->conf == NULL)
			pool_configure(p, &c->runners[i]);
	}
	scaler_reload(m);
	if (old != NULL)
		pollers_reload(m);
	LIST_EACH(struct machine, mc, link, &m->machines)
		if (old != NULL && mc->state == SCALE_IDLE)
			model_load_machine(m, mc->name);
	if (old != NULL)
		model_find_machines(m);
	config_free(old);
	m->dirty = true;
}

static void
stop_asking(struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools)
		pollers_stop(m, p);
}

static void
drain(struct manager *m)
{
	/* Who was about to become its successor ends instead. */
	m->life.ends = true;
	if (m->phase != MANAGER_RUNNING)
		return;
	notify_send("STOPPING=1\nSTATUS=No new jobs; waiting for %d", jobs_active(m, NULL));
	m->phase = MANAGER_DRAINING;
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "draining", "SIGQUIT: no new jobs");
	log_info("Graceful shutdown: no new jobs; waiting for the running ones", F_INT("builds", jobs_active(m, NULL)));
	stop_asking(m);
	life_write(m);
}

static void
stop(struct manager *m, int sig)
{
	const char *name = sig == SIGINT ? "interrupt" : "terminated";

	if (m->phase == MANAGER_STOPPING) {
		log_error("Service run failed: second signal; running jobs end by themselves", F_STR("signal", name));
		m->exit_status = EXIT_FAIL;
		m->done = true;
		return;
	}
	notify_send("STOPPING=1\nSTATUS=Aborting %d jobs", jobs_active(m, NULL));
	m->phase = MANAGER_STOPPING;
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "stopping", "%s: jobs are aborted",
	    sig == SIGINT ? "SIGINT" : "SIGTERM");
	m->stop_signal = sig;
	m->stop_by = mono_after(m->config->shutdown_timeout * NSEC_SEC);
	log_warn("Forceful shutdown: jobs are aborted", F_STR("signal", name), F_INT("builds", jobs_active(m, NULL)),
	    F_INT("shutdown_timeout", m->config->shutdown_timeout));
	stop_asking(m);
	life_write(m);
	jobs_abort(m, name);
}

static void
dump(struct manager *m)
{
	LIST_EACH(struct machine, mc, link, &m->machines)
		log_info("Machine", F_STR("name", mc->name), F_STR("state", scale_state_name(mc->state)),
		    F_STR("phase", phase_name(mc->phase)), F_INT("uses", mc->uses), F_STR("job", mc->job != NULL ? mc->job->id : ""));
	LIST_EACH(struct job, j, link, &m->jobs)
		log_info("Job", F_STR("job", j->id), F_STR("name", j->machine_name),
		    F_STR("state", j->state == JOB_WAITING ? "waiting" : j->state == JOB_RUNNING ? "running" : "ended"),
		    F_INT("executor", j->executor.pid), F_INT("reporter", j->reporter.pid));
}

static void
on_signal(struct manager *m, struct watch *w)
{
	struct signalfd_siginfo si;

	while (read(w->fd, &si, sizeof(si)) == sizeof(si)) {
		m->dirty = true;
		switch (si.ssi_signo) {
		case SIGQUIT:
			if (m->phase == MANAGER_STOPPING)
				stop(m, SIGTERM);
			else
				drain(m);
			break;
		case SIGTERM:
		case SIGINT:
			stop(m, (int)si.ssi_signo);
			break;
		case SIGHUP:
			reload_now(m);
			break;
		case SIGUSR1:
			dump(m);
			break;
		case SIGUSR2:
			handover(m);
			break;
		default:
			break;
		}
	}
}

/* Blocked from the first moment on: a signal during the start is not lost. */
static int
block_signals(void)
{
	static const int orders[] = { SIGQUIT, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };

	return proc_signals(orders, NELEM(orders), NULL);
}

static int
make_owner(int state_fd, char owner[17], struct err *e)
{
	if (state_owner_read(state_fd, owner))
		return 0;
	rand_hex(owner, 16);
	return state_owner_write(state_fd, owner, e);
}

/* Only who holds the manager's lock makes one, so that a manager that starts meanwhile makes no other. */
int
manager_owner(const char *state_dir, bool make, char owner[17], struct err *e)
{
	int rc = -1, lock = -1, dir;

	owner[0] = '\0';
	if (make && fs_mkdirs(state_dir, 0700, e) < 0)
		return -1;
	dir = fs_opendir(AT_FDCWD, state_dir, e);
	if (dir < 0)
		return !make && e->kind == ERR_NOTFOUND ? 0 : -1;
	for (int i = 0; i < LOCK_TRIES && rc < 0; i++) {
		if (state_owner_read(dir, owner) || !make) {
			rc = owner[0] != '\0';
			break;
		}
		lock = lock_take(dir, STATEFILE_LOCK, LOCK_TRY, e);
		if (lock >= 0)
			rc = make_owner(dir, owner, e) < 0 ? -1 : 1;
		if (lock >= 0 || e->kind != ERR_CONFLICT)
			break;
		mono_sleep(LOCK_PAUSE);
	}
	if (lock >= 0)
		close(lock);
	close(dir);
	return rc;
}

/* STORE_STATE_NOTE, best effort: nothing here depends on it. */
static void
leave_note(const struct manager *m)
{
	char path[PATH_MAX], *note = fs_join(m->store, STORE_STATE_NOTE);

	if (realpath(m->state_dir, path) != NULL)
		(void)fs_write_fast(AT_FDCWD, note, str_from(path), 0644, NULL);
	free(note);
}

static int
open_directories(struct manager *m, const struct manager_opts *o, struct err *e)
{
	m->state_dir = o->state_dir != NULL ? xstrdup(o->state_dir) : manager_default_state_dir();
	m->store = o->store != NULL ? xstrdup(o->store) : store_default_path();
	if (m->state_dir == NULL || m->store == NULL)
		return err_set(e, ERR_CONFIG, 0, "no home directory: set HOME, or give --state-dir and MACHINE_STORAGE_PATH");
	if (fs_mkdirs(m->state_dir, 0700, e) < 0 || fs_mkdirs(m->store, 0700, e) < 0)
		return -1;
	/* Whoever could put own files there would decide which authority is trusted and how jobs ended. */
	if (fs_strict_modes(m->state_dir, geteuid(), e) < 0)
		return err_ctx(e, "state directory %s", m->state_dir);
	if (fs_strict_modes(m->store, geteuid(), e) < 0)
		return err_ctx(e, "store %s", m->store);
	m->state_fd = fs_opendir(AT_FDCWD, m->state_dir, e);
	if (m->state_fd < 0)
		return -1;
	/*
	 * A predecessor that was killed between fork and exec of a child lives on in that child for an
	 * instant, lock and all: a restart at that very moment waits for it instead of giving up.
	 */
	for (int i = 0; i < LOCK_TRIES; i++) {
		m->lock_fd = lock_take(m->state_fd, STATEFILE_LOCK, LOCK_TRY, e);
		if (m->lock_fd >= 0 || e->kind != ERR_CONFLICT)
			break;
		mono_sleep(LOCK_PAUSE);
	}
	if (geteuid() == 0 && !identity_changes())
		log_info("The roles stay root: this service may not make them users of their own. Was its unit written by an older version? `windlass install --replace` writes it anew");
	if (m->lock_fd < 0)
		return e->kind == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, 0,
		    "another windlass already runs on state directory %s", m->state_dir) : -1;
	if (format_take(m->state_fd, e) < 0)
		return err_ctx(e, "state directory %s", m->state_dir);
	if (mkdirat(m->state_fd, JOBS_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "mkdir %s/jobs", m->state_dir);
	m->jobs_fd = fs_opendir(m->state_fd, JOBS_DIR, e);
	leave_note(m);
	return m->jobs_fd < 0 ? -1 : make_owner(m->state_fd, m->owner, e);
}

static void
apply_log(const struct manager *m, const struct manager_opts *o)
{
	enum log_level level = log_level();
	enum log_format format = log_format();

	if (!o->level_given && log_level_parse(str_from(m->config->log_level), &level) < 0)
		log_warn("log_level is none of debug, info, warn, error, fatal, panic", F_STR("log_level", m->config->log_level));
	if (!o->format_given && log_format_parse(str_from(m->config->log_format), &format) < 0)
		log_warn("log_format is none of runner, text, json", F_STR("log_format", m->config->log_format));
	log_setup(level, format);
	/* The roles read these. */
	setenv("LOG_LEVEL", log_level_name(level), 1);
	setenv("LOG_FORMAT", log_format_name(format), 1);
}

static int
prepare(struct manager *m, const struct manager_opts *o, struct err *e)
{
	int fd = block_signals();

	list_init(&m->pools);
	list_init(&m->machines);
	list_init(&m->jobs);
	list_init(&m->instances);
	list_init(&m->accounts);
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 || m->epoll < 0)
		return err_sys(e, "signalfd or epoll");
	watch_add(m, &m->signals, fd, on_signal, m);
	if (m->inotify >= 0)
		watch_add(m, &m->notify, m->inotify, jobs_notify, m);
	else
		log_warn("inotify: the files of jobs are looked at every few seconds instead (is fs.inotify.max_user_instances used up?)",
		    F_STR("error", strerror(errno)));
	m->listener = (struct child){ .exit = { .fd = -1 }, .control = { .fd = -1 }, .again = MONO_AT_ONCE };
	m->ca.look = m->ca.say = MONO_AT_ONCE;
	m->listen_address = o->listen_address;
	m->config_path = o->config_path != NULL ? xstrdup(o->config_path) : config_default_path();
	log_info("Starting multi-runner from the configuration", F_STR("config", m->config_path));
	reload_note(m);
	return open_directories(m, o, e);
}

static int
start(struct manager *m, const struct manager_opts *o, struct err *e)
{
	if (reload_first(m, e) < 0)
		return -1;
	apply_log(m, o);
	if (config_system_id(m->config_path, m->system_id, e) < 0)
		return -1;
	events_open(m);
	snapshot_open(m);
	jobs_watch(m);
	if (model_scan(m, e) < 0)
		return -1;
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "started", "windlass %s, pid %d", WL_VERSION,
	    (int)getpid());
	life_inherit(m);
	life_write(m);
	reload_loaded(m, true);
	machines_start(m);
	jobs_start(m);
	scaler_start(m);
	crash_point("manager:started");
	return 0;
}

static int
next_wake(const struct manager *m)
{
	mono_t at = mono_min(m->config_check, mono_after(SLEEP_MAX));
	wall_t wall[] = { scaler_wake(m), pollers_wake(m) }, now = wall_now();

	at = mono_min(at, jobs_wake(m));
	at = mono_min(at, machines_wake(m));
	at = mono_min(at, listener_wake(m));
	at = mono_min(at, snapshot_wake(m));
	at = mono_min(at, rounds_wake(m));
	at = mono_min(at, m->stop_by);
	at = mono_min(at, m->drain.by);
	at = mono_min(at, life_wake(m));
	for (size_t i = 0; i < NELEM(wall); i++)
		if (wall_known(wall[i]))
			at = mono_min(at, mono_after(wall_before(now, wall[i]) ? wall_between(now, wall[i]) : 0));
	return mono_ms_until(at);
}

/* A poller that is reading an answer may hold a job that nobody else has: it is let finish. */
static bool
pollers_alive(const struct manager *m)
{
	LIST_EACH(struct pool, p, link, &m->pools)
		LIST_EACH(struct poller, po, link, &p->pollers)
			if (child_alive(&po->child))
				return true;
	return false;
}

/* Whether a stop has nothing left to wait for. */
static void
check_end(struct manager *m)
{
	if (m->phase == MANAGER_RUNNING)
		return;
	if (m->phase == MANAGER_LEAVING) {
		if (!pollers_alive(m) || mono_passed(m->stop_by))
			handover_tend(m);
		return;
	}
	/* Operators are not waited for: what they were at is in the store, and the next start goes on with it. */
	if (list_empty(&m->jobs) && !pollers_alive(m)) {
		if (!drain_over(m))
			return;
		log_info("All workers stopped. Can exit now!");
		m->done = true;
	} else if (m->phase == MANAGER_STOPPING && mono_passed(m->stop_by)) {
		log_error("Service run failed: shutdown_timeout is over; jobs that still end do so without us, and the next start finds them",
		    F_INT("builds", jobs_active(m, NULL)));
		m->exit_status = EXIT_FAIL;
		m->done = true;
	}
}

static void
decide_and_act(struct manager *m)
{
	reload_tend(m);
	jobs_tend(m);
	scaler_run(m);
	machines_tend(m);
	rounds_tend(m);
	pollers_ask(m);
	/* What the round itself changed (a machine freed, a job given) is decided on at once. */
	while (m->dirty) {
		m->dirty = false;
		jobs_tend(m);
		scaler_run(m);
		machines_tend(m);
		pollers_ask(m);
	}
	/* The one that a poller was just taking when we were told to stop. */
	if (m->phase == MANAGER_STOPPING)
		jobs_refuse(m, m->stop_signal == SIGINT ? "interrupt" : "terminated");
	listener_tend(m);
	check_end(m);
	events_flush(m);
	life_tend(m);
}

static void
loop(struct manager *m)
{
	struct epoll_event ev[EVENTS];

	while (!m->done) {
		int n = epoll_wait(m->epoll, ev, EVENTS, next_wake(m));

		if (n < 0 && errno != EINTR) {
			log_error("epoll_wait", F_STR("error", strerror(errno)));
			m->exit_status = EXIT_FAIL;
			return;
		}
		/*
		 * One event a round: its handler may free what another event of the same batch points to.
		 * The rest is still there when epoll is asked again.
		 */
		if (n > 0) {
			struct watch *w = ev[0].data.ptr;

			w->ready(m, w);
		}
		m->dirty = false;
		decide_and_act(m);
		snapshot_tend(m, n > 0);
	}
}

int
manager_run(const struct manager_opts *o)
{
	struct manager *m = xcalloc(1, sizeof(*m));
	struct err e = { 0 };

	proc_title(o->title);
	life_begin(m, o);
	if (prepare(m, o, &e) < 0 || start(m, o, &e) < 0) {
		log_line(LOG_FATAL, "Service run failed", &F_ERR(&e), 1);
		return EXIT_FAIL;
	}
	decide_and_act(m);
	life_ready(m);
	snapshot_tend(m, true);
	loop(m);
	event_note(m, EVENT_MANAGER, ABOUT_ALL, "stopped", "%s", "");
	events_flush(m);
	snapshot_end(m);
	life_end(m);
	/* Everything else ends with the process. */
	return m->exit_status;
}
