/* `machine rm`: what it asks before, and what it says of what it could not see. */
#include <limits.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "books/store.h"
#include "cloud/life.h"
#include "cmd/machine.h"
#include "core/fs.h"
#include "core/lock.h"
#include "manager/manager.h"
#include "wire/json.h"

#define PAYLOAD_MAX	(16u << 20)

bool
machine_confirmed(void)
{
	char answer[64];

	printf("Are you sure? (y/n): ");
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Jobs */

/* Appends what people call a job: its id, and from GitLab's answer its name and project. */
static void
put_job(struct buf *b, int jobs, const char *id)
{
	struct buf text = { .max = PAYLOAD_MAX };
	struct arena a = { 0 };
	struct json_val root;
	char path[NAME_MAX + sizeof("/" JOBFILE_PAYLOAD)];

	buf_fmt(b, "%sjob %s", b->n > 0 ? ", " : "", id);
	snprintf(path, sizeof(path), "%s/" JOBFILE_PAYLOAD, id);
	if (fs_read(jobs, path, PAYLOAD_MAX, &text, NULL) == 0 && json_parse(&a, buf_str(&text), &root, NULL) == 0) {
		const char *name = json_cstr(&a, json_path(root, "job_info.name"));
		const char *project = json_cstr(&a, json_path(root, "job_info.project_name"));

		if (name[0] != '\0') {
			buf_puts(b, " (");
			buf_put_quoted(b, str_from(name), 80);
			buf_puts(b, project[0] != '\0' ? " of " : "");
			buf_put_quoted(b, str_from(project), 80);
			buf_putc(b, ')');
		}
	}
	buf_wipe(&text);
	arena_reset(&a);
}

/* Whether the job was given this machine and has not ended there. */
static bool
runs_on(int jobs, const char *id, const char *machine)
{
	char path[NAME_MAX + sizeof("/" JOBFILE_EXECUTOR_LOCK)];
	struct buf b = { .max = 1024 };
	struct str line;
	bool yes;
	int dir;

	snprintf(path, sizeof(path), "%s/" JOBFILE_MACHINE, id);
	yes = fs_read(jobs, path, 1024, &b, NULL) == 0;
	line = buf_str(&b);
	yes = yes && str_eqc(str_trim(str_cut(&line, '\n')), machine);
	buf_free(&b);
	if (!yes || (dir = fs_opendir(jobs, id, NULL)) < 0)
		return false;
	yes = !fs_exists(dir, JOBFILE_RESULT) || lock_held(dir, JOBFILE_EXECUTOR_LOCK, NULL, NULL) == 1;
	close(dir);
	return yes;
}

static void
jobs_in(const char *state_dir, const char *machine, struct buf *b)
{
	char *path = fs_join(state_dir, JOBS_DIR), **ids;
	int jobs = fs_opendir(AT_FDCWD, path, NULL);
	ssize_t n = jobs >= 0 ? fs_list(jobs, ".", &ids, NULL) : -1;

	for (ssize_t i = 0; i < n; i++)
		if (runs_on(jobs, ids[i], machine))
			put_job(b, jobs, ids[i]);
	if (n >= 0)
		fs_free_names(ids, n);
	if (jobs >= 0)
		close(jobs);
	free(path);
}

/* The jobs that run on a machine, by the state directory that is named and by those that managers have left word of in the store. */
static void
jobs_of(const struct machine_cli *m, const char *state_dir, const char *machine, struct buf *b)
{
	char *dflt = manager_default_state_dir(), *note = fs_join(m->store, STORE_STATE_NOTE);
	struct buf noted = { .max = PATH_MAX };

	if (fs_read(AT_FDCWD, note, PATH_MAX, &noted, NULL) == 0 && noted.n > 0)
		buf_cut(&noted, str_trim(buf_str(&noted)).n);
	if (state_dir == NULL)
		state_dir = dflt;
	if (state_dir != NULL)
		jobs_in(state_dir, machine, b);
	if (noted.n > 0 && noted.p[0] == '/' && (state_dir == NULL || strcmp(noted.p, state_dir) != 0))
		jobs_in(noted.p, machine, b);
	buf_free(&noted);
	free(note);
	free(dflt);
}

/* Removing */

/* What is known of a machine from either of its files, whatever state the other is in. */
struct known {
	struct arena	 arena;
	const char	*driver, *id, *key;	/* "" if not known */
	bool		 stays;			/* no cloud's: the host is not ours to delete */
};

static void
know(const struct machine_cli *m, const char *name, struct known *k)
{
	int dir = store_open(m->store, name, NULL);
	struct machine_record rec = { 0 };
	struct machine_host h;

	*k = (struct known){ .driver = "", .id = "", .key = "" };
	if (dir < 0)
		return;
	if (machine_host_read(&h, &k->arena, dir, name, NULL) == 0) {
		k->driver = h.cloud.driver_name;
		k->id = cloud_machine_id(&h.cloud);
		for (size_t i = 0; h.cloud.driver != NULL && i < h.cloud.driver->nkinds; i++)
			if (h.cloud.driver->kinds[i]->traits & KIND_KEY)
				k->key = cloud_id(&h.cloud, i);
	}
	if (machine_record_read(dir, &k->arena, &rec, NULL) == 0) {
		if (k->driver[0] == '\0')
			k->driver = rec.driver;
		if (k->id[0] == '\0')
			k->id = record_id(&rec, "machine");
		if (k->key[0] == '\0')
			k->key = record_id(&rec, "key");
	}
	close(dir);
	if (cloud_driver_find(str_from(k->driver)) != NULL)
		k->stays = (cloud_driver_find(str_from(k->driver))->traits & CLOUD_NO_VM) != 0;
}

/* What is left in the cloud when a machine is forgotten by force, for whoever has to delete it by hand. */
static void
say_orphan(const char *name, const struct known *k)
{
	if (k->stays)
		return;
	if (k->id[0] != '\0')
		fprintf(stderr, "Machine %s is forgotten, but may still exist in the cloud: %s id %s%s%s\n", name, k->driver, k->id,
		    k->key[0] != '\0' ? ", key " : "", k->key);
	else
		fprintf(stderr, "Machine %s is forgotten, but may still exist in the cloud%s%s: its id is not known, look there for its name\n",
		    name, k->driver[0] != '\0' ? ", driver " : "", k->driver);
}

static int
rm_one(const struct machine_cli *m, const char *name, bool force)
{
	struct operation op;
	struct known known;
	struct err e = { 0 };
	int rc;

	know(m, name, &known);
	rc = machine_take(m, &op, name, &e);
	op.deadline = mono_after(OPERATOR_LIMIT_NS);
	if (rc == 0) {
		machine_speak(&op);
		rc = operation_remove(&op, "removed by hand", &e);
	}
	if (rc == 0)
		printf("Successfully removed %s\n", name);
	else
		fprintf(stderr, "Error removing host \"%s\": %s\n", name, e.msg);
	/* By force the record goes even so; but not from under a process that is at work on it. */
	if (rc < 0 && force && op.dir >= 0 && e.kind != ERR_CONFLICT) {
		if (op.rec.phase != PHASE_PLANNED)
			say_orphan(name, &known);
		rc = store_forget(m->store, name, &e);
		if (rc == 0)
			printf("Forgot %s\n", name);
	}
	operation_end(&op);
	arena_reset(&known.arena);
	return rc;
}

/* What is about to happen: docker-machine's words, but for hosts that stay. */
static void
say_warning(const struct machine_cli *m, const struct machine_args *a)
{
	size_t stay = 0;

	printf("About to remove ");
	for (size_t i = 0; i < a->nwords; i++)
		printf("%s%s", i > 0 ? ", " : "", a->words[i]);
	putchar('\n');
	for (size_t i = 0; i < a->nwords; i++) {
		struct known k;

		know(m, a->words[i], &k);
		if (k.stays)
			printf("%s: only the local reference goes, the host stays as it is (driver %s).\n", a->words[i], k.driver);
		stay += k.stays;
		arena_reset(&k.arena);
	}
	if (stay < a->nwords)
		puts("WARNING: This action will delete both local reference and remote instance.");
	fflush(stdout);
}

static const struct opt rm_opts[] = {
	{ .name = "force", .letter = 'f', .type = OPT_BOOL,
	  .help = "also with a job on it; forget it even if the cloud does not let it go; implies -y" },
	{ .name = "y", .type = OPT_BOOL, .help = "do not ask; a machine that runs a job is left alone" },
	OPT_STATE_DIR,
};
const struct usage machine_rm_usage = USAGE("MACHINE...",
    "Deletes machines in the cloud, with their key pairs, and forgets them here. Asks first, unless -y or --force. Of a machine\n"
    "that runs a job of windlass the question names the job; with -y such a machine is not removed, with --force it is.\n\n"
    "Exit status 1: one could not be removed; it stays listed. By force it is forgotten even so, and what may be left in the\n"
    "cloud (driver and id, from whichever file can be read) is named on standard error.", rm_opts);

/* Says what runs on the machines. How many are at work. */
static size_t
say_jobs(const struct machine_cli *m, const struct machine_args *a, bool *busy)
{
	size_t n = 0;

	for (size_t i = 0; i < a->nwords; i++) {
		struct buf jobs = { .max = 4096 };

		jobs_of(m, a->opt[2].value, a->words[i], &jobs);
		busy[i] = jobs.n > 0;
		if (busy[i])
			printf("WARNING: %s runs %s, which fails when it is removed.\n", a->words[i], jobs.p);
		n += busy[i];
		buf_free(&jobs);
	}
	fflush(stdout);
	return n;
}

int
machine_rm(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(rm_opts)];
	struct machine_args a;
	bool force, *busy;
	int rc = 0;

	if (machine_args(m, &a, &machine_rm_usage, o, argc, argv) < 0)
		return 1;
	force = o[0].number != 0;
	if (a.nwords == 0) {
		fprintf(stderr, "Error: Expected to get one or more machine names as arguments\n");
		machine_args_free(&a);
		return 1;
	}
	busy = xcalloc(a.nwords, sizeof(*busy));
	say_warning(m, &a);
	(void)say_jobs(m, &a, busy);
	if (!force && !o[1].number) {
		if (!machine_confirmed())
			goto out;
		memset(busy, 0, a.nwords * sizeof(*busy));	/* said and answered */
	}
	for (size_t i = 0; i < a.nwords; i++) {
		if (busy[i] && !force) {
			fprintf(stderr, "Error removing host \"%s\": a job runs on it: wait for its end, or remove it with --force\n", a.words[i]);
			rc = 1;
		} else if (rm_one(m, a.words[i], force) < 0 && !force)
			rc = 1;
	}
out:
	free(busy);
	machine_args_free(&a);
	return rc;
}
