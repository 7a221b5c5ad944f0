/*
 * `windlass upgrade FILE`: another version takes over under running jobs.
 * Everything that can be asked is asked before anything is replaced: is FILE
 * a program for this machine, does it run here, can it read this state, this
 * store and this config.toml (it says so itself: `FILE upgrade --verify`).
 * Then the file is replaced whole, the old one kept beside it, the manager
 * restarted, and watched until it is up. If it is not, the old file comes back.
 *
 * Nothing here is needed to upgrade: replacing the file and `windlass restart`
 * does the same without questions and without a way back.
 */
#include <sys/stat.h>
#include <elf.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "books/format.h"
#include "books/state.h"
#include "books/store.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "cmd/service.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/rand.h"
#include "versions.h"

#define FILE_MAX	(64u << 20)
#define ASK_LIMIT	(20 * NSEC_SEC)
#define UP_DEFAULT	60
/* How long a process that came up has to stay up to be believed. */
#define STAY		(2 * NSEC_SEC)
/* How long we wait for a supervisor that we know nothing of to start it again, before we do. */
#define OTHERS		(7 * NSEC_SEC)
/* A manager that has not begun to leave by then does not mean to. */
#define DEAF		(3 * NSEC_SEC)
#define PAUSE		(50 * NSEC_MSEC)
#define PROC_MAX	(1u << 20)

/* How the running manager was started, to be able to do that again. */
struct start {
	struct buf	 argv, env;	/* as /proc has them: NULs between */
	char		 cwd[PATH_MAX];
	int		 out, err;	/* its own; -1 */
};

struct upgrade {
	struct service	 s;
	const char	*file;
	char		*target, *old, *copy;
	struct arena	 arena;		/* what `was` points into */
	struct manager_says was;	/* before */
	int		 pid;		/* of the running manager; 0: none */
	bool		 by_systemd;	/* and systemd started it */
	dur_t		 limit;		/* for coming up */
	struct start	 start;
	struct state_counts before;
};

/* ---- files ---- */

static int
machine_of(const char *path, int *machine, struct err *e)
{
	Elf64_Ehdr h;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "%s", path);
	n = read(fd, &h, sizeof(h));
	close(fd);
	if (n < (ssize_t)sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, ERR_REFUSED, 0, "%s is no program (no 64-bit ELF file): was it downloaded whole?", path);
	*machine = h.e_machine;
	return 0;
}

static const char *
machine_name(int machine)
{
	return machine == EM_X86_64 ? "amd64" : machine == EM_AARCH64 ? "arm64" : "another architecture";
}

/* Whole and durable under its new name, with the owner and mode of `like`. */
static int
copy_file(const char *from, const char *to, const char *like, struct err *e)
{
	struct buf b = { .max = FILE_MAX };
	struct stat st;
	int rc = -1;

	if (stat(like, &st) < 0) {
		err_sys(e, "%s", like);
		goto out;
	}
	if (fs_read(AT_FDCWD, from, FILE_MAX, &b, e) < 0 || fs_write(AT_FDCWD, to, buf_str(&b), st.st_mode & 07777, e) < 0)
		goto out;
	if (st.st_uid != geteuid() && chown(to, st.st_uid, st.st_gid) < 0) {
		err_sys(e, "owner of %s", to);
		goto out;
	}
	rc = 0;
out:
	buf_free(&b);
	return rc == 0 ? 0 : err_ctx(e, "copy %s to %s", from, to);
}

static int
sync_folder(const char *path, struct err *e)
{
	char *folder = str_dup(str_of(path, (size_t)(strrchr(path, '/') - path) + 1));
	int fd = fs_opendir(AT_FDCWD, folder, e), rc = fd < 0 ? -1 : fs_sync_dir(fd, e);

	if (fd >= 0)
		close(fd);
	free(folder);
	return rc;
}

/* ---- what is asked before ---- */

