"""Nothing is lost: every process is stopped at every recorded step, and by plain kill -9 in mid-job.

After a new `windlass run` the job passes, GitLab has every line once and in order, and when the idle time is over the cloud
holds nothing.
"""

import concurrent.futures
import os
import re
import signal
import subprocess
import time

import pytest

import world
from world import plain, wait_until

# Several lives at once: each waits for most of its time.
AT_ONCE = 4
LINES = 6
# Steps of a life that goes wrong first: the tests named here die at them.
ELSEWHERE = {"poller:answer-begun": "test_a_poller_dies_in_the_middle_of_an_answer",
             "poller:answer-arriving": "test_a_poller_dies_in_the_middle_of_an_answer",
             "executor:given-back": "test_unfit.py: test_a_death_while_a_job_is_given_back",
             "operator:strays-awaited": "test_machine.py: test_list_lags_longer_than_patience",
             "adopt:recorded": "test_adopt.py: test_over_and_back",
             "operator:stray-found": "test_fleet.py: test_reconcile_by_hand",
             "operator:stray-removed": "test_fleet.py: test_reconcile_by_hand",
             "manager:machine-gone": "test_fleet.py: gone_under_a_job",
             "manager:checker-started": "test_fleet.py: idle_one_dies"}
SCRIPT = [f"for i in $(seq 1 {LINES}); do echo line $i of the job; sleep 0.5; done"]


