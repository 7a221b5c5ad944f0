/* The options of `create`: see options.h. */
#include "config/keys.h"
#include "machine/options.h"
#include "wire/ip.h"
#include "wire/url.h"

static const struct opt common[] = {
	{ .name = "driver", .letter = 'd', .type = OPT_STRING, .arg = "DRIVER", .env = "MACHINE_DRIVER", .help = "driver to create the machine with" },
	{ .name = "engine-install-url", .type = OPT_STRING, .arg = "URL", .env = "MACHINE_DOCKER_INSTALL_URL",
	  .help = "script that installs Docker where it is missing, or none (default " ENGINE_INSTALL_URL ")" },
	{ .name = "engine-opt", .type = OPT_LIST, .arg = "FLAG=VALUE", .help = "option of dockerd, as flag=value" },
	{ .name = "engine-insecure-registry", .type = OPT_LIST, .arg = "HOST:PORT", .help = "registry that dockerd may use without TLS" },
	{ .name = "engine-registry-mirror", .type = OPT_LIST, .arg = "URL", .env = "ENGINE_REGISTRY_MIRROR", .help = "registry mirror" },
	{ .name = "engine-label", .type = OPT_LIST, .arg = "KEY=VALUE", .help = "label of the engine" },
	{ .name = "engine-storage-driver", .type = OPT_STRING, .help = "storage driver (default: the engine's own choice)" },
	{ .name = "engine-env", .type = OPT_LIST, .arg = "KEY=VALUE", .help = "variable in dockerd's environment, as KEY=VALUE" },
	{ .name = "tls-san", .type = OPT_LIST, .arg = "NAME", .help = "further name or address in the machine's certificate" },
	{ .name = "swarm", .type = OPT_BOOL, .help = "legacy Swarm: stored, not acted upon" },
	{ .name = "swarm-master", .type = OPT_BOOL },
	{ .name = "swarm-image", .type = OPT_STRING, .env = "MACHINE_SWARM_IMAGE" },
	{ .name = "swarm-discovery", .type = OPT_STRING },
	{ .name = "swarm-strategy", .type = OPT_STRING },
	{ .name = "swarm-opt", .type = OPT_LIST },
	{ .name = "swarm-join-opt", .type = OPT_LIST },
	{ .name = "swarm-host", .type = OPT_STRING },
	{ .name = "swarm-addr", .type = OPT_STRING },
	{ .name = "swarm-experimental", .type = OPT_BOOL },
};

void
machine_options_init(struct machine_options *o, const struct cloud_driver *d)
{
	*o = (struct machine_options){ .driver = d, .n = NELEM(common) };
	memcpy(o->opt, common, sizeof(common));
	if (d == NULL)
		return;
	assert(NELEM(common) + d->about->noptions <= MACHINE_OPTS_MAX);
	cloud_opts(d, o->opt + NELEM(common));
	o->n += d->about->noptions;
}

/*
 * The forms of what dockerd, systemd and we ourselves read. dockerd refuses some of them only when it starts, on a machine
 * that is made and paid for by then; its rules are those of its daemon/config and registry packages.
 */

static bool
made_of(struct str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		    strchr(more, s.p[i]) != NULL))
			return false;
	return s.n > 0;
}

static bool
web_address(struct str v, struct url *u)
{
	return url_parse(v, u, NULL) == 0 && (str_casestarts(v, "http://") || str_casestarts(v, "https://")) && u->host.n > 0;
}

static const char *
form_install_url(struct str v)
{
	struct url u;

	return str_eqc(v, "none") || web_address(v, &u) ? NULL : "it is the URL of a script, http://... or https://..., or none";
}

static const char *
form_mirror(struct str v)
{
	struct url u;

	if (!web_address(v, &u))
		return "dockerd takes a mirror as http://HOST[:PORT] or https://HOST[:PORT] only";
	if (str_chr(str_sub(v, 0, (size_t)(u.host.p - v.p)), '@') >= 0)
		return "dockerd takes no user and password in a mirror's URL";
	if (u.path.n > 1 || u.query.p != NULL || u.fragment.p != NULL)
		return "dockerd takes no path, query or fragment behind a mirror's host";
	return NULL;
}

