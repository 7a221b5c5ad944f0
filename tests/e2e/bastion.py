"""A bastion: a machine of the rig with a real systemd, on which windlass is installed as an operator would do it.

No cloud knows of it; it reaches the rig's GitLab and cloud as any other host.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import world
from world import wait_until

HOME = "/usr/local/bin/windlass"
STATE = "/var/lib/windlass"

# What takes windlass's place and is none of it when it matters: it answers all questions, and then does not run.
BROKEN = r"""
#include <string.h>
#include <unistd.h>
int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "run") == 0)
			WHEN_RUN;
	argv[0] = "windlass";
	execv(GOOD, argv);
	return 99;
}
"""


def other_version(to, version):
    """The same program under another version of the same length."""
    with open(os.path.join(world.ROOT, "VERSION")) as f:
        ours = f.read().strip()
    assert len(version) == len(ours) and version != ours
    with open(world.WINDLASS, "rb") as f:
        data = f.read()
    assert ours.encode() + b"\0" in data
    with open(to, "wb") as f:
        f.write(data.replace(ours.encode() + b"\0", version.encode() + b"\0"))
    os.chmod(to, 0o755)
    return to


def broken_version(to, when_run, good="/root/good"):
    subprocess.run(["gcc", "-static", "-O1", "-x", "c", "-", "-o", to, f"-DWHEN_RUN={when_run}", f'-DGOOD="{good}"'],
                   input=BROKEN, text=True, check=True)
    return to


class Gate:
    """Lets jobs go on, a line every half second, until the test says that they may end."""

    def __init__(self, rig):
        gate, self.rig, self.open = self, rig, False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if gate.open else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer((rig.env["RIG_ADDRESS"], 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://{rig.env['RIG_ADDRESS']}:{self.server.server_address[1]}/"
        self.script = [f"i=0; until wget -q -O /dev/null {url}; do i=$((i+1)); echo line $i of the job; sleep 0.5; done", "echo $i were all"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def job(self, runner):
        """One that has begun to speak."""
        job = self.rig.job(self.script, runner=runner)
        wait_until(lambda: "line 2 of" in self.rig.trace(job), 90, f"the second line of job {job}")
        return job

    def end(self, *jobs):
        """Opens, and sees that every line of every job is there, once and in order."""
        self.open = True
        for job in jobs:
            assert self.rig.ended(job, 90)["state"] == "success", world.plain(self.rig.trace(job))[-3000:]
            text = world.plain(self.rig.trace(job))
            said = [int(n) for n in re.findall(r"^line (\d+) of the job$", text, re.M)]
            last = int(re.search(r"^(\d+) were all$", text, re.M)[1])
            assert last > 2 and said == list(range(1, last + 1)), text[-3000:]


class Bastion:
    def __init__(self, rig, name, folder):
        self.rig, self.folder, self.token = rig, str(folder), None
        self.name, self.address, self.root = rig("bastion", name).split()

    def __call__(self, *argv, check=True, timeout=120):
        """A command inside; its result, with everything that it said in `said`."""
        p = self.rig("machine", self.name, "exec", *argv, check=False, timeout=timeout)
        p.said = p.stdout + p.stderr
        if check:
            assert p.returncode == 0, f"{' '.join(argv)}: status {p.returncode}\n{p.said}\n{self.journal()}"
        return p

    def journal(self, lines=40):
        return self("journalctl", "--no-pager", "-n", str(lines), check=False).stdout

    def put(self, path, to):
        """As scp and mv: whole, under a running program too."""
        inside = os.path.join(self.root, to.lstrip("/"))
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        shutil.copy(path, inside + ".put")
        os.rename(inside + ".put", inside)

    def write(self, text, to, mode=0o600):
        path = os.path.join(self.folder, "put")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        self.put(path, to)

    def configure(self, **settings):
        """A config.toml for a runner of its own."""
        if not self.token:
            made = self.rig.gitlab("POST", "/runners", {"description": "bastion"})
            self.runner, self.token = made["id"], made["token"]
        argv = ["config"]
        for key, value in {"concurrent": 4, "IdleTime": 60, "token": self.token, "log_level": "debug", **settings}.items():
            argv += ["--set", f"{key}={value}"]
        ca = self.rig.env["RIG_CA_FILE"]
        self.put(ca, "/etc/gitlab-runner/ca.pem")
        self.write(self.rig(*argv).replace(ca, "/etc/gitlab-runner/ca.pem"), "/etc/gitlab-runner/config.toml")

    def unit(self, *properties, name="windlass"):
        """What systemd knows of the service."""
        out = self("systemctl", "show", name, "--property", ",".join(properties)).stdout
        return dict(line.partition("=")[::2] for line in out.splitlines() if line)

    def main_pid(self):
        return int(self.unit("MainPID")["MainPID"])

    def says(self):
        """manager.json, {} where there is none."""
        try:
            with open(os.path.join(self.root, STATE.lstrip("/"), "manager.json")) as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            return {}

    def up(self, not_life=None, seconds=30):
        """Waits for a manager past its first round, of another life than that one."""
        def look():
            s = self.says()
            return s if s.get("state") == "running" and s.get("life") != not_life else None
        return wait_until(look, seconds, f"a manager that is up\n{self.says()}")

    def executors(self):
        out = self("pgrep", "-x", "windlass-execut", check=False).stdout
        return sorted(int(w) for w in out.split())

    def requests(self, since):
        """When this runner's requests for jobs began and ended, as GitLab saw them."""
        return [(r["time"], r["time"] + r.get("ms", 0) / 1000) for r in self.rig.gitlab("GET", "/requests")
                if r.get("path", "").endswith("/jobs/request") and r.get("runner") == self.runner and r["time"] + r.get("ms", 0) / 1000 >= since]

    def blind(self, since):
        """The longest time in which this runner had no request at GitLab."""
        spans = sorted(self.requests(since))
        return max(b[0] - a[1] for a, b in zip(spans, spans[1:]))
