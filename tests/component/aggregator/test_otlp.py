# SPDX-License-Identifier: Apache-2.0
"""OTLP: what a real OpenTelemetry Collector wrote down, and receivers that are away, slow or strange."""
import gzip
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from test_metrics import page, samples, soon, value  # noqa: E402
from world import edge, field, free_port, metric, seeded, window  # noqa: E402

CACHE = pathlib.Path(os.environ.get("NPT_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "npt")


@pytest.fixture
def pushing(aggregator_idle):
    """The program that pushes to an endpoint, five times a second."""
    def start(endpoint, *more):
        aggregator_idle.start("--otlp-endpoint", endpoint, "--otlp-interval", "200ms", "--otlp-temporality",
                              "delta", "--metrics", "127.0.0.1:0", "--metrics-everybody", *more)
        return aggregator_idle
    return start


def points_by_outcome(aggregator):
    found = samples(page(aggregator))
    return {outcome: value(found, "npt_exporter_otlp_points_total", outcome=outcome)
            for outcome in ("sent", "rejected", "dropped")}


# --- a real Collector ---

class Collector:
    def __init__(self, folder, tls=None):
        self.port, self.folder, self.file = free_port(), folder, folder / "metrics.json"
        http_settings = {"endpoint": f"127.0.0.1:{self.port}"}
        if tls:
            http_settings["tls"] = {"cert_file": str(tls[0]), "key_file": str(tls[1])}
        (folder / "collector.yml").write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"http": http_settings}}},
            "exporters": {"file": {"path": str(self.file), "flush_interval": "100ms"}},
            "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": {
                "metrics": {"receivers": ["otlp"], "exporters": ["file"]}}}}))
        self.child = None

    def start(self):
        with open(self.folder / "collector.log", "ab") as log:
            self.child = subprocess.Popen([CACHE / "bin/collector", "--config",
                                           f"file:{self.folder}/collector.yml"], stderr=log, stdout=log)
        return self

    def stop(self):
        if self.child:
            self.child.terminate()
            self.child.wait(30)
        self.child = None

    def points(self, temporality=1):
        """[(metric, resource attributes, point, its attributes)]; 1: deltas, 2: cumulative."""
        def plain(attributes):
            return {each["key"]: next(iter(each["value"].values())) for each in attributes}

        found = []
        for line in self.file.read_text().splitlines() if self.file.exists() else []:
            for resource in json.loads(line)["resourceMetrics"]:
                about = plain(resource["resource"]["attributes"])
                for scope in resource["scopeMetrics"]:
                    assert scope["scope"]["name"] == "npt"
                    for each in scope["metrics"]:
                        data = next(each[kind] for kind in ("sum", "gauge", "histogram") if kind in each)
                        assert "gauge" in each or data["aggregationTemporality"] == temporality
                        assert "sum" not in each or data["isMonotonic"]
                        found += [(each, about, point, plain(point.get("attributes", [])))
                                  for point in data["dataPoints"]]
        return found

    def total(self, name, **attributes):
        return sum(int(point["asInt"]) if "asInt" in point else point["asDouble"]
                   for each, about, point, more in self.points()
                   if each["name"] == name and all({**about, **more}.get(key.replace("__", ".")) == text
                                                   for key, text in attributes.items()))


@pytest.fixture
def collector(tmp_path):
    made = Collector(tmp_path)
    yield made
    made.stop()


