"""`windlass run-single`: so many jobs and an end, with nothing left that costs money."""

import os
import re
import signal
import subprocess

import world


def options(w, *more):
    return ["run-single", "--config", w.config, "--runner", "rig", "--state-dir", w.state, "--storage-path", w.store, *more]


def test_so_many_jobs_and_an_end(windlass):
    w = windlass()
    first, second, third = (w.job(f"echo job-{n}") for n in ("one", "two", "three"))
    p = w.run(*options(w, "--max-builds", "2"), timeout=180, check=False)
    assert p.returncode == 0, p.stderr
    assert w.rig.ended(first)["state"] == "success" and w.rig.ended(second)["state"] == "success"
    assert "job-one" in world.plain(w.rig.trace(first))
    assert w.rig.state(third)["state"] == "pending"
    assert w.in_cloud() == [] and w.machines() == [] and w.jobs() == []
    # The token went with the configuration that was made for it.
    assert w.settings["token"] not in p.stderr and not os.path.exists(os.path.join(w.state, "config.toml"))
    w.rig.gitlab("POST", f"/jobs/{third}/cancel", {})


def test_so_long_without_a_job(windlass):
    w = windlass()
    p = w.run(*options(w, "--wait-timeout", "3"), timeout=60, check=False)
    assert p.returncode == 0 and "--wait-timeout" in p.stderr


def test_a_signal_ends_it_after_the_running_job(windlass):
    w = windlass()
    job = w.job(["echo begun", "sleep 4", "echo done"])
    with open(w.log, "ab") as log:
        p = subprocess.Popen([world.WINDLASS, *options(w)], env=w.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        world.wait_until(lambda: "begun" in w.rig.trace(job), 90, "the job's first line")
        p.send_signal(signal.SIGQUIT)
        assert p.wait(60) == 0
    finally:
        p.kill()
        p.wait()
    assert w.rig.ended(job)["state"] == "success" and "done" in w.rig.trace(job)
    assert w.in_cloud() == [] and w.machines() == []


def test_what_cannot_run_is_said_at_once(windlass):
    w = windlass()
    p = w.run(*options(w, "--runner", "nobody"), check=False)
    assert p.returncode == 1 and 'has no runner "nobody"' in p.stderr
    p = w.run("run-single", "--executor", "shell", "--url", "https://x", "--token", "y", check=False)
    assert p.returncode == 1 and re.search("windlass runs docker.machine only", p.stderr)
    p = w.run("run-single", "--executor", "docker+machine", "--url", "https://x", check=False)
    assert p.returncode == 1 and "--token or $CI_SERVER_TOKEN is missing" in p.stderr
