"""kill -9 in a loop: a burst of jobs that never ends, and processes that die at every moment of it.

Jobs of all lengths arrive faster than machines can be made. Meanwhile the manager is killed at moments that a seed
chooses, at recorded steps or in between, and with it now and then an operator, an executor, a reporter, a poller, or
all of them at once. When the storm is over every job has its result once, its log is whole byte for byte, and the
cloud holds nothing.

    WINDLASS_CRASH_SECONDS   how long the storm lasts (180)
    WINDLASS_CRASH_SEED      the seed (1)
"""

import collections
import contextlib
import os
import random
import re
import signal
import subprocess
import time

import world
from world import plain

SECONDS = float(os.environ.get("WINDLASS_CRASH_SECONDS", "180"))
SEED = os.environ.get("WINDLASS_CRASH_SEED", "1")
AT_ONCE = 6
ENDED = ("success", "failed", "canceled")
# What a server and a poller that is killed with the answer in its hands can lose between them: see Storm.lost().
MOMENT = 2.0


class Job:
    """A job with an output that is known to the byte, and an end that is known too."""

    def __init__(self, rng, n):
        self.key = f"j{n}x{rng.randrange(1 << 24):06x}"
        self.lines, self.bulk = rng.randrange(1, 16), rng.choice((0, 0, 0, 30, 3000))
        self.code = rng.choice((0, 0, 0, 3))
        self.clone = rng.random() < 0.3
        self.pause = rng.choice((0.1, 0.3, 0.6))
        self.id = None

    def script(self):
        talk = [f"for i in $(seq 1 {self.lines}); do echo {self.key} line $i; sleep {self.pause}; done"]
        if self.bulk:
            talk.append(f"awk 'BEGIN {{ for (i = 1; i <= {self.bulk}; i++) print \"{self.key} bulk\", i, \"of a long log\" }}'")
        talk.append(f"printf '{self.key} no newline, '; echo and one")
        return talk + ([f"exit {self.code}"] if self.code else [])

    def output(self):
        return ([f"{self.key} line {i}" for i in range(1, self.lines + 1)]
                + [f"{self.key} bulk {i} of a long log" for i in range(1, self.bulk + 1)] + [f"{self.key} no newline, and one"])

    def queue(self, w):
        more = {} if self.clone else {"variables": [{"key": "GIT_STRATEGY", "value": "none", "public": True}]}
        self.id = w.job(self.script(), after_script=[f"echo {self.key} after"], **more)

    def wrong(self, rig):
        """What is not as it should be, or None."""
        known = rig.state(self.id)
        trace = plain(rig.trace(self.id))
        want = ("failed", "script_failure", 3) if self.code else ("success", None, None)
        if (known["state"], known["failure_reason"], known["exit_code"]) != want:
            return f"ended as {known['state']}, {known['failure_reason']}, {known['exit_code']}, not as {want}"
        if sum(e["event"] == "state" and e["state"] in ENDED for e in known["events"]) != 1:
            return f"has not one result: {known['events']}"
        got = [line for line in trace.splitlines() if line.startswith(self.key)]
        if got != self.output() + [f"{self.key} after"]:
            return f"its log is not whole: {difference(got, self.output() + [self.key + ' after'])}"
        twice = [line for line, n in collections.Counter(re.findall(r"^(?:section_\w+:\d+:\w+|Running with gitlab-runner.*)", trace, re.M)).items()
                 if n > 1]
        if twice:
            return f"its log says twice: {twice}"
        last = "ERROR: Job failed: exit code 3" if self.code else "Job succeeded"
        if trace.count(last) != 1 or not trace.rstrip().endswith(last):
            return f"its log does not end with {last!r}, once"
        return None


def difference(got, want):
    for i, (a, b) in enumerate(zip(got, want)):
        if a != b:
            return f"line {i} is {a!r}, not {b!r}"
    return f"{len(got)} lines, not {len(want)}; the last is {got[-1] if got else None!r}"


