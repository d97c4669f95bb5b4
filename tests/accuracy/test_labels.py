# SPDX-License-Identifier: Apache-2.0
"""A port that speaks several protocols has an edge for each, and no count is lost or doubled by that."""
import json
import pathlib
import sys

import pytest

from support import SEED, Agent, Program, needs_root

pytestmark = needs_root
SPEAKERS = pathlib.Path(__file__).with_name("speakers.py")
PORT = 18999
LABELS = {"http1": ("http1", "no"), "redis": ("redis", "no"), "postgresql": ("postgresql", "yes")}


@pytest.mark.parametrize("names", ["http1 redis nobody's", "http1 tls",
                                   "tls postgresql redis http1 nobody's"])
def test_labels_move_connections_and_no_counts(namespaces, names):
    print("seed", SEED, "(repeat with NPT_SEED)")
    talks = Program("ip", "netns", "exec", namespaces.near, sys.executable, str(SPEAKERS),
                    str(SEED), *names.split(" "))
    agent = None
    try:
        assert talks.line() == "ready"
        agent = Agent("--netns", f"/run/netns/{namespaces.near}")
        talks.say()
        truth = json.loads(talks.line())
        report = agent.report()
        talks.say()
    finally:
        for program in filter(None, (agent, talks)):
            program.end()
    truth["handshakes_failed"] = dict.fromkeys(("client", "server"), truth["handshakes_failed"])
    for role, there, back in (("client", "asked", "answered"), ("server", "answered", "asked")):
        edges = [edge for edge in report["edges"]
                 if edge["role"] == role and edge["peer"]["port"] == PORT and edge["transport"] == "tcp"]
        spoken = [(edge["protocol"], edge["tls"]) for edge in edges]
        # TLS of which the inside is not known may be on the edge of that of which it is.
        assert set(spoken) - {("unknown", "unknown"), ("unknown", "yes")} == {
            LABELS[name] for name in names.split(" ") if name in LABELS}
        clear = [protocol for protocol, tls in spoken if tls != "yes"]
        assert len(set(clear)) == len(clear), "one edge for each label"
        counts = [edge["connections"] for edge in edges]
        assert sum(count["opened"] for count in counts) == truth["connections"]
        assert sum(count["closed"] for count in counts) == truth["connections"]
        for count in counts:
            assert count["open"] == 0
            assert count["opened"] + count.get("movedIn", 0) == count["closed"] + count.get("movedOut", 0)
        for edge in edges:
            failed = edge.get("handshakes", {}).get("failed", 0)
            assert bool(failed) == (edge["tls"] == "yes")
            assert edge.get("sni", "") == ("peer.test" if failed else "")
            assert edge["peer"]["kind"] == "process"
            truth["handshakes_failed"][role] -= failed
        assert truth["handshakes_failed"][role] == 0
        assert sum(edge["sent"]["bytes"] for edge in edges) == truth[there]
        assert sum(edge["received"]["bytes"] for edge in edges) == truth[back]
        assert sum(edge["read"]["bytes"] for edge in edges) == truth[back]
    both = [edge for edge in report["edges"] if edge["peer"]["port"] == PORT]
    assert sum(edge["write"]["count"] for edge in both) == truth["writes"]
    assert report["lost"] == {"events": 0, "edges": 0}
