/* config.json: see config_json.h. */
#include <unistd.h>

#include "books/store.h"
#include "core/fs.h"
#include "machine/config_json.h"

static const struct field engine_fields[] = {
	FIELD(struct machine_engine, LIST, "ArbitraryFlags", arbitrary_flags),
	FIELD(struct machine_engine, LIST, "Dns", dns),
	FIELD(struct machine_engine, STR, "GraphDir", graph_dir),
	FIELD(struct machine_engine, LIST, "Env", env),
	FIELD(struct machine_engine, BOOL, "Ipv6", ipv6),
	FIELD(struct machine_engine, LIST, "InsecureRegistry", insecure_registry),
	FIELD(struct machine_engine, LIST, "Labels", labels),
	FIELD(struct machine_engine, STR, "LogLevel", log_level),
	FIELD(struct machine_engine, STR, "StorageDriver", storage_driver),
	FIELD(struct machine_engine, BOOL, "SelinuxEnabled", selinux),
	FIELD(struct machine_engine, BOOL, "TlsVerify", tls_verify),
	FIELD(struct machine_engine, LIST, "RegistryMirror", registry_mirror),
	FIELD(struct machine_engine, STR, "InstallURL", install_url),
};

static const struct field swarm_fields[] = {
	FIELD(struct machine_swarm, BOOL, "IsSwarm", is_swarm),
	FIELD(struct machine_swarm, STR, "Address", address),
	FIELD(struct machine_swarm, STR, "Discovery", discovery),
	FIELD(struct machine_swarm, BOOL, "Agent", agent),
	FIELD(struct machine_swarm, BOOL, "Master", master),
	FIELD(struct machine_swarm, STR, "Host", host),
	FIELD(struct machine_swarm, STR, "Image", image),
	FIELD(struct machine_swarm, STR, "Strategy", strategy),
	FIELD(struct machine_swarm, INT, "Heartbeat", heartbeat),
	FIELD(struct machine_swarm, INT, "Overcommit", overcommit),
	FIELD(struct machine_swarm, LIST, "ArbitraryFlags", arbitrary_flags),
	FIELD(struct machine_swarm, LIST, "ArbitraryJoinFlags", arbitrary_join_flags),
	FIELD(struct machine_swarm, LIST, "Env", env),
	FIELD(struct machine_swarm, BOOL, "IsExperimental", experimental),
};

static const struct field auth_fields[] = {
	FIELD(struct machine_auth, STR, "CertDir", cert_dir),
	FIELD(struct machine_auth, STR, "CaCertPath", ca_cert),
	FIELD(struct machine_auth, STR, "CaPrivateKeyPath", ca_key),
	FIELD(struct machine_auth, STR, "CaCertRemotePath", ca_cert_remote),
	FIELD(struct machine_auth, STR, "ServerCertPath", server_cert),
	FIELD(struct machine_auth, STR, "ServerKeyPath", server_key),
	FIELD(struct machine_auth, STR, "ClientKeyPath", client_key),
	FIELD(struct machine_auth, STR, "ServerCertRemotePath", server_cert_remote),
	FIELD(struct machine_auth, STR, "ServerKeyRemotePath", server_key_remote),
	FIELD(struct machine_auth, STR, "ClientCertPath", client_cert),
	FIELD(struct machine_auth, LIST, "ServerCertSANs", sans),
	FIELD(struct machine_auth, STR, "StorePath", store_path),
};

static const struct field host_fields[] = {
	FIELD(struct machine_host, STR, "Driver", legacy_driver),
	FIELD(struct machine_host, INT, "Memory", legacy_memory),
	FIELD(struct machine_host, INT, "Disk", legacy_disk),
};

/* Objects and members that have code of their own. */
static const struct field top_special[] = {
	FIELD_NAME("ConfigVersion"), FIELD_NAME("Driver"), FIELD_NAME("DriverName"),
	FIELD_NAME("HostOptions"), FIELD_NAME("Name"),
};
static const struct field host_special[] = {
	FIELD_NAME("EngineOptions"), FIELD_NAME("SwarmOptions"), FIELD_NAME("AuthOptions"),
};

/* Version 0 kept these at the top. */
static const struct field v0_auth_fields[] = {
	FIELD(struct machine_auth, STR, "StorePath", store_path),
	FIELD(struct machine_auth, STR, "CaCertPath", ca_cert),
	FIELD(struct machine_auth, STR, "PrivateKeyPath", ca_key),
	FIELD(struct machine_auth, STR, "ServerCertPath", server_cert),
	FIELD(struct machine_auth, STR, "ServerKeyPath", server_key),
	FIELD(struct machine_auth, STR, "ClientCertPath", client_cert),
	FIELD(struct machine_auth, STR, "ClientKeyPath", client_key),
};
static const struct field v0_swarm_fields[] = {
	FIELD(struct machine_swarm, STR, "SwarmHost", host),
	FIELD(struct machine_swarm, BOOL, "SwarmMaster", master),
	FIELD(struct machine_swarm, STR, "SwarmDiscovery", discovery),
};
static const struct field v1_auth_fields[] = {
	FIELD(struct machine_auth, STR, "PrivateKeyPath", ca_key),
};

