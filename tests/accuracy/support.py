# SPDX-License-Identifier: Apache-2.0
"""What the accuracy tests share: namespaces, programs that know what they did, the agent beside them,
and how its report is compared with the truth. The seed is printed and can be given again by NPT_SEED."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("NPT_BUILD", ROOT / "build/dev"))
AGENT = os.environ.get("NPT_AGENT", str(BUILD / "agent/npt-agent"))
# Programs that know what they did: all speak the protocol of traffic.py.
TRAFFIC = (sys.executable, str(HERE / "traffic.py"))
FAMILIES = (str(BUILD / "tests/accuracy/accuracy-families"),)
DETOURS = (sys.executable, str(HERE / "detours.py"))
FAILURES = (sys.executable, str(HERE / "failures.py"))
DATAGRAMS = (sys.executable, str(HERE / "datagrams.py"))
ALERTS = (sys.executable, str(HERE / "alerts.py"))
TIMES = (sys.executable, str(HERE / "times.py"))
TORTURE = (str(BUILD / "tests/accuracy/accuracy-torture"),)
PROGRAMS = [command[-1] for command in (TRAFFIC, FAMILIES, DETOURS, FAILURES, DATAGRAMS, ALERTS, TIMES,
                                        TORTURE)]
LAYERS = os.environ.get("NPT_LAYERS", "Base,Operations,Protocol")  # Base alone where the kernel has no more
OPERATIONS = ("writes", "written", "reads", "read")
SEED = int(os.environ.get("NPT_SEED", random.randrange(1, 1 << 31)))

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, makes namespaces")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=30)


def run_in(namespace, *command):
    return subprocess.run(["ip", "netns", "exec", namespace, *command], capture_output=True, text=True,
                          check=True, timeout=30).stdout


class Namespaces:
    """Two network namespaces, near and far, joined by a veth pair, with loopback up."""

    def __init__(self, kind=""):
        tag = f"npt{os.getpid() % 100000}{kind}"
        self.near, self.far = tag + "n", tag + "f"
        self.near_address, self.far_address = "198.18.7.1", "198.18.7.2"

    def __enter__(self):
        for name in (self.near, self.far):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", self.near, "netns", self.near, "type", "veth", "peer", "name", self.far,
           "netns", self.far)
        for name, address in ((self.near, self.near_address), (self.far, self.far_address)):
            ip("-n", name, "addr", "add", address + "/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")
        return self

    def __exit__(self, *exception):
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=30)


class Program:
    """A child that speaks lines; ended with all that it started, never left behind."""

    def __init__(self, *command, **options):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
        self.child = subprocess.Popen(command, text=True, start_new_session=True, **options)

    def line(self):
        line = self.child.stdout.readline()
        assert line, f"{self.child.args} ended with {self.child.wait(10)}"
        return line.strip()

    def say(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def end(self):
        if self.child.returncode is None:  # nobody has waited for it: the number is its own still
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(10)


class Traffic(Program):
    def __init__(self, namespace, scenario, seed, *arguments, program=TRAFFIC):
        super().__init__("ip", "netns", "exec", namespace, *program, scenario, str(seed), *arguments)

    def truth(self):
        return json.loads(self.line())

    def bye(self):
        self.say()
        assert self.child.wait(20) == 0


class Agent(Program):
    """npt-agent run --output json; ready when it says that it measures."""
    INTERVAL = "1"
    LAYERS = LAYERS

    def __init__(self, *arguments, **options):
        super().__init__(AGENT, "run", *arguments, "--layers", self.LAYERS, "--output", "json",
                         "--log-level", "info", "--duration", "120", "--interval", self.INTERVAL,
                         stderr=subprocess.PIPE, **options)
        line = self.child.stderr.readline()
        assert "measuring" in line, line + self.child.stderr.read()

    def report(self):
        """Ends the measurement; the Report, after checking that it is the sum of its Windows."""
        self.child.send_signal(signal.SIGINT)
        lines, errors = self.child.communicate(timeout=30)
        assert self.child.returncode == 0, errors
        return self.check(lines)

    def check(self, lines):
        *windows, report = [json.loads(line) for line in lines.splitlines()]
        assert report["kind"] == "Report"
        assert [window["kind"] for window in windows] == ["Window"] * len(windows)
        assert [window["sequence"] for window in windows] == list(range(1, len(windows) + 1))
        check_sum(windows, report)
        assert report["lost"] == {"events": 0, "edges": 0}, errors
        return report


class FiledAgent(Agent):
    """Its report goes to a file: it does not wait for who reads a pipe, however long it measures."""

    def __init__(self, *arguments):
        self.out = tempfile.TemporaryFile("w+")
        super().__init__(*arguments, stdout=self.out)

    def check(self, _):
        self.out.seek(0)
        lines = self.out.read()
        self.windows = [json.loads(line) for line in lines.splitlines()[:-1]]
        return super().check(lines)


GAUGES = ("p50", "p95", "p99", "min", "max", "open", "unreadBytes", "unsentBytes", "acceptBacklog",
          "acceptBacklogMax", "synBacklog")


def totals(objects):
    """Every counter of every edge, added up."""
    sums = {}

    def add(path, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in GAUGES:
                    add(path + (key,), inner)
        elif isinstance(value, int):
            sums[path] = sums.get(path, 0) + value
        elif path and path[-1] == "buckets":
            for bound, count in value:
                add(path + (bound,), count)

    for item in objects:
        for edge in item["edges"]:
            for key in ("connections", "sent", "received", "write", "read", "rtt", "connect",
                        "accept", "close", "response", "unread", "retransmit", "drops",
                        "dropsUnspecified", "resets", "limited", "queue"):
                add((edge["role"], key), edge.get(key, 0))
    return {path: value for path, value in sums.items() if value}


def check_sum(windows, report):
    """The report is the sum of its windows. Not so response times of which some are left out: messages
    that cross make them unavailable, in a window or in all."""
    sums = [totals(windows), totals([report])]
    if any("response" not in edge for item in [*windows, report] for edge in item["edges"]):
        sums = [{path: value for path, value in each.items() if path[1] != "response"} for each in sums]
    assert sums[0] == sums[1]


NOTHING = {"count": 0, "bytes": 0}  # of a layer that is off


def seen_at(report, role, port, pid=None):
    """The edges of one side of one service, added up."""
    seen = {"connections": 0, "closed": 0, "writes": 0, "written": 0, "reads": 0, "read": 0,
            "sent": 0, "received": 0, "failed": {}, "retransmits": 0, "drops": {}, "open": 0,
            "unspecified": 0}
    for edge in report["edges"]:
        if edge["role"] != role or edge["peer"]["port"] != port:
            continue
        if pid and edge["process"]["pid"] != pid:
            continue
        seen["connections"] += edge["connections"]["opened"] + edge["connections"]["found"]
        seen["closed"] += edge["connections"]["closed"]
        seen["open"] += edge["connections"]["open"]
        for operation, count, size in (("write", "writes", "written"), ("read", "reads", "read")):
            seen[count] += edge.get(operation, NOTHING)["count"]
            seen[size] += edge.get(operation, NOTHING)["bytes"]
        seen["sent"] += edge["sent"]["bytes"]
        seen["received"] += edge["received"]["bytes"]
        seen["retransmits"] += edge["retransmit"]["segments"]
        seen["unspecified"] += edge["dropsUnspecified"]
        for kind in ("failed", "drops"):
            source = edge["connections"]["failed"] if kind == "failed" else edge["drops"]
            for name, count in source.items():
                seen[kind][name] = seen[kind].get(name, 0) + count
    return seen


def check_end(report, truth, by_process=False):
    """What is null in the truth cannot be known by a program: how many chunks the kernel makes of a
    sendfile or splice, for one, and then what an operation's hook saw of its bytes."""
    seen = seen_at(report, truth["role"], truth["port"], truth["pid"] if by_process else None)
    wanted = {key: truth[key] for key in ("connections", "failed", "retransmits", "writes", "reads",
                                          "written", "read")}
    wanted["sent"] = truth.get("sent", truth["written"])
    wanted["received"] = truth.get("received", truth["read"])
    wanted = {key: value for key, value in wanted.items()
              if value is not None and ("Operations" in LAYERS or key not in OPERATIONS)}
    assert {key: seen[key] for key in wanted} == wanted
    return seen


