/*
 * The first stage: contact with the machine's engine, leftovers of dead
 * jobs removed, images, network, volumes, the helper container. All of it may
 * be done twice: names are the job's own, and what exists under them is ours.
 */
#include <sys/stat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "books/store.h"
#include "core/crash.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/sandbox.h"
#include "job/run.h"
#include "machine/config_json.h"
#include "policy/fault.h"

#define CALL_LIMIT	(120 * NSEC_SEC)
#define CONNECT_LIMIT	(20 * NSEC_SEC)
#define TIDY_LIMIT	(300 * NSEC_SEC)	/* spec job-execution 1.16 */
#define PEM_MAX		(64u << 10)
#define LABEL_MANAGED	"com.gitlab.gitlab-runner.managed"
#define LABEL_JOB	"com.gitlab.gitlab-runner.job.id"

/* ---- the machine ---- */

static char *
store_of(const struct run *r)
{
	return json_cstr(r->work.a != NULL ? r->work.a : r->job.arena, json_get(r->job.runner, "store"));
}

static const char *const machine_pems[] = { "ca.pem", "cert.pem", "key.pem", "server.pem" };

/* A file of the machine's directory; from the arena. */
static const char *
machine_file(struct run *r, const char *name)
{
	return arena_fmt(&r->arena, "%s/machines/%s/%s", store_of(r), r->machine, name);
}

bool
machine_open(struct run *r)
{
	struct arena files = { 0 };
	struct machine_host h;
	const char *host;
	bool name = false;
	uint8_t ip[16];

	r->machine_config = -1;
	r->engine_port = ENGINE_PORT;
	r->machine_dir = store_open(store_of(r), r->machine, &r->machine_why);
	if (r->machine_dir < 0 || machine_host_read(&h, &files, r->machine_dir, r->machine, &r->machine_why) < 0)
		goto out;
	r->machine_config = openat(r->machine_dir, STOREFILE_CONFIG, O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < NELEM(machine_pems); i++)
		fs_keep(machine_file(r, machine_pems[i]));
	if (cloud_engine(&h.cloud, &host, &r->engine_port, &r->machine_why) < 0)
		err_ctx(&r->machine_why, "machine %s", r->machine);
	r->address = dial_numeric_scope(&r->arena, host);
	name = inet_pton(AF_INET, r->address, ip) != 1 && strchr(r->address, ':') == NULL;
out:
	arena_reset(&files);
	return name;
}

size_t
machine_places(struct run *r, struct sandbox_place *places)
{
	for (size_t i = 0; i < NELEM(machine_pems); i++)
		places[i] = (struct sandbox_place){ SANDBOX_READ, machine_file(r, machine_pems[i]), -1 };
	places[NELEM(machine_pems)] = (struct sandbox_place){ SANDBOX_READ, machine_file(r, STOREFILE_RECORD), -1 };
	return NELEM(machine_pems) + 1;
}

/* A new address, new certificates: whoever starts now reads them, and goes on from here. */
static void
begin_anew_if_changed(const struct run *r)
{
	struct stat st;

	if (fs_kept_fresh() && (r->machine_config < 0 || fstat(r->machine_config, &st) < 0 || st.st_nlink > 0))
		return;
	if (r->machine_dir >= 0 && fstat(r->machine_dir, &st) == 0 && st.st_nlink == 0)
		return;
	log_info("The machine's address or certificates have changed: the job goes on with the new ones", F_STR("name", r->machine));
	_exit(EXIT_RETRY);
}

bool
machine_gone(const struct run *r)
{
	struct machine_record rec = { 0 };
	struct arena a = { 0 };
	struct stat st;
	bool gone = fs_exists(r->dir, JOBFILE_GONE);

	/* Whoever removes it says so first, where we may read it: there is nothing to wait for then. */
	if (r->machine_dir < 0)
		return gone || r->machine_why.kind == ERR_NOTFOUND;
	if (fstat(r->machine_dir, &st) == 0 && st.st_nlink == 0)
		gone = true;
	else if (machine_record_read(r->machine_dir, &a, &rec, NULL) == 0)
		gone = gone || rec.phase == PHASE_DELETING;
	arena_reset(&a);
	return gone;
}

