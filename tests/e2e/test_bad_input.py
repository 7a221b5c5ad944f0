"""Bad input: a coordinator, an engine, a machine, a disk and a job that do not do as they should.

Each scenario has a GitLab double, a windlass and a machine of its own, so that they run side by side: they wait
for most of their time. What is asked of every one: the job passes with its whole log, each line once and in
order, or there is a clear error where somebody looks for it; nothing hangs, and in the end nothing is left.
"""

import base64
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import pki
import world
from engine_proxy import EngineProxy, point_to
from world import plain, wait_until

RIG_DIR = os.path.join(world.ROOT, "tests", "rig")
sys.path.insert(0, RIG_DIR)
import tls

AT_ONCE = 12
# What executor and reporter of one job may hold in memory at their worst, however much the job prints.
MEMORY_MAX = 4 << 20
NO_GIT = {"key": "GIT_STRATEGY", "value": "none", "public": True}

SCENARIOS = {}


def scenario(weight=5, broken_peer=True):
    """Registers a scenario; the heavier ones begin first. broken_peer: what the GitLab double complains of does not count."""
    def register(function):
        SCENARIOS[function.__name__] = (weight, broken_peer, function)
        return function
    return register


class Side(world.Rig):
    """A GitLab of its own beside the world's; cloud, registry and machines are the world's."""

    def __init__(self, rig, run):
        super().__init__(run)
        os.makedirs(self.run)
        self.environ, self.env, self.rig = rig.environ, dict(rig.env), rig
        for name in ("ca.pem", "ca-key.pem"):
            shutil.copy(os.path.join(rig.run, name), self.run)
        os.symlink(os.path.join(rig.run, "git"), os.path.join(self.run, "git"))
        tls.issue(self.run, "gitlab", [f"IP:{rig.env['RIG_ADDRESS']}"])
        with socket.create_server((rig.env["RIG_ADDRESS"], 0)) as s:
            port = s.getsockname()[1]
        self.url = f"https://{rig.env['RIG_ADDRESS']}:{port}"
        with open(os.path.join(self.run, "log"), "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(RIG_DIR, "gitlab.py"), "--run", self.run, "--bind", rig.env["RIG_ADDRESS"],
                 "--port", str(port), "--git-url", rig.env["RIG_GIT_URL"]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.listens, 60, "the GitLab double listens")
        self.set(ack_limit=0, poll_seconds=3)

    def listens(self):
        with contextlib.suppress(OSError):
            return self.gitlab("GET", "/settings")
        return None

    def set(self, **settings):
        self.gitlab("PUT", "/settings", settings)

    def hits(self):
        """{what: how often it was applied} of the faults asked for."""
        return {f"{f['id']} {f['what']}": f["hits"] for f in self.gitlab("GET", "/faults")}

    def in_turn(self, path, faults, skip=0):
        """Faults on every second fitting request, so that each is followed by one that works."""
        for n, fault in enumerate(faults):
            self.fault(path=path, skip=skip + n, **fault)

    def complaints(self):
        return [f"{v['rule']}: {v['text']}" for v in self.gitlab("GET", "/violations")]

    def down(self):
        self.process.terminate()
        self.process.wait(10)


class Scene:
    """One scenario's GitLab, windlass and engine proxy."""

    def __init__(self, rig, folder, broken_peer):
        self.folder, self.broken_peer = str(folder), broken_peer
        self.gitlab = Side(rig, os.path.join(self.folder, "gitlab"))
        self.w = self.proxy = None
        self.notes = []
        self.undo = contextlib.ExitStack()

    def windlass(self, **settings):
        settings = {"concurrent": 1, "limit": 1, "IdleTime": 2, "url": self.gitlab.url, **settings}
        self.w = world.Windlass(self.gitlab, os.path.join(self.folder, "bastion"), **settings)
        return self.w

    def start(self, **settings):
        return self.windlass(**settings).start()

    def behind_proxy(self, **how):
        """A windlass whose first machine is ready, idle, and spoken to through a proxy."""
        w = self.start(IdleCount=1, IdleTime=60)
        self.machine = self.ready_machine()
        self.proxy = EngineProxy(w.store, self.machine, **how)
        self.proxy.redirect()
        return self.proxy

    def ready_machine(self):
        def look():
            for name in self.w.machines():
                with contextlib.suppress(OSError, ValueError):
                    with open(os.path.join(self.w.store, "machines", name, "windlass.json")) as f:
                        if json.load(f)["phase"] == "ready":
                            return name
            return None
        return wait_until(look, 150, "an idle machine")

    def job(self, script, **more):
        """A job that needs no git server: the world's does not know the tokens of this GitLab."""
        # GitLab writes number and token before everything else.
        more["variables"] = [NO_GIT] + more.pop("variables", [])
        return self.w.job(script, **more)

    def lines(self, n, every=0.5, **more):
        return self.job([f"for i in $(seq 1 {n}); do echo line $i of the job; sleep {every}; done"], **more)

    def light(self, **more):
        """A job that ends before it needs a container: what matters is how it came and how its result goes."""
        return self.job(["echo never"], image={"name": "none", "executor_opts": {"unknown": {}}}, **more)

    def light_ends(self, job, seconds=150):
        end = self.gitlab.ended(job, seconds)
        assert (end["state"], end["failure_reason"], end["exit_code"]) == ("failed", "runner_system_failure", 3), end
        trace = self.trace(job)
        assert trace.count("Running with gitlab-runner") == trace.count("ERROR: Job failed (system failure): ") == 1, trace
        wait_until(lambda: not self.w.jobs(), 60, "the job's directory gone")

    def until_line(self, job, n, seconds=150):
        wait_until(lambda: f"line {n} of the job" in self.trace(job), seconds, f"line {n}")

    def trace(self, job):
        return plain(self.gitlab.trace(job))

    def passes(self, job, lines=0, seconds=150):
        end = self.gitlab.ended(job, seconds)
        assert end["state"] == "success", f"{end['failure_reason']}\n{self.trace(job)[-3000:]}"
        self.whole(job, lines)
        assert self.trace(job).rstrip().endswith("Job succeeded")
        return end

    def whole(self, job, lines):
        """The job's own lines as GitLab has them: each once and in order."""
        got = [int(n) for n in re.findall(r"^line (\d+) of the job$", self.trace(job), re.M)]
        assert got == list(range(1, lines + 1)), self.trace(job)[-3000:]

    def system_failure(self, job, text, seconds=150):
        """The machine's failure, and never the script's; the job's log says why."""
        end = self.gitlab.ended(job, seconds)
        trace = self.trace(job)
        assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure"), f"{end}\n{trace[-3000:]}"
        assert re.search(r"ERROR: Job failed \(system failure\): .*" + text, trace), trace[-3000:]
        return end

    def says(self, pattern, seconds=30):
        return wait_until(lambda: re.search(pattern, self.w.text()), seconds, f"windlass says {pattern}")

    def over(self, seconds=120):
        """Nothing is left, and nobody has lost patience with us."""
        if self.w.settings.get("IdleCount"):
            self.w.write_config(IdleCount=0, IdleTime=2)
        self.w.until_empty(seconds)
        if not self.broken_peer:
            assert self.gitlab.complaints() == []

    def end(self):
        if self.w is not None:
            self.w.stop()
            for line in self.w.in_cloud():
                self.remove(line)
        if self.proxy is not None:
            self.proxy.stop()
        self.gitlab.down()
        self.undo.close()

    def remove(self, line):
        """What a failed scenario left must not stay for the others."""
        for droplet in self.gitlab.api("GET", "/v2/droplets?per_page=200")["droplets"]:
            if droplet["name"] in line:
                with contextlib.suppress(OSError):
                    self.gitlab.api("DELETE", f"/v2/droplets/{droplet['id']}")


