# SPDX-License-Identifier: Apache-2.0
"""Programs that are killed or away while a task runs: what was lost is said, and nothing else is."""
import json
import os
import signal
import time

import pytest

from driver import bpf_exists, bpf_objects, process_of
from scene import (Database, add_up, ask, both, let_go, run_traffic, seen_in_status, status_of, task,
                   truth_of, wait_finished, wait_running, windows_of)


def uid_of(cluster, namespace, name):
    return cluster.get("npt", name, "-n", namespace)["metadata"]["uid"]


def kill(cluster, program, node=None):
    """kill -9; returns when the kubelet has started it anew."""
    pid = process_of(cluster, program, node)
    os.kill(pid, signal.SIGKILL)
    return pid, cluster.wait_until(f"a new {program} runs", lambda: (
        process_of(cluster, program, node) if process_of(cluster, program, node) != pid else None))


def check_contiguous(uid):
    """Every sequence of every stream is there once; returns the database's sums."""
    database = Database()
    try:
        for stream, sequences in database.sequences(uid).items():
            assert sequences == list(range(1, len(sequences) + 1)), stream
        return database.sums(uid)
    finally:
        database.close()


def test_an_agent_that_is_killed_costs_only_what_happened_meanwhile(cluster, pods):
    cluster.apply(both(pods, "killed", 25))
    wait_running(cluster, pods, "killed", 2)
    truth = run_traffic(cluster, pods)
    cluster.wait_until("the status has it all", lambda: seen_in_status(
        status_of(cluster, pods, "killed")) == truth)
    held = bpf_objects(process_of(cluster, "npt-agent", "npt-1"))
    assert {kind for kind, _ in held} == {"prog", "map", "link"}
    kill(cluster, "npt-agent", "npt-1")
    cluster.wait_until("nothing of the killed agent stays", lambda: not any(
        bpf_exists(kind, number) for kind, number in held), 10)
    status = wait_finished(cluster, pods, "killed", 90)
    states = {pod["name"]: pod for pod in status["pods"]}
    assert seen_in_status(status) == truth
    assert status["phase"] == "PartiallySucceeded"
    assert states["client"]["reason"] == "AgentRestarted"
    assert "reason" not in states["server"]
    # What had been in a window that was cut is stored; both processes count as streams of their own.
    assert len({pod["instance"] for pod in ask(f"/v1/tasks/{uid_of(cluster, pods, 'killed')}")[
        "pods"] if pod["name"] == "client"}) == 2


def test_a_controller_that_is_killed_picks_the_running_task_up(cluster, pods):
    cluster.apply(both(pods, "handed", 30))
    wait_running(cluster, pods, "handed", 2)
    started = status_of(cluster, pods, "handed")["startTime"]
    kill(cluster, "npt-controller")
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "handed", 90)
    assert status["startTime"] == started
    assert seen_in_status(status) == truth
    assert status["phase"] == "Succeeded"
    assert check_contiguous(uid_of(cluster, pods, "handed")) == truth


def test_a_controller_of_another_pod_picks_the_running_task_up(cluster, pods):
    cluster.apply(both(pods, "moved", 30))
    wait_running(cluster, pods, "moved", 2)
    cluster.kubectl("-n", "npt-system", "delete", "pod", "-l",
                    "app.kubernetes.io/name=npt-controller", "--grace-period=0", "--force")
    truth = run_traffic(cluster, pods)
    assert seen_in_status(wait_finished(cluster, pods, "moved", 90)) == truth


@pytest.mark.connections(400)
def test_nothing_is_lost_while_the_aggregator_is_away(cluster, pods):
    """Away for 30 s in the middle of the traffic: its windows wait with the agents."""
    cluster.apply(both(pods, "away", 60))
    wait_running(cluster, pods, "away", 2)
    let_go(cluster, pods)
    time.sleep(4)
    scale(cluster, 0)
    time.sleep(30)
    waiting = status_of(cluster, pods, "away")["summary"]
    assert waiting["windows"] - waiting["windowsStored"] >= 20  # 15 windows of two pods
    scale(cluster, 1)
    truth = truth_of(cluster, pods)
    status = wait_finished(cluster, pods, "away", 90)
    conditions = {item["type"]: item for item in status["conditions"]}
    uid = uid_of(cluster, pods, "away")
    assert seen_in_status(status) == truth
    assert conditions["ResultsStored"]["status"] == "True"
    assert status["phase"] == "Succeeded"
    assert check_contiguous(uid) == truth
    assert add_up(ask(f"/v1/tasks/{uid}")["edges"]) == truth
    assert add_up(edge for window in windows_of(uid) for edge in window["edges"]) == truth


