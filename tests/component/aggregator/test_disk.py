# SPDX-License-Identifier: Apache-2.0
"""The store's disk is full or may not be written: clear answers, reads go on, what was acknowledged stays,
and it goes on by itself when there is room again."""
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from world import edge, ingest_token, window  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a small disk")


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "npt-test", folder], check=True, timeout=20)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True, timeout=20)


@pytest.fixture
def on_disk(aggregator, disk):
    aggregator.stop()
    aggregator.store = disk / "windows.db"
    aggregator.arguments[aggregator.arguments.index("--store") + 1] = aggregator.store
    aggregator.start()
    return aggregator


def remount(disk, options):
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True, timeout=20)


def post(aggregator, sequence):
    edges = [edge(pid, sent=1) for pid in range(1, 101)]
    return aggregator.post(window(sequence=sequence, edges=edges))


def check_stored(aggregator, sequences):
    _, report = aggregator.get("/v1/tasks/task-1")
    assert sum(one["sent"]["bytes"] for one in report["edges"]) == 100 * len(sequences)
    assert report["pods"][0]["windows"] == len(sequences)


def test_a_full_disk_turns_windows_away_and_loses_none(on_disk, disk):
    stored, sequence, answer = [], 1, (200, "", "")
    while answer[0] == 200:
        answer = post(on_disk, sequence)
        stored += [sequence] if answer[0] == 200 else []
        sequence += 1
        assert sequence < 2000
    assert len(stored) > 10 and answer[0] == 503 and "was not stored" in answer[1]
    assert "retry-after: 5" in answer[2]
    for _ in range(3):
        assert post(on_disk, sequence - 1)[0] == 503
    check_stored(on_disk, stored)
    assert on_disk.log.read_text().count("windows cannot be stored") == 1
    remount(disk, "size=64m")
    end = time.monotonic() + 20
    while post(on_disk, sequence - 1)[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.2)
    check_stored(on_disk, stored + [sequence - 1])
    assert "windows are stored again" in on_disk.log.read_text()
    on_disk.stop()
    on_disk.start()
    check_stored(on_disk, stored + [sequence - 1])


def test_a_disk_that_becomes_read_only_is_read_on(on_disk, disk):
    assert [post(on_disk, sequence)[0] for sequence in (1, 2)] == [200, 200]
    on_disk.kill()  # a file that is open for writing keeps a disk writable
    remount(disk, "ro")
    on_disk.start()
    assert "the store may only be read" in on_disk.log.read_text()
    check_stored(on_disk, [1, 2])
    status, body, headers = post(on_disk, 3)
    assert status == 503 and "was not stored" in body and "retry-after: 5" in headers
    assert "readonly database" in on_disk.log.read_text()
    on_disk.stop()
    remount(disk, "rw")
    on_disk.start()
    assert post(on_disk, 3)[0] == 200
    check_stored(on_disk, [1, 2, 3])


def test_a_window_of_tomorrow_is_refused_with_the_reason(aggregator):
    now = int(time.time() * 1000)
    token = ingest_token()
    status, body, _ = aggregator.post(window(start=now + 2 * 3600 * 1000), token)
    assert status == 400 and "is the node's clock right?" in body
    assert aggregator.post(window(start=now + 600 * 1000), token)[0] == 200
    assert aggregator.post(window(sequence=2, start=1000), token)[0] == 200  # of 1970
    assert aggregator.get("/v1/tasks/task-1")[0] == 200