def test_a_collector_gets_every_byte_once_although_it_was_away(pushing, collector):
    random = seeded()
    aggregator = pushing(f"http://127.0.0.1:{collector.port}")
    sent, failed, buckets = {}, 0, {}
    for sequence in range(1, 41):
        edges = []
        for pid in range(1, 6):
            size, refused = random.randrange(1 << 40), random.randrange(3)
            times = {random.randrange(2, 125): random.randrange(1, 90) for _ in range(4)}
            named = field(1, "ECONNREFUSED") + field(2, refused)
            edges.append(edge(pid, process=f"worker-{pid}", sent=size) + field(24, named if refused else "") +
                         field(29, metric(2, sum(times.values()), 0, dict(sorted(times.items())), 10, 10)))
            sent[pid] = sent.get(pid, 0) + size
            failed += refused
            for bucket, count in times.items():
                buckets[bucket] = buckets.get(bucket, 0) + count
        assert aggregator.post(window(sequence=sequence, edges=edges))[0] == 200
        if sequence == 20:
            soon(lambda: "otlp receiver does not take metrics" in aggregator.log.read_text(), True)
            collector.start()
    soon(lambda: collector.total("npt.sent"), sum(sent.values()), 60)
    aggregator.stop()
    assert "otlp receiver takes metrics again" in aggregator.log.read_text()
    for pid, size in sent.items():
        assert collector.total("npt.sent", process__pid=str(pid)) == size
    assert collector.total("npt.connect.failures", npt__reason="ECONNREFUSED") == failed
    histograms = [point for each, _, point, _ in collector.points() if each["name"] == "npt.rtt"]
    counts = [sum(int(point["bucketCounts"][i]) for point in histograms) for i in range(21)]
    bounds = histograms[0]["explicitBounds"]
    assert bounds[0] == 0.000032 and bounds[19] == 16.777216 and len(bounds) == 20
    expected = [0] * 21
    for bucket, count in buckets.items():  # four buckets of ours are one of theirs; 16 begins at 32 us
        expected[min(max(0, (bucket - 12) // 4), 20)] += count
    assert counts == expected
    assert sum(int(point["count"]) for point in histograms) == sum(counts)


def test_names_are_those_of_the_conventions_and_a_point_knows_its_time(pushing, collector):
    collector.start()
    aggregator = pushing(f"http://127.0.0.1:{collector.port}/v1/metrics")
    body = edge(7, process="envoy", sent=5, port=8080) + field(5, "proxy") + field(12, "10.1.2.3") + \
        field(17, "http1") + field(18, 2) + field(50, "1.3") + field(20, 3) + field(39, 1_500_000)
    assert aggregator.post(window(edges=[body]))[0] == 200
    soon(lambda: collector.total("npt.sent"), 5, 30)
    each, about, point, more = next(all for all in collector.points() if all[0]["name"] == "npt.sent")
    assert about == {"service.name": "envoy", "k8s.namespace.name": "shop", "k8s.pod.name": "name-of-pod-1",
                     "k8s.pod.uid": "pod-1", "k8s.node.name": "node-1", "k8s.container.name": "proxy",
                     "process.pid": "7", "process.executable.name": "envoy"}
    assert more == {"npt.task.namespace": "shop", "npt.task.name": "slow", "npt.task.uid": "task-1",
                    "npt.role": "client", "npt.peer.kind": "pod", "npt.peer.name": "peer",
                    "network.peer.address": "10.1.2.3", "server.port": "8080", "server.address": "peer",
                    "network.transport": "tcp", "network.protocol.name": "http1", "npt.tls": "yes",
                    "tls.protocol.version": "1.3"}
    assert each["unit"] == "By" and each["description"]
    begin = 1767225600000 + 1000  # as window() has it
    assert (int(point["startTimeUnixNano"]), int(point["timeUnixNano"])) == (
        begin * 10**6, (begin + 1000) * 10**6)
    assert collector.total("npt.connections.open") == 3
    assert collector.total("npt.limited", npt__by="application") == 1.5


def test_cumulative_sums_grow_to_the_truth_whatever_was_lost_between(pushing, collector):
    """What Prometheus and its like take. The collector is away while some of it comes."""
    aggregator = pushing(f"http://127.0.0.1:{collector.port}", "--otlp-temporality", "cumulative")
    for sequence in range(1, 11):
        times = field(29, metric(2, 3, 0, {20: 3}, 300, 100))
        assert aggregator.post(window(sequence=sequence, edges=[edge(7, sent=10) + times]))[0] == 200
        if sequence == 5:
            collector.start()
        time.sleep(0.1)

    def last(name):
        found = [point for each, _, point, _ in collector.points(2) if each["name"] == name]
        return max(found, key=lambda point: int(point["timeUnixNano"]), default=None)

    soon(lambda: last("npt.sent") is not None and int(last("npt.sent")["asInt"]), 100, 30)
    assert int(last("npt.sent")["startTimeUnixNano"]) == (1767225600000 + 1000) * 10**6
    assert int(last("npt.rtt")["count"]) == 30
    values = [int(point["asInt"]) for each, _, point, _ in collector.points(2) if each["name"] == "npt.sent"]
    assert values == sorted(values)


def test_it_speaks_tls_to_a_receiver_whose_certificate_it_is_given(pushing, tmp_path, certificate):
    collector = Collector(tmp_path, certificate).start()
    try:
        aggregator = pushing(f"https://127.0.0.1:{collector.port}", "--otlp-ca", certificate[2])
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: collector.total("npt.sent"), 5, 30)
        aggregator.stop()
        aggregator = pushing(f"https://127.0.0.1:{collector.port}")  # the machine does not trust it
        assert aggregator.post(window(sequence=2, edges=[edge(sent=5)]))[0] == 200
        soon(lambda: "otlp receiver does not take metrics" in aggregator.log.read_text(), True)
        assert collector.total("npt.sent") == 5
    finally:
        collector.stop()


# --- receivers that are not what one would wish ---

class Strange:
    """Answers each request with the next of its answers, the last for ever: (status, headers, body)."""

    def __init__(self, *answers, delay=0):
        self.requests, self.bodies, self.times = [], [], []
        strange = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                strange.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                strange.requests.append((self.path, dict(self.headers)))
                strange.times.append(time.monotonic())
                time.sleep(delay)
                status, headers, body = answers[min(len(strange.requests), len(answers)) - 1]
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_it_comes_again_when_it_is_told_to_and_sends_the_same(pushing):
    with Strange((429, {"Retry-After": "2"}, b""), (503, {}, b""), (200, {}, b"")) as receiver:
        aggregator = pushing(receiver.url)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: points_by_outcome(aggregator)["sent"], 4)
        assert len(receiver.requests) == 3 and len(set(receiver.bodies)) == 1
        assert receiver.times[1] - receiver.times[0] >= 2
        assert value(samples(page(aggregator)), "npt_exporter_otlp_retries_total") == 2
        path, headers = receiver.requests[0]
        assert path == "/v1/metrics" and headers["Content-Encoding"] == "gzip"
        assert headers["Content-Type"] == "application/x-protobuf"
        assert b"npt.sent" in gzip.decompress(receiver.bodies[0])


def test_what_a_receiver_rejects_is_counted_and_said_once(pushing):
    partial = field(1, field(1, 3) + field(2, "no room\nat all"))
    with Strange((200, {}, partial)) as receiver:
        aggregator = pushing(receiver.url)
        for sequence in (1, 2):
            assert aggregator.post(window(sequence=sequence, edges=[edge(sent=5)]))[0] == 200
            soon(lambda count=sequence: points_by_outcome(aggregator)["rejected"], 3 * sequence)
        log = aggregator.log.read_text()
        assert log.count("otlp receiver rejected points") == 1 and 'message="no room?at all"' in log


def test_what_it_refuses_for_good_is_dropped_and_the_next_is_sent(pushing):
    status = field(1, 3) + field(2, "bad data")
    with Strange((400, {}, status), (200, {}, b"")) as receiver:
        aggregator = pushing(receiver.url)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: points_by_outcome(aggregator)["dropped"], 4)
        assert aggregator.post(window(sequence=2, edges=[edge(sent=5)]))[0] == 200
        soon(lambda: points_by_outcome(aggregator)["sent"], 4)
        assert "status 400 bad data" in aggregator.log.read_text()


