/* Which init system there is, and how it and the manager are asked: see service.h. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/proc.h"
#include "core/str.h"
#include "manager/manager.h"

#define TOOL_LIMIT	(30 * NSEC_SEC)
#define POLL_PAUSE	(50 * NSEC_MSEC)
#define FILE_LIMIT	(256u << 10)

static const char *const names[INIT_NKINDS] = { "none", "systemd", "openrc", "upstart", "sysv" };

const char *
init_name(enum init_system i)
{
	return names[i];
}

int
init_parse(struct str s, enum init_system *i)
{
	for (size_t k = INIT_SYSTEMD; k < INIT_NKINDS; k++)
		if (str_eqc(s, names[k])) {
			*i = (enum init_system)k;
			return 0;
		}
	return -1;
}

static bool
there(const char *root, const char *path)
{
	char *full = fs_join(root, path + 1);
	bool yes = fs_exists(AT_FDCWD, full);

	free(full);
	return yes;
}

enum init_system
init_detect_in(const char *root, const char *first)
{
	/* As sd_booted(3) and OpenRC's own scripts ask. */
	if (there(root, "/run/systemd/system"))
		return INIT_SYSTEMD;
	if (there(root, "/run/openrc"))
		return INIT_OPENRC;
	if (there(root, "/sbin/upstart-udev-bridge") && there(root, "/etc/init"))
		return INIT_UPSTART;
	/* The scripts are in many a container; without an init to run them they are nothing. */
	if (there(root, "/etc/init.d") && strcmp(first, "init") == 0)
		return INIT_SYSV;
	return INIT_NONE;
}

enum init_system
init_detect(void)
{
	struct buf b = { .max = 64 };
	char first[32] = "";

	if (fs_read(AT_FDCWD, "/proc/1/comm", 60, &b, NULL) == 0)
		str_copy(str_trim(buf_str(&b)), first, sizeof(first));
	buf_free(&b);
	return init_detect_in("/", first);
}

bool
service_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < 100 && name[0] != '.' && name[0] != '-' &&
	    name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:@")] == '\0';
}

const char *
service_default_name(void)
{
	return strcmp(cmd_program, "gitlab-runner") == 0 ? "gitlab-runner" : "windlass";
}

char *
service_file(enum init_system init, bool per_user, const char *name)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct buf b = { 0 };

	switch (init) {
	case INIT_SYSTEMD:
		if (!per_user)
			buf_fmt(&b, "/etc/systemd/system/%s.service", name);
		else if (xdg != NULL && xdg[0] == '/')
			buf_fmt(&b, "%s/systemd/user/%s.service", xdg, name);
		else
			buf_fmt(&b, "%s/.config/systemd/user/%s.service", home != NULL ? home : "", name);
		break;
	case INIT_OPENRC:
	case INIT_SYSV:
		buf_fmt(&b, "/etc/init.d/%s", name);
		break;
	case INIT_UPSTART:
		buf_fmt(&b, "/etc/init/%s.conf", name);
		break;
	default:
		return NULL;
	}
	return buf_take(&b);
}

/* Where the unit lies when a package brought it. */
static const char *const packaged[] = { "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system" };

static bool
read_file(const char *path, struct buf *b)
{
	return fs_read(AT_FDCWD, path, FILE_LIMIT, b, NULL) == 0;
}

bool
service_find(struct service *s, const char *name, bool per_user)
{
	struct buf b = { .max = FILE_LIMIT };
	char *file, *state = NULL;
	bool found;

	*s = (struct service){ .init = init_detect(), .per_user = per_user, .name = name };
	file = service_file(s->init, per_user, name);
	found = file != NULL && read_file(file, &b);
	for (size_t i = 0; s->init == INIT_SYSTEMD && !per_user && !found && i < NELEM(packaged); i++) {
		struct buf path = { 0 };

		buf_fmt(&path, "%s/%s.service", packaged[i], name);
		free(file);
		file = buf_take(&path);
		found = read_file(file, &b);
	}
	if (found)
		state = service_text_state_dir(buf_str(&b));
	s->file = found ? file : NULL;
	s->state_dir = state != NULL ? state : manager_default_state_dir();
	if (!found)
		free(file);
	buf_free(&b);
	return found;
}

