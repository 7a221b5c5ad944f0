"""One world for all end-to-end tests of windlass; a windlass of its own for each test."""

import os

import pytest

import world


@pytest.fixture(scope="session")
def rig(tmp_path_factory):
    r = world.Rig(tmp_path_factory.mktemp("world"))
    r.up()
    # The coordinator's clock for a silent job is stretched: tests that kill pollers restart them late.
    r.gitlab("PUT", "/settings", {"ack_limit": 0, "poll_seconds": 5})
    yield r
    r("down")


@pytest.fixture
def windlass(rig, tmp_path, request):
    """Makes windlasses; at the end each is stopped, and neither GitLab nor the cloud has anything to complain of."""
    made = []

    def make(name="bastion", **settings):
        w = world.Windlass(rig, tmp_path / name, **settings)
        made.append(w)
        return w

    rig.gitlab("DELETE", "/faults")
    yield make
    for w in made:
        w.stop()
    rig.gitlab("DELETE", "/faults")
    failed = getattr(request.node, "failed", False)
    if failed:
        rig.clear_cloud()
        for w in made:
            if os.path.exists(w.log):
                print(f"---- {w.log}\n{w.text()[-6000:]}")
    elif not request.node.get_closest_marker("broken_peer"):
        assert rig.violations() == ""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        item.failed = True


def pytest_configure(config):
    config.addinivalue_line("markers", "broken_peer: the peer is made to misbehave, so its complaints do not count")
