/* job/container: sizes, volumes, and the create bodies the engine gets. */
#include <unistd.h>

#include "core/fs.h"
#include "job/container.h"
#include "tap.h"

static const char payload_text[] =
	"{\"id\":7,\"token\":\"glcbt-1\",\"job_info\":{\"project_id\":4711,\"project_full_path\":\"acme/web\"},"
	"\"git_info\":{\"repo_url\":\"https://gitlab-ci-token:x@git.example/acme/web.git\",\"sha\":\"abc\",\"ref\":\"main\",\"protected\":%s},"
	"\"runner_info\":{\"timeout\":3600},\"allow_git_fetch\":%s,"
	"\"variables\":[{\"key\":\"WHERE\",\"value\":\"/data\"},{\"key\":\"A\",\"value\":\"1\"},{\"key\":\"A\",\"value\":\"2\"},{\"key\":\"bad name\",\"value\":\"x\"},{\"key\":\"F\",\"value\":\"text\",\"file\":true}],"
	"\"steps\":[{\"name\":\"script\",\"script\":[\"true\"]}],\"image\":{\"name\":\"alpine:3\",\"entrypoint\":[\"/tini\",\"--\",\"exec \\\"$@\\\"\"]},\"features\":{}}";

struct job {
	struct arena	a;
	struct payload	p;
	struct work	w;
	char		dir[64];
};

static void
make(struct job *j, const char *docker, const char *protected, const char *fetch)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	int fd;

	memset(j, 0, sizeof(*j));
	snprintf(j->dir, sizeof(j->dir), "/tmp/container_test.XXXXXX");
	if (mkdtemp(j->dir) == NULL)
		exit(1);
	fd = fs_opendir(AT_FDCWD, j->dir, &e);
	buf_fmt(&b, payload_text, protected, fetch);
	fs_write(fd, "payload.json", buf_str(&b), 0600, &e);
	buf_clear(&b);
	buf_fmt(&b, "{\"short_token\":\"AbCdEfGhI\",\"token\":\"glrt-AbCdEfGhIjKl\",\"system_id\":\"s_0123456789ab\",\"url\":\"https://h\",\"docker\":%s}", docker);
	fs_write(fd, "runner.json", buf_str(&b), 0600, &e);
	if (payload_read(fd, &j->a, &j->p, &e) < 0)
		printf("# %s\n", e.msg);
	work_init(&j->w, &j->p, "m-1", "0123456789abcdef", 0);
	close(fd);
	buf_free(&b);
}

static void
drop(struct job *j)
{
	fs_remove_tree(AT_FDCWD, j->dir, NULL);
	buf_free(&j->w.warnings);
	arena_reset(&j->a);
}

static void
test_hostname(void)
{
	static const struct { const char *docker, *want; } cases[] = {
		{ "{}", "runner-abcdefghi-project-4711-concurrent-0" }, { "{\"hostname\":\"here\"}", "here" },
		{ "{\"network_mode\":\"bridge\"}", "runner-abcdefghi-project-4711-concurrent-0" },
		{ "{\"network_mode\":\"host\"}", NULL }, { "{\"network_mode\":\"container:other\",\"hostname\":\"here\"}", NULL },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct job j;
		const char *got;

		make(&j, cases[i].docker, "false", "[]");
		got = container_hostname(&j.w);
		if (cases[i].want == NULL)
			ok(got == NULL, "%s: the host name is another's", cases[i].docker);
		else
			is_str(got, cases[i].want, "%s: host name", cases[i].docker);
		drop(&j);
	}
}

static void
test_sizes(void)
{
	static const struct { const char *text; bool unlimited; int rc; int64_t want; } cases[] = {
		{ "512m", false, 0, 512 << 20 }, { "2g", false, 0, INT64_C(2) << 30 }, { "1024", false, 0, 1024 }, { "1K", false, 0, 1024 },
		{ "1kib", false, 0, 1024 }, { "1mb", false, 0, 1 << 20 }, { "", false, 0, 0 }, { "-1", true, 0, -1 }, { "-1", false, -1, 0 },
		{ "-5m", false, -1, 0 }, { "1x", false, -1, 0 }, { "m", false, -1, 0 }, { "99999999999g", false, -1, 0 }, { "1.5g", false, -1, 0 },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		int64_t n = 0;

		is_int(container_parse_size(str_from(cases[i].text), cases[i].unlimited, &n), cases[i].rc, "size \"%s\"", cases[i].text);
		if (cases[i].rc == 0)
			is_int(n, cases[i].want, "  bytes");
	}
}

