# SPDX-License-Identifier: Apache-2.0
"""What a uprobe on a TLS function costs, by where in the function it is: at its entry, as everybody does
(naive), where our choice puts it (chosen), and, to see the result too, as a session on the entry and on the
function behind it that does the work. The calls end with an error at once: the connections are dead."""
import contextlib
import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile

from report import ROOT

PROGRAM = ROOT / "build/release/tests/bench/bench-sites"
GO = pathlib.Path(__file__).resolve().parent / "sites_go"
LINES = 2  # of a fifth of a second each
OPENSSL, GNUTLS = "libssl.so.3", "libgnutls.so.30"
FUNCTIONS = [(OPENSSL, "SSL_read", 3), (OPENSSL, "SSL_write", 3), (OPENSSL, "SSL_read_ex", 3),
             (OPENSSL, "SSL_write_ex", 3), (GNUTLS, "gnutls_record_send", 3),
             (GNUTLS, "gnutls_record_recv", 3),
             ("go", "crypto/tls.(*Conn).Write", 3), ("go", "crypto/tls.(*Conn).Read", 3)]


@dataclasses.dataclass
class Probe:
    offset: int  # in the file
    form: str
    words: str


def run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True).stdout


def find_function(path, name):
    """(offset in the file, bytes), by its symbol."""
    segments = re.findall(r"LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", run("readelf", "-lW", path))
    for line in run("readelf", "-sW", path).splitlines():
        words = line.split()
        if len(words) > 7 and words[3] == "FUNC" and words[6] != "UND" and words[7].split("@")[0] == name:
            address = int(words[1], 16)
            for offset, begin, size in ((int(word, 16) for word in segment) for segment in segments):
                if begin <= address < begin + size:
                    return address - begin + offset, int(words[2], 0)
    raise RuntimeError(f"{path}: no symbol {name}")


def choose(path, function, convention, arguments, mode):
    """The site, as an offset from the entry, and what it is; or (None, why not)."""
    words = run(PROGRAM, "choose", "x86-64", convention, arguments, path, *function, mode).split()
    return (None, " ".join(words[1:])) if words[0] == "-" else (int(words[0]), " ".join(words[4:]))


def probes(path, name, convention, arguments):
    found = find_function(path, name)
    naive, how = choose(path, found, convention, arguments, "naive")
    yield Probe(found[0] + naive, "entry", f"naive: +{naive:#x}, {how}")
    best, how = choose(path, found, convention, arguments, "best")
    yield Probe(found[0] + best, "entry", f"chosen: +{best:#x}, {how}")
    if convention == "go":
        return
    there, how = choose(path, found, convention, arguments, "returns")
    yield Probe(found[0] + there, "session", f"session: +{there:#x}, {how}")
    # The third, an int, is extended for the function behind: it is the same number in another width.
    callee = run(PROGRAM, "callee", "x86-64", convention, 2, path, *found).strip()
    if callee != "-":
        inner = found[0] + int(callee), 256  # its length has no symbol
        there, how = choose(path, inner, convention, arguments, "returns")
        if how == "stepped":  # as an entry of the PLT is, of which a session sees all callers
            return
        yield Probe(inner[0] + there, "session", f"session, callee {inner[0]:#x}: {how}")


@contextlib.contextmanager
def calling(command):
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@contextlib.contextmanager
def holding(path, probe, pid):
    command = [PROGRAM, "hold", path, probe.offset, pid, probe.form]
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as child:
        try:
            line = child.stderr.readline()
            if "measuring" not in line:
                raise RuntimeError(line.strip())
            yield
        finally:
            child.stdin.close()


def read_ns(child):
    """Best of some lines, the first of which began before."""
    child.stdout.readline()
    return min(float(child.stdout.readline()) for _ in range(LINES))


def mapped_path(child, library):
    """Which file the process has."""
    child.stdout.readline()
    maps = pathlib.Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8")
    return next(line.split()[-1] for line in maps.splitlines() if library in line)


def measure(report, rounds, command, library, name, arguments):
    convention = "go" if library == "go" else "c"
    with calling(command) as child:
        path = command[0] if convention == "go" else mapped_path(child, library)
        found = list(probes(path, name, convention, arguments))
        without, added = [], {probe.words: [] for probe in found}
        for _ in range(rounds):
            without.append(read_ns(child))
            for probe in found:
                with holding(path, probe, child.pid):
                    added[probe.words].append(read_ns(child) - without[-1])
    report.add(name, "nothing (in all)", without, "ns")
    for words, values in added.items():
        report.add(name, words, values, "ns")


def kinds(report, rounds):
    seen = {}
    for _ in range(rounds):
        for line in run(PROGRAM, "kinds").splitlines():
            name, ours, cost = line.split("|", 2)
            seen.setdefault((name.replace("`", ""), ours), []).append(cost)
    for (name, ours), costs in seen.items():
        if all(cost.isdigit() for cost in costs):
            report.add(name, f"we say: {ours}", [int(cost) for cost in costs], "ns")
        else:
            report.note(f"{name}, we say {ours}: {costs[0]}")


def part(report, rounds):
    report.part("tls_sites", "ns that a uprobe adds to a call; first by the kind of the instruction it is on")
    kinds(report, rounds)
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "sites_go"
        has_go = bool(shutil.which("go"))
        if has_go:
            subprocess.run(["go", "build", "-o", program, "."], cwd=GO, check=True)
        for library, name, arguments in FUNCTIONS:
            if library == "go" and not has_go:
                report.note(f"{name}: there is no Go here")
                continue
            command = ([program, name.rsplit(".", 1)[1]] if library == "go" else
                       [PROGRAM, "call", library, name])
            measure(report, rounds, command, library, name, arguments)
