/*
 * A job's work from a few words of JSON, for tests: what GitLab and the
 * runner's configuration would always say is filled in.
 */
#ifndef JOB_FAKE_H
#define JOB_FAKE_H

#include "job/work.h"

/* Members of the objects, as JSON without braces; NULL: none. */
struct fake_spec {
	const char	*job;		/* of payload.json; must not name what has a field of its own below */
	const char	*git;		/* of git_info */
	const char	*vars;		/* elements of variables */
	const char	*script;	/* elements of the step `script` */
	const char	*after;		/* elements of after_script */
	const char	*runner;	/* of runner.json */
	const char	*flags;		/* of feature_flags */
};

#define FAKE_TOKEN	"glcbt-64_jobtokenjobtoken"
#define FAKE_RUNNER_TOKEN "glrt-t1_AbCdEfGhIrunnertoken"

/* "@B" becomes base. */
static inline void
fake_put(struct buf *b, const char *text, const char *base)
{
	for (const char *at; (at = strstr(text, "@B")) != NULL; text = at + 2) {
		buf_put(b, text, (size_t)(at - text));
		buf_puts(b, base);
	}
	buf_puts(b, text);
}

static inline struct json_val
fake_json(struct arena *a, struct buf *b)
{
	struct json_val v = JSON_NONE;
	struct err e = { 0 };

	if (b->failed || json_parse(a, arena_str(a, buf_str(b)), &v, &e) < 0) {
		printf("Bail out! the test's own JSON: %s\n# %.3000s\n", e.msg, b->p);
		exit(2);
	}
	buf_free(b);
	return v;
}

/* payload_read() without files. */
static inline void
fake_payload(struct arena *a, struct json_val root, struct json_val runner, struct payload *p)
{
	int64_t s = json_i64(json_path(root, "runner_info.timeout"), 0);

	*p = (struct payload){ .arena = a, .root = root };
	p->id = json_i64(json_get(root, "id"), 0);
	p->token = SECRET(json_cstr(a, json_get(root, "token")));
	p->timeout = (s > 0 && s < INT64_C(315360000) ? s : 7200) * NSEC_SEC;
	settings_read(a, runner, &p->runner);
	p->trace_sections = json_bool(json_path(root, "features.trace_sections"), false);
}

static inline void
fake_work(struct arena *a, const struct fake_spec *s, const char *base, struct payload *p, struct work *w)
{
	struct buf job = { .max = 64u << 20 }, runner = { .max = 1u << 20 };
	static const struct fake_spec none;
	struct json_val root;

	if (s == NULL)
		s = &none;
	buf_puts(&job, "{\"id\":42,\"token\":\"" FAKE_TOKEN "\",\"allow_git_fetch\":true,"
	    "\"job_info\":{\"project_id\":4711,\"project_full_path\":\"acme/shop/web\"},"
	    "\"runner_info\":{\"timeout\":3600},\"features\":{\"trace_sections\":true},\"git_info\":{");
	fake_put(&job, s->git != NULL ? s->git :
	    "\"repo_url\":\"https://gitlab-ci-token:" FAKE_TOKEN "@git.acme.example/acme/shop/web.git\"", base);
	buf_puts(&job, "},\"variables\":[");
	fake_put(&job, s->vars != NULL ? s->vars : "", base);
	buf_puts(&job, "],\"steps\":[{\"name\":\"script\",\"script\":[");
	fake_put(&job, s->script != NULL ? s->script : "", base);
	buf_puts(&job, "]}");
	if (s->after != NULL) {
		buf_puts(&job, ",{\"name\":\"after_script\",\"script\":[");
		fake_put(&job, s->after, base);
		buf_puts(&job, "]}");
	}
	buf_puts(&job, "]");
	if (s->job != NULL) {
		buf_puts(&job, ",");
		fake_put(&job, s->job, base);
	}
	buf_puts(&job, "}");
	buf_fmt(&runner, "{\"token\":\"" FAKE_RUNNER_TOKEN "\",\"short_token\":\"AbCdEfGhI\",\"system_id\":\"s_c2d22f638c25\","
	    "\"url\":\"https://git.acme.example/\",\"shell\":\"bash\",\"feature_flags\":{%s}", s->flags != NULL ? s->flags : "");
	if (s->runner != NULL) {
		buf_puts(&runner, ",");
		fake_put(&runner, s->runner, base);
	}
	buf_puts(&runner, "}");
	root = fake_json(a, &job);
	fake_payload(a, root, fake_json(a, &runner), p);
	work_init(w, p, "runner-x-1", "0123456789abcdef", 3);
}

#endif
