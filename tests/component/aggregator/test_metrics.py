# SPDX-License-Identifier: Apache-2.0
"""/metrics of the real npt-aggregator: read as text, by promtool, and by a real Prometheus."""
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import edge, field, free_port, ingest_token, metric, seeded, window  # noqa: E402

SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
MEBIBYTES = 1 << 20


@pytest.fixture
def metrics(aggregator_idle):
    """The program with /metrics: start(more arguments)."""
    def start(*more):
        aggregator_idle.start("--metrics", "127.0.0.1:0", *more)
        return aggregator_idle
    return start


def page(aggregator, token="all", status=200):
    got, body, headers = aggregator.curl("/metrics", "-H", f"Authorization: Bearer {token}",
                                         port=aggregator.metrics_port)
    assert got == status, body
    if status == 200:
        assert "content-type: text/plain; version=0.0.4" in headers
    return body


def samples(text):
    """[(name, labels, value)]; no line twice."""
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        labels = {key: re.sub(r"\\(.)", r"\1", text) for key, text in LABEL.findall(labels or "")}
        found.append((name, labels, float(value)))
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in found]
    assert len(keys) == len(set(keys))
    return found


def value(found, name, **wanted):
    """The sum of a metric's samples that have these labels; None if there is none."""
    values = [number for each, labels, number in found
              if each == name and all(labels.get(key) == text for key, text in wanted.items())]
    return sum(values) if values else None


def soon(ask, wanted, seconds=15):
    """Exports come a moment after the answer to a post."""
    deadline = time.time() + seconds
    while (got := ask()) != wanted and time.time() < deadline:
        time.sleep(0.05)
    assert got == wanted


def exported(aggregator, windows):
    soon(lambda: value(samples(page(aggregator)), "npt_exporter_windows_total"), windows)
    return samples(page(aggregator))


def test_the_page_has_what_was_stored_and_nothing_twice(metrics):
    aggregator = metrics()
    for sequence in (1, 2, 2, 1):
        body = window(sequence=sequence, edges=[edge(sent=100, received=7, writes=3, written=9, opened=1,
                                                     drops={"NO_SOCKET": 2})])
        assert aggregator.post(body)[0] == 200
    found = exported(aggregator, 2)
    labels = {"task_namespace": "shop", "task": "slow", "target_pod": "name-of-pod-1", "process": "nginx",
              "role": "client", "peer_kind": "pod", "peer": "peer", "peer_port": "80", "transport": "tcp",
              "protocol": "unknown", "tls": "unknown"}
    assert [each for each in found if each[0] == "npt_sent_bytes_total"] == [
        ("npt_sent_bytes_total", labels, 200)]
    assert value(found, "npt_received_bytes_total") == 14
    assert value(found, "npt_write_operations_total") == 6
    assert value(found, "npt_write_bytes_total") == 18
    assert value(found, "npt_connections_opened_total") == 2
    assert value(found, "npt_dropped_packets_total", reason="NO_SOCKET") == 4
    assert value(found, "npt_ingest_windows_total", outcome="stored") == 2
    assert value(found, "npt_ingest_windows_total", outcome="duplicate") == 2
    assert value(found, "npt_store_bytes") > 0


def test_buckets_are_exact_and_times_are_in_seconds(metrics):
    """Bucket 44 begins at 4096 us, bucket 43 ends there: one falls below le="0.004096", one not."""
    aggregator = metrics()
    times = metric(2, 6, buckets={0: 1, 16: 2, 43: 1, 44: 1, 124: 1}, total=5_000_123, largest=1 << 33)
    assert aggregator.post(window(edges=[edge() + field(29, times)]))[0] == 200
    found = exported(aggregator, 1)
    name = "npt_rtt_seconds"
    buckets = {labels["le"]: number for each, labels, number in found if each == f"{name}_bucket"}
    assert buckets["0.000032"] == 1 and buckets["0.000064"] == 3 and buckets["0.002048"] == 3
    assert buckets["0.004096"] == 4 and buckets["0.008192"] == 5
    assert buckets["16.777216"] == 5 and buckets["+Inf"] == 6
    assert value(found, f"{name}_sum") == 5.000123 and value(found, f"{name}_count") == 6
    assert len(buckets) == 21


