/*
 * `windlass run-single`: one runner, one job after another, and an end
 * (spec gitlab-runner 3.5): after so many jobs, or so long without one.
 *
 * It makes a configuration of that one runner and starts an ordinary `run` on a state
 * directory of its own. What it then has to know is in the jobs directory, and all
 * it ever says to the manager are signals, as an operator would. When the manager has ended
 * and no job is left it removes the machines that were made, since nobody may start here again.
 */
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "books/store.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "cmd/runnerflags.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/proc.h"
#include "manager/manager.h"
#include "wire/tomledit.h"

#define CONFIG_MAX	(8u << 20)
#define LOOK_NS		(2 * NSEC_SEC)		/* without inotify, and for time to pass */
#define REMOVE_NS	(300 * NSEC_SEC)

static const struct opt own[] = {
	OPT_CONFIG,
	{ .name = "runner", .letter = 'r', .type = OPT_STRING, .arg = "RUNNER", .help = "the runner of this name in config.toml, instead of options" },
	{ .name = "max-builds", .type = OPT_INT, .arg = "N", .env = "RUNNER_MAX_BUILDS", .help = "end after so many jobs; 0 = never" },
	{ .name = "wait-timeout", .type = OPT_INT, .arg = "SECONDS", .env = "RUNNER_WAIT_TIMEOUT", .help = "end after so many seconds without a job; 0 = never" },
	{ .name = "state-dir", .type = OPT_STRING, .arg = "DIR", .env = "WINDLASS_STATE_DIR", .help = "where its jobs are kept (default: below that of `run`, by url and token)" },
	OPT_STORAGE,
};

struct single {
	struct runnerflags f;
	char	*config;	/* the generated one */
	char	*state, *store;
	int64_t	 max_builds, wait_timeout;
	/* what was seen of the jobs directory */
	char	**seen;
	size_t	 nseen;
	int64_t	 taken;
	mono_t	 quiet_since;
	bool	 told;		/* the manager was told to end */
	pid_t	 pid;
	int	 pidfd, signals, inotify;
};

/* ---- the configuration ---- */

/* The file's text with this runner alone and one job at a time. */
static int
pick_runner(const char *path, const char *name, struct buf *out, struct err *e)
{
	struct config *conf = config_load(path, NULL, NULL, e);
	struct buf b = { .max = CONFIG_MAX };
	struct tomledit t = { 0 };
	size_t found = SIZE_MAX, n;
	int rc = -1;

	if (conf == NULL || fs_read(AT_FDCWD, path, CONFIG_MAX, &b, e) < 0)
		goto out;
	n = conf->nrunners;
	for (size_t i = n; i-- > 0;)
		if (strcmp(conf->runners[i].name, name) == 0)
			found = i;
	if (found == SIZE_MAX) {
		err_set(e, ERR_NOTFOUND, 0, "%s has no runner \"%s\": see `list`", path, name);
		goto out;
	}
	if (tomledit_open(&t, buf_str(&b), e) < 0)
		goto out;
	for (size_t i = n; i-- > 0;) {
		const struct toml *entry = key_value(K_GLOBAL_runners, t.root)->first;

		if (i == found)
			continue;
		for (size_t k = 0; k < i; k++)
			entry = entry->next;
		if (tomledit_remove(&t, entry, e) < 0)
			goto out;
	}
	if (tomledit_set(&t, t.root, keys[K_GLOBAL_concurrent].name, STR("1"), e) < 0)
		goto out;
	buf_putstr(out, buf_str(&t.text));
	rc = 0;
out:
	tomledit_close(&t);
	buf_wipe(&b);
	config_free(conf);
	return rc;
}

/* A configuration made of options. */
static int
make_config(struct single *s, struct buf *out, struct err *e)
{
	struct entry_facts facts = { .array = keys[K_GLOBAL_runners].name,
	    .obtained = "0001-01-01T00:00:00Z", .expires = "0001-01-01T00:00:00Z" };
	static const enum key_id needed[] = { K_RUNNER_url, K_RUNNER_token, K_RUNNER_executor };

	for (size_t i = 0; i < NELEM(needed); i++)
		if (runnerflags_str(&s->f, keys[needed[i]].flag)[0] == '\0')
			return err_set(e, ERR_CONFIG, 0, "--%s or $%s is missing (or give --runner NAME)",
			    keys[needed[i]].flag, keys[needed[i]].env);
	buf_fmt(out, "%s = 1\n\n", keys[K_GLOBAL_concurrent].name);
	return runnerflags_entry(&s->f, &facts, NULL, STR(""), out, e);
}

/* A directory for each runner: what an earlier start left (a job, a machine) is found again by the next. */
static char *
default_state(const struct config *c)
{
	char *base = manager_default_state_dir(), *dir, *name;
	struct buf b = { 0 };

	if (base == NULL)
		return NULL;
	buf_fmt(&b, "single-%s", c->runners[0].key);
	name = buf_take(&b);
	dir = fs_join(base, name);
	free(base);
	free(name);
	return dir;
}

