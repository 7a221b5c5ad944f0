/* config.toml under a lock: read, edited, put back whole, or left as it was. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/confedit.h"
#include "core/fs.h"
#include "core/log.h"
#include "tap.h"

static char dir[] = "/tmp/confedit_test.XXXXXX";

static char *
text_of(const char *path)
{
	struct buf b = { 0 };
	struct err e;

	if (fs_read(AT_FDCWD, path, 1u << 20, &b, &e) < 0)
		return xstrdup("(none)");
	return buf_take(&b);
}

static void
is_file(const char *path, const char *want, const char *what)
{
	char *got = text_of(path);

	is_str(got, want, "%s", what);
	free(got);
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 0777 : 0;
}

static int
add(const char *path, const char *key, enum confedit_missing missing, struct err *e)
{
	struct confedit c;
	int rc = -1;

	if (confedit_open(&c, path, missing, e) == 0 && tomledit_set(&c.t, c.t.root, key, STR("1"), e) == 0)
		rc = confedit_save(&c, e);
	confedit_close(&c);
	return rc;
}

static void
test_life(void)
{
	char *path = fs_join(dir, "new/sub/config.toml"), *link = fs_join(dir, "link.toml"), *sub = fs_join(dir, "new/sub");
	struct err e = { 0 };
	struct confedit c;
	struct stat st;
	char **names;

	is_int(add(path, "a", CONFEDIT_MUST_EXIST, &e), -1, "a missing file: %s", e.msg);
	is_int(e.kind, ERR_NOTFOUND, "  is an error of its kind");
	is_int(add(path, "a", CONFEDIT_MAY_CREATE, &e), 0, "or is made");
	is_file(path, "a = 1\n", "  with what was put in");
	is_int(mode_of(path), 0600, "  for its owner");
	is_int(mode_of(sub), 0700, "  and so is its directory");
	is_int(add(path, "b", CONFEDIT_MUST_EXIST, &e), 0, "changed");
	is_file(path, "a = 1\nb = 1\n", "  in place");
	chmod(path, 0640);
	is_int(add(path, "c", CONFEDIT_MUST_EXIST, &e), 0, "a group that was let in");
	is_int(mode_of(path), 0640, "  stays in");
	chmod(path, 0664);
	is_int(add(path, "d", CONFEDIT_MUST_EXIST, &e), 0, "everybody");
	is_int(mode_of(path), 0600, "  does not");
	is_int(symlink("new/sub/config.toml", link), 0, "by a link");
	is_int(add(link, "e", CONFEDIT_MUST_EXIST, &e), 0, "  the file is changed");
	ok(lstat(link, &st) == 0 && S_ISLNK(st.st_mode), "  and the link stays one");
	is_file(path, "a = 1\nb = 1\nc = 1\nd = 1\ne = 1\n", "  all of it");
	is_int(confedit_open(&c, path, CONFEDIT_MUST_EXIST, &e), 0, "opened");
	is_int(tomledit_set(&c.t, c.t.root, "a", STR("2"), &e), 0, "  edited");
	is_int(confedit_reserve(&c, &e), 0, "  space taken");
	confedit_close(&c);
	is_file(path, "a = 1\nb = 1\nc = 1\nd = 1\ne = 1\n", "  and closed: as it was");
	is_int(fs_list(AT_FDCWD, sub, &names, &e), 1, "  nothing is left beside it");
	fs_free_names(names, 1);
	is_int(unlink(path), 0, "a link to nothing");
	is_int(add(link, "x", CONFEDIT_MAY_CREATE, &e), -1, "  is refused: %s", e.msg);
	free(path);
	free(link);
	free(sub);
}

static void
test_broken(void)
{
	char *path = fs_join(dir, "broken.toml");
	struct err e = { 0 };

	fs_write(AT_FDCWD, path, STR("x = 1\ny =\n"), 0600, &e);
	is_int(add(path, "z", CONFEDIT_MUST_EXIST, &e), -1, "no TOML: %s", e.msg);
	ok(strstr(e.msg, "broken.toml: line 2, column ") != NULL, "  the place is told");
	is_file(path, "x = 1\ny =\n", "  and it is as it was");
	free(path);
}

#define WRITERS	8

/* Each adds a key of its own; without the lock some would be lost. */
static void
test_at_once(void)
{
	char *path = fs_join(dir, "many.toml"), *got;
	struct err e = { 0 };
	pid_t pid[WRITERS];
	int good = 0, status, found = 0;

	log_setup(LOG_ERROR, LOG_RUNNER);
	fs_write(AT_FDCWD, path, STR("# kept\n"), 0600, &e);
	for (int i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			char key[16];

			snprintf(key, sizeof(key), "key%d", i);
			_exit(add(path, key, CONFEDIT_MUST_EXIST, &e) == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < WRITERS; i++)
		good += waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	is_int(good, WRITERS, "eight at once");
	got = text_of(path);
	for (int i = 0; i < WRITERS; i++) {
		char line[24];

		snprintf(line, sizeof(line), "\nkey%d = 1\n", i);
		found += strstr(got, line) != NULL;
	}
	is_int(found, WRITERS, "  lose nothing");
	ok(strncmp(got, "# kept\n", 7) == 0, "  and keep the comment");
	free(got);
	free(path);
}

int
main(void)
{
	struct err e;

	if (mkdtemp(dir) == NULL)
		return 1;
	test_life();
	test_broken();
	test_at_once();
	fs_remove_tree(AT_FDCWD, dir, &e);
	return done_testing();
}