def scale(cluster, replicas):
    cluster.kubectl("-n", "npt-system", "scale", "deploy/npt-aggregator", f"--replicas={replicas}")
    cluster.wait_until(f"{replicas} aggregators are there", lambda: (
        process_of(cluster, "npt-aggregator") is not None) == bool(replicas))


@pytest.mark.connections(200)
def test_an_aggregator_that_is_killed_loses_nothing_that_it_acknowledged(cluster, pods):
    cluster.apply(both(pods, "shot", 25))
    wait_running(cluster, pods, "shot", 2)
    let_go(cluster, pods)
    for _ in range(2):
        time.sleep(2)
        kill(cluster, "npt-aggregator")
    truth = truth_of(cluster, pods)
    status = wait_finished(cluster, pods, "shot", 90)
    assert seen_in_status(status) == truth
    assert check_contiguous(uid_of(cluster, pods, "shot")) == truth


STRANGER = """
apiVersion: v1
kind: Pod
metadata: {{name: "stranger-{number}", namespace: {namespace}}}
spec:
  nodeName: npt-2
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: serve, image: "docker.io/local/traffic:1", imagePullPolicy: Never, args: [serve, "9000"]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: "caller-{number}", namespace: {namespace}}}
spec:
  nodeName: npt-1
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
  - {{name: generate, image: "docker.io/local/traffic:1", imagePullPolicy: Never,
     args: [generate, "{address}", "9000", "20", "{number}"]}}
"""


def test_a_pod_that_comes_in_place_of_a_target_is_not_measured(cluster, pods):
    """Namespace numbers and addresses are reused at once; the target's edges stay the target's."""
    cluster.apply(task(pods, "gone", {"podSelector": {"matchLabels": {"side": "server"}}},
                       durationSeconds=25))
    wait_running(cluster, pods, "gone", 1)
    truth = run_traffic(cluster, pods)["server"]
    cluster.wait_until("the status has it all", lambda: seen_in_status(
        status_of(cluster, pods, "gone")) == {"server": truth})
    cluster.kubectl("-n", pods, "delete", "pod", "server", "--grace-period=0", "--force")
    for number in range(3):
        talk_with_a_stranger(cluster, pods, number)
    status = wait_finished(cluster, pods, "gone")
    assert [(pod["name"], pod["state"]) for pod in status["pods"]] == [("server", "Gone")]
    assert seen_in_status(status) == {"server": truth}
    report = ask(f"/v1/tasks/{uid_of(cluster, pods, 'gone')}")
    assert add_up(report["edges"]) == {"server": truth}


def talk_with_a_stranger(cluster, namespace, number):
    """A pod that nobody asked for, on the target's node, moves bytes at once."""
    stranger, caller = STRANGER.format(number=number, namespace=namespace, address="{address}").split("---")
    cluster.apply(stranger)
    address = cluster.wait_until("the stranger has an address", lambda: cluster.get(
        "pod", f"stranger-{number}", "-n", namespace)["status"].get("podIP"))
    cluster.apply(caller.replace("{address}", address))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/caller-{number}", "--timeout=60s")
    cluster.kubectl("-n", namespace, "exec", f"caller-{number}", "--", "touch", "/tmp/go")
    counted = cluster.wait_until("the stranger has answered", lambda: [
        line for line in cluster.kubectl("-n", namespace, "logs", f"stranger-{number}").stdout.splitlines()
        if json.loads(line)["connections"] == 20])
    assert json.loads(counted[0])["read"] > 0
    cluster.kubectl("-n", namespace, "delete", "pod", f"stranger-{number}", f"caller-{number}",
                    "--grace-period=0", "--force")
