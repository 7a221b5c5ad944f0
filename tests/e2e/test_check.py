"""`windlass check` and `lint`: what is said of a file, line by line, and of what it names when everybody is asked."""

import json
import os
import subprocess
import sys
import time
import tomllib

import pytest

import world
from operator_host import double, free_port, host  # noqa: F401 (fixtures)

sys.path.insert(0, os.path.join(world.ROOT, "tests", "rig"))

import minihttp  # noqa: E402
import tls  # noqa: E402

# What nothing is said of. Line 13 is the last.
GOOD = """concurrent = 4
[[runners]]
name = "r"
url = "https://gitlab.example"
token = "glrt-t1_abcdefghijkl"
executor = "docker+machine"
[runners.docker]
image = "alpine"
[runners.machine]
MachineDriver = "none"
MachineName = "ci-%s"
MachineOptions = ["url=tcp://192.0.2.1:2376"]
IdleTime = 600
"""


def check(host, text, *options, status=None, **environ):
    host.write(text)
    p = host.run("check", *options, **environ)
    if status is not None:
        assert p.returncode == status, p.said
    # "PATH:LINE: level: text" without the path
    return [line.removeprefix(host.path).removeprefix(":") for line in p.stdout.splitlines()]


def put(section, line):
    """GOOD with a line more at the end of a section; its number and the text."""
    lines = GOOD.splitlines()
    at = len(lines) if section == "[runners.machine]" else lines.index(
        {"": "[[runners]]", "[[runners]]": "[runners.docker]", "[runners.docker]": "[runners.machine]"}[section])
    # A key that GOOD has already gives way.
    key = line.split("=")[0].strip()
    for i, old in enumerate(lines):
        if old.split("=")[0].strip() == key and (section != "" or i < lines.index("[[runners]]")):
            lines[i] = line
            return i + 1, "\n".join(lines) + "\n"
    lines.insert(at, line)
    return at + 1, "\n".join(lines) + "\n"


def test_directories_that_others_may_write_to(host, tmp_path):
    """The same words from `check` and from `run`, with what to type; a sticky directory above is fine."""
    host.write(GOOD)
    store, above = tmp_path / "above" / "store", tmp_path / "above"
    store.mkdir(parents=True)
    for folder, mode, words in [
            (store, 0o777, f"{store} has mode 0777, so everybody could put other files there: chmod go-w {store}"),
            (above, 0o775, f"{above} has mode 0775, so its group could put other files there: chmod go-w {above}")]:
        folder.chmod(mode)
        p = host.run("check", MACHINE_STORAGE_PATH=str(store))
        assert p.returncode == 1 and f"error: store {store} is refused: {words}" in p.said, p.said
        p = host.run("run", "--state-dir", str(tmp_path / "state"), MACHINE_STORAGE_PATH=str(store))
        assert p.returncode != 0 and f"store {store}: {words}" in p.said, p.said
        p = host.run("run", "--state-dir", str(store / "state"), MACHINE_STORAGE_PATH=str(tmp_path / "other"))
        assert p.returncode != 0 and f"state directory {store / 'state'}: {words}" in p.said, p.said
        folder.chmod(0o755)
    above.chmod(0o1777)
    assert host.run("check", MACHINE_STORAGE_PATH=str(store)).returncode == 0
    if os.geteuid() == 0:
        os.chown(above, 12345, 0)
        p = host.run("check", MACHINE_STORAGE_PATH=str(store))
        assert p.returncode == 1 and f"{above} belongs to user 12345, who could put other files there: chown 0 {above}" in p.said, p.said
        # the whole way another user's: a service may run as that user
        above.chmod(0o755)
        os.chown(store, 12345, 0)
        assert host.run("check", MACHINE_STORAGE_PATH=str(store)).returncode == 0
        p = host.run("run", "--state-dir", str(tmp_path / "state"), MACHINE_STORAGE_PATH=str(store))
        assert p.returncode != 0 and "belongs to user 12345" in p.said


def test_a_good_file(host):
    assert check(host, GOOD, status=0) == [" windlass would run 1 of 1 runner; 0 errors, 0 warnings"]
    everything = check(host, GOOD, "--all", status=0)
    assert "6: info: [[runners]] executor: honoured: docker+machine; other executors are skipped with an error" in everything
    assert "Configuration file is valid." in host.run("lint", check=0).stderr


