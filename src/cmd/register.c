/*
 * `windlass register`: asks for what it needs, has GitLab confirm the token
 * (or make a runner, the old way), and adds an entry to config.toml (spec
 * gitlab-runner 3.2).
 *
 * Nothing is half done: what may fail on this host is tried first (options,
 * template, whether the new file would be good and find room), then GitLab
 * is asked, then the file is written. When something fails behind GitLab's
 * answer, or somebody interrupts, what GitLab was told is taken back, unless --leave-runner.
 */
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "cmd/runnerflags.h"
#include "config/confedit.h"
#include "core/fs.h"
#include "core/log.h"
#include "policy/names.h"
#include "wire/imageref.h"
#include "wire/url.h"

#define TEMPLATE_MAX	(1u << 20)
#define EXECUTOR	"docker+machine"
#define TRY_URL_NS	(15 * NSEC_SEC)
#define HOST_NAME_ROOM	256

static const struct opt own[] = {
	OPT_CONFIG,
	{ .name = "template-config", .type = OPT_STRING, .arg = "FILE", .env = "TEMPLATE_CONFIG_FILE",
	  .help = "file with one [[runners]] entry: what no option says is taken from it" },
	{ .name = "non-interactive", .letter = 'n', .type = OPT_BOOL, .env = "REGISTER_NON_INTERACTIVE", .help = "ask nothing" },
	{ .name = "registration-token", .letter = 'r', .type = OPT_STRING, .arg = "TOKEN", .env = "REGISTRATION_TOKEN",
	  .help = "registration token (deprecated in GitLab), or a token created in GitLab" },
	{ .name = "leave-runner", .type = OPT_BOOL, .env = "REGISTER_LEAVE_RUNNER",
	  .help = "do not take the registration back when a later step fails" },
	{ .name = "description", .type = OPT_STRING, .arg = "TEXT", .help = "the same as --name" },
	{ .name = "tag-list", .type = OPT_STRING, .arg = "TAG,...", .env = "RUNNER_TAG_LIST", .help = "tags, with commas; only with a registration token" },
	{ .name = "run-untagged", .type = OPT_BOOL, .env = "REGISTER_RUN_UNTAGGED",
	  .help = "take jobs without tags; only with a registration token" },
	{ .name = "locked", .type = OPT_BOOL, .env = "REGISTER_LOCKED",
	  .help = "lock to the project, true unless told otherwise; only with a registration token" },
	{ .name = "access-level", .type = OPT_STRING, .arg = "not_protected|ref_protected", .env = "REGISTER_ACCESS_LEVEL",
	  .help = "not_protected or ref_protected; only with a registration token" },
	{ .name = "maximum-timeout", .type = OPT_INT, .arg = "SECONDS", .env = "REGISTER_MAXIMUM_TIMEOUT",
	  .help = "seconds a job may take; only with a registration token" },
	{ .name = "paused", .type = OPT_BOOL, .env = "REGISTER_PAUSED", .help = "begin paused; only with a registration token" },
	{ .name = "maintenance-note", .type = OPT_STRING, .arg = "TEXT", .env = "REGISTER_MAINTENANCE_NOTE",
	  .help = "note for administrators; only with a registration token" },
};

/* What the server keeps for a token that was created there, and no option may say. */
static const char *const server_side[] = {
	"tag-list", "run-untagged", "locked", "access-level", "maximum-timeout", "paused", "maintenance-note",
};

struct registering {
	struct runnerflags	 f;
	char			*config;	/* path */
	char			 system_id[15];
	bool			 ask;
	int			 signals;
	struct arena		 arena;		/* of the template's tree */
	struct buf		 template_text;
	const struct toml	*template;
	struct gitlab		*gitlab;
	struct gitlab_tries	 tries;
	bool			 created;	/* the token was created in GitLab */
	bool			 told;		/* GitLab knows of us now */
	int64_t			 concurrent;	/* of the file */
	bool			 known_before;	/* an entry of the file has this token */
	struct gitlab_runner	 runner;
};

