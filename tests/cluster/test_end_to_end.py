# SPDX-License-Identifier: Apache-2.0
"""End to end: a real cluster of two nodes, real kubectl and helm. What the status says is what the
traffic's own programs counted."""
import json
import os
import pathlib
import random
import signal
import time

import pytest

SEED = int(os.environ.get("NPT_SEED", random.randrange(1, 1 << 31)))

PODS = """
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: server, namespace: {namespace}, labels: {{app: plain, side: server}}}}
spec:
  nodeName: npt-2
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: serve, image: "docker.io/local/traffic:1", imagePullPolicy: Never, args: [serve, "9000"]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client, namespace: {namespace}, labels: {{app: plain, side: client}}}}
spec:
  nodeName: npt-1
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: generate, image: "docker.io/local/traffic:1", imagePullPolicy: Never,
     args: [generate, server, "9000", "60", "{seed}"]}}
---
apiVersion: v1
kind: Service
metadata: {{name: server, namespace: {namespace}}}
spec: {{clusterIP: None, selector: {{side: server}}, ports: [{{port: 9000}}]}}
"""


def task(namespace, name, target, **spec):
    return json.dumps({"apiVersion": "netprof.io/v1alpha1", "kind": "NetworkProfilingTask",
                       "metadata": {"name": name, "namespace": namespace},
                       "spec": {"target": target, "intervalSeconds": 2, **spec}})


@pytest.fixture
def pods(cluster, request):
    """A client on node 1 and a server on node 2 in a namespace of their own, not talking yet."""
    namespace = "t" + format(abs(hash(request.node.name)) % 10**8, "x")
    seed = SEED + getattr(request, "param", 0)
    print("seed", seed, "(repeat with NPT_SEED)")
    cluster.apply(PODS.format(namespace=namespace, seed=seed))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/server", "pod/client",
                    "--timeout=60s")
    yield namespace
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def status_of(cluster, namespace, name):
    return cluster.get("npt", name, "-n", namespace).get("status", {})


def run_traffic(cluster, namespace):
    """Lets the client go; what both ends counted."""
    cluster.kubectl("-n", namespace, "exec", "client", "--", "touch", "/tmp/go")

    def last_line(pod):
        lines = cluster.kubectl("-n", namespace, "logs", pod).stdout.splitlines()
        return json.loads(lines[-1]) if lines else None

    client = cluster.wait_until("the client is done", lambda: last_line("client"), 60)
    server = cluster.wait_until("the server has answered all", lambda: (
        last_line("server") if (last_line("server") or {}).get("connections") == client["connections"]
        else None))
    return {"client": client, "server": server}


def wait_running(cluster, namespace, name, pods):
    begin = time.monotonic()
    cluster.wait_until(f"{pods} pods are measured", lambda: status_of(
        cluster, namespace, name).get("targets", {}).get("running") == pods, 20, 0.1)
    return time.monotonic() - begin


def wait_finished(cluster, namespace, name, seconds=60):
    cluster.kubectl("-n", namespace, "wait", "--for=jsonpath={.status.finished}=true", f"npt/{name}",
                    f"--timeout={seconds}s")
    return status_of(cluster, namespace, name)


def seen(edge):
    return {"connections": edge["connections"], "writes": edge["writes"], "written": edge["bytesSent"],
            "reads": edge["reads"], "read": edge["bytesReceived"]}


@pytest.mark.parametrize("pods", [0, 1], indirect=True)
def test_the_status_equals_what_the_programs_counted(cluster, pods):
    cluster.apply(task(pods, "plain", {"podSelector": {"matchLabels": {"app": "plain"}}},
                       durationSeconds=14))
    assert wait_running(cluster, pods, "plain", 2) < 5
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "plain")
    edges = {edge["pod"]: edge for edge in status["edges"]}
    assert set(edges) == {"client", "server"}
    assert seen(edges["client"]) == truth["client"]
    assert seen(edges["server"]) == truth["server"]
    assert [edges[pod]["role"] for pod in ("client", "server")] == ["client", "server"]
    assert edges["client"]["peer"]["name"] == "server" and edges["client"]["peer"]["kind"] == "pod"
    assert edges["server"]["peer"]["name"] == "client" and edges["server"]["peer"]["port"] == 9000
    assert edges["client"]["container"] == "generate"
    assert status["phase"] == "Succeeded"
    assert "Protocol" in status["unavailable"]


def test_kubectl_shows_it(cluster, pods):
    cluster.apply(task(pods, "show", {"podNames": ["server"]}, durationSeconds=5))
    wait_running(cluster, pods, "show", 1)
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
    """A task on the server's pod: nothing of the client's node is in it."""
    cluster.apply(task(pods, "one", {"podSelector": {"matchLabels": {"side": "server"}}},
                       durationSeconds=12))
    wait_running(cluster, pods, "one", 1)
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "one")
    assert [pod["node"] for pod in status["pods"]] == ["npt-2"]
    assert {edge["pod"] for edge in status["edges"]} == {"server"}
    assert seen(status["edges"][0]) == truth["server"]


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


def test_a_new_controller_picks_the_running_task_up(cluster, pods):
    cluster.apply(task(pods, "handed", {"podSelector": {"matchLabels": {"app": "plain"}}},
                       durationSeconds=30))
    wait_running(cluster, pods, "handed", 2)
    started = status_of(cluster, pods, "handed")["startTime"]
    cluster.kubectl("-n", "npt-system", "delete", "pod", "-l",
                    "app.kubernetes.io/name=npt-controller", "--grace-period=0", "--force")
    truth = run_traffic(cluster, pods)
    status = wait_finished(cluster, pods, "handed", 90)
    edges = {edge["pod"]: edge for edge in status["edges"]}
    assert status["startTime"] == started
    assert {pod: seen(edges[pod]) for pod in edges} == truth


def agent_process(cluster, node):
    """The agent's process on a node, by the pod in its control group."""
    pods = cluster.get("pods", "-n", "npt-system", "-l", "app.kubernetes.io/name=npt-agent")["items"]
    uid = next(pod["metadata"]["uid"] for pod in pods if pod["spec"]["nodeName"] == node)
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if uid in (process / "cgroup").read_text() and (
                    process / "comm").read_text().strip() == "npt-agent":
                return int(process.name)
        except OSError:
            continue
    return None


def test_an_agent_that_is_killed_costs_only_what_happened_meanwhile(cluster, pods):
    cluster.apply(task(pods, "killed", {"podSelector": {"matchLabels": {"app": "plain"}}},
                       durationSeconds=25))
    wait_running(cluster, pods, "killed", 2)
    truth = run_traffic(cluster, pods)
    cluster.wait_until("the status has it all", lambda: {
        edge["pod"]: seen(edge) for edge in status_of(cluster, pods, "killed")["edges"]} == truth)
    pid = agent_process(cluster, "npt-1")
    os.kill(pid, signal.SIGKILL)
    cluster.wait_until("a new agent measures", lambda: agent_process(cluster, "npt-1") not in (None, pid))
    status = wait_finished(cluster, pods, "killed", 90)
    states = {pod["name"]: pod for pod in status["pods"]}
    assert {edge["pod"]: seen(edge) for edge in status["edges"]} == truth
    assert status["phase"] == "PartiallySucceeded"
    assert states["client"]["reason"] == "AgentRestarted"
    assert "reason" not in states["server"]
