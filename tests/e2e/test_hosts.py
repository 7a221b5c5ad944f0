"""Hosts that somebody has used before windlass comes, driver generic: drop-ins, settings and packages of their own, firewalls,
full disks. What goes wrong is said in one sentence, and an engine that ran before runs afterwards. The numbers are those of
the cases that were found in the field."""

import contextlib
import json
import os
import subprocess

import pytest

import world
from test_machine import Bastion
from world import wait_until

UNIT = "/etc/systemd/system/docker.service.d"
OVERRIDE = UNIT + "/override.conf"
OURS = UNIT + "/10-machine.conf"
THEIRS = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd://\n"


class Host:
    """A machine that no cloud knows of, set back to what its image made of it for each test."""

    def __init__(self, rig, name, image):
        self.rig = rig
        self.name, self.address, self.root = rig("bastion", name, "--image", image).split()
        self.sh("mkdir -p -m 700 /root/.ssh; cat >>/root/.ssh/authorized_keys", stdin=open(rig.env["RIG_SSH_KEY"] + ".pub").read())

    def sh(self, script, stdin="", check=True):
        p = self.rig("machine", self.name, "exec", "sh", "-c", script if not stdin else
                     "printf '%s' \"$1\" | { " + script + "; }", *(["sh", stdin] if stdin else []), check=False)
        assert not check or p.returncode == 0, (script, p.returncode, p.stdout[-2000:], p.stderr[-2000:])
        return p.stdout

    def write(self, path, text):
        self.sh(f"mkdir -p {os.path.dirname(path)}; cat >{path}", stdin=text)

    def reset(self):
        self.sh(f"rm -rf {UNIT} /etc/docker/*; iptables -F INPUT; systemctl unmask docker docker.socket; systemctl daemon-reload;"
                " systemctl reset-failed; systemctl restart docker.socket docker; echo old-name >/etc/hostname; hostname old-name")

    def active(self):
        return self.sh("systemctl is-active docker", check=False).strip()

    def started(self):
        """Changes whenever the engine is started."""
        return self.sh("systemctl show -p ExecMainStartTimestampMonotonic docker").strip()


@pytest.fixture(scope="module")
def one(rig):
    return Host(rig, "one", "debian-12-docker")


@pytest.fixture
def host(one):
    one.reset()
    return one


@pytest.fixture
def store(rig, tmp_path):
    s = Bastion(rig, tmp_path)
    yield s


def create(store, host, name="m", *more, status=0):
    return store.machine("create", "--driver", "generic", "--generic-ip-address", host.address, "--generic-ssh-key",
                         store.rig.env["RIG_SSH_KEY"], *more, name, status=status)


def last(said):
    return said.strip().splitlines()[-1]


# Drop-ins -----------------------------------------------------------------

@pytest.mark.parametrize("path", [OVERRIDE, "/run/systemd/system/docker.service.d/zz.conf"])
def test_a_drop_in_that_wins_is_named(host, store, path):
    """14, and 15: once it is gone, provision starts from the beginning."""
    host.write(path, THEIRS)
    host.sh("systemctl daemon-reload")
    before = host.started()
    said = create(store, host, status=1)
    assert path in last(said) and OURS in last(said), said
    assert "wins" in last(said), said
    assert host.active() == "active" and host.started() == before	# not even restarted
    assert host.sh("cat /etc/hostname") == "old-name\n"
    assert host.sh(f"ls -d /etc/docker/*.pem /etc/docker/wl-* {OURS}", check=False).strip() == ""
    assert store.record("m")["phase"] == "booted"
    host.sh(f"rm {path}; systemctl daemon-reload")
    store.machine("provision", "m")
    assert store.record("m")["phase"] == "ready"
    store.machine("config", "m")


def test_a_unit_that_systemd_refuses(host, store):
    """A second ExecStart= beside ours: 14's sibling."""
    host.write(OVERRIDE, "[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n")
    host.sh("systemctl daemon-reload", check=False)
    said = create(store, host, status=1)
    assert OVERRIDE in last(said), said
    host.sh(f"rm {OVERRIDE}; systemctl daemon-reload")
    store.machine("regenerate-certs", "-f", "m")
    store.machine("config", "m")