static const char *
text(const struct registering *r, const char *flag)
{
	return runnerflags_str(&r->f, flag);
}

static bool
given(const struct registering *r, const char *flag)
{
	return runnerflags_opt(&r->f, flag)->given;
}

/* What the option of a key says by now; "" for nothing. */
static const char *
of_key(const struct registering *r, enum key_id id)
{
	return text(r, keys[id].flag);
}

static void
set_key(struct registering *r, enum key_id id, const char *value)
{
	runnerflags_set(&r->f, keys[id].flag, value);
}

/* ---- questions ---- */

enum answer { ANSWER_NEEDED, ANSWER_OPTIONAL };

/*
 * The question, with what an empty line means in brackets, until there is an answer. Not interactive: what is
 * needed must have been given.
 */
static int
ask(struct registering *r, const char *flag, const char *question, const char *otherwise, enum answer kind, struct err *e)
{
	const struct opt *o = runnerflags_opt(&r->f, flag);
	const char *now = text(r, flag)[0] != '\0' ? text(r, flag) : otherwise;

	if (!r->ask) {
		if (now[0] == '\0' && kind == ANSWER_NEEDED)
			return err_set(e, ERR_CONFIG, 0, "--%s%s%s is missing, and --non-interactive forbids to ask for it", flag,
			    o->env != NULL ? " or $" : "", o->env != NULL ? o->env : "");
		runnerflags_set(&r->f, flag, now);
		return 0;
	}
	for (;;) {
		char *line;
		struct str answer;

		fprintf(stderr, "%s\n", question);
		if (now[0] != '\0')
			fprintf(stderr, "[%s]: ", now);
		line = runnercmd_read_line(r->signals, e);
		if (line == NULL) {
			fputc('\n', stderr);
			return e->kind == ERR_NOTFOUND ?
			    err_ctx(e, "no answer to \"%s\" (to be asked nothing, give --non-interactive and the options)", question) : -1;
		}
		answer = str_trim(str_from(line));
		if (answer.n > 0 || now[0] != '\0' || kind == ANSWER_OPTIONAL) {
			char *value = answer.n > 0 ? str_dup(answer) : xstrdup(now);

			runnerflags_set(&r->f, flag, value);
			free(value);
			free(line);
			return 0;
		}
		free(line);
		fprintf(stderr, "An answer is needed: there is nothing to take instead (an interrupt ends this, and nothing is changed).\n");
	}
}

/* What no server could be asked at: told at the question, not after all the others. */
static int
check_url(const struct registering *r, struct err *e)
{
	struct url u;

	if (url_parse(str_trim(str_from(of_key(r, K_RUNNER_url))), &u, e) < 0)
		return err_ctx(e, "\"%s\"", of_key(r, K_RUNNER_url));
	if (!str_caseeq(u.scheme, "https") && !str_caseeq(u.scheme, "http"))
		return err_set(e, ERR_CONFIG, 0, "\"%s\": only https:// and http:// are possible",
		    of_key(r, K_RUNNER_url));
	return 0;
}

static struct gitlab *
open_gitlab(const struct registering *r, struct err *e)
{
	return runnercmd_gitlab(of_key(r, K_RUNNER_url), of_key(r, K_RUNNER_tls_ca_file),
	    of_key(r, K_RUNNER_tls_cert_file), of_key(r, K_RUNNER_tls_key_file), e);
}

/*
 * Whether somebody answers there with a certificate that is trusted: better known now than behind the token. No token is sent, so
 * every answer is a good one.
 */
static int
try_url(struct registering *r, struct err *e)
{
	static const struct gitlab_tries once = { 1, -1 };
	const struct gitlab_self nobody = { SECRET(""), "", "", STR("") };
	struct gitlab *g = open_gitlab(r, e);
	struct gitlab_runner out = { 0 };
	int rc = -1;

	if (g == NULL)
		return -1;
	if (gitlab_verify(g, &nobody, &once, &out, mono_after(TRY_URL_NS), e) == 0 ||
	    (e->kind != ERR_TLS && e->kind != ERR_NET && e->kind != ERR_TIMEOUT && e->kind != ERR_CANCELLED))
		rc = 0;
	if (rc < 0 && e->kind == ERR_TLS)
		err_ctx(e, "its certificate is not trusted here (an authority of your own is named with --tls-ca-file FILE)");
	gitlab_runner_wipe(&out);
	gitlab_close(g);
	return rc;
}

