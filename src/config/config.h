/*
 * config.toml as the manager works with it. Reading is whole or not at all:
 * a broken file gives an error with file, line, column and reason, and the
 * caller keeps its last good configuration. A broken [[runners]] entry disables
 * that entry, not the file (spec gitlab-runner 9, item 11).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "core/arena.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mono.h"
#include "core/secret.h"
#include "policy/names.h"
#include "policy/periods.h"
#include "policy/scale.h"
#include "wire/toml.h"

struct strings { const char **v; size_t n; };

/* One [[runners.machine.autoscaling]] entry as it is written. */
struct autoscaling {
	struct strings	 periods;
	const char	*timezone;
	int64_t		 idle_count, idle_count_min, idle_time;
	double		 idle_scale_factor;
	unsigned	 given;		/* enum periods_given */
};

/* One [[runners]] entry. Fields named in keys.c by offset. */
struct runner {
	const char	*name, *url;
	struct secret	 token;
	int64_t		 id;
	const char	*tls_ca_file, *tls_cert_file, *tls_key_file;
	int64_t		 limit, output_limit, request_concurrency;
	bool		 strict_check_interval;
	int64_t		 unhealthy_requests_limit;
	dur_t		 unhealthy_interval;
	int64_t		 final_update_tries;
	const char	*executor, *builds_dir, *cache_dir, *clone_url, *shell;
	struct strings	 environment;
	const char	*pre_get_sources_script, *post_get_sources_script;
	const char	*pre_build_script, *post_build_script;
	dur_t		 prepare_timeout, get_sources_timeout;
	bool		 debug_trace_disabled, ignore_unsupported, safe_directory_checkout, clean_git_config;
	bool		 custom_build_dir;
	/* [runners.machine] */
	bool		 has_machine, has_docker;
	int64_t		 max_growth, idle_count, idle_count_min, idle_time, max_builds, max_removal_attempts;
	double		 idle_scale_factor;
	const char	*machine_driver, *machine_name;
	struct strings	 machine_options, machine_options_with_name;
	double		 growth_per_second;
	int64_t		 growth_burst, factor_limit, failure_threshold, max_machine_age;	/* age in s */
	bool		 preemptive;
	const char	*ready_command, *periods_syntax;
	struct strings	 scaling_rules;
	struct autoscaling *autoscaling;
	size_t		 nautoscaling;
	/* made from the above */
	struct toml	*docker;		/* the table, for runner.json */
	struct toml	*feature_flags;
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
	const char	*fault_key;		/* the key that is to blame for it, of [[runners]] or [runners.machine]; "" if none is */
	bool		 stays;			/* disabled, as it is for gitlab-runner, beside others that are for us */
	const char	*unset;			/* a variable that url or token names and the environment does not have; NULL */
	int		 line;			/* where the entry stands */
};

struct config {
	struct arena	 arena;
	const char	*path;
	int64_t		 concurrent, check_interval, shutdown_timeout;	/* intervals in s */
	dur_t		 connection_max_age;
	int64_t		 max_machines;					/* over all runners; 0 = no limit */
	/* [machine.shutdown_drain] */
	bool		 drain;
	int64_t		 drain_concurrency, drain_retries, drain_backoff;	/* back-off in ns */
	const char	*log_level, *log_format, *listen_address;
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
