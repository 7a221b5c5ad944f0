/* machine/provision: what goes to dockerd, quoted for whoever reads it, and scripts that a shell accepts. */
#include "core/proc.h"
#include "machine/provision.h"
#include "tap.h"

static void
test_args(void)
{
	const char *labels[] = { "zone=a b", "q=\"x\\y\"" }, *registries[] = { "10.0.0.1:5000" }, *mirrors[] = { "https://m" },
	    *flags[] = { "log-driver=local", "bip=$X%h" };
	struct machine_engine g = { .labels = { labels, 2, false }, .insecure_registry = { registries, 1, false },
		.registry_mirror = { mirrors, 1, false }, .arbitrary_flags = { flags, 2, false }, .storage_driver = "" };
	struct provision p = { .name = "m", .driver = "digitalocean", .user = "root", .engine = &g };
	struct buf b = { 0 };

	provision_systemd_args(&b, &p, true);
	is_str(b.p, "-H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --tlsverify --tlscacert /etc/docker/ca.pem "
	    "--tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem --label \"zone=a b\" --label \"q=\\\"x\\\\y\\\"\" "
	    "--label provider=digitalocean --insecure-registry 10.0.0.1:5000 --registry-mirror https://m --log-driver=local --bip=$$X%%h",
	    "the options in docker-machine's order");
	buf_clear(&b);
	g = (struct machine_engine){ .storage_driver = "overlay2" };
	p.port = 4243;
	provision_systemd_args(&b, &p, false);
	is_str(b.p, "-H tcp://0.0.0.0:4243 -H unix:///var/run/docker.sock --storage-driver overlay2 --tlsverify --tlscacert "
	    "/etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem", "another port, a storage driver, no label");
	buf_free(&b);
}

/* Runs a script's text through a shell with `tail` behind the variables, in place of the rest. */
static void
shell(const struct buf *script, const char *tail, struct buf *out)
{
	const char *argv[] = { "sh", "-s", NULL };
	const char *cut = strstr(script->p, "PATH=$PATH");
	struct buf text = { 0 };
	struct err e = { 0 };

	buf_put(&text, script->p, (size_t)(cut - script->p));
	buf_puts(&text, tail);
	if (proc_run(argv, buf_str(&text), out, mono_after(10 * NSEC_SEC), &e) < 0)
		printf("# %s\n", e.msg);
	buf_free(&text);
}

static void
test_variables(void)
{
	const char *env[] = { "A=it's $HOME", "HTTP_PROXY=http://p:1/%20" };
	struct machine_engine g = { .env = { env, 2, false }, .install_url = "https://x/'y" };
	struct provision p = { .name = "m-1", .driver = "d", .user = "root", .engine = &g, .ca = STR("CA\nline"), .cert = STR("CERT"),
		.key = STR("KEY") };
	struct buf script = { 0 }, install = { 0 }, out = { 0 };

	provision_script(&script, &p);
	shell(&script, "printf '%s|' \"$name\" \"$ca\" \"$cert\" \"$key\" \"$port\" \"$environment\" \"$await\"", &out);
	is_str(out.p, "m-1|CA\nline|CERT|KEY|2376|Environment=\"A=it's $HOME\" \"HTTP_PROXY=http://p:1/%%20\"||",
	    "a shell reads the variables as they were meant");
	buf_clear(&out);
	shell(&script, "eval \"$conf_d\"; printf '%s|' \"$A\" \"$HTTP_PROXY\"; eval \"set -- $DOCKER_OPTS\"; echo $# $1 $2", &out);
	is_str(out.p, "it's $HOME|http://p:1/%20|13 -H tcp://0.0.0.0:2376\n", "so does OpenRC's file");
	buf_clear(&out);
	provision_install_script(&install, &p);
	shell(&install, "echo \"$url\"", &out);
	is_str(out.p, "https://x/'y\n", "and the install script");
	buf_free(&script);
	buf_free(&install);
	buf_free(&out);
}

static void
test_syntax(void)
{
	const char *argv[] = { "sh", "-n", NULL };
	struct machine_engine g = { .install_url = "u" };
	struct provision p = { .name = "m", .driver = "d", .user = "root", .engine = &g };
	struct buf b = { 0 };
	struct err e = { 0 };

	provision_script(&b, &p);
	is_int(proc_run(argv, buf_str(&b), NULL, mono_after(10 * NSEC_SEC), &e), 0, "the script is good shell");
	buf_clear(&b);
	provision_install_script(&b, &p);
	is_int(proc_run(argv, buf_str(&b), NULL, mono_after(10 * NSEC_SEC), &e), 0, "so is the one that installs");
	buf_free(&b);
}

int
main(void)
{
	test_args();
	test_variables();
	test_syntax();
	return done_testing();
}
