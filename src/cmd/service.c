/*
 * install, uninstall, start, stop, restart, status: windlass as a service of
 * the host, with the verbs, flags, words and exit statuses that scripts know
 * from gitlab-runner (spec gitlab-runner 3.6). What differs is to the operator's
 * good: an installed service that is the same already is no error, a restart does not touch running jobs, and
 * where there is no init system that is said, with what to do.
 */
#include <sys/stat.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "cmd/service.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/proc.h"

#define TEXT_MAX	(256u << 10)
#define UP_LIMIT	(60 * NSEC_SEC)
#define LEAVE_LIMIT	(30 * NSEC_SEC)

#define OPT_SERVICE	{ .name = "service", .letter = 'n', .type = OPT_STRING, .arg = "NAME", .help = "name of the service (default windlass; gitlab-runner when called so)" }
#define OPT_PER_USER	{ .name = "user-service", .type = OPT_BOOL, .help = "of this user's own service manager (systemctl --user)" }

static int
fatal(const char *verb, const char *name, const struct err *e)
{
	char what[200];

	snprintf(what, sizeof(what), "Failed to %s %s", verb, name);
	return runnercmd_fatal(what, e);
}

static int
without_init(const char *verb)
{
	struct err e = { 0 };
	char *config = config_default_path();

	err_set(&e, ERR_NOTFOUND, 0, "there is no init system here (looked for systemd, OpenRC, upstart, System V init), and none is needed: "
	    "`windlass run --config %s` in the foreground is all, as a container's command or under whatever else looks after processes here", config);
	free(config);
	return fatal(verb, "the service", &e);
}

/* ---- install ---- */

static char *
absolute(const char *path)
{
	char here[PATH_MAX];

	return path[0] != '/' && getcwd(here, sizeof(here)) != NULL ? fs_join(here, path) : xstrdup(path);
}

/* Of the one who will run it; what this shell has as HOME is another matter (sudo). */
static const char *
home_of(const char *user, struct err *e)
{
	struct passwd *p = user != NULL ? getpwnam(user) : getpwuid(geteuid());

	if (p == NULL || p->pw_dir[0] != '/') {
		err_set(e, ERR_CONFIG, 0, "there is no user %s with a home directory on this host", user != NULL ? user : "for this uid");
		return NULL;
	}
	return p->pw_dir;
}

static char *
own_file(void)
{
	char *path = realpath("/proc/self/exe", NULL);

	return path != NULL ? path : xstrdup("/usr/local/bin/windlass");
}

/* What a service could not execute: a private /tmp hides it. */
static bool
passing_place(const char *exe)
{
	return strncmp(exe, "/tmp/", 5) == 0 || strncmp(exe, "/var/tmp/", 9) == 0;
}

/* As the original leaves behind, when there is no file yet. Its folder is there. */
static int
make_config(const struct service *s, struct err *e)
{
	static const char text[] = "concurrent = 1\ncheck_interval = 0\nconnection_max_age = \"15m0s\"\nshutdown_timeout = 0\n\n[session_server]\n  session_timeout = 1800\n";
	struct passwd *p = s->init_user != NULL ? getpwnam(s->init_user) : NULL;

	if (fs_exists(AT_FDCWD, s->config))
		return 0;
	if (fs_write(AT_FDCWD, s->config, str_from(text), 0600, e) < 0)
		return -1;
	if (p != NULL && lchown(s->config, p->pw_uid, p->pw_gid) < 0)
		return err_sys(e, "give %s to %s", s->config, s->init_user);
	log_info("Made an empty configuration; `windlass register` adds a runner", F_STR("config", s->config));
	return 0;
}

/* System V: the links that make a script start and stop with the host. */
static void
sysv_links(const char *name, bool make)
{
	for (const char *level = "0123456"; *level != '\0'; level++) {
		bool starts = *level >= '2' && *level <= '5';
		char link[300], to[200];

		snprintf(link, sizeof(link), "/etc/rc%c.d/%s%.150s", *level, starts ? "S50" : "K02", name);
		snprintf(to, sizeof(to), "../init.d/%.150s", name);
		unlink(link);
		if (make && symlink(to, link) < 0 && errno != ENOENT)
			log_warn("The link that starts it with the host could not be made", F_STR("link", link), F_STR("error", strerror(errno)));
	}
}

