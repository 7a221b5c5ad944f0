/*
 * The store as `adopt` finds it: whose each machine is, and whether engine
 * and cloud know it. Engine and cloud are asked by a process for each machine, so that one that does not answer
 * holds up nobody. See adopt.h.
 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cloud/life.h"
#include "cmd/adopt.h"
#include "books/store.h"
#include "core/crash.h"
#include "core/fs.h"
#include "machine/health.h"
#include "machine/operation.h"

#define AT_ONCE		16

/* ---- whose it is ---- */

static bool
may_have_machines(const struct runner *r)
{
	return r->disabled == NULL && r->has_machine && strcmp(r->executor, "docker+machine") == 0;
}

const struct runner *
adopt_runner_of(const struct config *c, struct str name, size_t *rivals)
{
	const struct runner *owner = NULL;
	unsigned best = 0;

	*rivals = 0;
	for (size_t i = 0; i < c->nrunners; i++) {
		unsigned claim = may_have_machines(&c->runners[i]) ? names_claim(&c->runners[i].names, name) : 0;

		*rivals += claim > 0 && best > 0;
		if (claim > best) {
			best = claim;
			owner = &c->runners[i];
		}
	}
	return owner;
}

static const struct runner *
runner_by_key(const struct config *c, const char *key)
{
	for (size_t i = 0; i < c->nrunners; i++)
		if (may_have_machines(&c->runners[i]) && strcmp(c->runners[i].key, key) == 0)
			return &c->runners[i];
	return NULL;
}

/* The second in its name, else the age of what the original wrote at its creation. */
static wall_t
born(const struct adopt_machine *m, int dir)
{
	struct stat st;
	int64_t at;

	if (m->runner != NULL && names_match(&m->runner->names, str_from(m->name), NAMES_STRICT, &at))
		return wall_of_seconds(at);
	if (fstatat(dir, STOREFILE_CONFIG, &st, 0) == 0)
		return wall_of_seconds(st.st_mtim.tv_sec);
	return wall_now();
}

static void
broken(struct adopt *a, struct adopt_machine *m, const char *why)
{
	m->fate = ADOPT_BROKEN;
	m->why = arena_dup(&a->arena, str_from(why));
}

/* By the record that is there. */
static void
judge_record(struct adopt *a, struct adopt_machine *m, const struct machine_record *r)
{
	m->created = r->created;
	m->uses = r->uses;
	if (strcmp(r->owner, a->owner) != 0 && r->owner[0] != '\0')
		m->fate = ADOPT_OTHERS;
	else if (r->runner[0] == '\0')
		m->fate = ADOPT_BY_HAND;
	else {
		m->fate = ADOPT_OURS;
		m->runner = runner_by_key(a->check.config, r->runner);
	}
}

static void
judge(struct adopt *a, struct adopt_machine *m, int dir)
{
	struct machine_record r;
	struct machine_host h;
	struct err e = { 0 };

	if (machine_host_read(&h, &a->arena, dir, m->name, &e) < 0) {
		broken(a, m, e.msg);
		return;
	}
	m->driver = h.cloud.driver_name;
	m->ip = h.cloud.base.ip != NULL ? h.cloud.base.ip : "";
	if (machine_record_read(dir, &a->arena, &r, &e) == 0) {
		if (r.phase == PHASE_NONE)
			broken(a, m, STOREFILE_RECORD ": its phase is one that this version does not know");
		else
			judge_record(a, m, &r);
		return;
	}
	if (e.kind != ERR_NOTFOUND) {
		broken(a, m, e.msg);
		return;
	}
	m->runner = adopt_runner_of(a->check.config, str_from(m->name), &m->rivals);
	m->created = born(m, dir);
	m->fate = m->runner == NULL ? ADOPT_FOREIGN : h.cloud.driver == NULL ? ADOPT_NO_DRIVER : ADOPT_TAKE;
}

int
adopt_look(struct adopt *a, struct err *e)
{
	char **names;
	ssize_t n = store_list(a->store, &names, e);

	if (n < 0)
		return -1;
	a->machines = arena_calloc(&a->arena, (size_t)n + 1, sizeof(*a->machines));
	for (ssize_t i = 0; i < n; i++) {
		struct adopt_machine *m = &a->machines[a->n++];
		struct err why = { 0 };
		int dir;

		*m = (struct adopt_machine){ .name = arena_dup(&a->arena, str_from(names[i])), .driver = "", .ip = "", .uses = -1 };
		dir = store_open(a->store, m->name, &why);
		if (dir < 0)
			broken(a, m, why.msg);
		else {
			judge(a, m, dir);
			close(dir);
		}
		a->fates[m->fate]++;
	}
	fs_free_names(names, n);
	return 0;
}

/* ---- asking ---- */

struct asking { struct adopt_machine *m; pid_t pid; int fd; mono_t deadline; };

static void
ask_cloud(struct operation *op, struct adopt_probe *p)
{
	const struct cloud_driver *d = op->host.cloud.driver;
	enum cloud_state s = STATE_NONE;
	struct err e = { 0 };

	if (d == NULL)
		return;
	if (cloud_state(&op->host.cloud, &s, op->deadline, &e) == 0) {
		p->cloud_ok = s == STATE_RUNNING;
		p->cloud_gone = s == STATE_NONE;
		snprintf(p->cloud, sizeof(p->cloud), "%s", s == STATE_NONE ? "does not know it" : cloud_state_name(s));
	} else {
		p->cloud_gone = e.kind == ERR_NOTFOUND;
		snprintf(p->cloud, sizeof(p->cloud), "%s", p->cloud_gone ? "does not know it" : e.msg);
	}
}

