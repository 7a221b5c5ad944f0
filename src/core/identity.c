/* Numbers for roles: see identity.h. */
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <unistd.h>

#include "core/crash.h"
#include "core/hash.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/str.h"

bool
identity_is_ours(uid_t id)
{
	return id >= IDENTITY_FIRST && id <= IDENTITY_LAST;
}

/* A line of uid_map: first number inside, first outside, how many. */
static bool
map_has(const char *file)
{
	FILE *f = fopen(file, "re");
	char line[128];
	bool has = false;

	if (f == NULL)
		return true;
	while (!has && fgets(line, sizeof(line), f) != NULL) {
		char *at = line;
		unsigned long inside = strtoul(at, &at, 10);

		(void)strtoul(at, &at, 10);
		has = inside <= IDENTITY_FIRST && strtoul(at, &at, 10) > IDENTITY_LAST - inside;
	}
	fclose(f);
	return has;
}

/* An installed unit of an older version leaves root fewer. */
static bool
capable(void)
{
	const uint32_t need = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_CHOWN | 1u << CAP_KILL | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER;
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct have[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	return syscall(SYS_capget, &head, have) == 0 && (have[0].effective & need) == need;
}

bool
identity_changes(void)
{
	return geteuid() == 0 && capable() && map_has("/proc/self/uid_map") && map_has("/proc/self/gid_map");
}

/*
 * Whoever owns the directory may have put anything there since: what is not a plain file, or has a second name elsewhere
 * (a hard link to somebody's secret), is no file of ours.
 */
static int
hand_over_file(int dir, const char *name, uid_t id, bool keep, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? 0 : err_sys(e, "open %s", name);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid != id &&
	    (st.st_uid == 0 || identity_is_ours(st.st_uid)) &&
	    (fchown(fd, keep ? 0 : id, id) < 0 || (keep && fchmod(fd, 0640) < 0)))
		rc = err_sys(e, "chown %s", name);
	close(fd);
	return rc;
}

static bool
listed(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int
identity_hand_over(int dir, uid_t id, const char *const *root_keeps, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *f;
	struct stat st;

	if (d == NULL) {
		err_sys(e, "list");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	/* The directory first: who writes a file there meanwhile looks at its owner once more when the file has its name (fs.c). */
	if (fstat(dir, &st) == 0 && (st.st_uid != id || st.st_gid != id) && fchown(dir, id, id) < 0)
		rc = err_sys(e, "chown the directory");
	while (rc == 0 && (f = readdir(d)) != NULL)
		/* With a dot they are being written, and still their writer's. */
		if (f->d_name[0] != '.')
			rc = hand_over_file(dir, f->d_name, id, listed(root_keeps, f->d_name), e);
	closedir(d);
	return rc;
}

int
identity_hand_over_tree(int dir, uid_t id, int depth, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = depth > 0 && fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *f;

	while (d != NULL && rc == 0 && (f = readdir(d)) != NULL) {
		int below = strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ? -1 :
		    openat(dir, f->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (below >= 0) {
			rc = identity_hand_over_tree(below, id, depth - 1, e);
			close(below);
		}
	}
	if (d != NULL)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return rc < 0 ? -1 : identity_hand_over(dir, id, NULL, e);
}

int
identity_share(int dir, gid_t group, bool write, struct err *e)
{
	mode_t mode = write ? S_ISVTX | 0770 : 0750;
	struct stat st;

	if (fstat(dir, &st) == 0 && st.st_uid == 0 && st.st_gid == group && (st.st_mode & 07777) == mode)
		return 0;
	if (fchown(dir, 0, group) < 0 || fchmod(dir, mode) < 0)
		return err_sys(e, "share the directory");
	return 0;
}

static bool
taken(int jobs, uid_t id)
{
	int fd = openat(jobs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *f;
	struct stat st;
	bool found = false;

	while (d != NULL && !found && (f = readdir(d)) != NULL)
		found = fstatat(jobs, f->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == id;
	if (d != NULL)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return found;
}

static bool
is_job(uid_t id)
{
	return id >= IDENTITY_JOB_FIRST && id <= IDENTITY_LAST;
}

/* The job's other process is of a version that stays root, and writes files that nobody else could read. */
static bool
with_root(int job_dir, const char *const *locks)
{
	for (; *locks != NULL; locks++) {
		int fd = openat(job_dir, *locks, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		struct stat st;
		bool held = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

		if (fd >= 0)
			close(fd);
		if (held)
			return true;
	}
	return false;
}

static int
choose(int jobs_dir, int job_dir, const struct identity_job *job, uid_t *id, struct err *e)
{
	struct stat st;
	int64_t n = 0;
	int rc;

	if (fstat(job_dir, &st) < 0)
		return err_sys(e, "stat");
	*id = st.st_uid;
	if (!is_job(st.st_uid)) {
		/* By the job's number, so that they go round, and the next job does not follow upon the last one's heels. */
		if (str_to_i64(str_from(job->name), &n) < 0 || n < 0)
			n = (int64_t)(hash_fnv(str_from(job->name)) >> 8);
		*id = IDENTITY_JOB_FIRST + (uid_t)(n % IDENTITY_JOBS);
		while (taken(jobs_dir, *id))
			*id = IDENTITY_JOB_FIRST + (*id + 1 - IDENTITY_JOB_FIRST) % IDENTITY_JOBS;
	}
	rc = identity_hand_over(job_dir, *id, job->root_keeps, e);
	/* A file system without owners, or one whose server does not trust our root. */
	if (rc < 0 && (e->sys == EPERM || e->sys == EINVAL) && st.st_uid == 0) {
		log_debug("The job's directory cannot be handed over", F_STR("error", e->msg));
		*e = (struct err){ 0 };
		*id = 0;
		rc = 0;
	}
	return rc;
}

int
identity_of_job(int jobs_dir, int job_dir, const struct identity_job *job, uid_t *id, struct err *e)
{
	int lock, rc = 0;

	*id = 0;
	if (!identity_changes())
		return 0;
	/* One at a time, executor against reporter and job against job. The directory above is one that no role can open. */
	lock = openat(jobs_dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0) {
		if (lock >= 0)
			close(lock);
		return err_sys(e, "lock the state directory");
	}
	if (!with_root(job_dir, job->locks))
		rc = choose(jobs_dir, job_dir, job, id, e);
	close(lock);
	return rc < 0 ? err_ctx(e, "jobs/%s", job->name) : 0;
}

static void
drop_capabilities(uint32_t but)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { but, but, 0 }, { 0, 0, 0 } };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &head, none);
}

void
identity_take(uid_t id, gid_t group)
{
	int with_parent = 0;
	pid_t parent = getppid();
	gid_t groups[] = { group };

	if (geteuid() != 0)
		return;
	if (!identity_changes())
		id = 0;
	(void)crash_keep();
	prctl(PR_GET_PDEATHSIG, &with_parent);
	/* Beyond the last one the kernel says EINVAL. */
	for (int c = 0; c < 64; c++)
		prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	if (id != 0 && (setgroups(group != 0 ? 1 : 0, groups) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)) {
		log_error("A role cannot give root up", F_STR("error", strerror(errno)), F_INT("uid", (int64_t)id));
		_exit(1);
	}
	/* Root that stays root meets directories which another start has given away. */
	drop_capabilities(id != 0 ? 0 : 1u << CAP_DAC_OVERRIDE);
	/* Both are undone by a change of user. */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, with_parent);
	if (with_parent != 0 && getppid() != parent)
		_exit(1);
}
