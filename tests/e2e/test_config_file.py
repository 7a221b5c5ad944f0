"""config.toml under a running windlass: only a file that was read and is whole changes what runs (findings F2).

An idle machine is what a wrong reading would cost: each damage lasts longer than the manager needs to notice it, and the
machine is the same afterwards.
"""

import contextlib
import os
import re
import signal
import time

import pytest

import world
from world import wait_until

KEPT = "the last good one stays in force"


@pytest.fixture
def pool(rig, windlass):
    """A windlass with one idle machine; its name."""
    w = windlass(IdleCount=1, IdleTime=600).start()
    wait_until(lambda: "Machine created" in w.text() and len(w.machines()) == 1, 120, "an idle machine")
    wait_until(lambda: ready(w), 60, "it is ready")
    w.good = open(w.config).read()
    yield w
    put(w, w.good)
    w.write_config(IdleCount=0, IdleTime=1)
    w.until_empty(120)


def ready(w):
    with contextlib.suppress(OSError, IndexError):
        return '"phase":"ready"' in open(os.path.join(w.store, "machines", w.machines()[0], "windlass.json")).read().replace(" ", "")
    return False


def remove(w):
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(w.config) if os.path.isdir(w.config) and not os.path.islink(w.config) else os.unlink(w.config)


def put(w, text):
    """As a careful deployment: another file, renamed."""
    if os.path.isdir(w.config):
        remove(w)
    with open(w.config + ".x", "w") as f:
        f.write(text)
    os.rename(w.config + ".x", w.config)


def missing(w):
    remove(w)


def empty(w):
    open(w.config, "w").close()


def blank(w):
    put(w, "\n  \n\n")


def comments(w):
    put(w, "# the configuration comes here\n")


def no_runners(w):
    put(w, w.good[:w.good.index("[[runners]]")])


def torn(w):
    put(w, w.good[:w.good.index("[runners.machine]") + 9])


def directory(w):
    remove(w)
    os.mkdir(w.config)


def dangling(w):
    remove(w)
    os.symlink("/nowhere/config.toml", w.config)


def loop(w):
    remove(w)
    os.symlink(w.config, w.config)


def pipe(w):
    remove(w)
    os.mkfifo(w.config)


def rubbish(w):
    with open(w.config, "wb") as f:
        f.write(bytes(range(256)) * 16)


def huge(w):
    with open(w.config, "wb") as f:
        f.truncate(64 << 20)


DAMAGES = [missing, empty, blank, comments, no_runners, torn, directory, dangling, loop, pipe, rubbish, huge]


def test_a_file_that_is_none_changes_nothing(pool, rig):
    w, before = pool, pool.machines()
    for n, damage in enumerate(DAMAGES, 1):
        damage(w)
        wait_until(lambda n=n: w.text().count(KEPT) >= n, 30, f"{damage.__name__}: the log says so")
        time.sleep(4)
        assert w.text().count(KEPT) == n, f"{damage.__name__}: once"
        assert w.machines() == before and "left the configuration" not in w.text(), damage.__name__
        remove(w)
        put(w, w.good)
        wait_until(lambda n=n: w.text().count("The configuration is as it was") == n, 30, f"{damage.__name__}: the file is back")
    # Jobs go on meanwhile.
    empty(w)
    assert rig.ended(w.job(["echo hello"]), 90)["state"] == "success"
    assert w.text().count("Configuration loaded") == 1


def test_gone_for_a_moment(pool):
    """F2 as it was found."""
    w, before = pool, pool.machines()
    assert len(before) == 1
    os.rename(w.config, w.config + ".keep")
    time.sleep(4.5)
    os.rename(w.config + ".keep", w.config)
    time.sleep(4)
    assert set(before) <= set(w.machines()) and "left the configuration" not in w.text()


def test_written_in_pieces(pool):
    """A copy over a slow line: each prefix of the file that is TOML is half a configuration."""
    w, before = pool, pool.machines()
    text = w.good + w.good[w.good.index("[[runners]]"):].replace('MachineName = "', 'MachineName = "second-')
    lines = text.splitlines(keepends=True)
    with open(w.config, "w") as f:
        for line in lines:
            f.write(line)
            f.flush()
            time.sleep(8 / len(lines))
    wait_until(lambda: re.search(r"Configuration loaded.*runners=2", w.text()), 30, "the whole file")
    assert w.text().count("Configuration loaded") == 2, "the start and the whole file, and nothing between"
    assert set(before) <= set(w.machines()) and "left the configuration" not in w.text()
    put(w, re.sub(r"IdleTime = \d+", "IdleTime = 1", re.sub(r"IdleCount = \d+", "IdleCount = 0", text)))
    wait_until(lambda: w.text().count("Configuration loaded") == 3, 30, "the short IdleTime")


