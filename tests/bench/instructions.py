# SPDX-License-Identifier: Apache-2.0
"""What measuring costs, in instructions: a guest with one CPU in QEMU whose clock counts them (guests.py:
COUNTING), on a kernel with fentry. That is repeatable on a busy machine, where wall time is not; cache
misses are not in it.

Of each program of the agent its own share is said, too: the kernel counts the time of each (its statistics
of BPF), less the same for an empty program, plus what it costs to get to an empty one on that hook alone.
"""
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kernels"))

import build  # noqa: E402
import expectations  # noqa: E402
import fetch  # noqa: E402
import guests  # noqa: E402
import image  # noqa: E402
import variants  # noqa: E402

KERNELS = ["6.12", "6.18"]  # the first has no tracepoint at the begin of writes, but both have fentry
LIMIT_SECONDS = 900
TCP_CALLS = 4  # of a round of "self"
# What is run: where, what, how many batches. An operation of "self" is one call.
COUNTS = {"self": ("inside", "self", 40), "bystander": ("outside", "self", 40),
          "connect": ("inside", "connect", 40), "bystander connects": ("outside", "connect", 40),
          "getppid": ("outside", "getppid", 40)}
# Each program's share, of what and in how many batches; and rounds of a batch, see calls.c.
PROGRAMS, ROUNDS = {"self": 20, "connect": 20}, {"self": 250, "connect": 40}
WALKED, SOCKETS = ["Base", "Base,Operations"], [0, 100, 1000]  # what an agent spends on idle sockets
FLOOR, AGENT = "/npt/bench-floor", "/npt/npt-agent"


def agent(*options):
    return [AGENT, "run", "--netns", "/run/netns/inside", *variants.UNLIMITED, *options]


def plan(singles):
    """The variants; then, only for "self", the floor's programs one by one."""
    def variant(name, command, counts=COUNTS, programs=None):
        return {"name": name, "command": command, "counts": counts, "programs": programs or {}}

    all_of_them = [
        variant("the first is warm-up", None),
        variant("nothing", None),
        variant("nothing again", None),
        variant("floor", [FLOOR], programs=PROGRAMS),
        variant("floor, counting", [FLOOR, "--count"]),
        variant("Base", agent("--layers", "Base"), programs=PROGRAMS),
        variant(variants.OPERATIONS, agent("--layers", "Base,Operations"), programs=PROGRAMS),
        variant(SLICED, agent("--layers", "Base,Operations", "--no-trampolines")),
        variant(variants.PROTOCOL, agent("--layers", "Base,Operations,Protocol")),
    ]
    one = {"self": COUNTS["self"]}
    walks = [{"layers": layers, "sockets": sockets, "command": agent("--interval", "1", "--layers", layers)}
             for layers in WALKED for sockets in SOCKETS]
    return json.dumps({"variants": all_of_them + [variant(name, [FLOOR, name], one) for name in singles],
                       "walks": walks})


SLICED = "Operations, in slices"
# The floor's program on the hook of each of the agent's programs that a call of "self" meets.
HOOKS = {"npt_write_end": "floor_send", "npt_read_end": "floor_recv", "npt_read_spliced": "floor_space",
         "npt_data_ready": "floor_ready", "npt_send_begin": "floor_begin_send",
         "npt_recv_begin": "floor_begin_recv", "npt_drop": "floor_drop"}
HELPERS = {"helper_storage": "bpf_sk_storage_get, found",
           "helper_no_storage": "bpf_sk_storage_get, none there",
           "helper_clock": "bpf_ktime_get_ns", "helper_pid": "bpf_get_current_pid_tgid",
           "helper_tcp": "bpf_skc_to_tcp_sock", "helper_task": "bpf_task_storage_get, found",
           "helper_atomic": "atomic add"}
NO_HELPER = "helper_none"
SINGLES = [*HOOKS.values(), NO_HELPER, *HELPERS]


def files():
    here = pathlib.Path(__file__).parent
    return {"init": build.HERE / "guest/init", "npt/guest/start": build.HERE / "guest/start",
            "npt/guest/programs.py": build.HERE / "guest/programs.py",
            "npt/guest/say.py": build.HERE / "guest/say.py",
            "npt/guest/idle.py": here / "guest/idle.py",
            "npt/guest/check.py": here / "guest/count.py",  # what start runs
            "npt/bench-calls": variants.CALLS, "npt/bench-floor": variants.FLOOR,
            "npt/npt-agent": variants.AGENT, "npt/plan.json": plan(SINGLES)}


def boot(name):
    """What a guest with this kernel said."""
    kernel = next(kernel for kernel in expectations.KERNELS if kernel.title == f"{name} amd64")
    with guests.turn(), tempfile.TemporaryDirectory() as folder:
        tree = fetch.kernel(kernel.name, kernel.sources, kernel.architecture)
        root = build.guest_root(kernel.architecture)
        disk = image.make_disk(root, fetch.CACHE / f"disk-{kernel.architecture}.ext4")
        initramfs = pathlib.Path(folder) / "initramfs.gz"
        image.make_initramfs(pathlib.Path(folder) / "tree", root, fetch.modules_of(tree), files(), initramfs)
        log = variants.ROOT / f"build/bench/{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        kernel = kernel.__class__(**{**kernel.__dict__, "folder": tree})
        try:
            return guests.boot(kernel, initramfs, disk, log, processors=guests.COUNTING,
                               limit_seconds=LIMIT_SECONDS)
        except BaseException:
            guests.end_all()
            raise


