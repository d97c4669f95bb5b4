# SPDX-License-Identifier: Apache-2.0
"""What is read of the real npt-aggregator: views of a task, an edge's history, two tasks compared. Every
answer is held to openapi.json, and schemathesis asks what nobody thought of."""
import csv
import gzip
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import PROGRAM, ROOT, edge, field, ingest_token, metric, seeded, window  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
OPENAPI = ROOT / "aggregator/api/openapi.json"
START = 1767225600000  # of windows, plus a second each (world.window)
RESPONSE, RTT = 6, 2
CLIENT, SERVER = 1, 2


def run_edge(pid=7, process="envoy", name="ratings-v1-6f5d8c7b9d-x2x4z", port=9080, role=CLIENT, sent=0,
             response=None, peer_pid=0, kind=2):
    """response: {bucket: count}"""
    responses = sum((response or {}).values())
    return (field(1, pid) + field(2, 1000) + field(3, process) + field(7, role) + field(8, kind) +
            field(9, name) + field(10, "shop") + field(11, peer_pid) + field(12, f"10.0.0.{port % 250}") +
            field(13, port) + field(16, "tcp") + field(17, "http1") + field(25, sent) + field(27, sent * 2) +
            field(29, metric(RESPONSE, responses, 0, response, responses * 12000, 20000)))


@pytest.fixture
def two_tasks(aggregator):
    """task-1: 12 windows of two pods, with one edge that is the same in both tasks; task-2: slower."""
    for task, bucket in (("task-1", 40), ("task-2", 61)):
        for pod in ("pod-1", "pod-2"):
            for sequence in range(1, 13):
                edges = [run_edge(sent=100 * sequence, response={bucket: 10}),
                         run_edge(8, "app", "envoy", 15001, CLIENT, 10, kind=1, peer_pid=7),
                         run_edge(7, "envoy", "app", 15001, SERVER, 20, kind=1, peer_pid=8)]
                body = window(task=task, pod=pod, sequence=sequence, edges=edges)
                assert aggregator.post(body, ingest_token(task=task))[0] == 200
    return aggregator


def edge_of(report, pid, role):
    return next(one for one in report["edges"] if one["process"]["pid"] == pid and one["role"] == role)


# --- views ---

def test_a_topology_has_the_reports_numbers_and_joins_the_two_ends_of_a_connection(two_tasks):
    _, report = two_tasks.get("/v1/tasks/task-1?pod=pod-1")
    status, topology = two_tasks.get("/v1/tasks/task-1/topology?pod=pod-1")
    assert status == 200 and topology["start"] == report["start"]
    assert topology["durationMillis"] == report["durationMillis"]
    assert {one["id"] for one in topology["edges"]} == {one["id"] for one in report["edges"]}
    nodes = {node["id"]: node for node in topology["nodes"]}
    for one in topology["edges"]:
        full = next(other for other in report["edges"] if other["id"] == one["id"])
        assert one["sentBytes"] == full["sent"]["bytes"] > 0
        assert one["finding"]["text"] == full["finding"]["text"]
        assert one["source"] in nodes and one["target"] in nodes
    out = next(one for one in topology["edges"] if one["port"] == 9080)
    assert nodes[out["source"]]["name"] == "envoy" and nodes[out["target"]]["kind"] == "pod"
    assert out["response"]["count"] == 120 and out["title"] == "HTTP"
    inside = [one for one in topology["edges"] if one["port"] == 15001]
    assert [one["otherEnd"] for one in inside] == [one["id"] for one in reversed(inside)]
    assert {(nodes[one["source"]]["name"], nodes[one["target"]]["name"]) for one in inside} == {
        ("app", "envoy")}
    assert len(two_tasks.get("/v1/tasks/task-1/topology")[1]["edges"]) == 6


