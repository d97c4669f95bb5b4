#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic that knows how long each of its calls took, what its sockets waited for and what lay in them.

Speaks the protocol of traffic.py; its one scenario, all_of_it, runs the functions below at once, each in
a process of its own. Where both ends of a connection are in one thread, the time that the agent is to
measure lies between two that the program takes: "inner" within it, "outer" around it, in microseconds.
Waits are of two lengths, so that p50 and p95 are each in the midst of many equal ones.
"""
import errno
import fcntl
import os
import random
import socket
import struct
import termios
import time

from traffic import go, in_child, listen, run, wait_until_acknowledged

SECONDS = 8  # of what is sampled
SIOCOUTQNSD = 0x894B
CHUNK = 65536
KEPT = []  # sockets that stay open while the agent looks: a FIN is busy time, too, and nobody's to know


def tcp_info(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    rtt, = struct.unpack_from("I", info, 68)
    min_rtt, = struct.unpack_from("I", info, 148)
    busy, window, buffer = struct.unpack_from("QQQ", info, 168)
    return {"rtt": rtt, "min_rtt": min_rtt, "busy": busy, "window": window, "buffer": buffer}


def clock():
    return time.monotonic_ns() / 1000


def waits(rng, number):
    """Seconds: four of five are short."""
    return [rng.choice([0.003] * 4 + [0.012]) * rng.uniform(1, 1.05) for _ in range(number)]


def end(role, port, **numbers):
    return {"role": role, "port": port, "pid": os.getpid(), **numbers}


def pair(listener):
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def response(rng, start):
    """A request, a wait of the server, its answer: each end's response time."""
    port, inner, outer = 18601, [], []
    rtts, least = {"client": [], "server": []}, {"client": [], "server": []}
    listener = listen(port)
    start()
    for _ in range(5):
        client, server = pair(listener)
        for wait in waits(rng, 40):
            begin = clock()
            client.send(bytes(100))
            rtts["client"].append(tcp_info(client)["rtt"])
            server.recv(100, socket.MSG_WAITALL)
            there = clock()
            time.sleep(wait)
            answer = clock()
            server.send(bytes(100))
            rtts["server"].append(tcp_info(server)["rtt"])
            client.recv(100, socket.MSG_WAITALL)
            inner.append(answer - there)
            outer.append(clock() - begin)
        for role, sock in (("client", client), ("server", server)):
            wait_until_acknowledged(sock)
            least[role].append(tcp_info(sock)["min_rtt"])
            sock.close()
    return [end(role, port, inner=inner, outer=outer, rtts=rtts[role], min_rtt=min(least[role]))
            for role in ("client", "server")]


def unread(rng, start):
    """Data lies there for a known time before it is read."""
    port, inner, outer = 18602, [], []
    listener = listen(port)
    start()
    client, server = pair(listener)
    for wait in waits(rng, 200):
        begin = clock()
        client.send(bytes(100))
        there = clock()
        time.sleep(wait)
        read = clock()
        server.recv(100, socket.MSG_WAITALL)
        inner.append(read - there)
        outer.append(clock() - begin)
    wait_until_acknowledged(client)
    return [end("server", port, inner=inner, outer=outer)]


def accept(rng, start):
    """Connections wait in the accept queue; their connects and closes are timed, too."""
    port, batch = 18603, 8
    inner, outer, connects, closes = [], [], [], {"client": [], "server": []}
    listener = listen(port)
    start()
    begin = time.monotonic()
    while time.monotonic() < begin + SECONDS:
        waiting, wait = [], waits(rng, 1)[0]
        for _ in range(batch):
            client, before = socket.socket(), clock()
            client.connect(("127.0.0.1", port))
            waiting.append((client, before, clock()))
            connects.append(waiting[-1][2] - before)
        time.sleep(wait)
        for client, before, there in waiting:
            asks = clock()
            server = listener.accept()[0]
            outer.append(clock() - before)
            inner.append(asks - there)
            for role, sock in (("client", client), ("server", server)):
                before = clock()
                sock.close()
                closes[role].append(clock() - before)
    return [end("client", port, connects=connects, closes=closes["client"]),
            end("server", port, inner=inner, outer=outer, closes=closes["server"])]


READERS = 4


def blocking_reader(listener):
    sock, took = listener.accept()[0], []
    begin = clock()
    while sock.recv(1):
        took.append(clock() - begin)
        begin = clock()
    return [end("server", 18604, outer=took)]


def read(rng, start):
    """Readers that wait for each byte; who writes them takes its time."""
    start()
    socks = [socket.create_connection(("127.0.0.1", 18604)) for _ in range(READERS)]
    begin = time.monotonic()
    while time.monotonic() < begin + SECONDS:
        time.sleep(waits(rng, 1)[0])
        for sock in socks:
            sock.send(b"x")
    for sock in socks:
        sock.close()
    return []


WRITES = 250


