"""The rules of scaling one by one, with real machines: periods, the factor, growth, limits, two runners of one prefix, the end."""

import datetime
import json
import os
import signal
import time

import pytest

import scaling
from world import plain, wait_until

NO_SOURCES = [{"key": "GIT_STRATEGY", "value": "none", "public": True}]


def write(w, text):
    """The configuration, whole at every moment."""
    with open(w.config + ".new", "w") as f:
        f.write(text)
    os.rename(w.config + ".new", w.config)


def text_of(w):
    with open(w.config) as f:
        return f.read()


def told(w, kind, reason=None):
    return [e for e in scaling.events(w) if e["kind"] == kind and (reason is None or e["reason"] == reason)]


def live(w):
    """Machines that nobody has told to go."""
    return scaling.Story(scaling.events(w)).size(time.time())


def test_a_period_begins_and_ends(rig, windlass):
    """Windows of seconds, written in a zone of which the host need know nothing. Every period begins and ends a second early."""
    w = windlass(IdleTime=1)
    begin = int(time.time()) + 6
    end = begin + 12
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    periods = [datetime.datetime.fromtimestamp(s, tokyo).strftime("%-S %-M %-H %-d %-m * %Y") for s in range(begin, end)]
    write(w, text_of(w) + "\n[[runners.machine.autoscaling]]\nTimezone = \"Asia/Tokyo\"\nIdleCount = 1\nIdleTime = 3600\n"
          f"Periods = {json.dumps(periods)}\n")
    w.start()
    wait_until(lambda: told(w, "create"), 30, "a machine for the period")
    assert begin - 1.1 <= told(w, "create")[0]["t"], "nothing was made before the period"
    assert told(w, "create")[0]["reason"] == "below-idle"
    wait_until(lambda: told(w, "remove") or told(w, "removed"), 120, "it goes when the period is over")
    gone = (told(w, "remove") + told(w, "removed"))[0]
    assert gone["t"] >= end - 1.1, "and not before"
    assert len(told(w, "create")) == 1
    w.until_empty(120)
    assert "another period has begun" in w.text() and "no period holds" in w.text()


def test_the_factor_and_its_limit(rig, windlass):
    w = windlass(concurrent=6, IdleCount=5, IdleScaleFactor="3.0", IdleScaleFactorLimit=2, IdleCountMin=1, IdleTime=1).start()
    wait_until(lambda: len(told(w, "ready")) == 1, 120, "IdleCountMin, since nothing is in use")
    job = w.job(["sleep 8"], variables=NO_SOURCES)
    wait_until(lambda: live(w) == 3, 120, "one in use and two idle: the factor says three, its limit two")
    assert rig.ended(job, 120)["state"] == "success"
    wait_until(lambda: live(w) == 1, 120, "back at the floor")
    assert len(told(w, "create")) == 3
    w.write_config(IdleCount=0)
    w.until_empty(120)


def test_one_at_a_time_and_a_lowered_limit(rig, windlass):
    """MaxGrowthRate = 1: a creation begins only when the one before has ended. Then the limit is lowered by a reload."""
    w = windlass(concurrent=6, limit=6, IdleCount=3, IdleTime=600, MaxGrowthRate=1).start()
    wait_until(lambda: len(told(w, "ready")) == 3, 180, "three machines, one after the other")
    under_way = most = 0
    for e in scaling.events(w):
        under_way += {"create": 1, "ready": -1, "create-failed": -1}.get(e["kind"], 0)
        most = max(most, under_way)
    assert most == 1
    w.write_config(limit=1)
    wait_until(lambda: len(told(w, "remove", "limit")) == 2, 30, "two are above the new limit")
    wait_until(lambda: len(w.machines()) == 1, 60, "and go, long before IdleTime")
    job = w.job(["echo on the one that is left"], variables=NO_SOURCES)
    assert rig.ended(job, 120)["state"] == "success"
    assert len(told(w, "create")) == 3
    w.write_config(IdleCount=0, IdleTime=0)
    w.until_empty(120)


def test_one_job_a_machine(rig, windlass):
    w = windlass(concurrent=1, MaxBuilds=1, IdleTime=600).start()
    jobs = [w.job(["echo once"], variables=NO_SOURCES) for _ in range(2)]
    for job in jobs:
        assert rig.ended(job, 180)["state"] == "success"
    w.until_empty(120)
    used = [e["machine"] for e in told(w, "assign")]
    assert len(used) == len(set(used)) == 2
    assert len(told(w, "remove", "builds")) == 2


def test_as_the_original_does(rig, windlass):
    """compat: a job is asked for only with an idle machine in hand, and never has a machine made for it. Ours has both."""
    def run(name, **settings):
        w = windlass(name, concurrent=4, IdleCount=1, IdleTime=600, **settings).start()
        wait_until(lambda: len(told(w, "ready")) == 1, 120, "the idle machine")
        jobs = [w.job(["sleep 3"], variables=NO_SOURCES) for _ in range(3)]
        for job in jobs:
            assert rig.ended(job, 240)["state"] == "success", plain(rig.trace(job))
        found = scaling.events(w)
        w.write_config(IdleCount=0, IdleTime=0)
        w.until_empty(120)
        return found, scaling.Story(found)

    found, story = run("compat", ScalingRules=["compat"])
    assert {e["reason"] for e in found if e["kind"] == "create"} == {"below-idle"}
    assert not [e for e in found if e["kind"] == "waiting"], "a job that came had its machine in hand"
    assert len(story.assigned) == 3
    found, story = run("better")
    assert [e for e in found if e["kind"] == "waiting"], "jobs were taken, and machines made, before one was free"
    assert len(story.assigned) == 3


