/* Options of `register` from the table of keys, and the entry that they make. */
#include "cmd/runnerflags.h"
#include "config/config.h"
#include "tap.h"

static const struct opt own[] = {
	{ .name = "config", .letter = 'c', .type = OPT_STRING },
	{ .name = "non-interactive", .letter = 'n', .type = OPT_BOOL },
	{ .name = "registration-token", .letter = 'r', .type = OPT_STRING },
};

static const struct entry_facts facts = { .array = "runners", .id = 7,
    .obtained = "2026-03-01T00:00:00Z", .expires = "0001-01-01T00:00:00Z" };

/* A table with two rows of one name would make one of them unreachable. */
static void
test_table(void)
{
	struct runnerflags f;
	size_t with_flag = 0, twice = 0, letters = 0, mismatch = 0;

	for (size_t i = 0; i < nkeys; i++) {
		with_flag += keys[i].flag != NULL;
		mismatch += keys[i].flag == NULL && keys[i].env != NULL;
	}
	runnerflags_init(&f, own, NELEM(own));
	is_int((long long)f.n, (long long)(NELEM(own) + with_flag), "a row for each key with a flag");
	ok(with_flag > 120, "  which are many: %zu", with_flag);
	is_int((long long)mismatch, 0, "no variable without a flag");
	for (size_t i = 0; i < f.n; i++)
		for (size_t k = 0; k < i; k++) {
			twice += strcmp(f.opt[i].name, f.opt[k].name) == 0 || (f.opt[i].env != NULL && f.opt[k].env != NULL && strcmp(f.opt[i].env, f.opt[k].env) == 0);
			letters += f.opt[i].letter != 0 && f.opt[i].letter == f.opt[k].letter;
		}
	is_int((long long)twice, 0, "no name and no variable twice");
	is_int((long long)letters, 0, "no letter twice");
	runnerflags_free(&f);
}

/* The entry by these options and this template; NULL and *e. malloc'd. */
static char *
entry(const char *template, struct err *e, int argc, const char *const *argv)
{
	struct arena a = { 0 };
	struct runnerflags f;
	struct buf b = { 0 };
	struct toml *root = NULL;
	char *out = NULL;

	runnerflags_init(&f, own, NELEM(own));
	if (template != NULL && toml_parse(&a, str_from(template), &root, e) < 0)
		ok(false, "template: %s", e->msg);
	if (runnerflags_parse(&f, argc, (char **)(uintptr_t)argv, e) == 0 &&
	    runnerflags_entry(&f, &facts, root != NULL ? toml_get(root, "runners")->first : NULL, str_from(template), &b, e) == 0)
		out = buf_take(&b);
	buf_free(&b);
	runnerflags_free(&f);
	arena_reset(&a);
	return out;
}

#define ENTRY(template, e, ...) \
	entry((template), (e), (int)NELEM(((const char *const[]){ "register", __VA_ARGS__ })), \
	    (const char *const[]){ "register", __VA_ARGS__, NULL })

static const char plain[] =
	"[[runners]]\n"
	"  name = \"r\"\n"
	"  url = \"https://h/\"\n"
	"  id = 7\n"
	"  token = \"glrt-x\"\n"
	"  token_obtained_at = 2026-03-01T00:00:00Z\n"
	"  token_expires_at = 0001-01-01T00:00:00Z\n"
	"  limit = 5\n"
	"  executor = \"docker+machine\"\n"
	"  environment = [\"A=b\", \"C=\\\"d\\\"\"]\n"
	"  [runners.feature_flags]\n"
	"    FF_X = true\n"
	"    FF_Y = false\n"
	"  [runners.docker]\n"
	"    image = \"alpine\"\n"
	"    privileged = true\n"
	"    disable_entrypoint_overwrite = false\n"
	"    oom_kill_disable = false\n"
	"    disable_cache = false\n"
	"    volumes = [\"/a:/b\", \"/cache\"]\n"
	"    shm_size = 0\n"
	"    [runners.docker.tmpfs]\n"
	"      \"/run\" = \"rw,size=1m\"\n"
	"      \"/x\" = \"y:z\"\n"
	"  [runners.machine]\n"
	"    IdleCount = 2\n"
	"    IdleScaleFactor = 1.5\n"
	"    IdleCountMin = 0\n"
	"    IdleTime = 0\n"
	"    MaxBuilds = 0\n"
	"    MachineDriver = \"none\"\n"
	"    MachineName = \"m-%s\"\n"
	"    MachineOptions = [\"url=tcp://x,y\"]\n"
	"  [runners.cache]\n"
	"    Type = \"s3\"\n"
	"    [runners.cache.s3]\n"
	"      PathStyle = true\n";