static const char *
form_insecure(struct str v)
{
	struct url u;
	struct buf b = { .max = 1024 };
	struct str rest = v, address = str_cut(&rest, '/');
	int64_t bits = -1;
	struct ip ip;
	bool good;

	if (rest.p != NULL && ip_parse(address, &ip) == 0)
		return str_to_i64(rest, &bits) == 0 && bits >= 0 && bits <= (ip_is_v4(&ip) ? 32 : 128) ? NULL :
		    "it is no network such as 10.0.0.0/8";
	/* dockerd takes these two off itself. */
	v = str_sub(v, str_casestarts(v, "https://") ? 8 : str_casestarts(v, "http://") ? 7 : 0, v.n);
	buf_puts(&b, "http://");
	buf_putstr(&b, v);
	good = v.n > 0 && v.p[0] != '-' && v.p[v.n - 1] != '-' && url_parse(buf_str(&b), &u, NULL) == 0 &&
	    u.path.n == 0 && u.query.p == NULL && u.fragment.p == NULL && str_chr(v, '@') < 0;
	buf_free(&b);
	return good ? NULL : "it is HOST, HOST:PORT or a network such as 10.0.0.0/8, without a path";
}

static const char *
form_label(struct str v)
{
	if (str_chr(v, '=') <= 0)
		return "a label is KEY=VALUE";
	if (str_starts(v, "com.docker.") || str_starts(v, "io.docker.") || str_starts(v, "org.dockerproject."))
		return "dockerd keeps labels of com.docker, io.docker and org.dockerproject for itself";
	return NULL;
}

static const char *
form_env(struct str v)
{
	struct str name = str_cut(&v, '=');

	return v.p != NULL && made_of(name, "_") && (name.p[0] < '0' || name.p[0] > '9') ? NULL :
	    "a variable is NAME=VALUE, its name of letters, digits and _";
}

static const char *
form_engine_opt(struct str v)
{
	struct str flag = str_cut(&v, '=');

	if (flag.n > 0 && flag.p[0] == '-')
		return "write the flag without leading dashes; they are put there";
	return made_of(flag, "-.") ? NULL : "an option of dockerd is FLAG=VALUE or FLAG";
}

static const char *
form_san(struct str v)
{
	return made_of(v, "-_.:*") ? NULL : "it is one name or address";
}

static const char *
form_storage(struct str v)
{
	return v.n == 0 || made_of(v, "-_./:") ? NULL : "it is one word, such as overlay2";
}

static const struct {
	const char	*name;
	const char	*(*wrong)(struct str v);	/* NULL: good */
} forms[] = {
	{ "engine-install-url", form_install_url }, { "engine-registry-mirror", form_mirror },
	{ "engine-insecure-registry", form_insecure }, { "engine-label", form_label }, { "engine-env", form_env },
	{ "engine-opt", form_engine_opt }, { "engine-storage-driver", form_storage }, { "tls-san", form_san },
};

static int
check_forms(const struct machine_options *o, struct err *e)
{
	for (size_t f = 0; f < NELEM(forms); f++)
		for (size_t i = 0; i < o->n; i++) {
			const struct opt *p = &o->opt[i];
			size_t n = p->type == OPT_LIST ? p->nlist : p->value != NULL && p->value[0] != '\0';

			for (size_t k = 0; strcmp(p->name, forms[f].name) == 0 && k < n; k++) {
				const char *v = p->type == OPT_LIST ? p->list[k] : p->value, *wrong = forms[f].wrong(str_from(v));

				/* A variable's value may be a secret, and so may what stands before an @. */
				bool shown = forms[f].wrong != form_env && strchr(v, '@') == NULL;

				if (wrong != NULL)
					return err_set(e, ERR_CONFIG, 0, shown ? "%s=%.100s: %s" : "%s%.0s: %s", p->name, v, wrong);
			}
		}
	return 0;
}

