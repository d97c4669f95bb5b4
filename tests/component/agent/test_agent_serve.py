# SPDX-License-Identifier: Apache-2.0
"""npt-agent serve with what a node can hold against it: wrong options, files that are not there, a
controller that is away or breaks the protocol. It says what is wrong, tries again, and never dies."""
import json
import os
import pathlib
import socket
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kube"))
from fault_server import Authority  # noqa: E402
from frames import BINARY, CLOSE, encode  # noqa: E402
from programs import AGENT, Daemon, check_refused, free_port, options_of, run, wait_until  # noqa: E402
from strange_controller import NOTHING_WANTED, StrangeController  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")

FAILURE, USAGE, PERMISSION = 1, 2, 3
FRAME_BYTES = 1024 * 1024
LOST = "no connection to the controller; it is dialled again"


@pytest.fixture(scope="session")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return Authority(folder, "ours"), Authority(folder, "theirs")


@pytest.fixture
def controller(authorities):
    made = StrangeController(authorities[0])
    yield made
    made.stop()


@pytest.fixture
def files(tmp_path, authorities):
    """What an agent is given: a token and a CA."""
    (tmp_path / "token").write_text("the-token\n")
    (tmp_path / "ca").write_bytes(authorities[0].ca.read_bytes())
    return tmp_path


@pytest.fixture
def serve(files):
    """Starts agents; in the end each must still be there and end on SIGTERM."""
    agents = []

    def start(url, *more, node="node-1"):
        agents.append(Daemon(files / f"log-{len(agents)}", AGENT, "serve", "--controller", url, "--ca",
                             files / "ca", "--token", files / "token", "--node", node, *more))
        return agents[-1]

    yield start
    try:
        for agent in agents:
            agent.stop(seconds=3)
    finally:
        for agent in agents:
            agent.kill()


# --- options ---

GOOD = ["--controller", "wss://127.0.0.1:1/v1/agents", "--ca", "ca", "--token", "token", "--node", "n"]


@pytest.mark.parametrize("arguments, words", [
    ([], ["--controller URL is missing"]),
    (GOOD[:2], ["--ca FILE is missing"]),
    (GOOD[:4], ["--token FILE is missing"]),
    (GOOD[:6], ["--node NAME", "NODE_NAME"]),
    ([*GOOD, "--node", ""], ["--node NAME", "is missing"]),
    ([*GOOD, "--ca", ""], ["--ca FILE is missing"]),
    ([*GOOD, "--colour"], ["unknown option '--colour'"]),
    ([*GOOD, "-xyz"], ["unknown option '-xyz'"]),
    ([*GOOD, "now"], ["'now' is no option"]),
    ([*GOOD, "--log-level", "loud"], ["--log-level loud is not a level", "debug"]),
    ([*GOOD, "--log-level", ""], ["--log-level"]),
    ([*GOOD, "--log-format", "xml"], ["--log-format xml is neither text nor json"]),
    ([*GOOD, "--log-format", "jsonl"], ["--log-format jsonl is neither text nor json"]),
    *(([*GOOD, "--controller", url], ["wss://HOST:PORT"]) for url in
      ("http://a:1/", "https://a:1/v1/agents", "a:1", "127.0.0.1", "wss:/a", "WSS://a:1/", "/")),
    ([*GOOD, "--controller", "ws://a.example:1/v1/agents"], ["only a loopback address", "without TLS"]),
    ([*GOOD, "--controller", "wss://:1/"], ["the host is not a name"]),
    ([*GOOD, "--controller", "wss://a:65536/"], ["the port is not 1 to 65535"]),
    ([*GOOD, "--controller", "wss://a:0/"], ["the port is not 1 to 65535"]),
    ([*GOOD, "--controller", "wss://u@a:1/"], ["the host is not a name"]),
    ([*GOOD, "--controller", "wss://[::1:1/"], ["a ']' is missing"]),
])
def test_wrong_usage_is_one_line_that_names_the_mistake(arguments, words):
    check_refused(run(AGENT, "serve", *arguments), USAGE, *words)


@pytest.mark.parametrize("option", [one for one in options_of("agent/service_options.c") if one != "help"])
def test_an_option_without_its_value_is_named(option):
    check_refused(run(AGENT, "serve", f"--{option}"), USAGE, f"no value for '--{option}'", "--help")