/* Asks again, until it is one. */
static int
ask_url(struct registering *r, struct err *e)
{
	for (;;) {
		struct err why = { 0 };

		if (ask(r, keys[K_RUNNER_url].flag,
		    "Enter the GitLab instance URL (for example, https://gitlab.com/):", "", ANSWER_NEEDED, e) < 0)
			return -1;
		if (!r->ask || (check_url(r, &why) == 0 && try_url(r, &why) == 0))
			return 0;
		if (why.kind == ERR_TLS || why.kind == ERR_CANCELLED) {
			*e = why;
			return -1;
		}
		log_error("No GitLab instance answers there: write its address whole, with https://", F_ERR(&why));
		set_key(r, K_RUNNER_url, "");
	}
}

/* "windlass" where the host has no name that fits. */
static void
host_name(char name[HOST_NAME_ROOM])
{
	if (gethostname(name, HOST_NAME_ROOM) < 0)
		snprintf(name, HOST_NAME_ROOM, "windlass");
	name[HOST_NAME_ROOM - 1] = '\0';
}

static int
ask_executor(struct registering *r, struct err *e)
{
	for (;;) {
		bool wrong;

		if (ask(r, keys[K_RUNNER_executor].flag, "Enter an executor: " EXECUTOR ":",
		    r->ask ? EXECUTOR : "", ANSWER_NEEDED, e) < 0)
			return -1;
		wrong = strcmp(of_key(r, K_RUNNER_executor), EXECUTOR) != 0;
		if (!wrong)
			return 0;
		if (!r->ask)
			return err_set(e, ERR_CONFIG, 0, "--executor %s: windlass runs " EXECUTOR " and no other",
			    of_key(r, K_RUNNER_executor));
		log_error("windlass runs " EXECUTOR " and no other",
		    F_STR("executor", of_key(r, K_RUNNER_executor)));
		set_key(r, K_RUNNER_executor, "");
	}
}

static bool
holds_blank(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return true;
	return false;
}

static int
ask_token(struct registering *r, struct err *e)
{
	static const char question[] = "Enter the authentication token of the runner, as GitLab shows it (glrt-...), or a registration token:";

	while (ask(r, "registration-token", question, "", ANSWER_NEEDED, e) == 0) {
		if (!r->ask || !holds_blank(text(r, "registration-token")))
			return 0;
		log_error("This is no token: it holds a blank or a control character");
		runnerflags_set(&r->f, "registration-token", "");
	}
	return -1;
}

/* A name that no engine takes is told now, not by the first job. Variables are put in by the job. */
static int
ask_image(struct registering *r, struct err *e)
{
	while (ask(r, keys[K_DOCKER_image].flag,
	    "Enter the default Docker image (for example, alpine:latest):", "", ANSWER_NEEDED, e) == 0) {
		const char *image = of_key(r, K_DOCKER_image);
		struct imageref ref;
		struct err why = { 0 };

		if (!r->ask || strchr(image, '$') != NULL || imageref_parse(str_from(image), &ref, &why) == 0)
			return 0;
		log_error("This is no image", F_STR("image", image), F_ERR(&why));
		set_key(r, K_DOCKER_image, "");
	}
	return -1;
}

/* ---- the template ---- */

/* A text key of the template where no option says it: so that questions show it, and it counts like one. */
static void
fill_from_template(struct registering *r, const struct toml *table, enum key_id id)
{
	const struct toml *v = key_value(id, table);

	if (v == NULL || v->type != TOML_STRING || of_key(r, id)[0] != '\0')
		return;
	set_key(r, id, arena_dup(&r->arena, v->s));
}

