"""A job's files, damaged under it: GitLab hears of the job's end, and nothing is started again for ever (findings S11).

The damage is done while all of windlass is dead, as by a file system after a crash; then it is started again.
"""

import json
import os
import re
import signal
import time

import pytest

import world
from world import plain, wait_until

FILES = ["payload.json", "runner.json", "result.json", "machine", "stage.json", "trace", "ticket.json"]


def empty(path):
    open(path, "w").close()


def truncated(path):
    os.truncate(path, os.path.getsize(path) // 2)


def garbage(path):
    with open(path, "wb") as f:
        f.write(bytes(range(256)) * 4)


def folder(path):
    os.unlink(path)
    os.mkdir(path)


def absent(path):
    os.unlink(path)


def wrong(path):
    """JSON, and nothing that we wrote."""
    with open(path, "w") as f:
        f.write("{}")


def negative(path):
    with open(path) as f:
        v = json.load(f)
    with open(path, "w") as f:
        json.dump({**v, "step": -4}, f)


DAMAGES = [empty, truncated, garbage, folder]


def freeze(w):
    """All processes at once."""
    while w.roles():
        for _, pid in w.roles():
            with world.contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    w.wait(10)


@pytest.fixture
def struck(rig, windlass):
    """A windlass that died with three jobs: one that runs, one that is over and unreported, one that waits."""
    w = windlass(IdleTime=2, concurrent=4, limit=2)
    w.start()
    return w


def put_down(rig, w, done):
    """Jobs in the state that the file to be damaged needs; the one that is meant."""
    job = w.job(["for i in $(seq 1 8); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 2 of" in rig.trace(job), 120, "the second line")
    if done:
        rig.fault(what="down", seconds=60)
        wait_until(lambda: os.path.exists(os.path.join(w.state, "jobs", str(job), "result.json")), 60, "the result")
    freeze(w)
    rig.gitlab("DELETE", "/faults")
    return job


@pytest.mark.broken_peer    # bytes of a trace that was damaged are sent again, and are others
def test_damaged_files(rig, struck):
    w = struck
    told = []
    cases = [(f, d) for f in FILES for d in DAMAGES] + [("stage.json", wrong), ("stage.json", negative), ("runner.json", wrong),
                                                       ("payload.json", wrong), ("payload.json", absent), ("runner.json", absent),
                                                       ("machine", absent), ("result.json", wrong)]
    only = os.environ.get("WINDLASS_DAMAGE", "")
    for name, damage in cases:
        if not re.search(only, f"{name} {damage.__name__}"):
            continue
        job = put_down(rig, w, name == "result.json")
        damage(os.path.join(w.state, "jobs", str(job), name))
        at = len(w.text())
        w.start()
        end = rig.ended(job, 60)
        what = f"{name} {damage.__name__}: {end['state']} {end['failure_reason']}"
        told.append(what)
        print(what)
        if name in ("trace", "ticket.json"):
            # The engine, GitLab or the other files still know all that matters.
            assert end["state"] == "success", what
        elif name == "result.json" and damage is wrong:
            assert end["state"] == "failed", what
        else:
            assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure"), what + w.text()[at:][-3000:]
            assert "damaged" in plain(rig.trace(job)) or name == "machine", what + plain(rig.trace(job))
        wait_until(lambda: not w.jobs(), 60, f"{what}: the directory is gone")
        assert w.text()[at:].count("starting it again") < 5, what
    w.until_empty()


@pytest.mark.broken_peer    # the world remembers what the test above sent
def test_nothing_is_left_to_tell_with(rig, struck):
    """Neither number nor token nor url: the directory is put aside, loudly, and windlass goes on."""
    w = struck
    job = put_down(rig, w, False)
    for name in ("payload.json", "ticket.json", "runner.json"):
        garbage(os.path.join(w.state, "jobs", str(job), name))
    w.start()
    wait_until(lambda: "GitLab cannot be told" in w.text(), 30, "it is said")
    assert not w.jobs() and any(n.startswith(f".damaged.{job}.") for n in os.listdir(os.path.join(w.state, "jobs")))
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": True})
    other = w.job(["echo hello"])
    assert rig.ended(other, 120)["state"] == "success"
    time.sleep(1)
    w.until_empty()
