# SPDX-License-Identifier: Apache-2.0
"""Windows as they come, over WebSockets made by hand: who may watch, that nothing is missing, and that a
crowd of idle and of slow ones keeps nobody else waiting."""
import contextlib
import json
import os
import socket
import sys
import time

import pytest

HERE = os.path.dirname(__file__)
sys.path[:0] = [HERE, os.path.join(HERE, "../agent")]
from frames import Ended, dial, status_of  # noqa: E402
from world import edge, ingest_token, window  # noqa: E402


def watch(aggregator, path="/v1/tasks/task-1/live", token="all", timeout=20):
    headers = [f"Authorization: Bearer {token}"] if token else []
    wire = dial(aggregator.port, aggregator.ca, path=path, headers=headers, timeout=timeout)
    assert status_of(wire) == 101
    return wire


def post(aggregator, sequence, task="task-1", edges=1):
    body = window(task=task, sequence=sequence, edges=[edge(pid) for pid in range(1, edges + 1)])
    assert aggregator.post(body, ingest_token(task=task))[0] == 200


def sequences(wire, count):
    """Those of the next windows, and the cursor behind them."""
    found = []
    while len(found) < count:
        page = json.loads(wire.receive_text())
        assert page["kind"] == "WindowList"
        found += [one["sequence"] for one in page["windows"]]
    return found, page["next"]


def test_what_is_there_comes_first_then_each_window_as_it_comes(aggregator):
    for sequence in range(1, 46):
        post(aggregator, sequence)
    wire = watch(aggregator)
    found, cursor = sequences(wire, 45)
    assert found == list(range(1, 46))
    for sequence in (46, 47):
        post(aggregator, sequence)
        assert sequences(wire, 1)[0] == [sequence]
    wire.end()
    again = watch(aggregator, f"/v1/tasks/task-1/live?after={cursor}")
    assert sequences(again, 2)[0] == [46, 47]
    post(aggregator, 1, task="task-2")
    post(aggregator, 48)
    assert sequences(again, 1)[0] == [48]  # and nothing of another task
    again.end()


@pytest.mark.parametrize("path, token, code, words", [
    ("/v1/tasks/task-1/live", "", 4401, "bearer token"), ("/v1/tasks/task-1/live", "nobody", 4401, ""),
    ("/v1/tasks/task-1/live", "none", 4403, ""), ("/v1/tasks/task-9/live", "all", 4404, "no window"),
    ("/v1/tasks/task-1/live?after=x", "all", 1008, "after"),
    ("/v1/tasks/task-1/live?before=1", "all", 1008, "after"),
])
def test_who_may_not_watch_is_told_why(aggregator, path, token, code, words):
    post(aggregator, 1)
    wire = watch(aggregator, path, token)
    got, reason = wire.wait_closed()
    assert got == code and words in reason


def test_a_session_may_watch_from_its_own_origin_only(aggregator):
    post(aggregator, 1)
    answer = ["-o", "/dev/null", "-w", "HTTP/1.1 204 \r\n\r\n%header{set-cookie}"]
    _, said, _ = aggregator.curl("/v1/session", "-X", "POST", "-H", "Authorization: Bearer all", *answer)
    cookie = said.split(";")[0]
    own = f"https://127.0.0.1:{aggregator.port}"
    for origin, code in ((own, None), ("https://evil.example", 4401)):
        wire = dial(aggregator.port, aggregator.ca, path="/v1/tasks/task-1/live",
                    headers=[f"Cookie: {cookie}", f"Origin: {origin}"])
        assert status_of(wire) == 101
        if code:
            assert wire.wait_closed()[0] == code
        else:
            assert sequences(wire, 1)[0] == [1]


def test_a_plain_request_of_the_live_path_is_refused(aggregator):
    assert aggregator.curl("/v1/tasks/task-1/live", "-H", "Authorization: Bearer all")[0] == 404


def test_idle_and_slow_watchers_keep_nobody_waiting(aggregator):
    """1,000 that watch a quiet task, 50 that never read what a busy one brings: one that reads gets all
    of it, posts and reads go on, and memory stays bounded."""
    post(aggregator, 1, task="quiet")
    post(aggregator, 1, edges=300)
    with contextlib.ExitStack() as stack:
        def keep(wire):
            stack.callback(wire.end)
            return wire

        for _ in range(1000):
            keep(watch(aggregator, "/v1/tasks/quiet/live"))
        slow = []
        for _ in range(50):
            wire = keep(watch(aggregator))
            wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.append(wire)
        reader = keep(watch(aggregator, timeout=60))
        found, _ = sequences(reader, 1)
        for sequence in range(2, 41):
            begin = time.monotonic()
            post(aggregator, sequence, edges=300)
            assert time.monotonic() - begin < 15
            got, _ = sequences(reader, 1)
            found += got
            assert aggregator.get("/v1/tasks?limit=1")[0] == 200
        assert found == list(range(1, 41))
        with open(f"/proc/{aggregator.child.pid}/status", encoding="ascii") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        assert rss < 160 * 1024  # 40 windows of 250 KB of JSON for 51 would be 500 MB
    assert aggregator.get("/v1/tasks?limit=1")[0] == 200


def test_no_new_watching_begins_when_the_right_is_gone(aggregator, reviews):
    """That somebody may read is remembered for 5 s."""
    post(aggregator, 1)
    wire = watch(aggregator, token="shop-only")
    assert sequences(wire, 1)[0] == [1]
    reviews.people["shop-only"] = ("sarah", [])
    time.sleep(5.5)
    assert watch(aggregator, token="shop-only").wait_closed()[0] == 4403
    wire.end()


def test_watchers_are_told_when_it_stops(aggregator):
    post(aggregator, 1)
    wire = watch(aggregator)
    assert sequences(wire, 1)[0] == [1]
    aggregator.child.terminate()
    assert wire.wait_closed()[0] in (1001, None)
    assert aggregator.child.wait(20) == 0
    aggregator.child = None
    with pytest.raises((OSError, Ended)):
        watch(aggregator)
