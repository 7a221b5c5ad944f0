"""One job, end to end: what goes in at GitLab comes out at GitLab, and the cloud is empty afterwards."""

import contextlib
import json
import os
import re
import signal
import time

import pytest

import world
from world import plain, wait_until


def test_success(rig, windlass):
    w = windlass().start()
    job = w.job(["echo hello from the job", "echo my host is $(cat /etc/hostname)", "git log --oneline | head -n 1 || true", "cat README.md | head -n 3"],
                  image=rig.env["RIG_DEBIAN_IMAGE"])
    end = rig.ended(job)
    text = plain(rig.trace(job))
    assert end["state"] == "success", text
    for line in ("Running with gitlab-runner ", 'Preparing the "docker+machine" executor', "Preparing environment",
                 "Getting source from Git repository", 'Executing "step_script" stage of the job script',
                 "$ echo hello from the job", "hello from the job", "Job succeeded"):
        assert line in text, line
    # Said without a look into the container: it must be what is to be seen there.
    host = re.search(r"^Running on (\S+) via \S+\.\.\.$", text, re.M)[1]
    assert f"my host is {host}\n" in text, text
    assert text.rstrip().endswith("Job succeeded")
    assert end.get("checksum_match", True)
    w.until_empty()
    wait_until(lambda: "Machine created" in w.text() and "Machine removed" in w.text(), 10, "both lines in the log")


HELPER = """#!/bin/sh
read -r server
echo "$0 $* $server" >>%s
echo '{"ServerURL": "'"$server"'", "Username": "somebody", "Secret": "correct-horse"}'
"""


def test_roles_are_confined(rig, windlass, tmp_path):
    """Every role is a user of its own without a capability, and under its filter, while a machine is made and a job runs; nothing a job names changes that."""
    asked = tmp_path / "asked"
    for name in ("good", "evil"):
        program = tmp_path / f"docker-credential-{name}"
        program.write_text(HELPER % asked)
        program.chmod(0o755)
    w = windlass(concurrent=2, limit=2, IdleTime=1)
    with open(w.config) as f:
        config = f.read()
    with open(w.config, "w") as f:
        f.write(config.replace("[runners.docker]\n", '[runners.docker]\nallow_job_credential_helpers = ["good"]\n'))
    w.start(PATH=f"{tmp_path}:{os.environ['PATH']}")
    seen = {}
    users = {}

    def look():
        for role, pid in w.roles():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status") as f:
                    status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
                # its first instants are its own affair
                if status["Seccomp"] == "2" or time.time() - os.stat(f"/proc/{pid}").st_mtime > 3:
                    seen.setdefault((role, pid), set()).add((status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16), int(status["CapPrm"], 16), int(status["CapBnd"], 16)))
                    users.setdefault(role, set()).add(int(status["Uid"].split()[0]))
                    assert len(set(status["Uid"].split() + status["Gid"].split())) == 1, status
                    assert status["Groups"].split() == (["2100000002"] if role == "poller" else []), status

    def until(job):
        def ended():
            look()
            return rig.state(job)["state"] in ("success", "failed")
        wait_until(ended, 90, "the job ends")
        assert rig.state(job)["state"] == "success", plain(rig.trace(job))

    until(w.job(["echo a word", "sleep 4"]))
    found = {role: {s for (r, _), states in seen.items() if r == role for s in states} for role in ("poller", "operator", "executor", "reporter")}
    assert all(states == {("1", "2", 0, 0, 0)} for states in found.values()), found
    assert all(2100000000 <= u < 2140000000 for role in found for u in users[role]), users
    assert users["executor"] == users["reporter"] and len(users["executor"]) == 1, users
    assert not users["operator"] & users["executor"] and not users["poller"] & (users["operator"] | users["executor"]), users
    one = users["executor"]
    seen.clear()
    users.clear()
    # A job's word: the helper that it names is not run, and its executor is no freer than any other.
    auth = json.dumps({"credsStore": "evil", "credHelpers": {rig.env["RIG_REGISTRY"]: "evil"}})
    named = w.job(["echo a word", "sleep 4"], variables=[{"key": "DOCKER_AUTH_CONFIG", "value": auth}])
    until(named)
    assert {s for (r, _), states in seen.items() if r == "executor" for s in states} == {("1", "2", 0, 0, 0)}, seen
    assert users["executor"] != one, users
    assert 'names the credential helper "evil", which is not run' in plain(rig.trace(named)), plain(rig.trace(named))
    assert not asked.exists(), asked.read_text()
    seen.clear()
    # One that the runner allows is run, by somebody else, for the servers that the job's words named before anything began.
    auth = json.dumps({"credsStore": "evil", "credHelpers": {rig.env["RIG_REGISTRY"]: "good"}})
    allowed = w.job(["echo a word", "sleep 4"], image=rig.env["RIG_DEBIAN_IMAGE"], variables=[{"key": "DOCKER_AUTH_CONFIG", "value": auth}])
    until(allowed)
    assert {s for (r, _), states in seen.items() if r == "executor" for s in states} == {("1", "2", 0, 0, 0)}, seen
    assert asked.exists(), plain(rig.trace(allowed))
    lines = asked.read_text().splitlines()
    assert lines and all(line.endswith(f"docker-credential-good get {rig.env['RIG_REGISTRY']}") for line in lines), lines
    w.until_empty()