int
machine_gone_why(const struct run *r, struct err *e)
{
	struct buf b = { .max = 512 };

	if (fs_read(r->dir, JOBFILE_GONE, 500, &b, NULL) == 0 && b.n > 0)
		err_set(e, ERR_NET, 0, "machine %s is gone: %.*s", r->machine, STR_ARG(str_trim(buf_str(&b))));
	else
		err_set(e, ERR_NET, 0, "machine %s was removed under the job", r->machine);
	buf_free(&b);
	return -1;
}

static int
read_pem(struct run *r, struct arena *a, const char *name, struct str *out, struct err *e)
{
	struct buf b = { .max = PEM_MAX };
	int rc = fs_read(AT_FDCWD, machine_file(r, name), PEM_MAX, &b, e);

	*out = rc == 0 ? arena_str(a, buf_str(&b)) : STR_NULL;
	buf_wipe(&b);
	return rc;
}

/*
 * Where the engine is and how it is told from others; texts in the arena. -1 with what was wrong
 * when the machine was opened, or is with its files.
 */
static int
machine_engine(struct run *r, struct arena *files, struct engine_opts *o, struct err *e)
{
	*o = (struct engine_opts){ .host = str_from(r->address), .port = (uint16_t)r->engine_port,
	    .name = r->machine };
	if (r->machine_why.kind != ERR_NONE)
		return err_set(e, r->machine_why.kind, r->machine_why.sys, "%s",
		    r->machine_why.msg);
	if (read_pem(r, files, "ca.pem", &o->ca_pem, e) < 0 ||
	    read_pem(r, files, "cert.pem", &o->cert_pem, e) < 0 ||
	    read_pem(r, files, "key.pem", &o->key_pem, e) < 0)
		return -1;
	read_pem(r, files, "server.pem", &o->server_pem, NULL);
	return 0;
}

int
machine_puller(struct run *r, struct puller_plan *plan, struct broker *voice, struct err *e)
{
	struct arena files = { 0 };
	int rc = 0;

	/* Without it no job begins either: machine_connect() will say so. */
	if (machine_engine(r, &files, &plan->engine, NULL) == 0)
		rc = puller_start(&r->puller, plan, voice, e);
	arena_reset(&files);
	return rc;
}

int
machine_connect(struct run *r, struct err *e)
{
	/* What the engines have not taken out of it is not needed for the hours that follow. */
	struct arena files = { 0 };
	struct engine_opts o;
	int rc = -1;

	begin_anew_if_changed(r);
	if (machine_engine(r, &files, &o, e) < 0)
		goto out;
	r->api = engine_new(&o, e);
	r->logs = r->api != NULL ? engine_twin(r->api, e) : NULL;
	if (r->logs == NULL)
		goto out;
	rc = engine_greet(r->api, e);
	/* One negotiation serves both: it is the same engine. */
	if (rc == 0)
		rc = engine_hello(r->logs, mono_after(CONNECT_LIMIT), e);
out:
	arena_reset(&files);
	if (rc < 0) {
		/* Nobody may use a connection that never said hello. */
		engine_free(r->logs);
		engine_free(r->api);
		r->api = r->logs = NULL;
		err_ctx(e, "machine %s", r->machine);
	}
	return rc;
}

bool
machine_unfit(const struct run *r, const struct err *e)
{
	if (r->mem.begun || r->mem.stage->side == STAGE_AFTER ||
	    (r->mem.stage->side == STAGE_SCRIPT && (r->mem.item > 0 || !r->not_started)))
		return false;
	return fault_of_err(e) != FAULT_NONE;
}

/* ---- calls that may be repeated ---- */

static mono_t
limit(const struct run *r)
{
	return mono_min(deadline_of(r), mono_after(CALL_LIMIT));
}

static int
call(struct run *r, const char *method, const char *path, struct str body, struct json_val *v, struct err *e)
{
	return engine_call(r->api, &(struct engine_req){ method, path, body }, &r->scratch, v,
	    limit(r), e);
}

int
engine_run(struct run *r, char out[80], struct err *e)
{
	struct json_val v;
	int rc = call(r, "GET", "/networks/bridge", STR_NULL, &v, e);

	out[0] = '\0';
	if (rc == 0)
		str_copy(json_str(&r->scratch, json_get(v, "Id")), out, 80);
	else if (e->kind == ERR_NOTFOUND)
		rc = 0;
	arena_reset(&r->scratch);
	return rc;
}