def test_a_drop_in_that_does_not_matter(host, store):
    host.write(OVERRIDE, "[Service]\nEnvironment=HTTP_PROXY=\nExecStartPre=/bin/true\n")
    create(store, host)


@pytest.mark.parametrize("unit", ["docker", "docker.socket"])
def test_masked(host, store, unit):
    host.sh(f"systemctl mask {unit}")
    said = create(store, host, status=1)
    assert unit in last(said) and "masked" in last(said), said
    host.sh(f"systemctl unmask {unit}; systemctl restart docker.socket docker")
    store.machine("provision", "m")


def test_whatever_phase_is_recorded(host, store):
    """15: an engine whose files are gone heals in each phase, by both commands."""
    create(store, host)
    path, record = os.path.join(store.store, "machines", "m", "windlass.json"), store.record("m")
    for phase in ("booted", "provisioned", "ready"):
        for command in (["provision"], ["regenerate-certs", "-f"]):
            host.sh(f"rm -rf /etc/docker/*.pem {UNIT}; systemctl daemon-reload; systemctl restart docker")
            with open(path, "w") as f:
                json.dump(dict(record, phase=phase), f)
            store.machine(*command, "m")
            assert store.record("m")["phase"] == "ready"
            store.machine("config", "m")


# Engines that do not start ------------------------------------------------

@pytest.mark.parametrize("daemon_json,options,words", [
    ('{"log-driver": "json-file"}', ["--engine-opt", "log-driver=journald"], "log-driver"),
    ('{"max-concurrent-downloads": 3}', ["--engine-opt", "max-concurrent-downloads=4"], "max-concurrent-downloads"),
    (None, ["--engine-opt", "no-such-flag"], "no-such-flag"),
    (None, ["--engine-opt", "bip=nonsense"], "nonsense"),
    (None, ["--engine-storage-driver", "nofs"], "graphdriver"),
])
def test_settings_that_the_engine_does_not_take(host, store, daemon_json, options, words):
    """18: the host's engine goes on, and dockerd's own sentence is the error."""
    if daemon_json:
        host.write("/etc/docker/daemon.json", daemon_json)
    said = create(store, host, "m", *options, status=1)
    assert words in last(said) and "last lines" not in said, said
    assert "\\x0a" not in said and max(map(len, said.splitlines())) < 800, said
    assert host.active() == "active"
    assert host.sh(f"ls {OURS} /etc/docker/*.pem /etc/docker/wl-old", check=False).strip() == ""
    host.sh("DOCKER_HOST=unix:///run/docker.sock timeout 20 docker version >/dev/null")
    assert store.record("m")["phase"] == "booted"


def test_a_broken_daemon_json(host, store):
    """18: the engine that runs would not start again with it; so it is not stopped."""
    host.write("/etc/docker/daemon.json", '{"debug": tru')
    before = host.started()
    said = create(store, host, status=1)
    assert "unable to configure the Docker daemon with file /etc/docker/daemon.json" in last(said), said
    assert host.started() == before and host.active() == "active"


def test_an_option_of_an_option(host, store):
    """Names below the top of daemon.json are none of dockerd's."""
    host.write("/etc/docker/daemon.json", '{"log-driver": "json-file",\n "log-opts": {"labels": "a,b"}}')
    create(store, host, "m", "--engine-label", "zone=a")
    assert "zone=a" in host.sh("DOCKER_HOST=unix:///run/docker.sock docker info -f '{{.Labels}}'")


