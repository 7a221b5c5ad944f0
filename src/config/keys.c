/* The table of configuration keys: see keys.h. Facts from spec gitlab-runner 2.5-2.13. */
#include "config/config.h"
#include "config/keys.h"

const struct key keys[] = {
	/* global */
	{ KS_GLOBAL, "concurrent", KEY_INT, KEY_YES, "1", NULL, NULL,
	    "most jobs at once, over all runners", 0, offsetof(struct config, concurrent) },
	{ KS_GLOBAL, "max_machines", KEY_INT, KEY_YES, "0", NULL, NULL,
	    "most machines at once, over all runners and in every state; 0 = no limit", 0, offsetof(struct config, max_machines) },
	{ KS_GLOBAL, "check_interval", KEY_INT, KEY_YES, "3", NULL, NULL,
	    "seconds between two job requests of one runner", 0, offsetof(struct config, check_interval) },
	{ KS_GLOBAL, "log_level", KEY_STRING, KEY_YES, "info", NULL, NULL,
	    "debug, info, warn, error, fatal or panic", 0, offsetof(struct config, log_level) },
	{ KS_GLOBAL, "log_format", KEY_STRING, KEY_YES, "runner", NULL, NULL,
	    "runner, text or json", 0, offsetof(struct config, log_format) },
	{ KS_GLOBAL, "user", KEY_STRING, KEY_NEVER, NULL, NULL, NULL,
	    "only the shell executor uses it", 0, KEY_NOFIELD },
	{ KS_GLOBAL, "listen_address", KEY_STRING, KEY_YES, NULL, NULL, NULL,
	    "host:port of metrics and debug pages", 0, offsetof(struct config, listen_address) },
	{ KS_GLOBAL, "shutdown_timeout", KEY_INT, KEY_YES, "30", NULL, NULL,
	    "seconds a forceful stop may take", 0, offsetof(struct config, shutdown_timeout) },
	{ KS_GLOBAL, "connection_max_age", KEY_DURATION, KEY_YES, "15m", NULL, NULL,
	    "a kept connection to GitLab older than this is closed", 0, offsetof(struct config, connection_max_age) },
	{ KS_GLOBAL, "sentry_dsn", KEY_STRING, KEY_NEVER, NULL, NULL, NULL,
	    "windlass reports to nobody", 0, KEY_NOFIELD },
	{ KS_GLOBAL, "labels", KEY_TABLE, KEY_LATER, NULL, NULL, NULL,
	    "default labels of all runners", 0, KEY_NOFIELD },
	{ KS_GLOBAL, "runners", KEY_TABLES, KEY_YES, NULL, NULL, NULL,
	    "one entry a runner", KS_RUNNER, KEY_NOFIELD },
	{ KS_GLOBAL, "session_server", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "web terminal", KS_SESSION, KEY_NOFIELD },
	{ KS_GLOBAL, "machine", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "settings of all machine pools", KS_MACHINE_GLOBAL, KEY_NOFIELD },
	{ KS_GLOBAL, "experimental", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "usage logs are not written", 0, KEY_NOFIELD },

	/* session */
	{ KS_SESSION, "listen_address", KEY_STRING, KEY_LATER, NULL, NULL, NULL,
	    "web terminals are not offered", 0, KEY_NOFIELD },
	{ KS_SESSION, "advertise_address", KEY_STRING, KEY_LATER, NULL, NULL, NULL,
	    "web terminals are not offered", 0, KEY_NOFIELD },
	{ KS_SESSION, "session_timeout", KEY_INT, KEY_LATER, "1800", NULL, NULL,
	    "web terminals are not offered", 0, KEY_NOFIELD },

	/* machine_global */
	{ KS_MACHINE_GLOBAL, "shutdown_drain", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "removes all machines when the process stops", KS_DRAIN, KEY_NOFIELD },

	/* drain */
	{ KS_DRAIN, "enabled", KEY_BOOL, KEY_YES, "false", NULL, NULL,
	    "remove all machines at the end", 0, offsetof(struct config, drain) },
	{ KS_DRAIN, "concurrency", KEY_INT, KEY_YES, "3", NULL, NULL,
	    "so many at once", 0, offsetof(struct config, drain_concurrency) },
	{ KS_DRAIN, "max_retries", KEY_INT, KEY_YES, "3", NULL, NULL,
	    "tries beyond the first", 0, offsetof(struct config, drain_retries) },
	{ KS_DRAIN, "retry_backoff", KEY_DURATION, KEY_YES, "5s", NULL, NULL,
	    "the n-th wait is n times this", 0, offsetof(struct config, drain_backoff) },

	/* runner */
	{ KS_RUNNER, "name", KEY_STRING, KEY_YES, NULL, "name", "RUNNER_NAME",
	    "name in logs and in the job log", 0, offsetof(struct runner, name) },
	{ KS_RUNNER, "url", KEY_STRING, KEY_YES, NULL, "url", "CI_SERVER_URL",
	    "address of the GitLab instance", 0, offsetof(struct runner, url) },
	{ KS_RUNNER, "id", KEY_INT, KEY_YES, "0", NULL, NULL,
	    "the runner's number on the server", 0, offsetof(struct runner, id) },
	{ KS_RUNNER, "token", KEY_STRING, KEY_YES, NULL, "token", "CI_SERVER_TOKEN",
	    "authentication token (glrt-...)", 0, offsetof(struct runner, token.hidden) },
	{ KS_RUNNER, "token_obtained_at", KEY_DATE, KEY_YES, NULL, NULL, NULL,
	    "when register or reset-token got the token", 0, KEY_NOFIELD },
	{ KS_RUNNER, "token_expires_at", KEY_DATE, KEY_LATER, NULL, NULL, NULL,
	    "when the token expires; it is not renewed by itself: reset-token does it", 0, KEY_NOFIELD },
	{ KS_RUNNER, "tls-ca-file", KEY_STRING, KEY_YES, NULL, "tls-ca-file", "CI_SERVER_TLS_CA_FILE",
	    "PEM file of a private certificate authority", 0, offsetof(struct runner, tls_ca_file) },
	{ KS_RUNNER, "tls-cert-file", KEY_STRING, KEY_YES, NULL, "tls-cert-file", "CI_SERVER_TLS_CERT_FILE",
	    "PEM file of a client certificate", 0, offsetof(struct runner, tls_cert_file) },
	{ KS_RUNNER, "tls-key-file", KEY_STRING, KEY_YES, NULL, "tls-key-file", "CI_SERVER_TLS_KEY_FILE",
	    "PEM file of the client certificate's key", 0, offsetof(struct runner, tls_key_file) },
	{ KS_RUNNER, "limit", KEY_INT, KEY_YES, "0", "limit", "RUNNER_LIMIT",
	    "most jobs and most machines of this runner; 0 = no limit", 0, offsetof(struct runner, limit) },
	{ KS_RUNNER, "output_limit", KEY_INT, KEY_YES, "4096", "output-limit", "RUNNER_OUTPUT_LIMIT",
	    "size of a job's log in KiB", 0, offsetof(struct runner, output_limit) },
	{ KS_RUNNER, "request_concurrency", KEY_INT, KEY_YES, "1", "request-concurrency", "RUNNER_REQUEST_CONCURRENCY",
	    "job requests at once", 0, offsetof(struct runner, request_concurrency) },
	{ KS_RUNNER, "strict_check_interval", KEY_BOOL, KEY_YES, "false", "strict-check-interval", "RUNNER_STRICT_CHECK_INTERVAL",
	    "do not ask again at once after a job", 0, offsetof(struct runner, strict_check_interval) },
	{ KS_RUNNER, "unhealthy_requests_limit", KEY_INT, KEY_YES, "3", "unhealthy-requests-limit", "RUNNER_UNHEALTHY_REQUESTS_LIMIT",
	    "refusals in a row after which the runner pauses", 0, offsetof(struct runner, unhealthy_requests_limit) },
	{ KS_RUNNER, "unhealthy_interval", KEY_DURATION, KEY_YES, "60m", "unhealthy-interval", NULL,
	    "how long it pauses", 0, offsetof(struct runner, unhealthy_interval) },
	{ KS_RUNNER, "job_status_final_update_retry_limit", KEY_INT, KEY_YES, "10", "job-status-final-update-retry-limit", "RUNNER_job_status_final_update_retry_limit",
	    "tries of a final job update before windlass only retries slowly", 0, offsetof(struct runner, final_update_tries) },
	{ KS_RUNNER, "executor", KEY_STRING, KEY_YES, NULL, "executor", "RUNNER_EXECUTOR",
	    "docker+machine; other executors are skipped with an error", 0, offsetof(struct runner, executor) },
	{ KS_RUNNER, "builds_dir", KEY_STRING, KEY_YES, "/builds", "builds-dir", "RUNNER_BUILDS_DIR",
	    "where sources are checked out, in the container", 0, offsetof(struct runner, builds_dir) },
	{ KS_RUNNER, "cache_dir", KEY_STRING, KEY_YES, "/cache", "cache-dir", "RUNNER_CACHE_DIR",
	    "where local caches are, in the container", 0, offsetof(struct runner, cache_dir) },
	{ KS_RUNNER, "clone_url", KEY_STRING, KEY_YES, NULL, "clone-url", "CLONE_URL",
	    "replaces scheme and host of the repository's URL", 0, offsetof(struct runner, clone_url) },
	{ KS_RUNNER, "environment", KEY_STRINGS, KEY_YES, NULL, "env", "RUNNER_ENV",
	    "KEY=value for every job", 0, offsetof(struct runner, environment) },
	{ KS_RUNNER, "shell", KEY_STRING, KEY_YES, "bash", "shell", "RUNNER_SHELL",
	    "bash or sh: the first line of the scripts", 0, offsetof(struct runner, shell) },
	{ KS_RUNNER, "pre_get_sources_script", KEY_STRING, KEY_YES, NULL, "pre-get-sources-script", "RUNNER_PRE_GET_SOURCES_SCRIPT",
	    "runs in the helper before git", 0, offsetof(struct runner, pre_get_sources_script) },
	{ KS_RUNNER, "post_get_sources_script", KEY_STRING, KEY_YES, NULL, "post-get-sources-script", "RUNNER_POST_GET_SOURCES_SCRIPT",
	    "runs in the helper after git", 0, offsetof(struct runner, post_get_sources_script) },
	{ KS_RUNNER, "pre_clone_script", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write pre_get_sources_script instead", 0, KEY_NOFIELD },
	{ KS_RUNNER, "post_clone_script", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write post_get_sources_script instead", 0, KEY_NOFIELD },
	{ KS_RUNNER, "pre_build_script", KEY_STRING, KEY_YES, NULL, "pre-build-script", "RUNNER_PRE_BUILD_SCRIPT",
	    "runs before the job's script", 0, offsetof(struct runner, pre_build_script) },
	{ KS_RUNNER, "post_build_script", KEY_STRING, KEY_YES, NULL, "post-build-script", "RUNNER_POST_BUILD_SCRIPT",
	    "runs after the job's script", 0, offsetof(struct runner, post_build_script) },
	{ KS_RUNNER, "prepare_timeout", KEY_DURATION, KEY_YES, NULL, "prepare-timeout", "RUNNER_PREPARE_TIMEOUT",
	    "limit of the preparation; unset: the job timeout", 0, offsetof(struct runner, prepare_timeout) },
	{ KS_RUNNER, "get_sources_timeout", KEY_DURATION, KEY_YES, NULL, "get-sources-timeout", "RUNNER_GET_SOURCES_TIMEOUT",
	    "limit of fetching the sources; unset: the job timeout", 0, offsetof(struct runner, get_sources_timeout) },
	{ KS_RUNNER, "debug_trace_disabled", KEY_BOOL, KEY_YES, "false", "debug-trace-disabled", "RUNNER_DEBUG_TRACE_DISABLED",
	    "ignore CI_DEBUG_TRACE and CI_DEBUG_SERVICES", 0, offsetof(struct runner, debug_trace_disabled) },
	{ KS_RUNNER, "ignore_unsupported", KEY_BOOL, KEY_YES, "false", NULL, NULL,
	    "run jobs that ask for services, caches, artifacts or secrets without them; else such jobs fail", 0, offsetof(struct runner, ignore_unsupported) },
	{ KS_RUNNER, "safe_directory_checkout", KEY_BOOL, KEY_YES, "true", "safe-directory-checkout", "RUNNER_SAFE_DIRECTORY_CHECKOUT",
	    "sets git's safe.directory", 0, offsetof(struct runner, safe_directory_checkout) },
	{ KS_RUNNER, "clean_git_config", KEY_BOOL, KEY_YES, "true", "clean-git-config", "RUNNER_CLEAN_GIT_CONFIG",
	    "wipes a reused checkout's git configuration, hooks and locks", 0, offsetof(struct runner, clean_git_config) },
	{ KS_RUNNER, "proxy_exec", KEY_BOOL, KEY_NEVER, NULL, "proxy-exec", "RUNNER_PROXY_EXEC",
	    "experimental upstream", 0, KEY_NOFIELD },
	{ KS_RUNNER, "use_slot_cgroups", KEY_BOOL, KEY_NEVER, NULL, "use-slot-cgroups", "RUNNER_USE_SLOT_CGROUPS",
	    "docker+machine has no slots", 0, KEY_NOFIELD },
	{ KS_RUNNER, "slot_cgroup_template", KEY_STRING, KEY_NEVER, NULL, "slot-cgroup-template", "RUNNER_SLOT_CGROUP_TEMPLATE",
	    "docker+machine has no slots", 0, KEY_NOFIELD },
	{ KS_RUNNER, "step_runner_image", KEY_STRING, KEY_NEVER, NULL, "step-runner-image", "STEP_RUNNER_IMAGE",
	    "native steps are not offered", 0, KEY_NOFIELD },
	{ KS_RUNNER, "labels", KEY_TABLE, KEY_LATER, NULL, NULL, NULL,
	    "labels shown by GitLab", 0, KEY_NOFIELD },
	{ KS_RUNNER, "feature_flags", KEY_BOOLS, KEY_YES, NULL, "feature-flags", "FEATURE_FLAGS",
	    "FF_... switches; they beat the job's variables", 0, KEY_NOFIELD },
	{ KS_RUNNER, "custom_build_dir", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "GIT_CLONE_PATH", KS_BUILD_DIR, KEY_NOFIELD },
	{ KS_RUNNER, "artifact", KEY_SECTION, KEY_LATER, NULL, NULL, NULL,
	    "limits of artifact uploads", KS_ARTIFACT, KEY_NOFIELD },
	{ KS_RUNNER, "referees", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "metrics referees are not run", 0, KEY_NOFIELD },
	{ KS_RUNNER, "monitoring", KEY_TABLE, KEY_LATER, NULL, NULL, NULL,
	    "job queue thresholds", 0, KEY_NOFIELD },
	{ KS_RUNNER, "experimental", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "no boot verification job", 0, KEY_NOFIELD },
	{ KS_RUNNER, "docker", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "containers of a job", KS_DOCKER, KEY_NOFIELD },
	{ KS_RUNNER, "machine", KEY_SECTION, KEY_YES, NULL, NULL, NULL,
	    "machines of this runner", KS_MACHINE, KEY_NOFIELD },
	{ KS_RUNNER, "cache", KEY_SECTION, KEY_LATER, NULL, NULL, NULL,
	    "jobs run without their cache", KS_CACHE, KEY_NOFIELD },
	{ KS_RUNNER, "ssh", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "parallels", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "virtualbox", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "custom", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "kubernetes", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "instance", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },
	{ KS_RUNNER, "autoscaler", KEY_TABLE, KEY_NEVER, NULL, NULL, NULL,
	    "belongs to another executor", KS_OTHER, KEY_NOFIELD },

	/* build_dir */
	{ KS_BUILD_DIR, "enabled", KEY_BOOL, KEY_YES, "true", "custom_build_dir-enabled", "CUSTOM_BUILD_DIR_ENABLED",
	    "jobs may set GIT_CLONE_PATH", 0, offsetof(struct runner, custom_build_dir) },

	/* artifact */
	{ KS_ARTIFACT, "upload_timeout", KEY_DURATION, KEY_LATER, "1h", NULL, NULL,
	    "limit of one upload", 0, KEY_NOFIELD },
	{ KS_ARTIFACT, "response_header_timeout", KEY_DURATION, KEY_LATER, "10m", NULL, NULL,
	    "limit until the server answers", 0, KEY_NOFIELD },

	/* docker */
	{ KS_DOCKER, "host", KEY_STRING, KEY_NEVER, NULL, "docker-host", "DOCKER_HOST",
	    "the machine takes its place", 0, KEY_NOFIELD },
	{ KS_DOCKER, "tls_cert_path", KEY_STRING, KEY_NEVER, NULL, "docker-cert-path", "DOCKER_CERT_PATH",
	    "the machine's certificates take its place", 0, KEY_NOFIELD },
	{ KS_DOCKER, "tls_verify", KEY_BOOL, KEY_NEVER, NULL, "docker-tlsverify", "DOCKER_TLS_VERIFY",
	    "TLS is always verified", 0, KEY_NOFIELD },
	{ KS_DOCKER, "hostname", KEY_STRING, KEY_YES, NULL, "docker-hostname", "DOCKER_HOSTNAME",
	    "host name inside the containers", 0, KEY_NOFIELD },
	{ KS_DOCKER, "image", KEY_STRING, KEY_YES, NULL, "docker-image", "DOCKER_IMAGE",
	    "image of jobs that name none", 0, KEY_NOFIELD },
	{ KS_DOCKER, "runtime", KEY_STRING, KEY_YES, NULL, "docker-runtime", "DOCKER_RUNTIME",
	    "OCI runtime, such as runsc", 0, KEY_NOFIELD },
	{ KS_DOCKER, "memory", KEY_STRING, KEY_YES, NULL, "docker-memory", "DOCKER_MEMORY",
	    "memory limit: 512m, 2g", 0, KEY_NOFIELD },
	{ KS_DOCKER, "memory_swap", KEY_STRING, KEY_YES, NULL, "docker-memory-swap", "DOCKER_MEMORY_SWAP",
	    "memory and swap together; -1 = unlimited", 0, KEY_NOFIELD },
	{ KS_DOCKER, "memory_reservation", KEY_STRING, KEY_YES, NULL, "docker-memory-reservation", "DOCKER_MEMORY_RESERVATION",
	    "soft memory limit", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cgroup_parent", KEY_STRING, KEY_YES, NULL, "docker-cgroup-parent", "DOCKER_CGROUP_PARENT",
	    "parent cgroup", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cpuset_cpus", KEY_STRING, KEY_YES, NULL, "docker-cpuset-cpus", "DOCKER_CPUSET_CPUS",
	    "CPUs: 0,2-3", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cpuset_mems", KEY_STRING, KEY_YES, NULL, "docker-cpuset-mems", "DOCKER_CPUSET_MEMS",
	    "NUMA nodes", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cpus", KEY_STRING, KEY_YES, NULL, "docker-cpus", "DOCKER_CPUS",
	    "number of CPUs: 1.5", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cpu_shares", KEY_INT, KEY_YES, NULL, "docker-cpu-shares", "DOCKER_CPU_SHARES",
	    "relative weight", 0, KEY_NOFIELD },
	{ KS_DOCKER, "dns", KEY_STRINGS, KEY_YES, NULL, "docker-dns", "DOCKER_DNS",
	    "name servers (addresses)", 0, KEY_NOFIELD },
	{ KS_DOCKER, "dns_search", KEY_STRINGS, KEY_YES, NULL, "docker-dns-search", "DOCKER_DNS_SEARCH",
	    "search domains", 0, KEY_NOFIELD },
	{ KS_DOCKER, "privileged", KEY_BOOL, KEY_YES, "false", "docker-privileged", "DOCKER_PRIVILEGED",
	    "privileged job and service containers", 0, KEY_NOFIELD },
	{ KS_DOCKER, "services_privileged", KEY_BOOL, KEY_LATER, NULL, "docker-services_privileged", "DOCKER_SERVICES_PRIVILEGED",
	    "privileged services; unset: as privileged", 0, KEY_NOFIELD },
	{ KS_DOCKER, "disable_entrypoint_overwrite", KEY_BOOL, KEY_YES, "false", "docker-disable-entrypoint-overwrite", "DOCKER_DISABLE_ENTRYPOINT_OVERWRITE",
	    "ignore the job's entrypoint", 0, KEY_NOFIELD },
	{ KS_DOCKER, "user", KEY_STRING, KEY_YES, NULL, "docker-user", "DOCKER_USER",
	    "user of the job container", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_users", KEY_STRINGS, KEY_YES, NULL, "docker-allowed_users", "DOCKER_ALLOWED_USERS",
	    "users a job may choose", 0, KEY_NOFIELD },
	{ KS_DOCKER, "group_add", KEY_STRINGS, KEY_YES, NULL, "docker-group-add", "DOCKER_GROUP_ADD",
	    "supplementary groups", 0, KEY_NOFIELD },
	{ KS_DOCKER, "userns_mode", KEY_STRING, KEY_YES, NULL, "docker-userns", "DOCKER_USERNS_MODE",
	    "user namespace mode", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cap_add", KEY_STRINGS, KEY_YES, NULL, "docker-cap-add", "DOCKER_CAP_ADD",
	    "capabilities to add", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cap_drop", KEY_STRINGS, KEY_YES, NULL, "docker-cap-drop", "DOCKER_CAP_DROP",
	    "capabilities to drop", 0, KEY_NOFIELD },
	{ KS_DOCKER, "oom_kill_disable", KEY_BOOL, KEY_YES, "false", "docker-oom-kill-disable", "DOCKER_OOM_KILL_DISABLE",
	    "no kill when out of memory", 0, KEY_NOFIELD },
	{ KS_DOCKER, "oom_score_adjust", KEY_INT, KEY_YES, NULL, "docker-oom-score-adjust", "DOCKER_OOM_SCORE_ADJUST",
	    "OOM score", 0, KEY_NOFIELD },
	{ KS_DOCKER, "security_opt", KEY_STRINGS, KEY_YES, NULL, "docker-security-opt", "DOCKER_SECURITY_OPT",
	    "security options; seccomp=FILE is read here", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allow_job_credential_helpers", KEY_STRINGS, KEY_YES, NULL, "docker-allow-job-credential-helpers", "DOCKER_ALLOW_JOB_CREDENTIAL_HELPERS",
	    "credential helpers of this host (docker-credential-NAME) that a job's DOCKER_AUTH_CONFIG may name", 0, KEY_NOFIELD },
	{ KS_DOCKER, "services_security_opt", KEY_STRINGS, KEY_LATER, NULL, "docker-services-security-opt", "DOCKER_SERVICES_SECURITY_OPT",
	    "the same for services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "devices", KEY_STRINGS, KEY_YES, NULL, "docker-devices", "DOCKER_DEVICES",
	    "host devices: /dev/x[:/dev/y[:rwm]]", 0, KEY_NOFIELD },
	{ KS_DOCKER, "device_cgroup_rules", KEY_STRINGS, KEY_YES, NULL, "docker-device-cgroup-rules", "DOCKER_DEVICE_CGROUP_RULES",
	    "cgroup device rules", 0, KEY_NOFIELD },
	{ KS_DOCKER, "gpus", KEY_STRING, KEY_YES, NULL, "docker-gpus", "DOCKER_GPUS",
	    "as docker run --gpus", 0, KEY_NOFIELD },
	{ KS_DOCKER, "services_devices", KEY_TABLE, KEY_LATER, NULL, "docker-services_devices", "DOCKER_SERVICES_DEVICES",
	    "devices of services by image pattern", 0, KEY_NOFIELD },
	{ KS_DOCKER, "disable_cache", KEY_BOOL, KEY_YES, "false", "docker-disable-cache", "DOCKER_DISABLE_CACHE",
	    "bare-path volumes are temporary", 0, KEY_NOFIELD },
	{ KS_DOCKER, "volumes", KEY_STRINGS, KEY_YES, NULL, "docker-volumes", "DOCKER_VOLUMES",
	    "/path, host:/path[:mode] or name:/path", 0, KEY_NOFIELD },
	{ KS_DOCKER, "volume_keep", KEY_BOOL, KEY_YES, "false", "docker-volume-keep", "DOCKER_VOLUME_KEEP",
	    "keep anonymous volumes", 0, KEY_NOFIELD },
	{ KS_DOCKER, "volume_driver", KEY_STRING, KEY_YES, NULL, "docker-volume-driver", "DOCKER_VOLUME_DRIVER",
	    "volume driver", 0, KEY_NOFIELD },
	{ KS_DOCKER, "volume_driver_ops", KEY_TABLE, KEY_YES, NULL, "docker-volume-driver-ops", "DOCKER_VOLUME_DRIVER_OPS",
	    "its options", 0, KEY_NOFIELD },
	{ KS_DOCKER, "cache_dir", KEY_STRING, KEY_YES, NULL, "docker-cache-dir", "DOCKER_CACHE_DIR",
	    "directory on the machine for cache volumes", 0, KEY_NOFIELD },
	{ KS_DOCKER, "extra_hosts", KEY_STRINGS, KEY_YES, NULL, "docker-extra-hosts", "DOCKER_EXTRA_HOSTS",
	    "name:ip", 0, KEY_NOFIELD },
	{ KS_DOCKER, "volumes_from", KEY_STRINGS, KEY_YES, NULL, "docker-volumes-from", "DOCKER_VOLUMES_FROM",
	    "container[:ro|rw]", 0, KEY_NOFIELD },
	{ KS_DOCKER, "network_mode", KEY_STRING, KEY_YES, NULL, "docker-network-mode", "DOCKER_NETWORK_MODE",
	    "Docker network", 0, KEY_NOFIELD },
	{ KS_DOCKER, "pid_mode", KEY_STRING, KEY_YES, NULL, "docker-pid-mode", "DOCKER_PID_MODE",
	    "pid namespace", 0, KEY_NOFIELD },
	{ KS_DOCKER, "ipcmode", KEY_STRING, KEY_YES, NULL, "docker-ipcmode", "DOCKER_IPC_MODE",
	    "ipc mode", 0, KEY_NOFIELD },
	{ KS_DOCKER, "mac_address", KEY_STRING, KEY_YES, NULL, "docker-mac-address", "DOCKER_MAC_ADDRESS",
	    "MAC address", 0, KEY_NOFIELD },
	{ KS_DOCKER, "links", KEY_STRINGS, KEY_YES, NULL, "docker-links", "DOCKER_LINKS",
	    "legacy links: container:alias", 0, KEY_NOFIELD },
	{ KS_DOCKER, "services", KEY_TABLES, KEY_LATER, NULL, NULL, NULL,
	    "services of every job", KS_SERVICES, KEY_NOFIELD },
	{ KS_DOCKER, "services_limit", KEY_INT, KEY_LATER, "-1", "docker-services-limit", "DOCKER_SERVICES_LIMIT",
	    "most services of a job; -1 = no limit", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_memory", KEY_STRING, KEY_LATER, NULL, "docker-service-memory", "DOCKER_SERVICE_MEMORY",
	    "memory limit of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_memory_swap", KEY_STRING, KEY_LATER, NULL, "docker-service-memory-swap", "DOCKER_SERVICE_MEMORY_SWAP",
	    "memory and swap of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_memory_reservation", KEY_STRING, KEY_LATER, NULL, "docker-service-memory-reservation", "DOCKER_SERVICE_MEMORY_RESERVATION",
	    "soft memory limit of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_cgroup_parent", KEY_STRING, KEY_LATER, NULL, "docker-service-cgroup-parent", "DOCKER_SERVICE_CGROUP_PARENT",
	    "parent cgroup of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_slot_cgroup_template", KEY_STRING, KEY_LATER, NULL, "docker-service-slot-cgroup-template", "DOCKER_SERVICE_SLOT_CGROUP_TEMPLATE",
	    "slot cgroup of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_cpuset_cpus", KEY_STRING, KEY_LATER, NULL, "docker-service-cpuset-cpus", "DOCKER_SERVICE_CPUSET_CPUS",
	    "CPUs of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_cpus", KEY_STRING, KEY_LATER, NULL, "docker-service-cpus", "DOCKER_SERVICE_CPUS",
	    "number of CPUs of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_cpu_shares", KEY_INT, KEY_LATER, NULL, "docker-service-cpu-shares", "DOCKER_SERVICE_CPU_SHARES",
	    "weight of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "service_gpus", KEY_STRING, KEY_LATER, NULL, "docker-service_gpus", "DOCKER_SERVICE_GPUS",
	    "GPUs of services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "wait_for_services_timeout", KEY_INT, KEY_LATER, "30", "docker-wait-for-services-timeout", "DOCKER_WAIT_FOR_SERVICES_TIMEOUT",
	    "seconds to wait for services; -1 = do not wait", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_images", KEY_STRINGS, KEY_YES, NULL, "docker-allowed-images", "DOCKER_ALLOWED_IMAGES",
	    "patterns of images that jobs may use", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_privileged_images", KEY_STRINGS, KEY_YES, NULL, "docker-allowed-privileged-images", "DOCKER_ALLOWED_PRIVILEGED_IMAGES",
	    "privileged only for these", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_privileged_services", KEY_STRINGS, KEY_LATER, NULL, "docker-allowed-privileged-services", "DOCKER_ALLOWED_PRIVILEGED_SERVICES",
	    "privileged only for these services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_pull_policies", KEY_STRINGS, KEY_YES, NULL, "docker-allowed-pull-policies", "DOCKER_ALLOWED_PULL_POLICIES",
	    "pull policies that jobs may ask for", 0, KEY_NOFIELD },
	{ KS_DOCKER, "allowed_services", KEY_STRINGS, KEY_LATER, NULL, "docker-allowed-services", "DOCKER_ALLOWED_SERVICES",
	    "patterns of service images", 0, KEY_NOFIELD },
	{ KS_DOCKER, "pull_policy", KEY_STRINGS, KEY_YES, "always", "docker-pull-policy", "DOCKER_PULL_POLICY",
	    "always, if-not-present or never; a list is tried in order", 0, KEY_NOFIELD },
	{ KS_DOCKER, "isolation", KEY_STRING, KEY_NEVER, NULL, "docker-isolation", "DOCKER_ISOLATION",
	    "Windows only", 0, KEY_NOFIELD },
	{ KS_DOCKER, "shm_size", KEY_INT, KEY_YES, NULL, "docker-shm-size", "DOCKER_SHM_SIZE",
	    "bytes of /dev/shm", 0, KEY_NOFIELD },
	{ KS_DOCKER, "tmpfs", KEY_TABLE, KEY_YES, NULL, "docker-tmpfs", "DOCKER_TMPFS",
	    "path = mount options", 0, KEY_NOFIELD },
	{ KS_DOCKER, "services_tmpfs", KEY_TABLE, KEY_LATER, NULL, "docker-services-tmpfs", "DOCKER_SERVICES_TMPFS",
	    "the same for services", 0, KEY_NOFIELD },
	{ KS_DOCKER, "sysctls", KEY_TABLE, KEY_YES, NULL, "docker-sysctls", "DOCKER_SYSCTLS",
	    "sysctl = value", 0, KEY_NOFIELD },
	{ KS_DOCKER, "helper_image", KEY_STRING, KEY_YES, NULL, "docker-helper-image", "DOCKER_HELPER_IMAGE",
	    "image with git and a shell for the helper container", 0, KEY_NOFIELD },
	{ KS_DOCKER, "helper_image_flavor", KEY_STRING, KEY_YES, "alpine", "docker-helper-image-flavor", "DOCKER_HELPER_IMAGE_FLAVOR",
	    "alpine, ubuntu, ubi-fips, ...", 0, KEY_NOFIELD },
	{ KS_DOCKER, "container_labels", KEY_TABLE, KEY_YES, NULL, "docker-container-labels", NULL,
	    "labels of all containers", 0, KEY_NOFIELD },
	{ KS_DOCKER, "enable_ipv6", KEY_BOOL, KEY_YES, NULL, "docker-enable-ipv6", NULL,
	    "IPv6 in the network of a job", 0, KEY_NOFIELD },
	{ KS_DOCKER, "ulimit", KEY_TABLE, KEY_YES, NULL, "docker-ulimit", "DOCKER_ULIMIT",
	    "name = soft[:hard]", 0, KEY_NOFIELD },
	{ KS_DOCKER, "network_mtu", KEY_INT, KEY_YES, NULL, "docker-network-mtu", NULL,
	    "MTU of the network of a job", 0, KEY_NOFIELD },
	{ KS_DOCKER, "log_options", KEY_TABLE, KEY_YES, NULL, "docker-log-options", "DOCKER_LOG_OPTIONS",
	    "only env and labels", 0, KEY_NOFIELD },

	/* services */
	{ KS_SERVICES, "name", KEY_STRING, KEY_LATER, NULL, NULL, NULL,
	    "image", 0, KEY_NOFIELD },
	{ KS_SERVICES, "alias", KEY_STRING, KEY_LATER, NULL, NULL, NULL,
	    "host names", 0, KEY_NOFIELD },
	{ KS_SERVICES, "command", KEY_STRINGS, KEY_LATER, NULL, NULL, NULL,
	    "command", 0, KEY_NOFIELD },
	{ KS_SERVICES, "entrypoint", KEY_STRINGS, KEY_LATER, NULL, NULL, NULL,
	    "entrypoint", 0, KEY_NOFIELD },
	{ KS_SERVICES, "environment", KEY_STRINGS, KEY_LATER, NULL, NULL, NULL,
	    "KEY=value", 0, KEY_NOFIELD },
	{ KS_SERVICES, "suspend_data_path", KEY_STRING, KEY_NEVER, NULL, NULL, NULL,
	    "Kubernetes only", 0, KEY_NOFIELD },

	/* machine */
	{ KS_MACHINE, "MaxGrowthRate", KEY_INT, KEY_YES, "0", "machine-max-growth-rate", "MACHINE_MAX_GROWTH_RATE",
	    "machines being created at one time; 0 = no limit", 0, offsetof(struct runner, max_growth) },
	{ KS_MACHINE, "IdleCount", KEY_INT, KEY_YES, "0", "machine-idle-nodes", "MACHINE_IDLE_COUNT",
	    "idle machines to keep; 0 = create on demand", 0, offsetof(struct runner, idle_count) },
	{ KS_MACHINE, "IdleScaleFactor", KEY_FLOAT, KEY_YES, "0", "machine-idle-scale-factor", "MACHINE_IDLE_SCALE_FACTOR",
	    "idle machines as a multiple of used ones; 0 = off", 0, offsetof(struct runner, idle_scale_factor) },
	{ KS_MACHINE, "IdleCountMin", KEY_INT, KEY_YES, "0", "machine-idle-count-min", "MACHINE_IDLE_COUNT_MIN",
	    "floor while the factor is on", 0, offsetof(struct runner, idle_count_min) },
	{ KS_MACHINE, "IdleTime", KEY_INT, KEY_YES, "0", "machine-idle-time", "MACHINE_IDLE_TIME",
	    "seconds a machine must have been idle before it may go", 0, offsetof(struct runner, idle_time) },
	{ KS_MACHINE, "MaxBuilds", KEY_INT, KEY_YES, "0", "machine-max-builds", "MACHINE_MAX_BUILDS",
	    "jobs per machine; 0 = no limit", 0, offsetof(struct runner, max_builds) },
	{ KS_MACHINE, "MachineDriver", KEY_STRING, KEY_YES, NULL, "machine-machine-driver", "MACHINE_DRIVER",
	    "cloud driver", 0, offsetof(struct runner, machine_driver) },
	{ KS_MACHINE, "MachineName", KEY_STRING, KEY_YES, NULL, "machine-machine-name", "MACHINE_NAME",
	    "name template with one %s", 0, offsetof(struct runner, machine_name) },
	{ KS_MACHINE, "MachineOptions", KEY_STRINGS, KEY_YES, NULL, "machine-machine-options", "MACHINE_OPTIONS",
	    "options of the driver and the engine, without dashes", 0, offsetof(struct runner, machine_options) },
	{ KS_MACHINE, "MachineOptionsWithName", KEY_STRINGS, KEY_YES, NULL, "machine-machine-options-with-name", "MACHINE_OPTIONS_WITH_NAME",
	    "the same with %s for the name", 0, offsetof(struct runner, machine_options_with_name) },
	{ KS_MACHINE, "MaxRemovalAttempts", KEY_INT, KEY_YES, "30", "machine-max-removal-attempts", "MACHINE_MAX_REMOVAL_ATTEMPTS",
	    "failed removals after which a machine is put aside (never forgotten)", 0, offsetof(struct runner, max_removal_attempts) },
	{ KS_MACHINE, "OffPeakPeriods", KEY_STRINGS, KEY_GONE, NULL, NULL, NULL,
	    "write a [[runners.machine.autoscaling]] section instead", 0, KEY_NOFIELD },
	{ KS_MACHINE, "OffPeakTimezone", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write a [[runners.machine.autoscaling]] section instead", 0, KEY_NOFIELD },
	{ KS_MACHINE, "OffPeakIdleCount", KEY_INT, KEY_GONE, NULL, NULL, NULL,
	    "write a [[runners.machine.autoscaling]] section instead", 0, KEY_NOFIELD },
	{ KS_MACHINE, "OffPeakIdleTime", KEY_INT, KEY_GONE, NULL, NULL, NULL,
	    "write a [[runners.machine.autoscaling]] section instead", 0, KEY_NOFIELD },
	{ KS_MACHINE, "autoscaling", KEY_TABLES, KEY_YES, NULL, NULL, NULL,
	    "idle settings by time of day; the last entry whose Periods hold gives all four", KS_AUTOSCALING, KEY_NOFIELD },
	{ KS_MACHINE, "PeriodsSyntax", KEY_STRING, KEY_YES, "gitlab", "machine-periods-syntax", "MACHINE_PERIODS_SYNTAX",
	    "how Periods are read: gitlab (7 fields, seconds first) or unix (the 5 of crontab, whole minutes)", 0, offsetof(struct runner, periods_syntax) },
	{ KS_MACHINE, "GrowthRatePerSecond", KEY_FLOAT, KEY_YES, "0", "machine-growth-rate-per-second", "MACHINE_GROWTH_RATE_PER_SECOND",
	    "creations a second in the long run; 0 = no limit", 0, offsetof(struct runner, growth_per_second) },
	{ KS_MACHINE, "GrowthBurst", KEY_INT, KEY_YES, "10", "machine-growth-burst", "MACHINE_GROWTH_BURST",
	    "creations that GrowthRatePerSecond lets go ahead at once", 0, offsetof(struct runner, growth_burst) },
	{ KS_MACHINE, "IdleScaleFactorLimit", KEY_INT, KEY_YES, "0", "machine-idle-scale-factor-limit", "MACHINE_IDLE_SCALE_FACTOR_LIMIT",
	    "most idle machines that IdleScaleFactor asks for; 0 = no limit", 0, offsetof(struct runner, factor_limit) },
	{ KS_MACHINE, "MaxMachineAge", KEY_INT, KEY_YES, "0", "machine-max-machine-age", "MACHINE_MAX_MACHINE_AGE",
	    "seconds after which a machine takes no job any more and goes; 0 = no limit", 0, offsetof(struct runner, max_machine_age) },
	{ KS_MACHINE, "FailureThreshold", KEY_INT, KEY_YES, "3", "machine-failure-threshold", "MACHINE_FAILURE_THRESHOLD",
	    "failed checks of its engine in a row after which an idle machine goes", 0, offsetof(struct runner, failure_threshold) },
	{ KS_MACHINE, "ReadyCommand", KEY_STRING, KEY_YES, NULL, "machine-ready-command", "MACHINE_READY_COMMAND",
	    "runs on a new machine over SSH; the machine is ready when it succeeds, and removed when it fails", 0, offsetof(struct runner, ready_command) },
	{ KS_MACHINE, "Preemptive", KEY_BOOL, KEY_YES, "false", "machine-preemptive", "MACHINE_PREEMPTIVE",
	    "ask for a job only with an idle machine in hand", 0, offsetof(struct runner, preemptive) },
	{ KS_MACHINE, "ScalingRules", KEY_STRINGS, KEY_YES, NULL, "machine-scaling-rules", "MACHINE_SCALING_RULES",
	    "better (the default) or compat, gitlab-runner's algorithm; then single rules on (queue) or off (no-queue)", 0, offsetof(struct runner, scaling_rules) },

	/* autoscaling */
	{ KS_AUTOSCALING, "Periods", KEY_STRINGS, KEY_YES, NULL, NULL, NULL,
	    "when the entry holds: second minute hour day-of-month month day-of-week year", 0, offsetof(struct autoscaling, periods) },
	{ KS_AUTOSCALING, "Timezone", KEY_STRING, KEY_YES, NULL, NULL, NULL,
	    "zone of its Periods, such as Europe/Berlin; empty or Local: this host's", 0, offsetof(struct autoscaling, timezone) },
	{ KS_AUTOSCALING, "IdleCount", KEY_INT, KEY_YES, "0", NULL, NULL,
	    "idle machines to keep in the periods", 0, offsetof(struct autoscaling, idle_count) },
	{ KS_AUTOSCALING, "IdleScaleFactor", KEY_FLOAT, KEY_YES, "0", NULL, NULL,
	    "idle machines as a multiple of used ones in the periods", 0, offsetof(struct autoscaling, idle_scale_factor) },
	{ KS_AUTOSCALING, "IdleCountMin", KEY_INT, KEY_YES, "0", NULL, NULL,
	    "floor while the factor is on", 0, offsetof(struct autoscaling, idle_count_min) },
	{ KS_AUTOSCALING, "IdleTime", KEY_INT, KEY_YES, "0", NULL, NULL,
	    "seconds a machine must have been idle in the periods before it may go", 0, offsetof(struct autoscaling, idle_time) },

	/* cache */
	{ KS_CACHE, "Type", KEY_STRING, KEY_LATER, NULL, "cache-type", "CACHE_TYPE",
	    "s3, gcs or azure", 0, KEY_NOFIELD },
	{ KS_CACHE, "Path", KEY_STRING, KEY_LATER, NULL, "cache-path", "CACHE_PATH",
	    "prefix in the bucket", 0, KEY_NOFIELD },
	{ KS_CACHE, "Shared", KEY_BOOL, KEY_LATER, NULL, "cache-shared", "CACHE_SHARED",
	    "shared between runners", 0, KEY_NOFIELD },
	{ KS_CACHE, "MaxUploadedArchiveSize", KEY_INT, KEY_LATER, NULL, "cache-max_uploaded_archive_size", "CACHE_MAXIMUM_UPLOADED_ARCHIVE_SIZE",
	    "bytes; 0 = no limit", 0, KEY_NOFIELD },
	{ KS_CACHE, "ServerAddress", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write ServerAddress in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "AccessKey", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write AccessKey in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "SecretKey", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write SecretKey in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "BucketName", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write BucketName in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "BucketLocation", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write BucketLocation in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "Insecure", KEY_BOOL, KEY_GONE, NULL, NULL, NULL,
	    "write Insecure in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "CredentialsFile", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write CredentialsFile in [runners.cache.gcs] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "AccessID", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write AccessID in [runners.cache.gcs] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "PrivateKey", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write PrivateKey in [runners.cache.gcs] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "S3CachePath", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write Path instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "CachePath", KEY_STRING, KEY_GONE, NULL, NULL, NULL,
	    "write Path instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "CacheShared", KEY_BOOL, KEY_GONE, NULL, NULL, NULL,
	    "write Shared instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "S3CacheInsecure", KEY_BOOL, KEY_GONE, NULL, NULL, NULL,
	    "write Insecure in [runners.cache.s3] instead", 0, KEY_NOFIELD },
	{ KS_CACHE, "s3", KEY_SECTION, KEY_LATER, NULL, NULL, NULL,
	    "S3", KS_S3, KEY_NOFIELD },
	{ KS_CACHE, "gcs", KEY_SECTION, KEY_LATER, NULL, NULL, NULL,
	    "Google Cloud Storage", KS_GCS, KEY_NOFIELD },
	{ KS_CACHE, "azure", KEY_SECTION, KEY_LATER, NULL, NULL, NULL,
	    "Azure Blob Storage", KS_AZURE, KEY_NOFIELD },

	/* s3 */
	{ KS_S3, "ServerAddress", KEY_STRING, KEY_LATER, NULL, "cache-s3-server-address", "CACHE_S3_SERVER_ADDRESS",
	    "host[:port]", 0, KEY_NOFIELD },
	{ KS_S3, "AccessKey", KEY_STRING, KEY_LATER, NULL, "cache-s3-access-key", "CACHE_S3_ACCESS_KEY",
	    "access key", 0, KEY_NOFIELD },
	{ KS_S3, "SecretKey", KEY_STRING, KEY_LATER, NULL, "cache-s3-secret-key", "CACHE_S3_SECRET_KEY",
	    "secret key", 0, KEY_NOFIELD },
	{ KS_S3, "SessionToken", KEY_STRING, KEY_LATER, NULL, "cache-s3-session-token", "CACHE_S3_SESSION_TOKEN",
	    "temporary credentials", 0, KEY_NOFIELD },
	{ KS_S3, "BucketName", KEY_STRING, KEY_LATER, NULL, "cache-s3-bucket-name", "CACHE_S3_BUCKET_NAME",
	    "bucket", 0, KEY_NOFIELD },
	{ KS_S3, "BucketLocation", KEY_STRING, KEY_LATER, NULL, "cache-s3-bucket-location", "CACHE_S3_BUCKET_LOCATION",
	    "region", 0, KEY_NOFIELD },
	{ KS_S3, "Insecure", KEY_BOOL, KEY_LATER, NULL, "cache-s3-insecure", "CACHE_S3_INSECURE",
	    "plain HTTP", 0, KEY_NOFIELD },
	{ KS_S3, "AuthenticationType", KEY_STRING, KEY_LATER, NULL, "cache-s3-authentication_type", "CACHE_S3_AUTHENTICATION_TYPE",
	    "access-key or iam", 0, KEY_NOFIELD },
	{ KS_S3, "ServerSideEncryption", KEY_STRING, KEY_LATER, NULL, "cache-s3-server-side-encryption", "CACHE_S3_SERVER_SIDE_ENCRYPTION",
	    "S3, KMS or DSSE-KMS", 0, KEY_NOFIELD },
	{ KS_S3, "ServerSideEncryptionKeyID", KEY_STRING, KEY_LATER, NULL, "cache-s3-server-side-encryption-key-id", "CACHE_S3_SERVER_SIDE_ENCRYPTION_KEY_ID",
	    "KMS key", 0, KEY_NOFIELD },
	{ KS_S3, "DualStack", KEY_BOOL, KEY_LATER, NULL, "cache-s3-dual-stack", "CACHE_S3_DUAL_STACK",
	    "dual-stack endpoint", 0, KEY_NOFIELD },
	{ KS_S3, "PathStyle", KEY_BOOL, KEY_LATER, NULL, "cache-s3-path-style", "CACHE_S3_PATH_STYLE",
	    "path-style URLs", 0, KEY_NOFIELD },
	{ KS_S3, "Accelerate", KEY_BOOL, KEY_LATER, NULL, "cache-s3-accelerate", "CACHE_S3_ACCELERATE",
	    "transfer acceleration", 0, KEY_NOFIELD },
	{ KS_S3, "RoleARN", KEY_STRING, KEY_LATER, NULL, "cache-s3-role-arn", "CACHE_S3_ROLE_ARN",
	    "role for the helper", 0, KEY_NOFIELD },
	{ KS_S3, "UploadRoleARN", KEY_STRING, KEY_LATER, NULL, "cache-s3-upload-role-arn", "CACHE_S3_UPLOAD_ROLE_ARN",
	    "role for uploads", 0, KEY_NOFIELD },
	{ KS_S3, "AssumeRoleMaxConcurrency", KEY_INT, KEY_LATER, NULL, "cache-s3-assume-role-max-concurrency", "CACHE_S3_ASSUME_ROLE_MAX_CONCURRENCY",
	    "STS calls at once", 0, KEY_NOFIELD },
	{ KS_S3, "DisableAssumeRoleCredentialsCaching", KEY_BOOL, KEY_LATER, NULL, "cache-s3-disable-assume-role-credentials-caching", "CACHE_S3_DISABLE_ASSUME_ROLE_CREDENTIALS_CACHING",
	    "no cache of STS answers", 0, KEY_NOFIELD },

	/* gcs */
	{ KS_GCS, "AccessID", KEY_STRING, KEY_LATER, NULL, "cache-gcs-access-id", "CACHE_GCS_ACCESS_ID",
	    "service account", 0, KEY_NOFIELD },
	{ KS_GCS, "PrivateKey", KEY_STRING, KEY_LATER, NULL, "cache-gcs-private-key", "CACHE_GCS_PRIVATE_KEY",
	    "PEM key", 0, KEY_NOFIELD },
	{ KS_GCS, "CredentialsFile", KEY_STRING, KEY_LATER, NULL, "cache-gcs-credentials-file", "GOOGLE_APPLICATION_CREDENTIALS",
	    "JSON key file", 0, KEY_NOFIELD },
	{ KS_GCS, "BucketName", KEY_STRING, KEY_LATER, NULL, "cache-gcs-bucket-name", "CACHE_GCS_BUCKET_NAME",
	    "bucket", 0, KEY_NOFIELD },
	{ KS_GCS, "UniverseDomain", KEY_STRING, KEY_LATER, NULL, "cache-gcs-universe-domain", "CACHE_GCS_UNIVERSE_DOMAIN",
	    "other API domain", 0, KEY_NOFIELD },

	/* azure */
	{ KS_AZURE, "AccountName", KEY_STRING, KEY_LATER, NULL, "cache-azure-account-name", "CACHE_AZURE_ACCOUNT_NAME",
	    "storage account", 0, KEY_NOFIELD },
	{ KS_AZURE, "AccountKey", KEY_STRING, KEY_LATER, NULL, "cache-azure-account-key", "CACHE_AZURE_ACCOUNT_KEY",
	    "its key", 0, KEY_NOFIELD },
	{ KS_AZURE, "ContainerName", KEY_STRING, KEY_LATER, NULL, "cache-azure-container-name", "CACHE_AZURE_CONTAINER_NAME",
	    "container", 0, KEY_NOFIELD },
	{ KS_AZURE, "StorageDomain", KEY_STRING, KEY_LATER, NULL, "cache-azure-storage-domain", "CACHE_AZURE_STORAGE_DOMAIN",
	    "domain", 0, KEY_NOFIELD },
};
const size_t nkeys = NELEM(keys);

/* Keys that are honoured, but not just as gitlab-runner does it. */
static const struct { enum key_section section; const char *name, *how; } differences[] = {
	{ KS_GLOBAL, "check_interval",
	    "long polls pace themselves; a request that GitLab holds takes no job slot" },
	{ KS_GLOBAL, "shutdown_timeout",
	    "jobs that have not ended by then go on without the manager, and the next start finds them" },
	{ KS_RUNNER, "request_concurrency",
	    "requests that GitLab holds take no job slot, so 1 is no danger here" },
	{ KS_RUNNER, "unhealthy_interval",
	    "it doubles with each further refusal, up to 4 hours" },
	{ KS_RUNNER, "job_status_final_update_retry_limit",
	    "a result that could not be delivered by then is kept and offered less often, not dropped" },
	{ KS_MACHINE, "IdleCount",
	    "jobs are asked for also while no machine is idle, and each that waits gets a machine of its own" },
	{ KS_MACHINE, "autoscaling",
	    "Periods are read exactly as gitlab-runner does, but a range that runs backwards (22-6) is refused, and the four values are taken together" },
	{ KS_MACHINE, "MaxRemovalAttempts",
	    "a machine that could not be removed is put aside and tried again, never forgotten" },
};

static const char *const titles[KS_MAX] = {
	[KS_GLOBAL] = "the global section",
	[KS_SESSION] = "[session_server]",
	[KS_DRAIN] = "[machine.shutdown_drain]",
	[KS_MACHINE_GLOBAL] = "[machine]",
	[KS_RUNNER] = "[[runners]]",
	[KS_BUILD_DIR] = "[runners.custom_build_dir]",
	[KS_ARTIFACT] = "[runners.artifact]",
	[KS_DOCKER] = "[runners.docker]",
	[KS_SERVICES] = "[[runners.docker.services]]",
	[KS_MACHINE] = "[runners.machine]",
	[KS_AUTOSCALING] = "[[runners.machine.autoscaling]]",
	[KS_CACHE] = "[runners.cache]",
	[KS_S3] = "[runners.cache.s3]",
	[KS_GCS] = "[runners.cache.gcs]",
	[KS_AZURE] = "[runners.cache.azure]",
	[KS_OTHER] = "a section of another executor",
};

static const char *const type_names[] = {
	[KEY_STRING] = "a string",
	[KEY_INT] = "a whole number",
	[KEY_FLOAT] = "a number",
	[KEY_BOOL] = "true or false",
	[KEY_DURATION] = "a duration such as \"1h30m\"",
	[KEY_DATE] = "a date and time",
	[KEY_STRINGS] = "a list of strings",
	[KEY_TABLE] = "a table",
	[KEY_BOOLS] = "a table of true or false",
	[KEY_TABLES] = "a list of tables",
	[KEY_SECTION] = "a table",
};

const char *
key_section_title(enum key_section section)
{
	return titles[section];
}

const char *
key_type_name(enum key_type type)
{
	return type_names[type];
}

const char *
key_differs(const struct key *k)
{
	for (size_t i = 0; i < NELEM(differences); i++)
		if (differences[i].section == k->section && strcmp(differences[i].name, k->name) == 0)
			return differences[i].how;
	return NULL;
}

const struct key *
key_find(enum key_section section, struct str name)
{
	const struct key *folded = NULL;

	for (size_t i = 0; i < nkeys; i++) {
		if (keys[i].section != section)
			continue;
		if (str_eqc(name, keys[i].name))
			return &keys[i];
		if (folded == NULL && str_caseeq(name, keys[i].name))
			folded = &keys[i];
	}
	return folded;
}

bool
key_type_fits(const struct key *k, const struct toml *v)
{
	switch (k->type) {
	case KEY_STRING:
		return v->type == TOML_STRING;
	case KEY_INT:
		return v->type == TOML_INTEGER;
	case KEY_FLOAT:
		return v->type == TOML_FLOAT || v->type == TOML_INTEGER;
	case KEY_BOOL:
		return v->type == TOML_BOOL;
	case KEY_DURATION:
		return v->type == TOML_STRING || v->type == TOML_INTEGER;
	case KEY_DATE:
		return v->type == TOML_DATETIME || v->type == TOML_LOCAL_DATETIME;
	case KEY_STRINGS:
		/* Upstream takes a single string where a list of pull policies may stand. */
		if (v->type == TOML_STRING && strcmp(k->name, "pull_policy") == 0)
			return true;
		if (v->type != TOML_ARRAY)
			return false;
		TOML_EACH(s, v)
			if (s->type != TOML_STRING)
				return false;
		return true;
	case KEY_TABLE:
	case KEY_SECTION:
		return v->type == TOML_TABLE;
	case KEY_BOOLS:
		if (v->type != TOML_TABLE)
			return false;
		TOML_EACH(b, v)
			if (b->type != TOML_BOOL)
				return false;
		return true;
	case KEY_TABLES:
		if (v->type != TOML_ARRAY)
			return false;
		TOML_EACH(t, v)
			if (t->type != TOML_TABLE)
				return false;
		return true;
	}
	return false;
}

/* "a table" of single values, "a list" of them: which member is wrong, and what it should be. */
static const struct toml *
wrong_member(const struct key *k, const struct toml *v, const char **needs)
{
	enum toml_type want = k->type == KEY_BOOLS ? TOML_BOOL : TOML_STRING;

	if (!(k->type == KEY_BOOLS && v->type == TOML_TABLE) && !(k->type == KEY_STRINGS && v->type == TOML_ARRAY))
		return NULL;
	*needs = k->type == KEY_BOOLS ? "true or false" : "a string";
	TOML_EACH(m, v)
		if (m->type != want)
			return m;
	return NULL;
}

const char *
key_misfit(struct arena *a, const struct key *k, const struct toml *v, const struct toml **at)
{
	const char *needs;
	const struct toml *m = wrong_member(k, v, &needs);
	size_t number = 1;

	*at = m != NULL ? m : v;
	if (m != NULL && k->type == KEY_BOOLS)
		return arena_fmt(a, "%.*s needs %s, not %s", STR_ARG(m->key), needs, toml_type_name(m->type));
	if (m != NULL) {
		for (const struct toml *i = v->first; i != m; i = i->next)
			number++;
		return arena_fmt(a, "entry %zu needs %s, not %s", number, needs, toml_type_name(m->type));
	}
	/* [runners.docker] without the entry that it is part of. */
	if (k->type == KEY_TABLES && v->type == TOML_TABLE)
		return arena_fmt(a, "needs a list of tables, not a table: write [[%s]], in double brackets, above what belongs to it",
		    k->section == KS_GLOBAL ? k->name : k->section == KS_DOCKER ? "runners.docker.services" : "runners.machine.autoscaling");
	return arena_fmt(a, "needs %s, not %s", key_type_name(k->type), toml_type_name(v->type));
}

/* Whether it says no more than saying nothing: false, 0, "", nothing in it, or the default. */
static bool
value_says_nothing(const struct key *k, const struct toml *v)
{
	struct buf b = { .max = 64 };
	bool dflt;

	switch (v->type) {
	case TOML_STRING:
		return v->s.n == 0 || (k->dflt != NULL && str_eqc(v->s, k->dflt));
	case TOML_INTEGER:
		buf_fmt(&b, "%" PRId64, v->i);
		dflt = k->dflt != NULL && strcmp(b.p, k->dflt) == 0;
		buf_free(&b);
		return v->i == 0 || dflt;
	case TOML_FLOAT:
		return v->f == 0;
	case TOML_BOOL:
		return !v->b;
	case TOML_ARRAY:
	case TOML_TABLE:
		return v->n == 0;
	case TOML_DATETIME:
	case TOML_LOCAL_DATETIME:
		return v->date.year <= 1;
	default:
		return false;
	}
}

/* A section is judged by what is in it. */
bool
key_says_nothing(const struct key *k, const struct toml *v)
{
	if (k->type != KEY_SECTION)
		return value_says_nothing(k, v);
	TOML_EACH(m, v) {
		const struct key *below = key_find((enum key_section)k->sub, m->key);

		if (below == NULL || !key_says_nothing(below, m))
			return false;
	}
	return true;
}

const char *
key_nearest(enum key_section section, struct str name)
{
	const char *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < nkeys; i++) {
		unsigned d;

		if (keys[i].section != section)
			continue;
		d = str_distance(name, str_from(keys[i].name));
		/* Two of six letters make another word: locked is not docker. */
		if (d < least && (d < 2 || 3 * d < strlen(keys[i].name)) && d < name.n) {
			least = d;
			best = keys[i].name;
		}
	}
	return best;
}
