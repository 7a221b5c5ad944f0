"""`windlass machine` and the operator on real machines: what people and scripts do by hand, a cloud that misbehaves,
and a death at every recorded step. At the end of each test the cloud holds nothing."""

import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time

import pytest

import world
from world import WINDLASS, wait_until

AT_ONCE = 4

EXIT = {"ok": 0, "fail": 1, "busy": 79, "machine": 80, "retry": 81, "quota": 83, "refused": 84}

CREATE_POINTS = ["plan-written", "planned", "requested", "key-made", "key-recorded", "create-announced", "machine-made",
                 "created", "address-known", "booted", "host-key-pinned", "certified", "script-done", "provisioned",
                 "engine-answered", "ready"]
REMOVE_POINTS = ["deleting", "destroyed", "forgotten"]
# Only after a lost answer: test_list_lags_longer_than_patience; and test_fleet.py.
STRAY_POINTS = ["strays-awaited", "stray-found", "stray-removed"]


class Bastion:
    """A store and the programs that work on it."""

    def __init__(self, rig, folder):
        self.rig = rig
        self.folder = str(folder)
        self.store = os.path.join(self.folder, "store")
        os.makedirs(self.folder, exist_ok=True)
        bin = os.path.join(self.folder, "bin")
        os.makedirs(bin, exist_ok=True)
        self.docker_machine = os.path.join(bin, "docker-machine")
        with contextlib.suppress(FileExistsError):
            os.symlink(WINDLASS, self.docker_machine)
        self.environ = {k: v for k, v in os.environ.items()
                        if not k.startswith(("WINDLASS_", "DOCKER_", "MACHINE_", "DIGITALOCEAN_"))}
        self.environ.update(MACHINE_STORAGE_PATH=self.store, HOME=self.folder, SHELL="/bin/sh")

    def options(self, image="debian-12-docker", **more):
        env = self.rig.env
        options = {"digitalocean-access-token": env["RIG_DO_TOKEN"], "digitalocean-image": image,
                   "digitalocean-region": "fra1", "digitalocean-size": "s-1vcpu-1gb",
                   "digitalocean-api-endpoint": env["RIG_DO_URL"], "digitalocean-api-ca-file": env["RIG_CA_FILE"],
                   "engine-install-url": env["RIG_ENGINE_INSTALL_URL"], "engine-insecure-registry": env["RIG_REGISTRY"]}
        options.update({k.replace("_", "-"): v for k, v in more.items()})
        return [f"{k}={v}" for k, v in options.items()]

    def machine(self, *argv, status=0, timeout=120, **environ):
        """docker-machine ARGV; what it said."""
        p = subprocess.run([self.docker_machine, *argv], env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        assert p.returncode == status, (argv[:1], argv[-1:], p.returncode, p.stdout[-2000:], p.stderr[-2000:])
        return p.stdout if status == 0 else p.stdout + p.stderr

    def create(self, name, *more, status=0, **options):
        return self.machine("create", "--driver", "digitalocean", *("--" + o for o in self.options(**options)), *more, name,
                            status=status)

    def operator(self, name, do, *more, plan=True, image="debian-12-docker", options=(), **environ):
        """Starts windlass-operator as the manager does; the process."""
        argv = ["windlass-operator", "--store", self.store, "--name", name, "--do", do, *more]
        text = json.dumps({"driver": "digitalocean", "options": self.options(image) + list(options), "runner": "abcd1234",
                           "owner": "0123456789abcdef"})
        read, write = os.pipe()
        os.write(write, text.encode())
        os.close(write)
        if do == "create" and plan:
            argv += ["--plan-fd", str(read)]
        log = open(os.path.join(self.folder, name + ".log"), "ab")
        process = subprocess.Popen(argv, executable=WINDLASS, pass_fds=[read], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**self.environ, "LOG_LEVEL": "debug", **environ})
        os.close(read)
        log.close()
        return process

    def operate(self, name, do, *more, timeout=120, **options):
        return self.operator(name, do, *more, **options).wait(timeout)

    def healthy(self, name):
        """What a round over the fleet finds out about this machine."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        os.write(write, json.dumps({"machines": [name], "probe": []}).encode())
        os.close(write)
        argv = ["windlass-operator", "--store", self.store, "--do", "health", "--plan-fd", str(read), "--control-fd", str(theirs.fileno())]
        p = subprocess.Popen(argv, executable=WINDLASS, pass_fds=[read, theirs.fileno()], env=self.environ)
        os.close(read)
        theirs.close()
        said = ours.recv(512).decode()
        ours.close()
        p.wait(60)
        return said.startswith(f"health {name} ok")

    def record(self, name):
        with open(os.path.join(self.store, "machines", name, "windlass.json")) as f:
            return json.load(f)

    def config(self, name):
        with open(os.path.join(self.store, "machines", name, "config.json")) as f:
            return json.load(f)

    def names(self):
        try:
            return sorted(os.listdir(os.path.join(self.store, "machines")))
        except FileNotFoundError:
            return []

    def log(self, name):
        with open(os.path.join(self.folder, name + ".log"), errors="replace") as f:
            return f.read()

    def in_cloud(self, name=None):
        return [line for line in self.rig.cloud() if name is None or name in line.split()]


@pytest.fixture
def bastion(rig, tmp_path, request):
    rig("fault", "digitalocean", "clear")
    yield Bastion(rig, tmp_path)
    rig("fault", "digitalocean", "clear")
    left = rig.cloud()
    rig.clear_cloud()
    assert getattr(request.node, "failed", False) or left == []
    assert rig.violations() == ""


def fault(rig, *what):
    rig("fault", "digitalocean", *what)


# By hand ------------------------------------------------------------------

def test_by_hand(bastion, rig):
    said = bastion.create("hand-1", "--engine-label", "zone=a")
    assert said.splitlines()[-1].endswith("run: docker-machine env hand-1")
    for line in ("Running pre-create checks...", "Creating machine...", "(hand-1) Creating SSH key...", "Provisioning with debian...",
                 "Docker is up and running!"):
        assert line in said.splitlines(), said
    record = bastion.record("hand-1")
    assert record["phase"] == "ready" and record["host_key"] and record["attempts"] == 1
    droplet = rig.api("GET", "/v2/droplets/" + record["ids"]["machine"])["droplet"]
    assert droplet["tags"] == ["wl-nonce-" + record["nonce"]]
    address = bastion.config("hand-1")["Driver"]["IPAddress"]
    directory = os.path.join(bastion.store, "machines", "hand-1")

    assert bastion.machine("ip", "hand-1") == address + "\n"
    assert bastion.machine("url", "hand-1") == f"tcp://{address}:2376\n"
    assert bastion.machine("status", "hand-1") == "Running\n"
    assert bastion.machine("config", "hand-1") == (
        f'--tlsverify\n--tlscacert="{directory}/ca.pem"\n--tlscert="{directory}/cert.pem"\n'
        f'--tlskey="{directory}/key.pem"\n-H=tcp://{address}:2376\n')
    ls = bastion.machine("ls").splitlines()
    assert ls[0].split() == ["NAME", "ACTIVE", "DRIVER", "STATE", "URL", "SWARM", "DOCKER", "ERRORS"]
    assert ls[1].split()[:5] == ["hand-1", "-", "digitalocean", "Running", f"tcp://{address}:2376"]
    assert ls[1].split()[5].startswith("v2")
    assert bastion.machine("ls", "-q", "--filter", "label=zone=a") == "hand-1\n"
    assert bastion.machine("ls", "-q", "--filter", "state=Stopped") == ""
    assert bastion.machine("ls", "-f", "{{.Name}}:{{.State}}") == "hand-1:Running\n"
    assert bastion.machine("inspect", "hand-1", "-f", "{{.HostOptions.AuthOptions.StorePath}}") == directory + "\n"
    assert bastion.machine("inspect", "hand-1", "-f", "{{.Nope}}") == "<no value>\n"
    assert json.loads(bastion.machine("inspect", "hand-1")) == bastion.config("hand-1")

    # What env prints works with the real docker client, in a real shell.
    env = bastion.machine("env", "hand-1")
    assert env.splitlines()[-1] == "# eval $(docker-machine env hand-1)"
    script = f"{env}\ndocker version --format '{{{{.Server.Version}}}}' && docker run --rm {rig.env['RIG_BUSYBOX_IMAGE']} echo hello"
    p = subprocess.run(["sh", "-c", script], env=bastion.environ, stdout=subprocess.PIPE, text=True, timeout=120)
    assert p.returncode == 0 and p.stdout.splitlines()[-1] == "hello", p.stdout
    # So does what config prints, given to it as gitlab-runner's users do.
    argv = shlex.split(bastion.machine("config", "hand-1"))
    p = subprocess.run(["docker", *argv, "info", "--format", "{{json .Labels}}"], env=bastion.environ, stdout=subprocess.PIPE, text=True, timeout=60)
    assert sorted(json.loads(p.stdout)) == ["provider=digitalocean", "zone=a"]
    active = {line.split("=")[0].removeprefix("export "): line.split("=", 1)[1].strip('"') for line in env.splitlines() if "=" in line and line[0] != "#"}
    assert bastion.machine("active", **active) == "hand-1\n"
    assert bastion.machine("active", status=1).strip() == "No active host found"

    assert bastion.machine("ssh", "hand-1", "echo", "$(hostname)", "'a  b'") == "hand-1 a  b\n"
    assert "exit status 7" in bastion.machine("ssh", "hand-1", "exit 7", status=1)
    # The key on the machine is for root alone, and never stood in a command line that anyone could have seen.
    assert bastion.machine("ssh", "hand-1", "stat -c '%a %U' /etc/docker/server-key.pem") == "600 root\n"

    said = bastion.machine("rm", "-y", "hand-1")
    assert said.splitlines() == ["About to remove hand-1",
                                 "WARNING: This action will delete both local reference and remote instance.",
                                 "Successfully removed hand-1"]
    assert bastion.names() == []


def test_power(bastion):
    bastion.create("power-1")
    assert "already running" in bastion.machine("start", "power-1", status=1)
    assert bastion.machine("stop", "power-1") == 'Stopping "power-1"...\nMachine "power-1" was stopped.\n'
    assert bastion.machine("status", "power-1") == "Stopped\n"
    assert "is not running" in bastion.machine("ssh", "power-1", "true", status=1)
    assert "Stopped" in bastion.machine("ls")
    bastion.machine("config", "power-1", status=1)
    bastion.machine("start", "power-1")
    bastion.machine("config", "power-1")
    bastion.machine("restart", "power-1")
    bastion.machine("kill", "power-1")
    bastion.machine("rm", "-y", "power-1")


def test_as_gitlab_runner_calls_it(bastion):
    """The exact command lines of an external gitlab-runner (spec machines 4.1)."""
    runner = ("--bugsnag-api-token=no-report",)
    bastion.machine(*runner, "create", "--driver", "digitalocean", *("--" + o for o in bastion.options()), "runner-x-1")
    bastion.machine(*runner, "config", "runner-x-1")
    assert bastion.machine(*runner, "url", "runner-x-1").strip().endswith(":2376")
    assert os.path.isdir(bastion.machine(*runner, "inspect", "runner-x-1", "-f", "{{.HostOptions.AuthOptions.StorePath}}").strip())
    bastion.machine(*runner, "stop", "runner-x-1")
    bastion.machine(*runner, "rm", "-y", "runner-x-1")
    bastion.machine(*runner, "inspect", "runner-x-1", status=1)
    bastion.machine(*runner, "rm", "-f", "runner-x-1")
    bastion.machine(*runner, "rm", "-y", "runner-x-1", status=1)


def test_mistakes(bastion):
    assert 'Error with pre-create check: "digitalocean requires a valid region"' in \
        bastion.create("bad-1", status=3, digitalocean_region="moon1")
    assert "invalid image" in bastion.create("bad-2", status=1, image="windows-95")
    bastion.machine("rm", "-y", "bad-2")
    assert "user-data file /nonexistent could not be found" in bastion.create("bad-3", status=3, digitalocean_userdata="/nonexistent")
    assert "requires the --digitalocean-access-token option" in \
        bastion.machine("create", "--driver", "digitalocean", "bad-4", status=1)
    assert "windlass has" in bastion.machine("create", "--driver", "virtualbox", "bad-5", status=1)
    assert "Invalid hostname" in bastion.create("bad_6", status=1)
    assert "unknown option" in bastion.create("bad-7", "--amazonec2-region=x", status=1)
    assert "does not exist" in bastion.machine("ip", "nobody", status=1)
    assert 'no "default" machine exists' in bastion.machine("config", status=1)
    assert "scp" in bastion.machine("scp", "a", "b:c", status=1)
    assert "is not a docker-machine command" in bastion.machine("fly", status=1)
    assert bastion.names() == []


def test_bare_image(bastion, rig):
    """Docker has to be installed, while first-boot updates hold apt's locks."""
    fault(rig, "apt-lock", "seconds=12")
    said = bastion.create("bare-1", image="ubuntu-24-04-x64")
    assert "(bare-1) Installing Docker..." in said and "Provisioning with ubuntu(systemd)..." in said
    argv = shlex.split(bastion.machine("config", "bare-1"))
    subprocess.run(["docker", *argv, "run", "--rm", rig.env["RIG_BUSYBOX_IMAGE"], "true"], env=bastion.environ, check=True, timeout=60)
    bastion.machine("rm", "-y", "bare-1")
    assert "engine-install-url is none" in bastion.create("bare-2", status=1, image="debian-12-bare", engine_install_url="none")
    assert "cannot fetch the install script" in \
        bastion.create("bare-3", status=1, image="debian-12-bare", engine_install_url=rig.env["RIG_ENGINE_INSTALL_URL"] + ".not")
    assert bastion.record("bare-3")["phase"] == "booted"
    bastion.machine("rm", "-y", "bare-2", "bare-3")


