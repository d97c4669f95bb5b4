# SPDX-License-Identifier: Apache-2.0
"""A cluster for the whole session: up, with our images and the chart in it, and down again."""
import os

import pytest

import scene
from driver import CLUSTER, HERE, ROOT, RUN, Cluster, run

PROGRAMS = ["npt-controller", "npt-agent", "npt-aggregator"]
# History outlives the aggregator's pod, as on a cluster that is paid for.
STORE = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: npt-store}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  claimRef: {name: npt-store, namespace: npt-system}
  local: {path: /run/npt-store}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [npt-1]}]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: npt-system}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: npt-store, namespace: npt-system}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
""".replace("npt-1", f"{CLUSTER}-1")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces and control groups")
    archives = run(HERE / "image", ROOT, *PROGRAMS, timeout=1500).stdout.split()
    before = tmp_path_factory.mktemp("leftovers") / "before.json"
    before.write_text(run(HERE / "leftovers", "snapshot").stdout)
    run(HERE / "up", timeout=2400)
    made = Cluster()
    try:
        run(HERE / "load", *archives)
        (RUN / "node1/run/npt-store").mkdir()
        made.apply(STORE)
        made.helm("install", "npt", ROOT / "helm/npt", "-n", "npt-system",
                  "--set", "aggregator.persistentVolumeClaim=npt-store", "--wait", "--timeout", "90s")
        made.wait_until("both agents are connected", lambda: len(made.connected_nodes()) == 2)
        yield made
    finally:
        run(HERE / "down")
    found = run(HERE / "leftovers", "compare", before, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.fixture
def pods(cluster, request):
    """A client on node 1 and a server on node 2 in a namespace of their own, not talking yet. The
    parameter is added to the seed; the marker connections(N) says how many the client makes."""
    namespace = "t" + format(abs(hash(request.node.name)) % 10**8, "x")
    seed = scene.SEED + getattr(request, "param", 0)
    marker = request.node.get_closest_marker("connections")
    print("seed", seed, "(repeat with NPT_SEED)")
    cluster.apply(scene.PODS.format(namespace=namespace, seed=seed,
                                    connections=marker.args[0] if marker else 60))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/server", "pod/client",
                    "--timeout=60s")
    yield namespace
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def pytest_configure(config):
    config.addinivalue_line("markers", "connections(n): how many connections the client makes")
