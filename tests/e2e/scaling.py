"""What a pool did, read from the manager's events: who waited when, which machine was idle when, and why."""

import collections
import datetime
import json
import os


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def events(w):
    """The events of a windlass, oldest first, with their time as a number in `t`."""
    found = []
    for name in ("events.1.jsonl", "events.jsonl"):
        try:
            with open(os.path.join(w.state, name)) as f:
                lines = f.read().split("\n")
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                e = json.loads(line)
            except ValueError:
                # Torn by a kill, or the empty end.
                continue
            e["t"] = moment(e["at"])
            found.append(e)
    return found


class Story:
    """Spans of waiting and of idleness, made of events; `until` ends what has no end yet."""

    def __init__(self, found, until=None):
        self.until = until if until is not None else max((e["t"] for e in found), default=0)
        self.waits = collections.defaultdict(list)      # job -> [(from, to)]
        self.idle = collections.defaultdict(list)       # machine -> [(from, to)]
        self.boots = {}                                 # machine -> seconds from its decision to its readiness
        self.made, self.gone = {}, {}                   # machine -> when it was decided on; when that it goes
        self.assigned = {}                              # job -> when it got (last) a machine
        self.ended = {}
        waiting, resting, with_job = {}, {}, {}
        for e in found:
            t, job, machine = e["t"], e.get("job"), e.get("machine")
            kind = e["kind"]
            if kind in ("arrived", "back") and job:
                waiting[job] = t
                with_job.pop(job, None)
            elif kind == "assign":
                self._close(self.waits, waiting, job, t)
                self._close(self.idle, resting, machine, t)
                self.assigned[job] = t
                with_job[job] = machine
            elif kind == "ended":
                self._close(self.waits, waiting, job, t)
                self.ended[job] = t
                if job in with_job:
                    resting[with_job.pop(job)] = t
            elif kind == "create":
                self.made[machine] = t
            elif kind == "ready":
                self.boots[machine] = t - self.made.get(machine, t)
                resting[machine] = t
            elif kind in ("remove", "create-failed", "removed"):
                self._close(self.idle, resting, machine, t)
                self.gone.setdefault(machine, t)
        for job in list(waiting):
            self._close(self.waits, waiting, job, self.until)
        for machine in list(resting):
            self._close(self.idle, resting, machine, self.until)

    @staticmethod
    def _close(spans, opened, who, t):
        if who in opened:
            spans[who].append((opened.pop(who), t))

    def wait(self, job):
        return sum(b - a for a, b in self.waits[job])

    def beside_idle(self):
        """The longest time that a job waited and a machine was idle at once, with who they were: (seconds, job, machine)."""
        worst = (0, None, None)
        for job, waits in self.waits.items():
            for machine, rests in self.idle.items():
                for a, b in waits:
                    for c, d in rests:
                        worst = max(worst, (min(b, d) - max(a, c), job, machine), key=lambda w: w[0])
        return worst

    def most_coming(self):
        """How many machines were under way to readiness at once, at most."""
        spans = [(made, made + self.boots[m] if m in self.boots else self.gone.get(m, self.until)) for m, made in self.made.items()]
        return max((sum(a <= t < b for a, b in spans) for t, _ in spans), default=0)

    def size(self, t):
        """How many machines there were that nobody had told to go."""
        return sum(made <= t for made in self.made.values()) - sum(gone <= t for gone in self.gone.values())

    def last_above(self, n):
        """When the pool last had more than n machines."""
        return max((t for t in self.gone.values() if self.size(t - 1e-4) > n), default=None)