def slow_reader(listener, rng):
    sock = listener.accept()[0]
    for wait in waits(rng, WRITES):
        time.sleep(wait)
        sock.recv(CHUNK, socket.MSG_WAITALL)
    KEPT.append(sock)
    return []


def write(_, start):
    """Blocking writes against a slow reader: the receiver's window is full most of the time."""
    port = 18605
    start()
    sock, took = socket.socket(), []
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    sock.connect(("127.0.0.1", port))
    for _ in range(WRITES):
        begin = clock()
        assert sock.send(bytes(CHUNK)) == CHUNK
        took.append(clock() - begin)
    wait_until_acknowledged(sock)
    info = tcp_info(sock)
    KEPT.append(sock)
    return [end("client", port, outer=took, info=info)]


def limited(rng, start):
    """Much more than fits into the receiver, which then reads nothing for a while: several connections."""
    port, infos, blocked = 18606, [], 0.0
    listener = listen(port)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    start()
    for _ in range(3):
        client, server = pair(listener)
        client.setblocking(False)
        sent = 0
        try:
            while True:
                sent += client.send(bytes(CHUNK))
        except BlockingIOError:
            pass
        full = clock()
        time.sleep(rng.uniform(0.3, 0.4))
        blocked += clock() - full
        while sent > 0:
            sent -= len(server.recv(CHUNK))
        wait_until_acknowledged(client)
        infos.append(tcp_info(client))
        KEPT.extend((client, server))
    return [end("client", port, infos=infos, blocked=blocked)]


def crossing(rng, start):
    """Requests that are sent before the one before is answered: the server answers while others wait
    unread, all but the last. Then as many by turns."""
    port, count = 18612, rng.randint(20, 40)
    listener = listen(port)
    start()
    client, server = pair(listener)
    client.send(bytes(8 * count))
    for _ in range(count):
        assert len(server.recv(8)) == 8
        server.send(b"answer")
    for _ in range(count):
        assert client.recv(6) == b"answer"
    for _ in range(count):
        client.send(bytes(8))
        server.recv(8)
        server.send(b"answer")
        client.recv(6)
    KEPT.extend((client, server))
    return [end("server", port, turns=count)]


def number_of(sock, request):
    return struct.unpack("i", fcntl.ioctl(sock, request, bytes(4)))[0]


def queues(_, start):
    """Two connections, full, and left so."""
    port = 18607
    listener = listen(port)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    start()
    for size in (5000, 2000000):
        client, server = pair(listener)
        client.setblocking(False)
        client.send(bytes(size))
        KEPT.extend((client, server))
    time.sleep(0.5)
    unread_bytes = [number_of(sock, termios.FIONREAD) for sock in KEPT]
    unsent_bytes = [number_of(sock, SIOCOUTQNSD) for sock in KEPT]
    return [end("client", port, unread=sum(unread_bytes[::2]), unsent=sum(unsent_bytes[::2])),
            end("server", port, unread=sum(unread_bytes[1::2]), unsent=sum(unsent_bytes[1::2]))]


def reset(how, client, server):
    """What the client's end sees and what it does, as {what: errno that it gets}."""
    if how == "lingers for 0 s":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        return server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if how == "half closed":  # a reset after the end of the stream
        server.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    client.send(b"never read")
    server.close()
    try:
        client.send(b"x")
        return 0
    except OSError as error:
        return error.errno


def resets(_, start):
    """Ends of connections that are no FIN: port by port another way."""
    ends = []
    ports = {"lingers for 0 s": 18608, "unread": 18609, "half closed": 18610}
    listeners = {how: listen(port) for how, port in ports.items()}
    start()
    for times, (how, port) in enumerate(ports.items(), 3):
        errors = {}
        for _ in range(times):
            client, server = pair(listeners[how])
            name = errno.errorcode[reset(how, client, server)]
            errors[name] = errors.get(name, 0) + 1
            client.close()
            server.close()
        by_client = how == "lingers for 0 s"
        ends.append(end("client", port, sent=times * by_client, received={} if by_client else errors))
        ends.append(end("server", port, sent=times * (not by_client), received=errors if by_client else {}))
    for _ in range(7):
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", 18611)) == errno.ECONNREFUSED
    return ends + [end("client", 18611, sent=0, received={"ECONNREFUSED": 7})]


def all_of_it(rng):
    """Children are forked before the agent looks; each begins when it gets its byte."""
    functions = (response, unread, accept, read, write, limited, queues, resets, crossing)
    gate, told = os.pipe()
    reading, slow = listen(18604), listen(18605)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * CHUNK)
    slow_seed = rng.random()
    waiting = [in_child(lambda: blocking_reader(reading)) for _ in range(READERS)]
    waiting.append(in_child(lambda: slow_reader(slow, random.Random(slow_seed))))

    def work(function, seed):
        return lambda: function(random.Random(seed), lambda: os.read(gate, 1))

    waiting += [in_child(work(function, rng.random())) for function in functions]
    go()
    os.write(told, bytes(len(functions)))
    return [truth for wait in waiting for truth in wait()]


if __name__ == "__main__":
    run((all_of_it,))