CASES = [
    # section, line, what is said
    ("", "concurrent = 0", "error: concurrent: 0 is less than 1"),
    ("", "concurrent = \"4\"", "error: concurrent: needs a whole number, not a string; with this the whole file is refused"),
    ("", "log_level = \"loud\"", "warning: log_level: \"loud\" is none of: debug info"),
    ("", "listen_adress = \":9252\"", "warning: listen_adress: unknown here and ignored: did you mean listen_address?"),
    ("", "sentry_dsn = \"https://x\"", "info: sentry_dsn: no effect: windlass reports to nobody"),
    ("", "check_interval = 10", "info: check_interval: honoured differently: long polls pace themselves"),
    ("", "connection_max_age = \"often\"", "error: connection_max_age: \"often\" is no duration"),
    ("[[runners]]", "executor = \"shell\"", "error: [[runners]] executor: this entry would be skipped: executor \"shell\""),
    ("[[runners]]", "token = \"\"", "error: [[runners]] token: this entry would be skipped: it has no token"),
    ("[[runners]]", "token = \"$NOT_SET_ANYWHERE\"", "warning: [[runners]] token: the variable NOT_SET_ANYWHERE is not set in this shell"),
    ("[[runners]]", "token = \"GR1348941abcdef\"", "warning: [[runners]] token: this is a registration token"),
    ("[[runners]]", "url = \"http://gitlab.example\"", "warning: [[runners]] url: http: the token and everything"),
    ("[[runners]]", "url = \"gitlab.example\"", "error: [[runners]] url: this entry would be skipped: url \"gitlab.example\" is no URL: it does not begin"),
    ("[[runners]]", "pre_clone_script = \"x\"", "warning: [[runners]] pre_clone_script: no effect: removed from gitlab-runner: write pre_get_sources_script instead"),
    ("[[runners]]", "environment = [\"A=b\", \"nothing\"]", "warning: [[runners]] environment: entry 2 is not KEY=value and is left out"),
    ("[[runners]]", "builds_dir = \"builds\"", "error: [[runners]] builds_dir: \"builds\" is no absolute path"),
    ("[[runners]]", "shell = \"pwsh\"", "error: [[runners]] shell: \"pwsh\" is none of: bash sh"),
    # no limit in gitlab-runner, and often written for it
    ("[[runners]]", "limit = -1", "warning: [[runners]] limit: -1 is taken for 0: no limit"),
    ("[[runners]]", "output_limit = -1", "warning: [[runners]] output_limit: -1 is taken for 0: 4096 (KiB)"),
    ("[runners.machine]", "MaxBuilds = -1", "warning: [runners.machine] MaxBuilds: -1 is taken for 0: no limit"),
    # names of images, where no variable is in them
    ("[runners.docker]", "image = \"https://registry.example.com/x\"", "warning: [runners.docker] image: \"https://registry.example.com/x\": invalid reference format"),
    ("[runners.docker]", "helper_image = \"host//img\"", "warning: [runners.docker] helper_image: \"host//img\": invalid reference format"),
    ("[runners.docker]", "services = [ { name = \"Postgres\" } ]", "warning: [[runners.docker.services]] name: \"Postgres\": invalid reference format: the name of an image is written in lower case"),
    ("[[runners]]", "limit = 9", "info: [[runners]] limit: 9 is never reached: concurrent is 4"),
    ("[[runners]]", "tls-ca-file = \"ca.pem\"", "warning: [[runners]] tls-ca-file: \"ca.pem\" is looked for in the directory"),
    ("[[runners]]", "tls-ca-file = \"/nowhere.pem\"", "warning: [[runners]] tls-ca-file: GitLab at https://gitlab.example: tls-ca-file: open /nowhere.pem"),
    ("[[runners]]", "feature_flags = { FF_TIMESTAMPS = true, FF_UNHEARD_OF = true }", "warning: [runners.feature_flags] FF_UNHEARD_OF: no feature flag"),
    ("[runners.docker]", "tls_verify = true", "info: [runners.docker] tls_verify: no effect: TLS is always verified"),
    ("[runners.docker]", "memory = \"2x\"", "error: [runners.docker] memory: memory = \"2x\" in [runners.docker] is no size"),
    ("[runners.docker]", "service_memory = \"12q\"", "warning: [runners.docker] service_memory: \"12q\" is no size"),
    ("[runners.docker]", "Memory = \"2x\"", "error: [runners.docker] memory: memory = \"2x\" in [runners.docker] is no size"),
    ("[runners.docker]", "Image = \"x\"", "warning: [runners.docker] image: given twice, in line 8 as image; the one spelt image counts"),
    ("[runners.docker]", "cpus = \"many\"", "error: [runners.docker] cpus: "),
    ("[runners.docker]", "dns = [\"1.1.1.1\", \"one\"]", "error: [runners.docker] dns: dns entry \"one\" in [runners.docker] is no address"),
    ("[runners.docker]", "gpus = \"some\"", "error: [runners.docker] gpus: "),
    ("[runners.docker]", "ulimit = { nofile = \"x\" }", "error: [runners.docker] ulimit: ulimit nofile in [runners.docker] needs soft[:hard]"),
    ("[runners.docker]", "log_options = { size = \"1m\" }", "error: [runners.docker] log_options: "),
    ("[runners.docker]", "security_opt = [\"seccomp=/nowhere.json\"]", "warning: [runners.docker] security_opt: "),
    ("[runners.docker]", "volumes = [\"/ok\", \"a:b:c\"]", "error: [runners.docker] volumes: volume \"a:b:c\" in [runners.docker] is no volume specification"),
    ("[runners.docker]", "volumes = [\"/ok\", \"x:/ok\"]", "error: [runners.docker] volumes: volume for /ok is already defined"),
    ("[runners.docker]", "allowed_images = [\"good/**\", \"bad[\"]", "warning: [runners.docker] allowed_images: \"bad[\" is a malformed pattern"),
    ("[runners.docker]", "pull_policy = [\"always\", \"sometimes\"]", "error: [runners.docker] pull_policy: \"sometimes\" is none of: always if-not-present never"),
    ("[runners.docker]", "image = \"\"", "warning: [runners.docker] image: it is missing: jobs that name no image will fail"),
    ("[runners.docker]", "privileged = \"yes\"", "error: [runners.docker] privileged: needs true or false, not a string"),
    ("[runners.machine]", "MachineName = \"ci\"", "error: [runners.machine] MachineName: MachineName \"ci\" has no %s"),
    ("[runners.machine]", "MachineName = \"ci-%s-%s\"", "error: [runners.machine] MachineName: "),
    ("[runners.machine]", "MachineName = \"ci-%s-a\"", "info: [runners.machine] MachineName: honoured differently: text behind %s counts"),
    ("[runners.machine]", "MachineDriver = \"\"", "error: [runners.machine] MachineDriver: it is missing: windlass has digitalocean"),
    ("[runners.machine]", "MachineDriver = \"virtualbox\"", "error: [runners.machine] MachineDriver: windlass has no driver \"virtualbox\"; it has digitalocean"),
    ("[runners.machine]", "MachineOptions = [\"--url=tcp://x\"]", "error: [runners.machine] MachineOptions: \"--url\": write it without leading dashes"),
    ("[runners.machine]", "MachineOptions = [\"ulr=tcp://x\"]", "error: [runners.machine] MachineOptions: \"ulr\" is no option of create with the driver none: did you mean url?"),
    ("[runners.machine]", "MachineOptions = []", "error: [runners.machine] MachineOptions: "),
    ("[runners.machine]", "MachineOptionsWithName = [\"engine-label=x\"]", "error: [runners.machine] MachineOptionsWithName: an entry has no %s"),
    ("[runners.machine]", "IdleCount = -1", "error: [runners.machine] IdleCount: must not be negative"),
    ("[runners.machine]", "MaxGrowthRate = -1", "error: [runners.machine] MaxGrowthRate: must not be negative"),
    ("[runners.machine]", "idle_count = 3", "warning: [runners.machine] idle_count: unknown here and ignored: did you mean IdleCount?"),
    ("[runners.machine]", "IdleScaleFactor = 1.5", "warning: [runners.machine] IdleScaleFactor: without effect while IdleCount"),
    ("[runners.machine]", "IdleCountMin = 2", "warning: [runners.machine] IdleCountMin: without effect while IdleScaleFactor is 0"),
    ("[runners.machine]", "OffPeakPeriods = [\"* * 1 * * * *\"]", "warning: [runners.machine] OffPeakPeriods: no effect: removed from gitlab-runner: write a [[runners.machine.autoscaling]]"),
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* * 22-6 * * * *\"] } ]", "error: [[runners.machine.autoscaling]] Periods: "),
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* 9-17 * * mon-fri\"] } ]", "warning: [[runners.machine.autoscaling]] Periods: \"* 9-17 * * mon-fri\" is true for one second of each minute only"),
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* * 9 * * * *\"], Timezone = \"Mars/Base\" } ]",
     "error: [[runners.machine.autoscaling]] Timezone: Timezone \"Mars/Base\" is not known"),
    ("", "max_machines = -1", "error: max_machines: -1 is less than 0"),
    ("[runners.machine]", "PeriodsSyntax = \"cron\"", "error: [runners.machine] PeriodsSyntax: \"cron\" is none of: gitlab unix"),
    ("[runners.machine]", "FailureThreshold = -1", "error: [runners.machine] FailureThreshold: must not be negative"),
    ("[runners.machine]", "ScalingRules = [\"fast\"]", "error: [runners.machine] ScalingRules: this entry would be skipped: ScalingRules: \"fast\" is none of"),
    ("[runners.machine]", "Preemptive = true", "warning: [runners.machine] Preemptive: with IdleCount = 0"),
    ("[runners.machine]", "GrowthBurst = 3", "warning: [runners.machine] GrowthBurst: without effect"),
    # configuration.md D
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* * * * * sat-sun *\"], IdleTime = 600 } ]",
     "warning: [[runners.machine.autoscaling]] Periods: \"* * * * * sat-sun *\" is never true: day-of-week \"sat-sun\" runs backwards"),
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* * 9-17 * * mon-fri\"], IdleTime = 600 } ]",
     "error: [[runners.machine.autoscaling]] Periods: Periods \"* * 9-17 * * mon-fri\": with six fields the last one is the year"),
    # F10
    ("[[runners]]", "locked = false", "warning: [[runners]] locked: unknown here and ignored: it is set in GitLab"),
    ("[[runners]]", "log_level = \"debug\"", "warning: [[runners]] log_level: unknown here and ignored: log_level belongs at the top of the file"),
    ("[runners.docker]", "IdleCount = 4", "warning: [runners.docker] IdleCount: unknown here and ignored: IdleCount belongs in [runners.machine]"),
    ("[runners.machine]", "MachineName = \"ci-%d\"", "error: [runners.machine] MachineName: MachineName \"ci-%d\" has no %s, and no other % is possible: write \"ci-%s\""),
    # F11
    ("[[runners]]", "executor = \"docker-machine\"", "error: [[runners]] executor: this entry would be skipped: executor \"docker-machine\": windlass runs docker+machine only; write \"docker+machine\""),
    ("[[runners]]", "feature_flags = { FF_A = \"yes\" }", "error: [[runners]] feature_flags: FF_A needs true or false, not a string"),
    ("[[runners]]", "url = \"https://$NOT_SET_HERE/\"", "warning: [[runners]] url: the variable NOT_SET_HERE is not set in this shell"),
    ("[[runners]]", "url = \"https://\"", "error: [[runners]] url: this entry would be skipped: url \"https://\" is no URL: there is no host"),
    ("[[runners]]", "token = \"glrt-$NOT_SET_ANYWHERE\"", "warning: [[runners]] token: the variable NOT_SET_ANYWHERE is not set in this shell: without it GitLab"),
    # F12, by its letters
    ("[runners.machine]", "MachineOptions = [\"url=$DOCKER_URL\"]", "warning: [runners.machine] MachineOptions: url: a variable is not expanded here, only in url and token"),
    ("[runners.machine]", "MachineOptions = [\"url=$(cat /url)\"]", "warning: [runners.machine] MachineOptions: url: a variable is not expanded here"),
    ("[[runners]]", "tls-ca-file = \"$HOME/ca\"", "warning: [[runners]] tls-ca-file: \"$HOME/ca\": variables are expanded in url and token only"),
    ("[runners.machine]", "IdleCount = 9", "warning: [runners.machine] IdleCount: costs money: 9 idle machines are paid for, and concurrent lets 4 jobs run at once"),
    ("[runners.machine]", "autoscaling = [ { Periods = [\"* * 9 * * * *\"], IdleCount = 9 } ]", "warning: [[runners.machine.autoscaling]] IdleCount: costs money: 9 idle"),
    ("[runners.machine]", "IdleTime = 0", "info: [runners.machine] IdleTime: 0, with IdleCount 0: a new machine for every job"),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-registry-mirror=10.0.0.1:5000\"]",
     "error: [runners.machine] MachineOptions: engine-registry-mirror"),
    ("[[runners]]", "prepare_timeout = 10", "warning: [[runners]] prepare_timeout: a number without a unit is nanoseconds, so this is 10 ns: write \"10s\""),
    ("", "connection_max_age = 900", "warning: connection_max_age: a number without a unit is nanoseconds, so this is 900 ns: write \"900s\""),
    ("", "listen_address = \"http://127.0.0.1:9300\"", "warning: listen_address: metrics will not be served: write host:port, without \"http://\""),
    ("", "listen_address = \"1.2.3.4:99999\"", "warning: listen_address: metrics will not be served: port \"99999\""),
    ("", "listen_address = \"9252\"", "warning: listen_address: metrics will not be served: \"9252\" is taken for a host; write \":9252\""),
    *[("[[runners]]", f"token = \"{t}\"", "warning: [[runners]] token: this looks like a template's placeholder")
      for t in ("PASTE_ME", "CHANGE_THIS", "TODO", "FIXME", "none", "glrt-", "glrt-0000000000000000", "env:CI_TOKEN_X", "%TOKEN%", "op://vault/item/x",
                "__REPLACED_BY_USER_DATA__", "...", "<runner-token>", "glrt-...", "glrt-xxxxxxxxxxxxxxxxxxxx", "$(TOKEN)", "YOUR_TOKEN")],
    *[("[[runners]]", f"token = \"{t}abcdefghijklmnopqrst\"", f"warning: [[runners]] token: {t} is another kind of GitLab's tokens") for t in ("glpat-", "gldt-", "glcbt-")],
    ("[[runners]]", "prepare_timeout = 300000", "warning: [[runners]] prepare_timeout: a number without a unit is nanoseconds, so this is 300000 ns: write it with its unit"),
    *[("", f"listen_address = \"{a}\"", f"warning: listen_address: metrics will not be served: \"{a.rpartition(':')[0] or a}\" is no host")
      for a in ("0.0.0.0 9252", "host name:9252", "/run/windlass.sock", "$HOST:9252", "${LISTEN}", "256.1.1.1:9252")],
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-label=env=ci-$ENVIRONMENT\"]", "warning: [runners.machine] MachineOptions: engine-label: a variable is not expanded here"),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-storage-driver=aufs\"]", "warning: [runners.machine] MachineOptions: today's dockerd has no storage driver of that name"),
    ("[[runners]]", "token = \"glrt-t1_abcdefghijkl\\n\"", "warning: [[runners]] token: it holds a blank, a line break"),
    ("[[runners]]", "token_expires_at = 2020-01-02T03:04:05Z", "warning: [[runners]] token_expires_at: the token expired on 2020-01-02"),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"url=tcp://y\"]", "info: [runners.machine] MachineOptions: url: given twice, first in line 12"),
]


