"""The container images of the test world, made of files from the trees.

    wl/busybox:1   busybox alone: sh, no bash
    wl/debian:12   bash, dash as sh, coreutils and friends
    wl/helper:1    what windlass relies on in gitlab-runner's helper image
    wl/uid1000:1   wl/debian with a user of its own (builder, 1000)
    wl/wrap:1      an entrypoint that prepares something, then runs its arguments
    wl/tool:1      an entrypoint that is a tool and takes no shell
    wl/noshell:1   one static program and nothing else

Every new machine pulls what its job needs, so they are small: files are picked
one by one, shared libraries by what the ELF headers ask for. The same input
gives the same bytes. Results are kept beside the trees.
"""

import fcntl
import glob
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile

import base

BUSYBOX = "wl/busybox:1"
DEBIAN = "wl/debian:12"
HELPER = "wl/helper:1"


class Layer:
    """A tar under construction; the last file at a path wins."""

    def __init__(self, trees):
        self.trees = trees
        self.entries = {}
        libs = glob.glob(os.path.join(trees.base, "usr/lib/*-linux-gnu"))
        self.libdir = "usr/lib/" + os.path.basename(libs[0])

    def put(self, path, kind, mode=0o755, data=b"", link="", uid=0, gid=0, source=None):
        parts = path.strip("/").split("/")
        for n in range(1, len(parts)):
            parent = "/".join(parts[:n])
            self.entries.setdefault(parent, (tarfile.DIRTYPE, 0o755, b"", "", 0, 0, None))
        self.entries[path.strip("/")] = (kind, mode, data, link, uid, gid, source)

    def dir(self, path, mode=0o755, uid=0):
        self.put(path, tarfile.DIRTYPE, mode, uid=uid, gid=uid)

    def text(self, path, text, mode=0o644):
        self.put(path, tarfile.REGTYPE, mode, text.encode())

    def link(self, path, target):
        self.put(path, tarfile.SYMTYPE, 0o777, link=target)

    def copy(self, path):
        """A file or link out of the trees, with the libraries it needs."""
        path = path.strip("/")
        # The trees have /bin and /lib as links into /usr.
        if path.split("/")[0] in ("bin", "sbin", "lib", "lib64"):
            path = "usr/" + path
        if path in self.entries and self.entries[path][0] != tarfile.DIRTYPE:
            return
        source = self.trees.find(path)
        if source is None:
            raise base.Error(f"images: no {path} in the trees")
        if os.path.islink(source):
            target = os.readlink(source)
            self.link(path, target)
            self.copy(os.path.normpath(target if target.startswith("/") else
                                       os.path.join("/", os.path.dirname(path), target)))
            return
        if os.path.isdir(source):
            self.dir(path, os.stat(source).st_mode & 0o7777)
            return
        self.put(path, tarfile.REGTYPE, os.stat(source).st_mode & 0o7777, source=source)
        interpreter, needed = _elf(source)
        if interpreter:
            self.copy(interpreter)
        for name in needed:
            self.copy(f"{self.libdir}/{name}")

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(self.entries):
                kind, mode, data, link, uid, gid, source = self.entries[path]
                info = tarfile.TarInfo(path)
                info.type, info.mode, info.linkname = kind, mode, link
                info.uid, info.gid, info.mtime = uid, gid, 1700000000
                if kind == tarfile.REGTYPE:
                    if source:
                        with open(source, "rb") as f:
                            data = f.read()
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                else:
                    tar.addfile(info)
        return out.getvalue()