/* "windlass 0.2.0" from the lines of `FILE version`. */
static int
ask_version(const char *file, char version[64], struct err *e)
{
	const char *argv[] = { file, "version", NULL };
	struct buf b = { .max = 1u << 16 };
	struct str text;
	int status = proc_run(argv, STR_NULL, &b, mono_after(ASK_LIMIT), e);

	version[0] = '\0';
	if (status > 0)
		err_set(e, ERR_REFUSED, status, status == 127 ? "it cannot be executed here (is its folder mounted noexec?)" :
		    status > 128 ? "it ended by signal %d when asked for its version" : "it ended with status %d when asked for its version",
		    status > 128 ? status - 128 : status);
	text = buf_str(&b);
	while (status == 0 && text.p != NULL && version[0] == '\0') {
		struct str line = str_cut(&text, '\n');
		ssize_t with = str_find(line, " with ");

		if (str_starts(line, "windlass "))
			str_copy(str_sub(line, strlen("windlass "), with > 0 ? (size_t)with - strlen("windlass ") : line.n), version, 64);
	}
	buf_free(&b);
	if (status == 0 && version[0] == '\0')
		return err_set(e, ERR_REFUSED, 0, "it runs, and is no windlass");
	return status == 0 ? 0 : -1;
}

static int
ask_fits(const struct upgrade *u, struct err *e)
{
	const char *argv[] = { u->copy, "upgrade", "--verify", "--state-dir", u->s.state_dir, "--config", u->s.config, "--storage-path", u->s.store, NULL };
	int status = proc_run(argv, STR_NULL, NULL, mono_after(ASK_LIMIT), e);

	if (status > 0)
		return err_set(e, ERR_REFUSED, status, "it says that it cannot run what is here (its own words above, status %d)", status);
	return status;
}

/* The other side of ask_fits(): whether this binary could take over. */
static int
verify(const struct upgrade *u)
{
	struct state_counts n;
	struct err e = { 0 };
	struct config *c;

	if (format_fits(u->s.state_dir, u->s.store, &n, &e) < 0)
		return runnercmd_fatal("windlass " WL_VERSION " cannot run this", &e);
	c = config_load(u->s.config, NULL, NULL, &e);
	if (c == NULL)
		return runnercmd_fatal("windlass " WL_VERSION " cannot run this", &e);
	log_info("It can run what is here", F_STR("version", WL_VERSION), F_INT("runners", c->nrunners), F_INT("jobs", n.jobs),
	    F_INT("running", n.running), F_INT("machines", n.machines), F_STR("state_dir", u->s.state_dir), F_STR("store", u->s.store));
	config_free(c);
	return 0;
}

static int
ask_all(struct upgrade *u, char version[64], struct err *e)
{
	int ours, theirs;
	char tag[9];
	struct buf name = { 0 };

	if (machine_of("/proc/self/exe", &ours, e) < 0 || machine_of(u->file, &theirs, e) < 0)
		return -1;
	if (ours != theirs)
		return err_set(e, ERR_REFUSED, 0, "%s is for %s, this host is %s", u->file, machine_name(theirs), machine_name(ours));
	/* What is asked is the very copy that will be in place, and from there. */
	rand_hex(tag, 8);
	buf_fmt(&name, "%.*s.windlass.%s.new", (int)(strrchr(u->target, '/') - u->target) + 1, u->target, tag);
	u->copy = buf_take(&name);
	if (copy_file(u->file, u->copy, u->target, e) < 0)
		return -1;
	if (ask_version(u->copy, version, e) < 0)
		return err_ctx(e, "%s", u->file);
	log_info("It runs here", F_STR("file", u->file), F_STR("version", version));
	if (ask_fits(u, e) < 0)
		return err_ctx(e, "%s", u->file);
	return 0;
}

/* ---- the process ---- */

static void
read_proc(int pid, const char *what, struct buf *b)
{
	char path[64];

	b->max = PROC_MAX;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	if (fs_read(AT_FDCWD, path, PROC_MAX, b, NULL) < 0)
		buf_clear(b);
}

static int
open_output(int pid, int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	return open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static void
remember_start(struct upgrade *u)
{
	char path[64];
	ssize_t n;

	read_proc(u->pid, "cmdline", &u->start.argv);
	read_proc(u->pid, "environ", &u->start.env);
	snprintf(path, sizeof(path), "/proc/%d/cwd", u->pid);
	n = readlink(path, u->start.cwd, sizeof(u->start.cwd) - 1);
	u->start.cwd[n > 0 ? n : 0] = '\0';
	u->start.out = open_output(u->pid, STDOUT_FILENO);
	u->start.err = open_output(u->pid, STDERR_FILENO);
}

/* The texts between NULs as a vector; the bytes stay the buffer's. */
static char **
vector(struct buf *b)
{
	char **v = xcalloc(b->n + 2, sizeof(*v));
	size_t n = 0;

	for (size_t at = 0; at < b->n; at += strlen(b->p + at) + 1)
		v[n++] = b->p + at;
	return v;
}

/* As it was started before, by whoever did that. */
static int
start_again(struct upgrade *u, struct err *e)
{
	char **argv = vector(&u->start.argv), **env = vector(&u->start.env);
	pid_t pid;

	if (argv[0] == NULL) {
		free(argv);
		free(env);
		return err_set(e, ERR_SYS, 0, "it is not known how it was started");
	}
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		setsid();
		dup2(null, STDIN_FILENO);
		dup2(u->start.out >= 0 ? u->start.out : null, STDOUT_FILENO);
		dup2(u->start.err >= 0 ? u->start.err : null, STDERR_FILENO);
		if (u->start.cwd[0] != '\0' && chdir(u->start.cwd) < 0)
			_exit(127);
		execve(u->target, argv, env);
		_exit(127);
	}
	free(argv);
	free(env);
	return pid < 0 ? err_sys(e, "fork") : 0;
}

