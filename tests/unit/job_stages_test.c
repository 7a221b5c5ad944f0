/* job/stages, job/outcome: the table of a job's stages, and what becomes of a job by what became of each. */
#include <unistd.h>

#include "core/fs.h"
#include "job_fake.h"
#include "run_fake.h"
#include "tap.h"

/* Names stand in files of running jobs and sections in logs and programs that read them: neither ever changes. */
static const struct {
	const char	*name, *section, *heading;
	enum stage_where where;
	enum stage_side	 side;
} frozen[] = {
	{ "prepare_executor", "prepare_executor", "Preparing the \"docker+machine\" executor", STAGE_ENGINE, STAGE_BEFORE },
	{ "prepare_script", "prepare_script", "Preparing environment", STAGE_HELPER, STAGE_BEFORE },
	{ "get_sources", "get_sources", "Getting source from Git repository", STAGE_HELPER, STAGE_BEFORE },
	{ "step", "step_script", "Executing \"step_script\" stage of the job script", STAGE_BUILD, STAGE_SCRIPT },
	{ "after_script", "after_script", "Running after_script", STAGE_BUILD, STAGE_AFTER },
	{ "cleanup_file_variables", "cleanup_file_variables", "Cleaning up project directory and file based variables",
	    STAGE_HELPER, STAGE_AFTER },
	{ "end", "", "", STAGE_NOWHERE, STAGE_AFTER },
};

static const struct fake_spec plain = { .script = "\"make\"", .after = "\"echo bye\"" };
static const struct fake_spec no_after = { .script = "\"make\"" };

static void
test_table(void)
{
	struct arena a = { 0 };
	struct payload p;
	struct work w;

	fake_work(&a, &plain, "", &p, &w);
	for (size_t i = 0; i < NELEM(frozen); i++) {
		const struct stage *s = stage_at(i);
		struct buf b = { 0 };

		is_str(s != NULL ? s->name : "", frozen[i].name, "stage %zu", i);
		if (s == NULL)
			return;
		ok(stage_find(str_from(frozen[i].name)) == s, "  is found by its name, which is nobody else's");
		is_int(s->where, frozen[i].where, "  where it runs");
		is_int(s->side, frozen[i].side, "  its side of the script");
		is_str(s->section, frozen[i].section, "  its section");
		ok(str_eqc(stage_shown(str_from(s->name)), s->section), "  which is what is shown of it");
		is_int(stage_is_end(s), s == stage_end(), "  whether it is the end");
		ok(i == 0 || s->side >= stage_at(i - 1)->side, "  sides follow one another");
		if (stage_is_end(s))
			continue;
		stage_put_heading(s, &w, 0, &b);
		is_str(b.p, frozen[i].heading, "  its heading");
		is_str(stage_section(s, &w, 0), frozen[i].section, "  the section of its first item");
		is_int(s->script != NULL, s->where != STAGE_ENGINE, "  a script, or");
		is_int(s->engine != NULL, s->where == STAGE_ENGINE, "  calls");
		ok((s->when & STAGE_ALWAYS) != 0, "  it has a place in some job");
		ok(s->limit.length != NULL || (s->limit.variable == NULL && s->limit.key == 0), "  a name has a limit");
		if (s->script != NULL) {
			buf_clear(&b);
			s->script(&w, 0, &b);
			ok(b.n > 0, "  its script has text");
		}
		buf_free(&b);
	}
	ok(stage_at(NELEM(frozen)) == NULL, "every stage stands in this list");
	ok(stage_find(STR("restore_time")) == NULL && stage_find(STR_NULL) == NULL, "a stage of a newer version is not known");
	ok(str_eqc(stage_shown(STR("restore_time")), "restore_time"), "and shown as it is");
	buf_free(&w.warnings);
	arena_reset(&a);
}

