# SPDX-License-Identifier: Apache-2.0
"""What the layers Protocol and TLS cost: nanoseconds that a call of libssl takes more, and the rate of nginx
and wrk, with https and without.

A call of libssl does a socket operation as well, so the TLS layer's own is the difference to the layers
below it, of the same round. So is the Protocol layer's rate: the ratio to Operations.
"""
import contextlib
import pathlib
import shutil
import subprocess
import tempfile

import variants
import web
from variants import AGAIN, INSIDE, NOTHING, OPERATIONS, OUTSIDE, PROTOCOL, TLS

CALL_BATCHES = 200
NAMES = (NOTHING, AGAIN, OPERATIONS, PROTOCOL, TLS)


@contextlib.contextmanager
def certificate():
    """(certificate, key), files of a server's."""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("server.pem", "server.key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=bench", "-days", "2", "-out", files[0], "-keyout", files[1]],
                       check=True, capture_output=True)
        yield files


def call_ns(namespace, files):
    output = subprocess.run(variants.within(namespace, [variants.TLS_CALLS, *files, CALL_BATCHES]),
                            capture_output=True, text=True, check=True).stdout
    best, median = (int(word) / 1000 for word in output.split())
    return best, median


def measure_calls(files):
    found = {}
    for what, namespace in (("target", INSIDE), ("bystander", OUTSIDE)):
        found[f"{what}, call"], found[f"{what}, call, median"] = call_ns(namespace, files)
    return found


def measure_rate(files, reconnect=False):
    return {what: value for what, value in web.measure(files, reconnect).items() if "p99" not in what}


def unit_of(what):
    return "per second" if "second" in what else "us" if "CPU" in what else "ns"


def say_beside(report, seen, name, base, compare, bar_of):
    """A layer's own: beside the one below it, of the same round."""
    for what in seen[name][0]:
        numbers = [compare(mine[what], below[what]) for mine, below in zip(seen[name], seen[base])]
        again = [compare(mine[what], below[what]) for mine, below in zip(seen[AGAIN], seen[NOTHING])]
        noise = max(again) - min(again) if len(again) < 3 else 2 * variants.spread(again)
        unit = "x" if compare is ratio else "ns"
        report.add(what, f"{name} beside {base}", numbers, unit, bar_of(what), noise)


def ratio(mine, below):
    return mine / below


def difference(mine, below):
    return mine - below


def part(report, rounds):
    with certificate() as files:
        report.part("tls calls", "ns per SSL_write or SSL_read of 64 bytes over loopback, added; best batch")
        seen, _ = variants.interleave(rounds, lambda: measure_calls(files), NAMES)
        variants.say_nothing(report, seen, unit_of)
        variants.say(report, seen, variants.differences, "ns", lambda what, name: None)
        say_beside(report, seen, TLS, PROTOCOL, difference,
                   lambda what: "tls.call" if what == "target, call" else None)
        if not shutil.which("nginx") or not shutil.which("wrk"):
            report.note("SKIPPED: nginx or wrk is not there (make deps)")
            return
        for name, words, reconnect in (
                ("https", "keep-alive", False),
                ("https, reconnecting", "a connection with a whole handshake for each request", True)):
            report.part(name, f"nginx and wrk, TLS 1.3, {words}, 1000 bytes, 16 connections; "
                              "ratio to \"nothing\"")
            seen, _ = variants.interleave(rounds, lambda how=reconnect: measure_rate(files, how), NAMES)
            variants.say_nothing(report, seen, unit_of)
            variants.say(report, seen, variants.ratios, "x", lambda what, name: (
                "tls.rate" if name == TLS and what == "target, requests per second" else None))
            say_beside(report, seen, TLS, PROTOCOL, ratio, lambda what: None)


def protocol_part(report, rounds):
    report.part("protocol",
                "nginx and wrk as in http; what the Protocol layer adds to Operations, as a ratio")
    if not shutil.which("nginx") or not shutil.which("wrk"):
        report.note("SKIPPED: nginx or wrk is not there (make deps)")
        return
    seen, _ = variants.interleave(rounds, lambda: measure_rate(None), (NOTHING, AGAIN, OPERATIONS, PROTOCOL))
    variants.say_nothing(report, seen, unit_of)
    say_beside(report, seen, PROTOCOL, OPERATIONS, ratio,
               lambda what: "protocol.rate" if "second" in what else None)
