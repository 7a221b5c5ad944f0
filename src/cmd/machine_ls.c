/*
 * `machine ls`: each machine is asked by a process of its own, so that one
 * that does not answer holds up nobody, and a slow one is cut off at the timeout.
 */
#include <sys/wait.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cloud/life.h"
#include "cmd/machine.h"
#include "cmd/template.h"
#include "core/fs.h"
#include "machine/certs.h"
#include "machine/health.h"
#include "wire/regex.h"

#define TIMEOUT_S	10
#define AT_ONCE		32
#define ROW_MAX		(64u << 10)
#define CELL_MIN	5
#define CELL_PAD	3

struct row {
	char		*name;
	pid_t		 pid;
	int		 fd;
	struct buf	 text;		/* the row as JSON */
	mono_t		 deadline;
	bool		 done;
};

/* What was learnt of a machine by asking. */
struct answer {
	const char	*state, *version;
	struct err	 why;		/* empty: nothing is the matter */
	bool		 active;	/* DOCKER_HOST names it */
	double		 seconds;	/* the asking took */
};

/* What a row says: the fields that --format may name. */
static void
write_row(struct buf *b, struct operation *op, const struct answer *is)
{
	struct json_w w = { .b = b };
	const struct machine_host *h = &op->host;

	jw_object(&w, NULL);
	jw_cstr(&w, "Name", op->name);
	jw_cstr(&w, "Active", is->active ? "*" : "-");
	jw_bool(&w, "ActiveHost", is->active);
	jw_bool(&w, "ActiveSwarm", false);
	jw_cstr(&w, "DriverName", h->cloud.driver_name != NULL ? h->cloud.driver_name : "not found");
	jw_cstr(&w, "State", is->state);
	jw_cstr(&w, "URL", strcmp(is->state, "Running") == 0 ? cloud_url(&h->cloud) : "");
	jw_cstr(&w, "Swarm", "");
	jw_null(&w, "SwarmOptions");
	jw_object(&w, "EngineOptions");
	jw_array(&w, "Labels");
	for (size_t i = 0; i < h->engine.labels.n; i++)
		jw_cstr(&w, NULL, h->engine.labels.v[i]);
	jw_end_array(&w);
	jw_end_object(&w);
	jw_cstr(&w, "Error", is->why.msg);
	jw_cstr(&w, "DockerVersion", is->version);
	jw_f64(&w, "ResponseTime", is->seconds);
	jw_end_object(&w);
}

