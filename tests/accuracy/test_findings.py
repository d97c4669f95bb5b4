# SPDX-License-Identifier: Apache-2.0
"""Findings: programs, buffers and networks that are slow in a known way, twenty times each with other
numbers. No edge may get a wrong verdict. "Unknown" is never wrong, but it is counted and bounded, so that
it is not the answer to everything.

Each scenario runs twice at once: with both ends in one namespace (`one`), where the agent sees the pair,
and with an end each in two (`apart`), as of pods on two nodes, where each agent sees its own end only.
NPT_SEED repeats the numbers, NPT_LOAD=2 adds busy loops: then only wrong verdicts fail."""
import contextlib
import dataclasses
import os
import random
import subprocess
import sys

import pytest

from findings_world import LOOP, RELAYED, VETH, World
from support import SEED, needs_root

LOAD = int(os.environ.get("NPT_LOAD", "0"))
VERBOSE = bool(os.environ.get("NPT_VERBOSE"))
TIMES = 20
UNKNOWN_MAX = 5
SECONDS = 6.5
FIRST_PORT = 20000

pytestmark = needs_root


@dataclasses.dataclass
class Scenario:
    """make(rng) gives a line for findings/behaviour.c without its address and port, and if relayed also
    (delay in us, loss in permille). pair and apart: the verdicts that are right at the first end (the
    sender, or the client) and at the second, "" if only Unknown is; listener: at the edge of the port's
    listener."""
    make: object
    pair: tuple
    apart: tuple
    why: str
    relayed: bool = False
    listener: str = "None"
    vague: bool = False  # Unknown is the rule


def stream(rng, sndbuf=0, rcvbuf=0, write=65536, write_gap=0, read=65536, read_gap=0, life=0):
    way = rng.choice(("up", "down"))
    return f"stream {way} {sndbuf} {rcvbuf} {write} {write_gap} {read} {read_gap} {life}"


def turns(rng, delay, think, per_connection=0, depth=1, request=(70, 3000), response=(70, 12000)):
    return f"turns {rng.randint(*request)} {rng.randint(*response)} {delay} {think} {per_connection} {depth}"


def slow_reader(rng):
    size, rate = rng.randint(2000, 65536), rng.uniform(0.2, 3)
    return stream(rng, write=rng.randint(16384, 262144), read=size,
                  read_gap=min(200000, max(3000, int(size / rate))))


def slow_writer(rng):
    gap = rng.randint(5000, 40000)
    return stream(rng, write=int(gap * rng.uniform(0.5, 5)), write_gap=gap)


def lossy(rng):
    gap = rng.randint(5000, 40000)
    return (stream(rng, write=int(gap * rng.uniform(0.3, 1)), write_gap=gap),
            (rng.randint(500, 5000), rng.randint(20, 80)))


def small(rng, **buffer):
    return stream(rng, **buffer), (rng.randint(6000, 30000), 0)


def heartbeats(rng):
    size, gap = rng.randint(8, 50), rng.randint(60000, 250000)
    if rng.random() < 0.5:  # both sides at one pace
        return f"cross {size} {gap} {size} {gap} 1"
    return f"cross {size} {gap} {rng.randint(8, 1500)} {rng.randint(20000, 400000)} 0"


NOT_THE_SERVER = ("None", "Network/delay")

