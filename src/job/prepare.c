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

/* Whose image a puller pulls. */
static const enum container_kind pulled_for[PULLERS] = {
	[PULL_BUILD] = CONTAINER_BUILD, [PULL_HELPER] = CONTAINER_HELPER,
};

static struct str
platform(const struct run *r)
{
	return vars_expand_str(&r->work.vars, json_str(r->work.a, json_path(r->work.image_json, "executor_opts.docker.platform")));
}

/* An order that cannot even be given ends as one that failed. */
static void
pull_refused(struct puller *p, enum failure failure, struct str why)
{
	p->state = PULLER_FAILED;
	p->failure = failure;
	err_set(&p->error, ERR_SERVER, 0, "%.*s", STR_ARG(why));
}

/* Orders a pull; whoever needs the image waits for it in wait_for_image(). */
static void
order_image(struct run *r, enum pull pull, struct str name)
{
	struct puller *p = &r->pullers[pull];
	struct json_val of_job = pull == PULL_BUILD ? json_get(r->work.image_json, "pull_policy") : JSON_NONE;
	struct image_order o;
	struct err e = { 0 };
	int rc = image_order(&r->work, name, of_job, &o, &e);

	if (pull == PULL_BUILD)
		o.platform = platform(r);
	if (rc == 0)
		rc = puller_order(p, &o, LOST_LIMIT, stage_deadline(r), &e);
	if (rc < 0 && e.kind == ERR_CONFIG) {
		pull_refused(p, FAILURE_CONFIG, str_from(e.msg));
	} else if (rc < 0) {
		/* From in here none can be started: our successor begins with its own. */
		log_warn("One of the job's pullers has died: the job goes on with new ones", F_ERR(&e));
		_exit(EXIT_RETRY);
	}
}

/* The engine was lost under a pull. Its machine may have changed, or be no more. */
static void
pull_lost(struct run *r, struct puller *p, struct str why)
{
	reach_exit_if_changed(r);
	if (!reach_gone(r)) {
		output_say(&r->out, tl_warning, "The connection to the Docker Engine broke: %.*s",
		    STR_ARG(why));
		return;
	}
	pull_refused(p, FAILURE_SYSTEM, why);
}

/*
 * What a puller has said so far stands in the section of the stage that ordered the image; the
 * rest comes when somebody waits for it.
 */
static void
hear_so_far(struct run *r, enum pull pull)
{
	struct container *c = container_of(r, pulled_for[pull]);
	struct puller *p = &r->pullers[pull];
	enum puller_word word;
	struct str text;

	while (p->state == PULLER_ON && puller_hear(p, &word, &text) > 0) {
		if (word == PULLER_HAS)
			str_copy(text, c->image, sizeof(c->image));
		else if (word == PULLER_LOST)
			pull_lost(r, p, text);
		else if (word != PULLER_FAILS)
			output_say(&r->out, word == PULLER_WARNS ? tl_warning : tl_plain, "%.*s",
			    STR_ARG(text));
	}
}

/* Hears a puller until it has said how the order ended. */
static int
wait_for_image(struct run *r, enum pull pull, struct err *e)
{
	struct puller *p = &r->pullers[pull];

	for (;;) {
		hear_so_far(r, pull);
		if (p->state == PULLER_DONE)
			return 0;
		if (p->state != PULLER_ON) {
			r->failure = p->failure;
			*e = p->error;
			return -1;
		}
		/* Progress is worth showing while somebody waits for it. */
		if (mono_passed(r->next_commit))
			job_commit(r);
		if (net_wait(p->fd, POLLIN, stage_deadline(r), e) < 0) {
			r->failure = FAILURE_SYSTEM;
			return -1;
		}
	}
}

int
prepare_build_image(struct run *r, struct err *e)
{
	struct puller *p = &r->pullers[PULL_BUILD];
	int rc;

	if (container_of(r, CONTAINER_BUILD)->image[0] != '\0')
		return 0;
	/* Ordered by a predecessor that died: its puller went with it. */
	if (p->state == PULLER_IDLE)
		order_image(r, PULL_BUILD, r->work.image);
	rc = wait_for_image(r, PULL_BUILD, e);
	p->state = PULLER_IDLE;
	if (rc == 0)
		puller_end(p);
	return rc;
}

void
prepare_pulled(struct run *r)
{
	for (size_t i = 0; i < PULLERS; i++)
		if (container_of(r, pulled_for[i])->image[0] != '\0')
			puller_end(&r->pullers[i]);
}

/* ---- the stage ---- */

static int
prepare_once(struct run *r, struct err *e)
{
	struct container *c = container_of(r, CONTAINER_HELPER);
	struct json_val info;
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
	order_image(r, PULL_BUILD, r->work.image);
	order_image(r, PULL_HELPER, image_helper_name(&r->work, arch));
	if (network_wanted(&r->work) && containers_make_network(r, e) < 0)
		return -1;
	if (containers_make_volumes(r, e) < 0)
		return -1;
	if (wait_for_image(r, PULL_HELPER, e) < 0 || container_make(r, c, e) < 0)
		return -1;
	/*
	 * An image that needs no wait is known now, and one that cannot be had is no reason to
	 * fetch the sources.
	 */
	hear_so_far(r, PULL_BUILD);
	return r->pullers[PULL_BUILD].state != PULLER_ON ? prepare_build_image(r, e) : 0;
}

static enum outcome
prepare(struct run *r, struct err *e)
{
	for (int i = 1; ; i++) {
		if (prepare_once(r, e) == 0) {
			prepare_pulled(r);
			return OUT_OK;
		}
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
