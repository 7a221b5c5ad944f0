/*
 * The metrics: one table of names, types, labels and help, as upstream has
 * them (spec gitlab-runner 5, machines 1.16) and ours behind them, from which
 * everything about metrics is made.
 *
 * The manager counts here, in memory, from its start. It serves nothing: its
 * snapshot carries the numbers to the windlass-metrics process, which adds
 * what can be seen from pools, machines and jobs and prints the text
 * (manager/prom.h). What is there to be counted is mostly an event already:
 * event_note() calls metrics_event().
 */
#ifndef MANAGER_METRICS_H
#define MANAGER_METRICS_H

#include "manager/events.h"
#include "manager/model.h"
#include "policy/callstat.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_buckets { BUCKETS_NONE, BUCKETS_JOB, BUCKETS_QUEUE, BUCKETS_CREATION, BUCKETS_CLOUD, BUCKETS_API, BUCKETS_LIFE };

#define METRIC_BOUNDS_MAX	10
#define METRIC_LABELS_MAX	8
#define METRIC_SERIES_MAX	4096	/* of all metrics; what comes after that is not counted */

/* name, type, labels, bounds, help. An empty label list is "". Series of the labels METRIC_R are there from the start, with 0, for each runner. */
#define METRIC_R	"runner runner_name system_id"
#define METRIC_T	"target_zone target_region target_project target_machine_type"
#define METRICS(X) \
	X(VERSION_INFO, "gitlab_runner_version_info", GAUGE, "architecture branch built_at go_version name os revision version", NONE, \
	    "A metric with a constant '1' value labeled by different build stats fields.") \
	X(PROCESS_STATE, "gitlab_runner_process_state_info", GAUGE, "state", NONE, "A metric with a constant '1' value labeled by the state of the process.") \
	X(CONCURRENT, "gitlab_runner_concurrent", GAUGE, "", NONE, "The current value of concurrent setting.") \
	X(LIMIT, "gitlab_runner_limit", GAUGE, METRIC_R, NONE, "The current value of limit setting.") \
	X(JOBS, "gitlab_runner_jobs", GAUGE, METRIC_R " state stage executor_stage", NONE, "The current number of running builds.") \
	X(JOBS_TOTAL, "gitlab_runner_jobs_total", COUNTER, METRIC_R, NONE, "Total number of handled jobs.") \
	X(EXECUTION_MODE, "gitlab_runner_job_execution_mode_total", COUNTER, "mode executor", NONE, "Total number of jobs by execution mode.") \
	X(JOB_DURATION, "gitlab_runner_job_duration_seconds", HISTOGRAM, METRIC_R " mode", JOB, "Histogram of job durations, from its arrival to its result.") \
	X(QUEUE_DURATION, "gitlab_runner_job_queue_duration_seconds", HISTOGRAM, METRIC_R " project_jobs_running", QUEUE, "A histogram representing job queue duration on GitLab's side.") \
	X(QUEUE_SIZE, "gitlab_runner_job_queue_size", GAUGE, METRIC_R, NONE, "Size of GitLab's queue when the last job was taken.") \
	X(QUEUE_DEPTH, "gitlab_runner_job_queue_depth", GAUGE, METRIC_R, NONE, "Depth in GitLab's queue at which the last job was found.") \
	X(QUEUING_EXCEEDED, "gitlab_runner_acceptable_job_queuing_duration_exceeded_total", COUNTER, METRIC_R, NONE, "Jobs that waited at GitLab longer than the configured threshold.") \
	X(FAILED_JOBS, "gitlab_runner_failed_jobs_total", COUNTER, "runner runner_name failure_reason mode", NONE, "Total number of failed jobs.") \
	X(REQUESTS, "gitlab_runner_request_concurrency", GAUGE, "runner system_id", NONE, "The current number of concurrent requests for a new job.") \
	X(REQUESTS_EXCEEDED, "gitlab_runner_request_concurrency_exceeded_total", COUNTER, "runner system_id", NONE, "Times a further request for a job was wanted and the limit forbade it.") \
	X(REQUESTS_HARD, "gitlab_runner_request_concurrency_hard_limit", GAUGE, "runner system_id", NONE, "The configured request_concurrency.") \
	X(REQUESTS_ADAPTIVE, "gitlab_runner_request_concurrency_adaptive_limit", GAUGE, "runner system_id", NONE, "The limit that GitLab's answers have led to.") \
	X(REQUESTS_USED, "gitlab_runner_request_concurrency_used_limit", GAUGE, "runner system_id", NONE, "The limit in force.") \
	X(FEEDS, "gitlab_runner_worker_feeds_total", COUNTER, METRIC_R, NONE, "Total number of requests for a job that were begun.") \
	X(FEED_FAILURES, "gitlab_runner_worker_feed_failures_total", COUNTER, METRIC_R, NONE, "Times a runner was passed over because its token is refused.") \
	X(SLOTS, "gitlab_runner_worker_slots_number", GAUGE, "", NONE, "Current number of slots for jobs.") \
	X(SLOT_OPERATIONS, "gitlab_runner_worker_slot_operations_total", COUNTER, "operation", NONE, "Slots that were added and taken away.") \
	X(PROCESSING_FAILURES, "gitlab_runner_worker_processing_failures_total", COUNTER, "failure_type " METRIC_R, NONE, "Failures of processing by kind.") \
	X(HEALTH_FAILURES, "gitlab_runner_worker_health_check_failures_total", COUNTER, METRIC_R, NONE, "Refusals of the runner's token by GitLab.") \
	X(ERRORS, "gitlab_runner_errors_total", COUNTER, "level", NONE, "The number of lines of warning and worse in the manager's log.") \
	X(CONFIG_LOADED, "gitlab_runner_configuration_loaded_total", COUNTER, "", NONE, "Total number of times the configuration file was loaded.") \
	X(CONFIG_LOAD_ERRORS, "gitlab_runner_configuration_loading_error_total", COUNTER, "", NONE, "Total number of times the configuration file could not be loaded.") \
	X(CONFIG_SAVED, "gitlab_runner_configuration_saved_total", COUNTER, "", NONE, "Total number of times the running process saved the configuration file: it never does.") \
	X(CONFIG_SAVE_ERRORS, "gitlab_runner_configuration_saving_error_total", COUNTER, "", NONE, "Total number of times the running process could not save it.") \
	X(API_STATUSES, "gitlab_runner_api_request_statuses_total", COUNTER, "runner system_id endpoint status method", NONE, \
	    "The total number of API requests, by endpoint and status; each attempt counts. Those of a job are added when it is done.") \
	X(API_DURATION, "gitlab_runner_api_request_duration_seconds", HISTOGRAM, "runner system_id endpoint status_class method", API, "Latency of API requests; for request_job with the time GitLab held them.") \
	X(API_RETRIES, "gitlab_runner_api_request_retries_total", COUNTER, "path method", NONE, "Attempts of API requests, the first included.") \
	X(INPUTS, "gitlab_runner_job_inputs_interpolations_total", COUNTER, "", NONE, "Total number of job inputs interpolations.") \
	X(INPUTS_FAILURES, "gitlab_runner_job_inputs_interpolation_failures_total", COUNTER, "error_type", NONE, "Total number of failed job inputs interpolations.") \
	X(ACTIONS, "gitlab_runner_autoscaling_actions_total", COUNTER, "executor action " METRIC_T, NONE, "The total number of actions executed by the provider.") \
	X(STATES, "gitlab_runner_autoscaling_machine_states", GAUGE, "executor state " METRIC_T, NONE, "The current number of machines per state in this provider.") \
	X(CREATION, "gitlab_runner_autoscaling_machine_creation_duration_seconds", HISTOGRAM, "executor", CREATION, "Histogram of machine creation time.") \
	X(FAILED_CREATION, "gitlab_runner_autoscaling_machine_failed_creation_duration_seconds", HISTOGRAM, "executor", CLOUD, "Histogram of the time until a machine's creation failed.") \
	X(STOPPING, "gitlab_runner_autoscaling_machine_stopping_duration_seconds", HISTOGRAM, "executor", CLOUD, "Histogram of machine stopping time: machines are removed without a stop first.") \
	X(REMOVAL, "gitlab_runner_autoscaling_machine_removal_duration_seconds", HISTOGRAM, "executor", CLOUD, "Histogram of machine removal time.") \
	X(CPU, "process_cpu_seconds_total", COUNTER, "", NONE, "Total user and system CPU time of the manager in seconds.") \
	X(RSS, "process_resident_memory_bytes", GAUGE, "", NONE, "Resident memory size of the manager in bytes.") \
	X(VSIZE, "process_virtual_memory_bytes", GAUGE, "", NONE, "Virtual memory size of the manager in bytes.") \
	X(FDS, "process_open_fds", GAUGE, "", NONE, "Number of open file descriptors of the manager.") \
	X(MAX_FDS, "process_max_fds", GAUGE, "", NONE, "Maximum number of open file descriptors of the manager.") \
	X(START, "process_start_time_seconds", GAUGE, "", NONE, "Start time of the manager since unix epoch in seconds.") \
	X(UP, "windlass_up", GAUGE, "", NONE, "1 as long as the manager lives; what else is here is what it last published.") \
	X(JOB_WAIT, "windlass_job_wait_seconds", HISTOGRAM, METRIC_R, QUEUE, "How long jobs waited here, from their arrival to their machine.") \
	X(JOBS_WAITING, "windlass_jobs_waiting", GAUGE, METRIC_R " reason", NONE, "Jobs that have no machine, by what they wait for.") \
	X(OLDEST_WAIT, "windlass_job_oldest_wait_seconds", GAUGE, METRIC_R, NONE, "How long the oldest job without a machine has waited.") \
	X(UNREPORTED, "windlass_jobs_unreported", GAUGE, METRIC_R, NONE, "Jobs with a result that GitLab has not taken yet.") \
	X(DECISIONS, "windlass_decisions_total", COUNTER, METRIC_R " decision reason", NONE, "What the manager decided and what befell it, by reason; `windlass why` tells each.") \
	X(IDLE_TARGET, "windlass_machines_idle_target", GAUGE, METRIC_R, NONE, "Idle machines wanted now.") \
	X(SHORT, "windlass_machines_short", GAUGE, METRIC_R " reason", NONE, "Machines that are wanted and not made, and why not.") \
	X(ORPHANS, "windlass_orphans_suspected", GAUGE, METRIC_R, NONE, "Machines that may exist and be paid for without use: their removal fails again and again.") \
	X(STRAYS, "windlass_strays_total", COUNTER, "result", NONE, "What was found in the cloud with our mark and in no record: removed, or stays (each time it is found).") \
	X(OLDEST_MACHINE, "windlass_machine_oldest_age_seconds", GAUGE, METRIC_R, NONE, "Age of the oldest machine.") \
	X(MEAN_MACHINE, "windlass_machine_mean_age_seconds", GAUGE, METRIC_R, NONE, "Mean age of the machines.") \
	X(MACHINE_LIFE, "windlass_machine_life_seconds", HISTOGRAM, METRIC_R, LIFE, "How old machines were when they were removed.") \
	X(MACHINE_JOBS, "windlass_machine_jobs_total", COUNTER, METRIC_R, NONE, "Jobs that the machines removed so far had run.") \
	X(CREATE_FAILURES, "windlass_create_failures_in_a_row", GAUGE, METRIC_R, NONE, "Failed creations in a row; creating is paused after them.") \
	X(CREATE_PAUSE, "windlass_create_pause_seconds", GAUGE, METRIC_R, NONE, "How long no machine is created yet because creations failed.") \
	X(API_BUDGET, "windlass_cloud_budget", GAUGE, METRIC_R " budget", NONE, "Creations that the runner's pace (growth) and the cloud account's (account) allow now.") \
	X(API_BLOCKED, "windlass_cloud_blocked_seconds", GAUGE, METRIC_R " budget", NONE, "How long the cloud still wants no creation: it said Retry-After.") \
	X(CA_ENDS, "windlass_certificate_authority_end_timestamp_seconds", GAUGE, "", NONE, "When the certificate authority of the store ends, Unix time; 0: there is none.") \
	X(EVENTS_LOST, "windlass_events_lost_total", COUNTER, "", NONE, "Events that could not be written (disk full?).")

