"""`windlass simulate`, and the record that the manager keeps for it. No machine is needed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree

import pytest

import world

# Three jobs at once, one that finds an idle machine, one that comes when all are gone.
TABLE = """arrival_seconds,duration_seconds
0,100
0,100
0,300
500,60
86400,60
"""

CONFIG = """concurrent = 7
max_machines = 9
check_interval = 4
[[runners]]
name = "bastion"
url = "http://127.0.0.1:1"
token = "glrt-t1_abcdefghijkl"
executor = "docker+machine"
limit = 5
[runners.docker]
image = "alpine"
[runners.machine]
IdleCount = 1
IdleTime = 1200
MaxBuilds = 3
MachineDriver = "digitalocean"
MachineName = "ci-%s"
MachineOptions = ["digitalocean-access-token=x", "digitalocean-size=s-2vcpu-4gb"]
"""
PERIODS = """[[runners.machine.autoscaling]]
Periods = ["* * 8-17 * * mon-fri *"]
Timezone = "UTC"
IdleCount = 4
IdleTime = 600
"""


class Place:
    def __init__(self, folder):
        self.folder = str(folder)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("WINDLASS_", "CONFIG_", "LOG_"))}
        self.environ["HOME"] = self.folder
        self.environ["TZ"] = "UTC"
        self.state = os.path.join(self.folder, "state")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def run(self, *options, status=0, text=""):
        p = subprocess.run([world.WINDLASS, "simulate", *options], env=self.environ, input=text, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60)
        assert p.returncode == status, p.stdout + p.stderr
        assert status == 0 or (p.stdout == "" and p.stderr.startswith("FATAL: simulate: ")), p.stdout + p.stderr
        return p.stdout if status == 0 else p.stderr.removeprefix("FATAL: simulate: ").strip()

    def json(self, *options, **more):
        return json.loads(self.run("--json", *options, **more))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_table_without_a_configuration(place):
    table = place.write("jobs.csv", TABLE)
    all_of_it = place.json("--history", table)
    assert all_of_it["jobs"] == {"count": 5, "span_seconds": 86460, "at_once_mean": pytest.approx(620 / 86460),
                                 "at_once_most": 3, "left_out": 0, "unreadable_lines": 0}
    assert all_of_it["machine"]["price_per_hour"] is None
    [run] = all_of_it["runs"]
    # Four machines: three for the first jobs, one a day later; all but the fourth job waited for a boot of 90 s.
    assert (run["machines_made"], run["machines_at_once"], run["never_ran"]) == (4, 3, 0)
    assert run["wait_seconds"] == {"mean": 72, "p50": 90, "p95": 90, "p99": 90, "max": 90}
    assert run["busy_hours"] == pytest.approx(620 / 3600)
    text = place.run("--history", table)
    assert "jobs      5 in 1.0 days; 0.0 at once on average, 3 at most" in text
    assert "no config.toml: IdleCount 0, IdleTime 10m0s\n" in text
    assert "price not known: use --price" in text
    assert re.search(r"^ +machines +at once +hours paid +in use +wait mean +p50 +p95 +p99 +max$|^machines +at once", text, re.M), text
    assert "# busy  . idle  + coming machines" in text
    # The same from standard input, with a boot of a minute.
    assert place.json("--history", "-", "--boot", "60", text=TABLE)["runs"][0]["wait_seconds"]["max"] == 60


def test_sweeps_money_and_the_original_rules(place):
    table = place.write("jobs.csv", TABLE)
    everything = place.json("--history", table, "--set", "IdleCount=0,3", "--set", "IdleTime=300,600,10h", "--compat",
                            "--billing", "1h", "--price", "0.5")
    runs = everything["runs"]
    assert [(r["set"]["IdleCount"], r["set"]["IdleTime"], r["set"]["ScalingRules"]) for r in runs] == [
        (i, t, m) for i in "03" for t in ("300", "600", "10h") for m in ("better", "compat")]
    assert [r["rules"] for r in runs[:2]] == ["better", "compat"]
    for r in runs:
        assert r["paid_hours"] == pytest.approx(round(r["paid_hours"]))     # started hours
        assert r["money"] == pytest.approx(r["paid_hours"] / 2)
        assert r["paid_hours"] >= r["machine_hours"] >= r["busy_hours"]
    # Three idle machines are there for each but the first three jobs, which come at the very beginning.
    assert runs[6]["wait_seconds"]["p50"] == 90 and runs[0]["machines_made"] == 4
    text = place.run("--history", table, "--set", "IdleCount=0,3", "--set", "IdleTime=300,600,10h", "--compat", "--price", "0.5")
    rows = text[text.index("IdleCount  IdleTime"):].splitlines()
    assert len(rows) == 13 and rows[1].split()[:3] == ["0", "300", "better"], text
    assert len({len(r) for r in rows}) == 1, text
    text = place.run("--history", table, "--compat", "--set", "IdleCount=2")
    assert "Beside gitlab-runner's rules: " in text and text.count("# busy") == 2
    # A list price is found by the size, and goes by its date.
    m = place.json("--history", table, "--billing", "digitalocean", "--size", "s-4vcpu-8gb")["machine"]
    assert m["price_per_hour"] == 0.07143 and re.search(r"list price of s-4vcpu-8gb, \d{4}-\d\d", m["price_from"]), m
    assert m["currency"] == "USD"


def test_a_picture(place):
    table = place.write("jobs.csv", TABLE)
    place.run("--history", table, "--svg", place.path("one.svg"))
    root = xml.etree.ElementTree.parse(place.path("one.svg")).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "4 machines made" in root.find("{http://www.w3.org/2000/svg}title").text
    place.run("--history", table, "--svg", place.path("many.svg"), "--set", "IdleCount=0,1,2")
    root = xml.etree.ElementTree.parse(place.path("many.svg")).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 3
    assert "--svg: " in place.run("--history", table, "--svg", place.path("no/such/folder.svg"), status=1)


def test_the_settings_of_a_configuration(place):
    table = place.write("jobs.csv", TABLE)
    config = place.write("config.toml", CONFIG)
    r = place.json("--config", config, "--history", table, "--state-dir", place.state)
    assert r["runs"][0]["settings"] == ("IdleCount 1, IdleTime 20m0s, limit 5, concurrent 7, max_machines 9, MaxBuilds 3, check_interval 4s")
    assert r["machine"]["driver"] == "digitalocean" and r["machine"]["size"] == "s-2vcpu-4gb"
    assert r["machine"]["price_per_hour"] == 0.03571
    # Periods: on a Monday night one machine is kept, at noon four; two days of one job each.
    place.write("config.toml", CONFIG + PERIODS)
    table = place.write("days.csv", "0,60\n172800,60\n")
    said = place.run("--config", config, "--history", table, status=1)
    assert "--start 2026-03-01T08:00:00Z" in said and "--no-periods" in said
    days = place.json("--config", config, "--history", table, "--start", "2026-03-02")["runs"][0]
    never = place.json("--config", config, "--history", table, "--no-periods")["runs"][0]
    weekend = place.json("--config", config, "--history", table, "--start", "2026-03-07 00:00")["runs"][0]
    assert days["machines_at_once"] >= 4 > never["machines_at_once"]
    # Two working days of ten hours with three machines more.
    assert days["machine_hours"] - never["machine_hours"] == pytest.approx(60, abs=2)
    assert weekend["machine_hours"] == pytest.approx(never["machine_hours"])
    assert "keep theirs (--no-periods" in place.run("--config", config, "--history", table, "--start", "2026-03-02", "--set", "IdleCount=0,2")
    # Several runners: one must be named.
    place.write("config.toml", CONFIG + CONFIG[CONFIG.index("[[runners]]"):].replace('"bastion"', '"other"').replace("abcd", "dcba"))
    said = place.run("--config", config, "--history", table, status=1)
    assert '2 runners with machines: name one with --runner ("bastion", "other")' in said
    assert "1 other runner of the file" in place.run("--config", config, "--history", table, "--runner", "other")


@pytest.mark.parametrize("options, says", [
    (("--set", "IdleCont=1"), "there is no such setting; there are IdleCount, "),
    (("--set", "IdleCount=1,x"), '"x" is not a whole number from 0 up'),
    (("--compat", "--set", "ScalingRules=better"), "one of the two"),
    (("--boot", "soon"), "--boot soon: write seconds, or a time such as 90s"),
    (("--price", "0,07"), "--price 0,07: write what an hour costs"),
    (("--billing", "daily"), "--billing daily: write second, minute, hour"),
    (("--start", "yesterday"), "--start yesterday: write a date such as 2026-03-01"),
    (("--since", "2026-03-01"), "--since is for records with dates"),
    (("--runner", "x"), "there is no "),
    (("--config", "/no/such.toml"), "/no/such.toml does not exist"),
    (("--history", "/no/such.csv"), "/no/such.csv"),
])
def test_what_is_refused(place, options, says):
    table = place.write("jobs.csv", TABLE)
    assert says in place.run(*(() if "--history" in options else ("--history", table)), *options, status=1)


def test_a_broken_table(place):
    table = place.write("jobs.csv", TABLE.replace("500,60", "500,6o"))
    assert place.run("--history", table, status=1) == (
        f'{table}: line 5, column 2: duration_seconds is "6o": write seconds from 0 to 2000000000, such as 300 or 12.5')


def job(place, number, received, machine, *, queued_s=0.0, given=None, finished=None, state="success", reason=""):
    """A job's directory as it stands when all is done and nobody has cleared it away yet."""
    d = os.path.join(place.state, "jobs", str(number))
    os.makedirs(d, mode=0o700)
    files = {"payload.json": {"id": number, "token": "x"},
             "runner.json": {"runner_key": "1f00ba47", "received": received, "queued_s": queued_s, "token": "x"},
             "result.json": {"state": state, "failure_reason": reason, "exit_code": 0, "text": "", "finished": finished},
             "reported": {"status": 200}}
    for name, value in files.items():
        with open(os.path.join(d, name), "w", encoding="utf-8") as f:
            json.dump(value, f)
    if machine is not None:
        with open(os.path.join(d, "machine"), "w", encoding="utf-8") as f:
            f.write(f"{machine}\n0\n")
        os.utime(os.path.join(d, "machine"), (given, given))


