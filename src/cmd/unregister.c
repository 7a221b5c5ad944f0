/*
 * `windlass unregister`: tells GitLab that a runner, or this host under a
 * runner's token, is gone, and takes its entry out of config.toml (spec gitlab-runner
 * 3.3). An entry whose call failed stays, and so does the exit status: 1 when any did.
 */
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "config/confedit.h"
#include "core/log.h"
#include "policy/names.h"

static const char about[] =
	"Unregisters runners from GitLab and removes their entries from config.toml. A runner that was created in GitLab stays\n"
	"there, without this host; remove it in GitLab. Entries are chosen by --name, --token or both (the first that fits), or\n"
	"by --all-runners.";

/* What is to go, by which way GitLab is told, and how it went. */
struct unregistering {
	struct selection s;
	bool		 all;		/* of the selection; else the first */
	const char	*ca;		/* see runnercmd_gitlab_of() */
	struct gitlab_tries tries;
	char		 system_id[15];
	size_t		 meant, failed;
};

/* 0 when GitLab knows nothing of it any more. */
static int
tell_gitlab(const struct unregistering *u, const struct runner *r)
{
	/* Such a token has managers of its own, of which this host is one. */
	bool created = names_token_is_created(str_from(secret_reveal(r->token)));
	struct gitlab *g;
	struct err e = { 0 };
	int rc;

	g = runnercmd_gitlab_of(r, u->ca, &e);
	rc = g == NULL ? -1 :
	    gitlab_unregister(g, r->token, u->system_id, &u->tries, mono_after(RUNNERCMD_CALL_NS), &e);
	gitlab_close(g);
	if (rc == 0) {
		log_info(created ? "Unregistering runner manager from GitLab succeeded" :
		    "Unregistering runner from GitLab succeeded", F_STR("runner", r->short_token), F_STR("name", r->name));
		return 0;
	}
	if (e.kind == ERR_NOTFOUND) {
		log_info("GitLab does not know this host under the token any more: only the entry is removed",
		    F_STR("runner", r->short_token), F_STR("name", r->name));
		return 0;
	}
	if (e.kind == ERR_TOKEN)
		err_ctx(&e, "forbidden: GitLab does not know the token any more; `verify --delete` removes such entries");
	log_error("Unregistering runner from GitLab failed: its entry stays", F_STR("runner", r->short_token), F_STR("name", r->name), F_ERR(&e));
	return -1;
}

/*
 * Whether this host goes on using the runner through another entry of the file: the token and this host's place under it are
 * those of both. `gone` marks the entries that are out of the file.
 */
static bool
shared(const struct config *conf, const bool *gone, size_t i)
{
	for (size_t k = 0; k < conf->nrunners; k++)
		if (k != i && !gone[k] && strcmp(conf->runners[k].base_url, conf->runners[i].base_url) == 0 &&
		    secret_equal(conf->runners[k].token, conf->runners[i].token))
			return true;
	return false;
}

/* What GitLab is told of the i-th entry's end: nothing while another one needs it. 0 or -1. */
static int
forget(const struct unregistering *u, const struct config *conf, const bool *gone, size_t i)
{
	const struct runner *r = &conf->runners[i];

	if (!shared(conf, gone, i))
		return tell_gitlab(u, r);
	log_info("Another entry of the file has the same token: only the entry is removed, GitLab is not told",
	    F_STR("runner", r->short_token), F_STR("name", r->name));
	return 0;
}

/*
 * One after another, each entry removed from the text as soon as GitLab has agreed. Counts those that
 * were meant and those that failed; -1 when the text cannot be edited.
 */
