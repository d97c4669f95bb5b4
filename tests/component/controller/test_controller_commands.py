# SPDX-License-Identifier: Apache-2.0
"""npt-controller and its bad input: words, files, an API server that is away or forbids, and peers on
the agents' channel that have no right to it or break its protocol."""
import pathlib
import socket
import ssl
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from channel_world import (CONTROLLER, TASKS, Api, Controller, answers, dial, forbidden,  # noqa: E402
                           free_port, refuses, reviewed, status_of, write_kubeconfig)
from fault_server import Authority, cuts  # noqa: E402
from frames import BINARY, CLOSE, PING, TEXT, Ended, Wire, encode  # noqa: E402
from programs import check_refused, options_of, run  # noqa: E402

FAILURE, USAGE = 1, 2
FRAME_BYTES = 1024 * 1024
POLICY, TOO_LARGE = 1008, 1009
HELLO = '{"type":"hello","proto":1,"node":"node-1","holding":[]}'


@pytest.fixture(scope="session")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return Authority(folder, "ours"), Authority(folder, "theirs")


@pytest.fixture
def start(tmp_path, authorities):
    """Starts a controller; in the end it must still be there and end on SIGTERM."""
    made = []

    def start_one(api_port, api_ca=None):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Controller(folder, authorities[0], api_port, api_ca))
        return made[-1]

    yield start_one
    try:
        for one in made:
            one.stop(seconds=5)
    finally:
        for one in made:
            one.kill()


@pytest.fixture(scope="module")
def api(authorities):
    made = Api(authorities[0])
    made.tokens.update({"unknown audience": reviewed(audiences=["another"]),
                        "somebody": reviewed(user="system:serviceaccount:shop:default"),
                        "no pod": reviewed(node=None), "no user": {"authenticated": True}})
    yield made
    made.stop()


@pytest.fixture(scope="module")
def controller(tmp_path_factory, authorities, api):
    """One for all tests of the channel: each leaves it as it found it, or breaks the next."""
    made = Controller(tmp_path_factory.mktemp("controller"), authorities[0], api.port)
    try:
        made.wait_ready()
        yield made
        made.stop(seconds=5)
    finally:
        made.kill()


# --- words, options, files ---

def refuse(code, arguments, *words):
    done = run(CONTROLLER, *arguments)
    check_refused(done, code, *words, program="npt-controller")
    assert done.stdout == ""


PAIR = ["--tls-cert", "a", "--tls-key", "b"]


@pytest.mark.parametrize("arguments, words", [
    ([], ["a command is missing", "npt-controller --help"]),
    (["nonsense"], ["there is no command 'nonsense'", "npt-controller --help"]),
    ([""], ["a command is missing"]),
    (["--colour"], ["there is no command '--colour'"]),
    (["run", "--colour"], ["unknown option '--colour'"]),
    (["run", *PAIR, "-xyz"], ["unknown option '-xyz'"]),
    (["run", "--help=yes"], ["unknown option '--help=yes'"]),
    (["run", *PAIR, "now"], ["'now' is no option"]),
    (["init", "--colour"], ["unknown option '--colour'"]),
    (["run"], ["--tls-cert and --tls-key are needed", "npt-controller init"]),
    (["run", *PAIR[:2]], ["--tls-cert and --tls-key are needed"]),
    (["run", *PAIR[2:]], ["--tls-cert and --tls-key are needed"]),
    (["run", *PAIR, "--ingest-key", "k"], ["--ingest-key needs --ingest-url"]),
    (["run", *PAIR, "--ingest-key", "k", "--ingest-url", "aggregator"], ["--ingest-url", "bad URL"]),
    (["run", *PAIR, "--ingest-url", "ftp://aggregator/"], ["--ingest-url", "bad URL"]),
    (["run", *PAIR, "--ingest-url", ""], ["--ingest-url", "bad URL"]),
    *(([command, *PAIR, *option], words) for command in ("run", "init") for option, words in (
        (["--log-level", "loud"], ["--log-level loud is not a level", "debug"]),
        (["--log-level", ""], ["--log-level", "is not a level"]),
        (["--log-level", "INFO"], ["--log-level INFO"]),
        (["--log-format", "xml"], ["--log-format xml is neither text nor json"]),
        (["--log-format", ""], ["--log-format", "is neither text nor json"]),
        (["--log-format", "jsonl"], ["--log-format jsonl"]))),
])
def test_wrong_usage_is_one_line_that_names_the_mistake(arguments, words):
    refuse(USAGE, arguments, *words)


