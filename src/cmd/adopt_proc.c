/* gitlab-runners that run on this host: see adopt.h. Everything is read from files, nobody is asked or signalled. */
#include <sys/stat.h>
#include <limits.h>
#include <unistd.h>

#include "cmd/adopt.h"
#include "core/fs.h"

#define PROC_FILE_MAX	(256u << 10)
#define PROCESSES_MAX	16
#define UNIT_MAX	(64u << 10)

/* The words of cmdline or environ, each with its NUL. */
static struct str
next_word(struct str *s)
{
	ssize_t nul = str_chr(*s, '\0');
	struct str word = nul < 0 ? *s : str_sub(*s, 0, (size_t)nul);

	*s = nul < 0 ? STR("") : str_sub(*s, (size_t)nul + 1, s->n);
	return word;
}

static struct str
base_name(struct str path)
{
	ssize_t slash = str_rchr(path, '/');

	return slash < 0 ? path : str_sub(path, (size_t)slash + 1, path.n);
}

static struct str
read_proc(struct arena *a, const char *dir, const char *name)
{
	struct buf b = { .max = PROC_FILE_MAX };
	char *path = fs_join(dir, name);
	struct str s = STR("");

	if (fs_read(AT_FDCWD, path, PROC_FILE_MAX, &b, NULL) == 0)
		s = arena_str(a, buf_str(&b));
	buf_wipe(&b);
	free(path);
	return s;
}

static const char *
read_link(struct arena *a, const char *dir, const char *name)
{
	char *path = fs_join(dir, name), to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	free(path);
	return n > 0 ? arena_dup(a, str_of(to, (size_t)n)) : "";
}

/* Our own binary answers to the same name. */
static bool
is_windlass(struct arena *a, const char *dir)
{
	char *exe = fs_join(dir, "exe");
	struct stat its, ours;
	bool same = stat(exe, &its) == 0 && stat("/proc/self/exe", &ours) == 0 && its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;

	free(exe);
	return same || str_starts(base_name(str_from(read_link(a, dir, "exe"))), "windlass") ||
	    str_starts(read_proc(a, dir, "comm"), "windlass");
}

static struct str
variable(struct str env, const char *name)
{
	size_t n = strlen(name);

	while (env.n > 0) {
		struct str word = next_word(&env);

		if (word.n > n && word.p[n] == '=' && memcmp(word.p, name, n) == 0)
			return str_sub(word, n + 1, word.n);
	}
	return STR("");
}

/* "gitlab-runner [OPTION...] run [OPTION...]": true, and the value of --config in *config. */
static bool
is_run(struct str cmdline, struct str *config)
{
	struct str word = base_name(next_word(&cmdline));
	bool run = false;

	*config = STR("");
	if ((!str_starts(word, "gitlab-runner") && !str_starts(word, "gitlab-ci-multi-runner")) || str_starts(word, "gitlab-runner-helper"))
		return false;
	while (cmdline.n > 0) {
		struct str name, value;

		word = next_word(&cmdline);
		if (!str_starts(word, "-")) {
			run = run || str_eqc(word, "run");
			continue;
		}
		value = word;
		name = str_cut(&value, '=');
		if (!str_eqc(name, "--config") && !str_eqc(name, "-c") && !str_eqc(name, "-config"))
			continue;
		*config = name.n < word.n ? value : next_word(&cmdline);
	}
	return run;
}

/* The last service in its control group's path; a container's are scopes or bare ids. */
static void
find_unit(struct arena *a, const char *dir, struct adopt_process *p)
{
	struct str text = read_proc(a, dir, "cgroup");

	p->unit = "";
	while (text.n > 0) {
		struct str path = str_cut(&text, '\n'), last;

		last = base_name(path);
		if (str_find(path, "docker") >= 0 || str_find(path, "libpod") >= 0 || str_find(path, "kubepods") >= 0)
			p->contained = true;
		if (!str_ends(last, ".service") || str_starts(last, "user@") || p->unit[0] != '\0')
			continue;
		p->unit = arena_dup(a, last);
		p->user_unit = str_find(path, "/user@") >= 0;
	}
}

static const char *
default_config(struct arena *a, const char *dir, struct str env)
{
	struct str home = variable(env, "HOME");
	struct stat st;

	if (stat(dir, &st) == 0 && st.st_uid != 0)
		return home.n > 0 ? arena_fmt(a, "%.*s/.gitlab-runner/config.toml", STR_ARG(home)) : "";
	return "/etc/gitlab-runner/config.toml";
}

/* By the file itself, as the process sees it; by its name where we may not look there. */
static bool
is_same(struct arena *a, const char *dir, const char *theirs, const char *ours)
{
	const char *path = theirs[0] == '/' ? arena_fmt(a, "%s/root%s", dir, theirs) : arena_fmt(a, "%s/cwd/%s", dir, theirs);
	struct stat x, y;

	if (stat(path, &x) == 0 && stat(ours, &y) == 0)
		return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
	return strcmp(theirs, ours) == 0;
}

static bool
look_at(struct arena *a, const char *proc, const char *pid, const char *ours, struct adopt_process *p)
{
	const char *dir = arena_fmt(a, "%s/%s", proc, pid);
	struct str config, env, v;
	int64_t number;

	if (str_to_i64(str_from(pid), &number) < 0 || !is_run(read_proc(a, dir, "cmdline"), &config) || is_windlass(a, dir))
		return false;
	env = read_proc(a, dir, "environ");
	if (config.n == 0)
		config = variable(env, "CONFIG_FILE");
	*p = (struct adopt_process){ .pid = (pid_t)number, .store = "" };
	p->config = config.n > 0 ? arena_dup(a, config) : default_config(a, dir, env);
	p->same_config = is_same(a, dir, p->config, ours);
	find_unit(a, dir, p);
	if ((v = variable(env, "MACHINE_STORAGE_PATH")).n > 0)
		p->store = arena_dup(a, v);
	else if ((v = variable(env, "HOME")).n > 0)
		p->store = arena_fmt(a, "%.*s/.docker/machine", STR_ARG(v));
	return true;
}

size_t
adopt_processes(struct arena *a, const char *proc, const char *config, struct adopt_process **out)
{
	struct adopt_process *list = arena_calloc(a, PROCESSES_MAX, sizeof(*list));
	char **names;
	ssize_t all = fs_list(AT_FDCWD, proc, &names, NULL);
	size_t n = 0;

	for (ssize_t i = 0; i < all && n < PROCESSES_MAX; i++)
		if (names[i][0] >= '0' && names[i][0] <= '9')
			n += look_at(a, proc, names[i], config, &list[n]);
	if (all >= 0)
		fs_free_names(names, all);
	*out = list;
	return n;
}

const char *
adopt_enabled_unit(struct arena *a, const char *root)
{
	static const char name[] = "gitlab-runner.service";
	const char *wanted = arena_fmt(a, "%s/multi-user.target.wants/%s", root, name);
	struct buf b = { .max = UNIT_MAX };
	struct stat st;
	bool original;

	if (lstat(wanted, &st) < 0)
		return NULL;
	/* `windlass install` may have that name, too. */
	original = fs_read(AT_FDCWD, wanted, UNIT_MAX, &b, NULL) < 0 || str_find(buf_str(&b), "windlass") < 0;
	buf_free(&b);
	return original ? name : NULL;
}
