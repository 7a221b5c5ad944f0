/* The way to the job's machine: see reach.h. */
#include <sys/stat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "books/store.h"
#include "core/exit.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/sandbox.h"
#include "job/run.h"
#include "machine/config_json.h"

#define CONNECT_LIMIT	(20 * NSEC_SEC)
#define PEM_MAX		(64u << 10)

static const char *
store_of(const struct run *r)
{
	return r->job.runner.store;
}

static const char *const machine_pems[] = { "ca.pem", "cert.pem", "key.pem", "server.pem" };

/* A file of the machine's directory; from the arena. */
static const char *
machine_file(struct run *r, const char *name)
{
	return arena_fmt(&r->arena, "%s/machines/%s/%s", store_of(r), r->machine, name);
}

bool
reach_open(struct run *r)
{
	struct arena files = { 0 };
	struct machine_host h;
	const char *host;
	bool name = false;
	uint8_t ip[16];

	r->reach.config = -1;
	r->reach.engine_port = ENGINE_PORT;
	r->reach.dir = store_open(store_of(r), r->machine, &r->reach.why);
	if (r->reach.dir < 0 || machine_host_read(&h, &files, r->reach.dir, r->machine,
	    &r->reach.why) < 0)
		goto out;
	r->reach.config = openat(r->reach.dir, STOREFILE_CONFIG, O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < NELEM(machine_pems); i++)
		fs_keep(machine_file(r, machine_pems[i]));
	if (cloud_engine(&h.cloud, &host, &r->reach.engine_port, &r->reach.why) < 0)
		err_ctx(&r->reach.why, "machine %s", r->machine);
	r->reach.address = dial_numeric_scope(&r->arena, host);
	name = inet_pton(AF_INET, r->reach.address, ip) != 1 &&
	    strchr(r->reach.address, ':') == NULL;
out:
	arena_reset(&files);
	return name;
}

size_t
reach_places(struct run *r, struct sandbox_place *places)
{
	for (size_t i = 0; i < NELEM(machine_pems); i++)
		places[i] = (struct sandbox_place){ SANDBOX_READ, machine_file(r, machine_pems[i]),
		    -1 };
	places[NELEM(machine_pems)] = (struct sandbox_place){ SANDBOX_READ,
	    machine_file(r, STOREFILE_RECORD), -1 };
	return NELEM(machine_pems) + 1;
}

/* A new address, new certificates: whoever starts now reads them, and goes on from here. */
void
reach_exit_if_changed(const struct run *r)
{
	struct stat st;

	if (fs_kept_fresh() && (r->reach.config < 0 || fstat(r->reach.config, &st) < 0 ||
	    st.st_nlink > 0))
		return;
	if (r->reach.dir >= 0 && fstat(r->reach.dir, &st) == 0 && st.st_nlink == 0)
		return;
	log_info("The machine's address or certificates have changed: the job goes on with the new "
	    "ones", F_STR("name", r->machine));
	_exit(EXIT_RETRY);
}

bool
reach_gone(const struct run *r)
{
	struct machine_record rec = { 0 };
	struct arena a = { 0 };
	struct stat st;
	bool gone = fs_exists(r->dir, JOBFILE_GONE);

	/*
	 * Whoever removes it says so first, where we may read it: there is nothing to wait for
	 * then.
	 */
	if (r->reach.dir < 0)
		return gone || r->reach.why.kind == ERR_NOTFOUND;
	if (fstat(r->reach.dir, &st) == 0 && st.st_nlink == 0)
		gone = true;
	else if (machine_record_read(r->reach.dir, &a, &rec, NULL) == 0)
		gone = gone || rec.phase == PHASE_DELETING;
	arena_reset(&a);
	return gone;
}

