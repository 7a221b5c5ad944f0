/* DigitalOcean's droplets. See digitalocean.h. */
#include "cloud/digitalocean/digitalocean.h"
#include "core/fs.h"
#include "wire/ip.h"
#include "wire/url.h"

#define USER_DATA_MAX	(64u << 10)
#define MARK_MAX	64

/* Making one */

static void
put_tags(struct json_w *w, const struct droplet *d, const struct cloud_labels *l)
{
	struct str list = str_from(do_word(d->tags));
	char tag[80];

	jw_array(w, "tags");
	while (list.p != NULL) {
		struct str t = str_trim(str_cut(&list, ','));

		if (t.n > 0)
			jw_str(w, NULL, t);
	}
	if (l->owner[0] != '\0') {
		snprintf(tag, sizeof(tag), DO_OWNER_TAG "%s", l->owner);
		jw_cstr(w, NULL, tag);
	}
	if (l->nonce[0] != '\0') {
		snprintf(tag, sizeof(tag), DO_NONCE_TAG "%s", l->nonce);
		jw_cstr(w, NULL, tag);
	}
	jw_end_array(w);
}

static int
put_droplet(const struct cloud *c, const struct cloud_order *o, struct buf *b, struct err *e)
{
	const struct droplet *d = do_own(c);
	struct json_w w = { .b = b };
	struct buf user_data = { .max = USER_DATA_MAX };
	int64_t number;

	if (do_word(d->user_data_file)[0] != '\0' &&
	    fs_read(AT_FDCWD, d->user_data_file, USER_DATA_MAX, &user_data, e) < 0) {
		buf_free(&user_data);
		e->kind = ERR_CONFIG;
		return err_ctx(e, "digitalocean-userdata");
	}
	jw_object(&w, NULL);
	jw_cstr(&w, "name", c->base.name);
	jw_cstr(&w, "region", do_word(d->region));
	jw_cstr(&w, "size", do_word(d->size));
	if (str_to_i64(str_from(do_word(d->image)), &number) == 0)
		jw_i64(&w, "image", number);
	else
		jw_cstr(&w, "image", do_word(d->image));
	jw_array(&w, "ssh_keys");
	if (str_to_i64(str_from(do_word(d->key_id)), &number) == 0)
		jw_i64(&w, NULL, number);
	jw_end_array(&w);
	jw_bool(&w, "backups", d->backups);
	jw_bool(&w, "ipv6", d->ipv6);
	jw_bool(&w, "private_networking", d->private_networking);
	jw_bool(&w, "monitoring", d->monitoring);
	if (user_data.n > 0)
		jw_str(&w, "user_data", buf_str(&user_data));
	put_tags(&w, d, &o->labels);
	jw_end_object(&w);
	buf_free(&user_data);
	return 0;
}

/* The public address, the last one if there are several, as docker-machine has it; "" none yet. */
static const char *
address_of(struct cloud *c, struct json_val droplet)
{
	struct arena a = { 0 };
	const char *address = "";
	struct ip ip;

	JSON_EACH(v, json_path(droplet, "networks.v4"))
		if (str_eqc(json_str(&a, json_get(v, "type")), "public")) {
			struct str text = json_str(&a, json_get(v, "ip_address"));

			/* A part of URLs and of config.json: nothing else will do. */
			if (ip_parse(text, &ip) == 0)
				address = arena_dup(c->a, text);
		}
	arena_reset(&a);
	return address;
}

static enum cloud_made
make(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	static const char target[] = "/v2/droplets";
	struct buf body = { 0 };
	enum cloud_made made = CLOUD_NOT_MADE;
	struct rest_answer a;
	int status;

	if (put_droplet(c, o, &body, e) < 0)
		goto out;
	cloud_tell(c, "Creating Digital Ocean droplet...");
	status = do_call(c, DO_ASK(ONCE, "POST", target, .body = buf_str(&body)), &a, deadline, e);
	if (status < 0)
		made = a.sent ? CLOUD_UNSURE : CLOUD_NOT_MADE;
	else if (status >= 200 && status < 300) {
		const char *address = address_of(c, json_get(a.json, "droplet"));

		do_own(c)->id = do_id(c, json_path(a.json, "droplet.id"));
		do_own(c)->action = json_i64(json_get(json_at(json_path(a.json, "links.actions"), 0), "id"), 0);
		made = do_own(c)->id[0] != '\0' ? CLOUD_MADE : CLOUD_UNSURE;
		if (made == CLOUD_UNSURE)
			do_unexpected("POST", target, e);
		else if (address[0] != '\0')
			c->base.ip = address;
	} else {
		do_refused("POST", target, &a, e);
		/* A 5xx that is not one of the passing ones does not tell either. */
		if (status >= 500)
			made = CLOUD_UNSURE;
	}
out:
	buf_wipe(&body);
	return made;
}