@pytest.mark.parametrize("section, line, said", CASES, ids=[c[1][:40] for c in CASES])
def test_what_is_said_of_a_line(host, section, line, said):
    number, text = put(section, line)
    lines = check(host, text, status=None if "ca.pem" in line else 1 if said.startswith("error") else 0)
    assert [s for s in lines if s.startswith(f"{number}: {said}")], "\n".join(lines)
    # One line a fault (configuration.md F11).
    assert len([s for s in lines if ": error: " in s or s.startswith("error: ")]) == said.startswith("error"), "\n".join(lines)


# More files, each with what is between GOOD's lines and what a real one had: (section, line) as above. None is refused as a whole.
RUN_TOO = [
    # configuration.md F7: the flat keys of the docs before 12.0, and a type in capital letters
    ("[runners.machine]", "[runners.cache]\nType = \"s3\"\nServerAddress = \"s3.example.com\"\nBucketName = \"b\""),
    ("[runners.machine]", "[runners.cache]\nType = \"S3\"\n[runners.cache.s3]\nBucketName = \"b\""),
    ("[runners.machine]", "[runners.cache]\nType = \"swift\"\nMaxUploadedArchiveSize = -1"),
    ("[runners.machine]", "[runners.cache]\nType = \"s3\"\n[runners.cache.s3]\nAuthenticationType = \"x\""),
    # F8: other executors beside ours, and near misses of ours
    *[("[runners.machine]", f"[[runners]]\nname = \"o\"\nurl = \"https://x\"\ntoken = \"t\"\nexecutor = \"{e}\"")
      for e in ("shell", "docker", "kubernetes", "docker-machine", "Docker+Machine", "", "docker-autoscaler")],
    # D: periods that are never true, and those that crash the original
    *[("[runners.machine]", f"autoscaling = [ {{ Periods = [\"{p}\"] }} ]")
      for p in ("* * * * * sat-sun *", "* * * * * fri-mon *", "* * * * * 6-7 *", "* * * 25-5 * * *", "* * * * * * 2030-2020", "* * 22-6 * * * *",
                "* * 9-17 * * mon-fri", "* * 8,22-6 * * * *", "* * * * nov-feb * *")],
    ("[runners.docker]", "service_memory = \"12q\""),
    ("[runners.docker]", "user = \"bob\"\nallowed_users = [\"alice\"]"),
    ("[[runners]]", "[runners.artifact]\nupload_timeout = \"often\""),
    ("[runners.machine]", "MachineName = \"ci-%d\""),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-registry-mirror=10.0.0.1:5000\"]"),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-registry-mirror=https://10.0.0.1:5000\"]"),
    ("[runners.machine]", "MachineOptions = [\"url=tcp://x\", \"engine-install-url=none\"]"),
    ("", "listen_address = \"http://127.0.0.1:9300\""),
    ("[[runners]]", "id = 1\n[[runners]]\nname = \"twin\"\nurl = \"https://gitlab.example\"\ntoken = \"glrt-t1_abcdefghijkl\"\nexecutor = \"docker+machine\""),
]