static int
remove_container(struct run *r, const char *id, mono_t deadline, struct err *e)
{
	bool keep = json_bool(json_get(r->job.docker, "volume_keep"), false);
	char path[300];

	snprintf(path, sizeof(path), "/containers/%s?force=1%s", id, keep ? "" : "&v=1");
	if (engine_delete(r->api, path, deadline, e) == 0 ||
	    e->kind == ERR_NOTFOUND || e->kind == ERR_CONFLICT)
		return 0;
	return -1;
}

/*
 * A kept machine may hold containers of a job whose executor, bastion or network died: nobody else
 * would ever remove them (spec job-execution 11, Better).
 */
static int
sweep(struct run *r, struct err *e)
{
	struct json_val list;
	char own[24];

	if (call(r, "GET", "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22" LABEL_MANAGED "%3Dtrue%22%5D%7D", STR_NULL, &list, e) < 0)
		return -1;
	snprintf(own, sizeof(own), "%" PRId64, r->job.id);
	JSON_EACH(c, list) {
		struct str job = json_str(&r->scratch, json_get(json_get(c, "Labels"), LABEL_JOB));
		struct err ignored = { 0 };

		if (str_eqc(job, own))
			continue;
		log_info("Removing a container that another job left on the machine", F_STR("name", r->machine), F_VIEW("job", job));
		remove_container(r, json_cstr(&r->scratch, json_get(c, "Id")), limit(r), &ignored);
	}
	arena_reset(&r->scratch);
	return 0;
}

static int
make_network(struct run *r, struct err *e)
{
	struct buf body = { .max = 65536 };
	int rc;

	network_put_create(&r->work, engine_api(r->api), &body);
	rc = call(r, "POST", "/networks/create", buf_str(&body), NULL, e);
	if (rc < 0 && (e->kind == ERR_CONFLICT || e->kind == ERR_AUTH))
		rc = 0;
	r->mem.networked = rc == 0;
	buf_free(&body);
	return rc < 0 ? err_ctx(e, "network of the job") : 0;
}

static int
make_volumes(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->volumes.n; i++) {
		struct buf body = { .max = 65536 };
		int rc;

		if (r->volumes.v[i].name == NULL)
			continue;
		volume_put_create(&r->work, &r->volumes.v[i], &body);
		rc = call(r, "POST", "/volumes/create", buf_str(&body), NULL, e);
		buf_free(&body);
		if (rc < 0)
			return err_ctx(e, "volume for %s", r->volumes.v[i].destination);
	}
	return 0;
}

/*
 * Roots of fresh volumes belong to root; images with another user must be able to write there. One archive of
 * directory entries into the created, never started helper sets all their modes (spec job-execution 1.11, Better).
 */
static int
open_volumes(struct run *r, const char *id, struct err *e)
{
	struct buf tar = { .max = 1u << 20 };
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < r->volumes.n; i++)
		if (r->volumes.v[i].name != NULL) {
			engine_tar_dir(&tar, r->volumes.v[i].destination + 1, 0777);
			any = true;
		}
	engine_tar_end(&tar);
	if (any)
		rc = engine_put_archive(r->api, id, "/", buf_str(&tar), limit(r), e);
	buf_free(&tar);
	return rc < 0 ? err_ctx(e, "permissions of the volumes") : 0;
}

int
container_make(struct run *r, enum container_kind kind, struct err *e)
{
	bool build = kind == CONTAINER_BUILD;
	const char *name = build ? r->work.build_name : r->work.helper_name;
	char *id = build ? r->mem.build : r->mem.helper, path[300];
	struct buf body = { .max = 4u << 20 };
	struct json_val v;
	int rc = -1;

	if (build && build_image_ready(r, e) < 0)
		return -1;
	r->failure = FAILURE_CONFIG;
	if (container_put_create(&r->work, kind, str_from(build ? r->mem.build_image : r->mem.helper_image),
	    engine_api(r->api), &r->volumes, &body, e) < 0)
		goto out;
	r->failure = FAILURE_NONE;
	snprintf(path, sizeof(path), "/containers/create?name=%s", name);
	/* An earlier life of this executor may have made it and died before noting its id. */
	if (remove_container(r, name, limit(r), e) < 0)
		goto out;
	rc = call(r, "POST", path, buf_str(&body), &v, e);
	if (rc < 0) {
		if (e->kind == ERR_REFUSED)
			r->failure = FAILURE_CONFIG;
		/* An image that went away between pull and create must not look like a container that vanished. */
		if (e->kind == ERR_NOTFOUND)
			e->kind = ERR_SERVER;
		goto out;
	}
	str_copy(json_str(&r->scratch, json_get(v, "Id")), id, sizeof(r->mem.build));
	*(build ? &r->mem.build_taken : &r->mem.helper_taken) = 0;
	if (!build && open_volumes(r, id, e) < 0)
		rc = -1;
out:
	buf_wipe(&body);
	arena_reset(&r->scratch);
	return rc < 0 ? err_ctx(e, "%s container", build ? "build" : "helper") : 0;
}

