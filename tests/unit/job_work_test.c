/* What follows from a payload: see job/work.h. */
#include "core/core.h"
#include "core/hash.h"
#include "tap.h"
#include "job_fake.h"

static struct arena arena;
static struct payload payload;
static struct work work;

static const struct work *
make(const struct fake_spec *s)
{
	buf_free(&work.warnings);
	fake_work(&arena, s, "/b", &payload, &work);
	return &work;
}

static const char *
value(const char *key)
{
	return arena_dup(&arena, vars_get(&work.vars, key, STR("(absent)")));
}

static const char *
warnings(void)
{
	return arena_dup(&arena, buf_str(&work.warnings));
}

/* ---- names ---- */

static void
test_names(void)
{
	uint8_t sum[32];
	char hex[65];
	const char *key = FAKE_RUNNER_TOKEN "-s_c2d22f638c25-4711-0";

	make(&(struct fake_spec){ .job = "\"image\":{\"name\":\"node:22\"}" });
	is_str(work.unique_name, "runner-abcdefghi-project-4711-concurrent-0", "unique name");
	is_str(work.random_name, "runner-abcdefghi-project-4711-concurrent-0-0123456789abcdef", "random name");
	is_str(work.build_name, "runner-abcdefghi-project-4711-concurrent-0-0123456789abcdef-build", "build container");
	is_str(work.helper_name, "runner-abcdefghi-project-4711-concurrent-0-0123456789abcdef-predefined", "helper container");
	is_str(work.hostname, work.unique_name, "host name");
	is_str(work.network_name, "runner-abcdefghi-4711-0-42", "network");
	hash_sha256(key, strlen(key), sum);
	hash_hex(sum, 32, hex);
	hex[32] = '\0';
	is_str(work.volume_hash, hex, "volume hash is half a SHA-256 over token, system, project");
	is_str(work_job_url(&work), "https://git.acme.example/acme/shop/web/-/jobs/42", "job URL without credentials");
	make(&(struct fake_spec){ .runner = "\"docker\":{\"hostname\":\"ci\"}" });
	is_str(work.hostname, "ci", "host name of the configuration");
	make(&(struct fake_spec){ .git = "\"repo_url\":\"git@git.acme.example:acme/web.git\"" });
	is_str(work_job_url(&work), "https://git.acme.example/-/jobs/42", "job URL where the repository has none");
}

/* ---- directories ---- */

static const struct {
	const char *name, *git, *vars, *runner, *project, *cache, *fault;
} dirs[] = {
	{ "defaults", NULL, NULL, NULL, "/builds/acme/shop/web", "/cache/acme/shop/web", NULL },
	{ "roots of the runner", NULL, NULL, "\"builds_dir\":\"/srv//b/\",\"cache_dir\":\"/srv/c\"", "/srv/b/acme/shop/web", "/srv/c/acme/shop/web", NULL },
	{ "a relative builds_dir", NULL, NULL, "\"builds_dir\":\"b\"", "/builds/acme/shop/web", "/cache/acme/shop/web", "builds_dir of the runner is \"b\"" },
	{ "builds_dir is the root", NULL, NULL, "\"builds_dir\":\"/x/..\"", "/builds/acme/shop/web", "/cache/acme/shop/web", "builds_dir of the runner is /" },
	{ "a relative URL installation", "\"repo_url\":\"https://t:x@h/gitlab/a/b.git\"", NULL, NULL, "/builds/gitlab/a/b", "/cache/gitlab/a/b", NULL },
	{ "encoded bytes", "\"repo_url\":\"https://h/a%20b/c.git\"", NULL, NULL, "/builds/a b/c", "/cache/a b/c", NULL },
	{ "dots in the path", "\"repo_url\":\"https://h/a/../../etc.git\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "encoded dots", "\"repo_url\":\"https://h/a/%2e%2e/%2e%2e/etc.git\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "a newline in the path", "\"repo_url\":\"https://h/a%0ab.git\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "a NUL in the path", "\"repo_url\":\"https://h/a%00b.git\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "no path", "\"repo_url\":\"https://h/\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "no URL", "\"repo_url\":null", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "an ssh address", "\"repo_url\":\"git@h:a/b.git\"", NULL, NULL, "/builds/project-4711", "/cache/project-4711", NULL },
	{ "strategy empty", NULL, "{\"key\":\"GIT_STRATEGY\",\"value\":\"empty\"}", NULL, "/builds/acme/shop/web-empty", "/cache/acme/shop/web", NULL },
	{ "a clone path", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"$CI_BUILDS_DIR/$CI_CONCURRENT_ID//x/../go\"}", NULL, "/builds/3/go", "/cache/acme/shop/web", NULL },
	{ "a clone path outside", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"/builds/../etc\"}", NULL, "/builds/acme/shop/web", "/cache/acme/shop/web", "GIT_CLONE_PATH is \"/builds/../etc\": it must lie below /builds" },
	{ "a clone path beside", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"/builds2/x\"}", NULL, "/builds/acme/shop/web", "/cache/acme/shop/web", "must lie below /builds" },
	{ "a relative clone path", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"x\"}", NULL, "/builds/acme/shop/web", "/cache/acme/shop/web", "must be an absolute path" },
	{ "a clone path with two dots in a name", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"/builds/..x\"}", NULL, "/builds/..x", "/cache/acme/shop/web", NULL },
	{ "a clone path that is forbidden", NULL, "{\"key\":\"GIT_CLONE_PATH\",\"value\":\"/builds/x\"}", "\"custom_build_dir\":false", "/builds/acme/shop/web", "/cache/acme/shop/web", "not allowed by this runner" },
	{ "builds on the machine", NULL, NULL, "\"docker\":{\"volumes\":[\"/cache\",\"/srv/builds:/builds:rw\"]}", "/builds/AbCdEfGhI/0/acme/shop/web", "/cache/acme/shop/web", NULL },
	{ "builds below a directory of the machine", NULL, NULL, "\"builds_dir\":\"/srv/b\",\"docker\":{\"volumes\":[\"/srv:/srv\"]}", "/srv/b/AbCdEfGhI/0/acme/shop/web", "/cache/acme/shop/web", NULL },
	{ "builds in a named volume", NULL, NULL, "\"docker\":{\"volumes\":[\"b:/builds\"]}", "/builds/acme/shop/web", "/cache/acme/shop/web", NULL },
	{ "another directory of the machine", NULL, NULL, "\"docker\":{\"volumes\":[\"/srv:/build\"]}", "/builds/acme/shop/web", "/cache/acme/shop/web", NULL },
};

