/* cmd/adopt: whose a machine is, what becomes of it, what is written and what is not; gitlab-runners by their /proc. */
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/adopt.h"
#include "core/fs.h"
#include "core/lock.h"
#include "tap.h"

static char root[64];

static void
put(const char *path, struct str text)
{
	char *whole = fs_join(root, path), *slash = strrchr(whole, '/');

	*slash = '\0';
	fs_mkdirs(whole, 0700, NULL);
	*slash = '/';
	fs_write_fast(AT_FDCWD, whole, text, 0600, NULL);
	free(whole);
}

static char *
get(const char *path)
{
	struct buf b = { .max = 1u << 20 };
	char *whole = fs_join(root, path);

	(void)fs_read(AT_FDCWD, whole, 1u << 20, &b, NULL);
	free(whole);
	return buf_take(&b);
}

static bool
there(const char *path)
{
	char *whole = fs_join(root, path);
	bool is = fs_exists(AT_FDCWD, whole);

	free(whole);
	return is;
}

/* ---- whose ---- */

static const char config_text[] =
	"concurrent = 4\n"
	"[[runners]]\nname = \"short\"\nurl = \"https://a\"\ntoken = \"AbCdEfGhI1\"\nexecutor = \"docker+machine\"\n"
	"[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"auto-%s\"\nMachineOptions = [\"url=tcp://192.0.2.1:2376\"]\n"
	"[[runners]]\nname = \"long\"\nurl = \"https://b\"\ntoken = \"AbCdEfGhI2\"\nexecutor = \"docker+machine\"\n"
	"[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"auto-big-%s\"\nMachineOptions = [\"url=tcp://192.0.2.1:2376\"]\n"
	"[[runners]]\nname = \"shell\"\nurl = \"https://a\"\ntoken = \"zzzzzzzzz3\"\nexecutor = \"shell\"\n"
	"[[runners]]\nname = \"broken\"\nurl = \"https://c\"\ntoken = \"yyyyyyyyy4\"\nexecutor = \"docker+machine\"\n"
	"[runners.machine]\nMachineDriver = \"none\"\nMachineName = \"no-percent\"\n";

static const struct { const char *name, *runner; size_t rivals; } whose[] = {
	{ "runner-abcdefghi-auto-1772445600-9f3a01bc",		"short",	0 },
	{ "runner-abcdefghi-auto-big-1772445600-9f3a01bc",	"long",		1 },	/* the original would give it to either */
	{ "runner-abcdefghi-auto-big",				"short",	0 },
	{ "runner-abcdefghi-auto-x",				"short",	0 },
	{ "runner-abcdefghi-other-1772445600-9f3a01bc",		NULL,		0 },
	{ "runner-zzzzzzzzz-auto-1772445600-9f3a01bc",		NULL,		0 },
	{ "runner-yyyyyyyyy-no-percent",			NULL,		0 },
	{ "by-hand",						NULL,		0 },
};

static void
test_whose(struct config *c)
{
	for (size_t i = 0; i < NELEM(whose); i++) {
		size_t rivals = 99;
		const struct runner *r = adopt_runner_of(c, str_from(whose[i].name), &rivals);

		is_str(r != NULL ? r->name : "nobody", whose[i].runner != NULL ? whose[i].runner : "nobody", "%s is whose", whose[i].name);
		is_int((long long)rivals, (long long)whose[i].rivals, "... and how many more claim it");
	}
}

/* ---- the store ---- */

#define TAKE		"runner-abcdefghi-auto-1772445600-9f3a01bc"
#define BIG		"runner-abcdefghi-auto-big-1772445600-9f3a01bc"
#define AMAZON		"runner-abcdefghi-auto-1772445601-9f3a01bc"
#define RECORDED	"runner-abcdefghi-auto-1772445602-9f3a01bc"
#define BUSY		"runner-abcdefghi-auto-1772445603-9f3a01bc"

