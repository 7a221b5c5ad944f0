/* machine/config_json and machine/options: the file as docker-machine writes it, and what `create` makes. */
#include <unistd.h>

#include "cloud/life.h"
#include "books/store.h"
#include "core/fs.h"
#include "machine/config_json.h"
#include "machine/options.h"
#include "tap.h"

/* The example of spec machines 4.3, as docker-machine writes it: 4 blanks, an element a line, no line end behind. */
static const char example[] =
"{\n"
"    \"ConfigVersion\": 3,\n"
"    \"Driver\": {\n"
"        \"IPAddress\": \"203.0.113.25\",\n"
"        \"MachineName\": \"runner-8wdzrbe4s-auto-1772445600-9f3a01bc\",\n"
"        \"SSHUser\": \"root\",\n"
"        \"SSHPort\": 22,\n"
"        \"SSHKeyPath\": \"/root/.docker/machine/machines/runner-8wdzrbe4s-auto-1772445600-9f3a01bc/id_rsa\",\n"
"        \"StorePath\": \"/root/.docker/machine\",\n"
"        \"SwarmMaster\": false,\n"
"        \"SwarmHost\": \"tcp://0.0.0.0:3376\",\n"
"        \"SwarmDiscovery\": \"\",\n"
"        \"AccessToken\": \"dop_v1_0123456789abcdef\",\n"
"        \"DropletID\": 412345678,\n"
"        \"DropletName\": \"\",\n"
"        \"Image\": \"ubuntu-24-04-x64\",\n"
"        \"Region\": \"fra1\",\n"
"        \"SSHKeyID\": 43219876,\n"
"        \"SSHKeyFingerprint\": \"\",\n"
"        \"SSHKey\": \"\",\n"
"        \"Size\": \"s-4vcpu-8gb\",\n"
"        \"IPv6\": false,\n"
"        \"Backups\": false,\n"
"        \"PrivateNetworking\": true,\n"
"        \"UserDataFile\": \"\",\n"
"        \"Monitoring\": false,\n"
"        \"Tags\": \"ci,gitlab\"\n"
"    },\n"
"    \"DriverName\": \"digitalocean\",\n"
"    \"HostOptions\": {\n"
"        \"Driver\": \"\",\n"
"        \"Memory\": 0,\n"
"        \"Disk\": 0,\n"
"        \"EngineOptions\": {\n"
"            \"ArbitraryFlags\": [],\n"
"            \"Dns\": null,\n"
"            \"GraphDir\": \"\",\n"
"            \"Env\": [],\n"
"            \"Ipv6\": false,\n"
"            \"InsecureRegistry\": [],\n"
"            \"Labels\": [],\n"
"            \"LogLevel\": \"\",\n"
"            \"StorageDriver\": \"\",\n"
"            \"SelinuxEnabled\": false,\n"
"            \"TlsVerify\": true,\n"
"            \"RegistryMirror\": [\n"
"                \"https://mirror.example.com\"\n"
"            ],\n"
"            \"InstallURL\": \"https://get.docker.com\"\n"
"        },\n"
"        \"SwarmOptions\": {\n"
"            \"IsSwarm\": false,\n"
"            \"Address\": \"\",\n"
"            \"Discovery\": \"\",\n"
"            \"Agent\": false,\n"
"            \"Master\": false,\n"
"            \"Host\": \"tcp://0.0.0.0:3376\",\n"
"            \"Image\": \"swarm:latest\",\n"
"            \"Strategy\": \"spread\",\n"
"            \"Heartbeat\": 0,\n"
"            \"Overcommit\": 0,\n"
"            \"ArbitraryFlags\": [],\n"
"            \"ArbitraryJoinFlags\": [],\n"
"            \"Env\": null,\n"
"            \"IsExperimental\": false\n"
"        },\n"
"        \"AuthOptions\": {\n"
"            \"CertDir\": \"/root/.docker/machine/certs\",\n"
"            \"CaCertPath\": \"/root/.docker/machine/certs/ca.pem\",\n"
"            \"CaPrivateKeyPath\": \"/root/.docker/machine/certs/ca-key.pem\",\n"
"            \"CaCertRemotePath\": \"\",\n"
"            \"ServerCertPath\": \"/root/.docker/machine/machines/runner-8wdzrbe4s-auto-1772445600-9f3a01bc/server.pem\",\n"
"            \"ServerKeyPath\": \"/root/.docker/machine/machines/runner-8wdzrbe4s-auto-1772445600-9f3a01bc/server-key.pem\",\n"
"            \"ClientKeyPath\": \"/root/.docker/machine/certs/key.pem\",\n"
"            \"ServerCertRemotePath\": \"\",\n"
"            \"ServerKeyRemotePath\": \"\",\n"
"            \"ClientCertPath\": \"/root/.docker/machine/certs/cert.pem\",\n"
"            \"ServerCertSANs\": [],\n"
"            \"StorePath\": \"/root/.docker/machine/machines/runner-8wdzrbe4s-auto-1772445600-9f3a01bc\"\n"
"        }\n"
"    },\n"
"    \"Name\": \"runner-8wdzrbe4s-auto-1772445600-9f3a01bc\"\n"
"}";

