"""How a stage's script goes in and its output comes out (docs/streams.md): whole or not at all, live, and once."""

import os
import re
import signal
import sys
import time

import pytest

import world

sys.path.insert(0, os.path.join(world.ROOT, "tests", "bench"))
import engineapi
from world import plain, wait_until

RAN, TOLD = "ran and marked its end", "did not run, in words"

# The rule: a script ran whole and its status is the job's, or it did not run and the job failed in words. (image, entrypoint, which)
FORMS = [
    ("debian", None, RAN),
    ("debian", [""], RAN),
    ("debian", [], RAN),
    ("debian", ["/usr/bin/env", "FOO=bar"], RAN),
    ("debian", ["/bin/sh", "-c", 'exec "$@"', "--"], RAN),
    ("debian", ["/bin/sh", "-c"], RAN),
    ("debian", ["sh", "-ec"], RAN),
    ("debian", ["/bin/bash", "-c"], RAN),
    ("debian", ["/bin/bash", "-lc"], RAN),
    ("debian", ["/bin/bash", "-xc"], RAN),
    ("debian", ["/usr/bin/env", "bash", "-l", "-c"], RAN),
    ("debian", ["/bin/sh", "-c", "exec /bin/bash"], RAN),
    ("debian", ["/bin/sh", "-c", 'echo first words; exec "$@"', "--"], RAN),
    ("debian", ["/bin/sh", "-c", 'read -r one; exec "$@"', "--"], RAN),
    ("debian", ["/bin/sh", "-c", '"$@"; exit 0', "--"], RAN),
    ("debian", ["/bin/bash", "-c", '"$@" | sed "s/^/P: /"', "--"], RAN),
    ("debian", ["/bin/sh", "-c", 'read -r a; read -r b; read -r c; exec "$@"', "--"], TOLD),
    ("debian", ["/bin/sh", "-c", 'cat >/dev/null; exec "$@"', "--"], TOLD),
    ("debian", ["/bin/true"], TOLD),
    ("debian", ["/bin/sh", "-c", "exit 0"], TOLD),
    ("debian", ["/bin/sh"], TOLD),
    ("debian", ["/bin/bash"], TOLD),
    ("debian", ["/bin/cat"], TOLD),
    ("busybox", None, RAN),
    ("busybox", ["/bin/sh", "-c"], RAN),
    ("wl/uid1000:1", None, RAN),
    ("wl/wrap:1", None, RAN),
    ("wl/tool:1", None, TOLD),
    ("wl/noshell:1", None, TOLD),
]


def image(rig, name):
    return {"debian": rig.env["RIG_DEBIAN_IMAGE"], "busybox": rig.env["RIG_BUSYBOX_IMAGE"]}.get(name) or f"{rig.env['RIG_REGISTRY']}/{name}"


def test_entrypoints(rig, windlass):
    w = windlass(concurrent=3, limit=3, IdleTime=30).start()
    jobs = []
    for name, entrypoint, which in FORMS:
        what = {"name": image(rig, name)}
        if entrypoint is not None:
            what["entrypoint"] = entrypoint
        jobs.append(w.job(["echo RAN; touch ran || true", "false"], image=what, variables=[{"key": "GIT_STRATEGY", "value": "empty"}]))
    wrong = []
    for (name, entrypoint, which), job in zip(FORMS, jobs):
        end = rig.ended(job, 240)
        text = plain(rig.trace(job))
        ran = re.search(r"^(P: )?RAN$", text, re.M) is not None
        good = end["state"] == "failed" and end["failure_reason"] == "script_failure" and ran == (which == RAN)
        good = good and (end["exit_code"] == 1 if ran else "ERROR: Job failed" in text) and "wl." not in text
        if not good:
            wrong.append(f"{name} {entrypoint}: {which}?\n{end}\n{text[-1500:]}")
    assert not wrong, "\n\n".join(wrong)
    w.stop()


def test_as_elsewhere(rig, windlass):
    """What a script can see of how it was run: nothing of ours, neither in the file system nor in its own name."""
    w = windlass(concurrent=1, limit=1, IdleTime=30).start()
    job = w.job(['echo "zero=[$0] source=[${BASH_SOURCE[0]}]"', 'cd "$(dirname "${BASH_SOURCE[0]}")"; pwd',
                 "ls -a /", "read x || echo stdin is empty", 'echo "body=[${wl_b-unset}]"',
                 "grep -rls correct-hors[e] / --exclude-dir=proc --exclude-dir=sys --exclude-dir=builds || echo nothing found",
                 "kill -9 $BASHPID", "echo never"],
                image=rig.env["RIG_DEBIAN_IMAGE"], variables=[{"key": "WORD", "value": "correct-horse", "masked": True}])
    end = rig.ended(job)
    text = plain(rig.trace(job))
    assert (end["state"], end["failure_reason"], end["exit_code"]) == ("failed", "script_failure", 137), text
    assert re.search(r"zero=\[/(usr/)?bin/bash\] source=\[\]", text), text
    assert re.search(r"^/builds/\S+$", text, re.M), text
    assert ".windlass" not in text and "stdin is empty" in text and "body=[unset]" in text and "nothing found" in text, text
    # what the shell says of its killed part is not the script
    assert text.count("echo never") == 0 and "correct-horse" not in text and "printf %b" not in text, text
    trace = w.job(["echo one", "false"], image=rig.env["RIG_DEBIAN_IMAGE"], variables=[{"key": "CI_DEBUG_TRACE", "value": "true"}])
    assert rig.ended(trace)["exit_code"] == 1
    text = plain(rig.trace(trace))
    assert "+ echo one" in text and "wl." not in text and "printf %b" not in text, text
    w.stop()