/* Looking at one */

static enum cloud_state
state_of(struct json_val droplet)
{
	struct arena a = { 0 };
	struct str status = json_str(&a, json_get(droplet, "status"));
	enum cloud_state s = str_eqc(status, "new") ? STATE_STARTING : str_eqc(status, "active") ? STATE_RUNNING :
	    str_eqc(status, "off") ? STATE_STOPPED : STATE_NONE;

	arena_reset(&a);
	return s;
}

/* Whether the create action ended in an error: 1, 0 no or not known, -1 could not ask. */
static int
create_errored(struct cloud *c, const char *id, mono_t deadline, struct err *e)
{
	struct json_val action = JSON_NONE;
	struct arena a = { 0 };
	struct rest_answer r;
	char target[96];
	int status, rc;

	if (do_own(c)->action > 0)
		snprintf(target, sizeof(target), "/v2/actions/%" PRId64, do_own(c)->action);
	else
		snprintf(target, sizeof(target), "/v2/droplets/%s/actions", id);
	status = do_call(c, DO_ASK(STATUS, "GET", target), &r, deadline, e);
	if (status == 200)
		action = json_get(r.json, "action");
	if (status == 200 && do_own(c)->action <= 0)
		JSON_EACH(v, json_get(r.json, "actions"))
			if (str_eqc(json_str(&a, json_get(v, "type")), "create"))
				action = v;
	rc = status < 0 ? -1 : str_eqc(json_str(&a, json_get(action, "status")), "errored");
	arena_reset(&a);
	return rc;
}

static int
sight(struct cloud *c, const char *id, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	struct json_val droplet;
	struct rest_answer a;
	char target[64];
	int status, failed = 0;

	snprintf(target, sizeof(target), "/v2/droplets/%s", id);
	status = do_call(c, DO_ASK(STATUS, "GET", target), &a, deadline, e);
	if (status == 404)
		return 0;
	if (status != 200)
		return status < 0 ? -1 : do_refused("GET", target, &a, e);
	droplet = json_get(a.json, "droplet");
	if (json_type(droplet) != JSON_OBJECT)
		return do_unexpected("GET", target, e);
	s->state = state_of(droplet);
	s->address = address_of(c, droplet);
	/* Neither on its way nor running: its creation may have failed. */
	if (s->coming && s->state != STATE_STARTING && s->state != STATE_RUNNING)
		failed = create_errored(c, id, deadline, e);
	if (failed > 0) {
		s->why = WHY_BROKEN;
		s->words = "the cloud's create action ended in an error";
	}
	return failed < 0 ? -1 : 1;
}

int
do_power(struct cloud *c, enum cloud_power p, mono_t deadline, struct err *e)
{
	static const char *const bodies[] = {
		[POWER_START] = "{\"type\":\"power_on\"}", [POWER_STOP] = "{\"type\":\"shutdown\"}",
		[POWER_RESTART] = "{\"type\":\"reboot\"}", [POWER_KILL] = "{\"type\":\"power_off\"}",
	};
	struct rest_answer a;
	char target[80];
	int status;

	if (do_word(do_own(c)->id)[0] == '\0')
		return err_set(e, ERR_NOTFOUND, 0, "no droplet was made for this machine");
	snprintf(target, sizeof(target), "/v2/droplets/%s/actions", do_own(c)->id);
	status = do_call(c, DO_ASK(SAFE, "POST", target, .body = str_from(bodies[p])),
	    &a, deadline, e);
	if (status >= 200 && status < 300)
		return 0;
	return status < 0 ? -1 : do_refused("POST", target, &a, e);
}

/* Listing them */

struct gather {
	struct cloud			*c;
	const struct cloud_query	*q;
	struct cloud_things		*out;
};

/* The mark behind a tag's prefix. One that is not made as ours are would be anything in the path of a request. */
static const char *
mark_of(struct cloud *c, struct str tag, const char *prefix)
{
	struct str mark = str_sub(tag, strlen(prefix), tag.n);

	if (!str_starts(tag, prefix) || mark.n > MARK_MAX)
		return NULL;
	for (size_t i = 0; i < mark.n; i++)
		if (!(mark.p[i] >= '0' && mark.p[i] <= '9') && !(mark.p[i] >= 'a' && mark.p[i] <= 'f'))
			return NULL;
	return arena_dup(c->a, mark);
}

