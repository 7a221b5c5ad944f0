#!/usr/bin/env python3
"""The public TOML suite against wire/toml: TAP, one check a case.

    tests/unit/toml_suite.t [PROGRAM]

PROGRAM is tests/tools/toml2json.c, built; default build/asan/tools/toml2json.
The suite is read from $WINDLASS_SHARED/toml-test, default ../shared/toml-test
beside the repository. Without it there is nothing to check, and that is said.
"""
import json
import math
import os
import re
import subprocess
import sys

root = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
suite = os.path.join(os.environ.get("WINDLASS_SHARED") or os.path.join(root, "..", "shared"), "toml-test")
program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "build", "asan", "tools", "toml2json")


def instant(text):
    """A time as text that is equal for equal times: fractions of nine digits, offsets as numbers."""
    m = re.fullmatch(r"(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text.replace("z", "Z").replace("t", "T").replace(" ", "T"))
    whole, fraction, offset = m.groups()
    offset = {"Z": "+00:00", "-00:00": "+00:00"}.get(offset, offset)
    return whole, (fraction or "")[:9].ljust(9, "0"), offset


def same_scalar(kind, got, want):
    if kind == "float":
        g, w = float(got), float(want)
        return (math.isnan(g) and math.isnan(w)) or (g == w and math.copysign(1, g) == math.copysign(1, w))
    if kind == "integer":
        return int(got) == int(want)
    if kind in ("datetime", "datetime-local", "date-local", "time-local"):
        return instant(got) == instant(want)
    return got == want


def is_scalar(v):
    return isinstance(v, dict) and set(v) == {"type", "value"} and isinstance(v["type"], str) and isinstance(v["value"], str)


def differ(got, want, where=""):
    """Where they differ, or None."""
    if is_scalar(want):
        if is_scalar(got) and got["type"] == want["type"] and same_scalar(want["type"], got["value"], want["value"]):
            return None
        return f"{where or 'root'}: got {got}, want {want}"
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"{where}: got {got}, want {want}"
        pairs = [(f"{where}[{i}]", g, w) for i, (g, w) in enumerate(zip(got, want))]
    else:
        if not isinstance(got, dict) or set(got) != set(want):
            return f"{where or 'root'}: got {got}, want {want}"
        pairs = [(f"{where}.{k}", got[k], want[k]) for k in want]
    return next((d for d in (differ(g, w, at) for at, g, w in pairs) if d), None)


def check(case):
    """What is wrong with one case, or None."""
    with open(os.path.join(suite, case), "rb") as f:
        p = subprocess.run([program], stdin=f, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = p.stderr.decode("utf-8", "replace").strip()
    if case.startswith("invalid/"):
        if p.returncode != 1:
            return f"exit status {p.returncode}, it must be refused: {p.stdout.decode('utf-8', 'replace')}{said}"
        if not re.fullmatch(r"line [1-9]\d*, column [1-9]\d*: \S.*", said):
            return f"a complaint without a place: {said}"
        return None
    if p.returncode != 0:
        return f"exit status {p.returncode}: {said}"
    with open(os.path.join(suite, case[:-len(".toml")] + ".json"), encoding="utf-8") as f:
        return differ(json.loads(p.stdout.decode("utf-8")), json.load(f))


if not os.path.isdir(suite):
    print(f"1..0 # SKIP no suite in {suite}; set WINDLASS_SHARED")
    sys.exit(0)
with open(os.path.join(suite, "files-toml-1.0.0"), encoding="utf-8") as f:
    cases = sorted(c for c in f.read().split("\n") if c.endswith(".toml"))
bad = 0
for n, c in enumerate(cases, 1):
    wrong = check(c)
    bad += wrong is not None
    print(f"{'ok' if wrong is None else 'not ok'} {n} - {c}")
    if wrong is not None:
        print("\n".join("# " + s for s in wrong.split("\n")))
print(f"1..{len(cases)}")
sys.exit(1 if bad or not cases else 0)
