"""The rig itself: what it makes is real, what it refuses is wrong, and nothing stays behind."""

import errno
import gzip
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
RIG = os.path.join(HERE, "..", "rig", "rig")


def traces(number, run):
    """
    What is there of world `number` in the kernel, and all firewall rules.
    Other worlds may come and go meanwhile: they are not looked at.
    """
    ours = re.compile(rf"\bwlr(ig)?{number}\b")
    links = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True).stdout
    with open("/proc/self/mountinfo") as f:
        mounts = [line.split()[4] for line in f]
    netns = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    rules = subprocess.run("iptables-save 2>/dev/null | grep -v '^[#:]'", shell=True,
                           stdout=subprocess.PIPE, text=True).stdout
    return {"links": sorted(n for n in re.findall(r"^\d+: ([^:@]+)", links, re.M)
                            if ours.search(n)),
            "mounts": sorted(m for m in mounts if ours.search(m) or m.startswith(run + "/")),
            "netns": sorted(n for n in netns if ours.search(n)),
            "groups": sorted(p for p, _, _ in os.walk("/sys/fs/cgroup") if ours.search(p)),
            "rules": rules}


def processes(run):
    """Processes that have to do with the world in `run`: by arguments or folder."""
    found = []
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().decode(errors="replace")
            root = os.readlink(f"/proc/{pid}/root")
        except OSError:
            continue
        if run in words or root.startswith(run):
            found.append((pid, words))
    return found


