/*
 * DigitalOcean's answers through the driver. The first line names the calls, a letter each (struct act below); each further line is the answer to one
 * request: a letter for its status, one for a header field with its value up to a tab, and the body. Without a line left
 * the manager cancels. Time passes by itself. Whatever is said: nothing is deleted that was not shown to be ours, no machine is asked
 * for twice, an address is one, and texts for people are printable.
 */
#include "cloud/driver.h"
#include "core/log.h"
#include "net/dial.h"
#include "net/http.h"
#include "wire/ip.h"

static mono_t clock_now;
static int asked(const struct http_req *q, struct http_resp *r, struct err *e);

#define mono_now()			clock_now
#define mono_after(ns)			mono_add(clock_now, ns)
#define mono_passed(deadline)		(!mono_before(clock_now, deadline))
#define net_pause(ns, e)		(clock_now = mono_add(clock_now, ns), 0)
#define http_do(h, q, r, deadline, e)	asked(q, r, e)

#include "cloud/digitalocean.c"	/* NOLINT(bugprone-suspicious-include): with a cloud and a clock of our own */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWNER	"0123456789abcdef"
#define NONCE	"00112233445566778899aabbccddeeff"
#define PUB	"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLeDZHQwW85y3/F2A0qv83xpw3PMASro5A8LHjK6nMRV7bTYOx81qA4Y8S0cVGOoZUSxwY0U4c6Z0pGgRZ5v4pM="
#define NAME	"runner-abc-1772352930-00ff00ff"
#define OURS_MAX	512

static const struct cloud_labels labels = { OWNER, NONCE };
static struct str answers;
static int64_t ours[OURS_MAX];		/* ids that the cloud has shown with our mark */
static size_t nours;
static int creates;			/* that may have been received */

static void
note_ours(const char *target, struct str body)
{
	struct arena a = { 0 };
	struct json_val root;

	if (json_parse(&a, body, &root, NULL) == 0) {
		if (strcmp(target, "/v2/droplets") == 0 && nours < OURS_MAX)
			ours[nours++] = json_i64(json_path(root, "droplet.id"), 0);
		JSON_EACH(v, json_get(root, "droplets"))
			if (nours < OURS_MAX && (has_tag(v, "wl-nonce-" NONCE) || has_tag(v, "wl-owner-" OWNER)))
				ours[nours++] = json_i64(json_get(v, "id"), 0);
	}
	arena_reset(&a);
}

static bool
is_ours(struct str id)
{
	int64_t n;

	assert(str_to_i64(id, &n) == 0 && n > 0);
	for (size_t i = 0; i < nours; i++)
		if (ours[i] == n)
			return true;
	return false;
}

static void
check_request(const struct http_req *q)
{
	struct str id = q->target;

	for (size_t i = 0; i < q->target.n; i++)
		assert(q->target.p[i] > ' ' && q->target.p[i] <= '~');
	if (strcmp(q->method, "DELETE") == 0 && str_starts(id, "/v2/droplets/"))
		assert(is_ours(str_sub(id, 13, id.n)));
	if (str_starts(id, "/v2/tags/"))
		assert(str_starts(id, "/v2/tags/wl-nonce-") && str_chr(str_sub(id, 9, id.n), '/') < 0);
}

static int
asked(const struct http_req *q, struct http_resp *r, struct err *e)
{
	static const char letters[] = "210432975689cg", field_letters[] = "rtmd";
	static const int statuses[] = { 200, 201, 204, 404, 422, 302, 429, 500, 503, 401, 403, 429, 409, 599 };
	static const char *const fields_[] = { "Retry-After", "RateLimit-Reset", "RateLimit-Remaining", "Date" };
	bool create = strcmp(q->method, "POST") == 0 && str_eqc(q->target, "/v2/droplets");
	struct str body = str_cut(&answers, '\n'), value;
	const char *at;

	check_request(q);
	if (body.n < 2 || body.p[0] == '\0')
		return err_set(e, ERR_CANCELLED, 0, "cancelled by the manager");
	r->sent = body.p[0] != 'x';
	at = strchr(letters, body.p[0]);
	creates += create && r->sent && (at == NULL || statuses[at - letters] != 429);
	assert(creates <= 1);
	if (at == NULL)
		return err_set(e, ERR_NET, 0, "no answer");
	r->head.status = statuses[at - letters];
	at = body.p[1] != '\0' ? strchr(field_letters, body.p[1]) : NULL;
	body = str_sub(body, 2, body.n);
	if (at != NULL && str_chr(body, '\t') >= 0) {
		value = str_cut(&body, '\t');
		r->head.field[0] = (struct http_field){ str_from(fields_[at - field_letters]), value };
		r->head.field[1] = (struct http_field){ STR("RateLimit-Limit"), STR("5000") };
		r->head.nfield = 2;
	}
	buf_putstr(&r->body, body);
	if (create ? r->head.status >= 200 && r->head.status < 300 : strcmp(q->method, "GET") == 0)
		note_ours(create ? "/v2/droplets" : "", body);
	return 0;
}

