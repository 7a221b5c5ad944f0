"""What GitLab hands out for a job: the answer of `jobs/request`.

fill() takes what a person or a test says of a job, the whole answer or a few
words of it, and adds what GitLab would have added. What is given is never
changed, not even a null: a test that wants an odd answer gets it.
"""

import time

ZERO_SHA = "0" * 40
USER = {"id": 301, "login": "ada", "name": "Ada Builder", "email": "ada@acme.example"}
# Everything the server may store; a runner sends few of them.
REASONS = (
    "unknown_failure script_failure api_failure stuck_or_timeout_failure runner_system_failure "
    "missing_dependency_failure runner_unsupported stale_schedule job_execution_timeout archived_failure "
    "unmet_prerequisites scheduler_failure data_integrity_failure forward_deployment_failure user_blocked "
    "project_deleted ci_quota_exceeded pipeline_loop_detected no_matching_runner trace_size_exceeded "
    "builds_disabled environment_creation_failure deployment_rejected failed_outdated_deployment_job "
    "job_execution_server_timeout no_updates_running server_timeout_running runner_provisioning_timeout "
    "runner_configuration_error runner_external_dependency_failure runner_interrupted image_pull_failure "
    "job_token_expired").split()
# Words that are no part of the answer but steer what fill() or the double does.
STEERING = ("script", "after_script", "release", "name", "stage", "ref", "project", "depth", "timeout",
            "pipeline", "tags", "runner", "exact", "required_features")


def lines(value):
    return [value] if isinstance(value, str) else list(value)


def deep_default(given, default):
    """`given`, with what it lacks taken from `default`; a null stays."""
    for key, value in default.items():
        if key not in given:
            given[key] = value
        elif isinstance(given[key], dict) and isinstance(value, dict):
            deep_default(given[key], value)
    return given


def variable(key, value, public=True, masked=False, **more):
    return {"key": key, "value": str(value), "public": public, "masked": masked, **more}


def as_image(value):
    return {"name": value} if isinstance(value, str) else value


def steps_of(spec, timeout):
    steps = [{"name": "script", "script": lines(spec.get("script", "true")), "timeout": timeout,
              "when": "on_success", "allow_failure": False}]
    if spec.get("release"):
        steps.append({"name": "release", "script": lines(spec["release"]), "timeout": timeout,
                      "when": "on_success", "allow_failure": False})
    if spec.get("after_script"):
        steps.append({"name": "after_script", "script": lines(spec["after_script"]), "timeout": timeout,
                      "when": "always", "allow_failure": True})
    return steps


def with_credentials(url, token):
    scheme, _, rest = url.partition("://")
    return "%s://gitlab-ci-token:%s@%s" % (scheme, token, rest)


