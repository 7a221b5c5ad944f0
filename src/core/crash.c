/* Crash points for tests: see crash.h. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/crash.h"
#include "core/str.h"

/* Of the file that says that one death was enough. */
static struct { int once_dir, passed; } state = { AT_FDCWD, 0 };

int
crash_keep(void)
{
	const char *once = getenv("WINDLASS_CRASH_ONCE"), *slash = once != NULL ? strrchr(once, '/') : NULL;
	char *dir;

	if (state.once_dir >= 0 || slash == NULL || slash == once)
		return state.once_dir;
	dir = str_dup(str_of(once, (size_t)(slash - once)));
	state.once_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state.once_dir < 0)
		state.once_dir = AT_FDCWD;
	free(dir);
	return state.once_dir;
}

void
crash_point(const char *name)
{
	const char *at = getenv("WINDLASS_CRASH_AT"), *once;
	struct str point;
	uint64_t nth = 1;
	int fd;

	if (at == NULL || at[0] == '\0')
		return;
	point = str_from(at);
	if (str_rchr(point, ':') > 0 &&
	    str_to_u64(str_sub(point, (size_t)str_rchr(point, ':') + 1, point.n), &nth) == 0)
		point.n = (size_t)str_rchr(point, ':');
	if (!str_eqc(point, name) || (uint64_t)++state.passed != nth)
		return;
	once = getenv("WINDLASS_CRASH_ONCE");
	if (once != NULL) {
		fd = openat(state.once_dir, state.once_dir != AT_FDCWD ? strrchr(once, '/') + 1 : once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return;
		close(fd);
	}
	/* To itself, which every role may (core/sandbox.c). */
	raise(SIGKILL);
}
