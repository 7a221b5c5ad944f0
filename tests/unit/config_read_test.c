/* config/config and config/keys: what is read, what is refused with its place, what is said. */
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/policy.h"
#include "config/zones.h"
#include "core/fs.h"
#include "tap.h"

static char notes[8192];

static void
take_note(void *ctx, enum log_level level, int line, const char *text)
{
	size_t n = strlen(notes);

	(void)ctx;
	snprintf(notes + n, sizeof(notes) - n, "%s %d %s\n", log_level_name(level), line, text);
}

static struct config *
parse(const char *text, struct err *e)
{
	notes[0] = '\0';
	return config_parse("config.toml", str_from(text), take_note, NULL, e);
}

#define RUNNER \
	"[[runners]]\nname = \"r\"\nurl = \"https://gitlab.example/\"\ntoken = \"glrt-t1_AbCdEfGhIjKl\"\n" \
	"executor = \"docker+machine\"\n[runners.docker]\nimage = \"alpine\"\n[runners.machine]\n" \
	"MachineDriver = \"digitalocean\"\nMachineName = \"auto-%s\"\n"

/* [runners.docker] in any case comes to the executor as it is documented. */
static void
test_docker_spelling(void)
{
	struct err e = { 0 };
	struct config *c = parse("[[runners]]\nname = \"r\"\nurl = \"https://a\"\ntoken = \"AbCdEfGhIjKl\"\nexecutor = \"docker+machine\"\n"
	    "[runners.docker]\nImage = \"alpine\"\nMEMORY = \"1g\"\nmemory = \"2g\"\nCPUs = \"1\"\ncpuS = \"2\"\nUnheardOf = 1\nSysctls = { Net = \"A\" }\n"
	    "[[runners.docker.Services]]\nName = \"redis\"\n"
	    "[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"auto-%s\"\n", &e);
	const struct docker_settings *d;

	if (!ok(c != NULL, "a file with keys in every case: %s", e.msg))
		return;
	d = &c->runners[0].docker;
	is_str(d->image, "alpine", "Image is image");
	is_str(d->memory, "2g", "of two the one spelt right counts");
	is_str(d->cpus, "1", "... else the first");
	ok(str_eqc(d->rest, "{\"UnheardOf\":1}"), "an unknown key is left alone");
	is_str(fields_pair(&d->sysctls, "Net"), "A", "names that are data are left alone");
	ok(str_eqc(d->services, "[{\"name\":\"redis\"}]"), "Services and their Name too");
	config_free(c);
}

static void
test_values(void)
{
	struct err e = { 0 };
	struct config *c = parse("concurrent = 7\ncheck_interval = 0\nconnection_max_age = \"1h\"\n" RUNNER
	    "idlecount = 3\nIdleTime = 600\nIdleScaleFactor = 1\nMaxBuilds = 5\nMachineOptions = [\"digitalocean-size=s\", \"engine-env=A=b\"]\n", &e);
	struct runner *r;

	if (!ok(c != NULL, "a whole file is read: %s", e.msg))
		return;
	is_int(c->concurrent, 7, "concurrent");
	is_int(c->check_interval, 3, "check_interval 0 is the default");
	is_int(c->max_age, 3600 * NSEC_SEC, "a duration");
	is_int(c->shutdown_timeout, 30, "a default");
	is_int((long long)c->nrunners, 1, "one runner");
	r = &c->runners[0];
	ok(r->disabled == NULL, "it can run: %s", r->disabled != NULL ? r->disabled : "");
	is_str(r->base_url, "https://gitlab.example", "the URL is trimmed");
	is_str(r->short_token, "AbCdEfGhI", "short token");
	is_int(r->idle_count, 3, "a key in other case");
	is_int(r->idle_time, 600, "IdleTime");
	ok(r->idle_scale_factor == 1.0, "a factor written as a whole number");
	is_int(r->output_limit, 4096, "default of output_limit");
	is_int((long long)r->machine_options.n, 2, "options");
	is_str(r->machine_options.v[1], "engine-env=A=b", "an option with two =");
	ok(r->safe_directory_checkout && r->clean_git_config && r->custom_build_dir, "booleans that are true by default");
	is_str(notes, "", "nothing to remark");
	config_free(c);
}