def points():
    return subprocess.run([world.WINDLASS, "debug", "crash-points"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()


def test_the_list_is_whole():
    """Every crash_point() in the sources is in the list that the other tests go through."""
    found = set()
    for folder, _, files in os.walk(os.path.join(world.ROOT, "src")):
        for name in files:
            if name.endswith(".c") and name != "crash.c":
                with open(os.path.join(folder, name)) as f:
                    found |= set(re.findall(r'crash_point\("([^"]+)"\)', f.read()))
    assert found == set(points())


def whole(trace, lines=LINES):
    """The job's own lines as GitLab has them: each once and in order."""
    got = [int(n) for n in re.findall(r"^line (\d+) of the job$", plain(trace), re.M)]
    assert got == list(range(1, lines + 1)), plain(trace)[-3000:]
    sections = re.findall(r"section_(?:start|end):\d+:(\w+)", trace)
    assert all(sections.count(name) == 2 for name in sections), f"{sections}\n{plain(trace)[-3000:]}"


# Passages that are more than the first one of their point: the second thing that is committed is half a stage.
AGAIN = ["executor:committed:2", "executor:committed:3", "executor:stage-done:2", "manager:asked:2"]


def one_life(rig, folder, point):
    """A windlass that stops at one point, once, and is started again whenever its manager is gone."""
    once = os.path.join(str(folder), "once", "crashed")
    w = world.Windlass(rig, folder, IdleTime=2)
    try:
        w.start(WINDLASS_CRASH_AT=point, WINDLASS_CRASH_ONCE=once)
        job = w.job(SCRIPT, after_script=["echo after"])
        canceled = point == "reporter:order-written"
        if canceled:
            wait_until(lambda: "line 2" in rig.trace(job), 120, f"{point}: a line")
            rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
        if point == "manager:leaving":
            wait_until(lambda: "line 2" in rig.trace(job), 120, f"{point}: a line")
            w.kill(signal.SIGUSR2)
        end = time.monotonic() + 240
        while rig.state(job)["state"] not in ("success", "failed", "canceled") or w.jobs() or w.machines() or w.in_cloud():
            if w.process.poll() is not None:
                assert w.process.returncode == -signal.SIGKILL, f"{point}: windlass run ended by itself\n{w.text()[-3000:]}"
                w.process = None
                w.start()
            assert time.monotonic() < end, f"{point}: not over: job {rig.state(job)['state']}, {w.jobs()}, {w.in_cloud()}\n{w.text()[-4000:]}"
            time.sleep(0.1)
        state = rig.state(job)["state"]
        if canceled:
            assert state == "canceled", point
        else:
            assert state == "success", f"{point}: {state}\n{plain(rig.trace(job))[-3000:]}\n{w.text()[-3000:]}"
            whole(rig.trace(job))
        # A point that is never reached is a promise without a test.
        assert os.path.exists(once), f"{point}: nobody came by"
    finally:
        w.stop()
    return point


def test_every_crash_point(rig, tmp_path):
    rig.gitlab("DELETE", "/faults")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        lives = {pool.submit(one_life, rig, tmp_path / p.replace(":", "-"), p): p for p in [*points(), *AGAIN] if p not in ELSEWHERE}
        for life in concurrent.futures.as_completed(lives):
            try:
                life.result()
            except Exception as e:      # all of them are told, not the first only
                failed.append(f"{lives[life]}: {e}")
    if failed:
        rig.clear_cloud()
    assert not failed, "\n\n".join(failed)
    assert rig.violations() == ""


@pytest.mark.parametrize("role", ["manager", "poller", "executor", "reporter"])
def test_kill_in_mid_job(rig, windlass, role):
    w = windlass(IdleTime=2).start()
    job = w.job([f"for i in $(seq 1 12); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 3 of" in rig.trace(job), 90, "the third line")
    before = dict((n, p) for n, p in w.roles())
    for _, pid in w.roles(role):
        os.kill(pid, signal.SIGKILL)
    if role == "manager":
        assert w.wait(10) == -signal.SIGKILL
        # It takes no executor and no reporter with it.
        time.sleep(0.5)
        after = dict((n, p) for n, p in w.roles())
        assert after.get("executor") == before["executor"] and after.get("reporter") == before["reporter"]
        w.start()
    end = rig.ended(job, 60)
    assert end["state"] == "success", plain(rig.trace(job))
    whole(rig.trace(job), 12)
    w.until_empty()


def test_kill_while_a_job_is_being_given(rig, windlass):
    """GitLab has given the job, and the answer is on its way: nobody else will ever hear of it."""
    w = windlass(IdleTime=2).start()
    wait_until(lambda: w.roles("poller"), 20, "a poller")
    jobs = []
    for _ in range(3):
        rig.fault(path="POST jobs/request", what="slow", when="after", delay=0.6, count=1000)
        jobs.append(w.job(SCRIPT))
        wait_until(lambda: rig.state(jobs[-1])["state"] == "running", 30, "the job is given")
        w.kill()
        assert w.wait(10) == -signal.SIGKILL
        rig.gitlab("DELETE", "/faults")
        w.start()
    for job in jobs:
        assert rig.ended(job, 120)["state"] == "success", plain(rig.trace(job))
        whole(rig.trace(job))
    w.until_empty()


def answers(w):
    with world.contextlib.suppress(FileNotFoundError):
        return [n for n in os.listdir(os.path.join(w.state, "jobs")) if n.startswith(".")]
    return []


@pytest.mark.parametrize("how", ["poller:answer-begun", "poller:answer-arriving:1", "poller:answer-arriving:2", "kill"])
@pytest.mark.parametrize("phases", [1, 2])
def test_a_poller_dies_in_the_middle_of_an_answer(rig, windlass, tmp_path, phases, how):
    """
    GitLab has given the job, and half of the answer is here. With the two-phase commit the server gives it again, as a new job; an
    older one is told that the job runs nowhere. Only of a poller killed before the number and the token were here it hears nothing.
    """
    rig.gitlab("PUT", "/settings", {"two_phase": phases == 2, "ack_timeout": 8})
    w = windlass(IdleTime=2)
    once = os.path.join(str(tmp_path), "once", "crashed")
    w.start(**({} if how == "kill" else {"WINDLASS_CRASH_AT": how, "WINDLASS_CRASH_ONCE": once}))
    try:
        wait_until(lambda: w.roles("poller"), 30, "a poller")
        rig.fault(path="POST jobs/request", what="trickle", bytes=900, interval=0.3, count=1000)
        job = w.job(SCRIPT)
        if how == "kill":
            wait_until(lambda: answers(w), 30, "the answer arrives")
            time.sleep(0.5)
            for _, pid in w.roles("poller"):
                os.kill(pid, signal.SIGKILL)
        else:
            wait_until(lambda: os.path.exists(once), 60, "the death")
        rig.gitlab("DELETE", "/faults")
        if phases == 2:
            again = wait_until(lambda: rig.state(job)["retried_as"], 60, "the server gives it again")
            assert rig.ended(again, 120)["state"] == "success"
            whole(rig.trace(again))
        elif how != "poller:answer-begun":
            end = rig.ended(job, 60)
            assert (end["state"], end["failure_reason"]) == ("failed", "runner_system_failure")
        else:
            rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": True})
        # The runner goes on, and nothing is left of it.
        other = w.job(["echo line 1 of the job"])
        assert rig.ended(other, 120)["state"] == "success"
        w.until_empty()
        wait_until(lambda: not answers(w), 30, "nothing left")
    finally:
        rig.gitlab("PUT", "/settings", {"two_phase": False, "ack_timeout": 120})


def test_a_whole_answer_whose_poller_died_is_the_job(rig, windlass, tmp_path):
    """Also with the manager gone at the same moment, and with no further job wanted."""
    once = os.path.join(str(tmp_path), "once", "crashed")
    w = windlass(IdleTime=2, concurrent=1, limit=1)
    w.start(WINDLASS_CRASH_AT="poller:answered", WINDLASS_CRASH_ONCE=once)
    job = w.job(SCRIPT)
    wait_until(lambda: os.path.exists(once), 60, "the death")
    w.kill()
    w.wait(10)
    w.start()
    assert rig.ended(job, 120)["state"] == "success"
    whole(rig.trace(job))
    w.until_empty()
    assert not answers(w)


def test_kill_the_executor_again_and_again(rig, windlass):
    w = windlass(IdleTime=2).start()
    job = w.job(["for i in $(seq 1 12); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 2 of" in rig.trace(job), 90, "the second line")
    for _ in range(3):
        for _, pid in w.roles("executor"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(1.5)
    assert rig.ended(job, 90)["state"] == "success", plain(rig.trace(job))
    whole(rig.trace(job), 12)
    w.until_empty()


def test_a_cancel_that_comes_between_two_executors(rig, windlass):
    """The order is written while no executor lives: the next one obeys it in the middle of its stage."""
    w = windlass(IdleTime=2).start()
    job = w.job(["for i in $(seq 1 600); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 2 of" in rig.trace(job), 90, "the second line")
    w.kill(signal.SIGSTOP)
    for _, pid in w.roles("executor"):
        os.kill(pid, signal.SIGKILL)
    rig.gitlab("POST", f"/jobs/{job}/cancel", {"force": False})
    wait_until(lambda: os.path.exists(os.path.join(w.state, "jobs", w.jobs()[0], "cancel")), 60, "the order")
    w.kill(signal.SIGCONT)
    assert rig.ended(job, 60)["state"] == "canceled", plain(rig.trace(job))
    w.until_empty()


def test_reboot_of_the_bastion(rig, windlass):
    """All processes at once; the machines live on; a while later the bastion is back."""
    w = windlass(IdleTime=2).start()
    jobs = [w.job(["for i in $(seq 1 12); do echo line $i of the job; sleep 1; done"]) for _ in range(2)]
    for job in jobs:
        wait_until(lambda: "line 3 of" in rig.trace(job), 90, "the third line")
    while w.roles():
        for _, pid in w.roles():
            with world.contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    w.wait(10)
    time.sleep(3)
    w.start()
    for job in jobs:
        assert rig.ended(job, 60)["state"] == "success", plain(rig.trace(job))
        whole(rig.trace(job), 12)
    w.until_empty()


def test_gitlab_away(rig, windlass):
    """GitLab goes away in the middle of a job: the machine is free on time, and nothing of the log is lost."""
    away = 40
    w = windlass(IdleTime=2).start()
    job = w.job(["for i in $(seq 1 8); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 2 of" in rig.trace(job), 90, "the second line")
    rig.fault(what="down", seconds=away)
    back = time.monotonic() + away
    wait_until(lambda: not w.in_cloud(), away - 5, "the machine gone while GitLab is still away")
    assert time.monotonic() < back
    assert rig.state(job)["state"] == "running"
    assert rig.ended(job, away + 60)["state"] == "success"
    whole(rig.trace(job), 8)
    w.until_empty()


def test_gitlab_away_and_everything_killed(rig, windlass):
    """The result waits on disk for a GitLab that is away, through the death of the one who should deliver it."""
    w = windlass(IdleTime=2).start()
    job = w.job(["for i in $(seq 1 6); do echo line $i of the job; sleep 1; done"])
    wait_until(lambda: "line 2 of" in rig.trace(job), 90, "the second line")
    rig.fault(what="down", seconds=30)
    wait_until(lambda: not w.in_cloud(), 28, "the machine gone while GitLab is away")
    while w.roles():
        for _, pid in w.roles():
            with world.contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    w.wait(10)
    w.start()
    assert rig.ended(job, 90)["state"] == "success"
    whole(rig.trace(job), 6)
    w.until_empty()


def test_a_second_manager_is_refused(rig, windlass):
    """Two on one state directory would be two masters; the second says so and ends."""
    w = windlass().start()
    wait_until(lambda: "Configuration loaded" in w.text(), 10, "the first")
    second = w.run("run", "--config", w.config, "--state-dir", w.state, check=False)
    assert second.returncode == 1 and "another windlass already runs" in second.stderr
    assert w.process.poll() is None