static void
test_dirs(void)
{
	for (size_t i = 0; i < NELEM(dirs); i++) {
		make(&(struct fake_spec){ .git = dirs[i].git, .vars = dirs[i].vars, .runner = dirs[i].runner });
		is_str(work.project_dir, dirs[i].project, "%s: project directory", dirs[i].name);
		is_str(work.tmp_dir, arena_fmt(&arena, "%s.tmp", dirs[i].project), "%s: temporary directory", dirs[i].name);
		is_str(work.cache_dir, dirs[i].cache, "%s: cache directory", dirs[i].name);
		ok(dirs[i].fault == NULL ? work.fault == NULL : work.fault != NULL && strstr(work.fault, dirs[i].fault) != NULL,
		    "%s: %s", dirs[i].name, work.fault != NULL ? work.fault : "no fault");
		is_str(value("CI_PROJECT_DIR"), dirs[i].project, "%s: CI_PROJECT_DIR", dirs[i].name);
	}
}

/* ---- variables ---- */

static void
test_order(void)
{
	static const char *const want[] = {
		"FF_NETWORK_PER_BUILD", "CI_JOB_IMAGE", "CI_RUNNER_SHORT_TOKEN", "ENVIRON", "CI_BUILDS_DIR", "CI_PROJECT_DIR", "CI_CONCURRENT_ID",
		"CI_CONCURRENT_PROJECT_ID", "CI_SERVER", "CI_JOB_STATUS", "CI_JOB_TIMEOUT", "CI_SERVER_TLS_CA_FILE", "A", "B",
		"CI_DISPOSABLE_ENVIRONMENT", "CI_RUNNER_VERSION", "CI_RUNNER_REVISION", "CI_RUNNER_EXECUTABLE_ARCH", "RUNNER_TEMP_PROJECT_DIR",
		"CI_BUILD_NETWORK_NAME",
	};
	size_t at = 0;

	make(&(struct fake_spec){
		.job = "\"image\":{\"name\":\"node:$B\"}",
		.vars = "{\"key\":\"A\",\"value\":\"1\"},{\"key\":\"B\",\"value\":null},{\"key\":\"FF_NETWORK_PER_BUILD\",\"value\":\"1\"}",
		.runner = "\"environment\":[\"ENVIRON=e=$A\",\"nonsense\",\"FF_TIMESTAMPS=false\"],\"tls_ca\":\"PEM\\n\"",
	});
	for (size_t i = 0; i < work.vars.n && at < NELEM(want); i++)
		if (str_eqc(work.vars.v[i].key, want[at]))
			at++;
	is_int((long long)at, NELEM(want), "variables stand in the order of the specification (next: %s)", at < NELEM(want) ? want[at] : "-");
	is_str(value("FF_NETWORK_PER_BUILD"), "true", "a flag's variable has the effective value");
	is_str(value("FF_TIMESTAMPS"), "false", "the runner's environment sets flags too");
	is_str(value("ENVIRON"), "e=1", "environment of the runner is expanded");
	is_str(value("nonsense"), "(absent)", "environment without a value is dropped");
	is_str(value("CI_CONCURRENT_ID"), "3", "CI_CONCURRENT_ID");
	is_str(value("CI_JOB_TIMEOUT"), "3600", "CI_JOB_TIMEOUT in seconds");
	is_str(value("CI_RUNNER_VERSION"), "19.4.0", "CI_RUNNER_VERSION is the version we stand for");
	is_str(value("RUNNER_TEMP_PROJECT_DIR"), "/builds/acme/shop/web.tmp", "RUNNER_TEMP_PROJECT_DIR");
	is_str(value("CI_BUILD_NETWORK_NAME"), work.network_name, "CI_BUILD_NETWORK_NAME");
	is_str(value("B"), "", "a null value is empty");
	is_str(arena_dup(&arena, work.image), "node:", "image name is expanded");
	is_str(work_flags_changed(&work), "FF_NETWORK_PER_BUILD:true, FF_TIMESTAMPS:false", "flags that differ from their defaults");
}

