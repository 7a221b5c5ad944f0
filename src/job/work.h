/*
 * What follows from a job's payload and its runner's configuration, worked
 * out once: variables, feature flags, settings, directories, names. Pure: no
 * file, no clock, no socket; the same input gives the same work, so a restarted
 * executor comes to the same names and scripts (spec job-execution 1.8, 3.4, 5.6, 6.1; gitlab-runner 7.5, 8).
 *
 * Nothing here fails: what a setting gets wrong is a line in `warnings` and
 * the default; what forbids the job is in `fault` or `bad_executor_opts`, and
 * the rest is filled in all the same.
 */
#ifndef JOB_WORK_H
#define JOB_WORK_H

#include "job/payload.h"

enum git_strategy { GIT_CLONE, GIT_FETCH, GIT_NONE, GIT_EMPTY };
enum submodule_strategy { SUBMODULES_NONE, SUBMODULES_NORMAL, SUBMODULES_RECURSIVE, SUBMODULES_INVALID };

struct step {
	struct str	 name;		/* "script", "release" */
	char		*stage;		/* "step_script": lower case, [a-z0-9_.-] only */
	struct json_val	 script;	/* array of strings */
};

struct work {
	const struct payload	*p;
	struct arena		*a;
	struct vars		 vars;		/* expanded; spec 5.6 order */
	char	*machine;
	/* directories in the containers, absolute and cleaned */
	char	*builds_dir, *cache_root, *project_dir, *tmp_dir, *cache_dir;
	/* names on the engine */
	char	*unique_name;		/* runner-<short>-project-<id>-concurrent-0 */
	char	*random_name;		/* unique_name-<tag> */
	char	*build_name, *helper_name;	/* random_name + -build, -predefined */
	char	*hostname;
	char	*network_name;		/* of FF_NETWORK_PER_BUILD */
	char	*volume_hash;		/* 32 hex of spec 1.8 */
	bool	 protected;		/* volume names get "-protected" */
	/* job */
	int64_t	 project_id;
	struct str image;		/* expanded; the job's, else the runner's; empty: none */
	struct json_val image_json;	/* the job's image object (entrypoint, pull_policy, executor_opts), absent when the runner's is used */
	struct step *steps;		/* every step that is not after_script, in order */
	size_t	 nsteps;
	struct json_val after_script;	/* array, absent if none */
	/* settings, each a variable with its default; bad values give a line in warnings */
	enum git_strategy	git;
	enum submodule_strategy submodules;
	bool	 git_checkout, lfs_skip_smudge, submodule_force_https;
	int64_t	 depth, submodule_depth;
	int	 get_sources_attempts, executor_attempts;
	dur_t	 script_timeout, after_script_timeout;	/* script_timeout 0: none */
	bool	 after_script_ignore_errors;
	bool	 debug_trace;		/* CI_DEBUG_TRACE: the scripts run with xtrace */
	struct buf warnings;		/* lines for the start of the job log, one a problem */
	/* a setting that forbids the job: the text of a runner_configuration_error; NULL if none */
	char	*fault;
	/*
	 * The text of a runner_system_failure with exit code 3; NULL if none. Keys in executor_opts that nobody knows, or
	 * `run` beside script lines or beside a variable STEPS (spec gitlab-runner 1.11).
	 */
	char	*bad_executor_opts;
	/* private */
	size_t	 at_project_dir, at_tmp_dir;	/* our own entries in vars */
	bool	 native_steps;		/* the job is made of `run` */
	uint64_t flags_on;		/* a bit for each feature flag of the table */
	bool	*unexported;		/* of vars.v[0..nunexported); NULL while all of them are exported */
	size_t	 nunexported;
};

/*
 * machine: its name; tag: 16 hex digits drawn once per job; concurrent_id: CI_CONCURRENT_ID. Always succeeds; problems are in
 * warnings and fault.
 */
void	work_init(struct work *w, const struct payload *p, const char *machine, const char *tag, int64_t concurrent_id);
/* Feature flags known to this version, their defaults and whether they are on for this job. False for unknown names. */
bool	work_flag(const struct work *w, const char *name);
/* "FF_X:true, FF_Y:false": those that differ from their defaults; "" if none. Into the arena. */
char	*work_flags_changed(const struct work *w);
/* CI_JOB_STATUS for what follows: success, failed, canceled, timedout. */
void	work_set_status(struct work *w, const char *status);
/*
 * Whether a variable may be in a program's environment. The kernel takes no
 * entry of 128 KiB or more and only so much altogether; one more and every
 * exec in the container fails with "Argument list too long". Such variables
 * are set in the scripts, not exported, and named in the warnings. v points into w->vars.
 */
bool	work_exported(const struct work *w, const struct var *v);
/* The path of a file variable's file: tmp_dir/KEY. Into the arena. */
char	*work_file_path(const struct work *w, struct str key);
/* Phrases and prefixes for the job's masking (spec gitlab-runner 6.6): masked variables after expansion, job and runner token. Arrays into the arena. */
void	work_mask_phrases(const struct work *w, struct str **phrases, size_t *nphrases, struct str **prefixes, size_t *nprefixes);
/* "http"-safe URL of the job: <project url>/-/jobs/<id>, for labels. */
char	*work_job_url(const struct work *w);
/*
 * Appends a line for each thing the job asks for that this version does not do: services, cache, artifacts... For the job's
 * log. The result is 0 when the job can do without them (a line may have been said), else the set of what it needs, for
 * work_unsupported_why(), which appends the sentence that such a job fails with.
 */
unsigned work_unsupported(const struct work *w, struct buf *out);
void	work_unsupported_why(unsigned asked, struct buf *out);

#endif
