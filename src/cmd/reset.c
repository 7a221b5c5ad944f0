/*
 * `windlass reset-token`: has GitLab make a new token for a runner, and
 * writes it into config.toml (spec gitlab-runner 3.3, 1.9).
 *
 * The old token is dead from GitLab's answer on. So the file is locked, read and found good, and the space for the new
 * one taken, before GitLab is asked.
 */
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "config/confedit.h"
#include "config/keys.h"
#include "core/log.h"
#include "wire/tomledit.h"

static const char about[] =
	"Replaces the token of runners by a new one. Entries are chosen by --name, by --url with --id, or by --all-runners.\n"
	"GitLab is asked with the old token, or with a personal access token (--pat) if the old one is not good any more.";

struct resetting {
	const char		*name, *url;
	struct secret		 pat;
	int64_t			 id;		/* 0: any */
	bool			 all, by_pat;	/* by_pat: asked with pat, not with the old token */
	struct gitlab_tries	 tries;
};

static bool
selects(const struct resetting *s, const struct runner *r)
{
	struct selection sel = { .name = s->name, .url = s->url };

	return s->all || (runnercmd_selects(&sel, r) && (s->id == 0 || s->id == r->id));
}

static int
ask_gitlab(const struct resetting *s, const struct runner *r, struct gitlab_runner *out, struct err *e)
{
	mono_t deadline = mono_after(RUNNERCMD_CALL_NS);
	struct gitlab_reset by = { r->token, 0 };
	struct gitlab *g;
	int rc;

	if (s->by_pat && r->id == 0)
		return err_set(e, ERR_CONFIG, 0, "its entry has no id, which --pat needs: look the number up in GitLab and write id = ... into the entry");
	g = runnercmd_gitlab_of(r, NULL, e);
	if (g == NULL)
		return -1;
	if (s->by_pat)
		by = (struct gitlab_reset){ s->pat, r->id };
	rc = gitlab_reset_token(g, by, &s->tries, out, deadline, e);
	gitlab_close(g);
	if (rc < 0 && (e->kind == ERR_TOKEN || e->kind == ERR_AUTH))
		err_ctx(e, s->by_pat ? "GitLab refuses the personal access token for this" :
		    "GitLab refuses the old token (reset it with --pat, or in GitLab)");
	return rc;
}

static int
set(struct tomledit *t, size_t i, enum key_id id, struct str value, struct err *e)
{
	return tomledit_set(t, runnercmd_entry(t->root, i), keys[id].name, value, e);
}

/* Writes what GitLab said into the i-th entry, and the file. */
static int
put_token(struct confedit *c, size_t i, const struct gitlab_runner *g, struct err *e)
{
	char obtained[RUNNERCMD_DATE_MAX], expires[RUNNERCMD_DATE_MAX];
	struct buf token = { .max = 8192 };
	int rc;

	runnercmd_date(wall_of_seconds(wall_seconds(wall_now())), obtained);
	runnercmd_date(g->expires_at, expires);
	toml_put_str(&token, str_from(g->token));
	rc = set(&c->t, i, K_RUNNER_token, buf_str(&token), e);
	/* The dates are worth less than the token: an entry that cannot take them is saved all the same. */
	if (rc == 0 && (set(&c->t, i, K_RUNNER_token_obtained_at, str_from(obtained), e) < 0 ||
	    set(&c->t, i, K_RUNNER_token_expires_at, str_from(expires), e) < 0))
		log_warn("The dates of the token could not be written", F_ERR(e));
	buf_wipe(&token);
	return rc == 0 ? confedit_save(c, e) : -1;
}

static bool
is_reference(const struct toml *node)
{
	const struct toml *v = key_value(K_RUNNER_token, node);

	return v != NULL && v->type == TOML_STRING && str_chr(v->s, '$') >= 0;
}

/* Whether the entry could take a new token, found out before the old one dies. */
static int
rehearse(struct confedit *c, size_t i, struct err *e)
{
	struct tomledit t;
	int rc = tomledit_open(&t, buf_str(&c->t.text), e);

	if (rc == 0)
		rc = set(&t, i, K_RUNNER_token, STR("\"x\""), e);
	tomledit_close(&t);
	return rc < 0 ? -1 : confedit_reserve(c, e);
}

static bool
same_token(const struct config *conf, size_t a, size_t b)
{
	return strcmp(conf->runners[a].base_url, conf->runners[b].base_url) == 0 &&
	    secret_equal(conf->runners[a].token, conf->runners[b].token);
}