@pytest.mark.parametrize("answer", [
    (200, {}, b"this is no protobuf"), (200, {}, b"\xff" * 60000), (200, {}, field(1, field(1, 1 << 62))),
    (302, {"Location": "http://127.0.0.1:1/"}, b""), (200, {"Retry-After": "9" * 400}, b"\n\x02\x08\x01"),
], ids=["junk", "much junk", "rejects more than there is", "elsewhere", "strange header"])
def test_a_strange_answer_does_no_harm(pushing, answer):
    with Strange(answer) as receiver:
        aggregator = pushing(receiver.url)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: sum(points_by_outcome(aggregator).values()), 4)
        assert aggregator.post(window(sequence=2, edges=[edge(sent=5)]))[0] == 200
        soon(lambda: sum(points_by_outcome(aggregator).values()), 8)


def test_an_answer_without_end_is_cut_off_and_tried_again(pushing):
    with Strange((200, {}, b"x" * (4 << 20)), (200, {}, b"")) as receiver:
        aggregator = pushing(receiver.url)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: points_by_outcome(aggregator)["sent"], 4)
        assert "the answer is larger than allowed" in aggregator.log.read_text()


def test_headers_come_from_a_file_that_may_change(pushing, tmp_path):
    headers = tmp_path / "headers"
    headers.write_text("# of the receiver\nX-Scope-OrgID: shop\nAuthorization: Bearer one\n")
    with Strange((200, {}, b"")) as receiver:
        aggregator = pushing(receiver.url, "--otlp-header-file", headers)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: len(receiver.requests), 1)
        headers.write_text("Authorization: Bearer two\r\n")
        assert aggregator.post(window(sequence=2, edges=[edge(sent=5)]))[0] == 200
        soon(lambda: len(receiver.requests), 2)
        first, second = (headers for _, headers in receiver.requests)
        assert (first["X-Scope-OrgID"], first["Authorization"]) == ("shop", "Bearer one")
        assert second["Authorization"] == "Bearer two" and "X-Scope-OrgID" not in second
        headers.write_text("no header\n")
        assert aggregator.post(window(sequence=3, edges=[edge(sent=5)]))[0] == 200
        soon(lambda: 'line 1 is not \\"Name: value\\"' in aggregator.log.read_text(), True)
        assert len(receiver.requests) == 2 and "Bearer" not in aggregator.log.read_text()


