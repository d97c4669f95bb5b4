# SPDX-License-Identifier: Apache-2.0
"""Times: what the agent measured against what the program itself recorded of each call.

A time of the agent's lies between two of the program's where both ends are in one thread; so do its sums,
and its quantiles but for a bucket's width (12.5 % to its midpoint) and the rounding to a microsecond."""
import bisect
import time

import pytest

from support import SEED, TIMES, FiledAgent, Namespaces, Traffic, needs_root

pytestmark = needs_root

BUCKET = 0.125
# What a program cannot know: how long it was not running between the end of a call and its look at the
# clock, and how long a softirq waited for a processor. It is rare, so it is in sums, not in quantiles.
STALLS = 0.03
STALL_MICROS = 300  # where the program has no inner time: what one such moment takes of a quantile


@pytest.fixture(scope="module")
def measured():
    print("seed", SEED, "(repeat with NPT_SEED)")
    with Namespaces() as made:
        traffic = Traffic(made.near, "all_of_it", SEED, program=TIMES)
        agent = None
        try:
            assert traffic.line() == "ready"
            agent = FiledAgent("--netns", f"/run/netns/{made.near}", "--interval", "1")
            traffic.say()
            truths = {(truth["role"], truth["port"], truth["pid"]): truth for truth in traffic.truth()}
            time.sleep(2.2)  # for a window in which nothing happens but that something lies in queues
            report = agent.report()
            traffic.bye()
            yield {"truths": truths, "report": report, "windows": agent.windows}
        finally:
            traffic.end()
            if agent:
                agent.end()


def ends(measured, port, role):
    """[(truth, edge)]"""
    found = []
    for truth in measured["truths"].values():
        if (truth["port"], truth["role"]) == (port, role):
            edge, = [edge for edge in measured["report"]["edges"] if edge["role"] == role
                     and edge["peer"]["port"] == port and edge["process"]["pid"] == truth["pid"]]
            found.append((truth, edge))
    assert found
    return found


def one_end(measured, port, role):
    found, = ends(measured, port, role)
    for edge in measured["report"]["edges"]:
        if edge["peer"]["port"] == port:  # pytest shows it if the test fails
            print(edge["role"], edge["process"]["pid"], edge["peer"]["kind"], edge["peer"].get("pid"),
                  edge["connections"])
    return found