void
build_container_ahead(struct run *r)
{
	enum failure of_stage = r->failure;
	struct err e = { 0 };

	if (r->mem.build[0] == '\0' && r->mem.build_image[0] != '\0' && container_make(r, CONTAINER_BUILD, &e) < 0)
		log_debug("The build container could not be made ahead of its time", F_ERR(&e));
	r->failure = of_stage;
}

/* ---- images ---- */

static void
say_image(void *ctx, enum image_line kind, const char *text)
{
	say(ctx, kind == IMAGE_WARNING ? tl_warning : tl_plain, "%s", text);
}

static struct json_val
job_policies(const struct run *r)
{
	return json_get(r->work.image_json, "pull_policy");
}

static struct str
platform(const struct run *r)
{
	return vars_expand_str(&r->work.vars, json_str(r->work.a, json_path(r->work.image_json, "executor_opts.docker.platform")));
}

/* An order that cannot even be given ends as one that failed. */
static void
pull_refused(struct run *r, const struct err *why)
{
	r->puller.state = PULLER_FAILED;
	r->puller.failure = FAILURE_CONFIG;
	err_set(&r->puller.error, ERR_SERVER, 0, "%s", why->msg);
}

/* Orders the pull of the build image; whoever needs the image waits in build_image_ready(). */
static void
order_build_image(struct run *r)
{
	struct image_order o;
	struct err e = { 0 };
	int rc = image_order(&r->work, r->work.image, job_policies(r), &o, &e);

	o.platform = platform(r);
	if (rc == 0)
		rc = puller_order(&r->puller, &o, LOST_LIMIT, deadline_of(r), &e);
	if (rc < 0 && e.kind == ERR_CONFIG) {
		pull_refused(r, &e);
	} else if (rc < 0) {
		/* From in here none can be started: our successor begins with one of its own. */
		log_warn("The job's puller has died: the job goes on with a new one", F_ERR(&e));
		_exit(EXIT_RETRY);
	}
}

/* The engine was lost under the pull. Its machine may have changed, or be no more. */
static void
pull_lost(struct run *r, struct str why)
{
	begin_anew_if_changed(r);
	if (!machine_gone(r)) {
		say(r, tl_warning, "The connection to the Docker Engine broke: %.*s", STR_ARG(why));
		return;
	}
	r->puller.state = PULLER_FAILED;
	r->puller.failure = FAILURE_SYSTEM;
	err_set(&r->puller.error, ERR_SERVER, 0, "%.*s", STR_ARG(why));
}

/*
 * What the puller has said so far stands in the section of the stage that ordered the image; the
 * rest comes when somebody waits for it.
 */
static void
hear_so_far(struct run *r)
{
	enum puller_word word;
	struct str text;

	while (r->puller.state == PULLER_ON && puller_hear(&r->puller, &word, &text) > 0) {
		if (word == PULLER_HAS) {
			str_copy(text, r->mem.build_image, sizeof(r->mem.build_image));
			puller_end(&r->puller);
		} else if (word == PULLER_LOST)
			pull_lost(r, text);
		else if (word != PULLER_FAILS)
			say(r, word == PULLER_WARNS ? tl_warning : tl_plain, "%.*s", STR_ARG(text));
	}
}

/* Hears the puller until it has said how the order ended. */
static int
hear_puller(struct run *r, struct err *e)
{
	for (;;) {
		hear_so_far(r);
		if (r->puller.state == PULLER_DONE)
			return 0;
		if (r->puller.state != PULLER_ON) {
			r->failure = r->puller.failure;
			*e = r->puller.error;
			return -1;
		}
		/* Progress is worth showing while somebody waits for it. */
		if (mono_passed(r->next_commit))
			commit(r);
		if (net_wait(r->puller.fd, POLLIN, deadline_of(r), e) < 0) {
			r->failure = FAILURE_SYSTEM;
			return -1;
		}
	}
}

