#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Handshakes of TLS that a client ends with an alert and a reset, which overtakes what the server has not
read yet; speaks as traffic.py does. The truth: {failed, sent, received: alerts by name}."""
import select
import socket
import ssl
import struct

from traffic import go, listen, run

PORT = 18801
ALERTS = {"unknown_ca": 48, "bad_certificate": 42, "handshake_failure": 40}


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="peer.test")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise SystemExit("shook hands with nobody")


def alert(name):
    return struct.pack(">BHHBB", 21, 0x0303, 2, 2, ALERTS[name])


def wait_for_reset(sock):
    poll = select.poll()
    poll.register(sock, 0)
    assert poll.poll(10000), "no reset came"


def read_all(sock, size, step):
    data = b""
    while len(data) < size:
        got = sock.recv(min(step, size - len(data)))
        assert got
        data += got
    return data


def say(listener, name, cut, steps):
    """The server has read the hello when the reset comes; the alert, which is written in two pieces, it reads
    in such steps, if at all."""
    hello, last = client_hello(), alert(name)
    client = socket.create_connection(("127.0.0.1", PORT))
    server, _ = listener.accept()
    with server:
        client.sendall(hello)
        assert read_all(server, len(hello), 5000) == hello
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (last[:cut], last[cut:]):
            client.sendall(piece)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for_reset(server)
        if steps:
            assert read_all(server, len(last), steps) == last


def overtaken(rng):
    listener, alerts = listen(PORT), {}
    go()
    for _ in range(rng.randint(4, 12)):
        name = rng.choice(list(ALERTS))
        say(listener, name, rng.randint(1, 6), rng.choice((1, 5, 100)))
        alerts[name] = alerts.get(name, 0) + 1
    return {"failed": sum(alerts.values()), "sent": alerts, "received": alerts}


def unread(rng):
    listener, count = listen(PORT), rng.randint(2, 5)
    go()
    for _ in range(count):
        say(listener, "unknown_ca", rng.randint(1, 6), 0)
    return {"failed": count, "sent": {"unknown_ca": count}, "received": {}}


if __name__ == "__main__":
    run((overtaken, unread))
