#!/usr/bin/env python3
"""A double of GitLab's coordinator API, as strict as the real server.

    gitlab.py --run DIR --bind ADDR --port P [--git-url URL] [--url URL]

It speaks TLS on ADDR:P with DIR/gitlab.pem and DIR/gitlab-key.pem, keeps its
state in DIR/gitlab/ (a restart forgets nothing) and takes orders in plain
HTTP on the unix socket DIR/gitlab.sock. What the real server's Rails and
workhorse do with a runner's request is done here too: the last-update
protocol and its long polling, the trace with its 416, the final update with
its 202, rate limits, cancelling, the states of a job. Beyond that, whatever a
client does that the protocol does not allow is kept as a violation, with the
request that did it and without its secrets; tests end by asking that there be
none. RULES in gitlab_tables.py names them all.

Control API (JSON unless said otherwise):

    POST   /jobs                 queue a job: the whole answer of jobs/request, a part of it, or a
                                 few words: {"script": [..], "image": "..", "variables": [..], "name",
                                 "after_script", "timeout", "ref", "tags", "runner": id, ...} -> {"id": N}
                                 "exact": true adds nothing but id, token and URL
    GET    /jobs                 one object a job
    GET    /jobs/ID              all of it with its events; ?wait=S waits until it has ended
    GET    /jobs/ID/payload      what the runner is, or will be, given
    GET    /jobs/ID/trace        the log as bytes
    POST   /jobs/ID/cancel       {"force": bool}
    POST   /jobs/ID/fail         {"reason": ".."}: the server drops it
    POST   /jobs/ID/watch        {"seconds": S}: somebody looks at the page
    DELETE /jobs/ID              erased: its requests get 403
    GET    /jobs/ID/artifacts[/TYPE]    what was uploaded; the file itself
    GET    /tokens/TOKEN         200 {"job", "project"} while that job runs, else 404
    GET    /runners              runners and their managers
    POST   /runners              {"tags", "description", "run_untagged", "expires_in"} -> {"id", "token"}
    POST   /runners/ID           {"paused", "orphaned", "tags", "run_untagged"}; DELETE: gone, its requests get 403
    POST   /fault, GET /faults, DELETE /faults[/ID]
                                 {"what", "path": glob or "METHOD glob" below api/v4/, "count" | "seconds",
                                 "skip", "chance", "job", ...}; see FAULTS and CONN_FAULTS in minihttp.py;
                                 here also trace-lost {"job", "keep" | "lose"}
    GET    /faults/known         their names and parameters
    GET    /violations, DELETE /violations
    GET    /requests             ?job=N, ?tail=N: what was asked and answered
    GET    /settings, PUT /settings     see SETTINGS in gitlab_tables.py
"""

import argparse
import bisect
import codecs
import hashlib
import json
import os
import re
import secrets
import signal
import ssl
import sys
import threading
import time
import traceback
import urllib.parse

import gitlab_payload
import gitserver
from gitlab_state import Job, Runner, is_int, iso, random_word, read_json, write_file
from gitlab_tables import (ALWAYS_REASONS, ARTIFACT_TYPES, EXECUTORS, FEATURES, FINISHED, MAGIC,
                           MUST_FEATURES, PROCESSING, REGISTER_FIELDS, REQUEST_FIELDS, RULES, SETTINGS,
                           UPDATE_FIELDS)
from minihttp import (CONN_FAULTS, FAULTS, Answer, BadRequest, Faults, Gone, Ring, Server, big_process,
                      fault_answer, rubbish, send_answer, send_with_fault, serve_simple,
                      tcp_listener, unix_listener)


def api_error(status, reason=None, headers=()):
    """Rails' way of saying no."""
    names = {400: "400 Bad request", 403: "403 Forbidden", 404: "404 Not Found", 409: "409 Conflict",
             405: "405 Method Not Allowed", 410: "410 Gone", 413: "413 Request Entity Too Large"}
    text = names.get(status, str(status))
    return Answer(status, {"message": "%s - %s" % (text, reason) if reason else text}, headers)


class Call:
    """One request on its way through the double."""

    def __init__(self, req, conn, path):
        self.req = req
        self.conn = conn
        self.path = path
        self.body = b""
        self.json = None
        self.job = None
        self.runner = None
        self.effect = True              # False: a fault wants nothing to happen
        self.fault = None
        self.features = {}              # as the job request announces them
        self.system_id = None
        self.wait_key = None            # whose Retry-After counts
        self.broken = []


