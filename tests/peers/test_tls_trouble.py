# SPDX-License-Identifier: Apache-2.0
"""What may go wrong beside TLS programs: the agent comes and goes under load, processes end while it
attaches, libraries are replaced or are none. No program suffers, and what is not seen has a reason."""
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
pytest.register_assert_rewrite("tls_world")

import tls_attach_load  # noqa: E402
from tls_world import (AFTER, BUILT, PEERS, PORT, PYTHON, REQUESTS, SOURCES,  # noqa: E402
                       OPENSSL3, Peer, Running, Scene, TlsAgent, World, needs_root, own, play)

from support import SEED  # noqa: E402

pytestmark = needs_root
LOAD_SECONDS = 20
SHORT_PROCESSES = 30


@pytest.fixture
def world():
    with tempfile.TemporaryDirectory() as folder, World(pathlib.Path(folder)) as made:
        yield made


def start_agent(world):
    return TlsAgent("--netns", f"/run/netns/{world.namespace}")


def lines_of(report, pid):
    """What the report says of a process's TLS; a line that is not full has a reason."""
    lines = [line for line in report["tls"] if line["pid"] == pid]
    assert all(line["why"] for line in lines if line["coverage"] != "full"), lines
    return lines


def sent_by(report, pid, role):
    return sum(edge["sent"]["bytes"] for edge in report["edges"]
               if edge["process"]["pid"] == pid and edge["role"] == role)


def test_no_program_suffers_from_an_agent_that_comes_and_goes(tmp_path):
    lines, attached = tls_attach_load.run(LOAD_SECONDS, tmp_path)
    assert attached >= LOAD_SECONDS // 10
    assert len(lines) == len(tls_attach_load.PAIRS) + len(tls_attach_load.SHORT_LIVED)


def private_library(world):
    """A libssl that is a file of this test's own, with its libcrypto."""
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    folder = world.folder / "private"
    folder.mkdir()
    for name in ("libssl.so.3", "libcrypto.so.3"):
        lines = [line for line in listing.splitlines() if line.split()[:1] == [name] and "x86-64" in line]
        shutil.copy(lines[0].split()[-1], folder / name)
    return folder / "libssl.so.3"


def replace(path):
    """As a package manager does: the new file gets the old one's name."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(path.read_bytes() + b"\0" * 4096)
    fresh.rename(path)


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_library_may_be_replaced_while_it_is_used(world, when):
    library = private_library(world)
    peer = Peer("replaced", OPENSSL3, own("env", f"LD_LIBRARY_PATH={library.parent}", BUILT / "peer-c"))
    PEERS[peer.name] = peer
    options = {"lib": library, "requests": REQUESTS}
    agent = None
    try:
        server = Running(world, peer.name, "server", options)
        old = Running(world, peer.name, "client", {**options, "hold": 1})
        if when == "before":
            replace(library)
        agent = start_agent(world)
        if when == "while":
            replace(library)
        new = Running(world, peer.name, "client", {**options, "hold": 1})
        for client in (old, new):
            client.act()
        report = agent.report()
        for client in (old, new):
            end = client.tell()[0]
            assert end["requests"] == REQUESTS
        first, last = old.tell()[0], new.end["ends"][0]
        assert sent_by(report, first["pid"], "client") == first["wire"]["sent"]
        assert sent_by(report, last["pid"], "client") == last["wire"]["sent"]
        server.tell()
    finally:
        if agent:
            agent.end()
        del PEERS[peer.name]
    for pid in (first["pid"], last["pid"]):
        lines = [line for line in lines_of(report, pid) if line["library"] == "OpenSSL"]
        assert lines, report["tls"]
    assert [line["coverage"] for line in lines] == ["full"]  # of the new file


def test_processes_that_end_while_they_are_attached_to_are_no_harm(world):
    server = Running(world, "c", "server", {})
    agent = None
    try:
        agent = start_agent(world)
        command = PEERS["curl"].command(world, "client", {"requests": 1, "size": 1000})
        for _ in range(SHORT_PROCESSES):
            subprocess.run(["ip", "netns", "exec", world.namespace, *map(str, command)], cwd=world.folder,
                           check=True, timeout=30)
        server.mark()
        report = agent.report()
    finally:
        if agent:
            agent.end()
    edges = [edge for edge in report["edges"] if edge["role"] == "client" and edge["peer"]["port"] == PORT]
    assert sum(edge["connections"]["opened"] for edge in edges) == SHORT_PROCESSES
    assert server.begin["ends"][0]["requests"] == SHORT_PROCESSES
    assert sum(edge["tls"] == "yes" for edge in edges) == len(edges)
    for edge in edges:
        lines_of(report, edge["process"]["pid"])


def broken_libraries(folder, rng):
    """Files whose names and begins promise a TLS library that they are not."""
    real = pathlib.Path(BUILT / "peer-c").read_bytes()
    wild = bytearray(real)
    for _ in range(200):
        wild[rng.randrange(16, len(wild))] = rng.randrange(256)
    huge = bytearray(real)
    huge[32:48] = b"\xff" * 16  # where its headers are
    contents = {"libssl.so.3": rng.randbytes(20000), "libssl.so.1.1": real[:5000],
                "libgnutls.so.30": bytes(wild), "libssl.so": bytes(huge), "libgnutls.so": b"\x7fELF",
                "libboringssl.so": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_a_library_that_is_none_spoils_nothing(world):
    print("seed", SEED, "(repeat with NPT_SEED)")
    folder = world.folder / "broken"
    folder.mkdir()
    paths = broken_libraries(folder, random.Random(SEED))
    program = (f"import mmap, os, runpy, sys\nheld = []\nfor path in {list(map(str, paths))}:\n"
               "    fd = os.open(path, os.O_RDONLY)\n"
               "    if os.fstat(fd).st_size:\n"
               "        held.append(mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))\n"
               f"runpy.run_path({str(SOURCES / 'peer.py')!r}, run_name='__main__')\n")
    PEERS["broken"] = Peer("broken", OPENSSL3, own(PYTHON, "-c", program))
    try:
        result = play(world, Scene("broken", "c"), AFTER)
    finally:
        del PEERS["broken"]
    assert result.server_ends[0]["requests"] == REQUESTS
    client = result.client_ends[0]
    assert sent_by(result.report, client["pid"], "client") == client["wire"]["sent"]
    lines = lines_of(result.report, result.server_ends[0]["pid"])
    real = [line for line in lines if line["library"] == "OpenSSL" and line["version"].startswith("3")]
    assert [line["coverage"] for line in real] == ["full"], lines
