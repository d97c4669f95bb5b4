# SPDX-License-Identifier: Apache-2.0
"""Accuracy for every family of calls: many messages at once, io_uring, splice, zerocopy, error queues,
descriptors that are shared, and a TCP that does something else with plain calls. The programs are in
families/; each counts by itself what it moved."""
import subprocess

import pytest

from support import (FAMILIES, add_up, check_end, check_healthy, duplicates_received, measure,
                     needs_root, nft, seen_at)

pytestmark = needs_root

CALLS = ["many_messages", "nothing_moves", "zerocopy", "time_stamps", "splice_to_socket",
         "splice_from_socket", "splice_through", "ring_calls", "ring_waits_for_all", "passed_on",
         "inherited", "killed", "threads", "mapped_client", "mapped_server", "mapped_both",
         "tiny_writes", "corked", "half_closed", "older_and_new"]


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


@pytest.mark.parametrize("scenario", CALLS)
def test_equal_to_the_truth(namespaces, scenario):
    truths, report = families(namespaces.near, scenario)
    ends = [check_end(report, truth) for truth in add_up(truths)]
    check_healthy(ends, duplicates_received(namespaces.near))
    assert {edge["peer"]["port"] for edge in report["edges"]} == {truths[0]["port"]}
    check_pairs(report, truths)


def sysctl(namespace, setting):
    subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", setting], check=True, timeout=30)


def test_data_in_a_syn(namespaces):
    sysctl(namespaces.near, "net.ipv4.tcp_fastopen=3")
    truths, report = families(namespaces.near, "fast_open")
    ends = [check_end(report, truth) for truth in truths]
    check_healthy(ends, duplicates_received(namespaces.near))
    check_pairs(report, truths)


def check_totals(report, truth):
    """Payload by the sockets' own counters, whatever the operations were."""
    seen = seen_at(report, truth["role"], truth["port"])
    assert (seen["connections"], seen["sent"], seen["received"], seen["retransmits"]) == (
        truth["connections"], truth["written"], truth["received"], truth["retransmits"])


@pytest.mark.parametrize("scenario", ["splice_from_socket", "splice_through", "multipath"])
def test_bytes_are_equal_whatever_the_operations(namespaces, scenario):
    truths, report = families(namespaces.near, scenario)
    for truth in truths:
        check_totals(report, truth)