/* systemd says that what it started has ended again. */
static bool
systemd_gave_up(const struct upgrade *u)
{
	char state[64];

	service_property(&u->s, "ActiveState", state, sizeof(state));
	if (strcmp(state, "failed") == 0)
		return true;
	service_property(&u->s, "SubState", state, sizeof(state));
	return strcmp(state, "auto-restart") == 0;
}

/*
 * Waits until a manager of another life than `old` is up, and has stayed so for a moment. Sees early what will not come up:
 * ended, or still the old one.
 */
static int
wait_up(struct upgrade *u, const char *old, struct arena *a, struct manager_says *says, struct err *e)
{
	mono_t began = mono_now(), deadline = mono_after(u->limit), gone = MONO_NEVER;
	struct stat exe, target;
	char path[64];
	int pid;

	while (service_wait_ready(u->s.state_dir, old, mono_after(PAUSE), a, says, e) < 0) {
		bool runs = manager_running(u->s.state_dir, &pid, e) == 1;

		if (mono_passed(deadline))
			return -1;
		if (u->by_systemd && systemd_gave_up(u))
			return err_set(e, ERR_SYS, 0, "it ended at once (`journalctl -u %s -n 20`)", u->s.name);
		if (runs)
			gone = MONO_NEVER;
		else if (mono_is_never(gone))
			gone = mono_after(DEAF);
		if (!u->by_systemd && !runs && mono_passed(gone))
			return err_set(e, ERR_SYS, 0, "it ended at once; see its log");
		if (runs && mono_since(began) > DEAF &&
		    manager_says(u->s.state_dir, a, says, NULL) == 0 &&
		    strcmp(says->life, old) == 0 && strcmp(says->state, "leaving") != 0)
			return err_set(e, ERR_SYS, 0, "the running process did not hand over; see its log");
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)says->pid);
	if (stat(path, &exe) == 0 && stat(u->target, &target) == 0 && (exe.st_dev != target.st_dev || exe.st_ino != target.st_ino))
		return err_set(e, ERR_SYS, 0, "process %d came up, and runs another file than %s", (int)says->pid, u->target);
	for (mono_t end = mono_after(STAY); !mono_passed(end); mono_sleep(PAUSE))
		if (manager_running(u->s.state_dir, &pid, e) != 1 || pid != says->pid)
			return err_set(e, ERR_SYS, 0, "it came up and ended again; see its log");
	return 0;
}

/*
 * The running process becomes the new program, under systemd too: nothing but the file has changed, and this way nobody is
 * blind for longer than a program takes to start.
 */
static int
hand_over(struct upgrade *u, struct err *e)
{
	char *lock = fs_join(u->s.state_dir, STATEFILE_LOCK);
	int rc = lock_signal(AT_FDCWD, lock, SIGUSR2, e);

	free(lock);
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(e, ERR_NOTFOUND, 0, "it has just ended");
}

/* What did not come up is in the way. Crash-only: it may be killed like that, and jobs do not notice. */
static void
kill_rest(const struct upgrade *u)
{
	const char *argv[] = { "systemctl", "kill", "--kill-who=main", "--signal=KILL", u->s.name, NULL };
	char *lock;

	if (u->by_systemd) {
		struct buf b = { 0 };

		service_ask(&u->s, argv, &b);
		buf_free(&b);
		return;
	}
	lock = fs_join(u->s.state_dir, STATEFILE_LOCK);
	lock_signal(AT_FDCWD, lock, SIGKILL, NULL);
	free(lock);
}

