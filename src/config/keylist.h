/*
 * The one table of configuration keys: every key of config.toml that
 * gitlab-runner 19.4 knows (spec gitlab-runner 2.5-2.13) and ours. A row says
 * all that is known of a key once; the structs that hold the values, the
 * reader of TOML, the options of `register`, `check`, what a job is told
 * (config/settings.h), the manual and the completions are made of it. A key
 * that we do not honour is here too, with its reason, so that nobody's file
 * is misread in silence.
 *
 *	KIND(SECTION, id, "name", TYPE, "what it is for", more...)
 *
 *	KEY	honoured: `id` is a member of its section's struct (config/config.h)
 *	JOB	the same, and jobs are told it: config/settings.h
 *	BARE	honoured, without a member: a section, or read elsewhere
 *	LATER	accepted, not honoured by this version
 *	NEVER	accepted, without effect here: the text says why
 *	GONE	removed upstream: the text says what to write instead
 *
 * `id` names the row in code, K_SECTION_id. JOB's ids are names in runner.json: they never change.
 * To add a key, add its row; whatever heeds it reads the member.
 */
#ifndef CONFIG_KEYLIST_H
#define CONFIG_KEYLIST_H

/* Behind the text: what else is known. Missing: none. */
#define DFLT(text)	.dflt = text
#define FLAG(text)	.flag = text			/* `register` --text */
#define ENV(text)	.env = text			/* the option's variable */
#define LETTER(c)	.letter = c			/* the option in short */
#define BELOW(S)	.sub = KS_##S			/* the section that is the value */
#define BUT(USE)	.use = KEY_##USE		/* held, and yet not honoured */
#define ALWAYS		.always = true			/* in every new entry */
#define NOT_BELOW_0	.not_below_0 = true
#define NOT_HUGE	.not_huge = true		/* at most KEY_HUGE */
#define COUNT		NOT_BELOW_0, NOT_HUGE
/* Behind the text, without a comma: where windlass does not do what gitlab-runner does. */
#define DIFFERS(text)	"\0" text

/* The sections and how messages call them. X(SECTION, "title") */
#define KEY_SECTIONS(X) \
	X(GLOBAL, "the global section") \
	X(SESSION, "[session_server]") \
	X(DRAIN, "[machine.shutdown_drain]") \
	X(MACHINE_GLOBAL, "[machine]") \
	X(RUNNER, "[[runners]]") \
	X(BUILD_DIR, "[runners.custom_build_dir]") \
	X(ARTIFACT, "[runners.artifact]") \
	X(DOCKER, "[runners.docker]") \
	X(SERVICES, "[[runners.docker.services]]") \
	X(MACHINE, "[runners.machine]") \
	X(AUTOSCALING, "[[runners.machine.autoscaling]]") \
	X(CACHE, "[runners.cache]") \
	X(S3, "[runners.cache.s3]") \
	X(GCS, "[runners.cache.gcs]") \
	X(AZURE, "[runners.cache.azure]")

/* The top of the file. */
#define GLOBAL_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	KEY(GLOBAL, concurrent, "concurrent", INT, "most jobs at once, over all runners", \
	    DFLT("1")) \
	KEY(GLOBAL, max_machines, "max_machines", INT, \
	    "most machines at once, over all runners and in every state; 0 = no limit", \
	    DFLT("0")) \
	KEY(GLOBAL, check_interval, "check_interval", INT, \
	    "seconds between two job requests of one runner" \
	    DIFFERS("long polls pace themselves; a request that GitLab holds takes no job slot"), \
	    DFLT("3")) \
	KEY(GLOBAL, log_level, "log_level", STRING, "debug, info, warn, error, fatal or panic", \
	    DFLT("info")) \
	KEY(GLOBAL, log_format, "log_format", STRING, "runner, text or json", DFLT("runner")) \
	NEVER(GLOBAL, user, "user", STRING, "only the shell executor uses it") \
	KEY(GLOBAL, listen_address, "listen_address", STRING, \
	    "host:port of metrics and debug pages") \
	KEY(GLOBAL, shutdown_timeout, "shutdown_timeout", INT, \
	    "seconds a forceful stop may take" \
	    DIFFERS("jobs that have not ended by then go on without the manager, and the next " \
	    "start finds them"), DFLT("30")) \
	JOB(GLOBAL, max_age, "connection_max_age", DURATION, \
	    "a kept connection to GitLab older than this is closed", DFLT("15m")) \
	NEVER(GLOBAL, sentry_dsn, "sentry_dsn", STRING, "windlass reports to nobody") \
	LATER(GLOBAL, labels, "labels", TABLE, "default labels of all runners") \
	BARE(GLOBAL, runners, "runners", TABLES, "one entry a runner", BELOW(RUNNER)) \
	BARE(GLOBAL, session_server, "session_server", SECTION, "web terminal", BELOW(SESSION)) \
	BARE(GLOBAL, machine, "machine", SECTION, "settings of all machine pools", \
	    BELOW(MACHINE_GLOBAL)) \
	NEVER(GLOBAL, experimental, "experimental", TABLE, "usage logs are not written")

/* [session_server] */
#define SESSION_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(SESSION, listen_address, "listen_address", STRING, \
	    "web terminals are not offered") \
	LATER(SESSION, advertise_address, "advertise_address", STRING, \
	    "web terminals are not offered") \
	LATER(SESSION, session_timeout, "session_timeout", INT, "web terminals are not offered", \
	    DFLT("1800"))

/* [machine] */
#define MACHINE_GLOBAL_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	BARE(MACHINE_GLOBAL, shutdown_drain, "shutdown_drain", SECTION, \
	    "removes all machines when the process stops", BELOW(DRAIN))

/* [machine.shutdown_drain] */
#define DRAIN_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	KEY(DRAIN, drain, "enabled", BOOL, "remove all machines at the end", DFLT("false")) \
	KEY(DRAIN, drain_concurrency, "concurrency", INT, "so many at once", DFLT("3")) \
	KEY(DRAIN, drain_retries, "max_retries", INT, "tries beyond the first", DFLT("3")) \
	KEY(DRAIN, drain_backoff, "retry_backoff", DURATION, "the n-th wait is n times this", \
	    DFLT("5s"))

