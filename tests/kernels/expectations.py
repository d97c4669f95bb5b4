# SPDX-License-Identifier: Apache-2.0
"""Which kernels are booted, where they come from, and what must work there. A kernel that learns
something, or an agent that does, is one edit here.

layers: "works", or the words with which the agent must refuse them, as one line.
lacks: the metrics that the agent must call unavailable there.
accuracy: the layers with which the accuracy suite's small form must pass, or nothing; with them, busy
processes must be counted to the last connection, too.
"""
import dataclasses
import pathlib

WORKS = "works"
ALL = "Base,Operations,Protocol"

# The accuracy suite's small form: what is quick, and goes other ways through the kernel.
TRUTH = [f"test_equal_to_the_truth[{name}]" for name in (
    "mixed", "mixed6", "older", "by_sendfile", "exit_without_close", "prefork", "no_operations", "refused")]
SMALL = [*TRUTH, "test_both_ends_of_a_connection_know_each_other", "test_loss_by_a_firewall[input]"]
SMALL_BASE = [*TRUTH, "test_another_namespace_is_not_measured"]


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    name: str
    architecture: str
    sources: tuple  # (suite, form of the package's name); the highest version wins
    layers: dict
    lacks: frozenset
    accuracy: str = ""
    without: tuple = ()  # tests that cannot pass there, by the reason said beside them
    sliced: bool = False  # Operations go without fentry, too
    may_miss: bool = False  # tasks are preempted inside BPF programs: some events of others are missed
    walk_crashes: bool = False  # it may crash when sockets are walked, and is refused unless told otherwise
    required: bool = False  # else a kernel that cannot be fetched is only skipped
    folder: pathlib.Path = None  # where it is, once it is fetched

    @property
    def title(self):
        return f"{self.name} {self.architecture}"

    @property
    def kernel_tls(self):
        """Options of the agent with which TLS that the kernel makes is measured: each goes another way."""
        if not self.accuracy:
            return []
        return ["", "--no-trampolines"] if self.sliced else [""]

    @property
    def tests(self):
        tests = {"": [], "Base": SMALL_BASE, ALL: SMALL}[self.accuracy]
        return [test for test in tests if test not in self.without]


def cloud(series, architecture="amd64"):
    return rf"linux-image-{series}\.\d\S*-cloud-{architecture}"


NO_STORAGE = r"lacks socket storage for tracing \(5\.11\+\)"
KERNELS = [
    Kernel("5.10", "amd64", (("bullseye", cloud(r"5\.10")),),
           {"Base": NO_STORAGE, ALL: NO_STORAGE}, frozenset()),
    # Operations by fentry and fexit alone: a read that began before them ends unseen.
    Kernel("6.1", "amd64", (("bookworm", cloud(r"6\.1")),), {"Base": WORKS, ALL: WORKS},
           frozenset({"drops.received", "protocol", "resets.sent.reason", "response", "tls", "unread"}),
           accuracy=ALL,
           without=("test_equal_to_the_truth[older]",), required=True),
    Kernel("6.12", "amd64", (("bookworm", cloud(r"6\.12")),), {"Base": WORKS, ALL: WORKS},
           frozenset(), accuracy=ALL, required=True),
    Kernel("6.18", "amd64", (("trixie-backports", cloud(r"6\.18")),), {"Base": WORKS, ALL: WORKS},
           frozenset(), accuracy=ALL, sliced=True),
    # Its tasks may be preempted inside a BPF program, which then misses the events of the next task.
    Kernel("newest", "amd64", (("sid", cloud(r"\d+\.\d+")), ("trixie-backports", cloud(r"\d+\.\d+"))),
           {"Base": WORKS, ALL: WORKS}, frozenset(), accuracy=ALL, sliced=True, may_miss=True,
           walk_crashes=True),
    Kernel("6.12", "arm64", (("bookworm", cloud(r"6\.12", "arm64")),), {"Base": WORKS, ALL: WORKS},
           frozenset(), accuracy=ALL),
]