def test_a_runner_that_leaves_has_its_idle_time(rig, windlass):
    w = windlass(IdleCount=1, IdleTime=15).start()
    wait_until(lambda: ready(w), 120, "an idle machine")
    time.sleep(16)          # idle for longer than IdleTime, as IdleCount wants it
    name = w.machines()
    good = open(w.config).read()
    put(w, good.replace('MachineName = "', 'MachineName = "other-').replace("IdleCount = 1", "IdleCount = 0"))
    wait_until(lambda: w.text().count("Configuration loaded") == 2, 30, "it counts")
    left = time.monotonic()
    time.sleep(10)
    assert w.machines() == name, "kept for its IdleTime"
    wait_until(lambda: "left the configuration" in w.text(), 60, "then it goes")
    assert time.monotonic() - left > 13
    w.until_empty()


def test_back_within_its_grace(pool):
    w, before = pool, pool.machines()
    put(w, w.good.replace('MachineName = "', 'MachineName = "other-').replace("IdleCount = 1", "IdleCount = 0"))
    wait_until(lambda: w.text().count("Configuration loaded") == 2, 30, "it counts")
    put(w, w.good)
    wait_until(lambda: w.text().count("Configuration loaded") == 3, 30, "and the old one")
    time.sleep(2)
    assert w.machines() == before


@pytest.mark.parametrize("how", ["unregister", "SIGHUP"])
def test_no_runner_on_purpose(rig, windlass, how):
    """A command of ours, or the operator's signal, means what the file says."""
    w = windlass(IdleCount=0, IdleTime=2).start()
    wait_until(lambda: "Configuration loaded" in w.text(), 30, "the start")
    if how == "unregister":
        w.run("unregister", "--all-runners", "--config", w.config)
    else:
        no_runners_of(w)
        wait_until(lambda: KEPT in w.text(), 30, "it is doubted")
        w.kill(signal.SIGHUP)
    wait_until(lambda: re.search(r"Configuration loaded.*runners=0\b", w.text()), 30, "no runner")


def no_runners_of(w):
    text = open(w.config).read()
    put(w, text[:text.index("[[runners]]")])


def test_started_without_a_file(rig, windlass, tmp_path):
    w = windlass()
    w.good = open(w.config).read()
    os.unlink(w.config)
    w.start()
    wait_until(lambda: re.search(r"WARNING: There is no such file: no runner runs until there is one.*config=" + re.escape(w.config), world.plain(w.text())), 30, "a warning")
    put(w, w.good.replace('executor = "docker+machine"', 'executor = "shell"'))
    wait_until(lambda: re.search(r"Configuration loaded.*runners=0 .*skipped=1", w.text()), 30, "what runs of what is there")
    put(w, w.good)
    wait_until(lambda: re.search(r"Configuration loaded.*runners=1\b", w.text()), 30, "the runner")


def test_restarted_while_it_is_half_written(rig, windlass):
    """A new manager has no last good one: the idle machines of a runner that it does not find wait for it."""
    w = windlass(IdleCount=1, IdleTime=600).start()
    wait_until(lambda: ready(w), 120, "an idle machine")
    before, w.good = w.machines(), open(w.config).read()
    w.kill(signal.SIGUSR1)
    w.kill(signal.SIGKILL)
    w.wait(10)
    no_runners_of(w)
    w.start()
    wait_until(lambda: "The file has no [[runners]]" in w.text(), 30, "a warning")
    time.sleep(5)
    assert w.machines() == before
    put(w, w.good)
    wait_until(lambda: re.search(r"Configuration loaded.*runners=1\b", w.text().rpartition("has no [[runners]]")[2]), 30, "it is back")
    time.sleep(1)
    assert w.machines() == before
    w.write_config(IdleCount=0, IdleTime=1)
    w.until_empty(120)