@pytest.mark.parametrize("option", [one for one in options_of("controller/main.c") if one != "help"])
@pytest.mark.parametrize("command", ["run", "init"])
def test_an_option_without_its_value_is_named(command, option):
    refuse(USAGE, [command, f"--{option}"], f"no value for '--{option}'", "npt-controller --help")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["run", "--help"], ["init", "-h"]])
def test_help_names_every_option(arguments):
    done = run(CONTROLLER, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    options = options_of("controller/main.c")
    assert len(options) >= 13
    for option in options:
        assert f"--{option}" in done.stdout, option
    for command in ("run", "init", "version"):
        assert f"npt-controller {command}" in done.stdout


def test_the_nearest_values_that_make_sense_are_taken():
    for option, value in (("--log-level", "error"), ("--log-level", "debug"), ("--log-format", "text"),
                          ("--log-format", "json")):
        done = run(CONTROLLER, "run", option, value, "--help")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["run", "init"])
@pytest.mark.parametrize("content, code, words", [
    (None, FAILURE, "cannot read"),
    (b"", USAGE, "names no server and certificate-authority"),
    (b"nonsense", USAGE, "names no server"),
    (bytes(range(256)) * 100, USAGE, "names no server"),
    (b"server: https://127.0.0.1:1\n", USAGE, "names no server and certificate-authority"),
    (b"server: a\nserver: b\n", USAGE, "has more than one server"),
    (b"server: a\ncertificate-authority-data: '***'\n", USAGE, "certificate-authority-data is not base64"),
    (b"x" * 2000000, FAILURE, "is larger than 1048576 bytes"),
], ids=["missing", "empty", "a word", "garbage", "no CA", "two servers", "no base64", "too large"])
def test_a_kubeconfig_that_is_not_usable_is_named(tmp_path, command, content, code, words):
    if content is not None:
        (tmp_path / "config").write_bytes(content)
    refuse(code, [command, *PAIR, "--kubeconfig", tmp_path / "config"], words, str(tmp_path / "config"))


@pytest.mark.parametrize("command", ["run", "init"])
def test_outside_of_a_pod_a_kubeconfig_is_asked_for(command):
    refuse(FAILURE, [command, *PAIR], "not in a pod", "give --kubeconfig FILE")


