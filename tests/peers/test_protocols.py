# SPDX-License-Identifier: Apache-2.0
"""Real servers and clients: the edges between them carry the name of what is spoken, and no edge ever
that of something else. tests/peers/deps_servers installs the peers."""
import pytest

import servers_calls
import servers_data
import servers_proxies
import servers_queues
import servers_web
from servers import AFTER, BEFORE, REQUESTS, World, perform, seen
from support import needs_root

pytestmark = needs_root
MODULES = (servers_web, servers_proxies, servers_data, servers_queues, servers_calls)
SCENES = {scene.name: scene for module in MODULES for scene in module.SCENES}


@pytest.fixture(scope="module", params=SCENES)
def scene_and_world(request):
    scene = SCENES[request.param]
    with World(scene.name) as world:
        scene.start(world)
        yield scene, world


def wrong_labels(scene, report, order):
    """{line: what its edges are called that it is not}."""
    wrong = {}
    for line in scene.lines:
        for role in ("client", "server"):
            edges, _ = seen(report, line, role)
            # Who has a UDP socket in the middle is told by the next datagram only: who gets it, serves.
            unclear = line.transport == "udp" and order == BEFORE
            if not edges and not line.idle and not unclear:
                wrong.setdefault(line, []).append(f"{role}: no edge")
            for edge in edges:
                found = edge["protocol"], edge["tls"]
                told = line.tls if found[0] != "unknown" or found[1] != "unknown" else "unknown"
                moved = edge["sent"]["bytes"], edge["received"]["bytes"]
                if found[0] == "unknown" and not any(moved):
                    continue  # where nothing was said nothing is known
                if found[0] not in line.labels(order) or found[1] != told:
                    wanted = "/".join(sorted(line.labels(order))), line.tls
                    wrong.setdefault(line, []).append(f"{role}: {found}, not {wanted}; moved {moved}")
    return wrong


def count_labels(scene, report, counts):
    """Labels that nothing in the scene speaks at that port; a port of no line has none."""
    expected = {(line.transport, line.port): {line.protocol, *line.wire} for line in scene.lines}
    strays = []
    for edge in report["edges"]:
        counts["edges"] += 1
        if edge["protocol"] == "unknown":
            continue
        counts["named"] += 1
        if edge["protocol"] not in expected.get((edge["transport"], edge["peer"]["port"]), set()):
            counts["wrong"] += 1
            strays.append((edge["process"]["name"], edge["role"], edge["peer"]["port"], edge["protocol"]))
    return strays


def lines_of(wrong):
    return {line.name: problems for line, problems in wrong.items() if problems}


# After comes first: then what the servers say to each other begins while they are looked at, too.
@pytest.mark.parametrize("order", [AFTER, BEFORE])
def test_what_is_spoken_is_named(scene_and_world, order, label_counts):
    scene, world = scene_and_world
    proof = scene.proof(world) if scene.proof else {}
    report, wrong = perform(world, scene.lines, order)
    assert lines_of(wrong) == {}
    if scene.proof:
        asked = {port: count - proof.get(port, 0) for port, count in scene.proof(world).items()}
        wanted = REQUESTS + (order == BEFORE)  # it has asked once before it was looked at
        assert set(asked.values()) == {wanted}, asked
    strays = count_labels(scene, report, label_counts)
    assert strays == []
    assert lines_of(wrong_labels(scene, report, order)) == {}
