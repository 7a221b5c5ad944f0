/*
 * A cloud that nobody sells, of three kinds of things (keys, disks, machines): in test builds alone. Its API
 * stands in tests/rig/clouds/sample.py. What every cloud needs is not here: see cloud/life.h and net/rest.h.
 */
#include "cloud/life.h"
#include "cloud/token.h"
#include "net/rest.h"
#include "wire/ip.h"

struct sample {
	struct secret	 token;
	const char	*type, *zone, *image;	/* type and zone: lists, the best first */
	const char	*endpoint, *ca_file;
	const char	*key, *disk, *machine;	/* ids */
	int64_t		 disk_size;
	bool		 spot;
};

static const struct field fields[] = {
	FIELD(struct sample, STR, "Token", token),
	FIELD(struct sample, STR, "Type", type),
	FIELD(struct sample, STR, "Zone", zone),
	FIELD(struct sample, STR, "Image", image),
	FIELD(struct sample, INT, "DiskSize", disk_size),
	FIELD(struct sample, BOOL, "Spot", spot),
	FIELD(struct sample, STR, "APIEndpoint", endpoint),
	FIELD(struct sample, STR, "APICAFile", ca_file),
	FIELD(struct sample, STR, "KeyID", key),
	FIELD(struct sample, STR, "DiskID", disk),
	FIELD(struct sample, STR, "MachineID", machine),
};

static struct sample *
own(const struct cloud *c)
{
	return c->own;
}

static const char *
word(const char *s)
{
	return s != NULL ? s : "";
}

/* The i-th of a list of words separated by commas; nothing behind the last. */
static struct str
nth(const char *list, size_t i)
{
	struct str rest = str_from(word(list)), item = STR_NULL;

	for (size_t k = 0; k <= i; k++)
		item = rest.p != NULL ? str_trim(str_cut(&rest, ',')) : STR_NULL;
	return item;
}

/* The API */

static int
refused(const struct rest_request *q, const struct rest_answer *a, struct err *e)
{
	static const struct { const char *code; enum err_kind kind; } codes[] = {
		{ "bad_request", ERR_REFUSED }, { "unauthorized", ERR_AUTH }, { "quota", ERR_QUOTA }, { "not_found", ERR_NOTFOUND },
		{ "bad_method", ERR_REFUSED }, { "no_capacity", ERR_CAPACITY }, { "busy", ERR_CONFLICT }, { "invalid", ERR_REFUSED },
	};
	struct arena s = { 0 };
	struct str code = json_str(&s, json_path(a->json, "error.code"));
	struct buf text = { .max = 300 };
	enum err_kind kind = a->status >= 500 ? ERR_SERVER : ERR_PROTO;

	for (size_t i = 0; i < NELEM(codes); i++)
		if (str_eqc(code, codes[i].code))
			kind = codes[i].kind;
	buf_put_quoted(&text, json_str(&s, json_path(a->json, "error.message")), 200);
	err_set(e, kind, a->status, "sample: %s %s: HTTP status %d: %s", q->method, q->target, a->status, text.n > 0 ? text.p : "no reason");
	buf_free(&text);
	arena_reset(&s);
	return -1;
}

#define TOKENS	"/v1/tokens"

/* The one call that carries the account's own token. */
static int
ask_token(struct cloud *c, struct arena *a, struct secret *text, wall_t *good_until, mono_t deadline, struct err *e)
{
	struct rest_request q = { .kind = REST_SAFE, .method = "POST", .target = TOKENS };
	struct rest_answer got;
	int status = rest_call(c->rest, &q, &got, deadline, e);
	int64_t seconds;

	if (status < 0)
		return -1;
	if (status != 201)
		return refused(&q, &got, e);
	*text = SECRET(arena_dup(a, json_str(a, json_path(got.json, "token.text"))));
	seconds = json_i64(json_path(got.json, "token.seconds"), 0);
	*good_until = wall_add(wall_now(), seconds > 0 && seconds < 86400 ? seconds * NSEC_SEC : 0);
	return 0;
}

static int
put_token(void *ctx, const struct rest_request *q, bool again, struct buf *head, mono_t deadline, struct err *e)
{
	struct cloud *c = ctx;
	struct cloud_token *t = c->session;
	struct secret token = t->credential;

	if (strcmp(q->target, TOKENS) != 0 && cloud_token_get(c, t, again, deadline, &token, e) < 0)
		return -1;
	rest_put_bearer(head, token);
	return 0;
}