def test_promtool_finds_nothing_to_complain_about(metrics):
    aggregator = metrics()
    every = b"".join(field(29, metric(i, 5, 0, {10: 5}, 100, 30)) for i in range(1, 8))
    named = field(1, "REASON") + field(2, 3)
    full = edge(sent=5, drops={"NO_SOCKET": 2}) + every + \
        b"".join(field(number, 7) for number in (20, 22, 24, 31, 32, 33, 36, *range(39, 49), 54, 55, 57)
                 if number != 24) + field(24, named) + field(37, named) + field(38, named) + \
        field(60, metric(0, 5, 0, {10: 5}, 100, 30))
    assert aggregator.post(window(edges=[full, edge(2, process=b'q"uo\\te\nd\xff')]))[:2] == (
        200, '{"sequence":1,"stored":true}')
    exported(aggregator, 1)
    text = page(aggregator)
    names = {name for name, _, _ in samples(text)}
    assert {"npt_connect_failures_total", "npt_resets_total", "npt_tls_handshake_duration_seconds_sum",
            "npt_listen_drops_total", "npt_limited_seconds_total", "npt_syn_backlog"} <= names
    assert 'process="q\\"uo\\\\te?d?"' in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_series_are_bounded_and_what_has_no_room_is_one_of_others(metrics):
    aggregator = metrics("--metrics-max-series", "25", "--metrics-max-series-per-task", "10")
    total = 0
    for task in range(6):
        edges = [edge(address="10.0.0.1", port=1 + i, sent=1 + i + task) for i in range(50)]
        total += sum(1 + i + task for i in range(50))
        body = window(task=f"task-{task}", edges=edges)
        assert aggregator.post(body, ingest_token(task=f"task-{task}", name=f"slow-{task}"))[0] == 200
    found = exported(aggregator, 6)
    sent = [(labels, number) for name, labels, number in found if name == "npt_sent_bytes_total"]
    assert sum(number for _, number in sent) == total
    assert len(sent) <= 26
    for task in ("slow-0", "slow-1"):
        mine = [labels for labels, _ in sent if labels["task"] == task]
        assert len(mine) == 10 and sum(labels["peer"] == "other" for labels in mine) == 1
    assert value(found, "npt_sent_bytes_total", task="other", peer="other") > 0
    assert value(found, "npt_exporter_overflowed_edges_total") > 200
    assert value(found, "npt_connections_open", peer="other") is None


def test_series_of_a_task_that_is_over_go_away(metrics):
    aggregator = metrics("--metrics-keep", "1s")
    assert aggregator.post(window(edges=[edge(sent=5)]))[0] == 200
    assert value(exported(aggregator, 1), "npt_sent_bytes_total") == 5
    soon(lambda: value(samples(page(aggregator)), "npt_sent_bytes_total"), None)
    assert value(samples(page(aggregator)), "npt_exporter_edges") == 0
    assert aggregator.post(window(sequence=2, edges=[edge(sent=5)]))[0] == 200
    assert value(exported(aggregator, 2), "npt_sent_bytes_total") == 5


def test_a_gauge_is_of_the_last_window_and_of_all_edges_with_these_labels(metrics):
    aggregator = metrics()
    for sequence, opens in ((1, (4, 5)), (3, (2, 1)), (2, (50, 60))):
        edges = [edge(pid) + field(20, number) for pid, number in enumerate(opens, 1)]
        assert aggregator.post(window(sequence=sequence, edges=edges))[0] == 200
    assert value(exported(aggregator, 3), "npt_connections_open") == 3


