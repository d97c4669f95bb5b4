# SPDX-License-Identifier: Apache-2.0
"""What is acknowledged is there, once: on both stores, whoever dies, is away or answers nonsense."""
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
import time

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../agent")]
from fault_proxy import FaultProxy  # noqa: E402
from frames import dial, status_of  # noqa: E402
from world import Aggregator, edge, seeded, total, window  # noqa: E402

KILLS = 50
AGENTS = 4
WAIT_SECONDS = 60


@pytest.fixture
def replica(tmp_path, reviews, certificate):
    """Makes aggregators, each in a folder of its own."""
    made = []

    def make(**where):
        folder = tmp_path / f"replica-{len(made)}"
        folder.mkdir()
        one = Aggregator(folder, reviews, *certificate)
        made.append(one)
        if where:
            one.use_clickhouse(where["server"], where["server"].database, where.get("port"))
        return one

    yield make
    for one in made:
        if one.child:
            one.stop()


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Agents:
    """Each posts window after window of a pod, the same one until it is acknowledged."""

    def __init__(self, aggregators, seed):
        self.aggregators, self.random = aggregators, seed
        self.sent, self.acknowledged, self.unexpected = {}, {}, []
        self.done = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(AGENTS)
        self.running = [self.pool.submit(self.run, number) for number in range(AGENTS)]

    def run(self, number):
        pod, sequence = f"pod-{number}", 0
        while not self.done.is_set():
            sequence += 1
            self.sent[pod, sequence] = self.random.randrange(1, 10000)
            body = window(pod=pod, sequence=sequence,
                          edges=[edge(sent=self.sent[pod, sequence]), edge(2, sent=1)])
            self.deliver(pod, sequence, body)

    def deliver(self, pod, sequence, body):
        turn = sequence
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            status, text, headers = self.aggregators[turn % len(self.aggregators)].post(body)
            if status == 200:
                self.acknowledged[pod, sequence] = text
                return
            if status not in (0, 503) or status == 503 and "retry-after" not in headers:
                self.unexpected.append((status, text))
            turn += 1
            time.sleep(0.02)
        self.unexpected.append(f"{pod} {sequence} is not taken")

    def stop(self):
        """Ends when everything that was sent is acknowledged."""
        self.done.set()
        for one in self.running:
            one.result(WAIT_SECONDS * 2)
        self.pool.shutdown()
        assert not self.unexpected, self.unexpected[:3]
        assert set(self.acknowledged) == set(self.sent)
        repeated = sum('"stored":false' in text for text in self.acknowledged.values())
        print(f"{len(self.sent)} windows, {repeated} stored although their first answer was lost")


def rows_of(aggregator, server):
    query = "SELECT pod_uid, sequence, sum(sent_bytes), count(*) FROM {} GROUP BY pod_uid, sequence"
    if server:
        rows = server.sql(query.format("npt_measurements"), server.database)
    else:
        done = subprocess.run(["sqlite3", "-separator", "\t", str(aggregator.store),
                               query.format("measurements")],
                              capture_output=True, text=True, timeout=60, check=True)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {(pod, int(sequence)): (int(sent), int(count)) for pod, sequence, sent, count in rows}


def check_all_there_once(aggregator, agents, server=None):
    rows = rows_of(aggregator, server)
    assert rows == {which: (sent + 1, 2) for which, sent in agents.sent.items()}
    status, report = aggregator.get("/v1/tasks/task-1")
    assert status == 200
    assert total(report, "sent", "bytes") == sum(agents.sent.values()) + len(agents.sent)
    last = {f"pod-{number}": max(s for pod, s in agents.sent if pod == f"pod-{number}")
            for number in range(AGENTS)}
    assert [(pod["uid"], pod["windows"], pod["missing"]) for pod in report["pods"]] == [
        (pod, count, 0) for pod, count in sorted(last.items())]