def test_a_part_of_the_time_is_the_sum_of_its_windows(two_tasks):
    def sent(query):
        status, report = two_tasks.get(f"/v1/tasks/task-1{query}")
        assert status == 200
        return sum(one["sent"]["bytes"] for one in report["edges"] if one["peer"]["port"] == 9080)

    whole = 2 * 100 * sum(range(1, 13))
    assert sent("") == whole
    assert sent(f"?to={START + 5000}") + sent(f"?from={START + 5000}") == whole
    assert sent(f"?at={START + 3000}") == 2 * 100 * 3  # a window holds its beginning,
    assert sent(f"?at={START + 3999}") == 2 * 100 * 3
    assert sent(f"?at={START + 4000}") == 2 * 100 * 4  # not its end
    assert sent("?from=2026-01-01T00:00:03.000Z&to=2026-01-01T00:00:05Z&pod=pod-2") == 100 * 7
    _, part = two_tasks.get("/v1/tasks/task-1?from=2026-01-01T00:00:03.000Z&to=2026-01-01T00:00:05Z")
    assert part["start"] == "2026-01-01T00:00:03.000Z" and part["durationMillis"] == 2000
    _, nothing = two_tasks.get("/v1/tasks/task-1?from=2030-01-01T00:00:00Z")
    assert nothing["edges"] == [] and nothing["durationMillis"] == 0
    _, page = two_tasks.get(f"/v1/tasks/task-1/windows?at={START + 3000}")
    assert [one["sequence"] for one in page["windows"]] == [3, 3]


def test_an_edges_history_adds_up_to_its_report_at_every_step(two_tasks):
    _, report = two_tasks.get("/v1/tasks/task-1?pod=pod-1")
    one = edge_of(report, 7, "client")
    _, both = two_tasks.get("/v1/tasks/task-1")
    total = sum(other["sent"]["bytes"] for other in both["edges"] if other["id"] == one["id"])
    for step, count in (("", 12), ("?step=1s", 12), ("?step=5s", 3), ("?step=1m", 1), ("?step=500ms", 12)):
        status, history = two_tasks.get(f"/v1/tasks/task-1/edges/{one['id']}{step}")
        assert status == 200 and history["edge"]["id"] == one["id"]
        assert len(history["windows"]) == count
        assert sum(each["sent"]["bytes"] for each in history["windows"]) == total
        assert history["total"]["sent"]["bytes"] == total
        assert history["total"]["response"]["micros"]["count"] == 240
        starts = [each["start"] for each in history["windows"]]
        assert starts == sorted(set(starts))
    assert "finding" not in history["edge"]


def test_a_histogram_has_the_quantiles_that_are_asked_for(two_tasks):
    _, report = two_tasks.get("/v1/tasks/task-1")
    path = f"/v1/tasks/task-1/edges/{edge_of(report, 7, 'client')['id']}/histogram?metric=response"
    status, histogram = two_tasks.get(f"{path}&step=4s&quantiles=0.5,0.999")
    assert status == 200 and histogram["metric"] == "response"
    assert sum(each["count"] for each in histogram["windows"]) == histogram["total"]["count"] == 240
    (lower, count), = histogram["total"]["buckets"]
    assert count == 240
    assert set(histogram["total"]["quantiles"]) == {"0.500", "0.999"}
    assert lower <= histogram["total"]["quantiles"]["0.500"] <= lower * 1.25
    assert two_tasks.get(path)[1]["total"]["quantiles"].keys() == {"0.500", "0.950", "0.990"}


def test_findings_are_the_reports_the_worst_first(aggregator):
    slow = run_edge(1, response={75: 400}) + field(29, metric(RTT, 50, 0, {20: 50}, 5000, 200))
    calm = run_edge(2, port=81, response={20: 400})
    assert aggregator.post(window(edges=[calm, slow], duration=60000))[0] == 200
    _, report = aggregator.get("/v1/tasks/task-1")
    status, listed = aggregator.get("/v1/tasks/task-1/findings")
    assert status == 200
    wrong = [one for one in report["edges"] if one["finding"]["verdict"] not in ("None", "Unknown")]
    assert [one["edge"] for one in listed["findings"]] == [one["id"] for one in wrong]
    assert [one["text"] for one in listed["findings"]] == [one["finding"]["text"] for one in wrong]
    assert sum(listed["counts"].values()) == len(report["edges"])