def play(rig, folder, name):
    _, broken_peer, function = SCENARIOS[name]
    scene = Scene(rig, folder, broken_peer)
    began = time.monotonic()
    try:
        function(scene)
        return f"{time.monotonic() - began:.0f} s  " + "  ".join(scene.notes)
    except BaseException as e:
        text = scene.w.text() if scene.w is not None and os.path.exists(scene.w.log) else ""
        calls = "\n".join(map(str, scene.proxy.calls[-30:])) if scene.proxy else ""
        raise AssertionError(f"{name}, after {time.monotonic() - began:.0f} s: {e or type(e)}\n"
                             f"---- windlass.log\n{text[-5000:]}\n{calls}") from e
    finally:
        scene.end()


def room_for_machines():
    """A machine's systemd, dbus and containerd take ten inotify instances, and root has 128 of them unless told otherwise."""
    with open("/proc/sys/fs/inotify/max_user_instances", "r+") as f:
        if int(f.read()) < 2048:
            f.seek(0)
            f.write("2048\n")


@pytest.fixture(scope="module")
def playing(rig, tmp_path_factory, request):
    """Every selected scenario, under way from the first test on."""
    folder = tmp_path_factory.mktemp("bad")
    names = [i.callspec.params["name"] for i in request.session.items
             if i.module is request.module and hasattr(i, "callspec") and "name" in i.callspec.params]
    rig.gitlab("DELETE", "/faults")
    room_for_machines()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        names.sort(key=lambda n: -SCENARIOS[n][0])
        yield {n: pool.submit(play, rig, folder / n, n) for n in names}
        pool.shutdown(cancel_futures=True)


# ---- GitLab, asked for a job ----

ASK = "POST jobs/request"


def ask_in_turn(s, faults):
    """A fault on every other job request: each is told, and in the end a job gets through."""
    s.gitlab.set(poll_seconds=1)
    w = s.start()
    for fault, text in faults:
        seen = len(w.text())
        s.gitlab.fault(path=ASK, skip=1, **fault)
        wait_until(lambda seen=seen, text=text: re.search(text, w.text()[seen:]), 60, f"after {fault} windlass says {text}")
        s.gitlab.gitlab("DELETE", "/faults")
    s.passes(s.lines(1), 1)
    s.over()


@scenario(50)
def ask_statuses(s):
    failed = "Checking for jobs... failed.*"
    ask_in_turn(s, [
        ({"what": "status", "code": 500}, failed + "status=500"),
        ({"what": "status", "code": 502, "body": "<html>Bad Gateway</html>", "content_type": "text/html"}, failed + "status=502"),
        ({"what": "status", "code": 503, "retry_after": 2}, failed + "status=503"),
        ({"what": "status", "code": 429}, failed + "status=429"),
        ({"what": "status", "code": 429, "reset_in": 3}, failed + "status=429"),
        ({"what": "status", "code": 429, "retry_after": 3}, failed + "status=429"),
        ({"what": "status", "code": 409}, failed + "status=409"),
        ({"what": "redirect", "location": "https://other.example/", "code": 302}, "redirects to https://other.example: write that address"),
        ({"what": "redirect", "location": "elsewhere", "code": 308}, "redirects to another address"),
    ])


@scenario(50)
def ask_broken_answers(s):
    lost = "Checking for jobs... failed.*error=.*"
    ask_in_turn(s, [
        ({"what": "rubbish"}, lost),
        ({"what": "stall", "delay": 4}, lost),
        ({"what": "reset", "when": "request"}, lost + "reset"),
        ({"what": "non-json"}, lost + "no JSON"),
        ({"what": "non-json", "code": 201}, lost + "no JSON"),
        ({"what": "header", "size": 100000, "effect": False, "count": 1}, lost + "head"),
        ({"what": "header", "many": 300, "effect": False}, lost + "head"),
    ])


@scenario(40)
def ask_broken_jobs(s):
    """A job that did not get through whole, and that GitLab has not counted as given."""
    w = s.start(IdleTime=60)
    for fault in ({"what": "wrong-length", "delta": 10}, {"what": "wrong-length", "delta": -10}, {"what": "truncated"},
                  {"what": "reset", "after": 900}, {"what": "close"}):
        seen = len(w.text())
        s.gitlab.fault(path=ASK, effect=False, count=2, **fault)
        s.light_ends(s.light())
        assert re.search("Checking for jobs... failed.*status=[02]", w.text()[seen:]), (fault, w.text()[seen:])
        s.gitlab.gitlab("DELETE", "/faults")
    w.write_config(IdleTime=2)
    s.over()


@scenario(50)
def ask_nonsense(s):
    lost = "Checking for jobs... failed.*error=.*"
    ask_in_turn(s, [
        *(({"what": "non-json", "code": 201, "content_type": "application/json", "body": body}, lost) for body in (
            "[]", "{}", "null", '{"id":"9"}', '{"id":-9,"token":"glcbt-64_abc"}', '{"id":9}', '{"id":9,"token":null}', '{"id":9,"token":""}',
            "[" * 100000, '{"id":9,"token":"' + "x" * 100000 + '"}', '{"id":1e400,"token":"t"}', '{"id":9,"id":10,"token":"t"')),
    ])


@scenario(30)
def jobs_that_are_none(s):
    """Answers that could be jobs, but are none that GitLab knows: tried, refused, forgotten; no machine is left with them."""
    w = s.start(IdleTime=60)
    s.passes(s.job(["echo warm"]))
    for body in ('{"id":9,"token":"glcbt-64_abc"}', '{"id":9,"token":"t","steps":"none","image":7,"variables":{"a":1},"git_info":[]}',
                 '{"id":9223372036854775807,"token":"t","steps":[{"name":"script","script":["echo never"]}],"runner_info":{"timeout":-1}}'):
        s.gitlab.fault(path=ASK, what="non-json", code=201, content_type="application/json", body=body)
        wait_until(lambda: sum(s.gitlab.hits().values()) == 1, 60, "the answer is had")
        s.says("Added job to processing list")
        wait_until(lambda: not w.jobs(), 60, f"the job is forgotten: {body}")
        s.gitlab.gitlab("DELETE", "/faults")
    s.passes(s.job(["echo line 1 of the job"]), 1)
    w.write_config(IdleTime=2)
    s.over()


@scenario(40)
def ask_slow_but_right(s):
    """Right answers in odd clothes are answers."""
    w = s.start(IdleTime=60)
    for fault in ({"what": "trickle", "bytes": 40, "interval": 0.02}, {"what": "chunked"}, {"what": "split", "piece": 11},
                  {"what": "interim"}, {"what": "close-header"}, {"what": "http10"}, {"what": "slow", "delay": 2}):
        seen = len(w.text())
        # The request that is held now ends without a job, the next one gets it.
        s.gitlab.fault(path=ASK, count=2, **fault)
        s.light_ends(s.light())
        assert "Checking for jobs... failed" not in w.text()[seen:], fault
        s.gitlab.gitlab("DELETE", "/faults")
    w.write_config(IdleTime=2)
    s.over()


