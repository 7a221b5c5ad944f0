/*
 * What jobs are told of config.toml. The cases are made from the table of keys: each row that it
 * calls JOB is written into a config.toml, read, told to a job as runner.json, and read back.
 */
#include "config/config.h"
#include "config/keys.h"
#include "tap.h"

#define HEAD	"[[runners]]\nurl = \"https://gitlab.example/\"\n" \
	"executor = \"docker+machine\"\n"
#define TAIL	"[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"auto-%s\"\n"

/* A row with the place of its member in a job's settings. */
struct told { enum key_id id; size_t at; };
#define OF_SETTINGS(S, id, ...)	{ K_##S##_##id, offsetof(struct job_settings, id) },
#define OF_DOCKER(S, id, ...)	{ K_##S##_##id, offsetof(struct job_settings, docker.id) },
static const struct told told[] = {
	GLOBAL_KEYS(KEY_SKIP, OF_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	RUNNER_KEYS(KEY_SKIP, OF_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	BUILD_DIR_KEYS(KEY_SKIP, OF_SETTINGS, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	DOCKER_KEYS(KEY_SKIP, OF_DOCKER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
};

/* A value of the key that is not its default, as TOML. */
static const char *
sample(const struct key *k)
{
	/* The entry would not be read with another. */
	if (k == &keys[K_RUNNER_executor])
		return "\"docker+machine\"";
	switch (k->type) {
	case KEY_STRING:
		return "\"some \\\"text\\\"\"";
	case KEY_INT:
		return "17";
	case KEY_BOOL:
		return k->dflt != NULL && strcmp(k->dflt, "true") == 0 ? "false" : "true";
	case KEY_DURATION:
		return "\"1m1.5s\"";
	case KEY_STRINGS:
		return "[\"a=b\", \"c\"]";
	case KEY_TABLE:
		return "{ one = \"1\", \"two words\" = \"2\" }";
	case KEY_BOOLS:
		return "{ FF_A = true, FF_B = false }";
	case KEY_TABLES:
		return "[{ name = \"redis:7\" }]";
	default:
		return "";
	}
}

static bool
same_list(const struct field_list *a, const struct field_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool
same_map(const struct field_map *a, const struct field_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, b->v[i].name) != 0 || strcmp(a->v[i].text, b->v[i].text) != 0)
			return false;
	return true;
}

static bool
same(const struct key *k, const void *a, const void *b)
{
	switch (k->type) {
	case KEY_STRING:
		return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	case KEY_INT:
	case KEY_DURATION:
		return *(const int64_t *)a == *(const int64_t *)b;
	case KEY_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case KEY_STRINGS:
		return same_list(a, b);
	case KEY_TABLE:
	case KEY_BOOLS:
		return same_map(a, b);
	case KEY_TABLES:
		return str_eq(*(const struct str *)a, *(const struct str *)b);
	default:
		return false;
	}
}

/* The settings as they go from process to process. */
static struct job_settings
by_json(struct arena *a, const struct job_settings *s)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct job_settings back;
	struct json_val v;

	jw_object(&w, NULL);
	settings_write(&w, s);
	jw_end_object(&w);
	if (json_parse(a, arena_str(a, buf_str(&b)), &v, NULL) < 0) {
		printf("Bail out! %s\n", b.p);
		exit(2);
	}
	settings_read(a, v, &back);
	buf_free(&b);
	return back;
}

static void
put_section(struct buf *b, enum key_section section)
{
	for (size_t i = 0; i < NELEM(told); i++)
		if (keys[told[i].id].section == section && told[i].id != K_RUNNER_executor)
			buf_fmt(b, "%s = %s\n", keys[told[i].id].name, sample(&keys[told[i].id]));
}

static void
test_every_key(void)
{
	struct buf b = { .max = 1u << 16 };
	struct arena a = { 0 };
	struct job_settings s, back, unset;
	struct config *c;
	struct err e = { 0 };

	put_section(&b, KS_GLOBAL);
	buf_puts(&b, HEAD "token = \"glrt-AbCdEfGhIjKl\"\n");
	put_section(&b, KS_RUNNER);
	buf_puts(&b, "[runners.custom_build_dir]\n");
	put_section(&b, KS_BUILD_DIR);
	buf_puts(&b, "[runners.docker]\nservices_limit = 2\nUnheardOf = [1]\n");
	put_section(&b, KS_DOCKER);
	buf_puts(&b, TAIL);
	c = config_parse("config.toml", buf_str(&b), NULL, NULL, &e);
	if (!ok(c != NULL && c->nrunners == 1, "a file with every key that jobs are told: %s", e.msg))
		return;
	settings_of(c, &c->runners[0], &s);
	back = by_json(&a, &s);
	settings_init(&unset);
	for (size_t i = 0; i < NELEM(told); i++) {
		const struct key *k = &keys[told[i].id];
		size_t at = told[i].at;

		ok(!same(k, (char *)&s + at, (char *)&unset + at), "%s %s is read",
		    key_section_title(k->section), k->name);
		ok(same(k, (char *)&s + at, (char *)&back + at), "  and comes back from JSON");
	}
	ok(str_eqc(back.docker.rest, "{\"services_limit\":2,\"UnheardOf\":[1]}"),
	    "keys without a member are kept: %.*s", STR_ARG(back.docker.rest));
	is_str(secret_reveal(back.token), "glrt-AbCdEfGhIjKl", "the token");
	is_str(back.url, "https://gitlab.example", "the URL, trimmed");
	is_str(back.runner_key, c->runners[0].key, "the pool");
	config_free(c);
	arena_reset(&a);
	buf_free(&b);
}

/* runner.json as 0.1.0 wrote it, word for word. */
static const char old_runner[] =
	"{\"name\":\"bastion-1\",\"short_token\":\"AbCdEfGhI\",\"token\":\"glrt-AbCdEfGhIjKl\","
	"\"system_id\":\"s_c2d22f638c25\",\"url\":\"https://gitlab.example/\","
	"\"executor\":\"docker+machine\",\"shell\":\"sh\",\"builds_dir\":\"/b\",\"cache_dir\":\"\","
	"\"clone_url\":\"http://c\",\"environment\":[\"A=b\"],\"output_limit\":100,"
	"\"pre_get_sources_script\":\"1\",\"post_get_sources_script\":\"2\","
	"\"pre_build_script\":\"3\",\"post_build_script\":\"4\",\"debug_trace_disabled\":true,"
	"\"ignore_unsupported\":true,\"safe_directory_checkout\":false,\"clean_git_config\":false,"
	"\"custom_build_dir\":false,\"prepare_timeout_s\":90,\"get_sources_timeout_s\":60,"
	"\"final_update_tries\":3,\"max_age_s\":30,\"feature_flags\":{\"FF_A\":true},"
	"\"docker\":{\"image\":\"alpine\",\"pull_policy\":\"if-not-present\",\"shm_size\":1048576,"
	"\"privileged\":true,\"tmpfs\":{\"/run\":\"rw\"},\"services\":[{\"name\":\"redis\"}],"
	"\"services_limit\":1},\"store\":\"/s\",\"runner_key\":\"1f00ba47\","
	"\"instance\":\"0badcafe\",\"received\":\"2026-03-01T08:15:30.501234567Z\",\"queued_s\":4.2,"
	"\"correlation_id\":\"01J\",\"job\":{\"name\":\"unit\",\"stage\":\"test\","
	"\"project\":\"acme/web\",\"url\":\"https://p/-/jobs/42\",\"project_running\":\"2\","
	"\"queue_size\":7,\"queue_depth\":1},\"tls_ca\":\"PEM\",\"tls_cert\":\"\",\"tls_key\":\"\","
	"\"of_a_newer_version\":{\"x\":[1]}}";

static void
test_old(void)
{
	struct arena a = { 0 };
	struct job_settings s;
	struct json_val v;

	if (json_parse(&a, STR(old_runner), &v, NULL) < 0)
		exit(2);
	settings_read(&a, v, &s);
	/* Twice: what was read of it and is written again says the same. */
	for (int i = 0; i < 2; i++, s = by_json(&a, &s)) {
		is_str(s.name, "bastion-1", "a runner.json of 0.1.0%s", i > 0 ? ", written anew" : "");
		is_str(s.short_token, "AbCdEfGhI", "  short_token");
		is_str(s.system_id, "s_c2d22f638c25", "  system_id");
		is_str(s.url, "https://gitlab.example/", "  url");
		ok(strcmp(s.shell, "sh") == 0 && strcmp(s.builds_dir, "/b") == 0 &&
		    s.cache_dir[0] == '\0' && strcmp(s.clone_url, "http://c") == 0, "  texts");
		ok(s.environment.n == 1 && s.output_limit == 100, "  environment, output_limit");
		is_str(s.post_build_script, "4", "  scripts");
		ok(s.debug_trace_disabled && s.ignore_unsupported && !s.safe_directory_checkout &&
		    !s.clean_git_config && !s.custom_build_dir, "  switches");
		is_int(s.prepare_timeout, 90 * NSEC_SEC, "  prepare_timeout");
		is_int(s.get_sources_timeout, 60 * NSEC_SEC, "  get_sources_timeout");
		is_int(s.final_update_tries, 3, "  tries");
		is_int(s.max_age, 30 * NSEC_SEC, "  connection_max_age");
		is_str(fields_pair(&s.feature_flags, "FF_A"), "true", "  feature flags");
		is_str(s.docker.image, "alpine", "  docker");
		ok(s.docker.pull_policy.n == 1 && strcmp(s.docker.pull_policy.v[0],
		    "if-not-present") == 0, "  a policy that is no list");
		ok(s.docker.shm_size == 1048576 && s.docker.privileged, "  numbers and switches");
		is_str(fields_pair(&s.docker.tmpfs, "/run"), "rw", "  maps");
		ok(str_eqc(s.docker.services, "[{\"name\":\"redis\"}]"), "  services");
		ok(str_eqc(s.docker.rest, "{\"services_limit\":1}"), "  what waits for its version");
		ok(strcmp(s.store, "/s") == 0 && strcmp(s.runner_key, "1f00ba47") == 0 &&
		    strcmp(s.instance, "0badcafe") == 0, "  whose it is");
		is_int(s.received.ns / NSEC_MSEC, 1772352930501, "  when");
		ok(s.queued_s > 4.1 && s.queued_s < 4.3, "  how long GitLab kept it");
		is_str(s.correlation_id, "01J", "  the request");
		is_str(s.about.url, "https://p/-/jobs/42", "  the job's page");
		ok(s.about.queue_size == 7 && s.about.queue_depth == 1, "  the queue");
		is_str(s.tls_ca, "PEM", "  certificates");
		ok(str_eqc(s.rest, "{\"of_a_newer_version\":{\"x\":[1]}}"), "  what nobody knows");
	}
	arena_reset(&a);
}

/* A version before read these names. */
static void
test_names(void)
{
	static const char *const names[] = { "\"prepare_timeout_s\":90,", "\"get_sources_timeout_s\":60,",
		"\"max_age_s\":30,", "\"final_update_tries\":3,", "\"custom_build_dir\":false,",
		"\"docker\":{\"image\":\"alpine\",", "\"shm_size\":1048576", "\"runner_key\":\"1f00ba47\"" };
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct arena a = { 0 };
	struct job_settings s;
	struct json_val v;

	if (json_parse(&a, STR(old_runner), &v, NULL) < 0)
		exit(2);
	settings_read(&a, v, &s);
	jw_object(&w, NULL);
	settings_write(&w, &s);
	jw_end_object(&w);
	for (size_t i = 0; i < NELEM(names); i++)
		ok(str_find(buf_str(&b), names[i]) >= 0, "the version before finds %s", names[i]);
	buf_free(&b);
	arena_reset(&a);
}

static void
test_nothing(void)
{
	struct arena a = { 0 };
	struct job_settings s;

	settings_read(&a, JSON_NONE, &s);
	ok(s.safe_directory_checkout && s.clean_git_config && s.custom_build_dir, "without a word: switches as in config.toml");
	is_int(s.final_update_tries, 10, "  tries");
	is_int(s.max_age, 900 * NSEC_SEC, "  connection_max_age");
	is_int(s.prepare_timeout, 0, "  no limit of the preparation");
	is_str(s.docker.image, "", "  no image");
	is_str(s.tls_ca, "", "  no certificate");
	arena_reset(&a);
}

static void
test_ticket(void)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct arena a = { 0 };
	struct job_settings s, back;
	struct json_val v;

	settings_init(&s);
	s.name = "n";
	s.url = "https://h";
	s.runner_key = "1f00ba47";
	s.token = SECRET("glrt-x");
	s.shell = "sh";
	jw_object(&w, NULL);
	jw_cstr(&w, "token", "the job's");
	settings_write_ticket(&w, &s);
	jw_end_object(&w);
	ok(json_parse(&a, buf_str(&b), &v, NULL) == 0, "a ticket");
	settings_read_ticket(&a, v, &back);
	is_str(back.name, "n", "  the runner's name");
	is_str(back.url, "https://h", "  GitLab");
	is_str(back.runner_key, "1f00ba47", "  the pool");
	ok(!secret_is_set(back.token), "  its token is not the runner's");
	ok(str_find(buf_str(&b), "glrt-") < 0, "  and the runner's is not in it");
	buf_free(&b);
	arena_reset(&a);
}

static void
test_plan(void)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct poller_plan p = { .tls_ca_file = "/ca", .tls_cert_file = "", .tls_key_file = "/key" }, back;
	struct arena a = { 0 };
	struct json_val v;

	settings_init(&p.runner);
	p.runner.url = "https://h";
	plan_write(&w, &p);
	ok(json_parse(&a, buf_str(&b), &v, NULL) == 0, "a plan");
	plan_read(&a, v, &back);
	ok(strcmp(back.tls_ca_file, "/ca") == 0 && back.tls_cert_file[0] == '\0' &&
	    strcmp(back.tls_key_file, "/key") == 0, "  its files");
	is_str(back.runner.url, "https://h", "  its runner");
	buf_free(&b);
	arena_reset(&a);
}

int
main(void)
{
	test_every_key();
	test_old();
	test_names();
	test_nothing();
	test_ticket();
	test_plan();
	return done_testing();
}
