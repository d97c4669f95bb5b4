#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic whose truth is known: each scenario counts by itself what it moved.

Usage: traffic.py SCENARIO SEED [ADDRESS]

Prints "ready", waits for a line on stdin, makes its traffic, prints the truth as one line of JSON and
waits for another line (so that its processes are still there while the agent looks). The truth is a
list of ends: {role, port, pid, connections, writes, written, reads, read, ...}.
"""
import fcntl
import json
import os
import random
import signal
import socket
import struct
import sys
import tempfile
import termios
import time

SENDS = ("write", "writev", "send", "sendto", "sendmsg")
READS = ("read", "readv", "recv", "recvfrom", "recvmsg", "recv_into")


class End:
    """What one side of some connections did, as section 13 of the design counts it."""

    def __init__(self, role, port):
        self.truth = {"role": role, "port": port, "pid": os.getpid(), "connections": 0, "writes": 0,
                      "written": 0, "reads": 0, "read": 0, "failed": {}, "retransmits": 0}

    def wrote(self, size, operations=1):
        self.truth["writes"] += operations
        self.truth["written"] += size

    def took(self, size):
        self.truth["reads"] += 1
        self.truth["read"] += size

    def finish(self, sock):
        """The socket's own count of retransmits, once nothing is on its way any more; then its end. On a
        machine that stalls, a healthy pair retransmits, too."""
        wait_until_acknowledged(sock)
        self.truth["retransmits"] += retransmits(sock)
        sock.close()


def send_by(way, sock, data):
    fd = sock.fileno()
    if way == "write":
        return os.write(fd, data)
    if way == "writev":
        half = len(data) // 2
        return os.writev(fd, [data[:half], data[half:]])
    if way == "sendto":
        return sock.sendto(data, sock.getpeername())
    if way == "sendmsg":
        return sock.sendmsg([data[:1], data[1:]])
    return sock.send(data)


def read_by(way, sock, size):
    fd = sock.fileno()
    if way == "read":
        return len(os.read(fd, size))
    if way == "readv":
        return os.readv(fd, [bytearray(size // 2 + 1), bytearray(size // 2 + 1)])
    if way == "recvfrom":
        return len(sock.recvfrom(size)[0])
    if way == "recvmsg":
        return len(sock.recvmsg(size)[0])
    if way == "recv_into":
        return sock.recv_into(bytearray(size))
    return len(sock.recv(size))


def send_all(end, sock, size, rng):
    while size > 0:
        part = rng.randint(1, min(size, 30000))
        sent = send_by(rng.choice(SENDS), sock, bytes(part))
        end.wrote(sent)
        size -= sent


def read_all(end, sock, size, rng):
    while size > 0:
        got = read_by(rng.choice(READS), sock, min(size, rng.randint(1, 20000)))
        if got == 0:
            raise SystemExit("the peer closed too early")
        end.took(got)
        size -= got


def listen(port, address="127.0.0.1", backlog=512):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(backlog)
    return sock


def retransmits(sock):
    """tcpi_total_retrans: byte 100 of struct tcp_info."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 100)[0]


def wait_until_acknowledged(sock):
    """Then the other end has a socket for sure: data can overtake the handshake's last segment, and what
    is dropped before there is a socket is nobody's."""
    while struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(0.001)