/* [[runners]] */
#define RUNNER_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	JOB(RUNNER, name, "name", STRING, "name in logs and in the job log", FLAG("name"), \
	    ENV("RUNNER_NAME")) \
	KEY(RUNNER, url, "url", STRING, "address of the GitLab instance", FLAG("url"), \
	    ENV("CI_SERVER_URL"), LETTER('u')) \
	KEY(RUNNER, id, "id", INT, "the runner's number on the server", DFLT("0")) \
	KEY(RUNNER, token, "token", SECRET, "authentication token (glrt-...)", FLAG("token"), \
	    ENV("CI_SERVER_TOKEN"), LETTER('t')) \
	BARE(RUNNER, token_obtained_at, "token_obtained_at", DATE, \
	    "when register or reset-token got the token") \
	LATER(RUNNER, token_expires_at, "token_expires_at", DATE, \
	    "when the token expires; it is not renewed by itself: reset-token does it") \
	KEY(RUNNER, tls_ca_file, "tls-ca-file", STRING, \
	    "PEM file of a private certificate authority", FLAG("tls-ca-file"), \
	    ENV("CI_SERVER_TLS_CA_FILE")) \
	KEY(RUNNER, tls_cert_file, "tls-cert-file", STRING, "PEM file of a client certificate", \
	    FLAG("tls-cert-file"), ENV("CI_SERVER_TLS_CERT_FILE")) \
	KEY(RUNNER, tls_key_file, "tls-key-file", STRING, \
	    "PEM file of the client certificate's key", FLAG("tls-key-file"), \
	    ENV("CI_SERVER_TLS_KEY_FILE")) \
	KEY(RUNNER, limit, "limit", INT, \
	    "most jobs and most machines of this runner; 0 = no limit", DFLT("0"), \
	    FLAG("limit"), ENV("RUNNER_LIMIT"), NOT_HUGE) \
	JOB(RUNNER, output_limit, "output_limit", INT, "size of a job's log in KiB", \
	    DFLT("4096"), FLAG("output-limit"), ENV("RUNNER_OUTPUT_LIMIT")) \
	KEY(RUNNER, request_concurrency, "request_concurrency", INT, "job requests at once" \
	    DIFFERS("requests that GitLab holds take no job slot, so 1 is no danger here"), \
	    DFLT("1"), FLAG("request-concurrency"), ENV("RUNNER_REQUEST_CONCURRENCY")) \
	KEY(RUNNER, strict_check_interval, "strict_check_interval", BOOL, \
	    "do not ask again at once after a job", DFLT("false"), \
	    FLAG("strict-check-interval"), ENV("RUNNER_STRICT_CHECK_INTERVAL")) \
	KEY(RUNNER, unhealthy_requests_limit, "unhealthy_requests_limit", INT, \
	    "refusals in a row after which the runner pauses", DFLT("3"), \
	    FLAG("unhealthy-requests-limit"), ENV("RUNNER_UNHEALTHY_REQUESTS_LIMIT")) \
	KEY(RUNNER, unhealthy_interval, "unhealthy_interval", DURATION, "how long it pauses" \
	    DIFFERS("it doubles with each further refusal, up to 4 hours"), DFLT("60m"), \
	    FLAG("unhealthy-interval")) \
	JOB(RUNNER, final_update_tries, "job_status_final_update_retry_limit", INT, \
	    "tries of a final job update before windlass only retries slowly" \
	    DIFFERS("a result that could not be delivered by then is kept and offered less " \
	    "often, not dropped"), DFLT("10"), FLAG("job-status-final-update-retry-limit"), \
	    ENV("RUNNER_job_status_final_update_retry_limit")) \
	JOB(RUNNER, executor, "executor", STRING, \
	    "docker+machine; other executors are skipped with an error", FLAG("executor"), \
	    ENV("RUNNER_EXECUTOR")) \
	JOB(RUNNER, builds_dir, "builds_dir", STRING, \
	    "where sources are checked out, in the container", DFLT("/builds"), \
	    FLAG("builds-dir"), ENV("RUNNER_BUILDS_DIR")) \
	JOB(RUNNER, cache_dir, "cache_dir", STRING, "where local caches are, in the container", \
	    DFLT("/cache"), FLAG("cache-dir"), ENV("RUNNER_CACHE_DIR")) \
	JOB(RUNNER, clone_url, "clone_url", STRING, \
	    "replaces scheme and host of the repository's URL", FLAG("clone-url"), \
	    ENV("CLONE_URL")) \
	JOB(RUNNER, environment, "environment", STRINGS, "KEY=value for every job", FLAG("env"), \
	    ENV("RUNNER_ENV")) \
	JOB(RUNNER, shell, "shell", STRING, "bash or sh: the first line of the scripts", \
	    DFLT("bash"), FLAG("shell"), ENV("RUNNER_SHELL")) \
	JOB(RUNNER, pre_get_sources_script, "pre_get_sources_script", STRING, \
	    "runs in the helper before git", FLAG("pre-get-sources-script"), \
	    ENV("RUNNER_PRE_GET_SOURCES_SCRIPT")) \
	JOB(RUNNER, post_get_sources_script, "post_get_sources_script", STRING, \
	    "runs in the helper after git", FLAG("post-get-sources-script"), \
	    ENV("RUNNER_POST_GET_SOURCES_SCRIPT")) \
	GONE(RUNNER, pre_clone_script, "pre_clone_script", STRING, \
	    "write pre_get_sources_script instead") \
	GONE(RUNNER, post_clone_script, "post_clone_script", STRING, \
	    "write post_get_sources_script instead") \
	JOB(RUNNER, pre_build_script, "pre_build_script", STRING, \
	    "runs before the job's script", FLAG("pre-build-script"), \
	    ENV("RUNNER_PRE_BUILD_SCRIPT")) \
	JOB(RUNNER, post_build_script, "post_build_script", STRING, \
	    "runs after the job's script", FLAG("post-build-script"), \
	    ENV("RUNNER_POST_BUILD_SCRIPT")) \
	JOB(RUNNER, prepare_timeout, "prepare_timeout", DURATION, \
	    "limit of the preparation; unset: the job timeout", FLAG("prepare-timeout"), \
	    ENV("RUNNER_PREPARE_TIMEOUT")) \
	JOB(RUNNER, get_sources_timeout, "get_sources_timeout", DURATION, \
	    "limit of fetching the sources; unset: the job timeout", \
	    FLAG("get-sources-timeout"), ENV("RUNNER_GET_SOURCES_TIMEOUT")) \
	JOB(RUNNER, debug_trace_disabled, "debug_trace_disabled", BOOL, \
	    "ignore CI_DEBUG_TRACE and CI_DEBUG_SERVICES", DFLT("false"), \
	    FLAG("debug-trace-disabled"), ENV("RUNNER_DEBUG_TRACE_DISABLED")) \
	JOB(RUNNER, ignore_unsupported, "ignore_unsupported", BOOL, \
	    "run jobs that ask for services, caches, artifacts or secrets without them; else " \
	    "such jobs fail", DFLT("false")) \
	JOB(RUNNER, safe_directory_checkout, "safe_directory_checkout", BOOL, \
	    "sets git's safe.directory", DFLT("true"), FLAG("safe-directory-checkout"), \
	    ENV("RUNNER_SAFE_DIRECTORY_CHECKOUT")) \
	JOB(RUNNER, clean_git_config, "clean_git_config", BOOL, \
	    "wipes a reused checkout's git configuration, hooks and locks", DFLT("true"), \
	    FLAG("clean-git-config"), ENV("RUNNER_CLEAN_GIT_CONFIG")) \
	NEVER(RUNNER, proxy_exec, "proxy_exec", BOOL, "experimental upstream", \
	    FLAG("proxy-exec"), ENV("RUNNER_PROXY_EXEC")) \
	NEVER(RUNNER, use_slot_cgroups, "use_slot_cgroups", BOOL, "docker+machine has no slots", \
	    FLAG("use-slot-cgroups"), ENV("RUNNER_USE_SLOT_CGROUPS")) \
	NEVER(RUNNER, slot_cgroup_template, "slot_cgroup_template", STRING, \
	    "docker+machine has no slots", FLAG("slot-cgroup-template"), \
	    ENV("RUNNER_SLOT_CGROUP_TEMPLATE")) \
	NEVER(RUNNER, step_runner_image, "step_runner_image", STRING, \
	    "native steps are not offered", FLAG("step-runner-image"), ENV("STEP_RUNNER_IMAGE")) \
	LATER(RUNNER, labels, "labels", TABLE, "labels shown by GitLab") \
	JOB(RUNNER, feature_flags, "feature_flags", BOOLS, \
	    "FF_... switches; they beat the job's variables", FLAG("feature-flags"), \
	    ENV("FEATURE_FLAGS")) \
	BARE(RUNNER, custom_build_dir, "custom_build_dir", SECTION, "GIT_CLONE_PATH", \
	    BELOW(BUILD_DIR)) \
	LATER(RUNNER, artifact, "artifact", SECTION, "limits of artifact uploads", \
	    BELOW(ARTIFACT)) \
	NEVER(RUNNER, referees, "referees", TABLE, "metrics referees are not run") \
	LATER(RUNNER, monitoring, "monitoring", TABLE, "job queue thresholds") \
	NEVER(RUNNER, experimental, "experimental", TABLE, "no boot verification job") \
	BARE(RUNNER, docker, "docker", SECTION, "containers of a job", BELOW(DOCKER)) \
	BARE(RUNNER, machine, "machine", SECTION, "machines of this runner", BELOW(MACHINE)) \
	LATER(RUNNER, cache, "cache", SECTION, "jobs run without their cache", BELOW(CACHE)) \
	NEVER(RUNNER, ssh, "ssh", TABLE, "belongs to another executor", BELOW(OTHER)) \
	NEVER(RUNNER, parallels, "parallels", TABLE, "belongs to another executor", \
	    BELOW(OTHER)) \
	NEVER(RUNNER, virtualbox, "virtualbox", TABLE, "belongs to another executor", \
	    BELOW(OTHER)) \
	NEVER(RUNNER, custom, "custom", TABLE, "belongs to another executor", BELOW(OTHER)) \
	NEVER(RUNNER, kubernetes, "kubernetes", TABLE, "belongs to another executor", \
	    BELOW(OTHER)) \
	NEVER(RUNNER, instance, "instance", TABLE, "belongs to another executor", BELOW(OTHER)) \
	NEVER(RUNNER, autoscaler, "autoscaler", TABLE, "belongs to another executor", \
	    BELOW(OTHER))

