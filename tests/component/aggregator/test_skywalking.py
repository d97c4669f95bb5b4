# SPDX-License-Identifier: Apache-2.0
"""SkyWalking: what a real server (OAP 10.1.0) tells its pages of what it got, and strange servers."""
import os
import socket
import struct
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from oap import Oap  # noqa: E402
from test_metrics import page, samples, soon, value  # noqa: E402
from world import edge, field, ingest_token, metric, window  # noqa: E402

SERVICE, POD = "reviews-v3.shop", "reviews-v3-7f5d9c8b6-x2x4q"


@pytest.fixture
def oap(tmp_path):
    made = Oap(tmp_path, {"10.1.2.3": ("shop", "ratings-v1-abc")})
    yield made
    made.stop()


@pytest.fixture
def sending(aggregator_idle):
    def start(port, *more):
        aggregator_idle.start("--skywalking-endpoint", f"127.0.0.1:{port}", "--skywalking-interval", "200ms",
                              "--metrics", "127.0.0.1:0", "--metrics-everybody", *more)
        return aggregator_idle
    return start


def end(pid, name, role, peer, kind, peer_pid=0, address="10.9.9.9", port=9080, protocol="http1", tls=1):
    """Who talks with whom: fields 1 to 18 of an edge."""
    return (field(1, pid) + field(2, 1000 + pid) + field(3, name) + field(5, name) + field(7, role) +
            field(8, kind) + field(9, peer) + field(11, peer_pid) + field(12, address) + field(13, port) +
            field(16, "tcp") + field(17, protocol) + field(18, tls))


def times(number, bucket, count, micros, size=0):
    return field(29, metric(number, count, size, {bucket: count}, micros * count, micros))


def busy(sent, writes, connects):
    """4096 us a write (bucket 44), 1024 us (36) of RTT, 512 us (32) to connect."""
    return (field(21, connects) + field(23, connects - 1) + field(25, sent) +
            times(0, 44, writes, 4096, sent) + times(1, 36, 7, 1024, 70) +
            times(2, 36, writes, 1024) + times(3, 32, connects, 512) + field(30, 3) +
            field(34, field(1, "NO_SOCKET") + field(2, 2)))


def post(aggregator, sequence, edges, **more):
    body = window(sequence=sequence, edges=edges, **more) + field(10, POD)  # the later name counts
    status, text, _ = aggregator.post(body, ingest_token(task=more.get("task", "task-1")))
    assert status == 200 and '"stored":true' in text


def summed(found, labels=""):
    return sum(found.get(labels, []))


def test_its_topology_and_each_lines_metrics_come_out_of_the_server(oap, sending):
    oap.wait()
    aggregator = sending(oap.grpc_port)
    envoy_to_app = end(11, "envoy", 1, "java", 1, peer_pid=22, address="127.0.0.6")
    app_from_envoy = end(22, "java", 2, "envoy", 1, peer_pid=11, address="127.0.0.6")
    envoy_to_ratings = end(11, "envoy", 1, "ratings-v1-abc", 2, address="10.1.2.3", tls=2)
    for sequence in (1, 2):
        post(aggregator, sequence, [envoy_to_app + busy(1000, 5, 3), app_from_envoy + busy(3000, 4, 2),
                                    envoy_to_ratings + busy(500, 2, 2)])
        # A second worker of the same name, and another task on the same pod, which must not count twice.
        post(aggregator, 10 + sequence, [end(12, "envoy", 1, "java", 1, peer_pid=22, address="127.0.0.6") +
                                         busy(100, 1, 1)])
        post(aggregator, sequence, [envoy_to_app + busy(1000, 5, 3)], task="task-2")
    nodes, lines = {"envoy": True, "java": True, "ratings-v1-abc.shop": False}, \
        {("envoy", "java"), ("envoy", "ratings-v1-abc.shop")}
    soon(lambda: (oap.topology(SERVICE, POD)[0], set(oap.topology(SERVICE, POD)[1])), (nodes, lines), 60)
    soon(lambda: sorted(oap.topology(SERVICE, POD)[1]["envoy", "java"]["detectPoints"]),
         ["CLIENT", "SERVER"], 60)  # each end comes on its own
    calls = oap.topology(SERVICE, POD)[1]
    assert calls["envoy", "java"]["sourceComponents"] == ["HTTP"]
    assert calls["envoy", "ratings-v1-abc.shop"]["sourceComponents"] == ["HTTPS"]

    def read(name, target="java", source="envoy"):
        return oap.values(name, SERVICE, POD, source, target)

    expected = {"client_write_total_bytes": 2200, "client_write_cpm": 12, "client_read_cpm": 28,
                "client_read_total_bytes": 280, "client_connect_cpm": 8, "client_close_cpm": 4,
                "client_retransmit_cpm": 12, "client_drop_cpm": 8, "server_write_total_bytes": 6000,
                "server_write_cpm": 8, "server_connect_cpm": 4, "server_retransmit_cpm": 6}
    for name, number in expected.items():
        soon(lambda name=name: summed(read(name)), number, 60)
    assert summed(read("client_write_total_bytes", "ratings-v1-abc.shop")) == 1000
    assert set(read("client_write_avg_exe_time")[""]) == {4096000}
    assert set(read("client_write_avg_rtt_time")[""]) == {1024}
    assert set(read("client_connect_exe_time")[""]) == {512000}
    for name, floor in (("client_write_exe_time_percentile", 4096000),
                        ("client_write_rtt_time_percentile", 1024),
                        ("server_read_exe_time_percentile", 1024000)):
        found = read(name)
        assert len(found) == 4 and all(set(numbers) == {floor} for numbers in found.values()), found
    found = samples(page(aggregator))
    assert value(found, "npt_exporter_skywalking_meters_total", outcome="sent") > 40
    assert value(found, "npt_exporter_skywalking_meters_total", outcome="dropped") == 0


