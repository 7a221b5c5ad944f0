"""A burst against a small pool, with real machines: the scaling loop's promise, and what the original makes of the same.

Twelve jobs come at once where two machines are kept idle. None of them may wait for longer than a machine takes to
come up, none may wait beside an idle machine, and when they are done the pool is back at two within IdleTime.
What a boot takes is taken from the same run: nothing here depends on how fast the host is.
"""

import time

import scaling
from world import plain, wait_until

JOBS, IDLE = 12, 2
# A decision follows its event at once; a tick is what a busy host may make of that.
TICK = 5
# From GitLab's queue to the manager, a job at a time.
FETCH = 10


def phases(w):
    return [e["machine"] for e in scaling.events(w) if e["kind"] == "ready"]


def burst(rig, w, seconds):
    """Twelve jobs at once: {job: as GitLab knows it at the end}."""
    jobs = [w.job([f"for i in $(seq 1 6); do echo line $i of the job; sleep {seconds / 6}; done"],
                  variables=[{"key": "GIT_STRATEGY", "value": "none", "public": True}]) for _ in range(JOBS)]
    known = {}
    for job in jobs:
        known[job] = rig.ended(job, 300)
        assert known[job]["state"] == "success", plain(rig.trace(job))[-3000:]
    return known


def waits(known, story):
    """Seconds from GitLab's queue to a machine of one's own."""
    return {job: story.assigned[str(job)] - k["queued"] for job, k in known.items()}


def told(name, known, story):
    w = sorted(waits(known, story).values())
    boots = sorted(story.boots.values())
    print(f"{name}: waited {sum(w) / len(w):.1f} s on average, {w[-1]:.1f} s at most; {len(story.made)} machines, "
          f"booted in {boots[0]:.1f} to {boots[-1]:.1f} s")
    return sum(w) / len(w)


def test_a_burst_of_twelve(rig, windlass):
    idle_time = 12
    w = windlass("better", concurrent=JOBS + 4, limit=JOBS + 4, IdleCount=IDLE, IdleTime=idle_time).start()
    wait_until(lambda: len(phases(w)) == IDLE, 120, "two idle machines")
    known = burst(rig, w, 12)
    story = scaling.Story(scaling.events(w))
    told("better", known, story)
    # Each job that found no machine has one made for it, all of them at once, and the pool its two besides.
    assert story.most_coming() >= JOBS - IDLE
    boot = max(story.boots.values())
    late = {job: wait for job, wait in waits(known, story).items() if wait > boot + FETCH}
    assert not late, f"a boot took {boot:.1f} s, and these waited for longer: {late}"
    assert story.beside_idle()[0] <= TICK, story.beside_idle()

    # Back at two, and no machine below.
    wait_until(lambda: scaling.Story(scaling.events(w), time.time()).size(time.time()) <= IDLE, 120, "the pool is back at two")
    wait_until(lambda: len(w.machines()) <= IDLE, 120, "and the others are gone")
    story = scaling.Story(scaling.events(w), time.time())
    last_use = max(story.ended.values())
    back = story.last_above(IDLE)
    assert back is not None and back - last_use <= idle_time + TICK, f"back at {IDLE} {back - last_use:.1f} s after the last job's end"
    assert story.size(time.time()) == IDLE
    early = [m for m, t in story.gone.items() if m in story.idle and t - story.idle[m][-1][0] < idle_time - 1]
    assert not early, f"went before IdleTime: {early}"

    w.write_config(IdleCount=0, IdleTime=1)
    w.until_empty(120)
    w.stop()

    # The original asks for a job only with an idle machine in hand, and makes none for those that wait.
    w = windlass("compat", concurrent=JOBS + 4, limit=JOBS + 4, IdleCount=IDLE, IdleTime=idle_time, ScalingRules=["compat"]).start()
    wait_until(lambda: len(phases(w)) >= IDLE, 120, "two idle machines")
    known = burst(rig, w, 6)
    story = scaling.Story(scaling.events(w))
    told("compat", known, story)
    assert story.most_coming() <= IDLE, "machines were made for those that wait"
    held = {job: story.wait(job) for job in story.waits if story.wait(job) > TICK}
    assert not held, f"asked for without a machine in hand: {held}"
    assert max(waits(known, story).values()) > max(story.wait(job) for job in story.waits) + 1, "nobody waited at GitLab"
    w.write_config(IdleCount=0, IdleTime=1)
    w.until_empty(120)
    assert rig.cloud() == []
