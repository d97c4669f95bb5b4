# SPDX-License-Identifier: Apache-2.0
"""The demo's mesh: a program and its Envoy sidecar, told apart, both ways, with roles and ports."""
import json

import scene
from driver import ROOT, run

TASK = (ROOT / "demo/task.yaml").read_text()
WARM_REQUESTS = 30  # then both threads of each sidecar have the connections that they need


def find(edges, process, role, kind, port):
    """The edges of a process (python or envoy) in a role with a kind of peer at a port."""
    return [edge for edge in edges
            if edge["process"].startswith(process) and edge["role"] == role
            and edge["peer"]["kind"] == kind and edge["peer"]["port"] == port]


def found_in(report, edge):
    """The edge of the status as REST has it."""
    one, = [other for other in report["edges"]
            if other["process"]["pid"] == edge["pid"] and other["role"] == edge["role"]
            and all(other["peer"].get(key, "") == edge["peer"].get(key, "")
                    for key in ("kind", "name", "address", "port", "asked"))]
    return one


def requests_made(cluster):
    lines = cluster.kubectl("-n", "shop", "logs", "deploy/generator", "--tail=1").stdout.splitlines()
    return json.loads(lines[-1])["requests"] if lines else 0


def test_a_sidecar_and_its_program_are_told_apart(cluster):
    archive = run(ROOT / "demo/mesh", "image").stdout.split()[-1]
    run(ROOT / "tests/cluster/load", archive)
    run(ROOT / "demo/mesh", "start")
    try:
        cluster.wait_until("the mesh talks", lambda: requests_made(cluster) >= WARM_REQUESTS)
        cluster.apply(TASK)
        cluster.kubectl("-n", "shop", "wait", "--for=jsonpath={.status.finished}=true",
                        "npt/slow-reviews", "--timeout=60s")
        task = cluster.get("npt", "slow-reviews", "-n", "shop")
        status, report = task["status"], scene.ask(f"/v1/tasks/{task['metadata']['uid']}")
    finally:
        cluster.kubectl("delete", "namespace", "shop", "--wait=false")
    edges = status["edges"]
    incoming = find(edges, "envoy", "server", "pod", 15006)
    to_program = find(edges, "envoy", "client", "process", 9080)
    from_envoy = find(edges, "python", "server", "process", 9080)
    to_envoy = find(edges, "python", "client", "process", 15001)
    from_program = find(edges, "envoy", "server", "process", 15001)
    to_pod = find(edges, "envoy", "client", "pod", 9080)
    to_service = find(edges, "envoy", "client", "service", 9080)
    assert len(incoming) == len(to_program) == len(from_envoy) == len(from_program) == 1
    assert incoming[0]["peer"]["name"].startswith("web-")
    assert to_pod[0]["peer"]["name"].startswith("ratings-")
    assert to_pod[0]["peer"]["reached"] == to_pod[0]["peer"]["asked"]
    assert to_service[0]["peer"]["name"] == "ratings-vip"
    assert to_service[0]["peer"]["reached"] == "unknown"
    # What one end sent the other received; the redirect shows as asked and reached.
    assert to_program[0]["bytesSent"] == from_envoy[0]["bytesReceived"] > 0
    assert to_program[0]["bytesReceived"] == from_envoy[0]["bytesSent"] > 0
    asked = {edge["peer"]["asked"] for edge in to_envoy}
    assert to_pod[0]["peer"]["asked"] in asked and to_service[0]["peer"]["asked"] in asked
    assert {edge["peer"]["reached"] for edge in to_envoy} == {"127.0.0.1:15001"}
    assert {edge["container"] for edge in incoming + to_pod} == {"envoy"}
    assert {edge["container"] for edge in from_envoy + to_envoy} == {"program"}
    # HTTP inside, HTTPS outside.
    inside = to_program + from_envoy + from_program + to_envoy
    assert {(edge["protocol"], edge["tls"]) for edge in inside} == {("http1", "no")}
    # By its handshake; of a connection that is older, by the plain hop, where Envoy may change the version.
    outside = {(edge["protocol"], edge["tls"]) for edge in incoming + to_pod}
    assert outside <= {("http1", "yes"), ("http", "yes")}
    # Status and REST say by whom it is named; all connections of some edge are older than the task.
    older = [edge for edge in incoming + to_pod if found_in(report, edge)["connections"]["opened"] == 0]
    assert older and {edge.get("protocolFrom") for edge in older} == {"hop"}
    for edge in incoming + to_pod:
        assert (edge.get("protocolFrom") == "hop") == (edge["protocol"] == "http"), edge
        rest = found_in(report, edge)
        assert [rest.get(key) for key in ("protocol", "protocolFrom")] == \
            [edge.get(key) for key in ("protocol", "protocolFrom")], (edge, rest)
    assert all("protocolFrom" not in edge for edge in inside)
    # Of Envoy's TLS there is what the wire shows, and it is said why.
    uses = {use["library"]: use for pod in status["pods"] for use in pod["tls"]}
    assert uses["BoringSSL"]["coverage"] == "metadata" and uses["BoringSSL"]["why"]
