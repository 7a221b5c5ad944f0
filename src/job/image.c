/* Images on the machine's engine: see image.h. */
#include "core/fs.h"
#include "core/hash.h"
#include "core/rand.h"
#include "gitlab/api.h"
#include "job/image.h"
#include "wire/glob.h"
#include "wire/imageref.h"
#include "wire/url.h"

#define PULL_TRIES	3
#define PROGRESS_EVERY	(10 * NSEC_SEC)
#define CONFIG_MAX	(1u << 20)
#define NAME_SHOWN	200		/* bytes of a name that is none, in messages */
#define AUTH_VARIABLE	"DOCKER_AUTH_CONFIG"

/* What image_helpers() gathers. */
struct helpers { struct broker_pairs *pairs; struct buf *refused; };

void
image_split(struct str ref, struct str *name, struct str *tag)
{
	ssize_t at = str_chr(ref, '@'), slash, colon;

	*tag = STR("latest");
	*name = ref;
	if (at >= 0) {
		*name = str_sub(ref, 0, (size_t)at);
		*tag = str_sub(ref, (size_t)at + 1, ref.n);
	}
	slash = str_rchr(*name, '/');
	colon = str_rchr(*name, ':');
	/* A colon in front of the last slash is a port. */
	if (colon > slash) {
		if (at < 0)
			*tag = str_sub(*name, (size_t)colon + 1, name->n);
		*name = str_sub(*name, 0, (size_t)colon);
	}
}

enum failure
image_pull_failure(const char *message, bool *retry)
{
	static const char *const network[] = {
		"dial tcp", "connection refused", "no such host", "i/o timeout", "tls handshake",
		"client.timeout exceeded", "request canceled", "connection reset",
	};
	/* A registry that asks for patience is the most common failure of all; upstream gives up at once. */
	static const char *const busy[] = { "toomanyrequests", "too many requests", "429", "500 internal server error", "502 bad gateway", "503 service unavailable", "504 gateway" };
	static const char *const config[] = {
		"not found", "manifest unknown", "pull access denied", "access to the resource is denied",
		"no basic auth credentials", "repository does not exist or may require", "unauthorized", "authentication required",
	};
	struct str m = str_from(message);

	*retry = false;
	for (size_t i = 0; i < NELEM(network); i++)
		if (str_casefind(m, network[i]) >= 0) {
			*retry = true;
			return FAILURE_DEPENDENCY;
		}
	for (size_t i = 0; i < NELEM(config); i++)
		if (str_casefind(m, config[i]) >= 0)
			return FAILURE_CONFIG;
	for (size_t i = 0; i < NELEM(busy); i++)
		if (str_casefind(m, busy[i]) >= 0)
			*retry = true;
	return FAILURE_IMAGE;
}

/* ---- allow list, names ---- */

int
image_name_check(struct str name, struct err *e)
{
	struct imageref ref;

	if (imageref_parse(name, &ref, e) == 0)
		return 0;
	return err_ctx(e, "image \"%.*s\"", STR_ARG(str_sub(name, 0, NAME_SHOWN)));
}

int
image_allowed(const struct work *w, struct err *e)
{
	const struct field_list *list = &w->p->runner.docker.allowed_images;
	struct str own = vars_expand_str(&w->vars, str_from(w->p->runner.docker.image));
	struct str *patterns = arena_calloc(w->a, list->n + 1, sizeof(*patterns));
	struct buf text = { .max = 300 };

	if (w->image.n == 0)
		return err_set(e, ERR_CONFIG, 0, "no image: the job names none, and neither does the runner (image in [runners.docker])");
	for (size_t i = 0; i < list->n; i++) {
		patterns[i] = str_from(list->v[i]);
		buf_fmt(&text, "%s%s", i > 0 ? ", " : "", list->v[i]);
	}
	if (image_name_check(w->image, e) < 0) {
		buf_free(&text);
		return -1;
	}
	if (str_eq(w->image, own) || glob_allowed(patterns, list->n, w->image)) {
		buf_free(&text);
		return 0;
	}
	err_set(e, ERR_CONFIG, 0, "disallowed image \"%.*s\": this runner allows %s", STR_ARG(w->image), text.p);
	buf_free(&text);
	return -1;
}

