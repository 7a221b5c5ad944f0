/* machine/options: what `create`, MachineOptions and check take for the engine, before a machine is paid for. */
#include "machine/options.h"
#include "tap.h"

static const struct {
	const char *option;
	const char *says;	/* part of the error; NULL: good */
} cases[] = {
	{ "engine-registry-mirror=https://mirror.example.com", NULL },
	{ "engine-registry-mirror=http://10.0.0.1:5000/", NULL },
	{ "engine-registry-mirror=https://[fd00::1]:5000", NULL },
	{ "engine-registry-mirror=mirror.example.com", "engine-registry-mirror=mirror.example.com: dockerd takes a mirror as http://" },
	{ "engine-registry-mirror=10.0.0.1:5000", "http://HOST" },
	{ "engine-registry-mirror=ftp://x", "http://HOST" },
	{ "engine-registry-mirror=https://", "http://HOST" },
	{ "engine-registry-mirror=http://m:x", "http://HOST" },
	{ "engine-registry-mirror=https://m/path", "no path" },
	{ "engine-registry-mirror=https://m/?q", "no path" },
	{ "engine-registry-mirror=https://u:p@m/", "engine-registry-mirror: dockerd takes no user" },
	{ "engine-insecure-registry=10.0.0.1:5000", NULL },
	{ "engine-insecure-registry=registry", NULL },
	{ "engine-insecure-registry=10.0.0.0/8", NULL },
	{ "engine-insecure-registry=fd00::/8", NULL },
	{ "engine-insecure-registry=[fd00::1]:5000", NULL },
	{ "engine-insecure-registry=http://10.0.0.1:5000", NULL },
	{ "engine-insecure-registry=http://10.0.0.1:5000/", "without a path" },
	{ "engine-insecure-registry=ftp://x", "without a path" },
	{ "engine-insecure-registry=a.b/c", "without a path" },
	{ "engine-insecure-registry=a.b:99999", "without a path" },
	{ "engine-insecure-registry=10.0.0.0/33", "no network" },
	{ "engine-insecure-registry=10.0.0.0/x", "no network" },
	{ "engine-insecure-registry=-x", "HOST" },
	{ "engine-insecure-registry=", "HOST" },
	{ "engine-label=zone=a", NULL },
	{ "engine-label=zone=", NULL },
	{ "engine-label=foo", "engine-label=foo: a label is KEY=VALUE" },
	{ "engine-label==x", "KEY=VALUE" },
	{ "engine-label=com.docker.x=1", "for itself" },
	{ "engine-env=HTTP_PROXY=http://p:1/", NULL },
	{ "engine-env=A=", NULL },
	{ "engine-env=X", "engine-env: a variable is NAME=VALUE" },
	{ "engine-env=1X=2", "NAME=VALUE" },
	{ "engine-env=A B=2", "NAME=VALUE" },
	{ "engine-install-url=https://get.docker.com", NULL },
	{ "engine-install-url=none", NULL },
	{ "engine-install-url=get.docker.com", "URL of a script" },
	{ "engine-install-url=/root/install.sh", "URL of a script" },
	{ "engine-install-url=file:///root/install.sh", "URL of a script" },
	{ "engine-opt=log-driver=local", NULL },
	{ "engine-opt=experimental", NULL },
	{ "engine-opt=--log-driver=local", "without leading dashes" },
	{ "engine-opt=log-driver local", "FLAG=VALUE" },
	{ "engine-opt==x", "FLAG=VALUE" },
	{ "engine-storage-driver=overlay2", NULL },
	{ "engine-storage-driver=over lay", "one word" },
	{ "tls-san=*.example.com", NULL },
	{ "tls-san=a b", "one name" },
};

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct machine_options o;
		struct arena a = { 0 };
		struct err e = { 0 };
		int rc;

		machine_options_init(&o, NULL);
		rc = machine_options_take(&o, &a, &cases[i].option, 1, &e);
		if (cases[i].says == NULL)
			ok(rc == 0, "%s", cases[i].option);
		else
			ok(rc < 0 && e.kind == ERR_CONFIG && strstr(e.msg, cases[i].says) != NULL, "%s: %s", cases[i].option, e.msg);
		machine_options_free(&o);
		arena_reset(&a);
	}
	ok(machine_option_note("engine-insecure-registry", "http://a") != NULL, "a scheme that is taken off is said");
	ok(machine_option_note("engine-storage-driver", "aufs") != NULL && machine_option_note("engine-storage-driver", "Overlay2") != NULL, "a storage driver that is none");
	ok(machine_option_note("engine-storage-driver", "overlay2") == NULL && machine_option_note("engine-storage-driver", "") == NULL, "one that is");
	ok(machine_option_note("engine-insecure-registry", "a:5000") == NULL && machine_option_note("engine-label", "a=b://c") == NULL &&
	    machine_option_note("engine-insecure-registry", NULL) == NULL, "else nothing");
	return done_testing();
}