def test_two_tasks_are_compared_edge_by_edge(two_tasks):
    status, comparison = two_tasks.get("/v1/compare?a=task-1&b=task-2")
    assert status == 200 and comparison["a"]["uid"] == "task-1" and comparison["b"]["uid"] == "task-2"
    slow = comparison["edges"][0]
    assert slow["peer"]["name"] == "ratings-v1" and slow["in"] == "both"
    assert slow["micros"]["response"]["change"] == "more"
    assert slow["micros"]["response"]["count"] == {"a": 240, "b": 240}
    assert slow["changes"][0].startswith("response is longer: ")
    _, same = two_tasks.get("/v1/compare?a=task-1&b=task-1")
    assert all(one["changes"] == [] for one in same["edges"]) and len(same["edges"]) == 3


def test_a_report_goes_to_spreadsheets_and_to_graphviz(two_tasks):
    _, report = two_tasks.get("/v1/tasks/task-1")
    status, text, head = two_tasks.curl("/v1/tasks/task-1?format=csv", "-H", "Authorization: Bearer all")
    assert status == 200 and "content-type: text/csv" in head
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(report["edges"]) == 6
    sent = next(name for name in rows[0] if "sent" in name.lower() and "bytes" in name.lower())
    assert sorted(int(row[sent]) for row in rows) == sorted(one["sent"]["bytes"] for one in report["edges"])
    path = "/v1/tasks/task-1?format=dot&pod=pod-1"
    status, text, head = two_tasks.curl(path, "-H", "Authorization: Bearer all")
    assert status == 200 and "content-type: text/vnd.graphviz" in head
    assert text.startswith("digraph") and text.count("->") >= 2
    assert two_tasks.get("/v1/tasks/task-1?format=xml")[0] == 400


# --- how it is asked ---

def test_an_answer_is_sent_again_only_when_it_changed(two_tasks):
    for path in ("/v1/tasks/task-1", "/v1/tasks/task-1/topology", "/v1/tasks/task-1/windows",
                 "/v1/compare?a=task-1&b=task-2"):
        status, _, head = two_tasks.curl(path, "-H", "Authorization: Bearer all")
        assert status == 200 and "cache-control: private, no-cache" in head
        etag = head.split("etag: ")[1].split("\r")[0]
        ask = [path, "-H", "Authorization: Bearer all", "-H", f"If-None-Match: {etag}"]
        status, body, _ = two_tasks.curl(*ask)
        assert (status, body) == (304, "")
        assert two_tasks.post(window(sequence=99, edges=[edge()]))[0] == 200
        assert two_tasks.curl(*ask)[0] == 200
        two_tasks.sql("DELETE FROM windows WHERE sequence = 99; UPDATE tasks SET windows = 24")
        two_tasks.stop()
        two_tasks.start()
        # who may not read gets no 304 either
        assert two_tasks.curl(path, "-H", "Authorization: Bearer none", *ask[3:])[0] == 403


def test_an_answer_is_compressed_for_who_takes_it(two_tasks):
    def raw(*more):
        done = subprocess.run(["curl", "-s", "--cacert", two_tasks.ca, "-H", "Authorization: Bearer all",
                               *more, f"https://127.0.0.1:{two_tasks.port}/v1/tasks/task-1"],
                              capture_output=True, timeout=20, check=True)
        return done.stdout

    plain, packed = raw(), raw("-H", "Accept-Encoding: gzip")
    assert gzip.decompress(packed) == plain and len(packed) * 3 < len(plain)


@pytest.mark.parametrize("path, status", [
    ("/v1/tasks/task-1?from=yesterday", 400), ("/v1/tasks/task-1?from=2&to=1", 400),
    ("/v1/tasks/task-1?from=2&to=2", 400), ("/v1/tasks/task-1?at=1&to=2", 400),
    ("/v1/tasks/task-1?from=1&from=2", 400), ("/v1/tasks/task-1?from=2026-01-01", 400),
    ("/v1/tasks/task-1?from=9007199254740992", 400), ("/v1/tasks/task-1/topology?step=1s", 400),
    ("/v1/tasks/task-1/edges/0", 404), ("/v1/tasks/task-1/edges/0123456789abcdef", 404),
    ("/v1/tasks/task-1/edges/0123456789ABCDEF", 404), ("/v1/tasks/task-1/edges/{id}?step=0s", 400),
    ("/v1/tasks/task-1/edges/{id}?step=25h", 400), ("/v1/tasks/task-1/edges/{id}?at=1", 404),
    ("/v1/tasks/task-2/edges/{id}", 404), ("/v1/tasks/task-1/edges/{id}/histogram", 400),
    ("/v1/tasks/task-1/edges/{id}/histogram?metric=colour", 400),
    ("/v1/tasks/task-1/edges/{id}/histogram?metric=rtt&quantiles=1", 400),
    ("/v1/tasks/task-1/edges/{id}/histogram?metric=rtt&quantiles=0.0", 400),
    ("/v1/tasks/task-1/edges/{id}/histogram?metric=rtt&quantiles=0.1234", 400),
    ("/v1/tasks/task-1/edges/{id}/histogram?metric=rtt&quantiles=" + ",".join(["0.5"] * 17), 400),
    ("/v1/compare", 400), ("/v1/compare?a=task-1", 400), ("/v1/compare?a=task-1&b=task-9", 404),
])
def test_questions_that_make_no_sense_are_refused_with_a_reason(aggregator, path, status):
    assert aggregator.post(window(edges=[edge()]))[0] == 200
    id = aggregator.get("/v1/tasks/task-1")[1]["edges"][0]["id"]
    got, problem = aggregator.get(path.format(id=id))
    assert got == status == problem["status"] and problem["title"] and problem["detail"]