struct str
image_helper_name(const struct work *w, struct str architecture)
{
	struct str own = vars_expand_str(&w->vars, str_from(w->p->runner.docker.helper_image));
	struct str flavor = vars_expand_str(&w->vars, str_from(w->p->runner.docker.helper_image_flavor));
	const char *arch = arena_dup(w->a, architecture);

	if (own.n > 0)
		return own;
	if (str_eqc(architecture, "amd64"))
		arch = "x86_64";
	else if (str_eqc(architecture, "aarch64"))
		arch = "arm64";
	else if (str_starts(architecture, "armv"))
		arch = "arm";
	return str_from(arena_fmt(w->a, "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:%.*s%s%s-v%s",
	    STR_ARG(flavor), flavor.n > 0 ? "-" : "", arch, GITLAB_COMPAT_VERSION));
}

/* ---- pull policies ---- */

static size_t
policy_list(const struct work *w, struct json_val v, struct str *out, size_t max)
{
	size_t n = 0;

	if (json_type(v) == JSON_STRING && json_str(w->a, v).n > 0)
		out[n++] = json_str(w->a, v);
	if (json_type(v) == JSON_ARRAY)
		JSON_EACH(s, v)
			if (n < max)
				out[n++] = json_str(w->a, s);
	return n;
}

static size_t
own_policies(const struct field_list *l, struct str *out, size_t max)
{
	size_t n = 0;

	for (; n < l->n && n < max; n++)
		out[n] = str_from(l->v[n]);
	return n;
}

static int
effective_policies(const struct work *w, struct json_val job, struct str out[8], size_t *n, struct err *e)
{
	const struct docker_settings *d = &w->p->runner.docker;
	struct str asked[8], allowed[8];
	size_t nasked = policy_list(w, job, asked, 8), nallowed;
	bool of_job = nasked > 0;
	struct buf list = { .max = 256 };

	if (nasked == 0)
		nasked = own_policies(&d->pull_policy, asked, 8);
	if (nasked == 0)
		asked[nasked++] = STR("always");
	nallowed = own_policies(&d->allowed_pull_policies, allowed, 8);
	if (nallowed == 0)
		nallowed = own_policies(&d->pull_policy, allowed, 8);
	if (nallowed == 0)
		allowed[nallowed++] = STR("always");
	*n = 0;
	for (size_t i = 0; i < nasked; i++) {
		bool ok = false;

		if (!str_eqc(asked[i], "always") && !str_eqc(asked[i], "if-not-present") && !str_eqc(asked[i], "never"))
			return err_set(e, ERR_CONFIG, 0, "pull policy \"%.*s\" is none of always, if-not-present, never", STR_ARG(asked[i]));
		for (size_t k = 0; k < nallowed; k++)
			ok |= str_eq(asked[i], allowed[k]);
		if (ok)
			out[(*n)++] = asked[i];
	}
	if (*n > 0)
		return 0;
	for (size_t k = 0; k < nallowed; k++)
		buf_fmt(&list, "%s%.*s", k > 0 ? ", " : "", STR_ARG(allowed[k]));
	err_set(e, ERR_CONFIG, 0, "pull policy \"%.*s\" of %s is not allowed: the runner allows %s (allowed_pull_policies)",
	    STR_ARG(asked[0]), of_job ? "the job" : "the runner", list.p);
	buf_free(&list);
	return -1;
}

/* ---- credentials ---- */

/* A server key of config.json or an image as they are compared: no scheme, docker.io for Docker's own spellings, host in lower case. */
static void
put_server(struct buf *b, struct str s)
{
	bool scheme = false;
	struct str host, rest;

	if (str_casestarts(s, "https://") || str_casestarts(s, "http://")) {
		s = str_sub(s, (size_t)str_find(s, "://") + 3, s.n);
		scheme = true;
	}
	rest = s;
	host = str_cut(&rest, '/');
	if (str_caseeq(host, "index.docker.io") || str_caseeq(host, "registry-1.docker.io"))
		host = STR("docker.io");
	for (size_t i = 0; i < host.n; i++)
		buf_putc(b, host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + 32 : host.p[i]);
	if (!scheme && rest.p != NULL && rest.n > 0) {
		buf_putc(b, '/');
		buf_putstr(b, rest);
	}
}

