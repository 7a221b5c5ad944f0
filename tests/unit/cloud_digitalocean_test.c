/* cloud/digitalocean against a scripted API: what it asks, what it makes of the answers, and how long it waits. */
#include "cloud/life.h"
#include "core/fs.h"
#include "core/log.h"
#include "machine/options.h"
#include "cloud_fake.h"
#include "tap.h"

#define PUB	"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLeDZHQwW85y3/F2A0qv83xpw3PMASro5A8LHjK6nMRV7bTYOx81qA4Y8S0cVGOoZUSxwY0U4c6Z0pGgRZ5v4pM="
#define NONCE	"00112233445566778899aabbccddeeff"
#define TAGGED	"\"tags\":[\"wl-nonce-" NONCE "\"]"
#define LIST	"GET /v2/droplets?tag_name=wl-nonce-" NONCE "&per_page=200&page=1"

static const struct cloud_labels labels = { "0123456789abcdef", NONCE };
static struct arena arena;

/* A machine at the fake's address. */
static struct cloud
machine(const struct fake_cloud *f, const char *name, const char *const *more)
{
	static struct machine_host h;	/* a test at a time */
	struct machine_options o;
	const char *options[16];
	struct err e = { 0 };
	size_t n = 0;

	options[n++] = "digitalocean-access-token=dop_v1_secret";
	options[n++] = arena_fmt(&arena, "digitalocean-api-endpoint=%s", f->url);
	options[n++] = "digitalocean-region=fra1";
	for (; more != NULL && *more != NULL; more++)
		options[n++] = *more;
	machine_options_init(&o, &cloud_digitalocean);
	if (machine_options_take(&o, &arena, options, n, &e) < 0 ||
	    machine_options_host(&o, &h, &arena, "/nonexistent", name, &e) < 0)
		printf("Bail out! %s\n", e.msg);
	machine_options_free(&o);
	return h.cloud;
}

/* The ids that a record brings. */
static void
adopt(struct cloud *c, const char *id, const char *key)
{
	cloud_note_id(c, 0, key);
	cloud_note_id(c, 1, id);
}

/* As the operator has it: what is there is not made again. */
static int
make_key(struct cloud *c, mono_t deadline, struct err *e)
{
	struct cloud_order o = { .labels = labels, .pub_line = PUB, .step = "" };

	if (cloud_id(c, 0)[0] != '\0')
		return 0;
	return cloud_open(c, e) == 0 && c->driver->kinds[0]->make(c, &o, deadline, e) == CLOUD_MADE ? 0 : -1;
}

static enum cloud_made
make_machine(struct cloud *c, mono_t deadline, struct err *e)
{
	struct cloud_order o = { .labels = labels, .pub_line = PUB, .step = "" };

	return cloud_open(c, e) == 0 ? c->driver->kinds[1]->make(c, &o, deadline, e) : CLOUD_NOT_MADE;
}

static void
done(struct fake_cloud *f, struct cloud *c, int calls)
{
	is_int(f->log->n, calls, "  in %d calls", calls);
	is_str(f->log->wrong, "", "  as expected");
	cloud_close(c);
	fake_stop(f);
}

static mono_t
soon(int seconds)
{
	return mono_after(seconds * NSEC_SEC);
}