/* In the child. */
static void
ask(const char *store, const char *name, mono_t deadline, struct adopt_probe *p)
{
	struct operation op;
	struct err e = { 0 };

	operation_init(&op, store, name);
	op.deadline = deadline;
	if (operation_look(&op, &e) < 0) {
		snprintf(p->engine, sizeof(p->engine), "%s", e.msg);
		return;
	}
	ask_cloud(&op, p);
	p->engine_ok = health_version(&op.host, op.dir, p->engine, sizeof(p->engine), deadline, &e) == 0;
	if (!p->engine_ok)
		snprintf(p->engine, sizeof(p->engine), "%s", e.msg);
	operation_end(&op);
}

static void
start_asking(struct asking *k, struct adopt *a, struct adopt_machine *m, dur_t limit_ns)
{
	pid_t parent = getpid();
	int fd[2];

	*k = (struct asking){ .m = m, .fd = -1, .deadline = mono_after(limit_ns) };
	if (pipe2(fd, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	k->pid = fork();
	if (k->pid == 0) {
		struct adopt_probe p = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		ask(a->store, m->name, k->deadline, &p);
		_exit(fs_write_all(fd[1], &p, sizeof(p), NULL) < 0);
	}
	close(fd[1]);
	if (k->pid < 0)
		close(fd[0]);
	else
		k->fd = fd[0];
}

/* One write of less than PIPE_BUF comes whole or not at all. */
static void
end_asking(struct asking *k)
{
	struct pollfd p = { k->fd, POLLIN, 0 };
	bool came = k->fd >= 0 && poll(&p, 1, mono_ms_until(mono_add(k->deadline, NSEC_SEC))) > 0 &&
	    read(k->fd, &k->m->probe, sizeof(k->m->probe)) == (ssize_t)sizeof(k->m->probe);

	if (!came) {
		k->m->probe = (struct adopt_probe){ 0 };
		snprintf(k->m->probe.engine, sizeof(k->m->probe.engine), "nobody answered in time");
	}
	if (k->fd < 0)
		return;
	kill(k->pid, SIGKILL);
	while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(k->fd);
}

void
adopt_ask(struct adopt *a, dur_t limit_ns)
{
	struct asking ring[AT_ONCE];
	size_t first = 0, last = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct adopt_machine *m = &a->machines[i];

		if (m->fate != ADOPT_TAKE && m->fate != ADOPT_OURS)
			continue;
		if (last - first == AT_ONCE)
			end_asking(&ring[first++ % AT_ONCE]);
		start_asking(&ring[last++ % AT_ONCE], a, m, limit_ns);
	}
	while (first < last)
		end_asking(&ring[first++ % AT_ONCE]);
	a->probed = true;
}

/* ---- taking over ---- */

/* What root writes into somebody's store must be that one's, or windlass under that user could not change it. */
static int
give(int dir, const char *name, uid_t uid, gid_t gid, struct err *e)
{
	if (geteuid() != 0 || uid == 0)
		return 0;
	return fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? err_sys(e, "chown %s", name) : 0;
}

int
adopt_take(const struct adopt *a, const struct adopt_machine *m, struct err *e)
{
	struct machine_record r, old;
	struct arena arena = { 0 };
	struct err why = { 0 };
	int dir, lock = -1, rc = -1;

	dir = store_open(a->store, m->name, e);
	if (dir < 0)
		return -1;
	lock = store_lock(dir, false, e);
	if (lock < 0 || give(dir, STOREFILE_LOCK, a->uid, a->gid, e) < 0)
		goto out;
	/* Taken over by an earlier call, which may have died before the record was its owner's. */
	if (m->fate == ADOPT_OURS) {
		rc = give(dir, STOREFILE_RECORD, a->uid, a->gid, e);
		goto out;
	}
	/* Somebody may have been here between the look and now. */
	if (machine_record_read(dir, &arena, &old, &why) == 0 || why.kind != ERR_NOTFOUND) {
		err_set(e, ERR_CONFLICT, 0, "it has got a record meanwhile: look again");
		goto out;
	}
	/* Ids stay in config.json alone, where the original put them. It counts as used once, as there (spec machines 1.12). */
	r = (struct machine_record){ .name = m->name, .owner = a->owner, .nonce = "", .driver = m->driver, .runner = m->runner->key,
		.phase = PHASE_READY, .created = m->created, .phase_since = m->created, .last_used = wall_now(), .uses = 1,
		.rung = "", .step = "", .host_key = "", .options_hash = "", .last_error = "", .remove_reason = "" };
	if (machine_record_write(dir, &r, e) < 0)
		goto out;
	crash_point("adopt:recorded");
	rc = give(dir, STOREFILE_RECORD, a->uid, a->gid, e);
out:
	if (lock >= 0)
		close(lock);
	close(dir);
	arena_reset(&arena);
	return rc < 0 ? err_ctx(e, "machine %s", m->name) : 0;
}
