"""`windlass adopt`: a bastion that gitlab-runner and docker-machine have worked on goes over to windlass, and could go back.

The store is as docker-machine 0.16.2 leaves it: config.json byte for byte in its form, RSA certificates, a drop-in on
the machine. (What that program itself makes and reads was compared by hand.)
"""

import hashlib
import json
import os
import signal
import subprocess
import time

import pytest

import world
from operator_host import Terminal
from pki import Pki, run
from world import wait_until

# What the original wrote for `create --driver digitalocean` and two engine options; the values of a machine are put in.
CONFIG_JSON = """{
    "ConfigVersion": 3,
    "Driver": {
        "IPAddress": "@IP@",
        "MachineName": "@NAME@",
        "SSHUser": "root",
        "SSHPort": 22,
        "SSHKeyPath": "@STORE@/machines/@NAME@/id_rsa",
        "StorePath": "@STORE@",
        "SwarmMaster": false,
        "SwarmHost": "tcp://0.0.0.0:3376",
        "SwarmDiscovery": "",
        "AccessToken": "@TOKEN@",
        "DropletID": @DROPLET@,
        "DropletName": "",
        "Image": "debian-12-docker",
        "Region": "fra1",
        "SSHKeyID": @KEY@,
        "SSHKeyFingerprint": "",
        "SSHKey": "",
        "Size": "s-1vcpu-1gb",
        "IPv6": false,
        "Backups": false,
        "PrivateNetworking": false,
        "UserDataFile": "",
        "Monitoring": false,
        "Tags": ""
    },
    "DriverName": "@DRIVER@",
    "HostOptions": {
        "Driver": "",
        "Memory": 0,
        "Disk": 0,
        "EngineOptions": {
            "ArbitraryFlags": [],
            "Dns": null,
            "GraphDir": "",
            "Env": [],
            "Ipv6": false,
            "InsecureRegistry": [
                "@REGISTRY@"
            ],
            "Labels": [],
            "LogLevel": "",
            "StorageDriver": "",
            "SelinuxEnabled": false,
            "TlsVerify": true,
            "RegistryMirror": [],
            "InstallURL": "https://get.docker.com"
        },
        "SwarmOptions": {
            "IsSwarm": false,
            "Address": "",
            "Discovery": "",
            "Agent": false,
            "Master": false,
            "Host": "tcp://0.0.0.0:3376",
            "Image": "swarm:latest",
            "Strategy": "spread",
            "Heartbeat": 0,
            "Overcommit": 0,
            "ArbitraryFlags": [],
            "ArbitraryJoinFlags": [],
            "Env": null,
            "IsExperimental": false
        },
        "AuthOptions": {
            "CertDir": "@STORE@/certs",
            "CaCertPath": "@STORE@/certs/ca.pem",
            "CaPrivateKeyPath": "@STORE@/certs/ca-key.pem",
            "CaCertRemotePath": "",
            "ServerCertPath": "@STORE@/machines/@NAME@/server.pem",
            "ServerKeyPath": "@STORE@/machines/@NAME@/server-key.pem",
            "ClientKeyPath": "@STORE@/certs/key.pem",
            "ServerCertRemotePath": "",
            "ServerKeyRemotePath": "",
            "ClientCertPath": "@STORE@/certs/cert.pem",
            "ServerCertSANs": [],
            "StorePath": "@STORE@/machines/@NAME@"
        }
    },
    "Name": "@NAME@"
}"""

DROP_IN = """[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver overlay2 --tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem --label provider=digitalocean --insecure-registry @REGISTRY@
Environment=
"""


