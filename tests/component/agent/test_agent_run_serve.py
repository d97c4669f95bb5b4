# SPDX-License-Identifier: Apache-2.0
"""npt-agent run --serve: results of a local run by HTTP, while it measures and after."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from programs import AGENT, free_port, wait_until  # noqa: E402


def talk(port, stop):
    """A server and its client, in this process, until told to stop."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve():
        peer, _ = listener.accept()
        while data := peer.recv(100):
            peer.sendall(data)
        peer.close()

    threading.Thread(target=serve, daemon=True).start()
    client = socket.create_connection(("127.0.0.1", port))
    while not stop.wait(0.02):
        client.sendall(b"x" * 100)
        client.recv(100)
    client.close()
    listener.close()


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


class Run:
    def __init__(self, folder, *options, program=AGENT, environment=None):
        self.log, self.out = folder / "log", folder / "out"
        (folder / "tmp").mkdir()
        self.folder = folder / "tmp"
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.child = subprocess.Popen(
                [program, "run", "--pid", str(os.getpid()), "--interval", "1", "--output", "json", *options],
                stdout=out, stderr=log, env={**os.environ, "TMPDIR": str(self.folder), **(environment or {})})

    def line(self, words):
        def find():
            assert self.child.poll() is None or words in self.log.read_text(), self.log.read_text()
            return next((line for line in self.log.read_text().splitlines() if words in line), None)

        wait_until(find, lambda: self.log.read_text(), timeout=30)
        return find()

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def run(tmp_path):
    made = []

    def start(*options, **more):
        made.append(Run(tmp_path, *options, **more))
        return made[0]

    yield start
    for one in made:
        one.end()


def test_results_are_served_while_it_measures_and_until_ctrl_c(run):
    port, stop = free_port(), threading.Event()
    talker = threading.Thread(target=talk, args=(free_port(), stop))
    talker.start()
    measuring = run(f"--serve=127.0.0.1:{port}", "--duration", "60")
    try:
        url = measuring.line("serving").split()[-1]
        wait_until(lambda: get(f"http://127.0.0.1:{port}/v1/tasks")["tasks"], lambda: "no window", timeout=30)
        assert get(url)["kind"] == "Report"
    finally:
        stop.set()
        talker.join()
    measuring.child.send_signal(signal.SIGINT)
    assert measuring.line("results at").split("results at ")[1].split()[0] == url
    report = json.loads(measuring.out.read_text().splitlines()[-1])
    served = get(url)
    truth = {one["id"]: one["sent"]["bytes"] for one in report["edges"]}
    assert {one["id"]: one["sent"]["bytes"] for one in served["edges"]} == truth and sum(truth.values()) > 0
    assert {one["id"] for one in get(url + "/topology")["edges"]} == set(truth)
    assert os.stat(next(measuring.folder.iterdir())).st_mode & 0o077 == 0
    measuring.child.send_signal(signal.SIGINT)
    assert measuring.child.wait(30) == 0
    assert list(measuring.folder.iterdir()) == []
    with pytest.raises(OSError):
        get(url)


def test_sigterm_ends_everything(run):
    measuring = run(f"--serve=127.0.0.1:{free_port()}", "--duration", "60")
    measuring.line("serving")
    time.sleep(1.5)
    measuring.child.terminate()
    assert measuring.child.wait(30) == 0 and list(measuring.folder.iterdir()) == []


def test_a_port_that_is_taken_is_said(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        measuring = run(f"--serve=127.0.0.1:{taken.getsockname()[1]}", "--duration", "5")
        assert measuring.child.wait(30) == 1
    assert "in use" in measuring.log.read_text() and list(measuring.folder.iterdir()) == []


def test_only_a_loopback_address_is_served(run):
    measuring = run(f"--serve=0.0.0.0:{free_port()}", "--duration", "5")
    assert measuring.child.wait(30) == 1 and "loopback address" in measuring.log.read_text()


def test_without_npt_aggregator_it_says_what_is_missing(run, tmp_path):
    alone = shutil.copy(AGENT, tmp_path / "npt-agent")
    measuring = run("--serve", "--duration", "5", program=alone, environment={"PATH": "/nowhere"})
    assert measuring.child.wait(30) == 1
    assert "npt-aggregator is neither beside this program nor in PATH" in measuring.log.read_text()