def test_only_who_may_read_all_tasks_sees_the_page(metrics, reviews):
    aggregator = metrics()
    assert "namespace" not in page(aggregator, "shop-only", 403).split("detail")[0]
    page(aggregator, "none", 403)
    page(aggregator, "nonsense", 401)
    assert aggregator.curl("/metrics", port=aggregator.metrics_port)[0] == 401
    page(aggregator, "all")
    reviews.down = True
    page(aggregator, "somebody else", 503)
    assert aggregator.curl("/elsewhere", port=aggregator.metrics_port)[0] == 404


def test_everybody_may_where_it_is_said_so(metrics):
    aggregator = metrics("--metrics-everybody")
    assert aggregator.curl("/metrics", port=aggregator.metrics_port)[0] == 200


@pytest.mark.parametrize("arguments, words", [
    (("--metrics", "nonsense"), "nonsense"),
    (("--metrics-max-series", "0"), "--metrics-max-series 0 is not 1 to 100000"),
    (("--insecure-local", "--metrics", "127.0.0.1:0"), "needs --metrics-everybody"),
    (("--metrics-keep", "soon"), "--metrics-keep soon is not 100ms to 24h"),
])
def test_bad_options_are_refused_with_a_word(aggregator_idle, arguments, words):
    with pytest.raises(AssertionError, match="did not start"):
        aggregator_idle.start(*arguments)
    assert words in aggregator_idle.log.read_text()


# --- a real Prometheus ---

class Prometheus:
    def __init__(self, folder, aggregator):
        self.port = free_port()
        (folder / "token").write_text("all")
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "npt", "scheme": "https",
                                "authorization": {"credentials_file": str(folder / "token")},
                                "tls_config": {"ca_file": str(aggregator.ca)},
                                "static_configs": [
                                    {"targets": [f"127.0.0.1:{aggregator.metrics_port}"]}]}]}))
        with open(folder / "prometheus.log", "wb") as log:
            self.child = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--log.level=warn"], stderr=log, stdout=log)

    def ask(self, query):
        """{labels as sorted pairs: value} of an instant query."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in result}

    def number(self, query):
        return next(iter(self.ask(query).values()), None)

    def stop(self):
        self.child.terminate()
        self.child.wait(30)


def test_prometheus_scrapes_it_and_promql_answers_the_truth(metrics, tmp_path):
    random = seeded()
    aggregator = metrics()
    server = Prometheus(tmp_path, aggregator)
    truth, below, timed = {}, 0, 0
    try:
        soon(lambda: server.number("up"), 1, 30)
        for sequence in range(1, 31):
            edges = []
            for pid in range(1, 5):
                sent = random.randrange(1 << 30)
                buckets = {random.randrange(2, 124): random.randrange(1, 50) for _ in range(5)}
                times = metric(6, sum(buckets.values()), 0, dict(sorted(buckets.items())), 10, 10)
                below += sum(count for bucket, count in buckets.items() if bucket < 44)
                timed += sum(buckets.values())
                edges.append(edge(pid, process=f"worker-{pid}", sent=sent) + field(29, times))
                truth[f"worker-{pid}"] = truth.get(f"worker-{pid}", 0) + sent
            assert aggregator.post(window(sequence=sequence, edges=edges))[0] == 200
        exported(aggregator, 30)
        for process, sent in truth.items():
            soon(lambda: server.number(f'npt_sent_bytes_total{{process="{process}"}}'), sent, 30)
        assert server.number("sum(npt_sent_bytes_total)") == sum(truth.values())
        name = "npt_response_duration_seconds"
        assert server.number(f"sum({name}_count)") == timed
        assert server.number(f'sum({name}_bucket{{le="0.004096"}})') == below
        quantile = server.number(f"histogram_quantile(0.5, sum by (le) ({name}_bucket))")
        half = server.number(f'sum({name}_bucket{{le="+Inf"}})') / 2
        bounds = {float(dict(labels)["le"]): count
                  for labels, count in server.ask(f"sum by (le) ({name}_bucket)").items()}
        assert all((count >= half) == (bound >= quantile) or bound == float("inf")
                   for bound, count in bounds.items())
        assert server.number('npt_ingest_windows_total{outcome="stored"}') == 30
        assert server.number("scrape_samples_scraped") > 100
    finally:
        server.stop()
