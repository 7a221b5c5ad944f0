/* books/format: a state of a newer version is refused, by name; anything else is not. */
#include <sys/stat.h>
#include <unistd.h>

#include "books/format.h"
#include "core/core.h"
#include "core/fs.h"
#include "core/lock.h"
#include "tap.h"

static char top[] = "/tmp/manager_format_test.XXXXXX";

static char *
in(const char *path)
{
	return fs_join(top, path);
}

static void
put(const char *path, const char *text)
{
	char *full = in(path), *dir = in(path);
	struct err e = { 0 };

	*strrchr(dir, '/') = '\0';
	fs_mkdirs(dir, 0700, &e);
	ok(fs_write(AT_FDCWD, full, str_from(text), 0600, &e) == 0, "%s: %.*s", path, (int)strcspn(text, "\n"), text);
	free(full);
	free(dir);
}

/* NULL: it fits. */
static void
fits(const char *complaint, const char *what)
{
	char *state = in("state"), *store = in("store");
	struct state_counts n;
	struct err e = { 0 };
	int rc = format_fits(state, store, &n, &e);

	if (complaint == NULL)
		ok(rc == 0, "  fits: %s%s", what, e.msg);
	else
		ok(rc == -1 && strstr(e.msg, complaint) != NULL, "  %s: %s", what, e.msg);
	free(state);
	free(store);
}

static void
take(int want, const char *what)
{
	char *state = in("state");
	struct err e = { 0 };
	int fd = fs_opendir(AT_FDCWD, state, &e);

	is_int(format_take(fd, &e), want, "  taken: %s %s", what, e.msg);
	close(fd);
	free(state);
}

int
main(void)
{
	char *state, *store, *job;
	struct state_counts n;
	struct err e = { 0 };
	struct buf b = { 0 };
	int dir, lock, fd;

	if (mkdtemp(top) == NULL)
		return 1;
	fits(NULL, "directories that do not exist");
	put("state/jobs/1/runner.json", "{}");
	fits(NULL, "one that an older version left, without a format");
	take(0, "and marked");
	state = in("state");
	fd = fs_opendir(AT_FDCWD, state, &e);
	ok(fs_read(fd, "format", 10, &b, &e) == 0 && str_eqc(buf_str(&b), "1\n"), "  as this version's");
	take(0, "again");
	put("state/format", "2\n");
	fits("has format 2, and this windlass reads up to 1", "a newer one");
	take(-1, "not");
	put("state/format", "nonsense");
	fits("not a number", "one that was edited");
	take(-1, "not");
	put("state/format", "1\n");
	put("state/jobs/2/stage.json", "{\"v\":1,\"trace\":0}");
	put("state/jobs/3/stage.json", "{\"trace\":0}");
	put("state/jobs/4/stage.json", "{ this is no JSON");
	put("store/machines/m-1/config.json", "{}");
	put("store/machines/m-1/windlass.json", "{\"v\":1}");
	put("store/machines/m-2/config.json", "{}");
	fits(NULL, "records of this version, of none, and broken ones");
	job = in("state/jobs/2");
	dir = fs_opendir(AT_FDCWD, job, &e);
	lock = lock_take(dir, "executor.lock", LOCK_TRY, &e);
	store = in("store");
	is_int(format_fits(state, store, &n, &e), 0, "counted");
	ok(n.jobs == 4 && n.running == 1 && n.reporting == 0 && n.machines == 2, "  %d jobs, %d with an executor, %d with a reporter, %d machines",
	    n.jobs, n.running, n.reporting, n.machines);
	close(lock);
	close(dir);
	put("state/jobs/3/stage.json", "{\"trace\":0,\"v\":7}");
	fits("jobs/3/stage.json has format 7", "a job of a newer version");
	put("state/jobs/3/stage.json", "{\"trace\":0,\"v\":1}");
	put("store/machines/m-1/windlass.json", "{\"v\":2}");
	fits("machines/m-1/windlass.json has format 2", "a machine of a newer version");
	close(fd);
	buf_free(&b);
	free(job);
	free(state);
	free(store);
	fs_remove_tree(AT_FDCWD, top, &e);
	return done_testing();
}
