"""The double of GitLab and the git server of the rig, tested with raw HTTP.

What other tests rely on is shown here: that the double answers as the real
server does, that it sees what a client does wrong, that it forgets nothing,
and that it misbehaves as told. A well-behaved client leaves no violation;
each rule broken on purpose leaves exactly its own.
"""

import http.client
import io
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
import zlib

import pytest

RIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "rig")
sys.path.insert(0, RIG)

import minihttp  # noqa: E402
import tls  # noqa: E402

SYSTEM_ID = "s_0123456789ab"
INFO = {
    "name": "gitlab-runner", "version": "19.4.0", "revision": "1a2b3c4d", "platform": "linux",
    "architecture": "amd64", "executor": "docker+machine", "shell": "bash", "config": {"gpus": ""},
    "features": {"refspecs": True, "multi_build_steps": True, "return_exit_code": True,
                 "cancel_gracefully": True, "two_phase_job_commit": True, "trace_checksum": True},
}
AGENT = "gitlab-runner 19.4.0 (main; go1.25; linux/amd64)"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    """The two servers in a run directory, and orders to them."""

    def __init__(self, run):
        self.run = str(run)
        self.port, self.git_port = free_port(), free_port()
        self.procs = {}
        tls.make_ca(self.run)
        tls.issue(self.run, "gitlab", ["IP:127.0.0.1", "DNS:gitlab.rig.test"])
        self.start("gitlab", self.port, "--git-url", "http://127.0.0.1:%d" % self.git_port)
        self.start("gitserver", self.git_port)

    def start(self, name, port, *more):
        log = open(os.path.join(self.run, name + ".out"), "ab")
        self.procs[name] = (subprocess.Popen(
            [sys.executable, os.path.join(RIG, name + ".py"), "--run", self.run, "--bind", "127.0.0.1",
             "--port", str(port), *more], stdout=subprocess.PIPE, stderr=log), port, more)
        log.close()
        line = self.procs[name][0].stdout.readline()
        assert b"serving" in line, open(os.path.join(self.run, name + ".out")).read()

    def stop(self, name, sig="terminate"):
        proc = self.procs[name][0]
        getattr(proc, sig)()
        proc.wait(10)
        proc.stdout.close()

    def restart(self, name, sig="terminate"):
        self.stop(name, sig)
        _, port, more = self.procs[name]
        self.start(name, port, *more)

    def control(self, method, path, body=None, want=None, sock="gitlab.sock"):
        status, data = minihttp.unix_request(self.run, sock, method, path, body)
        if want is None:
            assert status < 300, (status, data)
        else:
            assert status == want, (status, data)
        try:
            return json.loads(data)
        except ValueError:
            return data

    def rules(self):
        return [v["rule"] for v in self.control("GET", "/violations")]

    def stderr(self, name):
        with open(os.path.join(self.run, name + ".out"), encoding="utf-8") as f:
            return f.read()


class Client:
    """One connection, spoken to by hand."""

    def __init__(self, world, sni=None):
        self.world = world
        self.sock = socket.create_connection(("127.0.0.1", world.port), timeout=20)
        context = ssl.create_default_context(cafile=os.path.join(world.run, "ca.pem"))
        # Python shows a reset below TLS as an end without close_notify; let
        # it be an error, not an end like others.
        self.sock = context.wrap_socket(self.sock, server_hostname=sni or "127.0.0.1", suppress_ragged_eofs=False)

    def send(self, method, path, body=b"", headers=()):
        lines = ["%s /api/v4/%s HTTP/1.1" % (method, path), "Host: 127.0.0.1:%d" % self.world.port]
        given = {"User-Agent": AGENT, "Content-Length": str(len(body))}
        given.update(headers)
        lines += ["%s: %s" % kv for kv in given.items() if kv[1] is not None]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def receive(self, method="GET"):
        while True:
            r = http.client.HTTPResponse(self.sock, method=method)
            r.begin()
            if r.status != 103:
                break
        r.data = r.read()
        return r

    def ask(self, method, path, body=b"", headers=()):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", "Accept": "application/json", **dict(headers)}
        self.send(method, path, body, headers)
        return self.receive(method)

    def close(self):
        self.sock.close()


class Runner:
    """A well-behaved client of its own runner."""

    def __init__(self, world, **how):
        made = world.control("POST", "/runners", {"tags": ["t%d" % time.monotonic_ns()], **how})
        self.world, self.id, self.token = world, made["id"], made["token"]
        self.client = Client(world)
        self.last_update = None

    def queue(self, **spec):
        return self.world.control("POST", "/jobs", {"runner": self.id, "script": ["true"], **spec})["id"]

    def body(self, **more):
        body = {"info": INFO, "token": self.token, "system_id": SYSTEM_ID}
        if self.last_update:
            body["last_update"] = self.last_update
        body.update(more)
        return {k: v for k, v in body.items() if v is not None}

    def request(self, client=None, headers=(), **more):
        body = self.body(**more)
        r = (client or self.client).ask("POST", "jobs/request", body,
                                        {"RUNNER-TOKEN": body.get("token", ""), **dict(headers)})
        self.last_update = r.getheader("X-GitLab-Last-Update") or self.last_update
        return r

    def take(self, ident=None):
        r = self.request()
        assert r.status == 201, (r.status, r.data)
        job = Job(self, json.loads(r.data))
        assert ident in (None, job.id)
        return job


class Job:
    def __init__(self, runner, payload):
        self.runner, self.payload = runner, payload
        self.world = runner.world
        self.id, self.token = payload["id"], payload["token"]
        self.sent = b""

    def put(self, state, client=None, **more):
        body = {"info": INFO, "token": self.token, "state": state}
        checksum = "crc32:%08x" % zlib.crc32(self.sent)
        body["checksum"] = checksum
        body["output"] = {"checksum": checksum}
        if self.sent:
            body["output"]["bytesize"] = len(self.sent)
        body.update(more)
        body = {k: v for k, v in body.items() if v is not None}
        return (client or self.runner.client).ask("PUT", "jobs/%d" % self.id, body, {"JOB-TOKEN": self.token})

    def patch(self, data, start=None, headers=(), query="?debug_trace=false", client=None):
        start = len(self.sent) if start is None else start
        given = {"JOB-TOKEN": self.token, "Content-Type": "text/plain",
                 "Content-Range": "%d-%d" % (start, start + len(data) - 1)}
        given.update(headers)
        r = (client or self.runner.client).ask("PATCH", "jobs/%d/trace%s" % (self.id, query), data, given)
        if r.status == 202 and start == len(self.sent):
            self.sent += data
        return r

    def show(self):
        return self.world.control("GET", "/jobs/%d" % self.id)

    def trace(self):
        return minihttp.unix_request(self.world.run, "gitlab.sock", "GET", "/jobs/%d/trace" % self.id)[1]


@pytest.fixture(scope="module")
def the_world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("double"))
    yield w
    for name in w.procs:
        w.stop(name)


@pytest.fixture
def world(the_world):
    defaults = dict(the_world.control("GET", "/settings"))
    heard = {name: len(the_world.stderr(name)) for name in the_world.procs}
    the_world.control("PUT", "/settings", {"poll_seconds": 0, "trace_interval": 1, "pace": False})
    yield the_world
    the_world.control("DELETE", "/faults")
    the_world.control("DELETE", "/faults", sock="git.sock")
    for brief in the_world.control("GET", "/jobs"):
        if brief["state"] in ("pending", "running", "canceling"):
            the_world.control("POST", "/jobs/%d/cancel" % brief["id"], {"force": True})
    the_world.control("PUT", "/settings", defaults)
    the_world.control("DELETE", "/violations")
    for name, size in heard.items():
        assert "Traceback" not in the_world.stderr(name)[size:], the_world.stderr(name)[size:]


@pytest.fixture
def runner(world):
    r = Runner(world)
    yield r
    r.client.close()
    world.control("DELETE", "/runners/%d" % r.id)