/* [runners.custom_build_dir] */
#define BUILD_DIR_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	JOB(BUILD_DIR, custom_build_dir, "enabled", BOOL, "jobs may set GIT_CLONE_PATH", \
	    DFLT("true"), FLAG("custom_build_dir-enabled"), ENV("CUSTOM_BUILD_DIR_ENABLED"))

/* [runners.artifact] */
#define ARTIFACT_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(ARTIFACT, upload_timeout, "upload_timeout", DURATION, "limit of one upload", \
	    DFLT("1h")) \
	LATER(ARTIFACT, response_header_timeout, "response_header_timeout", DURATION, \
	    "limit until the server answers", DFLT("10m"))

/* [runners.docker] */
#define DOCKER_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	NEVER(DOCKER, host, "host", STRING, "the machine takes its place", FLAG("docker-host"), \
	    ENV("DOCKER_HOST")) \
	NEVER(DOCKER, tls_cert_path, "tls_cert_path", STRING, \
	    "the machine's certificates take its place", FLAG("docker-cert-path"), \
	    ENV("DOCKER_CERT_PATH")) \
	NEVER(DOCKER, tls_verify, "tls_verify", BOOL, "TLS is always verified", \
	    FLAG("docker-tlsverify"), ENV("DOCKER_TLS_VERIFY")) \
	JOB(DOCKER, hostname, "hostname", STRING, "host name inside the containers", \
	    FLAG("docker-hostname"), ENV("DOCKER_HOSTNAME")) \
	JOB(DOCKER, image, "image", STRING, "image of jobs that name none", \
	    FLAG("docker-image"), ENV("DOCKER_IMAGE")) \
	JOB(DOCKER, runtime, "runtime", STRING, "OCI runtime, such as runsc", \
	    FLAG("docker-runtime"), ENV("DOCKER_RUNTIME")) \
	JOB(DOCKER, memory, "memory", STRING, "memory limit: 512m, 2g", FLAG("docker-memory"), \
	    ENV("DOCKER_MEMORY")) \
	JOB(DOCKER, memory_swap, "memory_swap", STRING, \
	    "memory and swap together; -1 = unlimited", FLAG("docker-memory-swap"), \
	    ENV("DOCKER_MEMORY_SWAP")) \
	JOB(DOCKER, memory_reservation, "memory_reservation", STRING, "soft memory limit", \
	    FLAG("docker-memory-reservation"), ENV("DOCKER_MEMORY_RESERVATION")) \
	JOB(DOCKER, cgroup_parent, "cgroup_parent", STRING, "parent cgroup", \
	    FLAG("docker-cgroup-parent"), ENV("DOCKER_CGROUP_PARENT")) \
	JOB(DOCKER, cpuset_cpus, "cpuset_cpus", STRING, "CPUs: 0,2-3", \
	    FLAG("docker-cpuset-cpus"), ENV("DOCKER_CPUSET_CPUS")) \
	JOB(DOCKER, cpuset_mems, "cpuset_mems", STRING, "NUMA nodes", \
	    FLAG("docker-cpuset-mems"), ENV("DOCKER_CPUSET_MEMS")) \
	JOB(DOCKER, cpus, "cpus", STRING, "number of CPUs: 1.5", FLAG("docker-cpus"), \
	    ENV("DOCKER_CPUS")) \
	JOB(DOCKER, cpu_shares, "cpu_shares", INT, "relative weight", FLAG("docker-cpu-shares"), \
	    ENV("DOCKER_CPU_SHARES")) \
	JOB(DOCKER, dns, "dns", STRINGS, "name servers (addresses)", FLAG("docker-dns"), \
	    ENV("DOCKER_DNS")) \
	JOB(DOCKER, dns_search, "dns_search", STRINGS, "search domains", \
	    FLAG("docker-dns-search"), ENV("DOCKER_DNS_SEARCH")) \
	JOB(DOCKER, privileged, "privileged", BOOL, "privileged job and service containers", \
	    DFLT("false"), FLAG("docker-privileged"), ENV("DOCKER_PRIVILEGED"), ALWAYS) \
	LATER(DOCKER, services_privileged, "services_privileged", BOOL, \
	    "privileged services; unset: as privileged", FLAG("docker-services_privileged"), \
	    ENV("DOCKER_SERVICES_PRIVILEGED")) \
	JOB(DOCKER, disable_entrypoint_overwrite, "disable_entrypoint_overwrite", BOOL, \
	    "ignore the job's entrypoint", DFLT("false"), \
	    FLAG("docker-disable-entrypoint-overwrite"), \
	    ENV("DOCKER_DISABLE_ENTRYPOINT_OVERWRITE"), ALWAYS) \
	JOB(DOCKER, user, "user", STRING, "user of the job container", FLAG("docker-user"), \
	    ENV("DOCKER_USER")) \
	JOB(DOCKER, allowed_users, "allowed_users", STRINGS, "users a job may choose", \
	    FLAG("docker-allowed_users"), ENV("DOCKER_ALLOWED_USERS")) \
	JOB(DOCKER, group_add, "group_add", STRINGS, "supplementary groups", \
	    FLAG("docker-group-add"), ENV("DOCKER_GROUP_ADD")) \
	JOB(DOCKER, userns_mode, "userns_mode", STRING, "user namespace mode", \
	    FLAG("docker-userns"), ENV("DOCKER_USERNS_MODE")) \
	JOB(DOCKER, cap_add, "cap_add", STRINGS, "capabilities to add", FLAG("docker-cap-add"), \
	    ENV("DOCKER_CAP_ADD")) \
	JOB(DOCKER, cap_drop, "cap_drop", STRINGS, "capabilities to drop", \
	    FLAG("docker-cap-drop"), ENV("DOCKER_CAP_DROP")) \
	JOB(DOCKER, oom_kill_disable, "oom_kill_disable", BOOL, "no kill when out of memory", \
	    DFLT("false"), FLAG("docker-oom-kill-disable"), ENV("DOCKER_OOM_KILL_DISABLE"), \
	    ALWAYS) \
	JOB(DOCKER, oom_score_adjust, "oom_score_adjust", INT, "OOM score", \
	    FLAG("docker-oom-score-adjust"), ENV("DOCKER_OOM_SCORE_ADJUST")) \
	JOB(DOCKER, security_opt, "security_opt", STRINGS, \
	    "security options; seccomp=FILE is read here", FLAG("docker-security-opt"), \
	    ENV("DOCKER_SECURITY_OPT")) \
	JOB(DOCKER, allow_job_credential_helpers, "allow_job_credential_helpers", STRINGS, \
	    "credential helpers of this host (docker-credential-NAME) that a job's " \
	    "DOCKER_AUTH_CONFIG may name", FLAG("docker-allow-job-credential-helpers"), \
	    ENV("DOCKER_ALLOW_JOB_CREDENTIAL_HELPERS")) \
	LATER(DOCKER, services_security_opt, "services_security_opt", STRINGS, \
	    "the same for services", FLAG("docker-services-security-opt"), \
	    ENV("DOCKER_SERVICES_SECURITY_OPT")) \
	JOB(DOCKER, devices, "devices", STRINGS, "host devices: /dev/x[:/dev/y[:rwm]]", \
	    FLAG("docker-devices"), ENV("DOCKER_DEVICES")) \
	JOB(DOCKER, device_cgroup_rules, "device_cgroup_rules", STRINGS, "cgroup device rules", \
	    FLAG("docker-device-cgroup-rules"), ENV("DOCKER_DEVICE_CGROUP_RULES")) \
	JOB(DOCKER, gpus, "gpus", STRING, "as docker run --gpus", FLAG("docker-gpus"), \
	    ENV("DOCKER_GPUS")) \
	LATER(DOCKER, services_devices, "services_devices", TABLE, \
	    "devices of services by image pattern", FLAG("docker-services_devices"), \
	    ENV("DOCKER_SERVICES_DEVICES")) \
	JOB(DOCKER, disable_cache, "disable_cache", BOOL, "bare-path volumes are temporary", \
	    DFLT("false"), FLAG("docker-disable-cache"), ENV("DOCKER_DISABLE_CACHE"), ALWAYS) \
	JOB(DOCKER, volumes, "volumes", STRINGS, "/path, host:/path[:mode] or name:/path", \
	    FLAG("docker-volumes"), ENV("DOCKER_VOLUMES")) \
	JOB(DOCKER, volume_keep, "volume_keep", BOOL, "keep anonymous volumes", DFLT("false"), \
	    FLAG("docker-volume-keep"), ENV("DOCKER_VOLUME_KEEP")) \
	JOB(DOCKER, volume_driver, "volume_driver", STRING, "volume driver", \
	    FLAG("docker-volume-driver"), ENV("DOCKER_VOLUME_DRIVER")) \
	JOB(DOCKER, volume_driver_ops, "volume_driver_ops", TABLE, "its options", \
	    FLAG("docker-volume-driver-ops"), ENV("DOCKER_VOLUME_DRIVER_OPS")) \
	JOB(DOCKER, cache_dir, "cache_dir", STRING, \
	    "directory on the machine for cache volumes", FLAG("docker-cache-dir"), \
	    ENV("DOCKER_CACHE_DIR")) \
	JOB(DOCKER, extra_hosts, "extra_hosts", STRINGS, "name:ip", FLAG("docker-extra-hosts"), \
	    ENV("DOCKER_EXTRA_HOSTS")) \
	JOB(DOCKER, volumes_from, "volumes_from", STRINGS, "container[:ro|rw]", \
	    FLAG("docker-volumes-from"), ENV("DOCKER_VOLUMES_FROM")) \
	JOB(DOCKER, network_mode, "network_mode", STRING, "Docker network", \
	    FLAG("docker-network-mode"), ENV("DOCKER_NETWORK_MODE")) \
	JOB(DOCKER, pid_mode, "pid_mode", STRING, "pid namespace", FLAG("docker-pid-mode"), \
	    ENV("DOCKER_PID_MODE")) \
	JOB(DOCKER, ipcmode, "ipcmode", STRING, "ipc mode", FLAG("docker-ipcmode"), \
	    ENV("DOCKER_IPC_MODE")) \
	JOB(DOCKER, mac_address, "mac_address", STRING, "MAC address", \
	    FLAG("docker-mac-address"), ENV("DOCKER_MAC_ADDRESS")) \
	JOB(DOCKER, links, "links", STRINGS, "legacy links: container:alias", \
	    FLAG("docker-links"), ENV("DOCKER_LINKS")) \
	JOB(DOCKER, services, "services", TABLES, "services of every job", BUT(LATER), \
	    BELOW(SERVICES)) \
	LATER(DOCKER, services_limit, "services_limit", INT, \
	    "most services of a job; -1 = no limit", DFLT("-1"), FLAG("docker-services-limit"), \
	    ENV("DOCKER_SERVICES_LIMIT")) \
	LATER(DOCKER, service_memory, "service_memory", STRING, "memory limit of services", \
	    FLAG("docker-service-memory"), ENV("DOCKER_SERVICE_MEMORY")) \
	LATER(DOCKER, service_memory_swap, "service_memory_swap", STRING, \
	    "memory and swap of services", FLAG("docker-service-memory-swap"), \
	    ENV("DOCKER_SERVICE_MEMORY_SWAP")) \
	LATER(DOCKER, service_memory_reservation, "service_memory_reservation", STRING, \
	    "soft memory limit of services", FLAG("docker-service-memory-reservation"), \
	    ENV("DOCKER_SERVICE_MEMORY_RESERVATION")) \
	LATER(DOCKER, service_cgroup_parent, "service_cgroup_parent", STRING, \
	    "parent cgroup of services", FLAG("docker-service-cgroup-parent"), \
	    ENV("DOCKER_SERVICE_CGROUP_PARENT")) \
	LATER(DOCKER, service_slot_cgroup_template, "service_slot_cgroup_template", STRING, \
	    "slot cgroup of services", FLAG("docker-service-slot-cgroup-template"), \
	    ENV("DOCKER_SERVICE_SLOT_CGROUP_TEMPLATE")) \
	LATER(DOCKER, service_cpuset_cpus, "service_cpuset_cpus", STRING, "CPUs of services", \
	    FLAG("docker-service-cpuset-cpus"), ENV("DOCKER_SERVICE_CPUSET_CPUS")) \
	LATER(DOCKER, service_cpus, "service_cpus", STRING, "number of CPUs of services", \
	    FLAG("docker-service-cpus"), ENV("DOCKER_SERVICE_CPUS")) \
	LATER(DOCKER, service_cpu_shares, "service_cpu_shares", INT, "weight of services", \
	    FLAG("docker-service-cpu-shares"), ENV("DOCKER_SERVICE_CPU_SHARES")) \
	LATER(DOCKER, service_gpus, "service_gpus", STRING, "GPUs of services", \
	    FLAG("docker-service_gpus"), ENV("DOCKER_SERVICE_GPUS")) \
	LATER(DOCKER, wait_for_services_timeout, "wait_for_services_timeout", INT, \
	    "seconds to wait for services; -1 = do not wait", DFLT("30"), \
	    FLAG("docker-wait-for-services-timeout"), ENV("DOCKER_WAIT_FOR_SERVICES_TIMEOUT")) \
	JOB(DOCKER, allowed_images, "allowed_images", STRINGS, \
	    "patterns of images that jobs may use", FLAG("docker-allowed-images"), \
	    ENV("DOCKER_ALLOWED_IMAGES")) \
	JOB(DOCKER, allowed_privileged_images, "allowed_privileged_images", STRINGS, \
	    "privileged only for these", FLAG("docker-allowed-privileged-images"), \
	    ENV("DOCKER_ALLOWED_PRIVILEGED_IMAGES")) \
	LATER(DOCKER, allowed_privileged_services, "allowed_privileged_services", STRINGS, \
	    "privileged only for these services", FLAG("docker-allowed-privileged-services"), \
	    ENV("DOCKER_ALLOWED_PRIVILEGED_SERVICES")) \
	JOB(DOCKER, allowed_pull_policies, "allowed_pull_policies", STRINGS, \
	    "pull policies that jobs may ask for", FLAG("docker-allowed-pull-policies"), \
	    ENV("DOCKER_ALLOWED_PULL_POLICIES")) \
	LATER(DOCKER, allowed_services, "allowed_services", STRINGS, \
	    "patterns of service images", FLAG("docker-allowed-services"), \
	    ENV("DOCKER_ALLOWED_SERVICES")) \
	JOB(DOCKER, pull_policy, "pull_policy", STRINGS, \
	    "always, if-not-present or never; a list is tried in order", DFLT("always"), \
	    FLAG("docker-pull-policy"), ENV("DOCKER_PULL_POLICY")) \
	JOB(DOCKER, isolation, "isolation", STRING, "Windows only", BUT(NEVER), \
	    FLAG("docker-isolation"), ENV("DOCKER_ISOLATION")) \
	JOB(DOCKER, shm_size, "shm_size", INT, "bytes of /dev/shm", FLAG("docker-shm-size"), \
	    ENV("DOCKER_SHM_SIZE"), ALWAYS) \
	JOB(DOCKER, tmpfs, "tmpfs", TABLE, "path = mount options", FLAG("docker-tmpfs"), \
	    ENV("DOCKER_TMPFS")) \
	LATER(DOCKER, services_tmpfs, "services_tmpfs", TABLE, "the same for services", \
	    FLAG("docker-services-tmpfs"), ENV("DOCKER_SERVICES_TMPFS")) \
	JOB(DOCKER, sysctls, "sysctls", TABLE, "sysctl = value", FLAG("docker-sysctls"), \
	    ENV("DOCKER_SYSCTLS")) \
	JOB(DOCKER, helper_image, "helper_image", STRING, \
	    "image with git and a shell for the helper container", FLAG("docker-helper-image"), \
	    ENV("DOCKER_HELPER_IMAGE")) \
	JOB(DOCKER, helper_image_flavor, "helper_image_flavor", STRING, \
	    "alpine, ubuntu, ubi-fips, ...; unset: alpine", FLAG("docker-helper-image-flavor"), \
	    ENV("DOCKER_HELPER_IMAGE_FLAVOR")) \
	JOB(DOCKER, container_labels, "container_labels", TABLE, "labels of all containers", \
	    FLAG("docker-container-labels")) \
	JOB(DOCKER, enable_ipv6, "enable_ipv6", BOOL, "IPv6 in the network of a job", \
	    FLAG("docker-enable-ipv6")) \
	JOB(DOCKER, ulimit, "ulimit", TABLE, "name = soft[:hard]", FLAG("docker-ulimit"), \
	    ENV("DOCKER_ULIMIT")) \
	JOB(DOCKER, network_mtu, "network_mtu", INT, "MTU of the network of a job", \
	    FLAG("docker-network-mtu")) \
	JOB(DOCKER, log_options, "log_options", TABLE, "only env and labels", \
	    FLAG("docker-log-options"), ENV("DOCKER_LOG_OPTIONS"))