def test_a_failed_provision_puts_all_back(host, store):
    """18 and 39: a machine in use whose new settings fail goes on with its old ones, here and there; it stays ready."""
    create(store, host)
    directory = os.path.join(store.store, "machines", "m")

    def files():
        return {n: open(os.path.join(directory, n)).read() for n in sorted(os.listdir(directory)) if n.endswith(".pem")}
    before, there = files(), host.sh(f"cat /etc/docker/*.pem {OURS}")
    host.sh("systemctl stop docker; mv /usr/sbin/dockerd /usr/sbin/dockerd.real; printf '%s\\n' '#!/bin/sh' "
            "'case \"$*\" in *--storage-driver*) echo failed to start daemon: this test says so >&2; exit 1;; esac' "
            "'exec /usr/sbin/dockerd.real \"$@\"' >/usr/sbin/dockerd; chmod 755 /usr/sbin/dockerd; systemctl start docker")
    try:
        config = store.config("m")
        config["HostOptions"]["EngineOptions"]["StorageDriver"] = "overlay2"
        with open(os.path.join(directory, "config.json"), "w") as f:
            json.dump(config, f)
        said = store.machine("provision", "m", status=1)
        assert "this test says so" in last(said) and "old settings are back" in last(said), said
        assert store.record("m")["phase"] == "ready" and files() == before
        assert host.sh(f"cat /etc/docker/*.pem {OURS}") == there and host.active() == "active"
        store.machine("config", "m")
    finally:
        host.sh("mv -f /usr/sbin/dockerd.real /usr/sbin/dockerd; systemctl restart docker")


def test_a_failed_provision_that_touched_nothing(host, store):
    """39: no SSH, no rights, a file that is missing here: the machine is what it was."""
    create(store, host)
    host.write("/etc/docker/daemon.json", '{"hosts": ["fd://"]}')
    assert 'sets "hosts"' in store.machine("provision", "m", status=1)
    assert store.record("m")["phase"] == "ready"
    host.sh("rm /etc/docker/daemon.json")
    store.machine("config", "m")
    os.rename(os.path.join(store.store, "certs"), os.path.join(store.store, "hidden"))
    with open(os.path.join(store.store, "certs"), "w"):
        pass
    store.machine("regenerate-certs", "-f", "m", status=1)
    assert store.record("m")["phase"] == "ready"
    store.machine("config", "m")


# The disk, the packages, the way ------------------------------------------

def test_a_disk_that_takes_nothing(host, store):
    """22: the errno stands in the error itself."""
    host.sh("mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs /etc/docker; head -c 4096 /dev/zero >/etc/docker/full")
    try:
        assert "No space left on device" in last(create(store, host, status=1))
        assert host.active() == "active"
        host.sh("mount -o remount,ro /etc/docker")
        assert "Read-only file system" in last(store.machine("provision", "m", status=1))
        assert host.active() == "active"
    finally:
        host.sh("umount /etc/docker")
    store.machine("provision", "m")


def test_a_firewall(host, store):
    """21"""
    host.sh("iptables -A INPUT -p tcp --dport 2376 -j DROP")
    said = last(create(store, host, status=1))
    assert "firewall" in said and "2376" in said and "SSH works" in said, said
    host.sh("iptables -F INPUT")
    # 57: what went wrong is seen later, too.
    row = store.machine("ls", "-f", "{{.Error}}")
    assert "unfinished: provisioned" in row and "firewall" in row and "\n" not in row.strip(), row


def test_said_before_and_after(host, store):
    """23: what happens to a host that somebody uses; and that it is not deleted."""
    said = create(store, host).splitlines()
    line = next(i for i, s in enumerate(said) if "renamed to m" in s and "restarted" in s and host.address in s)
    assert line < said.index("Provisioning with debian..."), said
    said = store.machine("rm", "-y", "m")
    assert "remote instance" not in said and "stays as it is" in said, said
    assert host.active() == "active"


def test_interrupted_dpkg(rig, store):
    """12"""
    bare = Host(rig, "bare", "debian-12-bare")
    bare.write("/var/lib/dpkg/updates/0001", "Package: sed\nStatus: install ok unpacked\nPriority: required\nSection: utils\n"
               "Maintainer: x <x@x>\nArchitecture: amd64\nVersion: 4.9-1\nDescription: x\n")
    assert "dpkg was interrupted" in bare.sh("apt-get -y install sed 2>&1", check=False)
    create(store, bare, "m", "--engine-install-url", rig.env["RIG_ENGINE_INSTALL_URL"])
    store.machine("config", "m")
    assert bare.sh("ls /var/lib/dpkg/updates") == ""
    wait_until(lambda: bare.active() == "active", 10, "the engine")


# rm -----------------------------------------------------------------------

def damaged(store, name, file, text):
    path = os.path.join(store.store, "machines", name, file)
    if text is None:
        os.unlink(path)
    else:
        with open(path, "w") as f:
            f.write(text)


