/* Changing config.toml: see confedit.h. */
#include <sys/stat.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "config/confedit.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/rand.h"

#define CONFIG_MAX	(8u << 20)
#define LOCK_NAME	".windlass-config.lock"
/* Room for one more entry, with every option there is. */
#define SLACK		(64u << 10)

/* ---- the place ---- */

/* The directory part of a path and its last name; both malloc'd. */
static void
split_path(const char *path, char **dir, char **name)
{
	const char *slash = strrchr(path, '/');

	*name = xstrdup(slash != NULL ? slash + 1 : path);
	*dir = slash == NULL ? xstrdup(".") : slash == path ? xstrdup("/") : str_dup(str_of(path, (size_t)(slash - path)));
}

/* Where the file really is, so that one reached by two names has one lock, and a link stays a link. */
static char *
real_path(const char *path, enum confedit_missing missing, struct err *e)
{
	char *real = realpath(path, NULL), *dir, *name, *out;
	struct stat st;

	if (real != NULL)
		return real;
	if (errno != ENOENT) {
		err_sys(e, "%s", path);
		return NULL;
	}
	if (lstat(path, &st) == 0) {
		err_set(e, ERR_CONFIG, ENOENT, "%s is a symbolic link to a file that does not exist", path);
		return NULL;
	}
	if (missing == CONFEDIT_MUST_EXIST) {
		err_set(e, ERR_NOTFOUND, ENOENT, "%s does not exist: name the file with --config, or register a runner first", path);
		return NULL;
	}
	split_path(path, &dir, &name);
	real = fs_mkdirs(dir, 0700, e) == 0 ? realpath(dir, NULL) : NULL;
	if (real == NULL && e->kind == ERR_NONE)
		err_sys(e, "%s", dir);
	out = real != NULL ? fs_join(real, name) : NULL;
	free(real);
	free(dir);
	free(name);
	return out;
}

static void
user_name(uid_t uid, char name[64])
{
	struct passwd *p = getpwuid(uid);

	if (p != NULL)
		snprintf(name, 64, "%s", p->pw_name);
	else
		snprintf(name, 64, "user %ld", (long)uid);
}

/* Adds to a refusal of the system who could do it. */
static int
not_ours(struct confedit *c, const char *what, struct err *e)
{
	struct stat st;
	bool denied = e->sys == EACCES || e->sys == EPERM;
	uid_t owner = fstat(c->dir, &st) == 0 ? st.st_uid : 0;
	char me[64], him[64];

	if (e->sys == EROFS)
		return err_ctx(e, "%s cannot be %s, its file system is read-only", c->path, what);
	if (denied && owner != geteuid()) {
		user_name(geteuid(), me);
		user_name(owner, him);
		return err_ctx(e, "%s cannot be %s by you, %s: run this as %s", c->path, what, me, him);
	}
	return err_ctx(e, "%s cannot be %s", c->path, what);
}

/* Root works for others here: what it makes in somebody's directory must be usable by him, so it is his. */
static void
use_owner_of_directory(struct confedit *c)
{
	struct stat st;

	if (geteuid() == 0 && fstat(c->dir, &st) == 0) {
		c->uid = st.st_uid;
		c->gid = st.st_gid;
	}
}

static int
take_lock(struct confedit *c, struct err *e)
{
	c->lock = lock_take(c->dir, LOCK_NAME, LOCK_TRY, e);
	if (c->lock < 0 && e->kind == ERR_CONFLICT) {
		log_info("Waiting for another command that is changing the file", F_STR("file", c->path));
		c->lock = lock_take(c->dir, LOCK_NAME, LOCK_WAIT, e);
	}
	if (c->lock < 0)
		return not_ours(c, "changed", e);
	if (geteuid() == 0 && fchown(c->lock, c->uid, c->gid) < 0)
		log_debug("The lock keeps its owner", F_STR("file", c->path));
	return 0;
}