/* The old version, whatever is there now. */
static int
old_up(struct upgrade *u, struct arena *a, struct manager_says *says, struct err *e)
{
	char life[20];
	int pid;

	/* It never went away: a handing over that failed. */
	if (manager_running(u->s.state_dir, &pid, e) == 1 && manager_says(u->s.state_dir, a, says, NULL) == 0 &&
	    strcmp(says->life, u->was.life) == 0)
		return 0;
	if (manager_says(u->s.state_dir, a, says, NULL) < 0)
		says->life = "";
	snprintf(life, sizeof(life), "%s", says->life);
	kill_rest(u);
	if (u->by_systemd) {
		const char *argv[] = { "systemctl", "restart", "--no-block", u->s.name, NULL };

		if (service_tool(&u->s, argv, e) != 0)
			return err_ctx(e, "systemctl restart %s", u->s.name);
	} else if (service_wait_ready(u->s.state_dir, life, mono_after(OTHERS), a, says, e) < 0 && manager_running(u->s.state_dir, &pid, e) != 1 &&
	    start_again(u, e) < 0)
		return -1;
	return wait_up(u, life, a, says, e);
}

static int
roll_back(struct upgrade *u, const struct err *why)
{
	struct manager_says says = { 0 };
	struct arena a = { 0 };
	struct err e = { 0 };
	int rc;

	log_error("The new version did not come up: the old one is put back", F_ERR(why));
	if (copy_file(u->old, u->target, u->old, &e) < 0 || sync_folder(u->target, &e) < 0)
		return runnercmd_fatal("NOTHING RUNS NOW, and the old file could not be put back. By hand: copy it, then `start`", &e);
	rc = old_up(u, &a, &says, &e);
	if (rc < 0) {
		err_ctx(&e, "%s is in its place again", u->target);
		return runnercmd_fatal("NOTHING RUNS NOW: the old version did not come up either", &e);
	}
	log_info("The old version runs again; running jobs went on", F_STR("version", says.version), F_INT("pid", says.pid), F_INT("adopted", says.adopted));
	if (says.blind_ms >= 0)
		log_info("Nobody asked for jobs for", F_DUR("blind", says.blind_ms * NSEC_MSEC));
	arena_reset(&a);
	return 1;
}

static int
change_over(struct upgrade *u, const char *version)
{
	struct manager_says says = { 0 };
	struct state_counts after;
	struct arena a = { 0 };
	struct err e = { 0 };

	log_info("Handing over; running jobs go on", F_INT("pid", u->pid), F_INT("jobs", u->before.jobs), F_INT("running", u->before.running));
	if (hand_over(u, &e) < 0 || wait_up(u, u->was.life, &a, &says, &e) < 0)
		return roll_back(u, &e);
	if (format_fits(u->s.state_dir, u->s.store, &after, &e) < 0)
		after = (struct state_counts){ 0 };
	log_info("Upgraded", F_STR("from", u->was.version), F_STR("to", version), F_INT("pid", says.pid), F_INT("adopted", says.adopted),
	    F_INT("jobs", after.jobs), F_INT("running", after.running), F_DUR("blind", (says.blind_ms > 0 ? says.blind_ms : 0) * NSEC_MSEC));
	arena_reset(&a);
	return 0;
}

/* Whom all this is about. */
static int
look_around(struct upgrade *u, const char *target, struct err *e)
{
	char text[64], path[64];
	struct buf old = { 0 };
	int running = manager_running(u->s.state_dir, &u->pid, e);

	if (running < 0)
		return -1;
	if (running == 0)
		u->pid = 0;
	if (manager_says(u->s.state_dir, &u->arena, &u->was, NULL) < 0)
		u->was = (struct manager_says){ .life = "", .version = "?", .config = "", .store = "" };
	snprintf(path, sizeof(path), "/proc/%d/exe", u->pid);
	u->target = target != NULL ? realpath(target, NULL) : realpath(u->pid != 0 ? path : "/proc/self/exe", NULL);
	if (u->target == NULL && u->pid != 0 && target == NULL && u->was.exe[0] == '/')
		u->target = realpath(u->was.exe, NULL);		/* its file was replaced already */
	if (u->target == NULL)
		return err_set(e, ERR_NOTFOUND, 0, "which file is to be replaced? %s does not exist: give --target", target != NULL ? target : "What runs");
	buf_fmt(&old, "%s.old", u->target);
	u->old = buf_take(&old);
	if (u->pid != 0 && u->s.init == INIT_SYSTEMD && u->s.file != NULL) {
		int64_t main_pid = 0;

		service_property(&u->s, "MainPID", text, sizeof(text));
		u->by_systemd = str_to_i64(str_from(text), &main_pid) == 0 && main_pid == u->pid;
	}
	if (u->pid != 0)
		remember_start(u);
	/* What it runs with, unless we were told. */
	if (u->s.config == NULL)
		u->s.config = u->was.config[0] != '\0' ? u->was.config : config_default_path();
	if (u->s.store == NULL)
		u->s.store = u->was.store[0] != '\0' ? u->was.store : store_default_path();
	return format_fits(u->s.state_dir, u->s.store, &u->before, e);
}

