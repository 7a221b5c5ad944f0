/*
 * windlass-metrics: answers GET /metrics and upstream's debug pages on
 * listen_address (spec gitlab-runner 5). What it serves is the snapshot that
 * the manager publishes; it knows nothing else and can tell nobody to do anything.
 *
 * It may: listen on the one address, read the snapshot and what /proc says
 * of its manager; Landlock and seccomp hold it to that. It must never: write a file, start anything, open another
 * file of the state directory. It dies with the manager, which starts it again when it died alone.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#include "books/view.h"
#include "cmd/cmd.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/opt.h"
#include "gitlab/api.h"
#include "core/proc.h"
#include "core/sandbox.h"
#include "manager/prom.h"
#include "net/serve.h"
#include "versions.h"

#define DEFAULT_PORT	9252
/* Whoever asks more often gets the same text: asking costs us nothing then. */
#define FRESH		NSEC_SEC
#define TEXT_MAX	(256u << 20)
#define STAT_MAX	4096

enum page { PAGE_METRICS, PAGE_JOBS, PAGE_STATE, PAGE_READY, NPAGES };

static const struct { const char *path, *type, *fields; } pages[NPAGES] = {
	[PAGE_METRICS] = { "/metrics", "text/plain; version=0.0.4; charset=utf-8", NULL },
	[PAGE_JOBS] = { "/debug/jobs/list", "text/plain", "X-List-Version: 2\r\n" },
	[PAGE_STATE] = { "/debug/process/state", "text/plain", NULL },
	[PAGE_READY] = { "/health/ready", "text/plain", NULL },
};

/* What /proc says of the manager. Opened before this process gave root up: afterwards it is another user's. */
struct manager_files { int stat, limits; DIR *fds; };

struct server {
	int		 dir;		/* the snapshot's */
	pid_t		 manager;
	struct manager_files proc;
	mono_t		 made[NPAGES];
	struct serve_text *text[NPAGES];
};

/* ---- the manager's process, from /proc ---- */

static struct manager_files
open_manager(pid_t pid)
{
	struct manager_files m;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	m.stat = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	m.limits = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	m.fds = opendir(path);
	return m;
}

/* What a file of /proc says now. */
static bool
read_again(int fd, struct buf *b)
{
	char *room = buf_room(b, STAT_MAX);
	ssize_t n = fd >= 0 && room != NULL ? pread(fd, room, STAT_MAX, 0) : -1;

	if (n > 0)
		buf_grown(b, (size_t)n);
	return n > 0;
}

static int
count_fds(DIR *fds)
{
	int n = -2;	/* "." and ".." */

	if (fds == NULL)
		return -1;
	rewinddir(fds);
	while (readdir(fds) != NULL)
		n++;
	return n;
}

static double
boot_time(void)
{
	struct buf b = { .max = 1u << 20 };
	double t = 0;
	ssize_t at;

	if (fs_read(AT_FDCWD, "/proc/stat", b.max, &b, NULL) == 0 && (at = str_find(buf_str(&b), "\nbtime ")) >= 0)
		t = strtod(b.p + at + 7, NULL);
	buf_free(&b);
	return t;
}

static double
max_fds(int limits)
{
	struct buf b = { .max = STAT_MAX };
	double n = -1;
	ssize_t at;

	if (read_again(limits, &b) && (at = str_find(buf_str(&b), "Max open files")) >= 0)
		n = strtod(b.p + at + strlen("Max open files"), NULL);
	buf_free(&b);
	return n;
}

static struct prom_process
look_at_manager(const struct manager_files *m)
{
	struct prom_process p = { .version = GITLAB_COMPAT_VERSION, .revision = WL_REVISION, .branch = "windlass-" WL_VERSION };
	struct buf b = { .max = STAT_MAX };
	double field[25] = { 0 };
	long hz = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	struct str rest;

	if (!read_again(m->stat, &b) || str_rchr(buf_str(&b), ')') < 0)
		goto out;
	rest = str_trim(str_sub(buf_str(&b), (size_t)str_rchr(buf_str(&b), ')') + 1, b.n));
	/* proc(5) counts from 1; the name was the second. */
	for (int i = 3; i < (int)NELEM(field) && rest.p != NULL; i++) {
		struct str word = str_cut(&rest, ' ');
		int64_t n;

		field[i] = str_to_i64(word, &n) == 0 ? (double)n : 0;
	}
	p.cpu_seconds = (field[14] + field[15]) / (double)hz;
	p.start_time = boot_time() + field[22] / (double)hz;
	p.virtual_bytes = field[23];
	p.resident_bytes = field[24] * (double)page;
	p.open_fds = count_fds(m->fds);
	p.max_fds = max_fds(m->limits);
	p.known = true;
out:
	buf_free(&b);
	return p;
}

/* ---- pages ---- */

