"""The demo is what people see first: it must work, say what it shows, and fail when something is not so."""

import os
import re
import signal
import subprocess
import time

from world import ROOT

DEMO = os.path.join(ROOT, "tests", "rig", "demo")


def test_demo(tmp_path):
    """All of it, as lines: the logs, the table, what the cloud was paid for."""
    done = subprocess.run([DEMO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=1200, env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    text = done.stdout
    assert done.returncode == 0, text
    assert "\x1b" not in text, "no colours where no terminal is"
    for line in ("machine .* ready, in the cloud: active", "job lint .* running: script on [0-9a-f]{8}",
                 "job nightly .* canceling"):
        assert re.search(line, text), f"{line}\n{text}"
    for name, state in (("lint", "success"), ("build", "success"), ("unit", "success"), ("integration", "success"),
                        ("flaky", "failed, exit code 3"), ("package", "success"), ("nightly", "canceled")):
        assert f"---- {name}: the log of job " in text
        assert re.search(rf"^{name} +{state} +\d+\.\d s +\d+\.\d s  [0-9a-f]{{8}}$", text, re.M), f"{name}\n{text}"
    m = re.search(r"^cloud: (\d+) machines made, (\d+) removed, ([\d.]+) machine-seconds paid", text, re.M)
    assert m and m[1] == m[2] and float(m[3]) > 0, text
    assert "cloud: nothing left" in text and text.rstrip().endswith("All as it should be.")
    assert os.listdir(tmp_path) == []


def test_demo_says_what_is_wrong(tmp_path):
    """A windlass that cannot start: the status is 1, the reason is there, the world is gone."""
    broken = tmp_path / "windlass"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    done = subprocess.run([DEMO, "--plain"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=1200, env={**os.environ, "WINDLASS": str(broken), "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 1, done.stdout
    assert "windlass ended with status 7" in done.stdout, done.stdout
    assert os.listdir(tmp_path) == ["windlass"]


def test_demo_interrupted(tmp_path):
    """Ctrl-C in the middle: it cleans up, the cloud's machines included, and says so by its status."""
    out = tmp_path / "out"
    run = tmp_path / "run"
    run.mkdir()
    with open(out, "w") as f:
        demo = subprocess.Popen([DEMO], stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True,
                                env={**os.environ, "TMPDIR": str(run)})
    try:
        end = time.monotonic() + 900
        while "in the cloud: active" not in out.read_text():
            assert demo.poll() is None and time.monotonic() < end, out.read_text()
            time.sleep(0.1)
        # As a terminal does: to all that it started and that stayed in its group.
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(120) == 130, out.read_text()
    finally:
        if demo.poll() is None:
            demo.kill()
    assert "it was interrupted" in out.read_text()
    assert os.listdir(run) == []
    assert left_of(str(run)) == []


def left_of(folder):
    """Command lines of living processes that name this folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                argv = f.read().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if folder in argv:
            found.append(argv)
    return found
