# SPDX-License-Identifier: Apache-2.0
"""End to end: a real cluster of two nodes, real kubectl and helm. What is said of a task, wherever it is
said, is what the traffic's own programs counted."""
import json
import subprocess
import time

import pytest

from driver import HERE, bpf_objects, process_of
from scene import (Database, add_up, ask, both, let_go, of_tcp, run_traffic, seen, seen_in_status,
                   status_of, task, wait_finished, wait_running, windows_of)


@pytest.mark.connections(200)  # longer than a window: the first one may lack a name (docs/limits.md)
@pytest.mark.parametrize("pods", [0, 1], indirect=True)
def test_status_rest_and_database_equal_what_the_programs_counted(cluster, pods):
    cluster.apply(both(pods, "plain", 24))
    wait_running(cluster, pods, "plain", 2)
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "plain")
    check_status(status, truth)
    check_history(cluster.get("npt", "plain", "-n", pods), truth)


def check_status(status, truth):
    edges = {edge["pod"]: edge for edge in of_tcp(status["edges"])}
    assert set(edges) == {"client", "server"}
    assert seen(edges["client"]) == truth["client"]
    assert seen(edges["server"]) == truth["server"]
    assert [edges[pod]["role"] for pod in ("client", "server")] == ["client", "server"]
    assert edges["client"]["peer"]["name"] == "server" and edges["client"]["peer"]["kind"] == "pod"
    assert edges["server"]["peer"]["name"] == "client" and edges["server"]["peer"]["port"] == 9000
    assert edges["client"]["container"] == "generate"
    assert status["phase"] == "Succeeded"
    assert status["unavailable"] == {}
    assert status["summary"]["windows"] == status["summary"]["windowsStored"] > 0


def check_history(task_object, truth):
    """REST's report, the sum of REST's windows, and SQL, each asked for itself."""
    uid, name = task_object["metadata"]["uid"], task_object["metadata"]["name"]
    assert task_object["status"]["resultRef"]["url"].endswith(f"/v1/tasks/{uid}")
    report, windows = ask(f"/v1/tasks/{uid}"), windows_of(uid)
    listed = [item for item in ask("/v1/tasks?limit=500")["tasks"] if item["uid"] == uid]
    database = Database()
    try:
        assert add_up(report["edges"]) == truth
        assert add_up(edge for window in windows for edge in window["edges"]) == truth
        assert database.sums(uid) == truth
        assert listed == [dict(listed[0], name=name, pods=2, windows=len(windows))]
        for sequences in database.sequences(uid).values():
            assert sequences == list(range(1, len(sequences) + 1))
    finally:
        database.close()
    assert {pod["missing"] for pod in report["pods"]} == {0}
    assert {edge["peer"]["name"] for edge in of_tcp(report["edges"])} == {"client", "server"}
    # The client looked the server up: the cluster's DNS, by its Service.
    dns, = [edge for edge in report["edges"] if edge["transport"] == "udp"]
    assert (dns["process"]["pod"], dns["role"], dns["peer"]["port"]) == ("client", "client", 53)
    assert dns["response"]["count"] > 0


@pytest.mark.connections(200)
def test_first_data_is_in_the_status_within_five_seconds(cluster, pods):
    let_go(cluster, pods)
    begin = time.monotonic()
    cluster.apply(both(pods, "soon", 10))
    cluster.wait_until("there is data of both pods", lambda: len(
        [edge for edge in of_tcp(status_of(cluster, pods, "soon").get("edges", []))
         if edge["bytesSent"]]) == 2, pause=0.05)
    assert time.monotonic() - begin < 5