/* What a command that was killed half way left behind; nobody else is at it while we hold the lock. */
static void
sweep(struct confedit *c)
{
	char **names, *prefix;
	ssize_t n = fs_list_dotted(c->dir, &names, NULL);
	struct buf b = { 0 };

	buf_fmt(&b, ".%s.", c->name);
	prefix = buf_take(&b);
	for (ssize_t i = 0; i < n; i++) {
		struct str s = str_from(names[i]);

		if (str_starts(s, prefix) && str_ends(s, ".tmp") && s.n == strlen(prefix) + 8 + strlen(".tmp"))
			unlinkat(c->dir, names[i], 0);
	}
	free(prefix);
	if (n >= 0)
		fs_free_names(names, n);
}

/* ---- reading ---- */

static int
read_file(struct confedit *c, struct err *e)
{
	struct buf b = { .max = CONFIG_MAX };
	struct stat st;
	int rc = -1;

	if (fstatat(c->dir, c->name, &st, 0) < 0 && errno == ENOENT) {
		c->missing = true;
		return tomledit_open(&c->t, STR(""), e);
	}
	if (fs_read(c->dir, c->name, CONFIG_MAX, &b, e) < 0) {
		not_ours(c, "read", e);
		goto out;
	}
	c->uid = st.st_uid;
	c->gid = st.st_gid;
	/* Tokens are for the owner; a group that somebody let in on purpose stays in. */
	c->mode = st.st_mode & S_IRWXO ? 0600 : (st.st_mode & 0060) | 0600;
	if (faccessat(c->dir, c->name, W_OK, AT_EACCESS) < 0) {
		err_sys(e, "open for writing");
		not_ours(c, "changed", e);
		goto out;
	}
	rc = tomledit_open(&c->t, buf_str(&b), e);
	if (rc < 0)
		err_ctx(e, "%s", c->path);
out:
	buf_wipe(&b);
	return rc;
}

int
confedit_open(struct confedit *c, const char *path, enum confedit_missing missing, struct err *e)
{
	char *dir = NULL;

	*c = (struct confedit){ .dir = -1, .lock = -1, .tmp = -1, .mode = 0600, .uid = geteuid(), .gid = getegid() };
	e->kind = ERR_NONE;
	c->path = real_path(path, missing, e);
	if (c->path == NULL)
		return -1;
	split_path(c->path, &dir, &c->name);
	c->dir = fs_opendir(AT_FDCWD, dir, e);
	free(dir);
	if (c->dir < 0)
		return err_ctx(e, "%s", c->path);
	use_owner_of_directory(c);
	if (take_lock(c, e) < 0)
		return -1;
	sweep(c);
	return read_file(c, e);
}

/* ---- writing ---- */

static int
take_space(struct confedit *c, size_t n, struct err *e)
{
	static const char zeros[4096];
	int rc = posix_fallocate(c->tmp, 0, (off_t)n);

	if (rc == 0)
		return 0;
	if (rc != EOPNOTSUPP && rc != EINVAL && rc != ENOSYS) {
		errno = rc;
		return err_sys(e, "write");
	}
	for (size_t done = 0; done < n; done += sizeof(zeros))
		if (fs_write_all(c->tmp, zeros, sizeof(zeros), e) < 0)
			return -1;
	if (fsync(c->tmp) < 0)
		return err_sys(e, "write");
	return lseek(c->tmp, 0, SEEK_SET) < 0 ? err_sys(e, "seek") : 0;
}

static void
drop_tmp(struct confedit *c)
{
	if (c->tmp < 0)
		return;
	close(c->tmp);
	c->tmp = -1;
	if (c->tmp_name[0] != '\0')
		unlinkat(c->dir, c->tmp_name, 0);
}