@scenario(30)
def job_lost_on_its_way(s):
    """GitLab gave the job, but its answer broke: where enough of it came, GitLab is told at once; the next job is none the worse."""
    w = s.start()
    number = 9500000
    for fault in ({"what": "truncated"}, {"what": "reset", "after": 1500}, {"what": "wrong-length", "delta": -50},
                  {"what": "wrong-length", "delta": 50}):
        # Of the two requests the first ends as the job is queued, or was answered before.
        seen = len(w.text())
        s.gitlab.fault(path=ASK, count=2, **fault)
        number += 10
        job = s.job(["echo never"], id=number, token=f"glcbt-64_{number}abcdefghijklm")
        end = s.gitlab.ended(job, 60)
        assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure"), (fault, end)
        assert "never" not in s.trace(job)
        assert re.search(rf"given back as failed.*job={job}", w.text()[seen:]), fault
        s.gitlab.gitlab("DELETE", "/faults")
    # Nothing of the answer came: nobody here knows of that job, and GitLab ends it by its own clock.
    s.gitlab.fault(path=ASK, count=2, what="close")
    job = s.job(["echo never"])
    s.says(r"Checking for jobs... failed.*status=0", 60)
    wait_until(lambda: s.gitlab.state(job)["state"] == "running", 30, "the job is given")
    s.gitlab.gitlab("DELETE", "/faults")
    s.passes(s.job(["echo line 1 of the job"]), 1)
    assert s.gitlab.state(job)["state"] == "running"
    s.over()


@scenario(20, broken_peer=False)
def token_is_refused(s):
    """Says so once, waits, and asks again."""
    w = s.windlass(**{"runners.unhealthy_interval": "6s", "runners.unhealthy_requests_limit": 2})
    s.gitlab.fault(what="status", code=403, path=ASK, count=3)
    w.start()
    s.says("Runner is unhealthy and will be disabled for a while", 30)
    job = s.job(["echo line 1 of the job"])
    time.sleep(4)
    assert w.text().count("is unhealthy") == 1
    assert sum(s.gitlab.hits().values()) == 2, "no request while it is disabled"
    s.passes(job, 1)
    assert w.text().count("is unhealthy") == 1
    assert "Runner is healthy again" in w.text()
    s.over()


@scenario(10, broken_peer=False)
def token_is_mended(s):
    """A runner that was given up for an hour is tried again when config.toml is read again."""
    w = s.windlass(**{"runners.unhealthy_interval": "1h", "runners.unhealthy_requests_limit": 2})
    s.gitlab.fault(what="status", code=403, path=ASK, count=2)
    w.start()
    s.says("Runner is unhealthy and will be disabled for a while", 30)
    job = s.job(["echo line 1 of the job"])
    w.kill(signal.SIGHUP)
    s.passes(job, 1)
    s.over()


@scenario(20, broken_peer=False)
def maintenance_is_no_dead_token(s):
    """F5: a GitLab that is read-only for a while is an outage: seconds after it is over the runner asks again."""
    w = s.windlass(**{"runners.unhealthy_interval": "1h", "runners.unhealthy_requests_limit": 2})
    s.gitlab.fault(path=ASK, count=4, **READ_ONLY)
    w.start()
    job = s.job(["echo line 1 of the job"])
    s.says("Checking for jobs... failed.*read-only instance.*not GitLab's word on the token", 30)
    wait_until(lambda: list(s.gitlab.hits().values()) == [4], 90, "it is over")
    s.passes(job, 1)
    assert "is unhealthy" not in w.text()
    s.over()


@scenario(20, broken_peer=False)
def a_disabled_runner_says_so(s):
    """`why` and `ls` tell until when nothing is asked, and what asks at once."""
    w = s.windlass(**{"runners.unhealthy_interval": "1h", "runners.unhealthy_requests_limit": 2})
    s.gitlab.fault(what="status", code=403, path=ASK, count=2)
    w.start()
    s.says("Runner is unhealthy and will be disabled for a while", 30)
    said = wait_until(lambda: (t := w.run("why", "--state-dir", w.state)) and "disabled until" in t and t, 20, "why says so")
    assert re.search(r"disabled until \d\d:\d\d.*SIGHUP asks at once", said) and "GitLab is asked for" not in said, said
    w.kill(signal.SIGHUP)
    s.passes(s.job(["echo line 1 of the job"]), 1)
    assert "disabled until" not in w.run("why", "--state-dir", w.state)
    s.over()


@scenario(40)
def gitlab_is_away(s):
    """Down in three ways, and broken before it says a word: in mid-job and at poll time."""
    # A fault that hits one connection is met by whoever opens the next one: the log's patch, the heartbeat, a poll.
    failed = r"(coordinator|Updating job|Checking for jobs)\.\.\. failed"
    w = s.start()
    job = s.lines(70)
    s.until_line(job, 1)
    for mode in ("refuse", "reset", "stall"):
        seen = len(w.text())
        s.gitlab.fault(what="down", mode=mode, seconds=90)
        wait_until(lambda seen=seen: re.search(failed, w.text()[seen:]), 80, f"{mode} is noticed")
        s.gitlab.gitlab("DELETE", "/faults")
    for what in ("tls-garbage", "tls-close", "accept-reset"):
        seen = len(w.text())
        s.gitlab.fault(what=what)
        s.gitlab.fault(path=PATCH, what="close-header")
        # Nobody got through since the outage began, so the next try may be half a minute away.
        wait_until(lambda seen=seen: re.search(failed, w.text()[seen:]), 80, f"{what} is noticed")
    s.passes(job, 70)
    for mode in ("refuse", "reset", "stall"):
        seen = len(w.text())
        s.gitlab.fault(what="down", mode=mode, seconds=90)
        wait_until(lambda seen=seen: re.search("Checking for jobs... failed", w.text()[seen:]), 80, f"{mode} is noticed at poll time")
        s.gitlab.gitlab("DELETE", "/faults")
    s.passes(s.lines(2), 2)
    s.over()


# ---- GitLab, in mid-job ----

PATCH, PUT = "PATCH jobs/*/trace", "PUT jobs/*"
# Said by something on the way, or by GitLab of itself and not of the job.
READ_ONLY = {"what": "status", "code": 403, "body": {"message": "You cannot perform write operations on a read-only instance"}}
NOT_GITLABS = [
    READ_ONLY, {"what": "status", "code": 401, "body": {"message": "401 Unauthorized"}}, {"what": "status", "code": 407, "body": "who?"},
    {"what": "status", "code": 404, "body": "default backend - 404", "content_type": "text/plain"},
    {"what": "status", "code": 400, "body": "<html>400 Bad Request</html>", "content_type": "text/html"},
]
NOT_DONE = [
    {"what": "status", "code": 500}, {"what": "status", "code": 502, "body": "<html>", "content_type": "text/html"},
    {"what": "status", "code": 503, "retry_after": 1}, {"what": "status", "code": 429},
    {"what": "status", "code": 429, "retry_after": 2}, {"what": "status", "code": 429, "reset_in": 3}, {"what": "status", "code": 409},
    {"what": "rubbish"}, {"what": "stall", "delay": 2}, {"what": "reset", "when": "request"}, {"what": "redirect"},
    {"what": "non-json", "code": 200}, {"what": "non-json", "code": 202},
    {"what": "status", "code": 403, "body": "<html>not here</html>", "content_type": "text/html"},
    {"what": "status", "code": 404, "body": "<html>not here</html>", "content_type": "text/html"},
    *NOT_GITLABS,
]
DONE_BUT_UNTOLD = [
    {"what": "close"}, {"what": "reset", "after": 0}, {"what": "reset", "after": 60}, {"what": "wrong-length", "delta": 20},
    {"what": "wrong-length", "delta": -1}, {"what": "truncated", "keep": 0}, {"what": "header", "size": 100000},
    {"what": "trickle", "bytes": 8, "interval": 0.02}, {"what": "slow", "delay": 2, "when": "after"}, {"what": "chunked"}, {"what": "http10"},
]