/* [[runners.docker.services]] */
#define SERVICES_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(SERVICES, name, "name", STRING, "image") \
	LATER(SERVICES, alias, "alias", STRING, "host names") \
	LATER(SERVICES, command, "command", STRINGS, "command") \
	LATER(SERVICES, entrypoint, "entrypoint", STRINGS, "entrypoint") \
	LATER(SERVICES, environment, "environment", STRINGS, "KEY=value") \
	NEVER(SERVICES, suspend_data_path, "suspend_data_path", STRING, "Kubernetes only")

/* [runners.machine] */
#define MACHINE_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	KEY(MACHINE, max_growth, "MaxGrowthRate", INT, \
	    "machines being created at one time; 0 = no limit", DFLT("0"), \
	    FLAG("machine-max-growth-rate"), ENV("MACHINE_MAX_GROWTH_RATE"), COUNT) \
	KEY(MACHINE, idle_count, "IdleCount", INT, "idle machines to keep; 0 = create on demand" \
	    DIFFERS("jobs are asked for also while no machine is idle, and each that waits " \
	    "gets a machine of its own"), DFLT("0"), FLAG("machine-idle-nodes"), \
	    ENV("MACHINE_IDLE_COUNT"), COUNT, ALWAYS) \
	KEY(MACHINE, idle_scale_factor, "IdleScaleFactor", FLOAT, \
	    "idle machines as a multiple of used ones; 0 = off", DFLT("0"), \
	    FLAG("machine-idle-scale-factor"), ENV("MACHINE_IDLE_SCALE_FACTOR"), NOT_BELOW_0, \
	    ALWAYS) \
	KEY(MACHINE, idle_count_min, "IdleCountMin", INT, "floor while the factor is on", \
	    DFLT("0"), FLAG("machine-idle-count-min"), ENV("MACHINE_IDLE_COUNT_MIN"), COUNT, \
	    ALWAYS) \
	KEY(MACHINE, idle_time, "IdleTime", INT, \
	    "seconds a machine must have been idle before it may go", DFLT("0"), \
	    FLAG("machine-idle-time"), ENV("MACHINE_IDLE_TIME"), COUNT, ALWAYS) \
	KEY(MACHINE, max_builds, "MaxBuilds", INT, "jobs per machine; 0 = no limit", DFLT("0"), \
	    FLAG("machine-max-builds"), ENV("MACHINE_MAX_BUILDS"), NOT_HUGE, ALWAYS) \
	KEY(MACHINE, machine_driver, "MachineDriver", STRING, "cloud driver", \
	    FLAG("machine-machine-driver"), ENV("MACHINE_DRIVER"), ALWAYS) \
	KEY(MACHINE, machine_name, "MachineName", STRING, "name template with one %s", \
	    FLAG("machine-machine-name"), ENV("MACHINE_NAME"), ALWAYS) \
	KEY(MACHINE, machine_options, "MachineOptions", STRINGS, \
	    "options of the driver and the engine, without dashes", \
	    FLAG("machine-machine-options"), ENV("MACHINE_OPTIONS"), ALWAYS) \
	KEY(MACHINE, machine_options_with_name, "MachineOptionsWithName", STRINGS, \
	    "the same with %s for the name", FLAG("machine-machine-options-with-name"), \
	    ENV("MACHINE_OPTIONS_WITH_NAME")) \
	KEY(MACHINE, max_removal_attempts, "MaxRemovalAttempts", INT, \
	    "failed removals after which a machine is put aside (never forgotten)" \
	    DIFFERS("a machine that could not be removed is put aside and tried again, never " \
	    "forgotten"), DFLT("30"), FLAG("machine-max-removal-attempts"), \
	    ENV("MACHINE_MAX_REMOVAL_ATTEMPTS")) \
	GONE(MACHINE, OffPeakPeriods, "OffPeakPeriods", STRINGS, \
	    "write a [[runners.machine.autoscaling]] section instead") \
	GONE(MACHINE, OffPeakTimezone, "OffPeakTimezone", STRING, \
	    "write a [[runners.machine.autoscaling]] section instead") \
	GONE(MACHINE, OffPeakIdleCount, "OffPeakIdleCount", INT, \
	    "write a [[runners.machine.autoscaling]] section instead") \
	GONE(MACHINE, OffPeakIdleTime, "OffPeakIdleTime", INT, \
	    "write a [[runners.machine.autoscaling]] section instead") \
	BARE(MACHINE, autoscaling, "autoscaling", TABLES, \
	    "idle settings by time of day; the last entry whose Periods hold gives all four" \
	    DIFFERS("Periods are read exactly as gitlab-runner does, but a range that runs " \
	    "backwards (22-6) is refused, and the four values are taken together"), \
	    BELOW(AUTOSCALING)) \
	KEY(MACHINE, periods_syntax, "PeriodsSyntax", STRING, \
	    "how Periods are read: gitlab (7 fields, seconds first) or unix (the 5 of " \
	    "crontab, whole minutes)", DFLT("gitlab"), FLAG("machine-periods-syntax"), \
	    ENV("MACHINE_PERIODS_SYNTAX")) \
	KEY(MACHINE, growth_per_second, "GrowthRatePerSecond", FLOAT, \
	    "creations a second in the long run; 0 = no limit", DFLT("0"), \
	    FLAG("machine-growth-rate-per-second"), ENV("MACHINE_GROWTH_RATE_PER_SECOND"), \
	    NOT_BELOW_0) \
	KEY(MACHINE, growth_burst, "GrowthBurst", INT, \
	    "creations that GrowthRatePerSecond lets go ahead at once", DFLT("10"), \
	    FLAG("machine-growth-burst"), ENV("MACHINE_GROWTH_BURST"), COUNT) \
	KEY(MACHINE, factor_limit, "IdleScaleFactorLimit", INT, \
	    "most idle machines that IdleScaleFactor asks for; 0 = no limit", DFLT("0"), \
	    FLAG("machine-idle-scale-factor-limit"), ENV("MACHINE_IDLE_SCALE_FACTOR_LIMIT"), \
	    COUNT) \
	KEY(MACHINE, max_machine_age, "MaxMachineAge", INT, \
	    "seconds after which a machine takes no job any more and goes; 0 = no limit", \
	    DFLT("0"), FLAG("machine-max-machine-age"), ENV("MACHINE_MAX_MACHINE_AGE"), COUNT) \
	KEY(MACHINE, failure_threshold, "FailureThreshold", INT, \
	    "failed checks of its engine in a row after which an idle machine goes", DFLT("3"), \
	    FLAG("machine-failure-threshold"), ENV("MACHINE_FAILURE_THRESHOLD"), COUNT) \
	KEY(MACHINE, ready_command, "ReadyCommand", STRING, \
	    "runs on a new machine over SSH; the machine is ready when it succeeds, and " \
	    "removed when it fails", FLAG("machine-ready-command"), \
	    ENV("MACHINE_READY_COMMAND")) \
	KEY(MACHINE, preemptive, "Preemptive", BOOL, \
	    "ask for a job only with an idle machine in hand", DFLT("false"), \
	    FLAG("machine-preemptive"), ENV("MACHINE_PREEMPTIVE")) \
	KEY(MACHINE, scaling_rules, "ScalingRules", STRINGS, \
	    "better (the default) or compat, gitlab-runner's algorithm; then single rules on " \
	    "(queue) or off (no-queue)", FLAG("machine-scaling-rules"), \
	    ENV("MACHINE_SCALING_RULES"))

