"""A windlass with hundreds of machines in its store and jobs on them. The machines are doubles (manyengines.py); the
manager, its executors and reporters, GitLab's double and everything between them are as always."""

import contextlib
import json
import os
import subprocess
import sys
import time

import memory
import tls
import world

import manyengines

HERE = os.path.dirname(os.path.realpath(__file__))
NET = 77


def run_seconds(pid):
    """Seconds of CPU that a process has had, to the nanosecond; its children are not in it."""
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e9


def buried_seconds(pid):
    """Seconds of CPU of a process's children that have ended and were waited for."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")


class Measured:
    def __init__(self, seconds, cpu, buried, pss, ended):
        self.seconds, self.cpu, self.pss, self.ended = seconds, cpu, pss, ended
        self.percent, self.rounds = 100 * cpu / seconds, 100 * buried / seconds


class Herd:
    def __init__(self, bench, machines, jobs, one_core=False):
        self.bench, self.machines, self.jobs, self.one_core = bench, machines, jobs, one_core
        self.rig = bench.rig
        self.folder = os.path.join(bench.folder, f"herd-{machines}")
        self.engines = None
        self.told = ""
        self.queued = []

    def __enter__(self):
        os.makedirs(self.folder)
        tls.make_ca(self.folder)
        tls.issue(self.folder, "engine", ["DNS:engine"])
        # Whoever asks hears an answer: the doubles do not look at the client's certificate.
        tls.issue(self.folder, "client", ["DNS:client"])
        w = self.bench.windlass = world.Windlass(
            self.rig, os.path.join(self.folder, "bastion"), limit=self.machines, concurrent=self.jobs,
            IdleCount=self.machines - self.jobs, IdleTime=3600, check_interval=1, request_concurrency=4)
        self.fill_store(w)
        self.engines = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "manyengines.py"), "--dir", self.folder, "--count", str(self.machines), "--net", str(NET)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=raise_files)
        assert self.engines.stdout.readline() == "ready\n", "the engines do not listen"
        begun = time.monotonic()
        w.start(LOG_LEVEL="info")
        if self.one_core:
            os.sched_setaffinity(w.process.pid, {0})
        for _ in range(self.jobs):
            self.queue()
        self.settled()
        self.told = f"all jobs run {time.monotonic() - begun:.0f} s after the start"
        return self

    def __exit__(self, *_):
        self.bench.windlass.kill()
        self.bench.stop_windlass()
        if self.engines is not None:
            self.engines.stdin.close()
            self.engines.terminate()
            self.engines.wait(10)
        for job in self.queued:
            with contextlib.suppress(AssertionError, OSError):
                self.rig.gitlab("DELETE", f"/jobs/{job}")

    def queue(self):
        self.queued.append(self.bench.windlass.job(["sleep 1000"], variables=[{"key": "GIT_STRATEGY", "value": "none", "public": True}]))

    def fill_store(self, w):
        """Machines as docker-machine would have left them: ready, and named for this runner."""
        short = w.settings["token"].removeprefix("glrt-").split("_", 1)[-1][:9].lower()
        files = {}
        for name, source in (("ca", "ca"), ("cert", "client"), ("key", "client-key"), ("server", "engine")):
            with open(os.path.join(self.folder, source + ".pem")) as f:
                files[name] = f.read()
        for i in range(self.machines):
            name = f"runner-{short}-auto-{int(time.time())}-{i:08x}"
            folder = os.path.join(w.store, "machines", name)
            os.makedirs(folder, 0o700)
            for pem, text in files.items():
                with open(os.path.join(folder, pem + ".pem"), "w") as f:
                    f.write(text)
            auth = {"StorePath": folder, "CaCertPath": os.path.join(folder, "ca.pem"), "ServerCertPath": os.path.join(folder, "server.pem"),
                    "ClientCertPath": os.path.join(folder, "cert.pem"), "ClientKeyPath": os.path.join(folder, "key.pem")}
            ip = manyengines.address(NET, i)
            with open(os.path.join(folder, "config.json"), "w") as f:
                json.dump({"ConfigVersion": 3, "Name": name, "DriverName": "none",
                           "Driver": {"IPAddress": ip, "MachineName": name, "SSHUser": "", "SSHPort": 0, "SSHKeyPath": "",
                                      "StorePath": w.store, "URL": f"tcp://{ip}:2376"},
                           "HostOptions": {"Driver": "", "Memory": 0, "Disk": 0, "EngineOptions": {}, "SwarmOptions": {}, "AuthOptions": auth}}, f)

    def running(self):
        self.engines.stdin.write("count\n")
        self.engines.stdin.flush()
        return int(self.engines.stdout.readline())

    def settled(self):
        """All jobs run, and nobody is still busy with their beginning."""
        world.wait_until(lambda: self.running() == self.jobs, 600, f"{self.jobs} jobs run; windlass's log:\n{self.bench.windlass.text()[-3000:]}")
        time.sleep(8)

    def adopted(self):
        """A manager finds what another one left: seconds, and its seconds of CPU."""
        w = self.bench.windlass
        known, begun = w.text().count("Found the executor"), time.monotonic()
        w.start(LOG_LEVEL="info")
        world.wait_until(lambda: w.text().count("Found the executor") - known >= self.jobs, 120, "all executors found")
        return time.monotonic() - begun, run_seconds(w.process.pid)

    def watch(self, seconds, jobs_a_second=0):
        pid = self.bench.windlass.process.pid
        begun, cpu, buried, ended = time.monotonic(), run_seconds(pid), buried_seconds(pid), 0
        while (passed := time.monotonic() - begun) < seconds:
            while ended < passed * jobs_a_second:
                self.engines.stdin.write("end 1\n")
                self.engines.stdin.flush()
                self.engines.stdout.readline()
                self.queue()
                ended += 1
            time.sleep(0.05)
        return Measured(time.monotonic() - begun, run_seconds(pid) - cpu, buried_seconds(pid) - buried, memory.rollup(pid)["Pss"] * 1024, ended)

    def said(self):
        roles = memory.by_role(self.bench.windlass)
        return ", ".join(f"{len(v)} {k}{'s' if len(v) > 1 else ''} {sum(v) / 1000:.1f} MB" for k, v in sorted(roles.items()))


def raise_files():
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
