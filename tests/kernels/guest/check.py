# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: asks the agent's own programs and the accuracy suite what this kernel can do, and
says each answer as a line "NPT {json}". What is right or wrong is not decided here.

Usage: check.py PLAN   (a JSON file, made by tests/kernels/run)
"""
import json
import os
import platform
import subprocess
import sys
import time

import pytest

import kernel_tls
import programs
import talk
from say import say


def summary(report):
    """Per role: what was counted, and the quality of what has one."""
    found = {}
    for edge in report.get("edges", []):
        seen = found.setdefault(edge["role"], {"quality": {}})
        counts = {"opened": edge["connections"]["opened"], "closed": edge["connections"]["closed"],
                  "sent": edge["sent"]["bytes"], "received": edge["received"]["bytes"],
                  "writes": edge.get("write", {}).get("count", 0),
                  "reads": edge.get("read", {}).get("count", 0)}
        for name, number in counts.items():
            seen[name] = seen.get(name, 0) + number
        seen["quality"].update({name: value["quality"] for name, value in edge.items()
                                if isinstance(value, dict) and "quality" in value})
    return found


def measure(agent, layers, traffic, *options, summarize=summary):
    """Measures what traffic() makes, which returns its truth, by the agent itself."""
    command = [agent, "run", "--netns", "/proc/self/ns/net", "--layers", layers, "--duration", "100",
               "--interval", "1", "--output", "json", "--log-level", "info",
               "--budget-cpu", "100000",  # an emulated CPU is many times slower than any budget means
               *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = child.stderr.readline()
    if "measuring" not in first:
        rest = child.communicate(timeout=60)[1]
        return {"exit": child.returncode, "error": (first + rest).strip()}
    truth = traffic()
    time.sleep(1.2)
    loaded = programs.loaded("npt_")
    child.terminate()
    out, errors = child.communicate(timeout=60)
    report = json.loads(out.splitlines()[-1]) if out.strip() else {}
    return {"exit": child.returncode, "error": errors.strip() if child.returncode else "",
            "unavailable": report.get("unavailable", {}), "edges": summarize(report), "truth": truth,
            "lost": report.get("lost", {}), **loaded}


def a_few():
    return talk.talk(5, 20)


def busy():
    """Processes that take each other's CPU, also in the middle of a BPF program."""
    count, connections, exchanges = 4, 150, 2
    command = [sys.executable, talk.__file__, str(connections), str(exchanges)]
    children = [subprocess.Popen(command) for _ in range(count)]
    for child in children:
        child.wait(90)
    return talk.truth(count * connections, exchanges)


def measure_kernel_tls(agent, layers, option):
    """TLS that the kernel makes; option: one more of the agent's, or nothing."""
    why = kernel_tls.is_there()
    if why:
        return {"exit": -1, "error": why}
    scenes = kernel_tls.Scenes()
    try:
        return measure(agent, layers, scenes.play, *option.split(), summarize=scenes.summary)
    finally:
        scenes.close()


class Said:
    """A plugin of pytest that says how each test ended."""

    @staticmethod
    def pytest_runtest_logreport(report):
        if report.when == "call" or report.outcome != "passed":
            say("test", suite="accuracy", name=report.nodeid.split("::")[-1], outcome=report.outcome,
                detail=reasons(report.longreprtext) if report.failed else "",
                seconds=round(report.duration, 1))


def reasons(text):
    """What an assertion says, without the code around it."""
    return "; ".join(line[1:].strip() for line in text.splitlines() if line.startswith("E "))[:1500]


def run_own_tests(path):
    """A test program of tests/bpf: its tests by name."""
    result = subprocess.run([path], capture_output=True, text=True, timeout=200, check=False)
    say("program", name=os.path.basename(path), exit=result.returncode,
        output=(result.stdout + result.stderr)[-2500:])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    say("kernel", release=platform.release(), machine=platform.machine(),
        btf=os.path.exists("/sys/kernel/btf/vmlinux"))
    for compiler, agent in plan["agents"].items():
        for layers in plan["layers"]:
            begin = time.monotonic()
            result = measure(agent, layers, a_few)
            say("run", compiler=compiler, layers=layers, seconds=round(time.monotonic() - begin, 1), **result)
    if plan["walk_crashes"]:
        safe = {name: value for name, value in os.environ.items() if name != "NPT_UNSAFE_KERNEL"}
        done = subprocess.run([agent, "run", "--netns", "/proc/self/ns/net", "--duration", "1"], timeout=60,
                              capture_output=True, text=True, env=safe, check=False)
        say("refusal", exit=done.returncode, error=done.stderr.strip())
    os.environ["NPT_LAYERS"] = plan["tested_layers"]
    for path in plan["programs"]:
        run_own_tests(path)
    agent = next(iter(plan["agents"].values()))
    if plan["busy"]:
        say("busy", layers=plan["busy"], **measure(agent, plan["busy"], busy))
    for option in plan["kernel_tls"]:
        layers = plan["tested_layers"] + ",TLS"
        say("kernel_tls", layers=layers, option=option, **measure_kernel_tls(agent, layers, option))
    if plan["accuracy"]:
        os.environ["NPT_AGENT"] = agent
        pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", "/npt/tests",
                     *(f"/npt/tests/accuracy/test_accuracy.py::{test}" for test in plan["accuracy"])],
                    plugins=[Said()])


main()
