# SPDX-License-Identifier: Apache-2.0
"""Idle connections in a network namespace, and what a process spends on them; here and in a guest."""
import contextlib
import pathlib
import subprocess
import sys

EACH = 4000  # pairs per process: descriptors are limited
HOLD = """
import os, resource, socket, sys
def hold(port, count):
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    pairs = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port)); server, _ = listener.accept()
        client.send(b"x"); server.recv(1)
        pairs.append((client, server))
    print("open", flush=True); sys.stdin.read()
count, port, each = int(sys.argv[1]), 18200, int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * each + 100, 2 * each + 100))
while count > each:
    if os.fork() == 0:
        hold(port, each); os._exit(0)
    count, port = count - each, port + 1
hold(port, count)
"""


@contextlib.contextmanager
def held(namespace, pairs):
    """So many idle connections, both ends in the namespace."""
    command = [sys.executable, "-c", HOLD, str(pairs), str(EACH)]
    holder = subprocess.Popen(["ip", "netns", "exec", namespace, *command],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(max(1, -(-pairs // EACH))):
            if holder.stdout.readline() != "open\n":
                raise RuntimeError(f"{pairs} connections cannot be held")
        yield
    finally:
        holder.stdin.close()
        holder.wait(60)


def cpu_ns(pid):
    """On a CPU, of all its threads; in nanoseconds, unlike utime and stime."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