@pytest.fixture
def job(runner):
    runner.queue()
    j = runner.take()
    assert j.put("running").status == 200
    return j


# --- A job from end to end ---------------------------------------------------

def test_a_job_well_done_leaves_no_violation(world, runner):
    ident = runner.queue(script=["make", "make test"], after_script=["cat log"], image="busybox:1.36", name="unit",
                         variables=[{"key": "DEPLOY", "value": "s3cr3t-value", "masked": True},
                                    {"key": "PRICE", "value": "$100", "raw": True}], timeout=600)
    j = runner.take(ident)
    p = j.payload
    assert p["job_info"]["name"] == "unit" and p["runner_info"]["timeout"] == 600
    assert [s["name"] for s in p["steps"]] == ["script", "after_script"]
    assert p["steps"][0]["script"] == ["make", "make test"]
    assert p["image"] == {"name": "busybox:1.36"}
    variables = {v["key"]: v for v in p["variables"]}
    assert variables["CI_JOB_ID"]["value"] == str(ident)
    assert variables["CI_JOB_TOKEN"]["masked"] and variables["CI_JOB_TOKEN"]["value"] == p["token"]
    assert variables["DEPLOY"]["masked"] and not variables["DEPLOY"]["public"]
    assert variables["PRICE"]["raw"] is True
    assert p["git_info"]["repo_url"] == "http://gitlab-ci-token:%s@127.0.0.1:%d/acme/shop/web.git" % (
        p["token"], world.git_port)
    pipeline = p["job_info"]["pipeline_id"]
    assert p["git_info"]["refspecs"] == ["+refs/pipelines/%d:refs/pipelines/%d" % (pipeline, pipeline),
                                         "+refs/heads/main:refs/remotes/origin/main"]
    assert p["features"]["trace_sections"] is True and "runner_interrupted" in p["features"]["failure_reasons"]
    assert p["job_info"]["time_in_queue_seconds"] >= 0

    r = j.put("running")
    assert (r.status, r.getheader("Job-Status")) == (200, "running")
    r = j.patch("Ünïcode line\n".encode())
    assert (r.status, r.getheader("Range"), r.getheader("Job-Status")) == (202, "0-15", "running")
    assert r.getheader("X-GitLab-Trace-Update-Interval") == "1"
    assert j.patch(b"second\n").getheader("Range") == "0-22"
    assert j.put("running").status == 200
    r = j.put("failed", failure_reason="script_failure", exit_code=3)
    assert (r.status, r.getheader("Job-Status")) == (200, "failed")

    shown = j.show()
    assert (shown["state"], shown["failure_reason"], shown["exit_code"]) == ("failed", "script_failure", 3)
    assert shown["checksum"]["match"] is True and shown["patches"] == 2
    assert shown["queued"] <= shown["started"] <= shown["acknowledged"] <= shown["finished"]
    assert [u["state"] for u in shown["updates"]] == ["running", "running", "failed"]
    assert j.trace() == j.sent
    brief = [b for b in world.control("GET", "/jobs") if b["id"] == ident][0]
    assert brief["state"] == "failed" and brief["trace_size"] == 22
    assert world.rules() == []


def test_whole_answers_are_handed_out_as_given(world, runner):
    given = {"id": 777001, "token": "glcbt-64_mine", "steps": [{"name": "script", "script": ["a"]}],
             "variables": None, "image": None, "artifacts": None, "features": {"failure_reasons": []},
             "git_info": {"ref": "v1.0"}, "odd": {"kept": [1, 2]}}
    runner.queue(**given)
    p = runner.take(777001).payload
    assert p["token"] == "glcbt-64_mine" and p["variables"] is None and p["odd"] == {"kept": [1, 2]}
    assert p["features"]["failure_reasons"] == [] and p["features"]["trace_sections"] is True
    assert p["git_info"]["ref_type"] == "tag"
    assert "+refs/tags/v1.0:refs/tags/v1.0" in p["git_info"]["refspecs"]
    assert p["steps"][0]["when"] == "on_success"

    world.control("POST", "/jobs", {"runner": runner.id, "exact": True, "steps": None, "id": 777002})
    p = runner.take(777002).payload
    assert sorted(p) == ["id", "steps", "token"] and p["steps"] is None
    made = world.control("POST", "/jobs", {"runner": runner.id, "script": "true", "git_info": {"sha": "f" * 40}})
    assert "no commit" in made["note"] and runner.take(made["id"]).payload["git_info"]["sha"] == "f" * 40
    world.control("POST", "/jobs", {"id": 777002}, want=400)
    world.control("POST", "/jobs", {"runner": 12345}, want=400)


def test_wait_returns_when_the_job_ends(world, runner, job):
    threading.Timer(0.3, lambda: job.put("success")).start()
    began = time.monotonic()
    assert world.control("GET", "/jobs/%d?wait=20" % job.id)["state"] == "success"
    assert time.monotonic() - began < 10
    other = runner.queue()
    assert world.control("GET", "/jobs/%d?wait=0.1" % other)["state"] == "pending"


# --- Who may ask, and how the body must look -----------------------------------

def test_unknown_and_deleted_runners_get_403(world, runner):
    assert runner.request(token="glrt-t1_nobodynobodynobody").status == 403
    world.control("DELETE", "/runners/%d" % runner.id)
    assert runner.request().status == 403
    assert world.rules() == []


def test_orphaned_and_expired(world, runner):
    world.control("POST", "/runners/%d" % runner.id, {"orphaned": True})
    assert runner.request().status == 422
    short = Runner(world, expires_in=-1)
    assert short.request().status == 403


BAD_REQUESTS = [
    # name, fields changed, headers changed, status, rules
    ("no token", {"token": None}, {}, 400, []),
    ("no header", {}, {"RUNNER-TOKEN": None}, 204, ["runner-token"]),
    ("other header", {}, {"RUNNER-TOKEN": "glrt-t1_other"}, 204, ["runner-token"]),
    ("no system id", {"system_id": None}, {}, 204, ["system-id"]),
    ("odd system id", {"system_id": "host7"}, {}, 204, ["system-id"]),
    ("no info", {"info": None}, {}, 204, ["info"]),
    ("no version", {"info": {**INFO, "version": ""}}, {}, 204, ["info"]),
    ("executor", {"info": {**INFO, "executor": "windlass"}}, {}, 204, ["info"]),
    ("architecture", {"info": {**INFO, "architecture": "x86_64"}}, {}, 204, ["info"]),
    ("labels", {"info": {**INFO, "labels": {"zone": 1}}}, {}, 204, ["info"]),
    ("no features", {"info": {k: v for k, v in INFO.items() if k != "features"}}, {}, 204, ["features"]),
    ("refspecs", {"info": {**INFO, "features": {**INFO["features"], "refspecs": False}}}, {}, 204, ["features"]),
    ("text feature", {"info": {**INFO, "features": {**INFO["features"], "masking": "yes"}}}, {}, 204, ["features"]),
    ("odd feature", {"info": {**INFO, "features": {**INFO["features"], "teleport": True}}}, {}, 204, ["features"]),
    ("empty last_update", {"last_update": ""}, {}, 204, ["field-type"]),
    ("odd last_update", {"last_update": "never"}, {}, 204, ["last-update"]),
    ("odd field", {"job_age": 3}, {}, 204, ["unknown-field"]),
    ("odd session", {"session": "yes"}, {}, 204, ["field-type"]),
    ("plain text", {}, {"Content-Type": "text/plain"}, 400, ["content-type"]),
    ("no agent", {}, {"User-Agent": None}, 204, ["user-agent"]),
    ("private token", {}, {"PRIVATE-TOKEN": "glpat-x"}, 204, ["private-token"]),
]


