/*
 * The texts of git's configuration files for a job (spec job-execution 6.2
 * step 8, 6.4, 6.5), and which repository they are for. They are written by
 * the shell itself, so that the token stands in no command line. See script_parts.h.
 *
 * A URL that gets the token ends with a slash or is the whole repository:
 * as a bare "https://host" it would match "https://host.evil.example" too.
 */
#include "core/core.h"
#include "job/script_parts.h"
#include "wire/url.h"

#define USER		"gitlab-ci-token"
#define URL_LIST_MAX	8

char *
gitconf_external_path(const struct work *w)
{
	return arena_fmt(w->a, "%s/.gitlab-runner.ext.conf", w->tmp_dir);
}

char *
gitconf_global_path(const struct work *w)
{
	return arena_fmt(w->a, "%s/.glr.gconf", w->tmp_dir);
}

/* ---- URLs ---- */

static char *
taken(struct arena *a, struct buf *b)
{
	char *s = arena_dup(a, buf_str(b));

	buf_wipe(b);
	return s;
}

static char *
origin_of(struct arena *a, const struct url *u)
{
	struct buf b = { .max = 8192 };

	url_put_origin(&b, u);
	return taken(a, &b);
}

/* scheme://[user@]host[:port] and a path */
static char *
make_url(struct arena *a, const struct url *u, struct str user, struct str path)
{
	struct buf b = { .max = 16384 };
	struct str origin = str_from(origin_of(a, u));
	size_t head = u->scheme.n + 3;

	buf_putstr(&b, str_sub(origin, 0, head));
	if (user.n > 0) {
		buf_putstr(&b, user);
		buf_putc(&b, '@');
	}
	buf_putstr(&b, str_sub(origin, head, origin.n));
	buf_putstr(&b, path);
	return taken(a, &b);
}

static bool
is_http(const struct url *u)
{
	return str_caseeq(u->scheme, "https") || str_caseeq(u->scheme, "http");
}

/* gitlab-ci-token:<job token> */
static struct str
token_user(const struct work *w)
{
	struct buf b = { .max = 4096 };

	buf_puts(&b, USER ":");
	url_put_encoded(&b, str_from(secret_reveal(w->p->token)));
	return str_from(taken(w->a, &b));
}

static struct str
without_slashes(struct str s)
{
	while (str_ends(s, "/"))
		s.n--;
	return s;
}

static bool
wants_tokens(const struct work *w)
{
	return !work_flag(w, "FF_GIT_URLS_WITHOUT_TOKENS");
}

static struct str
project_path(const struct work *w)
{
	struct str s = vars_get(&w->vars, "CI_PROJECT_PATH", STR(""));

	return s.n > 0 ? s : json_str(w->a, json_path(w->p->root, "job_info.project_full_path"));
}

static struct remote
remote_at_clone_url(const struct work *w, const struct url *u)
{
	struct str path = project_path(w);
	char *full = arena_fmt(w->a, "%.*s/%.*s.git", STR_ARG(without_slashes(u->path)), STR_ARG(path));
	struct remote r = { .http = is_http(u), .origin = origin_of(w->a, u) };

	r.url = make_url(w->a, u, r.http ? STR("") : u->userinfo, str_from(full));
	if (r.http)
		r.auth = make_url(w->a, u, token_user(w), str_from(full));
	return r;
}

struct remote
remote_of(const struct work *w)
{
	struct str repo = json_str(w->a, json_path(w->p->root, "git_info.repo_url"));
	struct str clone = str_trim(str_from(w->p->runner.clone_url));
	struct remote r = { .url = NULL };
	struct url u;

	if (clone.n > 0 && url_parse(clone, &u, NULL) == 0)
		return remote_at_clone_url(w, &u);
	r.bad_clone_url = clone.n > 0;
	r.url = arena_dup(w->a, repo);
	if (url_parse(repo, &u, NULL) < 0)
		return r;
	r.origin = origin_of(w->a, &u);
	r.http = is_http(&u);
	if (r.http) {
		r.url = make_url(w->a, &u, STR(""), u.path);
		r.auth = make_url(w->a, &u, u.userinfo.n > 0 ? u.userinfo : token_user(w), u.path);
	}
	return r;
}

/* ---- git's file format ---- */

static void
put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '\n':
			buf_puts(b, "\\n");
			break;
		case '"':
		case '\\':
			buf_putc(b, '\\');
			/* FALLTHROUGH */
		default:
			buf_putc(b, s.p[i]);
		}
	}
	buf_putc(b, '"');
}

