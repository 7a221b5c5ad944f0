/* The stages of a job: see stages.h. Their order is that of spec job-execution 5.1. */
#include "config/keys.h"
#include "job/container.h"
#include "job/run.h"
#include "job/script.h"
#include "job/stages.h"

/* ---- limits ---- */

/* A limit that is not below the job's own is none (spec gitlab-runner 2.7). */
static dur_t
below_timeout(const struct work *w, dur_t limit)
{
	return limit > 0 && limit < w->p->timeout ? limit : 0;
}

static dur_t
prepare_limit(const struct work *w)
{
	return below_timeout(w, w->p->runner.prepare_timeout);
}

static dur_t
sources_limit(const struct work *w)
{
	return below_timeout(w, w->p->runner.get_sources_timeout);
}

static dur_t
script_limit(const struct work *w)
{
	return w->script_timeout;
}

static dur_t
after_limit(const struct work *w)
{
	return w->after_script_timeout;
}

/* ---- what is run ---- */

static void
environment_script(const struct work *w, size_t item, struct buf *b)
{
	(void)item;
	script_prepare(w, b);
}

/*
 * All that prepare_script has to tell is where the job runs. Where we know the container's host
 * name without looking into it, a whole start of the helper is saved; a trace of the script itself
 * (CI_DEBUG_TRACE) is one of the things that needs it.
 */
static bool
environment_said(const struct work *w, struct buf *line)
{
	const char *host = container_hostname(w);

	if (host == NULL || w->debug_trace)
		return false;
	buf_fmt(line, "Running on %s via %s...", host, w->machine);
	return true;
}

static void
sources_script(const struct work *w, size_t item, struct buf *b)
{
	(void)item;
	script_get_sources(w, b);
}

static int
sources_attempts(const struct work *w)
{
	return w->get_sources_attempts;
}

static void
clear_script(const struct work *w, size_t item, struct buf *b)
{
	(void)item;
	script_clear_worktree(w, b);
}

static size_t
steps(const struct work *w)
{
	return w->nsteps;
}

static const char *
step_section(const struct work *w, size_t item)
{
	return w->steps[item].stage;
}

static void
step_script(const struct work *w, size_t item, struct buf *b)
{
	script_step(w, &w->steps[item], b);
}

static bool
after_wanted(const struct work *w)
{
	return json_len(w->after_script) > 0;
}

static void
after_script(const struct work *w, size_t item, struct buf *b)
{
	(void)item;
	script_after(w, b);
}

static bool
after_soft(const struct work *w)
{
	return w->after_script_ignore_errors;
}

static void
cleanup_script(const struct work *w, size_t item, struct buf *b)
{
	(void)item;
	script_cleanup(w, b);
}

/* ---- the table ---- */

static const struct stage clear_worktree = {
	.section = "clear_worktree",
	.heading = "Deleting all tracked and untracked files due to source fetch failure",
	.where = STAGE_HELPER, .side = STAGE_BEFORE, .script = clear_script,
};

