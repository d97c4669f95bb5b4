# SPDX-License-Identifier: Apache-2.0
"""Budget: driven past it, the agent measures less, step by step, and says so; what it still measures is
as exact as before. Agents at once: one far over its CPU budget, two over their memory budget, one at a
quiet program with the default budget."""
import json
import re
import subprocess
import time

import pytest

from kernel_objects import links_of
from support import SEED, TORTURE, Agent, Namespaces, Program, Traffic, needs_root

pytestmark = needs_root

STEPS = ["execution times are sampled in a quarter of the time",
         "execution times of reads, accept waits and closes are off",
         "layer Operations is off",
         "sockets are read every 5 s"]
STEP = re.compile(r"since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.+): "
                  r"(\d+) of (\d+) (millicores|MiB) used")
PATIENCE = 3  # NPT_BUDGET_PATIENCE
SECONDS = 40  # at most, until all steps are taken; 13 if nothing stalls
OPERATIONS = {"sock_send_length", "sock_recv_length", "tcp_sendmsg_locked", "tcp_rcv_space_adjust",
              "skb_copy_datagram_iovec",
              "sk_data_ready"}
SWITCHED_OFF = "switched off to keep to the budget; cost.degraded says when"


class Measured(Agent):
    """An agent whose windows are read while it runs."""

    def __init__(self, namespace, *arguments):
        super().__init__("--netns", f"/run/netns/{namespace}", *arguments)
        self.windows = []

    def degraded(self):
        """What the next window says."""
        self.windows.append(json.loads(self.line()))
        return self.windows[-1]["cost"]["degraded"]

    def finish(self):
        self.child.send_signal(2)
        lines = self.child.stdout.read()  # communicate() would lose what line() has read ahead
        assert self.child.wait(30) == 0, self.child.stderr.read()
        *windows, self.report = map(json.loads, lines.splitlines())
        self.windows += windows
        return self.report


class Torture(Traffic):
    """1,000 connections a second; truth: how many, and how many bytes from clients and from servers."""

    def __init__(self, namespace, ports, slice_ms):
        Program.__init__(self, "ip", "netns", "exec", namespace, *TORTURE, "1000", str(ports),
                         str(slice_ms), "2")
        assert self.line() == "ready"

    def truth(self):
        self.say()
        connections = []
        while (line := self.line()) != "end":
            connections.append([int(word) for word in line.split()])
        time.sleep(0.25)  # the last segments of the last connections may wait for a softirq's thread
        return {"connections": len(connections), "asked": 2 * sum(one[3] for one in connections),
                "answered": 2 * sum(one[4] for one in connections)}


def hooked(pid):
    """The tracepoints that a process has hooked."""
    there = json.loads(subprocess.run(["bpftool", "-j", "link", "show"], capture_output=True, text=True,
                                      check=True, timeout=30).stdout)
    links = links_of(pid)
    return {link["tp_name"] for link in there if link["id"] in links and "tp_name" in link}


def all_at_once(near, far, programs):
    """The three measurements; what the tests want to know of them."""
    programs.append(quiet := Measured(far.near))
    programs.append(poor := Measured(near.near, "--budget-cpu", "1"))
    programs.append(narrow := Measured(near.far, "--budget-memory", "1", "--layers", "Base"))
    programs.append(sampling := Measured(near.far, "--budget-memory", "1"))
    programs.append(sleeper := subprocess_in(far.near))
    programs.append(traffic := Torture(near.near, 64, 10))  # each edge in each second
    programs.append(spread := Torture(near.far, 512, 100))  # new edges all the time
    before = hooked(poor.child.pid)
    traffic.say()
    spread.say()
    end = time.monotonic() + SECONDS
    while len(poor.degraded()) < len(STEPS) and time.monotonic() < end:
        for other in (narrow, sampling, quiet):
            other.degraded()
    during = hooked(poor.child.pid)
    time.sleep(1.5)  # in which nothing but the last rung holds
    truths = traffic.truth(), spread.truth()
    assert sleeper.child.poll() is None
    return {"poor": poor, "narrow": narrow, "quiet": quiet, "hooks": (before, during), "truths": truths,
            "reports": [agent.finish() for agent in (poor, narrow, quiet, sampling)]}