static void
test_regions(void)
{
	static const struct fake_call calls[] = {
		{ "GET /v2/regions?per_page=200&page=1", 200, "{\"regions\":[{\"slug\":\"nyc3\"}],\"links\":{\"pages\":{\"next\":\"x\"}}}", NULL, ANSWER },
		{ "GET /v2/regions?per_page=200&page=2", 200, "{\"regions\":[{\"slug\":\"ams3\"},{\"slug\":\"fra1\"}],\"links\":{}}", NULL, ANSWER },
		{ "GET /v2/regions?per_page=200&page=1", 200, "{\"regions\":[{\"slug\":\"nyc3\"}]}", NULL, ANSWER },
		{ "GET /v2/regions?per_page=200&page=1", 401, "{\"id\":\"unauthorized\",\"message\":\"Unable to authenticate you\"}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	is_int(cloud_precreate(&c, soon(10), &e), 0, "the region is on the second page");
	is_int(cloud_precreate(&c, soon(10), &e), -1, "it is nowhere");
	is_str(e.msg, "digitalocean requires a valid region", "  said as docker-machine says it");
	is_int(cloud_precreate(&c, soon(10), &e), -1, "the token is refused");
	is_int(e.kind, ERR_AUTH, "  which is final");
	ok(strstr(e.msg, "secret") == NULL && strstr(e.msg, "Unable to authenticate you") != NULL, "  with the reason, without the token: %s", e.msg);
	done(&f, &c, 4);
}

static void
test_key(void)
{
	static const struct fake_call calls[] = {
		{ "POST /v2/account/keys", 201, "{\"ssh_key\":{\"id\":42}}", NULL, ANSWER },
		{ "POST /v2/account/keys", 0, NULL, NULL, LOSE },
		{ "POST /v2/account/keys", 422, "{\"id\":\"unprocessable_entity\",\"message\":\"SSH Key is already in use on your account\"}", NULL, ANSWER },
		{ "GET /v2/account/keys/8c:7e:53:f5:6f:ca:bd:48:6a:2a:83:d5:82:5e:d1:41", 200, "{\"ssh_key\":{\"id\":43}}", NULL, ANSWER },
		{ "POST /v2/account/keys", 422, "{\"message\":\"Key invalid\"}", NULL, ANSWER },
		{ "GET /v2/account/keys/8c:7e:53:f5:6f:ca:bd:48:6a:2a:83:d5:82:5e:d1:41", 404, "{}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	is_int(make_key(&c, soon(10), &e), 0, "a key is uploaded %s", e.msg);
	is_str(cloud_id(&c, 0), "42", "  its id");
	is_str(f.log->body[0], "{\"name\":\"m wl-owner-0123456789abcdef\",\"public_key\":\"" PUB "\"}", "  what was sent");
	is_int(make_key(&c, soon(10), &e), 0, "known: nothing is asked");
	cloud_close(&c);
	c = machine(&f, "m", NULL);
	is_int(make_key(&c, soon(20), &e), 0, "the answer is lost, the account has it then");
	is_str(cloud_id(&c, 0), "43", "  its id by the fingerprint");
	cloud_close(&c);
	c = machine(&f, "m", NULL);
	is_int(make_key(&c, soon(20), &e), -1, "a key that the cloud does not take");
	is_int(e.kind, ERR_REFUSED, "  is refused for good");
	done(&f, &c, 6);
}

#define OWNED(id, more) "{\"id\":" #id ",\"name\":\"m" #id "\",\"created_at\":\"2026-03-01T08:15:30Z\",\"tags\":[\"web\"," more "\"wl-owner-0123456789abcdef\"]}"

/* All that is ours, page by page, and nothing else; and no half of it. */
static void
test_list(void)
{
	static const struct fake_call calls[] = {
		{ "GET /v2/droplets?tag_name=wl-owner-0123456789abcdef&per_page=200&page=1", 200,
		  "{\"droplets\":[" OWNED(7, "\"wl-nonce-ab\",") ",{\"id\":8,\"tags\":[\"wl-owner-0123456789abcdff\"]}],\"links\":{\"pages\":{\"next\":\"x\"}}}", NULL, ANSWER },
		{ "GET /v2/droplets?tag_name=wl-owner-0123456789abcdef&per_page=200&page=2", 200, "{\"droplets\":[" OWNED(9, "") "],\"links\":{}}", NULL, ANSWER },
		{ "GET /v2/account/keys?per_page=200&page=1", 200, "{\"ssh_keys\":[{\"id\":1,\"name\":\"m7 wl-owner-0123456789abcdef\"},"
		  "{\"id\":2,\"name\":\"m7\"},{\"id\":3,\"name\":\" wl-owner-0123456789abcdef\"},{\"id\":4,\"name\":\"m7 wl-owner-0123456789abcdef.\"}]}", NULL, ANSWER },
		{ "DELETE /v2/droplets/7", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/tags/wl-nonce-ab", 204, NULL, NULL, ANSWER },
		{ "DELETE /v2/account/keys/1", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets?tag_name=wl-owner-0123456789abcdef&per_page=200&page=1", 200, "{\"droplets\":[" OWNED(7, "") "]}", NULL, ANSWER },
		{ "GET /v2/account/keys?per_page=200&page=1", 403, "{\"message\":\"no\"}", NULL, ANSWER },
		{ "GET /v2/droplets?tag_name=wl-owner-0123456789abcdef&per_page=200&page=1", 200, "{\"links\":{}}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct cloud_things t;
	struct err e = { 0 };

	is_int(cloud_list_all(&c, &(struct cloud_query){ .owner = labels.owner }, &t, soon(20), &e), 0, "a list of two pages, and of keys %s", e.msg);
	is_int((int)t.n, 3, "  three are ours");
	ok(t.v[0].kind == 1 && strcmp(t.v[0].id, "7") == 0 && strcmp(t.v[0].name, "m7") == 0 && strcmp(t.v[0].nonce, "ab") == 0 &&
	    wall_known(t.v[0].created), "  a machine with its nonce");
	ok(t.v[1].kind == 1 && strcmp(t.v[1].id, "9") == 0 && t.v[1].nonce[0] == '\0', "  one without");
	ok(t.v[2].kind == 0 && strcmp(t.v[2].id, "1") == 0 && strcmp(t.v[2].name, "m7") == 0, "  a key by its mark, under the machine's name");
	is_int(cloud_discard(&c, &t.v[0], soon(20), &e), 0, "a machine goes, with its tag");
	is_int(cloud_discard(&c, &t.v[2], soon(20), &e), 0, "a key goes");
	is_int(cloud_list_all(&c, &(struct cloud_query){ .owner = labels.owner }, &t, soon(20), &e), -1, "keys that may not be listed");
	is_int(cloud_list_all(&c, &(struct cloud_query){ .owner = labels.owner }, &t, soon(20), &e), -1, "an answer that is no list");
	done(&f, &c, 10);
}

static void
test_own_key(void)
{
	static const char *const more[] = { "digitalocean-ssh-key-fingerprint=aa:bb", NULL };
	static const struct fake_call calls[] = {
		{ "GET /v2/account/keys/aa:bb", 404, "{}", NULL, ANSWER },
		{ "GET /v2/account/keys/aa:bb", 200, "{\"ssh_key\":{\"id\":44}}", NULL, ANSWER },
		{ "DELETE /v2/droplets/7", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/tags/wl-nonce-" NONCE, 204, NULL, NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", more);
	struct err e = { 0 };

	is_int(make_key(&c, soon(10), &e), -1, "a fingerprint that the account does not have");
	is_str(e.msg, "Digital Ocean SSH key with fingerprint aa:bb doesn't exist", "  in docker-machine's words");
	is_int(make_key(&c, soon(10), &e), 0, "one that it has");
	is_str(c.base.ssh_key_path, "", "the private key is the client's own");
	adopt(&c, "7", "");
	is_int(cloud_drop_all(&c, &labels, PUB, false, soon(10), &e), 0, "removing leaves the account's key alone");
	done(&f, &c, 5);
}

static void
test_create(void)
{
	char user_data[] = "/tmp/user_data.XXXXXX";
	int fd = mkstemp(user_data);
	const char *const more[] = { "digitalocean-image=123", "digitalocean-size=s-2vcpu-2gb", "digitalocean-tags= a , ,b",
		"digitalocean-ipv6", "digitalocean-monitoring=true", arena_fmt(&arena, "digitalocean-userdata=%s", user_data), NULL };
	static const struct fake_call calls[] = {
		{ "POST /v2/droplets", 202, "{\"droplet\":{\"id\":9007199254740993,\"networks\":{\"v4\":[]}},\"links\":{\"actions\":[{\"id\":5}]}}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "runner-1", more);
	struct err e = { 0 };

	ok(fd >= 0 && write(fd, "#cloud\n", 7) == 7, "a file of the user's");
	close(fd);
	adopt(&c, "", "42");
	is_int(make_machine(&c, soon(10), &e), CLOUD_MADE, "a droplet is made %s", e.msg);
	is_str(f.log->body[0], "{\"name\":\"runner-1\",\"region\":\"fra1\",\"size\":\"s-2vcpu-2gb\",\"image\":123,\"ssh_keys\":[42],"
	    "\"backups\":false,\"ipv6\":true,\"private_networking\":false,\"monitoring\":true,\"user_data\":\"#cloud\\n\","
	    "\"tags\":[\"a\",\"b\",\"wl-owner-0123456789abcdef\",\"wl-nonce-" NONCE "\"]}", "  what was sent");
	is_str(cloud_machine_id(&c), "9007199254740993", "  its id, all 64 bits of it");
	unlink(user_data);
	done(&f, &c, 1);
}

static void
test_create_answers(void)
{
	static const struct { const char *name; struct fake_call call; enum cloud_made made; enum err_kind kind; const char *word; } cases[] = {
		{ "answer lost", { "POST /v2/droplets", 0, NULL, NULL, LOSE }, CLOUD_UNSURE, ERR_NET, "" },
		{ "answer cut", { "POST /v2/droplets", 202, "{\"droplet\":{\"id\":1}}", NULL, CUT }, CLOUD_UNSURE, ERR_NET, "" },
		{ "answer without id", { "POST /v2/droplets", 202, "<html>", NULL, ANSWER }, CLOUD_UNSURE, ERR_PROTO, "lacks" },
		{ "500", { "POST /v2/droplets", 500, "{}", NULL, ANSWER }, CLOUD_UNSURE, ERR_SERVER, "500" },
		{ "503", { "POST /v2/droplets", 503, "{}", NULL, ANSWER }, CLOUD_UNSURE, ERR_SERVER, "503" },
		{ "507", { "POST /v2/droplets", 507, "{}", NULL, ANSWER }, CLOUD_UNSURE, ERR_SERVER, "507" },
		{ "401", { "POST /v2/droplets", 401, "{}", NULL, ANSWER }, CLOUD_NOT_MADE, ERR_AUTH, "access token" },
		{ "403", { "POST /v2/droplets", 403, "{\"message\":\"no scope\"}", NULL, ANSWER }, CLOUD_NOT_MADE, ERR_AUTH, "no scope" },
		{ "402", { "POST /v2/droplets", 402, "{\"message\":\"locked\"}", NULL, ANSWER }, CLOUD_NOT_MADE, ERR_QUOTA, "locked" },
		{ "bad image", { "POST /v2/droplets", 422, "{\"message\":\"You specified an invalid image for Droplet creation.\"}", NULL, ANSWER },
		  CLOUD_NOT_MADE, ERR_REFUSED, "invalid image" },
		{ "droplet limit", { "POST /v2/droplets", 422, "{\"message\":\"creating this/these droplet(s) will exceed your droplet limit\"}", NULL, ANSWER },
		  CLOUD_NOT_MADE, ERR_QUOTA, "droplet limit" },
		{ "sold out", { "POST /v2/droplets", 422, "{\"message\":\"Size is not available in this region.\",\"error_attributes\":"
		  "{\"available_regions\":[\"ams3\",\"lon1\"]}}", NULL, ANSWER }, CLOUD_NOT_MADE, ERR_CAPACITY, "available in ams3 lon1" },
		{ "redirect", { "POST /v2/droplets", 302, "", NULL, ANSWER }, CLOUD_NOT_MADE, ERR_PROTO, "302" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct fake_call calls[2] = { cases[i].call, { 0 } };
		struct fake_cloud f = fake_start(calls);
		struct cloud c = machine(&f, "m", NULL);
		struct err e = { 0 };

		is_int(make_machine(&c, soon(10), &e), cases[i].made, "create, %s", cases[i].name);
		is_int(e.kind, cases[i].kind, "  %s: %s", err_kind_name(e.kind), e.msg);
		ok(strstr(e.msg, cases[i].word) != NULL, "  says \"%s\"", cases[i].word);
		done(&f, &c, 1);
	}
}

/* Nobody listens: the request was not sent, so nothing was made, and it may be tried again. */
static void
test_unreachable(void)
{
	static const struct fake_call calls[] = { { 0 } };
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	kill(f.pid, SIGKILL);
	waitpid(f.pid, NULL, 0);
	is_int(make_machine(&c, soon(2), &e), CLOUD_NOT_MADE, "an API that nobody serves");
	is_int(e.kind, ERR_NET, "  passes: %s", e.msg);
	cloud_close(&c);
}

static void
test_find(void)
{
	static const struct fake_call calls[] = {
		{ LIST, 200, "{\"droplets\":[]}", NULL, ANSWER },
		{ LIST, 200, "{\"droplets\":[{\"id\":12,\"created_at\":\"2026-03-01T08:15:32Z\"," TAGGED "},"
		  "{\"id\":11,\"created_at\":\"2026-03-01T08:15:31Z\"," TAGGED "},{\"id\":1,\"created_at\":\"2020-01-01T00:00:00Z\",\"tags\":[\"web\"]}]}", NULL, ANSWER },
		{ "DELETE /v2/droplets/12", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/12", 404, "{}", NULL, ANSWER },
		{ LIST, 200, "{\"droplets\":[{\"id\":10,\"created_at\":\"2026-03-01T08:15:30Z\"," TAGGED "},"
		  "{\"id\":11,\"created_at\":\"2026-03-01T08:15:31Z\"," TAGGED "}]}", NULL, ANSWER },
		{ "DELETE /v2/droplets/10", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/10", 404, "{}", NULL, ANSWER },
		{ LIST, 200, "{\"droplets\":[{\"id\":11,\"created_at\":\"2026-03-01T08:15:31Z\"," TAGGED "}]}", NULL, ANSWER },
		{ LIST, 200, "<html>", NULL, ANSWER },	/* a proxy's page: asked again */
		{ LIST, 200, "{\"links\":{}}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	is_int(cloud_find(&c, &labels, soon(10), &e), 0, "nothing carries the nonce");
	is_int(cloud_find(&c, &labels, soon(10), &e), 2, "two do");
	is_str(cloud_machine_id(&c), "11", "  the oldest is kept, the other deleted, a stranger left alone");
	is_int(cloud_find(&c, &labels, soon(10), &e), 1, "an older one shows when one is in use");
	is_str(cloud_machine_id(&c), "11", "  the one in use stays");
	is_int(cloud_find(&c, &labels, soon(10), &e), 0, "the one in use alone is nothing new");
	is_int(cloud_find(&c, &labels, soon(10), &e), -1, "an answer that is no list");
	is_int(e.kind, ERR_PROTO, "  is not taken for an empty one");
	done(&f, &c, 10);
}

#define DROPLET(status, nets) "{\"droplet\":{\"id\":7,\"status\":\"" status "\",\"networks\":{\"v4\":[" nets "]}}}"

static void
test_address(void)
{
	static const struct fake_call calls[] = {
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },	/* not heard of yet */
		{ "GET /v2/droplets/7", 200, DROPLET("new", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("active", "{\"type\":\"private\",\"ip_address\":\"10.1.1.1\"},{\"type\":\"public\",\"ip_address\":\"192.0.2.1\"},"
		  "{\"type\":\"public\",\"ip_address\":\"192.0.2.2\"}"), NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	adopt(&c, "7", "");
	is_int(cloud_await(&c, NULL, soon(20), &e), 0, "the address comes %s", e.msg);
	is_str(c.base.ip, "192.0.2.2", "  the last public one");
	is_int(cloud_await(&c, NULL, soon(20), &e), 0, "known: nothing is asked");
	done(&f, &c, 3);
}

static void
test_lost(void)
{
	static const struct fake_call vanish[] = {
		{ "GET /v2/droplets/7", 200, DROPLET("new", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ 0 },
	}, errored[] = {
		{ "GET /v2/droplets/7", 200, DROPLET("off", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7/actions", 200, "{\"actions\":[{\"type\":\"power_off\",\"status\":\"errored\"},{\"type\":\"create\",\"status\":\"in-progress\"}]}", NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("off", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7/actions", 200, "{\"actions\":[{\"type\":\"create\",\"status\":\"errored\"}]}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(vanish);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	adopt(&c, "7", "");
	is_int(cloud_await(&c, NULL, soon(20), &e), -1, "a droplet that vanishes");
	is_int(e.kind, ERR_NOTFOUND, "  is not waited for: %s", e.msg);
	is_int(cloud_lost(&c, NULL, soon(20), &e), 1, "  while SSH is awaited neither");
	done(&f, &c, 3);
	f = fake_start(errored);
	c = machine(&f, "m", NULL);
	adopt(&c, "7", "");
	is_int(cloud_await(&c, NULL, soon(20), &e), -1, "a create action that ends in an error");
	ok(e.kind == ERR_NOTFOUND && strstr(e.msg, "ended in an error") != NULL, "  is told: %s", e.msg);
	done(&f, &c, 4);
}

static void
test_destroy(void)
{
	static const struct fake_call simple[] = {
		{ "DELETE /v2/droplets/7", 503, "{}", NULL, ANSWER },
		{ "DELETE /v2/droplets/7", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("active", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/account/keys/42", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/tags/wl-nonce-" NONCE, 403, "{}", NULL, ANSWER },	/* not worth a failure */
		{ 0 },
	}, hard[] = {
		{ "DELETE /v2/droplets/7", 422, "{\"message\":\"Droplet already has a pending event.\"}", NULL, ANSWER },
		{ "DELETE /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("active", ""), NULL, ANSWER },	/* so that 404 was not true */
		{ "DELETE /v2/droplets/7", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ LIST, 200, "{\"droplets\":[{\"id\":8," TAGGED "},{\"id\":9,\"tags\":[]}]}", NULL, ANSWER },
		{ "DELETE /v2/droplets/8", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/8", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/account/keys/8c:7e:53:f5:6f:ca:bd:48:6a:2a:83:d5:82:5e:d1:41", 204, NULL, NULL, ANSWER },
		{ 0 },
	}, refused[] = {
		{ "DELETE /v2/droplets/7", 403, "{\"message\":\"no scope\"}", NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(simple);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };

	adopt(&c, "7", "42");
	is_int(cloud_drop_all(&c, &labels, PUB, false, soon(20), &e), 0, "droplet first, until it is gone, then the key and the tag %s", e.msg);
	done(&f, &c, 6);
	f = fake_start(hard);
	c = machine(&f, "m", NULL);
	adopt(&c, "7", "");
	is_int(cloud_drop_all(&c, &labels, PUB, true, soon(30), &e), 0, "a cloud that resists %s", e.msg);
	done(&f, &c, 9);
	f = fake_start(refused);
	c = machine(&f, "m", NULL);
	adopt(&c, "7", "42");
	is_int(cloud_drop_all(&c, &labels, PUB, false, soon(20), &e), -1, "a token that may not delete");
	is_int(e.kind, ERR_AUTH, "  leaves the rest alone: %s", e.msg);
	done(&f, &c, 1);
}

/* Made by docker-machine, without an id: only a name that nobody else can have is deleted by name. */
static void
test_adopted(void)
{
	static const struct cloud_labels none = { "", "" };
	static const struct fake_call named[] = {
		{ "GET /v2/droplets?name=runner-abcdefghi-auto-1772445600-9f3a01bc&per_page=200&page=1", 200,
		  "{\"droplets\":[{\"id\":8,\"name\":\"runner-abcdefghi-auto-1772445600-9f3a01bc\"},{\"id\":9,\"name\":\"RUNNER-abcdefghi-auto-1772445600-9f3a01bc\"}]}", NULL, ANSWER },
		{ "DELETE /v2/droplets/8", 204, NULL, NULL, ANSWER },
		{ "GET /v2/droplets/8", 404, "{}", NULL, ANSWER },
		{ "DELETE /v2/account/keys/42", 204, NULL, NULL, ANSWER },
		{ 0 },
	}, nothing[] = { { 0 } };
	struct fake_cloud f = fake_start(named);
	struct cloud c = machine(&f, "runner-abcdefghi-auto-1772445600-9f3a01bc", NULL);
	struct err e = { 0 };

	adopt(&c, "", "42");
	is_int(cloud_drop_all(&c, &none, "", false, soon(20), &e), 0, "a runner's machine without an id is found by name %s", e.msg);
	done(&f, &c, 4);
	f = fake_start(nothing);
	c = machine(&f, "default", NULL);
	is_int(cloud_drop_all(&c, &none, "", false, soon(20), &e), -1, "one called default is not");
	ok(strstr(e.msg, "may be somebody else's") != NULL, "  and that is said");
	done(&f, &c, 0);
}

static void
test_state_and_power(void)
{
	static const struct fake_call calls[] = {
		{ "GET /v2/droplets/7", 200, DROPLET("new", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("active", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("off", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("archive", ""), NULL, ANSWER },
		{ "GET /v2/droplets/7", 404, "{}", NULL, ANSWER },
		{ "POST /v2/droplets/7/actions", 201, "{}", NULL, ANSWER },
		{ "POST /v2/droplets/7/actions", 422, "{\"message\":\"Droplet already has a pending event.\"}", NULL, ANSWER },
		{ 0 },
	};
	static const enum cloud_state want[] = { STATE_STARTING, STATE_RUNNING, STATE_STOPPED, STATE_NONE };
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };
	enum cloud_state s;

	adopt(&c, "7", "");
	for (size_t i = 0; i < NELEM(want); i++) {
		is_int(cloud_state(&c, &s, soon(10), &e), 0, "a state");
		is_int(s, want[i], "  is \"%s\"", cloud_state_name(want[i]));
	}
	is_int(cloud_state(&c, &s, soon(10), &e), -1, "a droplet that is not there");
	is_int(e.kind, ERR_NOTFOUND, "  is typed so");
	is_int(c.driver->power(&c, POWER_STOP, soon(10), &e), 0, "stop");
	is_str(f.log->body[5], "{\"type\":\"shutdown\"}", "  is a shutdown");
	is_int(c.driver->power(&c, POWER_START, soon(10), &e), -1, "a droplet that is busy");
	is_int(e.kind, ERR_CONFLICT, "  is typed so");
	done(&f, &c, 7);
}

/* Times of the 429 rules (spec 0.5 patch 1, 1.5), side by side while the other tests run. */
struct pause_case {
	const char	*name;
	const char	*headers;
	bool		 status_read;
	double		 least, most;	/* seconds between the 429 and the next call */
};
static const struct pause_case pauses[] = {
	{ "reset in 7 s", "RateLimit-Reset: %RESET+7%\r\n", false, 7, 12 },
	{ "no header", NULL, false, 5, 10 },
	{ "status read, no header", NULL, true, 1, 3 },
	{ "status read, reset in 3 s", "RateLimit-Reset: %RESET+3%\r\n", true, 3, 5 },
	{ "Retry-After 6 beats the reset", "Retry-After: 6\r\nRateLimit-Reset: %RESET+300%\r\nRateLimit-Remaining: 0\r\n", false, 6, 11 },
	{ "Retry-After 2, status read", "Retry-After: 2\r\n", true, 2, 4 },
	{ "a reset that is over", "RateLimit-Reset: 1\r\n", true, 1, 3 },
	{ "nonsense", "RateLimit-Reset: soon\r\nRetry-After: -5\r\n", true, 1, 3 },
};

static void
pause_one(const struct pause_case *p)
{
	struct fake_call calls[] = {
		{ p->status_read ? "GET /v2/droplets/7" : "POST /v2/droplets", 429, "{\"id\":\"too_many_requests\"}", p->headers, ANSWER },
		{ p->status_read ? "GET /v2/droplets/7" : "POST /v2/droplets", p->status_read ? 200 : 202,
		  DROPLET("active", ""), NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };
	enum cloud_state s;
	double took;
	int rc;

	adopt(&c, p->status_read ? "7" : "", "42");
	rc = p->status_read ? cloud_state(&c, &s, soon(60), &e) : (int)make_machine(&c, soon(60), &e);
	took = f.log->n == 2 ? (double)mono_between(f.log->at[0], f.log->at[1]) / 1e9 : -1;
	if (rc != 0 || f.log->wrong[0] != '\0' || took < p->least || took >= p->most + 0.3) {
		printf("# %s: rc %d, %.2f s, %s %s\n", p->name, rc, took, f.log->wrong, e.msg);
		fflush(stdout);
		rc = 1;
	}
	fake_stop(&f);
	fflush(stdout);
	_exit(rc != 0);
}

static pid_t pause_pid[NELEM(pauses)];

static void
start_pauses(void)
{
	fflush(stdout);
	for (size_t i = 0; i < NELEM(pauses); i++) {
		pause_pid[i] = fork();
		if (pause_pid[i] == 0)
			pause_one(&pauses[i]);
	}
}

static void
test_pauses(void)
{
	int status;

	for (size_t i = 0; i < NELEM(pauses); i++) {
		waitpid(pause_pid[i], &status, 0);
		ok(status == 0, "429, %s: %g to %g s", pauses[i].name, pauses[i].least, pauses[i].most);
	}
}

static void
test_impatient(void)
{
	static const struct fake_call calls[] = {
		{ "POST /v2/droplets", 429, "{}", "Retry-After: 100\r\n", ANSWER },
		{ "GET /v2/droplets/7", 500, "{}", NULL, ANSWER },
		{ "GET /v2/droplets/7", 200, DROPLET("active", ""), NULL, ANSWER },
		{ 0 },
	};
	struct fake_cloud f = fake_start(calls);
	struct cloud c = machine(&f, "m", NULL);
	struct err e = { 0 };
	mono_t began = mono_now();
	enum cloud_state s;

	is_int(make_machine(&c, soon(20), &e), CLOUD_NOT_MADE, "a 429 that ends behind the deadline");
	ok(mono_since(began) < 2 * NSEC_SEC, "  is not waited for");
	is_int(e.kind, ERR_QUOTA, "  it is a matter of quota: %s", e.msg);
	adopt(&c, "7", "");
	is_int(cloud_state(&c, &s, soon(20), &e), 0, "a status read that fails once is repeated");
	done(&f, &c, 3);
}

static void
test_secret(void)
{
	struct secret out, file;
	struct err e = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/tmp/wl-do-test.%ld", (long)getpid());
	file = SECRET(arena_fmt(&arena, "file:%s", path));
	fs_write_fast(AT_FDCWD, path, STR(" tok\n"), 0600, &e);
	is_int(cloud_secret(&arena, file, "token", &out, &e), 0, "a token in a file");
	is_str(secret_reveal(out), "tok", "  without its line end");
	unlink(path);
	is_int(cloud_secret(&arena, file, "token", &out, &e), -1, "no file");
	is_int(e.kind, ERR_CONFIG, "  is a mistake: %s", e.msg);
	setenv("WL_TEST_TOKEN", "tik", 1);
	is_int(cloud_secret(&arena, SECRET("env:WL_TEST_TOKEN"), "token", &out, &e), 0,
	    "a token in the environment");
	is_str(secret_reveal(out), "tik", "  is read");
	is_int(cloud_secret(&arena, SECRET("env:WL_TEST_NOTHING"), "token", &out, &e), -1, "not set");
	ok(strstr(e.msg, "WL_TEST_NOTHING") != NULL, "  names the variable");
}

int
main(void)
{
	log_setup(LOG_ERROR, LOG_RUNNER);
	unsetenv("DIGITALOCEAN_API_URL");
	unsetenv("DIGITALOCEAN_API_CA_FILE");
	start_pauses();
	test_regions();
	test_key();
	test_own_key();
	test_create();
	test_create_answers();
	test_unreachable();
	test_find();
	test_list();
	test_address();
	test_lost();
	test_destroy();
	test_adopted();
	test_state_and_power();
	test_impatient();
	test_secret();
	test_pauses();
	arena_reset(&arena);
	return done_testing();
}
