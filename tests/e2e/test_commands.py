"""The operator's commands about runners and their file, against the GitLab double alone.

config.toml is the operator's: what tests compare is the whole file, byte for byte.
"""

import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

from operator_host import WINDLASS, Terminal, double, free_port, host  # noqa: F401 (fixtures)

# The file of an operator who cares for it: comments, odd spacing, keys of tomorrow, a runner of another kind.
MINE = """# The bastion of team A.  Ask before you touch it.
concurrent   = 7          # seven is enough
check_interval=3

unknown_key = { of = "tomorrow" }

# Team A's runner
[[runners]]
    name   = 'a'
    url    = "%(url)s/"
    token  = "%(token)s" # rotated in March
    id = %(id)d
    tls-ca-file = "%(ca)s"
    executor = "docker+machine"
    future_key = [1,
        2,   # two
    ]
    [runners.docker]
        image = "alpine:3"	# a tab before this
    [runners.machine]
        MachineDriver = "none"
        MachineName   = "a-%%s"

# Team B's runner, to go some day
[[runners]]
name = "b"
url = "%(url)s"
token = "%(token_b)s"
tls-ca-file = "%(ca)s"
executor = "docker+machine"
[runners.docker]
image = "alpine"
[runners.machine]
MachineDriver = "none"
MachineName = "b-%%s"

[session_server]
  session_timeout = 900
# the end"""


def mine(host, **more):
    a, b = host.double.runner(description="a"), host.double.runner(description="b")
    values = {"url": host.double.url, "ca": host.double.ca, "token": a["token"], "id": a["id"], "token_b": b["token"], **more}
    return host.write(MINE % values), a, b


# -- register ---------------------------------------------------------------


def test_register_by_created_token(host):
    runner = host.double.runner()
    p = host.register("--token", runner["token"], "--name", "bastion", "--limit", "5")
    assert "Runner registered successfully" in p.stderr and p.stdout == ""
    assert f'Configuration (with the authentication token) was saved in "{host.path}"' in p.stderr
    assert runner["token"] not in p.said
    entry = host.toml()["runners"][0]
    assert (entry["name"], entry["id"], entry["token"], entry["limit"]) == ("bastion", runner["id"], runner["token"], 5)
    assert entry["executor"] == "docker+machine" and entry["docker"]["volumes"] == ["/cache"]
    assert entry["token_expires_at"].year == 1 and entry["token_obtained_at"].year > 2020
    assert entry["machine"]["MachineOptions"] == []
    assert os.stat(host.path).st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[sr]_[0-9a-zA-Z]{12}", host.system_id())
    assert list(host.double.shown(runner["id"])["managers"]) == [host.system_id()]
    assert [f for f in host.files() if f.endswith(".tmp")] == []
    host.run("verify", check=0)


def test_register_makes_the_directory(host):
    host.path = os.path.join(host.folder, "etc", "gitlab-runner", "config.toml")
    host.register("--token", host.double.runner()["token"])
    assert os.stat(os.path.dirname(host.path)).st_mode & 0o777 == 0o700
    assert host.toml()["concurrent"] == 1


def test_register_by_registration_token(host):
    token = host.double.secret("registration_token")
    p = host.register("-r", token, "--description", "old way", "--tag-list", "x,y", "--maximum-timeout", "3600",
                      "--maintenance-note", "call us", "--access-level", "ref_protected", "--paused")
    entry = host.toml()["runners"][0]
    shown = host.double.shown(entry["id"])
    assert shown["description"] == "old way" and shown["tags"] == ["x", "y"] and shown["paused"]
    assert not shown["run_untagged"] and shown["registered"]
    assert entry["name"] == "old way" and token not in host.text() and entry["token"] not in p.said


def test_registration_token_prefixed_as_created_goes_the_created_way(host):
    runner = host.double.runner()
    p = host.register("-r", runner["token"], "--tag-list", "x")
    assert host.toml()["runners"][0]["token"] == runner["token"]
    assert "--tag-list" in p.stderr and "without effect" in p.stderr


def test_created_token_refuses_what_the_server_decides(host):
    p = host.register("--token", host.double.runner()["token"], "--tag-list", "x", "--locked=false", check=1)
    assert "--tag-list, --locked" in p.stderr
    assert not os.path.exists(host.path)


def test_tokens_with_an_instance_prefix(host):
    token = "acme-glrt-t1_" + "a" * 20
    runner = host.double.runner(token=token)
    host.register("--token", token)
    assert host.toml()["runners"][0]["id"] == runner["id"]
    host.run("unregister", "--all-runners", check=0)
    # Only this host went: the runner is another's too.
    assert host.double.shown(runner["id"])["managers"] == {} and not host.double.shown(runner["id"])["deleted"]


def test_register_a_runners_old_token_is_verified_only(host):
    host.register("-r", host.double.secret("registration_token"), "--name", "one")
    token = host.toml()["runners"][0]["token"]
    os.unlink(host.path)
    p = host.register("--token", token, "--name", "again")
    assert host.toml()["runners"][0]["token"] == token and "-r" in p.stderr