def _elf(path):
    """Returns the interpreter and the needed libraries of a 64-bit ELF file."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:5] != b"\x7fELF\x02":
        return None, []
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads, dynamic, interpreter = [], None, None
    for i in range(count):
        kind, _, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * size)
        if kind == 1:
            loads.append((vaddr, offset, filesz))
        elif kind == 2:
            dynamic = (offset, filesz)
        elif kind == 3:
            interpreter = data[offset:offset + filesz].rstrip(b"\0").decode()
    if dynamic is None:
        return interpreter, []
    names, strings = [], None
    for at in range(dynamic[0], dynamic[0] + dynamic[1], 16):
        tag, value = struct.unpack_from("<QQ", data, at)
        if tag == 0:
            break
        if tag == 1:
            names.append(value)
        elif tag == 5:
            strings = next(value - v + o for v, o, n in loads if v <= value < v + n)
    return interpreter, [data[strings + n:data.index(b"\0", strings + n)].decode()
                         for n in names]


# The layers -----------------------------------------------------------------

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


def _skeleton(layer):
    for name in ("bin", "sbin", "lib", "lib64"):
        layer.dir("usr/" + name)
        layer.link(name, "usr/" + name)
    layer.dir("tmp", 0o1777)
    layer.dir("root", 0o700)
    for name in ("etc", "home", "var/tmp", "proc", "sys", "dev", "run"):
        layer.dir(name, 0o1777 if name == "var/tmp" else 0o755)
    layer.text("etc/passwd", _PASSWD)
    layer.text("etc/group", _GROUP)


def _busybox(trees):
    layer = Layer(trees)
    _skeleton(layer)
    layer.copy("usr/bin/busybox")
    applets = subprocess.run([trees.find("usr/bin/busybox"), "--list"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.split()
    for name in applets:
        if name != "busybox":
            layer.link("usr/bin/" + name, "busybox")
    return layer


def _debian(trees):
    layer = Layer(trees)
    _skeleton(layer)
    info = os.path.join(trees.base, "var/lib/dpkg/info")
    for package in ("base-files base-passwd bash coreutils dash debianutils diffutils findutils "
                    "grep gzip hostname libc-bin login mawk passwd sed tar").split():
        lists = [os.path.join(info, n) for n in (package + ".list",
                                                 f"{package}:{base.ARCH}.list")]
        with open(next(p for p in lists if os.path.exists(p))) as f:
            for path in f.read().splitlines():
                path = path.strip("/")
                if not path or path == "." or path in ("bin", "sbin", "lib", "lib64"):
                    continue
                if path.startswith(("usr/share/", "usr/lib/systemd", "lib/systemd", "usr/games")):
                    continue
                source = trees.find(path, ("base",))
                if source and not os.path.isdir(source):
                    layer.copy(path)
    for path in ("usr/bin/sh", "usr/bin/awk", "etc/passwd", "etc/group", "etc/os-release",
                 "usr/bin/flock", "usr/bin/getopt", "usr/bin/setsid", "usr/bin/mountpoint"):
        layer.copy(path)
    return layer


_ENTRYPOINT = """#!/bin/sh
# Trusts the CA that the runner was told to bind here, then runs what was asked for.
if [ -f /etc/gitlab-runner/certs/ca.crt ]; then
	cat /etc/gitlab-runner/certs/ca.crt >> /etc/ssl/certs/ca-certificates.crt
fi
exec "$@"
"""

_BUILD = """#!/usr/bin/env bash
umask 0000
exec /bin/bash
"""

_HELPER = """#!/bin/sh
# Stands in for the program of this name. Archives are not its business: it says
# its version and opens up volumes.
case "$1" in
--version|-v)
	echo "Version:      0.0.0 (rig)"
	;;
cache-init)
	shift
	for path; do
		mkdir -p "$path" && chmod 0777 "$path" || echo "cannot open up $path" >&2
	done
	;;
*)
	echo "gitlab-runner-helper of the rig: no command '$1'" >&2
	exit 1
	;;