def test_results(rig, windlass):
    """Exit codes, reasons, after_script, masking, sh without bash: several jobs on one machine, one after the other."""
    w = windlass(concurrent=1, limit=1).start()
    busybox, debian = rig.env["RIG_BUSYBOX_IMAGE"], rig.env["RIG_DEBIAN_IMAGE"]
    fails = w.job(["echo before", "exit 42", "echo never"], image=debian,
                    after_script=["echo after $CI_JOB_STATUS"])
    shell = w.job(["echo shell is ${BASH_VERSION:-sh}", "read x || echo stdin is empty", "echo $PRICE $FROM"], image=busybox,
                    variables=[{"key": "PRICE", "value": "$100", "raw": True}, {"key": "FROM", "value": "x-${NAME}-y"},
                               {"key": "NAME", "value": "name"}])
    masks = w.job(["echo the word is $SECRET", "printf '%s' $SECRET | cut -c 1-5; printf '%s\\n' $SECRET | cut -c 6-", "cat $FILE"],
                    image=debian, variables=[{"key": "SECRET", "value": "correct-horse", "masked": True},
                                             {"key": "FILE", "value": "in the file", "file": True}])
    nothing = w.job(["true"], image=rig.env["RIG_REGISTRY"] + "/wl/none:1")
    end = rig.ended(fails)
    text = plain(rig.trace(fails))
    assert (end["state"], end["failure_reason"], end["exit_code"]) == ("failed", "script_failure", 42), text
    assert "never" not in text.replace("echo never", "") and "after failed" in text
    assert text.rstrip().endswith("ERROR: Job failed: exit code 42")
    assert rig.ended(shell)["state"] == "success", rig.trace(shell)
    text = plain(rig.trace(shell))
    assert "shell is sh" in text and "stdin is empty" in text and "$100 x-name-y" in text
    assert rig.ended(masks)["state"] == "success", rig.trace(masks)
    text = plain(rig.trace(masks))
    assert "the word is [MASKED]" in text and "in the file" in text and "correct-horse" not in rig.trace(masks)
    end = rig.ended(nothing)
    assert end["state"] == "failed" and end["failure_reason"] in ("runner_configuration_error", "script_failure"), rig.trace(nothing)
    assert "failed to pull image" in plain(rig.trace(nothing))
    w.until_empty()
    assert w.text().count("Machine created") == 1, "one machine served them all"


def test_cancel_runs_after_script(rig, windlass):
    w = windlass().start()
    job = w.job(["echo started", "sleep 600", "echo never"], image=rig.env["RIG_DEBIAN_IMAGE"],
                  after_script=["echo after $CI_JOB_STATUS"])
    wait_until(lambda: "started" in plain(rig.trace(job)).replace("echo started", ""), 60, "the script's first line")
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
    end = rig.ended(job, 60)
    text = plain(rig.trace(job))
    assert end["state"] == "canceled", text
    assert "after canceled" in text
    w.until_empty()


def test_forced_cancel_ends_at_once(rig, windlass):
    w = windlass().start()
    job = w.job(["echo started", "sleep 600"], image=rig.env["RIG_DEBIAN_IMAGE"], after_script=["echo after"])
    wait_until(lambda: "started" in plain(rig.trace(job)).replace("echo started", ""), 60, "the script's first line")
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": True})
    w.until_empty(60)
    assert "Running after_script" not in plain(rig.trace(job))


