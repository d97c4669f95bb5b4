# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests play with: a client on node 1 and a server on node 2 that count what they
do, a task on them, and what was said of it: in the status, by REST, in the database."""
import json
import os
import random
import sqlite3
import time

from driver import CLUSTER, HERE, RUN, run

SEED = int(os.environ.get("NPT_SEED", random.randrange(1, 1 << 31)))
COUNTS = ("connections", "writes", "written", "reads", "read")

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
     args: [generate, server, "9000", "{connections}", "{seed}"]}}
---
apiVersion: v1
kind: Service
metadata: {{name: server, namespace: {namespace}}}
spec: {{clusterIP: None, selector: {{side: server}}, ports: [{{port: 9000}}]}}
""".replace("nodeName: npt-", f"nodeName: {CLUSTER}-")


def task(namespace, name, target, **spec):
    return json.dumps({"apiVersion": "netprof.io/v1alpha1", "kind": "NetworkProfilingTask",
                       "metadata": {"name": name, "namespace": namespace},
                       "spec": {"target": target, "intervalSeconds": 2, **spec}})


def both(namespace, name, seconds):
    """A task on both pods."""
    return task(namespace, name, {"podSelector": {"matchLabels": {"app": "plain"}}},
                durationSeconds=seconds)


def status_of(cluster, namespace, name):
    return cluster.get("npt", name, "-n", namespace).get("status", {})


def last_line(cluster, namespace, pod):
    lines = cluster.kubectl("-n", namespace, "logs", pod).stdout.splitlines()
    return json.loads(lines[-1]) if lines else None


def let_go(cluster, namespace):
    """The client begins."""
    cluster.kubectl("-n", namespace, "exec", "client", "--", "touch", "/tmp/go")


def truth_of(cluster, namespace, seconds=60):
    """What both ends counted, once they are done."""
    client = cluster.wait_until("the client is done",
                                lambda: last_line(cluster, namespace, "client"), seconds)

    def server_done():
        line = last_line(cluster, namespace, "server") or {}
        return line if line.get("connections") == client["connections"] else None

    return {"client": client, "server": cluster.wait_until("the server has answered all", server_done)}


def run_traffic(cluster, namespace):
    let_go(cluster, namespace)
    return truth_of(cluster, namespace)


def wait_running(cluster, namespace, name, pods):
    """Until so many pods are measured; the seconds that it took."""
    begin = time.monotonic()
    cluster.wait_until(f"{pods} pods are measured", lambda: status_of(
        cluster, namespace, name).get("targets", {}).get("running") == pods, 20, 0.1)
    return time.monotonic() - begin


def wait_finished(cluster, namespace, name, seconds=60):
    cluster.kubectl("-n", namespace, "wait", "--for=jsonpath={.status.finished}=true", f"npt/{name}",
                    f"--timeout={seconds}s")
    return status_of(cluster, namespace, name)


def seen(edge):
    """What an edge of the status says, in the traffic's own words."""
    return {"connections": edge["connections"], "writes": edge["writes"], "written": edge["bytesSent"],
            "reads": edge["reads"], "read": edge["bytesReceived"]}


def of_tcp(edges):
    """Without those by which names were looked up: they are measured, too, and nobody counted them."""
    return [edge for edge in edges if edge["transport"] == "tcp"]


def seen_in_status(status):
    return {edge["pod"]: seen(edge) for edge in of_tcp(status.get("edges", []))}


def ask(path):
    """GET from the aggregator; the answer's JSON."""
    return json.loads(run(HERE / "rest", path).stdout)


def add_up(edges):
    """Edges of TCP as REST gives them, by pod, in the traffic's own words."""
    sums = {}
    for edge in of_tcp(edges):
        there = sums.setdefault(edge["process"]["pod"], dict.fromkeys(COUNTS, 0))
        there["connections"] += edge["connections"]["opened"] + edge["connections"]["found"]
        there["writes"] += edge["write"]["count"]
        there["written"] += edge["sent"]["bytes"]
        there["reads"] += edge["read"]["count"]
        there["read"] += edge["received"]["bytes"]
    return sums


def windows_of(uid):
    """All windows of a task, page by page."""
    found, cursor = [], ""
    while True:
        page = ask(f"/v1/tasks/{uid}/windows?limit=7{cursor}")
        found += page["windows"]
        if "next" not in page:
            return found
        cursor = f"&cursor={page['next']}"


class Database:
    """The aggregator's own file, read beside it, by SQL of our own."""

    def __init__(self):
        path = RUN / "node1/run/npt-store/windows.db"
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def ask(self, sql, *values):
        return self.connection.execute(sql, values).fetchall()

    def sums(self, uid):
        rows = self.ask("""SELECT pod_name, sum(connections_opened), sum(write_count), sum(sent_bytes),
            sum(read_count), sum(received_bytes) FROM measurements WHERE task_uid = ? AND transport = 'tcp'
            GROUP BY pod_name""",
                        uid)
        return {pod: dict(zip(COUNTS, counts)) for pod, *counts in rows}

    def sequences(self, uid):
        """The sequence numbers of each stream (a pod, as one agent process saw it)."""
        streams = {}
        for pod, instance, sequence in self.ask("""SELECT pod_name, instance, sequence FROM windows w
                JOIN streams s ON s.id = w.stream_id JOIN tasks t ON t.id = w.task_id
                WHERE t.uid = ? ORDER BY sequence""", uid):
            streams.setdefault((pod, instance), []).append(sequence)
        return streams

    def close(self):
        self.connection.close()