def rank(values, permille):
    return sorted(values)[-(-permille * len(values) // 1000) - 1]


EXACT = {"p50": (500, 500), "p95": (950, 950)}
# Of a sample of a hundred or two, from a few slices of a fifth of a second, the quantile's rank is not
# that of all calls: on a busy machine the slices are not alike. Each range lies within waits of one length.
SAMPLED = {"p50": (300, 700), "p95": (910, 990)}


def check_quantiles(micros, inner, outer, ranks=EXACT):
    for name, (low, high) in ranks.items():
        least = rank(inner, low) * (1 - BUCKET) - 1
        most = rank(outer, high) * (1 + BUCKET) + 1
        assert least <= micros[name] <= most, (name, least, micros[name], most)


def check_exact(metric, inner, outer):
    """Each was timed: number and sum are known."""
    assert metric["quality"] == "exact"
    assert metric["count"] == metric["micros"]["count"] == len(outer)
    assert sum(inner) * (1 - STALLS) <= metric["micros"]["sum"] <= sum(outer) + 1
    assert metric["micros"]["max"] <= max(outer) + 1
    check_quantiles(metric["micros"], inner, outer)


@pytest.mark.parametrize("role", ["client", "server"])
def test_responses(measured, role):
    truth, edge = one_end(measured, 18601, role)
    assert edge["response"]["overlapped"] == 0
    check_exact(edge["response"], truth["inner"], truth["outer"])


def test_unread_data_waits_as_long_as_the_reader_sleeps(measured):
    truth, edge = one_end(measured, 18602, "server")
    check_exact(edge["unread"], truth["inner"], truth["outer"])


def test_writes_that_block(measured):
    truth, edge = one_end(measured, 18605, "client")
    # It begins when the socket is locked, within the call.
    inner = [max(0, took * (1 - STALLS) - STALL_MICROS) for took in truth["outer"]]
    check_exact(edge["write"], inner, truth["outer"])
    assert rank(truth["outer"], 500) > 1000, "they did not block"


def check_sampled(metric, count, samples_min):
    assert metric["count"] == count
    assert metric["quality"] in ("exact", "sampled")
    if metric["quality"] == "exact":
        assert metric["micros"]["count"] == count
    assert samples_min <= metric["micros"]["count"] <= count


def test_reads_that_wait(measured):
    for truth, edge in ends(measured, 18604, "server"):
        check_sampled(edge["read"], len(truth["outer"]), samples_min=20)
        assert edge["read"]["micros"]["max"] <= max(truth["outer"]) + 1
        check_quantiles(edge["read"]["micros"], [took - STALL_MICROS for took in truth["outer"]],
                        truth["outer"], SAMPLED)


def test_waits_in_the_accept_queue(measured):
    truth, edge = one_end(measured, 18603, "server")
    check_sampled(edge["accept"], len(truth["outer"]), samples_min=100)
    assert edge["accept"]["micros"]["max"] <= max(truth["outer"]) + 1
    check_quantiles(edge["accept"]["micros"], truth["inner"], truth["outer"], SAMPLED)


def test_connects_are_counted_and_not_longer_than_the_call(measured):
    truth, edge = one_end(measured, 18603, "client")
    metric = edge["connect"]
    assert metric["count"] == metric["micros"]["count"] == len(truth["connects"])
    assert 0 < metric["micros"]["sum"] <= sum(truth["connects"])
    check_quantiles(metric["micros"], [0], truth["connects"])


@pytest.mark.parametrize("role", ["client", "server"])
def test_closes_are_counted_and_not_longer_than_the_call(measured, role):
    truth, edge = one_end(measured, 18603, role)
    assert edge["connections"]["closed"] == len(truth["closes"])
    check_sampled(edge["close"], len(truth["closes"]), samples_min=100)
    assert edge["close"]["micros"]["max"] <= max(truth["closes"]) + 1
    assert edge["close"]["micros"]["p50"] <= rank(truth["closes"], 950) * (1 + BUCKET) + 1


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_round_trip_is_the_sockets_own_at_each_write(measured, role):
    truth, edge = one_end(measured, 18601, role)
    bounds = [bound for bound, _ in edge["rtt"]["micros"]["buckets"]]
    counts = dict.fromkeys(bounds, 0)
    for rtt in truth["rtts"]:
        assert rtt >= bounds[0]
        counts[bounds[bisect.bisect(bounds, rtt) - 1]] += 1
    moved = sum(abs(counts[bound] - count) for bound, count in edge["rtt"]["micros"]["buckets"]) // 2
    # An acknowledgement between the write and the look at TCP_INFO: only if the thread was not running.
    assert edge["rtt"]["count"] == len(truth["rtts"]) and moved <= len(truth["rtts"]) * STALLS
    assert edge["rtt"]["min"] == truth["min_rtt"]


def check_limited(edge, infos):
    """In jiffies, as the kernel counts: equal once a connection has nothing more to send."""
    seen = edge["limited"]
    assert seen["receiveWindowMicros"] == sum(info["window"] for info in infos)
    assert seen["sendBufferMicros"] == sum(info["buffer"] for info in infos)
    assert (seen["networkMicros"] + seen["receiveWindowMicros"] + seen["sendBufferMicros"]
            == sum(info["busy"] for info in infos))


def test_a_sender_limited_by_the_receivers_window(measured):
    truth, edge = one_end(measured, 18606, "client")
    check_limited(edge, truth["infos"])
    assert edge["limited"]["receiveWindowMicros"] >= truth["blocked"] * 0.9


def test_a_sender_that_blocks_in_its_writes(measured):
    truth, edge = one_end(measured, 18605, "client")
    check_limited(edge, [truth["info"]])
    assert edge["limited"]["receiveWindowMicros"] + edge["limited"]["sendBufferMicros"] > 0


def test_requests_that_cross_their_answers_are_no_turns(measured):
    """All that waited at once is one, left out; each that was asked for alone is a turn."""
    truth, edge = one_end(measured, 18612, "server")
    assert edge["response"]["count"] == truth["turns"]
    assert edge["response"]["overlapped"] == 1


@pytest.mark.parametrize("role", ["client", "server"])
def test_queues_hold_what_the_sockets_say(measured, role):
    truth, _ = one_end(measured, 18607, role)
    window = measured["windows"][-2]  # the last is that of the end
    edge, = [edge for edge in window["edges"] if edge["role"] == role and edge["peer"]["port"] == 18607]
    if role == "client":  # it waits for the window still: the interval that runs counts
        assert edge["limited"]["receiveWindowMicros"] > 0
    assert edge["queue"]["unreadBytes"] == truth["unread"]
    assert edge["queue"]["unsentBytes"] == truth["unsent"]
    assert truth["unread" if role == "server" else "unsent"] > 0


REASONS = {18608: "TCP_STATE", 18609: "TCP_ABORT_ON_CLOSE", 18610: "TCP_ABORT_ON_CLOSE"}


@pytest.mark.parametrize("port", [18608, 18609, 18610])
def test_resets_are_counted_at_both_ends_by_their_reason(measured, port):
    for role in ("client", "server"):
        truth, edge = one_end(measured, port, role)
        assert edge["resets"]["received"] == truth["received"]
        if "resets.sent.reason" in measured["report"]["unavailable"]:
            assert sum(edge["resets"]["sent"].values()) == truth["sent"]
        else:
            assert edge["resets"]["sent"] == ({REASONS[port]: truth["sent"]} if truth["sent"] else {})


def test_a_refused_connect_is_a_reset_received(measured):
    truth, edge = one_end(measured, 18611, "client")
    assert edge["resets"] == {"sent": {}, "received": truth["received"]}
