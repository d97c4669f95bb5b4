# SPDX-License-Identifier: Apache-2.0
"""The programs as somebody meets them who makes mistakes: exit codes, and one line that says why.

NPT_BUILD names the build's folder (default build/dev).
"""
import os
import pathlib
import re
import socket
import subprocess
import time
from datetime import datetime

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("NPT_BUILD", "build/dev")
AGENT = BUILD / "agent/npt-agent"
CONTROLLER = BUILD / "controller/npt-controller"
AGGREGATOR = BUILD / "aggregator/npt-aggregator"
# What a person has set must not decide how a test ends.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("NODE_NAME", "POD_UID") and not name.startswith("KUBERNETES_")}


def run(*command, timeout=30, **options):
    """A program to its end; its output is text."""
    options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options}
    return subprocess.run(list(map(str, command)), stderr=subprocess.PIPE, text=True, timeout=timeout,
                          check=False, **options)


def check_refused(done, code, *words, program="npt-agent"):
    """It ended with this code and said why in one line, which holds these words."""
    assert done.returncode == code, done
    assert re.fullmatch(f"{program}: [^\n]+\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def options_of(source):
    """The names of all long options that a C source gives getopt_long()."""
    return re.findall(r'^\t\{ "([a-z-]+)", (?:no|required|optional)_argument', (ROOT / source).read_text(),
                      re.M)


def wait_until(is_so, what, timeout=20):
    end = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.02)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Daemon:
    """A program that runs until it is told to end; its stderr is its log."""

    def __init__(self, log, *command, **options):
        self.log, self.was_stopped = log, False
        with open(log, "wb") as file:
            self.child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=file,
                                          env=ENVIRONMENT, **options)

    def lines(self, words=""):
        return [line for line in self.log.read_text(errors="replace").splitlines() if words in line]

    def times(self, words):
        """When the lines with these words were written, in seconds."""
        return [datetime.fromisoformat(line.split()[0]).timestamp() for line in self.lines(words)]

    def is_alive(self):
        return self.child.poll() is None

    def wait_for(self, words, count=1, timeout=20):
        """The lines with these words, as soon as there are so many."""
        wait_until(lambda: len(self.lines(words)) >= count or not self.is_alive(),
                   lambda: f"no {words!r} in:\n" + "\n".join(self.lines()), timeout)
        found = self.lines(words)
        assert len(found) >= count, f"it ended with {self.child.poll()}:\n" + "\n".join(self.lines())
        return found

    def stop(self, seconds=3):
        """SIGTERM ends it soon, and that is no failure. Once is enough."""
        if self.was_stopped:
            return
        self.was_stopped = True
        assert self.is_alive(), f"it ended with {self.child.poll()}:\n" + "\n".join(self.lines())
        self.child.terminate()
        try:
            assert self.child.wait(seconds) == 0, "\n".join(self.lines())
        finally:
            self.kill()

    def kill(self):
        if self.is_alive():
            self.child.kill()
        self.child.wait(30)