# --- servers that are not what one would wish, by HTTP/2 frames of our own ---

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def headers(**fields):
    """HPACK literals without indexing; status 200 is entry 8 of the static table."""
    out = b"\x88" if fields.pop("ok", False) else b""
    for name, text in fields.items():
        name, text = name.replace("_", "-").encode(), text.encode()
        out += b"\0" + bytes((len(name),)) + name + bytes((len(text),)) + text
    return out


def message(data):
    return b"\0" + struct.pack(">I", len(data)) + data


def unary(data=b"", status="0", words=""):
    """The frames of an answer on stream 1: trailers come later, or with the message."""
    trailer = headers(grpc_status=status, **({"grpc_message": words} if words else {}))
    return [frame(1, 4, 1, headers(ok=True, content_type="application/grpc")) + frame(0, 0, 1, data),
            frame(1, 5, 1, trailer)]


class Server:
    """Answers each call, whatever it is, with what answer(path) makes of it; keeps their bodies."""

    def __init__(self, answer):
        self.answer, self.calls, self.over = answer, [], False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.over:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                try:
                    self.talk(peer.makefile("rb"), peer)
                except OSError:
                    pass

    def talk(self, stream, peer):
        assert stream.read(24).startswith(b"PRI * HTTP/2.0")
        peer.sendall(frame(4, 0, 0))
        path, body = b"", b""
        while head := stream.read(9):
            payload = stream.read(int.from_bytes(head[:3], "big"))
            kind, flags = head[3], head[4]
            if kind == 4 and not flags & 1:
                peer.sendall(frame(4, 1, 0))
            path += payload if kind == 1 else b""
            body += payload if kind == 0 else b""
            if kind == 0:
                peer.sendall(frame(8, 0, 0, struct.pack(">I", max(1, len(payload)))))
            if kind in (0, 1) and flags & 1:
                self.calls.append(body)
                for part in self.answer(len(self.calls), body):
                    peer.sendall(part)
                    time.sleep(0.05)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(10)
                stream.read()  # what is unread at the end would be a reset
                return

    def stop(self):
        self.over = True
        self.listener.close()


@pytest.fixture
def server():
    made = []

    def start(answer):
        made.append(Server(answer))
        return made[-1]
    yield start
    for each in made:
        each.stop()


def ids(*names):
    """An answer to a report: an id for each process of the pod."""
    def known(name):
        entity = field(2, SERVICE) + field(3, POD) + field(4, name)
        return field(1, f"id-of-{name}") + field(3, field(1, 1) + field(2, entity))
    return b"".join(field(1, known(name)) for name in names)