def sees_drops(report):
    """Not every kernel tells of which socket a dropped segment was."""
    return not {"drops", "drops.received"} & set(report["unavailable"])


def check_healthy(ends, duplicates):
    """No drop but duplicates, of which there are none unless the machine stalls."""
    drops = [dict(seen["drops"]) for seen in ends]
    check_duplicates(drops, duplicates)
    assert [each for each in drops if each] == []
    assert [seen["unspecified"] for seen in ends] == [0] * len(ends)


def check_duplicates(drops, duplicates):
    """Takes them out of the drops, by whatever reason: one that a newer segment has overtaken is dropped
    for its timestamp, and the kernel counts it as a duplicate only if its data were there already."""
    old = sum(each.pop("TCP_OLD_DATA", 0) + each.pop("TCP_OLD_SEQUENCE", 0) for each in drops)
    overtaken = sum(each.pop("TCP_RFC7323_PAWS", 0) for each in drops)
    assert old <= duplicates <= old + overtaken
    return overtaken


def add_up(truths):
    """Ends of the same side and port, as one."""
    sums = {}
    for truth in truths:
        there = sums.setdefault((truth["role"], truth["port"]), dict(truth))
        if there is not truth and there["pid"] != truth["pid"]:
            for key in ("connections", "writes", "written", "reads", "read", "retransmits"):
                unknown = there[key] is None or truth[key] is None
                there[key] = None if unknown else there[key] + truth[key]
    return list(sums.values())