class Rig:
    def __init__(self, run):
        self.run = run
        self.environ = dict(os.environ, RIG_RUN=run)
        self.env = {}

    def __call__(self, *argv, check=True, timeout=300):
        p = subprocess.run([RIG, *argv], env=self.environ, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=timeout)
        if check:
            assert p.returncode == 0, f"rig {' '.join(argv)}: {p.stdout}{p.stderr}"
            return p.stdout
        return p

    def up(self, *argv):
        for line in self("up", *argv).splitlines():
            name, _, value = line.partition("=")
            self.env[name] = shlex.split(value)[0]

    def api(self, method, path, body=None, token=None, cloud="DO"):
        """A raw call of a cloud's API: status, headers, decoded body."""
        request = urllib.request.Request(
            self.env[f"RIG_{cloud}_URL"] + path, method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": "Bearer " + (token or self.env[f"RIG_{cloud}_TOKEN"]),
                     "Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=self.env["RIG_CA_FILE"])
        try:
            answer = urllib.request.urlopen(request, context=context, timeout=30)
        except urllib.error.HTTPError as e:
            answer = e
        data = answer.read()
        return answer.status, answer.headers, json.loads(data) if data else None

    def violations(self):
        path = os.path.join(self.run, "violations.log")
        return open(path).read().splitlines() if os.path.exists(path) else []

    def droplet(self, name, key, **more):
        status, _, body = self.api("POST", "/v2/droplets", dict(
            {"name": name, "region": "fra1", "size": "s-1vcpu-1gb",
             "image": "debian-12-docker", "ssh_keys": [key]}, **more))
        assert status == 202, body
        assert body["droplet"]["status"] == "new" and body["droplet"]["locked"]
        assert body["droplet"]["networks"]["v4"] == []
        return body["droplet"]["id"]

    def address(self, number, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, _, body = self.api("GET", f"/v2/droplets/{number}")
            assert status == 200, body
            public = [n["ip_address"] for n in body["droplet"]["networks"]["v4"]
                      if n["type"] == "public"]
            if body["droplet"]["status"] == "active" and public:
                return public[0]
            # The cloud takes 250 requests a minute.
            time.sleep(0.3)
        raise AssertionError(f"droplet {number} is not active after {seconds} s")

    def gone(self, number):
        assert self.api("DELETE", f"/v2/droplets/{number}")[0] == 204
        assert self.api("GET", f"/v2/droplets/{number}")[0] == 404


class Box:
    """A machine by SSH, with the key that was given to the cloud."""

    def __init__(self, address, key):
        self.argv = ["ssh", "-i", key, "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
                     "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                     "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=2",
                     "root@" + address]

    def run(self, command, check=True, timeout=120):
        p = subprocess.run(self.argv + [command], stdin=subprocess.DEVNULL, timeout=timeout,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check:
            assert p.returncode == 0, f"{command}: {p.stdout}"
        return p.stdout if check else p

    def until(self, command, seconds):
        deadline = time.monotonic() + seconds
        while True:
            p = self.run(command, check=False)
            if p.returncode == 0:
                return p.stdout
            assert time.monotonic() < deadline, f"{command} after {seconds} s: {p.stdout}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    rig = Rig(str(tmp_path_factory.mktemp("rig") / "run"))
    try:
        rig.up()
        yield rig
    finally:
        rig("down", check=False)


@pytest.fixture(scope="module")
def key(rig, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("key") / "id_rsa")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path],
                   check=True)
    status, _, body = rig.api("POST", "/v2/account/keys",
                              {"name": "test", "public_key": open(path + ".pub").read()})
    assert status == 201, body
    return body["ssh_key"]["id"], path


def test_up_says_where_everything_is(rig):
    for name in ("RIG_GITLAB_URL RIG_RUNNER_TOKEN RIG_REGISTRATION_TOKEN RIG_CA_FILE RIG_DO_URL "
                 "RIG_DO_TOKEN RIG_REGISTRY RIG_GIT_URL RIG_HELPER_IMAGE").split():
        assert rig.env.get(name), name
    assert open(os.path.join(rig.run, "env")).read() == rig("env")


def test_up_twice_is_quick_and_changes_nothing(rig):
    started = time.monotonic()
    again = rig("up")
    assert time.monotonic() - started < 5
    assert again == rig("env")


def test_a_machine_runs_containers(rig, key):
    number, path = key
    asked = time.monotonic()
    droplet = rig.droplet("box-1", number, tags=["wl-owner-test"])
    box = Box(rig.address(droplet), path)
    box.until("true", 20)
    ready = time.monotonic() - asked
    assert ready < 10, f"SSH answered after {ready:.1f} s"
    assert "ID=debian" in box.run("cat /etc/os-release")
    assert 'VERSION_ID="12"' in box.run("cat /etc/os-release")
    assert box.run("hostname").strip() == "box-1"
    box.until("docker version", 20)
    box.run("echo '{\"insecure-registries\": [\"%s\"]}' >/etc/docker/daemon.json && "
            "systemctl restart docker" % rig.env["RIG_REGISTRY"])
    busybox, debian = rig.env["RIG_BUSYBOX_IMAGE"], rig.env["RIG_DEBIAN_IMAGE"]
    helper = rig.env["RIG_HELPER_IMAGE"]
    assert box.run(f"docker run --rm {busybox} sh -c 'echo $((6 * 7)); command -v bash || "
                   "echo none'").endswith("42\nnone\n")
    assert "GNU bash" in box.run(f"docker run --rm {debian} bash --version")
    assert "dash" in box.run(f"docker run --rm {debian} readlink -f /bin/sh")
    # What the helper image promises.
    out = box.run(f"echo 'umask; git --version; git-lfs version; gitlab-runner-helper --version; "
                  f"awk --help 2>&1 | head -1; ls /usr/lib/git-core/git-remote-https' | "
                  f"docker run --rm -i {helper} gitlab-runner-build")
    assert "0000" in out and "git version 2" in out and "git-lfs/" in out and "Version:" in out
    # A container reaches the world's services, and a name that is not there fails fast.
    url = rig.env["RIG_GIT_URL"]
    assert "HTTP/1.1" in box.run(f"docker run --rm {busybox} wget -S -O - {url}/ 2>&1; true")
    started = time.monotonic()
    box.run(f"docker run --rm {busybox} nslookup nowhere.example; true")
    assert time.monotonic() - started < 5
    # Images with other users and entrypoints.
    where = rig.env["RIG_REGISTRY"]
    assert box.run(f"docker run --rm {where}/wl/uid1000:1 id -u").endswith("1000\n")
    assert box.run(f"docker run --rm {where}/wl/wrap:1 sh -c 'echo $WRAPPED'").endswith("yes\n")
    p = box.run(f"docker run --rm {where}/wl/tool:1 sh -c true", check=False)
    assert p.returncode == 64
    rig.gone(droplet)
    assert "box-1" not in rig("cloud")


def test_a_bare_machine_can_install_docker(rig, key):
    number, path = key
    droplet = rig.droplet("box-bare", number, image="debian-12-bare")
    box = Box(rig.address(droplet), path)
    box.until("true", 20)
    assert box.run("command -v dockerd curl", check=False).returncode != 0
    box.run("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y curl")
    box.run(f"curl -fsSL {rig.env['RIG_ENGINE_INSTALL_URL']} | sh -", timeout=180)
    assert "20.10" in box.until("docker version --format '{{.Server.Version}}'", 20)
    rig.gone(droplet)


def test_ubuntu_is_told_apart_and_user_data_runs(rig, key):
    number, path = key
    droplet = rig.droplet("box-u", number, image="ubuntu-24-04-x64",
                          user_data="#!/bin/sh\necho was here >/root/mark\n")
    box = Box(rig.address(droplet), path)
    box.until("true", 20)
    assert "ID=ubuntu\n" in box.run("cat /etc/os-release")
    assert box.until("cat /root/mark", 10) == "was here\n"
    rig.gone(droplet)


def test_power(rig, key):
    number, path = key
    droplet = rig.droplet("box-p", number)
    box = Box(rig.address(droplet), path)
    box.until("true", 20)
    box.run("echo kept >/root/kept")

    def act(kind):
        status, _, body = rig.api("POST", f"/v2/droplets/{droplet}/actions", {"type": kind})
        assert status == 201, body
        action, deadline = body["action"], time.monotonic() + 30
        while action["status"] == "in-progress":
            assert time.monotonic() < deadline, kind
            time.sleep(0.1)
            action = rig.api("GET", f"/v2/actions/{action['id']}")[2]["action"]
        assert action["status"] == "completed", kind
        return rig.api("GET", f"/v2/droplets/{droplet}")[2]["droplet"]["status"]
    assert act("shutdown") == "off"
    assert rig.api("POST", f"/v2/droplets/{droplet}/actions", {"type": "reboot"})[0] == 422
    assert act("power_on") == "active"
    assert box.until("cat /root/kept", 20) == "kept\n"
    assert act("power_off") == "off"
    assert act("power_on") == "active"
    boot = box.until("cat /proc/sys/kernel/random/boot_id", 20)
    assert act("reboot") == "active"
    deadline = time.monotonic() + 30
    while True:
        p = box.run("cat /proc/sys/kernel/random/boot_id", check=False)
        if p.returncode == 0 and p.stdout != boot:
            break
        assert time.monotonic() < deadline, "no reboot"
        time.sleep(0.1)
    # Death without notice: nothing answers any more, and the cloud finds out.
    rig("fault", "machine", "box-p", "die")
    assert box.run("true", check=False).returncode == 255
    assert rig.api("GET", f"/v2/droplets/{droplet}")[2]["droplet"]["status"] == "off"
    rig.gone(droplet)


def test_the_description_is_the_law(rig, key):
    number, _ = key
    good = {"name": "x", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-docker"}
    seen = len(rig.violations())
    for method, path, body in (
            ("GET", "/v2/dropletz", None), ("PATCH", "/v2/droplets", {}),
            ("GET", "/v2/droplets?tag=x", None), ("GET", "/v2/droplets?per_page=0", None),
            ("GET", "/v2/droplets/abc", None), ("DELETE", "/v2/droplets", None),
            ("POST", "/v2/droplets", dict(good, ssh_key=[number])),
            ("POST", "/v2/droplets", dict(good, size=1)),
            ("POST", "/v2/droplets", dict(good, backups="false")),
            ("POST", "/v2/droplets", dict(good, name="under_score")),
            ("POST", "/v2/droplets", {k: v for k, v in good.items() if k != "image"}),
            ("POST", "/v2/account/keys", {"name": "x"}),
            ("POST", "/v2/droplets/5/actions", {"type": "explode"})):
        status, _, answer = rig.api(method, path, body)
        assert 400 <= status < 500 and answer["id"], (method, path, body, status)
        assert len(rig.violations()) > seen, (method, path, body)
        seen = len(rig.violations())
    # Wrong, but not against the description: refused all the same, no violation.
    for body, word in ((dict(good, region="mars1"), "region"), (dict(good, size="huge"), "size"),
                       (dict(good, image="ubuntu-16-04-x64"), "image"),
                       (dict(good, ssh_keys=[1]), "key"), (dict(good, tags=["a b"]), "Tags")):
        status, _, answer = rig.api("POST", "/v2/droplets", body)
        assert status == 422 and word in answer["message"], answer
    assert rig.api("GET", "/v2/account", token="dop_v1_wrong")[0] == 401
    assert len(rig.violations()) == seen
    os.unlink(os.path.join(rig.run, "violations.log"))


def test_faults(rig, key):
    number, _ = key
    rig("fault", "cloud", "429", "style=retry-after", "wait=7", "count=2")
    for _ in range(2):
        status, headers, body = rig.api("GET", "/v2/regions")
        assert (status, headers["retry-after"], body["id"]) == (429, "7", "too_many_requests")
    status, headers, _ = rig.api("GET", "/v2/regions")
    assert status == 200 and int(headers["ratelimit-remaining"]) > 4000
    rig("fault", "cloud", "lose-answer")
    with pytest.raises(OSError):
        rig.api("POST", "/v2/droplets",
                {"name": "lost", "region": "fra1", "size": "s-1vcpu-1gb",
                 "image": "debian-12-docker", "tags": ["wl-nonce-1"]})
    found = rig.api("GET", "/v2/droplets?tag_name=WL-nonce-1")[2]["droplets"]
    assert [d["name"] for d in found] == ["lost"]
    rig.gone(found[0]["id"])
    rig("fault", "cloud", "close-before", "on=create")
    with pytest.raises(OSError):
        rig.api("POST", "/v2/droplets", {"name": "never", "size": "s-1vcpu-1gb",
                                         "image": "debian-12-docker"})
    assert rig.api("GET", "/v2/droplets?name=never")[2]["droplets"] == []
    rig("fault", "cloud", "quota")
    status, _, body = rig.api("POST", "/v2/droplets", {
        "name": "q", "size": "s-1vcpu-1gb", "image": "debian-12-docker"})
    assert status == 422 and "droplet limit" in body["message"]
    rig("fault", "cloud", "clear")
    rig("fault", "cloud", "boot-never")
    rig("fault", "cloud", "list-lag", "seconds=3")
    stuck = rig.droplet("stuck", number)
    assert rig.api("GET", "/v2/droplets?name=stuck")[2]["droplets"] == []
    time.sleep(3.2)
    assert rig.api("GET", "/v2/droplets?name=stuck")[2]["droplets"][0]["status"] == "new"
    rig("fault", "cloud", "delete-locked")
    assert rig.api("DELETE", f"/v2/droplets/{stuck}")[0] == 422
    rig("fault", "cloud", "boot-error")
    status, _, body = rig.api("POST", "/v2/droplets", {
        "name": "broken", "size": "s-1vcpu-1gb", "image": "debian-12-docker"})
    action = body["links"]["actions"][0]["id"]
    deadline = time.monotonic() + 10
    while rig.api("GET", f"/v2/actions/{action}")[2]["action"]["status"] != "errored":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    rig.gone(body["droplet"]["id"])
    # The double itself may die: what the cloud holds, it holds.
    rig("fault", "cloud", "stop")
    assert "stuck" in rig("cloud")
    rig("fault", "cloud", "start")
    assert rig.api("GET", f"/v2/droplets/{stuck}")[2]["droplet"]["name"] == "stuck"
    rig.gone(stuck)
    assert rig("fault", "cloud", "nonsense", check=False).returncode == 1


def raw(rig, path="/v2/regions", method="GET", peek=False):
    """
    What comes over the wire until the other side is done or silent for a moment;
    with `peek` only the socket's pending error.
    """
    host, port = rig.env["RIG_DO_URL"][len("https://"):].split(":")
    context = ssl.create_default_context(cafile=rig.env["RIG_CA_FILE"])
    data = b""
    with socket.create_connection((host, int(port)), 10) as tcp:
        with context.wrap_socket(tcp, server_hostname=host) as s:
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer "
                      f"{rig.env['RIG_DO_TOKEN']}\r\n\r\n".encode())
            if peek:
                time.sleep(0.5)
                return b"", s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            s.settimeout(0.6)
            try:
                while len(data) < 1 << 20:
                    piece = s.recv(65536)
                    if not piece:
                        return data, "closed"
                    data += piece
            except TimeoutError:
                return data, "open"
            except OSError as e:
                return data, type(e).__name__
    return data, "endless"


def test_faults_on_the_wire(rig):
    good, end = raw(rig)
    assert good.startswith(b"HTTP/1.1 200 ") and end == "open"
    head, _, body = good.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    assert length == len(body)

    def broken(what, *options):
        rig("fault", "cloud", what, *options)
        data, end = raw(rig)
        head, _, body = data.partition(b"\r\n\r\n")
        said = re.search(rb"(?i)content-length: (\d+)", head)
        return head, body, int(said.group(1)) if said else None, end
    assert broken("lose-answer", "on=any")[::3] == (b"", "closed")
    rig("fault", "cloud", "reset")
    # Python's TLS takes the reset for an end when there were bytes before it.
    assert raw(rig, peek=True) == (b"", errno.ECONNRESET)
    _, body, said, end = broken("truncate")
    assert said == length and len(body) == length // 2 and end == "closed"
    _, body, said, end = broken("long-length")
    assert said == length + 100 and len(body) == length and end == "closed"
    _, body, said, end = broken("short-length")
    assert said == length - 10 and len(body) == length and end == "closed"
    head, body, said, end = broken("chunked")
    assert said is None and b"chunked" in head and body.endswith(b"\r\n0\r\n\r\n")
    head, body, said, end = broken("gzip")
    assert len(body) == said and b"regions" in gzip.decompress(body)
    assert broken("close")[3] == "closed"
    assert b"<html>" in broken("html")[1]
    assert b"HTTP/1" not in broken("garbage")[0]
    assert broken("endless-head")[3] == "endless"
    started = time.monotonic()
    assert broken("delay", "seconds=0.3")[2] == length
    assert time.monotonic() - started >= 0.3
    for style, header in (("reset", b"ratelimit-reset"), ("retry-after", b"retry-after: 4"),
                          ("date", b"GMT"), ("none", b"too_many")):
        head, body, _, _ = broken("429", "style=" + style, "wait=4")
        assert head.startswith(b"HTTP/1.1 429 ") and header in head + body
        assert (b"retry-after" in head) == (style in ("retry-after", "date"))
        assert (b"ratelimit-reset" in head) == (style == "reset")
    assert broken("503")[0].startswith(b"HTTP/1.1 503 ")
    assert raw(rig)[0].startswith(b"HTTP/1.1 200 ")


def test_machines_in_trouble(rig, key):
    number, path = key
    rig("fault", "cloud", "no-ssh")
    mute = rig.droplet("mute", number)
    rig("fault", "cloud", "ip-late", "seconds=2")
    late = rig.droplet("late", number)
    rig("fault", "cloud", "apt-lock", "seconds=8")
    locked = rig.droplet("locked", number, image="debian-12-bare")
    rig("fault", "cloud", "vanish")
    status, _, body = rig.api("POST", "/v2/droplets", {
        "name": "ghost", "size": "s-1vcpu-1gb", "image": "debian-12-docker"})
    ghost = body["droplet"]["id"]
    asked = time.monotonic()
    silent = Box(rig.address(mute), path)
    box = Box(rig.address(late), path)
    assert time.monotonic() - asked > 1
    box.until("docker version", 20)
    assert silent.run("true", check=False).returncode == 255
    apt = Box(rig.address(locked), path)
    apt.until("true", 20)
    p = apt.run("apt-get -q update", check=False)
    assert p.returncode == 100 and "Could not get lock" in p.stdout
    apt.until("apt-get -q update", 20)
    deadline = time.monotonic() + 10
    while rig.api("GET", f"/v2/droplets/{ghost}")[0] != 404:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    # The network cut, and back.
    rig("fault", "machine", "late", "unplug")
    assert box.run("true", check=False).returncode == 255
    rig("fault", "machine", "late", "plug")
    box.until("true", 10)
    rig("fault", "machine", "late", "freeze")
    # The kernel still takes connections, but nobody speaks.
    assert "banner exchange" in box.run("true", check=False).stdout
    rig("fault", "machine", "late", "thaw")
    box.until("true", 10)
    # The engine alone.
    rig("fault", "machine", "late", "engine-freeze")
    with pytest.raises(subprocess.TimeoutExpired):
        box.run("docker version", check=False, timeout=3)
    rig("fault", "machine", "late", "engine-thaw")
    box.until("docker version", 10)
    rig("fault", "machine", "late", "engine-stop")
    assert box.run("docker version", check=False).returncode != 0
    rig("fault", "machine", "late", "engine-start")
    box.until("docker version", 20)
    # Deletes that are none, or not yet.
    rig("fault", "cloud", "delete-404")
    assert rig.api("DELETE", f"/v2/droplets/{mute}")[0] == 404
    rig("fault", "cloud", "keep")
    assert rig.api("DELETE", f"/v2/droplets/{mute}")[0] == 204
    assert rig.api("GET", f"/v2/droplets/{mute}")[0] == 200
    rig("fault", "cloud", "delete-lingers", "seconds=3")
    rig.gone(mute)
    assert mute in [d["id"] for d in rig.api("GET", "/v2/droplets")[2]["droplets"]]
    rig("fault", "cloud", "empty-page")
    page = rig.api("GET", "/v2/droplets")[2]
    assert page["droplets"] == [] and page["links"]["pages"]["next"]
    rig.gone(late)
    rig.gone(locked)
    time.sleep(3)
    assert rig.api("GET", "/v2/droplets")[2]["droplets"] == []
    # Every machine was paid for from its create call to its end.
    history = rig("cloud", "--history")
    assert "ghost " in history and re.search(r"machines \d+ machine-seconds \d", history)


def test_config(rig):
    tomllib = pytest.importorskip("tomllib")
    text = rig("config", "--set", "limit=3", "--set", "runners.machine.IdleCount=2",
               "--set", "image=some:1", "--set", "privileged=true",
               "--option", "digitalocean-size=s-2vcpu-2gb")
    runner = tomllib.loads(text)["runners"][0]
    assert runner["limit"] == 3 and runner["machine"]["IdleCount"] == 2
    assert runner["docker"]["image"] == "some:1" and runner["docker"]["privileged"] is True
    assert runner["url"] == rig.env["RIG_GITLAB_URL"]
    options = dict(o.split("=", 1) for o in runner["machine"]["MachineOptions"])
    assert options["digitalocean-size"] == "s-2vcpu-2gb"
    assert options["digitalocean-api-endpoint"] == rig.env["RIG_DO_URL"]


def test_a_second_cloud_beside_the_first(rig, key):
    tomllib = pytest.importorskip("tomllib")
    number, path = key
    assert "`rig up --cloud sample`" in rig("cloud", "sample", check=False).stderr
    rig.up("--cloud", "sample")
    assert rig("up") == rig("env") and "RIG_SAMPLE_TOKEN=" in rig("env")

    def api(method, path, body=None):
        status, _, answer = rig.api(method, path, body, cloud="SAMPLE")
        return (status, *(answer or {}).values())[:2]
    _, sshkey = api("POST", "/v1/keys", {"name": "k", "public_key": open(path + ".pub").read().strip(), "labels": {}})
    _, disk = api("POST", "/v1/disks", {"name": "d", "size": 10, "labels": {"owner": "0a"}})
    status, machine = api("POST", "/v1/machines", {
        "name": "box-s", "type": "small", "zone": "north", "image": "debian-12-docker", "key": sshkey["id"],
        "disk": disk["id"], "labels": {"owner": "0a"}, "spot": True})
    assert status == 201 and machine["state"] == "pending", machine
    droplet = rig.droplet("box-d", number)
    deadline = time.monotonic() + 30
    while machine["state"] != "running":
        assert time.monotonic() < deadline, machine
        time.sleep(0.2)
        _, machine = api("GET", "/v1/machines/" + machine["id"])
    # Each has an address of its own, and a machine behind it.
    box, other = Box(machine["address"], path), Box(rig.address(droplet), path)
    box.until("true", 20)
    other.until("true", 20)
    assert [b.run("hostname").strip() for b in (box, other)] == ["box-s", "box-d"]
    assert [line.split()[0] for line in rig("cloud", "sample").splitlines()] == ["machine", "disk", "key"]
    assert "box-s" not in rig("cloud") and "box-d" in rig("cloud")
    rig("fault", "machine", "box-s", "preempt")
    _, machine = api("GET", "/v1/machines/" + machine["id"])
    assert (machine["state"], machine["reason"]) == ("stopped", "preempted")
    assert box.run("true", check=False).returncode == 255
    assert rig("fault", "machine", "box-d", "preempt", check=False).returncode == 1
    rig("fault", "sample", "429")
    assert api("GET", "/v1/keys")[0] == 429
    assert "answers 1 429" in rig("limits", "sample") and "calls 1 POST /v1/disks" in rig("limits", "sample")
    assert "window minute 300 in 60 s" in rig("limits", "minute=300")
    rig("limits", "minute=250")
    assert api("DELETE", "/v1/machines/" + machine["id"])[0] == 204
    while api("GET", "/v1/machines/" + machine["id"])[0] != 404:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert api("DELETE", "/v1/disks/" + disk["id"])[0] == api("DELETE", "/v1/keys/" + sshkey["id"])[0] == 204
    assert rig("cloud", "sample") == "" and "box-s " in rig("cloud", "sample", "--history")
    rig.gone(droplet)
    runner = tomllib.loads(rig("config", "--driver", "sample"))["runners"][0]["machine"]
    options = dict(o.split("=", 1) for o in runner["MachineOptions"])
    assert runner["MachineDriver"] == "sample" and options["sample-api-endpoint"] == rig.env["RIG_SAMPLE_URL"]


def test_jobs_are_queued_and_cancelled(rig):
    number = rig("job", "--script", "make test", "--image", "x:1", "--var", "A=b").strip()
    assert f"{number} pending" in rig("jobs")
    p = rig("wait", number, "--timeout", "0.2", check=False)
    assert p.returncode == 1 and "state=pending" in p.stdout
    rig("cancel", number)
    p = rig("wait", number, "--timeout", "5", check=False)
    assert p.returncode == 1 and "state=canceled" in p.stdout


def test_many_machines_at_once(rig, key):
    number, path = key
    began = time.monotonic()
    droplets = [rig.droplet(f"many-{i}", number) for i in range(6)]
    for droplet in droplets:
        Box(rig.address(droplet), path).until("docker version", 60)
    took = time.monotonic() - began
    assert took < 60, f"six machines took {took:.0f} s"
    assert rig.api("DELETE", f"/v2/account/keys/{number}")[0] == 204
    for droplet in droplets[:3]:
        rig.gone(droplet)
    # The other three are left for `rig down`, which has to cope.


def test_down_leaves_nothing(rig):
    assert rig.violations() == []
    number = rig.env["RIG_ADDRESS"].split(".")[2]
    here = traces(number, rig.run)
    # The look-out sees what is there: a bridge, three machines, three that go.
    assert 4 <= len(here["links"]) <= 7 and here["mounts"] and here["netns"]
    assert here["groups"] and processes(rig.run)
    # One process of the world has died badly.
    with open(os.path.join(rig.run, "pids", "digitalocean")) as f:
        os.kill(json.load(f)["pid"], 9)
    rig("down")
    deadline = time.monotonic() + 5
    while processes(rig.run) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes(rig.run) == []
    assert traces(number, rig.run) == {"links": [], "mounts": [], "netns": [], "groups": [],
                                       "rules": here["rules"]}
    assert set(os.listdir(rig.run)) <= {"lock", "log", "violations.log"}
    rig("down")