/* As docker-machine writes it, shortened; with a key of a fork that we do not know. */
static const char config_json[] = "{\n    \"ConfigVersion\": 3,\n    \"Driver\": {\n        \"IPAddress\": \"192.0.2.7:2376\",\n"
	"        \"Forked\": \"\\u003ckept\\u003e\",\n        \"URL\": \"tcp://192.0.2.7:2376\"\n    },\n    \"DriverName\": \"%s\",\n    \"HostOptions\": {},\n"
	"    \"Name\": \"x\"\n}";

static void
put_machine(const char *name, const char *driver, const char *record)
{
	char *path = fs_join("store/machines", name), *file = fs_join(path, "config.json"), text[1024];

	snprintf(text, sizeof(text), config_json, driver);
	put(file, str_from(text));
	free(file);
	if (record != NULL) {
		file = fs_join(path, "windlass.json");
		put(file, str_from(record));
		free(file);
	}
	free(path);
}

static const struct { const char *name; enum adopt_fate fate; } fates[] = {
	{ TAKE, ADOPT_TAKE }, { BIG, ADOPT_TAKE }, { AMAZON, ADOPT_NO_DRIVER }, { RECORDED, ADOPT_OURS }, { BUSY, ADOPT_TAKE },
	{ "stranger", ADOPT_FOREIGN }, { "hand", ADOPT_BY_HAND }, { "theirs", ADOPT_OTHERS }, { "rubbish", ADOPT_BROKEN },
	{ "bad-record", ADOPT_BROKEN }, { "future", ADOPT_BROKEN },
};

static void
make_store(const struct config *c)
{
	char ours[300];

	snprintf(ours, sizeof(ours), "{\"name\": \"" RECORDED "\", \"owner\": \"0123456789abcdef\", \"runner\": \"%s\", \"phase\": \"ready\", \"uses\": 3}", c->runners[0].key);
	put_machine(TAKE, "none", NULL);
	put_machine(BIG, "none", NULL);
	put_machine(AMAZON, "amazonec2", NULL);
	put_machine(RECORDED, "none", ours);
	put_machine(BUSY, "none", NULL);
	put_machine("stranger", "none", NULL);
	put_machine("hand", "none", "{\"owner\": \"0123456789abcdef\", \"runner\": \"\", \"phase\": \"ready\"}");
	put_machine("theirs", "none", "{\"owner\": \"ffffffffffffffff\", \"runner\": \"12345678\", \"phase\": \"ready\"}");
	put("store/machines/rubbish/config.json", STR("not JSON"));
	put_machine("bad-record", "none", "{");
	put_machine("future", "none", "{\"owner\": \"0123456789abcdef\", \"runner\": \"12345678\", \"phase\": \"hibernating\"}");
}

static const struct adopt_machine *
find(const struct adopt *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->machines[i].name, name) == 0)
			return &a->machines[i];
	return NULL;
}

static void
look(struct adopt *a, struct config *c)
{
	*a = (struct adopt){ .store = fs_join(root, "store"), .uid = geteuid(), .gid = getegid(), .owner = "0123456789abcdef" };
	a->check.config = c;
	ok(adopt_look(a, NULL) == 0, "the store can be looked at");
}

static void
done(struct adopt *a)
{
	arena_reset(&a->arena);
	free(a->store);
}

static void
check_record(const struct config *c)
{
	char *path = fs_join(root, "store/machines/" TAKE);
	int dir = fs_opendir(AT_FDCWD, path, NULL);
	struct machine_record r = { 0 };
	struct arena a = { 0 };
	struct stat st;

	ok(machine_record_read(dir, &a, &r, NULL) == 0, "there is a record");
	is_str(r.owner, "0123456789abcdef", "... of this windlass");
	is_str(r.runner, c->runners[0].key, "... for its runner");
	is_int(r.phase, PHASE_READY, "... ready");
	is_int(r.uses, 1, "... used once, as the original counts");
	is_int(wall_seconds(r.created), 1772445600, "... created when its name says");
	is_str(r.options_hash, "", "... of unknown options, so that it is not taken for stale");
	ok(fstatat(dir, "windlass.json", &st, 0) == 0 && (st.st_mode & 0777) == 0600, "... and for nobody else's eyes");
	arena_reset(&a);
	close(dir);
	free(path);
}