int
confedit_reserve(struct confedit *c, struct err *e)
{
	char tag[9];

	if (c->tmp >= 0)
		return 0;
	rand_hex(tag, 8);
	if (snprintf(c->tmp_name, sizeof(c->tmp_name), ".%s.%s.tmp", c->name, tag) >= NAME_MAX)
		return err_set(e, ERR_SYS, ENAMETOOLONG, "%s: the file's name is too long", c->path);
	c->tmp = openat(c->dir, c->tmp_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->tmp < 0) {
		err_sys(e, "create a file beside it");
		return not_ours(c, "changed", e);
	}
	if (take_space(c, c->t.text.n + SLACK, e) < 0) {
		drop_tmp(c);
		return not_ours(c, "changed", e);
	}
	return 0;
}

static int
write_tmp(struct confedit *c, struct err *e)
{
	if (fs_write_all(c->tmp, c->t.text.p, c->t.text.n, e) < 0)
		return -1;
	if (ftruncate(c->tmp, (off_t)c->t.text.n) < 0)
		return err_sys(e, "truncate");
	/* Only root can give it away; for others it was theirs before, but for the group perhaps. */
	if (fchown(c->tmp, c->uid, c->gid) < 0 && geteuid() == 0)
		return err_sys(e, "chown");
	if (fchmod(c->tmp, c->mode) < 0)
		return err_sys(e, "chmod");
	if (fsync(c->tmp) < 0)
		return err_sys(e, "fsync");
	return 0;
}

/* Behind the pid in the lock's file; a courtesy, without which the file is looked at for longer. */
static void
note_saved(struct confedit *c)
{
	char line[40];
	int n = snprintf(line, sizeof(line), "\nsaved %016" PRIx64 "\n", hash_fnv(buf_str(&c->t.text)));
	off_t end = lseek(c->lock, 0, SEEK_END);

	if (end >= 0 && pwrite(c->lock, line, (size_t)n, end) != n)
		log_debug("The lock does not say what was saved", F_STR("file", c->path));
}

bool
confedit_wrote(const char *path, uint64_t hash)
{
	char *real = realpath(path, NULL), *dir, *name, *lock, want[40];
	struct buf b = { .max = 4096 };
	struct str text, last = STR_NULL;
	bool wrote = false;

	if (real == NULL)
		return false;
	split_path(real, &dir, &name);
	lock = fs_join(dir, LOCK_NAME);
	snprintf(want, sizeof(want), "saved %016" PRIx64, hash);
	if (fs_read(AT_FDCWD, lock, 4096, &b, NULL) == 0) {
		text = str_trim(buf_str(&b));
		while (text.p != NULL && text.n > 0)
			last = str_cut(&text, '\n');
		wrote = str_eqc(last, want);
	}
	buf_free(&b);
	free(lock);
	free(name);
	free(dir);
	free(real);
	return wrote;
}

int
confedit_save(struct confedit *c, struct err *e)
{
	if (confedit_reserve(c, e) < 0)
		return -1;
	if (write_tmp(c, e) < 0) {
		drop_tmp(c);
		return not_ours(c, "changed", e);
	}
	if (renameat(c->dir, c->tmp_name, c->dir, c->name) < 0) {
		err_sys(e, "rename");
		drop_tmp(c);
		if (e->sys == EBUSY)
			return err_ctx(e, "%s is mounted by itself: mount its directory instead", c->path);
		return not_ours(c, "changed", e);
	}
	c->tmp_name[0] = '\0';
	drop_tmp(c);
	c->missing = false;
	note_saved(c);
	if (fs_sync_dir(c->dir, e) < 0)
		return err_ctx(e, "%s is written, but may not survive a power failure", c->path);
	return 0;
}

void
confedit_close(struct confedit *c)
{
	drop_tmp(c);
	tomledit_close(&c->t);
	if (c->lock >= 0)
		close(c->lock);
	if (c->dir >= 0)
		close(c->dir);
	free(c->path);
	free(c->name);
	*c = (struct confedit){ .dir = -1, .lock = -1, .tmp = -1 };
}