@pytest.mark.parametrize("name,fields,headers,status,rules", BAD_REQUESTS, ids=[b[0] for b in BAD_REQUESTS])
def test_what_is_wrong_in_a_job_request_is_told(world, runner, name, fields, headers, status, rules):
    assert runner.request(headers=headers, **fields).status == status
    assert world.rules() == rules
    shown = json.dumps(world.control("GET", "/violations"))
    assert runner.token not in shown


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b'{"token": "a", "token": "b"}', b'{"token": NaN}', b"\xff"])
def test_bodies_that_are_no_json(world, runner, body):
    r = runner.client.ask("POST", "jobs/request", body, {"Content-Type": "application/json"})
    assert r.status == 400 and world.rules() == ["json"]


def test_header_names_have_no_case(world, runner):
    body = json.dumps(runner.body()).encode()
    r = runner.client.ask("POST", "jobs/request", body, {
        "runner-token": runner.token, "CONTENT-TYPE": "application/json; charset=utf-8"})
    assert r.status == 204
    assert world.rules() == []


def test_a_body_above_32_kib_is_too_large(world, runner):
    assert runner.request(info={**INFO, "labels": {"x": "y" * 31000}}).status == 204
    assert world.rules() == []
    assert runner.request(info={**INFO, "labels": {"x": "y" * 33000}}).status == 413
    assert world.rules() == ["body-size"]


def test_chunked_bodies_and_continue(world, runner):
    body = json.dumps(runner.body()).encode()
    head = ("POST /api/v4/jobs/request HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\nRUNNER-TOKEN: %s\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" % runner.token)
    c = Client(world, sni="gitlab.rig.test")
    c.sock.sendall(head.replace("Host: h", "Host: gitlab.rig.test").encode())
    assert c.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    for i in range(0, len(body), 100):
        piece = body[i:i + 100]
        c.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    c.sock.sendall(b"0\r\n\r\n")
    assert c.receive().status == 204
    assert world.rules() == []
    c.close()


