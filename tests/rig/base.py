"""The trees that machines and images are made of.

One Debian system is downloaded and unpacked once and kept in
build/rig-cache, under a key made of everything that decides its content. It
has a common base and layers on top, which overlayfs puts together:

    base    debootstrap's minbase with systemd, dbus, sshd, iptables, sudo
    docker  what installing docker.io adds to base, and dockerd where Docker's
            own packages have it
    debian-docker  the same as Debian has it: dockerd in /usr/sbin alone
    tools   what git, git-lfs, busybox and dumb-init add to base; no machine
            has it, images.py copies files out of it

Packages come from wherever this machine's own apt gets them (its sources,
proxies and credentials), by way of a private apt state that leaves the
system's alone. The same .deb files also make up a small archive (`repo`) that
the rig serves to machines which have to install Docker themselves.
"""

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Machines are Debian 12; RIG_SUITE=trixie makes them Debian 13, to see whether windlass minds.
SUITE = os.environ.get("RIG_SUITE") or "bookworm"
ARCH = subprocess.run(["dpkg", "--print-architecture"], check=True,
                      stdout=subprocess.PIPE, text=True).stdout.strip()

# Bump it when the code below makes other trees from the same packages.
RECIPE = "11"

BASE = ("systemd-sysv dbus openssh-server iptables iproute2 sudo "
        "ca-certificates procps").split()
# Its client was part of the first.
DOCKER = ["docker.io"] if SUITE == "bookworm" else ["docker.io", "docker-cli"]
TOOLS = "git git-lfs busybox-static dumb-init".split()
# In the archive only: a bare machine has no curl, so that fetching the
# install script is preceded by installing what fetches it.
EXTRA = ["curl"]

KEEP_DAYS = 14      # trees of another recipe that nobody uses


class Error(Exception):
    pass


def cache_dir():
    return (os.environ.get("RIG_CACHE") or
            os.path.join(HERE, "..", "..", "build", "rig-cache"))


def key():
    """The name of the trees' folder in the cache; the first word is there for whoever looks at it."""
    text = "\n".join([RECIPE, SUITE, ARCH] + BASE + ["-"] + DOCKER + ["-"] +
                     TOOLS + ["-"] + EXTRA)
    return f"{SUITE}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Trees:
    """Paths of the finished trees."""

    def __init__(self, root):
        self.root = root
        self.base = os.path.join(root, "base")
        self.docker = os.path.join(root, "docker")
        self.tools = os.path.join(root, "tools")
        self.repo = os.path.join(root, "repo")

    def find(self, path, layers=("tools", "base")):
        """The file that `path` names in the union of these layers."""
        for layer in layers:
            p = os.path.join(self.root, layer, path.lstrip("/"))
            if os.path.lexists(p):
                return p
        return None


def get(log=lambda text: None):
    """Returns the trees, making them first if need be (one maker at a time)."""
    cache = os.path.realpath(cache_dir())
    os.makedirs(cache, exist_ok=True)
    trees = Trees(os.path.join(cache, key()))
    if _mark(trees):
        return trees
    with open(os.path.join(cache, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _mark(trees):
            _make(cache, trees, log)
    return trees


def _mark(trees):
    """Whether the trees are there; if so their mark says that they were used just now."""
    try:
        os.utime(os.path.join(trees.root, "complete"))
        return True
    except OSError:
        return False


def _make(cache, trees, log):
    started = time.monotonic()
    work = trees.root + ".new"
    unmount_below(work)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    new = Trees(work)
    log(f"making the Debian {SUITE} trees (once; kept in {cache})")
    debs = _download(cache, work, log)
    _archive(debs, new.repo)
    shutil.rmtree(os.path.join(work, "archives"))
    log("unpacking the base system")
    _debootstrap(new)
    for name, packages in (("docker", DOCKER), ("tools", TOOLS)):
        log(f"installing {' '.join(packages)}")
        _layer(new, name, packages)
    _as_dockers_own(new)
    with open(os.path.join(work, "complete"), "w") as f:
        f.write(f"{SUITE} {ARCH}\n")
    shutil.rmtree(trees.root, ignore_errors=True)
    os.rename(work, trees.root)
    _forget_old(cache, trees)
    log(f"trees ready after {time.monotonic() - started:.0f} s")


def _forget_old(cache, trees):
    """Trees of other recipes go when nobody has used them for some days (clones of several ages may share a cache) and no world stands on them."""
    with open("/proc/self/mountinfo") as f:
        used = f.read()
    for name in os.listdir("/sys/class/net"):
        if name.startswith("wlrig"):
            try:
                with open(f"/sys/class/net/{name}/ifalias") as f:
                    world = os.path.join(f.read().strip(), "world.json")
                with open(world) as f:
                    used += f.read().replace('"', "/")
            except OSError:
                pass
    for name in os.listdir(cache):
        path = os.path.join(cache, name)
        if not re.fullmatch(r"([a-z]+-)?[0-9a-f]{12}(\.new)?", name) or path == trees.root or path + "/" in used:
            continue
        mark = os.path.join(path, "complete")
        if time.time() - os.stat(mark if os.path.exists(mark) else path).st_mtime > KEEP_DAYS * 86400:
            shutil.rmtree(path, ignore_errors=True)


# Where packages come from -------------------------------------------------

def _host_release():
    text = open("/etc/os-release").read()
    m = re.search(r'^VERSION_CODENAME="?([a-z]+)', text, re.M)
    return m.group(1) if m else ""


def _one_line(path):
    for line in open(path, errors="replace"):
        m = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]+)*)", line)
        if m:
            options = dict(o.split("=", 1) for o in (m.group(1) or "").split()
                           if "=" in o)
            yield m.group(2), m.group(3), m.group(4).split(), options


