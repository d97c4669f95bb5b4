# SPDX-License-Identifier: Apache-2.0
"""docs/kernels.md: what works on which kernel, as the agents said it themselves. Nothing in it depends
on time or chance, so that it changes only with a kernel or with the agent."""
import expectations
from judge import OFF, counted_wrong, of

HEAD = """# What works on which kernel

Made by `tests/kernels/run`, which boots Debian's kernels in QEMU and asks `npt-agent` there; do not edit.
The agent decides by features, not by version numbers: what a kernel lacks it names, in `unavailable` of
its report or, where nothing can be measured, in the one line with which it ends (exit code 4).

"""
TAIL = """
*exact*: each one is counted or timed. *sampled*: counts are exact, times are of a random part. *-*: not there
with these layers. A number in brackets is one of the reasons above. The accuracy suite compares with programs
that know what they did; here it runs in its small form (`tests/kernels/expectations.py`). Busy processes
take each other's CPU while they make connections: *some missed* is explained, as is what this version
measures on no kernel, in [limits.md](limits.md).

Kernels from 7.0 on (those whose `bpf_local_storage_elem` has a member `state`) have a bug: their iterator
over sockets' storage, with which totals are read, follows a pointer that is cleared when a socket goes
(`__bpf_sk_storage_map_seq_show`; seen while processes were busy on 7.3.4). The kernel kills who was reading,
and may be unusable afterwards. So `npt-agent` refuses such a kernel, unless its environment has
`NPT_UNSAFE_KERNEL`, as it is in these tests: what the column says is what works then.
"""


class Notes:
    """Reasons, each with a number, in the order in which they come."""

    def __init__(self):
        self.texts = []

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def first_compiler(said):
    """The runs of the agent that the other tests use, by layers."""
    runs = of(said, "run")
    return {run["layers"]: run for run in runs if run["compiler"] == runs[0]["compiler"]}


def best(said):
    """The run with the most layers that worked, or None."""
    working = [run for run in first_compiler(said).values() if run["exit"] == 0]
    return working[-1] if working else None


def layer_cell(said, layers, notes):
    run = first_compiler(said).get(layers)
    if not run:
        return "?"
    return "works" if run["exit"] == 0 else "refused " + notes.mark(run["error"])


def metrics(results):
    """All that has a quality or a reason somewhere, in the order of the report."""
    names = ["connections", "sent", "received", "retransmit"]
    runs = [run for said in results.values() if (run := best(said))]
    for run in runs:
        names += [name for edge in run["edges"].values() for name in edge["quality"]]
    for run in runs:
        names += [name for name, reason in run["unavailable"].items() if reason not in OFF]
    first = list(dict.fromkeys(name.split(".")[0] for name in names))
    return sorted(set(names), key=lambda name: (first.index(name.split(".")[0]), name))


def metric_cell(said, name, notes):
    run = best(said)
    if not run:
        return "-"
    reason = run["unavailable"].get(name)
    if reason in OFF or run["unavailable"].get(name.split(".")[0]) in OFF:
        return "-"
    if reason:
        return notes.mark(reason)
    qualities = {edge["quality"].get(name) for edge in run["edges"].values()} - {None}
    return " / ".join(sorted(qualities)) or "exact"


def accuracy_cell(kernel, said):
    if not kernel.tests:
        return "-"
    passed = sum(item["outcome"] == "passed" for item in of(said, "test") if item["name"] in kernel.tests)
    return f"{passed} of {len(kernel.tests)} ({kernel.accuracy.replace(',', ', ')})"


def busy_cell(said):
    runs = of(said, "busy")
    if not runs:
        return "-"
    return "some missed" if any(counted_wrong(runs[0])) else "all counted"


def sealed_cell(said, notes):
    """Connections whose TLS the kernel makes."""
    runs = of(said, "kernel_tls")
    if not runs or runs[0]["exit"]:
        return "-"
    reason = runs[0]["unavailable"].get("tls")
    return notes.mark(reason) if reason else "recognised"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def render(results):
    """results: {Kernel: what its guest said}"""
    notes = Notes()
    by_title = {kernel.title: said for kernel, said in results.items()}
    text = HEAD + row(["", *by_title]) + row(["---"] * (len(results) + 1))
    text += row(["kernel", *(of(said, "kernel")[0]["release"] for said in by_title.values())])
    for layers in ("Base", expectations.ALL):
        text += row([("layer " if layers == "Base" else "layers ") + layers.replace(",", ", "),
                     *(layer_cell(said, layers, notes) for said in by_title.values())])
    for name in metrics(by_title):
        text += row([f"`{name}`", *(metric_cell(said, name, notes) for said in by_title.values())])
    text += row(["accuracy suite", *(accuracy_cell(kernel, said) for kernel, said in results.items())])
    text += row(["TLS by the kernel", *(sealed_cell(said, notes) for said in by_title.values())])
    text += row(["busy processes", *(busy_cell(said) for said in by_title.values())])
    text += "\n" + "".join(f"{number}. {note}\n" for number, note in enumerate(notes.texts, 1))
    return text + TAIL