def check_all_met(s):
    assert set(s.gitlab.hits().values()) == {1}, s.gitlab.hits()


@scenario(60)
def patch_not_done(s):
    w = s.start()
    s.gitlab.in_turn(PATCH, NOT_DONE)
    s.passes(s.lines(130), 130, 240)
    check_all_met(s)
    assert "Appending trace to coordinator... failed" in w.text()
    s.over()


@scenario(50)
def patch_done_but_untold(s):
    s.start()
    s.gitlab.in_turn(PATCH, DONE_BUT_UNTOLD)
    s.passes(s.lines(120), 120, 180)
    check_all_met(s)
    s.over()


@scenario(60)
def final_put(s):
    """The result gets through, whatever happens to it on its way; the machine does not wait for that."""
    w = s.start(IdleTime=60)
    s.passes(s.lines(1), 1)
    for n, fault in enumerate(NOT_DONE + DONE_BUT_UNTOLD):
        # The first PUT acknowledges the job.
        s.gitlab.fault(path=PUT, skip=1, **fault)
        try:
            if n % 8 == 0:
                s.passes(s.lines(3, 0.1), 3)
            else:
                s.light_ends(s.light())
        except AssertionError as e:
            raise AssertionError(f"{fault}: {e}") from e
        check_all_met(s)
        s.gitlab.gitlab("DELETE", "/faults")
    w.write_config(IdleTime=2)
    s.over()


@scenario(30)
def first_put(s):
    """The acknowledgement is refused, lost, broken: the job runs all the same."""
    w = s.start(IdleTime=60)
    for n, fault in enumerate(NOT_DONE[:1] + NOT_DONE[4:5] + NOT_DONE[7:10] + DONE_BUT_UNTOLD[:3]):
        s.gitlab.fault(path=PUT, **fault)
        if n % 4 == 0:
            s.passes(s.lines(1), 1)
        else:
            s.light_ends(s.light())
        check_all_met(s)
        s.gitlab.gitlab("DELETE", "/faults")
    w.write_config(IdleTime=2)
    s.over()


@scenario(60, broken_peer=False)
def too_many_requests(s):
    """Told again and again to come later, it does come later: each time as late as it was told."""
    s.start()
    s.gitlab.fault(path=PATCH, what="status", code=429, retry_after=3, count=5)
    s.gitlab.fault(path=PATCH, what="status", code=503, retry_after=20, skip=4)
    s.passes(s.lines(50), 50, 180)
    assert list(s.gitlab.hits().values()) == [5, 1], s.gitlab.hits()
    s.over()


@scenario(100)
def gitlab_stalls(s):
    """An answer that never comes is given up; the machine is free long before."""
    w = s.start()
    s.gitlab.fault(path=PATCH, what="stall", delay=3600, skip=1)
    job = s.lines(8)
    wait_until(lambda: sum(s.gitlab.hits().values()) == 1, 100, "GitLab stalls")
    wait_until(lambda: not w.machines() and not w.in_cloud(), 100, "the machine gone while GitLab stalls")
    assert s.gitlab.state(job)["state"] == "running"
    s.passes(job, 8, 150)
    s.says("Appending trace to coordinator... failed")
    s.over()


@scenario(30, broken_peer=False)
def server_lost_a_part_of_the_log(s):
    s.start()
    job = s.lines(24)
    for line, lose in ((4, 100), (8, 1), (12, 400)):
        s.until_line(job, line)
        s.gitlab.fault(what="trace-lost", job=job, lose=lose)
    s.until_line(job, 16)
    s.gitlab.fault(what="trace-lost", job=job, keep=0)
    s.passes(job, 24)
    s.over()


@scenario(20)
def server_cannot_say_where_it_stands(s):
    """416 without a range, or with one that leads nowhere: it is asked again, but not without pause."""
    s.start(IdleTime=60)
    s.passes(s.job(["echo warm"]))
    for headers in ({}, {"Range": "0-7"}, {"Range": "from here"}, {"Range": "0-99999999"}):
        s.gitlab.fault(path=PATCH, what="status", code=416, headers=headers, seconds=6)
        job = s.lines(3, 0.1)
        s.passes(job, 3)
        assert 2 <= sum(s.gitlab.hits().values()) <= 15, (headers, s.gitlab.hits())
        s.gitlab.gitlab("DELETE", "/faults")
    s.w.write_config(IdleTime=2)
    s.over()


@scenario(20, broken_peer=False)
def server_stores_slowly(s):
    """202: the final update again, when the server says so, and the same."""
    s.start()
    s.gitlab.set(persist_seconds=5)
    job = s.lines(4)
    end = s.passes(job, 4)
    puts = [e for e in end["events"] if e.get("what", e.get("event")) == "put" and e.get("state") == "success"]
    assert [e["status"] for e in puts[:-1]] and {e["status"] for e in puts[:-1]} == {202} and puts[-1]["status"] == 200, puts
    s.over()


@scenario(20)
def reason_is_refused(s):
    """400 on the failure's reason: once more with one that every server knows, and then no more."""
    w = s.start(IdleTime=60)
    s.passes(s.job(["echo warm"]))
    s.gitlab.fault(path=PUT, what="status", code=400, skip=1)
    job = s.job(["exit 3"])
    end = s.gitlab.ended(job)
    assert (end["state"], end["failure_reason"], end["exit_code"]) == ("failed", "unknown_failure", 3)
    s.gitlab.gitlab("DELETE", "/faults")
    wait_until(lambda: not w.jobs(), 30, "the job's directory gone")
    s.gitlab.fault(path=PUT, what="status", code=400, skip=1, count=100)
    job = s.job(["exit 3"])
    wait_until(lambda: sum(s.gitlab.hits().values()) >= 2, 60, "both tries")
    wait_until(lambda: not w.jobs(), 30, "the job's directory gone")
    assert sum(s.gitlab.hits().values()) == 2
    s.says("Submitting job to coordinator... failed.*status=400")
    w.write_config(IdleTime=2)
    s.over()


@scenario(20)
def job_is_erased(s):
    """403 and 404 from GitLab itself: the job ends here, the machine is free."""
    w = s.start(IdleTime=60)
    job = s.lines(200)
    s.until_line(job, 3)
    s.gitlab.gitlab("DELETE", f"/jobs/{job}")
    wait_until(lambda: not w.jobs(), 40, "the job over")
    job = s.lines(200)
    s.until_line(job, 3)
    s.gitlab.fault(path=PATCH, what="status", code=404)
    wait_until(lambda: not w.jobs(), 60, "the job over")
    w.write_config(IdleTime=2)
    s.over()


# ---- certificates ----