def test_image_with_settings_of_its_own(bastion, rig):
    """daemon.json of the image must not stand against ours."""
    data = os.path.join(bastion.folder, "user-data")
    with open(data, "w") as f:
        f.write("#!/bin/sh\nmkdir -p /etc/docker\necho '{\"hosts\": [\"fd://\"]}' >/etc/docker/daemon.json\n")
    said = bastion.create("own-1", status=1, digitalocean_userdata=data)
    assert 'sets "hosts"' in said, said
    with open(data, "w") as f:
        f.write("#!/bin/sh\nmkdir -p /etc/docker\necho '{\"labels\": [\"mine=1\"]}' >/etc/docker/daemon.json\n")
    bastion.create("own-2", digitalocean_userdata=data)
    bastion.machine("rm", "-y", "own-1", "own-2")


@pytest.mark.parametrize("image, has", [("debian-12-docker", "yes"), ("debian-12-docker-io", "no")])
def test_where_dockerd_lies(bastion, rig, image, has):
    """Docker's own packages have it in /usr/bin, where docker-machine's unit file expects it; Debian's has it in /usr/sbin alone."""
    bastion.create("place-1", image=image)
    where = "test -x /usr/bin/dockerd && echo yes || echo no; systemctl show -p ExecStart docker.service"
    said = bastion.machine("ssh", "place-1", where)
    assert said.startswith(has + "\n"), said
    path = re.search(r"ExecStart=\{ path=(\S+)", said)[1]
    assert path in ("/usr/sbin/dockerd", "/usr/bin/dockerd") and (has == "yes" or path == "/usr/sbin/dockerd"), said
    argv = shlex.split(bastion.machine("config", "place-1"))
    subprocess.run(["docker", *argv, "run", "--rm", rig.env["RIG_BUSYBOX_IMAGE"], "true"], env=bastion.environ, check=True, timeout=60)
    bastion.machine("rm", "-y", "place-1")


