# SPDX-License-Identifier: Apache-2.0
"""What idle connections in scope cost the agent: CPU of its walks, and memory, by their number; and what an
agent holds that measures nothing."""
import functools
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "guest"))

import idle  # noqa: E402
import variants  # noqa: E402

COUNTS = [0, 100, 1000, 10000, 20000]  # the last: 10,000 connections with both ends in scope
SECONDS, TIMES = 5, 3  # of 5 seconds, since older sockets are looked for every 5
LAYERS = {variants.BASE: "Base", variants.OPERATIONS: "Base,Operations"}


def memory_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise variants.Wrong("no VmRSS")


@functools.cache
def hold(count, name):
    """With so many sockets in scope: {"cpu": [percent of one CPU each time], "rss": MiB, "memory": MiB with
    maps}"""
    spent = []
    with idle.held(variants.INSIDE, count // 2):
        with variants.running(variants.agent("--interval", "1", "--layers", LAYERS[name])) as report:
            time.sleep(2)
            for _ in range(TIMES):
                before = idle.cpu_ns(report["pid"])
                time.sleep(SECONDS)
                spent.append((idle.cpu_ns(report["pid"]) - before) / SECONDS / 1e7)
            rss = memory_kib(report["pid"])
    found = sum(edge["connections"]["found"] for edge in report["edges"])
    if found != count:
        raise variants.Wrong(f"{count} sockets, but the agent found {found}")
    return {"cpu": spent, "rss": rss / 1024, "memory": report["cost"]["memoryKiB"] / 1024}


def part(report):
    report.part("sockets", f"the agent's own CPU, {TIMES} times {SECONDS} s, with idle sockets in scope;"
                " a walk and a window once a second")
    for name in LAYERS:
        fewer = 0
        for count in COUNTS:
            cpu = hold(count, name)["cpu"]
            report.add(f"{count} sockets, of one CPU", name, cpu, "%",
                       "walk" if count == 1000 and name == variants.BASE else None)
            if fewer:  # the first ones bring edges, too
                before = statistics.median(hold(fewer, name)["cpu"])
                report.add(f"each more than {fewer}, per walk", name,
                           [(percent - before) * 1e7 / (count - fewer) for percent in cpu], "ns")
            fewer = count


def idle_rss_mib():
    """An agent that dials a controller which is not there."""
    child = subprocess.Popen([str(variants.AGENT), "serve", "--controller", "wss://localhost:1/v1/agents",
                              "--node", "bench", "--ca", "/etc/ssl/certs/ca-certificates.crt", "--token",
                              "/etc/hostname"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        if child.poll() is not None:
            raise variants.Wrong("npt-agent serve does not run")
        return memory_kib(child.pid) / 1024
    finally:
        child.terminate()
        child.wait(30)


def memory_part(report):
    report.part("memory", "of the agent: resident, and with its maps, by idle sockets in scope")
    report.add("RSS", "serve, nothing in scope", idle_rss_mib(), "MiB", "rss.idle")
    for name in LAYERS:
        for count in COUNTS:
            seen = hold(count, name)
            report.add(f"{count} sockets, RSS", name, seen["rss"], "MiB")
            report.add(f"{count} sockets, RSS and maps", name, seen["memory"], "MiB",
                       "memory.10000" if count >= 10000 else None)