def meters(aggregator):
    found = samples(page(aggregator))
    return {outcome: value(found, "npt_exporter_skywalking_meters_total", outcome=outcome)
            for outcome in ("sent", "dropped")}


EDGES = [end(11, "envoy", 1, "java", 1, peer_pid=22, address="127.0.0.6") + busy(100, 1, 1)]


def test_processes_are_told_of_kept_alive_and_named_in_meters_by_rovers_labels(server, sending):
    def answer(number, body):
        if b"rover_net_p" not in body and b"pod_name" in body and b"id-of" not in body:
            return unary(message(ids("envoy", "java")))
        return [b"".join(unary(message(b"")))]  # in one piece, as a quick server's
    oap = server(answer)
    aggregator = sending(oap.port)
    post(aggregator, 1, EDGES)
    soon(lambda: meters(aggregator)["sent"] > 10, True)
    report, batch = oap.calls[:2]
    for text in (b"K8S_SERVICE", SERVICE.encode(), POD.encode(), b"envoy", b"java", b"npt-aggregator"):
        assert text in report
    for text in (b"client_process_id", b"server_process_id", b"id-of-envoy", b"id-of-java", b"is_ssl",
                 b"rover_net_p_client_write_rtt_histogram", b"rover_net_p_client_retransmit_counts_counter"):
        assert text in batch
    sequence = 2
    while len(oap.calls) < 12 and not any(b"pod_name" in body for body in oap.calls[2:]):
        post(aggregator, sequence, EDGES)
        count = len(oap.calls)
        soon(lambda count=count: len(oap.calls) > count, True)
        sequence += 1
    assert any(b"pod_name" in body and b"rover" not in body for body in oap.calls[2:]), "kept alive"


@pytest.mark.parametrize("bad, words", [
    (unary(status="14", words="come later"), "grpc status 14 come later"),
    (unary(message(b"\xff\xff\xff")), "the answer is no EBPFReportProcessDownstream"),
    (unary(b"\1\0\0\0\0"), "a compressed message"),
    (unary(b"\0\xff\xff\xff\xff"), "a message of 4294967295 bytes in 0"),
    (unary(b"\0\0"), "a frame of 2 bytes"),
    (unary(), "no message"),
    (unary(message(b""), status="much"), "grpc status 2"),
    ([frame(1, 5, 1, headers(ok=True, grpc_status="12"))], "grpc status 12"),
    ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "skywalking server does not take meters"),
    ([frame(0, 1, 1, b"x")], "skywalking server does not take meters"),
], ids=["unavailable", "junk", "compressed", "huge", "short", "empty", "no status", "only headers",
        "another protocol", "no headers"])
def test_a_strange_answer_does_no_harm_and_the_next_call_is_made(server, sending, bad, words):
    oap = server(lambda number, body: bad if number == 1 else unary(message(ids("envoy", "java"))))
    aggregator = sending(oap.port)
    post(aggregator, 1, EDGES)
    soon(lambda: words in aggregator.log.read_text(), True)
    sequence = 2
    while meters(aggregator)["sent"] == 0 and sequence < 20:
        post(aggregator, sequence, EDGES)
        count = len(oap.calls)
        soon(lambda count=count: len(oap.calls) > count, True)
        soon(lambda: sum(meters(aggregator).values()) > 0, True)
        sequence += 1
    assert meters(aggregator)["sent"] > 0


def test_a_server_that_is_away_costs_nothing_but_its_meters(sending):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    aggregator = sending(port)
    post(aggregator, 1, EDGES)
    soon(lambda: "skywalking server does not take meters" in aggregator.log.read_text(), True)
    for sequence in range(2, 40):
        post(aggregator, sequence, EDGES)
    assert aggregator.log.read_text().count("does not take meters") == 1
    aggregator.stop()


@pytest.mark.parametrize("endpoint", ["", "http://oap:11800", "oap:11800/path", "oap:99999"])
def test_an_endpoint_that_is_none_is_refused(aggregator_idle, endpoint):
    with pytest.raises(AssertionError, match="did not start"):
        aggregator_idle.start("--skywalking-endpoint", endpoint)
    assert "--skywalking-endpoint" in aggregator_idle.log.read_text()