@pytest.mark.parametrize("changed, code, words", [
    (["--tls-cert", "/nowhere"], USAGE, "cannot use the certificate /nowhere"),
    (["--tls-cert", "/etc/passwd"], USAGE, "cannot use the certificate /etc/passwd"),
    (["--tls-cert", "/etc"], USAGE, "cannot use the certificate /etc"),
    (["--tls-key", "/nowhere"], USAGE, "cannot use the key /nowhere"),
    (["--tls-key", "/etc/passwd"], USAGE, "cannot use the key /etc/passwd"),
    (["--tls-key", "THEIRS"], USAGE, "key values mismatch"),
    (["--ingest-key", "/nowhere"], FAILURE, "cannot read the ingest key /nowhere"),
    (["--ingest-key", "/etc"], FAILURE, "cannot read the ingest key /etc"),
    (["--ingest-key", "SHORT"], USAGE, "has 31 bytes, needs 32 to 4096"),
    (["--ingest-key", "LONG"], USAGE, "has 4097 bytes, needs 32 to 4096"),
    (["--listen", "nonsense"], USAGE, "cannot listen on 'nonsense': say ADDRESS:PORT or :PORT"),
    (["--listen", "127.0.0.1:65536"], USAGE, "cannot listen on '127.0.0.1:65536'"),
    (["--listen", "localhost:0"], USAGE, "cannot listen on 'localhost:0': not an IP address"),
    (["--listen", "TAKEN"], FAILURE, "Address already in use"),
    (["--health", ""], USAGE, "cannot listen on ''"),
    (["--health", "TAKEN"], FAILURE, "Address already in use"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_what_the_controller_cannot_use_is_named_and_it_does_not_start(tmp_path, authorities, changed, code,
                                                                       words):
    ours, theirs = authorities
    for name, size in (("LONG", 4097), ("SHORT", 31), ("GOOD", 32)):
        (tmp_path / name).write_bytes(b"k" * size)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        option, value = changed
        value = {"THEIRS": theirs.key, "TAKEN": f"127.0.0.1:{taken.getsockname()[1]}",
                 "SHORT": tmp_path / "SHORT", "LONG": tmp_path / "LONG"}.get(value, value)
        arguments = {"--tls-cert": ours.cert, "--tls-key": ours.key, "--listen": "127.0.0.1:0",
                     "--health": "127.0.0.1:0", "--ingest-key": tmp_path / "GOOD",
                     "--ingest-url": "https://127.0.0.1:1/v1/ingest", "--namespace": "npt",
                     "--kubeconfig": write_kubeconfig(tmp_path / "config", free_port(), ours.ca)}
        arguments[option] = value
        refuse(code, ["run", *(word for pair in arguments.items() for word in pair)], words)


@pytest.mark.parametrize("trouble, words", [
    (None, "/api/v1/namespaces/npt/secrets"),
    (forbidden, "secrets is forbidden"),
    (lambda request: answers(500, "no"), "500"),
    (lambda request: answers(201, "no JSON"), "the answer is no JSON object"),
], ids=["away", "forbidden", "500", "no JSON"])
def test_init_says_in_one_line_why_it_made_nothing(tmp_path, authorities, trouble, words):
    api = Api(authorities[0])
    api.trouble = trouble
    port = api.port if trouble else free_port()
    config = write_kubeconfig(tmp_path / "config", port, authorities[0].ca)
    refuse(FAILURE, ["init", "--kubeconfig", config, "--namespace", "npt"], words)
    api.stop()


# --- the API server ---

TRIED_AGAIN = "the API server is tried again"


def test_an_api_server_that_is_away_is_tried_with_growing_pauses_until_it_is_there(start, authorities):
    port = free_port()
    controller = start(port)
    for line in controller.wait_for(TRIED_AGAIN, count=2):
        assert f"https://127.0.0.1:{port}{TASKS}" in line and "connect" in line
    assert controller.health("healthz") == 200 and controller.health("readyz") == 503
    api = Api(authorities[0], port)
    first, second = controller.times(TRIED_AGAIN)
    api.wait_for(1)
    assert 0.7 < second - first < 1.8 and 1.5 < time.time() - second < 3.6
    controller.wait_ready()
    controller.check_works()
    api.stop()


def test_what_the_api_server_forbids_is_named_and_asked_again(start, authorities):
    api = Api(authorities[0])
    api.trouble = forbidden
    controller = start(api.port)
    for line in controller.wait_for(TRIED_AGAIN, count=2):
        assert TASKS in line and "403" in line and "networkprofilingtasks is forbidden" in line
    assert controller.health("healthz") == 200 and controller.health("readyz") == 503
    agent = controller.dial("node-1")
    code, reason = agent.wait_closed()
    assert code == POLICY and "tokenreviews" in reason and "403" in reason
    assert "tokenreviews is forbidden" in controller.wait_for("agent refused")[0]
    api.stop()


NONSENSE = {
    "500": answers(500, "no"),
    "is no JSON object": answers(200, "nonsense"),
    "is no list": answers(200, {"kind": "Status", "apiVersion": "v1"}),
    "302": answers(302, "", headers=["Location: https://127.0.0.1:1/"]),
    "401": refuses(401, "Unauthorized"),
    "HTTP/0.9": lambda peer, request: peer.send(b"\0\1\2\3\r\n\r\n"),
    "error=": lambda peer, request: cuts(peer),
}


def test_an_api_server_that_answers_with_nonsense_is_tried_again(start, authorities):
    apis, controllers = [], {}
    for words, answer in NONSENSE.items():
        apis.append(Api(authorities[0]))
        apis[-1].trouble = lambda request, answer=answer: answer
        controllers[words] = start(apis[-1].port)
    for words, controller in controllers.items():
        for line in controller.wait_for(TRIED_AGAIN, count=2):
            assert words in line and 'error=""' not in line
        assert controller.health("readyz") == 503 and controller.health("healthz") == 200
    for api in apis:
        api.stop()


def test_an_api_server_that_is_not_trusted_hears_nothing(start, authorities):
    api = Api(authorities[0])
    controller = start(api.port, api_ca=authorities[1].ca)
    assert "certificate" in controller.wait_for(TRIED_AGAIN, count=2)[0]
    assert not api.seen
    api.stop()


# --- the agents' channel: who may be there ---

@pytest.mark.parametrize("token, words", [
    (None, "a bearer token is needed"),
    ("", "a bearer token is needed"),
    ("of nobody", "not valid for the audience npt-controller"),
    ("unknown audience", "not valid for the audience npt-controller"),
    ("somebody", "system:serviceaccount:shop:default is no agent (system:serviceaccount:npt:npt-agent)"),
    ("no pod", "the token names no node"),
    ("no user", "not valid for the audience"),
    ("\x80\xff", ""),
])
def test_a_peer_without_an_agents_token_is_refused_with_the_reason(controller, token, words):
    before = len(controller.lines("refused"))
    peer = controller.dial(token)
    peer.send(HELLO)
    code, reason = peer.wait_closed()
    assert code == POLICY and reason and words in reason
    line = controller.wait_for("refused", count=before + 1)[-1]
    assert words in line or "connection without a token refused" in line
    controller.check_works()


@pytest.mark.parametrize("header", ["Authorization: Basic bm9kZS0xOng=", "Authorization: node-1",
                                    "Authorization: Bearer", "X-Authorization: Bearer node-1"])
def test_only_a_bearer_token_is_a_token(controller, header):
    peer = dial(controller.port, controller.ca, headers=[header])
    assert status_of(peer) == 101
    assert peer.wait_closed() == (POLICY, "a bearer token is needed")
    controller.check_works()


@pytest.mark.parametrize("answer", [forbidden, lambda request: answers(500, "no"),
                                    lambda request: answers(201, "no JSON"),
                                    lambda request: answers(201, {"kind": "TokenReview"}),
                                    lambda request: answers(201, {"status": {"authenticated": "true"}}),
                                    lambda request: lambda peer, request: cuts(peer)],
                         ids=["403", "500", "no JSON", "no status", "text for true", "nothing"])
def test_nobody_is_let_in_while_tokens_cannot_be_reviewed(controller, api, answer):
    before = len(controller.lines("agent refused"))
    api.trouble = lambda request: answer(request) if request.path.endswith("/tokenreviews") else None
    code, reason = controller.dial("node-1").wait_closed()
    api.trouble = None
    assert code == POLICY and reason
    assert reason[:60] in controller.wait_for("agent refused", count=before + 1)[-1]
    controller.check_works()


def test_an_agent_cannot_take_the_place_of_another_node(controller):
    first, second = controller.dial("node-1"), controller.dial("node-2")
    assert first.is_answered() and second.is_answered()
    second.send(HELLO)  # it says that it is node-1
    assert '"type":"wanted"' in second.receive_text()
    assert first.is_answered()
    for agent in (first, second):
        agent.end()


def test_a_newer_connection_of_a_node_takes_the_place_of_the_older(controller):
    older = controller.dial("node-1")
    assert older.is_answered()
    newer = controller.dial("node-1")
    assert older.wait_closed() == (4001, "a newer connection of this node")
    assert newer.is_answered()
    newer.end()


# --- the agents' channel: what may be said ---

def summary(item):
    return '{"type":"summary","assignments":[%s]}' % item


@pytest.mark.parametrize("frame", [
    "", " ", "nonsense", "{", "[]", "null", '"hello"', "{}", '{"type":7}', HELLO + "}", HELLO[:-1], "\0",
    '{"type":"hello","type":"hello"}', "[" * 100000, '{"type":"hello","node":7}',
    '{"type":"hello","node":"' + "n" * 300 + '"}', '{"type":"hello","proto":-1}',
    '{"type":"hello","proto":4294967296}', '{"type":"hello","holding":{}}',
    '{"type":"hello","layers":"Base"}', summary('{"state":"Nonsense"}'), summary('{"pods":7}'),
    summary(",".join(["{}"] * 65)), summary('{"pods":[%s]}' % ",".join(["{}"] * 257)),
    '{"type":"resolve","addresses":[7]}', '{"type":"resolve","addresses":["%s"]}' % ("a" * 300),
    '{"type":"resolve","addresses":[%s]}' % ",".join(['"10.0.0.1"'] * 257), '{"type":"a","\\ud800":1}',
], ids=lambda frame: f"{frame[:40]!a}-{len(frame)}")
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_malformed_frame_is_refused_with_a_reason(controller, frame, opcode):
    before = len(controller.lines("frame refused"))
    agent = controller.dial("node-1")
    assert agent.is_answered()
    agent.send(frame, opcode)
    code, reason = agent.wait_closed()
    assert code == POLICY and reason
    assert 'error=""' not in controller.wait_for("frame refused", count=before + 1)[-1]
    controller.check_works()


@pytest.mark.parametrize("frame", [
    '{"type":"of a later version","node":7}', HELLO, HELLO + " " * (FRAME_BYTES - len(HELLO)),
    '{"type":"hello","later":{}}', '{"type":"resolve"}', summary(""), summary('{"taskUid":"unknown"}'),
], ids=["type", "hello", "1 MiB", "field", "no addresses", "no assignments", "unknown task"])
def test_the_nearest_frames_that_are_allowed_are_taken(controller, frame):
    before = len(controller.lines("frame refused"))
    agent = controller.dial("node-1")
    agent.send(frame)
    assert agent.is_answered()
    agent.end()
    assert len(controller.lines("frame refused")) == before


BIG = encode(b" " * 65536, final=False, mask=True)
MORE = encode(b" " * 65536, opcode=0, final=False, mask=True)


@pytest.mark.parametrize("frames", [
    [encode(b" " * (FRAME_BYTES + 1), mask=True)], [encode(b" " * 4 * FRAME_BYTES, mask=True)],
    [BIG, *[MORE] * 16], [b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4) + b" " * 2 * FRAME_BYTES],
], ids=["1 MiB and a byte", "4 MiB", "in pieces", "2^63 bytes"])
def test_a_frame_of_more_than_1_mib_is_refused_and_said(controller, frames):
    before = len(controller.lines("frame refused"))
    agent = controller.dial("node-1")
    assert agent.is_answered()
    try:
        for frame in frames:
            agent.write(frame)
    except Ended:
        pass  # it need not read to the end
    code, _ = agent.wait_closed()
    assert code in (TOO_LARGE, None)
    agent.end()
    controller.check_works()
    controller.wait_for("frame refused", count=before + 1, timeout=3)


@pytest.mark.parametrize("data", [
    encode(HELLO, mask=False), encode(HELLO, opcode=5, mask=True), encode(HELLO, reserved=7, mask=True),
    encode(b"\xff\xfe{}", mask=True), encode(b"p" * 126, PING, mask=True),
    encode(b"p", PING, final=False, mask=True), encode(b"\x03", CLOSE, mask=True),
    encode(b"\x03\xe8bye", CLOSE, mask=True), encode(HELLO, mask=True)[:20], bytes(range(256)) * 256, b"",
], ids=["not masked", "opcode 5", "reserved bits", "no UTF-8", "long ping", "cut ping", "cut close",
        "close", "half a frame", "noise", "nothing"])
def test_a_peer_that_breaks_the_protocol_or_goes_harms_nobody(controller, data):
    agent = controller.dial("node-1")
    assert agent.is_answered()
    try:
        agent.write(data)
    except Ended:
        pass  # it was closed before all of it was written
    agent.end()
    controller.check_works()


@pytest.mark.parametrize("request_, status", [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404), ("GET /v1/agents HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ("POST /v1/agents HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 404),
    ("nonsense\r\n\r\n", 0), ("GET /v1/agents HTTP/1.1\r\n" + "X: y\r\n" * 20000 + "\r\n", 0),
    ("GET /" + "a" * 100000 + " HTTP/1.1\r\n\r\n", 0), ("\0" * 10000, 0),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 0), ("\x16\x03\x01", 0), ("", 0),
], ids=["/", "no upgrade", "POST", "nonsense", "endless headers", "long path", "zeros", "CONNECT",
        "TLS in TLS", "nothing"])