int
reach_gone_why(const struct run *r, struct err *e)
{
	struct arena a = { 0 };
	const char *why = jobdir_text(r->dir, JOBFILE_GONE, &a);

	if (why[0] != '\0')
		err_set(e, ERR_NET, 0, "machine %s is gone: %s", r->machine, why);
	else
		err_set(e, ERR_NET, 0, "machine %s was removed under the job", r->machine);
	arena_reset(&a);
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
	*o = (struct engine_opts){ .host = str_from(r->reach.address),
	    .port = (uint16_t)r->reach.engine_port, .name = r->machine };
	if (r->reach.why.kind != ERR_NONE)
		return err_set(e, r->reach.why.kind, r->reach.why.sys, "%s",
		    r->reach.why.msg);
	if (read_pem(r, files, "ca.pem", &o->ca_pem, e) < 0 ||
	    read_pem(r, files, "cert.pem", &o->cert_pem, e) < 0 ||
	    read_pem(r, files, "key.pem", &o->key_pem, e) < 0)
		return -1;
	read_pem(r, files, "server.pem", &o->server_pem, NULL);
	return 0;
}

int
reach_pullers(struct run *r, struct puller_plan *plan, struct broker *voices, struct err *e)
{
	struct arena files = { 0 };
	int rc = 0;

	/* Without it no job begins either: reach_connect() will say so. */
	if (machine_engine(r, &files, &plan->engine, NULL) == 0)
		for (size_t i = 0; i < PULLERS && rc == 0; i++)
			rc = puller_start(&r->pullers[i], plan, &voices[i], e);
	arena_reset(&files);
	return rc;
}

int
reach_connect(struct run *r, struct err *e)
{
	/* What the engines have not taken out of it is not needed for the hours that follow. */
	struct arena files = { 0 };
	struct engine_opts o;
	int rc = -1;

	reach_exit_if_changed(r);
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

int
reach_call(struct run *r, const char *method, const char *path, struct str body, struct json_val *v,
    struct err *e)
{
	return engine_call(r->api, &(struct engine_req){ method, path, body }, &r->scratch, v,
	    call_deadline(r), e);
}

int
reach_engine_run(struct run *r, char out[80], struct err *e)
{
	struct json_val v;
	int rc = reach_call(r, "GET", "/networks/bridge", STR_NULL, &v, e);

	out[0] = '\0';
	if (rc == 0)
		str_copy(json_str(&r->scratch, json_get(v, "Id")), out, 80);
	else if (e->kind == ERR_NOTFOUND)
		rc = 0;
	arena_reset(&r->scratch);
	return rc;
}

/* ---- a machine that does not answer ---- */

static bool
answers(const struct run *r, struct engine *g, struct err *e)
{
	return engine_hello(g, mono_min(call_deadline(r), mono_after(CONNECT_LIMIT)), e) == 0;
}

int
reach_again(struct run *r, mono_t since, struct err *e)
{
	mono_t give_up = mono_add(since, LOST_LIMIT);
	dur_t wait = NSEC_SEC;

	r->lost_once = true;
	/* The manager asks the cloud then whether there still is a machine. */
	if (!reach_gone(r))
		(void)fs_write_fast(r->dir, JOBFILE_LOST, str_from(e->msg), 0600, NULL);
	log_warn("Machine does not answer", F_STR("name", r->machine), F_ERR(e));
	while (!mono_passed(give_up)) {
		if (net_pause(wait, e) < 0)
			return -1;
		wait = wait < 8 * NSEC_SEC ? wait * 2 : wait;
		if (mono_passed(stage_deadline(r))) {
			e->kind = ERR_NET;
			return err_ctx(e, "machine %s does not answer, and the time for this stage "
			    "is over", r->machine);
		}
		if (reach_gone(r))
			return reach_gone_why(r, e);
		/* A stream that lived through it needs no proof, and can carry no question. */
		if (answers(r, r->api, e) && (engine_stream_live(r->logs) || answers(r, r->logs, e))) {
			unlinkat(r->dir, JOBFILE_LOST, 0);
			return 0;
		}
		if (e->kind == ERR_CANCELLED)
			return -1;
	}
	return err_ctx(e, "machine %s did not answer for %d minutes", r->machine,
	    (int)(LOST_LIMIT / NSEC_SEC / 60));
}

int
reach_connect_patiently(struct run *r, struct err *e)
{
	mono_t give_up = mono_after(LOST_LIMIT);

	while (reach_connect(r, e) < 0) {
		if (reach_gone(r))
			return reach_gone_why(r, e);
		if (mono_passed(give_up) || job_time_is_over(r))
			return -1;
		if (net_pause(5 * NSEC_SEC, e) < 0)
			order_take_or_exit(r);
		if (r->order == ORDER_ABORT)
			return -1;
	}
	return 0;
}
