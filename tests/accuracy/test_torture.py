# SPDX-License-Identifier: Apache-2.0
"""Torture: a thousand short connections a second while measurements begin and end, and one is killed.

The generator says when each connection began and ended. Those of a port that lie within a session as a
whole are in its report, each and to the byte; of a port on a session's edge at least those within, at
most those that touch it. One more agent measures from before the first connection until after the last.

NPT_TORTURE_SECONDS (20) and NPT_TORTURE_SESSIONS (10) make it longer: make soak does.
"""
import os
import pathlib
import random
import threading
import time

import pytest

from kernel_objects import exists, held_by, left_of
from support import SEED, TORTURE, FiledAgent, Namespaces, Program, Traffic, needs_root, seen_at

pytestmark = needs_root

SECONDS = float(os.environ.get("NPT_TORTURE_SECONDS", 20))
SESSIONS = int(os.environ.get("NPT_TORTURE_SESSIONS", 10))
RATE, PORTS, SLICE_MS, ROUNDS = 1000, 64, 100, 1
ROTATION = PORTS * SLICE_MS / 1000  # after it every edge is known
NS = 1_000_000_000
# A close returns before the last segments of its connection are there: a softirq that is deferred to
# its thread waits for a processor like everybody else.
CLOSING_NS = NS // 4
COUNTS = ("connections", "closed", "writes", "written", "reads", "read", "sent", "received")


class Session(FiledAgent):
    """One measurement: knows when it began and ended, and what it holds."""

    def __init__(self, namespace):
        self.before_ns = time.monotonic_ns()
        super().__init__("--netns", f"/run/netns/{namespace}")
        self.begin_ns = time.monotonic_ns()
        self.held = held_by(self.child.pid)
        assert {kind for kind, _ in self.held} == {"prog", "map", "link"}

    def finish(self):
        self.end_ns = time.monotonic_ns()
        self.result = self.report()
        self.after_ns = time.monotonic_ns()

    def holds(self, connection):
        return connection[0] > self.begin_ns and connection[1] + CLOSING_NS < self.end_ns

    def touches(self, connection):
        return connection[1] + CLOSING_NS > self.before_ns and connection[0] < self.after_ns


class Generator(Traffic):
    def __init__(self, namespace):
        Program.__init__(self, "ip", "netns", "exec", namespace, *TORTURE, str(RATE), str(PORTS),
                         str(SLICE_MS), str(ROUNDS))
        assert self.line() == "ready"
        self.say()

    def stop(self):
        """[(begin_ns, end_ns, port, asked, answered)]"""
        self.say()
        connections = []
        while (line := self.line()) != "end":
            connections.append(tuple(map(int, line.split())))
        return connections


class Watcher:
    """Memory and descriptors of a process, from time to time."""

    def __init__(self, pid):
        self.samples, self.pid, self.done = [], pid, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.done.wait(0.2):
            pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            files = len(os.listdir(f"/proc/{self.pid}/fd"))
            self.samples.append((time.monotonic(), pages * 4, files))

    def stop(self):
        self.done.set()
        self.thread.join()

    def thirds(self, begin, which):
        """The largest of the first and of the last third, from when all is warm."""
        values = [sample[which] for sample in self.samples if sample[0] >= begin]
        third = len(values) // 3
        assert third >= 5, "too short to say anything"
        return max(values[:third]), max(values[-third:])


def expected(connections, role):
    """What the ends of one role did, as seen_at() tells it."""
    asked = sum(connection[3] for connection in connections) * ROUNDS
    answered = sum(connection[4] for connection in connections) * ROUNDS
    count = len(connections)
    out, back = (asked, answered) if role == "client" else (answered, asked)
    return dict(zip(COUNTS, (count, count, count * ROUNDS, out, count * ROUNDS, back, out, back)))


def check_session(session, connections):
    """How many connections were compared one by one, so to say."""
    exact = 0
    for port in {connection[2] for connection in connections}:
        touching = [one for one in connections if one[2] == port and session.touches(one)]
        within = [one for one in touching if session.holds(one)]
        for role in ("client", "server"):
            seen = {name: seen_at(session.result, role, port)[name] for name in COUNTS}
            least, most = expected(within, role), expected(touching, role)
            if within == touching:
                assert seen == least, (port, role)
            else:
                assert all(least[name] <= seen[name] <= most[name] for name in COUNTS), (
                    port, role, least, seen, most)
        exact += len(within) if within == touching else 0
    return exact


def run_sessions(namespace, rng):
    sessions, begin = [], time.monotonic()
    for number in range(SESSIONS):
        session = Session(namespace)
        try:
            time.sleep(rng.uniform(0.5, 1.2))
            session.finish()
        finally:
            session.end()
        sessions.append(session)
        rest = begin + (number + 1) * SECONDS / SESSIONS - time.monotonic()
        time.sleep(max(0, rest))
    return sessions


def kill_one(namespace):
    """kill -9 while it measures: all that it had in the kernel is gone within a second."""
    victim = Session(namespace)
    try:
        assert all(exists(*each) for each in victim.held)
        victim.child.kill()
        victim.child.wait(10)
        assert left_of(victim.held, seconds=1) == set()
    finally:
        victim.end()


@pytest.fixture(scope="module")
def torture():
    """Everything at once; the tests look at what came of it."""
    print("seed", SEED, "(repeat with NPT_SEED)")
    rng = random.Random(SEED)
    with Namespaces() as made:
        programs = []
        try:
            programs.append(whole := Session(made.near))
            watcher = Watcher(whole.child.pid)
            programs.append(generator := Generator(made.near))
            begin = time.monotonic()
            try:
                kill_one(made.near)
                sessions = run_sessions(made.near, rng)
                connections = generator.stop()
                seconds = time.monotonic() - begin
                time.sleep(CLOSING_NS / NS)
            finally:
                watcher.stop()
            whole.finish()
            generator.child.stdin.close()
            assert generator.child.wait(10) == 0
            yield {"whole": whole, "sessions": sessions, "connections": connections,
                   "watcher": watcher, "begin": begin, "seconds": seconds}
        finally:
            for program in programs:
                program.end()


def test_a_session_has_every_connection_within_it(torture):
    exact = [check_session(session, torture["connections"]) for session in torture["sessions"]]
    assert sum(exact) > SESSIONS * RATE * 0.1, exact  # of the shortest session two slices are whole


def test_a_measurement_of_all_of_it_is_equal_to_all_of_it(torture):
    assert check_session(torture["whole"], torture["connections"]) == len(torture["connections"])


def test_traffic_goes_on_as_if_nobody_looked(torture):
    assert len(torture["connections"]) >= torture["seconds"] * RATE * 0.98


def test_nothing_stays_in_the_kernel(torture):
    held = set().union(*(session.held for session in torture["sessions"]), torture["whole"].held)
    assert left_of(held, seconds=1) == set()


def test_memory_and_descriptors_of_a_long_measurement_stay_as_they_are(torture):
    first, last = torture["watcher"].thirds(torture["begin"] + ROTATION, 1)
    assert last <= first * 1.03, "KiB"
    first, last = torture["watcher"].thirds(torture["begin"] + ROTATION, 2)
    assert last <= first
