/* machine/round: what is a stray and what is not, and reconciliation of a scripted cloud against a store. */
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "machine/operator.h"
#include "machine/round.h"
#include "tap.h"

#define OWNER	"0123456789abcdef"
#define MINUTE	(60 * NSEC_SEC)
#define AT(d)	{ 1000 * MINUTE + (d) }
#define NOW	((wall_t)AT(0))
#define UNKNOWN	{ 0 }

static void
test_judge(void)
{
	static const struct round_known known[] = {
		{ .name = "m1", .nonce = "n1", .id = "1" },
		{ .name = "m2", .nonce = "n2", .id = "" },	/* its id is not known yet */
		{ .name = "m3", .nonce = "", .id = "" },	/* a record that could not be read */
	};
	static const struct { const char *name; struct cloud_thing t; enum round_verdict want; } cases[] = {
		{ "a machine by its id", { false, "1", "other", "", UNKNOWN }, ROUND_KNOWN },
		{ "one by its nonce, id not recorded yet", { false, "9", "m2", "n2", UNKNOWN }, ROUND_KNOWN },
		{ "one by its name alone", { false, "9", "m3", "n3", UNKNOWN }, ROUND_KNOWN },
		{ "the name of one whose nonce is another", { false, "9", "m1", "n9", UNKNOWN }, ROUND_KNOWN },
		{ "a second one of the same nonce", { false, "2", "m1", "n1", AT(-MINUTE) }, ROUND_STRAY },
		{ "a second one that is young", { false, "2", "m1", "n1", AT(-MINUTE + 1) }, ROUND_YOUNG },
		{ "a stranger to the store", { false, "9", "m9", "n9", AT(-MINUTE) }, ROUND_STRAY },
		{ "one that was made just now", { false, "9", "m9", "n9", AT(0) }, ROUND_YOUNG },
		{ "the cloud's clock is ahead a little", { false, "9", "m9", "n9", AT(+MINUTE - 1) }, ROUND_YOUNG },
		{ "or an hour", { false, "9", "m9", "n9", AT(+60 * MINUTE) }, ROUND_STRAY },
		{ "of unknown age", { false, "9", "m9", "n9", UNKNOWN }, ROUND_STRAY },
		{ "an empty nonce is nobody's", { false, "9", "m9", "", UNKNOWN }, ROUND_STRAY },
		{ "a key by its machine's name", { true, "7", "m1", "", UNKNOWN }, ROUND_KNOWN },
		{ "a key whose number is a machine's", { true, "1", "m9", "", UNKNOWN }, ROUND_STRAY },
		{ "a key of nobody", { true, "7", "m9", "", UNKNOWN }, ROUND_STRAY },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		is_int(round_judge(&cases[i].t, known, NELEM(known), NOW, MINUTE), cases[i].want, "%s", cases[i].name);
	is_int(round_judge(&cases[6].t, NULL, 0, NOW, MINUTE), ROUND_STRAY, "an empty store knows nothing");
}

/* Ids that begin alike and are as long as clouds make them: only the whole says whether it is the machine in use. */
static void
test_judge_long(void)
{
	static const size_t lengths[] = { 36, 200 };

	for (size_t i = 0; i < NELEM(lengths); i++) {
		char id[201] = "", other[201] = "";
		struct round_known known = { .name = "m1", .nonce = "n1", .id = id };
		struct cloud_thing same = { false, id, "m1", "n1", { 1 } }, second = { false, other, "m1", "n1", { 1 } };

		memset(id, 'a', lengths[i]);
		memset(other, 'a', lengths[i] - 1);
		other[lengths[i] - 1] = 'b';
		is_int(round_judge(&same, &known, 1, NOW, MINUTE), ROUND_KNOWN, "%zu bytes: in use", lengths[i]);
		is_int(round_judge(&second, &known, 1, NOW, MINUTE), ROUND_STRAY, "  the last byte tells another one");
	}
}

/* A driver whose cloud is a table. */
static struct cloud_thing in_cloud[8];
static size_t nin_cloud;
static bool list_fails, discard_fails;
static char discarded[200];

static int
fake_list(struct cloud *c, const char *owner, struct cloud_thing **things, size_t *n, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	is_str(owner, OWNER, "  it is asked for what is ours");
	*things = in_cloud;
	*n = nin_cloud;
	return list_fails ? err_set(e, ERR_SERVER, 500, "half a list") : 0;
}

static int
fake_discard(struct cloud *c, const struct cloud_thing *t, mono_t deadline, struct err *e)
{
	(void)c;
	(void)deadline;
	snprintf(discarded + strlen(discarded), sizeof(discarded) - strlen(discarded), "%s%s ", t->key ? "key" : "", t->id);
	return discard_fails ? err_set(e, ERR_AUTH, 403, "no") : 0;
}

static const char *id_given = "";

static struct cloud_ids
fake_ids(const struct cloud *c)
{
	(void)c;
	return (struct cloud_ids){ .machine = id_given, .key = "" };
}

static const struct cloud_driver fake = {
	.name = "fake", .traits = CLOUD_NO_SSH, .list = fake_list, .discard = fake_discard, .ids = fake_ids,
};
static char told[1000];

static void
hear(enum chan_verb verb, const char *text)
{
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
	struct cloud c = { .driver = &fake };
	int rc;

	told[0] = discarded[0] = '\0';
	rc = round_reconcile(&r, &c, runners, NELEM(runners), e);
	arena_reset(&r.arena);
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
	in_cloud[nin_cloud++] = (struct cloud_thing){ false, "1", "m1", "n1", { 1 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ false, "6", "m6", "n6", { 1 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ false, "9", "m9", "n9", { 1 } };
	in_cloud[nin_cloud++] = (struct cloud_thing){ false, "8", "m8", "n8", wall_now() };
	in_cloud[nin_cloud++] = (struct cloud_thing){ true, "10", "m1", "", UNKNOWN };
	in_cloud[nin_cloud++] = (struct cloud_thing){ true, "11", "m9", "", UNKNOWN };
	is_int(run(store, OWNER, &e), 0, "a round %s", e.msg);
	is_str(discarded, "9 key11 ", "  deletes what nobody knows, and nothing else");
	ok(strstr(told, "missing m2\n") == told && strstr(told, "stray removed 9 machine m9\n") != NULL &&
	    strstr(told, "stray removed 11 key m9\n") != NULL && strstr(told, "stray young 8 6") != NULL, "  and says: %s", told);
	ok(strstr(told, "m3") == NULL && strstr(told, "m4") == NULL && strstr(told, "m5") == NULL, "  what is not its affair it does not report");
	discard_fails = true;
	is_int(run(store, OWNER, &e), -1, "one that would not go");
	is_str(discarded, "9 key11 ", "  does not keep the others");
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
		id_given = id;
		snprintf(name, sizeof(name), "m%zu", i);
		machine_host_init(&h, &a, &fake, store, name);
		operation_init(&op, store, name);
		ok(operation_plan(&op, &h, OWNER, "k1", "", &e) == 0, "a machine with an id of %zu bytes %s", lengths[i], e.msg);
		in_cloud[0] = (struct cloud_thing){ false, id, name, op.rec.nonce, { 1 } };
		nin_cloud = 1;
		list_fails = discard_fails = false;
		ok(run(store, OWNER, &e) == 0 && discarded[0] == '\0' && told[0] == '\0', "  is known: %s", told);
		operation_end(&op);
		arena_reset(&a);
	}
	fs_remove_tree(AT_FDCWD, store, NULL);
}

static char line_given[300];

static int
fake_key(struct cloud *c, const struct cloud_labels *l, const char *pub_line, mono_t deadline, struct err *e)
{
	(void)c;
	(void)l;
	(void)deadline;
	snprintf(line_given, sizeof(line_given), "%s", pub_line);
	return err_set(e, ERR_AUTH, 401, "no");
}

/* The key's file has the name that its driver gives it, and what is uploaded is the public half of that one. */
static void
test_key_name(void)
{
	static const struct cloud_driver keyed = { .name = "keyed", .traits = CLOUD_UPLOADS_KEY, .key = fake_key };
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
