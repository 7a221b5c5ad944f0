/* A machine that is nothing but the URL of an engine (spec cloud-drivers 9). */
#include "cloud/driver.h"
#include "wire/url.h"

struct none {
	const char	*url;
};

static const struct field fields[] = {
	FIELD(struct none, STR, "URL", url),
};

static int
none_configure(struct cloud *c, struct opt *opts, size_t n, struct err *e)
{
	struct none *own = c->own;
	struct url u;

	own->url = arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "url")));
	if (own->url[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "--url option is required when no driver is selected");
	if (url_parse(str_from(own->url), &u, e) < 0)
		return err_ctx(e, "--url");
	c->base.ip = u.port != 0 ? arena_fmt(c->a, "%.*s:%d", STR_ARG(u.host), u.port) : arena_dup(c->a, u.host);
	c->base.ssh_user = c->base.ssh_key_path = "";
	c->base.ssh_port = 0;
	return 0;
}

static int
none_state(struct cloud *c, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	(void)e;
	*s = (struct cloud_sight){ .state = STATE_RUNNING, .words = "", .address = "" };
	return 0;
}

static int
none_power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e)
{
	static const char *const done[] = { "started", "stopped", "restarted", "killed" };

	(void)c;
	(void)deadline;
	return err_set(e, ERR_CONFIG, 0, "hosts without a driver cannot be %s", done[p]);
}

static void
none_facts(const struct cloud *c, struct cloud_facts *f)
{
	const struct none *own = c->own;

	f->url = own->url != NULL ? own->url : "";
}

const struct cloud_driver cloud_none = {
	.about = &catalog_none,
	.traits = CLOUD_NO_SSH | CLOUD_NO_VM,
	.fields = fields, .nfields = NELEM(fields), .own_size = sizeof(struct none),
	.configure = none_configure,
	.facts = none_facts,
	.state = none_state,
	.power = none_power,
};
