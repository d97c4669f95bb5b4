# SPDX-License-Identifier: Apache-2.0
"""lib/kube against an API server that misbehaves: each fault that a client must survive is one
test. R and C numbers are those of the client's checklist."""
import base64
import gzip
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import threading
import time

import pytest

from fault_server import (Authority, FaultServer, answers, bookmark, cuts, ends, event, hold, lists,
                          pod, refuses, resets, status, streams)

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("NPT_TEST_KUBE",
                         str(ROOT / "build/dev/tests/component/kube/npt-test-kube"))
PATH = "/api/v1/namespaces/shop/pods"
EXPIRED = {"code": 410, "reason": "Expired", "message": "too old resource version"}


@pytest.fixture(scope="session")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return Authority(folder, "first"), Authority(folder, "second")


@pytest.fixture
def server(authorities):
    made = FaultServer(authorities[0])
    yield made
    made.stop()


@pytest.fixture
def config(server, authorities, tmp_path):
    """A kubeconfig with a CA file of its own (some tests replace it) and a token file."""
    shutil.copy(authorities[0].ca, tmp_path / "ca.crt")
    (tmp_path / "token").write_text("first-token\n")
    made = tmp_path / "config"
    made.write_text(f'clusters: [{{name: t, cluster: {{server: "https://127.0.0.1:{server.port}", '
                    "certificate-authority: ca.crt}}]\nusers: [{name: u, user: {tokenFile: token}}]\n")
    return made