static void
test_values(void)
{
	make(&(struct fake_spec){
		.vars = "{\"key\":\"A\",\"value\":\"1\"},{\"key\":\"B\",\"value\":\"$A-${A}-$$A-${NONE:-x}\"},{\"key\":\"A\",\"value\":\"2\"},"
		    "{\"key\":\"R\",\"value\":\"$A\",\"raw\":true},{\"key\":\"F\",\"value\":\"in $A\",\"file\":true},{\"key\":\"G\",\"value\":\"$F\"},"
		    "{\"key\":\"N\",\"value\":17},{\"key\":\"T\",\"value\":true},{\"key\":\"Z\",\"value\":\"a\\u0000b\"},"
		    "{\"key\":\"CI_JOB_STATUS\",\"value\":\"job's own\"},{\"key\":\"CI_PROJECT_DIR\",\"value\":\"\",\"public\":true,\"raw\":true}",
	});
	is_str(value("B"), "2-2-$A-", "one pass, the last value counts");
	is_str(value("R"), "$A", "raw stays");
	is_str(value("F"), "in 2", "a file's content is expanded");
	is_str(value("G"), "/builds/acme/shop/web.tmp/F", "a file variable is its path");
	is_str(value("N"), "17", "a number");
	is_str(value("T"), "true", "a boolean");
	is_str(value("Z"), "ab", "no NUL");
	is_str(value("CI_PROJECT_DIR"), "", "the job's own empty CI_PROJECT_DIR stays");
	work_set_status(&work, "failed");
	is_str(value("CI_JOB_STATUS"), "failed", "status wins over a variable of the job");
	is_str(work_file_path(&work, STR("F")), "/builds/acme/shop/web.tmp/F", "path of a file variable");
}

static void
test_too_large(void)
{
	struct buf b = { .max = 64u << 20 };

	/* 1 MiB of references to 1 KiB each: a gigabyte */
	buf_puts(&b, "{\"key\":\"K\",\"value\":\"");
	for (int i = 0; i < 1024; i++)
		buf_putc(&b, 'k');
	buf_puts(&b, "\"},{\"key\":\"BOMB\",\"value\":\"");
	for (int i = 0; i < 1 << 19; i++)
		buf_puts(&b, "$K");
	buf_puts(&b, "\"}");
	make(&(struct fake_spec){ .vars = b.p });
	ok(work.fault != NULL && strstr(work.fault, "16 MiB") != NULL, "expansion without end: %s", work.fault);
	buf_free(&b);
}

static bool
exported(const char *key)
{
	return work_exported(&work, vars_find(&work.vars, str_from(key)));
}

static void
put_var(struct buf *b, const char *key, size_t n, const char *more)
{
	buf_fmt(b, "%s{\"key\":\"%s\",\"value\":\"", b->n > 0 ? "," : "", key);
	for (size_t i = 0; i < n; i++)
		buf_putc(b, 'x');
	buf_fmt(b, "\"%s}", more);
}

