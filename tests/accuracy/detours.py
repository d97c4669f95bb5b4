#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connections that netfilter leads to a proxy in the same namespace, as a service mesh does, with known
truth. The rules are the test's.

Usage: detours.py SCENARIO SEED ADDRESS      the protocol is that of traffic.py

Each truth has "asked", where the client wanted to go; a server's has "paired", who its client is.
"""
import os
import random
import socket
import struct

from traffic import End, go, in_child, listen, read_all, run, send_all

PROXY_PORT = 15001
SO_ORIGINAL_DST, IP_TRANSPARENT = 80, 19


def original_destination(sock):
    """What the client asked for, as netfilter remembers it."""
    _, port, address = struct.unpack_from("!HH4s", sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
    return f"{socket.inet_ntoa(address)}:{port}"


def name_of(address):
    return f"{address[0]}:{address[1]}"


class Request:
    """One exchange; the first bytes say who asks, so that the proxy knows who is at the other end."""

    def __init__(self, rng):
        self.asked, self.answered = rng.randint(1, 50000), rng.randint(1, 50000)

    def ask(self, end, sock, rng):
        end.wrote(sock.send(struct.pack("III", os.getpid(), self.asked, self.answered)))
        send_all(end, sock, self.asked, rng)
        read_all(end, sock, self.answered, rng)


def answer(end, sock, asked, rng):
    """The proxy's side of one request."""
    pid, size, answer_size = struct.unpack("III", sock.recv(12, socket.MSG_WAITALL))
    end.took(12)
    read_all(end, sock, size, rng)
    send_all(end, sock, answer_size, rng)
    end.finish(sock)
    end.truth["connections"] += 1
    end.truth["paired"], end.truth["asked"] = pid, asked


def ask(end, request, destination, rng, source=None):
    """The program's side of it."""
    sock = socket.socket()
    if source:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(source)
    sock.connect(destination)
    request.ask(end, sock, rng)
    end.finish(sock)
    end.truth["connections"] += 1
    end.truth["asked"] = name_of(destination)


def proxied(rng, address, by_tproxy):
    """A program asks for ADDRESS and reaches the proxy. Redirected, it is there at the proxy's own port;
    by TPROXY the proxy's socket has the address that was asked for."""
    requests = [Request(rng) for _ in range(rng.randint(3, 8))]
    destination = (address, 18301)
    reached = destination[1] if by_tproxy else PROXY_PORT
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    listener.bind(("0.0.0.0", PROXY_PORT))
    listener.listen()
    server_rng = random.Random(rng.random())

    def serve():
        end = End("server", reached)
        for _ in requests:
            sock, _ = listener.accept()
            asked = name_of(sock.getsockname()) if by_tproxy else original_destination(sock)
            answer(end, sock, asked, server_rng)
        return [end.truth]

    proxy = in_child(serve)
    listener.close()
    go()
    end = End("client", reached)
    for request in requests:
        ask(end, request, destination, rng)
    return [end.truth] + proxy()


def redirected(rng, address):
    return proxied(rng, address, by_tproxy=False)


def tproxied(rng, address):
    return proxied(rng, address, by_tproxy=True)


def same_source(rng, address):
    """Two programs from one source port to two places, both led to the proxy: netfilter has to change the
    port of one of them. Both connections are open before the proxy answers."""
    destinations = [(address, 18302), (address, 18303)]
    requests = [Request(rng) for _ in destinations]
    listener = listen(PROXY_PORT, "0.0.0.0")
    server_rng = random.Random(rng.random())

    def serve():
        truths = []
        for sock in [listener.accept()[0] for _ in destinations]:
            end = End("server", PROXY_PORT)
            answer(end, sock, original_destination(sock), server_rng)
            truths.append(end.truth)
        return truths

    def program(request, destination, start):
        os.read(start, 1)
        end = End("client", PROXY_PORT)
        ask(end, request, destination, random.Random(destination[1]), ("0.0.0.0", 28302))
        return [end.truth]

    ends = [in_child(serve)]
    listener.close()
    start, starter = os.pipe()
    for request, destination in zip(requests, destinations):
        ends.append(in_child(lambda request=request, destination=destination: program(
            request, destination, start)))
    go()
    os.write(starter, b"ss")
    return [truth for wait in ends for truth in wait()]


if __name__ == "__main__":
    run((redirected, tproxied, same_source))