def test_what_is_hidden_cannot_be_compared(two_tasks):
    for token, status in (("none", 403), ("shop-only", 200), ("nobody", 401)):
        assert two_tasks.get("/v1/compare?a=task-1&b=task-2", token)[0] == status


# --- openapi.json ---

def venv():
    done = subprocess.run([HERE / "deps_api"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip())


def test_every_kind_of_answer_is_as_openapi_says(two_tasks):
    id = edge_of(two_tasks.get("/v1/tasks/task-1")[1], 7, "client")["id"]
    fill = {"uid": "task-1", "id": id}
    asked = [("/v1/tasks", "?limit=1"), ("/v1/compare", "?a=task-1&b=task-2"), ("/v1/compare", ""),
             ("/v1/tasks/{uid}/edges/{id}/histogram", "?metric=response"),
             ("/v1/tasks/{uid}/windows", "?limit=1")]
    paths = [path for path, item in json.loads(OPENAPI.read_text())["paths"].items() if "get" in item]
    asked += [(path, "") for path in paths if path != "/v1/compare"]
    answers = [(path, *two_tasks.get(path.format(**fill) + query)) for path, query in asked]
    assert {path for path, status, _ in answers if status == 200} == set(paths)
    done = subprocess.run([venv() / "bin/python", HERE / "validate.py", OPENAPI], timeout=120,
                          input=json.dumps(answers), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schemathesis_finds_nothing(two_tasks, tmp_path):
    """What it makes up, and the same with tasks and edges that there are.

    That "from" is before "to" is no schema's to say, so what fits the schema may be refused; a NUL in
    an address never gets further than libwebsockets, which closes the connection."""
    id = edge_of(two_tasks.get("/v1/tasks/task-1")[1], 7, "client")["id"]
    seed = seeded().randrange(1, 2**31)
    for parameters in ({}, {"path.uid": "task-1", "path.id": id, "query.a": "task-1", "query.b": "task-2"}):
        config = tmp_path / "schemathesis.toml"
        config.write_text("[parameters]\n" + "".join(f'"{key}" = "{value}"\n'
                                                     for key, value in parameters.items()))
        done = subprocess.run(
            [venv() / "bin/st", "--config-file", config, "run",
             "--url", f"https://127.0.0.1:{two_tasks.port}",
             "--tls-verify", two_tasks.ca, "-H", "Authorization: Bearer all", "--max-examples", "25",
             "--exclude-checks", "positive_data_acceptance", "--generation-allow-x00", "false",
             "--seed", str(seed), "--generation-database", "none", "--no-color",
             f"https://127.0.0.1:{two_tasks.port}/v1/openapi.json"],
            capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert two_tasks.child.poll() is None


# --- sessions ---

def sign_in(aggregator, token="shop-only"):
    status, _, head = aggregator.curl("/v1/session", "-X", "POST", "-H", f"Authorization: Bearer {token}")
    assert status == 204
    return head.split("set-cookie: ")[1].split("\r")[0]


def cookie_of(aggregator, token="shop-only"):
    url = f"https://127.0.0.1:{aggregator.port}/v1/session"
    done = subprocess.run(["curl", "-s", "-D", "-", "--cacert", aggregator.ca, "-X", "POST", "-H",
                           f"Authorization: Bearer {token}", url],
                          capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.split("set-cookie: ")[1].split(";")[0]


def test_a_session_reads_what_its_token_may(two_tasks):
    attributes = sign_in(two_tasks).split("; ")
    assert {"path=/", "secure", "httponly", "samesite=strict", "max-age=3600"} <= set(attributes)
    cookie = cookie_of(two_tasks)
    assert "shop-only" not in cookie
    assert two_tasks.curl("/v1/tasks/task-1", "-H", f"Cookie: a=b; {cookie}; c=d")[0] == 200
    assert two_tasks.curl("/v1/tasks/task-1", "-H", f"Cookie: {cookie[:-1]}")[0] == 401
    assert two_tasks.curl("/v1/tasks/task-1", "-H", f"Cookie: x{cookie}")[0] == 401
    # a token that is there goes before the cookie
    headers = ["-H", f"Cookie: {cookie}", "-H", "Authorization: Bearer none"]
    assert two_tasks.curl("/v1/tasks/task-1", *headers)[0] == 403
    two_tasks.stop()
    two_tasks.start()  # another replica would know it, too
    assert two_tasks.curl("/v1/tasks/task-1", "-H", f"Cookie: {cookie}")[0] == 200
    status, _, head = two_tasks.curl("/v1/session", "-X", "DELETE", "-H", f"Cookie: {cookie}")
    assert status == 204 and "set-cookie: __host-npt=; " in head and "max-age=0" in head


def test_a_session_is_worth_nothing_to_other_sites(two_tasks):
    cookie, own = cookie_of(two_tasks), f"https://127.0.0.1:{two_tasks.port}"
    for origin, status in ((own, 200), ("https://evil.example", 401), ("null", 401),
                           (own.replace("https", "http"), 401), (own + ".evil.example", 401)):
        headers = ["-H", f"Cookie: {cookie}", "-H", f"Origin: {origin}"]
        assert two_tasks.curl("/v1/tasks/task-1", *headers)[0] == status
    headers = ["-H", f"Cookie: {cookie}", "-H", "Content-Type: application/x-protobuf"]
    assert two_tasks.curl("/v1/ingest", *headers, data=window())[0] == 401
    assert two_tasks.curl("/v1/session", "-X", "POST", "-H", f"Cookie: {cookie}")[0] == 401


def test_a_session_ends_with_its_token(two_tasks, reviews):
    cookie = cookie_of(two_tasks)
    reviews.people["long" * 1000] = ("lang", None)
    for token, status in (("nobody", 401), ("x" * 4000, 401), ("long" * 1000, 413)):
        headers = ["-H", f"Authorization: Bearer {token}"]
        assert two_tasks.curl("/v1/session", "-X", "POST", *headers)[0] == status
    del reviews.people["shop-only"]
    two_tasks.stop()
    two_tasks.start()  # who was behind a token is remembered for a minute
    assert two_tasks.curl("/v1/tasks/task-1", "-H", f"Cookie: {cookie}")[0] == 401


# --- without an API server ---

def test_insecure_local_is_for_this_machine_only(tmp_path):
    (tmp_path / "key").write_bytes(b"0123456789abcdef0123456789abcdef")
    arguments = [PROGRAM, "--ingest-key", tmp_path / "key", "--store", tmp_path / "w.db", "--insecure-local",
                 "--health", "127.0.0.1:0"]
    done = subprocess.run([*arguments, "--listen", ":18444"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "on a loopback address only" in done.stderr
    with open(tmp_path / "log", "w", encoding="utf-8") as log, \
            subprocess.Popen([*arguments, "--listen", "127.0.0.1:18444"], stderr=log) as child:
        def status(*more):
            return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--retry", "50",
                                   "--retry-connrefused", "--retry-delay", "0", *more,
                                   "http://127.0.0.1:18444/v1/tasks"],
                                  capture_output=True, text=True, timeout=60).stdout

        assert status() == "200"
        assert status("-H", "Host: localhost:18444") == "200"
        assert status("-H", "Host: evil.example") == "403"
        assert status("-H", "Host: localhost.evil.example") == "403"
        child.terminate()
        assert child.wait(20) == 0