def measure(namespace, scenario, *arguments, program=TRAFFIC):
    print("seed", SEED, "(repeat with NPT_SEED)")
    traffic = Traffic(namespace, scenario, SEED, *arguments, program=program)
    agent = None
    try:
        assert traffic.line() == "ready"
        agent = Agent("--netns", f"/run/netns/{namespace}")
        traffic.say()
        truths = traffic.truth()
        report = agent.report()
        traffic.bye()
        return truths, report
    finally:
        traffic.end()
        if agent:
            agent.end()


def nft(namespace, text):
    return subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=text, text=True,
                          check=True, timeout=30)


def nft_dropped(namespace):
    rules = run_in(namespace, "nft", "-j", "list", "ruleset")
    counters = [part["counter"]["packets"] for item in json.loads(rules)["nftables"]
                if "rule" in item for part in item["rule"]["expr"] if "counter" in part]
    return sum(counters)


def netstat(namespace, name, group="TcpExt"):
    """One of the namespace's own counters."""
    lines = [line.split() for line in run_in(namespace, "cat", "/proc/net/netstat").splitlines()]
    names, values = [line for line in lines if line[0] == group + ":"]
    return int(values[names.index(name)])


def duplicates_received(namespace):
    """Segments with nothing new in them, by the namespace's own counter: what its peer sent twice
    though once would have done."""
    return netstat(namespace, "DelayedACKLost")


def wait_until_closed(namespace):
    """Until no connection is on its way any more; what comes then finds no socket to count it."""
    for _ in range(200):
        table = run_in(namespace, "cat", "/proc/net/tcp")
        states = {line.split()[3] for line in table.splitlines()[1:]}
        if states <= {"0A", "06"}:  # LISTEN, TIME_WAIT
            return
        time.sleep(0.05)
    raise AssertionError(f"connections stay in states {states}")
