/* machine/operator over a cloud of three kinds: steps recorded, lost answers, the ladder, and dropping in reverse. */
#include <stdlib.h>
#include <unistd.h>

#include "cloud/life.h"
#include "core/fs.h"
#include "machine/operation.h"
#include "net/rest.h"
#include "tap.h"

#define OWNER	"0123456789abcdef"
#define THINGS	16

enum { KEY, DISK, MACHINE };
struct own { const char *key, *disk, *machine; };

/* The cloud: what it holds, what it is to do next, and what was asked of it. */
static struct held { size_t kind; char id[16], nonce[40]; bool gone; } held[THINGS];
static size_t nheld;
static char asked[600];
static const char *sold_out = "";	/* rungs that have no capacity, separated by blanks */
static int lose;			/* that many answers of makes are lost */
static int sights;
static bool elsewhere;			/* the credentials are those of an account that holds nothing */

static void
note(const char *fmt, ...)
{
	size_t n = strlen(asked);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(asked + n, sizeof(asked) - n, fmt, ap);
	va_end(ap);
}

static void
forget_all(void)
{
	nheld = 0;
	asked[0] = '\0';
	sold_out = "";
	lose = sights = 0;
}

static enum cloud_made
make(struct cloud *c, size_t kind, const struct cloud_order *o, struct err *e)
{
	struct held *h = &held[nheld];

	note("make %s%s%s; ", c->driver->kinds[kind]->name, o->rung != NULL && kind == MACHINE ? " " : "",
	    o->rung != NULL && kind == MACHINE ? o->rung->name : "");
	if (kind == MACHINE && o->rung != NULL && strstr(sold_out, o->rung->name) != NULL) {
		err_set(e, ERR_CAPACITY, 409, "no %s at present", o->rung->name);
		return CLOUD_NOT_MADE;
	}
	*h = (struct held){ .kind = kind };
	snprintf(h->id, sizeof(h->id), "%zu", 100 + nheld++);
	snprintf(h->nonce, sizeof(h->nonce), "%s", kind == KEY ? "" : o->labels.nonce);
	if (kind != KEY && lose > 0) {
		lose--;
		err_set(e, ERR_NET, 0, "the answer was lost");
		return CLOUD_UNSURE;
	}
	cloud_note_id(c, kind, h->id);
	return CLOUD_MADE;
}

static int
list(struct cloud *c, size_t kind, const struct cloud_query *q, struct cloud_things *out)
{
	for (size_t i = 0; i < nheld && !elsewhere; i++)
		if (held[i].kind == kind && !held[i].gone && q->nonce != NULL && q->nonce[0] != '\0' &&
		    strcmp(held[i].nonce, q->nonce) == 0)
			cloud_things_add(c, out, &(struct cloud_thing){ .id = held[i].id, .name = "", .nonce = held[i].nonce,
				.created = { (int64_t)i + 1 } });
	return 0;
}

static bool
stands(size_t kind)
{
	for (size_t i = 0; i < nheld; i++)
		if (held[i].kind == kind && !held[i].gone)
			return true;
	return false;
}

static int
drop(size_t kind, const char *id, struct err *e)
{
	if (kind == DISK && stands(MACHINE))
		return err_set(e, ERR_REFUSED, 409, "disk %s is in use", id);
	for (size_t i = 0; i < nheld; i++)
		if (held[i].kind == kind && strcmp(held[i].id, id) == 0 && !held[i].gone) {
			note("drop %s; ", id);
			held[i].gone = true;
			return 0;
		}
	return 1;
}

static int
sight(struct cloud *c, const char *id, struct cloud_sight *s, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	(void)e;
	sights++;
	for (size_t i = 0; i < nheld; i++)
		if (strcmp(held[i].id, id) == 0 && !held[i].gone) {
			s->state = STATE_RUNNING;
			s->address = "127.0.0.1";
			return 1;
		}
	return 0;
}

#define KIND(name_, number) \
static enum cloud_made \
make_##name_(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e) \
{ \
	(void)deadline; \
	return make(c, number, o, e); \
} \
static int \
list_##name_(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e) \
{ \
	(void)deadline; \
	(void)e; \
	return list(c, number, q, out); \
} \
static int \
drop_##name_(struct cloud *c, const char *id, mono_t deadline, struct err *e) \
{ \
	(void)c; \
	(void)deadline; \
	return drop(number, id, e); \
}