/* With the last error, on one line: what it was stands nowhere else. */
static void
write_unfinished(const struct machine_record *r, struct err *why)
{
	bool told = r->last_error != NULL && r->last_error[0] != '\0';

	err_set(why, ERR_CONFIG, 0, "unfinished: %s%s%s", phase_name(r->phase), told ? ": " : "", told ? r->last_error : "");
	for (char *p = why->msg; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

/* That its certificates end soon. */
static void
write_end(const struct operation *op, struct err *why)
{
	int64_t ends = certs_machine_ends(op->dir);
	char at[TIME_RFC3339_MAX];

	if (ends == 0 || ends - wall_seconds(wall_now()) > CERTS_SOON_S)
		return;
	time_rfc3339(wall_of_seconds(ends), 0, at);
	err_set(why, ERR_TLS, 0, "its certificates end on %s: `machine regenerate-certs %s`", at, op->name);
}

/* Its version, and whether the docker client would be content: what that says names the way out. */
static void
ask_engine(struct operation *op, char *shown, size_t size, struct err *why)
{
	struct err client = { 0 };
	char version[64] = "";
	int rc = health_version(&op->host, op->dir, version, sizeof(version), op->deadline, why);

	if (rc == 0)
		snprintf(shown, size, "v%s", version);
	else if (why->kind != ERR_TLS)
		return;
	if (health_client(&op->host, op->dir, op->deadline, &client) < 0)
		*why = client;
	else if (rc == 0)
		write_end(op, why);
}

/* In the child: asks the cloud and the engine about one machine. */
static void
ask(const struct machine_cli *m, const char *name, mono_t deadline, struct buf *b)
{
	const char *host = getenv("DOCKER_HOST");
	enum cloud_state s = STATE_ERROR;
	char shown[72] = "Unknown";
	struct answer is = { .state = "Error", .version = shown };
	mono_t began = mono_now();
	struct operation op;

	if (machine_look(m, &op, name, &is.why) < 0) {
		op.host.cloud.driver_name = NULL;
		write_row(b, &op, &is);
		return;
	}
	op.deadline = deadline;
	if (cloud_need_driver(&op.host.cloud, &is.why) < 0 ||
	    cloud_state(&op.host.cloud, &s, deadline, &is.why) < 0)
		s = STATE_ERROR;
	if (s == STATE_RUNNING && !(op.host.cloud.driver->traits & CLOUD_NO_SSH))
		ask_engine(&op, shown, sizeof(shown), &is.why);
	/* Of a machine that is being made or removed the phase says more than that its engine does not answer. */
	if (op.rec.phase != PHASE_NONE && op.rec.phase != PHASE_READY)
		write_unfinished(&op.rec, &is.why);
	is.state = cloud_state_name(s);
	is.active = host != NULL && s == STATE_RUNNING && strcmp(host, cloud_url(&op.host.cloud)) == 0;
	is.seconds = (double)mono_since(began) / 1e9;
	write_row(b, &op, &is);
}

static int
start_row(const struct machine_cli *m, struct row *r, int64_t timeout_s, struct err *e)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	fflush(NULL);
	r->deadline = mono_after(timeout_s * NSEC_SEC);
	r->pid = fork();
	if (r->pid < 0) {
		err_sys(e, "fork");
		close(fd[0]);
		close(fd[1]);
		return -1;
	}
	if (r->pid == 0) {
		struct buf b = { .max = ROW_MAX };

		ask(m, r->name, r->deadline, &b);
		_exit(fs_write_all(fd[1], b.p, b.n, NULL) < 0);
	}
	close(fd[1]);
	r->fd = fd[0];
	return 0;
}

/* Reads what has come; true when the row is complete or its time is over. */
static bool
read_row(struct row *r, bool readable)
{
	if (readable) {
		char *room = buf_room(&r->text, 4096);
		ssize_t n = room != NULL ? read(r->fd, room, 4096) : 0;

		if (n > 0) {
			buf_grown(&r->text, (size_t)n);
			return false;
		}
	} else if (!mono_passed(r->deadline))
		return false;
	else
		buf_clear(&r->text);	/* half a row says nothing */
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	close(r->fd);
	r->fd = -1;
	r->done = true;
	return true;
}

static int
ask_all(const struct machine_cli *m, struct row *rows, size_t n, int64_t timeout_s, struct err *e)
{
	size_t next = 0, running = 0;

	while (next < n || running > 0) {
		struct pollfd p[AT_ONCE];
		struct row *of[AT_ONCE];
		mono_t until = MONO_NEVER;
		nfds_t np = 0;

		while (next < n && running < AT_ONCE) {
			if (start_row(m, &rows[next], timeout_s, e) < 0)
				return -1;
			next++;
			running++;
		}
		for (size_t i = 0; i < next; i++)
			if (!rows[i].done) {
				of[np] = &rows[i];
				p[np++] = (struct pollfd){ rows[i].fd, POLLIN, 0 };
				until = mono_min(until, rows[i].deadline);
			}
		if (poll(p, np, mono_ms_until(until)) < 0 && errno != EINTR)
			return err_sys(e, "poll");
		for (nfds_t i = 0; i < np; i++)
			running -= read_row(of[i], p[i].revents != 0);
	}
	return 0;
}

/* Filters */

static bool
label_matches(struct json_val row, const char *want)
{
	struct arena a = { 0 };
	bool yes = false;

	JSON_EACH(v, json_path(row, "EngineOptions.Labels"))
		yes = yes || str_caseeq(json_str(&a, v), want);
	arena_reset(&a);
	return yes;
}

static bool
value_matches(struct json_val row, struct str key, const char *want)
{
	struct arena a = { 0 };
	const char *have;
	bool yes;

	if (str_caseeq(key, "label"))
		return label_matches(row, want);
	have = json_cstr(&a, json_get(row, str_caseeq(key, "driver") ? "DriverName" : str_caseeq(key, "state") ? "State" :
	    str_caseeq(key, "name") ? "Name" : "Swarm"));
	if (str_caseeq(key, "name")) {
		/* An expression that is none matches nothing, as in docker-machine. */
		yes = regex_find(str_from(want), str_from(have), NULL) > 0;
	} else
		yes = str_caseeq(str_from(have), want);
	arena_reset(&a);
	return yes;
}

static const char *const filter_keys[] = { "swarm", "driver", "state", "name", "label" };

static int
check_filters(const struct opt *f, struct err *e)
{
	for (size_t i = 0; i < f->nlist; i++) {
		struct str v = str_from(f->list[i]), key = str_cut(&v, '=');
		bool known = false;

		if (v.p == NULL)
			return err_set(e, ERR_CONFIG, 0, "Unsupported filter syntax.");
		for (size_t k = 0; k < NELEM(filter_keys); k++)
			known |= str_caseeq(key, filter_keys[k]);
		if (!known)
			return err_set(e, ERR_CONFIG, 0, "Unsupported filter key '%.*s'", STR_ARG(key));
	}
	return 0;
}

/* Same key: one of its values; different keys: all of them. */
static bool
passes(const struct opt *f, struct json_val row)
{
	for (size_t k = 0; k < NELEM(filter_keys); k++) {
		bool asked = false, yes = false;

		for (size_t i = 0; i < f->nlist; i++) {
			struct str v = str_from(f->list[i]), key = str_cut(&v, '=');

			if (!str_caseeq(key, filter_keys[k]))
				continue;
			asked = true;
			yes |= value_matches(row, key, v.p);
		}
		if (asked && !yes)
			return false;
	}
	return true;
}

/* Whether only config.json needs to be read: names, and no filter that costs a question. */
static bool
names_only(bool quiet, const struct opt *f)
{
	for (size_t i = 0; i < f->nlist; i++)
		if (strncmp(f->list[i], "state=", 6) == 0)
			return false;
	return quiet;
}

/* Printing */

/* Go's tabwriter as docker-machine uses it: cells that a tab ends are padded, the last of a line is not. */
static void
print_table(const struct buf *text)
{
	size_t width[32] = { 0 };

	for (int pass = 0; pass < 2; pass++) {
		struct str rest = buf_str(text);

		while (rest.n > 0) {
			struct str line = str_cut(&rest, '\n');

			for (size_t col = 0; line.p != NULL && col < NELEM(width); col++) {
				struct str cell = str_cut(&line, '\t');

				if (pass == 0 && line.p != NULL && cell.n + CELL_PAD > width[col])
					width[col] = cell.n + CELL_PAD < CELL_MIN ? CELL_MIN : cell.n + CELL_PAD;
				if (pass == 1)
					printf("%-*.*s", line.p != NULL ? (int)width[col] : 0, STR_ARG(cell));
			}
			if (pass == 1)
				putchar('\n');
		}
	}
}

#define DEFAULT_ROW	"{{.Name}}\t{{.Active}}\t{{.DriverName}}\t{{.State}}\t{{.URL}}\t{{.Swarm}}\t{{.DockerVersion}}\t{{.Error}}"

static const struct { const char *field, *title; } titles[] = {
	{ "Name", "NAME" }, { "Active", "ACTIVE" }, { "ActiveHost", "ACTIVE_HOST" }, { "ActiveSwarm", "ACTIVE_SWARM" },
	{ "DriverName", "DRIVER" }, { "State", "STATE" }, { "URL", "URL" }, { "SwarmOptions", "SWARM_OPTIONS" },
	{ "Swarm", "SWARM" }, { "EngineOptions", "ENGINE_OPTIONS" }, { "Error", "ERRORS" }, { "DockerVersion", "DOCKER" },
	{ "ResponseTime", "RESPONSE" },
};

static int
header(struct buf *b, const char *format, struct err *e)
{
	struct buf text = { 0 };
	struct json_w w = { .b = &text };
	struct arena a = { 0 };
	struct json_val row;
	int rc;

	jw_object(&w, NULL);
	for (size_t i = 0; i < NELEM(titles); i++)
		jw_cstr(&w, titles[i].field, titles[i].title);
	jw_end_object(&w);
	rc = json_parse(&a, buf_str(&text), &row, e);
	if (rc == 0)
		rc = template_render(b, str_from(format), row, e);
	buf_putc(b, '\n');
	buf_free(&text);
	arena_reset(&a);
	return rc;
}

static int
print_rows(struct row *rows, size_t n, const struct opt *filter, const char *format, bool quiet, struct err *e)
{
	bool table = strncmp(format, "table ", 6) == 0;
	char *tmpl = template_unescape(str_from(format + (table ? 6 : 0)));
	struct arena a = { 0 };
	struct buf out = { 0 };
	int rc = 0;

	if (table && !quiet)
		rc = header(&out, tmpl, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct json_val row;

		if (rows[i].text.n == 0)
			buf_fmt(&rows[i].text, "{\"Name\":\"%s\",\"Active\":\"\",\"DriverName\":\"\",\"State\":\"Timeout\",\"URL\":\"\","
			    "\"Swarm\":\"\",\"DockerVersion\":\"\",\"Error\":\"\"}", rows[i].name);
		rc = json_parse(&a, buf_str(&rows[i].text), &row, e);
		if (rc < 0 || !passes(filter, row))
			continue;
		if (quiet)
			buf_puts(&out, rows[i].name);
		else
			rc = template_render(&out, str_from(tmpl), row, e);
		buf_putc(&out, '\n');
	}
	if (rc == 0 && table && !quiet)
		print_table(&out);
	else if (rc == 0 && out.n > 0)
		printf("%.*s", (int)out.n, out.p);
	buf_free(&out);
	free(tmpl);
	arena_reset(&a);
	return rc;
}

/* By lower-cased name, numbers in it by their value: m2 before m10. */
static int
natural(const void *x, const void *y)
{
	const char *a = ((const struct row *)x)->name, *b = ((const struct row *)y)->name;

	for (; *a != '\0' && *b != '\0'; a++, b++) {
		int ca = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a, cb = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;

		if (ca >= '0' && ca <= '9' && cb >= '0' && cb <= '9') {
			char *ea, *eb;
			unsigned long long na = strtoull(a, &ea, 10), nb = strtoull(b, &eb, 10);

			if (na != nb)
				return na < nb ? -1 : 1;
			a = ea - 1;
			b = eb - 1;
		} else if (ca != cb)
			return ca < cb ? -1 : 1;
	}
	return (*a != '\0') - (*b != '\0');
}

/* With -q and no costly filter: what config.json says is enough. */
static void
read_all(const struct machine_cli *m, struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct operation op;
		struct answer is = { .state = "", .version = "" };

		if (machine_look(m, &op, rows[i].name, &is.why) < 0)
			op.host.cloud.driver_name = NULL;
		write_row(&rows[i].text, &op, &is);
		operation_end(&op);
	}
}