def fill(spec, ident, token, base_url, git_url, resolve, runner_uuid):
    """(payload, steering words) of a job.

    `resolve(project, ref)` says what the repository holds: (sha, parent's
    sha, is a tag, subject), or None where it is not there.
    """
    spec = dict(spec)
    steer = {k: spec.pop(k) for k in STEERING if k in spec}
    spec.setdefault("id", ident)
    ident = spec["id"]
    spec.setdefault("token", token)
    token = spec["token"]
    given_git = spec.get("git_info") if isinstance(spec.get("git_info"), dict) else {}
    given_info = spec.get("job_info") if isinstance(spec.get("job_info"), dict) else {}
    given_runner = spec.get("runner_info") if isinstance(spec.get("runner_info"), dict) else {}
    project = steer.get("project") or given_info.get("project_full_path") or "acme/shop/web"
    ref = steer.get("ref") or given_git.get("ref") or "main"
    pipeline = steer.get("pipeline") or given_info.get("pipeline_id") or 774000 + ident
    timeout = steer.get("timeout") or given_runner.get("timeout") or 3600
    found = resolve(project, ref)
    sha, before, is_tag, title = found or (ZERO_SHA, ZERO_SHA, False, "")
    sha = given_git.get("sha") or sha
    clean_url = "%s/%s.git" % ((git_url or base_url).rstrip("/"), project)
    if is_tag:
        specs = ["+refs/tags/%s:refs/tags/%s" % (ref, ref)]
    else:
        specs = ["+refs/heads/%s:refs/remotes/origin/%s" % (ref, ref)]
    git_default = {
        "repo_url": with_credentials(clean_url, token), "repo_object_format": "sha1", "ref": ref,
        "sha": sha, "before_sha": before, "ref_type": "tag" if is_tag else "branch",
        "refspecs": ["+refs/pipelines/%d:refs/pipelines/%d" % (pipeline, pipeline)] + specs,
        "depth": steer.get("depth", 20), "protected": ref == "main",
    }
    if steer.get("exact"):
        # As it was given, apart from what makes it this job.
        if isinstance(spec.get("git_info"), dict):
            spec["git_info"].setdefault("repo_url", git_default["repo_url"])
        return spec, dict(steer, project=project, ref=ref, pipeline=pipeline, sha=sha)

    name = steer.get("name") or given_info.get("name") or "job-%d" % ident
    stage = steer.get("stage") or given_info.get("stage") or "test"
    if "image" in spec:
        spec["image"] = as_image(spec["image"])
    if isinstance(spec.get("services"), list):
        spec["services"] = [as_image(s) for s in spec["services"]]
    if isinstance(spec.get("variables"), dict):
        spec["variables"] = [{"key": k, "value": v} for k, v in spec["variables"].items()]
    default = {
        "id": ident, "token": token, "allow_git_fetch": True,
        "job_info": {
            "id": ident, "name": name, "stage": stage, "pipeline_id": pipeline, "project_id": 4711,
            "project_name": project.rsplit("/", 1)[-1], "project_full_path": project, "namespace_id": 55,
            "root_namespace_id": 12, "organization_id": 1, "instance_id": "ea8bf810",
            "instance_uuid": "ea8bf810-1d6f-4a6a-b4fd-93e8cbd8b57f", "user_id": USER["id"],
        },
        "git_info": git_default,
        "runner_info": {"timeout": timeout, "runner_session_url": None, "uuid": runner_uuid},
        "inputs": [], "hooks": [], "image": None, "services": [], "artifacts": None, "cache": [],
        "credentials": [], "dependencies": [], "secrets": {}, "policy_options": None, "run": None,
        "suspend_options": None,
        "features": {"trace_sections": True, "token_mask_prefixes": ["glpat-"], "failure_reasons": list(REASONS)},
    }
    if not spec.get("run"):
        default["steps"] = steps_of(steer, timeout)
    else:
        default["steps"] = []
    spec = deep_default(spec, default)
    for s in spec["steps"] or []:
        for key, value in (("timeout", timeout), ("when", "on_success"), ("allow_failure", False)):
            if isinstance(s, dict):
                s.setdefault(key, value)
    given = spec.get("variables", [])
    if given is not None:
        for v in given:
            if isinstance(v, dict):
                v.setdefault("public", False)
                v.setdefault("masked", False)
        keys = {v.get("key") for v in given if isinstance(v, dict)}
        spec["variables"] = [v for v in predefined(spec, base_url, clean_url, title)
                             if v["key"] not in keys] + given
    return spec, dict(steer, project=project, ref=ref, pipeline=pipeline, sha=sha)


