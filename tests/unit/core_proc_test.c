/* core/proc: becoming another image of the same process, and who goes with the old one. */
#include <sys/wait.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/core.h"
#include "core/fs.h"
#include "core/proc.h"
#include "tap.h"

static int
number(const char *text)
{
	int v = -1;

	return text != NULL && str_to_int(str_from(text), &v) == 0 ? v : -1;
}

/* A child that waits to be killed. */
static int
start(const char *name, enum proc_life life, pid_t *pid)
{
	const char *argv[] = { name, "sleep", NULL };
	struct err e = { 0 };

	return proc_self(argv, NULL, 0, life, pid, &e);
}

static bool
dead(int pidfd, int ms)
{
	struct pollfd p = { pidfd, POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

static void
dependents(void)
{
	pid_t dies[40], lives;
	int fd[40], other = start("outlives", PROC_OUTLIVES_PARENT, &lives), good = 0;

	for (int i = 0; i < 40; i++)
		fd[i] = start("dies", PROC_DIES_WITH_PARENT, &dies[i]);
	/* One of them is gone and reaped, as in a manager that runs for months. */
	kill(dies[7], SIGKILL);
	waitpid(dies[7], NULL, 0);
	proc_end_dependents();
	for (int i = 0; i < 40; i++) {
		good += fd[i] >= 0 && dead(fd[i], 0) && (i == 7 || waitpid(dies[i], NULL, 0) == dies[i]);
		close(fd[i]);
	}
	is_int(good, 40, "all that die with us are dead, and still to be reaped");
	ok(other >= 0 && !dead(other, 0), "who outlives us lives");
	proc_end_dependents();
	ok(!dead(other, 0), "  also the second time");
	kill(lives, SIGKILL);
	waitpid(lives, NULL, 0);
	close(other);
}

/* Runs this program through `how` and returns what its second life printed. */
static int
second_life(const char *file, const char *name, const char *directory)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(directory) < 0)
			_exit(90);
		setenv("TEST_LIFE", "1", 1);
		execl(file, name, "again", "an argument", (char *)NULL);
		_exit(91);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The child's side: 0 when everything is as it should be in the second life. */
static int
again(int argc, char **argv)
{
	struct err e = { 0 };
	const char *life = getenv("TEST_LIFE"), *pid = getenv("TEST_PID"), *fd = getenv("TEST_FD"), *dir = getenv("TEST_DIR");
	char text[24], here[4096];
	sigset_t set;

	proc_remember(argc, argv);
	if (life != NULL && life[0] == '1') {
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("TEST_PID", text, 1);
		setenv("TEST_LIFE", "2", 1);
		setenv("TEST_DIR", getcwd(here, sizeof(here)), 1);
		/* A descriptor that somebody forgot to mark, and a signal that came meanwhile. */
		snprintf(text, sizeof(text), "%d", dup(0));
		setenv("TEST_FD", text, 1);
		sigemptyset(&set);
		sigaddset(&set, SIGQUIT);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGQUIT);
		if (chdir("/") < 0)
			return 20;
		proc_again(&e);
		fprintf(stderr, "# %s\n", e.msg);
		return 21;
	}
	if (number(pid) != (int)getpid())
		return 22;
	if (argc != 3 || strcmp(argv[2], "an argument") != 0)
		return 23;
	if (number(fd) < 0 || fcntl(number(fd), F_GETFD) != -1)
		return 24;
	if (getcwd(here, sizeof(here)) == NULL || dir == NULL || strcmp(here, dir) != 0)
		return 25;
	sigpending(&set);
	return sigismember(&set, SIGQUIT) ? 0 : 26;
}

int
main(int argc, char **argv)
{
	char self[4096], dir[] = "/tmp/core_proc_test.XXXXXX", *gone, *slash, *file;
	struct err e = { 0 };
	char *late[] = { NULL, NULL };
	ssize_t n;

	if (argc > 1 && strcmp(argv[1], "sleep") == 0) {
		pause();
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "again") == 0)
		return again(argc, argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0 || mkdtemp(dir) == NULL)
		return 1;
	self[n] = '\0';
	dependents();
	is_int(second_life(self, self, "/tmp"), 0, "again by an absolute path: same pid, arguments, folder, blocked signal; no stray descriptor");
	is_int(second_life(self, "windlass", dir), 0, "again by a name without a path");
	slash = strrchr(self, '/');
	*slash = '\0';
	gone = fs_join(".", slash + 1);
	is_int(second_life(gone, gone, self), 0, "again by a relative path");
	*slash = '/';
	late[0] = fs_join(dir, "not-there");
	proc_remember(1, late);
	file = proc_file();
	is_str(file, late[0], "the file is known by the name it was called by");
	is_int(proc_again(&e), -1, "without the file it stays what it is");
	ok(strstr(e.msg, "not-there: No such file") != NULL, "  and says so: %s", e.msg);
	free(file);
	free(late[0]);
	free(gone);
	rmdir(dir);
	return done_testing();
}
