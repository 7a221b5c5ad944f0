"""`windlass check` and `lint`: what is said of a file, line by line, and of what it names when everybody is asked."""

import json
import os
import subprocess
import sys
import time

import pytest

import world
from operator_host import double, free_port, host  # noqa: F401 (fixtures)

sys.path.insert(0, os.path.join(world.ROOT, "tests", "rig"))

import minihttp  # noqa: E402
import tls  # noqa: E402

# What nothing is said of. Line 12 is the last.
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
    assert check(host, GOOD, status=0) == [" windlass would run 1 of 1 runners; 0 errors, 0 warnings"]
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
    ("[[runners]]", "executor = \"shell\"", "error: runner \"r\": this entry would be skipped: executor \"shell\""),
    ("[[runners]]", "token = \"\"", "error: runner \"r\": this entry would be skipped: it has no token"),
    ("[[runners]]", "token = \"$NOT_SET_ANYWHERE\"", "error: [[runners]] token: the variable it names is not set here"),
    ("[[runners]]", "token = \"GR1348941abcdef\"", "warning: [[runners]] token: this is a registration token"),
    ("[[runners]]", "url = \"http://gitlab.example\"", "warning: [[runners]] url: http: the token and everything"),
    ("[[runners]]", "url = \"gitlab.example\"", "error: runner \"r\": this entry would be skipped: url \"gitlab.example\" is no URL"),
    ("[[runners]]", "pre_clone_script = \"x\"", "warning: [[runners]] pre_clone_script: no effect: removed from gitlab-runner: write pre_get_sources_script instead"),
    ("[[runners]]", "environment = [\"A=b\", \"nothing\"]", "warning: [[runners]] environment: an entry is not KEY=value and is left out"),
    ("[[runners]]", "builds_dir = \"builds\"", "error: [[runners]] builds_dir: \"builds\" is no absolute path"),
    ("[[runners]]", "shell = \"pwsh\"", "error: [[runners]] shell: \"pwsh\" is none of: bash sh"),
    ("[[runners]]", "limit = -1", "error: [[runners]] limit: -1 is less than 0"),
    ("[[runners]]", "limit = 9", "info: [[runners]] limit: 9 is never reached: concurrent is 4"),
    ("[[runners]]", "tls-ca-file = \"ca.pem\"", "warning: [[runners]] tls-ca-file: \"ca.pem\" is looked for in the directory"),
    ("[[runners]]", "tls-ca-file = \"/nowhere.pem\"", "error: [[runners]] tls-ca-file: GitLab at https://gitlab.example: tls-ca-file: open /nowhere.pem"),
    ("[[runners]]", "feature_flags = { FF_TIMESTAMPS = true, FF_UNHEARD_OF = true }", "warning: [runners.feature_flags] FF_UNHEARD_OF: no feature flag"),
    ("[runners.docker]", "tls_verify = true", "info: [runners.docker] tls_verify: no effect: TLS is always verified"),
    ("[runners.docker]", "memory = \"2x\"", "error: [runners.docker] memory: memory = \"2x\" in [runners.docker] is no size"),
    ("[runners.docker]", "service_memory = \"12q\"", "error: [runners.docker] service_memory: \"12q\" is no size"),
    ("[runners.docker]", "Memory = \"2x\"", "error: [runners.docker] memory: memory = \"2x\" in [runners.docker] is no size"),
    ("[runners.docker]", "Image = \"x\"", "warning: [runners.docker] image: given twice, in line 8 as image; the one spelt image counts"),
    ("[runners.docker]", "cpus = \"many\"", "error: [runners.docker] cpus: "),
    ("[runners.docker]", "dns = [\"1.1.1.1\", \"one\"]", "error: [runners.docker] dns: dns entry \"one\" in [runners.docker] is no address"),
    ("[runners.docker]", "gpus = \"some\"", "error: [runners.docker] gpus: "),
    ("[runners.docker]", "ulimit = { nofile = \"x\" }", "error: [runners.docker] ulimit: ulimit nofile in [runners.docker] needs soft[:hard]"),
    ("[runners.docker]", "log_options = { size = \"1m\" }", "error: [runners.docker] log_options: "),
    ("[runners.docker]", "security_opt = [\"seccomp=/nowhere.json\"]", "error: [runners.docker] security_opt: "),
    ("[runners.docker]", "volumes = [\"/ok\", \"a:b:c\"]", "error: [runners.docker] volumes: volume \"a:b:c\" in [runners.docker] is no volume specification"),
    ("[runners.docker]", "volumes = [\"/ok\", \"x:/ok\"]", "error: [runners.docker] volumes: volume for /ok is already defined"),
    ("[runners.docker]", "allowed_images = [\"good/**\", \"bad[\"]", "error: [runners.docker] allowed_images: \"bad[\" is a malformed pattern"),
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
     "error: [[runners.machine.autoscaling]] Periods: Timezone \"Mars/Base\" is not known"),
    ("", "max_machines = -1", "error: max_machines: -1 is less than 0"),
    ("[runners.machine]", "PeriodsSyntax = \"cron\"", "error: [runners.machine] PeriodsSyntax: \"cron\" is none of: gitlab unix"),
    ("[runners.machine]", "FailureThreshold = -1", "error: [runners.machine] FailureThreshold: must not be negative"),
    ("[runners.machine]", "ScalingRules = [\"fast\"]", "error: runner \"r\": this entry would be skipped: ScalingRules: \"fast\" is none of"),
    ("[runners.machine]", "Preemptive = true", "warning: [runners.machine] Preemptive: with IdleCount = 0"),
    ("[runners.machine]", "GrowthBurst = 3", "warning: [runners.machine] GrowthBurst: without effect"),
]


