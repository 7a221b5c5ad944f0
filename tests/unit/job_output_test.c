/* A job's secrets and this process's own log: what is said about a job is masked as its trace is. */
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "job/output.h"
#include "tap.h"

#define PAYLOAD \
	"{\"id\":7,\"token\":\"glcbt-jobtokenjobtoken\",\"variables\":[{\"key\":\"PASSWORD\",\"value\":\"hunter2hunter2\"," \
	"\"masked\":true},{\"key\":\"OPEN\",\"value\":\"nothing secret\",\"masked\":false}]}"

static const char *
masked(const struct output *o, const char *text)
{
	static char out[2048];
	struct buf b = { .max = 4096 };

	output_mask(o, str_from(text), &b);
	snprintf(out, sizeof(out), "%s", b.n > 0 ? b.p : "");
	buf_free(&b);
	return out;
}

static void
test_log(void)
{
	char text[2048];
	int fd[2], old = dup(STDERR_FILENO);
	ssize_t n;

	if (pipe(fd) < 0)
		return;
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	log_info("Job failed", F_STR("text", "pull of registry/hunter2hunter2/x: denied"));
	dup2(old, STDERR_FILENO);
	close(old);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	text[n > 0 ? n : 0] = '\0';
	ok(strstr(text, "hunter2") == NULL && strstr(text, "pull of registry/[MASKED]/x: denied") != NULL, "the log masks: %s", text);
}

int
main(void)
{
	char dir[] = "/tmp/job_output_test.XXXXXX", cut[512];
	struct arena a = { 0 };
	struct payload p = { .arena = &a, .id = 7, .timeout = NSEC_SEC };
	struct output o = { .fd = -1 };
	struct err e = { 0 };
	struct work w;
	int fd;

	if (mkdtemp(dir) == NULL || json_parse(&a, STR(PAYLOAD), &p.root, &e) < 0)
		return 1;
	p.token = SECRET(arena_dup(&a, STR("glcbt-jobtokenjobtoken")));
	settings_init(&p.runner);
	p.runner.short_token = "abcdef";
	p.runner.system_id = "s_1";
	p.runner.url = "https://gitlab.example";
	is_str(masked(&o, "hunter2hunter2"), "hunter2hunter2", "before the job is known nothing can be masked");
	work_init(&w, &p, "runner-x-1", "0123456789abcdef", 0);
	fd = fs_opendir(AT_FDCWD, dir, &e);
	is_int(output_begin(&o, fd, &w, &e), 0, "a job's output");
	is_str(masked(&o, "no such image: hunter2hunter2:latest"), "no such image: [MASKED]:latest", "a masked variable");
	is_str(masked(&o, "token glcbt-jobtokenjobtoken and glpat-12345678901234567890"), "token [MASKED] and glpat-[MASKED]", "tokens");
	is_str(masked(&o, "GET https://x/?private_token=abc&y"), "GET https://x/?private_token=[MASKED]&y", "parameters of URLs");
	is_str(masked(&o, "nothing secret"), "nothing secret", "other text stays");
	is_str(masked(&o, "hunter2"), "hunter2", "so does the beginning of a secret");
	memset(cut, 'x', sizeof(cut));
	memcpy(cut + sizeof(cut) - 1 - 10, "hunter2hun", 11);
	ok(strstr(masked(&o, cut), "hunter") == NULL && strlen(masked(&o, cut)) == 501 + 3, "but not where a full message was cut within it");
	test_log();
	log_filter(NULL, NULL);
	mask_set_free(o.set);
	buf_free(&w.warnings);
	arena_reset(&a);
	close(o.fd);
	close(fd);
	fs_remove_tree(AT_FDCWD, dir, &e);
	return done_testing();
}
