/* Lines of the trace that are written before a job has an executor: see trace.h. */
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/fs.h"
#include "core/log.h"
#include "gitlab/api.h"
#include "job/trace.h"
#include "versions.h"
#include "wire/traceline.h"

void
trace_put_heading(const struct payload *p, struct buf *b)
{
	/* Support tools look for the first line in just this form. */
	tl_plain(b, "Running with gitlab-runner %s (windlass %s)", GITLAB_COMPAT_VERSION, WL_VERSION);
	tl_plain(b, "  on %s %s, system ID: %s", p->runner.name, p->runner.short_token, p->runner.system_id);
}

/* text: one line with its newline. */
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
	buf_putstr(&lines, text);
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
trace_open(int dir, int flags, struct err *e)
{
	int fd = fs_create(dir, JOBFILE_TRACE, flags, 0600);

	if (fd < 0 && (errno == EISDIR || errno == ELOOP || errno == ENXIO)) {
		log_error("The job's log is no file: it is put aside as trace.damaged, and begun anew", F_STR("error", strerror(errno)));
		if (renameat(dir, JOBFILE_TRACE, dir, JOBFILE_TRACE ".damaged") == 0)
			fd = fs_create(dir, JOBFILE_TRACE, flags, 0600);
	}
	return fd >= 0 ? fd : err_sys(e, "open trace");
}

/* The trace, locked. */
static int
open_trace(int dir, struct err *e)
{
	int fd = trace_open(dir, O_RDWR | O_APPEND, e);

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX) == 0)
		return fd;
	err_sys(e, "lock trace");
	close(fd);
	return -1;
}

int
trace_append_waiting(int dir, const struct payload *p, struct str text, struct err *e)
{
	struct buf line = { .max = 4096 };
	int fd = open_trace(dir, e), rc = 0;

	if (fd < 0)
		return -1;
	tl_plain(&line, "%.*s", STR_ARG(text));
	if (!fs_exists(dir, JOBFILE_STAGE))
		rc = append(fd, p, buf_str(&line), e);
	buf_free(&line);
	close(fd);
	return rc;
}

int
trace_append_end(int dir, const struct payload *p, struct str text, bool system, struct err *e)
{
	struct buf line = { .max = 4096 };
	int fd = open_trace(dir, e), rc = 0;
	char tail[4096];
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	tl_error(&line, "Job failed%s: %.*s", system ? " (system failure)" : "", STR_ARG(text));
	if (fstat(fd, &st) == 0)
		n = pread(fd, tail, sizeof(tail), st.st_size > (off_t)sizeof(tail) ? st.st_size - (off_t)sizeof(tail) : 0);
	if (n < 0)
		rc = err_sys(e, "read trace");
	else if (str_find(str_of(tail, (size_t)n), line.p) < 0)
		rc = append(fd, p, buf_str(&line), e);
	buf_free(&line);
	close(fd);
	return rc;
}