def subprocess_in(namespace):
    return Program("ip", "netns", "exec", namespace, "sleep", "600")


@pytest.fixture(scope="module")
def measured():
    print("seed", SEED)
    programs = []
    with Namespaces() as near, Namespaces("q") as far:
        try:
            yield all_at_once(near, far, programs)
        finally:
            for program in programs:
                program.end()


def sums(report):
    connections = sum(edge["connections"]["opened"] for edge in report["edges"])
    closed = sum(edge["connections"]["closed"] for edge in report["edges"])
    by_role = {(edge["role"], way): 0 for edge in report["edges"] for way in ("sent", "received")}
    for edge in report["edges"]:
        for way in ("sent", "received"):
            by_role[edge["role"], way] += edge[way]["bytes"]
    return connections, closed, by_role


def test_over_its_cpu_budget_it_goes_down_step_by_step_and_says_when_and_why(measured):
    found = [STEP.fullmatch(text) for text in measured["reports"][0]["cost"]["degraded"]]
    assert [match[2] for match in found] == STEPS
    assert all(int(match[3]) > int(match[4]) == 1 and match[5] == "millicores" for match in found)
    times = [match[1] for match in found]
    assert times == sorted(set(times))
    # Each step had its seconds of patience; those of one step are in each window after it.
    seconds = [time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) for text in times]
    assert all(later - earlier >= PATIENCE - 1 for earlier, later in zip(seconds, seconds[1:]))
    said = [window["cost"]["degraded"] for window in measured["poor"].windows]
    assert all(later[:len(earlier)] == earlier for earlier, later in zip(said, said[1:]))


def test_what_was_switched_off_is_unavailable_and_no_longer_hooked(measured):
    before, during = measured["hooks"]
    assert OPERATIONS <= before
    assert during == before - OPERATIONS - {"sys_enter", "sys_exit"}
    unavailable = measured["reports"][0]["unavailable"]
    for name in ("write", "read", "rtt", "response", "unread", "accept.micros", "close.micros"):
        assert unavailable[name] == SWITCHED_OFF
    for edge in measured["poor"].windows[-2]["edges"]:
        assert edge.get("write", {"count": 0})["count"] == edge.get("read", {"count": 0})["count"] == 0


def test_connections_and_bytes_stay_exact_on_the_lowest_rung(measured):
    truth = measured["truths"][0]
    connections, closed, by_role = sums(measured["reports"][0])
    assert (connections, closed) == (2 * truth["connections"],) * 2
    assert by_role == {("client", "sent"): truth["asked"], ("client", "received"): truth["answered"],
                       ("server", "sent"): truth["answered"], ("server", "received"): truth["asked"]}
    assert measured["reports"][0]["lost"] == {"events": 0, "edges": 0}


def test_over_its_memory_budget_new_edges_are_counted_in_other(measured):
    report, truth = measured["reports"][1], measured["truths"][1]
    step, = [STEP.fullmatch(text) for text in report["cost"]["degraded"]]
    assert (step[2], step[4], step[5]) == ("new edges are counted in other", "1", "MiB")
    connections, closed, _ = sums(report)
    assert report["other"]["edges"] == report["lost"]["edges"] > 0
    assert connections + report["other"]["edges"] == 2 * truth["connections"]
    assert connections == closed
    ports = sorted({edge["peer"]["port"] for edge in report["edges"]})
    assert ports == list(range(19000, 19000 + len(ports))), "the first ones have edges, the later none"


def test_a_timed_accept_is_not_counted_in_other_twice(measured):
    report, truth = measured["reports"][3], measured["truths"][1]
    assert sums(report)[0] + report["other"]["edges"] == 2 * truth["connections"]


def test_with_the_default_budget_a_quiet_program_is_measured_in_full(measured):
    report = measured["reports"][2]
    assert report["cost"]["degraded"] == []
    assert report["unavailable"] == {}