/* The way of a job that fails in `fails` (NULL: in none), as the names of its stages. */
static void
way(const struct fake_spec *spec, const char *fails, bool *reached, struct buf *out)
{
	struct arena a = { 0 };
	struct payload p;
	struct work w;
	bool failed = false;

	fake_work(&a, spec, "", &p, &w);
	for (const struct stage *s = stage_at(0);; s = stage_next(s, &w, failed)) {
		for (size_t i = 0; stage_at(i) != NULL; i++)
			reached[i] |= stage_at(i) == s;
		buf_fmt(out, "%s%s", out->n > 0 ? " " : "", s->name);
		if (stage_is_end(s))
			break;
		failed |= fails != NULL && strcmp(s->name, fails) == 0;
	}
	buf_free(&w.warnings);
	arena_reset(&a);
}

static void
test_ways(void)
{
	static const struct { const struct fake_spec *spec; const char *fails, *way; } cases[] = {
		{ &plain, NULL, "prepare_executor prepare_script get_sources step after_script cleanup_file_variables end" },
		{ &plain, "step", "prepare_executor prepare_script get_sources step after_script cleanup_file_variables end" },
		{ &plain, "get_sources", "prepare_executor prepare_script get_sources cleanup_file_variables end" },
		{ &plain, "prepare_script", "prepare_executor prepare_script cleanup_file_variables end" },
		{ &no_after, NULL, "prepare_executor prepare_script get_sources step cleanup_file_variables end" },
		{ &no_after, "step", "prepare_executor prepare_script get_sources step cleanup_file_variables end" },
	};
	bool reached[NELEM(frozen)] = { false };

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };

		way(cases[i].spec, cases[i].fails, reached, &b);
		is_str(b.p, cases[i].way, "a job that fails in %s", cases[i].fails != NULL ? cases[i].fails : "nothing");
		buf_free(&b);
	}
	for (size_t i = 0; i < NELEM(frozen); i++)
		ok(reached[i], "%s is reached", frozen[i].name);
}

static void
test_items(void)
{
	static const struct fake_spec two = { .job = "\"x\":1", .script = "\"make\"" };
	const struct stage *step = stage_find(STR("step")), *sources = stage_find(STR("get_sources"));
	struct step steps[] = { { .stage = (char[]){ "step_script" } }, { .stage = (char[]){ "step_release" } } };
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct payload p;
	struct work w;

	fake_work(&a, &two, "", &p, &w);
	w.steps = steps;
	w.nsteps = 2;
	is_int((long long)stage_items(step, &w), 2, "a stage of two items");
	is_str(stage_section(step, &w, 1), "step_release", "  the section of the second");
	stage_put_heading(step, &w, 1, &b);
	is_str(b.p, "Executing \"step_release\" stage of the job script", "  its heading");
	is_int((long long)stage_items(sources, &w), 1, "others have one");
	w.get_sources_attempts = 3;
	is_int(stage_attempts(sources, &w), 3, "sources are tried again");
	is_int(stage_attempts(step, &w), 1, "a script is not");
	ok(sources->again != NULL && strcmp(sources->again->section, "clear_worktree") == 0, "with an empty worktree");
	buf_free(&b);
	buf_free(&w.warnings);
	arena_reset(&a);
}

static void
test_limits(void)
{
	static const struct fake_spec spec = { .runner = "\"prepare_timeout_s\":60,\"get_sources_timeout_s\":3600",
	    .vars = "{\"key\":\"RUNNER_SCRIPT_TIMEOUT\",\"value\":\"10m\"},{\"key\":\"RUNNER_AFTER_SCRIPT_TIMEOUT\",\"value\":\"20s\"}" };
	static const struct { const char *stage, *name; dur_t length; bool from_job; } cases[] = {
		{ "prepare_executor", "prepare_timeout", 60 * NSEC_SEC, true },
		{ "prepare_script", "prepare_timeout", 60 * NSEC_SEC, true },
		/* Not below the job's own. */
		{ "get_sources", "get_sources_timeout", 0, false },
		{ "step", "RUNNER_SCRIPT_TIMEOUT", 600 * NSEC_SEC, false },
		{ "after_script", "RUNNER_AFTER_SCRIPT_TIMEOUT", 20 * NSEC_SEC, false },
		{ "cleanup_file_variables", "", 0, false },
	};
	struct arena a = { 0 };
	struct payload p;
	struct work w;

	fake_work(&a, &spec, "", &p, &w);
	for (size_t i = 0; i < NELEM(cases); i++) {
		const struct stage *s = stage_find(str_from(cases[i].stage));

		is_str(s->limit.length != NULL ? stage_limit_name(s) : "", cases[i].name, "the limit of %s", cases[i].stage);
		is_int(stage_limit(s, &w), cases[i].length, "  its length");
		is_int(s->limit.from_job, cases[i].from_job, "  from when");
	}
	buf_free(&w.warnings);
	arena_reset(&a);
}

