/*
 * The first stage: contact with the machine's engine, leftovers of dead
 * jobs removed, images, network, volumes, the helper container. All of it may
 * be done twice: names are the job's own, and what exists under them is ours.
 */
#include <poll.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/log.h"
#include "job/run.h"

/* ---- images ---- */

static void
say_image(void *ctx, enum image_line kind, const char *text)
{
	struct run *r = ctx;

	output_say(&r->out, kind == IMAGE_WARNING ? tl_warning : tl_plain, "%s", text);
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

/* Orders the pull of the build image; whoever needs the image waits in prepare_build_image(). */
static void
order_build_image(struct run *r)
{
	struct image_order o;
	struct err e = { 0 };
	int rc = image_order(&r->work, r->work.image, job_policies(r), &o, &e);

	o.platform = platform(r);
	if (rc == 0)
		rc = puller_order(&r->puller, &o, LOST_LIMIT, stage_deadline(r), &e);
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
	reach_exit_if_changed(r);
	if (!reach_gone(r)) {
		output_say(&r->out, tl_warning, "The connection to the Docker Engine broke: %.*s",
		    STR_ARG(why));
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
	struct container *c = container_of(r, CONTAINER_BUILD);
	enum puller_word word;
	struct str text;

	while (r->puller.state == PULLER_ON && puller_hear(&r->puller, &word, &text) > 0) {
		if (word == PULLER_HAS) {
			str_copy(text, c->image, sizeof(c->image));
			puller_end(&r->puller);
		} else if (word == PULLER_LOST)
			pull_lost(r, text);
		else if (word != PULLER_FAILS)
			output_say(&r->out, word == PULLER_WARNS ? tl_warning : tl_plain, "%.*s",
			    STR_ARG(text));
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
			job_commit(r);
		if (net_wait(r->puller.fd, POLLIN, stage_deadline(r), e) < 0) {
			r->failure = FAILURE_SYSTEM;
			return -1;
		}
	}
}

int
prepare_build_image(struct run *r, struct err *e)
{
	int rc;

	if (container_of(r, CONTAINER_BUILD)->image[0] != '\0')
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
	const struct image_hand h = { r->api, r->work.a, &r->broker, say_image, r,
	    stage_deadline(r) };
	struct image_order o;

	r->failure = FAILURE_CONFIG;
	if (image_order(&r->work, name, JSON_NONE, &o, e) < 0)
		return -1;
	return image_ensure(&h, &o, img, &r->failure, e);
}

static int
prepare_once(struct run *r, struct err *e)
{
	struct container *c = container_of(r, CONTAINER_HELPER);
	struct json_val info;
	struct image helper = { 0 };
	struct str arch;

	r->failure = FAILURE_NONE;
	if (containers_sweep(r, e) < 0 || reach_call(r, "GET", "/info", STR_NULL, &info, e) < 0)
		return -1;
	arch = arena_str(&r->arena, json_str(&r->scratch, json_get(info, "Architecture")));
	if (!str_eqc(json_str(&r->scratch, json_get(info, "OSType")), "linux"))
		return err_set(e, ERR_CONFIG, 0, "the engine of machine %s is not one for Linux containers", r->machine);
	arena_reset(&r->scratch);
	if (reach_engine_run(r, r->mem.engine_run, e) < 0)
		return -1;
	r->failure = FAILURE_CONFIG;
	if (image_allowed(&r->work, e) < 0 || volumes_plan(&r->work, &r->volumes, e) < 0)
		return -1;
	r->failure = FAILURE_NONE;
	output_say(&r->out, tl_plain, "Using Docker executor with image %.*s ...",
	    STR_ARG(r->work.image));
	order_build_image(r);
	if (network_wanted(&r->work) && containers_make_network(r, e) < 0)
		return -1;
	if (containers_make_volumes(r, e) < 0)
		return -1;
	if (helper_image(r, image_helper_name(&r->work, arch), &helper, e) < 0)
		return -1;
	str_copy(str_from(helper.reference), c->image, sizeof(c->image));
	if (container_make(r, c, e) < 0)
		return -1;
	/*
	 * An image that needs no wait is known now, and one that cannot be had is no reason to
	 * fetch the sources.
	 */
	hear_so_far(r);
	return r->puller.state != PULLER_ON ? prepare_build_image(r, e) : 0;
}

static enum outcome
prepare(struct run *r, struct err *e)
{
	for (int i = 1; ; i++) {
		if (prepare_once(r, e) == 0)
			return OUT_OK;
		if (e->kind == ERR_CANCELLED) {
			order_take_or_exit(r);
			if (r->order != ORDER_NONE)
				return OUT_CANCELED;
		}
		if (job_time_is_over(r))
			return OUT_TIMEOUT;
		if (mono_passed(stage_deadline(r)))
			return OUT_STAGE_TIMEOUT;
		/*
		 * Classified errors are the job's or the registry's: repeating changes nothing
		 * (spec gitlab-runner 7.3).
		 */
		if (r->failure != FAILURE_NONE && r->failure != FAILURE_SYSTEM)
			return OUT_FAILED;
		if (i == 3 || reach_gone(r) || outcome_is_machines(r, e))
			return OUT_FAILED;
		output_say(&r->out, tl_error, "Preparation failed: %s", e->msg);
		output_say(&r->out, tl_plain, "Will be retried in 3s ...");
		job_commit(r);
		if (net_pause(3 * NSEC_SEC, e) < 0)
			order_take_or_exit(r);
	}
}

static void
say_lines(struct run *r, struct str text, void (*style)(struct buf *b, const char *fmt, ...))
{
	while (text.p != NULL && text.n > 0) {
		struct str line = str_cut(&text, '\n');

		if (line.n > 0)
			output_say(&r->out, style, "%.*s", STR_ARG(line));
	}
}

/* The runner's word that a job is worth running without what it asks for in vain. */
static bool
runs_unsupported(const struct run *r)
{
	return r->job.runner.ignore_unsupported;
}

/*
 * Before anything can fail: what the job asks for in vain is told once, also when a successor
 * begins the stage again.
 */
static void
begin_log(struct run *r)
{
	struct buf unsupported = { .max = 65536 };
	struct broker_pairs ignored = { .n = 0 };

	if (work_flags_changed(&r->work)[0] != '\0')
		output_say(&r->out, tl_plain, "  feature flags: %s", work_flags_changed(&r->work));
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
	job_commit(r);
}

/*
 * A job that asks for what is not built fails before anything of it runs: green without it, it
 * would deceive whoever looks.
 */
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
