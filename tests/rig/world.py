"""One world: a run directory, a bridge, and what was started for it.

A world is known by its run directory (tests/rig/run, or $RIG_RUN). Everything
it owns in the kernel carries its number in its name and is written down before
it is used, so that `take_down` finds it again after any crash:

    run/world.json     number, bridge, address, control groups
    run/pids/NAME      process and start time of each service
    run/machines/N/    one machine each (machines.py)

The bridge is the claim on the number: creating it fails if another world has
it, and its alias names the run directory it belongs to.
"""

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# Those of the clouds are their own business (clouds/).
PORTS = {"gitlab": 8443, "git": 8080, "registry": 5000, "http": 80}


class Error(Exception):
    """Something an operator has to know; the text says what and what to do."""


def run_dir():
    return os.path.realpath(os.environ.get("RIG_RUN") or os.path.join(HERE, "run"))


def sh(*argv, check=True, quiet=True):
    """Runs a command; returns its output. Errors name the command."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace")
    if check and p.returncode != 0:
        raise Error(f"{' '.join(argv)}: exit status {p.returncode}: {p.stdout.strip()}")
    return p.stdout


def write_json(path, value, mode=0o644):
    """Whole or not at all."""
    new = f"{path}.new.{os.getpid()}.{time.monotonic_ns()}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.rename(new, path)


def read_json(path, default=None):
    try:
        with open(path) as f:
            return json.load(f)
    except (FileNotFoundError, ValueError):
        return default


# Processes ----------------------------------------------------------------

def start_time(pid):
    """The kernel's start time of a process: with it, a pid names one process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(pid, started):
    return bool(pid) and started is not None and start_time(pid) == started


def wait_until(test, seconds, step=0.02):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def stop(pid, started, seconds=5.0):
    """TERM, then KILL, to one process and the process group it leads."""
    if not alive(pid, started):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: not alive(pid, started), seconds):
            return