static void
section(struct buf *b, const char *name, const char *sub)
{
	buf_fmt(b, "[%s", name);
	if (sub != NULL) {
		buf_putc(b, ' ');
		put_quoted(b, str_from(sub));
	}
	buf_puts(b, "]\n");
}

static void
entry(struct buf *b, const char *key, struct str value)
{
	buf_fmt(b, "\t%s = ", key);
	put_quoted(b, value);
	buf_putc(b, '\n');
}

/* ---- what several of the files hold ---- */

/* The files of CI_SERVER_TLS_*, for the host of the sources and for GitLab itself. */
static void
put_tls(const struct work *w, const struct remote *r, struct buf *b)
{
	static const char *const keys[][2] = {
		{ "CI_SERVER_TLS_CA_FILE", "sslCAInfo" }, { "CI_SERVER_TLS_CERT_FILE", "sslCert" }, { "CI_SERVER_TLS_KEY_FILE", "sslKey" },
	};
	const char *origins[2] = { r->http ? r->origin : NULL, NULL };
	struct url u;

	if (url_parse(str_from(w->p->runner.url), &u, NULL) == 0 && is_http(&u))
		origins[1] = origin_of(w->a, &u);
	if (origins[0] != NULL && origins[1] != NULL && strcmp(origins[0], origins[1]) == 0)
		origins[1] = NULL;
	for (size_t o = 0; o < NELEM(origins); o++) {
		bool begun = false;

		for (size_t i = 0; origins[o] != NULL && i < NELEM(keys); i++) {
			const struct var *v = vars_find(&w->vars, str_from(keys[i][0]));
			struct str path;

			if (v == NULL)
				continue;
			path = (v->flags & VAR_FILE) != 0 ? str_from(work_file_path(w, v->key)) : v->value;
			if (path.n == 0)
				continue;
			if (!begun)
				section(b, "http", origins[o]);
			begun = true;
			entry(b, keys[i][1], path);
		}
	}
}

struct str
gitconf_correlation_id(const struct work *w)
{
	struct str id = str_from(w->p->runner.correlation_id);

	if (!work_flag(w, "FF_USE_GITALY_CORRELATION_ID") || id.n > 128)
		return STR("");
	for (size_t i = 0; i < id.n; i++)
		if ((unsigned char)id.p[i] <= 0x20 || (unsigned char)id.p[i] >= 0x7f)
			return STR("");
	return id;
}

struct rewrite {
	char	*to, *from;
};
struct rewrites {
	struct rewrite	r[URL_LIST_MAX];
	size_t		n;
};

static void
rewrite(struct rewrites *l, char *to, char *from)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->r[i].from, from) == 0)
			return;
	assert(l->n < NELEM(l->r));
	l->r[l->n++] = (struct rewrite){ to, from };
}

/* Where GitLab is for a job: the runner's clone_url, else its URL. -1 when that is no http(s) URL. */
static int
base_url(const struct work *w, struct url *u)
{
	struct str clone = str_trim(str_from(w->p->runner.clone_url));

	if (clone.n == 0 || url_parse(clone, u, NULL) < 0)
		if (url_parse(str_from(w->p->runner.url), u, NULL) < 0)
			return -1;
	return is_http(u) ? 0 : -1;
}

/* ssh addresses of GitLab become http ones (GIT_SUBMODULE_FORCE_HTTPS). */
static void
rewrite_ssh(const struct work *w, char *base, struct rewrites *l)
{
	struct str host = vars_get(&w->vars, "CI_SERVER_SHELL_SSH_HOST", STR(""));
	struct str port = vars_get(&w->vars, "CI_SERVER_SHELL_SSH_PORT", STR(""));

	if (host.n == 0)
		host = vars_get(&w->vars, "CI_SERVER_HOST", STR(""));
	if (host.n == 0)
		return;
	if (port.n > 0 && !str_eqc(port, "22")) {
		rewrite(l, base, arena_fmt(w->a, "ssh://git@%.*s:%.*s/", STR_ARG(host), STR_ARG(port)));
		return;
	}
	rewrite(l, base, arena_fmt(w->a, "git@%.*s:", STR_ARG(host)));
	rewrite(l, base, arena_fmt(w->a, "ssh://git@%.*s/", STR_ARG(host)));
}