def skipped_by_run(host):
    """The lines of the entries that `run` skips, by its own log; None: it refuses the file."""
    log = os.path.join(host.folder, "run.log")
    with open(log, "wb") as out:
        p = subprocess.Popen([world.WINDLASS, "--log-format", "json", "run", "--config", host.path, "--state-dir", os.path.join(host.folder, "state"),
                              "--storage-path", os.path.join(host.folder, "store")], env=host.environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def text():
        with open(log, encoding="utf-8") as f:
            return f.read()
    try:
        world.wait_until(lambda: "Configuration loaded" in text() or p.poll() is not None, 30, "the start of run")
    finally:
        p.kill()
        p.wait()
    if "Configuration loaded" not in text():
        return None
    said = [json.loads(line) for line in text().splitlines() if line.startswith("{")]
    return sorted(s["line"] for s in said if " is skipped: " in s["msg"])


@pytest.mark.parametrize("section, line", [(c[0], c[1]) for c in CASES] + RUN_TOO, ids=[str(n) for n in range(len(CASES) + len(RUN_TOO))])
def test_what_check_calls_an_error_run_skips(host, section, line):
    """configuration.md 5.4: errors only for what run skips, and for all of it. (A variable that only this shell lacks is a warning.)"""
    _, text = put(section, line)
    host.write(text)
    p = host.run("check", "--json")
    said = json.loads(p.stdout)
    skipped = skipped_by_run(host)
    assert p.returncode == (said["errors"] > 0)
    if skipped is None:
        assert said["runners"] == [] and said["errors"] > 0, p.stdout
        return
    unset = [f for f in said["findings"] if "is not set in this shell" in f["text"]]
    assert skipped == [r["line"] for r in said["runners"] if not r["runs"] and not r.get("stays_with_gitlab_runner")] or unset, (skipped, p.stdout)
    assert (said["errors"] > 0) == (skipped != []) or unset, (skipped, p.stdout)


GOOD_TOKEN = "CI_TOKEN=glrt-t1_abcdefghijkl"
UNSET, SET, OTHER = "the variable CI_TOKEN is not set", None, "token: this looks like a template's placeholder"

# The [Service] section, other files (below /), and what is said of token = "$CI_TOKEN".
ENVIRONMENTS = {
    "several in quotes": (f'Environment="A=b c" "{GOOD_TOKEN}" "D=e"', {}, SET),
    "quotes of one among plain": (f"Environment=A=b '{GOOD_TOKEN}' C=d", {}, SET),
    "quotes inside": ('Environment=A=b CI_TOKEN="glrt-t1_abcdefghijkl"', {}, SET),
    "blanks around the sign": (f"Environment = {GOOD_TOKEN}", {}, SET),
    "continued": (f"Environment=A=b \\\n  {GOOD_TOKEN}", {}, SET),
    "a comment": (f"#Environment={GOOD_TOKEN}\n; EnvironmentFile=/etc/x.env", {"etc/x.env": GOOD_TOKEN}, UNSET),
    "taken back": (f"Environment={GOOD_TOKEN}", {"etc/systemd/system/windlass.service.d/a.conf": "[Service]\nEnvironment=\n"}, UNSET),
    "files taken back": ("EnvironmentFile=/etc/x.env", {"etc/x.env": GOOD_TOKEN, "etc/systemd/system/windlass.service.d/a.conf": "[Service]\nEnvironmentFile=\n"}, UNSET),
    "another file instead": ("EnvironmentFile=/etc/x.env", {"etc/x.env": "CI_TOKEN=none", "etc/y.env": GOOD_TOKEN,
                             "etc/systemd/system/windlass.service.d/a.conf": "[Service]\nEnvironmentFile=\nEnvironmentFile=/etc/y.env\n"}, SET),
    "a file counts over a variable": ("EnvironmentFile=/etc/x.env\nEnvironment=CI_TOKEN=none", {"etc/x.env": GOOD_TOKEN}, SET),
    "the last counts": (f"Environment={GOOD_TOKEN}\nEnvironment=CI_TOKEN=none", {}, OTHER),
    "a file that may be missing, with a blank": ("EnvironmentFile=-/etc/my settings.env\nEnvironmentFile=-/etc/none.env", {"etc/my settings.env": f'A="x"\n# c\n{GOOD_TOKEN}\n'}, SET),
    "continued in the file": ("EnvironmentFile=/etc/x.env", {"etc/x.env": "CI_TOKEN=glrt-t1_\\\nabcdefghijkl\n"}, SET),
    "a drop-in of a package": ("", {"run/systemd/system/windlass.service.d/z.conf": f"[Service]\nEnvironment={GOOD_TOKEN}"}, SET),
    "that is replaced": ("", {"run/systemd/system/windlass.service.d/z.conf": f"[Service]\nEnvironment={GOOD_TOKEN}",
                              "etc/systemd/system/windlass.service.d/z.conf": "[Service]\nEnvironment=A=b"}, UNSET),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts an /etc of its own")
@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_the_environment_of_the_installed_service(host, tmp_path, case):
    """configuration.md F9, read as systemd reads it (systemd.exec(5), systemd.unit(5))."""
    service, files, said = ENVIRONMENTS[case]
    host.write(GOOD.replace("glrt-t1_abcdefghijkl", "$CI_TOKEN"))
    files = {**files, "run/systemd/system/keep": "", "etc/systemd/system/windlass.service":
             f"[Service]\n{service}\nExecStart=/usr/local/bin/windlass run \\\n  --config{'=' if 'quotes' in case else ' '}{host.path}\n"}
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = tmp_path / "root"
    p = subprocess.run(["unshare", "--mount", "sh", "-c", f"mount --bind {root}/etc /etc && mount --bind {root}/run /run && exec {world.WINDLASS} check --config {host.path}"],
                       env=host.environ, capture_output=True, text=True, check=False)
    assert p.returncode == (said == UNSET), p.stdout + p.stderr
    assert said in p.stdout if said is not None else "CI_TOKEN" not in p.stdout and "token:" not in p.stdout, p.stdout


def test_several_runners(host):
    text = GOOD.replace("concurrent = 4", "concurrent = 1") + GOOD[GOOD.index("[[runners]]"):]
    lines = check(host, text, status=1)
    assert [s for s in lines if "gitlab-runner lets runners starve behind long polls" in s and "takes no slot" in s]
    assert [s for s in lines if "14: error: runner \"r\": this entry would be skipped: the entry in line 2 has the same url, token" in s]
    assert lines[-1] == " windlass would run 1 of 2 runners; 1 error, 0 warnings"


def without(text, *keys):
    return "\n".join(s for s in text.splitlines() if s.split("=")[0].strip() not in keys) + "\n"


def test_concurrent_that_is_not_there(host):
    """configuration.md F12b and F12c: five idle machines paid for, and one job at a time."""
    text = without(GOOD, "concurrent")
    lines = check(host, text + "IdleCount = 5\n", status=0)
    assert [s for s in lines if s.startswith("13: warning: [runners.machine] IdleCount: costs money: concurrent is not in the file, so it is 1: 5 idle machines")]
    lines = check(host, text.replace('name = "r"', 'name = "r"\nlimit = 20'), status=0)
    assert [s for s in lines if s.startswith("3: warning: [[runners]] limit: 20 is never reached: concurrent is not in the file")]
    assert [s for s in check(host, text, status=0) if "concurrent is not in the file, so it is 1: one job at a time" in s]
    # F12d: above limit and above max_machines, in a period too
    period = 'autoscaling = [ { Periods = ["* * 9 * * * *"], IdleCount = 50, IdleTime = 60 } ]\n'
    lines = check(host, GOOD.replace("concurrent = 4", "concurrent = 90").replace('name = "r"', 'name = "r"\nlimit = 10') + period, status=0)
    assert [s for s in lines if s.startswith("15: warning: [[runners.machine.autoscaling]] IdleCount: 50 is above limit (10)")]
    lines = check(host, GOOD.replace("concurrent = 4", "concurrent = 90\nmax_machines = 20") + period, status=0)
    assert [s for s in lines if s.startswith("15: warning: [[runners.machine.autoscaling]] IdleCount: 50 is above max_machines (20)")]


def test_tokens_that_are_drawn(host):
    """A token is twenty random letters, among which are - and _: pairs of them, and parts with dots, are nothing to warn of."""
    for token in ("glrt-t1__bcdefgh__jklmnopq", "x__yzabcdefghijklmnop", "-_-ab-_-_cdefghijkl_", "glrt-abcdefgh.01.0123456789", "glrt-t3_dGhx-CnQ6MQpwOjEKdTozq.1a0zz1k2p"):
        assert not [s for s in check(host, GOOD.replace("glrt-t1_abcdefghijkl", token), status=0) if "warning" in s and "token:" in s], token


@pytest.mark.parametrize("text, line, said", [
    ("Type = \"s3\"\nS3CachePath = \"p\"\nBucketName = \"b\"", 16, "S3CachePath: no effect: removed from gitlab-runner: write Path in [runners.cache] instead"),
    ("Type = \"s3\"\nCacheShared = true", 16, "CacheShared: no effect: removed from gitlab-runner: write Shared in [runners.cache] instead"),
    ("Type = \"gcs\"\nPrivateKey = \"k\"", 16, "PrivateKey: no effect: removed from gitlab-runner: write PrivateKey in [runners.cache.gcs] instead"),
    # what is written as today counts: nothing to paste over it
    ("Type = \"s3\"\nBucketName = \"b\"\n[runners.cache.s3]\nBucketName = \"c\"", 16, "BucketName: no effect: removed from gitlab-runner: write BucketName in [runners.cache.s3] instead"),
    ("Type = \"azure\"\nBucketName = \"b\"", 16, "BucketName: no effect: removed from gitlab-runner: write BucketName in [runners.cache.s3] instead"),
    ("Type = \"s3 \"", 15, "Type: \"s3 \" is none of: s3 gcs azure; write \"s3\""),
])
def test_flat_keys_of_other_kinds(host, text, line, said):
    """configuration.md F7: each is told where it belongs today, by the name it has there."""
    lines = check(host, GOOD + "[runners.cache]\n" + text + "\n", status=0)
    assert [s for s in lines if s.startswith(f"{line}: warning: [runners.cache] {said}")], "\n".join(lines)
    whole = "azure" not in text and "[runners.cache." not in text and "s3 " not in text
    assert bool([s for s in lines if s.startswith("    ")]) == whole, "\n".join(lines)


def test_flat_keys_of_an_azure_cache(host):
    """Each is told its section, and no second line says that it is missing there."""
    lines = check(host, GOOD + '[runners.cache]\nType = "azure"\nAccountName = "a"\nContainerName = "c"\n', status=0)
    assert [s for s in lines if s.startswith("17: warning: [runners.cache] ContainerName: unknown here and ignored: ContainerName belongs in [runners.cache.azure]")]
    assert not [s for s in lines if "it is missing" in s]
    lines = check(host, GOOD + '[runners.cache]\nType = "s3"\nBucketName = ""\n', status=0)
    assert [s for s in lines if "[runners.cache.s3] BucketName: it is missing" in s]


def test_token_that_expires_soon(host):
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20 * 86400))
    _, text = put("[[runners]]", f"token_expires_at = {when}")
    assert [s for s in check(host, text, status=0) if f"token_expires_at: the token expires on {when[:10]}, and nothing renews it" in s]
    _, text = put("[[runners]]", "token_expires_at = 2190-01-01T00:00:00Z")
    assert not [s for s in check(host, text, status=0) if "the token expires on" in s]