/* ---- what becomes of the job ---- */

static int dir = -1;

static struct run *
begin(const char *stage, enum order order)
{
	struct run *r = xcalloc(1, sizeof(*r));
	struct err e = { 0 };

	*r = (struct run){ .dir = dir, .out = { .fd = -1 }, .order = order };
	fake_work(&r->arena, &plain, "", &r->job, &r->work);
	r->mem.stage = stage_find(str_from(stage));
	fs_write_fast(dir, "trace", STR(""), 0600, &e);
	if (output_begin(&r->out, dir, &r->work, &e) < 0)
		printf("Bail out! %s\n", e.msg);
	return r;
}

static void
end(struct run *r)
{
	run_fake_end(r);
	free(r);
}

static void
test_outcomes(void)
{
	static const struct {
		const char	*stage;
		enum outcome	 out;
		enum order	 order;
		enum failure	 want;		/* of the job */
		bool		 ends;		/* the job at once */
		const char	*text, *said;
	} cases[] = {
		{ "prepare_executor", OUT_OK, ORDER_NONE, FAILURE_NONE, false, "", "" },
		{ "prepare_executor", OUT_FAILED, ORDER_NONE, FAILURE_SYSTEM, true, "it broke", "" },
		{ "prepare_executor", OUT_STAGE_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, true,
		    "execution took longer than 0s (prepare_timeout)", "did not end within its limit (prepare_timeout)" },
		{ "prepare_executor", OUT_CANCELED, ORDER_CANCEL, FAILURE_CANCELED, true, "canceled", "" },
		{ "prepare_script", OUT_EXIT, ORDER_NONE, FAILURE_SCRIPT, false,
		    "prepare environment: exit code 7. Does the helper image have bash or sh, and does nothing in its shell profile fail?", "" },
		{ "prepare_script", OUT_STAGE_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, false,
		    "execution took longer than 0s (prepare_timeout)", "" },
		{ "get_sources", OUT_EXIT, ORDER_NONE, FAILURE_SCRIPT, false, "exit code 7", "" },
		{ "get_sources", OUT_STAGE_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, true,
		    "execution took longer than 0s (get_sources_timeout)", "" },
		{ "get_sources", OUT_CANCELED, ORDER_CANCEL, FAILURE_CANCELED, true, "canceled", "" },
		{ "step", OUT_EXIT, ORDER_NONE, FAILURE_SCRIPT, false, "exit code 7", "" },
		{ "step", OUT_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, true,
		    "execution took longer than 1h0m0s (the job's timeout)", "the job's time limit is over" },
		{ "step", OUT_STAGE_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, false,
		    "execution took longer than 0s (RUNNER_SCRIPT_TIMEOUT)", "" },
		{ "step", OUT_CANCELED, ORDER_CANCEL, FAILURE_CANCELED, false, "canceled", "script canceled externally (UI, API)" },
		{ "step", OUT_CANCELED, ORDER_ABORT, FAILURE_CANCELED, true, "canceled", "" },
		{ "step", OUT_FAILED, ORDER_NONE, FAILURE_SYSTEM, true, "it broke", "" },
		{ "after_script", OUT_EXIT, ORDER_NONE, FAILURE_NONE, false, "",
		    "after_script failed, but job will continue unaffected: exit code 7" },
		{ "after_script", OUT_STAGE_TIMEOUT, ORDER_NONE, FAILURE_NONE, false, "",
		    "after_script failed, but job will continue unaffected: it took longer than 5m0s" },
		{ "after_script", OUT_FAILED, ORDER_NONE, FAILURE_SYSTEM, true, "it broke", "" },
		{ "after_script", OUT_CANCELED, ORDER_ABORT, FAILURE_CANCELED, true, "canceled", "" },
		{ "cleanup_file_variables", OUT_EXIT, ORDER_NONE, FAILURE_NONE, false, "", "" },
		{ "cleanup_file_variables", OUT_FAILED, ORDER_NONE, FAILURE_NONE, true, "", "" },
		{ "cleanup_file_variables", OUT_TIMEOUT, ORDER_NONE, FAILURE_TIMEOUT, true,
		    "execution took longer than 1h0m0s (the job's timeout)", "" },
		{ "cleanup_file_variables", OUT_CANCELED, ORDER_ABORT, FAILURE_CANCELED, true, "canceled", "" },
	};
	struct err e = { 0 };

	err_set(&e, ERR_SERVER, 0, "it broke");
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct run *r = begin(cases[i].stage, cases[i].order);

		r->exit_code = 7;
		outcome_settle(r, cases[i].out, &e);
		is_str(failure_word(r->mem.failure), failure_word(cases[i].want), "%s, outcome %d", cases[i].stage, cases[i].out);
		is_int(r->mem.failed, cases[i].want != FAILURE_NONE, "  whether the job failed");
		is_str(r->mem.text, cases[i].text, "  its last line");
		is_int(r->mem.exit_code, cases[i].want == FAILURE_SCRIPT ? 7 : 0, "  its exit code");
		is_int(outcome_ends_job(r, cases[i].out), cases[i].ends, "  whether that ends it");
		ok(cases[i].said[0] == '\0' ? r->out.pending.n == 0 || cases[i].out == OUT_STAGE_TIMEOUT :
		    strstr(r->out.pending.p, cases[i].said) != NULL, "  what is said: %s", r->out.pending.n > 0 ? r->out.pending.p : "");
		end(r);
	}
}