def test_a_user_with_sudo(bastion):
    """Not root: everything by sudo; and the user appears only after sshd does, as on a first boot."""
    data = os.path.join(bastion.folder, "user-data")
    with open(data, "w") as f:
        f.write("#!/bin/sh\nsleep 2\nuseradd -m -s /bin/sh worker\necho 'worker ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/worker\n"
                "mkdir -m 700 ~worker/.ssh\ncp /root/.ssh/authorized_keys ~worker/.ssh/\nchown -R worker: ~worker/.ssh\n")
    bastion.create("user-1", digitalocean_userdata=data, digitalocean_ssh_user="worker")
    assert bastion.machine("ssh", "user-1", "id -un; stat -c '%a %U' /etc/docker/server-key.pem") == "worker\n600 root\n"
    bastion.machine("ssh", "user-1", "sudo rm /etc/sudoers.d/worker")
    assert "sudo" in bastion.machine("provision", "user-1", status=1)
    bastion.machine("rm", "-y", "user-1")


def test_a_phase_of_a_newer_version(bastion):
    bastion.create("new-1")
    path = os.path.join(bastion.store, "machines", "new-1", "windlass.json")
    record = dict(bastion.record("new-1"), phase="hibernating", fuel=7)
    with open(path, "w") as f:
        json.dump(record, f)
    assert bastion.operate("new-1", "create") == EXIT["fail"]
    assert dict(bastion.record("new-1"), last_error="") == record
    assert bastion.operate("new-1", "remove") == 0