static void
test_exported(void)
{
	struct buf b = { .max = 64u << 20 };

	/* the kernel counts name, '=', value, NUL: 131072 is one too many */
	put_var(&b, "FITS", 131071 - 4 - 2, "");
	put_var(&b, "OVER", 131072 - 4 - 2, "");
	put_var(&b, "FILE", 200000, ",\"file\":true");
	make(&(struct fake_spec){ .vars = b.p });
	ok(exported("FITS"), "131071 bytes fit");
	ok(!exported("OVER"), "131072 do not");
	ok(exported("FILE"), "a file variable is as long as its path");
	ok(strstr(warnings(), "128 KiB or more") != NULL && strstr(warnings(), "OVER") != NULL && strstr(warnings(), "FITS") == NULL,
	    "the warning names it: %s", warnings());
	buf_clear(&b);
	for (int i = 0; i < 20; i++)
		put_var(&b, arena_fmt(&arena, "BIG%d", i), 100000, "");
	put_var(&b, "SMALL", 10, "");
	make(&(struct fake_spec){ .vars = b.p });
	ok(exported("BIG0") && exported("BIG14") && !exported("BIG16") && !exported("BIG19"), "all together have a limit");
	ok(exported("SMALL") && exported("CI_RUNNER_VERSION"), "small ones behind large ones still fit");
	ok(strstr(warnings(), "together are larger") != NULL && strstr(warnings(), "BIG19") != NULL, "%s", warnings());
	buf_free(&b);
}

static void
test_bad_names(void)
{
	make(&(struct fake_spec){
		.vars = "{\"key\":\"1X\",\"value\":\"\"},{\"key\":\"a b\",\"value\":\"\"},{\"key\":\"a b\",\"value\":\"\"},"
		    "{\"key\":\"x\\u001by\",\"value\":\"\"},{\"key\":\"\",\"value\":\"\"},{\"key\":null},{\"value\":\"x\"},{\"key\":\"GOOD_1\",\"value\":\"\"}",
	});
	is_str(warnings(), "Variables whose names no shell takes are left out of the scripts: \"1X\", \"a b\", \"x\\x1by\"\n", "one warning, each name once");
	make(&(struct fake_spec){ .vars = "{\"key\":\"a.1\"},{\"key\":\"a.2\"},{\"key\":\"a.3\"},{\"key\":\"a.4\"},{\"key\":\"a.5\"},"
	    "{\"key\":\"a.6\"},{\"key\":\"a.7\"},{\"key\":\"a.8\"},{\"key\":\"a.9\"},{\"key\":\"b.0\"}" });
	ok(strstr(warnings(), "\"a.8\" and 2 more\n") != NULL, "many are not all named: %s", warnings());
}

/* ---- feature flags ---- */

static const struct {
	const char *name, *table, *vars;
	bool on;
	const char *warning;
} flags[] = {
	{ "default", "", "", false, "" },
	{ "job", "", "{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"t\"}", true, "" },
	{ "job, last one", "", "{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"1\"},{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"0\"}", false, "" },
	{ "runner against job", "\"FF_SCRIPT_SECTIONS\":false", "{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"true\"}", false, "" },
	{ "runner", "\"FF_SCRIPT_SECTIONS\":true", "", true, "" },
	{ "no boolean", "", "{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"yes\"}", false, "FF_SCRIPT_SECTIONS is \"yes\"" },
	{ "empty", "", "{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"\"}", false, "" },
	{ "by another variable", "", "{\"key\":\"X\",\"value\":\"true\"},{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"$X\"}", true, "" },
	{ "raw", "", "{\"key\":\"X\",\"value\":\"true\"},{\"key\":\"FF_SCRIPT_SECTIONS\",\"value\":\"$X\",\"raw\":true}", false, "FF_SCRIPT_SECTIONS is \"$X\"" },
	{ "one we cannot do", "", "{\"key\":\"FF_CONCRETE\",\"value\":\"true\"}", false, "FF_CONCRETE is on" },
};

static void
test_flags(void)
{
	for (size_t i = 0; i < NELEM(flags); i++) {
		make(&(struct fake_spec){ .flags = flags[i].table, .vars = flags[i].vars });
		is_int(work_flag(&work, "FF_SCRIPT_SECTIONS"), flags[i].on, "flag: %s", flags[i].name);
		is_str(value("FF_SCRIPT_SECTIONS"), flags[i].on ? "true" : "false", "variable: %s", flags[i].name);
		ok(flags[i].warning[0] == '\0' ? work.warnings.n == 0 : strstr(warnings(), flags[i].warning) != NULL, "warning: %s: %s", flags[i].name, warnings());
	}
	ok(!work_flag(&work, "FF_UNHEARD_OF"), "an unknown flag is off");
	make(&(struct fake_spec){ .vars = "{\"key\":\"FF_UNHEARD_OF\",\"value\":\"$CI_SERVER\"}" });
	is_str(value("FF_UNHEARD_OF"), "yes", "a variable that looks like a flag is a variable");
	is_str(work_flags_changed(&work), "", "no flag changed");
}