static void
test_first_failure(void)
{
	struct run *r = begin("step", ORDER_NONE);
	struct err e = { 0 };

	r->exit_code = 3;
	outcome_settle(r, OUT_EXIT, &e);
	r->mem.stage = stage_find(STR("after_script"));
	r->work.after_script_ignore_errors = false;
	r->exit_code = 5;
	outcome_settle(r, OUT_EXIT, &e);
	is_int(r->mem.exit_code, 3, "the first failure is the job's");
	is_str(r->mem.text, "exit code 3", "  and its last line");
	end(r);
	r = begin("after_script", ORDER_NONE);
	r->work.after_script_ignore_errors = false;
	r->exit_code = 5;
	outcome_settle(r, OUT_EXIT, &e);
	is_str(r->mem.text, "exit code 5", "an after_script that counts");
	end(r);
	r = begin("step", ORDER_NONE);
	r->failure = FAILURE_IMAGE;
	outcome_settle(r, OUT_FAILED, &e);
	is_str(failure_word(r->mem.failure), "image_pull_failure", "a class that is known better than by its error");
	end(r);
}

/* docs/processes.md has the stages in their order. */
static void
test_document(void)
{
	struct buf b = { .max = 1u << 20 };
	struct err e = { 0 };
	const char *at;

	if (!ok(fs_read(AT_FDCWD, "docs/processes.md", b.max, &b, &e) == 0, "docs/processes.md %s", e.msg))
		return;
	at = strstr(b.p, "\n## The stages of a job\n");
	ok(at != NULL, "has a section of the stages");
	for (size_t i = 0; at != NULL && stage_at(i) != NULL && !stage_is_end(stage_at(i)); i++) {
		char row[100];

		snprintf(row, sizeof(row), "\n| `%s` | %s |", stage_at(i)->name,
		    (const char *[]){ "", "executor", "helper", "build" }[stage_at(i)->where]);
		at = strstr(at, row);
		ok(at != NULL, "  with %s where it belongs", stage_at(i)->name);
	}
	buf_free(&b);
}

int
main(void)
{
	char name[] = "/tmp/job_stages_test.XXXXXX";

	if (mkdtemp(name) == NULL || (dir = fs_opendir(AT_FDCWD, name, NULL)) < 0)
		return 1;
	test_table();
	test_ways();
	test_items();
	test_limits();
	test_outcomes();
	test_first_failure();
	test_document();
	fs_remove_tree(AT_FDCWD, name, NULL);
	return done_testing();
}
