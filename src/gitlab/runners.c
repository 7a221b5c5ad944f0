/* The coordinator's calls about runners: see runners.h. */
#include "core/log.h"
#include "core/rand.h"
#include "gitlab/runners.h"
#include "policy/names.h"

#define BODY_MAX	(64u << 10)

/* A call with its two buffers, which hold tokens. */
struct call {
	struct gitlab_call	 c;
	struct buf		 head, body;
	struct json_w		 w;
};

void
gitlab_runner_wipe(struct gitlab_runner *r)
{
	explicit_bzero(r->token, sizeof(r->token));
}

static void
begin(struct call *k, const char *method, const char *path, struct secret runner_token)
{
	*k = (struct call){ .c = { .method = method, .path = path }, .head = { .max = 8192 }, .body = { .max = BODY_MAX } };
	k->w = (struct json_w){ .b = &k->body };
	buf_fmt(&k->head, "Content-Type: application/json\r\nRUNNER-TOKEN: %s\r\n",
	    secret_reveal(runner_token));
	jw_object(&k->w, NULL);
	/* The server looks into the body, workhorse and proxies into the head. */
	jw_cstr(&k->w, "token", secret_reveal(runner_token));
}

static void
end(struct call *k)
{
	buf_wipe(&k->head);
	buf_wipe(&k->body);
}

/* How long to wait before another try; -1: this answer is the last one. */
static dur_t
next_try(const struct gitlab_answer *a, const struct gitlab_tries *t, unsigned attempt,
    mono_t deadline)
{
	uint64_t rnd;
	dur_t wait;

	if (!retry_gitlab_status(a->status) || attempt + 1 >= t->most)
		return -1;
	rand_bytes(&rnd, sizeof(rnd));
	wait = retry_next(&retry_gitlab, attempt, &a->hint, wall_now(), rnd);
	if (wait < 0 || !mono_before(mono_after(wait), deadline))
		return -1;
	if (wait >= NSEC_SEC)
		log_info("GitLab asks to come again later", F_INT("status", a->status), F_DUR("wait", wait));
	return wait;
}

/* Tries until there is an answer that stays, which is in *a. 0, or -1: none came. */
static int
perform(struct gitlab *g, struct call *k, const struct gitlab_tries *t, struct gitlab_answer *a, mono_t deadline, struct err *e)
{
	if (k->body.n > 0) {
		jw_end_object(&k->w);
		k->c.body = buf_str(&k->body);
	}
	if (k->body.failed || k->head.failed)
		return err_set(e, ERR_REFUSED, 0, "the request is too large: tokens and texts above %u bytes", BODY_MAX);
	k->c.head = k->head.p;
	for (unsigned attempt = 0; ; attempt++) {
		dur_t wait;

		net_control(t->control);
		if (gitlab_exchange(g, &k->c, a, deadline, e) < 0)
			return -1;
		net_control(t->control);
		wait = next_try(a, t, attempt, deadline);
		if (wait < 0)
			return 0;
		if (net_pause(wait, e) < 0)
			return -1;
	}
}

static int
wanted(const struct gitlab_answer *a, int status, struct err *e)
{
	if (a->status == status)
		return 0;
	*e = a->error;
	if (e->kind == ERR_NONE)
		err_set(e, ERR_PROTO, a->status, "GitLab answered %d, which nobody expects here (%d is right)", a->status, status);
	return -1;
}

/* {"id", "token", "token_expires_at"} */
static int
take_runner(const struct gitlab_answer *a, struct gitlab_runner *out, struct err *e)
{
	struct arena ar = { 0 };
	struct json_val root, expires;
	int rc = -1;

	if (json_parse(&ar, buf_str(&a->body), &root, e) < 0) {
		err_ctx(e, "GitLab's answer");
		goto out;
	}
	out->id = json_i64(json_get(root, "id"), 0);
	if (str_copy(json_str(&ar, json_get(root, "token")), out->token, sizeof(out->token)) < 0) {
		err_set(e, ERR_PROTO, a->status, "GitLab's answer holds a token of more than %d bytes", GITLAB_TOKEN_MAX - 1);
		goto out;
	}
	/* A value in config.toml and a line of each request's head. */
	for (const char *p = out->token; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~') {
			err_set(e, ERR_PROTO, a->status, "GitLab's answer holds a token with bytes that no token has");
			goto out;
		}
	expires = json_get(root, "token_expires_at");
	if (json_present(expires) && time_parse_rfc3339(json_str(&ar, expires), &out->expires_at) < 0) {
		err_set(e, ERR_PROTO, a->status, "GitLab's answer holds a token_expires_at that is no date");
		goto out;
	}
	rc = 0;
out:
	/* The arena held the token. */
	arena_reset(&ar);
	return rc;
}