@scenario(30)
def gitlab_certificate(s):
    """Of another authority, expired, for another name: the reason is told, and nothing is sent there."""
    address = s.gitlab.env["RIG_ADDRESS"]
    p = pki.Pki(s.folder)
    shutil.copy(os.path.join(s.gitlab.run, "ca.pem"), p.path("rig.crt"))
    shutil.copy(os.path.join(s.gitlab.run, "ca-key.pem"), p.path("rig.key"))
    ours, other = pki.Cert(p.path("rig"), None), p.ca("another CA")
    certs = [
        (p.server(other, f"IP:{address}"), "issued by an authority that is not trusted"),
        (p.server(ours, f"IP:{address}", end="20240101000000Z"), "has expired"),
        (p.server(ours, f"IP:{address}", start="20600101000000Z"), "valid"),
        (p.server(ours, "DNS:elsewhere.example"), "is for .* and not for"),
    ]
    w = s.start()

    def shown(cert, reason, text):
        """That certificate on the next connections, until windlass says what is wrong with it."""
        for name in (cert.chain, cert.key):
            shutil.copy(name, s.gitlab.run)
        seen = len(w.text())
        s.gitlab.fault(what="cert", pem=os.path.join(s.gitlab.run, os.path.basename(cert.chain)),
                       key=os.path.join(s.gitlab.run, os.path.basename(cert.key)))
        s.gitlab.fault(what="close-header", count=2)
        wait_until(lambda: re.search(text + "... failed.*" + reason, w.text()[seen:]), 60, f"{text}: {reason}")
        s.gitlab.gitlab("DELETE", "/faults")
    for cert, reason in certs:
        shown(cert, reason, "Checking for jobs")
    job = s.lines(80)
    s.until_line(job, 2)
    for cert, reason in certs:
        shown(cert, reason, "coordinator")
        seen = len(s.trace(job))
        wait_until(lambda seen=seen: len(s.trace(job)) > seen, 60, "the log goes on")
    s.passes(job, 80)
    s.over()


@scenario(30)
def engine_shows_another_key(s):
    """A certificate of the same authority for the same name, but another key: not this machine. The job gets another one."""
    p = pki.Pki(s.folder)
    w = s.start(IdleCount=1, IdleTime=60)
    machine = s.ready_machine()
    for name in ("ca.pem", "ca-key.pem"):
        shutil.copy(os.path.join(w.store, "certs", name), p.path(name.replace("-key.pem", ".key").replace(".pem", ".crt")))
    fake = p.server(pki.Cert(p.path("ca"), None), f"DNS:{machine}")
    s.proxy = EngineProxy(w.store, machine, pem=fake.crt, key=fake.key)
    s.proxy.redirect()
    job = s.lines(3)
    s.passes(job, 3)
    said = w.text()
    assert re.search(rf"Machine is not usable.*machine {machine}.*(key|certificate)", said)
    assert re.search(rf"Machine could not be used by a job.*name={machine}", said)
    assert not s.proxy.calls, "nothing is said to a stranger"
    s.over()


@scenario(30)
def engine_changes_its_key_in_mid_job(s):
    """A stranger at the machine's address: not a word to it; the job goes on when the machine is back."""
    p = pki.Pki(s.folder)
    proxy = s.behind_proxy()
    job = s.lines(30)
    s.until_line(job, 3)
    fake = p.server(p.ca("another CA"), f"DNS:{s.machine}")
    right, proxy.client_side = proxy.client_side, server_context(fake)
    proxy.cut()
    s.says("Machine does not answer")
    wait_until(lambda: proxy.handshakes, 30, "a refused handshake")
    proxy.client_side = right
    s.passes(job, 30)
    s.over()


def server_context(cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert.chain, cert.key)
    return context


# ---- the engine ----

LOGS, ATTACH = "GET /containers/[^/]+/logs", "POST /containers/[^/]+/attach"


@scenario(50)
def log_breaks_off(s):
    """Every way for the job's log to break off in its middle: it is taken up where it broke."""
    proxy = s.behind_proxy()
    job = s.lines(60)
    s.until_line(job, 2)
    # The script is attached to; what comes now is for the logs that follow.
    faults = [
        ("reset", {"after": 500}), ("close", {"after": 700}), ("truncated", {"after": 900}), ("bad-chunk", {"after": 1000}),
        ("bad-frame", {"after": 1200}), ("tls-garbage", {"after": 1400}), ("reset", {"after": -1}), ("close", {"after": -1}),
        ("rubbish", {}), ("status", {"code": 500}), ("status", {"code": 404, "message": "no such thing"}), ("non-json", {}), ("huge-head", {}),
    ]
    met = [proxy.fault(what, LOGS, **how) for what, how in faults if what != "status" or how["code"] != 404]
    proxy.cut()
    s.passes(job, 60, 180)
    assert [f.hits for f in met] == [1] * len(met), [(f.what, f.hits) for f in met]
    s.over()


@scenario(60)
def attach_breaks_off(s):
    """Every way for an attach to break off: before the container starts, within the words of a stage and behind them."""
    proxy = s.behind_proxy()
    for what, how in (("reset", {"after": -1}), ("close", {"after": -1}), ("rubbish", {}), ("status", {"code": 500}), ("huge-head", {}),
                      ("reset", {"after": 0}), ("reset", {"after": 30}), ("close", {"after": 300}), ("tls-garbage", {"after": 400}),
                      ("reset", {"after": 700}), ("close", {"after": 2000})):
        fault = proxy.fault(what, ATTACH, skip=1, **how)
        job = s.lines(20, 0.1)
        if what == "status":
            s.system_failure(job, "the proxy says no")
        else:
            s.passes(job, 20, 120)
        assert fault.hits == 1, (what, how, proxy.calls[-40:])
        proxy.clear()
    s.over()


@scenario(40)
def log_trickles(s):
    proxy = s.behind_proxy()
    proxy.fault("trickle", ATTACH, interval=0.002, count=10)
    job = s.lines(10)
    s.until_line(job, 2)
    proxy.fault("trickle", LOGS, interval=0.002, count=10)
    proxy.cut()
    s.passes(job, 10, 120)
    s.over()


def calls_in_turn(s, groups):
    """[([(fault, call, how), ...], what becomes of a job that meets them: "" it passes, or the text of its system failure)]"""
    proxy = s.behind_proxy()
    for faults, ends in groups:
        given = [(what, call, proxy.fault(what, call, **how)) for what, call, how in faults]
        job = s.lines(3, 0.1)
        try:
            if ends:
                s.system_failure(job, ends)
            else:
                s.passes(job, 3)
        except AssertionError as e:
            raise AssertionError(f"{faults}: {e}") from e
        assert [(w, c) for w, c, f in given if f.left > 0] == [], f"not met: {proxy.calls[-60:]}"
        proxy.clear()
    s.over()


INFO, CREATE, ARCHIVE = "GET /info", "POST /containers/create", "PUT /containers/[^/]+/archive"
INSPECT, START, PING = "GET /containers/[^/]+/json$", "POST /containers/[^/]+/start", "GET /_ping"
VOLUMES, DELETE = "POST /volumes/create", "DELETE /containers/"


@scenario(50)
def engine_calls_fail(s):
    # One that fails is followed by one that passes: two in a row would retire the machine behind the proxy.
    calls_in_turn(s, [
        ([("status", INFO, {"count": 3})], "the proxy says no"),
        ([("status", PING, {}), ("status", INFO, {}), ("status", CREATE, {}), ("non-json", INSPECT, {"skip": 1})], ""),
        ([("status", START, {})], "the proxy says no"),
        ([("status", VOLUMES, {}), ("non-json", INFO, {}), ("status", INSPECT, {"skip": 1, "code": 200, "body": "{}"})], ""),
        ([("status", INSPECT, {"skip": 1})], "the proxy says no"),
        ([("status", ARCHIVE, {}), ("status", DELETE, {"skip": 1}), ("status", INSPECT, {"skip": 1, "code": 200, "body": '{"State":'})], ""),
        ([("non-json", CREATE, {"effect": True, "code": 201}), ("non-json", CREATE, {"skip": 1})], ""),
        # What is left of a job on a machine must not meet the next one.
        ([("status", DELETE, {"skip": 2})], ""),
    ])
    assert re.search("Containers of the job could not be removed: the machine will not be used again", s.w.text())


PULL = "POST /images/create"


