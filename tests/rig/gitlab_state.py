"""What the GitLab double remembers: runners and jobs, in memory and on disk.

A job is a directory, DIR/gitlab/jobs/ID: payload.json as a runner gets it,
state.json, events.jsonl, and trace with the bytes of its log. Both classes
are guarded by the double's one lock.
"""

import codecs
import json
import os
import re
import secrets
import string
import threading
import time
import zlib

from gitlab_tables import FINISHED

ALNUM = string.ascii_letters + string.digits


def random_word(n):
    return "".join(secrets.choice(ALNUM) for _ in range(n))


def iso(when):
    if when is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + ".000Z"


def write_file(path, data):
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    tmp = path + ".new"
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
    os.rename(tmp, path)


def read_json(path, default=None):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return default


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


class Runner:
    """A runner as the server knows it, with the hosts that use its token."""

    SAVED = ("id", "token", "description", "tags", "run_untagged", "paused", "orphaned", "deleted",
             "expires_at", "expires_in", "queue", "issued", "managers", "registered")

    def __init__(self, lock, **given):
        self.id = 0
        self.token = ""
        self.description = ""
        self.tags = []
        self.run_untagged = True
        self.paused = False
        self.orphaned = False
        self.deleted = False
        self.expires_at = None
        self.expires_in = None          # seconds a token lives, once reset
        self.registered = False         # by a registration token, the old way
        self.queue = secrets.token_hex(16)
        self.issued = []                # values of `queue` the client may know
        self.managers = {}
        self.__dict__.update(given)
        self.changed = threading.Condition(lock)

    def tick(self):
        """Something in this runner's queue changed: wake what is held."""
        self.queue = secrets.token_hex(16)
        self.changed.notify_all()

    def issue(self, value):
        if value not in self.issued:
            self.issued.append(value)
            del self.issued[:-1000]
        return value

    def usable(self):
        return not self.deleted and (self.expires_at is None or time.time() < self.expires_at)

    def show(self):
        d = {k: getattr(self, k) for k in self.SAVED if k not in ("token", "queue", "issued")}
        d["short_token"] = re.sub(r"^glrt-(t\d_)?|^t\d_", "", self.token)[:9]
        return d


class Job:
    """A job: its payload, its state, its trace in a file."""

    SAVED = ("id", "name", "state", "failure_reason", "exit_code", "queued", "started", "acknowledged",
             "finished", "runner_id", "runner_tags", "want_runner", "system_id", "steer", "cancel_gracefully",
             "waiting_ack", "trace_size", "crc", "patches", "patch_bytes", "ranges_refused", "refused",
             "pending_state", "checksum", "artifacts", "debug_trace", "last_contact", "disturbed", "lost",
             "next_final", "erased", "masks_shown", "watched_until", "told", "retried_as")

    def __init__(self, lock, directory, payload, **given):
        self.dir = directory
        self.payload = payload
        self.id = payload["id"]
        self.name = None
        self.state = "pending"
        self.failure_reason = None
        self.exit_code = None
        self.queued = time.time()
        self.started = self.acknowledged = self.finished = None
        self.runner_id = self.system_id = None
        self.runner_tags = []           # tags the job asks for
        self.want_runner = None         # the id of the one runner it is for
        self.steer = {}
        self.cancel_gracefully = False
        self.waiting_ack = None         # with two_phase: until when
        self.retried_as = None          # the job that took its place, for want of an acknowledgement
        self.trace_size = 0             # as the server knows it: the file may hold more, see lose()
        self.crc = 0
        self.patches = self.patch_bytes = self.ranges_refused = self.refused = 0
        self.pending_state = None       # the first final PUT that was answered 202
        self.next_final = 0             # not before then may it be repeated
        self.checksum = None
        self.artifacts = {}
        self.debug_trace = False
        self.last_contact = None
        self.disturbed = None           # when a fault last touched it
        self.lost = False               # the server has forgotten some of its trace
        self.erased = False
        self.masks_shown = []
        self.watched_until = 0
        self.told = []                  # rules broken that are told once
        self.__dict__.update(given)
        self.events = []
        self.changed = threading.Condition(lock)
        # Not kept over a restart of the double:
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.decoded = self.trace_size
        self.last_patch = None          # (time, size)
        self.hasty = 0
        self.next_patch = 0
        self.secrets_cache = None

    @property
    def token(self):
        return self.payload["token"]

    @property
    def project(self):
        return self.steer.get("project")

    def trace_path(self):
        return os.path.join(self.dir, "trace")

    def event(self, kind, **more):
        e = {"time": round(time.time(), 3), "event": kind}
        e.update((k, v) for k, v in more.items() if v is not None)
        self.events.append(e)
        with open(os.path.join(self.dir, "events.jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps(e) + "\n")

    def save(self):
        write_file(os.path.join(self.dir, "state.json"), {k: getattr(self, k) for k in self.SAVED})

    def to(self, state, reason=None, exit_code=None):
        self.state = state
        if state in FINISHED:
            self.finished = time.time()
            self.waiting_ack = None
        if reason is not None:
            self.failure_reason = reason
        if exit_code is not None:
            self.exit_code = exit_code
        self.event("state", state=state, reason=reason, exit_code=exit_code)
        self.changed.notify_all()

    def secrets(self):
        """(name, bytes) of what must never be seen in the trace."""
        if self.secrets_cache is None:
            found = {}
            for v in self.payload.get("variables") or ():
                value = v.get("value") if isinstance(v, dict) else None
                if not isinstance(value, str) or not v.get("masked"):
                    continue
                value = value.strip()
                # A value with a dollar is masked in its expanded form, which
                # only the runner knows; one of a few letters is everywhere.
                if len(value) >= 4 and (v.get("raw") or "$" not in value):
                    found[value.encode()] = v.get("key")
            self.secrets_cache = [(name, value) for value, name in found.items()]
        return self.secrets_cache

    def read_trace(self, start, size):
        try:
            fd = os.open(self.trace_path(), os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(fd, size, start)
        finally:
            os.close(fd)

    def file_size(self):
        try:
            return os.stat(self.trace_path()).st_size
        except FileNotFoundError:
            return 0

    def append(self, data):
        fd = os.open(self.trace_path(), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            view, at = memoryview(data), self.trace_size
            while view:
                n = os.pwrite(fd, view, at)
                view, at = view[n:], at + n
        finally:
            os.close(fd)
        self.crc = zlib.crc32(data, self.crc)
        self.trace_size += len(data)

    def lose(self, size):
        """Forgets all but the first `size` bytes. The file keeps them, to
        tell whether what is sent again is the same."""
        self.trace_size = max(0, min(size, self.trace_size))
        self.lost = True
        self.crc = self.crc_of(self.trace_size)

    def crc_of(self, size):
        crc, at = 0, 0
        while at < size:
            piece = self.read_trace(at, min(1 << 20, size - at))
            crc = zlib.crc32(piece, crc)
            at += len(piece)
        return crc

    def brief(self):
        return {"id": self.id, "name": self.name, "state": self.state, "failure_reason": self.failure_reason,
                "exit_code": self.exit_code, "queued": self.queued, "started": self.started,
                "acknowledged": self.acknowledged, "finished": self.finished, "trace_size": self.trace_size,
                "runner": self.runner_id, "system_id": self.system_id, "retried_as": self.retried_as}

    def show(self):
        d = {k: getattr(self, k) for k in self.SAVED if k not in ("crc", "told", "masks_shown")}
        d["trace_crc"] = "crc32:%08x" % self.crc
        d["updates"] = [e for e in self.events if e["event"] == "put"]
        d["events"] = self.events
        return d
