/* job/image: names, failure classes, credentials. */
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
	struct image_sources from = { { "the config" }, { str_from(config) }, JSON_NONE };
	struct broker nobody = { 0 };
	const struct image_key *key;
	struct image_keys keys;
	char *out;

	if (job != NULL)
		json_parse(a, str_from(job), &from.job, NULL);
	image_keys(a, str_from(image), &from, &keys);
	key = image_credential(a, &nobody, &keys, &header);
	*source = key != NULL ? arena_dup(a, key->source) : "none";
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

/* The ways to a credential, in the order in which they are tried: "helper>server " or "source=server ". */
static void
test_keys(void)
{
	static const char mine[] = "{\"credHelpers\":{\"r.example\":\"one\"},\"credsStore\":\"two\",\"auths\":{\"r.example\":{\"username\":\"u\",\"password\":\"p\"},"
	    "\"s.example\":{\"username\":\"other\",\"password\":\"p\"}}}";
	static const struct { const char *what, *image, *first, *second, *want; } cases[] = {
		{ "nothing known", "r.example/a", "", "", "" },
		{ "helper, store, entry, and the next text after them", "r.example/a:1", mine, "{\"credsStore\":\"three\"}",
		    "one>r.example two>r.example first=r.example three>r.example job payload (GitLab Registry)=r.example " },
		{ "a helper of another registry is no way", "s.example/a", mine, "", "two>s.example first=s.example " },
		{ "Docker's own registry by its old name", "nginx", "{\"credsStore\":\"two\"}", "", "two>https://index.docker.io/v1/ " },
		{ "an empty entry is none", "r.example/a", "{\"auths\":{\"r.example\":{}}}", "{}", "job payload (GitLab Registry)=r.example " },
	};
	struct arena a = { 0 };
	struct json_val job;

	json_parse(&a, STR("[{\"type\":\"registry\",\"url\":\"r.example\",\"username\":\"gitlab-ci-token\",\"password\":\"x\"}]"), &job, NULL);
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct image_sources from = { { "first", "second" }, { str_from(cases[i].first), str_from(cases[i].second) }, i > 0 ? job : JSON_NONE };
		struct buf got = { 0 };
		struct image_keys keys;

		image_keys(&a, str_from(cases[i].image), &from, &keys);
		for (size_t k = 0; k < keys.n; k++) {
			const struct image_key *key = &keys.v[k];

			buf_fmt(&got, "%.*s%c%.*s ", STR_ARG(key->helper.n > 0 ? key->helper : key->source), key->helper.n > 0 ? '>' : '=', STR_ARG(key->server));
			if ((key->helper.n > 0) == (key->header.n > 0))
				buf_puts(&got, "(both or neither) ");
		}
		is_str(buf_str(&got).p, cases[i].want, "%s", cases[i].what);
		buf_free(&got);
	}
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
	struct json_val told;
	struct work w = { 0 };
	size_t n = 0, lines = 0;

	if (json_parse(&arena, str_from(job), &p.root, NULL) < 0 || json_parse(&arena, str_from(runner), &told, NULL) < 0)
		return "no JSON";
	settings_read(&arena, told, &p.runner);
	work_init(&w, &p, "box", "0123456789abcdef", 0);
	image_helpers(&w, &pairs, &refused);
	out[0] = '\0';
	for (size_t i = 0; i < pairs.n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s>%.*s ", STR_ARG(pairs.v[i].helper), STR_ARG(pairs.v[i].server));
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

int
main(void)
{
	test_helpers();
	test_split();
	test_failures();
	test_auth();
	test_keys();
	return done_testing();
}