static void
test_volumes(void)
{
	static const struct { const char *name, *docker, *protected, *fetch; size_t n; const char *bind; bool temporary; } good[] = {
		{ "a bare path is kept for the project", "{\"volumes\":[\"/cache\"]}", "false", "true", 2, ":/cache", false },
		{ "a protected ref has its own", "{\"volumes\":[\"/cache\"]}", "true", "true", 2, "-protected:/cache", false },
		{ "without the cache it is temporary", "{\"volumes\":[\"/cache\"],\"disable_cache\":true}", "false", "true", 2, "-0123456789abcdef-cache-", true },
		{ "a bind passes", "{\"volumes\":[\"/srv/x:/x:ro\"]}", "false", "true", 2, "/srv/x:/x:ro", false },
		{ "a named one passes", "{\"volumes\":[\"name:/x\"]}", "false", "true", 2, "name:/x", false },
		{ "the destination is expanded", "{\"volumes\":[\"/srv:$WHERE/x\"]}", "false", "true", 2, "/srv:/data/x", false },
		{ "a directory of the machine", "{\"volumes\":[\"/cache\"],\"cache_dir\":\"/mnt/c\"}", "false", "true", 2, "/mnt/c/runner-", false },
		{ "the builds volume of a clone goes with the job", "{}", "false", "false", 1, ":/builds", true },
		{ "the builds volume of a fetch stays", "{}", "false", "true", 1, ":/builds", false },
		{ "one of the operator's own for the builds", "{\"volumes\":[\"/srv/b:/builds\"]}", "false", "true", 1, "/srv/b:/builds", false },
	};
	static const struct { const char *name, *docker; } bad[] = {
		{ "a relative path", "{\"volumes\":[\"cache\"]}" }, { "the root", "{\"volumes\":[\"/\"]}" },
		{ "twice", "{\"volumes\":[\"/cache\",\"/x:/cache/\"]}" }, { "an unknown mode", "{\"volumes\":[\"/a:/b:rx\"]}" },
		{ "nothing", "{\"volumes\":[\"\"]}" },
	};

	for (size_t i = 0; i < NELEM(good); i++) {
		struct volumes vs;
		struct job j;
		struct err e = { 0 };

		make(&j, good[i].docker, good[i].protected, good[i].fetch);
		is_int(volumes_plan(&j.w, &vs, &e), 0, "%s", good[i].name);
		if (ok(vs.n == good[i].n, "  %zu volumes", vs.n)) {
			ok(strstr(vs.v[0].bind, good[i].bind) != NULL, "  %s", vs.v[0].bind);
			is_int(vs.v[0].temporary, good[i].temporary, "  temporary or not");
		}
		drop(&j);
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		struct volumes vs;
		struct job j;
		struct err e = { 0 };

		make(&j, bad[i].docker, "false", "true");
		is_int(volumes_plan(&j.w, &vs, &e), -1, "%s is refused", bad[i].name);
		is_int(e.kind, ERR_CONFIG, "  as configuration: %s", e.msg);
		drop(&j);
	}
}

static struct json_val
body(struct job *j, enum container_kind kind, int api, struct err *e)
{
	struct buf b = { 0 };
	struct volumes vs;
	struct json_val v = JSON_NONE;
	const struct container_order o = { kind, STR("alpine@sha256:1"), api, &vs };

	volumes_plan(&j->w, &vs, e);
	if (container_put_create(&j->w, &o, &b, e) == 0 &&
	    json_parse(&j->a, arena_str(&j->a, buf_str(&b)), &v, e) < 0)
		ok(false, "the body is JSON: %s", e->msg);
	buf_free(&b);
	return v;
}

