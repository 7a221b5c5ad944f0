"""Looking at windlass: ls, top, why and /metrics, while things happen, afterwards, and when the manager is dead."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
import fcntl
import termios

from world import WINDLASS, wait_until

# Upstream's families (spec gitlab-runner 5) that must be there in a manager that has run a job, with their labels.
RUNNER = "runner runner_name system_id"
TARGET = "target_zone target_region target_project target_machine_type"
UPSTREAM = {
    "gitlab_runner_version_info": ("gauge", "architecture branch built_at go_version name os revision version"),
    "gitlab_runner_process_state_info": ("gauge", "state"),
    "gitlab_runner_concurrent": ("gauge", ""),
    "gitlab_runner_limit": ("gauge", RUNNER),
    "gitlab_runner_jobs": ("gauge", RUNNER + " state stage executor_stage"),
    "gitlab_runner_jobs_total": ("counter", RUNNER),
    "gitlab_runner_job_execution_mode_total": ("counter", "mode executor"),
    "gitlab_runner_job_duration_seconds": ("histogram", RUNNER + " mode"),
    "gitlab_runner_job_queue_duration_seconds": ("histogram", RUNNER + " project_jobs_running"),
    "gitlab_runner_acceptable_job_queuing_duration_exceeded_total": ("counter", RUNNER),
    "gitlab_runner_failed_jobs_total": ("counter", "runner runner_name failure_reason mode"),
    "gitlab_runner_request_concurrency": ("gauge", "runner system_id"),
    "gitlab_runner_request_concurrency_exceeded_total": ("counter", "runner system_id"),
    "gitlab_runner_request_concurrency_hard_limit": ("gauge", "runner system_id"),
    "gitlab_runner_request_concurrency_adaptive_limit": ("gauge", "runner system_id"),
    "gitlab_runner_request_concurrency_used_limit": ("gauge", "runner system_id"),
    "gitlab_runner_worker_feeds_total": ("counter", RUNNER),
    "gitlab_runner_worker_feed_failures_total": ("counter", RUNNER),
    "gitlab_runner_worker_slots_number": ("gauge", ""),
    "gitlab_runner_worker_slot_operations_total": ("counter", "operation"),
    "gitlab_runner_worker_processing_failures_total": ("counter", "failure_type " + RUNNER),
    "gitlab_runner_worker_health_check_failures_total": ("counter", RUNNER),
    "gitlab_runner_errors_total": ("counter", "level"),
    "gitlab_runner_configuration_loaded_total": ("counter", ""),
    "gitlab_runner_configuration_loading_error_total": ("counter", ""),
    "gitlab_runner_configuration_saved_total": ("counter", ""),
    "gitlab_runner_configuration_saving_error_total": ("counter", ""),
    "gitlab_runner_api_request_statuses_total": ("counter", "runner system_id endpoint status method"),
    "gitlab_runner_api_request_duration_seconds": ("histogram", "runner system_id endpoint status_class method"),
    "gitlab_runner_api_request_retries_total": ("counter", "path method"),
    "gitlab_runner_job_inputs_interpolations_total": ("counter", ""),
    "gitlab_runner_autoscaling_actions_total": ("counter", "executor action " + TARGET),
    "gitlab_runner_autoscaling_machine_states": ("gauge", "executor state " + TARGET),
    "gitlab_runner_autoscaling_machine_creation_duration_seconds": ("histogram", "executor"),
    "gitlab_runner_autoscaling_machine_failed_creation_duration_seconds": ("histogram", "executor"),
    "gitlab_runner_autoscaling_machine_stopping_duration_seconds": ("histogram", "executor"),
    "gitlab_runner_autoscaling_machine_removal_duration_seconds": ("histogram", "executor"),
    "process_cpu_seconds_total": ("counter", ""), "process_resident_memory_bytes": ("gauge", ""),
    "process_virtual_memory_bytes": ("gauge", ""), "process_open_fds": ("gauge", ""), "process_max_fds": ("gauge", ""),
    "process_start_time_seconds": ("gauge", ""),
}
BUCKETS = {
    "gitlab_runner_job_duration_seconds": "30 60 300 600 1800 3600 7200 10800 18000 36000",
    "gitlab_runner_job_queue_duration_seconds": "1 3 10 30 60 120 300 900 1800 3600",
    "gitlab_runner_api_request_duration_seconds": "0.1 0.25 0.5 1 2.5 5 10 30 60",
    "gitlab_runner_autoscaling_machine_creation_duration_seconds": " ".join(repr(30 * 1.25 ** n) for n in range(10)),
    "gitlab_runner_autoscaling_machine_removal_duration_seconds": "1 3 5 10 30 50 60 80 90 120",
}
OURS = ("windlass_up windlass_job_wait_seconds windlass_jobs_waiting windlass_orphans_suspected windlass_strays_total windlass_machine_oldest_age_seconds "
        "windlass_machine_life_seconds windlass_decisions_total windlass_cloud_budget windlass_events_lost_total windlass_certificate_authority_end_timestamp_seconds").split()

# Of the job names in this file: it runs until it is told to end, so that no test depends on how fast anything is.
HOLD = "until [ -e /tmp/windlass-go ]; do sleep 1; done"


# ---- the text format, strictly (Prometheus, exposition format 0.0.4) ----

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$", re.S)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
NUMBER = re.compile(r"(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|[+-]Inf|NaN)$")


def parse(text):
    """{family: (type, {(sample, ((label, value), ...)): number})}; an assertion on anything a strict reader would refuse."""
    assert text.endswith("\n"), "the last line must end"
    families, helped, current, seen = {}, set(), None, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, help_text = line[7:].partition(" ")
            assert NAME.fullmatch(name) and name not in helped and help_text, line
            assert not re.search(r"\\(?![\\n])", help_text), line
            helped.add(name)
            current = name
            continue
        if line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current and name not in families and kind in ("counter", "gauge", "histogram"), line
            families[name] = (kind, {})
            continue
        m = SAMPLE.match(line)
        assert m, f"no sample: {line!r}"
        name, labels, number = m.groups()
        assert current in families and name.startswith(current), f"outside of its family: {line}"
        kind, samples = families[current]
        suffix = name[len(current):]
        assert suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)), line
        pairs, rest = [], labels or ""
        while rest:
            lm = LABEL.match(rest)
            assert lm, f"bad labels: {line}"
            value = re.sub(r"\\(.)", lambda e: "\n" if e[1] == "n" else e[1], lm[2])
            pairs.append((lm[1], value))
            rest = rest[lm.end():]
            assert rest or lm[3] == "", line
        assert len({p[0] for p in pairs}) == len(pairs), f"a label twice: {line}"
        assert NUMBER.match(number), f"no number: {line}"
        key = (name, tuple(pairs))
        assert key not in seen, f"a series twice: {line}"
        seen.add(key)
        samples[key] = float(number)
        if kind == "counter":
            assert samples[key] >= 0, line
    for name, (kind, samples) in families.items():
        assert samples, f"{name} has no sample"
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    groups = {}
    for (sample, labels), value in samples.items():
        rest = tuple(p for p in labels if p[0] != "le")
        g = groups.setdefault(rest, {"buckets": []})
        if sample.endswith("_bucket"):
            g["buckets"].append((dict(labels)["le"], value))
        else:
            g[sample[len(name):]] = value
    for labels, g in groups.items():
        bounds = [float(b) for b, _ in g["buckets"]]
        counts = [n for _, n in g["buckets"]]
        assert bounds == sorted(bounds) and g["buckets"][-1][0] == "+Inf", (name, labels)
        assert counts == sorted(counts) and counts[-1] == g["_count"], (name, labels, counts)
        if name in BUCKETS:
            assert bounds[:-1] == [float(b) for b in BUCKETS[name].split()], name


def value(families, name, **labels):
    """The sum of the samples that have these labels."""
    return sum(v for (sample, have), v in families[name][1].items()
               if sample == name and labels.items() <= dict(have).items())


# ---- helpers ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path, method="GET", timeout=10):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read().decode()


def metrics(port):
    status, headers, text = get(port, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), (status, headers)
    return parse(text)


def answers(port):
    try:
        return get(port, "/metrics")[0] == 200
    except OSError:
        return False


def ls(w):
    return json.loads(w.run("ls", "--state-dir", w.state, "--json"))


def jobs(w, state):
    return {j["id"]: j for j in ls(w)["jobs"] if j["state"] == state}


def finish(w):
    """Ends the jobs that run HOLD: all containers of a machine share no /tmp, so each is told by itself."""
    for machine in w.machines():
        environ = {**w.environ}
        listed = subprocess.run([WINDLASS, "machine", "ssh", machine, "docker ps -q"], env=environ, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        for container in listed.stdout.split():
            subprocess.run([WINDLASS, "machine", "ssh", machine, f"docker exec {container} touch /tmp/windlass-go"], env=environ,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


class Terminal:
    """`top` in a pseudo terminal of a given size."""

    def __init__(self, w, rows=24, columns=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(w.environ)
            os.execv(WINDLASS, [WINDLASS, "top", "--state-dir", w.state, "--interval", "200ms"])
        self.resize(rows, columns)
        self.bytes = b""

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.bytes += piece
        return self.bytes.decode("utf-8", "replace")

    def frames(self):
        """Whole ones, as lines without the terminal's orders."""
        frames = self.read().split("\x1b[H")[1:-1]
        return [re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", f).replace("\r", "").split("\n") for f in frames]

    def ended(self):
        self.read()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else (os.waitstatus_to_exitcode(status),)


# ---- tests ----

def test_burst_in_sight(rig, windlass):
    """A job runs, another waits for a machine that does not come: ls, why, top and /metrics say so; then all of it is history."""
    port = free_port()
    rig("fault", "cloud", "500", "on=create", "for=600")
    w = windlass(concurrent=3, limit=2, IdleTime=3, listen_address=f"127.0.0.1:{port}").start()
    first = str(w.job([HOLD], image=rig.env["RIG_BUSYBOX_IMAGE"], name="first-of-all"))
    # The cloud does not create: the job waits, and everybody who asks hears for what.
    wait_until(lambda: answers(port), 30, "/metrics")
    wait_until(lambda: "one is being created" in w.run("why", "--state-dir", w.state), 60, "what the job waits for, in `why`")
    wait_until(lambda: "has come to: requested." in w.run("why", "--state-dir", w.state), 60, "and how far that machine is")
    said = w.run("why", first, "--state-dir", w.state)
    assert re.search(rf"^Job {first} \(.*first-of-all\) has waited for \S+\. Waiting for a machine: one is being created\.", said), said
    assert "came from GitLab" in said
    assert jobs(w, "waiting")[first]["waiting_why"] == "creating"
    m = wait_until(lambda: (m := metrics(port)) and value(m, "windlass_jobs_waiting", reason="creating") == 1 and m, 20, "the waiting job in /metrics")
    assert value(m, "gitlab_runner_jobs", state="pending", stage="prepare_executor", executor_stage="docker_machine_use_machine") == 1
    assert value(m, "gitlab_runner_autoscaling_machine_states", state="creating") == 1
    rig("fault", "cloud", "clear")
    running = wait_until(lambda: jobs(w, "running"), 180, "the job to get a machine once the cloud creates again")
    machine = running[first]["machine"]
    wait_until(lambda: jobs(w, "running")[first].get("stage") == "step_script", 60, "the stage of the job in `ls --json`")
    second = str(w.job(["exit 3"], image=rig.env["RIG_BUSYBOX_IMAGE"]))
    rig.ended(int(second), 120)
    # The table, as a person reads it.
    table = w.run("ls", "--state-dir", w.state)
    assert re.search(rf"^{machine} +\S+ +used +\S+ +\S+ +1 +{first}\b", table, re.M), table
    assert re.search(rf"^{first} .* first-of-all .* running .* {machine} +step_script$", table, re.M), table
    assert w.run("ls", "jobs", "--state-dir", w.state).startswith("JOB ")
    # What is seen is a second or two old.
    wait_until(lambda: value(metrics(port), "gitlab_runner_jobs", state="running", stage="step_script", executor_stage="docker_run") == 1,
               20, "the one running job in /metrics")
    _, headers, text = get(port, "/debug/jobs/list")
    assert headers["X-List-Version"] == "2" and re.search(
        rf"^url=https?://\S+/-/jobs/{first} state=running stage=step_script executor_stage=docker_run duration=[0-9hms.]+s$", text, re.M), text
    top_live(w, machine, first)
    finish(w)
    assert rig.ended(int(first), 60)["state"] == "success"
    w.until_empty()
    wait_until(lambda: (said := w.run("why", machine, "--state-dir", w.state)) and "is removed" in said and "is gone" in said, 20, "the end of the machine's story")
    said = w.run("why", machine, "--state-dir", w.state)
    for line in ("is gone", "is to be made: ", "is ready: after ", f"gets job {first}", f"has run job {first}: success", "is to be removed: idle for "):
        assert line in said, (line, said)
    said = w.run("why", second, "--state-dir", w.state)
    assert "not here any more" in said and "ended on " in said and "script_failure: exit code 3" in said, said
    # A unique part of the name is enough; none is an error that says how far back it goes.
    assert w.run("why", machine[-8:], "--state-dir", w.state).startswith(f"Machine {machine} is gone.")
    p = w.run("why", "no-such-thing", "--state-dir", w.state, check=False)
    assert p.returncode == 1 and "what is remembered begins at 20" in p.stderr
    events = json.loads(w.run("why", machine, "--state-dir", w.state, "--json"))
    assert events["subject"] == "machine" and [e["kind"] for e in events["events"] if e["kind"] in ("create", "removed")] == ["create", "removed"]
    wait_until(lambda: value(metrics(port), "gitlab_runner_api_request_statuses_total", endpoint="update_job") >= 4, 20, "both jobs' calls, in /metrics")
    check_families(metrics(port), w)
    dead(w, machine)


def check_families(m, w):
    for name, (kind, labels) in UPSTREAM.items():
        assert name in m, f"{name} is missing"
        assert m[name][0] == kind, name
        for (sample, have), _ in m[name][1].items():
            assert [k for k, _ in have if k != "le"] == labels.split(), (sample, have)
    for name in OURS:
        assert name in m, f"{name} is missing"
    short = {dict(have)["runner"] for (_, have) in m["gitlab_runner_jobs_total"][1]}
    assert len(short) == 1 and len(short.pop()) <= 9, "tokens are shown short"
    assert value(m, "gitlab_runner_jobs_total") == 2
    assert value(m, "gitlab_runner_failed_jobs_total", failure_reason="script_failure", mode="traditional") == 1
    assert value(m, "gitlab_runner_autoscaling_actions_total", action="used") == 2
    assert value(m, "gitlab_runner_autoscaling_actions_total", action="removed") >= 1
    assert value(m, "gitlab_runner_autoscaling_actions_total", action="created", target_region="") == 0, "the region is known"
    assert value(m, "gitlab_runner_jobs", state="idle", stage="idle", executor_stage="idle") == 0
    for endpoint, method in (("request_job", "post"), ("update_job", "put"), ("patch_trace", "patch")):
        assert value(m, "gitlab_runner_api_request_statuses_total", endpoint=endpoint, method=method) > 0, endpoint
    assert value(m, "windlass_decisions_total", decision="remove", reason="idle") >= 1
    assert value(m, "windlass_up") == 1
    with open(os.path.join(w.state, "view", "snapshot.json")) as f:
        text = f.read()
    assert w.settings["token"] not in text and "glrt-" not in text, "no token in the snapshot"


def top_live(w, machine, job):
    t = Terminal(w)
    try:
        frame = wait_until(lambda: next((f for f in t.frames() if any("…" + machine[-8:] in line for line in f)), None), 20, "the machine in top, by the end of its name")
        assert len(frame) <= 24 and all(len(line) <= 100 for line in frame), frame
        assert frame[0].startswith("windlass ") and "RUNNER" in "\n".join(frame)
        assert any(line.startswith(job + " ") for line in frame), frame
        assert any(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in frame), "the latest decisions"
        t.resize(12, 60)
        wait_until(lambda: any(len(f) <= 12 and all(len(line) <= 60 for line in f) for f in t.frames()[-2:]), 20, "a smaller frame")
        os.write(t.fd, b"\x1b[A")
        os.write(t.fd, b"q")
        status = wait_until(t.ended, 20, "top to end at q")
        assert status == (0,)
        text = t.read()
        assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1 and text.rstrip().endswith("\x1b[?1049l"), "the screen is given back"
        t = None
    finally:
        if t is not None:
            os.kill(t.pid, signal.SIGKILL)
            os.waitpid(t.pid, 0)
    # Without a terminal: one frame, no orders to a screen.
    out = w.run("top", "--state-dir", w.state)
    assert machine in out and "\x1b" not in out
    assert {"manager", "pools", "machines", "jobs", "events"} <= json.loads(w.run("top", "--state-dir", w.state, "--json")).keys()


def dead(w, machine):
    """The manager is gone: the commands still know, and say that they ask nobody."""
    w.kill()
    w.wait()
    p = w.run("ls", "--state-dir", w.state, check=False)
    assert p.returncode == 0 and "No windlass runs on " in p.stderr and "its last word is " in p.stderr
    assert ls(w)["manager"]["alive"] is False
    assert f"Machine {machine} is gone." in w.run("why", machine, "--state-dir", w.state)
    assert w.run("top", "--state-dir", w.state).startswith("No windlass runs on ")
    for command in ("ls", "top", "why"):
        p = w.run(command, "--state-dir", w.folder + "/nowhere", check=False)
        assert p.returncode == 1 and "nowhere" in p.stderr and p.stdout == "", (command, p)


def test_refusing_cloud(rig, windlass):
    """Nothing is created, since the account is full: why says so of the runner, and the numbers do."""
    port = free_port()
    rig("fault", "cloud", "quota", "for=600")
    w = windlass(listen_address=f"127.0.0.1:{port}").start()
    job = str(w.job(["true"], image=rig.env["RIG_BUSYBOX_IMAGE"]))
    wait_until(lambda: answers(port), 30, "/metrics")
    wait_until(lambda: "the cloud account may have no more machines (" in w.run("why", "--state-dir", w.state), 60, "the failure in `why`")
    short = ls(w)["pools"][0]["runner"]
    said = w.run("why", short, "--state-dir", w.state)
    assert re.search("no more machines .*limit", said) and re.search(r"next try in \d+", said), said
    m = wait_until(lambda: (m := metrics(port)) and value(m, "windlass_create_failures_in_a_row") == 1 and m, 20, "the failure in /metrics")
    assert value(m, "windlass_create_pause_seconds") > 0
    assert value(m, "gitlab_runner_autoscaling_actions_total", action="creation-failed") == 1
    assert value(m, "windlass_decisions_total", decision="create-failed", reason="quota") == 1
    wait_until(lambda: jobs(w, "waiting").get(job, {}).get("waiting_why") == "quota", 20, "the job's own reason")
    rig("fault", "cloud", "clear")
    rig.gitlab("POST", f"/jobs/{job}/cancel")


def test_metrics_server(rig, windlass):
    """A process of its own: restarted, moved by a reload, gone with its manager; hostile clients do not hurt it."""
    port, other = free_port(), free_port()
    w = windlass(listen_address=f"127.0.0.1:{port}").start()
    wait_until(lambda: answers(port), 30, "/metrics")
    assert get(port, "/metrics", "POST")[0] == 405 and get(port, "/metrics", "HEAD")[2] == ""
    assert get(port, "/debug/process/state")[2] == "running\n" and get(port, "/health/ready")[2] == "ready"
    for path in ("/debug/pprof/heap", "/", "/metrics/", "/etc/passwd", "/../view/snapshot.json"):
        status, _, text = get(port, path)
        assert status == 404 and text.count("\n") == 1, path
    # The manager itself has no network socket.
    pid = w.roles("manager")[0][1]
    sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    inet = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{pid}/net/{table}") as f:
            inet |= {"socket:[" + line.split()[9] + "]" for line in f.read().splitlines()[1:]}
    assert not sockets & inet, "the manager holds a network socket"
    hostile(port)
    # It dies: another one.
    before = w.roles("metrics")
    assert len(before) == 1
    os.kill(before[0][1], signal.SIGKILL)
    wait_until(lambda: w.roles("metrics") not in ([], before) and answers(port), 30, "a new metrics server")
    # Another address by a reload; none at all; an impossible one.
    w.write_config(listen_address=f"127.0.0.1:{other}")
    w.kill(signal.SIGHUP)
    wait_until(lambda: answers(other) and not answers(port), 30, "the new address, and the old one closed")
    w.write_config(listen_address="")
    w.kill(signal.SIGHUP)
    wait_until(lambda: not w.roles("metrics"), 30, "no server without an address")
    w.write_config(listen_address="127.0.0.1:port")
    w.kill(signal.SIGHUP)
    wait_until(lambda: "Metrics are not served" in w.text(), 30, "a bad address is said")
    assert w.run("status", "--state-dir", w.state, check=False).returncode == 0, "and ends nothing"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        busy = taken.getsockname()[1]
        w.write_config(listen_address=f"127.0.0.1:{busy}")
        w.kill(signal.SIGHUP)
        wait_until(lambda: "the address is in use by another process" in w.text(), 30, "an address in use is said")
    wait_until(lambda: answers(busy), 60, "and tried again")
    w.kill()
    w.wait()
    wait_until(lambda: not w.roles("metrics"), 20, "it ends with its manager")


def hostile(port):
    idle = []
    try:
        for i in range(1000):
            s = socket.socket()
            s.settimeout(5)
            s.connect(("127.0.0.1", port))
            if i % 2:
                s.sendall(b"GET /metr")
            idle.append(s)
        began = time.monotonic()
        assert metrics(port), "an honest client beside a thousand slow ones"
        assert time.monotonic() - began < 10
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            try:
                s.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * (1 << 20))
                assert s.recv(4096).startswith(b"HTTP/1.1 431 ")
            except ConnectionError:
                # The refusal was faster than our megabyte.
                pass
        assert metrics(port), "and after a head of a megabyte"
    finally:
        for s in idle:
            s.close()
