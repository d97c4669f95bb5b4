# SPDX-License-Identifier: Apache-2.0
"""Compares what a guest said with what is expected of its kernel. Each comparison is a test:
(name, "passed" or "failed", why)."""
import re

import expectations
import verifier

SKIPPED = 77  # a test program that has skipped all of its tests
OFF = ("layer Operations is off", "layer Protocol is off")


def of(said, what):
    return [item for item in said if item["what"] == what]


def result(name, problems):
    return (name, "failed" if problems else "passed", "; ".join(problems))


def lacking(run):
    """Metrics that this kernel, and not these layers, makes unavailable. What an operation costs may be
    among them anywhere: an emulated CPU that has to wait for its turn cannot be timed."""
    return {name for name, reason in run["unavailable"].items()
            if reason not in OFF and name != "cost.nanosPerOperation"}


def counted_wrong(run):
    """Differences between an agent's counts and the truth."""
    keys = ["opened", "closed", "sent", "received"]
    if "Operations" in run["layers"]:
        keys += ["writes", "reads"]
    for role, truth in run["truth"].items():
        seen = run["edges"].get(role, {})
        for key in keys:
            if seen.get(key) != truth[key]:
                yield f"{role} {key}: {seen.get(key)}, not {truth[key]}"


def judge_run(kernel, run):
    expected = kernel.layers[run["layers"]]
    name = f"{run['layers']} ({run['compiler']})"
    if expected == expectations.WORKS:
        if run["exit"] != 0:
            return result(name, [f"exit code {run['exit']}: {run['error']}"])
        problems = list(counted_wrong(run))
        if run["layers"] == kernel.accuracy and lacking(run) != kernel.lacks:
            problems.append(f"unavailable: {sorted(lacking(run))}, not {sorted(kernel.lacks)}")
        return result(name, problems)
    problems = []
    if run["exit"] != 4:
        problems.append(f"exit code {run['exit']}, not 4")
    if not re.search(expected, run["error"]) or "\n" in run["error"]:
        problems.append(f"says \"{run['error']}\", which is not one line with: {expected}")
    return result(f"{name} is refused", problems)


def judge_busy(kernel, said):
    """Nothing is lost while tasks are preempted, but where the kernel does that in the middle of a
    program; and what is lost is said."""
    for run in of(said, "busy"):
        problems = [run["error"]] if run["exit"] else list(counted_wrong(run))
        if kernel.may_miss and not run["exit"] and run["lost"]["events"]:
            problems = []  # it says so
        if problems and run.get("misses") and not run["lost"]["events"]:
            problems.append(f"lost.events is 0, yet programs missed events: {run['misses']}")
        yield result(f"busy processes, {run['layers']}", problems)


def sealed_wrong(kernel, run):
    """Differences between what was measured of TLS that the kernel makes, and the truth."""
    for scene, roles in run["truth"].items():
        for role, truth in roles.items():
            seen = run["edges"].get(scene, {}).get(role, {})
            if "protocol" in kernel.lacks:
                truth = {**truth, "kernel": 0, "tls": "unknown", "protocol": "unknown"}
            for key, value in {"edges": 1, **truth}.items():
                if seen.get(key) != value:
                    yield f"{scene}, {role} {key}: {seen.get(key)}, not {value}"
    lines = [] if "protocol" in kernel.lacks else [["kernel", "metadata"]]
    if run["edges"]["lines"] != lines:
        yield f"lines of TLS: {run['edges']['lines']}, not {lines}"


def judge_kernel_tls(kernel, said):
    for run in of(said, "kernel_tls"):
        problems = [run["error"]] if run["exit"] else list(sealed_wrong(kernel, run))
        yield result(f"TLS by the kernel {run['option']}".strip(), problems)
    missing = len(kernel.kernel_tls) - len(of(said, "kernel_tls"))
    if missing:
        yield result("TLS by the kernel is measured", [f"{missing} runs are missing"])


def judge_tests(kernel, said):
    """The programs of tests/bpf, and the accuracy suite test by test."""
    for item in of(said, "program"):
        words = [f"exit code {item['exit']}", *item["output"].strip().splitlines()]
        # Calls of TLS libraries need the layer Protocol: a skip, where the kernel cannot have that.
        may_skip = "tls" in item["name"] and "protocol" in kernel.lacks
        fine = item["exit"] == 0 or (may_skip and item["exit"] == SKIPPED)
        yield result(item["name"], [] if fine else words)
    ended = {item["name"]: item for item in of(said, "test")}
    for test in kernel.tests:
        item = ended.get(test, {"outcome": "never run", "detail": ""})
        yield result(test, [] if item["outcome"] == "passed" else [f"{item['outcome']}: {item['detail']}"])


def judge_refusal(kernel, said):
    """Whoever does not ask for it is not measured on a kernel that may crash of it."""
    if not kernel.walk_crashes:
        return
    runs = of(said, "refusal") or [{"exit": None, "error": "never run"}]
    fine = runs[0]["exit"] == 4 and "this kernel may crash" in runs[0]["error"]
    yield result("a kernel that may crash is refused", [] if fine else [str(runs[0])])


def judge(kernel, said, compilers, programs):
    """All tests of one guest."""
    end = said[-1]
    yield result("boots and ends", [] if end["done"] else [end["error"]])
    if not of(said, "kernel"):
        return
    runs = of(said, "run")
    for run in runs:
        yield judge_run(kernel, run)
    missing = len(compilers) * len(kernel.layers) - len(runs)
    if missing:
        yield result("every agent has run", [f"{missing} did not"])
    if kernel.accuracy and len(of(said, "program")) != programs:
        yield result("every program of tests/bpf has run", [f"{len(of(said, 'program'))} of {programs}"])
    yield from judge_refusal(kernel, said)
    yield from judge_busy(kernel, said)
    yield from judge_kernel_tls(kernel, said)
    yield from judge_tests(kernel, said)
    for compiler, counts in verifier.counts(said).items():
        yield result(f"instructions ({compiler})", verifier.excess(kernel.title, compiler, counts))
