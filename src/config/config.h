/*
 * config.toml as the manager works with it. Reading is whole or not at all:
 * a broken file gives an error with file, line, column and reason, and the
 * caller keeps its last good configuration. A broken [[runners]] entry disables
 * that entry, not the file (spec gitlab-runner 9, item 11).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/settings.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mono.h"
#include "core/secret.h"
#include "policy/names.h"
#include "policy/periods.h"
#include "policy/scale.h"
#include "wire/toml.h"

struct key;

/* One [[runners.machine.autoscaling]] entry as it is written. */
struct autoscaling {
	AUTOSCALING_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	unsigned	 given;		/* enum periods_given */
};

/* One [[runners]] entry: the rows KEY and JOB of its sections (config/keylist.h), and what follows from them. */
struct runner {
	RUNNER_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	BUILD_DIR_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	MACHINE_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	struct docker_settings docker;
	bool		 has_machine;	/* there is a [runners.machine] */
	struct autoscaling *autoscaling;
	size_t		 nautoscaling;
	/* made from the above */
	char		 short_token[NAMES_SHORT_SIZE];
	char		 key[9];		/* which pool: 8 hex of URL, id (token where there is none) and MachineName, stable over restarts and reloads */
	char		 instance[9];		/* 8 hex of the URL */
	char		 options_hash[17];	/* of driver and options: W22 */
	char		 account[9];		/* 8 hex of driver and credentials: entries with the same share the cloud's limits */
	unsigned	 rules;			/* enum scale_rules, of ScalingRules */
	struct periods	 periods;		/* which idle settings hold when; the base without any entry */
	struct names_pool names;
	const char	*base_url;		/* trimmed, without /ci (spec gitlab-runner 1.1) */
	const char	*disabled;		/* why this entry cannot run; NULL if it can */
	const struct key *fault_key;	/* the key that is to blame for it, of [[runners]] or [runners.machine]; NULL if none is */
	bool		 stays;			/* disabled, as it is for gitlab-runner, beside others that are for us */
	const char	*unset;			/* a variable that url or token names and the environment does not have; NULL */
	int		 line;			/* where the entry stands */
};

struct config {
	struct arena	 arena;
	const char	*path;
	GLOBAL_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	DRAIN_KEYS(KEY_MEMBER, KEY_MEMBER, KEY_SKIP, KEY_SKIP, KEY_SKIP, KEY_SKIP)
	struct runner	*runners;
	size_t		 nrunners;
	uint64_t	 hash;		/* of the file's bytes */
};

/*
 * Why an entry, which can be read, could never run a job: a sentence (in a, or static), or NULL. entry is its table.
 * Reads no file, for what a file says may be mended while the configuration stays as it is.
 */
typedef const char *config_judge(struct arena *a, const struct config *c, struct runner *r, const struct toml *entry);
/* From now on every file that is read is judged so. What drivers and executors know of their settings is asked through this: the manager includes neither. */
void	config_judge_by(config_judge *fn);
/* An executor of gitlab-runner's, and not ours. */
bool	config_foreign_executor(const char *name);

/* What a reader of the file should be told: unknown keys, keys without effect, traps. */
typedef void config_note(void *ctx, enum log_level level, int line, const char *text);

/*
 * Parses text. Returns a malloc'd configuration (config_free), or NULL with "PATH: line L, column C: reason".
 * Variables ($VAR, ${VAR}) in url and token are taken from the environment. note may be NULL.
 */
struct config	*config_parse(const char *path, struct str text, config_note *note, void *ctx, struct err *e);
/* The same from the file; a missing file is an empty configuration. */
struct config	*config_load(const char *path, config_note *note, void *ctx, struct err *e);
void		 config_free(struct config *c);
/* How many entries are not skipped. */
size_t		 config_runnable(const struct config *c);

/* Spec gitlab-runner 2.1: by CONFIG_FILE, the user, the home directory. malloc'd. */
char	*config_default_path(void);
/*
 * A file that goes with a server by its name, for those that config.toml does not name: <certs>/<host><suffix>, where
 * suffix is ".crt" (authority), ".auth.crt" or ".auth.key" (client). malloc'd; NULL if there is none.
 */
char	*config_cert_file(const char *url, const char *suffix);
/* Spec gitlab-runner 2.3: reads .runner_system_id beside the file, or makes it. out[15]. */
int	config_system_id(const char *config_path, char out[15], struct err *e);

#endif