static int
open_api(struct cloud *c, struct err *e)
{
	struct cloud_token *t = arena_calloc(c->a, 1, sizeof(*t));
	struct rest_opts o = { .name = c->driver_name, .origins = &own(c)->endpoint, .norigins = 1, .ca_file = own(c)->ca_file,
		.ca_option = "sample-api-ca-file", .auth = put_token, .renews = true, .ctx = c,
		.throttled = cloud_rest_throttled };

	t->ask = ask_token;
	if (cloud_secret(c->a, own(c)->token, "sample-token", &t->credential, e) < 0)
		return -1;
	c->rest = rest_new(&o, e);
	c->session = c->rest != NULL ? t : NULL;
	return c->rest != NULL ? 0 : -1;
}

static void
close_api(struct cloud *c)
{
	if (c->session != NULL)
		cloud_token_end(c->session);
	rest_free(c->rest);
	c->rest = NULL;
	c->session = NULL;
}

/* One thing asked for, made or deleted: its status, or -1. */
static int
ask(struct cloud *c, const struct rest_request *q, struct rest_answer *a, mono_t deadline, struct err *e)
{
	int status = rest_call(c->rest, q, a, deadline, e);

	return status < 0 || (status >= 200 && status < 300) ? status : refused(q, a, e);
}

/* An id is a part of paths: nothing but what the API says ids are made of. In the driver's arena; "" for another. */
static const char *
id_of(struct cloud *c, struct json_val v)
{
	struct str s = json_str(c->a, v);

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > 'z' || strchr("/?#%&\\", s.p[i]) != NULL)
			return "";
	return s.n <= 100 ? arena_dup(c->a, s) : "";
}

/* Making */

static void
put_labels(struct json_w *w, const struct cloud_labels *l)
{
	jw_object(w, "labels");
	if (l->owner[0] != '\0')
		jw_cstr(w, "owner", l->owner);
	if (l->nonce[0] != '\0')
		jw_cstr(w, "nonce", l->nonce);
	jw_end_object(w);
}

/* Sends a body whose object is still open; the member of the answer holds the new id. */
static enum cloud_made
make(struct cloud *c, const char *what, struct json_w *w, const char **id, mono_t deadline, struct err *e)
{
	char target[32], path[32];
	struct rest_request q = { .kind = REST_ONCE, .method = "POST", .target = target };
	struct rest_answer a;
	int status;

	jw_end_object(w);
	snprintf(target, sizeof(target), "/v1/%ss", what);
	snprintf(path, sizeof(path), "%s.id", what);
	q.body = buf_str(w->b);
	status = ask(c, &q, &a, deadline, e);
	if (status < 0)
		return a.sent || e->kind == ERR_SERVER ? CLOUD_UNSURE : CLOUD_NOT_MADE;
	*id = id_of(c, json_path(a.json, path));
	if ((*id)[0] != '\0')
		return CLOUD_MADE;
	err_set(e, ERR_PROTO, 0, "sample: POST %s: the answer has no id", target);
	return CLOUD_UNSURE;
}

static void
begin(const struct cloud *c, const struct cloud_order *o, struct json_w *w)
{
	jw_object(w, NULL);
	jw_cstr(w, "name", c->base.name);
	put_labels(w, &o->labels);
}

static enum cloud_made
make_key(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	enum cloud_made made;

	begin(c, o, &w);
	jw_str(&w, "public_key", str_trim(str_from(o->pub_line)));
	made = make(c, "key", &w, &own(c)->key, deadline, e);
	buf_free(&b);
	return made;
}

static enum cloud_made
make_disk(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	enum cloud_made made;

	begin(c, o, &w);
	jw_i64(&w, "size", own(c)->disk_size);
	made = make(c, "disk", &w, &own(c)->disk, deadline, e);
	buf_free(&b);
	return made;
}

static enum cloud_made
make_machine(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	enum cloud_made made;

	cloud_note_region(c, o->rung->zone);
	begin(c, o, &w);
	jw_cstr(&w, "type", o->rung->size);
	jw_cstr(&w, "zone", o->rung->zone);
	jw_bool(&w, "spot", o->rung->spot);
	jw_cstr(&w, "image", word(own(c)->image));
	jw_cstr(&w, "key", word(own(c)->key));
	jw_cstr(&w, "disk", word(own(c)->disk));
	made = make(c, "machine", &w, &own(c)->machine, deadline, e);
	buf_free(&b);
	return made;
}

/* Looking, listing, dropping */

