/*
 * `windlass verify`: asks GitLab whether the tokens of config.toml are good
 * (spec gitlab-runner 3.3). A token that GitLab refuses is told apart from a GitLab that could not be asked: only
 * the first kind is removed by --delete, and both end with status 1 while they stand in the file.
 */
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "config/confedit.h"
#include "core/log.h"

static const char about[] =
	"Asks GitLab about every runner of config.toml, or those chosen. Exit status 0: all are valid (or, with --delete,\n"
	"the others were removed). 1: some are not, or could not be verified; what could not be verified is never removed.";

enum verdict { VALID, INVALID, UNSURE };

/* What is the same for every entry. */
struct verifying {
	const char	*ca;		/* see runnercmd_gitlab_of() */
	const char	*system_id;
	struct gitlab_tries tries;
};

static enum verdict
verify_one(const struct verifying *v, const struct runner *r)
{
	const struct gitlab_self self = { r->token, v->system_id, r->shell, runnercmd_gpus(r) };
	struct gitlab *g = NULL;
	struct gitlab_runner out = { 0 };
	struct err e = { 0 };
	int rc;

	if (!secret_is_set(r->token))
		rc = err_set(&e, ERR_CONFIG, 0, "it has no token");
	else if ((g = runnercmd_gitlab_of(r, v->ca, &e)) == NULL)
		rc = -1;
	else
		rc = gitlab_verify(g, &self, &v->tries, &out, mono_after(RUNNERCMD_CALL_NS), &e);
	gitlab_close(g);
	gitlab_runner_wipe(&out);
	if (rc == 0) {
		log_info("Verifying runner... is valid", F_STR("runner", r->short_token), F_STR("name", r->name), F_INT("id", out.id));
		return VALID;
	}
	if (e.kind == ERR_TOKEN) {
		log_error("Verifying runner... is not valid: GitLab refuses the token", F_STR("runner", r->short_token), F_STR("name", r->name),
		    F_INT("line", r->line), F_ERR(&e));
		return INVALID;
	}
	if (e.sys == 422)
		log_error("Verifying runner... is orphaned: its project or group is gone. `unregister` removes the entry",
		    F_STR("runner", r->short_token), F_STR("name", r->name), F_INT("line", r->line), F_ERR(&e));
	else
		log_error("Verifying runner... could not be verified: nothing is known about the token",
		    F_STR("runner", r->short_token), F_STR("name", r->name), F_INT("line", r->line), F_ERR(&e));
	return UNSURE;
}

/* Removes the entries of the file that have one of these (url, token) pairs now; it may have changed meanwhile. */
static int
remove_entries(const char *path, const struct config *asked, const bool *doomed, struct err *e)
{
	struct confedit c;
	struct config *now = runnercmd_edit(&c, path, e);
	size_t gone = 0;
	int rc = -1;

	if (now == NULL)
		goto out;
	for (size_t i = 0; i < now->nrunners; i++) {
		bool goes = false;

		for (size_t k = 0; k < asked->nrunners; k++)
			goes |= doomed[k] && strcmp(asked->runners[k].base_url, now->runners[i].base_url) == 0 &&
			    secret_equal(asked->runners[k].token, now->runners[i].token);
		if (!goes)
			continue;
		if (tomledit_remove(&c.t, runnercmd_entry(c.t.root, i - gone), e) < 0) {
			err_ctx(e, "%s: the entry \"%s\" must be removed by hand", c.path, now->runners[i].name);
			goto out;
		}
		gone++;
	}
	if (gone > 0 && confedit_save(&c, e) < 0)
		goto out;
	log_info("Updated", F_STR("file", c.path), F_INT("removed", gone));
	rc = 0;
out:
	config_free(now);
	confedit_close(&c);
	return rc;
}

static int
go(const char *path, const struct selection *s, bool delete, struct verifying *how, struct err *e)
{
	struct config *conf = config_load(path, NULL, NULL, e);
	size_t meant = 0, invalid = 0, unsure = 0;
	bool *doomed = NULL;
	char system_id[15];
	int rc = -1;

	if (conf == NULL)
		return -1;
	doomed = xcalloc(conf->nrunners + 1, sizeof(*doomed));
	if (conf->nrunners > 0 && config_system_id(path, system_id, e) < 0)
		goto out;
	how->system_id = system_id;
	for (size_t i = 0; i < conf->nrunners; i++) {
		enum verdict v;

		if (!runnercmd_selects(s, &conf->runners[i]))
			continue;
		meant++;
		v = verify_one(how, &conf->runners[i]);
		doomed[i] = v == INVALID;
		invalid += v == INVALID;
		unsure += v == UNSURE;
	}
	if (meant == 0) {
		err_set(e, ERR_NOTFOUND, 0, conf->nrunners == 0 ? "%s has no runners" : "%s has no such runner: see `list`", path);
		goto out;
	}
	if (delete && invalid > 0 && remove_entries(path, conf, doomed, e) < 0)
		goto out;
	if (unsure > 0)
		err_set(e, ERR_NET, 0, "%zu of %zu runners could not be verified%s", unsure, meant, delete ? " and were kept" : "");
	else if (invalid > 0 && !delete)
		err_set(e, ERR_TOKEN, 0, "%zu of %zu runners are not valid (--delete removes them from the file)", invalid, meant);
	else
		rc = 0;
out:
	how->system_id = NULL;
	free(doomed);
	config_free(conf);
	return rc;
}

static const struct opt opts[] = {
	OPT_CONFIG,
	{ .name = "name", .letter = 'n', .type = OPT_STRING, .arg = "RUNNER", .help = "only the runner of this name" },
	{ .name = "url", .letter = 'u', .type = OPT_STRING, .arg = "URL", .help = "only runners of this GitLab instance" },
	{ .name = "token", .letter = 't', .type = OPT_STRING, .arg = "TOKEN", .help = "only the runner with this token" },
	{ .name = "tls-ca-file", .type = OPT_STRING, .arg = "FILE", .env = "CI_SERVER_TLS_CA_FILE", .help = "PEM file of a private certificate authority, for entries that name none" },
	{ .name = "delete", .type = OPT_BOOL, .help = "remove entries whose token GitLab refuses" },
};
const struct usage cmd_verify_usage = USAGE("", about, opts);

int
cmd_verify(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct verifying how = { .tries = { GITLAB_TRIES, -1 } };
	struct selection s;
	struct err e = { 0 };
	char *path;
	int rc = 0;

	if (cmd_options(&cmd_verify_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	runnercmd_hello(true);
	s = (struct selection){ .name = o[1].value, .url = o[2].value, .token = SECRET(o[3].value) };
	how.ca = opt_find(o, NELEM(o), "tls-ca-file")->value;
	path = o[0].value != NULL ? xstrdup(o[0].value) : config_default_path();
	check_service_environment(path);
	how.tries.control = runnercmd_catch_signals();
	if (go(path, &s, opt_find(o, NELEM(o), "delete")->number, &how, &e) < 0)
		rc = runnercmd_fatal("verify", &e);
	free(path);
	opt_free(o, NELEM(o));
	return rc;
}
