/* DigitalOcean's account keys. They have no tags: the owner stands in the name. See digitalocean.h. */
#include "cloud/digitalocean/digitalocean.h"
#include "net/ssh.h"

#define KEY_OWNER	" " DO_OWNER_TAG

int
do_key_lookup(struct cloud *c, const char *fingerprint, const char **id, mono_t deadline, struct err *e)
{
	struct rest_answer a;
	char target[160];
	int status;

	snprintf(target, sizeof(target), "/v2/account/keys/%s", fingerprint);
	status = do_call(c, DO_ASK(SAFE, "GET", target), &a, deadline, e);
	if (status == 404)
		return 0;
	if (status != 200)
		return status < 0 ? -1 : do_refused("GET", target, &a, e);
	*id = do_id(c, json_path(a.json, "ssh_key.id"));
	return (*id)[0] != '\0' ? 1 : do_unexpected("GET", target, e);
}

static void
put_key(const struct cloud *c, const struct cloud_order *o, struct buf *body)
{
	struct json_w w = { .b = body };
	struct buf name = { 0 };

	buf_puts(&name, c->base.name);
	if (o->labels.owner[0] != '\0')
		buf_fmt(&name, KEY_OWNER "%s", o->labels.owner);
	jw_object(&w, NULL);
	jw_str(&w, "name", buf_str(&name));
	jw_str(&w, "public_key", str_trim(str_from(o->pub_line)));
	jw_end_object(&w);
	buf_free(&name);
}

static int
upload(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	static const char target[] = "/v2/account/keys";
	struct rest_answer a;
	struct buf body = { 0 };
	struct err why = { 0 };
	char fingerprint[48];
	int status, there;

	if (ssh_fingerprint(str_from(o->pub_line), fingerprint, e) < 0)
		return -1;
	put_key(c, o, &body);
	cloud_tell(c, "Creating SSH key...");
	/* Safe to repeat: the second time the account says that it has this key. */
	status = do_call(c, DO_ASK(SAFE, "POST", target, .body = buf_str(&body)), &a, deadline, e);
	buf_free(&body);
	if (status == 201 || status == 200) {
		do_own(c)->key_id = do_id(c, json_path(a.json, "ssh_key.id"));
		return do_own(c)->key_id[0] != '\0' ? 0 : do_unexpected("POST", target, e);
	}
	if (status != 422)
		return status < 0 ? -1 : do_refused("POST", target, &a, e);
	do_refused("POST", target, &a, &why);
	there = do_key_lookup(c, fingerprint, &do_own(c)->key_id, deadline, e);
	if (there == 0)
		*e = why;
	return there == 1 ? 0 : -1;
}

static enum cloud_made
make(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	const char *fingerprint = do_word(do_own(c)->fingerprint);
	int there;

	if (fingerprint[0] == '\0')
		return upload(c, o, deadline, e) < 0 ? CLOUD_NOT_MADE : CLOUD_MADE;
	there = do_key_lookup(c, fingerprint, &do_own(c)->key_id, deadline, e);
	if (there == 0)
		err_set(e, ERR_REFUSED, 404, "Digital Ocean SSH key with fingerprint %s doesn't exist", fingerprint);
	return there == 1 ? CLOUD_MADE : CLOUD_NOT_MADE;
}

struct gather { struct cloud *c; const char *mark; struct cloud_things *out; };

static bool
gather(void *ctx, struct json_val v)
{
	struct gather *g = ctx;
	struct str name = json_str(g->c->a, json_get(v, "name")), mark = str_from(g->mark);
	struct cloud_thing t = { .id = do_id(g->c, json_get(v, "id")), .nonce = "" };

	if (t.id[0] == '\0' || name.n <= mark.n || !str_ends(name, g->mark))
		return true;
	t.name = do_plain(g->c->a, str_sub(name, 0, name.n - mark.n));
	cloud_things_add(g->c, g->out, &t);
	return true;
}

/* By the owner, whose mark ends the name; or the one of a public key, which is found by its fingerprint. Keys carry no nonce. */
static int
list(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	struct gather g = { .c = c, .out = out };
	char fingerprint[48];

	if (do_word(q->pub_line)[0] != '\0') {
		if (ssh_fingerprint(str_from(q->pub_line), fingerprint, e) < 0)
			return -1;
		cloud_things_add(c, out, &(struct cloud_thing){ .id = arena_dup(c->a, str_from(fingerprint)), .name = "", .nonce = "" });
		return 0;
	}
	if (do_word(q->owner)[0] == '\0' || q->prefix != NULL)
		return 0;
	g.mark = arena_fmt(c->a, KEY_OWNER "%s", q->owner);
	return do_each(c, &(struct do_list){ "/v2/account/keys?", "ssh_keys", gather, &g }, deadline, e);
}

/* By id or fingerprint. */
static int
drop(struct cloud *c, const char *id, mono_t deadline, struct err *e)
{
	struct rest_answer a;
	char target[160];
	int status;

	snprintf(target, sizeof(target), "/v2/account/keys/%s", id);
	status = do_call(c, DO_ASK(SAFE, "DELETE", target), &a, deadline, e);
	if (status == 404)
		return 1;
	return status < 0 ? -1 : status < 300 ? 0 : do_refused("DELETE", target, &a, e);
}

const struct cloud_kind do_key_kind = {
	.name = "key", .traits = KIND_KEY, .id_at = offsetof(struct droplet, key_id),
	.make = make, .list = list, .drop = drop,
};
