/* job/image: names, failure classes, credentials. */
#include <unistd.h>

#include "core/fs.h"
#include "core/hash.h"
#include "job/image.h"
#include "tap.h"

static void
test_split(void)
{
	static const struct { const char *ref, *name, *tag; } cases[] = {
		{ "alpine", "alpine", "latest" }, { "alpine:3", "alpine", "3" },
		{ "host:5000/img", "host:5000/img", "latest" }, { "host:5000/a/b:v1", "host:5000/a/b", "v1" },
		{ "img@sha256:abc", "img", "sha256:abc" }, { "host:5000/img:v1@sha256:abc", "host:5000/img", "sha256:abc" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct str name, tag;

		image_split(str_from(cases[i].ref), &name, &tag);
		ok(str_eqc(name, cases[i].name) && str_eqc(tag, cases[i].tag), "%s -> %.*s, %.*s", cases[i].ref, STR_ARG(name), STR_ARG(tag));
	}
}

static void
test_failures(void)
{
	static const struct { const char *message; enum failure why; bool retry; } cases[] = {
		{ "Get https://r/v2/: dial tcp 1.2.3.4:443: connect: connection refused", FAILURE_DEPENDENCY, true },
		{ "manifest for x:1 not found: manifest unknown", FAILURE_CONFIG, false },
		{ "pull access denied for x", FAILURE_CONFIG, false },
		{ "toomanyrequests: You have reached your pull rate limit", FAILURE_IMAGE, true },
		{ "received unexpected HTTP status: 503 Service Unavailable", FAILURE_IMAGE, true },
		{ "no space left on device", FAILURE_IMAGE, false },
		/* Network words win over configuration words. */
		{ "unauthorized: net/http: TLS handshake timeout", FAILURE_DEPENDENCY, true },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		bool retry;
		enum failure why = image_pull_failure(cases[i].message, &retry);

		is_int(why, cases[i].why, "%s", cases[i].message);
		is_int(retry, cases[i].retry, "  again or not");
	}
}

/* The decoded header for an image, "" if none. */
static char *
auth(struct arena *a, const char *image, const char *config, const char *job, const char **source)
{
	struct buf header = { 0 }, text = { 0 };
	struct str configs[1] = { str_from(config) };
	const char *names[1] = { "the config" };
	struct json_val root = JSON_NONE;
	char *out;

	if (job != NULL)
		json_parse(a, str_from(job), &root, NULL);
	*source = "none";
	image_auth(a, str_from(image), configs, names, config != NULL ? 1 : 0, root, &header, source);
	hash_base64_decode(&text, buf_str(&header));
	out = arena_dup(a, buf_str(&text));
	buf_free(&header);
	buf_free(&text);
	return out;
}

static void
test_auth(void)
{
	static const char config[] = "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"},"
	    "\"registry.example.com\":{\"username\":\"a\",\"password\":\"b\"},"
	    "\"registry.example.com/group\":{\"identitytoken\":\"tok\"}}}";
	static const char job[] = "[{\"type\":\"registry\",\"url\":\"registry.gitlab.example\",\"username\":\"gitlab-ci-token\",\"password\":\"glcbt\"},"
	    "{\"type\":\"other\",\"url\":\"x\"}]";
	static const struct { const char *image, *want, *source; } cases[] = {
		{ "nginx", "\"username\":\"u\"", "the config" },
		{ "registry.example.com/x:1", "\"username\":\"a\"", "the config" },
		{ "Registry.Example.com/x", "\"password\":\"b\"", "the config" },
		{ "registry.example.com/group/x", "\"identitytoken\":\"tok\"", "the config" },
		{ "registry.example.com/groupie/x", "\"username\":\"a\"", "the config" },
		{ "registry.gitlab.example/acme/x:1", "\"password\":\"glcbt\"", "job payload (GitLab Registry)" },
		{ "other.example/x", "", "none" },
	};
	struct arena a = { 0 };
	const char *source;

	for (size_t i = 0; i < NELEM(cases); i++) {
		char *got = auth(&a, cases[i].image, config, job, &source);

		ok(cases[i].want[0] == '\0' ? got[0] == '\0' : strstr(got, cases[i].want) != NULL, "%s: %s", cases[i].image, got);
		is_str(source, cases[i].source, "  from");
	}
	is_str(auth(&a, "nginx", "{not json", NULL, &source), "", "a config that is no JSON is skipped");
	is_str(auth(&a, "nginx", "{\"credsStore\":\"../../bin/sh\"}", NULL, &source), "", "a store with a path runs nothing");
	arena_reset(&a);
}

/* ---- helpers ---- */

static struct arena arena;