@scenario(40)
def pull_breaks(s):
    """The pull of the job's image, in its own process: repeated while that may help, and else explained."""
    proxy = s.behind_proxy()
    s.w.write_config(**{"runners.docker.allowed_pull_policies": ["always", "if-not-present"]})
    s.says("Configuration loaded.*\n(?s:.*)Configuration loaded")
    image = {"name": s.gitlab.env["RIG_BUSYBOX_IMAGE"], "pull_policy": ["always"]}
    for what, how, ends in (
            ("reset", {"after": 10}, ""), ("truncated", {"after": 10}, ""), ("rubbish", {}, ""), ("non-json", {"code": 502}, ""),
            ("status", {"code": 200, "body": '{"errorDetail":{"message":"toomanyrequests: later"}}'}, ""),
            ("status", {"code": 200, "body": '{"errorDetail":{"message":}}'}, ""),
            ("status", {"message": "Get \"https://r.example/v2/\": dial tcp: lookup r.example: i/o timeout"}, ""),
            ("status", {"message": "Get \"https://r.example/v2/\": dial tcp: i/o timeout", "count": 3}, "runner_external_dependency_failure"),
            ("status", {"code": 404, "message": "manifest unknown"}, "runner_configuration_error"),
            # the machine's fault, not the job's: another machine, which is not behind the proxy, does it
            ("status", {"message": "no space left on device"}, "")):
        fault = proxy.fault(what, PULL, **how)
        job = s.lines(3, 0.1, image=image)
        if ends:
            end = s.gitlab.ended(job, 150)
            assert (end["state"], end["failure_reason"]) == ("failed", ends), s.trace(job)
            assert how["message"][:20] in s.trace(job)
        else:
            s.passes(job, 3)
        assert fault.hits == how.get("count", 1), what
    s.over()


@scenario(50)
def engine_answers_break(s):
    calls_in_turn(s, [
        ([("reset", INFO, {}), ("reset", CREATE, {}), ("reset", START, {}), ("reset", INSPECT, {"skip": 2})], ""),
        ([("rubbish", INFO, {}), ("huge-head", INFO, {}), ("reset", START, {"effect": False}), ("rubbish", INSPECT, {"skip": 3})], ""),
        ([("wrong-length", INFO, {"delta": -10}), ("wrong-length", INFO, {"delta": 10}), ("rubbish", START, {"skip": 1}),
          ("wrong-length", INSPECT, {"skip": 3, "delta": 10})], ""),
        ([("reset", CREATE, {"skip": 1}), ("reset", ARCHIVE, {}), ("reset", ATTACH, {}), ("wrong-length", INSPECT, {"skip": 3, "delta": -10}),
          ("close", START, {"skip": 2})], ""),
        ([("trickle", INFO, {"interval": 0.001}), ("trickle", CREATE, {"count": 2, "interval": 0.005}), ("trickle", START, {"count": 2})], ""),
    ])


@scenario(20)
def engine_refuses_for_a_while(s):
    proxy = s.behind_proxy()
    job = s.lines(30)
    s.until_line(job, 3)
    proxy.refuse(10)
    s.says("Machine does not answer")
    s.passes(job, 30)
    s.over()


@scenario(60)
def engine_is_none(s):
    """From the first word on rubbish, or a stall: the machine is not used, and the job gets another one."""
    proxy = s.behind_proxy()
    proxy.fault("rubbish", PING, count=1000)
    s.passes(s.lines(3), 3, 90)
    assert re.search(r"Machine is not usable.*docker engine", s.w.text())
    s.over()


@scenario(40)
def no_machine_works(s):
    """Three machines in a row: then it is the job's end, and its log says so."""
    w = s.start(IdleCount=3, limit=3, IdleTime=60)
    wait_until(lambda: w.text().count("Machine created") == 3, 150, "three idle machines")
    w.write_config(IdleCount=0)
    wait_until(lambda: w.text().count("Configuration loaded") == 2, 30, "no further machine is wanted")
    for name in w.machines():
        # Nobody listens there.
        point_to(os.path.join(w.store, "machines", name), "127.0.0.1")
    s.system_failure(s.lines(1), "three machines in a row could not be used")
    assert len(re.findall(r"Machine is not usable.*connect 127.0.0.1:2376", w.text())) == 3
    w.write_config(IdleTime=2)
    s.over()


@scenario(100)
def engine_stalls(s):
    """A call that is never answered: given up after two minutes, and asked once more."""
    proxy = s.behind_proxy()
    stall = proxy.fault("stall", INSPECT, skip=1)
    job = s.lines(3)
    s.passes(job, 3, 200)
    assert stall.hits == 1
    s.over()


@scenario(40)
def engine_stalls_until_the_job_is_over(s):
    """The job's own time limit ends every wait."""
    proxy = s.behind_proxy()
    # The second stage is the script's.
    proxy.fault("stall", ATTACH, skip=1)
    job = s.lines(3, timeout=25)
    end = s.gitlab.ended(job, 90)
    assert (end["state"], end["failure_reason"]) == ("failed", "job_execution_timeout"), s.trace(job)
    assert "execution took longer than 25s" in s.trace(job)
    s.over()


# ---- the machine ----

def machine_of(s, job):
    def look():
        with contextlib.suppress(OSError):
            with open(os.path.join(s.w.state, "jobs", str(job), "machine")) as f:
                return f.readline().strip()
        return None
    return wait_until(look, 60, "the job has a machine")


def in_mid_job(s, what, lines=30, **more):
    """A job at its third line, and a fault of its machine."""
    s.start()
    job = s.lines(lines, **more)
    s.until_line(job, 3)
    s.machine = machine_of(s, job)
    s.gitlab("fault", "machine", s.machine, what)
    return job


@scenario(200)
def machine_dies_and_resets(s):
    """Its connections are reset and nothing answers any more: the cloud says that it is off, and no patience is needed."""
    job = in_mid_job(s, "kill")
    s.says("Machine does not answer")
    s.system_failure(job, "is gone", 150)
    s.over()


@scenario(200)
def machine_is_cut_off(s):
    """The cloud says that it runs, and nothing answers any more: five minutes' patience, then the machine's failure."""
    job = in_mid_job(s, "unplug")
    s.says("Machine does not answer", 150)      # silence: TCP's keep-alive has to find out
    s.system_failure(job, "did not answer for", 500)
    s.over()


@scenario(90)
def machine_dies_in_silence(s):
    """No packet leaves it any more; should the job's time limit come first, the machine is to blame all the same."""
    job = in_mid_job(s, "die", timeout=75)
    s.system_failure(job, "is gone|does not answer|did not answer", 150)
    s.over()


@scenario(50)
def machine_vanishes(s):
    job = in_mid_job(s, "vanish")
    s.system_failure(job, "is gone", 120)
    s.over()


@scenario(40)
def machine_reboots(s):
    s.system_failure(in_mid_job(s, "reboot", timeout=120), "restarted under the job", 120)
    s.over()


@scenario(40)
def engine_is_restarted(s):
    s.system_failure(in_mid_job(s, "engine-restart", timeout=120), "restarted under the job", 120)
    s.over()


@scenario(40)
def engine_is_killed(s):
    """Without live-restore the new dockerd ends what the old one left: not the script's failure."""
    s.system_failure(in_mid_job(s, "engine-kill", timeout=120), "restarted under the job", 120)
    s.over()


@scenario(40)
def script_that_kills_itself(s):
    """The same exit codes as a dying engine's containers have, but the script's own: also after the connection broke."""
    proxy = s.behind_proxy()
    for script, code in (("sh -c 'kill -9 $$'", 137), ("sh -c 'kill -TERM $$'", 143), ("exit 255", 255)):
        job = s.job(["echo line 1 of the job; sleep 2", script])
        s.until_line(job, 1)
        proxy.cut()
        end = s.gitlab.ended(job)
        assert (end["failure_reason"], end["exit_code"]) == ("script_failure", code), s.trace(job)
        s.whole(job, 1)
    s.says("Machine does not answer")
    s.over()


