# SPDX-License-Identifier: Apache-2.0
"""What is compared: nothing, the floor (empty programs on the agent's hooks), and the agent with each of
its layers, in a network namespace of their own. "nothing again" tells what the machine's noise is.

Interleaved: each round runs every variant once, in a new order, and is compared with the "nothing" of the
same round, so that a machine that gets slower or faster meanwhile does not count.
"""
import contextlib
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile

from report import ROOT, spread

BUILD = ROOT / "build/release"
AGENT, CALLS, FLOOR, TLS_CALLS = (BUILD / path for path in (
    "agent/npt-agent", "tests/bench/bench-calls", "tests/bench/bench-floor", "tests/bench/bench-tls-calls"))
INSIDE, OUTSIDE = (f"nptb{os.getpid()}{end}" for end in "io")
# All is measured, whatever it costs: an agent that spares itself would look cheap.
UNLIMITED = ["--duration", "1h", "--output", "json", "--log-level", "info", "--budget-cpu", "0",
             "--budget-memory", "0"]


def agent(*options):
    return [str(AGENT), "run", "--netns", f"/run/netns/{INSIDE}", *UNLIMITED, *options]


NOTHING, AGAIN = "nothing", "nothing again"
BASE, OPERATIONS = "Base", "Operations"
PROTOCOL, TLS = "Protocol", "TLS"
VARIANTS = {
    NOTHING: None,
    AGAIN: None,
    "floor": [str(FLOOR)],
    BASE: agent("--layers", BASE),
    OPERATIONS: agent("--layers", "Base,Operations"),
}
# For those that ask for them: each with all the layers below it.
LAYERED = {
    PROTOCOL: agent("--layers", "Base,Operations,Protocol"),
    TLS: agent("--layers", "Base,Operations,Protocol,TLS"),
}


class Wrong(RuntimeError):
    """A measurement that would not mean what it says."""


@contextlib.contextmanager
def namespaces():
    """Two, each with its loopback: one that is measured and one that is not."""
    made = []
    try:
        for name in (INSIDE, OUTSIDE):
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def within(namespace, command):
    return ["ip", "netns", "exec", namespace, *map(str, command)]


@contextlib.contextmanager
def running(command):
    """Holds a measuring program while the block runs; afterwards its report is in the dictionary."""
    report = {}
    if command is None:
        yield report
        return
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.PIPE,
                                 stdout=out, stderr=subprocess.PIPE, text=True)
        try:
            line = child.stderr.readline()
            if "measuring" not in line:
                raise Wrong(f"{command[0]}: {line}")
            report["pid"] = child.pid
            yield report
        finally:
            child.stdin.close()
            child.send_signal(signal.SIGTERM)
            child.wait(60)
        out.seek(0)
        lines = out.read().splitlines()
        if lines:
            report.update(json.loads(lines[-1]))


def has_measured(name, report):
    """Raises if the agent did not do what it is timed for."""
    if name not in (BASE, OPERATIONS, PROTOCOL, TLS):
        return
    counts = [edge["connections"]["opened"] + edge["connections"]["found"] for edge in report["edges"]]
    writes = sum(edge.get("write", {}).get("count", 0) for edge in report["edges"])
    if not sum(counts) or (name != BASE and not writes):
        raise Wrong(f"{name}: the agent saw nothing of it")
    if report["cost"]["degraded"]:
        raise Wrong(f"{name}: the agent measured less: {report['cost']['degraded']}")
    calls = sum(edge.get("tlsCalls", {}).get("write", {}).get("count", 0) for edge in report["edges"])
    if name == TLS and not calls:
        raise Wrong(f"{name}: the agent saw no call of a TLS library")


def progress(words):
    if sys.stderr.isatty():
        print(f"\r{words:60}\r", end="", file=sys.stderr, flush=True)


def interleave(rounds, measure, names=tuple(VARIANTS)):
    """{variant: [what measure() gave in each round]}; in "reports" the agent's last report of each."""
    commands = {**VARIANTS, **LAYERED}
    seen, reports = {name: [] for name in names}, {}
    for number in range(rounds):
        order = list(names)
        random.shuffle(order)
        for name in order:
            progress(f"round {number + 1} of {rounds}: {name}")
            with running(commands[name]) as report:
                result = measure()
            has_measured(name, report)
            seen[name].append(result)
            reports[name] = report
    progress("")
    return seen, reports


def differences(seen, name, key):
    """Of each round, to the "nothing" of the same round."""
    return [mine[key] - nothing[key] for mine, nothing in zip(seen[name], seen[NOTHING])]


def ratios(seen, name, key):
    return [mine[key] / nothing[key] for mine, nothing in zip(seen[name], seen[NOTHING])]


def say_nothing(report, seen, unit_of):
    """What is without measuring."""
    for what in seen[NOTHING][0]:
        report.add(what, "nothing (in all)", [numbers[what] for numbers in seen[NOTHING]], unit_of(what))


def say(report, seen, compare, unit, bar_of):
    """A row for each number of each variant, compared by differences() or ratios()."""
    neutral = 1 if compare is ratios else 0
    for name in list(seen)[1:]:
        for what in seen[name][0]:
            again = compare(seen, AGAIN, what)
            noise = abs(statistics.median(again) - neutral) + spread(again)
            report.add(what, name, compare(seen, name, what), unit, bar_of(what, name), noise)