static void
take_date(const struct gitlab_answer *a, struct gitlab_runner *out)
{
	out->date = a->date;
	out->date_here = wall_now();
}

/* Of a call whose answer is a runner with its token. */
static int
ask_token(struct gitlab *g, struct call *k, const struct gitlab_tries *t, struct gitlab_runner *out,
    mono_t deadline, struct err *e)
{
	struct gitlab_answer a = { 0 };
	int rc;

	*out = (struct gitlab_runner){ 0 };
	rc = perform(g, k, t, &a, deadline, e);
	take_date(&a, out);
	if (rc == 0)
		rc = wanted(&a, 201, e);
	if (rc == 0)
		rc = take_runner(&a, out, e);
	if (rc == 0 && out->token[0] == '\0')
		rc = err_set(e, ERR_PROTO, a.status, "GitLab's answer holds no token");
	gitlab_answer_free(&a);
	end(k);
	return rc;
}

int
gitlab_register(struct gitlab *g, const struct gitlab_registration *r, const struct gitlab_tries *t,
    struct gitlab_runner *out, mono_t deadline, struct err *e)
{
	const struct { const char *key, *value; } texts[] = {
		{ "description", r->description }, { "maintenance_note", r->maintenance_note },
		{ "tag_list", r->tag_list }, { "access_level", r->access_level },
	};
	struct call k;

	begin(&k, "POST", "runners", r->token);
	gitlab_put_info(&k.w, r->shell, r->gpus, GITLAB_OFFER_BUILT);
	for (size_t i = 0; i < NELEM(texts); i++)
		if (texts[i].value != NULL && texts[i].value[0] != '\0')
			jw_cstr(&k.w, texts[i].key, texts[i].value);
	jw_bool(&k.w, "run_untagged", r->run_untagged);
	jw_bool(&k.w, "locked", r->locked);
	jw_bool(&k.w, "paused", r->paused);
	if (r->maximum_timeout > 0)
		jw_i64(&k.w, "maximum_timeout", r->maximum_timeout);
	return ask_token(g, &k, t, out, deadline, e);
}

int
gitlab_verify(struct gitlab *g, const struct gitlab_self *self, const struct gitlab_tries *t,
    struct gitlab_runner *out, mono_t deadline, struct err *e)
{
	struct gitlab_answer a = { 0 };
	struct call k;
	int rc;

	*out = (struct gitlab_runner){ 0 };
	begin(&k, "POST", "runners/verify", self->token);
	/* Servers before 14.6 say "200" in plain text. */
	k.c.plain = true;
	gitlab_put_info(&k.w, self->shell, self->gpus, GITLAB_OFFER_BUILT);
	if (self->system_id[0] != '\0')
		jw_cstr(&k.w, "system_id", self->system_id);
	rc = perform(g, &k, t, &a, deadline, e);
	take_date(&a, out);
	if (rc == 0)
		rc = wanted(&a, 200, e);
	if (rc == 0 && !str_eqc(str_trim(buf_str(&a.body)), "200"))
		rc = take_runner(&a, out, e);
	gitlab_answer_free(&a);
	end(&k);
	return rc;
}

int
gitlab_unregister(struct gitlab *g, struct secret token, const char *system_id,
    const struct gitlab_tries *t, mono_t deadline, struct err *e)
{
	bool created = names_token_is_created(str_from(secret_reveal(token)));
	struct gitlab_answer a = { 0 };
	struct call k;
	int rc;

	/* DELETE runners would take a created runner away from every host that uses it. */
	begin(&k, "DELETE", created ? "runners/managers" : "runners", token);
	if (created)
		jw_cstr(&k.w, "system_id", system_id);
	rc = perform(g, &k, t, &a, deadline, e);
	if (rc == 0)
		rc = wanted(&a, 204, e);
	gitlab_answer_free(&a);
	end(&k);
	return rc;
}

int
gitlab_reset_token(struct gitlab *g, struct gitlab_reset by, const struct gitlab_tries *t,
    struct gitlab_runner *out, mono_t deadline, struct err *e)
{
	struct call k = { .head = { .max = 8192 }, .body = { .max = BODY_MAX } };
	char path[80];

	if (by.runner == 0) {
		begin(&k, "POST", "runners/reset_authentication_token", by.token);
	} else {
		snprintf(path, sizeof(path), "runners/%" PRId64 "/reset_authentication_token",
		    by.runner);
		k.c = (struct gitlab_call){ .method = "POST", .path = path };
		buf_fmt(&k.head, "PRIVATE-TOKEN: %s\r\n", secret_reveal(by.token));
	}
	return ask_token(g, &k, t, out, deadline, e);
}
