/* The options of `create`: see options.h. */
#include "machine/options.h"

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
	assert(NELEM(common) + d->nflags <= MACHINE_OPTS_MAX);
	cloud_opts(d, o->opt + NELEM(common));
	o->n += d->nflags;
}

int
machine_options_parse(struct machine_options *o, int argc, char **argv, struct err *e)
{
	o->words = xcalloc((size_t)argc + 1, sizeof(*o->words));
	return opt_parse(o->opt, o->n, argc, argv, 0, o->words, &o->nwords, e);
}

int
machine_options_take(struct machine_options *o, struct arena *a, const char *const *list, size_t n, struct err *e)
{
	char **argv = arena_calloc(a, n + 2, sizeof(*argv));

	argv[0] = arena_dup(a, STR("MachineOptions"));
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = arena_fmt(a, "--%s", list[i]);
	if (machine_options_parse(o, (int)n + 1, argv, e) < 0)
		return err_ctx(e, "MachineOptions");
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