/* Writes the configuration, and beside it the id that this host has in the file it came from. */
static int
write_config(struct single *s, struct str text, const char *from, struct err *e)
{
	char id[15], *path;
	int rc;

	if (fs_mkdirs(s->state, 0700, e) < 0)
		return -1;
	s->config = fs_join(s->state, "config.toml");
	if (from != NULL) {
		if (config_system_id(from, id, e) < 0)
			return -1;
		path = fs_join(s->state, ".runner_system_id");
		rc = fs_write(AT_FDCWD, path, str_from(id), 0600, e);
		free(path);
		if (rc < 0)
			return -1;
	}
	return fs_write(AT_FDCWD, s->config, text, 0600, e);
}

static int
prepare(struct single *s, struct err *e)
{
	const char *name = runnerflags_str(&s->f, "runner");
	char *path = runnerflags_str(&s->f, "config")[0] != '\0' ? xstrdup(runnerflags_str(&s->f, "config")) : config_default_path();
	struct buf text = { .max = CONFIG_MAX };
	struct config *c = NULL;
	int rc = -1;

	if ((name[0] != '\0' ? pick_runner(path, name, &text, e) : make_config(s, &text, e)) < 0)
		goto out;
	c = config_parse("the configuration", buf_str(&text), NULL, NULL, e);
	if (c == NULL)
		goto out;
	if (c->nrunners != 1 || c->runners[0].disabled != NULL) {
		err_set(e, ERR_CONFIG, 0, "the runner cannot run: %s", c->nrunners == 1 ? c->runners[0].disabled : "there is none");
		goto out;
	}
	s->state = runnerflags_str(&s->f, "state-dir")[0] != '\0' ? xstrdup(runnerflags_str(&s->f, "state-dir")) : default_state(c);
	if (s->state == NULL) {
		err_set(e, ERR_CONFIG, 0, "no home directory: give --state-dir");
		goto out;
	}
	rc = write_config(s, buf_str(&text), name[0] != '\0' ? path : NULL, e);
out:
	buf_wipe(&text);
	config_free(c);
	free(path);
	return rc;
}

/* ---- watching ---- */

static bool
was_seen(const struct single *s, const char *name)
{
	for (size_t i = 0; i < s->nseen; i++)
		if (strcmp(s->seen[i], name) == 0)
			return true;
	return false;
}

static void
tell_to_end(struct single *s, const char *why)
{
	if (s->told)
		return;
	s->told = true;
	log_info(why, F_INT("builds", s->taken));
	kill(s->pid, SIGQUIT);
}

/* Counts the jobs that came, and how long there has been none. */
static void
look(struct single *s)
{
	char *jobs = fs_join(s->state, JOBS_DIR), **names;
	ssize_t n = fs_list(AT_FDCWD, jobs, &names, NULL);

	for (ssize_t i = 0; i < n; i++) {
		if (was_seen(s, names[i]))
			continue;
		s->seen = xrealloc(s->seen, (s->nseen + 1) * sizeof(*s->seen));
		s->seen[s->nseen++] = xstrdup(names[i]);
		s->taken++;
	}
	if (n > 0)
		s->quiet_since = mono_now();
	if (n >= 0)
		fs_free_names(names, n);
	free(jobs);
	if (s->max_builds > 0 && s->taken >= s->max_builds)
		tell_to_end(s, "All jobs that were asked for have come: no more after the running one");
	else if (s->wait_timeout > 0 && mono_since(s->quiet_since) >= s->wait_timeout * NSEC_SEC)
		tell_to_end(s, "No job has come for as long as --wait-timeout says");
}

/* A signal from the terminal has reached the manager already, which is in our process group. */
static void
pass_signal(struct single *s)
{
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_code != SI_KERNEL)
			kill(s->pid, (int)si.ssi_signo);
}