#define NAME "runner-8wdzrbe4s-auto-1772445600-9f3a01bc"

static char *
printed(struct arena *a, const struct machine_host *h)
{
	struct buf b = { 0 };
	char *text;

	machine_host_print(h, &b);
	text = arena_dup(a, buf_str(&b));
	buf_free(&b);
	return text;
}

static void
test_round(void)
{
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	is_int(machine_host_parse(&h, &a, str_from(example), NAME, &e), 0, "the specification's example is read");
	is_str(printed(&a, &h), example, "and written byte for byte");
	is_str(h.cloud.base.ip, "203.0.113.25", "its address");
	is_str(cloud_id(&h.cloud, 0), "43219876", "its key");
	is_str(cloud_machine_id(&h.cloud), "412345678", "its droplet");
	is_str(cloud_url(&h.cloud), "tcp://203.0.113.25:2376", "its URL");
	is_int((long long)h.engine.registry_mirror.n, 1, "its mirror");
	arena_reset(&a);
}

/* Where jobs, health and provisioning find the engine: by the driver's word, from what config.json holds. */
static void
test_engine(void)
{
#define CONFIG(driver, members) "{\"ConfigVersion\":3,\"DriverName\":\"" driver "\",\"Driver\":{" members "}}"
	static const struct { const char *text, *host; int port; const char *url; } cases[] = {
		{ CONFIG("generic", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":4243"), "192.0.2.7", 4243, "tcp://192.0.2.7:4243" },
		{ CONFIG("generic", "\"IPAddress\":\"2001:db8::7\",\"EnginePort\":4243"), "2001:db8::7", 4243, "tcp://[2001:db8::7]:4243" },
		{ CONFIG("generic", "\"IPAddress\":\"ci.example\""), "ci.example", 2376, "tcp://ci.example:2376" },
		{ CONFIG("generic", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":0"), "192.0.2.7", 2376, "tcp://192.0.2.7:2376" },
		{ CONFIG("generic", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":65536"), "192.0.2.7", 2376, "tcp://192.0.2.7:2376" },
		{ CONFIG("generic", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":-1"), "192.0.2.7", 2376, "tcp://192.0.2.7:2376" },
		{ CONFIG("generic", "\"EnginePort\":4243"), NULL, 0, "" },
		{ CONFIG("digitalocean", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":4243"), "192.0.2.7", 2376, "tcp://192.0.2.7:2376" },
		{ CONFIG("none", "\"IPAddress\":\"192.0.2.7:99\",\"URL\":\"tcp://192.0.2.7:99\""), "192.0.2.7", 99, "tcp://192.0.2.7:99" },
		{ CONFIG("none", "\"IPAddress\":\"192.0.2.7\",\"URL\":\"tcp://192.0.2.7\""), "192.0.2.7", 2376, "tcp://192.0.2.7" },
		{ CONFIG("unheard-of", "\"IPAddress\":\"192.0.2.7\",\"EnginePort\":4243"), "192.0.2.7", 2376, "tcp://192.0.2.7:2376" },
	};
#undef CONFIG

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct machine_host h;
		struct arena a = { 0 };
		struct err e = { 0 };
		const char *host = NULL;
		int port = 0, rc;

		is_int(machine_host_parse(&h, &a, str_from(cases[i].text), NAME, &e), 0, "config.json %zu %s", i, e.msg);
		rc = cloud_engine(&h.cloud, &host, &port, &e);
		is_int(rc, cases[i].host != NULL ? 0 : -1, "  where its engine is %s", e.msg);
		if (rc == 0) {
			is_str(host, cases[i].host, "  host");
			is_int(port, cases[i].port, "  port");
		} else
			is_int(e.kind, ERR_CONFIG, "  is not known");
		is_str(cloud_url(&h.cloud), cases[i].url, "  its URL");
		arena_reset(&a);
	}
}