/* Two of its words more for a user's service manager. */
static int
run_tool(const struct service *s, const char *const argv[], struct buf *out, struct err *e)
{
	const char *words[16];
	size_t n = 0;

	words[n++] = argv[0];
	if (s->per_user && strcmp(argv[0], "systemctl") == 0)
		words[n++] = "--user";
	for (size_t i = 1; argv[i] != NULL; i++) {
		assert(n + 1 < NELEM(words));
		words[n++] = argv[i];
	}
	words[n] = NULL;
	return proc_run(words, STR_NULL, out, out != NULL ? mono_after(TOOL_LIMIT) : MONO_NEVER, e);
}

int
service_tool(const struct service *s, const char *const argv[], struct err *e)
{
	int rc = run_tool(s, argv, NULL, e);

	return rc == 127 ? err_set(e, ERR_NOTFOUND, 0, "%s cannot be run", argv[0]) : rc;
}

int
service_ask(const struct service *s, const char *const argv[], struct buf *out)
{
	return run_tool(s, argv, out, NULL);
}

/* The first line of what a program says. */
static void
first_line(const struct service *s, const char *const argv[], char *out, size_t size)
{
	struct buf b = { .max = 4096 };
	struct str text, line;

	out[0] = '\0';
	run_tool(s, argv, &b, NULL);
	text = buf_str(&b);
	line = str_trim(str_cut(&text, '\n'));
	if (str_copy(line, out, size) < 0)
		out[0] = '\0';
	buf_free(&b);
}

void
service_active(const struct service *s, char word[32])
{
	const char *argv[] = { "systemctl", "is-active", s->name, NULL };

	first_line(s, argv, word, 32);
}

void
service_property(const struct service *s, const char *property, char *out, size_t size)
{
	const char *argv[] = { "systemctl", "show", "--value", "--property", property, s->name, NULL };

	first_line(s, argv, out, size);
}

int
service_end(const char *state_dir, enum service_end how, struct err *e)
{
	char *lock = fs_join(state_dir, STATEFILE_LOCK);
	int rc = lock_signal(AT_FDCWD, lock, how == SERVICE_ABORT ? SIGTERM : SIGQUIT, e);

	/* In this order a manager without jobs may be gone before the second one: all the better. */
	if (rc == 1 && how == SERVICE_LEAVE && lock_signal(AT_FDCWD, lock, SIGUSR2, e) < 0)
		rc = -1;
	free(lock);
	return rc;
}

int
service_wait_end(const char *state_dir, mono_t deadline, struct err *e)
{
	int pid, rc;

	while ((rc = manager_running(state_dir, &pid, e)) == 1) {
		if (mono_passed(deadline))
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "process %d still runs on %s", pid, state_dir);
		mono_sleep(POLL_PAUSE);
	}
	return rc;
}

int
service_wait_ready(const char *state_dir, const char *old_life, mono_t deadline, struct arena *a, struct manager_says *says, struct err *e)
{
	for (;;) {
		int pid = 0, running = manager_running(state_dir, &pid, e);

		if (running < 0)
			return -1;
		arena_reset(a);
		if (running == 1 && manager_says(state_dir, a, says, NULL) == 0 && says->pid == pid &&
		    strcmp(says->life, old_life) != 0 && strcmp(says->state, "running") == 0)
			return 0;
		if (mono_passed(deadline))
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, running == 1 ? "process %d runs on %s and has not come up" :
			    "no process (%d) runs on %s", pid, state_dir);
		mono_sleep(POLL_PAUSE);
	}
}
