"""The machines of a fleet when things go wrong around them: what nobody knows of, what is gone, what does not answer, a cloud
that misbehaves for a minute. Nothing is leaked, no healthy machine is removed, and no job is lost that could be kept."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import world
from world import WINDLASS, plain, wait_until

OWNER, STRANGER = "00aa11bb22cc33dd", "ffffffffffffffff"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{:043d}"


@pytest.fixture(autouse=True)
def quiet_cloud(rig):
    rig("fault", "cloud", "clear")
    yield
    rig("fault", "cloud", "clear")
    rig.clear_cloud()


def fault(rig, *what):
    rig("fault", "cloud", *what)


def record(w, name):
    with open(os.path.join(w.store, "machines", name, "windlass.json")) as f:
        return json.load(f)


def ready(w):
    """Names of the machines whose record says that they are ready."""
    found = []
    for name in w.machines():
        try:
            if record(w, name)["phase"] == "ready":
                found.append(name)
        except OSError:
            pass
    return found


def until_ready(w, n=1, seconds=120):
    wait_until(lambda: len(ready(w)) >= n, seconds, f"{n} machines ready; see windlass.log")
    return ready(w)


def droplets(w):
    return [line for line in w.in_cloud() if line.startswith("machine")]


def says(w, pattern, seconds=120):
    return wait_until(lambda: re.search(pattern, w.text()), seconds, f"windlass says {pattern}\n" + w.text()[-3000:])


def over(w, seconds=120):
    """No machine is wanted any more, and nothing is left."""
    w.write_config(IdleCount=0, IdleTime=0)
    w.until_empty(seconds)


# By hand: the operator's rounds -----------------------------------------------------------------

class Rounds:
    def __init__(self, rig, folder):
        self.rig, self.folder, self.store = rig, str(folder), os.path.join(str(folder), "store")
        env = rig.env
        self.options = [f"digitalocean-access-token={env['RIG_DO_TOKEN']}", "digitalocean-image=debian-12-docker",
                        "digitalocean-region=fra1", f"digitalocean-api-endpoint={env['RIG_DO_URL']}",
                        f"digitalocean-api-ca-file={env['RIG_CA_FILE']}"]
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("WINDLASS_", "DIGITALOCEAN_"))}
        self.environ.update(HOME=self.folder, LOG_LEVEL="debug", MACHINE_STORAGE_PATH=self.store)

    def __call__(self, do, *argv, name=None, owner=OWNER, plan=None, **environ):
        """Runs one operator to its end: its status and what it found."""
        read, write = os.pipe()
        text = {"driver": "digitalocean", "options": self.options, "runner": "abcd1234", "runners": ["abcd1234"], "owner": owner}
        os.write(write, json.dumps({**text, **(plan or {})}).encode())
        os.close(write)
        p = subprocess.run(["windlass-operator", "--store", self.store, "--do", do, "--owner", owner, "--plan-fd", str(read),
                            *(["--name", name] if name else []), *argv], executable=WINDLASS, pass_fds=[read], text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180,
                           env={**self.environ, **environ})
        os.close(read)
        return p.returncode, p.stdout

    def droplet(self, name, *tags):
        body = {"name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-docker", "tags": list(tags)}
        return str(self.rig.api("POST", "/v2/droplets", body)["droplet"]["id"])

    def key(self, name, number):
        return str(self.rig.api("POST", "/v2/account/keys", {"name": name, "public_key": KEY.format(number)})["ssh_key"]["id"])

    def ids(self):
        return {line.split()[1] for line in self.rig.cloud()}


def test_reconcile_by_hand(rig, tmp_path):
    """What is ours and unknown goes, at whatever step it is stopped; what is known, young or somebody else's stays."""
    o = Rounds(rig, tmp_path)
    assert o("create", name="known-1")[0] == 0
    before = o.ids()
    theirs = {o.droplet("known-2", "wl-owner-" + STRANGER, "wl-nonce-0011"), o.droplet("lost-1", "web"),
              o.key("lost-1 wl-owner-" + STRANGER, 1), o.key("lost-1", 2)}
    ours = {o.droplet("lost-1", "wl-owner-" + OWNER, "wl-nonce-0022"), o.droplet("lost-2", "wl-owner-" + OWNER),
            o.key("lost-1 wl-owner-" + OWNER, 3), o.key("lost-9 wl-owner-" + OWNER, 4)}
    # Too young to tell: the keys, which have no age, may go.
    status, said = o("reconcile", "--grace", "3600")
    assert status == 0 and said.count("young") == 2, said
    assert o.ids() - before - theirs < ours and len([i for i in ours if i in o.ids()]) == 2
    # A list that is not whole, or none at all: nothing is done.
    for what in (["403", "on=keys", "count=9"], ["403", "on=list", "count=9"]):
        fault(rig, *what)
        held = o.ids()
        status, said = o("reconcile", "--grace", "0")
        assert status == 84 and o.ids() == held, (what, status, said)
        fault(rig, "clear")
    # An owner is a must.
    assert o("reconcile", "--grace", "0", owner="")[0] == 0 and ours & o.ids()
    for point in ("operator:stray-found", "operator:stray-removed"):
        status, said = o("reconcile", "--grace", "0", WINDLASS_CRASH_AT=point)
        assert status == -signal.SIGKILL, (point, said)
        assert before | theirs <= o.ids(), point
    fault(rig, "500", "on=delete", "count=2")
    status, said = o("reconcile", "--grace", "0")
    assert status == 0, said
    assert o.ids() == before | theirs, (said, rig.cloud())
    # What somebody deleted in the control panel is noticed, and only reported.
    with open(os.path.join(o.store, "machines", "known-1", "windlass.json")) as f:
        droplet = json.load(f)["ids"]["machine"]
    assert o("look", name="known-1")[0] == 0
    rig.api("DELETE", "/v2/droplets/" + droplet)
    wait_until(lambda: droplet not in o.ids(), 30, "the droplet gone")
    status, said = o("reconcile", "--grace", "0")
    assert status == 0 and "known-1" in said and os.path.isdir(os.path.join(o.store, "machines", "known-1")), said
    status, said = o("reconcile", "--grace", "0", plan={"runners": ["another1"]})
    assert status == 0 and "known-1" not in said, said
    assert o("look", name="known-1")[0] == 82
    fault(rig, "403", "on=get", "count=9")
    assert o("look", name="known-1")[0] == 84       # not known is not gone
    fault(rig, "clear")
    assert o("remove", name="known-1")[0] == 0
    assert o.ids() == theirs


