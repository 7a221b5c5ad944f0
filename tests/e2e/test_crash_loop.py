"""Kills of every kind in a loop: a burst of jobs that never ends, and processes that die at every moment of it.

Jobs of all lengths arrive faster than machines can be made, at a GitLab with the two-phase commit. Meanwhile processes are
struck at moments that a seed chooses: when a file of the two directories changes, at random times, at recorded steps; one of a
role, half of all in any order, or all at once; killed, or frozen for a while and then killed or thawed; and the manager is told
to hand over. When the storm is over every job has its result once, its log is whole byte for byte, the cloud holds nothing, and
no file is left of any job or machine.

    WINDLASS_CRASH_SECONDS   how long the storm lasts (60; ./build.sh soak kills: 600)
    WINDLASS_CRASH_SEED      the seed (1)
"""

import collections
import contextlib
import ctypes
import os
import random
import re
import select
import signal
import subprocess
import time

import world
from world import plain

SECONDS = float(os.environ.get("WINDLASS_CRASH_SECONDS", "60"))
SEED = os.environ.get("WINDLASS_CRASH_SEED", "1")
AT_ONCE = 6
ENDED = ("success", "failed", "canceled")
# Seconds after which the server gives a job again that nobody acknowledged.
ACK_TIMEOUT = 20
IN_CREATE, IN_MOVED_TO, IN_CLOSE_WRITE, IN_DELETE = 0x100, 0x80, 0x8, 0x200


class Job:
    """A job with an output that is known to the byte, and an end that is known too."""

    def __init__(self, rng, n):
        self.key = f"j{n}x{rng.randrange(1 << 24):06x}"
        self.lines, self.bulk = rng.randrange(1, 16), rng.choice((0, 0, 0, 30, 3000))
        self.code = rng.choice((0, 0, 0, 3))
        self.clone = rng.random() < 0.3
        self.pause = rng.choice((0.1, 0.3, 0.6))
        self.split = rng.random() < 0.4
        self.id = None

    def script(self):
        talk = [f"for i in $(seq 1 {self.lines}); do echo {self.key} line $i; sleep {self.pause}; done"]
        if self.bulk:
            talk.append(f"awk 'BEGIN {{ for (i = 1; i <= {self.bulk}; i++) print \"{self.key} bulk\", i, \"of a long log\" }}'")
        if self.split:
            # A letter of two bytes, with time to die between them.
            talk.append(f"printf '{self.key} split \\303'; sleep 0.3; printf '\\244 letter\\n'")
        talk.append(f"printf '{self.key} no newline, '; echo and one")
        return talk + ([f"exit {self.code}"] if self.code else [])

    def output(self):
        return ([f"{self.key} line {i}" for i in range(1, self.lines + 1)]
                + [f"{self.key} bulk {i} of a long log" for i in range(1, self.bulk + 1)]
                + [f"{self.key} split \u00e4 letter"] * self.split + [f"{self.key} no newline, and one"])

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


