/* Looks at many machines at once: see round.h. */
#include <unistd.h>

#include "books/account.h"
#include "cloud/life.h"
#include "core/crash.h"
#include "core/fs.h"
#include "core/log.h"
#include "machine/health.h"
#include "machine/round.h"

#define PING_NS		(5 * NSEC_SEC)
#define PROBE_NS	(20 * NSEC_SEC)
#define ASK_CLOUD_NS	(15 * NSEC_SEC)

static void PRINTFLIKE(3, 4)
tell(const struct round *r, enum chan_verb verb, const char *fmt, ...)
{
	char text[CHAN_MAX];

	if (r->tell == NULL)
		return;
	TEXT_OF(text, fmt);
	r->tell(r->ctx, verb, text);
}

/* Reconciliation */

/* The id that the record has of this kind; "" unknown. */
static const char *
known_id(const struct round_known *k, const char *kind)
{
	for (size_t i = 0; i < k->nids; i++)
		if (strcmp(k->ids[i].kind, kind) == 0)
			return k->ids[i].id;
	return "";
}

enum round_verdict
round_judge(const struct cloud_kind *kind, const struct cloud_thing *t, const struct round_known *known, size_t n, wall_t now,
    dur_t grace)
{
	dur_t age = wall_between(t->created, now);

	for (size_t i = 0; i < n; i++) {
		const char *id = known_id(&known[i], kind->name);
		bool same_id = id[0] != '\0' && strcmp(id, t->id) == 0;
		bool same_nonce = t->nonce[0] != '\0' && strcmp(known[i].nonce, t->nonce) == 0;
		/* Made by a create call whose answer was lost, beside the one in use. */
		bool second = id[0] != '\0' && !same_id && same_nonce;

		if (!second && (same_id || same_nonce || strcmp(known[i].name, t->name) == 0))
			return ROUND_KNOWN;
	}
	/* A clock of another opinion is no reason to wait for ever, nor to hurry. */
	return wall_known(t->created) && age < grace && age > -grace ? ROUND_YOUNG : ROUND_STRAY;
}

/*
 * The store's machines, each with what its record says; one whose record cannot be read is known by its name alone.
 * Number, or -1.
 */
static ssize_t
read_store(struct round *r, struct round_known **out, struct err *e)
{
	char **names;
	ssize_t n = store_list(r->store, &names, e);

	*out = n > 0 ? arena_calloc(&r->arena, (size_t)n, sizeof(**out)) : NULL;
	for (ssize_t i = 0; i < n; i++) {
		struct round_known *k = &(*out)[i];
		struct machine_record rec = { 0 };
		struct err why = { 0 };
		int dir = store_open(r->store, names[i], &why);

		*k = (struct round_known){ .name = arena_dup(&r->arena, str_from(names[i])), .nonce = "", .runner = "" };
		if (dir < 0)
			continue;
		/* One of a newer version is not ours to judge, and no stray. */
		if (machine_record_read(dir, &r->arena, &rec, &why) == 0 || why.kind == ERR_CONFLICT) {
			k->nonce = rec.nonce;
			k->ids = rec.ids;
			k->nids = rec.nids;
			k->runner = rec.runner;
			k->ready = rec.phase == PHASE_READY;
			k->ours = strcmp(rec.owner, r->owner) == 0 && record_id(&rec, "machine")[0] != '\0';
		}
		close(dir);
	}
	fs_free_names(names, n);
	return n;
}

/* One that the store does not know: 0, or -1 when it would not go. */
static int
remove_stray(struct round *r, struct cloud *c, const struct cloud_thing *t, struct err *e)
{
	const char *what = c->driver->kinds[t->kind]->name;
	int rc;

	crash_point("operator:stray-found");
	rc = cloud_discard(c, t, r->deadline, e);
	if (rc < 0)
		tell(r, CHAN_STRAY, "failed %s %s %s: %s", t->id, what, t->name, e->msg);
	else
		tell(r, CHAN_STRAY, "removed %s %s %s", t->id, what, t->name);
	crash_point("operator:stray-removed");
	return rc;
}