static void
see(struct cloud *c, struct json_val v, struct cloud_sight *s)
{
	static const struct { const char *word; enum cloud_state state; } states[] = {
		{ "pending", STATE_STARTING }, { "running", STATE_RUNNING }, { "stopped", STATE_STOPPED }, { "failed", STATE_ERROR },
		{ "deleting", STATE_STOPPING },
	};
	static const struct { const char *word; enum cloud_why why; } reasons[] = {
		{ "preempted", WHY_PREEMPTED }, { "capacity", WHY_CAPACITY }, { "broken", WHY_BROKEN }, { "by_hand", WHY_STOPPED_BY_HAND },
	};
	struct str address = json_str(c->a, json_get(v, "address"));
	struct ip ip;

	s->words = s->address = "";
	for (size_t i = 0; i < NELEM(states); i++)
		if (str_eqc(json_str(c->a, json_get(v, "state")), states[i].word))
			s->state = states[i].state;
	for (size_t i = 0; i < NELEM(reasons); i++)
		if (str_eqc(json_str(c->a, json_get(v, "reason")), reasons[i].word)) {
			s->why = reasons[i].why;
			s->words = reasons[i].word;
		}
	if (ip_parse(address, &ip) == 0)
		s->address = arena_dup(c->a, address);
}

static int
sight(struct cloud *c, const char *what, const char *id, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	char target[160];
	struct rest_request q = { .kind = REST_STATUS, .method = "GET", .target = target };
	struct rest_answer a;

	snprintf(target, sizeof(target), "/v1/%ss/%s", what, id);
	if (ask(c, &q, &a, deadline, e) < 0)
		return a.status == 404 ? 0 : -1;
	see(c, json_get(a.json, what), s);
	return 1;
}

static int
drop(struct cloud *c, const char *what, const char *id, mono_t deadline, struct err *e)
{
	char target[160];
	struct rest_request q = { .kind = REST_SAFE, .method = "DELETE", .target = target };
	struct rest_answer a;

	snprintf(target, sizeof(target), "/v1/%ss/%s", what, id);
	if (ask(c, &q, &a, deadline, e) < 0)
		return a.status == 404 ? 1 : -1;
	return 0;
}

struct gather {
	struct cloud			*c;
	const struct cloud_query	*q;
	struct cloud_things		*out;
	const char			*list;		/* "/v1/disks?limit=100&owner=..." */
	char				 member[16];	/* "disks" */
};

/* What the server says is checked again: what comes of it may be deleted. */
static void
gather(const struct gather *g, struct json_val v)
{
	struct cloud *c = g->c;
	const struct cloud_query *q = g->q;
	const char *owner = json_cstr(c->a, json_path(v, "labels.owner"));
	struct str name = json_str(c->a, json_get(v, "name"));
	struct cloud_thing t = { .id = id_of(c, json_get(v, "id")), .name = arena_dup(c->a, name),
		.nonce = json_cstr(c->a, json_path(v, "labels.nonce")), .created = { json_i64(json_get(v, "created"), 0) * NSEC_MSEC } };

	if (t.id[0] == '\0')
		return;
	if (q->prefix != NULL) {
		if (!str_starts(name, q->prefix) || owner[0] == '\0' || strcmp(owner, q->owner) == 0)
			return;
		t.nonce = owner;
	} else if (word(q->owner)[0] != '\0' ? strcmp(owner, q->owner) != 0 : strcmp(t.nonce, word(q->nonce)) != 0)
		return;
	see(c, v, &t.sight);
	cloud_things_add(c, g->out, &t);
}

static int
take_page(void *ctx, const struct rest_answer *a, struct err *e)
{
	const struct gather *g = ctx;

	if (json_type(json_get(a->json, g->member)) != JSON_ARRAY)
		return err_set(e, ERR_PROTO, 0, "sample: GET %s: the answer lacks what it should hold", g->list);
	JSON_EACH(v, json_get(a->json, g->member))
		gather(g, v);
	return 0;
}

static bool
next_page(void *ctx, const struct rest_answer *a, unsigned page, struct buf *target)
{
	const struct gather *g = ctx;
	const char *next = id_of(g->c, json_get(a->json, "next"));

	(void)page;
	if (next[0] == '\0')
		return false;
	buf_fmt(target, "%s&page=%s", g->list, next);
	return true;
}

static int
refused_page(void *ctx, const struct rest_request *q, const struct rest_answer *a, struct err *e)
{
	(void)ctx;
	return refused(q, a, e);
}

static int
list_by(struct gather *g, const char *zone, mono_t deadline, struct err *e)
{
	struct rest_pages p = { .take = take_page, .next = next_page, .refused = refused_page, .ctx = g };
	const struct cloud_query *q = g->q;
	bool owner = word(q->owner)[0] != '\0';

	g->list = arena_fmt(g->c->a, "/v1/%s?limit=100%s%s%s%s", g->member, zone != NULL ? "&zone=" : "", word(zone),
	    q->prefix != NULL ? "" : owner ? "&owner=" : "&nonce=", q->prefix != NULL ? "" : owner ? q->owner : q->nonce);
	p.target = g->list;
	return rest_list(g->c->rest, &p, deadline, e);
}