static int
tool(const struct service *s, const char *const argv[], struct err *e)
{
	int rc = service_tool(s, argv, e);

	if (rc <= 0)
		return rc;
	return err_set(e, ERR_SYS, rc, "%s %s ended with status %d", argv[0], argv[1], rc);
}

/* Started with the host from now on, or no more. */
static int
enable(const struct service *s, bool on, struct err *e)
{
	const char *reload[] = { "systemctl", "daemon-reload", NULL };
	const char *unit[] = { "systemctl", on ? "enable" : "disable", "--quiet", s->name, NULL };
	const char *level[] = { "rc-update", on ? "add" : "del", s->name, "default", NULL };

	switch (s->init) {
	case INIT_SYSTEMD:
		if (on && tool(s, reload, e) < 0)
			return -1;
		return tool(s, unit, e);
	case INIT_OPENRC:
		return tool(s, level, e);
	case INIT_SYSV:
		sysv_links(s->name, on);
		return 0;
	default:
		return 0;
	}
}

/* 1: the same stands there already. 0: written. -1. */
static int
put_file(const struct service *s, struct str text, bool replace, struct err *e)
{
	bool script = s->init == INIT_OPENRC || s->init == INIT_SYSV;
	struct buf old = { .max = TEXT_MAX };
	char *folder = xstrdup(s->file);
	int rc = -1;

	*strrchr(folder, '/') = '\0';
	if (fs_read(AT_FDCWD, s->file, TEXT_MAX, &old, NULL) == 0) {
		if (str_eq(buf_str(&old), text)) {
			rc = 1;
			goto out;
		}
		if (!replace) {
			err_set(e, ERR_CONFLICT, 0, "Init already exists: %s, and says something else (`windlass install --print` shows what would stand there; "
			    "--replace puts it there)", s->file);
			goto out;
		}
	}
	if (fs_mkdirs(folder, 0755, e) == 0 && fs_write(AT_FDCWD, s->file, text, script ? 0755 : 0644, e) == 0)
		rc = 0;
out:
	buf_free(&old);
	free(folder);
	return rc;
}

static int
install(struct service *s, bool replace)
{
	struct buf text = { .max = TEXT_MAX };
	struct err e = { 0 };
	int rc;

	/* What would never start is not installed. */
	if (service_prepare(s, &e) < 0 || service_fits_user(s, &e) < 0)
		return fatal("install", s->name, &e);
	service_text(s, &text);
	s->file = service_file(s->init, s->per_user, s->name);
	rc = put_file(s, buf_str(&text), replace, &e);
	buf_free(&text);
	if (rc < 0 || make_config(s, &e) < 0 || enable(s, true, &e) < 0)
		return fatal("install", s->name, &e);
	log_info(rc == 1 ? "Service is installed already, just so" : "Service is installed: `start` starts it, and so does the next boot",
	    F_STR("service", s->name), F_STR("file", s->file), F_STR("config", s->config), F_STR("state_dir", s->state_dir));
	return 0;
}

static const char install_about[] =
	"Makes windlass a service of this host: writes what its init system reads (found in this order: systemd, OpenRC, upstart,\n"
	"System V init), and has it started at boot. An empty config.toml is made when there is none. Nothing is started yet.\n"
	"The same again changes nothing; a file that says something else is left alone, unless --replace is given.";

static int
user_fits(const struct service *s, bool print, struct err *e)
{
	if (s->user != NULL && s->init_user != NULL)
		return err_set(e, ERR_CONFIG, 0, "--user and --init-user exclude each other");
	if (s->per_user && s->init != INIT_SYSTEMD)
		return err_set(e, ERR_CONFIG, 0, "--user-service: only systemd has services of users, and this host has %s", init_name(s->init));
	if (print)
		return 0;
	if (s->per_user && geteuid() == 0)
		return err_set(e, ERR_CONFIG, 0, "--user-service is for users; root installs a service of the host");
	if (!s->per_user && geteuid() != 0)
		return err_set(e, ERR_AUTH, 0, "root only; for a service of your own: --user-service");
	if (s->user != NULL && getpwnam(s->user) == NULL)
		return err_set(e, ERR_CONFIG, 0, "--user %s: there is no such user on this host", s->user);
	if (passing_place(s->exe))
		return err_set(e, ERR_CONFIG, 0, "%s will not last, and a service has a /tmp of its own: copy it to /usr/local/bin/windlass first, and install from there", s->exe);
	return 0;
}