/* In the order of the list: a machine before the disk it holds. */
static int
remove_strays(struct round *r, struct cloud *c, const struct cloud_things *things, const struct round_known *k, size_t nk,
    struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < things->n; i++) {
		const struct cloud_thing *t = &things->v[i];
		struct err why = { 0 };

		switch (round_judge(c->driver->kinds[t->kind], t, k, nk, wall_now(), r->grace)) {
		case ROUND_KNOWN:
			break;
		case ROUND_YOUNG:
			tell(r, CHAN_STRAY, "young %s %" PRId64, t->id,
			    (r->grace - wall_between(t->created, wall_now())) / NSEC_SEC + 1);
			break;
		case ROUND_STRAY:
			if (remove_stray(r, c, t, &why) == 0)
				break;
			rc = -1;
			*e = why;
			if (why.kind == ERR_CANCELLED)
				return -1;
			break;
		}
	}
	return rc;
}

static bool
lists_machine(const struct cloud *c, const struct cloud_things *things, const char *id)
{
	for (size_t i = 0; i < things->n; i++)
		if ((c->driver->kinds[things->v[i].kind]->traits & KIND_MACHINE) && strcmp(things->v[i].id, id) == 0)
			return true;
	return false;
}

static void
report_missing(struct round *r, const struct cloud *c, const struct cloud_things *things, const struct round_known *k,
    size_t nk, const struct round_runners *runners)
{
	const char *machine = c->driver->kinds[cloud_machine_kind(c->driver)]->name;

	for (size_t i = 0; i < nk; i++) {
		bool asked = false;

		for (size_t j = 0; j < runners->n; j++)
			asked = asked || strcmp(runners->v[j], k[i].runner) == 0;
		if (asked && k[i].ready && k[i].ours && !lists_machine(c, things, known_id(&k[i], machine)))
			tell(r, CHAN_MISSING, "%s", k[i].name);
	}
}

int
round_reconcile(struct round *r, struct cloud *c, const struct round_runners *runners, struct err *e)
{
	struct cloud_things things;
	struct round_known *known;
	ssize_t nk;

	/* Without an owner everything and nothing would be ours. */
	if (!cloud_lists(c->driver) || r->owner[0] == '\0')
		return 0;
	if (cloud_list_all(c, &(struct cloud_query){ .owner = r->owner }, &things, r->deadline, e) < 0)
		return -1;
	nk = read_store(r, &known, e);
	if (nk < 0)
		return err_ctx(e, "store %s", r->store);
	report_missing(r, c, &things, known, (size_t)nk, runners);
	return remove_strays(r, c, &things, known, (size_t)nk, e);
}

int
round_strangers(struct round *r, struct cloud *c, const char *const *prefixes, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct cloud_query q = { .owner = r->owner, .prefix = prefixes[i] };
		struct cloud_things found = { 0 };

		if (!cloud_lists(c->driver) || prefixes[i][0] == '\0')
			continue;
		if (cloud_list_all(c, &q, &found, r->deadline, e) < 0)
			return -1;
		for (size_t k = 0; k < found.n; k++)
			tell(r, CHAN_STRAY, "foreign %s %s (owner %s)", found.v[k].id, found.v[k].name, found.v[k].nonce);
	}
	return 0;
}

/* Watching */

static int
write_seen(const struct account_book *book, struct arena *a, const struct cloud_things *things, struct err *e)
{
	struct account_seen *v = arena_calloc(a, things->n + 1, sizeof(*v));

	for (size_t i = 0; i < things->n; i++) {
		const struct cloud_thing *t = &things->v[i];

		v[i] = (struct account_seen){ .id = t->id, .name = t->name, .nonce = t->nonce, .address = t->sight.address,
			.state = t->sight.state, .why = t->sight.why, .words = t->sight.words };
	}
	return account_seen_write(book, v, things->n, e);
}

int
round_watch(struct round *r, struct cloud *c, const struct account_book *book, struct err *e)
{
	struct cloud_query q = { .owner = r->owner };
	struct arena scratch = { 0 };
	int rc;

	if (!cloud_lists(c->driver))
		return 0;
	rc = cloud_open(c, e);
	while (rc == 0 && !mono_passed(r->deadline)) {
		struct cloud_things things;
		struct cloud view = *c;

		/* What one look shows is forgotten before the next. */
		view.a = &scratch;
		rc = cloud_list_machines(&view, &q, &things, r->deadline, e);
		if (rc == 0)
			rc = write_seen(book, &scratch, &things, e);
		arena_reset(&scratch);
		if (rc == 0 && rest_wait(rest_poll_pause(c->rest, 1), r->deadline, e) < 0)
			break;
	}
	arena_reset(&scratch);
	return rc;
}

