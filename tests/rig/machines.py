"""Machines: Debian systems in systemd-nspawn, as a cloud would start them.

Each has its own network namespace with one address on the world's bridge, a
root file system of its own over the shared trees (base.py), and is booted with
systemd, sshd and, if its image has it, dockerd. All that is known of one lies in
run/machines/N/:

    machine.json    name, image, address, sizes
    boot            the script that boots it; its pid and start time in `booted`
    boot.log        what nspawn had to say
    upper work root the overlay; docker/ is its /var/lib/docker

The cloud doubles call create, boot, power_off, ...; none of them is needed to
clean up: forget_all works from the directories alone.
"""

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time

import base
import world as w

# Image -> (layers over base, /etc/os-release)
DEBIAN, UBUNTU = "debian", "ubuntu"
KINDS = {
    "debian-12-docker": (["docker"], DEBIAN),
    "debian-12-docker-io": (["debian-docker"], DEBIAN),
    "debian-12-bare": ([], DEBIAN),
    "debian-12-x64": ([], DEBIAN),
    "ubuntu-24-04-x64": ([], UBUNTU),
    "ubuntu-22-04-x64": ([], UBUNTU),
    "ubuntu-24-04-docker": (["docker"], UBUNTU),
}

_UBUNTU_NAMES = {"ubuntu-22-04": ("22.04", "jammy", "Jammy Jellyfish"),
                 "ubuntu-24-04": ("24.04", "noble", "Noble Numbat")}


_APT_LOCK = """#!/usr/bin/perl
# Holds what apt-get and dpkg lock, as they do it, for some seconds.
use strict;
use Fcntl;
my @kept;
for my $name (qw(/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock)) {
	open(my $file, '>>', $name) or die "$name: $!";
	my $lock = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0);
	fcntl($file, F_SETLK, $lock) or die "$name: $!";
	push @kept, $file;
}
sleep %d;
"""