static void
test_store(struct config *c)
{
	struct adopt a, b;
	struct err e = { 0 };
	char *path, *before, *after;
	int dir, lock;

	make_store(c);
	look(&a, c);
	for (size_t i = 0; i < NELEM(fates); i++) {
		const struct adopt_machine *m = find(&a, fates[i].name);

		if (ok(m != NULL, "%s is seen", fates[i].name))
			is_int(m->fate, fates[i].fate, "... and what becomes of it");
	}
	is_int((long long)a.n, NELEM(fates), "nothing else is seen");
	ok(!there("store/machines/" TAKE "/windlass.json") && !there("store/machines/" TAKE "/lock"), "looking writes nothing");
	is_int(find(&a, TAKE)->uses, -1, "the original does not say how often it was used");
	is_int(find(&a, RECORDED)->uses, 3, "our record does");

	before = get("store/machines/" TAKE "/config.json");
	ok(adopt_take(&a, find(&a, TAKE), &e) == 0 && adopt_take(&a, find(&a, BIG), &e) == 0, "two are taken over");
	after = get("store/machines/" TAKE "/config.json");
	is_str(after, before, "config.json is as it was");
	ok(!there("store/machines/" TAKE "/config.json.bak"), "no copy of it either");
	check_record(c);
	free(before);
	free(after);

	/* Somebody works on that one. */
	path = fs_join(root, "store/machines/" BUSY);
	dir = fs_opendir(AT_FDCWD, path, NULL);
	lock = lock_take(dir, "lock", LOCK_TRY, NULL);
	ok(adopt_take(&a, find(&a, BUSY), &e) < 0 && e.kind == ERR_CONFLICT, "a machine that is being worked on waits: %s", e.msg);
	close(lock);
	ok(!fs_exists(dir, "windlass.json"), "... and got no record");
	close(dir);
	free(path);

	e = (struct err){ 0 };
	ok(adopt_take(&a, find(&a, TAKE), &e) < 0 && e.kind == ERR_CONFLICT, "a stale look does not write over a record: %s", e.msg);

	look(&b, c);
	is_int(find(&b, TAKE)->fate, ADOPT_OURS, "looked at again it is ours");
	is_str(find(&b, BIG)->runner->name, "long", "and the other one is the other runner's");
	before = get("store/machines/" TAKE "/windlass.json");
	ok(adopt_take(&b, find(&b, TAKE), NULL) == 0, "what is ours may be gone over again");
	after = get("store/machines/" TAKE "/windlass.json");
	is_str(after, before, "... and its record is as it was");
	free(before);
	free(after);
	done(&a);
	done(&b);
}

/* ---- processes ---- */

#define WORDS(s) (struct str){ (s), sizeof(s) - 1 }

static void
put_process(const char *pid, struct str cmdline, struct str environ, struct str cgroup)
{
	char path[128], *dir, *link;

	snprintf(path, sizeof(path), "proc/%s/cmdline", pid);
	put(path, cmdline);
	snprintf(path, sizeof(path), "proc/%s/environ", pid);
	put(path, environ);
	snprintf(path, sizeof(path), "proc/%s/cgroup", pid);
	put(path, cgroup);
	snprintf(path, sizeof(path), "proc/%s", pid);
	dir = fs_join(root, path);
	link = fs_join(dir, "root");
	(void)!symlink("/", link);
	free(link);
	link = fs_join(dir, "cwd");
	(void)!symlink(root, link);
	free(link);
	link = fs_join(dir, "exe");
	(void)!symlink(strcmp(pid, "16") == 0 ? "/opt/windlass" : "/usr/bin/gitlab-runner", link);
	free(link);
	free(dir);
}

static const struct adopt_process *
by_pid(const struct adopt_process *p, size_t n, int pid)
{
	for (size_t i = 0; i < n; i++)
		if (p[i].pid == pid)
			return &p[i];
	return NULL;
}

