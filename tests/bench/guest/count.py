# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest where a nanosecond is an instruction: counts what measuring adds to calls, and says
each number as a line "NPT {json}".

Usage: count.py PLAN   (a JSON file, made by tests/bench/instructions.py)
"""
import contextlib
import json
import pathlib
import platform
import subprocess
import sys
import time

import idle
import programs
from say import say

CALLS = "/npt/bench-calls"
INSIDE, OUTSIDE = "inside", "outside"
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")


def namespaces():
    for name in (INSIDE, OUTSIDE):
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)


@contextlib.contextmanager
def running(command):
    """Holds a measuring program while the block runs; gives the line with which it began."""
    if not command:
        yield None, ""
        return
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    try:
        line = child.stderr.readline().strip()
        if "measuring" not in line:
            raise RuntimeError(f"{command[0]}: {line}")
        time.sleep(1.5)
        yield child.pid, line
    finally:
        child.terminate()
        child.wait(60)


def count(where, kind, batches):
    """Instructions per operation: the mean by CPU time, so without other tasks, in thousandths. The
    kernel's ticks are in it."""
    output = subprocess.run(["ip", "netns", "exec", where, CALLS, kind, str(batches)], capture_output=True,
                            text=True, check=True).stdout
    return int(output.split()[2])


def spent(kind, batches):
    """{program: {"runs": in all, "instructions": per run}} of each program, for calls inside; the kernel's
    own reading of the clock is part of it, the same for all."""
    STATS.write_text("1")
    before = programs.ran("")
    count(INSIDE, kind, batches)
    after = programs.ran("")
    STATS.write_text("0")
    found = {}
    for name, (ns, times) in after.items():
        runs = times - before.get(name, (0, 0))[1]
        if runs:
            found[name] = {"runs": runs, "instructions": (ns - before.get(name, (0, 0))[0]) / runs}
    return found


def walk(command, sockets, seconds):
    """Instructions per second of an agent with so many idle sockets in scope."""
    with idle.held(INSIDE, sockets // 2), running(command) as (pid, _):
        before = idle.cpu_ns(pid)
        time.sleep(seconds)
        return (idle.cpu_ns(pid) - before) / seconds


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text()
    say("kernel", release=platform.release(), clock=clock.strip(), loop=count(OUTSIDE, "loop", 20))
    for variant in plan["variants"]:
        with running(variant["command"]) as (_, words):
            numbers = {name: count(where, kind, batches)
                       for name, (where, kind, batches) in variant["counts"].items()}
            by_program = {kind: spent(kind, batches) for kind, batches in variant["programs"].items()}
        say("count", name=variant["name"], words=words, numbers=numbers, programs=by_program)
    for item in plan["walks"]:
        say("walk", layers=item["layers"], sockets=item["sockets"],
            instructions=walk(item["command"], item["sockets"], 20))


namespaces()
main()