def test_a_request_that_is_no_agents_is_not_let_in(controller, request_, status):
    context = ssl.create_default_context(cafile=str(controller.ca))
    with socket.create_connection(("127.0.0.1", controller.port), 20) as raw:
        peer = Wire(context.wrap_socket(raw, server_hostname="127.0.0.1"), mask=True)
        try:
            peer.write(request_)
            if not status:
                peer.connection.shutdown(socket.SHUT_WR)
        except (Ended, OSError):
            pass
        assert status_of(peer) in (status, 0) + ((400, 403, 404, 405, 413, 414, 431) if not status else ())
    controller.check_works()


def test_another_path_has_no_channel(controller):
    peer = dial(controller.port, controller.ca, path="/v2/agents", headers=["Authorization: Bearer node-1"])
    assert status_of(peer) == 404
    controller.check_works()


def test_a_peer_without_tls_gets_nothing(controller):
    for data in (b"GET /v1/agents HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b""):
        with socket.create_connection(("127.0.0.1", controller.port), 20) as raw:
            try:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
                assert b"HTTP" not in raw.recv(100)
            except OSError:
                pass
    controller.check_works()


def test_a_token_that_is_too_long_is_no_token(controller):
    peer = dial(controller.port, controller.ca, headers=["Authorization: Bearer " + "x" * 40000])
    assert status_of(peer) != 101 or peer.wait_closed()[0] == POLICY
    controller.check_works()