static void
collect_rewrites(const struct work *w, const struct remote *r, struct rewrites *l)
{
	struct str user = wants_tokens(w) ? token_user(w) : STR("");
	struct url base, repo;
	char *to;

	if (user.n > 0 && r->auth != NULL)
		rewrite(l, r->auth, r->url);
	if (base_url(w, &base) == 0) {
		char *path = arena_fmt(w->a, "%.*s/", STR_ARG(without_slashes(base.path)));

		to = make_url(w->a, &base, user, str_from(path));
		if (user.n > 0)
			rewrite(l, to, make_url(w->a, &base, STR(""), str_from(path)));
		if (w->submodule_force_https)
			rewrite_ssh(w, to, l);
	}
	if (user.n > 0 && url_parse(json_str(w->a, json_path(w->p->root, "git_info.repo_url")), &repo, NULL) == 0 && is_http(&repo))
		rewrite(l, make_url(w->a, &repo, user, STR("/")), make_url(w->a, &repo, STR(""), STR("/")));
}

/* git asks this function of the shell for a password; it knows the job's token by the job's variable. */
static void
put_helper(const struct work *w, const struct remote *r, struct buf *b)
{
	const char *origins[2] = { r->http ? r->origin : NULL, NULL };
	struct url base;

	if (base_url(w, &base) == 0)
		origins[1] = origin_of(w->a, &base);
	if (origins[0] != NULL && origins[1] != NULL && strcmp(origins[0], origins[1]) == 0)
		origins[1] = NULL;
	for (size_t i = 0; i < NELEM(origins); i++) {
		if (origins[i] == NULL)
			continue;
		section(b, "credential", origins[i]);
		/* An empty one forgets the helpers of the files before. */
		buf_puts(b, "\thelper =\n");
		entry(b, "helper", STR("!f() { if [ \"$1\" = get ]; then echo \"password=${CI_JOB_TOKEN}\"; fi; }; f"));
		entry(b, "username", STR(USER));
	}
}

void
gitconf_external(const struct work *w, const struct remote *r, struct buf *b)
{
	struct rewrites l = { .n = 0 };
	struct str id = gitconf_correlation_id(w);

	if (!wants_tokens(w))
		put_helper(w, r, b);
	if (w->git == GIT_NONE || w->git == GIT_EMPTY)
		return;
	if (r->http && id.n > 0) {
		section(b, "http", r->origin);
		entry(b, "extraHeader", str_from(arena_fmt(w->a, "X-Gitaly-Correlation-ID: %.*s", STR_ARG(id))));
	}
	if (r->http && work_flag(w, "FF_USE_GIT_PROACTIVE_AUTH")) {
		section(b, "http", r->origin);
		entry(b, "proactiveAuth", STR("basic"));
	}
	if (work_flag(w, "FF_USE_GIT_BUNDLE_URIS")) {
		section(b, "transfer", NULL);
		entry(b, "bundleURI", STR("true"));
	}
	/* Here too, so that git in the job's own lines and in submodules can verify the server. */
	put_tls(w, r, b);
	collect_rewrites(w, r, &l);
	for (size_t i = 0; i < l.n; i++) {
		section(b, "url", l.r[i].to);
		entry(b, "insteadOf", str_from(l.r[i].from));
	}
}

void
gitconf_template(const struct work *w, const struct remote *r, bool with_remote, struct buf *b)
{
	section(b, "init", NULL);
	entry(b, "defaultBranch", STR("none"));
	section(b, "fetch", NULL);
	entry(b, "recurseSubmodules", STR("false"));
	section(b, "credential", NULL);
	entry(b, "interactive", STR("never"));
	section(b, "gc", NULL);
	entry(b, "autoDetach", STR("false"));
	section(b, "include", NULL);
	entry(b, "path", str_from(gitconf_external_path(w)));
	if (!with_remote)
		return;
	/* What `git remote add` would write, without starting it. */
	section(b, "remote", "origin");
	entry(b, "url", str_from(r->url));
	entry(b, "fetch", STR("+refs/heads/*:refs/remotes/origin/*"));
}

void
gitconf_global(const struct work *w, const struct remote *r, struct buf *b)
{
	if (!wants_tokens(w)) {
		section(b, "include", NULL);
		entry(b, "path", STR("~/.gitconfig"));
		entry(b, "path", STR("~/.config/git/config"));
		entry(b, "path", str_from(gitconf_external_path(w)));
	}
	if (w->p->runner.safe_directory_checkout) {
		section(b, "safe", NULL);
		entry(b, "directory", str_from(w->project_dir));
		/* Submodules; git before 2.46 sees a path that nobody has. */
		entry(b, "directory", str_from(arena_fmt(w->a, "%s/*", w->project_dir)));
	}
	put_tls(w, r, b);
}
