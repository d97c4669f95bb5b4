# SPDX-License-Identifier: Apache-2.0
"""Accuracy of what does not get through: connects that fail, told apart by errno; lost segments, by a
queue on the way out or a firewall, against the socket's own count."""
import json

import pytest

from failures import FATES
from support import (FAILURES, SEED, TRAFFIC, Agent, Traffic, check_end, duplicates_received, measure,
                     needs_root, netstat, nft, nft_dropped, run_in, wait_until_closed)

pytestmark = needs_root


def fate_rules():
    """At the far side: what happens to a SYN, by its source port. Nobody listens there."""
    verdicts = {"closed": "accept", "reset": "reject with tcp reset", "swallowed": "drop",
                "host": "reject with icmp type host-unreachable",
                "net": "reject with icmp type net-unreachable",
                "admin": "reject with icmp type admin-prohibited", "given_up": "drop"}
    rules = "\n".join(f"  tcp dport 18401 tcp sport {FATES[fate]}-{FATES[fate] + 99} counter {verdict}"
                      for fate, verdict in verdicts.items())
    return f"table ip npt {{\n chain c {{\n  type filter hook input priority 0;\n{rules}\n }}\n}}"


@pytest.mark.parametrize("scenario", [
    "connects",
    pytest.param("connects_in_haste", marks=pytest.mark.xfail(
        strict=False, reason="an ICMP error that found the socket busy (sk_err_soft) and that the program "
                             "takes by SO_ERROR leaves no trace: it counts as ECANCELED")),
])
def test_connects_that_fail_are_told_apart(namespaces, scenario):
    run_in(namespaces.far, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
    nft(namespaces.far, fate_rules())
    truths, report = measure(namespaces.near, scenario, namespaces.far_address, program=FAILURES)
    truth, = truths
    # The firewall has seen every SYN: those that were not the first of their connect were sent again.
    assert truth["retransmits"] == nft_dropped(namespaces.far) - truth["attempts"]
    assert set(truth["failed"]) == {"ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ECANCELED"}
    check_end(report, truth)
    syns = sum(edge["retransmit"]["syn"] for edge in report["edges"])
    assert syns == truth["retransmits"]


def both_sides(namespaces, client, server, program, measured):
    """Client near, server far, an agent at each; what measured() says when all is closed."""
    print("seed", SEED, "(repeat with NPT_SEED)")
    names = (namespaces.near, namespaces.far)
    far = Traffic(namespaces.far, server, SEED, namespaces.far_address, program=program)
    near = Traffic(namespaces.near, client, SEED, namespaces.far_address, program=program)
    agents = []
    try:
        assert far.line() == "ready" and near.line() == "ready"
        agents = [Agent("--netns", f"/run/netns/{name}") for name in names]
        far.say()
        near.say()
        truths = near.truth() + far.truth()
        for name in names:
            wait_until_closed(name)
        said = measured()
        reports = [agent.report() for agent in agents]
        near.bye()
        far.bye()
        return truths, reports, said
    finally:
        for each in [far, near, *agents]:
            each.end()


# Too short for what TCP sends at once; tbf cuts large segments up, so that single ones are lost. Only
# data goes that way: a program cannot see that its FIN was sent again.
QUEUES = {
    "tbf": ["class add dev DEV parent 1: classid 1:10 htb rate 10gbit",
            "qdisc add dev DEV parent 1:10 tbf rate 200mbit burst 20k limit 30k"],
    "htb": ["class add dev DEV parent 1: classid 1:10 htb rate 200mbit",
            "qdisc add dev DEV parent 1:10 pfifo limit 3"],
}
DATA_TO_THE_QUEUE = """table ip npt {
 chain c {
  type filter hook output priority 0;
  tcp dport 18111 ip length > 200 meta priority set 1:10
 }
}"""


def make_queue(namespace, kind):
    for command in ["qdisc add dev DEV root handle 1: htb", *QUEUES[kind]]:
        run_in(namespace, "tc", *command.replace("DEV", namespace).split())
    nft(namespace, DATA_TO_THE_QUEUE)


def queue_dropped(namespace):
    queues = json.loads(run_in(namespace, "tc", "-s", "-j", "qdisc", "show", "dev", namespace))
    return max(queue["drops"] for queue in queues)


@pytest.mark.parametrize("kind", ["tbf", "htb"])
def test_loss_by_a_queue(namespaces, kind):
    """The sender's own queue: its drops have a socket, and are the queue's own count."""
    make_queue(namespaces.near, kind)
    truths, reports, said = both_sides(namespaces, "remote_client", "remote_server", TRAFFIC,
                                          lambda: (queue_dropped(namespaces.near),
                                                   duplicates_received(namespaces.far)))
    dropped, duplicates = said
    near, far = [check_end(report, truth) for report, truth in zip(reports, truths)]
    assert near["retransmits"] > 0
    assert set(near["drops"]) == {"QDISC_DROP"}
    if kind == "htb":  # whole, as TCP sent them; of what tbf cuts up, some have no socket any more
        assert near["drops"]["QDISC_DROP"] == dropped
    else:
        assert dropped * 9 // 10 <= near["drops"]["QDISC_DROP"] <= dropped
    assert set(far["drops"]) <= {"TCP_OLD_DATA", "TCP_OLD_SEQUENCE", "TCP_RFC7323_PAWS"}
    assert sum(far["drops"].values()) <= duplicates


LOSES_EVERY_OTHER = """table ip npt {
 chain c {
  type filter hook input priority 0;
  tcp dport 18501 ip length > 200 numgen inc mod 2 == 0 counter drop
 }
}"""


def lose_tails(namespaces):
    nft(namespaces.far, LOSES_EVERY_OTHER)
    return both_sides(namespaces, "tail_client", "tail_server", FAILURES,
                      lambda: (nft_dropped(namespaces.far), netstat(namespaces.near, "TCPLossProbes")))


def test_a_lost_tail_is_sent_again_once(namespaces):
    truths, reports, (dropped, probes) = lose_tails(namespaces)
    near, far = [check_end(report, truth) for report, truth in zip(reports, truths)]
    assert probes >= near["retransmits"] >= dropped > 0
    assert far["drops"].get("NETFILTER_DROP") == dropped


def test_lost_tails_are_told_from_other_retransmits(namespaces):
    _, reports, (_, probes) = lose_tails(namespaces)
    assert sum(edge["retransmit"]["tailLoss"] for edge in reports[0]["edges"]) == probes > 0


LOSES_ON_LOOPBACK = """table inet npt {
 chain c {
  type filter hook input priority 0;
  iif lo tcp dport 18101 meta length > 300 numgen inc mod 7 == 0 counter drop
 }
}"""


@pytest.mark.parametrize("scenario", ["mixed", "mixed6"])
def test_a_packet_without_a_socket_is_found_by_its_ends(namespaces, scenario):
    """On loopback a packet belongs to no socket any more when the firewall drops it: the edge is the
    client's, of whichever direction it was."""
    nft(namespaces.near, LOSES_ON_LOOPBACK)
    truths, report = measure(namespaces.near, scenario)
    dropped = nft_dropped(namespaces.near)
    seen = {truth["role"]: check_end(report, truth) for truth in truths}
    assert seen["client"]["drops"].get("NETFILTER_DROP") == dropped > 0
    assert "NETFILTER_DROP" not in seen["server"]["drops"]