static void
put_image_path(struct buf *b, struct str image)
{
	struct str name, tag, rest, first;

	image_split(image, &name, &tag);
	rest = name;
	first = str_cut(&rest, '/');
	if (rest.p == NULL || !(str_chr(first, '.') >= 0 || str_chr(first, ':') >= 0 || str_eqc(first, "localhost")))
		buf_puts(b, "docker.io/");
	put_server(b, name);
}

struct credential { struct str user, password, identity, registry_token; };

static void
put_auth_header(struct buf *b, const struct credential *c, struct str server)
{
	struct buf json = { .max = 65536 };
	struct json_w w = { .b = &json };

	jw_object(&w, NULL);
	if (c->user.n > 0)
		jw_str(&w, "username", c->user);
	if (c->password.n > 0)
		jw_str(&w, "password", c->password);
	if (c->identity.n > 0)
		jw_str(&w, "identitytoken", c->identity);
	if (c->registry_token.n > 0)
		jw_str(&w, "registrytoken", c->registry_token);
	jw_str(&w, "serveraddress", server);
	jw_end_object(&w);
	hash_base64url(b, buf_str(&json));
	buf_wipe(&json);
}

static struct credential
read_entry(struct arena *a, struct json_val v)
{
	struct credential c = { json_str(a, json_get(v, "username")), json_str(a, json_get(v, "password")),
	    json_str(a, json_get(v, "identitytoken")), json_str(a, json_get(v, "registrytoken")) };
	struct str auth = json_str(a, json_get(v, "auth"));
	struct buf plain = { .max = 65536 };

	if (auth.n > 0 && hash_base64_decode(&plain, auth) == 0) {
		c.password = arena_str(a, buf_str(&plain));
		c.user = str_cut(&c.password, ':');
		if (c.password.p == NULL)
			c.password = STR("");
	}
	buf_wipe(&plain);
	return c;
}

/* docker-credential-NAME get, with the server on its stdin; the broker runs it, if it may be run. */
static int
ask_helper(struct arena *a, struct broker *broker, const struct image_key *k, struct credential *c)
{
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct json_val v;
	int rc = -1;

	if (broker_ask(broker, k->helper, k->server, &out) == 0 &&
	    json_parse(a, arena_str(a, buf_str(&out)), &v, NULL) == 0 && json_str(a, json_get(v, "Secret")).n > 0) {
		c->user = json_str(a, json_get(v, "Username"));
		c->password = json_str(a, json_get(v, "Secret"));
		if (str_eqc(c->user, "<token>")) {
			c->identity = c->password;
			c->user = c->password = STR("");
		}
		rc = 0;
	}
	buf_wipe(&out);
	return rc;
}

/* How much of path the key covers: its length when it is the path or a prefix of it up to a slash, else 0. */
static size_t
covers(struct str key, struct str path)
{
	if (key.n == 0 || key.n > path.n || memcmp(key.p, path.p, key.n) != 0)
		return 0;
	return key.n == path.n || path.p[key.n] == '/' ? key.n : 0;
}

/* The longest key of an object of servers that covers path. */
static struct json_val
best_server(struct arena *a, struct json_val servers, struct str path, struct str *server)
{
	struct json_val found = JSON_NONE;
	size_t best = 0;

	JSON_EACH(v, servers) {
		struct str key = json_key(a, v);
		struct buf clean = { .max = 4096 };
		size_t n;

		put_server(&clean, key);
		n = covers(buf_str(&clean), path);
		if (n > best) {
			best = n;
			found = v;
			*server = key;
		}
		buf_free(&clean);
	}
	return found;
}