@pytest.mark.parametrize("section, line, said", CASES, ids=[c[1][:40] for c in CASES])
def test_what_is_said_of_a_line(host, section, line, said):
    number, text = put(section, line)
    lines = check(host, text, status=None if "ca.pem" in line else 1 if said.startswith("error") else 0)
    entry = said.startswith("error: runner ")
    assert [s for s in lines if s.startswith(f"{2 if entry else number}: {said}")
            or (entry and s.startswith("2") and said in s) or (entry and f": {said}" in s)], "\n".join(lines)


def test_several_runners(host):
    text = GOOD.replace("concurrent = 4", "concurrent = 1") + GOOD[GOOD.index("[[runners]]"):]
    lines = check(host, text, status=1)
    assert [s for s in lines if "gitlab-runner lets runners starve behind long polls" in s and "takes no slot" in s]
    assert [s for s in lines if "13: error: runner \"r\": this entry would be skipped: the entry in line 2 has the same url, token" in s]
    assert lines[-1] == " windlass would run 1 of 2 runners; 1 errors, 0 warnings"


def test_caches(host):
    lines = check(host, GOOD + "[runners.cache]\nServerAddress = \"x\"\n[runners.cache.s3]\nBucketName = \"b\"\n", status=0)
    assert [s for s in lines if s.startswith("14: warning: [runners.cache] ServerAddress: no effect: removed from gitlab-runner: write ServerAddress in [runners.cache.s3]")]
    assert [s for s in lines if "Type: it is missing, so [runners.cache.s3] is not looked at" in s]
    lines = check(host, GOOD + "[runners.cache]\nType = \"s3\"\n", status=1)
    assert [s for s in lines if s.startswith("14: error: [runners.cache.s3] BucketName: it is missing")]


def test_what_a_driver_needs(host):
    text = GOOD.replace('"none"', '"digitalocean"').replace('"url=tcp://192.0.2.1:2376"', '"digitalocean-size=s-1vcpu-1gb"')
    lines = check(host, text, status=1)
    assert [s for s in lines if "digitalocean driver requires the --digitalocean-access-token option; a variable of the service's environment may give it too" in s]
    check(host, text, status=0, DIGITALOCEAN_ACCESS_TOKEN="dop_v1_0123")
    lines = check(host, text.replace("digitalocean-size=s-1vcpu-1gb", "digitalocean-access-token=env:NOT_SET_HERE"), status=0)
    assert lines[-1].endswith("0 errors, 0 warnings")
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
    assert lines == ["13: error: this is not TOML: line 13, column 5: the array that begins here has no end; ] is missing",
                     " windlass would not run with this file; 1 errors, 0 warnings"]
    assert "line=13" in host.run("lint", check=1).stderr
    os.unlink(host.path)
    assert "No such file" in host.run("check", check=1).stderr and "No such file" in host.run("lint", check=1).stderr
    assert not os.path.exists(os.path.join(host.folder, ".runner_system_id"))


def test_lint_takes_unknown_keys_for_faults(host):
    host.write("unheard = 1\n" + GOOD)
    p = host.run("lint", check=1)
    assert "key=unheard" in p.stderr and "1 faults" in p.stderr
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
    """What we write ourselves draws no complaint."""
    runner = host.double.runner()
    host.register("--token", runner["token"], "--machine-machine-driver", "none", "--machine-machine-name", "x-%s",
                  "--machine-machine-options", "url=tcp://192.0.2.1:2376")
    assert host.run("check", check=0).stdout.splitlines() == [f"{host.path}: windlass would run 1 of 1 runners; 0 errors, 0 warnings"]
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
                 "digitalocean-size: s-1vcpu-1gb: 1 CPUs, 1024 MB", "digitalocean-image: debian-12-docker"):
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