static int
load_template(struct registering *r, struct err *e)
{
	static const enum key_id shown[] = {
		K_RUNNER_name, K_RUNNER_url, K_RUNNER_executor, K_RUNNER_shell,
		K_RUNNER_tls_ca_file, K_RUNNER_tls_cert_file, K_RUNNER_tls_key_file,
	};
	const char *path = text(r, "template-config");
	struct toml *root;
	const struct toml *runners;

	if (path[0] == '\0')
		return 0;
	r->template_text.max = TEMPLATE_MAX;
	if (fs_read(AT_FDCWD, path, TEMPLATE_MAX, &r->template_text, e) < 0)
		return err_ctx(e, "--template-config");
	if (toml_parse(&r->arena, buf_str(&r->template_text), &root, e) < 0)
		return err_ctx(e, "--template-config %s", path);
	runners = key_value(K_GLOBAL_runners, root);
	if (runners == NULL || runners->type != TOML_ARRAY || runners->n != 1 || runners->first->type != TOML_TABLE)
		return err_set(e, ERR_CONFIG, 0, "--template-config %s: it needs exactly one [[runners]] entry, not %zu", path,
		    runners != NULL ? runners->n : (size_t)0);
	r->template = runners->first;
	for (size_t i = 0; i < NELEM(shown); i++)
		fill_from_template(r, r->template, shown[i]);
	fill_from_template(r, key_value(K_RUNNER_docker, r->template), K_DOCKER_image);
	return 0;
}

/* ---- the file ---- */

/* What a new config.toml begins with. */
static const struct { enum key_id key; const char *value; } new_file[] = {
	{ K_GLOBAL_concurrent, "1" }, { K_GLOBAL_check_interval, "0" },
	{ K_GLOBAL_max_age, "\"15m0s\"" }, { K_GLOBAL_shutdown_timeout, "0" },
};

static int
open_new(struct tomledit *t, struct err *e)
{
	struct buf b = { .max = 1024 };
	int rc;

	for (size_t i = 0; i < NELEM(new_file); i++)
		buf_fmt(&b, "%s = %s\n", keys[new_file[i].key].name, new_file[i].value);
	rc = tomledit_open(t, buf_str(&b), e);
	buf_free(&b);
	return rc;
}

/* Puts the entry into the text in memory and looks whether the whole is a configuration then. */
static int
put_entry(struct registering *r, struct confedit *c, const char *obtained, const char *expires, struct err *e)
{
	const struct toml *runners;
	struct entry_facts facts = { .array = keys[K_GLOBAL_runners].name, .id = r->runner.id,
	    .obtained = obtained, .expires = expires };
	struct buf entry = { 0 };
	struct config *conf;
	char array[64];
	int rc = -1;

	if (c->missing) {
		tomledit_close(&c->t);
		if (open_new(&c->t, e) < 0)
			return -1;
	}
	runners = key_value(K_GLOBAL_runners, c->t.root);
	if (runners != NULL && !runners->array_of_tables)
		return err_set(e, ERR_CONFIG, runners->line, "%s: line %d: runners is a list in brackets; write its entries as [[runners]], "
		    "then one more can be added", c->path, runners->line);
	if (runners != NULL && str_copy(runners->key, array, sizeof(array)) == 0)
		facts.array = array;
	if (runnerflags_entry(&r->f, &facts, r->template, buf_str(&r->template_text), &entry, e) < 0)
		goto out;
	if (tomledit_append(&c->t, buf_str(&entry), e) < 0) {
		err_ctx(e, "%s", c->path);
		goto out;
	}
	conf = config_parse(c->path, buf_str(&c->t.text), NULL, NULL, e);
	if (conf == NULL) {
		err_ctx(e, "with the new entry at its end");
		goto out;
	}
	config_free(conf);
	rc = 0;
out:
	buf_wipe(&entry);
	return rc;
}