class Watcher:
    """The program, watching; its lines."""

    def __init__(self, config, selector="", kind="Pod", backoff_ms=20, max_objects=0, under=()):
        self.child = subprocess.Popen(
            [*under, PROGRAM, config, "watch", PATH, selector, kind, str(backoff_ms), str(max_objects)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def expect(self, *patterns, timeout=20):
        """Exactly these lines come next (each a regular expression, or the text itself)."""
        for pattern in patterns:
            line = self.lines.get(timeout=timeout)
            assert line is not None and (line == pattern or re.fullmatch(pattern, line)), \
                f"{line!r}, not {pattern!r}"

    def nothing_more(self, seconds=0.3):
        with pytest.raises(queue.Empty):
            pytest.fail(repr(self.lines.get(timeout=seconds)))

    def stop(self):
        """Ends it; returns its statistics. It must be gone in a second, in whatever it was."""
        began = time.monotonic()
        self.child.stdin.close()
        assert self.child.wait(timeout=20) == 0
        took = time.monotonic() - began
        self.reader.join()
        last = None
        while (line := self.lines.get()) is not None:
            last = line
        assert last.startswith("stats "), last
        assert took < 1, f"{took} s to stop"
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", last)}


@pytest.fixture
def watcher(config):
    made = []

    def start(**options):
        made.append(Watcher(config, **options))
        return made[-1]

    yield start
    for each in made:
        if each.child.poll() is None:
            each.child.kill()
            each.child.wait()


def script(server, lists_=(), watches=(), calls=()):
    for steps, of in ((lists_, server.lists), (watches, server.watches), (calls, server.calls)):
        for step in steps:
            of.put(step)


def shapes(requests):
    """Requests as (kind, resourceVersion, limit, continue)."""
    return [(r.kind, r.query.get("resourceVersion"), r.query.get("limit"), r.query.get("continue"))
            for r in requests]


A, B, C = pod("a", "u1", "1"), pod("b", "u2", "2"), pod("c", "u3", "3")
OBJECT_A, OBJECT_B, OBJECT_C = "object shop/a u1 1", "object shop/b u2 2", "object shop/c u3 3"


# R20, R22, R30: consistent, in pages; an empty page with `continue` is not the end.
def test_first_list_is_consistent_and_follows_pages(server, watcher):
    script(server, [lists(A, more="p2/+="), lists(more="p3"), lists(B)], [hold])
    watch = watcher(selector="labelSelector=app%20in%20%28a%2Cb%29")
    watch.expect(OBJECT_A, OBJECT_B, "synced")
    seen = server.wait_for(4)
    assert shapes(seen) == [("LIST", None, "500", None), ("LIST", None, "500", "p2/+="),
                            ("LIST", None, "500", "p3"), ("WATCH", "10", None, None)]
    assert {r.query["labelSelector"] for r in seen} == {"app in (a,b)"}
    assert seen[3].query["allowWatchBookmarks"] == "true"
    assert 300 <= int(seen[3].query["timeoutSeconds"]) < 600
    stats = watch.stop()
    assert stats["failures"] == 0 and stats["lists"] == 1


# R31: what each type of event does.
def test_events_are_applied(server, watcher):
    script(server, [lists(A)],
           [streams(event("ADDED", B), event("MODIFIED", pod("a", "u1", "11")),
                    event("MODIFIED", C), event("DELETED", pod("b", "u2", "12")))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_B, "object shop/a u1 11", OBJECT_C, "delete shop/b u2")
    assert watch.stop()["events"] == 4


# R31, R37: a bookmark moves the version and nothing else, also as the first event.
def test_bookmark_moves_only_the_version(server, watcher):
    script(server, [lists(A)], [streams(bookmark("77"), then=ends), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced")
    assert shapes(server.wait_for(3))[1:] == [("WATCH", "10", None, None),
                                              ("WATCH", "77", None, None)]
    watch.nothing_more()


# R31
def test_delete_of_an_unknown_object_is_nothing(server, watcher):
    script(server, [lists(A)], [streams(event("DELETED", C), event("DELETED", pod("a", "old")),
                                        event("ADDED", B))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_B)


# R31
def test_other_kinds_and_unknown_types_are_skipped(server, watcher):
    script(server, [lists(A)],
           [streams(event("ADDED", pod("x", "u9", "50", kind="Node")), event("WHATEVER", B),
                    event("ADDED", {"kind": "Pod"}), '{"type":"ADDED","object":[]}',
                    '{"type":"ADDED","object":{"a":nonsense}}', event("ADDED", C))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*another kind.*", "trouble .*unknown type",
                 "trouble .*without a name", "trouble .*not readable", "trouble .*not readable",
                 OBJECT_C)
    assert watch.stop()["skipped"] == 5


# R34: no relist, and from where the watch had come to.
def test_end_of_a_watch_goes_on_from_the_last_version(server, watcher):
    script(server, [lists(A)], [streams(event("ADDED", B), then=ends),
                                streams(event("ADDED", C), then=ends), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_B, OBJECT_C)
    assert [s[:2] for s in shapes(server.wait_for(4))[1:]] == [("WATCH", "10"), ("WATCH", "2"),
                                                               ("WATCH", "3")]
    stats = watch.stop()
    assert stats["failures"] == 0 and stats["lists"] == 1


# R34: a fragment is thrown away; it comes again.
@pytest.mark.parametrize("fault", [cuts, resets, ends])
def test_cut_object_comes_again(server, watcher, fault):
    half = json.dumps(event("ADDED", C))[:40]
    script(server, [lists(A)], [streams(event("ADDED", B), half, then=fault),
                                streams(event("ADDED", C))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_B, OBJECT_C)
    assert [s[:2] for s in shapes(server.wait_for(3))[1:]] == [("WATCH", "10"), ("WATCH", "2")]


# R34
def test_watch_that_ends_at_once_is_an_error(server, watcher):
    script(server, [lists(A)], [streams(then=ends), streams(then=cuts), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble the watch ended at once", "trouble .*")
    server.wait_for(4)
    assert watch.stop()["short"] == 2


# R40: HTTP chunks of one byte.
def test_chunks_of_one_byte(server, watcher):
    text = json.dumps(event("ADDED", pod("b", "ü\n\"{u2", "2")), ensure_ascii=False).encode()
    script(server, [lists(A)], [streams(*[bytes([byte]) for byte in text])])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "object shop/b ü", '"{u2 2')


# R32, R21: LIST at the last version, without a limit.
@pytest.mark.parametrize("fault", [
    refuses(410, "Expired"), refuses(410, "Gone"),
    streams(event("ERROR", status(410, "Expired"))), streams(event("ERROR", status(410, "Gone")))],
    ids=["start-expired", "start-gone", "stream-expired", "stream-gone"])
def test_gone_lists_again_at_the_last_version(server, watcher, fault):
    script(server, [lists(A), lists(A, B, version="20")],
           [streams(bookmark("15"), then=ends), fault, hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_A, OBJECT_B, "synced")
    assert shapes(server.wait_for(5))[2:] == [("WATCH", "15", None, None), ("LIST", "15", None, None),
                                              ("WATCH", "20", None, None)]


# R23: 410 on a later page: everything once more, in one piece. What was on the first page and is
# not in the second answer was deleted.
def test_gone_on_page_two_lists_in_one_piece(server, watcher):
    script(server, [lists(A, B, more="p2"), refuses(410, "Expired"), lists(B, C, version="12")],
           [hold])
    watch = watcher()
    watch.expect(OBJECT_A, OBJECT_B, OBJECT_B, OBJECT_C, "delete shop/a u1", "synced")
    assert shapes(server.wait_for(4))[1:] == [("LIST", None, "500", "p2"), ("LIST", None, None, None),
                                              ("WATCH", "12", None, None)]


# R23: the version of the relist is too old, or too new for a server that lags behind.
@pytest.mark.parametrize("fault", [
    refuses(410, "Expired"),
    refuses(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge", "message": "too large"}])],
    ids=["expired", "too-large"])
def test_version_that_is_not_there_is_given_up(server, watcher, fault):
    script(server, [lists(A), fault, lists(A, version="30")], [refuses(410, "Expired"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_A, "synced")
    assert [s[:3] for s in shapes(server.wait_for(5))] == [
        ("LIST", None, "500"), ("WATCH", "10", None), ("LIST", "10", None), ("LIST", None, "500"),
        ("WATCH", "30", None)]


# R23: also when the list without a version fails at first.
def test_version_that_is_not_there_stays_given_up(server, watcher):
    script(server, [lists(A), refuses(410, "Expired"), refuses(500, "InternalError"),
                    lists(A, version="30")], [refuses(410, "Expired"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*500.*", OBJECT_A, "synced")
    assert [s[1] for s in shapes(server.wait_for(6)) if s[0] == "LIST"] == [None, "10", None, None]


# LIST and 410 must not chase each other.
def test_gone_right_after_each_list_backs_off(server, watcher):
    script(server, [lists(A)] * 50, [refuses(410, "Expired")] * 50)
    watch = watcher(backoff_ms=400)
    time.sleep(1.5)
    assert 2 <= watch.stop()["lists"] <= 4


# R24: what is missing in the second list was deleted; a name with another uid is another object.
def test_relist_deletes_what_is_gone_and_knows_new_uids(server, watcher):
    script(server, [lists(A, B), lists(pod("a", "u7", "21"), C, version="30")],
           [refuses(410, "Expired"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, OBJECT_B, "synced", "delete shop/a u1", "object shop/a u7 21", OBJECT_C,
                 "delete shop/b u2", "synced")


def test_name_with_a_new_uid_in_the_stream_is_another_object(server, watcher):
    script(server, [lists(A)], [streams(event("MODIFIED", pod("a", "u7", "21")))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "delete shop/a u1", "object shop/a u7 21")


# R8: a Status, another kind, no JSON, a cut list: never an empty list that deletes everything.
@pytest.mark.parametrize("bad", [
    answers(200, status(403, "Forbidden")), answers(200, {"kind": "Pod", "metadata": {}}),
    answers(200, "<html>proxy</html>"), answers(200, "{}"),
    answers(200, '{"kind":"PodList","metadata":{"resourceVersion":"11"},"items":['),
    answers(200, {"kind": "PodList", "metadata": {}, "items": []}),
    answers(200, {"kind": "PodList", "items": []}), lists(version=""), answers(204)],
    ids=["status", "pod", "html", "empty", "cut", "no-version", "no-metadata", "empty-version",
         "no-content"])
def test_what_is_no_list_deletes_nothing(server, watcher, bad):
    script(server, [lists(A), bad, lists(A, version="20")], [refuses(410, "Expired"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*", OBJECT_A, "synced")
    watch.nothing_more()


# R32: 500 inside the stream: the same version again, a bounded number of times, then a list.
def test_errors_in_the_stream_end_in_a_list(server, watcher):
    script(server, [lists(A), lists(A, version="20")],
           [streams(event("ERROR", status(500, "InternalError", "etcd"))) for _ in range(5)] + [hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", *["trouble .*etcd"] * 5, OBJECT_A, "synced")
    assert [s[:2] for s in shapes(server.wait_for(8))] == [
        ("LIST", None), *[("WATCH", "10")] * 5, ("LIST", "10"), ("WATCH", "20")]


# R33, R9: the same version again, as late as the server asked; no list.
@pytest.mark.parametrize("fault", [
    refuses(429, "TooManyRequests", headers=["Retry-After: 1"]),
    streams(event("ERROR", status(429, "TooManyRequests", retryAfterSeconds=1)))],
    ids=["start", "stream"])
def test_too_many_requests_waits_as_told(server, watcher, fault):
    script(server, [lists(A)], [fault, hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*")
    began = time.monotonic()
    assert [s[:2] for s in shapes(server.wait_for(3))[1:]] == [("WATCH", "10")] * 2
    assert 0.9 < time.monotonic() - began < 3


def test_too_many_requests_without_a_time_backs_off(server, watcher):
    script(server, [lists(A)], [refuses(429, "TooManyRequests"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*429.*")
    assert [s[:2] for s in shapes(server.wait_for(3))[1:]] == [("WATCH", "10")] * 2


# R33: no storm of lists.
def test_refused_connections_watch_again_without_a_list(server, watcher):
    script(server, [lists(A)], [hold, streams(event("ADDED", B))])
    watch = watcher(backoff_ms=100)
    watch.expect(OBJECT_A, "synced")
    server.wait_for(2)
    server.refuse()
    watch.expect("trouble .*", "trouble .*")
    server.listen()
    while (line := watch.lines.get(timeout=20)) != OBJECT_B:
        assert line.startswith("trouble ")
    assert watch.stop()["lists"] == 1


# R33: said, and gone on when it is allowed again; no exit.
def test_forbidden_is_said_and_survived(server, watcher):
    script(server, [refuses(403, "Forbidden", "pods is forbidden"), lists(A), lists(A)],
           [refuses(403, "Forbidden", "may not watch"), hold])
    watch = watcher()
    watch.expect("trouble .*403 pods is forbidden", OBJECT_A, "synced", "trouble .*may not watch",
                 OBJECT_A, "synced")


# R3: the token is read again at once after a 401, and the call made once more.
@pytest.mark.parametrize("kind", ["LIST", "WATCH"])
def test_unauthorized_reads_the_token_again(server, watcher, config, kind):
    def expired(peer, request):
        (config.parent / "token").write_text("second-token")
        peer.answer(401, json.dumps(status(401, "Unauthorized")))

    script(server, [expired, lists(A)] if kind == "LIST" else [lists(A)],
           [hold] if kind == "LIST" else [expired, streams(event("ADDED", B))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", *([OBJECT_B] if kind == "WATCH" else []))
    seen = server.wait_for(3)
    assert [r.headers["authorization"] for r in seen if r.kind == kind][:2] == [
        "Bearer first-token", "Bearer second-token"]
    assert watch.stop()["failures"] == 0


# R3: only once; a token that stays bad is said.
def test_token_that_stays_bad_is_said(server, watcher):
    script(server, [refuses(401, "Unauthorized", "who?")] * 2 + [lists(A)])
    watch = watcher()
    watch.expect("trouble .*401 who.*", OBJECT_A, "synced")


# R3: a token file with a line break inside would be somebody else's header.
def test_token_with_a_line_break_is_not_sent(server, watcher, config):
    (config.parent / "token").write_text("abc\r\nX-Evil: 1")
    watch = watcher()
    watch.expect("trouble .*token.*")
    assert server.seen == []


# R2: the CA file is read again, although libcurl would keep it for a day.
def test_rotated_ca_is_taken(server, watcher, config, authorities):
    script(server, [lists(A)], [hold, streams(event("ADDED", B))])
    watch = watcher()
    watch.expect(OBJECT_A, "synced")
    server.wait_for(2)
    shutil.copy(authorities[1].ca, config.parent / "ca.crt")
    server.use(authorities[1])
    server.cut()
    while (line := watch.lines.get(timeout=20)) != OBJECT_B:
        assert line.startswith("trouble ")
    assert watch.stop()["lists"] <= 2


# R2: only that CA; the reason is readable.
def test_unknown_ca_is_refused(server, watcher, authorities):
    server.use(authorities[1])
    watch = watcher()
    watch.expect("trouble .*certificate.*")
    assert server.seen == []


# R2: not even one of the system's CA folder, which libcurl would trust beside our file. The folder
# is replaced in a mount namespace of its own.
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount namespace")
def test_ca_of_the_system_is_not_trusted(server, watcher, authorities, tmp_path):
    ca = authorities[1].ca
    name = subprocess.run(["openssl", "x509", "-in", ca, "-noout", "-subject_hash"], check=True,
                          capture_output=True, text=True).stdout.strip()
    (tmp_path / "system").mkdir()
    shutil.copy(ca, tmp_path / "system" / f"{name}.0")
    server.use(authorities[1])
    watch = watcher(under=["unshare", "--mount", "sh", "-c",
                           f'mount --bind {tmp_path}/system /etc/ssl/certs && exec "$@"', "sh"])
    watch.expect("trouble .*certificate.*")
    assert server.seen == []


# R6: no redirects.
def test_redirects_are_not_followed(server, watcher):
    script(server, [answers(302, "", [f"Location: https://127.0.0.1:{server.port}/elsewhere"]),
                    lists(A)])
    watch = watcher()
    watch.expect("trouble .*302.*", OBJECT_A, "synced")
    assert all(r.path == PATH for r in server.seen)


# R7, R4: who we say we are, in HTTP/1.1 (the server reads nothing else).
def test_user_agent_names_the_program(server, watcher):
    script(server, [lists(A)])
    watcher().expect(OBJECT_A, "synced")
    assert re.fullmatch(r"npt-test/\d+\.\d+\.\d+", server.seen[0].headers["user-agent"])


# R10
def test_lists_may_be_compressed_and_watches_are_not(server, watcher):
    body = {"kind": "PodList", "metadata": {"resourceVersion": "10"}, "items": [A]}

    def zipped(peer, request):
        peer.answer(200, gzip.compress(json.dumps(body).encode()), ["Content-Encoding: gzip"])

    script(server, [zipped])
    watcher().expect(OBJECT_A, "synced")
    seen = server.wait_for(2)
    assert "gzip" in seen[0].headers["accept-encoding"]
    assert "accept-encoding" not in seen[1].headers


# R41: an object of 3 MiB is fine; of more than 4 MiB the watch is given up, said, and listed anew.
def test_large_objects(server, watcher):
    script(server, [lists(A), lists(A, version="20")],
           [streams(event("ADDED", pod("b", "u2", "2", annotations={"x": "y" * (3 << 20)})),
                    event("ADDED", pod("c", "u3", "3", annotations={"x": "y" * (5 << 20)}))), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", OBJECT_B, "trouble .*larger than 4194304.*", OBJECT_A,
                 "delete shop/b u2", "synced")


# R41
def test_deep_objects_and_garbage_end_the_watch(server, watcher):
    script(server, [lists(A)] * 3, [streams('{"type":' + '{"a":' * 70), streams("hello"), hold])
    watch = watcher()
    watch.expect(OBJECT_A, "synced", "trouble .*nested.*", OBJECT_A, "synced", "trouble .*no JSON.*",
                 OBJECT_A, "synced")


# R42
def test_managed_fields_are_dropped(server, watcher):
    managed = {"managedFields": [{"manager": "kubectl"}]}
    script(server, [lists(pod("a", "u1", "1", **managed))],
           [streams(event("ADDED", pod("b", "u2", "2", **managed)))])
    watcher().expect(OBJECT_A, "synced", OBJECT_B)


# R36: a version is text.
def test_version_need_not_be_a_number(server, watcher):
    script(server, [lists(A, version="v:1&watch=0 é")])
    watcher().expect(OBJECT_A, "synced")
    assert server.wait_for(2)[1].query["resourceVersion"] == "v:1&watch=0 é"


# R24 of our own: no container without a maximum; the rest goes on.
def test_more_objects_than_allowed_are_left_out_and_said(server, watcher):
    script(server, [lists(A, B, C)], [streams(event("DELETED", A), event("ADDED", C))])
    watch = watcher(max_objects=2)
    watch.expect(OBJECT_A, OBJECT_B, "trouble .*more objects.*", "synced", "delete shop/a u1",
                 OBJECT_C)


# A text with a NUL in it is legal JSON.
def test_nul_in_a_text_does_no_harm(server, watcher):
    script(server, [lists(pod("a", "u1", "1", annotations={"x": "a\0b"}))])
    watcher().expect(OBJECT_A, "synced")


# R35: 800 ms to 1.6 s, then twice as much.
def test_backoff_is_800_ms_doubled(server, watcher):
    times = []

    def failing(peer, request):
        times.append(time.monotonic())
        peer.answer(500, json.dumps(status(500, "InternalError")))

    script(server, [failing, failing, failing])
    watcher(backoff_ms=0)
    server.wait_for(3)
    time.sleep(0.1)
    first, second = times[1] - times[0], times[2] - times[1]
    assert 0.75 < first < 1.9 and 1.55 < second < 3.5, (first, second)


# Stopping does not wait for a backoff, a Retry-After or a silent list.
@pytest.mark.parametrize("step", [
    refuses(429, "TooManyRequests", headers=["Retry-After: 20"]),
    lambda peer, request: peer.connection.recv(1)], ids=["waiting", "silent"])
def test_stops_at_once(server, watcher, step):
    script(server, [step])
    watch = watcher()
    server.wait_for(1)
    time.sleep(0.2)
    watch.stop()


# --- single calls ---

OK, NOT_FOUND, CONFLICT, EXISTS, GONE, FORBIDDEN, UNAUTHORIZED, INVALID, BUSY = range(9)


def call(config, *arguments):
    done = subprocess.run([PROGRAM, config, "call", *arguments], capture_output=True, text=True,
                          timeout=60, check=True)
    line, _, rest = done.stdout.partition("\n")
    outcome, _, text = line.removeprefix("outcome ").partition(" ")
    return int(outcome), text, rest


# C10: a merge patch, with the lock in its body.
def test_patch_is_a_merge_patch(server, config):
    body = {"metadata": {"resourceVersion": "5", "uid": "u1"}, "status": {"phase": "Running"}}
    script(server, calls=[answers(200, A)])
    assert call(config, "PATCH", PATH + "/a/status", json.dumps(body))[0] == OK
    assert server.seen[0].headers["content-type"] == "application/merge-patch+json"
    assert json.loads(server.seen[0].body) == body


# R8: the reason first, the code second; whatever the body is.
@pytest.mark.parametrize("code,reason,outcome", [
    (409, "Conflict", CONFLICT), (409, "AlreadyExists", EXISTS), (404, "NotFound", NOT_FOUND),
    (410, "Expired", GONE), (403, "Forbidden", FORBIDDEN), (422, "Invalid", INVALID),
    (500, "NotFound", NOT_FOUND), (409, "", CONFLICT), (503, "Strange", BUSY)])
def test_refusals_are_told_apart(server, config, code, reason, outcome):
    script(server, calls=[refuses(code, reason, "because")])
    got, text, _ = call(config, "PATCH", PATH + "/a", "{}")
    assert got == outcome and f"{code} because" in text


@pytest.mark.parametrize("body", ["", "404 page not found", "[]", '"x"', "null", "[" * 5000])
def test_refusals_without_a_status_go_by_the_code(server, config, body):
    script(server, calls=[answers(404, body)])
    assert call(config, "PATCH", PATH + "/a", "{}")[0] == NOT_FOUND


@pytest.mark.parametrize("body", ["", "[]", "<html>", '{"a":'])
def test_answers_that_are_no_object_are_errors(server, config, body):
    script(server, [answers(200, body)])
    outcome, text, _ = call(config, "GET", PATH + "/a")
    assert outcome < 0 and "no JSON" in text


# R6
def test_answers_have_a_limit(server, config):
    script(server, [answers(200, json.dumps(pod("a", "u1", annotations={"x": "y" * (5 << 20)})))])
    outcome, text, _ = call(config, "GET", PATH + "/a")
    assert outcome < 0 and "larger than allowed" in text


# R9: waits as told and asks again.
@pytest.mark.parametrize("method,code", [("PATCH", 429), ("PATCH", 503), ("POST", 429)])
def test_retry_after_is_obeyed(server, config, method, code):
    script(server, calls=[refuses(code, "Busy", headers=["Retry-After: 1"]), answers(200, A)])
    began = time.monotonic()
    assert call(config, method, PATH, "{}")[0] == OK
    assert 1 <= time.monotonic() - began < 5


# R9: what failed may have been done.
def test_failed_post_is_not_repeated(server, config):
    script(server, calls=[refuses(503, "ServiceUnavailable", headers=["Retry-After: 1"]),
                          answers(200, A)])
    assert call(config, "POST", PATH, "{}")[0] == BUSY
    assert len(server.seen) == 1


# R9: bounded, also when the server asks for an hour.
def test_long_waits_are_the_callers_business(server, config):
    script(server, calls=[refuses(429, "TooManyRequests", headers=["Retry-After: 3600"])])
    assert call(config, "PATCH", PATH, "{}")[0] == BUSY


# --- reviews ---

def review(server, config, *answers_, token="the-token"):
    """The program reviews a token twice through its cache, then the access."""
    script(server, calls=[answers(201, answer) for answer in answers_])
    return subprocess.run([PROGRAM, config, "review", token, "npt-controller"], text=True,
                          capture_output=True, timeout=60, check=True).stdout.splitlines()


def jwt(expiry):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expiry}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


def identity(**changes):
    user = {"username": "system:serviceaccount:npt-system:npt-agent", "uid": "1",
            "groups": ["system:authenticated"],
            "extra": {"authentication.kubernetes.io/node-name": ["node1"],
                      "authentication.kubernetes.io/pod-name": ["npt-agent-x"]}}
    return {"kind": "TokenReview",
            "status": {"authenticated": True, "audiences": ["npt-controller"], "user": user,
                       **changes}}


# S2
def test_token_review_says_who_and_on_which_node(server, config):
    lines = review(server, config, identity(), {"status": {"allowed": True}})
    assert lines == ["review 0 ", "again 0", "identity system:serviceaccount:npt-system:npt-agent node1 "
                     "npt-agent-x system:authenticated", "access 0 "]
    asked, access = (json.loads(r.body) for r in server.seen)
    assert asked["spec"] == {"token": "the-token", "audiences": ["npt-controller"]}
    assert access["spec"]["groups"] == ["system:authenticated"]
    assert access["spec"]["resourceAttributes"] == {
        "verb": "get", "group": "netprof.io", "resource": "networkprofilingtasks",
        "namespace": "shop", "name": ""}


# S2: at most as long as the token itself is valid.
@pytest.mark.parametrize("token,reviews", [
    (jwt(int(time.time()) + 86400), 1), (jwt(int(time.time()) - 5), 2), (jwt("soon"), 1),
    ("no.jwt!", 1)])
def test_reviews_are_cached_until_the_token_expires(server, config, token, reviews):
    lines = review(server, config, *[identity()] * reviews, {"status": {"allowed": True}},
                   token=token)
    assert lines[1] == "again 0" and lines[3] == "access 0 "
    assert [r.path.rsplit("/", 1)[1] for r in server.seen] == \
        ["tokenreviews"] * reviews + ["subjectaccessreviews"]


# S2: an authenticator that knows no audiences answers without ours.
@pytest.mark.parametrize("changes", [
    {"authenticated": False}, {"authenticated": "true"}, {"audiences": []},
    {"audiences": ["other"]}, {"audiences": None}, {"audiences": "npt-controller"}])
def test_token_review_refuses(server, config, changes):
    lines = review(server, config, identity(**changes))
    assert lines[0].startswith(f"review {UNAUTHORIZED} ") and len(lines) == 1


@pytest.mark.parametrize("answer", [{"status": {"allowed": False}}, {"status": {}},
                                    {"status": {"allowed": "true"}},
                                    {"status": {"allowed": True, "denied": True}}])
def test_access_review_refuses(server, config, answer):
    assert review(server, config, identity(), answer)[3].startswith(f"access {FORBIDDEN} ")
