#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""UDP whose truth is known; speaks as traffic.py does. The truth is a list of ends: {role, address, port,
pid, datagrams_sent, sent, datagrams_received, received, failed, responses}; responses are microseconds
that a DNS client waited, by its own clock."""
import os
import random
import socket
import threading
import time

from traffic import go, run

DNS, OTHER, NOBODY, CHOSEN = 53, 18701, 18702, 18703


class End:
    def __init__(self, role, address, port):
        self.truth = {"role": role, "address": address, "port": port, "pid": os.getpid(),
                      "datagrams_sent": 0, "sent": 0, "datagrams_received": 0, "received": 0,
                      "failed": {}, "responses": []}

    def sent(self, size):
        self.truth["datagrams_sent"] += 1
        self.truth["sent"] += size

    def received(self, size):
        self.truth["datagrams_received"] += 1
        self.truth["received"] += size


def answer(sock, end, count, rng, delay):
    for _ in range(count):
        data, sender = sock.recvfrom(65536)
        end.received(len(data))
        time.sleep(rng.uniform(0, delay))
        reply = bytes(rng.randint(0, 1200))
        sock.sendto(reply, sender)
        end.sent(len(reply))


def bound(address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def serve(address, port, count, rng, delay=0.0):
    end, sock = End("server", "", port), bound(address, port)
    thread = threading.Thread(target=answer, args=(sock, end, count, random.Random(rng.random()), delay))
    thread.start()
    return end, thread, sock


def ask(sock, end, data, address=None):
    begin = time.monotonic()
    if address:
        sock.sendto(data, address)
    else:
        sock.send(data)
    end.sent(len(data))
    reply = sock.recv(65536)
    end.truth["responses"].append(int((time.monotonic() - begin) * 1e6))
    end.received(len(reply))


def connected(rng, address="127.0.0.1"):
    """DNS as most resolvers speak it: a connected socket for each question."""
    count = rng.randint(20, 60)
    server, thread, sock = serve(address, DNS, count, rng, 0.02)
    go()
    client = End("client", address, DNS)
    for _ in range(count):
        with socket.socket(sock.family, socket.SOCK_DGRAM) as asker:
            asker.connect((address, DNS))
            ask(asker, client, bytes(rng.randint(0, 500)))
    thread.join()
    return [client.truth, server.truth]


def connected6(rng):
    return connected(rng, "::1")


def named_in_the_call(rng):
    """One socket, two destinations, by sendto() and sendmsg(); what comes back is not told apart."""
    counts = [rng.randint(5, 20), rng.randint(5, 20)]
    servers = [serve("127.0.0.1", port, count, rng) for port, count in zip((DNS, OTHER), counts)]
    go()
    clients = [End("client", "127.0.0.1", port) for port in (DNS, OTHER)]
    order = [0] * counts[0] + [1] * counts[1]
    rng.shuffle(order)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for which in order:
            data, address = bytes(rng.randint(1, 1200)), ("127.0.0.1", (DNS, OTHER)[which])
            if rng.random() < 0.5:
                sock.sendto(data, address)
            else:
                sock.sendmsg([data], [], 0, address)
            clients[which].sent(len(data))
            sock.recv(65536)
    for _, thread, _ in servers:
        thread.join()
    ends = [client.truth for client in clients] + [server.truth for server, _, _ in servers]
    for end in ends[:2]:
        end["datagrams_received"] = end["received"] = None
    return ends


def older(rng):
    """What the agent sees first of both ends is the answer to a question that was asked before it came."""
    port, questions = OTHER, rng.randint(3, 20)
    server = bound("127.0.0.1", port)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.1", port))
    client.send(b"?")
    _, sender = server.recvfrom(65536)
    go()
    asks, answers = End("client", "127.0.0.1", port), End("server", "", port)
    for number in range(questions):
        if number:
            client.send(bytes(number))
            asks.sent(number)
            answers.received(len(server.recv(65536)))
        size = rng.randint(1, 1200)
        server.sendto(bytes(size), sender)
        answers.sent(size)
        asks.received(len(client.recv(65536)))
    return [asks.truth, answers.truth]


def chosen_port(rng):
    """A client that binds its port itself, as some resolvers do."""
    count = rng.randint(3, 20)
    server, thread, _ = serve("127.0.0.1", OTHER, count, rng)
    client, end = bound("127.0.0.1", CHOSEN), End("client", "127.0.0.1", OTHER)
    go()
    for _ in range(count):
        ask(client, end, bytes(rng.randint(0, 500)), ("127.0.0.1", OTHER))
    thread.join()
    return [end.truth, server.truth]


def refused(rng):
    """Nobody listens: the next call learns of it."""
    go()
    end = End("client", "127.0.0.1", NOBODY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", NOBODY))
        for _ in range(rng.randint(3, 10)):
            sock.send(b"?")
            end.sent(1)
            try:
                sock.send(b"?")
                raise SystemExit("nobody refused")
            except ConnectionRefusedError:
                end.truth["failed"]["ECONNREFUSED"] = end.truth["failed"].get("ECONNREFUSED", 0) + 1
    return [end.truth]


def overrun(rng):
    """A receiver that does not: what its buffer has no room for is dropped, and has a reason."""
    sock = bound("127.0.0.1", OTHER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    go()
    client, server = End("client", "127.0.0.1", OTHER), End("server", "", OTHER)
    sock.setblocking(False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in [1] + [1000] * rng.randint(100, 200):
            sender.sendto(bytes(size), ("127.0.0.1", OTHER))
            client.sent(size)
            if size == 1:
                server.received(len(sock.recv(65536)))
    while True:
        try:
            server.received(len(sock.recv(65536)))
        except BlockingIOError:
            break
    server.truth["dropped"] = client.truth["datagrams_sent"] - server.truth["datagrams_received"]
    return [client.truth, server.truth]


if __name__ == "__main__":
    run((connected, connected6, named_in_the_call, older, chosen_port, refused, overrun))
