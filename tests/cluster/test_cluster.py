# SPDX-License-Identifier: Apache-2.0
"""The test cluster itself: it comes up, and nothing of it stays, however its life ends.

Clusters of their own names, so that one which somebody has up is not in the way.
"""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
NAME, OTHER = "npttest", "npttesttwo"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes namespaces and control groups")


def environment(name, path=None):
    made = {key: value for key, value in os.environ.items() if key != "CLUSTER_RUN"}
    return {**made, "CLUSTER": name, "PATH": path or os.environ["PATH"]}


def call(script, *arguments, name=NAME, path=None):
    return subprocess.run([HERE / script, *arguments], env=environment(name, path), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=2400)


def folder(name=NAME):
    return pathlib.Path(f"/var/tmp/npt-cluster-{name}")


def compare(path):
    return subprocess.run([HERE / "leftovers", "compare", path], capture_output=True, text=True, check=False)


@pytest.fixture
def nothing_stays(tmp_path):
    """What the machine had before the test is what it has after."""
    before = tmp_path / "before.json"
    with before.open("w") as file:
        subprocess.run([HERE / "leftovers", "snapshot"], stdout=file, check=True)
    yield before
    found = compare(before)
    for name in (NAME, OTHER):
        call("down", name=name)
    assert found.returncode == 0, found.stdout + found.stderr


def interruptible():
    """Bash cannot trap a signal that was ignored when it started, as in a shell's background job."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()


def start_up():
    return subprocess.Popen([HERE / "up"], env=environment(NAME), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, preexec_fn=interruptible)


def read_until(child, words):
    for line in child.stdout:
        if words in line:
            return
    pytest.fail(f"up never said {words!r}")


def test_up_makes_a_cluster_with_two_ready_nodes_and_down_takes_all_of_it_away(nothing_stays):
    up = call("up")
    assert up.returncode == 0, up.stdout
    nodes = json.loads(call("kubectl", "get", "nodes", "-o", "json").stdout)["items"]
    assert [node["metadata"]["name"] for node in nodes] == [f"{NAME}-1", f"{NAME}-2"]
    assert all(node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.4" for node in nodes)
    assert call("helm", "list").returncode == 0
    found = compare(nothing_stays).stdout
    for kind in ("process", "network namespace", "control group", "folder"):
        assert f"left behind: {kind} " in found, "the comparison is blind"
    again = call("up")
    assert again.returncode == 1 and "is up already" in again.stdout
    down = call("down")
    assert down.returncode == 0, down.stdout


def test_two_clusters_live_beside_each_other_and_one_goes_alone(nothing_stays):
    for name in (NAME, OTHER):
        up = call("up", "--nodes", "1", name=name)
        assert up.returncode == 0, up.stdout
    assert call("down").returncode == 0
    other = call("kubectl", "get", "--raw", "/readyz", name=OTHER)
    assert other.stdout == "ok"
    assert call("down", name=OTHER).returncode == 0


@pytest.mark.parametrize("moment, delay", [
    ("starting the control plane", 0), ("starting the control plane", 0.2),
    ("starting the control plane", 1), ("the API server is ready", 0.5), ("nodes are ready", 0)])
def test_ctrl_c_in_the_middle_of_up_leaves_nothing(nothing_stays, moment, delay):
    child = start_up()
    read_until(child, moment)
    time.sleep(delay)
    os.killpg(child.pid, signal.SIGINT)
    said = child.stdout.read()
    assert child.wait(60) == 130, said
    assert "interrupted" in said
    assert not folder().exists()


def test_a_second_ctrl_c_does_not_stop_the_taking_down(nothing_stays):
    child = start_up()
    read_until(child, "the API server is ready")
    for _ in range(4):
        os.killpg(child.pid, signal.SIGINT)
        time.sleep(0.1)
    said = child.stdout.read()
    assert child.wait(60) == 130, said
    assert not folder().exists()


def test_an_up_that_fails_says_why_and_leaves_nothing(nothing_stays, tmp_path):
    broken = tmp_path / "containerd"
    broken.write_text("#!/bin/sh\necho this containerd is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    begin = time.monotonic()
    up = call("up", path=f"{tmp_path}:{os.environ['PATH']}")
    assert up.returncode == 1
    assert "containerd has ended: this containerd is broken" in up.stdout, up.stdout
    assert time.monotonic() - begin < 60
    assert not folder().exists()


def test_a_killed_up_is_named_by_the_next_and_cleared_by_down(nothing_stays):
    child = start_up()
    read_until(child, "the API server is ready")
    child.kill()
    child.wait(10)
    again = call("up")
    assert again.returncode == 1 and "tests/cluster/down" in again.stdout, again.stdout
    down = call("down")
    assert down.returncode == 0, down.stdout


def test_down_spares_a_process_that_has_the_number_of_a_former_one(nothing_stays):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (folder() / "node1").mkdir(parents=True)
        (folder() / "node1/holder.pid").write_text(f"{bystander.pid}\n")
        (folder() / "pids").write_text(f"{bystander.pid} 1\n")
        try:
            assert call("down").returncode == 0
            assert bystander.poll() is None
        finally:
            bystander.kill()
    assert not folder().exists()


def test_two_ups_at_once_are_refused_with_a_clear_line(nothing_stays):
    child = start_up()
    read_until(child, "starting the control plane")
    second = call("up")
    assert second.returncode == 1 and "another up or down" in second.stdout, second.stdout
    read_until(child, "the cluster is up")
    assert child.wait(10) == 0
    assert call("down").returncode == 0