@pytest.mark.parametrize("spool, words", [
    ("/proc/npt", "cannot make the spool /proc/npt: ENOENT"),
    ("/etc/passwd", "cannot use the spool /etc/passwd: ENOTDIR"),
    ("/nowhere/below", "cannot make the spool /nowhere/below: ENOENT"),
    ("", "cannot make the spool : ENOENT"),
])
def test_a_spool_that_is_no_folder_is_one_line(spool, words):
    check_refused(run(AGENT, "serve", *GOOD, "--spool", spool), FAILURE, words)


def test_a_spool_that_cannot_be_written_is_one_line(tmp_path):
    done = run("unshare", "--mount", "sh", "-c",
               'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"', tmp_path, AGENT,
               "serve", *GOOD, "--spool", tmp_path)
    check_refused(done, FAILURE, f"cannot use the spool {tmp_path}: EROFS")


def test_a_spool_that_is_somebody_elses_folder_keeps_its_files(serve, tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    serve(f"wss://127.0.0.1:{free_port()}/v1/agents", "--spool", folder).wait_for(LOST)
    assert (folder / "thesis.txt").exists()


# --- a controller that is away ---

def test_an_unreachable_controller_is_dialled_again_with_growing_pauses(serve):
    """The first time at once, then after a random part of 1, 2, 4 s: one agent's pauses need not grow,
    those of a dozen do."""
    url = f"wss://127.0.0.1:{free_port()}/v1/agents"
    agents = [serve(url) for _ in range(12)]
    sums = [0] * 4
    for agent in agents:
        agent.wait_for(LOST, count=5)
        assert "cannot connect" in agent.lines(LOST)[0]
        times = agent.times(LOST)[:5]
        pauses = [later - earlier for earlier, later in zip(times, times[1:])]
        for i, bound in enumerate((0, 1, 2, 4)):
            assert 0 <= pauses[i] <= bound + 0.5, pauses
            sums[i] += pauses[i]
    assert sums[0] < 12 * 0.1 and sums[1] < sums[3], sums


def test_the_log_says_which_controller_is_away(serve):
    url = f"wss://127.0.0.1:{free_port()}/v1/agents"
    assert url in serve(url).wait_for(LOST)[0]


def test_a_controller_that_never_answers_does_not_keep_the_agent_from_ending(serve):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = serve(f"wss://127.0.0.1:{silent.getsockname()[1]}/v1/agents")
        connection, _ = silent.accept()
        assert connection.recv(1)
        agent.stop(seconds=3)
        connection.close()


@pytest.mark.parametrize("name, content, words", [
    ("token", None, "cannot read the token"),
    ("token", b"", "is empty"),
    ("token", b"x" * 20000, "is too long"),
    ("ca", None, "cannot use the CA file"),
    ("ca", b"no certificate", "cannot use the CA file"),
])
def test_a_file_that_is_not_usable_is_named_and_tried_again_until_it_is(serve, files, controller, name,
                                                                        content, words):
    good = (files / name).read_bytes()
    (files / name).unlink()
    if content is not None:
        (files / name).write_bytes(content)
    agent = serve(controller.url)
    for line in agent.wait_for(LOST, count=2):
        assert words in line and str(files / name) in line
    (files / name).write_bytes(good)
    assert controller.asked.get(timeout=20)["authorization"] == "Bearer the-token"
    assert '"type":"hello"' in controller.heard.get(timeout=10)


# --- a controller that breaks the rules ---

def wanted(assignment="{}", count=1):
    return f'{{"type":"wanted","assignments":[{",".join([assignment] * count)}]}}'


ASSIGNMENT = '{"id":"a","task":{"uid":"t"},"intervalSeconds":1,%s}'


@pytest.mark.parametrize("frame", [
    "", " ", "nonsense", "{", "[]", "null", '"wanted"', "{}", '{"type":7}', '{"type":null}',
    '{"type":"wanted","type":"wanted"}', NOTHING_WANTED + "}", NOTHING_WANTED[:-1], "\0", "[" * 100000,
    '{"type":"wanted","assignments":{}}', '{"type":"wanted","assignments":"all"}',
    '{"type":"wanted","epoch":7}', '{"type":"wanted","epoch":"' + "e" * 300 + '"}', wanted(),
    wanted("7"), wanted(ASSIGNMENT % '"remainingMillis":-1'), wanted(ASSIGNMENT % '"remainingMillis":1.5'),
    wanted(ASSIGNMENT % '"remainingMillis":99999999999999999999'), wanted(ASSIGNMENT % '"targets":[{}]'),
    wanted(ASSIGNMENT % '"targets":7'), wanted(ASSIGNMENT % '"maxEdgesPerPod":4294967296'),
    wanted(ASSIGNMENT % '"ingestUrl":"a\\u0000b"'), wanted(ASSIGNMENT % '"layers":[]', count=65),
    '{"type":"names","names":[{"kind":"nonsense"}]}', '{"type":"names","names":[7,8]}',
    '{"type":"names","names":[%s]}' % ",".join(['{"address":"a","kind":"pod"}'] * 257),
], ids=lambda frame: f"{frame[:40]!a}-{len(frame)}")
def test_a_malformed_frame_is_refused_and_counted_and_the_connection_lives_on(serve, controller, frame):
    def step(wire):
        wire.upgrade()
        wire.send(frame)
        wire.send(frame, BINARY)
        controller.asked.put(wire.is_answered())
        wire.send(NOTHING_WANTED)
        wire.wait_closed()

    controller.steps.put(step)
    agent = serve(controller.url)
    assert controller.asked.get(timeout=20), controller.problems.queue
    for number, line in enumerate(agent.wait_for("frame refused", count=2), 1):
        assert f'refused="{number}"' in line and 'error=""' not in line
    assert agent.lines(LOST) == []


@pytest.mark.parametrize("frame", [
    '{"type":"of a later version","wanted":7}', NOTHING_WANTED, NOTHING_WANTED + " " * (
        FRAME_BYTES - len(NOTHING_WANTED)), '{"type":"wanted"}', '{"type":"names","later":[{}]}',
], ids=["type", "wanted", "1 MiB", "no assignments", "field"])
def test_the_nearest_frames_that_are_allowed_are_taken(serve, controller, frame):
    def step(wire):
        wire.upgrade()
        wire.send(frame)
        controller.asked.put(wire.is_answered())
        wire.wait_closed()

    controller.steps.put(step)
    agent = serve(controller.url)
    assert controller.asked.get(timeout=20)
    assert agent.lines("frame refused") == agent.lines(LOST) == []


def test_hello_says_what_the_kernel_gives_as_a_measurement_does(serve, controller):
    serve(controller.url)
    hello = json.loads(controller.heard.get(timeout=20))
    measured = run(AGENT, "run", "--layers", "Base,Operations,Protocol,TLS", "--output", "json", "--", "true")
    report = json.loads(measured.stdout.splitlines()[-1])
    assert hello["unavailable"] == report["unavailable"]
    assert hello["layers"][0] == "Base" and "Requests" not in hello["layers"]
    assert ("TLS" in hello["layers"]) == ("tlsCalls" not in report["unavailable"])
    assert ("Protocol" in hello["layers"]) == ("protocol" not in report["unavailable"])


def test_hello_says_which_right_is_missing(files, controller):
    """Without any capability nothing can be measured; the agent stays, and says so."""
    agent = Daemon(files / "log", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--", AGENT, "serve",
                   "--controller", controller.url, "--ca", files / "ca", "--token", files / "token", "--node",
                   "node-1")
    try:
        hello = json.loads(controller.heard.get(timeout=20))
        assert hello["layers"] == [] and list(hello["unavailable"]) == ["Base"]
        assert "capabilities BPF and PERFMON" in hello["unavailable"]["Base"]
    finally:
        agent.stop(seconds=3)


def test_the_agent_says_hello_each_time_that_it_is_connected(serve, controller):
    def step(wire):
        wire.connection.settimeout(3)
        wire.upgrade()
        wire.send(NOTHING_WANTED)
        controller.heard.put(wire.receive_text())

    for _ in range(40):
        controller.steps.put(step)
    serve(controller.url)
    for _ in range(40):
        assert '"type":"hello"' in controller.heard.get(timeout=10), controller.problems.queue


def after_upgrade(data):
    """What the controller sends as the first thing on the channel, and then listens."""
    def step(wire):
        wire.upgrade()
        for one in data if isinstance(data, list) else [data]:
            wire.write(one)
        wire.wait_closed()
    return step


def instead(data):
    """What the controller answers instead of the upgrade."""
    def step(wire):
        wire.read_head()
        wire.write(data)
    return step


AWAY = [
    # These fail, but for the first: after -1 from the receiving callback (lib/net/websocket.c received())
    # libwebsockets 4.1 goes on writing the rest of the frame, behind its buffer: the heap is destroyed.
    ("1 MiB and a byte", after_upgrade(encode(b" " * (FRAME_BYTES + 1))), "more than 1048576 bytes"),
    ("a frame of 4 MiB", after_upgrade(encode(b" " * 4 * FRAME_BYTES)), "more than 1048576 bytes"),
    ("a message of more than 1 MiB", after_upgrade([encode(b" " * 65536, final=False)] + [
        encode(b" " * 65536, opcode=0, final=False)] * 16), "more than 1048576 bytes"),
    ("a frame of 2^63 bytes", after_upgrade(b"\x81\x7f\x7f" + b"\xff" * 7 + b" " * 2 * FRAME_BYTES),
     "more than 1048576 bytes"),
    ("text that is no UTF-8", after_upgrade(encode(b"\xff\xfe{}")), ""),
    ("an unknown opcode", after_upgrade(encode("{}", opcode=5)), ""),
    ("reserved bits", after_upgrade(encode("{}", reserved=7)), ""),
    ("a long ping", after_upgrade(encode(b"p" * 126, opcode=9)), ""),
    ("a cut ping", after_upgrade(encode(b"p", opcode=9, final=False)), ""),
    ("noise", after_upgrade(bytes(range(256)) * 64), ""),
    ("nothing, and is gone", lambda wire: wire.upgrade(), ""),
    ("half a frame, and is gone", lambda wire: (wire.upgrade(), wire.write(encode(NOTHING_WANTED)[:20])), ""),
    ("a close frame", after_upgrade(encode(b"\x03\xf0go away", CLOSE)), "closed by the server: 1008 go away"),
    ("a close frame of one byte", after_upgrade(encode(b"\x03", CLOSE)), ""),
    ("nothing at all", lambda wire: wire.end(), ""),
    ("401", instead("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "401"),
    ("403", instead("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "403"),
    ("503", instead("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), "503"),
    ("200", instead("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"), "200"),
    ("a redirection", instead("HTTP/1.1 302 Found\r\nLocation: wss://127.0.0.1:1/\r\n\r\n"), ""),
    ("a wrong key", instead("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"), ""),
    ("no HTTP", instead(b"\0\1\2\3" * 1000 + b"\r\n\r\n"), ""),
    ("endless headers", instead("HTTP/1.1 101 Switching Protocols\r\n" + "X: y\r\n" * 20000), ""),
]


@pytest.mark.parametrize("step, words", [case[1:] for case in AWAY], ids=[case[0] for case in AWAY])
def test_a_controller_that_answers_with_this_is_dialled_again(serve, controller, step, words):
    controller.steps.put(step)
    agent = serve(controller.url)
    line = agent.wait_for(LOST)[0]
    assert words in line and 'reason=""' not in line
    assert '"type":"hello"' in controller.heard.get(timeout=10)
    agent.wait_for("connected to the controller")


def test_a_controller_whose_certificate_is_not_trusted_gets_no_token(serve, files, authorities, controller):
    (files / "ca").write_bytes(authorities[1].ca.read_bytes())
    agent = serve(controller.url)
    for line in agent.wait_for(LOST, count=2):
        assert "its certificate is not trusted" in line
    assert controller.asked.empty()
    (files / "ca").write_bytes(authorities[0].ca.read_bytes())
    assert controller.asked.get(timeout=20)["authorization"] == "Bearer the-token"


def test_a_controller_that_drops_every_connection_is_not_dialled_in_a_loop(serve, controller):
    for _ in range(100):
        controller.steps.put(lambda wire: wire.upgrade())
    agent = serve(controller.url)
    agent.wait_for(LOST, count=2)
    began = agent.times(LOST)[0]
    wait_until(lambda: time.time() > began + 1.5, "the time stands still")
    assert len(agent.lines(LOST)) < 30