/* ---- settings ---- */

#define V(k, v)	"{\"key\":\"" k "\",\"value\":\"" v "\"}"

static void
test_settings(void)
{
	make(NULL);
	ok(work.git == GIT_FETCH && work.git_checkout && work.submodules == SUBMODULES_NONE && !work.lfs_skip_smudge, "git defaults");
	ok(work.get_sources_attempts == 1 && work.executor_attempts == 1 && work.after_script_ignore_errors && !work.debug_trace, "other defaults");
	ok(work.script_timeout == 0 && work.after_script_timeout == 300 * NSEC_SEC, "timeouts");
	ok(work.warnings.n == 0 && work.fault == NULL && work.bad_executor_opts == NULL, "nothing to complain of");
	make(&(struct fake_spec){ .git = "\"depth\":20", .vars = V("GIT_SUBMODULE_STRATEGY", "recursive") "," V("GIT_CHECKOUT", "0") "," V("GIT_STRATEGY", "clone") ","
	    V("GET_SOURCES_ATTEMPTS", "3") "," V("EXECUTOR_JOB_SECTION_ATTEMPTS", "10") "," V("RUNNER_SCRIPT_TIMEOUT", "30m") ","
	    V("RUNNER_AFTER_SCRIPT_TIMEOUT", "1m30s") "," V("AFTER_SCRIPT_IGNORE_ERRORS", "false") "," V("CI_DEBUG_TRACE", "true") });
	ok(work.git == GIT_CLONE && !work.git_checkout && work.submodules == SUBMODULES_RECURSIVE, "git settings");
	ok(work.depth == 20 && work.submodule_depth == 20, "submodules are as deep as the project");
	ok(work.get_sources_attempts == 3 && work.executor_attempts == 10, "attempts");
	ok(work.script_timeout == 1800 * NSEC_SEC && work.after_script_timeout == 90 * NSEC_SEC, "timeouts set");
	ok(!work.after_script_ignore_errors && work.debug_trace && work.warnings.n == 0, "others set");
	make(&(struct fake_spec){ .git = "\"depth\":20", .vars = V("GIT_SUBMODULE_DEPTH", "1") });
	is_int(work.submodule_depth, 1, "a depth of their own");
	make(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "none") "," V("GIT_CHECKOUT", "true") "," V("GIT_SUBMODULE_STRATEGY", "normal") });
	ok(work.git == GIT_NONE && !work.git_checkout && work.submodules == SUBMODULES_NONE, "no git, no checkout, no submodules");
	make(&(struct fake_spec){ .job = "\"allow_git_fetch\":false" });
	is_int(work.git, GIT_CLONE, "what GitLab allows decides the strategy");
}

static const struct { const char *vars, *warning; } bad[] = {
	{ V("GIT_STRATEGY", "copy"), "GIT_STRATEGY is \"copy\", possible are clone, fetch, none and empty: fetch is used" },
	{ V("GIT_CHECKOUT", "ja"), "GIT_CHECKOUT is \"ja\", which is neither true nor false: true is used" },
	{ V("GIT_SUBMODULE_STRATEGY", "all"), "GIT_SUBMODULE_STRATEGY is \"all\", possible are none, normal and recursive" },
	{ V("GIT_SUBMODULE_DEPTH", "deep"), "GIT_SUBMODULE_DEPTH is \"deep\", which is no whole number: 0 is used" },
	{ V("GET_SOURCES_ATTEMPTS", "0"), "GET_SOURCES_ATTEMPTS is 0, possible are 1 to 10: 1 is used" },
	{ V("GET_SOURCES_ATTEMPTS", "11"), "GET_SOURCES_ATTEMPTS is 11, possible are 1 to 10: 10 is used" },
	{ V("EXECUTOR_JOB_SECTION_ATTEMPTS", "two"), "EXECUTOR_JOB_SECTION_ATTEMPTS is \"two\", which is no whole number: 1 is used" },
	{ V("RUNNER_SCRIPT_TIMEOUT", "30"), "RUNNER_SCRIPT_TIMEOUT is \"30\", which is no duration such as 30m or 1h5m: it is ignored" },
	{ V("RUNNER_SCRIPT_TIMEOUT", "-1m"), "RUNNER_SCRIPT_TIMEOUT is \"-1m\", which is no duration" },
	{ V("RUNNER_AFTER_SCRIPT_TIMEOUT", "2h"), "RUNNER_AFTER_SCRIPT_TIMEOUT is \"2h\", longer than the job's own timeout" },
	{ V("AFTER_SCRIPT_IGNORE_ERRORS", "never"), "AFTER_SCRIPT_IGNORE_ERRORS is \"never\"" },
	{ V("CI_DEBUG_TRACE", "\\u001b[2J"), "CI_DEBUG_TRACE is \"\\x1b[2J\"" },
};

