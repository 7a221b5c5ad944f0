/* A machine's things in any cloud, found, awaited and dropped: see life.h. */
#include "books/account.h"
#include "cloud/life.h"
#include "core/log.h"
#include "net/dial.h"

#define GONE_AT_ONCE	NSEC_SEC		/* what a delete did not know is looked at once more */
#define DELETE_AGAIN	(20 * NSEC_SEC)		/* a machine that is still there is asked to go again */
#define LAG_LEAST	(30 * NSEC_SEC)		/* how long a new thing may be missing from answers */
#define TIDY_LIMIT	(10 * NSEC_SEC)

/* Ids */

static const char **
id_of(const struct cloud *c, size_t kind)
{
	return (const char **)(void *)((char *)c->own + c->driver->kinds[kind]->id_at);
}

const char *
cloud_id(const struct cloud *c, size_t kind)
{
	const char *id = *id_of(c, kind);

	return id != NULL ? id : "";
}

void
cloud_note_id(struct cloud *c, size_t kind, const char *id)
{
	*id_of(c, kind) = id != NULL ? arena_dup(c->a, str_from(id)) : "";
}

size_t
cloud_machine_kind(const struct cloud_driver *d)
{
	for (size_t i = 0; d != NULL && i < d->nkinds; i++)
		if (d->kinds[i]->traits & KIND_MACHINE)
			return i;
	return SIZE_MAX;
}

const char *
cloud_machine_id(const struct cloud *c)
{
	size_t k = cloud_machine_kind(c->driver);

	return k != SIZE_MAX ? cloud_id(c, k) : "";
}

int
cloud_open(struct cloud *c, struct err *e)
{
	if (c->driver->open == NULL || c->session != NULL)
		return 0;
	return c->driver->open(c, e);
}

/* Lists */

bool
cloud_lists(const struct cloud_driver *d)
{
	size_t k = cloud_machine_kind(d);

	return k != SIZE_MAX && d->kinds[k]->list != NULL;
}

void
cloud_note_region(struct cloud *c, const char *region)
{
	if (c->book != NULL && !account_knows(c->book, ACCOUNT_REGION, region, 0))
		account_note(c->book, ACCOUNT_REGION, region, INT64_MAX);
}

size_t
cloud_noted_regions(struct cloud *c, const char ***regions)
{
	return c->book != NULL ? account_names(c->book, ACCOUNT_REGION, c->a, regions) : 0;
}

/* Things of one kind; those made by others before count from where *out stood. */
static int
list_kind(struct cloud *c, size_t kind, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	const struct cloud_kind *k = c->driver->kinds[kind];
	size_t from = out->n;

	if (k->list == NULL)
		return 0;
	if (cloud_open(c, e) < 0 || k->list(c, q, out, deadline, e) < 0)
		return -1;
	for (size_t i = from; i < out->n; i++)
		out->v[i].kind = kind;
	return 0;
}

int
cloud_list_machines(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	*out = (struct cloud_things){ 0 };
	return list_kind(c, cloud_machine_kind(c->driver), q, out, deadline, e);
}

int
cloud_list_all(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e)
{
	*out = (struct cloud_things){ 0 };
	/* What was made last first: a machine before what it stands on. */
	for (size_t i = c->driver->nkinds; i-- > 0; )
		if (list_kind(c, i, q, out, deadline, e) < 0)
			return -1;
	return 0;
}

/* Dropping */

static const char *
noun(const struct cloud *c, size_t kind)
{
	const struct cloud_kind *k = c->driver->kinds[kind];

	return k->noun != NULL ? k->noun : k->name;
}

