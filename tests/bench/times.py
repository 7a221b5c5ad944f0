"""When things happened: a job's start in its log, a machine's from the outside and in windlass's log."""

import contextlib
import datetime
import json
import os
import re
import socket
import threading
import time

import joblog
import world


def begin_time(known, log):
    """Seconds from a job's being given to the first line of its script."""
    return joblog.first_word(log) - known["started"]


def stage_times(known, log):
    """{what: seconds} of the way to the first line."""
    found = joblog.sections(log)
    first = joblog.first_word(log)
    times, at = {"to the executor": found["prepare_executor"][0] - known["started"]}, found["prepare_executor"][0]
    for name in ("prepare_executor", "prepare_script", "get_sources"):
        if name in found and found[name][1]:
            times[name] = found[name][1] - at
            at = found[name][1]
    times["build container"] = first - at
    return times


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Watcher:
    """Sees when the cloud is asked for machines and when their SSH answers, from the outside."""

    def __init__(self, rig):
        self.rig = rig
        self.asked = {}
        self.answered = {}
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._cloud, daemon=True)]

    def _cloud(self):
        while not self.stop.wait(0.1):
            with contextlib.suppress(OSError, ValueError):
                for d in self._droplets():
                    if d["name"] not in self.asked and d.get("address"):
                        self.asked[d["name"]] = d["created"]
                        self.threads.append(threading.Thread(target=self._ssh, args=(d["name"], d["address"]), daemon=True))
                        self.threads[-1].start()

    def _droplets(self):
        c = world.UnixHTTP(os.path.join(self.rig.run, "digitalocean.sock"))
        try:
            c.request("GET", "/state")
            return list(json.loads(c.getresponse().read()).get("droplets", {}).values())
        finally:
            c.close()

    def _ssh(self, name, address):
        while not self.stop.is_set():
            try:
                with socket.create_connection((address, 22), 1) as s:
                    s.settimeout(1)
                    if s.recv(4) == b"SSH-":
                        self.answered[name] = time.time()
                        return
            except OSError:
                time.sleep(0.02)

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in list(self.threads):
            t.join(5)


def ready_times(windlass, watcher):
    """For each machine when it was asked for, when SSH answered, when windlass saw that, and when a job could have it."""
    seen, usable = {}, {}
    for line in windlass.text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        at = event.get("time", "")
        if event.get("msg") == "SSH answers":
            seen.setdefault(event["name"], moment(at))
        elif event.get("msg") == "Machine created":
            usable[event["name"]] = moment(at)
    return [{"asked": watcher.asked[n], "ssh": watcher.answered[n], "seen": seen[n], "usable": usable[n]}
            for n in usable if n in watcher.answered and n in seen]


def moment(text):
    """RFC 3339 with nanoseconds, which datetime cannot read."""
    m = re.fullmatch(r"([\d-]+T[\d:]+)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    whole = datetime.datetime.fromisoformat(m[1] + m[3].replace("Z", "+00:00")).timestamp()
    return whole + float(m[2] or 0)