@scenario(40)
def engine_is_restarted_with_live_restore(s):
    """Then its containers live on, and so does the job."""
    s.start(IdleCount=1, IdleTime=60)
    machine = s.ready_machine()
    s.gitlab("machine", machine, "exec", "sh", "-c",
             "mkdir -p /etc/docker && echo '{\"live-restore\": true}' >/etc/docker/daemon.json && systemctl restart docker")
    job = s.lines(40)
    s.until_line(job, 3)
    for what in ("engine-restart", "engine-kill"):
        s.gitlab("fault", "machine", machine, what)
        time.sleep(4)
    s.passes(job, 40)
    s.over()


@scenario(40)
def machine_is_switched_off(s):
    """In good order: its engine ends the containers first, and their exit codes are not the script's."""
    s.system_failure(in_mid_job(s, "off", timeout=75), "restarted under the job|does not answer|is gone", 150)
    s.over()


@scenario(50)
def network_is_cut_in_silence(s):
    """20 seconds without a network while the job says nothing: nobody notices, or it is mended."""
    s.start()
    job = s.job(["echo line 1 of the job", "sleep 25", "echo line 2 of the job"])
    s.until_line(job, 1)
    machine = machine_of(s, job)
    s.gitlab("fault", "machine", machine, "unplug")
    time.sleep(20)
    s.gitlab("fault", "machine", machine, "plug")
    s.passes(job, 2)
    s.over()


@scenario(50)
def network_is_cut_in_the_middle(s):
    s.start()
    job = s.lines(60)
    s.until_line(job, 3)
    machine = machine_of(s, job)
    s.gitlab("fault", "machine", machine, "unplug")
    time.sleep(20)
    s.gitlab("fault", "machine", machine, "plug")
    s.passes(job, 60, 120)
    s.over()


@scenario(50)
def machine_freezes(s):
    s.start()
    job = s.lines(30)
    s.until_line(job, 3)
    machine = machine_of(s, job)
    s.gitlab("fault", "machine", machine, "freeze")
    time.sleep(15)
    s.gitlab("fault", "machine", machine, "thaw")
    s.passes(job, 30, 120)
    s.over()


# ---- the bastion ----

@scenario(20, broken_peer=False)
def no_inotify_left(s):
    """A user may have used up what the kernel gives: then files are looked at instead."""
    w = s.windlass()
    with open(w.log, "ab") as log:
        w.process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"", "sh",
             world.WINDLASS, "run", "--config", w.config, "--state-dir", w.state],
            env=w.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    s.passes(s.lines(6), 6)
    s.says("inotify: the files of jobs are looked at every few seconds instead")
    s.over()


class SmallDisk:
    """Both directories of a windlass on a file system of its own."""

    def __init__(self, s, mebibytes=24):
        self.path = os.path.join(s.folder, "disk")
        os.makedirs(self.path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "small", self.path], check=True)
        s.undo.callback(subprocess.run, ["umount", "-l", self.path], check=True)
        w = s.windlass()
        w.state, w.store = os.path.join(self.path, "state"), os.path.join(self.path, "store")
        w.environ["MACHINE_STORAGE_PATH"] = w.store

    def fill(self):
        with open(os.path.join(self.path, "ballast"), "ab", buffering=0) as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(4096))

    def keep_full(self, seconds):
        """What windlass gives back meanwhile (an answer's file, a machine's) is taken, too."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.fill()
            time.sleep(0.02)

    def free(self):
        os.unlink(os.path.join(self.path, "ballast"))


@scenario(40)
def full_disk_before_the_job(s):
    """A job that cannot be kept is not asked for: it stays with GitLab, for us or for another."""
    disk = SmallDisk(s)
    w = s.w.start()
    s.says("Configuration loaded")
    disk.fill()
    job = s.lines(3)
    s.says("no job is asked for")
    time.sleep(6)
    assert s.gitlab.state(job)["state"] == "pending"
    assert w.text().count("no job is asked for") == 1, "once is enough"
    disk.free()
    s.passes(job, 3)
    s.over()


@scenario(40)
def full_disk_as_the_job_arrives(s):
    """Enough space to ask for a job, not enough to keep it: it is given back at once."""
    SmallDisk(s, 12)
    s.w.start()
    s.passes(s.lines(1), 1)
    job = s.job(["echo never"], variables=[{"key": f"BIG_{i}", "value": "x" * 100000} for i in range(130)])
    end = s.gitlab.ended(job, 60)
    assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure")
    s.says(r"(?i)given back as failed.*no space")
    assert not [n for n in os.listdir(os.path.join(s.w.state, "jobs"))]
    s.passes(s.lines(1), 1)
    s.over()


@scenario(40)
def full_disk_while_a_machine_is_made(s):
    disk = SmallDisk(s)
    s.w.start()
    job = s.lines(3)
    wait_until(lambda: s.w.jobs(), 60, "the job is here")
    disk.fill()
    time.sleep(8)
    disk.free()
    s.passes(job, 3, 150)
    s.over()


@scenario(40)
def full_disk_in_mid_job(s):
    disk = SmallDisk(s)
    s.w.start()
    job = s.lines(24)
    s.until_line(job, 3)
    disk.fill()
    s.says("The job's log cannot be written")
    time.sleep(6)
    disk.free()
    s.passes(job, 24)
    s.says("The job's log can be written again")
    s.over()


@scenario(40)
def full_disk_at_the_end(s):
    """The result waits for space; GitLab gets it."""
    disk = SmallDisk(s)
    w = s.w.start()
    job = s.lines(6)
    s.until_line(job, 5)
    disk.fill()
    s.says("cannot be written", 60)
    time.sleep(8)
    assert s.gitlab.state(job)["state"] == "running"
    disk.free()
    s.passes(job, 6)
    assert w.text().count("cannot be written") < 10, "once is enough"
    s.over()


@scenario(40)
def full_disk_as_the_result_is_delivered(s):
    """GitLab has the result, but that cannot be noted: it is told again, and takes it for what it is."""
    disk = SmallDisk(s)
    s.w.start()
    s.gitlab.fault(path=PUT, what="stall", delay=4, skip=1)
    job = s.lines(2)
    wait_until(lambda: os.path.exists(os.path.join(s.w.state, "jobs", str(job), "result.json")), 90, "the result")
    disk.keep_full(8)
    s.passes(job, 2)
    s.says("Delivery could not be noted")
    time.sleep(3)
    disk.free()
    s.over()


@scenario(40)
def cancel_on_a_full_disk(s):
    """An order cannot be written while the disk is full: it is given when it can."""
    disk = SmallDisk(s)
    s.w.start()
    job = s.lines(400)
    s.until_line(job, 3)
    disk.fill()
    s.gitlab.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
    s.says("Order could not be written", 60)
    disk.free()
    assert s.gitlab.ended(job, 60)["state"] == "canceled"
    s.over()


# ---- the job ----

class Memory:
    """Watches the peak of executor and reporter while a job runs."""

    def __init__(self, s, limit=MEMORY_MAX):
        self.s, self.w, self.limit, self.peak, self.stopped = s, s.w, limit, {}, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.stopped.wait(0.1):
            for role, pid in self.w.roles():
                with contextlib.suppress(OSError, ValueError):
                    with open(f"/proc/{pid}/status") as f:
                        found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
                    if found:
                        self.peak[role] = max(self.peak.get(role, 0), int(found.group(1)) << 10)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopped.set()
        self.thread.join()
        if kind is None:
            self.s.notes.append(", ".join(f"{r} {n >> 10} KiB" for r, n in sorted(self.peak.items())))
            for role in ("executor", "reporter"):
                assert 0 < self.peak[role] < self.limit, self.peak


def raw_lines(s, job):
    """The trace as GitLab holds it, as bytes, line by line: (header, text)."""
    path = os.path.join(s.gitlab.run, "gitlab", "jobs", str(job), "trace")
    with open(path, "rb") as f:
        for line in f:
            line = line.rstrip(b"\n")
            yield line[:32], line[32:]


def job_output(s, job):
    """What the job's script wrote, joined again."""
    parts = []
    for header, text in raw_lines(s, job):
        if header[28:30] != b"01":
            continue
        if header[31:32] != b"+" and parts:
            parts.append(b"\n")
        parts.append(text)
    return b"".join(parts) + b"\n"