/* Health */

struct pinged {
	const char		*name;
	struct machine_host	 host;
	struct err		 why;
	bool			 probe;		/* not only a sign of life */
	enum { PINGED_NOT, PINGED_OK, PINGED_FAILED, PINGED_BLIND, PINGED_UNFIT } how;
};

/* What says more about this host than about the machine. */
static bool
our_own_trouble(const struct err *e)
{
	return e->kind == ERR_SYS || e->kind == ERR_FULL || e->sys == ENETUNREACH || e->sys == ENETDOWN || e->sys == EMFILE ||
	    e->sys == ENFILE || e->sys == ENOBUFS || e->sys == ENOMEM || e->sys == EADDRNOTAVAIL;
}

static void
ping(struct round *r, struct pinged *p)
{
	int dir = store_open(r->store, p->name, &p->why), rc;
	bool unfit = false;

	if (dir < 0)
		return;
	if (machine_host_read(&p->host, &r->arena, dir, p->name, &p->why) < 0)
		p->how = p->why.kind == ERR_NOTFOUND ? PINGED_NOT :
		    p->why.kind == ERR_PARSE ? PINGED_FAILED : PINGED_BLIND;
	else {
		machine_host_follow(&p->host, r->store);
		rc = p->probe ? health_probe(&p->host, dir, &unfit, mono_min(r->deadline, mono_after(PROBE_NS)), &p->why) :
		    health_check(&p->host, dir, mono_min(r->deadline, mono_after(PING_NS)), &p->why);
		p->how = rc == 0 ? PINGED_OK : unfit ? PINGED_UNFIT : our_own_trouble(&p->why) ? PINGED_BLIND : PINGED_FAILED;
	}
	close(dir);
}

/* Whether the cloud's API can be reached from here, asked about this machine. True too when there is no cloud to ask. */
static bool
cloud_answers(struct round *r, struct pinged *p, struct err *e)
{
	struct cloud *c = &p->host.cloud;
	enum cloud_state s;
	bool answers;

	if (c->driver == NULL || (c->driver->traits & CLOUD_NO_VM))
		return true;
	answers = cloud_state(c, &s, mono_min(r->deadline, mono_after(ASK_CLOUD_NS)), e) == 0 || e->kind == ERR_NOTFOUND;
	cloud_close(c);
	return answers;
}

int
round_health(struct round *r, const char *const *names, size_t n, const char *const *probes, size_t nprobes, struct err *e)
{
	struct pinged *all = arena_calloc(&r->arena, n + 1, sizeof(*all)), *failed = NULL;
	struct err why = { 0 };
	bool any = false, blind = false;

	for (size_t i = 0; i < n; i++) {
		struct pinged *p = &all[i];

		p->name = names[i];
		for (size_t k = 0; k < nprobes; k++)
			p->probe |= strcmp(probes[k], names[i]) == 0;
		ping(r, p);
		if (p->how != PINGED_OK && p->why.kind == ERR_CANCELLED) {
			*e = p->why;
			return -1;
		}
		if (p->how == PINGED_OK)
			tell(r, CHAN_HEALTH, "%s %s", p->name, p->probe ? "fit" : "ok");
		else if (p->how == PINGED_UNFIT)
			tell(r, CHAN_HEALTH, "%s unfit %s", p->name, p->why.msg);
		any = any || p->how == PINGED_OK || p->how == PINGED_UNFIT;
		if (p->how == PINGED_FAILED && failed == NULL)
			failed = p;
	}
	if (failed != NULL && !any)
		blind = !cloud_answers(r, failed, &why);
	for (size_t i = 0; i < n; i++)
		if (all[i].how == PINGED_BLIND || (all[i].how == PINGED_FAILED && blind))
			tell(r, CHAN_HEALTH, "%s blind %s", all[i].name, blind ? why.msg : all[i].why.msg);
		else if (all[i].how == PINGED_FAILED)
			tell(r, CHAN_HEALTH, "%s failed %s", all[i].name, all[i].why.msg);
	return 0;
}