KIND(key, KEY)
KIND(disk, DISK)
KIND(machine, MACHINE)

static bool
rung(const struct cloud *c, size_t i, struct cloud_rung *r)
{
	static const char *const names[] = { "large-a", "large-b", "small-a" };

	(void)c;
	if (i >= NELEM(names))
		return false;
	*r = (struct cloud_rung){ .name = names[i] };
	return true;
}

static const struct cloud_kind
	kind_key = { .name = "key", .traits = KIND_KEY, .id_at = offsetof(struct own, key), .make = make_key,
	    .list = list_key, .drop = drop_key },
	kind_disk = { .name = "disk", .traits = KIND_BILLED, .id_at = offsetof(struct own, disk), .make = make_disk,
	    .list = list_disk, .drop = drop_disk },
	kind_machine = { .name = "machine", .traits = KIND_MACHINE | KIND_BILLED, .id_at = offsetof(struct own, machine),
	    .make = make_machine, .list = list_machine, .sight = sight, .drop = drop_machine };
static const struct cloud_kind *const kinds[] = { &kind_key, &kind_disk, &kind_machine };
static const struct cloud_driver three = { .about = &(const struct catalog_cloud){ .name = "three" }, .traits = CLOUD_NO_SSH, .kinds = kinds, .nkinds = NELEM(kinds),
	.own_size = sizeof(struct own), .rung = rung };

static char store[] = "/tmp/ladder_test.XXXXXX", clouds[64];

/* A life: planned, and created; the operation stays open. */
static int
begin(struct operation *op, struct arena *a, const char *name, struct err *e)
{
	struct machine_host h;

	machine_host_init(&h, a, &three, store, name);
	operation_init(op, store, name);
	op->deadline = mono_after(60 * NSEC_SEC);
	account_open(&op->account, clouds, "three");
	if (operation_plan(op, &h, OWNER, "k1", "", e) < 0)
		return -1;
	return operation_create(op, e);
}

static void
end(struct operation *op, struct arena *a)
{
	operation_end(op);
	arena_reset(a);
}

static void
test_life(void)
{
	struct operation op;
	struct arena a = { 0 };
	struct err e = { 0 };

	forget_all();
	is_int(begin(&op, &a, "m1", &e), 0, "a machine of three things %s", e.msg);
	is_str(asked, "make key; make disk; make machine large-a; ", "  made in their order, by the best rung");
	is_str(record_id(&op.rec, "disk"), "101", "  each id by its kind");
	is_str(op.rec.rung, "large-a", "  and the rung, are in the record");
	asked[0] = '\0';
	is_int(operation_remove(&op, "x", &e), 0, "it goes %s", e.msg);
	is_str(asked, "drop 102; drop 101; drop 100; ", "  in reverse, the machine before its disk");
	end(&op, &a);
}

static void
test_ladder(void)
{
	struct operation op;
	struct arena a = { 0 };
	struct err e = { 0 };
	mono_t began;

	forget_all();
	sold_out = "large-a large-b";
	began = mono_now();
	is_int(begin(&op, &a, "m2", &e), 0, "two rungs are out of stock %s", e.msg);
	ok(mono_since(began) < 5 * NSEC_SEC, "  the next one is tried at once");
	is_str(asked, "make key; make disk; make machine large-a; make machine large-b; make machine small-a; ", "  in order");
	is_str(op.rec.rung, "small-a", "  which one it was is in the record");
	ok(account_knows(&op.account, ACCOUNT_STOCK_OUT, "large-a", 0), "  and what is sold out is known");
	end(&op, &a);
	forget_all();
	is_int(begin(&op, &a, "m3", &e), 0, "the next machine");
	is_str(asked, "make key; make disk; make machine small-a; ", "  does not ask for it again");
	end(&op, &a);
	forget_all();
	sold_out = "large-a large-b small-a";
	is_int(begin(&op, &a, "m4", &e), -1, "all of it sold out");
	is_int(e.kind, ERR_CAPACITY, "  is no fault of the request: %s", e.msg);
	is_int((long long)op.rec.unanswered, 0, "  nothing is left unanswered");
	ok(stands(DISK), "  the disk stands");
	is_int(operation_remove(&op, "x", &e), 0, "  and goes with the machine %s", e.msg);
	ok(!stands(DISK) && !stands(KEY), "  nothing is left");
	end(&op, &a);
}