static int
read_view(struct server *s, struct view *v)
{
	struct buf b = { .max = SNAPSHOT_MAX };
	struct err e = { 0 };
	int rc = fs_read(s->dir, SNAPSHOT_NAME, SNAPSHOT_MAX, &b, &e);

	if (rc == 0)
		rc = view_parse(v, buf_str(&b), &e);
	buf_free(&b);
	/* Of a predecessor: ours has not written yet. */
	if (rc == 0 && v->pid != s->manager)
		rc = -1;
	v->alive = true;
	return rc;
}

static void
make(struct server *s, enum page page, struct buf *b)
{
	struct view v = { .pid = 0 };
	struct prom_process p;

	b->max = TEXT_MAX;
	if (read_view(s, &v) < 0) {
		/* The first instant of a manager. */
		if (page == PAGE_STATE)
			buf_puts(b, "starting\n");
		goto out;
	}
	switch (page) {
	case PAGE_METRICS:
		p = look_at_manager(&s->proc);
		prom_put(b, &v, &p, wall_now());
		break;
	case PAGE_JOBS:
		prom_put_jobs(b, &v, wall_now());
		break;
	case PAGE_STATE:
		buf_fmt(b, "%s\n", prom_process_state(&v));
		break;
	case PAGE_READY:
	case NPAGES:
		buf_puts(b, "ready");
		break;
	}
out:
	view_free(&v);
}

static void
say(struct serve_answer *a, int status, const char *text)
{
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	a->body = serve_text_new();
	buf_puts(&a->body->b, text);
}

static void
on_request(void *ctx, struct str method, struct str path, struct serve_answer *a)
{
	struct server *s = ctx;
	size_t page = 0;

	while (page < NPAGES && !str_eqc(path, pages[page].path))
		page++;
	if (page == NPAGES) {
		say(a, 404, str_starts(path, "/debug/pprof") ? "There are no Go profiles: this is windlass.\n" : "404 page not found\n");
		return;
	}
	if (!str_eqc(method, "GET") && !str_eqc(method, "HEAD")) {
		say(a, 405, "GET and HEAD only\n");
		a->fields = "Allow: GET, HEAD\r\n";
		return;
	}
	if (s->text[page] == NULL || mono_since(s->made[page]) > FRESH) {
		serve_text_unref(s->text[page]);
		s->text[page] = serve_text_new();
		make(s, (enum page)page, &s->text[page]->b);
		s->made[page] = mono_now();
	}
	if (s->text[page]->b.failed) {
		say(a, 500, "The page is too large.\n");
		return;
	}
	a->status = page != PAGE_JOBS && s->text[page]->b.n == 0 ? 503 : 200;
	a->type = pages[page].type;
	a->fields = pages[page].fields;
	a->body = serve_text_ref(s->text[page]);
}

/* The one that is there already; the manager makes the next ones so. */
static int
share_snapshot(int dir)
{
	if (fchownat(dir, SNAPSHOT_NAME, 0, IDENTITY_METRICS, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	return fchmodat(dir, SNAPSHOT_NAME, 0640, 0);
}

int
metrics_main(int argc, char **argv)
{
	struct opt o[] = {
		{ .name = "state-dir", .type = OPT_STRING },
		{ .name = "listen-address", .type = OPT_STRING },
	};
	struct rlimit few = { SERVE_CONNECTIONS + 32, SERVE_CONNECTIONS + 32 };
	struct server s = { .manager = getppid() };
	struct err e = { 0 };
	uid_t self = 0;
	char *path;
	int fd;

	proc_harden();
	if (opt_parse(o, NELEM(o), argc, argv, NULL, &e) < 0 || o[0].value == NULL || o[1].value == NULL) {
		log_error("Metrics server was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	path = fs_join(o[0].value, SNAPSHOT_DIR);
	s.dir = fs_opendir(AT_FDCWD, path, &e);
	fd = s.dir < 0 ? -1 : serve_listen(o[1].value, DEFAULT_PORT, &e);
	if (fd < 0) {
		log_error("Metrics server cannot listen", F_STR("listen_address", o[1].value), F_ERR(&e));
		return e.kind == ERR_CONFIG ? EXIT_CONFIG : e.kind == ERR_CONFLICT ? EXIT_BUSY : EXIT_RETRY;
	}
	/* More descriptors than places it does not need. */
	setrlimit(RLIMIT_NOFILE, &few);
	s.proc = open_manager(s.manager);
	if (identity_changes() && (identity_share(s.dir, IDENTITY_METRICS, false, &e) < 0 || share_snapshot(s.dir) < 0))
		log_debug("The snapshot cannot be shared: this process stays root", F_ERR(&e));
	else
		self = IDENTITY_METRICS;
	identity_take(self, 0);
	/* It stands in front of anybody: no file but the snapshot's directory and when this host was started, nothing written, nobody called. */
	sandbox_files((struct sandbox_place[]){ { SANDBOX_READ, NULL, s.dir }, { SANDBOX_READ, "/proc/stat", -1 } }, 2, 0, NULL);
	sandbox_calls(SANDBOX_METRICS);
	log_info("Metrics server listening", F_STR("address", o[1].value));
	if (serve_run(fd, -1, on_request, &s, &e) < 0)
		log_error("Metrics server ends", F_ERR(&e));
	return EXIT_RETRY;
}
