/* What all drivers share: see driver.h. */
#include <unistd.h>

#include "cloud/driver.h"
#include "core/fs.h"
#include "docker/engine.h"
#include "wire/url.h"

#define SECRET_MAX	(16u << 10)
#define SSH_PORT	22

const struct cloud_driver *const cloud_drivers[] = {
#define ROW(name)	&cloud_##name,
	CLOUD_DRIVERS(ROW)
#undef ROW
	NULL,
};

const struct field cloud_base_fields[] = {
	FIELD(struct cloud_base, STR, "IPAddress", ip),
	FIELD(struct cloud_base, STR, "MachineName", name),
	FIELD(struct cloud_base, STR, "SSHUser", ssh_user),
	FIELD(struct cloud_base, INT, "SSHPort", ssh_port),
	FIELD(struct cloud_base, STR, "SSHKeyPath", ssh_key_path),
	FIELD(struct cloud_base, STR, "StorePath", store),
	FIELD(struct cloud_base, BOOL, "SwarmMaster", swarm_master),
	FIELD(struct cloud_base, STR, "SwarmHost", swarm_host),
	FIELD(struct cloud_base, STR, "SwarmDiscovery", swarm_discovery),
};
const size_t cloud_base_nfields = NELEM(cloud_base_fields);

static const char *const state_names[] = {
	"", "Running", "Paused", "Saved", "Stopped", "Stopping", "Starting", "Error", "Timeout",
};
static const char *const power_names[] = { "start", "stop", "restart", "kill" };

const struct cloud_driver *
cloud_driver_find(struct str name)
{
	for (size_t i = 0; cloud_drivers[i] != NULL; i++)
		if (str_eqc(name, cloud_drivers[i]->about->name))
			return cloud_drivers[i];
	return NULL;
}

void
cloud_init(struct cloud *c, struct arena *a, const struct cloud_driver *d, const char *store,
    const char *name)
{
	*c = (struct cloud){ .driver = d, .driver_name = d->about->name, .a = a };
	c->own = arena_alloc(a, d->own_size + 1);
	c->base = (struct cloud_base){
		.ip = "", .name = arena_dup(a, str_from(name)),
		.ssh_user = "root", .ssh_port = SSH_PORT,
		.ssh_key_path = arena_fmt(a, "%s/machines/%s/id_rsa", store, name),
		.store = arena_dup(a, str_from(store)),
		.swarm_host = "tcp://0.0.0.0:3376", .swarm_discovery = "",
	};
}

void
cloud_load(struct cloud *c, struct arena *a, const char *driver_name, struct json_val obj)
{
	const struct cloud_driver *d = cloud_driver_find(str_from(driver_name));

	*c = (struct cloud){ .driver = d, .driver_name = driver_name, .a = a };
	c->base = (struct cloud_base){ .ip = "", .name = "", .ssh_user = "", .ssh_key_path = "",
		.store = "", .swarm_host = "", .swarm_discovery = "" };
	fields_read(a, obj, cloud_base_fields, cloud_base_nfields, &c->base);
	if (d != NULL) {
		c->own = arena_alloc(a, d->own_size + 1);
		fields_read(a, obj, d->fields, d->nfields, c->own);
	}
	c->unknown = fields_unknown(a, obj, cloud_base_fields, cloud_base_nfields,
	    d != NULL ? d->fields : NULL, d != NULL ? d->nfields : 0);
}

void
cloud_save(const struct cloud *c, struct json_w *w)
{
	fields_write(w, cloud_base_fields, cloud_base_nfields, &c->base);
	if (c->driver != NULL)
		fields_write(w, c->driver->fields, c->driver->nfields, c->own);
	fields_write_unknown(w, c->unknown);
}

void
cloud_close(struct cloud *c)
{
	if ((c->rest != NULL || c->session != NULL) && c->driver->close != NULL)
		c->driver->close(c);
	c->rest = NULL;
	c->session = NULL;
}

struct cloud_facts
cloud_facts(const struct cloud *c)
{
	struct cloud_facts f = { 0 };

	if (c->driver != NULL && c->driver->facts != NULL)
		c->driver->facts(c, &f);
	return f;
}