static const struct opt install_opts[] = {
	OPT_SERVICE,
	OPT_PER_USER,
	OPT_CONFIG,
	OPT_STATE_DIR,
	OPT_STORAGE,
	{ .name = "working-directory", .letter = 'd', .type = OPT_STRING, .arg = "DIR", .help = "where it runs (default: here; with --init-user that user's home)" },
	{ .name = "init-user", .letter = 'i', .type = OPT_STRING, .arg = "USER", .help = "whom it runs as (default root)" },
	{ .name = "user", .letter = 'u', .type = OPT_STRING, .arg = "USER", .help = "handed on to run, where it has no effect: only the shell executor used it" },
	{ .name = "syslog", .type = OPT_BOOL, .help = "handed on to run, where it has no effect: the service manager takes stderr" },
	{ .name = "binary", .type = OPT_STRING, .arg = "FILE", .help = "what is started (default: this file)" },
	{ .name = "init", .type = OPT_STRING, .arg = "systemd|openrc|upstart|sysv", .help = "for this one instead of what is found" },
	{ .name = "replace", .type = OPT_BOOL, .help = "also where the file exists and says something else" },
	{ .name = "print", .type = OPT_BOOL, .help = "only print what would be written" },
};
const struct usage cmd_install_usage = USAGE("", install_about, install_opts);

