/* books/jobdir: the files by which a job's processes tell each other what they know. */
#include <stdlib.h>
#include <unistd.h>

#include "books/jobdir.h"
#include "core/fs.h"
#include "tap.h"
#include "wire/json.h"

static int dir;
static struct arena arena;

static const char *
bytes(const char *file)
{
	struct buf b = { 0 };
	const char *text = fs_read(dir, file, 4096, &b, NULL) == 0 ? arena_dup(&arena, buf_str(&b)) : "(none)";

	buf_free(&b);
	return text;
}

static void
put(const char *file, const char *text)
{
	fs_write_fast(dir, file, str_from(text), 0600, NULL);
}

static void
test_result(void)
{
	struct jobdir_result r = { .reason = "script_failure", .exit_code = 3, .text = "exit code 3", .dirty = true, .told = true };
	struct err e = { 0 };

	is_int(jobdir_result_read(dir, &arena, &r, &e), -1, "no result yet");
	is_int(e.kind, ERR_NOTFOUND, "  the job has not ended");
	r = (struct jobdir_result){ .reason = "script_failure", .exit_code = 3, .text = "exit code 3", .dirty = true, .told = true,
		.finished = wall_of_seconds(1772445600) };
	is_int(jobdir_result_write(dir, &r, &e), 0, "an executor's");
	is_str(bytes("result.json"), "{\"state\":\"failed\",\"failure_reason\":\"script_failure\",\"exit_code\":3,\"text\":\"exit code 3\","
	    "\"dirty\":true,\"finished\":\"2026-03-02T10:00:00.000Z\"}", "  stands as it always did");
	is_int(jobdir_result_read(dir, &arena, &r, &e), 0, "  is read");
	ok(!r.success && r.exit_code == 3 && r.dirty && r.told && wall_known(r.finished), "  whole");
	r.told = false;
	is_int(jobdir_result_write(dir, &r, &e), 0, "a manager's");
	ok(strstr(bytes("result.json"), "\"told\":false") != NULL, "  says that the trace's last line is missing");
	is_int(jobdir_result_read(dir, &arena, &r, &e), 0, "  is read");
	ok(!r.told, "  with that");
	put("result.json", "{\"state\":\"success\",\"later\":[1]}");
	is_int(jobdir_result_read(dir, &arena, &r, &e), 0, "one with little in it, of another version");
	ok(r.success && !r.dirty && r.told && r.reason[0] == '\0' && !wall_known(r.finished), "  says what it says");
	put("result.json", "{\"state\":");
	is_int(jobdir_result_read(dir, &arena, &r, &e), -1, "half a file");
	is_int(e.kind, ERR_PARSE, "  is damaged: %s", e.msg);
	put("result.json", "{\"state\":\"skipped\",\"exit_code\":0}");
	is_int(jobdir_result_read(dir, &arena, &r, &e), -1, "a state that nobody knows");
	ok(e.kind == ERR_PARSE && !r.success, "  is neither of the two");
	put("result.json", "[]");
	is_int(jobdir_result_read(dir, &arena, &r, &e), -1, "a list is no result");
}

static void
test_order(void)
{
	struct jobdir_order o = { .reason = FAILURE_CANCELED, .text = "canceled" };
	struct err e = { 0 };

	ok(!jobdir_order_read(dir, &arena, &o), "no order");
	is_int(jobdir_order_write(dir, &o, &e), 0, "one to cancel");
	is_str(bytes("cancel"), "{\"how\":\"cancel\",\"reason\":\"job_canceled\",\"text\":\"canceled\"}", "  stands as it always did");
	o = (struct jobdir_order){ .abort = true, .reason = FAILURE_INTERRUPTED, .text = "aborted: interrupt" };
	is_int(jobdir_order_write(dir, &o, &e), 0, "one to stop at once");
	o = (struct jobdir_order){ 0 };
	ok(jobdir_order_read(dir, &arena, &o) && o.abort && o.reason == FAILURE_INTERRUPTED, "  replaces it");
	is_str(o.text, "aborted: interrupt", "  with its words");
	put("cancel", "{");
	ok(!jobdir_order_read(dir, &arena, &o), "half an order is none");
	put("cancel", "{\"how\":\"pause\",\"reason\":\"job_canceled\"}");
	ok(!jobdir_order_read(dir, &arena, &o), "nor is one of a kind that nobody knows");
}

static void
test_place(void)
{
	struct jobdir_place p;
	struct err e = { 0 };

	is_int(jobdir_place_read(dir, false, &arena, &p, &e), -1, "no machine");
	is_int(e.kind, ERR_NOTFOUND, "  yet");
	is_str(p.machine, "", "  and no name");
	is_int(jobdir_place_write(dir, &(struct jobdir_place){ "runner-a-1", 7 }, &e), 0, "it gets one");
	is_str(bytes("machine"), "runner-a-1\n7\n", "  as two lines");
	is_int(jobdir_place_read(dir, true, &arena, &p, &e), 0, "  that are read");
	is_str(p.machine, "runner-a-1", "  the name");
	is_int((long long)p.slot, 7, "  and the number");
	put("machine", "runner-b-2");
	ok(jobdir_place_read(dir, false, &arena, &p, &e) == 0 && p.slot == 0, "a name alone, of an old version");
	put("machine", "\n3\n");
	is_int(jobdir_place_read(dir, false, &arena, &p, &e), -1, "a number alone");
	is_int(e.kind, ERR_PARSE, "  is damaged");
	put("machine", "../runner-b-2\n3\n");
	is_int(jobdir_place_read(dir, false, &arena, &p, &e), -1, "a way out of the store is no name");
	put("unfit", " no disk\n");
	put("gone", "x");
	is_str(jobdir_text(dir, JOBFILE_UNFIT, &arena), "no disk", "what was said of it");
	is_str(jobdir_text(dir, JOBFILE_LOST, &arena), "", "what was not");
	jobdir_place_drop(dir);
	ok(!fs_exists(dir, "machine") && !fs_exists(dir, "unfit") && !fs_exists(dir, "gone"), "all of it goes with the machine");
}

