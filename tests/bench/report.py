# SPDX-License-Identifier: Apache-2.0
"""What a benchmark says: each number as a line of JSON and as a row of a table, with its bar beside.

A number of several rounds is their median; +- is half of what lies between the quartiles, so half of the
rounds lie within. Noise is that, or what "nothing again" differs from "nothing" if it is more. A bar that
is met or missed by less is so "within noise": it wants a quieter machine or more rounds.
"""
import json
import os
import pathlib
import platform
import statistics
import time

from bars import BARS

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench/results.jsonl"


def spread(values):
    if len(values) < 3:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def verdict(bar, value, noise):
    """(met, words)"""
    lacking = bar.missed_by(value)
    words = "met" if lacking <= 0 else f"missed by {number(lacking)}"
    if abs(lacking) < noise:
        words += f" (within noise, {number(noise)})"
    return lacking <= 0, words


def number(value):
    if isinstance(value, str):
        return value
    if value == round(value):
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


class Report:
    """Lines are written as they come, so that an interrupted run leaves what it has."""

    def __init__(self, path=RESULTS, append=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a" if append else "w", encoding="utf-8")
        self.missed, self.name = [], ""
        self.write(what="machine", kernel=platform.release(), cpus=os.cpu_count(), load=os.getloadavg()[0],
                   time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    def write(self, **values):
        self.file.write(json.dumps(values) + "\n")
        self.file.flush()

    def part(self, name, words):
        """Begins a table."""
        self.name = name
        print(f"\n== {name}: {words}")
        print(f"{'what':34} {'with':26} {'value':>10} {'+-':>8} {'unit':13} {'bar':>8}  verdict", flush=True)

    def add(self, what, variant, values, unit, bar=None, noise=0.0):
        """values: a number, or that of each round. noise: what else is known of it."""
        rounds = values if isinstance(values, list) else [values]
        value, within = statistics.median(rounds), spread(rounds)
        noise = max(noise, within)
        line = {"part": self.name, "what": what, "with": variant, "value": value, "spread": within,
                "unit": unit, "rounds": rounds}
        words, shown = "", ""
        if bar:
            met, words = verdict(BARS[bar], value, noise)
            shown = str(BARS[bar])
            line["bar"] = {"row": BARS[bar].row, "side": BARS[bar].side, "limit": BARS[bar].limit}
            line.update(met=met, missedBy=max(0, BARS[bar].missed_by(value)), noise=noise)
            if not met:
                self.missed.append(f"{self.name}: {what}, {variant}: {number(value)} {unit}, bar {shown}:"
                                   f" {words}")
        self.write(**line)
        within = number(within) if len(rounds) > 1 else ""
        row = f"{what:34} {variant:26} {number(value):>10} {within:>8} {unit:13} {shown:>8}  {words}"
        print(row.rstrip(), flush=True)

    def note(self, words):
        self.write(part=self.name, note=words)
        print(f"   {words}", flush=True)

    def close(self):
        print("\nBars missed: " + ("none" if not self.missed else f"{len(self.missed)}"))
        for line in self.missed:
            print("  " + line)
        self.file.close()
