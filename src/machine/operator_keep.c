/*
 * What an operator keeps when it stops being root: the directories it writes and the files that
 * only root may read.
 */
#include <fcntl.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/identity.h"
#include "core/log.h"
#include "machine/operator_parts.h"

/* A file that a value names: "/path", "file:/path". */
static void
keep_value(struct str value)
{
	struct arena a = { 0 };

	if (str_starts(value, "file:"))
		value = str_sub(value, strlen("file:"), value.n);
	if (str_starts(value, "/"))
		fs_keep(arena_dup(&a, value));
	arena_reset(&a);
}

/* A file that an option names: "name=/path", or a member of Driver. */
static void
keep_option(struct str option)
{
	ssize_t at = str_chr(option, '=');

	keep_value(at >= 0 ? str_sub(option, (size_t)at + 1, option.n) : option);
}

/* Files that variables name: those of paths and credentials, and the process's certificates. */
static void
keep_variables(void)
{
	keep_value(str_from(getenv("SSL_CERT_FILE")));
	for (size_t i = 0; cloud_drivers[i] != NULL; i++) {
		const struct catalog_cloud *about = cloud_drivers[i]->about;

		for (size_t k = 0; k < about->noptions; k++)
			if (about->options[k].env != NULL &&
			    (about->options[k].roles & (OPTION_FILE | OPTION_CREDENTIAL)) != 0)
				keep_value(str_from(getenv(about->options[k].env)));
	}
}

/* Files that strings anywhere in a value name. */
static void
keep_named(struct arena *a, struct json_val v, int depth)
{
	if (json_type(v) == JSON_STRING)
		keep_option(json_str(a, v));
	else if (depth > 0 && (json_type(v) == JSON_OBJECT || json_type(v) == JSON_ARRAY))
		JSON_EACH(each, v)
			keep_named(a, each, depth - 1);
}

/*
 * Keys, tokens, certificates and user data that the options name, which only root may read. What config.toml says comes by the plan; the
 * machine's own record, which an operator writes, is believed only when its runner has left the configuration (or we were started by hand).
 */
static void
keep_files(const struct operator_args *args, struct arena *of_plan, struct json_val plan)
{
	struct buf b = { .max = OPERATOR_PLAN_MAX };
	struct arena a = { 0 };
	struct json_val root = JSON_NONE;
	int dir;

	keep_variables();
	if (!json_present(json_get(plan, "options")) && (dir = store_open(args->store, args->name, NULL)) >= 0) {
		if (fs_read(dir, STOREFILE_CONFIG, OPERATOR_PLAN_MAX, &b, NULL) == 0)
			(void)json_parse(&a, arena_str(&a, buf_str(&b)), &root, NULL);
		keep_named(&a, json_get(root, "Driver"), 3);
		close(dir);
	}
	keep_named(of_plan, json_get(plan, "options"), 1);
	buf_wipe(&b);
	arena_reset(&a);
}

/*
 * A directory of the store becomes the operators' (root, and docker-machine as root, read it as before), and its path stays usable although
 * what is above it may be closed to everybody else.
 */
static bool
take_directory(const struct operator_args *args, const char *name, bool change, bool machines)
{
	char *path = fs_join(args->store, name);
	int dir, one = -1;
	struct err e = { 0 };
	bool taken = fs_mkdirs(path, 0700, &e) == 0;

	dir = taken ? fs_opendir(AT_FDCWD, path, &e) : -1;
	if (dir >= 0 && change) {
		/* An operator of one machine leaves the others' alone; a round looks at all of them. */
		if (machines && store_name_ok(str_from(args->name)))
			one = openat(dir, args->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		taken = one < 0 || identity_hand_over_tree(one, IDENTITY_OPERATOR, 1, &e) == 0;
		taken = taken && identity_hand_over_tree(dir, IDENTITY_OPERATOR, machines && args->name[0] == '\0', &e) == 0;
		if (one >= 0)
			close(one);
	}
	if (!taken || dir < 0)
		log_debug("The store cannot be handed over: this operator stays root", F_ERR(&e));
	if (dir >= 0)
		close(dir);
	fs_keep(path);
	free(path);
	return taken && dir >= 0;
}

/* Who it is from here on: everything that only root may open is open. */
uid_t
operator_take_store(const struct operator_args *args, struct arena *a, struct json_val plan)
{
	bool change = identity_changes();
	bool taken = take_directory(args, STORE_CERTS, change, false);

	taken = take_directory(args, STORE_MACHINES, change, true) && taken;
	keep_files(args, a, plan);
	return taken ? IDENTITY_OPERATOR : 0;
}