def test_generic_hosts_that_people_have(bastion, tmp_path):
    """Machines 2, 3, 4, 9: Ed25519 on both sides, keys of an agent and of ~/.ssh, a host with nothing in common, new host keys."""
    bastion.create("real-2")
    address = bastion.machine("ip", "real-2").strip()
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    key = str(tmp_path / "id_ed25519")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@home", "-f", key], check=True)
    with open(key + ".pub") as f:
        bastion.machine("ssh", "real-2", f"echo '{f.read().strip()}' >>/root/.ssh/authorized_keys")

    def sshd(lines):
        """A configuration of its own, put in front of the host's; the test of it first, so that a mistake does not lock us out."""
        script = ("printf '%s\\n' " + " ".join(f"'{line}'" for line in lines) + " >/etc/ssh/sshd_config.d/x.conf; "
                  "grep -q '^Include' /etc/ssh/sshd_config || sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config; "
                  "/usr/sbin/sshd -t && systemctl restart ssh")
        bastion.machine("ssh", "real-2", script)

    def generic(name, *argv, status=0, **env):
        start = time.monotonic()
        done = subprocess.run([bastion.docker_machine, "create", "-d", "generic", "--generic-ip-address", address, *argv, name],
                              env={**bastion.environ, "HOME": str(home), "MACHINE_STORAGE_PATH": bastion.store, **env},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
        assert done.returncode == status, done.stdout
        return done.stdout, time.monotonic() - start

    sshd(["HostKey /etc/ssh/ssh_host_ed25519_key", "KexAlgorithms curve25519-sha256"])
    generic("ed-1", "--generic-ssh-key", key)
    # The host keeps its Ed25519 key as the pinned one.
    assert bastion.record("ed-1")["host_key"].startswith("ssh-ed25519 ")
    assert bastion.machine("ssh", "ed-1", "id -un") == "root\n"

    # No key named: nothing is recorded while there is none that can be used.
    said, _ = generic("ed-2", status=3, SSH_AUTH_SOCK="")
    assert "no SSH key was named, and none is there to use: no agent (SSH_AUTH_SOCK is not set); ~/.ssh/id_ed25519: not there" in said
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", home / ".ssh/id_ed25519"], check=True)
    said, _ = generic("ed-2", status=3, SSH_AUTH_SOCK=str(tmp_path / "no-agent"))
    assert "~/.ssh/id_ed25519: the SSH key has a passphrase" in said
    assert "ed-2" not in bastion.names()
    # ... one that an agent has
    sock = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(sock):
            assert agent.poll() is None
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ, "SSH_AUTH_SOCK": sock})
        generic("ed-2", SSH_AUTH_SOCK=sock)
        done = subprocess.run([bastion.docker_machine, "ssh", "ed-2", "id -un"], env={**bastion.environ, "SSH_AUTH_SOCK": sock},
                              stdout=subprocess.PIPE, text=True, timeout=60)
        assert done.stdout == "root\n"
    finally:
        agent.kill()
        agent.wait()
    # ... one in ~/.ssh
    shutil.copy(key, home / ".ssh/id_ed25519")
    generic("ed-3", SSH_AUTH_SOCK="")

    # A key that the host does not know: at once, and named.
    stranger = str(tmp_path / "stranger")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    said, took = generic("ed-4", "--generic-ssh-key", stranger, status=1)
    assert "does not accept our key for user root" in said and took < 30 and "did not answer in time" not in said

    # New host keys, as of a host that was reinstalled.
    bastion.machine("ssh", "ed-1", "rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh")
    for command in (("ssh", "ed-1", "true"), ("provision", "ed-1"), ("regenerate-certs", "-f", "ed-1")):
        said = bastion.machine(*command, status=1)
        assert "If it was reinstalled: windlass machine provision --accept-host-key SHA256:" in said
        assert "host key is not the pinned one (now SHA256:" in said and ", pinned was SHA256:" in said
    typed = re.search(r"windlass machine (provision --accept-host-key (SHA256:\S+) ed-1)", bastion.machine("provision", "ed-1", status=1))
    wrong = typed[2][:-1] + ("A" if typed[2][-1] != "A" else "B")
    assert "which was to be accepted" in bastion.machine("provision", "--accept-host-key", wrong, "ed-1", status=1)
    assert "is for one machine" in bastion.machine("provision", "--accept-host-key", typed[2], "ed-1", "ed-3", status=1)
    bastion.machine(*typed[1].split())
    assert bastion.machine("ssh", "ed-1", "id -un") == "root\n"

    # Nothing in common.
    bastion.machine("provision", "--accept-host-key", typed[2], "real-2")
    sshd(["KexAlgorithms sntrup761x25519-sha512@openssh.com"])
    for said, took in (generic("ed-5", "--generic-ssh-key", key, status=1),):
        assert "no key exchange in common: the host offers sntrup761x25519-sha512@openssh.com; windlass offers curve25519" in said
        assert took < 30
    bastion.machine("rm", "-y", "ed-1", "ed-2", "ed-3", "ed-4", "ed-5", "real-2")


