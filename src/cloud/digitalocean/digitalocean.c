/* The driver's table and its options. See digitalocean.h. */
#include "cloud/digitalocean/digitalocean.h"
#include "core/fs.h"

static const struct field fields[] = {
	FIELD(struct droplet, STR, "AccessToken", token),
	FIELD(struct droplet, NUMBER, "DropletID", id),
	FIELD(struct droplet, STR, "DropletName", droplet_name),
	FIELD(struct droplet, STR, "Image", image),
	FIELD(struct droplet, STR, "Region", region),
	FIELD(struct droplet, NUMBER, "SSHKeyID", key_id),
	FIELD(struct droplet, STR, "SSHKeyFingerprint", fingerprint),
	FIELD(struct droplet, STR, "SSHKey", key_path),
	FIELD(struct droplet, STR, "Size", size),
	FIELD(struct droplet, BOOL, "IPv6", ipv6),
	FIELD(struct droplet, BOOL, "Backups", backups),
	FIELD(struct droplet, BOOL, "PrivateNetworking", private_networking),
	FIELD(struct droplet, STR, "UserDataFile", user_data_file),
	FIELD(struct droplet, BOOL, "Monitoring", monitoring),
	FIELD(struct droplet, STR, "Tags", tags),
	/* Ours; docker-machine drops them. */
	FIELD(struct droplet, STR_IF, "APIEndpoint", endpoint),
	FIELD(struct droplet, STR_IF, "APICAFile", ca_file),
};

static int
configure(struct cloud *c, struct opt *opts, size_t n, struct err *e)
{
	struct droplet *d = do_own(c);

#define STRING(name) arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "digitalocean-" name)))
	d->token = SECRET(STRING("access-token"));
	d->image = STRING("image");
	d->region = STRING("region");
	d->size = STRING("size");
	d->fingerprint = STRING("ssh-key-fingerprint");
	d->key_path = STRING("ssh-key-path");
	d->user_data_file = STRING("userdata");
	d->tags = STRING("tags");
	d->endpoint = STRING("api-endpoint");
	d->ca_file = STRING("api-ca-file");
	c->base.ssh_user = STRING("ssh-user");
#undef STRING
	c->base.ssh_port = cloud_opt_int(c->driver, opts, n, "digitalocean-ssh-port");
	d->ipv6 = cloud_opt_bool(c->driver, opts, n, "digitalocean-ipv6");
	d->private_networking = cloud_opt_bool(c->driver, opts, n, "digitalocean-private-networking");
	d->backups = cloud_opt_bool(c->driver, opts, n, "digitalocean-backups");
	d->monitoring = cloud_opt_bool(c->driver, opts, n, "digitalocean-monitoring");
	if (!secret_is_set(d->token))
		return err_set(e, ERR_CONFIG, 0, "digitalocean driver requires the --digitalocean-access-token option");
	if (c->base.ssh_port < 1 || c->base.ssh_port > 65535)
		return err_set(e, ERR_CONFIG, 0, "digitalocean-ssh-port must be 1 to 65535, not %" PRId64, c->base.ssh_port);
	/* The key of the account is the client's own then, wherever ssh finds it. */
	if (d->fingerprint[0] != '\0' && d->key_path[0] == '\0')
		c->base.ssh_key_path = "";
	return 0;
}

static int
check(struct cloud *c, struct err *e)
{
	const struct droplet *d = do_own(c);

	if (do_word(d->user_data_file)[0] != '\0' && !fs_exists(AT_FDCWD, d->user_data_file))
		return err_set(e, ERR_CONFIG, 0, "user-data file %s could not be found", d->user_data_file);
	if (do_word(d->key_path)[0] == '\0')
		return 0;
	if (do_word(d->fingerprint)[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "ssh-key-fingerprint needs to be provided for \"%s\"", d->key_path);
	if (!fs_exists(AT_FDCWD, d->key_path))
		return err_set(e, ERR_CONFIG, 0, "SSH key does not exist: \"%s\"", d->key_path);
	return 0;
}

static void
facts(const struct cloud *c, struct cloud_facts *f)
{
	const struct droplet *d = do_own(c);

	f->foreign_key = do_word(d->fingerprint)[0] != '\0' ? do_word(d->key_path) : NULL;
	f->user_data = do_word(d->user_data_file)[0] != '\0';
}

/* In the order they are made; the row of a kind is in its own file. */
static const struct cloud_kind *const kinds[] = { &do_key_kind, &do_droplet_kind };

const struct cloud_driver cloud_digitalocean = {
	.about = &catalog_digitalocean,
	.kinds = kinds, .nkinds = NELEM(kinds),
	.fields = fields, .nfields = NELEM(fields), .own_size = sizeof(struct droplet),
	.configure = configure,
	.check = check,
	.facts = facts,
	.open = do_open,
	.close = do_close,
	.power = do_power,
	.probe = do_probe,
	.tidy = do_tidy,
};
