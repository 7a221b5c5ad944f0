#!/usr/bin/env python3
"""The public TOML suite against wire/toml: TAP, one check a case.

    tests/unit/toml_suite.t [PROGRAM]

PROGRAM is tests/tools/toml2json.c, built; default build/asan/tools/toml2json.
The suite is fetched and verified as the libraries are (vendor/fetch, from
tests/unit/suites) and read from its archive. Where it is not there and cannot
be had, there is nothing to check, and that is said.
"""
import json
import math
import os
import re
import signal
import subprocess
import sys
import tarfile

root = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
manifest = os.path.join(root, "tests", "unit", "suites")
FETCH_LIMIT = 100       # seconds for both; tests/tap has more patience than that
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


def archive(name):
    """Where the suite of this name lies once it was fetched."""
    with open(manifest, encoding="utf-8") as f:
        version = next(line.split("\t")[1] for line in f if line.startswith(name + "\t"))
    folder = os.environ.get("WINDLASS_DL") or os.path.join(root, "build", "dl")
    return os.path.join(folder, f"{name}-{version}.tar")


def fetch(name):
    """Whether the suite is there now; vendor/fetch leaves at once what it has and verified."""
    with subprocess.Popen([os.path.join(root, "vendor", "fetch"), manifest, name], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            return child.wait(FETCH_LIMIT / 2) == 0
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)
            return False


def read(path):
    """The suite's files by name below tests/, and what it says of versions."""
    files, versions = {}, ""
    with tarfile.open(path) as tar:
        for entry in tar:
            _, found, name = entry.name.partition("/internal/toml-test/")
            if not found or not entry.isfile():
                continue
            if name.startswith("tests/"):
                files[name[len("tests/"):]] = tar.extractfile(entry).read()
            elif name == "version.go":
                versions = tar.extractfile(entry).read().decode("utf-8")
    return files, versions


def of_1_0(files, versions):
    """The cases of TOML 1.0: all but those that the suite's table of versions leaves out for it."""
    table = re.search(r'"1\.0\.0": versionSpec\{(.*?)\n\t\},\n', versions, re.S)
    if table is None:
        return []
    out = [re.escape(name).replace(r"\*", ".*") for name in re.findall(r'"((?:in)?valid/[^"]+)"', table[1])]
    return sorted(c for c in files if re.fullmatch(r"(in)?valid/.*\.toml", c) and not any(re.fullmatch(o, c[:-len(".toml")]) for o in out))


def check(case):
    """What is wrong with one case, or None."""
    p = subprocess.run([program], input=files[case], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = p.stderr.decode("utf-8", "replace").strip()
    if case.startswith("invalid/"):
        if p.returncode != 1:
            return f"exit status {p.returncode}, it must be refused: {p.stdout.decode('utf-8', 'replace')}{said}"
        if not re.fullmatch(r"line [1-9]\d*, column [1-9]\d*: \S.*", said):
            return f"a complaint without a place: {said}"
        return None
    if p.returncode != 0:
        return f"exit status {p.returncode}: {said}"
    return differ(json.loads(p.stdout.decode("utf-8")), json.loads(files[case[:-len(".toml")] + ".json"].decode("utf-8")))


suite = next((archive(name) for name in ("toml-suite", "toml-suite-stable") if fetch(name)), None)
if suite is None:
    print("1..0 # SKIP the public TOML suite is not in the download folder and could not be fetched (tests/unit/suites)")
    sys.exit(0)
files, versions = read(suite)
cases = of_1_0(files, versions)
bad = 0
for n, c in enumerate(cases, 1):
    wrong = check(c)
    bad += wrong is not None
    print(f"{'ok' if wrong is None else 'not ok'} {n} - {c}")
    if wrong is not None:
        print("\n".join("# " + s for s in wrong.split("\n")))
print(f"1..{len(cases)}")
sys.exit(1 if bad or not cases else 0)