/* [[runners.machine.autoscaling]] */
#define AUTOSCALING_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	KEY(AUTOSCALING, periods, "Periods", STRINGS, \
	    "when the entry holds: second minute hour day-of-month month day-of-week year") \
	KEY(AUTOSCALING, timezone, "Timezone", STRING, \
	    "zone of its Periods, such as Europe/Berlin; empty or Local: this host's") \
	KEY(AUTOSCALING, idle_count, "IdleCount", INT, "idle machines to keep in the periods", \
	    DFLT("0")) \
	KEY(AUTOSCALING, idle_scale_factor, "IdleScaleFactor", FLOAT, \
	    "idle machines as a multiple of used ones in the periods", DFLT("0")) \
	KEY(AUTOSCALING, idle_count_min, "IdleCountMin", INT, "floor while the factor is on", \
	    DFLT("0")) \
	KEY(AUTOSCALING, idle_time, "IdleTime", INT, \
	    "seconds a machine must have been idle in the periods before it may go", DFLT("0"))

/* [runners.cache] */
#define CACHE_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(CACHE, Type, "Type", STRING, "s3, gcs or azure", FLAG("cache-type"), \
	    ENV("CACHE_TYPE")) \
	LATER(CACHE, Path, "Path", STRING, "prefix in the bucket", FLAG("cache-path"), \
	    ENV("CACHE_PATH")) \
	LATER(CACHE, Shared, "Shared", BOOL, "shared between runners", FLAG("cache-shared"), \
	    ENV("CACHE_SHARED")) \
	LATER(CACHE, MaxUploadedArchiveSize, "MaxUploadedArchiveSize", INT, \
	    "bytes; 0 = no limit", FLAG("cache-max_uploaded_archive_size"), \
	    ENV("CACHE_MAXIMUM_UPLOADED_ARCHIVE_SIZE")) \
	GONE(CACHE, ServerAddress, "ServerAddress", STRING, \
	    "write ServerAddress in [runners.cache.s3] instead") \
	GONE(CACHE, AccessKey, "AccessKey", STRING, \
	    "write AccessKey in [runners.cache.s3] instead") \
	GONE(CACHE, SecretKey, "SecretKey", STRING, \
	    "write SecretKey in [runners.cache.s3] instead") \
	GONE(CACHE, BucketName, "BucketName", STRING, \
	    "write BucketName in [runners.cache.s3] instead") \
	GONE(CACHE, BucketLocation, "BucketLocation", STRING, \
	    "write BucketLocation in [runners.cache.s3] instead") \
	GONE(CACHE, Insecure, "Insecure", BOOL, "write Insecure in [runners.cache.s3] instead") \
	GONE(CACHE, CredentialsFile, "CredentialsFile", STRING, \
	    "write CredentialsFile in [runners.cache.gcs] instead") \
	GONE(CACHE, AccessID, "AccessID", STRING, \
	    "write AccessID in [runners.cache.gcs] instead") \
	GONE(CACHE, PrivateKey, "PrivateKey", STRING, \
	    "write PrivateKey in [runners.cache.gcs] instead") \
	GONE(CACHE, S3CachePath, "S3CachePath", STRING, "write Path instead") \
	GONE(CACHE, CachePath, "CachePath", STRING, "write Path instead") \
	GONE(CACHE, CacheShared, "CacheShared", BOOL, "write Shared instead") \
	GONE(CACHE, S3CacheInsecure, "S3CacheInsecure", BOOL, \
	    "write Insecure in [runners.cache.s3] instead") \
	LATER(CACHE, s3, "s3", SECTION, "S3", BELOW(S3)) \
	LATER(CACHE, gcs, "gcs", SECTION, "Google Cloud Storage", BELOW(GCS)) \
	LATER(CACHE, azure, "azure", SECTION, "Azure Blob Storage", BELOW(AZURE))

