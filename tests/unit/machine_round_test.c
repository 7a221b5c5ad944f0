/* machine/round: what is a stray and what is not, and reconciliation of a scripted cloud against a store. */
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/life.h"
#include "core/fs.h"
#include "machine/operation.h"
#include "machine/round.h"
#include "tap.h"

#define OWNER	"0123456789abcdef"
#define MINUTE	(60 * NSEC_SEC)
#define AT(d)	{ 1000 * MINUTE + (d) }
#define NOW	((wall_t)AT(0))
#define UNKNOWN	{ 0 }

/* A cloud of three kinds, which is a table. */
enum { KEY, DISK, MACHINE };
struct fake_own { const char *key, *disk, *machine; };

static const struct record_id id_1[] = { { "machine", "1" } };
extern const struct cloud_driver fake;	/* below */

static void
test_judge(void)
{
	static const struct round_known known[] = {
		{ .name = "m1", .nonce = "n1", .ids = id_1, .nids = 1 },
		{ .name = "m2", .nonce = "n2", },	/* its id is not known yet */
		{ .name = "m3", .nonce = "", },	/* a record that could not be read */
	};
	static const struct { const char *name; struct cloud_thing t; enum round_verdict want; } cases[] = {
		{ "a machine by its id", { MACHINE, "1", "other", "", UNKNOWN, { 0 } }, ROUND_KNOWN },
		{ "one by its nonce, id not recorded yet", { MACHINE, "9", "m2", "n2", UNKNOWN, { 0 } }, ROUND_KNOWN },
		{ "one by its name alone", { MACHINE, "9", "m3", "n3", UNKNOWN, { 0 } }, ROUND_KNOWN },
		{ "the name of one whose nonce is another", { MACHINE, "9", "m1", "n9", UNKNOWN, { 0 } }, ROUND_KNOWN },
		{ "a second one of the same nonce", { MACHINE, "2", "m1", "n1", AT(-MINUTE), { 0 } }, ROUND_STRAY },
		{ "a second one that is young", { MACHINE, "2", "m1", "n1", AT(-MINUTE + 1), { 0 } }, ROUND_YOUNG },
		{ "a stranger to the store", { MACHINE, "9", "m9", "n9", AT(-MINUTE), { 0 } }, ROUND_STRAY },
		{ "one that was made just now", { MACHINE, "9", "m9", "n9", AT(0), { 0 } }, ROUND_YOUNG },
		{ "the cloud's clock is ahead a little", { MACHINE, "9", "m9", "n9", AT(+MINUTE - 1), { 0 } }, ROUND_YOUNG },
		{ "or an hour", { MACHINE, "9", "m9", "n9", AT(+60 * MINUTE), { 0 } }, ROUND_STRAY },
		{ "of unknown age", { MACHINE, "9", "m9", "n9", UNKNOWN, { 0 } }, ROUND_STRAY },
		{ "an empty nonce is nobody's", { MACHINE, "9", "m9", "", UNKNOWN, { 0 } }, ROUND_STRAY },
		{ "a key by its machine's name", { KEY, "7", "m1", "", UNKNOWN, { 0 } }, ROUND_KNOWN },
		{ "a key whose number is a machine's", { KEY, "1", "m9", "", UNKNOWN, { 0 } }, ROUND_STRAY },
		{ "a key of nobody", { KEY, "7", "m9", "", UNKNOWN, { 0 } }, ROUND_STRAY },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		is_int(round_judge(fake.kinds[cases[i].t.kind], &cases[i].t, known, NELEM(known), NOW, MINUTE), cases[i].want, "%s", cases[i].name);
	is_int(round_judge(fake.kinds[MACHINE], &cases[6].t, NULL, 0, NOW, MINUTE), ROUND_STRAY, "an empty store knows nothing");
}

/* Ids that begin alike and are as long as clouds make them: only the whole says whether it is the machine in use. */
static void
test_judge_long(void)
{
	static const size_t lengths[] = { 36, 200 };

	for (size_t i = 0; i < NELEM(lengths); i++) {
		char id[201] = "", other[201] = "";
		struct round_known known = { .name = "m1", .nonce = "n1", .ids = &(struct record_id){ "machine", id }, .nids = 1 };
		struct cloud_thing same = { MACHINE, id, "m1", "n1", { 1 }, { 0 } }, second = { MACHINE, other, "m1", "n1", { 1 }, { 0 } };

		memset(id, 'a', lengths[i]);
		memset(other, 'a', lengths[i] - 1);
		other[lengths[i] - 1] = 'b';
		is_int(round_judge(fake.kinds[MACHINE], &same, &known, 1, NOW, MINUTE), ROUND_KNOWN, "%zu bytes: in use", lengths[i]);
		is_int(round_judge(fake.kinds[MACHINE], &second, &known, 1, NOW, MINUTE), ROUND_STRAY, "  the last byte tells another one");
	}
}

static struct cloud_thing in_cloud[9];
static size_t nin_cloud;
static bool list_fails, discard_fails;
static char discarded[200];

static int
fake_list(struct cloud *c, size_t kind, const struct cloud_query *q, struct cloud_things *out, struct err *e)
{
	is_str(q->owner, OWNER, "  it is asked for what is ours");
	for (size_t i = 0; i < nin_cloud; i++)
		if (in_cloud[i].kind == kind)
			cloud_things_add(c, out, &in_cloud[i]);
	return list_fails ? err_set(e, ERR_SERVER, 500, "half a list") : 0;
}

static int
fake_drop(const char *what, const char *id, struct err *e)
{
	snprintf(discarded + strlen(discarded), sizeof(discarded) - strlen(discarded), "%s%s ", what, id);
	return discard_fails ? err_set(e, ERR_AUTH, 403, "no") : 0;
}

#define FAKE_KIND(name, number, what) \
static int \
list_##name(struct cloud *c, const struct cloud_query *q, struct cloud_things *out, mono_t deadline, struct err *e) \
{ \
	(void)deadline; \
	return fake_list(c, number, q, out, e); \
} \
static int \
drop_##name(struct cloud *c, const char *id, mono_t deadline, struct err *e) \
{ \
	(void)c; \
	(void)deadline; \
	return fake_drop(what, id, e); \
}

FAKE_KIND(keys, KEY, "key")
FAKE_KIND(disks, DISK, "disk")
FAKE_KIND(machines, MACHINE, "")

static const struct cloud_kind
	fake_key = { .name = "key", .traits = KIND_KEY, .id_at = offsetof(struct fake_own, key), .list = list_keys, .drop = drop_keys },
	fake_disk = { .name = "disk", .traits = KIND_BILLED, .id_at = offsetof(struct fake_own, disk), .list = list_disks, .drop = drop_disks },
	fake_machine = { .name = "machine", .traits = KIND_MACHINE, .id_at = offsetof(struct fake_own, machine), .list = list_machines,
	    .drop = drop_machines };
static const struct cloud_kind *const fake_kinds[] = { &fake_key, &fake_disk, &fake_machine };

const struct cloud_driver fake = {
	.about = &(const struct catalog_cloud){ .name = "fake" }, .traits = CLOUD_NO_SSH, .kinds = fake_kinds, .nkinds = NELEM(fake_kinds), .own_size = sizeof(struct fake_own),
};
static char told[1000];

static void
hear(void *ctx, enum chan_verb verb, const char *text)
{
	(void)ctx;
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s %s\n", verb == CHAN_MISSING ? "missing" : verb == CHAN_STRAY ? "stray" : "?", text);
}

static void
put(const char *store, const char *name, const char *record)
{
	char *machines = fs_join(store, "machines"), *dir = fs_join(machines, name);
	struct err e = { 0 };
	int fd;

	fs_mkdirs(dir, 0700, &e);
	fd = fs_opendir(AT_FDCWD, dir, &e);
	fs_write_fast(fd, "config.json", STR("{}"), 0600, &e);
	fs_write_fast(fd, "windlass.json", str_from(record), 0600, &e);
	close(fd);
	free(machines);
	free(dir);
}

static int
run(const char *store, const char *owner, struct err *e)
{
	static const char *const runners[] = { "k1" };
	struct round r = { .store = store, .owner = owner, .grace = MINUTE, .deadline = mono_after(MINUTE), .tell = hear };
	struct arena a = { 0 };
	struct cloud c = { .driver = &fake, .driver_name = "fake", .a = &a };
	int rc;

	told[0] = discarded[0] = '\0';
	rc = round_reconcile(&r, &c, &(struct round_runners){ runners, NELEM(runners) }, e);
	arena_reset(&r.arena);
	arena_reset(&a);
	return rc;
}

#define RECORD(phase, runner, owner, nonce, id) "{\"v\":1,\"phase\":\"" phase "\",\"runner\":\"" runner "\",\"owner\":\"" owner \
	"\",\"nonce\":\"" nonce "\",\"ids\":{\"droplet\":\"" id "\"}}"

static void
test_reconcile(void)
{
	char store[] = "/tmp/round_test.XXXXXX";
	struct err e = { 0 };

	if (mkdtemp(store) == NULL)
		return;
	put(store, "m1", RECORD("ready", "k1", OWNER, "n1", "1"));
	put(store, "m2", RECORD("ready", "k1", OWNER, "n2", "2"));	/* not in the cloud */
	put(store, "m3", RECORD("created", "k1", OWNER, "n3", "3"));	/* neither, but its operator is at it */
	put(store, "m4", RECORD("ready", "k2", OWNER, "n4", "4"));	/* of another account */
	put(store, "m5", RECORD("ready", "k1", "ffffffffffffffff", "n5", "5"));	/* of another bastion */
	put(store, "m6", "{ broken");
	put(store, "m7", RECORD("melted", "k1", OWNER, "n7", "7"));	/* a newer version's: its things go by its nonce */
	in_cloud[nin_cloud++] = (struct cloud_thing){ MACHINE, "1", "m1", "n1", { 1 }, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ MACHINE, "6", "m6", "n6", { 1 }, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ MACHINE, "9", "m9", "n9", { 1 }, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ MACHINE, "8", "m8", "n8", wall_now(), { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ KEY, "10", "m1", "", UNKNOWN, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ KEY, "11", "m9", "", UNKNOWN, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ DISK, "20", "m1", "n1", UNKNOWN, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ DISK, "1", "m9", "n9", UNKNOWN, { 0 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ MACHINE, "7", "renamed", "n7", { 1 }, { 0 } };
	is_int(run(store, OWNER, &e), 0, "a round %s", e.msg);
	is_str(discarded, "9 disk1 key11 ", "  deletes what nobody knows, and nothing else");
	ok(strstr(told, "missing m2\n") == told && strstr(told, "stray removed 9 machine m9\n") != NULL &&
	    strstr(told, "stray removed 11 key m9\n") != NULL && strstr(told, "stray young 8 6") != NULL, "  and says: %s", told);
	ok(strstr(told, "m3") == NULL && strstr(told, "m4") == NULL && strstr(told, "m5") == NULL, "  what is not its affair it does not report");
	discard_fails = true;
	is_int(run(store, OWNER, &e), -1, "one that would not go");
	is_str(discarded, "9 disk1 key11 ", "  does not keep the others");
	ok(strstr(told, "stray failed 9 machine m9: no\n") != NULL, "  is told");
	list_fails = true;
	is_int(run(store, OWNER, &e), -1, "a list that is not whole");
	ok(discarded[0] == '\0' && told[0] == '\0', "  is acted upon by nobody");
	is_int(run(store, "", &e), 0, "without an owner");
	ok(discarded[0] == '\0' && told[0] == '\0', "  nothing is ours");
	fs_remove_tree(AT_FDCWD, store, NULL);
}

/* What an operator wrote down of a machine is what a round compares: a machine in use is no stray, however long its id. */
static void
test_recorded(void)
{
	static const size_t lengths[] = { 1, 31, 32, 36, 200 };
	char store[] = "/tmp/round_test.XXXXXX";

	if (mkdtemp(store) == NULL)
		return;
	for (size_t i = 0; i < NELEM(lengths); i++) {
		char id[201] = "", name[32];
		struct arena a = { 0 };
		struct operation op;
		struct machine_host h;
		struct err e = { 0 };

		memset(id, 'a', lengths[i]);
		snprintf(name, sizeof(name), "m%zu", i);
		machine_host_init(&h, &a, &fake, store, name);
		operation_init(&op, store, name);
		cloud_note_id(&h.cloud, MACHINE, id);
		ok(operation_plan(&op, &h, OWNER, "k1", "", &e) == 0, "a machine with an id of %zu bytes %s", lengths[i], e.msg);
		in_cloud[0] = (struct cloud_thing){ MACHINE, id, name, op.rec.nonce, { 1 }, { 0 } };
		nin_cloud = 1;
		list_fails = discard_fails = false;
		ok(run(store, OWNER, &e) == 0 && discarded[0] == '\0' && told[0] == '\0', "  is known: %s", told);
		operation_end(&op);
		arena_reset(&a);
	}
	fs_remove_tree(AT_FDCWD, store, NULL);
}

static char line_given[300];

static enum cloud_made
take_line(struct cloud *c, const struct cloud_order *o, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	snprintf(line_given, sizeof(line_given), "%s", o->pub_line);
	err_set(e, ERR_AUTH, 401, "no");
	return CLOUD_NOT_MADE;
}

/* The key's file has the name that its driver gives it, and what is uploaded is the public half of that one. */
static void
test_key_name(void)
{
	static const struct cloud_kind key = { .name = "key", .traits = KIND_KEY, .id_at = offsetof(struct fake_own, key), .make = take_line };
	static const struct cloud_kind *const kinds[] = { &key };
	static const struct catalog_cloud about = { .name = "keyed" };
	static const struct cloud_driver keyed = { .about = &about, .kinds = kinds, .nkinds = 1, .own_size = sizeof(struct fake_own) };
	static const char *const names[] = { "id_rsa", "id_ecdsa", "ci key.pem" };
	char store[] = "/tmp/round_test.XXXXXX";

	if (mkdtemp(store) == NULL)
		return;
	for (size_t i = 0; i < NELEM(names); i++) {
		struct buf pub = { .max = 4096 };
		struct arena a = { 0 };
		struct operation op;
		struct machine_host h;
		struct err e = { 0 };
		char name[32];

		snprintf(name, sizeof(name), "k%zu", i);
		machine_host_init(&h, &a, &keyed, store, name);
		h.cloud.base.ssh_key_path = arena_fmt(&a, "%s/machines/%s/%s", store, name, names[i]);
		operation_init(&op, store, name);
		ok(operation_plan(&op, &h, OWNER, "k1", "", &e) == 0, "a machine whose key is %s %s", names[i], e.msg);
		ok(fs_read(op.dir, arena_fmt(&a, "%s.pub", names[i]), pub.max, &pub, &e) == 0, "  its public half is beside it %s", e.msg);
		line_given[0] = '\0';
		is_int(operation_create(&op, &e), -1, "  a cloud that takes no key");
		ok(pub.n > 20, "  the file has a line");
		is_str(line_given, arena_dup(&a, str_trim(buf_str(&pub))), "  which it was given");
		operation_end(&op);
		buf_free(&pub);
		arena_reset(&a);
	}
	fs_remove_tree(AT_FDCWD, store, NULL);
}

int
main(void)
{
	test_judge();
	test_judge_long();
	test_reconcile();
	test_recorded();
	test_key_name();
	return done_testing();
}