/* A credential store knows Docker's own registry by its oldest name. */
static struct str
store_server(struct str host)
{
	return str_eqc(host, "docker.io") ? STR("https://index.docker.io/v1/") : host;
}

static void
add_helper(struct image_keys *keys, const char *source, struct str helper, struct str server)
{
	if (helper.n > 0 && keys->n < IMAGE_KEYS)
		keys->v[keys->n++] = (struct image_key){ str_from(source), helper, server,
		    STR_NULL };
}

static void
add_credential(struct arena *a, struct image_keys *keys, const char *source,
    const struct credential *c, struct str server)
{
	struct buf header = { .max = IMAGE_HEADER_MAX };

	put_auth_header(&header, c, server);
	if (!header.failed && keys->n < IMAGE_KEYS)
		keys->v[keys->n++] = (struct image_key){ str_from(source), STR_NULL, server,
		    arena_str(a, buf_str(&header)) };
	buf_wipe(&header);
}

static void
add_config(struct arena *a, struct image_keys *keys, const char *source, struct str config,
    struct str path)
{
	struct str host = path, server = STR("");
	struct json_val root, v;
	struct credential c;

	if (config.n == 0 || json_parse(a, arena_str(a, config), &root, NULL) < 0)
		return;
	host = arena_str(a, str_cut(&host, '/'));
	v = best_server(a, json_get(root, "credHelpers"), path, &server);
	add_helper(keys, source, json_str(a, v), server);
	add_helper(keys, source, json_str(a, json_get(root, "credsStore")), store_server(host));
	v = best_server(a, json_get(root, "auths"), path, &server);
	c = read_entry(a, v);
	if (c.password.n > 0 || c.identity.n > 0 || c.registry_token.n > 0)
		add_credential(a, keys, source, &c, server);
}

static void
add_job(struct arena *a, struct image_keys *keys, struct json_val job, struct str path)
{
	struct credential c = { 0 };
	struct str server = STR("");
	size_t best = 0;

	JSON_EACH(v, job) {
		struct buf key = { .max = 4096 };
		size_t k;

		if (!str_eqc(json_str(a, json_get(v, "type")), "registry"))
			continue;
		put_server(&key, json_str(a, json_get(v, "url")));
		k = covers(buf_str(&key), path);
		if (k > best) {
			best = k;
			c.user = json_str(a, json_get(v, "username"));
			c.password = json_str(a, json_get(v, "password"));
			server = json_str(a, json_get(v, "url"));
		}
		buf_free(&key);
	}
	if (best > 0)
		add_credential(a, keys, "job payload (GitLab Registry)", &c, server);
}

void
image_keys(struct arena *a, struct str image, const struct image_sources *from,
    struct image_keys *keys)
{
	struct buf path = { .max = 4096 };

	keys->n = 0;
	put_image_path(&path, image);
	for (size_t i = 0; i < NELEM(from->configs); i++)
		add_config(a, keys, from->names[i], from->configs[i], buf_str(&path));
	add_job(a, keys, from->job, buf_str(&path));
	buf_free(&path);
}

const struct image_key *
image_credential(struct arena *a, struct broker *broker, const struct image_keys *keys,
    struct buf *header)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct image_key *k = &keys->v[i];
		struct credential c = { 0 };

		if (k->helper.n == 0)
			buf_putstr(header, k->header);
		else if (ask_helper(a, broker, k, &c) == 0)
			put_auth_header(header, &c, k->server);
		else
			continue;
		return k;
	}
	return NULL;
}

char *
image_auth_file(struct arena *a)
{
	const char *home = getenv("HOME");

	return home != NULL ? arena_fmt(a, "%s/.docker/config.json", home) : NULL;
}

/* ---- which helpers may be run ---- */

/* Whether the runner lets jobs name this helper: allow_job_credential_helpers in [runners.docker]. */
static bool
job_may_name(const struct work *w, struct str helper)
{
	const struct field_list *allowed = &w->p->runner.docker.allow_job_credential_helpers;

	for (size_t i = 0; i < allowed->n; i++)
		if (str_eqc(helper, allowed->v[i]))
			return true;
	return false;
}