def in_child(work):
    """Runs work in a child; returns a function that waits for its truth."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            truth = json.dumps(work()).encode()
            os.write(writer, truth)
            os.close(writer)
            signal.pause()
        except BaseException as error:  # the parent sees an empty truth
            print("child:", repr(error), file=sys.stderr)
            os._exit(1)
    os.close(writer)
    CHILDREN.append(pid)

    def wait():
        parts = []
        while True:
            part = os.read(reader, 65536)
            if not part:
                return json.loads(b"".join(parts))
            parts.append(part)

    return wait


CHILDREN = []


def go():
    print("ready", flush=True)
    sys.stdin.readline()


def serve(listener, port, count, exchange):
    end = End("server", port)
    for _ in range(count):
        sock, _ = listener.accept()
        end.truth["connections"] += 1
        exchange(end, sock)
        end.finish(sock)
    return [end.truth]


def mixed(rng, address="127.0.0.1"):
    """Connections one after another, random calls and sizes both ways."""
    port, count = 18101, rng.randint(5, 15)
    plan = [[(rng.randint(1, 200000), rng.randint(1, 200000)) for _ in range(rng.randint(1, 8))]
            for _ in range(count)]
    listener = listen(port, address)
    server_rng = random.Random(rng.random())

    def exchange(end, sock):
        for asked, answered in plan[end.truth["connections"] - 1]:
            read_all(end, sock, asked, server_rng)
            send_all(end, sock, answered, server_rng)

    server = in_child(lambda: serve(listener, port, count, exchange))
    listener.close()
    go()
    end = End("client", port)
    for rounds in plan:
        with socket.create_connection((address, port)) as sock:
            end.truth["connections"] += 1
            for asked, answered in rounds:
                send_all(end, sock, asked, rng)
                read_all(end, sock, answered, rng)
            end.finish(sock)
    return [end.truth] + server()


def mixed6(rng):
    return mixed(rng, "::1")


def older(rng):
    """Connections that were there, and had moved bytes, before anybody looked."""
    port, count = 18102, rng.randint(2, 6)
    before, after = rng.randint(1, 100000), [rng.randint(1, 100000) for _ in range(count)]
    listener = listen(port)
    server_rng = random.Random(rng.random())
    ready_reader, ready_writer = os.pipe()

    def server_work():
        unseen, end = End("server", port), End("server", port)
        socks = [listener.accept()[0] for _ in range(count)]
        for sock in socks:
            read_all(unseen, sock, before, server_rng)
        os.write(ready_writer, b"r")
        for sock, size in zip(socks, after):
            read_all(end, sock, size, server_rng)
            send_all(end, sock, size // 2 + 1, server_rng)
        end.truth["connections"] = count
        for sock in socks:
            end.finish(sock)
        return [end.truth]

    server = in_child(server_work)
    unseen, end = End("client", port), End("client", port)
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for sock in socks:
        send_all(unseen, sock, before, rng)
    os.read(ready_reader, 1)
    go()
    for sock, size in zip(socks, after):
        send_all(end, sock, size, rng)
        read_all(end, sock, size // 2 + 1, rng)
    end.truth["connections"] = count
    for sock in socks:
        end.finish(sock)
    return [end.truth] + server()


def by_sendfile(rng):
    """sendfile(): the bytes are ours to know, the kernel's chunks are not."""
    port, size = 18103, rng.randint(100000, 3000000)
    listener = listen(port)
    server_rng = random.Random(rng.random())
    server = in_child(
        lambda: serve(listener, port, 1, lambda end, sock: read_all(end, sock, size, server_rng)))
    go()
    end = End("client", port)
    with tempfile.TemporaryFile() as file, socket.create_connection(("127.0.0.1", port)) as sock:
        file.write(bytes(size))
        file.flush()
        offset = 0
        while offset < size:
            sent = os.sendfile(sock.fileno(), file.fileno(), offset, size - offset)
            end.wrote(sent)
            offset += sent
        end.truth["connections"] = 1
        end.finish(sock)
        truth = server()
    end.truth["writes"] = None
    return [end.truth] + truth