def test_generic_and_none(bastion):
    bastion.create("real-1")
    address = bastion.machine("ip", "real-1").strip()
    key = os.path.join(bastion.store, "machines", "real-1", "id_rsa")
    bastion.machine("create", "--driver", "generic", "--generic-ip-address", address, "--generic-ssh-key", key,
                    "--generic-engine-port", "4243", "same-1")
    assert bastion.machine("url", "same-1") == f"tcp://{address}:4243\n"
    bastion.machine("config", "same-1")
    assert bastion.machine("ssh", "same-1", "id -un") == "root\n"
    assert "generic driver does not support stop" in bastion.machine("stop", "same-1", status=1)
    bastion.machine("rm", "-y", "same-1")
    bastion.machine("create", "--driver", "none", "--url", "tcp://192.0.2.1:2376", "only-1")
    assert bastion.machine("url", "only-1") == "tcp://192.0.2.1:2376\n"
    assert bastion.machine("ls", "-f", "{{.Name}} {{.DriverName}} {{.State}}", "--filter", "driver=none") == "only-1 none Running\n"
    assert "hosts without a driver cannot be restarted" in bastion.machine("restart", "only-1", status=1)
    bastion.machine("rm", "-y", "only-1", "real-1")


def test_certificate_without_the_name(bastion):
    """A machine of docker-machine's: no windlass.json, a certificate that has only its address."""
    bastion.create("old-1")
    directory = os.path.join(bastion.store, "machines", "old-1")
    address = bastion.machine("ip", "old-1").strip()
    subprocess.run(["sh", "-ec", f"""cd {directory}
        openssl req -new -newkey rsa:2048 -nodes -subj /O=old -keyout server-key.pem -out r 2>/dev/null
        printf 'subjectAltName=IP:{address},DNS:localhost\\nextendedKeyUsage=serverAuth\\n' >x
        openssl x509 -req -in r -CA ca.pem -CAkey ../../certs/ca-key.pem -set_serial 99 -days 30 -extfile x -out server.pem 2>/dev/null
        rm r x windlass.json"""], check=True)
    # Still the old certificate over there: its key is not the one in the store. (The docker client, which knows no key, would not mind.)
    assert not bastion.healthy("old-1")
    bastion.machine("config", "old-1")
    for name, mode in (("server.pem", "644"), ("server-key.pem", "600")):
        with open(os.path.join(directory, name), "rb") as f:
            subprocess.run([bastion.docker_machine, "ssh", "old-1", f"cat >/etc/docker/{name}; chmod {mode} /etc/docker/{name}"],
                           env=bastion.environ, stdin=f, check=True, timeout=30)
    bastion.machine("ssh", "old-1", "systemctl restart docker")
    bastion.machine("config", "old-1")
    assert bastion.healthy("old-1")
    bastion.machine("regenerate-certs", "-f", "old-1")
    bastion.machine("config", "old-1")
    bastion.machine("rm", "-y", "old-1")


def test_host_key_is_pinned(bastion):
    bastion.create("pin-1")
    path = os.path.join(bastion.store, "machines", "pin-1", "windlass.json")
    record = bastion.record("pin-1")
    assert record["host_key"].startswith("ecdsa-sha2-nistp256 ") or record["host_key"].startswith("ssh-"), record
    record["host_key"] = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLeDZHQwW85y3/F2A0qv83xpw3PMASro5A8LHjK6nMRV7bTYOx81qA4Y8S0cVGOoZUSxwY0U4c6Z0pGgRZ5v4pM="
    with open(path, "w") as f:
        json.dump(record, f)
    assert "host key" in bastion.machine("ssh", "pin-1", "true", status=1)
    bastion.machine("rm", "-y", "pin-1")