class Original:
    """A store, and machines in it, as docker-machine makes them."""

    def __init__(self, rig, folder, store):
        self.rig, self.folder, self.store = rig, folder, store
        self.pki = Pki(folder)
        os.makedirs(os.path.join(store, "certs"), mode=0o700)
        os.makedirs(os.path.join(store, "machines"), mode=0o700)
        usage = "keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement"
        self.ca = self.pki.issue("/O=unknown", key="rsa2048", ext=f"basicConstraints=critical,CA:TRUE\n{usage},keyCertSign\n")
        self.client = self.pki.issue("/O=unknown.<bootstrap>", self.ca, key="rsa2048",
                                     ext="basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n")
        self.put_pair("certs", self.ca, "ca.pem", "ca-key.pem")
        self.put_pair("certs", self.client, "cert.pem", "key.pem")

    def put(self, path, text, mode=0o600):
        path = os.path.join(self.store, path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        os.chmod(path, mode)

    def put_pair(self, where, cert, crt, key):
        self.put(f"{where}/{crt}", cert.pem(), 0o644)
        if key:
            self.put(f"{where}/{key}", run("openssl", "rsa", "-traditional", "-in", cert.key).split("writing RSA key\n")[-1])

    def describe(self, name, ip="192.0.2.1", droplet=1, key=1, driver="digitalocean"):
        text = CONFIG_JSON
        for what, value in {"IP": ip, "NAME": name, "STORE": self.store, "TOKEN": self.rig.env["RIG_DO_TOKEN"], "DROPLET": droplet, "KEY": key,
                            "DRIVER": driver, "REGISTRY": self.rig.env["RIG_REGISTRY"]}.items():
            text = text.replace(f"@{what}@", str(value))
        self.put(f"machines/{name}/config.json", text)
        self.put_pair(f"machines/{name}", self.ca, "ca.pem", None)
        self.put_pair(f"machines/{name}", self.client, "cert.pem", "key.pem")

    def create(self, name):
        """A living machine; its droplet's number."""
        at = os.path.join(self.store, "machines", name)
        os.makedirs(at, mode=0o700)
        run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-C", "", "-f", os.path.join(at, "id_rsa"))
        with open(os.path.join(at, "id_rsa.pub"), encoding="ascii") as f:
            key = self.rig.api("POST", "/v2/account/keys", {"name": name, "public_key": f.read().strip()})["ssh_key"]["id"]
        droplet = self.rig.api("POST", "/v2/droplets", {"name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-docker",
                                                        "ssh_keys": [key]})["droplet"]["id"]

        def address():
            d = self.rig.api("GET", f"/v2/droplets/{droplet}")["droplet"]
            return [n["ip_address"] for n in d["networks"]["v4"] if n["type"] == "public"]

        ip = wait_until(address, 60, "the droplet's address")[0]
        self.describe(name, ip, droplet, key)
        server = self.pki.issue(f"/O=unknown.{name}", self.ca, key="rsa2048",
                                ext="basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment,keyAgreement\n"
                                f"extendedKeyUsage=serverAuth\nsubjectAltName=IP:{ip},DNS:localhost\n")
        self.put_pair(f"machines/{name}", server, "server.pem", "server-key.pem")
        self.provision(name, ip)
        return droplet

    def provision(self, name, ip):
        at = os.path.join(self.store, "machines", name)
        ssh = ["ssh", "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
               "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-i", os.path.join(at, "id_rsa"), f"root@{ip}"]
        wait_until(lambda: subprocess.run([*ssh, "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL).returncode == 0, 90, "SSH of the machine")
        script = "set -e\nmkdir -p /etc/docker /etc/systemd/system/docker.service.d\n"
        for file, to in (("ca.pem", "ca.pem"), ("server.pem", "server.pem"), ("server-key.pem", "server-key.pem")):
            with open(os.path.join(at, file), encoding="ascii") as f:
                script += f"cat >/etc/docker/{to} <<'EOF'\n{f.read()}\nEOF\n"
        drop_in = DROP_IN.replace("@REGISTRY@", self.rig.env["RIG_REGISTRY"])
        script += f"cat >/etc/systemd/system/docker.service.d/10-machine.conf <<'EOF'\n{drop_in}EOF\nsystemctl daemon-reload\nsystemctl restart docker\n"
        p = subprocess.run([*ssh, "sh"], input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
        assert p.returncode == 0, p.stdout

    def sums(self):
        """Every file but those that windlass may write."""
        out = {}
        for folder, _, files in os.walk(self.store):
            for name in files:
                if name not in ("windlass.json", "windlass-state", "lock"):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        out[os.path.relpath(path, self.store)] = (hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_mode)
        return out


def record(w, name):
    with open(os.path.join(w.store, "machines", name, "windlass.json")) as f:
        return json.load(f)


def records(w):
    return [n for n in w.machines() if os.path.exists(os.path.join(w.store, "machines", n, "windlass.json"))]


@pytest.fixture
def bastion(rig, windlass, tmp_path):
    """A windlass that has not begun, over a store of the original's."""
    w = windlass(MachineName="auto-%s", IdleTime=600)
    w.environ.update(DIGITALOCEAN_API_URL=rig.env["RIG_DO_URL"], DIGITALOCEAN_API_CA_FILE=rig.env["RIG_CA_FILE"])
    pki = tmp_path / "pki"
    pki.mkdir()
    w.original = Original(rig, pki, w.store)
    w.adopt = lambda *argv, **more: w.run("adopt", "--config", w.config, "--state-dir", w.state, *argv, check=False, **more)
    # Its machines' names begin with its runner's token.
    said = w.adopt("--offline").stdout
    w.prefix = said.split("machines named ")[1].split("*")[0]
    return w


def fates(p):
    return {m["name"]: m["fate"] for m in json.loads(p.stdout)["machines"]}


def test_over_and_back(bastion, rig):
    w, original = bastion, bastion.original
    live = f"{w.prefix}{int(time.time())}-9f3a01bc"
    dead = f"{w.prefix}1772445600-0c77aa12"
    amazon = f"{w.prefix}1772445601-0c77aa12"
    droplet = original.create(live)
    original.describe(dead, droplet=7)
    original.describe(amazon, driver="amazonec2")
    original.describe("stranger", droplet=8)
    before = original.sums()

    # gitlab-runner still works on the file: nothing may be done.
    old = subprocess.Popen(["gitlab-runner", "-s", "run", "--config", w.config], executable="/bin/bash", stdin=subprocess.PIPE)
    try:
        p = w.adopt("--yes", "--offline")
        assert p.returncode == 1 and f"kill -QUIT {old.pid} " in p.stdout and "Nothing was changed: gitlab-runner still works" in p.stdout, p.stdout + p.stderr
    finally:
        old.stdin.close()
        old.wait(30)
    assert records(w) == []

    # A look, for machines and for people. Without a terminal it stays at that.
    p = w.adopt("--json")
    assert p.returncode == 0, p.stderr
    assert fates(p) == {live: "take", dead: "take", amazon: "no_driver", "stranger": "foreign"}
    seen = {m["name"]: m for m in json.loads(p.stdout)["machines"]}
    assert seen[live]["engine_answers"] and seen[live]["cloud"] == "Running" and seen[live]["runner"]
    assert not seen[dead]["engine_answers"] and seen[dead]["cloud"] == "does not know it"
    assert json.loads(p.stdout)["certificates"]["authority"] == "RSA 2048"
    p = w.adopt()
    assert p.returncode == 0 and "2 machines would be taken over" in p.stdout, p.stdout
    assert "answers with the certificates of the store, Docker " in p.stdout and "docker-machine rm NAME" in p.stdout
    argv = [world.WINDLASS, "adopt", "--config", w.config, "--state-dir", w.state, "--offline"]
    t = Terminal(w, *argv, **w.environ)
    t.answer("Take over 2 machines? (y/n): ", "n")
    assert t.end() == 0 and "Nothing was changed" in t.seen
    assert records(w) == [] and not os.path.exists(w.state)

    # It dies half way; the next one finishes; one more finds nothing to do.
    p = w.adopt("--yes", "--offline", WINDLASS_CRASH_AT="adopt:recorded")
    assert p.returncode == -signal.SIGKILL and len(records(w)) == 1
    p = w.adopt("--yes", "--offline")
    assert p.returncode == 0 and "Taken over: 1 machine (1 was windlass's already, 0 failed)" in p.stdout, p.stdout
    assert records(w) == sorted([live, dead])
    kept = record(w, live)
    assert kept["uses"] == 1 and kept["phase"] == "ready"
    p = w.adopt("--offline")
    assert p.returncode == 0 and "There is nothing to take over." in p.stdout
    p = w.adopt("--json", "--offline")
    assert fates(p) == {live: "ours", dead: "ours", amazon: "no_driver", "stranger": "foreign"}
    assert record(w, live) == kept and original.sums() == before

    # The machine is used like one of ours.
    subprocess.run(["rm", "-r", os.path.join(w.store, "machines", dead)], check=True)
    before = original.sums()
    w.start()
    job = w.job("echo on an old machine")
    assert rig.ended(job, 120)["state"] == "success", rig.trace(job)
    wait_until(lambda: record(w, live)["uses"] == 2, 30, "the use written down")
    w.kill(signal.SIGQUIT)
    assert w.wait() == 0
    # Here one could go back: all that the original reads is as it was.
    assert original.sums() == before
    assert [d["id"] for d in rig.api("GET", "/v2/droplets?per_page=200")["droplets"] if d["name"].startswith(w.prefix)] == [droplet]

    # And it is removed like one of ours, by the ids that the original wrote; what is nobody's stays.
    w.write_config(IdleTime=1)
    w.start()
    wait_until(lambda: live not in w.machines(), 60, "the machine removed")
    assert w.in_cloud() == []
    w.kill(signal.SIGQUIT)
    assert w.wait() == 0
    rest = {k: v for k, v in before.items() if live not in k}
    assert original.sums() == rest and "machines/stranger/config.json" in rest


def test_not_here(bastion):
    """What is missing or broken is named, and nothing is made."""
    w = bastion
    p = w.run("adopt", "--config", w.config + ".not", check=False)
    assert p.returncode == 1 and "config.toml.not" in p.stderr
    p = w.adopt("--storage-path", w.folder + "/nowhere")
    assert p.returncode == 1 and "there is no store" in p.stderr and "--storage-path" in p.stderr
    with open(w.config, "a") as f:
        f.write("not toml\n")
    p = w.adopt("--yes")
    assert p.returncode == 1 and "would not run with this config.toml" in p.stdout
    assert not os.path.exists(w.state)