def test_kubectl_shows_it(cluster, pods):
    watch = subprocess.Popen([HERE / "kubectl", "-n", pods, "get", "npt", "-w", "--no-headers"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        show(cluster, pods)
    finally:
        watch.terminate()
        phases = [line.split()[2] for line in watch.communicate(timeout=10)[0].splitlines()
                  if len(line.split()) > 2]
    assert phases[-1] == "Succeeded" and "Running" in phases


def show(cluster, pods):
    cluster.apply(task(pods, "show", {"podNames": ["server"]}, durationSeconds=5))
    wait_running(cluster, pods, "show", 1)
    assert "phase: Running" in cluster.kubectl("-n", pods, "get", "npt", "show", "-o", "yaml").stdout
    table = cluster.kubectl("-n", pods, "get", "npt").stdout.splitlines()
    assert table[0].split() == ["NAME", "TARGET", "PHASE", "PODS", "EDGES", "RTT-P95", "RETRANS",
                                "FINDING", "AGE"]
    assert table[1].split()[:4] == ["show", "server", "Running", "1"]
    assert "durationSeconds" in cluster.kubectl("explain", "npt.spec").stdout
    wait_finished(cluster, pods, "show")
    begin = time.monotonic()
    cluster.kubectl("-n", pods, "delete", "npt", "show")
    assert time.monotonic() - begin < 5


def test_a_node_measures_only_its_own_pods_of_the_task(cluster, pods):
    """A task on the server's pod: the client's node reports nothing, and its agent has no map at all."""
    cluster.apply(task(pods, "one", {"podSelector": {"matchLabels": {"side": "server"}}},
                       durationSeconds=12))
    wait_running(cluster, pods, "one", 1)
    truth = run_traffic(cluster, pods)
    assert bpf_objects(process_of(cluster, "npt-agent", "npt-1")) == set()
    assert {kind for kind, _ in bpf_objects(process_of(cluster, "npt-agent", "npt-2"))} == {
        "prog", "map", "link"}
    status = wait_finished(cluster, pods, "one")
    assert [pod["node"] for pod in status["pods"]] == ["npt-2"]
    assert {edge["pod"] for edge in status["edges"]} == {"server"}
    assert seen(status["edges"][0]) == truth["server"]
    report = ask("/v1/tasks/" + cluster.get("npt", "one", "-n", pods)["metadata"]["uid"])
    assert {pod["node"] for pod in report["pods"]} == {"npt-2"}
    assert add_up(report["edges"]) == {"server": truth["server"]}
    assert bpf_objects(process_of(cluster, "npt-agent", "npt-2")) == set()


def test_pods_that_come_while_the_task_runs_are_measured_too(cluster, pods):
    """The client is relabelled into the selection: it is a target from then on."""
    cluster.kubectl("-n", pods, "label", "pod", "client", "app-")
    cluster.apply(both(pods, "late", 20))
    wait_running(cluster, pods, "late", 1)
    cluster.kubectl("-n", pods, "label", "pod", "client", "app=plain")
    wait_running(cluster, pods, "late", 2)
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "late")
    assert seen_in_status(status) == truth
    assert status["phase"] == "Succeeded"


def test_a_bad_task_is_refused_with_words(cluster):
    def refused(spec):
        result = cluster.apply(json.dumps({
            "apiVersion": "netprof.io/v1alpha1", "kind": "NetworkProfilingTask",
            "metadata": {"name": "bad", "namespace": "default"}, "spec": spec}), check=False)
        assert result.returncode != 0
        return result.stderr

    assert "name at least one label" in refused({"target": {"podSelector": {}}})
    assert "either podSelector or podNames" in refused({"target": {}})
    assert "spec.durationSeconds" in refused({"target": {"podNames": ["x"]}, "durationSeconds": 0})
    assert "podSelector.matchLabels.app" in refused(
        {"target": {"podSelector": {"matchLabels": {"app": "a,b"}}}})
    assert "Unsupported value" in refused({"target": {"podNames": ["x"]}, "layers": ["Magic"]})


def test_no_pod_matches_is_said(cluster):
    cluster.apply(task("default", "nobody", {"podSelector": {"matchLabels": {"app": "nobody"}}},
                       durationSeconds=5, startDeadlineSeconds=4))
    status = wait_finished(cluster, "default", "nobody", 30)
    conditions = {item["type"]: item for item in status["conditions"]}
    assert status["phase"] == "Failed"
    assert conditions["TargetsResolved"]["reason"] == "NoMatchingPods"
    assert "matches" in status["message"]
    cluster.kubectl("-n", "default", "delete", "npt", "nobody")


def test_a_spec_is_immutable_but_for_cancel(cluster, pods):
    cluster.apply(task(pods, "fixed", {"podNames": ["server"]}, durationSeconds=600))
    wait_running(cluster, pods, "fixed", 1)
    patch = cluster.kubectl("-n", pods, "patch", "npt", "fixed", "--type=merge", "-p",
                            '{"spec": {"durationSeconds": 5}}', check=False)
    assert patch.returncode != 0 and "immutable" in patch.stderr
    cluster.kubectl("-n", pods, "patch", "npt", "fixed", "--type=merge", "-p",
                    '{"spec": {"cancel": true}}')
    assert wait_finished(cluster, pods, "fixed", 20)["phase"] == "Cancelled"
