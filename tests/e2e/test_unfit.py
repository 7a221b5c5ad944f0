"""Machines that answer and can run nothing (findings row 49 and its kind): a machine's fault is not the job's. What fails before a
job's own first line for a reason that the engine explains itself gives the job back, and the machine goes."""

import json
import os
import re

import pytest

from test_fleet import fault, over, ready, record, says, until_ready
from world import plain, wait_until

# How a machine is broken, and what the log of the job that met it says.
BROKEN = {
    # Row 49 itself: an engine with a full disk that answers every ping.
    "full disk": ("systemctl stop docker docker.socket; mount -t tmpfs -o size=3m tmpfs /var/lib/docker; systemctl start docker",
                  "no space left on device"),
    "no inodes": ("systemctl stop docker docker.socket; mount -t tmpfs -o size=900m,nr_inodes=60 tmpfs /var/lib/docker; "
                  "systemctl start docker", "no space left on device"),
    "read-only": ("mount -t tmpfs -o ro none /var/lib/docker/containers", "[Rr]ead-only file system"),
    "no runc": ("mv $(command -v runc) /root/runc", "container runtime does not work"),
    "no shim": ("mv $(command -v containerd-shim-runc-v2) /root/shim; true", "container runtime does not work"),
    # An engine that opens no file accepts no connection either.
    "open files": ("prlimit --pid $(pidof dockerd) --nofile=24:24", "too many|no progress"),
}


@pytest.fixture(autouse=True)
def quiet_cloud(rig):
    rig("fault", "cloud", "clear")
    yield
    rig("fault", "cloud", "clear")
    rig.clear_cloud()


def on_machine(rig, name, script):
    p = rig("machine", name, "exec", "sh", "-c", script, check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def events(w):
    with open(os.path.join(w.state, "events.jsonl")) as f:
        return [json.loads(line) for line in f]


@pytest.mark.parametrize("kind", BROKEN)
def test_49_no_job_is_harmed_by_a_machine_that_can_run_nothing(windlass, rig, kind):
    """Row 49: three jobs, limit 1, an idle machine that answers pings: none of them fails, the machine goes, the pool is refilled."""
    how, words = BROKEN[kind]
    w = windlass(limit=1, IdleCount=1, IdleTime=600).start()
    bad, = until_ready(w)
    on_machine(rig, bad, how)
    jobs = [w.job(f"echo job {n} has run") for n in range(3)]
    for n, j in enumerate(jobs):
        assert rig.ended(j, 180)["state"] == "success", plain(rig.trace(j))
        assert plain(rig.trace(j)).count(f"\njob {n} has run") == 1
    wait_until(lambda: bad not in w.machines() and until_ready(w), 120, "the broken machine gone, another one ready")
    # At most one of them met the machine, and its log says what was wrong with it.
    met = [plain(rig.trace(j)) for j in jobs if bad in plain(rig.trace(j))]
    assert len(met) <= 1
    for text in met:
        assert re.search(words, text) and "it gets another machine" in text, text
    why, = [e for e in events(w) if e["kind"] == "remove" and e["machine"] == bad]
    assert why["reason"] == "unavailable" and re.search(words, why["text"]), why
    assert "65535" not in w.run("ls", "--state-dir", w.state)
    over(w)


def test_a_death_while_a_job_is_given_back(windlass, rig, tmp_path):
    """The executor dies when it has said so in the log and nothing else is written: the next one finds the same, once more."""
    w = windlass(limit=1, IdleCount=1, IdleTime=600)
    once = tmp_path / "once" / "crashed"
    w.start(WINDLASS_CRASH_AT="executor:given-back", WINDLASS_CRASH_ONCE=str(once))
    bad, = until_ready(w)
    on_machine(rig, bad, BROKEN["no runc"][0])
    j = w.job("echo the job has run")
    assert rig.ended(j, 240)["state"] == "success", plain(rig.trace(j))
    assert once.exists(), "nobody came by"
    assert plain(rig.trace(j)).count("\nthe job has run") == 1
    wait_until(lambda: bad not in w.machines(), 120, "the broken machine gone")
    over(w)


def test_49_health_sees_a_machine_that_can_run_nothing(windlass, rig):
    """Without any job: a machine that was not tried out for long is, and goes before a job meets it."""
    w = windlass(limit=1, IdleCount=1, IdleTime=600).start()
    bad, = until_ready(w)
    w.stop()
    on_machine(rig, bad, BROKEN["full disk"][0])
    w.start()
    says(w, "Machine can run no container: it goes.*" + re.escape(bad))
    wait_until(lambda: bad not in w.machines() and until_ready(w), 120, "the broken machine gone, another one ready")
    assert any(e["kind"] == "remove" and "no space left" in e["text"] for e in events(w))
    # A good one, with images and without, passes, and nothing is left on it.
    good, = ready(w)
    for _ in range(2):
        seen = w.text().count(f"{good} fit")
        w.stop()
        w.start()
        wait_until(lambda: w.text().count(f"{good} fit") > seen, 60, "the machine tried out; see windlass.log")
        assert rig.ended(w.job("echo well"), 120)["state"] == "success"
    assert ready(w) == [good]
    p = rig("machine", good, "exec", "docker", "ps", "-aq")
    assert p.strip() == ""
    over(w)


def test_a_jobs_own_fault_costs_no_machine(windlass, rig):
    """An image that is not there, a program that is not in it, a user that it does not know: the job's, and the machine stays."""
    w = windlass(limit=1, IdleCount=1, IdleTime=600).start()
    machine, = until_ready(w)
    busybox = rig.env["RIG_BUSYBOX_IMAGE"]
    own = [{"image": {"name": busybox.rpartition("/")[0] + "/nothing:9"}},
           {"image": {"name": busybox, "entrypoint": ["no space left on device"]}},
           {"image": {"name": busybox, "executor_opts": {"docker": {"user": "nobody-knows"}}}}]
    for image in own:
        j = w.job("echo never", **image)
        assert rig.ended(j, 120)["state"] == "failed"
        assert "gets another machine" not in rig.trace(j), plain(rig.trace(j))
        good = w.job("echo well")
        assert rig.ended(good, 120)["state"] == "success", plain(rig.trace(good))
        assert ready(w) == [machine]
    over(w)


def test_two_system_failures_in_a_row_retire_a_machine(windlass, rig):
    """Whatever they were; one alone does not, nor two with a good job between them."""
    bad = {"image": {"name": "none", "executor_opts": {"unknown": {}}}}
    w = windlass(limit=1, IdleCount=1, IdleTime=600).start()
    machine, = until_ready(w)

    def system_failure():
        j = w.job("echo never", **bad)
        assert rig.ended(j, 120)["failure_reason"] == "runner_system_failure", plain(rig.trace(j))

    system_failure()
    assert rig.ended(w.job("echo well"), 120)["state"] == "success"
    system_failure()
    wait_until(lambda: record(w, machine).get("system_failures") == 1, 30, "the failure in the machine's record")
    assert ready(w) == [machine]
    system_failure()
    says(w, "two of its jobs in a row were system failures.*" + re.escape(machine))
    wait_until(lambda: machine not in w.machines() and until_ready(w), 120, "another machine")
    over(w)
