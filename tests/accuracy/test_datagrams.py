# SPDX-License-Identifier: Apache-2.0
"""UDP edges: datagrams, bytes, errors, drops; response times of DNS by the client's own clock."""
import pytest

from support import DATAGRAMS, measure, needs_root

pytestmark = needs_root


def edges_of(report, truth):
    return [edge for edge in report["edges"]
            if edge["transport"] == "udp" and edge["role"] == truth["role"]
            and edge["peer"]["port"] == truth["port"] and edge["peer"]["address"] == truth["address"]
            and edge["process"]["pid"] == truth["pid"]]


def check(report, truth):
    edge, = edges_of(report, truth)
    wanted = {"segments": truth["datagrams_sent"], "bytes": truth["sent"]}
    assert edge["sent"] == wanted
    if truth["received"] is not None:
        assert edge["received"] == {"segments": truth["datagrams_received"], "bytes": truth["received"]}
    assert edge["connections"]["failed"] == truth["failed"]
    return edge


@pytest.mark.parametrize("scenario", ["connected", "connected6", "named_in_the_call", "older", "chosen_port",
                                      "refused"])
def test_datagrams_are_equal_to_the_truth(namespaces, scenario):
    truths, report = measure(namespaces.near, scenario, program=DATAGRAMS)
    for truth in truths:
        assert check(report, truth)["drops"] == {}


def rank(values, permille):
    return sorted(values)[-(-permille * len(values) // 1000) - 1]


def test_responses_of_dns_are_those_that_the_client_saw(namespaces):
    truths, report = measure(namespaces.near, "connected", program=DATAGRAMS)
    client = truths[0]
    seen = check(report, client)["response"]
    assert seen["count"] == len(client["responses"])
    for name, permille in (("p50", 500), ("p95", 950)):
        wanted = rank(client["responses"], permille)
        # a bucket's width, and what the client's own calls and its waking take
        assert wanted * 0.85 - 3000 <= seen["micros"][name] <= wanted * 1.13


def test_what_a_receiver_has_no_room_for_is_a_drop(namespaces):
    truths, report = measure(namespaces.near, "overrun", program=DATAGRAMS)
    client, server = truths
    check(report, client)
    assert check(report, server)["drops"] == {"SOCKET_RCVBUFF": server["dropped"]}
    assert server["dropped"] > 0