/* [runners.cache.s3] */
#define S3_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(S3, ServerAddress, "ServerAddress", STRING, "host[:port]", \
	    FLAG("cache-s3-server-address"), ENV("CACHE_S3_SERVER_ADDRESS")) \
	LATER(S3, AccessKey, "AccessKey", STRING, "access key", FLAG("cache-s3-access-key"), \
	    ENV("CACHE_S3_ACCESS_KEY")) \
	LATER(S3, SecretKey, "SecretKey", STRING, "secret key", FLAG("cache-s3-secret-key"), \
	    ENV("CACHE_S3_SECRET_KEY")) \
	LATER(S3, SessionToken, "SessionToken", STRING, "temporary credentials", \
	    FLAG("cache-s3-session-token"), ENV("CACHE_S3_SESSION_TOKEN")) \
	LATER(S3, BucketName, "BucketName", STRING, "bucket", FLAG("cache-s3-bucket-name"), \
	    ENV("CACHE_S3_BUCKET_NAME")) \
	LATER(S3, BucketLocation, "BucketLocation", STRING, "region", \
	    FLAG("cache-s3-bucket-location"), ENV("CACHE_S3_BUCKET_LOCATION")) \
	LATER(S3, Insecure, "Insecure", BOOL, "plain HTTP", FLAG("cache-s3-insecure"), \
	    ENV("CACHE_S3_INSECURE")) \
	LATER(S3, AuthenticationType, "AuthenticationType", STRING, "access-key or iam", \
	    FLAG("cache-s3-authentication_type"), ENV("CACHE_S3_AUTHENTICATION_TYPE")) \
	LATER(S3, ServerSideEncryption, "ServerSideEncryption", STRING, "S3, KMS or DSSE-KMS", \
	    FLAG("cache-s3-server-side-encryption"), ENV("CACHE_S3_SERVER_SIDE_ENCRYPTION")) \
	LATER(S3, ServerSideEncryptionKeyID, "ServerSideEncryptionKeyID", STRING, "KMS key", \
	    FLAG("cache-s3-server-side-encryption-key-id"), \
	    ENV("CACHE_S3_SERVER_SIDE_ENCRYPTION_KEY_ID")) \
	LATER(S3, DualStack, "DualStack", BOOL, "dual-stack endpoint", \
	    FLAG("cache-s3-dual-stack"), ENV("CACHE_S3_DUAL_STACK")) \
	LATER(S3, PathStyle, "PathStyle", BOOL, "path-style URLs", FLAG("cache-s3-path-style"), \
	    ENV("CACHE_S3_PATH_STYLE")) \
	LATER(S3, Accelerate, "Accelerate", BOOL, "transfer acceleration", \
	    FLAG("cache-s3-accelerate"), ENV("CACHE_S3_ACCELERATE")) \
	LATER(S3, RoleARN, "RoleARN", STRING, "role for the helper", FLAG("cache-s3-role-arn"), \
	    ENV("CACHE_S3_ROLE_ARN")) \
	LATER(S3, UploadRoleARN, "UploadRoleARN", STRING, "role for uploads", \
	    FLAG("cache-s3-upload-role-arn"), ENV("CACHE_S3_UPLOAD_ROLE_ARN")) \
	LATER(S3, AssumeRoleMaxConcurrency, "AssumeRoleMaxConcurrency", INT, \
	    "STS calls at once", FLAG("cache-s3-assume-role-max-concurrency"), \
	    ENV("CACHE_S3_ASSUME_ROLE_MAX_CONCURRENCY")) \
	LATER(S3, DisableAssumeRoleCredentialsCaching, \
	    "DisableAssumeRoleCredentialsCaching", BOOL, \
	    "no cache of STS answers", FLAG("cache-s3-disable-assume-role-credentials-caching"), \
	    ENV("CACHE_S3_DISABLE_ASSUME_ROLE_CREDENTIALS_CACHING"))

