"""How much memory windlass's processes use: PSS, the measure that counts a page shared by n processes as 1/n in each.

Pages of the binary's own file are shared with every process that runs it, so benchmarks run a copy of their own.
"""

import contextlib
import os
import re
import struct
import threading
import time
from collections import Counter, defaultdict

FIELDS = ("Pss", "Private_Dirty", "Private_Clean", "Shared_Clean", "Shared_Dirty", "Rss")
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)\s*(.*)")
PT_LOAD, PT_GNU_RELRO = 1, 0x6474e552
KINDS = ("code", "constants", "relro", "data", "bss", "heap", "anonymous", "stack", "other")


def rollup(pid):
    """{field: kB} of a process, None when it is gone."""
    found = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                name, _, rest = line.partition(":")
                if name in FIELDS:
                    found[name] = int(rest.split()[0])
    except OSError:
        return None
    return found or None


def by_role(windlass):
    """{role: [PSS in kB of each process]} at this moment."""
    found = defaultdict(list)
    for role, pid in windlass.roles():
        sizes = rollup(pid)
        if sizes:
            found[role].append(sizes["Pss"])
    return dict(found)


def total(roles, *only):
    return sum(sum(v) for k, v in roles.items() if not only or k in only)


def sealed(program):
    """The pages that the start code writes to, then makes read-only: (first, end), counted from where the program begins."""
    with open(program, "rb") as f:
        data = f.read(4096)
    at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, at + i * size) for i in range(count)]
    base = min(h[3] for h in headers if h[0] == PT_LOAD) & ~0xfff
    return next(((h[3] - base & ~0xfff, h[3] + h[6] - base) for h in headers if h[0] == PT_GNU_RELRO), (0, 0))


def kind_of(m, program, base, relro, below):
    """What a mapping is for; `below` is the kind of the one that ends where it begins."""
    if m["name"] == program:
        if relro[0] <= m["from"] - base < relro[1]:
            return "relro"
        return "code" if "x" in m["perms"] else "data" if "w" in m["perms"] else "constants"
    if m["name"] in ("[heap]", "[stack]"):
        return m["name"][1:-1]
    if m["name"] == "" and m["inode"] == 0:
        return "bss" if below in ("relro", "data") else "anonymous"
    return "other"


def breakdown(pid):
    """{kind: Counter of kB} of a process's mappings."""
    program = os.readlink(f"/proc/{pid}/exe")
    found = defaultdict(Counter)
    mappings = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            m = MAPPING.match(line)
            if m:
                mappings.append({"from": int(m[1], 16), "to": int(m[2], 16), "perms": m[3], "inode": int(m[4]),
                                 "name": m[5].strip(), "kB": Counter()})
                continue
            name, _, rest = line.partition(":")
            if name in FIELDS:
                mappings[-1]["kB"][name] = int(rest.split()[0])
    base = min(m["from"] for m in mappings if m["name"] == program)
    relro = sealed(program)
    before, end = None, 0
    for m in mappings:
        kind = kind_of(m, program, base, relro, before if m["from"] == end else None)
        found[kind].update(m["kB"])
        found[kind]["mappings"] += 1
        before, end = kind, m["to"]
    return found


def settled(windlass, seconds=20, still=3):
    """by_role() once it has not changed by more than 8 kB for `still` seconds."""
    end = time.monotonic() + seconds
    since, last = time.monotonic(), by_role(windlass)
    while time.monotonic() < end and time.monotonic() - since < still:
        time.sleep(0.25)
        now = by_role(windlass)
        if abs(total(now) - total(last)) > 8 or {k: len(v) for k, v in now.items()} != {k: len(v) for k, v in last.items()}:
            since, last = time.monotonic(), now
    return by_role(windlass)


class Sampler:
    """Looks at a windlass's memory again and again in a thread of its own; `samples` are by_role()s."""

    def __init__(self, windlass, every=0.2):
        self.windlass = windlass
        self.every = every
        self.samples = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.stop.wait(self.every):
            with contextlib.suppress(OSError):
                self.samples.append(by_role(self.windlass))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def peak(self):
        return max(self.samples, key=total, default={})