def test_cancel_while_waiting_for_a_machine(rig, windlass):
    w = windlass().start()
    rig("fault", "cloud", "boot-delay", "seconds=15")
    job = w.job(["echo never"])
    wait_until(lambda: "Waiting for a machine" in rig.trace(job), 30, "the job is told that it waits")
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
    assert rig.ended(job, 30)["state"] == "canceled"
    w.until_empty(90)


def test_timeout(rig, windlass):
    w = windlass().start()
    job = w.job(["echo started", "sleep 600"], image=rig.env["RIG_DEBIAN_IMAGE"], timeout=12)
    end = rig.ended(job, 90)
    text = plain(rig.trace(job))
    assert (end["state"], end["failure_reason"]) == ("failed", "job_execution_timeout"), text
    assert "execution took longer than 12s" in text
    w.until_empty()


def test_two_at_once_and_limit(rig, windlass):
    w = windlass(concurrent=4, limit=2).start()
    jobs = [w.job(["sleep 3", "echo done"]) for _ in range(4)]
    most = 0
    while any(rig.state(j)["state"] in ("pending", "running") for j in jobs):
        most = max(most, len(w.machines()))
        time.sleep(0.2)
    assert [rig.state(j)["state"] for j in jobs] == ["success"] * 4
    assert most == 2, "limit bounds the machines"
    w.until_empty()


def test_max_builds(rig, windlass):
    w = windlass(concurrent=1, limit=1, MaxBuilds=1).start()
    jobs = [w.job(["echo one"]), w.job(["echo two"])]
    for j in jobs:
        assert rig.ended(j)["state"] == "success"
    w.until_empty()
    assert w.text().count("Machine created") == 2


def test_graceful_stop_loop(rig, windlass):
    """The classic: SIGQUIT, poll `status` until it says no; the job is finished, not lost."""
    w = windlass().start()
    assert w.run("status", "--state-dir", w.state, check=False).returncode in (0, 1)
    job = w.job(["echo started", "sleep 5", "echo finished"])
    wait_until(lambda: "started" in plain(rig.trace(job)).replace("echo started", ""), 60, "the script's first line")
    assert w.run("status", "--state-dir", w.state).strip().endswith("Service is running")
    w.kill(signal.SIGQUIT)
    late = w.job(["echo late"])
    assert w.wait(60) == 0
    assert w.run("status", "--state-dir", w.state, check=False).returncode != 0
    assert rig.state(job)["state"] == "success" and "finished" in rig.trace(job)
    assert rig.state(late)["state"] == "pending", "no new job after SIGQUIT"
    w.start()
    assert rig.ended(late)["state"] == "success"
    w.until_empty()


def test_forceful_stop(rig, windlass):
    w = windlass().start()
    job = w.job(["echo started", "sleep 600"])
    wait_until(lambda: "started" in plain(rig.trace(job)).replace("echo started", ""), 60, "the script's first line")
    w.kill(signal.SIGTERM)
    assert w.wait(60) == 0
    end = rig.ended(job, 10)
    assert end["state"] == "failed" and end["failure_reason"] in ("runner_interrupted", "unknown_failure")
    assert "aborted: terminated" in plain(rig.trace(job))
    # Its machine is still there; the next start finds it and, when its time is over, removes it.
    w.start()
    w.until_empty(60)


def test_reload(rig, windlass):
    """SIGHUP and a changed file: new values count; a broken file is refused with its place, and the last good one stays."""
    w = windlass(concurrent=1).start()
    wait_until(lambda: "Configuration loaded" in w.text(), 10, "the start")
    with open(w.config) as f:
        good = f.read()
    with open(w.config, "w") as f:
        f.write(good.replace("concurrent = 1", "concurrent = = 1"))
    w.kill(signal.SIGHUP)
    wait_until(lambda: "Failed to load config" in w.text(), 10, "the refusal")
    line = 1 + good[:good.index("concurrent = 1")].count("\n")
    assert re.search(rf"config\.toml: line {line}, column \d+: ", w.text())
    job = w.job(["echo still running"])
    assert rig.ended(job)["state"] == "success"
    w.write_config(concurrent=3)
    wait_until(lambda: "max_builds=3" in w.text(), 10, "the new value, by the file's time alone")
    w.until_empty()


