/* job/payload: what stays of it when the rest is given up. */
#include <fcntl.h>
#include <unistd.h>

#include "core/fs.h"
#include "job/payload.h"
#include "tap.h"

static const char payload_text[] =
	"{\"id\":7,\"token\":\"glcbt-\\u0031\",\"runner_info\":{\"timeout\":90},\"variables\":[{\"key\":\"FF_TIMESTAMPS\",\"value\":\"false\"}],"
	"\"features\":{\"trace_sections\":true,\"failure_reasons\":[\"image_pull_failure\",\"moon_phase\",\"job_canceled\"]}}";
static const char runner_text[] =
	"{\"name\":\"the \\\"runner\\\"\",\"short_token\":\"aB\",\"system_id\":\"s_1\",\"url\":\"https://h/\",\"token\":\"glrt-x\",\"shell\":\"bash\",\"final_update_tries\":3,\"max_age_s\":60,"
	"\"docker\":{\"gpus\":\"all\"},\"tls_ca\":\"-----\"}";

int
main(void)
{
	char dir[] = "/tmp/payload_test.XXXXXX";
	struct arena whole = { 0 }, kept = { 0 };
	struct payload p;
	struct err e = { 0 };
	int fd = mkdtemp(dir) != NULL ? fs_opendir(AT_FDCWD, dir, &e) : -1;

	fs_write(fd, "payload.json", str_from(payload_text), 0600, &e);
	fs_write(fd, "runner.json", str_from(runner_text), 0600, &e);
	if (!is_int(payload_read(fd, &whole, &p, &e), 0, "read"))
		printf("# %s\n", e.msg);
	payload_keep(&p, &kept);
	arena_reset(&whole);
	is_int(p.id, 7, "id");
	is_str(secret_reveal(p.token), "glcbt-1", "token");
	is_int(p.timeout, 90 * NSEC_SEC, "timeout");
	is_str(p.runner.short_token, "aB", "short token");
	is_str(p.runner.system_id, "s_1", "system id");
	is_str(p.runner.url, "https://h/", "url");
	is_str(p.runner.shell, "bash", "shell");
	is_int(p.runner.max_age, 60 * NSEC_SEC, "how long a connection is kept");
	is_str(p.runner.docker.gpus, "all", "gpus");
	ok(p.trace_sections && !p.timestamps && !p.debug_trace, "flags");
	is_str(p.runner.name, "the \"runner\"", "the runner's name");
	is_int(p.runner.final_update_tries, 3, "tries");
	is_str(payload_failure_word(&p, "image_pull_failure"), "image_pull_failure", "a failure that GitLab knows");
	is_str(payload_failure_word(&p, "runner_configuration_error"), "script_failure", "one that it does not");
	is_str(payload_failure_word(&p, "runner_system_failure"), "runner_system_failure", "one that every GitLab knows");
	is_str(payload_failure_word(&p, "moon_phase"), "moon_phase", "one of a newer version that GitLab knows");
	is_str(payload_failure_word(&p, "sun_phase"), "unknown_failure", "one that it does not");
	is_str(payload_failure_word(&p, ""), "script_failure", "none");
	ok(p.runner.tls_ca[0] == '\0' && !secret_is_set(p.runner.token) && !json_present(json_get(p.root, "variables")), "the rest is gone");
	ok(kept.total < 1024, "and takes little: %zu bytes", kept.total);
	arena_reset(&kept);
	fs_remove_tree(AT_FDCWD, dir, NULL);
	close(fd);
	return done_testing();
}