SCENARIOS = {
    "slow reader": Scenario(
        slow_reader, ("ReceiverApplication", "ReceiverApplication"), ("", "ReceiverApplication"),
        "a sender alone cannot know whether the program or the buffer behind a full window is too small; a "
        "receiver alone sees its own queue"),
    "slow writer": Scenario(
        slow_writer, ("SenderApplication", "SenderApplication"), ("", ""),
        "a sender alone cannot tell a slow program from an idle connection, a receiver alone cannot tell it "
        "from a slow network"),
    "slow server": Scenario(
        lambda rng: turns(rng, rng.randint(25000, 180000), rng.choice((0, rng.randint(0, 30000))),
                          rng.choice((0, 0, 3))),
        ("Server", "Server"), ("Server", "Server"), "the one waits, the other takes its time"),
    "small window": Scenario(
        lambda rng: small(rng, rcvbuf=rng.randint(4096, 32768)), ("ReceiverWindow", "ReceiverWindow"),
        ("", ""), "as for a slow reader; and a receiver does not know what its sender waits for",
        relayed=True),
    "small buffer": Scenario(
        lambda rng: small(rng, sndbuf=rng.randint(4608, 32768)), ("SenderBuffer", "SenderBuffer"),
        ("SenderBuffer", ""), "only the sender knows", relayed=True),
    "loss": Scenario(lossy, ("Network/loss", "Network/loss"), ("Network/loss", ""),
                     "only the sender counts what it sends again", relayed=True),
    "delay": Scenario(
        lambda rng: (turns(rng, rng.randint(0, 1000), rng.choice((0, rng.randint(0, 10000)))),
                     (rng.randint(7000, 40000), 0)),
        ("Network/delay", "Network/delay"), ("Network/delay", "Network/delay"),
        "the handshake tells both ends how long the path is", relayed=True),
    "full backlog": Scenario(
        lambda rng: f"backlog {rng.randint(1, 8)} {rng.choice((0, rng.randint(500000, 1000000)))} "
                    f"{rng.randint(40, 60)} {rng.randint(10000, 60000)}",
        ("Listener", ""), ("", ""), "the connections that the server has are in order; a client alone sees "
        "SYNs without an answer, as of a lossy network", listener="Listener"),
    "refused": Scenario(lambda rng: f"refused {rng.randint(10000, 200000)}", ("ConnectFailure", ""),
                        ("ConnectFailure", ""), "nobody is there, so there is no second end"),
    "requests": Scenario(lambda rng: turns(rng, 0, rng.randint(1000, 8000)), ("None", "None"),
                         ("None", "None"), "healthy"),
    "keep-alive": Scenario(lambda rng: turns(rng, 0, rng.randint(50000, 200000)), ("None", "None"),
                           ("None", "None"), "a client that thinks is no slow sender"),
    "short connections": Scenario(lambda rng: turns(rng, 0, rng.randint(10000, 60000), 1),
                                  ("None", "None"), ("None", "None"), "healthy"),
    "full speed": Scenario(
        lambda rng: stream(rng, write=rng.randint(16384, 262144), life=250000), ("None", "None"),
        ("None", ""), "healthy; but a receiver alone does not know whether its sender could send more"),
    "downloads": Scenario(
        lambda rng: turns(rng, 0, rng.randint(20000, 200000), response=(100000, 2000000)), ("None", "None"),
        ("None", "None"), "healthy; an answer in many reads may be messages that nobody asked for, though",
        vague=True),
    "lossy requests": Scenario(
        lambda rng: (turns(rng, rng.randint(0, 1000), rng.randint(0, 5000)),
                     (rng.randint(500, 4000), rng.randint(20, 60))),
        ("Network/loss", "Network/loss"), ("Network/loss", "Network/loss"),
        "each end sends, though not always enough to be sure", relayed=True, vague=True),
    "uploads": Scenario(
        lambda rng: (turns(rng, 0, rng.randint(0, 20000), request=(200000, 2000000), response=(70, 300)),
                     (rng.randint(2000, 20000), 0)),
        (NOT_THE_SERVER, NOT_THE_SERVER), (NOT_THE_SERVER, NOT_THE_SERVER),
        "healthy, but for a path that may be long; what takes its time is the request", relayed=True,
        vague=True),
    "pipelining": Scenario(
        lambda rng: turns(rng, rng.randint(1000, 40000), 0, depth=rng.randint(2, 8)), ("", ""),
        (("None", "Server"), ""), "how long a response took is not known; a client alone does not know that, "
        "but it waits for the server and for nothing else", vague=True),
    "pushes": Scenario(lambda rng: f"cross 0 0 {rng.randint(20, 2000)} {rng.randint(5000, 200000)} 0",
                       ("None", "None"), ("None", "None"), "nobody asked, so nothing is a late answer",
                       vague=True),
    "heartbeats": Scenario(heartbeats, ("None", "None"), ("None", "None"),
                           "as for pushes, though they alternate", vague=True),
    "interleaved": Scenario(
        lambda rng: f"cross {rng.randint(100, 2000)} {rng.randint(3000, 50000)} "
                    f"{rng.randint(100, 8000)} {rng.randint(3000, 50000)} 0",
        ("None", "None"), ("None", "None"), "many requests at once in one connection, as of HTTP/2",
        vague=True),
}
# What is measured at the same time: light things together, what needs the CPU alone.
GROUPS = (("slow reader", "slow writer", "slow server"), ("small window", "small buffer"), ("loss",),
          ("delay", "refused"), ("full backlog", "keep-alive"), ("requests", "short connections"),
          ("full speed",), ("downloads",), ("lossy requests",), ("uploads",),
          ("pipelining", "pushes", "heartbeats"), ("interleaved",))


@dataclasses.dataclass
class Case:
    name: str
    port: int
    line: str
    rule: tuple

    def spec(self, apart):
        addresses = (RELAYED if apart else LOOP) if SCENARIOS[self.name].relayed else VETH
        address = addresses[1] if apart or SCENARIOS[self.name].relayed else "127.0.0.1"
        kind, rest = self.line.split(" ", 1)
        return f"{kind} {address} {self.port} {rest}"


def make_cases():
    cases = {}
    for index, (name, scenario) in enumerate(SCENARIOS.items()):
        rng = random.Random(SEED * 1000 + index)
        for time in range(TIMES):
            line, rule = scenario.make(rng) if scenario.relayed else (scenario.make(rng), (0, 0))
            cases.setdefault(name, []).append(Case(name, FIRST_PORT + 100 * index + time, line, rule))
    return cases


CASES = make_cases()