def test_provision_again(bastion):
    bastion.create("again-1", "--engine-label", "a=1")
    bastion.machine("ssh", "again-1", "rm -f /etc/docker/*.pem; systemctl stop docker")
    bastion.machine("config", "again-1", status=1)
    bastion.machine("provision", "again-1")
    bastion.machine("config", "again-1")
    bastion.machine("rm", "-y", "again-1")


# The operator -------------------------------------------------------------

def test_conversation_with_the_manager(bastion):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_inheritable(theirs.fileno(), True)

    def talk(do, *more):
        argv = ["windlass-operator", "--store", bastion.store, "--name", "talk-1", "--do", do, "--control-fd", str(theirs.fileno()), *more]
        read, write = os.pipe()
        os.write(write, json.dumps({"driver": "digitalocean", "options": bastion.options(), "runner": "r", "owner": "00ff00ff00ff00ff"}).encode())
        os.close(write)
        p = subprocess.Popen([*argv, "--plan-fd", str(read)], executable=WINDLASS, pass_fds=[read, theirs.fileno()], env=bastion.environ)
        os.close(read)
        status = p.wait(60)
        said = []
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(ours.recv(512).decode())
        return status, said

    assert talk("create") == (0, [f"phase talk-1 {p}" for p in ("planned", "requested", "created", "booted", "provisioned", "ready")])
    droplet = bastion.rig.api("GET", "/v2/droplets/" + bastion.record("talk-1")["ids"]["machine"])["droplet"]
    assert "wl-owner-00ff00ff00ff00ff" in droplet["tags"]
    assert talk("create") == (0, [])	# ready: nothing to do
    assert bastion.healthy("talk-1")
    bastion.machine("ssh", "talk-1", "systemctl stop docker docker.socket")
    assert not bastion.healthy("talk-1")
    assert talk("remove", "--reason", "x") == (0, ["phase talk-1 deleting", "gone talk-1"])
    assert talk("remove") == (0, ["gone talk-1"])
    theirs.close()
    ours.close()


def test_ends_with_its_manager(bastion, rig):
    fault(rig, "boot-never")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_inheritable(theirs.fileno(), True)
    read, write = os.pipe()
    os.write(write, json.dumps({"driver": "digitalocean", "options": bastion.options()}).encode())
    os.close(write)
    p = subprocess.Popen(["windlass-operator", "--store", bastion.store, "--name", "end-1", "--do", "create", "--plan-fd", str(read),
                          "--control-fd", str(theirs.fileno())], executable=WINDLASS, pass_fds=[read, theirs.fileno()], env=bastion.environ)
    os.close(read)
    theirs.close()
    wait_until(lambda: bastion.names() == ["end-1"] and bastion.record("end-1")["phase"] == "created", 20, "the droplet")
    ours.close()
    assert p.wait(5) == EXIT["retry"]
    assert bastion.operate("end-1", "remove") == 0


def test_one_at_a_time(bastion, rig):
    fault(rig, "boot-delay", "seconds=6")
    first = bastion.operator("one-1", "create")
    wait_until(lambda: bastion.names() == ["one-1"], 20, "the machine's directory")
    assert bastion.operate("one-1", "create") == EXIT["busy"]
    assert bastion.operate("one-1", "remove") == EXIT["busy"]
    assert "held by another process" in bastion.machine("rm", "-y", "one-1", status=1)
    assert first.wait(60) == 0
    assert len(bastion.in_cloud("one-1")) == 2
    assert bastion.operate("one-1", "remove") == 0


def one_death(bastion, rig, point):
    """Dies at one point of a life, is started again, and leaves one machine; and after its end none."""
    name = "die-" + point
    remove = point in REMOVE_POINTS
    once = os.path.join(bastion.folder, "once", name)
    crash = {"WINDLASS_CRASH_AT": "operator:" + point, "WINDLASS_CRASH_ONCE": once}
    world.writable_folder(once)

    if remove:
        assert bastion.operate(name, "create") == 0, bastion.log(name)
    assert bastion.operate(name, "remove" if remove else "create", **crash) == -signal.SIGKILL, (point, bastion.log(name))
    if not remove:
        assert bastion.operate(name, "create") == 0, (point, bastion.log(name))
        record = bastion.record(name)
        assert record["phase"] == "ready", (point, record)
        kinds = sorted(line.split()[0] for line in bastion.in_cloud(name))
        assert kinds == ["key", "machine"], (point, bastion.in_cloud(name), bastion.log(name))
        assert bastion.healthy(name), (point, bastion.log(name))
    assert bastion.operate(name, "remove") == 0, (point, bastion.log(name))
    assert bastion.in_cloud(name) == [], (point, bastion.log(name))
    assert name not in bastion.names()