static void
test_settings(void)
{
	char *large = xcalloc(1, (5u << 20) + 1);
	struct job_settings s, back;
	struct err e = { 0 };

	is_int(jobdir_runner_read(dir, false, &arena, &back, &e), -1, "no runner.json");
	is_int(e.kind, ERR_NOTFOUND, "  yet");
	put("runner.json", "{\"runner_key\":\"0a1b2c3d\",\"url\":\"https://gitlab.example/\",\"job\":{\"name\":\"unit\"},\"later\":[1,{\"x\":2}]}");
	is_int(jobdir_runner_read(dir, false, &arena, &s, &e), 0, "one of a newer version");
	is_str(s.runner_key, "0a1b2c3d", "  whose pool");
	is_str(s.about.name, "unit", "  what job");
	is_int(jobdir_runner_write(dir, &s, &e), 0, "  written again");
	ok(strstr(bytes("runner.json"), "\"later\":[1,{\"x\":2}]") != NULL, "  keeps what nobody here knows");
	memset(large, 'x', 5u << 20);
	s.store = large;
	is_int(jobdir_runner_write(dir, &s, &e), -1, "one that nobody would read");
	is_int(e.kind, ERR_FULL, "  is not written: %s", e.msg);
	ok(jobdir_runner_read(dir, false, &arena, &back, &e) == 0 && strcmp(back.runner_key, "0a1b2c3d") == 0, "  and the one before stays");
	free(large);
}

static void
test_ticket(void)
{
	struct jobdir_ticket t = { .id = 42, .token = SECRET("glcbt-x") }, back;
	struct err e = { 0 };

	settings_init(&t.runner);
	t.runner.url = "https://gitlab.example/";
	t.runner.runner_key = "0a1b2c3d";
	t.runner.token = SECRET("glrt-secret");
	is_int(jobdir_ticket_write(dir, &t, &e), 0, "a ticket");
	ok(strstr(bytes("ticket.json"), "glrt-secret") == NULL, "  has nothing of the runner's own token");
	is_int(jobdir_ticket_read(dir, false, &arena, &back, &e), 0, "  is read");
	ok(back.id == 42 && strcmp(secret_reveal(back.token), "glcbt-x") == 0, "  which job");
	is_str(back.runner.url, "https://gitlab.example/", "  of which GitLab");
	is_str(back.runner.runner_key, "0a1b2c3d", "  whose");
	put("ticket.json", "{\"token\":\"glcbt-x\"}");
	is_int(jobdir_ticket_read(dir, false, &arena, &back, &e), -1, "without an id");
	is_int(e.kind, ERR_PARSE, "  it is none");
}

static void
test_stage(void)
{
	struct jobdir_stage s;
	struct err e = { 0 };

	is_int(jobdir_stage_read(dir, 4096, &arena, &s, &e), -1, "no stage.json");
	is_int(e.kind, ERR_NOTFOUND, "  yet");
	put("stage.json", "{\"v\":1,\"trace\":18231,\"stage\":\"step\",\"output\":{}}");
	ok(jobdir_stage_read(dir, 4096, &arena, &s, &e) == 0 && s.trace == 18231 && strcmp(s.stage, "step") == 0, "how far a job is");
	is_int(jobdir_stage_read(dir, 10, &arena, &s, &e), -1, "more than was asked for");
	ok(s.trace == 0 && s.stage[0] == '\0', "  says nothing");
}

static void
test_reported(void)
{
	struct json_val v;
	struct err e = { 0 };

	is_int(jobdir_reported_write(dir, 200, STR("{\"calls\":[{\"n\":5}]}"), &e), 0, "GitLab took it");
	is_int(json_parse(&arena, str_from(bytes("reported")), &v, &e), 0, "  which is read");
	is_int((long long)json_i64(json_get(v, "status"), 0), 200, "  the answer");
	is_int((long long)json_len(json_get(v, "calls")), 1, "  and what was counted");
}

int
main(void)
{
	char path[] = "/tmp/wl-jobdir-test.XXXXXX";
	struct err e = { 0 };

	ok(mkdtemp(path) != NULL, "a directory");
	dir = fs_opendir(AT_FDCWD, path, &e);
	test_result();
	test_order();
	test_place();
	test_settings();
	test_ticket();
	test_stage();
	test_reported();
	close(dir);
	fs_remove_tree(AT_FDCWD, path, NULL);
	arena_reset(&arena);
	return done_testing();
}