@pytest.fixture(scope="module")
def world():
    print("seed", SEED, "(repeat with NPT_SEED)")
    with World() as made:
        made.relays([(case.port, *case.rule) for cases in CASES.values() for case in cases
                     if SCENARIOS[case.name].relayed])
        yield made


@contextlib.contextmanager
def busy_loops():
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOAD)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def verdict(edge):
    finding = edge["finding"]
    return "/".join(filter(None, (finding["verdict"], finding.get("cause", ""))))


def is_first(case, edge):
    """The sender or the client."""
    if case.line.startswith("stream down"):
        return edge["role"] == "server"
    return edge["role"] == "client"


def numbers(edge):
    """What a wrong verdict was made of."""
    time = sum(edge["limited"].values()) or 1
    parts = {name[:-6]: value * 100 // time for name, value in edge["limited"].items()}
    for name in ("rtt", "response", "unread", "read", "connect"):
        metric = edge.get(name, {"count": 0, "micros": {"p50": 0, "p95": 0, "sum": 0}})
        parts[name] = [metric["count"], *(metric["micros"].get(key, 0) for key in ("count", "p50", "p95"))]
        if name == "unread":
            parts["unread%"] = metric["micros"]["sum"] * 100 // time
        if name == "response":
            parts["overlapped"] = metric.get("overlapped")
    return {"seconds": time / 1e6, **parts, "sent": edge["sent"], "received": edge["received"],
            "retransmit": edge["retransmit"], "queue": edge["queue"], "writes": edge["write"]["count"],
            "connections": edge["connections"]}


LOSS_PERMILLE = 10  # NPT_FINDING_LOSS_PERMILLE: less of it is no finding


def is_spared(edge):
    """The path drops at random: of few segments it may have dropped none, and nothing is wrong then.

    That retransmissions are those of TCP_INFO is shown elsewhere (test_failures.py)."""
    again = edge["retransmit"]["segments"] - edge["retransmit"]["syn"] - edge["retransmit"]["spurious"]
    return again * 1000 < LOSS_PERMILLE * (edge["sent"]["segments"] + again)


class Tally:
    """Verdicts of one end of one scenario."""

    def __init__(self, name, where, right):
        self.name, self.where = name, where
        self.right = right if isinstance(right, tuple) else (right,) if right else ()
        self.counts = {"right": 0, "Unknown": 0, "wrong": 0}
        self.wrong = []

    def add(self, case, edge):
        got = verdict(edge)
        kind = "Unknown" if got == "Unknown" else "right" if got in self.right else "wrong"
        if got == "None" and "Network/loss" in self.right and is_spared(edge):
            kind = "right"
        self.counts[kind] += 1
        if kind == "wrong" or VERBOSE:
            text = f"{case.line} {case.rule}: {got}: {edge['finding']['text']}"
            print(f"  {self.where} {edge['role']}: {text}\n    {numbers(edge)}")
            if kind == "wrong":
                self.wrong.append(text)

    def problems(self):
        print(f"{self.name:18} {self.where:15} {'/'.join(self.right) or '-':20}",
              *(f"{count:3} {kind}" for kind, count in self.counts.items()))
        if self.wrong:
            yield f"{self.name}, {self.where}, wrong: {self.wrong[0]}"
        if not self.right or SCENARIOS[self.name].vague or LOAD or self.where.endswith("listener"):
            return
        if sum(self.counts.values()) < TIMES or self.counts["Unknown"] > UNKNOWN_MAX:
            yield f"{self.name}, {self.where}: {self.counts} of {TIMES}"


def is_listener(edge):
    return edge["role"] == "server" and edge["peer"]["kind"] == "address" and not edge["peer"]["address"]


def judge(name, world, reports):
    scenario = SCENARIOS[name]
    tallies = {}
    for where, right in (("pair", scenario.pair), ("apart", scenario.apart)):
        for end, verdicts in zip(("first", "second", "listener"), (*right, scenario.listener)):
            tallies[where, end] = Tally(name, f"{where}, {end}", verdicts)
    by_port = {case.port: case for case in CASES[name]}
    for namespace, report in reports.items():
        for edge in report["edges"]:
            case = by_port.get(edge["peer"]["port"])
            if case:
                end = "listener" if is_listener(edge) else "first" if is_first(case, edge) else "second"
                tallies["pair" if namespace == world.one else "apart", end].add(case, edge)
    return tallies.values()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].replace(" ", "-"))
def test_verdicts(world, group):
    cases = [case for name in group for case in CASES[name]]
    with busy_loops():
        reports = world.measure(
            [(world.one, "server", [case.spec(False) for case in cases]),
             (world.far, "server", [case.spec(True) for case in cases]),
             (world.one, "client", [case.spec(False) for case in cases]),
             (world.near, "client", [case.spec(True) for case in cases])], SECONDS)
    problems = [problem for name in group for tally in judge(name, world, reports)
                for problem in tally.problems()]
    assert not problems, "\n".join(problems)