/* A list of machines is one zone's: those of the options, and all that were ever used. */
static int
list_zones(struct gather *g, mono_t deadline, struct err *e)
{
	const char *zones = own(g->c)->zone, **noted, *zone;
	size_t n = cloud_noted_regions(g->c, &noted);

	for (size_t i = 0; nth(zones, i).n > 0; i++) {
		zone = arena_dup(g->c->a, nth(zones, i));
		if (list_by(g, zone, deadline, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			if (strcmp(noted[k], zone) == 0)
				noted[k] = "";
	}
	for (size_t k = 0; k < n; k++)
		if (noted[k][0] != '\0' && list_by(g, noted[k], deadline, e) < 0)
			return -1;
	return 0;
}

static int
list(struct cloud *c, const char *what, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	struct gather g = { .c = c, .q = q, .out = out };

	/* Nothing is found by a key or a name alone here. */
	if (q->prefix == NULL && word(q->owner)[0] == '\0' && word(q->nonce)[0] == '\0')
		return 0;
	snprintf(g.member, sizeof(g.member), "%ss", what);
	return strcmp(what, "machine") == 0 ? list_zones(&g, deadline, e) : list_by(&g, NULL, deadline, e);
}

#define KIND(kind_) \
static int \
sight_##kind_(struct cloud *c, const char *id, struct cloud_sight *s, mono_t deadline, struct err *e) \
{ \
	return sight(c, #kind_, id, s, deadline, e); \
} \
static int \
list_##kind_(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e) \
{ \
	return list(c, #kind_, q, out, deadline, e); \
} \
static int \
drop_##kind_(struct cloud *c, const char *id, mono_t deadline, struct err *e) \
{ \
	return drop(c, #kind_, id, deadline, e); \
}

KIND(key)
KIND(disk)
KIND(machine)

static const struct cloud_kind
	kind_key = { .name = "key", .traits = 0, .id_at = offsetof(struct sample, key), .make = make_key, .sight = sight_key,
	    .list = list_key, .drop = drop_key },
	kind_disk = { .name = "disk", .traits = KIND_BILLED, .id_at = offsetof(struct sample, disk), .make = make_disk,
	    .sight = sight_disk, .list = list_disk, .drop = drop_disk },
	kind_machine = { .name = "machine", .traits = KIND_MACHINE | KIND_BILLED, .id_at = offsetof(struct sample, machine),
	    .make = make_machine, .sight = sight_machine, .list = list_machine, .drop = drop_machine };
static const struct cloud_kind *const kinds[] = { &kind_key, &kind_disk, &kind_machine };

/* The driver */

static int
configure(struct cloud *c, struct opt *opts, size_t n, struct err *e)
{
	struct sample *s = own(c);

#define STRING(name) arena_dup(c->a, str_from(cloud_opt_str(c->driver, opts, n, "sample-" name)))
	s->token = SECRET(STRING("token"));
	s->type = STRING("type");
	s->zone = STRING("zone");
	s->image = STRING("image");
	s->endpoint = STRING("api-endpoint");
	s->ca_file = STRING("api-ca-file");
#undef STRING
	s->disk_size = cloud_opt_int(c->driver, opts, n, "sample-disk-size");
	s->spot = cloud_opt_bool(c->driver, opts, n, "sample-spot");
	if (!secret_is_set(s->token) || s->endpoint[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "sample driver requires --sample-token and --sample-api-endpoint");
	return 0;
}

static size_t
count(const char *list)
{
	size_t n = 0;

	while (nth(list, n).n > 0)
		n++;
	return n;
}

/* Spot before the others, and each type in each zone before the next type. */
static bool
rung(const struct cloud *c, size_t i, struct cloud_rung *r)
{
	const struct sample *s = own(c);
	size_t types = count(s->type), zones = count(s->zone), all = types * zones;

	if (all == 0 || i >= (s->spot ? 2 : 1) * all)
		return false;
	r->spot = s->spot && i < all;
	r->size = arena_dup(c->a, nth(s->type, i % all / zones));
	r->zone = arena_dup(c->a, nth(s->zone, i % all % zones));
	r->name = arena_fmt(c->a, "%s %s%s", r->size, r->zone, r->spot ? " spot" : "");
	return true;
}

static int
power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	return err_set(e, ERR_CONFIG, 0, "sample: machines cannot be asked to %s", cloud_power_name(p));
}

const struct cloud_driver cloud_sample = {
	.about = &catalog_sample,
	.kinds = kinds, .nkinds = NELEM(kinds),
	.fields = fields, .nfields = NELEM(fields), .own_size = sizeof(struct sample),
	.configure = configure,
	.rung = rung,
	.open = open_api,
	.close = close_api,
	.power = power,
};
