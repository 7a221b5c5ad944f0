/* Looks at many machines at once: see round.h. */
#include <unistd.h>

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
	va_list ap;

	if (r->tell == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->tell(verb, text);
}

/* Reconciliation */

enum round_verdict
round_judge(const struct cloud_thing *t, const struct round_known *known, size_t n,
    wall_t now, dur_t grace)
{
	dur_t age = wall_between(t->created, now);

	for (size_t i = 0; i < n; i++) {
		const struct round_known *k = &known[i];
		/* Made by a create call whose answer was lost, beside the one in use. */
		bool second = !t->key && k->id[0] != '\0' && t->nonce[0] != '\0' && strcmp(k->nonce, t->nonce) == 0 &&
		    strcmp(k->id, t->id) != 0;

		if (!second && ((!t->key && strcmp(k->id, t->id) == 0) || strcmp(k->name, t->name) == 0 ||
		    (t->nonce[0] != '\0' && strcmp(k->nonce, t->nonce) == 0)))
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

		*k = (struct round_known){ .name = arena_dup(&r->arena, str_from(names[i])), .nonce = "", .id = "", .runner = "" };
		if (dir < 0)
			continue;
		if (machine_record_read(dir, &r->arena, &rec, &why) == 0) {
			k->nonce = rec.nonce;
			k->id = rec.id_machine;
			k->runner = rec.runner;
			k->ready = rec.phase == PHASE_READY;
			k->ours = strcmp(rec.owner, r->owner) == 0 && rec.id_machine[0] != '\0';
		}
		close(dir);
	}
	fs_free_names(names, n);
	return n;
}

static int
remove_strays(struct round *r, struct cloud *c, const struct cloud_thing *t, size_t nt, const struct round_known *k, size_t nk,
    struct err *e)
{
	dur_t again = 0;
	int rc = 0;

	for (size_t i = 0; i < nt; i++) {
		const char *what = t[i].key ? "key" : "machine";
		struct err why = { 0 };

		switch (round_judge(&t[i], k, nk, wall_now(), r->grace)) {
		case ROUND_KNOWN:
			break;
		case ROUND_YOUNG:
			again = r->grace - wall_between(t[i].created, wall_now());
			tell(r, CHAN_STRAY, "young %s %" PRId64, t[i].id, again / NSEC_SEC + 1);
			break;
		case ROUND_STRAY:
			crash_point("operator:stray-found");
			if (c->driver->discard(c, &t[i], r->deadline, &why) < 0) {
				rc = -1;
				*e = why;
				tell(r, CHAN_STRAY, "failed %s %s %s: %s", t[i].id, what, t[i].name, why.msg);
				if (why.kind == ERR_CANCELLED)
					return -1;
			} else
				tell(r, CHAN_STRAY, "removed %s %s %s", t[i].id, what, t[i].name);
			crash_point("operator:stray-removed");
			break;
		}
	}
	return rc;
}

static void
report_missing(struct round *r, const struct cloud_thing *t, size_t nt, const struct round_known *k, size_t nk,
    const char *const *runners, size_t nrunners)
{
	for (size_t i = 0; i < nk; i++) {
		bool here = false, asked = false;

		if (!k[i].ready || !k[i].ours)
			continue;
		for (size_t j = 0; j < nrunners; j++)
			asked = asked || strcmp(runners[j], k[i].runner) == 0;
		for (size_t j = 0; asked && j < nt; j++)
			here = here || (!t[j].key && strcmp(t[j].id, k[i].id) == 0);
		if (asked && !here)
			tell(r, CHAN_MISSING, "%s", k[i].name);
	}
}

int
round_reconcile(struct round *r, struct cloud *c, const char *const *runners, size_t nrunners, struct err *e)
{
	struct round_known *known;
	struct cloud_thing *things;
	size_t n;
	ssize_t nk;

	/* Without an owner everything and nothing would be ours. */
	if (c->driver == NULL || c->driver->list == NULL || r->owner[0] == '\0')
		return 0;
	if (c->driver->list(c, r->owner, &things, &n, r->deadline, e) < 0)
		return -1;
	nk = read_store(r, &known, e);
	if (nk < 0)
		return err_ctx(e, "store %s", r->store);
	report_missing(r, things, n, known, (size_t)nk, runners, nrunners);
	return remove_strays(r, c, things, n, known, (size_t)nk, e);
}

int
round_strangers(struct round *r, struct cloud *c, const char *const *prefixes, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct cloud_things found = { 0 };

		if (c->driver == NULL || c->driver->strangers == NULL || prefixes[i][0] == '\0')
			continue;
		if (c->driver->strangers(c, r->owner, prefixes[i], &found, r->deadline, e) < 0)
			return -1;
		for (size_t k = 0; k < found.n; k++)
			tell(r, CHAN_STRAY, "foreign %s %s (owner %s)", found.v[k].id, found.v[k].name, found.v[k].nonce);
	}
	return 0;
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
		p->how = p->why.kind == ERR_NOTFOUND ? PINGED_NOT : PINGED_BLIND;
	else {
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

	if (c->driver == NULL || c->driver->state == NULL || (c->driver->traits & CLOUD_NO_VM))
		return true;
	answers = c->driver->state(c, &s, mono_min(r->deadline, mono_after(ASK_CLOUD_NS)), e) == 0 || e->kind == ERR_NOTFOUND;
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
