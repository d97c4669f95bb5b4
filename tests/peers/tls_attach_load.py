#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS programs of every library under load while the agent comes and goes every two seconds: none may
crash, none may hang, no request may fail, none may stand still, none may get another answer than it asked
for: each request is for another body than the one before it, and than its neighbours'.

Usage: tests/peers/tls_attach_load.py [SECONDS]     (default 20; as root)
Prints a line per pair of programs: requests, handshakes and its longest pause; ends with 1 if one failed.
"""
import contextlib
import pathlib
import select
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from tls_world import AGENT, BODIES, LAYERS, PEERS, PORT, Running, World, body, family, since  # noqa: E402

# (server, client, whether each request has a connection of its own). Each of our programs is probed in
# both roles; nginx and wget are others' programs.
PAIRS = (
    ("nginx", "c-ex", 1), ("nginx", "curl_cffi", 0), ("c-workers", "c", 1), ("c", "openssl-3.5", 0),
    ("openssl-1.1.1", "openssl-1.1.1", 1), ("musl", "musl", 0), ("python", "python", 1),
    ("asyncio", "asyncio", 0), ("go", "go-stripped", 1), ("go-stripped", "go", 0), ("go-h2", "go-h2", 0),
    ("node", "node", 0), ("rust", "rust", 1), ("java", "java", 0),
)
# (server, client): clients that are started anew for each request, and so end while they are attached to.
SHORT_LIVED = (("nginx", "curl"), ("nginx", "wget"), ("gnutls-serv", "wget"))
ATTACH_EVERY_SECONDS, ATTACHED_SECONDS = 2, 1
SIZE = 1000
BATCH, PAUSE_SECONDS = 5, 0.02  # a pair leaves some of the machine to the others
STILL_SECONDS = 10  # a pair that has answered nothing for so long hangs, even on a busy machine


class Wrong(Exception):
    """What a target did because of us, perhaps."""


class Servers:
    """One nginx for all; of others one each."""

    def __init__(self, world):
        self.world, self.nginx, self.port = world, None, PORT

    def get(self, name):
        """(server, port)"""
        if name == "nginx":
            self.nginx = self.nginx or Running(self.world, name, "server", {})
            return self.nginx, PORT
        self.port += 1
        return Running(self.world, name, "server", {"port": self.port}), self.port


class Load(threading.Thread):
    """Asks a server again and again, by batch()."""

    def __init__(self, label):
        super().__init__(daemon=True)
        self.label = label
        self.stopped, self.wrong, self.pause, self.batches = threading.Event(), None, 0, 0

    def run(self):
        try:
            while not self.stopped.is_set():
                begin = time.monotonic()
                self.batch()
                self.pause = max(self.pause, time.monotonic() - begin)
                time.sleep(PAUSE_SECONDS)
        except (Wrong, AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as reason:
            self.wrong = f"{self.label}: {reason}"

    def requests(self):
        return self.batches * BATCH

    def finish(self):
        """What went wrong, else None."""
        self.stopped.set()
        self.join(STILL_SECONDS + 5)
        if self.is_alive():
            return f"{self.label}: hangs"
        if not self.wrong and not self.batches:
            return f"{self.label}: nothing was done"
        return self.wrong


class Pair(Load):
    """One of our clients, in batches; both programs are asked at the end what they did."""

    def __init__(self, world, servers, number, server, client, reconnect):
        super().__init__(f"{server} and {client}" + (", reconnecting" if reconnect else ""))
        self.server, port = servers.get(server)
        self.client = Running(world, client, "client", {
            "port": port, "requests": BATCH, "number": number, **({"reconnect": 1} if reconnect else {})})
        self.processes = family(self.server.program.child.pid) | family(self.client.program.child.pid)

    def batch(self):
        program = self.client.program
        program.say()
        if not select.select([program.child.stdout], [], [], STILL_SECONDS)[0]:
            raise Wrong(f"no answer for {STILL_SECONDS} s after {self.requests()} requests")
        self.client.act_has_ended()
        self.batches += 1

    def finish(self):
        wrong = super().finish()
        if wrong:
            return wrong
        end = since(self.client.end, self.client.begin)[0]
        if end["requests"] != self.requests():
            return f"{self.label}: {end['requests']} requests of {self.requests()}"
        for running in (self.client, self.server):
            if running.program.child.poll() is not None:
                return f"{self.label}: {running.peer.name} ended with {running.program.child.returncode}"
        # A worker that crashed was started anew by its master, and nobody else might notice.
        gone = [pid for pid in self.processes if not pathlib.Path(f"/proc/{pid}").exists()]
        return f"{self.label}: processes {gone} ended" if gone else None


class ShortLived(Load):
    """A process for each request."""

    def __init__(self, world, servers, number, server, client):
        super().__init__(f"{server} and {client}, short-lived")
        self.server, self.port = servers.get(server)
        self.world, self.number, self.client, self.page = world, number, PEERS[client], None

    def command(self, number):
        return ["ip", "netns", "exec", self.world.namespace, *map(str, self.client.command(
            self.world, "client", {"port": self.port, "requests": 1, "size": SIZE, "number": number,
                                   "into": "-"}))]

    def is_answer(self, answer, number):
        if self.server.peer.name == "gnutls-serv":  # has one page of its own
            self.page = self.page or answer
            return answer == self.page and b"<HTML>" in answer and answer.rstrip().endswith(b"</HTML>")
        return answer == body(number, SIZE)

    def requests(self):
        return self.batches

    def batch(self):
        number = (self.number + self.batches) % BODIES
        done = subprocess.run(self.command(number), cwd=self.world.folder, capture_output=True, check=False,
                              timeout=STILL_SECONDS)
        if done.returncode != 0:
            raise Wrong(f"ended with {done.returncode} after {self.batches}: {done.stderr[-300:]}")
        if not self.is_answer(done.stdout, number):
            raise Wrong(f"another body than was asked for after {self.batches}: {done.stdout[-300:]}")
        self.batches += 1


def attach_once(command):
    done = subprocess.run([*command, "--duration", str(ATTACHED_SECONDS)], capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode != 0:
        raise Wrong(f"the agent ended with {done.returncode}: {done.stderr[-1000:]}")


def attach_and_be_killed(command):
    """In the middle of it: the kernel alone takes the probes away."""
    child = subprocess.Popen([*command, "--log-level", "info"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    try:
        if not any("measuring" in line for line in child.stderr):
            raise Wrong("the agent did not begin")
        time.sleep(ATTACHED_SECONDS)
    finally:
        child.kill()
        child.wait(60)


def attach(world, seconds, pairs):
    """Comes and goes until time is over or a pair has failed; how often."""
    command = [AGENT, "run", "--netns", f"/run/netns/{world.namespace}", "--layers", LAYERS,
               "--output", "json"]
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and not any(pair.wrong for pair in pairs):
        begin = time.monotonic()
        (attach_and_be_killed if count % 3 == 2 else attach_once)(command)
        count += 1
        time.sleep(max(0, min(ATTACH_EVERY_SECONDS - (time.monotonic() - begin), end - time.monotonic())))
    return count


def run(seconds, folder):
    """Raises Wrong; else [(label, requests, longest pause in seconds)], and how often the agent came."""
    with World(folder) as world:
        servers = Servers(world)
        pairs = [Pair(world, servers, 1 + i, *names) for i, names in enumerate(PAIRS)]
        pairs += [ShortLived(world, servers, i, *names) for i, names in enumerate(SHORT_LIVED)]
        for pair in pairs:
            pair.start()
        try:
            attached = attach(world, seconds, pairs)
        finally:
            wrong = [reason for reason in [pair.finish() for pair in pairs] if reason]
        if wrong:
            raise Wrong("; ".join(wrong) + "".join(last_words(world)))
        return [(pair.label, pair.requests(), pair.pause) for pair in pairs], attached


def last_words(world):
    """What programs said before they ended."""
    for program in world.running:
        with contextlib.suppress(ValueError):
            program.log.seek(0)
            words = program.log.read()[-500:].strip()
            if words:
                yield f"\n{program.child.args[4:6]}: {words}"


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        try:
            lines, attached = run(seconds, pathlib.Path(folder))
        except Wrong as reason:
            sys.exit(f"FAILED: {reason}")
    for label, requests, pause in lines:
        print(f"{label:48} {requests:8} requests, longest pause {pause * 1000:6.0f} ms")
    print(f"{len(lines)} pairs of programs through {attached} times of attach and detach: none failed")


if __name__ == "__main__":
    main()