/* The old token is dead for every entry that has it. */
static int
put_token_of_others(struct confedit *c, const struct config *conf, size_t i, const struct gitlab_runner *g, struct err *e)
{
	for (size_t k = 0; k < conf->nrunners; k++) {
		if (k == i || !same_token(conf, i, k))
			continue;
		if (confedit_reserve(c, e) < 0 || put_token(c, k, g, e) < 0)
			return err_ctx(e, "the entry \"%s\" of line %d, which has the same token", conf->runners[k].name, conf->runners[k].line);
		log_info("Another entry had the same token: the new one is in both", F_STR("name", conf->runners[k].name));
	}
	return 0;
}

/* Whether an entry before this one had its token, which is another now. */
static bool
reset_already(const struct config *conf, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_token(conf, i, k))
			return true;
	return false;
}

static int
reset_one(const struct resetting *s, struct confedit *c, const struct config *conf, size_t i)
{
	const struct runner *r = &conf->runners[i];
	struct gitlab_runner g = { 0 };
	struct err e = { 0 };
	int rc = -1;

	if (rehearse(c, i, &e) < 0 || ask_gitlab(s, r, &g, &e) < 0)
		goto out;
	if (is_reference(runnercmd_entry(c->t.root, i)))
		log_warn("The token came from the environment; the new one is written into the file itself", F_STR("name", r->name));
	rc = put_token(c, i, &g, &e);
	if (rc == 0)
		rc = put_token_of_others(c, conf, i, &g, &e);
	if (rc < 0)
		err_ctx(&e, "GitLab has made a new token, which is lost: reset it in GitLab and write it into the file");
out:
	gitlab_runner_wipe(&g);
	if (rc < 0)
		log_error("The token was not reset", F_STR("runner", r->short_token), F_STR("name", r->name), F_INT("line", r->line), F_ERR(&e));
	else
		log_info("The token was reset", F_STR("name", r->name), F_INT("id", r->id));
	return rc;
}

static int
go(const char *path, const struct resetting *s, struct err *e)
{
	size_t meant = 0, failed = 0;
	struct confedit c;
	struct config *conf = runnercmd_edit(&c, path, e);
	int rc = -1;

	if (conf == NULL)
		goto out;
	for (size_t i = 0; i < conf->nrunners; i++)
		if (selects(s, &conf->runners[i]) && (s->all || meant == 0)) {
			meant++;
			failed += !(s->all && reset_already(conf, i)) && reset_one(s, &c, conf, i) < 0;
		}
	if (meant > failed)
		log_info("Updated", F_STR("file", c.path));
	if (meant == 0)
		err_set(e, ERR_NOTFOUND, 0, "%s has no such runner: see `list`", c.path);
	else if (failed > 0)
		err_set(e, ERR_SERVER, 0, "%zu of %zu tokens were not reset", failed, meant);
	else
		rc = 0;
out:
	config_free(conf);
	confedit_close(&c);
	return rc;
}

static const struct opt opts[] = {
	OPT_CONFIG,
	{ .name = "name", .letter = 'n', .type = OPT_STRING, .arg = "RUNNER", .env = "RUNNER_NAME", .help = "the runner of this name" },
	{ .name = "url", .letter = 'u', .type = OPT_STRING, .arg = "URL", .env = "CI_SERVER_URL", .help = "with --id: its GitLab instance" },
	{ .name = "id", .letter = 'i', .type = OPT_INT, .arg = "N", .env = "RUNNER_ID", .help = "with --url: its number in GitLab" },
	{ .name = "all-runners", .type = OPT_BOOL, .help = "all of them" },
	{ .name = "pat", .type = OPT_STRING, .arg = "TOKEN", .env = "PERSONAL_ACCESS_TOKEN", .help = "personal access token to ask GitLab with" },
};
const struct usage cmd_reset_token_usage = USAGE("", about, opts);

int
cmd_reset_token(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct resetting s;
	struct err e = { 0 };
	char *path;
	int rc = 0;

	if (cmd_options(&cmd_reset_token_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	runnercmd_hello(true);
	s = (struct resetting){ .name = o[1].value, .url = o[2].value, .id = o[3].number,
	    .all = o[4].number, .pat = SECRET(o[5].value), .by_pat = o[5].value != NULL,
	    .tries = { GITLAB_TRIES, -1 } };
	if (!s.all && s.name == NULL && (s.url == NULL || s.id == 0)) {
		err_set(&e, ERR_CONFIG, 0, "which one? Give --name, --url with --id, or --all-runners");
		rc = runnercmd_fatal("reset-token", &e);
		goto out;
	}
	path = o[0].value != NULL ? xstrdup(o[0].value) : config_default_path();
	check_service_environment(path);
	s.tries.control = runnercmd_catch_signals();
	if (go(path, &s, &e) < 0)
		rc = runnercmd_fatal("reset-token", &e);
	free(path);
out:
	opt_free(o, NELEM(o));
	return rc;
}