static int
upgrade(struct upgrade *u, const char *target)
{
	struct err e = { 0 };
	char version[64];

	if (look_around(u, target, &e) < 0 || ask_all(u, version, &e) < 0) {
		if (u->copy != NULL)
			unlink(u->copy);
		return runnercmd_fatal("Nothing was changed", &e);
	}
	if (copy_file(u->target, u->old, u->target, &e) < 0 || rename(u->copy, u->target) < 0 || sync_folder(u->target, &e) < 0) {
		if (e.kind == ERR_NONE)
			err_sys(&e, "rename %s", u->copy);
		unlink(u->copy);
		return runnercmd_fatal("Nothing was changed", &e);
	}
	log_info("Replaced; the old file is kept", F_STR("file", u->target), F_STR("kept", u->old));
	if (u->pid != 0)
		return change_over(u, version);
	log_info("Nothing runs here: `start` starts the new version", F_STR("state_dir", u->s.state_dir));
	return 0;
}

static const struct opt opts[] = {
	{ .name = "service", .letter = 'n', .type = OPT_STRING, .arg = "NAME", .help = "name of the service (default windlass; gitlab-runner when called so)" },
	{ .name = "user-service", .type = OPT_BOOL, .help = "of this user's own service manager (systemctl --user)" },
	OPT_CONFIG,
	OPT_STATE_DIR,
	OPT_STORAGE,
	{ .name = "target", .type = OPT_STRING, .arg = "FILE", .help = "what is replaced (default: the file that the running windlass was started from)" },
	{ .name = "timeout", .type = OPT_INT, .arg = "SECONDS", .help = "how long the new version may take to come up (default 60)" },
	{ .name = "verify", .type = OPT_BOOL, .help = "change nothing: say whether this binary could run what is here" },
};
const struct usage cmd_upgrade_usage = USAGE("[FILE]",
    "Puts FILE in the place of the windlass that runs here, under its running jobs. First FILE is asked whether it runs on this\n"
    "host and can read this state, this store and this config.toml; if not, nothing is changed. Then the file is replaced (the\n"
    "old one stays beside it as NAME.old), the manager restarted, and watched until it is up; if it does not come up, the old\n"
    "file is put back and started. Jobs go on all the while; the last line says how long nobody asked for new ones.\n\n"
    "With --verify and without FILE this binary answers for itself. Exit status 0: done, or it could. 1: nothing was changed, or\n"
    "everything is as it was; the last line says which.", opts);

int
cmd_upgrade(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct upgrade u = { .start = { .out = -1, .err = -1 } };
	const char **words = xcalloc((size_t)argc + 1, sizeof(*words)), *name;
	struct err e = { 0 };
	size_t nwords;

	if (cmd_options(&cmd_upgrade_usage, o, argc, argv, words, &nwords) < 0)
		return 1;
	name = o[0].value != NULL ? o[0].value : service_default_name();
	if (!service_name_ok(name)) {
		err_set(&e, ERR_CONFIG, 0, "--service: a name is made of letters, digits and ._-:@");
		return cmd_bad_usage(argv[0], &e);
	}
	service_find(&u.s, name, o[1].number);
	if (o[3].value != NULL)
		u.s.state_dir = o[3].value;
	u.s.config = o[2].value;
	u.s.store = o[4].value;
	u.limit = (o[6].given && o[6].number > 0 ? o[6].number : UP_DEFAULT) * NSEC_SEC;
	if (o[7].number) {
		if (u.s.config == NULL)
			u.s.config = config_default_path();
		if (u.s.store == NULL)
			u.s.store = store_default_path();
		return verify(&u);
	}
	if (nwords != 1) {
		err_set(&e, ERR_CONFIG, 0, "which file? One FILE, the new version");
		return cmd_bad_usage(argv[0], &e);
	}
	u.file = words[0];
	return upgrade(&u, o[5].value);
}
