# SPDX-License-Identifier: Apache-2.0
"""Accuracy: npt-agent run against programs that know what they did. Bytes and operations are equal,
not close. Each test makes its own network namespaces; the seed is printed and can be given again by
NPT_SEED."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
AGENT = os.environ.get("NPT_AGENT", str(HERE.parents[1] / "build/dev/agent/npt-agent"))
LAYERS = os.environ.get("NPT_LAYERS", "Base,Operations")  # Base alone where the kernel has no more
OPERATIONS = ("writes", "written", "reads", "read")
SEED = int(os.environ.get("NPT_SEED", random.randrange(1, 1 << 31)))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF, makes namespaces")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=30)


class Namespaces:
    """Two network namespaces, near and far, joined by a veth pair, with loopback up."""

    def __init__(self):
        tag = f"npt{os.getpid() % 100000}"
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


@pytest.fixture
def namespaces():
    with Namespaces() as made:
        yield made


def traffic_processes():
    found = set()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(HERE / "traffic.py").encode() in (process / "cmdline").read_bytes().split(b"\0"):
                found.add(process.name)
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def no_process_stays():
    before = traffic_processes()
    yield
    assert traffic_processes() <= before


class Program:
    """A child that speaks lines; ended with all that it started, never left behind."""

    def __init__(self, *command, **options):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, start_new_session=True, **options)

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
    def __init__(self, namespace, scenario, seed, *arguments):
        super().__init__("ip", "netns", "exec", namespace, sys.executable, str(HERE / "traffic.py"),
                         scenario, str(seed), *arguments)

    def truth(self):
        return json.loads(self.line())

    def bye(self):
        self.say()
        assert self.child.wait(20) == 0


class Agent(Program):
    """npt-agent run --output json; ready when it says that it measures."""

    def __init__(self, *arguments):
        super().__init__(AGENT, "run", *arguments, "--layers", LAYERS, "--output", "json",
                         "--log-level", "info", "--duration", "120", "--interval", "1",
                         stderr=subprocess.PIPE)
        line = self.child.stderr.readline()
        assert "measuring" in line, line + self.child.stderr.read()

    def report(self):
        """Ends the measurement; the Report, after checking that it is the sum of its Windows."""
        self.child.send_signal(signal.SIGINT)
        lines, errors = self.child.communicate(timeout=30)
        assert self.child.returncode == 0, errors
        objects = [json.loads(line) for line in lines.splitlines()]
        *windows, report = objects
        assert report["kind"] == "Report"
        assert [window["kind"] for window in windows] == ["Window"] * len(windows)
        assert [window["sequence"] for window in windows] == list(range(1, len(windows) + 1))
        check_sum(windows, report)
        assert report["lost"] == {"events": 0, "edges": 0}
        return report


def totals(objects):
    """Every counter of every edge, added up."""
    sums = {}

    def add(path, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in ("p50", "p95", "p99", "max", "open"):
                    add(path + (key,), inner)
        elif isinstance(value, int):
            sums[path] = sums.get(path, 0) + value
        elif path and path[-1] == "buckets":
            for bound, count in value:
                add(path + (bound,), count)

    for item in objects:
        for edge in item["edges"]:
            for key in ("connections", "sent", "received", "write", "read", "rtt", "connect",
                        "accept", "close", "retransmit", "drops", "dropsUnspecified"):
                add((edge["role"], key), edge.get(key, 0))
    return {path: value for path, value in sums.items() if value}


def check_sum(windows, report):
    assert totals(windows) == totals([report])


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
    seen = seen_at(report, truth["role"], truth["port"], truth["pid"] if by_process else None)
    wanted = {key: truth[key] for key in ("connections", "written", "reads", "read", "failed",
                                          "retransmits")}
    if truth["writes"] is not None:
        wanted["writes"] = truth["writes"]
    if "Operations" not in LAYERS:
        wanted = {key: value for key, value in wanted.items() if key not in OPERATIONS}
    wanted["sent"], wanted["received"] = truth["written"], truth["read"]
    assert {key: seen[key] for key in wanted} == wanted
    return seen


def sees_drops(report):
    """Not every kernel tells of which socket a dropped segment was."""
    return "drops" not in report["unavailable"]


def check_healthy(ends, duplicates):
    """No drop but duplicates, of which there are none unless the machine stalls."""
    drops = [dict(seen["drops"]) for seen in ends]
    assert sum(each.pop("TCP_OLD_DATA", 0) + each.pop("TCP_OLD_SEQUENCE", 0) for each in drops) == duplicates
    assert [each for each in drops if each] == []
    assert [seen["unspecified"] for seen in ends] == [0] * len(ends)


def add_up(truths):
    """Ends of the same side and port, as one."""
    sums = {}
    for truth in truths:
        there = sums.setdefault((truth["role"], truth["port"]), dict(truth))
        if there is not truth and there["pid"] != truth["pid"]:
            for key in ("connections", "writes", "written", "reads", "read", "retransmits"):
                there[key] += truth[key]
    return list(sums.values())


def measure(namespace, scenario, *arguments):
    print("seed", SEED, "(repeat with NPT_SEED)")
    traffic = Traffic(namespace, scenario, SEED, *arguments)
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


@pytest.mark.parametrize("scenario", ["mixed", "mixed6", "older", "by_sendfile", "exit_without_close",
                                      "short_lived", "prefork", "no_operations", "refused",
                                      "accept_and_close"])
def test_equal_to_the_truth(namespaces, scenario):
    truths, report = measure(namespaces.near, scenario)
    ends = [check_end(report, truth) for truth in add_up(truths)]
    if sees_drops(report):
        check_healthy(ends, duplicates_received(namespaces.near))
    ports = {truth["port"] for truth in truths}
    assert {edge["peer"]["port"] for edge in report["edges"]} == ports


@pytest.mark.parametrize("scenario", ["short_lived", "prefork", "exit_without_close", "mixed"])
def test_each_process_has_its_own(namespaces, scenario):
    truths, report = measure(namespaces.near, scenario)
    for truth in truths:
        check_end(report, truth, by_process=True)
        edges = [edge for edge in report["edges"] if edge["process"]["pid"] == truth["pid"]]
        assert all(edge["process"]["name"].startswith("python") for edge in edges)


def test_both_ends_of_a_connection_know_each_other(namespaces):
    truths, report = measure(namespaces.near, "mixed")
    by_role = {edge["role"]: edge for edge in report["edges"]}
    for role, other in (("client", "server"), ("server", "client")):
        peer = by_role[role]["peer"]
        assert peer["kind"] == "process"
        assert peer["pid"] == by_role[other]["process"]["pid"]
        assert peer["port"] == truths[0]["port"]
        assert peer["asked"] == f"127.0.0.1:{truths[0]['port']}"


def test_older_connections_have_roles_and_pairs(namespaces):
    _, report = measure(namespaces.near, "older")
    assert sorted(edge["role"] for edge in report["edges"]) == ["client", "server"]
    assert all(edge["peer"]["kind"] == "process" for edge in report["edges"])
    assert all(edge["connections"]["opened"] == 0 for edge in report["edges"])


def nft(namespace, text):
    return subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=text, text=True,
                          check=True, timeout=30)


def nft_dropped(namespace):
    rules = subprocess.run(["ip", "netns", "exec", namespace, "nft", "-j", "list", "ruleset"],
                           capture_output=True, text=True, check=True, timeout=30).stdout
    counters = [part["counter"]["packets"] for item in json.loads(rules)["nftables"]
                if "rule" in item for part in item["rule"]["expr"] if "counter" in part]
    return sum(counters)


def duplicates_received(namespace):
    """Segments with nothing new in them, by the namespace's own counter: what its peer sent twice
    though once would have done."""
    text = subprocess.run(["ip", "netns", "exec", namespace, "cat", "/proc/net/netstat"],
                          capture_output=True, text=True, check=True, timeout=30).stdout
    names, values = [line.split() for line in text.splitlines() if line.startswith("TcpExt:")]
    return int(values[names.index("DelayedACKLost")])


def wait_until_closed(namespace):
    """Until no connection is on its way any more; what comes then finds no socket to count it."""
    for _ in range(200):
        table = subprocess.run(["ip", "netns", "exec", namespace, "cat", "/proc/net/tcp"],
                               capture_output=True, text=True, check=True, timeout=30).stdout
        states = {line.split()[3] for line in table.splitlines()[1:]}
        if states <= {"0A", "06"}:  # LISTEN, TIME_WAIT
            return
        time.sleep(0.05)
    raise AssertionError(f"connections stay in states {states}")


def check_drops(seen, by_firewall, duplicates):
    """Nothing but what the firewall dropped, and duplicates."""
    drops = dict(seen["drops"])
    assert drops.pop("NETFILTER_DROP", 0) == by_firewall
    assert drops.pop("TCP_OLD_DATA", 0) + drops.pop("TCP_OLD_SEQUENCE", 0) == duplicates
    assert drops == {}


DROP_RULE = """table ip npt {{
 chain c {{
  type filter hook {hook} priority 0;
  tcp dport 18111 tcp flags & (syn | fin | rst) == 0 ip length > 200 numgen inc mod 9 == 0 counter drop
 }}
}}"""


@pytest.mark.parametrize("hook", ["input", "output"])
def test_loss_by_a_firewall(namespaces, hook):
    """Bytes stay equal, retransmits are TCP_INFO's, drops are the firewall's own count."""
    print("seed", SEED, "(repeat with NPT_SEED)")
    where = namespaces.far if hook == "input" else namespaces.near
    nft(where, DROP_RULE.format(hook=hook))
    far = Traffic(namespaces.far, "remote_server", SEED, namespaces.far_address)
    near = Traffic(namespaces.near, "remote_client", SEED, namespaces.far_address)
    agents = []
    try:
        assert far.line() == "ready" and near.line() == "ready"
        agents = [Agent("--netns", f"/run/netns/{name}") for name in (namespaces.near, namespaces.far)]
        far.say()
        near.say()
        truths = near.truth() + far.truth()
        for name in (namespaces.near, namespaces.far):
            wait_until_closed(name)
        dropped = nft_dropped(where)
        near_report, far_report = [agent.report() for agent in agents]
        duplicates = [duplicates_received(name) for name in (namespaces.near, namespaces.far)]
        near.bye()
        far.bye()
    finally:
        for program in [far, near, *agents]:
            program.end()
    near_seen = check_end(near_report, truths[0])
    far_seen = check_end(far_report, truths[1])
    assert dropped > 0
    if hook == "input":  # on the way out TCP learns of it at once: the segment was never sent
        assert near_seen["retransmits"] > 0
    if sees_drops(near_report):
        check_drops(near_seen, dropped if hook == "output" else 0, duplicates[0])
        check_drops(far_seen, dropped if hook == "input" else 0, duplicates[1])


def test_a_connect_that_times_out(namespaces):
    nft(namespaces.far, """table ip npt {
 chain c {
  type filter hook input priority 0;
  tcp dport 18109 counter drop
 }
}""")
    truths, report = measure(namespaces.near, "timed_out", namespaces.far_address)
    truths[0]["retransmits"] = nft_dropped(namespaces.far) - 1  # all SYNs but the first
    assert check_end(report, truths[0])["retransmits"] > 0


def test_a_command_and_its_children(namespaces):
    """-- COMMAND: measured from its first moment, without its neighbours."""
    traffic = Traffic(namespaces.near, "mixed", SEED)
    try:
        assert traffic.line() == "ready"
        agent = Program("ip", "netns", "exec", namespaces.near, AGENT, "run", "--output", "json",
                        "--", sys.executable, str(HERE / "traffic.py"), "refused", str(SEED))
        assert agent.line() == "ready"
        traffic.say()
        traffic.truth()
        agent.say()
        line = agent.line()
        while not line.startswith("["):  # the agent's windows come between the command's lines
            line = agent.line()
        truth = json.loads(line)
        agent.say()
        report = json.loads(agent.child.stdout.readlines()[-1])
        assert agent.child.wait(20) == 0
    finally:
        traffic.end()
        agent.end()
    check_end(report, truth[0])
    assert {edge["peer"]["port"] for edge in report["edges"]} == {truth[0]["port"]}


def test_another_namespace_is_not_measured(namespaces):
    """The near side's traffic does not appear in a measurement of the far side."""
    traffic = Traffic(namespaces.near, "mixed", SEED)
    agent = None
    try:
        assert traffic.line() == "ready"
        agent = Agent("--netns", f"/run/netns/{namespaces.far}")
        traffic.say()
        traffic.truth()
        assert agent.report()["edges"] == []
    finally:
        traffic.end()
        if agent:
            agent.end()
