"""Words that tell the true cause: findings machines.md rows 44, 45, 53, configuration.md F6 and section 4, jobs.md section 4."""

import json
import os
import re
import subprocess
import time

import pytest

from test_fleet import over, says, until_ready
from test_observe import HOLD, finish, jobs
from world import plain, wait_until


@pytest.fixture(autouse=True)
def quiet_cloud(rig):
    rig("fault", "cloud", "clear")
    yield
    rig("fault", "cloud", "clear")
    rig.clear_cloud()


def say(w, *argv):
    p = w.run(*argv, "--state-dir", w.state, check=False)
    return p.stderr + p.stdout


def events(w, **want):
    with open(os.path.join(w.state, "events.jsonl")) as f:
        every = [json.loads(line) for line in f]
    return [e for e in every if all(e.get(k) == v for k, v in want.items())]


def test_44_quota_is_called_quota(rig, windlass):
    """A limit of the account stands in `why`, `ls`, `top` and the job's own log, with the time of the next try."""
    rig("fault", "cloud", "quota", "limit=0", "for=600")
    w = windlass(limit=3, IdleCount=0).start()
    assert say(w, "ls").endswith("No machine.\n\nNo job.\n"), "no bare headings"
    job = w.job("echo done", name="the-second")
    true = "the cloud account may have no more machines ("
    wait_until(lambda: true in say(w, "why"), 90, "quota in why:\n" + say(w, "why"))
    for command in ("why", "ls", "top"):
        said = wait_until(lambda: (text := say(w, command)) and true in text and text, 30, f"quota in {command}")
        assert re.search(r"next try in \d+", said) and "request budget" not in said, said
    trace = wait_until(lambda: (t := plain(rig.trace(job))) and true in t and t, 30, "quota in the job's log")
    assert re.search(r"Waiting for a machine: the cloud account may have no more machines \(.*limit.*\); next try in \d+ s", trace), trace
    rig("fault", "cloud", "clear")
    assert rig.ended(job, 180)["state"] == "success"
    # Which machine it was, after how long: once.
    assert len(re.findall(r"^  on machine runner-\S+, after a wait of (\d+m)?\d+s$", plain(rig.trace(job)), re.M)) == 1, plain(rig.trace(job))
    over(w)


def test_45_throttling_is_called_throttling(rig, windlass):
    rig("fault", "cloud", "429", "for=20", "style=retry-after", "wait=20", "on=create")
    w = windlass(limit=3, IdleCount=0).start()
    job = w.job("echo done")
    said = wait_until(lambda: (t := say(w, "why")) and "the cloud asks to wait until" in t and t, 60, "until when the cloud asks to wait")
    assert re.search(r"the cloud asks to wait until \d\d:\d\d:\d\d UTC", said), said
    assert "the cloud asks to wait until" in say(w, "ls")
    assert rig.ended(job, 180)["state"] == "success"
    over(w)


def test_53_an_old_view_says_that_it_is_old(rig, windlass, tmp_path):
    """The bastion's disk is full: what is shown is as of then, and nobody claims that jobs are asked for."""
    w = windlass(limit=3, IdleCount=0, IdleTime=600)
    os.makedirs(w.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", w.state], check=True)
    filler = os.path.join(w.state, "filler")
    try:
        w.start()
        first = w.job([HOLD])
        wait_until(lambda: any(j.get("stage") == "step_script" for j in jobs(w, "running").values()), 180, "the job's script runs")
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], stderr=subprocess.DEVNULL)
        finish(w)
        said = wait_until(lambda: (t := say(w, "why")) and "As of" in t and t, 60, "an old view that says so")
        assert re.search(r"^As of \d+s ago: the disk is full\. No job is asked for until it has room\.$", said, re.M), said
        assert "asks GitLab for" not in said, said
        assert "As of" in say(w, "ls") and "As of" in say(w, "top")
        os.unlink(filler)
        assert rig.ended(first, 120)["state"] == "success"
        wait_until(lambda: "As of" not in say(w, "why"), 60, "a view of now")
        # A manager that hangs cannot say so itself: jobs it does not know of do.
        w.process.send_signal(19)
        os.mkdir(os.path.join(w.state, "jobs", "123456789"))
        wait_until(lambda: "the manager does not write its view" in say(w, "ls"), 60, "a manager that hangs")
        os.rmdir(os.path.join(w.state, "jobs", "123456789"))
        w.process.send_signal(18)
        over(w)
    finally:
        if w.process is not None:
            w.process.send_signal(18)
        w.stop()
        subprocess.run(["umount", "-l", w.state], check=False)


