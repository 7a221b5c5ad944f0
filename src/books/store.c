/* The store of machines: see store.h. */
#include <sys/stat.h>
#include <dirent.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "books/format.h"
#include "books/store.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/lock.h"
#include "core/rand.h"
#include "wire/fields.h"
#include "wire/json.h"

#define FILE_BYTES_MAX	(1u << 20)
#define NEW_PREFIX	".new."
#define GONE_PREFIX	".gone."
#define YOUNG_S		60	/* an unfinished directory this young may be about to get its lock */

static const char *const phase_names[] = {
	[PHASE_NONE] = "", [PHASE_PLANNED] = "planned", [PHASE_REQUESTED] = "requested",
	[PHASE_CREATED] = "created", [PHASE_BOOTED] = "booted", [PHASE_PROVISIONED] = "provisioned",
	[PHASE_READY] = "ready", [PHASE_DELETING] = "deleting",
};

const char *
phase_name(enum machine_phase p)
{
	return phase_names[p];
}

enum machine_phase
phase_parse(struct str s)
{
	for (size_t i = 1; i < NELEM(phase_names); i++)
		if (str_eqc(s, phase_names[i]))
			return (enum machine_phase)i;
	return PHASE_NONE;
}

void
machine_options_hash(const char *driver, const char *const *options, size_t n, char out[17])
{
	struct buf b = { 0 };
	uint8_t digest[32];

	buf_puts(&b, driver);
	for (size_t i = 0; i < n; i++) {
		buf_putc(&b, '\0');
		buf_puts(&b, options[i]);
	}
	hash_sha256(b.p, b.n, digest);
	hash_hex(digest, 8, out);
	buf_wipe(&b);
}

char *
store_default_path(void)
{
	const char *v = getenv("MACHINE_STORAGE_PATH");

	if (v != NULL && v[0] != '\0')
		return xstrdup(v);
	v = getenv("HOME");
	return v != NULL && v[0] != '\0' ? fs_join(v, ".docker/machine") : NULL;
}

bool
store_name_ok(struct str name)
{
	if (name.n == 0 || name.n > MACHINE_NAME_MAX || name.p[0] == '.' || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '.' || c == '-'))
			return false;
	}
	return true;
}

static int
open_machines(const char *store, struct err *e)
{
	char *path = fs_join(store, STORE_MACHINES);
	int fd = fs_opendir(AT_FDCWD, path, e);

	free(path);
	return fd;
}

ssize_t
store_list(const char *store, char ***names, struct err *e)
{
	char *path = fs_join(store, STORE_MACHINES), **all = NULL;
	ssize_t n = fs_list(AT_FDCWD, path, &all, e), kept = 0;
	int fd = -1;

	*names = NULL;
	if (n > 0 && (fd = fs_opendir(AT_FDCWD, path, e)) < 0) {
		fs_free_names(all, n);
		n = -1;
	}
	for (ssize_t i = 0; i < n; i++) {
		char config[NAME_MAX + sizeof("/" STOREFILE_CONFIG)];
		char record[NAME_MAX + sizeof("/" STOREFILE_RECORD)];

		snprintf(config, sizeof(config), "%s/" STOREFILE_CONFIG, all[i]);
		snprintf(record, sizeof(record), "%s/" STOREFILE_RECORD, all[i]);
		if (fs_exists(fd, config) || fs_exists(fd, record))
			all[kept++] = all[i];
		else
			free(all[i]);
	}
	if (fd >= 0)
		close(fd);
	free(path);
	if (n < 0)
		return -1;
	*names = all;
	return kept;
}