static const struct opt ls_opts[] = {
	{ .name = "quiet", .letter = 'q', .type = OPT_BOOL, .help = "names only" },
	{ .name = "filter", .type = OPT_LIST, .arg = "KEY=VALUE", .help = "swarm, driver, state, name or label = value" },
	{ .name = "timeout", .letter = 't', .type = OPT_INT, .arg = "SECONDS", .help = "how long to wait for an answer (default 10)" },
	{ .name = "format", .letter = 'f', .type = OPT_STRING, .arg = "TEMPLATE", .help = "a template for each machine" },
};
const struct usage machine_ls_usage = USAGE("",
    "Lists machines and asks the cloud and their engines how they are. A filter is KEY=VALUE; VALUE of a name is a regular\n"
    "expression. With --quiet and no filter by state nobody is asked.", ls_opts);

int
machine_ls(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(ls_opts)];
	struct machine_args a;
	struct row *rows = NULL;
	char **names = NULL;
	struct buf ending = { 0 };
	struct err e = { 0 };
	int64_t timeout_s;
	ssize_t n = 0;
	int rc = -1;

	if (machine_args(m, &a, &machine_ls_usage, o, argc, argv) < 0)
		return 1;
	timeout_s = o[2].given && o[2].number > 0 ? o[2].number : TIMEOUT_S;
	if (check_filters(&o[1], &e) < 0 || (n = store_list(m->store, &names, &e)) < 0)
		goto out;
	rows = xcalloc((size_t)n + 1, sizeof(*rows));
	for (ssize_t i = 0; i < n; i++)
		rows[i] = (struct row){ .name = names[i], .fd = -1, .text = { .max = ROW_MAX } };
	if (n > 1)
		qsort(rows, (size_t)n, sizeof(*rows), natural);
	if (!o[0].number && o[3].value == NULL && certs_say(m->store, &ending))
		fprintf(stderr, "WARNING: %s.\n", ending.p);
	if (names_only(o[0].number != 0, &o[1])) {
		read_all(m, rows, (size_t)n);
		rc = 0;
	} else
		rc = ask_all(m, rows, (size_t)n, timeout_s, &e);
	if (rc == 0)
		rc = print_rows(rows, (size_t)n, &o[1], o[3].value != NULL ? o[3].value : "table " DEFAULT_ROW,
		    o[0].number != 0, &e);
out:
	for (ssize_t i = 0; rows != NULL && i < n; i++)
		buf_free(&rows[i].text);
	free(rows);
	buf_free(&ending);
	fs_free_names(names, n);
	machine_args_free(&a);
	return rc < 0 ? machine_fail(&e) : 0;
}