static void
test_lost_answer(void)
{
	struct operation op;
	struct arena a = { 0 };
	struct err e = { 0 };
	size_t disks = 0, machines = 0;

	forget_all();
	lose = 2;
	is_int(begin(&op, &a, "m5", &e), 0, "the answers for a disk and its machine are lost %s", e.msg);
	for (size_t i = 0; i < nheld; i++) {
		disks += held[i].kind == DISK && !held[i].gone;
		machines += held[i].kind == MACHINE && !held[i].gone;
	}
	ok(disks == 1 && machines == 1, "  there is one of each: found by nonce, made once");
	is_int((long long)op.rec.unanswered, 0, "  nothing is left unanswered");
	is_str(record_id(&op.rec, "machine"), cloud_machine_id(&op.host.cloud), "  the id is recorded");
	end(&op, &a);
}

/* A watcher's look answers for the cloud; an old one does not. */
static void
test_watched(void)
{
	struct account_seen seen = { .id = "102", .name = "m6", .nonce = "", .address = "127.0.0.6", .state = STATE_RUNNING,
		.words = "" };
	struct operation op;
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	forget_all();
	machine_host_init(&h, &a, &three, store, "m6");
	operation_init(&op, store, "m6");
	op.deadline = mono_after(60 * NSEC_SEC);
	op.watched = true;
	account_open(&op.account, clouds, "watched");
	is_int(account_seen_write(&op.account, &seen, 1, &e), 0, "somebody looks");
	ok(operation_plan(&op, &h, OWNER, "k1", "", &e) == 0 && operation_create(&op, &e) == 0, "a watched machine %s", e.msg);
	is_str(op.host.cloud.base.ip, "127.0.0.6", "  has the address that was seen");
	is_int(sights, 0, "  and asked for nothing itself");
	end(&op, &a);
	forget_all();
	machine_host_init(&h, &a, &three, store, "m7");
	operation_init(&op, store, "m7");
	op.deadline = mono_after(60 * NSEC_SEC);
	op.watched = true;
	account_open(&op.account, clouds, "nobody");
	ok(operation_plan(&op, &h, OWNER, "k1", "", &e) == 0 && operation_create(&op, &e) == 0, "a watcher that died %s", e.msg);
	ok(sights > 0 && strcmp(op.host.cloud.base.ip, "127.0.0.1") == 0, "  the operator asks for itself");
	end(&op, &a);
}

/* config.json is damaged, then gone: the runner's account and the record's ids are enough to remove the machine. */
static void
test_stand_in(bool missing)
{
	struct operation op;
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };
	const char *name = missing ? "m9" : "m8";

	forget_all();
	is_int(begin(&op, &a, name, &e), 0, "a machine %s", e.msg);
	fs_write_fast(op.dir, "config.json", STR("{\"Conf"), 0600, &e);
	if (missing)
		unlinkat(op.dir, "config.json", 0);
	end(&op, &a);
	asked[0] = '\0';
	operation_init(&op, store, name);
	op.deadline = mono_after(60 * NSEC_SEC);
	account_open(&op.account, clouds, "three");
	is_int(operation_open(&op, &e), -1, "  its config.json is %s", missing ? "gone" : "cut off");
	is_int(e.kind, ERR_PARSE, "  which is not the machine's being gone: %s", e.msg);
	ok(op.lock >= 0, "  it is locked");
	machine_host_init(&h, &a, &three, store, name);
	h.cloud.driver_name = "other";
	is_int(operation_stand_in(&op, &h, &e), -1, "an account of another driver is refused");
	machine_host_init(&h, &a, &three, store, name);
	is_int(operation_stand_in(&op, &h, &e), 0, "its own driver's stands in");
	is_int(operation_remove(&op, "damaged", &e), 0, "it goes");
	is_str(asked, "drop 102; drop 101; drop 100; ", "  with all that the record names");
	is_int(store_open(store, name, &e), -1, "  and is forgotten");
	end(&op, &a);
}