@scenario(150, broken_peer=False)
def trace_of_200_megabytes(s):
    s.gitlab.set(trace_size_limit=400 << 20, rate_patch=0)
    w = s.start(output_limit=400 << 10)
    n = 2_000_000
    with Memory(s):
        job = s.job([f"seq -f %099.0f 1 {n} 2>/dev/null || awk 'BEGIN {{ for (i = 1; i <= {n}; i++) printf \"%099d\\n\", i }}'"],
                    image=s.gitlab.env["RIG_DEBIAN_IMAGE"])
        end = s.gitlab.ended(job, 300)
    assert end["state"] == "success", end
    want = 1
    for header, text in raw_lines(s, job):
        if header[28:30] == b"01" and text[:1] == b"0":
            assert text == b"%099d" % want, (want, header, text)
            want += 1
    assert want == n + 1
    s.over()


@scenario(30, broken_peer=False)
def trace_above_the_limit(s):
    """The log is cut, the notice and the last line get through, the job's result is its own."""
    w = s.start(IdleTime=60)
    for script, state in ((["awk 'BEGIN { for (i = 0; i < 120000; i++) printf \"%099d\\n\", i }'", "echo line 1 of the job"], "success"),
                          (["awk 'BEGIN { for (i = 0; i < 120000; i++) printf \"%099d\\n\", i }'", "exit 7"], "failed")):
        with Memory(s):
            job = s.job(script)
            end = s.gitlab.ended(job, 120)
        assert end["state"] == state and end["exit_code"] == (7 if state == "failed" else None)
        size = sum(len(h) + len(t) + 1 for h, t in raw_lines(s, job))
        assert 4 << 20 <= size < (4 << 20) + 16384, size
        tail = s.gitlab.trace(job)[-3000:]
        assert f"Job's log exceeded limit of {4 << 20} bytes." in tail
        assert plain(tail).rstrip().endswith("Job succeeded" if state == "success" else "ERROR: Job failed: exit code 7"), tail
        assert "line 1 of the job" not in plain(tail)
    w.write_config(IdleTime=2)
    s.over()


@scenario(60, broken_peer=False)
def ten_thousand_variables(s):
    w = s.start()
    n = 10_000
    variables = [{"key": f"V_{i}", "value": f"value {i} of ${{V_{i - 1}}}" if i % 100 else f"first {i}", "masked": i % 50 == 7,
                  "file": i % 1000 == 3} for i in range(n)]
    # Two megabytes of payload, read and worked out.
    with Memory(s, 12 << 20):
        job = s.job(["env | grep -c '^V_'", "echo \"1:$V_1\"", "echo \"9999:$V_9999\"", "cat $V_3003; echo", "echo \"masked:$V_7\""],
                    variables=variables)
        end = s.gitlab.ended(job, 120)
    text = s.trace(job)
    assert end["state"] == "success", text[-3000:]
    assert re.search(rf"^{n}$", text, re.M), text[-3000:]
    assert re.search(r"^1:value 1 of first 0$", text, re.M)
    assert re.search(r"^masked:\[MASKED\]$", text, re.M), text[-1500:]
    assert re.search(r"^9999:value 9999 of value 9998 of", text, re.M)
    s.over()


@scenario(60, broken_peer=False)
def line_of_50_megabytes(s):
    s.gitlab.set(trace_size_limit=100 << 20, rate_patch=0)
    w = s.start(output_limit=100 << 10)
    n = 50_000_000
    with Memory(s):
        job = s.job([f"head -c {n} /dev/zero | tr '\\0' a; echo; echo line 1 of the job"])
        end = s.gitlab.ended(job, 200)
    assert end["state"] == "success", s.gitlab.state(job)
    longest, run, found = 0, 0, False
    for header, text in raw_lines(s, job):
        assert len(header) + len(text) <= 8192
        if header[28:30] == b"01" and text and text.strip(b"a") == b"":
            run = run + len(text) if header[31:32] == b"+" else len(text)
            longest = max(longest, run)
        found |= text == b"line 1 of the job"
    assert (longest, found) == (n, True)
    s.over()


def replaced(data):
    """What the trace makes of bytes: U+FFFD for each byte that is part of no character."""
    out, i = [], 0
    while i < len(data):
        for n in (1, 2, 3, 4):
            try:
                out.append(data[i:i + n].decode("utf-8"))
                i += n
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append("\ufffd")
            i += 1
    return "".join(out).encode()


@scenario(30, broken_peer=False)
def binary_output(s):
    """Every byte there is, broken characters, characters at the border of two writes: exactly as the specification says."""
    w = s.start()
    data = (bytes(range(256)) + bytes(range(255, -1, -1)) + "größer € 𝄞\n".encode() + b"\xe2\x82\n\xf0\x9d\x84\n\xc0\xaf\n"
            b"\xed\xa0\x80\n\xf4\x90\x80\x80\n\xff\xfe\n" + b"\x80" * 70 + b"\n" + ("€" * 20000).encode() + b"\n" + bytes(20000) + b"\n"
            + os.urandom(60000) + b"\nend of it\n")
    # A whole character from every start of one: no way for two writes to make another of it.
    files = [{"key": "DATA", "value": base64.encodebytes(data).decode(), "file": True},
             {"key": "CUT", "value": "€", "public": True}]
    with Memory(s):
        job = s.job(["base64 -d \"$DATA\"", "printf '\\342'; sleep 1; printf '\\202\\254 cut in two\\n'"], variables=files,
                    image=s.gitlab.env["RIG_DEBIAN_IMAGE"])
        end = s.gitlab.ended(job, 90)
    assert end["state"] == "success", s.gitlab.trace(job)[-2000:]
    got = job_output(s, job)
    want = replaced(data)
    at = got.find(replaced(bytes(range(128)))[:100])
    assert at >= 0
    piece = got[at:at + len(want)]
    if piece != want:
        i = next((i for i, (a, b) in enumerate(zip(piece, want)) if a != b), min(len(piece), len(want)))
        raise AssertionError(f"byte {i}: {piece[i - 40:i + 40]!r} is not {want[i - 40:i + 40]!r}")
    assert "€ cut in two\n".encode() in got
    s.over()


# ---- one test each ----

def parameters():
    return [pytest.param(name, marks=[pytest.mark.broken_peer] if broken_peer else [])
            for name, (_, broken_peer, _) in SCENARIOS.items()]


@pytest.mark.parametrize("name", parameters())
def test_bad_input(playing, name):
    print(playing[name].result())


def test_the_world_has_no_complaint(playing, rig):
    """What the cloud, the registry and the git server think of all this; their answers were never spoilt."""
    for future in playing.values():
        future.exception()
    assert rig.violations() == ""