@pytest.mark.parametrize("file,text", [("config.json", ""), ("config.json", "{\"Driver\": {"), ("config.json", None)])
def test_rm_by_force_of_what_cannot_be_read(rig, store, file, text):
    """32, 34: driver, id and key from whichever file is whole, and no word of success."""
    store.machine("create", "--driver", "digitalocean", *("--" + o for o in store.options()), "h1")
    ids = store.record("h1")["ids"]
    damaged(store, "h1", file, text)
    try:
        store.machine("rm", "-y", "h1", status=1)
        assert store.names() == ["h1"]
        p = store.machine("rm", "-f", "h1")
        assert "Successfully removed" not in p and "Forgot h1" in p, p
        assert store.names() == []
    finally:
        left = rig.cloud()
        rig.clear_cloud()
    assert any(str(ids["machine"]) in line for line in left), left


@pytest.mark.parametrize("text", ["", "{"])
def test_rm_by_config_json_alone(rig, store, text):
    """35: config.json has all that is needed."""
    store.machine("create", "--driver", "digitalocean", *("--" + o for o in store.options()), "h1")
    damaged(store, "h1", "windlass.json", text)
    try:
        assert "h1" in store.machine("ls", "-q")
        assert "Successfully removed h1" in store.machine("rm", "-y", "h1")
        assert store.names() == []
    finally:
        left = rig.cloud()
        rig.clear_cloud()
    assert not left, left


def test_rm_by_force_names_what_is_left(rig, store):
    store.machine("create", "--driver", "digitalocean", *("--" + o for o in store.options()), "h1")
    ids = store.record("h1")["ids"]
    damaged(store, "h1", "config.json", "")
    p = subprocess.run([store.docker_machine, "rm", "-f", "h1"], env=store.environ, text=True, capture_output=True, timeout=60)
    rig.clear_cloud()
    assert f"may still exist in the cloud: digitalocean id {ids['machine']}, key {ids['key']}" in p.stderr, p.stderr
    # Nothing at all is known: not even then is it removed in silence.
    store.machine("create", "--driver", "digitalocean", *("--" + o for o in store.options()), "h2")
    damaged(store, "h2", "config.json", "")
    damaged(store, "h2", "windlass.json", "")
    p = subprocess.run([store.docker_machine, "rm", "-f", "h2"], env=store.environ, text=True, capture_output=True, timeout=60)
    rig.clear_cloud()
    assert "h2 is forgotten, but may still exist in the cloud" in p.stderr and "Successfully" not in p.stdout, p.stderr


@pytest.mark.parametrize("text", ["", None])
def test_idle_machine_without_its_config_json(rig, windlass, text):
    """33, 34: it takes no place of limit for ever; the runner's own account removes it, and another one comes."""
    w = windlass(IdleCount=1)
    w.start()
    machines = os.path.join(w.store, "machines")

    def ready():
        for name in os.listdir(machines) if os.path.isdir(machines) else ():
            with contextlib.suppress(OSError, ValueError), open(os.path.join(machines, name, "windlass.json")) as f:
                if not name.startswith(".") and json.load(f)["phase"] == "ready":
                    return name
        return None

    wait_until(ready, 120, "an idle machine")
    name = ready()
    path = os.path.join(machines, name, "config.json")
    w.stop()
    if text is None:
        os.unlink(path)
    else:
        with open(path, "w") as f:
            f.write(text)
    w.start()
    wait_until(lambda: not os.path.exists(os.path.join(machines, name)), 120, "the damaged machine to go")
    assert not any(name in line for line in rig.cloud()), rig.cloud()
    wait_until(lambda: ready() not in (None, name), 120, "another machine")