def pasted(lines, sign):
    """The lines to paste behind the finding with this sign."""
    at = next(i for i, s in enumerate(lines) if sign in s)
    out = []
    for s in lines[at + 1:]:
        if not s.startswith("    "):
            break
        out.append(s)
    return "\n".join(out) + "\n"


def test_lines_to_paste(host):
    """configuration.md F7, 5.6: what every old file needs, ready to paste; pasted it means what it meant."""
    old = without(GOOD, "IdleTime") + """IdleCount = 3
OffPeakPeriods = ["* * 0-8,18-23 * * mon-fri *", "* * * * * sat,sun *"]
OffPeakTimezone = "Europe/Berlin"
OffPeakIdleCount = 1
OffPeakIdleTime = 1200
"""
    lines = check(host, old, status=0)
    assert len([s for s in lines if "OffPeak" in s and ": warning: " in s]) == 1
    new = without(old, "OffPeakPeriods", "OffPeakTimezone", "OffPeakIdleCount", "OffPeakIdleTime") + pasted(lines, "OffPeakPeriods: no effect: removed")
    got = tomllib.loads(new)["runners"][0]["machine"]["autoscaling"]
    assert got == [{"Periods": ["* * 0-8,18-23 * * mon-fri *", "* * * * * sat,sun *"], "IdleCount": 1, "IdleTime": 1200, "Timezone": "Europe/Berlin"}]
    assert not [s for s in check(host, new, status=0) if "OffPeak" in s]
    # Blank ones, as many files have them, ask for nothing.
    assert not [s for s in check(host, GOOD + 'OffPeakTimezone = ""\nOffPeakIdleCount = 0\n', status=0) if "OffPeak" in s]
    old = GOOD + """[runners.cache]
Type = "s3"
ServerAddress = "s3.example.com"
AccessKey = "AKIAEXAMPLE"
SecretKey = "very-secret"
BucketName = "b"
Insecure = false
CachePath = "p"
"""
    lines = check(host, old, status=0)
    assert "very-secret" not in "\n".join(lines)
    got = tomllib.loads(pasted(lines, "ServerAddress: no effect: removed"))["runners"]["cache"]
    assert got == {"Type": "s3", "Path": "p", "s3": {"ServerAddress": "s3.example.com", "AccessKey": "...", "SecretKey": "...", "BucketName": "b", "Insecure": False}}
    assert not [s for s in lines if "it is missing: without it there is no cache" in s]