class Events:
    """Changes of the two directories, as they happen (inotify)."""

    def __init__(self, *folders):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK)
        self.folders = folders

    def next(self, seconds):
        """Waits for one; what came before does not count. False: none came."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                for name in ["", *os.listdir(folder)]:
                    self.libc.inotify_add_watch(self.fd, os.path.join(folder, name).encode(),
                                                IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE)
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 65536):
                pass
        return bool(select.select([self.fd], [], [], seconds)[0])


class Storm:
    def __init__(self, rig, w, rng):
        self.rig, self.w, self.rng = rig, w, rng
        self.jobs, self.killed, self.given_again = [], collections.Counter(), 0
        self.points = subprocess.run([world.WINDLASS, "debug", "crash-points"], stdout=subprocess.PIPE, text=True,
                                     check=True).stdout.split()
        self.lives = 0
        self.once = None
        self.events = Events(w.state, os.path.join(w.state, "jobs"), os.path.join(w.store, "machines"))

    # -- jobs

    def states(self):
        """Of all jobs; one that the server gave again is the new one from then on."""
        states = {j["id"]: j for j in self.rig.gitlab("GET", "/jobs")}
        for job in self.jobs:
            while states[job.id]["retried_as"]:
                job.id = states[job.id]["retried_as"]
                self.given_again += 1
        return states

    def left(self):
        states = self.states()
        return [j for j in self.jobs if states[j.id]["state"] not in ENDED]

    def feed(self):
        """Keeps a few more jobs under way than there may be machines."""
        if len(self.left()) <= AT_ONCE // 2:
            for _ in range(self.rng.randrange(2, AT_ONCE + 2)):
                self.jobs.append(Job(self.rng, len(self.jobs)))
                self.jobs[-1].queue(self.w)

    def settle(self, seconds):
        """Every job has its end."""
        end = time.monotonic() + seconds
        while left := self.left():
            assert time.monotonic() < end, (f"without an end: {[j.id for j in left]} of {len(self.jobs)} jobs\n"
                                            f"{self.rig.state(left[0].id)}\n{self.w.text()[-5000:]}")
            time.sleep(0.2)

    # -- deaths

    def start(self):
        environ = {}
        if self.rng.random() < 0.6:
            self.lives += 1
            self.once = os.path.join(self.w.folder, "once", f"crashed-{self.lives}")
            point = self.rng.choice(self.points)
            environ = {"WINDLASS_CRASH_AT": f"{point}:{self.rng.choice((1, 1, 2, 3))}", "WINDLASS_CRASH_ONCE": self.once}
            self.planned = point
        self.w.start(**environ)

    def note_crash(self):
        """A process stopped itself at the point of this life: which one is known by its name."""
        if self.once and os.path.exists(self.once):
            self.killed["at " + self.planned.partition(":")[0] + "'s points"] += 1
            self.once = None

    def hit(self, role, pid, sig=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
            if sig == signal.SIGKILL:
                self.killed[role] += 1

    def freeze(self, role, pid):
        """It stands still in the middle of whatever it does; then it dies, or goes on as if nothing had been."""
        self.hit(role, pid, signal.SIGSTOP)
        self.killed["frozen"] += 1
        time.sleep(self.rng.uniform(0.3, 3))
        if self.rng.random() < 0.5:
            self.hit(role, pid)
        self.hit(role, pid, signal.SIGCONT)

    def alive(self):
        """Whether the manager lives; if not, it must have been killed."""
        if self.w.process.poll() is None:
            return True
        assert self.w.process.returncode == -signal.SIGKILL, f"windlass run ended by itself: {self.w.process.returncode}\n{self.w.text()[-3000:]}"
        self.w.process = None
        return False

    def strike(self):
        found = self.w.roles()
        kind = self.rng.choices(("one", "frozen", "all", "half", "handover"), (73, 10, 8, 6, 3))[0]
        if kind == "handover":
            self.killed["handover"] += 1
            self.w.kill(signal.SIGUSR2)
        elif kind in ("all", "half"):
            # The power of the bastion fails; or somebody does the killing by hand.
            self.killed[kind] += 1
            self.rng.shuffle(found)
            for role, pid in found if kind == "all" else found[:(len(found) + 1) // 2]:
                self.hit(role, pid)
        else:
            roles = sorted({role for role, _ in found})
            if not roles:
                return
            # Operators need their time: a storm in which no machine is ever ready kills no executor.
            role = self.rng.choices(roles, [{"manager": 10, "operator": 2}.get(r, 5) for r in roles])[0]
            pid = self.rng.choice([pid for r, pid in found if r == role])
            if kind == "frozen":
                self.freeze(role, pid)
            else:
                self.hit(role, pid)

    def moment(self):
        """Waits for the next one: an event of the two directories, or a time."""
        if self.rng.random() < 0.5:
            self.events.next(3)
            time.sleep(self.rng.choice((0, 0, 0.0005, 0.002, 0.02)))
        else:
            time.sleep(min(self.rng.expovariate(0.6), 6))

    def rage(self, seconds):
        end = time.monotonic() + seconds
        self.start()
        while time.monotonic() < end:
            self.feed()
            self.moment()
            if self.alive():
                self.strike()
                # What was killed is a moment later dead, and what the manager is by then counts.
                time.sleep(0.02)
            self.note_crash()
            if self.w.process is None or not self.alive():
                time.sleep(self.rng.choice((0, 0, 0.3, 1.5)))
                self.start()
        if self.alive():
            self.w.kill()
            self.w.wait(30)


def left_behind(w):
    """Files of jobs and machines, hidden ones too."""
    return [os.path.join(folder, name) for folder in (os.path.join(w.state, "jobs"), os.path.join(w.store, "machines"))
            for name in os.listdir(folder)]


def test_crash_loop(rig, tmp_path):
    rig.gitlab("DELETE", "/faults")
    rig.gitlab("PUT", "/settings", {"two_phase": True, "ack_timeout": ACK_TIMEOUT})
    w = world.Windlass(rig, tmp_path / "bastion", concurrent=AT_ONCE, limit=AT_ONCE, IdleCount=1, IdleTime=2, MaxBuilds=3)
    storm = Storm(rig, w, random.Random(SEED))
    try:
        storm.rage(SECONDS)
        w.start()
        storm.settle(180 + ACK_TIMEOUT)
        w.write_config(IdleCount=0, IdleTime=1)
        w.until_empty(120)
        wrong = [f"job {j.id} ({j.key}): {bad}" for j in storm.jobs if (bad := j.wrong(rig))]
        print(f"seed {SEED}: {len(storm.jobs)} jobs, {storm.given_again} of them given again, killed {dict(storm.killed)}")
        assert not wrong, "\n".join(wrong) + f"\n{w.text()[-3000:]}"
        assert len(storm.jobs) > 3 and storm.killed["manager"] > 3
        assert rig.cloud() == []
        world.wait_until(lambda: not left_behind(w), 30, "no file left of any job or machine")
        assert rig.violations() == ""
    except BaseException:
        print(f"seed {SEED}: killed {dict(storm.killed)}")
        rig.clear_cloud()
        raise
    finally:
        rig.gitlab("PUT", "/settings", {"two_phase": False, "ack_timeout": 120})
        w.stop()
