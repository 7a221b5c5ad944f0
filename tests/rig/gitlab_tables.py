"""The GitLab double's tables: what can be set, what is a violation, and what
the server knows by name."""

SETTINGS = {
    # name: (default, what it is)
    "poll_seconds":         (50, "how long workhorse holds a job request; 0 = never"),
    "trace_interval":       (1, "X-GitLab-Trace-Update-Interval; null = as GitLab: 3 while watched, else 60"),
    "put_interval":         (False, "send the interval header on PUT 200 too"),
    "ack_limit":            (15, "seconds until PUT running must have come, else late-ack (ours, no server's: 17.x sends it after 30); 0 = not checked"),
    "silent_limit":         (3600, "a job this long without PATCH or PUT is dropped"),
    "two_phase":            (False, "a job stays pending until PUT running"),
    "ack_timeout":          (120, "with two_phase: seconds until an unacknowledged job is dropped"),
    "ack_retry":            (True, "with two_phase: an unacknowledged job is queued again, as a new one"),
    "persist_seconds":      (0, "after the first final PUT chunks take this long to be stored: 202"),
    "accept_timeout":       (300, "after which the server gives in and takes the final state"),
    "checksum_412":         (False, "answer 412 to a final PUT whose checksum is wrong, as some old servers"),
    "trace_size_limit":     (100 << 20, "bytes of trace after which the job is dropped"),
    "patch_limit":          (1 << 20, "bytes of one PATCH, above it is a violation"),
    "pace":                 (True, "check that patches keep the interval"),
    "rate_request":         (2000, "jobs/request a minute and runner; 0 = no limit"),
    "rate_put":             (200, "PUT a minute and job"),
    "rate_patch":           (200, "PATCH a minute and job"),
    "rate_artifacts":       (200, "artifact requests a minute and job"),
    "keepalive":            (65, "seconds an idle connection is kept"),
    "allow_registration":   (True, "registration tokens are accepted; else 410"),
    "verify_plain":         (False, "answer verify with the text 200, as very old servers"),
    "artifacts_enabled":    (True, "else 405"),
    "max_artifact_size":    (100 << 20, "bytes, above it 413"),
    "direct_download":      (False, "redirect direct_download=true to the object store"),
}

RULES = {
    "internal":             "not the client: the double itself failed",
    # HTTP
    "http":                 "the request is no HTTP/1.1",
    "unknown-path":         "no such endpoint, or not this method",
    "user-agent":           "no User-Agent",
    "sni":                  "TLS without the server's name, or with another",
    "content-type":         "JSON not sent as application/json, trace not as text/plain",
    "pipelined":            "a second request before the first was answered",
    "retry-after":          "asked again before the time the server gave",
    "rate-limit":           "more job requests than a minute allows",
    "json":                 "body is no JSON object",
    "unknown-field":        "a field the server does not know",
    "field-type":           "a field of the wrong type",
    "private-token":        "style of 19.x: PRIVATE-TOKEN where it has no business; 17.x sends it everywhere, and servers take it",
    # runner
    "runner-token":         "style of 19.x: RUNNER-TOKEN header missing, or not the token of the body; servers go by the body",
    "system-id":            "system_id missing for a glrt- token, or malformed",
    "info":                 "info missing, incomplete or malformed",
    "features":             "a feature every job needs is not announced, or no such feature",
    "body-size":            "body above what the server reads: 32 KiB for a job request",
    "last-update":          "last_update was never issued, or was forgotten on the same connection",
    "delete-created":       "DELETE runners with a glrt- token removes the runner for all managers",
    "register":             "a field of the registration is missing or malformed",
    # job
    "unknown-job":          "no such job",
    "job-token":            "not the token of the job, which servers refuse",
    "job-token-header":     "style of 19.x: JOB-TOKEN header missing, or not the token of the body; servers go by the body or the query",
    "late-ack":             "stricter than any server: no PUT running within ack_limit of the job; servers drop a job only with two_phase, after ack_timeout",
    "after-refusal":        "goes on asking for a job that was refused many times",
    "pending":              "state pending is understood by few servers",
    "state":                "state missing or none the server takes",
    "reason":               "failure_reason missing, unknown, or with a state that has none",
    "exit-code":            "exit_code malformed, zero, or with a state that has none",
    "checksum":             "checksum missing, malformed, or not that of the trace",
    "bytesize":             "output.bytesize malformed, zero, or less than the trace",
    "final-early":          "final update repeated before the interval was over",
    "final-changed":        "a repeated final update says something else",
    "final-missing":        "final update before all of the trace was sent",
    # trace
    "range-header":         "Content-Range missing or not start-end",
    "range-end":            "Content-Range's end is not start + length - 1",
    "empty-patch":          "PATCH without a body",
    "patch-size":           "PATCH above 1 MiB",
    "debug-trace":          "debug_trace malformed, or missing for a job that prints secrets",
    "trace-changed":        "bytes sent again differ from those sent before",
    "trace-secret":         "the trace shows a masked value or a token",
    "trace-utf8":           "the trace is not UTF-8",
    "pace":                 "patches faster than the server's interval",
    # artifacts
    "artifact":             "an upload that is not what it says",
    "token-leak":           "a token sent to the object store",
}

MUST_FEATURES = ("refspecs", "multi_build_steps", "return_exit_code", "cancel_gracefully")
FEATURES = set(MUST_FEATURES) | set(
    "upload_multiple_artifacts artifacts_exclude fallback_cache_keys vault_secrets two_phase_job_commit "
    "trace_checksum trace_size trace_reset cancelable masking raw_variables variables image services artifacts "
    "cache upload_raw_artifacts service_variables service_multiple_aliases image_executor_opts "
    "service_executor_opts job_inputs native_steps_integration session terminal shared proxy".split())
EXECUTORS = set("unknown custom shell docker docker-windows docker-ssh ssh parallels virtualbox docker+machine "
                "docker-ssh+machine kubernetes docker-autoscaler instance".split())
REQUEST_FIELDS = {"info", "token", "system_id", "last_update", "session"}
UPDATE_FIELDS = {"info", "token", "state", "failure_reason", "output", "checksum", "exit_code",
                 "runtime_environment_key"}
REGISTER_FIELDS = {"token", "info", "description", "maintenance_note", "tag_list", "run_untagged", "locked",
                   "access_level", "maximum_timeout", "paused", "system_id"}
ALWAYS_REASONS = {"script_failure", "runner_system_failure", "job_execution_timeout", "unknown_failure"}
FINISHED = ("success", "failed", "canceled")
PROCESSING = ("running", "canceling")

# artifact_type: the formats GitLab takes for it
ARTIFACT_TYPES = {"archive": ("zip", "zipzstd", "tarzstd"), "metadata": ("gzip",), "trace": ("raw",),
                  "lsif": ("zip",)}
ARTIFACT_TYPES.update(dict.fromkeys(
    "junit metrics metrics_referee network_referee dotenv cobertura jacoco cluster_applications cyclonedx "
    "annotations repository_xray".split(), ("gzip",)))
ARTIFACT_TYPES.update(dict.fromkeys(
    "accessibility api_fuzzing browser_performance cluster_image_scanning codequality container_scanning "
    "coverage_fuzzing dast dependency_scanning license_scanning load_performance performance requirements "
    "requirements_v2 sast secret_detection terraform".split(), ("raw",)))
MAGIC = {"zip": b"PK", "gzip": b"\x1f\x8b", "zipzstd": b"PK", "tarzstd": b"\x28\xb5\x2f\xfd"}