/* Lists that `create` leaves unset are null in the file, the others are []. */
static void
default_options(struct machine_host *h)
{
	const struct field_list null = { NULL, 0, true };

	h->legacy_driver = "";
	h->engine = (struct machine_engine){ .dns = null, .graph_dir = "", .log_level = "", .storage_driver = "",
		.install_url = ENGINE_INSTALL_URL, .tls_verify = true };
	h->swarm = (struct machine_swarm){ .address = "", .discovery = "", .host = "tcp://0.0.0.0:3376",
		.image = "swarm:latest", .strategy = "spread", .env = null };
}

void
machine_host_init(struct machine_host *h, struct arena *a, const struct cloud_driver *d, const char *store,
    const char *name)
{
	const char *dir = arena_fmt(a, "%s/machines/%s", store, name);

	*h = (struct machine_host){ .a = a, .version = CONFIG_JSON_VERSION, .name = arena_dup(a, str_from(name)) };
	cloud_init(&h->cloud, a, d, store, name);
	default_options(h);
	h->auth = (struct machine_auth){
		.cert_dir = arena_fmt(a, "%s/certs", store),
		.ca_cert = arena_fmt(a, "%s/certs/ca.pem", store),
		.ca_key = arena_fmt(a, "%s/certs/ca-key.pem", store),
		.server_cert = arena_fmt(a, "%s/server.pem", dir),
		.server_key = arena_fmt(a, "%s/server-key.pem", dir),
		.client_key = arena_fmt(a, "%s/certs/key.pem", store),
		.client_cert = arena_fmt(a, "%s/certs/cert.pem", store),
		.store_path = dir,
	};
}

static const char *
up(struct arena *a, const char *path)
{
	struct str s = str_from(path);
	ssize_t slash = str_rchr(s, '/');

	return slash > 0 ? arena_dup(a, str_sub(s, 0, (size_t)slash)) : path;
}

/* Spec machines 4.4: what each step of the original's migrations changes. */
static void
migrate(struct machine_host *h, struct json_val root, struct json_val auth)
{
	const char *global;

	if (h->version < 1) {
		fields_read(h->a, root, v0_auth_fields, NELEM(v0_auth_fields), &h->auth);
		fields_read(h->a, root, v0_swarm_fields, NELEM(v0_swarm_fields), &h->swarm);
		h->engine.tls_verify = true;
		h->engine.install_url = ENGINE_INSTALL_URL;
	} else if (h->version < 2)
		fields_read(h->a, auth, v1_auth_fields, NELEM(v1_auth_fields), &h->auth);
	if (h->auth.store_path == NULL)
		return;
	if (h->version < 2) {
		global = up(h->a, up(h->a, h->auth.store_path));
		h->auth.cert_dir = arena_fmt(h->a, "%s/certs", global);
		h->auth.store_path = global;
	} else
		global = up(h->a, up(h->a, h->auth.store_path));
	if (h->version < 3)
		h->cloud.base.store = global;
}

int
machine_host_parse(struct machine_host *h, struct arena *a, struct str text, const char *name, struct err *e)
{
	struct json_val root, options, engine, swarm, auth;

	*h = (struct machine_host){ .a = a };
	if (json_parse(a, text, &root, e) < 0)
		return -1;
	if (json_type(root) != JSON_OBJECT)
		return err_set(e, ERR_PARSE, 0, "it is not a JSON object");
	h->version = json_i64(json_get(root, "ConfigVersion"), 0);
	if (h->version > CONFIG_JSON_VERSION)
		return err_set(e, ERR_CONFIG, 0, "its version is %" PRId64 ": it was written by a newer program; this one knows "
		    "up to %d", h->version, CONFIG_JSON_VERSION);
	h->name = arena_dup(a, str_from(name));
	default_options(h);
	options = json_get(root, "HostOptions");
	engine = json_get(options, "EngineOptions");
	swarm = json_get(options, "SwarmOptions");
	auth = json_get(options, "AuthOptions");
	fields_read(a, options, host_fields, NELEM(host_fields), h);
	fields_read(a, engine, engine_fields, NELEM(engine_fields), &h->engine);
	fields_read(a, swarm, swarm_fields, NELEM(swarm_fields), &h->swarm);
	fields_read(a, auth, auth_fields, NELEM(auth_fields), &h->auth);
	h->unknown = fields_unknown(a, root, top_special, NELEM(top_special), NULL, 0);
	h->unknown_host = fields_unknown(a, options, host_fields, NELEM(host_fields),
	    host_special, NELEM(host_special));
	h->unknown_engine = fields_unknown(a, engine, engine_fields, NELEM(engine_fields), NULL, 0);
	h->unknown_swarm = fields_unknown(a, swarm, swarm_fields, NELEM(swarm_fields), NULL, 0);
	h->unknown_auth = fields_unknown(a, auth, auth_fields, NELEM(auth_fields),
	    v1_auth_fields, h->version < 2 ? NELEM(v1_auth_fields) : 0);
	cloud_load(&h->cloud, a, json_cstr(a, json_get(root, "DriverName")), json_get(root, "Driver"));
	if (h->version < CONFIG_JSON_VERSION)
		migrate(h, root, auth);
	return 0;
}

