#!/usr/bin/env python3
"""Real git repositories over HTTP, as GitLab serves them to a job.

    gitserver.py --run DIR --bind ADDR --port P [--tls]

DIR/git/acme/shop/web.git and lib.git are made at the first start, always
with the same commits. git itself (`git http-backend`) speaks the protocol;
this program checks who asks: user gitlab-ci-token with the token of a job
that runs right now, which the GitLab double is asked about each time. It
never lets anyone push. Every request is a line of DIR/gitserver.log.

DIR/git.sock takes faults (POST /fault, GET and DELETE /faults) as the other
doubles do, and shows the log (GET /requests).

The GitLab double imports make_repos, resolve and make_ref.
"""

import argparse
import base64
import fcntl
import json
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from minihttp import (Answer, BadRequest, Faults, Ring, Server, big_process, fault_answer,
                      send_answer, send_with_fault, serve_simple, tcp_listener, unix_listener,
                      unix_request)

PROJECTS = ("acme/shop/web", "acme/shop/lib")
ZERO_SHA = "0" * 40
EPOCH = 1767225600              # the first commit's date; each later one is an hour on

# Nothing of this machine's or this user's git configuration may matter.
GIT_ENV = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
}

TEST_SH = """#!/bin/sh
# The project's tests: a shell and the usual small tools are enough.
set -e
n=0
check() {
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $*"
	else
		echo "not ok $n - $*"
		exit 1
	fi
}
whole() {
	test "$(cksum data.bin)" = "$(cat data.cksum)"
}
check test -s README.md
check test -x test.sh
check whole
check test "$(cat src/answer.txt)" = 42
echo "1..$n"
echo "all $n tests passed"
"""

MAKEFILE = "all: build\n\nbuild:\n\tcp src/answer.txt answer\n\ntest:\n\t./test.sh\n\n" \
    "clean:\n\trm -f answer\n\n.PHONY: all build test clean\n"


