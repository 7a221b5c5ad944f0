/*
 * GitLab's answers through its API: the first byte chooses the call, the rest is what the server says. Numbers come within their
 * ranges, texts are fit for a log, a token is one that can be said again, and 201 is a job only when it is JSON.
 */
#include <fcntl.h>

#include "core/log.h"
#include "gitlab/runners.h"
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN		SECRET("glrt-secretsecretsecret")
#define BODY_MAX	(32u << 10)

static struct gitlab *gitlab;

static void
check_text(const char *s)
{
	for (; *s != '\0'; s++)
		assert(*s >= ' ' && *s <= '~');
}

static void
check_answer(const struct gitlab_answer *a, int rc, const struct err *e, bool post)
{
	assert(rc == 0 || (e->kind != ERR_NONE && e->kind != ERR_TIMEOUT && a->error.kind == e->kind));
	assert(rc < 0 || (a->status >= 100 && a->status <= 999));
	assert(a->body.n <= BODY_MAX && a->trace_interval >= 0 && a->trace_interval <= 900 && a->range_end >= -1);
	assert(memchr(a->last_update, '\0', sizeof(a->last_update)) != NULL && memchr(a->job_status, '\0', sizeof(a->job_status)) != NULL);
	if (rc < 0)
		return;
	if (a->status < 200 || a->status >= 300) {
		assert(a->error.kind != ERR_NONE && a->error.msg[0] != '\0');
		check_text(a->error.msg);
	} else if (post && a->status != 204 && a->body.n > 0)
		assert(str_casefind(peer_says, "application/json") >= 0);
}

static void
take_piece(void *ctx, struct str piece)
{
	buf_putstr(ctx, piece);
}

static void
about_job(int which)
{
	const struct gitlab_self self = { TOKEN, "s_1", "bash", STR("") };
	const struct gitlab_job job = { 7, TOKEN };
	static const struct gitlab_update u = { .state = "success", .crc = 1, .bytes = 5, .shell = "bash" };
	struct buf came = { .max = PEER_MAX };
	struct gitlab_answer a = { .body = { .max = BODY_MAX }, .arriving = take_piece, .arriving_ctx = &came };
	mono_t soon = mono_after(5 * NSEC_SEC);
	struct err e = { 0 };
	int rc;

	if (which == 0)
		rc = gitlab_request_job(gitlab, &self, "", &a, soon, &e);
	else if (which == 1)
		rc = gitlab_patch_trace(gitlab, job,
		    &(struct gitlab_piece){ .bytes = STR("lines") }, &a, soon, &e);
	else
		rc = gitlab_update_job(gitlab, job, &u, &a, soon, &e);
	check_answer(&a, rc, &e, which == 0);
	/* Whoever is told of a job's bytes as they come has them all, and nobody else's. */
	if (rc == 0)
		assert(str_eq(buf_str(&came), a.status == 201 ? buf_str(&a.body) : STR("")));
	buf_free(&came);
	a.arriving = NULL;
	/* The mark goes back to the server as it came, in JSON or not at all. */
	if (which == 0 && rc == 0 && a.status == 204)
		(void)gitlab_request_job(gitlab, &self, a.last_update, &a, soon, &e);
	gitlab_answer_free(&a);
}

static void
about_runner(int which)
{
	const struct gitlab_self self = { TOKEN, "s_1", "bash", STR("") };
	static const struct gitlab_tries once = { 1, -1 };
	const struct gitlab_registration reg = { .token = TOKEN, .description = "d" };
	struct gitlab_runner r = { 0 };
	mono_t soon = mono_after(5 * NSEC_SEC);
	struct err e = { 0 };
	int rc;

	if (which == 0)
		rc = gitlab_register(gitlab, &reg, &once, &r, soon, &e);
	else if (which == 1)
		rc = gitlab_verify(gitlab, &self, &once, &r, soon, &e);
	else
		rc = gitlab_reset_token(gitlab, (struct gitlab_reset){ TOKEN, 0 }, &once, &r, soon,
		    &e);
	if (rc == 0) {
		assert(memchr(r.token, '\0', sizeof(r.token)) != NULL);
		for (const char *p = r.token; *p != '\0'; p++)
			assert(*p > ' ' && *p <= '~');
	} else {
		assert(e.kind != ERR_NONE && e.kind != ERR_TIMEOUT && e.msg[0] != '\0');
		check_text(e.msg);
	}
	gitlab_runner_wipe(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > PEER_MAX)
		return 0;
	if (gitlab == NULL) {
		log_setup(LOG_FATAL, LOG_RUNNER);
		gitlab = gitlab_open(&(struct gitlab_opts){ .url = "http://127.0.0.1:9" }, NULL);
		assert(gitlab != NULL);
	}
	peer_says = str_of(data + 1, size - 1);
	if (data[0] % 6 < 3)
		about_job(data[0] % 6);
	else
		about_runner(data[0] % 6 - 3);
	gitlab_rest(gitlab);
	return 0;
}