static int
unregister(struct unregistering *u, struct confedit *c, struct config *conf, struct err *e)
{
	bool *removed = arena_calloc(&conf->arena, conf->nrunners + 1, sizeof(*removed));
	size_t gone = 0;

	for (size_t i = 0; i < conf->nrunners; i++) {
		const struct runner *r = &conf->runners[i];
		const struct toml *node;

		if (!runnercmd_selects(&u->s, r) || (!u->all && u->meant == 1))
			continue;
		u->meant++;
		if (confedit_reserve(c, e) < 0)
			return -1;
		if (forget(u, conf, removed, i) < 0) {
			u->failed++;
			continue;
		}
		node = runnercmd_entry(c->t.root, i - gone);
		if (node == NULL || tomledit_remove(&c->t, node, e) < 0)
			return err_ctx(e, "%s: the entry \"%s\" of line %d must be removed by hand", c->path, r->name, r->line);
		gone++;
		removed[i] = true;
		if (confedit_save(c, e) < 0)
			return err_ctx(e, "GitLab has forgotten \"%s\", but its entry is still in the file", r->name);
	}
	return 0;
}

static int
go(struct unregistering *u, const char *path, struct err *e)
{
	struct confedit c;
	struct config *conf = runnercmd_edit(&c, path, e);
	int rc = -1;

	if (conf == NULL || config_system_id(path, u->system_id, e) < 0 || unregister(u, &c, conf, e) < 0)
		goto out;
	if (u->meant == 0 && u->all && conf->nrunners == 0) {
		log_info("There is no runner in the file", F_STR("file", c.path));
		rc = 0;
	} else if (u->meant == 0) {
		err_set(e, ERR_NOTFOUND, 0, "%s has no such runner: see `list`", c.path);
	} else if (u->failed > 0) {
		err_set(e, ERR_SERVER, 0, "%zu of %zu runners could not be unregistered", u->failed, u->meant);
	} else {
		rc = 0;
	}
	if (u->meant > u->failed)
		log_info("Updated", F_STR("file", c.path), F_INT("removed", u->meant - u->failed));
out:
	config_free(conf);
	confedit_close(&c);
	return rc;
}

static const struct opt opts[] = {
	OPT_CONFIG,
	{ .name = "name", .letter = 'n', .type = OPT_STRING, .arg = "RUNNER", .env = "RUNNER_NAME", .help = "the runner of this name" },
	{ .name = "token", .letter = 't', .type = OPT_STRING, .arg = "TOKEN", .env = "CI_SERVER_TOKEN", .help = "the runner with this token" },
	{ .name = "url", .letter = 'u', .type = OPT_STRING, .arg = "URL", .env = "CI_SERVER_URL", .help = "only runners of this GitLab instance" },
	{ .name = "tls-ca-file", .type = OPT_STRING, .arg = "FILE", .env = "CI_SERVER_TLS_CA_FILE", .help = "PEM file of a private certificate authority, for entries that name none" },
	{ .name = "all-runners", .type = OPT_BOOL, .help = "all of them" },
};
const struct usage cmd_unregister_usage = USAGE("", about, opts);

int
cmd_unregister(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct unregistering u = { .tries = { GITLAB_TRIES, -1 } };
	struct err e = { 0 };
	char *path;
	int rc = 0;

	if (cmd_options(&cmd_unregister_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	runnercmd_hello(true);
	u.all = opt_find(o, NELEM(o), "all-runners")->number;
	u.ca = opt_find(o, NELEM(o), "tls-ca-file")->value;
	/* What the environment says of one runner does not narrow "all". */
	if (!u.all)
		u.s = (struct selection){ .name = o[1].value, .token = SECRET(o[2].value), .url = o[3].value };
	if (!u.all && u.s.name == NULL && o[2].value == NULL) {
		err_set(&e, ERR_CONFIG, 0, "which one? Give --name, --token or --all-runners");
		rc = runnercmd_fatal("unregister", &e);
		goto out;
	}
	path = o[0].value != NULL ? xstrdup(o[0].value) : config_default_path();
	check_service_environment(path);
	u.tries.control = runnercmd_catch_signals();
	if (go(&u, path, &e) < 0)
		rc = runnercmd_fatal("Not all was unregistered", &e);
	free(path);
out:
	opt_free(o, NELEM(o));
	return rc;
}