static const struct stage rows[] = {
	{
		.name = "prepare_executor", .section = "prepare_executor",
		.heading = "Preparing the \"docker+machine\" executor",
		.where = STAGE_ENGINE, .side = STAGE_BEFORE, .when = STAGE_ON_OK | STAGE_LIMIT_ENDS,
		.limit = { prepare_limit, .key = K_RUNNER_prepare_timeout, .from_job = true },
		.engine = prepare_executor,
	},
	{
		.name = "prepare_script", .section = "prepare_script",
		.heading = "Preparing environment",
		.where = STAGE_HELPER, .side = STAGE_BEFORE, .when = STAGE_ON_OK,
		.limit = { prepare_limit, .key = K_RUNNER_prepare_timeout, .from_job = true },
		.script = environment_script, .said = environment_said,
		.exit_noun = "prepare environment: ",
		.exit_hint =
		    ". Does the helper image have bash or sh, and does nothing in its shell profile fail?",
	},
	{
		.name = "get_sources", .section = "get_sources",
		.heading = "Getting source from Git repository",
		.where = STAGE_HELPER, .side = STAGE_BEFORE,
		.when = STAGE_ON_OK | STAGE_LIMIT_ENDS | STAGE_AHEAD,
		.limit = { sources_limit, .key = K_RUNNER_get_sources_timeout },
		.script = sources_script, .attempts = sources_attempts, .again = &clear_worktree,
	},
	{
		.name = "step", .section = "step_script",
		.heading = "Executing \"%s\" stage of the job script",
		.where = STAGE_BUILD, .side = STAGE_SCRIPT, .when = STAGE_ON_OK,
		.limit = { script_limit, .variable = "RUNNER_SCRIPT_TIMEOUT" },
		.items = steps, .item_section = step_section, .script = step_script,
	},
	{
		.name = "after_script", .section = "after_script",
		.heading = "Running after_script",
		.where = STAGE_BUILD, .side = STAGE_AFTER, .when = STAGE_ALWAYS | STAGE_IF_SCRIPT,
		.limit = { after_limit, .variable = "RUNNER_AFTER_SCRIPT_TIMEOUT" },
		.wanted = after_wanted, .script = after_script, .soft = after_soft,
	},
	{
		.name = "cleanup_file_variables", .section = "cleanup_file_variables",
		.heading = "Cleaning up project directory and file based variables",
		.where = STAGE_HELPER, .side = STAGE_AFTER, .when = STAGE_ALWAYS | STAGE_QUIET,
		.script = cleanup_script,
	},
	{ .name = "end", .section = "", .where = STAGE_NOWHERE, .side = STAGE_AFTER,
	    .when = STAGE_ALWAYS },
};

const struct stage *
stage_at(size_t i)
{
	return i < NELEM(rows) ? &rows[i] : NULL;
}

const struct stage *
stage_find(struct str name)
{
	for (size_t i = 0; i < NELEM(rows); i++)
		if (str_eqc(name, rows[i].name))
			return &rows[i];
	return NULL;
}

const struct stage *
stage_end(void)
{
	return &rows[NELEM(rows) - 1];
}

bool
stage_is_end(const struct stage *s)
{
	return s->where == STAGE_NOWHERE;
}

bool
stage_wanted(const struct stage *s, const struct work *w)
{
	return s->wanted == NULL || s->wanted(w);
}

const struct stage *
stage_next(const struct stage *s, const struct work *w, bool failed)
{
	unsigned kind = failed ? STAGE_ON_FAILURE : STAGE_ON_OK;
	/* A job that fails before its script never comes to it. */
	bool no_script = failed && s->side == STAGE_BEFORE;

	for (s++; !stage_is_end(s); s++)
		if ((s->when & kind) && !(no_script && (s->when & STAGE_IF_SCRIPT)) &&
		    stage_wanted(s, w))
			break;
	return s;
}

size_t
stage_items(const struct stage *s, const struct work *w)
{
	return s->items != NULL ? s->items(w) : 1;
}

const char *
stage_section(const struct stage *s, const struct work *w, size_t item)
{
	return s->item_section != NULL ? s->item_section(w, item) : s->section;
}

void
stage_put_heading(const struct stage *s, const struct work *w, size_t item, struct buf *b)
{
	struct str rest = str_from(s->heading);
	ssize_t at = str_find(rest, "%s");

	if (at >= 0) {
		buf_putstr(b, str_sub(rest, 0, (size_t)at));
		buf_puts(b, stage_section(s, w, item));
		rest = str_sub(rest, (size_t)at + 2, rest.n);
	}
	buf_putstr(b, rest);
}

int
stage_attempts(const struct stage *s, const struct work *w)
{
	return s->attempts != NULL ? s->attempts(w) : 1;
}

dur_t
stage_limit(const struct stage *s, const struct work *w)
{
	return s->limit.length != NULL ? s->limit.length(w) : 0;
}

const char *
stage_limit_name(const struct stage *s)
{
	return s->limit.variable != NULL ? s->limit.variable : keys[s->limit.key].name;
}

struct str
stage_shown(struct str name)
{
	const struct stage *s = stage_find(name);

	return s != NULL ? str_from(s->section) : name;
}