static void
test_entry(void)
{
	struct err e = { 0 };
	struct config *c;
	char *got = ENTRY(NULL, &e, "-n", "--name", "r", "-u", "https://h/", "-t", "glrt-x", "--executor=docker+machine", "--limit", "5",
	    "--env", "A=b", "--env", "C=\"d\"", "--feature-flags", "{\"FF_X\": true}", "--feature-flags", "FF_Y:false", "--docker-image", "alpine",
	    "--docker-privileged", "true", "--docker-volumes", "/a:/b", "--docker-tmpfs", "/run:rw,size=1m", "--docker-tmpfs", "/x=y:z",
	    "--machine-idle-nodes", "2", "--machine-idle-scale-factor", "1.5", "--machine-machine-driver", "none",
	    "--machine-machine-name", "m-%s", "--machine-machine-options", "url=tcp://x,y", "--cache-type", "s3", "--cache-s3-path-style");

	if (!ok(got != NULL, "options make an entry: %s", e.msg))
		return;
	is_str(got, plain, "  in the table's order");
	c = config_parse("x", str_from(got), NULL, NULL, &e);
	ok(c != NULL && c->nrunners == 1 && c->runners[0].disabled == NULL, "  which is one: %s", e.msg);
	config_free(c);
	free(got);
}

static void
test_template(void)
{
	static const char template[] =
		"[[runners]]\ntoken = 'no'\nlimit = 1\noutput_limit = 0x10\nnew.key = 1 # c\n"
		"docker = { privileged = true, volumes = ['/v/cache'], 'dns' = [ '1.1.1.1' ] }\n"
		"[runners.machine]\nMaxBuilds = 9\n[[runners.machine.autoscaling]]\nPeriods = ['x']\n[runners.ssh]\nuser = 'u'\n";
	struct err e = { 0 };
	struct arena a = { 0 };
	struct toml *root, *r;
	char *got = ENTRY(template, &e, "--limit", "2", "--docker-privileged=false", "-t", "yes");

	if (!ok(got != NULL && toml_parse(&a, str_from(got), &root, &e) == 0, "with a template: %s", e.msg))
		return;
	r = toml_get(root, "runners")->first;
	is_int(toml_get(r, "limit")->i, 2, "an option beats it");
	is_int(toml_get(r, "output_limit")->i, 16, "it fills what no option says");
	ok(str_eqc(toml_get(r, "token")->s, "yes"), "but never the token");
	ok(toml_get(toml_get(r, "docker"), "privileged")->b, "a switch that is off says nothing");
	is_int((long long)toml_get(toml_get(r, "docker"), "volumes")->n, 1, "a volume that ends in /cache is enough");
	is_int((long long)toml_get(toml_get(r, "docker"), "dns")->n, 1, "keys of an inline table");
	is_int(toml_get(toml_get(r, "new"), "key")->i, 1, "keys that nobody knows");
	is_int(toml_get(toml_get(r, "machine"), "MaxBuilds")->i, 9, "a table's keys");
	ok(str_eqc(toml_get(toml_get(toml_get(r, "machine"), "autoscaling")->first, "Periods")->first->s, "x"), "tables that have no option");
	ok(toml_get(r, "ssh") == NULL, "not those of other executors");
	free(got);
	arena_reset(&a);
}

static void
test_refusals(void)
{
	static const struct { const char *arg[2], *want; } cases[] = {
		{ { "--machine-idle-scale-factor", "much" }, "--machine-idle-scale-factor needs a number" },
		{ { "--prepare-timeout", "5" }, "--prepare-timeout needs a duration" },
		{ { "--docker-sysctls", "plain" }, "--docker-sysctls needs name=value" },
		{ { "--docker-sysctls", "=v" }, "a name is missing" },
		{ { "--docker-sysctls", "{\"a\": {}}" }, "an object in an object" },
		{ { "--feature-flags", "FF_X=maybe" }, "FF_X needs true or false" },
		{ { "--name", "\xff" }, "is not UTF-8" },
		{ { "--docker-volumes", "\xc3" }, "is not UTF-8" },
		{ { "--docker-privileged", "perhaps" }, "\"perhaps\" is no option" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = { 0 };
		char *got = ENTRY(NULL, &e, cases[i].arg[0], cases[i].arg[1]);

		ok(got == NULL && strstr(e.msg, cases[i].want) != NULL, "%s %s: %s", cases[i].arg[0], cases[i].want, e.msg);
		free(got);
	}
}

/* A value that looks like an option or a switch is still a value. */
static void
test_switches(void)
{
	struct err e = { 0 };
	char *got = ENTRY(NULL, &e, "--name", "--docker-privileged", "--shell", "true", "--docker-privileged", "false");

	ok(got != NULL && strstr(got, "name = \"--docker-privileged\"") != NULL && strstr(got, "shell = \"true\"") != NULL &&
	    strstr(got, "privileged = false") != NULL, "what follows an option is its value, what follows a switch is meant for it");
	free(got);
}

int
main(void)
{
	test_table();
	test_entry();
	test_template();
	test_refusals();
	test_switches();
	return done_testing();
}