def crash(w, point):
    """A windlass whose manager will die at a point, once."""
    w.start(WINDLASS_CRASH_AT=point, WINDLASS_CRASH_ONCE=os.path.join(w.folder, "once", "crashed"))


def crashed(w, seconds=150):
    wait_until(lambda: w.process.poll() is not None, seconds, "the manager dead at its crash point\n" + w.text()[-3000:])
    assert w.wait(5) == -signal.SIGKILL
    w.start()


# Lives: each with a windlass of its own, several at once -----------------------------------------

def lost_store(rig, w):
    """The store is lost: its machines are removed by their mark, and the fleet is built anew."""
    w.write_config(IdleCount=1, IdleTime=600)
    w.start()
    old = until_ready(w)[0]
    w.kill()
    w.wait(10)
    shutil.rmtree(os.path.join(w.store, "machines"))
    w.start()
    wait_until(lambda: not any(old in line for line in w.in_cloud()), 180, "the lost machine removed, its key too")
    assert len(until_ready(w)) == 1 and old not in ready(w)
    says(w, "Removed what nobody knew of.*machine " + old)
    over(w)


def gone_under_a_job(rig, w):
    """The VM is destroyed under its job: failed within seconds, and for a reason that GitLab retries. The manager dies on the way."""
    crash(w, "manager:machine-gone")
    job = w.job(["for i in $(seq 1 300); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 3 of" in rig.trace(job), 150, "the third line")
    name = w.machines()[0]
    rig("fault", "machine", name, "vanish")
    began = time.monotonic()
    crashed(w)
    end = rig.ended(job, 180)
    assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure"), end
    assert f"machine {name} is gone" in plain(rig.trace(job)), plain(rig.trace(job))[-2000:]
    print(f"noticed after {time.monotonic() - began:.0f} s")
    again = w.job(["echo once more"])
    assert rig.ended(again, 150)["state"] == "success"
    over(w)


def idle_one_dies(rig, w):
    """One of two idle machines falls silent: it is replaced, the other stays, and no job is given to it."""
    w.write_config(IdleCount=2, IdleTime=600, FailureThreshold=2)
    crash(w, "manager:checker-started")
    dead, healthy = until_ready(w, 2)[:2]
    rig("fault", "machine", dead, "unplug")
    crashed(w)
    wait_until(lambda: dead not in w.machines(), 180, "the silent one removed")
    until_ready(w, 2)
    assert healthy in w.machines()
    says(w, "Machine does not answer .*name=" + dead)
    assert not re.search("Requesting machine removal .*name=" + healthy, w.text())
    assert rig.ended(w.job(["echo well"]), 90)["state"] == "success"
    over(w)


def deleted_by_somebody(rig, w):
    """Deleted in the control panel while windlass is away: it is dropped at the start, before a job could try it."""
    w.write_config(IdleCount=1, IdleTime=600)
    w.start()
    name = until_ready(w)[0]
    w.kill()
    w.wait(10)
    rig.api("DELETE", "/v2/droplets/" + record(w, name)["ids"]["machine"])
    w.start()
    wait_until(lambda: name not in w.machines(), 120, "the machine out of the store")
    until_ready(w)
    wait_until(lambda: not any(name in line for line in w.in_cloud()), 30, "its key gone")
    over(w)


def other_options(rig, w):
    """MachineOptions change: idle machines made by the old ones are replaced."""
    w.write_config(IdleCount=1, IdleTime=600)
    w.start()
    old = until_ready(w)[0]
    with open(w.config) as f:
        text = f.read()
    assert "s-1vcpu-1gb" in text
    with open(w.config + ".new", "w") as f:
        f.write(text.replace("s-1vcpu-1gb", "s-1vcpu-2gb"))
    os.rename(w.config + ".new", w.config)
    wait_until(lambda: old not in w.machines(), 150, "the stale machine gone")
    new = until_ready(w)[0]
    with open(os.path.join(w.store, "machines", new, "config.json")) as f:
        assert json.load(f)["Driver"]["Size"] == "s-1vcpu-2gb"
    over(w)


LIVES = [lost_store, gone_under_a_job, idle_one_dies, deleted_by_somebody, other_options]


def test_lives(rig, tmp_path):
    failed = []
    rig.gitlab("DELETE", "/faults")

    def live(life):
        w = world.Windlass(rig, tmp_path / life.__name__.replace("_", "-"))
        try:
            life(rig, w)
        finally:
            w.stop()

    with concurrent.futures.ThreadPoolExecutor(len(LIVES)) as pool:
        running = {pool.submit(live, life): life.__name__ for life in LIVES}
        for done in concurrent.futures.as_completed(running):
            try:
                done.result()
            except Exception as e:      # all of them are told, not the first only
                failed.append(f"{running[done]}: {e}")
    assert not failed, "\n\n".join(failed)
    assert rig.cloud() == [] and rig.violations() == ""


# A cloud that misbehaves -------------------------------------------------------------------------

def test_429_and_500_for_a_while(rig, windlass):
    """The jobs that can run do, the others wait; nothing healthy goes, nothing is made twice, nothing is left."""
    w = windlass(IdleCount=1, IdleTime=600, concurrent=2, limit=2).start()
    first = until_ready(w)[0]
    for what in (["429", "on=any", "for=30", "style=retry-after", "wait=5"], ["500", "on=any", "for=30"]):
        fault(rig, *what)
        # Both need a machine at once: the second has to be made, now or later.
        jobs = [w.job(["for i in $(seq 1 3); do echo line $i of the job; sleep 1; done"]) for _ in range(2)]
        for job in jobs:
            assert rig.ended(job, 180)["state"] == "success", plain(rig.trace(job))
        fault(rig, "clear")
        assert first in w.machines() and len(droplets(w)) <= 2
    assert not re.search("Requesting machine removal .*name=" + first, w.text())
    over(w)


def test_lost_answer_settled_in_use(rig, windlass):
    """A create call's answer is lost, and its machine shows only when another one is in use: that one alone stays."""
    w = windlass(IdleCount=1, IdleTime=600)
    fault(rig, "lose-answer")
    fault(rig, "list-lag", "seconds=900", "count=2")
    w.start()
    name = until_ready(w, seconds=180)[0]
    assert record(w, name)["unanswered"] == 1 and len(droplets(w)) == 2
    fault(rig, "list-now")
    wait_until(lambda: len(droplets(w)) == 1 and record(w, name)["unanswered"] == 0, 120, "the other one found and removed")
    assert record(w, name)["ids"]["machine"] in droplets(w)[0].split()
    assert rig.ended(w.job(["echo well"]), 90)["state"] == "success"
    over(w)


def test_a_boot_that_never_ends(rig, windlass):
    """One of two machines never boots: both jobs run, one after the other, and the one that hangs keeps its owner."""
    w = windlass(IdleTime=600, limit=2)
    fault(rig, "boot-never")
    w.start()
    jobs = [w.job(["echo well"]) for _ in range(2)]
    for job in jobs:
        assert rig.ended(job, 180)["state"] == "success", plain(rig.trace(job))
    for line in droplets(w):
        assert any(record(w, name)["ids"]["machine"] in line.split() for name in w.machines()), (line, w.machines())
    w.kill()
    w.wait(10)
    for name in w.machines():
        w.run("machine", "rm", "-y", name)
    assert w.in_cloud() == []


def test_put_aside_and_not_forgotten(rig, windlass):
    """A machine that cannot be deleted is put aside: in the books, over restarts, until it can."""
    w = windlass(IdleTime=0, MaxRemovalAttempts=1)
    fault(rig, "403", "on=delete", "for=600")
    w.start()
    assert rig.ended(w.job(["echo well"]), 120)["state"] == "success"
    says(w, "Giving up on machine removal")
    name = w.machines()[0]
    assert record(w, name)["phase"] == "deleting" and record(w, name)["removal_failures"] == 1 and "403" in record(w, name)["last_error"]
    w.kill()
    w.wait(10)
    w.start()
    wait_until(lambda: record(w, name)["removal_failures"] == 2, 60, "another try after the restart")
    w.kill(signal.SIGUSR1)
    says(w, f"Machine .*name={name} .*state=stuck-on-removing")
    assert len(droplets(w)) == 1
    fault(rig, "clear")
    w.kill()
    w.wait(10)
    w.start()
    w.until_empty(60)