static void
test_processes(void)
{
	static const struct str system = STR("0::/system.slice/gitlab-runner.service\n");
	struct arena a = { 0 };
	struct adopt_process *p;
	char *ours = fs_join(root, "config.toml"), *proc = fs_join(root, "proc");
	struct buf b = { 0 };
	size_t n;

	put("config.toml", STR(""));
	put("other.toml", STR(""));
	buf_fmt(&b, "/usr/bin/gitlab-runner%crun%c--config%c%s%c--working-directory%c/home%c", 0, 0, 0, ours, 0, 0, 0);
	put_process("10", buf_str(&b), WORDS("HOME=/root\0MACHINE_STORAGE_PATH=/srv/machines\0"), system);
	put_process("11", WORDS("gitlab-runner\0--debug\0run\0--config=other.toml\0"), WORDS("HOME=/home/ci\0"),
	    STR("12:pids:/user.slice\n1:name=systemd:/user.slice/user-1000.slice/user@1000.service/app.slice/ci.service\n"));
	put_process("12", WORDS("gitlab-runner\0run\0-c\0config.toml\0"), STR(""), STR("0::/system.slice/docker-0123.scope\n"));
	put_process("13", WORDS("gitlab-runner\0verify\0--config\0config.toml\0"), STR(""), system);
	put_process("14", WORDS("gitlab-runner-helper\0run\0"), STR(""), system);
	put_process("15", WORDS("vi\0gitlab-runner\0run\0"), STR(""), system);
	put_process("16", WORDS("gitlab-runner\0run\0-c\0config.toml\0"), STR(""), system);
	put_process("17", WORDS("gitlab-runner\0run\0"), WORDS("A=b\0CONFIG_FILE=config.toml\0"), STR(""));
	n = adopt_processes(&a, proc, ours, &p);
	is_int((long long)n, 4, "four of eight are gitlab-runners that run");
	if (ok(by_pid(p, n, 10) != NULL, "the system's")) {
		const struct adopt_process *x = by_pid(p, n, 10);

		ok(x->same_config && !x->user_unit && !x->contained, "... works on our file");
		is_str(x->unit, "gitlab-runner.service", "... is a unit's");
		is_str(x->store, "/srv/machines", "... and has its store elsewhere");
	}
	if (ok(by_pid(p, n, 11) != NULL, "a user's")) {
		const struct adopt_process *x = by_pid(p, n, 11);

		ok(!x->same_config && x->user_unit, "... works on another file, in a user's systemd");
		is_str(x->unit, "ci.service", "... is its unit's");
		is_str(x->store, "/home/ci/.docker/machine", "... and has its store at home");
	}
	ok(by_pid(p, n, 12) != NULL && by_pid(p, n, 12)->same_config && by_pid(p, n, 12)->contained, "one in a container, by a relative path");
	ok(by_pid(p, n, 17) != NULL && by_pid(p, n, 17)->same_config, "one that was told by its environment");
	buf_free(&b);

	ok(adopt_enabled_unit(&a, proc) == NULL, "no unit is enabled");
	put("etc/multi-user.target.wants/gitlab-runner.service", STR("ExecStart=/usr/bin/gitlab-runner run"));
	free(proc);
	proc = fs_join(root, "etc");
	is_str(adopt_enabled_unit(&a, proc), "gitlab-runner.service", "the original's unit is enabled");
	put("etc/multi-user.target.wants/gitlab-runner.service", STR("ExecStart=/usr/bin/windlass run"));
	ok(adopt_enabled_unit(&a, proc) == NULL, "ours under that name does not count");
	arena_reset(&a);
	free(proc);
	free(ours);
}

int
main(void)
{
	struct err e = { 0 };
	struct config *c;

	snprintf(root, sizeof(root), "/tmp/adopt-test.XXXXXX");
	if (mkdtemp(root) == NULL)
		return 1;
	c = config_parse("config.toml", str_from(config_text), NULL, NULL, &e);
	if (ok(c != NULL, "the configuration is good %s", e.msg)) {
		test_whose(c);
		test_store(c);
		test_processes();
	}
	config_free(c);
	fs_remove_tree(AT_FDCWD, root, NULL);
	return done_testing();
}