def test_death_at_every_step(bastion, rig):
    listed = subprocess.run([WINDLASS, "debug", "crash-points"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    points = [p.removeprefix("operator:") for p in listed if p.startswith("operator:")]
    assert [p for p in points if p not in STRAY_POINTS] == CREATE_POINTS + REMOVE_POINTS and set(STRAY_POINTS) <= set(points)
    points = CREATE_POINTS + REMOVE_POINTS
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(one_death, bastion, rig, p) for p in points]:
            done.result()
    # A death before the directory appeared leaves only what the next sweep takes.
    assert [n for n in bastion.names() if not n.startswith((".new.", ".gone."))] == []


def test_removal_after_death_in_mid_create(bastion):
    """The manager may decide not to go on: removing finds what an unrecorded call has made."""
    points = ["requested", "key-made", "create-announced", "machine-made", "created", "booted", "certified", "provisioned"]

    def one(point):
        name = "drop-" + point
        assert bastion.operate(name, "create", WINDLASS_CRASH_AT="operator:" + point) == -signal.SIGKILL
        assert bastion.operate(name, "remove", "--reason", "test") == 0, (point, bastion.log(name))
        assert bastion.in_cloud(name) == [], (point, bastion.log(name))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(one, p) for p in points]:
            done.result()
    assert bastion.names() == []


# A cloud that misbehaves --------------------------------------------------

@pytest.mark.parametrize("what", [
    "429 style=reset wait=4 on=create", "429 style=retry-after wait=3 on=create", "429 style=none on=keys",
    "429 style=date wait=3 on=get", "500 count=2 on=create", "503 count=3 on=get", "502 on=keys", "504 on=create",
    "lose-answer", "lose-answer on=keys", "reset on=create", "truncate on=create", "truncate on=get", "close-before on=create",
    "close-before on=get", "long-length on=create", "garbage on=create", "html on=get", "trickle on=create", "chunked on=create",
    "close on=any count=6", "get-lag seconds=4", "ip-late seconds=3", "boot-delay seconds=3"])
def test_create_in_spite_of(bastion, rig, what):
    fault(rig, *what.split())
    assert bastion.operate("spite-1", "create") == 0, bastion.log("spite-1")
    assert sorted(line.split()[0] for line in bastion.in_cloud("spite-1")) == ["key", "machine"], bastion.log("spite-1")
    assert bastion.operate("spite-1", "remove") == 0, bastion.log("spite-1")


def test_lost_answer_and_lagging_list(bastion, rig):
    """The droplet exists, the answer is lost, and the list does not show it yet: no second one may be made."""
    fault(rig, "lose-answer")
    fault(rig, "list-lag", "seconds=9")
    assert bastion.operate("lag-1", "create") == 0, bastion.log("lag-1")
    assert len([line for line in rig.cloud() if line.startswith("machine")]) == 1
    assert bastion.record("lag-1")["attempts"] == 1
    assert bastion.operate("lag-1", "remove") == 0, bastion.log("lag-1")