int
build_image_ready(struct run *r, struct err *e)
{
	int rc;

	if (r->mem.build_image[0] != '\0')
		return 0;
	/* Ordered by a predecessor that died: its puller went with it. */
	if (r->puller.state == PULLER_IDLE)
		order_build_image(r);
	rc = hear_puller(r, e);
	r->puller.state = PULLER_IDLE;
	return rc;
}

/* ---- the stage ---- */

static int
helper_image(struct run *r, struct str name, struct image *img, struct err *e)
{
	const struct image_hand h = { r->api, r->work.a, &r->broker, say_image, r, deadline_of(r) };
	struct image_order o;

	r->failure = FAILURE_CONFIG;
	if (image_order(&r->work, name, JSON_NONE, &o, e) < 0)
		return -1;
	return image_ensure(&h, &o, img, &r->failure, e);
}

static int
prepare_once(struct run *r, struct err *e)
{
	struct json_val info;
	struct image helper = { 0 };
	struct str arch;

	r->failure = FAILURE_NONE;
	if (sweep(r, e) < 0 || call(r, "GET", "/info", STR_NULL, &info, e) < 0)
		return -1;
	arch = arena_str(&r->arena, json_str(&r->scratch, json_get(info, "Architecture")));
	if (!str_eqc(json_str(&r->scratch, json_get(info, "OSType")), "linux"))
		return err_set(e, ERR_CONFIG, 0, "the engine of machine %s is not one for Linux containers", r->machine);
	arena_reset(&r->scratch);
	if (engine_run(r, r->mem.engine_run, e) < 0)
		return -1;
	r->failure = FAILURE_CONFIG;
	if (image_allowed(&r->work, e) < 0 || volumes_plan(&r->work, &r->volumes, e) < 0)
		return -1;
	r->failure = FAILURE_NONE;
	say(r, tl_plain, "Using Docker executor with image %.*s ...", STR_ARG(r->work.image));
	order_build_image(r);
	if (network_wanted(&r->work) && make_network(r, e) < 0)
		return -1;
	if (make_volumes(r, e) < 0)
		return -1;
	if (helper_image(r, image_helper_name(&r->work, arch), &helper, e) < 0)
		return -1;
	str_copy(str_from(helper.reference), r->mem.helper_image, sizeof(r->mem.helper_image));
	if (container_make(r, CONTAINER_HELPER, e) < 0)
		return -1;
	/* An image that needs no wait is known now, and one that cannot be had is no reason to fetch the sources. */
	hear_so_far(r);
	return r->puller.state != PULLER_ON ? build_image_ready(r, e) : 0;
}

static enum outcome
prepare(struct run *r, struct err *e)
{
	for (int i = 1; ; i++) {
		if (prepare_once(r, e) == 0)
			return OUT_OK;
		if (e->kind == ERR_CANCELLED) {
			orders_read(r);
			if (r->order != ORDER_NONE)
				return OUT_CANCELED;
		}
		if (time_is_over(r))
			return OUT_TIMEOUT;
		if (mono_passed(deadline_of(r)))
			return OUT_STAGE_TIMEOUT;
		/* Classified errors are the job's or the registry's: repeating changes nothing (spec gitlab-runner 7.3). */
		if (r->failure != FAILURE_NONE && r->failure != FAILURE_SYSTEM)
			return OUT_FAILED;
		if (i == 3 || machine_gone(r) || machine_unfit(r, e))
			return OUT_FAILED;
		say(r, tl_error, "Preparation failed: %s", e->msg);
		say(r, tl_plain, "Will be retried in 3s ...");
		commit(r);
		if (net_pause(3 * NSEC_SEC, e) < 0)
			orders_read(r);
	}
}

static void
say_lines(struct run *r, struct str text, void (*style)(struct buf *b, const char *fmt, ...))
{
	while (text.p != NULL && text.n > 0) {
		struct str line = str_cut(&text, '\n');

		if (line.n > 0)
			say(r, style, "%.*s", STR_ARG(line));
	}
}

/* The runner's word that a job is worth running without what it asks for in vain. */
static bool
runs_unsupported(const struct run *r)
{
	return json_bool(json_get(r->job.runner, "ignore_unsupported"), false);
}