def test_f6_waiting_texts_do_not_flicker(rig, windlass):
    """Six jobs at once: each log has a line or two about waiting, none twice, and a job that did not wait has none."""
    w = windlass(limit=6, concurrent=6, IdleCount=0, IdleTime=600).start()
    numbers = [w.job("echo done") for _ in range(6)]
    said = wait_until(lambda: (t := say(w, "why")) and t.count("The machine that is coming, ") >= 4 and t, 60, "several jobs and machines in why")
    coming = re.findall(r"The machine that is coming, (\S+),", said)
    assert len(set(coming)) == len(coming), "each waits for a machine of its own"
    for number in numbers:
        assert rig.ended(number, 240)["state"] == "success"
        lines = [line for line in plain(rig.trace(number)).split("\n") if line.startswith("Waiting")]
        assert len(lines) <= 3 and len(set(lines)) == len(lines), lines
    assert len(events(w, kind="waiting")) <= 3 * 6, events(w, kind="waiting")
    until_ready(w, 1)
    quick = w.job("echo done")
    assert rig.ended(quick, 60)["state"] == "success"
    assert "Waiting" not in rig.trace(quick) and "after a wait" not in rig.trace(quick), plain(rig.trace(quick))
    said = wait_until(lambda: (t := say(w, "why")) and "It asks GitLab for up to 6 more jobs (" in t and t, 30, "what is asked for: " + say(w, "why"))
    over(w)


def test_image_lines_stand_in_preparing(rig, windlass):
    """The build image is pulled while the sources are fetched; what is said of it is not the script's."""
    w = windlass(limit=1, IdleCount=0, IdleTime=600).start()
    number = w.job(["echo done"], image={"name": rig.env["RIG_DEBIAN_IMAGE"]}, variables=[{"key": "GIT_STRATEGY", "value": "none"}])
    assert rig.ended(number, 240)["state"] == "success"
    trace = rig.trace(number)
    step = trace[trace.index(":step_script"):]
    before = trace[:trace.index(":step_script")]
    # Both are pulled at once; the lines of one image stand together, the helper's first.
    helper, build = rig.env["RIG_HELPER_IMAGE"], rig.env["RIG_DEBIAN_IMAGE"]
    about = [line for line in plain(before).splitlines() if helper in line or build in line]
    assert f"with image {build}" in about.pop(0), about
    whose = [helper in line for line in about]
    assert whose == sorted(whose, reverse=True) and True in whose and False in whose, about
    assert f"container {helper}" in about[0] and "Using docker image sha256:" in about[whose.index(False) - 1], about
    assert "container " + build in before
    for words in ("Using effective pull policy", "Pulling docker image", "Using docker image"):
        assert words not in step, plain(trace)
        assert words in before, plain(trace)
    assert re.search(r"Using docker image sha256:[0-9a-f]{12} for .* with digest .*@sha256:[0-9a-f]{12} \.\.\.", plain(trace)), plain(trace)
    over(w)


def test_a_new_bastion_names_the_machines_of_an_old_one(rig, windlass):
    """A machine with this runner's name and another owner's mark is named, at start and by `check --online`, and left alone."""
    w = windlass(limit=2, IdleCount=0)
    short = w.settings["token"].split("_", 1)[-1].removeprefix("glrt-")[:9].lower()
    name = f"runner-{short}-auto-1764415678-82d26e6a"
    made = rig.api("POST", "/v2/droplets", {"name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-bare",
                                            "tags": ["wl-owner-ffffffffffffffff", "wl-nonce-0123456789abcdef"]})["droplet"]["id"]
    w.start()
    says(w, f"another windlass's mark.*{name}")
    said = w.run("check", "--online", "--config", w.config, check=False).stdout
    assert f"machine {name} ({made}) has this runner's name and the mark of another windlass (ffffffffffffffff)" in said, said
    assert any(name in line for line in rig.cloud()), "it is left alone"
    rig.api("DELETE", f"/v2/droplets/{made}")