@pytest.mark.parametrize("options, reason", [
    (["--token", "glrt-t1_wrongwrongwrongwrong"], "GitLab does not know this token"),
    (["-r", "GR1348941wrong"], "forbidden (check registration token)"),
    (["--token", "glrt-with blank"], "--token holds a blank"),
    ([], "--registration-token or $REGISTRATION_TOKEN is missing"),
    (["-r", "GR1348941x", "--access-level", "everybody"], "--access-level everybody"),
    (["--token", "glrt-x", "--executor", "shell"], "--executor shell: windlass runs docker+machine"),
    (["--token", "glrt-x", "--docker-image", ""], "--docker-image or $DOCKER_IMAGE is missing"),
    (["--token", "glrt-x", "--unhealthy-interval", "often"], "--unhealthy-interval needs a duration"),
    (["--token", "glrt-x", "--machine-idle-nodes", "many"], "--machine-idle-nodes needs a whole number"),
    (["--token", "glrt-x", "--tokn", "y"], "unknown option --tokn"),
    (["--token", "glrt-x", "word"], '"word" is no option'),
    (["--token", "glrt-x", "--template-config", "/nowhere.toml"], "--template-config: open /nowhere.toml"),
    (["--token", "glrt-x", "--docker-sysctls", "noequals"], "--docker-sysctls needs name=value"),
    (["--token", "glrt-x", "--feature-flags", '{"FF_X": tru}'], "--feature-flags: JSON line 1, column 13"),
])
def test_register_refuses(host, options, reason):
    p = host.register(*options, check=1)
    assert reason in p.stderr, p.stderr
    assert "wrongwrong" not in p.said
    assert not os.path.exists(host.path)


def test_registration_disallowed_says_what_to_do(host):
    host.double.control("PUT", "/settings", {"allow_registration": False})
    p = host.register("-r", host.double.secret("registration_token"), check=1)
    assert "create a runner there and register with its token (glrt-...)" in p.stderr


def test_register_validation_error_of_the_server(host):
    p = host.register("-r", host.double.secret("registration_token"), "--maximum-timeout", "60", check=1)
    assert "needs to be at least 10 minutes" in p.stderr and not os.path.exists(host.path)


def test_every_flag_of_the_table_and_its_variable(host):
    """Each option in --help is taken; each variable lands where its option does."""
    text = host.run("register", "--help", check=0).stdout
    entry_part = text[text.index("For [[runners]]"):]
    # A line that begins further right than options do goes on with the one before.
    entry_part = re.sub(r"\n {9,}", "  ", entry_part)
    rows = re.findall(r"^ +(?:-\w, )?--([\w-]+)(?: (\S+))? {2,}(.*?)(?: +\[\$(\w+)\])?$", entry_part, re.M)
    assert len(rows) > 120
    skip = {"url", "token", "name", "executor", "docker-image", "tls-ca-file", "tls-cert-file", "tls-key-file"}
    special = {"docker-services_devices": '{"redis": ["/dev/x"]}'}
    by_kind = {"": "true", "N": "7", "NUMBER": "1.5", "DURATION": "1h", "NAME=VALUE": "n=v", "NAME=true|false": "FF_X=true"}
    options, environ = [], {}
    for name, kind, _help, variable in rows:
        if name in skip:
            continue
        value = special.get(name) or by_kind.get(kind, "v")
        options.append(f"--{name}={value}")
        if variable:
            environ[variable] = value
    runner = host.double.runner()
    host.register("--token", runner["token"], *options)
    by_options = host.toml()
    os.unlink(host.path)
    without = [o for o in options if o.split("=")[0][2:] in ("unhealthy-interval", "docker-container-labels", "docker-enable-ipv6", "docker-network-mtu")]
    host.register("--token", runner["token"], *without, **environ)
    by_variables = host.toml()
    for made in (by_options, by_variables):
        del made["runners"][0]["token_obtained_at"]
    assert by_variables == by_options
    entry = by_options["runners"][0]
    assert entry["docker"]["userns_mode"] == "v" and entry["docker"]["sysctls"] == {"n": "v"}
    assert entry["docker"]["services_devices"] == {"redis": ["/dev/x"]} and entry["feature_flags"] == {"FF_X": True}
    assert entry["cache"]["s3"]["RoleARN"] == "v" and entry["cache"]["MaxUploadedArchiveSize"] == 7
    assert entry["machine"]["IdleCount"] == 7 and entry["machine"]["IdleScaleFactor"] == 1.5
    assert entry["custom_build_dir"]["enabled"] is True and entry["environment"] == ["v"]
    assert entry["docker"]["volumes"] == ["v", "/cache"] or entry["docker"]["volumes"] == ["v"]


def test_variables_lists_and_who_wins(host):
    runner = host.double.runner()
    host.register("--docker-volumes", "/mine/cache", "--docker-privileged", "true", "--machine-machine-options", "a=b,c",
                  "--machine-machine-options", "d", CI_SERVER_TOKEN=runner["token"], DOCKER_VOLUMES="/env",
                  DOCKER_DNS="1.1.1.1,8.8.8.8", RUNNER_NAME="by variable", FEATURE_FLAGS='{"FF_A": true, "FF_B": false}',
                  DOCKER_SYSCTLS="a.b=1,c.d=2")
    entry = host.toml()["runners"][0]
    assert entry["name"] == "by variable"
    assert entry["docker"]["volumes"] == ["/mine/cache"]
    assert entry["docker"]["dns"] == ["1.1.1.1", "8.8.8.8"] and entry["docker"]["privileged"] is True
    assert entry["machine"]["MachineOptions"] == ["a=b,c", "d"]
    assert entry["feature_flags"] == {"FF_A": True, "FF_B": False}
    assert entry["docker"]["sysctls"] == {"a.b": "1", "c.d": "2"}


TEMPLATE = """concurrent = 99   # ignored
[[runners]]
  token = "not-this-one"
  limit = 3
  output_limit = 100
  [runners.docker]
    privileged = true
    volumes = ["/data:/data", "/deep/cache"]
    tmpfs = { "/run" = "rw" }
    [[runners.docker.services]]
      name = "redis:7"
      alias = 'cache'
  [runners.machine]
    IdleCount = 4
    MachineDriver = "none"
    MachineName = "t-%s"
    MachineOptions = [
      "none-url=tcp://192.0.2.1:2376",   # a comment
    ]
    [[runners.machine.autoscaling]]
      Periods = ["* * 9-17 * * mon-fri *"]
      IdleCount = 9
  [runners.labels]
    team = "a"
  [runners.kubernetes]
    namespace = "not ours"
  [runners.of_tomorrow]
    deep.key = 1
"""