/* A droplet's marks, each "" when it carries none. */
static void
marks(struct cloud *c, struct json_val v, const char **owner, const char **nonce)
{
	*owner = *nonce = "";
	JSON_EACH(w, json_get(v, "tags")) {
		struct str tag = json_str(c->a, w);
		const char *o = mark_of(c, tag, DO_OWNER_TAG), *n = mark_of(c, tag, DO_NONCE_TAG);

		if (o != NULL)
			*owner = o;
		if (n != NULL)
			*nonce = n;
	}
}

/* What the server says is checked again: what comes of it may be deleted. */
static bool
gather(void *ctx, struct json_val v)
{
	struct gather *g = ctx;
	const struct cloud_query *q = g->q;
	struct cloud_thing t = { .id = do_id(g->c, json_get(v, "id")), .sight = { .words = "" } };
	struct str name = json_str(g->c->a, json_get(v, "name"));
	const char *owner;

	marks(g->c, v, &owner, &t.nonce);
	if (t.id[0] == '\0')
		return true;
	if (q->prefix != NULL) {
		if (!str_starts(name, q->prefix) || owner[0] == '\0' || strcmp(owner, q->owner) == 0)
			return true;
		t.nonce = owner;
	} else if (do_word(q->owner)[0] != '\0' ? strcmp(owner, q->owner) != 0 :
	    do_word(q->nonce)[0] != '\0' ? strcmp(t.nonce, q->nonce) != 0 : !str_eqc(name, do_word(q->name)))
		return true;
	t.name = do_plain(g->c->a, name);
	(void)time_parse_rfc3339(json_str(g->c->a, json_get(v, "created_at")), &t.created);
	t.sight.state = state_of(v);
	t.sight.address = address_of(g->c, v);
	cloud_things_add(g->c, g->out, &t);
	return true;
}

static int
list(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	struct gather g = { c, q, out };
	struct buf path = { .max = 512 };
	int rc = 0;

	buf_puts(&path, "/v2/droplets?");
	if (q->prefix == NULL && do_word(q->owner)[0] != '\0')
		buf_fmt(&path, "tag_name=" DO_OWNER_TAG "%s&", q->owner);
	else if (q->prefix == NULL && do_word(q->nonce)[0] != '\0')
		buf_fmt(&path, "tag_name=" DO_NONCE_TAG "%s&", q->nonce);
	else if (q->prefix == NULL && do_word(q->name)[0] != '\0')
		buf_fmt(&path, "name=%s&", q->name);
	else if (q->prefix == NULL)
		rc = 1;		/* asked for by a public key alone */
	if (rc == 0)
		rc = do_each(c, &(struct do_list){ path.p, "droplets", gather, &g }, deadline, e);
	buf_free(&path);
	return rc < 0 ? -1 : 0;
}

/* Dropping one */

static int
drop(struct cloud *c, const char *id, mono_t deadline, struct err *e)
{
	struct rest_answer a;
	char target[64];
	int64_t number;
	int status;

	if (str_to_i64(str_from(id), &number) < 0 || number <= 0)
		return err_set(e, ERR_NOTFOUND, 0, "\"%s\" is no id of DigitalOcean's", id);
	snprintf(target, sizeof(target), "/v2/droplets/%" PRId64, number);
	status = do_call(c, DO_ASK(SAFE, "DELETE", target), &a, deadline, e);
	if (status == 404)
		return 1;
	return status < 0 ? -1 : status < 300 ? 0 : do_refused("DELETE", target, &a, e);
}

/* Tags outlive what they were on: without this an account would gather one for each machine it ever had. */
void
do_tidy(struct cloud *c, const char *nonce, mono_t deadline)
{
	struct rest_answer a;
	struct err why = { 0 };
	char target[96];

	snprintf(target, sizeof(target), "/v2/tags/" DO_NONCE_TAG "%s", nonce);
	(void)do_call(c, DO_ASK(SAFE, "DELETE", target), &a, deadline, &why);
}

const struct cloud_kind do_droplet_kind = {
	.name = "machine", .noun = "droplet", .traits = KIND_MACHINE | KIND_BILLED, .id_at = offsetof(struct droplet, id),
	.make = make, .sight = sight, .list = list, .drop = drop,
};