/* The options that make the example, as MachineOptions. */
static void
test_options(void)
{
	static const char *const options[] = {
		"digitalocean-access-token=dop_v1_0123456789abcdef", "digitalocean-image=ubuntu-24-04-x64",
		"digitalocean-region=fra1", "digitalocean-size=s-4vcpu-8gb", "digitalocean-private-networking",
		"digitalocean-tags=ci,gitlab", "engine-registry-mirror=https://mirror.example.com",
	};
	struct machine_options o;
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	machine_options_init(&o, &cloud_digitalocean);
	is_int(machine_options_take(&o, &a, options, NELEM(options), &e), 0, "MachineOptions are taken");
	is_int(machine_options_host(&o, &h, &a, "/root/.docker/machine", NAME, &e), 0, "and make a machine");
	h.cloud.base.ip = "203.0.113.25";
	cloud_note_id(&h.cloud, 0, "43219876");
	cloud_note_id(&h.cloud, 1, "412345678");
	is_str(printed(&a, &h), example, "which is written as the example");
	machine_options_free(&o);
	arena_reset(&a);
}

static void
test_refusals(void)
{
	static const struct { const char *name; const char *option[3]; const char *want; } cases[] = {
		{ "no token", { "digitalocean-region=fra1" }, "digitalocean driver requires the --digitalocean-access-token option" },
		{ "another driver's option", { "digitalocean-access-token=x", "amazonec2-region=y" }, "MachineOptions: unknown option --amazonec2-region" },
		{ "no number", { "digitalocean-access-token=x", "digitalocean-ssh-port=ssh" },
		  "MachineOptions: option --digitalocean-ssh-port needs a whole number, not \"ssh\"" },
		{ "no boolean", { "digitalocean-access-token=x", "digitalocean-ipv6=maybe" },
		  "MachineOptions: option --digitalocean-ipv6 needs true or false, not \"maybe\"" },
		{ "port out of range", { "digitalocean-access-token=x", "digitalocean-ssh-port=70000" },
		  "digitalocean-ssh-port must be 1 to 65535, not 70000" },
		{ "discovery that is no URL", { "digitalocean-access-token=x", "swarm-discovery=consul" },
		  "Swarm Discovery URL was in the wrong format: \"consul\" is not scheme://value" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct machine_options o;
		struct machine_host h;
		struct arena a = { 0 };
		struct err e = { 0 };
		size_t n = 0;

		while (n < 3 && cases[i].option[n] != NULL)
			n++;
		machine_options_init(&o, &cloud_digitalocean);
		ok(machine_options_take(&o, &a, cases[i].option, n, &e) < 0 ||
		    machine_options_host(&o, &h, &a, "/s", "m", &e) < 0, "%s: refused", cases[i].name);
		is_int(e.kind, ERR_CONFIG, "  as a mistake of the configuration");
		is_str(e.msg, cases[i].want, "  in words");
		machine_options_free(&o);
		arena_reset(&a);
	}
}

static void
test_environment(void)
{
	static const char *const options[] = { "digitalocean-access-token=x" };
	struct machine_options o;
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	setenv("DIGITALOCEAN_REGION", "ams3", 1);
	setenv("DIGITALOCEAN_SIZE", "", 1);
	setenv("ENGINE_REGISTRY_MIRROR", "https://a,https://b", 1);
	machine_options_init(&o, &cloud_digitalocean);
	machine_options_take(&o, &a, options, 1, &e);
	machine_options_host(&o, &h, &a, "/s", "m", &e);
	ok(strstr(printed(&a, &h), "\"Region\": \"ams3\"") != NULL, "a variable is the flag's default");
	ok(strstr(printed(&a, &h), "\"Size\": \"s-1vcpu-1gb\"") != NULL, "an empty one counts as unset");
	is_int((long long)h.engine.registry_mirror.n, 2, "a list is cut at commas");
	ok(strstr(printed(&a, &h), "APIEndpoint") == NULL, "keys of ours are left out while they are empty");
	unsetenv("DIGITALOCEAN_REGION");
	unsetenv("DIGITALOCEAN_SIZE");
	unsetenv("ENGINE_REGISTRY_MIRROR");
	machine_options_free(&o);
	arena_reset(&a);
}

static void
test_unknown(void)
{
	static const char text[] = "{\"ConfigVersion\":3,\"Driver\":{\"IPAddress\":\"10.0.0.1\",\"DropletID\":7,\"Fork\":{\"a\":[1,\"<&>\"]},"
	    "\"IPv6Address\":\"::1\"},\"DriverName\":\"digitalocean\",\"HostOptions\":{\"CustomInstallScript\":\"x\","
	    "\"EngineOptions\":{\"New\":1},\"SwarmOptions\":{\"Old\":[]},\"AuthOptions\":{\"Mine\":null}},\"Extra\":true}";
	static const char other[] = "{\"ConfigVersion\":3,\"Driver\":{\"MachineName\":\"m\",\"AccessKey\":\"AKIA\",\"Tags\":\"a,b\"},"
	    "\"DriverName\":\"amazonec2\",\"HostOptions\":null,\"Name\":\"m\"}";
	struct machine_host h, again;
	struct arena a = { 0 };
	struct err e = { 0 };
	char *out;

	is_int(machine_host_parse(&h, &a, str_from(text), "m", &e), 0, "a file with keys of others is read");
	out = printed(&a, &h);
	ok(strstr(out, "\"Fork\": {") != NULL && strstr(out, "\"IPv6Address\": \"::1\"") != NULL, "the driver's unknown keys are kept");
	ok(strstr(out, "\"CustomInstallScript\": \"x\"") != NULL && strstr(out, "\"New\": 1") != NULL &&
	    strstr(out, "\"Old\": []") != NULL && strstr(out, "\"Mine\": null") != NULL && strstr(out, "\"Extra\": true") != NULL,
	    "so are those of every other object");
	is_str(h.name, "m", "the directory's name is the machine's");
	ok(machine_host_parse(&again, &a, str_from(out), "m", &e) == 0 && strcmp(printed(&a, &again), out) == 0,
	    "what was written is read and written the same");
	is_int(machine_host_parse(&h, &a, str_from(other), "m", &e), 0, "a driver that we do not have");
	ok(strstr(printed(&a, &h), "\"AccessKey\": \"AKIA\"") != NULL, "  keeps its state");
	is_int(cloud_need_driver(&h.cloud, &e), -1, "  but can do nothing");
	h.cloud.base.ip = "<a>&";
	ok(strstr(printed(&a, &h), "\"IPAddress\": \"\\u003ca\\u003e\\u0026\"") != NULL, "<, > and & are escaped as Go does");
	is_int(machine_host_parse(&h, &a, STR("{\"ConfigVersion\":4}"), "m", &e), -1, "a version from the future is refused");
	is_int(machine_host_parse(&h, &a, STR("[]"), "m", &e), -1, "a list is no machine");
	is_int(machine_host_parse(&h, &a, STR("{\"Driver\":\"x\",\"HostOptions\":[],\"Name\":7}"), "m", &e), 0,
	    "members of other types are taken as missing");
	arena_reset(&a);
}

static void
test_migration(void)
{
	static const char v0[] = "{\"DriverName\":\"none\",\"Driver\":{\"URL\":\"tcp://h:1\"},\"StorePath\":\"/root/.docker/machine/machines/old\","
	    "\"CaCertPath\":\"/c/ca.pem\",\"PrivateKeyPath\":\"/c/ca-key.pem\",\"ClientCertPath\":\"/c/cert.pem\",\"ClientKeyPath\":\"/c/key.pem\","
	    "\"ServerCertPath\":\"/m/server.pem\",\"ServerKeyPath\":\"/m/server-key.pem\",\"SwarmMaster\":true}";
	static const char v1[] = "{\"ConfigVersion\":1,\"DriverName\":\"none\",\"Driver\":{},\"HostOptions\":{\"AuthOptions\":"
	    "{\"StorePath\":\"/r/m/machines/old\",\"PrivateKeyPath\":\"/c/k\"}}}";
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	is_int(machine_host_parse(&h, &a, str_from(v0), "old", &e), 0, "version 0 is read");
	is_str(h.auth.ca_key, "/c/ca-key.pem", "  its flat keys are found");
	is_str(h.auth.cert_dir, "/root/.docker/machine/certs", "  the certificates' directory");
	is_str(h.cloud.base.store, "/root/.docker/machine", "  the driver's store");
	is_str(h.engine.install_url, "https://get.docker.com", "  the engine's defaults");
	ok(h.swarm.master, "  Swarm's too");
	ok(strstr(printed(&a, &h), "\"ConfigVersion\": 3") != NULL, "  and it is written as version 3");
	is_int(machine_host_parse(&h, &a, str_from(v1), "old", &e), 0, "version 1 is read");
	is_str(h.auth.ca_key, "/c/k", "  its key has another name");
	is_str(h.auth.store_path, "/r/m", "  its store path is the whole store's");
	ok(strstr(printed(&a, &h), "\"PrivateKeyPath\"") == NULL, "  the old name is not written");
	arena_reset(&a);
}

static void
test_file(void)
{
	char dir[] = "/tmp/wl-config-test.XXXXXX";
	struct machine_host h;
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct err e = { 0 };
	int fd;

	ok(mkdtemp(dir) != NULL, "a directory");
	fd = fs_opendir(AT_FDCWD, dir, &e);
	is_int(machine_host_read(&h, &a, fd, "m", &e), -1, "no file");
	is_int(e.kind, ERR_NOTFOUND, "  is told");
	fs_write_fast(fd, "config.json", STR("{\"ConfigVersion\":2,\"DriverName\":\"none\"}"), 0600, &e);
	is_int(machine_host_read(&h, &a, fd, "m", &e), 0, "an old file is read");
	is_int(machine_host_write(&h, fd, &e), 0, "and written anew");
	is_int(fs_read(fd, "config.json.bak", 1000, &b, &e), 0, "its old bytes are kept");
	is_str(b.p, "{\"ConfigVersion\":2,\"DriverName\":\"none\"}", "  as they were");
	fs_write_fast(fd, "config.json", STR("{\"Name\""), 0600, &e);
	is_int(machine_host_read(&h, &a, fd, "m", &e), -1, "half a file is refused");
	ok(strncmp(e.msg, "m/config.json: ", 15) == 0, "  by name: %s", e.msg);
	unlinkat(fd, "config.json", 0);
	fs_write_fast(fd, "windlass.json", STR("{}"), 0600, &e);
	e = (struct err){ 0 };
	is_int(machine_host_read(&h, &a, fd, "m", &e), -1, "no file, but a record of ours");
	is_int(e.kind, ERR_PARSE, "  is no machine that is gone: %s", e.msg);
	close(fd);
	fs_remove_tree(AT_FDCWD, dir, &e);
	buf_free(&b);
	arena_reset(&a);
}

static void
test_follow(void)
{
	static const char text[] = "{\"ConfigVersion\":3,\"DriverName\":\"digitalocean\",\"Driver\":{\"StorePath\":\"/old/m\","
	    "\"SSHKeyPath\":\"/old/m/machines/m/id_rsa\"},\"HostOptions\":{\"AuthOptions\":{\"CertDir\":\"/old/m/certs\","
	    "\"CaCertPath\":\"/old/mine/ca.pem\",\"StorePath\":\"/old/m/machines/m\"}}}";
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	is_int(machine_host_parse(&h, &a, STR(text), "m", &e), 0, "a machine of a store that was moved");
	machine_host_follow(&h, "/new");
	is_str(h.cloud.base.store, "/new", "  is of this store");
	is_str(h.cloud.base.ssh_key_path, "/new/machines/m/id_rsa", "  its key with it");
	is_str(h.auth.cert_dir, "/new/certs", "  the certificates");
	is_str(h.auth.store_path, "/new/machines/m", "  and what env prints");
	is_str(h.auth.ca_cert, "/old/mine/ca.pem", "  a path elsewhere stays");
	machine_host_follow(&h, "relative");
	is_str(h.cloud.base.store, "/new", "a store without a full path is not followed");
	arena_reset(&a);
}

int
main(void)
{
	test_follow();
	unsetenv("DIGITALOCEAN_ACCESS_TOKEN");
	unsetenv("DIGITALOCEAN_API_URL");
	unsetenv("DIGITALOCEAN_API_CA_FILE");
	test_round();
	test_engine();
	test_options();
	test_refusals();
	test_environment();
	test_unknown();
	test_migration();
	test_file();
	return done_testing();
}