static void
check_text(const char *s)
{
	for (; *s != '\0'; s++)
		assert(*s >= ' ' && *s <= '~');
}

static void
check_finding(void *ctx, enum cloud_found how, const char *option, const char *text)
{
	(void)ctx;
	(void)how;
	(void)option;
	check_text(text);
}

/* All that the list has is ours, or else it would be thrown away too. */
static int
discard_all(struct cloud *c, mono_t deadline, struct err *e)
{
	struct cloud_thing *things;
	size_t n;
	int rc = do_list(c, OWNER, &things, &n, deadline, e);

	for (size_t i = 0; i < n && rc == 0; i++) {
		assert(things[i].key || is_ours(str_from(things[i].id)));
		check_text(things[i].name);
		rc = do_discard(c, &things[i], deadline, e);
	}
	return rc;
}

static int
see_strangers(struct cloud *c, mono_t deadline, struct err *e)
{
	struct cloud_things others = { 0 };
	int rc = do_strangers(c, OWNER, "runner-abc-", &others, deadline, e);

	for (size_t i = 0; i < others.n; i++) {
		check_text(others.v[i].name);
		check_text(others.v[i].nonce);
	}
	return rc;
}

static int
act(struct cloud *c, char what, mono_t deadline, struct err *e)
{
	enum cloud_state state;

	switch (what) {
	case 'r': return do_precreate(c, deadline, e);
	case 'P': return do_probe(c, check_finding, NULL, deadline, e);
	case 'k': return do_key(c, &labels, PUB, deadline, e);
	case 'c':
		creates = 0;
		return do_create(c, &labels, deadline, e) == CLOUD_MADE ? 0 : -1;
	case 'f': return do_find(c, &labels, deadline, e);
	case 'a': return do_address(c, deadline, e);
	case 'l': return do_lost(c, deadline, e) == 0 ? 0 : -1;
	case 's': return do_state(c, &state, deadline, e);
	case 'p': return do_power(c, POWER_STOP, deadline, e);
	case 'd': return do_destroy(c, &labels, PUB, true, deadline, e);
	case 'D': return do_destroy(c, &labels, "", false, deadline, e);
	case 'x': return discard_all(c, deadline, e);
	case 'S': return see_strangers(c, deadline, e);
	default: return 0;
	}
}

static void
check_state(const struct cloud *c)
{
	struct ip ip;

	assert(c->base.ip[0] == '\0' || ip_parse(str_from(c->base.ip), &ip) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), acts = str_cut(&in, '\n');
	struct arena a = { 0 };
	struct cloud c;

	if (acts.n > 8)
		return 0;
	log_setup(LOG_FATAL, LOG_RUNNER);
	cloud_say = check_text;
	clock_now = (mono_t){ NSEC_SEC };
	nours = 0;
	answers = in;
	cloud_init(&c, &a, &cloud_digitalocean, "/nonexistent", NAME);
	*own(&c) = (struct droplet){ .token = SECRET("dop_v1_secret"), .image = "ubuntu-24-04-x64", .region = "fra1",
		.size = "s-1vcpu-1gb", .endpoint = "http://127.0.0.1:9" };
	for (size_t i = 0; i < acts.n; i++) {
		struct err e = { 0 };

		if (act(&c, acts.p[i], mono_add(clock_now, 300 * NSEC_SEC), &e) < 0) {
			assert(e.kind != ERR_NONE && e.msg[0] != '\0');
			check_text(e.msg);
		}
		check_state(&c);
	}
	cloud_close(&c);
	arena_reset(&a);
	return 0;
}
