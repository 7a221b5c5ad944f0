"""A hundred machines at once, with the cloud's limits in force: what they ask of the cloud together, and that none is lost on the way.

The machines are on paper: the double's books and windlass's calls are those of real ones, and their SSH never answers. So
all of them are waited for at the same time, which is when each could ask the cloud for itself.
"""

import collections
import json
import os
import signal
import time

import pytest

import scaling
from world import wait_until

MACHINES = 100
# The list of one look; the watcher looks again after two seconds and more.
LOOK = 2
# How long a machine's SSH is tried before the cloud is asked whether there still is one (SSH_ASK_CLOUD_NS).
PATIENCE = 30

CREATES, KEYS, LISTS = "POST /v2/droplets", "POST /v2/account/keys", "GET /v2/droplets"
GETS, DELETES = "GET /v2/droplets/{droplet_id}", "DELETE /v2/droplets/{droplet_id}"


class Cloud:
    """The account of a test: its limits are the published ones, and no machine is more than an entry in its books."""

    def __init__(self, rig):
        self.rig = rig
        self.began = time.monotonic()

    def begin(self, machines, **windows):
        # An address where nobody is: who calls waits in vain.
        nobody = self.rig.env["RIG_ADDRESS"].rpartition(".")[0] + ".9"
        self.rig("fault", "cloud", "paper", f"count={machines}", f"address={nobody}")
        self.rig("limits", "reset", "on", *(f"{name}={most}" for name, most in windows.items()))
        self.began = time.monotonic()

    def limits(self):
        return json.loads(self.rig("limits", "--json"))

    def calls(self):
        return collections.Counter(self.limits()["calls"])

    def refused(self):
        return self.limits()["answers"].get("429", 0)

    def told(self, name):
        limits = self.limits()
        print(f"{name}: {time.monotonic() - self.began:.0f} s; {sum(limits['calls'].values())} calls, {limits['answers'].get('429', 0)} "
              f"refused; {dict(limits['calls'])}; fullest {({n: v['fullest'] for n, v in limits['windows'].items()})}")
        return collections.Counter(limits["calls"])


@pytest.fixture
def cloud(rig):
    rig("fault", "cloud", "clear")
    yield Cloud(rig)
    rig("fault", "cloud", "clear")
    rig("limits", "reset", "on", "minute=250", "hour=5000")
    rig.clear_cloud()


def reached(w, phase):
    """Names of the machines that have come so far."""
    return {e["machine"] for e in scaling.events(w) if e["kind"] == "phase" and e["reason"] == phase}


def failed(w):
    return [e for e in scaling.events(w) if e["kind"] in ("create-failed", "remove", "stray")]


def in_cloud(w):
    """Names of its machines in the cloud, each as often as it is there."""
    return sorted(line.split()[2] for line in w.in_cloud() if line.startswith("machine"))


def many(machines):
    """The settings of a runner that wants so many machines, all of them now, and takes them along when it ends."""
    return {"concurrent": machines, "limit": machines, "IdleCount": machines, "IdleTime": 600, "MaxGrowthRate": 0, "shutdown_timeout": 200,
            "machine.shutdown_drain.enabled": True, "machine.shutdown_drain.concurrency": 20}


def end(w):
    w.process.terminate()
    assert w.wait(210) == 0
    assert w.in_cloud() == [] and w.machines() == []


def watchers(w):
    found = []
    for _, pid in w.roles("operator"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"\0watch\0" in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def test_a_burst_of_100(rig, windlass, cloud):
    """One list shows all of them. Their watcher is killed when the first ones have been made, and once more when all wait for SSH."""
    cloud.begin(MACHINES)
    w = windlass(**many(MACHINES)).start()
    wait_until(lambda: len(reached(w, "created")) >= 10 and watchers(w), 30, "the first machines, and their watcher")
    os.kill(watchers(w)[0], signal.SIGKILL)
    wait_until(lambda: len(reached(w, "created")) == MACHINES, 30, "a machine in the cloud for each that is wanted, though none answers yet")
    cloud.told("created")
    wait_until(lambda: len(reached(w, "booted")) == MACHINES, 30, "each one's address")
    all_booted = time.monotonic()
    calls = cloud.told("booted")
    assert calls[CREATES] == calls[KEYS] == MACHINES
    assert calls[GETS] < MACHINES / 10, "they ask for themselves"
    killed = watchers(w)[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: [pid for pid in watchers(w) if pid != killed], 20, "another watcher")
    # Past the time when each asks whether its machine is still there.
    wait_until(lambda: time.monotonic() > all_booted + PATIENCE + 5, 60, "all have lost patience")
    calls = cloud.told("all wait for SSH")
    assert calls[GETS] < MACHINES / 10, "they ask for themselves"
    assert calls[LISTS] <= (time.monotonic() - cloud.began) / LOOK + 5
    assert cloud.refused() == 0
    assert in_cloud(w) == w.machines() and len(set(in_cloud(w))) == MACHINES
    assert not failed(w)
    # All go, with four calls for each: no more of them in any minute than the cloud takes, and nobody watches any longer.
    looked = calls[LISTS]
    end(w)
    calls = cloud.told("all removed")
    assert calls[LISTS] <= looked + 10
    assert calls[DELETES] == calls[CREATES] == MACHINES
    assert cloud.refused() == 0


def test_a_small_limit(rig, windlass, cloud):
    """Twelve calls a minute, which no cloud tells beforehand: who is refused waits as long as he is told, and nothing is lost or made twice."""
    machines = 8
    cloud.begin(machines, minute=12)
    w = windlass(**many(machines)).start()
    wait_until(lambda: cloud.refused(), 30, "a refusal")
    wait_until(lambda: len(reached(w, "created")) == machines, 150, "all machines, in the second minute")
    calls = cloud.told("created")
    assert calls[CREATES] - cloud.refused() <= machines
    # Of each operator, the watcher and the reconciler one in a minute, and who comes together may be refused together once more.
    assert cloud.refused() <= 2 * (machines + 2)
    assert "The cloud throttles the account" in w.text()
    assert in_cloud(w) == w.machines() and len(set(in_cloud(w))) == machines
    assert not failed(w)
    rig("limits", "minute=250")
    end(w)