@pytest.fixture
def long_polls(rig):
    """GitLab holds a request for as long as it does by default: much longer than anything here may take."""
    rig.gitlab("PUT", "/settings", {"poll_seconds": 50})
    yield 50
    rig.gitlab("PUT", "/settings", {"poll_seconds": 5})


def test_two_runners_of_one_prefix(rig, windlass, long_polls):
    """
    Tokens whose first nine characters are the same make machines whose names begin alike. Whose they are their records say.
    With one slot for both, the request that GitLab holds for the one does not keep the other waiting.
    """
    tokens = [f"glrt-t1_PrefiX{os.urandom(2).hex()[:3].upper()}{tail}" for tail in ("AAAAAAAAAAAA", "BBBBBBBBBBBB")]
    tokens[1] = tokens[0][:17] + "BBBBBBBBBBBB"
    runners = [rig.gitlab("POST", "/runners", {"description": f"prefix {i}", "token": t})["id"] for i, t in enumerate(tokens)]
    w = windlass(concurrent=1, IdleCount=1, IdleTime=600)
    w.write_config(token=tokens[0])
    one = text_of(w)
    second = one[one.index("[[runners]]"):].replace(tokens[0], tokens[1])
    write(w, one + "\n" + second)
    w.start()

    def owners():
        found = {}
        for name in w.machines():
            try:
                with open(os.path.join(w.store, "machines", name, "windlass.json")) as f:
                    record = json.load(f)
            except (OSError, ValueError):
                continue
            if record["phase"] == "ready":
                found[name] = record["runner"]
        return found

    wait_until(lambda: len(owners()) == 2, 180, "an idle machine for each")
    before = owners()
    assert len(set(before.values())) == 2
    prefix = os.path.commonprefix(list(before))
    assert len(prefix) > len("runner-") + 9, "their names do not tell them apart"
    jobs = [rig.job(["sleep 2"], runner=r, variables=NO_SOURCES) for r in runners]
    for job in jobs:
        assert rig.ended(job, 120)["state"] == "success"
    assert {e["machine"] for e in told(w, "assign")} == set(before), "each job on its own runner's machine"
    story = scaling.Story(scaling.events(w))
    first, second = sorted(story.assigned, key=story.assigned.get)
    assert story.ended[first] <= story.assigned[second], "concurrent = 1 holds for both together"
    assert story.assigned[first] - rig.state(int(first))["queued"] < long_polls / 2, "held requests take no slot"
    assert story.assigned[second] - story.ended[first] < long_polls / 2, "nor does a slot wait for one of them to end"
    # One leaves the configuration: its machines go, the other's stay.
    pool = {e["job"]: before[e["machine"]] for e in told(w, "assign")}
    stays, leaves = (pool[str(job)] for job in jobs)
    kept = {m for m, owner in owners().items() if owner == stays}
    short = one.replace("IdleTime = 600", "IdleTime = 4")
    assert short != one
    write(w, short + "\n" + short[short.index("[[runners]]"):].replace(tokens[0], tokens[1]))
    wait_until(lambda: w.text().count("Configuration loaded") == 2, 30, "its grace will be short")
    write(w, short)
    wait_until(lambda: told(w, "remove", "drain"), 60, "the pool of the one that left is drained")
    wait_until(lambda: set(owners().values()) == {stays} and len(owners()) == len(w.machines()), 120, "and its machines are gone")
    assert not kept & {e["machine"] for e in told(w, "remove", "drain")}
    assert "its runner left the configuration" in w.text()
    assert leaves != stays
    w.write_config(IdleCount=0, IdleTime=0)
    wait_until(lambda: not w.machines(), 120, "the store empty")


def test_ready_when_it_says_so(rig, windlass):
    w = windlass(ScalingRules=["no-failure-gate"], ReadyCommand="echo not yet; test -e /nowhere").start()
    job = w.job(["echo hello"], variables=NO_SOURCES)
    wait_until(lambda: told(w, "create-failed"), 180, "a machine that is not ready by its own word")
    assert "ReadyCommand failed" in told(w, "create-failed")[0]["text"]
    assert "not yet" in w.text(), "what it printed is in the log"
    w.write_config(ReadyCommand="systemctl is-active docker")
    assert rig.ended(job, 180)["state"] == "success"
    w.until_empty(120)


def test_the_end_takes_its_machines_along(rig, windlass):
    w = windlass(IdleCount=2, IdleTime=600, shutdown_timeout=300)
    write(w, text_of(w) + "\n[machine.shutdown_drain]\nenabled = true\nconcurrency = 1\n")
    w.start()
    wait_until(lambda: told(w, "ready"), 120, "the first machine; the second one may still be coming")
    w.kill(signal.SIGQUIT)
    assert w.wait(300) == 0
    assert w.machines() == [] and w.in_cloud() == []
    assert "All workers stopped" in w.text()


def test_an_account_that_is_throttled(rig, windlass):
    """The cloud tells one operator to wait: nobody else asks it for a machine before that."""
    w = windlass(concurrent=4, IdleCount=1, IdleTime=600)
    rig("fault", "cloud", "429", "style=retry-after", "wait=15", "count=1", "on=create")
    w.start()
    wait_until(lambda: "The cloud throttles the account" in w.text(), 60, "the operator passes it on")
    throttled = time.time()
    w.write_config(IdleCount=2)
    wait_until(lambda: told(w, "held", "throttled"), 12, "a second machine is wanted, and has to wait")
    wait_until(lambda: len(told(w, "create")) == 2, 60, "until the time is over")
    assert told(w, "create")[1]["t"] >= throttled + 12
    wait_until(lambda: len(told(w, "ready")) == 2, 120, "both come, without a failure")
    assert not told(w, "create-failed")
    w.write_config(IdleCount=0, IdleTime=0)
    w.until_empty(120)