/* [runners.cache.gcs] */
#define GCS_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(GCS, AccessID, "AccessID", STRING, "service account", FLAG("cache-gcs-access-id"), \
	    ENV("CACHE_GCS_ACCESS_ID")) \
	LATER(GCS, PrivateKey, "PrivateKey", STRING, "PEM key", FLAG("cache-gcs-private-key"), \
	    ENV("CACHE_GCS_PRIVATE_KEY")) \
	LATER(GCS, CredentialsFile, "CredentialsFile", STRING, "JSON key file", \
	    FLAG("cache-gcs-credentials-file"), ENV("GOOGLE_APPLICATION_CREDENTIALS")) \
	LATER(GCS, BucketName, "BucketName", STRING, "bucket", FLAG("cache-gcs-bucket-name"), \
	    ENV("CACHE_GCS_BUCKET_NAME")) \
	LATER(GCS, UniverseDomain, "UniverseDomain", STRING, "other API domain", \
	    FLAG("cache-gcs-universe-domain"), ENV("CACHE_GCS_UNIVERSE_DOMAIN"))

/* [runners.cache.azure] */
#define AZURE_KEYS(KEY, JOB, BARE, LATER, NEVER, GONE) \
	LATER(AZURE, AccountName, "AccountName", STRING, "storage account", \
	    FLAG("cache-azure-account-name"), ENV("CACHE_AZURE_ACCOUNT_NAME")) \
	LATER(AZURE, AccountKey, "AccountKey", STRING, "its key", \
	    FLAG("cache-azure-account-key"), ENV("CACHE_AZURE_ACCOUNT_KEY")) \
	LATER(AZURE, ContainerName, "ContainerName", STRING, "container", \
	    FLAG("cache-azure-container-name"), ENV("CACHE_AZURE_CONTAINER_NAME")) \
	LATER(AZURE, StorageDomain, "StorageDomain", STRING, "domain", \
	    FLAG("cache-azure-storage-domain"), ENV("CACHE_AZURE_STORAGE_DOMAIN"))

#endif