def test_other_executors_stay(host):
    """configuration.md F8: a deploy script with `check &&` passes on a host that has both."""
    other = '[[runners]]\nname = "sh"\nurl = "https://gitlab.example"\ntoken = "glrt-x0x0x0x0x0x0x0x0"\nexecutor = "shell"\n'
    lines = check(host, GOOD + other, status=0)
    assert [s for s in lines if s.startswith('18: info: [[runners]] executor: no effect: executor "shell" is not for windlass: the entry stays with gitlab-runner')]
    assert lines[-1] == " windlass would run 1 of 1 runner, 1 stays with gitlab-runner; 0 errors, 0 warnings"
    said = json.loads(host.run("check", "--json", check=0).stdout)
    assert [r["runs"] for r in said["runners"]] == [True, False] and said["runners"][1]["stays_with_gitlab_runner"]
    # Alone it is nobody's that windlass could run.
    assert check(host, other, status=1)[-1] == " windlass would run 0 of 1 runner; 1 error, 0 warnings"


def test_a_file_as_a_word(host):
    """configuration.md section 4, 5: everybody will type that."""
    host.write(GOOD)
    p = subprocess.run([world.WINDLASS, "check", os.path.basename(host.path)], cwd=host.folder, env=host.environ, stdout=subprocess.PIPE, text=True)
    assert p.returncode == 0 and p.stdout == "config.toml: windlass would run 1 of 1 runner; 0 errors, 0 warnings\n"
    p = subprocess.run([world.WINDLASS, "check", "a", "b"], env=host.environ, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and "one file at a time" in p.stderr


def test_several_faults_each_on_its_line(host):
    """configuration.md F11 and file 11: not one thing at a time, and each once."""
    lines = check(host, '[[runners]]\nurl = "https://x"\n[runners.docker]\nimage = "x"\n[runners.machine]\nMachineDriver = "azure"\nMachineName = "a-%d"\n', status=1)
    errors = [s for s in lines if "error: " in s and "would run" not in s]
    assert len(errors) == 4 and len(set(errors)) == 4, lines
    lines = check(host, '[runners.docker]\nimage = "x"\n', status=1)
    assert [s for s in lines if "runners: needs a list of tables, not a table: write [[runners]]" in s], lines


def test_caches(host):
    lines = check(host, GOOD + "[runners.cache]\nServerAddress = \"x\"\n[runners.cache.s3]\nBucketName = \"b\"\n", status=0)
    assert [s for s in lines if s.startswith("15: warning: [runners.cache] ServerAddress: no effect: removed from gitlab-runner: write ServerAddress in [runners.cache.s3]")]
    assert [s for s in lines if "Type: it is missing, so [runners.cache.s3] is not looked at" in s]
    lines = check(host, GOOD + "[runners.cache]\nType = \"s3\"\n", status=0)
    assert [s for s in lines if s.startswith("15: warning: [runners.cache.s3] BucketName: it is missing")]


def test_an_image_that_is_retired(host):
    """configuration.md F12i: named by hand as well as taken by default."""
    text = GOOD.replace('"none"', '"digitalocean"').replace('"url=tcp://192.0.2.1:2376"', '"digitalocean-access-token=x", "digitalocean-image=ubuntu-16-04-x64"')
    assert [s for s in check(host, text, status=0) if "digitalocean-image: ubuntu-16-04-x64 is one that the cloud has retired" in s]
    assert not [s for s in check(host, text.replace("16-04", "24-04"), status=0) if "retired" in s]


def test_what_a_driver_needs(host):
    text = GOOD.replace('"none"', '"digitalocean"').replace('"url=tcp://192.0.2.1:2376"', '"digitalocean-size=s-1vcpu-1gb"')
    lines = check(host, text, status=0)
    assert [s for s in lines if "digitalocean driver requires the --digitalocean-access-token option; DIGITALOCEAN_ACCESS_TOKEN is not set in this shell" in s]
    check(host, text, status=0, DIGITALOCEAN_ACCESS_TOKEN="dop_v1_0123")
    lines = check(host, text.replace("digitalocean-size=s-1vcpu-1gb", "digitalocean-access-token=env:NOT_SET_HERE"), status=0)
    assert lines[-1].endswith("0 errors, 1 warning"), lines
    assert [s for s in lines if "digitalocean-image is not named" in s and "retired" in s]
    lines = check(host, GOOD.replace('"none"', '"digitalocean"'), status=1)
    assert [s for s in lines if s.startswith('12: error: [runners.machine] MachineOptions: "url" is no option of create with the driver digitalocean')]


def test_no_secret_is_shown(host):
    secret = "s3cr3t" * 5
    for line in (f'token = "{secret}"', f'environment = ["{secret}"]'):
        _, text = put("[[runners]]", line)
        assert secret not in "\n".join(check(host, text))
    _, text = put("[runners.machine]", f'MachineOptions = ["tokn={secret}", "--digitalocean-access-token={secret}"]')
    assert secret not in "\n".join(check(host, text))


def test_broken_files(host):
    lines = check(host, GOOD + "x = [1\n", status=1)
    assert lines == ["14: error: this is not TOML: line 14, column 5: the array that begins here has no end; ] is missing",
                     " windlass would not run with this file; 1 error, 0 warnings"]
    assert "line=14" in host.run("lint", check=1).stderr
    os.unlink(host.path)
    assert "No such file" in host.run("check", check=1).stderr and "No such file" in host.run("lint", check=1).stderr
    assert not os.path.exists(os.path.join(host.folder, ".runner_system_id"))


def test_lint_takes_unknown_keys_for_faults(host):
    host.write("unheard = 1\n" + GOOD)
    p = host.run("lint", check=1)
    assert "key=unheard" in p.stderr and "1 fault" in p.stderr
    host.run("check", check=0)


def test_a_file_for_everybody(host):
    host.write(GOOD)
    os.chmod(host.path, 0o644)
    assert "everybody on this host can read the file" in host.run("check", check=0).stdout


def test_json(host):
    number, text = put("[runners.docker]", "memory = \"2x\"")
    host.write(text)
    p = host.run("check", "--json", check=1)
    said = json.loads(p.stdout)
    assert (said["file"], said["ok"], said["errors"], said["warnings"]) == (host.path, False, 1, 0)
    assert said["runners"] == [{"name": "r", "line": 2, "runs": False}]
    assert said["findings"] == [{"level": "error", "verdict": "refused", "line": number, "runner": "r", "section": "[runners.docker]",
                                 "key": "memory", "text": said["findings"][0]["text"]}]
    host.write(GOOD)
    assert json.loads(host.run("check", "--json", check=0).stdout)["findings"] == []


def test_files_of_the_rig_and_of_register_are_good(host):
    """What we write ourselves draws no complaint; what a newcomer should know of it is said (configuration.md F12e, 4.3)."""
    runner = host.double.runner()
    host.register("--token", runner["token"], "--machine-machine-driver", "none", "--machine-machine-name", "x-%s",
                  "--machine-machine-options", "url=tcp://192.0.2.1:2376")
    lines = host.run("check", check=0).stdout.splitlines()
    assert lines[-1] == f"{host.path}: windlass would run 1 of 1 runner; 0 errors, 0 warnings"
    assert [s for s in lines if ": info: concurrent: 1: one job at a time" in s]
    assert [s for s in lines if ": info: [runners.machine] IdleTime: 0, with IdleCount 0: a new machine for every job" in s]
    host.run("lint", check=0)


# -- online -----------------------------------------------------------------


class Cloud:
    """The DigitalOcean double alone: nothing is booted."""

    def __init__(self, run):
        self.run, self.port, self.token = str(run), free_port(), "dop_v1_" + "0123456789abcdef" * 4
        self.url = f"https://127.0.0.1:{self.port}"
        tls.make_ca(self.run)
        tls.issue(self.run, "digitalocean", ["IP:127.0.0.1"])
        with open(os.path.join(self.run, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(world.ROOT, "tests", "rig", "clouds", "digitalocean.py"), "--run", self.run,
                 "--bind", "127.0.0.1", "--port", str(self.port), "--token", self.token], stdout=log, stderr=log)
        world.wait_until(lambda: os.path.exists(os.path.join(self.run, "digitalocean.sock")), 20, "the cloud's socket")

    def fault(self, what, **more):
        status, data = minihttp.unix_request(self.run, "digitalocean.sock", "POST", "/fault", {"what": what, **more})
        assert status < 300, data

    def violations(self):
        path = os.path.join(self.run, "violations.log")
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    c = Cloud(tmp_path_factory.mktemp("cloud"))
    yield c
    c.stop()
    assert c.violations() == ""


def online(host, cloud, status, token=None, **options):
    given = {"digitalocean-access-token": cloud.token, "digitalocean-image": "debian-12-docker", "digitalocean-region": "fra1",
             "digitalocean-size": "s-1vcpu-1gb", "digitalocean-api-endpoint": cloud.url,
             "digitalocean-api-ca-file": os.path.join(cloud.run, "ca.pem"),
             **{k.replace("_", "-"): v for k, v in options.items() if k != "more"}}
    text = f"""concurrent = 4
[[runners]]
name = "r"
url = "{host.double.url}"
token = "{token or host.double.runner()['token']}"
tls-ca-file = "{host.double.ca}"
executor = "docker+machine"
[runners.docker]
image = "alpine"
[runners.machine]
MachineDriver = "digitalocean"
MachineName = "ci-%s"
MachineOptions = {json.dumps([f"{k}={v}" for k, v in given.items()])}
{options.get("more", "")}"""
    return check(host, text, "--online", status=status)


def test_online_good(host, cloud):
    lines = online(host, cloud, 0)
    assert [s for s in lines if s.startswith("5: info: [[runners]] token: the token is good (runner ")]
    for said in ("digitalocean-access-token: the token is good; 0 of 200 droplets", "digitalocean-region: fra1 is open",
                 "digitalocean-size: s-1vcpu-1gb: 1 CPU, 1024 MB", "digitalocean-image: debian-12-docker"):
        assert [s for s in lines if s.startswith("13: info: [runners.machine] MachineOptions: " + said)], "\n".join(lines)
    assert lines[-1].endswith("0 errors, 0 warnings")


def test_online_finds_what_is_not_there(host, cloud):
    lines = online(host, cloud, 1, digitalocean_region="mars", digitalocean_size="huge", digitalocean_image="windows-95")
    for said in ("there is no region mars", "there is no size huge", "there is no image windows-95"):
        assert [s for s in lines if s.startswith("13: error: ") and said in s], "\n".join(lines)


def test_online_credentials_and_quota(host, cloud):
    lines = online(host, cloud, 1, digitalocean_access_token="dop_v1_wrong")
    assert [s for s in lines if "error: " in s and "HTTP status 401" in s] and "dop_v1_wrong" not in "\n".join(lines)
    cloud.fault("quota", limit=0)
    lines = online(host, cloud, 1)
    cloud.fault("clear")
    assert [s for s in lines if "error: " in s and "0 of 0 droplets" in s], "\n".join(lines)


def test_online_token(host, cloud):
    runner = host.double.runner()
    host.double.control("DELETE", f"/runners/{runner['id']}")
    lines = online(host, cloud, 1, token=runner["token"])
    assert [s for s in lines if s.startswith("5: error: [[runners]] token: GitLab refuses the token")]
    assert runner["token"] not in "\n".join(lines)
    soon = host.double.runner(expires_in=3600)
    assert [s for s in online(host, cloud, 0, token=soon["token"]) if s.startswith("5: warning: [[runners]] token: the token is good until ")]
    host.double.away()
    with open(host.path, encoding="utf-8") as f:
        host.write(f.read())
    p = host.run("check", "--online", check=1)
    assert f"4: error: [[runners]] url: POST {host.double.url}/api/v4/runners/verify: connect 127.0.0.1" in p.stdout


@pytest.mark.broken_peer
@pytest.mark.parametrize("seconds, said", [(0, "info: runner \"r\": this host's clock is in step"),
                                           (-100, "warning: runner \"r\": this host's clock is 1m4"),
                                           (3600, "error: runner \"r\": this host's clock is 59m")])
def test_online_clock(host, cloud, seconds, said):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))
    host.double.control("POST", "/fault", {"what": "status", "code": 200, "path": "POST runners/verify", "count": 1,
                                           "headers": {"Date": date}, "body": {"id": 7, "token": "x", "token_expires_at": None}})
    lines = online(host, cloud, 1 if said.startswith("error") else 0)
    assert [s for s in lines if s.startswith(" " + said)], "\n".join(lines)


def test_online_mirror_and_cache(host, cloud):
    lines = online(host, cloud, 0, engine_registry_mirror=f"http://127.0.0.1:{free_port()}",
                   more=f'[runners.cache]\nType = "s3"\n[runners.cache.s3]\nServerAddress = "127.0.0.1:{free_port()}"\nBucketName = "b"\nInsecure = true\n')
    assert [s for s in lines if "warning: " in s and "the registry mirror cannot be reached from this host" in s]
    assert [s for s in lines if "warning: " in s and "the cache server cannot be reached from this host" in s]
