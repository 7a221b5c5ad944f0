"""The seam to the clouds, shown by one that nobody sells: tests/rig/clouds/sample.py, driven by a test build of windlass.

Three kinds of things with ids of up to eighty characters, nothing that may safely be repeated, and a ladder of types and zones:
what a second cloud needs is its rows (src/catalog/sample.c), its driver (src/cloud/sample) and its double, and nothing else.
"""

import json
import os
import signal
import subprocess
import time

import pytest

from world import ROOT, WINDLASS

SAMPLE = os.environ.get("WINDLASS_SAMPLE") or os.path.join(ROOT, "build", "musl", "windlass")
OWNER = "0123456789abcdef"


class Host:
    """A store, and the test build that works on it."""

    def __init__(self, rig, folder):
        self.rig, self.store = rig, os.path.join(folder, "store")
        self.env = dict(line.partition("=")[::2] for line in rig("up", "--cloud", "sample").splitlines())
        self.environ = {**{k: v for k, v in os.environ.items() if not k.startswith(("WINDLASS_", "DOCKER_", "MACHINE_"))},
                        "MACHINE_STORAGE_PATH": self.store, "HOME": folder, "LOG_LEVEL": "debug"}
        self.folder = folder
        self.clouds = os.path.join(folder, "clouds")

    def options(self, **more):
        options = {"sample-token": self.env["RIG_SAMPLE_TOKEN"], "sample-api-endpoint": self.env["RIG_SAMPLE_URL"],
                   "sample-api-ca-file": self.env["RIG_CA_FILE"], "engine-install-url": self.env["RIG_ENGINE_INSTALL_URL"],
                   **{k.replace("_", "-"): v for k, v in more.items()}}
        return [f"{k}={v}".replace("'", "") for k, v in options.items()]

    def machine(self, *argv, status=0):
        p = subprocess.run([SAMPLE, "machine", *argv], env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=150)
        assert p.returncode == status, p.stdout[-3000:]
        return p.stdout

    def start(self, name, do, runners=(), **more):
        """An operator as the manager starts it."""
        read, write = os.pipe()
        os.write(write, json.dumps({"driver": "sample", "options": self.options(**more), "runner": "abcd1234", "owner": OWNER,
                                    "runners": list(runners), "clouds": self.clouds, "account": "one"}).encode())
        os.close(write)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            p = subprocess.Popen(["windlass-operator", "--store", self.store, *(("--name", name) if name else ()), "--do", do, "--owner", OWNER,
                                  "--grace", "0", "--plan-fd", str(read)], executable=SAMPLE, pass_fds=[read], env=self.environ,
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(read)
        return p

    def operate(self, name, do, **more):
        return self.start(name, do, **more).wait(150)

    def record(self, name):
        with open(os.path.join(self.store, "machines", name, "windlass.json"), encoding="utf-8") as f:
            return json.load(f)

    def held(self):
        """The kinds of what the cloud holds of ours."""
        return sorted(line.split()[0] for line in self.rig("cloud", "sample").splitlines())


@pytest.fixture
def host(rig, tmp_path):
    h = Host(rig, str(tmp_path))
    rig("fault", "sample", "clear")
    yield h
    rig("fault", "sample", "clear")


def test_release_builds_do_not_have_it():
    p = subprocess.run([WINDLASS, "machine", "create", "-d", "sample", "x"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode != 0 and 'Driver "sample" not found' in p.stdout, p.stdout


def test_whole_life(host):
    host.machine("create", "--driver", "sample", *("--" + o for o in host.options()), "box-1")
    assert host.held() == ["disk", "key", "machine"]
    ids = host.record("box-1")["ids"]
    assert {k: len(v) for k, v in ids.items()} == {"key": 10, "disk": 36, "machine": 80}
    assert host.record("box-1")["rung"] == "small north"
    assert "box-1" in host.machine("ls") and host.machine("status", "box-1") == "Running\n"
    assert host.machine("ssh", "box-1", "hostname") == "box-1\n"
    assert "Docker" in host.machine("ssh", "box-1", "docker version --format 'Docker {{.Server.Version}}'")
    host.machine("rm", "-y", "box-1")
    assert host.held() == []


def test_capacity_is_looked_for_elsewhere(host):
    """Two types in two zones: the next one within seconds, remembered for the account."""
    host.rig("limits", "sample", "reset")
    host.rig("fault", "sample", "capacity", "type=large", "for=300")
    began = time.monotonic()
    assert host.operate("rung-1", "create", sample_type="large,small", sample_zone="north,south") == 0
    assert host.record("rung-1")["rung"] == "small north"
    assert host.operate("rung-2", "create", sample_type="large,small", sample_zone="north,south") == 0
    calls = host.rig("limits", "sample")
    assert "calls 4 POST /v1/machines" in calls, f"two refused, two made: what is sold out is asked for once\n{calls}"
    assert time.monotonic() - began < 120
    for name in ("rung-1", "rung-2"):
        assert host.operate(name, "remove") == 0
    assert host.held() == []
    host.rig("fault", "sample", "clear")
    host.rig("fault", "sample", "capacity", "for=300")
    assert host.operate("rung-3", "create", sample_zone="south") == 83
    assert host.operate("rung-3", "remove") == 0 and host.held() == []


def test_lost_answers_leave_one_of_each(host):
    host.rig("fault", "sample", "lose-answer", "count=3")
    assert host.operate("lost-1", "create") == 0
    assert host.held() == ["disk", "key", "machine"]
    assert host.record("lost-1")["unanswered"] == 0
    assert host.operate("lost-1", "remove") == 0
    assert host.held() == []


@pytest.mark.parametrize("point", ["create-announced", "machine-made", "created", "destroyed"])
def test_killed_and_gone_on_with(host, point):
    host.environ["WINDLASS_CRASH_AT"] = "operator:" + point
    first = host.operate("killed-1", "create")
    if point != "destroyed":
        assert first == -signal.SIGKILL
        del host.environ["WINDLASS_CRASH_AT"]
        assert host.operate("killed-1", "create") == 0
        assert host.held() == ["disk", "key", "machine"]
    else:
        assert host.operate("killed-1", "remove") == -signal.SIGKILL
        del host.environ["WINDLASS_CRASH_AT"]
    assert host.operate("killed-1", "remove") == 0
    assert host.held() == []


def tokens(host):
    """How often a token was asked for; and the file that holds it."""
    names = [n for n in os.listdir(host.clouds) if n.endswith(".token.json")]
    assert len(names) == 1, names
    calls = [line.split()[1] for line in host.rig("limits", "sample").splitlines() if line.endswith(" POST /v1/tokens")]
    return int(calls[0]) if calls else 0, os.path.join(host.clouds, names[0])


def test_one_short_lived_token_for_all(host):
    """Two operators at once ask for one; a refused one and one near its end are renewed, by one of them."""
    host.rig("limits", "sample", "reset")
    both = [host.start(name, "create") for name in ("tok-1", "tok-2")]
    assert [p.wait(150) for p in both] == [0, 0]
    asked, path = tokens(host)
    assert asked == 1 and os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="utf-8") as f:
        kept = json.load(f)
    assert kept["text"].startswith("given_")
    with open(os.path.join(host.folder, "log"), encoding="utf-8") as f:
        log = f.read()
    assert kept["text"] not in log and host.env["RIG_SAMPLE_TOKEN"] not in log
    host.rig("fault", "sample", "401", "count=1", "on=machines_get")
    assert host.operate("tok-1", "look") == 0
    assert tokens(host)[0] == 2, "refused: another one, and the same call again"
    kept["good_until"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    with open(path, "w", encoding="utf-8") as f:
        json.dump(kept, f)
    assert host.operate("tok-1", "look") == 0
    assert host.operate("tok-2", "look") == 0
    assert tokens(host)[0] == 3, "near its end: another one"
    with open(path, "w", encoding="utf-8") as f:
        f.write("{")
    for name in ("tok-1", "tok-2"):
        assert host.operate(name, "remove") == 0
    assert tokens(host)[0] == 4 and host.held() == []


def test_sweep_of_three_kinds(host):
    """A store that was lost: what carries our mark goes, the machine before its disk; another's stays."""
    assert host.operate("sweep-1", "create") == 0
    subprocess.run(["mv", os.path.join(host.store, "machines", "sweep-1"), os.path.join(host.folder, "lost")], check=True)
    assert host.operate(None, "reconcile", runners=["abcd1234"]) == 0
    assert host.held() == []


def test_sweep_of_a_zone_that_was_left(host):
    """Lists show one zone each: those that machines were made in are asked for after the runner has left them."""
    assert host.operate("left-1", "create", sample_zone="south") == 0
    subprocess.run(["mv", os.path.join(host.store, "machines", "left-1"), os.path.join(host.folder, "lost")], check=True)
    host.rig("limits", "sample", "reset")
    assert host.operate(None, "reconcile", runners=["abcd1234"], sample_zone="north") == 0
    assert host.held() == []
    assert "calls 2 GET /v1/machines\n" in host.rig("limits", "sample"), "each zone once"
