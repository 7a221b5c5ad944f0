/* Which version of windlass may run which state: see format.h. */
#include <unistd.h>

#include "books/format.h"
#include "books/jobdir.h"
#include "books/state.h"
#include "books/store.h"
#include "core/fs.h"
#include "core/lock.h"
#include "wire/json.h"

#define RECORD_MAX	(1u << 20)

static int
too_new(struct err *e, const char *what, int64_t v)
{
	return err_set(e, ERR_CONFIG, 0, "%s has format %" PRId64 ", and this windlass reads up to %d: a newer version wrote it. Run that one",
	    what, v, STATE_FORMAT);
}

/* 1 and *v, 0 when there is no file, -1. */
static int
read_format(int state_fd, int64_t *v, struct err *e)
{
	struct buf b = { .max = 64 };
	struct err why = { 0 };
	int rc = 1;

	if (fs_read(state_fd, STATEFILE_FORMAT, 60, &b, &why) < 0) {
		rc = why.kind == ERR_NOTFOUND ? 0 : -1;
		if (rc < 0)
			*e = why;
	} else if (str_to_i64(str_trim(buf_str(&b)), v) < 0 || *v < 1)
		rc = err_set(e, ERR_PARSE, 0, "the file `format` is not a number: was it edited? For this version it is %d", STATE_FORMAT);
	buf_free(&b);
	return rc;
}

int
format_take(int state_fd, struct err *e)
{
	char text[24];
	int64_t v;
	int rc = read_format(state_fd, &v, e);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		snprintf(text, sizeof(text), "%d\n", STATE_FORMAT);
		return fs_write(state_fd, STATEFILE_FORMAT, str_from(text), 0600, e);
	}
	return v > STATE_FORMAT ? too_new(e, "it", v) : 0;
}

/* A record's own "v". What is no JSON says nothing. */
static int
record_fits(int dir, const char *folder, const char *file, struct err *e)
{
	struct buf b = { .max = RECORD_MAX };
	struct arena a = { 0 };
	struct json_val root;
	char what[300];
	int64_t v = 1;

	if (fs_read(dir, file, RECORD_MAX, &b, NULL) == 0 && json_parse(&a, buf_str(&b), &root, NULL) == 0)
		v = json_i64(json_get(root, "v"), 1);
	buf_wipe(&b);
	arena_reset(&a);
	snprintf(what, sizeof(what), "%s/%s", folder, file);
	return v > STATE_FORMAT ? too_new(e, what, v) : 0;
}

static int
job_fits(int state_fd, const char *id, struct state_counts *n, struct err *e)
{
	char folder[200];
	int dir, rc;

	snprintf(folder, sizeof(folder), JOBS_DIR "/%.150s", id);
	dir = fs_opendir(state_fd, folder, NULL);
	/* It has ended since we listed it. */
	if (dir < 0)
		return 0;
	n->jobs++;
	n->running += lock_held(dir, JOBFILE_EXECUTOR_LOCK, NULL, NULL) == 1;
	n->reporting += lock_held(dir, JOBFILE_REPORTER_LOCK, NULL, NULL) == 1;
	rc = record_fits(dir, folder, JOBFILE_STAGE, e);
	close(dir);
	return rc;
}

static int
state_fits(const char *state_dir, struct state_counts *n, struct err *e)
{
	struct err why = { 0 };
	char **names;
	int64_t v = 1;
	ssize_t count;
	int fd = fs_opendir(AT_FDCWD, state_dir, &why), rc = -1;

	if (fd < 0) {
		if (why.kind == ERR_NOTFOUND)
			return 0;
		*e = why;
		return -1;
	}
	if (read_format(fd, &v, e) < 0)
		goto out;
	if (v > STATE_FORMAT) {
		too_new(e, "it", v);
		goto out;
	}
	count = fs_list(fd, JOBS_DIR, &names, e);
	if (count < 0)
		goto out;
	rc = 0;
	for (ssize_t i = 0; i < count && rc == 0; i++)
		rc = job_fits(fd, names[i], n, e);
	fs_free_names(names, count);
out:
	close(fd);
	return rc;
}

static int
store_fits(const char *store, struct state_counts *n, struct err *e)
{
	char **names, folder[200];
	ssize_t count = store_list(store, &names, e);
	int rc = 0;

	if (count < 0)
		return -1;
	for (ssize_t i = 0; i < count && rc == 0; i++) {
		int dir = store_open(store, names[i], NULL);

		if (dir < 0)
			continue;
		n->machines++;
		snprintf(folder, sizeof(folder), "machines/%.150s", names[i]);
		rc = record_fits(dir, folder, STOREFILE_RECORD, e);
		close(dir);
	}
	fs_free_names(names, count);
	return rc;
}

int
format_fits(const char *state_dir, const char *store, struct state_counts *n, struct err *e)
{
	*n = (struct state_counts){ 0 };
	if (state_fits(state_dir, n, e) < 0)
		return err_ctx(e, "state directory %s", state_dir);
	if (store_fits(store, n, e) < 0)
		return err_ctx(e, "store %s", store);
	return 0;
}
