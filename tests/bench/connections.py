# SPDX-License-Identifier: Apache-2.0
"""Short connections (connect, 64 bytes, 1000 back, close): how many a second, of a target and of a
bystander, as a ratio to "nothing" of the same round."""
import variants
from operations import calls
from variants import INSIDE, OUTSIDE

BATCHES = 100  # of 40 connections


def measure():
    found = {}
    for what, namespace in (("target", INSIDE), ("bystander", OUTSIDE)):
        best, mean = calls(namespace, "connect", BATCHES)
        found[what], found[what + ", mean"] = 1e9 / best, 1e9 / mean
    return found


def bar_of(what, name):
    return "connects" if name in (variants.BASE, variants.OPERATIONS) and "mean" not in what else None


def part(report, rounds):
    report.part("connections", "short connections per second of one thread, both ends; ratio to \"nothing\""
                " of the same round, best batch and mean")
    seen, _ = variants.interleave(rounds, measure)
    variants.say_nothing(report, seen, lambda what: "per second")
    variants.say(report, seen, variants.ratios, "x", bar_of)
