"""What a role can still do once it has confined itself: each act of tests/tools/sandbox_acts.c from inside each role's own
confinement, started by hand as root, by an ordinary user, and as root with the properties of the unit that `windlass install` writes.

The table says what docs/processes.md promises. An act that is not in it is refused to every role.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

import bastion as bastions
import world

ACTS = os.path.join(world.ROOT, "build", "musl", "tools", "sandbox_acts")
ROLES = ["poller", "operator", "executor", "puller", "reporter", "metrics"]
JOB = 101
JOB_USER = 2110000000 + JOB
USER = 65534

INTERNET = ["poller", "operator", "reporter"]
# Who may do what. Everything else is for nobody.
ALLOWED = {
    "tcp_engine": INTERNET + ["executor", "puller"],
    "tcp_other": INTERNET,
    "tcp_dns": INTERNET,
    # any port may be asked anyway
    "fast_open_connect": INTERNET,
    "udp": INTERNET,
    "signal_own": ["reporter"],
    "read_passwd": INTERNET,
    "read_machine_key": ["operator", "executor"],
    "read_ca_key": ["operator"],
    "write_own": ["poller", "operator", "executor", "reporter"],
}
# Without root there are no users to tell them apart: who may read everything reads what the user may.
USERS = {
    "read_config": INTERNET,
    "read_other_job": INTERNET,
    "read_machine_key": INTERNET + ["executor"],
    "read_ca_key": INTERNET,
    # its own jobs directory, and its own store
    "write_other_job": ["poller"],
}
# What root does without any confinement: the acts are real.
REAL = ("unix_path unix_pair tcp_engine tcp_other tcp_dns mptcp fast_open fast_open_message fast_open_many udp udp_lite raw raw6 packet netlink netfilter listen_bound "
        "listen_unbound listen_mptcp bind_port mmap_exec mprotect_exec mmap_file_exec memfd exec execs_at forks namespaces unshares mounts personalities undump nodes links "
        "root_again proc_environ proc_mem proc_fd proc_cwd signals signal_tgkill signal_by_pidfd kills_process kills_sibling reads_memory compares fcntl_owner read_shadow read_passwd "
        "read_config read_other_job write_other_job read_machine_key read_ca_key write_tmp write_state proc_one").split()


class Place:
    """Two directories as windlass has them, with one job that is to be looked at and another one, and what acts are tried on."""

    def __init__(self, folder, process, inside=""):
        self.folder, self.inside = str(folder), inside or str(folder)
        self.help = {}
        for d in ("state/jobs/101", "state/jobs/102", "state/view", "store/certs", "store/machines/box", "etc", "out"):
            os.makedirs(self.path(d), mode=0o700)
        runner = {"url": "http://127.0.0.1:1/", "token": "glrt-x", "store": self.there("store"), "docker": {}, "environment": []}
        for job in ("101", "102"):
            self.put(f"state/jobs/{job}/payload.json", json.dumps({"id": int(job), "token": "t", "variables": [
                {"key": "DOCKER_AUTH_CONFIG", "value": json.dumps({"credsStore": "evil"})}]}))
            self.put(f"state/jobs/{job}/runner.json", json.dumps(runner))
            self.put(f"state/jobs/{job}/machine", "box\n0\n")
        self.put("state/view/snapshot.json", "{}")
        self.put("store/machines/box/config.json", json.dumps({"Name": "box", "DriverName": "none", "Driver": {"IPAddress": "127.0.0.1"}}))
        self.put("store/machines/box/windlass.json", "{}")
        for name in ("ca.pem", "cert.pem", "key.pem", "server.pem"):
            self.put(f"store/machines/box/{name}", "-")
        self.put("store/certs/ca-key.pem", "-")
        self.put("etc/config.toml", "concurrent = 1\n")
        self.put("etc/plan", json.dumps({"runner": {"url": "http://127.0.0.1:1/", "token": "glrt-x"}}))
        self.help = {"port": "40404", "port-engine": "2376", "port-dns": "53", "config": self.there("etc/config.toml"), "plan": self.there("etc/plan"),
                     "other-payload": self.there("state/jobs/102/payload.json"), "other-result": self.there("state/jobs/102/result.json"),
                     "machine-key": self.there("store/machines/box/key.pem"), "ca-key": self.there("store/certs/ca-key.pem"),
                     "state-file": self.there("state/manager.json"), "outside": self.there("out/file"), "abstract": "windlass-sandbox-test",
                     "process": process, "disk": disk(), "user": str(JOB_USER)}
        self.arguments = {
            "poller": ["--state-dir", self.there("state")],
            "operator": ["--store", self.there("store"), "--name", "box", "--do", "look"],
            "executor": ["--state-dir", self.there("state"), "--job", "101"],
            "puller": ["by its plan"],
            "reporter": ["--state-dir", self.there("state"), "--job", "101"],
            "metrics": ["--state-dir", self.there("state"), "--listen-address", "127.0.0.1:0"],
            "none": ["--state-dir", self.there("state")],
        }
        self.own = {"poller": "state/jobs", "operator": "store/machines", "executor": "state/jobs/101", "puller": "state/jobs/101",
                    "reporter": "state/jobs/101",
                    "metrics": "state/view", "none": "state/jobs/101"}

    def path(self, name):
        return os.path.join(self.folder, name)

    def there(self, name):
        return os.path.join(self.inside, name)

    def put(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(text)

    def give(self, user):
        for folder, _, files in os.walk(self.folder):
            for name in ["", *files]:
                os.chown(os.path.join(folder, name), user, user)

    def argv(self, role, **more):
        """The command; and what it will have said is read by said()."""
        helps = {**self.help, "own": self.there(self.own[role]), **more}
        with open(self.path("etc/help"), "w") as f:
            f.writelines(f"{k} {v}\n" for k, v in helps.items())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("out/said"))
        return [role, self.there("out/said"), self.there("etc/help"), "windlass-" + role, *self.arguments[role]]

    def said(self, p):
        try:
            with open(self.path("out/said")) as f:
                lines = dict(line.split(maxsplit=1) for line in f.read().splitlines())
        except FileNotFoundError:
            lines = {}
        assert len(lines) > 40, f"status {p.returncode}\n{lines}\n{p.stdout}{p.stderr}"
        return lines


def disk():
    """A block device that root may open."""
    for name in sorted(os.listdir("/dev")):
        with contextlib.suppress(OSError):
            if stat.S_ISBLK(os.stat("/dev/" + name).st_mode):
                return "/dev/" + name
    return "/dev/mem"


def expected(role, act, allowed):
    return role in allowed.get(act, [])


def judge(role, said, allowed):
    wrong = {act: answer for act, answer in said.items() if act not in ("uid", "ended") and (answer == "yes") != expected(role, act, allowed)}
    assert not wrong, f"{role}: {wrong}\n{said}"


@contextlib.contextmanager
def unix_sockets():
    """Sockets that anybody on this host may connect to."""
    with tempfile.TemporaryDirectory(prefix="wl-") as d, socket.socket(socket.AF_UNIX) as stream, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram, \
            socket.socket(socket.AF_UNIX) as abstract:
        os.chmod(d, 0o755)
        for s, name in ((stream, "stream"), (datagram, "datagram")):
            s.bind(f"{d}/{name}")
            os.chmod(f"{d}/{name}", 0o777)
        abstract.bind("\0windlass-sandbox-test")
        stream.listen()
        abstract.listen()
        yield {"unix": f"{d}/stream", "unix-datagram": f"{d}/datagram"}


@contextlib.contextmanager
def sleeper(user):
    """A process of that user."""
    p = subprocess.Popen(["sleep", "600"], user=user, group=user, extra_groups=[])
    try:
        yield p.pid
    finally:
        p.kill()
        p.wait()


@pytest.fixture(scope="module")
def tool():
    assert os.path.exists(ACTS), "./build.sh test sandbox builds it: make -f src/Makefile build/musl/tools/sandbox_acts"
    with tempfile.TemporaryDirectory(prefix="wl-") as d:
        os.chmod(d, 0o755)
        yield shutil.copy(ACTS, d)


@pytest.fixture
def quiet(tmp_path):
    """A place whose acts are not judged, and processes that may be hit."""
    with sleeper(0) as victim, sleeper(JOB_USER) as sibling:
        yield Place(tmp_path / "p", process=victim), {"sibling": sibling, "unix": "/no", "unix-datagram": "/no"}


def by_hand(tool, place, role, user=0, **more):
    drop = {"user": user, "group": user, "extra_groups": []} if user else {}
    environ = {"PATH": os.environ["PATH"], "HOME": place.there("etc")}
    return place.said(subprocess.run([tool, *place.argv(role, **more)], env=environ, capture_output=True, text=True, timeout=60, check=False, **drop))


def test_acts_are_real(tool, tmp_path):
    with unix_sockets() as paths, sleeper(0) as victim, sleeper(JOB_USER) as sibling:
        place = Place(tmp_path / "p", process=victim)
        said = by_hand(tool, place, "none", sibling=sibling, **paths)
    refused = [act for act in REAL if said[act] != "yes"]
    # Not every kernel has every thing: but for a few they are.
    assert len(refused) <= 6, (refused, said)


@pytest.mark.parametrize("role", ROLES)
def test_by_hand_as_root(tool, tmp_path, role):
    with unix_sockets() as paths, sleeper(0) as victim, sleeper(JOB_USER) as sibling:
        place = Place(tmp_path / "p", process=victim)
        said = by_hand(tool, place, role, sibling=sibling, **paths)
    judge(role, said, ALLOWED)
    assert 2100000000 <= int(said["uid"]) < 2140000000, said["uid"]
    assert int(said["uid"]) == JOB_USER or role not in ("executor", "puller", "reporter")


@pytest.mark.parametrize("role", ROLES)
def test_by_hand_as_a_user(tool, role):
    with tempfile.TemporaryDirectory(prefix="wl-") as d, unix_sockets() as paths, sleeper(0) as victim, sleeper(USER) as sibling:
        os.chmod(d, 0o755)
        place = Place(d + "/p", process=victim)
        place.give(USER)
        said = by_hand(tool, place, role, user=USER, sibling=sibling, **paths)
    judge(role, said, {**ALLOWED, **USERS})
    assert said["uid"] == str(USER)


def without(capabilities, tool, place, role, **more):
    """As root under a unit that leaves it less, as that of an older version does."""
    names = ",".join("-" + c for c in capabilities)
    argv = ["setpriv", f"--bounding-set={names}", f"--inh-caps={names}", tool, *place.argv(role, **more)]
    return place.said(subprocess.run(argv, env={"PATH": os.environ["PATH"], "HOME": place.there("etc")}, capture_output=True, text=True, timeout=60, check=False))


@pytest.mark.parametrize("role", ["poller", "operator", "executor", "reporter"])
def test_directories_go_there_and_back(tool, quiet, role):
    """A version that stays root, one that does not, the older one again, and again: each works in what the other left."""
    place, more = quiet
    for _ in range(2):
        said = without(["setuid", "setgid", "chown", "kill", "fowner", "setpcap"], tool, place, role, **more)
        assert said["uid"] == "0" and said["write_own"] == "yes", said
        said = by_hand(tool, place, role, **more)
        assert said["uid"] != "0" and said["write_own"] == "yes", said
        # those that may be hit may be dead by now
        judge(role, {a: r for a, r in said.items() if "sign" not in a}, ALLOWED)
    # What decides what a job may do is not that job's.
    for name in ("payload.json", "runner.json", "machine"):
        assert role not in ("executor", "reporter") or os.stat(place.path(f"state/jobs/101/{name}")).st_uid == 0


@pytest.mark.parametrize("name", ["machine", "runner.json", "payload.json"])
def test_what_a_job_wrote_is_not_believed(tool, quiet, name):
    place, more = quiet
    by_hand(tool, place, "executor", **more)
    path = place.path(f"state/jobs/101/{name}")
    with open(path) as f:
        text = f.read()
    os.unlink(path)
    place.put(f"state/jobs/101/{name}", text)
    os.chown(path, JOB_USER, JOB_USER)
    for role in ("executor", "reporter") if name != "machine" else ("executor",):
        p = subprocess.run([tool, *place.argv(role, **more)], capture_output=True, text=True, timeout=60, check=False)
        with open(place.path("out/said")) as f:
            # a damaged job: GitLab is told, and nothing is done by what stands there
            assert f.read() == "ended 85\n", p.stderr
        assert f"{name} was not written by root" in p.stdout + p.stderr


def test_links_in_a_job_s_directory(tool, quiet):
    """What a broken executor may leave there leads its successor, and root, nowhere."""
    place, more = quiet
    by_hand(tool, place, "executor", **more)
    secret = place.path("etc/config.toml")
    os.symlink(secret, place.path("state/jobs/101/trace"))
    os.link(secret, place.path("state/jobs/101/cancel"))
    os.mkfifo(place.path("state/jobs/101/waiting"))
    by_hand(tool, place, "executor", **more)
    assert os.stat(secret).st_uid == 0
    judge("reporter", {a: r for a, r in by_hand(tool, place, "reporter", **more).items() if "sign" not in a}, ALLOWED)
    # The link is put aside, and what the reporter sends is a file of its own.
    assert os.path.islink(place.path("state/jobs/101/trace.damaged")) and not os.path.islink(place.path("state/jobs/101/trace"))
    assert os.stat(place.path("state/jobs/101/trace")).st_uid == JOB_USER and os.stat(secret).st_uid == 0


def test_under_the_unit(rig, tool, tmp_path):
    """As a systemd service with what the installed unit says."""
    b = bastions.Bastion(rig, "sandbox", tmp_path)
    b.put(world.WINDLASS, bastions.HOME)
    b.put(tool, "/usr/local/bin/sandbox_acts")
    b(bastions.HOME, "install")
    unit = b("systemctl", "cat", "windlass").stdout
    properties = [line for line in re.findall(r"^([A-Z]\w+=.*)$", unit.partition("[Service]")[2].partition("[Install]")[0], re.M)
                  if not re.match(r"(Type|NotifyAccess|Exec\w+|Restart\w*|KillMode|KillSignal|Timeout\w+|Watchdog\w+|EnvironmentFile|StateDirectory\w*|Environment)=", line)]
    b("systemd-run", "--unit=sibling", "setpriv", f"--reuid={JOB_USER}", f"--regid={JOB_USER}", "--clear-groups", "sleep", "600")
    b("systemd-run", "--unit=victim", "sleep", "600")
    sibling, victim = (b.unit("MainPID", name=name)["MainPID"] for name in ("sibling", "victim"))
    wrong = {}
    for role in ROLES:
        inside = f"/var/lib/windlass/{role}"
        place = Place(os.path.join(b.root, inside[1:]), victim, inside)
        argv = place.argv(role, sibling=sibling, **{"unix": "/run/systemd/private", "unix-datagram": "/run/systemd/notify"})
        words = [w for p in properties for w in ("-p", p)]
        # systemd-run takes settings without the quotes of a file
        p = b("systemd-run", "--wait", "--pipe", "--quiet", *[w.replace('"', "") for w in words], "-p", f"ReadWritePaths={inside}",
              "/usr/local/bin/sandbox_acts", *argv, check=False)
        said = place.said(p)
        bad = {a: r for a, r in said.items() if a not in ("uid", "ended") and (r == "yes") != expected(role, a, ALLOWED)}
        if bad or not 2100000000 <= int(said["uid"]) < 2140000000:
            wrong[role] = (bad, said)
        if role == "reporter":
            # its own executor's user is dead by now: it was told to end
            assert said["signal_own"] == "yes", said
    assert not wrong, wrong
