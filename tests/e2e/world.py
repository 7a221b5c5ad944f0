"""What the end-to-end tests share: a rig of their own, and windlass as an operator runs it.

Nothing here sleeps for a fixed time: everything waits for an event with a limit.
"""

import contextlib
import http.client
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
RIG = os.path.join(ROOT, "tests", "rig", "rig")
WINDLASS = os.environ.get("WINDLASS") or os.path.join(ROOT, "dist", "windlass")


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_until(what, seconds, text):
    """Waits for a condition; its value is returned, its absence fails the test by name."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {text}"
        time.sleep(0.05)


class Rig:
    """A world of the rig in a run directory of its own."""

    def __init__(self, run):
        self.run = str(run)
        self.environ = dict(os.environ, RIG_RUN=self.run)
        self.env = {}

    def __call__(self, *argv, check=True, timeout=300):
        p = subprocess.run([RIG, *argv], env=self.environ, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout)
        if check:
            assert p.returncode == 0, f"rig {' '.join(argv)}: {p.stdout}{p.stderr}"
            return p.stdout
        return p

    def up(self):
        for line in self("up").splitlines():
            name, _, value = line.partition("=")
            self.env[name] = shlex.split(value)[0] if value else ""

    def gitlab(self, method, path, body=None):
        """A call of the GitLab double's control API."""
        c = UnixHTTP(os.path.join(self.run, "gitlab.sock"))
        try:
            c.request(method, path, json.dumps(body) if body is not None else None,
                      {"Content-Type": "application/json"})
            answer = c.getresponse()
            data = answer.read()
        finally:
            c.close()
        assert answer.status < 300, (method, path, answer.status, data[:300])
        try:
            return json.loads(data)
        except ValueError:
            return data

    def job(self, script, **more):
        """Queues a job; its number."""
        body = {"script": script if isinstance(script, list) else [script], **more}
        return self.gitlab("POST", "/jobs", body)["id"]

    def state(self, number):
        return self.gitlab("GET", f"/jobs/{number}")

    def ended(self, number, seconds=90):
        """Waits for a job's end."""
        def look():
            job = self.state(number)
            return job if job["state"] in ("success", "failed", "canceled") else None
        return wait_until(look, seconds, f"the end of job {number}; its log so far:\n"
                          + self.trace(number)[-3000:])

    def trace(self, number):
        c = UnixHTTP(os.path.join(self.run, "gitlab.sock"))
        try:
            c.request("GET", f"/jobs/{number}/trace")
            return c.getresponse().read().decode("utf-8", "replace")
        finally:
            c.close()

    def fault(self, **fault):
        return self.gitlab("POST", "/fault", fault)

    def cloud(self):
        """What the cloud holds, one line each."""
        return [line for line in self("cloud").splitlines() if line.strip()]

    def cloud_calls(self):
        """How often each call of the cloud's API was made, by operationId."""
        c = UnixHTTP(os.path.join(self.run, "digitalocean.sock"))
        try:
            c.request("GET", "/calls")
            return json.loads(c.getresponse().read())
        finally:
            c.close()

    def api(self, method, path, body=None):
        """A raw call of the cloud's API."""
        request = urllib.request.Request(
            self.env["RIG_DO_URL"] + path, method=method, data=json.dumps(body).encode() if body else None,
            headers={"Authorization": "Bearer " + self.env["RIG_DO_TOKEN"], "Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=self.env["RIG_CA_FILE"])
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def clear_cloud(self):
        """What a failed test left must not fail the next one."""
        with contextlib.suppress(OSError, ValueError):
            for droplet in self.api("GET", "/v2/droplets?per_page=200")["droplets"]:
                self.api("DELETE", f"/v2/droplets/{droplet['id']}")
            for key in self.api("GET", "/v2/account/keys?per_page=200")["ssh_keys"]:
                self.api("DELETE", f"/v2/account/keys/{key['id']}")

    def violations(self):
        p = self("violations", check=False)
        return p.stdout.strip() if p.returncode != 0 else ""


def plain(trace):
    """The text of a trace without time stamps, colours and section marks."""
    out = []
    for line in trace.split("\n"):
        head, text = line[:32], line[32:]
        if len(head) == 32 and head[4] == "-" and head[26] == "Z":
            if head[31] == "+" and out:
                out[-1] += text
            else:
                out.append(text)
        elif line:
            out.append(line)
    text = "\n".join(out)
    for mark in ("\x1b[0;m", "\x1b[0K", "\x1b[32;1m", "\x1b[36;1m", "\x1b[31;1m", "\x1b[0;33m"):
        text = text.replace(mark, "")
    return text


def writable_folder(once):
    """For the file that whichever role dies first leaves: none of them is root. A folder of its own, since windlass wants its directories strict."""
    os.makedirs(os.path.dirname(once), exist_ok=True)
    os.chmod(os.path.dirname(once), 0o777)


class Windlass:
    """`windlass run` with directories of its own."""

    def __init__(self, rig, folder, **settings):
        self.rig = rig
        self.folder = str(folder)
        self.config = os.path.join(self.folder, "config.toml")
        self.state = os.path.join(self.folder, "state")
        self.store = os.path.join(self.folder, "store")
        self.log = os.path.join(self.folder, "windlass.log")
        self.process = None
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("WINDLASS_")}
        self.environ.update(MACHINE_STORAGE_PATH=self.store, LOG_LEVEL="debug", HOME=self.folder)
        os.makedirs(self.folder, exist_ok=True)
        # A runner of its own: what several windlasses of one test run do at once stays apart.
        made = rig.gitlab("POST", "/runners", {"description": os.path.basename(self.folder)})
        self.runner = made["id"]
        self.settings = {"concurrent": 4, "IdleTime": 5, "token": made["token"], **settings}
        self.write_config()

    def write_config(self, **settings):
        self.settings.update(settings)
        argv = ["config"]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={json.dumps(value) if isinstance(value, (list, bool)) else value}"]
        text = self.rig(*argv)
        with open(self.config + ".new", "w") as f:
            f.write(text)
        os.rename(self.config + ".new", self.config)

    def start(self, **environ):
        assert self.process is None
        if "WINDLASS_CRASH_ONCE" in environ:
            writable_folder(environ["WINDLASS_CRASH_ONCE"])
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [WINDLASS, "run", "--config", self.config, "--state-dir", self.state],
                env={**self.environ, **environ}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        return self

    def job(self, script, **more):
        """Queues a job for this one's runner; its number."""
        return self.rig.job(script, runner=self.runner, **more)

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)

    def wait(self, seconds=60):
        status = self.process.wait(seconds)
        self.process = None
        return status

    def stop(self, seconds=60):
        """Ends it for good, whatever state it is in."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None
        for role, pid in self.roles():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def roles(self, role=None):
        """(role, pid) of the living processes of this windlass, found by their state directory or store."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    argv = f.read().decode(errors="replace").split("\0")
                with open(f"/proc/{pid}/stat") as f:
                    if f.read().rpartition(")")[2].split()[0] == "Z":
                        continue
            except OSError:
                continue
            if not os.path.basename(argv[0]).startswith("windlass"):
                continue
            if self.state not in argv and self.store not in argv:
                continue
            name = os.path.basename(argv[0]).removeprefix("windlass-").replace("windlass", "manager")
            if role is None or name == role:
                found.append((name, int(pid)))
        return found

    def jobs(self):
        try:
            return sorted(n for n in os.listdir(os.path.join(self.state, "jobs")) if not n.startswith("."))
        except FileNotFoundError:
            return []

    def machines(self):
        try:
            return sorted(n for n in os.listdir(os.path.join(self.store, "machines")) if not n.startswith("."))
        except FileNotFoundError:
            return []

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def run(self, *argv, check=True, timeout=120, **more):
        """A command of windlass in this one's directories."""
        p = subprocess.run([WINDLASS, *argv], env={**self.environ, **more}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if check:
            assert p.returncode == 0, (argv, p.stdout, p.stderr)
            return p.stdout
        return p

    def in_cloud(self):
        """What the cloud holds of this one: names carry its runner's short token."""
        short = self.settings["token"].split("_", 1)[-1].removeprefix("glrt-")[:9].lower()
        return [line for line in self.rig.cloud() if short in line.lower()]

    def until_empty(self, seconds=60):
        """Waits until neither the cloud nor the two directories hold anything of this one."""
        wait_until(lambda: not self.jobs(), seconds, "job directories gone; see windlass.log")
        wait_until(lambda: not self.in_cloud(), seconds, "the cloud empty; see windlass.log")
        wait_until(lambda: not self.machines(), seconds, "the store empty; see windlass.log")