enum metric {
#define METRIC_ENUM(id, ...) M_##id,
	METRICS(METRIC_ENUM)
#undef METRIC_ENUM
	METRIC_MAX
};

struct metric_info {
	const char		*name;
	enum metric_type	 type;
	const char		*labels;	/* names, separated by blanks */
	enum metric_buckets	 buckets;
	const char		*help;
};
extern const struct metric_info metric_info[METRIC_MAX];

size_t	metric_nlabels(enum metric id);
/* The upper bounds of a histogram, without +Inf. */
const double *metric_bounds(enum metric id, size_t *n);
/* METRIC_MAX if there is none of that name. */
enum metric metric_find(struct str name);

/* Label values in the table's order; how many is checked. */
void	metric_add_labels(struct manager *m, enum metric id, double n, const char *const values[], size_t nvalues);
#define metric_add(m, id, n, ...) \
	metric_add_labels((m), (id), (n), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
#define metric_add0(m, id, n)	metric_add_labels((m), (id), (n), NULL, 0)
/* A gauge that only the manager knows: replaces the value. */
void	metric_set_labels(struct manager *m, enum metric id, double v, const char *const values[], size_t nvalues);
#define metric_set(m, id, v, ...) \
	metric_set_labels((m), (id), (v), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
/* Adds one observation, in seconds, to a histogram. */
void	metric_observe_labels(struct manager *m, enum metric id, double seconds, const char *const values[], size_t nvalues);
#define metric_observe(m, id, s, ...) \
	metric_observe_labels((m), (id), (s), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
/* For the above: the three labels of a runner. */
#define POOL_LABELS(m, p)	(p)->runner, (p)->runner_name, (m)->system_id

/* What an event means for the counters. */
void	metrics_event(struct manager *m, enum event_kind kind, struct pool *p, struct machine *mc, struct job *j, const char *reason);
/* One call to GitLab by a poller. status 0: no answer. */
void	metrics_request(struct manager *m, struct pool *p, int status, int64_t ns);
/* The calls that a job's reporter counted (reported, docs/state.md). */
void	metrics_reported(struct manager *m, struct pool *p, struct arena *a, struct json_val reported);
/* Where the machine is and of what type, for upstream's target_ labels: from its config.json, read once. */
const struct target *metrics_target(struct manager *m, struct machine *mc);

struct target {
	struct list	 link;
	char		*zone, *region, *project, *type;
};

/* The array "series" of the snapshot. */
void	metrics_put(const struct manager *m, struct json_w *w);
void	metrics_free(struct manager *m);

#endif