def test_live(rig, windlass):
    """A dot a second, without a newline: each is in the job's log within a second or so, with time stamps and without."""
    w = windlass(concurrent=1, limit=1, IdleTime=30).start()
    for stamps in ("true", "false"):
        job = w.job(["for i in 1 2 3 4 5 6 7 8; do printf .; printf '\\303' >&2; sleep 1; printf '\\244' >&2; done"],
                    image=rig.env["RIG_DEBIAN_IMAGE"], variables=[{"key": "FF_TIMESTAMPS", "value": stamps}])
        wait_until(lambda: w.jobs() and os.path.exists(path := os.path.join(w.state, "jobs", w.jobs()[-1], "trace")) and "$ for i in" in open(path, errors="replace").read(), 90, "the script runs")
        path = os.path.join(w.state, "jobs", w.jobs()[-1], "trace")
        seen = []
        for _ in range(80):
            try:
                with open(path, "rb") as f:
                    tail = f.read().rpartition(b"done\x1b")[2] or b""
            except OSError:
                break
            n = len(re.findall(rb"(?<=O )\.+|(?<=O\+)\.+", tail)) if stamps == "true" else tail.count(b".")
            if not seen or n != seen[-1][1]:
                seen.append((time.time(), n))
            time.sleep(0.1)
            if rig.state(job)["state"] == "success":
                break
        assert rig.ended(job)["state"] == "success"
        assert len(seen) >= 5, (stamps, seen, plain(rig.trace(job))[-800:])
        assert "\ufffd" not in rig.trace(job) and "ä" in rig.trace(job), rig.trace(job)[-800:]
    w.stop()


# Lines of numbers, lines as long as the engine's log cuts them and around, a stream beside it.
BUSY = """i=0; while [ $i -lt 120 ]; do
seq $((i * 1000)) $((i * 1000 + 999))
for n in 16383 16384 33000; do head -c $n /dev/zero | tr '\\0' x; echo; done
echo "err $i" >&2
sleep 0.05; i=$((i + 1)); done; printf 'the end without a newline'; exit 7"""


def streams(trace):
    """What the job wrote on stdout and on stderr, put together from the lines with their time stamps."""
    out = {"O": "", "E": ""}
    for line in trace.split("\n"):
        m = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z 01([OE])([ +])(.*)$", line, re.S)
        if m:
            if m[2] == "+":
                assert out[m[1]].endswith("\n")
                out[m[1]] = out[m[1]][:-1]
            out[m[1]] += m[3] + "\n"
    return out["O"], out["E"]


def check_busy(trace):
    out, err = streams(trace)
    numbers = [int(n) for n in re.findall(r"^(\d+)$", out, re.M)]
    assert len(numbers) == 120000, (len(numbers), [(i, n) for i, n in enumerate(numbers) if i != n][:3])
    assert numbers == list(range(120000)), [(i, n) for i, n in enumerate(numbers) if i != n][:3]
    assert [len(x) for x in re.findall(r"^(x+)$", out, re.M)] == [16383, 16384, 33000] * 120
    assert err.splitlines() == [f"err {i}" for i in range(120)]
    assert out.endswith("\nthe end without a newline\n") and "wl." not in trace


@pytest.mark.parametrize("who", ["executor", "all", "executor, json-file"])
def test_kills_under_a_busy_job(rig, windlass, who):
    """SIGKILL again and again under a job that writes megabytes a second: both streams whole and once, by bytes or by lines."""
    w = windlass(concurrent=1, limit=1, IdleTime=30, **{"runners.output_limit": 102400})
    who, _, driver = who.partition(", ")
    if driver:
        with open(w.config) as f:
            config = f.read()
        with open(w.config, "w") as f:
            f.write(config.replace("[runners.docker]\n", '[runners.docker]\nlog_options = { labels = "x" }\n'))
    w.start()
    job = w.job([BUSY], image=rig.env["RIG_DEBIAN_IMAGE"])
    wait_until(lambda: "01E err 3\n" in rig.trace(job), 90, "the job writes")
    kills = 0
    while rig.state(job)["state"] not in ("success", "failed") and kills < 4:
        for role, pid in w.roles():
            if who == "all" or role == who:
                with world.contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                kills += role == "executor"
        if who == "all":
            w.wait(10)
            w.start()
        # Each life reads the log from its beginning: one that never comes beyond it is given up as an executor that dies again and again.
        time.sleep(3)
    end = rig.ended(job, 120)
    text = plain(rig.trace(job))
    assert (end["state"], end["exit_code"]) == ("failed", 7), text[-2000:]
    assert kills >= 2, kills
    check_busy(rig.trace(job))
    w.stop()