def per_call(report, counted, name):
    """Rows of one variant: what it adds per operation."""
    base, seen = counted["nothing"]["numbers"], counted[name]["numbers"]
    bars = {"getppid": "instructions.getppid", "self": f"instructions.{name}"}
    for what, value in seen.items():
        bar = bars.get(what) if name in (variants.BASE, variants.OPERATIONS) else None
        report.add(f"{what}, per {'connection' if 'connect' in what else 'call'}", name,
                   (value - base[what]) / 1000, "instructions", bar)


def bodies(counted, kind):
    """(program, runs per round, instructions per run). An empty program's are the statistics' own."""
    empty = min(item["instructions"] for item in counted["floor"]["programs"][kind].values())
    rounds = ROUNDS[kind] * PROGRAMS[kind]
    for name, item in sorted(counted[variants.OPERATIONS]["programs"][kind].items()):
        if item["runs"] > rounds / 2:
            yield name, item["runs"] / rounds, item["instructions"] - empty


def by_program(report, counted):
    """Where the instructions of Operations go, per call of "self"."""
    base = counted["nothing"]["numbers"]["self"]
    for name, runs, body in bodies(counted, "self"):
        hook = next((floor for program, floor in HOOKS.items() if program[:15] == name), None)
        if not hook:
            continue
        way = (counted[hook]["numbers"]["self"] - base) / 1000 * TCP_CALLS / runs
        report.add(f"{name}, per run", "the way there, empty", way, "instructions")
        report.add(f"{name}, per run", "its body", body, "instructions")
        report.add(f"{name}, per call", "both", (way + body) * runs / TCP_CALLS, "instructions")


def by_program_of_connect(report, counted):
    for name, runs, body in bodies(counted, "connect"):
        report.add(f"{name}, {runs:.1f} runs", "its body, per connection", body * runs, "instructions")


def by_segment(report, counted):
    """A call is a write or a read: two of them send a segment and receive it."""
    for what, words in (("self", "in scope"), ("bystander", "out of scope")):
        with_layer, without = (counted[name]["numbers"][what] for name in (variants.PROTOCOL,
                                                                          variants.OPERATIONS))
        report.add(f"a segment sent and received, {words}", "Protocol beside Operations",
                   2 * (with_layer - without) / 1000, "instructions")


def by_helper(report, counted):
    runs_per_call = 0.5  # one send in two calls
    none = counted[NO_HELPER]["numbers"]["self"]
    for name, words in HELPERS.items():
        added = (counted[name]["numbers"]["self"] - none) / 1000 / runs_per_call
        report.add(words, "one call of it", added, "instructions")


def walks(report, said):
    before = {}
    for item in said:
        if item["what"] != "walk":
            continue
        sockets, layers, spent = item["sockets"], item["layers"], item["instructions"]
        report.add(f"{sockets} sockets, per second", layers, spent, "instructions")
        fewer, spent_before = before.get(layers, (0, spent))
        if fewer:  # the first ones bring edges, too
            report.add(f"each more than {fewer}, per walk", layers,
                       (spent - spent_before) / (sockets - fewer), "instructions")
        before[layers] = sockets, spent


def part(report, kernel=KERNELS[0]):
    report.part(f"instructions, {kernel}", "added per operation, in a guest whose clock counts them")
    try:
        said = boot(kernel)
    except (fetch.Unavailable, build.Broken) as reason:
        report.note(f"SKIPPED: {reason}")
        return
    counted = {item["name"]: item for item in said if item["what"] == "count"}
    told = next((item for item in said if item["what"] == "kernel"), None)
    if not told or not said[-1]["done"] or "Operations" not in counted:
        raise variants.Wrong(f"the guest did not finish: {said[-1]['error']}")
    if not 2000 <= told["loop"] < 2100:
        raise variants.Wrong("the guest's clock does not count instructions: a loop of 2 reads as"
                             f" {told['loop'] / 1000}")
    report.note(f"{told['release']}, clock {told['clock']}; a loop of two instructions reads as"
                f" {told['loop'] / 1000:.3f}")
    for what, value in counted["nothing"]["numbers"].items():
        report.add(what, "nothing (in all)", value / 1000, "instructions")
    for name in list(counted)[2:]:
        if name not in SINGLES:
            per_call(report, counted, name)
    report.note(f"{SLICED}: as on hosts without fentry; what of it falls into a slice is chance, so no bar")
    report.note("floor: " + counted["floor"]["words"].removeprefix("measuring with "))
    report.note("what the layer Protocol adds, once it is known what is spoken")
    by_segment(report, counted)
    report.note("each program of Operations that \"self\" meets (a write or a read, so once in two calls)")
    by_program(report, counted)
    report.note("the same for a connection (both ends), without the way there")
    by_program_of_connect(report, counted)
    report.note("each helper that they call, in an otherwise empty program")
    by_helper(report, counted)
    report.note("what the agent itself spends with idle sockets in scope, read once a second")
    walks(report, said)