class Storm:
    def __init__(self, rig, w, rng):
        self.rig, self.w, self.rng = rig, w, rng
        self.jobs, self.killed, self.poller_deaths = [], collections.Counter(), []
        self.points = subprocess.run([world.WINDLASS, "debug", "crash-points"], stdout=subprocess.PIPE, text=True,
                                     check=True).stdout.split()
        self.lives = 0
        self.once = None

    # -- jobs

    def feed(self):
        """Keeps a few more jobs under way than there may be machines."""
        states = {j["id"]: j["state"] for j in self.rig.gitlab("GET", "/jobs")}
        left = [j for j in self.jobs if states[j.id] not in ENDED]
        if len(left) <= AT_ONCE // 2:
            for _ in range(self.rng.randrange(2, AT_ONCE + 2)):
                self.jobs.append(Job(self.rng, len(self.jobs)))
                self.jobs[-1].queue(self.w)

    def left(self):
        states = {j["id"]: j for j in self.rig.gitlab("GET", "/jobs")}
        return [j for j in self.jobs if states[j.id]["state"] not in ENDED]

    def lost(self, job):
        """
        Whether GitLab gave this job to a poller that was killed with the answer in its hands: between the server's
        word and the first byte on our disk nobody can keep it, and GitLab itself gives it up after its own time.
        A manager's death is no excuse: its poller lives on for as long as an answer may be on its way.
        """
        known = self.rig.state(job.id)
        return (known["state"] == "running" and known["acknowledged"] is None and known["trace_size"] == 0
                and str(job.id) not in self.w.jobs()
                and any(known["started"] - MOMENT < t < known["started"] + MOMENT for t in self.poller_deaths))

    def settle(self, seconds):
        """Every job has its end, but for those that nobody can bring to one."""
        end = time.monotonic() + seconds
        while left := [j for j in self.left() if not self.lost(j)]:
            assert time.monotonic() < end, (f"without an end: {[j.id for j in left]} of {len(self.jobs)} jobs\n"
                                            f"{self.rig.state(left[0].id)}\n{self.w.text()[-5000:]}")
            time.sleep(0.2)

    # -- deaths

    def start(self):
        environ = {}
        if self.rng.random() < 0.6:
            self.lives += 1
            self.once = os.path.join(self.w.folder, f"crashed-{self.lives}")
            point = self.rng.choice(self.points)
            environ = {"WINDLASS_CRASH_AT": f"{point}:{self.rng.choice((1, 1, 2, 3))}", "WINDLASS_CRASH_ONCE": self.once}
            self.planned = point
        self.w.start(**environ)

    def note_crash(self):
        """A process stopped itself at the point of this life: which one is known by its name."""
        if self.once and os.path.exists(self.once):
            self.killed["at " + self.planned.partition(":")[0] + "'s points"] += 1
            if self.planned.startswith("poller"):
                self.poller_deaths.append(os.stat(self.once).st_mtime)
            self.once = None

    def shoot(self, role, one=True):
        found = self.w.roles(role)
        for _, pid in [self.rng.choice(found)] if one and found else found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed[role] += 1
        if role == "poller" and found:
            self.poller_deaths.append(time.time())

    def alive(self):
        """Whether the manager lives; if not, it must have been killed."""
        if self.w.process.poll() is None:
            return True
        assert self.w.process.returncode == -signal.SIGKILL, f"windlass run ended by itself: {self.w.process.returncode}\n{self.w.text()[-3000:]}"
        self.w.process = None
        return False

    def strike(self):
        kind = self.rng.choices(("manager", "operator", "executor", "reporter", "poller", "all"), (10, 3, 3, 3, 1, 1))[0]
        if kind not in ("manager", "all"):
            self.shoot(kind)
            return
        self.w.kill()
        self.killed[kind] += 1
        self.w.process.wait(30)
        if kind == "all":
            # The power of the bastion fails.
            for role in ("poller", "operator", "executor", "reporter"):
                self.shoot(role, one=False)

    def rage(self, seconds):
        end = time.monotonic() + seconds
        self.start()
        while time.monotonic() < end:
            self.feed()
            time.sleep(self.rng.choice((0.05, 0.2, 0.5, 1, 2, 4)))
            if self.alive():
                self.strike()
            self.note_crash()
            if self.w.process is None or not self.alive():
                time.sleep(self.rng.choice((0, 0, 0.3, 1.5)))
                self.start()
        if self.alive():
            self.w.kill()
            self.w.wait(30)


def test_crash_loop(rig, tmp_path):
    rig.gitlab("DELETE", "/faults")
    w = world.Windlass(rig, tmp_path / "bastion", concurrent=AT_ONCE, limit=AT_ONCE, IdleCount=1, IdleTime=2, MaxBuilds=3)
    storm = Storm(rig, w, random.Random(SEED))
    try:
        storm.rage(SECONDS)
        w.start()
        storm.settle(150)
        lost = storm.left()
        for job in lost:
            rig.gitlab("POST", f"/jobs/{job.id}/cancel", {"force": True})
        w.write_config(IdleCount=0, IdleTime=1)
        w.until_empty(120)
        wrong = [f"job {j.id} ({j.key}): {bad}" for j in storm.jobs if j not in lost and (bad := j.wrong(rig))]
        print(f"{len(storm.jobs)} jobs, killed {dict(storm.killed)}, {len(lost)} jobs lost with their pollers")
        assert not wrong, "\n".join(wrong) + f"\n{w.text()[-3000:]}"
        assert len(storm.jobs) > 5 and storm.killed["manager"] > 3
        assert rig.cloud() == []
        assert rig.violations() == ""
    except BaseException:
        print(f"seed {SEED}: killed {dict(storm.killed)}")
        rig.clear_cloud()
        raise
    finally:
        w.stop()