int
store_open(const char *store, const char *name, struct err *e)
{
	int machines, fd;

	if (!store_name_ok(str_from(name)))
		return err_set(e, ERR_NOTFOUND, 0, "\"%s\" is not a machine's name", name);
	machines = open_machines(store, e);
	if (machines >= 0) {
		fd = openat(machines, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			err_sys(e, "machine %s", name);
		close(machines);
	} else
		fd = -1;
	if (fd < 0 && e != NULL && e->kind == ERR_NOTFOUND)
		err_set(e, ERR_NOTFOUND, ENOENT, "machine \"%s\" does not exist", name);
	return fd;
}

/* Whether the directory still is where it was opened: removing a machine renames it to a name with a dot. */
static bool
still_there(int dir)
{
	char link[64], path[PATH_MAX];
	ssize_t n;
	const char *base;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	base = strrchr(path, '/');
	if (base != NULL && strncmp(base + 1, GONE_PREFIX, strlen(GONE_PREFIX)) == 0)
		return false;
	return fs_exists(dir, STOREFILE_LOCK);
}

int
store_lock(int machine_dir, bool wait, struct err *e)
{
	int fd = lock_take(machine_dir, STOREFILE_LOCK, wait ? LOCK_WAIT : LOCK_TRY, e);

	if (fd >= 0 && !still_there(machine_dir)) {
		close(fd);
		return err_set(e, ERR_NOTFOUND, ENOENT, "the machine has been removed meanwhile");
	}
	if (fd < 0 && e != NULL && e->kind == ERR_NOTFOUND)
		err_set(e, ERR_NOTFOUND, ENOENT, "the machine has been removed meanwhile");
	return fd;
}

int
store_make(const char *store, const char *name, struct store_new *n, struct err *e)
{
	char *path = fs_join(store, STORE_MACHINES), tag[9];
	int machines = -1, rc = -1;

	n->dir = n->lock = -1;
	if (!store_name_ok(str_from(name))) {
		err_set(e, ERR_CONFIG, 0, "invalid machine name \"%s\": letters, digits, dots and dashes, beginning with a "
		    "letter or digit, at most %d", name, MACHINE_NAME_MAX);
		goto out;
	}
	if (fs_mkdirs(path, 0700, e) < 0)
		goto out;
	machines = fs_opendir(AT_FDCWD, path, e);
	if (machines < 0)
		goto out;
	if (fs_exists(machines, name)) {
		err_set(e, ERR_CONFLICT, EEXIST, "machine \"%s\" already exists", name);
		goto out;
	}
	rand_hex(tag, 8);
	snprintf(n->tmp, sizeof(n->tmp), NEW_PREFIX "%s.%s", name, tag);
	if (mkdirat(machines, n->tmp, 0700) < 0) {
		err_sys(e, "mkdir %s/%s", path, n->tmp);
		goto out;
	}
	n->dir = fs_opendir(machines, n->tmp, e);
	n->lock = n->dir >= 0 ? lock_take(n->dir, STOREFILE_LOCK, LOCK_TRY, e) : -1;
	rc = n->lock >= 0 ? 0 : -1;
out:
	if (rc < 0 && n->dir >= 0) {
		close(n->dir);
		n->dir = -1;
	}
	if (machines >= 0)
		close(machines);
	free(path);
	return rc;
}

int
store_reveal(const char *store, const char *tmp, const char *name, struct err *e)
{
	int machines = open_machines(store, e), rc = -1;

	if (machines < 0)
		return -1;
	/* An empty directory of that name would be replaced by rename(2); it is nobody's machine. */
	if (renameat(machines, tmp, machines, name) == 0)
		rc = fs_sync_dir(machines, e);
	else if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
		err_set(e, ERR_CONFLICT, EEXIST, "machine \"%s\" already exists", name);
	else
		err_sys(e, "rename %s to %s", tmp, name);
	close(machines);
	return rc;
}

int
store_has_certified(const char *store, struct err *e)
{
	char **names;
	ssize_t n = store_list(store, &names, e);
	int machines = n > 0 ? open_machines(store, e) : -1, has = 0;

	if (n < 0 || (n > 0 && machines < 0))
		return -1;
	for (ssize_t i = 0; i < n && !has; i++) {
		char path[NAME_MAX + sizeof("/server.pem")];

		snprintf(path, sizeof(path), "%s/server.pem", names[i]);
		has = fs_exists(machines, path);
	}
	fs_free_names(names, n);
	if (machines >= 0)
		close(machines);
	return has;
}

int
store_forget(const char *store, const char *name, struct err *e)
{
	char gone[MACHINE_NAME_MAX + 32], tag[9];
	int machines, rc;

	if (!store_name_ok(str_from(name)))
		return err_set(e, ERR_NOTFOUND, 0, "\"%s\" is not a machine's name", name);
	machines = open_machines(store, e);
	if (machines < 0)
		return e != NULL && e->kind == ERR_NOTFOUND ? 0 : -1;
	rand_hex(tag, 8);
	snprintf(gone, sizeof(gone), GONE_PREFIX "%s.%s", name, tag);
	if (renameat(machines, name, machines, gone) < 0) {
		rc = errno == ENOENT ? 0 : err_sys(e, "rename %s to %s", name, gone);
		close(machines);
		return rc;
	}
	rc = fs_sync_dir(machines, e);
	if (rc == 0)
		rc = fs_remove_tree(machines, gone, e);
	close(machines);
	return rc;
}

static bool
in_use(int machines, const char *name)
{
	struct stat st;
	int dir = fs_opendir(machines, name, NULL);
	int held;

	if (dir < 0)
		return false;
	held = lock_held(dir, STOREFILE_LOCK, NULL, NULL);
	if (held == 0 && !fs_exists(dir, STOREFILE_LOCK) && fstat(dir, &st) == 0)
		held = time(NULL) - st.st_mtime < YOUNG_S;
	close(dir);
	return held != 0;
}

/*
 * Temporaries in a machine's directory, under its lock; who holds that may be writing one. Unlocked machines have no
 * writer: whoever changes a machine takes the lock first.
 */
static void
sweep_machine(int machines, const char *name)
{
	int dir = fs_opendir(machines, name, NULL), lock;

	if (dir < 0)
		return;
	/* The lock is not asked for in vain: a person's command at this instant would be told that the machine is in use. */
	if (fs_has_temporaries(dir) && (lock = store_lock(dir, false, NULL)) >= 0) {
		fs_sweep(dir, 0);
		close(lock);
	}
	close(dir);
}

/* What writers of certs/ left when they were killed (a private key may be in it), unless one lives: they hold its lock. */
static void
sweep_certs(const char *store)
{
	char *certs = fs_join(store, STORE_CERTS);
	int dir = fs_opendir(AT_FDCWD, certs, NULL), lock;

	if (dir >= 0 && fs_has_temporaries(dir) && (lock = lock_take(dir, CERTS_LOCK, LOCK_TRY, NULL)) >= 0) {
		fs_sweep(dir, 0);
		close(lock);
	}
	if (dir >= 0)
		close(dir);
	free(certs);
}

int
store_sweep(const char *store, struct err *e)
{
	int machines = open_machines(store, e), rc = 0;
	struct dirent *d;
	DIR *dir;

	sweep_certs(store);
	if (machines < 0)
		return e != NULL && e->kind == ERR_NOTFOUND ? 0 : -1;
	dir = fdopendir(machines);
	if (dir == NULL) {
		close(machines);
		return err_sys(e, "list machines");
	}
	while ((d = readdir(dir)) != NULL) {
		bool gone = strncmp(d->d_name, GONE_PREFIX, strlen(GONE_PREFIX)) == 0;

		if (!gone && strncmp(d->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0) {
			if (d->d_name[0] != '.')
				sweep_machine(dirfd(dir), d->d_name);
			continue;
		}
		if (in_use(dirfd(dir), d->d_name))
			continue;
		if (fs_remove_tree(dirfd(dir), d->d_name, e) < 0)
			rc = -1;
	}
	closedir(dir);
	return rc;
}

/* windlass.json */

static const struct field record_fields[] = {
	FIELD(struct machine_record, STR, "name", name),
	FIELD(struct machine_record, STR, "owner", owner),
	FIELD(struct machine_record, STR, "nonce", nonce),
	FIELD(struct machine_record, STR, "driver", driver),
	FIELD(struct machine_record, STR, "runner", runner),
};
static const struct field record_times[] = {
	FIELD(struct machine_record, TIME, "created", created),
	FIELD(struct machine_record, TIME, "phase_since", phase_since),
};
static const struct field record_more[] = {
	FIELD(struct machine_record, TIME, "last_used", last_used),
	FIELD(struct machine_record, TIME, "asked", asked),
	FIELD(struct machine_record, STR, "host_key", host_key),
	FIELD(struct machine_record, STR, "options_hash", options_hash),
	FIELD(struct machine_record, INT, "uses", uses),
	FIELD(struct machine_record, INT, "attempts", attempts),
	FIELD(struct machine_record, INT, "unanswered", unanswered),
	FIELD(struct machine_record, INT, "removal_failures", removal_failures),
	FIELD(struct machine_record, INT, "system_failures", system_failures),
	FIELD(struct machine_record, STR_IF, "account", account),
	FIELD(struct machine_record, STR_IF, "rung", rung),
	FIELD(struct machine_record, STR_IF, "step", step),
	FIELD(struct machine_record, STR, "last_error", last_error),
	FIELD(struct machine_record, STR, "remove_reason", remove_reason),
};
/*
 * A machine's id as versions before read and wrote it. Still read; and still written for the one cloud those versions
 * know, so that an older binary that comes back (docs/service.md) finds its machines by their ids.
 */
#define KIND_MACHINE_BEFORE	"droplet"
#define KIND_OF_MACHINE		"machine"
#define DRIVER_BEFORE		"digitalocean"

/* Members that need a word of their own; here so that they are not taken for unknown ones. */
static const char *const record_special[] = { "v", "phase", "ids" };

static void
empty_record(struct machine_record *r)
{
	*r = (struct machine_record){
		.name = "", .owner = "", .nonce = "", .driver = "", .runner = "", .rung = "", .step = "",
		.host_key = "", .options_hash = "", .account = "", .last_error = "", .remove_reason = "",
	};
}

/* What no table and no special member names. */
static struct str
unknown_members(struct arena *a, struct json_val root)
{
	struct field known[NELEM(record_fields) + NELEM(record_times) + NELEM(record_special)];
	size_t n = 0;

	for (size_t i = 0; i < NELEM(record_fields); i++)
		known[n++] = record_fields[i];
	for (size_t i = 0; i < NELEM(record_times); i++)
		known[n++] = record_times[i];
	for (size_t i = 0; i < NELEM(record_special); i++)
		known[n++] = (struct field)FIELD_NAME(record_special[i]);
	return fields_unknown(a, root, known, n, record_more, NELEM(record_more));
}

const char *
record_id(const struct machine_record *r, const char *kind)
{
	for (size_t i = 0; i < r->nids; i++)
		if (strcmp(r->ids[i].kind, kind) == 0)
			return r->ids[i].id;
	return "";
}

void
record_set_id(struct machine_record *r, struct arena *a, const char *kind, const char *id)
{
	struct record_id *v;

	for (size_t i = 0; i < r->nids; i++)
		if (strcmp(r->ids[i].kind, kind) == 0) {
			r->ids[i].id = arena_dup(a, str_from(id));
			return;
		}
	if (id[0] == '\0')
		return;
	v = arena_calloc(a, r->nids + 1, sizeof(*v));
	if (r->nids > 0)
		memcpy(v, r->ids, r->nids * sizeof(*v));
	v[r->nids] = (struct record_id){ arena_dup(a, str_from(kind)), arena_dup(a, str_from(id)) };
	r->ids = v;
	r->nids++;
}

/* Ids are text; what is not (of a later version, say) is kept as it is. */
static void
read_ids(struct arena *a, struct json_val ids, struct machine_record *r)
{
	struct field *known = arena_calloc(a, json_len(ids) + 1, sizeof(*known));
	const char *before = json_cstr(a, json_get(ids, KIND_MACHINE_BEFORE));
	size_t n = 0;

	JSON_EACH(v, ids) {
		const char *kind = arena_dup(a, json_key(a, v));

		if (json_type(v) != JSON_STRING)
			continue;
		known[n++] = (struct field)FIELD_NAME(kind);
		if (strcmp(kind, KIND_MACHINE_BEFORE) != 0)
			record_set_id(r, a, kind, json_cstr(a, v));
	}
	/* Empty too when an older binary learned the id: it keeps "machine" as it was and writes only its own. */
	if (record_id(r, KIND_OF_MACHINE)[0] == '\0')
		record_set_id(r, a, KIND_OF_MACHINE, before);
	r->rest_ids = fields_unknown(a, ids, known, n, NULL, 0);
}

int
machine_record_parse(struct arena *a, struct str text, struct machine_record *r, struct err *e)
{
	struct json_val root, ids;
	struct str phase;

	empty_record(r);
	if (json_parse(a, text, &root, e) < 0)
		return -1;
	if (json_type(root) != JSON_OBJECT)
		return err_set(e, ERR_PARSE, 0, "it is not a JSON object");
	ids = json_get(root, "ids");
	fields_read(a, root, record_fields, NELEM(record_fields), r);
	fields_read(a, root, record_times, NELEM(record_times), r);
	fields_read(a, root, record_more, NELEM(record_more), r);
	read_ids(a, ids, r);
	phase = json_str(a, json_get(root, "phase"));
	r->phase = phase_parse(phase);
	r->rest = unknown_members(a, root);
	if (json_i64(json_get(root, "v"), 1) > STATE_FORMAT || (r->phase == PHASE_NONE && phase.n > 0)) {
		r->phase = PHASE_NONE;
		return err_set(e, ERR_CONFLICT, 0, "a newer version of windlass wrote it. Run that one");
	}
	return 0;
}

void
machine_record_print(const struct machine_record *r, struct buf *b)
{
	struct json_w w = { .b = b, .indent = 2 };

	jw_object(&w, NULL);
	jw_i64(&w, "v", STATE_FORMAT);
	fields_write(&w, record_fields, NELEM(record_fields), r);
	jw_cstr(&w, "phase", phase_name(r->phase));
	fields_write(&w, record_times, NELEM(record_times), r);
	jw_object(&w, "ids");
	for (size_t i = 0; i < r->nids; i++)
		jw_cstr(&w, r->ids[i].kind, r->ids[i].id);
	if (r->driver != NULL && strcmp(r->driver, DRIVER_BEFORE) == 0)
		jw_cstr(&w, KIND_MACHINE_BEFORE, record_id(r, KIND_OF_MACHINE));
	fields_write_unknown(&w, r->rest_ids);
	jw_end_object(&w);
	fields_write(&w, record_more, NELEM(record_more), r);
	fields_write_unknown(&w, r->rest);
	jw_end_object(&w);
	buf_putc(b, '\n');
}

int
machine_record_read(int machine_dir, struct arena *a, struct machine_record *r, struct err *e)
{
	struct buf b = { .max = FILE_BYTES_MAX };
	int rc = -1;

	if (fs_read(machine_dir, STOREFILE_RECORD, FILE_BYTES_MAX, &b, e) == 0) {
		rc = machine_record_parse(a, arena_str(a, buf_str(&b)), r, e);
		if (rc < 0)
			err_ctx(e, STOREFILE_RECORD);
	}
	buf_free(&b);
	return rc;
}

int
machine_record_write(int machine_dir, const struct machine_record *r, struct err *e)
{
	struct buf b = { .max = FILE_BYTES_MAX };
	int rc;

	machine_record_print(r, &b);
	rc = b.failed ? err_set(e, ERR_FULL, 0, STOREFILE_RECORD " would be larger than %u bytes", FILE_BYTES_MAX) :
	    fs_write(machine_dir, STOREFILE_RECORD, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}

/* config.json, as far as others need it */

int
machine_config_read(int machine_dir, struct arena *a, struct machine_config *c, struct err *e)
{
	struct buf b = { .max = FILE_BYTES_MAX };
	struct json_val root, driver;
	int rc = -1;

	if (fs_read(machine_dir, STOREFILE_CONFIG, FILE_BYTES_MAX, &b, e) < 0)
		goto out;
	if (json_parse(a, arena_str(a, buf_str(&b)), &root, e) < 0) {
		err_ctx(e, STOREFILE_CONFIG);
		goto out;
	}
	driver = json_get(root, "Driver");
	*c = (struct machine_config){
		.name = json_cstr(a, json_get(root, "Name")),
		.driver = json_cstr(a, json_get(root, "DriverName")),
		.ip = json_cstr(a, json_get(driver, "IPAddress")),
		.ssh_user = json_cstr(a, json_get(driver, "SSHUser")),
		.ssh_key_path = json_cstr(a, json_get(driver, "SSHKeyPath")),
		.ssh_port = (int)json_i64(json_get(driver, "SSHPort"), 0),
		.auth_store_path = json_cstr(a, json_path(root, "HostOptions.AuthOptions.StorePath")),
	};
	rc = 0;
out:
	buf_wipe(&b);	/* it holds the cloud's token */
	return rc;
}
