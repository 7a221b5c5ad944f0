/* Lines of the trace that are written before a job has an executor: see trace.h. */
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "gitlab/api.h"
#include "job/trace.h"
#include "versions.h"
#include "wire/traceline.h"

void
trace_put_heading(const struct payload *p, struct buf *b)
{
	/* Support tools look for the first line in just this form. */
	tl_plain(b, "Running with gitlab-runner %s (windlass %s)", GITLAB_COMPAT_VERSION, WL_VERSION);
	tl_plain(b, "  on %s %s, system ID: %s", json_cstr(p->arena, json_get(p->runner, "name")), p->short_token, p->system_id);
}

static int
append(int fd, const struct payload *p, struct str text, struct err *e)
{
	struct buf lines = { .max = 8192 }, out = { .max = 16384 };
	struct mask_set *none = mask_set_new(NULL, 0, NULL, 0);
	struct tl_stream s;
	struct tl_sink sink;
	struct stat st;
	int rc;

	if (fstat(fd, &st) == 0 && st.st_size == 0)
		trace_put_heading(p, &lines);
	tl_plain(&lines, "%.*s", STR_ARG(text));
	tl_sink_init(&sink, &out, 0, p->timestamps);
	tl_init(&s, none, TL_ID_RUNNER, 'O', TL_RUNNER);
	tl_entry(&s, &sink, buf_str(&lines), wall_now());
	tl_close(&s, &sink);
	rc = fs_write_all(fd, out.p, out.n, e);
	tl_free(&s);
	tl_sink_free(&sink);
	mask_set_free(none);
	buf_free(&lines);
	buf_free(&out);
	return rc;
}

int
trace_append_waiting(int dir, const struct payload *p, struct str text, struct err *e)
{
	int fd, rc = 0;

	fd = openat(dir, "trace", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "open trace");
	if (flock(fd, LOCK_EX) < 0)
		rc = err_sys(e, "lock trace");
	else if (!fs_exists(dir, "stage.json"))
		rc = append(fd, p, text, e);
	close(fd);
	return rc;
}