def git(repo, *args, data=None):
    """Runs git in a bare repository; its output, or OSError with its words."""
    done = subprocess.run(["git", "--git-dir", repo, *args], input=data, env=GIT_ENV,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise OSError("git %s: %s" % (" ".join(args), done.stderr.decode("utf-8", "replace").strip()))
    return done.stdout.decode("utf-8", "replace").strip()


class Import:
    """Builds the stream that `git fast-import` reads."""

    def __init__(self):
        self.out = []
        self.n = 0

    def data(self, content):
        self.out.append(b"data %d\n" % len(content) + content + b"\n")

    def commit(self, branch, message, files, first=False):
        who = b"Ada Builder <ada@acme.example> %d +0000\n" % (EPOCH + 3600 * self.n)
        self.n += 1
        self.out.append(b"commit refs/heads/%s\n" % branch.encode())
        self.out.append(b"author " + who + b"committer " + who)
        self.data(message.encode())
        if first:
            self.out.append(b"deleteall\n")
        for path, (mode, content) in files.items():
            if mode == "160000":
                self.out.append(b"M 160000 %s %s\n" % (content, path.encode()))
            else:
                self.out.append(b"M %s inline %s\n" % (mode.encode(), path.encode()))
                self.data(content)

    def branch(self, name, start):
        self.out.append(b"reset refs/heads/%s\nfrom refs/heads/%s\n\n" % (name.encode(), start.encode()))

    def tag(self, name, branch):
        self.out.append(b"tag %s\nfrom refs/heads/%s\ntagger Ada Builder <ada@acme.example> %d +0000\n"
                        % (name.encode(), branch.encode(), EPOCH + 3600 * self.n))
        self.data(("Release %s" % name).encode())

    def load(self, repo):
        git(repo, "fast-import", "--quiet", data=b"".join(self.out))


def cksum(data):
    """The line that POSIX cksum prints for a file called data.bin."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "data.bin")
        with open(path, "wb") as f:
            f.write(data)
        return subprocess.run(["cksum", "data.bin"], cwd=d, check=True, stdout=subprocess.PIPE).stdout


def fill_lib(repo):
    imp = Import()
    imp.commit("main", "The library\n", {
        "README.md": ("100644", b"# lib\n\nShared by the shop's projects.\n"),
        "lib.sh": ("100755", b"#!/bin/sh\necho lib\n"),
    }, first=True)
    imp.commit("main", "Say more\n", {"lib.sh": ("100755", b"#!/bin/sh\necho the lib speaks\n")})
    imp.load(repo)


def fill_web(repo, lib_sha):
    data = random.Random(4711).randbytes(2 * 1024 * 1024)
    imp = Import()
    imp.commit("main", "The shop's web front\n", {
        "README.md": ("100644", b"# web\n\nThe web front of the shop. `make test` runs its tests.\n"),
        "Makefile": ("100644", MAKEFILE.encode()),
        "src/answer.txt": ("100644", b"41\n"),
    }, first=True)
    imp.commit("main", "Test what we have\n", {"test.sh": ("100755", TEST_SH.encode())})
    imp.commit("main", "Add the picture\n\nIt does not compress, like pictures do not.\n", {
        "data.bin": ("100644", data), "data.cksum": ("100644", cksum(data))})
    imp.commit("main", "The answer was off by one\n", {"src/answer.txt": ("100644", b"42\n")})
    imp.tag("v1.0", "main")
    # More commits than the default depth of 20, so that a shallow clone is one.
    for i in range(1, 31):
        imp.commit("main", "Day %d\n" % i, {"CHANGES": ("100644", b"".join(
            b"day %d: nothing broke\n" % d for d in range(1, i + 1)))})
    imp.branch("feature/login", "main")
    imp.commit("feature/login", "A login page\n", {"src/login.html": ("100644", b"<h1>Login</h1>\n")})
    imp.branch("with-submodule", "main")
    imp.commit("with-submodule", "Use the library\n", {
        ".gitmodules": ("100644", b'[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n'),
        "lib": ("160000", lib_sha.encode())})
    imp.load(repo)


def make_repos(run):
    """Makes the repositories under DIR/git unless they are there. Safe to be
    called by several processes at once. Returns DIR/git."""
    root = os.path.join(run, "git")
    os.makedirs(root, exist_ok=True)
    with open(os.path.join(root, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        web, lib = (os.path.join(root, p + ".git") for p in PROJECTS)
        for repo in (lib, web):
            if os.path.isdir(repo):
                continue
            tmp = repo + ".new"
            shutil.rmtree(tmp, ignore_errors=True)
            os.makedirs(os.path.dirname(tmp), exist_ok=True)
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp], env=GIT_ENV, check=True)
            for key, value in (("uploadpack.allowAnySHA1InWant", "true"), ("uploadpack.allowFilter", "true"),
                               ("http.receivepack", "false"), ("gc.auto", "0"), ("core.logAllRefUpdates", "false")):
                git(tmp, "config", key, value)
            if repo == lib:
                fill_lib(tmp)
            else:
                fill_web(tmp, git(lib, "rev-parse", "refs/heads/main"))
            os.rename(tmp, repo)
    return root


def repo_path(root, project):
    if not re.match(r"[\w.-]+(/[\w.-]+)+\Z", project) or ".." in project:
        return None
    path = os.path.join(root, project + ".git")
    return path if os.path.isdir(path) else None


def resolve(root, project, ref):
    """(sha, parent sha, is a tag, subject) of a branch or tag, or None."""
    repo = repo_path(root, project)
    if repo is None:
        return None
    for prefix, tag in (("refs/heads/", False), ("refs/tags/", True)):
        try:
            sha = git(repo, "rev-parse", "--verify", "--quiet", prefix + ref + "^{commit}")
        except OSError:
            continue
        words = git(repo, "log", "-1", "--format=%P%x00%s", sha).split("\0")
        parents = words[0].split()
        return sha, (parents[0] if parents else ZERO_SHA), tag, words[1]
    return None


def make_ref(root, project, pipeline, sha):
    """Keeps a pipeline's commit under refs/pipelines, as GitLab does.
    OSError where there is no such project or commit."""
    repo = repo_path(root, project)
    if repo is None:
        raise OSError("no project %s" % project)
    git(repo, "update-ref", "refs/pipelines/%d" % pipeline, sha)


class Pieces:
    """The output of git, piece by piece; ends git and frees its slot once
    closed, be it read to the end or not at all."""

    def __init__(self, proc, slots):
        self.proc = proc
        self.slots = slots

    def __iter__(self):
        while True:
            data = self.proc.stdout.read1(1 << 17)
            if not data:
                return
            yield data

    def close(self):
        if self.proc is None:
            return
        self.proc.stdout.close()        # git notices when the client is gone
        self.proc.wait()
        self.proc = None
        self.slots.release()


class GitServer:
    def __init__(self, run):
        self.run_dir = run
        self.root = make_repos(run)
        self.log = Ring(os.path.join(run, "gitserver.log"))
        self.faults = Faults()
        self.server = None
        self.tls = None
        exec_path = subprocess.run(["git", "--exec-path"], check=True, stdout=subprocess.PIPE, text=True)
        self.backend = os.path.join(exec_path.stdout.strip(), "git-http-backend")
        if not os.access(self.backend, os.X_OK):
            sys.exit("gitserver: %s is missing: install the git package" % self.backend)
        # A clone keeps a core busy; more at once only makes all of them late.
        self.slots = threading.Semaphore(8)

    # -- who may

    def who(self, req):
        """(job or None, why not) for a request's credentials."""
        given = req.headers.get("Authorization")
        if given is None:
            return None, "no credentials"
        scheme, _, data = given.partition(" ")
        if scheme.lower() != "basic":
            return None, "scheme %s" % scheme
        try:
            user, _, token = base64.b64decode(data.strip(), validate=True).decode().partition(":")
        except (ValueError, UnicodeDecodeError):
            return None, "credentials are not Basic"
        if user != "gitlab-ci-token":
            return None, "user %r" % user
        if not token:
            return None, "empty token"
        try:
            status, body = unix_request(self.run_dir, "gitlab.sock", "GET",
                                        "/tokens/" + urllib.parse.quote(token, safe=""))
        except OSError as e:
            return None, "GitLab double does not answer: %s" % e
        if status != 200:
            return None, "token is of no running job"
        return json.loads(body), None

    # -- one request

    def handle(self, req, entry):
        match = re.match(r"/(.+?)\.git/(info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*"
                         r"|info/lfs/.*)\Z", req.path)
        if not match:
            bare = re.match(r"/((?:[\w.-]+/)+[\w.-]+?)/info/refs\Z", req.path)
            if bare and repo_path(self.root, bare.group(1)):
                where = "/%s.git/info/refs?%s" % (bare.group(1), req.query_string)
                return Answer(301, b"", [("Location", where)])
            return Answer(404, "Not found\n", content_type="text/plain")
        project, tail = match.groups()
        job, why = self.who(req)
        if job is None:
            entry["denied"] = why
            if why.startswith("GitLab double"):
                return Answer(503, why + "\n", content_type="text/plain")
            return Answer(401, "HTTP Basic: Access denied. Use the job's token.\n",
                          [("WWW-Authenticate", 'Basic realm="GitLab"')], "text/plain")
        entry["job"] = job["job"]
        if repo_path(self.root, project) is None:
            return Answer(404, "The project you were looking for could not be found.\n",
                          content_type="text/plain")
        service = req.query.get("service") if tail == "info/refs" else tail
        if service == "git-receive-pack":
            entry["denied"] = "push"
            return Answer(403, "A job may not push here.\n", content_type="text/plain")
        if service != "git-upload-pack":
            return Answer(403 if tail == "info/refs" else 404, "Only git-upload-pack is served.\n",
                          content_type="text/plain")
        want = "GET" if tail == "info/refs" else "POST"
        if req.method != want:
            return Answer(405, b"", [("Allow", want)])
        return self.backend_answer(req, project, tail)

    def backend_answer(self, req, project, tail):
        # The whole body first: git sends it in chunks, CGI wants a length.
        body = tempfile.TemporaryFile()
        while True:
            data = req.body.read(1 << 18)
            if not data:
                break
            body.write(data)
        size = body.tell()
        body.seek(0)
        env = dict(GIT_ENV, GIT_PROJECT_ROOT=self.root, GIT_HTTP_EXPORT_ALL="1",
                   REQUEST_METHOD=req.method, PATH_INFO="/%s.git/%s" % (project, tail),
                   QUERY_STRING=req.query_string, REMOTE_USER="gitlab-ci-token", REMOTE_ADDR="127.0.0.1",
                   SERVER_PROTOCOL="HTTP/1.1", CONTENT_LENGTH=str(size),
                   CONTENT_TYPE=req.headers.get("Content-Type") or "")
        if req.headers.get("Content-Encoding"):
            env["HTTP_CONTENT_ENCODING"] = req.headers.get("Content-Encoding")
        if req.headers.get("Git-Protocol"):
            env["GIT_PROTOCOL"] = req.headers.get("Git-Protocol")
        self.slots.acquire()
        try:
            proc = subprocess.Popen([self.backend], env=env, stdin=body, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        except OSError:
            self.slots.release()
            raise
        finally:
            body.close()
        answer = Answer(200)
        while True:
            line = proc.stdout.readline()
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "status":
                answer.status = int(value.split()[0])
            else:
                answer.headers.items.append((name, value.strip()))
        answer.stream = Pieces(proc, self.slots)
        return answer

    def serve(self, conn):
        if self.tls:
            conn.sock.settimeout(10)
            try:
                conn.sock = self.tls.wrap_socket(conn.sock, server_side=True)
            except (OSError, ValueError) as e:
                self.log.add({"time": time.time(), "handshake": str(e)})
                return
            conn.sock.settimeout(60)
        while True:
            try:
                req = conn.read_request(idle=65)
            except BadRequest as e:
                self.log.add({"time": time.time(), "bad": str(e)})
                send_answer(conn, Answer(e.status, str(e) + "\n", content_type="text/plain"))
                conn.drop_rest()
                return
            if req is None:
                return
            entry = {"time": req.received, "method": req.method, "path": req.path,
                     "query": req.query_string, "agent": req.headers.get("User-Agent")}
            if req.body.chunked:
                entry["chunked"] = True
            if "Content-Encoding" in req.headers:
                entry["encoding"] = req.headers.get("Content-Encoding")
            fault = self.faults.pick(req.method, req.path)
            answer = stream = None
            try:
                if fault:
                    entry["fault"] = fault.what
                    answer = fault_answer(fault)
                    if fault.what == "slow":
                        time.sleep(float(fault.spec.get("delay", 2)))
                if answer is None and (fault is None or fault.effect()):
                    try:
                        answer = self.handle(req, entry)
                    except BadRequest as e:
                        answer = Answer(e.status, str(e) + "\n", content_type="text/plain")
                        answer.close = True
                answer = answer or Answer(500)
                stream = answer.stream
                answer.close = answer.close or not req.body.drain(1 << 26)
                alive = req.keep_alive() and not answer.close
                if not alive:
                    answer.headers.set("Connection", "close")
                if fault:
                    alive = send_with_fault(conn, answer, fault) and alive
                else:
                    send_answer(conn, answer, req.method)
                if answer.close:
                    conn.drop_rest()
            finally:
                if stream is not None:
                    stream.close()
                entry["status"] = answer.status if answer else 0
                entry["ms"] = round((time.time() - req.received) * 1000)
                self.log.add(entry)
            if not alive:
                return

    def control(self, req):
        body = req.body.read_all(1 << 20)
        if req.path == "/fault" and req.method == "POST":
            try:
                fault = self.faults.add(json.loads(body))
            except (ValueError, TypeError, KeyError) as e:
                return Answer(400, {"error": str(e)})
            self.server.kick()
            return Answer(201, {"id": fault.id})
        if req.path == "/faults" and req.method == "DELETE":
            self.faults.clear()
            self.server.kick()
            return Answer(204)
        if req.path == "/faults" and req.method == "GET":
            return Answer(200, self.faults.show())
        if req.path == "/requests" and req.method == "GET":
            return Answer(200, self.log.show())
        return Answer(404, {"error": "no such path: %s %s" % (req.method, req.path)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True, help="the rig's run directory")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", action="store_true", help="with DIR/git.pem and DIR/git-key.pem")
    args = parser.parse_args()
    big_process()
    run = os.path.abspath(args.run)
    service = GitServer(run)
    if args.tls:
        service.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        service.tls.load_cert_chain(os.path.join(run, "git.pem"), os.path.join(run, "git-key.pem"))
    server = service.server = Server(tcp_listener(args.bind, args.port), service.serve, service.faults)
    control = Server(unix_listener(run, "git.sock"), serve_simple(service.control))
    server.open()
    control.open()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: server.stop())
    threading.Thread(target=control.run, daemon=True).start()
    print("gitserver: serving %s on %s:%d" % (service.root, args.bind, args.port), flush=True)
    server.run()
    os.unlink(os.path.join(run, "git.sock"))


if __name__ == "__main__":
    main()
