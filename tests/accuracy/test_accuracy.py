# SPDX-License-Identifier: Apache-2.0
"""Accuracy: npt-agent run against programs that know what they did. Bytes and operations are equal,
not close. Each test makes its own network namespaces; the seed is printed and can be given again by
NPT_SEED."""
import json
import sys

import pytest

from support import (AGENT, HERE, SEED, Agent, Program, Traffic, add_up, check_duplicates, check_end,
                     check_healthy, duplicates_received, measure, needs_root, netstat, nft, nft_dropped,
                     sees_drops, wait_until_closed)

pytestmark = needs_root


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


def check_drops(seen, by_firewall, counted):
    """Nothing but what the firewall dropped, and what TCP of this namespace counts itself:
    duplicates, and, on a machine that is short of memory, what it had no room for."""
    drops = dict(seen["drops"])
    assert drops.pop("NETFILTER_DROP", 0) == by_firewall
    assert check_duplicates([drops], counted["duplicates"]) == counted["old timestamps"]
    assert drops.pop("PROTO_MEM", 0) == counted["no room"]
    assert (drops.pop("TCP_OFO_QUEUE_PRUNE", 0) > 0) == (counted["prunes"] > 0)
    assert drops == {}


def counted_by_tcp(namespace):
    return {
        "duplicates": duplicates_received(namespace),
        "no room": netstat(namespace, "TCPRcvQDrop") + netstat(namespace, "TCPOFODrop"),
        "old timestamps": netstat(namespace, "PAWSEstab"),
        "prunes": netstat(namespace, "OfoPruned"),
    }


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
        counted = [counted_by_tcp(name) for name in (namespaces.near, namespaces.far)]
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
        check_drops(near_seen, dropped if hook == "output" else 0, counted[0])
        check_drops(far_seen, dropped if hook == "input" else 0, counted[1])


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


def test_two_sets_of_processes_in_one_namespace_do_not_see_each_other(namespaces):
    """--pid twice at once, and a third program that nobody asked for."""
    scenarios = ["mixed", "prefork", "short_lived"]
    traffics = [Traffic(namespaces.near, scenario, SEED) for scenario in scenarios]
    agents = []
    try:
        assert [traffic.line() for traffic in traffics] == ["ready"] * 3
        agents = [Agent("--pid", str(traffic.child.pid)) for traffic in traffics[:2]]
        for traffic in traffics:
            traffic.say()
        truths = [traffic.truth() for traffic in traffics]
        for agent, own in zip(agents, truths):
            report = agent.report()
            for truth in add_up(own):
                check_end(report, truth)
            assert {edge["peer"]["port"] for edge in report["edges"]} == {truth["port"] for truth in own}
        for traffic in traffics:
            traffic.bye()
    finally:
        for program in [*traffics, *agents]:
            program.end()


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