@pytest.mark.parametrize("engine", ["sqlite", "clickhouse"])
def test_nothing_acknowledged_is_lost_and_nothing_doubled_by_50_kills(engine, replica, request):
    random = seeded()
    server = request.getfixturevalue("clickhouse") if engine == "clickhouse" else None
    aggregator = (replica(server=server) if server else replica()).start()
    port, agents = aggregator.port, None
    agents = Agents([aggregator], random)
    try:
        for _ in range(KILLS):
            time.sleep(random.uniform(0.02, 0.2))
            aggregator.kill()
            aggregator.start(port=port)
    finally:
        agents.done.set()
    agents.stop()
    assert len(agents.sent) > KILLS
    check_all_there_once(aggregator, agents, server)
    if not server:
        assert aggregator.sql("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def test_replicas_that_are_sent_the_same_at_once_store_it_once(replica, clickhouse):
    aggregators = [replica(server=clickhouse).start() for _ in range(2)]
    bodies = [window(pod=f"pod-{sequence % 3}", sequence=sequence, edges=[edge(sent=7), edge(2)])
              for sequence in range(1, 31)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda post: post[0].post(post[1]),
                                [(one, body) for body in bodies for one in aggregators]))
    assert {status for status, _, _ in answers} == {200}
    for aggregator in aggregators:
        status, report = aggregator.get("/v1/tasks/task-1")
        assert status == 200 and total(report, "sent", "bytes") == 30 * 7
        assert [pod["windows"] for pod in report["pods"]] == [10] * 3
        _, page = aggregator.get("/v1/tasks/task-1/windows")
        assert len({one["sequence"] for one in page["windows"]}) == len(page["windows"]) == 30
        assert aggregator.get("/v1/tasks")[1]["tasks"][0]["windows"] == 30
    assert clickhouse.sql("SELECT count(), sum(sent_bytes) FROM npt_measurements",
                          clickhouse.database) == [["60", "210"]]


def test_a_replica_takes_over_what_the_other_left(replica, clickhouse):
    aggregators = [replica(server=clickhouse).start() for _ in range(2)]
    ports = [one.port for one in aggregators]
    agents = Agents(aggregators, seeded())
    try:
        for turn in range(4):
            time.sleep(0.3)
            aggregators[turn % 2].kill()
            time.sleep(0.3)
            aggregators[turn % 2].start(port=ports[turn % 2])
    finally:
        agents.done.set()
    agents.stop()
    check_all_there_once(aggregators[1], agents, clickhouse)


def test_who_watches_one_replica_sees_what_all_of_them_store(replica, clickhouse):
    aggregators = [replica(server=clickhouse).start() for _ in range(2)]
    assert aggregators[0].post(window(pod="pod-9", edges=[edge()]))[0] == 200
    wire = dial(aggregators[0].port, aggregators[0].ca, path="/v1/tasks/task-1/live",
                headers=["Authorization: Bearer all"], timeout=30)
    assert status_of(wire) == 101
    agents = Agents(aggregators, seeded())
    time.sleep(3)
    agents.stop()
    seen, expected = [], set(agents.sent) | {("pod-9", 1)}
    while len(seen) < len(expected):
        seen += [(one["pod"]["uid"], one["sequence"]) for one in json.loads(wire.receive_text())["windows"]]
    assert len(seen) == len(set(seen)) and set(seen) == expected
    wire.end()


def test_a_server_that_is_killed_is_waited_for(replica, clickhouse):
    aggregator = replica(server=clickhouse).start()
    agents = Agents([aggregator], seeded())
    try:
        for _ in range(3):
            time.sleep(0.5)
            clickhouse.kill()
            status, problem = aggregator.get("/v1/tasks")
            assert status == 503 and problem["title"] == "Service Unavailable"
            assert aggregator.get("/v1/tasks/task-1")[0] == 503
            assert aggregator.get("/v1/tasks/task-1/windows")[0] == 503
            time.sleep(0.3)
            clickhouse.start()
            wait_until(lambda: aggregator.get("/v1/tasks")[0] == 200, "it does not come back")
    finally:
        agents.done.set()
    agents.stop()
    check_all_there_once(aggregator, agents, clickhouse)
    log = aggregator.log.read_text()
    assert log.count("the store does not answer ") == 3 == log.count("the store answers again"), log
    assert log.count("agents keep them") <= 3 and log.count("error:") <= 9, log


def test_a_server_that_hangs_holds_up_nobody_for_long(replica, clickhouse):
    aggregator = replica(server=clickhouse)
    aggregator.arguments[3] = f"127.0.0.1:{clickhouse.port + 1}"
    aggregator.start()
    assert aggregator.post(window(edges=[edge(sent=1)]))[0] == 200
    clickhouse.pause()
    began = time.monotonic()
    status, body, headers = aggregator.post(window(sequence=2, edges=[edge(sent=1)]))
    assert status == 503 and "retry-after" in headers, body
    assert time.monotonic() - began < 20
    began = time.monotonic()
    assert aggregator.get("/v1/tasks")[0] == 503, "nobody asks it once more at once"
    assert aggregator.post(window(sequence=2, edges=[edge(sent=1)]))[0] == 503
    assert time.monotonic() - began < 15
    for path in ("healthz", "readyz"):
        subprocess.run(["curl", "-sf", f"http://{aggregator.arguments[3]}/{path}"], timeout=20, check=True)
    clickhouse.resume()
    wait_until(lambda: aggregator.post(window(sequence=2, edges=[edge(sent=1)]))[0] == 200, "not taken")
    wait_until(lambda: aggregator.get("/v1/tasks/task-1")[0] == 200, "not read")
    assert clickhouse.sql("SELECT count() FROM npt_measurements", clickhouse.database) == [["2"]]
    assert aggregator.get("/v1/tasks")[1]["tasks"][0]["windows"] == 2