def test_template(host):
    template = os.path.join(host.folder, "template.toml")
    with open(template, "w", encoding="utf-8") as f:
        f.write(TEMPLATE)
    runner = host.double.runner()
    host.register("--token", runner["token"], "--limit", "8", "--docker-privileged=false", "--machine-machine-name", "flag-%s",
                  TEMPLATE_CONFIG_FILE=template)
    made = host.toml()
    entry = made["runners"][0]
    assert made["concurrent"] == 1 and entry["token"] == runner["token"]
    assert entry["limit"] == 8 and entry["output_limit"] == 100
    # A template's true stands against false, which cannot be told from nothing said.
    assert entry["docker"]["privileged"] is True
    assert entry["docker"]["volumes"] == ["/data:/data", "/deep/cache"] and entry["docker"]["tmpfs"] == {"/run": "rw"}
    assert entry["docker"]["services"] == [{"name": "redis:7", "alias": "cache"}]
    assert entry["machine"]["MachineName"] == "flag-%s" and entry["machine"]["IdleCount"] == 4
    assert entry["machine"]["MachineOptions"] == ["none-url=tcp://192.0.2.1:2376"]
    assert entry["machine"]["autoscaling"] == [{"Periods": ["* * 9-17 * * mon-fri *"], "IdleCount": 9}]
    assert entry["labels"] == {"team": "a"} and entry["of_tomorrow"] == {"deep": {"key": 1}}
    assert "kubernetes" not in entry


def test_template_of_two_entries_is_refused(host):
    template = os.path.join(host.folder, "template.toml")
    with open(template, "w", encoding="utf-8") as f:
        f.write("[[runners]]\n[[runners]]\n")
    p = host.register("--token", "glrt-x", "--template-config", template, check=1)
    assert "exactly one [[runners]] entry, not 2" in p.stderr


def test_register_keeps_the_operators_file(host):
    before, _, _ = mine(host)
    runner = host.double.runner()
    p = host.register("--token", runner["token"], "--limit", "9")
    after = host.text()
    assert after.startswith(before + "\n\n[[runners]]\n")
    assert "above concurrent" in p.stderr
    assert [r["name"] for r in host.toml()["runners"]][:2] == ["a", "b"]
    p = host.run("unregister", "--token", runner["token"], check=0)
    assert host.text() == before


def test_same_token_twice_is_said(host):
    runner = host.double.runner()
    host.register("--token", runner["token"])
    p = host.register("--token", runner["token"])
    assert "is in the file already" in p.stderr and len(host.toml()["runners"]) == 2