/* Whether the job brings the text, and not the runner's `environment`. */
static bool
of_job(const struct work *w, struct str config)
{
	const struct field_list *environment = &w->p->runner.environment;
	bool job = false;

	JSON_EACH(v, json_get(w->p->root, "variables"))
		job |= str_eqc(json_str(w->a, json_get(v, "key")), AUTH_VARIABLE);
	for (size_t i = 0; i < environment->n; i++) {
		struct str value = str_from(environment->v[i]), key = str_cut(&value, '=');

		if (str_eqc(key, AUTH_VARIABLE) && value.p != NULL && str_eq(value, config))
			return false;
	}
	return job;
}

static void
note_helper(const struct work *w, struct str helper, struct str server, bool job, struct helpers *h)
{
	if (!job || job_may_name(w, helper)) {
		broker_allow(h->pairs, w->a, helper, server);
	} else if (h->refused != NULL && helper.n > 0) {
		/* What the name holds is the job's: it is quoted as far as it is a name. */
		size_t n = strspn(arena_dup(w->a, helper), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
		const char *line = arena_fmt(w->a, "DOCKER_AUTH_CONFIG of this job names the credential helper \"%.*s\", which is not run: this runner allows jobs "
		    "none of that name (allow_job_credential_helpers in [runners.docker])\n", (int)n, helper.p);

		if (h->refused->n == 0 || str_find(buf_str(h->refused), line) < 0)
			buf_puts(h->refused, line);
	}
}

/* A store is asked for the registries of the images that the job may need, a helper for the one it is named for. */
static void
note_config(const struct work *w, struct str config, bool job, struct helpers *h)
{
	struct str images[] = { w->image, image_helper_name(w, STR("amd64")) }, store;
	struct json_val root;

	if (config.n == 0 || json_parse(w->a, arena_str(w->a, config), &root, NULL) < 0)
		return;
	JSON_EACH(v, json_get(root, "credHelpers"))
		note_helper(w, json_str(w->a, v), json_key(w->a, v), job, h);
	store = json_str(w->a, json_get(root, "credsStore"));
	for (size_t i = 0; store.n > 0 && i < NELEM(images); i++) {
		struct buf path = { .max = 4096 };
		struct str host;

		put_image_path(&path, images[i]);
		host = buf_str(&path);
		note_helper(w, store, store_server(arena_str(w->a, str_cut(&host, '/'))), job, h);
		buf_free(&path);
	}
}

void
image_helpers(const struct work *w, struct broker_pairs *pairs, struct buf *refused)
{
	const char *path = image_auth_file(w->a);
	struct helpers h = { pairs, refused };
	struct buf file = { .max = CONFIG_MAX };
	struct str config = vars_get(&w->vars, AUTH_VARIABLE, STR(""));

	note_config(w, config, of_job(w, config), &h);
	if (path != NULL && fs_read(AT_FDCWD, path, CONFIG_MAX, &file, NULL) == 0)
		note_config(w, buf_str(&file), false, &h);
	buf_wipe(&file);
}

/* DOCKER_AUTH_CONFIG, then the file of the user that windlass runs as, then the job's credentials. */
static void
find_keys(const struct work *w, struct str image, struct image_keys *keys)
{
	const char *path = image_auth_file(w->a);
	struct buf file = { .max = CONFIG_MAX };
	struct image_sources from = {
		{ "$DOCKER_AUTH_CONFIG", path },
		{ vars_get(&w->vars, AUTH_VARIABLE, STR("")), STR_NULL },
		json_get(w->p->root, "credentials"),
	};

	if (path != NULL && fs_read(AT_FDCWD, path, CONFIG_MAX, &file, NULL) == 0)
		from.configs[1] = buf_str(&file);
	image_keys(w->a, image, &from, keys);
	buf_wipe(&file);
}

int
image_order(const struct work *w, struct str name, struct json_val job_policies,
    struct image_order *o, struct err *e)
{
	o->name = name;
	o->platform = STR_NULL;
	if (image_name_check(name, e) < 0 ||
	    effective_policies(w, job_policies, o->policies.v, &o->policies.n, e) < 0)
		return -1;
	find_keys(w, name, &o->keys);
	return 0;
}

/* ---- the pull ---- */

struct progress {
	const struct image_hand *hand;
	mono_t		 next;
	uint64_t	 seen[256];	/* hashes of layer ids */
	bool		 done[256];
	size_t		 n;
};

/* One line every ten seconds: layers done, layers known. */
static void
tick(void *ctx, struct json_val m)
{
	struct progress *p = ctx;
	struct arena a = { 0 };
	struct str id = json_str(&a, json_get(m, "id")), status = json_str(&a, json_get(m, "status"));
	bool ended = str_eqc(status, "Pull complete") || str_eqc(status, "Already exists");
	uint64_t h = hash_fnv(id);
	size_t i, done = 0;
	char text[96];

	if (id.n > 0 && !str_starts(status, "Pulling from")) {
		for (i = 0; i < p->n && p->seen[i] != h; i++)
			continue;
		if (i == p->n && p->n < NELEM(p->seen))
			p->seen[p->n++] = h;
		if (i < p->n)
			p->done[i] |= ended;
	}
	arena_reset(&a);
	if (!mono_passed(p->next))
		return;
	p->next = mono_after(PROGRESS_EVERY);
	for (i = 0; i < p->n; i++)
		done += p->done[i];
	snprintf(text, sizeof(text), "Still pulling: %zu of %zu layers are there", done, p->n);
	p->hand->say(p->hand->ctx, IMAGE_PLAIN, text);
}

static int
inspect(const struct image_hand *h, struct str name, struct image *img, struct err *e)
{
	struct buf path = { .max = 4096 };
	struct arena a = { 0 };
	struct json_val v;
	int rc;

	buf_puts(&path, "/images/");
	/* A name comes from the job: nothing in it may end the path. */
	while (name.n > 0) {
		struct str c = str_sub(name, 0, 1);

		if (strchr("/:@", c.p[0]) != NULL && c.p[0] != '\0')
			buf_putstr(&path, c);
		else
			url_put_encoded(&path, c);
		name = str_sub(name, 1, name.n);
	}
	buf_puts(&path, "/json");
	rc = engine_get(h->engine, path.p, &a, &v, h->deadline, e);
	buf_free(&path);
	if (rc < 0) {
		arena_reset(&a);
		return -1;
	}
	img->id = json_cstr(h->arena, json_get(v, "Id"));
	img->user = json_cstr(h->arena, json_path(v, "Config.User"));
	img->reference = json_cstr(h->arena, json_at(json_get(v, "RepoDigests"), 0));
	if (img->reference[0] == '\0')
		img->reference = img->id;
	arena_reset(&a);
	if (img->reference[0] == '\0')
		return err_set(e, ERR_SERVER, 0, "docker engine: an image without an id");
	return 0;
}

static void
say(const struct image_hand *h, enum image_line kind, const char *fmt, ...)
{
	struct buf text = { .max = 8192 };
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	h->say(h->ctx, kind, buf_str(&text).p);
	buf_free(&text);
}

static int
pull(const struct image_hand *h, const struct image_order *o, enum failure *why, struct err *e)
{
	struct str name, tag;
	struct buf auth = { .max = IMAGE_HEADER_MAX };
	const struct image_key *key;
	bool retry = false;
	int rc = -1;

	image_split(o->name, &name, &tag);
	key = image_credential(h->arena, h->broker, &o->keys, &auth);
	if (key != NULL)
		say(h, IMAGE_PLAIN, "Authenticating with credentials from %.*s",
		    STR_ARG(key->source));
	for (int i = 0; i < PULL_TRIES; i++) {
		struct progress p = { .hand = h, .next = mono_after(PROGRESS_EVERY) };

		if (i > 0 && net_pause(2 * NSEC_SEC + (dur_t)rand_below(8 * NSEC_SEC), e) < 0)
			break;
		rc = engine_pull(h->engine, &(struct engine_image){ name, tag, o->platform,
		    buf_str(&auth), tick, &p }, h->deadline, e);
		if (rc == 0 || e->kind == ERR_CANCELLED || mono_passed(h->deadline))
			break;
		/* Not the registry's words: whoever called us knows how long a machine may be out of reach. */
		if (engine_lost(e)) {
			*why = FAILURE_SYSTEM;
			break;
		}
		*why = image_pull_failure(e->msg, &retry);
		if (!retry)
			break;
		say(h, IMAGE_WARNING, "Pulling %.*s failed (try %d of %d): %s", STR_ARG(o->name),
		    i + 1, PULL_TRIES, e->msg);
	}
	buf_wipe(&auth);
	return rc;
}

static int
by_policy(const struct image_hand *h, const struct image_order *o, struct str policy,
    struct image *img, enum failure *why, struct err *e)
{
	int found = inspect(h, o->name, img, e);

	if (found < 0 && e->kind != ERR_NOTFOUND)
		return -1;
	if (str_eqc(policy, "never")) {
		if (found == 0)
			return 0;
		*why = FAILURE_CONFIG;
		return err_set(e, ERR_CONFIG, 0, "the image is not on the machine, and the pull policy is never");
	}
	if (found == 0 && strncmp(img->id, "sha256:", 7) == 0 && str_eqc(o->name, img->id))
		return 0;
	if (found == 0 && str_eqc(policy, "if-not-present")) {
		say(h, IMAGE_PLAIN,
		    "Using locally found image version due to \"if-not-present\" pull policy");
		return 0;
	}
	say(h, IMAGE_PLAIN, "Pulling docker image %.*s ...", STR_ARG(o->name));
	if (pull(h, o, why, e) < 0)
		return -1;
	return inspect(h, o->name, img, e);
}

/* As docker's own lists have it: what is behind the twelfth digit tells nobody more. */
static char *
short_digest(struct arena *a, const char *text)
{
	ssize_t at = str_find(str_from(text), "sha256:");

	return arena_dup(a, at >= 0 ? str_sub(str_from(text), 0, (size_t)at + 7 + 12) : str_from(text));
}

int
image_ensure(const struct image_hand *h, const struct image_order *o, struct image *img,
    enum failure *why, struct err *e)
{
	const struct str *policies = o->policies.v;
	struct buf list = { .max = 256 };
	size_t n = o->policies.n;
	int rc = -1;

	for (size_t i = 0; i < n; i++)
		buf_fmt(&list, "%s%.*s", i > 0 ? " " : "", STR_ARG(policies[i]));
	say(h, IMAGE_PLAIN, "Using effective pull policy of [%s] for container %.*s",
	    buf_str(&list).p, STR_ARG(o->name));
	buf_free(&list);
	for (size_t i = 0; i < n; i++) {
		*why = FAILURE_SYSTEM;
		if (i > 0)
			say(h, IMAGE_PLAIN, "Attempt #%zu: Trying \"%.*s\" pull policy", i + 1,
			    STR_ARG(policies[i]));
		rc = by_policy(h, o, policies[i], img, why, e);
		if (rc == 0 || e->kind == ERR_CANCELLED || mono_passed(h->deadline))
			break;
		if (i + 1 < n)
			say(h, IMAGE_WARNING, "Failed to pull image with policy \"%.*s\": %s",
			    STR_ARG(policies[i]), e->msg);
	}
	if (rc < 0)
		return err_ctx(e, "failed to pull image \"%.*s\"", STR_ARG(o->name));
	if (strcmp(img->reference, img->id) != 0)
		say(h, IMAGE_PLAIN, "Using docker image %s for %.*s with digest %s ...",
		    short_digest(h->arena, img->id), STR_ARG(o->name),
		    short_digest(h->arena, img->reference));
	else
		say(h, IMAGE_PLAIN, "Using docker image %s for %.*s ...",
		    short_digest(h->arena, img->id), STR_ARG(o->name));
	return 0;
}
