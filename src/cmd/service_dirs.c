/*
 * The directories that a service needs: made before each start, for whomever it runs as, so that it starts
 * whatever has been removed. See service.h.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "cmd/service.h"
#include "core/fs.h"
#include "core/log.h"

/* A link of somebody on the way leads root only to what is that one's own: else a user could have a directory made anywhere. */
static int
may_make_in(int dir, uid_t link_owner, const char *path, struct err *e)
{
	struct stat st;

	if (link_owner == 0 || (fstat(dir, &st) == 0 && st.st_uid == link_owner))
		return 0;
	return err_set(e, ERR_CONFLICT, 0, "make %s: a symbolic link of uid %u leads out of that user's own directories", path, (unsigned)link_owner);
}

/* One component: the directory below `dir`, made when it is not there. Closes `dir`. The new descriptor or -1. */
static int
step(int dir, const char *name, const struct passwd *owner, const char *path, uid_t *link_owner, struct err *e)
{
	struct stat st;
	int fd, made = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) && st.st_uid != 0)
		*link_owner = st.st_uid;
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (may_make_in(dir, *link_owner, path, e) < 0 || mkdirat(dir, name, 0700) < 0) {
			made = e->kind != ERR_NONE ? -1 : err_sys(e, "make %s", path);
		} else {
			fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
			made = 1;
		}
	}
	if (made == 1 && fd >= 0 && owner != NULL && fchown(fd, owner->pw_uid, owner->pw_gid) < 0)
		made = err_sys(e, "give %s to %s", path, owner->pw_name);
	else if (fd < 0 && made >= 0)
		made = err_sys(e, "open %s", path);
	close(dir);
	if (made < 0 && fd >= 0)
		close(fd);
	return made < 0 ? -1 : fd;
}

/*
 * What an older `install --init-user` left behind: a directory of root's alone in the user's own, which the user
 * cannot enter on the way to the store.
 */
static void
mend(int parent, const char *name, const struct passwd *owner, const char *path)
{
	struct stat above, st;
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && fstat(parent, &above) == 0 && fstat(fd, &st) == 0 && above.st_uid == owner->pw_uid && owner->pw_uid != 0 &&
	    st.st_uid == 0 && (st.st_mode & 07077) == 0 && fchown(fd, owner->pw_uid, owner->pw_gid) == 0)
		log_info("A directory that only root could enter is the user's now", F_STR("below", path), F_STR("user", owner->pw_name));
	if (fd >= 0)
		close(fd);
}

int
service_make_dir(const char *path, const struct passwd *owner, struct err *e)
{
	struct str rest = str_from(path);
	int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uid_t link_owner = 0;

	while (rest.p != NULL && dir >= 0) {
		char *name = str_dup(str_cut(&rest, '/'));

		if (name[0] != '\0') {
			if (owner != NULL)
				mend(dir, name, owner, path);
			dir = step(dir, name, owner, path, &link_owner, e);
		}
		free(name);
	}
	if (dir >= 0)
		close(dir);
	return dir < 0 ? -1 : 0;
}

int
service_prepare(const struct service *s, struct err *e)
{
	const struct passwd *p = s->init_user != NULL ? getpwnam(s->init_user) : NULL;
	char *config = s->config != NULL ? xstrdup(s->config) : NULL;
	const char *dirs[] = { config, s->store, s->state_dir, s->directory };
	int rc = 0;

	if (s->init_user != NULL && p == NULL) {
		free(config);
		return err_set(e, ERR_CONFIG, 0, "there is no user %s on this host", s->init_user);
	}
	if (config != NULL)
		*strrchr(config, '/') = '\0';
	for (size_t i = 0; i < NELEM(dirs); i++) {
		struct err why = { 0 };

		/* Each is tried: what one cannot have the others need all the same. The first failure is told. */
		if (dirs[i] != NULL && dirs[i][0] == '/' && service_make_dir(dirs[i], p, &why) < 0 && rc == 0) {
			*e = why;
			rc = -1;
		}
	}
	free(config);
	return rc;
}

/* In a child that has become the user: which of them it cannot have; 0: all are good. */
static int
try_as(const struct passwd *p, const struct service *s)
{
	if (initgroups(p->pw_name, p->pw_gid) < 0 || setgid(p->pw_gid) < 0 || setuid(p->pw_uid) < 0)
		return 4;
	if (chdir(s->directory) < 0)
		return 1;
	if (access(s->exe, X_OK) < 0)
		return 2;
	/* A file that is not there yet is the user's to write; one behind a closed directory is nobody's who cannot enter it. */
	return access(s->config, R_OK | W_OK) < 0 && errno != ENOENT ? 3 : 0;
}

int
service_fits_user(const struct service *s, struct err *e)
{
	const struct passwd *p = s->init_user != NULL ? getpwnam(s->init_user) : NULL;
	int status = 0;
	pid_t pid;

	if (p == NULL)
		return 0;
	pid = fork();
	if (pid == 0)
		_exit(try_as(p, s));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 4)
		return 0;	/* not known: the start will tell */
	switch (WEXITSTATUS(status)) {
	case 1:
		return err_set(e, ERR_CONFIG, 0, "--working-directory %s: %s cannot enter it", s->directory, s->init_user);
	case 2:
		return err_set(e, ERR_CONFIG, 0, "%s cannot execute %s: copy it to /usr/local/bin/windlass, and install from there", s->init_user, s->exe);
	case 3:
		return err_set(e, ERR_CONFIG, 0, "%s cannot read and write %s: chown %s %s", s->init_user, s->config, s->init_user, s->config);
	default:
		return 0;
	}
}

static const struct opt opts[] = {
	OPT_CONFIG,
	OPT_STATE_DIR,
	OPT_STORAGE,
	{ .name = "working-directory", .type = OPT_STRING, .arg = "DIR", .help = "where it runs" },
	{ .name = "init-user", .type = OPT_STRING, .arg = "USER", .help = "whose they are" },
};
const struct usage cmd_service_prepare_usage = USAGE("",
    "Makes the directories that a service needs and that are not there. What `install` writes uses this before each start.", opts);

int
cmd_service_prepare(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct service s = { 0 };
	struct err e = { 0 };

	if (cmd_options(&cmd_service_prepare_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	s.config = o[0].value;
	s.state_dir = o[1].value;
	s.store = o[2].value;
	s.directory = o[3].value;
	s.init_user = o[4].value;
	return service_prepare(&s, &e) < 0 ? runnercmd_fatal("service-prepare", &e) : 0;
}
