"""A host with commands and a config.toml, and the GitLab double alone: what tests of the operator's commands share.

No machine is needed for these, so the whole rig is not started.
"""

import contextlib
import errno
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
import tomllib

import pytest

import world

sys.path.insert(0, os.path.join(world.ROOT, "tests", "rig"))

import minihttp  # noqa: E402
import tls  # noqa: E402

WINDLASS = world.WINDLASS
VARIABLES = re.compile(r"(CI_SERVER|RUNNER|REGISTER|REGISTRATION|DOCKER|MACHINE|CACHE|TEMPLATE|CONFIG|FEATURE|LOG|DIGITALOCEAN)_|CLONE_URL")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Double:
    """The GitLab double in a run directory."""

    def __init__(self, run):
        self.run = str(run)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = os.path.join(self.run, "ca.pem")
        tls.make_ca(self.run)
        tls.issue(self.run, "gitlab", ["IP:127.0.0.1", "DNS:localhost"])
        self.process = None
        self.start()

    def start(self):
        with open(os.path.join(self.run, "gitlab.out"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(world.ROOT, "tests", "rig", "gitlab.py"), "--run", self.run,
                 "--bind", "127.0.0.1", "--port", str(self.port)], stdout=subprocess.PIPE, stderr=log)
        assert b"serving" in self.process.stdout.readline()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None

    def control(self, method, path, body=None):
        status, data = minihttp.unix_request(self.run, "gitlab.sock", method, path, body)
        assert status < 300, (status, data)
        return json.loads(data) if data else None

    def secret(self, name):
        with open(os.path.join(self.run, "gitlab", name), encoding="ascii") as f:
            return f.read().strip()

    def runner(self, **more):
        return self.control("POST", "/runners", more)

    def shown(self, number):
        return next(r for r in self.control("GET", "/runners") if r["id"] == number)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def away(self):
        """Nobody listens from here on."""
        self.control("POST", "/fault", {"what": "down", "seconds": 120})
        world.wait_until(lambda: not self.answers(), 20, "the double's port closed")

    def back(self):
        """No faults any more, and somebody listens."""
        self.control("DELETE", "/faults")
        world.wait_until(self.answers, 20, "the double's port open")


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    d = Double(tmp_path_factory.mktemp("gitlab"))
    yield d
    d.stop()


class Host:
    """A host with a config.toml of its own, and commands run on it."""

    def __init__(self, double, folder):
        self.double = double
        self.folder = str(folder)
        self.path = os.path.join(self.folder, "config.toml")
        self.environ = {k: v for k, v in os.environ.items() if not VARIABLES.match(k)}
        self.environ["HOME"] = self.folder

    def argv(self, command, *options):
        return [WINDLASS, command, "--config", self.path, *options]

    def run(self, command, *options, check=None, text="", **environ):
        p = subprocess.run(self.argv(command, *options), env={**self.environ, **environ}, input=text,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        p.said = p.stdout + p.stderr
        if check is not None:
            assert p.returncode == check, p.said
        return p

    def register(self, *options, check=0, **environ):
        return self.run("register", "--non-interactive", "--url", self.double.url, "--tls-ca-file", self.double.ca,
                        "--executor", "docker+machine", "--docker-image", "alpine", *options, check=check, **environ)

    def write(self, text, mode=0o600):
        with open(self.path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        os.chmod(self.path, mode)
        return text

    def text(self):
        with open(self.path, encoding="utf-8", newline="") as f:
            return f.read()

    def toml(self):
        return tomllib.loads(self.text())

    def files(self):
        return sorted(os.listdir(self.folder))

    def system_id(self):
        with open(os.path.join(self.folder, ".runner_system_id"), encoding="ascii") as f:
            return f.read()


@pytest.fixture
def host(double, tmp_path, request):
    double.back()
    double.control("DELETE", "/violations")
    yield Host(double, tmp_path)
    double.back()
    double.control("PUT", "/settings", {"allow_registration": True, "verify_plain": False})
    if not request.node.get_closest_marker("broken_peer"):
        assert double.control("GET", "/violations") == []


class Terminal:
    """A command on a terminal of its own, and somebody who reads and types."""

    def __init__(self, host, *argv, **environ):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, {**host.environ, "TERM": "dumb", **environ})
        self.seen = ""
        self.at = 0                     # what was read for stands before

    def read(self, want, seconds=20):
        end = time.monotonic() + seconds
        while want not in self.seen[self.at:]:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {want!r} in: {self.seen}"
            try:
                data = os.read(self.fd, 4096)
            except OSError as e:
                assert e.errno == errno.EIO
                data = b""
            assert data, f"ended without {want!r}: {self.seen}"
            self.seen += data.decode()
        self.at = self.seen.index(want, self.at) + len(want)

    def answer(self, question, line):
        self.read(question)
        os.write(self.fd, (line + "\n").encode())

    def end(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if select.select([self.fd], [], [], 0.05)[0]:
                    self.seen += os.read(self.fd, 4096).decode()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, self.seen