def exit_without_close(rng):
    """The client's process ends with its sockets open; the server reads to the end."""
    port, count = 18104, rng.randint(3, 10)
    sizes = [rng.randint(1, 50000) for _ in range(count)]
    listener = listen(port)
    server_rng = random.Random(rng.random())

    def exchange(end, sock):
        read_all(end, sock, sizes[end.truth["connections"] - 1], server_rng)
        sock.recv(1)  # the end of the stream is no operation

    server = in_child(lambda: serve(listener, port, count, exchange))
    go()
    truths = []
    for size in sizes:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            end = End("client", port)
            sock = socket.create_connection(("127.0.0.1", port))
            send_all(end, sock, size, rng)
            end.truth["connections"] = 1
            wait_until_acknowledged(sock)
            end.truth["retransmits"] = retransmits(sock)
            os.write(writer, json.dumps(end.truth).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        truths.append(json.loads(os.read(reader, 65536)))
        os.close(reader)
        os.close(writer)
    return truths + server()


def short_lived(rng):
    """Processes that live for a few milliseconds, each with one small exchange."""
    port, count = 18105, 40
    sizes = [rng.randint(1, 2000) for _ in range(count)]
    listener = listen(port)
    server_rng = random.Random(rng.random())

    def exchange(end, sock):
        size = sizes[end.truth["connections"] - 1]
        read_all(end, sock, size, server_rng)
        send_all(end, sock, size, server_rng)

    server = in_child(lambda: serve(listener, port, count, exchange))
    go()
    truths = []
    for size in sizes:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            end = End("client", port)
            with socket.create_connection(("127.0.0.1", port)) as sock:
                send_all(end, sock, size, rng)
                read_all(end, sock, size, rng)
                end.finish(sock)
            end.truth["connections"] = 1
            os.write(writer, json.dumps(end.truth).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        truths.append(json.loads(os.read(reader, 65536)))
        os.close(reader)
        os.close(writer)
    return truths + server()


def prefork(rng):
    """The parent listens, its children accept: connections belong to who serves them."""
    port, workers, count = 18106, 3, rng.randint(6, 20)
    listener = listen(port)
    plan = [rng.randint(1, 20000) for _ in range(count)]
    quota = [count // workers] * workers
    quota[0] += count - sum(quota)
    servers = []
    for share in quota:
        server_rng = random.Random(rng.random())

        def exchange(end, sock, server_rng=server_rng):
            size = struct.unpack("I", sock.recv(4, socket.MSG_WAITALL))[0]
            end.took(4)
            read_all(end, sock, size, server_rng)
            send_all(end, sock, 1, server_rng)

        servers.append(in_child(lambda share=share, exchange=exchange: serve(
            listener, port, share, exchange)))
    listener.close()
    go()
    end = End("client", port)
    for size in plan:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            end.wrote(sock.send(struct.pack("I", size)))
            send_all(end, sock, size, rng)
            read_all(end, sock, 1, rng)
            end.truth["connections"] += 1
            end.finish(sock)
    return [end.truth] + [truth for server in servers for truth in server()]


def no_operations(rng):
    """Peeks, would-blocks and ends of stream are no operations."""
    port, size = 18107, rng.randint(10, 1000)
    listener = listen(port)

    def exchange(end, sock):
        sock.setblocking(False)
        for _ in range(20):
            try:
                sock.recv(10)
                raise SystemExit("data came too early")
            except BlockingIOError:
                time.sleep(0.001)
        sock.setblocking(True)
        sock.send(b"g")
        end.wrote(1)
        for _ in range(5):
            sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)
        end.took(len(sock.recv(size, socket.MSG_WAITALL)))
        for _ in range(3):
            assert sock.recv(10) == b""

    server = in_child(lambda: serve(listener, port, 1, exchange))
    go()
    end = End("client", port)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        end.took(len(sock.recv(1)))
        end.wrote(sock.send(bytes(size)))
        end.finish(sock)
    end.truth["connections"] = 1
    return [end.truth] + server()


def refused(rng):
    """Nobody listens: refused, counted by errno; nothing else happens."""
    port, count = 18108, rng.randint(1, 30)
    go()
    end = End("client", port)
    for _ in range(count):
        sock = socket.socket()
        assert sock.connect_ex(("127.0.0.1", port)) == 111
        sock.close()
    end.truth["failed"] = {"ECONNREFUSED": count}
    return [end.truth]


def timed_out(rng, address):
    """A firewall swallows the SYN: timed out; the firewall counts how often it was sent."""
    port = 18109
    go()
    end = End("client", port)
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    assert sock.connect_ex((address, port)) == 110
    sock.close()
    end.truth["failed"] = {"ETIMEDOUT": 1}
    return [end.truth]


def accept_and_close(rng):
    """Health checks: connections without a byte."""
    port, count = 18110, rng.randint(2, 20)
    listener = listen(port)
    server = in_child(lambda: serve(listener, port, count, lambda end, sock: None))
    go()
    end = End("client", port)
    for _ in range(count):
        socket.create_connection(("127.0.0.1", port)).close()
        end.truth["connections"] += 1
    return [end.truth] + server()


def remote_server(rng, address):
    """The far side of lossy: reads all, answers one byte."""
    port = 18111
    listener = listen(port, address)
    go()

    def exchange(end, sock):
        time.sleep(0.1)  # segments are lost while nobody has touched the connection yet
        size = struct.unpack("I", sock.recv(4, socket.MSG_WAITALL))[0]
        end.took(4)
        read_all(end, sock, size, rng)
        end.wrote(sock.send(b"k"))
        sock.recv(1)

    return serve(listener, port, 3, exchange)


def remote_client(rng, address):
    """The near side: sends through a firewall that drops some segments."""
    port = 18111
    go()
    end = End("client", port)
    for _ in range(3):
        size = rng.randint(200000, 2000000)
        with socket.create_connection((address, port)) as sock:
            end.wrote(sock.send(struct.pack("I", size)))
            wait_until_acknowledged(sock)
            send_all(end, sock, size, rng)
            end.took(len(sock.recv(1)))
            end.finish(sock)
            end.truth["connections"] += 1
    return [end.truth]


def run(scenarios):
    """The program: one of these functions, by its name."""
    by_name = {function.__name__: function for function in scenarios}
    scenario, seed, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    try:
        truth = by_name[scenario](random.Random(seed), *arguments)
        print(json.dumps(truth), flush=True)
        sys.stdin.readline()
    finally:
        for pid in CHILDREN:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    run((mixed, mixed6, older, by_sendfile, exit_without_close, short_lived, prefork, no_operations,
         refused, timed_out, accept_and_close, remote_server, remote_client))