def test_broken_config_at_start(rig, windlass):
    w = windlass()
    with open(w.config, "a") as f:
        f.write("\n[[runners]\n")
    w.start()
    assert w.wait(10) == 1
    assert re.search(r"config\.toml: line \d+, column \d+: ", w.text())


def test_status_of_nothing(rig, windlass):
    w = windlass()
    p = w.run("status", "--state-dir", w.state, check=False)
    assert p.returncode == 1 and "stopped" in p.stderr


def test_names_of_processes(rig, windlass):
    w = windlass().start()
    job = w.job(["sleep 20"])
    wait_until(lambda: {n for n, _ in w.roles()} >= {"manager", "poller", "executor", "reporter"}, 60, "all roles")
    for name, pid in w.roles():
        with open(f"/proc/{pid}/comm") as f:
            assert f.read().startswith("windlass"), name
        # No secret is in any argument list or environment.
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().decode()
        assert rig.env["RIG_RUNNER_TOKEN"] not in words and rig.env["RIG_DO_TOKEN"] not in words
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": True})
    w.until_empty()


UNBUILT = {"services": [{"name": "postgres:16"}],
           "cache": [{"key": "k", "paths": ["x/"], "policy": "pull-push", "when": "on_success"}],
           "artifacts": [{"name": "a", "paths": ["x"], "artifact_type": "archive", "artifact_format": "zip"}]}


def test_what_is_not_built_fails_the_job(rig, windlass):
    """F15: a job that asks for what this version does not do is not green without it."""
    w = windlass().start()
    jobs = {part: w.job(["echo the script ran"], **{part: value}) for part, value in UNBUILT.items()}
    for part, job in jobs.items():
        end, text = rig.ended(job), plain(rig.trace(job))
        assert (end["state"], end["failure_reason"]) == ("failed", "runner_configuration_error"), text
        word = part.rstrip("s")
        assert re.search(rf"ERROR: .*{word}", text, re.I), text
        assert re.search(rf"Job failed: the job needs {word}s?, which this version of windlass does not have", text), text
        assert "ignore_unsupported" in text and "the script ran" not in text, text
    w.until_empty()


def test_what_is_not_built_is_left_out_where_the_runner_says_so(rig, windlass):
    w = windlass(**{"runners.ignore_unsupported": True}).start()
    job = w.job(["echo ran"], **UNBUILT)
    assert rig.ended(job)["state"] == "success"
    text = plain(rig.trace(job))
    for word in ("ervices", "ache", "rtifacts"):
        assert re.search(rf"WARNING: .*{word}", text), word
    w.until_empty()


# F5, F9, S5: what no registry could have is said at once, to the job's author, and holds no machine.
BAD_IMAGES = ["$NOT_DEFINED/app:$ALSO_NOT", "host//img:tag", "https://host/img:tag", "UPPER/Case:!!", "../../x", "x/../../info?a=1#",
              "a b?x=1", "a%2f..%2f", "img:", "img:12:1", "img@sha256:12"]


def test_names_that_are_no_image(rig, windlass):
    w = windlass(concurrent=4, limit=4).start()
    began = time.time()
    jobs = {name: w.job(["echo the script ran"], image=name) for name in BAD_IMAGES}
    for name, job in jobs.items():
        end, text = rig.ended(job), plain(rig.trace(job))
        assert (end["state"], end["failure_reason"]) == ("failed", "runner_configuration_error"), (name, text)
        assert "invalid reference format" in text and "again" not in text, (name, text)
        # in "Preparing", before anything else is begun
        assert "Getting source" not in text, (name, text)
    assert time.time() - began < 60
    w.until_empty()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_a_job_on_its_way_when_we_are_told_to_stop(rig, windlass, sig):
    """Its answer has begun: it is read to its end, and the job is run or given back, never forgotten."""
    w = windlass().start()
    wait_until(lambda: w.roles("poller"), 10, "the poller")
    rig.fault(what="trickle", path="POST jobs/request", count=1, interval=0.0005)
    job = w.job(["echo made it"])
    wait_until(lambda: rig.state(job)["state"] == "running", 20, "GitLab believes it runs")
    w.kill(sig)
    assert w.wait(90) == 0
    end = rig.ended(job, 5)
    if sig == signal.SIGTERM:
        assert end["state"] == "failed" and end["failure_reason"] in ("runner_interrupted", "unknown_failure")
    else:
        assert end["state"] == "success", plain(rig.trace(job))
    w.start()
    w.until_empty()