def _deb822(path):
    for stanza in re.split(r"\n\s*\n", open(path, errors="replace").read()):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and last:
                fields[last] += "\n" + line
                continue
            name, colon, value = line.partition(":")
            if colon:
                last = name.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = {}
        if fields.get("signed-by", "").startswith("/"):
            options["signed-by"] = fields["signed-by"].strip()
        if "trusted" in fields:
            options["trusted"] = fields["trusted"]
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite, fields.get("components", "").split(), options


def _sources():
    """The lines of a private sources.list: this machine's, in our suite."""
    host = _host_release()
    found = []
    etc = "/etc/apt"
    files = [os.path.join(etc, "sources.list")]
    parts = os.path.join(etc, "sources.list.d")
    if os.path.isdir(parts):
        files += [os.path.join(parts, n) for n in sorted(os.listdir(parts))]
    for path in files:
        if not os.path.isfile(path):
            continue
        read = (_one_line if path.endswith(".list") else
                _deb822 if path.endswith(".sources") else None)
        for uri, suite, components, options in read(path) if read else ():
            stem, rest = re.match(r"([a-z]+)(.*)", suite).groups()
            if (stem not in (host, "stable") or "main" not in components or
                    rest not in ("", "-updates", "-security", "/updates")):
                continue
            if host != SUITE:
                options.pop("signed-by", None)
            options.setdefault("signed-by",
                               "/usr/share/keyrings/debian-archive-keyring.gpg")
            if not os.path.exists(options["signed-by"].split(",")[0]):
                options.pop("signed-by")
            words = " ".join(f"{k}={v}" for k, v in sorted(options.items()))
            line = f"deb [{words}] {uri} {SUITE}{rest} main"
            if line not in found:
                found.append(line)
    if not found:
        raise Error(f"no Debian archive with {host or 'this release'}/main in "
                    "/etc/apt/sources.list or sources.list.d: the rig takes its "
                    "packages from where this machine's apt does")
    return found


