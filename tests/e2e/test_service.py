"""windlass as a service, and its upgrade under running jobs: on a bastion with a real systemd, and on a host without any.

What runs when the manager changes must go on, with every line of its log; nobody may be without an ear at GitLab for two seconds.
"""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import bastion as b
import world
from world import wait_until

@pytest.fixture(scope="module")
def host(rig, tmp_path_factory):
    h = b.Bastion(rig, "bastion.rig.test", tmp_path_factory.mktemp("bastion"))
    h.put(world.WINDLASS, b.HOME)
    h.put(world.WINDLASS, "/root/good")
    h.configure()
    # Short requests: what is looked for are pauses between them.
    rig.gitlab("PUT", "/settings", {"poll_seconds": 1})
    yield h
    rig.gitlab("PUT", "/settings", {"poll_seconds": 5})
    h("systemctl", "kill", "--kill-who=main", "--signal=TERM", "windlass", check=False)
    wait_until(lambda: h("systemctl", "is-active", "windlass", check=False).stdout.strip() not in ("active", "deactivating"), 60,
               "the service stopped")
    rig.clear_cloud()


@pytest.fixture
def service(host):
    """Installed and running, whatever the test before left."""
    host.put(world.WINDLASS, b.HOME)
    host("windlass", "install", "--replace", "--working-directory", "/")
    host("windlass", "restart")
    host.up()
    return host


@pytest.fixture
def gate(rig):
    g = b.Gate(rig)
    yield g
    g.close()


