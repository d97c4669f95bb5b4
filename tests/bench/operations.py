# SPDX-License-Identifier: Apache-2.0
"""Cost per operation, in nanoseconds: of a target's ping-pong over loopback, of the same outside of scope,
and of a call that is nobody's business (getppid)."""
import subprocess

import variants
from variants import INSIDE, OUTSIDE


def calls(namespace, kind, batches):
    """Nanoseconds per operation: of the best batch, and the mean."""
    output = subprocess.run(variants.within(namespace, [variants.CALLS, kind, batches]),
                            capture_output=True, text=True, check=True).stdout
    best, _, mean = (int(word) / 1000 for word in output.split())
    return best, mean


WHAT = [("target", INSIDE, "self", 600), ("bystander", OUTSIDE, "self", 600),
        ("getppid", OUTSIDE, "getppid", 5000)]  # some seconds: a slice comes every 2


def measure():
    numbers = {}
    for what, namespace, kind, batches in WHAT:
        numbers[what], numbers[what + ", mean"] = calls(namespace, kind, batches)
    return numbers


def bar_of(what, name, sliced):
    """The bar for a difference, if there is one."""
    if name not in (variants.BASE, variants.OPERATIONS):
        return None
    if name == variants.BASE:
        return "operation.Base" if what in ("target", "bystander") else None
    return {"target": "operation.Operations" if sliced else "operation.Operations.timed",
            "bystander": "operation.others",
            # Slices are there some of the time: only the mean sees them.
            "getppid": None if sliced else "getppid.trampolines",
            "getppid, mean": "getppid.slices" if sliced else "getppid.trampolines"}.get(what)


def part(report, rounds):
    report.part("operations", "ns per operation, added to \"nothing\" of the same round; best batch and mean")
    seen, reports = variants.interleave(rounds, measure)
    sliced = "slices" in reports[variants.OPERATIONS]["sources"].get("read.micros", "")
    report.note("Operations here: " + ("no trampolines, reads timed in slices" if sliced else "trampolines"))
    variants.say_nothing(report, seen, lambda what: "ns")
    variants.say(report, seen, variants.differences, "ns", lambda what, name: bar_of(what, name, sliced))