def _download(cache, work, log):
    """Fetches every package of every tree; returns (file, description)s."""
    apt = os.path.join(cache, "apt")
    archives = os.path.join(work, "archives")
    os.makedirs(os.path.join(apt, "lists", "partial"), exist_ok=True)
    os.makedirs(os.path.join(archives, "partial"))
    with open(os.path.join(apt, "sources.list"), "w") as f:
        f.write("\n".join(_sources()) + "\n")
    open(os.path.join(apt, "status"), "w").close()
    options = []
    for name, value in {
            "Dir::Etc::SourceList": f"{apt}/sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": apt,
            "Dir::State::Lists": f"{apt}/lists",
            "Dir::State::status": f"{apt}/status",
            "Dir::State::extended_states": f"{apt}/extended_states",
            "Dir::Cache": apt,
            "Dir::Cache::Archives": archives,
            "APT::Install-Recommends": "0",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3"}.items():
        options += ["-o", f"{name}={value}"]
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    log("downloading packages")
    _run(["apt-get", "-q", *options, "update"], env=env)
    wanted = (BASE + DOCKER + TOOLS + EXTRA +
              # What debootstrap insists on besides.
              ["apt", "usr-is-merged", "?essential", "?priority(required)"])
    _run(["apt-get", "-q", "-y", "-d", *options, "install", *wanted], env=env)
    # The archive's own description of a package has its place in the system
    # (Priority, Essential as the archive sees it); the one in the file need not.
    known = {}
    for stanza in _run(["apt-cache", *options, "dumpavail"], env=env).split("\n\n"):
        sha = re.search(r"^SHA256: (\w+)$", stanza, re.M)
        if sha:
            known[sha.group(1)] = stanza.strip("\n")
    debs = []
    for name in sorted(os.listdir(archives)):
        if name.endswith(".deb"):
            path = os.path.join(archives, name)
            sha = hashlib.sha256(open(path, "rb").read()).hexdigest()
            if sha not in known:
                raise Error(f"{name} is not what the archive describes")
            debs.append((path, known[sha]))
    return debs


def _archive(debs, repo):
    """Lays the files out as a Debian archive that apt and debootstrap read."""
    pool = os.path.join(repo, "pool")
    dist = os.path.join(repo, "dists", SUITE)
    binary = os.path.join(dist, "main", f"binary-{ARCH}")
    os.makedirs(pool)
    os.makedirs(binary)
    index = []
    for deb, stanza in debs:
        # Colons (epochs) come percent-encoded from apt; URLs dislike both.
        name = os.path.basename(deb).replace("%3a", "-")
        os.rename(deb, os.path.join(pool, name))
        index.append(re.sub(r"^Filename: .*$", f"Filename: pool/{name}", stanza,
                            flags=re.M) + "\n")
    # debootstrap overlooks a stanza that no empty line follows.
    text = "\n".join(index + [""]).encode()
    files = {"Packages": text, "Packages.gz": gzip.compress(text, 6)}
    sums = {"MD5Sum": hashlib.md5, "SHA256": hashlib.sha256}
    release = (f"Origin: rig\nLabel: rig\nSuite: {SUITE}\nCodename: {SUITE}\n"
               f"Architectures: {ARCH}\nComponents: main\n"
               f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S UTC', time.gmtime())}\n")
    for title, algorithm in sums.items():
        release += f"{title}:\n"
        for name, data in files.items():
            release += (f" {algorithm(data).hexdigest()} {len(data)} "
                        f"main/binary-{ARCH}/{name}\n")
    for name, data in files.items():
        with open(os.path.join(binary, name), "wb") as f:
            f.write(data)
    with open(os.path.join(dist, "Release"), "w") as f:
        f.write(release)


# Unpacking ----------------------------------------------------------------

def _debootstrap(trees):
    root = trees.base
    os.makedirs(root)
    _write(root, "etc/dpkg/dpkg.cfg.d/rig", "force-unsafe-io\n"
           "path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n"
           "path-exclude /usr/share/locale/*\n")
    # apt has verified the packages; this archive of ours is not signed.
    try:
        _run(["debootstrap", "--variant=minbase", "--no-check-gpg",
              f"--include={','.join(BASE)}", SUITE, trees.base,
              "file://" + trees.repo])
    except Error:
        log = os.path.join(trees.base, "debootstrap", "debootstrap.log")
        if os.path.exists(log):
            sys.stderr.write("".join(open(log, errors="replace").readlines()[-20:]))
        raise
    _slim(root)
    _write(root, "etc/apt/apt.conf.d/90rig",
           'APT::Install-Recommends "0";\nAcquire::Languages "none";\n')
    # nspawn shows a machine the kernel's files read-only. Docker has to write the
    # control groups (version 1; of its own mount namespace) and the settings
    # of its own network.
    _write(root, "etc/systemd/system/rig-kernel.service",
           "[Unit]\nDescription=Writable control groups and network settings\n"
           "DefaultDependencies=no\nBefore=sysinit.target\n"
           "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
           "ExecStart=/bin/sh -c 'for d in /sys/fs/cgroup/*/; do "
           "mount -o remount,rw,bind $d || true; done 2>/dev/null; "
           "mount --bind /proc/sys/net /proc/sys/net && "
           "mount -o remount,rw,bind /proc/sys/net'\n"
           "[Install]\nWantedBy=sysinit.target\n")
    _write(root, "etc/systemd/system/rig-user-data.service",
           "[Unit]\nDescription=The user data given at creation\n"
           "ConditionPathExists=/var/lib/cloud/user-data\n"
           "ConditionPathExists=!/var/lib/cloud/done\n"
           "[Service]\nType=oneshot\n"
           "ExecStart=/bin/touch /var/lib/cloud/done\n"
           "ExecStart=/var/lib/cloud/user-data\n"
           "[Install]\nWantedBy=multi-user.target\n")
    for unit in ("console-getty.service", "getty@.service", "apt-daily.timer",
                 "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer",
                 "systemd-networkd.service", "systemd-resolved.service",
                 "systemd-timesyncd.service", "systemd-udevd.service",
                 "systemd-udev-trigger.service", "systemd-logind.service"):
        path = os.path.join(root, "etc/systemd/system", unit)
        if not os.path.lexists(path):
            os.symlink("/dev/null", path)
    for unit, target in (("rig-kernel.service", "sysinit.target"),
                         ("rig-user-data.service", "multi-user.target")):
        d = os.path.join(root, "etc/systemd/system", target + ".wants")
        os.makedirs(d, exist_ok=True)
        os.symlink(f"/etc/systemd/system/{unit}", os.path.join(d, unit))
    # Each machine makes its own.
    for name in os.listdir(os.path.join(root, "etc/ssh")):
        if name.startswith("ssh_host_"):
            os.unlink(os.path.join(root, "etc/ssh", name))
    _write(root, "etc/ssh/sshd_config.d/rig.conf",
           "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
           "UseDNS no\n")


def _layer(trees, name, packages):
    """What installing `packages` on base changes becomes trees/<name>."""
    upper = os.path.join(trees.root, name)
    work, root = upper + ".work", upper + ".root"
    for d in (upper, work, root):
        os.makedirs(d)
    if on_overlay(upper):
        # Where this folder is an overlay itself it cannot be the upper half of
        # another: then the layer is a whole tree, which hides base.
        _run(["cp", "-a", trees.base + "/.", upper])
        _run(["mount", "--bind", upper, root])
    else:
        _run(["mount", "-t", "overlay", "overlay", "-o",
              f"lowerdir={trees.base},upperdir={upper},workdir={work}", root])
    repo = os.path.join(root, "rig-repo")
    try:
        os.makedirs(repo)
        _run(["mount", "--bind", trees.repo, repo])
        _run(["mount", "-t", "proc", "proc", os.path.join(root, "proc")])
        _write(root, "etc/apt/sources.list",
               f"deb [trusted=yes] file:/rig-repo {SUITE} main\n")
        # No service may start inside a chroot.
        _write(root, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        _run(["chroot", root, "apt-get", "-q", "update"], env=env)
        _run(["chroot", root, "apt-get", "-q", "-y", "-o",
              "APT::Sandbox::User=root", "install", *packages], env=env)
        os.unlink(os.path.join(root, "usr/sbin/policy-rc.d"))
        os.unlink(os.path.join(root, "etc/apt/sources.list"))
        _slim(root)
        _run(["umount", repo])
        os.rmdir(repo)
    finally:
        unmount_below(root)
    for d in (work, root):
        shutil.rmtree(d)


def _as_dockers_own(trees):
    """
    Docker's own packages and every cloud's Docker image have dockerd in
    /usr/bin, and docker-machine's unit file says so; Debian's package has it
    in /usr/sbin. The layer as Debian makes it is kept, hard links to the same
    files, for an image of its own.
    """
    docker = trees.docker
    _run(["cp", "-al", docker, os.path.join(trees.root, "debian-docker")])
    os.makedirs(os.path.join(docker, "usr/bin"), exist_ok=True)
    os.symlink("../sbin/dockerd", os.path.join(docker, "usr/bin/dockerd"))


def on_overlay(path):
    return _run(["stat", "-f", "-c", "%T", path]).strip() == "overlayfs"


def _slim(root):
    for d in ("usr/share/doc", "usr/share/man", "usr/share/locale",
              "usr/share/info", "var/cache/apt", "var/lib/apt/lists",
              "var/log"):
        path = os.path.join(root, d)
        if not os.path.isdir(path):
            continue
        for name in os.listdir(path):
            p = os.path.join(path, name)
            if os.path.isdir(p) and not os.path.islink(p):
                shutil.rmtree(p)
            else:
                os.unlink(p)


def _write(root, path, text, mode=0o644):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def unmount_below(path):
    """Unmounts whatever is mounted at `path` or below it, deepest first."""
    path = os.path.realpath(path)
    points = []
    for line in open("/proc/self/mountinfo"):
        point = line.split()[4].encode().decode("unicode_escape")
        if point == path or point.startswith(path + "/"):
            points.append(point)
    for point in reversed(points):
        if subprocess.run(["umount", point], stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["umount", "-l", point], check=False)


def _run(argv, env=None):
    p = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace")
    if p.returncode != 0:
        tail = "\n".join(p.stdout.splitlines()[-15:])
        raise Error(f"{' '.join(argv[:6])} ... exited with {p.returncode}:\n{tail}")
    return p.stdout


if __name__ == "__main__":
    print(get(lambda text: print("rig:", text, file=sys.stderr, flush=True)).root)