def test_it_starts_before_its_server_and_ends_while_that_hangs(replica, clickhouse):
    clickhouse.kill()
    aggregator = replica(server=clickhouse).start()
    assert aggregator.post(window(edges=[edge(sent=1)]))[0] == 503
    assert aggregator.get("/v1/tasks")[0] == 503
    assert "the store is used as soon as it answers" in aggregator.log.read_text()
    clickhouse.start()
    wait_until(lambda: aggregator.post(window(edges=[edge(sent=1)]))[0] == 200, "not taken")
    wait_until(lambda: aggregator.get("/v1/tasks")[0] == 200, "not read")
    clickhouse.pause()
    aggregator.stop()


@pytest.mark.parametrize("mode", ["refuses", "cuts", "halves", "garbles", "breaks"])
def test_faults_on_the_way_lose_and_double_nothing(mode, replica, clickhouse):
    proxy = FaultProxy(clickhouse.port)
    aggregator = replica(server=clickhouse, port=proxy.port).start()
    agents = Agents([aggregator], seeded())
    try:
        for _ in range(2):
            time.sleep(0.3)
            before, proxy.mode = proxy.harmed, mode
            wait_until(lambda: proxy.harmed > before, "nothing was harmed")  # noqa: B023
            if mode in ("refuses", "breaks"):
                status, problem = aggregator.get("/v1/tasks/task-1")
                assert status == 503, problem
            if mode == "garbles":
                assert aggregator.get("/v1/tasks/task-1")[0] in (500, 503)
            time.sleep(0.3)
            proxy.mode = None
            wait_until(lambda: aggregator.get("/v1/tasks")[0] == 200, "it does not come back")
    finally:
        agents.done.set()
        proxy.mode = None
    agents.stop()
    check_all_there_once(aggregator, agents, clickhouse)
    proxy.stop()


def test_old_tasks_are_removed_from_a_server_too(replica, clickhouse):
    aggregator = replica(server=clickhouse).start()
    assert aggregator.post(window(edges=[edge()] * 3))[0] == 200
    aggregator.stop()
    time.sleep(1.2)
    aggregator.start("--max-age", "1s")
    wait_until(lambda: clickhouse.sql("SELECT count() FROM npt_windows",
                                      clickhouse.database) == [["0"]], "not removed")
    assert aggregator.get("/v1/tasks/task-1")[0] == 404
    assert 'old tasks removed tasks="1"' in aggregator.log.read_text()


def test_the_password_is_read_anew_and_said_nowhere(replica, clickhouse, tmp_path):
    aggregator = replica(server=clickhouse)
    secret = tmp_path / "password"
    secret.write_text("wrong-but-secret\n")
    aggregator.arguments[aggregator.arguments.index("--store-password-file") + 1] = secret
    with pytest.raises(AssertionError, match="did not start"):
        aggregator.start()
    secret.write_text(clickhouse.password_file.read_text())
    aggregator.start()
    assert aggregator.post(window(edges=[edge()]))[0] == 200
    secret.write_text("wrong-but-secret\n")
    assert aggregator.post(window(sequence=2))[0] == 503
    assert aggregator.get("/v1/tasks")[0] == 503
    secret.write_text(clickhouse.password_file.read_text())
    assert aggregator.post(window(sequence=2))[0] == 200
    log = aggregator.log.read_text()
    assert "wrong-but-secret" not in log and clickhouse.password_file.read_text().strip() not in log


def test_https_is_spoken_with_one_ca_trusted_and_no_other(replica, clickhouse, certificate, tmp_path):
    crt, key, ca = certificate
    proxy = FaultProxy(clickhouse.port, crt, key)
    aggregator = replica(server=clickhouse, port=proxy.port)
    where = aggregator.arguments.index("--store") + 1
    aggregator.arguments[where] = aggregator.arguments[where].replace("http:", "https:")
    aggregator.start("--store-ca", str(ca))
    assert aggregator.post(window(edges=[edge()]))[0] == 200
    assert aggregator.get("/v1/tasks/task-1")[0] == 200
    aggregator.stop()
    other = tmp_path / "other.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=ca", "-keyout", tmp_path / "other.key", "-out", other],
                   check=True, capture_output=True, timeout=60)
    aggregator.start("--store-ca", str(other))
    assert aggregator.post(window(sequence=2))[0] == 503
    assert "certificate" in aggregator.log.read_text()
    proxy.stop()