class Double:
    def __init__(self, run, base_url, prefix, git_url, runner_token=None):
        self.run_dir = run
        self.dir = os.path.join(run, "gitlab")
        self.prefix = prefix.rstrip("/")
        self.base_url = base_url.rstrip("/")
        self.git_url = git_url
        os.makedirs(os.path.join(self.dir, "jobs"), exist_ok=True)
        os.chmod(self.dir, 0o700)
        self.lock = threading.RLock()
        self.settings = {k: v[0] for k, v in SETTINGS.items()}
        self.settings.update(read_json(os.path.join(self.dir, "settings.json"), {}))
        self.registration_token = self.secret_file("registration_token", lambda: "GR1348941" + random_word(20))
        self.private_token = self.secret_file("private_token", lambda: "glpat-" + random_word(20))
        self.violations = []
        self.load_violations()
        self.log = Ring(os.path.join(self.dir, "requests.jsonl"))
        self.faults = Faults()
        self.runners = {}
        self.jobs = {}
        self.queue = []                 # ids of pending jobs, oldest first
        self.job_by_token = {}
        self.next_job = 9120001
        self.rates = {}
        self.not_before = {}            # (group, token): (time, what said so)
        self.store_keys = {}            # the object store's presigned names
        self.server = None
        self.tls = self.make_tls("gitlab.pem", "gitlab-key.pem")
        self.repos = gitserver.make_repos(run)
        self.resolved = {}
        self.load(runner_token)

    # -- state on disk

    def secret_file(self, name, make):
        path = os.path.join(self.dir, name)
        try:
            with open(path, encoding="ascii") as f:
                return f.read().strip()
        except FileNotFoundError:
            token = make()
            write_file(path, token + "\n")
            return token

    def make_tls(self, pem, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(os.path.join(self.run_dir, pem), os.path.join(self.run_dir, key))

        def note_name(sock, name, _context):
            sock.server_name_sent = name
        context.sni_callback = note_name
        return context

    def load_violations(self):
        self.violations_path = os.path.join(self.dir, "violations.jsonl")
        try:
            with open(self.violations_path, encoding="utf-8") as f:
                self.violations = [json.loads(line) for line in f if line.strip()]
        except FileNotFoundError:
            pass

    def load(self, runner_token):
        for saved in read_json(os.path.join(self.dir, "runners.json"), []):
            runner = Runner(self.lock, **saved)
            self.runners[runner.id] = runner
        if runner_token:
            write_file(os.path.join(self.dir, "runner_token"), runner_token + "\n")
        token = self.secret_file("runner_token", lambda: "glrt-t1_" + random_word(20))
        if not any(r.token == token for r in self.runners.values()):
            self.add_runner(token=token, description="the rig's runner")
        for name in sorted(os.listdir(os.path.join(self.dir, "jobs")), key=lambda n: (len(n), n)):
            directory = os.path.join(self.dir, "jobs", name)
            payload = read_json(os.path.join(directory, "payload.json"))
            state = read_json(os.path.join(directory, "state.json"))
            if not payload or not state:
                continue                # was being queued when we ended: nobody was told its id
            job = Job(self.lock, directory, payload, **state)
            try:
                with open(os.path.join(directory, "events.jsonl"), encoding="utf-8") as f:
                    job.events = [json.loads(line) for line in f if line.endswith("\n")]
            except FileNotFoundError:
                pass
            if not job.lost and job.file_size() != job.trace_size:
                # We ended between the bytes and the note of them.
                size = job.file_size()
                job.trace_size = size
                job.lose(size)
                job.lost = False
            job.decoder, job.decoded = None, 0
            if job.state in PROCESSING:
                job.disturbed = time.time()     # we were away
            self.adopt(job)

    def adopt(self, job):
        self.jobs[job.id] = job
        self.job_by_token[job.token] = job
        self.next_job = max(self.next_job, job.id + 1)
        if job.state == "pending" and not job.waiting_ack:
            bisect.insort(self.queue, job.id)

    def save_runners(self):
        write_file(os.path.join(self.dir, "runners.json"),
                   [{k: getattr(r, k) for k in Runner.SAVED} for r in self.runners.values()])

    def add_runner(self, **given):
        runner = Runner(self.lock, id=max(self.runners, default=40) + 1, **given)
        if not runner.token:
            runner.token = "glrt-t1_" + random_word(20)
        self.runners[runner.id] = runner
        self.save_runners()
        return runner

    def runner_by_token(self, token):
        for runner in self.runners.values():
            if runner.token == token and not runner.deleted:
                return runner
        return None

    # -- violations

    def redact(self, text):
        text = re.sub(r"(glrt-(?:t\d_)?|glcbt-(?:[0-9a-f]{1,4}_)?|glpat-|GR1348941)[\w-]{4,}", r"\1[redacted]", text)
        for token in [self.registration_token, self.private_token,
                      *(r.token for r in self.runners.values() if r.registered)]:
            text = text.replace(token, "[redacted]")
        return re.sub(r"(?i)(authorization|private-token|job-token|runner-token)(['\"]?: ?['\"]?)[^\s'\",]+",
                      r"\1\2[redacted]", text)

    def violation(self, rule, text, call=None, job=None):
        assert rule in RULES, rule
        job = job or (call.job if call else None)
        item = {"time": round(time.time(), 3), "rule": rule, "text": self.redact(text), "meaning": RULES[rule]}
        if job is not None:
            item["job"] = job.id
        if call is not None:
            call.broken.append(rule)
            req = call.req
            item["request"] = {
                "line": self.redact("%s %s" % (req.method, req.target)),
                "headers": {k: self.redact("%s: %s" % (k, v)).partition(": ")[2] for k, v in req.headers.items},
                "body": self.redact(call.body[:400].decode("utf-8", "replace")),
            }
        with self.lock:
            self.violations.append(item)
            with open(self.violations_path, "a", encoding="utf-8") as f:
                f.write(json.dumps(item) + "\n")
        print("gitlab: violation %s: %s" % (rule, item["text"]), file=sys.stderr, flush=True)

    def once(self, job, rule, text, call=None):
        """A violation that is told once a job."""
        if rule not in job.told:
            job.told.append(rule)
            self.violation(rule, text, call, job)

    # -- queueing

    def lookup(self, project, ref):
        """gitserver.resolve, remembered: a branch of the rig moves rarely."""
        key = (project, ref)
        seen = self.resolved.get(key)
        if seen is None or time.monotonic() - seen[0] > 2:
            seen = (time.monotonic(), gitserver.resolve(self.repos, project, ref))
            self.resolved[key] = seen
        return seen[1]

    def queue_job(self, spec):
        with self.lock:
            ident = spec.get("id")
            if ident is None:
                ident = self.next_job
            if not is_int(ident) or ident <= 0:
                raise ValueError("id: %r is not a positive number" % ident)
            if ident in self.jobs:
                raise ValueError("job %d exists already" % ident)
            self.next_job = max(self.next_job, ident + 1)
        token = "glcbt-64_" + random_word(24)
        payload, steer = gitlab_payload.fill(spec, ident, token, self.base_url + self.prefix, self.git_url, self.lookup,
                                             secrets.token_hex(8))
        want = steer.get("runner")
        if want is not None and want not in self.runners:
            raise ValueError("runner: no runner %r" % want)
        note = None
        try:
            gitserver.make_ref(self.repos, steer["project"], steer["pipeline"], steer["sha"])
        except OSError:
            note = "%s holds no commit %s: a fetch will fail" % (steer["project"], steer["sha"])
        directory = os.path.join(self.dir, "jobs", str(ident))
        os.makedirs(directory, exist_ok=True)
        info = payload.get("job_info") if isinstance(payload.get("job_info"), dict) else {}
        job = Job(self.lock, directory, payload, name=info.get("name") or steer.get("name"),
                  steer=steer, runner_tags=list(steer.get("tags") or ()), want_runner=want)
        with self.lock:
            write_file(os.path.join(directory, "payload.json"), payload)
            job.save()
            job.event("queued")
            self.adopt(job)
            for runner in self.runners.values():
                if self.fits(runner, job):
                    runner.tick()
            self.save_runners()
        return job, note

    def queue_again(self, job):
        """As GitLab's retry of a job whose runner never acknowledged it: a new one with another number and token."""
        ident = self.next_job
        self.next_job += 1
        old = json.dumps(job.payload)
        token = "glcbt-64_" + random_word(24)
        payload = json.loads(old.replace(job.token, token))
        payload["id"] = ident
        for v in payload.get("variables") or ():
            if v.get("key") in ("CI_JOB_ID", "CI_BUILD_ID"):
                v["value"] = str(ident)
        directory = os.path.join(self.dir, "jobs", str(ident))
        os.makedirs(directory, exist_ok=True)
        again = Job(self.lock, directory, payload, name=job.name, steer=job.steer, runner_tags=job.runner_tags,
                    want_runner=job.want_runner)
        write_file(os.path.join(directory, "payload.json"), payload)
        again.save()
        again.event("queued", retries=job.id)
        self.adopt(again)
        for runner in self.runners.values():
            if self.fits(runner, again):
                runner.tick()
        return ident

    @staticmethod
    def fits(runner, job):
        if runner.deleted or (job.want_runner is not None and job.want_runner != runner.id):
            return False
        if not set(job.runner_tags) <= set(runner.tags):
            return False
        return bool(job.runner_tags) or runner.run_untagged

    def drop_from_queue(self, job):
        if job.id in self.queue:
            self.queue.remove(job.id)

    # -- the connection

    def serve(self, conn):
        if not self.greet(conn):
            return
        while True:
            try:
                req = conn.read_request(self.settings["keepalive"])
            except BadRequest as e:
                self.violation("http", "%s (connection from %s)" % (e, conn.peer[0]))
                send_answer(conn, Answer(e.status, str(e) + "\n", content_type="text/plain"))
                conn.drop_rest()
                return
            if req is None or not self.one(conn, req):
                return

    def greet(self, conn):
        """Connection faults and the TLS handshake; False ends the connection."""
        context = self.tls
        fault = self.faults.pick_conn()
        if fault:
            if fault.what == "accept-reset" or (fault.what == "down" and fault.spec.get("mode") == "reset"):
                conn.abort()
                return False
            if fault.what in ("accept-stall", "down"):
                end = fault.until
                conn.wait_gone(float(fault.spec.get("delay", end - time.monotonic() if end else 3600)))
                conn.abort()
                return False
            if fault.what == "tls-garbage":
                conn.send(rubbish(fault.spec, fault.random))
                conn.wait_gone(1)
                return False
            if fault.what == "tls-close":
                conn.fill()
                return False
            if fault.what == "cert":
                context = self.make_tls(fault.spec["pem"], fault.spec["key"])
        conn.sock.settimeout(10)
        try:
            conn.sock = context.wrap_socket(conn.sock, server_side=True)
        except (OSError, ValueError) as e:
            self.log.add({"time": round(time.time(), 3), "handshake": str(e), "peer": conn.peer[0]})
            conn.dead = True
            return False
        conn.tls = conn.sock.version()
        conn.sni = getattr(conn.sock, "server_name_sent", None)
        return True

    def one(self, conn, req):
        """One request; False ends the connection."""
        root = self.prefix + "/api/v4/"
        path = req.raw_path[len(root):] if req.raw_path.startswith(root) else None
        call = Call(req, conn, path)
        entry = {"time": round(req.received, 3), "method": req.method, "path": req.raw_path}
        answer = None
        try:
            match = re.match(r"jobs/(\d+)(?:/|\Z)", path or "")
            tags = {"job": int(match.group(1))} if match else {}
            fault = call.fault = self.faults.pick(req.method, path if path is not None else req.raw_path, **tags)
            if fault:
                entry["fault"] = fault.what
                call.effect = fault.effect()
                job = self.jobs.get(tags.get("job"))
                if job:
                    job.disturbed = time.time()
                if fault.what == "reset" and fault.spec.get("when") == "request":
                    req.body.read(1024)
                    conn.abort()
                    return False
                if fault.what == "slow" and fault.spec.get("when", "before") == "before":
                    time.sleep(float(fault.spec.get("delay", 2)))
            try:
                answer = self.answer(call)
            except BadRequest as e:
                rule = "body-size" if e.status == 413 else "http"
                self.violation(rule, "%s %s: %s" % (req.method, req.raw_path, e), call)
                answer = Answer(e.status, {"error": str(e)})
                answer.close = True
            except Gone:
                raise
            except Exception as e:
                traceback.print_exc()
                self.violation("internal", "%s %s: %r" % (req.method, req.raw_path, e), call)
                answer = Answer(500, {"message": "500 Internal Server Error"})
                answer.close = True
            if fault:
                instead = fault_answer(fault)
                if instead is not None:
                    answer = instead
                if fault.what == "slow" and fault.spec.get("when") == "after":
                    time.sleep(float(fault.spec.get("delay", 2)))
            self.note_wait(call, answer)
            entry["status"] = answer.status
            answer.headers.set("X-Request-Id", secrets.token_hex(13).upper())
            answer.close = answer.close or not req.body.drain(1 << 24)
            alive = req.keep_alive() and not answer.close
            if not alive:
                answer.headers.set("Connection", "close")
            if fault:
                alive = send_with_fault(conn, answer, fault) and alive
            else:
                send_answer(conn, answer, req.method)
            if answer.close:
                conn.drop_rest()
            return alive
        except Gone as e:
            entry["gone"] = str(e)
            raise
        finally:
            if answer is not None and not isinstance(answer.body, bytes):
                answer.body.close()
            entry["ms"] = round((time.time() - req.received) * 1000)
            entry["bytes"] = req.body.total
            if call.job:
                entry["job"] = call.job.id
            if call.runner:
                entry["runner"] = call.runner.id
            if call.broken:
                entry["broken"] = call.broken
            self.log.add(entry)

    def note_wait(self, call, answer):
        """Remembers until when this client was told to wait."""
        if call.wait_key is None or answer.status not in (408, 429, 500, 502, 503, 504):
            return
        if call.fault and call.fault.what != "status":
            return
        until = None
        reset = answer.headers.get("RateLimit-ResetTime")
        after = answer.headers.get("Retry-After")
        if reset:
            # A date has whole seconds only.
            until = time.time() + float((call.fault.spec if call.fault else {}).get("reset_in", 1)) - 1.0
        elif after and after.isdigit():
            until = time.time() + int(after) - 0.25
        if until:
            self.not_before[call.wait_key] = until

    def check_wait(self, call, group, token):
        call.wait_key = (group, token)
        until = self.not_before.pop(call.wait_key, 0)
        left = until - call.req.received
        if left > 0:
            self.violation("retry-after", "%s %s came %.1f s too early" % (call.req.method, call.path, left), call)

    def over_rate(self, call, group, token):
        """A 429 answer when this minute's share is used up, else None."""
        limit = self.settings["rate_" + group]
        if not limit:
            return None
        minute = int(time.time() // 60)
        with self.lock:
            key = (group, token)
            at, n = self.rates.get(key, (minute, 0))
            n = n + 1 if at == minute else 1
            self.rates[key] = (minute, n)
        if n <= limit:
            return None
        if group == "request" and n == limit + 1:
            self.violation("rate-limit", "%d job requests in a minute" % n, call)
        left = int(60 - time.time() % 60) + 1
        return Answer(429, {"message": {"error": "This endpoint has been requested too many times. "
                                                 "Try again later."}}, [("Retry-After", left)])

    # -- routing

    ROUTES = (
        ("POST", r"runners", "runner_register"),
        ("DELETE", r"runners", "runner_delete"),
        ("DELETE", r"runners/managers", "manager_delete"),
        ("POST", r"runners/verify", "runner_verify"),
        ("POST", r"runners/reset_authentication_token", "runner_reset"),
        ("POST", r"runners/(\d+)/reset_authentication_token", "runner_reset_by_id"),
        ("GET", r"runners/router/discovery", "router_discovery"),
        ("POST", r"jobs/request", "job_request"),
        ("PUT", r"jobs/(\d+)", "job_update"),
        ("PATCH", r"jobs/(\d+)/trace", "trace_patch"),
        ("POST", r"jobs/(\d+)/artifacts", "artifact_upload"),
        ("GET", r"jobs/(\d+)/artifacts", "artifact_download"),
    )

    def answer(self, call):
        req = call.req
        if "User-Agent" not in req.headers:
            self.violation("user-agent", "%s %s" % (req.method, req.raw_path), call)
        host = (req.headers.get("Host") or "").rsplit(":", 1)[0].strip("[]")
        if call.conn.requests == 1 and not re.match(r"[0-9.]+\Z|.*:", host) and call.conn.sni != host:
            self.violation("sni", "Host is %s, TLS server name %s" % (host, call.conn.sni), call)
        if call.path is None:
            store = re.match(re.escape(self.prefix) + r"/object-store/(\w+)\Z", req.raw_path)
            if store:
                return self.object_store(call, store.group(1))
            self.violation("unknown-path", "%s %s is not below %s/api/v4/" % (req.method, req.raw_path, self.prefix), call)
            return Answer(404, "<html>404</html>", content_type="text/html")
        known = False
        for method, pattern, name in self.ROUTES:
            match = re.match(pattern + r"\Z", call.path)
            if not match:
                continue
            known = True
            if method == req.method:
                if name != "runner_reset_by_id" and "PRIVATE-TOKEN" in req.headers:
                    self.violation("private-token", "on %s" % call.path, call)
                return getattr(self, name)(call, *(int(g) for g in match.groups()))
        self.violation("unknown-path", "%s %s" % (req.method, call.path), call)
        if known:
            return api_error(405)
        return Answer(404, {"error": "404 Not Found"})

    def read_json(self, call, limit=1 << 20):
        """The body as an object, or an Answer that refuses it."""
        call.body = call.req.body.read_all(limit)
        if call.req.content_type() != "application/json":
            # Grape would not look into it: every field is then missing.
            self.violation("content-type", "%s: Content-Type is %r" % (
                call.path, call.req.headers.get("Content-Type")), call)
            return Answer(400, {"error": "token is missing"})
        try:
            call.json = json.loads(call.body, object_pairs_hook=self.unique, parse_constant=self.no_constant)
        except ValueError as e:
            self.violation("json", "%s: %s" % (call.path, e), call)
            return Answer(400, {"message": "400 Bad request - body is not JSON"})
        if not isinstance(call.json, dict):
            self.violation("json", "%s: not an object" % call.path, call)
            return Answer(400, {"message": "400 Bad request - body is not an object"})
        if not isinstance(call.json.get("token"), str) or not call.json["token"]:
            return Answer(400, {"error": "token is missing"})
        return None

    @staticmethod
    def unique(pairs):
        d = dict(pairs)
        if len(d) != len(pairs):
            raise ValueError("a key comes twice in an object: %s" % " ".join(k for k, _ in pairs))
        return d

    @staticmethod
    def no_constant(name):
        raise ValueError("%s is no JSON" % name)

    def check_fields(self, call, known):
        for name in call.json:
            if name not in known:
                self.violation("unknown-field", "%s: %s" % (call.path, name), call)

    # -- runners

    def auth_runner(self, call):
        """Sets call.runner; an Answer when the token is not good."""
        token = call.json["token"]
        self.check_token_header(call)
        runner = self.runner_by_token(token)
        if runner is None or not runner.usable():
            return api_error(403)
        call.runner = runner
        if runner.orphaned:
            return Answer(422, {"message": "422 Unprocessable entity - Runner is orphaned"})
        return None

    def check_token_header(self, call):
        header = call.req.headers.get("RUNNER-TOKEN")
        if header != call.json["token"]:
            self.violation("runner-token", "%s: header %s" % (
                call.path, "missing" if header is None else "is not the body's token"), call)

    def meet_manager(self, call):
        """Notes the host that asks, as the server does."""
        runner, body = call.runner, call.json
        system_id = body.get("system_id")
        if system_id is None:
            if runner.token.startswith("glrt-"):
                self.violation("system-id", "%s: no system_id with a glrt- token" % call.path, call)
            system_id = "<legacy>"
        elif not isinstance(system_id, str) or not re.match(r"[sr]_[0-9A-Za-z]{12}\Z", system_id):
            self.violation("system-id", "%s: %r is not of the form s_ or r_ and 12 letters or digits" % (
                call.path, system_id), call)
            system_id = str(system_id)[:64]
        manager = runner.managers.setdefault(system_id, {"first": time.time(), "requests": 0})
        manager["last"] = time.time()
        manager["requests"] += 1
        manager["agent"] = call.req.headers.get("User-Agent")
        manager["tls"] = call.conn.tls
        if isinstance(body.get("info"), dict):
            manager["info"] = body["info"]
        return system_id

    def check_info(self, call, full=True):
        info = call.json.get("info")
        if not isinstance(info, dict):
            self.violation("info", "%s: info is missing" % call.path, call)
            return {}
        for key in ("name", "version", "revision", "platform", "architecture", "executor"):
            if not isinstance(info.get(key), str) or not info[key]:
                self.violation("info", "%s: info.%s is %r" % (call.path, key, info.get(key)), call)
        if info.get("executor") not in EXECUTORS:
            self.violation("info", "%s: executor %r is unknown to the server" % (call.path, info.get("executor")), call)
        if info.get("platform") not in (None, "linux", "windows", "darwin", "freebsd"):
            self.violation("info", "%s: platform %r" % (call.path, info["platform"]), call)
        if info.get("architecture") not in (None, "amd64", "arm64", "arm", "386", "s390x", "ppc64le", "riscv64"):
            self.violation("info", "%s: architecture %r is no Go name" % (call.path, info["architecture"]), call)
        features = info.get("features")
        if not isinstance(features, dict):
            self.violation("features", "%s: info.features is missing" % call.path, call)
            return {}
        for key, value in features.items():
            if not isinstance(value, bool):
                self.violation("features", "%s: feature %s is %r" % (call.path, key, value), call)
            elif key not in FEATURES:
                self.violation("features", "%s: no feature is called %s" % (call.path, key), call)
        if full:
            for key in MUST_FEATURES:
                if features.get(key) is not True:
                    self.violation("features", "%s: %s is not announced" % (call.path, key), call)
        config = info.get("config")
        if config is not None and (not isinstance(config, dict) or not isinstance(config.get("gpus", ""), str)):
            self.violation("info", "%s: info.config is %r" % (call.path, config), call)
        labels = info.get("labels")
        if labels is not None and (not isinstance(labels, dict) or
                                   not all(isinstance(v, str) for v in labels.values())):
            self.violation("info", "%s: info.labels is %r" % (call.path, labels), call)
        return features

    def runner_register(self, call):
        refused = self.read_json(call)
        if refused:
            return refused
        body = call.json
        self.check_fields(call, REGISTER_FIELDS)
        self.check_token_header(call)
        if not self.settings["allow_registration"]:
            return Answer(410, {"message": "410 Gone - runner registration disallowed"})
        if body["token"] != self.registration_token:
            return Answer(403, {"message": "403 Forbidden - invalid token supplied"})
        self.check_info(call)
        wrong = {}
        for key in ("run_untagged", "locked", "paused"):
            if not isinstance(body.get(key), bool):
                self.violation("register", "%s is %r, must be a boolean" % (key, body.get(key)), call)
        for key in ("description", "maintenance_note", "tag_list", "access_level"):
            if key in body and (not isinstance(body[key], str) or not body[key]):
                self.violation("register", "%s is %r, must be a text or left out" % (key, body[key]), call)
        tags = [t.strip() for t in str(body.get("tag_list") or "").split(",") if t.strip()]
        if body.get("access_level", "not_protected") not in ("not_protected", "ref_protected"):
            return Answer(400, {"error": "access_level does not have a valid value"})
        limit = body.get("maximum_timeout")
        if limit is not None and not is_int(limit):
            return Answer(400, {"error": "maximum_timeout is invalid"})
        if limit == 0:
            self.violation("register", "maximum_timeout 0 is to be left out", call)
        if limit is not None and limit < 600:
            wrong["maximum_timeout"] = ["needs to be at least 10 minutes"]
        if body.get("run_untagged") is False and not tags:
            wrong["tags_list"] = ["can not be empty when runner is not allowed to pick untagged jobs"]
        if len(body.get("maintenance_note") or "") > 1024:
            wrong["maintenance_note"] = ["is too long (maximum is 1024 characters)"]
        if wrong:
            return Answer(400, {"message": wrong})
        if not call.effect:
            return Answer(201, {"id": 1, "token": random_word(20), "token_expires_at": None})
        with self.lock:
            runner = self.add_runner(token=random_word(20), registered=True, tags=tags,
                                     description=body.get("description") or "",
                                     run_untagged=body.get("run_untagged", True), paused=bool(body.get("paused")))
        call.runner = runner
        return Answer(201, self.details(runner))

    @staticmethod
    def details(runner):
        return {"id": runner.id, "token": runner.token, "token_expires_at": iso(runner.expires_at)}

    def runner_verify(self, call):
        refused = self.read_json(call)
        if refused:
            return refused
        self.check_fields(call, {"token", "info", "system_id"})
        with self.lock:
            refused = self.auth_runner(call)
            if refused:
                return refused
            self.check_info(call)
            self.meet_manager(call)
            self.save_runners()
            if self.settings["verify_plain"]:
                return Answer(200, "200", content_type="text/plain")
            return Answer(200, self.details(call.runner))

    def runner_delete(self, call):
        refused = self.read_json(call)
        if refused:
            return refused
        self.check_fields(call, {"token", "system_id"})
        with self.lock:
            refused = self.auth_runner(call)
            if refused:
                return refused
            if call.runner.token.startswith("glrt-"):
                self.violation("delete-created", "runner %d" % call.runner.id, call)
            if call.effect:
                call.runner.deleted = True
                call.runner.tick()
                self.save_runners()
            return Answer(204)

    def manager_delete(self, call):
        refused = self.read_json(call)
        if refused:
            return refused
        self.check_fields(call, {"token", "system_id"})
        if not isinstance(call.json.get("system_id"), str):
            self.violation("system-id", "runners/managers: no system_id", call)
            return Answer(400, {"error": "system_id is missing"})
        with self.lock:
            refused = self.auth_runner(call)
            if refused:
                return refused
            if call.json["system_id"] not in call.runner.managers:
                return api_error(404, "Runner manager not found")
            if call.effect:
                del call.runner.managers[call.json["system_id"]]
                self.save_runners()
            return Answer(204)

    def new_token(self, runner):
        runner.token = random_word(20) if runner.registered else "glrt-t1_" + random_word(20)
        if runner.expires_in is not None:
            runner.expires_at = time.time() + runner.expires_in
        runner.queue = secrets.token_hex(16)
        runner.changed.notify_all()
        self.save_runners()

    def runner_reset(self, call):
        refused = self.read_json(call)
        if refused:
            return refused
        self.check_fields(call, {"token", "system_id"})
        with self.lock:
            runner = self.runner_by_token(call.json["token"])
            if runner is None or not runner.usable():
                return api_error(403)
            call.runner = runner
            if not call.effect:
                return Answer(201, {"token": "glrt-t1_" + random_word(20), "token_expires_at": None})
            self.new_token(runner)
            return Answer(201, {"token": runner.token, "token_expires_at": iso(runner.expires_at)})

    def runner_reset_by_id(self, call, ident):
        call.body = call.req.body.read_all(1 << 16)
        if call.req.headers.get("PRIVATE-TOKEN") != self.private_token:
            return Answer(401, {"message": "401 Unauthorized"})
        with self.lock:
            runner = self.runners.get(ident)
            if runner is None or runner.deleted:
                return api_error(404, "Runner not found")
            call.runner = runner
            if not call.effect:
                return Answer(201, {"token": "glrt-t1_" + random_word(20), "token_expires_at": None})
            self.new_token(runner)
            return Answer(201, {"token": runner.token, "token_expires_at": iso(runner.expires_at)})

    def router_discovery(self, call):
        call.body = call.req.body.read_all(1 << 16)
        return Answer(501, {"message": "Job Router is not available. Please contact your administrator."})

    # -- asking for a job

    POLLING = ("Gitlab-Ci-Builds-Polling", "yes")

    def job_request(self, call):
        # First workhorse: it bounds the body and may hold the request.
        polling = self.settings["poll_seconds"] > 0
        refused = self.read_json(call, 32 * 1024)
        if refused is None and polling and call.effect:
            held = self.hold(call)
            if held:
                return held
        answer = refused or self.job_request_rails(call)
        if polling:
            answer.headers.items.append(self.POLLING)
        return answer

    def hold(self, call):
        """Waits while nothing changes; the 204 that ends a wait, else None."""
        token, last = call.json["token"], call.json.get("last_update")
        if not isinstance(last, str) or not last:
            return None
        end = time.monotonic() + self.settings["poll_seconds"]
        with self.lock:
            runner = self.runner_by_token(token)
            if runner is None or runner.queue != last:
                return None
            call.runner = runner
            self.check_token_header(call)
            self.check_request(call)
            while runner.queue == last:
                left = end - time.monotonic()
                if left <= 0:
                    break
                runner.changed.wait(min(left, 0.5))
                if call.conn.dead or call.conn.readable():
                    break
        if call.conn.dead:
            raise Gone("cut by a fault")
        if call.conn.readable():
            call.conn.fill()            # raises when the peer has left
            self.violation("pipelined", "bytes came while the request was held", call)
        answer = Answer(204)
        answer.headers.items.append(self.POLLING)
        return answer

    def check_request(self, call):
        """What is to be right in every job request, held or not."""
        body, runner = call.json, call.runner
        self.check_fields(call, REQUEST_FIELDS)
        last = body.get("last_update")
        if last is not None and (not isinstance(last, str) or not last):
            self.violation("field-type", "last_update is %r: leave it out when there is none" % last, call)
            last = None
        seen = call.conn.memo.get(("last-update", runner.token))
        issued = runner.issued
        if last is not None and last not in issued:
            self.violation("last-update", "%r was never given to this runner" % last, call)
        elif seen and last is None:
            self.violation("last-update", "left out, although this connection was given one", call)
        elif seen and seen in issued and issued.index(last) < issued.index(seen):
            self.violation("last-update", "older than the one this connection was given", call)
        session = body.get("session")
        if session is not None and (not isinstance(session, dict) or not all(
                isinstance(session.get(k), str) for k in ("url", "certificate", "authorization"))):
            self.violation("field-type", "session is %r" % session, call)
        call.features = self.check_info(call)
        call.system_id = self.meet_manager(call)

    def give_last_update(self, call, value):
        call.runner.issue(value)
        if call.fault is None:          # else who knows whether it arrives
            call.conn.memo[("last-update", call.runner.token)] = value
        return Answer(204, headers=[("X-GitLab-Last-Update", value)])

    def job_request_rails(self, call):
        body = call.json
        self.check_wait(call, "request", body["token"])
        refused = self.over_rate(call, "request", body["token"])
        if refused:
            return refused
        with self.lock:
            refused = self.auth_runner(call)
            if refused:
                return refused
            runner = call.runner
            self.check_request(call)
            if runner.paused:
                return self.give_last_update(call, runner.queue)
            if body.get("last_update") == runner.queue:
                return self.give_last_update(call, runner.queue)
            new_update = runner.queue
            answer = self.pick_job(call)
            if answer is None:
                answer = self.give_last_update(call, new_update)
            self.save_runners()
            return answer

    def pick_job(self, call):
        runner = call.runner
        depth = 0
        for ident in list(self.queue):
            job = self.jobs[ident]
            if not self.fits(runner, job):
                continue
            depth += 1
            lacking = [f for f in sorted(gitlab_payload.required_features(job.payload, job.steer))
                       if call.features.get(f) is not True]
            if lacking:
                if call.effect:
                    self.drop_from_queue(job)
                    job.event("unsupported", lacking=lacking)
                    job.to("failed", "runner_unsupported")
                    job.save()
                continue
            call.job = job
            payload = job.payload
            now = time.time()
            if not job.steer.get("exact"):
                payload = self.finish_payload(job, runner, now, depth)
            if call.effect:
                self.drop_from_queue(job)
                job.payload = payload
                job.runner_id, job.system_id = runner.id, call.system_id
                job.cancel_gracefully = call.features.get("cancel_gracefully") is True
                job.started = job.last_contact = now
                job.event("assigned", runner=runner.id, system_id=call.system_id)
                if self.settings["two_phase"] and call.features.get("two_phase_job_commit") is True:
                    job.waiting_ack = now + self.settings["ack_timeout"]
                else:
                    job.to("running")
                write_file(os.path.join(job.dir, "payload.json"), payload)
                job.save()
                if call.fault or any(f["what"] in CONN_FAULTS and f["live"] for f in self.faults.show()):
                    job.disturbed = now
            return Answer(201, payload)
        return None

    def finish_payload(self, job, runner, now, depth):
        """What is known only when a runner takes the job."""
        payload = dict(job.payload)
        info = payload.get("job_info")
        if isinstance(info, dict):
            count = sum(1 for j in self.jobs.values() if j.state in PROCESSING and j.project == job.project)
            payload["job_info"] = gitlab_payload.deep_default(dict(info), {
                "time_in_queue_seconds": round(now - job.queued, 3), "queue_size": len(self.queue), "queue_depth": depth,
                "project_jobs_running_on_instance_runners_count": str(count) if count < 5 else "5+"})
        if isinstance(payload.get("variables"), list):
            have = {v.get("key") for v in payload["variables"] if isinstance(v, dict)}
            payload["variables"] = [gitlab_payload.variable(k, v) for k, v in (
                ("CI_RUNNER_ID", runner.id), ("CI_RUNNER_DESCRIPTION", runner.description),
                ("CI_RUNNER_TAGS", json.dumps(runner.tags))) if k not in have] + payload["variables"]
        if isinstance(payload.get("dependencies"), list):
            payload["dependencies"] = [self.dependency(d, job) for d in payload["dependencies"]]
        return payload

    def dependency(self, given, job):
        if not is_int(given):
            return given
        other = self.jobs.get(given)
        shown = {"id": given, "name": other.name if other else "gone", "token": job.token}
        archive = other.artifacts.get("archive") if other else None
        if archive:
            shown["artifacts_file"] = {"filename": archive["filename"], "size": archive["size"]}
        return shown

    # -- a job's own requests

    def auth_job(self, call, ident, token, acknowledging=False):
        """Sets call.job; an Answer when the job is not this token's or over."""
        job = self.jobs.get(ident)
        if job is None:
            self.violation("unknown-job", "%s %s" % (call.req.method, call.path), call)
            return api_error(403)
        call.job = job
        if token != job.token:
            self.violation("job-token", "%s %s: not the token of job %d" % (call.req.method, call.path, ident), call)
            return api_error(403)
        refused = None
        if job.erased:
            refused = api_error(403, "Job has been erased!")
        elif job.state not in PROCESSING and not (acknowledging and job.waiting_ack):
            refused = api_error(403, "Job is not processing on runner", [("Job-Status", job.state)])
        if refused:
            job.refused += 1
            job.event("refused", request=call.req.method, status=403)
            if job.refused > 10:
                self.once(job, "after-refusal", "%s: request %d to a job that is %s" % (
                    call.path, job.refused, job.state), call)
            job.save()
        return refused

    def interval(self, job):
        fixed = self.settings["trace_interval"]
        if fixed is not None:
            return int(fixed)
        return 3 if time.time() < job.watched_until else 60

    def job_update(self, call, ident):
        refused = self.read_json(call)
        if refused:
            return refused
        body = call.json
        token = body["token"]
        self.check_wait(call, "put", token)
        refused = self.over_rate(call, "put", token)
        if refused:
            return refused
        header = call.req.headers.get("JOB-TOKEN")
        if header != token:
            self.violation("job-token-header", "%s: JOB-TOKEN header %s" % (
                call.path, "missing" if header is None else "is not the body's token"), call)
        with self.lock:
            refused = self.auth_job(call, ident, token, acknowledging=True)
            if refused:
                return refused
            self.check_fields(call, UPDATE_FIELDS)
            self.check_info(call, full=False)
            answer = self.update_state(call)
            job = call.job
            answer.headers.set("Job-Status", job.state)
            if call.effect:
                job.last_contact = time.time()
                output = body.get("output") if isinstance(body.get("output"), dict) else {}
                job.event("put", state=body.get("state"), reason=body.get("failure_reason"),
                          exit_code=body.get("exit_code"), checksum=output.get("checksum"),
                          bytesize=output.get("bytesize"), trace_size=job.trace_size, status=answer.status,
                          job_status=job.state, fault=call.fault.what if call.fault else None)
                job.save()
            return answer

    def check_output(self, call):
        """(checksum or None, bytesize) as the client gave them, both checked
        for their form and against the trace as it stands."""
        body, job = call.json, call.job
        output = body.get("output")
        if output is not None and not isinstance(output, dict):
            self.violation("checksum", "output is %r" % output, call)
            output = None
        output = output or {}
        checksum = output.get("checksum", body.get("checksum"))
        size = output.get("bytesize", 0)
        if checksum is None:
            return None, 0
        if not isinstance(checksum, str) or not re.match(r"crc32:[0-9a-f]{8}\Z", checksum):
            self.violation("checksum", "%r is not crc32: and 8 lower-case hex digits" % checksum, call)
            return None, 0
        if body.get("checksum") != checksum:
            self.violation("checksum", "checksum %r is not output.checksum %r" % (body.get("checksum"), checksum), call)
        if not is_int(size) or size < 0:
            self.violation("bytesize", "output.bytesize is %r" % size, call)
            return None, 0
        if "bytesize" in output and size == 0:
            self.violation("bytesize", "0 is to be left out", call)
        if size < job.trace_size and body.get("state") == "running" and checksum == "crc32:%08x" % job.crc_of(size):
            pass        # a client that resumed, and is not yet where it was
        elif size < job.trace_size:
            self.violation("bytesize", "output.bytesize %d, but the trace has %d already" % (size, job.trace_size), call)
        elif size == job.trace_size and checksum != "crc32:%08x" % job.crc:
            self.violation("checksum", "%s for %d bytes, the trace has crc32:%08x" % (checksum, size, job.crc), call)
        return checksum, size

    def update_state(self, call):
        body, job = call.json, call.job
        state = body.get("state")
        checksum, size = self.check_output(call)
        code = body.get("exit_code")
        if code is not None and (not is_int(code) or not -2**31 <= code < 2**31):
            self.violation("exit-code", "exit_code is %r" % code, call)
            return Answer(400, {"error": "exit_code is invalid"})
        if state != "failed":
            if "failure_reason" in body:
                self.violation("reason", "failure_reason %r with state %r" % (body["failure_reason"], state), call)
            if "exit_code" in body:
                self.violation("exit-code", "exit_code %r with state %r" % (code, state), call)
        if job.waiting_ack:
            return self.acknowledge(call, state)
        if state == "running":
            if call.effect and job.acknowledged is None:
                job.acknowledged = time.time()
            return self.updated(200, call)
        if state == "pending":
            self.violation("pending", "job %d is running" % job.id, call)
            return self.updated(400, call)
        if state not in ("success", "failed"):
            self.violation("state", "state is %r" % state, call)
            return self.updated(400, call)
        if state == "failed":
            reason = body.get("failure_reason")
            known = (job.payload.get("features") or {}).get("failure_reasons") or ()
            if reason is None or reason == "":
                self.violation("reason", "failed without a failure_reason", call)
                reason = "unknown_failure"
            elif reason not in ALWAYS_REASONS and reason not in known:
                self.violation("reason", "%r is not in features.failure_reasons" % reason, call)
                return self.updated(400, call)
            if code == 0:
                self.violation("exit-code", "exit_code 0 is to be left out", call)
        else:
            reason = None
        return self.final(call, state, reason, code, checksum, size)

    def acknowledge(self, call, state):
        job = call.job
        if state == "pending":
            if call.effect:
                job.waiting_ack = time.time() + self.settings["ack_timeout"]
            return self.updated(200, call)
        if state == "running":
            if call.effect:
                job.waiting_ack = None
                job.acknowledged = time.time()
                job.to("running")
            return self.updated(200, call)
        # A job that came torn is given back without an acknowledgement; nothing else may do without.
        if state != "failed" or job.trace_size > 0:
            self.violation("state", "state %r before the job was acknowledged" % state, call)
        return self.updated(400, call)

    def updated(self, status, call, backoff=None):
        answer = Answer(status, str(status), content_type="application/json")
        if backoff is None and status == 200 and self.settings["put_interval"]:
            backoff = self.interval(call.job)
        if backoff is not None:
            answer.headers.set("X-GitLab-Trace-Update-Interval", backoff)
        return answer

    def final(self, call, state, reason, code, checksum, size):
        job = call.job
        now = time.time()
        said = {"state": state, "reason": reason, "exit_code": code, "checksum": checksum, "bytesize": size}
        if checksum is None:
            self.violation("checksum", "final update without a checksum", call)
        else:
            pending = job.pending_state
            if pending:
                changed = [k for k in said if said[k] != pending["said"][k]]
                if changed:
                    self.violation("final-changed", "%s: was %r, is %r" % (
                        changed[0], pending["said"][changed[0]], said[changed[0]]), call)
                early = job.next_final - now
                if early > 0.25 and not (job.disturbed and now - job.disturbed < 30):
                    self.violation("final-early", "%.1f s before the interval was over" % early, call)
            since = pending["since"] if pending else now
            missing = size > job.trace_size
            if missing and not job.lost:
                self.once(job, "final-missing", "output.bytesize %d, the trace has %d" % (size, job.trace_size), call)
            unstored = job.trace_size > 0 and now - since < self.settings["persist_seconds"]
            if (missing or unstored) and now - since < self.settings["accept_timeout"]:
                backoff = self.backoff(now - since)
                if call.effect:
                    job.pending_state = pending or {"said": said, "since": now}
                    job.next_final = now + backoff
                return self.updated(202, call, backoff)
            right = not missing and checksum == "crc32:%08x" % job.crc
            if not right and self.settings["checksum_412"]:
                return self.updated(412, call)
            if call.effect:
                job.checksum = {"client": checksum, "server": "crc32:%08x" % job.crc, "bytesize": size,
                                "trace_size": job.trace_size, "match": right}
        if call.effect:
            self.check_utf8_end(job, call)
            if job.state == "canceling":
                job.to("canceled")      # whatever the runner says
            else:
                job.to(state, reason, code)
        return self.updated(200, call)

    @staticmethod
    def backoff(elapsed):
        """1, 2, 4 .. 64 s, slower the longer the client has been waiting."""
        slot = 0
        while slot < 6 and elapsed >= 2 ** (slot + 2):
            slot += 1
        return 2 ** slot

    # -- the trace

    def trace_patch(self, call, ident):
        req = call.req
        call.body = req.body.read_all(64 << 20)
        token = req.headers.get("JOB-TOKEN") or req.query.get("token") or ""
        self.check_wait(call, "patch", token)
        refused = self.over_rate(call, "patch", token)
        if refused:
            return refused
        if "JOB-TOKEN" not in req.headers:
            self.violation("job-token-header", "%s: no JOB-TOKEN header" % call.path, call)
        with self.lock:
            refused = self.auth_job(call, ident, token)
            if refused:
                return refused
            answer = self.append_trace(call)
            job = call.job
            if call.effect:
                job.event("patch", range=req.headers.get("Content-Range"), bytes=len(call.body), status=answer.status,
                          trace_size=job.trace_size, fault=call.fault.what if call.fault else None)
                job.save()
            return answer

    def append_trace(self, call):
        job, data, req = call.job, call.body, call.req
        debug = req.query.get("debug_trace")
        if debug is not None and debug not in ("true", "false"):
            self.violation("debug-trace", "debug_trace=%s" % debug, call)
        if req.content_type() != "text/plain":
            self.violation("content-type", "%s: Content-Type is %r" % (
                call.path, req.headers.get("Content-Type")), call)
        if not data:
            self.violation("empty-patch", call.path, call)
        if len(data) > self.settings["patch_limit"]:
            self.violation("patch-size", "%d bytes" % len(data), call)
        given = req.headers.get("Content-Range")
        if given is None:
            self.violation("range-header", "no Content-Range", call)
            return Answer(400, {"error": "400 Missing header Content-Range"})
        match = re.match(r"(\d{1,15})-(\d{1,15})\Z", given)
        if not match:
            self.violation("range-header", "Content-Range: %s" % given, call)
            # Ruby's reading: the digits before the first dash, else 0.
            match = re.match(r"\s*(\d{0,15})", given)
            start = int(match.group(1) or 0)
        else:
            start = int(match.group(1))
            if data and int(match.group(2)) != start + len(data) - 1:
                self.violation("range-end", "Content-Range: %s with %d bytes" % (given, len(data)), call)
        if start == 0 and debug != "true" and self.prints_secrets(job):
            self.violation("debug-trace", "CI_DEBUG_TRACE or CI_DEBUG_SERVICES is on, debug_trace=true is not", call)
        if start + len(data) > self.settings["trace_size_limit"]:
            if call.effect:
                job.to("failed", "trace_size_exceeded")
            return Answer(403, {"error": "403 Forbidden"})
        self.check_same(call, start)
        if start != job.trace_size:
            if call.effect:
                job.ranges_refused += 1
                job.hasty = 0
            return Answer(416, {"error": "416 Range Not Satisfiable"}, [("Range", "0-%d" % job.trace_size)])
        wait = self.interval(job)
        size = job.trace_size + len(data)
        if call.effect:
            if start == 0 and debug == "true":
                job.debug_trace = True
            self.check_secrets(call)
            self.check_utf8(call)
            self.check_pace(call)
            job.append(data)
            job.patches += 1
            job.patch_bytes += len(data)
            job.last_contact = time.time()
            job.next_patch = job.last_contact + wait
        return Answer(202, "202", [
            ("Job-Status", job.state), ("Range", "0-%d" % size),
            ("X-GitLab-Trace-Update-Interval", wait)], "application/json")

    @staticmethod
    def prints_secrets(job):
        for v in job.payload.get("variables") or ():
            if isinstance(v, dict) and v.get("key") in ("CI_DEBUG_TRACE", "CI_DEBUG_SERVICES") \
                    and v.get("value") in ("1", "t", "T", "TRUE", "true", "True"):
                return True
        return False

    def check_same(self, call, start):
        """What was sent before must come again byte for byte."""
        job, data = call.job, call.body
        have = job.file_size()
        if start >= have or not data:
            return
        old = job.read_trace(start, min(len(data), have - start))
        if old != data[:len(old)]:
            at = next(i for i in range(len(old)) if old[i] != data[i])
            self.violation("trace-changed", "byte %d was %r, now %r" % (
                start + at, old[max(0, at - 20):at + 20], data[max(0, at - 20):at + 20]), call)

    def check_secrets(self, call):
        job = call.job
        found = list(job.secrets())
        runner = self.runners.get(job.runner_id)
        if runner:
            found.append(("the runner's token", runner.token.encode()))
        found = [(n, v) for n, v in found if n not in job.masks_shown]
        if not found:
            return
        longest = max(len(v) for _, v in found)
        tail = job.read_trace(max(0, job.trace_size - longest + 1), min(longest - 1, job.trace_size))
        text = tail + call.body
        for name, value in found:
            if value in text:
                job.masks_shown.append(name)
                self.violation("trace-secret", "job %d shows the value of %s" % (job.id, name), None, job)

    def check_utf8(self, call):
        """Feeds what is new; bytes that come again were looked at before."""
        job = call.job
        if job.decoder is None:
            # After a restart of the double: from here on, when we are at a
            # place where a character can begin.
            if call.body and call.body[0] & 0xC0 != 0x80:
                job.decoder = codecs.getincrementaldecoder("utf-8")("strict")
                job.decoded = job.trace_size
            else:
                return
        end = job.trace_size + len(call.body)
        if end <= job.decoded:
            return
        try:
            job.decoder.decode(call.body[job.decoded - job.trace_size:])
        except UnicodeDecodeError as e:
            self.once(job, "trace-utf8", "near byte %d: %s" % (job.decoded + e.start, e.reason), call)
            job.decoder.reset()
        job.decoded = end

    def check_utf8_end(self, job, call):
        if job.decoder is not None and job.decoder.getstate()[0]:
            self.once(job, "trace-utf8", "ends within a character", call)

    def check_pace(self, call):
        """The interval is for small pieces; a client with much to send, or
        one that ends its job, need not wait."""
        job, now, size = call.job, call.req.received, len(call.body)
        if not self.settings["pace"]:
            return
        last = job.last_patch
        job.last_patch = (now, size)
        full = 64 * 1024
        if last is None or size >= full or last[1] >= full or now >= job.next_patch - 0.3:
            job.hasty = 0
            return
        job.hasty += 1
        if job.hasty >= 3 and not (job.disturbed and now - job.disturbed < 30):
            self.once(job, "pace", "%d small patches in a row, each sooner than the interval; the last by %.1f s" % (
                job.hasty, job.next_patch - now), call)

    # -- artifacts

    def artifact_upload(self, call, ident):
        req = call.req
        token = req.headers.get("JOB-TOKEN") or req.query.get("token") or ""
        self.check_wait(call, "artifacts", token)
        refused = self.over_rate(call, "artifacts", token)
        if refused is None and not self.settings["artifacts_enabled"]:
            refused = api_error(405)
        if refused is None:
            with self.lock:
                refused = self.auth_job(call, ident, token)
        kind = req.query.get("artifact_type") or "archive"
        form = req.query.get("artifact_format") or "zip"
        if refused is None and kind not in ARTIFACT_TYPES:
            self.violation("artifact", "artifact_type %r" % kind, call)
            refused = Answer(400, {"error": "artifact_type does not have a valid value"})
        if refused is None and form not in ("raw", *MAGIC):
            self.violation("artifact", "artifact_format %r" % form, call)
            refused = Answer(400, {"error": "artifact_format does not have a valid value"})
        if refused is None and form not in ARTIFACT_TYPES[kind]:
            self.violation("artifact", "format %s for type %s" % (form, kind), call)
            refused = Answer(400, {"message": "400 Bad request - Invalid file format with specified file type"})
        for key, value in req.query.items():
            if key not in ("artifact_type", "artifact_format", "expire_in", "token"):
                self.violation("artifact", "parameter %s" % key, call)
            elif not value:
                self.violation("artifact", "empty parameter %s is to be left out" % key, call)
        if refused:
            refused.close = not req.body.drain(1 << 24)
            return refused
        directory = os.path.join(call.job.dir, "artifacts")
        os.makedirs(directory, exist_ok=True)
        tmp = os.path.join(directory, ".%s" % secrets.token_hex(8))
        try:
            filename, size, digest, start = read_multipart(req, tmp, self.settings["max_artifact_size"])
        except Multipart as e:
            if os.path.exists(tmp):
                os.unlink(tmp)
            if e.status != 413:
                self.violation("artifact", str(e), call)
                return Answer(e.status, {"error": "file is invalid"})
            answer = api_error(413)
            answer.close = True
            return answer
        except BaseException:
            if os.path.exists(tmp):
                os.unlink(tmp)
            raise
        if form in MAGIC and not start.startswith(MAGIC[form]):
            self.violation("artifact", "%s does not begin as %s does" % (filename, form), call)
        with self.lock:
            job = call.job
            old = job.artifacts.get(kind)
            if old and old["sha256"] != digest:
                os.unlink(tmp)
                return Answer(400, {"message": "another artifact of the same type already exists"})
            if not call.effect:
                os.unlink(tmp)
                return Answer(201, "201", content_type="application/json")
            os.rename(tmp, os.path.join(directory, kind))
            job.artifacts[kind] = {"filename": filename, "size": size, "sha256": digest, "format": form,
                                   "expire_in": req.query.get("expire_in")}
            job.event("artifact", type=kind, format=form, size=size, filename=filename)
            job.save()
        return Answer(201, "201", content_type="application/json")

    def artifact_download(self, call, ident):
        req = call.req
        call.body = req.body.read_all(1 << 16)
        token = req.headers.get("JOB-TOKEN") or req.query.get("token") or ""
        self.check_wait(call, "artifacts", token)
        refused = self.over_rate(call, "artifacts", token)
        if refused:
            return refused
        with self.lock:
            asking = self.job_by_token.get(token)
            if asking is None:
                return Answer(401, {"message": "401 Unauthorized"})
            call.job = asking
            job = self.jobs.get(ident)
            if job is None or asking.state not in PROCESSING or job.project != asking.project:
                return api_error(403)
            archive = job.artifacts.get("archive")
            if archive is None or job.erased:
                return api_error(404)
            path = os.path.join(job.dir, "artifacts", "archive")
            if req.query.get("direct_download") == "true" and self.settings["direct_download"]:
                key = secrets.token_hex(16)
                self.store_keys[key] = path
                return Answer(302, b"", [("Location", "%s%s/object-store/%s" % (self.base_url, self.prefix, key))])
        return self.file_answer(path, archive["filename"])

    def object_store(self, call, key):
        for name in ("JOB-TOKEN", "RUNNER-TOKEN", "PRIVATE-TOKEN"):
            if name in call.req.headers:
                self.violation("token-leak", "%s sent to the object store" % name, call)
        path = self.store_keys.get(key)
        if path is None or call.req.method != "GET":
            return Answer(403, "<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>",
                          content_type="application/xml")
        return self.file_answer(path, "artifacts.zip")

    @staticmethod
    def file_answer(path, filename):
        quoted = urllib.parse.quote(filename or "artifacts.zip")
        return Answer(200, open(path, "rb"), [("Content-Disposition", 'attachment; filename="%s"' % quoted)],
                      "application/octet-stream")

    # -- time passes

    def watch(self):
        """Once a second: what the server's workers do on their own."""
        while True:
            time.sleep(0.5)
            with self.lock:
                now = time.time()
                for job in list(self.jobs.values()):
                    self.watch_job(job, now)

    def watch_job(self, job, now):
        if job.waiting_ack and now > job.waiting_ack:
            job.to("failed", "runner_provisioning_timeout")
            if self.settings["ack_retry"]:
                job.retried_as = self.queue_again(job)
            job.save()
            return
        if job.state not in PROCESSING:
            return
        limit = self.settings["ack_limit"]
        if limit and job.acknowledged is None and now - job.started > limit and not job.disturbed:
            self.once(job, "late-ack", "job %d got no PUT running within %s s" % (job.id, limit))
        if now - job.last_contact > self.settings["silent_limit"]:
            job.to("failed", "no_updates_running")
            job.save()

    # -- control

    CONTROL = (
        ("POST", r"/jobs", "c_queue"),
        ("GET", r"/jobs", "c_jobs"),
        ("GET", r"/jobs/(\d+)", "c_job"),
        ("DELETE", r"/jobs/(\d+)", "c_erase"),
        ("GET", r"/jobs/(\d+)/payload", "c_payload"),
        ("GET", r"/jobs/(\d+)/trace", "c_trace"),
        ("POST", r"/jobs/(\d+)/cancel", "c_cancel"),
        ("POST", r"/jobs/(\d+)/fail", "c_fail"),
        ("POST", r"/jobs/(\d+)/watch", "c_watch"),
        ("GET", r"/jobs/(\d+)/artifacts", "c_artifacts"),
        ("GET", r"/jobs/(\d+)/artifacts/(\w+)", "c_artifact"),
        ("GET", r"/tokens/(.+)", "c_token"),
        ("GET", r"/runners", "c_runners"),
        ("POST", r"/runners", "c_add_runner"),
        ("POST", r"/runners/(\d+)", "c_set_runner"),
        ("DELETE", r"/runners/(\d+)", "c_delete_runner"),
        ("POST", r"/fault", "c_fault"),
        ("GET", r"/faults", "c_faults"),
        ("GET", r"/faults/known", "c_known_faults"),
        ("DELETE", r"/faults(?:/(\d+))?", "c_clear_faults"),
        ("GET", r"/violations", "c_violations"),
        ("DELETE", r"/violations", "c_clear_violations"),
        ("GET", r"/requests", "c_requests"),
        ("GET", r"/settings", "c_settings"),
        ("PUT", r"/settings", "c_set"),
    )

    def control(self, req):
        body = req.body.read_all(256 << 20)
        try:
            given = json.loads(body) if body else {}
        except ValueError as e:
            return Answer(400, {"error": "body is not JSON: %s" % e})
        if not isinstance(given, dict):
            return Answer(400, {"error": "body is not an object"})
        for method, pattern, name in self.CONTROL:
            match = re.match(pattern + r"\Z", req.path)
            if match and method == req.method:
                try:
                    return getattr(self, name)(req, given, *match.groups())
                except KeyError as e:
                    return Answer(404, {"error": "no such thing: %s" % e})
                except (ValueError, TypeError, AttributeError, OSError) as e:
                    return Answer(400, {"error": str(e)})
        return Answer(404, {"error": "no such request: %s %s" % (req.method, req.path)})

    def c_queue(self, _req, given):
        job, note = self.queue_job(given)
        return Answer(201, {"id": job.id, "note": note} if note else {"id": job.id})

    def c_jobs(self, _req, _given):
        with self.lock:
            return Answer(200, [j.brief() for j in self.jobs.values()])

    def c_job(self, req, _given, ident):
        wait = float(req.query.get("wait", 0))
        end = time.monotonic() + wait
        with self.lock:
            job = self.jobs[int(ident)]
            while job.state not in FINISHED:
                left = end - time.monotonic()
                if left <= 0:
                    break
                job.changed.wait(left)
            return Answer(200, job.show())

    def c_erase(self, _req, _given, ident):
        with self.lock:
            job = self.jobs[int(ident)]
            self.drop_from_queue(job)
            job.erased = True
            if job.state not in FINISHED:
                job.to("canceled")
            job.save()
        return Answer(204)

    def c_payload(self, _req, _given, ident):
        with self.lock:
            return Answer(200, self.jobs[int(ident)].payload)

    def c_trace(self, _req, _given, ident):
        with self.lock:
            job = self.jobs[int(ident)]
            size = job.trace_size
        answer = Answer(200, content_type="application/octet-stream")
        answer.stream = (job.read_trace(at, min(1 << 20, size - at)) for at in range(0, size, 1 << 20))
        return answer

    def c_cancel(self, _req, given, ident):
        with self.lock:
            job = self.jobs[int(ident)]
            if job.state in FINISHED:
                return Answer(409, {"error": "job %d is %s" % (job.id, job.state)})
            if job.state == "running" and job.cancel_gracefully and not given.get("force"):
                job.to("canceling")
            elif job.state != "canceling" or given.get("force"):
                self.drop_from_queue(job)
                job.to("canceled")
            job.save()
            return Answer(200, {"state": job.state})

    def c_fail(self, _req, given, ident):
        with self.lock:
            job = self.jobs[int(ident)]
            if job.state in FINISHED:
                return Answer(409, {"error": "job %d is %s" % (job.id, job.state)})
            self.drop_from_queue(job)
            job.to("failed", given.get("reason", "stuck_or_timeout_failure"))
            job.save()
            return Answer(200, {"state": job.state})

    def c_watch(self, _req, given, ident):
        with self.lock:
            self.jobs[int(ident)].watched_until = time.time() + float(given.get("seconds", 10))
        return Answer(200, {})

    def c_artifacts(self, _req, _given, ident):
        with self.lock:
            return Answer(200, self.jobs[int(ident)].artifacts)

    def c_artifact(self, _req, _given, ident, kind):
        with self.lock:
            job = self.jobs[int(ident)]
            name = job.artifacts[kind]["filename"]
        return self.file_answer(os.path.join(job.dir, "artifacts", kind), name)

    def c_token(self, _req, _given, token):
        with self.lock:
            job = self.job_by_token.get(token)
            if job is None or job.erased or job.state not in PROCESSING:
                return Answer(404, {"error": "no running job has this token"})
            return Answer(200, {"job": job.id, "project": job.project})

    def c_runners(self, _req, _given):
        with self.lock:
            return Answer(200, [r.show() for r in self.runners.values()])

    def c_add_runner(self, _req, given):
        allowed = {"tags", "description", "run_untagged", "paused", "token", "expires_in"}
        if set(given) - allowed:
            raise ValueError("unknown: %s" % " ".join(sorted(set(given) - allowed)))
        expires = given.pop("expires_in", None)
        with self.lock:
            runner = self.add_runner(**given)
            if expires is not None:
                runner.expires_at = time.time() + float(expires)
                runner.expires_in = float(expires)
            self.save_runners()
        return Answer(201, {"id": runner.id, "token": runner.token})

    def c_set_runner(self, _req, given, ident):
        allowed = {"tags", "description", "run_untagged", "paused", "orphaned"}
        if set(given) - allowed:
            raise ValueError("unknown: %s" % " ".join(sorted(set(given) - allowed)))
        with self.lock:
            runner = self.runners[int(ident)]
            runner.__dict__.update(given)
            runner.tick()
            self.save_runners()
            return Answer(200, runner.show())

    def c_delete_runner(self, _req, _given, ident):
        with self.lock:
            runner = self.runners[int(ident)]
            runner.deleted = True
            runner.tick()
            self.save_runners()
        return Answer(204)

    def c_fault(self, _req, given):
        if given.get("what") == "trace-lost":
            with self.lock:
                job = self.jobs[int(given["job"])]
                size = given["keep"] if "keep" in given else job.trace_size - int(given.get("lose", 1))
                job.lose(int(size))
                job.disturbed = time.time()
                job.event("trace-lost", trace_size=job.trace_size)
                job.save()
                return Answer(201, {"trace_size": job.trace_size})
        if given.get("what") == "cert":
            self.make_tls(given["pem"], given["key"])       # complains now, not then
        fault = self.faults.add(given)
        if fault.what == "down" and fault.spec.get("mode", "refuse") in ("reset", "stall"):
            self.server.kill_all()
        if fault.what in CONN_FAULTS:
            # Whatever a client does late now is not its fault.
            with self.lock:
                for job in self.jobs.values():
                    if job.state in PROCESSING or job.waiting_ack:
                        job.disturbed = time.time()
        self.server.kick()
        return Answer(201, {"id": fault.id})

    def c_faults(self, _req, _given):
        return Answer(200, self.faults.show())

    def c_known_faults(self, _req, _given):
        known = {name: how for name, (_, how) in FAULTS.items()}
        known.update(CONN_FAULTS, **{"trace-lost": "job, keep or lose: bytes; at once, once"})
        return Answer(200, known)

    def c_clear_faults(self, _req, _given, number=None):
        self.faults.clear(int(number) if number else None)
        self.server.kick()
        return Answer(204)

    def c_violations(self, _req, _given):
        with self.lock:
            return Answer(200, self.violations)

    def c_clear_violations(self, _req, _given):
        with self.lock:
            self.violations = []
            with open(self.violations_path, "w", encoding="utf-8"):
                pass
        return Answer(204)

    def c_requests(self, req, _given):
        items = self.log.show()
        if "job" in req.query:
            items = [i for i in items if str(i.get("job")) == req.query["job"]]
        if "tail" in req.query:
            items = items[-int(req.query["tail"]):]
        return Answer(200, items)

    def c_settings(self, _req, _given):
        return Answer(200, self.settings)

    def c_set(self, _req, given):
        for key, value in given.items():
            if key not in SETTINGS:
                raise ValueError("no setting %r; known: %s" % (key, " ".join(SETTINGS)))
            default = SETTINGS[key][0]
            if key == "trace_interval":
                good = value is None or (is_int(value) and value >= 1)
            elif isinstance(default, bool):
                good = isinstance(value, bool)
            else:
                good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
            if not good:
                raise ValueError("setting %s: %r" % (key, value))
        with self.lock:
            self.settings.update(given)
            write_file(os.path.join(self.dir, "settings.json"), self.settings)
            return Answer(200, self.settings)


class Multipart(Exception):
    def __init__(self, text, status=400):
        super().__init__(text)
        self.status = status


def read_multipart(req, path, limit):
    """Streams the one part named `file` of a form to `path`. Returns its file
    name, size, sha256 and first bytes."""
    match = re.match(r'multipart/form-data;.*boundary="?([^";]{1,70})"?\s*\Z', req.headers.get("Content-Type") or "",
                     re.IGNORECASE)
    if not match:
        raise Multipart("Content-Type is %r, not multipart/form-data" % req.headers.get("Content-Type"))
    mark = b"\r\n--" + match.group(1).encode("latin-1")
    buf = b"\r\n"                       # so that the first mark looks like the others
    found = None
    ended = False

    def more():
        data = req.body.read(1 << 17)
        if not data:
            raise Multipart("the form ends before its last boundary")
        return data

    while not ended:
        while mark not in buf:
            if found is None and len(buf) > 65536:
                raise Multipart("the form does not begin with its boundary")
            buf += more()
        buf = buf.partition(mark)[2]
        while len(buf) < 2:
            buf += more()
        if buf.startswith(b"--"):
            ended = True
            break
        if not buf.startswith(b"\r\n"):
            raise Multipart("something follows a boundary")
        while b"\r\n\r\n" not in buf:
            if len(buf) > 16384:
                raise Multipart("a part's head above 16 KiB")
            buf += more()
        head, _, buf = buf[2:].partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'(?im)^content-disposition:\s*form-data;.*\bname="([^"]*)"', text)
        filename = re.search(r'(?im)^content-disposition:.*\bfilename="([^"]*)"', text)
        if not name or name.group(1) != "file" or not filename:
            raise Multipart("a part is not called file, or has no file name: %r" % text)
        if found:
            raise Multipart("two parts are called file")
        digest, size, start = hashlib.sha256(), 0, b""
        with open(path, "wb") as out:
            while True:
                at = buf.find(mark)
                take = at if at >= 0 else max(0, len(buf) - len(mark) + 1)
                piece, buf = buf[:take], buf[take:]
                start = (start + piece)[:8] if len(start) < 8 else start
                digest.update(piece)
                size += len(piece)
                if size > limit:
                    raise Multipart("file above %d bytes" % limit, 413)
                out.write(piece)
                if at >= 0:
                    break
                buf += more()
        found = (filename.group(1), size, digest.hexdigest(), start)
    if not found:
        raise Multipart("the form has no part called file")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True, help="the rig's run directory")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--url", help="how clients reach it; default https://BIND:PORT")
    parser.add_argument("--prefix", default="", help="relative URL root, such as /gitlab")
    parser.add_argument("--git-url", help="where the git server is")
    parser.add_argument("--runner-token", help="the first runner's token; default: made up, kept in DIR/gitlab/runner_token")
    args = parser.parse_args()
    big_process()
    run = os.path.abspath(args.run)
    host = "[%s]" % args.bind if ":" in args.bind else args.bind
    url = args.url or "https://%s:%d" % (host, args.port)
    double = Double(run, url, args.prefix, args.git_url, args.runner_token)
    server = double.server = Server(tcp_listener(args.bind, args.port), double.serve, double.faults)
    control = Server(unix_listener(run, "gitlab.sock"), serve_simple(double.control))
    server.open()
    control.open()                      # last: whoever sees the socket may begin
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: server.stop())
    threading.Thread(target=control.run, daemon=True).start()
    threading.Thread(target=double.watch, daemon=True).start()
    print("gitlab: serving %s, control on %s/gitlab.sock" % (url + args.prefix, run), flush=True)
    server.run()
    os.unlink(os.path.join(run, "gitlab.sock"))


if __name__ == "__main__":
    main()