void
cloud_things_add(struct cloud *c, struct cloud_things *list, const struct cloud_thing *t)
{
	if (list->n == list->cap) {
		size_t cap = list->cap > 0 ? 2 * list->cap : 32;
		struct cloud_thing *v = arena_calloc(c->a, cap, sizeof(*v));

		if (list->n > 0)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = *t;
}

/* Probing */

void
probe_found(const struct prober *p, enum cloud_found how, const char *option, const char *fmt, ...)
{
	char text[400], clean[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Half of it is the cloud's. */
	str_printable(str_from(text), clean, sizeof(clean));
	p->say(p->ctx, how, option, clean);
}

static void
note_first_bad(void *ctx, enum cloud_found how, const char *option, const char *text)
{
	struct err *e = ctx;

	if (how == CLOUD_FOUND_BAD && e->kind == ERR_NONE)
		err_set(e, ERR_CONFIG, 0, "%s%s%s", option, option[0] != '\0' ? ": " : "", text);
}

int
cloud_precreate(struct cloud *c, mono_t deadline, struct err *e)
{
	struct err bad = { 0 };
	struct prober p = { .c = c, .brief = true, .say = note_first_bad, .ctx = &bad, .deadline = deadline };

	if (c->driver->probe == NULL)
		return 0;
	if (c->driver->probe(&p, e) < 0)
		return -1;
	if (bad.kind == ERR_NONE)
		return 0;
	*e = bad;
	return -1;
}

const char *
cloud_driver_names(char out[CLOUD_NAMES_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; cloud_drivers[i] != NULL && n < CLOUD_NAMES_MAX; i++)
		n += (size_t)snprintf(out + n, CLOUD_NAMES_MAX - n, "%s%s", i > 0 ? ", " : "", cloud_drivers[i]->about->name);
	return out;
}

int
cloud_need_driver(const struct cloud *c, struct err *e)
{
	char names[CLOUD_NAMES_MAX];

	if (c->driver != NULL)
		return 0;
	return err_set(e, ERR_CONFIG, 0, "windlass has no driver \"%s\" (it has %s)", c->driver_name, cloud_driver_names(names));
}

int
cloud_engine_port(const struct cloud *c)
{
	int port = cloud_facts(c).engine_port;

	return port > 0 && port <= UINT16_MAX ? port : ENGINE_PORT;
}

int
cloud_engine(const struct cloud *c, const char **host, int *port, struct err *e)
{
	const char *url = cloud_facts(c).url;
	struct url u;

	*host = c->base.ip != NULL ? c->base.ip : "";
	*port = cloud_engine_port(c);
	if (url != NULL && url[0] != '\0') {
		if (url_parse(str_from(url), &u, e) < 0)
			return err_ctx(e, "address of the engine \"%s\"", url);
		*host = arena_dup(c->a, u.host);
		if (u.port != 0)
			*port = u.port;
	}
	return (*host)[0] != '\0' ? 0 : err_set(e, ERR_CONFIG, 0, "no address in its config.json");
}

const char *
cloud_url(const struct cloud *c)
{
	const char *url = cloud_facts(c).url;

	if (url != NULL)
		return url;
	if (c->base.ip == NULL || c->base.ip[0] == '\0')
		return "";
	return arena_fmt(c->a, strchr(c->base.ip, ':') != NULL ? "tcp://[%s]:%d" : "tcp://%s:%d",
	    c->base.ip, cloud_engine_port(c));
}

void
cloud_opts(const struct cloud_driver *d, struct opt *out)
{
	for (size_t i = 0; i < d->about->noptions; i++) {
		const struct catalog_option *o = &d->about->options[i];

		out[i] = (struct opt){ .name = o->name, .type = o->type, .env = o->env, .help = o->help };
	}
}

static const char *
option_default(const struct cloud_driver *d, const char *name)
{
	const struct catalog_option *o = catalog_option(d->about, str_from(name));

	assert(o != NULL);
	return o->dflt;
}

const char *
cloud_opt_str(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name)
{
	const struct opt *o = opt_find(opts, n, name);
	const char *dflt = option_default(d, name);

	if (o != NULL && o->given && o->value != NULL)
		return o->value;
	return dflt != NULL ? dflt : "";
}

int64_t
cloud_opt_int(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name)
{
	const struct opt *o = opt_find(opts, n, name);
	const char *dflt = option_default(d, name);
	int64_t v = 0;

	if (o != NULL && o->given)
		return o->number;
	if (dflt != NULL)
		str_to_i64(str_from(dflt), &v);
	return v;
}

bool
cloud_opt_bool(const struct cloud_driver *d, struct opt *opts, size_t n, const char *name)
{
	const struct opt *o = opt_find(opts, n, name);
	const char *dflt = option_default(d, name);

	if (o != NULL && o->given)
		return o->number != 0;
	return dflt != NULL && strcmp(dflt, "true") == 0;
}

int
cloud_secret(struct arena *a, struct secret stored, const char *what, struct secret *out,
    struct err *e)
{
	const char *text = secret_reveal(stored), *v;
	struct buf b = { .max = SECRET_MAX };

	if (str_starts(str_from(text), "env:")) {
		v = getenv(text + 4);
		if (v == NULL || v[0] == '\0')
			return err_set(e, ERR_CONFIG, 0, "%s: environment variable %s is not set", what, text + 4);
		*out = SECRET(arena_dup(a, str_from(v)));
		return 0;
	}
	if (!str_starts(str_from(text), "file:")) {
		*out = SECRET(arena_dup(a, str_from(text)));
		return 0;
	}
	if (fs_read(AT_FDCWD, text + 5, SECRET_MAX, &b, e) < 0) {
		buf_wipe(&b);
		e->kind = ERR_CONFIG;
		return err_ctx(e, "%s", what);
	}
	*out = SECRET(arena_dup(a, str_trim(buf_str(&b))));
	buf_wipe(&b);
	if (!secret_is_set(*out))
		return err_set(e, ERR_CONFIG, 0, "%s: file %s is empty", what, text + 5);
	return 0;
}

const char *
cloud_state_name(enum cloud_state s)
{
	return state_names[s];
}

const char *
cloud_power_name(enum cloud_power p)
{
	return power_names[p];
}

void
cloud_tell(const struct cloud *c, const char *fmt, ...)
{
	char text[512];

	if (c->ears.say == NULL)
		return;
	TEXT_OF(text, fmt);
	c->ears.say(c->ears.ctx, text);
}

void
cloud_rest_say(void *cloud, const char *text)
{
	cloud_tell(cloud, "%s", text);
}

void
cloud_rest_throttled(void *cloud, wall_t until)
{
	const struct cloud_ears *ears = &((const struct cloud *)cloud)->ears;

	if (ears->throttled != NULL)
		ears->throttled(ears->ctx, until);
}