def test_a_service_from_install_to_uninstall(host):
    unit = "/etc/systemd/system/windlass.service"
    p = host("windlass", "start", check=False)
    assert p.returncode == 1 and "not installed" in p.said and "windlass install" in p.said
    p = host("windlass", "status", check=False)
    assert p.returncode == 1 and p.stderr == f"windlass: Service windlass is not installed, and nothing runs on {b.STATE}\n"
    host("windlass", "install", "--working-directory", "/")
    text = host("cat", unit).stdout
    assert f"ExecStart={b.HOME} run --config /etc/gitlab-runner/config.toml --working-directory / --service windlass --state-dir {b.STATE}\n" in text
    assert host("stat", "-c", "%a", unit).stdout.strip() == "644"
    assert host("windlass", "install", "--print", "--working-directory", "/").stdout == text
    # What is there already is no error, and what differs is somebody's.
    assert "already" in host("windlass", "install", "--working-directory", "/").said
    p = host("windlass", "install", "--working-directory", "/root", check=False)
    assert p.returncode == 1 and f"Init already exists: {unit}" in p.said and host("cat", unit).stdout == text
    assert host("systemctl", "is-enabled", "windlass").stdout.strip() == "enabled"
    verified = host("systemd-analyze", "verify", unit, check=False).said
    assert not [line for line in verified.splitlines() if "windlass" in line and "man windlass" not in line], verified
    p = host("windlass", "status", check=False)
    assert p.returncode == 1 and p.stderr.startswith("windlass: Service has stopped")
    host("windlass", "start")
    assert host("windlass", "status").stdout == "windlass: Service is running\n"
    # Scripts for the original call it so, and read its words.
    host("ln", "-sf", b.HOME, "/usr/local/bin/gitlab-runner")
    assert host("gitlab-runner", "status", "--service", "windlass").stdout == "gitlab-runner: Service is running\n"
    host("rm", "/usr/local/bin/gitlab-runner")
    known = host.unit("ActiveState", "MainPID", "StatusText", "WatchdogUSec", "WatchdogTimestampMonotonic")
    assert known["ActiveState"] == "active" and known["StatusText"] == "0 jobs, 0 machines" and known["WatchdogTimestampMonotonic"] != "0"
    assert host("windlass", "start").returncode == 0, "what runs goes on"
    assert host.main_pid() == int(known["MainPID"])
    exposure = re.search(r"Overall exposure level for windlass.service: ([0-9.]+)", host("systemd-analyze", "security", "--no-pager", "windlass").stdout)
    # it counts what the manager needs to make its roles nobody (2.7); those have nothing of it
    assert float(exposure[1]) <= 2.7, exposure[0]
    # A reload is done when the file has been read.
    before = host("journalctl", "-u", "windlass", "--no-pager").stdout.count("Configuration loaded")
    host("systemctl", "reload", "windlass")
    wait_until(lambda: host("journalctl", "-u", "windlass", "--no-pager").stdout.count("Configuration loaded") > before, 20, "the reload")
    host("windlass", "stop")
    p = host("windlass", "status", check=False)
    assert p.returncode == 1 and p.stderr == "windlass: Service has stopped\n"
    assert host.unit("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    host("windlass", "stop")
    host("windlass", "uninstall")
    assert host("systemctl", "cat", "windlass", check=False).returncode != 0
    assert "not installed" in host("windlass", "uninstall").said
    # Nobody's but ours is removed.
    host.write("[Service]\nExecStart=/usr/sbin/sshd -D\n", "/etc/systemd/system/other.service", 0o644)
    p = host("windlass", "uninstall", "--service", "other", check=False)
    assert p.returncode == 1 and "neither windlass" in p.said and host("test", "-e", "/etc/systemd/system/other.service").returncode == 0


def test_a_manager_that_hangs_is_started_again(service):
    host = service
    host.write("[Service]\nWatchdogSec=2\nRestartSec=1\n", "/etc/systemd/system/windlass.service.d/watchdog.conf", 0o644)
    host("systemctl", "daemon-reload")
    host("windlass", "restart")
    life = host.up()["life"]
    began = int(host.unit("NRestarts")["NRestarts"])
    # As long as its loop turns it says so.
    time.sleep(4)
    assert host.says()["life"] == life and int(host.unit("NRestarts")["NRestarts"]) == began
    host("kill", "-STOP", str(host.main_pid()))
    host.up(not_life=life)
    assert int(host.unit("NRestarts")["NRestarts"]) > began and "Watchdog timeout" in host.journal(60)
    host("rm", "-r", "/etc/systemd/system/windlass.service.d")
    host("systemctl", "daemon-reload")
    host("windlass", "restart")


def changed(host, what, blind=2.0, tries=1):
    """
    Does it; afterwards another manager is up, the same executors live, and somebody asked all the while. How long it
    takes systemd to start a process is not ours: on a busy host the better of some tries counts.
    """
    before, since, executors = host.says(), time.time(), host.executors()
    assert executors
    what()
    after = host.up(not_life=before["life"])
    assert host.executors() == executors, host.journal()
    if blind is not None:
        done = time.time()
        wait_until(lambda: any(r[0] > done for r in host.requests(since)), 30, "a request after the change")
        seen = host.blind(since - 10)
        if tries > 1 and max(after["blind_ms"] / 1000, seen) >= blind:
            return changed(host, what, blind, tries - 1)
        print(f"blind for {after['blind_ms']} ms by its own account; {seen:.3f} s between two requests at GitLab")
        assert 0 <= after["blind_ms"] < blind * 1000 and seen < blind
        assert after["adopted"] == 2 * len(executors), after
    return after


def test_jobs_go_on_whoever_is_the_manager(service, gate, tmp_path):
    host = service
    jobs = [gate.job(host.runner) for _ in range(2)]
    host.put(b.other_version(str(tmp_path / "new"), "9.9.9"), "/root/new")
    changed(host, lambda: host("systemctl", "restart", "windlass", timeout=40), tries=3)
    # The file is replaced by hand: the old way of the new.
    host.put(str(tmp_path / "new"), b.HOME)
    assert host.says()["version"] != "9.9.9"
    assert changed(host, lambda: host("windlass", "restart", timeout=40), tries=3)["version"] == "9.9.9"
    # Back, by upgrade; it says each step, and systemd sees no new process.
    p, pid = [], host.main_pid()
    assert changed(host, lambda: p.append(host("windlass", "upgrade", "/root/good")))["version"] != "9.9.9"
    steps = [line.split("  ")[0] for line in p[0].stderr.splitlines()]
    assert steps == ["It runs here", "It can run what is here", "Replaced; the old file is kept", "Handing over; running jobs go on", "Upgraded"], p[0].said
    assert "blind=" in p[0].stderr.splitlines()[-1] and "running=2" in p[0].stderr.splitlines()[-1]
    assert host("cmp", b.HOME + ".old", "/root/new").returncode == 0
    assert host.main_pid() == pid and host.unit("ActiveState") == {"ActiveState": "active"}
    # Killed: systemd starts it again after RestartSec.
    changed(host, lambda: host("kill", "-KILL", str(pid)), blind=None)
    wait_until(lambda: host.unit("ActiveState") == {"ActiveState": "active"}, 20, "the unit active")
    # As a host does that goes down: without an order the executors end, and the jobs do not.
    before = host.executors()
    host("kill", "-TERM", *map(str, before))
    wait_until(lambda: len(host.executors()) == 2 and not set(before) & set(host.executors()), 20, "other executors")
    gate.end(*jobs)


def test_a_new_version_that_does_not_come_up_goes_back(service, gate, tmp_path):
    host = service
    job = gate.job(host.runner)
    version = host.says()["version"]
    executors = host.executors()

    def refused(file, words, *more):
        life = host.says()["life"]
        p = host("windlass", "upgrade", file, *more, check=False)
        assert p.returncode == 1 and "Nothing was changed" in p.said and words in p.said, p.said
        assert host.says()["life"] == life and host("cmp", b.HOME, "/root/good").returncode == 0
        assert not [n for n in host("ls", "-A", "/usr/local/bin").stdout.split() if n.endswith(".new")]

    # What can be asked is asked before.
    refused("/root/not-there", "No such file")
    host.write("#!/bin/sh\necho windlass 9.9.9\n", "/root/script", 0o755)
    refused("/root/script", "no program")
    with open(world.WINDLASS, "rb") as f:
        data = bytearray(f.read())
    data[18] = 183      # e_machine: AArch64
    (tmp_path / "arm").write_bytes(data)
    host.put(str(tmp_path / "arm"), "/root/arm")
    refused("/root/arm", "is for arm64, this host is amd64")
    (tmp_path / "short").write_bytes(data[:18] + bytes([62]) + data[19:40000])
    host.put(str(tmp_path / "short"), "/root/short")
    refused("/root/short", "/root/short")
    refused("/usr/bin/true", "it runs, and is no windlass")
    # A state that the new one (here: an old one) cannot read.
    format = os.path.join(host.root, "var/lib/windlass/format")
    with open(format, "w") as f:
        f.write("7\n")
    refused("/root/good", "has format 7, and this windlass reads up to 1", )
    with open(format, "w") as f:
        f.write("1\n")
    # What cannot be asked is seen: one that ends at once, and one that never comes up.
    for when_run, seconds in (("return 1", "30"), ("for (;;) pause()", "6")):
        host.put(b.broken_version(str(tmp_path / "broken"), when_run), "/root/broken")
        life = host.says()["life"]
        p = host("windlass", "upgrade", "/root/broken", "--timeout", seconds, check=False)
        assert p.returncode == 1 and "the old one is put back" in p.said and "The old version runs again" in p.said, p.said + host.journal()
        after = host.up(not_life=life)
        assert after["version"] == version and host("cmp", b.HOME, "/root/good").returncode == 0
        assert host.executors() == executors, host.journal()
    gate.end(job)


def test_the_classic_upgrade(rig, service, gate, tmp_path):
    """SIGQUIT, poll `status`, replace, start: as deploy scripts for gitlab-runner do it."""
    host = service
    job = gate.job(host.runner)
    host("kill", "-QUIT", str(host.main_pid()))
    late = rig.job(["echo late"], runner=host.runner)
    assert host("windlass", "status").stdout == "windlass: Service is running\n", "it finishes its jobs"
    gate.end(job)
    wait_until(lambda: host("windlass", "status", check=False).returncode == 1, 60, "the end of the jobs")
    assert rig.state(late)["state"] == "pending"
    assert host.unit("ActiveState", "NRestarts")["ActiveState"] == "inactive", "an end that was asked for stays"
    host.put(b.other_version(str(tmp_path / "new"), "9.9.9"), b.HOME)
    host("windlass", "start")
    assert host.up()["version"] == "9.9.9"
    assert rig.ended(late, 60)["state"] == "success"


def test_a_reboot_waits_for_no_job(rig, service, gate):
    host = service
    job = gate.job(host.runner)
    life = host.says()["life"]
    rig("fault", "machine", host.name, "reboot")
    # Less than the 90 seconds that a process which does not listen costs.
    after = host.up(not_life=life, seconds=75)
    assert rig.state(job)["state"] == "running" and after["blind_ms"] >= 0, "the one before had left in peace"
    gate.end(job)
    # And is a manager like any other: what nobody needs goes.
    host.configure(IdleTime=1)
    wait_until(lambda: host("windlass", "machine", "ls", "-q").stdout.strip() == "", 60, "the machines gone")


def roles(host):
    """Every process of windlass in there: {pid: name}."""
    out = host("ps", "-eo", "pid=,comm=").stdout
    return {int(pid): comm for pid, comm in (line.split() for line in out.splitlines() if line.split()[1:]
                                              and (line.split()[1].startswith("windlass-") or line.split()[1] in ("windlass", "gitlab-runner")))}


def test_it_starts_whatever_directories_are_gone(service):
    """configuration.md F3: `rm -rf ~/.docker/machine` is what every thread about docker-machine tells people to do."""
    host = service
    host.configure(IdleCount=0)
    host("cp", "/etc/gitlab-runner/config.toml", "/root/kept.toml")
    host("mkdir", "-p", "/srv/gone")
    host("windlass", "install", "--replace", "--working-directory", "/srv/gone")
    host("windlass", "restart")
    host.up()
    host("windlass", "stop")
    for gone in (["/root/.docker/machine"], ["/root/.docker"], [b.STATE], ["/srv/gone"],
                 ["/root/.docker", b.STATE, "/srv/gone", "/etc/gitlab-runner"]):
        host("rm", "-rf", *gone)
        host("windlass", "start")
        host.up()
        assert host("windlass", "status").stdout == "windlass: Service is running\n", gone
        assert host("stat", "-c", "%U %a", gone[0]).stdout == "root 700\n", gone
        host("windlass", "stop")
    # An older unit has no step that makes them: then the program says what is wrong, or goes on.
    host("sh", "-c", "grep -v ^ExecStartPre= /etc/systemd/system/windlass.service >/root/old && cat /root/old >/etc/systemd/system/windlass.service && systemctl daemon-reload")
    host("rm", "-rf", "/srv/gone")
    host("windlass", "start")
    assert "going on in /" in host.journal(60)
    host("windlass", "stop")
    host("mkdir", "-p", "/etc/gitlab-runner")
    host("cp", "/root/kept.toml", "/etc/gitlab-runner/config.toml")
    host.configure()


def test_a_service_of_a_fresh_user_from_where_root_stands(service):
    """configuration.md F4: `install --init-user` from /root, with a user who has nothing yet."""
    host = service
    host("windlass", "stop")
    host("useradd", "-m", "ci")
    host("sh", "-c", "cd /root && windlass install --service wl2 --init-user ci")
    assert host("stat", "-c", "%U %a", "/home/ci/.docker", "/home/ci/.docker/machine", "/home/ci/config.toml", "/var/lib/wl2").stdout.splitlines() == \
        ["ci 700", "ci 700", "ci 600", "ci 700"]
    host("windlass", "start", "--service", "wl2")
    assert host("windlass", "status", "--service", "wl2").stdout == "windlass: Service is running\n"
    known = host.unit("ActiveState", "SubState", "NRestarts", "MainPID", name="wl2")
    assert (known["ActiveState"], known["SubState"], known["NRestarts"]) == ("active", "running", "0")
    assert host("ps", "-o", "user=", known["MainPID"]).stdout.split() == ["ci"]
    assert host("readlink", f"/proc/{known['MainPID']}/cwd").stdout == "/home/ci\n"
    host("windlass", "stop", "--service", "wl2")
    # All gone, and what an older install left behind: a directory on the way that only root can enter.
    host("rm", "-rf", "/home/ci/.docker", "/var/lib/wl2")
    host("mkdir", "-m", "700", "/home/ci/.docker")
    host("windlass", "start", "--service", "wl2")
    assert host("stat", "-c", "%U", "/home/ci/.docker", "/home/ci/.docker/machine", "/var/lib/wl2").stdout.split() == ["ci"] * 3
    host("windlass", "stop", "--service", "wl2")
    # The user's link leads root nowhere but to the user's own.
    host("rm", "-rf", "/home/ci/.docker")
    host("su", "ci", "-s", "/bin/sh", "-c", "ln -s /etc /home/ci/.docker")
    p = host("windlass", "install", "--service", "wl2", "--init-user", "ci", check=False)
    assert p.returncode == 1 and "leads out of that user's own directories" in p.said, p.said
    assert host("test", "-e", "/etc/machine", check=False).returncode != 0
    host("rm", "/home/ci/.docker")
    # What the user can never use is said before.
    host("sh", "-c", "cp /usr/local/bin/windlass /root/mine; chmod 700 /root; chown -R root:root /etc/gitlab-runner; "
         "chmod 700 /etc/gitlab-runner; chmod 600 /etc/gitlab-runner/config.toml")
    for argv, said in ((["--working-directory", "/root"], "ci cannot enter it"), (["--binary", "/root/mine"], "ci cannot execute /root/mine"),
                       (["--config", "/etc/gitlab-runner/config.toml"], "ci cannot read and write /etc/gitlab-runner/config.toml")):
        p = host("windlass", "install", "--service", "wl3", "--init-user", "ci", *argv, check=False)
        assert p.returncode == 1 and said in p.said, p.said
    host("windlass", "uninstall", "--service", "wl2")
    host("windlass", "uninstall", "--service", "wl3")


def test_commands_know_the_environment_of_the_service(service):
    """configuration.md F9: variables that only the service has, in a file that its unit names."""
    host = service
    config = "/etc/gitlab-runner/config.toml"
    text = host("cat", config).stdout
    token = re.search(r'^\s*token = "(.*)"', text, re.M)[1]
    host.write(text.replace(token, "$CI_TOKEN"), config)
    p = host("windlass", "check", check=False)
    assert p.returncode == 1 and "the variable CI_TOKEN is not set" in p.stdout, "the service has it not, and would skip the entry"
    host.write(f'# for the runner\nCI_TOKEN="{token}"\n', "/etc/default/windlass")
    p = host("windlass", "check", config)
    assert "CI_TOKEN" not in p.stdout and "would run 1 of 1 runner;" in p.stdout, p.stdout
    assert "is valid" in host("windlass", "verify", check=False).said
    assert token[-8:] not in host("windlass", "list").said
    # Another file is not the service's: then what this shell lacks is a warning.
    host("cp", config, "/root/other.toml")
    p = host("windlass", "check", "/root/other.toml")
    assert "warning: [[runners]] token: the variable CI_TOKEN is not set in this shell" in p.stdout
    # And by a drop-in.
    host("rm", "/etc/default/windlass")
    host.write(f"[Service]\nEnvironment=A=b CI_TOKEN={token}\n", "/etc/systemd/system/windlass.service.d/env.conf", 0o644)
    assert "would run 1 of 1 runner;" in host("windlass", "check").stdout
    host("rm", "-r", "/etc/systemd/system/windlass.service.d")
    host.configure()


def test_status_of_a_service_that_does_not_stay_up(service):
    """configuration.md F4: "activating (auto-restart)" is no running service."""
    host = service
    host("windlass", "stop")
    host.put(world.WINDLASS, "/root/good")
    host("cp", "/usr/bin/false", b.HOME + ".false")
    host("mv", b.HOME + ".false", b.HOME)
    host("systemctl", "start", "windlass", check=False)
    wait_until(lambda: host.unit("SubState")["SubState"] == "auto-restart", 30, "a service that is tried again")
    p = host("/root/good", "status", check=False)
    assert p.returncode == 1 and p.stdout == "" and "does not stay up" in p.stderr and "journalctl -u windlass" in p.stderr, p.said
    host("systemctl", "stop", "windlass")
    host.put(world.WINDLASS, b.HOME)
    host("systemctl", "reset-failed", "windlass", check=False)
    host("windlass", "start")


def test_killall_finds_the_manager_alone(service, gate):
    """The original's manual: `sudo killall -SIGQUIT gitlab-runner`. And signals to all processes harm nothing."""
    host = service
    host("windlass", "stop")
    host("windlass", "uninstall")
    host("ln", "-sf", b.HOME, "/usr/local/bin/gitlab-runner")
    host("gitlab-runner", "install", "--working-directory", "/")
    host("gitlab-runner", "start")
    host.up()
    pid = host.unit("MainPID", name="gitlab-runner")["MainPID"]
    assert host("pgrep", "-x", "gitlab-runner").stdout.split() == [pid]
    job = gate.job(host.runner)
    before = {p: n for p, n in roles(host).items() if n != "windlass-operat"}
    assert before[int(pid)] == "gitlab-runner" and {"windlass-poller", "windlass-execut", "windlass-report"} <= set(before.values()), before
    assert sum(n == "gitlab-runner" for n in before.values()) == 1
    # To everybody: the manager obeys, the others do not even notice.
    for sig in ("HUP", "USR1"):
        host("systemctl", "kill", "--kill-who=all", "-s", sig, "gitlab-runner")
        host("pkill", f"-{sig}", "windlass-")
    wait_until(lambda: "Machine" in host("journalctl", "-u", "gitlab-runner", "--no-pager").stdout, 20, "the list that USR1 asks for")
    after = roles(host)
    assert {p: after.get(p) for p in before} == before
    # The words of the manual, and the program itself.
    host.put(shutil.which("killall"), "/usr/bin/killall")
    host("killall", "-SIGQUIT", "gitlab-runner")
    host("systemctl", "kill", "--kill-who=all", "-s", "QUIT", "gitlab-runner")
    wait_until(lambda: host.says().get("state") == "draining", 20, "the graceful end")
    assert host("gitlab-runner", "status").stdout == "gitlab-runner: Service is running\n"
    assert {p for p, n in before.items() if n in ("windlass-execut", "windlass-report")} <= set(roles(host))
    gate.end(job)
    wait_until(lambda: host("gitlab-runner", "status", check=False).returncode == 1, 60, "its end")
    host("gitlab-runner", "uninstall")
    host("rm", "/usr/local/bin/gitlab-runner")


# ---- without a service manager ----

def test_upgrade_of_a_process_that_nobody_supervises(windlass, gate, tmp_path):
    """On a host without an init system: the running process becomes the new one, and when that fails it is started again as it was."""
    w = windlass(IdleTime=2)
    exe = tmp_path / "bin" / "windlass"
    exe.parent.mkdir()
    exe.write_bytes(open(world.WINDLASS, "rb").read())
    exe.chmod(0o755)
    new, broken = b.other_version(str(tmp_path / "new"), "9.9.9"), str(tmp_path / "broken")
    with open(w.log, "ab") as log:
        p = subprocess.Popen([str(exe), "run", "--config", w.config, "--state-dir", w.state], env=w.environ, stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log, start_new_session=True)
    w.process = p
    try:
        job = gate.job(w.runner)
        executors = w.roles("executor")
        said = w.run("upgrade", new, "--state-dir", w.state, check=False)
        assert said.returncode == 0 and "Upgraded" in said.stderr, said.stderr + w.text()[-2000:]
        assert p.poll() is None and w.roles("executor") == executors
        assert subprocess.run([exe, "version"], stdout=subprocess.PIPE, text=True).stdout.splitlines()[5] == "Built:        windlass 9.9.9"
        b.broken_version(broken, "return 1", world.WINDLASS)
        said = w.run("upgrade", broken, "--state-dir", w.state, "--timeout", "20", check=False)
        assert said.returncode == 1 and "The old version runs again" in said.stderr, said.stderr + w.text()[-2000:]
        assert exe.read_bytes() == open(new, "rb").read()
        assert w.roles("executor") == executors and len(w.roles("manager")) == 1
        gate.end(job)
        w.until_empty()
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        w.process = None


def test_restart_of_a_process_that_nobody_supervises(windlass):
    w = windlass()
    w.start()
    wait_until(lambda: "Configuration loaded" in w.text(), 10, "the start")
    pid = w.process.pid
    said = w.run("restart", "--state-dir", w.state, check=False)
    assert said.returncode == 0 and f"pid={pid}" in said.stderr, said.stderr
    assert w.text().count("Took over from the manager before") == 1 and w.process.poll() is None
    # To end without its jobs: the two signals together.
    w.kill(signal.SIGQUIT)
    w.kill(signal.SIGUSR2)
    assert w.wait(20) == 0
    said = w.run("restart", "--state-dir", w.state, check=False)
    assert said.returncode == 1, said.stderr


def test_upgrade_where_nothing_runs(tmp_path):
    target = tmp_path / "windlass"
    target.write_bytes(open(world.WINDLASS, "rb").read())
    target.chmod(0o755)
    new = b.other_version(str(tmp_path / "new"), "9.9.9")
    argv = ["--state-dir", str(tmp_path / "state"), "--storage-path", str(tmp_path / "store"), "--config", str(tmp_path / "c.toml")]

    def run(*more):
        return subprocess.run([world.WINDLASS, "upgrade", *more, *argv], stderr=subprocess.PIPE, text=True)
    p = run("--verify")
    assert p.returncode == 0 and "It can run what is here" in p.stderr
    (tmp_path / "c.toml").write_text("concurrent = \n")
    p = run(new, "--target", str(target))
    assert p.returncode == 1 and "line 1" in p.stderr and "Nothing was changed" in p.stderr and sorted(os.listdir(tmp_path)) == ["c.toml", "new", "windlass"]
    (tmp_path / "c.toml").write_text("concurrent = 1\n")
    p = run(new, "--target", str(target))
    assert p.returncode == 0 and "Nothing runs here" in p.stderr, p.stderr
    assert target.read_bytes() == open(new, "rb").read() and (tmp_path / "windlass.old").read_bytes() == open(world.WINDLASS, "rb").read()
    assert os.access(target, os.X_OK)


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="this host has a service manager")
def test_without_an_init_system_that_is_said(tmp_path):
    for verb in ("install", "start", "restart", "uninstall"):
        p = subprocess.run([world.WINDLASS, verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={"PATH": os.environ["PATH"], "WINDLASS_STATE_DIR": str(tmp_path), "HOME": str(tmp_path)})
        assert p.returncode == 1 and "no init system here" in p.stderr and "windlass run --config" in p.stderr, (verb, p.stderr)


def script(tmp_path, init):
    path = tmp_path / f"script.{init}"
    text = subprocess.run([world.WINDLASS, "install", "--print", "--init", init, "--service", "rigtest", "--config", str(tmp_path / "c.toml"),
                           "--working-directory", "/", "--state-dir", str(tmp_path / "a state's"), "--storage-path", str(tmp_path / "store")],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    path.write_text(text)
    return str(path), text


@pytest.mark.parametrize("init", ["openrc", "sysv"])
def test_scripts_are_scripts(tmp_path, init):
    path, text = script(tmp_path, init)
    p = subprocess.run(["sh", "-n", path], stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0 and p.stderr == "" and "Written by `windlass install`" in text


def test_the_sysv_script(tmp_path):
    """start, status, restart, reload and stop by the script alone, with /var/log and /etc/default of its own."""
    path, _ = script(tmp_path, "sysv")
    (tmp_path / "c.toml").write_text("concurrent = 1\n")
    for d in ("log", "default"):
        (tmp_path / d).mkdir()

    def do(verb):
        return subprocess.run(["unshare", "--mount", "sh", "-c", f"mount --bind {tmp_path}/log /var/log && mount --bind {tmp_path}/default /etc/default && exec sh {path} {verb}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    lock = tmp_path / "a state's" / "manager.lock"
    try:
        assert do("status").returncode == 3
        p = do("start")
        assert p.returncode == 0, p.stdout
        assert do("status").returncode == 0
        pid = lock.read_text()
        assert do("start").returncode == 0 and lock.read_text() == pid
        assert do("reload").returncode == 0
        log = tmp_path / "log" / "rigtest.log"
        wait_until(lambda: log.read_text().count("Configuration loaded") == 2, 10, "the reload")
        p = do("restart")
        assert p.returncode == 0, p.stdout
        assert do("status").returncode == 0 and lock.read_text() != pid
        p = do("stop")
        assert p.returncode == 0, p.stdout
        assert do("status").returncode == 3
        assert do("nonsense").returncode == 2
    finally:
        subprocess.run([world.WINDLASS, "service-stop", "--abort", "--state-dir", str(lock.parent)])