def test_rm_of_a_machine_with_a_job(rig, windlass):
    """55: the question names the job; -y is no answer to it; --force is."""
    w = windlass(IdleCount=0)
    w.start()
    job = w.job("echo begun; sleep 300")
    wait_until(lambda: "begun" in rig.trace(job), 120, "the job's first line")
    name = next(iter(os.listdir(os.path.join(w.store, "machines"))))

    def rm(*argv, answer=""):
        return subprocess.run([world.WINDLASS, "machine", "rm", *argv, name], input=answer, text=True, capture_output=True, timeout=60,
                              env={**os.environ, "MACHINE_STORAGE_PATH": w.store})
    p = rm()
    assert p.returncode == 0 and f"runs job {job}" in p.stdout and "Are you sure" in p.stdout, (p.stdout, p.stderr)
    p = rm(answer="n\n")
    assert p.returncode == 0 and f"runs job {job}" in p.stdout
    p = rm("-y")
    assert p.returncode == 1 and "--force" in p.stderr and f"runs job {job}" in p.stdout, (p.stdout, p.stderr)
    assert name in os.listdir(os.path.join(w.store, "machines")) and rig.state(job)["state"] == "running"
    p = rm("--force")
    assert p.returncode == 0 and "Successfully removed" in p.stdout, (p.stdout, p.stderr)
    assert rig.ended(job, 120)["state"] == "failed"


# Certificates -------------------------------------------------------------

def openssl(folder, script):
    p = subprocess.run(["sh", "-ec", script], cwd=folder, text=True, capture_output=True)
    assert p.returncode == 0, (script, p.stdout, p.stderr)
    return p.stdout


def ends(path):
    """notAfter, Unix time."""
    return int(openssl("/", f"date -ud \"$(openssl x509 -noout -enddate -in {path} | cut -d= -f2)\" +%s"))


def test_what_the_docker_client_would_say(host, store):
    """26: a certificate for another address, an authority that is another, are told by env, config and ls, with the way out."""
    create(store, host)
    directory = os.path.join(store.store, "machines", "m")
    openssl(directory, """printf 'subjectAltName=IP:192.0.2.77,DNS:m,DNS:localhost\\nextendedKeyUsage=serverAuth\\n' >x
        openssl req -new -key server-key.pem -subj /O=m -out r
        openssl x509 -req -in r -CA ca.pem -CAkey ../../certs/ca-key.pem -set_serial 99 -days 30 -extfile x -out server.pem 2>/dev/null; rm r x""")
    host.write("/etc/docker/server.pem", open(os.path.join(directory, "server.pem")).read())
    host.sh("systemctl restart docker")
    for command in (["env", "m"], ["config", "m"]):
        said = store.machine(*command, status=1)
        assert "192.0.2.77" in said and host.address in said and "regenerate-certs m" in said, said
    row = store.machine("ls", "-f", "{{.State}} {{.DockerVersion}} {{.Error}}")
    assert row.startswith("Running v") and "regenerate-certs m" in row, row
    assert store.machine("ssh", "m", "true") == ""
    store.machine("regenerate-certs", "-f", "m")
    store.machine("env", "m")
    assert store.machine("ls", "-f", "{{.Error}}").strip() == ""


def test_our_own_certificate_has_expired(host, store):
    """29"""
    create(store, host)
    certs, directory = os.path.join(store.store, "certs"), os.path.join(store.store, "machines", "m")
    openssl(certs, f"""printf 'extendedKeyUsage=clientAuth\\n' >x; openssl req -new -key key.pem -subj /O=me -out r
        openssl x509 -req -in r -CA ca.pem -CAkey ca-key.pem -set_serial 7 -days 0 -extfile x -out cert.pem 2>/dev/null; rm r x; sleep 1.1
        cp cert.pem {directory}/cert.pem""")
    for said in (store.machine("ls", "-f", "{{.Error}}"), store.machine("config", "m", status=1)):
        assert "our client certificate" in said and "expired on 2" in said and "regenerate-certs m" in said, said
    store.machine("regenerate-certs", "-f", "m")
    store.machine("config", "m")


def cut_short(store, days):
    """The authority's certificate anew, with its own key, and another end."""
    openssl(os.path.join(store, "certs"), f"openssl x509 -in ca.pem -signkey ca-key.pem -days {days} -out new.pem 2>/dev/null; mv new.pem ca.pem")