/* After a drop that was accepted: 1 gone, 0 still there after `patience`, -1. */
static int
await_gone(struct cloud *c, size_t kind, const char *id, dur_t patience, mono_t deadline, struct err *e)
{
	const struct cloud_kind *k = c->driver->kinds[kind];
	mono_t again = mono_after(patience);

	if (k->sight == NULL)
		return 1;
	for (unsigned n = 0; !mono_passed(again); n++) {
		struct cloud_sight s = { 0 };
		int there = k->sight(c, id, &s, deadline, e);

		if (there <= 0)
			return there == 0 ? 1 : -1;
		if (rest_wait(rest_poll_pause(c->rest, n), deadline, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * Asks until the cloud does not know it any more. That a drop does not know it is not believed alone:
 * a thing may be so new that this part of the API has not heard of it.
 */
static int
drop(struct cloud *c, size_t kind, const char *id, mono_t deadline, struct err *e)
{
	const struct cloud_kind *k = c->driver->kinds[kind];

	if (cloud_open(c, e) < 0)
		return -1;
	for (unsigned n = 0; ; n++) {
		int done = k->drop(c, id, deadline, e), gone;

		if (done < 0 && e->kind != ERR_CONFLICT)
			return -1;
		if (done < 0)	/* an event is pending: it is being created, say */
			gone = rest_wait(rest_poll_pause(c->rest, n), deadline, e);
		else
			gone = await_gone(c, kind, id, done == 1 ? GONE_AT_ONCE : DELETE_AGAIN, deadline, e);
		if (gone < 0)
			return err_ctx(e, "%s: %s %s is not gone yet", c->driver_name, noun(c, kind), id);
		if (gone > 0)
			return 0;
	}
}

/* Marks that outlive what they were on. Not worth a failure. */
static void
tidy(struct cloud *c, const char *nonce, mono_t deadline)
{
	if (c->driver->tidy != NULL && nonce[0] != '\0')
		c->driver->tidy(c, nonce, mono_min(deadline, mono_after(TIDY_LIMIT)));
}

int
cloud_discard(struct cloud *c, const struct cloud_thing *t, mono_t deadline, struct err *e)
{
	if (drop(c, t->kind, t->id, deadline, e) < 0)
		return -1;
	if (c->driver->kinds[t->kind]->traits & KIND_MACHINE)
		tidy(c, t->nonce, deadline);
	return 0;
}

/* A name that a runner made (its last parts are a Unix time and 8 hex digits) is nobody else's. */
static bool
name_is_unique(struct str name)
{
	size_t digits = 0, hex = 0;

	while (hex < name.n && strchr("0123456789abcdef", name.p[name.n - 1 - hex]) != NULL)
		hex++;
	if (hex != 8 || name.n < 20 || name.p[name.n - 9] != '-')
		return false;
	while (digits < name.n - 9 && name.p[name.n - 10 - digits] >= '0' && name.p[name.n - 10 - digits] <= '9')
		digits++;
	return digits >= 10;
}

/* The kinds that go with one machine: not the account's own, and not a key that somebody brought. */
static bool
is_machines(const struct cloud *c, size_t kind)
{
	unsigned traits = c->driver->kinds[kind]->traits;
	struct cloud_facts f = cloud_facts(c);

	return !(traits & KIND_SHARED) && !((traits & KIND_KEY) && f.foreign_key != NULL);
}

/* What the state does not know of this kind, found by its marks and dropped. */
static int
drop_unknown(struct cloud *c, size_t kind, const struct cloud_query *q, mono_t deadline, struct err *e)
{
	struct cloud_things found = { 0 };

	if (list_kind(c, kind, q, &found, deadline, e) < 0)
		return -1;
	for (size_t i = 0; i < found.n; i++)
		if (drop(c, kind, found.v[i].id, deadline, e) < 0)
			return -1;
	return 0;
}

int
cloud_drop_all(struct cloud *c, const struct cloud_labels *l, const char *pub_line, bool thorough, mono_t deadline,
    struct err *e)
{
	size_t machine = cloud_machine_kind(c->driver);
	bool unique = name_is_unique(str_from(c->base.name));

	/* The last made goes first: the machine before what it stands on. */
	for (size_t i = c->driver->nkinds; i-- > 0; ) {
		bool known = cloud_id(c, i)[0] != '\0', key = c->driver->kinds[i]->traits & KIND_KEY;
		struct cloud_query q = { .nonce = l->nonce, .pub_line = key ? pub_line : "" };

		if (!is_machines(c, i))
			continue;
		if (known && drop(c, i, cloud_id(c, i), deadline, e) < 0)
			return -1;
		if (key ? !known && pub_line[0] != '\0' : l->nonce[0] != '\0' ? thorough || !known : false) {
			if (drop_unknown(c, i, &q, deadline, e) < 0)
				return -1;
		} else if (i == machine && l->nonce[0] == '\0' && !known) {
			/* Made by the original, its id lost: by a name that only a runner can have made. */
			if (!unique)
				return err_set(e, ERR_CONFIG, 0, "config.json holds no %s id, and the name %s may be somebody else's; "
				    "look for the %s in the control panel, then forget this machine with rm -f",
				    noun(c, i), c->base.name, noun(c, i));
			q.name = c->base.name;
			if (drop_unknown(c, i, &q, deadline, e) < 0)
				return -1;
		}
	}
	/* While a second machine may still turn up, its mark is how it would be found. */
	if (!thorough)
		tidy(c, l->nonce, deadline);
	return 0;
}

/* Finding what a lost answer made */

static bool
older(const struct cloud_thing *a, const struct cloud_thing *b)
{
	/* One whose age is not told is taken for the youngest. */
	int64_t x = wall_known(a->created) ? a->created.ns : INT64_MAX, y = wall_known(b->created) ? b->created.ns : INT64_MAX;
	size_t n = strlen(a->id), m = strlen(b->id);

	if (x != y)
		return x < y;
	return n != m ? n < m : strcmp(a->id, b->id) < 0;
}

/* Of one kind: keeps the one in use or else the oldest, drops the others. How many the state did not know, or -1. */
static int
find_kind(struct cloud *c, size_t kind, const struct cloud_query *q, mono_t deadline, struct err *e)
{
	struct cloud_things found = { 0 };
	size_t oldest = 0;
	int unknown = 0;

	if (list_kind(c, kind, q, &found, deadline, e) < 0)
		return -1;
	for (size_t i = 0; i < found.n; i++) {
		unknown += strcmp(found.v[i].id, cloud_id(c, kind)) != 0;
		if (older(&found.v[i], &found.v[oldest]))
			oldest = i;
	}
	/* The one that is in use is never given up for an older one. */
	if (found.n > 0 && cloud_id(c, kind)[0] == '\0')
		cloud_note_id(c, kind, found.v[oldest].id);
	for (size_t i = 0; i < found.n; i++) {
		if (strcmp(found.v[i].id, cloud_id(c, kind)) == 0)
			continue;
		log_warn("Deleting a second thing of one machine", F_STR("name", c->base.name), F_STR("kind", noun(c, kind)),
		    F_STR("id", found.v[i].id), F_STR("kept", cloud_id(c, kind)));
		if (drop(c, kind, found.v[i].id, deadline, e) < 0)
			return -1;
	}
	return unknown;
}

int
cloud_find(struct cloud *c, const struct cloud_labels *l, mono_t deadline, struct err *e)
{
	struct cloud_query q = { .nonce = l->nonce };
	int unknown = 0;

	/* The machine first: what it stands on cannot be dropped before it. */
	for (size_t i = c->driver->nkinds; i-- > 0; ) {
		int n = is_machines(c, i) && !(c->driver->kinds[i]->traits & KIND_KEY) ? find_kind(c, i, &q, deadline, e) : 0;

		if (n < 0)
			return -1;
		unknown += n;
	}
	return unknown;
}

/* Waiting */

int
cloud_look(struct cloud *c, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	size_t k = cloud_machine_kind(c->driver);
	const char *id = cloud_machine_id(c);
	int there;

	if (c->driver->state != NULL)
		return c->driver->state(c, s, deadline, e);
	*s = (struct cloud_sight){ .words = "", .address = "" };
	if (id[0] == '\0')
		return err_set(e, ERR_NOTFOUND, 0, "no %s was made for this machine", noun(c, k));
	if (cloud_open(c, e) < 0)
		return -1;
	there = c->driver->kinds[k]->sight(c, id, s, deadline, e);
	if (there == 0)
		err_set(e, ERR_NOTFOUND, 404, "%s: %s %s does not exist", c->driver_name, noun(c, k), id);
	return there == 1 ? 0 : -1;
}

int
cloud_state(struct cloud *c, enum cloud_state *s, mono_t deadline, struct err *e)
{
	struct cloud_sight sight;

	if (cloud_look(c, &sight, deadline, e) < 0)
		return -1;
	*s = sight.state;
	return 0;
}

/* What a machine that is on its way showed last. */
struct coming { bool seen; mono_t lag_over; };

/*
 * One look at a machine that is on its way, its address noted if it has one. 1 go on waiting (or it has its
 * address), 0 there is nothing to wait for (*e), -1. It is only gone when it had been seen, or after the API's lag.
 */
static int
look(struct cloud *c, struct coming *w, mono_t deadline, struct err *e)
{
	size_t k = cloud_machine_kind(c->driver);
	const char *id = cloud_machine_id(c);
	struct cloud_sight s = { .coming = true, .words = "", .address = "" };
	int there = cloud_open(c, e) < 0 ? -1 : c->driver->kinds[k]->sight(c, id, &s, deadline, e);

	if (there == 1) {
		w->seen = true;
		if (s.address[0] != '\0')
			c->base.ip = arena_dup(c->a, str_from(s.address));
		if (s.why != WHY_BROKEN && s.why != WHY_CAPACITY)
			return 1;
		err_set(e, s.why == WHY_CAPACITY ? ERR_CAPACITY : ERR_NOTFOUND, 0, "%s: %s %s could not be made: %s", c->driver_name,
		    noun(c, k), id, s.words);
		return 0;
	}
	if (there < 0 || (!w->seen && !mono_passed(w->lag_over)))
		return there < 0 ? -1 : 1;
	err_set(e, ERR_NOTFOUND, 404, "%s: %s %s does not exist any more: someone deleted it, or it could not be made",
	    c->driver_name, noun(c, k), id);
	return 0;
}

static bool
has_address(const struct cloud *c)
{
	return c->base.ip != NULL && c->base.ip[0] != '\0';
}

int
cloud_await(struct cloud *c, const struct cloud_hint *hint, mono_t deadline, struct err *e)
{
	struct cloud_facts f = cloud_facts(c);
	struct coming w = { .lag_over = mono_after(f.lag > 0 ? f.lag : LAG_LEAST) };
	size_t k = cloud_machine_kind(c->driver);

	if (k == SIZE_MAX)
		return 0;
	if (!has_address(c))
		cloud_tell(c, "Waiting for IP address to be assigned to the %s...", noun(c, k));
	for (unsigned n = 0; !has_address(c); n++) {
		if (rest_wait(rest_poll_pause(c->rest, n), deadline, e) == 0) {
			int coming = hint != NULL ? hint->look(hint->ctx, c) : 0;

			if (coming == 0)
				coming = look(c, &w, deadline, e);
			if (coming > 0)
				continue;
			if (coming == 0)
				return -1;
		}
		/* Whichever wait the deadline fell into. */
		if (e->kind == ERR_TIMEOUT)
			err_set(e, ERR_TIMEOUT, 0, "%s: %s %s got no public address in time", c->driver_name, noun(c, k),
			    cloud_machine_id(c));
		return -1;
	}
	return 0;
}

int
cloud_lost(struct cloud *c, const struct cloud_hint *hint, mono_t deadline, struct err *e)
{
	struct coming w = { .seen = true };
	int there;

	if (cloud_machine_kind(c->driver) == SIZE_MAX || (hint != NULL && hint->look(hint->ctx, c) > 0))
		return 0;
	there = look(c, &w, deadline, e);
	return there < 0 ? -1 : !there;
}
