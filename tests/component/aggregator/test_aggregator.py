# SPDX-License-Identifier: Apache-2.0
"""The real npt-aggregator over real HTTPS, asked by curl, and its database asked by sqlite3."""
import concurrent.futures
import os
import re
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import PROGRAM, edge, field, ingest_token, metric, packed, seeded, window  # noqa: E402


def total(report, *path):
    """The sum over all edges of one number in them."""
    result = 0
    for one in report["edges"]:
        for key in path:
            one = one.get(key, {})
        result += one or 0
    return result


# --- ingest ---

def test_a_window_is_stored_once_however_often_it_is_posted(aggregator):
    body = window(edges=[edge(sent=100)])
    assert aggregator.post(body)[:2] == (200, '{"sequence":1,"stored":true}')
    assert aggregator.post(body)[:2] == (200, '{"sequence":1,"stored":false}')
    assert aggregator.post(window(edges=[edge(sent=7), edge(2)]))[1].endswith('"stored":false}')
    aggregator.stop()
    aggregator.start()
    assert aggregator.post(body)[:2] == (200, '{"sequence":1,"stored":false}')
    assert aggregator.sql("SELECT sum(sent_bytes) AS n, count(*) AS rows FROM measurements") == [
        {"n": 100, "rows": 1}]


def test_streams_of_other_pods_instances_and_tasks_do_not_collide(aggregator):
    posts = [dict(), dict(pod="pod-2"), dict(instance="agent-2"), dict(task="task-2")]
    for post in posts:
        token = ingest_token(task=post.get("task", "task-1"))
        status, body, _ = aggregator.post(window(edges=[edge()], **post), token)
        assert status == 200 and body.endswith('"stored":true}'), body
    assert aggregator.sql("SELECT count(*) AS n FROM windows") == [{"n": 4}]


@pytest.mark.parametrize("token, status, words", [
    ("", 401, "needs the task's ingest token"),
    ("nonsense", 401, "malformed"),
    ("a.b", 401, "not made with this aggregator's key"),
    (ingest_token(key=b"another key with thirty-two byte"), 401, "not made with this"),
    (ingest_token(seconds=-3), 401, "expired"),
    (ingest_token(task="task-2"), 403, "task uid is 'task-1', the token's is 'task-2'"),
    (ingest_token(node="node-2"), 403, "node is 'node-1', the token's is 'node-2'"),
    (ingest_token(namespace="bank"), 403, "pod namespace is 'shop', the token's is 'bank'"),
])
def test_a_post_without_the_right_token_is_refused(aggregator, token, status, words):
    got, body, headers = aggregator.post(window(edges=[edge()]), token)
    assert got == status and words in body, body
    assert "application/problem+json" in headers
    assert aggregator.sql("SELECT count(*) AS n FROM windows") == [{"n": 0}]


@pytest.mark.parametrize("body, content_type, status", [
    (b"this is no protobuf", "application/x-protobuf", 400),
    (b"", "application/x-protobuf", 403),
    (window(sequence=0), "application/x-protobuf", 400),
    (window(instance=""), "application/x-protobuf", 400),
    (window(pod=""), "application/x-protobuf", 400),
    (window(kind=1), "application/x-protobuf", 400),
    (window(edges=[field(1, 1)] * 9000), "application/x-protobuf", 413),
    (window(edges=[field(25, 2**53)]), "application/x-protobuf", 400),
    (window() + b"\0" * (5 << 20), "application/x-protobuf", 413),
    (window(), "application/json", 415),
], ids=["junk", "empty", "no sequence", "no instance", "no pod", "a report", "too many edges",
        "2^53 bytes", "too large", "another type"])
def test_a_malformed_window_is_refused_and_nothing_is_stored(aggregator, body, content_type, status):
    got, text, headers = aggregator.post(body, content_type=content_type)
    assert got == status, text
    assert "application/problem+json" in headers
    assert aggregator.post(window(sequence=9))[0] == 200
    assert aggregator.sql("SELECT count(*) AS n FROM windows") == [{"n": 1}]