def test_a_slow_receiver_never_slows_ingest_and_the_end_is_in_time(pushing):
    with Strange((503, {}, b""), delay=3) as receiver:
        aggregator = pushing(receiver.url)
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        soon(lambda: len(receiver.requests) > 0, True)
        for sequence in range(2, 60):
            assert aggregator.post(window(sequence=sequence, edges=[edge(sent=5)] * 20))[0] == 200
        assert len(receiver.requests) < 3
        found = samples(page(aggregator))
        assert value(found, "npt_ingest_windows_total", outcome="stored") == 59
        begin = time.monotonic()
        aggregator.stop()
        assert time.monotonic() - begin < 20
        assert "otlp metrics are dropped" in aggregator.log.read_text()


def test_what_is_left_is_sent_when_it_ends(pushing):
    with Strange((200, {}, b"")) as receiver:
        aggregator = pushing(receiver.url, "--otlp-interval", "1h")
        assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
        aggregator.stop()
        assert len(receiver.requests) == 1


def test_no_option_of_exports_opens_what_needs_a_token(aggregator_idle):
    aggregator_idle.start("--otlp-endpoint", "http://127.0.0.1:9", "--otlp-interval", "1h",
                          "--skywalking-endpoint", "127.0.0.1:9", "--skywalking-interval", "1h",
                          "--metrics", "127.0.0.1:0", "--metrics-max-series", "9", "--metrics-keep", "1m")
    assert aggregator_idle.curl("/v1/tasks")[0] == 401
    assert aggregator_idle.curl("/metrics", port=aggregator_idle.metrics_port)[0] == 401


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://x", "http://"])
def test_an_endpoint_that_is_none_is_refused(aggregator_idle, endpoint):
    with pytest.raises(AssertionError, match="did not start"):
        aggregator_idle.start("--otlp-endpoint", endpoint)
    assert "--otlp-endpoint" in aggregator_idle.log.read_text()
