/*
 * Runs generated scripts for tests: every shell of this machine that a job's
 * image may have, in a directory of its own, as the container would: framed, on
 * the shell's stdin, a small environment. Its marks are checked and taken out of what it said.
 */
#ifndef JOB_SHELLS_H
#define JOB_SHELLS_H

#include <sys/wait.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <unistd.h>

#include "job/script.h"
#include "wire/marker.h"
#include "job_fake.h"

struct shell {
	const char	*name;
	const char	*argv[4];
	bool		 here, pipefail;
};

static struct shell shells[] = {
	{ "bash", { "bash" }, false, false },
	{ "bash --posix", { "bash", "--posix" }, false, false },
	{ "dash", { "dash" }, false, false },
	{ "busybox sh", { "busybox", "sh" }, false, false },
};

static struct shell *sh;		/* the one that runs now */
static char base[] = "/tmp/wl-script-XXXXXX";
static struct buf said = { .max = 64u << 20 };	/* what the last run printed, both streams as they came */
static const char *env_more;		/* one more entry of the environment */
static const char *home = "home";	/* the home directory's name; another container has another one */

static inline int
wait_for(pid_t pid)
{
	int st;

	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static const struct buf *input;		/* what the next command has on its stdin; NULL: nothing */

/* A pipe that a process of its own fills, as an engine does. Returns its read end. */
static inline int
open_input(void)
{
	int in[2];
	pid_t pid;

	if (input == NULL)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(in, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		size_t done = 0;
		ssize_t n;

		signal(SIGPIPE, SIG_IGN);
		close(in[0]);
		while (done < input->n && (n = write(in[1], input->p + done, input->n - done)) > 0)
			done += (size_t)n;
		_exit(0);
	}
	close(in[1]);
	return in[0];
}

/* Runs argv, which must end within a minute; said has its output. Returns its status. */
static inline int
run_argv(const char *const *argv)
{
	char home_entry[96], path[256];
	int in = open_input();
	const char *env[] = { home_entry, path, "LC_ALL=C", env_more, NULL };
	char chunk[65536];
	int out[2];
	ssize_t n;
	pid_t pid;

	snprintf(home_entry, sizeof(home_entry), "HOME=%s/%s", base, home);
	snprintf(path, sizeof(path), "PATH=%s/bin:/usr/local/bin:/usr/bin:/bin", base);
	buf_clear(&said);
	if (pipe2(out, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		alarm(60);
		dup2(in, 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		if (chdir("/") == 0)
			execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
		_exit(127);
	}
	close(out[1]);
	close(in);
	while ((n = read(out[0], chunk, sizeof(chunk))) > 0)
		buf_put(&said, chunk, (size_t)n);
	close(out[0]);
	buf_putc(&said, '\0');
	buf_cut(&said, said.n - 1);
	return wait_for(pid);
}

/* A command for the test's own needs, by sh. Its failure is a bug of the test. */
static inline void
must(const char *command)
{
	struct buf b = { .max = 1u << 20 };
	const char *argv[] = { "sh", "-ec", NULL, NULL };
	int rc;

	fake_put(&b, command, base);
	argv[2] = b.p;
	rc = run_argv(argv);
	if (rc != 0) {
		printf("Bail out! status %d: %s\n# %s\n", rc, command, said.p);
		exit(2);
	}
	buf_free(&b);
}

static inline const char *
path_of(struct arena *a, const char *name)
{
	return arena_fmt(a, "%s/%s", base, name);
}

static inline bool
exists(struct arena *a, const char *name)
{
	return access(path_of(a, name), F_OK) == 0;
}

/* A whole file; p == NULL if there is none. */
static inline struct str
slurp(struct arena *a, const char *name)
{
	FILE *f = fopen(path_of(a, name), "re");
	struct buf b = { .max = 64u << 20 };
	char chunk[4096];
	struct str s;
	size_t n;

	if (f == NULL)
		return STR_NULL;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_put(&b, chunk, n);
	fclose(f);
	s = arena_str(a, buf_str(&b));
	buf_free(&b);
	return s;
}

#define TOKEN	"0123456789abcdef"

/* The marks in what the last run said, which are taken out: 0 none, 1 it began, 2 it ended, on both streams, with *status. */
static inline int
take_marks(int *status)
{
	struct buf rest = { .max = said.max };
	struct str in = buf_str(&said), text;
	int rc, begins = 0, ends = 0;
	struct marker m;
	struct mark mark;

	marker_init(&m, TOKEN);
	while ((rc = marker_next(&m, &in, &text, &mark)) != 0) {
		if (rc == 1)
			buf_putstr(&rest, text);
		else if (mark.word == MARKER_BEGIN)
			begins++;
		else if (mark.word == MARKER_END && (ends == 0 || *status == mark.status)) {
			*status = mark.status;
			ends++;
		}
	}
	buf_putstr(&rest, marker_close(&m));
	buf_clear(&said);
	buf_putstr(&said, buf_str(&rest));
	buf_putc(&said, '\0');
	buf_cut(&said, said.n - 1);
	buf_free(&rest);
	return begins == 1 && ends == 2 ? 2 : begins == 1 && ends == 0 ? 1 : begins == 0 && ends == 0 ? 0 : -1;
}

/* In two parts, as whoever sends it piece by piece. */
static inline void
frame(const struct work *w, const struct buf *script, struct buf *text)
{
	struct str s = buf_str(script);

	script_text_head(w, TOKEN, text);
	script_text_body(str_sub(s, 0, s.n / 2), text);
	script_text_body(str_sub(s, s.n / 2, s.n), text);
	script_text_tail(w, TOKEN, text);
}

/* Gives a framed script to the shell on its stdin. Its status; *marks and *marked as take_marks() says. */
static inline int
run_framed(const struct work *w, const struct buf *script, int *marks, int *marked)
{
	struct buf text = { .max = 512u << 20 };
	int rc;

	frame(w, script, &text);
	if (script->failed || text.failed) {
		printf("Bail out! a script that is too long\n");
		exit(2);
	}
	input = &text;
	rc = run_argv(sh->argv);
	input = NULL;
	buf_free(&text);
	*marked = -1;
	*marks = take_marks(marked);
	return rc;
}

/* The same; -1 when it did not mark its end with its status. */
static inline int
run_script(const struct work *w, const struct buf *script)
{
	int marks, marked, rc = run_framed(w, script, &marks, &marked);

	return marks == 2 && marked == rc ? rc : -1;
}

#define WITH_SCRIPT(call) \
	struct buf script = { .max = 256u << 20 }; \
	int rc; \
	call; \
	rc = run_script(w, &script); \
	buf_free(&script); \
	return rc

static inline int run_prepare(const struct work *w) { WITH_SCRIPT(script_prepare(w, &script)); }
static inline int run_sources(const struct work *w) { WITH_SCRIPT(script_get_sources(w, &script)); }
static inline int run_clear(const struct work *w) { WITH_SCRIPT(script_clear_worktree(w, &script)); }
static inline int run_step(const struct work *w) { WITH_SCRIPT(script_step(w, &w->steps[0], &script)); }
static inline int run_after(const struct work *w) { WITH_SCRIPT(script_after(w, &script)); }
static inline int run_cleanup(const struct work *w) { WITH_SCRIPT(script_cleanup(w, &script)); }

static inline bool
saw(const char *text)
{
	return said.p != NULL && memmem(said.p, said.n, text, strlen(text)) != NULL;
}

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
shells_clean(void)
{
	nftw(base, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Makes the directory and finds out which shells are here; none is an error. */
static inline void
shells_init(void)
{
	size_t found = 0;

	if (mkdtemp(base) == NULL) {
		printf("Bail out! %s: %s\n", base, strerror(errno));
		exit(2);
	}
	must("echo stolen > @B/stdin; mkdir @B/home @B/elsewhere @B/bin @B/builds");
	for (size_t i = 0; i < NELEM(shells); i++) {
		const char *argv[] = { shells[i].argv[0], NULL, NULL, NULL, NULL };
		size_t n = 1;

		if (shells[i].argv[1] != NULL)
			argv[n++] = shells[i].argv[1];
		argv[n++] = "-c";
		argv[n] = "set -o; exit 44";
		shells[i].here = run_argv(argv) == 44;
		shells[i].pipefail = saw("pipefail");
		printf("# %s: %s\n", shells[i].name, !shells[i].here ? "not on this machine" : shells[i].pipefail ? "with pipefail" : "without pipefail");
		found += shells[i].here;
	}
	ok(found > 0, "there is a shell to test with");
}

#define EACH_SHELL \
	for (sh = shells; sh < shells + NELEM(shells); sh++) \
		if (sh->here)

#endif