static void
test_bad_settings(void)
{
	for (size_t i = 0; i < NELEM(bad); i++) {
		const char *said;

		make(&(struct fake_spec){ .vars = bad[i].vars });
		said = warnings();
		ok(strstr(said, bad[i].warning) == said && strchr(said, '\n')[1] == '\0', "one warning: %s", said);
	}
	make(&(struct fake_spec){ .vars = V("RUNNER_AFTER_SCRIPT_TIMEOUT", "2h") "," V("RUNNER_SCRIPT_TIMEOUT", "0") });
	ok(work.after_script_timeout == 3600 * NSEC_SEC && work.script_timeout == 0, "too long is as long as the job, 0 is the default");
	make(&(struct fake_spec){ .vars = V("CI_DEBUG_TRACE", "true") "," V("CI_DEBUG_SERVICES", "true"), .runner = "\"debug_trace_disabled\":true" });
	ok(!work.debug_trace, "debug_trace_disabled");
	is_str(warnings(), "CI_DEBUG_TRACE: usage is disabled on this Runner\nCI_DEBUG_SERVICES: usage is disabled on this Runner\n", "and it says so");
}

/* ---- image and steps ---- */

static const struct { const char *name, *job, *bad; } opts[] = {
	{ "none", "\"image\":{\"name\":\"a\"}", NULL },
	{ "null", "\"image\":{\"name\":\"a\",\"executor_opts\":null}", NULL },
	{ "known", "\"image\":{\"name\":\"a\",\"executor_opts\":{\"docker\":{\"platform\":\"x\",\"user\":1000},\"kubernetes\":{\"user\":\"u\"}}}", NULL },
	{ "empty", "\"image\":{\"name\":\"a\",\"executor_opts\":{\"docker\":null}}", NULL },
	{ "an executor", "\"image\":{\"name\":\"a\",\"executor_opts\":{\"podman\":{}}}", "image \"a\": executor_opts has \"podman\"" },
	{ "a key", "\"image\":{\"name\":\"a\",\"executor_opts\":{\"docker\":{\"privileged\":true}}}", "image \"a\": executor_opts.docker has \"privileged\"" },
	{ "a key of another", "\"image\":{\"name\":\"a\",\"executor_opts\":{\"kubernetes\":{\"platform\":\"x\"}}}", "executor_opts.kubernetes has \"platform\"" },
	{ "of a service", "\"services\":[{\"name\":\"b\"},{\"name\":\"c\",\"executor_opts\":{\"docker\":{\"x\":1}}}]", "service \"c\": executor_opts.docker has \"x\"" },
	{ "no object", "\"image\":{\"name\":\"a\",\"executor_opts\":[1]}", "image \"a\": executor_opts is no object" },
};

static void
test_image(void)
{
	for (size_t i = 0; i < NELEM(opts); i++) {
		make(&(struct fake_spec){ .job = opts[i].job });
		ok(opts[i].bad == NULL ? work.bad_executor_opts == NULL : work.bad_executor_opts != NULL && strstr(work.bad_executor_opts, opts[i].bad) != NULL,
		    "executor_opts: %s: %s", opts[i].name, work.bad_executor_opts != NULL ? work.bad_executor_opts : "good");
	}
	make(&(struct fake_spec){ .job = "\"image\":{\"name\":\"$R/a:${T}\",\"entrypoint\":[\"\"]}", .vars = V("R", "reg") "," V("T", "1"), .runner = "\"docker\":{\"image\":\"dflt\"}" });
	is_str(arena_dup(&arena, work.image), "reg/a:1", "the job's image");
	ok(json_present(work.image_json), "with its options");
	make(&(struct fake_spec){ .job = "\"image\":{\"name\":\"\"}", .vars = V("T", "1"), .runner = "\"docker\":{\"image\":\"dflt:$T\"}" });
	is_str(arena_dup(&arena, work.image), "dflt:1", "the runner's image");
	ok(!json_present(work.image_json), "without the job's options");
	make(NULL);
	is_int((long long)work.image.n, 0, "no image");
	make(&(struct fake_spec){ .job = "\"image\":{\"name\":\"a\\u001bb\"}" });
	ok(work.fault != NULL && work.image.n == 0, "no control characters: %s", work.fault);
}