static int
catch_signals(void)
{
	static const int orders[] = { SIGQUIT, SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

	return proc_signals(orders, NELEM(orders), NULL);
}

/* Until the manager has ended: its exit status. */
static int
attend(struct single *s)
{
	char events[4096], *jobs = fs_join(s->state, JOBS_DIR);
	int status = 0;

	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->inotify >= 0)
		inotify_add_watch(s->inotify, jobs, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
	free(jobs);
	s->quiet_since = mono_now();
	for (;;) {
		struct pollfd p[3] = { { s->signals, POLLIN, 0 }, { s->pidfd, POLLIN, 0 }, { s->inotify, POLLIN, 0 } };

		look(s);
		if (poll(p, 3, (int)(LOOK_NS / NSEC_MSEC)) < 0 && errno != EINTR)
			break;
		if (p[0].revents != 0)
			pass_signal(s);
		if (p[2].revents != 0)
			while (read(s->inotify, events, sizeof(events)) > 0)
				;
		if (p[1].revents != 0)
			break;
	}
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- before and after ---- */

static int
start(struct single *s, struct err *e)
{
	const char *argv[] = { "windlass", "run", "--config", s->config, "--state-dir", s->state, "--storage-path", s->store, NULL };
	char *jobs = fs_join(s->state, JOBS_DIR), **names;
	ssize_t n;

	/* Made now, so that it can be watched from the first job on; what lies in it is of an earlier start. */
	if (fs_mkdirs(jobs, 0700, e) < 0) {
		free(jobs);
		return -1;
	}
	n = fs_list(AT_FDCWD, jobs, &names, e);
	free(jobs);
	if (n < 0)
		return -1;
	s->seen = names;
	s->nseen = (size_t)n;
	s->signals = catch_signals();
	s->pidfd = proc_self(argv, NULL, 0, PROC_DIES_WITH_PARENT, &s->pid, e);
	return s->pidfd < 0 ? -1 : 0;
}

static bool
is_ours(const struct single *s, const char *name, const char *owner)
{
	struct machine_record r;
	struct arena a = { 0 };
	int dir = store_open(s->store, name, NULL);
	bool ours;

	if (dir < 0)
		return false;
	ours = machine_record_read(dir, &a, &r, NULL) == 0 && owner[0] != '\0' && strcmp(r.owner, owner) == 0;
	close(dir);
	arena_reset(&a);
	return ours;
}

static void
remove_machine(const char *name)
{
	const char *argv[] = { "/proc/self/exe", "machine", "rm", "-y", name, NULL };
	struct buf said = { .max = 1u << 20 };
	struct err e = { 0 };
	int rc;

	log_info("Removing the machine", F_STR("name", name));
	rc = proc_run(argv, STR(""), &said, mono_after(REMOVE_NS), &e);
	if (rc < 0)
		log_error("The machine was not removed: see `machine ls`", F_STR("name", name), F_ERR(&e));
	else if (rc > 0)
		log_error("The machine was not removed: see `machine ls`", F_STR("name", name), F_INT("exit_status", rc));
	buf_free(&said);
}

/* Nobody may start on this directory again, so nothing that costs money is left to it. */
static void
remove_machines(struct single *s)
{
	int dir = fs_opendir(AT_FDCWD, s->state, NULL);
	char **names, owner[17] = "";
	ssize_t n;

	if (dir >= 0) {
		state_owner_read(dir, owner);
		close(dir);
	}
	n = store_list(s->store, &names, NULL);
	for (ssize_t i = 0; i < n; i++)
		if (is_ours(s, names[i], owner))
			remove_machine(names[i]);
	if (n >= 0)
		fs_free_names(names, n);
}

static bool
has_jobs(const struct single *s)
{
	char *jobs = fs_join(s->state, JOBS_DIR), **names;
	ssize_t n = fs_list(AT_FDCWD, jobs, &names, NULL);

	free(jobs);
	if (n >= 0)
		fs_free_names(names, n);
	return n != 0;
}

const struct usage cmd_run_single_usage = { .args = "", .opt = own, .nopt = NELEM(own), .flags = USAGE_KEYS, .about =
	"Runs jobs of one runner one after another and ends, and removes its machines then. The runner is that of --runner in\n"
	"config.toml, or what options say.\n\n"
	"SIGQUIT: finish the running job, then end. SIGTERM, SIGINT: abort it, then end." };

static int
go(struct single *s, struct err *e)
{
	int rc;

	s->max_builds = runnerflags_opt(&s->f, "max-builds")->number;
	s->wait_timeout = runnerflags_opt(&s->f, "wait-timeout")->number;
	s->store = runnerflags_str(&s->f, "storage-path")[0] != '\0' ? xstrdup(runnerflags_str(&s->f, "storage-path")) : store_default_path();
	if (s->store == NULL)
		return err_set(e, ERR_CONFIG, 0, "no home directory: give --storage-path");
	setenv("MACHINE_STORAGE_PATH", s->store, 1);
	if (prepare(s, e) < 0 || start(s, e) < 0)
		return -1;
	rc = attend(s);
	if (!has_jobs(s))
		remove_machines(s);
	/* It holds the token. */
	unlink(s->config);
	return rc;
}

int
cmd_run_single(int argc, char **argv)
{
	struct single s = { .pidfd = -1, .signals = -1, .inotify = -1 };
	struct err e = { 0 };
	int rc = 1;

	runnerflags_init(&s.f, own, NELEM(own));
	if (runnerflags_parse(&s.f, argc, argv, &e) < 0) {
		cmd_bad_usage("run-single", &e);
	} else {
		runnercmd_hello(true);
		rc = go(&s, &e);
		if (rc < 0)
			rc = runnercmd_fatal("run-single", &e);
	}
	runnerflags_free(&s.f);
	fs_free_names(s.seen, (ssize_t)s.nseen);
	free(s.config);
	free(s.state);
	free(s.store);
	return rc;
}