/* What image_helpers() says of a job's and a runner's words: "helper>server " for each pair, "!" before the refused lines' number. */
static const char *
helpers(const char *job, const char *runner)
{
	static char out[600];
	struct payload p = { .arena = &arena };
	struct broker_pairs pairs = { .n = 0 };
	struct buf refused = { .max = 8192 };
	struct work w = { 0 };
	size_t n = 0, lines = 0;

	if (json_parse(&arena, str_from(job), &p.root, NULL) < 0 || json_parse(&arena, str_from(runner), &p.runner, NULL) < 0)
		return "no JSON";
	p.docker = json_get(p.runner, "docker");
	work_init(&w, &p, "box", "0123456789abcdef", 0);
	image_helpers(&w, &pairs, &refused);
	out[0] = '\0';
	for (size_t i = 0; i < pairs.n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s>%s ", pairs.v[i].helper, pairs.v[i].server);
	for (size_t i = 0; i < refused.n; i++)
		lines += refused.p[i] == '\n';
	snprintf(out + n, sizeof(out) - n, "!%zu", lines);
	buf_free(&refused);
	return out;
}

#define JOB_SAYS(config)	"{\"id\":1,\"image\":{\"name\":\"r.example/a/b:1\"},\"variables\":[{\"key\":\"DOCKER_AUTH_CONFIG\",\"value\":\"" config "\",\"raw\":true}]}"
#define RUNNER_SAYS(allowed, environment)	"{\"docker\":{\"image\":\"x\",\"helper_image\":\"h.example/h\",\"allow_job_credential_helpers\":[" allowed "]},\"environment\":[" environment "]}"
#define STORE(name)	"{\\\"credsStore\\\":\\\"" name "\\\"}"

static void
test_helpers(void)
{
	static const struct { const char *what, *job, *runner, *want; } cases[] = {
		{ "nothing named, nothing run", JOB_SAYS(""), RUNNER_SAYS("", ""), "!0" },
		{ "a job's store is not run", JOB_SAYS(STORE("evil")), RUNNER_SAYS("", ""), "!1" },
		{ "a job's helper is not run", JOB_SAYS("{\\\"credHelpers\\\":{\\\"r.example\\\":\\\"evil\\\",\\\"s.example\\\":\\\"evil\\\"}}"), RUNNER_SAYS("\"good\"", ""), "!1" },
		{ "nor one in the words' middle", JOB_SAYS("{\\\"auths\\\":{\\\"credsStore\\\":{\\\"auth\\\":\\\"credHelpers\\\"}}}"), RUNNER_SAYS("", ""), "!0" },
		{ "an allowed one is, for the job's registries", JOB_SAYS(STORE("good")), RUNNER_SAYS("\"good\"", ""), "good>r.example good>h.example !0" },
		{ "an allowed helper, for the server it is named for", JOB_SAYS("{\\\"credHelpers\\\":{\\\"r.example\\\":\\\"good\\\"}}"), RUNNER_SAYS("\"good\"", ""), "good>r.example !0" },
		{ "no program elsewhere", JOB_SAYS(STORE("../good")), RUNNER_SAYS("\"../good\"", ""), "!0" },
		{ "the runner's own words need no leave", "{\"id\":1,\"image\":{\"name\":\"r.example/a/b:1\"}}",
		    RUNNER_SAYS("", "\"DOCKER_AUTH_CONFIG=" STORE("mine") "\""), "mine>r.example mine>h.example !0" },
		{ "a job's word in their place does", JOB_SAYS(STORE("evil")), RUNNER_SAYS("", "\"DOCKER_AUTH_CONFIG=" STORE("mine") "\""), "!1" },
	};

	setenv("HOME", "/no/such/home", 1);
	for (size_t i = 0; i < NELEM(cases); i++)
		is_str(helpers(cases[i].job, cases[i].runner), cases[i].want, "%s", cases[i].what);
}

/* A helper of the host, that says whom it was asked for. */
static void
test_broker(void)
{
	static const char program[] = "#!/bin/sh\nread -r server\necho \"$1 $server\"\n";
	const char *path = getenv("PATH");
	struct broker_pairs pairs = { .n = 0 };
	char dir[] = "/tmp/job_image_test.XXXXXX";
	struct buf out = { .max = BROKER_ANSWER + 1 };
	struct err e = { 0 };
	int fd;

	is_int(broker_ask(STR("one"), STR("r.example"), &out), -1, "without a broker nobody answers");
	if (mkdtemp(dir) == NULL || (fd = fs_opendir(AT_FDCWD, dir, &e)) < 0)
		return;
	fs_write(fd, "docker-credential-one", str_from(program), 0755, &e);
	fs_write(fd, "docker-credential-two", str_from(program), 0755, &e);
	setenv("PATH", arena_fmt(&arena, "%s:%s", dir, path), 1);
	broker_allow(&pairs, &arena, STR("one"), STR("r.example"));
	broker_allow(&pairs, &arena, STR("none"), STR("r.example"));
	is_int(broker_start(&pairs, &e), 0, "a broker for one helper and one server: %s", e.msg);
	is_int(broker_ask(STR("one"), STR("r.example"), &out), 0, "it answers");
	ok(str_eqc(buf_str(&out), "get r.example\n"), "  what the helper said");
	is_int(broker_ask(STR("one"), STR("s.example"), &out), -1, "another server is refused");
	is_int(broker_ask(STR("two"), STR("r.example"), &out), -1, "another helper is refused");
	is_int(broker_ask(STR("none"), STR("r.example"), &out), -1, "one that is not there has no answer");
	is_int(broker_ask(STR("one"), STR("r.example\nx"), &out), -1, "nor has a server of two lines");
	broker_other_voice();
	is_int(broker_ask(STR("one"), STR("r.example"), &out), 0, "a child asks for itself");
	setenv("PATH", path, 1);
	buf_free(&out);
	close(fd);
	fs_remove_tree(AT_FDCWD, dir, NULL);
}

int
main(int argc, char **argv)
{
	if (argc > 0 && strcmp(argv[0], "windlass-broker") == 0)
		return broker_main(argc, argv);
	test_helpers();
	test_broker();
	test_split();
	test_failures();
	test_auth();
	return done_testing();
}