class World:
    def __init__(self, run=None):
        self.run = run or run_dir()
        self.load()

    def load(self):
        known = read_json(self.path("world.json"), {})
        self.number = known.get("number")
        self.bridge = known.get("bridge")
        self.address = known.get("address")
        self.cgroups = known.get("cgroups", [])
        self.trees = known.get("trees")
        return known

    def path(self, *names):
        return os.path.join(self.run, *names)

    def lock(self):
        """Held while the world is brought up or taken down."""
        os.makedirs(self.run, exist_ok=True)
        f = open(self.path("lock"), "w")
        fcntl.flock(f, fcntl.LOCK_EX)
        return f

    def exists(self):
        return bool(self.bridge) and os.path.exists(f"/sys/class/net/{self.bridge}")

    # The network --------------------------------------------------------

    def make(self, trees):
        """Claims a number and makes the bridge."""
        first = int(hashlib.sha256(self.run.encode()).hexdigest(), 16) % 250
        taken = sh("ip", "-4", "-o", "address")
        for i in range(250):
            number = 1 + (first + i) % 250
            if f" 10.213.{number}." in taken:
                continue
            bridge = f"wlrig{number}"
            if "File exists" in sh("ip", "link", "add", bridge, "type", "bridge", check=False):
                continue
            break
        else:
            raise Error("no free network 10.213.1.0/24 to 10.213.250.0/24 is left for a rig")
        if not os.path.exists(f"/sys/class/net/{bridge}"):
            raise Error(f"cannot create the bridge {bridge}: "
                        + sh("ip", "link", "add", bridge, "type", "bridge", check=False))
        with open(f"/sys/class/net/{bridge}/ifalias", "w") as f:
            f.write(self.run[-250:])
        address = f"10.213.{number}.1"
        write_json(self.path("world.json"),
                   {"number": number, "bridge": bridge, "address": address,
                    "cgroups": _cgroup_bases(bridge), "trees": trees})
        self.load()
        sh("ip", "address", "add", f"{address}/24", "dev", bridge)
        sh("ip", "link", "set", bridge, "up")

    def find_orphan(self):
        """A bridge of ours whose run/world.json is gone still names us."""
        for name in os.listdir("/sys/class/net"):
            if name.startswith("wlrig"):
                try:
                    alias = open(f"/sys/class/net/{name}/ifalias").read().strip()
                except OSError:
                    continue
                if alias == self.run[-250:]:
                    self.bridge, self.number = name, int(name[5:])
                    self.address = f"10.213.{self.number}.1"
                    self.cgroups = _cgroup_bases(name)

    # Services -----------------------------------------------------------

    def service(self, name):
        """Returns (pid, start time) of a service as it was recorded."""
        known = read_json(self.path("pids", name), {})
        return known.get("pid"), known.get("start")

    def running(self, name):
        return alive(*self.service(name))

    def start_service(self, name, argv, ready, env=None, seconds=20):
        """Starts a daemon in a session of its own and waits until ready() is true."""
        os.makedirs(self.path("pids"), exist_ok=True)
        os.makedirs(self.path("log"), exist_ok=True)
        # In the world's control groups, `take_down` finds it even if we die
        # before its pid is written down.
        join = "".join(f"echo $$ > {shlex.quote(g)}/cgroup.procs; "
                       for g in make_cgroup(self.cgroups, "services"))
        with open(self.path("log", name + ".log"), "ab") as log:
            child = subprocess.Popen(["/bin/sh", "-c", join + 'exec "$@"', name, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env=env, start_new_session=True, cwd=self.run)
        write_json(self.path("pids", name),
                   {"pid": child.pid, "start": start_time(child.pid), "argv": argv})

        def settled():
            return child.poll() is not None or ready()
        if not wait_until(settled, seconds) or child.poll() is not None:
            status = child.poll()
            what = ("is not ready after %d s" % seconds if status is None
                    else f"ended at once with status {status}")
            raise Error(f"{name} {what}; the end of {self.path('log', name + '.log')}:\n"
                        + self.log_tail(name))
        return child

    def stop_service(self, name):
        stop(*self.service(name))
        try:
            os.unlink(self.path("pids", name))
        except FileNotFoundError:
            pass

    def log_tail(self, name, lines=15):
        try:
            with open(self.path("log", name + ".log"), errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def listens(self, port):
        try:
            socket.create_connection((self.address, port), 1).close()
            return True
        except OSError:
            return False

    # The end ------------------------------------------------------------

    def take_down(self):
        """Stops and removes all of this world; what is gone already is fine."""
        if not self.bridge:
            self.find_orphan()
        pids = self.path("pids")
        names = sorted(os.listdir(pids)) if os.path.isdir(pids) else []
        # The clouds go first: they make machines.
        import clouds
        for name in sorted(names, key=lambda n: n not in clouds.NAMES):
            self.stop_service(name)
        if self.bridge:
            kill_cgroups(self.cgroups)
        import machines
        machines.forget_all(self)
        if self.bridge:
            for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
                if name.startswith(self.bridge + "-"):
                    sh("ip", "netns", "delete", name, check=False)
            sh("ip", "link", "delete", self.bridge, check=False)
            remove_cgroups(self.cgroups)
        import base
        base.unmount_below(self.run)
        # Logs and violations stay until the next `rig up`, for whoever wonders.
        keep = {"log", "violations.log", "lock"}
        for name in os.listdir(self.run) if os.path.isdir(self.run) else []:
            if name not in keep:
                remove(self.path(name))


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


# Control groups -------------------------------------------------------------

def _cgroup_bases(name):
    """
    The world's directory in each hierarchy, below the group we are in now (so
    that what limits us limits the machines too). On a host with the unified
    hierarchy alone, groups with processes cannot have children: there it is a
    child of the root.
    """
    mounts = {}
    for line in open("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        kind, _, options = right.split()[:3]
        point = left.split()[4]
        if kind == "cgroup2":
            mounts.setdefault("", point)
        elif kind == "cgroup":
            for word in options.split(","):
                mounts.setdefault(word, point)
    bases = []
    for line in open("/proc/self/cgroup"):
        _, controllers, path = line.rstrip("\n").split(":", 2)
        controllers = controllers.split(",")
        # An empty name is the unified hierarchy.
        point = mounts.get(controllers[0])
        if point is None:
            continue
        if controllers == [""] and len(mounts) == 1:
            path = "/"
        base = os.path.join(point, path.lstrip("/"), name)
        if base not in bases:
            bases.append(base)
    return bases


def make_cgroup(bases, child):
    """Makes a machine's groups; returns their directories."""
    made = []
    for base in bases:
        for path in (base, os.path.join(base, child)):
            if os.path.isdir(path):
                continue
            os.makedirs(path, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                # Version 1 lets nobody into a group until these are set.
                parent = os.path.join(os.path.dirname(path), name)
                try:
                    with open(parent) as f, open(os.path.join(path, name), "w") as g:
                        g.write(f.read())
                except OSError:
                    pass
        control = os.path.join(base, "cgroup.controllers")
        if os.path.exists(control):
            for name in open(control).read().split():
                try:
                    with open(os.path.join(base, "cgroup.subtree_control"), "w") as f:
                        f.write("+" + name)
                except OSError:
                    pass
        made.append(os.path.join(base, child))
    return made


def _members(top):
    pids = set()
    for path, _, files in os.walk(top):
        if "cgroup.procs" in files:
            try:
                with open(os.path.join(path, "cgroup.procs")) as f:
                    pids.update(int(w) for w in f.read().split())
            except OSError:
                pass
    # 0 is a process outside our pid namespace; our own pid cannot be in there.
    return pids - {0, os.getpid()}


def kill_cgroups(tops, seconds=5.0):
    """Kills every process below these directories, which hold only ours."""
    for top in tops:
        thaw(top)
    deadline = time.monotonic() + seconds
    while True:
        pids = set().union(*[_members(t) for t in tops]) if tops else set()
        if not pids or time.monotonic() > deadline:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def remove_cgroups(tops, seconds=3.0):
    deadline = time.monotonic() + seconds
    left = [t for t in tops if os.path.isdir(t)]
    while left:
        for top in left:
            for path, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
        left = [t for t in left if os.path.isdir(t)]
        if time.monotonic() > deadline:
            return
        if left:
            time.sleep(0.05)


def _freezer(top, word_v1, word_v2):
    for path, _, files in os.walk(top):
        for name, word in (("freezer.state", word_v1), ("cgroup.freeze", word_v2)):
            if name in files:
                try:
                    with open(os.path.join(path, name), "w") as f:
                        f.write(word)
                except OSError:
                    pass
        break


def freeze(top):
    _freezer(top, "FROZEN", "1")


def thaw(top):
    for path, _, _ in os.walk(top):
        _freezer(path, "THAWED", "0")