void
machine_host_print(const struct machine_host *h, struct buf *b)
{
	struct json_w w = { .b = b, .indent = 4, .html = true };

	jw_object(&w, NULL);
	jw_i64(&w, "ConfigVersion", CONFIG_JSON_VERSION);
	jw_object(&w, "Driver");
	cloud_save(&h->cloud, &w);
	jw_end_object(&w);
	jw_cstr(&w, "DriverName", h->cloud.driver_name);
	jw_object(&w, "HostOptions");
	fields_write(&w, host_fields, NELEM(host_fields), h);
	jw_object(&w, "EngineOptions");
	fields_write(&w, engine_fields, NELEM(engine_fields), &h->engine);
	fields_write_unknown(&w, h->unknown_engine);
	jw_end_object(&w);
	jw_object(&w, "SwarmOptions");
	fields_write(&w, swarm_fields, NELEM(swarm_fields), &h->swarm);
	fields_write_unknown(&w, h->unknown_swarm);
	jw_end_object(&w);
	jw_object(&w, "AuthOptions");
	fields_write(&w, auth_fields, NELEM(auth_fields), &h->auth);
	fields_write_unknown(&w, h->unknown_auth);
	jw_end_object(&w);
	fields_write_unknown(&w, h->unknown_host);
	jw_end_object(&w);
	jw_cstr(&w, "Name", h->name);
	fields_write_unknown(&w, h->unknown);
	jw_end_object(&w);
}

/* A path below one store, as it is below another; others stay. */
static void
follow(struct arena *a, const char **path, struct str from, const char *to)
{
	struct str p = str_from(*path);

	if (p.n >= from.n && str_eq(str_sub(p, 0, from.n), from) && (p.n == from.n || p.p[from.n] == '/'))
		*path = arena_fmt(a, "%s%.*s", to, (int)(p.n - from.n), p.p + from.n);
}

void
machine_host_follow(struct machine_host *h, const char *store)
{
	struct machine_auth *t = &h->auth;
	const char **const paths[] = {
		&t->cert_dir, &t->ca_cert, &t->ca_key, &t->server_cert, &t->server_key, &t->client_key,
		&t->client_cert, &t->store_path, &h->cloud.base.ssh_key_path, &h->cloud.base.store,
	};
	struct str from = str_from(h->cloud.base.store);

	if (store[0] != '/' || from.n < 2 || str_eqc(from, store))
		return;
	for (size_t i = 0; i < NELEM(paths); i++)
		if (*paths[i] != NULL)
			follow(h->a, paths[i], from, store);
}

int
machine_host_read(struct machine_host *h, struct arena *a, int machine_dir, const char *name, struct err *e)
{
	struct buf b = { .max = CONFIG_JSON_MAX };
	int rc = -1;

	if (fs_read(machine_dir, STOREFILE_CONFIG, CONFIG_JSON_MAX, &b, e) == 0) {
		rc = machine_host_parse(h, a, arena_str(a, buf_str(&b)), name, e);
		if (rc < 0)
			err_ctx(e, "%s/" STOREFILE_CONFIG, name);
	} else if (e != NULL && e->kind == ERR_NOTFOUND && fs_exists(machine_dir, STOREFILE_RECORD))
		err_set(e, ERR_PARSE, ENOENT, "%s/" STOREFILE_CONFIG " is missing", name);
	buf_wipe(&b);
	return rc;
}

static int
keep_old(int machine_dir, struct err *e)
{
	struct buf b = { .max = CONFIG_JSON_MAX };
	int rc = fs_read(machine_dir, STOREFILE_CONFIG, CONFIG_JSON_MAX, &b, e);

	if (rc == 0 && !fs_exists(machine_dir, STOREFILE_CONFIG ".bak"))
		rc = fs_write(machine_dir, STOREFILE_CONFIG ".bak", buf_str(&b), 0600, e);
	buf_wipe(&b);
	return rc;
}

int
machine_host_write(const struct machine_host *h, int machine_dir, struct err *e)
{
	struct buf b = { .max = CONFIG_JSON_MAX };
	int rc = -1;

	if (h->version < CONFIG_JSON_VERSION && keep_old(machine_dir, e) < 0)
		goto out;
	machine_host_print(h, &b);
	rc = b.failed ? err_set(e, ERR_FULL, 0, STOREFILE_CONFIG " would be larger than %u bytes", CONFIG_JSON_MAX) :
	    fs_write(machine_dir, STOREFILE_CONFIG, buf_str(&b), 0600, e);
out:
	buf_wipe(&b);
	return rc;
}