/* A machine without a config.json whose account is `made`, met by a runner of the account `met`. 0: it stands in. */
static int
meet(struct operation *op, struct arena *a, const char *name, const char *met, struct err *e)
{
	struct machine_host h;

	operation_init(op, store, name);
	op->deadline = mono_after(60 * NSEC_SEC);
	account_open(&op->account, clouds, met);
	(void)operation_open(op, e);
	*e = (struct err){ 0 };
	machine_host_init(&h, a, &three, store, name);
	return operation_stand_in(op, &h, e);
}

/* Another account knows nothing of the machine: that it finds nothing there does not say that the machine is gone. */
static void
test_other_account(bool recorded)
{
	struct operation op;
	struct machine_record rec;
	struct arena a = { 0 };
	struct err e = { 0 };
	const char *name = recorded ? "m10" : "m11";

	forget_all();
	is_int(begin(&op, &a, name, &e), 0, "a machine %s its account %s", recorded ? "whose record has" : "of before records had", e.msg);
	is_str(op.rec.account, op.account.key, "  it is recorded");
	if (!recorded) {
		op.rec.account = "";
		is_int(machine_record_write(op.dir, &op.rec, &e), 0, "  it is not, after all");
	}
	unlinkat(op.dir, "config.json", 0);
	end(&op, &a);
	elsewhere = true;
	is_int(meet(&op, &a, name, "four", &e), -1, "  another account finds nothing, which is believed of no machine");
	is_int(e.kind, ERR_CONFIG, "  it is refused");
	ok(strstr(e.msg, recorded ? "machine m10 was made with another account of three" : "machine m11") != NULL &&
	    strstr(e.msg, "--force") != NULL, "  in words: %s", e.msg);
	ok(machine_record_read(op.dir, &a, &rec, &e) == 0 && strcmp(record_id(&rec, "machine"), "102") == 0, "  the record stays");
	ok(strstr(rec.last_error, "account") != NULL, "  and says why");
	end(&op, &a);
	elsewhere = false;
	asked[0] = '\0';
	is_int(meet(&op, &a, name, "four", &e), 0, "  a new token of the old account sees it there %s", e.msg);
	is_int(operation_remove(&op, "damaged", &e), 0, "  and it goes");
	is_str(asked, "drop 102; drop 101; drop 100; ", "  with all that the record names");
	end(&op, &a);
}

/* The same account need not see it: a machine that is gone is gone. One that was never asked for is nobody's. */
static void
test_gone_or_never_made(void)
{
	struct operation op;
	struct machine_host h;
	struct arena a = { 0 };
	struct err e = { 0 };

	forget_all();
	is_int(begin(&op, &a, "m12", &e), 0, "a machine %s", e.msg);
	unlinkat(op.dir, "config.json", 0);
	end(&op, &a);
	forget_all();
	is_int(meet(&op, &a, "m12", "three", &e), 0, "  that is gone from its account %s", e.msg);
	is_int(operation_remove(&op, "damaged", &e), 0, "  is forgotten");
	end(&op, &a);
	machine_host_init(&h, &a, &three, store, "m13");
	operation_init(&op, store, "m13");
	is_int(operation_plan(&op, &h, OWNER, "k1", "", &e), 0, "a plan whose account is not known %s", e.msg);
	is_str(op.rec.account, "", "  says so");
	unlinkat(op.dir, "config.json", 0);
	end(&op, &a);
	is_int(meet(&op, &a, "m13", "four", &e), 0, "  nothing was asked of any account for it %s", e.msg);
	is_int(operation_remove(&op, "damaged", &e), 0, "  it is forgotten");
	end(&op, &a);
}

int
main(void)
{
	if (mkdtemp(store) == NULL)
		return 1;
	snprintf(clouds, sizeof(clouds), "%s/clouds", store);
	test_life();
	test_ladder();
	test_lost_answer();
	test_watched();
	test_stand_in(false);
	test_stand_in(true);
	test_other_account(true);
	test_other_account(false);
	test_gone_or_never_made();
	fs_remove_tree(AT_FDCWD, store, NULL);
	return done_testing();
}