static void
warn_of_neighbours(struct registering *r, const struct config *c)
{
	const struct opt *limit = runnerflags_of(&r->f, K_RUNNER_limit);
	const struct opt *requests = runnerflags_of(&r->f, K_RUNNER_request_concurrency);

	for (size_t i = 0; i < c->nrunners && of_key(r, K_RUNNER_token)[0] != '\0'; i++)
		if (secret_equal(c->runners[i].token, SECRET(of_key(r, K_RUNNER_token)))) {
			r->known_before = true;
			log_warn("A runner with this token is in the file already; another entry is added. They need different MachineName",
			    F_INT("line", c->runners[i].line), F_STR("name", c->runners[i].name));
		}
	if (limit->number > c->concurrent)
		log_warn("The limit of this runner is above concurrent, the limit of all runners together",
		    F_INT("limit", limit->number), F_INT("concurrent", c->concurrent));
	if (requests->number > c->concurrent)
		log_warn("request_concurrency of this runner is above concurrent, the limit of all runners together",
		    F_INT("request_concurrency", requests->number), F_INT("concurrent", c->concurrent));
}

/* Everything that may fail on this host, tried before GitLab hears anything. The file is not changed. */
static int
rehearse(struct registering *r, struct err *e)
{
	struct confedit c;
	struct config *conf = NULL;
	int rc = -1;

	if (confedit_open(&c, r->config, CONFEDIT_MAY_CREATE, e) < 0)
		goto out;
	conf = config_parse(c.path, buf_str(&c.t.text), NULL, NULL, e);
	if (conf == NULL)
		goto out;
	r->concurrent = conf->concurrent;
	warn_of_neighbours(r, conf);
	if (put_entry(r, &c, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", e) < 0 || confedit_reserve(&c, e) < 0)
		goto out;
	rc = 0;
out:
	config_free(conf);
	confedit_close(&c);
	return rc;
}

static int
save(struct registering *r, struct err *e)
{
	char obtained[RUNNERCMD_DATE_MAX], expires[RUNNERCMD_DATE_MAX];
	struct confedit c;
	int rc = -1;

	runnercmd_date(wall_of_seconds(wall_seconds(wall_now())), obtained);
	runnercmd_date(r->runner.expires_at, expires);
	if (confedit_open(&c, r->config, CONFEDIT_MAY_CREATE, e) == 0 &&
	    put_entry(r, &c, obtained, expires, e) == 0)
		rc = confedit_save(&c, e);
	confedit_close(&c);
	return rc;
}

/* ---- GitLab ---- */

static struct str
gpus(const struct registering *r)
{
	return str_from(of_key(r, K_DOCKER_gpus));
}

static void
mention_expiry(const struct gitlab_runner *g)
{
	char when[RUNNERCMD_DATE_MAX];

	if (!wall_known(g->expires_at))
		return;
	runnercmd_date(g->expires_at, when);
	log_info("The token expires", F_STR("token_expires_at", when));
}

static int
verify(struct registering *r, struct err *e)
{
	const struct gitlab_self self = { SECRET(of_key(r, K_RUNNER_token)), r->system_id,
	    of_key(r, K_RUNNER_shell), gpus(r) };
	char runner[NAMES_SHORT_SIZE];

	names_short_token(str_from(of_key(r, K_RUNNER_token)), runner);
	if (gitlab_verify(r->gitlab, &self, &r->tries, &r->runner, mono_after(RUNNERCMD_CALL_NS),
	    e) < 0) {
		if (e->kind == ERR_TOKEN)
			return err_ctx(e, "GitLab does not know this token (was it copied whole? was the runner deleted?)");
		return err_ctx(e, "the token could not be verified");
	}
	r->told = true;
	if (r->created && r->runner.id == 0)
		return err_set(e, ERR_PROTO, 0, "GitLab did not say which runner this token belongs to; is the server older than 15.10?");
	log_info("Verifying runner... is valid", F_STR("runner", runner));
	return 0;
}

static int
register_runner(struct registering *r, struct err *e)
{
	const struct opt *untagged = runnerflags_opt(&r->f, "run-untagged"), *locked = runnerflags_opt(&r->f, "locked");
	struct gitlab_registration reg = {
		.token = SECRET(text(r, "registration-token")),
		.description = of_key(r, K_RUNNER_name),
		.maintenance_note = text(r, "maintenance-note"), .tag_list = text(r, "tag-list"),
		.access_level = text(r, "access-level"),
		/* A runner without tags that takes no untagged jobs would take none. */
		.run_untagged = untagged->number || str_trim(str_from(text(r, "tag-list"))).n == 0,
		.locked = !locked->given || locked->number, .paused = runnerflags_opt(&r->f, "paused")->number,
		.maximum_timeout = runnerflags_opt(&r->f, "maximum-timeout")->number,
		.shell = of_key(r, K_RUNNER_shell), .gpus = gpus(r),
	};

	if (gitlab_register(r->gitlab, &reg, &r->tries, &r->runner, mono_after(RUNNERCMD_CALL_NS), e) < 0) {
		if (e->sys == 410)
			return err_ctx(e, "this GitLab takes no registration tokens any more: create a runner there and register with its token (glrt-...)");
		if (e->kind == ERR_TOKEN)
			return err_ctx(e, "forbidden (check registration token)");
		if (e->kind == ERR_CANCELLED)
			return err_ctx(e, "GitLab may have made a runner named \"%s\" all the same, look there", reg.description);
		return -1;
	}
	r->told = true;
	set_key(r, K_RUNNER_token, r->runner.token);
	log_info("Registering runner... succeeded", F_INT("id", r->runner.id));
	return 0;
}

/* What GitLab was told is taken back: nobody would use it. */
static void
take_back(struct registering *r)
{
	struct err e = { 0 };

	if (!r->told)
		return;
	runnercmd_forget_signal(r->signals);
	if (runnerflags_opt(&r->f, "leave-runner")->number) {
		log_warn("The registration is left in GitLab (--leave-runner)", F_INT("id", r->runner.id));
		return;
	}
	/* This host's entry under the token belongs to the other entry of the file as well. */
	if (r->known_before || (!r->created && given(r, keys[K_RUNNER_token].flag) &&
	    text(r, "registration-token")[0] == '\0'))
		return;
	if (gitlab_unregister(r->gitlab, SECRET(of_key(r, K_RUNNER_token)), r->system_id, &r->tries,
	    mono_after(RUNNERCMD_CALL_NS), &e) < 0 &&
	    e.kind != ERR_NOTFOUND)
		log_error("The registration could not be taken back: remove the runner in GitLab", F_INT("id", r->runner.id), F_ERR(&e));
	else
		log_info("The registration was taken back", F_INT("id", r->runner.id));
}

/* ---- the story ---- */

static int
check_options(struct registering *r, struct err *e)
{
	const char *level = text(r, "access-level"), *legacy = text(r, "registration-token");
	const char *token = of_key(r, K_RUNNER_token);

	if (level[0] != '\0' && strcmp(level, "not_protected") != 0 && strcmp(level, "ref_protected") != 0)
		return err_set(e, ERR_CONFIG, 0, "--access-level %s: it is not_protected or ref_protected", level);
	if (holds_blank(token) || holds_blank(legacy))
		return err_set(e, ERR_CONFIG, 0, "--%stoken holds a blank or a control character", holds_blank(token) ? "" : "registration-");
	return 0;
}

/* A token that was created in GitLab leaves nothing to say about the runner itself. */
static int
check_server_side(struct registering *r, bool by_registration_option, struct err *e)
{
	struct buf b = { .max = 300 };

	for (size_t i = 0; i < NELEM(server_side); i++)
		if (given(r, server_side[i]))
			buf_fmt(&b, "%s--%s", b.n > 0 ? ", " : "", server_side[i]);
	if (b.n > 0 && !by_registration_option)
		err_set(e, ERR_CONFIG, 0, "%s: a runner with this kind of token is configured in GitLab; leave these options out", b.p);
	else if (b.n > 0)
		log_warn("Options without effect: a runner with this kind of token is configured in GitLab", F_STR("options", b.p));
	if (b.n > 0 && !by_registration_option) {
		buf_free(&b);
		return -1;
	}
	buf_free(&b);
	return 0;
}

/* Which of the three ways it goes: a created token, a registration token, or a runner's old token to verify. */
static int
find_token(struct registering *r, struct err *e)
{
	bool by_registration_option = false;

	if (of_key(r, K_RUNNER_token)[0] == '\0' && text(r, "registration-token")[0] == '\0' &&
	    ask_token(r, e) < 0)
		return -1;
	if (of_key(r, K_RUNNER_token)[0] == '\0' &&
	    names_token_is_created(str_from(text(r, "registration-token")))) {
		char *token = xstrdup(text(r, "registration-token"));

		set_key(r, K_RUNNER_token, token);
		runnerflags_set(&r->f, "registration-token", "");
		free(token);
		by_registration_option = true;
	}
	r->created = names_token_is_created(str_from(of_key(r, K_RUNNER_token)));
	if (r->created)
		return check_server_side(r, by_registration_option, e);
	if (of_key(r, K_RUNNER_token)[0] != '\0') {
		log_info("A runner's own token is only verified; a registration token is given with -r");
		runnerflags_set(&r->f, "registration-token", "");
	}
	return 0;
}

/* What a registration token wants to know before it makes a runner. */
static int
ask_description(struct registering *r, struct err *e)
{
	char host[HOST_NAME_ROOM];

	host_name(host);
	if (ask(r, keys[K_RUNNER_name].flag, "Enter a description for the runner:", host,
	    ANSWER_OPTIONAL, e) < 0 ||
	    ask(r, "tag-list", "Enter tags for the runner (comma-separated):", "", ANSWER_OPTIONAL, e) < 0)
		return -1;
	return ask(r, "maintenance-note", "Enter optional maintenance note for the runner:", "", ANSWER_OPTIONAL, e);
}

/* What only this host's file wants to know. */
static int
ask_rest(struct registering *r, struct err *e)
{
	char host[HOST_NAME_ROOM];

	host_name(host);
	if (text(r, "registration-token")[0] == '\0' && ask(r, keys[K_RUNNER_name].flag,
	    "Enter a name for the runner. This is stored only in the local config.toml file:", host, ANSWER_OPTIONAL, e) < 0)
		return -1;
	if (ask_executor(r, e) < 0)
		return -1;
	return ask_image(r, e);
}

/* Files are named from everywhere alike: the service runs in another directory than this command. */
static void
make_absolute(struct registering *r, enum key_id id)
{
	char *cwd, *path;

	if (of_key(r, id)[0] == '\0' || of_key(r, id)[0] == '/' || (cwd = getcwd(NULL, 0)) == NULL)
		return;
	path = fs_join(cwd, of_key(r, id));
	set_key(r, id, path);
	free(path);
	free(cwd);
}

/* Whether an option or the template says this key of [runners.machine]. */
static bool
is_set(const struct registering *r, enum key_id id)
{
	const struct opt *o = runnerflags_of(&r->f, id);
	const struct toml *v = key_value(id, key_value(K_RUNNER_machine, r->template));

	if (o->type == OPT_LIST ? o->nlist > 0 : o->type == OPT_INT ? o->number != 0 : o->value != NULL && o->value[0] != '\0')
		return true;
	return v != NULL && (v->type == TOML_STRING ? v->s.n > 0 : v->type == TOML_INTEGER ? v->i != 0 : v->n > 0);
}

/* Only what is missing. */
static void
say_next(const struct registering *r)
{
	static const enum key_id needed[] = {
		K_MACHINE_machine_driver, K_MACHINE_machine_name, K_MACHINE_machine_options,
	};
	struct buf b = { .max = 400 };

	for (size_t i = 0; i < NELEM(needed); i++)
		if (!is_set(r, needed[i]))
			buf_fmt(&b, "%s%s", b.n > 0 ? ", " : "", keys[needed[i]].name);
	if (b.n > 0) {
		char *said = buf_take(&b);

		log_info("Next: in [runners.machine] of that file set what is missing, then run `windlass check --online`", F_STR("missing", said));
		free(said);
	}
	if (!is_set(r, K_MACHINE_idle_time) && !is_set(r, K_MACHINE_idle_count))
		log_info("IdleTime is 0: each job gets a new machine, which is thrown away after it; IdleTime = 600 lets the next job use it");
	if (r->concurrent <= 1)
		log_info("concurrent is 1: one job at a time, over all runners; it stands at the top of the file");
}

static void
say_done(const struct registering *r)
{
	char *said;
	struct buf b = { 0 };

	buf_fmt(&b, "Configuration (with the authentication token) was saved in \"%s\"", r->config);
	said = buf_take(&b);
	log_info("Runner registered successfully. A running windlass reads the file again by itself within seconds.");
	log_info(said);
	free(said);
	say_next(r);
}

/* All that is needed to talk to GitLab, and that can go wrong before. */
static int
prepare(struct registering *r, struct err *e)
{
	static const enum key_id files[] = {
		K_RUNNER_tls_ca_file, K_RUNNER_tls_cert_file, K_RUNNER_tls_key_file,
	};

	if (load_template(r, e) < 0 ||
	    ask_url(r, e) < 0 || find_token(r, e) < 0 || check_options(r, e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(files); i++)
		make_absolute(r, files[i]);
	if (given(r, "description"))
		set_key(r, K_RUNNER_name, text(r, "description"));
	if (text(r, "registration-token")[0] != '\0' && ask_description(r, e) < 0)
		return -1;
	/* Whoever can be asked learns first whether the token is good. */
	if (!r->ask && ask_rest(r, e) < 0)
		return -1;
	if (rehearse(r, e) < 0 || config_system_id(r->config, r->system_id, e) < 0)
		return -1;
	r->gitlab = open_gitlab(r, e);
	return r->gitlab != NULL ? 0 : -1;
}

static int
go(struct registering *r, struct err *e)
{
	if (prepare(r, e) < 0)
		return -1;
	if ((text(r, "registration-token")[0] != '\0' ? register_runner(r, e) : verify(r, e)) < 0 ||
	    (r->ask && ask_rest(r, e) < 0) || save(r, e) < 0) {
		take_back(r);
		return -1;
	}
	mention_expiry(&r->runner);
	say_done(r);
	return 0;
}

const struct usage cmd_register_usage = { .args = "", .opt = own, .nopt = NELEM(own), .flags = USAGE_KEYS, .about =
	"Registers a runner with GitLab and adds its entry to config.toml. What is not given is asked for, unless --non-interactive\n"
	"forbids it. A token that was created in GitLab (--token glrt-...) is confirmed first; with a registration token\n"
	"(--registration-token, deprecated in GitLab) a runner is made there.\n\n"
	"Exit status 1: GitLab or this host said no; then nothing was written, and what GitLab was told is taken back." };

int
cmd_register(int argc, char **argv)
{
	struct registering r = { .signals = -1 };
	struct err e = { 0 };
	int rc = 1;

	runnerflags_init(&r.f, own, NELEM(own));
	if (runnerflags_parse(&r.f, argc, argv, &e) < 0) {
		cmd_bad_usage("register", &e);
		goto out;
	}
	runnercmd_hello(true);
	r.ask = !runnerflags_opt(&r.f, "non-interactive")->number;
	r.config = text(&r, "config")[0] != '\0' ? xstrdup(text(&r, "config")) : config_default_path();
	r.signals = runnercmd_catch_signals();
	r.tries = (struct gitlab_tries){ GITLAB_TRIES, r.signals };
	rc = go(&r, &e) == 0 ? 0 : runnercmd_fatal("Runner was not registered", &e);
out:
	gitlab_close(r.gitlab);
	gitlab_runner_wipe(&r.runner);
	buf_wipe(&r.template_text);
	arena_reset(&r.arena);
	runnerflags_free(&r.f);
	free(r.config);
	return rc;
}
