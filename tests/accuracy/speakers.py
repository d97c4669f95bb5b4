# SPDX-License-Identifier: Apache-2.0
"""One port that speaks several protocols, one connection after the other and side by side.

Usage: speakers.py SEED NAME...   The first NAME is what the first connection speaks, before all others.
Says "ready", waits for a line, talks, prints the truth as JSON.
"""
import json
import random
import socket
import sys
import threading
import time

from alerts import alert, client_hello

PORT = 18999
TALKS = {
    "http1": (b"GET /things HTTP/1.1\r\nHost: there\r\n\r\n",
              b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "redis": (b"*2\r\n$3\r\nGET\r\n$5\r\nthing\r\n", b"$5\r\nvalue\r\n"),
    "nobody's": (b"\xfe\x01gibberish\xff\xff", b"\xfe\x02more of it\xff\xff"),
}
REFUSED = (client_hello(), alert("handshake_failure"))
# By whether it asked for TLS in its own words before.
HANDSHAKES = {"tls": [REFUSED], "postgresql": [(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S"), REFUSED]}


class Truth:
    def __init__(self):
        self.lock = threading.Lock()
        self.connections = self.asked = self.answered = self.writes = self.handshakes_failed = 0

    def add(self, **counts):
        with self.lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


def send_in_pieces(rng, sock, payload):
    """Returns how many writes those were."""
    count = 0
    while payload:
        size = rng.choice((1, 3, len(payload)))
        sock.sendall(payload[:size])
        payload = payload[size:]
        count += 1
    return count


def read(sock, size):
    while size:
        got = sock.recv(size)
        assert got
        size -= len(got)


def answer(rng, sock, exchanges, truth):
    with sock:
        for request, response in exchanges:
            read(sock, len(request))
            truth.add(writes=send_in_pieces(rng, sock, response), answered=len(response))
        assert sock.recv(1) == b""


def talk(seed, name, listener, truth, gate):
    rng = random.Random(seed)
    exchanges = HANDSHAKES.get(name) or [TALKS[name]] * rng.randint(1, 4)
    with gate:  # so that client and server are of one connection
        sock = socket.create_connection(("127.0.0.1", PORT))
        accepted, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = threading.Thread(target=answer, args=(random.Random(seed + 1), accepted, exchanges, truth))
    server.start()
    with sock:
        for request, response in exchanges:
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0.5, 1.5))  # over the end of a window
            truth.add(writes=send_in_pieces(rng, sock, request), asked=len(request))
            read(sock, len(response))
    server.join()
    truth.add(connections=1, handshakes_failed=name in HANDSHAKES)


def main():
    rng, names = random.Random(int(sys.argv[1])), sys.argv[2:]
    listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
    print("ready", flush=True)
    sys.stdin.readline()
    truth, gate = Truth(), threading.Lock()
    talk(rng.randrange(1 << 30), names[0], listener, truth, gate)
    for _ in range(6):
        threads = [threading.Thread(target=talk, args=(rng.randrange(1 << 30), rng.choice(names), listener,
                                                       truth, gate))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    del truth.lock
    print(json.dumps(vars(truth)), flush=True)
    sys.stdin.readline()


main()