static void
test_body(void)
{
	struct job j;
	struct err e = { 0 };
	struct json_val v, env;
	int n = 0, wrong = 0;

	make(&j, "{\"memory\":\"512m\",\"cpus\":\"1.5\",\"cap_add\":[\"net_admin\",\"ALL\"],\"devices\":[\"/dev/kvm\"],\"privileged\":true,"
	    "\"allowed_privileged_images\":[\"alpine:*\"],\"user\":\"1000\",\"extra_hosts\":[\"db:10.0.0.1\"],\"mac_address\":\"02:00:00:00:00:01\"}", "false", "true");
	v = body(&j, CONTAINER_BUILD, 41, &e);
	is_str(json_cstr(&j.a, json_get(v, "Image")), "alpine@sha256:1", "image");
	is_str(json_cstr(&j.a, json_at(json_get(v, "Entrypoint"), 0)), "/tini", "the job's entrypoint");
	is_str(json_cstr(&j.a, json_at(json_get(v, "Entrypoint"), 2)), "exec \"$@\"", "word for word");
	is_str(json_cstr(&j.a, json_get(v, "User")), "1000", "user");
	is_int(json_i64(json_path(v, "HostConfig.Memory"), 0), 512 << 20, "memory");
	is_int(json_i64(json_path(v, "HostConfig.NanoCpus"), 0), 1500000000, "cpus");
	is_str(json_cstr(&j.a, json_at(json_path(v, "HostConfig.CapAdd"), 0)), "CAP_NET_ADMIN", "capability");
	is_str(json_cstr(&j.a, json_at(json_path(v, "HostConfig.CapAdd"), 1)), "ALL", "  all of them");
	ok(json_bool(json_path(v, "HostConfig.Privileged"), false), "privileged, since the image is listed");
	is_str(json_cstr(&j.a, json_path(v, "HostConfig.LogConfig.Type")), "local", "a log that keeps every byte");
	is_str(json_cstr(&j.a, json_get(v, "MacAddress")), "02:00:00:00:00:01", "MAC address the old way");
	env = json_get(v, "Env");
	JSON_EACH(s, env) {
		struct str t = json_str(&j.a, s);

		n += str_starts(t, "A=");
		wrong += str_eqc(t, "A=1") || str_starts(t, "bad name") || (str_starts(t, "F=") && !str_starts(t, "F=/builds/"));
	}
	ok(n == 1 && wrong == 0, "each variable once, the last value; bad names left out; file variables as paths");
	is_str(json_cstr(&j.a, json_get(json_get(v, "Labels"), "com.gitlab.gitlab-runner.job.id")), "7", "label");
	v = body(&j, CONTAINER_HELPER, 44, &e);
	ok(!json_present(json_get(v, "User")) && !json_present(json_get(v, "Entrypoint")), "the helper keeps its image's user and entrypoint");
	is_str(json_cstr(&j.a, json_get(json_get(json_path(v, "NetworkingConfig.EndpointsConfig"), "default"), "MacAddress")), "02:00:00:00:00:01", "MAC address the new way");
	drop(&j);
}

static void
test_refused(void)
{
	static const struct { const char *docker, *want; } cases[] = {
		{ "{\"memory\":\"lots\"}", "memory = \"lots\"" }, { "{\"cpus\":\"1.0000000001\"}", "cpus" }, { "{\"dns\":[\"ns.example\"]}", "dns entry" },
		{ "{\"log_options\":{\"max-size\":\"1m\"}}", "log_options key" }, { "{\"ulimit\":{\"nofile\":\"many\"}}", "ulimit nofile" },
		{ "{\"isolation\":\"hyperv\"}", "for Windows" }, { "{\"user\":\"root\",\"allowed_users\":[\"ci\"]}", "not in allowed_users" },
		{ "{\"security_opt\":[\"seccomp=/nowhere.json\"]}", "/nowhere.json" }, { "{\"gpus\":\"speed=9\"}", "gpus" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct job j;
		struct err e = { 0 };
		struct json_val v;

		make(&j, cases[i].docker, "false", "true");
		v = body(&j, CONTAINER_BUILD, 41, &e);
		ok(!json_present(v) && e.kind == ERR_CONFIG && strstr(e.msg, cases[i].want) != NULL, "%s: %s", cases[i].docker, e.msg);
		drop(&j);
	}
}

static void
test_seccomp(void)
{
	struct job j;
	struct err e = { 0 };
	char path[] = "/tmp/seccomp_test.XXXXXX", docker[200];
	int fd = mkstemp(path);
	struct json_val v;

	(void)!write(fd, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 34);
	close(fd);
	snprintf(docker, sizeof(docker), "{\"security_opt\":[\"seccomp=%s\",\"seccomp=unconfined\",\"label=disable\"]}", path);
	make(&j, docker, "false", "true");
	v = json_path(body(&j, CONTAINER_BUILD, 41, &e), "HostConfig.SecurityOpt");
	is_str(json_cstr(&j.a, json_at(v, 0)), "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "a profile of this host goes as text: %s", e.msg);
	is_str(json_cstr(&j.a, json_at(v, 1)), "seccomp=unconfined", "unconfined passes");
	unlink(path);
	drop(&j);
}

int
main(void)
{
	test_hostname();
	test_sizes();
	test_volumes();
	test_body();
	test_refused();
	test_seccomp();
	return done_testing();
}