def test_names_of_the_task_come_from_the_token_not_from_the_agent(aggregator):
    assert aggregator.post(window(), ingest_token(name="slow-reviews"))[0] == 200
    assert aggregator.sql("SELECT namespace, name, uid FROM tasks") == [
        {"namespace": "shop", "name": "slow-reviews", "uid": "task-1"}]


def test_nothing_acknowledged_is_lost_and_nothing_doubled_when_it_is_killed(aggregator):
    """Agents post, repeat what was not acknowledged, and the process dies again and again."""
    random = seeded()
    port, acknowledged, sent, done = aggregator.port, {}, {}, threading.Event()

    def agent(number):
        pod = f"pod-{number}"
        for sequence in range(1, 61):
            size = random.randrange(1, 10000)
            sent[pod, sequence] = size
            body = window(pod=pod, sequence=sequence, edges=[edge(sent=size), edge(2, sent=1)])
            while not done.is_set():
                status, text, _ = aggregator.post(body)
                if status == 200:
                    acknowledged[pod, sequence] = text
                    break
                assert status in (0, 503), text
                time.sleep(0.01)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        agents = [pool.submit(agent, number) for number in range(4)]
        try:
            for _ in range(6):
                time.sleep(random.uniform(0.2, 0.6))
                aggregator.kill()
                aggregator.start(port=port)
            for one in agents:
                one.result(120)
        finally:
            done.set()
    assert len(acknowledged) == 240
    repeated = sum('"stored":false' in text for text in acknowledged.values())
    print(f"{repeated} windows were stored although their first answer was lost")
    rows = aggregator.sql("SELECT pod_uid, sequence, sum(sent_bytes) AS n, count(*) AS rows"
                          " FROM measurements GROUP BY pod_uid, sequence")
    assert {(row["pod_uid"], row["sequence"]): row["n"] - 1 for row in rows} == sent
    assert all(row["rows"] == 2 for row in rows)
    assert aggregator.sql("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    status, report = aggregator.get("/v1/tasks/task-1")
    assert status == 200 and total(report, "sent", "bytes") == sum(sent.values()) + 240


def test_a_damaged_store_is_kept_aside_with_a_word_and_ingest_goes_on(aggregator):
    assert aggregator.post(window())[0] == 200
    aggregator.stop()
    aggregator.store.write_bytes(b"no database" * 1000)
    aggregator.start()
    log = aggregator.log.read_text()
    kept = re.search(r'the damaged one is kept file="([^"]+)"', log)
    assert "store is damaged" in log and kept and os.path.exists(kept[1])
    assert aggregator.post(window())[1] == '{"sequence":1,"stored":true}'


def test_old_tasks_are_removed_whole(aggregator):
    assert aggregator.post(window(edges=[edge()] * 3))[0] == 200
    aggregator.stop()
    time.sleep(1.2)
    aggregator.start("--max-age", "1s")
    deadline = time.time() + 10
    while aggregator.sql("SELECT count(*) AS n FROM edge_windows") != [{"n": 0}]:
        assert time.time() < deadline
        time.sleep(0.1)
    assert aggregator.get("/v1/tasks/task-1")[0] == 404
    assert "old tasks removed tasks=\"1\"" in aggregator.log.read_text()


# --- reading ---

def post_random(aggregator, random, tasks=2, pods=3, windows=12):
    """Windows in any order; returns the truth per task and pod."""
    truth, posts = {}, []
    for task in range(tasks):
        for pod in range(pods):
            for sequence in range(1, windows + 1):
                edges = []
                for pid in random.sample(range(1, 9), random.randrange(0, 6)):
                    sent, received = random.randrange(1 << 40), random.randrange(1 << 20)
                    writes, drops = random.randrange(100), random.randrange(3)
                    edges.append(edge(pid, sent=sent, received=received, writes=writes,
                                      written=writes * 7, retransmits=drops,
                                      drops={"NO_SOCKET": drops} if drops else {}))
                    sums = truth.setdefault((f"task-{task}", f"pod-{pod}"), [0] * 5)
                    for i, value in enumerate((sent, received, writes, writes * 7, drops)):
                        sums[i] += value
                posts.append((f"task-{task}", window(task=f"task-{task}", pod=f"pod-{pod}",
                                                     sequence=sequence, edges=edges)))
    random.shuffle(posts)
    for task, body in posts:
        assert aggregator.post(body, ingest_token(task=task))[0] == 200
    return truth


def sums_of(report):
    return [total(report, "sent", "bytes"), total(report, "received", "bytes"),
            total(report, "write", "count"), total(report, "write", "bytes"),
            total(report, "drops", "NO_SOCKET")]


def test_sums_are_equal_in_report_windows_and_database(aggregator):
    truth = post_random(aggregator, seeded())
    for task in ("task-0", "task-1"):
        expected = [sum(column) for column in
                    zip(*(sums for (uid, _), sums in truth.items() if uid == task))]
        status, report = aggregator.get(f"/v1/tasks/{task}")
        assert status == 200 and report["kind"] == "Report"
        assert sums_of(report) == expected
        assert sum(one["retransmit"]["segments"] for one in report["edges"]) == expected[4]
        assert sum(one["write"]["micros"]["count"] for one in report["edges"]) == expected[2]
        assert report["task"] == {"namespace": "shop", "name": "slow", "uid": task}
        assert report["durationMillis"] == 12000
        assert [(pod["uid"], pod["windows"], pod["firstSequence"], pod["lastSequence"],
                 pod["missing"]) for pod in report["pods"]] == [
                     (f"pod-{pod}", 12, 1, 12, 0) for pod in range(3)]

        windows, path = [], f"/v1/tasks/{task}/windows?limit=5"
        while path:
            status, page = aggregator.get(path)
            assert status == 200 and page["kind"] == "WindowList" and len(page["windows"]) <= 5
            windows += page["windows"]
            path = page.get("next") and f"/v1/tasks/{task}/windows?limit=5&cursor={page['next']}"
        assert len(windows) == 36 and len({(w["pod"]["uid"], w["sequence"]) for w in windows}) == 36
        assert [sum(column) for column in zip(*map(sums_of, windows))] == expected

        assert aggregator.sql(
            "SELECT sum(sent_bytes) AS a, sum(received_bytes) AS b, sum(write_count) AS c,"
            f" sum(write_bytes) AS d, sum(drops) AS e FROM measurements WHERE task_uid = '{task}'"
        ) == [dict(zip("abcde", expected))]


def test_a_pod_can_be_asked_for_alone(aggregator):
    truth = post_random(aggregator, seeded(), tasks=1, windows=6)
    status, report = aggregator.get("/v1/tasks/task-0?pod=pod-1")
    assert status == 200 and sums_of(report) == truth["task-0", "pod-1"]
    assert [pod["uid"] for pod in report["pods"]] == ["pod-1"]
    status, page = aggregator.get("/v1/tasks/task-0/windows?pod=pod-1")
    assert status == 200 and {w["pod"]["uid"] for w in page["windows"]} == {"pod-1"}
    assert len(page["windows"]) == 6 and "next" not in page
    assert aggregator.get("/v1/tasks/task-0?pod=nobody")[0] == 404


def test_the_edges_of_one_process_become_one_edge_whatever_its_peer_was_called(aggregator):
    for sequence, name in ((1, ""), (2, "web-1"), (3, "web-1")):
        body = field(1, 7) + field(7, 1) + field(8, 2) + field(9, name) + field(12, "10.1.1.1") + \
            field(13, 80) + field(16, "tcp") + field(17, "unknown") + field(25, 10)
        assert aggregator.post(window(sequence=sequence, edges=[body]))[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1")
    assert len(report["edges"]) == 1
    assert report["edges"][0]["sent"]["bytes"] == 30
    assert report["edges"][0]["peer"]["name"] == "web-1"


def test_an_edge_whose_protocol_becomes_known_late_is_one_edge_that_speaks_it(aggregator):
    """Labels are fields 17, 18 and 49 to 53; a later field takes the place of an earlier one."""
    known = field(17, "http1") + field(18, 2) + field(49, 990) + field(50, "1.3") + field(51, "shop.example")
    for sequence, label in ((1, b""), (2, known), (3, b"")):
        assert aggregator.post(window(sequence=sequence, edges=[edge(sent=10) + label]))[0] == 200
    expected = {"protocol": "http1", "protocolConfidence": 0.99, "tls": "yes", "tlsVersion": "1.3",
                "sni": "shop.example"}
    _, report = aggregator.get("/v1/tasks/task-1")
    one, = report["edges"]
    assert one["sent"]["bytes"] == 30 and {key: one.get(key) for key in expected} == expected
    _, page = aggregator.get("/v1/tasks/task-1/windows")
    assert [{key: one.get(key) for key in expected}
            for each in page["windows"] for one in each["edges"]] == [expected] * 3


def test_handshakes_calls_and_lines_of_tls_come_back(aggregator):
    tls = field(54, 3) + field(55, 2) + field(57, 1) + field(58, field(1, "unknown_ca") + field(2, 4)) + \
        field(60, field(5, 300) + field(6, 200) + packed(7, [10]) + packed(8, [2])) + \
        b"".join(field(61 + i, 11 + i) for i in range(7))
    line = field(1, 7) + field(3, "envoy") + field(4, "BoringSSL") + field(7, 1) + field(8, "no symbols") + \
        field(9, 21)
    for sequence in (1, 2):
        body = window(sequence=sequence, edges=[edge() + tls]) + field(24, line) + field(25, 5)
        assert aggregator.post(body)[0] == 200
    assert aggregator.post(window(pod="pod-2", edges=[edge()]) + field(24, line) + field(25, 2))[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1?pod=pod-1")
    one, = report["edges"]
    handshakes = one["handshakes"]
    assert handshakes["alerts"] == {"sent": {"unknown_ca": 8}, "received": {}}
    assert [handshakes[key] for key in ("count", "resumed", "clientCertificates", "failed")] == [6, 4, 0, 2]
    assert (handshakes["micros"]["count"], handshakes["micros"]["max"]) == (4, 200)
    assert one["tlsCalls"] == {"write": {"count": 22, "bytes": 24}, "read": {"count": 26, "bytes": 28}}
    assert [one["connections"][key] for key in ("movedIn", "movedOut", "kernelTls")] == [30, 32, 34]
    assert report["tls"] == [{"pid": 7, "startNanos": 0, "process": "envoy", "library": "BoringSSL",
                              "version": "", "how": "", "coverage": "metadata", "why": "no symbols",
                              "unassignedCalls": 21}]
    assert report["tlsOther"] == 5
    _, report = aggregator.get("/v1/tasks/task-1")
    assert report["tlsOther"] == 7


def waiting_edge(base):
    """What stands in fields 36 to 48 of an edge, and 30 responses of which some crossed each other."""
    named = field(1, "TCP_TIMEOUT") + field(2, base), field(1, "ECONNRESET") + field(2, base + 1)
    return edge(sent=10) + field(29, metric(6, 30) + field(9, base % 10)) + field(36, base + 2) + \
        field(37, named[0]) + field(38, named[1]) + \
        b"".join(field(39 + i, base + 10 + i) for i in range(10))


def test_resets_waits_and_queues_come_back(aggregator):
    for sequence, base in ((1, 100), (2, 201)):
        assert aggregator.post(window(sequence=sequence, edges=[waiting_edge(base)]))[0] == 200
    _, page = aggregator.get("/v1/tasks/task-1/windows")
    last = page["windows"][1]["edges"][0]
    assert last["resets"] == {"sent": {"TCP_TIMEOUT": 201}, "received": {"ECONNRESET": 202}}
    assert last["limited"] == {"applicationMicros": 211, "receiveWindowMicros": 212,
                               "sendBufferMicros": 213, "networkMicros": 214}
    assert last["queue"] == {"unreadBytes": 215, "unsentBytes": 216, "acceptBacklog": 217,
                             "acceptBacklogMax": 218, "synBacklog": 219, "listenDrops": 220}
    assert last["retransmit"]["tailLoss"] == 203
    assert (last["response"]["count"], last["response"]["overlapped"]) == (30, 1)
    _, report = aggregator.get("/v1/tasks/task-1")
    both, = report["edges"]
    assert both["resets"] == {"sent": {"TCP_TIMEOUT": 301}, "received": {"ECONNRESET": 303}}
    assert both["limited"] == {"applicationMicros": 321, "receiveWindowMicros": 323,
                               "sendBufferMicros": 325, "networkMicros": 327}
    assert both["queue"] == {**last["queue"], "listenDrops": 339}
    assert both["retransmit"]["tailLoss"] == 305
    assert (both["response"]["count"], both["response"]["overlapped"]) == (60, 1)
    assert set(both["finding"]) >= {"verdict", "confidence", "text"}


def test_responses_that_crossed_each_other_too_often_are_left_out(aggregator):
    assert aggregator.post(window(edges=[waiting_edge(102)]))[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1")
    assert "response" not in report["edges"][0] and "unread" in report["edges"][0]


def test_two_agents_in_turn_add_up_and_what_was_lost_too(aggregator):
    for instance, sequence, lost in (("a", 1, 2), ("a", 2, 5), ("b", 1, 1)):
        body = window(instance=instance, sequence=sequence, edges=[edge(sent=10)], lost=lost)
        assert aggregator.post(body)[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1")
    assert len(report["edges"]) == 1 and total(report, "sent", "bytes") == 30
    assert report["lost"]["events"] == 6
    assert [(pod["instance"], pod["windows"]) for pod in report["pods"]] == [("a", 2), ("b", 1)]


def test_a_missing_window_is_said(aggregator):
    for sequence in (2, 3, 6):
        assert aggregator.post(window(sequence=sequence))[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1")
    assert report["pods"][0]["missing"] == 3


# --- who may read ---

@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/tasks/task-1", "/v1/tasks/task-1/windows"])
def test_every_read_needs_a_token_of_somebody(aggregator, path):
    assert aggregator.post(window())[0] == 200
    status, body, headers = aggregator.curl(path)
    assert status == 401 and "kubectl create token" in body
    assert "www-authenticate: bearer" in headers
    assert aggregator.get(path, "unknown")[0] == 401
    assert aggregator.get(path, ingest_token())[0] == 401
    assert aggregator.get(path)[0] == 200


def test_a_person_sees_only_tasks_of_namespaces_in_which_they_may_get_tasks(aggregator, reviews):
    for task, namespace in (("a", "shop"), ("b", "bank"), ("c", "shop")):
        status, body, _ = aggregator.post(window(task=task, namespace=namespace),
                                          ingest_token(task=task, namespace=namespace))
        assert status == 200, body

    def listed(token, query=""):
        status, page = aggregator.get(f"/v1/tasks{query}", token)
        assert status == 200, page
        return [task["uid"] for task in page["tasks"]]

    assert listed("all") == ["c", "b", "a"]
    assert listed("shop-only") == ["c", "a"]
    assert listed("none") == []
    assert listed("all", "?namespace=bank") == ["b"]
    assert aggregator.get("/v1/tasks?namespace=bank", "shop-only")[0] == 403
    assert aggregator.get("/v1/tasks/a", "shop-only")[0] == 200
    status, problem = aggregator.get("/v1/tasks/b", "shop-only")
    assert status == 403 and "sarah may not get networkprofilingtasks" in problem["detail"]
    assert aggregator.get("/v1/tasks/b/windows", "shop-only")[0] == 403
    assert aggregator.get("/v1/tasks/a", "none")[0] == 403
    assert ("sarah", "bank", "slow") in reviews.asked
    reviews.people["shop-only"] = ("sarah", [])
    assert aggregator.get("/v1/tasks/a", "shop-only")[0] == 403


def test_a_list_goes_on_where_it_stopped_whatever_is_hidden_between(aggregator):
    for number in range(12):
        namespace = "shop" if number % 3 else "bank"
        assert aggregator.post(window(task=f"t{number}", namespace=namespace),
                               ingest_token(task=f"t{number}", namespace=namespace))[0] == 200
    seen, path = [], "/v1/tasks?limit=3"
    while path:
        _, page = aggregator.get(path, "shop-only")
        seen += [task["uid"] for task in page["tasks"]]
        path = page.get("next") and f"/v1/tasks?limit=3&cursor={page['next']}"
    assert seen == [f"t{number}" for number in range(11, -1, -1) if number % 3]


def test_reads_wait_for_no_api_server_that_is_away(aggregator, reviews):
    assert aggregator.post(window())[0] == 200
    reviews.down = True
    began = time.time()
    status, body, headers = aggregator.curl("/v1/tasks", "-H", "Authorization: Bearer all")
    assert status == 503 and "retry-after" in headers, body
    assert time.time() - began < 20
    assert aggregator.post(window(sequence=2))[0] == 200, "ingest asks no API server"
    reviews.down = False
    assert aggregator.get("/v1/tasks")[0] == 200


@pytest.mark.parametrize("path, status", [
    ("/v1/tasks?limit=0", 400), ("/v1/tasks?limit=x", 400), ("/v1/tasks?limit=501", 400),
    ("/v1/tasks?cursor=-1", 400), ("/v1/tasks?colour=red", 400), ("/v1/tasks/task-1?limit=1", 400),
    ("/v1/tasks/task-1/windows?limit=1001", 400), ("/v1/tasks/other", 404),
    ("/v1/tasks/other/windows", 404), ("/v1/tasks/a%27%20OR%201", 404), ("/v1", 404), ("/", 404),
])
def test_questions_that_make_no_sense_are_refused_with_a_reason(aggregator, path, status):
    assert aggregator.post(window())[0] == 200
    got, problem = aggregator.get(path)
    assert got == status == problem["status"] and problem["title"]


# --- the program ---

def test_health_says_when_it_can_work(aggregator, tmp_path):
    aggregator.stop()
    aggregator.arguments[3] = "127.0.0.1:18081"
    aggregator.start()
    for path in ("healthz", "readyz"):
        done = subprocess.run(["curl", "-sf", f"http://127.0.0.1:18081/{path}"], timeout=20)
        assert done.returncode == 0


def test_it_stops_on_sigterm_with_what_it_took_in_stored(aggregator):
    bodies = [window(sequence=sequence, edges=[edge(sent=1)] * 50) for sequence in range(1, 41)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(aggregator.post, body) for body in bodies]
        time.sleep(0.2)
        aggregator.stop()
        statuses = [post.result()[0] for post in posts]
    aggregator.start()
    stored = aggregator.sql("SELECT count(*) AS n FROM windows")[0]["n"]
    assert set(statuses) <= {200, 503, 0} and stored >= statuses.count(200) > 0
    assert aggregator.sql("SELECT count(*) AS n FROM edge_windows") == [{"n": stored * 50}]


@pytest.mark.parametrize("arguments, code, words", [
    (["--colour"], 2, "unknown option '--colour'"),
    (["--listen"], 2, "no value for '--listen'"),
    (["now"], 2, "'now' is no option"),
    ([], 2, "--ingest-key is needed"),
    (["--ingest-key", "/nowhere"], 1, "cannot read the ingest key /nowhere"),
    (["--ingest-key", "x", "--max-age", "soon"], 2, "--max-age soon"),
    (["--ingest-key", "x", "--log-level", "loud"], 2, "--log-level loud is not a level"),
])
def test_wrong_usage_is_one_line_and_no_crash(arguments, code, words):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == code
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_help_names_every_option():
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    for option in ("--listen", "--tls-cert", "--tls-key", "--ingest-key", "--store", "--kubeconfig"):
        assert option in done.stdout