static bool
is_storage_driver(const char *s)
{
	static const char *const known[] = { "", "overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "overlayfs", "native" };

	for (size_t i = 0; i < NELEM(known); i++)
		if (strcmp(s, known[i]) == 0)
			return true;
	return false;
}

const char *
machine_option_note(const char *name, const char *value)
{
	if (strcmp(name, "engine-insecure-registry") == 0 && value != NULL && strstr(value, "://") != NULL)
		return "a registry is named without http:// or https://; dockerd takes it off, and a path behind it would keep it from starting";
	/* Empty: dockerd's own choice. The last two are those of its containerd store. */
	if (strcmp(name, "engine-storage-driver") == 0 && value != NULL && !is_storage_driver(value))
		return "today's dockerd has no storage driver of that name and would not start: leave the option out, or write overlay2";
	return NULL;
}

int
machine_options_parse(struct machine_options *o, int argc, char **argv, struct err *e)
{
	struct opt_words words = { .v = xcalloc((size_t)argc + 1, sizeof(*words.v)) };
	int rc = opt_parse(o->opt, o->n, argc, argv, &words, e);

	o->words = words.v;
	o->nwords = words.n;
	if (rc < 0)
		return -1;
	return check_forms(o, e);
}

int
machine_options_take(struct machine_options *o, struct arena *a, const char *const *list, size_t n, struct err *e)
{
	char **argv = arena_calloc(a, n + 2, sizeof(*argv));

	argv[0] = arena_dup(a, str_from(keys[K_MACHINE_machine_options].name));
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = arena_fmt(a, "--%s", list[i]);
	if (machine_options_parse(o, (int)n + 1, argv, e) < 0)
		return err_ctx(e, "%s", argv[0]);
	if (o->nwords > 0)
		return err_set(e, ERR_CONFIG, 0, "MachineOptions: \"%s\" is not an option", o->words[0]);
	return 0;
}

void
machine_options_free(struct machine_options *o)
{
	opt_free(o->opt, o->n);
	free(o->words);
	o->words = NULL;
	o->nwords = 0;
}

static const char *
string(struct machine_options *o, struct arena *a, const char *name, const char *dflt)
{
	const struct opt *p = opt_find(o->opt, o->n, name);

	return arena_dup(a, str_from(p->given && p->value != NULL ? p->value : dflt));
}

static bool
flag(struct machine_options *o, const char *name)
{
	const struct opt *p = opt_find(o->opt, o->n, name);

	return p->given && p->number != 0;
}

static struct field_list
list(struct machine_options *o, struct arena *a, const char *name)
{
	const struct opt *p = opt_find(o->opt, o->n, name);
	struct field_list l = { NULL, 0, false };

	for (size_t i = 0; i < p->nlist; i++)
		fields_append(a, &l, arena_dup(a, str_from(p->list[i])));
	return l;
}

static int
swarm_options(struct machine_options *o, struct machine_host *h, struct arena *a, struct err *e)
{
	struct machine_swarm *s = &h->swarm;

	s->agent = flag(o, "swarm");
	s->master = flag(o, "swarm-master");
	s->is_swarm = s->agent || s->master;
	s->experimental = flag(o, "swarm-experimental");
	s->image = string(o, a, "swarm-image", "swarm:latest");
	s->discovery = string(o, a, "swarm-discovery", "");
	s->strategy = string(o, a, "swarm-strategy", "spread");
	s->host = string(o, a, "swarm-host", "tcp://0.0.0.0:3376");
	s->address = string(o, a, "swarm-addr", "");
	s->arbitrary_flags = list(o, a, "swarm-opt");
	s->arbitrary_join_flags = list(o, a, "swarm-join-opt");
	if (s->discovery[0] != '\0' && strstr(s->discovery, "://") == NULL)
		return err_set(e, ERR_CONFIG, 0, "Swarm Discovery URL was in the wrong format: \"%s\" is not scheme://value",
		    s->discovery);
	h->cloud.base.swarm_master = s->master;
	h->cloud.base.swarm_host = s->host;
	h->cloud.base.swarm_discovery = s->discovery;
	return 0;
}

int
machine_options_host(struct machine_options *o, struct machine_host *h, struct arena *a, const char *store,
    const char *name, struct err *e)
{
	const struct cloud_driver *d = o->driver;
	struct machine_engine *g = &h->engine;

	machine_host_init(h, a, d, store, name);
	g->install_url = string(o, a, "engine-install-url", ENGINE_INSTALL_URL);
	g->storage_driver = string(o, a, "engine-storage-driver", "");
	g->arbitrary_flags = list(o, a, "engine-opt");
	g->insecure_registry = list(o, a, "engine-insecure-registry");
	g->registry_mirror = list(o, a, "engine-registry-mirror");
	g->labels = list(o, a, "engine-label");
	g->env = list(o, a, "engine-env");
	h->auth.sans = list(o, a, "tls-san");
	if (swarm_options(o, h, a, e) < 0)
		return -1;
	if (d->configure != NULL && d->configure(&h->cloud, o->opt, o->n, e) < 0)
		return -1;
	return 0;
}
