# SPDX-License-Identifier: Apache-2.0
"""kubectl npt, as a user has it: the program on PATH beside kubectl, in the first node's namespaces."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

from driver import HERE, ROOT, RUN

PROGRAM = ROOT / "build/dev/cli/kubectl-npt"
READER = ("--service-account", "default/reader")  # tests/cluster/rest makes it


def environment(**more):
    return {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "TERM": "xterm", **more}


def npt(*arguments, check=True, **more):
    """Runs to its end; what it printed, and its exit code."""
    done = subprocess.run([HERE / "kubectl", "npt", *arguments], env=environment(**more), text=True,
                          check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    if check:
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def as_json(*arguments, **more):
    return json.loads(npt(*arguments, "-o", "json", **more).stdout)


class Running:
    """One that runs beside the test, in a process group of its own, as a shell starts it."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen([HERE / "kubectl", "npt", *arguments], env=environment(),
                                      text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, preexec_fn=default_signals)
        self.said = ""

    def wait_for(self, words, seconds=30):
        """Until its standard error has these words."""
        end = time.monotonic() + seconds
        while words not in self.said:
            left = end - time.monotonic()
            ready = select.select([self.child.stderr], [], [], max(left, 0))[0]
            assert ready, f"not said in {seconds} s: {words!r}; but {self.said!r}"
            piece = os.read(self.child.stderr.fileno(), 4096).decode()
            assert piece, f"it ended: {self.said!r}"
            self.said += piece

    def interrupt(self):
        os.killpg(self.child.pid, signal.SIGINT)

    def finish(self, seconds=60):
        """(exit code, standard output)."""
        out, rest = self.child.communicate(timeout=seconds)
        self.said += rest
        return self.child.returncode, out

    def kill(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()


def default_signals():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()


def on_a_terminal(*arguments, seconds=60, **more):
    """(exit code, all that was written to the terminal)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(HERE / "kubectl", ["kubectl", "npt", *arguments], environment(**more))
    said, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        said += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


def rows_of(table):
    """The rows of a table, cells by the heads' names; columns have at least three blanks between."""
    lines = table.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("#  "))
    spans = [(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+", lines[first])]
    rows = []
    for line in lines[first + 1:]:
        if not re.match(r"\s*\d", line):
            break
        cells = [(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+( \S+)*", line)]
        rows.append({name: next((text for text, begin, end in cells if begin < stop and end > start), "")
                     for name, start, stop in spans})
    return rows


def sockets_left():
    """Folders of kubectl-npt that are left behind in the node."""
    holder = (RUN / "node1/holder.pid").read_text().strip()
    done = subprocess.run(["nsenter", "-t", holder, "-m", "sh", "-c", "ls -d /tmp/kubectl-npt-* 2>/dev/null"],
                          capture_output=True, text=True, check=False)
    return done.stdout.split()