int
cmd_install(int argc, char **argv)
{
	struct opt o[NELEM(install_opts)];
	struct service s = { .init = init_detect() };
	struct err e = { 0 };
	const char *text, *home;
	bool print;

	if (cmd_options(&cmd_install_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
#define VALUE(n)	opt_find(o, NELEM(o), n)->value
	s.name = VALUE("service") != NULL ? VALUE("service") : service_default_name();
	s.per_user = opt_find(o, NELEM(o), "user-service")->number;
	print = opt_find(o, NELEM(o), "print")->number;
	text = VALUE("init");
	if (text != NULL && init_parse(str_from(text), &s.init) < 0) {
		err_set(&e, ERR_CONFIG, 0, "--init %s: it is systemd, openrc, upstart or sysv", text);
		return fatal("install", s.name, &e);
	}
	if (s.init == INIT_NONE && !print)
		return without_init("install");
	if (s.init == INIT_NONE)
		s.init = INIT_SYSTEMD;
	if (!service_name_ok(s.name)) {
		err_set(&e, ERR_CONFIG, 0, "--service: a name is made of letters, digits and ._-:@");
		return fatal("install", s.name, &e);
	}
	s.user = VALUE("user");
	s.init_user = VALUE("init-user");
	s.syslog = opt_find(o, NELEM(o), "syslog")->number;
	s.exe = VALUE("binary") != NULL ? absolute(VALUE("binary")) : own_file();
	if (user_fits(&s, print, &e) < 0)
		return fatal("install", s.name, &e);
	home = s.init_user == NULL && !s.per_user ? "/root" : home_of(s.init_user, &e);
	if (s.init_user == NULL && !s.per_user && geteuid() == 0 && home_of(NULL, NULL) != NULL)
		home = home_of(NULL, NULL);
	if (home == NULL)
		return fatal("install", s.name, &e);
	/* Where root stands is hardly where somebody else may be. */
	s.directory = VALUE("working-directory") != NULL ? absolute(VALUE("working-directory")) : s.init_user != NULL ? home : getcwd(NULL, 0);
	if (s.directory == NULL)
		s.directory = "/";
	s.config = VALUE("config") != NULL ? absolute(VALUE("config")) : s.per_user ? config_default_path() :
	    s.init_user != NULL ? fs_join(home, "config.toml") : xstrdup("/etc/gitlab-runner/config.toml");
	s.store = VALUE("storage-path") != NULL ? absolute(VALUE("storage-path")) : fs_join(home, ".docker/machine");
	if (VALUE("state-dir") != NULL)
		s.state_dir = absolute(VALUE("state-dir"));
	else if (s.per_user)
		s.state_dir = manager_default_state_dir();
	else if (strcmp(s.name, "windlass") == 0 || strcmp(s.name, "gitlab-runner") == 0)
		s.state_dir = "/var/lib/windlass";
	else
		s.state_dir = fs_join("/var/lib", s.name);
#undef VALUE
	if (print) {
		struct buf b = { .max = TEXT_MAX };

		service_text(&s, &b);
		fwrite(b.p, 1, b.n, stdout);
		buf_free(&b);
		return 0;
	}
	return install(&s, opt_find(o, NELEM(o), "replace")->number);
}

/* ---- the others ---- */

static const struct opt opts[] = { OPT_SERVICE, OPT_PER_USER };
/* Also for a `run` that is nobody's service. */
static const struct opt running_opts[] = { OPT_SERVICE, OPT_PER_USER, OPT_STATE_DIR };

/* Their options, and what is here under that name. 0, or -1, said. */
static int
begin(const struct usage *u, struct opt *o, int argc, char **argv, struct service *s)
{
	const char *name;
	struct err e = { 0 };

	if (cmd_options(u, o, argc, argv, NULL, NULL) < 0)
		return -1;
	name = o[0].value != NULL ? o[0].value : service_default_name();
	if (!service_name_ok(name)) {
		err_set(&e, ERR_CONFIG, 0, "--service: a name is made of letters, digits and ._-:@");
		fatal(argv[0], name, &e);
		return -1;
	}
	service_find(s, name, o[1].number);
	if (u->nopt > 2 && o[2].value != NULL && (s->state_dir == NULL || strcmp(o[2].value, s->state_dir) != 0)) {
		/* Somebody else's than the service's. */
		s->state_dir = o[2].value;
		s->file = NULL;
	}
	return 0;
}

const struct usage cmd_uninstall_usage = USAGE("",
    "Takes the service off this host: it is not started at boot any more, and its file goes. What runs goes on running;\n"
    "`stop` comes before. config.toml, the state directory and the store stay.", opts);

int
cmd_uninstall(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct buf text = { .max = TEXT_MAX };
	struct service s;
	struct err e = { 0 };
	const char *reload[] = { "systemctl", "daemon-reload", NULL };
	char *file;
	int pid, rc = begin(&cmd_uninstall_usage, o, argc, argv, &s);

	if (rc < 0)
		return 1;
	if (s.init == INIT_NONE)
		return without_init("uninstall");
	file = service_file(s.init, s.per_user, s.name);
	if (fs_read(AT_FDCWD, file, TEXT_MAX, &text, &e) < 0) {
		if (e.kind != ERR_NOTFOUND)
			return fatal("uninstall", s.name, &e);
		if (s.file != NULL) {
			err_set(&e, ERR_CONFLICT, 0, "%s came with a package: remove that, or `systemctl disable %s`", s.file, s.name);
			return fatal("uninstall", s.name, &e);
		}
		log_info("Service is not installed: nothing to do", F_STR("service", s.name), F_STR("file", file));
		return 0;
	}
	if (!service_text_ours(buf_str(&text))) {
		err_set(&e, ERR_CONFLICT, 0, "%s starts neither windlass nor gitlab-runner: remove it by hand if it is to go", file);
		return fatal("uninstall", s.name, &e);
	}
	buf_free(&text);
	if (enable(&s, false, &e) < 0)
		log_warn("It could not be taken from what starts at boot", F_ERR(&e));
	if (unlink(file) < 0) {
		err_sys(&e, "remove %s", file);
		return fatal("uninstall", s.name, &e);
	}
	if (s.init == INIT_SYSTEMD && tool(&s, reload, &e) < 0)
		return fatal("uninstall", s.name, &e);
	log_info("Service is uninstalled", F_STR("service", s.name), F_STR("file", file));
	if (manager_running(s.state_dir, &pid, &e) == 1)
		log_warn("It still runs: SIGQUIT ends it after its jobs, with SIGUSR2 after it they go on without it", F_INT("pid", pid));
	return 0;
}

/* The init system's own verb. */
static int
ask_init(const struct service *s, const char *verb, struct err *e)
{
	char script[200];
	const char *systemd[] = { "systemctl", verb, s->name, NULL };
	const char *openrc[] = { "rc-service", s->name, verb, NULL };
	const char *upstart[] = { "initctl", verb, s->name, NULL };
	const char *sysv[] = { script, verb, NULL };

	snprintf(script, sizeof(script), "/etc/init.d/%s", s->name);
	if (tool(s, s->init == INIT_SYSTEMD ? systemd : s->init == INIT_OPENRC ? openrc : s->init == INIT_UPSTART ? upstart : sysv, e) == 0)
		return 0;
	if (s->init == INIT_SYSTEMD)
		err_ctx(e, "see `journalctl -u %s -n 20`", s->name);
	return -1;
}

static int
not_installed(const char *verb, const struct service *s)
{
	struct err e = { 0 };

	err_set(&e, ERR_NOTFOUND, 0, "the service is not installed (`windlass install%s%s` does that)",
	    strcmp(s->name, service_default_name()) != 0 ? " --service " : "", strcmp(s->name, service_default_name()) != 0 ? s->name : "");
	return fatal(verb, s->name, &e);
}

/* Whether the init system takes it for running. One that ends and is started again, every five seconds, is not. */
static bool
init_runs(const struct service *s, char word[32])
{
	char sub[64];

	service_active(s, word);
	if (strcmp(word, "activating") != 0)
		return strcmp(word, "active") == 0 || strcmp(word, "reloading") == 0 || strcmp(word, "deactivating") == 0;
	service_property(s, "SubState", sub, sizeof(sub));
	return strcmp(sub, "auto-restart") != 0;
}

static int
start(const struct service *s)
{
	struct err e = { 0 };
	char word[32] = "";
	int pid;

	if (s->init == INIT_NONE)
		return without_init("start");
	if (s->file == NULL)
		return not_installed("start", s);
	/* By hand, or by another service: the new one could only complain again and again. */
	if (manager_running(s->state_dir, &pid, &e) == 1 && (s->init != INIT_SYSTEMD || !init_runs(s, word))) {
		if (s->init != INIT_SYSTEMD) {
			log_info("Service runs already", F_STR("service", s->name), F_INT("pid", pid));
			return 0;
		}
		err_set(&e, ERR_CONFLICT, 0, "process %d already works on %s, and %s did not start it. To change over without touching its jobs: kill -QUIT %d; kill -USR2 %d; windlass start",
		    pid, s->state_dir, init_name(s->init), pid, pid);
		return fatal("start", s->name, &e);
	}
	return ask_init(s, "start", &e) < 0 ? fatal("start", s->name, &e) : 0;
}

const struct usage cmd_start_usage = USAGE("",
    "Starts the installed service and waits until it is up. What runs already goes on.", opts);

int
cmd_start(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct service s;
	int rc = begin(&cmd_start_usage, o, argc, argv, &s);

	return rc < 0 ? 1 : start(&s);
}

const struct usage cmd_stop_usage = USAGE("",
    "Stops it gracefully: no new jobs, and it ends when the running ones are finished and reported. This waits for that; an\n"
    "interrupt ends the waiting, not the stop. In a hurry: SIGTERM aborts the jobs, SIGUSR2 lets them go on without it.", running_opts);

int
cmd_stop(int argc, char **argv)
{
	struct opt o[NELEM(running_opts)];
	struct service s;
	struct err e = { 0 };
	int pid = 0, running, rc = begin(&cmd_stop_usage, o, argc, argv, &s);

	if (rc < 0)
		return 1;
	running = manager_running(s.state_dir, &pid, &e);
	if (running == 1)
		log_info("No new jobs from now on; waiting for the running ones. An interrupt ends the waiting, not the stop",
		    F_STR("service", s.name), F_INT("pid", pid));
	if (s.file != NULL)
		return ask_init(&s, "stop", &e) < 0 ? fatal("stop", s.name, &e) : 0;
	if (running == 0) {
		log_info("Nothing to stop", F_STR("service", s.name), F_STR("state_dir", s.state_dir));
		return 0;
	}
	if (running < 0 || service_end(s.state_dir, SERVICE_DRAIN, &e) < 0 || service_wait_end(s.state_dir, MONO_NEVER, &e) < 0)
		return fatal("stop", s.name, &e);
	return 0;
}

static void
say_restarted(const struct manager_says *says)
{
	log_info("Restarted; running jobs went on", F_INT("pid", says->pid), F_STR("version", says->version), F_INT("adopted", says->adopted),
	    F_DUR("blind", (says->blind_ms > 0 ? says->blind_ms : 0) * NSEC_MSEC));
}

/* The manager becomes the file it was started from, whatever that is now. */
static int
hand_over(const char *state_dir, struct err *e)
{
	char *lock = fs_join(state_dir, STATEFILE_LOCK), old[20] = "";
	struct manager_says says;
	struct arena a = { 0 };
	int rc;

	if (manager_says(state_dir, &a, &says, NULL) == 0)
		snprintf(old, sizeof(old), "%s", says.life);
	rc = lock_signal(AT_FDCWD, lock, SIGUSR2, e);
	free(lock);
	if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, 0, "it has just ended");
	if (rc > 0)
		rc = service_wait_ready(state_dir, old, mono_after(UP_LIMIT), &a, &says, e);
	if (rc == 0)
		say_restarted(&says);
	arena_reset(&a);
	return rc;
}

/* A real one, with the unit as it is now; it is up when systemctl returns. */
static int
restart_unit(const struct service *s, struct err *e)
{
	struct manager_says says;
	struct arena a = { 0 };

	if (ask_init(s, "restart", e) < 0)
		return -1;
	/* A unit of the original's does not wait for us. */
	if (service_wait_ready(s->state_dir, "", mono_after(LEAVE_LIMIT), &a, &says, e) == 0)
		say_restarted(&says);
	arena_reset(&a);
	return 0;
}

int
service_restart(const struct service *s, struct err *e)
{
	int pid;

	if (s->init == INIT_SYSTEMD && s->file != NULL)
		return restart_unit(s, e);
	if (manager_running(s->state_dir, &pid, e) == 1)
		return hand_over(s->state_dir, e);
	return s->file != NULL ? ask_init(s, "start", e) : err_set(e, ERR_NOTFOUND, 0, "nothing runs on %s", s->state_dir);
}

const struct usage cmd_restart_usage = USAGE("",
    "Restarts it at once: running jobs go on and are taken up by the new process, which is started from the file as it is now.\n"
    "Without an init system the running process becomes the new one (SIGUSR2).", running_opts);

int
cmd_restart(int argc, char **argv)
{
	struct opt o[NELEM(running_opts)];
	struct service s;
	struct err e = { 0 };
	int pid, rc = begin(&cmd_restart_usage, o, argc, argv, &s);

	if (rc < 0)
		return 1;
	if (s.file == NULL && manager_running(s.state_dir, &pid, &e) != 1)
		return s.init == INIT_NONE ? without_init("restart") : not_installed("restart", &s);
	return service_restart(&s, &e) < 0 ? fatal("restart", s.name, &e) : 0;
}

/* Between two lives of one process nobody holds the lock, for milliseconds: who left just now may be back. */
static bool
left_just_now(const char *dir)
{
	struct manager_says says = { 0 };
	struct arena a = { 0 };
	wall_t now = wall_now();
	bool yes;

	yes = manager_says(dir, &a, &says, NULL) == 0 && wall_known(says.left) &&
	    !wall_before(now, says.left) && wall_between(says.left, now) < 2 * NSEC_SEC;
	arena_reset(&a);
	return yes;
}

/* The lock's word: 1 runs, 0 not, -1 with *e. */
static int
by_lock(const char *dir, struct err *e)
{
	int pid, rc;

	while ((rc = manager_running(dir, &pid, e)) == 0 && left_just_now(dir))
		mono_sleep(50 * NSEC_MSEC);
	return rc;
}

/* What scripts know from gitlab-runner, under the name that was asked. Returns the exit status. */
static int PRINTFLIKE(2, 3)
say_status(bool runs, const char *fmt, ...)
{
	FILE *f = runs ? stdout : stderr;
	va_list ap;

	fprintf(f, "%s: ", service_default_name());
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
	return !runs;
}

static const struct opt status_opts[] = {
	OPT_SERVICE,
	OPT_PER_USER,
	{ .name = "state-dir", .type = OPT_STRING, .arg = "DIR", .env = "WINDLASS_STATE_DIR", .help = "ask who runs on this directory, not the init system" },
};
const struct usage cmd_status_usage = USAGE("",
    "Exit status 0 while it runs (also while it finishes its last jobs), 1 when it does not. It runs when some\n"
    "`windlass run` holds the service's state directory; a service that ends and is started again and again does not.", status_opts);

/* Whether windlass is what the unit starts. The original's holds no lock of ours, so systemd's word is all there is. */
static bool
unit_is_ours(const struct service *s)
{
	struct buf b = { .max = TEXT_MAX };
	bool ours = fs_read(AT_FDCWD, s->file, TEXT_MAX, &b, NULL) == 0 && str_find(buf_str(&b), "Written by `windlass install`") >= 0;

	buf_free(&b);
	return ours;
}

/* Nobody holds the lock (0), or it cannot be asked (-1: somebody who may not look into the state directory). */
static int
status_of_unit(const struct service *s, int lock)
{
	char word[32];
	bool runs = init_runs(s, word);

	if (runs && !(lock == 0 && unit_is_ours(s)))
		return say_status(true, "Service is running");
	if (strcmp(word, "activating") == 0)
		return say_status(false, runs ? "Service is starting, and not up yet" :
		    "Service does not stay up: it is started again and again; `journalctl -u %s -n 20` says why", s->name);
	if (strcmp(word, "failed") == 0)
		return say_status(false, "service in failed state: `journalctl -u %s -n 20` says why", s->name);
	return say_status(false, "Service has stopped");
}

int
cmd_status(int argc, char **argv)
{
	struct opt o[NELEM(status_opts)];
	struct service s;
	struct err e = { 0 };
	int runs, rc = begin(&cmd_status_usage, o, argc, argv, &s);

	if (rc < 0)
		return 1;
	if (s.state_dir == NULL)
		return say_status(false, "no home directory: give --state-dir");
	runs = by_lock(s.state_dir, &e);
	if (runs == 1)
		return say_status(true, "Service is running");
	if (o[2].value != NULL || s.init != INIT_SYSTEMD || s.file == NULL) {
		if (runs < 0)
			return say_status(false, "%s", e.msg);
		return o[2].value == NULL && s.init != INIT_NONE && s.file == NULL ?
		    say_status(false, "Service %s is not installed, and nothing runs on %s", s.name, s.state_dir) :
		    say_status(false, "Service has stopped (state directory %s)", s.state_dir);
	}
	return status_of_unit(&s, runs);
}

/*
 * For the files that `install` writes. systemd asks for a stop when it wants a
 * restart and when the host goes down, too: then nobody is to wait for jobs.
 */
static bool
systemd_wants_leave(const struct service *s)
{
	const char *jobs[] = { "systemctl", "list-jobs", "--no-legend", "--plain", NULL, NULL };
	const char *state[] = { "systemctl", "is-system-running", NULL };
	struct buf unit = { 0 }, b = { .max = 1u << 16 };
	bool leave = false;
	struct str text;

	buf_fmt(&unit, "%s.service", s->name);
	jobs[4] = unit.p;
	service_ask(s, jobs, &b);
	text = buf_str(&b);
	/* "  123 windlass.service restart running" */
	while (text.p != NULL && !leave) {
		struct str line = str_trim(str_cut(&text, '\n'));

		leave = str_find(line, unit.p) >= 0 && str_find(line, " restart ") >= 0;
	}
	buf_clear(&b);
	service_ask(s, state, &b);
	leave = leave || str_eqc(str_trim(buf_str(&b)), "stopping");
	buf_free(&b);
	buf_free(&unit);
	return leave;
}

static const struct opt service_stop_opts[] = {
	{ .name = "state-dir", .type = OPT_STRING, .help = "whose manager" },
	{ .name = "user-service", .type = OPT_BOOL, .help = "of a user's service manager" },
	{ .name = "systemd", .type = OPT_STRING, .help = "as ExecStop= of this unit: leaves for a restart or a shutdown, else does nothing" },
	{ .name = "leave", .type = OPT_BOOL, .help = "running jobs go on without it" },
	{ .name = "abort", .type = OPT_BOOL, .help = "running jobs are aborted" },
};
const struct usage cmd_service_stop_usage = USAGE("",
    "Ends the manager of a state directory and waits for its end. What `install` writes uses this.", service_stop_opts);

int
cmd_service_stop(int argc, char **argv)
{
	struct opt o[NELEM(service_stop_opts)];
	struct service s = { .init = INIT_SYSTEMD };
	struct err e = { 0 };
	enum service_end how = SERVICE_DRAIN;
	const char *dir;

	if (cmd_options(&cmd_service_stop_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	dir = o[0].value;
	if (dir == NULL)
		dir = manager_default_state_dir();
	s.per_user = o[1].number;
	s.name = o[2].value;
	if (s.name != NULL && !systemd_wants_leave(&s))
		return 0;
	if (s.name != NULL || o[3].number)
		how = SERVICE_LEAVE;
	else if (o[4].number)
		how = SERVICE_ABORT;
	if (service_end(dir, how, &e) < 0 || service_wait_end(dir, how == SERVICE_LEAVE ? mono_after(LEAVE_LIMIT) : MONO_NEVER, &e) < 0)
		return runnercmd_fatal("service-stop", &e);
	return 0;
}