static void
test_steps(void)
{
	make(&(struct fake_spec){ .script = "\"a\",\"b\"", .after = "\"c\"" });
	ok(work.nsteps == 1 && json_len(work.steps[0].script) == 2, "one step");
	is_str(work.steps[0].stage, "step_script", "its stage");
	is_int((long long)json_len(work.after_script), 1, "after_script");
	make(&(struct fake_spec){ .job = "\"steps\":[{\"name\":\"Release x\\n\",\"script\":[]},{\"name\":\"after_script\",\"script\":null},{\"name\":\"script\"},null]" });
	ok(work.nsteps == 3 && json_len(work.after_script) == 0, "every step that is not after_script");
	is_str(work.steps[0].stage, "step_release_x_", "a stage's name is lower case and fit for a section");
	make(&(struct fake_spec){ .job = "\"steps\":null" });
	is_int((long long)work.nsteps, 0, "no steps");
	make(&(struct fake_spec){ .job = "\"steps\":[],\"run\":\"[{\\\"step\\\":\\\"$x\\\"}]\"" });
	ok(work.nsteps == 1 && work.bad_executor_opts == NULL, "run: makes a step");
	is_str(arena_dup(&arena, json_str(&arena, json_at(work.steps[0].script, 0))), "step-runner ci", "its line");
	is_str(value("STEPS"), "[{\"step\":\"$x\"}]", "its text");
	make(&(struct fake_spec){ .script = "\"true\"", .job = "\"run\":\"[{}]\"" });
	ok(work.bad_executor_opts != NULL, "run: beside script lines: %s", work.bad_executor_opts);
	make(&(struct fake_spec){ .vars = V("STEPS", "x"), .job = "\"run\":\"[{}]\"" });
	ok(work.bad_executor_opts != NULL, "run: beside STEPS: %s", work.bad_executor_opts);
	make(&(struct fake_spec){ .script = "\"true\"", .job = "\"run\":null" });
	ok(work.bad_executor_opts == NULL && work.nsteps == 1, "run: null is nothing");
}

static void
test_protected(void)
{
	make(&(struct fake_spec){ .git = "\"protected\":true" });
	ok(work.protected, "protected by git_info");
	make(&(struct fake_spec){ .git = "\"protected\":false", .vars = V("CI_COMMIT_REF_PROTECTED", "true") });
	ok(!work.protected, "git_info counts");
	make(&(struct fake_spec){ .git = "\"protected\":null", .vars = V("CI_COMMIT_REF_PROTECTED", "true") });
	ok(work.protected, "an old GitLab says it by variable");
}

/* ---- masking ---- */

static bool
has(const struct str *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(list[i], s))
			return true;
	return false;
}

static void
test_masking(void)
{
	struct str *phrases, *prefixes;
	size_t nphrases, nprefixes;

	make(&(struct fake_spec){
		.vars = "{\"key\":\"A\",\"value\":\"se$B\",\"masked\":true},{\"key\":\"B\",\"value\":\"cret\"},{\"key\":\"C\",\"value\":\"  padded \\n\",\"masked\":true},"
		    "{\"key\":\"D\",\"value\":\" \",\"masked\":true},{\"key\":\"A\",\"value\":\"second\",\"masked\":true},{\"key\":\"F\",\"value\":\"file\",\"file\":true,\"masked\":true}",
		.job = "\"credentials\":[{\"type\":\"registry\",\"password\":\"regpass\"}],\"dependencies\":[{\"token\":\"deptoken\"}],"
		    "\"features\":{\"token_mask_prefixes\":[\"acme-\",\"\"]}",
	});
	work_mask_phrases(&work, &phrases, &nphrases, &prefixes, &nprefixes);
	ok(has(phrases, nphrases, "secret") && !has(phrases, nphrases, "se$B"), "values after expansion");
	ok(has(phrases, nphrases, "second"), "of every entry");
	ok(has(phrases, nphrases, "padded") && !has(phrases, nphrases, ""), "trimmed, not empty");
	ok(has(phrases, nphrases, "file"), "contents of file variables");
	ok(!has(phrases, nphrases, "cret"), "nothing that is not masked");
	ok(has(phrases, nphrases, FAKE_TOKEN) && has(phrases, nphrases, FAKE_RUNNER_TOKEN), "the tokens");
	ok(has(phrases, nphrases, "regpass") && has(phrases, nphrases, "deptoken"), "what the payload brings along");
	ok(has(prefixes, nprefixes, "acme-") && has(prefixes, nprefixes, "glpat-") && has(prefixes, nprefixes, "glrt-") && !has(prefixes, nprefixes, ""), "prefixes");
	make(&(struct fake_spec){ .flags = "\"FF_MASK_ALL_DEFAULT_TOKENS\":false" });
	work_mask_phrases(&work, &phrases, &nphrases, &prefixes, &nprefixes);
	ok(nprefixes == 1 && has(prefixes, nprefixes, "glpat-"), "prefixes without the flag");
}

