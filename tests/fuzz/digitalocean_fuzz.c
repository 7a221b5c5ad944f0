/*
 * DigitalOcean's answers through the driver. The first line names the calls, a letter each (struct act below); each further line is the answer to one
 * request: a letter for its status, one for a header field with its value up to a tab, and the body. Without a line left
 * the manager cancels. Time passes by itself. Whatever is said: nothing is deleted that was not shown to be ours, no machine is asked
 * for twice, an address is one, and texts for people are printable.
 */
#include "cloud/digitalocean/digitalocean.h"
#include "cloud/life.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/rand.h"
#include "net/dial.h"
#include "net/http.h"
#include "policy/retry.h"
#include "wire/ip.h"

static mono_t the_time;
static int asked(const struct http_req *q, struct http_resp *r, struct err *e);

#define mono_now()			the_time
#define mono_after(ns)			mono_add(the_time, ns)
#define mono_passed(deadline)		(!mono_is_never(deadline) && !mono_before(the_time, deadline))
#define net_pause(ns, e)		(the_time = mono_add(the_time, ns), 0)
#define http_do(h, q, r, deadline, e)	asked(q, r, e)

/* Both with a cloud and a clock of our own; the driver's files call these. */
#include "net/rest.c"	/* NOLINT(bugprone-suspicious-include) */
#include "cloud/life.c"	/* NOLINT(bugprone-suspicious-include) */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWNER	"0123456789abcdef"
#define NONCE	"00112233445566778899aabbccddeeff"
#define PUB	"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLeDZHQwW85y3/F2A0qv83xpw3PMASro5A8LHjK6nMRV7bTYOx81qA4Y8S0cVGOoZUSxwY0U4c6Z0pGgRZ5v4pM="
#define NAME	"runner-abc-1772352930-00ff00ff"
#define OURS_MAX	512

enum { KEY, MACHINE };	/* rows of the driver's kinds */

static const struct cloud_labels labels = { OWNER, NONCE };
static struct str answers;
static int64_t ours[OURS_MAX];		/* ids that the cloud has shown with our mark */
static size_t nours;
static int creates;			/* that may have been received */

static bool
has_tag(struct json_val droplet, const char *tag)
{
	struct arena a = { 0 };
	bool has = false;

	JSON_EACH(v, json_get(droplet, "tags"))
		has = has || str_eqc(json_str(&a, v), tag);
	arena_reset(&a);
	return has;
}

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
check_said(void *ctx, const char *text)
{
	(void)ctx;
	check_text(text);
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
	struct cloud_things things;
	int rc = cloud_list_all(c, &(struct cloud_query){ .owner = OWNER }, &things, deadline, e);

	for (size_t i = 0; i < things.n && rc == 0; i++) {
		assert(things.v[i].kind == KEY || is_ours(str_from(things.v[i].id)));
		check_text(things.v[i].name);
		rc = cloud_discard(c, &things.v[i], deadline, e);
	}
	return rc;
}

static int
see_strangers(struct cloud *c, mono_t deadline, struct err *e)
{
	struct cloud_things others;
	int rc = cloud_list_all(c, &(struct cloud_query){ .owner = OWNER, .prefix = "runner-abc-" }, &others, deadline, e);

	for (size_t i = 0; i < others.n && rc == 0; i++) {
		check_text(others.v[i].name);
		check_text(others.v[i].nonce);
	}
	return rc;
}

static int
make(struct cloud *c, size_t kind, mono_t deadline, struct err *e)
{
	struct cloud_order o = { .labels = labels, .pub_line = PUB, .step = "" };

	if (kind == KEY && cloud_id(c, KEY)[0] != '\0')
		return 0;
	return cloud_open(c, e) == 0 && c->driver->kinds[kind]->make(c, &o, deadline, e) == CLOUD_MADE ? 0 : -1;
}

static int
act(struct cloud *c, char what, mono_t deadline, struct err *e)
{
	struct prober p = { .c = c, .say = check_finding, .deadline = deadline };
	enum cloud_state state;

	switch (what) {
	case 'r': return cloud_precreate(c, deadline, e);
	case 'P': return c->driver->probe(&p, e);
	case 'k': return make(c, KEY, deadline, e);
	case 'c':
		creates = 0;
		return make(c, MACHINE, deadline, e);
	case 'f': return cloud_find(c, &labels, deadline, e);
	case 'a': return cloud_await(c, NULL, deadline, e);
	case 'l': return cloud_lost(c, NULL, deadline, e) == 0 ? 0 : -1;
	case 's': return cloud_state(c, &state, deadline, e);
	case 'p': return do_power(c, POWER_STOP, deadline, e);
	case 'd': return cloud_drop_all(c, &labels, PUB, true, deadline, e);
	case 'D': return cloud_drop_all(c, &labels, "", false, deadline, e);
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
	the_time = (mono_t){ NSEC_SEC };
	nours = 0;
	answers = in;
	cloud_init(&c, &a, &cloud_digitalocean, "/nonexistent", NAME);
	c.ears.say = check_said;
	*do_own(&c) = (struct droplet){ .token = SECRET("dop_v1_secret"), .image = "ubuntu-24-04-x64", .region = "fra1", .size = "s-1vcpu-1gb",
		.endpoint = "http://127.0.0.1:9" };
	for (size_t i = 0; i < acts.n; i++) {
		struct err e = { 0 };

		if (act(&c, acts.p[i], mono_after(300 * NSEC_SEC), &e) < 0) {
			assert(e.kind != ERR_NONE && e.msg[0] != '\0');
			check_text(e.msg);
		}
		check_state(&c);
	}
	cloud_close(&c);
	arena_reset(&a);
	return 0;
}