def test_machines_made_before_and_after(host, store):
    """27: renewed when it is next needed. The docker client and our own commands work with the machine from before and the one from after."""
    create(store, host)
    cut_short(store.store, 5)
    old = os.path.join(store.store, "machines", "m")
    openssl(old, "cp ../../certs/ca.pem ca.pem")
    host.write("/etc/docker/ca.pem", open(os.path.join(old, "ca.pem")).read())
    host.sh("systemctl restart docker")
    row = store.machine("ls", "-f", "{{.Error}}")
    assert "end on 20" in row and "regenerate-certs m" in row, row
    p = subprocess.run([store.docker_machine, "ls"], env=store.environ, text=True, capture_output=True, timeout=60)
    assert "WARNING: the certificate authority" in p.stderr and "ends on 20" in p.stderr, p.stderr
    store.machine("create", "--driver", "digitalocean", *("--" + o for o in store.options()), "after")
    authority, after = os.path.join(store.store, "certs", "ca.pem"), os.path.join(store.store, "machines", "after")
    assert ends(authority) - ends(os.path.join(old, "ca.pem")) > 900 * 86400
    for name in ("server.pem", "cert.pem"):
        assert ends(os.path.join(after, name)) <= ends(authority)

    def docker(certificates, address):
        # A client of Go's; and each machine with the files of the other, since they are one authority.
        return subprocess.run(["docker", "--tlsverify", *(f"--tls{o}={certificates}/{f}.pem" for o, f in
                               (("cacert", "ca"), ("cert", "cert"), ("key", "key"))), "-H", f"tcp://{address}:2376", "version"],
                              env={"HOME": store.folder, "PATH": os.environ["PATH"]}, text=True, capture_output=True, timeout=60)
    for certificates in (old, after, os.path.join(store.store, "certs")):
        for address in (host.address, store.machine("ip", "after").strip()):
            p = docker(certificates, address)
            assert p.returncode == 0, (certificates, address, p.stdout, p.stderr)
    store.machine("config", "m")
    store.machine("config", "after")
    store.machine("regenerate-certs", "-f", "m")
    assert ends(os.path.join(old, "server.pem")) - ends(os.path.join(old, "ca.pem")) <= 0
    assert store.machine("ls", "-f", "{{.Error}}").strip() == ""
    store.machine("rm", "-y", "after")


def test_authority_is_renewed_under_a_job(rig, windlass):
    """27, 28: a pool machine from before goes on with its job, is then replaced by one that lives longer, and all is said."""
    w = windlass(IdleCount=1, limit=2, IdleTime=600)
    w.start()
    wait_until(lambda: "Machine created" in w.text(), 120, "an idle machine")
    before, = w.machines()
    w.kill()
    w.wait()
    cut_short(w.store, 5)
    old = os.path.join(w.store, "machines", before)
    openssl(old, "cp ../../certs/ca.pem ca.pem")
    subprocess.run([world.WINDLASS, "machine", "ssh", before, "cat >/etc/docker/ca.pem; systemctl restart docker"], timeout=60, check=True,
                   env=w.environ, stdin=open(os.path.join(old, "ca.pem")))
    said = w.run("check", "--config", w.config)
    assert "warning: the certificate authority" in said and "ends on 20" in said, said
    assert "the certificate authority" in w.run("ls", check=False, WINDLASS_STATE_DIR=w.state).stderr
    job = w.job("echo begun; sleep 45; echo all of it")
    w.start()
    authority = os.path.join(w.store, "certs", "ca.pem")
    wait_until(lambda: "begun" in rig.trace(job), 120, "the job's first line")
    wait_until(lambda: ends(authority) - ends(os.path.join(old, "ca.pem")) > 900 * 86400, 60, "the authority renewed")
    assert w.machines()[0] == before or before in w.machines()
    ended = rig.ended(job, 120)
    assert ended["state"] == "success" and "all of it" in rig.trace(job), rig.trace(job)
    wait_until(lambda: before not in w.machines(), 120, "the old machine gone")
    wait_until(lambda: w.machines() and os.path.exists(os.path.join(w.store, "machines", w.machines()[0], "server.pem")), 120, "a new one")
    assert ends(os.path.join(w.store, "machines", w.machines()[0], "server.pem")) <= ends(authority)
    for line in ("Certificate authority ends soon", "Certificate authority was renewed", "certificates end soon"):
        assert line in w.text(), line
    again = w.job("echo on the new one")
    assert rig.ended(again, 120)["state"] == "success"
