/*
 * A machine that exists already and is reached by SSH (spec cloud-drivers 8).
 * Nothing is created and nothing deleted but what lies on this host.
 */
#include <unistd.h>

#include "cloud/driver.h"
#include "core/fs.h"
#include "net/dial.h"

#define PROBE_NS	(15 * NSEC_SEC)

struct generic {
	int64_t		 engine_port;
	const char	*ssh_key;
};

static const struct field fields[] = {
	FIELD(struct generic, INT, "EnginePort", engine_port),
	FIELD(struct generic, STR, "SSHKey", ssh_key),
};

static int
generic_configure(struct cloud *c, struct opt *opts, size_t n, struct err *e)
{
	struct generic *own = c->own;

	own->engine_port = cloud_opt_int(c->driver, opts, n, "generic-engine-port");
	own->ssh_key = arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "generic-ssh-key")));
	c->base.ip = arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "generic-ip-address")));
	c->base.ssh_user = arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "generic-ssh-user")));
	c->base.ssh_port = cloud_opt_int(c->driver, opts, n, "generic-ssh-port");
	/* A copy under the key's own name; without one, the client's default keys are meant. */
	if (own->ssh_key[0] == '\0')
		c->base.ssh_key_path = "";
	else
		c->base.ssh_key_path = arena_fmt(c->a, "%s/machines/%s/%s", c->base.store, c->base.name,
		    strrchr(own->ssh_key, '/') != NULL ? strrchr(own->ssh_key, '/') + 1 : own->ssh_key);
	if (c->base.ip[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "generic driver requires the --generic-ip-address option");
	if (own->engine_port < 1 || own->engine_port > 65535 || c->base.ssh_port < 1 || c->base.ssh_port > 65535)
		return err_set(e, ERR_CONFIG, 0, "generic-engine-port and generic-ssh-port must be 1 to 65535");
	return 0;
}

static int
generic_check(struct cloud *c, struct err *e)
{
	const struct generic *own = c->own;

	if (own->ssh_key != NULL && own->ssh_key[0] != '\0' && !fs_exists(AT_FDCWD, own->ssh_key))
		return err_set(e, ERR_CONFIG, 0, "SSH key does not exist: \"%s\"", own->ssh_key);
	return 0;
}

static void
generic_facts(const struct cloud *c, struct cloud_facts *f)
{
	const struct generic *own = c->own;

	f->foreign_key = own->ssh_key != NULL ? own->ssh_key : "";
	f->engine_port = (int)own->engine_port;
}

static int
generic_state(struct cloud *c, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	struct err why = { 0 };
	int fd = dial_tcp(str_from(c->base.ip), (uint16_t)c->base.ssh_port, NULL,
	    mono_min(deadline, mono_after(PROBE_NS)), &why);

	if (fd < 0 && why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	*s = (struct cloud_sight){ .state = fd >= 0 ? STATE_RUNNING : STATE_STOPPED, .words = "", .address = "" };
	if (fd >= 0)
		close(fd);
	return 0;
}

static int
generic_power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	return err_set(e, ERR_CONFIG, 0, "generic driver does not support %s", cloud_power_name(p));
}

const struct cloud_driver cloud_generic = {
	.about = &catalog_generic,
	.traits = CLOUD_NO_VM,
	.fields = fields, .nfields = NELEM(fields), .own_size = sizeof(struct generic),
	.configure = generic_configure,
	.check = generic_check,
	.facts = generic_facts,
	.state = generic_state,
	.power = generic_power,
};