def predefined(payload, base_url, clean_url, title):
    """The variables GitLab sets for every job."""
    info, git = payload.get("job_info") or {}, payload.get("git_info") or {}
    project = info.get("project_full_path") or "acme/shop/web"
    ref = git.get("ref") or "main"
    sha = git.get("sha") or ZERO_SHA
    ident, pipeline = payload["id"], info.get("pipeline_id")
    namespace, _, last = project.rpartition("/")
    scheme, _, hostport = base_url.partition("://")
    hostport = hostport.split("/")[0]
    host, _, port = hostport.rpartition(":") if ":" in hostport else (hostport, "", "")
    port = port or ("443" if scheme == "https" else "80")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    slug = "".join(c if c.isalnum() else "-" for c in ref.lower())[:63].strip("-")
    web = "%s/%s" % (base_url, project)
    image = payload.get("image") if isinstance(payload.get("image"), dict) else None
    timeout = (payload.get("runner_info") or {}).get("timeout") or 3600
    rows = [
        ("CI_PIPELINE_ID", pipeline), ("CI_PIPELINE_URL", "%s/-/pipelines/%s" % (web, pipeline)),
        ("CI_JOB_ID", ident), ("CI_JOB_URL", "%s/-/jobs/%d" % (web, ident)),
        ("CI_JOB_TOKEN", None), ("CI_JOB_STARTED_AT", now), ("CI_REGISTRY_USER", "gitlab-ci-token"),
        ("CI_REGISTRY_PASSWORD", None), ("CI_REPOSITORY_URL", None), ("CI_DEPENDENCY_PROXY_USER", "gitlab-ci-token"),
        ("CI_DEPENDENCY_PROXY_PASSWORD", None),
        ("CI_JOB_NAME", info.get("name")), ("CI_JOB_NAME_SLUG", info.get("name")),
        ("CI_JOB_STAGE", info.get("stage")), ("CI_NODE_TOTAL", 1), ("CI_JOB_TIMEOUT", timeout),
        ("CI_JOB_GROUP_NAME", info.get("name")),
        ("CI", "true"), ("GITLAB_CI", "true"), ("CI_SERVER_URL", base_url), ("CI_SERVER_HOST", host),
        ("CI_SERVER_PORT", port), ("CI_SERVER_PROTOCOL", scheme), ("CI_SERVER_FQDN", hostport),
        ("CI_SERVER_NAME", "GitLab"), ("CI_SERVER_SHELL_SSH_HOST", host), ("CI_SERVER_SHELL_SSH_PORT", 22),
        ("CI_SERVER_VERSION", "18.5.0"), ("CI_SERVER_VERSION_MAJOR", 18), ("CI_SERVER_VERSION_MINOR", 5),
        ("CI_SERVER_VERSION_PATCH", 0), ("CI_SERVER_REVISION", "4a7d1ee2"), ("GITLAB_FEATURES", ""),
        ("CI_PROJECT_ID", info.get("project_id")), ("CI_PROJECT_NAME", last), ("CI_PROJECT_TITLE", last),
        ("CI_PROJECT_DESCRIPTION", "The shop's web front"), ("CI_PROJECT_PATH", project),
        ("CI_PROJECT_PATH_SLUG", project.replace("/", "-")), ("CI_PROJECT_NAMESPACE", namespace),
        ("CI_PROJECT_NAMESPACE_ID", info.get("namespace_id")), ("CI_PROJECT_NAMESPACE_SLUG", namespace.replace("/", "-")),
        ("CI_PROJECT_ROOT_NAMESPACE", project.split("/")[0]), ("CI_PROJECT_URL", web),
        ("CI_PROJECT_VISIBILITY", "private"), ("CI_PROJECT_REPOSITORY_LANGUAGES", "shell,makefile"),
        ("CI_PROJECT_CLASSIFICATION_LABEL", ""), ("CI_DEFAULT_BRANCH", "main"), ("CI_DEFAULT_BRANCH_SLUG", "main"),
        ("CI_CONFIG_PATH", ".gitlab-ci.yml"), ("CI_PAGES_DOMAIN", "pages." + host), ("CI_API_V4_URL", base_url + "/api/v4"),
        ("CI_API_GRAPHQL_URL", base_url + "/api/graphql"), ("CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com"),
        ("CI_PIPELINE_IID", ident), ("CI_PIPELINE_SOURCE", "push"), ("CI_PIPELINE_CREATED_AT", now),
        ("CI_PIPELINE_NAME", ""), ("CI_WORKFLOW_RULE", ""),
        ("CI_COMMIT_SHA", sha), ("CI_COMMIT_SHORT_SHA", sha[:8]), ("CI_COMMIT_BEFORE_SHA", git.get("before_sha") or ZERO_SHA),
        ("CI_COMMIT_REF_NAME", ref), ("CI_COMMIT_REF_SLUG", slug), ("CI_COMMIT_MESSAGE", title + "\n"),
        ("CI_COMMIT_TITLE", title), ("CI_COMMIT_DESCRIPTION", ""),
        ("CI_COMMIT_REF_PROTECTED", "true" if git.get("protected") else "false"),
        ("CI_COMMIT_TIMESTAMP", "2026-01-02T10:00:00+00:00"), ("CI_COMMIT_AUTHOR", "%s <%s>" % (USER["name"], USER["email"])),
        ("CI_COMMIT_TAG" if git.get("ref_type") == "tag" else "CI_COMMIT_BRANCH", ref),
        ("GITLAB_USER_ID", USER["id"]), ("GITLAB_USER_EMAIL", USER["email"]), ("GITLAB_USER_LOGIN", USER["login"]),
        ("GITLAB_USER_NAME", USER["name"]),
    ]
    if image and image.get("name"):
        rows.append(("CI_JOB_IMAGE", image["name"]))
    out = []
    for key, value in rows:
        if value is not None:
            # What people type may hold a dollar sign; GitLab marks it raw.
            raw = {"raw": True} if key.startswith("CI_COMMIT_") and "$" in str(value) else {}
            out.append(variable(key, value, **raw))
        elif key == "CI_REPOSITORY_URL":
            out.append(variable(key, with_credentials(clean_url, payload["token"]), public=False))
        elif key.endswith(("_TOKEN", "_PASSWORD")):
            out.append(variable(key, payload["token"], public=False, masked=True))
    return out


def required_features(payload, steer):
    """What a runner must be able to do to be given this job."""
    need = set(steer.get("required_features") or ())
    git = payload.get("git_info") or {}
    if any("refs/merge-requests/" in r for r in git.get("refspecs") or ()):
        need.add("refspecs")
    if any(isinstance(s, dict) and s.get("name") == "release" for s in payload.get("steps") or ()):
        need.add("multi_build_steps")
    for a in payload.get("artifacts") or ():
        if a.get("artifact_type", "archive") != "archive":
            need.add("upload_multiple_artifacts")
        if a.get("exclude"):
            need.add("artifacts_exclude")
    if any(c.get("fallback_keys") for c in payload.get("cache") or ()):
        need.add("fallback_cache_keys")
    if payload.get("secrets"):
        need.add("vault_secrets")
    return need