RAW = [
    ("lf alone", b"GET / HTTP/1.1\nHost: x\n\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("version", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("space in name", b"GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n", 400),
    ("folded", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("two lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    ("both", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunk size", b"POST /api/v4/jobs/request HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\n"
     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ("huge head", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
]


@pytest.mark.parametrize("name,raw,status", RAW, ids=[r[0] for r in RAW])
def test_broken_http_is_refused(world, name, raw, status):
    c = Client(world)
    c.sock.sendall(raw)
    assert c.receive().status == status
    assert c.sock.recv(1) == b""
    assert set(world.rules()) <= {"http", "unknown-path"} and "http" in world.rules()


def test_unknown_paths_and_methods(world, runner):
    assert runner.client.ask("GET", "projects").status == 404
    assert runner.client.ask("POST", "jobs/12").status == 405
    assert runner.client.ask("POST", "/jobs/request").status == 404
    assert world.rules() == ["unknown-path"] * 3


def test_server_name_is_checked(world, runner):
    c = Client(world, sni="gitlab.rig.test")
    body = json.dumps(runner.body()).encode()
    c.sock.sendall(b"POST /api/v4/jobs/request HTTP/1.1\r\nHost: other.test\r\nUser-Agent: x\r\nRUNNER-TOKEN: %s\r\n"
                   b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                       runner.token.encode(), len(body), body))
    assert c.receive().status == 204
    assert world.rules() == ["sni"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_old_tls_is_refused(world):
    context = ssl.create_default_context(cafile=os.path.join(world.run, "ca.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", world.port), timeout=5) as s:
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(s, server_hostname="127.0.0.1")


# --- Registering and the like ---------------------------------------------------

def read(world, name):
    with open(os.path.join(world.run, "gitlab", name), encoding="ascii") as f:
        return f.read().strip()


def test_register_verify_unregister_the_old_way(world):
    c = Client(world)
    token = read(world, "registration_token")
    body = {"token": token, "info": INFO, "description": "old", "tag_list": "a, b", "run_untagged": False,
            "locked": True, "paused": False, "maximum_timeout": 600}
    assert c.ask("POST", "runners", {**body, "token": "wrong"}, {"RUNNER-TOKEN": "wrong"}).status == 403
    r = c.ask("POST", "runners", body, {"RUNNER-TOKEN": token})
    assert r.status == 201
    made = json.loads(r.data)
    assert made["token_expires_at"] is None and len(made["token"]) == 20
    assert [x["tags"] for x in world.control("GET", "/runners") if x["id"] == made["id"]] == [["a", "b"]]
    h = {"RUNNER-TOKEN": made["token"]}
    who = {"token": made["token"], "info": INFO, "system_id": SYSTEM_ID}
    r = c.ask("POST", "runners/verify", who, h)
    assert r.status == 200 and json.loads(r.data)["id"] == made["id"]
    assert c.ask("DELETE", "runners", {"token": made["token"]}, h).status == 204
    assert c.ask("POST", "runners/verify", who, h).status == 403
    assert world.rules() == []

    for change, message in (({"maximum_timeout": 5}, "maximum_timeout"), ({"tag_list": None}, "tags_list")):
        bad = {k: v for k, v in {**body, **change}.items() if v is not None}
        r = c.ask("POST", "runners", bad, {"RUNNER-TOKEN": token})
        assert r.status == 400 and message in json.loads(r.data)["message"]
    bad = {k: v for k, v in body.items() if k != "paused"}
    assert c.ask("POST", "runners", {**bad, "description": ""}, {"RUNNER-TOKEN": token}).status == 201
    assert world.rules() == ["register", "register"]
    world.control("PUT", "/settings", {"allow_registration": False})
    assert c.ask("POST", "runners", body, {"RUNNER-TOKEN": token}).status == 410


def test_managers_of_a_created_runner(world, runner):
    h = {"RUNNER-TOKEN": runner.token}
    gone = {"token": runner.token, "system_id": SYSTEM_ID}
    assert runner.client.ask("DELETE", "runners/managers", gone, h).status == 404
    r = runner.client.ask("POST", "runners/verify", runner.body(), h)
    assert json.loads(r.data) == {"id": runner.id, "token": runner.token, "token_expires_at": None}
    shown = [x for x in world.control("GET", "/runners") if x["id"] == runner.id][0]
    assert shown["managers"][SYSTEM_ID]["info"]["version"] == "19.4.0"
    assert runner.token not in json.dumps(shown)
    assert runner.client.ask("DELETE", "runners/managers", gone, h).status == 204
    assert runner.client.ask("DELETE", "runners/managers", {"token": runner.token}, h).status == 400
    assert runner.client.ask("DELETE", "runners", {"token": runner.token}, h).status == 204
    assert world.rules() == ["system-id", "delete-created"]
    world.control("PUT", "/settings", {"verify_plain": True})
    other = Runner(world)
    r = other.client.ask("POST", "runners/verify", other.body(), {"RUNNER-TOKEN": other.token})
    assert (r.data, r.getheader("Content-Type")) == (b"200", "text/plain")


def test_reset_ends_the_old_token(world):
    runner = Runner(world, expires_in=3600)
    r = runner.client.ask("POST", "runners/reset_authentication_token", {"token": runner.token},
                          {"RUNNER-TOKEN": runner.token})
    new = json.loads(r.data)
    assert r.status == 201 and new["token"] != runner.token and new["token_expires_at"].endswith("Z")
    assert runner.request().status == 403
    runner.token = new["token"]
    assert runner.request().status == 204
    path = "runners/%d/reset_authentication_token" % runner.id
    assert runner.client.ask("POST", path, b"", {"PRIVATE-TOKEN": "no"}).status == 401
    r = runner.client.ask("POST", path, b"", {"PRIVATE-TOKEN": read(world, "private_token")})
    assert r.status == 201 and json.loads(r.data)["token"] != runner.token
    assert world.rules() == []


# --- The last-update protocol ----------------------------------------------------

def test_last_update_without_polling(world, runner):
    r = runner.request()
    value = r.getheader("X-GitLab-Last-Update")
    assert r.status == 204 and len(value) == 32
    r = runner.request()
    assert (r.status, r.getheader("X-GitLab-Last-Update")) == (204, value)
    ident = runner.queue()
    r = runner.request()
    assert r.status == 201 and r.getheader("X-GitLab-Last-Update") is None
    assert json.loads(r.data)["id"] == ident and r.getheader("Content-Type") == "application/json"
    r = runner.request()        # the remembered value is old now
    assert r.status == 204 and r.getheader("X-GitLab-Last-Update") != value
    assert r.getheader("Gitlab-Ci-Builds-Polling") is None
    assert world.rules() == []


def test_long_polling_as_workhorse_does(world, runner):
    world.control("PUT", "/settings", {"poll_seconds": 2})
    r = runner.request()                                # nothing to compare: goes through
    assert r.status == 204 and r.getheader("X-GitLab-Last-Update")
    assert r.getheader("Gitlab-Ci-Builds-Polling") == "yes"
    began = time.monotonic()
    r = runner.request()                                # held until the time is over
    assert 1.8 < time.monotonic() - began < 4
    assert (r.status, r.getheader("X-GitLab-Last-Update"), r.getheader("Gitlab-Ci-Builds-Polling")) == (204, None, "yes")
    world.control("PUT", "/settings", {"poll_seconds": 50})
    threading.Timer(0.3, runner.queue).start()
    began = time.monotonic()
    r = runner.request()                                # held until something changes
    assert 0.2 < time.monotonic() - began < 5
    assert (r.status, r.getheader("X-GitLab-Last-Update"), r.data) == (204, None, b"")
    assert runner.request().status == 201               # the old value gets it through
    assert world.rules() == []


def test_a_held_request_of_a_client_that_left_takes_no_job(world, runner):
    world.control("PUT", "/settings", {"poll_seconds": 50})
    runner.request()
    body = json.dumps(runner.body()).encode()
    runner.client.send("POST", "jobs/request", body, {"RUNNER-TOKEN": runner.token, "Content-Type": "application/json"})
    time.sleep(0.2)
    runner.client.close()
    time.sleep(0.8)
    ident = runner.queue()
    runner.client = Client(world)
    assert runner.take(ident)
    assert world.rules() == []


def test_a_request_behind_a_held_one_is_told(world, runner):
    world.control("PUT", "/settings", {"poll_seconds": 50})
    runner.request()
    body = json.dumps(runner.body()).encode()
    for _ in range(2):
        runner.client.send("POST", "jobs/request", body,
                           {"RUNNER-TOKEN": runner.token, "Content-Type": "application/json"})
    assert runner.client.receive().status == 204
    assert world.rules() == ["pipelined"]


def test_two_hundred_held_requests(world, runner):
    """Held requests cost little, and all of them hear of a change at once."""
    runner.request()
    world.control("PUT", "/settings", {"poll_seconds": 50})
    clients = [Client(world) for _ in range(200)]
    body = json.dumps(runner.body()).encode()
    for c in clients:
        c.send("POST", "jobs/request", body, {"RUNNER-TOKEN": runner.token, "Content-Type": "application/json"})
    time.sleep(0.5)
    began = time.monotonic()
    runner.queue()
    assert [c.receive().status for c in clients] == [204] * 200
    assert time.monotonic() - began < 5
    for c in clients:
        c.close()
    assert world.rules() == []


def test_a_forgotten_value_is_told(world, runner):
    runner.request()
    runner.last_update = None
    runner.request()
    assert world.rules() == ["last-update"]


def test_a_paused_runner_gets_no_job(world, runner):
    world.control("POST", "/runners/%d" % runner.id, {"paused": True})
    runner.queue()
    r = runner.request()
    assert r.status == 204 and r.getheader("X-GitLab-Last-Update")
    world.control("POST", "/runners/%d" % runner.id, {"paused": False})
    assert runner.request().status == 201


def test_jobs_go_to_whom_they_are_for(world, runner):
    other = Runner(world, run_untagged=False, tags=["gpu"])
    plain = Runner(world, run_untagged=True, tags=[])
    tagged = world.control("POST", "/jobs", {"script": "true", "tags": ["gpu"]})["id"]
    assert plain.request().status == 204 and runner.request().status == 204
    assert other.take(tagged)
    untagged = world.control("POST", "/jobs", {"script": "true"})["id"]
    assert other.request().status == 204
    assert plain.take(untagged)
    first, second = runner.queue(), runner.queue()
    assert runner.take(first) and runner.take(second)
    for r in (other, plain):
        world.control("DELETE", "/runners/%d" % r.id)
    assert world.rules() == []


def test_a_job_beyond_the_runner_is_dropped(world, runner):
    needs = runner.queue(artifacts=[{"name": "j", "paths": ["j.xml"], "artifact_type": "junit", "artifact_format": "gzip"}])
    fine = runner.queue()
    assert runner.take(fine)
    assert world.control("GET", "/jobs/%d" % needs)["failure_reason"] == "runner_unsupported"
    features = {**INFO["features"], "upload_multiple_artifacts": True}
    again = runner.queue(artifacts=[{"name": "j", "paths": ["j.xml"], "artifact_type": "junit"}])
    r = runner.request(info={**INFO, "features": features})
    assert r.status == 201 and json.loads(r.data)["id"] == again


def test_two_phase_acknowledgement(world, runner):
    world.control("PUT", "/settings", {"two_phase": True, "ack_timeout": 1})
    runner.queue()
    j = runner.take()
    assert j.show()["state"] == "pending"
    assert j.patch(b"x").status == 403
    assert j.put("pending").status == 200
    r = j.put("running")
    assert (r.status, r.getheader("Job-Status"), j.show()["state"]) == (200, "running", "running")
    runner.queue()
    j = runner.take()
    assert world.control("GET", "/jobs/%d?wait=10" % j.id)["failure_reason"] == "runner_provisioning_timeout"
    assert j.put("running").status == 403
    assert world.rules() == []


def test_an_unacknowledged_job_is_told_and_a_silent_one_dropped(world, runner):
    world.control("PUT", "/settings", {"ack_limit": 1, "silent_limit": 2})
    runner.queue()
    j = runner.take()
    assert world.control("GET", "/jobs/%d?wait=10" % j.id)["failure_reason"] == "no_updates_running"
    assert world.rules() == ["late-ack"]
    r = j.put("success")
    assert (r.status, r.getheader("Job-Status")) == (403, "failed")


# --- The trace -------------------------------------------------------------------

def test_416_names_the_size(world, job):
    assert job.patch(b"0123456789").status == 202
    r = job.patch(b"abc", start=20)
    assert (r.status, r.getheader("Range")) == (416, "0-10")
    assert r.getheader("Job-Status") is None
    r = job.patch(b"789ab", start=7)        # sent before, and some more: refused as a whole
    assert (r.status, r.getheader("Range")) == (416, "0-10")
    assert job.trace() == b"0123456789"
    assert world.rules() == []
    assert job.patch(b"xyz", start=7).status == 416
    assert world.rules() == ["trace-changed"]
    assert job.show()["ranges_refused"] == 3


BAD_PATCHES = [
    ("no range", b"abc", {"Content-Range": None}, "?debug_trace=false", 400, ["range-header"]),
    ("bytes unit", b"abc", {"Content-Range": "bytes 0-2"}, "?debug_trace=false", 202, ["range-header"]),
    ("total", b"abc", {"Content-Range": "0-2/3"}, "?debug_trace=false", 202, ["range-header"]),
    ("exclusive end", b"abc", {"Content-Range": "0-3"}, "?debug_trace=false", 202, ["range-end"]),
    ("empty", b"", {"Content-Range": "0-0"}, "?debug_trace=false", 202, ["empty-patch"]),
    ("json", b"abc", {"Content-Type": "application/json"}, "?debug_trace=false", 202, ["content-type"]),
    ("large", b"a" * ((1 << 20) + 1), {}, "?debug_trace=false", 202, ["patch-size"]),
    ("debug", b"abc", {}, "?debug_trace=maybe", 202, ["debug-trace"]),
    ("not utf-8", b"a\xff\xfeb", {}, "?debug_trace=false", 202, ["trace-utf8"]),
]


@pytest.mark.parametrize("name,data,headers,query,status,rules", BAD_PATCHES, ids=[b[0] for b in BAD_PATCHES])
def test_what_is_wrong_in_a_patch_is_told(world, job, name, data, headers, query, status, rules):
    assert job.patch(data, headers=headers, query=query).status == status
    assert world.rules() == rules


def test_tokens_of_jobs(world, job, runner):
    assert job.patch(b"x", headers={"JOB-TOKEN": "glcbt-64_other"}).status == 403
    assert job.patch(b"x", headers={"JOB-TOKEN": None}).status == 403
    assert job.patch(b"x", headers={"JOB-TOKEN": runner.token}).status == 403
    r = runner.client.ask("PUT", "jobs/%d" % job.id, {"info": INFO, "token": job.token, "state": "running"})
    assert r.status == 200                      # the field authenticates, but the header belongs there
    r = runner.client.ask("PUT", "jobs/99", {"info": INFO, "token": job.token, "state": "running"},
                          {"JOB-TOKEN": job.token})
    assert r.status == 403 and r.getheader("Job-Status") is None
    assert world.rules() == ["job-token", "job-token-header", "job-token", "job-token", "job-token-header", "unknown-job"]


def test_debug_trace_of_a_job_that_prints_secrets(world, runner):
    runner.queue(variables={"CI_DEBUG_TRACE": "true"})
    j = runner.take()
    j.put("running")
    assert j.patch(b"+ x\n", query="?debug_trace=true").status == 202
    assert j.show()["debug_trace"] is True and world.rules() == []
    runner.queue(variables={"CI_DEBUG_TRACE": "1"})
    j = runner.take()
    j.patch(b"+ x\n")
    assert world.rules() == ["debug-trace"]


def test_a_secret_split_over_patches_is_seen(world, runner):
    runner.queue(variables=[{"key": "KEY", "value": "hunter2hunter2", "masked": True}])
    j = runner.take()
    j.put("running")
    j.patch(b"password: hunter2hun")
    assert world.rules() == []
    j.patch(b"te")
    j.patch(b"r2\n")
    j.patch(b"hunter2hunter2 again\n")
    told = world.control("GET", "/violations")
    assert [v["rule"] for v in told] == ["trace-secret"] and "KEY" in told[0]["text"]
    j.patch(b"token %s\n" % j.token.encode())
    assert world.rules() == ["trace-secret"] * 2


def test_a_character_split_over_patches_is_fine(world, job):
    snow = "☃".encode()
    for byte in (b"a", snow[:1], snow[1:2], snow[2:], b"\n"):
        assert job.patch(byte).status == 202
    assert job.put("success").status == 200
    assert world.rules() == []


def test_trace_size_limit_drops_the_job(world, job):
    world.control("PUT", "/settings", {"trace_size_limit": 100})
    assert job.patch(b"x" * 90).status == 202
    assert job.patch(b"x" * 20).status == 403
    assert job.show()["failure_reason"] == "trace_size_exceeded"
    r = job.put("success")
    assert (r.status, r.getheader("Job-Status")) == (403, "failed")
    assert world.rules() == []


def test_pace(world, job):
    world.control("PUT", "/settings", {"pace": True, "trace_interval": 60})
    for _ in range(4):                  # a client with much to send need not wait
        job.patch(b"x" * 70000)
    job.patch(b"rest\n")
    job.patch(b"last\n")                # nor one that ends
    assert world.rules() == []
    job.patch(b"a\n")
    job.patch(b"b\n")
    assert world.rules() == ["pace"]


def test_interval_follows_the_watcher(world, job):
    world.control("PUT", "/settings", {"trace_interval": None})
    assert job.patch(b"a").getheader("X-GitLab-Trace-Update-Interval") == "60"
    world.control("POST", "/jobs/%d/watch" % job.id, {"seconds": 30})
    assert job.patch(b"b").getheader("X-GitLab-Trace-Update-Interval") == "3"


def test_a_lost_trace_is_asked_for_again(world, job):
    job.patch(b"line 1\nline 2\nline 3\n")
    world.control("POST", "/fault", {"what": "trace-lost", "job": job.id, "keep": 10})
    assert job.trace() == b"line 1\nlin"
    r = job.put("success")              # bytes are missing: wait
    assert (r.status, r.getheader("X-GitLab-Trace-Update-Interval"), r.getheader("Job-Status")) == (202, "1", "running")
    r = job.patch(b"3\n", start=19)
    assert (r.status, r.getheader("Range")) == (416, "0-10")
    assert job.patch(job.sent[10:], start=10).status == 202
    time.sleep(1)
    assert job.put("success").status == 200
    assert job.show()["checksum"]["match"] is True and job.trace() == job.sent
    assert world.rules() == []


# --- The update ------------------------------------------------------------------

BAD_UPDATES = [
    ("no reason", "failed", {}, 200, ["reason"]),
    ("odd reason", "failed", {"failure_reason": "bored"}, 400, ["reason"]),
    ("reason with success", "success", {"failure_reason": "script_failure"}, 200, ["reason"]),
    ("exit code with success", "success", {"exit_code": 1}, 200, ["exit-code"]),
    ("exit code 0", "failed", {"failure_reason": "script_failure", "exit_code": 0}, 200, ["exit-code"]),
    ("text exit code", "failed", {"failure_reason": "script_failure", "exit_code": "1"}, 400, ["exit-code"]),
    ("no checksum", "success", {"checksum": None, "output": None}, 200, ["checksum"]),
    ("upper case", "success", {"checksum": "crc32:ABCDEF01", "output": {"checksum": "crc32:ABCDEF01", "bytesize": 3}},
     200, ["checksum", "checksum"]),
    ("wrong checksum", "success", {"checksum": "crc32:00000001", "output": {"checksum": "crc32:00000001", "bytesize": 3}},
     200, ["checksum"]),
    ("old checksum field differs", "success", {"checksum": "crc32:00000001"}, 200, ["checksum"]),
    ("less than sent", "success", {"checksum": "crc32:e8b7be43", "output": {"checksum": "crc32:e8b7be43", "bytesize": 1}},
     200, ["bytesize"]),
    ("state", "done", {}, 400, ["state"]),
    ("no state", None, {}, 400, ["state"]),
    ("pending", "pending", {}, 400, ["pending"]),
    ("odd field", "running", {"note": "hello"}, 200, ["unknown-field"]),
    ("no info", "running", {"info": None}, 200, ["info"]),
]


@pytest.mark.parametrize("name,state,fields,status,rules", BAD_UPDATES, ids=[b[0] for b in BAD_UPDATES])
def test_what_is_wrong_in_an_update_is_told(world, job, name, state, fields, status, rules):
    job.patch(b"abc")
    assert job.put(state, **fields).status == status
    assert world.rules() == rules


def test_a_client_that_resumed_may_be_behind(world, job):
    job.patch(b"abcdef")
    whole, job.sent = job.sent, b"abc"
    assert job.put("running").status == 200
    assert world.rules() == []
    job.sent = b"abx"
    assert job.put("running").status == 200
    assert world.rules() == ["bytesize"]
    job.sent = whole
    assert job.put("success").status == 200


def test_reasons_are_those_of_the_job(world, runner):
    runner.queue(features={"failure_reasons": ["runner_interrupted"]})
    j = runner.take()
    assert j.put("failed", failure_reason="image_pull_failure").status == 400
    assert j.put("failed", failure_reason="runner_interrupted").status == 200
    assert j.show()["failure_reason"] == "runner_interrupted"


def test_final_update_waits_for_storage(world, job):
    world.control("PUT", "/settings", {"persist_seconds": 1.5})
    job.patch(b"abc")
    r = job.put("failed", failure_reason="script_failure", exit_code=7)
    assert (r.status, r.getheader("X-GitLab-Trace-Update-Interval"), r.getheader("Job-Status")) == (202, "1", "running")
    assert job.put("failed", failure_reason="script_failure", exit_code=7).status == 202
    assert world.rules() == ["final-early"]
    time.sleep(1)
    assert job.put("failed", failure_reason="script_failure", exit_code=8).status == 202
    assert world.rules() == ["final-early", "final-changed"]
    time.sleep(1)
    assert job.put("failed", failure_reason="script_failure", exit_code=7).status == 200
    assert job.show()["exit_code"] == 7


def test_final_update_before_the_trace(world, job):
    world.control("PUT", "/settings", {"accept_timeout": 2})
    job.sent = b"never sent"
    assert job.put("success").status == 202
    assert world.rules() == ["final-missing"]
    time.sleep(2)
    assert job.put("success").status == 200     # the server gives in
    assert job.show()["checksum"]["match"] is False


def test_412_of_old_servers(world, job):
    world.control("PUT", "/settings", {"checksum_412": True})
    job.patch(b"abc")
    wrong = "crc32:00000001"
    assert job.put("success", checksum=wrong, output={"checksum": wrong, "bytesize": 3}).status == 412
    assert job.put("success").status == 200


def test_after_the_end_there_is_403(world, job):
    assert job.put("success").status == 200
    r = job.put("success")
    assert (r.status, r.getheader("Job-Status")) == (403, "success")
    assert "not processing" in json.loads(r.data)["message"]
    assert job.patch(b"late").status == 403
    assert world.rules() == []
    for _ in range(10):
        job.patch(b"later")
    assert world.rules() == ["after-refusal"]


# --- Cancelling --------------------------------------------------------------------

def test_cancel_gracefully(world, job):
    assert world.control("POST", "/jobs/%d/cancel" % job.id, {}) == {"state": "canceling"}
    assert job.patch(b"still here\n").getheader("Job-Status") == "canceling"
    assert job.put("running").getheader("Job-Status") == "canceling"
    r = job.put("failed", failure_reason="unknown_failure")
    assert (r.status, r.getheader("Job-Status")) == (200, "canceled")
    assert job.show()["state"] == "canceled" and job.show()["failure_reason"] is None
    world.control("POST", "/jobs/%d/cancel" % job.id, {}, want=409)
    assert world.rules() == []


def test_cancel_by_force_and_without_the_feature(world, job, runner):
    world.control("POST", "/jobs/%d/cancel" % job.id, {})
    assert world.control("POST", "/jobs/%d/cancel" % job.id, {"force": True}) == {"state": "canceled"}
    r = job.patch(b"x")
    assert (r.status, r.getheader("Job-Status")) == (403, "canceled")
    waiting = runner.queue()
    assert world.control("POST", "/jobs/%d/cancel" % waiting, {}) == {"state": "canceled"}
    runner.queue()
    features = {k: v for k, v in INFO["features"].items() if k != "cancel_gracefully"}
    r = runner.request(info={**INFO, "features": features})
    assert world.control("POST", "/jobs/%d/cancel" % json.loads(r.data)["id"], {}) == {"state": "canceled"}
    assert runner.request().status == 204


def test_dropped_and_erased_by_the_server(world, runner):
    runner.queue()
    j = runner.take()
    world.control("POST", "/jobs/%d/fail" % j.id, {"reason": "server_timeout_running"})
    assert j.put("running").getheader("Job-Status") == "failed"
    runner.queue()
    j = runner.take()
    world.control("DELETE", "/jobs/%d" % j.id)
    r = j.patch(b"x")
    assert r.status == 403 and r.getheader("Job-Status") is None


# --- Limits and waiting ---------------------------------------------------------------

def test_rate_limits(world, job, runner):
    world.control("PUT", "/settings", {"rate_put": 3, "rate_request": 3})
    left = 60 - time.time() % 60
    if left < 4:
        time.sleep(left + 0.1)
    answers = [job.put("running") for _ in range(5)]
    limited = [r for r in answers if r.status == 429]
    assert limited and 1 <= int(limited[0].getheader("Retry-After")) <= 61
    assert job.patch(b"x").status == 202        # another share
    assert "retry-after" in world.rules()
    world.control("DELETE", "/violations")
    assert [runner.request().status for _ in range(5)][-1] == 429
    assert "rate-limit" in world.rules()


def test_asking_before_retry_after_is_told(world, runner):
    for how in ({"retry_after": 2}, {"reset_in": 3}):
        world.control("POST", "/fault", {"what": "status", "code": 503, "path": "jobs/request", **how})
        r = runner.request()
        assert r.status == 503 and (r.getheader("Retry-After") == "2" or "GMT" in r.getheader("RateLimit-ResetTime"))
        assert runner.request().status == 204
        assert world.rules() == ["retry-after"]
        world.control("DELETE", "/violations")
        world.control("POST", "/fault", {"what": "status", "code": 429, "path": "POST jobs/*", **how})
        assert runner.request().status == 429
        time.sleep(3)
        assert runner.request().status == 204
        assert world.rules() == []


# --- Faults -----------------------------------------------------------------------------

def fault(world, what, **how):
    return world.control("POST", "/fault", {"what": what, **how})["id"]


def test_faults_are_listed_counted_and_ended(world, runner):
    fault(world, "status", code=500, path="jobs/request", count=2, skip=1)
    fault(world, "status", code=502, path="PUT jobs/*", seconds=60)
    assert [runner.request().status for _ in range(4)] == [204, 500, 500, 204]
    shown = world.control("GET", "/faults")
    assert [(f["hits"], f["live"]) for f in shown] == [(2, False), (0, True)]
    world.control("DELETE", "/faults/%d" % shown[1]["id"])
    assert len(world.control("GET", "/faults")) == 1
    world.control("POST", "/fault", {"what": "earthquake"}, want=400)
    assert world.rules() == []


def test_faults_for_one_job_only(world, runner):
    runner.queue()
    runner.queue()
    a, b = runner.take(), runner.take()
    fault(world, "status", code=500, job=a.id, count=99)
    assert (a.patch(b"x").status, b.patch(b"x").status) == (500, 202)
    assert runner.request().status == 204


def test_lost_answers_that_took_effect(world, runner):
    ident = runner.queue()
    fault(world, "close", path="jobs/request")
    with pytest.raises((http.client.BadStatusLine, ConnectionError, ssl.SSLError)):
        runner.request()
    shown = world.control("GET", "/jobs/%d" % ident)
    assert shown["state"] == "running"
    runner.client = Client(world)
    runner.queue()
    j = runner.take()
    fault(world, "close", path="PATCH *")
    with pytest.raises((http.client.BadStatusLine, ConnectionError, ssl.SSLError)):
        j.patch(b"abc")
    runner.client = Client(world)
    r = j.patch(b"abc", start=0)        # sent again, as a client must
    assert (r.status, r.getheader("Range")) == (416, "0-3")
    j.sent = b"abc"
    fault(world, "reset", path="PUT *")
    with pytest.raises((http.client.HTTPException, OSError)):
        j.put("success")
    runner.client = Client(world)
    r = j.put("success")
    assert (r.status, r.getheader("Job-Status")) == (403, "success")
    assert world.rules() == []


def test_answers_without_effect(world, runner):
    ident = runner.queue()
    fault(world, "truncated", path="jobs/request", effect=False)
    r = runner.request()
    assert r.status == 201
    with pytest.raises(ValueError):
        json.loads(r.data)
    j = runner.take(ident)
    fault(world, "close", path="PATCH *", effect=False)
    with pytest.raises((http.client.BadStatusLine, ConnectionError, ssl.SSLError)):
        j.patch(b"abc")
    runner.client = Client(world)
    assert j.patch(b"abc", start=0).status == 202
    assert world.rules() == []


def test_a_status_that_took_effect_all_the_same(world, job):
    fault(world, "status", code=502, path="PATCH *", effect=True)
    assert job.patch(b"abc").status == 502
    r = job.patch(b"abc", start=0)
    assert (r.status, r.getheader("Range")) == (416, "0-3")


RIGHT = [("chunked", {"piece": 3}), ("split", {"piece": 2}), ("interim", {}), ("trickle", {"bytes": 50, "interval": 0.01}),
         ("slow", {"delay": 0.3}), ("slow", {"delay": 0.3, "when": "after"}), ("close-header", {}), ("http10", {})]


@pytest.mark.parametrize("what,how", RIGHT, ids=["%s%s" % (w, h.get("when", "")) for w, h in RIGHT])
def test_odd_but_right_answers(world, runner, what, how):
    ident = runner.queue()
    fault(world, what, path="jobs/request", **how)
    began = time.monotonic()
    assert runner.take(ident)
    if what == "slow":
        assert time.monotonic() - began >= 0.3
    assert world.rules() == []


def raw_answer(client, runner):
    body = json.dumps(runner.body()).encode()
    client.send("POST", "jobs/request", body, {"RUNNER-TOKEN": runner.token, "Content-Type": "application/json"})
    out = b""
    client.sock.settimeout(1.5)
    try:
        while True:
            piece = client.sock.recv(65536)
            if not piece:
                return out, "closed"
            out += piece
    except TimeoutError:
        return out, "open"
    except (ConnectionResetError, ssl.SSLEOFError):
        return out, "reset"


def test_wrong_answers(world, runner):
    def one(what, **how):
        fault(world, what, path="jobs/request", **how)
        c = Client(world)
        try:
            return raw_answer(c, runner)
        finally:
            c.close()

    out, end = one("rubbish", size=100)
    assert not out.startswith(b"HTTP/") and len(out) == 100 and end == "closed"
    assert one("rubbish", text="HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")[0].startswith(b"HTTP/1.1 200 OK\r\n")
    out, end = one("non-json")
    assert out.startswith(b"HTTP/1.1 200 OK") and b"text/html" in out and b"Sign in" in out
    out, end = one("redirect", code=301, location="https://elsewhere.test/")
    assert b"301" in out and b"Location: https://elsewhere.test/" in out
    out, end = one("header", size=70000)
    assert len(out) > 70000
    out, end = one("header", many=200)
    assert b"X-Many-199" in out
    runner.queue()
    out, end = one("reset", after=30)
    assert (len(out), end) == (30, "reset")
    runner.queue()
    out, end = one("wrong-length", delta=10)
    head, _, body = out.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % (len(body) + 10) in head and end == "closed"
    runner.queue()
    out, end = one("wrong-length", delta=-10)
    head, _, body = out.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % (len(body) - 10) in head and end == "open"
    began = time.monotonic()
    out, end = one("stall", delay=0.7)
    assert (out, end) == (b"", "reset") and time.monotonic() - began >= 0.7
    out, end = one("reset", when="request")
    assert out == b""
    assert world.rules() == []


def test_connection_faults(world, runner):
    fault(world, "tls-garbage", count=1)
    with pytest.raises(ssl.SSLError):
        Client(world)
    fault(world, "tls-close", count=1)
    with pytest.raises((ssl.SSLError, OSError)):
        Client(world)
    fault(world, "accept-reset", count=1)
    with pytest.raises(OSError):
        Client(world)
    fault(world, "accept-stall", count=1, delay=0.5)
    began = time.monotonic()
    with pytest.raises((ssl.SSLError, OSError)):
        Client(world)
    assert time.monotonic() - began >= 0.5
    assert runner.request().status == 204
    tls.issue(world.run, "other", ["DNS:other.test"])
    fault(world, "cert", pem="other.pem", key="other-key.pem", seconds=60)
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(world)
    world.control("DELETE", "/faults")
    assert Client(world)
    world.control("POST", "/fault", {"what": "cert", "pem": "none.pem", "key": "none"}, want=400)
    assert world.rules() == []


def test_down_until_told_otherwise(world, runner):
    fault(world, "down")
    time.sleep(0.3)
    with pytest.raises(ConnectionRefusedError):
        Client(world)
    world.control("DELETE", "/faults")
    time.sleep(0.3)
    runner.client = Client(world)
    assert runner.request().status == 204
    assert "down" in world.control("GET", "/faults/known")


@pytest.mark.parametrize("mode", ["refuse", "reset", "stall"])
def test_down_and_up_again(world, job, mode):
    assert job.patch(b"before\n").status == 202
    fault(world, "down", seconds=1.5, mode=mode)
    time.sleep(0.3)
    with pytest.raises((http.client.HTTPException, OSError)):
        job.patch(b"while\n")
    with pytest.raises(OSError):
        c = Client(world)
        c.ask("GET", "runners/router/discovery")
    deadline = time.monotonic() + 10
    while True:
        try:
            job.runner.client = Client(world)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert job.patch(b"after\n").status == 202
    assert job.trace() == b"before\nafter\n"
    assert world.rules() == []


# --- Restart -------------------------------------------------------------------------------

@pytest.mark.parametrize("sig", ["terminate", "kill"])
def test_a_restart_forgets_nothing(world, runner, sig):
    runner.queue()
    j = runner.take()
    j.put("running")
    j.patch("half a ☃".encode()[:-1])
    waiting = runner.queue()
    world.control("DELETE", "/jobs/%d" % runner.queue())
    before = j.show()
    world.restart("gitlab", sig)
    after = j.show()
    for key in ("state", "started", "acknowledged", "trace_size", "trace_crc", "events", "runner_id", "patches"):
        assert after[key] == before[key], key
    runner.client = Client(world)
    assert j.patch("☃\n".encode()[2:]).getheader("Range") == "0-11"
    assert j.put("success").status == 200
    assert j.show()["checksum"]["match"] is True
    assert runner.take(waiting)
    assert world.rules() == []


def test_violations_outlive_a_restart(world, job):
    job.patch(b"abc", query="?debug_trace=1")
    world.restart("gitlab")
    assert world.rules() == ["debug-trace"]
    world.control("DELETE", "/violations")
    assert world.rules() == []


# --- Artifacts --------------------------------------------------------------------------------

def a_zip():
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as z:
        z.writestr("dist/app", b"\r\n--almost a boundary" * 5000)
    return b.getvalue()


def form(content, name="file", filename="default.zip", boundary="xYzBoundary"):
    return (("--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n"
             "Content-Type: application/octet-stream\r\n\r\n" % (boundary, name, filename)).encode()
            + content + ("\r\n--%s--\r\n" % boundary).encode())


def upload(job, data, query="?artifact_format=zip&artifact_type=archive&expire_in=1+week", token=None):
    return job.runner.client.ask("POST", "jobs/%d/artifacts%s" % (job.id, query), data, {
        "JOB-TOKEN": token or job.token, "Content-Type": "multipart/form-data; boundary=xYzBoundary"})


def test_artifacts_up_and_down(world, job, runner):
    data = a_zip()
    assert upload(job, form(data)).status == 201
    assert upload(job, form(data)).status == 201        # the same again
    assert upload(job, form(data + b"x")).status == 400
    shown = world.control("GET", "/jobs/%d/artifacts" % job.id)
    assert shown["archive"]["size"] == len(data) and shown["archive"]["expire_in"] == "1 week"
    assert world.control("GET", "/jobs/%d/artifacts/archive" % job.id) == data
    job.put("success")
    runner.queue(dependencies=[job.id])
    later = runner.take()
    assert later.payload["dependencies"][0]["artifacts_file"] == {"filename": "default.zip", "size": len(data)}
    token = later.payload["dependencies"][0]["token"]
    path = "jobs/%d/artifacts?direct_download=true" % job.id
    r = runner.client.ask("GET", path, b"", {"JOB-TOKEN": token})
    assert (r.status, r.data) == (200, data)
    world.control("PUT", "/settings", {"direct_download": True})
    r = runner.client.ask("GET", path, b"", {"JOB-TOKEN": token})
    assert r.status == 302
    where = r.getheader("Location").partition("/object-store/")[2]
    client = Client(world)
    client.sock.sendall(b"GET /object-store/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\n\r\n" % where.encode())
    assert client.receive().data == data
    assert world.rules() == []
    client.sock.sendall(b"GET /object-store/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\nJOB-TOKEN: t\r\n\r\n"
                        % where.encode())
    assert client.receive().status == 200
    assert world.rules() == ["token-leak"]
    assert runner.client.ask("GET", "jobs/%d/artifacts" % later.id, b"", {"JOB-TOKEN": token}).status == 404
    assert runner.client.ask("GET", "jobs/%d/artifacts" % job.id, b"", {"JOB-TOKEN": job.token}).status == 403
    assert runner.client.ask("GET", "jobs/%d/artifacts" % job.id, b"", {"JOB-TOKEN": "no"}).status == 401


def test_artifacts_refused(world, job):
    data = a_zip()
    assert upload(job, form(data), query="?artifact_type=junit&artifact_format=zip").status == 400
    assert upload(job, form(data), query="?artifact_type=teapot").status == 400
    assert upload(job, form(data, name="data")).status == 400
    assert upload(job, form(data)[:-20]).status == 400
    assert upload(job, form(b"no zip")).status == 201
    assert world.rules() == ["artifact"] * 5
    world.control("DELETE", "/violations")
    assert upload(job, form(data), token="wrong").status == 403
    world.control("PUT", "/settings", {"artifacts_enabled": False})
    assert upload(job, form(data)).status == 405
    world.control("PUT", "/settings", {"artifacts_enabled": True, "max_artifact_size": 1000})
    assert upload(job, form(data), query="?artifact_type=lsif").status == 413
    left = os.listdir(os.path.join(world.run, "gitlab", "jobs", str(job.id), "artifacts"))
    assert left == ["archive"]


# --- Git -----------------------------------------------------------------------------------------

def git(*args, cwd=None):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *args], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_git_fetch_as_a_job_does(world, runner, tmp_path):
    runner.queue()
    j = runner.take()
    info = j.payload["git_info"]
    repo = str(tmp_path / "web")
    assert git("init", "-q", repo).returncode == 0
    done = git("fetch", "--depth", str(info["depth"]), info["repo_url"], *info["refspecs"], cwd=repo)
    assert done.returncode == 0, done.stdout
    assert git("checkout", "-q", info["sha"], cwd=repo).returncode == 0
    assert git("rev-parse", "refs/pipelines/%d" % j.payload["job_info"]["pipeline_id"], cwd=repo).stdout.strip() == info["sha"]
    assert git("rev-list", "--count", "HEAD", cwd=repo).stdout.strip() == "20"
    tested = subprocess.run(["sh", "./test.sh"], cwd=repo, stdout=subprocess.PIPE, text=True)
    assert tested.returncode == 0 and "all 4 tests passed" in tested.stdout
    push = git("push", info["repo_url"], "HEAD:refs/heads/evil", cwd=repo)
    assert push.returncode != 0 and "403" in push.stdout


def test_git_submodule_tag_and_exact_sha(world, runner, tmp_path):
    runner.queue(ref="with-submodule", depth=0)
    j = runner.take()
    done = git("clone", "-q", "--recurse-submodules", "-b", "with-submodule", j.payload["git_info"]["repo_url"],
               str(tmp_path / "s"))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "s" / "lib" / "lib.sh").read_text() == "#!/bin/sh\necho the lib speaks\n"
    runner.queue(ref="v1.0")
    t = runner.take()
    sha = t.payload["git_info"]["sha"]
    assert sha != j.payload["git_info"]["sha"]
    repo = str(tmp_path / "t")
    git("init", "-q", repo)
    done = git("fetch", "--depth", "1", t.payload["git_info"]["repo_url"], sha, cwd=repo)
    assert done.returncode == 0, done.stdout
    url = t.payload["git_info"]["repo_url"]
    assert git("ls-remote", url.removesuffix(".git")).returncode == 0       # redirected
    assert git("ls-remote", url.replace("web", "nothing")).returncode != 0


def test_git_knows_whose_token_it_is(world, runner):
    runner.queue()
    j = runner.take()
    url = j.payload["git_info"]["repo_url"]
    assert git("ls-remote", url).returncode == 0
    assert git("ls-remote", url.replace(j.token, "glcbt-64_wrong")).returncode != 0
    assert git("ls-remote", url.replace("gitlab-ci-token", "root")).returncode != 0
    assert git("ls-remote", url.replace("gitlab-ci-token:%s@" % j.token, "")).returncode != 0
    world.control("GET", "/tokens/" + j.token)
    j.put("success")
    assert git("ls-remote", url).returncode != 0
    world.control("GET", "/tokens/" + j.token, want=404)
    denied = [e.get("denied") for e in world.control("GET", "/requests", sock="git.sock") if e.get("denied")]
    assert "user 'root'" in denied and denied.count("token is of no running job") >= 2 and "no credentials" in denied
    assert j.token not in json.dumps(world.control("GET", "/requests", sock="git.sock"))


def test_git_gzip_and_chunked_request(world, runner, tmp_path):
    """A client with much of its own sends what it has gzipped, then in chunks."""
    runner.queue()
    url = runner.take().payload["git_info"]["repo_url"]
    repo = str(tmp_path / "web")
    git("init", "-q", repo)
    stream = "".join("commit refs/heads/own\ncommitter A <a@b> %d +0000\ndata 1\nx\n" % i for i in range(5000))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, input=stream, text=True, check=True)
    for more, ref, count in (((), "main", "34"), (("-c", "http.postBuffer=65536"), "feature/login", "35")):
        done = git("-c", "protocol.version=0", *more, "fetch", "-q", url, "refs/heads/" + ref, cwd=repo)
        assert done.returncode == 0, done.stdout
        assert git("rev-list", "--count", "FETCH_HEAD", cwd=repo).stdout.strip() == count
    asked = world.control("GET", "/requests", sock="git.sock")
    assert any(e.get("encoding") == "gzip" for e in asked) and any(e.get("chunked") for e in asked)


def test_git_faults(world, runner):
    runner.queue()
    url = runner.take().payload["git_info"]["repo_url"]
    for what in ({"what": "status", "code": 503}, {"what": "reset"}, {"what": "truncated"}, {"what": "rubbish"}):
        world.control("POST", "/fault", {**what, "path": "acme/*", "count": 9}, sock="git.sock")
        assert git("ls-remote", url).returncode != 0, what
        world.control("DELETE", "/faults", sock="git.sock")
        assert git("ls-remote", url).returncode == 0


# --- Size -----------------------------------------------------------------------------------------

def test_a_trace_of_200_mb(world, job):
    world.control("PUT", "/settings", {"trace_size_limit": 1 << 30, "rate_patch": 0})
    piece = (b"0123456789abcde\n" * 65536)
    crc = size = 0
    for _ in range(200):
        r = job.runner.client.ask("PATCH", "jobs/%d/trace?debug_trace=false" % job.id, piece, {
            "JOB-TOKEN": job.token, "Content-Type": "text/plain",
            "Content-Range": "%d-%d" % (size, size + len(piece) - 1)})
        assert r.status == 202
        crc = zlib.crc32(piece, crc)
        size += len(piece)
    checksum = "crc32:%08x" % crc
    assert job.put("success", checksum=checksum, output={"checksum": checksum, "bytesize": size}).status == 200
    assert job.show()["checksum"]["match"] is True
    assert world.rules() == []


def test_a_hundred_jobs_at_once(world, runner):
    n = 100
    for _ in range(n):
        runner.queue()
    jobs = [runner.take() for _ in range(n)]
    failed = []

    def run(j):
        try:
            c = Client(world)
            assert j.put("running", client=c).status == 200
            for i in range(5):
                assert j.patch(b"line %d of job %d\n" % (i, j.id), client=c).status == 202
            assert j.put("success", client=c).status == 200
            c.close()
        except Exception as e:
            failed.append((j.id, e))

    threads = [threading.Thread(target=run, args=(j,)) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    ids = {j.id for j in jobs}
    done = [b for b in world.control("GET", "/jobs") if b["id"] in ids]
    assert len(done) == n and all(b["state"] == "success" for b in done)
    assert world.rules() == []
