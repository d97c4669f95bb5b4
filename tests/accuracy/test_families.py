# SPDX-License-Identifier: Apache-2.0
"""Accuracy for every family of calls: many messages at once, io_uring, splice, zerocopy, error queues,
descriptors that are shared, and a TCP that does something else with plain calls. The programs are in
families/; each counts by itself what it moved."""
import pytest

from support import (FAMILIES, add_up, check_end, check_healthy, duplicates_received, measure,
                     needs_root, netstat, nft, run_in, seen_at)

pytestmark = needs_root

CALLS = ["many_messages", "nothing_moves", "zerocopy", "splice_to_socket", "ring_calls",
         "ring_waits_for_all", "passed_on", "inherited", "killed", "threads", "mapped_client",
         "mapped_server", "mapped_both", "tiny_writes", "corked", "half_closed", "older_and_new"]


def families(namespace, scenario):
    return measure(namespace, scenario, program=FAMILIES)


def check_pairs(report, truths):
    """Each end knows a process of the other side."""
    pids = {role: {truth["pid"] for truth in truths if truth["role"] == role}
            for role in ("client", "server")}
    for edge in report["edges"]:
        other = "server" if edge["role"] == "client" else "client"
        assert edge["peer"]["kind"] == "process"
        assert edge["peer"]["pid"] in pids[other]
        assert edge["process"]["pid"] in pids[edge["role"]]


def failing(scenario, reason):
    return pytest.param(scenario, marks=pytest.mark.xfail(strict=False, reason=reason))


@pytest.mark.parametrize("scenario", CALLS + ["time_stamps", "splice_from_socket", "splice_through"])
def test_equal_to_the_truth(namespaces, scenario):
    truths, report = families(namespaces.near, scenario)
    ends = [check_end(report, truth) for truth in add_up(truths)]
    check_healthy(ends, duplicates_received(namespaces.near))
    assert {edge["peer"]["port"] for edge in report["edges"]} == {truths[0]["port"]}
    check_pairs(report, truths)


def test_a_half_closed_pair_drops_nothing(namespaces):
    truths, report = families(namespaces.near, "half_closed")
    ends = [check_end(report, truth) for truth in truths]
    check_healthy(ends, duplicates_received(namespaces.near))


def test_data_in_a_syn(namespaces):
    run_in(namespaces.near, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    truths, report = families(namespaces.near, "fast_open")
    ends = [check_end(report, truth) for truth in truths]
    check_healthy(ends, duplicates_received(namespaces.near))
    check_pairs(report, truths)


# Handshakes whose last ACK is lost: the server reads what came in the SYN before it is established.
LOSES_ACKS = """table ip npt {
 chain c {
  type filter hook output priority 0;
  tcp dport 18247 tcp flags == ack ip length < 60 numgen inc mod 2 == 0 counter drop
 }
}"""


def test_data_in_a_syn_is_read_before_the_handshake_ends(namespaces):
    run_in(namespaces.near, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    nft(namespaces.near, LOSES_ACKS)
    truths, report = families(namespaces.near, "fast_open")
    for truth in truths:
        check_end(report, truth)
    check_pairs(report, truths)


@pytest.mark.parametrize("scenario", [
    "multipath",
    failing("multipath_older_listener", "the TCP socket of an MPTCP listener has no file, so the walk over "
                                        "files does not find one that is older"),
])
def test_payload_of_a_multipath_connection(namespaces, scenario):
    """One subflow carries it all, once; what MPTCP itself sent again is new payload to the subflow's
    TCP."""
    truths, report = families(namespaces.near, scenario)
    sent_again = netstat(namespaces.near, "MPTCPRetrans", "MPTcpExt")
    ends = {truth["role"]: (truth, seen_at(report, truth["role"], truth["port"])) for truth in truths}
    for role, other in (("client", "server"), ("server", "client")):
        truth, seen = ends[role]
        assert seen["connections"] == truth["connections"]
        assert seen["sent"] == truth["written"] or (sent_again and seen["sent"] > truth["written"])
        assert seen["sent"] == ends[other][1]["received"]
        assert seen["retransmits"] == truth["retransmits"]


@pytest.mark.xfail(strict=False, reason="operations of MPTCP do not touch the subflow: it stays with "
                                        "its listener's process")
def test_a_multipath_connection_belongs_to_its_program(namespaces):
    truths, report = families(namespaces.near, "multipath")
    check_pairs(report, truths)