def test_list_lags_longer_than_patience(bastion, rig):
    """A second one is made then. The first is not forgotten: whoever comes next, after a death too, looks for it until it
    must have shown, the machine itself goes at once, and one that is in use is never given up for the other."""
    def machines():
        return [line for line in rig.cloud() if line.startswith("machine")]

    def create(name):
        fault(rig, "lose-answer")
        fault(rig, "list-lag", "seconds=900", "count=2")
        assert bastion.operate(name, "create") == 0, bastion.log(name)
        record = bastion.record(name)
        assert record["attempts"] == 2 and record["unanswered"] == 1 and len(machines()) == 2, (record, bastion.log(name))
        return record

    def asked_just_now(name):
        """However slow this host is, the call is not old enough yet."""
        path = os.path.join(bastion.store, "machines", name, "windlass.json")
        record = dict(bastion.record(name), asked=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        with open(path, "w") as f:
            json.dump(record, f)

    # It shows while the machine is in use: it goes, the one in use stays.
    record = create("late-1")
    fault(rig, "list-now")
    assert bastion.operate("late-1", "settle") == 0, bastion.log("late-1")
    assert len(machines()) == 1 and record["ids"]["machine"] in machines()[0].split(), (machines(), record)
    assert bastion.record("late-1")["unanswered"] == 0
    assert bastion.healthy("late-1"), bastion.log("late-1")
    assert bastion.operate("late-1", "remove") == 0, bastion.log("late-1")
    assert rig.cloud() == [] and bastion.names() == [], bastion.log("late-1")

    # It has not shown when the machine is removed, and the operator is killed while it watches for it.
    create("late-2")
    assert bastion.operate("late-2", "remove", WINDLASS_CRASH_AT="operator:strays-awaited") == -signal.SIGKILL, bastion.log("late-2")
    record = bastion.record("late-2")
    assert record["phase"] == "deleting" and record["unanswered"] == 1 and len(machines()) == 1, (record, machines())
    asked_just_now("late-2")
    looks = rig.cloud_calls().get("droplets_list", 0)
    removing = bastion.operator("late-2", "remove")
    wait_until(lambda: rig.cloud_calls().get("droplets_list", 0) >= looks + 2, 30, "a second look that finds nothing")
    assert removing.poll() is None and bastion.names() == ["late-2"]
    fault(rig, "list-now")
    assert removing.wait(60) == 0, bastion.log("late-2")
    assert rig.cloud() == [] and bastion.names() == [], bastion.log("late-2")


@pytest.mark.parametrize("what,status,phase", [
    ("quota limit=0", "quota", "requested"), ("capacity", "quota", "requested"), ("401 count=9", "refused", "planned"),
    ("403 on=create", "refused", "requested"), ("boot-error", "fail", "created"), ("vanish", "fail", None),
    ("429 count=9 style=retry-after wait=60 on=create", "quota", "requested")])
def test_create_fails_for(bastion, rig, what, status, phase):
    fault(rig, *what.split())
    assert bastion.operate("fails-1", "create", "--limit", "40") == EXIT[status], bastion.log("fails-1")
    record = bastion.record("fails-1")
    assert phase is None or record["phase"] == phase, record
    assert record["last_error"]
    fault(rig, "clear")
    assert bastion.operate("fails-1", "remove") == 0, bastion.log("fails-1")
    assert bastion.names() == []


def test_refused_for_good(bastion):
    assert bastion.operate("no-1", "create", image="windows-95") == EXIT["refused"]
    assert bastion.operate("no-1", "remove") == 0
    assert bastion.operate("no-2", "create", options=["digitalocean-flux=1"]) == EXIT["refused"]
    assert bastion.names() == []


def test_boot_that_never_ends(bastion, rig):
    fault(rig, "boot-never")
    assert bastion.operate("never-1", "create", "--limit", "8") == EXIT["fail"]
    record = bastion.record("never-1")
    assert record["phase"] == "created" and "no public address in time" in record["last_error"], record
    assert bastion.operate("never-1", "remove") == 0
    fault(rig, "no-ssh")
    assert bastion.operate("never-2", "create", "--limit", "10") == EXIT["fail"]
    record = bastion.record("never-2")
    assert record["phase"] == "booted" and "SSH did not answer in time" in record["last_error"], record
    assert "Connection refused" in record["last_error"], record
    assert bastion.operate("never-2", "remove") == 0


@pytest.mark.parametrize("what", [
    "429 style=none on=delete", "500 count=2 on=delete", "lose-answer on=delete", "close-before on=delete",
    "delete-404", "delete-locked count=2", "keep", "503 on=get", "truncate on=delete", "502 on=keys", "lose-answer on=keys"])
def test_remove_in_spite_of(bastion, rig, what):
    assert bastion.operate("gone-1", "create") == 0
    fault(rig, *what.split())
    assert bastion.operate("gone-1", "remove") == 0, bastion.log("gone-1")
    assert rig.cloud() == [], bastion.log("gone-1")


def test_remove_is_repeated(bastion, rig):
    assert bastion.operate("rep-1", "create") == 0
    fault(rig, "403", "on=delete")
    assert bastion.operate("rep-1", "remove", "--reason", "too old") == EXIT["refused"]
    record = bastion.record("rep-1")
    assert record["phase"] == "deleting" and record["remove_reason"] == "too old" and "403" in record["last_error"], record
    assert bastion.operate("rep-1", "create") == EXIT["fail"]	# it is being removed
    assert bastion.operate("rep-1", "remove") == 0
    # By force the record goes even if the cloud refuses, and the ids are said.
    bastion.create("rep-2")
    droplet = bastion.record("rep-2")["ids"]["machine"]
    fault(rig, "403", "on=delete")
    p = subprocess.run([bastion.docker_machine, "rm", "-f", "rep-2"], env=bastion.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 0 and droplet in p.stderr, p
    assert bastion.names() == []
    rig.clear_cloud()


def test_made_by_docker_machine(bastion, rig):
    """No windlass.json: the ids of config.json are enough to remove it, and nothing else is touched."""
    bastion.create("orig-1")
    bastion.create("orig-2")
    os.unlink(os.path.join(bastion.store, "machines", "orig-1", "windlass.json"))
    assert bastion.operate("orig-1", "create") == EXIT["fail"]
    assert bastion.healthy("orig-1")
    assert bastion.operate("orig-1", "remove") == 0, bastion.log("orig-1")
    assert len(rig.cloud()) == 2 and bastion.names() == ["orig-2"]
    bastion.machine("rm", "-y", "orig-2")


def test_eight_first_creates(bastion):
    """The original's certificates do not survive this."""
    running = [bastion.operator(f"first-{i}", "create") for i in range(8)]
    assert [p.wait(180) for p in running] == [0] * 8
    for i in range(8):
        assert bastion.healthy(f"first-{i}")
    assert bastion.machine("ls", "-q").split() == [f"first-{i}" for i in range(8)]
    removing = [bastion.operator(f"first-{i}", "remove") for i in range(8)]
    assert [p.wait(120) for p in removing] == [0] * 8


def test_ready_in_time(bastion):
    """SSH answers to an engine that is usable: less than 3 seconds where Docker is preinstalled."""
    assert bastion.operate("fast-0", "create") == 0	# certificates are made here
    began = time.monotonic()
    assert bastion.operate("fast-1", "create") == 0
    took = time.monotonic() - began
    log = bastion.log("fast-1")
    at = next(line for line in log.splitlines() if line.startswith("Machine provisioned"))
    print(at, f"whole create {took:.1f} s")
    engine = [line for line in log.splitlines() if line.startswith(("Machine provisioned", "Engine answers"))]
    seconds = 0
    for line in engine:
        text = line.split("duration=")[1].split()[0]
        seconds += float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])
    assert seconds < 3, engine
    assert bastion.operate("fast-0", "remove") == bastion.operate("fast-1", "remove") == 0
