# SPDX-License-Identifier: Apache-2.0
"""The aggregator is away while a pod is measured, and the agent's container is killed and comes again
meanwhile: what it had cut waits in its spool, and all of it arrives, once. NPT_AWAY_SECONDS is how long it is
away (soak: minutes)."""
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.request

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "component/aggregator"), str(TESTS / "component/agent")]
from programs import AGGREGATOR, Daemon, free_port, wait_until  # noqa: E402
from test_agent_host_network import Scene, go, sums  # noqa: E402
from world import KEY, ingest_token  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, makes namespaces")

AWAY_SECONDS = int(os.environ.get("NPT_AWAY_SECONDS", "10"))


class Away:
    """A scene whose windows go to an aggregator that is not there yet."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        token = ingest_token(task="t", name="t", node="n", seconds=3600)
        self.scene = Scene(folder, True, ("--spool", folder / "spool"), {
            "ingestUrl": f"https://127.0.0.1:{self.port}/v1/ingest", "ingestToken": token,
            "remainingMillis": (AWAY_SECONDS + 80) * 1000})
        self.aggregator = None

    def come(self):
        (self.folder / "key").write_bytes(KEY)
        authority = self.scene.authority
        self.aggregator = Daemon(
            self.folder / "aggregator-log", AGGREGATOR, "--listen", f"127.0.0.1:{self.port}", "--health",
            "127.0.0.1:0", "--ingest-key", self.folder / "key", "--store", self.folder / "windows.db",
            "--insecure-local", "--tls-cert", authority.cert, "--tls-key", authority.key)
        self.aggregator.wait_for("serving")

    def get(self, path):
        context = ssl.create_default_context(cafile=str(self.scene.authority.ca))
        url = f"https://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=20, context=context) as answer:
            return json.load(answer)

    def end(self):
        try:
            self.scene.end()
        finally:
            if self.aggregator:
                self.aggregator.stop(seconds=20)


@pytest.fixture
def away(tmp_path):
    made = Away(tmp_path)
    yield made
    made.end()


def test_nothing_is_lost_while_the_aggregator_is_away_and_the_agent_is_killed(away):
    scene, pod = away.scene, 0
    first = scene.start(scene.pods[pod].start, "mixed")
    scene.wait_for(pod, state="Running")
    truths = go(first)
    scene.check(pod, truths)
    time.sleep(2.5)  # that was in windows that are cut
    before = scene.pod(pod)["windows"]
    scene.agent.kill()
    scene.heard.clear()
    scene.start_agent()
    wait_until(lambda: scene.pod(pod).get("state") == "Running", lambda: scene.agent.lines())
    second = scene.start(scene.pods[pod].start, "prefork")
    time.sleep(AWAY_SECONDS)
    expected = sums(truths + go(second))
    time.sleep(2.5)
    away.come()

    def report():
        try:
            return away.get("/v1/tasks/t?pod=" + scene.pods[pod].group.name.removeprefix("pod"))
        except OSError:
            return {"edges": [], "pods": []}

    wait_until(lambda: counted(report()) == counts_of(expected), lambda: (counted(report()), expected), 60)
    streams = report()["pods"]
    assert len(streams) == 2 and all(one["missing"] == 0 for one in streams)
    assert max(one["windows"] for one in streams) >= before
    assert counted(report()) == counts_of(expected)


def counts_of(expected):
    """What two agents, one after the other, are to have: connections that go on are found again."""
    return {key: (one["writes"], one["written"], one["reads"], one["read"]) for key, one in expected.items()
            if any(one.values())}


def counted(report):
    found = {}
    for edge in report["edges"]:
        key = (edge["role"], edge["peer"]["port"])
        there = found.get(key, (0, 0, 0, 0))
        numbers = (edge["write"]["count"], edge["sent"]["bytes"], edge["read"]["count"],
                   edge["received"]["bytes"])
        found[key] = tuple(map(sum, zip(there, numbers)))
    return {key: numbers for key, numbers in found.items() if any(numbers)}