/* ---- what is not done yet ---- */

static void
test_unsupported(void)
{
	struct buf b = { .max = 65536 }, why = { .max = 1024 };
	unsigned asked;

	make(&(struct fake_spec){ .job = "\"services\":[],\"cache\":[{\"key\":\"k\",\"paths\":[]}],\"artifacts\":null,\"dependencies\":[{\"name\":\"x\"}],\"secrets\":{},\"inputs\":[]" });
	is_int((long long)work_unsupported(&work, &b), 0, "nothing asked");
	is_int((long long)b.n, 0, "and nothing said");
	make(&(struct fake_spec){
		.job = "\"services\":[{\"name\":\"postgres:$V\"},{\"name\":\"redis\\u001b\"}],\"cache\":[{\"key\":\"npm-$V\",\"paths\":[\"x\"]}],"
		    "\"artifacts\":[{\"name\":\"bundle\",\"paths\":[\"d\"]},{\"name\":\"\",\"artifact_type\":\"junit\",\"untracked\":true}],"
		    "\"dependencies\":[{\"name\":\"build\",\"artifacts_file\":{\"filename\":\"a.zip\"}}],\"secrets\":{\"DB\":{}},\"inputs\":[{\"key\":\"level\"}],"
		    "\"steps\":[],\"run\":\"[{}]\"",
		.vars = V("V", "16"),
		.runner = "\"docker\":{\"services\":[{\"name\":\"dind\"}]}",
	});
	asked = work_unsupported(&work, &b);
	is_str(b.p, "Services are not started by this version of windlass: dind, postgres:16, redis?\n"
	    "Caches are neither restored nor saved by this version of windlass: npm-16\n"
	    "Artifacts are not uploaded by this version of windlass: bundle, junit\n"
	    "Artifacts of earlier jobs are not downloaded by this version of windlass: build\n"
	    "Secrets are not fetched by this version of windlass, their variables are missing: DB\n"
	    "Inputs are not put into the job by this version of windlass: level\n"
	    "Native steps (run:) are not run by this version of windlass itself: the job's image must hold the program step-runner\n",
	    "a line for each");
	buf_free(&b);
	work_unsupported_why(asked, &b);
	is_str(b.p, "the job needs services, caches, artifacts, artifacts of earlier jobs, secrets and inputs, which this version of windlass does not have: "
	    "without them it could be green for nothing (ignore_unsupported = true in [[runners]] runs it all the same)", "the sentence it fails with");
	buf_free(&b);
	make(&(struct fake_spec){ .job = "\"services\":[{\"name\":\"redis\"}],\"steps\":[],\"run\":\"[{}]\"" });
	work_unsupported_why(work_unsupported(&work, &b), &why);
	ok(strstr(why.p, "the job needs services, which") != NULL, "one thing alone");
	buf_free(&why);
	buf_free(&b);
	make(&(struct fake_spec){ .job = "\"steps\":[],\"run\":\"[{}]\"" });
	is_int((long long)work_unsupported(&work, &b), 0, "native steps need the image's own program only");
	ok(b.n > 0, "and that is said");
	buf_free(&b);
}

/* A restarted executor must come to the same. */
static void
test_same_again(void)
{
	static const struct fake_spec s = { .vars = V("A", "$B") "," V("B", "$A"), .job = "\"image\":{\"name\":\"x\"}" };
	struct work first = *make(&s);

	memset(&work.warnings, 0, sizeof(work.warnings));
	make(&s);
	ok(first.vars.n == work.vars.n && strcmp(first.random_name, work.random_name) == 0, "the same work from the same payload");
	for (size_t i = 0; i < work.vars.n; i++)
		if (!str_eq(first.vars.v[i].key, work.vars.v[i].key) || !str_eq(first.vars.v[i].value, work.vars.v[i].value))
			ok(false, "variable %zu", i);
	buf_free(&first.warnings);
}

int
main(void)
{
	test_names();
	test_dirs();
	test_order();
	test_values();
	test_too_large();
	test_exported();
	test_bad_names();
	test_flags();
	test_settings();
	test_bad_settings();
	test_image();
	test_steps();
	test_protected();
	test_masking();
	test_unsupported();
	test_same_again();
	buf_free(&work.warnings);
	arena_reset(&arena);
	return done_testing();
}