static void
test_refused(void)
{
	static const struct { const char *name, *text, *want; } cases[] = {
		{ "broken TOML", "concurrent = = 1\n", "config.toml: line 1, column 14: " },
		{ "wrong type", "concurrent = \"4\"\n", "config.toml: line 1, column 14: concurrent in the global section needs a whole number, not a string" },
		{ "wrong type below", RUNNER "IdleCount = true\n", "line 11, column 13: IdleCount in [runners.machine] needs a whole number, not a boolean" },
		{ "bad duration", "connection_max_age = \"soon\"\n", "needs a duration such as" },
		{ "no slots", "concurrent = 0\n", "concurrent must be at least 1, not 0" },
		{ "strings of numbers", RUNNER "MachineOptions = [1]\n", "MachineOptions in [runners.machine]: entry 1 needs a string, not an integer" },
		{ "a flag of another type", RUNNER "[runners.feature_flags]\nFF_A = true\nFF_B = \"yes\"\n", "feature_flags in [[runners]]: FF_B needs true or false, not a string" },
		{ "a section without its entry", "[runners.docker]\nimage = \"x\"\n", "write [[runners]], in double brackets" },
		{ "a no-break space", "concurrent\xc2\xa0= 1\n", "a no-break space (pasted from a web page" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = { 0 };
		struct config *c = parse(cases[i].text, &e);

		ok(c == NULL, "%s is refused", cases[i].name);
		ok(strstr(e.msg, cases[i].want) != NULL, "  and says: %s", e.msg);
		config_free(c);
	}
}

static void
test_disabled(void)
{
	static const struct { const char *name, *from, *to, *want; } cases[] = {
		{ "another executor", "docker+machine", "shell", "windlass runs docker+machine only" },
		{ "no %s", "auto-%s", "auto", "MachineName" },
		{ "no token", "glrt-t1_AbCdEfGhIjKl", "  ", "no token" },
		{ "no driver", "MachineDriver = \"digitalocean\"", "", "MachineDriver" },
		{ "a URL that is none", "https://gitlab.example/", "gitlab.example", "is no URL" },
		{ "a scheme we cannot", "https://", "ftp://", "only http and https" },
		{ "a negative number", "MachineName", "IdleCount = -1\nMachineName", "IdleCount must not be negative" },
		{ "dashes", "MachineName", "MachineOptions = [\"--digitalocean-access-token=SECRET\"]\nMachineName", "without leading dashes" },
		{ "no name in the option", "MachineName", "MachineOptionsWithName = [\"x=SECRET\"]\nMachineName", "has no %s" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		const char *at = strstr(RUNNER, cases[i].from);
		struct config *c;

		buf_put(&b, RUNNER, (size_t)(at - RUNNER));
		buf_puts(&b, cases[i].to);
		buf_puts(&b, at + strlen(cases[i].from));
		c = parse(b.p, &e);
		ok(c != NULL && c->nrunners == 1, "%s: the file is read", cases[i].name);
		if (c != NULL)
			ok(c->runners[0].disabled != NULL && strstr(c->runners[0].disabled, cases[i].want) != NULL,
			    "  the entry is skipped: %s", c->runners[0].disabled != NULL ? c->runners[0].disabled : "(it is not)");
		ok(strstr(notes, "is skipped") != NULL, "  and it is said");
		ok(strstr(notes, "SECRET") == NULL, "  without an option's value");
		config_free(c);
		buf_free(&b);
	}
}

/* What asks for nothing is no news, so a file that register or the original has written reads without complaints. */
static void
test_quiet(void)
{
	struct err e = { 0 };
	struct config *c = parse("[session_server]\nsession_timeout = 1800\n" RUNNER "OffPeakPeriods = []\n[runners.cache]\nMaxUploadedArchiveSize = 0\n"
	    "[runners.cache.s3]\n[runners.kubernetes]\n", &e);

	ok(c != NULL, "keys that ask for nothing: %s", e.msg);
	is_str(notes, "", "  are not remarked upon");
	config_free(c);
	c = parse("[session_server]\nlisten_address = \":8093\"\n" RUNNER "[runners.cache]\nType = \"s3\"\n", &e);
	ok(strstr(notes, "listen_address in [session_server]") != NULL && strstr(notes, "Type in [runners.cache]") != NULL, "others are: %s", notes);
	config_free(c);
}

static void
test_notes(void)
{
	struct err e = { 0 };
	struct config *c = parse("concurent = 2\n" RUNNER "idle_count = 2\nOffPeakTimezone = \"UTC\"\n[runners.cache]\nType = \"s3\"\n[runners.kubernetes]\nwhatever = 1\n", &e);

	ok(c != NULL, "unknown keys are no error: %s", e.msg);
	ok(strstr(notes, "warning 1 unknown key concurent in the global section is ignored: did you mean concurrent?") != NULL, "a misspelt key");
	ok(strstr(notes, "unknown key idle_count in [runners.machine] is ignored: did you mean IdleCount?") != NULL, "snake case is no CamelCase");
	ok(strstr(notes, "OffPeakTimezone in [runners.machine] was removed from gitlab-runner") != NULL, "a dead key");
	ok(strstr(notes, "cache in [[runners]] is not honoured by this version") != NULL, "one that comes later");
	ok(strstr(notes, "kubernetes in [[runners]] has no effect") != NULL, "another executor's section");
	ok(strstr(notes, "whatever") == NULL, "  whose keys are its own affair");
	config_free(c);
}

static void
test_pools(void)
{
	struct err e = { 0 };
	struct config *a = parse(RUNNER, &e), *twice = parse(RUNNER RUNNER, &e), *opt;

	ok(a != NULL && twice != NULL, "read");
	is_str(twice->runners[0].key, a->runners[0].key, "a pool's key does not depend on its neighbours");
	ok(twice->runners[1].disabled != NULL, "the same pool twice: %s", twice->runners[1].disabled);
	opt = parse(RUNNER "MachineOptions = [\"digitalocean-size=big\"]\n", &e);
	ok(opt != NULL && strcmp(opt->runners[0].options_hash, a->runners[0].options_hash) != 0, "other options, other hash");
	is_str(opt->runners[0].key, a->runners[0].key, "  and the same pool");
	config_free(a);
	config_free(twice);
	config_free(opt);
	setenv("CONFIG_TEST_TOKEN", "glrt-fromenvironment", 1);
	a = parse("[[runners]]\nurl = \"https://${CONFIG_TEST_HOST}h\"\ntoken = \"$CONFIG_TEST_TOKEN\"\n", &e);
	ok(a != NULL, "variables");
	is_str(secret_reveal(a->runners[0].token), "glrt-fromenvironment", "  in the token");
	is_str(a->runners[0].url, "https://h", "  unknown ones are empty");
	config_free(a);
}

/* Two runners whose tokens begin alike make machines with the same prefix; their pools are two all the same. */
static void
test_shared_prefix(void)
{
	static const char entry[] = "[[runners]]\nid = %d\nurl = \"https://gitlab.example/\"\ntoken = \"%s\"\nexecutor = \"docker+machine\"\n"
	    "[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"%s\"\n";
	static const struct { const char *name; int id[2]; const char *token[2], *machine[2]; bool same; } cases[] = {
		{ "tokens with one beginning", { 0, 0 }, { "glrt-t1_AbCdEfGhI11111", "glrt-t1_AbCdEfGhI22222" }, { "a-%s", "a-%s" }, false },
		{ "one token, two names", { 0, 0 }, { "glrt-t1_AbCdEfGhI11111", "glrt-t1_AbCdEfGhI11111" }, { "a-%s", "a-b-%s" }, false },
		{ "one id, a new token", { 7, 7 }, { "glrt-t1_AbCdEfGhI11111", "glrt-t1_ZzZzZzZzZ22222" }, { "a-%s", "a-%s" }, true },
		{ "two ids", { 7, 8 }, { "glrt-t1_AbCdEfGhI11111", "glrt-t1_AbCdEfGhI22222" }, { "a-%s", "a-%s" }, false },
		{ "one entry twice", { 0, 0 }, { "glrt-t1_AbCdEfGhI11111", "glrt-t1_AbCdEfGhI11111" }, { "a-%s", "a-%s" }, true },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		for (int turn = 0; turn < 2; turn++) {
			struct buf b = { 0 };
			struct err e = { 0 };
			struct config *c;

			for (int k = 0; k < 2; k++)
				buf_fmt(&b, entry, cases[i].id[k ^ turn], cases[i].token[k ^ turn], cases[i].machine[k ^ turn]);
			c = parse(b.p, &e);
			if (ok(c != NULL && c->nrunners == 2, "%s: read", cases[i].name)) {
				ok((strcmp(c->runners[0].key, c->runners[1].key) == 0) == cases[i].same, "  %s", cases[i].same ? "one pool" : "two pools");
				ok((c->runners[1].disabled != NULL) == cases[i].same, "  and so is the second entry's fate: %s",
				    c->runners[1].disabled != NULL ? c->runners[1].disabled : "it runs");
			}
			config_free(c);
			buf_free(&b);
		}
}

static void
test_accounts(void)
{
	static const struct { const char *name, *a, *b; bool same; } cases[] = {
		{ "other sizes", "\"digitalocean-access-token=T\", \"digitalocean-size=s\"", "\"digitalocean-access-token=T\", \"digitalocean-size=l\"", true },
		{ "another order", "\"google-project=p\", \"google-auth-encoded-json=j\"", "\"google-auth-encoded-json=j\", \"google-project=p\"", true },
		{ "other tokens", "\"digitalocean-access-token=T\"", "\"digitalocean-access-token=U\"", false },
		{ "other projects", "\"google-project=p\"", "\"google-project=q\"", false },
		{ "other SSH keys", "\"digitalocean-ssh-key-fingerprint=a\"", "\"digitalocean-ssh-key-fingerprint=b\"", true },
		{ "other engines", "\"engine-env=TOKEN=a\"", "\"engine-label=auth=b\"", true },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct config *c;

		buf_puts(&b, RUNNER);
		buf_fmt(&b, "MachineOptions = [%s]\n", cases[i].a);
		buf_puts(&b, RUNNER);
		buf_fmt(&b, "MachineOptions = [%s]\n", cases[i].b);
		c = parse(b.p, &e);
		if (ok(c != NULL && c->nrunners == 2, "%s: read", cases[i].name))
			ok((strcmp(c->runners[0].account, c->runners[1].account) == 0) == cases[i].same, "  %s", cases[i].same ? "one account" : "two accounts");
		config_free(c);
		buf_free(&b);
	}
}

/*
 * An entry's account names files of clouds/ and decides which runners share a limit, so no file's
 * may ever change: these are the values of the versions that told options by their names alone.
 */
static void
test_account_values(void)
{
	static const struct { const char *driver, *account, *options; } cases[] = {
		{ "digitalocean", "cc309c6c", "" },
		{ "digitalocean", "cc309c6c",
		  "'digitalocean-region=fra1', 'digitalocean-size=s-1vcpu-1gb', "
		  "'digitalocean-image=ubuntu-22-04-x64', 'digitalocean-tags=project'" },
		{ "digitalocean", "cc309c6c",
		  "'digitalocean-ssh-key-fingerprint=aa:bb', 'digitalocean-ssh-key-path=/k', "
		  "'digitalocean-ssh-user=auth', 'digitalocean-ssh-port=22'" },
		{ "digitalocean", "cc309c6c",
		  "'digitalocean-userdata=/u', 'digitalocean-api-ca-file=/c', "
		  "'digitalocean-ipv6', 'digitalocean-backups', 'digitalocean-monitoring', "
		  "'digitalocean-private-networking'" },
		{ "digitalocean", "e9daab27", "'digitalocean-access-token=dop_v1_A'" },
		{ "digitalocean", "81cca233", "'digitalocean-access-token=dop_v1_B'" },
		{ "digitalocean", "81ad9216", "'digitalocean-access-token'" },
		{ "digitalocean", "e9daab27",
		  "'digitalocean-access-token=dop_v1_A', 'digitalocean-region=fra1', "
		  "'digitalocean-size=c-2'" },
		{ "digitalocean", "6680d168",
		  "'digitalocean-region=fra1', 'digitalocean-access-token=dop_v1_A', "
		  "'digitalocean-api-endpoint=https://api.example'" },
		{ "digitalocean", "80eac218", "'digitalocean-api-endpoint=https://api.example'" },
		{ "digitalocean", "bf27c867", "'digitalocean-project=p'" },
		{ "digitalocean", "430b8e4d", "'google-project=p'" },
		{ "digitalocean", "cc309c6c",
		  "'engine-env=TOKEN=a', 'engine-label=auth=b', "
		  "'engine-registry-mirror=https://user:password@mirror'" },
		{ "digitalocean", "cc309c6c", "'swarm-discovery=token://x', 'swarm-opt=a'" },
		{ "generic", "2208cd8a",
		  "'generic-ip-address=10.0.0.1', 'generic-ssh-user=root', 'generic-ssh-key=/k', "
		  "'generic-ssh-port=22', 'generic-engine-port=2376'" },
		{ "none", "26b54c87", "'url=tcp://10.0.0.1:2376'" },
		{ "google", "0ec65a30",
		  "'google-project=p', 'google-zone=europe-west1-b', "
		  "'google-machine-type=n1-standard-1'" },
		{ "google", "6382a7d2",
		  "'google-auth-encoded-json=j', 'google-username=u', 'google-scopes=s'" },
		{ "google", "d280df1c",
		  "'google-service-account=a', 'google-machine-image=i', 'google-disk-size=20', "
		  "'google-tags=t'" },
		{ "amazonec2", "4f667a1b",
		  "'amazonec2-access-key=a', 'amazonec2-secret-key=b', "
		  "'amazonec2-session-token=c'" },
		{ "amazonec2", "3b197edc",
		  "'amazonec2-region=us-east-1', 'amazonec2-zone=a', "
		  "'amazonec2-instance-type=t3.small', 'amazonec2-vpc-id=v', 'amazonec2-ami=i'" },
		{ "amazonec2", "80f5e02f",
		  "'amazonec2-iam-instance-profile=p', 'amazonec2-endpoint=https://e', "
		  "'amazonec2-ssh-keypath=/k', 'amazonec2-keypair-name=k'" },
		{ "azure", "bb4084e4",
		  "'azure-subscription-id=s', 'azure-client-id=c', 'azure-client-secret=d', "
		  "'azure-tenant-id=t'" },
		{ "azure", "93727dbb",
		  "'azure-location=westeurope', 'azure-size=Standard_D2', "
		  "'azure-resource-group=g', 'azure-environment=AzurePublicCloud'" },
		{ "openstack", "dae5e6e7",
		  "'openstack-auth-url=u', 'openstack-username=n', 'openstack-password=p', "
		  "'openstack-tenant-name=t', 'openstack-domain-name=d'" },
		{ "openstack", "646104aa",
		  "'openstack-application-credential-id=i', 'openstack-endpoint-type=publicURL', "
		  "'openstack-user-id=n'" },
		{ "openstack", "c511e662",
		  "'openstack-region=r', 'openstack-availability-zone=z', "
		  "'openstack-flavor-name=f', 'openstack-sec-groups=g'" },
		{ "hetzner", "18ab50d8", "'hetzner-api-token=t'" },
		{ "hetzner", "c1059c3f",
		  "'hetzner-server-type=cx22', 'hetzner-server-location=fsn1', "
		  "'hetzner-image=ubuntu-22.04'" },
		{ "exoscale", "551b18d2",
		  "'exoscale-api-key=k', 'exoscale-api-secret-key=s', 'exoscale-url=u'" },
		{ "exoscale", "f76b8f04", "'exoscale-instance-profile=small'" },
		{ "exoscale", "3c103bda",
		  "'exoscale-availability-zone=z', 'exoscale-disk-size=50', 'exoscale-image=i'" },
		{ "linode", "150842ad", "'linode-token=t', 'linode-authorized-users=u'" },
		{ "linode", "7dfbcb7d",
		  "'linode-region=r', 'linode-instance-type=g6', 'linode-image=i'" },
		{ "vultr", "534d4f5b", "'vultr-api-key=k'" },
		{ "vultr", "97845e24",
		  "'vultr-region=ewr', 'vultr-vps-plan=vc2', 'vultr-os-id=1743'" },
		{ "scaleway", "2908c4ac", "'scaleway-organization=o', 'scaleway-token=t'" },
		{ "scaleway", "dae0a68b",
		  "'scaleway-commercial-type=VC1S', 'scaleway-region=par1', 'scaleway-name=n'" },
		{ "yandex", "8dc942ad",
		  "'yandex-sa-key-file=/k', 'yandex-cloud-id=c', 'yandex-folder-id=f'" },
		{ "yandex", "51b21d79", "'yandex-token=t', 'yandex-cores=4', 'yandex-endpoint=e'" },
		{ "otc", "a6ba5f02",
		  "'otc-access-key-id=a', 'otc-project-name=p', 'otc-flavor-name=f'" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct config *c;

		buf_fmt(&b, "[[runners]]\nname = 'r'\nurl = 'https://gitlab.example/'\n"
		    "token = 'glrt-t1_AbCdEfGhIjKl'\nexecutor = 'docker+machine'\n"
		    "[runners.docker]\nimage = 'alpine'\n[runners.machine]\n"
		    "MachineName = 'auto-%%s'\nMachineDriver = '%s'\nMachineOptions = [%s]\n",
		    cases[i].driver, cases[i].options);
		c = parse(b.p, &e);
		if (ok(c != NULL && c->nrunners == 1, "%s %.40s: read", cases[i].driver,
		    cases[i].options))
			is_str(c->runners[0].account, cases[i].account, "  its account");
		config_free(c);
		buf_free(&b);
	}
}

static void
test_scaling_keys(void)
{
	struct err e = { 0 };
	struct config *c = parse("max_machines = 9\n[machine.shutdown_drain]\nenabled = true\nconcurrency = 0\nretry_backoff = \"2s\"\n" RUNNER
	    "IdleCount = 1\nGrowthRatePerSecond = 0.5\nGrowthBurst = 4\nIdleScaleFactorLimit = 7\nMaxMachineAge = 3600\nFailureThreshold = 2\n"
	    "ReadyCommand = \"test -e /ok\"\nPreemptive = true\nScalingRules = [\"better\", \"no-pace\"]\n"
	    "[[runners.machine.autoscaling]]\nPeriods = [\"* * 8-17 * * mon-fri *\"]\nTimezone = \"Europe/Berlin\"\nIdleCount = 5\nidletime = 60\n"
	    "[[runners.machine.autoscaling]]\nPeriods = [\"* * * * * sat,sun *\"]\nIdleScaleFactor = 2\nTimezone = \"UTC\"\n", &e);
	struct scale_policy p;
	struct budget growth;
	struct runner *r;
	/* a Wednesday, 8:30 in Berlin */
	wall_t summer = wall_of_seconds(time_days(2026, 7, 1) * 86400 + 6 * 3600 + 1800);

	if (!ok(c != NULL, "all keys of scaling: %s", e.msg))
		return;
	r = &c->runners[0];
	ok(r->disabled == NULL, "it can run: %s", r->disabled != NULL ? r->disabled : "");
	is_int(c->max_machines, 9, "max_machines");
	ok(c->drain && c->drain_concurrency == 3 && c->drain_retries == 3 && c->drain_backoff == 2 * NSEC_SEC, "[machine.shutdown_drain], 0 is the default");
	p = runner_policy(r, periods_active(&r->periods, summer));
	is_int(p.idle_count, 5, "in the period");
	is_int(p.idle_time, 60 * NSEC_SEC, "  the period's IdleTime, in whatever case");
	is_int(p.factor_limit, 7, "IdleScaleFactorLimit");
	is_int(p.max_age, 3600 * NSEC_SEC, "MaxMachineAge");
	is_int(p.failure_threshold, 2, "FailureThreshold");
	ok(p.preemptive, "Preemptive");
	is_int(p.rules, SCALE_BETTER & ~SCALE_PACE, "ScalingRules");
	is_str(r->ready_command, "test -e /ok", "ReadyCommand");
	p = runner_policy(r, periods_active(&r->periods, wall_add(summer, -3600 * NSEC_SEC)));
	is_int(p.idle_count, 1, "an hour before: the root's IdleCount");
	p = runner_policy(r, periods_active(&r->periods, wall_add(summer, -4 * 86400 * NSEC_SEC)));
	is_int(p.idle_count, 0, "a Saturday: what that entry leaves out is not inherited");
	ok(strstr(notes, "number 2 does not set IdleCount, so it is 0 there") != NULL, "  and it is said: %s", notes);
	growth = runner_growth(r);
	is_int(budget_available(&growth, summer.ns), 4, "the bucket is full");
	budget_take(&growth, 4, summer.ns);
	is_int(budget_available(&growth, summer.ns + NSEC_SEC), 0, "  half a machine a second");
	is_int(budget_available(&growth, summer.ns + 2 * NSEC_SEC), 1, "  one in two");
	config_free(c);
}

static void
test_scaling_faults(void)
{
	static const struct { const char *name, *text, *want; } cases[] = {
		{ "a range that crashes the original", "[[runners.machine.autoscaling]]\nPeriods = [\"* * 22-6 * * * *\"]\n", "22-23,0-6" },
		{ "an unknown zone", "[[runners.machine.autoscaling]]\nPeriods = [\"* * * * * * *\"]\nTimezone = \"Mars/Base\"\n", "Mars/Base" },
		{ "a negative number in a period", "[[runners.machine.autoscaling]]\nPeriods = [\"* * * * * * *\"]\nIdleCount = -1\n", "must not be negative" },
		{ "a syntax that is none", "PeriodsSyntax = \"cron\"\n", "none of: gitlab unix" },
		{ "five fields as seven", "PeriodsSyntax = \"unix\"\n[[runners.machine.autoscaling]]\nPeriods = [\"* * 9 * * * *\"]\n", "Periods" },
		{ "a rule that is none", "ScalingRules = [\"fast\"]\n", "\"fast\" is none of: better compat" },
		{ "a number that cannot be meant", "MaxBuilds = 5000000000\n", "MaxBuilds must not be above" },
		{ "a negative rate", "GrowthRatePerSecond = -1\n", "GrowthRatePerSecond must not be negative" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct config *c;

		buf_puts(&b, RUNNER);
		buf_puts(&b, cases[i].text);
		c = parse(b.p, &e);
		if (ok(c != NULL && c->nrunners == 1, "%s: the file is read", cases[i].name))
			ok(c->runners[0].disabled != NULL && strstr(c->runners[0].disabled, cases[i].want) != NULL,
			    "  the entry is skipped: %s", c->runners[0].disabled != NULL ? c->runners[0].disabled : "(it is not)");
		config_free(c);
		buf_free(&b);
	}
}

/* configuration.md F10: what is said of a key that its section does not know. */
static void
test_advice(void)
{
	static const struct { enum key_section section; const char *text, *want; } cases[] = {
		{ KS_RUNNER, "locked = false", "it is set in GitLab" }, { KS_RUNNER, "tags = [\"a\"]", "it is set in GitLab" },
		{ KS_RUNNER, "run_untagged = true", "it is set in GitLab" }, { KS_RUNNER, "tag_list = \"a\"", "it is set in GitLab" },
		{ KS_RUNNER, "description = \"a\"", "it is set in GitLab" }, { KS_DOCKER, "protected = true", "it is set in GitLab" },
		{ KS_RUNNER, "concurrent = 4", "concurrent belongs at the top of the file" },
		{ KS_RUNNER, "log_level = \"debug\"", "log_level belongs at the top" }, { KS_MACHINE, "check_interval = 3", "check_interval belongs at the top" },
		{ KS_RUNNER, "image = \"x\"", "image belongs in [runners.docker]" }, { KS_GLOBAL, "limit = 3", "limit belongs in [[runners]]" },
		{ KS_DOCKER, "IdleCount = 3", "IdleCount belongs in [runners.machine]" }, { KS_RUNNER, "idle_time = 3", "IdleTime belongs in [runners.machine]" },
		{ KS_RUNNER, "MachineDriver = \"x\"", "MachineDriver belongs in [runners.machine]" }, { KS_DOCKER, "Periods = []", "Periods belongs in [[runners.machine.autoscaling]]" },
		{ KS_DOCKER, "environment = []", "environment belongs in [[runners]]" }, { KS_MACHINE, "BucketName = \"b\"", "BucketName belongs in [runners.cache.s3]" },
		{ KS_DOCKER, "pull_policies = []", "did you mean pull_policy?" }, { KS_GLOBAL, "metrics_server = \":9252\"", "it is called listen_address" },
		{ KS_MACHINE, "idle_count = 3", "did you mean IdleCount?" }, { KS_MACHINE, "Idle-Count = 3", "did you mean IdleCount?" },
		{ KS_GLOBAL, "listen_adress = \"x\"", "did you mean listen_address?" }, { KS_RUNNER, "ulr = \"x\"", "did you mean url?" },
		{ KS_MACHINE, "amazonec2 = { region = \"x\" }", "MachineOptions = [\"amazonec2-" },
		{ KS_GLOBAL, "concurency = 4", "did you mean concurrent, at the top of the file?" }, { KS_GLOBAL, "metrics = \":1\"", "did you mean listen_address" },
		{ KS_RUNNER, "docker_image = \"x\"", "image belongs in [runners.docker]" }, { KS_DOCKER, "docker-privileged = true", "did you mean privileged?" },
		{ KS_RUNNER, "machine_idle_time = 3", "IdleTime belongs in [runners.machine]" }, { KS_CACHE, "cache-s3-bucket-name = \"b\"", "BucketName belongs in [runners.cache.s3]" },
		{ KS_MACHINE, "Name = \"x-%s\"", "did you mean MachineName?" }, { KS_MACHINE, "Options = []", "did you mean MachineOptions?" },
		{ KS_MACHINE, "Driver = \"none\"", "did you mean MachineDriver?" }, { KS_RUNNER, "active = true", "it is set in GitLab" },
		{ KS_MACHINE, "engine-registry-mirror = \"x\"", "MachineOptions = [\"engine-registry-mirror=...\"]" },
		{ KS_MACHINE, "digitalocean-size = \"x\"", "MachineOptions = [\"digitalocean-size=...\"]" }, { KS_RUNNER, "env = []", "did you mean environment" },
		/* nobody is sent to a key that is gone */
		{ KS_MACHINE, "OffPeakPeriod = []", "OffPeakPeriods was removed from gitlab-runner: write a [[runners.machine.autoscaling]]" },
		{ KS_DOCKER, "mem_limit = \"1g\"", "did you mean memory" }, { KS_DOCKER, "network = \"x\"", "did you mean network_mode" },
		{ KS_RUNNER, "unheard_of = 1", NULL }, { KS_DOCKER, "xyz = 1", NULL }, { KS_RUNNER, "a = 1", NULL },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct arena a = { 0 };
		struct toml *root;
		struct err e = { 0 };
		const char *got = toml_parse(&a, str_from(cases[i].text), &root, &e) == 0 ? key_advice(&a, cases[i].section, root->first) : e.msg;

		ok(cases[i].want == NULL ? got == NULL : got != NULL && strstr(got, cases[i].want) != NULL, "%s in %s: %s", cases[i].text,
		    key_section_title(cases[i].section), got != NULL ? got : "(nothing)");
		arena_reset(&a);
	}
}

/* configuration.md F8: whose an entry is. */
static void
test_executors(void)
{
	static const struct { const char *first, *second, *says; bool stays; size_t runnable; } cases[] = {
		{ "docker+machine", "shell", "stays with gitlab-runner: its executor is shell", true, 1 },
		{ "docker+machine", "kubernetes", "stays with gitlab-runner", true, 1 },
		{ "docker", "shell", "windlass runs docker+machine only", false, 0 },
		{ "docker+machine", "docker-machine", "write \"docker+machine\"", false, 1 },
		{ "docker+machine", "Docker+Machine", "write \"docker+machine\"", false, 1 },
		{ "docker+machine", "", "it names no executor: write executor = \"docker+machine\"", false, 1 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct config *c;

		for (int k = 0; k < 2; k++)
			buf_fmt(&b, "[[runners]]\nname = \"r%d\"\nurl = \"https://x\"\ntoken = \"glrt-abc%d\"\nexecutor = \"%s\"\n[runners.machine]\n"
			    "MachineDriver = \"none\"\nMachineName = \"m-%%s\"\n", k, k, k == 0 ? cases[i].first : cases[i].second);
		c = parse(b.p, &e);
		if (ok(c != NULL && c->nrunners == 2, "%s beside \"%s\"", cases[i].first, cases[i].second)) {
			ok(c->runners[1].stays == cases[i].stays && c->runners[1].disabled != NULL, "  whose it is");
			ok(strstr(notes, cases[i].says) != NULL, "  is said: %s", notes);
			is_int((int64_t)config_runnable(c), (int64_t)cases[i].runnable, "  so many run");
		}
		config_free(c);
		buf_free(&b);
	}
}

static void
test_rules(void)
{
	static const struct { const char *words[3]; size_t n; unsigned want; const char *said; } cases[] = {
		{ { NULL }, 0, SCALE_BETTER, "better" },
		{ { "better" }, 1, SCALE_BETTER, "better" },
		{ { "compat" }, 1, SCALE_COMPAT, "compat" },
		{ { "no-queue" }, 1, SCALE_BETTER & ~SCALE_QUEUE, "better, no-queue" },
		{ { "compat", "failure-gate", "pace" }, 3, SCALE_FAILURE_GATE | SCALE_PACE, "compat, failure-gate, pace" },
		{ { "compat", "queue", "no-queue" }, 3, SCALE_COMPAT, "compat" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		unsigned rules = 0;

		is_int(scale_rules_parse(cases[i].words, cases[i].n, &rules, &e), 0, "rules %zu", i);
		is_int(rules, cases[i].want, "  their bits");
		scale_rules_print(rules, &b);
		is_str(b.p, cases[i].said, "  in words");
		buf_free(&b);
	}
}

/* The host's own zone: TZ in all its forms. What they show in July. */
static void
test_zones(void)
{
	static const struct { const char *tz, *name; bool found; int32_t want; } cases[] = {
		{ "", "", false, 0 },
		{ "UTC", "UTC", false, 0 },
		{ "Europe/Berlin", "", true, 7200 },
		{ ":America/New_York", "Local", true, -4 * 3600 },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", "Local", true, 7200 },
		{ "no zone", "Local", false, 0 },
		{ "UTC", "Asia/Tokyo", true, 9 * 3600 },
		{ "UTC", "Asia/../Asia/Tokyo", false, -1 },
		{ "UTC", "Nowhere", false, -1 },
	};
	int64_t july = (int64_t)time_days(2026, 7, 1) * 86400;

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct arena a = { 0 };
		bool utc = false;
		const struct tz *tz;

		setenv("TZ", cases[i].tz, 1);
		tz = zones_find(&a, str_from(cases[i].name), &utc);
		ok((tz != NULL) == cases[i].found, "TZ=\"%s\", zone \"%s\"", cases[i].tz, cases[i].name);
		if (tz == NULL)
			ok(utc == (cases[i].want == 0), "  which %s", utc ? "means UTC" : "is unknown");
		else
			is_int(tz_local(tz, july), cases[i].want, "  in July");
		arena_reset(&a);
	}
	unsetenv("TZ");
}

static void
test_keys(void)
{
	for (size_t i = 0; i < nkeys; i++) {
		const struct key *k = &keys[i];

		if (k->help == NULL || k->help[0] == '\0' || key_find(k->section, str_from(k->name)) != k)
			ok(false, "key %s in %s: no help, or twice in the table", k->name, key_section_title(k->section));
		for (size_t n = 0; n < i; n++)
			if (k->flag != NULL && keys[n].flag != NULL && strcmp(k->flag, keys[n].flag) == 0)
				ok(false, "flag --%s belongs to two keys", k->flag);
	}
	ok(nkeys > 150, "%zu keys, each with help, none twice", nkeys);
}

static void
test_system_id(void)
{
	char dir[] = "/tmp/config_test.XXXXXX", id[15], again[15];
	struct err e = { 0 };
	struct buf b = { 0 };
	char *path;
	struct stat st;

	if (mkdtemp(dir) == NULL)
		return;
	path = fs_join(dir, "config.toml");
	is_int(config_system_id(path, id, &e), 0, "system id: %s", e.msg);
	ok((id[0] == 's' || id[0] == 'r') && strlen(id) == 14, "  of the right form: %s", id);
	is_int(config_system_id(path, again, &e), 0, "again");
	is_str(again, id, "  the same");
	free(path);
	path = fs_join(dir, ".runner_system_id");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "kept, 0600");
	is_int(fs_write(AT_FDCWD, path, STR("r_0123456789ab\n"), 0600, &e), 0, "one that is there");
	free(path);
	path = fs_join(dir, "config.toml");
	config_system_id(path, again, &e);
	is_str(again, "r_0123456789ab", "  is used");
	free(path);
	fs_remove_tree(AT_FDCWD, dir, &e);
	buf_free(&b);
}

int
main(void)
{
	test_values();
	test_refused();
	test_docker_spelling();
	test_disabled();
	test_quiet();
	test_notes();
	test_pools();
	test_shared_prefix();
	test_accounts();
	test_account_values();
	test_scaling_keys();
	test_scaling_faults();
	test_rules();
	test_advice();
	test_executors();
	test_zones();
	test_keys();
	test_system_id();
	return done_testing();
}