class Machine:
    def __init__(self, world, number):
        self.world = world
        self.number = int(number)
        self.dir = world.path("machines", str(number))
        self.netns = f"{world.bridge}-{number}"
        # Interface names have at most 15 characters.
        self.veth = f"wlr{world.number}-{number}"

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def info(self):
        return w.read_json(self.path("machine.json"), {})

    @property
    def address(self):
        return self.info().get("address")

    # Making -------------------------------------------------------------

    def create(self, name, image, keys, address, memory_mb=0, user_data=None, apt_lock=0,
               ssh=True):
        """Lays the machine out; `keys` are authorized_keys lines for root."""
        layers, system = KINDS[image]
        for d in ("upper", "work", "root", "docker"):
            os.makedirs(self.path(d))
        w.write_json(self.path("machine.json"),
                     {"number": self.number, "name": name, "image": image,
                      "address": address, "memory_mb": memory_mb})
        self._personalise(name, image, system, keys, user_data, apt_lock, ssh)
        trees = base.Trees(self.world.trees)
        lower = ":".join([os.path.join(trees.root, n) for n in layers] + [trees.base])
        w.sh("mount", "-t", "overlay", f"rig-{self.number}", "-o",
             f"lowerdir={lower},upperdir={self.path('upper')},workdir={self.path('work')}",
             self.path("root"))
        self._network(address)

    def _personalise(self, name, image, system, keys, user_data, apt_lock, ssh):
        gateway = self.world.address
        host = name.split(".")[0]
        self._file("etc/hostname", host + "\n")
        self._file("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name} {host}\n"
                   "::1 localhost ip6-localhost ip6-loopback\n")
        self._file("etc/resolv.conf", f"nameserver {gateway}\noptions timeout:2 attempts:1\n")
        self._file("etc/machine-id", os.urandom(16).hex() + "\n", 0o444)
        self._file("etc/apt/sources.list",
                   f"deb [trusted=yes] http://{gateway}:{w.PORTS['http']}/debian "
                   f"{base.SUITE} main\n")
        if system == UBUNTU:
            version, code, title = _UBUNTU_NAMES["-".join(image.split("-")[:3])]
            self._file("etc/os-release",
                       f'PRETTY_NAME="Ubuntu {version} LTS"\nNAME="Ubuntu"\n'
                       f'VERSION_ID="{version}"\nVERSION="{version} LTS ({title})"\n'
                       f"VERSION_CODENAME={code}\nID=ubuntu\nID_LIKE=debian\n"
                       'HOME_URL="https://www.ubuntu.com/"\n'
                       f"UBUNTU_CODENAME={code}\n")
        if keys:
            self._file("root/.ssh/authorized_keys", "".join(k.rstrip("\n") + "\n" for k in keys),
                       0o600, 0o700)
        os.makedirs(self.path("upper/root"), exist_ok=True)
        os.chmod(self.path("upper/root"), 0o700)
        # People come in by a door of their own (`rig machine NAME ssh`): a
        # client that uses a wrong key must still fail.
        own = self.world.path("rig_key.pub")
        if os.path.exists(own):
            self._file("etc/ssh/rig_keys", open(own).read())
            self._file("etc/ssh/sshd_config.d/people.conf",
                       "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/rig_keys\n")
        if not ssh:
            os.makedirs(self.path("upper/etc/systemd/system"), exist_ok=True)
            for unit in ("ssh.service", "ssh.socket"):
                os.symlink("/dev/null", self.path("upper/etc/systemd/system", unit))
        if user_data:
            # Like cloud-init: scripts run once, anything else is only kept.
            runnable = user_data.startswith("#!")
            self._file("var/lib/cloud/user-data", user_data, 0o700)
            if not runnable:
                self._file("var/lib/cloud/done", "")
        if apt_lock:
            self._file("usr/local/sbin/rig-apt-lock", _APT_LOCK % int(apt_lock), 0o755)
            self._file("etc/systemd/system/rig-apt-lock.service",
                       "[Unit]\nDescription=First-boot updates that hold apt's locks\n"
                       "DefaultDependencies=no\nBefore=ssh.service\n"
                       "After=local-fs.target systemd-tmpfiles-setup.service\n"
                       "[Service]\nExecStart=/usr/local/sbin/rig-apt-lock\n")
            wants = self.path("upper/etc/systemd/system/sysinit.target.wants")
            os.makedirs(wants, exist_ok=True)
            os.symlink("/etc/systemd/system/rig-apt-lock.service",
                       os.path.join(wants, "rig-apt-lock.service"))
        makers = []
        for kind, bits in (("ecdsa", "256"), ("ed25519", None), ("rsa", "2048")):
            argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", host,
                    "-f", self.path("upper/etc/ssh", f"ssh_host_{kind}_key")]
            os.makedirs(self.path("upper/etc/ssh"), exist_ok=True)
            makers.append(subprocess.Popen(argv + (["-b", bits] if bits else []),
                                           stdin=subprocess.DEVNULL))
        if any(m.wait() for m in makers):
            raise w.Error(f"ssh-keygen for machine {name} failed")

    def _file(self, path, text, mode=0o644, dir_mode=0o755):
        path = self.path("upper", path)
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            os.makedirs(parent, mode=0o755)
            os.chmod(parent, dir_mode)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def _network(self, address):
        gateway = self.world.address
        w.sh("ip", "netns", "add", self.netns)
        batch = (f"link add {self.veth} type veth peer name eth0 netns {self.netns}\n"
                 f"link set {self.veth} master {self.world.bridge} up\n")
        inner = (f"address add {address}/24 dev eth0\nlink set eth0 up\nlink set lo up\n"
                 f"route add default via {gateway}\n")
        for argv, text in ((["ip", "-batch", "-"], batch),
                           (["ip", "-n", self.netns, "-batch", "-"], inner)):
            p = subprocess.run(argv, input=text, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
            if p.returncode:
                raise w.Error(f"machine {self.number}: {' '.join(argv)}: {p.stdout.strip()}")

    # Power --------------------------------------------------------------

    def boot(self):
        groups = w.make_cgroup(self.world.cgroups, str(self.number))
        self._limit_memory(groups)
        w.sh("ip", "link", "set", self.veth, "up", check=False)
        join = "".join(f"echo $$ > {shlex.quote(g)}/cgroup.procs || exit 1\n" for g in groups)
        root, docker = (shlex.quote(self.path(n)) for n in ("root", "docker"))
        # nspawn exits with 133 when the machine wants to be booted again.
        script = (f"#!/bin/sh\n# Boots machine {self.number}. Made by machines.py.\n{join}"
                  "while :; do\n"
                  f"systemd-nspawn --quiet --boot -D {root} \\\n"
                  f"\t--machine={self.netns} --network-namespace-path=/run/netns/{self.netns} \\\n"
                  "\t--register=no --keep-unit --capability=all \\\n"
                  "\t--system-call-filter='@keyring bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self' --console=passive \\\n"
                  "\t--resolv-conf=off --timezone=off --link-journal=no \\\n"
                  f"\t--hostname={self.info()['name'].split('.')[0]} \\\n"
                  # Debian 13's systemd boots on control groups of version 1 only if told to.
                  "\t--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \\\n"
                  f"\t--bind={docker}:/var/lib/docker\n"
                  "[ $? = 133 ] || exit 0\ndone\n")
        with open(self.path("boot"), "w") as f:
            f.write(script)
        with open(self.path("boot.log"), "ab") as log:
            child = subprocess.Popen(["/bin/sh", self.path("boot")], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, start_new_session=True,
                                     cwd="/", env={"PATH": os.environ.get("PATH", "/usr/bin"),
                                                   "LC_ALL": "C"})
        w.write_json(self.path("booted"), {"pid": child.pid, "start": w.start_time(child.pid)})
        # Reaped here as long as we live, by init afterwards.
        threading.Thread(target=child.wait, daemon=True).start()

    def _limit_memory(self, groups):
        limit = self.info().get("memory_mb")
        if not limit:
            return
        for group in groups:
            for name in ("memory.limit_in_bytes", "memory.max"):
                path = os.path.join(group, name)
                if os.path.exists(path):
                    with open(path, "w") as f:
                        f.write(str(limit << 20))

    def on(self):
        booted = w.read_json(self.path("booted"), {})
        return w.alive(booted.get("pid"), booted.get("start"))

    def leader(self):
        """The machine's first process, as seen from here; None when it is off."""
        booted = w.read_json(self.path("booted"), {})
        if not w.alive(booted.get("pid"), booted.get("start")):
            return None
        nspawn = _child(booted["pid"], "systemd-nspawn")
        # Between fork and exec the child still has nspawn's name.
        return _child(nspawn, "systemd") if nspawn else None

    def groups(self):
        return [os.path.join(b, str(self.number)) for b in self.world.cgroups]

    def power_off(self):
        """As pulling the plug: nothing inside gets to run again."""
        w.kill_cgroups(self.groups())
        w.remove_cgroups(self.groups())

    def signal(self, number):
        leader = self.leader()
        if leader:
            os.kill(leader, number)

    def shutdown(self):
        # What systemd takes for "power off" and, below, for "reboot".
        self.signal(signal.SIGRTMIN + 4)

    def reboot(self):
        self.signal(signal.SIGRTMIN + 5)

    def unplug(self):
        w.sh("ip", "link", "set", self.veth, "down")

    def plug(self):
        w.sh("ip", "link", "set", self.veth, "up")

    def die(self):
        """The host burns: no packet leaves any more, not even a reset."""
        w.sh("ip", "link", "set", self.veth, "down", check=False)
        self.power_off()

    def freeze(self):
        for group in self.groups():
            w.freeze(group)

    def thaw(self):
        for group in self.groups():
            w.thaw(group)

    def enter(self, argv):
        """The argument list that runs `argv` inside the machine."""
        leader = self.leader()
        if not leader:
            raise w.Error(f"machine {self.info().get('name')} is off")
        return ["nsenter", "--target", str(leader), "--mount", "--uts", "--ipc", "--net",
                "--pid", "--cgroup", "--root", "--wd", "env", "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root", "LC_ALL=C.UTF-8",
                f"TERM={os.environ.get('TERM', 'dumb')}", *argv]

    # The end ------------------------------------------------------------

    def destroy(self):
        self.power_off()
        w.sh("ip", "link", "delete", self.veth, check=False)
        w.sh("ip", "netns", "delete", self.netns, check=False)
        base.unmount_below(self.dir)
        # Out of sight at once; the deleting itself may take a moment.
        trash = self.world.path("machines", f".gone-{self.number}-{time.monotonic_ns()}")
        try:
            os.rename(self.dir, trash)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)


def _child(parent, comm):
    if not parent:
        return None
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as f:
            pids = [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return None
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == comm[:15]:
                    return pid
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def all_of(world):
    top = world.path("machines")
    if not os.path.isdir(top):
        return []
    return [Machine(world, n) for n in sorted(os.listdir(top), key=lambda n: n.zfill(12))
            if n.isdigit()]


def by_name(world, name):
    found = [m for m in all_of(world)
             if name in (m.info().get("name"), str(m.number), m.address)]
    if not found:
        known = ", ".join(m.info().get("name", "?") for m in all_of(world)) or "none at all"
        raise w.Error(f"no machine {name!r} in this world; there is {known}")
    return found[-1]


def forget_all(world):
    for machine in all_of(world):
        machine.destroy()
    top = world.path("machines")
    if os.path.isdir(top):
        base.unmount_below(top)
        shutil.rmtree(top, ignore_errors=True)