/* Before anything can fail: what the job asks for in vain is told once, also when a successor begins the stage again. */
static void
begin_log(struct run *r)
{
	struct buf unsupported = { .max = 65536 };
	struct broker_pairs ignored = { .n = 0 };

	if (work_flags_changed(&r->work)[0] != '\0')
		say(r, tl_plain, "  feature flags: %s", work_flags_changed(&r->work));
	stage_open_section(r, r->mem.stage, 0);
	say_lines(r, buf_str(&r->work.warnings), tl_warning);
	if (work_unsupported(&r->work, &unsupported) == 0 || runs_unsupported(r))
		say_lines(r, buf_str(&unsupported), tl_warning);
	else
		say_lines(r, buf_str(&unsupported), tl_error);
	buf_clear(&unsupported);
	image_helpers(&r->work, &ignored, &unsupported);
	say_lines(r, buf_str(&unsupported), tl_warning);
	buf_free(&unsupported);
	r->mem.opened = true;
	commit(r);
}

/* A job that asks for what is not built fails before anything of it runs: green without it, it would deceive whoever looks. */
static int
refuse_unsupported(const struct run *r, struct err *e)
{
	struct buf lines = { .max = 65536 }, why = { .max = 512 };
	unsigned asked = work_unsupported(&r->work, &lines);

	buf_free(&lines);
	if (asked == 0 || runs_unsupported(r))
		return 0;
	work_unsupported_why(asked, &why);
	err_set(e, ERR_CONFIG, 0, "%s", why.p);
	buf_free(&why);
	return -1;
}

/* Whether the job can be begun at all; -1 with why not. */
static int
check_job(struct run *r, struct err *e)
{
	if (r->work.bad_executor_opts != NULL) {
		outcome_fail(r, FAILURE_SYSTEM, 3, r->work.bad_executor_opts);
		return -1;
	}
	if (r->work.fault != NULL)
		return err_set(e, ERR_CONFIG, 0, "%s", r->work.fault);
	return refuse_unsupported(r, e);
}

enum outcome
prepare_executor(struct run *r, struct err *e)
{
	enum outcome out;

	if (!r->mem.opened)
		begin_log(r);
	out = check_job(r, e) < 0 ? OUT_FAILED : prepare(r, e);
	output_section_end(&r->out, r->mem.stage->section);
	r->mem.opened = false;
	return out;
}

/* ---- the end ---- */

static void
remove_network(struct run *r, mono_t deadline)
{
	char path[200];
	struct arena a = { 0 };
	struct json_val v;
	struct err e = { 0 };

	snprintf(path, sizeof(path), "/networks/%s", r->work.network_name);
	if (engine_delete(r->api, path, deadline, &e) == 0 || e.kind == ERR_NOTFOUND)
		return;
	/* The job put containers of its own there, through a mounted socket for example. */
	if (engine_get(r->api, path, &a, &v, deadline, &e) == 0)
		JSON_EACH(c, json_get(v, "Containers"))
			remove_container(r, arena_dup(&a, json_key(&a, c)), deadline, &e);
	if (engine_delete(r->api, path, deadline, &e) < 0 && e.kind != ERR_NOTFOUND) {
		log_warn("Network of the job could not be removed", F_STR("network", r->work.network_name), F_ERR(&e));
		r->dirty = true;
	}
	arena_reset(&a);
}

void
machine_tidy(struct run *r)
{
	mono_t deadline = mono_after(TIDY_LIMIT);
	struct err e = { 0 };

	puller_end(&r->puller);
	net_control(-1);
	/* Nothing was made, or the machine is out of reach: then it is dirty, and goes. */
	if (r->api == NULL || (r->mem.helper[0] == '\0' && r->mem.build[0] == '\0' && r->mem.stage->where == STAGE_ENGINE))
		return;
	if (remove_container(r, r->work.build_name, deadline, &e) < 0 || remove_container(r, r->work.helper_name, deadline, &e) < 0) {
		log_warn("Containers of the job could not be removed: the machine will not be used again", F_STR("name", r->machine), F_ERR(&e));
		r->dirty = true;
		return;
	}
	crash_point("executor:containers-removed");
	if (r->volumes.n == 0)
		volumes_plan(&r->work, &r->volumes, &e);
	for (size_t i = 0; i < r->volumes.n; i++) {
		char path[300];

		if (!r->volumes.v[i].temporary)
			continue;
		snprintf(path, sizeof(path), "/volumes/%s?force=1", r->volumes.v[i].name);
		if (engine_delete(r->api, path, deadline, &e) < 0 && e.kind != ERR_NOTFOUND) {
			log_warn("Volume of the job could not be removed", F_STR("volume", r->volumes.v[i].name), F_ERR(&e));
			r->dirty = true;
		}
	}
	if (r->mem.networked)
		remove_network(r, deadline);
}
