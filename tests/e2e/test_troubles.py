"""A burst while everything goes wrong at once: the cloud throttles, fails and loses an answer, one boot never ends, one machine dies.

Nothing may be left in the cloud, no healthy machine may go for it, no job may be lost but the one whose machine died,
and that one ends as the machine's failure. What happened must be in the events.

    WINDLASS_TROUBLE_SECONDS   how long the cloud throttles, and then fails (60 each)
"""

import os
import re
import time

import scaling
from world import plain, wait_until

SECONDS = int(os.environ.get("WINDLASS_TROUBLE_SECONDS", "60"))
NO_GIT = [{"key": "GIT_STRATEGY", "value": "none", "public": True}]
LINES = 10


def lines(w, n=LINES, **more):
    return w.job([f"for i in $(seq 1 {n}); do echo line $i of the job; sleep 1; done"], variables=NO_GIT, **more)


def machine_of(w, job):
    try:
        with open(os.path.join(w.state, "jobs", str(job), "machine")) as f:
            return f.readline().strip()
    except FileNotFoundError:
        return None


def whole(rig, job, n=LINES):
    got = [int(i) for i in re.findall(r"^line (\d+) of the job$", plain(rig.trace(job)), re.M)]
    return got == list(range(1, n + 1))


def droplets(rig):
    return {d["name"]: d for d in rig.api("GET", "/v2/droplets?per_page=200")["droplets"]}


def until_never(rig, w):
    """The machine whose boot never ends: its phase stays where it is while all others come by."""
    def look():
        ready = {e["machine"] for e in scaling.events(w) if e["kind"] == "ready"}
        found = [n for n, d in droplets(rig).items() if n not in ready and d["status"] == "new"]
        return found[0] if len(found) == 1 and len(ready) >= 3 else None
    return wait_until(look, 120, "all machines but one are ready")


def test_a_burst_among_troubles(rig, windlass):
    w = windlass(concurrent=8, limit=8, IdleTime=4)
    # The first create call that arrives is answered by nobody; the first droplet that is made never boots.
    rig("fault", "cloud", "lose-answer", "on=create")
    rig("fault", "cloud", "boot-never")
    w.start()
    victim = w.job(["for i in $(seq 1 300); do echo line $i of the job; sleep 1; done"], variables=NO_GIT, timeout=400)
    jobs = [lines(w) for _ in range(5)]

    # One machine dies under its job.
    wait_until(lambda: "line 2 of" in rig.trace(victim), 150, "the victim runs")
    died = machine_of(w, victim)
    rig("fault", "machine", died, "die")

    # The cloud throttles, then fails, while more jobs come.
    rig("fault", "cloud", "429", f"for={SECONDS}", "style=retry-after", "wait=3")
    jobs += [lines(w) for _ in range(3)]
    time.sleep(SECONDS)
    rig("fault", "cloud", "500", f"for={SECONDS}")
    jobs += [lines(w) for _ in range(3)]
    for job in jobs:
        end = rig.ended(job, 200)
        assert end["state"] == "success", f"{end['failure_reason']}\n{plain(rig.trace(job))[-2000:]}"
        assert whole(rig, job), plain(rig.trace(job))[-2000:]
    end = rig.ended(victim, 150)
    assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure"), plain(rig.trace(victim))[-2000:]
    rig("fault", "cloud", "clear")

    # Somebody looks at the panel and deletes what hangs there.
    never = until_never(rig, w)
    rig.api("DELETE", f"/v2/droplets/{droplets(rig)[never]['id']}")
    w.until_empty(150)
    assert rig.cloud() == []

    found = scaling.events(w)
    for e in found:
        if e["kind"] == "remove" and e["machine"] not in (died, never):
            assert e["reason"] == "idle", f"a healthy machine went: {e}"
    of = {name: " ".join(f"{e['kind']} {e.get('reason', '')} {e.get('text', '')}" for e in found if e.get("machine") == name or e.get("job") == name)
          for name in (died, never, str(victim))}
    assert "runner_system_failure" in of[str(victim)], of
    assert "remove" in of[died] and "remove" in of[never], of
    assert "someone deleted it" in of[never], of
    for name, word in ((never, "someone deleted it"), (died, str(victim)), (str(victim), died)):
        said = w.run("why", "--state-dir", w.state, name)
        assert word in said, f"windlass why {name}:\n{said}"
        print(said)
    assert "The cloud throttles the account" in w.text() and "HTTP status 500" in w.text()