def test_two_registers_at_once_lose_nothing(host):
    runners = [host.double.runner() for _ in range(6)]
    done = [None] * len(runners)

    def go(i):
        done[i] = host.register("--token", runners[i]["token"], "--name", f"r{i}", check=None)
    threads = [threading.Thread(target=go, args=(i,)) for i in range(len(runners))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [p.returncode for p in done] == [0] * len(runners), [p.stderr for p in done]
    assert sorted(r["token"] for r in host.toml()["runners"]) == sorted(r["token"] for r in runners)


def test_a_command_waits_for_the_lock(host):
    mine(host)
    with open(os.path.join(host.folder, ".windlass-config.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        p = subprocess.Popen(host.argv("unregister", "--name", "b"), env=host.environ, stderr=subprocess.PIPE, text=True)
        line = ""
        while "Waiting for another command" not in line:
            line = p.stderr.readline()
            assert line, "it did not wait"
        assert len(host.toml()["runners"]) == 2
    assert p.wait(30) == 0, p.stderr.read()
    p.stderr.close()
    assert [r["name"] for r in host.toml()["runners"]] == ["a"]


# -- interactive ------------------------------------------------------------


def test_interactive_created_token(host):
    runner = host.double.runner()
    t = Terminal(host, *host.argv("register", "--tls-ca-file", host.double.ca))
    t.answer("Enter the GitLab instance URL", "")
    t.read("An answer is needed")
    # configuration.md section 4, 1: the first answer is refused before the next question.
    t.answer("Enter the GitLab instance URL", "gitlab.example")
    t.read("does not begin with a scheme")
    t.answer("Enter the GitLab instance URL", f"https://127.0.0.1:{free_port()}")
    t.read("No GitLab instance answers there")
    t.answer("Enter the GitLab instance URL", "  " + host.double.url + "/ ")
    t.answer("Enter the authentication token", "glrt-with a blank")
    t.read("This is no token: it holds a blank")
    t.answer("Enter the authentication token", runner["token"])
    t.answer("Enter a name for the runner", "by hand")
    t.answer("Enter an executor: docker+machine:", "kubernetes")
    t.answer("Enter an executor: docker+machine:", "docker+machine")
    t.answer("Enter the default Docker image", "")
    for wrong in ("https://registry.example.com/ruby", "Ruby", "ruby:"):
        t.answer("Enter the default Docker image", wrong)
        t.read("This is no image")
    t.answer("Enter the default Docker image", "ruby:3")
    assert t.end() == 0, t.seen
    entry = host.toml()["runners"][0]
    assert (entry["name"], entry["url"], entry["docker"]["image"]) == ("by hand", host.double.url + "/", "ruby:3")
    assert "Next: in [runners.machine]" in t.seen and "MachineDriver, MachineName, MachineOptions" in t.seen
    assert "concurrent is 1" in t.seen and "IdleTime is 0" in t.seen


def test_interactive_unknown_authority_is_said_before_the_token(host):
    """configuration.md section 4, 1: with the option that helps."""
    t = Terminal(host, *host.argv("register"))
    t.answer("Enter the GitLab instance URL", host.double.url)
    t.read("--tls-ca-file")
    assert t.end() == 1 and "authentication token" not in t.seen and not os.path.exists(host.path)


def test_next_names_only_what_is_missing(host):
    runner = host.double.runner()
    p = host.register("--token", runner["token"], "--machine-machine-driver", "none", "--machine-machine-name", "x-%s",
                      "--machine-machine-options", "url=tcp://192.0.2.1:2376", "--machine-idle-time", "600")
    assert "Next:" not in p.stderr and "IdleTime is 0" not in p.stderr
    p = host.register("--token", host.double.runner()["token"], "--machine-machine-driver", "none")
    assert "missing=MachineName, MachineOptions" in p.stderr.replace('"', "")


def test_flags_of_other_executors_are_taken_and_dropped(host):
    """configuration.md D: the most used Ansible role passes them whatever the executor is."""
    runner = host.double.runner()
    p = host.register("--ssh-user", "", "--ssh-port", "", "--ssh-disable-strict-host-key-checking", "false", "--kubernetes-privileged",
                      "--kubernetes-namespace=x", "--custom-run-exec", "/bin/run", "--virtualbox-disable-snapshots", "true", "--parallels-base-name", "b",
                      "--kubernetes-build-container-security-context-run-as-non-root", "--token", runner["token"], "--docker-image", "ruby:3")
    assert p.stderr.count("have no effect: windlass runs docker+machine") == 1 and "--ssh-user, --ssh-port, --ssh-disable" in p.stderr
    entry = host.toml()["runners"][0]
    assert entry["token"] == runner["token"] and entry["docker"]["image"] == "ruby:3"
    assert not {"ssh", "kubernetes", "custom", "virtualbox", "parallels"} & set(entry)
    # The file of an unknown authority, for these two.
    host.write(host.text().replace(f'tls-ca-file = "{host.double.ca}"', ""))
    host.run("verify", check=1)
    host.run("verify", "--tls-ca-file", host.double.ca, check=0)
    host.run("unregister", "--all-runners", "--tls-ca-file", host.double.ca, check=0)


def test_interactive_defaults_stand_in_brackets(host):
    token = host.double.secret("registration_token")
    t = Terminal(host, *host.argv("register", "--tls-ca-file", host.double.ca, "--url", host.double.url, "-r", token, "--docker-image", "alpine"))
    t.answer(f"[{host.double.url}]: ", "")
    t.answer(f"[{socket.gethostname()}]: ", "")
    t.answer("Enter tags for the runner", "p,q")
    t.answer("Enter optional maintenance note", "")
    t.answer("[docker+machine]: ", "")
    t.answer("[alpine]: ", "")
    assert t.end() == 0, t.seen
    entry = host.toml()["runners"][0]
    assert entry["name"] == socket.gethostname() and host.double.shown(entry["id"])["tags"] == ["p", "q"]


def test_interactive_wrong_token_is_said_before_more_is_asked(host):
    t = Terminal(host, *host.argv("register", "--tls-ca-file", host.double.ca, "--url", host.double.url))
    t.answer("]: ", "")
    t.answer("Enter the authentication token", "glrt-t1_nobodyknowsthisone")
    t.read("GitLab does not know this token")
    assert t.end() == 1 and "Enter a name" not in t.seen


def test_interrupted_registration_is_taken_back(host):
    token = host.double.secret("registration_token")
    t = Terminal(host, *host.argv("register", "--tls-ca-file", host.double.ca, "--url", host.double.url, "-r", token))
    t.answer("]: ", "")
    t.answer("Enter a description", "")
    t.answer("Enter tags", "")
    t.answer("Enter optional", "")
    t.read("succeeded")
    t.read("Enter an executor")
    number = max(r["id"] for r in host.double.control("GET", "/runners"))
    os.write(t.fd, b"\x03")
    assert t.end() == 1, t.seen
    assert "taken back" in t.seen and host.double.shown(number)["deleted"]
    assert not os.path.exists(host.path)


def test_interrupted_registration_may_be_left(host):
    token = host.double.secret("registration_token")
    t = Terminal(host, *host.argv("register", "--tls-ca-file", host.double.ca, "--url", host.double.url, "-r", token, "--leave-runner"))
    for question in ("]: ", "Enter a description", "Enter tags", "Enter optional"):
        t.answer(question, "")
    t.read("Enter an executor")
    number = max(r["id"] for r in host.double.control("GET", "/runners"))
    os.kill(t.pid, signal.SIGTERM)
    assert t.end() == 1 and not host.double.shown(number)["deleted"]


def test_end_of_input_is_fatal_with_a_hint(host):
    p = host.run("register", check=1)
    assert "--non-interactive" in p.stderr
    runner = host.double.runner()
    answers = f"{host.double.url}\n{runner['token']}\nname\n\nalpine\n"
    host.run("register", "--tls-ca-file", host.double.ca, text=answers, check=0)
    assert host.toml()["runners"][0]["name"] == "name"


# -- unregister, verify, list, reset-token -----------------------------------


def test_unregister_by_name_keeps_the_rest(host):
    before, a, b = mine(host)
    host.run("verify", check=0)
    p = host.run("unregister", "--name", "b", check=0)
    assert "Unregistering runner manager from GitLab succeeded" in p.stderr and "Updated" in p.stderr
    start, end = before.index('[[runners]]\nname = "b"'), before.index("[session_server]")
    assert host.text() == before[:start] + "\n" + before[end:]
    assert host.double.shown(b["id"])["managers"] == {} and not host.double.shown(b["id"])["deleted"]
    assert host.double.shown(a["id"])["managers"] != {}


def test_unregister_a_registered_runner_deletes_it(host):
    host.register("-r", host.double.secret("registration_token"))
    entry = host.toml()["runners"][0]
    p = host.run("unregister", "--token", entry["token"], "--url", host.double.url, check=0)
    assert "Unregistering runner from GitLab succeeded" in p.stderr
    assert host.double.shown(entry["id"])["deleted"] and "runners" not in host.toml()


def test_unregister_what_gitlab_has_forgotten(host):
    before, _, _ = mine(host)
    # No host was ever seen under the token: 404.
    host.run("unregister", "--name", "a", check=0)
    assert [r["name"] for r in host.toml()["runners"]] == ["b"]


def test_unregister_refused_token_keeps_the_entry(host):
    before, a, _ = mine(host)
    host.double.control("DELETE", f"/runners/{a['id']}")
    p = host.run("unregister", "--name", "a", check=1)
    assert "verify --delete" in p.stderr and host.text() == before


def test_unregister_all_tells_of_failures(host):
    before, a, _ = mine(host)
    host.double.control("DELETE", f"/runners/{a['id']}")
    p = host.run("unregister", "--all-runners", check=1)
    assert "1 of 2 runners could not be unregistered" in p.stderr
    assert [r["name"] for r in host.toml()["runners"]] == ["a"]


def test_unregister_asks_which(host):
    before, _, _ = mine(host)
    assert "which one?" in host.run("unregister", "--url", host.double.url, check=1).stderr
    assert "no such runner" in host.run("unregister", "--name", "nobody", check=1).stderr
    assert host.text() == before


def test_verify_tells_an_outage_from_a_bad_token(host):
    before, a, b = mine(host)
    assert host.run("verify", check=0).stderr.count("is valid") == 2
    host.double.control("DELETE", f"/runners/{a['id']}")
    p = host.run("verify", check=1)
    assert p.stderr.count("is valid") == 1 and "is not valid" in p.stderr and host.text() == before
    # One away: nothing is known, nothing is removed.
    host.double.away()
    p = host.run("verify", "--delete", check=1)
    assert p.stderr.count("could not be verified") >= 2 and host.text() == before
    host.double.back()
    p = host.run("verify", "--delete", check=0)
    assert [r["name"] for r in host.toml()["runners"]] == ["b"] and "future_key" not in host.text()
    assert host.text().startswith("# The bastion of team A.  Ask before you touch it.\nconcurrent   = 7          # seven")


# Not GitLab's word on a token: (status, body, type).
NOT_ITS_WORD = [
    (403, {"message": "You cannot perform write operations on a read-only instance"}, None),
    (403, {"message": "GitLab is undergoing maintenance"}, None),
    (403, {"message": "Forbidden"}, None),
    (403, {"message": "403 Forbidden - Your IP address is not allowed"}, None),
    (403, {"error": "403 Forbidden"}, None),
    (403, {"error": "insufficient_scope"}, None),
    (403, "<html><title>403 Forbidden</title></html>", "text/html"),
    (403, "403 Forbidden", "text/plain"),
    (403, "", "application/json"),
    (401, {"message": "401 Unauthorized"}, None),
    (401, "<html>sign in</html>", "text/html"),
    (407, {"message": "403 Forbidden"}, None),
    (404, {"error": "404 Not Found"}, None),
    (404, "<html>deploy in progress</html>", "text/html"),
    (404, "default backend - 404", "text/plain"),
    (302, "", "text/html"),
    (200, "<html>Welcome to our WLAN</html>", "text/html"),
    (511, "<html>Network Authentication Required</html>", "text/html"),
]


@pytest.mark.broken_peer
@pytest.mark.parametrize("status, body, kind", NOT_ITS_WORD)
def test_only_gitlabs_own_word_ends_a_token(host, status, body, kind):
    """F1, F5: who says no on the way, or for another reason, removes nothing."""
    before, _, _ = mine(host)
    fault = {"what": "status", "code": status, "body": body, "count": 1000}
    if kind:
        fault["content_type"] = kind
    if status == 302:
        fault["headers"] = {"Location": "https://portal.example/login"}
    host.double.control("POST", "/fault", {**fault, "path": "*"})
    p = host.run("verify", "--delete", "--name", "a", check=1)
    assert "could not be verified" in p.stderr and "is not valid" not in p.stderr and host.text() == before
    p = host.run("unregister", "--name", "a", check=1)
    assert "its entry stays" in p.stderr and "verify --delete" not in p.stderr and host.text() == before
    p = host.run("reset-token", "--name", "a", check=1)
    assert host.text() == before
    assert "refuses the token" not in host.run("check", "--online").said


class Refusing:
    """A proxy that answers every CONNECT with one thing."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            with conn:
                conn.recv(65536)
                conn.sendall(self.answer)


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden", b"401 Unauthorized", b"502 Bad Gateway"])
def test_a_proxy_that_refuses_removes_no_runner(host, status):
    text, _, _ = mine(host)
    # Loopback addresses go past proxies; a name that only the proxy would have to resolve does not.
    before = host.write(text.replace(host.double.url, "https://gitlab.example"))
    body = b'{"message":"403 Forbidden"}'
    proxy = Refusing(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    through = {"HTTPS_PROXY": proxy.url, "https_proxy": proxy.url, "NO_PROXY": "", "no_proxy": ""}
    p = host.run("verify", "--delete", check=1, **through)
    assert p.stderr.count("could not be verified") >= 2 and host.text() == before, p.said
    assert "its entry stays" in host.run("unregister", "--all-runners", check=1, **through).stderr and host.text() == before
    assert "refuses the token" not in host.run("check", "--online", **through).said
    proxy.socket.close()


def twins(host):
    """Two entries of one token, as for two kinds of machines."""
    text, a, b = mine(host)
    return host.write(text.replace(b["token"], a["token"])), a


def test_two_entries_of_one_token_do_not_take_each_other_along(host):
    _, a = twins(host)
    host.run("verify", check=0)
    p = host.run("unregister", "--name", "b", check=0)
    assert "Another entry of the file has the same token" in p.stderr
    assert [r["name"] for r in host.toml()["runners"]] == ["a"]
    assert host.double.shown(a["id"])["managers"] != {}
    host.run("unregister", "--name", "a", check=0)
    assert host.double.shown(a["id"])["managers"] == {} and "runners" not in host.toml()


def test_all_runners_of_one_token_are_unregistered_once(host):
    _, a = twins(host)
    host.run("verify", check=0)
    p = host.run("unregister", "--all-runners", check=0)
    assert p.stderr.count("from GitLab succeeded") == 1 and host.double.shown(a["id"])["managers"] == {}
    assert "runners" not in host.toml()


@pytest.mark.parametrize("which", [("--name", "b"), ("--all-runners",)])
def test_a_reset_token_stands_in_every_entry_that_had_the_old_one(host, which):
    _, a = twins(host)
    host.run("reset-token", *which, check=0)
    tokens = {r["token"] for r in host.toml()["runners"]}
    assert len(tokens) == 1 and a["token"] not in tokens
    host.run("verify", check=0)


def test_verify_chooses(host):
    mine(host)
    assert "name=b" in host.run("verify", "--name", "b", check=0).stderr
    assert host.run("verify", "--name", "b", check=0).stderr.count("is valid") == 1
    assert "no such runner" in host.run("verify", "--name", "c", check=1).stderr
    # The variables of a registration do not narrow it.
    assert host.run("verify", check=0, CI_SERVER_TOKEN="x", RUNNER_NAME="y").stderr.count("is valid") == 2


@pytest.mark.broken_peer
def test_verify_of_an_old_server_and_a_busy_one(host):
    mine(host)
    host.double.control("PUT", "/settings", {"verify_plain": True})
    host.run("verify", check=0)
    p = host.register("--token", host.double.runner()["token"], check=1)
    assert "older than" in p.stderr
    host.double.control("PUT", "/settings", {"verify_plain": False})
    host.double.control("POST", "/fault", {"what": "status", "code": 503, "path": "POST runners/verify", "count": 2})
    host.run("verify", "--name", "a", check=0)
    host.double.control("POST", "/fault", {"what": "status", "code": 500, "path": "POST runners/verify", "count": 5})
    p = host.run("verify", "--name", "a", check=1)
    assert "could not be verified" in p.stderr and "500" in p.stderr


def test_orphaned_is_no_bad_token(host):
    before, a, _ = mine(host)
    host.double.control("POST", f"/runners/{a['id']}", {"orphaned": True})
    p = host.run("verify", "--delete", check=1)
    assert "orphaned" in p.stderr and host.text() == before


def test_list_shows_no_token(host):
    _, a, _ = mine(host)
    p = host.run("list", check=0)
    assert p.stdout == "" and f"ConfigFile={host.path}" in p.stderr and f"URL={host.double.url}" in p.stderr
    assert a["token"] not in p.stderr and a["token"].removeprefix("glrt-t1_")[:9] in p.stderr
    assert a["token"] in host.run("list", "--show-tokens", check=0).stderr
    host.write("this is not TOML")
    assert f"{host.path}: line 1, column" in host.run("list", check=1).stderr
    os.unlink(host.path)
    assert "does not exist" in host.run("list", check=1).stderr


def test_reset_token_changes_three_values(host):
    before, a, _ = mine(host)
    p = host.run("reset-token", "--name", "a", check=0)
    new = host.toml()["runners"][0]["token"]
    assert new != a["token"] and new not in p.said and "Updated" in p.stderr
    lines = host.text().split("\n")
    dates = [l for l in lines if l.strip().startswith("token_")]
    assert len(dates) == 2 and all(l.startswith("    token_") for l in dates)
    assert "\n".join(l for l in lines if l not in dates) == before.replace(a["token"], new)
    assert host.run("verify", check=0)
    # Again, now that the dates are there.
    host.run("reset-token", "--url", host.double.url, "--id", str(a["id"]), check=0)
    assert len(host.text().split("\n")) == len(lines)


def test_reset_token_with_a_personal_token(host):
    before, a, b = mine(host)
    pat = host.double.secret("private_token")
    p = host.run("reset-token", "--name", "a", "--pat", "glpat-wrong", check=1)
    assert "refuses the personal access token" in p.stderr and host.text() == before
    p = host.run("reset-token", "--name", "b", "--pat", pat, check=1)
    assert "no id" in p.stderr and host.text() == before
    host.run("reset-token", "--name", "a", "--pat", pat, check=0)
    assert host.toml()["runners"][0]["token"] != a["token"] and pat not in host.text()


def test_reset_all_tells_of_failures(host):
    before, a, b = mine(host)
    host.double.control("DELETE", f"/runners/{a['id']}")
    p = host.run("reset-token", "--all-runners", check=1)
    assert "1 of 2 tokens were not reset" in p.stderr
    entries = host.toml()["runners"]
    assert entries[0]["token"] == a["token"] and entries[1]["token"] != b["token"]


def test_tokens_by_variable(host):
    runner = host.double.runner()
    before, _, _ = mine(host, token="${MY_TOKEN}")
    host.run("verify", "--name", "a", check=0, MY_TOKEN=runner["token"])
    assert "is not valid" in host.run("verify", "--name", "a", check=1, MY_TOKEN="glrt-other").stderr
    host.run("unregister", "--name", "b", check=0, MY_TOKEN=runner["token"])
    assert 'token  = "${MY_TOKEN}" # rotated in March' in host.text()


# -- bad input --------------------------------------------------------------

CHANGING = [("register", ["--non-interactive", "--executor", "docker+machine", "--docker-image", "x"]),
            ("unregister", ["--name", "a"]), ("reset-token", ["--name", "a"])]


@pytest.mark.parametrize("command, options", CHANGING + [("verify", []), ("list", [])])
def test_a_file_that_is_no_toml(host, command, options):
    text = host.write("[[runners]]\nname = \"a\"\nurl = 'x\n")
    if command == "register":
        options = options + ["--url", host.double.url, "--token", "glrt-x", "--tls-ca-file", host.double.ca]
    p = host.run(command, *options, check=1)
    assert f"{host.path}: line 3, column 7: the string that begins here is not closed" in p.stderr
    assert host.text() == text


@pytest.mark.parametrize("command, options", CHANGING)
def test_a_full_disk_changes_nothing(host, command, options):
    """Before GitLab is asked: its old token must not die for a new one that finds no room."""
    small = os.path.join(host.folder, "small")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small], check=True)
    try:
        host.path = os.path.join(small, "config.toml")
        before, a, _ = mine(host)
        subprocess.run(["dd", "if=/dev/zero", "of=" + os.path.join(small, "filler"), "bs=1k"], stderr=subprocess.DEVNULL)
        if command == "register":
            token = host.double.runner()["token"]
            options = options + ["--url", host.double.url, "--token", token, "--tls-ca-file", host.double.ca]
        p = host.run(command, *options, check=1)
        assert "No space left on device" in p.stderr and host.path in p.stderr
        assert host.text() == before
        assert [f for f in os.listdir(small) if f.endswith(".tmp")] == []
        os.unlink(os.path.join(small, "filler"))
        host.run("verify", check=0)
    finally:
        subprocess.run(["umount", small], check=True)


def as_nobody(host, *argv):
    return subprocess.run(argv, env=host.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, user=65534, group=65534, extra_groups=[])


@pytest.fixture
def open_host(double, host):
    """One whose folder others may look into, as pytest's may not."""
    folder = f"/tmp/windlass-test-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    host.folder, host.path = folder, os.path.join(folder, "config.toml")
    host.environ["HOME"] = folder
    shutil.copy(WINDLASS, os.path.join(folder, "windlass"))
    shutil.copy(double.ca, os.path.join(folder, "ca.pem"))
    yield host
    shutil.rmtree(folder)


def test_a_file_of_somebody_else(open_host):
    host = open_host
    before, _, _ = mine(host, ca=os.path.join(host.folder, "ca.pem"))
    w = os.path.join(host.folder, "windlass")
    # Not even readable.
    p = as_nobody(host, w, "unregister", "-c", host.path, "--name", "a")
    assert p.returncode == 1 and "Permission denied" in p.stderr and "by you, nobody: run this as root" in p.stderr
    p = as_nobody(host, w, "list", "-c", host.path)
    assert p.returncode == 1 and "Permission denied" in p.stderr
    # Readable, and the directory ours, but the file is not.
    os.chmod(host.path, 0o644)
    os.chmod(host.folder, 0o777)
    for command in (["unregister", "--name", "a"], ["reset-token", "--name", "a"]):
        p = as_nobody(host, w, command[0], "-c", host.path, *command[1:])
        assert p.returncode == 1 and "cannot be changed" in p.stderr, p.stderr
        assert host.text() == before


def test_root_leaves_the_file_its_owner(open_host):
    host = open_host
    mine(host)
    os.chown(host.path, 65534, 65534)
    os.chmod(host.path, 0o640)
    host.run("unregister", "--name", "b", check=0)
    st = os.stat(host.path)
    assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (65534, 65534, 0o640)
    os.chmod(host.path, 0o644)
    host.run("unregister", "--name", "a", check=0)
    assert os.stat(host.path).st_mode & 0o777 == 0o600


def test_what_root_makes_in_a_users_directory_is_the_users(open_host):
    host = open_host
    home = os.path.join(host.folder, "home")
    os.mkdir(home)
    os.chown(home, 65534, 65534)
    host.path = os.path.join(home, "config.toml")
    host.register("--token", host.double.runner()["token"], "--name", "x", "--tls-ca-file", os.path.join(host.folder, "ca.pem"))
    assert os.stat(host.path).st_uid == 65534 and os.stat(os.path.join(home, ".windlass-config.lock")).st_uid == 65534
    p = as_nobody(host, os.path.join(host.folder, "windlass"), "unregister", "-c", host.path, "--name", "x")
    assert p.returncode == 0, p.stderr


def test_certificates_found_by_name(open_host):
    """Without tls-ca-file: <home>/.gitlab-runner/certs/<host>.crt."""
    host = open_host
    mine(host)
    os.chown(host.path, 65534, 65534)
    text = host.write(re.sub(r".*tls-ca-file.*\n", "", host.text()))
    os.chown(host.folder, 65534, 65534)
    w = os.path.join(host.folder, "windlass")
    p = as_nobody(host, w, "verify", "-c", host.path)
    assert p.returncode == 1 and "issued by an authority that is not trusted" in p.stderr and host.text() == text
    certs = os.path.join(host.folder, ".gitlab-runner", "certs")
    os.makedirs(certs)
    shutil.copy(host.double.ca, os.path.join(certs, "127.0.0.1.crt"))
    p = as_nobody(host, w, "verify", "-c", host.path)
    assert p.returncode == 0, p.stderr


def test_an_unknown_authority(host):
    p = host.run("register", "--non-interactive", "--url", host.double.url, "--token", host.double.runner()["token"],
                 "--executor", "docker+machine", "--docker-image", "x", check=1)
    assert host.double.url in p.stderr and "issued by an authority that is not trusted" in p.stderr
    assert not os.path.exists(host.path)
    p = host.register("--token", "glrt-x", "--tls-ca-file", "/nowhere.pem", check=1)
    assert "/nowhere.pem" in p.stderr


def test_gitlab_away(host):
    before, a, _ = mine(host)
    host.double.away()
    for command, options in CHANGING:
        if command == "register":
            options = options + ["--url", host.double.url, "--token", "glrt-x", "--tls-ca-file", host.double.ca]
        p = host.run(command, *options, check=1)
        assert f"127.0.0.1:{host.double.port}" in p.stderr, p.stderr
        assert host.text() == before


@pytest.mark.broken_peer
def test_a_redirect_says_that_url_is_wrong(host):
    host.double.control("POST", "/fault", {"what": "redirect", "path": "POST runners/verify", "count": 1, "code": 301,
                                           "location": "https://elsewhere.example/api/v4/runners/verify"})
    p = host.register("--token", host.double.runner()["token"], check=1)
    assert "redirects to https://elsewhere.example" in p.stderr and "url" in p.stderr


def test_a_link_stays_a_link(host):
    mine(host)
    real = os.path.join(host.folder, "real.toml")
    os.rename(host.path, real)
    os.symlink("real.toml", host.path)
    host.run("unregister", "--name", "b", check=0)
    assert os.path.islink(host.path) and [r["name"] for r in host.toml()["runners"]] == ["a"]


def test_what_a_killed_command_left_is_swept(host):
    mine(host)
    for name in (".config.toml.0123abcd.tmp", ".config.toml.mine.tmp", ".other.toml.0123abcd.tmp"):
        open(os.path.join(host.folder, name), "w").close()
    host.run("unregister", "--name", "b", check=0)
    left = [f for f in host.files() if f.endswith(".tmp")]
    assert left == [".config.toml.mine.tmp", ".other.toml.0123abcd.tmp"]


def test_crlf_and_no_last_newline_survive(host):
    before, _, b = mine(host)
    before = host.write(before.replace("\n", "\r\n"))
    runner = host.double.runner()
    host.register("--token", runner["token"])
    assert "\n" not in host.text().replace("\r\n", "") and host.text().startswith(before)
    host.run("unregister", "--token", runner["token"], check=0)
    assert host.text() == before


def test_under_the_old_name(host):
    link = os.path.join(host.folder, "gitlab-runner")
    os.symlink(WINDLASS, link)
    runner = host.double.runner()
    p = subprocess.run([link, "register", "-n", "-c", host.path, "-u", host.double.url, "-t", runner["token"], "--tls-ca-file",
                        host.double.ca, "--executor", "docker+machine", "--docker-image", "x"],
                       env=host.environ, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 0, p.stderr
    assert subprocess.run([link, "verify", "-c", host.path], env=host.environ, stderr=subprocess.DEVNULL).returncode == 0
    assert subprocess.run([link, "unregister", "-c", host.path, "--all-runners"], env=host.environ, stderr=subprocess.DEVNULL).returncode == 0
    assert "runners" not in host.toml()


# ---- --help ----

def in_terminal(argv, columns, env):
    """What it prints on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert p.wait() == 0, text
    return text.decode().replace("\r\n", "\n")


def listed(text):
    """The commands of a list that --help prints."""
    return re.findall(r"^  ([a-z][a-z-]*)  ", text[text.index("Commands:"):text.index("\nOptions")], re.M)


def helps():
    env = {"PATH": os.environ["PATH"]}

    def said(*argv):
        return subprocess.run([WINDLASS, *argv], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout
    commands = listed(said("--help"))
    assert len(commands) > 20 and "check" in commands
    machine = listed(said("machine", "--help"))
    assert len(machine) > 15 and "create" in machine
    return [[], ["service-stop"], ["service-prepare"], ["debug"], ["lint"], *[[c] for c in commands if c != "help"],
            *[["machine", c] for c in machine if c != "help"], *[["machine", "create", "--driver", d] for d in ("digitalocean", "generic")]]


def test_help_fits_the_terminal():
    """configuration.md section 4, 8: prose and options of every command, in 80 columns where nothing is known, and in those there are."""
    env = {"PATH": os.environ["PATH"]}
    wide = 0
    for argv in helps():
        text = subprocess.run([WINDLASS, *argv, "--help"], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout
        assert "Usage: " in text and max(map(len, text.splitlines())) <= 80, (argv, [s for s in text.splitlines() if len(s) > 80])
        assert not [s for s in text.splitlines() if s != s.rstrip()], argv
        for columns in (64, 80, 200):
            there = in_terminal([WINDLASS, *argv, "--help"], columns, env)
            assert max(map(len, there.splitlines())) <= min(columns, 100), (argv, columns, [s for s in there.splitlines() if len(s) > columns])
            # The same words, however they are broken.
            assert there.split() == text.split(), argv
            wide = max(wide, max(map(len, there.splitlines())))
    assert wide > 90, "a wide terminal is used"
