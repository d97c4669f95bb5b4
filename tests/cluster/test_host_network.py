# SPDX-License-Identifier: Apache-2.0
"""Pods on the host network: they share their node's addresses with each other and with the node's own
programs, and each is told what it did itself."""
import pytest

from scene import (SEED, Database, add_up, ask, last_line, seen, task, wait_finished, wait_running,
                   windows_of)

NAMESPACE = "hostnet"
HEAD = """
apiVersion: v1
kind: Namespace
metadata: {name: hostnet}
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: hostnet, labels: {{app: {app}}}}}
spec:
  nodeName: npt-2
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: traffic, image: "docker.io/local/traffic:1", imagePullPolicy: Never, args: [{arguments}]}}
"""


CONNECTIONS = 15  # over loopback each request waits 40 ms for an acknowledgement (Nagle)


def generate(address, seed):
    return f'generate, "{address}", "9100", "{CONNECTIONS}", "{seed}"'


@pytest.fixture
def host_pods(cluster):
    """On one node: two targets, one serving the other, and a bystander whom the same one serves."""
    node = cluster.get("node", "npt-2")
    address = next(item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP")
    print("seed", SEED, "(repeat with NPT_SEED)")
    cluster.apply(HEAD + POD.format(name="server", app="target", arguments='serve, "9100"')
                  + POD.format(name="client", app="target", arguments=generate(address, SEED))
                  + POD.format(name="bystander", app="other", arguments=generate(address, SEED + 1)))
    cluster.kubectl("-n", NAMESPACE, "wait", "--for=condition=Ready", "pod/server", "pod/client",
                    "pod/bystander", "--timeout=60s")
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def run_traffic(cluster):
    """What the two targets counted; the server serves one connection at a time."""
    counted = {}
    for pod in ("client", "bystander"):
        cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "touch", "/tmp/go")
        counted[pod] = cluster.wait_until(f"{pod} is done", lambda pod=pod: last_line(
            cluster, NAMESPACE, pod), 60)

    def all_served():
        line = last_line(cluster, NAMESPACE, "server") or {}
        return line if line.get("connections") == 2 * CONNECTIONS else None

    return {"client": counted["client"],
            "server": cluster.wait_until("the server has answered all", all_served)}


def test_a_host_network_pod_is_told_what_it_did_and_nothing_of_its_neighbours(cluster, host_pods):
    cluster.apply(task(NAMESPACE, "shared", {"podSelector": {"matchLabels": {"app": "target"}}},
                       durationSeconds=40))
    wait_running(cluster, NAMESPACE, "shared", 2)
    truth = run_traffic(cluster)
    status = wait_finished(cluster, NAMESPACE, "shared")
    assert status["phase"] == "Succeeded"
    assert [(pod["state"], pod.get("reason", "")) for pod in status["pods"]] == [("Finished", "")] * 2
    assert sorted((edge["pod"], edge["role"]) for edge in status["edges"]) == [
        ("client", "client"), ("server", "server")]
    assert {edge["pod"]: seen(edge) for edge in status["edges"]} == truth
    # A node's address stands for the node, whoever of its programs it is.
    assert {(edge["peer"]["kind"], edge["peer"].get("name")) for edge in status["edges"]} == {
        ("node", "npt-2")}
    assert {edge["container"] for edge in status["edges"]} == {"traffic"}
    check_history(cluster.get("npt", "shared", "-n", NAMESPACE)["metadata"]["uid"], truth)


def check_history(uid, truth):
    edges = ask(f"/v1/tasks/{uid}")["edges"]
    database = Database()
    try:
        assert database.sums(uid) == truth
    finally:
        database.close()
    assert add_up(edges) == truth
    assert add_up(edge for window in windows_of(uid) for edge in window["edges"]) == truth
    assert {edge["process"]["name"] for edge in edges} == {"traffic"}