@contextlib.contextmanager
def manager(place):
    with open(place.path("log"), "ab") as log:
        p = subprocess.Popen([world.WINDLASS, "run", "--config", place.path("config.toml"), "--state-dir", place.state,
                              "--storage-path", place.path("store")], env=place.environ, stderr=log)
    try:
        yield p
    finally:
        p.send_signal(signal.SIGKILL)
        p.wait(10)


def gone(place):
    return not [j for j in os.listdir(os.path.join(place.state, "jobs")) if not j.startswith(".")]


def test_the_manager_keeps_a_record(place):
    place.write("config.toml", CONFIG)
    noon = 1772366400       # 2026-03-01T12:00:00Z
    job(place, 7, "2026-03-01T12:00:10Z", "ci-1", queued_s=10.0, given=noon + 70, finished="2026-03-01T12:05:00Z")
    job(place, 8, "2026-03-01T12:01:00Z", None, finished="2026-03-01T12:02:00Z", state="failed", reason="job_canceled")
    with manager(place):
        world.wait_until(lambda: gone(place), 20, "both jobs are buried")
    record = os.path.join(place.state, "history.jsonl")
    with open(record, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    lines.sort(key=lambda r: r["name"])
    assert lines == [
        {"what": "job", "name": "7", "runner": "1f00ba47", "queued": "2026-03-01T12:00:00.000Z", "arrived": "2026-03-01T12:00:10.000Z",
         "started": "2026-03-01T12:01:10.000Z", "at": "2026-03-01T12:05:00.000Z", "machine": "ci-1", "result": "success"},
        {"what": "job", "name": "8", "runner": "1f00ba47", "queued": "2026-03-01T12:01:00.000Z", "arrived": "2026-03-01T12:01:00.000Z",
         "at": "2026-03-01T12:02:00.000Z", "result": "failed", "reason": "job_canceled"}]
    assert os.stat(record).st_mode & 0o777 == 0o600

    # It was killed. The host lost power, too, in the middle of a line; and a job is found once more.
    with open(record, "a", encoding="utf-8") as f:
        f.write('{"what":"job","name":"9","run')
    job(place, 7, "2026-03-01T12:00:10Z", "ci-1", queued_s=10.0, given=noon + 70, finished="2026-03-01T12:05:00Z")
    job(place, 10, "2026-03-01T12:10:00Z", "ci-1", given=noon + 600, finished="2026-03-01T12:11:00Z")
    with manager(place):
        world.wait_until(lambda: gone(place), 20, "the others are buried")
    for name in ("ready", "gone"):
        with open(record, "a", encoding="utf-8") as f:
            f.write(json.dumps({"what": name, "name": "ci-1", "runner": "1f00ba47", "made": "2026-03-01T12:00:10Z",
                                "at": "2026-03-01T12:01:02Z" if name == "ready" else "2026-03-01T12:20:00Z"}) + "\n")
    os.remove(place.path("config.toml"))
    r = place.json("--state-dir", place.state)
    assert r["jobs"] == {"count": 2, "start": "2026-03-01T12:00:00.000Z", "span_seconds": 660, "at_once_mean": pytest.approx(290 / 660),
                         "at_once_most": 1, "left_out": 1, "unreadable_lines": 1}
    assert r["as_it_was"]["wait_seconds"] == {"mean": 35, "p50": 0, "p95": 70, "p99": 70, "max": 70}
    assert r["as_it_was"]["machines_made"] == 1
    # What the machine took to boot is measured, not assumed.
    assert r["machine"]["boot_seconds"] == 52 and r["runs"][0]["wait_seconds"]["max"] == 52
    text = place.run("--state-dir", place.state)
    assert "as it was" in text and "ready after 52s (median of the last 1 on record)" in text and "1 left out" in text
    assert place.json("--history", record)["jobs"]["count"] == 2
    assert place.json("--state-dir", place.state, "--since", "2026-03-01T12:05:00Z")["jobs"]["count"] == 1
    place.write("config.toml", CONFIG)
    # The one runner's token is another one since: its jobs are those of the key before.
    assert "jobs      2 in" in place.run("--config", place.path("config.toml"), "--state-dir", place.state)


def test_no_record_yet(place):
    assert "history.jsonl does not exist: windlass writes it while it runs jobs" in place.run("--state-dir", place.state, status=1)