esac
"""


def _helper(trees):
    layer = Layer(trees)
    for path in ("usr/bin/bash", "usr/bin/git", "usr/bin/dumb-init",
                 "usr/lib/git-core/git-remote-http", "usr/lib/git-core/git-submodule",
                 "usr/lib/git-core/git-sh-setup", "usr/lib/git-core/git-sh-i18n",
                 "etc/ssl/certs/ca-certificates.crt"):
        layer.copy(path)
    for name in ("git-remote-https", "git-remote-ftp"):
        layer.link("usr/lib/git-core/" + name, "git-remote-http")
    for name in ("git", "git-upload-pack", "git-receive-pack", "git-upload-archive"):
        layer.link("usr/lib/git-core/" + name, "../../bin/git")
    layer.text("entrypoint", _ENTRYPOINT, 0o755)
    layer.text("usr/bin/gitlab-runner-build", _BUILD, 0o755)
    layer.text("usr/bin/gitlab-runner-helper", _HELPER, 0o755)
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    return layer


def _lfs(trees):
    layer = Layer(trees)
    layer.copy("usr/bin/git-lfs")
    layer.text("etc/gitconfig", '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n'
               "\tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n"
               "\trequired = true\n")
    return layer


def _user(trees):
    layer = Layer(trees)
    layer.text("etc/passwd", _PASSWD + "builder:x:1000:1000:builder:/home/builder:/bin/bash\n")
    layer.text("etc/group", _GROUP + "builder:x:1000:\n")
    layer.dir("home/builder", uid=1000)
    return layer


def _wrap(trees):
    layer = Layer(trees)
    layer.text("usr/bin/wrap", "#!/bin/sh\n# Prepares the surroundings, as images for CI do.\n"
               'export WRAPPED=yes\necho "entrypoint: ready"\nexec "$@"\n', 0o755)
    return layer


def _tool(trees):
    layer = Layer(trees)
    layer.text("usr/bin/tool", "#!/bin/sh\n# Knows one command and no shell.\n"
               'if [ "$1" = version ]; then\n\techo "tool 1.0"\n\texit 0\nfi\n'
               "echo \"tool: unknown command '$1'\" >&2\nexit 64\n", 0o755)
    return layer


def _noshell(trees):
    layer = Layer(trees)
    layer.put("bin/true", tarfile.REGTYPE, 0o755, source=trees.find("usr/bin/busybox"))
    return layer


_LAYERS = {"busybox": _busybox, "debian": _debian, "helper": _helper, "lfs": _lfs,
           "user": _user, "wrap": _wrap, "tool": _tool, "noshell": _noshell}

_PATH = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

IMAGES = {
    BUSYBOX: (["busybox"], {"Cmd": ["sh"]}),
    DEBIAN: (["debian"], {"Cmd": ["bash"]}),
    HELPER: (["busybox", "helper", "lfs"],
             {"Entrypoint": ["/usr/bin/dumb-init", "/entrypoint"], "Cmd": ["sh"]}),
    "wl/uid1000:1": (["debian", "user"],
                     {"Cmd": ["bash"], "User": "builder", "WorkingDir": "/home/builder"}),
    "wl/wrap:1": (["busybox", "wrap"], {"Entrypoint": ["/usr/bin/wrap"], "Cmd": ["sh"]}),
    "wl/tool:1": (["busybox", "tool"], {"Entrypoint": ["/usr/bin/tool"], "Cmd": ["version"]}),
    "wl/noshell:1": (["noshell"], {"Cmd": ["/bin/true"]}),
}


def get(trees, log=lambda text: None):
    """
    Returns {image: {"manifest": file, "config": digest, "layers": [digest]}} and
    the directory that holds the blobs, each under its digest's hex.
    """
    with open(os.path.abspath(__file__), "rb") as f:
        version = hashlib.sha256(f.read()).hexdigest()[:12]
    top = os.path.join(trees.root, "images")
    index = os.path.join(top, f"index-{version}.json")
    with open(os.path.join(trees.root, "images.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(index):
            log("making the container images")
            shutil.rmtree(top, ignore_errors=True)
            os.makedirs(top)
            made = _make(trees, top)
            with open(index + ".new", "w") as f:
                json.dump(made, f, indent=1)
            os.rename(index + ".new", index)
        with open(index) as f:
            return json.load(f), top


def _blob(top, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(top, digest), "wb") as f:
        f.write(data)
    return {"size": len(data), "digest": "sha256:" + digest}


def _make(trees, top):
    layers = {}
    for name, maker in _LAYERS.items():
        tar = maker(trees).tar()
        blob = _blob(top, gzip.compress(tar, 6, mtime=0))
        blob["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        layers[name] = (blob, "sha256:" + hashlib.sha256(tar).hexdigest())
    made = {}
    for image, (names, config) in IMAGES.items():
        text = json.dumps({
            "architecture": base.ARCH, "os": "linux", "created": "2023-11-14T22:13:20Z",
            "config": dict({"Env": _PATH}, **config),
            "rootfs": {"type": "layers", "diff_ids": [layers[n][1] for n in names]},
            "history": [{"created": "2023-11-14T22:13:20Z", "created_by": n} for n in names]})
        blob = _blob(top, text.encode())
        manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": dict(blob, mediaType="application/vnd.docker.container.image.v1+json"),
            "layers": [layers[n][0] for n in names]}, indent=1)
        made[image] = {"manifest": manifest, "config": blob["digest"],
                       "layers": [layers[n][0]["digest"] for n in names],
                       "bytes": sum(layers[n][0]["size"] for n in names)}
    return made