def test_a_reader_that_stands_still(rig, windlass):
    """The executor is stopped for a while: the job waits for it and nothing is lost."""
    w = windlass(concurrent=1, limit=1, IdleTime=30, **{"runners.output_limit": 102400}).start()
    job = w.job([BUSY], image=rig.env["RIG_DEBIAN_IMAGE"])
    wait_until(lambda: "01E err 3\n" in rig.trace(job), 90, "the job writes")
    pid = w.roles("executor")[0][1]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(pid, signal.SIGCONT)
    end = rig.ended(job, 120)
    assert (end["state"], end["exit_code"]) == ("failed", 7), plain(rig.trace(job))[-2000:]
    check_busy(rig.trace(job))
    w.stop()


def test_many_lines(rig, windlass):
    """A million lines: their time is the engine's, not a reader's, and after_script does not read them again."""
    w = windlass(concurrent=1, limit=1, IdleTime=30, **{"runners.output_limit": 1048576}).start()
    job = w.job(["seq 1000000", "date +ended=%s"], after_script=["date +after=%s"], image=rig.env["RIG_DEBIAN_IMAGE"], timeout=120,
                variables=[{"key": "FF_TIMESTAMPS", "value": "false"}])
    end = rig.ended(job, 180)
    text = plain(rig.trace(job))
    assert end["state"] == "success", text[-2000:]
    assert len(re.findall(r"^\d+$", text, re.M)) == 1000000
    times = {k: int(v) for k, v in re.findall(r"^(ended|after)=(\d+)$", text, re.M)}
    assert times["after"] - times["ended"] <= 5, times
    w.stop()


def test_container_removed_under_the_job(rig, windlass):
    """Somebody prunes it: the stage gets a new one where the job allows for that, and fails in words where not."""
    w = windlass(concurrent=1, limit=1, IdleTime=30).start()
    for attempts, state in (("2", "success"), ("1", "failed")):
        job = w.job(["[ -e there ] || { touch there; echo first time; sleep 60; }", "echo done"], image=rig.env["RIG_DEBIAN_IMAGE"],
                    variables=[{"key": "EXECUTOR_JOB_SECTION_ATTEMPTS", "value": attempts}])
        wait_until(lambda: re.search("first time$", plain(rig.trace(job)), re.M), 90, "the script runs")
        engine = engineapi.Engine(w.store, w.machines()[0])
        for container in engine.call("GET", "/containers/json"):
            if container["Labels"].get("com.gitlab.gitlab-runner.type") == "build":
                engine.call("DELETE", f"/containers/{container['Id']}?force=1")
        end = rig.ended(job)
        text = plain(rig.trace(job))
        assert end["state"] == state, text
        assert ("attempt 2 of 2" in text and re.search("^done$", text, re.M)) if state == "success" else "has vanished" in text, text
    w.stop()


def test_files_of_a_user(rig, windlass):
    """FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR: the checkout belongs to the job's user, in a kept volume, too."""
    w = windlass(concurrent=1, limit=1, IdleTime=30).start()
    for _ in range(2):
        job = w.job(["touch new", "stat -c %u:%a new README.md .git/HEAD", "cat $WORDS; echo"], image=f"{rig.env['RIG_REGISTRY']}/wl/uid1000:1",
                    variables=[{"key": "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", "value": "true"}, {"key": "WORDS", "value": "of a file", "file": True}])
        end = rig.ended(job)
        text = plain(rig.trace(job))
        assert end["state"] == "success", text
        assert text.count('Changing ownership of files at "/builds/') == 2 and " to 1000:1000" in text, text
        assert re.findall(r"^1000:(\d+)$", text, re.M) == ["644", "644", "644"] and "of a file" in text, text
    root = w.job(["stat -c %u:%a README.md"], image=rig.env["RIG_DEBIAN_IMAGE"], variables=[{"key": "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", "value": "true"}])
    assert rig.ended(root)["state"] == "success" and "Changing ownership" not in rig.trace(root), plain(rig.trace(root))
    w.stop()


def test_a_flood_can_be_cancelled(rig, windlass):
    """A job that never stops writing hears an order, and its own time limit, as any other."""
    w = windlass(concurrent=2, limit=2, IdleTime=30).start()
    job = w.job(["yes 'all the time something to read'"], image=rig.env["RIG_DEBIAN_IMAGE"], timeout=3600)
    short = w.job(["yes 'all the time something to read'"], image=rig.env["RIG_DEBIAN_IMAGE"], timeout=15)
    wait_until(lambda: "all the time" in rig.trace(job), 90, "it writes")
    asked = time.time()
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
    assert rig.ended(job, 60)["state"] == "canceled", plain(rig.trace(job))[-500:]
    assert time.time() - asked < 30, time.time() - asked
    end = rig.ended(short, 90)
    assert (end["state"], end["failure_reason"]) == ("failed", "job_execution_timeout"), end
    w.stop()
