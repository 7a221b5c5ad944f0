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
test_reasons(void)
{
	static const struct { const char *message, *reason; bool retry; } cases[] = {
		{ "Get https://r/v2/: dial tcp 1.2.3.4:443: connect: connection refused", "runner_external_dependency_failure", true },
		{ "manifest for x:1 not found: manifest unknown", "runner_configuration_error", false },
		{ "pull access denied for x", "runner_configuration_error", false },
		{ "toomanyrequests: You have reached your pull rate limit", "image_pull_failure", true },
		{ "received unexpected HTTP status: 503 Service Unavailable", "image_pull_failure", true },
		{ "no space left on device", "image_pull_failure", false },
		/* Network words win over configuration words. */
		{ "unauthorized: net/http: TLS handshake timeout", "runner_external_dependency_failure", true },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		bool retry;
		const char *reason = image_pull_reason(cases[i].message, &retry);

		is_str(reason, cases[i].reason, "%s", cases[i].message);
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

int
main(void)
{
	test_split();
	test_reasons();
	test_auth();
	return done_testing();
}
